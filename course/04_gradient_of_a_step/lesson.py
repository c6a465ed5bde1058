# %% [markdown]
# # 04 · The gradient of a gradient step
#
# *What changes when you differentiate through an update?*
#
# **You will be able to**
#
# - write the derivative of a loss *after* a gradient step with respect to the parameters *before* it, for one parameter and
#   for many;
# - check such a derivative with finite differences, and with a program that differentiates itself;
# - say what first-order MAML leaves out, when what is left points the wrong way, and measure it in a network.
#
# **Needs** [chapter 01](01_gradient_descent.ipynb) (curvature, eigenvectors, the factor $1-\alpha\lambda$) and the chain rule.
# **Takes** about 55 minutes, and 15 more for the part marked *further*. **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# A ball sits at $\theta$. It may take one gradient step on the parabola $L_{\text{S}}(\theta) = \tfrac12 a(\theta - c)^2$, which carries it to
# $\varphi = \theta - \alpha\,a(\theta - c)$. There it is judged by *another* loss, $L_{\text{Q}}(\varphi)$. You may now move the **starting
# point** a little, and you want the loss **after** the step to fall.
#
# The slope of $L_{\text{Q}}$ at $\varphi$ says: *move left*. Does it follow that you should move $\theta$ to the left?
# Commit to an answer before you open this:
#
# <details><summary>Answer</summary>
#
# Only if the step was short. When $\alpha a > 1$ the step jumps over the minimum $c$, so moving the start to the left
# moves the landing point to the **right**. The slope at $\varphi$ is right about $\varphi$; it says nothing about how
# $\varphi$ depends on $\theta$. This chapter is about that missing piece.
# </details>

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check_gradient
from maml_edu.figures import meta_loss_of_theta, show_source, two_arrows, two_curvatures, two_tasks

# %% [markdown]
# ## One step, by hand
#
# A **task** hands out a few examples to learn from, its **support set**, and keeps others to judge by, its **query set**.
# Each set has its own loss: $L_{\text{S}}$ on the support set, which the step descends, and $L_{\text{Q}}$ on the query set, the one
# that counts. They resemble each other because they come from the same task, but they are not the same: the few support
# examples give a poor idea of the task. Here both are parabolas, with curvatures $a$ and $b$ and minima $c$ and $d$.

# %%
theta, alpha = 2.5, 0.4
a, c = 1.0, 0.0  # support: curvature and minimum
b, d = 0.8, 0.6  # query: curvature and minimum


def support_slope(theta):
    return a * (theta - c)


def query_loss(theta):
    return 0.5 * b * (theta - d) ** 2


def query_slope(theta):
    return b * (theta - d)


phi = theta - alpha * support_slope(theta)
print(f"before the step: θ = {theta:.2f}, query loss {query_loss(theta):.3f}")
print(f"after it:        φ = {phi:.2f}, query loss {query_loss(phi):.3f}")

# %% [markdown]
# Now regard the query loss after the step as a function of where we **started**:
# $\;M(\theta) = L_{\text{Q}}(\varphi(\theta))$. This is a **meta-loss**: it does not ask *how good is θ*, but *how good is what
# learning makes of θ*. Its slope is the **meta-gradient**. By the chain rule it has two factors:
#
# $$\frac{dM}{d\theta} \;=\; \underbrace{\frac{d\varphi}{d\theta}}_{\text{how the landing point follows the start}}
# \cdot \underbrace{L_{\text{Q}}'(\varphi)}_{\text{query slope where we landed}}
# \;=\; (1 - \alpha a)\cdot b(\varphi - d).$$
#
# The first factor is the derivative *of the update itself*: $\varphi = \theta - \alpha L_{\text{S}}'(\theta)$, so
# $d\varphi/d\theta = 1 - \alpha L_{\text{S}}''(\theta)$. A gradient of a gradient step contains a **second derivative**, and it is one of the
# **support** loss, at θ. The other factor is a first derivative of the **query** loss, at φ.

# %%
meta_slope = (1 - alpha * a) * query_slope(phi)
print(f"query slope where we landed:    {query_slope(phi):.3f}")
print(f"how φ follows θ, 1 − αa:        {1 - alpha * a:.3f}")
print(f"meta-gradient, their product:   {meta_slope:.3f}")

