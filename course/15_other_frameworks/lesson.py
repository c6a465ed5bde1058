# %% [markdown]
# # 15 · The same in other frameworks
#
# *Keras and JAX: the same meta-gradient?*
#
# **You will be able to**
#
# - read a stranger's MAML line by line, name what each line computes, and repair one fault at a time, with a number for each;
# - write the meta-gradient in TensorFlow, in Keras and in JAX, and see all of them agree with NumPy and PyTorch to
#   rounding error;
# - recognise the traps that each framework has, by the number or the message that they leave.
#
# **Needs** chapters [04](04_gradient_of_a_step.ipynb), [07](07_maml_in_numpy.ipynb) and [08](08_maml_in_pytorch.ipynb) ·
# **about 90 minutes**, 10 of them to play · CPU; no GPU, no download; TensorFlow and JAX are not needed

# %% [markdown]
# ## Predict
#
# A short article that many people meet when they first look for MAML ends with a class in Keras: a network of one layer, a method
# that computes gradients, and a method that updates. You will read the class in a moment. Bet first: asked for
# the gradients of twenty labelled pictures, what does it give?
#
# - (a) The meta-gradient: it is MAML.
# - (b) The first-order one.
# - (c) None: it stops with an error.
#
# <details><summary>Answer</summary>
#
# (c). It stops at its first gradient, with a `TypeError`. That is the least of its faults, because it is the only one that tells
# you. Behind it come six more, and none of them raises an error. With the first one repaired you have neither
# (a) nor (b), but one gradient step on a loss that nobody meant, whose result nobody uses.
#
# </details>

# %% [markdown]
# ## Cells that need a framework
#
# TensorFlow, Keras and JAX take about 2 GB of disk, so the course does not install them. A cell that needs one of them begins
# with `%%recorded`. If the framework is there, the cell runs as any other. If not, it shows what it printed when it was
# recorded, with versions and date. If you edit such a cell, it says that its record no longer fits; if you edit an *ordinary*
# cell, the records cannot know, and show the old results. Keras must run on TensorFlow, its default (`KERAS_BACKEND`). To run them all:
# `pip install "maml_edu[tensorflow,jax]"`, best in an environment of its own. All other cells run everywhere.

# %%
import maml_edu.recorded  # registers %%recorded

import numpy as np
import torch

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.figures import find_the_factor
from maml_edu.tasks import Glyphs, Sinusoids, TaskBatch

# %%
# %%recorded tensorflow backend
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no log lines of TensorFlow's C++ part
import tensorflow as tf

print("Keras runs on", tf.keras.config.backend())

# %% [markdown]
# ## Twenty pictures of noise
#
# The class wants pictures and classes. We give it the plainest there are: twenty pictures of noise, their five
# classes drawn at random. There is nothing in them to find, and much to memorise. Every model below begins at the same
# weights, `start`.


# %%
def noise(seed, darkest=0.0):
    """Pictures of noise (20, 28, 28), random one-hot classes (20, 5), and weights to start from."""
    rng = np.random.default_rng(seed)
    images = darkest + rng.uniform(size=(20, 28, 28))
    labels = np.eye(5)[rng.integers(5, size=20)]
    return images, labels, {"w": rng.normal(0, 1 / 28, (784, 5)), "b": np.zeros(5)}


images, labels, start = noise(seed=15)
print("images", images.shape, " labels", labels.shape, " in each class", labels.sum(0).astype(int))

# %% [markdown]
# ## The class
# Here it is, rewritten from the article's description: the same class, the same methods with the same arguments, the same faults,
# in our own lines. (The article is in Chinese; its code stands under 项目实践, *project practice*.
# `docs/seed_article.md` goes through all of its claims.)


# %%
# %%recorded tensorflow the_class
class MAML(tf.keras.Model):
    def __init__(self, num_classes):
        super().__init__()
        self.to_vector = tf.keras.layers.Flatten()
        self.classify = tf.keras.layers.Dense(num_classes, activation="softmax")

    def call(self, inputs, states):
        return self.classify(self.to_vector(inputs))

    def compute_gradients(self, inputs, targets):
        with tf.GradientTape() as record:
            error = tf.keras.losses.categorical_crossentropy(self(inputs), targets)
        return record.gradient(error, self.trainable_variables)

    def update(self, gradients):
        pairs = zip(self.trainable_variables, gradients, strict=True)
        return [variable - 0.01 * slope for variable, slope in pairs]


print("methods:", *(name for name in vars(MAML) if not name.startswith("_")))

# %% [markdown]
# **What is right comes first.** The article describes four steps: *initialise*, *update* by the feedback of a
# task, *evaluate*, and *adapt* the strategy. That is one iteration of MAML, in
# the right order. The code, too, gets much right:
#
# - It is a proper Keras model, and a tape takes the gradient of a loss with respect to its variables.
# - A softmax output goes with `categorical_crossentropy`, which expects probabilities unless told otherwise.
# - `update` does not overwrite the variables. It returns *new* values, $\theta - 0.01\,\nabla L$, through which a derivative can
#   lead back to θ. An inner step needs just that; suspects 3 and 9 of chapter 08 overwrite instead.
#
# Now run it.

# %%
# %%recorded tensorflow it_stops
x, y = tf.constant(images, tf.float32), tf.constant(labels, tf.float32)
try:
    MAML(num_classes=5).compute_gradients(x, y)
except TypeError as error:
    print("TypeError:", error)

# %% [markdown]
# ## Repair 1: an argument that nobody gives
#
# `call` demands `states`, uses it nowhere, and `self(inputs)` does not give it. A network needs its parameters and its input.
# Repairs 1 to 3 are classes, each of which changes one thing of the class before it; the later ones stand around the class.


# %%
# %%recorded tensorflow repair_states
class WithoutStates(MAML):
    def call(self, inputs, states=None):
        return super().call(inputs, states)


def fresh(kind):
    """A model of this class that begins at `start`."""
    model = kind(num_classes=5)
    model(x)  # Keras makes the variables when it sees the first input
    model.set_weights([start["w"], start["b"]])
    return model


slopes = fresh(WithoutStates).compute_gradients(x, y)
print("slopes", *(tuple(slope.shape) for slope in slopes))
print(f"length of the gradient {tf.linalg.global_norm(slopes):.3f}")

# %% [markdown]
# It runs. **What is it now?** The shapes are right, so look at the number. NumPy can tell us which gradient has this length. Below is
# the same network with two losses: cross-entropy, and what Keras makes of it when labels stand where it expects probabilities: it keeps them
# away from 0 and 1 by $10^{-7}$ before it takes their logarithm.


