# %% [markdown]
# # 04 · Exercises: the gradient of a gradient step
#
# Six functions and a question to answer in words; about 75 minutes. In 04.1 to 04.4 one loss
# $L(\theta) = \tfrac12 a(\theta - c)^2$ is both the support loss and the query loss, and one step goes to
# $\varphi = \theta - \alpha a(\theta - c)$. From 04.5 on they are two losses, as in MAML. Replace
# `raise NotImplementedError()`, run the cell, then run the check below it: it says whether your answer is right, and if
# not, which mistake it was. The lesson is [here](../notebooks/04_gradient_of_a_step.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 04.1 The meta-gradient by hand
#
# *difficulty 1/5 · 3 minutes · 2 points*
#
# A warm-up: the formula on which everything else rests, in the special case of one loss. Work it out on paper first: the
# loss after the step, as a function of θ, differentiated by the chain rule.


# %% nbgrader={"grade": false, "grade_id": "meta_slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meta_slope(theta, c, a, alpha):
    """dL(φ)/dθ: the slope of the loss after one step with respect to where the step began.

    theta, c, a, alpha: numbers (start, minimum, curvature, inner rate). Returns a number.
    """
    ### BEGIN SOLUTION
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha * a) * a * (phi - c)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_meta_slope", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("04.meta_slope", meta_slope)
### BEGIN HIDDEN TESTS
check("04.meta_slope", meta_slope, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# There are two factors: how the loss changes with φ, and how φ changes with θ.
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: for the loss $\theta^3$ one step goes to $\varphi = \theta - 3\alpha\theta^2$. There
# $d\varphi/d\theta = 1 - 6\alpha\theta$, and the derivative of the loss after the step is $(1 - 6\alpha\theta)\cdot 3\varphi^2$.
# </details>

# %% [markdown]
# ## 04.2 The same by finite differences
#
# *difficulty 2/5 · 6 minutes · 3 points*
#
# A formula serves one loss. With a measurement that serves every loss, and any number of inner steps, you can check your own
# MAML. Move the **start** by ±h, take all the inner steps from there, and compare the losses after the last one.


# %% nbgrader={"grade": false, "grade_id": "numeric_meta_slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def numeric_meta_slope(loss, theta, alpha, steps, h):
    """dL(φ)/dθ by a central difference with step h, for any loss of one number.

    loss: a function of one number; theta, alpha, h: numbers; steps: how many inner steps lead from θ
    to φ. Each goes from θ to θ − alpha · L'(θ), with L' from `ref.grad(loss)`. Returns a number.
    """

    ### BEGIN SOLUTION
    def loss_after_steps(start):
        for _ in range(steps):
            start = start - alpha * ref.grad(loss)(start)
        return loss(start)

    return (loss_after_steps(theta + h) - loss_after_steps(theta - h)) / (2 * h)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_numeric_meta_slope", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.numeric_meta_slope", numeric_meta_slope)
### BEGIN HIDDEN TESTS
check("04.numeric_meta_slope", numeric_meta_slope, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a small function of the start alone, which takes the steps and returns the loss after the last. Then take the difference
# of *that* function.
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: the central difference of $f(x) = \sin(x^2)$ at 1 with h = 0.1 is
# `(np.sin(1.1**2) - np.sin(0.9**2)) / (2 * 0.1)`. Everything inside $f$ is computed again at 1.1 and at 0.9; so is every one
# of your inner slopes.
# </details>

# %% [markdown]
# ## 04.3 The sign flip of a batch
#
# *difficulty 2/5 · 8 minutes · 3 points*
#
# When may you trust the first-order gradient? For one task you know the answer. But MAML steps against the **mean** over a batch
# of tasks. In some batches most tasks have the wrong sign, and the mean is right all the same; in others one task is enough to
# spoil it. Say for which batches the mean first-order gradient points *against* the mean meta-gradient.


# %% nbgrader={"grade": false, "grade_id": "first_order_misleads", "locked": false, "schema_version": 3, "solution": true, "task": false}
def first_order_misleads(theta, c, a, alpha):
    """For each batch: does the mean first-order gradient point the other way from the mean meta-gradient?

    theta: the start, a number, the same for all tasks; c, a: arrays (batches, tasks) of the tasks' minima
    and curvatures, of either sign; alpha: the inner rate, a number > 0. A gradient of 0 points nowhere.
    Returns an array (batches,) of True and False.
    """
    ### BEGIN SOLUTION
    follows = 1 - alpha * a  # how each task's φ follows θ, (batches, tasks)
    first_order = a * follows * (theta - c)  # the slope at φ, for φ − c = follows·(θ − c)
    meta = follows * first_order
    return first_order.mean(axis=1) * meta.mean(axis=1) < 0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_first_order_misleads", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.first_order_misleads", first_order_misleads)
