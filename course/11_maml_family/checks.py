"""Checks of chapter 11: one function per exercise, for the learner and for the grader."""

import itertools
from functools import partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import draw, exercise, expect, named
from maml_edu.tasks import TaskBatch

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


@exercise(
    "11.fomaml",
    points=2,
    minutes=8,
    difficulty=1,
    forbids=(
        "maml_edu.reference.meta_gradient",
        "maml_edu.reference.meta_loss",
        "maml_edu.pytorch",
    ),
)
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
    return fomaml_walks(params, sets, lr, steps) | fomaml_returns(params, sets, lr, steps)


def fomaml_walks(params, sets, lr, steps):
    """Slips on the way to φ, and in where the slope is taken."""
    sx, sy, qx, qy = sets
    at = lambda *given: lambda: mean_of(first_order(params, *given))
    return {
        "all of it is zero, so nothing depends on θ any more: φ itself was taken for a constant. Only the inner "
        "slopes are constants; φ = θ − α · slope still contains θ": times(0.0, params),
        "this is the full MAML gradient: it goes through the inner slopes, which first order takes for constants": (
            lambda: full_slope(params, sets, lr, steps)
        ),
        "this is the query slope at θ: the slope is wanted at φ, where the inner steps end": at(
            sets, lr, 0
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
    }


def fomaml_returns(params, sets, lr, steps):
    """Slips in what is made of the slopes at φ."""
    alone = first_order(params, sets, lr, steps)
    right, batch = mean_of(alone), TaskBatch(*sets)
    whole = lambda first: lambda: ref.meta_gradient(loss, params, batch, lr, steps, first)
    return {
        "this is the sum over the tasks: take their mean": times(float(len(alone)), right),
        "this is the last task alone: take the mean over all tasks": alone[-1],
        "this is the first task alone (does `return` stand inside the loop?): take the mean over all tasks": (
            alone[0]
        ),
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, right
        ),
        "this is α times the gradient: the inner rate belongs to the inner steps alone": times(
            lr, right
        ),
        "this is a new θ, one step further: return the gradient, and the optimiser takes the step": (
            moved(params, right, lr)
        ),
        "this is all that ref.meta_gradient returns, the loss and the gradient: take [1] of it": whole(
            True
        ),
        "this is all that ref.meta_gradient returns, and of the full MAML gradient: take [1] of it, and leave out "
        "the way back": whole(False),
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


@exercise("11.reptile", points=3, minutes=12, difficulty=2, forbids=("maml_edu.pytorch",))
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
    return reptile_returns(params, x, y, lr) | reptile_walks(params, x, y, lr)


def reptile_returns(params, x, y, lr):
    """Slips in what is made of the ways, and of the slopes on them."""
    alone, steps = ways(params, x, y, lr), x.shape[1]
    right = mean_of(alone)
    walked = [ends_and_slopes(params, *task, lr) for task in zip(x, y, strict=True)]
    each = lambda of: mean_of([of(phi, slopes) for phi, slopes in walked])
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
        "this is the last task alone: take the mean over all tasks": alone[-1],
        "this is the first task alone (does `return` stand inside the loop?): take the mean over all tasks": (
            alone[0]
        ),
        "this is the slope of the last step alone, which is first-order MAML judged on the last mini-batch: "
        "Reptile adds the slopes of all steps": lambda: each(lambda phi, slopes: slopes[-1]),
        "this is the slope at the end of the way, at φ: Reptile needs no slope there": lambda: (
            mean_of([slope_at(phi, x[t, -1], y[t, -1]) for t, (phi, _) in enumerate(walked)])
        ),
        "this is the mean of the φ, where θ would land: the meta-gradient is asked for": lambda: (
            each(lambda phi, slopes: phi)
        ),
        "this differentiates through the steps, as MAML does: Reptile has no outer derivative at all": (
            lambda: last_judges(params, x, y, lr)
        ),
    }