# %% [markdown]
# You know the factor $1 - \alpha a$: in [chapter 01](01_gradient_descent.ipynb) it multiplied the distance to the minimum in
# each step. It is the same number in both places, because the step treats a *difference* between two starts as it treats the
# distance to $c$.
#
# That was one task. With several tasks the meta-loss is the **mean** of their query losses after the step, and so its gradient is
# the mean of their meta-gradients.
#
# ### Do not believe it: measure it
#
# Move the start by a hair, step from there, and see how the loss after the step changes. No calculus needed:


# %%
def loss_after_step(theta):
    return query_loss(theta - alpha * support_slope(theta))


h = 1e-5
numeric = (loss_after_step(theta + h) - loss_after_step(theta - h)) / (2 * h)
print(f"finite difference: {numeric:.6f}   formula: {meta_slope:.6f}")

# %% [markdown]
# ## What first-order MAML leaves out
#
# The term with the second derivative, the **second order**, has a price. (In a network it is a product of the Hessian $H$ with a
# vector, and costs about as much arithmetic as two gradients; chapter 05 counts.) So it is tempting to leave it out: take the query
# slope at $\varphi$, and apply it to $\theta$ as if the two moved together. That is **first-order MAML** (FOMAML): it replaces
# $1 - \alpha a$ by $1$.
#
# | | formula | asks |
# | --- | --- | --- |
# | query slope at θ | $b(\theta - d)$ | which way is downhill here? |
# | first-order | $b(\varphi - d)$ | which way is downhill where learning ended? |
# | meta-gradient | $(1 - \alpha a)\,b(\varphi - d)$ | which way should the *start* move, so that learning ends lower? |
#
# The same start and the same step size, on support parabolas of different curvature:

# %%
for a_ in (-1.0, 0.0, 1.0, 2.5, 4.0, 6.0):
    factor = 1 - alpha * a_
    phi_ = theta - alpha * a_ * (theta - c)
    first_order = query_slope(phi_)
    full = factor * first_order + 0.0  # + 0.0 turns −0 into 0
    print(
        f"αa = {alpha * a_:4.1f}   1 − αa = {factor:4.1f}   φ = {phi_:4.1f}   "
        f"first-order {first_order:5.2f}   meta-gradient {full:5.2f}"
    )

# %% [markdown]
# Compare the last two columns row by row. The curvature may be **negative**, too: then the parabola is upside down, $c$ is
# its top, and the step runs away from it. Networks have such directions, as you will see below.
#
# | αa | factor $1-\alpha a$ | the first-order gradient points … | the inner step (chapter 01) |
# | --- | --- | --- | --- |
# | below 0 | above 1 | the right way, and is too **short** | runs away from a maximum |
# | 0 | 1 | right, it *is* the meta-gradient | goes nowhere |
# | 0 to 1 | 1 to 0 | the right way, and is too long | approaches $c$ from one side |
# | 1 | 0 | somewhere, though no start is better than another | lands on $c$ from anywhere |
# | 1 to 2 | 0 to −1 | the **wrong way** | jumps over $c$ and **still converges** |
# | 2 | −1 | the **wrong way**, and is as long | jumps to and fro for ever |
# | above 2 | below −1 | the **wrong way**, and is too short | jumps over $c$ and blows up |
#
# The fifth row is the treacherous one. The inner loop looks perfectly healthy, and the first-order gradient moves the start
# away from where it should go.
#
# ## See it move
#
# Below the parabolas are the directions in which a learner would push $\theta$ (minus the gradient). Three things to find:
#
# 1. Set $d = -2$, so that φ stays on one side of it. Move $\alpha$ slowly from 0.1 to 1.5. At which $\alpha$ do the two arrows part
#    company? Then do the same with $d = 0.6$. What happens on the way that did not happen before?
# 2. Find a setting in which the first-order arrow is **shorter** than the other. There are two quite different ones.
# 3. Set $\alpha = 0.4$, $a = 1$, $d = 0.6$. Drag θ until **both** arrows vanish. It happens at neither minimum. Why there?

