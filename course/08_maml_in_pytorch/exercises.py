# %% [markdown]
# # 08 · Exercises: MAML in PyTorch
#
# Each cell `check(…)` says whether your function is right and, if not, what it computes instead.
# All tensors are float64, and none of those you are given asks for a gradient: call
# `requires_grad_()` on what you differentiate with `torch.autograd.grad`, or use `torch.func`.
# `loss(params, x, y)` is one number for one task; `params` a dict name → tensor. The lesson:
# [08 · MAML in PyTorch](../notebooks/08_maml_in_pytorch.ipynb).

# %%
import torch
from torch.func import grad, grad_and_value, vmap

from maml_edu.checks import check

# %% [markdown]
# ## 08.1 A step that a gradient can pass
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
# `torch.autograd.grad(value, list(params.values()), create_graph=True)` gives the slopes in the order of
# the dict, as tensors that remember how they were computed.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Build φ as a new dict; change nothing in place. Then a second `torch.autograd.grad`, of
# `sum((weights[n] * phi[n]).sum() for n in phi)`, with respect to the *old* parameters. With
# `torch.func`: `grad(lambda p: …)(params)` around a function that takes the step.
#
# </details>

# %% [markdown]
# ## 08.2 The meta-gradient of one task
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# Several inner steps on the support set, the loss on the query set, its gradient with respect to θ. With
# this function you can write MAML in any PyTorch project.


# %% nbgrader={"grade": false, "grade_id": "meta_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meta_gradient(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """(query loss at φ, its gradient with respect to params) for ONE task.

    φ: params after `inner_steps` (0 or more) gradient steps on the support set, each at the
    parameters that the step before has reached. Returns (a number, a dict like params).
    """

    ### BEGIN SOLUTION
    def query_loss(theta):
        phi = theta
        for _ in range(inner_steps):
            slope = grad(loss)(phi, support_x, support_y)
            phi = {name: phi[name] - inner_lr * slope[name] for name in phi}
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
# is its value and its gradient.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `grad(loss)(phi, support_x, support_y)` is a dict like `phi`, and can be differentiated again.
# `grad_and_value(query_loss)(params)` returns the gradient first, then the value.
#
# </details>

# %% [markdown]
# ## 08.3 All tasks at once
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# A Python loop over 32 tasks launches everything 32 times. `vmap` runs the same code once, on tensors with
# a leading task axis: this is where the speed of `maml_edu.pytorch` comes from. No loop over tasks,
# please (the check cannot see one; your clock can).


# %% nbgrader={"grade": false, "grade_id": "all_tasks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def all_tasks(loss, params, support_x, support_y, query_x, query_y, inner_lr):
    """(query loss of every task after ONE inner step, gradient of their mean), with vmap.

    support_x, support_y (tasks, shots, …); query_x, query_y (tasks, queries, …). Every task adapts
    from the same params, on its own support set. Returns (tensor (tasks,), dict like params).
    """

    ### BEGIN SOLUTION
    def query_loss(theta, support_x, support_y, query_x, query_y):
        slope = grad(loss)(theta, support_x, support_y)
        phi = {name: theta[name] - inner_lr * slope[name] for name in theta}
        return loss(phi, query_x, query_y)

    each_task = vmap(grad_and_value(query_loss), in_dims=(None, 0, 0, 0, 0))
    slopes, losses = each_task(params, support_x, support_y, query_x, query_y)
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
# Write `query_loss(theta, sx, sy, qx, qy)` for one task first. `in_dims` says for each argument which axis
# counts the tasks; `None` is for what all tasks share.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `vmap(grad_and_value(query_loss), in_dims=(None, 0, 0, 0, 0))(params, support_x, …)` returns the gradients
# of all tasks, a dict of tensors with a task axis in front, and the losses, of shape (tasks,). Which of the
# two do you still have to average?
#
# </details>

# %% [markdown]
# ## 08.4 Bug hunt: three in one
#
# *difficulty 4/5 · 20 minutes · 5 points*
#
# The next function runs, and a network trained with it gets better. It has **three** bugs. Find them and
# write the repaired function. Each bug alone gives another gradient, and the check names those that
# are left.


# %%
def broken(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """Supposed to be: (mean query loss after adaptation, meta-gradient) over the tasks of a batch."""
    params = {name: value.detach().requires_grad_() for name, value in params.items()}
    total = 0.0
    for task in range(len(support_x)):
        x, y, phi = support_x[task], support_y[task], params
        for _ in range(inner_steps):
            slope = torch.autograd.grad(loss(phi, x, y), list(phi.values()))
            phi = {name: phi[name] - inner_lr * g for name, g in zip(phi, slope, strict=True)}
        total = total + loss(phi, x, y)
    slopes = torch.autograd.grad(total, list(params.values()))
    return total.detach(), dict(zip(params, slopes, strict=True))


# %% nbgrader={"grade": false, "grade_id": "repaired", "locked": false, "schema_version": 3, "solution": true, "task": false}
def repaired(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """(mean query loss after adaptation, its gradient with respect to params) over the tasks of a batch.

    support_x, support_y (tasks, shots, …); query_x, query_y (tasks, queries, …); inner_steps ≥ 1.
    Returns (a number, a dict like params).
    """
    ### BEGIN SOLUTION
    params = {name: value.detach().requires_grad_() for name, value in params.items()}
    total = 0.0
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            value = loss(phi, sx, sy)
            slope = torch.autograd.grad(value, list(phi.values()), create_graph=True)
            phi = {name: phi[name] - inner_lr * g for name, g in zip(phi, slope, strict=True)}
        total = total + loss(phi, qx, qy)
    mean = total / len(support_x)
    slopes = torch.autograd.grad(mean, list(params.values()))
    return mean.detach(), dict(zip(params, slopes, strict=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_repaired", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("08.repaired", repaired)
### BEGIN HIDDEN TESTS
check("08.repaired", repaired, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Ask each line the lesson's questions: does this tensor have a history? Which examples does it see? Does
# it depend on the number of tasks?
#
# </details>
# <details><summary>Hint 2</summary>
#
# One bug is in the line of the inner slope (a keyword), one in the line that adds to `total` (two
# names), one is a division that is missing.
#
# </details>

# %% [markdown]
# ## 08.5 In your own words
#
# *Written question, marked by a person · 3 points.* A colleague's MAML trains without an error, and its
# loss falls. They ask: "How do I know that the second order is on?" Describe two different tests, say for
# each what it would show if the second order were off, and name one bug that each of them would **not**
# find.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_08", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Finite differences:* move θ a little along a random direction, compute the meta-loss
# (adaptation included) on both sides, and compare the difference quotient with the gradient's component.
# If the second order is off they disagree, by far more than rounding in float64. Not found: a wrong
# meta-loss that is rightly differentiated, such as the query loss taken on the support set, a sum over
# tasks or a stale slope. *Comparison with an independent implementation* (NumPy, or
# `diagnose_meta_gradient`) on a small problem: off, the result equals the first-order gradient. Not
# found: what happens outside the gradient, such as θ changed in place or the step applied to φ;
# nothing that needs larger settings than those tested (one step: a stale slope; α near 0: everything).
# *Also right:* look at the graph (`slope.requires_grad` is False when it is off), which does not find
# wrong data or a wrong scale; or compare with `first_order=True`: equal results mean that it is off.
#
# **Rubric.** 1 point: two tests that really tell second from first order ("the loss falls" or "no
# error" does not). 1 point: for each, what is seen when it is off. 1 point: for each, a bug that it
# misses. Half a point each where one of the two is missing.