# %%
def logits(params, x):
    return np.reshape(x, (len(x), 784)) @ params["w"] + params["b"]  # (examples, 5)


def mean_loss(params, x, y):
    """Mean of −log softmax at the true class; y one-hot."""
    z = logits(params, x)
    return np.mean(ref.networks.logsumexp(z) - np.sum(y * z, axis=1))


def mean_swapped(params, x, y):
    """The same with truth and guess exchanged."""
    z = logits(params, x)
    guess = np.exp(z - ref.networks.logsumexp(z)[:, None])
    return np.mean(-np.sum(guess * np.log(np.clip(y, 1e-7, 1 - 1e-7)), axis=1))


# %%
def flat(slopes):
    """All slopes in one vector, from a dict or a list."""
    values = slopes.values() if isinstance(slopes, dict) else slopes
    return np.concatenate([np.ravel(value) for value in values])


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


vectors = {}
print(f"{'':20} mean loss   |gradient of the mean|   |gradient of the sum|")
for name, loss in (("truth, guess", mean_loss), ("guess, truth: swapped", mean_swapped)):
    value, slope = ref.value_and_grad(loss)(start, images, labels)
    vectors[name] = flat(slope)
    size = np.linalg.norm(vectors[name])
    print(f"{name:22} {value:7.3f} {size:17.3f} {20 * size:23.3f}")
print(f"cosine of the two directions: {cosine(*vectors.values()):.3f}")

# %% [markdown]
# There it is, last column, last row: the gradient of the *sum* of the losses with *swapped* arguments. Two faults, and
# 35 times the gradient that was meant.
#
# ## Repair 2: arguments the wrong way round
#
# `categorical_crossentropy` takes the truth first, then the guess. The wrong way round, the logarithm is taken of
# the labels, which are zeros and ones. Keras does not stop at $\log 0$: it takes $\log 10^{-7} = -16.1$. If the network
# gives the true class the probability $q$, then
#
# $$L_{\text{swapped}} = 16.1\,(1 - q) \qquad\text{where}\qquad L = -\log q \qquad\text{was meant.}$$
#
# Both are smallest at $q = 1$, so training on the wrong one can work; that is why nobody notices. The difference
# is at the other end. At $q \approx 0$, where the network is sure and wrong, $-\log q$ is steep. The swapped loss has come to rest
# there, because the softmax is flat: its slope with respect to the logit of the true class is $-16.1\,q(1-q)$; that of the right loss is $-(1-q)$
# (in Keras, if the softmax is its own: trap 4 of Keras).
# A finite-difference check finds nothing: the gradient is the right one of the wrong loss.
#
# ## Repair 3: a loss for every example
#
# `categorical_crossentropy` returns a vector, one loss for every example. What does a tape do with a vector? It differentiates the
# sum of its entries, without saying so. (PyTorch refuses: *grad can be implicitly created only for scalar outputs*.) So the
# step is twenty times too long for twenty pictures, and would be forty times for forty: a rate that depends on the
# number of shots ([chapter 10](10_few_shot_images.ipynb), *The trap of the summed loss*).


# %%
# %%recorded tensorflow repair_loss
class TruthFirst(WithoutStates):
    def losses_of(self, inputs, targets):
        return tf.keras.losses.categorical_crossentropy(targets, self(inputs))

    def compute_gradients(self, inputs, targets):
        with tf.GradientTape() as record:
            error = self.losses_of(inputs, targets)
        return record.gradient(error, self.trainable_variables)


class MeanLoss(TruthFirst):
    def losses_of(self, inputs, targets):
        return tf.reduce_mean(super().losses_of(inputs, targets))


for kind in (TruthFirst, MeanLoss):
    model = fresh(kind)
    length = tf.linalg.global_norm(model.compute_gradients(x, y))
    print(
        f"{kind.__name__:10} loss of shape {str(tuple(model.losses_of(x, y).shape)):5}  |gradient| {length:.3f}"
    )

# %% [markdown]
# Both lengths are in NumPy's first row. **What is it now?** The slope of the loss that was meant, at θ.
#
# ## Repair 4: an update that updates nothing
#
# `update` returns new values, and the class does nothing with them. By its name, it trains:

# %%
# %%recorded tensorflow repair_update
model = fresh(MeanLoss)
before = flat(model.get_weights())
for _ in range(50):
    model.update(model.compute_gradients(x, y))
same = np.array_equal(flat(model.get_weights()), before)
print(f"50 updates: loss {model.losses_of(x, y):.4f}, weights as before to the last bit: {same}")

for _ in range(50):
    values = model.update(model.compute_gradients(x, y))
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
hits = tf.reduce_sum(tf.cast(tf.argmax(model(x), 1) == tf.argmax(y, 1), tf.int32))
print(f"50 updates, each put to use: loss {model.losses_of(x, y):.4f}, {hits} of 20 right")

# %% [markdown]
# **What is it now?** With `assign`, gradient descent on one task, and nothing else. What were repairs 2 and 3
# worth? NumPy trains the same network, for three sets of pictures, 50 and 200 steps of 0.01:


# %%
def descend(loss, scale, darkest, seed, checkpoints=(50, 200)):
    """'mean loss / right of 20' after some numbers of steps of 0.01 · scale."""
    images, labels, params = noise(seed, darkest)
    texts = []
    for step in range(1, max(checkpoints) + 1):
        slope = ref.grad(loss)(params, images, labels)
        params = {name: params[name] - 0.01 * scale * slope[name] for name in params}
        if step in checkpoints:
            hits = np.sum(logits(params, images).argmax(1) == labels.argmax(1))
            texts.append(f"{mean_loss(params, images, labels):6.3f} / {hits:2}")
    return texts


programs = {
    "swapped, sum": (mean_swapped, 20, 0.0),
    "… pixels −½ to ½": (mean_swapped, 20, -0.5),
    "swapped, mean": (mean_swapped, 1, 0.0),
    "mean, 35 × rate": (mean_loss, 35, 0.0),
    "sum": (mean_loss, 20, 0.0),
    "mean": (mean_loss, 1, 0.0),
}
print("steps, seed:        50, 15      200, 15       50, 16      200, 16       50, 17      200, 17")
for name, program in programs.items():
    texts = [text for seed in (15, 16, 17) for text in descend(*program, seed)]
    print(f"{name:16}" + "".join(f"{text:>13}" for text in texts))

