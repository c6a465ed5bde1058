# %% [markdown]
# # 09 · Exercises: Fast MAML
#
# Each cell `check(…)` says whether your function is right and, if not, what it computes instead. In 09.1
# arrays are NumPy's; in 09.2 they are float64 tensors, none of which asks for a gradient. The lesson:
# [09 · Fast MAML](../notebooks/09_fast_maml.ipynb).

# %%
import numpy as np
import torch

from maml_edu.checks import check

# %% [markdown]
# ## 09.1 No loop over tasks
#
# *difficulty 2/5 · 15 minutes · 4 points*
#
# The step from the loop to vmap, by hand: the same numbers with a task axis in front, and one product for
# all tasks. Here is the loop; write it without one (the check cannot see a loop; your clock can).


# %%
def adapt_in_a_loop(theta, support_x, support_y, inner_lr):
    """φ of every task after one step of linear regression, prediction x @ θ, mean squared error."""
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):  # x (shots, inputs), y (shots,)
        error = x @ theta - y
        adapted.append(theta - inner_lr * 2 / len(y) * x.T @ error)
    return np.stack(adapted)


# %% nbgrader={"grade": false, "grade_id": "adapt_all", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adapt_all(theta, support_x, support_y, inner_lr):
    """What adapt_in_a_loop returns, without a loop.

    theta (inputs,), support_x (tasks, shots, inputs), support_y (tasks, shots). Returns (tasks, inputs).
    """
    ### BEGIN SOLUTION
    error = support_x @ theta - support_y  # (tasks, shots)
    slope = 2 / support_y.shape[1] * np.einsum("tni,tn->ti", support_x, error)
    return theta - inner_lr * slope
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_adapt_all", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.adapt_all", adapt_all)
### BEGIN HIDDEN TESTS
check("09.adapt_all", adapt_all, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `support_x @ theta` has shape (tasks, shots) already: `@` treats the axes in front as a stack.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For the slope, sum over shots and nothing else: `np.einsum("tni,tn->ti", support_x, error)`. Which
# number is `len(y)` of the loop in the shape of `support_y`?
#
# </details>

# %% [markdown]
# ## 09.2 Walk back
#
# *difficulty 4/5 · 20 minutes · 5 points*
#
# The back-walk is what lets MAML take fifty inner steps on a large network. You are given the path of the
# inner loop, $[\varphi_0, \dots, \varphi_{K-1}]$, and $v$, the gradient of the query loss at $\varphi_K$. Walk
# back to the meta-gradient: at each step $v \leftarrow v - \alpha H v$.


# %% nbgrader={"grade": false, "grade_id": "walk_back", "locked": false, "schema_version": 3, "solution": true, "task": false}
def walk_back(loss, path, support_x, support_y, v, inner_lr):
    """The gradient at path[0] of a function whose gradient after the last inner step is v.

    loss(params, x, y): one number. path: list of dicts of tensors, the parameters at which the inner
    steps 0, 1, … took their slopes. v: a dict like each of them. Returns a dict like v.
    """

    ### BEGIN SOLUTION
    def slope(params):
        return torch.func.grad(loss)(params, support_x, support_y)

    for phi in reversed(path):
        _, pull = torch.func.vjp(slope, phi)
        (curved,) = pull(v)  # H v
        v = {name: v[name] - inner_lr * curved[name] for name in v}
    return v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_walk_back", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("09.walk_back", walk_back)
### BEGIN HIDDEN TESTS
check("09.walk_back", walk_back, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# $Hv$ is the gradient of $\sum g \cdot v$ with respect to the parameters, where $g$ is the slope and $v$ a
# constant. Start with the step that was taken last; all steps saw the same support set.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `slope, pull = torch.func.vjp(lambda p: torch.func.grad(loss)(p, support_x, support_y), phi)` and then
# `(hv,) = pull(v)`. With `torch.autograd.grad`: make leaves of `phi`, take the slope with `create_graph=True`, then the gradient of
# the sum.
#
# </details>

# %% [markdown]
# ## 09.3 Predict the speed-up
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# Before you rewrite anything, work out what it can give. Starting an operation costs `start` seconds, each
# flop `1 / peak` seconds. A loop does `operations` operations for every task; a vectorised program does as
# many for all tasks together, each on all of them. Both then spend `rest` seconds on what is not
# vectorised, once per outer step.


# %% nbgrader={"grade": false, "grade_id": "predict_speed_up", "locked": false, "schema_version": 3, "solution": true, "task": false}
def predict_speed_up(tasks, operations, flops_per_task, start, peak, rest):
    """(speed-up of the vectorised program over the loop, the limit for any program).

    flops_per_task: arithmetic of all operations of one task; start, rest in seconds; peak in flops per
    second. The limit: the speed-up over the loop if no operation took time to start and the arithmetic ran
    at `peak`; `rest` stays.
    """
    ### BEGIN SOLUTION
    arithmetic = tasks * flops_per_task / peak
    loop = tasks * operations * start + arithmetic + rest
    vectorised = operations * start + arithmetic + rest
    return loop / vectorised, loop / (arithmetic + rest)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_predict_speed_up", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.predict_speed_up", predict_speed_up)
### BEGIN HIDDEN TESTS
check("09.predict_speed_up", predict_speed_up, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write down three times: starts, arithmetic, rest. Which of them changes when all tasks share an operation?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The arithmetic is that of all tasks, in both programs. A speed-up is old time over new time, each with
# everything in it (Amdahl).
#
# </details>

# %% [markdown]
# ## 09.4 The law of memory
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Will it fit? Count numbers kept at the worst moment, for one task. The recorded loop keeps the graph of
# every inner step and that of the query loss. The back-walk keeps, to the end, all K new sets of
# parameters, and one graph at a time: that of one inner step, or that of the query loss.


# %% nbgrader={"grade": false, "grade_id": "memory_law", "locked": false, "schema_version": 3, "solution": true, "task": false}
def memory_law(inner_steps, parameters, step_graph, query_graph):
    """(numbers kept by the recorded loop, numbers kept by the back-walk).

    parameters: how many numbers θ has; step_graph, query_graph: how many a graph keeps. θ itself is there
    anyway and does not count; neither does v.
    """
    ### BEGIN SOLUTION
    recorded = inner_steps * step_graph + query_graph
    walked = inner_steps * parameters + max(step_graph, query_graph)
    return recorded, walked
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_memory_law", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.memory_law", memory_law)
### BEGIN HIDDEN TESTS
check("09.memory_law", memory_law, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# K inner steps make K new sets of parameters: $\varphi_1 \dots \varphi_K$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# "One graph at a time" means that the larger of the two decides: `max`, not a sum.
#
# </details>

# %% [markdown]
# ## 09.5 In your own words
#
# *Written question, marked by a person · 3 points.* A page says: "Our MAML is 40 times as fast as library X."
# Name three things you would have to know before you believe it, and say for each how it could
# produce a large factor although your own training would take as long as before.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_09", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Is it the same gradient?* A first-order gradient, or a wrong one, is cheaper; without a
# comparison in float64 the factor compares two different things. *Was the other side warm, and measured in
# the same rounds?* Counting X's first call (import, compilation, memory) or measuring X while the machine
# was busy inflates the factor. *What was measured?* If it is the gradient alone and drawing tasks takes most of
# a training step, Amdahl leaves little of the 40. *Also right:* the setting (tiny network and 25 tasks, where
# vectorising gives most, says nothing about large images); threads (X with a bad number of them);
# precision (half against single); a GPU without synchronisation, where only the asking was timed; the
# best run of one against the mean of the other.
#
# **Rubric.** 1 point for each of three different things with its mechanism; half a point where the
# thing is named and the mechanism is missing.
