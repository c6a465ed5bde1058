# %% [markdown]
# # 12 · What did it learn?
#
# *Fast adaptation or good features?*
#
# **You will be able to**
#
# - freeze layers of a meta-trained network at test time, and say from the table which of them the inner loop needs;
# - compare what a layer gives before and after adaptation with linear CKA, and say what CKA cannot see;
# - read out a body with heads that need no inner loop: the nearest class mean, and ridge regression in closed form;
# - tell a network that has learned to adapt from one that has learned its training tasks by heart;
# - say what a table of this kind shows, and about which networks it says nothing.
#
# **Needs** chapters [03](03_many_tasks.ipynb) (validation, the oracle), [07](07_maml_in_numpy.ipynb),
# [10](10_few_shot_images.ipynb) (body, head, ProtoNet) and [11](11_maml_family.ipynb) (ANIL, BOIL) · **about 75 minutes** · CPU;
# no GPU, no download

# %% [markdown]
# ## Predict
#
# MAML has trained a Conv4 on invented characters. It sees five new ones, takes one gradient step on one example of each, and
# then gets about nine in ten right. In that step all layers move. Now we *freeze* the four convolutional layers, at test
# only: the same network, but only the last linear layer may move. And since the head now has the work to itself, we
# give it up to 200 steps, and an α chosen for it. How many does it get right?
#
# - (a) About nine in ten. What was learned are good features, and a new task only needs a new head.
# - (b) About two thirds, after hundreds of steps. Each layer does its part.
# - (c) About chance, however long it takes.
#
# <details><summary>Answer</summary>
#
# (b) in this chapter's network, though the reason given there is not the right one; after the one step that it was trained for, the head
# is hardly better than guessing. A well-known paper measured (a) on other images and another network, and you will see that ours
# comes to (a), too, once it is four times as wide. Which layers *are* needed? Make a bet before the table.
#
# </details>

# %%
import numpy as np
import torch
import torch.nn.functional as F

import maml_edu.pytorch as mt
from maml_edu.figures import (
    by_number_of_tasks,
    moved_and_alike,
    surgery,
    surgery_on_waves,
    who_may_move,
)
from maml_edu.tasks import Glyphs, Sinusoids, TaskBatch

THREADS = torch.get_num_threads()
torch.set_num_threads(1)  # evaluations are small: several threads would only wait for one another
QUIET = {"device": "cpu", "progress": False}

# %% [markdown]
# ## One network, one step
#
# The setting is that of chapter 10: five ways, one shot, 16 filters. 1,000 outer steps of 8 tasks train it, with one inner step
# at α = 0.4. Everything in this lesson comes from *one* seed, unless it says otherwise. What other seeds and a network of 64 filters give is measured by a
# script, `benchmarks/reproduce/what_learned.py`; its tables are in `docs/results.md`.


# %%
train, val, test = (Glyphs(split, ways=5, shots=1, queries=5) for split in ("train", "val", "test"))


def conv4(seed=0, filters=16):
    torch.manual_seed(seed)  # the first weights
    return mt.Conv4(5, filters=filters)


def on_all_cores(function, *arguments, **options):
    torch.set_num_threads(THREADS)
    try:
        function(*arguments, **options)
    finally:
        torch.set_num_threads(1)


# %%
def trained(learner, iterations, meta_lr=8e-3, seed=0):
    settings = {"meta_batch": 8, "meta_lr": meta_lr, "schedule": "cosine", "seed": seed}
    on_all_cores(mt.meta_train, learner, train, iterations, **settings, **QUIET)
    return learner


def right(learner, steps=1, tasks=test, episodes=100):
    """Accuracies (episodes,) after these inner steps."""
    return mt.evaluate(learner, tasks, episodes, steps).values[:, -1]


def said(values):
    """(mean, half its 95 % interval): accuracies have no heavy tail (chapter 03)."""
    return values.mean(), 1.96 * values.std(ddof=1) / len(values) ** 0.5


# %%
maml = trained(mt.MAML(conv4(), F.cross_entropy, inner_lr=0.4), 1_000)
for steps in (0, 1, 3):
    mean, half = said(right(maml, steps))
    print(f"after {steps} inner steps: {100 * mean:.1f} ± {100 * half:.1f} %")

# %% [markdown]
# ## Surgery, one layer at a time
#
# To **freeze** a layer is to leave it at θ in the inner loop. Nothing is trained again: `maml.moving_only(names)` is the
# same network whose inner loop moves only what is named. A *layer* is a convolution together with its batch norm's scale and
# offset. We freeze from below, as the literature does, and then ask the reverse: which layers *alone* are enough?


# %%
def layers(*numbers):
    return [f"features.{kind}{k}." for k in numbers for kind in ("conv", "norm")]


MOVING = {
    "all layers": [*layers(1, 2, 3, 4), "head."],
    "layer 1 frozen": [*layers(2, 3, 4), "head."],
    "layers 1 and 2 frozen": [*layers(3, 4), "head."],
    "layers 1 to 3 frozen": [*layers(4), "head."],
    "layers 1 to 4 frozen (head only)": ["head."],
    "head frozen (body only)": layers(1, 2, 3, 4),
    "layer 4 only": layers(4),
    "layers 1 to 3 only": layers(1, 2, 3),
}
table = {}
for name, moving in MOVING.items():
    table[name] = right(maml.moving_only(moving))
    mean, half = said(table[name])
    print(f"{name:34} {100 * mean:5.1f} ± {100 * half:.1f} %")
for name in ("layers 1 to 3 frozen", "layer 4 only"):
    mean, half = said(table[name] - table["all layers"])
    print(f"{name}, less all layers, episode by episode: {100 * mean:+.2f} ± {100 * half:.2f}")