# %% [markdown]
# (The loss shown is always the right one.) The first row is what repair 1 alone would have given. Its steps are so long that the
# network becomes sure of wrong classes, and the swapped loss is flat there: most of the pictures are never learned. It takes both faults:
# with pixels from −½ to ½, or with the mean, the swapped loss fits all twenty in 200 steps; so does the right loss with a first step as long.
# And the sum is *quicker* than the mean here. The fault is not that its step is long, but
# that the length depends on how many examples there are, and that nobody chose it.
#
# ## Repair 5: a loss at the new values
#
# `update` returns $\varphi = \theta - 0.01\,\nabla L(\theta)$, and TensorFlow can differentiate through it: a second tape around both calls
# records how φ came from θ. But nobody ever runs the network *at* φ. A Keras model holds its variables and runs at these. To run it at other
# values, Keras 3 has `stateless_call(trainable, non_trainable, inputs)`, which returns the outputs and the new non-trainable values
# (PyTorch: `functional_call`). Below, one task and no query set yet: the loss after the step, on the same twenty pictures. Each gradient is
# compared with three from NumPy.


# %%
def candidates(batch):
    """NumPy's gradients for this batch: at θ, at φ (first-order), and at φ with the way through the step."""
    settings = (mean_loss, start, batch, 0.01)
    return {
        "plain": flat(ref.meta_gradient(*settings, inner_steps=0)[1]),
        "first-order": flat(ref.meta_gradient(*settings, 1, first_order=True)[1]),
        "MAML": flat(ref.meta_gradient(*settings, 1)[1]),
    }


def judge(name, slopes, batch):
    """Print how far a gradient is from each candidate, relative to the candidate's largest slope."""
    gaps = {
        who: np.abs(flat(slopes) - right).max() / np.abs(right).max()
        for who, right in candidates(batch).items()
    }
    print(f"{name:24}", *(f"{who} {gap:7.0e}  " for who, gap in gaps.items()))


own = TaskBatch(images[None], labels[None], images[None], labels[None])  # support = query
for who, right in candidates(own).items():
    print(f"{who:12} length {np.linalg.norm(right):.3f}")

# %%
# %%recorded tensorflow repair_stateless
model = fresh(MeanLoss)
theta = model.trainable_variables


def loss_at(model, values, inputs, targets):
    """The mean loss of the model at these values of its variables."""
    guess, _ = model.stateless_call(values, [], inputs)
    return tf.reduce_mean(tf.keras.losses.categorical_crossentropy(targets, guess))


with tf.GradientTape(persistent=True) as outer:
    phi = model.update(model.compute_gradients(x, y))
    not_used = model.losses_of(x, y)  # after the update, but at the model's own variables
    at_phi = loss_at(model, phi, x, y)
print("does model(x) depend on φ?", outer.gradient(not_used, phi)[0])
judge("loss of model(x), by θ", outer.gradient(not_used, theta), own)
judge("loss at φ, by φ", outer.gradient(at_phi, phi), own)
judge("loss at φ, by θ", outer.gradient(at_phi, theta), own)

# %% [markdown]
# Three gradients from one program, and NumPy tells which is which, by a factor of more than a million. (The 1e-07 are single precision, in which Keras
# computes unless told otherwise.)
#
# - **Loss of `model(x)`:** the update has left no trace, and differentiating by φ gives `None`. This is ordinary gradient descent, however often
#   `update` has been called.
# - **Loss at φ, by φ:** first-order MAML. A tape that is opened only *after* the step, and watches φ, would give this one.
# - **Loss at φ, by θ:** MAML's gradient, $(I - \alpha H)\,\nabla L(\varphi)$, of one task that is judged on what it has been fitted to.
#
# ## Repairs 6 and 7: other pictures, and other tasks
#
# A low loss on the pictures of the step is memory. The judgement needs a **query set**. And one task
# teaches one task: θ has to serve many, so the meta-loss is a mean over a batch of them. In noise there is nothing
# to carry over. We take four tasks of the course's invented characters (chapter 10): five characters, one picture of each in
# the support set, four in the query set. First NumPy: what would it cost to leave one of the three out?

# %%
glyphs = Glyphs(split="train", ways=5, shots=1, queries=4).sample(np.random.default_rng(15), 4)
support_y, query_y = np.eye(5)[glyphs.support_y], np.eye(5)[glyphs.query_y]
tasks = TaskBatch(glyphs.support_x, support_y, glyphs.query_x, query_y)
right = candidates(tasks)["MAML"]
incomplete = {
    "no query set": TaskBatch(glyphs.support_x, support_y, glyphs.support_x, support_y),
    "first task only": tasks.part(0, 1),
}
vectors = {name: candidates(batch)["MAML"] for name, batch in incomplete.items()}
vectors["not through the step"] = candidates(tasks)["first-order"]
for name, vector in vectors.items():
    size = np.linalg.norm(vector) / np.linalg.norm(right)
    print(
        f"{name:21} cosine with the meta-gradient {cosine(vector, right):.4f}   length {size:.3f}"
    )


# %%
# %%recorded tensorflow repair_tasks
def meta_gradient_of(model, batch):
    """(meta-loss, its gradient by the model's variables): one step per task, mean over tasks."""
    losses = []
    with tf.GradientTape() as outer:
        for support_x, support_y, query_x, query_y in batch.map(
            lambda a: tf.constant(a, tf.float32)
        ):
            phi = model.update(model.compute_gradients(support_x, support_y))
            losses.append(loss_at(model, phi, query_x, query_y))
        value = tf.reduce_mean(losses)
    return value, outer.gradient(value, model.trainable_variables)


model = fresh(MeanLoss)
value, slopes = meta_gradient_of(model, tasks)
print(f"meta-loss {value:.6f}; NumPy {ref.meta_loss(mean_loss, start, tasks, 0.01, 1):.6f}")
judge("four tasks", slopes, tasks)

optimiser = tf.keras.optimizers.SGD(0.05)
for iteration in range(1, 51):
    value, slopes = meta_gradient_of(model, tasks)
    optimiser.apply_gradients(zip(slopes, model.trainable_variables, strict=True))
    if iteration in (1, 50):
        print(f"outer step {iteration:2}: meta-loss {value:.4f}")

