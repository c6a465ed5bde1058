"""Wrong answers to the exercises of chapter 10, each caught by its words, and unusual right ones."""

import random
import warnings

import numpy as np
import torch

from maml_edu.checks.exercise import right_answer, wrong_answer

# ---------------------------------------------------------------- 10.1


def drawn(labels, shots, queries, rng, characters, name=lambda k, character: k):
    """An episode of these characters, each named by name(k, character)."""
    parts = [[], [], [], []]
    for k, character in enumerate(characters):
        images = rng.permutation(np.flatnonzero(labels == character))[: shots + queries]
        for place, own in ((0, images[:shots]), (2, images[shots:])):
            parts[place].append(own)
            parts[place + 1].append(np.full(len(own), name(k, character)))
    return tuple(np.concatenate(part) for part in parts)


def some(labels, ways, seed):
    """(a generator, so many different characters drawn with it)."""
    rng = np.random.default_rng(seed)
    return rng, rng.choice(np.unique(labels), ways, replace=False)


@wrong_answer("10.episode", says="a class comes twice")
def characters_drawn_with_replacement(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    return drawn(labels, shots, queries, rng, rng.choice(np.unique(labels), ways))


@wrong_answer("10.episode", says="numbered anew")
def labels_of_the_bank(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    return drawn(labels, shots, queries, rng, characters, lambda k, character: character)


@wrong_answer("10.episode", says="in the support set and in the query set")
def queries_drawn_from_all_images(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    support = [rng.choice(np.flatnonzero(labels == c), shots, replace=False) for c in characters]
    query = [rng.choice(np.flatnonzero(labels == c), queries, replace=False) for c in characters]
    numbers = np.arange(ways)
    return (
        np.concatenate(support), np.repeat(numbers, shots), np.concatenate(query), np.repeat(numbers, queries)
    )  # fmt: skip


@wrong_answer("10.episode", says="an image comes twice")
def images_drawn_with_replacement(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    support, support_y, query, query_y = drawn(labels, shots, queries, rng, characters)
    again = [
        rng.choice(np.setdiff1d(np.flatnonzero(labels == c), support), queries) for c in characters
    ]
    return support, support_y, np.concatenate(again), query_y


@wrong_answer("10.episode", says="number once for both")
def numbered_separately(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    support, support_y, query, query_y = drawn(labels, shots, queries, rng, characters)
    renamed = np.unique(labels[query], return_inverse=True)[1]  # in order of the bank's labels
    return support, support_y, query, renamed


@wrong_answer("10.episode", says="count per class")
def queries_in_all(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    support, support_y, query, query_y = drawn(labels, shots, queries, rng, characters)
    return support, support_y, query[:queries], query_y[:queries]


@wrong_answer("10.episode", says="in the bank's order")
def characters_sorted(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    return drawn(labels, shots, queries, rng, np.sort(characters))


class Still:
    """A generator that shuffles nothing."""

    permutation = staticmethod(lambda images: images)


@wrong_answer("10.episode", says="always the first images")
def images_not_shuffled(labels, ways, shots, queries, seed):
    _, characters = some(labels, ways, seed)
    return drawn(labels, shots, queries, Still, characters)


@wrong_answer("10.episode", says="eight seeds give the same classes")
def seed_inside(labels, ways, shots, queries, seed):
    _, characters = some(labels, ways, 0)
    return drawn(labels, shots, queries, np.random.default_rng(seed), characters)


@wrong_answer("10.episode", says="the seed is ignored")
def another_seed(labels, ways, shots, queries, seed):
    return drawn(labels, shots, queries, *some(labels, ways, 42))


@wrong_answer("10.episode", says="the same seed gives two different episodes")
def no_seed(labels, ways, shots, queries, seed):
    return drawn(labels, shots, queries, *some(labels, ways, None))


@wrong_answer("10.episode", says="every class gives the support set the images of the same places")
def a_generator_per_class(labels, ways, shots, queries, seed):
    class Anew:
        permutation = staticmethod(lambda images: np.random.default_rng(seed).permutation(images))

    _, characters = some(labels, ways, seed)
    return drawn(labels, shots, queries, Anew, characters)


def shared_out(labels, ways, shots, queries, seed, pick):
    """An episode in which pick(the images of a class, generator) says which are support and which query."""
    rng, characters = some(labels, ways, seed)
    picked = [pick(np.flatnonzero(labels == c), rng) for c in characters]
    support, query = (np.concatenate(part) for part in zip(*picked, strict=True))
    return support, np.repeat(np.arange(ways), shots), query, np.repeat(np.arange(ways), queries)


@wrong_answer("10.episode", says="not one permutation for all classes")
def one_permutation_for_all(labels, ways, shots, queries, seed):
    order = []

    def pick(images, rng):
        order[:] = order or [rng.permutation(len(images))]
        return images[order[0][:shots]], images[order[0][shots : shots + queries]]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer(
    "10.episode", says="the images of the same places of a class that are support, whatever"
)
def last_images(labels, ways, shots, queries, seed):
    pick = lambda images, rng: (images[-shots - queries :][:shots], images[-queries:])
    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="of a class that are support")
def every_other_image(labels, ways, shots, queries, seed):
    pick = lambda images, rng: (images[::2][:shots], images[1::2][:queries])
    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="every class gives the query set the images of the same places")
def queries_by_one_permutation(labels, ways, shots, queries, seed):
    order = []

    def pick(images, rng):
        order[:] = order or [rng.permutation(len(images))]
        query = images[order[0][:queries]]
        return rng.permutation(np.setdiff1d(images, query))[:shots], query

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="always come before its query images")
def drawn_and_sorted(labels, ways, shots, queries, seed):
    def pick(images, rng):
        own = np.sort(rng.choice(images, shots + queries, replace=False))
        return own[:shots], own[shots:]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="the first images that the support set leaves")
def queries_not_drawn(labels, ways, shots, queries, seed):
    def pick(images, rng):
        support = rng.choice(images, shots, replace=False)
        return support, np.setdiff1d(images, support)[:queries]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="always neighbours in the bank")
def a_window_of_images(labels, ways, shots, queries, seed):
    def pick(images, rng):
        k = rng.integers(len(images) - shots - queries + 1)
        return images[k : k + shots], images[k + shots : k + shots + queries]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer(
    "10.episode", says="the images of a class that come in an episode are always neighbours"
)
def images_rolled(labels, ways, shots, queries, seed):
    def pick(images, rng):
        images = np.roll(images, rng.integers(len(images)))
        return images[:shots], images[shots : shots + queries]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer(
    "10.episode", says="some choices of support and query images of a class never come up"
)
def never_the_first_image(labels, ways, shots, queries, seed):
    def pick(images, rng):
        images = rng.permutation(images[1:])
        return images[:shots], images[shots : shots + queries]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="some characters never come together")
def a_window_of_characters(labels, ways, shots, queries, seed):
    rng, kinds = np.random.default_rng(seed), np.unique(labels)
    k = rng.integers(len(kinds) - ways + 1)
    return drawn(labels, shots, queries, rng, rng.permutation(kinds[k : k + ways]))


@wrong_answer("10.episode", says="some labels never mean some characters")
def smallest_character_first(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    characters = np.roll(np.sort(characters), rng.integers(2))
    return drawn(labels, shots, queries, rng, characters)


@wrong_answer("10.episode", says="the four arrays are in another order")
def images_then_labels(labels, ways, shots, queries, seed):
    support, support_y, query, query_y = drawn(labels, shots, queries, *some(labels, ways, seed))
    return support, query, support_y, query_y


@wrong_answer("10.episode", says="return (support, support_y, query, query_y)")
def labels_before_images(labels, ways, shots, queries, seed):
    support, support_y, query, query_y = drawn(labels, shots, queries, *some(labels, ways, seed))
    return support_y, support, query_y, query


@wrong_answer("10.episode", says="hold places within each class")
def places_in_the_class(labels, ways, shots, queries, seed):
    def pick(images, rng):
        order = rng.permutation(len(images))
        return order[:shots], order[shots : shots + queries]

    return shared_out(labels, ways, shots, queries, seed, pick)


@wrong_answer("10.episode", says="images of EVERY class")
def queries_drawn_from_all_classes_together(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    support, support_y, _, _ = drawn(labels, shots, queries, rng, characters)
    left = np.setdiff1d(np.flatnonzero(np.isin(labels, characters)), support)
    query = rng.choice(left, ways * queries, replace=False)
    number = {character: k for k, character in enumerate(characters)}
    return support, support_y, query, np.array([number[c] for c in labels[query]])


def guessed(labels, ways, shots, queries, seed, characters):
    rng = np.random.default_rng(seed)
    images = drawn(labels, shots, queries, rng, rng.choice(characters, ways, replace=False))
    return (
        images[0],
        np.repeat(np.arange(ways), shots),
        images[2],
        np.repeat(np.arange(ways), queries),
    )


@wrong_answer("10.episode", says="not 0 … C − 1: use np.unique(labels)")
def labels_from_zero(labels, ways, shots, queries, seed):
    return guessed(labels, ways, shots, queries, seed, len(np.unique(labels)))


@wrong_answer("10.episode", says="characters that the bank does not have")
def labels_up_to_the_largest(labels, ways, shots, queries, seed):
    return guessed(labels, ways, shots, queries, seed, labels.max() + 1)


@wrong_answer("10.episode", says="and find no image of them")
def images_of_no_character(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    parts = [[], []]
    for character in rng.choice(len(np.unique(labels)), ways, replace=False):
        images = rng.choice(np.flatnonzero(labels == character), shots + queries, replace=False)
        parts[0].append(images[:shots]), parts[1].append(images[shots:])
    y = np.arange(ways)
    return np.concatenate(parts[0]), y.repeat(shots), np.concatenate(parts[1]), y.repeat(queries)


@wrong_answer("10.episode", says="that is np.repeat, not np.tile")
def labels_tiled(labels, ways, shots, queries, seed):
    support, _, query, _ = drawn(labels, shots, queries, *some(labels, ways, seed))
    return support, np.tile(np.arange(ways), shots), query, np.tile(np.arange(ways), queries)


@wrong_answer("10.episode", says="query_y[i] that of query[i]")
def only_the_query_is_tiled(labels, ways, shots, queries, seed):
    support, support_y, query, _ = drawn(labels, shots, queries, *some(labels, ways, seed))
    return support, support_y, query, np.tile(np.arange(ways), queries)


# ---------------------------------------------------------------- 10.2


def compared(ours, theirs):
    """The right answer, and the accuracies of both per episode."""
    a, b = ours.mean(axis=1), theirs.mean(axis=1)
    d = a - b
    half = 1.96 * d.std(ddof=1) / np.sqrt(len(d))
    return [d.mean(), half, (a.var(ddof=1) + b.var(ddof=1)) / d.var(ddof=1)], a, b


def half_of(each, ddof=1):
    return 1.96 * each.std(ddof=ddof) / np.sqrt(len(each))


@wrong_answer("10.compare", says="ours minus theirs")
def theirs_minus_ours(ours, theirs):
    return compared(theirs, ours)[0]


@wrong_answer("10.compare", says="an end of the interval")
def low_and_high(ours, theirs):
    (mean, half, more), _, _ = compared(ours, theirs)
    return mean - half, mean + half, more


@wrong_answer("10.compare", says="in per cent")
def percentages(ours, theirs):
    (mean, half, more), _, _ = compared(ours, theirs)
    return 100 * mean, 100 * half, more


@wrong_answer("10.compare", says="two methods asked about separate episodes")
def unpaired(ours, theirs):
    (mean, _, more), a, b = compared(ours, theirs)
    return mean, np.sqrt(half_of(a) ** 2 + half_of(b) ** 2), more


@wrong_answer("10.compare", says="half-widths of both methods are added")
def widths_added(ours, theirs):
    (mean, _, more), a, b = compared(ours, theirs)
    return mean, half_of(a) + half_of(b), more


@wrong_answer("10.compare", says="your interval is over queries:")
def all_queries_as_one(ours, theirs):
    (mean, _, more), _, _ = compared(ours, theirs)
    return mean, half_of((ours - theirs).ravel(), ddof=0), more


@wrong_answer("10.compare", says="spread of single episodes")
def standard_deviation(ours, theirs):
    (mean, _, more), a, b = compared(ours, theirs)
    return mean, 1.96 * (a - b).std(ddof=1), more


@wrong_answer("10.compare", says="ddof=1 divides by one less")
def numpy_default(ours, theirs):
    (mean, _, more), a, b = compared(ours, theirs)
    return mean, half_of(a - b, ddof=0), more


@wrong_answer("10.compare", says="wrong axis")
def other_axis(ours, theirs):
    (mean, _, more), _, _ = compared(ours, theirs)
    return mean, half_of(ours.mean(axis=0) - theirs.mean(axis=0)), more


@wrong_answer("10.compare", says="a 68 % interval")
def standard_error(ours, theirs):
    (mean, half, more), _, _ = compared(ours, theirs)
    return mean, half / 1.96, more


@wrong_answer("10.compare", says="the *square* of the width")
def ratio_of_widths(ours, theirs):
    (mean, half, more), _, _ = compared(ours, theirs)
    return mean, half, np.sqrt(more)


@wrong_answer("10.compare", says="the factor is upside down")
def factor_upside_down(ours, theirs):
    (mean, half, more), _, _ = compared(ours, theirs)
    return mean, half, 1 / more


@wrong_answer("10.compare", says="leaves theirs out")
def one_variance(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    return mean, half, a.var(ddof=1) / (a - b).var(ddof=1)


@wrong_answer("10.compare", says="adds standard deviations")
def deviations_added(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    return mean, half, (a.std(ddof=1) + b.std(ddof=1)) ** 2 / (a - b).var(ddof=1)


@wrong_answer("10.compare", says="ddof=1 in both, also below")
def numpy_default_below(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    return mean, half, (a.var(ddof=1) + b.var(ddof=1)) / (a - b).var()


@wrong_answer("10.compare", says="ddof=1 in both, also above")
def numpy_default_above(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    return mean, half, (a.var() + b.var()) / (a - b).var(ddof=1)


@wrong_answer("10.compare", says="n) over all queries, of both methods")
def binomial_of_both(ours, theirs):
    (mean, _, more), a, b = compared(ours, theirs)
    p, q = a.mean(), b.mean()
    return mean, 1.96 * np.sqrt((p * (1 - p) + q * (1 - q)) / ours.size), more


@wrong_answer("10.compare", says="n) over all queries, of ours alone")
def binomial_of_ours(ours, theirs):
    (mean, _, more), a, _ = compared(ours, theirs)
    return mean, 1.96 * np.sqrt(a.mean() * (1 - a.mean()) / ours.size), more


@wrong_answer("10.compare", says="with the difference for p")
def binomial_of_the_difference(ours, theirs):
    (mean, _, more), _, _ = compared(ours, theirs)
    return mean, 1.96 * np.sqrt(abs(mean) * (1 - abs(mean)) / ours.size), more


@wrong_answer("10.compare", says="the factor subtracts variances")
def variances_subtracted(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    return mean, half, (a.var(ddof=1) - b.var(ddof=1)) / (a - b).var(ddof=1)


@wrong_answer("10.compare", says="a difference of variances below")
def no_difference_of_episodes(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    a, b = a.var(ddof=1), b.var(ddof=1)
    return mean, half, (a + b) / (a - b)


@wrong_answer("10.compare", says="the factor is over queries")
def factor_over_queries(ours, theirs):
    (mean, half, _), _, _ = compared(ours, theirs)
    return mean, half, (ours.var(ddof=1) + theirs.var(ddof=1)) / (ours - theirs).var(ddof=1)


# ---------------------------------------------------------------- 10.3


def normal(batch, eps, like=None, axes=(0, 2, 3), divide=lambda v, e: np.sqrt(v + e)):
    like = batch if like is None else like
    mean, variance = like.mean(axes, keepdims=True), like.var(axes, keepdims=True)
    return (batch - mean) / divide(variance, eps)


def beside(support, query, eps, place=-1, **how):
    return np.stack([normal(np.concatenate([support, q[None]]), eps, **how)[place] for q in query])


@wrong_answer("10.two_ways", says="the support set's statistics only")
def query_left_out(support, query, eps):
    return normal(query, eps), normal(query, eps, like=support)


@wrong_answer("10.two_ways", says="each still sees the others")
def one_big_batch(support, query, eps):
    both = normal(np.concatenate([support, query]), eps)
    return normal(query, eps), both[len(support) :]


@wrong_answer("10.two_ways", says="over examples only")
def places_by_themselves(support, query, eps):
    return normal(query, eps, axes=(0,)), beside(support, query, eps, axes=(0,))


@wrong_answer("10.two_ways", says="instance norm")
def every_image_by_itself(support, query, eps):
    return normal(query, eps, axes=(2, 3)), beside(support, query, eps, axes=(2, 3))


@wrong_answer("10.two_ways", says="each query is alone in its batch")
def without_support(support, query, eps):
    return normal(query, eps), np.stack([normal(q[None], eps)[0] for q in query])


@wrong_answer("10.two_ways", says="the wrong order")
def swapped(support, query, eps):
    return beside(support, query, eps), normal(query, eps)


@wrong_answer("10.two_ways", says="ε is missing")
def no_epsilon(support, query, eps):
    return normal(query, 0.0), beside(support, query, 0.0)


@wrong_answer("10.two_ways", says="divide by its root")
def over_the_variance(support, query, eps):
    divide = lambda v, e: v + e
    return normal(query, eps, divide=divide), beside(support, query, eps, divide=divide)


@wrong_answer("10.two_ways", says="ε stands beside the root")
def epsilon_outside(support, query, eps):
    divide = lambda v, e: np.sqrt(v) + e
    return normal(query, eps, divide=divide), beside(support, query, eps, divide=divide)


@wrong_answer("10.two_ways", says="layer norm")
def every_image_and_all_features(support, query, eps):
    return normal(query, eps, axes=(1, 2, 3)), beside(support, query, eps, axes=(1, 2, 3))


@wrong_answer("10.two_ways", says="a support image, the last")
def query_first_but_last_returned(support, query, eps):
    batches = [np.concatenate([q[None], support]) for q in query]
    return normal(query, eps), np.stack([normal(batch, eps)[-1] for batch in batches])


@wrong_answer("10.two_ways", says="you return a support image, the first")
def first_of_the_batch(support, query, eps):
    return normal(query, eps), beside(support, query, eps, place=0)


# ---------------------------------------------------------------- 10.4


def in_batches(features, batches, eps, divide=lambda v, e: np.sqrt(v + e)):
    out = np.zeros(features.shape)
    for rows in batches:
        batch = features[rows]
        out[rows] = (batch - batch.mean(0)) / divide(batch.var(0), eps)
    return out


def squares(x, y):
    """(between classes, in all), each (features,)."""
    mean = x.mean(0)
    between = sum((y == k).sum() * (x[y == k].mean(0) - mean) ** 2 for k in np.unique(y))
    return between, ((x - mean) ** 2).sum(0)


def share(x, y):
    between, total = squares(x, y)
    return (between / total).mean()


@wrong_answer("10.class_share", says="the batches play no part")
def batches_ignored(features, labels, batches, eps):
    return share(in_batches(features, [np.arange(len(labels))], eps), labels)


@wrong_answer("10.class_share", says="not normalised at all")
def raw_features(features, labels, batches, eps):
    return share(features, labels)


@wrong_answer("10.class_share", says="normalised class by class")
def by_class(features, labels, batches, eps):
    batches = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    return share(in_batches(features, batches, eps), labels) + 0.0


@wrong_answer("10.class_share", says="is added up before it is squared")
def squared_after_the_sum(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    between = sum((labels == k).sum() * x[labels == k].mean(0) for k in np.unique(labels)) ** 2
    return (between / ((x - x.mean(0)) ** 2).sum(0)).mean()


@wrong_answer("10.class_share", says="your share is always 0, as when")
def nothing(features, labels, batches, eps):
    return 0.0


def about_the_mean_of_class_means(features, labels, batches, eps):
    """(between, the mean of the class means, what is normalised)."""
    x, classes = in_batches(features, batches, eps), np.unique(labels)
    mean = np.mean([x[labels == k].mean(0) for k in classes], axis=0)
    return sum((labels == k).sum() * (x[labels == k].mean(0) - mean) ** 2 for k in classes), mean, x


@wrong_answer("10.class_share", says="m is the mean of the class means")
def mean_of_class_means(features, labels, batches, eps):
    between, mean, x = about_the_mean_of_class_means(features, labels, batches, eps)
    return (between / ((x - mean) ** 2).sum(0)).mean()


@wrong_answer("10.class_share", says="a large class counts more (above the line)")
def mean_of_class_means_above(features, labels, batches, eps):
    between, _, x = about_the_mean_of_class_means(features, labels, batches, eps)
    return (between / ((x - x.mean(0)) ** 2).sum(0)).mean()


@wrong_answer("10.class_share", says="of each image, over its features")
def normalised_row_by_row(features, labels, batches, eps):
    mean, variance = features.mean(1, keepdims=True), features.var(1, keepdims=True)
    return share((features - mean) / np.sqrt(variance + eps), labels)


@wrong_answer("10.class_share", says="put each row back where it belongs")
def order_of_the_batches(features, labels, batches, eps):
    normal = in_batches(features, batches, eps)
    return share(np.concatenate([normal[rows] for rows in batches]), labels)


@wrong_answer("10.class_share", says="the share *within* classes")
def within(features, labels, batches, eps):
    return 1 - share(in_batches(features, batches, eps), labels)


@wrong_answer("10.class_share", says="divide by that of all")
def between_over_within(features, labels, batches, eps):
    between, total = squares(in_batches(features, batches, eps), labels)
    return (between / (total - between)).mean()


@wrong_answer("10.class_share", says="a share per feature, then their mean")
def pooled(features, labels, batches, eps):
    between, total = squares(in_batches(features, batches, eps), labels)
    return between.sum() / total.sum()


@wrong_answer("10.class_share", says="the class means count alike")
def unweighted(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    means = np.stack([x[labels == k].mean(0) for k in np.unique(labels)])
    return (means.var(0) / x.var(0)).mean()


@wrong_answer("10.class_share", says="only the mean is subtracted")
def centred_only(features, labels, batches, eps):
    return share(in_batches(features, batches, eps, lambda v, e: 1), labels)


@wrong_answer("10.class_share", says="its root is missing")
def no_root(features, labels, batches, eps):
    return share(in_batches(features, batches, eps, lambda v, e: v + e), labels)


@wrong_answer("10.class_share", says="multiply each square by n_k")
def numbers_forgotten(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    between = sum((x[labels == k].mean(0) - x.mean(0)) ** 2 for k in np.unique(labels))
    return (between / ((x - x.mean(0)) ** 2).sum(0)).mean()


@wrong_answer("10.class_share", says="a share per batch")
def batch_after_batch(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    return np.mean([share(x[rows], labels[rows]) for rows in batches])


@wrong_answer("10.class_share", says="the mean of the batch is not subtracted")
def scaled_only(features, labels, batches, eps):
    x = np.zeros(features.shape)
    for rows in batches:
        x[rows] = features[rows] / np.sqrt(features[rows].var(0) + eps)
    return share(x, labels)


def between_classes(features, labels, batches, eps, classes):
    x = in_batches(features, batches, eps)
    between = sum((labels == k).sum() * (x[labels == k].mean(0) - x.mean(0)) ** 2 for k in classes)
    return (between / ((x - x.mean(0)) ** 2).sum(0)).mean()


@wrong_answer("10.class_share", says="labels may be any whole numbers")
def labels_up_to_the_largest_of_all(features, labels, batches, eps):
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return between_classes(features, labels, batches, eps, range(labels.max() + 1))


@wrong_answer("10.class_share", says="a class of yours has no image")
def classes_counted_from_zero(features, labels, batches, eps):
    classes = range(len(np.unique(labels)))
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return between_classes(features, labels, batches, eps, classes)


@wrong_answer("10.class_share", says="a label is used as a row number")
def labels_for_rows(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    classes = np.unique(labels)
    means = np.stack([x[labels == k].mean(0) for k in classes])
    return (((means[labels] - x.mean(0)) ** 2).sum(0) / ((x - x.mean(0)) ** 2).sum(0)).mean()


# ---------------------------------------------------------------- 10.5


def sizes(ways, shots):
    return {"mean": 1, "sum over ways": ways, "sum": ways * shots}


@wrong_answer("10.convert_rate", says="upside down")
def divided(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots)
    return inner_lr * size[yours] / size[theirs]


@wrong_answer("10.convert_rate", says="theirs, unchanged")
def copied(inner_lr, ways, shots, theirs, yours):
    return inner_lr


@wrong_answer("10.convert_rate", says="averaged first")
def sums_confused(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots) | {"sum over ways": ways * shots}
    return inner_lr * size[theirs] / size[yours]


@wrong_answer("10.convert_rate", says="shots are left out")
def one_shot_only(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, 1)
    return inner_lr * size[theirs] / size[yours]


@wrong_answer("10.convert_rate", says="ways are left out")
def one_way_only(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots) | {"sum": shots}
    return inner_lr * size[theirs] / size[yours]


@wrong_answer("10.convert_rate", says="not `shots`")
def shots_for_ways(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots) | {"sum over ways": shots}
    return inner_lr * size[theirs] / size[yours]


@wrong_answer("10.convert_rate", says="always convert to a mean")
def to_a_mean(inner_lr, ways, shots, theirs, yours):
    return inner_lr * sizes(ways, shots)[theirs]


@wrong_answer("10.convert_rate", says="you multiply by the ways")
def times_ways(inner_lr, ways, shots, theirs, yours):
    return inner_lr * ways


@wrong_answer("10.convert_rate", says="both factors multiply")
def multiplied_twice(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots)
    return inner_lr * size[theirs] * size[yours]


@wrong_answer("10.convert_rate", says="not ways + shots")
def ways_plus_shots(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots) | {"sum": ways + shots}
    return inner_lr * size[theirs] / size[yours]


@wrong_answer("10.convert_rate", says="the ways are 5 in your answer")
def five_ways(inner_lr, ways, shots, theirs, yours):
    size = sizes(5, shots)
    return inner_lr * size[theirs] / size[yours]


# ---------------------------------------------------------------- 10.6


def centres_of(x, y):
    return np.stack([x[y == k].mean(0) for k in range(y.max() + 1)])


@wrong_answer("10.prototype_head", says="softmax gives other probabilities")
def halved(support_x, support_y):
    c = centres_of(support_x, support_y)
    return c, -(c**2).sum(1) / 2


@wrong_answer("10.prototype_head", says="the factor 2 of the middle term")
def two_forgotten(support_x, support_y):
    c = centres_of(support_x, support_y)
    return c, -(c**2).sum(1)


@wrong_answer("10.prototype_head", says="the bias is missing")
def no_bias(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c, np.zeros(len(c))


@wrong_answer("10.prototype_head", says="or the same for every class")
def one_bias_for_all(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c, -(c**2).sum() * np.ones(len(c))


@wrong_answer("10.prototype_head", says="half as large as it should be")
def bias_halved(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c, -(c**2).sum(1) / 2


@wrong_answer("10.prototype_head", says="stops at classes of unequal size")
def stacked_by_equal_counts(support_x, support_y):
    ways = support_y.max() + 1
    x = np.stack([support_x[support_y == k] for k in range(ways)])  # (ways, shots, features)
    return 2 * x.mean(1), -(x.mean(1) ** 2).sum(1)


@wrong_answer("10.prototype_head", says="neither the factor 2 nor a bias")
def inner_product(support_x, support_y):
    c = centres_of(support_x, support_y)
    return c, np.zeros(len(c))


@wrong_answer("10.prototype_head", says="the bias has the wrong sign")
def plus(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c, (c**2).sum(1)


@wrong_answer("10.prototype_head", says="prefers the farthest centre")
def distances_for_logits(support_x, support_y):
    c = centres_of(support_x, support_y)
    return -2 * c, (c**2).sum(1)


@wrong_answer("10.prototype_head", says="not its square")
def length_for_square(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c, -np.linalg.norm(c, axis=1)


@wrong_answer("10.prototype_head", says="averaged over features")
def mean_of_squares(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c, -(c**2).mean(1)


@wrong_answer("10.prototype_head", says="a centre is their mean")
def examples_added(support_x, support_y):
    c = np.eye(support_y.max() + 1)[support_y].T @ support_x
    return 2 * c, -(c**2).sum(1)


@wrong_answer("10.prototype_head", says="in the order in which they appear")
def order_of_appearance(support_x, support_y):
    c = centres_of(support_x, support_y)[list(dict.fromkeys(support_y.tolist()))]
    return 2 * c, -(c**2).sum(1)


@wrong_answer("10.prototype_head", says="weights is transposed")
def transposed(support_x, support_y):
    c = centres_of(support_x, support_y)
    return 2 * c.T, -(c**2).sum(1)


@wrong_answer("10.prototype_head", says="divide by how many it has")
def equal_classes_assumed(support_x, support_y):
    ways = support_y.max() + 1
    c = np.eye(ways)[support_y].T @ support_x / (len(support_y) / ways)
    return 2 * c, -(c**2).sum(1)


@wrong_answer("10.prototype_head", says="the weights have the wrong sign: −‖x")
def weights_turned(support_x, support_y):
    c = centres_of(support_x, support_y)
    return -2 * c, -(c**2).sum(1)


@wrong_answer("10.prototype_head", says="wrong sign, and the factor 2 is missing")
def weights_turned_and_halved(support_x, support_y):
    c = centres_of(support_x, support_y)
    return -c, -(c**2).sum(1)


# ---------------------------------------------------------------- 10.7


def probabilities(logits):
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def steepest(z, p, outer=1):
    blocks = [
        np.kron(np.diag(q) - outer * np.outer(q, q), np.outer(v, v))
        for q, v in zip(p, z, strict=True)
    ]
    return np.linalg.eigvalsh(np.mean(blocks, axis=0))[-1]


def extended(features):
    return np.hstack([features, np.ones((len(features), 1))])


@wrong_answer("10.largest_rate", says="the limit is twice that")
def one_over(features, logits):
    return 1 / steepest(extended(features), probabilities(logits))


@wrong_answer("10.largest_rate", says="that is λmax itself")
def the_eigenvalue(features, logits):
    return steepest(extended(features), probabilities(logits))


@wrong_answer("10.largest_rate", says="the bias is left out")
def without_bias(features, logits):
    return 2 / steepest(features, probabilities(logits))


@wrong_answer("10.largest_rate", says="yours is their sum")
def summed_loss(features, logits):
    return 2 / (len(features) * steepest(extended(features), probabilities(logits)))


@wrong_answer("10.largest_rate", says="the second part is missing")
def diagonal_only(features, logits):
    return 2 / steepest(extended(features), probabilities(logits), outer=0)


@wrong_answer("10.largest_rate", says="taken to be equally likely")
def uniform(features, logits):
    return 2 / steepest(extended(features), np.full(logits.shape, 1 / logits.shape[1]))


@wrong_answer("10.largest_rate", says="p is averaged over examples")
def mean_probabilities(features, logits):
    p = probabilities(logits).mean(0)
    return 2 / steepest(extended(features), np.tile(p, (len(features), 1)))


@wrong_answer("10.largest_rate", says="the features are centred first")
def centred(features, logits):
    return 2 / steepest(extended(features - features.mean(0)), probabilities(logits))


@wrong_answer("10.largest_rate", says="(a trace)")
def trace(features, logits):
    z, p = extended(features), probabilities(logits)
    return 2 / np.mean((p * (1 - p)).sum(1) * (z**2).sum(1))


@wrong_answer("10.largest_rate", says="the softmax is missing")
def features_alone(features, logits):
    z = extended(features)
    return 2 / np.linalg.eigvalsh(z.T @ z / len(z))[-1]


@wrong_answer("10.largest_rate", says="not over the examples")
def softmax_over_examples(features, logits):
    return 2 / steepest(extended(features), probabilities(logits.T).T)


@wrong_answer("10.largest_rate", says="the diagonal p(1 − p) alone")
def class_by_class(features, logits):
    z, p = extended(features), probabilities(logits)
    hessians = np.einsum("ik,ir,is->krs", p * (1 - p), z, z) / len(z)
    return 2 / np.linalg.eigvalsh(hessians).max()


@wrong_answer("10.largest_rate", says="averaged separately")
def separate_means(features, logits):
    z, p = extended(features), probabilities(logits)
    softmaxs = np.mean([np.diag(q) - np.outer(q, q) for q in p], axis=0)
    return 2 / (np.linalg.eigvalsh(softmaxs)[-1] * np.linalg.eigvalsh(z.T @ z / len(z))[-1])


@wrong_answer("10.largest_rate", says="the smallest eigenvalue")
def smallest(features, logits):
    z, p = extended(features), probabilities(logits)
    blocks = [
        np.kron(np.diag(q) - np.outer(q, q), np.outer(v, v)) for q, v in zip(p, z, strict=True)
    ]
    return 2 / np.linalg.eigvalsh(np.mean(blocks, axis=0))[0]


@wrong_answer("10.largest_rate", says="or treated apart from W")
def blocks_apart(features, logits):
    p = probabilities(logits)
    return 2 / max(steepest(features, p), steepest(np.ones((len(features), 1)), p))


@wrong_answer("10.largest_rate", says="their curvatures added")
def blocks_added(features, logits):
    p = probabilities(logits)
    return 2 / (steepest(features, p) + steepest(np.ones((len(features), 1)), p))


def of_single_examples(features, logits):
    z, p = extended(features), probabilities(logits)
    return np.array([steepest(z[i : i + 1], p[i : i + 1]) for i in range(len(z))])


@wrong_answer("10.largest_rate", says="you take the largest of them")
def largest_of_single_examples(features, logits):
    return 2 / of_single_examples(features, logits).max()


@wrong_answer("10.largest_rate", says="you take their mean")
def mean_of_single_examples(features, logits):
    return 2 / of_single_examples(features, logits).mean()


@wrong_answer("10.largest_rate", says="you take the mean of 2/λ")
def mean_rate_of_single_examples(features, logits):
    return np.mean(2 / of_single_examples(features, logits))


@wrong_answer("10.largest_rate", says="p is a sigmoid of each logit: the")
def sigmoid_for_softmax(features, logits):
    return 2 / steepest(extended(features), 1 / (1 + np.exp(-logits)))


@wrong_answer("10.largest_rate", says="its p(1 − p) are a diagonal")
def one_against_the_rest(features, logits):
    z, p = extended(features), 1 / (1 + np.exp(-logits))
    hessians = np.einsum("ik,ir,is->krs", p * (1 - p), z, z) / len(z)
    return 2 / np.linalg.eigvalsh(hessians).max()


@wrong_answer("10.largest_rate", says="yours has a plus")
def outer_added(features, logits):
    return 2 / steepest(extended(features), probabilities(logits), outer=-1)


def reshaped(features, logits, order):
    z, p = extended(features), probabilities(logits)
    softmaxs = np.stack([np.diag(q) - np.outer(q, q) for q in p])
    side = p.shape[1] * z.shape[1]
    hessian = np.einsum(f"ijk,ir,is->{order}", softmaxs, z, z).reshape(side, side) / len(z)
    return 2 / np.linalg.eigvalsh(hessian)[-1]


@wrong_answer("10.largest_rate", says="so (j, r, k, s) before you reshape")
def classes_before_features(features, logits):
    return reshaped(features, logits, "jkrs")


@wrong_answer("10.largest_rate", says="so (r, j, s, k) before you reshape")
def features_before_classes(features, logits):
    return reshaped(features, logits, "rsjk")


# ---------------------------------------------------------------- unusual, and right


@right_answer("10.class_share", why="class numbers of its own, by searchsorted")
def share_by_own_numbers(features, labels, batches, eps):
    return share(in_batches(features, batches, eps), np.searchsorted(np.unique(labels), labels))


@right_answer("10.largest_rate", why="one einsum, a row of the Hessian per feature and class")
def by_einsum(features, logits):
    return reshaped(features, logits, "rjsk")


@right_answer("10.compare", why="NumPy's default in numerator and denominator of the factor")
def default_in_both(ours, theirs):
    (mean, half, _), a, b = compared(ours, theirs)
    return mean, half, (a.var() + b.var()) / (a - b).var()


@right_answer("10.episode", why="whole lists, in an order of their own")
def lists_interleaved(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = rng.permutation(np.unique(labels))[:ways].tolist()
    images = [rng.permutation(np.flatnonzero(labels == c)).tolist() for c in characters]
    support = [(images[k][n], k) for n in range(shots) for k in range(ways)]
    query = [(images[k][shots + n], k) for n in range(queries) for k in range(ways)]
    return *map(list, zip(*support, strict=True)), *map(list, zip(*query, strict=True))


@right_answer("10.episode", why="one shuffle of everything, then the first of each class")
def one_shuffle(labels, ways, shots, queries, seed):
    order = np.random.default_rng(seed).permutation(len(labels))
    characters = list(dict.fromkeys(labels[order].tolist()))[:ways]
    support, query = [], []
    for c in characters:
        images = order[labels[order] == c]
        support.append(images[:shots])
        query.append(images[shots : shots + queries])
    y = np.arange(ways)
    return np.concatenate(support), y.repeat(shots), np.concatenate(query), y.repeat(queries)


@right_answer("10.episode", why="torch tensors")
def tensors(labels, ways, shots, queries, seed):
    rng, characters = some(labels, ways, seed)
    return tuple(torch.from_numpy(p) for p in drawn(labels, shots, queries, rng, characters))


@right_answer("10.episode", why="Python's own random numbers, support and query drawn apart")
def pythons_random(labels, ways, shots, queries, seed):
    rng, support, query = random.Random(int(seed)), [], []
    for c in rng.sample(sorted(set(labels.tolist())), ways):
        images = np.flatnonzero(labels == c).tolist()
        own = rng.sample(images, shots)
        support += own
        query += rng.sample([i for i in images if i not in own], queries)
    y = list(range(ways))
    return support, sorted(y * shots), query, sorted(y * queries)


@right_answer(
    "10.episode", why="the old generator; indices of an episode in rising order, per class"
)
def old_generator_sorted(labels, ways, shots, queries, seed):
    rng = np.random.RandomState(seed)
    parts = [[], [], [], []]
    for k, c in enumerate(rng.permutation(np.unique(labels))[:ways]):
        images = rng.permutation(np.flatnonzero(labels == c))
        for place, own in ((0, images[:shots]), (2, images[shots : shots + queries])):
            parts[place].append(np.sort(own))
            parts[place + 1].append(np.full(len(own), k))
    return tuple(np.concatenate(part) for part in parts)


@right_answer("10.compare", why="a list of Python floats, from sums of squares")
def by_sums(ours, theirs):
    count = len(ours)
    rows = [(float(np.mean(a)), float(np.mean(b))) for a, b in zip(ours, theirs, strict=True)]
    variance = lambda values: (sum(v * v for v in values) - sum(values) ** 2 / count) / (count - 1)
    gains = [a - b for a, b in rows]
    both = variance([a for a, _ in rows]) + variance([b for _, b in rows])
    spread = variance(gains)
    return [sum(gains) / count, 1.96 * (spread / count) ** 0.5, both / spread]


@right_answer("10.compare", why="the variance of a difference by way of the covariance")
def by_covariance(ours, theirs):
    matrix = np.cov(ours.mean(axis=1), theirs.mean(axis=1))
    shared = matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]
    half = 1.96 * np.sqrt(shared / len(ours))
    return ours.mean() - theirs.mean(), half, np.trace(matrix) / shared


@right_answer("10.compare", why="torch tensors of one number")
def compared_in_torch(ours, theirs):
    a, b = (torch.as_tensor(x).double().mean(1) for x in (ours, theirs))
    half = 1.96 * (a - b).std() / len(a) ** 0.5
    return (a - b).mean(), half, (a.var() + b.var()) / (a - b).var()


@right_answer("10.two_ways", why="torch's own batch norm")
def torchs_batch_norm(support, query, eps):
    support, query = torch.as_tensor(support), torch.as_tensor(query)
    own = lambda batch: torch.nn.functional.batch_norm(batch, None, None, training=True, eps=eps)
    alone = [own(torch.cat([support, q[None]]))[-1] for q in query]
    return own(query), torch.stack(alone)


@right_answer("10.two_ways", why="sums and sums of squares, feature by feature, in lists")
def running_sums(support, query, eps):
    def scaled(x, values):
        mean, square = values.mean(), (values**2).mean()
        return (x - mean) / np.sqrt(square - mean**2 + eps)

    features = range(query.shape[1])
    together = [[scaled(q[f], query[:, f]) for f in features] for q in query]
    alone = [[scaled(q[f], np.append(support[:, f], q[f])) for f in features] for q in query]
    return np.array(together), np.array(alone)


@right_answer(
    "10.two_ways", why="the query first in its batch, in single precision, a list of the two"
)
def query_first(support, query, eps):
    support, query = support.astype(np.float32), query.astype(np.float32)
    alone = [normal(np.concatenate([q[None], support]), eps)[0] for q in query]
    return [normal(query, eps), np.array(alone)]


@right_answer("10.class_share", why="one minus the share within classes, feature by feature")
def by_what_is_left(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    inside = np.zeros(x.shape[1])
    for k in np.unique(labels):
        inside += x[labels == k].var(0) * (labels == k).sum()
    return float(np.mean(1 - inside / (x.var(0) * len(x))))


@right_answer("10.class_share", why="least squares on class indicators (R squared)")
def by_regression(features, labels, batches, eps):
    x = in_batches(features, batches, eps)
    classes = (labels[:, None] == np.unique(labels)).astype(float)
    fit = classes @ np.linalg.lstsq(classes, x, rcond=None)[0]
    return np.mean(fit.var(0) / x.var(0))


@right_answer("10.class_share", why="torch tensors")
def share_in_torch(features, labels, batches, eps):
    return torch.tensor(share(in_batches(features, batches, eps), labels))


@right_answer("10.convert_rate", why="from the slopes of one example's loss")
def by_slopes(inner_lr, ways, shots, theirs, yours):
    slope = {"mean": 1 / (ways * shots), "sum over ways": 1 / shots, "sum": 1.0}
    return inner_lr * slope[theirs] / slope[yours]


@right_answer("10.convert_rate", why="an array of no dimensions")
def array_of_no_dimensions(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots)
    return np.array(inner_lr) * size[theirs] / size[yours]


@right_answer("10.convert_rate", why="by way of a mean, and in torch")
def over_a_mean(inner_lr, ways, shots, theirs, yours):
    size = sizes(ways, shots)
    return torch.tensor(inner_lr, dtype=torch.float64) * size[theirs] / size[yours]


@right_answer("10.prototype_head", why="differences to the first class")
def first_class_is_zero(support_x, support_y):
    c = centres_of(support_x, support_y)
    bias = -(c**2).sum(1)
    return 2 * (c - c[0]), bias - bias[0]


@right_answer("10.prototype_head", why="solved from the logits at the origin and the unit vectors")
def by_probing(support_x, support_y):
    c = centres_of(support_x, support_y)
    at = lambda x: -((x - c) ** 2).sum(1)
    width, origin = c.shape[1], at(np.zeros(c.shape[1]))
    return np.stack([at(e) - origin for e in np.eye(width)], axis=1), origin


@right_answer("10.prototype_head", why="lists")
def head_of_lists(support_x, support_y):
    c = centres_of(support_x, support_y)
    return [(2 * c).tolist(), (-(c * c).sum(1)).tolist()]


@right_answer("10.largest_rate", why="power iteration on Hessian-vector products")
def power_iteration(features, logits):
    z, p = extended(features), probabilities(logits)
    v = np.random.default_rng(0).normal(size=(p.shape[1], z.shape[1]))
    for _ in range(2000):
        s = z @ v.T  # how the logits move along v
        s = p * (s - (p * s).sum(1, keepdims=True))
        v = s.T @ z / len(z)
        size = np.linalg.norm(v)
        v = v / size
    return 2 / size


@right_answer("10.largest_rate", why="autograd's Hessian in torch, labels of its own")
def autograds_hessian(features, logits):
    z, start = torch.as_tensor(extended(features)), torch.as_tensor(logits)
    labels = torch.zeros(len(z), dtype=torch.long)

    def loss(w):
        moved = w.reshape(start.shape[1], -1)
        return torch.nn.functional.cross_entropy(start + z @ moved.T, labels)

    hessian = torch.autograd.functional.hessian(
        loss, torch.zeros(start.shape[1] * z.shape[1]).double()
    )
    return 2 / torch.linalg.eigvalsh(hessian)[-1]


@right_answer("10.largest_rate", why="singular values of a square root of the Hessian")
def by_singular_values(features, logits):
    z, p = extended(features), probabilities(logits)
    rows = [
        np.kron(np.sqrt(q)[:, None] * (np.eye(len(q)) - q), v) for q, v in zip(p, z, strict=True)
    ]
    return 2 * len(z) / np.linalg.svd(np.concatenate(rows), compute_uv=False)[0] ** 2
