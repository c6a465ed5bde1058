# %% [markdown]
# # 11 · Exercises: the MAML family
#
# Each relative of MAML differs from it by a few lines. Here you write those lines. Replace `raise NotImplementedError()`, run
# the cell, then run the check below it: it says whether the answer is right, and if not, which mistake it was. The lesson is
# [here](../notebooks/11_maml_family.ipynb).
#
# | | core, about 55 minutes | | further, about 65 minutes |
# | --- | --- | --- | --- |
# | 11.1 | first-order MAML | 11.6 | implicit MAML |
# | 11.2 | Reptile | 11.7 | which term each of them keeps, *then test the prediction* |
# | 11.3 | ANIL | 11.8 | in your own words |
# | 11.4 | Meta-SGD | | |
# | 11.5 | the weights of MAML++ | | |
#
# Everywhere `loss(params, x, y)` is one number for **one** task, `params` is a dict of arrays, θ, and arrays of several tasks
# have a leading axis that counts tasks. `ref.grad(f)(params, …)` is the gradient, a dict like `params`; `ref.adapt(loss, params,
# x, y, inner_lr, inner_steps)` is the inner loop, through which `ref.grad` can go. Every gradient is a **mean** over the tasks, and
# it is returned as an optimiser wants it: the optimiser subtracts it. To check what you have written, the library's own gradient is
# `ref.meta_gradient(loss, params, TaskBatch(support_x, support_y, query_x, query_y), inner_lr, inner_steps)[1]`, and with
# `first_order=True` that of first-order MAML (`[0]` is the loss; `TaskBatch` comes from `maml_edu.tasks`).

# %%
import itertools

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 11.1 First-order MAML
#
# *difficulty 1/5 · 8 minutes · 2 points*
#
# First-order MAML takes every inner slope for a constant. Then φ is θ minus a constant, φ moves as θ does, one to one, and the slope of
# the query loss at φ is the meta-gradient. It is the cheapest of the family, and the one that is most often written by accident.


