"""Checks of chapter 06: one function per exercise, for the learner and for the grader."""

from functools import partial

import numpy as np

from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect

# ------------------------------------------------------------------ 06.1


@exercise("06.k_step_slope", points=3, minutes=8, difficulty=2)
def k_step_slope(answer, rng):
    """K steps on a parabola"""
    inputs = {"a": (0.4, 2.0), "c": (-2.0, 2.0), "b": (0.3, 2.0), "d": (-2.0, 2.0)}
    for a, c, b, d, steps in draw(rng, **inputs, steps=[2, 3, 4, 5]):
        theta = c + float(rng.choice([-1, 1]) * rng.uniform(0.6, 2.0))
        rates = _rates(rng, steps) / a
        if abs(c + np.prod(1 - rates * a) * (theta - c) - d) < 0.3:  # it lands too near to d
            d += 1.0
        expect(
            answer(theta, a, c, b, d, rates),
            float(_meta_slope(theta, a, c, b, d, rates)),
            mistakes=partial(_k_steps_gone_wrong, theta, a, c, b, d, rates),
        )


def _rates(rng, steps):
    """αa of each step: below and above 1, no factor near 0 or ±1."""
    return np.where(
        rng.random(steps) < 0.6, rng.uniform(0.15, 0.7, steps), rng.uniform(1.3, 1.8, steps)
    )


def _meta_slope(theta, a, c, b, d, rates):
    follows = np.prod(1 - rates * a)
    return follows * b * (c + follows * (theta - c) - d)


def _k_steps_gone_wrong(theta, a, c, b, d, rates):
    each = 1 - rates * a
    follows, steps = np.prod(each), len(rates)
    phi = c + follows * (theta - c)
    slope = b * (phi - d)
    return {
        "this is the query slope at φ_K (first order): how φ_K follows θ is missing": slope,
        "the landing point is right, and only one step's factor is there: every step has its own": (
            each[-1] * slope
        ),
        "the landing point is right, and only the first step's factor is there: every step has its own": (
            each[0] * slope
        ),
        "the product of the factors stands here once too often: φ_K already contains it, so it is a factor "
        "once and not squared": follows * follows * b * (phi - d),
        "this is for one loss, judged by its distance to c: the query loss has its own minimum d": (
            follows * b * (phi - c)
        ),
        "this is the parabola of one loss, a(1 − αa)^2K (θ − c): the query loss has its own b and d": (
            a * follows**2 * (theta - c)
        ),
        "this is half of the slope: the ½ of the query loss goes when the square is differentiated": (
            0.5 * follows * slope
        ),
        "this is twice the slope: the query loss has a ½ before the square": 2 * follows * slope,
        "the query loss has a curvature of its own, b; you took the support's, a": (
            follows * a * (phi - d)
        ),
        "the query's curvature b is missing: the slope at φ_K is b(φ_K − d)": follows * (phi - d),
        "K steps multiply: 1 − a Σα is what K steps would do that all set out with the slope at θ": (
            _with_follows(1 - a * rates.sum(), theta, c, b, d)
        ),
        "every step has its own rate: the mean rate, K times, gives another product": (
            _with_follows((1 - a * rates.mean()) ** steps, theta, c, b, d)
        ),
        "every step has its own rate; you take the first one K times": (
            _with_follows(each[0] ** steps, theta, c, b, d)
        ),
        "every step has its own rate; you take the last one K times": (
            _with_follows(each[-1] ** steps, theta, c, b, d)
        ),
        "one step is missing, the last": _with_follows(np.prod(each[:-1]), theta, c, b, d),
        "one step is missing, the first": _with_follows(np.prod(each[1:]), theta, c, b, d),
        "the factors are 1 − α_k a, not 1 − α_k: the slope of the support loss contains its curvature": (
            _with_follows(np.prod(1 - rates), theta, c, b, d)
        ),
        "the steps go downhill: the factors are 1 − α_k a, with a minus": (
            _with_follows(np.prod(1 + rates * a), theta, c, b, d)
        ),
        "the steps follow the support loss, with its curvature a: you took b": (
            _with_follows(np.prod(1 - rates * b), theta, c, b, d)
        ),
        "the query slope is taken at φ_K: yours is b(θ − d)": follows * b * (theta - d),
        "φ_K is c plus what is left of θ − c: in yours the minimum c is missing": (
            follows * b * (follows * theta - d)
        ),
        "this is how φ_K follows θ; it still has to be multiplied by the query slope at φ_K": follows,
        "this is the query loss after the steps: its derivative with respect to θ is wanted": (
            0.5 * b * (phi - d) ** 2
        ),
    }


def _with_follows(follows, theta, c, b, d):
    return follows * b * (c + follows * (theta - c) - d)


# ------------------------------------------------------------------ 06.2