# %% [markdown]
# Freeze the first three layers and nothing is lost: episode by episode (chapter 03) the difference is within its interval. Freeze the fourth as well
# and everything is lost. It is not that the layers
# share the work: **layer 4 alone does all of it**, 2,352 of the network's 7,333 numbers, and the head need not move at all.
#
# Is that fair to the head? α = 0.4 was chosen for all layers together, and one step is what all layers were trained for. A
# baseline must be tuned as hard as what it is compared with (chapter 10). So layers 1 to 3 get α and up to five steps chosen on validation
# alphabets. (More would be slow: each step goes through the whole network.) And a control: are layers 1 to 3 needed at all, if they never
# move? Put untrained ones in their place.


# %%
def chosen(learner, moving, rates, most):
    """(α, steps) with the highest accuracy on 40 validation episodes."""
    scores = {}
    for rate in rates:
        means = mt.evaluate(learner.moving_only(moving, rate), val, 40, most).mean
        scores |= {(rate, steps): means[steps] for steps in range(1, most + 1)}
    return max(scores, key=scores.get)


strangers = conv4(seed=1)  # layers 1 to 3 as they were drawn, the rest trained
trained_ones = dict(maml.model.named_parameters())
with torch.no_grad():
    for name, value in strangers.named_parameters():
        if not name.startswith(tuple(layers(1, 2, 3))):
            value.copy_(trained_ones[name])
mixed = mt.MAML(strangers, F.cross_entropy, inner_lr=0.4)
for name, learner, moving in (
    ("layers 1 to 3 only, tuned", maml, layers(1, 2, 3)),
    ("layers 1 to 3 untrained, frozen", mixed, MOVING["layers 1 to 3 frozen"]),
):
    rate, steps = chosen(learner, moving, (0.4, 1.0, 2.0), 5)
    table[name] = right(learner.moving_only(moving, rate), steps)
    mean, half = said(table[name])
    print(f"{name}: α = {rate}, {steps} steps: {100 * mean:.1f} ± {100 * half:.1f} %")

# %% [markdown]
# Layers 1 to 3 come off the floor and stay far below layer 4. With untrained layers in their place layer 4 has little to work with, and gets less than half as many right: what layers
# 1 to 3 learned *is* used, though it stays as it is.
#
# Now the head. The body is frozen, so its features need to be computed only once, and the head can have 200 steps.


# %%
class Drawn:
    """A hundred tasks that have been drawn already."""

    def __init__(self, batch):
        self.batch = batch

    def sample(self, rng, tasks=100):
        return self.batch.part(0, tasks)


def features(model, tasks, centred=False, episodes=100):
    """The tasks of `right`, with the body's features at θ in place of the images: (tasks, examples, 16)."""
    body, batch = mt.body_of(model), tasks.sample(np.random.default_rng(1), episodes)
    outputs = lambda x: np.stack([body(torch.as_tensor(one).float()).numpy() for one in x])
    with torch.no_grad():  # support and queries pass the batch norms apart, as in the inner loop
        x, query_x = outputs(batch.support_x), outputs(batch.query_x)
    middle = x.mean(1, keepdims=True) if centred else 0.0
    return Drawn(TaskBatch(x - middle, batch.support_y, query_x - middle, batch.query_y))


# %%
def head_alone(name, validation, testing, rates, steps=(1, 5, 20, 50, 100, 200)):
    """Print the accuracy of MAML's head after these steps on features, α chosen for each; the last."""
    head = lambda rate: mt.MAML(maml.model.head, F.cross_entropy, inner_lr=rate)
    scores = {rate: mt.evaluate(head(rate), validation, 60, max(steps)).mean for rate in rates}
    for many in steps:
        rate = max(rates, key=lambda r: scores[r][many])
        values = right(head(rate), many, testing)
        mean, half = said(values)
        print(f"{name}, {many:3} steps, α = {rate:4}: {100 * mean:.1f} ± {100 * half:.1f} %")
    return values


at_theta = [features(maml.model, tasks) for tasks in (val, test)]
table["head only, 200 steps"] = head_alone("head only", *at_theta, (0.5, 1.0, 2.0, 5.0))

# %% [markdown]
# The head alone climbs and levels off near seven in ten. It needs 200 steps for that, where layer 4 needs one for nine in ten.
#
# ## What would the features have been worth?
#
# Two things might be wrong with the head alone. The features of the frozen body may be poor. Or they may be good, and the
# gradient steps from *this* head do not find the way. To tell these apart, read the body out without an inner loop:
#
# - **nearest class mean**: the class whose mean feature vector is nearest (`mt.ProtoNet`, chapter 10, here on a body that was not trained for
#   it);
# - a **ridge head**: regression on the features $f$ of the support set, with a penalty λ on the squared weights. For
#   features and targets with their means removed, $X$ and $Y$, the best weights are a closed form,
#
# $$W = (X^\top X + \lambda I)^{-1} X^\top Y ,$$
#
# and the offset, which is what centring stands for, is not penalised. Targets are 1 for the right class and 0 for the
# others. Both heads get the same features as the head above, support and queries normalised apart ([exercise 12.3](../exercises/12_what_did_it_learn.ipynb)).


# %%
def heads(model):
    """Accuracies of heads on the body of a model at θ; λ is chosen on validation alphabets."""
    validation, testing = (features(model, tasks) for tasks in (val, test))
    same = torch.nn.Linear(16, 16, bias=False)  # the features are there: hand them on
    torch.nn.init.eye_(same.weight)
    ridge = lambda strength: mt.RidgeHead(same, F.cross_entropy, strength)
    strength = max((0.01, 0.1, 1.0, 10.0), key=lambda s: right(ridge(s), 0, validation).mean())
    return {
        "nearest class mean": right(mt.ProtoNet(same), 0, testing),
        "ridge head": right(ridge(strength), 0, testing),
    }


for who, model in (("MAML's", maml.model), ("an untrained", conv4(seed=1))):
    for name, values in heads(model).items():
        mean, half = said(values)
        print(f"{name:18} on {who} body: {100 * mean:.1f} ± {100 * half:.1f} %")
        if who == "MAML's":
            table[name] = values

