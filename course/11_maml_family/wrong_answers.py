"""Wrong answers that a learner of chapter 11 might give, each to be caught and named; and unusual right ones."""

import itertools

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer
from maml_edu.tasks import TaskBatch


def stepped(params, slope, rate):
    return {name: value - rate * slope[name] for name, value in params.items()}


def mean(slopes):
    return {name: np.mean([slope[name] for slope in slopes], axis=0) for name in slopes[0]}


def each(*sets):
    return list(zip(*sets, strict=True))


# ---------------------------------------------------------------- 11.1


@wrong_answer("11.fomaml", says="φ itself was taken for a constant")
def phi_detached(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    def meta_loss(theta):
        losses = []
        for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
            phi = ref.stop_gradient(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps))
            losses.append(loss(phi, qx, qy))
        return sum(losses) / len(losses) + 0.0 * sum(np.sum(value) for value in theta.values())

    return ref.grad(meta_loss)(params)


@wrong_answer("11.fomaml", says="this is the full MAML gradient")
def nothing_left_out(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    def meta_loss(theta):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps), qx, qy)
            for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


def _slopes(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """The query slope at φ of every task."""
    return [
        ref.grad(loss)(ref.adapt(loss, params, sx, sy, inner_lr, inner_steps), qx, qy)
        for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y)
    ]


@wrong_answer("11.fomaml", says="this is the query slope at θ")
def slope_at_theta(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    slopes = []
    for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
        ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)  # and φ is never used
        slopes.append(ref.grad(loss)(params, qx, qy))
    return mean(slopes)


@wrong_answer("11.fomaml", says="this is the sum over the tasks")
def summed(loss, params, *rest):
    slopes = _slopes(loss, params, *rest)
    return {name: sum(slope[name] for slope in slopes) for name in params}


