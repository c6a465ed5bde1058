# %% [markdown]
# # 01 · Exercises: gradient descent
#
# Six functions and a question to answer in words, about 80 minutes in all. Replace
# `raise NotImplementedError()`, run the cell, then run the check below it: it says whether the answer is right, and if
# not, which mistake it was. The first three are short and follow the lesson, and in 01.4 you build its test of a gradient;
# 01.5, 01.6 and the question in words (01.7) ask for what the lesson prepared and did not do. The lesson is [here](../notebooks/01_gradient_descent.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 01.1 One step
#
# *difficulty 1/5 · 2 minutes · 2 points*
#
# From here on the parameters of a network are a **dict of arrays**, and a step moves all of them. This one line is
# a step of MAML's inner loop, a step in the training of an ordinary network, and the subject of this chapter.


# %% nbgrader={"grade": false, "grade_id": "descent_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def descent_step(params, slopes, alpha):
    """The parameters after one step of gradient descent: θ − α · slope, for each of them.

    params: dict name → array, such as {"w": (2, 3), "b": (3,)}; slopes: the gradient of the loss,
    a dict of the same names and shapes; alpha: the step size, a number.
    Returns a new dict of the same names and shapes; `params` and its arrays stay as they are.
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
# A dict comprehension makes the new dict in one go. Halving every parameter, for instance, is
# `{name: theta / 2 for name, theta in params.items()}`.
# </details>

# %% [markdown]
# ## 01.2 The largest stable step size
#
# *difficulty 1/5 · 3 minutes · 2 points*
#
# "The loss became NaN" is the most common accident in training. For a quadratic loss you can say beforehand at which
# step size it happens.


# %% nbgrader={"grade": false, "grade_id": "largest_stable_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def largest_stable_step(hessian):
    """The α at which gradient descent on ½ θᵀHθ stops converging and begins to blow up.

    hessian: H, a symmetric (n, n) array whose eigenvalues are all above 0, not diagonal in
    general. Returns a number.
    """
    ### BEGIN SOLUTION
    return 2 / np.max(np.linalg.eigvalsh(hessian))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_largest_stable_step", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01.largest_stable_step", largest_stable_step)
### BEGIN HIDDEN TESTS
check("01.largest_stable_step", largest_stable_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Along each eigenvector of $H$ a step multiplies the distance by $1 - \alpha\lambda$. For which $\alpha$ is its size
# exactly 1? And which $\lambda$ gets there first?
# </details>
# <details><summary>Hint 2</summary>
#
# `np.linalg.eigvalsh(hessian)` gives the eigenvalues of a symmetric matrix in ascending order. A case by hand:
# `[[2, 1], [1, 2]]` stretches (1, 1) by 3 and (1, −1) by 1, so its limit is 2/3 (and not 2/2, as its diagonal says).
# </details>

# %% [markdown]
# ## 01.3 How fast, and which direction decides
#
# *difficulty 2/5 · 5 minutes · 3 points*
#
# After many steps only one direction is left: the one that shrinks most slowly (or grows fastest). Which one that is
# depends on the step size, and on whether the loss curves upwards in all directions.


# %% nbgrader={"grade": false, "grade_id": "convergence_rates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convergence_rates(hessian, alpha):
    """By what one step multiplies the distance along each eigen-direction, and which one decides.

    hessian: H, symmetric (n, n), an eigenvalue may be negative; alpha: the step size, a number.
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
# Multiply 0.5 and −0.9 by themselves twenty times. Which one is left? `np.argmax` finds the place of the largest.
# </details>
# <details><summary>Hint 3: a case by hand</summary>
#
# Curvatures −1, 2 and 5 and α = 0.3: the factors are 1.3, 0.4 and −0.5, the rates 1.3, 0.4 and 0.5. The direction that
# is left is number 0, the one that curves downwards.
# </details>

