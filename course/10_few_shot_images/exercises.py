# %% [markdown]
# # 10 · Exercises: Few-shot images
#
# Each cell `check(…)` says whether your function is right and, if not, what it computes instead. Everything is NumPy.
# The lesson: [10 · Few-shot images](../notebooks/10_few_shot_images.ipynb).

# %%
import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 10.1 Draw an episode
#
# *difficulty 3/5 · 20 minutes · 5 points*
#
# Most wrong few-shot results begin here: a class that comes twice, a query that is in the support set, labels that mean
# the same in all tasks. You get the label of every image in a bank and return *indices* of images: no image is looked at.


# %% nbgrader={"grade": false, "grade_id": "episode", "locked": false, "schema_version": 3, "solution": true, "task": false}
def episode(labels, ways, shots, queries, seed):
    """(support, support_y, query, query_y) of one episode.

    labels (images,): whole numbers, which character each image shows; not in order. support
    (ways · shots,) and query (ways · queries,): indices of images; support_y, query_y: their
    classes, numbered 0 … ways − 1 in this episode. shots and queries count per class. The classes,
    and the images of each, are drawn at random with np.random.default_rng(seed).
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    support, query = [], []
    for character in rng.choice(np.unique(labels), ways, replace=False):
        images = rng.permutation(np.flatnonzero(labels == character))
        support.append(images[:shots])
        query.append(images[shots : shots + queries])
    support_y = np.repeat(np.arange(ways), shots)
    query_y = np.repeat(np.arange(ways), queries)
    return np.concatenate(support), support_y, np.concatenate(query), query_y
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_episode", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("10.episode", episode)
### BEGIN HIDDEN TESTS
check("10.episode", episode, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `rng.choice(np.unique(labels), ways, replace=False)` draws different characters. Without `replace=False` one may come
# twice.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For each character: `images = rng.permutation(np.flatnonzero(labels == character))`. The first `shots` of them are
# support, the next `queries` are query, so no image is in both. The label is the number of the character in *your* list.
#
# </details>

# %% [markdown]
# ## 10.2 An accuracy and its interval
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# Queries of one episode share five support images: if these are badly drawn, all fall together. So the independent
# things are episodes. 600 episodes of 75 queries are 600 numbers, not 45,000.


# %% nbgrader={"grade": false, "grade_id": "interval", "locked": false, "schema_version": 3, "solution": true, "task": false}
def interval(correct):
    """(accuracy, half the width of its 95 % interval), both between 0 and 1.

    correct (episodes, queries): 1 where a query was named rightly, else 0. The half-width is 1.96
    standard errors over episodes; the standard deviation divides by (episodes − 1).
    """
    ### BEGIN SOLUTION
    each = correct.mean(axis=1)  # (episodes,)
    return each.mean(), 1.96 * each.std(ddof=1) / np.sqrt(len(each))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_interval", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("10.interval", interval)
### BEGIN HIDDEN TESTS
check("10.interval", interval, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# First one accuracy for each episode: a mean over one axis. Everything else is about these.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `each.std(ddof=1) / np.sqrt(len(each))` is the standard error of their mean.
#
# </details>

# %% [markdown]
# ## 10.3 Whose statistics?
#
# *difficulty 3/5 · 20 minutes · 5 points*
#
# Batch norm without its scale and offset: $(x - \text{mean}) / \sqrt{\text{variance} + \epsilon}$, a mean and a variance
# for each feature, over the examples *and places* of the batch. Write the two ways of asking: all queries in one batch,
# and one query at a time in a batch with the support set.


# %% nbgrader={"grade": false, "grade_id": "two_ways", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_ways(support, query, eps):
    """(the queries normalised together, the queries normalised one at a time), each like query.

    support (shots, features, height, width), query (queries, features, height, width). Together: by
    mean and variance of the query batch alone. One at a time: each query by those of a batch of the
    support set and this query. The variance divides by the number of values.
    """

    ### BEGIN SOLUTION
    def normalised(batch):
        mean = batch.mean(axis=(0, 2, 3), keepdims=True)
        variance = batch.var(axis=(0, 2, 3), keepdims=True)
        return (batch - mean) / np.sqrt(variance + eps)

    alone = [normalised(np.concatenate([support, one[None]]))[-1] for one in query]
    return normalised(query), np.stack(alone)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_two_ways", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("10.two_ways", two_ways)
### BEGIN HIDDEN TESTS
check("10.two_ways", two_ways, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a function `normalised(batch)` first. A mean for each feature: over which three axes? `keepdims=True` keeps the
# shapes fit for subtraction.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `normalised(np.concatenate([support, one[None]]))[-1]` is one query, normalised beside the support set.
#
# </details>

# %% [markdown]
# ## 10.4 The same step under another loss
#
# *difficulty 2/5 · 10 minutes · 4 points*
#
# An inner rate is a number *for a loss*. You find one in somebody's code and want the same inner step in yours. Three
# habits: `"mean"` over all support examples, `"sum over ways"` (the mean over the shots of each class, then a sum over
# the classes, as in the original MAML code) and `"sum"` over all support examples.


# %% nbgrader={"grade": false, "grade_id": "convert_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convert_rate(inner_lr, ways, shots, theirs, yours):
    """The inner rate that takes the same step under the loss `yours` as inner_lr under the loss `theirs`.

    theirs, yours: "mean", "sum over ways" or "sum"; ways classes with shots examples of each.
    """
    ### BEGIN SOLUTION
    size = {"mean": 1, "sum over ways": ways, "sum": ways * shots}  # of a loss, in means
    return inner_lr * size[theirs] / size[yours]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_convert_rate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("10.convert_rate", convert_rate)
### BEGIN HIDDEN TESTS
check("10.convert_rate", convert_rate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# How many times as large as the mean is each of the three losses? Its slope is as many times as large.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The step is rate × slope. If their slope is five times yours, your rate must be five times theirs.
#
# </details>

# %% [markdown]
# ## 10.5 The baseline that nobody should leave out
#
# *difficulty 2/5 · 15 minutes · 4 points*
#
# Before you believe in a meta-learned network, ask what it adds to the simplest thing that could work: the mean of each
# class's support examples, and the nearest of these means for each query. On pixels it is a floor; on the features of a
# trained network it is ProtoNet's prediction.


# %% nbgrader={"grade": false, "grade_id": "nearest_centroid", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nearest_centroid(support_x, support_y, query_x):
    """The class of the nearest class mean, by squared distance, for each query: ints (queries,).

    support_x (examples, features); support_y (examples,): labels 0 … ways − 1, in any order;
    query_x (queries, features).
    """
    ### BEGIN SOLUTION
    ways = support_y.max() + 1
    centres = np.stack([support_x[support_y == k].mean(axis=0) for k in range(ways)])
    distances = ((query_x[:, None] - centres) ** 2).sum(axis=2)  # (queries, ways)
    return distances.argmin(axis=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_nearest_centroid", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("10.nearest_centroid", nearest_centroid)
### BEGIN HIDDEN TESTS
check("10.nearest_centroid", nearest_centroid, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `support_x[support_y == k].mean(axis=0)` is the centre of class k. The examples are not sorted by class.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `query_x[:, None] - centres` has the shape (queries, ways, features). Square, sum over features, `argmin` over ways.
#
# </details>

# %% [markdown]
# ## 10.6 In your own words
#
# *Written question, marked by a person · 3 points.* A paper reports 99.6 ± 0.1 % on Omniglot, 5-way 1-shot, above MAML's
# published 98.7 ± 0.4 %. Name three questions that you would put to its authors before you call their method better,
# and say for each how a bad answer could make up the difference.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_10", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Does a prediction depend on the other queries?* With batch statistics and a balanced query set the
# network sees the queries' distribution, and is judged better than if each query came alone; a comparison must ask both
# methods in the same way. *Over what is the interval?* Over all queries, as if they were independent, it is too narrow,
# and it holds the luck of the test tasks only: another seed of training may move the mean by more. *Which classes and
# images?* Other splits, with or without rotations (in the test, too), another way of shrinking the images to 28 × 28:
# each changes how hard the tasks are, as a nearest neighbour in pixels shows. *Also right:* was the checkpoint, or the
# number of inner steps, chosen on the test classes; is the network larger; were the baselines given the same tuning.
#
# **Rubric.** 1 point for each of three different questions with its mechanism; half a point where the question is
# right and the mechanism is missing.
