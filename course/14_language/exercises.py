# %% [markdown]
# # 14 · Exercises: language
#
# Six functions and one question to answer in words; about 110 minutes, of which 14.3 and 14.4 take the most.
# Replace `raise NotImplementedError()`, run the cell, then run the check below it: it says whether your answer is right, and if
# not, which mistake it was. Everything is NumPy, and no network is trained. The lesson is [here](../notebooks/14_language.ipynb).

# %%
import zlib

import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 14.1 Letter groups
#
# *difficulty 3/5 · 18 minutes · 4 points*
#
# A sentence becomes numbers without a vocabulary and without training. Write the function yourself: its details decide whether two
# machines agree.
#
# 1. Case-fold the text (`text.casefold()`) and split it into words (`split()`).
# 2. Put one space before and one after each word. From each such word take all groups of neighbouring letters whose
#    length is in `lengths`; the spaces count as letters.
# 3. The hash of a group is `zlib.crc32(group.encode("utf-8"))`, a whole number below $2^{32}$. Its remainder by `size` is the bin.
# 4. The group adds +1 to its bin if the hash is at least $2^{31}$, and −1 if it is not.
# 5. At the end, scale the vector to length 1. A vector of zeros stays as it is.
#
# (The library's `hashed_ngrams` does the same. It also unites the ways in which Unicode can write one letter, by NFKC; you may leave
# that out.)


# %% nbgrader={"grade": false, "grade_id": "letter_counts", "locked": false, "schema_version": 3, "solution": true, "task": false}
def letter_counts(texts, size, lengths):
    """Signed counts of the letter groups of each text, in `size` bins, scaled to length 1.

    texts: list of strings. size: whole number. lengths: list of whole numbers ≥ 2.
    Returns an array (texts, size) of real numbers. A row of zeros (a text without a group, say) stays one.
    """
    ### BEGIN SOLUTION
    counts = np.zeros((len(texts), size))
    for row, text in zip(counts, texts, strict=True):
        for word in text.casefold().split():
            word = f" {word} "
            for length in lengths:
                for at in range(len(word) - length + 1):
                    code = zlib.crc32(word[at : at + length].encode("utf-8"))
                    row[code % size] += 1 if code >= 2**31 else -1
    norms = np.linalg.norm(counts, axis=1, keepdims=True)
    return counts / np.where(norms == 0, 1, norms)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_letter_counts", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("14.letter_counts", letter_counts)
