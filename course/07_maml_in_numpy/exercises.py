# %% [markdown]
# # 07 · Exercises: MAML in NumPy
#
# Algorithm 1 in four functions: the inner loop, one turn of the outer loop, more inner steps at test time than in training,
# and the mean with its interval; then a question to answer in words. Replace `raise NotImplementedError()`, run the cell,
# then run the check below it: it says whether, and if not, which mistake it was. The lesson is
# [here](../notebooks/07_maml_in_numpy.ipynb).
#
# Everywhere `loss(params, x, y)` is one number for **one** task, `params` a dict of arrays, and arrays of several tasks have a
# leading axis that counts tasks. `ref.grad(f)(params, …)` is the gradient, a dict like `params`. Please do not call
# `ref.meta_gradient`: you are about to write it.

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 07.1 The inner loop
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Lines 4 to 7 of Algorithm 1: adapt to every task of a batch. Each task gets its own copy of the same beginning, and that is
# where home-made MAML goes wrong without a word: code that changes `params` in passing hands the second task what the
# first one has learned.


# %% nbgrader={"grade": false, "grade_id": "inner_loop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inner_loop(loss, params, support_x, support_y, inner_lr, inner_steps):
    """The adapted parameters φ of every task: a list of dicts like params, in the order of the tasks.

    params: dict name → array, θ. support_x (tasks, shots, inputs), support_y (tasks, shots, outputs).
    inner_lr: α, a number; inner_steps: how many steps of gradient descent, each from where the last
    one of this task ended. params itself stays as it is.
    """
    ### BEGIN SOLUTION
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            slope = ref.grad(loss)(phi, x, y)
            phi = {name: value - inner_lr * slope[name] for name, value in phi.items()}
        adapted.append(phi)
    return adapted
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_inner_loop", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.inner_loop", inner_loop)
### BEGIN HIDDEN TESTS
check("07.inner_loop", inner_loop, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Two loops: over the tasks, and inside it over the steps. What has to be set anew at the beginning of each task?
# </details>
# <details><summary>Hint 2</summary>
#
# `phi = params` at the start of a task, then in each step a **new** dict
# `{name: value - inner_lr * slope[name] for name, value in phi.items()}`, with the slope taken at `phi`.
# `phi[name] -= …` would change the arrays of `params`.
# </details>

# %% [markdown]
# ## 07.2 One turn of the outer loop
#
# *difficulty 3/5 · 20 minutes · 4 points*
#
# Line 8: move θ so that what the inner loop makes of it gets better. Plain gradient descent with the rate β; the loss is the
# **mean** over the tasks of the query loss at φ, and the gradient is taken with respect to θ, through the inner steps.


# %% nbgrader={"grade": false, "grade_id": "outer_loop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def outer_loop(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    """θ after one meta-update, θ − β ∇θ mean over tasks of the query loss at φ: a dict like params.

    support_x (tasks, shots, inputs), support_y (tasks, shots, outputs), query_x and query_y alike with
    another number of examples. inner_lr: α; meta_lr: β, numbers.
    `ref.adapt(loss, theta, x, y, inner_lr, inner_steps)` is the inner loop of one task, if you like.
    """

    ### BEGIN SOLUTION
    def meta_loss(theta):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps), qx, qy)
            for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True)
        ]
        return sum(losses) / len(losses)

    slope = ref.grad(meta_loss)(params)
    return {name: value - meta_lr * slope[name] for name, value in params.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_outer_loop", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("07.outer_loop", outer_loop)
### BEGIN HIDDEN TESTS
check("07.outer_loop", outer_loop, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a function of θ alone that returns the mean query loss after adaptation. The rest is `ref.grad` of it. Collect the
# losses in a list and take `sum(losses) / len(losses)`: `np.mean` of a list stops `ref.grad` with an error.
# </details>
# <details><summary>Hint 2</summary>
#
# If you adapt first and call `ref.grad(loss)(phi, …)` afterwards, you have the gradient at φ, and the path from θ to φ is
# lost: the call of `ref.adapt` belongs **inside** the function that is differentiated.
# </details>

# %% [markdown]
# ## 07.3 More steps at test time
#
# *difficulty 2/5 · 15 minutes · 3 points*
#
# The paper's network is trained with one inner step and tested with ten. So a test wants the query loss after **each** step: the
# curve of the lesson, one row a task.


# %% nbgrader={"grade": false, "grade_id": "more_steps_at_test", "locked": false, "schema_version": 3, "solution": true, "task": false}
def more_steps_at_test(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    """Query losses (tasks, test_steps + 1): of each task before the first step and after each of them.

    Shapes as in 07.2. Column 0 is the loss at params, column k that after k steps on the support set.
    """
    ### BEGIN SOLUTION
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi, curve = params, [loss(params, qx, qy)]
        for _ in range(test_steps):
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)
            curve.append(loss(phi, qx, qy))
        curves.append(curve)
    return np.array(curves)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_more_steps_at_test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.more_steps_at_test", more_steps_at_test)
### BEGIN HIDDEN TESTS
check("07.more_steps_at_test", more_steps_at_test, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# With `test_steps = 10` there are eleven numbers a task. The first of them needs no adaptation.
# </details>
# <details><summary>Hint 2</summary>
#
# Take one step at a time: `phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)`, and append `loss(phi, qx, qy)`. Start again at
# `params` for every task.
# </details>

# %% [markdown]
# ## 07.4 Mean and interval
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# 600 tasks give 600 curves. What belongs in a table is their mean and how far the mean may be from the truth: half the width of
# its 95 % confidence interval, $1.96\, s/\sqrt n$, with $s$ the standard deviation over the tasks (dividing by $n - 1$).


# %% nbgrader={"grade": false, "grade_id": "evaluate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evaluate(losses):
    """{"mean": (steps + 1,), "ci95": (steps + 1,)} of the query losses (tasks, steps + 1).

    ci95: half the width of the 95 % confidence interval of each mean, 1.96 standard errors.
    """
    ### BEGIN SOLUTION
    error = losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    return {"mean": losses.mean(axis=0), "ci95": 1.96 * error}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_evaluate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.evaluate", evaluate)
### BEGIN HIDDEN TESTS
check("07.evaluate", evaluate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The mean is over tasks, which are the rows. How does the uncertainty of a mean shrink with their number?
# </details>
# <details><summary>Hint 2</summary>
#
# `losses.std(axis=0, ddof=1) / np.sqrt(len(losses))` is the standard error of the mean.
# </details>

# %% [markdown]
# ## 07.5 In your own words
#
# *3 points, read by a person*
#
# The pretrained network and MAML's network have the same architecture, have seen the same waves, and have about the same error
# before adaptation. Explain in about six sentences (a) what the pretrained network has learned, and why more training
# would not help it; (b) why a gradient step on five points helps MAML's network so much more; (c) why the baseline
# was given a step size of its own, and what the comparison would be worth without that.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_07", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** (a) For one input the waves want different outputs, and the squared error is least at their mean: the pretrained
# network has learned the average wave. Its error, about 3.0, is the spread of the waves about their average, which
# no function of x alone can get below; more training or a larger network leaves it where it is. (b) Pretraining only asks that the
# outputs at θ be good; how they change when θ moves is left to chance. MAML's meta-loss is taken after the step, and its
# gradient goes through the step, so it shapes exactly that: the gradient on a few points moves the whole curve in the ways in which
# waves differ (height and position), also where there are no points. (c) A rate that suits MAML, with which it was trained,
# need not suit the other network: too small a rate makes it look rigid, too large a one makes it blow up. Without tuning on
# separate tasks, the difference might be one of step sizes and not of starting points.
#
# **Rubric.** 1 point: the average of the tasks, and that the remaining error is a property of the tasks, not of training.
# 1 point: MAML's loss is taken after the step (or: the gradient through the step shapes how outputs respond to it).
# 1 point: a fair comparison gives each method its best rate, chosen on other tasks than those reported.