# %% nbgrader={"grade": false, "grade_id": "fomaml", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fomaml(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """The first-order meta-gradient of a batch, a dict like params.

    support_x (tasks, shots, inputs), support_y (tasks, shots, outputs); the query sets likewise.
    inner_lr: α, a number. inner_steps: how many steps of gradient descent on the support set lead to φ.
    """
    ### BEGIN SOLUTION
    slopes = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        slopes.append(ref.grad(loss)(phi, qx, qy))
    return {name: np.mean([slope[name] for slope in slopes], axis=0) for name in params}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_fomaml", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("11.fomaml", fomaml)
### BEGIN HIDDEN TESTS
check("11.fomaml", fomaml, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Does the adaptation have to stand *inside* the function that you differentiate? It had to for MAML, since the gradient went
# through it.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# $f(\theta) = (\theta - c)^2$ with a constant $c$ that was computed from θ beforehand: the slope is $2(\theta - c)$. If all of
# $\theta - c$ had been taken for a constant, the slope would be zero.
# </details>

# %% [markdown]
# ## 11.2 Reptile
#
# *difficulty 2/5 · 12 minutes · 3 points*
#
# Reptile has no query set and no outer derivative. It walks $K$ inner steps on a task, each on a fresh mini-batch, and moves θ
# a little towards φ, where the walk ended. Written as a meta-gradient, for any optimiser, that is $(\theta - \varphi)/\alpha$.


# %% nbgrader={"grade": false, "grade_id": "reptile", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reptile(loss, params, x, y, inner_lr):
    """Reptile's meta-gradient (θ − φ)/α, the mean over the tasks, a dict like params.

    x (tasks, K, shots, inputs), y (tasks, K, shots, outputs): x[t, k] and y[t, k] are the mini-batch for step k of task t.
    inner_lr: α, a number.
    """
    ### BEGIN SOLUTION
    ways = []
    for xs, ys in zip(x, y, strict=True):  # (K, shots, …)
        phi = params
        for batch in zip(xs, ys, strict=True):
            phi = ref.adapt(loss, phi, *batch, inner_lr, 1)
        ways.append({name: (params[name] - phi[name]) / inner_lr for name in params})
    return {name: np.mean([way[name] for way in ways], axis=0) for name in params}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_reptile", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11.reptile", reptile)
### BEGIN HIDDEN TESTS
check("11.reptile", reptile, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# An optimiser subtracts what it is given. Which of $\theta - \varphi$ and $\varphi - \theta$ brings θ closer to φ when it is subtracted?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Somebody walks from 10 to 4 in steps of 0.5 times a slope. The sum of the slopes is $(10 - 4)/0.5 = 12$. It does not depend on how
# many steps there were.
# </details>

# %% [markdown]
# ## 11.3 ANIL
#
# *difficulty 3/5 · 12 minutes · 3 points*
#
# ANIL (*almost no inner loop*) adapts the head alone. The body stands still while a task is learned. The outer loop trains
# **both**, and its gradient goes through the inner steps as MAML's does.
#
# Here you choose what the head is, by a list of names. So write it for *any* names: with the last layer's it is ANIL, with all the
# others BOIL, with all of them MAML. The check asks for several.


# %% nbgrader={"grade": false, "grade_id": "anil", "locked": false, "schema_version": 3, "solution": true, "task": false}
def anil(loss, params, head, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """ANIL's meta-gradient, a dict like params: body and head.

    head: a list of names, any of them: the parameters that adapt. All others are the body. The rest is as in 11.1.
    """
    ### BEGIN SOLUTION
    rates = {name: inner_lr if name in head else 0.0 for name in params}

    def meta_loss(theta):
        losses = []
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
            phi = ref.adapt(loss, theta, sx, sy, rates, inner_steps)
            losses.append(loss(phi, qx, qy))
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_anil", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11.anil", anil)
### BEGIN HIDDEN TESTS
check("11.anil", anil, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `inner_lr` of `ref.adapt` may be a dict with a rate for every parameter. Which rate keeps a parameter where it is?
# </details>
# <details><summary>Hint 2</summary>
#
# Differentiate a function of **all** of θ. The body has two ways to the query loss: through the features of the query set, and
# through the features of the support set, to which the head has adapted.
# </details>

# %% [markdown]
# ## 11.4 Meta-SGD
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# Meta-SGD takes one inner step and learns its rates, one for every element of θ:
#
# $$\varphi = \theta - \alpha \circ \nabla L_{\text{S}}(\theta)$$
#
# The circle multiplies element by element. So the outer loop needs two gradients of the mean query loss at φ: with respect
# to θ, and with respect to α.


# %% nbgrader={"grade": false, "grade_id": "meta_sgd", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meta_sgd(loss, params, rates, support_x, support_y, query_x, query_y):
    """(gradient with respect to params, gradient with respect to rates), a tuple of two dicts like params.

    rates: α, a dict of arrays of the same shapes as params. One inner step. The sets are as in 11.1.
    """

    ### BEGIN SOLUTION
    def meta_loss(both):
        theta, alpha = both
        losses = []
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
            slope = ref.grad(loss)(theta, sx, sy)
            phi = {name: theta[name] - alpha[name] * slope[name] for name in theta}
            losses.append(loss(phi, qx, qy))
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)((params, rates))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_meta_sgd", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("11.meta_sgd", meta_sgd)
### BEGIN HIDDEN TESTS
check("11.meta_sgd", meta_sgd, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `ref.grad` also differentiates with respect to a tuple of two dicts. Or do it by hand: write $g$ for the support slope at θ
# and $v$ for the query slope at φ. How does $\varphi_i$ depend on $\alpha_i$?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# One number, $L_{\text{S}} = \tfrac12 a\theta^2$ and $L_{\text{Q}} = \tfrac12\theta^2$. Then $\varphi = \theta - \alpha a\theta$, and
# $dL_{\text{Q}}/d\alpha = \varphi\cdot(-a\theta)$: the query slope times minus the support slope. With several tasks this product is
# averaged, and the mean of a product is not the product of the means.
# </details>

# %% [markdown]
# ## 11.5 Which losses count
#
# *difficulty 2/5 · 10 minutes · 2 points*
#
# At the beginning of training MAML++ does not wait for the end of the inner loop: the query losses after *every* inner step
# count, $\sum_k w_k L_{\text{Q}}(\varphi_k)$. Later only the last one does. The rules:
#
# - $\varphi_0 = \theta$ never counts;
# - at iteration 0 each of the $K$ losses after a step has the weight $1/K$;
# - the weights of $\varphi_1 \dots \varphi_{K-1}$ fall along a straight line that would reach 0 at iteration `until`, but they do not
#   fall below $0.03/K$; the last loss has the rest, so that all weights sum to one;
# - from iteration `until` on, the last loss alone counts.


# %% nbgrader={"grade": false, "grade_id": "multi_step_weights", "locked": false, "schema_version": 3, "solution": true, "task": false}
def multi_step_weights(iteration, until, inner_steps):
    """The weights of the query losses at φ_0 … φ_K, an array (K + 1,).

    iteration: counted from 0. until: the first iteration at which the last loss alone counts. inner_steps: K ≥ 2.
    """
    ### BEGIN SOLUTION
    others = max(1 - iteration / until, 0.03) / inner_steps if iteration < until else 0.0
    return np.array([0.0, *[others] * (inner_steps - 1), 1 - (inner_steps - 1) * others])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_multi_step_weights", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("11.multi_step_weights", multi_step_weights)
### BEGIN HIDDEN TESTS
check("11.multi_step_weights", multi_step_weights, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# First one number: the weight of $\varphi_1$. All of $\varphi_1 \dots \varphi_{K-1}$ have the same one.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# For $K = 4$ and `until = 100`, half-way, at iteration 50: $0,\ \tfrac18,\ \tfrac18,\ \tfrac18,\ \tfrac58$. At iteration 99:
# $0.0075$ three times, where the straight line would give $0.0025$, and $0.9775$ for the last.
# </details>

# %% [markdown]
# ## 11.6 Implicit MAML: solve, do not unroll
#
# *difficulty 4/5 · 30 minutes · 5 points · further*
#
# Implicit MAML gives the inner problem a solution that does not depend on the way to it, by a pull back to θ of strength λ:
#
# $$\varphi = \arg\min_{\psi}\; L_{\text{S}}(\psi) + \tfrac{\lambda}{2}\lVert\psi - \theta\rVert^2$$
#
# At φ the slope of this is zero, $\nabla L_{\text{S}}(\varphi) + \lambda(\varphi - \theta) = 0$. Differentiate that with respect to θ,
# and you find how φ depends on θ. The meta-gradient of one task is therefore
#
# $$\Big(I + \tfrac1\lambda H\Big)^{-1}\,\nabla L_{\text{Q}}(\varphi), \qquad H = \nabla^2 L_{\text{S}}(\varphi).$$
#
# Nobody forms $H$ for a large network. **Conjugate gradients** solve $A x = v$ with nothing but products $A p$. They are for
# matrices that are symmetric and positive definite, as $I + H/\lambda$ is here:
#
# > start with $x = 0$, $r = p = v$; repeat until $r$ is nearly zero, 15 times at most (a slip must not run for ever):<br>
# > $\quad s = \dfrac{r\cdot r}{p\cdot Ap}$; $\;x \leftarrow x + s\,p$; $\;r_{\text{new}} = r - s\,Ap$;
# > $\;p \leftarrow r_{\text{new}} + \dfrac{r_{\text{new}}\cdot r_{\text{new}}}{r\cdot r}\,p$; $\;r \leftarrow r_{\text{new}}$
#
# In exact arithmetic they end after at most as many rounds as θ has numbers (here 10). `ref.hvp(f, params, v)` is the product
# of the Hessian of `f` at `params` with `v`, a dict like `params`. Stop *before* you divide by an $r\cdot r$ of zero. These two functions spare you the loops over names:


# %%
def dot(a, b):
    """The scalar product of two dicts of arrays."""
    return sum(np.sum(a[name] * b[name]) for name in a)


def plus(a, factor, b):
    """a + factor · b, for two dicts of arrays."""
    return {name: a[name] + factor * b[name] for name in a}


# %% nbgrader={"grade": false, "grade_id": "implicit", "locked": false, "schema_version": 3, "solution": true, "task": false}
def implicit(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    """The meta-gradient of ONE task by implicit MAML, a dict like params; right to five digits.

    params: θ. phi: φ, where an inner solver has arrived, a dict like params. strength: λ, a number.
    support_x (shots, inputs), support_y (shots, outputs); the query set likewise.
    """
    ### BEGIN SOLUTION
    x = {name: np.zeros_like(value) for name, value in phi.items()}
    rest = direction = ref.grad(loss)(phi, query_x, query_y)
    enough = 1e-20 * dot(rest, rest)
    for _ in range(15):
        if dot(rest, rest) <= enough:
            break
        curved = ref.hvp(lambda p: loss(p, support_x, support_y), phi, direction)
        image = plus(direction, 1 / strength, curved)  # (I + H/λ) direction
        length = dot(rest, rest) / dot(direction, image)
        x, new = plus(x, length, direction), plus(rest, -length, image)
        direction = plus(new, dot(new, new) / dot(rest, rest), direction)
        rest = new
    return x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_implicit", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("11.implicit", implicit)
### BEGIN HIDDEN TESTS
check("11.implicit", implicit, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Where does each of $H$ and $v = \nabla L_{\text{Q}}$ live? Both belong to φ. Is there anything for which θ is needed?
# </details>
# <details><summary>Hint 2</summary>
#
# Write the product first, `plus(p, 1 / strength, ref.hvp(…))`, and try it: for a very large λ it has to give back `p`. Then the
# five assignments above, in that order.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# The same with arrays, for $A = \begin{pmatrix}2&1\\1&3\end{pmatrix}$ and $v = (1, 2)$; two rounds give $x = (0.2, 0.6)$:
#
# ```python
# x, r = np.zeros(2), v
# p = r
# for _ in range(2):
#     Ap = A @ p
#     s = r @ r / (p @ Ap)
#     x, new = x + s * p, r - s * Ap
#     p = new + new @ new / (r @ r) * p
#     r = new
# ```
# </details>

# %% [markdown]
# ## 11.7 Which term each of them keeps
#
# *difficulty 4/5 · 25 minutes · 4 points · further*
#
# One task, $k$ mini-batches. MAML and first-order MAML take an inner step on each but the last, and the last one judges; Reptile
# takes a step on each. Write $g_i$ and $H_i$ for the slope and the Hessian of mini-batch $i$ **at θ**. Every slope on the way is
# $g_i$, and a little more because θ has moved:
#
# $$\nabla L_i(\varphi) = g_i + H_i(\varphi - \theta) + \dots, \qquad \varphi - \theta = -\alpha\sum_{j\text{ before }i} g_j + \dots$$
#
# The order of the mini-batches is chance, so take the mean over all orders. Two terms are left up to the first power of α, the average
# slope $G$ and the agreement $J$:
#
# $$G = \text{mean of } g_i, \qquad J = \text{mean of } H_i\,g_j \text{ over all ordered pairs } i \ne j.$$
#
# Which multiples of $G$ and $\alpha J$ does each of the three gradients have, for $k$ mini-batches? The lesson did it for two.


# %% nbgrader={"grade": false, "grade_id": "taylor", "locked": false, "schema_version": 3, "solution": true, "task": false}
def taylor(loss, params, x, y, inner_lr):
    """{"MAML", "FOMAML", "Reptile"}: of each the mean gradient over all orders, up to the first power of α.

    x (k, shots, inputs), y (k, shots, outputs): the mini-batches, k ≥ 2. Each of the three is a dict like params; Reptile's is
    (θ − φ)/α.
    """
    ### BEGIN SOLUTION
    k = len(x)
    slopes = [ref.grad(loss)(params, x[i], y[i]) for i in range(k)]
    seconds = [
        ref.hvp(lambda p, i=i: loss(p, x[i], y[i]), params, slopes[j])
        for i, j in itertools.permutations(range(k), 2)
    ]
    first, second = (
        {name: np.mean([part[name] for part in parts], axis=0) for name in params}
        for parts in (slopes, seconds)
    )
    shares = {"MAML": (1, 2 * (k - 1)), "FOMAML": (1, k - 1), "Reptile": (k, k * (k - 1) / 2)}
    return {
        method: {name: a * first[name] - b * inner_lr * second[name] for name in params}
        for method, (a, b) in shares.items()
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_taylor", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("11.taylor", taylor)
### BEGIN HIDDEN TESTS
check("11.taylor", taylor, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Start with first-order MAML: one slope, the last one, after $k - 1$ steps. Then Reptile: the slopes of *all* steps are added, and
# step $i$ has seen $i$ steps before it. Then MAML: on the way back the slope meets $I - \alpha H_j$ for every inner step $j$.
# </details>
# <details><summary>Hint 2</summary>
#
# For three mini-batches Reptile adds up $g_1$, then $g_2 - \alpha H_2 g_1$, then $g_3 - \alpha H_3(g_1 + g_2)$. How many $g$ are
# there? How many products $H g$? In the mean over all orders each $g$ is $G$ and each product is $J$.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# `itertools.permutations("abc", 2)` gives all ordered pairs of different letters: ab, ac, ba, bc, ca, cb.
# </details>

# %% [markdown]
# ### Test your prediction
#
# Below are the three gradients themselves, with all powers of α, averaged over all orders of three mini-batches. If your terms
# are right, what is left falls about a hundredfold whenever α falls tenfold: the first power of α is accounted for. Nothing here is
# graded.


# %%
def really(loss, params, x, y, inner_lr):
    """The three gradients, each the mean over all orders of the mini-batches."""
    found = {"MAML": [], "FOMAML": [], "Reptile": []}
    for order in itertools.permutations(range(len(x))):
        *steps, last = order

        def walk(theta, steps=steps):
            for i in steps:
                theta = ref.adapt(loss, theta, x[i], y[i], inner_lr, 1)
            return theta

        judged = lambda theta, walk=walk, last=last: loss(walk(theta), x[last], y[last])
        phi = walk(params)
        end = ref.adapt(loss, phi, x[last], y[last], inner_lr, 1)
        found["MAML"].append(ref.grad(judged)(params))
        found["FOMAML"].append(ref.grad(loss)(phi, x[last], y[last]))
        found["Reptile"].append({n: (params[n] - end[n]) / inner_lr for n in params})
    return {
        method: {n: np.mean([g[n] for g in gradients], axis=0) for n in params}
        for method, gradients in found.items()
    }


def compare(rates=(0.01, 0.001, 0.0001)):
    """Prints the largest error of the prediction for each method and α."""
    rng = np.random.default_rng(0)
    params = ref.mlp_init(rng, (1, 5, 1))
    x = rng.uniform(-3, 3, (3, 4, 1))
    for rate in rates:
        predicted, real = (f(ref.mse, params, x, np.sin(x), rate) for f in (taylor, really))
        errors = {
            method: max(np.abs(predicted[method][n] - real[method][n]).max() for n in params)
            for method in real
        }
        print(f"α = {rate:<6}", "  ".join(f"{m} {error:.1e}" for m, error in errors.items()))


try:
    compare()
except NotImplementedError:
    print("This comes to life when taylor is written.")

# %% [markdown]
# ## 11.8 In your own words
#
# *difficulty 3/5 · 12 minutes · 3 points, read by a person*
#
# A keyboard app is to learn each user's typing on the phone, with 50 inner steps; little memory, no hurry. Meta-training happens
# on your machine with one GPU. Which member of the family do you train, and why? Say in about six sentences what 50 inner steps
# cost each candidate in memory and in gradients, what may go wrong with the one you choose, and what you would measure
# before it is shipped. Which part of the question concerns the phone at all?

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_11", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** The phone runs the inner loop alone: 50 gradients, one after the other, and no meta-gradient. That is the
# same for MAML, first-order MAML, Reptile and implicit MAML. ANIL is cheaper there, since only the head moves: the features of the
# support set are computed once. What differs is training. MAML through 50 steps keeps 50 sets of intermediate results, or computes
# them again, and costs about $K + 1 + 2K = 151$ gradients per task. Its factors $I - \alpha H$ multiply fifty times, which blows up
# or dies out (chapter 06). First-order MAML ($K + 1 = 51$) and Reptile ($K = 50$) keep nothing of the way; implicit MAML keeps
# nothing either and pays a few Hessian-vector products at the end.
#
# I would try implicit MAML first: its gradient is of the solution and does not depend on the way, and its pull λ keeps φ near θ,
# which 50 steps on few examples need. It can go wrong if the inner loop has not arrived after 50 steps, if α(λmax + λ) is above
# 2, or if $I + H/\lambda$ is not positive definite; so I watch the norm of the inner slope at φ and the
# residual of the conjugate gradients. The rival is Reptile, or first-order MAML; for these I watch αλmax along
# training, as the lesson does. Then, on new users: the loss after 0, 1, 5, 20 and 50 steps, mean, median and runaways, beside plain
# fine-tuning of a pretrained net with its own tuned rate, and seconds and memory on a real phone.
#
# **Rubric.** 1 point: separates training from use, and says that the phone only runs the inner loop (or that ANIL, moving the
# head alone, is what saves work *there*). 1 point: the cost of 50 steps in training, memory or gradients, correct for at least two
# members, and a choice that follows from it (implicit MAML, Reptile, first-order MAML, ANIL, or truncated MAML: any, with a true
# reason). 1 point: a failure that belongs to the chosen one, *and* a measurement on new users at the number of steps that will be
# used, beside a tuned baseline. "MAML, because it is the most accurate" with no word on memory gets at most 1 point.
