# %% [markdown]
# # 04 · The gradient of a gradient step
#
# *What changes when you differentiate through an update?*
#
# **You will be able to**
#
# - write the derivative of a loss *after* a gradient step with respect to the parameters *before* it;
# - check such a derivative with finite differences, and with a program that differentiates itself;
# - say what first-order MAML leaves out, and when what is left points the wrong way.
#
# **Needs** [chapter 01](01_gradient_descent.ipynb) and the chain rule. **Takes** about 35 minutes. **CPU** is
# plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# A ball sits at $\theta$ on the parabola $L(\theta) = \tfrac12 a(\theta - c)^2$. One gradient step carries it to
# $\varphi = \theta - \alpha\,a(\theta - c)$. You may now move the **starting point** a little, and you want the loss
# **after** the step to fall.
#
# The slope at $\varphi$ says: *move left*. Does it follow that you should move $\theta$ to the left?
# Commit to an answer before you open this:
#
# <details><summary>Answer</summary>
#
# Only if the step was short. When $\alpha a > 1$ the step jumps over the minimum, so moving the start to the left
# moves the landing point to the **right**. The slope at $\varphi$ is right about $\varphi$; it says nothing about how
# $\varphi$ depends on $\theta$. This chapter is about that missing piece.
# </details>

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check_gradient
from maml_edu.figures import meta_loss_of_theta, show_source, two_arrows, two_curvatures

# %% [markdown]
# ## One step, by hand
#
# Everything MAML does is in this small example, so we do it slowly. The loss and its slope:

# %%
theta, c, a, alpha = 2.5, 0.0, 1.0, 0.4


def loss(theta, c=c, a=a):
    return 0.5 * a * (theta - c) ** 2


def slope(theta, c=c, a=a):
    return a * (theta - c)


phi = theta - alpha * slope(theta)
print(f"before the step: θ = {theta:.2f}, loss {loss(theta):.3f}")
print(f"after it:        φ = {phi:.2f}, loss {loss(phi):.3f}")

# %% [markdown]
# Now regard the loss after the step as a function of where we **started**:
# $\;M(\theta) = L(\varphi(\theta))$. This is a **meta-loss**: it does not ask *how good is θ*, but *how good is what
# learning makes of θ*. Its slope is the **meta-gradient**. By the chain rule it has two factors:
#
# $$\frac{dM}{d\theta} \;=\; \underbrace{\frac{d\varphi}{d\theta}}_{\text{how the landing point follows the start}}
# \cdot \underbrace{L'(\varphi)}_{\text{slope where we landed}}
# \;=\; (1 - \alpha a)\cdot a(\varphi - c).$$
#
# The first factor is the derivative *of the update itself*: $\varphi = \theta - \alpha L'(\theta)$, so
# $d\varphi/d\theta = 1 - \alpha L''(\theta)$. A gradient of a gradient step contains a **second derivative**.

# %%
meta_slope = (1 - alpha * a) * slope(phi)
print(f"slope where we landed, L'(φ):           {slope(phi):.3f}")
print(f"how φ follows θ, 1 − αa:                {1 - alpha * a:.3f}")
print(f"meta-gradient, their product:           {meta_slope:.3f}")

# %% [markdown]
# ### Do not believe it: measure it
#
# Move the start by a hair, step from there, and see how the loss after the step changes. No calculus needed:


# %%
def loss_after_step(theta):
    return loss(theta - alpha * slope(theta))


h = 1e-5
numeric = (loss_after_step(theta + h) - loss_after_step(theta - h)) / (2 * h)
print(f"finite difference: {numeric:.6f}   formula: {meta_slope:.6f}")

# %% [markdown]
# ## What first-order MAML leaves out
#
# The second derivative is the expensive part, and it is tempting to leave it out: take the slope at $\varphi$, and apply
# it to $\theta$ as if the two moved together. That is **first-order MAML** (FOMAML): it replaces $1 - \alpha a$ by $1$.
#
# | | formula | asks |
# | --- | --- | --- |
# | slope at θ | $a(\theta - c)$ | which way is downhill here? |
# | first-order | $a(\varphi - c)$ | which way is downhill where learning ended? |
# | meta-gradient | $(1 - \alpha a)\,a(\varphi - c)$ | which way should the *start* move, so that learning ends lower? |

