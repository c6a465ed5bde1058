"""Checks of chapter 11: one function per exercise, for the learner and for the grader."""

import itertools
from functools import partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import draw, exercise, expect, named

LOSS = named("tanh_mlp_mse")
loss = LOSS.numpy


def network_params(rng, inputs=None, width=None, outputs=None):
    """θ of a small tanh network, curved enough for every mistake to show; sizes that are None are drawn."""
    drawn = (int(n) for n in rng.integers([1, 2, 1], [3, 5, 3]))
    given = (inputs, width, outputs)
    inputs, width, outputs = (size or n for size, n in zip(given, drawn, strict=True))
    shapes = {"w1": (inputs, width), "b1": (width,), "w2": (width, outputs), "b2": (outputs,)}
    return {name: rng.normal(0.0, 0.8, shape) for name, shape in shapes.items()}


def waves(rng, params, *counts):
    """x (*counts, inputs) and y (*counts, outputs); the leading axis counts tasks, each with a wave of its own."""
    inputs, outputs = params["w1"].shape[0], params["w2"].shape[1]
    own = (counts[0], *[1] * (len(counts) - 1), outputs)
    amplitude, phase = rng.uniform(0.5, 2.0, own), rng.uniform(0.0, np.pi, own)
    x = rng.uniform(-2.0, 2.0, (*counts, inputs))
    return x, amplitude * np.sin(x.sum(axis=-1, keepdims=True) - phase)


def a_batch(rng):
    """(θ, (support x, support y, query x, query y)) of 3 or 4 tasks."""
    params, tasks = network_params(rng), int(rng.integers(3, 5))
    shots, queries = (int(n) for n in rng.integers([3, 5], [6, 8]))
    return params, (*waves(rng, params, tasks, shots), *waves(rng, params, tasks, queries))


def moved(params, slope, rate):
    return {name: value - rate * slope[name] for name, value in params.items()}


def times(factor, slope):
    return {name: factor * part for name, part in slope.items()}


def plus(a, b, factor=1.0):
    """a + factor · b."""
    return {name: a[name] + factor * b[name] for name in a}


def mean_of(slopes):
    return {name: np.mean([slope[name] for slope in slopes], axis=0) for name in slopes[0]}


def tasks_of(sets):
    """The tasks of (support x, support y, query x, query y), one by one."""
    return list(zip(*sets, strict=True))


def slope_at(params, x, y):
    return ref.grad(loss)(params, x, y)


def hessian_times(params, x, y, v):
    return ref.hvp(lambda p: loss(p, x, y), params, v)


# ------------------------------------------------------------------ 11.1

STEPS = {"inner_lr": (0.05, 0.2), "inner_steps": (3, 4)}  # with 3, "one less" and "one" differ


@exercise("11.fomaml", points=2, minutes=8, difficulty=1)
def fomaml(answer, rng):
    """First-order MAML"""
    for (params, sets), lr, steps in draw(rng, problem=a_batch, **STEPS):
        expect(
            answer(LOSS, params, *sets, lr, steps),
            mean_of(first_order(params, sets, lr, steps)),
            mistakes=partial(fomaml_mistakes, params, sets, lr, steps),
        )


def first_order(params, sets, lr, steps):
    """The query slope at φ of every task."""
    return [
        slope_at(phi_of(params, sx, sy, lr, steps), qx, qy) for sx, sy, qx, qy in tasks_of(sets)
    ]


def phi_of(params, x, y, lr, steps):
    return ref.adapt(loss, params, x, y, lr, steps)


def full_slope(params, sets, lr, steps):
    """The mean over tasks of the gradient through all inner steps; lr may be a dict."""

    def meta_loss(theta):
        losses = [
            loss(phi_of(theta, sx, sy, lr, steps), qx, qy) for sx, sy, qx, qy in tasks_of(sets)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


def fomaml_mistakes(params, sets, lr, steps):
    """Message → what that mistake gives, or a function that computes it."""
    sx, sy, qx, qy = sets
    alone = first_order(params, sets, lr, steps)
    right = mean_of(alone)
    at = lambda *given: lambda: mean_of(first_order(params, *given))
    return {
        "all of it is zero, so nothing depends on θ any more: φ itself was taken for a constant. Only the inner "
        "slopes are constants; φ = θ − α · slope still contains θ": times(0.0, right),
        "this is the full MAML gradient: it goes through the inner slopes, which first order takes for constants": (
            lambda: full_slope(params, sets, lr, steps)
        ),
        "this is the query slope at θ: the slope is wanted at φ, where the inner steps end": at(
            sets, lr, 0
        ),
        "this is the sum over the tasks: take their mean": times(float(len(alone)), right),
        "this is the last task alone: take the mean over all tasks": alone[-1],
        "this is the first task alone (does `return` stand inside the loop?): take the mean over all tasks": (
            alone[0]
        ),
        "this is the slope of the support loss at φ: the outer slope is that of the query loss": at(
            (sx, sy, sx, sy), lr, steps
        ),
        "support and query have changed places: adapt on the support set, judge on the query set": at(
            (qx, qy, sx, sy), lr, steps
        ),
        "this adapts on the query set, which only judges": at((qx, qy, qx, qy), lr, steps),
        "there is one inner step only in this: take inner_steps of them": at(sets, lr, 1),
        "there is one inner step too few in this": at(sets, lr, steps - 1),
        "there is one inner step too many in this": at(sets, lr, steps + 1),
        "all inner steps of yours take the slope at θ: each takes it where the step before it ended": at(
            sets, lr * steps, 1
        ),
        "the inner steps of yours go uphill: subtract the slope": lambda: uphill_slope(
            params, sets, lr, steps
        ),
        "this averages the φ of the tasks and takes one slope there: take the slope at each φ, then average": (
            lambda: slope_at_the_mean(params, sets, lr, steps)
        ),
        "this takes all tasks for one: each task adapts on its own support set": at(
            [part.reshape(1, -1, part.shape[-1]) for part in sets], lr, steps
        ),
        "a task starts where the one before it ended: every task starts at θ": lambda: (
            chained_slope(params, sets, lr, steps)
        ),
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, right
        ),
        "this is α times the gradient: the inner rate belongs to the inner steps alone": times(
            lr, right
        ),
    }