def reptile_walks(params, x, y, lr):
    """Slips on the way: where a step starts, and on which mini-batch it is taken."""
    steps = x.shape[1]
    along = lambda *sets: lambda: mean_of(ways(params, *sets, lr))
    at_theta = lambda k: mean_of([slope_at(params, x[t, k], y[t, k]) for t in range(len(x))])
    at_theta_mean = lambda: mean_of([at_theta(k) for k in range(steps)])
    together = [np.repeat(part.reshape(len(x), 1, -1, part.shape[-1]), steps, 1) for part in (x, y)]
    return {
        "this is the slope of the first step alone, which is plain joint training": lambda: (
            at_theta(0)
        ),
        "all slopes in this are taken at θ, which is joint training: each step starts where the one before it "
        "ended": lambda: times(float(steps), at_theta_mean()),
        "every step of yours starts at θ again, and only the last one is kept: each step starts where the one "
        "before it ended": lambda: at_theta(steps - 1),
        "this is a single step, on all points of a task together: take a step per mini-batch": (
            at_theta_mean
        ),
        "a task starts where the one before it ended: every task starts at θ": (
            lambda: reptile_chained(params, x, y, lr)
        ),
        "a task starts where the one before it ended, and its way is measured from θ: start each task at θ": (
            lambda: mean_of(chain(params, x, y, lr))
        ),
        "all tasks are one long walk in yours, each from where the one before it ended: start each at θ": (
            lambda: chain(params, x, y, lr)[-1]
        ),
        "the tasks are averaged after every step: each task walks to its own end, and the mean is taken then": (
            lambda: averaged_steps(params, x, y, lr)
        ),
        "the first two axes have changed places: x[t] is a task, and x[t, k] the mini-batch of its step k": (
            along(x.swapaxes(0, 1), y.swapaxes(0, 1))
        ),
        "every step of yours takes all mini-batches together: step k takes mini-batch k": along(
            *together
        ),
        "every step of yours takes the first mini-batch: step k takes mini-batch k": along(
            x[:, [0] * steps], y[:, [0] * steps]
        ),
        "K steps are taken on every mini-batch in yours: take one on each, K in all": along(
            x.repeat(steps, axis=1), y.repeat(steps, axis=1)
        ),
        "the mini-batches are taken in the wrong order, the last one first": along(
            x[:, ::-1], y[:, ::-1]
        ),
        "one step is missing, the last": along(x[:, :-1], y[:, :-1]),
    }


def chain(params, x, y, lr):
    """(θ − φ)/α of tasks that each start where the one before ended, all measured from θ."""
    alone, phi = [], params
    for task in zip(x, y, strict=True):
        phi, _ = ends_and_slopes(phi, *task, lr)
        alone.append(times(1 / lr, plus(params, phi, -1.0)))
    return alone


def averaged_steps(params, x, y, lr):
    """(θ − φ)/α where all tasks share φ: the mean of their steps."""
    phi = params
    for k in range(x.shape[1]):
        phi = moved(phi, mean_of([slope_at(phi, x[t, k], y[t, k]) for t in range(len(x))]), lr)
    return times(1 / lr, plus(params, phi, -1.0))


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


@exercise(
    "11.anil",
    points=3,
    minutes=12,
    difficulty=3,
    forbids=(
        "maml_edu.reference.meta_gradient",
        "maml_edu.reference.meta_loss",
        "maml_edu.pytorch",
    ),
)
def anil(answer, rng):
    """Almost no inner loop"""
    heads = [["w2"], ["b2", "w2"], ["w1", "b1"], ["w2", "b2"]]  # each is seen by every learner
    for number, ((params, sets), lr, steps) in enumerate(draw(rng, problem=a_batch, **STEPS)):
        head = heads[number % len(heads)]
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
    right = full_slope(params, sets, rates_of(params, head, lr), steps)
    given = params, head, sets, lr, steps, right
    return anil_derivatives(*given) | anil_loops(*given)


def anil_derivatives(params, head, sets, lr, steps, right):
    """Slips in what is differentiated, with the inner loop as it should be."""
    only, body = rates_of(params, head, lr), [name for name in params if name not in head]
    constant, at_theta = (mean_of(first_order(params, sets, only, n)) for n in (steps, 0))
    with_zeros = lambda names: {n: np.zeros_like(v) if n in names else v for n, v in right.items()}
    mixed = lambda other, names: {n: other[n] if n in names else right[n] for n in params}
    batch = TaskBatch(*sets)
    return {
        "all of it is zero: nothing depends on the argument of your meta-loss. Adapt from it, not from `params`": (
            times(0.0, right)
        ),
        "the body's gradient is zero: you have frozen it in the outer loop as well. ANIL keeps it still within a "
        "task; from task to task it learns": with_zeros(body),
        "the gradient of the head alone comes back: the body does not move within a task, but the outer loop "
        "trains it, so its gradient is needed": {name: right[name] for name in head},
        "the head's gradient is zero: where the head starts in each task is part of θ and is learned": (
            with_zeros(head)
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
        "this is all that ref.meta_gradient returns, the loss and the gradient: take [1] of it": lambda: (
            ref.meta_gradient(loss, params, batch, only, steps)
        ),
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, right
        ),
    }