# %%
two_arrows()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. At $\alpha a = 1$. There the step lands on $c$ whatever the start, so the meta-gradient is 0, and beyond it the signs differ.
#    With $d = 0.6$ something else comes first: between $\alpha = 0.75$ and 0.80 (at 0.76, from $\theta = 2.5$ with $a = 1$) the step
#    lands on $d$, where **both** gradients are 0, and beyond it both have changed sign. They still agree. They part at
#    $\alpha = 1$ again; just before it the meta-arrow is too short to see.
# 2. The meta-gradient is $1 - \alpha a$ times the first-order one, so it is the longer one where $|1 - \alpha a| > 1$: for $\alpha a > 2$ (the
#    arrows point opposite ways), and for negative $a$ (they point the same way).
# 3. At θ = 1. Both arrows contain the query slope at φ, and the step from 1 lands on $\varphi = d = 0.6$, the query's minimum. In
#    general this start has $\theta - c = (d - c)/(1 - \alpha a)$. For $0 < \alpha a < 1$ it lies *beyond* $d$, because the step will
#    pull it back; for $a < 0$ short of $d$; for $\alpha a > 1$ on the far side of $c$; at $\alpha a = 1$ there is none. A good start
#    for learning is in general the minimum of neither loss.
# </details>
#
# The same as a picture of the meta-loss: the meta-gradient is the slope of *this* curve, by construction. The first-order
# line is the slope of something else.

# %%
meta_loss_of_theta(alpha=1.4)

# %% [markdown]
# ## Let the program do it
#
# For a network one lets a program find these factors. The library's reference code differentiates plain NumPy. What it does to
# find a derivative is itself made of operations that it can differentiate. So it can differentiate a function that contains a gradient step. Write the step, and ask for the gradient of
# what comes after:


# %%
def support_loss(theta):
    return 0.5 * a * (theta - c) ** 2


def after_one_step(theta):
    phi = theta - alpha * ref.grad(support_loss)(theta)  # a gradient inside …
    return query_loss(phi)


full = ref.grad(after_one_step)(theta)  # … and a gradient through it
print(f"grad of a grad: {full:.6f}   by hand: {meta_slope:.6f}")

# %% [markdown]
# And first-order MAML is one word away: tell the program that the inner slope is a constant.


# %%
def after_one_step_first_order(theta):
    phi = theta - alpha * ref.stop_gradient(ref.grad(support_loss)(theta))
    return query_loss(phi)


first = ref.grad(after_one_step_first_order)(theta)
print(f"first-order: {first:.6f}   by hand: {query_slope(phi):.6f}")

# %% [markdown]
# In PyTorch (chapter 08) the same is done by a call named `detach()`, or by an option named `create_graph` that was forgotten.
# Doing so by accident is a common bug in home-made MAML code, and it lives long, because nothing crashes.
#
# Here are the library's inner loop and its meta-loss. Unfold them: they are what you just wrote, for a dict of parameters,
# any number of steps, and a mean over tasks. (Its "Algorithm 1" is the one in the MAML paper.) The meta-gradient is the gradient
# of this meta-loss, found as above.

# %%
show_source(ref.adapt)

# %%
show_source(ref.meta_loss)

