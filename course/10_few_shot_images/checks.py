"""Checks of chapter 10: each computes what is right, and what mistakes give, with NumPy alone."""

from functools import partial
from itertools import permutations

import numpy as np

from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect


def from_zero(labels):
    """The same classes, numbered 0 … C − 1."""
    return np.unique(labels, return_inverse=True)[1]


def asked(answer, *args):
    """(what the answer gives, None), or (None, the WrongAnswer that tells of an error in it)."""
    try:
        return answer(*args), None
    except WrongAnswer as error:
        return None, error


# ---------------------------------------------------------------- 10.1


def draw_bank(rng):
    """Labels of a small bank, in no order: 7 or 8 characters with names of their own, equally many images each."""
    names = rng.choice(np.arange(10, 99), rng.integers(7, 9), replace=False)
    return rng.permutation(np.repeat(names, rng.integers(8, 12)))


@exercise("10.episode", points=4, minutes=10, difficulty=2)
def episode(answer, rng):
    """Draw an episode"""
    cases = draw(rng, labels=draw_bank, ways=(3, 6), shots=(1, 3), queries=(2, 4), seed=(0, 10**6))
    for labels, ways, shots, queries, seed in cases:
        settings = (labels, ways, shots, queries)
        drawn = [parts_of(answer, *settings, seed + i) for i in range(8)]
        judge_labels(drawn, ways * shots)
        judge_places(drawn, *settings)
        drawn = [judged(parts, *settings) for parts in drawn]
        judge_repetition(drawn, parts_of(answer, *settings, seed))
        judge_chance(drawn, labels)
    judge_many(answer, rng)


def judge_many(answer, rng):
    """Many episodes of one small bank: what may come does come (it fails to once in 10⁹ checks)."""
    labels = rng.permutation(np.repeat(rng.choice(np.arange(10, 99), 6, replace=False), 6))
    settings, start = (labels, 4, 2, 1), int(rng.integers(10**6))
    drawn = [judged(parts_of(answer, *settings, start + i), *settings) for i in range(400)]
    judge_classes(drawn, labels)
    judge_images(drawn, labels)


def judged(parts, *settings):
    """The four arrays as whole numbers, if they are an episode."""
    judge_form(parts, *settings)
    parts = [part.astype(np.int64) for part in parts]
    judge_episode(parts, *settings)
    return parts


NAMES = ("support", "support_y", "query", "query_y")
ABSENT = (
    "you draw characters that the bank does not have, and find no image of them. Its labels are not "
    "0 … C − 1: use np.unique(labels)"
)


def parts_of(answer, labels, ways, shots, queries, seed):
    """The four arrays of an episode, whatever their shape and kind."""
    settings = (ways, shots, queries, seed)
    got, error = asked(answer, labels.copy(), *settings)
    if error is not None:
        _, with_others = asked(answer, from_zero(labels), *settings)
        asked(
            answer, labels.copy(), *settings
        )  # the inputs that a message shows are those of the last call
        raise error if with_others is not None else WrongAnswer(ABSENT, error.detail)
    parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
    if len(parts) != 4 or any(part is None for part in parts):
        raise WrongAnswer("return four arrays: support, support_y, query, query_y")
    return parts


def judge_labels(drawn, count):
    """Support sets of too few images, how many depending on the seed, or of none: labels that no image has."""
    sizes = {parts[0].size for parts in drawn}
    if min(sizes) < count and (0 in sizes or len(sizes) > 1):
        raise WrongAnswer(f"support misses images: {ABSENT}")


def judge_places(drawn, *settings):
    """Four arrays that are episodes in another order, or of places within the classes: said of all or of none."""
    if all(is_episode(parts, *settings) for parts in drawn):
        return
    for order in list(permutations(range(4)))[1:]:
        if all(is_episode([parts[place] for place in order], *settings) for parts in drawn):
            raise WrongAnswer(
                "the four arrays are in another order: return (support, support_y, query, query_y)"
            )
    labels, ways, shots, queries = settings
    if all(are_places(parts, labels, ways, (shots, queries)) for parts in drawn):
        raise WrongAnswer(
            "support and query hold places within each class, 0, 1, …: return indices into labels, "
            "np.flatnonzero(labels == character)[places]"
        )


def is_episode(parts, *settings):
    try:
        judged(parts, *settings)
    except WrongAnswer:
        return False
    return True


def are_places(parts, labels, ways, counts):
    """Whether support and query would do if they were places within the class that is named beside them."""
    size = np.unique(labels, return_counts=True)[1].min()
    own = [[] for _ in range(ways)]
    for images, y, count in zip(parts[::2], parts[1::2], counts, strict=True):
        right = images.shape == y.shape == (ways * count,)
        if not right or images.dtype.kind not in "iu" or y.dtype.kind not in "iu":
            return False
        if images.min() < 0 or images.max() >= size or y.min() < 0 or y.max() >= ways:
            return False
        for image, k in zip(images.tolist(), y.tolist(), strict=True):
            own[k].append(image)
    return all(len(set(places)) == len(places) == sum(counts) for places in own)


def judge_form(parts, labels, ways, shots, queries):
    """The arrays of one episode have the right shape and kind, and hold indices of images."""
    for name, part, count in zip(NAMES, parts, (shots, shots, queries, queries), strict=True):
        judge_shape(name, part, ways, count)
    images = np.concatenate([parts[0], parts[2]])
    if images.min() < 0 or images.max() >= len(labels):
        raise WrongAnswer("there is no image of such an index: return indices into labels")


