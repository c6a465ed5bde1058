# %% [markdown]
# # 02 · Exercises: backpropagation
#
# Six functions and a question to answer in words; about 90 minutes. Replace `raise NotImplementedError()`, run the cell, then
# run the check below it: it says whether your answer is right, and if not, which mistake it was. 02.1 to 02.4 are parts of a
# tape, each a little more general than the lesson's own; 02.5 is a detective story, and 02.6 trains a network. The lesson is
# [here](../notebooks/02_backpropagation.ipynb).

# %%
import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check

# %% [markdown]
# ## 02.1 A layer that all tasks share
#
# *difficulty 2/5 · 12 minutes · 3 points*
#
# Before MAML's first inner step every task has the same weights: θ. And PyTorch stores the weights of a layer as (outputs,
# inputs), so that the layer computes $z = xw^\top$. This is the backward rule for that case. Your own shapes are your best
# friend here, as long as no two of them happen to be equal. (The check begins with as many inputs as outputs, where shapes
# hide a transpose.)


# %% nbgrader={"grade": false, "grade_id": "matmul_back", "locked": false, "schema_version": 3, "solution": true, "task": false}
def matmul_back(g, x, w):
    """The slopes of x and of w, for z = x @ w.T in every task.

    g: ∂L/∂z, an array (tasks, examples, outputs); x: (tasks, examples, inputs), each task has its own;
    w: (outputs, inputs), the same for all tasks.
    Returns (∂L/∂x, ∂L/∂w), arrays of the shapes of x and of w.
    """
    ### BEGIN SOLUTION
    return g @ w, np.sum(np.swapaxes(g, 1, 2) @ x, axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_matmul_back", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.matmul_back", matmul_back)
