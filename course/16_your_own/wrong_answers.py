"""Wrong answers that a learner of chapter 16 might give, and what each is told; then unusual right ones."""

import numpy as np

from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 16.1

ARRAYS = "support_x", "support_y", "query_x", "query_y"


def _near(one, two, by=1e-6):
    return (np.abs(one[:, None] - two) <= by).all(axis=-1)


def _as_sets(one, two, by=1e-6):
    partners = _near(one, two, by)
    return partners.any(axis=0).all() and partners.any(axis=1).all()


def _pairs(draw):
    return [
        np.column_stack(task) for task in zip(draw["support_x"], draw["support_y"], strict=True)
    ]


def _unrepeatable(first, again):
    return [t for t in _tasks(first) if any((first[k][t] != again[k][t]).any() for k in ARRAYS)]


def _tasks(draw):
    return range(len(draw["support_y"]))


def _seen(first, by=1e-6):
    pairs = zip(first["query_x"], first["support_x"], strict=True)
    return [t for t, (query, x) in enumerate(pairs) if _near(query, x, by).any()]


def _copied(old, same=_as_sets):
    return [t for t in range(len(old)) if any(same(old[t], old[i]) for i in range(t))]


def _found_again(old, new, same=_as_sets):
    return [t for t in range(len(new)) if any(same(new[t], one) for one in old)]


def _found(first, again, other):
    return {
        "unrepeatable": _unrepeatable(first, again),
        "seen": _seen(first),
        "copies": _copied(_pairs(first)),
        "stuck": _found_again(_pairs(first), _pairs(other)),
    }


@wrong_answer("16.family_check", says="to the last bit")
def nearly_repeatable(first, again, other):
    differ = lambda t: any(not np.allclose(first[k][t], again[k][t]) for k in ARRAYS)
    return _found(first, again, other) | {"unrepeatable": [t for t in _tasks(first) if differ(t)]}


@wrong_answer("16.family_check", says="only the support sets of the two draws")
def support_repeatable(first, again, other):
    differ = lambda t: any((first[k][t] != again[k][t]).any() for k in ARRAYS[:2])
    return _found(first, again, other) | {"unrepeatable": [t for t in _tasks(first) if differ(t)]}


@wrong_answer("16.family_check", says="one task that differs condemns all")
def all_condemned(first, again, other):
    bad = bool(_unrepeatable(first, again))
    return _found(first, again, other) | {"unrepeatable": list(_tasks(first)) if bad else []}


@wrong_answer("16.family_check", says="in the queries, rounding makes another x")
def exactly_seen(first, again, other):
    return _found(first, again, other) | {"seen": _seen(first, 0.0)}


@wrong_answer("16.family_check", says="compared by y: two examples")
def the_same_y(first, again, other):
    pairs = zip(first["query_y"], first["support_y"], strict=True)
    seen = [t for t, (q, y) in enumerate(pairs) if (np.abs(q[:, None] - y) <= 1e-6).any()]
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="at its own position alone")
def at_the_same_position(first, again, other):
    shots = first["support_y"].shape[1]
    gap = np.abs(first["query_x"][:, :shots] - first["support_x"])
    seen = np.flatnonzero((gap <= 1e-6).all(axis=2).any(axis=1)).tolist()
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="one coordinate in common")
def one_coordinate(first, again, other):
    gap = np.abs(first["query_x"][:, :, None] - first["support_x"][:, None])
    seen = np.flatnonzero((gap <= 1e-6).any(axis=(1, 2, 3))).tolist()
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="each coordinate is looked for by itself")
def coordinate_by_coordinate(first, again, other):
    def seen(query, x):
        among = [
            np.abs(q[:, None] - s).min(axis=1) <= 1e-6 for q, s in zip(query.T, x.T, strict=True)
        ]
        return np.all(among, axis=0).any()

    pairs = zip(first["query_x"], first["support_x"], strict=True)
    return _found(first, again, other) | {"seen": [t for t, p in enumerate(pairs) if seen(*p)]}


@wrong_answer("16.family_check", says="only if all of its queries")
def all_queries_seen(first, again, other):
    pairs = zip(first["query_x"], first["support_x"], strict=True)
    seen = [t for t, (query, x) in enumerate(pairs) if _near(query, x).any(axis=1).all()]
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="in the support sets of all tasks")
def seen_anywhere(first, again, other):
    every = np.concatenate(list(first["support_x"]))
    seen = [t for t, query in enumerate(first["query_x"]) if _near(query, every).any()]
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="only the later task is one too many")
def both_of_a_pair(first, again, other):
    old = _pairs(first)
    twins = lambda t: any(_as_sets(old[t], old[i]) for i in _tasks(first) if i != t)
    return _found(first, again, other) | {"copies": [t for t in _tasks(first) if twins(t)]}


@wrong_answer("16.family_check", says="with the one before it alone")
def next_door(first, again, other):
    old = _pairs(first)
    copies = [t for t in _tasks(first)[1:] if _as_sets(old[t], old[t - 1])]
    return _found(first, again, other) | {"copies": copies}


@wrong_answer("16.family_check", says="the examples are compared in their order")
def in_their_order(first, again, other):
    same = lambda one, two: (np.abs(one - two) <= 1e-6).all()
    return _found(first, again, other) | {"copies": _copied(_pairs(first), same)}


@wrong_answer("16.family_check", says="rounding makes a new task here")
def exact_copies(first, again, other):
    same = lambda one, two: _as_sets(one, two, 0.0)
    return _found(first, again, other) | {"copies": _copied(_pairs(first), same)}


@wrong_answer("16.family_check", says="the tasks are compared by x alone")
def copies_of_x(first, again, other):
    return _found(first, again, other) | {"copies": _copied(list(first["support_x"]))}


@wrong_answer("16.family_check", says="new queries of an old task do not make it new")
def queries_as_well(first, again, other):
    whole = lambda t: [
        np.column_stack([first[f"{p}_x"][t], first[f"{p}_y"][t]]) for p in ("support", "query")
    ]
    same = lambda t, i: all(_as_sets(a, b) for a, b in zip(whole(t), whole(i), strict=True))
    copies = [t for t in _tasks(first) if any(same(t, i) for i in range(t))]
    return _found(first, again, other) | {"copies": copies}


@wrong_answer("16.family_check", says="the two draws are compared task by task")
def stuck_in_place(first, again, other):
    pairs = zip(_pairs(first), _pairs(other), strict=True)
    stuck = [t for t, (one, two) in enumerate(pairs) if _as_sets(one, two)]
    return _found(first, again, other) | {"stuck": stuck}


@wrong_answer("16.family_check", says="numbers in the first draw")
def stuck_in_the_first(first, again, other):
    stuck = _found_again(_pairs(other), _pairs(first))
    return _found(first, again, other) | {"stuck": stuck}


