"""Wrong answers that a learner of chapter 04 might give; each must be caught, and told which it is."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import wrong_answer


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


@wrong_answer("04.meta_slope", says="not 1 + αa")
def sign_of_the_step(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    return (1 + alpha * a) * a * (phi - c)


@wrong_answer("04.meta_slope", says="it still has to be multiplied")
def only_the_path(theta, c, a, alpha):
    return 1 - alpha * a


@wrong_answer("04.meta_slope", says="is a `return` missing")
def forgot_to_return(theta, c, a, alpha):
    phi = theta - alpha * a * (theta - c)
    (1 - alpha * a) * a * (phi - c)  # noqa: B018


@wrong_answer("04.numeric_meta_slope", says="this is a one-sided difference")
def one_sided(loss, theta, alpha, h):
    def after(start):
        return loss(start - alpha * ref.grad(loss)(start))

    return (after(theta + h) - after(theta)) / h


@wrong_answer("04.numeric_meta_slope", says="divide by 2h")
def divided_by_h(loss, theta, alpha, h):
    def after(start):
        return loss(start - alpha * ref.grad(loss)(start))

    return (after(theta + h) - after(theta - h)) / h


@wrong_answer("04.numeric_meta_slope", says="you moved φ by ±h")
def moved_the_landing_point(loss, theta, alpha, h):
    phi = theta - alpha * ref.grad(loss)(theta)
    return (loss(phi + h) - loss(phi - h)) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="the inner step is missing")
def without_the_step(loss, theta, alpha, h):
    return (loss(theta + h) - loss(theta - h)) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="the inner step goes uphill")
def uphill(loss, theta, alpha, h):
    def after(start):
        return loss(start + alpha * ref.grad(loss)(start))

    return (after(theta + h) - after(theta - h)) / (2 * h)


@wrong_answer("04.numeric_meta_slope", says="this is the exact slope")
def differentiated(loss, theta, alpha, h):
    return ref.grad(lambda start: loss(start - alpha * ref.grad(loss)(start)))(theta)


@wrong_answer("04.first_order_misleads", says="is where descent itself blows up")
def stability_limit(a, alpha):
    return alpha * a > 2


@wrong_answer("04.first_order_misleads", says="this is where the two agree")
def where_they_agree(a, alpha):
    return alpha * a < 1


@wrong_answer("04.first_order_misleads", says="the curvature alone does not decide")
def curvature_alone(a, alpha):
    return a > 1


@wrong_answer("04.first_order_misleads", says="should be made of True and False")
def the_factor_itself(a, alpha):
    return 1 - alpha * a


@wrong_answer("04.best_start", says="this is the plain mean of the minima")
def plain_mean(c, a, alpha):
    return np.mean(c)


@wrong_answer("04.best_start", says="before the step")
def best_without_learning(c, a, alpha):
    return np.sum(a * c) / np.sum(a)


@wrong_answer("04.best_start", says="where the first-order gradients cancel")
def first_order_fixed_point(c, a, alpha):
    weight = a * (1 - alpha * a)
    return np.sum(weight * c) / np.sum(weight)


@wrong_answer("04.best_start", says="divided by the sum of the weights")
def not_divided(c, a, alpha):
    return np.mean(a * (1 - alpha * a) ** 2 * c)


@wrong_answer("04.best_start", says="the weights lack the curvature")
def weights_without_curvature(c, a, alpha):
    weight = (1 - alpha * a) ** 2
    return np.sum(weight * c) / np.sum(weight)