# %% [markdown]
# ## From one number to many
#
# With $n$ parameters the step is $\varphi_i = \theta_i - \alpha\,\partial L_{\text{S}}/\partial\theta_i$. Differentiate it with respect to $\theta_j$:
#
# $$\frac{\partial\varphi_i}{\partial\theta_j} = \delta_{ij} - \alpha\,\frac{\partial^2 L_{\text{S}}}{\partial\theta_i\,\partial\theta_j}
# \qquad\text{so}\qquad \frac{\partial\varphi}{\partial\theta} = I - \alpha H_{\text{S}}(\theta),$$
#
# where $\delta_{ij}$, an entry of the identity matrix $I$, is 1 for $i = j$ and else 0, and $H_{\text{S}}$ is the **Hessian** of the
# support loss, the matrix of its second derivatives.
# Now the chain rule. $\theta_j$ acts on the query loss through every $\varphi_i$:
#
# $$\frac{\partial M}{\partial\theta_j} = \sum_i \frac{\partial\varphi_i}{\partial\theta_j}\,\frac{\partial L_{\text{Q}}}{\partial\varphi_i}
# \qquad\text{that is}\qquad \nabla_\theta\, L_{\text{Q}}(\varphi) = \bigl(I - \alpha H_{\text{S}}(\theta)\bigr)^{\!\top}\,\nabla L_{\text{Q}}(\varphi).$$
#
# The order of two derivatives does not matter, so $H_{\text{S}}$ is symmetric and the transpose may go:
#
# $$\boxed{\;\nabla_\theta\, L_{\text{Q}}(\varphi) = \bigl(I - \alpha H_{\text{S}}(\theta)\bigr)\,\nabla L_{\text{Q}}(\varphi)\;}$$
#
# With $K$ inner steps, $\varphi_{k+1} = \varphi_k - \alpha\nabla L_{\text{S}}(\varphi_k)$ from $\varphi_0 = \theta$, there is one factor per step, each
# with the Hessian at its own $\varphi_k$:
#
# $$\nabla_\theta\, L_{\text{Q}}(\varphi_K) = \bigl(I - \alpha H_{\text{S}}(\varphi_0)\bigr)\bigl(I - \alpha H_{\text{S}}(\varphi_1)\bigr)\cdots
# \bigl(I - \alpha H_{\text{S}}(\varphi_{K-1})\bigr)\,\nabla L_{\text{Q}}(\varphi_K).$$
#
# [Chapter 06](06_many_inner_steps.ipynb) is about this product; here $K = 1$. Check the formula with two parameters. `ref.jacobian` gives the matrix of all $\partial\varphi_i/\partial\theta_j$:

# %%
# the determinant of H_S is below 0: its curvatures have different signs, and the formula holds all the same
H_S, c2 = np.array([[1.5, 0.8], [0.8, 0.4]]), np.array([0.5, -1.0])
H_Q, d2 = np.array([[1.0, 0.3], [0.3, 0.6]]), np.array([1.0, -0.5])


def step(theta):
    return theta - alpha * (H_S @ (theta - c2))


def query_bowl(theta):
    return (theta - d2) @ H_Q @ (theta - d2) / 2


start = np.array([2.0, 1.0])
gradient = (np.eye(2) - alpha * H_S) @ H_Q @ (step(start) - d2)
print("∂φ/∂θ:  ", np.round(ref.jacobian(step)(start), 6).tolist())
print("I − αH: ", np.round(np.eye(2) - alpha * H_S, 6).tolist())
print("formula:", gradient, "  program:", ref.grad(lambda theta: query_bowl(step(theta)))(start))

# %% [markdown]
# ### What $I - \alpha H$ does to a vector
#
# Take an eigenvector $v$ of $H_{\text{S}}$ with curvature $\lambda$. Then $(I - \alpha H_{\text{S}})v = (1 - \alpha\lambda)\,v$: **along each eigenvector it is the
# one-dimensional example**, with $a = \lambda$. Any other vector is a sum of eigenvectors; each part is shrunk, reversed or
# stretched by its own factor, and the sum comes out *rotated*. A network has flat directions and steep ones at the same time,
# so first-order MAML can be right along some and wrong along others. A flat and a steep direction, with the same α:

# %%
two_curvatures(alpha=0.8)

# %% [markdown]
# And now two parameters and two tasks, each with a support bowl and a query bowl. Drag θ. The landing points φ follow, each in
# its own way. The arrows at θ are the mean pushes of both tasks. On the right is what $I - \alpha H_{\text{S}}$ of task 1
# does to all vectors of length 1: the circle becomes an ellipse, and the two eigenvectors become the lines in it. One of these
# vectors has an arrow, and so has what becomes of it: the first-order push of task 1 alone, scaled to length 1. The support loss
# of task 1 has the curvature $\lambda_1 = 0.2$ along its flat direction and $\lambda_2 = 1.6$ along its steep one.
#
# 1. Drag θ along the steep direction of task 1. Which way does its φ go? Try it with α = 0.3 and with α = 1.
# 2. Find the place where the meta-gradient vanishes, with α = 0.3 and with α = 1. Is the first-order arrow gone as well?
# 3. Find an α at which the ellipse has collapsed into a line. What does that mean for the start?
# 4. Make the steep curvature λ₂ of task 1 negative. What happens to the circle?