@wrong_answer("16.family_check", says="numbered from 1")
def from_one(first, again, other):
    right = _found(first, again, other)
    return {key: [t + 1 for t in tasks] for key, tasks in right.items()}


def _all_tasks(first, again, other, same):
    """The right answer, if `same` is right."""
    old, new = _pairs(first), _pairs(other)
    lists = {"copies": _copied(old, same), "stuck": _found_again(old, new, same)}
    return _found(first, again, other) | lists


@wrong_answer(
    "16.family_check",
    says="a new task here: `==` does not allow for it, nor does rounding both",
)
def rounded_to_six(first, again, other):
    key = lambda rows: {tuple(row) for row in np.round(rows, 6).tolist()}
    return _all_tasks(first, again, other, lambda one, two: key(one) == key(two))


@wrong_answer(
    "16.family_check",
    says="rounding makes another x: `==` does not allow for it, nor does rounding both",
)
def seen_after_rounding(first, again, other):
    pairs = zip(np.round(first["query_x"], 6), np.round(first["support_x"], 6), strict=True)
    seen = [t for t, (query, x) in enumerate(pairs) if _near(query, x, 0.0).any()]
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="the tasks are compared by `isclose` as it comes")
def by_isclose(first, again, other):
    near = lambda one, two: np.isclose(one[:, None], two).all(axis=-1)
    return _all_tasks(first, again, other, lambda one, two: near(one, two).any(axis=1).all())


@wrong_answer("16.family_check", says="only near each other count as copies")
def by_isclose_and_atol(first, again, other):
    near = lambda one, two: np.isclose(one[:, None], two, atol=1e-6).all(axis=-1)
    return _all_tasks(first, again, other, lambda one, two: near(one, two).any(axis=1).all())


@wrong_answer("16.family_check", says="only near an example counts as seen")
def seen_by_isclose(first, again, other):
    pairs = zip(first["query_x"], first["support_x"], strict=True)
    near = lambda query, x: np.isclose(query[:, None], x, atol=1e-6).all(axis=-1).any()
    seen = [t for t, pair in enumerate(pairs) if near(*pair)]
    return _found(first, again, other) | {"seen": seen}


@wrong_answer("16.family_check", says="the examples are sorted before they are compared")
def by_sorting(first, again, other):
    same = lambda one, two: np.allclose(sorted(one.tolist()), sorted(two.tolist()), 0, 1e-6)
    return _all_tasks(first, again, other, same)


@wrong_answer(
    "16.family_check",
    says="of two with the same number, rounding decides which comes first",
)
def by_sorting_y(first, again, other):
    key = lambda rows: rows[np.argsort(rows[:, -1])]
    return _all_tasks(first, again, other, lambda a, b: np.allclose(key(a), key(b), 0, 1e-6))


@wrong_answer("16.family_check", says="x and y are looked for separately")
def x_and_y_apart(first, again, other):
    def same(one, two):
        return _as_sets(one[:, :2], two[:, :2]) and _as_sets(one[:, 2:], two[:, 2:])

    return _all_tasks(first, again, other, same)


@wrong_answer("16.family_check", says="x and y of the two draws are looked for separately")
def stuck_apart(first, again, other):
    right, wrong = _found(first, again, other), x_and_y_apart(first, again, other)
    return right | {"stuck": wrong["stuck"]}


@wrong_answer("16.family_check", says="rounding makes a new task of the other draw")
def exactly_stuck(first, again, other):
    same = lambda one, two: _as_sets(one, two, 0.0)
    stuck = _found_again(_pairs(first), _pairs(other), same)
    return _found(first, again, other) | {"stuck": stuck}


@wrong_answer("16.family_check", says="compared by sums or means")
def by_sums(first, again, other):
    same = lambda one, two: (np.abs(one.sum(axis=0) - two.sum(axis=0)) <= 1e-6).all()
    return _all_tasks(first, again, other, same)


@wrong_answer("16.family_check", says='"seen" misses some tasks')
def some_are_missed(first, again, other):
    right = _found(first, again, other)
    return right | {"seen": right["seen"][:-1]}


@right_answer(
    "16.family_check", why="crosses off what it has found; tuples and arrays in place of lists"
)
def crossed_off(first, again, other):
    def same(one, two):
        left = list(two)
        for row in one:
            near = [i for i, other in enumerate(left) if np.abs(row - other).max() <= 1e-6]
            if not near:
                return False
            del left[near[0]]
        return not left

    old, new = _pairs(first), _pairs(other)
    return {
        "stuck": np.array(_found_again(old, new, same), int),
        "copies": tuple(_copied(old, same)),
        "seen": np.flatnonzero(
            [
                min(np.abs(q - x).max() for q in query for x in support) < 1e-6
                for query, support in zip(first["query_x"], first["support_x"], strict=True)
            ]
        ),
        "unrepeatable": _unrepeatable(first, again),
    }


@right_answer("16.family_check", why="all tasks at once; numpy's whole numbers")
def all_at_once(first, again, other):
    together = lambda draw: np.concatenate([draw["support_x"], draw["support_y"][..., None]], -1)

    def same(one, two):  # (tasks, tasks)
        gap = np.abs(one[:, None, :, None] - two[None, :, None]).max(axis=-1)
        return (gap.min(axis=2).max(axis=2) <= 1e-6) & (gap.min(axis=3).max(axis=2) <= 1e-6)

    old, new = together(first), together(other)
    flat = lambda draw: np.concatenate([draw[k].reshape(len(old), -1) for k in ARRAYS], axis=1)
    gap = np.abs(first["query_x"][:, :, None] - first["support_x"][:, None]).max(axis=-1)
    return {
        "unrepeatable": list(np.flatnonzero((flat(first) != flat(again)).any(axis=1))),
        "seen": list(np.flatnonzero(gap.min(axis=(1, 2)) <= 1e-6)),
        "copies": list(np.flatnonzero(np.tril(same(old, old), -1).any(axis=1))),
        "stuck": list(np.flatnonzero(same(new, old).any(axis=1))),
    }


@right_answer("16.family_check", why="plain loops over Python numbers")
def in_plain_loops(first, again, other):
    first, again, other = (
        {k: v.tolist() for k, v in draw.items()} for draw in (first, again, other)
    )
    near = lambda a, b: all(abs(p - q) <= 1e-6 for p, q in zip(a, b, strict=True))
    rows = lambda draw, t: [
        [*x, y] for x, y in zip(draw["support_x"][t], draw["support_y"][t], strict=True)
    ]
    same = lambda one, two: all(any(near(a, b) for b in two) for a in one)
    faults = {"unrepeatable": [], "seen": [], "copies": [], "stuck": []}
    for t in range(len(first["support_y"])):
        if any(first[k][t] != again[k][t] for k in first):
            faults["unrepeatable"].append(t)
        if any(near(q, x) for q in first["query_x"][t] for x in first["support_x"][t]):
            faults["seen"].append(t)
        if any(same(rows(first, t), rows(first, i)) for i in range(t)):
            faults["copies"].append(t)
        if any(same(rows(other, t), rows(first, i)) for i in range(len(first["support_y"]))):
            faults["stuck"].append(t)
    return faults


