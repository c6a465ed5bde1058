# %% [markdown]
# # 07 · MAML in NumPy
#
# *Can forty lines learn to learn?*
#
# **You will be able to**
#
# - write MAML's Algorithm 1, inner and outer loop, in plain NumPy, and say what each line is for;
# - run the sinusoid experiment of the paper and read its result with confidence intervals, beside a fair baseline;
# - say why a network trained on *all* waves cannot be fine-tuned to *one*, and what MAML's starting point has that it lacks.
#
# **Needs** [chapter 04](04_gradient_of_a_step.ipynb) (the gradient of a gradient step). **Takes** about 45 minutes, a good
# one of them computing. **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# Every task is one sine wave, $y = A\sin(x - \text{phase})$; the next task is another. You see five points of a new
# wave and may take **one** gradient step on them. Two networks of the same size are on offer:
#
# - one that was trained, by Adam, to predict $y$ from $x$ on thousands of waves together;
# - one whose *starting point* was chosen so that one gradient step works well.
#
# **Before** the step, whose error on the new wave is smaller? And after it? Commit to two answers.
#
# <details><summary>Answer</summary>
#
# Before the step they are equals: neither has seen anything of the new wave, and the best guess then is the average wave.
# After it they are far apart. The step takes four fifths off the error of the second network and less than a fifth off that
# of the first.
# Nothing in ordinary training asked the first network to be *changeable*.
# </details>

# %%
import inspect

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures import error_against_steps, scrub_adaptation, show_source, sine_tasks
from maml_edu.figures import training_curve
from maml_edu.tasks import Sinusoids

# %% [markdown]
# ## The tasks
#
# Amplitudes are drawn from $[0.1, 5]$, phases from $[0, \pi]$, inputs from $[-5, 5]$. Of each wave there are $K$ points to
# learn from (the **support** set; $K$ is the number of **shots**) and others to be judged by (the **query** set).

# %%
sine_tasks(shots=5)

# %%
tasks = Sinusoids(shots=10)
batch = tasks.sample(np.random.default_rng(0), tasks=25)
print("support x and y:", batch.support_x.shape, batch.support_y.shape, "(tasks, shots, 1)")
print("query   x and y:", batch.query_x.shape, batch.query_y.shape)

# %% [markdown]
# ## Algorithm 1
#
# This is all of MAML, in the words of the paper (Finn, Abbeel & Levine 2017), $\theta$ being the parameters it looks for:
#
# | line | Algorithm 1 | below |
# | --- | --- | --- |
# | 1 | initialise $\theta$ at random | `first_weights` |
# | 2 | while not done: | `meta_train` |
# | 3 | draw a batch of tasks $\mathcal T_i$ | `tasks.sample` |
# | 4–7 | for each task, **adapt** on its support set: $\varphi_i = \theta - \alpha\nabla_\theta L_i(\theta)$ | `adapt` |
# | 8 | **update**: $\theta \leftarrow \theta - \beta\nabla_\theta\sum_i L_i(\varphi_i)$, the losses taken on the query sets | `meta_loss`, `adam` |
#
# Two loops: the **inner** one moves from θ to φ on one task, the **outer** one moves θ. We take the mean over the tasks where
# the paper writes the sum (so that β does not depend on how many tasks there are) and, as the paper's experiments do, give
# the outer gradient to Adam.
#
# ### The network: lines 1 to 13 of forty
#
# A layer is `x @ w + b`; between layers **ReLU**, $\max(\cdot, 0)$, bends the lines; 40 columns are 40 **units**.


# %%
def network(params, x):
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)  # (examples, 40)
    hidden = np.maximum(hidden @ params["w2"] + params["b2"], 0)  # (examples, 40)
    return hidden @ params["w3"] + params["b3"]  # (examples, 1)


def loss(params, x, y):
    return np.mean((network(params, x) - y) ** 2)


def first_weights(rng, sizes=(1, 40, 40, 1)):
    params = {}
    for layer in (1, 2, 3):
        inputs, outputs = sizes[layer - 1], sizes[layer]
        params[f"w{layer}"] = rng.uniform(-1, 1, (inputs, outputs)) / np.sqrt(inputs)
        params[f"b{layer}"] = rng.uniform(-1, 1, outputs) / np.sqrt(inputs)
    return params


