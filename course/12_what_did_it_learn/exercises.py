# %% [markdown]
# # 12 · Exercises: what did it learn?
#
# Six functions and one question to answer in words; about 100 minutes. The functions are the instruments of the lesson: a measure of likeness,
# freezing, a head without steps, a diagnosis, a fair search, and a start for the head. Replace `raise NotImplementedError()`, run the
# cell, then run the check below it: it says whether your answer is right, and if not, which mistake it was. Everything is
# NumPy, and no network is trained. The lesson is [here](../notebooks/12_what_did_it_learn.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 12.1 Are two layers alike?
#
# *difficulty 2/5 · 12 minutes · 3 points*
#
# Did the inner steps change what a layer says? Comparing its weights does not tell: two networks can say the same with other weights, and
# a small change of weights can turn an output upside down. So compare the *outputs*, for the same examples.
# Let $A$ hold what one layer gives (a row per example, a column per feature) and $B$ what the other gives. Subtract from each column its
# mean. **Linear CKA** is then
#
# $$\frac{\lVert A^\top B\rVert_F^2}{\lVert A^\top A\rVert_F\,\lVert B^\top B\rVert_F},$$
#
# with the Frobenius norm: the root of the sum of all squared entries. It is 1 for a layer and itself, and stays 1 if the features are
# rotated, mirrored, shifted, or all scaled by one number. (The lesson calls the library's, `mt.linear_cka`; here you write it.)


# %% nbgrader={"grade": false, "grade_id": "linear_cka", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_cka(a, b):
    """Linear CKA of two layers, a number from 0 to 1.

    a (examples, features), b (examples, other features): outputs for the same examples, in the same order. The numbers
    of features may differ, and both layers vary from example to example.
    """
    ### BEGIN SOLUTION
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = np.linalg.norm
    return norm(a.T @ b) ** 2 / (norm(a.T @ a) * norm(b.T @ b))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_linear_cka", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("12.linear_cka", linear_cka)