# ------------------------------------------------------------------ 16.2


def _descent(x, y, query, alpha, steps, factor=2.0):
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        w = w - alpha * factor * x.T @ (x @ w - y) / len(x)
    return query @ w, y - x @ w


def _attending(x, y, query, rate, layers, weights=lambda a, b: a @ b.T, old=True):
    out, r = np.zeros(len(query)), y
    for _ in range(layers):
        left = r - rate * weights(x, x) @ r
        out = out + rate * weights(query, x) @ (r if old else left)
        r = left
    return out, r


def _soft(a, b, sharp=1.0):
    e = np.exp(a @ b.T * sharp)
    return e / e.sum(axis=1, keepdims=True)


@wrong_answer("16.attention_step", says="the sum is not divided by N")
def without_1_over_n(support_x, support_y, query_x, alpha, layers):
    return _descent(support_x, support_y, query_x, alpha, layers, 2.0 * len(support_x))


@wrong_answer("16.attention_step", says="half the mean square")
def without_2(support_x, support_y, query_x, alpha, layers):
    return _descent(support_x, support_y, query_x, alpha, layers, 1.0)


@wrong_answer("16.attention_step", says="go through a softmax: linear")
def with_softmax(support_x, support_y, query_x, alpha, layers):
    rate = 2 * alpha / len(support_x)
    return _attending(support_x, support_y, query_x, rate, layers, _soft)


@wrong_answer("16.attention_step", says="after division by √d")
def with_scaled_softmax(support_x, support_y, query_x, alpha, layers):
    rate, sharp = 2 * alpha / len(support_x), support_x.shape[1] ** -0.5
    weights = lambda a, b: _soft(a, b, sharp)
    return _attending(support_x, support_y, query_x, rate, layers, weights)


@wrong_answer("16.attention_step", says="the step is α times 2")
def softmax_for_the_mean(support_x, support_y, query_x, alpha, layers):
    return _attending(support_x, support_y, query_x, 2 * alpha, layers, _soft)


@wrong_answer("16.attention_step", says="and the step is α: linear")
def softmax_and_alpha(support_x, support_y, query_x, alpha, layers):
    return _attending(support_x, support_y, query_x, alpha, layers, _soft)


@wrong_answer("16.attention_step", says="the residuals stay y")
def residuals_stay(support_x, support_y, query_x, alpha, layers):
    rate = 2 * alpha / len(support_x)
    return layers * rate * (query_x @ support_x.T) @ support_y, support_y.copy()


@wrong_answer("16.attention_step", says="belongs to softmax attention")
def scaled_products(support_x, support_y, query_x, alpha, layers):
    rate = 2 * alpha / len(support_x) / np.sqrt(support_x.shape[1])
    return _attending(support_x, support_y, query_x, rate, layers)


@wrong_answer("16.attention_step", says="are divided by their sum")
def weights_that_sum_to_1(support_x, support_y, query_x, alpha, layers):
    shares = lambda a, b: a @ b.T / (a @ b.T).sum(axis=1, keepdims=True)
    rate = 2 * alpha / len(support_x)
    return _attending(support_x, support_y, query_x, rate, layers, shares)


@wrong_answer("16.attention_step", says="the predictions have the wrong sign")
def minus_the_prediction(support_x, support_y, query_x, alpha, layers):
    predictions, residuals = _descent(support_x, support_y, query_x, alpha, layers)
    return -predictions, residuals


@wrong_answer("16.attention_step", says="the step goes uphill")
def uphill(support_x, support_y, query_x, alpha, layers):
    return _descent(support_x, support_y, query_x, -alpha, layers)


@wrong_answer("16.attention_step", says="only one layer")
def one_layer(support_x, support_y, query_x, alpha, layers):
    return _descent(support_x, support_y, query_x, alpha, 1)


@wrong_answer("16.attention_step", says="one layer too many")
def a_layer_more(support_x, support_y, query_x, alpha, layers):
    return _descent(support_x, support_y, query_x, alpha, layers + 1)


@wrong_answer("16.attention_step", says="every layer shows the queries the first y")
def always_the_first_y(support_x, support_y, query_x, alpha, layers):
    rate = 2 * alpha / len(support_x)
    out = layers * rate * (query_x @ support_x.T) @ support_y
    return out, _descent(support_x, support_y, query_x, alpha, layers)[1]


@wrong_answer("16.attention_step", says="the residuals after the layer")
def one_after_the_other(support_x, support_y, query_x, alpha, layers):
    rate = 2 * alpha / len(support_x)
    return _attending(support_x, support_y, query_x, rate, layers, old=False)


@wrong_answer("16.attention_step", says="only support tokens are")
def queries_are_seen(support_x, support_y, query_x, alpha, layers):
    n = len(support_x)
    tokens = np.concatenate([support_x, query_x])
    r = np.concatenate([support_y, np.zeros(len(query_x))])
    for _ in range(layers):
        r = r - 2 * alpha / n * (tokens @ tokens.T) @ r
    return -r[n:], r[:n]


@wrong_answer("16.attention_step", says="the number of all tokens")
def mean_over_all_tokens(support_x, support_y, query_x, alpha, layers):
    n = len(support_x)
    return _descent(support_x, support_y, query_x, alpha, layers, 2 * n / (n + len(query_x)))


@wrong_answer("16.attention_step", says="those of the last layer alone")
def overwritten(support_x, support_y, query_x, alpha, layers):
    rate = 2 * alpha / len(support_x)
    _, before = _descent(support_x, support_y, query_x, alpha, layers - 1)
    _, after = _descent(support_x, support_y, query_x, alpha, layers)
    return rate * (query_x @ support_x.T) @ before, after


@wrong_answer("16.attention_step", says="holds the fitted values")
def fitted_values(support_x, support_y, query_x, alpha, layers):
    predictions, residuals = _descent(support_x, support_y, query_x, alpha, layers)
    return predictions, support_y - residuals


@right_answer("16.attention_step", why="gradient descent on w itself, without any attention")
def descent_in_w(support_x, support_y, query_x, alpha, layers):
    return _descent(support_x, support_y, query_x, alpha, layers)


@right_answer("16.attention_step", why="in closed form: (I − rate·G)ᴸ; a list of two")
def by_a_power(support_x, support_y, query_x, alpha, layers):
    n = len(support_x)
    shrink = np.eye(n) - 2 * alpha / n * support_x @ support_x.T
    residuals = np.linalg.matrix_power(shrink, layers) @ support_y
    series = sum(np.linalg.matrix_power(shrink, k) for k in range(layers))
    return [2 * alpha / n * query_x @ support_x.T @ series @ support_y, residuals]