def uphill_slope(params, sets, lr, steps):
    slopes = []
    for sx, sy, qx, qy in tasks_of(sets):
        phi = params
        for _ in range(steps):
            phi = moved(phi, slope_at(phi, sx, sy), -lr)
        slopes.append(slope_at(phi, qx, qy))
    return mean_of(slopes)


def slope_at_the_mean(params, sets, lr, steps):
    """The slope of all query losses at the mean φ."""
    phi = mean_of([phi_of(params, sx, sy, lr, steps) for sx, sy, _, _ in tasks_of(sets)])
    return mean_of([slope_at(phi, qx, qy) for _, _, qx, qy in tasks_of(sets)])


def chained_slope(params, sets, lr, steps):
    slopes = []
    for sx, sy, qx, qy in tasks_of(sets):
        params = phi_of(params, sx, sy, lr, steps)
        slopes.append(slope_at(params, qx, qy))
    return mean_of(slopes)


# ------------------------------------------------------------------ 11.2


@exercise("11.reptile", points=3, minutes=12, difficulty=2)
def reptile(answer, rng):
    """Reptile"""
    for tasks, steps, shots, lr in draw(
        rng, tasks=(2, 4), steps=(3, 4), shots=(2, 4), inner_lr=(0.05, 0.2)
    ):
        params = network_params(rng)
        x, y = waves(rng, params, tasks, steps, shots)
        expect(
            answer(LOSS, params, x, y, lr),
            mean_of(ways(params, x, y, lr)),
            mistakes=partial(reptile_mistakes, params, x, y, lr),
        )


def ends_and_slopes(params, x, y, lr):
    """(φ after the steps on these mini-batches of one task, the slope of each step)."""
    slopes = []
    for batch in zip(x, y, strict=True):
        slopes.append(slope_at(params, *batch))
        params = moved(params, slopes[-1], lr)
    return params, slopes


def ways(params, x, y, lr):
    """(θ − φ)/α of every task, which is the sum of the slopes on its way."""
    paths = [ends_and_slopes(params, *task, lr)[1] for task in zip(x, y, strict=True)]
    return [times(float(len(slopes)), mean_of(slopes)) for slopes in paths]