# %%
LEFT_OUT = ("layer 1 frozen", "layers 1 and 2 frozen", "layers 1 to 3 only")
rows = {name: said(values) for name, values in table.items() if name not in LEFT_OUT}
closed = ["nearest class mean", "ridge head"]
who_may_move(
    rows,
    "One step of layer 4 does it; 200 of the head do not",
    0.2,
    {
        "maml": ("inner steps", [name for name in rows if name not in closed]),
        "baseline": ("closed form, on the body at θ", closed),
    },
)

# %%
x = at_theta[1].batch.support_x  # (tasks, 5, 16)
common = x.mean(1, keepdims=True)
print(f"common to all five: {5 * (common**2).sum() / (x**2).sum():.1%} of the squared length")
centred = [features(maml.model, tasks, centred=True) for tasks in (val, test)]
removed = head_alone("common part removed", *centred, (2.0, 5.0, 10.0, 20.0, 50.0), (1, 5, 20, 200))

# %% [markdown]
# So both are true. The features at θ are *not* good enough: the head after 200 steps and the ridge head agree on nearly seven in ten (from an untrained
# body: not three in ten). And a few gradient steps of the head get much less than that. Why are the steps so slow? After a ReLU and a
# mean all 16 features are positive, and nearly all of what they have is common to all five images. That common part is the steep direction of the head's loss; it sets the largest α
# (chapter 01). The differences between the classes are the flat directions, and they have to wait. Both closed forms remove the common part before
# they start. The last cell tests this explanation: subtract the mean of the five support features from all features, and let the
# head try again. One step then does about what took twenty before, and twenty about what took a hundred; two hundred end
# no higher than before. **The slowness was the head's. That it stops near
# seven in ten either way is a matter of the features.**
#
# **A trap**: sixteen numbers behind a spatial mean are a narrow bottleneck; before blaming the head, try a wider one. The script has four times as
# many filters, too, trained half as long, each width at the α that validation chose (0.4 and 0.2):
#
# | MAML, K = 1, three seeds | 16 filters | 64 filters |
# | :- | :- | :- |
# | all layers, one step, % right | 93 | 92 (91–92) |
# | layer 4 alone, one step | 93 | 92 |
# | the head alone, one step | 23 (21–23) | 30 (27–31) |
# | the head alone, α and up to 200 steps chosen | 64 (61–66) | 90 (88–91) |
# | nearest class mean, features at θ | 59 (55–60) | 90 (89–91) |
# | ridge head, features at θ | 63 (59–63) | 90 (89–91) |
# | CKA of layer 4 before and after | 0.45 (0.38–0.50) | 0.94 (0.92–0.94) |
#
# **The answer turns with the width** (and with the α and the length of training that went with it). With 64 filters the features at θ *are* good: the nearest class mean, without any step, is within three
# points of MAML, and the head alone gets there, too, in 200 steps. In the *one* step that it was trained for it gets less than one in three. Layer 4 is
# still the one that a single step needs, but its outputs hardly change any more. (Middle of three seeds, lowest and highest in brackets; CKA on 600 images, not debiased. MAML with $K = 5$, ANIL and BOIL at 16 filters:
# `docs/results.md`. We have not asked whether it is the width of all layers, or only the 64 numbers that the head sees.)
#
# ## How far, and how alike
#
# Two more ways to look. The first: by what fraction of its length has each layer moved (all its parameters as one vector), $\lVert\varphi -
# \theta\rVert/\lVert\theta\rVert$? The second: are the layer's *outputs* alike before and after? Take $n$ examples, let $A$ ($n$ rows)
# be a layer's outputs at θ and $B$ those at φ, with the mean of every column removed. **Linear CKA** (centred kernel alignment) is
#
# $$\text{CKA}(A, B) = \frac{\lVert A^\top B\rVert_F^2}{\lVert A^\top A\rVert_F\;\lVert B^\top B\rVert_F} ,$$
#
# where $\lVert\cdot\rVert_F$ is the root of the sum of squares of all entries. It is between 0 and 1, and it is 1 if $B$ is $A$
# rotated, scaled or shifted. ([Exercise 12.1](../exercises/12_what_did_it_learn.ipynb) asks you to write it; here `mt.linear_cka` does it.)
#
# With few examples and many features anything looks alike. `debiased=True` replaces each of the three norms by an unbiased
# estimate (Nguyen, Raghu and Kornblith 2021). Look at noise first, which ought to have 0:


# %%
rng = np.random.default_rng(0)
a = rng.normal(size=(200, 8))
rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
print(f"rotated, scaled, shifted: {mt.linear_cka(a, 3 * a @ rotation + 5):.2f}")
for n, features_ in ((200, 8), (25, 8), (25, 64), (25, 3_136)):
    a, b = rng.normal(size=(2, n, features_))
    biased, debiased = mt.linear_cka(a, b), mt.linear_cka(a, b, debiased=True)
    print(f"noise, {n} examples, {features_} features: {biased:.2f}, debiased {debiased:5.2f}")

# %% [markdown]
# **A trap.** With 25 examples, the queries of one of our tasks, and the 3,136 numbers that layer 1 gives for each, two piles of noise look almost the same. So take
# the 500 queries of twenty tasks, the debiased measure, and *a row to compare with*: the same measure
# between MAML's network and an untrained one that has nothing to do with it. `mt.layer_outputs` gives what each layer makes of the images.

# %%
theta, outputs = maml.detached(), [f"features.norm{k}" for k in (1, 2, 3, 4)] + ["head"]
parts = {f"layer {k}": layers(k) for k in (1, 2, 3, 4)} | {"head": ["head."]}


def far(theta, phi, starts):
    """‖φ − θ‖/‖θ‖ over all parameters whose names start so."""
    names = [name for name in theta if name.startswith(tuple(starts))]
    length = lambda values: float(sum((v**2).sum() for v in values)) ** 0.5
    return length(phi[n] - theta[n] for n in names) / length(theta[n] for n in names)


