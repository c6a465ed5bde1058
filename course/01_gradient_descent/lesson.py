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
# **Needs** Python, a little NumPy, derivatives, and how a matrix multiplies a vector. **Takes** about 75 minutes, 15 of
# them for *Try it*; what is folded under *Further* is extra. **CPU** is plenty; no GPU, no download.

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
# 0.25 is there after **one** step. 0.05 creeps up from one side and 0.45 jumps from side to side; each step leaves both of
# them the same 0.8 of their distance. 0.5 jumps between 1 and −1 for ever. 0.55, a tenth more, goes to infinity. Between "perfect" and "lost" lies
# a factor of two: this chapter says why, and why it is worse with many parameters.
# </details>

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import WrongAnswer, check_gradient
from maml_edu.figures import (
    Curve,
    Scene,
    convergence_by_direction,
    descent_on_contours,
    draw,
    momentum_map,
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
# `ref.grad(loss)` is the derivative of `loss`, made by the library; [chapter 02](02_backpropagation.ipynb) shows how. Here we could have done it
# by hand: $L'(\theta) = \lambda\theta$, so
#
# $$\theta_{k+1} = \theta_k - \alpha\lambda\,\theta_k = (1 - \alpha\lambda)\,\theta_k
# \qquad\Longrightarrow\qquad \theta_k = (1 - \alpha\lambda)^k\,\theta_0 .$$
#
# One number, the **factor** $1 - \alpha\lambda$, says everything. Its sign says whether θ stays on its side of the minimum or
# jumps across. Its size $|1 - \alpha\lambda|$, the **rate**, says what fraction of the distance is left after a step: a small
# rate is fast. (The loss is a multiple of the distance squared, so a rate of 0.8 leaves 0.64 of the loss.) The
# distance shrinks when the rate is below 1. In a valley, $\lambda > 0$, that is
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
# Two more cases, which networks have plenty of. On flat ground, $\lambda = 0$, the factor is 1 and nothing moves. On a
# hilltop, $\lambda < 0$, the factor $1 + \alpha|\lambda|$ is above 1 **for every** $\alpha$, and descent rolls away, as it should:
# there is no minimum here to arrive at. So from now on, unless it says otherwise, all curvatures are positive. (Negative
# ones come back in [chapter 04](04_gradient_of_a_step.ipynb), where they *amplify* a meta-gradient, and in [chapter 05](05_hessians.ipynb).)

# %%
for lam_now, place in ((4.0, "valley"), (0.0, "flat"), (-1.0, "hilltop")):
    path = descend(lambda theta, a=lam_now: 0.5 * a * theta**2, 1.0, 0.2, 4)
    print(f"λ = {lam_now:4.1f}, {place:7}:", "  ".join(f"{theta:5.3f}" for theta in path))

# %% [markdown]
# ## Many directions: a bowl and a ravine
#
# Two parameters, each with a curvature of its own: $L(\theta) = \tfrac12(\lambda_1\theta_1^2 + \lambda_2\theta_2^2)$. The **gradient**
# $\nabla L$ is the list of the slopes along the axes, here $(\lambda_1\theta_1, \lambda_2\theta_2)$. So a step multiplies $\theta_1$ by
# $1 - \alpha\lambda_1$ and $\theta_2$ by $1 - \alpha\lambda_2$: the same as before, twice, and neither takes notice of the other.


# %%
def bowl(theta):
    return 0.5 * np.sum(np.array([1.0, 10.0]) * theta**2)


alpha = 0.15
path = np.array(descend(bowl, np.array([3.0, 1.0]), alpha, 3))  # (4, 2)
print(np.round(path, 4), "\none step multiplies by", path[1] / path[0])

# %% [markdown]
# Now **turn** the bowl, so that its long axis lies across the axes of the parameters. Moving $\theta_1$ alone then changes the
# slope along $\theta_2$ as well, and one needs all second derivatives of $L$, a matrix: the **Hessian** $H$, with
# $H_{ij} = \partial^2 L/\partial\theta_i\partial\theta_j$. It is symmetric, since the order of the two derivatives does not matter. A turned
# bowl is $L(\theta) = \tfrac12\sum_{ij} H_{ij}\theta_i\theta_j$, in short $\tfrac12\theta^\top H\theta$; its gradient is $H\theta$ (just as the
# slope of $\tfrac12\lambda\theta^2$ is $\lambda\theta$), and a step is
#
# $$\theta_{k+1} = \theta_k - \alpha H\theta_k = (I - \alpha H)\,\theta_k .$$
#
# Turning a bowl does not change its shape. Its old axes are still there, as perpendicular directions $u_i$, $n$ of them for
# $n$ parameters, along which $H$ does nothing but stretch: $Hu_i = \lambda_i u_i$. Such a $u_i$ is called an **eigenvector** of
# $H$ and $\lambda_i$ its **eigenvalue**: the curvature in that direction. *Every* symmetric matrix has $n$ of them (the
# spectral theorem). So a turned quadratic, seen along its eigenvectors, is the case above, before we turned it: a bowl or a
# ravine, a saddle, a hilltop, or, if a curvature is 0, a trough.
#
# In these formulas the slope vanishes at 0, so θ is its own distance from there. If it vanishes at $c$, measure from $c$: the loss
# is $\tfrac12(\theta - c)^\top H(\theta - c)$, its gradient $H(\theta - c)$, and a step multiplies $\theta - c$ by $I - \alpha H$.

# %%
turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])  # columns: directions
H = turn @ np.diag([1.0, 10.0]) @ turn.T  # (2, 2)
curvatures, directions = np.linalg.eigh(H)  # ascending; column i belongs to curvature i
print("H =", np.round(H, 2).tolist(), " curvatures λ =", np.round(curvatures, 6))
u = directions[:, 1]
print("H u =", np.round(H @ u, 4), " is 10 u =", np.round(10 * u, 4))

