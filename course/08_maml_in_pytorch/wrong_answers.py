"""Answers to the exercises of chapter 08: wrong ones that learners give, each caught by its words, and
unusual ones that are right.
"""

import warnings

import torch
from torch.func import grad, grad_and_value, jvp, vjp, vmap

from maml_edu.checks.exercise import right_answer, wrong_answer


def leaves(params):
    return {name: value.detach().clone().requires_grad_() for name, value in params.items()}


def slopes(value, params, **how):
    return dict(zip(params, torch.autograd.grad(value, list(params.values()), **how), strict=True))


def moved(params, slope, rate):
    return {name: params[name] - rate * slope[name] for name in params}


def dot(weights, phi):
    return sum((weights[name] * phi[name]).sum() for name in phi)


def value_first(function, params):
    found, value = grad_and_value(function)(params)
    return value, found


def constants(tensors):
    return {name: value.detach() for name, value in tensors.items()}


# ---------------------------------------------------------------- 08.1


@wrong_answer("08.inner_step", says="is just the weights")
def no_create_graph(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params), inner_lr)
    return phi, slopes(dot(weights, phi), params)


@wrong_answer("08.inner_step", says="you differentiated with respect to φ")
def differentiated_at_phi(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params, create_graph=True), inner_lr)
    return phi, slopes(dot(weights, phi), phi)