# %%
batch = test.sample(np.random.default_rng(1), tasks=20)
images = np.concatenate(batch.query_x)  # the 500 queries of twenty tasks
unrelated = mt.MAML(conv4(seed=1), F.cross_entropy)  # untrained
before = mt.layer_outputs(maml, theta, images)
other = mt.layer_outputs(unrelated, unrelated.detached(), images)
alike, moved = [], []
for support_x, support_y, *_ in batch.part(0, 5):
    phi = maml.adapt(support_x, support_y)
    after = mt.layer_outputs(maml, phi, images)
    alike.append([mt.linear_cka(before[n], after[n], debiased=True) for n in outputs])
    moved.append([far(theta, phi, starts) for starts in parts.values()])
alike, moved = (dict(zip(parts, np.mean(each, axis=0), strict=True)) for each in (alike, moved))
strange = {
    name: mt.linear_cka(before[n], other[n], debiased=True)
    for name, n in zip(parts, outputs, strict=True)
}
few = [mt.linear_cka(before[n][:25], other[n][:25]) for n in outputs]
print("layer: moved, CKA before and after, CKA with an unrelated network (25 queries, plain CKA)")
for name, plain in zip(parts, few, strict=True):
    numbers = f"{alike[name]:5.2f}, {strange[name]:5.2f} ({plain:.2f})"
    print(f"{name}: {100 * moved[name]:5.1f} %, {numbers}")

# %%
moved_and_alike(moved, alike, "One step moves layer 4 and hardly anything else", unrelated=strange)

# %% [markdown]
# Here the two agree with the table as far as the body goes: layers 1 to 3 give what they gave before, layer 4, which moved furthest, gives something else. The grey row matters: even an *unrelated* network has 0.92 in layer 1, with all 500 images and debiased, so
# a value near 1 says little there, and more in layer 3, where it has 0.30. (In brackets: 25 queries and the plain measure make all of them look more alike still.) But look at the head. Its outputs
# change most, although it hardly moved and need not move at all: they change because its inputs did. **Read without the table, CKA would blame the
# head.** Keep this picture in mind: a published one like it comes below. And on the waves CKA will say 1.00 of the one layer that matters.
#
# ## The opposite: features on purpose
#
# **ANIL** (chapter 11) lets the head alone move *in training as well*. A body that is never allowed to move has to make features from
# which a few steps of the head find the classes. ANIL needs an α of its own: 0.4 is MAML's, and a head alone wants larger
# steps. Choose it with short trainings, on validation alphabets, from four:

# %%
for rate in (0.4, 1.0, 2.0, 4.0):
    learner = mt.ANIL(conv4(), F.cross_entropy, inner_lr=rate, inner_steps=5)
    mean, half = said(right(trained(learner, 60, 16e-3), 5, val))
    print(f"ANIL, α = {rate}, 60 outer steps: {100 * mean:.1f} ± {100 * half:.1f} % on validation")

# %%
anil = mt.ANIL(conv4(), F.cross_entropy, inner_lr=2.0, inner_steps=5)
trained(anil, 300, 16e-3)
readings = {"head moves, 5 steps": right(anil, 5)} | heads(anil.model)
for name, values in readings.items():
    mean, half = said(values)
    print(f"ANIL, {name:19}: {100 * mean:.1f} ± {100 * half:.1f} %")

# %% [markdown]
# (On validation α = 1 and 2 are level and the ends of the list are behind; we took 2.)
#
# Now the nearest class mean on the body at θ, without any adaptation, is close to ANIL itself, and far above what any head gets from
# MAML's body. (ANIL is behind MAML here, after 300 outer steps where MAML had 1,000: no
# comparison of the two. And they differ in K, α and β as well as in what may move; which of these makes the features, this page does not separate.) **Two networks of one shape both name new characters: one has learned to move its fourth layer, the
# other has learned features.** A high accuracy does not say which of the two it is. (Longer trainings of ANIL, MAML with
# K = 5 and BOIL, which never moves the head, are in `docs/results.md`.)
#
# ## Surgery
#
# Tick the layers that may move; choose α and the number of steps. The accuracy on eight new tasks is there at once.
#
# 1. Get above **80 %** with the fewest moving numbers (the title counts them).
# 2. Can layers 1 to 3 do it together, at any α?
# 3. What is the highest that you get from the head alone? And in ANIL's network?

# %%
surgery({"MAML": maml, "ANIL": anil}, test)

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. In MAML's network layer 4 alone, with 2,352 numbers. In ANIL's the head alone, with 85, comes just short of the line: 79 % of these eight tasks'
#    queries, with its α = 2 and five steps.
# 2. No. They hold 4,896 numbers, twice as many as layer 4, and come to about 60 % with five steps and an α chosen for them.
# 3. In MAML's network about a third: it needs more than the five steps that the figure has. In ANIL's all that ANIL has: at α = 2 and five
#    steps it is the network as it was trained.
# </details>
#
# ## On waves: the other end
#
# Does MAML always move its last hidden layer? The network of chapter 07, 1-40-40-1, trained for 4,000 outer steps on waves with
# ten points. From here on tables show *medians* over 600 waves, and the mean next to it, because errors have a heavy tail (chapter 03).


# %%
def mlp(inputs=1, seed=0):
    torch.manual_seed(seed)
    return mt.MLP(inputs, 40, 40, 1)


def train_on(tasks, learner, iterations, seed=0):
    settings = {"meta_batch": 25, "meta_lr": 1e-3, "seed": seed}
    on_all_cores(mt.meta_train, learner, tasks, iterations, **settings, **QUIET)
    return learner


def errors(name, learner, tasks, steps, episodes=600):
    """Print medians and means after these steps; the medians."""
    result = mt.evaluate(learner, tasks, episodes, max(steps))
    cells = (f"{result.median[k]:7.3f} ({result.mean[k]:6.2f})" for k in steps)
    print(f"{name:38}", *cells)
    return result.median[list(steps)]


# %%
waves = Sinusoids(10, queries=10)
learners = {
    "MAML, K = 1": mt.MAML(mlp(), inner_lr=0.01),
    "MAML, K = 5": mt.MAML(mlp(), inner_lr=0.01, inner_steps=5),
    "BOIL, K = 1": mt.BOIL(mlp(), inner_lr=0.01),
    "ANIL, K = 5": mt.ANIL(mlp(), inner_lr=0.1, inner_steps=5),
    "pretrained": mt.MAML(mlp(), inner_lr=0.01, inner_steps=0),
}
learners = {name: train_on(waves, learner, 4_000) for name, learner in learners.items()}
through_ridge = train_on(waves, mt.RidgeHead(mt.body_of(mlp()), strength=0.1), 2_000)
sine_maml = learners["MAML, K = 1"]