# %%
two_tasks()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. With α = 0.3 it follows θ, about half as fast: the factor is 1 − 0.3 · 1.6 = 0.52. With α = 1 the factor is −0.6, and it goes
#    the other way.
# 2. Near (−0.12, −0.16) and near (−0.74, 0.17). At the first point the first-order arrow is nearly gone, too: 0.07 long. At the
#    second it is 0.33 long, and first-order MAML would leave MAML's best start. With several tasks the two have different
#    resting places because each task's pull is multiplied by a factor of its own.
# 3. At α = 0.625 = 1/λ₂. However you move the start along the steep direction, φ of task 1 stays where it is.
# 4. It is stretched along that direction: the factor 1 − αλ₂ is above 1, and the meta-gradient is longer than the first-order
#    one there.
# </details>
#
# So how wrong is first order when there are many directions? Write $g = \nabla L_{\text{Q}}(\varphi)$ for the **query gradient** of one
# task. The step $\theta - \varepsilon g$ with a small $\varepsilon$ changes the meta-loss by about its gradient times the displacement
# $-\varepsilon g$, that is, by $-\varepsilon\,g^\top(I - \alpha H_{\text{S}})\,g$. So the first-order step makes the meta-loss **worse** when
#
# $$\alpha\,\frac{g^\top H_{\text{S}}\,g}{g^\top g} > 1 .$$
#
# Along a vector $u$ of length 1 the second derivative is $u^\top H u$. So the quotient is the curvature **along the query
# gradient**, and it decides, not the largest curvature. A single steep direction does no harm if $g$ has little to do with it.
#
# For a batch of tasks, write $F$ for the mean of the first-order gradients and $G$ for the mean of the meta-gradients. The
# first-order step $\theta - \varepsilon F$ now changes the meta-loss by about $-\varepsilon\,F^\top G$. What takes the place of
# the quotient is
#
# $$q = 1 - \frac{F^\top G}{F^\top F}, \qquad\text{for one task the same as}\qquad \alpha\,\frac{g^\top H_{\text{S}}\,g}{g^\top g},$$
#
# and again the first-order step does harm when $q > 1$. It needs no Hessian: only the two gradients.

# %% [markdown]
# ## A real network
#
# Four sine waves; from each, ten points to learn from (support) and ten more to be judged by (query); one inner step. The network
# has two hidden layers of 40 units, each with a **ReLU**, $\max(0, x)$. Its weights are drawn as for **He initialisation**: normal,
# of variance 2/inputs. First the check that matters, against finite differences. The seed is fixed (4) so that you see these numbers.

# %%
from maml_edu.tasks import Sinusoids

rng = np.random.default_rng(4)
tasks = Sinusoids(shots=10)
he_start = ref.mlp_init(rng, (1, 40, 40, 1))  # {"w1": (1, 40), "b1": (40,), …}
batch = tasks.sample(rng, tasks=4)  # x and y: (tasks, 10, 1)


def meta_loss(theta):
    return ref.meta_loss(ref.mse, theta, batch, inner_lr=0.01, inner_steps=1)


def meta_gradient(theta):
    _, gradient = ref.meta_gradient(ref.mse, theta, batch, inner_lr=0.01, inner_steps=1)
    return gradient  # the other part of the pair is the meta-loss


# rtol is the difference allowed (ReLU has kinks: hence 1e-3); the check prints a bound on the one found
check_gradient(meta_loss, meta_gradient, he_start, rtol=1e-3)

# %% [markdown]
# How steep is this network? `steepest` finds its curvature of largest size with nothing but products of $H$ with vectors
# (`ref.hvp`). How that works is the subject of [chapter 05](05_hessians.ipynb).


# %%
def flat(params):
    return np.concatenate([part.ravel() for part in params.values()])


def steepest(params, x, y, shift=0.0, rounds=30):
    """The curvature λ of the support loss that is farthest from `shift`."""
    v = params  # any start that is not 0 will do
    for _ in range(rounds):
        length = np.linalg.norm(flat(v))
        v = {name: part / length for name, part in v.items()}
        hv = ref.hvp(lambda p: ref.mse(p, x, y), params, v)
        curvature = flat(v) @ flat(hv)  # along v
        v = {name: hv[name] - shift * v[name] for name in v}
    return curvature