# %% [markdown]
# On these glyphs the way through the step is worth little: α is small for their curvature (chapter 04's $\alpha a$). A
# missing query set or three missing tasks turn the gradient by far more. On the noise above it was the other way
# round: first-order was apart by half. The loss of the last cell falls, but on the same four tasks fifty times. A real outer loop
# draws new ones, as further down.
#
# **What is it now?** Here is the whole way; the columns are what MAML needs:
#
# | after | right loss | step put to use | loss at φ | derivative through the step | query set | mean over tasks | θ moves | what it is |
# | --- | --- | --- | --- | --- | --- | --- | --- | --- |
# | nothing | | | | | | | | a program that stops |
# | repair 1, `states` | | | | | | | | the slope of another loss |
# | repairs 2 and 3, the loss | ✓ | | | | | | | the slope of the loss |
# | repair 4, `assign` | ✓ | ✓ | | | | | ✓ | gradient descent on one task |
# | repair 5, `stateless_call` | ✓ | ✓ | ✓ | | | | | first-order, one task, no query set |
# | … and the outer tape | ✓ | ✓ | ✓ | ✓ | | | | MAML's gradient, one task, no query set |
# | repair 6, query set | ✓ | ✓ | ✓ | ✓ | ✓ | | | MAML's gradient of one task |
# | repair 7, tasks and an optimiser | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | MAML with one inner step |
#
# (Repair 4's `assign` is not in the later rows: an inner step must *not* move θ.) One limit is left: `compute_gradients`
# takes the slope at the model's own variables, so there is no second inner step. For that the slope, too, has to be a function of
# the values, and the class becomes chapter 07.
#
# ## One problem for five frameworks
#
# From here on it is chapter 07's network, 1-40-40-1, on sine waves: four tasks, five support and ten query examples each, **three**
# inner steps with α = 0.01, all in float64 (seed 15). The same arrays go into every program. NumPy and PyTorch come from the library:

# %%
ALPHA, STEPS = 0.01, 3
theta_0 = ref.mlp_init(np.random.default_rng(15), scale=0.3)  # w1, b1, w2, b2, w3, b3
waves = Sinusoids(shots=5, queries=10).sample(np.random.default_rng(15), tasks=4)


def torch_loss(params, x, y):
    hidden = torch.relu(x @ params["w1"] + params["b1"])
    hidden = torch.relu(hidden @ params["w2"] + params["b2"])
    return ((hidden @ params["w3"] + params["b3"] - y) ** 2).mean()


numpy_value, numpy_slopes = ref.meta_gradient(ref.mse, theta_0, waves, ALPHA, STEPS)
tensors = {name: torch.tensor(value) for name, value in theta_0.items()}
torch_value, torch_slopes = mt.meta_gradient(
    torch_loss, tensors, waves.map(torch.tensor), ALPHA, STEPS
)


# %%
def apart(slopes, right=numpy_slopes):
    """Largest difference from NumPy's meta-gradient, relative to its largest slope."""
    if isinstance(slopes, dict):
        slopes = [slopes[name] for name in right]  # in the same order
    return np.abs(flat(slopes) - flat(right)).max() / np.abs(flat(right)).max()


first_order = ref.meta_gradient(ref.mse, theta_0, waves, ALPHA, STEPS, first_order=True)[1]
print(f"NumPy    meta-loss {numpy_value:.12f}")
print(f"PyTorch  meta-loss {torch_value:.12f}  apart by < 1e-12: {apart(torch_slopes) < 1e-12}")
print(f"first-order would be apart by {apart(first_order):.2f}")

# %% [markdown]
# ## TensorFlow: tapes in a tape
#
# Parameters are a dict of tensors, as in NumPy. A tape watches *variables* by itself and *tensors* only when told to: `watch`. Each inner step opens
# a tape of its own, inside the outer one; so the outer tape records how each slope was computed.


# %%
# %%recorded tensorflow tensorflow_adapt
def tf_loss(params, x, y):
    hidden = tf.nn.relu(x @ params["w1"] + params["b1"])
    hidden = tf.nn.relu(hidden @ params["w2"] + params["b2"])
    return tf.reduce_mean((hidden @ params["w3"] + params["b3"] - y) ** 2)


def tf_adapt(phi, x, y):
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            tape.watch(phi)
            value = tf_loss(phi, x, y)
        slope = tape.gradient(value, phi)
        phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
    return phi


tf_theta = {name: tf.constant(value) for name, value in theta_0.items()}
sx, sy, qx, qy = (tf.constant(array[0]) for array in waves.arrays)
before, after = tf_loss(tf_theta, qx, qy), tf_loss(tf_adapt(tf_theta, sx, sy), qx, qy)
print(f"query loss of the first wave {before:.4f}, after three steps {after:.4f}")


# %%
# %%recorded tensorflow tensorflow_meta_gradient
def tf_meta_gradient(theta, batch):
    with tf.GradientTape() as outer:
        outer.watch(theta)
        losses = [tf_loss(tf_adapt(theta, sx, sy), qx, qy) for sx, sy, qx, qy in batch]
        value = tf.reduce_mean(losses)
    return value, outer.gradient(value, theta)


tf_value, tf_slopes = tf_meta_gradient(tf_theta, waves.map(tf.constant))
print(f"meta-loss {tf_value:.12f}  apart by {apart(tf_slopes):.0e}")

# %% [markdown]
# ## Keras: the module's values from outside
#
# The same with a Keras model. `stateless_call` takes the values as a list, in the order of `trainable_variables`. Note `dtype="float64"` at every
# layer *and at the input*; you will see why.


# %%
# %%recorded tensorflow keras_loss
import keras


def network(dtype):
    """1-40-40-1, at theta_0."""
    layers = [keras.layers.Dense(40, "relu", dtype=dtype) for _ in range(2)]
    net = keras.Sequential(
        [keras.Input((1,), dtype=dtype), *layers, keras.layers.Dense(1, dtype=dtype)]
    )
    net.set_weights(list(theta_0.values()))
    return net


def keras_loss(net, values, x, y):
    guess, _ = net.stateless_call(values, [], x)
    return tf.reduce_mean((guess - y) ** 2)


net = network("float64")
print("variables:", *(tuple(variable.shape) for variable in net.trainable_variables))


# %%
# %%recorded tensorflow keras_maml
def keras_query_loss(net, phi, support_x, support_y, query_x, query_y, steps=STEPS):
    """Query loss of one task after `steps` recorded steps from phi."""
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(phi)
            value = keras_loss(net, phi, support_x, support_y)
        slopes = tape.gradient(value, phi)
        phi = [parameter - ALPHA * slope for parameter, slope in zip(phi, slopes, strict=True)]
    return keras_loss(net, phi, query_x, query_y)


