# %% [markdown]
# # 08 · Exercises: MAML in PyTorch
#
# After a warm-up, each of these asks for something that the lesson prepares but does not print. The cell
# `check(…)` below an exercise says whether your function is right and, if not, what it computes instead.
#
# All tensors are float64, and none of those that you are given asks for a gradient: call
# `requires_grad_()` on what you differentiate with `torch.autograd.grad`, or use `torch.func`.
# `loss(params, x, y)` is one number for one task: the mean over the examples that it is given. `params` is a
# dict name → tensor. Do it without `maml_edu.pytorch`, which you are writing a part of: the check tells an answer that
# calls it. The lesson: [08 · MAML in PyTorch](../notebooks/08_maml_in_pytorch.ipynb).
#
# *Core:* 08.1, 08.2, 08.4 and the written question 08.6, about 55 minutes. *Further:* 08.3 and 08.5, about 75. At the
# end, without points, your own functions train a network (that needs 08.1 and 08.3), and you read six curves.

# %%
import torch
from torch.func import grad, grad_and_value, vmap

from maml_edu.checks import check

# %% [markdown]
# ## 08.1 Warm-up: a step that a gradient can pass
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Everything in MAML hangs on this: the inner step is not only a new set of numbers, it is a *function*
# of the old one that you can differentiate. Take one step, $\varphi = \theta - \alpha \nabla L(\theta)$,
# and then the gradient of the weighted sum $\sum w \cdot \varphi$ with respect to θ. (On paper that is
# $w - \alpha H w$: chapter 04's factor, for many parameters.)