### BEGIN HIDDEN TESTS
check("04.first_order_misleads", first_order_misleads, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# You need two numbers per batch, a mean of the one kind of gradient and a mean of the other. They point opposite ways when one is
# above 0 and the other below. (Two numbers whose signs merely differ need not: one of them may be 0.)
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: three people pull a cart along a rail with −1, −1 and +5. Two of three pull backwards, and the cart goes forwards:
# `np.mean([-1, -1, 5]) > 0`. It is not the votes that decide but the mean pull.
# </details>

# %% [markdown]
# ## 04.4 The best place to start from
#
# *difficulty 3/5 · 10 minutes · 3 points*
#
# There are several tasks, each with its own minimum and curvature, and one step on each. Which θ makes the **mean loss after
# the step** smallest? This is what MAML's outer loop looks for; for parabolas you can write it down.


# %% nbgrader={"grade": false, "grade_id": "best_start", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_start(c, a, alpha):
    """The θ that minimises the mean over tasks of L(φ), φ one step from θ on that task.

    c, a: arrays (tasks,) of minima and curvatures > 0; alpha: inner rate, not 1/a of any task.
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
# At the best θ the mean of the meta-gradients is 0. A similar case without a step: the mean of $\tfrac12 a_i(\theta - c_i)^2$ has
# the slope $\tfrac1n\sum_i a_i(\theta - c_i)$, which is 0 at $\theta = \sum_i a_i c_i / \sum_i a_i$, a weighted mean of the
# minima. Here the weights are others.
# </details>

# %% [markdown]
# ## 04.5 Where MAML comes to rest
#
# *difficulty 4/5 · 25 minutes · 4 points*
#
# The same question as MAML meets it: several parameters, and a support loss and a query loss that differ. Task $i$ has
#
# $$L_{\text{S}}(\theta) = \tfrac12(\theta - c)^\top H_{\text{S}}\,(\theta - c), \qquad
# L_{\text{Q}}(\theta) = \tfrac12(\theta - d)^\top H_{\text{Q}}\,(\theta - d)$$
#
# with its own $H_{\text{S}}, c, H_{\text{Q}}, d$, and one inner step on $L_{\text{S}}$. At which θ does the **mean over tasks of**
# $L_{\text{Q}}(\varphi)$ have its minimum? The outer loop needs thousands of steps to find it. You need one call of
# `np.linalg.solve`.
#
# Before you run the check cell, check for yourself that the mean meta-gradient at your θ is zero.


# %% nbgrader={"grade": false, "grade_id": "resting_place", "locked": false, "schema_version": 3, "solution": true, "task": false}
def resting_place(support_h, support_min, query_h, query_min, alpha):
    """The θ that minimises the mean over tasks of L_Q(φ), φ one step on L_S from θ.

    support_h, query_h: arrays (tasks, n, n) of symmetric matrices H_S and H_Q; H_Q has positive
    eigenvalues, H_S may have negative ones. support_min, query_min: arrays (tasks, n) of c and d.
    alpha: inner rate, a number. Returns an array (n,).
    """
    ### BEGIN SOLUTION
    left, right = 0.0, 0.0
    for h_s, c, h_q, d in zip(support_h, support_min, query_h, query_min, strict=True):
        follows = np.eye(len(c)) - alpha * h_s  # φ = follows θ + αH_S c, (n, n)
        left = left + follows @ h_q @ follows
        right = right + follows @ h_q @ (d - alpha * h_s @ c)
    return np.linalg.solve(left, right)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_resting_place", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("04.resting_place", resting_place)
### BEGIN HIDDEN TESTS
check("04.resting_place", resting_place, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write φ as a matrix times θ plus a vector. Then put it into the meta-gradient of one task, which is linear in θ as well.
# </details>
# <details><summary>Hint 2</summary>
#
# The mean of the meta-gradients is a matrix times θ minus a vector. Add up the matrices, add up the vectors, and keep the
# order of the factors: matrices do not commute.
# </details>
# <details><summary>Hint 3</summary>
#
# A similar case: $\sum_i (A_i\theta - y_i)^\top(A_i\theta - y_i)$ has the gradient $2\sum_i A_i^\top(A_i\theta - y_i)$, so its minimum solves
# $\bigl(\sum_i A_i^\top A_i\bigr)\theta = \sum_i A_i^\top y_i$. In code: `np.linalg.solve(sum(A.T @ A …), sum(A.T @ y …))`.
# Your $A_i$ is the factor of θ in φ, your $y_i$ is what is left of $d$, and $H_{\text{Q}}$ stands between them.
# </details>

# %% [markdown]
# ## 04.6 Which program was it?
#
# *difficulty 3/5 · 12 minutes · 3 points*
#
# Somebody's program returns meta-gradients, and you cannot read it. You can only try it on parabolas
# $L_{\text{S}} = \tfrac12 a(\theta - c)^2$ and $L_{\text{Q}} = \tfrac12 b(\theta - d)^2$, and you suspect one of four:
#
# | word | the program returns |
# | --- | --- |
# | `"right"` | $(1 - \alpha a)\,L_{\text{Q}}'(\varphi)$ |
# | `"first-order"` | $L_{\text{Q}}'(\varphi)$ |
# | `"query curvature"` | $(1 - \alpha b)\,L_{\text{Q}}'(\varphi)$ |
# | `"right factor, slope at θ"` | $(1 - \alpha a)\,L_{\text{Q}}'(\theta)$ |
#
# where φ is always the landing point of the step on $L_{\text{S}}$. An experiment is some trials. Say which program explains
# **every** trial; if several do, the experiment was not able to tell, and the honest verdict is `"undecided"`.


# %% nbgrader={"grade": false, "grade_id": "which_program", "locked": false, "schema_version": 3, "solution": true, "task": false}
def which_program(theta, c, a, d, b, alpha, gradient):
    """The one word whose program explains all trials, or "undecided" if several do.

    All arguments are arrays (trials,): start, minimum and curvature of L_S, minimum and curvature of L_Q, inner
    rate, and the gradient that the program returned, good to six digits. One of the four always fits.
    Returns "right", "first-order", "query curvature", "right factor, slope at θ" or "undecided".
    """
    ### BEGIN SOLUTION
    phi = theta - alpha * a * (theta - c)
    programs = {
        "right": (1 - alpha * a) * b * (phi - d),
        "first-order": b * (phi - d),
        "query curvature": (1 - alpha * b) * b * (phi - d),
        "right factor, slope at θ": (1 - alpha * a) * b * (theta - d),
    }
    fits = [word for word, value in programs.items() if np.allclose(value, gradient, rtol=1e-4)]
    return fits[0] if len(fits) == 1 else "undecided"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_which_program", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.which_program", which_program)
### BEGIN HIDDEN TESTS
check("04.which_program", which_program, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Compute what each of the four programs would return in each trial. Which of them agree with all that was measured? Measured
# numbers are never equal to the last digit.
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: somebody's function returns 4 at x = 2. It may be `x + x`, `x * x` or `x ** x`: undecided. A second trial
# at x = 3 returns 9, and one of the three explains both. `np.allclose(guess, measured, rtol=1e-4)` compares all trials at
# once.
# </details>

# %% [markdown]
# ## 04.7 In your own words
#
# *difficulty 3/5 · 10 minutes · 2 points, read by a person*
#
# Many papers report that first-order MAML does nearly as well as MAML. Many users report that, for them, it does much worse.
# Explain in about five sentences how both can be true, with the factor $I - \alpha H_{\text{S}}$ in your argument, and name one
# measurement that would tell you which case you are in.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_04", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** The two gradients differ by the factor $I - \alpha H_{\text{S}}(\theta)$. Along directions in which
# $|\alpha\lambda|$ is small the factor is close to 1, and leaving it out changes little. Beyond $\alpha\lambda = 1$ the sign is
# wrong, and along negative $\lambda$ the true gradient is the longer one. A network has all of these directions at once, so
# what counts is how much of the query gradient lies along the bad ones. First-order MAML does well when that is little:
# small inner rates, or a network with $\alpha\lambda > 1$ along so few directions that the angle between the two gradients
# stays small. It does badly with large inner rates, with a loss that is summed instead of averaged, with many inner steps
# (the factors multiply), or from a start where the steep directions hold most of the gradient. To find out, compute both
# gradients, $F$ and $G$, on several batches, and see how often $q = 1 - F^\top G/F^\top F$ comes near 1 or passes it.
#
# **Rubric.** 1 point: names $\alpha\lambda$ (or $\alpha H$) against 1 as what decides, direction by direction, with one condition
# for each case. "The network is flat at θ" and "the sign is wrong along few directions only" are both accepted as the
# condition under which first order does well. 1 point: a measurement that separates the cases (the quotient $q$, cosine and length
# of the two gradients, the part of the query gradient along directions with αλ > 1, or finite differences; αλmax alone is accepted).
