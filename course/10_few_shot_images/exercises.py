# %% [markdown]
# # 10 · Exercises: Few-shot images
#
# Each cell `check(…)` says whether your function is right and, if not, what it computes instead. Everything is NumPy.
# About an hour and fifty minutes in all; 10.7 is the hard one. The lesson:
# [10 · Few-shot images](../notebooks/10_few_shot_images.ipynb).

# %%
import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 10.1 Draw an episode
#
# *difficulty 2/5 · 10 minutes · 4 points*
#
# Most wrong few-shot results begin here: a class that comes twice, a query that is in the support set, labels that mean
# the same in all tasks. You get the label of every image in a bank and return *indices* of images: no image is looked at.


# %% nbgrader={"grade": false, "grade_id": "episode", "locked": false, "schema_version": 3, "solution": true, "task": false}
def episode(labels, ways, shots, queries, seed):
    """(support, support_y, query, query_y) of one episode.

    labels (images,): whole numbers, which character each image shows; not in order. support
    (ways · shots,) and query (ways · queries,): indices of images; support_y, query_y: their
    classes, numbered 0 … ways − 1 in this episode. shots and queries count per class. The classes,
    and the images of each, are drawn at random; the same seed gives the same episode. (ONE generator,
    np.random.default_rng(seed), is enough for everything.)
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


# %% nbgrader={"grade": true, "grade_id": "check_episode", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("10.episode", episode)
### BEGIN HIDDEN TESTS
check("10.episode", episode, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Draw *different* characters first. `rng.choice` takes the argument `replace=False`; without it one may come twice.
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Two teams of three from a village, nobody in both teams: shuffle the people of the village *once*, take the first three
# for one team and the next three for the other. For the next village do it again, with the same generator. Who lives
# in a village: `np.flatnonzero(home == village)`.
#
# </details>

# %% [markdown]
# ## 10.2 Two methods, the same episodes
#
# *difficulty 2/5 · 10 minutes · 4 points*
#
# The lesson compares "all together" with "one at a time" by the *difference in each episode*, as 03.6 did, here of means.
# How much does that save?
# Give the interval of the difference, and the price of doing without: how many times as many episodes you would need
# for an interval of the same width if each method were asked about episodes of its own.


# %% nbgrader={"grade": false, "grade_id": "compare", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compare(ours, theirs):
    """(ours minus theirs in accuracy, half the 95 % interval of that, times as many episodes if unpaired).

    ours, theirs (episodes, queries): 1 where a query was named correctly, else 0; row e of both is the
    same episode, and episodes are what is independent. The half-width is 1.96 standard errors; a
    standard deviation divides by (episodes − 1). The third number is the variance of a difference of
    two means over E separate episodes each, divided by its variance over E shared ones.
    """
    ### BEGIN SOLUTION
    ours, theirs = ours.mean(axis=1), theirs.mean(axis=1)  # (episodes,)
    difference = ours - theirs
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    more = (ours.var(ddof=1) + theirs.var(ddof=1)) / difference.var(ddof=1)
    return difference.mean(), half, more
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_compare", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("10.compare", compare)
### BEGIN HIDDEN TESTS
check("10.compare", compare, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# First one accuracy for each episode and method. Everything else is about these two lists and their difference.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Variances of *independent* things add, also when the things are subtracted. Those of shared episodes do not: what makes
# an episode hard for both cancels in the difference.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Five people before and after a course: 10, 20, 30, 40, 50 and 12, 21, 33, 42, 52. The gains 2, 1, 3, 2, 2 have the
# variance 0.5. Before and after have the variances 250 and 255.5. With other people after than before the variance
# of the mean gain would be (250 + 255.5)/5 in place of 0.5/5: a thousand times as many people for the same certainty.
#
# </details>

# %% [markdown]
# ## 10.3 Whose statistics?
#
# *difficulty 2/5 · 8 minutes · 3 points*
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


# %% nbgrader={"grade": true, "grade_id": "check_two_ways", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
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
# <details><summary>Hint 2: a similar case</summary>
#
# For vectors in place of images, a visitor `v` among the guests `g` (guests, features): `everybody = np.concatenate([g,
# v[None]])`, then `(everybody - everybody.mean(0)) / everybody.std(0)`, and the visitor is its last row.
#
# </details>

# %% [markdown]
# ## 10.4 What company erases
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# In the lesson the same φ on the same images fell from nine in ten to one in four when the *company* changed. The lesson
# says that a batch of one class loses what is common to the class. Prove it by number, without a network: normalise
# features in given batches, then ask what share of their variance still lies *between the classes*.
#
# For one feature $x_i$ with overall mean $m$ and class means $m_k$ over $n_k$ images each, that share is $\sum_k n_k
# (m_k - m)^2 \,/\, \sum_i (x_i - m)^2$. 0: the classes cannot be told apart by their means; 1: nothing else is left.


# %% nbgrader={"grade": false, "grade_id": "class_share", "locked": false, "schema_version": 3, "solution": true, "task": false}
def class_share(features, labels, batches, eps):
    """The share of variance between classes after batch norm in these batches, averaged over features.

    features (images, features): one number per image and feature; labels (images,): any whole numbers,
    the same for images of one class. batches: a list of arrays of row numbers which share out 0 …
    images − 1; the rows of each are normalised together, (x − mean) / √(variance + eps) per feature.
    The share is of ALL images together, afterwards.
    """
    ### BEGIN SOLUTION
    normal = np.empty(features.shape)
    for rows in batches:
        own = features[rows]
        normal[rows] = (own - own.mean(axis=0)) / np.sqrt(own.var(axis=0) + eps)
    mean = normal.mean(axis=0)
    between = sum(
        (labels == k).sum() * (normal[labels == k].mean(axis=0) - mean) ** 2
        for k in np.unique(labels)
    )
    return (between / ((normal - mean) ** 2).sum(axis=0)).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_class_share", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("10.class_share", class_share)
### BEGIN HIDDEN TESTS
check("10.class_share", class_share, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# When it is right, try it: 5 classes of 15 images, `features = centres[labels] + hands` with centres and hands drawn from
# a normal distribution of standard deviation 1. What is the share in one batch of 75? In 15 batches with one of each
# class? In 5 batches of one class? And how much of the first does a batch of 11 of one class and one of each other keep?
#
# <details><summary>What it gives, with 16 features and ε = 0.00001</summary>
#
# On average over 200 draws 0.43 in one batch, **0.49** with one of each class, 0.18 with 11 of one class, and 0 with
# one class only. One of each is *better* than all together: the mean of five images holds a fifth of each image's own
# deviation, the hand's, and subtracting it takes that away; the mean of 75 holds a 75th. The class part loses nothing by
# it: every balanced batch contains the same mean of the five classes.
#
# </details>
#
# <details><summary>Hint 1</summary>
#
# Two separate things: first fill an array like `features` batch by batch (`normal[rows] = …` puts each row where it
# belongs); then forget the batches, and work out the share.
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# One feature, x = 1, 3, 5, 7 with labels 0, 0, 1, 1, not normalised: m = 4, class means 2 and 6. Between:
# 2·(2 − 4)² + 2·(6 − 4)² = 16; in all: 9 + 1 + 1 + 9 = 20; the share is 0.8. Normalised in the batches (1, 3) and (5, 7)
# the values become −1, 1, −1, 1, both class means are 0, and so is the share.
#
# </details>

# %% [markdown]
# ## 10.5 The same step under another loss
#
# *difficulty 1/5 · 5 minutes · 3 points*
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


# %% nbgrader={"grade": true, "grade_id": "check_convert_rate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
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
# <details><summary>Hint 2: a similar case</summary>
#
# Somebody measures a loss in cents, you in euros: theirs is a hundred times yours, and so is its slope. Their rate of
# 0.02 takes the step that a rate of 2 takes with you.
#
# </details>

# %% [markdown]
# ## 10.6 A ProtoNet is a head
#
# *difficulty 2/5 · 10 minutes · 4 points*
#
# A ProtoNet gives class k of an image with features x the probability $\operatorname{softmax}_k(-\lVert x -
# c_k\rVert^2)$, where $c_k$ is the mean of the features of its support examples. It has no head and takes no step. Yet
# there *is* a linear head with exactly these probabilities. Find it. (An inner loop that starts from this head, in
# place of random weights, begins where a ProtoNet ends: ProtoMAML, Triantafillou et al. 2020.)


# %% nbgrader={"grade": false, "grade_id": "prototype_head", "locked": false, "schema_version": 3, "solution": true, "task": false}
def prototype_head(support_x, support_y):
    """(weights, bias) with softmax(weights @ x + bias) = softmax over k of −‖x − c_k‖², for every x.

    support_x (examples, features); support_y (examples,): labels 0 … ways − 1 in any order, not
    always equally many of each. weights (ways, features), bias (ways,).
    """
    ### BEGIN SOLUTION
    ways = support_y.max() + 1
    centres = np.stack([support_x[support_y == k].mean(axis=0) for k in range(ways)])
    return 2 * centres, -(centres**2).sum(axis=1)  # −‖x‖² is the same for all classes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_prototype_head", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("10.prototype_head", prototype_head)
### BEGIN HIDDEN TESTS
check("10.prototype_head", prototype_head, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Multiply $\lVert x - c_k\rVert^2$ out. Which of the three terms is the same for every class, and what does a softmax
# do to it?
#
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# On a line, two classes with centres 1 and 3: $-(x-1)^2 = -x^2 + 2x - 1$ and $-(x-3)^2 = -x^2 + 6x - 9$. Without $-x^2$
# they are the lines $2x - 1$ and $6x - 9$, which cross at $x = 2$, half-way between the centres, as they must.
#
# </details>

# %% [markdown]
# ## 10.7 How far may a head's step go?
#
# *difficulty 4/5 · 40 minutes · 5 points*
#
# One part of a network is simple enough for its largest rate to be worked out on paper. Keep the body as it is and let
# only the head learn: logits = W z + b, mean cross-entropy over the support examples. Take the loss to second order at
# the present W and b: up to which rate do repeated steps of chapter 01 not run away along *any* direction of W and b?
# Chapter 01 has the rule for the rate, chapter 04 the Hessian of a loss; what is new is the Hessian of a softmax.
#
# (It is not the head that overshot in the lesson. There its own $\alpha\lambda_{\max}$ is below 2 with either kind of
# statistics, and the body takes the fatal step. Where the head *is* what overshoots, you will see below.)


# %% nbgrader={"grade": false, "grade_id": "largest_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def largest_rate(features, logits):
    """2/λmax, where λmax is the largest eigenvalue of the Hessian of the head's mean cross-entropy.

    features (examples, features): z of each support example; logits (examples, ways): what the head
    gives for them now. The Hessian is with respect to all weights AND biases of the head. (Which class
    is right is not needed: it does not occur in the second derivatives.)
    """
    ### BEGIN SOLUTION
    examples, ways = logits.shape
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)  # (examples, ways)
    z = np.concatenate([features, np.ones((examples, 1))], axis=1)  # the bias is a weight of 1
    hessian = sum(
        np.kron(np.diag(p[i]) - np.outer(p[i], p[i]), np.outer(z[i], z[i])) for i in range(examples)
    )
    return 2 / np.linalg.eigvalsh(hessian / examples)[-1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_largest_rate", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("10.largest_rate", largest_rate)
### BEGIN HIDDEN TESTS
check("10.largest_rate", largest_rate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# When it is right, try it: `z = np.random.default_rng(0).uniform(0, 1, (5, 16)) + level` and logits of zeros, for
# `level` 0, 1 and 3, then the same with `z - z.mean(0)`. How does the largest rate depend on the level, before and
# after centring?
#
# <details><summary>What it gives for 5 classes</summary>
#
# 1.83, 0.26 and 0.05 as they are, and 10 whenever they are centred: then the bias is the steepest direction, with λ =
# 1/5, and the level of the features plays no part. A fixed α = 0.4 is well below the limit at
# level 0, already above it at level 1 (0.26), and far above it at level 3.
#
# </details>
#
# <details><summary>Hint 1</summary>
#
# For one example the slope of its cross-entropy with respect to the logits is $p - y$, y being 1 at the right class and 0
# elsewhere. Differentiate once more: y drops out, and $\partial p_j / \partial\,\text{logit}_k = p_j(\delta_{jk} - p_k)$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A logit is linear in W and b: its slope with respect to its own row of W is z, with respect to its own b it is 1.
# Write b as a further weight of a feature that is always 1. The second derivative of one example's loss with respect to
# $W_{jr}$ and $W_{ks}$ is then $p_j(\delta_{jk} - p_k)\, z_r z_s$. `np.kron` arranges that in a matrix.
#
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Two classes and a single logit $s = wz$ (no bias): the loss is $\log(1 + e^{-s})$ or $\log(1 + e^{s})$, and its second
# derivative with respect to s is $p(1-p)$ for both, with $p = 1/(1 + e^{-s})$. So with respect to w it is the mean over
# examples of $p(1-p)z^2$, and with logits of zero and z = 1, 2, 3 that is (1 + 4 + 9)/12 = 1.17. The largest rate is
# 1.71.
#
# </details>

# %% [markdown]
# ## 10.8 In your own words
#
# *Written question, marked by a person · difficulty 2/5 · 10 minutes · 3 points.* A paper reports 99.6 ± 0.1 % on Omniglot, 5-way 1-shot, above MAML's
# published 98.7 ± 0.4 %. Name three questions that you would put to its authors before you call their method better,
# and say for each how a bad answer could make up the difference.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_10", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** *Does a prediction depend on the other queries, and on how many?* With batch statistics and a
# balanced query set the network sees the queries' distribution, and is judged better than if each query came alone;
# MAML's code asks one of each class at one shot, and a comparison must ask both methods in the same way. *Over what is
# the interval?* Over all queries, as if they were independent, it is too narrow, and it holds the luck of the test
# tasks only: another seed of training may move the mean by more. *Which classes and images?* Other splits, with or
# without rotations (in the test, too), another way of shrinking the images to 28 × 28: each changes how hard the tasks
# are, as a nearest neighbour in pixels shows. *Also right:* was the checkpoint, or the number of inner steps, chosen on
# the test classes; is the network larger; were the baselines tuned as carefully.
#
# **Rubric.** 1 point for each of three different questions with its mechanism; half a point where the question is
# right and the mechanism is missing.