# %%
PARTS = {
    "all layers": ["0.", "2.", "4."],
    "layer 1 only": ["0."],
    "all but the head": ["0.", "2."],
    "layer 2 only": ["2."],
    "layer 2 and head": ["2.", "4."],
    "head only": ["4."],
}
RATES = (0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3)


def best_rate(learner, moving):
    """α with the lowest median after ten steps on 200 other waves."""

    def error(rate):
        result = mt.evaluate(learner.moving_only(moving, rate), waves, 200, 10, seed=2)
        return np.nan_to_num(result.median[10], nan=np.inf)

    return min(RATES, key=error)


# %%
print("median (mean) after                   1 step           5 steps          10 steps")
for name in ("MAML, K = 1", "MAML, K = 5"):
    errors(f"{name}, as trained", learners[name], waves, (1, 5, 10))
    for part, moving in PARTS.items():
        rate = best_rate(learners[name], moving)
        errors(f"  {part}, α = {rate}", learners[name].moving_only(moving, rate), waves, (1, 5, 10))
for name in ("BOIL, K = 1", "ANIL, K = 5"):
    errors(f"{name}, as trained", learners[name], waves, (1, 5, 10))

# %% [markdown]
# (α of each part was chosen for ten steps on other waves; the list goes beyond every choice.)
#
# **With K = 1, layer 1 alone does nearly all of it** (all of it in the longer trainings below): 80 of the network's 1,761 numbers. They decide where its ReLUs have their kinks and how steep they
# are. On glyphs it was the layer *before the head*; here it is the *first*. **With K = 5 it does not**: layer 1 alone is behind all layers together. The
# network is the same and so are the waves; only K differs. Three longer trainings (10,000 outer steps) say so, too. Medians after five steps at α = 0.01, and in
# brackets the lowest and the highest of the three seeds:
#
# | trained with | all layers | layer 1 only | all but the head | layer 2 and head |
# | :- | :- | :- | :- | :- |
# | K = 1 | 0.081 (0.068–0.088) | 0.081 (0.074–0.10) | 0.082 (0.072–0.096) | 1.2 (1.1–1.2) |
# | K = 5 | 0.037 (0.036–0.043) | 0.14 (0.054–0.28) | 0.13 (0.050–0.24) | 0.76 (0.44–0.87) |
#
# What the inner loop needs is a property of network, tasks *and training*, not of MAML.
#
# BOIL, whose head never moves, adapts on waves about as well as MAML with K = 1. ANIL (K = 5), whose body never moves, is far behind after one step; after ten
# it is ahead of MAML with K = 5 here, and a little behind it after 10,000 outer steps (0.031 and 0.022). Two kinds of network that do opposite things, and both work. Now the second instrument:

# %%
support_x, support_y, *_ = next(iter(waves.sample(np.random.default_rng(5), tasks=1)))
grid = np.linspace(-5, 5, 200)[:, None]
theta, phi = sine_maml.detached(), sine_maml.adapt(support_x, support_y, 5)
before, after = (mt.layer_outputs(sine_maml, at, grid) for at in (theta, phi))
alike = {
    n: mt.linear_cka(before[k], after[k])
    for n, k in (("layer 1", "1"), ("layer 2", "3"), ("head", "4"))
}
moved = {
    n: far(theta, phi, [start])
    for n, start in (("layer 1", "0."), ("layer 2", "2."), ("head", "4."))
}
print("before the ReLU, CKA of layer 1 is", round(mt.linear_cka(before["0"], after["0"]), 6))
moved_and_alike(moved, alike, "Layer 1 moves furthest, and its outputs look alike")

# %% [markdown]
# **The trap of the chapter.** CKA says that layer 1 is unchanged: 1.00. But it is the layer that moved furthest,
# and the only one that has to move. How can that be? Before the ReLU each of its 40 outputs is $w_i x + b_i$, a line in the single
# number $x$. With the mean removed, all 40 columns are multiples of the same column $x - \bar x$, before and after. Put that into the
# formula: **CKA is exactly 1, whatever the weights are**. After the ReLU it is not forced, and still 1.00 to two digits. The small
# differences are what layer 2 amplifies.
#
# CKA compares two clouds of outputs as a whole. It does not ask which part of them the next layer uses. "CKA is near 1, so this
# layer does not matter for adaptation" does not follow. Freezing it is the test.
#
# ## Ask what MAML is for, then
#
# Now read the bodies out. Put a ridge head on each, with λ chosen on other waves, and add a body that was *trained* through a ridge head:
# `mt.RidgeHead` in `meta_train`, the idea of R2-D2 (Bertinetto and others 2019).


# %%
def ridge_on(name, model, tasks, body=False):
    """A ridge head on the body of a model at θ (or on a body), λ chosen on 200 other waves."""
    body = model if body else mt.body_of(model)
    score = lambda s: mt.evaluate(mt.RidgeHead(body, strength=s), tasks, 200, 0, seed=2).median[0]
    strength = min((1e-4, 1e-3, 1e-2, 0.1, 1.0), key=score)
    errors(f"ridge on {name}", mt.RidgeHead(body, strength=strength), tasks, (0,))


def oracle(tasks):
    """Median error of least squares on (sin x, cos x), which is told the form of all tasks (chapter 03)."""
    features = lambda x: np.concatenate([np.sin(x), np.cos(x)], axis=1)
    scores = []
    for x, y, query_x, query_y in tasks.sample(np.random.default_rng(1), tasks=600):
        ab = np.linalg.lstsq(features(x), y, rcond=None)[0]
        scores.append(np.mean((features(query_x) @ ab - query_y) ** 2))
    return np.median(scores)


