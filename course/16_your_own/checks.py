"""Checks of chapter 16: one function per exercise, for the learner and for the grader."""

import itertools
from functools import partial

import numpy as np

from maml_edu.checks.comparing import difference
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect


def _apart(right, wrong):
    """Whether no two of these values are the same: then each mistake can be told from every other."""
    values = [right, *wrong.values()]
    return all(
        difference(one, two) is not None or difference(two, one) is not None
        for one, two in itertools.combinations(values, 2)
    )


def _listed(value):
    """An array with one axis as a list, anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value


def _expect_entries(got, right, mistakes):
    """Compare a dict of lists entry by entry; mistakes(key): those that concern this entry."""
    if not isinstance(got, dict) or got.keys() != right.keys():
        return expect(got, right)
    for key, value in right.items():
        expect(_listed(got[key]), value, partial(mistakes, key), what=f'your entry "{key}"')


# ------------------------------------------------------------------ 16.1

NEAR = 1e-6
PARTS = ("support_x", "support_y", "query_x", "query_y")


@exercise("16.family_check", points=4, minutes=25, difficulty=3)
def family_check(answer, rng):
    """Which rules does a family break?"""
    for draws in draw(rng, draws=_draws):
        right = _faults(*draws)
        _expect_entries(answer(*draws), right, partial(_wrong_entry, draws, right))


def _wrong_entry(draws, right, key):
    return _wrong_faults(*draws)[key] | _wrong_numbers(right[key])


def _draws(rng):
    """Three draws with something of everything, in which no two mistakes come to the same."""
    while True:
        first = _clean(rng, int(rng.integers(20, 23)))
        places = [int(i) for i in rng.permutation(len(first["support_y"]))]
        _plant_copies(rng, first, places)
        _plant_seen(first, places)
        draws = first, _almost_again(rng, first), _other_draw(rng, first)
        right, wrong = _faults(*draws), _wrong_faults(*draws)
        if all(_apart(right[key], wrong[key] | _wrong_numbers(right[key])) for key in right):
            return draws


def _clean(rng, tasks, shots=4, queries=6):
    """A draw of noisy lines in two variables, without a fault."""
    slopes = rng.normal(size=(tasks, 2, 1))
    draw = {}
    for name, count in (("support", shots), ("query", queries)):
        x = rng.normal(size=(tasks, count, 2))
        draw[f"{name}_x"] = x
        draw[f"{name}_y"] = (x @ slopes)[..., 0] + rng.normal(0, 0.1, (tasks, count))
    return draw


def _plant_seen(draw, places):
    """Queries from the support set, exactly and rounded; and others that only look like it."""
    x, query = draw["support_x"], draw["query_x"]
    a, b, c, d, e, f, g = places[:7]
    query[a, 3] = x[a, 1]  # at another position
    query[b, 2] = x[b, 0].astype(np.float32)  # rounded on the way
    query[c, 1] = x[c, 1]  # at the same position
    query[d] = x[d][[0, 1, 2, 3, 0, 1]]  # all of them
    query[e, 4, 0] = x[e, 2, 0]  # one coordinate alone
    query[f, 5] = x[f, 0, 0], x[f, 3, 1]  # coordinates of two examples
    draw["query_y"][f, 1] = draw["support_y"][f, 2]  # the same y, another x
    query[g, 0] = x[e, 1]  # from another task's support set


def _plant_copies(rng, draw, places):
    """Tasks that are earlier ones once more, and others that share one half with an earlier one."""
    start = int(rng.integers(len(places) - 1))
    rest = [t for t in places if t not in (start, start + 1)][7:]
    pairs = [(start, start + 1), *(tuple(sorted(rest[2 * i : 2 * i + 2])) for i in range(5))]
    kinds = "next door", "whole", "turned", "rounded", "x alone", "y alone"
    for kind, (early, late) in zip(kinds, pairs, strict=True):
        order = np.roll(np.arange(4), int(rng.integers(1, 4))) if kind == "turned" else slice(None)
        nudge = 1e-8 if kind == "rounded" else 0.0
        for name in PARTS if kind == "whole" else PARTS[:2]:
            if not kind.endswith("alone") or kind[0] == name[-1]:
                draw[name][late] = draw[name][early][order] + nudge


def _almost_again(rng, first):
    """The same draw with a number changed here and there, one of them in its last digits."""
    again = {name: part.copy() for name, part in first.items()}
    tasks = rng.permutation(len(first["support_y"]))
    for name in PARTS:
        again[name][tasks[-1]] += 0.5
    for task, name, by in zip(tasks, [*PARTS, "support_x"], (0.5, 0.5, 0.5, 0.5, 1e-9)):  # noqa: B905
        again[name][task, -1] += by
    return again


def _other_draw(rng, first):
    """Another draw, in which some tasks of the first are found again."""
    tasks = len(first["support_y"])
    other, (a, b, c, d, e) = _clean(rng, tasks), (int(i) for i in rng.permutation(tasks)[:5])
    x, y = first["support_x"], first["support_y"]
    order = np.roll(np.arange(4), int(rng.integers(1, 4)))
    for to, source, how in ((a, a, slice(None)), (b, c, slice(None)), (c, d, order)):
        other["support_x"][to], other["support_y"][to] = x[source][how], y[source][how]
    other["support_x"][d] = x[e]
    other["support_y"][e] = y[b]
    return other


def _close(one, two, near=NEAR):
    """Which rows (…, rows, numbers) of one are which rows of two, (…, rows, rows)."""
    return (np.abs(one[..., :, None, :] - two[..., None, :, :]) <= near).all(axis=-1)


def _same_sets(one, two, near=NEAR):
    """Which sets (tasks, examples, numbers) of one are which of two, in whatever order: (tasks, tasks)."""
    pairs = _close(one[:, None], two[None], near)
    return pairs.any(axis=-1).all(axis=-1) & pairs.any(axis=-2).all(axis=-1)


def _same_lists(one, two):
    """The same, example by example."""
    return (np.abs(one[:, None] - two[None]) <= NEAR).all(axis=(-2, -1))


def _sets(draw, of=("support_x", "support_y")):
    """The examples of each task as rows of numbers: (tasks, examples, numbers)."""
    parts = (draw[name] for name in of)
    return np.concatenate([p if p.ndim == 3 else p[..., None] for p in parts], axis=-1)


def _which(tasks):
    """The numbers of the tasks for which this is true."""
    return np.flatnonzero(tasks).tolist()


def _changed(first, again, names=PARTS, differs=np.not_equal):
    """Which arrays of which tasks have changed, (names, tasks)."""
    tasks = len(first["support_y"])
    return np.array([differs(first[n], again[n]).reshape(tasks, -1).any(axis=1) for n in names])


def _faults(first, again, other):
    sets = _sets(first)
    return {
        "unrepeatable": _which(_changed(first, again).any(axis=0)),
        "seen": _which(_close(first["query_x"], first["support_x"]).any(axis=(1, 2))),
        "copies": _copies(_same_sets(sets, sets)),
        "stuck": _which(_same_sets(sets, _sets(other)).any(axis=0)),
    }


def _copies(same):
    """The later ones of tasks that are the same; same (tasks, tasks)."""
    return _which(np.tril(same, -1).any(axis=1))


def _wrong_numbers(right):
    """Right tasks, told in a wrong way."""
    return {
        "the tasks are numbered from 1: they are numbered from 0": [t + 1 for t in right],
        "only the first task is checked": [t for t in right if t == 0],
    }


def _wrong_faults(first, again, other):
    return {
        "unrepeatable": _wrong_repeats(first, again),
        "seen": _wrong_seen(first),
        "copies": _wrong_copies(first),
        "stuck": _wrong_stuck(first, other),
    }


def _wrong_repeats(first, again):
    changed = _changed(first, again)
    far = lambda one, two: np.abs(one - two) > NEAR
    return {
        "the two draws of one seed are compared with a tolerance: the same seed gives the same numbers, to the "
        "last bit": _which(_changed(first, again, differs=far).any(axis=0)),
        "only the support sets of the two draws are compared: the query sets must be the same, too": _which(
            changed[:2].any(axis=0)
        ),
        "only x is compared, in the two draws of one seed: compare y as well": _which(
            changed[::2].any(axis=0)
        ),
        "only y is compared, in the two draws of one seed: compare x as well": _which(
            changed[1::2].any(axis=0)
        ),
        "these are the tasks that came out the same: those that did not are asked for": _which(
            ~changed.any(axis=0)
        ),
        "a task counts only if all of its arrays have changed": _which(changed.all(axis=0)),
        "one task that differs condemns all of them: list those that differ": _which(
            np.ones(changed.shape[1], bool)
        ),
    }


def _wrong_seen(first):
    x, query = first["support_x"], first["query_x"]
    shots = x.shape[1]
    y, query_y = first["support_y"][..., None], first["query_y"][..., None]
    close = _close(query, x)  # (tasks, queries, shots)
    single = np.abs(query[:, :, None] - x[:, None]) <= NEAR  # (tasks, queries, shots, coordinates)
    everywhere = _close(query, x.reshape(1, -1, x.shape[-1]))
    return {
        "the queries are compared with ==: a copy that was rounded on its way (to float32) is a copy": _which(
            _close(query, x, 0.0).any(axis=(1, 2))
        ),
        "query and support set are compared by y: two examples may well have the same y; compare x": _which(
            _close(query_y, y).any(axis=(1, 2))
        ),
        "a query is compared with the support example at its own position alone: compare it with all": _which(
            close[:, range(shots), range(shots)].any(axis=1)
        ),
        "one coordinate in common is enough here: two places are the same if all coordinates are": _which(
            single.any(axis=(1, 2, 3))
        ),
        "each coordinate is looked for by itself, so that two examples together can make a place: compare whole "
        "places": _which(single.any(axis=2).all(axis=2).any(axis=1)),
        "a task counts only if all of its queries are in the support set: one is enough": _which(
            close.any(axis=2).all(axis=1)
        ),
        "a query is looked for in the support sets of all tasks: take that of its own task alone": _which(
            everywhere.any(axis=(1, 2))
        ),
    }


def _wrong_copies(first):
    sets, queries = _sets(first), _sets(first, PARTS[2:])
    same = _same_sets(sets, sets)
    only_x, only_y = (_sets(first, (name,)) for name in PARTS[:2])
    itself = np.eye(len(same), dtype=bool)
    return {
        "both are listed, the copy and what it is a copy of: only the later task is one too many": _which(
            (same & ~itself).any(axis=1)
        ),
        "the earlier task is listed: the later one is the copy": _which(
            np.triu(same, 1).any(axis=1)
        ),
        "a task is compared with the one before it alone: compare it with all earlier ones": _copies(
            same & np.eye(len(same), k=-1, dtype=bool)
        ),
        "the examples are compared in their order: a set of examples has none": _copies(
            _same_lists(sets, sets)
        ),
        "the tasks are compared with ==: rounding makes no new task": _copies(
            _same_sets(sets, sets, 0.0)
        ),
        "the tasks are compared by x alone: the same places with other values are another task": _copies(
            _same_sets(only_x, only_x)
        ),
        "the tasks are compared by y alone: the same values at other places are another task": _copies(
            _same_sets(only_y, only_y)
        ),
        "the query sets are compared, too: new queries of an old task do not make it new": _copies(
            same & _same_sets(queries, queries)
        ),
        "each task is compared with itself as well, so that all are copies": _which(
            same.any(axis=1)
        ),
    }


def _wrong_stuck(first, other):
    sets, others = _sets(first), _sets(other)
    same = _same_sets(sets, others)
    by = lambda name: _which(_same_sets(_sets(first, (name,)), _sets(other, (name,))).any(axis=0))
    return {
        "the two draws are compared task by task: a task may come again at another number": _which(
            same.diagonal()
        ),
        "these are the numbers in the first draw: those in the other draw are asked for": _which(
            same.any(axis=1)
        ),
        "the examples of the two draws are compared in their order: a set of examples has none": _which(
            _same_lists(sets, others).any(axis=0)
        ),
        "the two draws are compared by x alone: the same places with other values are another task": by(
            PARTS[0]
        ),
        "the two draws are compared by y alone: the same values at other places are another task": by(
            PARTS[1]
        ),
        "these are the tasks that are new with the other seed: those that are not are asked for": _which(
            ~same.any(axis=0)
        ),
    }


# ------------------------------------------------------------------ 16.2


@exercise("16.attention_step", points=3, minutes=15, difficulty=2)
def attention_step(answer, rng):
    """Attention that is gradient descent"""
    inputs = {"shots": (5, 8), "more": (2, 4), "width": (2, 4), "alpha": (0.05, 0.15)}
    for shots, more, width, alpha, layers in draw(rng, **inputs, layers=(3, 4)):
        x, queries = rng.normal(size=(shots, width)), rng.normal(size=(shots + more, width))
        y = x @ rng.normal(0, 2, width) + rng.normal(0, 0.3, shots)
        case = x, y, queries, alpha, layers
        expect(answer(*case), _layers(*case), partial(_wrong_layers, *case))


def _inner(one, two):
    return one @ two.T


def _softmax(one, two, sharp=1.0):
    scores = one @ two.T * sharp
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _shares(one, two):
    weights = one @ two.T
    return weights / weights.sum(axis=1, keepdims=True)


def _layers(x, y, queries, alpha, layers, factor=2.0, weights=_inner, values="current", add=True):
    """(predictions, residuals) of linear attention; values: whose residuals the queries see."""
    rate, residual, prediction = factor * alpha / len(x), y, np.zeros(len(queries))
    for _ in range(layers):
        moved = residual - rate * weights(x, x) @ residual
        seen = {"current": residual, "first": y, "next": moved}[values]
        prediction = rate * weights(queries, x) @ seen + (prediction if add else 0.0)
        residual = moved
    return prediction, residual


def _with_queries(x, y, queries, alpha, layers):
    """Queries are seen as well, by support tokens and by each other."""
    tokens, values = np.concatenate([x, queries]), np.concatenate([y, np.zeros(len(queries))])
    for _ in range(layers):
        values = values - 2 * alpha / len(x) * (tokens @ tokens.T) @ values
    return -values[len(x) :], values[: len(x)]


def _wrong_layers(x, y, queries, alpha, layers):
    n, q, case = len(x), len(queries), (x, y, queries, alpha, layers)
    made = partial(_layers, *case)
    right, residual = made()
    root = np.sqrt(x.shape[1])
    return {
        "the sum is not divided by N: the loss is a mean over the support set": made(
            factor=2.0 * n
        ),
        "this is a step on half the mean square: the derivative of a square has a factor 2": made(
            factor=1.0
        ),
        "the weights go through a softmax: linear attention has the bare inner products": made(
            weights=_softmax
        ),
        "the weights go through a softmax, after division by √d: linear attention has bare inner products": made(
            weights=partial(_softmax, sharp=1 / root)
        ),
        "the inner products are divided by √d: that belongs to softmax attention": made(
            factor=2.0 / root
        ),
        "the weights of a token are divided by their sum: linear attention leaves them as they are": made(
            weights=_shares
        ),
        "the predictions have the wrong sign": (-right, residual),
        "the step goes uphill: the residuals grow": made(factor=-2.0),
        "only one layer is computed": _layers(x, y, queries, alpha, 1),
        "this is one layer too many": _layers(x, y, queries, alpha, layers + 1),
        "this is one layer too few": _layers(x, y, queries, alpha, layers - 1),
        "every layer shows the queries the first y: after a layer, what is left of y is to be seen": made(
            values="first"
        ),
        "the queries see the residuals after the layer: all tokens of a layer see the state before it": made(
            values="next"
        ),
        "the queries are seen as well, by the support tokens and by each other: only support tokens are": (
            _with_queries(*case)
        ),
        "the sum is divided by the number of all tokens: only the N support tokens count": made(
            factor=2.0 * n / (n + q)
        ),
        "the sum is divided by the number of queries: N is that of the support examples": made(
            factor=2.0 * n / q
        ),
        "the sum is divided by N twice": made(factor=2.0 / n),
        "the predictions are those of the last layer alone: the layers add up": made(add=False),
        "the second part holds the fitted values: what is left of y is asked for": (
            right,
            y - residual,
        ),
        "the second part has the wrong sign: it is y minus the fitted value": (right, -residual),
        "predictions and residuals are swapped": (residual, right),
    }


# ------------------------------------------------------------------ 16.3


@exercise("16.oracle", points=4, minutes=20, difficulty=3)
def oracle(answer, rng):
    """An oracle, and what it scores"""
    for case in draw(rng, case=_waves):
        right = _fitted(*case)
        got = answer(*case)
        otherwise = _only_underdetermined(got, right)
        expect(got, right, partial(_wrong_fits, *case), otherwise=otherwise)


LONELY = 2  # tasks at the end whose points lie half periods apart


def _only_underdetermined(got, right):
    """Words for an answer that fails only where the support set does not tell amplitude and phase."""
    if not isinstance(got, (list, tuple)) or len(got) != 2:
        return ""
    values = array_of(got[0])
    if values is None or values.shape != right[0].shape:
        return ""
    if difference(values[:-LONELY].astype(float), right[0][:-LONELY]) is not None:
        return ""
    if difference(values.astype(float), right[0]) is None:
        return ""
    return (
        "right where the points determine the wave; where they all lie half periods apart, many pairs (a, b) fit "
        "equally well: take the one with the smallest a² + b² (`rcond=1e-6`)"
    )


def _waves(rng):
    """(support_x, support_y, query_x, query_y, frequency) of noisy waves; the last points tell one number only."""
    while True:
        tasks, shots, queries = (int(rng.integers(low, low + 3)) for low in (5, 3, 6))
        frequency = float(rng.uniform(1.3, 2.5))
        x = rng.uniform(-4, 4, (tasks, shots + queries))
        halves = rng.integers(-2, 3, (LONELY, shots)) * np.pi / frequency
        x[-LONELY:, :shots] = rng.uniform(-1, 1, (LONELY, 1)) + halves
        a, b = rng.normal(0, 2, (2, tasks, 1))
        y = a * np.sin(frequency * x) + b * np.cos(frequency * x) + rng.normal(0, 0.2, x.shape)
        case = x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:], frequency
        if _apart(_fitted(*case), _wrong_fits(*case)):
            return case


def _columns(x, frequency):
    return np.stack([np.sin(frequency * x), np.cos(frequency * x)], axis=-1)


def _solve(columns, y):
    return np.linalg.lstsq(columns, y, rcond=1e-6)[0]


def _scored(predictions, query_y):
    return predictions, ((predictions - query_y) ** 2).mean(axis=1)


def _each_task(support_x, support_y, query_x, query_y, of_task):
    """of_task(sx, sy, qx, qy) gives the predictions of a task."""
    tasks = zip(support_x, support_y, query_x, query_y, strict=True)
    return _scored(np.array([of_task(*task) for task in tasks]), query_y)


def _fitted(support_x, support_y, query_x, query_y, frequency, columns=_columns, solve=_solve):
    return _each_task(
        support_x,
        support_y,
        query_x,
        query_y,
        lambda sx, sy, qx, qy: columns(qx, frequency) @ solve(columns(sx, frequency), sy),
    )


def _ridge(strength):
    return lambda c, y: np.linalg.solve(c.T @ c + strength * np.eye(c.shape[1]), c.T @ y)


def _basic(columns, y):
    """One solution of many: without a cosine where the points do not tell it."""
    if np.linalg.matrix_rank(columns, tol=1e-6) > 1:
        return _solve(columns, y)
    return np.array([_solve(columns[:, :1], y)[0], 0.0])


def _intercept(x, frequency):
    return np.concatenate([_columns(x, frequency), np.ones((*x.shape, 1))], axis=-1)


def _wrong_fits(support_x, support_y, query_x, query_y, frequency):
    case = support_x, support_y, query_x, query_y
    made = partial(_fitted, *case, frequency)
    columns = lambda x: _columns(x, frequency)
    pooled = _solve(columns(support_x).reshape(-1, 2), support_y.ravel())
    together = lambda sx, sy, qx, qy: (
        columns(qx) @ _solve(np.concatenate([columns(sx), columns(qx)]), np.concatenate([sy, qy]))
    )
    return {
        "the fit has seen the query's y: an oracle knows the law, not the answers": _each_task(
            *case, together
        ),
        "the fit is one to the query set alone: an oracle knows the law, not the answers": _each_task(
            *case, lambda sx, sy, qx, qy: columns(qx) @ _solve(columns(qx), qy)
        ),
        "one fit is made for all tasks together: each task has its own amplitude and phase": _scored(
            columns(query_x) @ pooled, query_y
        ),
        "there is an intercept: these waves swing about 0, and the oracle knows it": made(
            columns=_intercept
        ),
        "a ridge of 1 is added: least squares has none": made(solve=_ridge(1.0)),
        "a ridge of 0.1 is added: least squares has none": made(solve=_ridge(0.1)),
        "a ridge of 0.01 is added: least squares has none": made(solve=_ridge(0.01)),
        "where the points do not tell both numbers, the cosine is dropped: take the smallest a² + b²": made(
            solve=_basic
        ),
        "only the first two points are used": _each_task(
            *case, lambda sx, sy, qx, qy: columns(qx) @ _solve(columns(sx[:2]), sy[:2])
        ),
    } | _wrong_waves(*case, frequency)


def _wrong_waves(support_x, support_y, query_x, query_y, frequency):
    case = support_x, support_y, query_x, query_y
    right = _fitted(*case, frequency)
    made = lambda of_query: _each_task(
        *case, lambda sx, sy, qx, qy: of_query(_solve(_columns(sx, frequency), sy), qx)
    )
    return {
        "the phase is arctan(b/a), half a turn off if a is negative: use arctan2(b, a), or a and b": made(
            lambda ab, x: np.hypot(*ab) * np.sin(frequency * x + np.arctan(ab[1] / ab[0]))
        ),
        "the phase has the wrong sign: a sin + b cos is A sin(ωx + φ) with a plus": made(
            lambda ab, x: np.hypot(*ab) * np.sin(frequency * x - np.arctan2(ab[1], ab[0]))
        ),
        "sine and cosine are swapped for the queries": made(
            lambda ab, x: _columns(x, frequency) @ ab[::-1]
        ),
        "the frequency is not used: the waves are taken for sin(x + φ)": _fitted(*case, 1.0),
        "the frequency is multiplied by 2π: it is given in radians": _fitted(
            *case, 2 * np.pi * frequency
        ),
        "there is no cosine: a wave with a phase needs both": _fitted(
            *case, frequency, columns=lambda x, f: np.sin(f * x)[..., None]
        ),
        "the losses are roots: the mean square is asked for": (right[0], np.sqrt(right[1])),
        "the losses are sums over the queries: the mean is asked for": (
            right[0],
            right[1] * query_y.shape[1],
        ),
        "this is the mean over all tasks: one loss for each is asked for": (
            right[0],
            float(right[1].mean()),
        ),
        "the losses are half the mean squares": (right[0], right[1] / 2),
    }


# ------------------------------------------------------------------ 16.4


@exercise("16.mask", points=3, minutes=10, difficulty=2)
def mask(answer, rng):
    """Who may see whom"""
    for task, is_query in draw(rng, tokens=_tokens):
        got, right = answer(task, is_query), _visible(task, is_query)
        _judge_kind(got, right)
        expect(got, right, partial(_wrong_masks, task, is_query))


def _judge_kind(got, right):
    """A mask of another kind: 1 and 0, or 0 where a token may look and −∞ where it may not."""
    array = array_of(got)
    if array is None or array.shape != right.shape or array.dtype.kind == "b":
        return
    if np.array_equal(array, right):
        raise WrongAnswer("these are 1 and 0: True and False are asked for (an array of bool)")
    if np.array_equal(array == 0, right) and (array.astype(float)[~right] < -1e3).all():
        raise WrongAnswer(
            "this is what is added to the scores (0 and −∞): True and False are asked for"
        )


def _tokens(rng):
    """(task, is_query) of the tokens of three tasks, mixed."""
    counts = [(int(rng.integers(2, 4)), int(rng.integers(2, 5))) for _ in range(3)]
    kinds = [[False] * pairs + [True] * queries for pairs, queries in counts]
    task = np.repeat(np.arange(3), [len(kind) for kind in kinds])
    while True:
        order = rng.permutation(len(task))
        tokens = task[order], np.concatenate(kinds)[order]
        if _apart(_visible(*tokens), _wrong_masks(*tokens)):
            return tokens


def _visible(task, is_query):
    return (task[:, None] == task[None]) & (~is_query[None] | np.eye(len(task), dtype=bool))


def _wrong_masks(task, is_query):
    right, itself = _visible(task, is_query), np.eye(len(task), dtype=bool)
    same, pairs = task[:, None] == task[None], ~is_query
    earlier = np.tri(len(task), dtype=bool)
    return {
        "queries see each other: the answer to one would depend on which others are asked (transduction)": same
        & (pairs[None] | (is_query[:, None] & is_query[None])),
        "a query does not see itself: here it does": same & pairs[None],
        "pairs see the queries: the support set would be read differently for other questions": same
        & (itself | pairs[None] | pairs[:, None]),
        "everything of a task is visible, the queries to each other and to the pairs as well": same,
        "this is causal: tokens see only what comes before them, but a support set has no order": right
        & earlier,
        "this is causal in the sequence alone: kinds and tasks are not looked at": earlier,
        "row and column are swapped: row i says whom token i may see": right.T,
        "tokens of other tasks are visible: each task has its own support set": (
            pairs[None] | itself
        ),
        "a pair sees only itself: pairs of a task see each other": same
        & (itself | (is_query[:, None] & pairs[None])),
        "pairs do not see themselves": right & ~(itself & pairs[None]),
        "no token sees itself": right & ~itself,
        "True and False are exchanged: True means that it may be seen": ~right,
        "pairs see nothing: only the rows of the queries are filled": right & is_query[:, None],
    }


# ------------------------------------------------------------------ 16.5


@exercise("16.difficulty", points=5, minutes=30, difficulty=4)
def difficulty(answer, rng):
    """How much of the gap is closed"""
    for case in draw(rng, case=_losses):
        got, right = answer(*case), _share_and_interval(*case)
        expect(got, right, partial(_wrong_shares, *case))


def _losses(rng):
    """(average, oracle, learner, tasks, seeds): losses with heavy tails that hard tasks share."""
    count, seeds, rows = int(rng.integers(25, 35)), int(rng.integers(3, 6)), 60
    hard = rng.lognormal(0.0, 0.7, count)
    oracle = 0.1 * hard * rng.lognormal(0, 0.3, count)
    average = 3.0 * hard * rng.lognormal(0, 0.3, count)
    level = rng.permutation(np.linspace(0.25, 0.7, seeds))[:, None]
    learner = level * average * rng.lognormal(0, 0.4, (seeds, count))
    tasks, draws = rng.integers(count, size=(rows, count)), rng.integers(seeds, size=(rows, seeds))
    return average, oracle, learner, tasks, draws


def _share(average, oracle, learner, middle=np.median):
    """Of losses (…, tasks) and the learner's (…, seeds, tasks)."""
    top, bottom = middle(average, axis=-1), middle(oracle, axis=-1)
    return (top - middle(learner.mean(axis=-2), axis=-1)) / (top - bottom)