### BEGIN HIDDEN TESTS
check("12.linear_cka", linear_cka, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# One line centres, one line divides. Try your function on a layer and itself: 1. On a layer and the same layer plus 5: 1 again.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# With one feature on each side, CKA is the squared correlation:
#
# ```python
# a, b = a - a.mean(), b - b.mean()
# (a @ b) ** 2 / ((a @ a) * (b @ b))
# ```
# </details>

# %% [markdown]
# ## 12.2 Freeze at test
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# This is how the lesson freezes layers. The network was trained with *all* parameters moving in the inner loop, and θ is what came out. Now, at test,
# let only some of them move. Whatever else the network needs stays exactly as it is in θ, in every step. If the loss afterwards is as
# low as before, nobody needed the others to move.


# %% nbgrader={"grade": false, "grade_id": "freeze", "locked": false, "schema_version": 3, "solution": true, "task": false}
def freeze(loss, params, support_x, support_y, inner_lr, inner_steps, moving):
    """φ: all parameters after `inner_steps` of gradient descent on the support set, in which only `moving` move.

    loss(params, x, y): a number, the loss of ONE task. params: dict name → array, θ; it stays as it is. moving: a list of
    names of parameters, in any order; an empty list means that none moves. Each step takes one gradient,
    ref.grad(loss)(params, x, y), where the network then is.
    """
    ### BEGIN SOLUTION
    for _ in range(inner_steps):
        slope = ref.grad(loss)(params, support_x, support_y)
        stepped = {name: params[name] - inner_lr * slope[name] for name in moving}
        params = params | stepped
    return params
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_freeze", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("12.freeze", freeze)
### BEGIN HIDDEN TESTS
check("12.freeze", freeze, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The inner loop of chapter 07, and one condition in it. The result has the same keys as `params`.
# </details>
# <details><summary>Hint 2: two tools</summary>
#
# `{"a": 1, "b": 2} | {"b": 5}` is `{"a": 1, "b": 5}`: a new dict, and neither of the two old ones has changed. And `value -= …` changes an
# array in place, so it would change θ; `value - …` makes a new array.
# </details>

# %% [markdown]
# ## 12.3 A head in closed form
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# A head that takes a few gradient steps answers two questions at once: are the features good, and do a few steps find the best head? Ask the
# first one alone: take the best linear head there is, with no steps at all. **Ridge regression** has it in closed form. With the features
# $f_i$ of the support set and targets $y_i$ it finds the weights $W$ and the offset $c$ with the smallest
#
# $$\sum_i \lVert W^\top f_i + c - y_i\rVert^2 + \lambda \lVert W\rVert_F^2.$$
#
# The penalty is on the weights alone: shift all targets by 7, and all predictions should shift by 7. Often there are fewer
# examples than features; the penalty makes the answer unique all the same.


# %% nbgrader={"grade": false, "grade_id": "ridge_head", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ridge_head(features, targets, queries, strength):
    """Predictions of the ridge head for the queries, (queries, outputs).

    features (n, width) and targets (n, outputs): the support set. queries (queries, width): features as well.
    strength: λ > 0. (For classes the targets would be rows of ones and zeros; the formula is the same.)
    """
    ### BEGIN SOLUTION
    mean, middle = features.mean(axis=0), targets.mean(axis=0)
    x = features - mean  # (n, width)
    gram = x.T @ x + strength * np.eye(x.shape[1])  # (width, width)
    weights = np.linalg.solve(gram, x.T @ (targets - middle))  # (width, outputs)
    return (queries - mean) @ weights + middle
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_ridge_head", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.ridge_head", ridge_head)
### BEGIN HIDDEN TESTS
check("12.ridge_head", ridge_head, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Which $c$ is best for a given $W$? Set the derivative with respect to $c$ to zero: it is $\bar y - W^\top \bar f$, with the means over the
# support set. Put that in, and what is left is a problem without an offset, in centred features $X$ and centred targets $Y$.
# </details>
# <details><summary>Hint 2</summary>
#
# Without an offset, the derivative with respect to $W$ is zero where $(X^\top X + \lambda I)\,W = X^\top Y$. `np.linalg.solve` does the rest.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# The same with one feature and one output, where nothing needs to be inverted:
#
# ```python
# x, y = f - f.mean(), t - t.mean()
# w = (x @ y) / (x @ x + strength)
# w * (new - f.mean()) + t.mean()
# ```
# </details>

# %% [markdown]
# ## 12.4 Which of six cases?
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# Eight losses say what a network has learned: before and after the inner steps, on support and query points, on its **own** tasks (those
# it was trained on) and on **new** ones. Each is given for several tasks. A loss is *low* if its **median** over the tasks is below *half* of
# the baseline. (A few tasks may run away, to infinity even, and a mean would show nothing else. If most of them run away, so does the
# median, and it is not low.) The baseline is the loss of the best constant answer. The lesson's 2.2 is another one: the loss of the
# average wave, which is a curve.
#
# To *solve* a task is to be right on points of it that the network has not been given. Each of the first five sentences asks about **one**
# of the eight losses. Which? Return the **first** word whose sentence is true.
#
# | word | the sentence |
# | --- | --- |
# | `"no need"` | It solves new tasks without a single step: one function serves all tasks, or the input gives the task away. |
# | `"adapts"` | It solves new tasks after the steps, which is what MAML is for. |
# | `"memorised"` | It solves its own tasks without a single step: it knows them by heart. |
# | `"own tasks only"` | It solves its own tasks after the steps: it adapts to what it has met before. |
# | `"fits the support"` | After the steps it is right on the very points that it was given, in its own tasks. |
# | `"nothing"` | None of these is true. |
#
# Before you write it: which word do you expect for the lesson's MAML on waves, new ones in each step? And for MAML on ten waves that are
# *named*?
#
# <details><summary>The lesson's networks</summary>
#
# The first one adapts: it is bad on new waves before the steps, and good after them. Ten named waves are memorised: the error is low on them
# before any step, and on new waves it stays high after a step.
# </details>


# %% nbgrader={"grade": false, "grade_id": "memorised", "locked": false, "schema_version": 3, "solution": true, "task": false}
def memorised(losses, baseline):
    """One of the words "no need", "adapts", "memorised", "own tasks only", "fits the support", "nothing".

    losses[tasks][points][time]: array (number of tasks,), where tasks is "own" or "new", points "support" or "query", time
    "before" or "after"; there may be more tasks of one kind than of the other. baseline: a number.
    """
    ### BEGIN SOLUTION
    lines = {
        "no need": losses["new"]["query"]["before"],
        "adapts": losses["new"]["query"]["after"],
        "memorised": losses["own"]["query"]["before"],
        "own tasks only": losses["own"]["query"]["after"],
        "fits the support": losses["own"]["support"]["after"],
    }
    low = [word for word, curve in lines.items() if np.median(curve) < baseline / 2]
    return low[0] if low else "nothing"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_memorised", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.memorised", memorised)
### BEGIN HIDDEN TESTS
check("12.memorised", memorised, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write down three words for each sentence: own or new, support or query, before or after. "Solves" means query points. Only one sentence is
# about support points.
# </details>
# <details><summary>Hint 2</summary>
#
# A small function that says whether one of the eight is low makes the rest short. The order matters: a network may know its own tasks by heart
# *and* adapt to new ones; then it adapts.
# </details>
# <details><summary>Hint 3: what the median does</summary>
#
# ```python
# np.median([0.1, 0.3, np.inf])       # 0.3: one runaway does not matter
# np.median([0.1, np.inf, np.inf])    # inf: most of them do
# np.inf < 0.5                        # False, so there is nothing to repair
# ```
# </details>

# %% [markdown]
# ## 12.5 To each its own step size
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Does ANIL lose against MAML, or does it lose with MAML's α? A head alone may want larger steps than a whole network. So every method
# gets the same grid of α and chooses from it by itself, on validation episodes. The test episodes report, and choose nothing.
#
# For each method, choose the α with the smallest **mean** error over the validation episodes after `step` inner steps (no two are level).
# An α with which one of these errors is not finite is out: it runs away on some tasks. Then report the mean error over the *test* episodes
# with the chosen α, after the same number of steps.


# %% nbgrader={"grade": false, "grade_id": "fair_alpha", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fair_alpha(alphas, val, test, step):
    """{method: (alpha, error)}: the α that it chooses, and its mean test error.

    alphas (count,): the grid, in any order. val, test: {method: errors (count, steps + 1, episodes)}, in which place 0 of
    the second axis is before any step; validation and test may have different numbers of episodes. A validation
    error may be NaN or infinite, a test error is finite. step: a whole number, which may be less than steps.
    """
    ### BEGIN SOLUTION
    out = {}
    for method, errors in val.items():
        means = errors[:, step].mean(axis=1)  # (count,); not finite if one of them is not
        best = np.argmin(np.where(np.isfinite(means), means, np.inf))
        out[method] = (alphas[best], test[method][best, step].mean())
    return out
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_fair_alpha", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("12.fair_alpha", fair_alpha)
### BEGIN HIDDEN TESTS
check("12.fair_alpha", fair_alpha, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `errors[:, step]` has shape (count, episodes). The mean over the episodes of a row with a NaN in it is NaN, which is just what is needed,
# until `argmin` sees it.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# `np.argmin([3.0, np.nan, 1.0])` is 1: NaN wins. The first and the last of these are what one wants to compare:
#
# ```python
# times = np.array([3.0, np.nan, 1.0])             # the second runner did not arrive
# np.argmin(np.where(np.isnan(times), np.inf, times))
# ```
# </details>

# %% [markdown]
# ## 12.6 Start the head at the class means
#
# *difficulty 4/5 · 25 minutes · 5 points*
#
# The nearest class mean needs no steps, but it cannot take any either. A head that steps can improve, but it starts where θ has left it, and
# that knows nothing of the classes of this task. **ProtoMAML** (the name is from Triantafillou et al., 2020, *Meta-Dataset*, arXiv 1903.03096) joins
# the two: the head *starts* as the rule of the nearest class mean, and then adapts. Here the head alone does, on given features.
#
# Let $c_k$ be the mean of the support features of class $k$. The class whose mean is nearest to the features $f$ has the largest
# $-\lVert f - c_k\rVert^2$. Expand the square. One of the three terms is the same for all classes, so leave it out; the others are
# a linear head, $w_k \cdot f + b_k$, with $w_k$ and $b_k$ for you to find (leave out no factor: the softmax would notice). Start there.
# From then on $w$ and $b$ are free: take `inner_steps` of gradient descent on the mean cross-entropy of the support set, in all $w_k$ and
# $b_k$ at once. Write the gradient yourself.


# %% nbgrader={"grade": false, "grade_id": "proto_maml", "locked": false, "schema_version": 3, "solution": true, "task": false}
def proto_maml(features, labels, queries, ways, inner_lr, inner_steps):
    """Scores w·f + b of the queries after the steps, (queries, ways), before any softmax.

    features (n, width), labels (n,): the support set; labels are whole numbers 0 … ways − 1, each there at least once,
    not each equally often, in any order. queries (queries, width). inner_steps: 0 or more.
    """
    ### BEGIN SOLUTION
    target = np.eye(ways)[labels]  # (n, ways)
    means = target.T @ features / target.sum(axis=0)[:, None]  # (ways, width)
    w, b = 2 * means, -(means**2).sum(axis=1)
    for _ in range(inner_steps):
        scores = features @ w.T + b
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (p / p.sum(axis=1, keepdims=True) - target) / len(labels)
        w, b = w - inner_lr * error.T @ features, b - inner_lr * error.sum(axis=0)
    return queries @ w.T + b
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_proto_maml", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("12.proto_maml", proto_maml)
### BEGIN HIDDEN TESTS
check("12.proto_maml", proto_maml, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# $-\lVert f - c\rVert^2 = -\lVert f\rVert^2 + 2\,c\cdot f - \lVert c\rVert^2$. Which term knows nothing of the class?
# </details>
# <details><summary>Hint 2</summary>
#
# The derivative of the cross-entropy of one example with respect to its scores is $p - y$: probabilities minus ones and zeros. Scores are
# linear in $w$ and $b$, so the rest is the chain rule: each example adds its $(p_k - y_k)\,f$ to the gradient of $w_k$, and
# $p_k - y_k$ to that of $b_k$.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# One step for two classes, with one score $s = w \cdot f + b$ and the logistic function:
#
# ```python
# error = (1 / (1 + np.exp(-(f @ w + b))) - y) / len(y)    # (n,)
# w, b = w - rate * error @ f, b - rate * error.sum()
# ```
# </details>

# %% [markdown]
# ## 12.7 In your own words
#
# *difficulty 4/5 · 15 minutes · 2 points, read by a person*
#
# Two papers seem to disagree. One (Raghu et al., 2020) lets the inner loop move the head alone, matches MAML with that, and calls it feature
# reuse. The other (Oh et al., 2021) freezes the head in the inner loop and lets the body alone move; it does better than MAML, on tasks from
# another domain above all, and concludes that the features have to change. You have seen both kinds of network
# in the lesson. Write **one sentence** that the authors of both papers could sign, and that is not empty: it must say something that an
# experiment could refute. Then name, in two or three more sentences, that experiment, and the result that would refute you.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_12", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Which layers have to move at test depends on which layers were allowed to move in the inner loop of training: a network
# trained with its head alone moving learns features for which a new head is enough, a network trained with all layers moving may learn
# to move its last body layers instead, and both can score the same.*
#
# The experiment: train one network each way on the same tasks, with an α of its own for each, chosen on validation episodes, three seeds. At test,
# let all layers move, the head alone, and the body alone, and read both bodies with the nearest class mean. I would be refuted if, on paired
# episodes, the network that was trained with everything moving lost nothing when only its head moved, in every seed and at each width; or if the
# network that was trained with its head alone needed its body to move as well.
#
# **Rubric.** 1 point: the sentence keeps *training* apart from *test* (what the inner loop may move while θ is learned, and
# what it must move afterwards), and contradicts neither finding. "It depends on the data" alone is empty and gets none. 1 point: names an experiment
# with what is frozen and when, and a result that would refute the sentence. A step size of its own for each method, several seeds or
# paired episodes are signs of a good answer; one of them is enough.