# %%
theta = first_weights(np.random.default_rng(0))  # seed 0
print({name: value.shape for name, value in theta.items()})
print(f"{sum(value.size for value in theta.values())} parameters")
print(f"loss on the first task's support set: {loss(theta, *next(iter(batch))[:2]):.3f}")

# %% [markdown]
# ### The inner loop: lines 14 to 18
#
# Ordinary gradient descent, on one task. `ref.grad` is the reference library's derivative of plain NumPy code. Note what
# the function does *not* do: it does not change `params`. It builds new dictionaries, so θ is still there when the
# next task wants to start from it.


# %%
def adapt(params, x, y, inner_lr, inner_steps):
    for _ in range(inner_steps):
        slope = ref.grad(loss)(params, x, y)
        params = {name: value - inner_lr * slope[name] for name, value in params.items()}
    return params


# %%
support_x, support_y, query_x, query_y = next(iter(batch))  # the first of the 25 tasks
for steps in (0, 1, 2, 10):
    phi = adapt(theta, support_x, support_y, inner_lr=0.01, inner_steps=steps)
    support, query = loss(phi, support_x, support_y), loss(phi, query_x, query_y)
    print(
        f"{steps:2d} inner steps from random weights: support loss {support:.2f}, query loss {query:.2f}"
    )

# %% [markdown]
# From random weights, ten steps are not enough to fit ten points. The question of MAML is: from *which* weights would they
# be?
#
# ### The outer loop: lines 19 to 40
#
# The meta-loss is the query loss after adaptation, averaged over tasks. Its gradient with respect to θ goes *through*
# the inner step, as in chapter 04; we write no formula for that, we only ask for the gradient of a function that contains one.
#
# **Adam** takes the outer step: the momentum of chapter 01 (μ = 0.9), with a step size for each parameter. `m` averages the
# slopes, `v` their squares, and dividing by $\sqrt v$ makes the steps of all parameters alike in size. Both averages start
# at 0 and are too small at first; $1 - 0.9^t$ and $1 - 0.999^t$ make up for that.


# %%
def meta_loss(theta, batch, inner_lr, inner_steps):
    losses = []
    for support_x, support_y, query_x, query_y in batch:
        phi = adapt(theta, support_x, support_y, inner_lr, inner_steps)
        losses.append(loss(phi, query_x, query_y))
    return sum(losses) / len(losses)


def adam(theta, slope, state, lr):
    t, m, v = state or (1, dict.fromkeys(theta, 0.0), dict.fromkeys(theta, 0.0))
    m = {name: 0.9 * m[name] + 0.1 * slope[name] for name in theta}
    v = {name: 0.999 * v[name] + 0.001 * slope[name] ** 2 for name in theta}
    size = {name: np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8 for name in theta}
    step = {name: lr * m[name] / (1 - 0.9**t) / size[name] for name in theta}
    new = {name: value - step[name] for name, value in theta.items()}
    return new, (t + 1, m, v)


# %%
def meta_train(theta, tasks, rng, iterations, meta_batch, meta_lr, inner_lr=0.01, inner_steps=1):
    state, history = None, []
    for _ in range(iterations):
        batch = tasks.sample(rng, tasks=meta_batch)
        value, slope = ref.value_and_grad(meta_loss)(theta, batch, inner_lr, inner_steps)
        theta, state = adam(theta, slope, state, meta_lr)
        history.append(value)
    return theta, history


# %% [markdown]
# That is it. Does it learn? The paper uses 25 tasks an iteration and β = 0.001; for a first look of a few
# seconds we take 10 tasks and a larger β, and 300 iterations (seed 0).

# %%
learned, history = meta_train(
    theta, tasks, np.random.default_rng(0), iterations=300, meta_batch=10, meta_lr=0.01
)
parts = (network, loss, first_weights, adapt, meta_loss, adam, meta_train)
print(sum(len(inspect.getsource(part).splitlines()) for part in parts), "lines")
training_curve(history, window=40)

# %% [markdown]
# The dotted line is the error of the *average wave*, about 3.0: no function that is the same for all tasks can do better.
# The meta-loss is below it, so what comes out of the inner step is **not** the same for all tasks: the network has begun
# to learn *from the ten points*. On waves that it has never seen (seed 1):

