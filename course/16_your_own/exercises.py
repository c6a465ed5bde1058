# %% [markdown]
# # 16 · Exercises: your own
#
# Six functions, about two hours on top of the lesson's two, and a report on a family of your own, which takes an afternoon.
# Replace `raise NotImplementedError()`, run the cell, then run the check below it: it says whether your answer is right, and if
# not, which mistake it was. The six functions are NumPy, and nothing is trained. The lesson is [here](../notebooks/16_your_own.ipynb).

# %%
import os
import tempfile

import numpy as np

from maml_edu.checks import check
from maml_edu.tasks import TaskBatch

# %% [markdown]
# ## 16.1 Which rules does a family break?
#
# *difficulty 3/5 · 25 minutes · 4 points*
#
# A faulty family does not crash. It trains, and its numbers look good, best of all when the queries can be found in the support set. So
# test a family before you train on it.
#
# You get three draws from one family: `first`, then `again` with the *same* seed, and `other` with *another* seed. Find the tasks that
# break these rules:
#
# | key | which tasks (numbered from 0) |
# | --- | --- |
# | `"unrepeatable"` | tasks in which `first` and `again` differ: in any of the four arrays, in any number, if only in its last digit |
# | `"seen"` | tasks of `first` with at least one query whose x is also an x of the task's own support set |
# | `"copies"` | tasks of `first` that are the same task as an *earlier* one of `first` |
# | `"stuck"` | tasks of `other` that are the same task as *any* one of `first` |
#
# For the last three, numbers within $10^{-6}$ of each other, large or small, are the same: on its way a copy may have been
# rounded to float32. Two x are the same if all of their coordinates are. Two *tasks* are the same if their support sets hold the same pairs (x, y),
# in whatever order; new queries do not make an old task new.