# %% nbgrader={"grade": false, "grade_id": "inner_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inner_step(loss, params, x, y, inner_lr, weights):
    """One inner step, and the gradient of Σ weights · φ through it.

    loss(params, x, y): one number. params, weights: dicts of tensors of the same names and shapes.
    Returns (phi, through): two dicts like params, φ and d(Σ weights · φ) / d params.
    """
    ### BEGIN SOLUTION
    params = {name: value.detach().requires_grad_() for name, value in params.items()}
    slope = torch.autograd.grad(loss(params, x, y), list(params.values()), create_graph=True)
    phi = {name: params[name] - inner_lr * g for name, g in zip(params, slope, strict=True)}
    total = sum((weights[name] * phi[name]).sum() for name in phi)
    through = torch.autograd.grad(total, list(params.values()))
    return phi, dict(zip(params, through, strict=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_inner_step", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08.inner_step", inner_step)
### BEGIN HIDDEN TESTS
check("08.inner_step", inner_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Two gradients are asked for, one inside the other. The inner one has to remember how it was computed; the
# outer one is taken with respect to the *old* parameters.
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# One number instead of a dict. For $f(u) = u^3$ and $v = u - 0.1 f'(u)$, the derivative $dv/du = 1 - 0.6u$:
#
# ```python
# u = torch.tensor(2.0, requires_grad=True)
# (slope,) = torch.autograd.grad(u**3, u, create_graph=True)
# v = u - 0.1 * slope
# torch.autograd.grad(v, u)   # (tensor(-0.2000),)
# ```
#
# </details>

# %% [markdown]
# ## 08.2 An inner loop with momentum
#
# *difficulty 2/5 · 15 minutes · 4 points*
#
# MAML differentiates through *any* inner optimiser, as long as every line of it can be differentiated.
# `torch.optim.SGD(momentum=0.9)`, as usually called, cannot: it changes leaves. So write heavy-ball momentum, which chapter 01
# introduced, as pure functions. With the velocity $v_0 = 0$,
#
# $$v_{k+1} = \mu v_k + \nabla L_{\text{S}}(\varphi_k), \qquad \varphi_{k+1} = \varphi_k - \alpha v_{k+1}.$$
#
# The velocity depends on θ, too. Before you run the check, write down: for which number of steps does a
# *detached* velocity $v_k$ (the slope keeps its history) give the wrong meta-gradient?


# %% nbgrader={"grade": false, "grade_id": "meta_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meta_gradient(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, momentum
):
    """(query loss at φ, its gradient with respect to params) for ONE task, with momentum in the inner loop.

    φ: params after `inner_steps` (0 or more) steps of heavy-ball descent on the support set, as in the
    equations above; `momentum` is μ. Returns (a number, a dict like params).
    """

    ### BEGIN SOLUTION
    def query_loss(theta):
        phi, velocity = theta, dict.fromkeys(theta, 0.0)
        for _ in range(inner_steps):
            slope = grad(loss)(phi, support_x, support_y)
            velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
            phi = {name: phi[name] - inner_lr * velocity[name] for name in phi}
        return loss(phi, query_x, query_y)

    slopes, value = grad_and_value(query_loss)(params)
    return value, slopes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_meta_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("08.meta_gradient", meta_gradient)
### BEGIN HIDDEN TESTS
check("08.meta_gradient", meta_gradient, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write an inner function `query_loss(theta)` that does all of it and returns one number. What you return
# is its value and its gradient. The velocity is a second dict, next to φ, that starts again for each call.
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# A running mean of squares in place of a velocity, for one number `u`, two steps, differentiated with
# respect to the start:
#
# ```python
# def end(u):
#     mean = 0.0
#     for _ in range(2):
#         mean = 0.5 * mean + 0.5 * u**2     # a new value each time, nothing in place
#         u = u - 0.1 * mean
#     return u
#
# grad_and_value(end)(torch.tensor(2.0))     # the gradient first, then the value
# ```
#
# </details>
# <details><summary>Answer: from how many steps on is a detached velocity wrong?</summary>
#
# From two. In the first step $v_0 = 0$ has nothing to detach. As with the lesson's stale slope, a test
# with one inner step acquits it.
#
# </details>

# %% [markdown]
# ## 08.3 Tasks of unequal size, all at once
#
# *difficulty 3/5 · 25 minutes · 4 points*
#
# `vmap` needs tensors, and a tensor needs tasks of one size. When one task has three support examples and
# another has five, the shorter one is **padded**: rows of any numbers fill it up, at the end or anywhere between, and
# a mask says which rows count. Take one inner step per task, on the mean loss of its *real* support examples, and then the gradient of the
# mean query loss. Do without a Python loop over tasks or examples. (The check cannot see a loop. With four tasks
# your clock would hardly notice one either; with a hundred it would.)


# %% nbgrader={"grade": false, "grade_id": "all_tasks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def all_tasks(loss, params, support_x, support_y, support_mask, query_x, query_y, inner_lr):
    """(query loss of every task after ONE inner step, gradient of their mean), padded tasks, with vmap.

    support_x, support_y (tasks, shots, …); support_mask (tasks, shots): 1.0 for a real example, 0.0 for
    padding, which may stand anywhere, at least one example per task; query_x, query_y (tasks, queries, …), without padding. Every task
    adapts from the same params, on its own support set. Returns (tensor (tasks,), dict like params).
    """

    ### BEGIN SOLUTION
    def support_loss(theta, x, y, mask):
        each = vmap(loss, in_dims=(None, 0, 0))(theta, x[:, None], y[:, None])  # (shots,)
        return (mask * each).sum() / mask.sum()

    def query_loss(theta, x, y, mask, query_x, query_y):
        slope = grad(support_loss)(theta, x, y, mask)
        phi = {name: theta[name] - inner_lr * slope[name] for name in theta}
        return loss(phi, query_x, query_y)

    each_task = vmap(grad_and_value(query_loss), in_dims=(None, 0, 0, 0, 0, 0))
    slopes, losses = each_task(params, support_x, support_y, support_mask, query_x, query_y)
    return losses, {name: slope.mean(0) for name, slope in slopes.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_all_tasks", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("08.all_tasks", all_tasks)
### BEGIN HIDDEN TESTS
check("08.all_tasks", all_tasks, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `loss` averages over the examples that it gets, padding included, so it must never see two rows together
# of which one is padding. Asked for *one* row, `loss(params, x[i : i + 1], y[i : i + 1])`, it says what this
# example loses. All rows at once: `vmap` again, inside the other one.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Build it from the inside out, and test each part on one task: the loss of each row; their masked mean; its
# gradient and the step; the query loss of one task. Only then `vmap(grad_and_value(…))` over the tasks.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# The mean length of the real vectors of each of several sets, sets (sets, rows, 3) and mask (sets, rows), with a
# `vmap` inside a `vmap`:
#
# ```python
# length = lambda row: (row**2).sum().sqrt()
# mean_length = lambda rows, mask: (mask * vmap(length)(rows)).sum() / mask.sum()
# vmap(mean_length)(sets, mask)      # (sets,)
# ```
#
# </details>

# %% [markdown]
# ## 08.4 Bug hunt: three in one
#
# *difficulty 3/5 · 20 minutes · 5 points*
#
# The next function runs, and a network trained with it gets better. It has **three** bugs, none of which the
# lesson has shown. Each alone gives another gradient, and the check names those that are left. Find
# them and write the repaired function.


# %%
def broken(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """Supposed to be: (mean query loss after adaptation, meta-gradient) over the tasks of a batch."""
    params = {name: value.detach().requires_grad_() for name, value in params.items()}
    names, leaves, mean = list(params), list(params.values()), None
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            slopes = torch.autograd.grad(loss(phi, sx, sy), leaves, create_graph=True)
            # biases are only added, so their slopes have no second derivative: save the memory
            slopes = [g.detach() if g.ndim < 2 else g for g in slopes]
            phi = {name: phi[name] - inner_lr * g for name, g in zip(names, slopes, strict=True)}
        query_loss = loss(phi, qx, qy)
        mean = query_loss if mean is None else (mean + query_loss) / 2
    return mean.detach(), dict(zip(names, torch.autograd.grad(mean, leaves), strict=True))


# %% nbgrader={"grade": false, "grade_id": "repaired", "locked": false, "schema_version": 3, "solution": true, "task": false}
def repaired(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """(mean query loss after adaptation, its gradient with respect to params) over the tasks of a batch.

    support_x, support_y (tasks, shots, …); query_x, query_y (tasks, queries, …); inner_steps ≥ 1.
    Returns (a number, a dict like params).
    """
    ### BEGIN SOLUTION
    params = {name: value.detach().requires_grad_() for name, value in params.items()}
    names, total = list(params), 0.0
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            value = loss(phi, sx, sy)
            slopes = torch.autograd.grad(value, list(phi.values()), create_graph=True)
            phi = {name: phi[name] - inner_lr * g for name, g in zip(names, slopes, strict=True)}
        total = total + loss(phi, qx, qy)
    mean = total / len(support_x)
    slopes = torch.autograd.grad(mean, list(params.values()))
    return mean.detach(), dict(zip(names, slopes, strict=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_repaired", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("08.repaired", repaired)
### BEGIN HIDDEN TESTS
check("08.repaired", repaired, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Make the problem smaller, and see when the bugs go away: one of them is right for one inner step, another
# one for one or two tasks. The third is there even then, and its excuse is false.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Ask each line: with respect to *which* parameters is this derivative taken? Which history is thrown away,
# and is it really zero? How much does each task weigh at the end? (Write the weights down for three tasks.)
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# In `hidden = torch.tanh(x @ w + b)` the bias is "only added", too. Yet the slope of
# `(hidden ** 2).sum()` with respect to `b` depends on `w` and on `b`. Take that slope with `create_graph=True` and print its
# `grad_fn`, or ask `torch.func.hessian` for the second derivatives of the function.
#
# </details>

# %% [markdown]
# ## 08.5 The bug that the curve does not show
#
# *difficulty 4/5 · 50 minutes · 6 points*
#
# You may not see the program. Its loss curve is the one you would expect. All you get is one gradient that it
# computed, for one task whose data you have. It was made by one of these programs, all with K = `inner_steps`:
#
# | answer | what the program does |
# | --- | --- |
# | `("right", None)` | the meta-gradient |
# | `("truncated", k)` | the slopes of the *first* k inner steps are constants, 1 ≤ k ≤ K ("saves memory"; k = K is first-order) |
# | `("detached", name)` | in every step the slope of the parameter `name` is a constant, the others are not |
# | `("left out", name)` | the parameter `name` takes no inner step (it was forgotten in a list) |
# | `("decay", λ)` | each inner slope is $\nabla L_{\text{S}}(\varphi_k) + \lambda \varphi_k$, with a λ between 10⁻⁴ and 0.05 that nobody tells you: a forgotten `weight_decay` |
#
# Say which, and with which k, name or λ (to three significant digits). Most of the differences are large. That of a
# forgotten decay is often a thousandth of the gradient or less; in float64 even that is far above rounding. A curve by
# itself, with no right one next to it, shows none of them. (Please do not call `diagnose_meta_gradient`: you are about to write a part of it.)


# %% nbgrader={"grade": false, "grade_id": "which_bug", "locked": false, "schema_version": 3, "solution": true, "task": false}
def which_bug(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, gradient
):
    """Which program made `gradient`: (kind, detail) as in the table above, such as ("truncated", 2).

    gradient: a dict like params, what the program says is the gradient of the query loss after `inner_steps`
    steps of plain descent, for the ONE task given. support_x (shots, …), query_x (queries, …).
    """

    ### BEGIN SOLUTION
    def made_by(truncated=0, detached=None, left_out=None, decay=0.0):
        """The gradient of the program with this bug, as one long vector."""

        def query_loss(theta):
            phi = theta
            for step in range(inner_steps):
                slope = grad(loss)(phi, support_x, support_y)
                for name in slope:
                    if step < truncated or name == detached:
                        slope[name] = slope[name].detach()
                rates = {name: 0.0 if name == left_out else inner_lr for name in phi}
                phi = {n: phi[n] - rates[n] * (slope[n] + decay * phi[n]) for n in phi}
            return loss(phi, query_x, query_y)

        return flat(grad(query_loss)(params))

    flat = lambda tensors: torch.cat([tensors[name].flatten() for name in params])
    target = flat(gradient)
    suspects = [("right", None, {})]
    suspects += [("truncated", k, {"truncated": k}) for k in range(1, inner_steps + 1)]
    suspects += [("detached", name, {"detached": name}) for name in params]
    suspects += [("left out", name, {"left_out": name}) for name in params]
    for kind, detail, bug in suspects:
        if (made_by(**bug) - target).norm() < 1e-9 * target.norm():
            return kind, detail
    decay = 0.0
    for _ in range(20):  # Newton: the λ for which the two vectors agree
        here, ahead = made_by(decay=decay), made_by(decay=decay + 1e-6)
        change = (ahead - here) / 1e-6
        decay += (change @ (target - here) / (change @ change)).item()
    return "decay", decay
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_which_bug", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
check("08.which_bug", which_bug)
### BEGIN HIDDEN TESTS
check("08.which_bug", which_bug, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Do not look for properties of the gradient ("shorter", "nearly parallel"). Write one function that computes the gradient
# of *each* program, with the bug as an argument, and compare numbers. In what order do you ask, if one suspect has
# a free number?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `.detach()` works inside `torch.func.grad`, too: what is detached counts as a constant. The value of φ stays the same. For
# λ, the gradient is a smooth function of one number, and you look for the number where it meets a given
# vector.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# For which rate $r$ is `curve(r) = torch.stack([(1 + r) ** 2, (1 + r) ** 3])` equal to `target`? Newton's method, with
# the projection onto the direction in which the curve moves:
#
# ```python
# r = 0.0
# for _ in range(20):
#     change = (curve(r + 1e-6) - curve(r)) / 1e-6
#     r += (change @ (target - curve(r)) / (change @ change)).item()
# ```
#
# What is left over, `(curve(r) - target).norm()`, says whether there is such an $r$ at all.
#
# </details>

# %% [markdown]
# ## 08.6 In your own words
#
# *Written question, marked by a person · difficulty 2/5 · 10 minutes · 3 points.* A colleague's MAML trains without an error, and its
# loss falls. They ask: "How do I know that the second order is on?" Describe two different tests, say for
# each what it would show if the second order were off, and name one bug that each of them would **not**
# find. (A point each: two tests that really tell second from first order; what each shows when it is off; what each
# misses. If you learn on your own: write your answer first, and then mark it with the model answer and the rubric in
# [the solutions](../solutions/08_maml_in_pytorch.ipynb).)

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_08", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Finite differences:* move θ a little along a random direction, compute the meta-loss
# (adaptation included) on both sides, and compare the difference quotient with the gradient's component.
# If the second order is off they disagree, by far more than rounding in float64. Not found: a wrong
# meta-loss that is rightly differentiated, such as the query loss taken on the support set, a sum over
# tasks or a stale slope. *Comparison with an independent implementation* (NumPy, or
# `diagnose_meta_gradient`) on a small problem: off, the result equals the first-order gradient. Not
# found: what happens outside the gradient, such as θ changed in place or the step applied to φ;
# nothing that needs larger settings than those tested (one step: a stale slope; α near 0: everything).
# *Also right:* look at the graph (`slope.requires_grad` is False when the keyword is missing), which does
# not find a slope that is detached later, wrong data or a wrong scale; or differentiate $\sum\varphi$ with respect to θ (all
# ones when it is off), which does not find the last two; or compare with
# `first_order=True`: equal results mean that it is off.
#
# **Rubric.** 1 point: two tests that really tell second from first order ("the loss falls" or "no
# error" does not). 1 point: for each, what is seen when it is off. 1 point: for each, a bug that it
# misses. Half a point each where one of the two is missing.

# %% [markdown]
# ## 08.7 Train with your own functions
#
# *No points; the curve is the reward. It needs 08.1 and 08.3.* Your `all_tasks` makes the gradient and `torch.optim.Adam`
# takes the step, 300 times (about 20 s).
# Then your `inner_step` adapts to 200 waves that nobody has seen. In the training nothing but the sine
# waves comes from `maml_edu`; the second cell draws.

# %%
import os

import numpy as np
from torch import nn
from torch.func import functional_call

from maml_edu.tasks import Sinusoids

torch.manual_seed(8)
network = nn.Sequential(
    nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
).double()
theta = dict(network.named_parameters())
waves = Sinusoids(shots=10)


def wave_loss(params, x, y):
    return ((functional_call(network, params, (x,)) - y) ** 2).mean()


def train(iterations=300, alpha=0.01, beta=0.005):
    """The meta-loss of every iteration; θ is trained in place by Adam (seed 8, 25 waves an iteration)."""
    optimiser, rng, history = (
        torch.optim.Adam(theta.values(), lr=beta),
        np.random.default_rng(8),
        [],
    )
    for _ in range(iterations):
        sx, sy, qx, qy = waves.sample(rng, tasks=25).map(torch.tensor).arrays
        values = {name: parameter.detach() for name, parameter in theta.items()}
        losses, slopes = all_tasks(
            wave_loss, values, sx, sy, torch.ones_like(sx[..., 0]), qx, qy, alpha
        )
        for name, parameter in theta.items():
            parameter.grad = slopes[name].detach()
        optimiser.step()
        history.append(losses.mean().item())
    return history


# %%
from maml_edu.figures import Curve, Scene, draw


def adapted_error(tasks=200, alpha=0.01):
    """Mean squared error on the queries of new waves: [before, after] one of your inner steps."""
    errors, start = [], {name: parameter.detach() for name, parameter in theta.items()}
    for sx, sy, qx, qy in waves.sample(np.random.default_rng(9), tasks=tasks).map(torch.tensor):
        phi, _ = inner_step(wave_loss, start, sx, sy, alpha, start)
        errors.append([wave_loss(params, qx, qy).item() for params in (start, phi)])
    return np.mean(errors, axis=0)


def your_curve(history, before, after):
    smooth = np.convolve(history, np.ones(20) / 20, mode="valid")
    return Scene(
        title=f"Your MAML: error {before:.2f} before one inner step, {after:.2f} after it",
        alt="The meta-loss of 300 iterations of training with your own functions, mean of 20.",
        xlabel="outer iteration",
        ylabel="meta-loss (mean of 20)",
        xlim=(0, len(history)),
        ylim=(0, 1.1 * smooth.max()),
        curves=[
            Curve(np.arange(20, len(history) + 1), smooth, "maml", "trained with your all_tasks")
        ],
    )


# %%
picture = None
try:
    if "NBGRADER_EXECUTION" not in os.environ:  # while work is graded nobody waits for a picture
        history = train()
        picture = draw(your_curve(history, *adapted_error()))
except NotImplementedError:
    print("First write 08.1 and 08.3. Then this cell trains with them.")
picture

# %% [markdown]
# To try: replace `all_tasks` by a function that calls your `repaired` (one task after the other, several inner
# steps), or call `.detach()` on the slope inside `all_tasks` and see whether the curve tells you.
#
# ## 08.8 Six curves, four programs
#
# *No points; 10 minutes.* A good training log has more than one curve. Take the loss **before** adaptation on the support
# set, **after** adaptation on the support set, and after adaptation on the query set, each for the tasks of
# training and for new tasks (validation): six curves, and each *comparison* of two of them answers another
# question. Four programs log what they compute (300 iterations of 25 sine waves, 5 shots, seed 8; about half a minute); lines are the tasks
# of training, marks are 100 new tasks; where a curve seems to be missing, it lies under another. One is right. One judges on the support set. One
# seeds its sampler inside the training loop. One steps with a copy of the parameters and forgets to use it. Which is which,
# and which two curves told you?

# %%
from maml_edu.figures import six_curves

six_curves()

# %% [markdown]
# <details><summary>Answer</summary>
#
# - **A seeds its sampler inside the loop.** *Query after, training against new tasks:* about 0.75 and 2.3 at the end. It has
#   learned 25 waves by heart. From iteration 100 on new tasks even get worse on their support sets while those of training
#   get better.
# - **B forgets its copy.** *Support, before against after:* the same curve, in training and on new tasks. Adaptation
#   does nothing, so this is ordinary training, and it ends between 3.0 and 3.2, the error of always answering with the average wave.
# - **C is right.** Before is far above after: adaptation works. Query after is above support after, 1.77 and 1.00: the
#   price of five examples. Training and new tasks agree.
# - **D judges on the support set.** *After, support against query:* the same curve. No set of numbers that were
#   not used for adaptation is anywhere in this log, so training and new tasks agree as well.
#
# Ordered by the last value of the curve that most programs print, query after in training: A and D near 0.8, C 1.77,
# B 3.19. The right program is third. (A, which runs through the same waves 300 times, ends a little elsewhere on another machine.)
#
# </details>