def reptile_mistakes(params, x, y, lr):
    """Message → what that mistake gives, or a function that computes it."""
    alone, steps = ways(params, x, y, lr), x.shape[1]
    right = mean_of(alone)
    walked = [ends_and_slopes(params, *task, lr) for task in zip(x, y, strict=True)]
    each = lambda of: mean_of([of(phi, slopes) for phi, slopes in walked])
    at_theta = lambda k: mean_of([slope_at(params, x[t, k], y[t, k]) for t in range(len(x))])
    together = [np.repeat(part.reshape(len(x), 1, -1, part.shape[-1]), steps, 1) for part in (x, y)]
    return {
        "this is (φ − θ)/α, the way to go: an optimiser subtracts what it is given, so it has to be (θ − φ)/α": (
            times(-1.0, right)
        ),
        "this is θ − φ with α left in: divide by α, and what is left is a sum of slopes": times(
            lr, right
        ),
        "both at once: this is φ − θ, with the sign turned round and α left in": times(-lr, right),
        "this multiplies by α where it should divide": times(lr * lr, right),
        "this is the sum over the tasks: take their mean": times(float(len(x)), right),
        "this divides by the number of steps as well: Reptile takes the whole way from θ to φ": times(
            1 / steps, right
        ),
        "this is the slope of the last step alone, which is first-order MAML judged on the last mini-batch: "
        "Reptile adds the slopes of all steps": lambda: each(lambda phi, slopes: slopes[-1]),
        "this is the slope of the first step alone, which is plain joint training": lambda: (
            at_theta(0)
        ),
        "all slopes in this are taken at θ, which is joint training: each step starts where the one before it "
        "ended": lambda: times(float(steps), mean_of([at_theta(k) for k in range(steps)])),
        "this is the slope at the end of the way, at φ: Reptile needs no slope there": lambda: (
            mean_of([slope_at(phi, x[t, -1], y[t, -1]) for t, (phi, _) in enumerate(walked)])
        ),
        "this is the mean of the φ, where θ would land: the meta-gradient is asked for": lambda: (
            each(lambda phi, slopes: phi)
        ),
        "this is the last task alone: take the mean over all tasks": alone[-1],
        "this is the first task alone (does `return` stand inside the loop?): take the mean over all tasks": (
            alone[0]
        ),
        "a task starts where the one before it ended: every task starts at θ": (
            lambda: reptile_chained(params, x, y, lr)
        ),
        "every step of yours takes all mini-batches together: step k takes mini-batch k": (
            lambda: mean_of(ways(params, *together, lr))
        ),
        "every step of yours takes the first mini-batch: step k takes mini-batch k": (
            lambda: mean_of(ways(params, x[:, [0] * steps], y[:, [0] * steps], lr))
        ),
        "the mini-batches are taken in the wrong order, the last one first": lambda: mean_of(
            ways(params, x[:, ::-1], y[:, ::-1], lr)
        ),
        "one step is missing, the last": lambda: mean_of(ways(params, x[:, :-1], y[:, :-1], lr)),
        "this differentiates through the steps, as MAML does: Reptile has no outer derivative at all": (
            lambda: last_judges(params, x, y, lr)
        ),
    }


def reptile_chained(params, x, y, lr):
    """The mean way of tasks that each start where the one before ended, each way from its own start."""
    alone = []
    for task in zip(x, y, strict=True):
        start = params
        params, _ = ends_and_slopes(start, *task, lr)
        alone.append(times(1 / lr, plus(start, params, -1.0)))
    return mean_of(alone)


def last_judges(params, x, y, lr):
    """MAML with a mini-batch per step, the last one judging."""

    def judged(theta, xs, ys):
        for k in range(len(xs) - 1):
            theta = phi_of(theta, xs[k], ys[k], lr, 1)
        return loss(theta, xs[-1], ys[-1])

    return mean_of([ref.grad(judged)(params, *task) for task in zip(x, y, strict=True)])


# ------------------------------------------------------------------ 11.3


@exercise("11.anil", points=3, minutes=12, difficulty=3)
def anil(answer, rng):
    """Almost no inner loop"""
    heads = [["w2", "b2"], ["b2", "w2"], ["w2"]]
    for (params, sets), head, lr, steps in draw(rng, problem=a_batch, head=heads, **STEPS):
        expect(
            answer(LOSS, params, head, *sets, lr, steps),
            full_slope(params, sets, rates_of(params, head, lr), steps),
            mistakes=partial(anil_mistakes, params, head, sets, lr, steps),
        )


def rates_of(params, names, lr):
    """α for these names and 0 for all others."""
    return {name: lr if name in names else 0.0 for name in params}


def anil_mistakes(params, head, sets, lr, steps):
    """Message → what that mistake gives, or a function that computes it."""
    sx, sy, qx, qy = sets
    only, body = rates_of(params, head, lr), [name for name in params if name not in head]
    right = full_slope(params, sets, only, steps)
    slope = lambda given=sets, rates=only, count=steps: (
        lambda: full_slope(params, given, rates, count)
    )
    constant, at_theta = (mean_of(first_order(params, sets, only, n)) for n in (steps, 0))
    with_zeros = lambda names: {n: np.zeros_like(v) if n in names else v for n, v in right.items()}
    mixed = lambda other, names: {n: other[n] if n in names else right[n] for n in params}
    one = [part[-1:] for part in sets]
    return {
        "the body's gradient is zero: you have frozen it in the outer loop as well. ANIL keeps it still within a "
        "task; from task to task it learns": with_zeros(body),
        "the gradient of the head alone comes back: the body does not move within a task, but the outer loop "
        "trains it, so its gradient is needed": {name: right[name] for name in head},
        "the head's gradient is zero: where the head starts in each task is part of θ and is learned": (
            with_zeros(head)
        ),
        "this is MAML: the body adapts, too": slope(rates=lr),
        "this is BOIL, the opposite: the body adapts and the head stays": slope(
            rates=rates_of(params, body, lr)
        ),
        "nothing adapts in this: it is the query slope at θ": at_theta,
        "the head's gradient is taken at θ: take it through the inner steps, as the body's is": mixed(
            at_theta, head
        ),
        "the body's gradient is taken at θ, before the head has adapted: the query loss is judged at φ": mixed(
            at_theta, body
        ),
        "this is first order throughout: here the gradient goes through the inner steps of the head": constant,
        "the body's gradient takes the adapted head for a constant; but how the head adapts depends on the "
        "body's features": mixed(constant, body),
        "the head's gradient is first order: it also goes through the inner steps": mixed(
            constant, head
        ),
        "here all parameters adapt and the body is put back at the end, so that the head has adapted to features "
        "that are gone: keep the body still in every inner step": lambda: body_put_back(
            params, head, sets, lr, steps
        ),
        "this is the sum over the tasks: take their mean": times(float(len(sx)), right),
        "this is the last task alone: take the mean over all tasks": slope(given=one),
        "there is one inner step only in this: take inner_steps of them": slope(count=1),
        "there is one inner step too few in this": slope(count=steps - 1),
        "there is one inner step too many in this": slope(count=steps + 1),
        "this judges φ on its own support set: the outer loss is the query loss": slope(
            (sx, sy, sx, sy)
        ),
        "support and query have changed places: adapt on the support set, judge on the query set": slope(
            (qx, qy, sx, sy)
        ),
        "this adapts on the query set, which only judges": slope((qx, qy, qx, qy)),
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, right
        ),
    }