@right_answer("16.attention_step", why="one sequence of tokens in float32 with a mask")
def with_a_mask(support_x, support_y, query_x, alpha, layers):
    n = len(support_x)
    tokens = np.concatenate([support_x, query_x]).astype(np.float32)
    r = np.concatenate([support_y, np.zeros(len(query_x))]).astype(np.float32)
    weights = np.where(np.arange(len(tokens)) < n, tokens @ tokens.T, 0)
    for _ in range(layers):
        r = r - np.float32(2 * alpha / n) * weights @ r
    return -r[n:], r[:n]


# ------------------------------------------------------------------ 16.3


def _two(x, frequency):
    return np.stack([np.sin(frequency * x), np.cos(frequency * x)], axis=-1)


def _least_squares(columns, y):
    return np.linalg.pinv(columns, rcond=1e-6) @ y


def _told(predictions, query_y):
    predictions = np.array(predictions)
    return predictions, ((predictions - query_y) ** 2).mean(axis=1)


def _fits(support_x, support_y, query_x, query_y, frequency, solve=_least_squares, columns=_two):
    pairs = zip(support_x, support_y, query_x, strict=True)
    fit = lambda x, y, q: columns(q, frequency) @ solve(columns(x, frequency), y)
    return _told([fit(*pair) for pair in pairs], query_y)


def _numbers(support_x, support_y, frequency):
    """a and b of each task, (tasks, 1) each."""
    pairs = zip(support_x, support_y, strict=True)
    return np.array([_least_squares(_two(x, frequency), y) for x, y in pairs]).T[..., None]


@wrong_answer("16.oracle", says="the fit has seen the query's y")
def peeks(support_x, support_y, query_x, query_y, frequency):
    x = np.concatenate([support_x, query_x], axis=1)
    y = np.concatenate([support_y, query_y], axis=1)
    return _fits(x, y, query_x, query_y, frequency)


@wrong_answer("16.oracle", says="to the query set alone")
def fits_the_query(support_x, support_y, query_x, query_y, frequency):
    return _fits(query_x, query_y, query_x, query_y, frequency)


@wrong_answer("16.oracle", says="for all tasks together")
def pooled_fit(support_x, support_y, query_x, query_y, frequency):
    ab = _least_squares(_two(support_x.ravel(), frequency), support_y.ravel())
    return _told(_two(query_x, frequency) @ ab, query_y)


@wrong_answer("16.oracle", says="there is an intercept")
def with_an_intercept(support_x, support_y, query_x, query_y, frequency):
    columns = lambda x, f: np.column_stack([_two(x, f), np.ones(len(x))])
    return _fits(support_x, support_y, query_x, query_y, frequency, columns=columns)


@wrong_answer("16.oracle", says="a ridge of 0.1")
def with_a_ridge(support_x, support_y, query_x, query_y, frequency):
    solve = lambda c, y: np.linalg.solve(c.T @ c + 0.1 * np.eye(2), c.T @ y)
    return _fits(support_x, support_y, query_x, query_y, frequency, solve)


@wrong_answer("16.oracle", says="the cosine is dropped")
def drops_the_cosine(support_x, support_y, query_x, query_y, frequency):
    def solve(columns, y):
        if np.linalg.svd(columns)[1][1] > 1e-6:
            return _least_squares(columns, y)
        return np.array([columns[:, 0] @ y / (columns[:, 0] @ columns[:, 0]), 0])

    return _fits(support_x, support_y, query_x, query_y, frequency, solve)


@wrong_answer("16.oracle", says="many pairs (a, b) fit equally well")
def answers_0_where_unsure(support_x, support_y, query_x, query_y, frequency):
    def solve(columns, y):
        return _least_squares(columns, y) * (np.linalg.svd(columns)[1][1] > 1e-6)

    return _fits(support_x, support_y, query_x, query_y, frequency, solve)


@wrong_answer("16.oracle", says="what rounding leaves is taken for a signal")
def without_rcond(support_x, support_y, query_x, query_y, frequency):
    solve = lambda columns, y: np.linalg.lstsq(columns, y, rcond=None)[0]
    return _fits(support_x, support_y, query_x, query_y, frequency, solve)


@wrong_answer("16.oracle", says="half periods apart, what rounding leaves is taken for a signal")
def pinv_without_rcond(support_x, support_y, query_x, query_y, frequency):
    solve = lambda columns, y: np.linalg.pinv(columns) @ y
    return _fits(support_x, support_y, query_x, query_y, frequency, solve)


@wrong_answer("16.oracle", says="half periods apart")
def normal_equations(support_x, support_y, query_x, query_y, frequency):
    solve = lambda columns, y: np.linalg.solve(columns.T @ columns, columns.T @ y)
    return _fits(support_x, support_y, query_x, query_y, frequency, solve)


@wrong_answer("16.oracle", says="only the first two points")
def two_points(support_x, support_y, query_x, query_y, frequency):
    return _fits(support_x[:, :2], support_y[:, :2], query_x, query_y, frequency)


@wrong_answer("16.oracle", says="half a turn off")
def by_arctan(support_x, support_y, query_x, query_y, frequency):
    a, b = _numbers(support_x, support_y, frequency)
    waves = np.sqrt(a**2 + b**2) * np.sin(frequency * query_x + np.arctan(b / a))
    return _told(waves, query_y)


@wrong_answer("16.oracle", says="the phase has the wrong sign")
def minus_the_phase(support_x, support_y, query_x, query_y, frequency):
    a, b = _numbers(support_x, support_y, frequency)
    waves = np.sqrt(a**2 + b**2) * np.sin(frequency * query_x - np.arctan2(b, a))
    return _told(waves, query_y)


@wrong_answer("16.oracle", says="swapped for the queries")
def swapped_columns(support_x, support_y, query_x, query_y, frequency):
    b, a = _numbers(support_x, support_y, frequency)
    waves = a * np.sin(frequency * query_x) + b * np.cos(frequency * query_x)
    return _told(waves, query_y)


@wrong_answer("16.oracle", says="the frequency is not used")
def frequency_1(support_x, support_y, query_x, query_y, frequency):
    return _fits(support_x, support_y, query_x, query_y, 1.0)


@wrong_answer("16.oracle", says="multiplied by 2π")
def in_turns(support_x, support_y, query_x, query_y, frequency):
    return _fits(support_x, support_y, query_x, query_y, 2 * np.pi * frequency)


@wrong_answer("16.oracle", says="there is no cosine")
def sine_alone(support_x, support_y, query_x, query_y, frequency):
    columns = lambda x, f: np.sin(f * x)[:, None]
    return _fits(support_x, support_y, query_x, query_y, frequency, columns=columns)


@wrong_answer("16.oracle", says="the losses are roots")
def root_mean_squares(support_x, support_y, query_x, query_y, frequency):
    predictions, losses = _fits(support_x, support_y, query_x, query_y, frequency)
    return predictions, np.sqrt(losses)