# %% [markdown]
# Write $\theta$ as a sum of parts along these directions, $\theta_k = \sum_i p_i u_i$. A step turns $p_i u_i$ into
# $p_i u_i - \alpha\lambda_i p_i u_i$: **each direction lives by its own factor $1 - \alpha\lambda_i$ and takes no notice of the others.**


# %%
def ravine(theta):
    return 0.5 * theta @ H @ theta


path = np.array(descend(ravine, np.array([3.0, 1.0]), alpha, 5))  # (6, 2)
parts = path @ directions  # (6, 2): the part along each eigenvector
print("part along each direction, step by step:\n", np.round(parts, 4))
print("one step multiplies it by", np.round(parts[1] / parts[0], 4))
print("and 1 − αλ is            ", 1 - alpha * curvatures)
c = np.array([2.0, -1.0])  # the same ravine with its minimum here
moved = np.array(descend(lambda theta: ravine(theta - c), c + [3.0, 1.0], alpha, 5))
print("with the minimum at c, θ − c goes the same way:", np.allclose(moved - c, path))

# %% [markdown]
# All directions share one $\alpha$, so **the steepest one sets the limit**, and the flattest one has to wait:
#
# $$\alpha < \frac{2}{\lambda_{\max}}, \qquad\text{left after } k \text{ steps along } u_i:\; |1 - \alpha\lambda_i|^k .$$
#
# Here is the bowl of the code above, λ = 1 and λ = 10, with its α = 0.15, step by step:

# %%
convergence_by_direction(alpha=0.15, curvatures=(1.0, 10.0))

# %% [markdown]
# A larger α helps the flat direction and, past $1/\lambda_{\max}$, harms the steep one. The best compromise makes both equally
# slow: $1 - \alpha\lambda_{\min} = \alpha\lambda_{\max} - 1$, so
#
# $$\alpha = \frac{2}{\lambda_{\min} + \lambda_{\max}}, \qquad\text{and the rate of both is}\quad
# \frac{\lambda_{\max} - \lambda_{\min}}{\lambda_{\max} + \lambda_{\min}} = \frac{\kappa - 1}{\kappa + 1} .$$
#
# Between this α and the limit the steep direction is the slow one; above the limit it blows up. Here are the rates of two
# directions for every α, with λ = 1 and λ = 4; the star is the best compromise.