def keras_meta_gradient(net, batch):
    theta = [variable.value for variable in net.trainable_variables]  # tf.Variables, no copies:
    with tf.GradientTape() as outer:  # it watches them by itself
        value = tf.reduce_mean([keras_query_loss(net, theta, *task) for task in batch])
    return value, outer.gradient(value, theta)


keras_value, keras_slopes = keras_meta_gradient(net, waves.map(tf.constant))
print(f"meta-loss {keras_value:.12f}  apart by {apart(keras_slopes):.0e}")

# %% [markdown]
# That is what the repairs lead to, for any number of steps. What is left is the outer loop. First in PyTorch, as
# in chapter 08: 200 iterations of 25 new waves, one inner step, plain gradient descent with β = 1/128, three seeds.


# %%
def train_torch(seed, optimiser=torch.optim.SGD, rate=1 / 128, iterations=200):
    """The meta-loss of every iteration, in float64."""
    rng = np.random.default_rng(seed)
    values = ref.mlp_init(rng, scale=0.3)
    theta = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
    outer, losses = optimiser(theta.values(), lr=rate), []
    for _ in range(iterations):
        batch = Sinusoids(shots=5, queries=10).sample(rng, 25).map(torch.tensor)
        value, slopes = mt.meta_gradient(torch_loss, theta, batch, ALPHA, 1)
        for name, parameter in theta.items():
            parameter.grad = slopes[name].detach()
        outer.step()
        losses.append(value.item())
    return np.array(losses)


torch_curves = {seed: train_torch(seed) for seed in (15, 16, 17)}
for seed, losses in torch_curves.items():
    print(f"seed {seed}: first 50 {losses[:50].mean():.3f}  last 50 {losses[-50:].mean():.3f}")

# %% [markdown]
# Now Keras, from the same parameters, on the same waves. `tf.function` traces the step once, into a graph; `tf.vectorized_map` runs all
# tasks at once, as `vmap` does.


# %%
# %%recorded tensorflow keras_training
def train_keras(seed, optimiser, iterations=200):
    net, rng = network("float64"), np.random.default_rng(seed)
    net.set_weights(list(ref.mlp_init(rng, scale=0.3).values()))
    optimiser.build(net.trainable_variables)

    @tf.function
    def outer_step(arrays):
        theta = [variable.value for variable in net.trainable_variables]
        with tf.GradientTape() as outer:
            task_loss = lambda task: keras_query_loss(net, theta, *task, steps=1)
            value = tf.reduce_mean(tf.vectorized_map(task_loss, arrays))
        optimiser.apply(outer.gradient(value, theta), net.trainable_variables)
        return value

    draw = lambda: Sinusoids(shots=5, queries=10).sample(rng, 25).map(tf.constant).arrays
    return np.array([float(outer_step(draw())) for _ in range(iterations)])


for seed, losses in torch_curves.items():
    gap = np.abs(train_keras(seed, keras.optimizers.SGD(1 / 128)) - losses).max()
    print(f"seed {seed}: Keras and PyTorch, largest difference in 200 meta-losses {gap:.0e}")

# %%
# %%recorded tensorflow keras_adam
wanted = train_torch(15, torch.optim.Adam, 0.005, 2)
_, gap = np.abs(train_keras(15, keras.optimizers.Adam(0.005), 2) - wanted)
fall = wanted[0] - wanted[1]
print(f"with Adam: difference after one outer step {gap:.0e}, {gap / fall:.0e} of the loss's fall")
print(f"Keras's 0.999 in float64: {float(keras.ops.cast(0.999, 'float64')):.10f}")
print("dtype of its learning rate:", keras.optimizers.SGD(1 / 128).learning_rate.dtype)

# %% [markdown]
# Two frameworks, 200 outer steps, the same curve to the last digits. With Adam that ends at the first step, although everything is
# said to be in float64. Keras makes its β₂ = 0.999 a float32 before it makes it a float64; so the bias correction $1 - \beta_2$ is
# off by 13 millionths, and the first step by half of that, much as the fall of the loss. (Its default ε differs, too.) The learning
# rate is kept in float32, which is why β is 1/128 here: that has no rounding error. For training this hardly matters; for a
# *comparison* take gradients, or plain gradient descent. The whole of it is `examples/keras_maml.py`, which you
# may copy.
#
# ## JAX: functions of functions
#
# JAX has no tapes. `jax.grad(f)` is the function that computes the gradient of `f` with respect to its first argument, and that
# function can be differentiated again: nothing has to be switched on. `vmap` and `jit` take functions too, and all three compose.
# Parameters may be any **pytree**, that is, dicts, lists and tuples of arrays, nested as you like; `jax.tree.map` does something to
# every leaf. First chapter 08's smallest example, $L = \tfrac12 \theta^2$ with θ = 2.5 and α = 0.4: the meta-gradient is 0.9, the
# first-order one 1.5.

# %%
# %%recorded jax grad_in_grad
import jax
import jax.numpy as jnp


def half_square(theta):
    return 0.5 * theta**2


def after_a_step(theta):
    return half_square(theta - 0.4 * jax.grad(half_square)(theta))


def after_a_constant_step(theta):
    return half_square(theta - 0.4 * jax.lax.stop_gradient(jax.grad(half_square)(theta)))


print(f"grad with grad inside   {jax.grad(after_a_step)(2.5):.2f}")
print(f"with stop_gradient      {jax.grad(after_a_constant_step)(2.5):.2f}")

# %% [markdown]
# Now MAML. `in_axes` says for every argument which axis counts the tasks: none for θ, which all tasks share, the first for the data.
# Like chapter 08's `functional` it takes each task's gradient, then the mean. `jit` runs the Python once, to see which operations it
# consists of, and compiles these.


# %%
# %%recorded jax jax_maml
def jax_loss(params, x, y):
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    hidden = jax.nn.relu(hidden @ params["w2"] + params["b2"])
    return jnp.mean((hidden @ params["w3"] + params["b3"] - y) ** 2)


def jax_query_loss(theta, support_x, support_y, query_x, query_y):
    phi = theta
    for _ in range(STEPS):
        slope = jax.grad(jax_loss)(phi, support_x, support_y)
        phi = jax.tree.map(lambda parameter, slope: parameter - ALPHA * slope, phi, slope)
    return jax_loss(phi, query_x, query_y)


