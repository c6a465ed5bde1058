"""Checks of chapter 04: one function per exercise, for the learner and for the grader."""

from functools import partial

import numpy as np

from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect, named, short


def step(theta, c, a, alpha):
    """φ, one gradient step from θ on ½a(θ − c)²."""
    return theta - alpha * a * (theta - c)


# ------------------------------------------------------------------ 04.1


@exercise("04.meta_slope", points=2, minutes=3, difficulty=1)
def meta_slope(answer, rng):
    """The meta-gradient by hand"""
    inputs = {"theta": (-3.0, 3.0), "c": (-2.0, 2.0), "a": (0.3, 2.0), "alpha": (0.05, 1.2)}
    for theta, c, a, alpha in draw(rng, **inputs):
        phi = step(theta, c, a, alpha)
        expect(
            answer(theta, c, a, alpha),
            (1 - alpha * a) * a * (phi - c),
            mistakes=_slopes_gone_wrong(theta, c, a, alpha, phi),
        )


def _slopes_gone_wrong(theta, c, a, alpha, phi):
    factor = 1 - alpha * a
    return {
        "this is the slope at φ: the path from θ to φ has a slope too (the factor 1 − αa; mind "
        "that (1 − αa) times the slope at θ is the slope at φ)": a * (phi - c),
        "this is the slope at θ, before the step": a * (theta - c),
        "the factor 1 − αa belongs here once: φ already contains the step": (
            factor**2 * a * (phi - c)
        ),
        "the step goes downhill: φ = θ − αa(θ − c), so dφ/dθ = 1 − αa; one of your two has a plus": (
            (1 + alpha * a) * a * (phi - c)
        ),
        "the step goes uphill: φ = θ − α · slope, with a minus": (
            (1 + alpha * a) * a * (step(theta, c, a, -alpha) - c)
        ),
        "the slope of the loss at φ is a(φ − c): the curvature a is missing": factor * (phi - c),
        "the slope of the loss at φ is a(φ − c): in yours the minimum c is missing": factor
        * a
        * phi,
        "how φ follows θ does not depend on where θ is: differentiate the step, do not multiply by it": (
            (1 - alpha * a * (theta - c)) * a * (phi - c)
        ),
        "this is how φ follows θ; it still has to be multiplied by the slope at φ": factor,
        "the factor is 1 − αa, not 1 − α: the slope in the step contains the curvature": (
            (1 - alpha) * a * (phi - c)
        ),
        "the factor is 1 − αa, not −αa: φ = θ − αa(θ − c) contains θ itself, too": (
            -alpha * a * a * (phi - c)
        ),
        "the step is αa(θ − c): in your φ the minimum c is missing": (
            factor * a * (theta - alpha * a * theta - c)
        ),
        "in yours the minimum c is missing twice: the step is αa(θ − c), and the slope at φ is a(φ − c)": (
            factor**2 * a * theta
        ),
        "this is the loss after the step, L(φ): its derivative with respect to θ is wanted": (
            0.5 * a * (phi - c) ** 2
        ),
    }


# ------------------------------------------------------------------ 04.2

SLOPES = {  # loss of one number: its first and second derivative
    "double_well": (lambda t: t**3 - t, lambda t: 3 * t**2 - 1),
    "quartic_and_sine": (lambda t: t**3 + np.cos(t), lambda t: 3 * t**2 - np.sin(t)),
}


@exercise("04.numeric_meta_slope", points=3, minutes=6, difficulty=2)
def numeric_meta_slope(answer, rng):
    """The meta-gradient by finite differences"""
    for loss, theta, alpha, steps, h in _landings(rng):
        expect(
            answer(loss, theta, alpha, steps, h),
            _difference(_after(loss, alpha, steps), theta, h),
            mistakes=partial(_differences_gone_wrong, loss, theta, alpha, steps, h),
        )


def _landings(rng):
    """Cases (loss, theta, alpha, steps, h), in turn with one, two and three steps or three, one and two …"""
    inputs = {
        "loss": [named(name) for name in SLOPES],
        "theta": (-1.8, 1.8),
        "alpha": (0.1, 0.6),
        "h": [0.1, 0.05, 0.02],
    }
    first = int(rng.integers(3))
    for n, (loss, theta, alpha, h) in enumerate(draw(rng, **inputs)):
        yield loss, theta, alpha, 1 + (first + n) % 3, h