# %% [markdown]
# ## 01.4 A gradient by finite differences
#
# *difficulty 3/5 · 8 minutes · 4 points*
#
# Every gradient in this course, and later every meta-gradient, is checked against a measurement that knows no
# calculus: move one entry a little to both sides and see what the function does. Below, $e_i$ is an array like $x$ that is 1
# at entry $i$ and 0 everywhere else, and `np.ndindex(x.shape)` visits the places of all entries, whatever the shape.


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
# $e_i$ is an array like x that is 1 at entry number i and 0 everywhere else. So $x + h e_i$ is x with one entry moved.
# </details>
# <details><summary>Hint 2</summary>
#
# `for place in np.ndindex(x.shape)` visits every entry of an array of any shape: for shape (2, 3) `place` is (0, 0),
# (0, 1), … (1, 2), and `x[place]` is that entry. Move a fresh array each time, so that nothing stays moved.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# This adds up all entries of an array of any shape, in the same manner, one at a time:
# `total = 0.0`, then `for place in np.ndindex(x.shape): total += x[place]`.
# For a single number the difference is `(f(x + h) - f(x - h)) / (2 * h)`.
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
# ## 01.5 Where noise settles
#
# *difficulty 3/5 · 18 minutes · 3 points*
#
# The lesson found the floor of one direction of curvature 1. A network has many directions, with curvatures of their own,
# and averages its slope over a mini-batch. The derivation is the same; the result has a surprise for small α: look at
# what is left of the curvatures.


# %% nbgrader={"grade": false, "grade_id": "settled_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def settled_loss(curvatures, alpha, sigma, examples):
    """The mean loss ½ Σ λᵢθᵢ² at which noisy gradient descent settles.

    Along direction i one example's slope is λᵢθᵢ + noise, the noise of mean 0 and standard deviation
    sigma, independent for each direction, example and step. A step takes the mean of `examples` of them.
    curvatures: the λᵢ, (n,), all above 0, in any order; alpha: the step size, below the limit.
    Returns a number, exact and not simulated.
    """
    ### BEGIN SOLUTION
    variance = sigma**2 / examples
    # m = (1 − αλ)² m + α²σ²/n along each direction, and the loss there is ½λm
    mean_square = alpha**2 * variance / (1 - (1 - alpha * curvatures) ** 2)  # (n,)
    return np.sum(curvatures * mean_square) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_settled_loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("01.settled_loss", settled_loss)
