"""Wrong answers that a learner of chapter 07 might give, each to be caught and named; and unusual right ones."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer


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


@wrong_answer("07.inner_loop", says="one inner step too many")
def one_step_too_many(loss, params, support_x, support_y, inner_lr, inner_steps):
    return [
        ref.adapt(loss, params, x, y, inner_lr, inner_steps + 1)
        for x, y in zip(support_x, support_y, strict=True)
    ]


@wrong_answer("07.inner_loop", says="before the slope of the next one is taken")
def half_updated(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = dict(params)
        for _ in range(inner_steps):
            for name in phi:
                phi[name] = phi[name] - inner_lr * ref.grad(loss)(phi, x, y)[name]
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="gradient descent with momentum")
def momentum(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi, speed = params, dict.fromkeys(params, 0.0)
        for _ in range(inner_steps):
            slope = ref.grad(loss)(phi, x, y)
            speed = {name: 0.9 * speed[name] + slope[name] for name in phi}
            phi = stepped(phi, speed, inner_lr)
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="by one slope over the whole batch")
def slope_of_the_batch(loss, params, support_x, support_y, inner_lr, inner_steps):
    phi = params
    for _ in range(inner_steps):
        phi = stepped(phi, ref.grad(loss)(phi, support_x, support_y), inner_lr)
    return [phi for _ in support_x]


@wrong_answer("07.inner_loop", says="this is one φ, adapted to all tasks at once")
def one_phi_for_all(loss, params, support_x, support_y, inner_lr, inner_steps):
    return slope_of_the_batch(loss, params, support_x, support_y, inner_lr, inner_steps)[0]


@wrong_answer("07.inner_loop", says="no step is taken in this")
def result_thrown_away(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            stepped(phi, ref.grad(loss)(phi, x, y), inner_lr)
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="one and the same dict")
def one_dict_refilled(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted, phi = [], {}
    for x, y in zip(support_x, support_y, strict=True):
        phi.update(params)
        for _ in range(inner_steps):
            phi.update(stepped(phi, ref.grad(loss)(phi, x, y), inner_lr))
        adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="this is the first task alone")
def returns_in_the_loop(loss, params, support_x, support_y, inner_lr, inner_steps):
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            phi = stepped(phi, ref.grad(loss)(phi, x, y), inner_lr)
        return phi
    return None


@wrong_answer("07.inner_loop", says="this list has the first task alone")
def returns_the_list_too_early(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        adapted.append(ref.adapt(loss, params, x, y, inner_lr, inner_steps))
        return adapted
    return None


@wrong_answer("07.inner_loop", says="this list has the last task alone")
def appends_after_the_loop(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = ref.adapt(loss, params, x, y, inner_lr, inner_steps)
    adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="a φ for every step of every task")
def appends_in_every_step(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            phi = stepped(phi, ref.grad(loss)(phi, x, y), inner_lr)
            adapted.append(phi)
    return adapted


@wrong_answer("07.inner_loop", says="this is one dict for all tasks")
def one_dict_of_stacks(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = by_sgd(loss, params, support_x, support_y, inner_lr, inner_steps)
    return {name: np.stack([phi[name] for phi in adapted]) for name in params}


@wrong_answer("07.inner_loop", says="a step for each example")
def example_by_example(loss, params, support_x, support_y, inner_lr, inner_steps):
    adapted = []
    for xs, ys in zip(support_x, support_y, strict=True):
        phi = params
        for _ in range(inner_steps):
            for x, y in zip(xs, ys, strict=True):
                phi = stepped(phi, ref.grad(loss)(phi, x[None], y[None]), inner_lr)
        adapted.append(phi)
    return adapted


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


@wrong_answer("07.outer_loop", says="this judges θ on the query sets")
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


@wrong_answer("07.outer_loop", says="θ is moved with inner_lr, α")
def alpha_for_beta(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    return stepped(params, slope, inner_lr)


@wrong_answer("07.outer_loop", says="the rates are swapped")
def rates_swapped(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, meta_lr, inner_steps))(params)
    return stepped(params, slope, inner_lr)


@wrong_answer("07.outer_loop", says="the inner steps are taken with meta_lr")
def beta_inside(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, meta_lr, inner_steps))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="there is one inner step only")
def one_inner_step(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, 1))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="this is the last task alone")
def the_last_task(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    last = [part[-1:] for part in sets]
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *last, inner_lr, inner_steps))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="this is a step of Adam")
def a_step_of_adam(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    return ref.adam(params, slope, lr=meta_lr)[0]


@wrong_answer("07.outer_loop", says="a task starts where the one before it ended")
def tasks_follow_each_other(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)

    def meta_loss(theta):
        total = 0.0
        for sx, sy, qx, qy in zip(*sets, strict=True):
            theta = ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps)
            total = total + loss(theta, qx, qy)
        return total / len(support_x)

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


@wrong_answer("07.outer_loop", says="support and query are swapped")
def sets_swapped(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (query_x, query_y, support_x, support_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    return stepped(params, slope, meta_lr)


@wrong_answer("07.outer_loop", says="this is the first task alone")
def the_first_task(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    def meta_loss(theta):
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
            return loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps), qx, qy)

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


@wrong_answer("07.outer_loop", says="this takes all tasks for one")
def tasks_in_one_heap(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    sx, sy, qx, qy = (part.reshape(-1, part.shape[-1]) for part in sets)
    after = lambda theta: loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps), qx, qy)
    return stepped(params, ref.grad(after)(params), meta_lr)


@wrong_answer("07.outer_loop", says="each task adapts to its own support set")
def one_phi_for_the_batch(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    def meta_loss(theta):
        phi = ref.adapt(loss, theta, support_x, support_y, inner_lr, inner_steps)
        losses = [loss(phi, qx, qy) for qx, qy in zip(query_x, query_y, strict=True)]
        return sum(losses) / len(losses)

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


@wrong_answer("07.outer_loop", says="φ is missing, or computed and not used")
def phi_computed_and_not_used(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    def meta_loss(theta):
        losses = []
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
            phi = ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps)  # noqa: F841
            losses.append(loss(theta, qx, qy))
        return sum(losses) / len(losses)

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


@wrong_answer("07.outer_loop", says="one inner step too many")
def counts_from_zero_to_the_last(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps + 1))
    return stepped(params, slope(params), meta_lr)


@wrong_answer("07.outer_loop", says="one inner step too few")
def counts_from_one(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps - 1))
    return stepped(params, slope(params), meta_lr)


@wrong_answer("07.outer_loop", says="on support and query set together")
def judged_on_both_sets(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    def meta_loss(theta):
        losses = []
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
            phi = ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps)
            losses.append(loss(phi, sx, sy) + loss(phi, qx, qy))
        return sum(losses) / len(losses)

    return stepped(params, ref.grad(meta_loss)(params), meta_lr)


@wrong_answer("07.outer_loop", says="this is the formula of one step")
def formula_of_one_step(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    total = dict.fromkeys(params, 0.0)
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        v = ref.grad(loss)(phi, qx, qy)
        hv = ref.hvp(lambda p, sx=sx, sy=sy: loss(p, sx, sy), params, v)
        total = {n: total[n] + v[n] - inner_lr * hv[n] for n in params}
    return stepped(params, total, meta_lr / len(support_x))


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


@wrong_answer("07.more_steps_at_test", says="rows and columns are swapped")
def a_row_for_each_step(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    phis, rows = [params] * len(support_x), []
    for step in range(test_steps + 1):
        if step:
            sets = zip(phis, support_x, support_y, strict=True)
            phis = [ref.adapt(loss, phi, sx, sy, inner_lr, 1) for phi, sx, sy in sets]
        rows.append([loss(*one) for one in zip(phis, query_x, query_y, strict=True)])
    return np.array(rows)


@wrong_answer("07.more_steps_at_test", says="column k takes k further steps")
def more_and_more_steps(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi, curve = params, []
        for k in range(test_steps + 1):
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, k)
            curve.append(loss(phi, qx, qy))
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="support and query are swapped")
def roles_exchanged(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    return np.array(
        [
            [
                loss(ref.adapt(loss, params, qx, qy, inner_lr, steps), sx, sy)
                for steps in range(test_steps + 1)
            ]
            for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True)
        ]
    )


@wrong_answer("07.more_steps_at_test", says="measured before each step")
def measured_too_early(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        phi, curve = params, [loss(params, qx, qy)]
        for _ in range(test_steps):
            curve.append(loss(phi, qx, qy))
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="the mean comes in 07.4")
def averaged(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return np.array([mean_loss(loss, params, *sets, inner_lr, k) for k in range(test_steps + 1)])


@wrong_answer("07.more_steps_at_test", says="the slope at params every time")
def slope_at_params(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    curves = []
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        slope, phi, curve = ref.grad(loss)(params, sx, sy), params, [loss(params, qx, qy)]
        for _ in range(test_steps):
            phi = stepped(phi, slope, inner_lr)
            curve.append(loss(phi, qx, qy))
        curves.append(curve)
    return np.array(curves)


def two_kinds(first, later, loss, params, sets, inner_lr, test_steps):
    """Column 0 on the set `first`, the others on the set `later` ("support" or "query")."""
    curves = []
    for sx, sy, qx, qy in zip(*sets, strict=True):
        points = {"support": (sx, sy), "query": (qx, qy)}
        phi, curve = params, [loss(params, *points[first])]
        for _ in range(test_steps):
            phi = ref.adapt(loss, phi, sx, sy, inner_lr, 1)
            curve.append(loss(phi, *points[later]))
        curves.append(curve)
    return np.array(curves)


@wrong_answer("07.more_steps_at_test", says="column 0 is the loss on the support set")
def first_on_support(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return two_kinds("support", "query", loss, params, sets, inner_lr, test_steps)


@wrong_answer("07.more_steps_at_test", says="from column 1 on this is the loss on the support set")
def later_on_support(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return two_kinds("query", "support", loss, params, sets, inner_lr, test_steps)


@wrong_answer("07.more_steps_at_test", says="not the least one so far")
def least_so_far(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    curves = two_kinds("query", "query", loss, params, sets, inner_lr, test_steps)
    return np.minimum.accumulate(curves, axis=1)


@wrong_answer("07.more_steps_at_test", says="these losses are sorted")
def sorted_downwards(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return -np.sort(-two_kinds("query", "query", loss, params, sets, inner_lr, test_steps), axis=1)


@wrong_answer("07.more_steps_at_test", says="all tasks share one φ")
def a_slope_for_all(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    phi, columns = params, []
    for _ in range(test_steps + 1):
        columns.append([loss(phi, qx, qy) for qx, qy in zip(query_x, query_y, strict=True)])
        phi = stepped(phi, ref.grad(loss)(phi, support_x, support_y), inner_lr)
    return np.transpose(columns)


@wrong_answer("07.more_steps_at_test", says="this is the first task alone")
def first_curve(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return two_kinds("query", "query", loss, params, sets, inner_lr, test_steps)[0]


@wrong_answer("07.more_steps_at_test", says="these rows are the first task alone")
def returns_after_one(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return two_kinds("query", "query", loss, params, sets, inner_lr, test_steps)[:1]


@wrong_answer("07.more_steps_at_test", says="these rows are the last task alone")
def appends_the_last(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    sets = (support_x, support_y, query_x, query_y)
    return two_kinds("query", "query", loss, params, sets, inner_lr, test_steps)[-1:]


# ---------------------------------------------------------------- 07.4


def skewness(losses, axis=0):
    centred = losses - losses.mean(axis=axis, keepdims=True)
    return np.mean((centred / losses.std(axis=axis, keepdims=True)) ** 3, axis=axis)


def summary(losses, half=None, holds=None):
    """A right answer, but for what is given."""
    n = len(losses)
    if half is None:
        half = 1.96 * losses.std(axis=0, ddof=1) / np.sqrt(n)
    if holds is None:
        holds = n > 25 * skewness(losses) ** 2
    return {"mean": losses.mean(axis=0), "ci95": half, "holds": holds}


@wrong_answer("07.evaluate", says="the spread of single tasks")
def without_root_n(losses):
    return summary(losses, half=1.96 * losses.std(axis=0, ddof=1))


@wrong_answer("07.evaluate", says="is the standard deviation over the tasks")
def standard_deviation(losses):
    return summary(losses, half=losses.std(axis=0, ddof=1))


@wrong_answer("07.evaluate", says="one standard error")
def one_standard_error(losses):
    return summary(losses, half=losses.std(axis=0, ddof=1) / np.sqrt(len(losses)))


@wrong_answer("07.evaluate", says="1.96, not 2")
def two_standard_errors(losses):
    return summary(losses, half=2 * losses.std(axis=0, ddof=1) / np.sqrt(len(losses)))


@wrong_answer("07.evaluate", says="divide by n − 1")
def biased(losses):
    return summary(losses, half=1.96 * losses.std(axis=0) / np.sqrt(len(losses)))


@wrong_answer("07.evaluate", says="not by n")
def divided_by_n(losses):
    return summary(losses, half=1.96 * losses.std(axis=0, ddof=1) / len(losses))


@wrong_answer("07.evaluate", says="this uses the variance")
def variance(losses):
    return summary(losses, half=1.96 * losses.var(axis=0, ddof=1) / np.sqrt(len(losses)))


@wrong_answer("07.evaluate", says="what holds 95 % of the single tasks")
def percentiles(losses):
    low, high = np.percentile(losses, [2.5, 97.5], axis=0)
    return summary(losses, half=(high - low) / 2)


@wrong_answer("07.evaluate", says="this averages over the steps")
def over_the_steps(losses):
    n = losses.shape[1]
    return {
        "mean": losses.mean(axis=1),
        "ci95": 1.96 * losses.std(axis=1, ddof=1) / np.sqrt(n),
        "holds": n > 25 * skewness(losses, axis=1) ** 2,
    }


@wrong_answer("07.evaluate", says="a mean and an interval for each step")
def all_together(losses):
    losses = losses.reshape(-1, 1)
    return {key: value[0] for key, value in summary(losses).items()}


@wrong_answer("07.evaluate", says="takes the square of g")
def g_not_squared(losses):
    return summary(losses, holds=len(losses) > 25 * np.abs(skewness(losses)))


@wrong_answer("07.evaluate", says="is the factor 25 missing")
def factor_forgotten(losses):
    return summary(losses, holds=len(losses) > skewness(losses) ** 2)


@wrong_answer("07.evaluate", says="wrong way round")
def turned_round(losses):
    return summary(losses, holds=len(losses) < 25 * skewness(losses) ** 2)


@wrong_answer("07.evaluate", says="one statement for each step")
def one_for_all(losses):
    every = np.all(len(losses) > 25 * skewness(losses) ** 2)
    return summary(losses, holds=np.full(losses.shape[1], every))


@wrong_answer("07.evaluate", says="holds is one value for all steps together")
def one_value(losses):
    return summary(losses, holds=bool(np.all(len(losses) > 25 * skewness(losses) ** 2)))


@wrong_answer("07.evaluate", says="the mean of the third power")
def fourth_power(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0)
    return summary(losses, holds=len(losses) > 25 * np.mean(z**4, axis=0) ** 2)


@wrong_answer("07.evaluate", says="s_n in the skewness divides by n")
def ddof_in_the_skewness(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0, ddof=1)
    return summary(losses, holds=len(losses) > 25 * np.mean(z**3, axis=0) ** 2)


@wrong_answer("07.evaluate", says="this believes every interval")
def always_believed(losses):
    return summary(losses, holds=np.full(losses.shape[1], True))


@wrong_answer("07.evaluate", says="g is not standardised")
def third_moment(losses):
    third = np.mean((losses - losses.mean(axis=0)) ** 3, axis=0)
    return summary(losses, holds=len(losses) > 25 * third**2)


@wrong_answer("07.evaluate", says="divided by s_n itself")
def power_before_the_division(losses):
    third = np.mean((losses - losses.mean(axis=0)) ** 3 / losses.std(axis=0), axis=0)
    return summary(losses, holds=len(losses) > 25 * third**2)


@wrong_answer("07.evaluate", says="this takes the number of steps")
def n_of_the_steps(losses):
    n = losses.shape[1]
    half = 1.96 * losses.std(axis=0, ddof=1) / np.sqrt(n)
    return summary(losses, half, n > 25 * skewness(losses) ** 2)


@wrong_answer("07.evaluate", says="n in ci95 is the number of tasks")
def n_of_the_steps_in_the_interval(losses):
    return summary(losses, half=1.96 * losses.std(axis=0, ddof=1) / np.sqrt(len(losses[0])))


@wrong_answer("07.evaluate", says="n in the condition is the number of tasks")
def n_of_the_steps_in_the_condition(losses):
    return summary(losses, holds=len(losses[0]) > 25 * skewness(losses) ** 2)


@wrong_answer("07.evaluate", says="this believes every interval of a negative g")
def root_of_the_condition(losses):
    return summary(losses, holds=skewness(losses) < np.sqrt(len(losses)) / 5)


@wrong_answer("07.evaluate", says="a long tail of small losses skews, too")
def negative_g_cut_off(losses):
    return summary(losses, holds=len(losses) > 25 * np.maximum(0, skewness(losses)) ** 2)


@wrong_answer("07.evaluate", says="not g itself")
def g_itself(losses):
    return summary(losses, holds=len(losses) > 25 * skewness(losses))


@wrong_answer("07.evaluate", says="the third power belongs inside the mean")
def cube_of_the_mean(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0)
    return summary(losses, holds=len(losses) > 25 * (np.mean(z, axis=0) ** 3) ** 2)


@wrong_answer("07.evaluate", says="or is g always 0")
def first_power(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0)
    return summary(losses, holds=len(losses) > 25 * np.mean(z, axis=0) ** 2)


@wrong_answer("07.evaluate", says="g is the mean of a second power")
def second_power(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0)
    return summary(losses, holds=len(losses) > 25 * np.mean(z**2, axis=0) ** 2)


@wrong_answer("07.evaluate", says="the factor 25 is squared, too")
def factor_squared(losses):
    return summary(losses, holds=len(losses) > (25 * skewness(losses)) ** 2)


@wrong_answer(
    "07.evaluate",
    says="n in the condition is the number of tasks, the rows; this takes the number of all",
)
def n_of_all_losses_in_the_condition(losses):
    return summary(losses, holds=losses.size > 25 * skewness(losses) ** 2)


@wrong_answer("07.evaluate", says="this takes the number of all losses")
def n_of_all_losses(losses):
    n = losses.size
    half = 1.96 * losses.std(axis=0, ddof=1) / np.sqrt(n)
    return summary(losses, half, n > 25 * skewness(losses) ** 2)


@wrong_answer("07.evaluate", says="so holds is one value: take the mean over the tasks")
def g_without_an_axis(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0)
    return summary(losses, holds=len(losses) > 25 * np.mean(z**3) ** 2)


@wrong_answer("07.evaluate", says="one for all steps: take the mean over the tasks")
def g_without_an_axis_for_each_step(losses):
    z = (losses - losses.mean(axis=0)) / losses.std(axis=0)
    holds = len(losses) > 25 * np.mean(z**3) ** 2
    return summary(losses, holds=np.full(losses.shape[1], holds))


@wrong_answer("07.evaluate", says="thrown together, so holds is one value")
def g_of_all_losses(losses):
    z = (losses - losses.mean()) / losses.std()
    return summary(losses, holds=len(losses) > 25 * np.mean(z**3) ** 2)


@wrong_answer("07.evaluate", says="thrown together, one for all steps")
def g_of_all_losses_for_each_step(losses):
    g = skewness(losses.reshape(-1, 1))
    return summary(losses, holds=np.repeat(len(losses) > 25 * g**2, losses.shape[1]))


# ---------------------------------------------------------------- 07.5


def shares(population, draws, mean=None, median=None):
    """A right answer, but for what is given."""
    if mean is None:
        mean = held_by_mean(population, draws).mean()
    if median is None:
        median = held_by_median(population, draws).mean()
    return {"mean": mean, "median": median}


def held_by_mean(population, draws, factor=1.96, ddof=1):
    tests = population[draws]
    half = factor * tests.std(axis=1, ddof=ddof) / np.sqrt(tests.shape[1])
    return np.abs(tests.mean(axis=1) - population.mean()) <= half


def held_by_median(population, draws):
    tests, k = ends(population, draws)
    median = np.median(population)
    return (tests[:, k - 1] <= median) & (median <= tests[:, -k])


def ends(population, draws):
    n = draws.shape[1]
    return np.sort(population[draws], axis=1), int(n / 2 - 0.98 * np.sqrt(n))


@wrong_answer("07.coverage", says="these are the shares that miss")
def misses(population, draws):
    right = shares(population, draws)
    return {name: 1 - share for name, share in right.items()}


@wrong_answer("07.coverage", says="divide by the number of tests")
def counts(population, draws):
    right = shares(population, draws)
    return {name: share * len(draws) for name, share in right.items()}


@wrong_answer("07.coverage", says="give shares between 0 and 1")
def percentages(population, draws):
    right = shares(population, draws)
    return {name: 100 * share for name, share in right.items()}


@wrong_answer("07.coverage", says="was k rounded up, or the 1 forgotten?")
def column_k(population, draws):
    tests, k = ends(population, draws)
    median = np.median(population)
    holds = (tests[:, k] <= median) & (median <= tests[:, -k - 1])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="was k rounded up")
def k_rounded_up(population, draws):
    n, median = draws.shape[1], np.median(population)
    tests, k = np.sort(population[draws], axis=1), int(np.ceil(n / 2 - 0.98 * np.sqrt(n)))
    holds = (tests[:, k - 1] <= median) & (median <= tests[:, -k])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="the lower end of the median's interval")
def lower_end(population, draws):
    (tests, k), median = ends(population, draws), np.median(population)
    holds = (tests[:, k] <= median) & (median <= tests[:, -k])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="the upper end of the median's interval")
def upper_end(population, draws):
    (tests, k), median = ends(population, draws), np.median(population)
    holds = (tests[:, k - 1] <= median) & (median <= tests[:, -k - 1])
    return shares(population, draws, median=holds.mean())


def without_order(population, draws, tests):
    k, median = ends(population, draws)[1], np.median(population)
    holds = (tests[:, k - 1] <= median) & (median <= tests[:, -k])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="are not sorted")
def never_sorted(population, draws):
    return without_order(population, draws, population[draws])


@wrong_answer("07.coverage", says="sorts along axis 0")
def sorted_over_tests(population, draws):
    return without_order(population, draws, np.sort(population[draws], axis=0))


@wrong_answer("07.coverage", says="all of them thrown together")
def truth_of_the_tests(population, draws):
    (tests, k), n = ends(population, draws), draws.shape[1]
    half = 1.96 * tests.std(axis=1, ddof=1) / np.sqrt(n)
    mean, median = np.abs(tests.mean(axis=1) - tests.mean()) <= half, np.median(tests)
    holds = (tests[:, k - 1] <= median) & (median <= tests[:, -k])
    return shares(population, draws, mean.mean(), holds.mean())


@wrong_answer("07.coverage", says="should contain the median, not the mean")
def mean_in_both(population, draws):
    tests, k = ends(population, draws)
    mean = population.mean()
    holds = (tests[:, k - 1] <= mean) & (mean <= tests[:, -k])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="should contain the mean, not the median")
def median_in_both(population, draws):
    tests, median = population[draws], np.median(population)
    half = 1.96 * tests.std(axis=1, ddof=1) / np.sqrt(tests.shape[1])
    holds = np.abs(tests.mean(axis=1) - median) <= half
    return shares(population, draws, mean=holds.mean())


@wrong_answer("07.coverage", says="the standard deviation for the standard error")
def deviation_for_error(population, draws):
    tests = population[draws]
    holds = np.abs(tests.mean(axis=1) - population.mean()) <= 1.96 * tests.std(axis=1, ddof=1)
    return shares(population, draws, mean=holds.mean())


@wrong_answer("07.coverage", says="divide by n − 1")
def without_ddof(population, draws):
    return shares(population, draws, mean=held_by_mean(population, draws, ddof=0).mean())


@wrong_answer("07.coverage", says="one standard error on each side")
def one_error(population, draws):
    return shares(population, draws, mean=held_by_mean(population, draws, factor=1.0).mean())


@wrong_answer("07.coverage", says="the two shares are swapped")
def shares_exchanged(population, draws):
    right = shares(population, draws)
    return {"mean": right["median"], "median": right["mean"]}


@wrong_answer("07.coverage", says="that of the whole population")
def own_truth(population, draws):
    tests, k = ends(population, draws)
    mean, median = tests.mean(axis=1), np.median(tests, axis=1)
    half = 1.96 * tests.std(axis=1, ddof=1) / np.sqrt(tests.shape[1])
    holds_mean = np.abs(tests.mean(axis=1) - mean) <= half
    holds_median = (tests[:, k - 1] <= median) & (median <= tests[:, -k])
    return shares(population, draws, holds_mean.mean(), holds_median.mean())


def median_with(population, draws, k):
    """A right answer, but for the k of the median's interval."""
    tests, median = np.sort(population[draws], axis=1), np.median(population)
    return shares(
        population, draws, median=np.mean((tests[:, k - 1] <= median) & (median <= tests[:, -k]))
    )