def judge_shape(name, part, ways, count):
    """One array of an episode: a whole number for each image."""
    if part.shape == (count,):
        raise WrongAnswer(f"{name} is too short: shots and queries count per class")
    if part.shape != (ways * count,):
        each = "shots" if name.startswith("support") else "queries"
        raise WrongAnswer(
            f"{name} should be one flat array of ways · {each} numbers",
            f"it has shape {part.shape}; it should have {(ways * count,)}",
        )
    if part.dtype.kind not in "iu":
        raise WrongAnswer(f"{name} should hold whole numbers, not {part.dtype}")


def judge_episode(parts, labels, ways, shots, queries):
    """What holds in every episode, whatever was drawn."""
    support, support_y, query, query_y = parts
    if len(np.unique(labels[support])) < ways:
        raise WrongAnswer("a class comes twice in an episode: draw characters without replacement")
    if np.isin(support, query).any():
        raise WrongAnswer("an image is in the support set and in the query set: that tests memory")
    if len(np.unique(support)) < len(support) or len(np.unique(query)) < len(query):
        raise WrongAnswer("an image comes twice: draw the images of a class without replacement")
    if not np.isin(np.concatenate([support_y, query_y]), np.arange(ways)).all():
        raise WrongAnswer(
            "labels are to be numbered anew, 0 … ways − 1 in each episode; yours are the bank's own or others"
        )
    judge_order(parts, labels, (shots, queries))
    meaning = {int(k): set(labels[support[support_y == k]].tolist()) for k in range(ways)}
    if any(len(own) != 1 for own in meaning.values()):
        raise WrongAnswer(
            "one label stands for several characters, or for none, in the support set"
        )
    if any(labels[i] not in meaning[int(k)] for i, k in zip(query, query_y, strict=True)):
        raise WrongAnswer(
            "a label means one character in the support set and another in the query set: number once for both"
        )
    for y, count, name in ((support_y, shots, "support"), (query_y, queries, "query")):
        if (np.bincount(y, minlength=ways) != count).any():
            each = "shots" if name == "support" else "queries"
            raise WrongAnswer(f"the {name} set should have {each} images of EVERY class")


def judge_order(parts, labels, counts):
    """Equally many images of each class, and equally many labels of each kind, but in another order."""
    for images, y, count in zip(parts[::2], parts[1::2], counts, strict=True):
        pairs = np.unique(np.stack([labels[images], y]), axis=1)  # (2, different pairs)
        balanced = [
            (np.unique(kind, return_counts=True)[1] == count).all() for kind in (labels[images], y)
        ]
        if all(balanced) and pairs.shape[1] > len(y) // count:
            raise WrongAnswer(
                "the labels do not follow the images: support_y[i] is the class of the image support[i], and "
                "query_y[i] that of query[i]. Where the images of a class stand together, that is np.repeat, "
                "not np.tile"
            )


def judge_repetition(drawn, again):
    """The same seed, the same episode; another seed, another one."""
    if not same(drawn[0], again):
        raise WrongAnswer(
            "the same seed gives two different episodes: draw everything with np.random.default_rng(seed)"
        )
    if all(same(drawn[0], other) for other in drawn[1:]):
        raise WrongAnswer(
            "eight seeds give one and the same episode: the seed is ignored, draw everything with it"
        )


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def places(images, y, labels):
    """For each class, which of its images (by number among these) are in a set."""
    return [
        np.searchsorted(np.flatnonzero(labels == labels[own[0]]), np.sort(own)).tolist()
        for own in (images[y == k] for k in range(y.max() + 1))
    ]


def judge_chance(drawn, labels):
    """What holds over several seeds: other classes, other images, labels that mean nothing beyond a task."""
    classes = [tuple(labels[s[y == k]][0] for k in range(y.max() + 1)) for s, y, _, _ in drawn]
    if len({tuple(np.sort(own)) for own in classes}) == 1 and len(set(classes)) == 1:
        raise WrongAnswer("eight seeds give the same classes: draw them at random with the seed")
    if all(own == tuple(sorted(own)) for own in classes):
        raise WrongAnswer(
            "the classes are always numbered in the bank's order, so that small labels mean early characters: "
            "number them in the order in which they are drawn"
        )
    for place, name in ((0, "support"), (2, "query")):
        own = [places(*parts[place : place + 2], labels) for parts in drawn]
        judge_drawing(own, name)


def judge_drawing(own, name):
    """The images of a set, by number among those of their class: own[episode][class]."""
    met = {tuple(images) for episode in own for images in episode}
    if met == {tuple(range(len(own[0][0])))}:
        raise WrongAnswer(
            f"it is always the first images of a class that are {name}: draw them at random"
        )
    if len(met) == 1:
        raise WrongAnswer(
            f"it is always the images of the same places of a class that are {name}, whatever the class and "
            "the seed: draw them at random"
        )
    if all(len(set(map(tuple, episode))) == 1 for episode in own):
        raise WrongAnswer(
            f"in an episode every class gives the {name} set the images of the same places: draw again for "
            "each class, with ONE generator (not one permutation for all classes, nor a generator that is "
            "made anew from the seed for each)"
        )


def judge_classes(drawn, labels):
    """Of six characters each four must come together, and each must come under each label."""
    numbers = from_zero(labels)
    classes = [[int(numbers[s[y == k]][0]) for k in range(4)] for s, y, _, _ in drawn]
    if len({tuple(sorted(own)) for own in classes}) < 15:
        raise WrongAnswer(
            "some characters never come together in an episode: any that are drawn must be able to, as with "
            "rng.choice(…, replace=False)"
        )
    if any(len(set(column)) < 6 for column in zip(*classes, strict=True)):
        raise WrongAnswer(
            "some labels never mean some characters: number the classes in the order in which they are drawn"
        )