### BEGIN HIDDEN TESTS
check("14.letter_counts", letter_counts, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Four loops, one inside the other: texts, words, lengths, places. A word of $w$ letters, the two spaces included, has
# $w - n + 1$ groups of $n$ letters.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# All pairs of neighbouring letters of `"abc"`, counted in seven bins by the alphabet:
#
# ```python
# counts = np.zeros(7)
# for at in range(len("abc") - 2 + 1):
#     pair = "abc"[at : at + 2]              # "ab", then "bc"
#     counts[sum(map(ord, pair)) % 7] += 1
# ```
# </details>

# %% [markdown]
# ## 14.2 Hold out domains
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# What counts as new must be decided before anything else. Split the sentences so that the test has domains that training never sees.
# Everybody should get the same split, whatever the order of the file. So sort the *different* domain names, and shuffle the sorted names
# once with `np.random.default_rng(seed).permutation`. The first `test` of the shuffled names are for the test, the next `val`
# for validation, and all others for training.


# %% nbgrader={"grade": false, "grade_id": "hold_out_domains", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hold_out_domains(domains, intents, test, val, seed):
    """{"train": …, "val": …, "test": …}: the numbers of the sentences that belong to each, ascending, as lists.

    domains, intents: lists with one name for each sentence, in the order of a file; sentences are numbered from 0.
    test, val: how many domains are held out for each, at least 1. seed: a whole number.
    """
    ### BEGIN SOLUTION
    names = sorted(set(domains))
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    split_of = {}
    for place, name in enumerate(shuffled):
        split_of[name] = "test" if place < test else "val" if place < test + val else "train"
    parts = {"train": [], "val": [], "test": []}
    for number, domain in enumerate(domains):
        parts[split_of[domain]].append(number)
    return parts
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_hold_out_domains", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("14.hold_out_domains", hold_out_domains)
### BEGIN HIDDEN TESTS
check("14.hold_out_domains", hold_out_domains, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Decide about names first, then about sentences: a sentence goes where its domain goes. One of the arguments is not needed.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Two of the towns of these letters, drawn at random, and the numbers of the letters from there:
#
# ```python
# towns = sorted(set(town_of_letter))
# drawn = [towns[i] for i in np.random.default_rng(3).permutation(len(towns))][:2]
# [number for number, town in enumerate(town_of_letter) if town in drawn]
# ```
# </details>

# %% [markdown]
# ## 14.3 An episode of sentences
#
# *difficulty 3/5 · 25 minutes · 4 points*
#
# People repeat themselves, and collections of what they type hold the same sentence twice, or in two intents. If one copy is in
# the support set and another among the queries, the test asks for what it has just told.
#
# Two sentences are **the same** if they are equal after case-folding and with every run of spaces written as one:
# `" ".join(text.casefold().split())`. Draw an episode in which no sentence occurs twice. Of several copies within one intent, keep one. A sentence
# that stands in two different intents belongs to neither: never draw it.
#
# The same seed gives the same episode, on every machine. So of the names and texts nothing may count but which are equal, and
# their order: not how they are spelt. And everything else can be drawn: each domain, each of its intents, each sentence of these,
# for the support set as well as for the query set.


# %% nbgrader={"grade": false, "grade_id": "episode_of_text", "locked": false, "schema_version": 3, "solution": true, "task": false}
def episode_of_text(texts, domains, intents, ways, shots, queries, seed):
    """(support, support_y, query, query_y) of one episode, all of one domain.

    texts, domains, intents: lists with one entry for each sentence; no intent is in two domains. Draw a domain, then
    `ways` different intents of it, and of each `shots` sentences for the support set and `queries` others for the
    query set, all at random. support (ways · shots,), query (ways · queries,):
    the sentences' numbers, from 0; support_y, query_y: their classes, 0 … ways − 1, in rising order. Every intent has
    enough different sentences.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    same = [" ".join(text.casefold().split()) for text in texts]
    of = {}  # the same sentence → its intents
    for key, intent in zip(same, intents, strict=True):
        of.setdefault(key, set()).add(intent)
    numbers = {}  # intent → {the same sentence: its first number}
    for number, (key, intent) in enumerate(zip(same, intents, strict=True)):
        if len(of[key]) == 1:
            numbers.setdefault(intent, {}).setdefault(key, number)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
    support, query = [], []
    for intent in rng.choice(there, ways, replace=False):
        drawn = rng.permutation(list(numbers[intent].values()))
        support.append(drawn[:shots])
        query.append(drawn[shots : shots + queries])
    classes = np.arange(ways)
    return (
        np.concatenate(support),
        np.repeat(classes, shots),
        np.concatenate(query),
        np.repeat(classes, queries),
    )
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_episode_of_text", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("14.episode_of_text", episode_of_text)
### BEGIN HIDDEN TESTS
check("14.episode_of_text", episode_of_text, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Clean up before you draw. Then each intent has one number for each of its different sentences, and you draw from these.
# </details>
# <details><summary>Hint 2</summary>
#
# Go through all sentences once: in which intents does each one stand? A dict from the folded sentence to a *set* of intents says so.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Some guests have signed a book twice, with or without capitals. Each counts once, at the place of the first signature:
#
# ```python
# first = {}
# for place, name in enumerate(book):
#     first.setdefault(name.casefold(), place)
# list(first.values())
# ```
# </details>

# %% [markdown]
# ## 14.4 Logistic regression that sees inner products alone
#
# *difficulty 4/5 · 25 minutes · 5 points*
#
# Let the head be linear and start at zero: the scores of $x$ are $Wx + b$ with $W = 0$ and $b = 0$. The inner loop takes `steps` gradient
# steps with rate α on the mean cross-entropy of the support set plus $\tfrac{\lambda}{2}\lVert W\rVert^2$. (The penalty is on $W$ alone.)
#
# Now suppose that there are a million bins, so that nobody wants to store $W$. All you get are the **inner products** of the
# sentences: of support with support, and of queries with support. They are enough. Find out why, and write the loop. It must give the
# same scores as the loop in $W$ and $b$, up to rounding.


# %% nbgrader={"grade": false, "grade_id": "dual_scores", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dual_scores(gram, cross, labels, ways, alpha, penalty, steps):
    """Scores (queries, ways), before any softmax, after `steps` gradient steps from W = 0, b = 0.

    gram (n, n): inner products of the support sentences with each other. cross (queries, n): of each query with each
    support sentence. labels (n,): whole numbers 0 … ways − 1, not each equally often, some perhaps never. alpha: the
    rate; penalty: λ. steps: at least 1.
    """
    ### BEGIN SOLUTION
    n = len(labels)
    target = np.eye(ways)[labels]  # (n, ways)
    a, b = np.zeros((n, ways)), np.zeros(ways)  # W = Aᵀ X
    for _ in range(steps):
        scores = gram @ a + b
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        error = (p - target) / n
        a, b = a - alpha * (error + penalty * a), b - alpha * error.sum(axis=0)
    return cross @ a + b
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_dual_scores", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("14.dual_scores", dual_scores)
### BEGIN HIDDEN TESTS
check("14.dual_scores", dual_scores, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write down the gradient with respect to $W$. Each row of it is a sum of support sentences $x_i$, each times a number, plus that row of
# $\lambda W$. So $W$ is such a sum after every step: $W = A^\top X$ with an array $A$ of shape (n, ways). What is $Wx$ then?
# </details>
# <details><summary>Hint 2</summary>
#
# With $E = (P - Y)/n$, where $P$ holds the probabilities and $Y$ ones and zeros, the gradient with respect to $W$ is
# $E^\top X + \lambda W$. Put $W = A^\top X$ into the step of $W$: which step of $A$ makes it?
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Least squares, one output, $w = X^\top a$: the gradient of $\tfrac1{2n}\lVert Xw - y\rVert^2$ is $X^\top(Xw - y)/n$, and
# $Xw = XX^\top a$. So the loop is `a = a - alpha * (gram @ a - y) / n`, and a query gets `cross @ a`.
# </details>

# %% [markdown]
# ## 14.5 A baseline that is tuned as hard
#
# *difficulty 2/5 · 8 minutes · 3 points*
#
# A network that was tuned for a week beats any baseline that had to take the first settings at hand, and such a table says nothing about
# the methods. So logistic regression gets a grid of settings as well, and chooses on the same validation domains as the network.
#
# You get its scores, with each setting, on the validation episodes and on the test episodes. Choose the setting with the highest mean accuracy over
# the *validation* episodes (no two are level). Return it with its accuracy in each *test* episode. Accuracy is the share of
# queries whose own class has the largest score.


# %% nbgrader={"grade": false, "grade_id": "logistic_baseline", "locked": false, "schema_version": 3, "solution": true, "task": false}
def logistic_baseline(val_scores, val_labels, test_scores, test_labels):
    """(setting, accuracies): the name of the chosen setting, and its accuracy in each test episode, (episodes,).

    val_scores, test_scores: {setting: scores (episodes, queries, ways)}, the same settings in both, in any order.
    val_labels, test_labels (episodes, queries): whole numbers 0 … ways − 1. Validation and test may have different
    numbers of episodes.
    """
    ### BEGIN SOLUTION
    right = lambda scores, labels: (scores.argmax(axis=2) == labels).mean(axis=1)  # (episodes,)
    chosen = max(val_scores, key=lambda name: right(val_scores[name], val_labels).mean())
    return chosen, right(test_scores[chosen], test_labels)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_logistic_baseline", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("14.logistic_baseline", logistic_baseline)
### BEGIN HIDDEN TESTS
check("14.logistic_baseline", logistic_baseline, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# There are two stages, and the test has no part in the first. In the second, look the setting up by its *name*.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The name of the tallest, from a dict of names and heights:
#
# ```python
# max(heights, key=lambda name: heights[name])
# ```
# </details>

# %% [markdown]
# ## 14.6 A table that compares
#
# *difficulty 2/5 · 8 minutes · 3 points*
#
# Several methods were tested on episodes of several kinds, "5-way 1-shot" and so on. Each episode has a number. The runs list the episodes in
# different orders, and some runs broke off early. Compare each method with a baseline *on the same episodes*: some are hard for every
# method, and a difference taken on each episode leaves that out.


# %% nbgrader={"grade": false, "grade_id": "paired_table", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paired_table(runs, baseline):
    """{kind: {method: (difference, half)}}: mean paired difference from the baseline, and 1.96 standard errors of it.

    runs: {kind: {method: (episodes, accuracies)}}, two arrays (n,); n may differ from method to method, and the numbers
    of the episodes come in any order, each at most once. For each method, the episodes count that it shares with the
    baseline. baseline: the name of a method; every kind has it, and it gets no entry of its own. difference: method
    minus baseline. half: with the standard deviation of a sample (ddof=1). At least two episodes are shared.
    """
    ### BEGIN SOLUTION
    table = {}
    for kind, methods in runs.items():
        base = dict(zip(*methods[baseline], strict=True))
        table[kind] = {}
        for method, (episodes, accuracies) in methods.items():
            if method == baseline:
                continue
            pairs = zip(episodes, accuracies, strict=True)
            minus = np.array([a - base[e] for e, a in pairs if e in base])
            half = 1.96 * minus.std(ddof=1) / np.sqrt(len(minus))
            table[kind][method] = (float(minus.mean()), float(half))
    return table
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_paired_table", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("14.paired_table", paired_table)
### BEGIN HIDDEN TESTS
check("14.paired_table", paired_table, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# For each method, make a list of differences, one for each shared episode. Mean and standard deviation are those of this list.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# By how much one runner was slower than the other, on the tracks that both have run:
#
# ```python
# hers = dict(zip(her_tracks, her_times))
# slower = [time - hers[track] for track, time in zip(his_tracks, his_times) if track in hers]
# ```
# </details>

# %% [markdown]
# ## 14.7 In your own words
#
# *difficulty 3/5 · 15 minutes · 2 points, read by a person*
#
# A help desk wants to add new intents itself, with five example sentences for each. They will belong to departments that do not exist
# yet. Somebody proposes to meta-train a network on the intents of the present departments. When would you say yes, when would you say no, and
# which experiment would you run first? Be concrete: what is held out, what is compared, and what would decide?

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_14", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** The experiment comes first. Hold out whole *departments*, because that is what will be new, and set others aside for
# validation. On the same episodes, with five sentences for each intent, compare the meta-trained network with the nearest centroid and with logistic
# regression, both on features that need no training here (letter groups; vectors of a general sentence encoder). Choose every setting on the validation
# departments, the baselines' settings too. Use three seeds and paired differences.
#
# Yes, if the network is better on held-out departments by more than it costs. That is most likely if new tasks resemble the old ones (new intents of
# departments that training has seen, in the same words), if there is one example and not five, or if the fixed features are poor. No,
# if the centroid is level: it needs no training, and none again when a department joins, and one can show which words decided. A good
# general encoder usually leaves little to win.
#
# **Rubric.** 1 point: the experiment holds out whole departments, has an untrained baseline on the same episodes, and chooses
# settings apart from the test. 1 point: names one condition under which meta-training pays (words or intents like those seen, poor
# features, few examples) and one under which it does not, each with a reason.