@wrong_answer("16.oracle", says="the mean over all tasks")
def one_loss(support_x, support_y, query_x, query_y, frequency):
    predictions, losses = _fits(support_x, support_y, query_x, query_y, frequency)
    return predictions, losses.mean()


@right_answer("16.oracle", why="pinv of all tasks at once; einsum")
def all_tasks_at_once(support_x, support_y, query_x, query_y, frequency):
    inverse = np.linalg.pinv(_two(support_x, frequency), rcond=1e-6)
    ab = np.einsum("tks,ts->tk", inverse, support_y)
    predictions = np.einsum("tqk,tk->tq", _two(query_x, frequency), ab)
    return predictions, np.square(predictions - query_y).sum(axis=1) / query_y.shape[1]


@right_answer("16.oracle", why="amplitude and phase by arctan2; lists")
def by_amplitude_and_phase(support_x, support_y, query_x, query_y, frequency):
    a, b = _numbers(support_x, support_y, frequency)
    waves = np.hypot(a, b) * np.sin(frequency * query_x + np.arctan2(b, a))
    return waves.tolist(), [
        float(np.mean((w - y) ** 2)) for w, y in zip(waves, query_y, strict=True)
    ]


@right_answer("16.oracle", why="complex waves: the real part of z exp(−iωx), by an SVD of its own")
def by_svd(support_x, support_y, query_x, query_y, frequency):
    def solve(columns, y):
        u, s, v = np.linalg.svd(columns, full_matrices=False)
        keep = s > 1e-6 * s[0]
        return v[keep].T @ (u[:, keep].T @ y / s[keep])

    predictions = []
    for x, y, q in zip(support_x, support_y, query_x, strict=True):
        a, b = solve(_two(x, frequency), y)
        predictions.append(((b + 1j * a) * np.exp(-1j * frequency * q)).real)
    return _told(predictions, query_y)


# ------------------------------------------------------------------ 16.4


def _mine(task):
    return task[:, None] == task[None]


def _rule(task, is_query):
    return _mine(task) & (~is_query[None] | np.eye(len(task), dtype=bool))


@wrong_answer("16.mask", says="queries see each other")
def transduction(task, is_query):
    return _mine(task) & ~(is_query[None] & ~is_query[:, None])


@wrong_answer("16.mask", says="pairs and queries are exchanged")
def kinds_exchanged(task, is_query):
    return _rule(task, ~is_query)


@wrong_answer("16.mask", says="a pair sees only itself, and a query not even that")
def isolated_pairs(task, is_query):
    itself = np.eye(len(task), dtype=bool)
    return (itself & ~is_query) | (_mine(task) & is_query[:, None] & ~is_query[None])


@wrong_answer("16.mask", says="in your mask a query does not see itself")
def blind_to_itself(task, is_query):
    return _mine(task) & ~is_query


@wrong_answer("16.mask", says="pairs see the queries")
def pairs_see_queries(task, is_query):
    between_queries = is_query[:, None] & is_query[None] & ~np.eye(len(task), dtype=bool)
    return _mine(task) & ~between_queries


@wrong_answer("16.mask", says="everything of a task is visible")
def whole_tasks(task, is_query):
    return _mine(task)


@wrong_answer("16.mask", says="this is causal: tokens see")
def causal(task, is_query):
    return np.tril(_rule(task, is_query))


@wrong_answer("16.mask", says="this is causal in the sequence alone")
def triangle(task, is_query):
    return np.tri(len(task), dtype=bool)


@wrong_answer("16.mask", says="row and column are swapped")
def transposed(task, is_query):
    return _rule(task, is_query).T


@wrong_answer("16.mask", says="tokens of other tasks are visible")
def other_tasks(task, is_query):
    return _rule(0 * task, is_query)


@wrong_answer("16.mask", says="a pair sees only itself")
def lonely_pairs(task, is_query):
    itself = np.eye(len(task), dtype=bool)
    return itself | (_mine(task) & is_query[:, None] & ~is_query[None])


@wrong_answer("16.mask", says="no token sees itself")
def hollow(task, is_query):
    allowed = _rule(task, is_query)
    np.fill_diagonal(allowed, False)
    return allowed


@wrong_answer("16.mask", says="True and False are exchanged")
def hidden_ones(task, is_query):
    return ~_rule(task, is_query)


@wrong_answer("16.mask", says="pairs see nothing")
def rows_of_queries(task, is_query):
    return _rule(task, is_query) & is_query[:, None]


@wrong_answer("16.mask", says="added to the scores")
def additive(task, is_query):
    return np.where(_rule(task, is_query), 0.0, -np.inf)


@wrong_answer("16.mask", says="these are 1 and 0")
def ones_and_zeros(task, is_query):
    return _rule(task, is_query) * 1


@right_answer("16.mask", why="entry by entry, lists of Python's True and False")
def entry_by_entry(task, is_query):
    tokens = range(len(task))
    return [
        [bool(task[i] == task[j] and (i == j or not is_query[j])) for j in tokens] for i in tokens
    ]


@right_answer("16.mask", why="by products of one-hot arrays")
def by_products(task, is_query):
    hot = np.eye(int(task.max()) + 1)[task]
    pairs = hot * ~is_query[:, None]
    return hot @ pairs.T + np.diag(is_query.astype(float)) > 0.5


@right_answer("16.mask", why="fills in blocks, task by task")
def in_blocks(task, is_query):
    allowed = np.zeros((len(task), len(task)), bool)
    for one in np.unique(task):
        there = np.flatnonzero(task == one)
        allowed[np.ix_(there, there[~is_query[there]])] = True
    allowed[np.diag_indices(len(task))] = True
    return allowed


# ------------------------------------------------------------------ 16.5


def _closed(average, oracle, learner, middle=np.median):
    top = middle(average)
    return float((top - middle(learner.mean(axis=0))) / (top - middle(oracle)))


def _drawn(average, oracle, learner, tasks, seeds):
    rows = zip(tasks, seeds, strict=True)
    return np.array([_closed(average[t], oracle[t], learner[s][:, t]) for t, s in rows])


def _quantiles(values, low=0.025, high=0.975):
    return tuple(np.quantile(values, [low, high]).tolist())


def _every(numbers, count):
    return np.tile(np.arange(count), (len(numbers), 1))


def _doubts(average, oracle, learner, rival, tasks, seeds):
    values = lambda losses, t=tasks, s=seeds: _drawn(average, oracle, losses, t, s)
    return {
        "share": _closed(average, oracle, learner),
        "interval": _quantiles(values(learner)),
        "tasks alone": _quantiles(values(learner, s=_every(seeds, len(learner)))),
        "seeds alone": _quantiles(values(learner, t=_every(tasks, len(average)))),
        "lead": _quantiles(values(learner) - values(rival)),
    }


@wrong_answer("16.difficulty", says="these are means over the tasks")
def means(average, oracle, learner, rival, tasks, seeds):
    share = _closed(average, oracle, learner, np.mean)
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"share": share}