@wrong_answer("07.coverage", says="rounded to the nearest")
def k_to_the_nearest(population, draws):
    n = draws.shape[1]
    return median_with(population, draws, int(np.round(n / 2 - 0.98 * np.sqrt(n))))


@wrong_answer("07.coverage", says="n // 2 rounds too early")
def half_of_n_rounded(population, draws):
    n = draws.shape[1]
    return median_with(population, draws, int(n // 2 - 0.98 * np.sqrt(n)))


@wrong_answer("07.coverage", says="each of the two terms of k is rounded down")
def both_terms_rounded(population, draws):
    n = draws.shape[1]
    return median_with(population, draws, n // 2 - int(0.98 * np.sqrt(n)))


@wrong_answer("07.coverage", says="one place too wide at each end")
def a_place_further_out(population, draws):
    tests, k = ends(population, draws)
    median = np.median(population)
    holds = (tests[:, k - 2] <= median) & (median <= tests[:, -k + 1])
    return shares(population, draws, median=holds.mean())


def about_the_median(population, draws, factor):
    tests = population[draws]
    half = factor * tests.std(axis=1, ddof=1) / np.sqrt(tests.shape[1])
    holds = np.abs(np.median(tests, axis=1) - np.median(population)) <= half
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="is not one about the median")
def median_by_standard_errors(population, draws):
    return about_the_median(population, draws, 1.96)


@wrong_answer("07.coverage", says="one standard error on each side of the median")
def median_by_one_standard_error(population, draws):
    return about_the_median(population, draws, 1.0)


@wrong_answer("07.coverage", says="divide the standard deviation by √n, not by n")
def divided_by_n_itself(population, draws):
    factor = 1.96 / np.sqrt(draws.shape[1])
    return shares(population, draws, mean=held_by_mean(population, draws, factor).mean())


@wrong_answer("07.coverage", says="this takes that of the population")
def spread_of_the_population(population, draws):
    half = 1.96 * population.std() / np.sqrt(draws.shape[1])
    holds = np.abs(population[draws].mean(axis=1) - population.mean()) <= half
    return shares(population, draws, mean=holds.mean())


@wrong_answer("07.coverage", says="this takes the number of tests")
def root_of_the_tests(population, draws):
    tests = population[draws]
    half = 1.96 * tests.std(axis=1, ddof=1) / np.sqrt(len(tests))
    holds = np.abs(tests.mean(axis=1) - population.mean()) <= half
    return shares(population, draws, mean=holds.mean())


@wrong_answer("07.coverage", says="k takes 1.96 √n")
def twice_the_width_in_ranks(population, draws):
    n = draws.shape[1]
    return median_with(population, draws, int(n / 2 - 1.96 * np.sqrt(n)))


@wrong_answer("07.coverage", says="the upper end of the median's interval is one place too far out")
def upper_end_further_out(population, draws):
    (tests, k), median = ends(population, draws), np.median(population)
    holds = (tests[:, k - 1] <= median) & (median <= tests[:, -k + 1])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="the lower end of the median's interval is one place too far out")
def lower_end_further_out(population, draws):
    (tests, k), median = ends(population, draws), np.median(population)
    holds = (tests[:, k - 2] <= median) & (median <= tests[:, -k])
    return shares(population, draws, median=holds.mean())


@wrong_answer("07.coverage", says="the columns of draws for the tests")
def transposed_draws(population, draws):
    return shares(population, draws.T)


# ---------------------------------------------------------------- 07.6


def readings(train, new, **wrong):
    """A right answer, but for what is given."""
    right = {
        "adapts": new["before"] - new["query"],
        "fits_points": new["query"] - new["support"],
        "fits_tasks": new["query"] - train["query"],
        "knows_tasks": new["before"] - train["before"],
    }
    return {**right, **wrong}


@wrong_answer("07.six_curves", says="adapts: on new tasks")
def adapts_on_training_tasks(train, new):
    return readings(train, new, adapts=train["before"] - train["query"])


@wrong_answer("07.six_curves", says="adapts: on points that the step has not seen")
def adapts_on_seen_points(train, new):
    return readings(train, new, adapts=new["before"] - new["support"])


@wrong_answer("07.six_curves", says="fits_points: on new tasks")
def points_of_training_tasks(train, new):
    return readings(train, new, fits_points=train["query"] - train["support"])


@wrong_answer("07.six_curves", says="both after the step")
def points_before_the_step(train, new):
    return readings(train, new, fits_points=new["before"] - new["support"])


@wrong_answer("07.six_curves", says="fits_points: the sign is reversed")
def points_sign(train, new):
    return readings(train, new, fits_points=new["support"] - new["query"])


@wrong_answer("07.six_curves", says="fits_tasks: the success of a step shows")
def tasks_on_support(train, new):
    return readings(train, new, fits_tasks=new["support"] - train["support"])


@wrong_answer("07.six_curves", says="fits_tasks: after the step")
def tasks_before(train, new):
    return readings(train, new, fits_tasks=new["before"] - train["before"])


@wrong_answer("07.six_curves", says="fits_tasks: the sign is reversed")
def tasks_sign(train, new):
    return readings(train, new, fits_tasks=train["query"] - new["query"])


@wrong_answer("07.six_curves", says="a difference of two improvements")
def improvements_compared(train, new):
    gains = [curves["before"] - curves["query"] for curves in (train, new)]
    return readings(train, new, fits_tasks=gains[0] - gains[1])


@wrong_answer("07.six_curves", says="knows_tasks: before it is shown a point")
def known_after(train, new):
    return readings(train, new, knows_tasks=new["query"] - train["query"])


@wrong_answer("07.six_curves", says="both before the step")
def known_against_itself(train, new):
    return readings(train, new, knows_tasks=train["before"] - train["query"])


@wrong_answer("07.six_curves", says="every sign is reversed")
def all_signs(train, new):
    return {key: -value for key, value in readings(train, new).items()}


@wrong_answer("07.six_curves", says="read off the training tasks")
def training_tasks_only(train, new):
    return readings(
        train,
        new,
        adapts=train["before"] - train["query"],
        fits_points=train["query"] - train["support"],
    )


@wrong_answer("07.six_curves", says="adapts: the sign is reversed")
def adapts_sign(train, new):
    return readings(train, new, adapts=new["query"] - new["before"])


@wrong_answer("07.six_curves", says="knows_tasks: the sign is reversed")
def knows_sign(train, new):
    return readings(train, new, knows_tasks=train["before"] - new["before"])


@wrong_answer("07.six_curves", says="fits_tasks and knows_tasks: the signs are reversed")
def training_minus_new(train, new):
    differences = {
        "fits_tasks": train["query"] - new["query"],
        "knows_tasks": train["before"] - new["before"],
    }
    return readings(train, new, **differences)


@wrong_answer("07.six_curves", says="adapts and fits_points and knows_tasks: the signs")
def three_signs(train, new):
    right = readings(train, new)
    return {key: value if key == "fits_tasks" else -value for key, value in right.items()}


@wrong_answer("07.six_curves", says="how much a step helps on the training tasks")
def success_on_training_tasks(train, new):
    return readings(train, new, fits_tasks=train["before"] - train["query"])


@wrong_answer("07.six_curves", says="train and new are swapped")
def train_for_new(train, new):
    return readings(new, train)


@wrong_answer("07.six_curves", says="fits_points and fits_tasks are swapped")
def points_for_tasks(train, new):
    right = readings(train, new)
    return {**right, "fits_points": right["fits_tasks"], "fits_tasks": right["fits_points"]}


@wrong_answer("07.six_curves", says="these are ratios")
def ratios(train, new):
    return {
        "adapts": new["before"] / new["query"],
        "fits_points": new["query"] / new["support"],
        "fits_tasks": new["query"] / train["query"],
        "knows_tasks": new["before"] / train["before"],
    }


# ---------------------------------------------------------------- 07.7


def slopes(net, params, inputs):
    """Name → (points, size): the gradient of each output, parameter by parameter."""
    rows = ref.jacobian(lambda p: net(p, inputs)[:, 0])(params)
    return {name: part.reshape(len(inputs), -1) for name, part in rows.items()}


def kernel_of(net, params, x, support_x, names=None):
    far, near = slopes(net, params, x), slopes(net, params, support_x)
    return sum(far[name] @ near[name].T for name in names or params)


def pulled(net, params, support_x, support_y, inner_lr, kernel):
    residual = net(params, support_x) - support_y
    return {"kernel": kernel, "change": -inner_lr * 2 / len(support_x) * kernel @ residual}


@wrong_answer("07.curve_after_a_step", says="curvature and all")
def a_whole_step(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    loss = lambda p: np.mean((net(p, support_x) - support_y) ** 2)
    phi = stepped(params, ref.grad(loss)(params), inner_lr)
    return {"kernel": kernel, "change": net(phi, x) - net(params, x)}


@wrong_answer("07.curve_after_a_step", says="give the change alone")
def outputs_after(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": net(params, x) + answer["change"]}


@wrong_answer("07.curve_after_a_step", says="has the wrong sign")
def towards_worse(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": -answer["change"]}


@wrong_answer("07.curve_after_a_step", says="lacks the 1/n")
def summed_loss(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": len(support_x) * answer["change"]}


@wrong_answer("07.curve_after_a_step", says="lacks the factor 2")
def half_the_square(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": answer["change"] / 2}


@wrong_answer("07.curve_after_a_step", says="lacks inner_lr")
def no_rate(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": answer["change"] / inner_lr}


@wrong_answer("07.curve_after_a_step", says="should have the shape (points, 1)")
def flat_change(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": answer["change"][:, 0]}


@wrong_answer("07.curve_after_a_step", says="pulls towards 0")
def outputs_for_residuals(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    return pulled(net, params, support_x, 0 * support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="takes the labels alone")
def labels_for_residuals(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    change = inner_lr * 2 / len(support_x) * kernel @ support_y
    return {"kernel": kernel, "change": change}


@wrong_answer("07.curve_after_a_step", says="in place of the residual")
def labels_with_the_residuals_sign(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    return {"kernel": kernel, "change": -inner_lr * 2 / len(support_x) * kernel @ support_y}


@wrong_answer("07.curve_after_a_step", says="the kernel is transposed")
def rows_for_columns(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "kernel": kernel.T}


@wrong_answer("07.curve_after_a_step", says="leaves the biases out")
def without_biases(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x, ["w1", "w2"])
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="that of the last layer alone")
def last_layer(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x, ["w2", "b2"])
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="divided by the lengths of the gradients")
def cosines(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    far = np.hstack(list(slopes(net, params, x).values()))
    near = np.hstack(list(slopes(net, params, support_x).values()))
    lengths = np.linalg.norm(far, axis=1)[:, None] * np.linalg.norm(near, axis=1)
    return {
        **pulled(net, params, support_x, support_y, inner_lr, kernel),
        "kernel": kernel / lengths,
    }


@wrong_answer("07.curve_after_a_step", says="multiply their gradients (the change is right)")
def products_of_outputs(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    outputs = net(params, x) @ net(params, support_x).T
    return {**pulled(net, params, support_x, support_y, inner_lr, kernel), "kernel": outputs}


@wrong_answer("07.curve_after_a_step", says="divided by the number of points x")
def mean_over_the_wrong_points(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    answer = pulled(net, params, support_x, support_y, inner_lr, kernel)
    return {**answer, "change": answer["change"] * len(support_x) / len(x)}


@wrong_answer("07.curve_after_a_step", says="the first array of parameters alone")
def first_array(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x, ["w1"])
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="the last array of parameters alone")
def last_array(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x, ["b2"])
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="that of the first layer alone")
def first_layer(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x, ["w1", "b1"])
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="multiplies outputs")
def products_of_outputs_throughout(net, params, support_x, support_y, inner_lr, x):
    outputs = net(params, x) @ net(params, support_x).T
    return pulled(net, params, support_x, support_y, inner_lr, outputs)


def slope_in_x(net, params, x):
    return ref.grad(lambda points: np.sum(net(params, points)))(x)


@wrong_answer("07.curve_after_a_step", says="multiplies the slopes of f in x")
def slopes_in_x(net, params, support_x, support_y, inner_lr, x):
    kernel = slope_in_x(net, params, x) @ slope_in_x(net, params, support_x).T
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="in θ (the change is right)")
def slopes_in_x_with_the_right_change(net, params, support_x, support_y, inner_lr, x):
    answer = point_by_point(net, params, support_x, support_y, inner_lr, x)
    kernel = slope_in_x(net, params, x) @ slope_in_x(net, params, support_x).T
    return {**answer, "kernel": kernel}


@wrong_answer("07.curve_after_a_step", says="divided by the number of parameters")
def mean_over_parameters(net, params, support_x, support_y, inner_lr, x):
    count = sum(value.size for value in params.values())
    kernel = kernel_of(net, params, x, support_x) / count
    return pulled(net, params, support_x, support_y, inner_lr, kernel)


@wrong_answer("07.curve_after_a_step", says="takes the mean residual for all")
def mean_residual(net, params, support_x, support_y, inner_lr, x):
    kernel = kernel_of(net, params, x, support_x)
    residual = np.mean(net(params, support_x) - support_y)
    return {"kernel": kernel, "change": -2 * inner_lr * residual * kernel.mean(axis=1)[:, None]}


# ---------------------------------------------------------------- unusual, and right


@right_answer("07.inner_loop", why="the library's own step, ref.sgd; and a tuple is a list")
def by_sgd(loss, params, support_x, support_y, inner_lr, inner_steps):
    def walked(x, y):
        phi = params
        for _ in range(inner_steps):
            phi, _ = ref.sgd(phi, ref.grad(loss)(phi, x, y), lr=inner_lr)
        return phi

    return tuple(walked(x, y) for x, y in zip(support_x, support_y, strict=True))


@right_answer("07.inner_loop", why="central differences give the slope to nine digits")
def by_differences(loss, params, support_x, support_y, inner_lr, inner_steps):
    def slope_of(phi, x, y, h=1e-5):
        slope = {name: np.zeros_like(value) for name, value in phi.items()}
        for name, value in phi.items():
            for place in np.ndindex(value.shape):
                bump = np.zeros_like(value)
                bump[place] = h
                up = loss({**phi, name: value + bump}, x, y)
                down = loss({**phi, name: value - bump}, x, y)
                slope[name][place] = (up - down) / (2 * h)
        return slope

    adapted = [params] * len(support_x)
    for _ in range(inner_steps):
        sets = zip(adapted, support_x, support_y, strict=True)
        adapted = [stepped(phi, slope_of(phi, x, y), inner_lr) for phi, x, y in sets]
    return adapted


@right_answer("07.inner_loop", why="one step, then the rest: recursion; lists stand for arrays")
def by_recursion(loss, params, support_x, support_y, inner_lr, inner_steps):
    def walk(phi, x, y, left):
        if left == 0:
            return phi
        return walk(stepped(phi, ref.grad(loss)(phi, x, y), inner_lr), x, y, left - 1)

    adapted = [walk(params, x, y, inner_steps) for x, y in zip(support_x, support_y, strict=True)]
    return [{name: value.tolist() for name, value in phi.items()} for phi in adapted]


@right_answer("07.outer_loop", why="the mean of the tasks' gradients is the gradient of their mean")
def task_by_task(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    total = dict.fromkeys(params, 0.0)
    for task in zip(support_x, support_y, query_x, query_y, strict=True):
        alone = tuple(part[None] for part in task)
        after = lambda theta, alone=alone: mean_loss(loss, theta, *alone, inner_lr, inner_steps)
        slope = ref.grad(after)(params)
        total = {name: total[name] + slope[name] for name in params}
    return stepped(params, total, meta_lr / len(support_x))


@right_answer("07.outer_loop", why="the chain of factors I − αH, last step first (chapter 06)")
def by_hessian_vector_products(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    total = dict.fromkeys(params, 0.0)
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        path = [params]
        for _ in range(inner_steps):
            path.append(ref.adapt(loss, path[-1], sx, sy, inner_lr, 1))
        v = ref.grad(loss)(path.pop(), qx, qy)
        while path:
            phi = path.pop()
            v = stepped(v, ref.hvp(lambda p, sx=sx, sy=sy: loss(p, sx, sy), phi, v), inner_lr)
        total = {name: total[name] + v[name] for name in params}
    return stepped(params, total, meta_lr / len(support_x))


@right_answer(
    "07.outer_loop", why="the parameters of all tasks as one structure; tensors come back"
)
def tensors_come_back(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, inner_steps, meta_lr
):
    import torch

    sets = (support_x, support_y, query_x, query_y)
    slope = ref.grad(lambda theta: mean_loss(loss, theta, *sets, inner_lr, inner_steps))(params)
    return {name: torch.tensor(value) for name, value in stepped(params, slope, meta_lr).items()}


@right_answer("07.more_steps_at_test", why="k steps from θ for every k: slower, the same numbers")
def from_the_start_each_time(
    loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps
):
    counts = range(test_steps + 1)
    return [
        [loss(ref.adapt(loss, params, sx, sy, inner_lr, k), qx, qy) for k in counts]
        for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True)
    ]


@right_answer("07.more_steps_at_test", why="all tasks step together, one column after the other")
def column_by_column(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    phis, columns = [params] * len(support_x), []
    for _ in range(test_steps + 1):
        columns.append([loss(*task) for task in zip(phis, query_x, query_y, strict=True)])
        sets = zip(phis, support_x, support_y, strict=True)
        phis = [stepped(phi, ref.grad(loss)(phi, x, y), inner_lr) for phi, x, y in sets]
    return np.transpose(columns)


@right_answer("07.more_steps_at_test", why="a tensor of the same numbers")
def a_tensor_of_curves(loss, params, support_x, support_y, query_x, query_y, inner_lr, test_steps):
    import torch

    sets = (support_x, support_y, query_x, query_y)
    return torch.tensor(from_the_start_each_time(loss, params, *sets, inner_lr, test_steps))


@right_answer("07.evaluate", why="loops over columns and lists in place of arrays")
def column_after_column(losses):
    answer = {"mean": [], "ci95": [], "holds": []}
    for column in losses.T:
        n, mean = len(column), sum(column) / len(column)
        second = sum((column - mean) ** 2)
        third = sum((column - mean) ** 3) / n / (second / n) ** 1.5
        answer["mean"].append(mean)
        answer["ci95"].append(1.96 * (second / (n - 1) / n) ** 0.5)
        answer["holds"].append(bool(n > 25 * third**2))
    return answer


@right_answer("07.evaluate", why="n / 25 > g², and the third central moment from raw moments")
def from_raw_moments(losses):
    n, mean = len(losses), losses.mean(axis=0)
    variance = (losses**2).mean(axis=0) - mean**2
    third = (losses**3).mean(axis=0) - 3 * mean * (losses**2).mean(axis=0) + 2 * mean**3
    half = 1.96 * np.sqrt(variance / (n - 1))
    return {"mean": mean, "ci95": half, "holds": n / 25 > third**2 / variance**3}


@right_answer("07.evaluate", why="the root of the condition, with the size of g")
def root_with_the_size_of_g(losses):
    return summary(losses, holds=np.abs(skewness(losses)) < np.sqrt(len(losses)) / 5)


@right_answer("07.evaluate", why="tensors, whose std divides by n − 1 by itself")
def by_torch(losses):
    import torch

    values = torch.tensor(losses)
    n, mean = len(values), values.mean(0)
    skew = (((values - mean) / values.std(0, correction=0)) ** 3).mean(0)
    return {"mean": mean, "ci95": 1.96 * values.std(0) / n**0.5, "holds": n > 25 * skew**2}


@right_answer("07.coverage", why="a loop over the tests, counting")
def test_by_test(population, draws):
    held, n = {"mean": 0, "median": 0}, len(draws[0])
    k = int(n / 2 - 0.98 * n**0.5)
    for row in draws:
        test = sorted(population[i] for i in row)
        mean = sum(test) / n
        s = (sum((x - mean) ** 2 for x in test) / (n - 1)) ** 0.5
        held["mean"] += abs(mean - population.mean()) <= 1.96 * s / n**0.5
        held["median"] += test[k - 1] <= np.median(population) <= test[n - k]
    return {name: count / len(draws) for name, count in held.items()}


@right_answer(
    "07.coverage", why="the median lies in the interval if k to n − k losses lie below it"
)
def by_counting_ranks(population, draws):
    n = draws.shape[1]
    k = int(n / 2 - 0.98 * np.sqrt(n))
    below = np.sum(population[draws] < np.median(population), axis=1)
    holds = (k <= below) & (below <= n - k)
    return {"mean": held_by_mean(population, draws).mean(), "median": holds.mean()}


@right_answer("07.coverage", why="NumPy's partition in place of a sort, strict inequalities")
def by_partition(population, draws):
    n = draws.shape[1]
    k = int(n / 2 - 0.98 * np.sqrt(n))
    tests = np.partition(population[draws], (k - 1, n - k), axis=1)
    median = np.median(population)
    holds = (tests[:, k - 1] < median) & (median < tests[:, n - k])
    t = (tests.mean(axis=1) - population.mean()) / tests.std(axis=1, ddof=1) * np.sqrt(n)
    return {"mean": np.mean(np.abs(t) < 1.96), "median": np.mean(holds)}


@right_answer("07.six_curves", why="lists of numbers, in another order")
def lists_in_another_order(train, new):
    pairs = lambda a, b: [x - y for x, y in zip(a, b, strict=True)]
    return {
        "knows_tasks": pairs(new["before"], train["before"]),
        "fits_tasks": pairs(new["query"], train["query"]),
        "fits_points": pairs(new["query"], new["support"]),
        "adapts": pairs(new["before"], new["query"]),
    }


@right_answer("07.six_curves", why="minus the sum of what is taken away")
def by_adding(train, new):
    minus = {where: -curve for where, curve in new.items()}
    return {
        "adapts": np.add(new["before"], minus["query"]),
        "fits_points": np.add(new["query"], minus["support"]),
        "fits_tasks": -(train["query"] + minus["query"]),
        "knows_tasks": -(train["before"] + minus["before"]),
    }


@right_answer("07.six_curves", why="tensors")
def tensors_of_differences(train, new):
    import torch

    old, now = ({k: torch.tensor(v) for k, v in part.items()} for part in (train, new))
    return {
        "adapts": now["before"] - now["query"],
        "fits_points": now["query"] - now["support"],
        "fits_tasks": now["query"] - old["query"],
        "knows_tasks": now["before"] - old["before"],
    }


@right_answer("07.curve_after_a_step", why="one point at a time, with grad alone")
def point_by_point(net, params, support_x, support_y, inner_lr, x):
    slope = lambda point: ref.grad(lambda p: net(p, point[None])[0, 0])(params)
    here, there = [slope(point) for point in x], [slope(point) for point in support_x]
    kernel = np.array([[sum(np.sum(a[k] * b[k]) for k in a) for b in there] for a in here])
    residual = net(params, support_x) - support_y
    return {"kernel": kernel, "change": -2 * inner_lr * np.mean(kernel[:, :, None] * residual, 1)}


@right_answer(
    "07.curve_after_a_step", why="the change as a derivative of the outputs in α, by differences"
)
def change_by_differences(net, params, support_x, support_y, inner_lr, x, h=1e-5):
    loss = lambda p: np.mean((net(p, support_x) - support_y) ** 2)
    slope = ref.grad(loss)(params)
    up, down = net(stepped(params, slope, -h), x), net(stepped(params, slope, h), x)
    kernel = kernel_of(net, params, x, support_x)
    return {"kernel": kernel, "change": inner_lr * (down - up) / (2 * h)}


@right_answer("07.curve_after_a_step", why="the kernel of the network, worked out by hand")
def by_hand(net, params, support_x, support_y, inner_lr, x):
    tall, low = (np.tanh(part @ params["w1"] + params["b1"]) for part in (x, support_x))
    back = params["w2"][:, 0] ** 2
    first = ((1 - tall**2) * back) @ (1 - low**2).T * (x @ support_x.T + 1)
    kernel = tall @ low.T + 1 + first
    residual = net(params, support_x) - support_y
    return {"kernel": kernel, "change": -2 * inner_lr / len(support_x) * kernel @ residual}
