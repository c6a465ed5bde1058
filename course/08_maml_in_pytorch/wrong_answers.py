"""Wrong answers that learners give to the exercises of chapter 08; each must be caught by its words."""

import torch
from torch.func import grad, grad_and_value, vmap

from maml_edu.checks.exercise import wrong_answer


def leaves(params):
    return {name: value.detach().requires_grad_() for name, value in params.items()}


def slopes(value, params, **how):
    return dict(zip(params, torch.autograd.grad(value, list(params.values()), **how), strict=True))


def moved(params, slope, rate):
    return {name: params[name] - rate * slope[name] for name in params}


def dot(weights, phi):
    return sum((weights[name] * phi[name]).sum() for name in phi)


# ---------------------------------------------------------------- 08.1


@wrong_answer("08.inner_step", says="is just the weights")
def no_create_graph(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params), inner_lr)
    return phi, slopes(dot(weights, phi), params)


@wrong_answer("08.inner_step", says="no way leads back from φ to params")
def phi_of_new_leaves(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    phi = leaves(moved(params, slope, inner_lr))
    found = torch.autograd.grad(dot(weights, phi) + 0 * dot(weights, params), list(params.values()))
    return phi, dict(zip(params, found, strict=True))


@wrong_answer("08.inner_step", says="only the way through the slope")
def in_place_on_the_data(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    phi = {name: params[name].data - inner_lr * slope[name] for name in params}
    return phi, slopes(dot(weights, phi), params)


@wrong_answer("08.inner_step", says="the step goes uphill")
def plus_for_minus(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    phi = moved(params, slope, -inner_lr)
    return phi, slopes(dot(weights, phi), params)


@wrong_answer("08.inner_step", says="inner_lr is missing")
def rate_forgotten(loss, params, x, y, inner_lr, weights):
    phi_of = lambda theta: moved(theta, grad(loss)(theta, x, y), 1.0)  # noqa: E731
    return phi_of(params), grad(lambda theta: dot(weights, phi_of(theta)))(params)


# ---------------------------------------------------------------- 08.2


def query_loss(loss, sx, sy, qx, qy, inner_lr, inner_steps):
    def value(theta):
        phi = theta
        for _ in range(inner_steps):
            phi = moved(phi, grad(loss)(phi, sx, sy), inner_lr)
        return loss(phi, qx, qy)

    return value


def value_first(function, params):
    found, value = grad_and_value(function)(params)
    return value, found


@wrong_answer("08.meta_gradient", says="this is the first-order gradient")
def slope_detached(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    params = leaves(params)
    phi = params
    for _ in range(inner_steps):
        phi = moved(phi, slopes(loss(phi, sx, sy), phi), inner_lr)
    value = loss(phi, qx, qy)
    return value, slopes(value, params)


@wrong_answer("08.meta_gradient", says="taken on the support set")
def judged_on_support(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return value_first(query_loss(loss, sx, sy, sx, sy, inner_lr, inner_steps), params)


@wrong_answer("08.meta_gradient", says="takes its slope at θ")
def stale_slope(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    def value(theta):
        phi = theta
        for _ in range(inner_steps):
            phi = moved(phi, grad(loss)(theta, sx, sy), inner_lr)
        return loss(phi, qx, qy)

    return value_first(value, params)


@wrong_answer("08.meta_gradient", says="one inner step only")
def loop_from_theta(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    def value(theta):
        phi = theta
        for _ in range(inner_steps):
            phi = moved(theta, grad(loss)(theta, sx, sy), inner_lr)
        return loss(phi, qx, qy)

    return value_first(value, params)


@wrong_answer("08.meta_gradient", says="value first, then the gradient")
def order_of_grad_and_value(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return grad_and_value(query_loss(loss, sx, sy, qx, qy, inner_lr, inner_steps))(params)


# ---------------------------------------------------------------- 08.3


def per_task(loss, inner_lr):
    def value(theta, sx, sy, qx, qy):
        return loss(moved(theta, grad(loss)(theta, sx, sy), inner_lr), qx, qy)

    return value


SHARED = (None, 0, 0, 0, 0)


@wrong_answer("08.all_tasks", says="of the sum over the tasks")
def sum_over_tasks(loss, params, sx, sy, qx, qy, inner_lr):
    run = vmap(per_task(loss, inner_lr), in_dims=SHARED)
    return run(params, sx, sy, qx, qy), grad(lambda p: run(p, sx, sy, qx, qy).sum())(params)


@wrong_answer("08.all_tasks", says="still has a task axis")
def one_gradient_a_task(loss, params, sx, sy, qx, qy, inner_lr):
    run = vmap(grad_and_value(per_task(loss, inner_lr)), in_dims=SHARED)
    found, losses = run(params, sx, sy, qx, qy)
    return losses, found


@wrong_answer("08.all_tasks", says="all tasks share one φ")
def tasks_in_one_pot(loss, params, sx, sy, qx, qy, inner_lr):
    def losses(theta):
        slope = grad(loss)(theta, sx.flatten(0, 1), sy.flatten(0, 1))
        return vmap(loss, in_dims=(None, 0, 0))(moved(theta, slope, inner_lr), qx, qy)

    return losses(params), grad(lambda theta: losses(theta).mean())(params)


@wrong_answer("08.all_tasks", says="the gradient is the first-order one")
def slope_cut_in_vmap(loss, params, sx, sy, qx, qy, inner_lr):
    def value(theta, sx, sy, qx, qy):
        slope = {name: g.detach() for name, g in grad(loss)(theta, sx, sy).items()}
        return loss(moved(theta, slope, inner_lr), qx, qy)

    run = vmap(value, in_dims=SHARED)
    return run(params, sx, sy, qx, qy), grad(lambda p: run(p, sx, sy, qx, qy).mean())(params)


@wrong_answer("08.all_tasks", says="the first part is the mean loss")
def mean_for_losses(loss, params, sx, sy, qx, qy, inner_lr):
    run = vmap(per_task(loss, inner_lr), in_dims=SHARED)
    return value_first(lambda p: run(p, sx, sy, qx, qy).mean(), params)


# ---------------------------------------------------------------- 08.4


def loop(loss, params, data, inner_lr, inner_steps, create_graph=True, support=False, mean=True):
    """The exercise's loop, with the repairs that were made."""
    params, total = leaves(params), 0.0
    for sx, sy, qx, qy in zip(*data, strict=True):
        phi = params
        for _ in range(inner_steps):
            slope = slopes(loss(phi, sx, sy), phi, create_graph=create_graph)
            phi = moved(phi, slope, inner_lr)
        total = total + (loss(phi, sx, sy) if support else loss(phi, qx, qy))
    total = total / len(data[0]) if mean else total
    return total, slopes(total, params)


@wrong_answer("08.repaired", says="one bug is left: the inner slope has no graph")
def graph_still_missing(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, create_graph=False)


@wrong_answer("08.repaired", says="one bug is left: the loss after adaptation")
def support_still_judges(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, support=True)


@wrong_answer("08.repaired", says="one bug is left: the tasks are summed")
def still_a_sum(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, mean=False)


@wrong_answer("08.repaired", says="all three bugs are still there")
def as_it_was(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, False, True, False)


@wrong_answer("08.repaired", says="the gradient is still that of the sum")
def only_the_loss_is_divided(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    total, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, mean=False)
    return total / len(sx), found


@wrong_answer("08.repaired", says="φ carries over from task to task")
def phi_set_before_the_loop(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    params, total = leaves(params), 0.0
    phi = params
    for one_sx, one_sy, one_qx, one_qy in zip(sx, sy, qx, qy, strict=True):
        for _ in range(inner_steps):
            slope = slopes(loss(phi, one_sx, one_sy), phi, create_graph=True)
            phi = moved(phi, slope, inner_lr)
        total = total + loss(phi, one_qx, one_qy)
    total = total / len(sx)
    return total, slopes(total, params)