def judge_images(drawn, labels):
    """Of the six images of a class each two must come as support, and with them each other one as query."""
    met = {
        (*own, *others)
        for s, s_y, q, q_y in drawn
        for own, others in zip(places(s, s_y, labels), places(q, q_y, labels), strict=True)
    }
    if len(met) == 60:
        return
    runs = [{k % 6, (k + 1) % 6, (k + 2) % 6} for k in range(6)]
    if all({*images} in runs for images in met):
        raise WrongAnswer(
            "the images of a class that come in an episode are always neighbours in the bank: draw each at random"
        )
    if all(first < second < query for first, second, query in met):
        raise WrongAnswer(
            "the support images of a class always come before its query images in the bank: share out what is "
            "drawn in random order"
        )
    if all(query == min({*range(6)} - {*own}) for *own, query in met):
        raise WrongAnswer(
            "the query set always gets the first images that the support set leaves: draw them at random, too"
        )
    raise WrongAnswer(
        "some choices of support and query images of a class never come up, in 400 episodes: any image must be "
        "able to go with any other, as with rng.permutation(images)"
    )


# ---------------------------------------------------------------- 10.2


def draw_both(rng):
    """Right and wrong answers (episodes, queries) of two methods, in episodes that are hard for both."""
    chance = rng.uniform(0.2, 0.8, (rng.integers(12, 25), 1))
    better = rng.choice([-0.15, 0.15])
    shape = (len(chance), rng.integers(8, 16))
    return tuple((rng.random(shape) < p).astype(int) for p in (chance + better, chance))


@exercise("10.compare", points=4, minutes=10, difficulty=2)
def compare(answer, rng):
    """Two methods, the same episodes"""
    for ours, theirs in draw(rng, both=draw_both):
        a, b = ours.mean(1), theirs.mean(1)
        half, more = interval(a - b), (a.var(ddof=1) + b.var(ddof=1)) / (a - b).var(ddof=1)
        got = answer(ours.copy(), theirs.copy())
        got = got.tolist() if isinstance(got, np.ndarray) else got
        first = array_of(got[0]) if isinstance(got, (list, tuple)) and len(got) == 3 else None
        if first is None or first.ndim:
            raise WrongAnswer("return three numbers: the difference, half its interval, the factor")
        mean = float((a - b).mean())
        expect(got[0], mean, mistakes=partial(of_the_difference, mean, half), what="the difference")
        expect(
            got[1], half, mistakes=partial(of_the_half_width, ours, theirs), what="the half-width"
        )
        sign = -1.0 if array_of(got[2]) is not None and np.all(np.less(got[2], 0)) else 1.0
        mistakes = partial(of_the_factor, ours, theirs, sign)
        expect(got[2], more, mistakes=mistakes, what="the factor")


def interval(each, ddof=1):
    """Half the 95 % interval of the mean of `each`."""
    return float(1.96 * each.std(ddof=ddof) / np.sqrt(len(each)))


def binomial(right, count=None):
    """Half the interval of a share, if `count` queries (or all of `right`) were independent."""
    p = float(np.mean(right))
    return float(1.96 * np.sqrt(p * (1 - p) / (count or right.size)))


def of_the_difference(mean, half):
    return {
        "the difference has the wrong sign: it is ours minus theirs": -mean,
        "that is an end of the interval: give the difference itself and half the width": mean
        - half,
        "the difference is in per cent; give numbers between −1 and 1": 100 * mean,
        "the difference has lost its sign: theirs may be the better one": abs(mean),
    }


SHARED = (
    "those of an episode share a support set and are not independent. Take one accuracy per episode"
)


def of_the_half_width(ours, theirs):
    """What mistakes make of the half-width of a difference."""
    a, b, of_queries = ours.mean(1), theirs.mean(1), (ours - theirs).mean(0)
    half, all_queries = interval(a - b), (ours - theirs).ravel()
    of_ours, of_theirs = binomial(ours), binomial(theirs)
    return {
        "that is the interval of two methods asked about separate episodes: take the difference in each "
        "episode first": float(np.hypot(interval(a), interval(b))),
        "the half-widths of both methods are added: not even those of separate episodes add (their "
        "variances do)": interval(a) + interval(b),
        f"your interval is over queries: {SHARED}": interval(all_queries, 0),
        f"your interval is over queries, with ddof=1: {SHARED}": interval(all_queries),
        f"that is √(p(1 − p)/n) over all queries, of both methods: {SHARED}": float(
            np.hypot(of_ours, of_theirs)
        ),
        f"that is √(p(1 − p)/n) over all queries, of ours alone: {SHARED}": of_ours,
        f"that is √(p(1 − p)/n) over all queries, of theirs alone: {SHARED}": of_theirs,
        f"√(p(1 − p)/n), with the difference for p, is for queries that are right or wrong; and {SHARED}": (
            binomial(np.abs((a - b).mean()), ours.size)
        ),
        "the spread is over the wrong axis: one accuracy for each episode, not for each place in the query "
        "set": interval(of_queries),
        "that is the spread of single episodes; the interval of their *mean* is narrower by the root of "
        "their number": half * np.sqrt(len(a)),
        "the standard deviation divides by the number of episodes: ddof=1 divides by one less": (
            interval(a - b, 0)
        ),
        "the 1.96 is missing: that is one standard error, a 68 % interval": half / 1.96,
        "that is the whole width of the interval, from end to end: give half": 2 * half,
        "that is an end of the interval: give half its width": float((a - b).mean()) + half,
        "you divide by the number of episodes, not by its root": half / np.sqrt(len(a)),
    }