### BEGIN HIDDEN TESTS
check("02.matmul_back", matmul_back, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write down one number of the result, with indices: $z_{eo} = \sum_i x_{ei}\,w_{oi}$ for example $e$ of some task. Which results
# does $x_{ei}$ take part in, and with which factor? And $w_{oi}$: in those of which examples, of which tasks?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: for $z_{to} = x_{to}\,s_o$ with one scale $s_o$ for each output, the slope of $s_o$ is
# $\sum_t g_{to}\,x_{to}$, a sum over all that share it. In code that is `np.sum(g * x, axis=0)`, or
# `np.einsum("to,to->o", g, x)`.
# </details>

# %% [markdown]
# ## 02.2 What was broadcast is summed
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# The lesson's `sum_to` knows biases. NumPy stretches more than these: an axis that is **missing** at the front, and an axis of
# **length 1** anywhere. A batch norm's means, `keepdims=True`, an outer product `x[:, None] * y`: all of them need the full
# rule.


# %% nbgrader={"grade": false, "grade_id": "unbroadcast", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unbroadcast(g, shape):
    """The slope of an operand of this shape, which NumPy stretched to the shape of g.

    g: ∂L/∂(the stretched operand), an array; shape: the operand's own shape, a tuple of ints that
    broadcasts to g.shape. Returns an array of exactly this shape (for the shape (), a number).
    """
    ### BEGIN SOLUTION
    missing = g.ndim - len(shape)
    g = np.sum(g, axis=tuple(range(missing)))
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return np.sum(g, axis=ones, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_unbroadcast", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.unbroadcast", unbroadcast)
### BEGIN HIDDEN TESTS
check("02.unbroadcast", unbroadcast, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# NumPy aligns two shapes at their **last** axes. So the axes that are missing are the first ones of `g`, and once they are
# summed away, the axes of `g` and those of `shape` have the same numbers.
# </details>
# <details><summary>Hint 2</summary>
#
# `np.sum` takes several axes at once, and can keep them. For an array `a` of shape (2, 3, 4),
# `np.sum(a, axis=(0, 2)).shape` is (3,), and `np.sum(a, axis=(0, 2), keepdims=True).shape` is (1, 3, 1).
# </details>

# %% [markdown]
# ## 02.3 Add, do not overwrite
#
# *difficulty 1/5 · 5 minutes · 3 points*
#
# A tape of single numbers, whose local factors have been worked out already. The loss is not its last line. Several lines are
# results, as when a network has two outputs, or when large weights are penalised:
#
# $$L = \sum_i \text{seed}_i \cdot \text{value}_i.$$
#
# Line $i$'s seed says how $L$ uses that line **directly**; 0 means not at all. A line may be a result *and* feed other
# lines, and a line may use the same operand twice.


# %% nbgrader={"grade": false, "grade_id": "accumulate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accumulate(lines, seeds):
    """∂L/∂value for every line of the tape.

    lines: a list; lines[i] is a list of pairs (parent, factor): line i uses the value of line `parent`, and
    responds to it with this local factor. A parent is always an earlier line. Inputs have an empty list.
    seeds: an array (lines,). Returns an array (lines,).
    """
    ### BEGIN SOLUTION
    slopes = np.array(seeds, dtype=float)
    for index in range(len(lines) - 1, -1, -1):
        for parent, factor in lines[index]:
            slopes[parent] += slopes[index] * factor
    return slopes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_accumulate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.accumulate", accumulate)
### BEGIN HIDDEN TESTS
check("02.accumulate", accumulate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `L` is one more user of every line that has a seed. Which slope does a line have before any other line has passed anything to
# it?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case by hand: $u = 3x$, $v = u + u$ and $L = 2u + 5v$. Then $v$ has the slope 5; $u$ has 2 directly, and $5 \cdot 1$
# twice through $v$, so 12; and $x$ has $12 \cdot 3 = 36$.
# </details>

# %% [markdown]
# ## 02.4 In which order?
#
# *difficulty 3/5 · 20 minutes · 3 points*
#
# The lesson's tape has it easy: its lines are numbered. PyTorch keeps no such list. Each value knows only what it was made
# from, and the backward pass has to find an order by itself. Which one? A value may be visited only when **every** value that
# uses it has been visited, because only then is its slope complete. Several orders may do. Any of them is right.


# %% nbgrader={"grade": false, "grade_id": "order", "locked": false, "schema_version": 3, "solution": true, "task": false}
def order(parents, out):
    """An order for the backward pass from `out`.

    parents: dict name → list of the names it was made from ([] for an input), in no particular order, and
    twice the one that was used twice (a·a); out: a name.
    Returns a list of names: `out` and all that it was made from, directly or not, each name once, and
    each after all of these that use it. What `out` does not depend on is left out.
    """
    ### BEGIN SOLUTION
    seen, finished = set(), []

    def visit(name):  # a name is finished when all that it was made from is
        if name not in seen:
            seen.add(name)
            for parent in parents[name]:
                visit(parent)
            finished.append(name)

    visit(out)
    return finished[::-1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_order", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.order", order)
### BEGIN HIDDEN TESTS
check("02.order", order, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Draw a diamond: `out` is made from `a` and `b`, and `b` is made from `a`. Does your order visit `a` before `b`?
# </details>
# <details><summary>Hint 2</summary>
#
# Two ways lead there. One counts for each name how many of the wanted names use it, and visits a name when none of these is
# left. The other finds the order of the *forward* pass, in which everything comes after what it was made from, and turns it
# round.
# </details>

# %% [markdown]
# ## 02.5 Which slope is wrong?
#
# *difficulty 4/5 · 25 minutes · 4 points*
#
# Somebody wrote a gradient by hand, for a loss through which no tape can go (`ref.grad` refuses it). Some of the claimed slopes
# may be wrong, and you are to say which. The authors were cunning. A wrong slope may be zero, or its errors may add up to zero,
# or it may be wrong in a way that does not show if one walks along the claim itself. Some of the problems are given in single
# precision (float32), and some have tiny losses.


# %% nbgrader={"grade": false, "grade_id": "wrong_slopes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def wrong_slopes(loss, claimed, params, x, y):
    """The names of the parameters whose claimed slope is wrong, in the order of `params`.

    loss: a function, loss(params, x, y) is a number; claimed, params: dicts name → array, of the same shapes;
    x, y: arrays. All arrays are float64, or all are float32. A right slope is right to four digits; a wrong
    one is off by at least a tenth of the true slope's length. Returns a list of names, [] if all are right.
    """

    ### BEGIN SOLUTION
    def double(arrays):
        return {name: np.asarray(part, dtype=np.float64) for name, part in arrays.items()}

    claimed, params = double(claimed), double(params)
    x, y, h = x.astype(np.float64), y.astype(np.float64), 1e-5
    rng, found = np.random.default_rng(0), []
    for name, value in params.items():
        errors, sizes = [], []
        for _ in range(10):
            v = rng.normal(size=value.shape)
            ahead, behind = (loss(params | {name: value + s * v}, x, y) for s in (h, -h))
            measured = (ahead - behind) / (2 * h)
            errors.append(np.sum(claimed[name] * v) - measured)
            sizes.append(measured)
        if np.linalg.norm(errors) > 0.01 * np.linalg.norm(sizes):
            found.append(name)
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_wrong_slopes", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("02.wrong_slopes", wrong_slopes)
### BEGIN HIDDEN TESTS
check("02.wrong_slopes", wrong_slopes, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# A direction that moves *one* parameter and leaves the others alone tells you about that parameter's slope only. Take several
# random ones for each parameter, and compare two lists of numbers: $g^\top v$ as claimed, and as measured.
# </details>
# <details><summary>Hint 2</summary>
#
# Two numbers $p$ and $q$ agree to two digits if $|p - q| < 0.01\,|q|$, whatever their size. A single $q$ may be small by
# chance. Ten of them are not: compare the length of the list of differences with the length of the list of measurements.
# </details>
# <details><summary>Hint 3</summary>
#
# In float32 a number near 1 cannot be told from its neighbour $10^{-8}$ away: `np.float32(1) + np.float32(1e-8) == 1`.
# Compute in float64 (`array.astype(np.float64)`), or take a much larger h (chapter 01 says which).
# </details>

# %% [markdown]
# ## 02.6 Fit one sine, in parts
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# A round of training may have more examples than fit into memory at once. So the round's examples come in **parts**. Each part
# gives a slope; the slopes are added up in a buffer; after the last part the network takes **one** step. PyTorch does it the
# same way: its `.grad` is such a buffer, and adds whatever comes. Here you fit a sine like this. The result must be what a step
# on all examples of the round at once would give.


# %% nbgrader={"grade": false, "grade_id": "fit_one_sine", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit_one_sine(params, x, y, lr, rounds):
    """The parameters after one step of gradient descent per round.

    params: dict name → array, as `ref.mlp_init` gives; x, y: arrays (points, 1); lr: the step size. rounds: a list;
    each round is a list of parts, and a part is an array of whole numbers: which points it holds. Parts
    differ in length, and a point may occur several times. A round's loss is the mean squared error over
    all points of all its parts, each as often as it occurs. Slopes of one part come from
    `ref.grad(ref.mse)(params, x[part], y[part])`. Returns a dict like params.
    """
    ### BEGIN SOLUTION
    for parts in rounds:
        total = sum(len(part) for part in parts)
        buffer = dict.fromkeys(params, 0.0)  # a new one in every round
        for part in parts:
            slopes = ref.grad(ref.mse)(params, x[part], y[part])
            for name in params:
                buffer[name] = buffer[name] + slopes[name] * len(part) / total
        params = {name: value - lr * buffer[name] for name, value in params.items()}
    return params
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_fit_one_sine", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.fit_one_sine", fit_one_sine)
### BEGIN HIDDEN TESTS
check("02.fit_one_sine", fit_one_sine, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# What does the buffer hold when a new round begins? And with which parameters are the slopes of the second part taken?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: the mean of 1, 2, 3 and 10, from the parts (1, 2, 3) and (10,). The mean of the two means, 2 and 10, is 6, and
# wrong. Weighted by how many numbers each holds: $\tfrac34 \cdot 2 + \tfrac14 \cdot 10 = 4$.
# </details>

# %% [markdown]
# ## 02.7 In your own words
#
# *difficulty 3/5 · 10 minutes · 2 points, read by a person*
#
# Why does reverse mode cost one pass per *output* and forward mode one pass per *input*? MAML needs the gradient of the loss
# after $K$ inner steps with respect to the starting parameters θ. Somebody else wants to know how that loss depends on a single
# number, the inner step size α. Say for each of the two which mode you would take, how many passes it needs, and what happens
# to the memory when $K$ grows. About six sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_02", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** Reverse mode starts from a slope at one output and carries it through the program towards all inputs: the
# product of Jacobians is worked out from the last step, and what is carried is one row. Each further output needs another row,
# so another pass. Forward mode starts from a change of one input (or along one direction) and carries along how everything
# changes: one column. Each further input needs another pass. MAML's loss is one number and θ has thousands, so reverse mode
# gives the whole gradient in one pass, where forward mode would need one per parameter. But the way back needs what was
# computed on the way forward, for all $K$ steps, so memory grows with $K$. For the single number α forward mode needs one pass,
# too; it runs along with the inner loop and keeps nothing of earlier steps, so its memory does not grow with $K$.
#
# **Rubric.** 1 point: says what is carried (slopes of *one output* back to all inputs; changes from *one input* on to all
# values, or a row and a column of the product of Jacobians), so that the count of passes follows. 1 point: reverse mode with
# one pass for θ and forward mode with one pass for α, and that the memory of reverse mode grows with $K$ while that of forward
# mode does not. (Reverse mode for α is accepted, one pass as well, if the answer says that its memory grows and that forward
# mode's would not.)