# %%
for shots in (10, 5):
    tasks = Sinusoids(shots, queries=10)
    print(f"{shots} points: median (mean)")
    for name in ("MAML, K = 1", "MAML, K = 5", "ANIL, K = 5"):
        errors(f"{name}, ten steps", learners[name], tasks, (10,))
    for name, learner in learners.items():
        ridge_on(name, learner.model, tasks)
    ridge_on("untrained", mlp(seed=9), tasks)
    ridge_on("trained through a ridge head", through_ridge.model, tasks, body=True)
    print(f"{'sin x and cos x, least squares':38} {oracle(tasks):7.3f}")

# %% [markdown]
# Again three seeds of 10,000 outer steps (5,000 for the last row), medians with the lowest and the highest:
#
# | ridge head on the body of | 10 points | 5 points |
# | :- | :- | :- |
# | MAML, K = 1 | 0.26 (0.12–0.58) | 0.85 (0.66–1.2) |
# | MAML, K = 5 | 0.15 (0.09–0.21) | 0.55 (0.25–0.55) |
# | ANIL, K = 5 | 0.019 (0.016–0.029) | 0.057 (0.043–0.11) |
# | a pretrained network | 0.27 (0.20–0.29) | 1.9 (1.5–2.0) |
# | an untrained network | 0.26 (0.21–0.36) | 2.8 (2.5–3.0) |
# | a network trained through a ridge head | 0.0024 (0.0022–0.0033) | 0.0071 (0.0055–0.0079) |
#
# MAML's body with K = 1 is hard to read from: at ten points it is no more readable than a *pretrained* one, whose outputs are the average wave, or even
# than an untrained one. (Forty ReLUs after forty are enough for ten points.) At five points it is ahead of both. ANIL's body is far better. Best of all, in front of
# every learner with an inner loop, is the body that was trained through a ridge head. In the *mean* a ridge head on MAML's body (K = 1) is further behind
# still: 0.82 against 0.13 for MAML's own ten steps. On a few waves a closed form goes far
# wrong, where ten small steps stay near the start. Which of the two to report depends on what a large error costs you.
#
# And below all of them stands the line of zeros. Whoever *knows* that tasks are waves of one period needs two points and no
# training. So what is MAML for? For families whose form nobody can write down. On waves it is a microscope, not a tool.
#
# ## How many tasks make a learner?
#
# So far every training task was new. Now fix **M** waves and train on these only; then test on new ones.


# %%
class FixedWaves(Sinusoids):
    """M waves, drawn once, in place of new ones each time; tall: all heights are this many times as large."""

    def __init__(self, many=None, seed=0, tall=1.0):
        super().__init__(10, queries=10)
        self.tall, self.waves = tall, None
        if many is not None:
            self.waves = Sinusoids.draw_waves(self, np.random.default_rng(seed), many)

    def draw_waves(self, rng, tasks=25):
        if self.waves is None:
            heights, phases = super().draw_waves(rng, tasks)
            return self.tall * heights, phases
        which = rng.integers(len(self.waves[0]), size=tasks)
        return self.waves[0][which], self.waves[1][which]


# %%
MANY = (1, 3, 5, 10, None)
networks, own, new = {}, [], []
for many in MANY:
    learner = sine_maml  # which was trained on ever new waves
    if many:
        learner = train_on(FixedWaves(many), mt.MAML(mlp(), inner_lr=0.01), 4_000)
    name = f"{many} wave{'s' * (many != 1)}" if many else "∞ waves"
    networks[name] = learner.model.arrays()
    own.append(errors(f"{name}: its own, 0 and 1 step", learner, FixedWaves(many), (0, 1), 400))
    new.append(errors(f"{name}: new ones, 0 and 1 step", learner, waves, (0, 1), 400))
for draw in (1, 2):
    learner = train_on(FixedWaves(10, seed=draw), mt.MAML(mlp(), inner_lr=0.01), 4_000)
    errors(f"10 others (draw {draw}): new ones", learner, waves, (0, 1), 400)

# %%
counts = [many or np.inf for many in MANY]
by_number_of_tasks(
    counts,
    {
        "before": ("new waves, before any step", [e[0] for e in new]),
        "maml": ("new waves, after one step", [e[1] for e in new]),
        "support_loss": ("training waves, after one step", [e[1] for e in own]),
    },
    "About ten waves are enough to learn to adapt",
)

# %% [markdown]
# With one wave the network learns that wave, and one step on another leads nowhere good. With three or five it is in between. From about ten waves on it adapts to waves
# that it has never seen, and most of what ever new waves give is there. Which ten they are matters too, as the two more draws show. Three
# seeds of 10,000 outer steps, each with a draw of its own, have these medians on new waves after one step: 0.88 (0.51–0.99) with three waves, 0.35 (0.34–0.47) with ten,
# 0.35 (0.27–0.35) with a hundred, 0.27 (0.27–0.30) with ever new ones. So more still help, a little. Our guess at the reason why ten go so
# far: waves have two numbers, and ten of them already cover these. A richer family would need more.
#
# The same networks for surgery. Choose the number of training waves, tick layers, drag points of the new wave.
#
# 1. Bring the error below 0.5 with the fewest moving numbers, in one step or in five.
# 2. Which number of training waves is the smallest for which that works?
# 3. Freeze layer 1. Can α make up for it?

# %%
surgery_on_waves(networks)

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# In one step nothing replaces layer 1: alone, with 80 numbers, it is about as good as all three layers together, for the networks of 10 waves and more. In ten steps,
# with a larger α, layer 2 and the head nearly do; the head alone does not. With one or three training waves no choice of layers does it in a few steps.
# </details>
#
# ## Learning by heart
#
# Ten waves were enough because nothing told the network *which* of the ten it had before it. It had to look at the support points. Now give it a
# hint: each input $x$ comes with three numbers, a **code** that names the wave. For the training waves the code says everything. A
# new wave has a new code.