def anil_loops(params, head, sets, lr, steps, right):
    """Slips in what adapts, how often and on which examples."""
    sx, sy, qx, qy = sets
    only, body = rates_of(params, head, lr), [name for name in params if name not in head]
    slope = lambda given=sets, rates=only, count=steps: (
        lambda: full_slope(params, given, rates, count)
    )
    return {
        "the names w2 and b2 are built into yours: `head` says which parameters adapt": slope(
            rates=rates_of(params, ["w2", "b2"], lr)
        ),
        "this is MAML: the body adapts, too": slope(rates=lr),
        "the opposite ones adapt: the parameters in `head` do, and all others stay": slope(
            rates=rates_of(params, body, lr)
        ),
        "here all parameters adapt and the body is put back at the end, so that the head has adapted to features "
        "that are gone: keep the body still in every inner step": lambda: body_put_back(
            params, head, sets, lr, steps
        ),
        "this is the sum over the tasks: take their mean": times(float(len(sx)), right),
        "this is the last task alone: take the mean over all tasks": slope(
            [part[-1:] for part in sets]
        ),
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


@exercise("11.meta_sgd", points=4, minutes=15, difficulty=3, forbids=("maml_edu.pytorch",))
def meta_sgd(answer, rng):
    """A rate for every element"""
    for params, sets in draw(rng, problem=a_batch):
        rates = {name: rng.uniform(0.03, 0.25, value.shape) for name, value in params.items()}
        compare_both(answer(LOSS, params, rates, *sets), params, rates, sets)


def compare_both(got, params, rates, sets):
    """The gradient of θ and that of the rates, each on its own: whoever has slipped in both is told one by one."""
    d_theta, d_rates = meta_sgd_of(params, rates, sets)
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        alone = {
            "only the gradient of θ comes back: return both, that of the rates second": d_theta
        }
        expect(got, (d_theta, d_rates), alone)
        return
    given = params, rates, sets
    expect(got[0], d_theta, partial(theta_mistakes, *given), what="the first, the gradient of θ,")
    expect(got[1], d_rates, partial(rate_mistakes, *given), what="the second, that of the rates,")


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


def theta_mistakes(params, rates, sets):
    """Of the gradient of θ: message → what that mistake gives, or a function that computes it."""
    parts = parts_of(params, rates, sets)
    right, d_rates = meta_sgd_of(params, rates, sets)
    with_sets = lambda *given: lambda: meta_sgd_of(params, rates, given)[0]
    less = lambda of: (
        lambda: mean_of(
            [
                plus(v, of(v, sx, sy), -1.0)
                for (_, _, v, _), (sx, sy, _, _) in zip(parts, tasks_of(sets), strict=True)
            ]
        )
    )
    return {
        "the gradient of θ is zero: nothing depends on the θ in the argument of your meta-loss. Step from it, not "
        "from `params`": times(0.0, right),
        "the gradient of θ is first order: it also goes through the support slope": mean_of(
            [v for _, _, v, _ in parts]
        ),
        "the gradient of θ is the query slope at θ: the query loss is judged at φ": lambda: mean_of(
            [slope_at(params, qx, qy) for _, _, qx, qy in tasks_of(sets)]
        ),
        "in the gradient of θ the rates stand on the wrong side: the Hessian multiplies α ∘ v, and α is not to "
        "multiply Hv": less(lambda v, sx, sy: product(rates, hessian_times(params, sx, sy, v))),
        "the gradient of θ has a plus where the step goes downhill: v − H(α ∘ v)": (
            mean_of([plus(v, hv) for _, _, v, hv in parts])
        ),
        "the gradient of θ takes the mean of the rates for all of them": less(
            lambda v, sx, sy: times(mean_rate(rates), hessian_times(params, sx, sy, v))
        ),
        "the gradient of θ is a sum over the tasks: take the mean": times(float(len(parts)), right),
        "the gradient of θ is that of the last task alone: take the mean over all tasks": with_sets(
            *[part[-1:] for part in sets]
        ),
        "the gradient of θ is that of the first task alone: take the mean over all tasks": with_sets(
            *[part[:1] for part in sets]
        ),
        "the sign of the gradient of θ is turned round: the optimiser subtracts it": times(
            -1.0, right
        ),
        "the two come in the wrong order: first the gradient of θ, then that of the rates": d_rates,
        "support and query have changed places: step on the support set, judge on the query set": with_sets(
            *sets[2:], *sets[:2]
        ),
        "this judges φ on its own support set: the outer loss is the query loss": with_sets(
            *sets[:2], *sets[:2]
        ),
    }


def rate_mistakes(params, rates, sets):
    """Of the gradient of the rates: message → what that mistake gives, or a function that computes it."""
    parts, tasks = parts_of(params, rates, sets), tasks_of(sets)
    right = meta_sgd_of(params, rates, sets)[1]
    slopes, queries = (mean_of([part[place] for part in parts]) for place in (0, 2))
    minus = lambda of: (
        lambda: mean_of(
            [product(*of(*part[:3], *task), -1.0) for part, task in zip(parts, tasks, strict=True)]
        )
    )
    return {
        "the rates' gradient is zero: nothing depends on the rates in the argument of your meta-loss. Step with "
        "those, not with `rates`": times(0.0, right),
        "the sign of the rates' gradient: a larger rate moves φ by −g, so the minus is missing": (
            times(-1.0, right)
        ),
        "the rates' gradient forgets g: φ moves by −g per unit of its rate, and yours has only the query slope": (
            times(-1.0, queries)
        ),
        "the rates' gradient forgets g and the minus, too: it is the query slope at φ itself": queries,
        "the rates' gradient has no query slope in it: −g says how φ moves, not what the query loss makes of it": (
            times(-1.0, slopes)
        ),
        "the rates' gradient takes g at φ: the step was taken with the support slope at θ": minus(
            lambda g, phi, v, sx, sy, qx, qy: (slope_at(phi, sx, sy), v)
        ),
        "the rates' gradient takes the query slope at θ: the query loss is judged at φ": minus(
            lambda g, phi, v, sx, sy, qx, qy: (g, slope_at(params, qx, qy))
        ),
        "the rates' gradient takes the support slope twice, at θ and at φ: the query loss judges": minus(
            lambda g, phi, v, sx, sy, qx, qy: (g, slope_at(phi, sx, sy))
        ),
        "the rates' gradient takes the slope of the query loss for g, too: the step was taken on the support set": (
            minus(lambda g, phi, v, sx, sy, qx, qy: (slope_at(params, qx, qy), v))
        ),
        "the rates' gradient multiplies two means: g and the query slope of one task belong together, so multiply "
        "task by task and average then": product(slopes, queries, -1.0),
        "the rates' gradient is the one with respect to log α: with respect to α the factor α is not there": (
            product(rates, right)
        ),
        "the rates' gradient is one number per parameter: every element has a rate of its own": (
            {name: float(value.sum()) for name, value in right.items()}
        ),
        "the rates' gradient is a sum over the tasks: take the mean": times(
            float(len(parts)), right
        ),
        "the rates' gradient is that of the last task alone: take the mean over all tasks": product(
            parts[-1][0], parts[-1][2], -1.0
        ),
    }


def mean_rate(rates):
    return float(np.mean(np.concatenate([value.ravel() for value in rates.values()])))


# ------------------------------------------------------------------ 11.5


@exercise(
    "11.multi_step_weights", points=2, minutes=10, difficulty=2, forbids=("maml_edu.pytorch",)
)
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


def weights_of(iteration, until, steps):
    """Weights of the query losses at φ₀ … φ_K."""
    if iteration >= until:
        return [0.0] * steps + [1.0]
    others = max(1 - iteration / until, FLOOR) / steps
    return [0.0, *[others] * (steps - 1), 1 - (steps - 1) * others]


def weight_mistakes(iteration, until, steps):
    return line_mistakes(iteration, until, steps) | place_mistakes(iteration, until, steps)


def line_mistakes(iteration, until, steps):
    """Slips in how the earlier weights fall: message → what that mistake gives."""
    done, low = iteration / until, FLOOR / steps
    last = np.array([0.0] * steps + [1.0])
    by = lambda others: np.array([0.0, *[others] * (steps - 1), 1 - (steps - 1) * others])
    line = lambda others: by(others) if done < 1 else last
    right = np.array(weights_of(iteration, until, steps))
    return {
        "annealed the wrong way round: the earlier steps count most at the beginning and less and less later": (
            line(max(done / steps, low))
        ),
        "the weights fall along a straight line: yours is a parabola": line(
            max((1 - done) ** 2 / steps, low)
        ),
        "your line is too steep: it starts at 1/K and reaches 0 at iteration `until`, so it falls by 1/(K · until) "
        "per iteration and not by 1/until": line(max(1 / steps - done, low)),
        "your line reaches the floor at iteration `until`: it would reach 0 there, and the floor holds it before": (
            line((1 - (1 - FLOOR) * done) / steps)
        ),
        "the floor is missing: the earlier weights do not fall below 0.03/K while they fall": line(
            (1 - done) / steps
        ),
        "the floor is 0.03/K; yours is 0.03": line(max((1 - done) / steps, FLOOR)),
        "yours takes the smaller of falling weight and floor: the larger one counts": line(
            min((1 - done) / steps, low)
        ),
        "from `until` on only the last loss counts: yours leaves the earlier ones on the floor": (
            right if done < 1 else by(low)
        ),
        "at iteration `until` only the last loss counts: ≥ and not >": (
            by(low) if iteration == until else right
        ),
        "all losses count alike for ever: nothing is annealed": by(1 / steps),
        "only the last loss counts in yours, from the beginning": last,
        "all losses count alike until the end and then at once only the last: let them fall evenly in between": (
            line(1 / steps)
        ),
        "at first each of K losses has 1/K: yours begin with 1/(K − 1)": line(
            max((1 - done) / (steps - 1), low)
        ),
    }


def place_mistakes(iteration, until, steps):
    """Slips in who gets what of the weights: message → what that mistake gives."""
    right, share = weights_of(iteration, until, steps), max(1 - iteration / until, FLOOR)
    others, last = right[1], [0.0] * steps + [1.0]
    changed = lambda *weights: np.array(weights if iteration < until else last)
    from_the_start = share / (steps + 1)
    return {
        "they do not sum to one: what the earlier ones lose the last one gains": changed(
            0.0, *[others] * (steps - 1), 1 / steps
        ),
        "the last weight is one from the start: it gets only what the earlier ones leave, so that all sum to "
        "one": changed(0.0, *[others] * (steps - 1), 1.0),
        "φ_0 counts in yours: it is θ, before any inner step, and has the weight zero": changed(
            *[from_the_start] * steps, 1 - steps * from_the_start
        ),
        "the first place is missing: there are K + 1 losses, and the one at φ_0 has the weight zero": (
            np.array(right[1:])
        ),
        "the order is turned round: the last place, that of φ_K, gets what the others leave": np.array(
            right[::-1]
        ),
        "it is the first step, φ_1, that gets the rest in yours: the last one gets it": np.array(
            [0.0, right[-1], *right[1:-1]]
        ),
        "the weights are divided by their sum in yours: the earlier ones keep their value, and the last one gets "
        "what they leave": changed(0.0, *renormalised([others] * (steps - 1) + [1 / steps])),
    }


def renormalised(weights):
    return [weight / sum(weights) for weight in weights]


# ------------------------------------------------------------------ 11.6


@exercise("11.implicit", points=5, minutes=30, difficulty=4, forbids=("maml_edu.pytorch",))
def implicit(answer, rng):
    """Implicit MAML: solve, do not unroll"""
    for theta, phi, sets, strength, h in draw(rng, case=an_inner_problem):
        got = answer(LOSS, theta, phi, *sets, strength)
        expect(
            got,
            solved(phi, h, slope_by_hand(phi, *sets[2:]), strength),
            mistakes=partial(implicit_mistakes, theta, phi, sets, strength, h),
            otherwise=NOT_A_NUMBER if holds_nan(got) else "",
        )


ROUNDS = (
    15  # of conjugate gradients, at most: for ten numbers enough, and too few for steepest descent
)
NOT_A_NUMBER = (
    "your answer holds NaN, which is no number. If you solve by conjugate gradients, r·r has become 0, and 0/0 is "
    "NaN: stop first, when r is nearly zero"
)


def holds_nan(got):
    values = got.values() if isinstance(got, dict) else []
    arrays = [value for value in values if isinstance(value, (float, np.ndarray))]
    return any(np.isnan(a).any() for a in arrays if np.asarray(a).dtype.kind == "f")


def an_inner_problem(rng):
    """(θ, φ, sets of one task, λ, H at φ): φ close to the minimum of L_S + λ/2 |φ − θ|², I + H/λ well positive."""
    while True:
        theta = network_params(rng, inputs=1, width=3, outputs=1)  # 10 numbers
        sets = [*waves(rng, theta, 1, 8), *waves(rng, theta, 1, 6)]
        sets = [part[0] for part in sets]
        largest = float(np.abs(np.linalg.eigvalsh(hessian(theta, *sets[:2]))).max())
        strength = float(rng.uniform(0.1, 0.3)) * largest
        phi = settled(theta, sets, strength, 0.5 / (strength + largest))
        h = hessian(phi, *sets[:2])
        curvatures = np.linalg.eigvalsh(h) / strength
        if curvatures.min() > -0.7 and abs(strength - 1) > 0.2 and curvatures.max() > 3.0:
            return theta, phi, sets, strength, h


def settled(theta, sets, strength, rate):
    """θ after 15 steps on the support loss with the pull back to θ."""
    phi = theta
    for _ in range(15):
        slope = plus(slope_by_hand(phi, *sets[:2]), plus(phi, theta, -1.0), strength)
        phi = moved(phi, slope, rate)
    return phi


def slope_by_hand(params, x, y):
    """`slope_at`, written out for the tanh network: fifty times as quick, and complex numbers may go in."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])  # (examples, width)
    error = 2.0 * (hidden @ params["w2"] + params["b2"] - y) / y.size  # (examples, outputs)
    back = error @ params["w2"].T * (1.0 - hidden**2)
    return {"w1": x.T @ back, "b1": back.sum(0), "w2": hidden.T @ error, "b2": error.sum(0)}


def flat(params):
    return np.concatenate([np.ravel(value) for value in params.values()])


def like(vector, params):
    """A vector as a dict like params."""
    ends = np.cumsum([value.size for value in params.values()])[:-1]
    parts = zip(params.items(), np.split(vector, ends), strict=True)
    return {name: part.reshape(value.shape) for (name, value), part in parts}


def hessian(params, x, y):
    """H of the loss there, (n, n): each column the imaginary part of the slope a tiny imaginary step away."""
    here, tiny = flat(params), 1e-20
    away = [slope_by_hand(like(here + 1j * tiny * e, params), x, y) for e in np.eye(here.size)]
    return np.array([flat(slope).imag / tiny for slope in away]).T


def solved(phi, h, v, strength):
    """(I + H/λ)⁻¹ v, like φ."""
    return like(np.linalg.solve(np.eye(len(h)) + h / strength, flat(v)), phi)


def implicit_mistakes(theta, phi, sets, strength, h):
    """Message → what that mistake gives, or a function that computes it."""
    v = flat(slope_by_hand(phi, *sets[2:]))
    rounds = rounds_mistakes(np.eye(len(h)) + h / strength, v)
    return system_mistakes(theta, phi, sets, strength, h) | {
        message: partial(lambda of: like(of(), phi), of) for message, of in rounds.items()
    }


def system_mistakes(theta, phi, sets, strength, h):
    """Another system in place of (I + H/λ) x = v."""
    support, query = sets[:2], sets[2:]
    slope = slope_by_hand(phi, *query)
    v, one = flat(slope), np.eye(len(h))
    by = lambda matrix: like(np.linalg.solve(matrix, v), phi)
    with_h = lambda other: solved(phi, other, slope, strength)
    with_v = lambda other: solved(phi, h, other, strength)
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
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, with_v(slope)
        ),
    }


def rounds_mistakes(matrix, v):
    """Conjugate gradients on the right system, with a slip: message → a function that gives the vector."""
    run = lambda rounds=ROUNDS, start=0.0, **slip: lambda: cg(matrix, v, rounds, start, **slip)
    too_few = "started at zero: go on until the residual is small"
    return {
        f"this is conjugate gradients after one step, {too_few}": run(1),
        f"this is conjugate gradients after two steps, {too_few}": run(2),
        f"this is conjugate gradients after five steps, {too_few}": run(5),
        "this is conjugate gradients after one step, started at v: go on until the residual is small": (
            run(1, 1.0)
        ),
        "this is conjugate gradients after five steps, started at v: that is not enough here": run(
            5, 1.0
        ),
        "the start of conjugate gradients is v, and its first residual is v as well: the residual is v − A x, so "
        "the solution has v added to it": lambda: np.linalg.solve(matrix, v) + v,
        "in the new direction the factor is one: r was overwritten before the quotient was taken. Keep the old "
        "r·r, or give the new r a name of its own": run(share=lambda new, old: 1.0),
        "in the new direction the quotient is upside down: the new r·r stands above the old one": run(
            share=lambda new, old: old / new
        ),
        "in the new direction the quotient is that of the norms of r: it is that of their squares, r·r": run(
            share=lambda new, old: np.sqrt(new / old)
        ),
        "in the new direction the old one is subtracted: add it": run(
            share=lambda new, old: -new / old
        ),
        "the new direction is r alone, which is steepest descent. It gets there late, not in 15 rounds; "
        "add the old direction times the quotient": run(share=lambda new, old: 0.0),
        "x moves along the new direction: x ← x + s p comes before p changes, since s was made for the old p": run(
            late=True
        ),
    }


def blocks(params):
    """(n, n): 1 where two numbers belong to the same parameter, else 0."""
    sizes = [value.size for value in params.values()]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return (owner[:, None] == owner).astype(float)


def cg(matrix, v, rounds, start=0.0, share=lambda new, old: new / old, late=False):
    """x after so many rounds of conjugate gradients on matrix @ x = v, from x = start · v.

    share: of the old direction in the new one, from the new r·r and the old. late: x moves along the new one.
    """
    x = start * v
    residual = direction = v - matrix @ x
    for _ in range(rounds):
        before = residual @ residual
        if before <= 1e-20 * (v @ v):
            break
        length = before / (direction @ matrix @ direction)
        residual, old = residual - length * matrix @ direction, direction
        direction = residual + share(residual @ residual, before) * old
        x = x + length * (direction if late else old)
    return x


# ------------------------------------------------------------------ 11.7


@exercise("11.taylor", points=4, minutes=25, difficulty=4)
def taylor(answer, rng):
    """Which term each of them keeps"""
    for number, (shots, lr) in enumerate(draw(rng, shots=(2, 5), inner_lr=(0.02, 0.1))):
        count = (
            3 + number % 2
        )  # both are seen by every learner: k and 2(k − 1) may be the same for one
        params = network_params(rng)
        x, y = waves(rng, params, count, shots)
        compare_three(answer(LOSS, params, x, y, lr), params, x, y, lr)


def compare_three(got, params, x, y, lr):
    """Each of the three gradients on its own: the first that is wrong is named."""
    slope, inner = terms_of(params, x, y)
    right = series(slope, inner, len(x), lr)
    if not isinstance(got, dict) or got.keys() != right.keys():
        expect(got, right)
        return
    of = {"MAML": maml_terms, "FOMAML": fomaml_terms, "Reptile": reptile_terms}
    for name, mistakes in of.items():
        expect(
            got[name],
            right[name],
            partial(taylor_mistakes, name, mistakes, params, x, y, lr),
            what=f"your gradient for {name}",
        )


def terms_of(params, x, y):
    """(mean slope, mean of Hᵢ gⱼ over all ordered pairs i ≠ j) at θ."""
    slopes = [slope_at(params, *batch) for batch in zip(x, y, strict=True)]
    pairs = itertools.permutations(range(len(x)), 2)
    return mean_of(slopes), mean_of(
        [hessian_times(params, x[i], y[i], slopes[j]) for i, j in pairs]
    )


def series(slope, inner, count, lr):
    """Method → the first two terms."""
    shares = {
        "MAML": (1, 2 * (count - 1)),
        "FOMAML": (1, count - 1),
        "Reptile": (count, count * (count - 1) / 2),
    }
    return {name: two_terms(slope, inner, lr, *of) for name, of in shares.items()}


def two_terms(slope, inner, lr, first, second):
    """first · G − second · α J."""
    return plus(times(float(first), slope), inner, -float(second) * lr)


def taylor_mistakes(name, of_its_own, params, x, y, lr):
    """Message → what that mistake gives for the method `name`, or a function that computes it."""
    slope, inner = terms_of(params, x, y)
    right, again = (series(slope, inner, len(x), rate)[name] for rate in (lr, -lr))
    told = {
        "yours has a plus before the second term: the steps go downhill": again,
        "α is missing in the second term": series(slope, inner, len(x), 1.0)[name],
        "this is what really happens in the mean over all orders, with all powers of α: the first two terms are "
        "wanted": lambda: in_all_orders(params, x, y, lr)[name],
        "the sign is turned round: return the gradient, which the optimiser then subtracts": times(
            -1.0, right
        ),
        **of_its_own(partial(two_terms, slope, inner, lr), len(x)),
    }
    if name == "MAML":  # the first to be judged: G and J are the same for all three
        shares = lr, 1, 2 * (len(x) - 1)
        told |= terms_mistaken(params, x, y, slope, inner, lambda g, j: two_terms(g, j, *shares))
    return {f"{name}: {message}": value for message, value in told.items()}


def maml_terms(of, k):
    """Wrong multiples of G and αJ; of(first, second): what they give."""
    return {
        "the second term is missing: to this order that is joint training": of(1, 0),
        "it has the second term twice per inner step, once since its slope is taken after the steps, once since it "
        "is carried back through them. Yours has it once: is it FOMAML's, and have the two changed places? Or "
        "is your J halved? The mean of H_i g_j has no ½ before it": of(1, k - 1),
        "k mini-batches are k − 1 inner steps, since the last one judges: yours counts k": of(
            1, 2 * k
        ),
        "yours is the lesson's row, which is for two mini-batches. With k of them there are k − 1 inner steps": of(
            1, 2
        ),
        "yours has the second term k times. The 2 of the lesson is twice its one inner step: with k mini-batches "
        "that is 2(k − 1)": of(1, k),
        "yours has all k(k − 1) pairs in it: of MAML's products each holds the last mini-batch, which judges": of(
            1, k * (k - 1)
        ),
    }


def fomaml_terms(of, k):
    return {
        "it keeps the second term: without it, it would be joint training. What it drops is the way back": of(
            1, 0
        ),
        "it has the second term once per inner step: it does not carry the slope back": of(
            1, 2 * (k - 1)
        ),
        "k mini-batches are k − 1 inner steps, since the last one judges: yours counts k": of(1, k),
        "yours is the lesson's row, which is for two mini-batches. With k of them there are k − 1 inner steps": of(
            1, 1
        ),
        "yours has all pairs of steps in it, as Reptile has: here the last slope alone counts": of(
            1, k * (k - 1) / 2
        ),
        "the second term is halved": of(1, (k - 1) / 2),
    }


def reptile_terms(of, k):
    pairs = k * (k - 1) / 2
    return {
        "the second term is missing: to this order that is joint training": of(k, 0),
        "Reptile adds up k slopes: yours is divided by k": of(1, (k - 1) / 2),
        "Reptile adds up k slopes: yours has the slope once, though the second term is right": of(
            1, pairs
        ),
        "of a pair of steps only one is later than the other: k(k − 1)/2 of them, and yours has k(k − 1)": of(
            k, 2 * pairs
        ),
        "each step but the first has a second term for every step before it, k(k − 1)/2 in all: yours k − 1": of(
            k, k - 1
        ),
        "the pairs are counted as k²/2, a mini-batch with itself among them": of(k, k * k / 2),
        "yours is the lesson's row, which is for two mini-batches. With k of them k slopes are added up, and "
        "k(k − 1)/2 products": of(2, 1),
        "Reptile adds up k slopes: that is right in yours, but the second term is that of two mini-batches": of(
            k, 1
        ),
        "one step is missing: Reptile takes a step on the last mini-batch, too": of(
            k - 1, (k - 1) * (k - 2) / 2
        ),
    }


def terms_mistaken(params, x, y, slope, inner, of):
    """Other things in place of G and J; of(G, J): what they give."""
    count = len(x)
    return {
        "the second term is doubled: the gradient of the inner product of two slopes is twice the mean of H_i "
        "g_j": of(slope, times(2.0, inner)),
        "a mini-batch is paired with itself in yours: H_i g_j is wanted for i ≠ j": lambda: of(
            slope, with_itself(params, x, y, slope)
        ),
        "a mini-batch is paired with itself alone: H_i g_j is wanted for i ≠ j": lambda: of(
            slope, own_pairs(params, x, y)
        ),
        "the pairs are taken in one order only, j before i: every order of the mini-batches is as likely": (
            lambda: of(slope, one_order(params, x, y))
        ),
        "the pairs are summed in yours: take their mean": of(
            slope, times(float(count * (count - 1)), inner)
        ),
        "the slopes are summed in yours: take their mean": of(times(float(count), slope), inner),
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