tops = np.array([steepest(he_start, x, y) for x, y, _, _ in batch])
lambda_max = max(tops)
print("steepest curvature of each task:", np.round(tops).astype(int))
print(f"λmax = {lambda_max:.0f}, so αλmax = 1 at α = {1 / lambda_max:.5f}")

# %% [markdown]
# The step overshoots along the steepest direction of this untrained network long before α = 0.01. What does that do to the angle
# between the first-order gradient $F$ and the meta-gradient $G$? Its **cosine**, $F^\top G$ divided by the lengths of both, is 1 if
# they point the same way, 0 if they are perpendicular, and −1 if they point opposite ways. Predict: at α = 0.0005,
# $\alpha\lambda_{\max}$ is 1.09. Is the cosine already negative? Guess the $\alpha\lambda_{\max}$ at which its sign changes.


# %%
def both(params, batch, inner_lr):
    """(F, G): the first-order gradient and the meta-gradient of a batch."""
    _, first = ref.meta_gradient(ref.mse, params, batch, inner_lr, 1, first_order=True)
    _, full = ref.meta_gradient(ref.mse, params, batch, inner_lr, 1)
    return flat(first), flat(full)


def compare(params, batch, inner_lr):
    """(cosine of F and G, q): how well the first-order gradient agrees with the meta-gradient."""
    first, full = both(params, batch, inner_lr)
    cosine = full @ first / np.linalg.norm(full) / np.linalg.norm(first)
    return cosine, 1 - first @ full / (first @ first)


for inner_lr in (0.00001, 0.0001, 0.0003, 0.0005, 0.0006, 0.0007, 0.001, 0.003, 0.01):
    cosine, q = compare(he_start, batch, inner_lr)
    print(
        f"α = {inner_lr:<7.5f}  αλmax = {inner_lr * lambda_max:5.2f}  q = {q:6.2f}  cosine {cosine:6.3f}"
    )

# %% [markdown]
# The sign changes where $q$ passes 1, not where $\alpha\lambda_{\max}$ does. (It cannot be otherwise: the cosine has the sign of
# $1 - q$.) That is between $\alpha\lambda_{\max} = 1.30$ and 1.52. But $\lambda_{\max}$ belongs to task 3, and the other tasks may
# outvote it. And from 0.0005 to 0.0006 $q$ *falls*. So take each task as a batch of its own, with $g_i$, $H_i$ and $q_i$. Put the
# sums over the tasks into $F$ and $G$, and the $q$ of the batch is
#
# $$q = \frac{\sum_{i,j} \alpha\,g_i^\top H_j\,g_j}{\sum_{i,j} g_i^\top g_j} .$$
#
# The tasks' own terms ($i = j$) alone would make a weighted mean of the $q_i$. The others are **cross terms** of two tasks.

# %%
for inner_lr in (0.0005, 0.0006, 0.0007):
    pairs = [both(he_start, batch.part(i, i + 1), inner_lr) for i in range(4)]  # one task each
    g = np.array([first for first, _ in pairs])  # (tasks, 1761)
    left_out = np.array([first - full for first, full in pairs])  # α Hᵢ gᵢ, likewise
    above, below = g @ left_out.T, g @ g.T  # the terms of q's two sums, (tasks, tasks)
    print(f"α = {inner_lr}   αλmax of each task  ", np.round(inner_lr * tops, 2))
    print("             q of each task alone", np.round(np.diag(above) / np.diag(below), 2))
    print(
        f"             own terms alone {np.trace(above) / np.trace(below):.2f}"
        f"   all terms: q of the batch {above.sum() / below.sum():.2f}"
    )

# %% [markdown]
# - **Task 3** overshoots along its steepest direction at 0.0005 and 0.0006, and the $q$ of this task alone is 0.33 and 0.74: its
#   first-order gradient points the right way all the same.
# - **Task 4** has a $q$ that falls to 0.01. One reason is that α moves φ, and the query gradient turns with φ. But this is not why the
#   $q$ of the batch falls: the own terms, task 4's included, rise from 0.50 to 0.62. The **cross terms** pull it down to 0.20. At 0.0005 and
#   0.0007 they lift it above the $q$ of every task.
#
# So it is the parabola's sign flip again, with $q$ in place of $\alpha a$.
#
# How then can first-order MAML work at all, with α = 0.01, as in the MAML paper (Finn et al., 2017)? It depends on where the
# network is. He initialisation made these weights large. PyTorch starts with smaller ones, uniform in
# $\pm 1/\sqrt{\text{inputs}}$. For the same tasks:

# %%
torch_start = {
    name: rng.uniform(-1, 1, value.shape) / np.sqrt(len(he_start["w" + name[1]]))
    for name, value in he_start.items()
}  # a weight has (inputs, outputs), so len is the number of inputs

tops = [steepest(torch_start, x, y) for x, y, _, _ in batch]
cosine, q = compare(torch_start, batch, 0.01)
print(f"α = 0.01     αλmax = {0.01 * max(tops):5.2f}  q = {q:6.2f}  cosine {cosine:6.3f}")

# %% [markdown]
# From here the two agree far better. And negative curvature? With a shift of half of λmax, `steepest` finds the other end
# ([chapter 05](05_hessians.ipynb) says why):

# %%
for (x, y, _, _), top in zip(batch, tops, strict=True):
    bottom = steepest(torch_start, x, y, shift=top / 2, rounds=200)
    print(
        f"λ from {bottom:4.0f} to {top:3.0f}: the factor 1 − αλ from {1 - 0.01 * bottom:.2f}"
        f" down to {1 - 0.01 * top:.2f}"
    )

# %% [markdown]
# So the first three rows of the table above occur in one network at once; with the steeper start αλ reaches 21.71, in the last
# row. Between the two ends most of the 1,761 directions are flat, and there the factor is 1: chapter 05 shows all of them, and why. It also takes apart
# what the MAML paper supposes, that first order does well because ReLU networks have next to no second derivatives.

# %% [markdown]
# ## Further: and after training?
#
# Meta-train from both starts for 2,000 outer steps with the full gradient, as in [chapter 07](07_maml_in_numpy.ipynb). (The
# library's PyTorch form does it, for speed.) Then measure the agreement on ten new batches of 4 tasks and ten of 25.

# %%
import torch

import maml_edu.pytorch as mt


def trained(params, seed=0):
    """The parameters after 2,000 outer steps of MAML from `params`."""
    model = mt.MLP(1, 40, 40, 1)
    with torch.no_grad():
        for layer, module in enumerate(model[::2], start=1):  # without the ReLUs between
            module.weight.copy_(torch.tensor(params[f"w{layer}"].T))
            module.bias.copy_(torch.tensor(params[f"b{layer}"]))
    learner = mt.MAML(model, inner_lr=0.01, inner_steps=1)
    settings = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu", "seed": seed}
    mt.meta_train(learner, tasks, 2_000, progress=False, **settings)
    return model.arrays()


after = {"He": trained(he_start), "PyTorch": trained(torch_start)}

# %%
for name, params in after.items():
    few = [tasks.sample(rng, tasks=4) for _ in range(10)]
    many = [tasks.sample(rng, tasks=25) for _ in range(10)]
    steep = [0.01 * steepest(params, x, y) for one in few for x, y, _, _ in one]
    print(f"{name} start: αλmax of 40 tasks {min(steep):.1f} to {max(steep):.1f}")
    for size, batches in (("4", few), ("25", many)):
        cosines = np.sort([compare(params, one, 0.01)[0] for one in batches])
        print(
            f"   batches of {size:>2} tasks, cosines, sorted:",
            "  ".join(f"{x:5.2f}" for x in cosines),
        )

# %% [markdown]
# The two networks started at an αλmax of 21.7 and of 0.9, and training
# has brought them to much the same place, around 1 to 2: the sign is wrong along a few steep directions. What that does to the
# angle depends on the batch. For most batches the two gradients roughly agree; for some they are nearly perpendicular, and now and
# then the first-order step would make the meta-loss of its own batch worse.
#
# One run is one run. We repeated the whole notebook with the seeds 5 and 7 in place of 4 (other starts, other batches). With 6 the
# check against finite differences meets a kink of a ReLU and stops the notebook. In all:
#
# | | batches | cosine above 0.5 | cosine below 0 |
# | --- | --- | --- | --- |
# | of 4 tasks | 60 | 51 | 3 |
# | of 25 tasks | 60 | 55 | 1 |
#
# Larger batches may help a little (51 against 55 of 60 could be chance); they are no cure. So first-order MAML has an idea of the
# direction, and how good an idea changes from batch to batch and during training. Measure it where you are.

