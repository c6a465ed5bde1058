"""Checks of chapter 10: each computes what is right, and what mistakes give, with NumPy alone."""

import numpy as np

from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect

# ---------------------------------------------------------------- 10.1


def draw_bank(rng):
    """Labels of a small bank, in no order: 6 or 7 characters with names of their own, 9 images of each."""
    names = rng.choice(np.arange(10, 99), rng.integers(6, 8), replace=False)
    return rng.permutation(np.repeat(names, 9))


@exercise("10.episode", points=5, minutes=20, difficulty=3)
def episode(answer, rng):
    """Draw an episode"""
    cases = draw(rng, labels=draw_bank, ways=(3, 5), shots=(1, 3), queries=(2, 4), seed=(0, 10**6))
    for labels, ways, shots, queries, seed in cases:
        settings = (labels, ways, shots, queries)
        drawn = [episode_of(answer, *settings, seed + i) for i in range(8)]
        for own in drawn:
            judge_episode(own, *settings)
        judge_chance(drawn, labels)
        expect(
            episode_of(answer, *settings, seed),
            drawn[0],
            what="the episode of the same seed, drawn again,",
        )


def episode_of(answer, labels, ways, shots, queries, seed):
    """The four arrays of an episode, of the right shape and kind."""
    got = answer(labels.copy(), ways, shots, queries, seed)
    parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
    if len(parts) != 4 or any(part is None for part in parts):
        raise WrongAnswer("return four arrays: support, support_y, query, query_y")
    for name, part, count in zip(
        ("support", "support_y", "query", "query_y"), parts, (shots, shots, queries, queries),
        strict=True,
    ):  # fmt: skip
        if part.shape != (ways * count,):
            few = "; shots and queries count per class" if part.shape == (count,) else ""
            raise WrongAnswer(
                f"{name} has shape {part.shape}; it should have {(ways * count,)}{few}"
            )
        if part.dtype.kind not in "iu":
            raise WrongAnswer(f"{name} should hold whole numbers, not {part.dtype}")
    if min(parts[0].min(), parts[2].min()) < 0 or max(parts[0].max(), parts[2].max()) >= len(
        labels
    ):
        raise WrongAnswer("there is no image of such an index: return indices into labels")
    return tuple(part.astype(int) for part in parts)


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
            raise WrongAnswer(f"the {name} set should have {count} images of every class")


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
    if all(
        np.array_equal(
            np.sort(s[y == k]), np.flatnonzero(labels == labels[s[y == k][0]])[: sum(y == k)]
        )
        for s, y, _, _ in drawn
        for k in range(y.max() + 1)
    ):
        raise WrongAnswer(
            "it is always the first images of a class that are support: draw them at random"
        )


# ---------------------------------------------------------------- 10.2


def draw_correct(rng):
    """Right and wrong answers (episodes, queries), in episodes that differ in how hard they are."""
    chance = rng.uniform(0.3, 1.0, (rng.integers(12, 25), 1))
    return (rng.random((len(chance), rng.integers(8, 16))) < chance).astype(int)


SHARED = (
    "those of an episode share a support set and are not independent. Take one accuracy an episode"
)


def over_queries(correct, ddof):
    """What comes out when all queries count as independent."""
    half = 1.96 * correct.std(ddof=ddof) / np.sqrt(correct.size)
    return float(correct.mean()), float(half)


@exercise("10.interval", points=3, minutes=10, difficulty=2)
def interval(answer, rng):
    """An accuracy and its interval"""
    for correct in draw(rng, correct=draw_correct):
        each, count = correct.mean(1), len(correct)
        mean, half = float(each.mean()), float(1.96 * each.std(ddof=1) / np.sqrt(count))
        of_queries = correct.mean(0)
        expect(
            answer(correct.copy()),
            (mean, half),
            mistakes={
                f"your interval is over queries: {SHARED}": over_queries(correct, 0),
                f"your interval is over queries, with ddof=1: {SHARED}": over_queries(correct, 1),
                "the mean is over the wrong axis: one accuracy for each episode, not for each place in the "
                "query set": (
                    mean,
                    float(1.96 * of_queries.std(ddof=1) / np.sqrt(len(of_queries))),
                ),
                "that is the spread of single episodes; the interval of their *mean* is narrower by the root of "
                "their number": (mean, half * np.sqrt(count)),
                "the standard deviation divides by the number of episodes: ddof=1 divides by one less": (
                    mean,
                    float(1.96 * each.std() / np.sqrt(count)),
                ),
                "the 1.96 is missing: that is one standard error, a 68 % interval": (
                    mean,
                    half / 1.96,
                ),
                "that is the whole width of the interval, from end to end: give half": (
                    mean,
                    2 * half,
                ),
                "you divide by the number of episodes, not by its root": (
                    mean,
                    half / np.sqrt(count),
                ),
                "in per cent; give numbers between 0 and 1": (100 * mean, 100 * half),
            },
        )


# ---------------------------------------------------------------- 10.3


def draw_images(rng, count=4):
    """Feature maps (count, 3, 2, 3) whose features have levels and spreads of their own."""
    level, spread = rng.normal(0, 2, (2, 3, 1, 1))
    return level + (0.5 + np.abs(spread)) * rng.normal(size=(count, 3, 2, 3))


def normalised(batch, eps, axes=(0, 2, 3), like=None, ddof=0, root=True):
    """`batch` by the statistics of `like` (itself if None)."""
    like = batch if like is None else like
    mean, variance = like.mean(axes, keepdims=True), like.var(axes, keepdims=True, ddof=ddof)
    return (batch - mean) / (np.sqrt(variance + eps) if root else np.sqrt(variance) + eps)