@exercise("06.rate_gradient", points=4, minutes=15, difficulty=3)
def rate_gradient(answer, rng):
    """The slope of every rate"""
    for case in _bowls(rng):
        expect(
            answer(*case),
            _rate_slopes(*case),
            mistakes=partial(_rate_slopes_gone_wrong, *case),
        )


def _bowls(rng):
    """Cases (theta, rates, H_S, c, H_Q, d): 2 to 4 parameters, 2 to 5 steps."""
    for size, steps in draw(rng, size=(2, 4), steps=[2, 3, 4, 5]):
        support_h, query_h = (_symmetric(rng, size, *ends) for ends in ((-0.4, 1.6), (0.3, 2.0)))
        theta, support_min, query_min = rng.uniform(-2.0, 2.0, (3, size))
        yield theta, rng.uniform(0.15, 0.9, steps), support_h, support_min, query_h, query_min


def _symmetric(rng, size, low, high):
    """A symmetric matrix with eigenvalues in that range, turned at random."""
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    made = turn * rng.uniform(low, high, size) @ turn.T
    return (made + made.T) / 2  # to the last bit


def _forward(theta, rates, support_h, support_min):
    """(φ₀ … φ_K, g₀ … g_{K−1}), (K + 1, n) and (K, n)."""
    path, slopes = [theta], []
    for rate in rates:
        slopes.append(support_h @ (path[-1] - support_min))
        path.append(path[-1] - rate * slopes[-1])
    return np.array(path), np.array(slopes)


def _back(v, rates, support_h):
    """v₀ … v_K, (K + 1, n)."""
    walked = [v]
    for rate in rates[::-1]:
        walked.append(walked[-1] - rate * support_h @ walked[-1])
    return np.array(walked[::-1])


