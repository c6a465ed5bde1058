"""Wrong answers that a learner of chapter 04 might give, and what each is told; then unusual right ones."""

import math

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 04.1


@wrong_answer("04.meta_slope", says="this is the slope at φ")
def first_order(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return a * (phi - c)


@wrong_answer("04.meta_slope", says="this is the slope at θ")
def no_step(theta, c, a, alpha):
    return a * (theta - c)


@wrong_answer("04.meta_slope", says="the curvature a is missing")
def without_the_curvature(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha * a) * (phi - c)


@wrong_answer("04.meta_slope", says="belongs here once")
def factor_twice(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha * a) ** 2 * a * (phi - c)


@wrong_answer("04.meta_slope", says="one of your two has a plus")
def sign_of_the_step(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 + alpha * a) * a * (phi - c)


@wrong_answer("04.meta_slope", says="so dφ/dθ = 1 − αa")
def landed_uphill(theta, c, a, alpha):
    phi = theta + alpha * a * (theta - c)
    return (1 - alpha * a) * a * (phi - c)


@wrong_answer("04.meta_slope", says="the step goes uphill")
def uphill_by_hand(theta, c, a, alpha):
    phi = theta + alpha * a * (theta - c)
    return (1 + alpha * a) * a * (phi - c)


@wrong_answer("04.meta_slope", says="in yours the minimum c is missing")
def slope_without_the_minimum(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha * a) * a * phi


@wrong_answer("04.meta_slope", says="does not depend on where θ is")
def step_as_a_factor(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha * a * (theta - c)) * a * (phi - c)


@wrong_answer("04.meta_slope", says="it still has to be multiplied")
def only_the_path(theta, c, a, alpha):
    return 1 - alpha * a


@wrong_answer("04.meta_slope", says="1 − αa, not 1 − α")
def factor_without_curvature(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 - alpha) * a * (phi - c)


@wrong_answer("04.meta_slope", says="contains θ itself")
def step_alone_differentiated(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return -alpha * a * a * (phi - c)


@wrong_answer("04.meta_slope", says="the minimum c is missing")
def step_towards_zero(theta, c, a, alpha):
    phi = theta - alpha * a * theta
    return (1 - alpha * a) * a * (phi - c)


@wrong_answer("04.meta_slope", says="this is the loss after the step")
def the_loss_itself(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return 0.5 * a * (phi - c) ** 2


@wrong_answer("04.meta_slope", says="the minimum c is missing twice")
def minimum_forgotten(theta, c, a, alpha):
    phi = theta - alpha * a * theta
    return (1 - alpha * a) * a * phi


@wrong_answer("04.meta_slope", says="is a `return` missing")
def forgot_to_return(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    (1 - alpha * a) * a * (phi - c)  # noqa: B018


# ------------------------------------------------------------------ 04.2


def _after(loss, alpha, steps):
    def after(start):
        for _ in range(steps):
            start = start - alpha * ref.grad(loss)(start)
        return loss(start)

    return after


def _central(after, theta, h):
    return (after(theta + h) - after(theta - h)) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="this is a one-sided difference: go")
def one_sided(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    return (after(theta + h) - after(theta)) / h


@wrong_answer("04.numeric_meta_slope", says="one-sided difference, backwards")
def backwards(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    return (after(theta) - after(theta - h)) / h


@wrong_answer("04.numeric_meta_slope", says="divide by 2h")
def divided_by_h(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    return (after(theta + h) - after(theta - h)) / h


@wrong_answer("04.numeric_meta_slope", says="multiplies by h")
def brackets_forgotten(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    return (after(theta + h) - after(theta - h)) / 2 * h


@wrong_answer("04.numeric_meta_slope", says="the signs exchanged")
def exchanged(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    return (after(theta - h) - after(theta + h)) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="either you moved φ by ±h")
def moved_the_landing_point(loss, theta, alpha, steps, h):
    phi = theta
    for _ in range(steps):
        phi = phi - alpha * ref.grad(loss)(phi)
    return _central(loss, phi, h)


@wrong_answer("04.numeric_meta_slope", says="took the inner slopes once, from θ")
def froze_the_inner_slopes(loss, theta, alpha, steps, h):
    phi, moved = theta, 0.0
    for _ in range(steps):
        slope = ref.grad(loss)(phi)
        phi, moved = phi - alpha * slope, moved + alpha * slope
    return (loss(theta + h - moved) - loss(theta - h - moved)) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="the inner steps are missing")
def without_the_steps(loss, theta, alpha, steps, h):
    return _central(loss, theta, h)


@wrong_answer("04.numeric_meta_slope", says="the inner steps go uphill")
def uphill(loss, theta, alpha, steps, h):
    return _central(_after(loss, -alpha, steps), theta, h)


@wrong_answer("04.numeric_meta_slope", says="lack their size")
def whole_slope(loss, theta, alpha, steps, h):
    return _central(_after(loss, 1.0, steps), theta, h)


@wrong_answer("04.numeric_meta_slope", says="the inner steps have the size h")
def steps_of_size_h(loss, theta, alpha, steps, h):
    return _central(_after(loss, h, steps), theta, h)


@wrong_answer("04.numeric_meta_slope", says="this is how φ follows θ")
def landing_points_compared(loss, theta, alpha, steps, h):
    ends = []
    for start in (theta + h, theta - h):
        for _ in range(steps):
            start = start - alpha * ref.grad(loss)(start)
        ends.append(start)
    return (ends[0] - ends[1]) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="are finite differences themselves")
def differences_inside(loss, theta, alpha, steps, h):
    def after(start):
        for _ in range(steps):
            start = start - alpha * _central(loss, start, h)
        return loss(start)

    return _central(after, theta, h)


@wrong_answer("04.numeric_meta_slope", says="you take one inner step")
def one_step_only(loss, theta, alpha, steps, h):
    return _central(_after(loss, alpha, 1), theta, h)


@wrong_answer("04.numeric_meta_slope", says="step k must take it where step k − 1 landed")
def slopes_at_the_start(loss, theta, alpha, steps, h):
    def after(start):
        phi = start
        for _ in range(steps):
            phi = phi - alpha * ref.grad(loss)(start)
        return loss(phi)

    return _central(after, theta, h)


@wrong_answer("04.numeric_meta_slope", says="step k must set out from where step k − 1 landed")
def restarted(loss, theta, alpha, steps, h):
    def after(start):
        phi = start
        for _ in range(steps):
            phi = start - alpha * ref.grad(loss)(phi)
        return loss(phi)

    return _central(after, theta, h)


@wrong_answer("04.numeric_meta_slope", says="you take the inner slope once, at θ")
def one_slope_for_all(loss, theta, alpha, steps, h):
    slope = ref.grad(loss)(theta)

    def after(start):
        for _ in range(steps):
            start = start - alpha * slope
        return loss(start)

    return _central(after, theta, h)


@wrong_answer("04.numeric_meta_slope", says="one inner step too many")
def a_step_too_many(loss, theta, alpha, steps, h):
    return _central(_after(loss, alpha, steps + 1), theta, h)


@wrong_answer("04.numeric_meta_slope", says="one inner step too few")
def a_step_too_few(loss, theta, alpha, steps, h):
    return _central(_after(loss, alpha, steps - 1), theta, h)


@wrong_answer("04.numeric_meta_slope", says="this is the exact slope")
def differentiated(loss, theta, alpha, steps, h):
    return ref.grad(_after(loss, alpha, steps))(theta)


@wrong_answer("04.numeric_meta_slope", says="an h much smaller than the one you are given")
def h_of_their_own(loss, theta, alpha, steps, h):
    return _central(_after(loss, alpha, steps), theta, 1e-5)


# ------------------------------------------------------------------ 04.3


def _both(theta, c, a, alpha):
    """(first-order gradients, meta-gradients), (batches, tasks) each."""
    first_order = a * (1 - alpha * a) * (theta - c)
    return first_order, (1 - alpha * a) * first_order


@wrong_answer("04.first_order_misleads", says="this is a verdict on every task")
def task_by_task(theta, c, a, alpha):
    return alpha * a > 1


@wrong_answer("04.first_order_misleads", says="αa > 2 has no part in it")
def task_by_task_while_it_converges(theta, c, a, alpha):
    return (alpha * a > 1) & (alpha * a < 2)


@wrong_answer("04.first_order_misleads", says="does not always spoil the mean")
def any_task(theta, c, a, alpha):
    return (alpha * a > 1).any(axis=1)


@wrong_answer("04.first_order_misleads", says="though not all its tasks are")
def all_tasks(theta, c, a, alpha):
    return (alpha * a > 1).all(axis=1)


@wrong_answer("04.first_order_misleads", says="tasks do not vote: a long gradient")
def votes(theta, c, a, alpha):
    return np.median(alpha * a, axis=1) > 1


@wrong_answer("04.first_order_misleads", says="average the gradients, not the tasks")
def mean_curvature(theta, c, a, alpha):
    return alpha * a.mean(axis=1) > 1


@wrong_answer("04.first_order_misleads", says="a task with the mean curvature is another")
def mean_task(theta, c, a, alpha):
    first_order, meta = _both(theta, c.mean(axis=1), a.mean(axis=1), alpha)
    return first_order * meta < 0


@wrong_answer("04.first_order_misleads", says="not the mean of the tasks' products")
def mean_of_products(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return (first_order * meta).mean(axis=1) < 0


@wrong_answer("04.first_order_misleads", says="this is where the two agree")
def where_they_agree(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return first_order.mean(axis=1) * meta.mean(axis=1) > 0


@wrong_answer("04.first_order_misleads", says="points nowhere")
def tie_counted(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return first_order.mean(axis=1) * meta.mean(axis=1) <= 0


@wrong_answer("04.first_order_misleads", says="signs that differ need not be opposite")
def signs_that_differ(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return np.sign(first_order.mean(axis=1)) != np.sign(meta.mean(axis=1))


@wrong_answer("04.first_order_misleads", says="not the opposite of a positive one")
def above_or_not(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return (first_order.mean(axis=1) > 0) != (meta.mean(axis=1) > 0)


@wrong_answer("04.first_order_misleads", says="not the opposite of a negative one")
def below_or_not(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return (first_order.mean(axis=1) < 0) ^ (meta.mean(axis=1) < 0)


@wrong_answer("04.first_order_misleads", says="the first-order one is the slope at φ")
def against_the_slope_at_theta(theta, c, a, alpha):
    before, (_, meta) = a * (theta - c), _both(theta, c, a, alpha)
    return before.mean(axis=1) * meta.mean(axis=1) < 0


@wrong_answer("04.first_order_misleads", says="not with the meta-gradient")
def first_order_against_before(theta, c, a, alpha):
    before, (first_order, _) = a * (theta - c), _both(theta, c, a, alpha)
    return before.mean(axis=1) * first_order.mean(axis=1) < 0


@wrong_answer("04.first_order_misleads", says="which of the two is longer")
def longer(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return np.abs(meta.mean(axis=1)) > np.abs(first_order.mean(axis=1))


@wrong_answer("04.first_order_misleads", says="where they do not point opposite ways")
def the_negation(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return ~(first_order.mean(axis=1) * meta.mean(axis=1) < 0)


@wrong_answer("04.first_order_misleads", says="one verdict on all batches together")
def mean_of_everything(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return first_order.mean() * meta.mean() < 0


@wrong_answer("04.first_order_misleads", says="one verdict for all batches")
def mean_of_everything_repeated(theta, c, a, alpha):
    return np.full(len(c), mean_of_everything(theta, c, a, alpha))


@wrong_answer("04.first_order_misleads", says="the step goes uphill")
def misled_uphill(theta, c, a, alpha):
    phi = theta + alpha * a * (theta - c)
    first_order = a * (phi - c)
    return first_order.mean(axis=1) * ((1 - alpha * a) * first_order).mean(axis=1) < 0


@wrong_answer("04.first_order_misleads", says="both of yours have a plus")
def misled_by_two_signs(theta, c, a, alpha):
    first_order = a * (1 + alpha * a) * (theta - c)
    return first_order.mean(axis=1) * ((1 + alpha * a) * first_order).mean(axis=1) < 0


@wrong_answer("04.first_order_misleads", says="in yours θ − c is missing")
def without_the_distance(theta, c, a, alpha):
    first_order = a * (1 - alpha * a)
    return first_order.mean(axis=1) * ((1 - alpha * a) * first_order).mean(axis=1) < 0


@wrong_answer("04.first_order_misleads", says="should be made of True and False")
def the_product_itself(theta, c, a, alpha):
    first_order, meta = _both(theta, c, a, alpha)
    return first_order.mean(axis=1) * meta.mean(axis=1)


# ------------------------------------------------------------------ 04.4


def _mean_weighted_by(weight, c):
    return np.sum(weight * c) / np.sum(weight)


@wrong_answer("04.best_start", says="this is the plain mean of the minima")
def plain_mean(c, a, alpha):
    return np.mean(c)


@wrong_answer("04.best_start", says="mean loss before the step: the step is missing")
def best_without_learning(c, a, alpha):
    return _mean_weighted_by(a, c)


@wrong_answer("04.best_start", says="where the first-order gradients cancel")
def first_order_fixed_point(c, a, alpha):
    return _mean_weighted_by(a * (1 - alpha * a), c)


@wrong_answer("04.best_start", says="not by the number of tasks")
def not_divided(c, a, alpha):
    return np.mean(a * (1 - alpha * a) ** 2 * c)


@wrong_answer("04.best_start", says="divided by the sum of its weights")
def summed(c, a, alpha):
    return np.sum(a * (1 - alpha * a) ** 2 * c)


@wrong_answer("04.best_start", says="the weights lack the curvature")
def weights_without_curvature(c, a, alpha):
    return _mean_weighted_by((1 - alpha * a) ** 2, c)


@wrong_answer("04.best_start", says="the weights are not 1 − αa alone")
def weights_of_one_factor(c, a, alpha):
    return _mean_weighted_by(1 - alpha * a, c)


@wrong_answer("04.best_start", says="the curvature a enters once")
def curvature_twice(c, a, alpha):
    return _mean_weighted_by(a**2 * (1 - alpha * a) ** 2, c)


@wrong_answer("04.best_start", says="the weights are those of a step uphill")
def weights_of_a_step_uphill(c, a, alpha):
    return _mean_weighted_by(a * (1 + alpha * a) ** 2, c)


@wrong_answer("04.best_start", says="enters as its square, not as its size")
def weights_of_a_size(c, a, alpha):
    return _mean_weighted_by(a * np.abs(1 - alpha * a), c)


@wrong_answer("04.best_start", says="enters twice, not three times")
def factor_three_times(c, a, alpha):
    return _mean_weighted_by(a * (1 - alpha * a) ** 3, c)


@wrong_answer("04.best_start", says="yours is the sum of the curvatures")
def divided_by_the_curvatures(c, a, alpha):
    return np.sum(a * (1 - alpha * a) ** 2 * c) / np.sum(a)


@wrong_answer("04.best_start", says="yours lacks the curvatures")
def divided_by_the_squares(c, a, alpha):
    return np.sum(a * (1 - alpha * a) ** 2 * c) / np.sum((1 - alpha * a) ** 2)


@wrong_answer("04.best_start", says="in yours 1 − αa stands once")
def divided_by_the_first_order_weights(c, a, alpha):
    weight = a * (1 - alpha * a)
    return np.sum(weight * (1 - alpha * a) * c) / np.sum(weight)


@wrong_answer("04.best_start", says="the inner rate α is missing")
def rate_forgotten(c, a, alpha):
    return _mean_weighted_by(a * (1 - a) ** 2, c)


@wrong_answer("04.best_start", says="1 − α in place of")
def curvature_forgotten_in_the_factor(c, a, alpha):
    return _mean_weighted_by(a * (1 - alpha) ** 2, c)


@wrong_answer("04.best_start", says="close, but not exact")
def on_a_grid(c, a, alpha):
    grid = np.linspace(-4, 4, 8001)
    phi = grid[:, None] - alpha * a * (grid[:, None] - c)
    return grid[np.argmin(np.mean(a * (phi - c) ** 2, axis=1))]


@wrong_answer("04.best_start", says="a formula gives it to the last digit")
def on_a_coarser_grid(c, a, alpha):
    return round(float(_mean_weighted_by(a * (1 - alpha * a) ** 2, c)), 2)


# ------------------------------------------------------------------ 04.5


def _cancel(factor, h, follows, target):
    """θ where the sum of factor h (follows θ − target) over the tasks is 0."""
    left = sum(f @ q @ g for f, q, g in zip(factor, h, follows, strict=True))
    right = sum(f @ q @ t for f, q, t in zip(factor, h, target, strict=True))
    return np.linalg.solve(left, right)


def _ones(h):
    return [np.eye(h.shape[1])] * len(h)


def _follows(h, alpha):
    return np.eye(h.shape[1]) - alpha * h


def _pulled(h, minimum, alpha):
    return alpha * np.einsum("tij,tj->ti", h, minimum)


@wrong_answer("04.resting_place", says="first-order MAML comes to rest")
def rest_of_first_order(support_h, support_min, query_h, query_min, alpha):
    target = query_min - _pulled(support_h, support_min, alpha)
    return _cancel(_ones(query_h), query_h, _follows(support_h, alpha), target)


@wrong_answer("04.resting_place", says="yours is the query loss's")
def factor_of_the_query_loss(support_h, support_min, query_h, query_min, alpha):
    target = query_min - _pulled(support_h, support_min, alpha)
    return _cancel(_follows(query_h, alpha), query_h, _follows(support_h, alpha), target)


@wrong_answer("04.resting_place", says="the inner step follows the support loss")
def step_on_the_query_loss(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(query_h, alpha)
    return _cancel(follows, query_h, follows, query_min - _pulled(query_h, support_min, alpha))


@wrong_answer("04.resting_place", says="before the step")
def rest_without_learning(support_h, support_min, query_h, query_min, alpha):
    return _cancel(_ones(query_h), query_h, _ones(query_h), query_min)


@wrong_answer("04.resting_place", says="the mean of the query minima")
def mean_of_the_minima(support_h, support_min, query_h, query_min, alpha):
    return query_min.mean(axis=0)


@wrong_answer("04.resting_place", says="your φ knows nothing of c")
def step_without_its_pull(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    return _cancel(follows, query_h, follows, query_min)


@wrong_answer("04.resting_place", says="has the wrong sign")
def pull_with_the_wrong_sign(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = query_min + _pulled(support_h, support_min, alpha)
    return _cancel(follows, query_h, follows, target)


@wrong_answer("04.resting_place", says="in the matrix of θ the factors stand in another order")
def matrix_in_another_order(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = query_min - _pulled(support_h, support_min, alpha)
    left = sum(f @ f @ q for f, q in zip(follows, query_h, strict=True))
    right = sum(f @ q @ t for f, q, t in zip(follows, query_h, target, strict=True))
    return np.linalg.solve(left, right)


@wrong_answer("04.resting_place", says="multiply within a task first, then average")
def matrices_averaged(support_h, support_min, query_h, query_min, alpha):
    follows, h = _follows(support_h, alpha).mean(axis=0), query_h.mean(axis=0)
    target = (query_min - _pulled(support_h, support_min, alpha)).mean(axis=0)
    return np.linalg.solve(follows @ h @ follows, follows @ h @ target)


@wrong_answer("04.resting_place", says="the mean of the tasks is another task")
def tasks_averaged(support_h, support_min, query_h, query_min, alpha):
    follows = np.eye(support_min.shape[1]) - alpha * support_h.mean(axis=0)
    target = query_min.mean(axis=0) - alpha * support_h.mean(axis=0) @ support_min.mean(axis=0)
    return np.linalg.solve(follows, target)


@wrong_answer("04.resting_place", says="the step does not move d")
def query_minimum_moved(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    moved = [f @ d for f, d in zip(follows, query_min, strict=True)]
    return _cancel(follows, query_h, follows, moved)


@wrong_answer("04.resting_place", says="the step goes uphill")
def rest_of_a_step_uphill(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, -alpha)
    return _cancel(follows, query_h, follows, query_min + _pulled(support_h, support_min, alpha))


@wrong_answer("04.resting_place", says="φ follows θ with another sign of α")
def factor_with_a_plus(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, -alpha)
    return _cancel(follows, query_h, follows, query_min - _pulled(support_h, support_min, alpha))


@wrong_answer("04.resting_place", says="the factors of a meta-gradient stand in another order")
def factors_in_another_order(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = query_min - _pulled(support_h, support_min, alpha)
    return _cancel(query_h, follows, follows, target)


@wrong_answer("04.resting_place", says="a minimum of its own")
def minimum_of_the_support_loss(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = support_min - _pulled(support_h, support_min, alpha)
    return _cancel(follows, query_h, follows, target)


@wrong_answer("04.resting_place", says="a curvature of its own")
def curvature_of_the_support_loss(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = query_min - _pulled(support_h, support_min, alpha)
    return _cancel(follows, support_h, follows, target)


@wrong_answer("04.resting_place", says="the query's curvature H_Q is missing")
def query_curvature_forgotten(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = query_min - _pulled(support_h, support_min, alpha)
    return _cancel(follows, _ones(query_h), follows, target)


@wrong_answer("04.resting_place", says="the mean of each task's own best start")
def mean_of_the_best_starts(support_h, support_min, query_h, query_min, alpha):
    target = query_min - _pulled(support_h, support_min, alpha)
    follows = _follows(support_h, alpha)
    return np.mean([np.linalg.solve(f, t) for f, t in zip(follows, target, strict=True)], axis=0)


@wrong_answer("04.resting_place", says="multiplies matrices entry by entry")
def products_of_entries(support_h, support_min, query_h, query_min, alpha):
    left, right = 0.0, 0.0
    for h_s, c, h_q, d in zip(support_h, support_min, query_h, query_min, strict=True):
        follows = np.eye(len(c)) - alpha * h_s
        left = left + follows * h_q * follows
        right = right + (follows * h_q) @ (d - alpha * h_s @ c)
    return np.linalg.solve(left, right)


@wrong_answer("04.resting_place", says="this is a matrix, not a θ")
def nothing_but_products_of_entries(support_h, support_min, query_h, query_min, alpha):
    follows = np.eye(support_min.shape[1]) - alpha * support_h
    left = follows * query_h * follows
    right = follows * query_h * (query_min[:, None] - alpha * support_h * support_min[:, None])
    return np.linalg.solve(left.sum(axis=0), right.sum(axis=0))


@wrong_answer("04.resting_place", says="with a vector it gives a matrix")
def pull_of_entries(support_h, support_min, query_h, query_min, alpha):
    left, right = 0.0, 0.0
    for h_s, c, h_q, d in zip(support_h, support_min, query_h, query_min, strict=True):
        follows = np.eye(len(c)) - alpha * h_s
        left = left + follows @ h_q @ follows
        right = right + follows @ h_q @ (d - alpha * h_s * c)
    return np.linalg.solve(left, right)


@wrong_answer("04.resting_place", says="in yours α is missing")
def pull_without_the_rate(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    return _cancel(follows, query_h, follows, query_min - _pulled(support_h, support_min, 1.0))


@wrong_answer("04.resting_place", says="in yours H_S is missing")
def pull_without_the_curvature(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    return _cancel(follows, query_h, follows, query_min - alpha * support_min)


@wrong_answer("04.resting_place", says="yours is H_Q(θ − d)")
def query_slope_at_the_start(support_h, support_min, query_h, query_min, alpha):
    return _cancel(_follows(support_h, alpha), query_h, _ones(query_h), query_min)


@wrong_answer("04.resting_place", says="this is 04.4 with matrices")
def the_support_loss_alone(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    moved = [f @ c for f, c in zip(follows, support_min, strict=True)]
    return _cancel(follows, support_h, follows, moved)


@wrong_answer("04.resting_place", says="in your vector it is missing")
def vector_without_its_factor(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    target = query_min - _pulled(support_h, support_min, alpha)
    left = sum(f @ q @ f for f, q in zip(follows, query_h, strict=True))
    return np.linalg.solve(left, sum(q @ t for q, t in zip(query_h, target, strict=True)))


@wrong_answer("04.resting_place", says="the sum over the tasks on both sides")
def mean_of_the_matrices(support_h, support_min, query_h, query_min, alpha):
    return len(query_h) * _right_place(support_h, support_min, query_h, query_min, alpha)


@wrong_answer("04.resting_place", says="yours has the mean in the vector")
def mean_of_the_vectors(support_h, support_min, query_h, query_min, alpha):
    return _right_place(support_h, support_min, query_h, query_min, alpha) / len(query_h)


@wrong_answer("04.resting_place", says="the I is the identity matrix")
def one_for_the_identity(support_h, support_min, query_h, query_min, alpha):
    follows = 1 - alpha * support_h
    return _cancel(follows, query_h, follows, query_min - _pulled(support_h, support_min, alpha))


@wrong_answer("04.resting_place", says="c and d are exchanged")
def minima_exchanged(support_h, support_min, query_h, query_min, alpha):
    return _right_place(support_h, query_min, query_h, support_min, alpha)


@wrong_answer("04.resting_place", says="H_S and H_Q are exchanged")
def matrices_exchanged(support_h, support_min, query_h, query_min, alpha):
    return _right_place(query_h, support_min, support_h, query_min, alpha)


@wrong_answer("04.resting_place", says="the support loss and the query loss are exchanged")
def losses_exchanged(support_h, support_min, query_h, query_min, alpha):
    return _right_place(query_h, query_min, support_h, support_min, alpha)


@wrong_answer("04.resting_place", says="a search that stops early")
def rounded(support_h, support_min, query_h, query_min, alpha):
    return np.round(_right_place(support_h, support_min, query_h, query_min, alpha), 3)


def _right_place(support_h, support_min, query_h, query_min, alpha):
    follows = _follows(support_h, alpha)
    return _cancel(follows, query_h, follows, query_min - _pulled(support_h, support_min, alpha))


# ------------------------------------------------------------------ 04.6


def _returned(theta, c, a, d, b, alpha, phi=None):
    phi = theta - alpha * a * (theta - c) if phi is None else phi
    return {
        "right": (1 - alpha * a) * b * (phi - d),
        "first-order": b * (phi - d),
        "query curvature": (1 - alpha * b) * b * (phi - d),
        "right factor, slope at θ": (1 - alpha * a) * b * (theta - d),
    }


def _fitting(*trials, **tolerance):
    *given, gradient = trials
    return _that_fit(_returned(*given), gradient, **({"rtol": 1e-4} | tolerance))


def _that_fit(programs, gradient, **tolerance):
    return [word for word, value in programs.items() if np.allclose(value, gradient, **tolerance)]


def _one_of(fits):
    return fits[0] if len(fits) == 1 else "undecided"


@wrong_answer("04.which_program", says="several programs explain all trials")
def first_that_fits(theta, c, a, d, b, alpha, gradient):
    return _fitting(theta, c, a, d, b, alpha, gradient)[0]


@wrong_answer("04.which_program", says="yours picks one of them")
def last_that_fits(theta, c, a, d, b, alpha, gradient):
    return _fitting(theta, c, a, d, b, alpha, gradient)[-1]


@wrong_answer("04.which_program", says="the smallest error always has a winner")
def nearest(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    error = {word: np.abs(value - gradient).sum() for word, value in programs.items()}
    return min(error, key=error.get)


@wrong_answer("04.which_program", says="explain all trials, and yours")
def smallest_of_the_largest_errors(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return min(programs, key=lambda word: np.max((programs[word] - gradient) ** 2))


@wrong_answer("04.which_program", says="and yours picks one")
def one_suspect_after_the_other(theta, c, a, d, b, alpha, gradient):
    fits = _fitting(theta, c, a, d, b, alpha, gradient)
    for word in ("right factor, slope at θ", "query curvature", "right"):
        if word in fits:
            return word
    return "first-order"


@wrong_answer("04.which_program", says="errors of single trials cancel")
def compared_on_average(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return _one_of([w for w, v in programs.items() if np.isclose(v.mean(), gradient.mean(), 1e-4)])


@wrong_answer("04.which_program", says="cancel in a sum or a mean")
def compared_in_sum(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return _one_of(
        [w for w, v in programs.items() if math.isclose(sum(v), sum(gradient), rel_tol=1e-4)]
    )


@wrong_answer("04.which_program", says="return one word and not a list")
def all_that_fit(theta, c, a, d, b, alpha, gradient):
    return _fitting(theta, c, a, d, b, alpha, gradient)


@wrong_answer("04.which_program", says="not a number")
def place_of_the_smallest_error(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return int(np.argmin([np.sum((value - gradient) ** 2) for value in programs.values()]))


@wrong_answer("04.which_program", says="can be idle with large steps too")
def only_small_steps_are_idle(theta, c, a, d, b, alpha, gradient):
    if np.all(alpha < 1e-6):
        return "undecided"
    return _fitting(theta, c, a, d, b, alpha, gradient)[0]


@wrong_answer("04.which_program", says="is no evidence for the first-order program")
def suspects_first_order(theta, c, a, d, b, alpha, gradient):
    fits = _fitting(theta, c, a, d, b, alpha, gradient)
    return fits[0] if len(fits) == 1 else "first-order"


@wrong_answer("04.which_program", says="one that fits is not enough")
def any_trial(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return next(w for w, value in programs.items() if np.isclose(value, gradient, 1e-4).any())


@wrong_answer("04.which_program", says="do you compare with ==")
def compared_exactly(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return _one_of([word for word, value in programs.items() if (value == gradient).all()])


@wrong_answer("04.which_program", says="by one trial alone")
def first_trial_alone(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta[0], c[0], a[0], d[0], b[0], alpha[0], gradient[0]))


@wrong_answer("04.which_program", says="in yours stands b")
def step_of_the_query_curvature(theta, c, a, d, b, alpha, gradient):
    phi = theta - alpha * b * (theta - c)
    return _one_of(_that_fit(_returned(theta, c, a, d, b, alpha, phi), gradient, rtol=1e-4))


@wrong_answer("04.which_program", says="none of your programs ever fits")
def step_towards_the_query_minimum(theta, c, a, d, b, alpha, gradient):
    phi = theta - alpha * a * (theta - d)
    return _one_of(_that_fit(_returned(theta, c, a, d, b, alpha, phi), gradient, rtol=1e-4))


@wrong_answer("04.which_program", says="in yours the factor is missing")
def slope_at_the_start_alone(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    programs["right factor, slope at θ"] = b * (theta - d)
    return _one_of(_that_fit(programs, gradient, rtol=1e-4))


@wrong_answer("04.which_program", says="so compare relative to their size")
def compared_absolutely(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, c, a, d, b, alpha, gradient, rtol=0, atol=1e-6))


@wrong_answer("04.which_program", says="too narrowly")
def compared_to_four_decimals(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    same = [w for w, v in programs.items() if np.array_equal(np.round(v, 4), np.round(gradient, 4))]
    return _one_of(same)


@wrong_answer("04.which_program", says="you compare too widely")
def compared_too_widely(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, c, a, d, b, alpha, gradient, atol=0.1))


@wrong_answer("04.which_program", says="too widely or too narrowly")
def compared_to_a_third(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, c, a, d, b, alpha, gradient, rtol=0.3, atol=0))


@wrong_answer("04.which_program", says="the gradients have six digits")
def compared_to_a_percent(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, c, a, d, b, alpha, gradient, rtol=0.01, atol=0))


@wrong_answer("04.which_program", says="where exactly one program fits")
def compared_to_a_thousandth(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return _one_of([w for w, v in programs.items() if np.all(np.abs(v - gradient) < 1e-3)])


@wrong_answer("04.which_program", says="is one loss taken for the other")
def slope_of_the_support_loss(theta, c, a, d, b, alpha, gradient):
    phi = theta - alpha * a * (theta - c)
    support = {
        "right": (1 - alpha * a) * a * (phi - c),
        "first-order": a * (phi - c),
        "query curvature": (1 - alpha * b) * a * (phi - c),
        "right factor, slope at θ": (1 - alpha * a) * a * (theta - c),
    }
    return _one_of(_that_fit(support, gradient, rtol=1e-4))


@wrong_answer("04.which_program", says="or any that fits")
def any_trial_counted(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    return _one_of([w for w, v in programs.items() if np.isclose(v, gradient, 1e-4).any()])


@wrong_answer("04.which_program", says="be it the first, the last")
def last_trial_alone(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta[-1], c[-1], a[-1], d[-1], b[-1], alpha[-1], gradient[-1]))


@wrong_answer("04.which_program", says="in yours φ goes down the query loss")
def step_down_the_query_loss(theta, c, a, d, b, alpha, gradient):
    phi = theta - alpha * b * (theta - d)
    return _one_of(_that_fit(_returned(theta, c, a, d, b, alpha, phi), gradient, rtol=1e-4))


@wrong_answer("04.which_program", says="in yours φ goes uphill")
def step_uphill(theta, c, a, d, b, alpha, gradient):
    phi = theta + alpha * a * (theta - c)
    return _one_of(_that_fit(_returned(theta, c, a, d, b, alpha, phi), gradient, rtol=1e-4))


@wrong_answer("04.which_program", says="you say undecided every time")
def step_follows_the_query(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, d, b, d, b, alpha, gradient))


@wrong_answer("04.which_program", says="none of the five words")
def another_word(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, c, a, d, b, alpha, gradient)).upper()


# ------------------------------------------------------------------ right ones


@right_answer("04.meta_slope", why="the chain rule by a program")
def by_the_library(theta, c, a, alpha):
    def loss(x):
        return a * (x - c) ** 2 / 2

    return ref.grad(lambda start: loss(start - alpha * ref.grad(loss)(start)))(theta)


@right_answer("04.meta_slope", why="φ − c is 1 − αa times θ − c")
def without_phi(theta, c, a, alpha):
    return a * (1 - alpha * a) ** 2 * (theta - c)


@right_answer("04.meta_slope", why="a difference of a parabola has no error but rounding")
def by_a_difference(theta, c, a, alpha):
    def after(start):
        return a * (start - alpha * a * (start - c) - c) ** 2 / 2

    return (after(theta + 0.5) - after(theta - 0.5)) / 1.0


@right_answer("04.meta_slope", why="a tensor of one number")
def by_torch(theta, c, a, alpha):
    import torch

    start = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    phi = start - alpha * a * (start - c)
    (0.5 * a * (phi - c) ** 2).backward()
    return float(start.grad)


@right_answer("04.numeric_meta_slope", why="both points as one array")
def both_at_once(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    ahead, behind = [after(start) for start in theta + h * np.array([1.0, -1.0])]
    return (ahead - behind) / h / 2


@right_answer("04.numeric_meta_slope", why="the mean of the two one-sided differences")
def mean_of_two(loss, theta, alpha, steps, h):
    after = _after(loss, alpha, steps)
    here = after(theta)
    return ((after(theta + h) - here) / h + (here - after(theta - h)) / h) / 2


@right_answer("04.numeric_meta_slope", why="the steps by recursion")
def by_recursion(loss, theta, alpha, steps, h):
    def after(start, left):
        if left == 0:
            return loss(start)
        return after(start - alpha * ref.grad(loss)(start), left - 1)

    return (after(theta + h, steps) - after(theta - h, steps)) / (2 * h)


@right_answer("04.numeric_meta_slope", why="inner slopes by differences that are fine enough")
def without_the_library(loss, theta, alpha, steps, h):
    def after(start):
        for _ in range(steps):
            # Richardson's combination of two differences: exact to about 1e-10 here
            coarse, fine = [(loss(start + e) - loss(start - e)) / (2 * e) for e in (2e-3, 1e-3)]
            start = start - alpha * (4 * fine - coarse) / 3
        return loss(start)

    return (after(theta + h) - after(theta - h)) / (2 * h)


@right_answer("04.first_order_misleads", why="a list, batch by batch")
def batch_by_batch(theta, c, a, alpha):
    verdicts = []
    for minima, curvatures in zip(c, a, strict=True):
        phi = theta - alpha * curvatures * (theta - minima)
        first_order = curvatures * (phi - minima)
        together = sum(first_order) * sum((1 - alpha * curvatures) * first_order)
        verdicts.append(bool(together < 0))
    return verdicts


@right_answer("04.first_order_misleads", why="the quotient of the lesson")
def by_the_quotient(theta, c, a, alpha):
    first_order, meta = (each.mean(axis=1) for each in _both(theta, c, a, alpha))
    with np.errstate(invalid="ignore"):
        return 1 - first_order * meta / first_order**2 > 1


@right_answer("04.first_order_misleads", why="signs are compared")
def by_signs(theta, c, a, alpha):
    first_order, meta = (np.sign(each.mean(axis=1)) for each in _both(theta, c, a, alpha))
    return (first_order != 0) & (first_order == -meta)


@right_answer("04.first_order_misleads", why="single precision")
def in_single_precision(theta, c, a, alpha):
    given = (np.float32(value) for value in (theta, c, a, alpha))
    first_order, meta = _both(*given)
    return first_order.sum(axis=1) * meta.sum(axis=1) < 0


@right_answer("04.best_start", why="least squares")
def by_least_squares(c, a, alpha):
    row = np.sqrt(a) * (1 - alpha * a)
    return np.linalg.lstsq(row[:, None], row * c, rcond=None)[0][0]


@right_answer("04.best_start", why="Newton's method: one step is enough for a parabola")
def by_newton(c, a, alpha):
    slope = np.mean(a * (1 - alpha * a) ** 2 * (0.0 - c))
    return 0.0 - slope / np.mean(a * (1 - alpha * a) ** 2)


@right_answer("04.best_start", why="the parabola through three points")
def by_three_points(c, a, alpha):
    def after(start):
        return np.mean(a * (1 - alpha * a) ** 2 * (start - c) ** 2)

    low, middle, high = (after(start) for start in (-1.0, 0.0, 1.0))
    return (low - high) / (2 * (low - 2 * middle + high))


@right_answer("04.resting_place", why="all tasks at once")
def at_once(support_h, support_min, query_h, query_min, alpha):
    follows = np.eye(support_min.shape[1]) - alpha * support_h
    target = query_min - alpha * np.einsum("tij,tj->ti", support_h, support_min)
    left = np.einsum("tji,tjk,tkl->il", follows, query_h, follows)
    return np.linalg.inv(left) @ np.einsum("tji,tjk,tk->i", follows, query_h, target)


@right_answer("04.resting_place", why="least squares with the root of H_Q")
def by_stacked_least_squares(support_h, support_min, query_h, query_min, alpha):
    roots = np.linalg.cholesky(query_h).swapaxes(1, 2)  # RᵀR = H_Q
    follows = np.eye(support_min.shape[1]) - alpha * support_h
    target = query_min - alpha * np.einsum("tij,tj->ti", support_h, support_min)
    rows, values = roots @ follows, np.einsum("tij,tj->ti", roots, target)
    size = support_min.shape[1]
    return list(np.linalg.lstsq(rows.reshape(-1, size), values.ravel(), rcond=None)[0])


@right_answer("04.resting_place", why="Newton's method with the library's derivatives")
def by_the_library_s_newton(support_h, support_min, query_h, query_min, alpha):
    def meta(theta):
        total = 0.0
        for h_s, c, h_q, d in zip(support_h, support_min, query_h, query_min, strict=True):
            phi = theta - alpha * (h_s @ (theta - c))
            total = total + np.sum((phi - d) * (h_q @ (phi - d))) / 2
        return total

    start = np.zeros(support_min.shape[1])
    return start - np.linalg.solve(ref.jacobian(ref.grad(meta))(start), ref.grad(meta)(start))


@right_answer("04.which_program", why="ratios in place of differences")
def by_ratios(theta, c, a, d, b, alpha, gradient):
    programs = _returned(theta, c, a, d, b, alpha)
    worst = {word: np.max(np.abs(value / gradient - 1)) for word, value in programs.items()}
    return _one_of([word for word in worst if worst[word] < 1e-3])


@right_answer("04.which_program", why="a tolerance as narrow as six digits allow")
def to_six_digits(theta, c, a, d, b, alpha, gradient):
    return _one_of(_fitting(theta, c, a, d, b, alpha, gradient, rtol=2e-6, atol=0))


@right_answer("04.which_program", why="suspects are struck out trial by trial")
def by_elimination(theta, c, a, d, b, alpha, gradient):
    left = dict.fromkeys(_returned(theta, c, a, d, b, alpha))
    for trial in zip(theta, c, a, d, b, alpha, gradient, strict=True):
        fits = _fitting(*trial)
        left = {word: None for word in left if word in fits}
    return _one_of(list(left))


@right_answer("04.which_program", why="single precision is enough for six digits")
def single_precision_verdict(theta, c, a, d, b, alpha, gradient):
    given = [np.float32(value) for value in (theta, c, a, d, b, alpha, gradient)]
    programs = _returned(*given[:-1])
    return _one_of([w for w, v in programs.items() if np.allclose(v, given[-1], 1e-3, 1e-4)])