@wrong_answer("16.difficulty", says="the median of the ratios of single tasks")
def median_of_ratios(average, oracle, learner, rival, tasks, seeds):
    share = np.median((average - learner.mean(axis=0)) / (average - oracle))
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"share": share}


@wrong_answer("16.difficulty", says="the median over seeds and tasks at once")
def median_of_all(average, oracle, learner, rival, tasks, seeds):
    share = _closed(average, oracle, np.full((1, 3), np.median(learner)))
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"share": share}


@wrong_answer("16.difficulty", says="the median over the seeds is taken")
def median_of_seeds(average, oracle, learner, rival, tasks, seeds):
    share = _closed(average, oracle, np.median(learner, axis=0)[None])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"share": share}


@wrong_answer("16.difficulty", says="this is the best seed")
def best_seed(average, oracle, learner, rival, tasks, seeds):
    share = max(_closed(average, oracle, one[None]) for one in learner)
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"share": share}


@wrong_answer("16.difficulty", says="the share that is left open")
def left_open(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    return right | {"share": 1 - right["share"]}


@wrong_answer("16.difficulty", says="the oracle is forgotten")
def without_the_oracle(average, oracle, learner, rival, tasks, seeds):
    return _doubts(average, 0 * oracle, learner, rival, tasks, seeds)


@wrong_answer("16.difficulty", says="the share of the tasks themselves")
def middle_of_resamples(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    return right | {"share": np.median(_drawn(average, oracle, learner, tasks, seeds))}


@wrong_answer("16.difficulty", says="the seeds are not resampled: with few")
def seeds_averaged_first(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    return right | {"interval": right["tasks alone"]}


@wrong_answer("16.difficulty", says="only the learner is resampled")
def unpaired(average, oracle, learner, rival, tasks, seeds):
    rows = zip(tasks, seeds, strict=True)
    ends = _quantiles([_closed(average, oracle, learner[s][:, t]) for t, s in rows])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"interval": ends}


@wrong_answer("16.difficulty", says="a seed that was drawn twice counts once")
def sets_of_seeds(average, oracle, learner, rival, tasks, seeds):
    rows = [(t, np.unique(s)) for t, s in zip(tasks, seeds, strict=True)]
    ends = _quantiles([_closed(average[t], oracle[t], learner[s][:, t]) for t, s in rows])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"interval": ends}


@wrong_answer("16.difficulty", says="a task that was drawn twice counts once")
def sets_of_tasks(average, oracle, learner, rival, tasks, seeds):
    rows = [(np.unique(t), s) for t, s in zip(tasks, seeds, strict=True)]
    ends = _quantiles([_closed(average[t], oracle[t], learner[s][:, t]) for t, s in rows])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"interval": ends}


@wrong_answer("16.difficulty", says="the share of the ends of three intervals")
def three_intervals(average, oracle, learner, rival, tasks, seeds):
    rows = list(zip(tasks, seeds, strict=True))
    top = np.array(_quantiles([np.median(average[t]) for t in tasks]))
    bottom = np.array(_quantiles([np.median(oracle[t]) for t in tasks]))
    ours = np.array(_quantiles([np.median(learner[s][:, t].mean(axis=0)) for t, s in rows]))
    ends = ((top - ours) / (top - bottom)).tolist()
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"interval": ends}


@wrong_answer("16.difficulty", says="an interval of 90 per cent")
def ninety(average, oracle, learner, rival, tasks, seeds):
    ends = _quantiles(_drawn(average, oracle, learner, tasks, seeds), 0.05, 0.95)
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"interval": ends}


@wrong_answer("16.difficulty", says="counts from 0 to 100")
def percentiles(average, oracle, learner, rival, tasks, seeds):
    ends = np.percentile(_drawn(average, oracle, learner, tasks, seeds), [0.025, 0.975])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"interval": ends}