def body_put_back(params, head, sets, lr, steps):
    def meta_loss(theta):
        losses = []
        for sx, sy, qx, qy in tasks_of(sets):
            phi = phi_of(theta, sx, sy, lr, steps)
            losses.append(loss({n: (phi if n in head else theta)[n] for n in theta}, qx, qy))
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


# ------------------------------------------------------------------ 11.4


@exercise("11.meta_sgd", points=4, minutes=15, difficulty=3)
def meta_sgd(answer, rng):
    """A rate for every element"""
    for params, sets in draw(rng, problem=a_batch):
        rates = {name: rng.uniform(0.03, 0.25, value.shape) for name, value in params.items()}
        expect(
            answer(LOSS, params, rates, *sets),
            meta_sgd_of(params, rates, sets),
            mistakes=partial(meta_sgd_mistakes, params, rates, sets),
        )


def parts_of(params, rates, sets):
    """Per task (g, φ, v, H(α ∘ v)): g the support slope at θ, v the query slope at φ."""
    parts = []
    for sx, sy, qx, qy in tasks_of(sets):
        g = slope_at(params, sx, sy)
        phi = {name: params[name] - rates[name] * g[name] for name in params}
        v = slope_at(phi, qx, qy)
        parts.append((g, phi, v, hessian_times(params, sx, sy, product(rates, v))))
    return parts


def product(a, b, factor=1.0):
    """factor · a ∘ b, element by element."""
    return {name: factor * a[name] * b[name] for name in a}


def meta_sgd_of(params, rates, sets):
    """(dθ, dα) of the mean query loss after one step with these rates."""
    parts = parts_of(params, rates, sets)
    d_theta = mean_of([plus(v, hv, -1.0) for _, _, v, hv in parts])
    return d_theta, mean_of([product(g, v, -1.0) for g, _, v, _ in parts])