# %%
unseen = tasks.sample(np.random.default_rng(1), tasks=100)
for name, params in (("random weights", theta), ("after 300 iterations", learned)):
    errors = [meta_loss(params, unseen, inner_lr=0.01, inner_steps=steps) for steps in (0, 1, 5)]
    print(f"{name:<21} query loss after 0, 1, 5 inner steps:", np.round(errors, 2))

# %% [markdown]
# ### The library's forty lines
#
# The functions of `maml_edu.reference` are the ones you just read, with their arguments checked, rates that may differ by
# parameter and step, and first order as a choice. The same θ and the same batch must give the same gradient:

# %%
_, by_hand = ref.value_and_grad(meta_loss)(theta, batch, 0.01, 1)
_, library = ref.meta_gradient(ref.mse, theta, batch, inner_lr=0.01, inner_steps=1)
difference = max(np.max(np.abs(by_hand[name] - library[name])) for name in theta)
print(f"largest difference of the two meta-gradients: {difference:.1e}")

# %%
show_source(ref.adapt)

# %%
show_source(ref.meta_loss)

# %%
show_source(ref.adam)

# %% [markdown]
# ## The experiment of the paper
#
# | | paper (section 5.1) | here |
# | --- | --- | --- |
# | network | ReLU, 1-40-40-1 | the same |
# | training | 10 shots, 1 inner step, α = 0.01 | the same; once more with 5 shots |
# | outer loop | Adam, β = 0.001, 25 tasks an iteration | the same |
# | iterations | 70,000 | the same |
# | first weights | truncated normal, standard deviation 0.01 (original code) | PyTorch's, uniform in $\pm 1/\sqrt{\text{inputs}}$, which learns sooner |
# | test | 600 new waves, 5 or 10 shots, up to 10 inner steps | the same, 100 query points a wave |
#
# Our loop takes one task after the other, and would be busy with this for the better part of an hour. The library's PyTorch
# form runs **the same algorithm** much faster: the [next chapter](08_maml_in_pytorch.ipynb) shows that the numbers agree, and
# [chapter 09](09_fast_maml.ipynb) where the speed comes from. So we can afford the paper's full length.
#
# **Three runs follow, about a minute altogether on two cores**, and 15 seconds more the very first time, when the fast path is
# compiled. (It needs numba: `pip install "maml_edu[fast]"`. Without it the same runs take some minutes.) In a hurry?
# `ITERATIONS = 7_000` shows the same picture with larger errors.

# %%
import maml_edu.pytorch as mt
import torch

ITERATIONS = 70_000  # as in the paper


def new_learner(inner_steps):
    torch.manual_seed(0)  # the same first weights for all
    return mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=inner_steps)


def train(inner_steps, shots, **options):
    learner = new_learner(inner_steps)  # the tasks that are drawn: seed 0, meta_train's default
    settings = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu"}
    history = mt.meta_train(learner, Sinusoids(shots), ITERATIONS, **settings, **options)
    return learner, history


# %% [markdown]
# **First run:** ten shots. On the way `meta_train` scores the network seven times on 2,000 waves that are set aside
# (**validation**).