@wrong_answer("11.fomaml", says="this is the last task alone")
def last_task(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
        phi = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        slope = ref.grad(loss)(phi, qx, qy)
    return slope


@wrong_answer("11.fomaml", says="does `return` stand inside the loop?")
def returned_too_early(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
        phi = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        return ref.grad(loss)(phi, qx, qy)
    return None


@wrong_answer("11.fomaml", says="this is the slope of the support loss at φ")
def support_slope(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = support_x, support_y, support_x, support_y
    return mean(_slopes(loss, params, *sets, inner_lr, inner_steps))


@wrong_answer("11.fomaml", says="support and query have changed places")
def sets_swapped(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = query_x, query_y, support_x, support_y
    return mean(_slopes(loss, params, *sets, inner_lr, inner_steps))


@wrong_answer("11.fomaml", says="this adapts on the query set")
def adapted_on_the_query(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps
):
    sets = query_x, query_y, query_x, query_y
    return mean(_slopes(loss, params, *sets, inner_lr, inner_steps))


@wrong_answer("11.fomaml", says="there is one inner step only")
def a_single_step(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    return mean(_slopes(loss, params, support_x, support_y, query_x, query_y, inner_lr, 1))


@wrong_answer("11.fomaml", says="one inner step too few")
def a_step_less(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = support_x, support_y, query_x, query_y
    return mean(_slopes(loss, params, *sets, inner_lr, inner_steps - 1))


@wrong_answer("11.fomaml", says="one inner step too many")
def a_step_more(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = support_x, support_y, query_x, query_y
    return mean(_slopes(loss, params, *sets, inner_lr, inner_steps + 1))


@wrong_answer("11.fomaml", says="all inner steps of yours take the slope at θ")
def stale_slopes(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    slopes = []
    for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
        constant, phi = ref.grad(loss)(params, sx, sy), params
        for _ in range(inner_steps):
            phi = stepped(phi, constant, inner_lr)
        slopes.append(ref.grad(loss)(phi, qx, qy))
    return mean(slopes)


@wrong_answer("11.fomaml", says="the inner steps of yours go uphill")
def uphill(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    slopes = []
    for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
        phi = params
        for _ in range(inner_steps):
            phi = stepped(phi, ref.grad(loss)(phi, sx, sy), -inner_lr)
        slopes.append(ref.grad(loss)(phi, qx, qy))
    return mean(slopes)


@wrong_answer("11.fomaml", says="this averages the φ of the tasks")
def phis_averaged(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    phi = mean(
        [
            ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
            for sx, sy in each(support_x, support_y)
        ]
    )
    return mean([ref.grad(loss)(phi, qx, qy) for qx, qy in each(query_x, query_y)])


@wrong_answer("11.fomaml", says="every task starts at θ")
def chained(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    slopes = []
    for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
        params = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        slopes.append(ref.grad(loss)(params, qx, qy))
    return mean(slopes)


@wrong_answer("11.fomaml", says="the sign is turned round")
def descent_direction(loss, params, *rest):
    return {name: -value for name, value in mean(_slopes(loss, params, *rest)).items()}


@wrong_answer("11.fomaml", says="the loss and the gradient: take [1] of it")
def all_that_is_returned(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    batch = TaskBatch(sx, sy, qx, qy)
    return ref.meta_gradient(loss, params, batch, inner_lr, inner_steps, first_order=True)


@wrong_answer("11.fomaml", says="and of the full MAML gradient: take [1]")
def all_of_maml(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return ref.meta_gradient(loss, params, TaskBatch(sx, sy, qx, qy), inner_lr, inner_steps)


@wrong_answer("11.fomaml", says="this is a new θ, one step further")
def a_new_theta(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = support_x, support_y, query_x, query_y
    slope = mean(_slopes(loss, params, *sets, inner_lr, inner_steps))
    return stepped(params, slope, inner_lr)


# ---------------------------------------------------------------- 11.2


def _walk(loss, params, xs, ys, inner_lr):
    """(φ, the slope of every step)."""
    slopes = []
    for bx, by in each(xs, ys):
        slopes.append(ref.grad(loss)(params, bx, by))
        params = stepped(params, slopes[-1], inner_lr)
    return params, slopes


def _ways(loss, params, x, y, inner_lr):
    ends = [_walk(loss, params, *task, inner_lr)[0] for task in each(x, y)]
    return [{name: (params[name] - phi[name]) / inner_lr for name in params} for phi in ends]


@wrong_answer("11.reptile", says="this is (φ − θ)/α, the way to go")
def towards_phi(loss, params, x, y, inner_lr):
    return {name: -way for name, way in mean(_ways(loss, params, x, y, inner_lr)).items()}


@wrong_answer("11.reptile", says="with α left in: divide by α")
def alpha_left_in(loss, params, x, y, inner_lr):
    ends = [_walk(loss, params, *task, inner_lr)[0] for task in each(x, y)]
    return mean([{name: params[name] - phi[name] for name in params} for phi in ends])


@wrong_answer("11.reptile", says="both at once: this is φ − θ")
def as_the_paper_moves(loss, params, x, y, inner_lr):
    ends = [_walk(loss, params, *task, inner_lr)[0] for task in each(x, y)]
    return mean([{name: phi[name] - params[name] for name in params} for phi in ends])


@wrong_answer("11.reptile", says="this multiplies by α")
def times_alpha(loss, params, x, y, inner_lr):
    ends = [_walk(loss, params, *task, inner_lr)[0] for task in each(x, y)]
    return mean([{name: (params[name] - phi[name]) * inner_lr for name in params} for phi in ends])


@wrong_answer("11.reptile", says="this is the sum over the tasks")
def reptile_summed(loss, params, x, y, inner_lr):
    ways = _ways(loss, params, x, y, inner_lr)
    return {name: sum(way[name] for way in ways) for name in params}


@wrong_answer("11.reptile", says="this divides by the number of steps")
def mean_over_steps(loss, params, x, y, inner_lr):
    return mean([mean(_walk(loss, params, *task, inner_lr)[1]) for task in each(x, y)])


@wrong_answer("11.reptile", says="this is the slope of the last step alone")
def last_slope(loss, params, x, y, inner_lr):
    return mean([_walk(loss, params, *task, inner_lr)[1][-1] for task in each(x, y)])


@wrong_answer("11.reptile", says="this is the slope of the first step alone")
def first_slope(loss, params, x, y, inner_lr):
    return mean([ref.grad(loss)(params, xs[0], ys[0]) for xs, ys in each(x, y)])


@wrong_answer("11.reptile", says="all slopes in this are taken at θ")
def joint_training(loss, params, x, y, inner_lr):
    ways = []
    for xs, ys in each(x, y):
        phi = params
        for bx, by in each(xs, ys):
            phi = stepped(phi, ref.grad(loss)(params, bx, by), inner_lr)
        ways.append({name: (params[name] - phi[name]) / inner_lr for name in params})
    return mean(ways)


@wrong_answer("11.reptile", says="this is the slope at the end of the way")
def slope_at_the_end(loss, params, x, y, inner_lr):
    return mean(
        [
            ref.grad(loss)(_walk(loss, params, xs, ys, inner_lr)[0], xs[-1], ys[-1])
            for xs, ys in each(x, y)
        ]
    )


@wrong_answer("11.reptile", says="this is the mean of the φ")
def mean_of_phis(loss, params, x, y, inner_lr):
    return mean([_walk(loss, params, *task, inner_lr)[0] for task in each(x, y)])


@wrong_answer("11.reptile", says="this is the last task alone")
def reptile_last_task(loss, params, x, y, inner_lr):
    return _ways(loss, params, x, y, inner_lr)[-1]


@wrong_answer("11.reptile", says="this is the first task alone")
def reptile_first_task(loss, params, x, y, inner_lr):
    for xs, ys in each(x, y):
        phi, _ = _walk(loss, params, xs, ys, inner_lr)
        return {name: (params[name] - phi[name]) / inner_lr for name in params}
    return None


@wrong_answer("11.reptile", says="every step of yours takes all mini-batches together")
def pooled(loss, params, x, y, inner_lr):
    ways = []
    for xs, ys in each(x, y):
        bx, by = np.concatenate(xs), np.concatenate(ys)
        phi = ref.adapt(loss, params, bx, by, inner_lr, len(xs))
        ways.append({name: (params[name] - phi[name]) / inner_lr for name in params})
    return mean(ways)


@wrong_answer("11.reptile", says="every step of yours takes the first mini-batch")
def first_batch_again(loss, params, x, y, inner_lr):
    ends = [ref.adapt(loss, params, xs[0], ys[0], inner_lr, len(xs)) for xs, ys in each(x, y)]
    return mean([{name: (params[name] - phi[name]) / inner_lr for name in params} for phi in ends])


@wrong_answer("11.reptile", says="a task starts where the one before it ended")
def reptile_chained(loss, params, x, y, inner_lr):
    ways = []
    for xs, ys in each(x, y):
        phi, _ = _walk(loss, params, xs, ys, inner_lr)
        ways.append({name: (params[name] - phi[name]) / inner_lr for name in params})
        params = phi
    return mean(ways)


@wrong_answer("11.reptile", says="one step is missing, the last")
def a_step_short(loss, params, x, y, inner_lr):
    return mean(_ways(loss, params, x[:, :-1], y[:, :-1], inner_lr))


@wrong_answer("11.reptile", says="Reptile has no outer derivative at all")
def through_the_steps(loss, params, x, y, inner_lr):
    def judged(theta, xs, ys):
        for bx, by in each(xs[:-1], ys[:-1]):
            theta = ref.adapt(loss, theta, bx, by, inner_lr, 1)
        return loss(theta, xs[-1], ys[-1])

    return mean([ref.grad(judged)(params, xs, ys) for xs, ys in each(x, y)])


def _way(params, phi, inner_lr):
    return {name: (params[name] - phi[name]) / inner_lr for name in params}


@wrong_answer("11.reptile", says="every step of yours starts at θ again")
def each_from_theta(loss, params, x, y, inner_lr):
    ways = []
    for xs, ys in each(x, y):
        for bx, by in each(xs, ys):
            phi = ref.adapt(loss, params, bx, by, inner_lr, 1)
        ways.append(_way(params, phi, inner_lr))
    return mean(ways)


@wrong_answer("11.reptile", says="this is a single step, on all points")
def one_large_step(loss, params, x, y, inner_lr):
    ends = [
        ref.adapt(loss, params, np.concatenate(xs), np.concatenate(ys), inner_lr, 1)
        for xs, ys in each(x, y)
    ]
    return mean([_way(params, phi, inner_lr) for phi in ends])


@wrong_answer("11.reptile", says="and its way is measured from θ")
def never_back_at_theta(loss, params, x, y, inner_lr):
    ways, phi = [], params
    for xs, ys in each(x, y):
        for bx, by in each(xs, ys):
            phi = ref.adapt(loss, phi, bx, by, inner_lr, 1)
        ways.append(_way(params, phi, inner_lr))
    return mean(ways)


@wrong_answer("11.reptile", says="all tasks are one long walk in yours")
def one_long_walk(loss, params, x, y, inner_lr):
    phi = params
    for xs, ys in each(x, y):
        for bx, by in each(xs, ys):
            phi = ref.adapt(loss, phi, bx, by, inner_lr, 1)
    return _way(params, phi, inner_lr)


@wrong_answer("11.reptile", says="the tasks are averaged after every step")
def tasks_in_step(loss, params, x, y, inner_lr):
    phi = params
    for k in range(x.shape[1]):
        phi = mean([ref.adapt(loss, phi, xs[k], ys[k], inner_lr, 1) for xs, ys in each(x, y)])
    return _way(params, phi, inner_lr)


@wrong_answer("11.reptile", says="the first two axes have changed places")
def axes_exchanged(loss, params, x, y, inner_lr):
    return mean(_ways(loss, params, x.swapaxes(0, 1), y.swapaxes(0, 1), inner_lr))


@wrong_answer("11.reptile", says="K steps are taken on every mini-batch")
def k_steps_each(loss, params, x, y, inner_lr):
    ways = []
    for xs, ys in each(x, y):
        phi = params
        for bx, by in each(xs, ys):
            phi = ref.adapt(loss, phi, bx, by, inner_lr, len(xs))
        ways.append(_way(params, phi, inner_lr))
    return mean(ways)


@wrong_answer("11.reptile", says="the mini-batches are taken in the wrong order")
def from_the_last(loss, params, x, y, inner_lr):
    return mean(_ways(loss, params, x[:, ::-1], y[:, ::-1], inner_lr))


# ---------------------------------------------------------------- 11.3


def _through(loss, params, rates, sets, inner_steps):
    """The gradient through the inner loop, mean over the tasks."""

    def meta_loss(theta):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, rates, inner_steps), qx, qy)
            for sx, sy, qx, qy in each(*sets)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


def _rates(params, head, inner_lr):
    return {name: inner_lr if name in head else 0.0 for name in params}


def _anil(loss, params, head, sets, inner_lr, inner_steps):
    return _through(loss, params, _rates(params, head, inner_lr), sets, inner_steps)


@wrong_answer("11.anil", says="you have frozen it in the outer loop as well")
def body_frozen_outside(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    def meta_loss(theta):
        held = {n: v if n in head else ref.stop_gradient(v) for n, v in theta.items()}
        losses = [
            loss(
                ref.adapt(loss, held, *task[:2], _rates(params, head, inner_lr), inner_steps),
                *task[2:],
            )
            for task in each(sx, sy, qx, qy)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


@wrong_answer("11.anil", says="the gradient of the head alone comes back")
def head_alone(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slope = _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, inner_steps)
    return {name: slope[name] for name in head}


@wrong_answer("11.anil", says="where the head starts in each task is part of θ")
def head_not_learned(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slope = _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, inner_steps)
    return {n: np.zeros_like(value) if n in head else value for n, value in slope.items()}


@wrong_answer("11.anil", says="this is MAML: the body adapts")
def all_adapts(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    return _through(loss, params, inner_lr, (sx, sy, qx, qy), inner_steps)


@wrong_answer("11.anil", says="the opposite ones adapt")
def body_adapts(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    rates = {name: 0.0 if name in head else inner_lr for name in params}
    return _through(loss, params, rates, (sx, sy, qx, qy), inner_steps)


@wrong_answer("11.anil", says="nothing adapts in this")
def nothing_adapts(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    return mean([ref.grad(loss)(params, *task) for task in each(qx, qy)])


@wrong_answer("11.anil", says="the head's gradient is taken at θ")
def head_slope_at_theta(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slope = _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, inner_steps)
    at_theta = mean([ref.grad(loss)(params, *task) for task in each(qx, qy)])
    return {name: (at_theta if name in head else slope)[name] for name in params}


@wrong_answer("11.anil", says="the body's gradient is taken at θ")
def body_slope_at_theta(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slope = _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, inner_steps)
    at_theta = mean([ref.grad(loss)(params, *task) for task in each(qx, qy)])
    return {name: (slope if name in head else at_theta)[name] for name in params}


@wrong_answer("11.anil", says="this is first order throughout")
def anil_first_order(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    rates = _rates(params, head, inner_lr)
    return mean(_slopes(loss, params, sx, sy, qx, qy, rates, inner_steps))


@wrong_answer("11.anil", says="takes the adapted head for a constant")
def body_given_the_head(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slope = _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, inner_steps)
    rates = _rates(params, head, inner_lr)
    direct = mean(_slopes(loss, params, sx, sy, qx, qy, rates, inner_steps))
    return {name: (slope if name in head else direct)[name] for name in params}


@wrong_answer("11.anil", says="the body is put back at the end")
def put_back(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    def meta_loss(theta):
        losses = []
        for task in each(sx, sy, qx, qy):
            phi = ref.adapt(loss, theta, *task[:2], inner_lr, inner_steps)
            phi = {name: phi[name] if name in head else theta[name] for name in theta}
            losses.append(loss(phi, *task[2:]))
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


@wrong_answer("11.anil", says="this is the sum over the tasks")
def anil_summed(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slope = _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, inner_steps)
    return {name: len(sx) * value for name, value in slope.items()}


@wrong_answer("11.anil", says="this is the last task alone")
def anil_last_task(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    sets = [part[-1:] for part in (sx, sy, qx, qy)]
    return _anil(loss, params, head, sets, inner_lr, inner_steps)


@wrong_answer("11.anil", says="there is one inner step only")
def anil_single_step(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    return _anil(loss, params, head, (sx, sy, qx, qy), inner_lr, 1)


@wrong_answer("11.anil", says="this judges φ on its own support set")
def anil_on_support(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    return _anil(loss, params, head, (sx, sy, sx, sy), inner_lr, inner_steps)


@wrong_answer("11.anil", says="support and query have changed places")
def anil_swapped(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    return _anil(loss, params, head, (qx, qy, sx, sy), inner_lr, inner_steps)


@wrong_answer("11.anil", says="nothing depends on the argument of your meta-loss")
def adapted_from_outside(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    def meta_loss(theta):
        losses = []
        for task in each(sx, sy, qx, qy):
            rates = _rates(params, head, inner_lr)
            phi = ref.adapt(loss, params, *task[:2], rates, inner_steps)  # params, not theta
            losses.append(loss(phi, *task[2:]))
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


@wrong_answer("11.anil", says="the names w2 and b2 are built into yours")
def built_in_names(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    return _anil(loss, params, ["w2", "b2"], (sx, sy, qx, qy), inner_lr, inner_steps)


@wrong_answer("11.anil", says="take [1] of it")
def anil_with_the_loss(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    rates = _rates(params, head, inner_lr)
    return ref.meta_gradient(loss, params, TaskBatch(sx, sy, qx, qy), rates, inner_steps)


# ---------------------------------------------------------------- 11.4


def _parts(loss, params, rates, *sets):
    """Per task (g, φ, v)."""
    parts = []
    for sx, sy, qx, qy in each(*sets):
        g = ref.grad(loss)(params, sx, sy)
        phi = {name: params[name] - rates[name] * g[name] for name in params}
        parts.append((g, phi, ref.grad(loss)(phi, qx, qy)))
    return parts


def _d_theta(loss, params, rates, *sets):
    """The right gradient of θ: v − H (α ∘ v), mean over the tasks."""
    slopes = []
    for (_, _, v), (sx, sy) in zip(
        _parts(loss, params, rates, *sets), each(*sets[:2]), strict=True
    ):
        scaled = {name: rates[name] * v[name] for name in v}
        hv = ref.hvp(lambda p, sx=sx, sy=sy: loss(p, sx, sy), params, scaled)
        slopes.append({name: v[name] - hv[name] for name in v})
    return mean(slopes)


def _d_rates(loss, params, rates, *sets):
    parts = _parts(loss, params, rates, *sets)
    return mean([{name: -g[name] * v[name] for name in g} for g, _, v in parts])


@wrong_answer("11.meta_sgd", says="the minus is missing")
def rates_uphill(loss, params, rates, *sets):
    d_rates = {name: -value for name, value in _d_rates(loss, params, rates, *sets).items()}
    return _d_theta(loss, params, rates, *sets), d_rates


@wrong_answer("11.meta_sgd", says="yours has only the query slope")
def no_support_slope(loss, params, rates, *sets):
    parts = _parts(loss, params, rates, *sets)
    return _d_theta(loss, params, rates, *sets), mean([{n: -v[n] for n in v} for _, _, v in parts])


@wrong_answer("11.meta_sgd", says="forgets g and the minus")
def query_slope_for_the_rates(loss, params, rates, *sets):
    parts = _parts(loss, params, rates, *sets)
    return _d_theta(loss, params, rates, *sets), mean([v for _, _, v in parts])


@wrong_answer("11.meta_sgd", says="has no query slope in it")
def no_query_slope(loss, params, rates, *sets):
    parts = _parts(loss, params, rates, *sets)
    return _d_theta(loss, params, rates, *sets), mean([{n: -g[n] for n in g} for g, _, _ in parts])


@wrong_answer("11.meta_sgd", says="the rates' gradient takes g at φ")
def support_slope_at_phi(loss, params, rates, *sets):
    found = []
    for (_, phi, v), (sx, sy) in zip(
        _parts(loss, params, rates, *sets), each(*sets[:2]), strict=True
    ):
        g = ref.grad(loss)(phi, sx, sy)
        found.append({name: -g[name] * v[name] for name in g})
    return _d_theta(loss, params, rates, *sets), mean(found)


@wrong_answer("11.meta_sgd", says="takes the query slope at θ")
def query_slope_at_theta(loss, params, rates, *sets):
    found = []
    for sx, sy, qx, qy in each(*sets):
        g, v = ref.grad(loss)(params, sx, sy), ref.grad(loss)(params, qx, qy)
        found.append({name: -g[name] * v[name] for name in g})
    return _d_theta(loss, params, rates, *sets), mean(found)


@wrong_answer("11.meta_sgd", says="takes the support slope twice")
def support_twice(loss, params, rates, *sets):
    found = []
    for (g, phi, _), (sx, sy) in zip(
        _parts(loss, params, rates, *sets), each(*sets[:2]), strict=True
    ):
        v = ref.grad(loss)(phi, sx, sy)
        found.append({name: -g[name] * v[name] for name in g})
    return _d_theta(loss, params, rates, *sets), mean(found)


@wrong_answer("11.meta_sgd", says="multiplies two means")
def product_of_means(loss, params, rates, *sets):
    parts = _parts(loss, params, rates, *sets)
    g, v = (mean([part[place] for part in parts]) for place in (0, 2))
    return _d_theta(loss, params, rates, *sets), {name: -g[name] * v[name] for name in g}


@wrong_answer("11.meta_sgd", says="with respect to log α")
def logarithmic(loss, params, rates, *sets):
    d_rates = _d_rates(loss, params, rates, *sets)
    return _d_theta(loss, params, rates, *sets), {n: rates[n] * d_rates[n] for n in rates}


@wrong_answer("11.meta_sgd", says="one number per parameter")
def scalar_products(loss, params, rates, *sets):
    d_rates = _d_rates(loss, params, rates, *sets)
    return _d_theta(loss, params, rates, *sets), {n: np.sum(d_rates[n]) for n in rates}


@wrong_answer("11.meta_sgd", says="the gradient of θ is first order")
def theta_first_order(loss, params, rates, *sets):
    parts = _parts(loss, params, rates, *sets)
    return mean([v for _, _, v in parts]), _d_rates(loss, params, rates, *sets)


def _by_hand(loss, params, rates, sets, product):
    """v − product(Hessian times, v), mean over the tasks."""
    slopes = []
    for (_, _, v), (sx, sy) in zip(
        _parts(loss, params, rates, *sets), each(*sets[:2]), strict=True
    ):
        times = lambda u, sx=sx, sy=sy: ref.hvp(lambda p: loss(p, sx, sy), params, u)
        bent = product(times, v)
        slopes.append({name: v[name] - bent[name] for name in v})
    return mean(slopes)


@wrong_answer("11.meta_sgd", says="the rates stand on the wrong side")
def rates_after_the_hessian(loss, params, rates, *sets):
    def product(times, v):
        hv = times(v)
        return {name: rates[name] * hv[name] for name in hv}

    return _by_hand(loss, params, rates, sets, product), _d_rates(loss, params, rates, *sets)


@wrong_answer("11.meta_sgd", says="has a plus where the step goes downhill")
def plus_for_minus(loss, params, rates, *sets):
    product = lambda times, v: times({name: -rates[name] * v[name] for name in v})
    return _by_hand(loss, params, rates, sets, product), _d_rates(loss, params, rates, *sets)


@wrong_answer("11.meta_sgd", says="takes the mean of the rates")
def mean_rate(loss, params, rates, *sets):
    rate = np.mean(np.concatenate([np.ravel(value) for value in rates.values()]))
    product = lambda times, v: times({name: rate * v[name] for name in v})
    return _by_hand(loss, params, rates, sets, product), _d_rates(loss, params, rates, *sets)


@wrong_answer("11.meta_sgd", says="the gradient of θ is a sum over the tasks")
def meta_sgd_summed(loss, params, rates, *sets):
    both = _d_theta(loss, params, rates, *sets), _d_rates(loss, params, rates, *sets)
    return tuple({name: len(sets[0]) * part[name] for name in part} for part in both)


@wrong_answer("11.meta_sgd", says="the two come in the wrong order")
def rates_first(loss, params, rates, *sets):
    return _d_rates(loss, params, rates, *sets), _d_theta(loss, params, rates, *sets)


@wrong_answer("11.meta_sgd", says="support and query have changed places")
def meta_sgd_swapped(loss, params, rates, support_x, support_y, query_x, query_y):
    sets = query_x, query_y, support_x, support_y
    return _d_theta(loss, params, rates, *sets), _d_rates(loss, params, rates, *sets)


@wrong_answer("11.meta_sgd", says="nothing depends on the θ in the argument")
def theta_from_outside(loss, params, rates, *sets):
    def meta_loss(both):
        _, alpha = both
        losses = [
            loss(ref.adapt(loss, params, sx, sy, alpha, 1), qx, qy)
            for sx, sy, qx, qy in each(*sets)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)((params, rates))


@wrong_answer("11.meta_sgd", says="nothing depends on the rates in the argument")
def rates_from_outside(loss, params, rates, *sets):
    def meta_loss(both):
        theta, _ = both
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, rates, 1), qx, qy) for sx, sy, qx, qy in each(*sets)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)((params, rates))


@wrong_answer("11.meta_sgd", says="it also goes through the support slope")
def first_order_and_sign(loss, params, rates, *sets):
    """Two slips at once: θ's is told first, and the sign of the rates when θ's is right."""
    parts = _parts(loss, params, rates, *sets)
    return mean([v for _, _, v in parts]), rates_uphill(loss, params, rates, *sets)[1]


@wrong_answer("11.meta_sgd", says="the rates' gradient is a sum over the tasks")
def rates_summed(loss, params, rates, *sets):
    d_rates = _d_rates(loss, params, rates, *sets)
    return _d_theta(loss, params, rates, *sets), {n: len(sets[0]) * v for n, v in d_rates.items()}


@wrong_answer("11.meta_sgd", says="only the gradient of θ comes back")
def theta_alone(loss, params, rates, *sets):
    return _d_theta(loss, params, rates, *sets)


@wrong_answer("11.meta_sgd", says="that of the first task alone")
def meta_sgd_first_task(loss, params, rates, *sets):
    first = [part[:1] for part in sets]
    return _d_theta(loss, params, rates, *first), _d_rates(loss, params, rates, *first)


# ---------------------------------------------------------------- 11.5


def _weights(share, iteration, until, steps, floor=0.03):
    if iteration >= until:
        return np.array([0.0] * steps + [1.0])
    others = max(share, floor) / steps
    return np.array([0.0, *[others] * (steps - 1), 1 - (steps - 1) * others])


@wrong_answer("11.multi_step_weights", says="annealed the wrong way round")
def rising(iteration, until, inner_steps):
    return _weights(iteration / until, iteration, until, inner_steps)


@wrong_answer("11.multi_step_weights", says="they do not sum to one")
def last_one_waits(iteration, until, inner_steps):
    weights = _weights(1 - iteration / until, iteration, until, inner_steps)
    if iteration < until:
        weights[-1] = 1 / inner_steps
    return weights


@wrong_answer("11.multi_step_weights", says="the last weight is one from the start")
def last_one_is_one(iteration, until, inner_steps):
    weights = _weights(1 - iteration / until, iteration, until, inner_steps)
    weights[-1] = 1.0
    return weights


@wrong_answer("11.multi_step_weights", says="φ_0 counts in yours")
def start_counts(iteration, until, inner_steps):
    if iteration >= until:
        return np.array([0.0] * inner_steps + [1.0])
    others = max(1 - iteration / until, 0.03) / (inner_steps + 1)
    return np.array([others] * inner_steps + [1 - inner_steps * others])


@wrong_answer("11.multi_step_weights", says="the first place is missing")
def without_the_start(iteration, until, inner_steps):
    return _weights(1 - iteration / until, iteration, until, inner_steps)[1:]


@wrong_answer("11.multi_step_weights", says="the floor is missing")
def no_floor(iteration, until, inner_steps):
    return _weights(1 - iteration / until, iteration, until, inner_steps, floor=0.0)


@wrong_answer("11.multi_step_weights", says="the floor is 0.03/K; yours is 0.03")
def high_floor(iteration, until, inner_steps):
    if iteration >= until:
        return np.array([0.0] * inner_steps + [1.0])
    others = max((1 - iteration / until) / inner_steps, 0.03)
    return np.array([0.0, *[others] * (inner_steps - 1), 1 - (inner_steps - 1) * others])


@wrong_answer("11.multi_step_weights", says="leaves the earlier ones on the floor")
def floor_for_ever(iteration, until, inner_steps):
    others = max(1 - iteration / until, 0.03) / inner_steps
    return np.array([0.0, *[others] * (inner_steps - 1), 1 - (inner_steps - 1) * others])


@wrong_answer("11.multi_step_weights", says="≥ and not >")
def one_iteration_late(iteration, until, inner_steps):
    if iteration > until:
        return np.array([0.0] * inner_steps + [1.0])
    return floor_for_ever(iteration, until, inner_steps)


@wrong_answer("11.multi_step_weights", says="nothing is annealed")
def equal_for_ever(iteration, until, inner_steps):
    return np.array([0.0] + [1 / inner_steps] * inner_steps)


@wrong_answer("11.multi_step_weights", says="only the last loss counts in yours")
def plain_maml(iteration, until, inner_steps):
    return np.eye(inner_steps + 1)[-1]


@wrong_answer("11.multi_step_weights", says="let them fall evenly in between")
def a_switch(iteration, until, inner_steps):
    if iteration < until:
        return np.array([0.0] + [1 / inner_steps] * inner_steps)
    return np.eye(inner_steps + 1)[-1]


@wrong_answer("11.multi_step_weights", says="the order is turned round")
def backwards(iteration, until, inner_steps):
    return _weights(1 - iteration / until, iteration, until, inner_steps)[::-1]


@wrong_answer("11.multi_step_weights", says="it is the first step, φ_1, that gets the rest")
def first_step_gets_the_rest(iteration, until, inner_steps):
    weights = _weights(1 - iteration / until, iteration, until, inner_steps)
    return np.concatenate([weights[:1], weights[:0:-1]])


@wrong_answer("11.multi_step_weights", says="a straight line: yours is a parabola")
def parabola(iteration, until, inner_steps):
    return _weights((1 - iteration / until) ** 2, iteration, until, inner_steps)


@wrong_answer("11.multi_step_weights", says="the weights are divided by their sum")
def normalised(iteration, until, inner_steps):
    if iteration >= until:
        return np.eye(inner_steps + 1)[-1]
    others = max(1 - iteration / until, 0.03) / inner_steps
    weights = np.array([0.0, *[others] * (inner_steps - 1), 1 / inner_steps])
    return weights / weights.sum()


@wrong_answer("11.multi_step_weights", says="your line is too steep")
def steep(iteration, until, inner_steps):
    if iteration >= until:
        return np.eye(inner_steps + 1)[-1]
    others = max(1 / inner_steps - iteration / until, 0.03 / inner_steps)
    return np.array([0.0, *[others] * (inner_steps - 1), 1 - (inner_steps - 1) * others])


@wrong_answer("11.multi_step_weights", says="your line reaches the floor at iteration `until`")
def down_to_the_floor(iteration, until, inner_steps):
    share = 1 + (0.03 - 1) * iteration / until
    return _weights(share, iteration, until, inner_steps)


# ---------------------------------------------------------------- 11.6


def _flat(params):
    return np.concatenate([np.ravel(value) for value in params.values()])


def _like(vector, params):
    made, first = {}, 0
    for name, value in params.items():
        made[name] = vector[first : first + value.size].reshape(value.shape)
        first += value.size
    return made


def _hessian(loss, params, x, y):
    f = lambda p: loss(p, x, y)
    columns = np.eye(_flat(params).size)
    return np.array([_flat(ref.hvp(f, params, _like(e, params))) for e in columns]).T


def _solve(matrix, v, params):
    return _like(np.linalg.solve(matrix, v), params)


def _system(loss, phi, support_x, support_y, query_x, query_y):
    """(I, H, v) at φ."""
    h = _hessian(loss, phi, support_x, support_y)
    return np.eye(len(h)), h, _flat(ref.grad(loss)(phi, query_x, query_y))


@wrong_answer("11.implicit", says="this is the query slope at φ, first order")
def not_solved(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    return ref.grad(loss)(phi, query_x, query_y)


@wrong_answer("11.implicit", says="the first two terms of the series")
def one_neumann_term(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    v = ref.grad(loss)(phi, query_x, query_y)
    hv = ref.hvp(lambda p: loss(p, support_x, support_y), phi, v)
    return {name: v[name] - hv[name] / strength for name in v}


@wrong_answer("11.implicit", says="not multiplied by")
def multiplied(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    v = ref.grad(loss)(phi, query_x, query_y)
    hv = ref.hvp(lambda p: loss(p, support_x, support_y), phi, v)
    return {name: v[name] + hv[name] / strength for name in v}


@wrong_answer("11.implicit", says="H is taken at θ: the optimality")
def hessian_at_theta(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    h = _hessian(loss, params, support_x, support_y)
    v = _flat(ref.grad(loss)(phi, query_x, query_y))
    return _solve(np.eye(len(h)) + h / strength, v, phi)


@wrong_answer("11.implicit", says="the query slope is taken at θ")
def query_slope_at_the_start(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    h = _hessian(loss, phi, support_x, support_y)
    v = _flat(ref.grad(loss)(params, query_x, query_y))
    return _solve(np.eye(len(h)) + h / strength, v, phi)


@wrong_answer("11.implicit", says="H and the query slope are both taken at θ")
def all_at_theta(loss, params, phi, *rest):
    *sets, strength = rest
    one, h, v = _system(loss, params, *sets)
    return _solve(one + h / strength, v, phi)


@wrong_answer("11.implicit", says="H is that of the query loss")
def hessian_of_the_query(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    one, h, v = _system(loss, phi, query_x, query_y, query_x, query_y)
    return _solve(one + h / strength, v, phi)


@wrong_answer("11.implicit", says="the right-hand side is the slope of the support loss")
def slope_of_the_support(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    one, h, v = _system(loss, phi, support_x, support_y, support_x, support_y)
    return _solve(one + h / strength, v, phi)


@wrong_answer("11.implicit", says="this solves with I + λH")
def lambda_times_h(loss, params, phi, *rest):
    *sets, strength = rest
    one, h, v = _system(loss, phi, *sets)
    return _solve(one + strength * h, v, phi)


@wrong_answer("11.implicit", says="forgets the λ on the other side")
def lambda_i_plus_h(loss, params, phi, *rest):
    *sets, strength = rest
    one, h, v = _system(loss, phi, *sets)
    return _solve(strength * one + h, v, phi)


@wrong_answer("11.implicit", says="λ is missing: this solves with I + H")
def without_lambda(loss, params, phi, *rest):
    one, h, v = _system(loss, phi, *rest[:-1])
    return _solve(one + h, v, phi)


@wrong_answer("11.implicit", says="the identity is missing")
def without_the_identity(loss, params, phi, *rest):
    *sets, strength = rest
    _, h, v = _system(loss, phi, *sets)
    return _solve(h / strength, v, phi)


@wrong_answer("11.implicit", says="the sign of H")
def minus_h(loss, params, phi, *rest):
    *sets, strength = rest
    one, h, v = _system(loss, phi, *sets)
    return _solve(one - h / strength, v, phi)


@wrong_answer("11.implicit", says="the pull back to θ is counted twice")
def pull_counted_twice(loss, params, phi, support_x, support_y, query_x, query_y, strength):
    def inner(p):
        away = sum(np.sum((p[name] - params[name]) ** 2) for name in p)
        return loss(p, support_x, support_y) + strength / 2 * away

    basis = np.eye(_flat(phi).size)
    h = np.array([_flat(ref.hvp(inner, phi, _like(e, phi))) for e in basis]).T
    v = _flat(ref.grad(loss)(phi, query_x, query_y))
    return _solve(np.eye(len(h)) + h / strength, v, phi)


@wrong_answer("11.implicit", says="only the diagonal of H is in this")
def diagonal(loss, params, phi, *rest):
    *sets, strength = rest
    _, h, v = _system(loss, phi, *sets)
    return _like(v / (1 + np.diag(h) / strength), phi)


@wrong_answer("11.implicit", says="each parameter is solved for on its own")
def name_by_name(loss, params, phi, *rest):
    *sets, strength = rest
    _, h, v = _system(loss, phi, *sets)
    solution, first = np.zeros_like(v), 0
    for value in phi.values():
        own = slice(first, first + value.size)
        solution[own] = np.linalg.solve(np.eye(value.size) + h[own, own] / strength, v[own])
        first += value.size
    return _like(solution, phi)


def _conjugate(loss, phi, rest, rounds, start=0.0, forgetful=False):
    """Conjugate gradients; forgetful: the first residual is v wherever it starts."""
    *sets, strength = rest
    one, h, v = _system(loss, phi, *sets)
    matrix, x = one + h / strength, start * v
    residual = v if forgetful else v - matrix @ x
    direction = residual
    for _ in range(rounds):
        image, before = matrix @ direction, residual @ residual
        if before < 1e-26 * (v @ v):
            break
        x = x + before / (direction @ image) * direction
        residual = residual - before / (direction @ image) * image
        direction = residual + residual @ residual / before * direction
    return _like(x, phi)


@wrong_answer("11.implicit", says="after one step, started at zero")
def one_round(loss, params, phi, *rest):
    return _conjugate(loss, phi, rest, 1)


@wrong_answer("11.implicit", says="after one step, started at v")
def one_round_from_v(loss, params, phi, *rest):
    return _conjugate(loss, phi, rest, 1, start=1.0)


@wrong_answer("11.implicit", says="after five steps, started at zero")
def five_rounds(loss, params, phi, *rest):
    return _conjugate(loss, phi, rest, 5)


@wrong_answer("11.implicit", says="after five steps, started at v")
def five_rounds_from_v(loss, params, phi, *rest):
    return _conjugate(loss, phi, rest, 5, start=1.0)


@wrong_answer("11.implicit", says="the solution has v added to it")
def wrong_first_residual(loss, params, phi, *rest):
    return _conjugate(loss, phi, rest, 60, start=1.0, forgetful=True)


def _fifteen(loss, phi, rest, share, late=False, rounds=15, stops=True):
    """The rounds as the text has them, on dicts; share(new r·r, old r·r): of the old p in the new one."""
    support_x, support_y, query_x, query_y, strength = rest
    dot = lambda a, b: sum(np.sum(a[name] * b[name]) for name in a)
    plus = lambda a, factor, b: {name: a[name] + factor * b[name] for name in a}
    x = {name: 0.0 * value for name, value in phi.items()}
    r = p = v = ref.grad(loss)(phi, query_x, query_y)
    for _ in range(rounds):
        if stops and dot(r, r) < 1e-22 * dot(v, v):
            break
        hp = ref.hvp(lambda q: loss(q, support_x, support_y), phi, p)
        image = plus(p, 1 / strength, hp)
        s = dot(r, r) / dot(p, image)
        new, old = plus(r, -s, image), p
        p = plus(new, share(dot(new, new), dot(r, r)), p)
        x, r = plus(x, s, p if late else old), new
    return x


@wrong_answer("11.implicit", says="r was overwritten before the quotient was taken")
def overwritten(loss, params, phi, *rest):
    return _fifteen(loss, phi, rest, lambda new, old: new / new)


@wrong_answer("11.implicit", says="the quotient is upside down")
def upside_down(loss, params, phi, *rest):
    return _fifteen(loss, phi, rest, lambda new, old: old / new)


@wrong_answer("11.implicit", says="the quotient is that of the norms")
def quotient_of_norms(loss, params, phi, *rest):
    return _fifteen(loss, phi, rest, lambda new, old: (new / old) ** 0.5)


@wrong_answer("11.implicit", says="in the new direction the old one is subtracted")
def old_one_subtracted(loss, params, phi, *rest):
    return _fifteen(loss, phi, rest, lambda new, old: -new / old)


@wrong_answer("11.implicit", says="which is steepest descent")
def steepest_descent(loss, params, phi, *rest):
    return _fifteen(loss, phi, rest, lambda new, old: 0.0)


@wrong_answer("11.implicit", says="x moves along the new direction")
def moved_late(loss, params, phi, *rest):
    return _fifteen(loss, phi, rest, lambda new, old: new / old, late=True)


@wrong_answer("11.implicit", says="0/0 is NaN: stop first")
def never_stopped(loss, params, phi, *rest):
    with np.errstate(all="ignore"):
        return _fifteen(loss, phi, rest, lambda new, old: new / old, rounds=300, stops=False)


# ---------------------------------------------------------------- 11.7


def _terms(loss, params, x, y, pairs=None):
    """(mean slope, mean of H_i g_j over these pairs; all ordered ones of different batches if None)."""
    slopes = [ref.grad(loss)(params, *batch) for batch in each(x, y)]
    chosen = pairs or list(itertools.permutations(range(len(x)), 2))
    products = [ref.hvp(lambda p, i=i: loss(p, x[i], y[i]), params, slopes[j]) for i, j in chosen]
    return mean(slopes), mean(products)


def _series(first, second, inner_lr, k, **changed):
    shares = {"MAML": (1, 2 * (k - 1)), "FOMAML": (1, k - 1), "Reptile": (k, k * (k - 1) / 2)}
    return {
        method: {name: a * first[name] - b * inner_lr * second[name] for name in first}
        for method, (a, b) in (shares | changed).items()
    }


@wrong_answer("11.taylor", says="yours has a plus before the second term")
def second_term_added(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), -inner_lr, len(x))


@wrong_answer("11.taylor", says="the second term is missing")
def first_term_only(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), 0.0, len(x))


@wrong_answer("11.taylor", says="α is missing in the second term")
def no_alpha(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), 1.0, len(x))


@wrong_answer("11.taylor", says="Yours has it once")
def maml_once(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), MAML=(1, len(x) - 1))


@wrong_answer("11.taylor", says="FOMAML: it has the second term once per inner step")
def fomaml_twice(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), FOMAML=(1, 2 * (len(x) - 1)))


@wrong_answer("11.taylor", says="have the two changed places?")
def names_swapped(loss, params, x, y, inner_lr):
    series = _series(*_terms(loss, params, x, y), inner_lr, len(x))
    return series | {"MAML": series["FOMAML"], "FOMAML": series["MAML"]}


@wrong_answer("11.taylor", says="without it, it would be joint training")
def fomaml_without(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), FOMAML=(1, 0))


@wrong_answer("11.taylor", says="yours counts k")
def k_inner_steps(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, MAML=(1, 2 * k), FOMAML=(1, k))


@wrong_answer("11.taylor", says="MAML: yours is the lesson's row")
def lessons_rows(loss, params, x, y, inner_lr):
    rows = {"MAML": (1, 2), "FOMAML": (1, 1), "Reptile": (2, 1)}
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), **rows)


@wrong_answer("11.taylor", says="FOMAML: yours is the lesson's row")
def lessons_row_for_fomaml(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), FOMAML=(1, 1))


@wrong_answer("11.taylor", says="Reptile: yours is the lesson's row")
def lessons_row_for_reptile(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), Reptile=(2, 1))


@wrong_answer("11.taylor", says="yours has the second term k times")
def two_read_as_k(loss, params, x, y, inner_lr):
    k = len(x)
    rows = {"MAML": (1, k), "FOMAML": (1, k / 2), "Reptile": (k, k / 2)}
    return _series(*_terms(loss, params, x, y), inner_lr, k, **rows)


@wrong_answer("11.taylor", says="MAML: yours has all k(k − 1) pairs")
def maml_all_pairs(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, MAML=(1, k * (k - 1)))


@wrong_answer("11.taylor", says="FOMAML: yours has all pairs of steps")
def fomaml_all_pairs(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, FOMAML=(1, k * (k - 1) / 2))


@wrong_answer("11.taylor", says="the second term is that of two mini-batches")
def reptile_one_product(loss, params, x, y, inner_lr):
    return _series(*_terms(loss, params, x, y), inner_lr, len(x), Reptile=(len(x), 1))


@wrong_answer("11.taylor", says="Reptile: one step is missing")
def reptile_without_the_last(loss, params, x, y, inner_lr):
    k = len(x)
    shares = k - 1, (k - 1) * (k - 2) / 2
    return _series(*_terms(loss, params, x, y), inner_lr, k, Reptile=shares)


@wrong_answer("11.taylor", says="yours is divided by k")
def reptile_averaged(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, Reptile=(1, (k - 1) / 2))


@wrong_answer("11.taylor", says="yours has the slope once")
def reptile_one_slope(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, Reptile=(1, k * (k - 1) / 2))


@wrong_answer("11.taylor", says="and yours has k(k − 1)")
def reptile_all_pairs(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, Reptile=(k, k * (k - 1)))


@wrong_answer("11.taylor", says="yours k − 1")
def reptile_last_step_only(loss, params, x, y, inner_lr):
    k = len(x)
    return _series(*_terms(loss, params, x, y), inner_lr, k, Reptile=(k, k - 1))


@wrong_answer("11.taylor", says="is your J halved?")
def halved(loss, params, x, y, inner_lr):
    first, second = _terms(loss, params, x, y)
    return _series(first, {name: value / 2 for name, value in second.items()}, inner_lr, len(x))


@wrong_answer("11.taylor", says="the second term is doubled")
def gradient_of_the_inner_product(loss, params, x, y, inner_lr):
    def product(theta, i, j):
        a, b = (ref.grad(loss)(theta, x[n], y[n]) for n in (i, j))
        return sum(np.sum(a[name] * b[name]) for name in a)

    pairs = list(itertools.permutations(range(len(x)), 2))
    second = mean([ref.grad(product)(params, *pair) for pair in pairs])
    return _series(_terms(loss, params, x, y)[0], second, inner_lr, len(x))


@wrong_answer("11.taylor", says="a mini-batch is paired with itself in yours")
def all_pairs(loss, params, x, y, inner_lr):
    pairs = list(itertools.product(range(len(x)), repeat=2))
    return _series(*_terms(loss, params, x, y, pairs), inner_lr, len(x))


@wrong_answer("11.taylor", says="a mini-batch is paired with itself alone")
def own_pairs(loss, params, x, y, inner_lr):
    pairs = [(i, i) for i in range(len(x))]
    return _series(*_terms(loss, params, x, y, pairs), inner_lr, len(x))


@wrong_answer("11.taylor", says="the pairs are taken in one order only")
def one_order(loss, params, x, y, inner_lr):
    pairs = [(i, j) for j, i in itertools.combinations(range(len(x)), 2)]
    return _series(*_terms(loss, params, x, y, pairs), inner_lr, len(x))


@wrong_answer("11.taylor", says="the pairs are summed in yours")
def pairs_summed(loss, params, x, y, inner_lr):
    first, second = _terms(loss, params, x, y)
    many = len(x) * (len(x) - 1)
    return _series(first, {n: many * value for n, value in second.items()}, inner_lr, len(x))


@wrong_answer("11.taylor", says="the slopes are summed in yours")
def slopes_summed(loss, params, x, y, inner_lr):
    first, second = _terms(loss, params, x, y)
    return _series({n: len(x) * value for n, value in first.items()}, second, inner_lr, len(x))


def _in_order(loss, params, x, y, inner_lr):
    """The three gradients for the mini-batches in this order."""

    def judged(theta):
        for batch in each(x[:-1], y[:-1]):
            theta = ref.adapt(loss, theta, *batch, inner_lr, 1)
        return loss(theta, x[-1], y[-1])

    slopes = _walk(loss, params, x, y, inner_lr)[1]
    whole = {name: sum(slope[name] for slope in slopes) for name in params}
    return {"MAML": ref.grad(judged)(params), "FOMAML": slopes[-1], "Reptile": whole}


def _all_orders(loss, params, x, y, inner_lr):
    orders = [list(order) for order in itertools.permutations(range(len(x)))]
    found = [_in_order(loss, params, x[order], y[order], inner_lr) for order in orders]
    return {method: mean([one[method] for one in found]) for method in found[0]}


@wrong_answer("11.taylor", says="this is what really happens")
def all_powers(loss, params, x, y, inner_lr):
    return _all_orders(loss, params, x, y, inner_lr)


# ================================================================ right, and written in an unusual way


@right_answer("11.fomaml", why="through the inner loop, with the slopes stopped")
def slopes_stopped(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    def meta_loss(theta):
        total = 0.0
        for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y):
            phi = theta
            for _ in range(inner_steps):
                phi = stepped(phi, ref.stop_gradient(ref.grad(loss)(phi, sx, sy)), inner_lr)
            total = total + loss(phi, qx, qy) / len(support_x)
        return total

    return ref.grad(meta_loss)(params)


@right_answer("11.fomaml", why="the library's own, with first_order")
def from_the_library(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    def meta_loss(theta):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps, first_order=True), qx, qy)
            for sx, sy, qx, qy in each(support_x, support_y, query_x, query_y)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


@right_answer("11.fomaml", why="the way kept as a sum of slopes, results in float32")
def single_precision(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = support_x, support_y, query_x, query_y
    slope = mean(_slopes(loss, params, *sets, inner_lr, inner_steps))
    return {name: slope[name].astype(np.float32) for name in reversed(list(slope))}


@right_answer("11.reptile", why="the slopes on the way are added up, and nothing is divided")
def slopes_added(loss, params, x, y, inner_lr):
    total = dict.fromkeys(params, 0.0)
    for xs, ys in each(x, y):
        for slope in _walk(loss, params, xs, ys, inner_lr)[1]:
            total = {name: total[name] + slope[name] / len(x) for name in params}
    return total


@right_answer("11.reptile", why="the mean φ first, then the way to it")
def mean_first(loss, params, x, y, inner_lr):
    phi = mean([_walk(loss, params, *task, inner_lr)[0] for task in each(x, y)])
    return {name: (params[name] - phi[name]) / inner_lr for name in params}


@right_answer("11.reptile", why="step by step, all tasks within a step")
def step_by_step(loss, params, x, y, inner_lr):
    phis = [params] * len(x)
    for k in range(x.shape[1]):
        phis = [ref.adapt(loss, phi, x[t, k], y[t, k], inner_lr, 1) for t, phi in enumerate(phis)]
    return mean([{n: (params[n] - phi[n]) / inner_lr for n in params} for phi in phis])


@right_answer("11.anil", why="the library's meta_gradient with a dict of rates, task by task")
def dict_of_rates(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    slopes = [
        _anil(
            loss,
            params,
            head,
            [part[t : t + 1] for part in (sx, sy, qx, qy)],
            inner_lr,
            inner_steps,
        )
        for t in range(len(sx))
    ]
    return mean(slopes)


@right_answer("11.anil", why="the inner slope is taken of a function of the head alone")
def function_of_the_head(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    def meta_loss(theta):
        losses = []
        for task in each(sx, sy, qx, qy):
            fast = {name: theta[name] for name in head}
            for _ in range(inner_steps):
                slope = ref.grad(lambda h: loss({**theta, **h}, *task[:2]))(fast)  # noqa: B023
                fast = stepped(fast, slope, inner_lr)
            losses.append(loss({**theta, **fast}, *task[2:]))
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


@right_answer("11.anil", why="body and head are differentiated one after the other")
def two_gradients(loss, params, head, sx, sy, qx, qy, inner_lr, inner_steps):
    names = {True: list(head), False: [name for name in params if name not in head]}

    def slope_of(part):
        def meta_loss(some):
            theta = {**params, **some}
            losses = [
                loss(
                    ref.adapt(loss, theta, *task[:2], _rates(params, head, inner_lr), inner_steps),
                    *task[2:],
                )
                for task in each(sx, sy, qx, qy)
            ]
            return sum(losses) / len(losses)

        return ref.grad(meta_loss)({name: params[name] for name in names[part]})

    return {**slope_of(True), **slope_of(False)}


@right_answer("11.meta_sgd", why="both gradients by hand, with a Hessian-vector product")
def by_hand(loss, params, rates, *sets):
    return _d_theta(loss, params, rates, *sets), _d_rates(loss, params, rates, *sets)


@right_answer("11.meta_sgd", why="two calls of grad, returned as a list")
def two_calls(loss, params, rates, *sets):
    def meta_loss(theta, alpha):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, alpha, 1), qx, qy) for sx, sy, qx, qy in each(*sets)
        ]
        return sum(losses) / len(losses)

    return [
        ref.grad(lambda theta: meta_loss(theta, rates))(params),
        ref.grad(lambda alpha: meta_loss(params, alpha))(rates),
    ]


@right_answer("11.meta_sgd", why="one dict with keys of its own is differentiated")
def one_dict(loss, params, rates, *sets):
    def meta_loss(both):
        theta = {name: both["θ", name] for name in params}
        alpha = {name: both["α", name] for name in params}
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, alpha, 1), qx, qy) for sx, sy, qx, qy in each(*sets)
        ]
        return sum(losses) / len(losses)

    joined = {("θ", n): v for n, v in params.items()} | {("α", n): v for n, v in rates.items()}
    slope = ref.grad(meta_loss)(joined)
    return {n: slope["θ", n] for n in params}, {n: slope["α", n] for n in params}


@right_answer("11.multi_step_weights", why="a list of Python floats")
def a_list(iteration, until, inner_steps):
    weights = [0.0] * (inner_steps + 1)
    for k in range(1, inner_steps):
        if iteration < until:
            weights[k] = max((until - iteration) / until / inner_steps, 0.03 / inner_steps)
    weights[-1] = 1.0 - sum(weights)
    return weights


@right_answer("11.multi_step_weights", why="equal weights and the last alone, mixed")
def mixed(iteration, until, inner_steps):
    share = max(1 - iteration / until, 0.03) * (iteration < until)
    equal = np.r_[0.0, np.full(inner_steps, 1 / inner_steps)]
    return share * equal + (1 - share) * np.eye(inner_steps + 1)[-1]


@right_answer("11.multi_step_weights", why="float32, clipped")
def clipped(iteration, until, inner_steps):
    weights = np.zeros(inner_steps + 1, np.float32)
    if iteration < until:
        weights[1:-1] = np.clip(1 - iteration / until, 0.03, 1.0) / inner_steps
    weights[-1] = 1 - weights.sum()
    return weights


@right_answer("11.implicit", why="H is formed and the system solved at once")
def dense(loss, params, phi, *rest):
    *sets, strength = rest
    one, h, v = _system(loss, phi, *sets)
    return _solve(one + h / strength, v, phi)


@right_answer(
    "11.implicit", why="conjugate gradients that start at v, with the residual that belongs there"
)
def started_at_v(loss, params, phi, *rest):
    return _conjugate(loss, phi, rest, 60, start=1.0)


@right_answer("11.implicit", why="λ (λI + H)⁻¹, the eigenvectors of H")
def by_eigenvectors(loss, params, phi, *rest):
    *sets, strength = rest
    _, h, v = _system(loss, phi, *sets)
    curvatures, directions = np.linalg.eigh((h + h.T) / 2)
    return _like(directions @ (strength / (strength + curvatures) * (directions.T @ v)), phi)


@right_answer("11.taylor", why="all pairs, less those of a mini-batch with itself")
def all_pairs_less_own(loss, params, x, y, inner_lr):
    k = len(x)
    first, everything = _terms(loss, params, x, y, [(i, j) for i in range(k) for j in range(k)])
    own = _terms(loss, params, x, y, [(i, i) for i in range(k)])[1]
    second = {n: (k * everything[n] - own[n]) / (k - 1) for n in first}
    return _series(first, second, inner_lr, k)


@right_answer("11.taylor", why="as half the gradient of the inner product of two slopes")
def half_the_inner_product(loss, params, x, y, inner_lr):
    def product(theta):
        slopes = [ref.grad(loss)(theta, *batch) for batch in each(x, y)]
        pairs = list(itertools.combinations(slopes, 2))
        return sum(np.sum(a[n] * b[n]) for a, b in pairs for n in a) / len(pairs)

    second = {name: value / 2 for name, value in ref.grad(product)(params).items()}
    return _series(_terms(loss, params, x, y)[0], second, inner_lr, len(x))


@right_answer("11.taylor", why="H_i g_j as a difference of two slopes")
def differences_of_slopes(loss, params, x, y, inner_lr):
    k, far = len(x), 1e-4
    slopes = [ref.grad(loss)(params, *batch) for batch in each(x, y)]
    products = []
    for i, j in itertools.permutations(range(k), 2):
        ahead, behind = (
            ref.grad(loss)(stepped(params, slopes[j], way), x[i], y[i]) for way in (-far, far)
        )
        products.append({n: (ahead[n] - behind[n]) / (2 * far) for n in params})
    return _series(mean(slopes), mean(products), inner_lr, k)