def of_the_factor(ours, theirs, sign):
    """What mistakes make of the factor; `sign` is the answer's."""
    a, b = ours.mean(1), theirs.mean(1)
    apart, shared = a.var(ddof=1) + b.var(ddof=1), (a - b).var(ddof=1)
    subtracted, others = abs(a.var(ddof=1) - b.var(ddof=1)), len(a) / (len(a) - 1)
    mixed = "above and below the line of the factor the variances divide by different numbers: ddof=1 in both"
    return {
        f"{mixed}, also below": apart / shared * others,
        f"{mixed}, also above": apart / shared / others,
        "the factor is over queries: take one accuracy per episode first": float(
            (ours.var() + theirs.var()) / (ours - theirs).var()
        ),
        "the factor has a difference of variances below: over shared episodes it is the variance of the "
        "difference in each": sign * apart / subtracted,
        "the factor compares widths; the number of episodes goes with the *square* of the width": (
            float(np.sqrt(apart / shared))
        ),
        "the factor is upside down: separate episodes are the more expensive ones": shared / apart,
        "the factor leaves theirs out: the variances of both methods add": a.var(ddof=1) / shared,
        "the factor leaves ours out: the variances of both methods add": b.var(ddof=1) / shared,
        "the factor subtracts variances: those of independent things add, in a difference, too": (
            sign * subtracted / shared
        ),
        "the factor adds standard deviations, then squares the sum: it is variances that add": (
            (a.std(ddof=1) + b.std(ddof=1)) ** 2 / shared
        ),
        "the factor has the mean of the two variances: their sum belongs there": apart / 2 / shared,
    }


# ---------------------------------------------------------------- 10.3


def draw_batches(rng):
    """(support, query): feature maps (n, features, height, width) whose features have levels and spreads."""
    shape = rng.integers(2, 5, 3)
    counts = rng.integers(3, 6), rng.integers(5, 8)
    level, spread = rng.normal(0, 2, (2, 2, shape[0], 1, 1))
    return tuple(
        level[i] + (0.5 + np.abs(spread[i])) * rng.normal(size=(n, *shape))
        for i, n in enumerate(counts)
    )


def normalised(batch, eps, axes=(0, 2, 3), like=None, ddof=0, divide=lambda v, e: np.sqrt(v + e)):
    """`batch` by the statistics of `like` (itself if None)."""
    like = batch if like is None else like
    mean, variance = like.mean(axes, keepdims=True), like.var(axes, keepdims=True, ddof=ddof)
    return (batch - mean) / divide(variance, eps)


def one_at_a_time(support, query, eps, **how):
    return np.stack([normalised(np.concatenate([support, q[None]]), eps, **how)[-1] for q in query])


VARIANTS = {
    "mean and variance are over examples only, for each place by itself: take them over places, too, "
    "one mean a feature": {"axes": (0,)},
    "mean and variance are over features, too: each feature has its own": {"axes": (0, 1, 2, 3)},
    "mean and variance are of each image by itself (that is instance norm): take them over the batch": {
        "axes": (2, 3)
    },
    "mean and variance are of each image by itself, over all features (that is layer norm): take them over "
    "the batch, for each feature": {"axes": (1, 2, 3)},
    "ε stands beside the root: it belongs to the variance, under the root": {
        "divide": lambda v, e: np.sqrt(v) + e
    },
    "ε is missing: add it to the variance, under the root": {"divide": lambda v, e: np.sqrt(v)},
    "you divide by the variance: divide by its root": {"divide": lambda v, e: v + e},
    "the variance divides by one less than the number of values; batch norm divides by their number": {
        "ddof": 1
    },
}


@exercise("10.two_ways", points=3, minutes=8, difficulty=2)
def two_ways(answer, rng):
    """Whose statistics?"""
    for (support, query), eps in draw(rng, batches=draw_batches, eps=(0.1, 0.5)):
        right = normalised(query, eps), one_at_a_time(support, query, eps)
        got = answer(support.copy(), query.copy(), eps)
        expect(got, right, mistakes=partial(of_two_ways, support, query, eps))


def of_two_ways(support, query, eps):
    """What mistakes make of the two."""
    return mixed_up(support, query, eps) | {
        message: (normalised(query, eps, **how), one_at_a_time(support, query, eps, **how))
        for message, how in VARIANTS.items()
    }


def mixed_up(support, query, eps):
    """What comes out when the wrong images are normalised together, or the wrong ones returned."""
    together, alone = normalised(query, eps), one_at_a_time(support, query, eps)
    both = np.concatenate([support, query])
    beside = [normalised(np.concatenate([support, q[None]]), eps) for q in query]
    return {
        "one at a time, you use the support set's statistics only: the query is part of the batch, too": (
            together,
            normalised(query, eps, like=support),
        ),
        "one at a time, you have put all queries beside the support set: then each still sees the others": (
            together,
            normalised(query, eps, like=both),
        ),
        "together means the queries alone: the support set has no part in that batch": (
            normalised(query, eps, like=both),
            alone,
        ),
        "both are normalised together: one at a time, a query must not see the others": (
            together,
            together,
        ),
        "one at a time, each query is alone in its batch: the support set belongs beside it": (
            together,
            np.stack([normalised(q[None], eps)[0] for q in query]),
        ),
        "one at a time, you return a support image, the first: look where in the batch the query is": (
            together,
            np.stack([batch[0] for batch in beside]),
        ),
        "one at a time, you return a support image, the last: look where in the batch the query is": (
            together,
            np.stack([batch[-2] for batch in beside]),
        ),
        "the two are in the wrong order: (together, one at a time)": (alone, together),
    }


# ---------------------------------------------------------------- 10.4