def _rows(learner, tasks, seeds):
    """The learner's losses in every resample, (resamples, seeds, tasks)."""
    return learner[seeds[:, :, None], tasks[:, None]]


def _resampled(average, oracle, learner, tasks, seeds, share=_share):
    return share(average[tasks], oracle[tasks], _rows(learner, tasks, seeds))


def _ends(values, low=0.025, high=0.975):
    return float(np.quantile(values, low)), float(np.quantile(values, high))


def _share_and_interval(average, oracle, learner, tasks, seeds, share=_share):
    case = average, oracle, learner
    return float(share(*case)), *_ends(_resampled(*case, tasks, seeds, share))


def _wrong_shares(average, oracle, learner, tasks, seeds):
    case = average, oracle, learner, tasks, seeds
    kinds = _other_shares, _other_resamples, _other_intervals
    return {words: value for kind in kinds for words, value in kind(*case).items()}


def _ratios(average, oracle, learner):
    return (average - learner.mean(axis=-2)) / (average - oracle)


def _median(values):
    return np.median(values, axis=-1)


def _other_shares(average, oracle, learner, tasks, seeds):
    """Another share, with its own interval."""
    made = lambda share: _share_and_interval(average, oracle, learner, tasks, seeds, share)
    best = lambda ours: np.take_along_axis(
        ours, _median(ours).argmin(axis=-1)[..., None, None], axis=-2
    )
    between = lambda top, bottom, ours: (top - ours) / (top - bottom)
    return {
        "these are means over the tasks: a few tasks with large losses decide them; take medians": made(
            partial(_share, middle=np.mean)
        ),
        "this is the median of the ratios of single tasks: take the ratio of medians": made(
            lambda *losses: _median(_ratios(*losses))
        ),
        "this is the mean of the ratios of single tasks: take the ratio of medians": made(
            lambda *losses: _ratios(*losses).mean(axis=-1)
        ),
        "this is the median over seeds and tasks at once: average the seeds of each task first": made(
            lambda avg, law, ours: between(
                _median(avg), _median(law), np.median(ours, axis=(-2, -1))
            )
        ),
        "the median over the seeds is taken: average the seeds of each task": made(
            lambda avg, law, ours: _share(avg, law, np.median(ours, axis=-2, keepdims=True))
        ),
        "each seed's median is taken and then their mean: average the seeds of each task first": made(
            lambda avg, law, ours: between(_median(avg), _median(law), _median(ours).mean(axis=-1))
        ),
        "this is the best seed: average all of them": made(
            lambda avg, law, ours: _share(avg, law, best(ours))
        ),
        "this is the share that is left open: 1 minus it is asked for": made(
            lambda *losses: 1 - _share(*losses)
        ),
        "average predictor and oracle are exchanged in the denominator: the sign is wrong": made(
            lambda *losses: -_share(*losses)
        ),
        "the oracle is forgotten: nobody can reach a loss of 0 here": made(
            lambda avg, law, ours: _share(avg, 0 * law, ours)
        ),
        "the gain is divided by the oracle's loss: divide it by the gap": made(
            lambda avg, law, ours: (_median(avg) - _median(ours.mean(axis=-2))) / _median(law)
        ),
        "these are per cent: a share is asked for": tuple(
            100 * value for value in _share_and_interval(average, oracle, learner, tasks, seeds)
        ),
    }