# %%
for alpha_ in (0.1, 0.4, 1.0, 1.4):
    phi_ = theta - alpha_ * slope(theta)
    first_order = slope(phi_)
    full = (1 - alpha_ * a) * first_order
    print(
        f"α = {alpha_:.1f}: φ = {phi_:5.2f}   first-order {first_order:6.2f}   meta-gradient {full:6.2f}"
    )

# %% [markdown]
# Read the last two columns from top to bottom. For short steps they nearly agree. At $\alpha a = 1$ the step lands on the
# minimum whatever the start, and there is nothing left to improve. Beyond, **the signs differ**: first-order MAML would
# move the start *away* from where it should go.
#
# ## See it move
#
# Below the parabola are the directions in which a learner would push $\theta$ (minus the gradient). Move
# $\alpha$ slowly from 0.1 to 1.4 and watch the two arrows. Where do they part company? Then try to find a setting where
# the first-order arrow is *longer* than the other but points the same way.

# %%
two_arrows()

# %% [markdown]
# The same fact as a picture of the meta-loss: the meta-gradient is the slope of *this* curve, by construction. The
# first-order line is a slope of something else.

# %%
meta_loss_of_theta(alpha=1.4)

# %% [markdown]
# ## Let the program do it
#
# Nobody derives these factors by hand for a network. The library's reference code
# differentiates plain NumPy; and because its backward pass is plain NumPy as well, it can differentiate a function that
# contains a gradient step. Write the step, and ask for the gradient of what comes after:


# %%
def quadratic(theta):
    return 0.5 * a * (theta - c) ** 2


def after_one_step(theta):
    phi = theta - alpha * ref.grad(quadratic)(theta)  # a gradient inside …
    return quadratic(phi)


full = ref.grad(after_one_step)(theta)  # … and a gradient through it
print(f"grad of a grad: {full:.6f}   by hand: {meta_slope:.6f}")

# %% [markdown]
# And first-order MAML is one word away: tell the program that the inner slope is a constant.


# %%
def after_one_step_first_order(theta):
    phi = theta - alpha * ref.stop_gradient(ref.grad(quadratic)(theta))
    return quadratic(phi)


print(f"first-order: {ref.grad(after_one_step_first_order)(theta):.6f}   by hand: {slope(phi):.6f}")

# %% [markdown]
# `stop_gradient` here, `detach()` in PyTorch, a forgotten `create_graph=True`: they all do this. It is a common bug
# in home-made MAML code, and it lives long, because nothing crashes. Chapter 08 hunts it.
#
# Here is the whole inner loop and the meta-gradient of the library. Unfold them: they are what you just wrote, for a
# dict of parameters and any number of steps.

# %%
show_source(ref.adapt)

# %%
show_source(ref.meta_gradient)

# %% [markdown]
# ## From numbers to networks
#
# For many parameters $L''$ becomes the **Hessian** $H$, the matrix of second derivatives, and the factor becomes a matrix:
#
# $$\nabla_\theta\, L(\varphi) \;=\; \bigl(I - \alpha H(\theta)\bigr)\,\nabla L(\varphi).$$
#
# Along a direction in which the loss curves with $\lambda$ (an eigenvector of $H$), this is the example above with
# $a = \lambda$: the factor is $1 - \alpha\lambda$. A network has flat directions and steep ones *at the same time*, so
# first-order MAML can be right along some and wrong along others. Two tasks, one flat and one steep, and the same step:

# %%
two_curvatures(alpha=0.8)

# %% [markdown]
# A real network: one sine wave to learn from (support), more points of the same wave to be judged on (query), one
# inner step. First the check that matters, against finite differences. The seed is fixed (4) so that you see these numbers.

# %%
from maml_edu.tasks import Sinusoids