def one_at_a_time(support, query, eps, **how):
    return np.stack([normalised(np.concatenate([support, q[None]]), eps, **how)[-1] for q in query])


@exercise("10.two_ways", points=5, minutes=20, difficulty=3)
def two_ways(answer, rng):
    """Whose statistics?"""
    cases = draw(
        rng, support=draw_images, query=lambda r: draw_images(r, int(r.integers(5, 8))), eps=(0.01, 0.2)
    )  # fmt: skip
    for support, query, eps in cases:
        together, alone = normalised(query, eps), one_at_a_time(support, query, eps)
        both = np.concatenate([support, query])
        variants = {
            "mean and variance are over examples only, for each place by itself: take them over places, too, "
            "one mean a feature": {"axes": (0,)},
            "mean and variance are over features, too: each feature has its own": {
                "axes": (0, 1, 2, 3)
            },
            "mean and variance are of each image by itself (that is instance norm): take them over the batch": {
                "axes": (2, 3)
            },
            "ε stands beside the root: it belongs to the variance, under the root": {"root": False},
            "the variance divides by one less than the number of values; batch norm divides by their number": {
                "ddof": 1
            },
        }
        expect(
            answer(support.copy(), query.copy(), eps),
            (together, alone),
            mistakes={
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
                "the two are in the wrong order: (together, one at a time)": (alone, together),
            }
            | {
                message: (normalised(query, eps, **how), one_at_a_time(support, query, eps, **how))
                for message, how in variants.items()
            },
        )


# ---------------------------------------------------------------- 10.4

LOSSES = ["mean", "sum over ways", "sum"]


def draw_losses(rng):
    """Two different habits."""
    theirs, yours = rng.choice(len(LOSSES), 2, replace=False)
    return LOSSES[theirs], LOSSES[yours]


@exercise("10.convert_rate", points=4, minutes=10, difficulty=2)
def convert_rate(answer, rng):
    """The same step under another loss"""
    for inner_lr, ways, shots in ((0.4, 5, 1), (0.1, 20, 5)):  # the original code's, for a mean
        judge_rate(answer, inner_lr, ways, shots, "sum over ways", "mean")
    cases = draw(rng, inner_lr=(0.01, 1.0), ways=(5, 20), shots=(2, 4), losses=draw_losses)
    for inner_lr, ways, shots, losses in cases:
        judge_rate(answer, inner_lr, ways, shots, *losses)


def judge_rate(answer, inner_lr, ways, shots, theirs, yours):
    def converted(ways_size, sum_size):
        """The rate if the two sums were so many means."""
        size = {"mean": 1, "sum over ways": ways_size, "sum": sum_size}
        return inner_lr * size[theirs] / size[yours]

    right = converted(ways, ways * shots)
    expect(
        answer(inner_lr, ways, shots, theirs, yours),
        right,
        mistakes={
            "the shots are left out: the sum over all examples is ways · shots means": (
                converted(ways, ways)
            ),
            "the factor is upside down: where their slope is larger than yours, your rate must be larger "
            "than theirs": inner_lr**2 / right,
            "the rate is theirs, unchanged: another loss has another slope": inner_lr,
            "the sum over ways is a sum over classes of means over shots: it is `ways` means, not `shots`": (
                converted(shots, ways * shots)
            ),
            "the sum over ways is taken for the sum over all examples: each class's shots are averaged "
            "first": converted(ways * shots, ways * shots),
        },
    )


# ---------------------------------------------------------------- 10.5


def draw_classes(rng, ways=4, shots=3, queries=12, features=5):
    """(support_x, support_y, query_x): classes that overlap, examples in no order."""
    y = rng.permutation(np.repeat(np.arange(ways), shots))
    centres = rng.normal(0, 1.2, (ways, features))
    x = centres[y] + rng.normal(0, 1.5, (len(y), features))
    asked = centres[rng.integers(0, ways, queries)] + rng.normal(0, 1.5, (queries, features))
    return x, y, asked


@exercise("10.nearest_centroid", points=4, minutes=15, difficulty=2)
def nearest_centroid(answer, rng):
    """The nearest class mean"""
    for x, y, asked in draw(rng, data=draw_classes):
        ways, shots = int(y.max()) + 1, int((y == 0).sum())
        centres = np.stack([x[y == k].mean(0) for k in range(ways)])
        sorted_wrongly = x.reshape(ways, shots, -1).mean(1)
        neighbour = squared(asked, x)
        expect(
            answer(x.copy(), y.copy(), asked.copy()),
            squared(asked, centres).argmin(1),
            mistakes={
                "that is the class of the nearest single example (nearest neighbour): take the mean of each "
                "class first": y[neighbour.argmin(1)],
                "that is the number of the nearest example, not of a class": neighbour.argmin(1),
                "the examples are averaged in the order in which they come, as if sorted by class: look at "
                "support_y": squared(asked, sorted_wrongly).argmin(1),
                "that is the farthest class mean: the nearest has the smallest distance": (
                    squared(asked, centres).argmax(1)
                ),
                "that is the largest inner product with a class mean, in which long means win: take the "
                "distance": (asked @ centres.T).argmax(1),
                "the differences are added with their signs, so that they cancel: square them": (
                    (asked[:, None] - centres).sum(2).argmin(1)
                ),
            },
        )


def squared(a, b):
    """‖aᵢ − bⱼ‖², (n, m)."""
    return ((a[:, None] - b) ** 2).sum(2)