def _other_resamples(average, oracle, learner, tasks, seeds):
    """The right share, with resamples that miss something."""
    share = float(_share(average, oracle, learner))
    every = np.tile(np.arange(len(learner)), (len(tasks), 1))
    all_tasks = np.tile(np.arange(len(average)), (len(tasks), 1))
    rows, others = _rows(learner, tasks, seeds), np.roll(tasks, 1, axis=0)
    return {
        "the seeds are not resampled: with few of them, they are much of the doubt": (
            share,
            *_ends(_resampled(average, oracle, learner, tasks, every)),
        ),
        "the tasks are not resampled: other tasks would have given another share": (
            share,
            *_ends(_resampled(average, oracle, learner, all_tasks, seeds)),
        ),
        "only the learner is resampled: take the same tasks of all three (paired)": (
            share,
            *_ends(_share(average, oracle, rows)),
        ),
        "the oracle is resampled with other rows: take the same tasks of all three (paired)": (
            share,
            *_ends(_share(average[tasks], oracle[others], rows)),
        ),
        "the average predictor is resampled with other rows: take the same tasks of all three (paired)": (
            share,
            *_ends(_share(average[others], oracle[tasks], rows)),
        ),
        "the interval is that of one seed alone": (
            share,
            *_ends(_resampled(average, oracle, learner[:1], tasks, 0 * seeds)),
        ),
        "the interval is the share of the ends of three intervals: take the share of each resample": (
            share,
            *_share_of_ends(average[tasks], oracle[tasks], rows),
        ),
    }