def draw_company(rng):
    """(features, labels, batches): classes of unequal size, batches of unequal size and mixed company."""
    ways = int(rng.integers(2, 6))
    labels = rng.permutation(np.repeat(np.arange(ways), rng.integers(3, 8, ways)))
    labels = rng.permutation(50)[:ways][labels]  # any numbers
    kinds, width = np.unique(labels, return_inverse=True), int(rng.integers(2, 5))
    centres, spread = rng.normal(0, 1.5, (ways, width)), rng.uniform(0.3, 3, width)
    features = (centres[kinds[1]] + rng.normal(size=(len(labels), width))) * spread + 1
    rows = rng.permutation(len(labels))
    first = int(rng.integers(2, len(rows) - 3))  # each batch has two images at least
    cuts = first, int(rng.integers(first + 2, len(rows) - 1))
    return features, labels, [rows[: cuts[0]], rows[cuts[0] : cuts[1]], rows[cuts[1] :]]


def in_company(
    features, batches, eps, divide=lambda v, e: np.sqrt(v + e), axis=0, ddof=0, centre=True
):
    """The features after batch norm in these batches."""
    normal = np.empty(features.shape)
    for rows in batches:
        batch = features[rows]
        variance = batch.var(axis, ddof=ddof, keepdims=True) if len(rows) > ddof else 0.0
        normal[rows] = (batch - centre * batch.mean(axis, keepdims=True)) / divide(variance, eps)
    return normal


def sums_of_squares(x, y, weighted=True):
    """(between classes, in all), each (features,)."""
    mean, classes = x.mean(0), np.unique(y)
    if not weighted:
        means = np.stack([x[y == k].mean(0) for k in classes])
        return len(x) * means.var(0), ((x - mean) ** 2).sum(0)
    between = sum((y == k).sum() * (x[y == k].mean(0) - mean) ** 2 for k in classes)
    return between, ((x - mean) ** 2).sum(0)


def share(x, y, weighted=True):
    between, total = sums_of_squares(x, y, weighted)
    return float((between / total).mean())


def shares_about(x, y):
    """Shares about the mean of the class means, in place of that of all images: (above only, above and below)."""
    means = np.stack([x[y == k].mean(0) for k in np.unique(y)])
    counts = np.unique(y, return_counts=True)[1]
    m, total = means.mean(0), ((x - x.mean(0)) ** 2).sum(0)
    between = (counts[:, None] * (means - m) ** 2).sum(0)
    return tuple(float((between / below).mean()) for below in (total, ((x - m) ** 2).sum(0)))


def bare_share(x, y):
    """The share without the numbers of images n_k."""
    between = sum((x[y == k].mean(0) - x.mean(0)) ** 2 for k in np.unique(y))
    return float((between / ((x - x.mean(0)) ** 2).sum(0)).mean())


@exercise("10.class_share", points=4, minutes=15, difficulty=3)
def class_share(answer, rng):
    """What company erases"""
    for (features, labels, batches), eps in draw(rng, company=draw_company, eps=(0.05, 0.5)):
        right = share(in_company(features, batches, eps), labels)
        got = share_told(answer, right, features, labels, batches, eps)
        expect(got, right, mistakes=partial(of_the_share, features, labels, batches, eps))
        alone = [np.flatnonzero(labels == k) for k in np.unique(labels)]
        expect(
            answer(features.copy(), labels.copy(), alone, eps),
            0.0,
            what="the share for batches of one class each",
        )


def share_told(answer, right, features, labels, batches, eps):
    """What the answer gives. Raises WrongAnswer if it is right, or finite, for labels 0 … C − 1 alone."""

    def ask(labels):
        return asked(answer, features.copy(), labels, [rows.copy() for rows in batches], eps)

    got, error = ask(labels.copy())
    if is_near(got, right):
        return got
    again, _ = ask(from_zero(labels))
    ask(labels.copy())  # the inputs that a message shows are those of the last call
    if is_near(again, right) or (is_number(again) and not is_number(got)):
        raise WrongAnswer(
            "labels may be any whole numbers, not only 0 … C − 1: a class of yours has no image, or a label is "
            "used as a row number. Take the classes from np.unique(labels)",
            "" if error is None else error.detail,
        )
    if error is not None:
        raise error
    return got


def is_number(got):
    number = array_of(got)
    return number is not None and number.shape == () and bool(np.isfinite(number))


def is_near(got, right):
    return is_number(got) and bool(np.isclose(float(array_of(got)), right, rtol=1e-5))


