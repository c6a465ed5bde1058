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


def _expect_entries(got, right, mistakes, things=""):
    """Compare a dict entry by entry; mistakes(key): those that concern this entry; things: what the lists hold."""
    if not isinstance(got, dict) or got.keys() != right.keys():
        return expect(got, right)
    for key, value in right.items():
        part, what = _listed(got[key]), f'your entry "{key}"'
        otherwise = _too_many_or_few(part, value, things, what) if things else ""
        expect(part, value, partial(mistakes, key), what=what, otherwise=otherwise)


def _too_many_or_few(got, right, things, what):
    """How a list differs from the right one as a set does; "" where it holds something else."""
    kinds = (int, np.integer) if things == "tasks" else (str, np.str_)
    if not isinstance(got, (list, tuple)) or not all(isinstance(item, kinds) for item in got):
        return ""
    many, few = set(got) - set(right), set(right) - set(got)
    if many and few:
        return f"{what} lists {things} that do not belong there, and others are missing"
    if many or few:
        return (
            f"{what} lists {things} that do not belong there"
            if many
            else f"{what} misses some {things}"
        )
    if len(got) > len(right):
        return f"{what} lists the right {things}, but some of them twice"
    return f"{what} lists the right {things}, but not in the order asked for"


# ------------------------------------------------------------------ 16.1

NEAR = 1e-6
PARTS = ("support_x", "support_y", "query_x", "query_y")


@exercise("16.family_check", points=4, minutes=25, difficulty=3)
def family_check(answer, rng):
    """Which rules does a family break?"""
    for draws in draw(rng, draws=_draws):
        right = _faults(*draws)
        _expect_entries(answer(*draws), right, partial(_wrong_entry, draws, right), "tasks")


def _wrong_entry(draws, right, key):
    return _wrong_faults(*draws)[key] | _wrong_numbers(right[key])


def _draws(rng):
    """Three draws with something of everything, in which no two mistakes come to the same."""
    while True:
        first = _clean(rng, int(rng.integers(32, 35)))
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
    a, b, c, d, e, f, g, h = places[:8]
    query[a, 3] = x[a, 1]  # at another position
    small = np.array([0.01, x[b, 0, 1]])  # near 0 a relative tolerance is too small
    x[b, 0], query[b, 2] = _two_sides(small, (5, 6))  # rounded on the way
    query[c, 1] = x[c, 1]  # at the same position
    query[d] = x[d][[0, 1, 2, 3, 0, 1]]  # all of them
    query[e, 4, 0] = x[e, 2, 0]  # one coordinate alone
    query[f, 5] = x[f, 0, 0], x[f, 3, 1]  # coordinates of two examples
    draw["query_y"][f, 1] = draw["support_y"][f, 2]  # the same y, another x
    query[g, 0] = x[e, 1]  # from another task's support set
    x[h, 2] = _away_from_0(x[h, 2])
    query[h, 4] = x[h, 2] + CLOSE_BY  # near, but not near enough


def _plant_copies(rng, draw, places):
    """Tasks that are earlier ones once more, and others that only look like an earlier one."""
    free = places[8:]  # the others have queries from the support set
    start = int(rng.choice([t for t in free if t + 1 in free]))
    rest = [t for t in free if t not in (start, start + 1)]
    pairs = [(start, start + 1), *(tuple(sorted(rest[2 * i : 2 * i + 2])) for i in range(9))]
    for kind, (early, late) in zip(("next door", "whole", *TWINS), pairs, strict=True):
        old, own = (_sets(draw)[t] for t in (early, late))
        old, new = TWINS.get(kind, _unchanged)(rng, old, own)
        for t, rows in ((early, old), (late, new)):
            draw["support_x"][t], draw["support_y"][t] = rows[:, :-1], rows[:, -1]
        for name in PARTS[2:] if kind == "whole" else ():
            draw[name][late] = draw[name][early]


CLOSE_BY = 3e-6  # more than NEAR, less than a relative tolerance of 1e-5 makes of numbers above 0.5


def _away_from_0(numbers):
    return np.sign(numbers) * (np.abs(numbers) + 0.5)