# %% [markdown]
# ## What you should have seen
#
# - First-order MAML drops the factor $1 - \alpha a$. With $|\alpha a| \ll 1$ it hardly matters; with $\alpha a > 1$ the sign is wrong, and below
#   $\alpha a = 2$ the inner loop converges all the same; with $a < 0$ the first-order gradient is too short.
# - A program that can differentiate its own gradient gets the factor right without being told, and `stop_gradient`
#   (or a forgotten flag) silently drops it.
# - In a network the factor is a matrix, and the same happens direction by direction. What counts (for one task) is the
#   curvature along the query gradient.

# %% [markdown]
# ## Three questions
#
# **1.** $a = 2$, $\alpha = 0.5$. What is the meta-gradient?
#
# <details><summary>A · It is largest, because the curvature is large.</summary>
# A large curvature of the support loss makes for a long step; what decides here is the factor 1 − αa.
# </details>
# <details><summary>B · Twice the query slope at φ, because a = 2.</summary>
# The query slope at φ is multiplied by how φ follows θ, 1 − αa, and that is 0 here, not 2.
# </details>
# <details><summary>C · Zero, whatever θ is.</summary>
# Right. αa = 1: one step lands exactly on the minimum of the support loss from anywhere, so no start is better than
# another. The query loss there need not be zero; no start can help it.
# </details>
#
# **2.** Why does the meta-gradient contain a second derivative, and of which loss?
#
# <details><summary>A · Of the support loss, because the update contains its first derivative, and we differentiate the update.</summary>
# Right: φ = θ − αL_S′(θ), so dφ/dθ = 1 − αL_S″(θ).
# </details>
# <details><summary>B · Of the query loss, because two gradient steps are taken, an inner and an outer one.</summary>
# The outer step only uses the meta-gradient; it adds no derivative to it. Taking two ordinary steps one after the other
# involves first derivatives alone. And of the query loss only the first derivative enters.
# </details>
# <details><summary>C · Of both, because both are quadratic.</summary>
# For a quadratic the second derivative is constant, which makes the example easy. But that of the query loss does not occur,
# and that of the support loss occurs whatever its form.
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
# 1. One inner step on the support loss: $\varphi = \theta - \alpha \nabla L_{\text{S}}(\theta)$.
# 2. Meta-loss: $M(\theta) = L_{\text{Q}}(\varphi(\theta))$, the query loss after learning as a function of where learning began.
# 3. Meta-gradient: $\nabla M = (I - \alpha H_{\text{S}}(\theta))\,\nabla L_{\text{Q}}(\varphi)$; for parabolas $(1-\alpha a)\cdot b(\varphi - d)$.
# 4. First-order MAML: $\nabla M \approx \nabla L_{\text{Q}}(\varphi)$. It points the wrong way along directions with $\alpha\lambda > 1$, and is too short
#    along those with $\lambda < 0$.
# 5. In code: `grad` of a function that calls `grad`. Check it against finite differences before you trust it.

# %% [markdown]
# ## Further reading
#
# - Finn, Abbeel & Levine (2017), *Model-agnostic meta-learning for fast adaptation of deep networks*, arXiv 1703.03400:
#   section 2.2 has the update, section 5.2 the first-order variant, the remark that it did nearly as well, and the guess why.
# - Nichol, Achiam & Schulman (2018), *On first-order meta-learning algorithms*, arXiv 1803.02999: an expansion in powers of α that
#   says exactly which terms first-order methods keep.
#
# **Now you:** the [exercises of this chapter](../exercises/04_gradient_of_a_step.ipynb): the formula, its numerical twin,
# the sign flip, where MAML comes to rest, and which program returned these numbers. **Next:**
# [05 · Hessians without Hessians](05_hessians.ipynb), how $I - \alpha H$ is applied to 1,761 parameters at once.
