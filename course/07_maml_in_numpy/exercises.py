# %% [markdown]
# # 07 · Exercises: MAML in NumPy
#
# Algorithm 1 in two functions, with which you then train a network of your own; what a test of it needs; and three questions
# that the lesson prepares but does not answer. Replace `raise NotImplementedError()`, run the cell, then run the check
# below it: it says whether the answer is right, and if not, which mistake it was. The lesson is
# [here](../notebooks/07_maml_in_numpy.ipynb).
#
# | | core, about 35 minutes | | further, about 80 minutes |
# | --- | --- | --- | --- |
# | 07.1 | the inner loop | 07.5 | does the interval keep its promise? |
# | 07.2 | one turn of the outer loop, *then train with it* | 07.6 | six curves |
# | 07.3 | more steps at test time | 07.7 | what the start answers with |
# | 07.4 | a mean, and when to believe it | 07.8 | in your own words |
#
# Everywhere `loss(params, x, y)` is one number for **one** task, `params` is a dict of arrays, and arrays of several tasks
# have a leading axis that counts tasks. `ref.grad(f)(params, …)` is the gradient, a dict like `params`. What you
# are about to write is not to be called: `ref.adapt` in 07.1, `ref.meta_loss` and `ref.meta_gradient` in 07.2, and
# `maml_edu.pytorch` in both. The check tells an answer that does; everything else in the library is yours.

# %%
import os

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import check
from maml_edu.figures import training_curve
from maml_edu.tasks import Sinusoids

# %% [markdown]
# ## 07.1 The inner loop
#
# *difficulty 1/5 · 5 minutes · 2 points*
#
# Lines 4 to 7 of Algorithm 1: adapt to every task of a batch. Every task starts from the same θ, and here home-made MAML goes
# wrong silently: code that changes `params` as it goes hands the second task what the first one has learned.