def meta_sgd_mistakes(params, rates, sets):
    """Message → what that mistake gives, or a function that computes it."""
    parts, tasks = parts_of(params, rates, sets), tasks_of(sets)
    d_theta, d_rates = meta_sgd_of(params, rates, sets)
    slopes, queries = (mean_of([part[place] for part in parts]) for place in (0, 2))
    per_rate = lambda of: (
        d_theta,
        mean_of([of(*part, *task) for part, task in zip(parts, tasks, strict=True)]),
    )
    per_theta = lambda of: (
        mean_of([of(*part, *task) for part, task in zip(parts, tasks, strict=True)]),
        d_rates,
    )
    return {
        "the sign of the rates' gradient: a larger rate moves φ by −g, so the minus is missing": (
            d_theta,
            times(-1.0, d_rates),
        ),
        "the rates' gradient forgets g: φ follows its rate by −g, and yours has only the query slope": (
            d_theta,
            times(-1.0, queries),
        ),
        "the rates' gradient forgets g and the minus, too: it is the query slope at φ itself": (
            d_theta,
            queries,
        ),
        "the rates' gradient has no query slope in it: −g says how φ moves, not what the query loss makes of it": (
            d_theta,
            times(-1.0, slopes),
        ),
        "the rates' gradient takes g at φ: the step was taken with the support slope at θ": lambda: (
            per_rate(lambda g, phi, v, hv, sx, sy, qx, qy: product(slope_at(phi, sx, sy), v, -1.0))
        ),
        "the rates' gradient takes the query slope at θ: the query loss is judged at φ": lambda: (
            per_rate(
                lambda g, phi, v, hv, sx, sy, qx, qy: product(g, slope_at(params, qx, qy), -1.0)
            )
        ),
        "the rates' gradient takes the support slope twice, at θ and at φ: the query loss judges": lambda: (
            per_rate(lambda g, phi, v, hv, sx, sy, qx, qy: product(g, slope_at(phi, sx, sy), -1.0))
        ),
        "the rates' gradient takes the slope of the query loss for g, too: the step was taken on the support set": (
            lambda: per_rate(
                lambda g, phi, v, hv, sx, sy, qx, qy: product(slope_at(params, qx, qy), v, -1.0)
            )
        ),
        "the rates' gradient multiplies two means: g and the query slope of one task belong together, so multiply "
        "task by task and average then": (d_theta, product(slopes, queries, -1.0)),
        "this is the gradient with respect to log α: with respect to α the factor α is not there": (
            d_theta,
            product(rates, d_rates),
        ),
        "the rates' gradient is one number per parameter: every element has a rate of its own": (
            d_theta,
            {name: float(value.sum()) for name, value in d_rates.items()},
        ),
        "the gradient of θ is first order: it also goes through the support slope": (
            queries,
            d_rates,
        ),
        "in the gradient of θ the rates stand on the wrong side: the Hessian multiplies α ∘ v, and α is not to "
        "multiply Hv": lambda: per_theta(
            lambda g, phi, v, hv, sx, sy, qx, qy: plus(
                v, product(rates, hessian_times(params, sx, sy, v)), -1.0
            )
        ),
        "the gradient of θ has a plus where the step goes downhill: v − H(α ∘ v)": (
            mean_of([plus(v, hv) for _, _, v, hv in parts]),
            d_rates,
        ),
        "the gradient of θ takes the mean of the rates for all of them": lambda: per_theta(
            lambda g, phi, v, hv, sx, sy, qx, qy: plus(
                v, hessian_times(params, sx, sy, v), -mean_rate(rates)
            )
        ),
        "both are sums over the tasks: take the mean": (
            times(float(len(tasks)), d_theta),
            times(float(len(tasks)), d_rates),
        ),
        "this is the last task alone: take the mean over all tasks": lambda: meta_sgd_of(
            params, rates, [part[-1:] for part in sets]
        ),
        "the two come in the wrong order: first the gradient of θ, then that of the rates": (
            d_rates,
            d_theta,
        ),
        "support and query have changed places: step on the support set, judge on the query set": (
            lambda: meta_sgd_of(params, rates, (*sets[2:], *sets[:2]))
        ),
        "this judges φ on its own support set: the outer loss is the query loss": lambda: (
            meta_sgd_of(params, rates, (*sets[:2], *sets[:2]))
        ),
    }


def mean_rate(rates):
    return float(np.mean(np.concatenate([value.ravel() for value in rates.values()])))


# ------------------------------------------------------------------ 11.5


@exercise("11.multi_step_weights", points=2, minutes=10, difficulty=2)
def multi_step_weights(answer, rng):
    """Which losses count"""
    first = int(rng.integers(4))
    for number, (until, steps) in enumerate(draw(rng, until=(400, 2000), inner_steps=(3, 6))):
        falling, floor, later = (
            int(rng.uniform(*ends) * until) for ends in ((0.05, 0.9), (0.975, 0.995), (1.1, 3.0))
        )
        low = floor if number >= 4 else until - 1  # on the floor, just before the end at first
        iteration = (falling, low, until, later)[(first + number) % 4]
        expect(
            answer(iteration, until, steps),
            np.array(weights_of(iteration, until, steps)),
            mistakes=partial(weight_mistakes, iteration, until, steps),
        )


FLOOR = 0.03


def weights_of(iteration, until, steps, annealed=None, floor=FLOOR):
    """Weights of the query losses at φ₀ … φ_K; annealed: in place of the share 1 − iteration/until."""
    if iteration >= until:
        return [0.0] * steps + [1.0]
    share = 1 - iteration / until if annealed is None else annealed
    others = max(share, floor) / steps
    return [0.0, *[others] * (steps - 1), 1 - (steps - 1) * others]