# %% nbgrader={"grade": false, "grade_id": "family_check", "locked": false, "schema_version": 3, "solution": true, "task": false}
def family_check(first, again, other):
    """{"unrepeatable": …, "seen": …, "copies": …, "stuck": …}: lists of the numbers of tasks, ascending, maybe empty.

    Each draw is a dict of four arrays: "support_x" (tasks, shots, d), "support_y" (tasks, shots), "query_x" (tasks,
    queries, d) and "query_y" (tasks, queries); all three draws have the same shapes. No support set holds a pair twice.
    """
    ### BEGIN SOLUTION
    tasks = range(len(first["support_y"]))
    near = lambda one, two: (np.abs(one[:, None] - two) <= 1e-6).all(axis=-1)  # (rows, rows)
    pairs = lambda draw, t: np.column_stack([draw["support_x"][t], draw["support_y"][t]])

    same = lambda one, two: near(one, two).any(axis=1).all()  # no row stands there twice

    old, new = ([pairs(draw, t) for t in tasks] for draw in (first, other))
    return {
        "unrepeatable": [
            t for t in tasks if any((first[k][t] != again[k][t]).any() for k in first)
        ],
        "seen": [t for t in tasks if near(first["query_x"][t], first["support_x"][t]).any()],
        "copies": [t for t in tasks if any(same(old[t], old[i]) for i in range(t))],
        "stuck": [t for t in tasks if any(same(new[t], one) for one in old)],
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_family_check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("16.family_check", family_check)
### BEGIN HIDDEN TESTS
check("16.family_check", family_check, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a small function first: which rows of one array are which rows of another, up to $10^{-6}$? Both "seen" and "the same task" are
# made of it. When are two sets with equally many rows the same, if none holds a row twice?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Which of these shops are where one of those bus stops is, up to a metre? `shops` is (shops, 2), `stops` is (stops, 2):
#
# ```python
# near = (np.abs(shops[:, None] - stops) <= 1).all(axis=-1)   # (shops, stops)
# near.any(axis=1)                                            # (shops,)
# ```
# </details>

# %% [markdown]
# ## 16.2 Attention that is gradient descent
#
# *difficulty 2/5 · 15 minutes · 3 points*
#
# In the lesson the layers are made of matrices that act on whole tokens. Write the same without them, so that one sees what moves. The
# task is linear regression without an intercept: $N$ support examples $(x_i, y_i)$ and the loss
#
# $$L(w) = \frac1N \sum_{i=1}^{N} (x_i \cdot w - y_i)^2.$$
#
# Each *support token* carries $x_i$ and a number $r_i$, at first $y_i$. Each *query token* carries its $x$ and a prediction, at first 0.
# In a layer of **linear attention** every token looks at the support tokens, and at no others. The weight is the bare inner product
# of the two x: no softmax. The value is $r_i$ as it was *before* the layer. The weighted sum, times a constant, changes the number that the token
# carries.
#
# Find the constants with which `layers` layers make the same predictions as `layers` gradient steps on $L$ with rate α, starting at $w = 0$.
# (The check sees numbers only, so gradient descent on $w$ passes as well. But there is no $w$ in a transformer: do without it.)


# %% nbgrader={"grade": false, "grade_id": "attention_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_step(support_x, support_y, query_x, alpha, layers):
    """(predictions (Q,), residuals (N,)) after `layers` layers: what the query and the support tokens carry.

    support_x (N, d); support_y (N,); query_x (Q, d); alpha: the rate of the gradient step that each layer is; layers:
    at least 1. A support token ends with what is left of its y: y minus the prediction for its x.
    """
    ### BEGIN SOLUTION
    rate = 2 * alpha / len(support_x)
    residuals, predictions = support_y, np.zeros(len(query_x))
    for _ in range(layers):
        predictions = predictions + rate * (query_x @ support_x.T) @ residuals
        residuals = residuals - rate * (support_x @ support_x.T) @ residuals
    return predictions, residuals
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_attention_step", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("16.attention_step", attention_step)
### BEGIN HIDDEN TESTS
check("16.attention_step", attention_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write the gradient of $L$ with the residuals $r_i = y_i - x_i \cdot w$. By what does a step change $w$? By what, then, does it change
# $x \cdot w$, for any $x$?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# With the loss $\tfrac12\sum_i (w_i - y_i)^2$, where there is no x at all, the residuals are $r = y - w$, and a step is
# $w \leftarrow w + \alpha r$. In terms of residuals alone:
#
# ```python
# fitted, r = 0 * y, y
# for _ in range(steps):
#     fitted, r = fitted + alpha * r, r - alpha * r   # both from the r before the step
# ```
# </details>

# %% [markdown]
# ## 16.3 An oracle, and what it scores
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# An oracle knows the law of a family, and nothing else that a learner does not know. Here the law is
# $y = a\sin(\omega x) + b\cos(\omega x) + \text{noise}$. The frequency ω is known and the same for all tasks; each task has its
# own $a$ and $b$. For each task, find them by least squares from the support set, predict the queries, and return the mean squared
# error of each task as well.
#
# Points that all lie half periods apart do not tell $a$ and $b$: many pairs then fit equally well. Take the one with the
# smallest $a^2 + b^2$. `np.linalg.lstsq` and `np.linalg.pinv` do so, but x is rounded to seven decimals here, and they would take what rounding
# leaves for a signal. Give them `rcond=1e-6`.


# %% nbgrader={"grade": false, "grade_id": "oracle", "locked": false, "schema_version": 3, "solution": true, "task": false}
def oracle(support_x, support_y, query_x, query_y, frequency):
    """(predictions (tasks, queries), losses (tasks,)): the oracle's answers, and their mean squared errors.

    support_x, support_y (tasks, shots); query_x, query_y (tasks, queries); frequency: ω, in radians per unit of x.
    """
    ### BEGIN SOLUTION
    columns = lambda x: np.stack([np.sin(frequency * x), np.cos(frequency * x)], axis=-1)  # (…, 2)
    predictions = []
    for sx, sy, qx in zip(support_x, support_y, query_x, strict=True):
        ab = np.linalg.lstsq(columns(sx), sy, rcond=1e-6)[0]
        predictions.append(columns(qx) @ ab)
    predictions = np.array(predictions)
    return predictions, np.mean((predictions - query_y) ** 2, axis=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_oracle", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("16.oracle", oracle)
### BEGIN HIDDEN TESTS
check("16.oracle", oracle, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The law is linear in $a$ and $b$. For one task, make an array (shots, 2) with a column of sines and a column of cosines. One of the five
# arguments is needed for the losses only.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# A parabola without a constant, $y = ax + bx^2$, through the points (x, y) as well as it can:
#
# ```python
# a, b = np.linalg.lstsq(np.stack([x, x**2], axis=-1), y, rcond=1e-6)[0]
# ```
# </details>

# %% [markdown]
# ## 16.4 Who may see whom
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# A transformer that answers queries from a support set needs a rule: who may look at whom? To save time, the tokens of several tasks stand in one
# sequence, mixed, in any order. Each token belongs to a task. It is a *pair*, an example (x, y) of the support set, or a *query*, an x alone.
#
# - A pair sees all pairs of its task, itself included, and no query.
# - A query sees all pairs of its task, and itself. It sees no other query: the answer to one question must not depend on what else is asked.
# - Nobody sees another task.
#
# (In the lesson's transformer a query does not see even itself. It keeps its own numbers all the same, because what attention finds is
# *added* to them.)


# %% nbgrader={"grade": false, "grade_id": "mask", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mask(task, is_query):
    """Array (tokens, tokens) of bool: entry [i, j] is True if token i may see token j.

    task (tokens,): whole numbers, to which task a token belongs. is_query (tokens,): bool, True for a query, False for a
    pair.
    """
    ### BEGIN SOLUTION
    itself = np.eye(len(task), dtype=bool)
    return (task[:, None] == task) & (~is_query | itself)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_mask", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("16.mask", mask)
### BEGIN HIDDEN TESTS
check("16.mask", mask, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Pairs and queries obey the same rule, if you say it this way: I see the pairs of my task, and myself.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Who may borrow from whom: people of one house, if the owner is an adult. `house` and `adult` have one entry for each person:
#
# ```python
# (house[:, None] == house) & adult   # [i, j]: i may borrow from j
# ```
# </details>

# %% [markdown]
# ## 16.5 How much of the gap is closed, and what is in doubt?
#
# *difficulty 4/5 · 30 minutes · 5 points*
#
# An error of 0.3 says nothing by itself. It says something between two others: that of the average predictor, which
# knows the family but not the task, and that of the oracle, which knows the law. The **share of the gap** that a learner closes is
#
# $$s = \frac{M_{\text{average}} - M_{\text{learner}}}{M_{\text{average}} - M_{\text{oracle}}},$$
#
# where $M$ is the *median* over test tasks. The learner was trained several times, with different seeds: its loss on a
# task is the *mean* over the seeds.
#
# How certain is $s$? Other test tasks would have given another value, and so would other seeds. The **bootstrap** imitates both: draw as many tasks
# as there are, with replacement, and as many seeds, with replacement; compute $s$ again; do so many times. The
# quantiles 0.025 and 0.975 (`np.quantile`) of all values are the ends of an interval. Here the numbers have been
# drawn for you, so that everybody gets the same one. What was drawn twice counts twice, and what belongs together is drawn together.
#
# | key | asks |
# | --- | --- |
# | `"share"` | How much of the gap does the learner close? $s$, with nothing resampled |
# | `"interval"` | How certain is that? Its interval (low, high), tasks and seeds resampled |
# | `"tasks alone"` | How much of the doubt would stay with any number of seeds? The interval of $s$ if chance had no hand in the seeds |
# | `"seeds alone"` | How much would stay with any number of test tasks? The interval of $s$ if chance had no hand in the tasks |
# | `"lead"` | Is the learner ahead of the rival? The interval (low, high) of its share minus the rival's |
#
# The rival's share is made as the learner's. Seed $k$ gave both the same training tasks. That the intervals of two shares overlap
# does *not* answer the last question: a task that is hard for one is hard for the other.


# %% nbgrader={"grade": false, "grade_id": "difficulty", "locked": false, "schema_version": 3, "solution": true, "task": false}
def difficulty(average, oracle, learner, rival, tasks, seeds):
    """{"share": number, "interval": (low, high), "tasks alone": (low, high), "seeds alone": (low, high), "lead": (low, high)}.

    average, oracle (T,): losses on the test tasks. learner, rival (S, T): losses of each seed on the same tasks. tasks (B, T) and
    seeds (B, S): in each row, the numbers of the tasks and of the seeds, from 0, that one of B resamples has drawn. In each
    resample the average predictor is worse than the oracle.
    """

    ### BEGIN SOLUTION
    def share(losses, t, s):
        """Of whoever has these losses (S, T), on tasks t, with seeds s."""
        top, bottom = np.median(average[t]), np.median(oracle[t])
        return (top - np.median(losses[s][:, t].mean(axis=0))) / (top - bottom)

    ends = lambda values: tuple(np.quantile(list(values), [0.025, 0.975]))
    drawn = list(zip(tasks, seeds, strict=True))
    every_task, every_seed = np.arange(len(average)), np.arange(len(learner))
    return {
        "share": share(learner, every_task, every_seed),
        "interval": ends(share(learner, t, s) for t, s in drawn),
        "tasks alone": ends(share(learner, t, every_seed) for t in tasks),
        "seeds alone": ends(share(learner, every_task, s) for s in seeds),
        "lead": ends(share(learner, t, s) - share(rival, t, s) for t, s in drawn),
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_difficulty", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("16.difficulty", difficulty)
### BEGIN HIDDEN TESTS
check("16.difficulty", difficulty, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# One function can make all the values. Which of its arguments change from resample to resample, and which stay as they are? Ask this again
# for each of the four intervals.
# </details>
# <details><summary>Hint 2</summary>
#
# `a[rows, columns]` with two arrays of numbers takes single entries, one for each pair of them. Rows first and then columns are
# `a[rows][:, columns]`.
# </details>

# %% [markdown]
# ## 16.6 Which sentences does the table support?
#
# *difficulty 3/5 · 20 minutes · 4 points*
#
# A report is a table and sentences about it. Let the table decide. There are two, validation and test; each holds, for every method, a
# loss (less is better) for each seed and each task. All methods met the same tasks, and seed $s$ gave all of them the same training tasks. One of the
# methods is ours. For each sentence, list the *rivals* for which it is supported:
#
# | key | sentence | supported if |
# | --- | --- | --- |
# | `"better"` | "On test, ours is better than the rival." | the interval of the paired difference lies above 0 |
# | `"every seed"` | "That holds for every seed." | in each seed, our mean over the test tasks is lower than the rival's in this seed |
# | `"most tasks"` | "Ours is better on most test tasks." | the difference is above 0 on more than half of the tasks |
# | `"level"` | "On test, the two are level." | the *whole* interval lies between −m and m, where m is a tenth of *the rival's* mean loss on test |
# | `"chosen"` | "We would have chosen ours." | on *validation*, our mean over all seeds and tasks is lower |
#
# The **difference** on a task is the rival's loss minus ours, each averaged over the seeds first. Its **interval** is
# mean ± 1.96 standard errors over the tasks: standard deviation of a sample (ddof=1) divided by the root of the number of *tasks*.


# %% nbgrader={"grade": false, "grade_id": "claims", "locked": false, "schema_version": 3, "solution": true, "task": false}
def claims(validation, test, ours):
    """{"better": …, "every seed": …, "most tasks": …, "level": …, "chosen": …}: lists of rivals, maybe empty.

    validation, test: {method: losses (seeds, tasks)}, the same methods in both, in the same order. ours: the name of one of
    them, which is not its own rival. Each list has the rivals in the order of the table.
    """
    ### BEGIN SOLUTION
    supported = {"better": [], "every seed": [], "most tasks": [], "level": [], "chosen": []}
    for rival in test:
        if rival == ours:
            continue
        mine, theirs = test[ours], test[rival]
        difference = theirs.mean(axis=0) - mine.mean(axis=0)  # (tasks,)
        half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
        low, high = difference.mean() - half, difference.mean() + half
        margin = 0.1 * theirs.mean()
        holds = {
            "better": low > 0,
            "every seed": (mine.mean(axis=1) < theirs.mean(axis=1)).all(),
            "most tasks": (difference > 0).mean() > 0.5,
            "level": -margin < low and high < margin,
            "chosen": validation[ours].mean() < validation[rival].mean(),
        }
        for key in supported:
            supported[key] += [rival] if holds[key] else []
    return supported
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_claims", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("16.claims", claims)
### BEGIN HIDDEN TESTS
check("16.claims", claims, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Go rival by rival. Two of the sentences share an interval. "Not better" and "level" are two things: a wide interval around 0 supports
# neither sentence.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# For which roads is it supported that they take longer when it rains? `dry` and `wet` hold times (years, days) for each road:
#
# ```python
# roads = []
# for road in wet:
#     more = wet[road].mean(axis=0) - dry[road].mean(axis=0)    # (days,)
#     if more.mean() - 1.96 * more.std(ddof=1) / np.sqrt(len(more)) > 0:
#         roads.append(road)
# ```
# </details>

# %% [markdown]
# ## 16.7 A report on a family of your own
#
# *difficulty 4/5 · 180 minutes · 12 points, read by a person*
#
# Bring a family of tasks, ask whether MAML is worth its trouble there, and write one page about it. The section *Now yours* of the
# lesson goes through the steps. Take something small: the page is marked, not the network. "MAML lost" can have full marks.
#
# 1. Write the family below: `sample`, and an `oracle` if anybody knows the law. (If nobody does, delete the method, and
#    say so in the report.)
# 2. In `my_words`, write what the family is, your question, and your bet. Do this *before* you run anything.
# 3. Run the trial, which takes about a minute if the examples are small. It scores on validation tasks only. Repair the family until
#    no check fails.
# 4. Set `IN_EARNEST = True`: three seeds, the full number of iterations, test tasks. Look at the table, and at the task on which MAML does
#    worst (`results[1].failure` holds it). Where a choice lies at the end of its list, widen the list, and take another `TEST_SEED`.
#    Then write the three fields that are left, `found`, `doubt` and `failure`, and run the cells of `my_words` and of the page
#    again. The page lies next to this notebook.
# 5. In the last cell: *is MAML worth its trouble on your family?* Answer with the numbers of your page.
#
# Each of these is worth two points:
#
# - the **family** is sound: the checks pass, and what is held out is what will be new;
# - **settings** are chosen on validation tasks, and the test tasks are used once;
# - the **rivals** are tuned as hard as MAML, and a plain learner that is not trained at all is among them;
# - there are **intervals** and three **seeds**;
# - one **failure** is looked at and explained;
# - the **claims** are no larger than the table.


# %% nbgrader={"grade": false, "grade_id": "my_family", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Mine:
    def sample(self, rng, tasks=25):
        """TaskBatch(support_x, support_y, query_x, query_y) of new tasks, everything random from `rng`."""
        ### BEGIN SOLUTION
        low, high = np.array([[-0.5, 0.5, 0.5], [0.5, 2.0, 4.0]])
        offset, gain, k = rng.uniform(low, high, (tasks, 3)).T[:, :, None, None]  # (tasks, 1, 1)
        x = rng.uniform(-1, 1, (tasks, 25, 1))
        y = offset + gain * np.tanh(k * x) + rng.normal(0, 0.05, x.shape)
        return TaskBatch(x[:, :5], y[:, :5], x[:, 5:], y[:, 5:])
        ### END SOLUTION

    def oracle(self, support_x, support_y, query_x):
        """Predictions (queries, 1) for ONE task, from its support set, by who knows the law."""
        ### BEGIN SOLUTION
        fits = []
        for k in np.linspace(0.5, 4.0, 36):
            columns = lambda x, k=k: np.concatenate([np.ones_like(x), np.tanh(k * x)], axis=1)
            numbers = np.linalg.lstsq(columns(support_x), support_y, rcond=None)[0]
            left = np.square(columns(support_x) @ numbers - support_y).sum()
            fits.append((left, columns(query_x) @ numbers))
        return min(fits, key=lambda fit: fit[0])[1]
        ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "my_words", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_words():
    """{"author": …, "family": …, "question": …, "expected": …, "found": …, "doubt": …, "failure": …}; the last three may be ""."""
    ### BEGIN SOLUTION
    return {
        "author": "the course",
        "family": "Sensors that saturate: y = offset + gain · tanh(k x) + noise. Each sensor has an offset from −0.5 to 0.5, "
        "a gain from 0.5 to 2 and a k from 0.5 to 4. Its owner calibrates it with 5 readings. x from −1 to 1, noise 0.05.",
        "question": "Is it worth meta-training a network for sensors that come with five readings?",
        "expected": "MAML ahead of every rival but the oracle.",
        "found": "MAML closes 98 % of the gap between the average predictor and the oracle. The pretrained network with an α of its own "
        "closes 97 %: the two cannot be told apart on 200 sensors. Kernel ridge, which has learned nothing, is "
        "behind MAML by 0.0027 (0.0012 to 0.0059), and closes 95 %.",
        "doubt": "MAML chose the largest α and the most steps that it was offered. One architecture, three trainings, and sensors "
        "drawn from a law that I wrote myself.",
        "failure": "Sensor 25: all five readings lie on the lower plateau and say nothing of the upper one. The fault is in the readings.",
    }
    ### END SOLUTION


# %%
IN_EARNEST = False  # ← True: three seeds and the full number of iterations; a few minutes
INNER_LRS = (0.003, 0.01, 0.03, 0.1)  # ← α to choose from; of classes rather (0.03, 0.1, 0.3, 1.0)
META_LRS = (0.001, 0.003, 0.01, 0.03)  # ← β to choose from
TEST_SEED = 3  # ← another number, once you have looked at a table and changed something


def is_written():
    """Whether there are a family and words to report on."""
    try:
        Mine().sample(np.random.default_rng(0), tasks=2)
        return bool(my_words())
    except NotImplementedError:
        return False


def examined(in_earnest):
    """(report of the checks, comparison) of your family."""
    from maml_edu.capstone import check_family, compare

    Mine.__doc__ = my_words()["family"]
    checks = check_family(Mine())
    print(checks, end="\n\n")
    how = {"inner_lrs": INNER_LRS, "meta_lrs": META_LRS, "test_seed": TEST_SEED}
    comparison = compare(Mine(), quick=not in_earnest, progress=False, **how)
    print(comparison)
    return checks, comparison


results = None
if not is_written():
    print("First write your family and your words. Then this cell checks and compares.")
elif "NBGRADER_EXECUTION" not in os.environ:  # while work is graded nobody waits for a training
    results = examined(IN_EARNEST)


# %%
def page_of(checks, comparison, folder):
    """Write the page, as HTML and as Markdown, into this folder; the names of the two files."""
    from maml_edu.capstone import write_report

    words = {name: text for name, text in my_words().items() if name != "family"}
    path = os.path.join(folder, "my_report")
    files = write_report(comparison, path, family_report=checks, overwrite=True, **words)
    return [file.name for file in files]


if results and IN_EARNEST:
    print(*page_of(*results, "."))  # next to this notebook
elif results:
    with tempfile.TemporaryDirectory() as folder:  # a trial leaves no page
        print(*page_of(*results, folder))

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_16", "locked": false, "points": 12, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** (Numbers of the run in earnest: seeds 0, 1, 2; median mean squared error on 200 test sensors, with 95 % intervals.)
#
# *Question.* Is it worth meta-training a network for sensors that saturate, each calibrated with five readings?
# *Expectation,* written first: MAML ahead of every rival but the oracle.
#
# *Family.* No check fails. Every test sensor is new, with a gain, an offset and a $k$ of its own; that is what a new customer brings. Between the
# average predictor, 0.181 (0.158 to 0.209), and the oracle, 0.0046 (0.0043 to 0.0053), there is room for a learner.
#
# *Settings.* MAML, the pretrained network, the ridge head and the plain learner chose theirs on 100 validation sensors. The test sensors
# were used once.
#
# *Finding.* MAML 0.0087 (0.0076 to 0.0112), by seed 0.0092, 0.0086 and 0.0089. The pretrained network with its own α (0.1): 0.0104
# (0.0079 to 0.0124). Task by task MAML is behind by 0.0001 (ahead by −0.0006 to 0.0005): the two cannot be told apart, and my bet is
# lost. MAML is ahead of a ridge head on the pretrained features by 0.0020 (0.0008 to 0.0043), and of kernel ridge, which has learned
# nothing from other sensors, by 0.0027 (0.0012 to 0.0059). Nothing ran away. In shares of the gap: MAML 98 %, kernel ridge 95 %. Whoever
# has the law should use it: least squares nearly halves MAML's error. Whoever has not, and needs an answer today, may take kernel ridge.
#
# *A failure.* MAML is worst on sensor 25, with an error of 0.24. Its five readings all lie between x = −0.81 and −0.50, where it is saturated:
# y is about −1.4 in all of them. They tell the lower plateau, and nothing of what happens to the right of it, where y rises
# to 2.1. MAML says 1.3 there. The oracle fits all five and is off by more, 0.92, and kernel ridge by 5.0. So the fault is not MAML's:
# it is in the readings. Better spread readings would help every method.
#
# *Doubt.* MAML took the largest α (0.1) and the most steps (10) that it was offered, while the pretrained network could choose α up to
# 0.3; a wider list, with another test seed, might separate the two. The oracle is least squares, and as sensor 25 shows it is no lower
# bound. One architecture, and a law that I made up: real sensors may have another.
#
# **Rubric**, 12 points, two for each part; one if it is there but incomplete. 1. *Family:* no check fails, or the failure is explained; the report
# says what a new task brings, and that this is held out. 2. *Settings:* chosen on validation tasks, test tasks used once. 3. *Rivals:*
# tuned as hard (own α, own number of steps), one plain learner among them; oracle and average predictor are given, or it is said
# why not. 4. *Intervals and seeds:* every number that is compared has an interval, differences are paired, three seeds. 5. *Failure:* one
# task is looked at, and the explanation can be checked against another method on the same task. 6. *Claims:* none is larger than
# the table; "not told apart" is not called "equal", and a doubt is named that could overturn the finding. It does not matter who wins.
