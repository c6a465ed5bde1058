# %% [markdown]
# # 03 · Exercises: many tasks, few examples
#
# Six functions and a question to answer in words; about 105 minutes, of which 03.2 and 03.5 take the most. Replace
# `raise NotImplementedError()`, run the cell, then run the check below it: it says whether your answer is right, and if not,
# which mistake it was. Everything is NumPy, and no network is trained. The lesson is [here](../notebooks/03_many_tasks.ipynb).

# %%
import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 03.1 A sampler
#
# *difficulty 2/5 · 12 minutes · 3 points*
#
# Every result of the course begins with tasks that are drawn. A sampler that breaks one of its promises raises no error; it makes
# everything that follows wrong. Draw waves $y = A\sin(x - p)$ from a law, and points of each.


# %% nbgrader={"grade": false, "grade_id": "sampler", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sampler(heights, phases, tasks, shots, queries, seed):
    """(support_x, support_y, query_x, query_y) of `tasks` waves that are drawn with `seed`.

    heights, phases: pairs (low, high); A and p of each task are drawn evenly between them, independently.
    Every x is drawn evenly between −5 and 5. Nothing is sorted. tasks, shots, queries, seed: whole numbers.
    Returns four arrays: support (tasks, shots), query (tasks, queries). The same seed gives the same; two different
    seeds, neighbours too, have no task in common.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    height = rng.uniform(*heights, size=(tasks, 1))
    phase = rng.uniform(*phases, size=(tasks, 1))
    x = rng.uniform(-5, 5, size=(tasks, shots + queries))
    y = height * np.sin(x - phase)
    return x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_sampler", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03.sampler", sampler)
### BEGIN HIDDEN TESTS
check("03.sampler", sampler, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Make one generator, once. How many heights are there, and how many places x? Draw exactly so many, in arrays of a shape that lets
# NumPy combine them.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Three shops, each with a price of its own, and in each two purchases of a random amount:
#
# ```python
# rng = np.random.default_rng(1)
# price = rng.uniform(2, 3, size=(3, 1))    # one for each shop
# amount = rng.uniform(0, 9, size=(3, 2))   # two in each shop
# price * amount                            # (3, 2)
# ```
# </details>

# %% [markdown]
# ## 03.2 The average of another family
#
# *difficulty 4/5 · 25 minutes · 4 points*
#
# The lesson averaged phases from 0 to π, where much cancels. Take any range of heights and of phases. What does pretraining
# arrive at, and which squared error is left at each $x$? Both can be written down.


# %% nbgrader={"grade": false, "grade_id": "average_predictor", "locked": false, "schema_version": 3, "solution": true, "task": false}
def average_predictor(x, heights, phases):
    """(best, left) for waves A sin(x − p): the best single function at each x, and the squared error it leaves there.

    x: array (n,). heights, phases: pairs (low, high), low < high; A and p are drawn evenly between them, independently.
    Returns two arrays (n,), exact up to rounding.
    """
    ### BEGIN SOLUTION
    (a, b), (c, d) = heights, phases
    mean_sine = (np.cos(x - d) - np.cos(x - c)) / (d - c)
    mean_square_sine = 0.5 - (np.sin(2 * (x - c)) - np.sin(2 * (x - d))) / (4 * (d - c))
    best = (a + b) / 2 * mean_sine
    mean_square_height = (b**3 - a**3) / (3 * (b - a))
    return best, mean_square_height * mean_square_sine - best**2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_average_predictor", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("03.average_predictor", average_predictor)
### BEGIN HIDDEN TESTS
check("03.average_predictor", average_predictor, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# What is averaged at one $x$ is the value $A\sin(x - p)$. Since $A$ and $p$ are independent, the mean of the product is the
# product of the means. What is left is a variance: the mean of the square minus the square of the mean.
# </details>
# <details><summary>Hint 2</summary>
#
# The mean of $g(p)$ for $p$ drawn evenly between $c$ and $d$ is $\frac{1}{d - c}\int_c^d g(p)\,dp$. For the square, use
# $\sin^2 u = \tfrac12(1 - \cos 2u)$.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Parabolas $A(x - p)^2$ with $A$ between 0 and 1 and $p$ between 0 and 2. The mean of $A$ is ½, the mean of $(x - p)^2$ is
# $\frac12\int_0^2 (x-p)^2 dp = \frac{x^3 - (x - 2)^3}{6}$, so the best function is their product. With
# $\mathbb E[A^2] = \tfrac13$ and the mean $m_4$ of $(x - p)^4$, what is left is $\tfrac13 m_4$ minus the square of the best
# function.
# </details>

# %% [markdown]
# ## 03.3 A test protocol
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# Several methods were run with several settings each (a setting is a pair of α and a number of steps, say) on the same tasks.
# Choose a setting for each method, and report what it does. The protocol: shuffle the tasks *once*, with
# `np.random.default_rng(seed).permutation(tasks)`. The first
# `validation` of that order are for choosing, all others are the test. The setting with the smallest **median error over the
# validation tasks** is chosen.


# %% nbgrader={"grade": false, "grade_id": "evaluate_protocol", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evaluate_protocol(errors, validation, seed):
    """The chosen setting and the test errors of every method.

    errors: dict method → array (tasks, settings, queries), squared errors at single queries; the error of a
    task is their mean. All methods ran on the same tasks. validation, seed: whole numbers.
    Returns a dict method → {"setting": its number, from 0; "errors": array, one for each test task, in the shuffled order}.
    """
    ### BEGIN SOLUTION
    tasks = len(next(iter(errors.values())))
    order = np.random.default_rng(seed).permutation(tasks)
    choose, report = order[:validation], order[validation:]
    result = {}
    for method, values in errors.items():
        of_task = values.mean(axis=2)  # (tasks, settings)
        setting = int(np.argmin(np.median(of_task[choose], axis=0)))
        result[method] = {"setting": setting, "errors": of_task[report, setting]}
    return result
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_evaluate_protocol", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("03.evaluate_protocol", evaluate_protocol)
### BEGIN HIDDEN TESTS
check("03.evaluate_protocol", evaluate_protocol, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# First make one number of each task and setting. Then there are two lists of tasks, and no task is in both. Which of the two
# may the choice look at?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Ten dishes, three cooks, four tasters each: `points` is an array (10, 3, 4). Which cook is best on the dishes of `first`, an
# array of dish numbers, and what do the other dishes of that cook get?
#
# ```python
# of_dish = points.mean(axis=2)                              # (10, 3)
# cook = np.argmax(np.median(of_dish[first], axis=0))        # highest, for points
# of_dish[others, cook]
# ```
# </details>

# %% [markdown]
# ## 03.4 The bootstrap of a median
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# The lesson had one error per task, all of them numbers. Here come the raw errors of all queries, and on some tasks the inner
# steps blew up: their errors are huge, or `nan`. Such a task is not missing. It is among the worst, and one with a `nan` counts
# as infinitely bad. (If most tasks have one, the median is `np.inf`.)


# %% nbgrader={"grade": false, "grade_id": "bootstrap_median", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bootstrap_median(errors, draws):
    """(median, low, high): the median error of a task, and its 95 % percentile bootstrap interval.

    errors: array (tasks, queries) of squared errors, huge or nan where the task blew up; the error of a task is
    the mean over its queries. draws: array (resamples, tasks) of whole numbers: which tasks each resample consists of.
    low and high: what `np.percentile` gives for 2.5 and 97.5 of the medians of the resamples. Returns three numbers.
    """
    ### BEGIN SOLUTION
    of_task = errors.mean(axis=1)  # (tasks,)
    of_task = np.where(np.isnan(of_task), np.inf, of_task)
    medians = np.median(of_task[draws], axis=1)  # (resamples,)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(np.median(of_task)), float(low), float(high)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_bootstrap_median", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03.bootstrap_median", bootstrap_median)
### BEGIN HIDDEN TESTS
check("03.bootstrap_median", bootstrap_median, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# What is drawn again: queries, or tasks? After your first line there should be one number for each task, and no query left.
# </details>
# <details><summary>Hint 2</summary>
#
# A median can cope with infinity, but `np.median` gives `nan` as soon as one number is `nan`. `np.isnan` finds these.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# The mean height of five trees, by the bootstrap: `height[draws]` has the shape (resamples, 5) if `draws` has it, and
# `height[draws].mean(axis=1)` is a mean for each resample.
# </details>

# %% [markdown]
# ## 03.5 The leak hunt
#
# *difficulty 3/5 · 25 minutes · 5 points*
#
# Five small pipelines went wrong, each in its own way. Here is the guilty line of each, and the word for it:
#
# | word | what the pipeline did |
# | :- | :- |
# | `"seen in training"` | `train_tasks = all_tasks[:80]; test_tasks = all_tasks[75:]` |
# | `"chosen on test"` | `steps = min(range(11), key=lambda k: error(test_tasks[:20], k))` |
# | `"query in support"` | `support, query = rng.choice(points, 5), rng.choice(points, 9)`, in each task |
# | `"scaled with queries"` | `x = x - np.concatenate([support_x, query_x]).mean()`, in each task |
# | `"order tells"` | `query = sorted(query, key=lambda point: point.y)`, in each task |
#
# In real life you do not see the line. You see the **record** that a run has left. Write the detective: which of the five leaks
# does a record show? There may be none, one or several.


# %% nbgrader={"grade": false, "grade_id": "leak_hunt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leak_hunt(record):
    """The words of all leaks that the record shows, a list in the order of the table; [] if there is none.

    record: a dict of arrays. Task numbers: "trained_on" (m,), "chosen_on" (v,), "test" (n,): the tasks of
    meta-training, those on which settings were chosen, and those that are reported.
    Of each test task: "support" (n, shots) and "query" (n, queries ≥ 2), the numbers of its points (each task numbers
    its own from 0); "support_x" (n, shots), "query_x" (n, queries), "query_y" (n, queries) before any scaling; "centre" (n,), what
    was subtracted from all its x.
    "order tells": the queries of every task go up from one answer to the next, or those of every task go down.
    To choose on training tasks is unwise, but tells nothing of the test: no leak.
    """
    ### BEGIN SOLUTION
    support, query = record["support"], record["query"]
    both = np.concatenate([record["support_x"], record["query_x"]], axis=1)
    up = np.diff(record["query_y"], axis=1) > 0  # (n, queries − 1)
    shown = {
        "seen in training": np.isin(record["test"], record["trained_on"]).any(),
        "chosen on test": np.isin(record["test"], record["chosen_on"]).any(),
        "query in support": any(np.isin(q, s).any() for q, s in zip(query, support, strict=True)),
        "scaled with queries": np.allclose(record["centre"], both.mean(axis=1)),
        "order tells": up.all() or not up.any(),
    }
    return [word for word, is_there in shown.items() if is_there]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_leak_hunt", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("03.leak_hunt", leak_hunt)
### BEGIN HIDDEN TESTS
check("03.leak_hunt", leak_hunt, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write one test for each word, and try each by itself. For the first three one single number in common is enough; for the last
# two *every* task must show it: a few tasks may be in order by chance.
# </details>
# <details><summary>Hint 2</summary>
#
# Point 3 of one task and point 3 of another are different points. So support and query have to be compared task by task. An
# honest centre may be the mean or the median of the support set, or any fixed number: what would a guilty one be equal to,
# in every task?
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Guests of two parties, by name: `np.isin(first, second).any()` says whether somebody was at both. For a list of evenings, each
# with its own numbers at the coat check: `any(np.isin(a, b).any() for a, b in zip(coats, hats))`. Whether prices rise in every
# shop: `(np.diff(prices, axis=1) > 0).all()`.
# </details>

# %% [markdown]
# ## 03.6 A paired difference
#
# *difficulty 2/5 · 8 minutes · 3 points*
#
# Two methods, the same tasks, one error each. Which is better, and is that sure? Give the median difference with its bootstrap
# interval, and a verdict.


# %% nbgrader={"grade": false, "grade_id": "paired_difference", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paired_difference(ours, theirs, draws):
    """(median, low, high, verdict) of ours minus theirs, task by task.

    ours, theirs: arrays (tasks,) of errors, small ones are good. draws: array (resamples, tasks) of whole
    numbers: which tasks each resample consists of. low and high: `np.percentile` for 2.5 and 97.5, as in 03.4.
    verdict: "ours" or "theirs", whichever has the smaller errors if the interval does not contain 0; else "undecided".
    An interval that ends at exactly 0 contains it.
    """
    ### BEGIN SOLUTION
    difference = ours - theirs  # (tasks,)
    low, high = np.percentile(np.median(difference[draws], axis=1), [2.5, 97.5])
    verdict = "ours" if high < 0 else "theirs" if low > 0 else "undecided"
    return float(np.median(difference)), float(low), float(high), verdict
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_paired_difference", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03.paired_difference", paired_difference)
### BEGIN HIDDEN TESTS
check("03.paired_difference", paired_difference, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# There is one list of numbers on which everything rests, and it has one entry for each task. After it is made, neither `ours`
# nor `theirs` is needed again.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The weights of three people before and after a holiday: 60, 75, 90 and 61, 76, 91. Everybody has gained exactly 1, and that is
# certain, though the two lists overlap almost entirely. `after - before` shows it, `np.median(after) - np.median(before)` with
# two intervals does not.
# </details>

# %% [markdown]
# ## 03.7 In your own words
#
# *difficulty 3/5 · 10 minutes · 2 points, read by a person*
#
# A paper has this table. (α and the number of steps of A were chosen among 50 pairs on the 100 test tasks; B has the α that A's
# authors use. Each was trained once. "±" is 1.96 standard errors.)
#
# | | mean error on 100 test tasks | median | worst task |
# | :- | :-: | :-: | :-: |
# | A | 0.41 ± 0.06 | 0.30 | 2.1 |
# | B | 0.62 ± 0.38 | 0.32 | 19.4 |
#
# Which of these sentences does the table support? *(1) A is the better method. (2) A's network has the smaller mean error on
# these 100 tasks. (3) A and B do not differ, since the intervals overlap.* Say for each of the other two what is missing, and
# what you would do to find out.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_03", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** Only (2), and literally: on these tasks, with the settings that these tasks chose. (1) fails for several
# reasons. A's settings were chosen on the test, the best of 50 noisy numbers; B was not tuned at all; one training each says
# nothing about methods; and the medians are nearly equal, so that one task (19.4 is nearly a third of the sum of B's errors)
# makes most of the difference. (3) fails, too. Overlapping intervals do not show that two things are equal; both were (or can
# be) tested on the same tasks, so the difference on each task is what counts, and B's ± is not to be believed with a worst task
# of 19.4 beside a median of 0.32. To find out: choose settings of both on validation tasks, with equally many tries; train each
# with three seeds or more; test both on the same new tasks; report the median of the paired differences with its bootstrap
# interval, and how many tasks ran away.
#
# **Rubric.** 1 point: names (2) as the only one, with at least two true reasons against (1) (chosen on the test, untuned
# baseline, one training, one task dominates the mean). 1 point: says why overlap does not decide (paired difference, or the
# tail that makes the ± unreliable), and names a repair that fits.