# %%
stability_limit(curvatures=(1.0, 4.0))

# %% [markdown]
# The number $\kappa = \lambda_{\max}/\lambda_{\min}$ is the **condition number**: 1 for a round bowl, large for a ravine.

# %%
print("   κ    best rate    steps to a millionth of the distance")
for kappa in (1, 2, 10, 100, 1000):
    rate = (kappa - 1) / (kappa + 1)
    steps = 1 if rate == 0 else int(np.ceil(np.log(1e-6) / np.log(rate)))
    print(f"{kappa:4}     {rate:6.4f}      {steps}")

# %% [markdown]
# From κ = 10 on, ten times the condition number means ten times the steps. (A network has no κ in this sense: some of its curvatures are zero or
# negative. What stays true for it is that the steepest direction limits α and flatter ones have to wait.)

# %% [markdown]
# ## Momentum
#
# In a ravine, plain descent creeps: the steep direction keeps α small, and along the ravine that is far too little. Take α
# above $1/\lambda_{\max}$: the factor across is then negative, so the slope across changes its sign with every step, while the
# slope along keeps its sign. The remedy is memory: keep a **velocity** $v$, a vector like θ, that forgets slowly, by a factor
# $\mu$ below 1. This is **momentum** (Polyak's *heavy ball*).
#
# $$v \leftarrow \mu v + \nabla L(\theta), \qquad \theta \leftarrow \theta - \alpha v .$$
#
# Across, the slopes cancel; along, they add up: a steady slope $g$ makes $v = g + \mu g + \mu^2 g + \dots = g/(1 - \mu)$, so
# with μ = 0.8 the steps become five times as long.


# %%
def steps_needed(curvatures, alpha, mu, limit=20_000):
    """From (1, 1) in a ravine: the steps until θ is within a millionth of the minimum for good, and
    the largest distance on the way; None if it never is."""
    params, state = {"theta": np.ones(len(curvatures))}, None
    distances = [np.linalg.norm(params["theta"])]
    while 1e-9 < distances[-1] < 1e6 and len(distances) <= limit:
        slopes = {"theta": curvatures * params["theta"]}
        params, state = ref.momentum(params, slopes, state, lr=alpha, mu=mu)
        distances.append(np.linalg.norm(params["theta"]))
    outside = np.flatnonzero(np.array(distances) > 1e-6)  # steps after which it is further away
    return None if distances[-1] > 1e-6 else (outside[-1] + 1, max(distances))


curvatures = np.array([1.0, 100.0])  # κ = 100
pairs = [(0.0198, 0.0), (0.0198, 0.5), (0.0198, 0.8), (0.0198, 0.97)]
pairs += [(0.033, 0.0), (0.033, 0.67), (4 / 121, 81 / 121)]
for alpha, mu in pairs:
    found = steps_needed(curvatures, alpha, mu)
    end = f"{found[0]} steps, at most {found[1]:.1f} from the minimum" if found else "blows up"
    print(f"α = {alpha:<7.4g}  μ = {mu:<6.4g}  {end}")

