# %% [markdown]
# # 09 · Exercises: Fast MAML
#
# Each cell `check(…)` says whether your function is right and, if not, what it computes instead. Arrays are
# NumPy's, except in 09.6, where they are float64 tensors, none with `requires_grad=True`.
#
# - **Core**, about 80 minutes: 09.1, 09.2, 09.4, 09.6.
# - **Further**, about 65 minutes: 09.5 and 09.8, which need the core of the lesson only; 09.3 and 09.7, which
#   belong to *Further E* and *Further A* of the lesson.
#
# The lesson: [09 · Fast MAML](../notebooks/09_fast_maml.ipynb).

# %%
import math

import numpy as np
import torch

from maml_edu.checks import check

# %% [markdown]
# ## 09.1 No loop over tasks
#
# *difficulty 1/5 · 7 minutes · 2 points*
#
# A warm-up: the step from the loop to vmap, by hand. The same numbers with a task axis in front, and one product
# for all tasks. Here is the loop; write it without one. (The check cannot tell: it draws a few tasks only, too few
# for a loop to be slow. Your clock can, with a thousand.)


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


# %% nbgrader={"grade": true, "grade_id": "check_adapt_all", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("09.adapt_all", adapt_all)
### BEGIN HIDDEN TESTS
check("09.adapt_all", adapt_all, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `support_x @ theta` has shape (tasks, shots) already: `@` treats the axes in front as a stack. Which
# number is `len(y)` of the loop in the shape of `support_y`?
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The centroid of each task, every example weighted by `w` (tasks, shots), sums over shots and nothing else:
# `np.einsum("tn,tni->ti", w, support_x)`. Letters that are missing on the right are summed over.
#
# </details>

# %% [markdown]
# ## 09.2 The verdict of the rounds
#
# *difficulty 3/5 · 20 minutes · 4 points*
#
# Somebody has timed an old and a new program in rounds, on a machine that slowed down meanwhile and was now and
# then busy with something else. Is the new one faster, and by how much? The lesson always took 15 rounds, and so
# the 4th smallest and the 4th largest ratio. Here the number of rounds varies, and you count the coin tosses
# yourself.


# %% nbgrader={"grade": false, "grade_id": "compare_in_rounds", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compare_in_rounds(old, new):
    """(speed-up, low, high, verdict) of the program `new` over the program `old`.

    old, new (rounds,), rounds ≥ 9: seconds; round i timed both, one right after the other.
    speed-up: the median over rounds of the ratios within a round, above 1 where `new` is faster.
    low, high: the k-th smallest and the k-th largest ratio, with the largest k for which fewer than k
    heads in `rounds` tosses of a coin have a probability of at most 0.025.
    verdict: "new" if the whole interval lies above 1, "old" if it lies below 1, otherwise "open".
    """
    ### BEGIN SOLUTION
    ratios, n = np.sort(old / new), len(old)
    at_most = np.cumsum([math.comb(n, heads) for heads in range(n + 1)]) / 2**n
    k = int(np.sum(at_most <= 0.025))  # at_most[k − 1]: fewer than k heads
    low, high = float(ratios[k - 1]), float(ratios[n - k])
    verdict = "new" if low > 1 else "old" if high < 1 else "open"
    return float(np.median(ratios)), low, high, verdict
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_compare_in_rounds", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.compare_in_rounds", compare_in_rounds)
### BEGIN HIDDEN TESTS
check("09.compare_in_rounds", compare_in_rounds, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Drift multiplies both times of one round by the same factor, so it drops out of their ratio, and of nothing
# else. A speed-up is the old time over the new one.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `math.comb(n, h) / 2**n` is the probability of exactly `h` heads in `n` tosses. Add up from h = 0 for as long as
# the sum does not exceed 0.025; k is how many terms you could add.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# For 9 rounds: the probability of no heads is 1/512, that of at most one 10/512 = 0.0195, that of at most two
# 46/512 = 0.09. So two terms fit, k = 2, and the interval goes from the 2nd smallest to the 2nd largest ratio:
# `ordered[1]` to `ordered[7]`.
#
# </details>

# %% [markdown]
# ## 09.3 All-reduce
#
# *difficulty 1/5 · 5 minutes · 2 points*
#
# Some processes have shared a meta-batch, each has the mean gradient of its own tasks. Make the gradient of the
# whole meta-batch from these. Shares may be unequal, and when there are more processes than tasks, some have
# none: the mean of nothing is NaN.


# %% nbgrader={"grade": false, "grade_id": "all_reduce", "locked": false, "schema_version": 3, "solution": true, "task": false}
def all_reduce(means, counts):
    """The mean gradient over all tasks of all processes, a dict like each of `means`.

    means: a dict name → array for each process, the mean over its own tasks, NaN everywhere when it
    has none. counts: how many tasks each process has; at least one has some.
    """
    ### BEGIN SOLUTION
    shares = [(count / sum(counts), mean) for count, mean in zip(counts, means, strict=True)]
    return {name: sum(w * mean[name] for w, mean in shares if w > 0) for name in means[0]}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_all_reduce", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("09.all_reduce", all_reduce)
### BEGIN HIDDEN TESTS
check("09.all_reduce", all_reduce, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# What would one process have summed, had it had all tasks? How do you get the sum over a share from its mean?
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Two classes have the mean marks 2 (10 pupils) and 5 (20 pupils): together (10 · 2 + 20 · 5) / 30 = 4, not 3.5. A
# third class without pupils has the mean NaN, and 0 · NaN is NaN: leave it out before you multiply.
#
# </details>

# %% [markdown]
# ## 09.4 The law of memory
#
# *difficulty 3/5 · 20 minutes · 3 points*
#
# Will it fit? Count numbers kept at the worst moment, for one task, in three programs:
#
# 1. the *recorded loop* keeps the graph of every inner step, with the parameters at which it is built, and that
#    of the query loss, with the same;
# 2. the *back-walk* of the lesson keeps the K new sets $\varphi_1 \dots \varphi_K$ to the end, and one graph at a
#    time: first that of the query loss, then those of the inner steps;
# 3. a *thrifty back-walk* does the same, and releases each set as soon as no later graph is built at it:
#    $\varphi_K$ after the query loss, $\varphi_{K-1}$ after the last inner step, and so on.
#
# As in the lesson $\varphi_K$ counts and $\varphi_0$, which is θ, does not. (In exercise 06.4 it was the other way round.)


# %% nbgrader={"grade": false, "grade_id": "memory_law", "locked": false, "schema_version": 3, "solution": true, "task": false}
def memory_law(inner_steps, parameters, step_graph, query_graph):
    """(numbers kept by the recorded loop, by the back-walk, by the thrifty back-walk), whole numbers.

    inner_steps: K, at least 1. parameters: how many numbers θ has. step_graph, query_graph: how many a
    graph keeps besides the parameters at which it is built. θ itself is there anyway and does not
    count; neither does v.
    """
    ### BEGIN SOLUTION
    recorded = inner_steps * (step_graph + parameters) + query_graph  # φ₁ … φ_K hang on the graphs
    walked = inner_steps * parameters + max(step_graph, query_graph)
    at_query = inner_steps * parameters + query_graph
    at_last_step = (inner_steps - 1) * parameters + step_graph
    return recorded, walked, max(at_query, at_last_step)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_memory_law", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.memory_law", memory_law)
### BEGIN HIDDEN TESTS
check("09.memory_law", memory_law, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# K inner steps make K new sets of parameters. Which of the three programs can do without them? "One graph at a
# time": the larger one decides.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For the thrifty walk write down what lives at each moment of the way back: which sets, which graph. Which
# moments can be the worst? After the first inner step on the way back it only gets better.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# One inner step, θ of 10 numbers, graphs of 55 (step) and 50 (query). The recorded loop has both graphs at the
# end, one built at θ, the other at $\varphi_1$: 55 + 50 + 10 = 115. On the walks, while the query's graph is
# there, $\varphi_1$ is, too: 60. Then it is released, and the step's graph is built at θ: 55. The thrifty walk
# needs 60, the lesson's walk, which still keeps $\varphi_1$ then, 65.
#
# </details>

# %% [markdown]
# ## 09.5 Predict the speed-up
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Before you rewrite anything, work out what it can give. Starting an operation costs `start` seconds, each flop
# (one addition or multiplication) `1 / peak` seconds. A loop does `operations` operations for every task; a
# vectorised program does as many for all tasks together, each on all of them. Both then spend `rest` seconds on
# what is not vectorised, once per outer step.


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


# %% nbgrader={"grade": true, "grade_id": "check_predict_speed_up", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
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
# <details><summary>Hint 2: a similar case</summary>
#
# Ten letters are posted: 5 minutes to the letter box for each, 1 minute to write each, 15 minutes to find the
# stamps. One by one this takes 75 minutes, and with one walk for all 30. What stays, were there a letter box at the
# desk?
#
# </details>

# %% [markdown]
# ## 09.6 Walk back, past several query losses
#
# *difficulty 4/5 · 30 minutes · 5 points*
#
# MAML++ (Antoniou, Edwards & Storkey 2019, arXiv 1810.09502) takes the query loss after *every* step,
# $L = \sum_{k=0}^{K} w_k L_{\text{Q}}(\varphi_k)$ (it has $w_0 = 0$; take any $w_0$), and Meta-SGD (Li, Zhou, Chen &
# Li 2017, arXiv 1707.09835) learns the inner rates. Take the walk of the lesson and make it do both, for one rate. The
# slope of α is chapter 06's, summed over the steps. What is new are several query losses: at each $\varphi_k$ another
# gradient joins $v$. When? And which $v$ does the slope of α take?
#
# The tensors have no `requires_grad`, so the lesson's `torch.autograd.grad` does not run on them as they are. Shorter
# here is `torch.func.grad(loss)(params, x, y)`: the slope, a dict like `params`. (The check cannot tell how you got
# your numbers. Whoever ignores `path` and records the whole loop passes, too, with K graphs in memory.)


# %% nbgrader={"grade": false, "grade_id": "walk_back", "locked": false, "schema_version": 3, "solution": true, "task": false}
def walk_back(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
    """(dL/dφ₀, dL/dα) of L = Σₖ weights[k] · L_Q(φₖ), k = 0 … K: a dict like φ₀, and a number.

    loss(params, x, y): one number. path: [φ₀, …, φ_K], dicts of tensors, where φₖ₊₁ = φₖ − α ∇L_S(φₖ).
    weights: K + 1 numbers. inner_lr: α, one number for all steps and parameters.
    """

    ### BEGIN SOLUTION
    def slope(params):
        return torch.func.grad(loss)(params, support_x, support_y)

    v = {name: torch.zeros_like(part) for name, part in path[0].items()}
    slope_of_rate = 0.0
    for k in reversed(range(len(path))):
        if k < len(path) - 1:
            g, pull = torch.func.vjp(slope, path[k])
            slope_of_rate -= sum((v[name] * g[name]).sum() for name in v)
            (curved,) = pull(v)  # H v
            v = {name: v[name] - inner_lr * curved[name] for name in v}
        joins = torch.func.grad(loss)(path[k], query_x, query_y)
        v = {name: v[name] + weights[k] * joins[name] for name in v}
    return v, float(slope_of_rate)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_walk_back", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("09.walk_back", walk_back)
### BEGIN HIDDEN TESTS
check("09.walk_back", walk_back, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Let $v_{k}$ be the slope of everything that comes after $\varphi_k$ was made, that is of
# $\sum_{j \ge k} w_j L_{\text{Q}}(\varphi_j)$, with respect to $\varphi_k$. What has to be done to $v_{k+1}$, and
# what has to be added, to get $v_k$? Begin with $v_K$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# As in 06: α moves $\varphi_{k+1}$ by $-\nabla L_{\text{S}}(\varphi_k)$ while $\varphi_k$ stands still. How the loss
# responds is $v_{k+1}$, which holds every query loss from $\varphi_{k+1}$ on, and not yet that at $\varphi_k$.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Numbers in place of dicts: $L_{\text{S}} = \tfrac12 a\varphi^2$ has the slope $a\varphi$ and $H = a$;
# $L_{\text{Q}} = \varphi$ has the slope 1. With one step, $v_1 = w_1$, then $v_0 = (1 - \alpha a)v_1 + w_0$, and
# $dL/d\alpha = -v_1\,a\varphi_0$. Which terms does a second step add? For $Hv$ with tensors, chapter 05's VJP:
# `g, pull = torch.func.vjp(f, p)` gives `g = f(p)` and `pull(v)`, a tuple of one.
#
# </details>

# %% [markdown]
# ## 09.7 The R-operator, where the activation is curved
#
# *difficulty 4/5 · 35 minutes · 5 points*
#
# A Hessian-vector product without autograd, for two layers on N examples: $z_1 = W_1x + b_1$, $a = \tanh z_1$,
# $z_2 = W_2a + b_2$; the loss is the mean of $(z_2 - y)^2$ over all examples and outputs. *Further A* has relu,
# whose slope stands still while the parameters move. The slope of tanh, $1 - a^2$, does not. Take R of every
# line of `gradient`. With that function you can prove your answer by number before you ask the check; but the
# check wants twelve digits, more than differences of gradients have. (It cannot tell how you got them: autograd passes,
# too, and so does `gradient` at complex weights.)


# %%
def gradient(weights, x, y):
    """[dL/dW1, dL/db1, dL/dW2, dL/db2]; a row of x and y is an example."""
    W1, b1, W2, b2 = weights
    a = np.tanh(x @ W1.T + b1)  # (examples, hidden)
    delta2 = 2 / y.size * (a @ W2.T + b2 - y)  # (examples, outputs)
    delta1 = (delta2 @ W2) * (1 - a**2)
    return [delta1.T @ x, delta1.sum(0), delta2.T @ a, delta2.sum(0)]


# %% nbgrader={"grade": false, "grade_id": "hessian_times", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hessian_times(weights, x, y, direction):
    """H times the direction: a list of four arrays like weights, right to twelve digits (in float64).

    weights: [W1, b1, W2, b2] of shapes (hidden, inputs), (hidden,), (outputs, hidden), (outputs,); direction:
    [U1, u1, U2, u2], of the same shapes; x (examples, inputs); y (examples, outputs).
    """
    ### BEGIN SOLUTION
    (W1, b1, W2, b2), (U1, u1, U2, u2) = weights, direction
    a = np.tanh(x @ W1.T + b1)
    R_a = (1 - a**2) * (x @ U1.T + u1)  # the inputs do not move
    delta2 = 2 / y.size * (a @ W2.T + b2 - y)
    R_delta2 = 2 / y.size * (R_a @ W2.T + a @ U2.T + u2)
    R_back = R_delta2 @ W2 + delta2 @ U2
    R_delta1 = R_back * (1 - a**2) + (delta2 @ W2) * (-2 * a * R_a)  # tanh's slope moves
    return [R_delta1.T @ x, R_delta1.sum(0), R_delta2.T @ a + delta2.T @ R_a, R_delta2.sum(0)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_hessian_times", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("09.hessian_times", hessian_times)
### BEGIN HIDDEN TESTS
check("09.hessian_times", hessian_times, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Which numbers in `gradient` move when the parameters set off along the direction, and which stand still? Go
# through its lines in order. A product of two things that move has two terms, one of three has three.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A proof by number: for a small ε, (`gradient` at `weights` + ε `direction` − `gradient` at `weights` − ε
# `direction`) / 2ε is $Hu$ to about nine digits. Make parts of the direction zero, and you see which term is
# missing: with $U_1 = u_1 = 0$ the numbers $a$ stand still.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# One layer with the activation $a = z^3$, the loss $\tfrac1N\sum a$ over N examples: $\delta = \tfrac3N z^2$, and
# with $R\{z\} = xU^\top + u$ (the rows of $x$ are examples) $R\{\delta\} = \tfrac6N z R\{z\}$; then
# $R\{g_W\} = R\{\delta\}^\top x$. Were the inputs $x$ another layer's numbers, there would be the second term
# $\delta^\top R\{x\}$.
#
# </details>

# %% [markdown]
# ## 09.8 In your own words
#
# *Written question, marked by a person · difficulty 2/5 · 15 minutes · 3 points.* A page says: "Our MAML is 40
# times as fast as library X." Name three things you would have to know before you believe it, and say for each
# how it could produce a large factor although your own training would take as long as before.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_09", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Is it the same gradient?* A first-order gradient, or a wrong one, is cheaper; without a
# comparison in float64 the factor compares two different things. *Was the other side warm, and measured in
# the same rounds?* Counting X's first call (import, compilation, memory) or measuring X while the machine
# was busy inflates the factor. *What was measured?* If it is the gradient alone and drawing tasks takes most of
# a training step, Amdahl leaves little of the 40. *Also right:* the setting (tiny network and 25 tasks, where
# vectorising gives most, says nothing about large images); threads (X with a bad number of them);
# precision (half against single); a GPU without synchronisation, where only the asking was timed; the
# best run of one against the mean of the other; no interval, one run of each.
#
# **Rubric.** 1 point for each of three different things with its mechanism; half a point where the
# thing is named and the mechanism is missing.
