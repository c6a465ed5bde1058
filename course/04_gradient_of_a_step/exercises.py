# %% [markdown]
# # 04 · Exercises: the gradient of a gradient step
#
# Four short functions about $L(\theta) = \tfrac12 a(\theta - c)^2$ and one step $\varphi = \theta - \alpha a(\theta - c)$,
# and a question to answer in words. Replace `raise NotImplementedError()`, run the cell, then run the check below it: it says
# whether, and if not, which mistake it was. The lesson is [here](../notebooks/04_gradient_of_a_step.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 04.1 The meta-gradient by hand
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# The formula on which everything else rests. Work it out on paper first: the loss after the step, as a function of θ,
# differentiated by the chain rule.


# %% nbgrader={"grade": false, "grade_id": "meta_slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meta_slope(theta, c, a, alpha):
    """dL(φ)/dθ: the slope of the loss after one step with respect to where the step began.

    theta, c, a, alpha: numbers (start, minimum, curvature, inner rate). Returns a number.
    """
    ### BEGIN SOLUTION
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha * a) * a * (phi - c)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_meta_slope", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.meta_slope", meta_slope)
### BEGIN HIDDEN TESTS
check("04.meta_slope", meta_slope, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Two factors: how the loss changes with φ, and how φ changes with θ.
# </details>
# <details><summary>Hint 2</summary>
#
# $\varphi = \theta - \alpha a(\theta - c)$, so $d\varphi/d\theta = 1 - \alpha a$; and the slope of the loss is taken at φ.
# </details>

# %% [markdown]
# ## 04.2 The same by finite differences
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# A formula for one loss is good; a measurement for any loss is what you check your own MAML with. Move the **start** by
# ±h, take the inner step from there, and compare the losses after it.


# %% nbgrader={"grade": false, "grade_id": "numeric_meta_slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def numeric_meta_slope(loss, theta, alpha, h):
    """dL(φ)/dθ by a central difference with step h, for any loss of one number.

    loss: a function of one number; theta, alpha, h: numbers. The inner step is
    φ = θ − alpha · L'(θ), with L' from `ref.grad(loss)`. Returns a number.
    """

    ### BEGIN SOLUTION
    def loss_after_step(start):
        return loss(start - alpha * ref.grad(loss)(start))

    return (loss_after_step(theta + h) - loss_after_step(theta - h)) / (2 * h)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_numeric_meta_slope", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.numeric_meta_slope", numeric_meta_slope)
### BEGIN HIDDEN TESTS
check("04.numeric_meta_slope", numeric_meta_slope, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a small function of the start alone, which steps and returns the loss after the step. Then difference *that*.
# </details>
# <details><summary>Hint 2</summary>
#
# Central difference: $\frac{M(\theta + h) - M(\theta - h)}{2h}$ with $M(\theta) = L(\theta - \alpha L'(\theta))$. The inner
# slope must be taken anew at θ + h and at θ − h.
# </details>

# %% [markdown]
# ## 04.3 The sign flip
#
# *difficulty 2/5 · 5 minutes · 2 points*
#
# When may you trust the first-order gradient? Say for which curvatures it points *against* the meta-gradient.


# %% nbgrader={"grade": false, "grade_id": "first_order_misleads", "locked": false, "schema_version": 3, "solution": true, "task": false}
def first_order_misleads(a, alpha):
    """For each curvature: does the first-order gradient point the other way from the meta-gradient?

    a: array (tasks,) of curvatures > 0; alpha: the inner rate, a number > 0.
    Returns an array (tasks,) of True and False.
    """
    ### BEGIN SOLUTION
    return 1 - alpha * a < 0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_first_order_misleads", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("04.first_order_misleads", first_order_misleads)
### BEGIN HIDDEN TESTS
check("04.first_order_misleads", first_order_misleads, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Divide the meta-gradient by the first-order gradient. What is left, and when is it negative?
# </details>
# <details><summary>Hint 2</summary>
#
# What is left is $1 - \alpha a$. Do not confuse its sign with the question of chapter 01, whether descent *converges*.
# </details>

# %% [markdown]
# ## 04.4 The best place to start from
#
# *difficulty 3/5 · 15 minutes · 3 points*
#
# Several tasks, each with its own minimum and curvature, one step on each. Which θ makes the **mean loss after the step**
# smallest? This is what MAML's outer loop looks for; for parabolas you can write it down.


# %% nbgrader={"grade": false, "grade_id": "best_start", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_start(c, a, alpha):
    """The θ that minimises the mean over tasks of L(φ), φ one step from θ on that task.

    c, a: arrays (tasks,) of minima and curvatures; alpha: inner rate, not 1/a of any task.
    Returns a number.
    """
    ### BEGIN SOLUTION
    weight = a * (1 - alpha * a) ** 2
    return np.sum(weight * c) / np.sum(weight)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_best_start", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.best_start", best_start)
### BEGIN HIDDEN TESTS
check("04.best_start", best_start, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write the meta-gradient of one task with θ in it instead of φ: φ − c is a multiple of θ − c.
# </details>
# <details><summary>Hint 2</summary>
#
# Each meta-gradient is $a(1-\alpha a)^2(\theta - c)$. Set the mean over tasks to zero and solve for θ: a weighted mean of
# the minima.
# </details>

# %% [markdown]
# ## 04.5 In your own words
#
# *2 points, read by a person*
#
# Many papers report that first-order MAML does nearly as well as MAML. Many users report that, for them, it does much worse.
# Explain in about five sentences how both can be true, with the factor $I - \alpha H$ in your argument, and name one
# measurement that would tell you which case you are in.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_04", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** The two gradients differ by the factor $I - \alpha H(\theta)$. Along directions in which
# $\alpha\lambda$ is small the factor is close to 1, and leaving it out changes little: this is so with small inner rates,
# few steps, and networks that are flat at θ, as in the experiments where FOMAML did well. Along directions with
# $\alpha\lambda$ near 1 the true gradient vanishes while the first-order one does not, and beyond 1 they point opposite ways:
# large inner rates, many steps (the factors multiply) or a badly scaled loss, summed instead of averaged say, lead there.
# To find out, compute both gradients on one batch and compare them by cosine and length, or measure the largest
# eigenvalue of H by power iteration with Hessian-vector products and compare $\alpha\lambda_{\max}$ with 1.
#
# **Rubric.** 1 point: names $\alpha\lambda$ (or $\alpha H$) against 1 as what decides, with one condition for each case.
# 1 point: a measurement that separates them (cosine and length of the two gradients, αλmax, or finite differences).
