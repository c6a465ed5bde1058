# %% [markdown]
# # 01 · Gradient descent
#
# *When does following the slope arrive, and when does it blow up?*
#
# **You will be able to**
#
# - say from the curvatures of a loss which step sizes converge, how fast, and which blow up;
# - explain what momentum buys in a ravine, and what a noisy slope costs;
# - check any gradient by finite differences, and choose the h for it.
#
# **Needs** Python, a little NumPy, derivatives and the word *eigenvector*. **Takes** about 35 minutes. **CPU** is
# plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# The loss is $L(\theta) = \tfrac12\lambda\theta^2$ with $\lambda = 4$, so its slope is $4\theta$. You start at $\theta = 1$ and
# repeat $\theta \leftarrow \theta - \alpha\cdot 4\theta$. Five people choose the step sizes
#
# $$\alpha = 0.05, \quad 0.25, \quad 0.45, \quad 0.5, \quad 0.55 .$$
#
# Who arrives at 0 first? Who never arrives? Commit to an answer before you open this:
#
# <details><summary>Answer</summary>
#
# 0.25 is there after **one** step. 0.05 creeps up from one side and 0.45 jumps from side to side; both shrink by the same
# 0.8 a step. 0.5 jumps between 1 and −1 for ever. 0.55, a tenth more, goes to infinity. Between "perfect" and "lost" lies
# a factor of two: this chapter says why, and why it is worse with many parameters.
# </details>

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check_gradient
from maml_edu.figures import (
    Curve,
    Scene,
    convergence_by_direction,
    descent_on_contours,
    draw,
    noisy_descent,
    show_source,
    stability_limit,
)

# %% [markdown]
# ## One direction
#
# Gradient descent has one line: $\theta \leftarrow \theta - \alpha\, L'(\theta)$.

# %%
lam = 4.0  # λ, the curvature


def loss(theta):
    return 0.5 * lam * theta**2


def descend(loss, theta, alpha, steps):
    """θ before and after each step, a list of steps + 1 values."""
    path = [theta]
    for _ in range(steps):
        path.append(path[-1] - alpha * ref.grad(loss)(path[-1]))
    return path


for alpha in (0.05, 0.25, 0.45, 0.5, 0.55):
    print(f"α = {alpha:.2f}:", "  ".join(f"{theta:6.3f}" for theta in descend(loss, 1.0, alpha, 6)))

# %% [markdown]
# `ref.grad(loss)` is the derivative of `loss`, made by the library; chapter 02 will show how. Here we could have done it
# by hand: $L'(\theta) = \lambda\theta$, so
#
# $$\theta_{k+1} = \theta_k - \alpha\lambda\,\theta_k = (1 - \alpha\lambda)\,\theta_k
# \qquad\Longrightarrow\qquad \theta_k = (1 - \alpha\lambda)^k\,\theta_0 .$$
#
# One number, the **factor** $1 - \alpha\lambda$, says everything. It shrinks the distance when $|1 - \alpha\lambda| < 1$, that is
#
# $$0 < \alpha < \frac{2}{\lambda} .$$

# %%
print("   α    factor 1 − αλ    what happens")
for alpha in (0.05, 0.25, 0.45, 0.5, 0.55):
    factor = 1 - alpha * lam
    size = abs(factor)
    manner = "blows up" if size > 1 else "stays as far" if size == 1 else "arrives"
    side = "from side to side" if factor < 0 else "from one side"
    print(f"{alpha:5.2f}      {factor:5.2f}         {manner}, {side if factor else 'in one step'}")

# %% [markdown]
# ## Many directions: a bowl and a ravine
#
# With several parameters the curvature is a matrix, the **Hessian** $H$ (all second derivatives of $L$). For a quadratic
# $L(\theta) = \tfrac12\theta^\top H\theta$ the slope is $H\theta$, and a step is $\theta_{k+1} = (I - \alpha H)\,\theta_k$.
#
# $H$ is symmetric, so it has perpendicular eigenvectors $v_i$ with $Hv_i = \lambda_i v_i$. Write $\theta$ as a sum of them,
# $\theta_k = \sum_i c_i v_i$. A step turns $c_i v_i$ into $(1 - \alpha\lambda_i)\,c_i v_i$: **each direction lives by its own factor
# and takes no notice of the others.** Let us see that in numbers, for a ravine that lies across the axes:

# %%
turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])  # columns: directions
H = turn @ np.diag([1.0, 10.0]) @ turn.T  # (2, 2)
curvatures, directions = np.linalg.eigh(H)  # ascending; column i belongs to curvature i
print("H =", np.round(H, 2).tolist(), " curvatures λ =", np.round(curvatures, 6))


def ravine(theta):
    return 0.5 * theta @ H @ theta


alpha = 0.15
path = np.array(descend(ravine, np.array([3.0, 1.0]), alpha, 5))  # (6, 2)
c = path @ directions  # (6, 2): the part along each eigenvector
print("part along each direction, step by step:\n", np.round(c, 4))
print("one step multiplies it by", np.round(c[1] / c[0], 4))
print("and 1 − αλ is            ", 1 - alpha * curvatures)

# %% [markdown]
# All directions share one $\alpha$, so **the steepest one sets the limit**, and the flattest one has to wait:
#
# $$\alpha < \frac{2}{\lambda_{\max}}, \qquad\text{left after } k \text{ steps along } v_i:\; |1 - \alpha\lambda_i|^k .$$

# %%
stability_limit(curvatures=(1.0, 4.0))

# %%
convergence_by_direction(alpha=0.15, curvatures=(1.0, 10.0))

# %% [markdown]
# The best compromise makes both ends equally slow: $\alpha = 2/(\lambda_{\min} + \lambda_{\max})$, where both have the rate
# $(\kappa - 1)/(\kappa + 1)$. The number $\kappa = \lambda_{\max}/\lambda_{\min}$ is the **condition number**: 1 for a round bowl,
# large for a ravine.

# %%
print("   κ    best rate    steps to a millionth of the distance")
for kappa in (1, 2, 10, 100, 1000):
    rate = (kappa - 1) / (kappa + 1)
    steps = 1 if rate == 0 else int(np.ceil(np.log(1e-6) / np.log(rate)))
    print(f"{kappa:4}     {rate:6.4f}      {steps}")

# %% [markdown]
# Ten times the condition number, ten times the steps. Networks have condition numbers of many thousands, which is why
# nobody waits for their flattest directions.

# %% [markdown]
# ## Momentum
#
# In a ravine the slope across changes its sign with every step while the slope along stays the same. So remember: keep a
# velocity that forgets slowly. Across, the slopes cancel; along, they add up. (Polyak's *heavy ball*.)
#
# $$v \leftarrow \mu v + L'(\theta), \qquad \theta \leftarrow \theta - \alpha v .$$


# %%
def steps_needed(curvatures, alpha, mu, limit=20_000):
    """Steps until a ravine's start (1, 1) is within a millionth of the minimum; None if never."""
    params, state = {"theta": np.ones(len(curvatures))}, None
    for step in range(1, limit):
        slopes = {"theta": curvatures * params["theta"]}
        params, state = ref.momentum(params, slopes, state, lr=alpha, mu=mu)
        distance = np.linalg.norm(params["theta"])
        if not 1e-6 < distance < 1e6:
            return step if distance < 1 else None
    return None


curvatures = np.array([1.0, 100.0])  # κ = 100
pairs = [(0.0198, 0.0), (0.0198, 0.5), (0.0198, 0.8), (0.0198, 0.97), (0.033, 0.0), (0.033, 0.67)]
for alpha, mu in pairs:
    steps = steps_needed(curvatures, alpha, mu)
    print(f"α = {alpha:<6}  μ = {mu:<4}  {'blows up' if steps is None else f'{steps} steps'}")

# %% [markdown]
# (705 and not the table's 691: this start is √2 away, and α is rounded.) Momentum cuts 705 steps to 117, and with both numbers well chosen (the last line) to 85: about what plain descent needs in
# a ravine of $\sqrt\kappa$. It also **raises the limit**: $\alpha = 0.033$ is above $2/\lambda_{\max} = 0.02$ and blows up by
# itself, yet arrives with μ = 0.67, since the limit becomes $2(1 + \mu)/\lambda_{\max}$. More is not better: with μ = 0.97
# it swings past the minimum and back, and is slower than without.

# %%
show_source(ref.momentum)

# %% [markdown]
# ## When the loss is not a quadratic
#
# Near a minimum every smooth loss looks like its Hessian, so the limit holds there. Further away the curvature changes,
# and there the limit can only warn. Take $L(\theta) = \log\cosh\theta$, which has curvature 1 at its minimum and is nearly
# straight far out:


# %%
def valley(theta):
    return np.log(np.exp(theta) + np.exp(-theta)) - np.log(2.0)