def of_the_share(features, labels, batches, eps):
    """What mistakes make of the share."""
    normal = in_company(features, batches, eps)
    between, total = sums_of_squares(normal, labels)
    order, above, above_and_below = np.concatenate(batches), *shares_about(normal, labels)
    not_all = "m is the mean of the class means: it is that of all images, in which a large class counts more"
    return {
        "the batches play no part: normalised all together, or not normalised at all (which comes to the "
        "same, for a share does not feel a common scale)": share(features, labels),
        "your share is always 0, as when the images are normalised class by class (the rows of a *batch* go "
        "together), or when n_k (m_k − m) is added up before it is squared (it cancels: square first)": 0.0,
        f"{not_all} (above the line)": above,
        f"{not_all} (above the line and below)": above_and_below,
        "mean and variance are of each image, over its features: take them over the rows of the batch": share(
            in_company(features, batches, eps, axis=1), labels
        ),
        "the rows are in the order of the batches, the labels are not: put each row back where it belongs": (
            share(normal[order], labels)
        ),
        "that is the share *within* classes, what is left over: between, divided by all": float(
            1 - (between / total).mean()
        ),
        "you divide by the variance within classes: divide by that of all": float(
            (between / (total - between)).mean()
        ),
        "the sums are over all features before you divide: a share per feature, then their mean": float(
            between.sum() / total.sum()
        ),
        "the class means count alike: each counts as often as its class has images": share(
            normal, labels, weighted=False
        ),
        "the class means count once each: multiply each square by n_k, the number of images of its class": (
            bare_share(normal, labels)
        ),
        "that is a share per batch, then the mean over batches: put all images together first": float(
            np.mean([share(normal[rows], labels[rows]) for rows in batches])
        ),
        "the mean of the batch is not subtracted, only divided by the root of variance + eps": share(
            in_company(features, batches, eps, centre=False), labels
        ),
        "only the mean is subtracted: batch norm divides by the root of variance + eps, too": share(
            in_company(features, batches, eps, lambda v, e: 1.0), labels
        ),
        "you divide by variance + eps: its root is missing": share(
            in_company(features, batches, eps, lambda v, e: v + e), labels
        ),
        "ε is missing or beside the root: it belongs to the variance, under the root": share(
            in_company(features, batches, eps, lambda v, e: np.sqrt(v) + e), labels
        ),
        "ε is missing: add it to the variance, under the root": share(
            in_company(features, batches, eps, lambda v, e: np.sqrt(v)), labels
        ),
        "mean and variance are over all features: each feature has its own": share(
            in_company(features, batches, eps, axis=None), labels
        ),
        "the variance divides by one less than the number of values; batch norm divides by their number": (
            share(in_company(features, batches, eps, ddof=1), labels)
        ),
        "that is the sum over features: take the mean": float((between / total).sum()),
    }


# ---------------------------------------------------------------- 10.5

LOSSES = ["mean", "sum over ways", "sum"]


def draw_losses(rng):
    """Two different habits."""
    theirs, yours = rng.choice(len(LOSSES), 2, replace=False)
    return LOSSES[theirs], LOSSES[yours]


@exercise("10.convert_rate", points=3, minutes=5, difficulty=1)
def convert_rate(answer, rng):
    """The same step under another loss"""
    first = (  # ways and shots differ, and neither is 1: each mistake gives a rate of its own
        ("sum over ways", "mean"),
        ("mean", "sum over ways"),
        ("sum", "sum over ways"),
        ("mean", "sum"),
    )
    for theirs, yours in first:
        judge_rate(answer, 0.4, 5, 3, theirs, yours)
    cases = draw(rng, inner_lr=(0.01, 1.0), ways=(5, 20), shots=(2, 4), losses=draw_losses)
    for inner_lr, ways, shots, (theirs, yours) in cases:
        judge_rate(answer, inner_lr, ways, shots, theirs, yours)
    judge_rate(answer, 0.4, 5, 1, "sum over ways", "mean")  # the original code's


def judge_rate(answer, inner_lr, ways, shots, theirs, yours):
    def size(of_ways, of_all):
        """How many means each loss is, if the two sums were so many."""
        return {"mean": 1, "sum over ways": of_ways, "sum": of_all}

    def converted(of_ways, of_all):
        sizes = size(of_ways, of_all)
        return inner_lr * sizes[theirs] / sizes[yours]

    sizes = size(ways, ways * shots)
    expect(
        answer(inner_lr, ways, shots, theirs, yours),
        converted(ways, ways * shots),
        mistakes={
            "the factor is upside down: where their slope is larger than yours, your rate must be larger "
            "than theirs": inner_lr * sizes[yours] / sizes[theirs],
            "the rate is theirs, unchanged: another loss has another slope": inner_lr,
            "you always convert to a mean: what yours is matters as well": inner_lr * sizes[theirs],
            "you always convert from a mean: what theirs is matters as well": inner_lr
            / sizes[yours],
            "you multiply by the ways, whichever the two losses are": inner_lr * ways,
            "you divide by the ways, whichever the two losses are": inner_lr / ways,
            "the shots are left out: the sum over all examples is ways · shots means": (
                converted(ways, ways)
            ),
            "the ways are left out: the sum over all examples is ways · shots means": (
                converted(ways, shots)
            ),
            "the sum over ways is a sum over classes of means over shots: it is `ways` means, not `shots`": (
                converted(shots, ways * shots)
            ),
            "the sum over ways is taken for the sum over all examples: each class's shots are averaged "
            "first": converted(ways * shots, ways * shots),
            "the sum over all examples is ways · shots means, not ways + shots": converted(
                ways, ways + shots
            ),
            "the ways are 5 in your answer, whatever they are: use the argument": converted(
                5, 5 * shots
            ),
            "both factors multiply: one loss is being left (multiply), the other entered (divide)": (
                inner_lr * sizes[theirs] * sizes[yours]
            ),
        },
    )


# ---------------------------------------------------------------- 10.6


def draw_classes(rng):
    """(support_x, support_y): classes of unequal size, examples in no order; never as many ways as features."""
    ways = int(rng.integers(2, 7))
    width = int(rng.choice([n for n in range(3, 8) if n != ways]))
    counts = rng.integers(1, 5, ways)
    counts[0] = counts[1] + 1
    y = rng.permutation(np.repeat(np.arange(ways), counts))
    return rng.normal(0.5, 1.2, (ways, width))[y] + rng.normal(0, 1.5, (len(y), width)), y


@exercise("10.prototype_head", points=4, minutes=10, difficulty=2)
def prototype_head(answer, rng):
    """A ProtoNet is a head"""
    for x, y in draw(rng, support=draw_classes):
        centres = np.stack([x[y == k].mean(0) for k in range(y.max() + 1)])
        got = head_told(answer, x, y)
        parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
        if len(parts) != 2 or any(part is None for part in parts):
            raise WrongAnswer("return two arrays: weights and bias")
        judge_head_shape(*parts, centres.shape)
        expect(
            shared_removed(*parts),
            shared_removed(*head(centres)),
            mistakes=partial(of_compared_heads, x, y, centres),
            what=f"your head ({COMPARED})",
        )


