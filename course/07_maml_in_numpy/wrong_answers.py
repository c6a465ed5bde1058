"""Wrong answers that a learner of chapter 07 might give; each must be caught, and told which it is."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import wrong_answer


def stepped(params, slope, rate):
    return {name: value - rate * slope[name] for name, value in params.items()}


# ---------------------------------------------------------------- 07.1


@wrong_answer("07.inner_loop", says="this takes the slope at θ every time")
def stale_slope(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        slope, phi = ref.grad(loss)(params, x, y), params
        for _ in range(inner_steps):
            phi = stepped(phi, slope, inner_lr)
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="this goes uphill")
def plus_for_minus(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            slope = ref.grad(loss)(phi, x, y)
            phi = {name: value + inner_lr * slope[name] for name, value in phi.items()}
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="one inner step short")
def one_step_short(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(1, inner_steps):
            phi = stepped(phi, ref.grad(loss)(phi, x, y), inner_lr)
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="every step starts at θ again")
def phi_set_in_every_step(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        for _ in range(inner_steps):
            phi = params
            phi = stepped(phi, ref.grad(loss)(phi, x, y), inner_lr)
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="starts where the one before it ended")
def params_rebound(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        for _ in range(inner_steps):
            params = stepped(params, ref.grad(loss)(params, x, y), inner_lr)
        adapted.append(params)
    return adapted


@wrong_answer("07.inner_loop", says="share the same arrays")
def changed_in_place(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = dict(params)  # a new dict, but of the same arrays
        for _ in range(inner_steps):
            slope = ref.grad(loss)(phi, x, y)
            for name in phi:
                phi[name] -= inner_lr * slope[name]
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="this is the last task alone")
def last_task_only(loss, params, support_x, support_y, inner_lr, inner_steps):
    for x, y in zip(support_x, support_y, strict=True):
        phi = ref.adapt(loss, params, x, y, inner_lr, inner_steps)
    return phi


# ---------------------------------------------------------------- 07.2


@wrong_answer("07.outer_loop", says="the query losses are summed")
def summed(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr):
    def meta_loss(theta):
        total = 0.0
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
            phi = ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps)
            total = total + loss(phi, qx, qy)
        return total

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


def slopes_at_phi(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    """(mean of the query slopes at φ, φ of the last task)."""
    slopes = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        slopes.append(ref.grad(loss)(phi, qx, qy))
    return {name: np.mean([slope[name] for slope in slopes], axis=0) for name in params}, phi


@wrong_answer("07.outer_loop", says="this is first-order MAML")
def first_order(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope, _ = slopes_at_phi(loss, params, *sets, inner_lr, inner_steps)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="by a slope at φ")
def phi_moved(loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr):
    sets = (support_x, support_y, query_x, query_y)
    slope, phi = slopes_at_phi(loss, params, *sets, inner_lr, inner_steps)
    return stepped(phi, slope, meta_lr)


@wrong_answer("07.outer_loop", says="the update belongs to θ")
def right_slope_wrong_place(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    phi = ref.adapt(loss, params, support_x[-1], support_y[-1], inner_lr, inner_steps)
    return stepped(phi, slope, meta_lr)


def mean_loss(loss, theta, support_x, support_y, query_x, query_y, inner_lr, inner_steps):
    sets = zip(support_x, support_y, query_x, query_y, strict=True)
    losses = [
        loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps), qx, qy)
        for sx, sy, qx, qy in sets
    ]
    return sum(losses) / len(losses)


@wrong_answer("07.outer_loop", says="this adapts on the query set")
def adapts_on_query(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (query_x, query_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="judges φ on its own support set")
def judged_on_support(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, support_x, support_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="there is no inner loop")
def no_inner_loop(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, 0))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="return θ after the update")
def gradient_for_theta(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    return ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)


@wrong_answer("07.outer_loop", says="nothing moved")
def adapted_outside(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    phis = [
        ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        for sx, sy in zip(support_x, support_y, strict=True)
    ]

    def meta_loss(theta):
        losses = [loss(phi, qx, qy) for phi, qx, qy in zip(phis, query_x, query_y, strict=True)]
        return sum(losses) / len(losses)

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


@wrong_answer("07.outer_loop", says="θ moves after every task")
def updated_after_every_task(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    for task in range(len(support_x)):
        own = slice(task, task + 1)
        sets = (support_x[own], support_y[own], query_x[own], query_y[own])
        slope = ref.grad(
            lambda theta, sets=sets: mean_loss(loss, theta, *sets, inner_lr, inner_steps)
        )
        params = stepped(params, slope(params), meta_lr)
    return params


# ---------------------------------------------------------------- 07.3


@wrong_answer("07.more_steps_at_test", says="the loss before the first step is missing")
def starts_at_one(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi, curve = params, []
        for _ in range(test_steps):
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)
            curve.append(loss(phi, qx, qy))
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="this starts after the first step")
def one_step_ahead(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi, curve = params, []
        for _ in range(test_steps + 1):
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)
            curve.append(loss(phi, qx, qy))
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="the loss after the last step is missing")
def stops_early(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = zip(support_x, support_y, query_x, query_y, strict=True)
    return np.array(
        [
            [
                loss(ref.adapt(loss, params, sx, sy, inner_lr, steps), qx, qy)
                for steps in range(test_steps)
            ]
            for sx, sy, qx, qy in sets
        ]
    )


@wrong_answer("07.more_steps_at_test", says="this is the loss on the support set")
def scored_on_support(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    return np.array(
        [
            [
                loss(ref.adapt(loss, params, sx, sy, inner_lr, steps), sx, sy)
                for steps in range(test_steps + 1)
            ]
            for sx, sy in zip(support_x, support_y, strict=True)
        ]
    )


@wrong_answer("07.more_steps_at_test", says="nobody may learn from the test")
def learns_from_query(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    return np.array(
        [
            [
                loss(ref.adapt(loss, params, qx, qy, inner_lr, steps), qx, qy)
                for steps in range(test_steps + 1)
            ]
            for qx, qy in zip(query_x, query_y, strict=True)
        ]
    )


@wrong_answer("07.more_steps_at_test", says="starts where the last one ended")
def tasks_chained(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        curve = [loss(params, qx, qy)]
        for _ in range(test_steps):
            params = ref.adapt(loss, params, sx, sy, inner_lr, 1)
            curve.append(loss(params, qx, qy))
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="this always starts at params")
def same_step_again(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        curve = [loss(params, qx, qy)]
        for _ in range(test_steps):
            curve.append(loss(ref.adapt(loss, params, sx, sy, inner_lr, 1), qx, qy))
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="rows and columns are exchanged")
def a_row_for_each_step(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    phis, rows = [params] * len(support_x), []
    for step in range(test_steps + 1):
        if step:
            sets = zip(phis, support_x, support_y, strict=True)
            phis = [ref.adapt(loss, phi, sx, sy, inner_lr, 1) for phi, sx, sy in sets]
        rows.append([loss(*one) for one in zip(phis, query_x, query_y, strict=True)])
    return np.array(rows)


# ---------------------------------------------------------------- 07.4


@wrong_answer("07.evaluate", says="the spread of single tasks")
def without_root_n(losses):
    return {"mean": losses.mean(axis=0), "ci95": 1.96 * losses.std(axis=0, ddof=1)}


@wrong_answer("07.evaluate", says="this is the standard deviation")
def standard_deviation(losses):
    return {"mean": losses.mean(axis=0), "ci95": losses.std(axis=0, ddof=1)}


@wrong_answer("07.evaluate", says="this is one standard error")
def one_standard_error(losses):
    error = losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    return {"mean": losses.mean(axis=0), "ci95": error}


@wrong_answer("07.evaluate", says="1.96, not 2")
def two_standard_errors(losses):
    error = losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    return {"mean": losses.mean(axis=0), "ci95": 2 * error}


@wrong_answer("07.evaluate", says="divide by n − 1")
def biased(losses):
    error = losses.std(axis=0) / np.sqrt(len(losses))
    return {"mean": losses.mean(axis=0), "ci95": 1.96 * error}


@wrong_answer("07.evaluate", says="not by n")
def divided_by_n(losses):
    error = losses.std(axis=0, ddof=1) / len(losses)
    return {"mean": losses.mean(axis=0), "ci95": 1.96 * error}


@wrong_answer("07.evaluate", says="this averages over the steps")
def over_the_steps(losses):
    error = losses.std(axis=1, ddof=1) / np.sqrt(losses.shape[1])
    return {"mean": losses.mean(axis=1), "ci95": 1.96 * error}


@wrong_answer("07.evaluate", says="a mean and an interval for each step")
def all_together(losses):
    error = losses.std(ddof=1) / np.sqrt(losses.size)
    return {"mean": losses.mean(), "ci95": 1.96 * error}