def _share_of_ends(average, oracle, learner):
    three = (_median(average), _median(oracle), _median(learner.mean(axis=-2)))
    tops, bottoms, ours = (np.array(_ends(values)) for values in three)
    low, high = (tops - ours) / (tops - bottoms)
    return float(low), float(high)


def _other_intervals(average, oracle, learner, tasks, seeds):
    """The right share and the right resamples, with other ends."""
    values = _resampled(average, oracle, learner, tasks, seeds)
    share, (low, high) = float(_share(average, oracle, learner)), _ends(values)
    spread = float(values.std(ddof=1))
    return {
        "these are the ends of an interval of 90 per cent: cut 2.5 per cent off on each side": (
            share,
            *_ends(values, 0.05, 0.95),
        ),
        "these are the ends of an interval of 50 per cent (quartiles): cut 2.5 per cent off on each side": (
            share,
            *_ends(values, 0.25, 0.75),
        ),
        "these are the smallest and the largest: cut 2.5 per cent off on each side": (
            share,
            *_ends(values, 0, 1),
        ),
        "the ends are swapped: the lower one comes first": (share, high, low),
        "the interval is the share plus and minus 1.96 standard deviations: take quantiles of the resamples": (
            share,
            share - 1.96 * spread,
            share + 1.96 * spread,
        ),
        "the standard deviation of the resamples is divided by a root once more: and quantiles are asked for": (
            share,
            share - 1.96 * spread / np.sqrt(len(values)),
            share + 1.96 * spread / np.sqrt(len(values)),
        ),
        "the first number is the median of the resamples: the share of the tasks themselves is asked for": (
            float(np.median(values)),
            low,
            high,
        ),
        "the first number is the mean of the resamples: the share of the tasks themselves is asked for": (
            float(values.mean()),
            low,
            high,
        ),
        "these are the distances of the ends from the share: the ends are asked for": (
            share,
            share - low,
            high - share,
        ),
        "the interval is turned round the share (2 · share − end): take the quantiles as they are": (
            share,
            2 * share - high,
            2 * share - low,
        ),
        "share and lower end are swapped: the share comes first": (low, share, high),
    }