def _rate_slopes(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _forward(theta, rates, support_h, support_min)
    v = _back(query_h @ (path[-1] - query_min), rates, support_h)
    return -np.einsum("kn,kn->k", v[1:], slopes)


def _rate_slopes_gone_wrong(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _forward(theta, rates, support_h, support_min)
    query = query_h @ (path[-1] - query_min)
    v, steps = _back(query, rates, support_h), len(rates)
    right = -np.einsum("kn,kn->k", v[1:], slopes)
    landed = support_h @ (path[-1] - support_min)  # the support slope at φ_K
    query_slopes = (path[:-1] - query_min) @ query_h
    return {
        "only the last step has a slope in yours: each earlier rate moves φ_K too, through all steps after it": (
            np.where(np.arange(steps) == steps - 1, right, 0.0)
        ),
        "one of the two belongs to the other side of step k: either v is walked back one step too far (α_k moves "
        "φ_{k+1}, so it meets v_{k+1}, before step k is walked over), or g_k is taken where step k landed and not "
        "where it set out, at φ_k": -np.einsum("kn,kn->k", v[:-1], slopes),
        "a larger rate takes a longer step downhill, −g_k: the minus is missing": -right,
        "this is half of the slopes: the ½ of the query loss goes when the square is differentiated": (
            0.5 * right
        ),
        "this is twice the slopes: the query loss has a ½ before the square": 2 * right,
        "v is not walked back at all: the query gradient at φ_K is met by every g_k (first order)": (
            -slopes @ query
        ),
        "the slopes come out in the order of the walk back: give them in the order of the steps": (
            right[::-1]
        ),
        "one number for all steps is the slope of a shared rate: here every step has its own": (
            float(right.sum())
        ),
        "this is α_k times the slope, which is the slope with respect to log α_k: with respect to α_k itself the "
        "factor α_k is not there": rates * right,
        "on the way back every step has its own rate: yours walks back with the mean rate": (
            -np.einsum(
                "kn,kn->k", _back(query, np.full(steps, rates.mean()), support_h)[1:], slopes
            )
        ),
        "on the way back step k has its own rate, too: yours takes the rates in the order of the way forward": (
            -np.einsum("kn,kn->k", _back(query, rates[::-1], support_h)[1:], slopes)
        ),
        "the steps follow the support loss: your g_k are slopes of the query loss": (
            -np.einsum("kn,kn->k", v[1:], query_slopes)
        ),
        "the walk back takes the Hessian of the support loss: yours is the query's": (
            -np.einsum("kn,kn->k", _back(query, rates, query_h)[1:], slopes)
        ),
        "the walk back begins with the gradient of the query loss at φ_K: yours is that of the support loss": (
            -np.einsum("kn,kn->k", _back(landed, rates, support_h)[1:], slopes)
        ),
        "the walk back begins at φ_K: yours begins with the query gradient at θ": (
            -np.einsum("kn,kn->k", _back(query_slopes[0], rates, support_h)[1:], slopes)
        ),
        "all slopes of yours are taken at θ: g_k is the slope at φ_k": -v[1:] @ slopes[0],
        "the walk back is downhill, v − α_k H v: yours has a plus": (
            -np.einsum("kn,kn->k", _back(query, -rates, support_h)[1:], slopes)
        ),
        "the walk back over step k is v − α_k H v: in yours α_k is missing": (
            -np.einsum("kn,kn->k", _back(query, np.ones(steps), support_h)[1:], slopes)
        ),
    }


# ------------------------------------------------------------------ 06.3


@exercise("06.truncated", points=3, minutes=10, difficulty=2)
def truncated(answer, rng):
    """Cut the walk short"""
    backs = _backs(rng)
    for tasks, size in draw(rng, tasks=(2, 4), size=(2, 4)):
        steps = int(rng.integers(3, 7))
        factors = np.array(
            [[_symmetric(rng, size, -0.6, 1.4) for _ in range(steps)] for _ in range(tasks)]
        )
        query = rng.uniform(-2.0, 2.0, (tasks, size))
        back = next(backs)(steps)
        expect(
            answer(factors, query, back),
            _walked(factors, query, range(steps - 1, max(steps - 1 - back, -1), -1)).mean(axis=0),
            mistakes=partial(_walks_gone_wrong, factors, query, back),
        )


def _backs(rng):
    """For ever: how many steps are walked back, given K: 0, a few, K, more than K, in turn."""
    first = int(rng.integers(2))
    while True:
        yield lambda steps: int(rng.integers(2, steps))
        yield lambda steps: (0, steps + int(rng.integers(1, 4)))[first]
        yield lambda steps: int(rng.integers(2, steps))
        yield lambda steps: (0, steps + int(rng.integers(1, 4)))[1 - first]
        yield lambda steps: steps - 1


def _walked(factors, query, order):
    """v after the steps in that order, (tasks, n)."""
    v = query
    for k in order:
        v = np.einsum("tij,tj->ti", factors[:, k], v)
    return v


def _walks_gone_wrong(factors, query, back):
    steps = factors.shape[1]
    last = range(steps - 1, max(steps - 1 - back, -1), -1)
    right = _walked(factors, query, last)
    mean = factors.mean(axis=0, keepdims=True), query.mean(axis=0, keepdims=True)
    diagonal = np.einsum("tkii->tki", factors)
    entries, table = query, query
    for k in last:
        entries = diagonal[:, k] * entries
        table = factors[:, k] * (table[:, None] if table.ndim == 2 else table)  # (tasks, n, n)
    below = range(steps - 1, max(steps - back, 0) - 1, -1)
    if back > steps:  # x[K − back:] with an index below 0
        below = range(steps - 1, max(2 * steps - back, 0) - 1, -1)
    return {
        "these are the first steps: the walk back begins at φ_K, so the last steps are the ones that stay": (
            _walked(factors, query, range(min(back, steps) - 1, -1, -1)).mean(axis=0)
        ),
        "these are the first steps, and in the wrong order as well: the walk back begins with step K − 1": (
            _walked(factors, query, range(min(back, steps))).mean(axis=0)
        ),
        "the right steps in the wrong order: step K − 1 meets the query gradient first": (
            _walked(factors, query, list(last)[::-1]).mean(axis=0)
        ),
        "one step too few is walked back": _walked(factors, query, list(last)[:-1]).mean(axis=0),
        "one step too many is walked back": (
            _walked(factors, query, range(steps - 1, max(steps - 2 - back, -1), -1)).mean(axis=0)
        ),
        "the whole way is walked back, whatever `back` says": (
            _walked(factors, query, range(steps - 1, -1, -1)).mean(axis=0)
        ),
        "with back = 0 nothing is walked back: x[-0:] is all of x and not nothing": (
            right if back else _walked(factors, query, range(steps - 1, -1, -1))
        ).mean(axis=0),
        "nothing is walked back: that is first order, and `back` may be more than 0": query.mean(
            axis=0
        ),
        "more steps than there are means the whole walk; indices below 0 count from the end and walk over "
        "steps twice": _walked(factors, query, range(steps - 1, steps - 1 - back, -1)).mean(axis=0)
        if back <= 2 * steps
        else right.mean(axis=0),
        "a batch's gradient is the mean over its tasks: yours is the sum": right.sum(axis=0),
        "a batch's gradient is the mean over its tasks: yours has one of each task": right,
        "the mean of the tasks is another task: walk each task back by its own factors, then average": (
            _walked(*mean, last).mean(axis=0)
        ),
        "only the diagonals of the matrices are in yours: a matrix times a vector, `@`, takes all entries": (
            entries.mean(axis=0)
        ),
        "`*` multiplies entry by entry and leaves a matrix: a matrix times a vector is `@`": (
            table.mean(axis=0)
        ),
        "with back > K the index K − back is below 0 and counts from the end: the whole walk is meant": (
            _walked(factors, query, below).mean(axis=0)
        ),
        "yours leaves out the first `back` steps and walks back over the rest: walk back over the last `back`": (
            _walked(factors, query, range(steps - 1, back - 1, -1)).mean(axis=0)
        ),
        "a batch's gradient is the mean over its tasks: yours is the median": np.median(
            right, axis=0
        ),
        "with more steps asked for than there are, the whole walk is meant, not first order": (
            query if back > steps else right
        ).mean(axis=0),
    }


# ------------------------------------------------------------------ 06.4


@exercise("06.segments", points=3, minutes=15, difficulty=3)
def segments(answer, rng):
    """Segments of any length"""
    kinds = ["even", "short end", "nearly whole end", "long", "single"]
    kinds = [kinds[n] for n in rng.permutation(5)]
    for number, _ in enumerate(draw(rng, case=0)):
        for _ in range(3):
            steps, size = _walk_of(rng, kinds[number % 5])
            expect(
                _as_pair(answer(steps, size)),
                _segments(steps, size),
                mistakes=partial(_segments_gone_wrong, steps, size),
                detail=_at_the_peak(steps, size),
            )


def _walk_of(rng, kind):
    """(K, s) of one kind."""
    size = int(rng.integers(3, 9))
    whole = int(rng.integers(2, 8))
    return {
        "even": (size * whole, size),
        "short end": (size * whole + 1, size),
        "nearly whole end": (size * whole + size - 1, size),
        "long": (size, size + int(rng.integers(1, 5))),
        "single": (size * whole, 1),
    }[kind]


def _as_pair(got):
    """Two numbers as a tuple, whether they came in a tuple, a list or an array; else `got`."""
    values = array_of(got) if isinstance(got, list | tuple | np.ndarray) else None
    if values is None or values.shape != (2,):
        return got
    if values.dtype.kind == "f":
        raise WrongAnswer(
            "sets and steps are counted, so both are whole numbers: // divides whole numbers, "
            "len and max count"
        )
    return tuple(got)


def _at_the_peak(steps, size):
    """Which φ are held when the most are, in words."""
    lengths = _lengths(steps, size)
    number = int(np.argmax([n + length for n, length in enumerate(lengths)]))
    first = number * size
    held = [*range(0, first, size), *range(first, first + lengths[number])]
    return f"held at the peak: {', '.join(f'φ_{k}' for k in held)}"


def _lengths(steps, size):
    return [min(size, steps - first) for first in range(0, steps, size)]


def _segments(steps, size):
    lengths = _lengths(steps, size)
    return max(n + length for n, length in enumerate(lengths)), steps - len(lengths)


def _segments_gone_wrong(steps, size):
    peak, again = _segments(steps, size)
    sets, computed = _sets_gone_wrong(steps, size), _steps_gone_wrong(steps, size)
    root = max(1, round(np.sqrt(steps)))
    return {
        **{message: (wrong, again) for message, wrong in sets.items()},
        **{message: (peak, wrong) for message, wrong in computed.items()},
        **{
            f"{one}. And {other}": (wrong, wrong_too)
            for one, wrong in sets.items()
            for other, wrong_too in computed.items()
        },
        "this is for the best size, about √K: here the size is given": _segments(steps, root),
        "this is K sets and nothing to compute again: the walk without segments": (steps, 0),
        "the two numbers are exchanged: first the sets, then the steps": (again, peak),
    }


def _sets_gone_wrong(steps, size):
    """Mistakes in the first number."""
    lengths = _lengths(steps, size)
    count, (peak, _) = len(lengths), _segments(steps, size)
    return {
        "this counts the checkpoints alone: while a segment is walked back, its own φ are held as well": count,
        "this counts the open segment alone: the checkpoints of the earlier segments are held as well": (
            lengths[0]
        ),
        "one set too many: an open segment of s steps holds s φ, its checkpoint among them (once), and neither the "
        "point where its last step lands nor φ_K counts": peak + 1,
        "one set too few: an open segment of s steps holds s φ, its checkpoint among them, and φ₀ counts as well": (
            peak - 1
        ),
        "this is K/s + s − 1 rounded down, but a shorter last segment has a checkpoint too, and with s > K there "
        "is one segment of K steps": steps // size + size - 1,
        "this is K/s + s − 1 rounded up, but when a full segment is open, the checkpoint of a shorter one after "
        "it is forgotten, and with s > K there is one segment of K steps": count + size - 1,
        "this is K/s + s, rounded down: it counts the checkpoint of the open segment twice, and with s > K there "
        "is one segment of K steps": steps // size + size,
        "this is K/s + s, rounded up: it counts the checkpoint of the open segment twice, and that of a shorter "
        "one after it, which is forgotten by then": count + size,
        "checkpoints are forgotten when their segment is done: not all of them are held while an earlier, "
        "longer segment is walked back": count + lengths[0] - 1,
        "the last segment may be shorter, and then the peak may be in the one before": (
            count - 1 + lengths[-1]
        ),
    }


def _steps_gone_wrong(steps, size):
    """Mistakes in the second number."""
    lengths = _lengths(steps, size)
    count = len(lengths)
    return {
        "one too many of each segment is computed again: of its s φ the checkpoint was kept, and the point where "
        "its last step lands is not needed": steps,
        "this counts the recomputed steps of one segment: every segment is computed again": (
            lengths[0] - 1
        ),
        "the last segment is computed again as well: only its checkpoint was kept on the way forward": (
            steps - count - (lengths[-1] - 1)
        ),
        "every segment saves one step, the shorter one at the end too: round the number of segments up": (
            steps - max(steps // size, 1)
        ),
        "every segment saves one step, the shorter one at the end too, and with s > K there is one segment": (
            steps - steps // size
        ),
    }


# ------------------------------------------------------------------ 06.5


@exercise("06.two_rates", points=4, minutes=25, difficulty=4)
def two_rates(answer, rng):
    """Two rates for a horizon"""
    quiet = int(rng.integers(2))
    for number, count in enumerate(draw(rng, count=(3, 4))):
        case = _noisy_bowl(rng, count, quiet=number % 2 == quiet, small=number % 4 < 2)
        got = own = answer(*case)
        best, least = _best_pair(_final_loss, case)
        otherwise = detail = ""
        if _is_pair(got):
            above = _loss_of(_final_loss, got, case) / least - 1
            got = best if above <= 0.01 else got  # as good as the best
            detail = f"the loss of your pair is {100 * above:.3g} per cent above the least possible"
            otherwise = TOO_HIGH
        expect(
            got,
            best,
            mistakes=partial(_pairs_gone_wrong, case, own, got, best),
            rtol=1e-6,
            otherwise=otherwise,
            detail=detail,
        )


TOO_HIGH = (
    "the loss of your pair is more than 1 per cent above the least possible: compare your loss of one pair with "
    "a simulation; if it is right, search the whole range, then again around your best pair with a finer grid"
)


def _noisy_bowl(rng, count, quiet, small):
    """(curvatures, noise, start, steps, switch): a short quiet descent or a long noisy one, on any scale."""
    scale = 10 ** (rng.uniform(-1.5, -0.5) if small else rng.uniform(0.5, 1.5))
    curvatures = rng.permutation(np.geomspace(1.0, rng.uniform(0.03, 0.08), count)) * scale
    start = rng.choice([-1, 1], count) * rng.uniform(1.0, 4.0, count)
    start[0] = -abs(start[0])
    noise = curvatures * scale * rng.uniform(0.3, 2.0, count) * (1e-2 if quiet else 1.0)
    steps = int(rng.integers(5, 9) if quiet else rng.integers(24, 60))
    switch = int(rng.integers(max(2, steps // 4), (steps + 1) // 2))  # before the middle
    return curvatures, noise, start, steps, switch


def _rated(rates, steps, weights, curvatures, noise, power=2, last_only=False, shrink=2):
    """(what `steps` steps with each rate leave of each direction, (rates, n); the noise they add, (rates, n))."""
    left, own = np.abs(1 - rates[:, None] * curvatures) ** shrink, rates[:, None] ** power * noise
    added = 0 * left
    for _ in range(steps):
        added = own if last_only else left * added + own
    return left**steps, added * weights


@np.errstate(all="ignore")
def _final_loss(first, second, case, *, square=None, weights=None, late=0, **how):
    """The mean loss for all pairs of rates, (first, second); the keywords are for mistakes."""
    curvatures, noise, start, steps, switch = case
    weights = curvatures if weights is None else weights
    ones = np.ones_like(curvatures)
    kept, added = _rated(first, switch, ones, curvatures, noise, **how)
    square = kept * (start**2 if square is None else square) + added
    passed, later = _rated(second, steps - switch + late, weights, curvatures, noise, **how)
    return (square @ (passed * weights).T + later.sum(axis=1)) / 2


def _loss_of(loss, pair, case):
    first, second = np.asarray(pair, dtype=float)
    return float(loss(np.array([first]), np.array([second]), case)[0, 0])


def _is_pair(got):
    values = array_of(got)
    return (
        values is not None
        and values.shape == (2,)
        and values.dtype.kind in "iuf"
        and bool(np.all(values > 0))
    )


def _best_pair(loss, case, top=None):
    """(the pair with the least loss, that loss): a grid, then finer ones around the best."""
    curvatures = case[0]
    grid = np.geomspace(0.001 / curvatures.max(), top or 1 / curvatures.min(), 500)
    first, second, highest = grid, grid, grid[-1]
    for _ in range(4):
        losses = loss(first, second, case)
        i, j = np.unravel_index(np.nanargmin(losses), losses.shape)
        best, least = np.array([first[i], second[j]]), float(losses[i, j])
        first, second = (
            np.geomspace(g[max(at - 4, 0)], min(g[min(at + 4, len(g) - 1)], highest), 60)
            for g, at in ((first, i), (second, j))
        )
    return best, least


@np.errstate(all="ignore")
def _on_the_way(first, second, case):
    """The sum of the losses after each step."""
    curvatures, noise, start, steps, switch = case
    total = np.zeros((len(first), len(second)))
    for k in range(1, steps + 1):
        now = curvatures, noise, start, k, min(k, switch)
        total += _final_loss(first, second, now)
    return total


@np.errstate(all="ignore")
def _noise_added_up(first, second, case):
    curvatures, noise, start, steps, switch = case
    quiet = _final_loss(first, second, (curvatures, 0 * noise, start, steps, switch))
    every = switch * first[:, None] ** 2 + (steps - switch) * second**2
    return quiet + every * (noise @ curvatures) / 2


def _phase_by_phase(case):
    """Each rate best for the end of its own phase."""
    curvatures, noise, start, _, switch = case
    first = _best_pair(_final_loss, (curvatures, noise, start, switch, switch))[0][0]

    def loss(_, second, case):
        return _final_loss(np.array([first]), second, case)

    return np.array([first, _best_pair(loss, case)[0][1]])


def _one_for_both(case):
    """One rate for all steps, twice."""

    def loss(first, _, case):
        return np.array([[_final_loss(a, a, case)[0, 0]] for a in first[:, None]])

    return np.repeat(_best_pair(loss, case)[0][0], 2)


def _pairs_gone_wrong(case, own, got, best):
    """own: the answer; got: the same, or the best pair if the answer is as good."""
    curvatures, noise, start, steps, switch = case
    ones, least = np.ones_like(curvatures), _loss_of(_final_loss, best, case)
    nothing = np.full(2, np.nan)

    def agrees(pair, near=0.04):
        """`got` if it is that pair, or if both are as good as the best; else what no answer equals."""
        pair = np.asarray(pair, dtype=float)
        as_good = got is best and _loss_of(_final_loss, pair, case) <= 1.03 * least
        same = _is_pair(own) and np.all(np.abs(np.log(array_of(own) / pair)) < near)
        return got if as_good or same else nothing

    def lowest(loss, instead=case, top=None, slack=1.005, **how):
        """`got` if the answer makes this loss least, or nearly, and else what no answer equals."""

        def judged(first, second, instead):
            return loss(first, second, instead, **how)

        def value():
            pair, low = _best_pair(judged, instead, top)
            fits = _is_pair(own) and top is None and low > 0
            # the valleys of a loss without noise are so narrow that a search stops short of the bottom
            limit = slack if steps < 10 else 1.02
            fits = fits and _loss_of(judged, own, instead) <= limit * low
            return got if fits else agrees(pair, 0.015)

        return value

    flat = curvatures, noise, start, steps
    return {
        "give both rates: yours is one number": (
            got if array_of(got) is not None and array_of(got).shape == () else best
        ),
        "argmin gives a place in your array of rates: return the rates at that place": (
            got if _are_places(got) else best
        ),
        "both rates are near the best ones, and the loss is more than 1 per cent above the least all the same: "
        "search again around your pair, with a finer grid": lambda: agrees(best, 0.06),
        "one rate for all steps, given twice: with two different ones the loss is lower": (
            lambda: agrees(_one_for_both(case))
        ),
        "the rates are exchanged: first that of the steps before the switch": (
            lambda: agrees(best[::-1])
        ),
        "the first rate is for `switch` steps and the second for the others: yours has it the other way round": (
            lowest(_final_loss, (*flat, steps - switch), slack=3)
        ),
        "the second rate has only the steps after the switch, steps − switch: in yours it has `steps`": (
            lowest(_final_loss, late=switch)
        ),
        "one step too many: there are `steps` in all": lowest(_final_loss, late=1),
        "one step too few: there are `steps` in all": lowest(_final_loss, late=-1),
        "each rate of yours is best for the end of its own phase: the first counts for the loss at the very end "
        "too, and for nothing else": lambda: agrees(_phase_by_phase(case)),
        "yours is the best pair below 2/λmax: for a few steps a larger rate can pay, so search up to 1/λmin": (
            lowest(_final_loss, top=2 / curvatures.max())
        ),
        "the noise is missing: this is the best pair for a descent that sees the exact slope": (
            lowest(_final_loss, (curvatures, 0 * noise, *case[2:]), slack=3)
        ),
        "this minimises the sum of the losses on the way: what counts is the loss after the last step": (
            lowest(_on_the_way)
        ),
        "the noise of a step has the variance α² times that of the slope: yours has α": (
            lowest(_final_loss, power=1)
        ),
        "the noise of a step has the variance α² times that of the slope: in yours α² is missing": (
            lowest(_final_loss, power=0)
        ),
        "later steps shrink the noise of earlier ones: yours adds up all of it": lowest(
            _noise_added_up
        ),
        "only the noise of the last step of each phase is there: that of the earlier ones is still in θ": (
            lowest(_final_loss, last_only=True)
        ),
        "the mean square shrinks by (1 − αλ)² a step, not by |1 − αλ|": lowest(
            _final_loss, shrink=1
        ),
        "the loss weights each direction with its curvature: yours is the mean squared distance": (
            lowest(_final_loss, weights=ones)
        ),
        "`noise` is already a variance: do not square it": (
            lowest(_final_loss, (curvatures, noise**2, *case[2:]), slack=3)
        ),
        "`start` is θ and not its square: the mean of θ² begins at start²": (
            lowest(_final_loss, square=start)
        ),
        "`start` is θ and not its square: the mean of θ² begins at start² and not at |start|": (
            lowest(_final_loss, square=np.abs(start))
        ),
    }


def _are_places(got):
    values = array_of(got)
    return values is not None and values.shape == (2,) and values.dtype.kind in "iu"


# ------------------------------------------------------------------ 06.6


@exercise("06.learn_the_rate", points=3, minutes=12, difficulty=3)
def learn_the_rate(answer, rng):
    """A rate that learns itself"""
    for tasks, steps, updates in draw(rng, tasks=(2, 4), steps=[2, 3, 4, 5], updates=[2, 3, 4]):
        while not _is_tame(case := _rate_case(rng, tasks, steps, updates)):
            pass
        expect(answer(*case), _rate_path(*case), mistakes=partial(_rates_gone_wrong, *case))


def _rate_case(rng, tasks, steps, updates):
    """(theta, a, c, b, d, steps, alpha, meta_lr, updates)."""
    a, b = rng.uniform(0.5, 1.6, tasks), rng.uniform(0.3, 2.0, tasks)
    c, d = rng.uniform(-2.0, 2.0, (2, tasks))
    theta = float(rng.uniform(-2.0, 2.0))
    alpha, meta_lr = float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.05, 0.4))
    return theta, a, c, b, d, steps, alpha, meta_lr, updates


def _is_tame(case):
    path = _rate_path(*case)
    return np.all((path > 0.02) & (path < 1.2)) and abs(np.log(path[1] / path[0])) > 0.03


def _slope_of_rate(theta, a, c, b, d, steps, alpha):
    """d/dα of the tasks' query losses after K steps, (tasks,)."""
    phi = c + (1 - alpha * a) ** steps * (theta - c)
    return b * (phi - d) * _dphi(theta, a, c, steps, alpha)


def _dphi(theta, a, c, steps, alpha):
    return -steps * a * (1 - alpha * a) ** (steps - 1) * (theta - c)


@np.errstate(all="ignore")
def _rate_path(theta, a, c, b, d, steps, alpha, meta_lr, updates, slope=_slope_of_rate, move=None):
    """α before and after each update, (updates + 1,). move: (α, step on ρ without dα/dρ) → next α."""
    path = [alpha]
    for _ in range(updates):
        now = path[-1]
        down = meta_lr * np.mean(slope(theta, a, c, b, d, steps, now))
        path.append(float(move(now, down) if move else now * np.exp(-down * now)))
    return np.array(path)


def _rates_gone_wrong(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    case = theta, a, c, b, d, steps, alpha, meta_lr, updates
    return _moves_gone_wrong(case) | _slopes_gone_wrong(case)


def _moves_gone_wrong(case):
    *_, updates = case
    right = _rate_path(*case)
    return {
        "this is descent on α itself: ρ = log α is what moves, and then α = e^ρ": (
            _rate_path(*case, move=lambda now, down: now - down)
        ),
        "dα/dρ = α is missing: the slope with respect to ρ is α times that with respect to α": (
            _rate_path(*case, move=lambda now, down: now * np.exp(-down))
        ),
        "the slope with respect to ρ is α times that with respect to α; yours is divided by α": (
            _rate_path(*case, move=lambda now, down: now * np.exp(-down / now))
        ),
        "α is e^ρ: 1 − x is e^(−x) only for a small x": (
            _rate_path(*case, move=lambda now, down: now * (1 - down * now))
        ),
        "this is a step on α with the slope of ρ: move ρ, then take α = e^ρ": (
            _rate_path(*case, move=lambda now, down: now - down * now)
        ),
        "this goes uphill: descent moves ρ against the slope (and 1 − αa falls when α grows: is the sign of that "
        "lost?)": (_rate_path(*case, move=lambda now, down: now * np.exp(down * now))),
        "these are the ρ: give the rates α = e^ρ": np.log(right),
        "after the first entry these are the ρ: give the rates α = e^ρ": (
            np.append(right[0], np.log(right[1:]))
        ),
        "the first rate belongs to the path: it has one entry more than there are updates": right[
            1:
        ],
        "only the last rate is there: give the whole path": float(right[-1]),
        "dα/dρ is the α reached so far: yours keeps the first one": (
            _rate_path(*case, move=lambda now, down: now * np.exp(-down * case[6]))
        ),
        "the rates stay at the first one in your slope: take the slope at the rate reached so far": (
            _frozen(case)
        ),
    }


def _frozen(case):
    theta, a, c, b, d, steps, alpha, meta_lr, updates = case
    slope = alpha * np.mean(_slope_of_rate(theta, a, c, b, d, steps, alpha))
    return alpha * np.exp(-meta_lr * slope * np.arange(updates + 1))


def _slopes_gone_wrong(case):
    def path(slope):
        return lambda: _rate_path(*case, slope=slope)

    def one_step(theta, a, c, b, d, steps, alpha):
        return _slope_of_rate(theta, a, c, b, d, 1, alpha)

    def phi(theta, a, c, steps, alpha):
        return c + (1 - alpha * a) ** steps * (theta - c)

    def first_order(theta, a, c, b, d, steps, alpha):
        moves = sum(a * (1 - alpha * a) ** k for k in range(steps)) * (theta - c)
        return -b * (phi(theta, a, c, steps, alpha) - d) * moves

    def mean_task(theta, a, c, b, d, steps, alpha):
        return _slope_of_rate(theta, *(part.mean() for part in (a, c, b, d)), steps, alpha)

    def product_of_means(theta, a, c, b, d, steps, alpha):
        query = np.mean(b * (phi(theta, a, c, steps, alpha) - d))
        return query * np.mean(_dphi(theta, a, c, steps, alpha))

    return {
        "one inner step: there are K, all with the rate α": path(one_step),
        "first order: what α does in step k goes through the later steps, and shrinks there by 1 − αa in each": (
            path(first_order)
        ),
        "the mean of products is not the product of the means: multiply task by task, then average": (
            path(product_of_means)
        ),
        "the mean of the tasks is another task: take the slope of each task, then average": path(
            mean_task
        ),
        "this is half of the slope: the ½ of the query loss goes when the square is differentiated": path(
            lambda theta, a, c, b, d, steps, alpha: (
                _slope_of_rate(theta, a, c, b, d, steps, alpha) / 2
            )
        ),
        "your slope is the K-th part of the right one: all K steps have the same α and each gives its part, which "
        "is the factor K of the power rule": path(
            lambda theta, a, c, b, d, steps, alpha: (
                _slope_of_rate(theta, a, c, b, d, steps, alpha) / steps
            )
        ),
        "the exponent falls by one when (1 − αa)^K is differentiated: K(1 − αa)^(K−1)": path(
            lambda theta, a, c, b, d, steps, alpha: (
                _slope_of_rate(theta, a, c, b, d, steps, alpha) * (1 - alpha * a)
            )
        ),
        "the inner derivative is missing: 1 − αa falls by a when α grows by 1": path(
            lambda theta, a, c, b, d, steps, alpha: (
                _slope_of_rate(theta, a, c, b, d, steps, alpha) / a
            )
        ),
        "the rate is judged by the query loss: yours takes the support loss": path(
            lambda theta, a, c, b, d, steps, alpha: _slope_of_rate(theta, a, c, a, c, steps, alpha)
        ),
        "the query loss has a curvature of its own, b: you took a": path(
            lambda theta, a, c, b, d, steps, alpha: _slope_of_rate(theta, a, c, a, d, steps, alpha)
        ),
        "the query loss has a minimum of its own, d: you took c": path(
            lambda theta, a, c, b, d, steps, alpha: _slope_of_rate(theta, a, c, b, c, steps, alpha)
        ),
        "the query's curvature b is missing: the slope at φ_K is b(φ_K − d)": path(
            lambda theta, a, c, b, d, steps, alpha: (
                _slope_of_rate(theta, a, c, b, d, steps, alpha) / b
            )
        ),
        "the meta-loss is the mean over the tasks: yours is the sum": path(
            lambda theta, a, c, b, d, steps, alpha: (
                len(a) * _slope_of_rate(theta, a, c, b, d, steps, alpha)
            )
        ),
        "this is the slope with respect to θ; the rate's is wanted": path(
            lambda theta, a, c, b, d, steps, alpha: (
                b * (phi(theta, a, c, steps, alpha) - d) * (1 - alpha * a) ** steps
            )
        ),
        "the query slope is taken at φ_K: yours is taken at θ": path(
            lambda theta, a, c, b, d, steps, alpha: (
                b * (theta - d) * _dphi(theta, a, c, steps, alpha)
            )
        ),
    }