# %% nbgrader={"grade": false, "grade_id": "inner_loop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inner_loop(loss, params, support_x, support_y, inner_lr, inner_steps):
    """The adapted parameters φ of every task: a list of dicts like params, in the order of the tasks.

    params: dict name → array, θ. support_x (tasks, shots, inputs), support_y (tasks, shots, outputs).
    inner_lr: α, a number; inner_steps: how many steps of gradient descent, each from where the last
    one of this task ended. params itself stays as it is.
    """
    ### BEGIN SOLUTION
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            slope = ref.grad(loss)(phi, x, y)
            phi = {name: value - inner_lr * slope[name] for name, value in phi.items()}
        adapted.append(phi)
    return adapted
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_inner_loop", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("07.inner_loop", inner_loop)
### BEGIN HIDDEN TESTS
check("07.inner_loop", inner_loop, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Two loops: over the tasks, and inside it over the steps. What has to be reset at the beginning of each task?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The same deposits, for ten years, at each of three banks. `money` starts again for every bank, and every year makes
# a **new** dict; `money[name] *= 1 + rate` would have changed the arrays in `deposits`.
#
# ```python
# for rate in (0.01, 0.02, 0.03):
#     money = deposits
#     for _ in range(10):
#         money = {name: amount * (1 + rate) for name, amount in money.items()}
#     print(rate, money)
# ```
# </details>

# %% [markdown]
# ## 07.2 One turn of the outer loop
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Line 8: move θ so that what the inner loop makes of it gets better. Take plain gradient descent with the rate β. The loss is the
# **mean** over the tasks of the query loss at φ, and the gradient is taken with respect to θ, through the inner steps.


# %% nbgrader={"grade": false, "grade_id": "outer_loop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def outer_loop(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    """θ after one meta-update, θ − β ∇θ mean over tasks of the query loss at φ: a dict like params.

    support_x (tasks, shots, inputs), support_y (tasks, shots, outputs), query_x and query_y alike with
    another number of examples. inner_lr: α; meta_lr: β, numbers.
    `ref.adapt(loss, theta, x, y, inner_lr, inner_steps)` is the inner loop of one task, if you like.
    """

    ### BEGIN SOLUTION
    def meta_loss(theta):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps), qx, qy)
            for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True)
        ]
        return sum(losses) / len(losses)

    slope = ref.grad(meta_loss)(params)
    return {name: value - meta_lr * slope[name] for name, value in params.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_outer_loop", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.outer_loop", outer_loop)
### BEGIN HIDDEN TESTS
check("07.outer_loop", outer_loop, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a function of θ alone that returns the mean query loss after adaptation. The rest is `ref.grad` of it. Collect the
# losses in a list and take `sum(losses) / len(losses)`: `np.mean` of a list stops `ref.grad` with an error, since the list
# itself is not an array that could be followed.
# </details>
# <details><summary>Hint 2</summary>
#
# If you adapt first and call `ref.grad(loss)(phi, …)` afterwards, you have the gradient at φ, and the path from θ to φ is
# lost. What has to be *inside* the function that you differentiate?
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# One parameter, one task, the loss $(\theta - c)^2$ for both sets. The inner step stands inside the function, so `ref.grad`
# sees it, and the result has the factor $1 - 2\alpha$ twice: once for where φ is, once for how φ moves with θ.
#
# ```python
# def after_a_step(theta, c, alpha):
#     phi = theta - alpha * 2 * (theta - c)
#     return (phi - c) ** 2
#
# ref.grad(after_a_step)(3.0, 1.0, 0.1)  # 2 · (1 − 0.2)² · (3 − 1) = 2.56
# ```
# </details>

# %% [markdown]
# ### Train with your own functions
#
# Your two functions are MAML. Below they train the network of the lesson, 300 iterations of 10 waves; the cell scores every
# batch with your `inner_loop` before your `outer_loop` moves θ. For the sake of speed the step goes to Adam: `outer_loop` with
# β = 1 returns θ − ∇M, so the gradient is what θ has lost. The run takes about 15 seconds. Nothing here is graded; the
# curve is the reward.


# %%
def first_weights(rng, sizes=(1, 40, 40, 1)):
    """As in the lesson: uniform in ±1/√inputs."""
    params = {}
    for layer, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        params[f"w{layer}"] = rng.uniform(-1, 1, (inputs, outputs)) / np.sqrt(inputs)
        params[f"b{layer}"] = rng.uniform(-1, 1, outputs) / np.sqrt(inputs)
    return params


def arrays_of(batch):
    return batch.support_x, batch.support_y, batch.query_x, batch.query_y


def score(theta, support_x, support_y, x, y, steps=1):
    """Mean loss over tasks on (x, y), after your inner loop on the support sets."""
    phis = inner_loop(ref.mse, theta, support_x, support_y, 0.01, steps)
    return float(np.mean([ref.mse(*task) for task in zip(phis, x, y, strict=True)]))


# %%
def train_mine(draw, iterations=300, watch=lambda iteration, theta: None):
    """θ and the meta-loss of every iteration; draw(rng) gives a batch."""
    theta, state, losses = first_weights(np.random.default_rng(0)), None, []
    rng = np.random.default_rng(0)
    for iteration in range(iterations + 1):
        batch = arrays_of(draw(rng))
        watch(iteration, theta)
        losses.append(score(theta, *batch))
        moved = outer_loop(ref.mse, theta, *batch, 0.01, 1, 1.0)
        slope = {name: theta[name] - moved[name] for name in theta}
        theta, state = ref.adam(theta, slope, state, lr=0.01)
    return theta, losses


# %%
def when_written(run):
    """run(), but not before the functions that it needs are written, nor while work is graded."""
    if "NBGRADER_EXECUTION" in os.environ:
        return None
    try:
        return run()
    except NotImplementedError:
        return print("This comes to life when the functions above are written.")


def fresh_waves(rng):
    return Sinusoids(shots=10).sample(rng, tasks=10)


mine = when_written(lambda: train_mine(fresh_waves))
training_curve(mine[1], window=40) if mine else None

# %% [markdown]
# ## 07.3 More steps at test time
#
# *difficulty 2/5 · 8 minutes · 2 points*
#
# The paper's network is trained with one inner step and tested with ten. So a test wants the query loss after **each** step: the
# curves of the lesson, one row per task.


# %% nbgrader={"grade": false, "grade_id": "more_steps_at_test", "locked": false, "schema_version": 3, "solution": true, "task": false}
def more_steps_at_test(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    """Query losses (tasks, test_steps + 1): of each task before the first step and after each of them.

    Shapes as in 07.2. Column 0 is the loss at params, column k that after k steps on the support set.
    """
    ### BEGIN SOLUTION
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi, curve = params, [loss(params, qx, qy)]
        for _ in range(test_steps):
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)
            curve.append(loss(phi, qx, qy))
        curves.append(curve)
    return np.array(curves)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_more_steps_at_test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("07.more_steps_at_test", more_steps_at_test)
### BEGIN HIDDEN TESTS
check("07.more_steps_at_test", more_steps_at_test, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# With `test_steps = 10` there are eleven numbers per task. The first of them needs no adaptation.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# A ball falls from 1 m, bounces to 0.8 of its height, and so on; one row for each ball, one column for each bounce, and the
# column 0 is where it started:
#
# ```python
# rows = []
# for factor in (0.8, 0.5):
#     height, row = 1.0, [1.0]
#     for _ in range(bounces):
#         height = factor * height  # from where the last bounce ended
#         row.append(height)
#     rows.append(row)
# ```
# </details>

# %% [markdown]
# ## 07.4 A mean, and when to believe it
#
# *difficulty 2/5 · 12 minutes · 3 points*
#
# 600 tasks give 600 curves. A table shows their mean and half the width of its 95 % confidence interval, $1.96\, s/\sqrt n$,
# with $s$ the standard deviation over the tasks (dividing by $n - 1$). But the 95 % are a promise of the *normal*
# distribution (chapter 03 saw it broken), and a mean of $n$ losses is nearly normal only if $n$ is large for how skewed
# the losses are. A rule of thumb
# from survey statistics (Cochran, *Sampling Techniques*) asks for
#
# $$n > 25\, g^2, \qquad g = \frac1n \sum_i \Big(\frac{x_i - \bar x}{s_n}\Big)^3,$$
#
# where $g$ is the **skewness** and $s_n$ divides by $n$. If it does not hold, do not print the interval as if it were one: report the
# median, and how many tasks ran away. (The rule can only raise an alarm: a tail of which the sample has caught nothing
# leaves no trace in $g$. That is why `trust` of `mt.evaluate` asks for more: a smaller $g$, $|g| \le 0.15\sqrt n$ in place of
# $0.2\sqrt n$; a measure of skewness that single losses do not change; and that no task has run away.)


# %% nbgrader={"grade": false, "grade_id": "evaluate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evaluate(losses):
    """{"mean", "ci95", "holds"} of the query losses (tasks, steps + 1), each an array (steps + 1,).

    ci95: half the width of the 95 % confidence interval of each mean, 1.96 standard errors.
    holds: True where n > 25 g², the condition for believing it; g is the skewness over the tasks.
    """
    ### BEGIN SOLUTION
    n, mean = len(losses), losses.mean(axis=0)
    error = losses.std(axis=0, ddof=1) / np.sqrt(n)
    skewness = np.mean(((losses - mean) / losses.std(axis=0)) ** 3, axis=0)
    return {"mean": mean, "ci95": 1.96 * error, "holds": n > 25 * skewness**2}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_evaluate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.evaluate", evaluate)
### BEGIN HIDDEN TESTS
check("07.evaluate", evaluate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# All three go over the tasks, which are the rows: `axis=0`. How does the uncertainty of a mean shrink with the number of tasks?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The *correlation* of two quantities, place by place, is a mean over people, too, of standardised numbers:
#
# ```python
# def standardised(a):
#     return (a - a.mean(axis=0)) / a.std(axis=0)  # (people, places)
#
# correlation = np.mean(standardised(heights) * standardised(weights), axis=0)  # (places,)
# ```
# </details>

# %% [markdown]
# ## 07.5 Does the interval keep its promise?
#
# *difficulty 3/5 · 18 minutes · 3 points · further*
#
# A 95 % interval promises: of 100 tests, each on new tasks, the intervals of about 95 contain the true value. That promise can be
# *measured*, as chapter 03 did. Take very many losses as the **population**, so that its mean and its median are known;
# draw many small tests
# from it; count how many of their intervals contain the truth. Do so for two intervals:
#
# - **of the mean**: $\bar x \pm 1.96\, s/\sqrt n$, as in 07.4;
# - **of the median**: from the $k$-th smallest to the $k$-th largest of the $n$ losses, with
#   $k = \lfloor n/2 - 0.98\sqrt n \rfloor$. (No draws, unlike in 03.4: each loss lies below the true median with
#   probability ½, so the number of
#   losses below it is distributed like that of heads in $n$ tosses of a coin (*binomial*), with standard deviation $\sqrt n/2$,
#   whatever the tail looks like.)


# %% nbgrader={"grade": false, "grade_id": "coverage", "locked": false, "schema_version": 3, "solution": true, "task": false}
def coverage(population, draws):
    """{"mean": share, "median": share}: how many of the tests' intervals contain the population's value.

    population (many,): losses. draws (tests, n): row t holds the places in population of the n losses
    of test t. Shares lie between 0 and 1; n is at least 10, so k is at least 1.
    """
    ### BEGIN SOLUTION
    tests = np.sort(population[draws], axis=1)  # (tests, n)
    n = tests.shape[1]
    half = 1.96 * tests.std(axis=1, ddof=1) / np.sqrt(n)
    covers_mean = np.abs(tests.mean(axis=1) - population.mean()) <= half
    k = int(n / 2 - 0.98 * np.sqrt(n))
    median = np.median(population)
    covers_median = (tests[:, k - 1] <= median) & (median <= tests[:, -k])
    return {"mean": covers_mean.mean(), "median": covers_median.mean()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_coverage", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.coverage", coverage)
### BEGIN HIDDEN TESTS
check("07.coverage", coverage, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Two populations, one with a short tail and one with a long one (both *lognormal*: $e^z$ of a normal $z$ whose standard
# deviation σ is 0.6 and 2.2), and tests of 20, 100 and 600 tasks. Predict first: which of the four (a tail and an interval each) keep
# their promise, and does a larger test help the others?

# %%
for name, sigma in (("short tail", 0.6), ("long tail", 2.2)):
    rng = np.random.default_rng(0)
    losses = np.exp(rng.normal(0.0, sigma, 100_000))
    for n in (20, 100, 600):
        drawn = rng.integers(len(losses), size=(2_000, n))
        shares = when_written(lambda losses=losses, drawn=drawn: coverage(losses, drawn))
        if shares:
            print(
                f"{name:<10}  n = {n:3d}   mean {shares['mean']:.2f}   median {shares['median']:.2f}"
            )

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Both intervals of the *median* keep their promise, whatever the tail. (At n = 20 they cover 0.99, more than they promise: $k$ is a whole
# number and rounded down to 5, so the interval is wider than it need be.) The mean's does so where the tail is short, with a little
# missing at n = 20. Where it is long, a larger test helps only slowly: 0.54, 0.67 and 0.78 at n = 20, 100 and 600, where 0.95 was
# promised. The mean depends on losses of which many a test contains none.
# </details>
#
# <details><summary>Hint 1</summary>
#
# `population[draws]` has the shape (tests, n). The truth is the mean (the median) of the whole population, not of a test.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The same count for another interval, from the smallest to the largest of each test:
#
# ```python
# tests = population[draws]  # (tests, n)
# truth = np.median(population)
# covers = (tests.min(axis=1) <= truth) & (truth <= tests.max(axis=1))  # (tests,)
# share = covers.mean()
# ```
# </details>
# <details><summary>Hint 3</summary>
#
# After `np.sort(tests, axis=1)` the $k$-th smallest stands in column $k - 1$ and the $k$-th largest in column $-k$.
# </details>

# %% [markdown]
# ## 07.6 Six curves
#
# *difficulty 3/5 · 12 minutes · 3 points · further*
#
# While θ is trained, somebody records three losses on the tasks it is **trained** on, and the same three on **new** tasks:
# `before` any inner step; after it on the `support` points, which the step has seen; after it on the `query` points, which it
# has not. (Before the step support and query points are alike: nothing has been stepped on.) Six curves; what tells you what is
# always a *difference* of two of them. Which two answer these questions?
#
# | answer | question; the larger the number, the more … |
# | --- | --- |
# | `"adapts"` | … a step helps on points of a new task that it has not seen |
# | `"fits_points"` | … the step, on a new task, fits just the points it has seen |
# | `"fits_tasks"` | … the success after the step is owed to tasks that were trained on, and fails to come on others |
# | `"knows_tasks"` | … θ knows the training tasks by heart, *before* it is shown a point of them |


# %% nbgrader={"grade": false, "grade_id": "six_curves", "locked": false, "schema_version": 3, "solution": true, "task": false}
def six_curves(train, new):
    """{"adapts", "fits_points", "fits_tasks", "knows_tasks"}: each the difference of two curves.

    train, new: {"before": losses, "support": losses, "query": losses}, arrays (times,), one loss for
    each time at which the training was looked at. Each answer has that shape, too.
    """
    ### BEGIN SOLUTION
    return {
        "adapts": new["before"] - new["query"],
        "fits_points": new["query"] - new["support"],
        "fits_tasks": new["query"] - train["query"],
        "knows_tasks": new["before"] - train["before"],
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_six_curves", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.six_curves", six_curves)
### BEGIN HIDDEN TESTS
check("07.six_curves", six_curves, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Now on two runs of your own functions: one draws fresh waves in every iteration, the other only ever sees the same **five** waves,
# and always the same points of them. The rows are the two raw curves on new waves, `before` and `query`, and the four differences;
# the columns stand at iterations 0, 60, …, 300. You need this table for 07.8; it takes about a minute.
#
# *Read it with care.* Column 0 is *before* any training, so no difference there can be owed to training: what
# `knows_tasks` and `fits_tasks` show in it is the noise of this many waves (400 new ones, and 400 or five trained on). And a difference is
# read next to the level of its curves: `adapts` can be large because θ *before* the step has become bad. A negative
# `knows_tasks` is no knowledge: θ before its step is judged by nobody, and may be worse on its own tasks than on new ones. A negative
# `fits_points` comes from new waves on which the step is too long (with five waves about one in six): it overshoots most at the very
# points that pulled it.


# %%
def watched(draw, batches):
    """The six curves of a run, looked at every 60 iterations: {"train": {…}, "new": {…}}."""
    rng = np.random.default_rng(1)
    train = [arrays_of(draw(rng)) for _ in range(batches)]  # such as are trained on
    sets = {
        "train": [np.concatenate(parts) for parts in zip(*train, strict=True)],
        "new": arrays_of(Sinusoids(shots=10).sample(rng, tasks=400)),
    }
    seen = {where: {"before": [], "support": [], "query": []} for where in sets}

    def watch(iteration, theta):
        for where, (sx, sy, qx, qy) in sets.items() if iteration % 60 == 0 else ():
            phis = inner_loop(ref.mse, theta, sx, sy, 0.01, 1)
            rows = {"before": ([theta] * len(sx), qx, qy), "support": (phis, sx, sy)}
            for kind, row in {**rows, "query": (phis, qx, qy)}.items():
                seen[where][kind].append(
                    np.mean([ref.mse(*task) for task in zip(*row, strict=True)])
                )

    train_mine(draw, watch=watch)
    return {w: {k: np.array(v) for k, v in kinds.items()} for w, kinds in seen.items()}


# %%
five = Sinusoids(shots=10).sample(np.random.default_rng(10), tasks=5)
runs = {"fresh waves": (fresh_waves, 40), "five waves": (lambda rng: five, 1)}
for name, (draw, batches) in runs.items():
    curves = when_written(lambda draw=draw, batches=batches: watched(draw, batches))
    answers = curves and when_written(lambda curves=curves: six_curves(**curves))
    raw = {f"new, {kind}": curves["new"][kind] for kind in ("before", "query")} if answers else {}
    for what, values in {**raw, **(answers or {})}.items():
        print(f"{name:<12} {what:<12}", *(f"{value:6.2f}" for value in values))

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# A difference answers a question if its two curves differ in *one* respect only: before or after the step, seen or unseen
# points, tasks trained on or new ones. Find for each question the respect that it asks about.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# A class sits a test twice, before and after a lesson, on the exercises of the lesson (`taught`) and on others (`untaught`); so does
# another class, whose teacher knew the test (`coached`). Errors, not marks. "How much does the lesson help beyond its own
# exercises?" compares before and after: same class, same exercises,
# `plain["before", "untaught"] - plain["after", "untaught"]`. "How much is the coaching worth?" compares the classes, with
# everything else alike: `plain["after", "untaught"] - coached["after", "untaught"]`.
# </details>

# %% [markdown]
# ## 07.7 What the start answers with
#
# *difficulty 4/5 · 30 minutes · 4 points · further*
#
# The lesson drew how the *whole* curve moves when *one* support point takes a step. To first order in α, that can be known without
# taking the step. Let $f_\theta(x)$ be the network's output (one number) and $L_{\text{S}}$ the mean squared error on $n$ support
# points $(x_j, y_j)$. A small change $\Delta\theta$ changes the output at $x$ by $\nabla_\theta f(x)\cdot\Delta\theta$. Put
# $\Delta\theta = -\alpha\nabla L_{\text{S}}(\theta)$ into it, and what is left of the network is one function of two inputs, the
# **kernel** $k(x, x_j) = \nabla_\theta f(x)\cdot\nabla_\theta f(x_j)$: it says how far the output at $x$ follows when the one at
# $x_j$ is pulled. Derive the change, then write both. (Jacot, Gabriel & Hongler 2018 call $k$ the *neural tangent kernel*.)


# %% nbgrader={"grade": false, "grade_id": "curve_after_a_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def curve_after_a_step(net, params, support_x, support_y, inner_lr, x):
    """{"kernel": (points, shots), "change": (points, 1)}: how the outputs at x answer one inner step.

    net(params, x): outputs (points, 1) for inputs x (points, inputs). support_x (shots, inputs),
    support_y (shots, 1). kernel[i, j] = ∇f(x[i]) · ∇f(support_x[j]), summed over all parameters.
    change: that of the outputs at x by one step of rate inner_lr on the mean squared error of the
    support set, to first order in inner_lr.
    """

    ### BEGIN SOLUTION
    def slopes(inputs):
        """(points, parameters): the gradient of each output, all parameters in one row."""
        rows = ref.jacobian(lambda p: net(p, inputs)[:, 0])(params)
        return np.hstack([part.reshape(len(inputs), -1) for part in rows.values()])

    kernel = slopes(x) @ slopes(support_x).T
    residual = net(params, support_x) - support_y  # (shots, 1)
    return {"kernel": kernel, "change": -inner_lr * 2 / len(support_x) * kernel @ residual}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_curve_after_a_step", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("07.curve_after_a_step", curve_after_a_step)
### BEGIN HIDDEN TESTS
check("07.curve_after_a_step", curve_after_a_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# And what is MAML's kernel like? For the waves of this chapter $\mathbb E\,[y(x)\,y(x')] = \tfrac12\mathbb E[A^2]\cos(x - x')$ (try to show it):
# two outputs belong together like a cosine of their distance. Below, the correlation over $x$ of $k(x, x')$ with
# $\cos(x - x')$, the mean over several $x'$: of random weights, and of what *your* loops have trained.

# %%
grid, pulled = np.linspace(-5, 5, 101)[:, None], np.linspace(-4, 4, 9)[:, None]
starts = {"random weights": first_weights(np.random.default_rng(0))}
starts |= {"your 300 iterations": mine[0]} if mine else {}
for name, theta in starts.items():
    answer = when_written(
        lambda theta=theta: curve_after_a_step(ref.mlp, theta, pulled, 0 * pulled, 0.01, grid)
    )
    if answer:
        wave = np.cos(grid - pulled.T)  # (101, 9), like the kernel
        likeness = [
            np.corrcoef(*pair)[0, 1] for pair in zip(answer["kernel"].T, wave.T, strict=True)
        ]
        print(f"{name:<20} correlation of the kernel with a wave: {np.mean(likeness):.2f}")

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# $\nabla_\theta L_{\text{S}} = \frac2n\sum_j (f(x_j) - y_j)\,\nabla_\theta f(x_j)$. Multiply by $-\alpha\nabla_\theta f(x)$ and
# find $k$ in it.
# </details>
# <details><summary>Hint 2</summary>
#
# `ref.jacobian(lambda p: net(p, inputs)[:, 0])(params)` is a dict like `params` in which every array has one axis more, in
# front, that counts inputs. Reshape each part to (inputs, number of parameters in it) and put them next to each other.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# A straight line, $f(x) = wx + b$: $\nabla f(x) = (x, 1)$, so $k(x, x') = xx' + 1$. One support point $(2, 5)$, $w = b = 0$,
# α = 0.1: the residual is −5, the change at $x = 3$ is $-0.1\cdot 2\cdot(3\cdot 2 + 1)\cdot(-5) = 7$. The step itself: slope of
# the loss $2\cdot(-5)\cdot(2, 1) = (-20, -10)$, so $w = 2$, $b = 1$ and $f(3) = 7$. The same, since a line *is* linear in its
# parameters.
# </details>

# %% [markdown]
# ## 07.8 In your own words
#
# *difficulty 3/5 · 20 minutes · 4 points, read by a person · further*
#
# Explain in about eight sentences: (a) what the pretrained network has learned, and why more training would not help it;
# (b) why a gradient step on five points helps MAML's network so much more, with the help of the lesson's picture *What the start
# has*; (c) why the baseline was given a step size *and* a number of steps of its own, and what the comparison would be
# worth without that; (d) the two runs under 07.6: which numbers show that five waves are too few, which show that the run on
# fresh waves has nothing of the kind, and what you would do if you owned only five.
#
# <details><summary>Hint for (d)</summary>
#
# With the same five waves you can still change *what* is drawn from them (which points, how many), *how long* is trained (which curve
# tells you when to stop?), and *how much* can be fitted (the network, the step). And which of these replaces further waves?
# </details>

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_07", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** (a) For one input the waves want different outputs, and the squared error is least at their mean: the pretrained
# network has learned the average wave. Its error, about 3.0, is the spread of the waves about their average, which
# no function of x alone can get below; more training or a larger network leaves it where it is. (b) Pretraining only asks that the
# outputs at θ be good; how they change when θ moves is left to chance. MAML's meta-loss is taken after the step, and its
# gradient goes through the step, so it shapes exactly that: in the picture one pulled point moves the whole curve, and it moves
# like a wave of the family, also where there are no points; the pretrained network's curve bends elsewhere in ways that no wave does.
# (c) A rate and a number of steps that suit MAML, which was trained for them,
# need not suit the other network: too small a rate, or too few steps, makes it look rigid, too large a rate makes it blow up. Without tuning
# on separate tasks, the difference might be one of settings and not of starting points. (d) With five waves `fits_tasks` is −0.6 before any
# training (noise) and about 3 from iteration 120 on. At the end the raw `query` curve on new waves stands at 3.2, no better than the guess of
# an average wave (3.0), while that on the five is 0.2. `knows_tasks` never rises clearly above 0: θ itself does not know the five by
# heart, what is fitted to them is its answer to a step. `adapts` alone would deceive: at the end it is 2.1 in *both* runs, but with five waves
# because `before` has risen to 5.3 on new waves. With fresh waves `query` on new waves falls to 1.25, and `fits_tasks` stays within 0.2 of 0,
# the noise of 400 waves, and does not grow, since every training task is a new one.
# Whoever owns five waves may draw new points of them for every iteration, stop when the loss on new tasks rises, take a smaller network
# or a shorter step; above all they need more tasks.
#
# **Rubric.** 1 point: the average of the tasks, and that the remaining error is a property of the tasks, not of training.
# 1 point: MAML's loss is taken after the step (or: the gradient through the step shapes how outputs respond to it), and the
# picture is used.
# 1 point: a fair comparison gives each method its best rate and number of steps, chosen on other tasks than those reported.
# 1 point: `fits_tasks` (new minus train after the step), read next to the raw level, and one sensible remedy.