rng = np.random.default_rng(4)
params = ref.mlp_init(rng, (1, 40, 40, 1))  # {"w1": (1, 40), "b1": (40,), …}
batch = Sinusoids(shots=10).sample(rng, tasks=4)  # x and y: (tasks, 10, 1)


def meta_loss(theta):
    return ref.meta_loss(ref.mse, theta, batch, inner_lr=0.01, inner_steps=1)


def meta_gradient(theta):
    return ref.meta_gradient(ref.mse, theta, batch, inner_lr=0.01, inner_steps=1)[1]


check_gradient(meta_loss, meta_gradient, params, rtol=1e-3)  # ReLU has kinks: hence 1e-3

# %% [markdown]
# How steep is this network? Its largest curvature $\lambda_{\max}$ is the length that $H v$ ends with when one applies
# $H$ again and again (**power iteration**). `ref.hvp` gives $H v$ without ever forming $H$; chapter 05 (to come) is about how.


# %%
def flat(grads):
    return np.concatenate([g.ravel() for g in grads.values()])


def largest_curvature(x, y, rounds=20):
    v = params
    for _ in range(rounds):
        hv = ref.hvp(lambda p: ref.mse(p, x, y), params, v)
        length = np.linalg.norm(flat(hv))
        v = {name: part / length for name, part in hv.items()}
    return length


steepest = max(largest_curvature(x, y) for x, y, _, _ in batch)
print(f"λmax = {steepest:.0f}, so αλmax = 1 at α = {1 / steepest:.5f}")

# %% [markdown]
# So long before α = 0.01 the step overshoots along the steepest direction of this untrained network. Predict what that
# does to the angle between the first-order gradient and the meta-gradient; then look at the row where $\alpha\lambda_{\max}$
# passes 1:

# %%
for inner_lr in (0.00001, 0.0001, 0.0003, 0.001, 0.003, 0.01):
    full = flat(ref.meta_gradient(ref.mse, params, batch, inner_lr, 1)[1])
    first = flat(ref.meta_gradient(ref.mse, params, batch, inner_lr, 1, first_order=True)[1])
    cosine = full @ first / np.linalg.norm(full) / np.linalg.norm(first)
    print(f"α = {inner_lr:<7.5f}  αλmax = {inner_lr * steepest:5.2f}   cosine {cosine:6.3f}")

# %% [markdown]
# It is the parabola's sign flip, in 1,761 dimensions. How then can first-order MAML work at all, with α = 0.01 in the
# paper? It depends on where the network is. These weights were large (He's, of variance 2/inputs). PyTorch starts with smaller
# ones, uniform in $\pm 1/\sqrt{\text{inputs}}$; for the same tasks:

# %%
sizes = (1, 40, 40, 1)
for layer, inputs in enumerate(sizes[:-1], start=1):
    for name in (f"w{layer}", f"b{layer}"):
        params[name] = rng.uniform(-1, 1, params[name].shape) / np.sqrt(inputs)

steepest = max(largest_curvature(x, y) for x, y, _, _ in batch)
full = flat(ref.meta_gradient(ref.mse, params, batch, 0.01, 1)[1])
first = flat(ref.meta_gradient(ref.mse, params, batch, 0.01, 1, first_order=True)[1])
cosine = full @ first / np.linalg.norm(full) / np.linalg.norm(first)
print(f"α = 0.01     αλmax = {0.01 * steepest:5.2f}   cosine {cosine:6.3f}")

# %% [markdown]
# From here the two agree far better. And later? We meta-trained from both starts for 2,000 iterations with the full gradient
# (measured once, not in this notebook). Both ended with $\alpha\lambda_{\max}$ of about 2, and with a cosine between 0.5
# and 0.95, depending on the batch: then the sign is wrong along the steepest directions, but these are few. First-order MAML
# has an idea of the direction, and how good an idea changes during training. Measure it where you are.

# %% [markdown]
# ## What you should have seen
#
# - The meta-gradient is the slope where you landed *times* how the landing point follows the start, $1 - \alpha a$.
# - First-order MAML drops that factor. With $\alpha a \ll 1$ it hardly matters; with $\alpha a > 1$ the sign is wrong.
# - A program that can differentiate its own gradient gets the factor right without being told, and `stop_gradient`
#   (or a forgotten flag) silently drops it.
# - In a network the factor is a matrix, and the same happens direction by direction: where $\alpha\lambda_{\max}$ passes 1,
#   the angle between the two gradients opens up.

