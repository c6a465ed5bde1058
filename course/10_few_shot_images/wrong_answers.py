"""Wrong answers that learners give to the exercises of chapter 10; each must be caught by its words."""

import numpy as np

from maml_edu.checks.exercise import wrong_answer

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


@wrong_answer("10.episode", says="a class comes twice")
def characters_drawn_with_replacement(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    return drawn(labels, shots, queries, rng, rng.choice(np.unique(labels), ways))


@wrong_answer("10.episode", says="numbered anew")
def labels_of_the_bank(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = rng.choice(np.unique(labels), ways, replace=False)
    return drawn(labels, shots, queries, rng, characters, lambda k, character: character)


@wrong_answer("10.episode", says="in the support set and in the query set")
def queries_drawn_from_all_images(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = rng.choice(np.unique(labels), ways, replace=False)
    support = [rng.choice(np.flatnonzero(labels == c), shots, replace=False) for c in characters]
    query = [rng.choice(np.flatnonzero(labels == c), queries, replace=False) for c in characters]
    numbers = np.arange(ways)
    return (
        np.concatenate(support), np.repeat(numbers, shots), np.concatenate(query), np.repeat(numbers, queries)
    )  # fmt: skip


@wrong_answer("10.episode", says="number once for both")
def numbered_separately(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = rng.choice(np.unique(labels), ways, replace=False)
    support, support_y, query, query_y = drawn(labels, shots, queries, rng, characters)
    renamed = np.unique(labels[query], return_inverse=True)[1]  # in order of the bank's labels
    return support, support_y, query, renamed


@wrong_answer("10.episode", says="count per class")
def queries_in_all(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = rng.choice(np.unique(labels), ways, replace=False)
    support, support_y, query, query_y = drawn(labels, shots, queries, rng, characters)
    return support, support_y, query[:queries], query_y[:queries]


@wrong_answer("10.episode", says="in the bank's order")
def characters_sorted(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = np.sort(rng.choice(np.unique(labels), ways, replace=False))
    return drawn(labels, shots, queries, rng, characters)


@wrong_answer("10.episode", says="always the first images")
def images_not_shuffled(labels, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    characters = rng.choice(np.unique(labels), ways, replace=False)

    class Still:
        permutation = staticmethod(lambda images: images)

    return drawn(labels, shots, queries, Still, characters)


@wrong_answer("10.episode", says="eight seeds give the same classes")
def seed_inside(labels, ways, shots, queries, seed):
    characters = np.random.default_rng(0).choice(np.unique(labels), ways, replace=False)
    return drawn(labels, shots, queries, np.random.default_rng(seed), characters)


# ---------------------------------------------------------------- 10.2


@wrong_answer("10.interval", says="over queries")
def all_queries_as_one(correct):
    return correct.mean(), 1.96 * correct.std() / np.sqrt(correct.size)


@wrong_answer("10.interval", says="spread of single episodes")
def standard_deviation(correct):
    each = correct.mean(axis=1)
    return each.mean(), 1.96 * each.std(ddof=1)


@wrong_answer("10.interval", says="ddof=1 divides by one less")
def numpy_default(correct):
    each = correct.mean(axis=1)
    return each.mean(), 1.96 * each.std() / np.sqrt(len(each))


@wrong_answer("10.interval", says="wrong axis")
def other_axis(correct):
    each = correct.mean(axis=0)
    return each.mean(), 1.96 * each.std(ddof=1) / np.sqrt(len(each))


@wrong_answer("10.interval", says="a 68 % interval")
def standard_error(correct):
    each = correct.mean(axis=1)
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))


# ---------------------------------------------------------------- 10.3


def normal(batch, eps, like=None, axes=(0, 2, 3)):
    like = batch if like is None else like
    return (batch - like.mean(axes, keepdims=True)) / np.sqrt(like.var(axes, keepdims=True) + eps)


def beside(support, query, eps, **how):
    return np.stack([normal(np.concatenate([support, q[None]]), eps, **how)[-1] for q in query])


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


# ---------------------------------------------------------------- 10.4


@wrong_answer("10.convert_rate", says="upside down")
def divided(inner_lr, ways, shots, theirs, yours):
    size = {"mean": 1, "sum over ways": ways, "sum": ways * shots}
    return inner_lr * size[yours] / size[theirs]


@wrong_answer("10.convert_rate", says="theirs, unchanged")
def copied(inner_lr, ways, shots, theirs, yours):
    return inner_lr


@wrong_answer("10.convert_rate", says="averaged first")
def sums_confused(inner_lr, ways, shots, theirs, yours):
    size = {"mean": 1, "sum over ways": ways * shots, "sum": ways * shots}
    return inner_lr * size[theirs] / size[yours]


@wrong_answer("10.convert_rate", says="shots are left out")
def one_shot_only(inner_lr, ways, shots, theirs, yours):
    size = {"mean": 1, "sum over ways": ways, "sum": ways}
    return inner_lr * size[theirs] / size[yours]


# ---------------------------------------------------------------- 10.5


def squared(a, b):
    return ((a[:, None] - b) ** 2).sum(2)


def means(x, y):
    return np.stack([x[y == k].mean(0) for k in range(y.max() + 1)])


@wrong_answer("10.nearest_centroid", says="nearest neighbour")
def nearest_example(support_x, support_y, query_x):
    return support_y[squared(query_x, support_x).argmin(1)]


@wrong_answer("10.nearest_centroid", says="number of the nearest example")
def index_of_example(support_x, support_y, query_x):
    return squared(query_x, support_x).argmin(1)


@wrong_answer("10.nearest_centroid", says="as if sorted by class")
def reshaped(support_x, support_y, query_x):
    ways = support_y.max() + 1
    return squared(query_x, support_x.reshape(ways, -1, support_x.shape[1]).mean(1)).argmin(1)


@wrong_answer("10.nearest_centroid", says="farthest class mean")
def argmax_of_distances(support_x, support_y, query_x):
    return squared(query_x, means(support_x, support_y)).argmax(1)


@wrong_answer("10.nearest_centroid", says="inner product")
def inner_product(support_x, support_y, query_x):
    return (query_x @ means(support_x, support_y).T).argmax(1)