def _two_sides(numbers, decimals):
    """Two numbers each, 4e-7 apart, which go up and down when they are rounded to so many decimals."""
    unit = 10.0 ** -np.array(decimals)
    middle = (np.floor(numbers / unit) + 0.5) * unit
    sides = np.resize([2e-7, -2e-7], middle.shape)
    return middle - sides, middle + sides


def _unchanged(rng, old, own):
    return old, old


def _turned(rng, old, own):
    return old, np.roll(old, int(rng.integers(1, 4)), axis=0)


def _rounded(rng, old, own):
    old = old.copy()
    old[0, 0] = 0.01  # near 0 a relative tolerance is too small
    one, two = _two_sides(old.T, (3, 4, 5, 6))
    return one.T, two.T


def _tied(rng, old, own):
    """Examples that share a number, so that rounding decides which of them comes first."""
    old, new = old.copy(), old.copy()
    for column, pair in enumerate(([0, 1], [2, 3], [0, 2])):
        old[pair, column] = _two_sides(old[pair[0], column], 6)
        new[pair, column] = old[pair[::-1], column]
    return old, new


def _close_by(rng, old, own):
    old = _away_from_0(old)
    return old, old + CLOSE_BY


def _crossed(rng, old, own):
    """The same x and the same y, in other pairs."""
    return old, np.column_stack([old[:, :-1], np.roll(old[:, -1], int(rng.integers(1, 4)))])


def _balanced(rng, old, own):
    """The same sums."""
    return old, old + np.outer([1, -1, 0, 0], rng.normal(size=3))


def _x_alone(rng, old, own):
    return old, np.column_stack([old[:, :-1], own[:, -1]])


def _y_alone(rng, old, own):
    return old, np.column_stack([own[:, :-1], old[:, -1]])


TWINS = {
    "turned": _turned,
    "rounded": _rounded,
    "tied": _tied,
    "close by": _close_by,
    "crossed": _crossed,
    "balanced": _balanced,
    "x alone": _x_alone,
    "y alone": _y_alone,
}


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
    other, (a, b, c, d, e, f, g) = _clean(rng, tasks), map(int, rng.permutation(tasks)[:7])
    old, own = _sets(first), _sets(other)
    rounded = lambda rng, old, own: (old, old + np.array([[4e-7], [-4e-7], [4e-7], [-4e-7]]))
    plants = (a, a, _unchanged), (b, c, _unchanged), (c, d, _turned), (f, b, rounded)
    for to, source, how in (*plants, (d, e, _x_alone), (e, b, _y_alone), (g, f, _crossed)):
        rows = how(rng, old[source], own[to])[1]
        other["support_x"][to], other["support_y"][to] = rows[:, :-1], rows[:, -1]
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


def _in_order(sets):
    """The examples of each task sorted by their first number (in a tie by the next ones)."""
    return np.array([rows[np.lexsort(rows.T[::-1])] for rows in sets])


def _same_apart(one, two):
    """Whether the x are the same, and the y, whichever belong together."""
    return _same_sets(one[..., :-1], two[..., :-1]) & _same_sets(one[..., -1:], two[..., -1:])


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


