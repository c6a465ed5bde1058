"""Wrong answers to chapter 01 that learners give, and what the check must say of each."""

import numpy as np

from maml_edu.checks.exercise import wrong_answer


@wrong_answer("01.descent_step", says="this walks uphill")
def adds_the_slope(params, slopes, alpha):
    return {name: params[name] + alpha * slopes[name] for name in params}


@wrong_answer("01.descent_step", says="step size is missing")
def forgets_alpha(params, slopes, alpha):
    return {name: params[name] - slopes[name] for name in params}


@wrong_answer("01.descent_step", says="this is the step alone")
def returns_the_step(params, slopes, alpha):
    return {name: -alpha * slopes[name] for name in params}


@wrong_answer("01.descent_step", says="only the first parameter")
def returns_inside_the_loop(params, slopes, alpha):
    new = {}
    for name in params:
        new[name] = params[name] - alpha * slopes[name]
        return new


@wrong_answer("01.descent_step", says="nothing moved")
def rebinds_the_loop_variable(params, slopes, alpha):
    for name, value in params.items():
        value = value - alpha * slopes[name]  # `params` still holds the old array
    return params


@wrong_answer("01.largest_stable_rate", says="(1/λmax), not the limit")
def one_over_the_largest(hessian):
    return 1 / np.linalg.eigvalsh(hessian).max()


@wrong_answer("01.largest_stable_rate", says="limit of the flattest direction")
def two_over_the_smallest(hessian):
    return 2 / np.linalg.eigvalsh(hessian).min()


@wrong_answer("01.largest_stable_rate", says="the diagonal does not hold the curvatures")
def reads_the_diagonal(hessian):
    return 2 / np.diag(hessian).max()


@wrong_answer("01.largest_stable_rate", says="only the largest one sets the limit")
def divides_by_the_trace(hessian):
    return 2 / np.trace(hessian)


@wrong_answer("01.convergence_rates", says="a factor has a sign")
def leaves_the_sign(hessian, alpha):
    rates = 1 - alpha * np.linalg.eigvalsh(hessian)
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="rates of the loss")
def squares_the_factors(hessian, alpha):
    rates = (1 - alpha * np.linalg.eigvalsh(hessian)) ** 2
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="this direction dies out first")
def takes_the_smallest_rate(hessian, alpha):
    rates = np.abs(1 - alpha * np.linalg.eigvalsh(hessian))
    return rates, int(np.argmin(rates))


@wrong_answer("01.convergence_rates", says="the flattest direction is not always")
def blames_the_flattest_direction(hessian, alpha):
    return np.abs(1 - alpha * np.linalg.eigvalsh(hessian)), 0


@wrong_answer("01.finite_difference_gradient", says="this is the forward difference")
def looks_to_one_side(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += h
        slopes[place] = (f(moved) - f(x)) / h
    return slopes


@wrong_answer("01.finite_difference_gradient", says="divide by 2h")
def divides_by_h(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[place] += h
        below[place] -= h
        slopes[place] = (f(above) - f(below)) / h
    return slopes


@wrong_answer("01.finite_difference_gradient", says="`=` does not copy")
def copies_nothing(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        above, below = x, x
        above[place] += h
        below[place] -= h
        slopes[place] = (f(above) - f(below)) / (2 * h)
    return slopes


@wrong_answer("01.finite_difference_gradient", says="all entries were moved at once")
def moves_everything(f, x, h):
    slope = (f(x + h) - f(x - h)) / (2 * h)
    return np.full_like(x, slope)


@wrong_answer("01.finite_difference_gradient", says="entries stay moved")
def leaves_entries_moved(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= 2 * h
        slopes[place] = (above - f(x)) / (2 * h)
    return slopes