# %%
known = {"validation": Sinusoids(10, queries=100), "validation_episodes": 2_000}
maml, maml_history = train(1, shots=10, validate_every=ITERATIONS // 7, **known)
print("iterations   loss in training   error in validation")
for iteration, mean, ci95 in maml_history.validation:
    recent = np.mean(maml_history.loss[iteration - ITERATIONS // 70 : iteration])
    print(f"{iteration:10,}   {recent:16.2f}   {mean:12.2f} ± {ci95:.2f}")

# %% [markdown]
# The two columns agree within the interval: every iteration draws waves that were never seen before, so the loss in
# training is already one on new tasks. (With a fixed set of tasks it would not be, and validation would be a must.) And you
# can see what the length buys: most is won in the first 10,000 iterations, the rest slowly.
#
# **Second run:** five shots, as many as in the test that the paper's table is about.

# %%
maml_on_five, five_history = train(1, shots=5)
print(f"loss in training at the end: {np.mean(five_history.loss[-ITERATIONS // 70 :]):.2f}")

# %% [markdown]
# ### The baseline: MAML without an inner step
#
# *One network trained on all tasks together* is what is left when the inner loop takes **zero** steps: then φ = θ, and the
# meta-loss is the plain mean loss over a batch of tasks. So the baseline, our **third run**, is the same code, the same data
# and the same number of iterations, with `inner_steps=0`.

# %%
pretrained, pre_history = train(0, shots=10)
training_curve(maml_history.loss, pre_history.loss, window=ITERATIONS // 70)

# %% [markdown]
# Pretraining arrives at the dotted line and stays: for one $x$ the waves want different $y$, and the mean is the best that
# one function can do. More iterations do not help it. MAML's curve is the loss *after* an inner step, and goes far below.
#
# To be fair to the baseline, it gets the step size that suits **it** for fine-tuning, chosen on waves (seed 3) that are not
# used again. The paper does the same.

# %%
rates = {}
for shots in (5, 10):
    errors = {}
    for pretrained.inner_lr in (0.001, 0.002, 0.005, 0.01, 0.02, 0.03):
        result = mt.evaluate(pretrained, Sinusoids(shots, queries=100), steps=10, seed=3)
        errors[pretrained.inner_lr] = np.nan_to_num(result.mean[10], nan=np.inf)  # NaN: it blew up
    rates[shots] = min(errors, key=errors.get)
    listed = ", ".join(f"{rate}: {error:.2f}" for rate, error in errors.items())
    print(f"{shots:2d} shots, MSE after 10 steps by rate; best {rates[shots]}\n   {listed}")

# %% [markdown]
# ### 600 new waves
#
# All three networks adapt to the same 600 waves (seed 1, `evaluate`'s default), on 5 and on 10 support points. One wave on
# which the steps run away to infinity would be all that a mean says, so an error above 100 counts as 100. *Overshot* counts the
# waves whose error passes 25 after some step, twice the mean square of the highest wave.


# %%
def capped(result, most=100.0):
    """The same evaluation with errors above `most`, NaN among them, counted as `most`."""
    finite = np.nan_to_num(result.values, nan=most, posinf=most)
    return mt.Evaluation(result.metric, np.minimum(finite, most))


results = {}
for shots in (5, 10):
    pretrained.inner_lr, new_waves = rates[shots], Sinusoids(shots, queries=100)
    results[shots] = [
        capped(mt.evaluate(learner, new_waves, episodes=600, steps=10))
        for learner in (maml, maml_on_five, pretrained)
    ]

# %%
NAMES = ("MAML, trained on 10 shots", "MAML, trained on 5 shots", "pretrained")
PUBLISHED = {"MAML, published": (0.67, 0.38, 0.35), "pretrained, published": (2.41, 2.23, 2.19)}


def row(name, *cells):
    print(f"{name:<25}" + "".join(f"{cell:>13}" for cell in cells))


print(f"MSE on 600 new waves, mean ± 95 % confidence; trained for {ITERATIONS:,} iterations")
row("after inner steps", 0, 1, 5, 10, "10, median", "overshot")
for shots, evaluations in results.items():
    print(f"\n{shots} shots")
    for name, result in zip(NAMES, evaluations, strict=True):
        cells = [f"{result.mean[k]:.2f} ± {result.ci95[k]:.2f}" for k in (0, 1, 5, 10)]
        overshot = int(np.sum(result.values.max(axis=1) > 25))
        row(name, *cells, f"{np.median(result.values[:, 10]):.2f}", overshot)
    if shots == 5:
        for name, published in PUBLISHED.items():  # Finn et al. 2017, Table 2; without intervals
            row(name, "–", *published)

# %%
error_against_steps({shots: (maml10, pre) for shots, (maml10, _, pre) in results.items()})

# %% [markdown]
# Three things to read off. **Before** any step all are equal, within the intervals. **One** step, the only one MAML was trained
# for, does most of the work. And MAML was trained with one inner step but goes on improving when it is given ten: the median
# more than halves again. (An error just below 3.0 before any step does not contradict "no function can do better": that is the mean
# over *all* waves, and 600 of them leave some ± 0.2.)
#
# **Beside the paper.** At five shots our MAML is a little better than the published one after one step, and about as good after
# five and ten. (Where waves have overshot, mean and interval have grown with them; the median has not.) The pretrained
# network agrees with its published row within the intervals. Training on five shots, where the test has five, helps a
# little in the first step. The paper gives no intervals, and this is one seed: a difference of a few hundredths means nothing.
# `docs/results.md` of the repository has five seeds of each run, and of one with the original code's first weights. What changes
# from seed to seed is above all how many waves overshoot: none to eleven of 600.
#
# Your figures will not be ours to the last digit. Another processor adds in another order, and 70,000 iterations make of a
# different last bit a different θ, no better and no worse, but with other waves that overshoot.
#
# ### A few waves of 600
#
# At five shots MAML's mean is twice its median or more: a few bad waves make much of it. And on some, further steps do harm:

# %%
five = results[5][0].values  # (600, 11): tasks, inner steps
worst = np.sort(five[:, 10])[-60:]
share = worst.sum() / five[:, 10].sum()
print(f"the worst 60 of 600 waves make {share:.0%} of the error after ten steps")
print(f"worse after ten steps than after one: {np.sum(five[:, 10] > five[:, 1])} waves")
bad = int(np.argmax(five[:, 1:].max(axis=1) - five[:, 1]))
print(f"furthest astray goes wave {bad}, error after 0 to 10 steps:\n   ", np.round(five[bad], 1))

# %% [markdown]
# Is α = 0.01 beyond the limit $2/\lambda_{\max}$ of chapter 01 there? Let us measure $\alpha\lambda_{\max}$ along the way,
# $\varphi_0 = \theta, \varphi_1, \dots, \varphi_5$, with Hessian-vector products as in chapter 04: on 40 ordinary waves
# and on that one.


# %%
def largest_curvature(params, x, y, rounds=20):
    v = params
    for _ in range(rounds):  # power iteration, as in chapter 04
        hv = ref.hvp(lambda p: ref.mse(p, x, y), params, v)
        length = np.sqrt(sum(np.sum(part**2) for part in hv.values()))
        v = {name: part / length for name, part in hv.items()}
    return length


def curvature_on_the_way(x, y, steps=5, alpha=0.01):
    """αλmax of the support loss at φ₀, φ₁, …"""
    phi, found = maml.model.arrays(), []  # PyTorch's parameters in the layout of our dict
    for _ in range(steps + 1):
        found.append(alpha * largest_curvature(phi, x, y))
        phi = adapt(phi, x, y, alpha, 1)
    return np.array(found)


# %%
rng = np.random.default_rng(1)  # `evaluate` draws its 600 waves like this, 100 at a time
batches = [Sinusoids(5, queries=100).sample(rng, tasks=100) for _ in range(6)]
waves = [wave for drawn in batches for wave in drawn]  # (support x, support y, query x, query y)
assert np.isclose(loss(maml.model.arrays(), *waves[bad][2:]), five[bad, 0], rtol=1e-3)
ordinary = np.array([curvature_on_the_way(*waves[i][:2]) for i in range(40)])  # (40, 6)
print("αλmax after inner steps           ", *(f"{step:7d}" for step in range(6)))
print("median of 40 waves                ", *(f"{m:7.1f}" for m in np.median(ordinary, axis=0)))
print("share of them beyond the limit, 2 ", *(f"{s:7.0%}" for s in np.mean(ordinary > 2, axis=0)))
print(f"{f'wave {bad}':<34}", *(f"{value:7.1f}" for value in curvature_on_the_way(*waves[bad][:2])))

# %% [markdown]
# At θ most support sets of five are *beyond* the limit (after 2,000 iterations it would be one in five), and yet nine waves in
# ten get better by ten steps: the loss is not a quadratic. The long first step takes the network to a place where it is
# flatter, and from there on α is short enough for most. Nobody told MAML to do so. It was asked for a start from which *one*
# step goes far, and such a start is steep. On the wave that goes astray $\alpha\lambda_{\max}$ is above 2 for several
# steps, and it is there that the error grows.
#
# MAML shapes the curvature for *one* step on *ten* points; nothing promises that α is short enough on every five. One bad
# wave can carry a mean away, so look at single tasks, too.

# %% [markdown]
# ## Scrub the adaptation
#
# A new wave, its support points, and both networks. Slide through the inner steps, or drag the blue mark in the right panel. Then take
# other waves, and change the number of shots. What does MAML draw where there are *no* points? What happens with one shot?

# %%
scrub_adaptation(maml.model.arrays(), pretrained.model.arrays(), 0.01, pretrained_lr=rates)

# %% [markdown]
# ## What you should have seen
#
# - MAML is two loops: gradient descent on a task, inside gradient descent on how well that went. With a library that
#   differentiates, that is forty lines; the gradient through the inner step costs no line at all.
# - Before adapting, MAML's network is no better than the pretrained one, both near the error of the average wave (3.0).
# - After one step on ten points MAML's error is about a third, the pretrained network's still above 2.
# - The published table again, or a little better, after one step; after five and ten steps, too, but for waves that overshoot.
# - Trained with one inner step, MAML improves for ten. About one wave in ten ends worse than after the first step, and
#   on a few of 600, if any, the steps overshoot by far: there αλmax stays above 2.

# %% [markdown]
# ## Three questions
#
# **1.** Before any inner step, MAML's network is no better than the pretrained one. What does that say?
#
# <details><summary>A · That meta-training has not finished: a longer run would lower the error at 0 steps.</summary>
# No function of x alone can be below 3.0 on average over the waves, however long it trains. Nor does the meta-loss ask
# for it: θ itself is never judged.
# </details>
# <details><summary>B · Nothing bad: θ is judged only by what one step makes of it.</summary>
# Right. MAML's θ is a place to start from. At 0 steps it may even be worse than the pretrained network, and sometimes is.
# </details>
# <details><summary>C · That support and query sets were mixed up.</summary>
# With that bug the loss after adaptation would be misleading; the error at 0 steps would not change.
# </details>
#
# **2.** At which parameters is the outer gradient taken, and to which is it applied?
#
# <details><summary>A · Taken with respect to φ, applied to φ.</summary>
# Then θ would never move, or the last task's φ would become the next θ: fine-tuning, not meta-learning.
# </details>
# <details><summary>B · Taken with respect to φ, applied to θ.</summary>
# That is first-order MAML: the path from θ to φ is left out. It can work, but it is not this gradient (chapter 04).
# </details>
# <details><summary>C · Taken with respect to θ, through the inner step, and applied to θ.</summary>
# Right. The loss is evaluated at φ, but differentiated with respect to θ; φ is thrown away afterwards.
# </details>
#
# **3.** Somebody saves data by judging each φ on the very points it was adapted to (query set = support set).
# The meta-loss falls faster than ours. Is the result better?
#
# <details><summary>A · Yes: the meta-loss is what we minimise, and it is lower.</summary>
# It is another meta-loss: how well one step fits the points it has seen. New points of the wave are what we care about.
# </details>
# <details><summary>B · No: it is rewarded for fitting the seen points, not for getting the rest of the wave right.</summary>
# Right. The query set is what makes the outer loop look for generalisation, in training just as in a test.
# </details>
# <details><summary>C · It makes no difference, since both come from the same wave.</summary>
# The points come from the same wave, but a network can pass near five of them in many ways, and only the query set tells
# these apart.
# </details>

# %% [markdown]
# ## Summary
#
# 1. Inner loop, on the support set: $\varphi_i = \theta - \alpha\nabla_\theta L^{\text{support}}_i(\theta)$, once or more.
# 2. Meta-loss, on the query sets: $M(\theta) = \frac1n\sum_i L^{\text{query}}_i(\varphi_i)$.
# 3. Outer loop: $\theta \leftarrow \theta - \beta\,\nabla_\theta M(\theta)$ (or Adam), the gradient going through the inner steps.
# 4. Zero inner steps make it ordinary training on all tasks, which learns the average: $\min_f \mathbb E\,(f(x)-y)^2 \approx 3.0$ here.
# 5. Judge on new tasks, with $\text{mean} \pm 1.96\, s/\sqrt n$ over tasks, and look at the tasks behind the mean.

# %% [markdown]
# ## Further reading
#
# - Finn, Abbeel & Levine (2017), *Model-agnostic meta-learning for fast adaptation of deep networks*, arXiv 1703.03400:
#   Algorithm 1, the experiment (section 5.1), and Appendices B and C with the curves for 5, 10 and 20 shots and Table 2.
# - Antoniou, Edwards & Storkey (2019), *How to train your MAML*, arXiv 1810.09502: what is unstable about it,
#   among others one fixed inner rate for all parameters and steps, and what helps.
# - Finn & Levine (2018), *Meta-learning and universality*, arXiv 1710.11622: why a good starting point with gradient descent
#   can, in principle, express any way of learning from examples.
#
# **Now you:** the [exercises of this chapter](../exercises/07_maml_in_numpy.ipynb): inner loop, outer loop, more steps at test
# time, evaluation. **Next:** [08 · MAML in PyTorch](08_maml_in_pytorch.ipynb).