def weight_mistakes(iteration, until, steps):
    right, done = weights_of(iteration, until, steps), iteration / until
    during = done < 1
    others, last = right[1], [0.0] * steps + [1.0]
    low = FLOOR / steps
    changed = lambda *weights: np.array(weights if during else last)
    return {
        "annealed the wrong way round: the earlier steps count most at the beginning and less and less later": (
            np.array(weights_of(iteration, until, steps, done))
        ),
        "they do not sum to one: what the earlier ones lose the last one gains": changed(
            0.0, *[others] * (steps - 1), 1 / steps
        ),
        "the last weight is one from the start: it gets only what the earlier ones leave, so that all sum to "
        "one": changed(0.0, *[others] * (steps - 1), 1.0),
        "φ_0 counts in yours: it is θ, before any inner step, and has the weight zero": changed(
            *[max((1 - done) / (steps + 1), FLOOR / (steps + 1))] * steps,
            1 - steps * max((1 - done) / (steps + 1), FLOOR / (steps + 1)),
        ),
        "the first place is missing: there are K + 1 losses, and the one at φ_0 has the weight zero": (
            np.array(right[1:])
        ),
        "the floor is missing: the earlier weights do not fall below 0.03/K while they fall": np.array(
            weights_of(iteration, until, steps, floor=0.0)
        ),
        "the floor is 0.03/K; yours is 0.03": changed(
            0.0,
            *[max((1 - done) / steps, FLOOR)] * (steps - 1),
            1 - (steps - 1) * max((1 - done) / steps, FLOOR),
        ),
        "from `until` on only the last loss counts: yours leaves the earlier ones on the floor": np.array(
            right if during else [0.0, *[low] * (steps - 1), 1 - (steps - 1) * low]
        ),
        "at iteration `until` only the last loss counts: ≥ and not >": np.array(
            right if iteration != until else [0.0, *[low] * (steps - 1), 1 - (steps - 1) * low]
        ),
        "all losses count alike for ever: nothing is annealed": np.array(
            [0.0, *[1 / steps] * steps]
        ),
        "only the last loss counts in yours, from the beginning": np.array(last),
        "all losses count alike until the end and then at once only the last: let them fall evenly in between": (
            changed(0.0, *[1 / steps] * steps)
        ),
        "the order is turned round: the last place, that of φ_K, gets what the others leave": np.array(
            right[::-1]
        ),
        "it is the first step, φ_1, that gets the rest in yours: the last one gets it": np.array(
            [0.0, right[-1], *right[1:-1]]
        ),
        "at first each of K losses has 1/K: yours begin with 1/(K − 1)": changed(
            0.0,
            *[max((1 - done) / (steps - 1), low)] * (steps - 1),
            1 - (steps - 1) * max((1 - done) / (steps - 1), low),
        ),
        "the weights fall along a straight line: yours is a parabola": np.array(
            weights_of(iteration, until, steps, (1 - done) ** 2)
        ),
        "yours takes the smaller of falling weight and floor: the larger one counts": np.array(
            changed(
                0.0,
                *[min((1 - done) / steps, low)] * (steps - 1),
                1 - (steps - 1) * min((1 - done) / steps, low),
            )
        ),
        "the weights are divided by their sum in yours: the earlier ones keep their value, and the last one gets "
        "what they leave": changed(0.0, *renormalised([others] * (steps - 1) + [1 / steps])),
    }


def renormalised(weights):
    return [weight / sum(weights) for weight in weights]


# ------------------------------------------------------------------ 11.6


@exercise("11.implicit", points=5, minutes=30, difficulty=4)
def implicit(answer, rng):
    """Implicit MAML: solve, do not unroll"""
    for theta, phi, sets, strength, h in draw(rng, case=an_inner_problem):
        expect(
            answer(LOSS, theta, phi, *sets, strength),
            solved(phi, h, slope_at(phi, *sets[2:]), strength),
            mistakes=partial(implicit_mistakes, theta, phi, sets, strength, h),
        )


def an_inner_problem(rng):
    """(θ, φ, sets of one task, λ, H at φ): φ close to the minimum of L_S + λ/2 |φ − θ|², I + H/λ well positive."""
    while True:
        theta = network_params(rng, inputs=1, width=3, outputs=1)  # 10 numbers
        sets = [*waves(rng, theta, 1, 8), *waves(rng, theta, 1, 6)]
        sets = [part[0] for part in sets]
        largest = float(np.abs(np.linalg.eigvalsh(hessian(theta, *sets[:2]))).max())
        strength = float(rng.uniform(0.25, 0.7)) * largest
        phi = settled(theta, sets, strength, 0.5 / (strength + largest))
        h = hessian(phi, *sets[:2])
        curvatures = np.linalg.eigvalsh(h) / strength
        if curvatures.min() > -0.7 and abs(strength - 1) > 0.2 and curvatures.max() > 0.8:
            return theta, phi, sets, strength, h


def settled(theta, sets, strength, rate):
    """θ after 15 steps on the support loss with the pull back to θ."""
    phi = theta
    for _ in range(15):
        slope = plus(slope_at(phi, *sets[:2]), plus(phi, theta, -1.0), strength)
        phi = moved(phi, slope, rate)
    return phi


def flat(params):
    return np.concatenate([np.ravel(value) for value in params.values()])


def like(vector, params):
    """A vector as a dict like params."""
    ends = np.cumsum([value.size for value in params.values()])[:-1]
    parts = zip(params.items(), np.split(vector, ends), strict=True)
    return {name: part.reshape(value.shape) for (name, value), part in parts}


def hessian(params, x, y):
    """H of the loss there, (n, n), one column per Hessian-vector product."""
    size = flat(params).size
    columns = [flat(hessian_times(params, x, y, like(e, params))) for e in np.eye(size)]
    return np.array(columns).T


def solved(phi, h, v, strength):
    """(I + H/λ)⁻¹ v, like φ."""
    return like(np.linalg.solve(np.eye(len(h)) + h / strength, flat(v)), phi)