def head_told(answer, x, y):
    """What the answer gives. Raises WrongAnswer if it has an error, and none for classes of equal size."""
    got, error = asked(answer, x.copy(), y.copy())
    if error is None:
        return got
    ways = y.max() + 1
    equal = np.arange(3 * ways) % len(x), np.arange(3 * ways) % ways
    _, with_equal = asked(answer, x[equal[0]], equal[1])
    asked(answer, x.copy(), y.copy())  # the inputs that a message shows are those of the last call
    raise (
        error
        if with_equal is not None
        else WrongAnswer(
            "your function stops at classes of unequal size, and does not if all have equally many examples: "
            "average each class by itself",
            error.detail,
        )
    )


COMPARED = (
    "Compared are the weights with the bias as a last column, each column less its mean over the classes: "
    "what is added to all classes alike changes no probability"
)


def judge_head_shape(weights, bias, shape):
    if weights.shape == shape[::-1] != shape:
        raise WrongAnswer("weights is transposed: a row for each class, weights @ x")
    if weights.shape != shape or bias.shape != shape[:1]:
        raise WrongAnswer(
            "weights should be (ways, features) and bias (ways,): one row and one number for each class",
            f"their shapes are {weights.shape} and {bias.shape}",
        )


def shared_removed(weights, bias):
    """What matters to a softmax: weights and biases, side by side, up to what is added to all classes alike."""
    both = np.column_stack([weights, bias])
    return both - both.mean(0)


def head(centres, factor=2.0, power=-1.0):
    return factor * centres, power * (centres**2).sum(1)


def of_compared_heads(x, y, centres):
    """What mistakes make of the head, in the form in which heads are compared."""
    return {
        f"{message}. {COMPARED}": shared_removed(*other)
        for message, other in of_the_head(x, y, centres)
    }


def of_the_head(x, y, centres):
    """What mistakes make of the head: (message, (weights, bias)) each."""
    ways, order = len(centres), np.argsort(y, kind="stable")
    sums = np.stack([x[y == k].sum(0) for k in range(ways)])
    firsts = x[order[np.searchsorted(y[order], np.arange(ways))]]
    length = np.sqrt((centres**2).sum(1))
    yield (
        "half of the logits: the same class wins, but softmax gives other probabilities",
        head(centres, 1.0, -0.5),
    )
    yield (
        "the factor 2 of the middle term is missing: −‖x − c‖² = −‖x‖² + 2 c·x − ‖c‖²",
        head(centres, 1.0),
    )
    yield (
        "the bias is missing, or the same for every class, which changes nothing: long centres win",
        head(centres, 2.0, 0.0),
    )
    yield (
        "that is the inner product with the centres: neither the factor 2 nor a bias that differs from class to "
        "class",
        head(centres, 1.0, 0.0),
    )
    yield (
        "the bias is half as large as it should be, the weights are right",
        head(centres, 2.0, -0.5),
    )
    yield (
        "the bias has the wrong sign: a far-away centre must be *less* likely at x = 0",
        head(centres, 2.0, 1.0),
    )
    yield "the weights have the wrong sign: −‖x − c‖² has + 2 c·x", head(centres, -2.0)
    yield (
        "the weights have the wrong sign, and the factor 2 is missing: −‖x − c‖² has + 2 c·x",
        head(centres, -1.0),
    )
    yield "all signs are turned: that head prefers the farthest centre", head(centres, -2.0, 1.0)
    yield "the bias is the length of the centre, not its square", (2 * centres, -length)
    yield (
        "the squares in the bias are averaged over features: add them up",
        (
            2 * centres,
            -(centres**2).mean(1),
        ),
    )
    yield "the examples of a class are added up: a centre is their mean", head(sums)
    yield (
        "the examples of a class are added up and divided by examples/ways: divide by how many it has",
        head(sums * ways / len(y)),
    )
    yield (
        "one example stands for each class: a centre is the mean of all of its examples",
        head(firsts),
    )
    yield (
        "the bias is of the squared examples: square the centre, after the mean",
        (
            2 * centres,
            -np.stack([(x[y == k] ** 2).sum(1).mean() for k in range(ways)]),
        ),
    )
    yield (
        "the classes are in the order in which they appear: row k belongs to the label k",
        head(centres[list(dict.fromkeys(y.tolist()))]),
    )
    parts = np.array_split(x, ways)
    yield (
        "the examples are split in the order in which they come: look at support_y",
        head(np.stack([part.mean(0) for part in parts])),
    )


# ---------------------------------------------------------------- 10.7


def draw_features(rng):
    """(features, logits) of a support set: features with a level of their own, as after a ReLU."""
    examples, width, ways = (int(n) for n in rng.integers((4, 2, 3), (9, 5, 6)))
    level = rng.uniform(0.3, 1.0, width)
    return level + rng.uniform(0, 1.5, (examples, width)), rng.normal(0, 1.2, (examples, ways))