# %% [markdown]
# (705 and not the table's 691: this start is √2 away, and α is rounded.) Momentum cuts 705 steps to 128, and with both
# numbers well chosen to 95 (the last line; near that pair, in the line above it, to 85). The rate in the long run, of the distance
# as always, is then $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$, with $\sqrt\kappa$ in place of κ (*Further* derives it): here 9/11 ≈
# 0.82, as if κ were 10. (The table has 69 steps for κ = 10. Here a descent first makes a detour, out to 3.8, and what it costs depends
# on the last digits of α and μ: see *Try it*.) More momentum is not better: with μ = 0.97 it swings past the minimum and back,
# and is slower than without.
#
# And momentum **raises the limit**: $\alpha = 0.033$ is above $2/\lambda_{\max} = 0.02$ and blows up without momentum, yet arrives
# with μ = 0.67. Why?
#
# Along one direction the two lines above are one: $\alpha v$ was the last move, $\theta_{k-1} - \theta_k$, so
#
# $$\theta_{k+1} = \theta_k - \alpha\lambda\theta_k + \mu\,(\theta_k - \theta_{k-1}) .$$
#
# At the limit θ hops from side to side for ever, $\theta_k = (-1)^k$. Put that in: $-1 = 1 - \alpha\lambda + 2\mu$ for a step that
# starts at 1, so $\alpha\lambda = 2(1 + \mu)$, and the limit is
#
# $$\alpha < \frac{2(1 + \mu)}{\lambda_{\max}} .$$
#
# As long as 0 ≤ μ < 1, hopping is the only way in which descent in a valley can begin to fail (*Further* shows why). With
# μ = 1 nothing is forgotten, and θ swings for ever however small α is.
#
# <details><summary>Further: which μ and α are best?</summary>
#
# Look for paths $\theta_k = z^k$: the line above becomes $z^2 - (1 + \mu - \alpha\lambda)\,z + \mu = 0$. Its two roots multiply to
# $\mu$, so the larger one is at least $\sqrt\mu$ in size. It is exactly that when the roots are complex or equal,
# $(1 + \mu - \alpha\lambda)^2 \le 4\mu$, which says
#
# $$(1 - \sqrt\mu)^2 \le \alpha\lambda \le (1 + \sqrt\mu)^2 .$$
#
# The least μ for which λmin and λmax both fit has $\alpha\lambda_{\min}$ at the left end and $\alpha\lambda_{\max}$ at the right. The root
# of their quotient is $\sqrt\kappa = (1 + \sqrt\mu)/(1 - \sqrt\mu)$, so
#
# $$\sqrt\mu = \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}, \qquad
# \alpha = \frac{4}{(\sqrt{\lambda_{\min}} + \sqrt{\lambda_{\max}})^2} .$$
#
# No other pair does better. If both roots are at most $r < 1$ in size, $z^2 - (1 + \mu - \alpha\lambda)z + \mu$ is not negative at
# $z = \pm r$, so $(1 - r)(r - \mu) \le r\alpha\lambda \le (1 + r)(r + \mu)$ for both λ. Then κ is at most the right end over the left
# one, which grows with μ, and μ is at most $r^2$. So $\kappa \le (1 + r)^2/(1 - r)^2$, and $r$ is at least the $\sqrt\mu$ found.
#
# For λ = 1 and 100 that is μ = (9/11)² ≈ 0.67 and α = 4/121 ≈ 0.033: the last line of the table. The rate $\sqrt\mu$ of
# the distance is that of plain descent in a ravine of $\sqrt\kappa$ in place of $\kappa$.
#
# Why is hopping the only way to fail? A path stops shrinking when a root reaches the size 1. Complex roots have the size
# $\sqrt\mu$, below 1. A real root can only reach 1 or −1. Put these in: 1 gives $\alpha\lambda = 0$, so no step or no valley;
# −1 gives $\alpha\lambda = 2(1 + \mu)$, the hop.
# </details>

# %%
show_source(ref.momentum)

# %% [markdown]
# ## When the loss is not a quadratic
#
# Near a minimum where all curvatures are positive, a smooth loss looks like the quadratic of its Hessian, so the limit holds.
# Further away the curvature changes, and the limit can only warn. Take $L(\theta) = \log\cosh\theta$, which has curvature 1 at its minimum and is nearly
# straight far out:


# %%
def valley(theta):
    return np.log(np.exp(theta) + np.exp(-theta)) - np.log(2.0)


curvature = ref.grad(ref.grad(valley))  # a derivative of a derivative: the same function twice
print("curvature at 0, 1, 3:", [round(float(curvature(t)), 3) for t in (0.0, 1.0, 3.0)])
for alpha in (1.9, 2.1, 3.0):
    path = descend(valley, 0.4, alpha, 400)
    last = "  ".join(f"{theta:6.3f}" for theta in path[-3:])
    print(f"α = {alpha}: the last three θ are {last}, the loss is {valley(path[-1]):.3f}")