def implicit_mistakes(theta, phi, sets, strength, h):
    """Message → what that mistake gives, or a function that computes it."""
    support, query = sets[:2], sets[2:]
    slope = slope_at(phi, *query)
    v, one = flat(slope), np.eye(len(h))
    right = solved(phi, h, slope, strength)
    by = lambda matrix: like(np.linalg.solve(matrix, v), phi)
    with_h = lambda other: solved(phi, other, slope, strength)
    with_v = lambda other: solved(phi, h, other, strength)
    stopped = lambda steps, start: lambda: like(cg(one + h / strength, v, steps, start), phi)
    return {
        "this is the query slope at φ, first order: the system is not solved": slope,
        "this is (I − H/λ) v, the first two terms of the series of the inverse, which is good for small H/λ only: "
        "solve the system": like(v - h @ v / strength, phi),
        "this is (I + H/λ) v: the matrix is to be solved with, not multiplied by": like(
            v + h @ v / strength, phi
        ),
        "H is taken at θ: the optimality condition holds at φ, so H belongs there": lambda: with_h(
            hessian(theta, *support)
        ),
        "the query slope is taken at θ: the query loss is judged at φ": lambda: with_v(
            slope_at(theta, *query)
        ),
        "H and the query slope are both taken at θ, both belong to φ": lambda: solved(
            phi, hessian(theta, *support), slope_at(theta, *query), strength
        ),
        "H is that of the query loss: the inner problem was the support loss": lambda: with_h(
            hessian(phi, *query)
        ),
        "the right-hand side is the slope of the support loss: it is that of the query loss": lambda: (
            with_v(slope_at(phi, *support))
        ),
        "this solves with I + λH: H is divided by λ, since a strong pull keeps φ near θ": lambda: (
            by(one + strength * h)
        ),
        "this solves with λI + H and forgets the λ on the other side: multiply by λ": by(
            strength * one + h
        ),
        "λ is missing: this solves with I + H": lambda: by(one + h),
        "the identity is missing: this solves with H/λ alone": lambda: by(h / strength),
        "the sign of H: this solves with I − H/λ": lambda: by(one - h / strength),
        "the pull back to θ is counted twice: this solves with 2I + H/λ, where the I is that pull and H is of the "
        "support loss alone": by(2 * one + h / strength),
        "only the diagonal of H is in this: H couples the parameters": lambda: with_h(
            np.diag(np.diag(h))
        ),
        "each parameter is solved for on its own: H couples w1 with w2, so all go into one system": lambda: (
            with_h(h * blocks(phi))
        ),
        "this is conjugate gradients after one step, started at zero: go on until the residual is small": (
            stopped(1, 0.0)
        ),
        "this is conjugate gradients after one step, started at v: go on until the residual is small": (
            stopped(1, 1.0)
        ),
        "this is conjugate gradients after two steps, started at zero: go on until the residual is small": (
            stopped(2, 0.0)
        ),
        "this is conjugate gradients after five steps, started at zero: that is not enough here": stopped(
            5, 0.0
        ),
        "this is conjugate gradients after five steps, started at v: that is not enough here": stopped(
            5, 1.0
        ),
        "the start of conjugate gradients is v, and its first residual is v as well: the residual is v − A x, so "
        "the solution has v added to it": plus(right, slope),
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, right
        ),
    }


def blocks(params):
    """(n, n): 1 where two numbers belong to the same parameter, else 0."""
    sizes = [value.size for value in params.values()]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return (owner[:, None] == owner).astype(float)


def cg(matrix, v, steps, start=0.0):
    """x after so many steps of conjugate gradients on matrix @ x = v, from x = start · v."""
    x = start * v
    residual = direction = v - matrix @ x
    for _ in range(steps):
        length = residual @ residual / (direction @ matrix @ direction)
        x = x + length * direction
        new = residual - length * matrix @ direction
        direction = new + (new @ new / (residual @ residual)) * direction
        residual = new
    return x


# ------------------------------------------------------------------ 11.7


@exercise("11.taylor", points=4, minutes=25, difficulty=4)
def taylor(answer, rng):
    """Which term each of them keeps"""
    for count, shots, lr in draw(rng, count=(3, 4), shots=(2, 5), inner_lr=(0.02, 0.1)):
        params = network_params(rng)
        x, y = waves(rng, params, count, shots)
        slope, inner = terms_of(params, x, y)
        expect(
            answer(LOSS, params, x, y, lr),
            series(slope, inner, count, lr),
            mistakes=partial(taylor_mistakes, params, x, y, lr, slope, inner),
        )


def terms_of(params, x, y):
    """(mean slope, mean of Hᵢ gⱼ over all ordered pairs i ≠ j) at θ."""
    slopes = [slope_at(params, *batch) for batch in zip(x, y, strict=True)]
    pairs = itertools.permutations(range(len(x)), 2)
    return mean_of(slopes), mean_of(
        [hessian_times(params, x[i], y[i], slopes[j]) for i, j in pairs]
    )


def series(slope, inner, count, lr, shares=None):
    """Method → the first two terms; shares: how many of each, per method."""
    last = count - 1
    of = {"MAML": (1, 2 * last), "FOMAML": (1, last), "Reptile": (count, count * last / 2)}
    return {
        name: plus(times(float(first), slope), inner, -float(second) * lr)
        for name, (first, second) in (of | (shares or {})).items()
    }