# ------------------------------------------------------------------ 16.6


@exercise("16.claims", points=4, minutes=20, difficulty=3)
def claims(answer, rng):
    """Which sentences does the table support?"""
    for validation, test, ours in draw(rng, case=_two_tables):
        case = validation, test, ours
        right = _supported(*case)
        _expect_entries(answer(*case), right, partial(_wrong_sentence, case, right))


def _wrong_sentence(case, right, key):
    return _wrong_sentences(*case)[key] | _wrong_rivals(case, right[key])


NAMES = ("pretrained", "ridge", "fomaml", "reptile", "anil", "protonet", "scratch", "centroid", "boil",
         "mamlpp", "metasgd", "logistic", "nearest", "kernel", "linear", "average")  # fmt: skip
OUR_SEEDS = (0.95, 1.0, 1.08)
KINDS = (  # level of each seed, what is added, spread from task to task, spread of each number, worst tasks
    ((3.0, 3.0, 3.0), 0.0, 0.0, 0.05, 1.0),  # far behind
    ((1.0, 1.0, 1.0), 0.3, 0.0, 0.01, 1.0),  # behind by the same on every task
    ((1.2, 1.2, 1.2), 0.0, 0.0, 0.05, 1.0),  # a little behind
    ((1.0, 1.0, 1.0), 0.0, 0.0, 0.03, 1.0),  # level
    ((1.0, 1.0, 1.0), 0.0, 0.5, 0.05, 1.0),  # nobody knows
    ((0.7, 0.7, 0.7), 0.0, 0.0, 0.05, 1.0),  # ahead
    ((0.9, 0.9, 1.7), 0.0, 0.0, 0.05, 1.0),  # one bad seed
    ((1.5, 1.4, 0.9), 0.0, 0.0, 0.05, 1.0),  # one good seed
    ((1.5, 0.7, 0.7), 0.0, 0.0, 0.05, 1.0),  # a bad first seed
    ((1.2, 1.2, 1.2), 0.0, 0.35, 0.05, 1.0),  # behind, with doubts
    ((0.8, 0.8, 0.8), 0.0, 0.0, 0.05, 4.0),  # ahead on most tasks, far behind on a few
    ((1.08, 1.08, 1.08), 0.0, 0.1, 0.02, 1.0),  # at the edge of the margin
    ((1.08, 1.0, 0.98), 0.0, 0.1, 0.3, 1.0),  # noisy
    ((1.0, 1.05, 1.13), 0.0, 0.0, 0.01, 1.0),  # behind on each seed, and seeds differ more
    ((1.3, 1.2, 0.98), 0.0, 0.0, 0.02, 1.0),  # its best seed is nearly ours
    ((0.92, 0.94, 0.93), 0.0, 0.15, 0.02, 1.0),  # at the other edge
)