@wrong_answer("08.inner_step", says="φ was written into params")
def written_into_params(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    for name in params:
        params[name].data -= inner_lr * slope[name].detach()
    return params, slopes(dot(weights, params), params)


@wrong_answer("08.inner_step", says="no way leads back from φ to params")
def phi_of_new_leaves(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    phi = leaves(moved(params, slope, inner_lr))
    found = torch.autograd.grad(dot(weights, phi) + 0 * dot(weights, params), list(params.values()))
    return phi, dict(zip(params, found, strict=True))


@wrong_answer("08.inner_step", says="only the way through the slope")
def data_of_params(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    phi = {name: params[name].data - inner_lr * slope[name] for name in params}
    return phi, slopes(dot(weights, phi), params)


@wrong_answer("08.inner_step", says="`through` is −Hw")
def hessian_product_alone(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    product = slopes(dot(weights, slope), params)
    return moved(params, slope, inner_lr), {name: -value for name, value in product.items()}


@wrong_answer("08.inner_step", says="`through` is w − Hw: inner_lr is missing")
def rate_missing_in_the_product(loss, params, x, y, inner_lr, weights):
    slope, product = jvp(lambda p: grad(loss)(p, x, y), (params,), (weights,))
    return moved(params, slope, inner_lr), moved(weights, product, 1.0)


@wrong_answer("08.inner_step", says="the curvature in `through` is that at φ")
def hessian_after_the_step(loss, params, x, y, inner_lr, weights):
    phi = moved(params, grad(loss)(params, x, y), inner_lr)
    _, product = jvp(lambda p: grad(loss)(p, x, y), (phi,), (weights,))
    return phi, moved(weights, product, inner_lr)


@wrong_answer("08.inner_step", says="the right one plus the slope of the loss")
def backward_twice(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    with warnings.catch_warnings(action="ignore"):  # PyTorch warns of the cycle that this makes
        loss(params, x, y).backward(create_graph=True)
    phi = {name: value - inner_lr * value.grad for name, value in params.items()}
    dot(weights, phi).backward()
    return phi, {name: value.grad for name, value in params.items()}


@wrong_answer("08.inner_step", says="the weights plus the slope of the loss")
def backward_twice_without_a_graph(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    loss(params, x, y).backward()
    phi = {name: value - inner_lr * value.grad.clone() for name, value in params.items()}
    dot(weights, phi).backward()
    return phi, {name: value.grad for name, value in params.items()}


@wrong_answer("08.inner_step", says="wrong sign in `through`")
def curvature_added(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    product = slopes(dot(weights, slope), params)
    through = {name: weights[name] + inner_lr * product[name] for name in params}
    return moved(params, slope, inner_lr), through


@wrong_answer("08.inner_step", says="the weights are missing")
def plain_sum(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params, create_graph=True), inner_lr)
    return phi, slopes(sum(value.sum() for value in phi.values()), params)


@wrong_answer("08.inner_step", says="the gradient of the loss at φ")
def loss_at_phi(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params, create_graph=True), inner_lr)
    return phi, slopes(loss(phi, x, y), params)


@wrong_answer("08.inner_step", says="the step goes uphill")
def plus_for_minus(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params, create_graph=True), -inner_lr)
    return phi, slopes(dot(weights, phi), params)


@wrong_answer("08.inner_step", says="inner_lr is missing")
def rate_forgotten(loss, params, x, y, inner_lr, weights):
    phi_of = lambda theta: moved(theta, grad(loss)(theta, x, y), 1.0)
    return phi_of(params), grad(lambda theta: dot(weights, phi_of(theta)))(params)


@wrong_answer("08.inner_step", says="sum of each tensor's *mean*")
def mean_of_each_tensor(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params, create_graph=True), inner_lr)
    return phi, slopes(sum((weights[name] * phi[name]).mean() for name in phi), params)


@wrong_answer("08.inner_step", says="*mean* of weights · φ over all elements")
def mean_of_all_elements(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    phi = moved(params, slopes(loss(params, x, y), params, create_graph=True), inner_lr)
    return phi, slopes(torch.cat([(weights[n] * phi[n]).flatten() for n in phi]).mean(), params)


@right_answer("08.inner_step", why="w − αHw from a Hessian-vector product, forward over reverse")
def hessian_vector_product(loss, params, x, y, inner_lr, weights):
    slope, product = jvp(lambda p: grad(loss)(p, x, y), (params,), (weights,))
    return moved(params, slope, inner_lr), moved(weights, product, inner_lr)


@right_answer("08.inner_step", why="a vector-Jacobian product: torch.func.vjp of the step")
def pulled_back(loss, params, x, y, inner_lr, weights):
    phi, pull_back = vjp(lambda p: moved(p, grad(loss)(p, x, y), inner_lr), params)
    return phi, pull_back(weights)[0]


@right_answer(
    "08.inner_step", why="backward() with create_graph leaves the slopes in .grad; lists and NumPy"
)
def with_backward_and_numpy(loss, params, x, y, inner_lr, weights):
    params = leaves(params)
    slope = slopes(loss(params, x, y), params, create_graph=True)
    phi = moved(params, slope, inner_lr)
    dot(weights, phi).backward()
    return [
        {name: value.detach().numpy() for name, value in phi.items()},
        {name: value.grad.tolist() for name, value in params.items()},
    ]


# ---------------------------------------------------------------- 08.2


def heavy_ball(
    loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum, keep=None, cut=None, stale=False
):
    """The query loss as a function of θ. keep: weight of the slope; cut: what of (slope, v) is constant."""

    def value(theta):
        phi, velocity = theta, dict.fromkeys(theta, torch.tensor(0.0))
        for _ in range(inner_steps):
            slope = grad(loss)(theta if stale else phi, sx, sy)
            slope = constants(slope) if cut == "slope" else slope
            old = constants(velocity) if cut == "velocity" else velocity
            weight = 1.0 if keep is None else keep
            velocity = {name: momentum * old[name] + weight * slope[name] for name in phi}
            phi = moved(phi, velocity, inner_lr)
        return loss(phi, qx, qy)

    return value


@wrong_answer("08.meta_gradient", says="this is the first-order gradient")
def slope_detached(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum, cut="slope")
    return value_first(run, params)


@wrong_answer("08.meta_gradient", says="differentiated with respect to φ")
def gradient_taken_at_phi(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    phi, velocity = leaves(params), dict.fromkeys(params, 0.0)
    for _ in range(inner_steps):
        slope = slopes(loss(phi, sx, sy), phi, create_graph=True)
        velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
        phi = moved(phi, velocity, inner_lr)
    value = loss(phi, qx, qy)
    return value, slopes(value, phi)


@wrong_answer("08.meta_gradient", says="the velocity of the step before is a constant")
def velocity_detached(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum, cut="velocity")
    return value_first(run, params)


@wrong_answer("08.meta_gradient", says="there is no momentum in it")
def plain_descent(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    return value_first(heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, 0.0), params)


@wrong_answer("08.meta_gradient", says="as in a running mean")
def dampened(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum, keep=1 - momentum)
    return value_first(run, params)


@wrong_answer("08.meta_gradient", says="Nesterov's momentum")
def nesterov(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    def value(theta):
        phi, velocity = theta, dict.fromkeys(theta, 0.0)
        for _ in range(inner_steps):
            slope = grad(loss)(phi, sx, sy)
            velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
            ahead = {name: slope[name] + momentum * velocity[name] for name in phi}
            phi = moved(phi, ahead, inner_lr)
        return loss(phi, qx, qy)

    return value_first(value, params)


@wrong_answer("08.meta_gradient", says="ahead of it")
def looks_ahead(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    def value(theta):
        phi, velocity = theta, dict.fromkeys(theta, 0.0)
        for _ in range(inner_steps):
            ahead = {name: phi[name] - inner_lr * momentum * velocity[name] for name in phi}
            slope = grad(loss)(ahead, sx, sy)
            velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
            phi = moved(phi, velocity, inner_lr)
        return loss(phi, qx, qy)

    return value_first(value, params)


@wrong_answer("08.meta_gradient", says="inner_lr is in it twice")
def rate_in_both_lines(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum, keep=inner_lr)
    return value_first(run, params)


@wrong_answer("08.meta_gradient", says="the velocity begins with the slope at θ")
def velocity_of_the_first_slope(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    def value(theta):
        phi, velocity = theta, grad(loss)(theta, sx, sy)
        for _ in range(inner_steps):
            slope = grad(loss)(phi, sx, sy)
            velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
            phi = moved(phi, velocity, inner_lr)
        return loss(phi, qx, qy)

    return value_first(value, params)


@wrong_answer("08.meta_gradient", says="with respect to θ, not to φ_k")
def slope_with_respect_to_theta(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    theta = leaves(params)
    phi, velocity = theta, dict.fromkeys(theta, 0.0)
    for _ in range(inner_steps):
        slope = slopes(loss(phi, sx, sy), theta, create_graph=True)
        velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
        phi = moved(phi, velocity, inner_lr)
    value = loss(phi, qx, qy)
    return value, slopes(value, theta)


@wrong_answer("08.meta_gradient", says="the value you return is the query loss at θ")
def value_at_theta(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum)
    return loss(params, qx, qy), grad(run)(params)


@wrong_answer("08.meta_gradient", says="by the old velocity")
def velocity_too_late(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    def value(theta):
        phi, velocity = theta, {name: torch.zeros_like(v) for name, v in theta.items()}
        for _ in range(inner_steps):
            slope = grad(loss)(phi, sx, sy)
            phi = moved(phi, velocity, inner_lr)
            velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
        return loss(phi, qx, qy)

    return value_first(value, params)


@wrong_answer("08.meta_gradient", says="taken on the support set")
def judged_on_support(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    return value_first(heavy_ball(loss, sx, sy, sx, sy, inner_lr, inner_steps, momentum), params)


@wrong_answer("08.meta_gradient", says="takes its slope at θ")
def stale_slope(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum, stale=True)
    return value_first(run, params)


@wrong_answer("08.meta_gradient", says="one inner step too many")
def range_to_the_end(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    return value_first(
        heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps + 1, momentum), params
    )


@wrong_answer("08.meta_gradient", says="value first, then the gradient")
def order_of_grad_and_value(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    run = heavy_ball(loss, sx, sy, qx, qy, inner_lr, inner_steps, momentum)
    return grad_and_value(run)(params)


LEFT_OVER = {}  # the velocity of an answer that forgets to forget it


@wrong_answer("08.meta_gradient", says="two calls with the same arguments give two answers")
def velocity_kept_between_calls(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    shapes = {name: value.shape for name, value in params.items()}
    if {name: value.shape for name, value in LEFT_OVER.items()} != shapes:
        LEFT_OVER.clear()
    theta = leaves(params)
    phi, velocity = theta, dict(LEFT_OVER) or dict.fromkeys(theta, torch.tensor(0.0))
    for _ in range(inner_steps):
        slope = slopes(loss(phi, sx, sy), phi, create_graph=True)
        velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
        phi = moved(phi, velocity, inner_lr)
    LEFT_OVER.update(constants(velocity))
    value = loss(phi, qx, qy)
    return value, slopes(value, theta)


@right_answer(
    "08.meta_gradient", why="the rate inside the velocity: the same steps when the rate is constant"
)
def rate_in_the_velocity(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    def value(theta):
        phi, velocity = theta, dict.fromkeys(theta, 0.0)
        for _ in range(inner_steps):
            slope = grad(loss)(phi, sx, sy)
            velocity = {n: momentum * velocity[n] + inner_lr * slope[n] for n in phi}
            phi = moved(phi, velocity, 1.0)
        return loss(phi, qx, qy)

    return value_first(value, params)


@right_answer("08.meta_gradient", why="without a velocity: φ − α∇L + μ(φ − the φ before)")
def heavy_ball_of_differences(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    def value(theta):
        before = phi = theta
        for _ in range(inner_steps):
            slope = grad(loss)(phi, sx, sy)
            ahead = {n: phi[n] - inner_lr * slope[n] + momentum * (phi[n] - before[n]) for n in phi}
            before, phi = phi, ahead
        return loss(phi, qx, qy)

    return value_first(value, params)


@right_answer("08.meta_gradient", why="the classical interface, numbers in NumPy")
def with_create_graph(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, momentum):
    theta = leaves(params)
    phi, velocity = theta, dict.fromkeys(theta, 0.0)
    for _ in range(inner_steps):
        slope = slopes(loss(phi, sx, sy), phi, create_graph=True)
        velocity = {name: momentum * velocity[name] + slope[name] for name in phi}
        phi = moved(phi, velocity, inner_lr)
    value = loss(phi, qx, qy)
    found = slopes(value, theta)
    return [value.item(), {name: slope.numpy() for name, slope in found.items()}]


# ---------------------------------------------------------------- 08.3


def masked(loss):
    """The mean loss of the rows that count."""

    def value(params, x, y, mask):
        each = vmap(loss, in_dims=(None, 0, 0))(params, x[:, None], y[:, None])
        return (mask * each).sum() / mask.sum()

    return value


def of_task(loss, inner_lr, support=None, judge=None):
    """The query loss of one task after a step on `support(params, x, y, mask)`."""
    support = support or masked(loss)

    def value(theta, sx, sy, mask, qx, qy):
        phi = moved(theta, grad(support)(theta, sx, sy, mask), inner_lr)
        return judge(phi, sx, sy) if judge else loss(phi, qx, qy)

    return value


SHARED = (None, 0, 0, 0, 0, 0)


def losses_and_mean(value, params, *data):
    found, losses = vmap(grad_and_value(value), in_dims=SHARED)(params, *data)
    return losses, {name: slope.mean(0) for name, slope in found.items()}


@wrong_answer("08.all_tasks", says="the mask is not used")
def mask_ignored(loss, params, sx, sy, mask, qx, qy, inner_lr):
    value = of_task(loss, inner_lr, lambda p, x, y, m: loss(p, x, y))
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="became zeros, and still count")
def rows_set_to_zero(loss, params, sx, sy, mask, qx, qy, inner_lr):
    value = of_task(loss, inner_lr, lambda p, x, y, m: loss(p, x * m[:, None], y * m[:, None]))
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="since the bias answers it")
def zeros_scaled_up(loss, params, sx, sy, mask, qx, qy, inner_lr):
    rescaled = lambda p, x, y, m: len(m) / m.sum() * loss(p, x * m[:, None], y * m[:, None])
    return losses_and_mean(of_task(loss, inner_lr, rescaled), params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="the mask is inverted")
def true_means_padding(loss, params, sx, sy, mask, qx, qy, inner_lr):
    return losses_and_mean(of_task(loss, inner_lr), params, sx, sy, 1 - mask, qx, qy)


@wrong_answer("08.all_tasks", says="are summed, not averaged")
def masked_sum(loss, params, sx, sy, mask, qx, qy, inner_lr):
    value = of_task(loss, inner_lr, lambda p, x, y, m: m.sum() * masked(loss)(p, x, y, m))
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="divided by the number of rows")
def mean_over_all_rows(loss, params, sx, sy, mask, qx, qy, inner_lr):
    each = lambda p, x, y: vmap(loss, in_dims=(None, 0, 0))(p, x[:, None], y[:, None])
    value = of_task(loss, inner_lr, lambda p, x, y, m: (m * each(p, x, y)).mean())
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="the padded rows are summed, too")
def mask_in_the_divisor_alone(loss, params, sx, sy, mask, qx, qy, inner_lr):
    each = lambda p, x, y: vmap(loss, in_dims=(None, 0, 0))(p, x[:, None], y[:, None])
    value = of_task(loss, inner_lr, lambda p, x, y, m: each(p, x, y).sum() / m.sum())
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="is multiplied by the mean of the mask")
def loss_times_mean_of_mask(loss, params, sx, sy, mask, qx, qy, inner_lr):
    value = of_task(loss, inner_lr, lambda p, x, y, m: (loss(p, x, y) * m).mean())
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="padding may stand anywhere")
def padding_at_the_end(loss, params, sx, sy, mask, qx, qy, inner_lr):
    first = (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).to(mask.dtype)
    return losses_and_mean(of_task(loss, inner_lr), params, sx, sy, first, qx, qy)


@wrong_answer("08.all_tasks", says="one step on the mean of their support losses")
def one_step_for_all(loss, params, sx, sy, mask, qx, qy, inner_lr):
    def losses(theta):
        support = vmap(masked(loss), in_dims=(None, 0, 0, 0))
        slope = grad(lambda p: support(p, sx, sy, mask).mean())(theta)
        return vmap(loss, in_dims=(None, 0, 0))(moved(theta, slope, inner_lr), qx, qy)

    return losses(params), grad(lambda theta: losses(theta).mean())(params)


@wrong_answer("08.all_tasks", says="one common number of examples")
def one_size_for_all(loss, params, sx, sy, mask, qx, qy, inner_lr):
    size = mask.sum() / len(mask)
    support = lambda p, x, y, m: m.sum() / size * masked(loss)(p, x, y, m)
    return losses_and_mean(of_task(loss, inner_lr, support), params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="weighs each task by its number")
def weighted_by_size(loss, params, sx, sy, mask, qx, qy, inner_lr):
    run = vmap(grad_and_value(of_task(loss, inner_lr)), in_dims=SHARED)
    found, losses = run(params, sx, sy, mask, qx, qy)
    share = mask.sum(1) / mask.sum()
    return losses, {n: torch.einsum("t,t...->...", share, slope) for n, slope in found.items()}


@wrong_answer("08.all_tasks", says="of the sum over the tasks")
def sum_over_tasks(loss, params, sx, sy, mask, qx, qy, inner_lr):
    losses, mean = losses_and_mean(of_task(loss, inner_lr), params, sx, sy, mask, qx, qy)
    return losses, {name: len(losses) * slope for name, slope in mean.items()}


@wrong_answer("08.all_tasks", says="still has a task axis")
def one_gradient_per_task(loss, params, sx, sy, mask, qx, qy, inner_lr):
    run = vmap(grad_and_value(of_task(loss, inner_lr)), in_dims=SHARED)
    found, losses = run(params, sx, sy, mask, qx, qy)
    return losses, found


@wrong_answer("08.all_tasks", says="all tasks share one φ")
def tasks_in_one_pot(loss, params, sx, sy, mask, qx, qy, inner_lr):
    def losses(theta):
        rows = (sx.flatten(0, 1), sy.flatten(0, 1), mask.flatten())
        phi = moved(theta, grad(masked(loss))(theta, *rows), inner_lr)
        return vmap(loss, in_dims=(None, 0, 0))(phi, qx, qy)

    return losses(params), grad(lambda theta: losses(theta).mean())(params)


@wrong_answer("08.all_tasks", says="the gradient is the first-order one")
def slope_cut_in_vmap(loss, params, sx, sy, mask, qx, qy, inner_lr):
    def value(theta, sx, sy, mask, qx, qy):
        slope = constants(grad(masked(loss))(theta, sx, sy, mask))
        return loss(moved(theta, slope, inner_lr), qx, qy)

    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="on the (padded) support set")
def judged_on_its_support(loss, params, sx, sy, mask, qx, qy, inner_lr):
    value = of_task(loss, inner_lr, judge=loss)
    return losses_and_mean(value, params, sx, sy, mask, qx, qy)


@wrong_answer("08.all_tasks", says="the first part is the mean loss")
def mean_for_losses(loss, params, sx, sy, mask, qx, qy, inner_lr):
    losses, mean = losses_and_mean(of_task(loss, inner_lr), params, sx, sy, mask, qx, qy)
    return losses.mean(), mean


@right_answer("08.all_tasks", why="the gradient of the mean of a vmap: the same for these layers")
def gradient_of_a_vmap(loss, params, sx, sy, mask, qx, qy, inner_lr):
    run = vmap(of_task(loss, inner_lr), in_dims=SHARED)
    losses = lambda theta: run(theta, sx, sy, mask, qx, qy)
    return losses(params), grad(lambda theta: losses(theta).mean())(params)


@right_answer("08.all_tasks", why="torch.where in place of a product, gradients as lists of NumPy")
def chosen_with_where(loss, params, sx, sy, mask, qx, qy, inner_lr):
    def support(p, x, y, m):
        each = vmap(loss, in_dims=(None, 0, 0))(p, x[:, None], y[:, None])
        return torch.where(m > 0, each, torch.zeros_like(each)).sum() / (m > 0).sum()

    value = of_task(loss, inner_lr, support)
    losses, mean = losses_and_mean(value, params, sx, sy, mask, qx, qy)
    return [losses.numpy(), {name: slope.tolist() for name, slope in mean.items()}]


@right_answer("08.all_tasks", why="a loop over tasks that cuts the padding off: slow, and right")
def one_after_the_other(loss, params, sx, sy, mask, qx, qy, inner_lr):
    losses, theta = [], leaves(params)
    for x, y, m, query_x, query_y in zip(sx, sy, mask, qx, qy, strict=True):
        slope = slopes(loss(theta, x[m > 0], y[m > 0]), theta, create_graph=True)
        losses.append(loss(moved(theta, slope, inner_lr), query_x, query_y))
    losses = torch.stack(losses)
    return losses, slopes(losses.mean(), theta)


# ---------------------------------------------------------------- 08.4


def loop(
    loss,
    params,
    data,
    inner_lr,
    inner_steps,
    at_theta=False,
    cut=False,
    late=False,
    graph=True,
    share_of=lambda task: 1 / (task + 1),
):
    """The exercise's loop, with the bugs that are left. share_of: of a task in the running mean."""
    params, mean = leaves(params), None
    for task, (sx, sy, qx, qy) in enumerate(zip(*data, strict=True)):
        phi = params
        for _ in range(inner_steps):
            slope = slopes(loss(phi, sx, sy), params if at_theta else phi, create_graph=graph)
            slope = {n: g.detach() if cut and g.ndim < 2 else g for n, g in slope.items()}
            phi = moved(phi, slope, inner_lr)
        share = 1 / 2 if late and task else share_of(task)
        mean = loss(phi, qx, qy) if mean is None else (1 - share) * mean + share * loss(phi, qx, qy)
    return mean, slopes(mean, params)


@wrong_answer("08.repaired", says="one bug is left: the inner slope is taken with respect to θ")
def slope_still_at_theta(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, at_theta=True)


@wrong_answer("08.repaired", says="one bug is left: the slopes of the biases")
def excuse_believed(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, cut=True)


@wrong_answer("08.repaired", says="one bug is left: the tasks have unequal weights")
def weights_still_unequal(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, late=True)


@wrong_answer("08.repaired", says="two bugs are left: the inner slope is taken with respect to θ")
def only_the_mean_repaired(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, at_theta=True, cut=True)


@wrong_answer("08.repaired", says="all three bugs are still there")
def as_it_was(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, True, True, True)


@wrong_answer("08.repaired", says="a new bug has come in: this is the first-order gradient")
def graph_dropped(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, graph=False)


@wrong_answer("08.repaired", says="a new bug has come in: support and query are swapped")
def adapted_to_the_queries(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (qx, qy, sx, sy), inner_lr, inner_steps)


@wrong_answer("08.repaired", says="now the slopes of the weights are constants")
def condition_turned_round(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    params, total = leaves(params), 0.0
    for one_sx, one_sy, one_qx, one_qy in zip(sx, sy, qx, qy, strict=True):
        phi = params
        for _ in range(inner_steps):
            slope = slopes(loss(phi, one_sx, one_sy), phi, create_graph=True)
            slope = {name: g.detach() if g.ndim >= 2 else g for name, g in slope.items()}
            phi = moved(phi, slope, inner_lr)
        total = total + loss(phi, one_qx, one_qy) / len(sx)
    return total, slopes(total, params)


@wrong_answer("08.repaired", says="in the loss you return the tasks still have unequal weights")
def only_the_gradient_is_a_mean(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    data = (sx, sy, qx, qy)
    value, _ = loop(loss, params, data, inner_lr, inner_steps, late=True)
    return value, loop(loss, params, data, inner_lr, inner_steps)[1]


@wrong_answer("08.repaired", says="a new bug has come in: the tasks are summed")
def sum_in_place_of_the_mean(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps)
    return len(sx) * mean, {name: len(sx) * slope for name, slope in found.items()}


@wrong_answer("08.repaired", says="the gradient is still that of the sum")
def only_the_loss_is_divided(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps)
    return mean, {name: len(sx) * slope for name, slope in found.items()}


@wrong_answer(
    "08.repaired", says="the mean is now a sum, and an old bug is left: the slopes of the"
)
def summed_and_biases_cut(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, cut=True)
    return len(sx) * mean, {name: len(sx) * slope for name, slope in found.items()}


@wrong_answer("08.repaired", says="the mean is now a sum, and an old bug is left: the inner slope")
def summed_and_at_theta(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, at_theta=True)
    return len(sx) * mean, {name: len(sx) * slope for name, slope in found.items()}


@wrong_answer("08.repaired", says="the first one weighs double")
def running_mean_one_too_many(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    share = lambda task: 1 / (task + 2)
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, share_of=share)


@wrong_answer("08.repaired", says="drives the first one out")
def running_mean_one_too_few(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    share = lambda task: 1 / max(task, 1)
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps, share_of=share)


@wrong_answer("08.repaired", says="divided by one task too many")
def divided_by_one_more(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps)
    factor = len(sx) / (len(sx) + 1)
    return factor * mean, {name: factor * slope for name, slope in found.items()}


@wrong_answer("08.repaired", says="divided by 2, not by the number of tasks")
def half_of_the_sum(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, found = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps)
    factor = len(sx) / 2
    return factor * mean, {name: factor * slope for name, slope in found.items()}


@wrong_answer("08.repaired", says="that of the last task alone")
def gradient_of_the_last_task(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    mean, _ = loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps)
    last = (sx[-1:], sy[-1:], qx[-1:], qy[-1:])
    return mean, loop(loss, params, last, inner_lr, inner_steps)[1]


@wrong_answer("08.repaired", says="only the last task is in it")
def overwritten_by_the_last_task(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx[-1:], sy[-1:], qx[-1:], qy[-1:]), inner_lr, inner_steps)


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


@right_answer("08.repaired", why="all tasks at once with vmap, gradients first and then their mean")
def with_vmap(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    def value(theta, sx, sy, qx, qy):
        phi = theta
        for _ in range(inner_steps):
            phi = moved(phi, grad(loss)(phi, sx, sy), inner_lr)
        return loss(phi, qx, qy)

    run = vmap(grad_and_value(value), in_dims=(None, 0, 0, 0, 0))
    found, losses = run(params, sx, sy, qx, qy)
    return losses.mean(), {name: slope.mean(0) for name, slope in found.items()}


@right_answer("08.repaired", why="a true running mean, (n − 1)/n of the old one and 1/n of the new")
def true_running_mean(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    return loop(loss, params, (sx, sy, qx, qy), inner_lr, inner_steps)


@right_answer(
    "08.repaired", why="backward() of each task's share, added up in .grad; NumPy and lists"
)
def backward_per_task(loss, params, sx, sy, qx, qy, inner_lr, inner_steps):
    params, mean = leaves(params), 0.0
    for one_sx, one_sy, one_qx, one_qy in zip(sx, sy, qx, qy, strict=True):
        phi = params
        for _ in range(inner_steps):
            phi = moved(phi, slopes(loss(phi, one_sx, one_sy), phi, create_graph=True), inner_lr)
        share = loss(phi, one_qx, one_qy) / len(sx)
        share.backward()
        mean += share.item()
    return [mean, {name: value.grad.tolist() for name, value in params.items()}]


# ---------------------------------------------------------------- 08.5


def flat(tensors):
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def recorded(function):
    """As `torch.func.grad`, by the tape, which is quicker for networks as small as these."""
    return lambda params: slopes(function(params), params, create_graph=True)


def programs(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, grad=recorded):
    """made(truncated, detached, left_out, decay) → the gradient of the program with this bug, flat."""
    params = leaves(params)

    def made(truncated=0, detached=None, left_out=None, decay=0.0):
        def value(theta):
            phi = theta
            for step in range(inner_steps):
                slope = grad(lambda params: loss(params, sx, sy))(phi)
                for name in slope:
                    if step < truncated or name == detached:
                        slope[name] = slope[name].detach()
                    slope[name] = (name != left_out) * (slope[name] + decay * phi[name])
                phi = moved(phi, slope, inner_lr)
            return loss(phi, qx, qy)

        return flat(grad(value)(params))

    return made


def gap(a, b):
    return ((a - b).norm() / b.norm()).item()


def suspects(params, inner_steps):
    """((kind, detail), arguments of `made`) of every suspect without a free number."""
    yield ("right", None), {}
    yield from ((("truncated", k), {"truncated": k}) for k in range(1, inner_steps + 1))
    yield from ((("detached", name), {"detached": name}) for name in params)
    yield from ((("left out", name), {"left_out": name}) for name in params)


def fitted(made, target, steps=12):
    decay = 0.0
    for _ in range(steps):
        here = made(decay=decay)
        change = (made(decay=decay + 1e-6) - here) / 1e-6
        further = (change @ (target - here) / (change @ change)).item()
        decay += further
        if abs(further) < 1e-9:
            break
    return decay


ACCUSED = {}  # gradient → right answer: many answers below are asked about the same programs


def accuse(*problem):
    """The right answer."""
    gradient = tuple(flat(problem[-1]).tolist())
    if gradient not in ACCUSED:
        ACCUSED[gradient] = _accuse(*problem)
    return ACCUSED[gradient]


def _accuse(loss, params, sx, sy, qx, qy, inner_lr, inner_steps, gradient):
    made, target = programs(loss, params, sx, sy, qx, qy, inner_lr, inner_steps), flat(gradient)
    for answer, bug in suspects(params, inner_steps):
        if gap(made(**bug), target) < 1e-9:
            return answer
    return "decay", fitted(made, target)


@wrong_answer("08.which_bug", says="you acquit a program that has a bug")
def generous_tolerance(*problem):
    loss, params, *_, gradient = problem
    close = gap(programs(*problem[:-1])(), flat(gradient)) < 0.3
    return ("right", None) if close else accuse(*problem)


@wrong_answer("08.which_bug", says="you accuse a program that is right")
def always_guilty(*problem):
    answer = accuse(*problem)
    return ("truncated", 1) if answer[0] == "right" else answer


@wrong_answer("08.which_bug", says="not those that are differentiated")
def counts_the_other_steps(*problem):
    kind, detail = accuse(*problem)
    return (kind, problem[-2] - detail) if kind == "truncated" else (kind, detail)


@wrong_answer("08.which_bug", says="with one step fewer")
def counts_one_too_many(*problem):
    kind, detail = accuse(*problem)
    return (kind, detail + 1) if kind == "truncated" else (kind, detail)


@wrong_answer("08.which_bug", says="not every step is cut")
def first_order_always(*problem):
    kind, detail = accuse(*problem)
    return (kind, problem[-2]) if kind == "truncated" else (kind, detail)


@wrong_answer("08.which_bug", says="you mix up two bugs of one parameter")
def slope_for_step(*problem):
    kind, detail = accuse(*problem)
    return ("detached" if kind == "left out" else kind), detail


@wrong_answer("08.which_bug", says="no λ explains all of the difference")
def fits_before_it_compares(*problem):
    made, target = programs(*problem[:-1]), flat(problem[-1])
    if gap(made(), target) < 1e-9:
        return "right", None
    return "decay", fitted(made, target)


@wrong_answer("08.which_bug", says="nearest power of ten")
def tries_powers_of_ten(*problem):
    kind, detail = accuse(*problem)
    if kind == "decay":
        detail = 10.0 ** round(torch.log10(torch.tensor(detail)).item())
    return kind, detail


@wrong_answer("08.which_bug", says="right bug, wrong parameter")
def next_parameter(*problem):
    kind, detail = accuse(*problem)
    names = [*problem[1]]
    if kind in ("detached", "left out"):
        detail = names[(names.index(detail) + 1) % len(names)]
    return kind, detail


@wrong_answer("08.which_bug", says="λ is rounded to decimals")
def rounded_to_three_decimals(*problem):
    kind, detail = accuse(*problem)
    return (kind, round(detail, 3)) if kind == "decay" else (kind, detail)


@wrong_answer("08.which_bug", says="and λ may be as small as 1e-4")
def rounded_to_four_decimals(*problem):
    kind, detail = accuse(*problem)
    return (kind, round(detail, 4)) if kind == "decay" else (kind, detail)


@wrong_answer("08.which_bug", says="one linear step from λ = 0")
def newton_without_a_loop(*problem):
    kind, detail = accuse(*problem)
    if kind != "decay":
        return kind, detail
    return kind, fitted(programs(*problem[:-1]), flat(problem[-1]), steps=1)


@wrong_answer("08.which_bug", says="off by less than a tenth")
def decay_on_a_coarse_grid(*problem):
    kind, detail = accuse(*problem)
    return (kind, 1.046 * detail) if kind == "decay" else (kind, detail)


@wrong_answer("08.which_bug", says="not right to three significant digits")
def third_digit_wrong(*problem):
    kind, detail = accuse(*problem)
    return (kind, 0.992 * detail) if kind == "decay" else (kind, detail)


@wrong_answer("08.which_bug", says="too small by the factor inner_lr")
def decay_after_the_step(*problem):
    kind, detail = accuse(*problem)
    return (kind, detail * problem[-3]) if kind == "decay" else (kind, detail)


@wrong_answer("08.which_bug", says="which belongs to ½λ‖φ‖²")
def penalty_without_a_half(*problem):
    kind, detail = accuse(*problem)
    return (kind, detail / 2) if kind == "decay" else (kind, detail)


@wrong_answer("08.which_bug", says="you blame the wrong bug")
def by_the_angle(*problem):
    """Takes whatever is nearest in direction among the truncations."""
    kind, detail = accuse(*problem)
    return ("truncated", 1) if kind in ("detached", "left out") else (kind, detail)


@wrong_answer("08.which_bug", says="return a pair")
def only_the_kind(*problem):
    return accuse(*problem)[0]


@right_answer(
    "08.which_bug",
    why="the nearest of all suspects, whatever its distance, the fitted decay among them",
)
def nearest_of_all(*problem):
    _, params, *_, inner_steps, gradient = problem
    made, target = programs(*problem[:-1]), flat(gradient)
    decay = fitted(made, target)
    lineup = [*suspects(params, inner_steps)]
    if decay > 5e-5:  # a decay of nothing is no bug
        lineup.append((("decay", decay), {"decay": decay}))
    answer, _ = min(lineup, key=lambda suspect: gap(made(**suspect[1]), target))
    return answer


@right_answer(
    "08.which_bug",
    why="λ by golden-section search instead of Newton, in NumPy's numbers, as a list",
)
def searched_by_halves(*problem):
    kind, detail = accuse(*problem)
    if kind != "decay":
        return [kind, detail]
    made, target = programs(*problem[:-1]), flat(problem[-1])
    low, high, ratio = 0.0, 0.1, (5**0.5 - 1) / 2
    for _ in range(30):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if gap(made(decay=left), target) < gap(made(decay=right), target):
            high = right
        else:
            low = left
    return [kind, torch.tensor((low + high) / 2, dtype=torch.float64)]


@right_answer("08.which_bug", why="λ rounded to the three significant digits that are asked for")
def rounded_to_three_significant_digits(*problem):
    kind, detail = accuse(*problem)
    return (kind, float(f"{detail:.3g}")) if kind == "decay" else (kind, detail)


@right_answer(
    "08.which_bug", why="λ from the exact derivative with respect to it, by torch.func.jvp"
)
def newton_with_jvp(*problem):
    kind, detail = accuse(*problem)
    if kind != "decay":
        return kind, detail
    made, target = programs(*problem[:-1], grad), flat(problem[-1])
    decay, one = torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    for _ in range(12):
        here, change = jvp(lambda decay: made(decay=decay), (decay,), (one,))
        further = change @ (target - here) / (change @ change)
        decay = decay + further
        if abs(further) < 1e-9:
            break
    return kind, decay.item()