# %% [markdown]
# Above 2/λ the minimum still throws everything out. But as the slope hardly grows further out, θ ends in a hop between two
# places instead of at infinity. Both are equally high, so the loss **stands still**, above its minimum, as if descent had
# arrived; only θ shows that it has not. A smaller α would bring the loss down at once.

# %% [markdown]
# ## Is the slope right? Ask the function
#
# A descent that does not converge may also have a wrong gradient. The test needs no calculus: move by $h$ to both sides and
# look.
#
# $$\frac{L(\theta + h) - L(\theta)}{h} = L'(\theta) + O(h), \qquad
# \frac{L(\theta + h) - L(\theta - h)}{2h} = L'(\theta) + O(h^2) .$$
#
# (Read $O(h)$: an error that falls 10-fold when $h$ falls 10-fold; and $O(h^2)$: one that falls 100-fold.)
#
# The smaller $h$, the better? Down to a point: NumPy's numbers (float64) have 16 digits, and a difference of two nearly equal ones keeps few.
# Say that $L$ and its derivatives are about 1 in size. Each $L$ is then rounded by about $10^{-16}$, and the division makes
# $10^{-16}/h$ of that. The formula's own error is about $h$ or $h^2$. The best $h$ makes the two errors equal:
#
# $$\text{one-sided: } h \approx \sqrt{10^{-16}} = 10^{-8}, \qquad
# \text{central: } h \approx \sqrt[3]{10^{-16}} \approx 5\cdot 10^{-6} .$$
#
# In single precision (float32, about 7 digits) put $10^{-7}$ in place of $10^{-16}$: about $3\cdot 10^{-4}$ and $5\cdot 10^{-3}$.

# %%
theta = np.random.default_rng(0).uniform(-2, 2, 200)  # many places: at a single one luck decides
exact = np.tanh(theta)  # the slope of log cosh
h = 10.0 ** -np.arange(1, 13)[:, None]  # (12, 1)
forward = np.abs((valley(theta + h) - valley(theta)) / h - exact)  # (12, 200)
central = np.abs((valley(theta + h) - valley(theta - h)) / (2 * h) - exact)

# %%
draw(
    Scene(
        title="Central differences are best near h = 10⁻⁵: below that, rounding takes over",
        alt="Two V-shaped curves, the median error at 200 places against h, both axes logarithmic. "
        "The forward difference falls with slope one to about 1e-8 near h = 1e-8; the central one "
        "falls with slope two to about 1e-11 near h = 1e-5. To the left of its minimum each rises "
        "again.",
        xlabel="distance h",
        ylabel="error of the slope (median of 200 θ)",
        xlim=(5e-13, 0.2),
        ylim=(1e-13, 1e-1),
        xlog=True,
        ylog=True,
        curves=[
            Curve(h[:, 0], np.median(error, axis=1), role, label, markers=True)
            for error, role, label in (
                (forward, "high", "forward difference, one side"),
                (central, "low", "central difference, both sides"),
            )
        ],
    )
)

# %% [markdown]
# `check_gradient` does this along random directions, for a number, an array, or dicts and lists of them. You will want it whenever you write
# a derivative by hand:

# %%
theta = {"w": np.array([0.3, -1.2]), "b": np.array(0.5)}


def three_valleys(params):
    return np.sum(valley(params["w"])) + valley(params["b"])


def slopes_by_hand(params):
    return {name: np.tanh(value) for name, value in params.items()}


check_gradient(three_valleys, slopes_by_hand, theta)

# %% [markdown]
# That one is right. And a wrong one? Here the derivative of $\tanh$ stands in for that of $\log\cosh$ (`ratio` is analytic
# over numeric):


# %%
def slopes_mixed_up(params):
    return {name: 1 - np.tanh(value) ** 2 for name, value in params.items()}


try:  # only so that this page runs through; in your own work the message simply appears
    check_gradient(three_valleys, slopes_mixed_up, theta)
except WrongAnswer as message:
    print(message)