# %%
class NamedWaves(FixedWaves):
    """Waves whose inputs are x and three numbers that name the wave: (…, 4)."""

    def sample_from(self, rng, height, phase):
        plain = super().sample_from(rng, height, phase)
        turns = 40 * np.stack([height, phase, height + phase], axis=-1)  # a wave's own code
        code = np.sin(turns)[:, None]  # (tasks, 1, 3)
        named = lambda x: np.concatenate([x, np.repeat(code, x.shape[1], axis=1)], axis=2)
        x, query_x = named(plain.support_x), named(plain.query_x)
        return TaskBatch(x, plain.support_y, query_x, plain.query_y)


print("median (mean) after                   0 steps           1 step")
named = {}
for many in (10, 100):
    learner = train_on(NamedWaves(many), mt.MAML(mlp(4), inner_lr=0.01), 4_000)
    for whose, tasks in (("its own", NamedWaves(many)), ("new ones", NamedWaves())):
        named[many, whose] = errors(f"{many} named waves: {whose}", learner, tasks, (0, 1), 400)

# %%
by_number_of_tasks(
    [10, 100],
    {
        "before": (
            "training waves, before any step",
            [named[m, "its own"][0] for m in (10, 100)],
        ),
        "maml": ("new waves, after one step", [named[m, "new ones"][1] for m in (10, 100)]),
    },
    "Ten named waves are learned by heart; a hundred are not",
)

# %% [markdown]
# With ten named waves the error on the *training* waves is 0.007 **before any step**: the network reads the name and knows the
# answer. On new waves it is worse than the average wave would be (2.2), and a step hardly helps. That is **memorisation**: a single function that solves all training tasks, so that nothing has to be learned from the support set. Nothing
# in the training loss complains; it is as low as one could wish. Only a test on new tasks shows it, and so does the error at step 0, which ought to be
# as bad as a guess.
#
# With a hundred waves it has not learned the names within these 4,000 outer steps, and it learns to adapt after all. In
# few-shot classification the same is prevented by an old habit: the classes are *numbered anew in each task* (chapter 10). Give every
# character a fixed number and MAML becomes a classifier of its training characters.
#
# ## Another distribution
#
# A last question to the network of chapter 07. Its waves were at most 5 high. What if they are twice as high?

# %%
print("median (mean) after             1 step           5 steps          10 steps")
for name, tasks in (("as in training", FixedWaves()), ("twice the height", FixedWaves(tall=2.0))):
    result = mt.evaluate(sine_maml, tasks, 600, 10)
    cells = (f"{result.median[k]:7.2f} ({result.mean[k]:9.3g})" for k in (1, 5, 10))
    print(f"{name:22}", *cells, f" blown up: {100 * result.runaways[10]:.1f} %")