@jax.jit
def jax_meta_gradient(theta, arrays):
    each = jax.vmap(jax.value_and_grad(jax_query_loss), in_axes=(None, 0, 0, 0, 0))
    values, slopes = each(theta, *arrays)
    return values.mean(), jax.tree.map(lambda slope: slope.mean(0), slopes)


value, slopes = jax_meta_gradient(theta_0, waves.arrays)
print(f"meta-loss {value:.12f}  {value.dtype}, though NumPy gave it float64")
print(f"apart by {apart(slopes):.0e}")

# %% [markdown]
# Single precision: JAX turns float64 into **float32** unless told otherwise, without a word. The switch for the whole
# program belongs at its beginning (`with jax.enable_x64(True):` is one for a part). The compiled step notices
# that its types have changed, and is compiled again.

# %%
# %%recorded jax jax_float64
jax.config.update("jax_enable_x64", True)
jax_value, jax_slopes = jax_meta_gradient(theta_0, waves.arrays)
print(f"meta-loss {jax_value:.12f}  {jax_value.dtype}")
print(f"apart by {apart(jax_slopes):.0e}")

# %% [markdown]
# ## Five frameworks, one meta-gradient
#
# Float64, four tasks, three inner steps; the largest difference over all parameters, relative to NumPy's largest slope.

# %%
# %%recorded tensorflow,jax the_table
rows = {
    "PyTorch (vmap of grad)": (torch_value, torch_slopes),
    "TensorFlow (nested tapes)": (tf_value, tf_slopes),
    "Keras (stateless_call)": (keras_value, keras_slopes),
    "JAX (vmap of grad, jit)": (jax_value, jax_slopes),
}
print(f"{'':27} meta-loss        apart by")
print(f"{'NumPy (reference)':27} {numpy_value:.12f}      –")
for name, (value, slopes) in rows.items():
    print(f"{name:27} {float(value):.12f}   {apart(slopes):.0e}")
by_position = apart(list(jax_slopes.values()))
print("JAX's dict:", *jax_slopes, f"  compared by position: apart by {by_position:.1f}")

# %% [markdown]
# All of them are right to the last of float64's sixteen digits; a wrong one, first-order, was apart by 0.54. `apart` compares by
# *name*: JAX has returned the dict sorted by key, `b1` before `w1`, because that is how it walks through pytrees. Line up the
# `values()` of two such dicts, and right looks wrong.
#
# What differs is the words:
#
# | | PyTorch | TensorFlow, Keras | JAX |
# | --- | --- | --- | --- |
# | gradient | `autograd.grad`, `func.grad` | `tape.gradient` | `jax.grad` |
# | … that can be differentiated again | `create_graph=True`; `func.grad`: always | tape inside a tape | always |
# | cut the way | `detach()` | `tf.stop_gradient` | `jax.lax.stop_gradient` |
# | run a model at other values | `functional_call` | `stateless_call` | a function of a pytree |
# | all tasks at once | `func.vmap` | `tf.vectorized_map` | `jax.vmap` |
# | compile | `torch.compile` | `tf.function` | `jax.jit` |
# | default type of a new network | float32 | float32 | float32, and of nearly everything else |
#
# JAX is the shortest, because MAML *is* a function of a function. Its price is paid at the first call, which compiles the step
# (time two calls of `jax_meta_gradient`). ([Chapter 09](09_fast_maml.ipynb) measures PyTorch.)
#
# ## Traps of TensorFlow
#
# Each trap leaves a number or a message, at one wave and one inner step.

# %%
# %%recorded tensorflow tensorflow_traps
with tf.GradientTape() as tape:
    tape.watch(tf_theta)
    value = tf_loss(tf_theta, sx, sy)
slope = tape.gradient(value, tf_theta)
try:
    tape.gradient(value, tf_theta)
except RuntimeError as error:
    print("1 a tape used twice:", error)

phi = {name: tf_theta[name] - ALPHA * slope[name] for name in slope}
with tf.GradientTape(persistent=True) as outer:
    outer.watch(tf_theta)
    late = tf_loss(phi, qx, qy)
    phi = {name: tf_theta[name] - ALPHA * slope[name] for name in slope}
    value = tf_loss(phi, qx, qy)
print("2 outer tape opened after φ:", outer.gradient(late, tf_theta)["w1"])
between = outer.gradient(value, tf_theta)

with tf.GradientTape(persistent=True) as tape:
    tape.watch(tf_theta)
    value = tf_loss(tf_theta, sx, sy)
slope = tape.gradient(value, tf_theta)
print("3 persistent, slope taken after it closed:", tape.gradient(slope["w1"], tf_theta)["w1"])

# %%
# %%recorded tensorflow tensorflow_assign
net = network("float64")
theta = [variable.value for variable in net.trainable_variables]
with tf.GradientTape() as outer:
    with tf.GradientTape() as tape:
        value = tf.reduce_mean((net(sx) - sy) ** 2)
    for variable, slope in zip(theta, tape.gradient(value, theta), strict=True):
        variable.assign_sub(ALPHA * slope)
    value = tf.reduce_mean((net(qx) - qy) ** 2)
slopes = outer.gradient(value, theta)
one = theta_0, waves.part(0, 1), ALPHA, 1
for name, first in (("the meta-gradient", False), ("first-order", True)):
    wanted = ref.meta_gradient(ref.mse, *one, first_order=first)[1]
    print(f"2 tape between slope and φ: apart from {name:17} by {apart(between, wanted):.0e}")
    print(f"4 assign inside:            apart from {name:17} by {apart(slopes, wanted):.0e}")

# %%
# %%recorded tensorflow tensorflow_traces
traces = []  # grows whenever the Python is run: append returns None, so that `or` goes on
scale = tf.function(lambda x, rate: traces.append(rate) or x * rate)
rates = 0.01, 0.02, 0.03
counts = []
for some in (rates, [tf.constant(rate, sx.dtype) for rate in rates]):
    traces.clear()
    for rate in some:
        scale(sx, rate)
    counts.append(len(traces))
print("5 traces for three rates: Python numbers {}, tensors {}".format(*counts))

# %% [markdown]
# - **1 and 3.** A tape can be used once. `persistent=True` keeps its record, but the *slope* is no part of it: it
#   was computed after the tape had closed, so its derivative is `None`. Take it inside a tape that is still open: nest.
# - **2.** An outer tape opened after φ sees it come out of nowhere. `None` is a good failure, because it can be seen: do not
#   replace it by zeros. Opened between the slope and φ, the tape knows the slope as a constant, and gives first-order without a word.
# - **4.** `assign` inside gives first-order MAML, with no error. The tape notes each reading of a variable; it does not know that the
#   second value was computed from the first.
# - **5.** `tf.function` traces again for every new Python `int` or `float` and for every new shape. Hand over what varies as a tensor: otherwise a
#   schedule for α compiles at every step.
#
# ## Traps of Keras