@wrong_answer("16.difficulty", says="the ends are swapped")
def high_and_low(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    return right | {"interval": right["interval"][::-1]}


@wrong_answer("16.difficulty", says="1.96 standard deviations (ddof=0)")
def normal(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    half = 1.96 * _drawn(average, oracle, learner, tasks, seeds).std()
    return right | {"interval": (right["share"] - half, right["share"] + half)}


@wrong_answer("16.difficulty", says="it is the other way round")
def exchanged_sources(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    return right | {"tasks alone": right["seeds alone"], "seeds alone": right["tasks alone"]}


@wrong_answer("16.difficulty", says="only the first seed is there")
def tasks_with_one_seed(average, oracle, learner, rival, tasks, seeds):
    ends = _quantiles(_drawn(average, oracle, learner, tasks, 0 * seeds))
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"tasks alone": ends}


@wrong_answer("16.difficulty", says="the shares of single seeds")
def single_seeds(average, oracle, learner, rival, tasks, seeds):
    ends = _quantiles([_closed(average, oracle, one[None]) for one in learner])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"seeds alone": ends}


@wrong_answer("16.difficulty", says="low from low")
def ends_subtracted(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    theirs = _quantiles(_drawn(average, oracle, rival, tasks, seeds))
    return right | {"lead": np.subtract(right["interval"], theirs)}


@wrong_answer("16.difficulty", says="our low end meets the rival's high end")
def do_they_overlap(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    (low, high), theirs = right["interval"], _drawn(average, oracle, rival, tasks, seeds)
    rival_low, rival_high = _quantiles(theirs)
    return right | {"lead": (low - rival_high, high - rival_low)}


@wrong_answer("16.difficulty", says="the rival's seeds are not resampled")
def rival_of_all_seeds(average, oracle, learner, rival, tasks, seeds):
    ours = _drawn(average, oracle, learner, tasks, seeds)
    theirs = _drawn(average, oracle, rival, tasks, _every(seeds, len(rival)))
    ends = _quantiles(ours - theirs)
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"lead": ends}


@wrong_answer("16.difficulty", says="the rival is not resampled")
def fixed_rival(average, oracle, learner, rival, tasks, seeds):
    ours = _drawn(average, oracle, learner, tasks, seeds)
    ends = _quantiles(ours - _closed(average, oracle, rival))
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"lead": ends}


@wrong_answer("16.difficulty", says="the rival's share minus ours")
def rival_first(average, oracle, learner, rival, tasks, seeds):
    right = _doubts(average, oracle, learner, rival, tasks, seeds)
    low, high = right["lead"]
    return right | {"lead": (-high, -low)}


@wrong_answer("16.difficulty", says="the difference of the losses")
def lead_in_losses(average, oracle, learner, rival, tasks, seeds):
    middle = lambda losses, t, s: np.median(losses[s][:, t].mean(axis=0))
    rows = zip(tasks, seeds, strict=True)
    ends = _quantiles([middle(rival, *row) - middle(learner, *row) for row in rows])
    return _doubts(average, oracle, learner, rival, tasks, seeds) | {"lead": ends}


@right_answer(
    "16.difficulty", why="all resamples at once, by indices that broadcast; lists and arrays"
)
def resamples_at_once(average, oracle, learner, rival, tasks, seeds):
    every_task, every_seed = (np.arange(n)[None] for n in learner.shape[::-1])

    def share(losses, t, s):
        ours = losses[s[:, :, None], t[:, None, :]].mean(axis=1)  # (B, T)
        top, bottom, ours = (np.median(v, axis=1) for v in (average[t], oracle[t], ours))
        return (top - ours) / (top - bottom)

    ends = lambda values: np.percentile(values, [2.5, 97.5])
    both = share(learner, tasks, seeds)
    return {
        "lead": ends(both - share(rival, tasks, seeds)).tolist(),
        "seeds alone": ends(share(learner, every_task, seeds)),
        "tasks alone": ends(share(learner, tasks, every_seed)),
        "interval": ends(both),
        "share": share(learner, every_task, every_seed)[0],
    }


@right_answer("16.difficulty", why="counts how often each was drawn, and repeats")
def by_counts(average, oracle, learner, rival, tasks, seeds):
    def share(losses, often, of_seed):
        three = (np.repeat(v, often) for v in (average, oracle, of_seed @ losses))
        top, bottom, ours = map(np.median, three)
        return 1 - (ours - bottom) / (top - bottom)

    count = lambda rows, n: [np.bincount(row, minlength=n) for row in rows]
    of_tasks, of_seeds = count(tasks, len(average)), count(seeds, len(learner))
    of_seeds = [often / len(learner) for often in of_seeds]
    one, even = np.ones(len(average), int), np.full(len(learner), 1 / len(learner))
    both = list(zip(of_tasks, of_seeds, strict=True))
    ends = lambda values: (np.quantile(values, 0.025), np.quantile(values, 0.975))
    return {
        "share": float(share(learner, one, even)),
        "interval": ends([share(learner, *row) for row in both]),
        "tasks alone": ends([share(learner, often, even) for often in of_tasks]),
        "seeds alone": ends([share(learner, one, of_seed) for of_seed in of_seeds]),
        "lead": ends([share(learner, *row) - share(rival, *row) for row in both]),
    }


@right_answer("16.difficulty", why="sorts by hand, in plain Python")
def in_plain_python(average, oracle, learner, rival, tasks, seeds):
    def middle(values):
        values = sorted(values)
        return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2

    def share(losses, t, s):
        ours = [sum(losses[k][i] for k in s) / len(s) for i in t]
        top, bottom = middle([average[i] for i in t]), middle([oracle[i] for i in t])
        return float((top - middle(ours)) / (top - bottom))

    def quantile(values, q):
        values, place = sorted(values), q * (len(values) - 1)
        low = int(place)
        return values[low] + (place - low) * (values[low + 1] - values[low])

    ends = lambda values: [quantile(values, 0.025), quantile(values, 0.975)]
    t, s = list(range(len(average))), list(range(len(learner)))
    rows = list(zip(tasks.tolist(), seeds.tolist(), strict=True))
    return {
        "share": share(learner, t, s),
        "interval": ends([share(learner, *row) for row in rows]),
        "tasks alone": ends([share(learner, row[0], s) for row in rows]),
        "seeds alone": ends([share(learner, t, row[1]) for row in rows]),
        "lead": ends([share(learner, *row) - share(rival, *row) for row in rows]),
    }


# ------------------------------------------------------------------ 16.6


def _for_rivals(table, ours, holds):
    return [name for name in table if name != ours and holds(table[ours], table[name])]


def _gain(mine, theirs):
    return theirs.mean(axis=0) - mine.mean(axis=0)


def _from_to(values):
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def _surely(mine, theirs):
    return _from_to(_gain(mine, theirs))[0] > 0


def _seed_by_seed(mine, theirs):
    return (mine.mean(axis=1) < theirs.mean(axis=1)).all()


def _majority(mine, theirs):
    return np.mean(_gain(mine, theirs) > 0) > 0.5


def _within(mine, theirs):
    low, high = _from_to(_gain(mine, theirs))
    return -0.1 * theirs.mean() < low and high < 0.1 * theirs.mean()


def _lower(mine, theirs):
    return mine.mean() < theirs.mean()


RULES = {"better": _surely, "every seed": _seed_by_seed, "most tasks": _majority, "level": _within}


def _sentences(validation, test, ours, **others):
    """All lists; others: another rule for a key (blanks written as _)."""
    rules = RULES | {key.replace("_", " "): rule for key, rule in others.items() if key != "chosen"}
    lists = {key: _for_rivals(test, ours, rule) for key, rule in rules.items()}
    return lists | {"chosen": _for_rivals(validation, ours, others.get("chosen", _lower))}


@wrong_answer("16.claims", says="a lower mean counts as better")
def lower_is_better(validation, test, ours):
    return _sentences(validation, test, ours, better=_lower)


@wrong_answer("16.claims", says="seeds count as further tasks")
def seeds_as_tasks(validation, test, ours):
    pooled = lambda mine, theirs: _from_to((theirs - mine).ravel())[0] > 0
    return _sentences(validation, test, ours, better=pooled)


@wrong_answer("16.claims", says="two independent samples")
def two_samples(validation, test, ours):
    def holds(mine, theirs):
        square = sum(v.mean(axis=0).var(ddof=1) / v.shape[1] for v in (mine, theirs))
        return theirs.mean() - mine.mean() > 1.96 * square**0.5

    return _sentences(validation, test, ours, better=holds)


@wrong_answer("16.claims", says="better or worse")
def any_difference(validation, test, ours):
    holds = lambda mine, theirs: _surely(mine, theirs) or _surely(theirs, mine)
    return _sentences(validation, test, ours, better=holds)


@wrong_answer("16.claims", says="not divided by the root")
def standard_deviations(validation, test, ours):
    def holds(mine, theirs):
        gain = _gain(mine, theirs)
        return gain.mean() > 1.96 * gain.std(ddof=1)

    return _sentences(validation, test, ours, better=holds)


@wrong_answer("16.claims", says="the validation table is used for a sentence about the test")
def better_on_validation(validation, test, ours):
    lists = _sentences(validation, test, ours)
    return lists | {"better": _for_rivals(validation, ours, _surely)}


@wrong_answer("16.claims", says="the seeds are averaged: the sentence says each")
def seeds_averaged(validation, test, ours):
    return _sentences(validation, test, ours, every_seed=_lower)


@wrong_answer("16.claims", says="one seed is enough")
def some_seed(validation, test, ours):
    holds = lambda mine, theirs: (mine.mean(axis=1) < theirs.mean(axis=1)).any()
    return _sentences(validation, test, ours, every_seed=holds)


@wrong_answer("16.claims", says="our best seed is compared with their best")
def best_against_best(validation, test, ours):
    holds = lambda mine, theirs: mine.mean(axis=1).min() < theirs.mean(axis=1).min()
    return _sentences(validation, test, ours, every_seed=holds)


@wrong_answer("16.claims", says="a lower mean is taken for most tasks")
def mean_for_most(validation, test, ours):
    return _sentences(validation, test, ours, most_tasks=_lower)


@wrong_answer("16.claims", says="seeds and tasks are counted together")
def counted_together(validation, test, ours):
    holds = lambda mine, theirs: np.mean(mine < theirs) > 0.5
    return _sentences(validation, test, ours, most_tasks=holds)


@wrong_answer("16.claims", says="No difference shown is no equality")
def not_significant(validation, test, ours):
    holds = lambda mine, theirs: not _surely(mine, theirs) and not _surely(theirs, mine)
    return _sentences(validation, test, ours, level=holds)


@wrong_answer("16.claims", says="only the middle of the interval")
def middle_alone(validation, test, ours):
    holds = lambda mine, theirs: abs(mine.mean() - theirs.mean()) < 0.1 * theirs.mean()
    return _sentences(validation, test, ours, level=holds)


@wrong_answer("16.claims", says="only the upper end")
def upper_end(validation, test, ours):
    holds = lambda mine, theirs: _from_to(_gain(mine, theirs))[1] < 0.1 * theirs.mean()
    return _sentences(validation, test, ours, level=holds)


@wrong_answer("16.claims", says="the choice looks at the test table")
def chosen_on_test(validation, test, ours):
    return _sentences(validation, test, ours) | {"chosen": _for_rivals(test, ours, _lower)}


@wrong_answer("16.claims", says="the best seed is compared")
def chosen_by_best_seed(validation, test, ours):
    holds = lambda mine, theirs: mine.mean(axis=1).min() < theirs.mean(axis=1).min()
    return _sentences(validation, test, ours, chosen=holds)


@wrong_answer("16.claims", says="our own method is among its rivals")
def own_rival(validation, test, ours):
    lists = _sentences(validation, test, ours)
    return {key: [n for n in test if n == ours or n in names] for key, names in lists.items()}


@wrong_answer("16.claims", says="a tenth of our loss")
def margin_of_ours(validation, test, ours):
    def holds(mine, theirs):
        return max(np.abs(_from_to(_gain(mine, theirs)))) < 0.1 * mine.mean()

    return _sentences(validation, test, ours, level=holds)


@wrong_answer("16.claims", says="that of a population (ddof=0)")
def population(validation, test, ours):
    def holds(mine, theirs):
        gain = _gain(mine, theirs)
        return gain.mean() > 1.96 * gain.std() / np.sqrt(len(gain))

    return _sentences(validation, test, ours, better=holds)


@wrong_answer("16.claims", says="these tasks are a sample (ddof=1)")
def population_for_level(validation, test, ours):
    def holds(mine, theirs):
        gain = _gain(mine, theirs)
        half = 1.96 * gain.std() / np.sqrt(len(gain))
        return abs(gain.mean()) + half < 0.1 * theirs.mean()

    return _sentences(validation, test, ours, level=holds)


@wrong_answer("16.claims", says="the interval is one over the seeds")
def interval_over_seeds(validation, test, ours):
    holds = lambda mine, theirs: _from_to((theirs - mine).mean(axis=1))[0] > 0
    return _sentences(validation, test, ours, better=holds)


@wrong_answer("16.claims", says="half of the tasks counts as most")
def half_is_most(validation, test, ours):
    holds = lambda mine, theirs: np.mean(_gain(mine, theirs) > 0) >= 0.5
    return _sentences(validation, test, ours, most_tasks=holds)


@wrong_answer("16.claims", says="the difference is theirs minus ours")
def most_for_the_rival(validation, test, ours):
    return _sentences(validation, test, ours, most_tasks=lambda a, b: _majority(b, a))


@wrong_answer("16.claims", says="ours is to have the lower loss")
def every_seed_of_theirs(validation, test, ours):
    return _sentences(validation, test, ours, every_seed=lambda a, b: _seed_by_seed(b, a))


@wrong_answer("16.claims", says="not in the order asked for")
def alphabetical(validation, test, ours):
    return {k: sorted(names) for k, names in _sentences(validation, test, ours).items()}


@wrong_answer("16.claims", says="lists rivals that do not belong there")
def a_lenient_margin(validation, test, ours):
    def holds(mine, theirs):
        return max(np.abs(_from_to(_gain(mine, theirs)))) < 0.3 * theirs.mean()

    return _sentences(validation, test, ours, level=holds)


@right_answer("16.claims", why="all rivals in one array; masks of names")
def in_one_array(validation, test, ours):
    rivals = np.array([name for name in test if name != ours])
    val, tst = (np.stack([table[n] for n in rivals]) for table in (validation, test))
    gain = (tst - test[ours]).mean(axis=1)  # (rivals, tasks)
    centre = gain.mean(axis=1)
    half = 1.96 * gain.std(axis=1, ddof=1) / np.sqrt(gain.shape[1])
    holds = {
        "chosen": val.mean(axis=(1, 2)) > validation[ours].mean(),
        "level": np.abs(centre) + half < 0.1 * tst.mean(axis=(1, 2)),
        "better": centre > half,
        "most tasks": np.median(np.sign(gain), axis=1) > 0,
        "every seed": ((tst - test[ours]).mean(axis=2) > 0).all(axis=1),
    }
    return {key: tuple(rivals[mask].tolist()) for key, mask in holds.items()}


@right_answer("16.claims", why="in plain Python, sums by hand")
def sums_by_hand(validation, test, ours):
    mean = lambda values: sum(values) / len(values)
    lists = {key: [] for key in ("better", "every seed", "most tasks", "level", "chosen")}
    for rival, losses in test.items():
        if rival == ours:
            continue
        mine, theirs = test[ours].tolist(), losses.tolist()
        gain = [mean(b) - mean(a) for a, b in zip(zip(*mine), zip(*theirs))]  # noqa: B905
        spread = (sum((g - mean(gain)) ** 2 for g in gain) / (len(gain) - 1)) ** 0.5
        half, margin = 1.96 * spread / len(gain) ** 0.5, mean([mean(row) for row in theirs]) / 10
        if mean(gain) - half > 0:
            lists["better"].append(rival)
        if all(mean(a) < mean(b) for a, b in zip(mine, theirs, strict=True)):
            lists["every seed"].append(rival)
        if 2 * sum(g > 0 for g in gain) > len(gain):
            lists["most tasks"].append(rival)
        if -margin < mean(gain) - half and mean(gain) + half < margin:
            lists["level"].append(rival)
        if validation[ours].sum() < validation[rival].sum():
            lists["chosen"].append(rival)
    return lists


@right_answer("16.claims", why="arrays of names")
def arrays_of_names(validation, test, ours):
    return {key: np.array(names) for key, names in _sentences(validation, test, ours).items()}
