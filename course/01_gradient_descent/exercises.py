# %% [markdown]
# # 01 · Exercises: gradient descent
#
# Four short functions and a question to answer in words. Replace `raise NotImplementedError()`, run the cell, then run
# the check below it: it says whether, and if not, which mistake it was.
# The lesson is [here](../notebooks/01_gradient_descent.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 01.1 One step
#
# *difficulty 1/5 · 5 minutes · 2 points*
#
# From here on the parameters of a network are a **dict of arrays**, and a step moves all of them. This one line is
# the inner loop of MAML, the training of an ordinary network, and the whole of this chapter.


# %% nbgrader={"grade": false, "grade_id": "descent_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def descent_step(params, slopes, alpha):
    """The parameters after one step of gradient descent: θ − α · slope, for each of them.

    params: dict name → array, such as {"w": (2, 3), "b": (3,)}; slopes: the gradient of the loss,
    a dict of the same names and shapes; alpha: the step size, a number.
    Returns a dict of the same names and shapes.
    """
    ### BEGIN SOLUTION
    return {name: theta - alpha * slopes[name] for name, theta in params.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_descent_step", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01.descent_step", descent_step)
### BEGIN HIDDEN TESTS
check("01.descent_step", descent_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `for name, theta in params.items()` visits every parameter; its slope is `slopes[name]`.
# </details>
# <details><summary>Hint 2</summary>
#
# A dict comprehension makes the new dict in one go: `{name: … for name, theta in params.items()}`.
# </details>

# %% [markdown]
# ## 01.2 The largest stable rate
#
# *difficulty 2/5 · 8 minutes · 2 points*
#
# "The loss became NaN" is the most common accident in training. For a quadratic loss you can say beforehand at which
# step size it happens.


# %% nbgrader={"grade": false, "grade_id": "largest_stable_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def largest_stable_rate(hessian):
    """The step size at which gradient descent on ½ θᵀHθ stops converging and begins to blow up.

    hessian: H, a symmetric (n, n) array whose eigenvalues are all above 0, not diagonal in
    general. Returns a number.
    """
    ### BEGIN SOLUTION
    return 2 / np.max(np.linalg.eigvalsh(hessian))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_largest_stable_rate", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01.largest_stable_rate", largest_stable_rate)
### BEGIN HIDDEN TESTS
check("01.largest_stable_rate", largest_stable_rate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Along each eigenvector of $H$ a step multiplies the distance by $1 - \alpha\lambda$. For which $\alpha$ is its size
# exactly 1? And which $\lambda$ gets there first?
# </details>
# <details><summary>Hint 2</summary>
#
# `np.linalg.eigvalsh(hessian)` gives the eigenvalues of a symmetric matrix in ascending order.
# </details>

# %% [markdown]
# ## 01.3 How fast, and which direction decides
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# After many steps only one direction is left: the one that shrinks most slowly. Which one that is depends on the step
# size, and it is not always the flat one.


# %% nbgrader={"grade": false, "grade_id": "convergence_rates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convergence_rates(hessian, alpha):
    """By what one step multiplies the distance along each eigen-direction, and which one decides.

    hessian: H, symmetric (n, n); alpha: the step size, a number.
    Returns (rates, dominant). rates: (n,), the rate |1 − αλ| of each direction, from the smallest
    eigenvalue λ to the largest. dominant: the index (int) in `rates` of the direction that is left
    after many steps.
    """
    ### BEGIN SOLUTION
    rates = np.abs(1 - alpha * np.linalg.eigvalsh(hessian))  # (n,), ascending eigenvalues
    return rates, int(np.argmax(rates))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_convergence_rates", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("01.convergence_rates", convergence_rates)
### BEGIN HIDDEN TESTS
check("01.convergence_rates", convergence_rates, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# A direction with the factor −0.9 swings from side to side and is as slow as one with the factor 0.9.
# </details>
# <details><summary>Hint 2</summary>
#
# Multiply 0.5 and 0.9 by themselves twenty times. Which one is left? `np.argmax` finds the place of the largest.
# </details>

# %% [markdown]
# ## 01.4 A gradient by finite differences
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# Every gradient in this course, and later every meta-gradient, is checked against a measurement that knows no
# calculus: move one entry a little to both sides and see what the function does.


# %% nbgrader={"grade": false, "grade_id": "finite_difference_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def finite_difference_gradient(f, x, h):
    """The gradient of f at x by central differences: (f(x + h eᵢ) − f(x − h eᵢ)) / 2h.

    f: a function from an array like x to a number; x: an array of any shape, such as (2, 3);
    h: the distance by which one entry at a time is moved. Returns an array of the shape of x.
    """
    ### BEGIN SOLUTION
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[place] = h
        slopes[place] = (f(x + move) - f(x - move)) / (2 * h)
    return slopes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_finite_difference_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("01.finite_difference_gradient", finite_difference_gradient)
### BEGIN HIDDEN TESTS
check("01.finite_difference_gradient", finite_difference_gradient, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `for place in np.ndindex(x.shape)` visits every entry of an array of any shape; `slopes[place]` is its own.
# </details>
# <details><summary>Hint 2</summary>
#
# Make a fresh array of zeros for every entry, put `h` at its place, and evaluate `f(x + move)` and `f(x - move)`.
# </details>
#
# Once it passes, measure its **order**: how much smaller is the error when h is halved? (Run the next cell; nothing is
# graded here. A method of order $p$ divides it by $2^p$.)


# %%
def error_at(h):
    """The largest error of your gradient of Σ eˣ, against `ref.grad`."""
    x = np.array([0.3, -1.2])

    def f(x):
        return np.sum(np.exp(x))

    return np.max(np.abs(finite_difference_gradient(f, x, h) - ref.grad(f)(x)))


try:
    for h in (0.2, 0.1, 0.05):
        print(
            f"h = {h:4}: error {error_at(h):.1e}, {error_at(h) / error_at(h / 2):.2f} times that at h/2"
        )
except NotImplementedError:
    print("(after exercise 01.4)")

# %% [markdown]
# ## 01.5 In words
#
# *written question · 3 points · graded by a person*
#
# A network trains well with α = 0.02. With α = 0.03 the loss still falls for the first ten steps, then turns, grows
# faster and faster, and ends as NaN. Explain (a) how both can happen in one run, (b) what you can conclude about the
# largest curvature λmax of the loss, and (c) one remedy other than going back to α = 0.02, with its price.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_01", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** (a) Each eigen-direction of the Hessian has its own factor 1 − αλ. With α = 0.03 those of nearly all
# directions are below 1 in size, and as they hold most of the loss at first, it falls. The steepest direction has a
# factor below −1: its share is small at first, but it is multiplied by the same number above 1 each step, changes sides each
# time, and after some steps outweighs everything else. (b) 0.02 is below the limit 2/λmax and 0.03 above it, so
# 2/0.03 < λmax < 2/0.02: between 67 and 100 along the path (the loss of a network is quadratic only nearby, so this
# is an estimate). (c) For instance momentum μ, which raises the limit to 2(1 + μ)/λmax but swings and needs a second
# number tuned; or scaling inputs or parameters so that the curvatures are more alike, which needs knowledge of them;
# or starting with 0.03 and shrinking α, which helps only if it shrinks before the turn; or clipping the gradient,
# which bounds the accident without removing its cause.
#
# **Rubric.** 1 point: several directions with different factors, one of them beyond −1 and small at first.
# 1 point: 67 < λmax < 100, or the inequality α < 2/λmax used in both directions. 1 point: a remedy that works, and its price.