def taylor_mistakes(params, x, y, lr, slope, inner):
    """Message → what that mistake gives, or a function that computes it."""
    count = len(x)
    last = count - 1
    with_shares = lambda **shares: series(slope, inner, count, lr, shares)
    with_terms = lambda first, second: lambda: series(first, second, count, lr)
    right = series(slope, inner, count, lr)
    return {
        "yours has a plus before the second term: the steps go downhill": series(
            slope, inner, count, -lr
        ),
        "the second term is missing: to this order all three are joint training": series(
            slope, times(0.0, inner), count, lr
        ),
        "α is missing in the second term": series(slope, inner, count, 1.0),
        "MAML has the second term twice: once since its slope is taken after the steps, once since it is carried "
        "back through them. Yours has it once": with_shares(MAML=(1, last)),
        "first-order MAML has the second term once per inner step: it does not carry the slope back": with_shares(
            FOMAML=(1, 2 * last)
        ),
        "MAML and first-order MAML have changed places": with_shares(
            MAML=(1, last), FOMAML=(1, 2 * last)
        ),
        "first-order MAML keeps the second term: without it, it would be joint training. What it drops is the way "
        "back": with_shares(FOMAML=(1, 0)),
        "k mini-batches are k − 1 inner steps for MAML and first-order MAML, since the last one judges: yours "
        "counts k": with_shares(MAML=(1, 2 * count), FOMAML=(1, count)),
        "one inner step is counted for MAML and first-order MAML: there are k − 1 of them": with_shares(
            MAML=(1, 2), FOMAML=(1, 1)
        ),
        "Reptile adds up k slopes: yours is divided by k": with_shares(Reptile=(1, last / 2)),
        "Reptile adds up k slopes: yours has the slope once, though the second term is right": with_shares(
            Reptile=(1, count * last / 2)
        ),
        "of the pairs of steps in Reptile only one is later than the other: k(k − 1)/2 of them, and yours has "
        "k(k − 1)": with_shares(Reptile=(count, count * last)),
        "in Reptile each step but the first has a second term for every step before it, k(k − 1)/2 in all: yours "
        "has k − 1": with_shares(Reptile=(count, last)),
        "in Reptile the pairs are counted as k²/2, a mini-batch with itself among them": with_shares(
            Reptile=(count, count * count / 2)
        ),
        "the second term is halved: the mean of H_i g_j over pairs has that half in it already": with_terms(
            slope, times(0.5, inner)
        ),
        "the second term is doubled: the gradient of the inner product of two slopes is twice the mean of H_i "
        "g_j": with_terms(slope, times(2.0, inner)),
        "a mini-batch is paired with itself in yours: H_i g_j is wanted for i ≠ j": lambda: series(
            slope, with_itself(params, x, y, slope), count, lr
        ),
        "a mini-batch is paired with itself alone: H_i g_j is wanted for i ≠ j": lambda: series(
            slope, own_pairs(params, x, y), count, lr
        ),
        "the pairs are taken in one order only, j before i: every order of the mini-batches is as likely": (
            lambda: series(slope, one_order(params, x, y), count, lr)
        ),
        "the pairs are summed in yours: take their mean": with_terms(
            slope, times(float(count * last), inner)
        ),
        "the slopes are summed in yours: take their mean": with_terms(
            times(float(count), slope), inner
        ),
        "this is what really happens in the mean over all orders, with all powers of α: the first two terms are "
        "wanted": lambda: in_all_orders(params, x, y, lr),
        "the sign is turned round: return the gradient, which the optimiser then subtracts": {
            name: times(-1.0, value) for name, value in right.items()
        },
    }


def with_itself(params, x, y, slope):
    """The mean of Hᵢ gⱼ over all pairs, i = j included: the mean Hessian times the mean slope."""
    return mean_of([hessian_times(params, *batch, slope) for batch in zip(x, y, strict=True)])


def own_pairs(params, x, y):
    return mean_of(
        [
            hessian_times(params, *batch, slope_at(params, *batch))
            for batch in zip(x, y, strict=True)
        ]
    )


def one_order(params, x, y):
    slopes = [slope_at(params, *batch) for batch in zip(x, y, strict=True)]
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    return mean_of([hessian_times(params, x[i], y[i], slopes[j]) for i, j in pairs])


def in_all_orders(params, x, y, lr):
    """The three gradients themselves, each the mean over all orders of the mini-batches."""
    found = {"MAML": [], "FOMAML": [], "Reptile": []}
    for order in itertools.permutations(range(len(x))):
        xs, ys = x[list(order)], y[list(order)]
        found["MAML"].append(last_judges(params, xs[None], ys[None], lr))
        slopes = ends_and_slopes(params, xs, ys, lr)[1]
        found["FOMAML"].append(slopes[-1])
        found["Reptile"].append(times(float(len(slopes)), mean_of(slopes)))
    return {name: mean_of(slopes) for name, slopes in found.items()}
