# %% [markdown]
# # 05 · Exercises: Hessians without Hessians
#
# Six functions and a question to answer in words; about 105 minutes. The first five are puzzles: a slow **specification**
# says what the answer is, by forming a matrix, and your function must give the same **without** it. You may use the
# specification to test yours on small inputs. The check also tries an input so long that the matrix would need hundreds of
# gigabytes: there only products will do. (If a check does not come back, you are still doing $n^2$ things: stop the kernel,
# and think again.) The check sees only what your function returns. It cannot see a way that an exercise forbids, such as
# differentiating through the step in 05.4, nor a derivative measured by a fine central difference. The lesson is [here](../notebooks/05_hessians.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 05.1 Back through a softmax
#
# *difficulty 2/5 · 12 minutes · 3 points*
#
# The **softmax** turns a row of $n$ numbers, the **logits**, into $n$ shares that add up to 1:
# $p_i = e^{x_i}/\sum_j e^{x_j}$. Every classifier ends with one, and every gradient of a classifier goes back through it.
# Its Jacobian has $n^2$ entries, none of them 0. Going back must not cost more than going forward. (This $J$ is symmetric, so
# here $Jv$ and $J^\top u$ are the same product. In 05.2 they are not.)


# %% nbgrader={"grade": false, "grade_id": "vjp_of_softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
def vjp_of_softmax(x, u):
    """Jᵀu for each row, J the Jacobian of the softmax of that row.

    x: array (rows, n) of logits, a softmax for each row, with values from −1,000 to 1,000; u: array (rows, n),
    the weights of the outputs. Returns an array (rows, n). The slow specification, for moderate logits:

        softmax = lambda row: np.exp(row) / np.sum(np.exp(row))
        np.stack([ref.jacobian(softmax)(row).T @ w for row, w in zip(x, u)])
    """
    ### BEGIN SOLUTION
    shares = np.exp(x - np.max(x, axis=1, keepdims=True))  # (rows, n), at most 1
    shares = shares / np.sum(shares, axis=1, keepdims=True)
    return shares * (u - np.sum(shares * u, axis=1, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_vjp_of_softmax", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.vjp_of_softmax", vjp_of_softmax)
### BEGIN HIDDEN TESTS
check("05.vjp_of_softmax", vjp_of_softmax, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Work out $\partial p_i/\partial x_j$ by the quotient rule, and write the result with $p_i$ and $p_j$ alone. There are two
# cases, $i = j$ and $i \ne j$, and one formula for both. Then multiply it by $u_i$ and sum over $i$, on paper. Which sum
# can be done once for all $j$?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: $J = xw^\top + (w\cdot x)I$ in the lesson is a diagonal matrix plus a product of two vectors. Both kinds
# are easy to multiply by. As for large logits: `np.exp(1000.0)` is infinite. The shares do not change if you subtract the
# same number from all logits of a row.
# </details>

# %% [markdown]
# ## 05.2 Forward through a normalisation
#
# *difficulty 3/5 · 15 minutes · 3 points*
#
# $y = x/s$ with $s = \bigl(\sum_i |x_i|^p\bigr)^{1/p}$ scales a vector so that its **$p$-norm** is 1. ($p = 2$ is the usual
# length; $p = 1$ makes the sizes add up to 1.) The input moves along $v$. How does the output move? This is one JVP, and
# for $p \ne 2$ the Jacobian is not symmetric, so it is not the VJP as well.


# %% nbgrader={"grade": false, "grade_id": "jvp_of_normalise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jvp_of_normalise(x, v, p):
    """Jv, J the Jacobian of x / ‖x‖ₚ.

    x, v: arrays (n,), x without zeros, of both signs; p: a number, 1 or more. Returns an array (n,).
    The slow specification:

        normalise = lambda x: x / np.sum(np.abs(x) ** p) ** (1 / p)
        ref.jacobian(normalise)(x) @ v
    """
    ### BEGIN SOLUTION
    s = np.sum(np.abs(x) ** p) ** (1 / p)
    s_moves = np.sum(np.sign(x) * np.abs(x) ** (p - 1) * v) / s ** (p - 1)  # how fast s changes
    return v / s - x * s_moves / s**2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_jvp_of_normalise", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.jvp_of_normalise", jvp_of_normalise)
### BEGIN HIDDEN TESTS
check("05.jvp_of_normalise", jvp_of_normalise, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Do by hand what forward mode does: carry along, with each quantity, how fast it changes when $x$ moves along $v$. First $x$
# (that is $v$), then $|x_i|$, then $|x_i|^p$, their sum, $s$, and at last $x/s$ by the quotient rule.
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: $y = x/s$ with $s = \log\sum_i e^{x_i}$. When $x$ moves along $v$, the sum moves by $\sum_i e^{x_i}v_i$,
# so $s$ moves by $\dot s = \sum_i e^{x_i}v_i\,/\sum_i e^{x_i}$, and $y$ moves by $v/s - x\,\dot s/s^2$. To test yours:
# `u @ jvp` must be what `ref.grad` says of `u @ normalise(x)`, times $v$.
# </details>

# %% [markdown]
# ## 05.3 The Gauss–Newton part, times a vector
#
# *difficulty 3/5 · 15 minutes · 3 points*
#
# The Gauss–Newton part of a Hessian, $G = \frac2N J^\top J$, is often used in the place of $H$, since it has no negative
# curvature. $J$ has a row for each of the $N$ points and a column for each parameter. Find $Gv = \frac2N J^\top(Jv)$ from
# `ref.grad` alone, with a few passes whatever $N$ is, so without $J$ as well (the check sees only whether you form $G$).
# `ref` has only reverse mode, so the first thing to find out is how it can give $Jv$.


# %% nbgrader={"grade": false, "grade_id": "gauss_newton_product", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gauss_newton_product(network, params, x, v):
    """G v = 2/N Jᵀ(J v), J the Jacobian of the network's outputs with respect to its parameters.

    network: a function (params, x) → outputs (points, 1); params: a dict of arrays; x: array (points, inputs);
    v: a dict like params. Returns a dict like params. The slow specification, if params and v were vectors (n,):

        J = ref.jacobian(lambda p: network(p, x)[:, 0])(params)  # (points, n)
        (2 / len(x) * J.T @ J) @ v
    """
    ### BEGIN SOLUTION

    def pulled(u):  # u·(Jv), for any u (points, 1)
        slopes = ref.grad(lambda p: np.sum(u * network(p, x)))(params)  # Jᵀu
        return sum(np.sum(slopes[name] * v[name]) for name in v)

    moves = ref.grad(pulled)(np.ones((len(x), 1)))  # J v, (points, 1)
    return ref.grad(lambda p: np.sum(2 / len(x) * moves * network(p, x)))(params)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_gauss_newton_product", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.gauss_newton_product", gauss_newton_product)
### BEGIN HIDDEN TESTS
check("05.gauss_newton_product", gauss_newton_product, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# $J^\top u$ is the gradient of a number. So is $Jv$, of another number and with respect to something else than the
# parameters: the lesson shows it under "Further". There $v$ was one vector; here the number adds up over all arrays of the
# dict.
# </details>
# <details><summary>Hint 2</summary>
#
# Once $Jv$ is there it is a list of $N$ numbers, which weight the outputs on the way back. They must not move with the
# parameters any more. A similar case: the derivative of $x \mapsto \sin(x)\cos(2)$ at 2 is $\cos(2)^2$; of
# $x\mapsto\sin(x)\cos(x)$ it is $\cos(2)^2 - \sin(2)^2$.
# </details>

# %% [markdown]
# ## 05.4 A meta-gradient with a rate for each parameter
#
# *difficulty 4/5 · 25 minutes · 4 points*
#
# In Meta-SGD (chapter 11) every parameter has an inner rate of its own,
# $\varphi = \theta - \alpha\odot\nabla L_{\text{S}}(\theta)$, where $\odot$ multiplies entry by entry. Find the
# meta-gradient, the mean over tasks of $\nabla_\theta L_{\text{Q}}(\varphi)$, **without differentiating through the step**:
# two gradients and one Hessian-vector product (`ref.hvp`) per task. First work out on paper what stands in the place of
# $I - \alpha H$, and what its *transpose* is.


# %% nbgrader={"grade": false, "grade_id": "meta_gradient_by_hvp", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meta_gradient_by_hvp(loss, params, rates, support_x, support_y, query_x, query_y):
    """The mean over tasks of ∇_θ L_Q(φ), φ = θ − rates ⊙ ∇L_S(θ).

    loss: a function (params, x, y) → number, of one task; params: a dict of arrays; rates: a dict like params, an
    inner rate for each parameter; support_x, …: arrays with a leading axis for the tasks, (tasks, examples, …).
    Returns a dict like params. The slow specification for one task, if params and rates were vectors (n,):

        step = lambda p: p - rates * ref.grad(loss)(p, support_x, support_y)
        ref.jacobian(step)(params).T @ ref.grad(loss)(step(params), query_x, query_y)
    """
    ### BEGIN SOLUTION
    total = dict.fromkeys(params, 0.0)
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        slope = ref.grad(loss)(params, sx, sy)
        phi = {name: params[name] - rates[name] * slope[name] for name in params}
        g = ref.grad(loss)(phi, qx, qy)
        scaled = {name: rates[name] * g[name] for name in params}
        bent = ref.hvp(lambda p, sx=sx, sy=sy: loss(p, sx, sy), params, scaled)
        total = {name: total[name] + g[name] - bent[name] for name in params}
    return {name: part / len(support_x) for name, part in total.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_meta_gradient_by_hvp", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("05.meta_gradient_by_hvp", meta_gradient_by_hvp)
### BEGIN HIDDEN TESTS
check("05.meta_gradient_by_hvp", meta_gradient_by_hvp, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write the step for one parameter, $\varphi_i = \theta_i - \alpha_i\,\partial L_{\text{S}}/\partial\theta_i$, and
# differentiate it with respect to $\theta_j$, as in chapter 04. Is $\alpha_i$ on the row or on the column of $H$?
# </details>
# <details><summary>Hint 2</summary>
#
# Write all these derivatives as one matrix. The chain rule wants its transpose. Transpose a product of matrices first on
# paper, then check yours on a step with two parameters, an $H$ of your choice and two different rates.
# </details>
# <details><summary>Hint 3</summary>
#
# A similar case: with $A = \begin{pmatrix}1&2\\2&5\end{pmatrix}$, rates $(3, 10)$ and $v = (1, 1)$, `A @ (rates * v)` is
# $(23, 56)$, and `rates * (A @ v)` is $(9, 70)$. The two differ as soon as the rates do, so the order counts.
# </details>

# %% [markdown]
# ## 05.5 The largest curvature, with its sign
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# A linear model with a loss that forgives outliers has the Hessian $H = \sum_i r_i\,a_i a_i^\top$: one term per example.
# $a_i$ says how the output of example $i$ follows the parameters, and $r_i$ how curved the loss is there; for an outlier it
# is *negative*. Which curvature has the largest **size**, and what is its **sign**? Multiply, do not fill. (No other
# curvature is more than 0.7 times as large in size.)


# %% nbgrader={"grade": false, "grade_id": "signed_lambda", "locked": false, "schema_version": 3, "solution": true, "task": false}
def signed_lambda(a, r):
    """The eigenvalue of H = Σᵢ rᵢ aᵢ aᵢᵀ that is largest in size, with its sign.

    a: array (examples, n), its rows are the aᵢ; r: array (examples,), of either sign. Returns a number.
    The slow specification:

        lam = np.linalg.eigvalsh(a.T @ np.diag(r) @ a)  # of an (n, n) matrix
        lam[np.argmax(np.abs(lam))]
    """
    ### BEGIN SOLUTION
    v = np.random.default_rng(0).normal(size=a.shape[1])
    for _ in range(60):
        v = v / np.linalg.norm(v)
        hv = a.T @ (r * (a @ v))
        curvature = v @ hv
        v = hv
    return curvature
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_signed_lambda", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.signed_lambda", signed_lambda)
### BEGIN HIDDEN TESTS
check("05.signed_lambda", signed_lambda, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# $a_i a_i^\top v = a_i\,(a_i\cdot v)$: a number times a vector. All examples at once are two products with `a`, neither of
# which makes an (n, n) matrix.
# </details>
# <details><summary>Hint 2</summary>
#
# Then it is power iteration. How many rounds? Each one multiplies what is left of the others by 0.7 or less, and the check
# wants five digits. What you return must be able to be negative. A similar case: for $H = -2$, a single number, the length
# of $Hv$ is 2 whatever $v = \pm1$ is, and $vHv$ is $-2$.
# </details>

# %% [markdown]
# ## 05.6 A price list
#
# *difficulty 3/5 · 15 minutes · 3 points*
#
# Before you write a program, know what it will cost. Count in **gradients**, for one task, with the three rules of the
# lesson:
#
# - a loss alone costs a third of a gradient;
# - a product $Hv$ costs 2 gradients, *once the gradient at that point is there* (and that gradient is needed only once per
#   point);
# - multiplying a finished matrix by a vector, adding, scaling and eigenvalues cost nothing.
#
# | word | plan |
# | --- | --- |
# | `"first order"` | the first-order meta-gradient after K inner steps |
# | `"exact"` | the meta-gradient after K inner steps, one product per step |
# | `"matrices"` | the same, but the H of each step is filled, column by column, and then multiplied |
# | `"differences"` | the same by central differences: each of the n parameters up and down by a little, all K steps, the query loss |
# | `"steepest"` | the largest curvature at one point: R rounds of power iteration |
# | `"spectrum"` | all curvatures at one point: H filled, column by column |


# %% nbgrader={"grade": false, "grade_id": "price_list", "locked": false, "schema_version": 3, "solution": true, "task": false}
def price_list(parameters, steps, rounds):
    """What each of the six plans costs, in gradients.

    parameters, steps, rounds: the whole numbers n, K and R. Returns a dict: each of the six words → a number.
    """
    ### BEGIN SOLUTION
    walk = steps + 1  # K inner gradients, and that of the query loss
    return {
        "first order": walk,
        "exact": walk + 2 * steps,
        "matrices": walk + 2 * steps * parameters,
        "differences": 2 * parameters * (steps + 1 / 3),
        "steepest": 1 + 2 * rounds,
        "spectrum": 1 + 2 * parameters,
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_price_list", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.price_list", price_list)
### BEGIN HIDDEN TESTS
check("05.price_list", price_list, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Take K = 1 and n = 2 and write the steps of each plan down, one line per gradient. Which gradients has the plan worked out
# anyway by the time it needs a product?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: ten columns of H at one point take ten products, and the gradient there once: $1 + 2\cdot 10 = 21$
# gradients.
# </details>

# %% [markdown]
# ## 05.7 In your own words
#
# *difficulty 3/5 · 15 minutes · 2 points, read by a person*
#
# "ReLU networks are piecewise linear, so their second derivatives vanish, and first-order MAML loses nothing." What is
# right in this sentence, and what is wrong? Answer in about six sentences, and name one thing that you could measure to
# decide about a network of your own.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_05", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** Right: between two kinks the network is linear in its *input*, and also in the parameters of any *one*
# layer, so there are no second derivatives within a layer, and on a few points most curvatures are exactly zero. Wrong,
# first: meta-gradients contain derivatives with respect to the *parameters*, and the layers are multiplied with each other.
# In $w_2\max(0, w_1 x)$ the mixed derivative is $x$. That part of the Hessian has as much negative as positive curvature.
# Wrong, second: it is the *loss* that is differentiated twice. Even for a network that is linear in its parameters a
# squared error has the Gauss–Newton part $\frac2N J^\top J$, whose few curvatures are the largest of all. Wrong, third:
# that most curvatures are zero does not help if the query gradient lies along those that are not. In the lesson the largest
# αλ passed 1 after training, and for single tasks the two gradients pointed apart. To decide, compute $g$ and
# $g - \alpha H g$, which takes one product, and look at the angle between them (or at αλmax by power iteration, or at
# $g^\top H g/g^\top g$).
#
# **Rubric.** 1 point: what is right (linear in $x$, or within a layer, or most curvatures zero on a few points) **and** one of the first
# two errors, with its reason (products of layers; the loss is curved). ½ for one half of this. 1 point: says that what
# counts is $H$ along the query gradient, or that a few large curvatures are enough, and names a measurement that needs no
# matrix. ½ for one of the two. An answer that says "there are kinks" as its only objection gets no point for that: kinks
# are where the derivative jumps, and almost no θ lies on one.