def _differences_gone_wrong(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    ahead, here, behind = after(theta + h), after(theta), after(theta - h)
    path, slope = _path(loss, theta, alpha, steps), SLOPES[loss.name][0]
    follows = np.prod([1 - alpha * SLOPES[loss.name][1](phi) for phi in path[:-1]])
    return {
        "this is a one-sided difference: go to both sides of θ, by +h and by −h": (
            (ahead - here) / h
        ),
        "this is a one-sided difference, backwards: go to both sides of θ, by +h and by −h": (
            (here - behind) / h
        ),
        "the points are 2h apart, so divide by 2h and not by h": (ahead - behind) / h,
        "`/ 2 * h` divides by 2 and then multiplies by h: write `/ (2 * h)`": (
            (ahead - behind) / 2 * h
        ),
        "this is θ + h minus θ − h with the signs exchanged": (behind - ahead) / (2 * h),
        "the inner steps do not follow the start: either you moved φ by ±h, or you took the inner "
        "slopes once, from θ, and used them from θ ± h; take them again from each of the two": (
            _difference(loss.numpy, path[-1], h)
        ),
        "this is the exact slope, or a difference with an h much smaller than the one you are given: "
        "give the central difference with that h": follows * slope(path[-1]),
        "this is the slope of the loss before the steps: the inner steps are missing": (
            _difference(loss.numpy, theta, h)
        ),
        "this is how φ follows θ: compare the losses at the two landing points, not the points": (
            lambda: _difference(lambda start: _path(loss, start, alpha, steps)[-1], theta, h)
        ),
        **_steps_gone_wrong(loss, theta, alpha, steps, h),
    }


def _steps_gone_wrong(loss, theta, alpha, steps, h):
    def measured(start_to_end):
        return _difference(lambda start: loss.numpy(start_to_end(start)), theta, h)

    def with_differences(start):
        for _ in range(steps):
            start = start - alpha * _difference(loss.numpy, start, h)
        return start

    def restarting(start):
        phi = start
        for _ in range(steps):
            phi = start - alpha * slope(phi)
        return phi

    slope = SLOPES[loss.name][0]
    return {
        "the inner steps go uphill: φ = θ − α · slope, with a minus": (
            measured(lambda start: _path(loss, start, -alpha, steps)[-1])
        ),
        "the inner steps lack their size: φ = θ − α · slope": (
            measured(lambda start: _path(loss, start, 1.0, steps)[-1])
        ),
        "the inner steps have the size h: that is how far the start is moved, the inner rate is α": (
            measured(lambda start: _path(loss, start, h, steps)[-1])
        ),
        "your inner slopes are finite differences themselves, with an error of their own: take L' from "
        "`ref.grad(loss)`": measured(with_differences),
        "you take one inner step, however many are asked for": (
            measured(lambda start: _path(loss, start, alpha, 1)[-1])
        ),
        "every inner step takes its slope at the start: step k must take it where step k − 1 landed": (
            measured(lambda start: start - steps * alpha * slope(start))
        ),
        "every inner step sets out from the start: step k must set out from where step k − 1 landed": (
            measured(restarting)
        ),
        "you take the inner slope once, at θ, and use it in every step from θ ± h: take it again at every "
        "point of both paths": measured(lambda start: start - steps * alpha * slope(theta)),
        "you take one inner step too many: there are as many as `steps` says": (
            measured(lambda start: _path(loss, start, alpha, steps + 1)[-1])
        ),
        "you take one inner step too few: there are as many as `steps` says": (
            measured(lambda start: _path(loss, start, alpha, steps - 1)[-1])
        ),
    }


def _path(loss, start, alpha, steps):
    """Start and landing points, (steps + 1,)."""
    points = [start]
    for _ in range(steps):
        with np.errstate(all="ignore"):  # with a wrong sign or size a step may go anywhere
            points.append(points[-1] - alpha * SLOPES[loss.name][0](points[-1]))
    return points


def _after(loss, alpha, steps):
    """The loss after the steps, as a function of the start."""
    return lambda start: loss.numpy(_path(loss, start, alpha, steps)[-1])


def _difference(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


# ------------------------------------------------------------------ 04.3


@exercise("04.first_order_misleads", points=3, minutes=8, difficulty=2)
def first_order_misleads(answer, rng):
    """The sign flip of a batch"""
    for theta, c, a, alpha in _batches(rng):
        first_order, meta = _gradients(theta, c, a, alpha)
        expect(
            answer(theta, c, a, alpha),
            _opposed(first_order.mean(1), meta.mean(1)),
            mistakes=partial(_signs_gone_wrong, theta, c, a, alpha),
        )


def _gradients(theta, c, a, alpha):
    first_order = a * (step(theta, c, a, alpha) - c)
    return first_order, (1 - alpha * a) * first_order


def _opposed(one, other):
    return one * other < 0


def _signs_gone_wrong(theta, c, a, alpha):
    first_order, meta = _gradients(theta, c, a, alpha)
    factor = 1 - alpha * a  # (batches, tasks)
    wrong = factor < 0
    one, other = first_order.mean(1), meta.mean(1)
    downhill = (a * (theta - c)).mean(1)
    uphill = (2 - factor) * a * (theta - c)  # the slope where a step uphill lands
    without = factor * a  # the first-order gradients, had they no θ − c
    whole = _opposed(first_order.mean(), meta.mean())
    return {
        "this is a verdict on every task: MAML steps against the mean over the batch": wrong,
        "this is a verdict on every task, and for one task αa > 2 has no part in it: MAML steps against "
        "the mean over the batch": (wrong & (alpha * a < 2)),
        "one task with the wrong sign does not always spoil the mean": wrong.any(1),
        "a batch may be misled though not all its tasks are": wrong.all(1),
        "tasks do not vote: a long gradient counts more than a short one": wrong.mean(1) > 0.5,
        "average the gradients, not the tasks: a task with the mean curvature is another task": (
            alpha * a.mean(1) > 1
        ),
        "the product of the two means decides, not the mean of the tasks' products": (
            (first_order * meta).mean(1) < 0
        ),
        "this is where the two agree: the question is where they point opposite ways": (
            one * other > 0
        ),
        "a gradient of 0 points nowhere, so not the other way": one * other <= 0,
        "signs that differ need not be opposite: a mean of 0 points nowhere, and its sign differs from 1 "
        "and from −1": np.sign(one) != np.sign(other),
        "a mean that is not above 0 may be 0, which is not the opposite of a positive one": (
            (one > 0) != (other > 0)
        ),
        "a mean that is not below 0 may be 0, which is not the opposite of a negative one": (
            (one < 0) != (other < 0)
        ),
        "you compare with the gradient before the step: the first-order one is the slope at φ": (
            _opposed(downhill, other)
        ),
        "you compare the first-order gradient with the slope before the step, not with the meta-gradient": (
            _opposed(downhill, one)
        ),
        "this says which of the two is longer; which way they point is in their signs": (
            np.abs(other) > np.abs(one)
        ),
        "this says where they do not point opposite ways: the question is where they do": (
            ~_opposed(one, other)
        ),
        "this is one verdict on all batches together: take the mean within each batch (axis 1)": whole,
        "this is one verdict for all batches: take the mean within each batch (axis 1)": (
            np.full(len(c), whole)
        ),
        "the step goes uphill: φ = θ − αa(θ − c), with a minus": (
            _opposed(uphill.mean(1), (factor * uphill).mean(1))
        ),
        "the step goes uphill: φ = θ − αa(θ − c), so φ follows θ with 1 − αa; both of yours have a plus": (
            _opposed(uphill.mean(1), ((2 - factor) * uphill).mean(1))
        ),
        "the slope at φ is a(φ − c), and φ − c is (1 − αa)(θ − c): in yours θ − c is missing": (
            _opposed(without.mean(1), (factor * without).mean(1))
        ),
    }


def _batches(rng):
    """Cases (theta, c, a, alpha) in which every mistake gives another answer than the right one."""
    for alpha, tasks in draw(rng, alpha=[0.25, 0.5, 2.0], tasks=[3, 5]):
        while not _tells(case := _some_batches(rng, tasks, alpha)):
            pass
        yield case


def _tells(case):
    right = _opposed(*(each.mean(1) for each in _gradients(*case)))
    wrong = _signs_gone_wrong(*case).values()
    return all(value.ndim != 1 or np.any(value != right) for value in wrong)


def _some_batches(rng, tasks, alpha):
    """(theta, c, a, alpha): verdicts of both kinds, with few and with most tasks misled; and means of 0."""
    theta = float(rng.integers(-8, 9)) / 4  # a multiple of ¼: a mean of 0 is one to the last bit
    kinds = [(misled, most) for misled in (True, False) for most in (True, False)]
    kinds += [kinds[n] for n in rng.integers(4, size=rng.integers(1, 4))]
    made = [_batch(rng, theta, tasks, alpha, *kind) for kind in kinds]
    # all tasks misled: else "all of them" would be False everywhere, as other mistakes are
    made.append(_batch(rng, theta, tasks, alpha, True, True, least=1.1))
    made.append((theta + rng.integers(1, 9, tasks) / 4, np.ones(tasks)))  # both means are 0
    side = int(rng.choice([-1, 1]))
    made += [_half_a_tie(rng, theta, tasks, side, one) for one in ("first order", "meta")]
    order = rng.permutation(len(made))
    c, product = (np.array(part)[order] for part in zip(*made, strict=True))
    return theta, c, product / alpha, alpha


def _batch(rng, theta, tasks, alpha, misled, most, least=-1.0):
    """(c, αa) of a batch with this verdict, no mean near 0, and with most tasks misled, or few."""
    while True:
        product = rng.uniform(least, 2.6, tasks)
        wrong = np.sum(product > 1)
        if not (wrong > tasks / 2 if most else 0 < wrong < tasks / 2):
            continue
        c = theta + rng.choice([-1, 1], tasks) * rng.integers(1, 17, tasks) / 4
        first_order, meta = _gradients(theta, c, product / alpha, alpha)
        if _opposed(first_order.mean(), meta.mean()) != misled:
            continue
        parts = [*map(_clearness, (first_order, meta, c - theta)), *np.abs(product - 1)]
        if min(parts) > 0.1:
            return c, product


def _half_a_tie(rng, theta, tasks, side, zero):
    """(c, αa) of a batch with one mean of exactly 0 and one that is not; with -side, the other way round.

    For αa = 1 − f and 1 + f the gradients are f·(1 − f)(θ − c), −f·(1 + f)(θ − c), and the meta-gradients
    f times their sizes. All other tasks have αa = 1 and no part in it.
    """
    f, unit = rng.choice([0.25, 0.5, 0.75]), side * rng.integers(1, 5) / 2
    sign = 1 if zero == "first order" else -1
    away = np.append([sign * (1 + f) * unit, (1 - f) * unit], rng.integers(1, 9, tasks - 2) / 4)
    product = np.append([1 - f, 1 + f], np.ones(tasks - 2))
    order = rng.permutation(tasks)
    return (theta - away)[order], product[order]


def _clearness(gradients):
    """How far the mean is from 0, in units of the largest."""
    return abs(gradients.mean()) / np.abs(gradients).max()


# ------------------------------------------------------------------ 04.4


@exercise("04.best_start", points=3, minutes=10, difficulty=3)
def best_start(answer, rng):
    """The best place to start from"""
    for c, a, alpha in _parabolas(rng):
        got = answer(c, a, alpha)
        right = _weighted_mean(a * (1 - alpha * a) ** 2, c)
        expect(got, right, mistakes=partial(_starts_gone_wrong, c, a, alpha, got, right))


NEARLY = (
    "close, but not exact: a formula gives it to the last digit; a grid, a search that stops early or "
    "rounding does not"
)


def _if_near(got, right):
    """What was answered, where that is right to about two digits; else what is right."""
    values = array_of(got)
    same_shape = values is not None and values.shape == np.shape(right)
    return got if same_shape and np.allclose(values, right, rtol=0.003, atol=0.01) else right


def _starts_gone_wrong(c, a, alpha, got, right):
    follows = 1 - alpha * a  # how φ follows θ, (tasks,)
    weight = a * follows**2
    return {
        "this is the plain mean of the minima: steep tasks must count differently": (
            float(np.mean(c))
        ),
        "this minimises the mean loss before the step: the step is missing, or you have 1 − α in place of "
        "1 − αa": _weighted_mean(a, c),
        "1 − αa, not 1 − a: in yours the inner rate α is missing": _weighted_mean(
            a * (1 - a) ** 2, c
        ),
        "this is where the first-order gradients cancel, not the meta-gradients": (
            _weighted_mean(a * follows, c)
        ),
        "a weighted mean is divided by the sum of the weights, not by the number of tasks": (
            float(np.mean(weight * c))
        ),
        "a weighted mean is divided by the sum of its weights": float(np.sum(weight * c)),
        "divide by the sum of the whole weights: yours is the sum of the curvatures": (
            float(np.sum(weight * c) / np.sum(a))
        ),
        "divide by the sum of the whole weights: yours lacks the curvatures": (
            float(np.sum(weight * c) / np.sum(follows**2))
        ),
        "divide by the sum of the whole weights: in yours 1 − αa stands once": (
            float(np.sum(weight * c) / np.sum(a * follows))
        ),
        "the weights lack the curvature a: the slope at φ is a(φ − c)": (
            _weighted_mean(follows**2, c)
        ),
        "the weights are not 1 − αa alone: put all factors of the meta-gradient together": (
            _weighted_mean(follows, c)
        ),
        "the curvature a enters once: the slope at φ has it, the path from θ to φ has 1 − αa": (
            _weighted_mean(a * weight, c)
        ),
        "1 − αa enters as its square, not as its size: φ − c has it once, the path from θ to φ once": (
            _weighted_mean(a * np.abs(follows), c)
        ),
        "1 − αa enters twice, not three times: φ − c has it once, the path from θ to φ once": (
            _weighted_mean(a * follows**3, c)
        ),
        "the weights are those of a step uphill: φ − c is 1 − αa times θ − c": (
            _weighted_mean(a * (1 + alpha * a) ** 2, c)
        ),
        NEARLY: _if_near(got, right),
    }


def _parabolas(rng):
    """Cases (c, a, alpha) of 2 to 6 tasks, with αa below and above 1, none near it."""
    for alpha, tasks in draw(rng, alpha=(0.3, 1.1), tasks=(2, 6)):
        product = np.where(
            rng.random(tasks) < 0.6, rng.uniform(0.15, 0.7, tasks), rng.uniform(1.2, 1.8, tasks)
        )
        c, a = rng.uniform(-3.0, 3.0, tasks), product / alpha
        yield c, a, alpha


def _weighted_mean(weight, values):
    return float(np.sum(weight * values) / np.sum(weight))


# ------------------------------------------------------------------ 04.5


@exercise("04.resting_place", points=4, minutes=25, difficulty=4)
def resting_place(answer, rng):
    """Where MAML comes to rest"""
    for case in _bowls(rng):
        got, right = answer(*case), _rest(*case)
        expect(got, right, mistakes=partial(_everything_gone_wrong, case, got, right))


def _everything_gone_wrong(case, got, right):
    told = {NEARLY: _if_near(got, right), A_MATRIX: _if_a_matrix(got, right)}
    return _rests_gone_wrong(*case) | _products_gone_wrong(*case) | told


A_MATRIX = (
    "this is a matrix, not a θ: `*` multiplies entry by entry, and with a vector it gives a matrix; the "
    "product that you need is `@`"
)


def _if_a_matrix(got, right):
    """What was answered, where that is a matrix (n, n) of numbers; else what is right."""
    values = array_of(got)
    return got if values is not None and values.shape == 2 * right.shape else right


def _bowls(rng):
    """Cases (support_h, support_min, query_h, query_min, alpha): 2 to 5 tasks, 2 to 4 parameters."""
    for tasks, size, alpha in draw(rng, tasks=(2, 5), size=(2, 4), alpha=(0.1, 0.9)):
        support_h = _symmetric(rng, rng.uniform(-0.4, 1.7, (tasks, size)) / alpha)
        query_h = _symmetric(rng, rng.uniform(0.3, 2.0, (tasks, size)))
        support_min, query_min = rng.uniform(-2.0, 2.0, (2, tasks, size))
        yield support_h, support_min, query_h, query_min, alpha


def _symmetric(rng, curvatures):
    """Symmetric matrices (tasks, n, n) with these eigenvalues (tasks, n), turned at random."""
    turn, _ = np.linalg.qr(rng.normal(size=(*curvatures.shape, curvatures.shape[1])))
    made = turn * curvatures[:, None, :] @ turn.swapaxes(1, 2)
    return (made + made.swapaxes(1, 2)) / 2  # to the last bit


def _zero_of(factor, h, follows, pull):
    """θ where Σ over tasks of factor·h·(follows θ − pull) is 0."""
    left = factor @ h @ follows  # (tasks, n, n)
    right = (factor @ h @ pull[..., None])[..., 0]  # (tasks, n)
    return np.linalg.solve(left.sum(0), right.sum(0))


def _solved(left, right, target):
    """θ where Σ over tasks of left θ − right target is 0."""
    return np.linalg.solve(left.sum(0), _times(right, target).sum(0))


def _averaged(follows, h, target):
    """The same as for one task, with every matrix and vector averaged before."""
    mean = follows.mean(0)
    return np.linalg.solve(mean @ h.mean(0) @ mean, mean @ h.mean(0) @ target.mean(0))


def _rest(support_h, support_min, query_h, query_min, alpha):
    follows = np.eye(query_min.shape[1]) - alpha * support_h
    return _zero_of(follows, query_h, follows, query_min - alpha * _times(support_h, support_min))


def _times(matrices, vectors):
    return (matrices @ vectors[..., None])[..., 0]


def _rests_gone_wrong(support_h, support_min, query_h, query_min, alpha):
    one = np.broadcast_to(np.eye(query_min.shape[1]), support_h.shape)
    follows, pulled = one - alpha * support_h, alpha * _times(support_h, support_min)
    query_factor, query_pulled = one - alpha * query_h, alpha * _times(query_h, support_min)
    target = query_min - pulled
    return {
        "this is where first-order MAML comes to rest: the factor I − αH_S is missing": (
            _zero_of(one, query_h, follows, target)
        ),
        "the factor I − αH takes the curvature of the support loss; yours is the query loss's": (
            lambda: _zero_of(query_factor, query_h, follows, target)
        ),
        "the inner step follows the support loss; yours takes the query loss's curvature": (
            lambda: _zero_of(query_factor, query_h, query_factor, query_min - query_pulled)
        ),
        "this minimises the query loss before the step: the inner step is missing": (
            _zero_of(one, query_h, one, query_min)
        ),
        "this is the mean of the query minima: the inner step and the curvatures are missing": (
            query_min.mean(0)
        ),
        "the step pulls towards the support minimum c, and your φ knows nothing of c": (
            _zero_of(follows, query_h, follows, query_min)
        ),
        "in φ the part that does not depend on θ, the pull towards c, has the wrong sign": (
            _zero_of(follows, query_h, follows, query_min + pulled)
        ),
        "matrices do not commute: the factors of a meta-gradient stand in another order": (
            _zero_of(one, query_h @ follows, follows, target)
        ),
        "matrices do not commute: in the matrix of θ the factors stand in another order": (
            lambda: _solved(follows @ follows @ query_h, follows @ query_h, target)
        ),
        "each task's matrices belong together: multiply within a task first, then average": (
            lambda: _averaged(follows, query_h, target)
        ),
        "the mean of the tasks is another task: work out each meta-gradient first, then average": (
            lambda: _rest(
                *(part.mean(0)[None] for part in (support_h, support_min, query_h, query_min)),
                alpha,
            )
        ),
        "the pull towards c is αH_S c: in yours α is missing": (
            lambda: _zero_of(follows, query_h, follows, query_min - pulled / alpha)
        ),
        "the pull towards c is αH_S c: in yours H_S is missing": (
            lambda: _zero_of(follows, query_h, follows, query_min - alpha * support_min)
        ),
        "the query slope is taken at φ: yours is H_Q(θ − d)": (
            lambda: _zero_of(follows, query_h, one, query_min)
        ),
        "this is 04.4 with matrices: after the step the query loss counts, with its own H_Q and d": (
            lambda: _zero_of(follows, support_h, follows, _times(follows, support_min))
        ),
        "the step does not move d: what is left of d in φ − d is d minus the part of φ without θ": (
            _zero_of(follows, query_h, follows, _times(follows, query_min))
        ),
        "the step goes uphill: φ = θ − α · gradient, with a minus": (
            _zero_of(2 * one - follows, query_h, 2 * one - follows, query_min + pulled)
        ),
        "φ follows θ with another sign of α: the step goes downhill": (
            _zero_of(2 * one - follows, query_h, 2 * one - follows, target)
        ),
        "the query loss has a minimum of its own; you took the support's": (
            _zero_of(follows, query_h, follows, support_min - pulled)
        ),
        "the query loss has a curvature of its own; you took the support's": (
            lambda: _zero_of(follows, support_h, follows, target)
        ),
        "the query's curvature H_Q is missing: the query slope at φ is H_Q(φ − d)": (
            _zero_of(follows, one, follows, target)
        ),
        "this is the mean of each task's own best start: tasks pull with different strengths": (
            lambda: np.linalg.solve(follows, target[..., None])[..., 0].mean(0)
        ),
        "`1 - alpha * H` subtracts every entry of αH from 1: in I − αH_S the I is the identity matrix, "
        "`np.eye(n)`": lambda: _zero_of(
            1 - alpha * support_h, query_h, 1 - alpha * support_h, target
        ),
        "c and d are exchanged: c is the minimum of the support loss, d that of the query loss": (
            lambda: _rest(support_h, query_min, query_h, support_min, alpha)
        ),
        "H_S and H_Q are exchanged: H_S belongs to the support loss, H_Q to the query loss": (
            lambda: _rest(query_h, support_min, support_h, query_min, alpha)
        ),
        "the support loss and the query loss are exchanged: the step is on L_S, and L_Q judges": (
            lambda: _rest(query_h, query_min, support_h, support_min, alpha)
        ),
        "this is the sum of the slopes at θ = 0, not the θ at which they cancel": (
            -_times(follows @ query_h, target).sum(0)
        ),
    }


def _products_gone_wrong(support_h, support_min, query_h, query_min, alpha):
    """Mistakes in the sums of products: of entries, without a factor, over another number of tasks."""
    follows = np.eye(query_min.shape[1]) - alpha * support_h
    target = query_min - alpha * _times(support_h, support_min)
    left, right = follows @ query_h @ follows, follows @ query_h
    return {
        "`*` multiplies matrices entry by entry: the product that you need is `@`": (
            lambda: _solved(follows * query_h * follows, follows * query_h, target)
        ),
        "the factor I − αH_S stands in front of the whole slope: in your vector it is missing": (
            lambda: _solved(left, query_h, target)
        ),
        "take the sum over the tasks on both sides, or the mean on both": (
            lambda: len(left) * _solved(left, right, target)
        ),
        "take the sum over the tasks on both sides, or the mean on both; yours has the mean in the vector": (
            lambda: _solved(left, right, target) / len(left)
        ),
    }


# ------------------------------------------------------------------ 04.6

WORDS = ("right", "first-order", "query curvature", "right factor, slope at θ")
LENGTHS = ("theta", "c", "d", "gradient")  # scaled together, they leave a trial what it is


@exercise("04.which_program", points=3, minutes=12, difficulty=3)
def which_program(answer, rng):
    """Which program was it?"""
    words = rng.permutation(WORDS)
    for n, trials in enumerate(draw(rng, trials=(4, 8))):
        word = str(words[n % len(words)])
        labs = [*_labs(rng, trials), _cancelling(rng, word, trials), _close(rng, word, trials)]
        for verdict, lab in labs:
            got = answer(*lab.values())
            _a_word(got)
            expect(got, verdict, mistakes=partial(_verdicts_gone_wrong, lab, verdict, got))


def _a_word(got):
    """Raise WrongAnswer where the answer is none of the five words."""
    if isinstance(got, list | tuple | np.ndarray):
        raise WrongAnswer(
            "return one word and not a list: there is a word for several programs, too"
        )
    if isinstance(got, int | float | np.number):
        raise WrongAnswer(
            "return one of the five words, not a number (such as its place in a list)"
        )
    if isinstance(got, str) and got not in (*WORDS, "undecided"):
        raise WrongAnswer("that is none of the five words", f"got: {short(got)}")


def _labs(rng, trials):
    """(word, trials and gradients): four programs, with numbers large, usual and small, and three
    experiments that decide nothing."""
    kinds = ["same curvature", "start at c", *rng.permutation(["same curvature", "start at c"] * 2)]
    mixed = ["small step", *rng.permutation(kinds[: trials - 2]), "small step"]
    sizes = rng.permutation([0.1, 1.0, 1.0, 500.0])
    made = [(word, _lab(rng, word, mixed, size)) for word, size in zip(WORDS, sizes, strict=True)]
    for idle, word in (("small step", 1), ("same curvature", 2), ("start at c", 3)):
        made.append(("undecided", _lab(rng, WORDS[word], [idle] * trials)))
    return [made[i] for i in rng.permutation(len(made))]


def _cancelling(rng, word, trials):
    """(word, a lab in which the errors of a second program add up to 0): one trial's θ, c and d are scaled so.

    Its largest gradient is 0.9, and no program is near another: six decimals tell, and so does one digit.
    """
    rival = str(rng.choice([other for other in WORDS if other != word]))
    while True:
        lab = _lab(rng, word, ["small step", *["any"] * (trials - 2), "small step"])
        programs = _programs(**lab)
        error = programs[rival] - programs[word]
        scale = np.ones(trials)  # a trial's slopes grow as its θ, c and d
        scale[1] = (error[1] - error.sum()) / error[1]
        size = scale * 0.9 / np.max(np.abs(scale * lab["gradient"]))
        lab |= {name: size * lab[name] for name in LENGTHS}
        clear = 0.3 < abs(scale[1]) < 3 and _clearness(lab["gradient"]) > 0.1
        if clear and not _loosely_several(_programs(**lab), lab["gradient"]):
            return word, lab


def _close(rng, word, trials):
    """(word, a lab in which each trial tells all programs apart, one by less than 1 % and 3e-4).

    So a tolerance that is too wide, relative or absolute, cannot tell; 1e-3 of the gradient can. In units of
    αa the programs differ from the first-order one by −1, by −2 (b is near 2a) and by 1 or by −3.
    """
    theta, a = rng.uniform(-3.0, 3.0, trials), rng.uniform(0.4, 2.0, trials)
    c = theta + rng.choice([-1, 1], trials) * rng.uniform(0.5, 2.0, trials)
    alpha, b = rng.uniform(0.0045, 0.0065, trials) / a, a * rng.uniform(1.9, 2.1, trials)
    times = rng.choice([-1, 1]) * rng.uniform(1.9, 2.1, trials)
    d = step(theta, c, a, alpha) - (theta - c) / times
    exact = _programs(theta, c, a, d, b, alpha)
    gaps = [np.max(np.abs(exact[w] - exact[word])) for w in WORDS if w != word]
    size = 3e-4 / min(gaps)
    lab = {"theta": size * theta, "c": size * c, "a": a, "d": size * d, "b": b, "alpha": alpha}
    return word, _measured(rng, word, lab)


def _lab(rng, word, kinds, size=1.0):
    """A trial of each kind, with what the program gives for it, good to six digits.

    No idle trial tells all four programs apart: only several together do. θ, c and d are `size` times
    as large as usual, and so are all gradients.
    """
    trials = len(kinds)
    kind = np.array(kinds)
    theta = rng.uniform(-3.0, 3.0, trials)
    c = theta + rng.choice([-1, 1], trials) * rng.uniform(0.5, 2.0, trials)
    a, alpha = rng.uniform(0.4, 2.0, trials), rng.uniform(0.3, 1.2, trials)
    alpha = np.where(np.abs(alpha * a - 1) < 0.1, 1.3 * alpha, alpha)  # no factor near 0
    b = a + np.where(a > 1.2, -1, 1) * rng.uniform(0.3, 0.8, trials)
    alpha = np.where(kind == "small step", 1e-9, alpha)
    b = np.where(kind == "same curvature", a, b)
    c = np.where(kind == "start at c", theta, c)
    d = step(theta, c, a, alpha) + rng.choice([-1, 1], trials) * rng.uniform(0.4, 2.5, trials)
    lab = {"theta": size * theta, "c": size * c, "a": a, "d": size * d, "b": b, "alpha": alpha}
    return _measured(rng, word, lab)


def _measured(rng, word, lab):
    """The lab with the gradients that the program returns, good to six digits."""
    exact = _programs(**lab)[word]
    return lab | {"gradient": exact * (1 + 1e-6 * rng.uniform(-1, 1, len(exact)))}


def _programs(theta, c, a, d, b, alpha, phi=None, **_):
    """Word → what that program returns; phi: where the step on L_S lands, unless it is worked out here."""
    phi = step(theta, c, a, alpha) if phi is None else phi
    return {
        WORDS[0]: (1 - alpha * a) * b * (phi - d),
        WORDS[1]: b * (phi - d),
        WORDS[2]: (1 - alpha * b) * b * (phi - d),
        WORDS[3]: (1 - alpha * a) * b * (theta - d),
    }


def _verdict(programs, gradient):
    fits = _fits(programs, gradient)
    return fits[0] if len(fits) == 1 else "undecided"


def _fits(programs, gradient, rtol=1e-4, atol=1e-8):
    return [w for w in WORDS if np.allclose(programs[w], gradient, rtol=rtol, atol=atol)]


def _loosely_several(programs, gradient):
    """Whether a tolerance that is too wide, of a half or of 0.3, takes in a second program."""
    return any(len(_fits(programs, gradient, *wide)) > 1 for wide in ((0.5, 0), (0, 0.3)))


def _verdicts_gone_wrong(lab, word, got):
    gradient, programs = lab["gradient"], _programs(**lab)
    theta, c, a, d, b, alpha, _ = lab.values()
    fits = _fits(programs, gradient)
    error = {word: np.abs(programs[word] - gradient).sum() for word in WORDS}
    on_average = [w for w in WORDS if np.isclose(programs[w].mean(), gradient.mean(), rtol=1e-4)]

    def with_step(phi):
        return _verdict(_programs(**lab, phi=phi), gradient)

    # a tolerance that is not relative may be too narrow for these gradients, and a wide one too wide
    excused = np.abs(gradient).max() > 1 or _loosely_several(programs, gradient)
    return {
        "several programs explain all trials, and yours picks one of them": (
            got if got in fits else fits[0]
        ),
        "errors of single trials cancel in a sum or a mean: compare trial by trial": (
            on_average[0] if len(on_average) == 1 else "undecided"
        ),
        "the smallest error always has a winner, even where others explain the trials as well": (
            min(error, key=error.get)
        ),
        "an experiment can be idle with large steps too: ask how many programs explain all trials": (
            "undecided" if np.all(alpha < 1e-6) else fits[0]
        ),
        "an undecided experiment is no evidence for the first-order program": (
            WORDS[1] if len(fits) > 1 else fits[0]
        ),
        "a program must explain every trial, and one that fits is not enough": (
            next(w for w in WORDS if np.isclose(programs[w], gradient, rtol=1e-4).any())
        ),
        "a program must explain every trial: yours judges by one trial alone, be it the first, the last or "
        "any that fits": _verdict({w: v[0] for w, v in programs.items()}, gradient[0]),
        "φ is where the step on L_S lands, with the curvature a of L_S: in yours stands b": (
            with_step(step(theta, c, b, alpha))
        ),
        "the step goes downhill: in yours φ goes uphill, away from c": (
            with_step(step(theta, c, -a, alpha))
        ),
        "the step is on L_S, towards c: in yours φ goes down the query loss, towards d": (
            with_step(step(theta, d, b, alpha))
        ),
        "the last program has two parts: the right factor 1 − αa, and the query slope at θ; in yours the "
        "factor is missing": _verdict(programs | {WORDS[3]: b * (theta - d)}, gradient),
        "you say undecided every time, so none of your programs ever fits, or all do: do you compare with ==, or "
        "with a tolerance far off, or is one loss taken for the other?": "undecided",
        "you say undecided where exactly one program fits: you compare too widely or too narrowly (the gradients "
        "have six digits, so compare relative to their size)": (
            got if got == "undecided" and excused else word
        ),
    }