def with_bias(features):
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def softmax(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def curvatures(z, p, outer=True):
    """Eigenvalues, in order, of the Hessian of the mean cross-entropy with respect to a head on z."""
    return averaged(*parts_of_hessian(z, p, outer))


def parts_of_hessian(z, p, outer=True):
    """For each example the Hessian with respect to the logits, and z zᵀ."""
    blocks = np.stack([np.diag(q) - outer * np.outer(q, q) for q in p])
    return blocks, np.stack([np.outer(v, v) for v in z])


def averaged(blocks, squares):
    """Eigenvalues, in order, of the mean over examples of the Kronecker products."""
    products = [np.kron(b, s) for b, s in zip(blocks, squares, strict=True)]
    return np.linalg.eigvalsh(np.mean(products, axis=0))


def misshapen(blocks, squares, order):
    """What eigvalsh makes of the second derivatives if their four axes are in this order when they are reshaped."""
    side = blocks.shape[1] * squares.shape[1]
    hessian = np.einsum(order, blocks, squares) / len(blocks)
    return np.linalg.eigvalsh(hessian.reshape(side, side))[-1]


@exercise("10.largest_rate", points=5, minutes=40, difficulty=4)
def largest_rate(answer, rng):
    """How far may a head's step go?"""
    for features, logits in draw(rng, support=draw_features):
        right = float(2 / curvatures(with_bias(features), softmax(logits))[-1])
        mistakes = partial(of_the_rate, features, logits)
        got = answer(features.copy(), logits.copy())
        judge_size(array_of(got), right)
        expect(got, right, mistakes=mistakes, rtol=1e-4)


def judge_size(got, right):
    """2/λmin is rounding's: the same number added to all logits changes nothing, so that λmin is 0."""
    if got is not None and got.shape == () and abs(got) > 1e8 * right:
        raise WrongAnswer(
            "that is 2 over the smallest eigenvalue, which is 0: the *largest* one sets the limit "
            "(eigvalsh gives them in rising order)"
        )


def of_the_rate(features, logits):
    """What mistakes make of the largest rate."""
    z, p = with_bias(features), softmax(logits)
    all_of_them = curvatures(z, p)
    largest, ways = all_of_them[-1], p.shape[1]
    alone = np.linalg.eigvalsh(z.T @ z / len(z))[-1]
    blocks, squares = parts_of_hessian(z, p)
    uniform = np.full(p.shape, 1 / ways)
    shares = np.exp(logits) / np.exp(logits).sum(0)
    ones, each = (
        z[:, -1:],
        np.array([averaged(b[None], s[None])[-1] for b, s in zip(blocks, squares, strict=True)]),
    )
    gates = 1 / (1 + np.exp(-logits))
    alone_first = "that comes from eigenvalues of single examples: average the Hessians first"
    limits = {
        "that is 1/λmax, the rate at which the steepest direction is done in one step: the limit is twice that": (
            2 * largest
        ),
        "that is λmax itself: the rate is 2/λmax": 2 / largest,
        "that is λmax/2: turn it over": 4 / largest,
        "the bias is left out, or treated apart from W: append a 1 to each z, so that the mixed derivatives "
        "count": curvatures(features, p)[-1],
        "W and the bias are treated apart, and their curvatures added: append a 1 to each z": (
            curvatures(features, p)[-1] + curvatures(ones, p)[-1]
        ),
        "that is the bias alone: W is to move, too": curvatures(ones, p)[-1],
        "the loss is a *mean* over examples: yours is their sum": largest * len(z),
        "the curvature of softmax is diag(p) − p pᵀ: the second part is missing": curvatures(
            z, p, outer=False
        )[-1],
        "that is the diagonal p(1 − p) alone: what couples two classes, −p_j p_k, is missing": (
            averaged(np.stack([np.diag(q * (1 - q)) for q in p]), squares)[-1]
        ),
        "softmax part and z zᵀ are averaged separately, then multiplied: multiply for each example, then "
        "average": averaged(blocks.mean(0)[None], squares.mean(0)[None])[-1],
        "all classes are taken to be equally likely: take p from the logits": curvatures(
            z, uniform
        )[-1],
        "p is averaged over examples before you multiply: each example has its own p with its own z": (
            curvatures(z, np.repeat(p.mean(0)[None], len(z), 0))[-1]
        ),
        "the features are centred first: take them as they are": curvatures(
            with_bias(features - features.mean(0)), p
        )[-1],
        "the eigenvalues are added up (a trace): the largest one sets the limit": all_of_them.sum(),
        "that is the curvature of the features alone, mean of z zᵀ: the softmax is missing": alone,
        "softmax is over the classes of each example, not over the examples": curvatures(z, shares)[
            -1
        ],
        f"{alone_first} (you take the largest of them)": each.max(),
        f"{alone_first} (you take their mean)": each.mean(),
        f"{alone_first} (you take the mean of 2/λ)": 1 / (1 / each).mean(),
        "p is a sigmoid of each logit: the probabilities of a softmax share out 1 among the classes": (
            curvatures(z, gates)[-1]
        ),
        "p is a sigmoid of each logit, and its p(1 − p) are a diagonal: the probabilities of a softmax share "
        "out 1 among the classes, which couples them": averaged(
            np.stack([np.diag(q * (1 - q)) for q in gates]), squares
        )[-1],
        "the curvature of softmax is diag(p) − p pᵀ: yours has a plus": curvatures(z, p, -1)[-1],
        "the axes are in the wrong order: a row of the Hessian is a class and a feature (j, r), a column "
        "another two (k, s), so (j, r, k, s) before you reshape": misshapen(
            blocks, squares, "njk,nrs->jkrs"
        ),
        "the axes are in the wrong order: a row of the Hessian is a feature and a class (r, j), a column "
        "another two (s, k), so (r, j, s, k) before you reshape": misshapen(
            blocks, squares, "njk,nrs->rsjk"
        ),
        "that is the Frobenius norm of the Hessian: the largest eigenvalue sets the limit": float(
            np.linalg.norm(all_of_them)
        ),
    }
    return {message: float(2 / limit) for message, limit in limits.items()}