TOLERANT = "`==` does not allow for it, nor does rounding both (it may part near numbers); compare differences"
ABSOLUTE = "10⁻⁶ is the limit, for all numbers; `isclose` has a relative tolerance as well (atol=1e-6, rtol=0)"
SORTED = (
    "of two with the same number, rounding decides which comes first; look for a partner of each"
)


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
        f"in the queries, rounding makes another x: {TOLERANT}": _which(
            _close(query, x, 0.0).any(axis=(1, 2))
        ),
        f"a query that is only near an example counts as seen: {ABSOLUTE}": _which(
            _close(query, x, 2 * CLOSE_BY).any(axis=(1, 2))
        ),
        f"the queries are compared by `isclose` as it comes: {ABSOLUTE}": _which(
            np.isclose(query[:, :, None], x[:, None]).all(axis=-1).any(axis=(1, 2))
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
        f"rounding makes a new task here: {TOLERANT}": _copies(_same_sets(sets, sets, 0.0)),
        f"tasks that are only near each other count as copies: {ABSOLUTE}": _copies(
            _same_sets(sets, sets, 2 * CLOSE_BY)
        ),
        f"the tasks are compared by `isclose` as it comes: {ABSOLUTE}": _copies(
            np.isclose(sets[:, None, :, None], sets[None, :, None])
            .all(axis=-1)
            .any(axis=-1)
            .all(axis=-1)
        ),
        f"the examples are sorted before they are compared: {SORTED}": _copies(
            _same_lists(_in_order(sets), _in_order(sets))
        ),
        "x and y are looked for separately, the x of one example and the y of another: compare pairs": _copies(
            _same_apart(sets, sets)
        ),
        "the tasks are compared by sums or means: other examples can have the same": _copies(
            _same_lists(sets.mean(axis=1, keepdims=True), sets.mean(axis=1, keepdims=True))
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
        f"rounding makes a new task of the other draw: {TOLERANT}": _which(
            _same_sets(sets, others, 0.0).any(axis=0)
        ),
        "x and y of the two draws are looked for separately: compare pairs": _which(
            _same_apart(sets, others).any(axis=0)
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


def _weights_of_sum_1(one, two):
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
        "the weights go through a softmax, and the step is α times 2: linear attention has none": made(
            factor=2.0 * n, weights=_softmax
        ),
        "the weights go through a softmax, and the step is α: linear attention has none": made(
            factor=1.0 * n, weights=_softmax
        ),
        "the residuals stay y in all layers: a layer leaves less of them": (
            made(values="first")[0],
            y,
        ),
        "the inner products are divided by √d: that belongs to softmax attention": made(
            factor=2.0 / root
        ),
        "the weights of a token are divided by their sum: linear attention leaves them as they are": made(
            weights=_weights_of_sum_1
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


@exercise("16.oracle", points=3, minutes=10, difficulty=2)
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
        x = np.round(x, 7)
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
        "where the points lie half periods apart, what rounding leaves is taken for a signal: `rcond=1e-6`": made(
            solve=lambda c, y: np.linalg.lstsq(c, y, rcond=None)[0]
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
        "in your mask a query does not see itself: it should": same & pairs[None],
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
        "a pair sees only itself, and a query not even that": same
        & pairs[None]
        & (itself | is_query[:, None]),
        "pairs and queries are exchanged: is_query is True for a query": same
        & (is_query[None] | itself),
        "pairs do not see themselves": right & ~(itself & pairs[None]),
        "no token sees itself": right & ~itself,
        "True and False are exchanged: True means that it may be seen": ~right,
        "pairs see nothing: only the rows of the queries are filled": right & is_query[:, None],
    }


# ------------------------------------------------------------------ 16.5


@exercise("16.difficulty", points=5, minutes=30, difficulty=4)
def difficulty(answer, rng):
    """How much of the gap is closed, and what is in doubt?"""
    for case in draw(rng, case=_losses):
        _expect_entries(answer(*case), _shares(*case), partial(_wrong_shares, case))


def _losses(rng):
    """(average, oracle, learner, rival, tasks, seeds): losses with heavy tails that hard tasks share."""
    count, seeds, rows = int(rng.integers(25, 35)), int(rng.integers(3, 6)), 60
    hard = rng.lognormal(0.0, 0.7, count)
    oracle = 0.1 * hard * rng.lognormal(0, 0.3, count)
    average = 3.0 * hard * rng.lognormal(0, 0.3, count)
    level = rng.permutation(np.linspace(0.25, 0.7, seeds))[:, None]
    both = level * average * rng.lognormal(0, 0.3, (seeds, count))
    learner = both * rng.lognormal(0, 0.2, (seeds, count))
    rival = 1.1 * both * rng.lognormal(0, 0.2, (seeds, count))
    tasks, draws = rng.integers(count, size=(rows, count)), rng.integers(seeds, size=(rows, seeds))
    return average, oracle, learner, rival, tasks, draws


def _between(top, bottom, ours):
    return (top - ours) / (top - bottom)


def _median(values):
    return np.median(values, axis=-1)


def _share(average, oracle, learner, middle=_median):
    """Of losses (…, tasks) and the learner's (…, seeds, tasks)."""
    return _between(middle(average), middle(oracle), middle(learner.mean(axis=-2)))


def _rows(learner, tasks, seeds):
    """The learner's losses in every resample, (resamples, seeds, tasks)."""
    return learner[seeds[:, :, None], tasks[:, None]]


def _resampled(average, oracle, learner, tasks, seeds):
    return _share(average[tasks], oracle[tasks], _rows(learner, tasks, seeds))


def _ends(values, low=0.025, high=0.975):
    return float(np.quantile(values, low)), float(np.quantile(values, high))


def _as_they_are(numbers, items):
    """Rows for resamples in which each of these items is there once."""
    return np.tile(np.arange(items), (len(numbers), 1))


def _values(average, oracle, learner, rival, tasks, seeds):
    """The shares of which each interval is made."""
    made = partial(_resampled, average, oracle)
    return {
        "interval": made(learner, tasks, seeds),
        "tasks alone": made(learner, tasks, _as_they_are(seeds, len(learner))),
        "seeds alone": made(learner, _as_they_are(tasks, len(average)), seeds),
        "lead": made(learner, tasks, seeds) - made(rival, tasks, seeds),
    }


def _shares(average, oracle, learner, rival, tasks, seeds):
    values = _values(average, oracle, learner, rival, tasks, seeds)
    share = float(_share(average, oracle, learner))
    return {"share": share} | {key: _ends(value) for key, value in values.items()}


def _wrong_shares(case, key):
    """The mistakes that concern this entry."""
    average, oracle, learner, rival, tasks, seeds = case
    values = _values(*case)
    if key == "share":
        return _other_shares(average, oracle, learner, rival, values["interval"])
    point = float(_share(average, oracle, learner))
    if key == "lead":
        point -= float(_share(average, oracle, rival))
    special = {
        "interval": _other_resamples,
        "tasks alone": _other_tasks_alone,
        "seeds alone": _other_seeds_alone,
        "lead": _other_leads,
    }
    return special[key](*case, values) | _other_ends(values[key], point)


def _other_shares(average, oracle, learner, rival, resampled):
    top, bottom, ours = _median(average), _median(oracle), _median(learner.mean(axis=0))
    ratios = (average - learner.mean(axis=0)) / (average - oracle)
    return {
        "these are means over the tasks: a few tasks with large losses decide them; take medians": float(
            _share(average, oracle, learner, lambda values: values.mean(axis=-1))
        ),
        "this is the median of the ratios of single tasks: take the ratio of medians": float(
            np.median(ratios)
        ),
        "this is the mean of the ratios of single tasks: take the ratio of medians": float(
            ratios.mean()
        ),
        "this is the median over seeds and tasks at once: average the seeds of each task first": float(
            _between(top, bottom, np.median(learner))
        ),
        "the median over the seeds is taken: average the seeds of each task": float(
            _between(top, bottom, np.median(np.median(learner, axis=0)))
        ),
        "each seed's median is taken and then their mean: average the seeds of each task first": float(
            _between(top, bottom, _median(learner).mean())
        ),
        "this is the best seed: average all of them": float(
            _between(top, bottom, _median(learner).min())
        ),
        "this is the share that is left open: 1 minus it is asked for": float(
            1 - _between(top, bottom, ours)
        ),
        "average predictor and oracle are exchanged in the denominator: the sign is wrong": float(
            -_between(top, bottom, ours)
        ),
        "the oracle is forgotten: nobody can reach a loss of 0 here": float(1 - ours / top),
        "the gain is divided by the oracle's loss: divide it by the gap": float(
            (top - ours) / bottom
        ),
        "these are per cent: a share is asked for": float(100 * _between(top, bottom, ours)),
        "this is the rival's share": float(_share(average, oracle, rival)),
        "this is the median of the resamples: the share of the tasks themselves is asked for": float(
            np.median(resampled)
        ),
        "this is the mean of the resamples: the share of the tasks themselves is asked for": float(
            resampled.mean()
        ),
    }


def _each_once(learner, average, oracle, tasks, seeds, of_tasks=False):
    """Ends where tasks (or seeds) that were drawn twice count once."""
    once = lambda numbers, yes: np.unique(numbers) if yes else numbers
    rows = ((once(t, of_tasks), once(s, not of_tasks)) for t, s in zip(tasks, seeds, strict=True))
    return _ends([_share(average[t], oracle[t], learner[s][:, t]) for t, s in rows])


def _other_resamples(average, oracle, learner, rival, tasks, seeds, values):
    """Mistakes in what is drawn for the interval."""
    rows, others = _rows(learner, tasks, seeds), np.roll(tasks, 1, axis=0)
    one = _resampled(average, oracle, learner[:1], tasks, 0 * seeds)
    return {
        "the seeds are not resampled: with few of them, they are much of the doubt": _ends(
            values["tasks alone"]
        ),
        "the tasks are not resampled: other tasks would have given another share": _ends(
            values["seeds alone"]
        ),
        "only the learner is resampled: take the same tasks of all three (paired)": _ends(
            _share(average, oracle, rows)
        ),
        "the oracle is resampled with other rows: take the same tasks of all three (paired)": _ends(
            _share(average[tasks], oracle[others], rows)
        ),
        "the average predictor is resampled with other rows: take the same tasks of all three (paired)": _ends(
            _share(average[others], oracle[tasks], rows)
        ),
        "the interval is that of one seed alone": _ends(one),
        "a seed that was drawn twice counts once here: it counts twice": _each_once(
            learner, average, oracle, tasks, seeds
        ),
        "a task that was drawn twice counts once here: it counts twice": _each_once(
            learner, average, oracle, tasks, seeds, of_tasks=True
        ),
        "the interval is the share of the ends of three intervals: take the share of each resample": (
            _share_of_ends(average[tasks], oracle[tasks], rows)
        ),
    }


def _share_of_ends(average, oracle, learner):
    three = (_median(average), _median(oracle), _median(learner.mean(axis=-2)))
    low, high = _between(*(np.array(_ends(values)) for values in three))
    return float(low), float(high)


def _other_tasks_alone(average, oracle, learner, rival, tasks, seeds, values):
    one = _resampled(average, oracle, learner[:1], tasks, 0 * seeds)
    return {
        "the seeds are resampled as well: each of them counts once here": _ends(values["interval"]),
        "here the seeds are resampled and the tasks are not: it is the other way round": _ends(
            values["seeds alone"]
        ),
        "only the first seed is there: all seeds stay, each once": _ends(one),
    }


def _other_seeds_alone(average, oracle, learner, rival, tasks, seeds, values):
    every = _as_they_are(tasks, len(average))
    return {
        "the tasks are resampled as well: each of them counts once here": _ends(values["interval"]),
        "here the tasks are resampled and the seeds are not: it is the other way round": _ends(
            values["tasks alone"]
        ),
        "these are the quantiles of the shares of single seeds: draw as many seeds as there are": _ends(
            _share(average, oracle, learner[:, None])
        ),
        "a seed that was drawn twice counts once here: it counts twice": _each_once(
            learner, average, oracle, every, seeds
        ),
    }


def _other_leads(average, oracle, learner, rival, tasks, seeds, values):
    made = partial(_resampled, average, oracle)
    (low, high), ours = _ends(values["interval"]), values["interval"]
    theirs = made(rival, tasks, seeds)
    rival_low, rival_high = _ends(theirs)
    gap = _median(average[tasks]) - _median(oracle[tasks])
    each_task, each_seed = _as_they_are(tasks, len(average)), _as_they_are(seeds, len(learner))
    alone = lambda *drawn: _ends(made(learner, *drawn) - made(rival, *drawn))
    return {
        "the ends of two intervals are subtracted, low from low: subtract the shares in each resample": (
            low - rival_low,
            high - rival_high,
        ),
        "our low end meets the rival's high end: what they have in common cancels in each resample": (
            low - rival_high,
            high - rival_low,
        ),
        "this is the rival's share minus ours: it is the other way round": _ends(-values["lead"]),
        "the rival has other tasks than the learner: draw the same for both": _ends(
            ours - made(rival, np.roll(tasks, 1, axis=0), seeds)
        ),
        "the rival has other seeds than the learner: seed k of both belongs together": _ends(
            ours - made(rival, tasks, np.roll(seeds, 1, axis=0))
        ),
        "the rival is not resampled: the draws count for it as well": _ends(
            ours - _share(average, oracle, rival)
        ),
        "the rival's seeds are not resampled: seed k of both belongs together": _ends(
            ours - made(rival, tasks, each_seed)
        ),
        "the seeds are not resampled": alone(tasks, each_seed),
        "the tasks are not resampled": alone(each_task, seeds),
        "this is the difference of the losses: that of the shares is asked for": _ends(
            values["lead"] * gap
        ),
        "this is the rival's own interval: that of the difference is asked for": _ends(theirs),
        "this is the ratio of the shares: the difference is asked for": _ends(ours / theirs),
        "this is the learner's own interval again: that of the difference is asked for": (
            low,
            high,
        ),
    }


def _other_ends(values, point):
    """The right resamples, with other ends; point: what comes without any resampling."""
    low, high = _ends(values)
    spreads = {ddof: float(values.std(ddof=ddof)) for ddof in (0, 1)}
    around = lambda half: (point - half, point + half)
    normal = {
        f"this is plus and minus 1.96 standard deviations (ddof={ddof}): take quantiles of the resamples": around(
            1.96 * spread
        )
        for ddof, spread in spreads.items()
    }
    return normal | {
        "the standard deviation of the resamples is divided by a root once more: and quantiles are asked for": (
            around(1.96 * spreads[1] / np.sqrt(len(values)))
        ),
        "these are the ends of an interval of 90 per cent: cut 2.5 per cent off on each side": _ends(
            values, 0.05, 0.95
        ),
        "these are the ends of an interval of 50 per cent (quartiles): cut 2.5 per cent off on each side": _ends(
            values, 0.25, 0.75
        ),
        "these are the smallest and the largest: cut 2.5 per cent off on each side": _ends(
            values, 0, 1
        ),
        "`np.percentile` counts from 0 to 100: 2.5 and 97.5 there, or `np.quantile`": _ends(
            values, 0.00025, 0.00975
        ),
        "the ends are swapped: the lower one comes first": (high, low),
        "these are the distances of the ends from the middle: the ends are asked for": (
            point - low,
            high - point,
        ),
        "the interval is turned round (twice the middle, minus the end): take the quantiles as they are": (
            2 * point - high,
            2 * point - low,
        ),
    }


# ------------------------------------------------------------------ 16.6


@exercise("16.claims", points=4, minutes=20, difficulty=3)
def claims(answer, rng):
    """Which sentences does the table support?"""
    for validation, test, ours in draw(rng, case=_two_tables):
        case = validation, test, ours
        right = _supported(*case)
        _expect_entries(answer(*case), right, partial(_wrong_sentence, case, right), "rivals")


def _wrong_sentence(case, right, key):
    return _wrong_sentences(*case)[key] | _wrong_rivals(case, right[key])


NAMES = ("pretrained", "ridge", "fomaml", "reptile", "anil", "protonet", "scratch", "centroid", "boil",
         "mamlpp", "metasgd", "logistic", "nearest", "kernel", "linear", "average", "leo", "cavia", "imaml",
         "svm", "warpgrad")  # fmt: skip
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
    *[((0.95, 1.0, 1.08), 0.0, 0.1, 0.02, 1.0)] * 5,  # what `_at_the_edges` shifts
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
        _at_the_edges(case[1], ours, rivals[-5:])
        if _tied(case[1], ours):
            continue
        right, wrong = _supported(*case), _wrong_sentences(*case)
        if all(_apart(right[key], wrong[key] | _wrong_rivals(case, right[key])) for key in right):
            return case


def _tied(test, ours):
    """Whether a rival's loss on a task is ours: rounding would decide who is ahead there."""
    return any(np.abs(_minus(test[ours], test[name])).min() < 1e-6 for name in test if name != ours)


def _table(rng, order, ours, kinds):
    """{method: losses (seeds, tasks)}, in this order, on tasks that are hard or easy for every method."""
    hard = rng.lognormal(0.0, 0.6, 2 * int(rng.integers(8, 11)))
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


def _at_the_edges(test, ours, rivals):
    """Shift these five rivals' losses to where it matters how exactly a sentence is checked."""
    mine = test[ours]
    for name, edge in zip(rivals, EDGES, strict=True):
        minus = _minus(mine, test[name])
        half = (_interval(minus)[1] - minus.mean()) * 0.986  # between ddof=0 and ddof=1
        shift = EDGES[edge](minus, half, mine.mean(), test[name].mean())
        test[name] = np.round(test[name] + shift, 4)


EDGES = {  # by how much: of the differences, half the interval, our mean loss and the rival's
    "better": lambda minus, half, mine, theirs: half - minus.mean(),
    "level": lambda minus, half, mine, theirs: (0.1 * theirs - minus.mean() - half) / 0.9,
    "half of the tasks": lambda minus, half, mine, theirs: -np.median(minus),
    "a tenth of ours": lambda minus, half, mine, theirs: (0.1 * mine - half) / 0.95 - minus.mean(),
    "the middle": lambda minus, half, mine, theirs: 0.1 * mine - minus.mean(),
}


def _rival(rng, hard, levels, more, from_task, spread, worst):
    """Losses (seeds, tasks) of one kind of method."""
    each = (
        hard * rng.lognormal(0, from_task, len(hard)) * np.where(hard > np.sort(hard)[-4], worst, 1)
    )
    return np.array(levels)[:, None] * each * rng.lognormal(0, spread, (3, len(hard))) + more


def _interval(minus, root=True, ddof=1):
    """The ends of the interval of a mean of differences (tasks,)."""
    half = 1.96 * minus.std(ddof=ddof) / (np.sqrt(len(minus)) if root else 1.0)
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


def _level(mine, theirs, share=0.1, ddof=1):
    low, high = _interval(_minus(mine, theirs), ddof=ddof)
    return bool(max(abs(low), abs(high)) < share * theirs.mean())


def _over_seeds(mine, theirs):
    """The interval over the seeds."""
    return _interval((theirs - mine).mean(axis=1))


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
        "the standard deviation is that of a population (ddof=0): these tasks are a sample (ddof=1)": of_test(
            partial(_better, ddof=0)
        ),
        "the interval is one over the seeds: average them, and take the interval over the tasks": of_test(
            lambda mine, theirs: _over_seeds(mine, theirs)[0] > 0
        ),
        "the standard deviation is not divided by the root of the number of tasks": of_test(
            partial(_better, root=False)
        ),
    }


def _wrong_every_seed(of_test, of_val):
    return {
        "the seeds are averaged: the sentence says each of them": of_test(_chosen),
        "the two methods are exchanged: ours is to have the lower loss": of_test(
            lambda mine, theirs: _every_seed(theirs, mine)
        ),
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
        "half of the tasks counts as most of them: more than half are asked for": of_test(
            lambda mine, theirs: (_minus(mine, theirs) > 0).mean() >= 0.5
        ),
        "the two methods are exchanged: the difference is theirs minus ours": of_test(
            lambda mine, theirs: _most_tasks(theirs, mine)
        ),
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
        "the margin is a tenth of our loss: the rival's is asked for": of_test(
            lambda mine, theirs: max(np.abs(_interval(_minus(mine, theirs)))) < 0.1 * mine.mean()
        ),
        "the standard deviation is that of a population (ddof=0): these tasks are a sample (ddof=1)": of_test(
            partial(_level, ddof=0)
        ),
        "the interval is one over the seeds: average them, and take the interval over the tasks": of_test(
            lambda mine, theirs: max(np.abs(_over_seeds(mine, theirs))) < 0.1 * theirs.mean()
        ),
        "the margin is half of the rival's loss: a tenth of it is asked for": of_test(
            partial(_level, share=0.5)
        ),
        "the validation table is used for a sentence about the test": of_val(_level),
    }