# %% [markdown]
# ## A noisy slope
#
# A network's slope is measured on a few examples at a time, so each measurement is off by chance. Say that it is the true
# slope plus noise $\xi$ of mean 0 and standard deviation $\sigma$, independent of all other steps. On $\tfrac12\theta^2$ the slope is
# $\theta$, so a step and its square are
#
# $$\theta \leftarrow \theta - \alpha(\theta + \xi) = (1 - \alpha)\,\theta - \alpha\xi, \qquad
# \theta^2 \leftarrow (1-\alpha)^2\theta^2 - 2\alpha(1-\alpha)\,\theta\xi + \alpha^2\xi^2 .$$
#
# Now take the mean over many runs, and write $m$ for the mean of $\theta^2$. The noise of this step knows nothing of θ, so the
# term in the middle averages to 0; the last one averages to $\alpha^2\sigma^2$:
#
# $$m \leftarrow (1-\alpha)^2\, m + \alpha^2\sigma^2 .$$
#
# The first part, what is left of the start, dies out (for $0 < \alpha < 2$); the second comes back each step. They balance
# when a step changes nothing: $m = (1-\alpha)^2 m + \alpha^2\sigma^2$, so $m = \alpha\sigma^2/(2 - \alpha)$. At that level the mean
# loss **settles**, from above or, if you start at the minimum, from below. It is called the *noise floor*:
#
# $$\tfrac12 m = \frac{\alpha\,\sigma^2}{2\,(2 - \alpha)} \qquad\text{(about } \tfrac14\alpha\sigma^2 \text{ for small } \alpha\text{)} .$$
#
# In the picture σ = 1, and the shrinking steps are $\alpha_k = 0.5/(1 + k/8)$ in step $k = 0, 1, 2, \dots$

# %%
noisy_descent(large=0.5, small=0.05)

# %% [markdown]
# Large steps arrive soon and stay restless; small steps take long and end closer. So begin large and shrink: that is the
# idea of most *learning-rate schedules*.

# %% [markdown]
# ## Try it
#
# Drag the start. Move α slowly through the limit $2/\lambda_{\max}$, then make the ravine steeper, then add momentum. The flat
# direction has λ = 1 throughout. Two things to find, by moving or by the formulas above: (1) the α at which the path goes
# straight to the long axis of the ravine; (2) the least μ with which α = 0.25 arrives, with steepness 10.

# %%
descent_on_contours()

# %% [markdown]
# Here is every α and μ on one map, for λ = 1 and 20 and a start at (1, 1). Along a line all pairs have the same long-run
# rate (of the distance). Drag the point: on the right is the loss of the descent that it stands for. (3) Which α and μ get
# the loss below 10⁻⁶, the bottom of the picture, and *keep* it there, soonest? First without momentum, then with it. Is it
# where the star is?

# %%
momentum_map()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# (1) α = 1/λmax = 0.1: the factor of the steep direction is 0, so one step removes it. (2) Just above 0.25, where
# 2(1 + μ)/λmax passes α: at 0.25 itself it swings for ever, at 0.30 it arrives. (3) Without momentum about 70 steps, near
# α = 0.092; with it about 20: 19 at α = 0.132 and μ = 0.415. (Other pairs dip below 10⁻⁶ sooner and come up again: at
# α = 0.112 and μ = 0.49 in step 15, but for good only from step 24 on.) The star, α = 0.1336 and μ = 0.4026, is the best pair *in
# the long run* (its rule is under *Further* above). But it lies where the two roots of *Further* are equal, and there a
# descent first makes a detour: exactly on the star it needs 27 steps, and a hair to the side it needs 22 (0.13 and 0.40), or
# 43 (0.135 and 0.40). Rates say how a descent ends, not how it begins.
# </details>