# %% [markdown]
# Doubling the heights alone makes squared errors four times as large. What is measured here is more: about five times in the
# median (in three longer trainings five to eight times), and more than that in the mean. Slopes are twice as large, too, so a step at α = 0.01 goes twice as
# far: too far on some waves, and probably that is a part of the reason. A median hides these waves, a mean shows little else. Adaptation is a skill for *the
# distribution it was trained on*, and θ was trained for this α.
#
# ## Both are right
#
# What did two well-known papers find, and does it contradict the tables above?
#
# **Raghu, Raghu, Bengio and Vinyals** (2020) asked whether MAML learns fast adaptation or good features, and answered: features. Their
# evidence is of the kinds used here. On mini-ImageNet (the version under review, Table 1) freezing all four
# convolutions at test changed the accuracy from 44.5 ± 0.8 to 44.7 ± 0.8 % at one shot, and from 61.7 ± 0.6 to 60.2 ± 0.7 % at
# five. CKA, and CCA, another measure of likeness (of canonical correlations), were near 1 for all layers but the head.
# You have seen above how a head that need not move comes to look like that. ANIL was level with MAML: 46.7 ± 0.4 against 46.9 ± 0.2 %, and on Omniglot with
# twenty ways and one shot 96.2 ± 0.5 against 93.7 ± 0.7 (mean and standard deviation of three trainings). And with the head removed, the support labels weighted by similarity on the body of MAML got 48.4 ± 0.3 %.
#
# **Oh, Yoo, Kim and Yun** (2021) went the other way. BOIL moves the body alone. With the head frozen, only a change of
# features can name new classes. It was better than MAML,
# above all when the test came from another domain. Their conclusion: a change of the representation is needed.
#
# | the claim (often heard) | here |
# | :- | :- |
# | Moving the head alone, *in training and test*, costs nothing (ANIL). | Not decided on glyphs: ANIL had a third of the outer steps. On waves little: 0.031 (0.025–0.048) against 0.022 (0.019–0.029) after ten steps, both K = 5, three seeds. |
# | A *MAML-trained* network at test needs its head only. | With 16 filters no: near chance in one step, about two in three after 200. With 64 nearly, if it may take 200 steps. |
# | MAML's body has good features at θ. | With 16 filters no: the class mean gets about six in ten, where ANIL's body has nearly nine. With 64 yes: nine in ten. |
# | The lower layers are reused. | Yes on glyphs: 1 to 3 can be frozen, and untrained ones do not replace them. No on waves: layer 1 is the one that moves. |
# | What changes is the last layer of the body. | Yes on glyphs, exactly. No on waves. |
#
# With 16 filters the second and the third row contradict a published measurement, with 64 they do not, and nobody need have made a mistake. A wider
# network was enough to turn the answer. Their tasks were photographs, where MAML and ANIL stay
# below 50 % at one shot; ours are characters, at about 90 %. Rates and lengths of training differ as well, and those reasons we have not separated. Is there
# a sentence that both papers and this page can sign? Before you read on: [exercise 12.7](../exercises/12_what_did_it_learn.ipynb) asks you for it.
#
# ## What you should have seen
#
# - One inner step from guessing to about nine in ten, and all of it in layer 4. Layers 1 to 3 frozen: no loss. All four frozen: near chance.
# - A head alone climbs to about seven in ten in 200 steps. With the common part of the features removed it is quick, and no better in the end. With 64
#   filters in place of 16 it comes to nine in ten, and so does the nearest class mean.
# - The head's CKA lowest, although the head need not move; and 25 examples make unrelated networks look alike.
# - ANIL at α = 2: the nearest class mean on its body is as good as ANIL.
# - On waves with K = 1: layer 1 alone does nearly all that MAML does, and its CKA is 1.00. Before the ReLU it is 1 by algebra. With K = 5: the others take their share.
# - MAML's body (K = 1) at ten points about as readable as a pretrained or an untrained one, ANIL's far better, one trained through a ridge head best, and an oracle at 0.
# - About ten training waves enough; ten *named* waves learned by heart; waves of twice the height too high for this step size.
#
# ## Three questions
#
# **1.** A colleague finds CKA = 0.99 for layers 1 to 3 of an adapted network. "So we can freeze them." Is that right?
#
# - (a) Yes: their outputs have not changed.
# - (b) It has not been shown. Freeze them and measure.
# - (c) No: with more examples CKA would fall.
#
# <details><summary>(a) Yes?</summary>
#
# On glyphs the conclusion would have been right, on waves wrong: CKA 1.00, and freezing that layer costs nearly everything.
#
# </details>
# <details><summary>(b) Not shown?</summary>
#
# Yes. CKA compares clouds of outputs as a whole; the next layers may live on what it hardly counts. The experiment is as cheap as the number.
#
# </details>
# <details><summary>(c) It would fall?</summary>
#
# With 25 examples of thousands of numbers it might. But on the waves there were 200 examples for 40 outputs, and it was 1.00 all the same.
#
# </details>
#
# **2.** On sine waves, its training tasks, a meta-trained network has an error of 0.1 before the first inner step, and 0.1 after. What do you conclude?
#
# - (a) A superb start: no adaptation needed.
# - (b) It may know the tasks by heart. Test on new ones.
# - (c) α is too small.
#
# <details><summary>(a) Superb?</summary>
#
# If tasks contradict each other, as waves do, no single function is right for all before it has seen a support set. A low error at step 0
# says that something in the input gives the task away.
#
# </details>
# <details><summary>(b) By heart?</summary>
#
# Yes. Ten named waves looked like this, and on new waves the network was worse than the average wave.
#
# </details>
# <details><summary>(c) α too small?</summary>
#
# A larger α would not change the error at step 0, and that is the strange number here.
#
# </details>
#
# **3.** "With the head frozen MAML loses nothing. So heads are useless." What is wrong?
#
# - (a) The table was made after one step only.
# - (b) The head is used in every prediction; it only need not *move*.
# - (c) The head must have moved, or the labels could not be right.
#
# <details><summary>(a) One step only?</summary>
#
# True, but more steps would not make a head useless that is needed for the first. Take it away and there are no scores: frozen is not absent.
#
# </details>
# <details><summary>(b) It need not move?</summary>
#
# Yes. Layer 4 moves the features to where the fixed head wants them, class by class. That is what BOIL builds on.
#
# </details>
# <details><summary>(c) It must have moved?</summary>
#
# Labels are numbered anew in each task, so *something* has to move. The table says that it can be the features.
#
# </details>
#
# ## Summary
#
# 1. Freezing at test, $\varphi_j = \theta_j$ for frozen layers, is the direct test of what the inner loop needs. Tune α for what may move.
# 2. Linear CKA $= \lVert A^\top B\rVert_F^2/(\lVert A^\top A\rVert_F\lVert B^\top B\rVert_F)$ compares outputs. It can be 1 for the only layer
#    that matters, and near 1 for unrelated ones where examples are few. Debias, and print a control.
# 3. $W = (X^\top X + \lambda I)^{-1}X^\top Y$ reads a body without an inner loop. **Here ANIL's bodies were worth reading; MAML's with 64 filters, too, with 16 much less; on waves, at ten points, it is about
#    as readable as an untrained one (K = 1). A body trained through the ridge head beat every inner loop, and least squares in two numbers beat all.**
# 4. A low error at step 0 on training tasks and a high one after a step on new tasks: memorised.
# 5. "Adaptation or features?" has an answer for a network, a family of tasks and a training; not for MAML.
#
# ## Further reading
#
# - Raghu, Raghu, Bengio & Vinyals (2020), *Rapid Learning or Feature Reuse?*, arXiv 1909.09157. The question of this chapter,
#   the freezing table and ANIL.
# - Oh, Yoo, Kim & Yun (2021), *BOIL: Towards Representation Change for Few-shot Learning*, arXiv 2008.08882. The case for the other side.
# - Kornblith, Norouzi, Lee & Hinton (2019), *Similarity of Neural Network Representations Revisited*, arXiv 1905.00414. CKA, and what a measure of
#   likeness should not change under.
# - Nguyen, Raghu & Kornblith (2021), *Do Wide and Deep Networks Learn the Same Things?*, arXiv 2010.15327. CKA with unbiased estimates.
# - Davari and others (2022), *Reliability of CKA as a Similarity Measure in Deep Learning*, arXiv 2210.16156. How easily CKA is moved without changing
#   what a network does.
# - Bertinetto, Henriques, Torr & Vedaldi (2019), *Meta-learning with Differentiable Closed-form Solvers*, arXiv 1805.08136. A ridge head in the inner
#   loop's place, trained end to end.
# - Yin, Tucker, Zhou, Levine & Finn (2020), *Meta-Learning without Memorization*, arXiv 1912.03820. Which families of tasks invite learning by heart, and a
#   penalty against it.
# - Kumar, Deleu & Bengio (2023), *The Effect of Diversity in Meta-Learning*, arXiv 2201.11775. More diverse training tasks do not always help.
# - Tian, Wang, Krishnan, Tenenbaum & Isola (2020), *Rethinking Few-Shot Image Classification: a Good Embedding Is All You Need?*, arXiv 2003.11539. An ordinary
#   embedding and a linear classifier, ahead of meta-learners of its time.
#
# **Next:** [the exercises of this chapter](../exercises/12_what_did_it_learn.ipynb), then [13 · Robots](13_robots.ipynb), where an answer
# is no longer given with the task