# %%
# %%recorded tensorflow keras_traps
layers = [
    keras.layers.Dense(n, a, dtype="float64") for n, a in ((40, "relu"), (40, "relu"), (1, None))
]
without = keras.Sequential([keras.Input((1,)), *layers])  # the input's dtype is left at its default
without.set_weights(list(theta_0.values()))
_, slopes = keras_meta_gradient(without, waves.map(tf.constant))
print(f"1 float64 at the layers alone: slopes {slopes[0].dtype.name}, apart by {apart(slopes):.0e}")
_, slopes = keras_meta_gradient(network(None), waves.map(tf.constant))
print(
    f"2 no dtype at all:               slopes {slopes[0].dtype.name}, apart by {apart(slopes):.0e}"
)

normed = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
values, state = normed.trainable_variables, normed.non_trainable_variables
_, new_state = normed.stateless_call(values, state, sx, training=True)
in_layer, returned = float(state[0].numpy()[0]), float(new_state[0][0])
print(f"3 batch norm's running mean: returned {returned:.4f}, in the layer afterwards {in_layer}")

# %%
# %%recorded tensorflow keras_softmax
sure, truth = tf.constant([[30.0, -30.0, 0.0]]), tf.constant([[0.0, 1.0, 0.0]])  # (1, classes)
for name, softmax in (("keras.ops.softmax", keras.ops.softmax), ("tf.nn.softmax", tf.nn.softmax)):
    with tf.GradientTape() as tape:
        tape.watch(sure)
        value = keras.losses.categorical_crossentropy(truth, softmax(sure))[0]
    slope = np.round(tape.gradient(value, sure)[0], 6)
    print(f"4 sure and wrong, {name:17}: loss {value:.3f}, slopes {slope}")

# %% [markdown]
# - **1.** All layers in float64, slopes in float64, and right to seven digits only: `keras.Input` had its default, so the data went
#   through float32 on the way in. A wrong algorithm would be apart by 0.5; an error near $10^{-7}$ mostly means single precision
#   *somewhere*. `keras.config.set_floatx("float64")` before anything is built sets inputs and layers (but not Adam's β₂).
# - **2.** Without any dtype everything is in float32, and float64 data are cast without a word.
# - **3.** `stateless_call` *returns* the new running mean and variance of a batch norm, and leaves the layer as it was. If you throw
#   them away, as `guess, _ =` does, the layer never learns them. (With several tasks, whose should it keep? [Chapter
#   10](10_few_shot_images.ipynb).)
# - **4.** Keras finds the logits behind a softmax of its own and computes the loss from these, steep as it should be. Behind TensorFlow's it has
#   only the probabilities, clipped at $10^{-7}$: where the network is sure and wrong, the right loss is flat, too.
#
# ## Traps of JAX

# %%
# %%recorded jax jax_traps
array = jnp.zeros(3)
try:
    array[0] = 1.0
except TypeError as error:
    print("1 in place:", str(error).split(" Instead")[0])
print("  instead:", array.at[0].set(1.0), " and the array itself is still", array)

try:
    jax.vmap(jax_query_loss)(theta_0, *waves.arrays)
except ValueError as error:
    print("2 no in_axes:", str(error).splitlines()[0])

shared, per_task = jnp.array([1.0, 10.0]), jnp.array([[1.0, 2.0], [3.0, 4.0]])
product = lambda theta, x: jnp.sum(theta * x)
print("  two numbers, two tasks, no in_axes:", jax.vmap(product)(shared, per_task))
print("  with in_axes=(None, 0):", jax.vmap(product, in_axes=(None, 0))(shared, per_task))

# %%
# %%recorded jax jax_traces
traces = []
double = jax.jit(lambda x: traces.append(x.shape) or 2 * x)
for count in (5, 5, 10, 5):
    double(jnp.ones(count))
print("3 traces for 5, 5, 10 and 5 examples:", len(traces))

phi = 2.5 - 0.4 * jax.grad(half_square)(2.5)
print("4 φ from outside grad:", jax.grad(lambda theta: half_square(phi))(2.5))


def doubles(params):
    params["w"] = 2 * params["w"]
    return params["w"]


params = {"w": jnp.array(3.0)}
for name, call in (("jit", jax.jit(doubles)), ("grad", jax.grad(doubles)), ("plain", doubles)):
    call(params)
    print(f"5 the caller's w after a {name:5} call: {params['w']}")

# %% [markdown]
# - **1.** Arrays are never changed in place: `x.at[i].set(v)` returns a new one.
# - **2.** Without `in_axes` everything is mapped, θ too. Usually the sizes disagree, and the message says so. If they happen to
#   agree, each task gets its own *slice* of θ, without an error: 3 and 70 instead of 21 and 43.
# - **3.** `jit` compiles once for each shape and type, and prints, counters and random numbers of NumPy run only while it does. What
#   changes from call to call must be an argument.
# - **4.** Where TensorFlow says `None`, JAX returns zeros: a φ from outside `grad`'s function is a constant, and nothing tells you.
# - **5.** A *dict* can be changed in place. `jit`, `grad` and `vmap` hand over a new dict, so the caller's θ stays; a plain call of the
#   same function changes it. Return a new dict.
#
# The whole of it, with an outer loop, is `examples/jax_maml.py`.
#
# ## Find the factor
#
# *10 minutes, to play.* Logistic regression with two parameters, and a program with five switches, each a fault of this chapter: a
# stopped gradient, support used as query, swapped arguments, a sum, a tape opened too late. On the right the words with which each
# framework makes that mistake. The blue arrow is minus the right meta-gradient, the other one minus that of the program with your
# switches. Switch *stop-gradient*, which is on at first, off, and try:
#
# 1. Switch on *sum* alone. What changes, the direction or only the length? Why?
# 2. *Stop-gradient* at α = 0, then with a growing α.
# 3. *Swapped arguments*, at the start and then with θ at the lower left, where the model is sure and wrong.
# 4. Choose a hidden program, and find its switches from the arrow. Look at the length first, then at the direction.
#
# <details><summary>Answers</summary>
#
# 1. Both. The outer sum makes the gradient three times as long, as there are three examples. The inner one makes α three times as
#    large, so φ is another place and the factor another matrix: at the start the arrow is 2.9 times as long and turned by 49°.
# 2. At α = 0 the arrows are the same, because the missing term is proportional to α. Then they part.
# 3. At the start the arrow is four times as long, and turned by 83°. In the lower left corner itself it has 0.08 of the right
#    length: there the swapped loss is flat, and the right one steep.
# 4. When your switches are the program's, the two arrows lie on each other. A *tape opened too late* hides everything else: there is no arrow.
#
# </details>