### BEGIN HIDDEN TESTS
check("01.settled_loss", settled_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write down one step along one direction, square it, and take the mean: what is left of the cross term? Then ask for which
# mean square the step changes nothing.
# </details>
# <details><summary>Hint 2</summary>
#
# The mean of n independent numbers of variance σ² has the variance σ²/n. The loss along a direction is ½λ times the mean
# square of θ, and the loss of all directions is a sum.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# A bank account shrinks to 0.9 of itself each year and gets 5 at its end: m = 0.9 m + 5 stands still at
# m = 5/(1 − 0.9) = 50. (If it grew by a tenth each year in place of shrinking, the same line would "stand still" at −50,
# and the account would go to infinity. That is why α must be below the limit.)
# </details>
#
# Once it passes, let chance judge it: 4,000 noisy descents, and their mean loss at the end (nothing is graded here).


# %%
def measured(curvatures, alpha, sigma, examples, runs=4000, steps=300):
    """The mean loss of many noisy descents after many steps."""
    rng = np.random.default_rng(0)
    theta = np.zeros((runs, len(curvatures)))
    for _ in range(steps):
        noise = (
            sigma / np.sqrt(examples) * rng.standard_normal(theta.shape)
        )  # of a mean of examples
        theta = theta - alpha * (curvatures * theta + noise)
    return np.mean(np.sum(curvatures * theta**2, axis=1)) / 2


try:
    lam = np.array([0.5, 2.0, 6.0])
    for alpha in (0.02, 0.1, 0.3):
        law, seen = settled_loss(lam, alpha, 1.0, 4), measured(lam, alpha, 1.0, 4)
        print(
            f"α = {alpha:4}: your law {law:.4f}, measured {seen:.4f}; ¼ασ²/n each: {3 * alpha / 16:.4f}"
        )
except NotImplementedError:
    print("(after exercise 01.5)")

# %% [markdown]
# ## 01.6 Read the curvatures off a path
#
# *difficulty 4/5 · 25 minutes · 5 points*
#
# Somebody ran gradient descent on a quadratic loss $\tfrac12(\theta - c)^\top H(\theta - c)$ and shows you the path and
# α, nothing else: neither the loss, nor $H$, nor $c$. If the eigenvalues of $H$ are all different,
# the path alone tells how the loss curves and where its slope vanishes, even though it may not have arrived, or may be
# running away. (Methods that train networks "with curvature"
# get it in this way, from steps and slopes that they have seen.)


# %% nbgrader={"grade": false, "grade_id": "curvatures_of_a_path", "locked": false, "schema_version": 3, "solution": true, "task": false}
def curvatures_of_a_path(path, alpha):
    """The curvatures of an unknown quadratic loss, and its centre c, from a path of gradient descent.

    path: (steps + 1, n), the parameters before the first step and after each; there are more steps
    than n + 1, and the start has a part along every direction. alpha: the step size.
    Returns (curvatures, centre). curvatures: (n,), the eigenvalues of H in ascending order, all
    different, of either sign, none 0; centre: (n,), where the slope vanishes.
    """
    ### BEGIN SOLUTION
    slopes = (path[:-1] - path[1:]) / alpha  # (steps, n): H(θ − c) at all places but the last
    moves = np.diff(path[:-1], axis=0)  # (steps − 1, n)
    changes = np.diff(slopes, axis=0)  # H · move: c has dropped out
    hessian = np.linalg.lstsq(moves, changes, rcond=None)[0]  # moves @ H = changes, H symmetric
    centre = path[0] - np.linalg.solve(hessian, slopes[0])
    return np.linalg.eigvalsh((hessian + hessian.T) / 2), centre
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_curvatures_of_a_path", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("01.curvatures_of_a_path", curvatures_of_a_path)
### BEGIN HIDDEN TESTS
check("01.curvatures_of_a_path", curvatures_of_a_path, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The path holds the slopes, too: θ moved by −α times the slope. So at every place but the last you know the slope
# $H(\theta - c)$. What happens to the unknown $c$ when you take the *difference* of two slopes?
# </details>
# <details><summary>Hint 2</summary>
#
# Differences of places and differences of slopes are tied by $H$ alone: a linear system for the entries of $H$. Once you
# have $H$, one known slope gives $c$.
# </details>
# <details><summary>Hint 3: a tool, and the case of one number by hand</summary>
#
# `np.linalg.lstsq(A, B, rcond=None)[0]` finds the matrix $X$ with $AX = B$ (as nearly as can be).
#
# The path 5, 3, 2, 1.5 with α = ¼. The slopes at the first three places are (5 − 3)/¼ = 8, (3 − 2)/¼ = 4 and 2. From
# 5 to 3 θ moves by −2 and the slope by −4, so λ = −4/−2 = 2. And 8 = 2(5 − c) gives c = 1: the path has not arrived.
# </details>

# %% [markdown]
# ## 01.7 In words
#
# *written question · 20 minutes · 3 points · graded by a person*
#
# A network trains well with α = 0.02. With α = 0.03 the loss begins at 4 and falls to 0.2 in twelve steps. Then it turns; in
# the end each step multiplies it by 1.69, and after step 20 it is back at 4.
#
# (a) Enclose λmax between two numbers, from the two values of α alone; then compute it from the number 1.69. What would
# have to be true of the loss for both to be exact? (b) By what share of the loss did the direction that blows up begin, roughly?
# (c) A friend says: "The run is lost, start again with 0.02." Is it? Say what happens from step 20 on with α = 0.02,
# step by step for the steep direction, and what you are less sure of in a real network.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_01", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** (a) 0.02 is below the limit 2/λmax and 0.03 above it, so 2/0.03 < λmax < 2/0.02, between 67 and 100.
# In the end one direction is left and the loss takes the square of its factor, √1.69 = 1.3, so 1 − 0.03 λ = −1.3 and
# λmax = 2.3/0.03 ≈ 77, which lies between the two. Exact would be both if the loss were a quadratic, with the same Hessian
# along the whole path, and the slope without noise. (b) At step 20 the steep direction holds nearly all of the loss, 4;
# 20 steps earlier it was 4/1.69²⁰ ≈ 4/36,000 ≈ 0.0001, three hundred-thousandths of the loss. That is why nothing was seen of it.
# (c) Not lost. With α = 0.02 the factor of the steep direction is 1 − 0.02 · 77 ≈ −0.53: its loss is multiplied by 0.28
# at each step and falls from 4 to below 0.03 in four. The flat directions have kept the progress of 20 longer steps. (As
# long as nothing is NaN.) Less sure: so far from the valley the curvature may be another, larger or smaller, and
# the network may come down into another valley; its noise and an optimiser with a memory (momentum, Adam) have their say.
#
# **Rubric.** 1 point: 67 < λmax < 100, 77 from the square root of 1.69, and a quadratic loss (or a constant Hessian). 1
# point: 1.69²⁰ divides the loss, so 1/36,000 or so. 1 point: the factor −0.53 (or: below 1 in size, so the
# direction shrinks at once), the progress kept, and one doubt about a real network.