# %% [markdown]
# ## Three questions
#
# **1.** $a = 2$, $\alpha = 0.5$. What is the meta-gradient?
#
# <details><summary>A · It is largest, because the curvature is large.</summary>
# The slope grows with the curvature, but so does the correction 1 − αa, which is what decides here. Not this.
# </details>
# <details><summary>B · Zero, whatever θ is.</summary>
# Right. αa = 1: one step lands exactly on the minimum from anywhere, so no start is better than another.
# </details>
# <details><summary>C · Twice the slope at φ, because a = 2.</summary>
# The slope at φ is multiplied by how φ follows θ, 1 − αa, and that is 0 here, not 2.
# </details>
#
# **2.** Why does the meta-gradient contain a second derivative of the loss?
#
# <details><summary>A · Because two gradient steps are taken, an inner and an outer one.</summary>
# The outer step only uses the meta-gradient; it adds no derivative to it. Taking two ordinary steps one after the other
# involves first derivatives alone.
# </details>
# <details><summary>B · Because the update contains a first derivative, and we differentiate the update.</summary>
# Right: φ = θ − αL′(θ), so dφ/dθ = 1 − αL″(θ).
# </details>
# <details><summary>C · Because the loss is quadratic.</summary>
# For a quadratic the second derivative happens to be constant, which makes the example easy. It appears for every loss.
# </details>
#
# **3.** A colleague's MAML trains well. To show that it is second-order, she compares its gradient with finite
# differences at $\alpha = 10^{-9}$: they agree to five digits. What has she shown?
#
# <details><summary>A · That the gradient is the full one: finite differences do not lie.</summary>
# They do not, but with λmax near 2,000 as above, αH is about 2 · 10⁻⁶: the first-order gradient agrees to five digits as well.
# </details>
# <details><summary>B · Nothing about the second order: at so small an α both gradients are the same number.</summary>
# Right. What first-order leaves out is proportional to α. Make α large, and measure again.
# </details>
# <details><summary>C · That it is second-order, since a first-order MAML would not train well.</summary>
# First-order MAML trains too, often well. That something learns does not show that its gradient is right.
# </details>

# %% [markdown]
# ## Summary
#
# 1. One inner step: $\varphi = \theta - \alpha \nabla L(\theta)$.
# 2. Meta-loss: $M(\theta) = L(\varphi(\theta))$, the loss after learning as a function of where learning began.
# 3. Meta-gradient: $\nabla M = (I - \alpha H(\theta))\,\nabla L(\varphi)$; for a parabola $(1-\alpha a)\cdot a(\varphi - c)$.
# 4. First-order MAML: $\nabla M \approx \nabla L(\varphi)$; it points the wrong way along directions where $\alpha\lambda > 1$.
# 5. In code: `grad` of a function that calls `grad`. Check it against finite differences before you trust it.

# %% [markdown]
# ## Further reading
#
# - Finn, Abbeel & Levine (2017), *Model-agnostic meta-learning for fast adaptation of deep networks*, arXiv 1703.03400:
#   section 2.2 has the update, section 5.2 the first-order variant and the remark that it did nearly as well.
# - Nichol, Achiam & Schulman (2018), *On first-order meta-learning algorithms*, arXiv 1803.02999: a Taylor expansion that
#   says exactly which term first-order methods keep.
# - Pearlmutter (1994), *Fast exact multiplication by the Hessian*, Neural Computation 6: why $H v$ costs no more than
#   a gradient, so that $I - \alpha H$ never has to be formed.
#
# **Now you:** the [exercises of this chapter](../exercises/04_gradient_of_a_step.ipynb): the formula, its numerical twin,
# the sign flip, and the best place to start from. **Next:** chapters 05 and 06 are to come; go on with
# [07 · MAML in NumPy](07_maml_in_numpy.ipynb).