curvature = ref.grad(ref.grad(valley))  # a derivative of a derivative: the same function twice
print("curvature at 0, 1, 3:", [round(float(curvature(t)), 3) for t in (0.0, 1.0, 3.0)])
for alpha in (1.9, 2.1, 3.0):
    path = descend(valley, 0.4, alpha, 400)
    print(f"α = {alpha}: the last three θ are", "  ".join(f"{theta:6.3f}" for theta in path[-3:]))

# %% [markdown]
# Above 2/λ the minimum still throws everything out. But as the slope grows no further out there, θ ends in a hop between
# two places instead of at infinity. A loss that goes on oscillating at one height is this.

# %% [markdown]
# ## Is the slope right? Ask the function
#
# A wrong gradient also "does not converge". The test needs no calculus: move by $h$ to both sides and look.
#
# $$\frac{L(\theta + h) - L(\theta)}{h} = L'(\theta) + O(h), \qquad
# \frac{L(\theta + h) - L(\theta - h)}{2h} = L'(\theta) + O(h^2) .$$
#
# The smaller $h$, the better? Down to a point: numbers have 16 digits, and a difference of two nearly equal ones keeps few.

# %%
theta, exact = 0.7, ref.grad(valley)(0.7)
h = 10.0 ** -np.arange(1, 13)
forward = np.abs((valley(theta + h) - valley(theta)) / h - exact)
central = np.abs((valley(theta + h) - valley(theta - h)) / (2 * h) - exact)
draw(
    Scene(
        title="Central differences are best near h = 10⁻⁵: below that, rounding takes over",
        alt="Two V-shaped curves, error against h, both axes logarithmic. The forward difference "
        "falls with slope one to about 1e-9 near h = 1e-8; the central one falls with slope two to "
        "about 1e-11 near h = 1e-5. To the left of its minimum each rises again.",
        xlabel="distance h",
        ylabel="error of the slope",
        xlim=(5e-13, 0.2),
        ylim=(1e-13, 1e-1),
        xlog=True,
        ylog=True,
        curves=[
            Curve(h, forward, "high", "forward difference, one side", markers=True),
            Curve(h, central, "low", "central difference, both sides", markers=True),
        ],
    )
)

# %% [markdown]
# `check_gradient` does this along random directions, for parameters of any structure. You will want it whenever you write
# a derivative by hand:

# %%
theta = {"w": np.array([0.3, -1.2]), "b": np.array(0.5)}


def three_valleys(params):
    return np.sum(valley(params["w"])) + valley(params["b"])


def slopes_by_hand(params):
    return {name: np.tanh(value) for name, value in params.items()}


check_gradient(three_valleys, slopes_by_hand, theta)

# %% [markdown]
# ## A noisy slope
#
# A network's slope is measured on a few examples at a time, so each measurement is off by chance, say with standard
# deviation $\sigma$. On $\tfrac12\theta^2$ the mean of $\theta^2$ then obeys $m \leftarrow (1-\alpha)^2 m + \alpha^2\sigma^2$: the first part
# dies out, the second comes back each step. Setting both sides equal gives the floor that the loss cannot get below:
#
# $$\tfrac12 m_\infty = \frac{\alpha\,\sigma^2}{2\,(2 - \alpha)} \qquad\text{(about } \tfrac14\alpha\sigma^2 \text{ for small } \alpha\text{)} .$$

# %%
noisy_descent(large=0.5, small=0.05)

# %% [markdown]
# Large steps arrive soon and stay restless; small steps take long and end closer. So begin large and shrink: that is all
# a *learning-rate schedule* is.

# %% [markdown]
# ## Try it
#
# Drag the start. Move α slowly through the limit $2/\lambda_{\max}$, then make the ravine steeper, then add momentum. Three things
# to find: (1) the α at which the path goes straight to the long axis of the ravine; (2) the least μ with which α = 0.25
# arrives, with steepness 10; (3) the α and μ that get the loss below 10⁻⁶ soonest, with steepness 20.

# %%
descent_on_contours()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# (1) α = 1/λmax = 0.1: the factor of the steep direction is 0, so one step removes it. (2) Just above 0.25, where
# 2(1 + μ)/λmax passes α: at 0.25 itself it swings for ever, at 0.30 it arrives. (3) From the first start α = 0.125 with
# μ = 0.45 does it in 18 steps; near it, many do in 25. Plain descent needs about 80.
# </details>