# %% [markdown]
# ## What you should have seen
#
# - The five paths of the prediction: each step multiplies θ by 0.8, 0, −0.8, −1, −1.2; on a hilltop, by more than 1.
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
# No. Below the limit each step multiplies the distance along every direction by a factor below 1 in size, near the minimum
# or far from it, so a descent that converges never leaves again. (That the slope is small near the minimum is no
# protection: above the limit the factor is above 1 there as well.)
# </details>
# <details><summary>B: a wrong sign in the gradient</summary>
#
# No. Uphill steps would raise the loss from the first step on.
# </details>
# <details><summary>C: α is above 2/λmax; the steep direction started small and took twenty steps to be seen</summary>
#
# Yes. The flat directions hold most of the loss and shrink at first. Along the steep one, with a factor such as −1.3, the
# distance grows 190-fold in twenty steps, so its part of the loss 36,000-fold, and that part then dominates.
# </details>
#
# **2. You multiply the loss by 10 and leave α alone. What happens?**
#
# <details><summary>A: the same as if you had multiplied α by 10: the largest stable α is a tenth of what it was</summary>
#
# Yes. All slopes and curvatures are ten times as large, λmax among them. A loss that *sums* over examples instead of
# averaging does just this.
# </details>
# <details><summary>B: nothing, the minimum is at the same place</summary>
#
# The place is the same, the way there is not: all slopes and curvatures are ten times as large.
# </details>
# <details><summary>C: it converges ten times as fast, whatever α was</summary>
#
# Not whatever α was. Flat directions are about ten times as fast, if 10·α·λmax stays below 2, but a steep one may lose: in a
# ravine with λ = 1 and 100 and 10·α·λmax = 1.9 the flat direction is ten times as fast, while the steep one's factor goes
# from 0.81 to −0.9. A little before 2 the steep direction becomes the slow one; above 2 it blows up.
# </details>
#
# **3. A ravine has λ = 1 and λ = 100. Which α makes plain descent quickest?**
#
# <details><summary>A: 1/100, so that the steep direction is solved in one step</summary>
#
# Good, not best: a step then leaves 0.99 of the distance along the flat direction. There is room for almost twice that.
# </details>
# <details><summary>B: 2/101 ≈ 0.0198</summary>
#
# Yes. The distance along both directions then has the rate 99/101 ≈ 0.980; any other α makes one of them slower.
# </details>
# <details><summary>C: 1, so that the flat direction is solved in one step</summary>
#
# It blows up: the steep direction's factor is 1 − 100 = −99.
# </details>

# %% [markdown]
# ## Summary
#
# 1. A step is $\theta \leftarrow \theta - \alpha\nabla L(\theta)$; along each eigenvector of the Hessian it multiplies the distance
#    by the factor $1 - \alpha\lambda_i$, whose size is the rate.
# 2. If all curvatures are positive, it converges when $0 < \alpha < 2/\lambda_{\max}$ and blows up above; the steepest direction
#    sets the limit for all. Along a negative curvature the factor exceeds 1 for every $\alpha$.
# 3. The rate of the slowest direction (of its distance; the loss has the square) is at best $(\kappa - 1)/(\kappa + 1)$, with $\kappa = \lambda_{\max}/\lambda_{\min}$ and $\alpha = 2/(\lambda_{\min} + \lambda_{\max})$.
# 4. Momentum $v \leftarrow \mu v + \nabla L$ raises the limit to $2(1 + \mu)/\lambda_{\max}$ and, well tuned, puts $\sqrt\kappa$ in place of
#    $\kappa$: κ = 100 is then like κ = 10 in the long run (the distance times 0.82 per step), after a detour at the start: 95
#    steps instead of 705.
# 5. On a direction of curvature 1, noise of variance $\sigma^2$ lets the mean loss settle at $\alpha\sigma^2/(2(2 - \alpha))$ (exercise
#    01.5: what do other curvatures change?).
# 6. Central differences check a slope to $O(h^2)$; rounding adds about $10^{-16}/h$. Where $L$ and its
#    derivatives are about 1, take $h$ near $5\cdot10^{-6}$ (float64).

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
#   arXiv:2103.00065: trained with full batches, real networks move to where λmax is about 2/α and stay there. Not what this
#   chapter would predict.
#
# **Now you:** [the exercises of this chapter](../exercises/01_gradient_descent.ipynb). **Next lesson:**
# [02 · Backpropagation](02_backpropagation.ipynb), how `ref.grad` finds such slopes.