# %%
find_the_factor()

# %% [markdown]
# ## The trap: 2 GB to read one page
#
# A course that needs five frameworks breaks when any of them changes. So this chapter stores what its cells printed, with versions
# and a date, and a test runs all of them for real and compares. If you publish code for a framework that
# not all of your readers have, do likewise: an output without a version is a rumour.
#
# ## What you should have seen
#
# - The class stopped at `states`. That was the harmless fault; six others raised no error.
# - Behind the `TypeError` its gradient was 152.4 long instead of 4.35: the arguments swapped, the losses summed. Its
#   cosine with the right one was 0.71.
# - 50 updates changed no bit of the weights. Put to use, they were gradient descent on one task: all 20 pictures of noise learned, and nothing else.
# - The same update gave three gradients, depending on where the loss was taken and by what it was differentiated: plain, first-order,
#   MAML's; each equal to NumPy's in single precision.
# - Five frameworks, one meta-gradient, to $10^{-15}$; and 200 outer steps in Keras and PyTorch with the same losses.
# - The quiet failures: `assign` inside is first-order; one default float32 costs eight digits; a missing `in_axes` splits θ.
#
# ## Three questions
#
# **1.** In TensorFlow somebody computes φ with a persistent tape, closes it, opens a second tape, watches θ, and takes the query loss at φ. What does
# the second tape say about θ?
#
# - (a) The meta-gradient: the first tape was persistent.
# - (b) The first-order gradient.
# - (c) `None`.
#
# <details><summary>(a) The meta-gradient?</summary>
#
# No. Persistent means that the first tape can be asked more than once about what *it* saw. It does not hand its record to another tape.
#
# </details>
# <details><summary>(b) First-order?</summary>
#
# No. That would be the answer if the tape watched φ, or were open when φ is computed. It watches θ, and from θ to φ it has seen nothing at all, not even the straight
# way $\varphi = \theta - \text{constant}$.
#
# </details>
# <details><summary>(c) None?</summary>
#
# Yes. The outer tape must be open *before* the step, around the inner one.
#
# </details>
#
# **2.** Your Keras program's meta-gradient differs from the reference by $4\cdot10^{-8}$, relative to the largest slope. All of its
# layers are float64. What is wrong?
#
# - (a) The second order is missing.
# - (b) Something on the way is float32.
# - (c) Nothing: sums in another order round differently.
#
# <details><summary>(a) The second order is missing?</summary>
#
# Hardly. What it is worth depends on α and the curvature; here it was 0.54, on the glyphs 0.03. To be $10^{-8}$ it would need a tiny α.
#
# </details>
# <details><summary>(b) Something is float32?</summary>
#
# Yes: 24 bits are $6\cdot10^{-8}$. Here it was the input layer.
#
# </details>
# <details><summary>(c) Rounding in another order?</summary>
#
# No. In float64 that gives $4\cdot10^{-16}$, as in the table. Eight digits have to be lost somewhere.
#
# </details>
#
# **3.** `categorical_crossentropy(outputs, targets)` gives a loss that falls in training. A colleague concludes that the order of the
# arguments does not matter. What do you answer?
#
# - (a) It is symmetric, so it does not.
# - (b) It is another loss with the same minimum; its slope vanishes where the network is sure and wrong.
# - (c) A gradient check would have found it.
#
# <details><summary>(a) Symmetric?</summary>
#
# No: 13.1 one way and 1.8 the other, for the same twenty pictures.
#
# </details>
# <details><summary>(b) Another loss?</summary>
#
# Yes: $16.1\,(1 - q)$ in place of $-\log q$. With long steps it got stuck at 5, 7 and 7 of 20 pictures; with the mean it learned
# all of them. A falling loss says that *something* is being minimised.
#
# </details>
# <details><summary>(c) A gradient check?</summary>
#
# No. The gradient is exactly that of the swapped loss. What finds it is a *value* known beforehand: an untrained network with five
# classes has a loss near $\log 5 = 1.6$.
#
# </details>
#
# ## Summary
#
# 1. Run it at the new values: $\varphi = \theta - \alpha\nabla L_{\text{S}}(\theta)$ is worth nothing until $L_{\text{Q}}(\varphi)$
#    is computed: `stateless_call`, `functional_call`, a function of a pytree.
# 2. The meta-gradient, for one step, $g = \frac1n\sum_i (I - \alpha H_{\text{S},i}(\theta))\,\nabla L_{\text{Q},i}(\varphi_i)$, is
#    the same in all frameworks. In TensorFlow it needs a tape inside a tape, in JAX `grad` of a function with `grad` in it.
# 3. Cut ways: `assign`, or `stop_gradient` on the *slope*, give $\nabla L_{\text{Q}}(\varphi)$ with no error. If all of φ is cut off,
#    TensorFlow gives `None` and JAX zeros.
# 4. Check the loss before the gradient: truth first, one number, the mean; $-\log q$ and not $16.1\,(1-q)$.
# 5. Compare in float64, *all* of it: right means $10^{-15}$; $10^{-7}$ a float32 on the way; $10^{-2}$ or more another algorithm.
#
# ## Further reading
#
# - Keras documentation, [*The base Layer class*](https://keras.io/api/layers/base_layer/). `stateless_call` and the rest.
# - TensorFlow guide, [*Advanced automatic differentiation*](https://www.tensorflow.org/guide/advanced_autodiff). Nested and
#   persistent tapes, with the mistakes.
# - JAX documentation, [*The sharp bits*](https://docs.jax.dev/en/latest/notebooks/Common_Gotchas_in_JAX.html). In-place updates,
#   float32 and more.
# - Grefenstette et al. (2019), *Generalized Inner Loop Meta-Learning*, arXiv 1910.01727. What "run it at the new values" means for
#   any model and any inner optimiser.
#
# **Next:** [the exercises of this chapter](../exercises/15_other_frameworks.ipynb) (none of them needs TensorFlow or JAX), then
# [16 · Your own](16_your_own.ipynb) · back to [the map of the course](00_start_here.ipynb)