# %% [markdown]
# ## What you should have seen
#
# - The five paths of the prediction: each step multiplies θ by 0.8, 0, −0.8, −1, −1.2.
# - In the ravine the part along each eigenvector multiplied by exactly 1 − αλ, whatever the other does.
# - Steps needed growing in proportion to κ; momentum cutting them down, and arriving where plain descent blows up.
# - The error of central differences falling by 100 for each 10 in h, until rounding turns it round.
# - With noise: a floor that depends on α, not on patience.

# %% [markdown]
# ## Three questions
#
# **1. The loss falls for twenty steps, then grows without end. What is most likely?**
#
# <details><summary>A: the minimum was passed; stop earlier</summary>
#
# No. Descent that converges does not leave again: near a minimum the slope vanishes and so does the step.
# </details>
# <details><summary>B: α is above 2/λmax; the steep direction started small and took twenty steps to be seen</summary>
#
# Yes. The flat directions hold most of the loss and shrink at first. The steep one, with a factor such as −1.3, grows
# 190-fold in twenty steps and then dominates.
# </details>
# <details><summary>C: a wrong sign in the gradient</summary>
#
# No. Uphill steps would raise the loss from the first step on.
# </details>
#
# **2. You multiply the loss by 10 and leave α alone. What happens?**
#
# <details><summary>A: nothing, the minimum is at the same place</summary>
#
# The place is the same, the way there is not: all slopes and curvatures are ten times as large.
# </details>
# <details><summary>B: it may blow up: the largest stable α is now a tenth of what it was</summary>
#
# Yes. λmax is ten times as large. A loss that *sums* over examples instead of averaging does just this, and MAML codes have
# differed by exactly that.
# </details>
# <details><summary>C: it converges ten times as fast</summary>
#
# Only while 10·α·λmax stays below about 1. Scaling the loss is the same as scaling α.
# </details>
#
# **3. A ravine has λ = 1 and λ = 100. Which α makes plain descent quickest?**
#
# <details><summary>A: 1/100, so that the steep direction is solved in one step</summary>
#
# Good, not best: the flat direction then shrinks by 0.99 a step. There is room for almost twice that.
# </details>
# <details><summary>B: 2/101 ≈ 0.0198</summary>
#
# Yes. Both directions have the rate 99/101 ≈ 0.980 then; any other α makes one of them slower.
# </details>
# <details><summary>C: 1, so that the flat direction is solved in one step</summary>
#
# It blows up: the steep direction's factor is 1 − 100 = −99.
# </details>

# %% [markdown]
# ## Summary
#
# 1. A step is $\theta \leftarrow \theta - \alpha\nabla L(\theta)$; along each eigenvector of the Hessian it multiplies the distance by $1 - \alpha\lambda_i$.
# 2. It converges when $0 < \alpha < 2/\lambda_{\max}$ and blows up above; the steepest direction sets the limit for all.
# 3. The slowest rate is at best $(\kappa - 1)/(\kappa + 1)$, with $\kappa = \lambda_{\max}/\lambda_{\min}$ and $\alpha = 2/(\lambda_{\min} + \lambda_{\max})$.
# 4. Momentum $v \leftarrow \mu v + \nabla L$ makes a ravine shorter and raises the limit to $2(1 + \mu)/\lambda_{\max}$.
# 5. Noise of variance $\sigma^2$ leaves a floor of about $\tfrac14\alpha\sigma^2$; central differences check a slope to $O(h^2)$.

# %% [markdown]
# ## Further reading
#
# - G. Goh (2017), *Why Momentum Really Works*, Distill: the eigenvector picture of this chapter with beautiful figures of
#   its own, and what momentum does to each direction.
# - J. Nocedal and S. Wright (2006), *Numerical Optimization*, chapters 2, 3 and 8: line searches, conditioning, and finite
#   differences, with proofs.
# - B. Polyak (1964), *Some methods of speeding up the convergence of iteration methods*: where the heavy ball
#   comes from, and the proof that it turns $\kappa$ into $\sqrt\kappa$.
# - L. Bottou, F. Curtis and J. Nocedal (2018), *Optimization Methods for Large-Scale Machine Learning*, arXiv:1606.04838:
#   the noisy slope, floors and schedules, done properly.
# - J. Cohen and others (2021), *Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability*,
#   arXiv:2103.00065: real networks move to where λmax is about 2/α and stay there. Not what this chapter would predict.
#
# **Now you:** [the exercises of this chapter](../exercises/01_gradient_descent.ipynb). **Next lesson:**
# [04 · The gradient of a gradient step](04_gradient_of_a_step.ipynb) (chapters 02 and 03 are to come).