def _two_tables(rng):
    """(validation, test, ours): rivals from far behind to ahead; on validation some do otherwise."""
    while True:
        ours = "maml"
        rivals, kinds = rng.permutation(NAMES).tolist(), list(KINDS)
        of_test = dict(zip(rivals, kinds, strict=True))
        kinds[0], kinds[3], kinds[5] = kinds[5], kinds[0], kinds[3]
        kinds[2], kinds[10], kinds[8] = kinds[10], kinds[8], kinds[2]
        of_val = dict(zip(rivals, kinds, strict=True))
        order = rng.permutation([ours, *rivals]).tolist()
        case = _table(rng, order, ours, of_val), _table(rng, order, ours, of_test), ours
        right, wrong = _supported(*case), _wrong_sentences(*case)
        if all(_apart(right[key], wrong[key] | _wrong_rivals(case, right[key])) for key in right):
            return case


def _table(rng, order, ours, kinds):
    """{method: losses (seeds, tasks)}, in this order, on tasks that are hard or easy for every method."""
    hard = rng.lognormal(0.0, 0.6, int(rng.integers(14, 20)))
    level = np.array(OUR_SEEDS)[:, None]
    return {
        name: np.round(
            _rival(rng, hard, *kinds[name])
            if name != ours
            else level * hard * rng.lognormal(0, 0.02, (3, len(hard))),
            4,
        )
        for name in order
    }


def _rival(rng, hard, levels, more, from_task, spread, worst):
    """Losses (seeds, tasks) of one kind of method."""
    each = (
        hard * rng.lognormal(0, from_task, len(hard)) * np.where(hard > np.sort(hard)[-4], worst, 1)
    )
    return np.array(levels)[:, None] * each * rng.lognormal(0, spread, (3, len(hard))) + more


def _interval(minus, factor=1.96, count=None, root=True):
    """The ends of the interval of a mean of differences (tasks,)."""
    half = factor * minus.std(ddof=1) / (np.sqrt(count or len(minus)) if root else 1.0)
    return minus.mean() - half, minus.mean() + half


def _rivals_for(table, ours, holds):
    """The rivals for which holds(our losses, theirs), in the order of the table."""
    return [name for name in table if name != ours and holds(table[ours], table[name])]


def _minus(mine, theirs):
    return theirs.mean(axis=0) - mine.mean(axis=0)


def _better(mine, theirs, **how):
    return bool(_interval(_minus(mine, theirs), **how)[0] > 0)


def _every_seed(mine, theirs):
    return bool((mine.mean(axis=1) < theirs.mean(axis=1)).all())


def _most_tasks(mine, theirs):
    return bool((_minus(mine, theirs) > 0).mean() > 0.5)


def _level(mine, theirs, share=0.1):
    low, high = _interval(_minus(mine, theirs))
    return bool(max(abs(low), abs(high)) < share * theirs.mean())


def _chosen(mine, theirs):
    return bool(mine.mean() < theirs.mean())


def _supported(validation, test, ours):
    of_test = partial(_rivals_for, test, ours)
    return {
        "better": of_test(_better),
        "every seed": of_test(_every_seed),
        "most tasks": of_test(_most_tasks),
        "level": of_test(_level),
        "chosen": _rivals_for(validation, ours, _chosen),
    }


def _wrong_rivals(case, right):
    """The right rivals, told in a wrong way."""
    _, test, ours = case
    rest = [name for name in test if name != ours]
    return {
        "these are the rivals for which the sentence is not supported": [
            name for name in rest if name not in right
        ],
        "our own method is among its rivals": [n for n in test if n == ours or n in right],
    }


def _wrong_sentences(validation, test, ours):
    of_test, of_val = (partial(_rivals_for, table, ours) for table in (test, validation))
    return {
        "better": _wrong_better(of_test, of_val),
        "every seed": _wrong_every_seed(of_test, of_val),
        "most tasks": _wrong_most_tasks(of_test, of_val),
        "level": _wrong_level(of_test, of_val),
        "chosen": {
            "the choice looks at the test table: a method is chosen on validation": of_test(
                _chosen
            ),
            "the best seed is compared: the mean of all seeds and tasks is asked for": of_val(
                lambda mine, theirs: mine.mean(axis=1).min() < theirs.mean(axis=1).min()
            ),
            "the medians are compared: the means are asked for": of_val(
                lambda mine, theirs: np.median(mine) < np.median(theirs)
            ),
            "a difference within the interval counts as none: the lower mean is chosen, that is all": of_val(
                _better
            ),
        },
    }


def _wrong_better(of_test, of_val):
    unpaired = lambda mine, theirs: (
        _minus(mine, theirs).mean()
        - 1.96 * np.sqrt(sum(v.mean(axis=0).var(ddof=1) / mine.shape[1] for v in (mine, theirs)))
        > 0
    )
    return {
        "a lower mean counts as better: the difference must be outside its interval": of_test(
            _chosen
        ),
        "the validation table is used for a sentence about the test": of_val(_better),
        "seeds count as further tasks: three seeds on one task are not three tasks; average them first": of_test(
            lambda mine, theirs: _interval((theirs - mine).ravel())[0] > 0
        ),
        "only the first seed is used": of_test(
            lambda mine, theirs: _interval(theirs[0] - mine[0])[0] > 0
        ),
        "the interval is that of two independent samples: the tasks are the same, take differences": of_test(
            unpaired
        ),
        "the two methods are exchanged: the difference is theirs minus ours": of_test(
            lambda mine, theirs: _better(theirs, mine)
        ),
        "any difference outside its interval counts, better or worse": of_test(
            lambda mine, theirs: _better(mine, theirs) or _better(theirs, mine)
        ),
        "the standard deviation is not divided by the root of the number of tasks": of_test(
            partial(_better, root=False)
        ),
    }


def _wrong_every_seed(of_test, of_val):
    return {
        "the seeds are averaged: the sentence says each of them": of_test(_chosen),
        "one seed is enough here: the sentence says each of them": of_test(
            lambda mine, theirs: (mine.mean(axis=1) < theirs.mean(axis=1)).any()
        ),
        "most seeds are enough here: the sentence says each of them": of_test(
            lambda mine, theirs: (mine.mean(axis=1) < theirs.mean(axis=1)).mean() > 0.5
        ),
        "our best seed is compared with their best: compare seed by seed": of_test(
            lambda mine, theirs: mine.mean(axis=1).min() < theirs.mean(axis=1).min()
        ),
        "our worst seed is compared with their best: compare seed by seed": of_test(
            lambda mine, theirs: mine.mean(axis=1).max() < theirs.mean(axis=1).min()
        ),
        "the validation table is used for a sentence about the test": of_val(_every_seed),
    }


def _wrong_most_tasks(of_test, of_val):
    return {
        "a lower mean is taken for most tasks: a few tasks can decide a mean": of_test(_chosen),
        "seeds and tasks are counted together: average the seeds of each task, then count tasks": of_test(
            lambda mine, theirs: (mine < theirs).mean() > 0.5
        ),
        "only the first seed is used": of_test(
            lambda mine, theirs: (mine[0] < theirs[0]).mean() > 0.5
        ),
        "the medians of the two methods are compared: compare task by task, and count": of_test(
            lambda mine, theirs: np.median(mine.mean(axis=0)) < np.median(theirs.mean(axis=0))
        ),
        "the validation table is used for a sentence about the test": of_val(_most_tasks),
    }


def _wrong_level(of_test, of_val):
    contains_0 = lambda mine, theirs: not _better(mine, theirs) and not _better(theirs, mine)
    near = lambda mine, theirs: abs(_minus(mine, theirs).mean()) < 0.1 * theirs.mean()
    return {
        "an interval that contains 0 is taken for level: it may only be wide. No difference shown is no equality "
        "shown": of_test(contains_0),
        "only the middle of the interval is within the margin: the whole interval must be": of_test(
            near
        ),
        "one end of the interval within the margin is enough here: both must be": of_test(
            lambda mine, theirs: min(np.abs(_interval(_minus(mine, theirs)))) < 0.1 * theirs.mean()
        ),
        "only the upper end of the interval is compared with the margin": of_test(
            lambda mine, theirs: _interval(_minus(mine, theirs))[1] < 0.1 * theirs.mean()
        ),
        "only the lower end of the interval is compared with the margin": of_test(
            lambda mine, theirs: _interval(_minus(mine, theirs))[0] > -0.1 * theirs.mean()
        ),
        "the margin is half of the rival's loss: a tenth of it is asked for": of_test(
            partial(_level, share=0.5)
        ),
        "the validation table is used for a sentence about the test": of_val(_level),
    }
