"""Wrong answers to chapter 01 that learners give, and what the check must say of each; and right
answers of an unusual make, which it must accept."""

import numpy as np
import torch

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 01.1


@wrong_answer("01.descent_step", says="this walks uphill")
def adds_the_slope(params, slopes, alpha):
    return {name: params[name] + alpha * slopes[name] for name in params}


@wrong_answer("01.descent_step", says="step size is missing")
def forgets_alpha(params, slopes, alpha):
    return {name: params[name] - slopes[name] for name in params}


@wrong_answer("01.descent_step", says="this is the step alone")
def returns_the_step(params, slopes, alpha):
    return {name: -alpha * slopes[name] for name in params}


@wrong_answer("01.descent_step", says="this scales the parameters too")
def sets_brackets(params, slopes, alpha):
    return {name: alpha * (params[name] - slopes[name]) for name in params}


@wrong_answer("01.descent_step", says="have changed places")
def steps_from_the_slopes(params, slopes, alpha):
    return {name: slopes[name] - alpha * params[name] for name in params}


@wrong_answer("01.descent_step", says="this divides by alpha")
def divides_by_alpha(params, slopes, alpha):
    return {name: params[name] - slopes[name] / alpha for name in params}


@wrong_answer("01.descent_step", says="do not divide the slopes by their norm")
def takes_steps_of_one_length(params, slopes, alpha):
    norm = np.sqrt(sum(np.sum(slope**2) for slope in slopes.values()))
    return {name: params[name] - alpha * slopes[name] / norm for name in params}


@wrong_answer("01.descent_step", says="do not divide a slope by its norm")
def takes_steps_of_one_length_each(params, slopes, alpha):
    return {
        name: params[name] - alpha * slopes[name] / np.linalg.norm(slopes[name]) for name in params
    }


@wrong_answer("01.descent_step", says="only the sign of the slope")
def takes_the_sign(params, slopes, alpha):
    return {name: params[name] - alpha * np.sign(slopes[name]) for name in params}


@wrong_answer("01.descent_step", says="multiplied by alpha twice")
def squares_alpha(params, slopes, alpha):
    return {name: params[name] - alpha**2 * slopes[name] for name in params}


@wrong_answer("01.descent_step", says="multiplied by the parameters")
def shrinks_by_a_factor(params, slopes, alpha):
    return {name: params[name] * (1 - alpha * slopes[name]) for name in params}


@wrong_answer("01.descent_step", says="weight decay")
def decays(params, slopes, alpha):
    return {name: params[name] - alpha * (slopes[name] + params[name]) for name in params}


@wrong_answer("01.descent_step", says="have been added up")
def adds_up_the_slope(params, slopes, alpha):
    return {name: params[name] - alpha * slopes[name].sum() for name in params}


@wrong_answer("01.descent_step", says="have been averaged")
def averages_the_slope(params, slopes, alpha):
    return {name: params[name] - alpha * slopes[name].mean() for name in params}


@wrong_answer("01.descent_step", says="by name")
def pairs_by_place(params, slopes, alpha):
    pairs = zip(params.items(), slopes.values(), strict=True)
    return {name: theta - alpha * slope for (name, theta), slope in pairs}


@wrong_answer("01.descent_step", says="only the first parameter")
def returns_inside_the_loop(params, slopes, alpha):
    new = {}
    for name in params:
        new[name] = params[name] - alpha * slopes[name]
        return new


@wrong_answer("01.descent_step", says="the slope is missing")
def subtracts_alpha_alone(params, slopes, alpha):
    return {name: params[name] - alpha for name in params}


@wrong_answer("01.descent_step", says="twice as long")
def doubles_the_step(params, slopes, alpha):
    return {name: params[name] - 2 * alpha * slopes[name] for name in params}


@wrong_answer("01.descent_step", says="only the first parameter has moved")
def moves_the_first_only(params, slopes, alpha):
    first = next(iter(params))
    return {**params, first: params[first] - alpha * slopes[first]}


@wrong_answer("01.descent_step", says="only the last parameter has moved")
def begins_the_dict_again(params, slopes, alpha):
    for name in params:
        new = dict(params)
        new[name] = params[name] - alpha * slopes[name]
    return new


@wrong_answer("01.descent_step", says="nothing moved")
def rebinds_the_loop_variable(params, slopes, alpha):
    for name, value in params.items():
        value = value - alpha * slopes[name]  # `params` still holds the old array
    return params


@wrong_answer("01.descent_step", says="without their names")
def returns_a_list(params, slopes, alpha):
    return [params[name] - alpha * slopes[name] for name in params]


@wrong_answer("01.descent_step", says="is a `return` missing?")
def returns_nothing(params, slopes, alpha):
    new = {name: params[name] - alpha * slopes[name] for name in params}  # noqa: F841


@right_answer("01.descent_step", why="with the library's own rule")
def uses_the_library(params, slopes, alpha):
    return ref.sgd(params, slopes, lr=alpha)[0]


@right_answer("01.descent_step", why="on tensors")
def works_on_tensors(params, slopes, alpha):
    theta = {name: torch.tensor(value) for name, value in params.items()}
    return {name: theta[name] - alpha * torch.tensor(slopes[name]) for name in theta}


@right_answer("01.descent_step", why="lists of numbers in place of arrays, in another order")
def returns_lists(params, slopes, alpha):
    return {name: (params[name] - alpha * slopes[name]).tolist() for name in reversed(params)}


@right_answer("01.descent_step", why="changes copies in place")
def changes_copies(params, slopes, alpha):
    new = {name: np.array(value) for name, value in params.items()}
    for name in new:
        new[name] -= alpha * slopes[name]
    return new


# ------------------------------------------------------------------ 01.2


@wrong_answer("01.largest_stable_step", says="(1/λmax), not the limit")
def one_over_the_largest(hessian):
    return 1 / np.linalg.eigvalsh(hessian).max()


@wrong_answer("01.largest_stable_step", says="limit of the flattest direction")
def two_over_the_smallest(hessian):
    return 2 / np.linalg.eigvalsh(hessian).min()


@wrong_answer("01.largest_stable_step", says="`eig` does not sort: its first")
def takes_the_first_of_eig(hessian):
    return 2 / np.linalg.eig(hessian)[0][0]


@wrong_answer("01.largest_stable_step", says="`eig` does not sort: its last")
def takes_the_last_of_eig(hessian):
    return 2 / np.linalg.eigvals(hessian)[-1]


@wrong_answer("01.largest_stable_step", says="the diagonal does not hold the curvatures")
def reads_the_diagonal(hessian):
    return 2 / np.diag(hessian).max()


@wrong_answer("01.largest_stable_step", says="only the largest one sets the limit")
def divides_by_the_trace(hessian):
    return 2 / np.trace(hessian)


@wrong_answer("01.largest_stable_step", says="this is the best step size")
def takes_the_best_step_size(hessian):
    curvatures = np.linalg.eigvalsh(hessian)
    return 2 / (curvatures[0] + curvatures[-1])


@wrong_answer("01.largest_stable_step", says="a norm of all the entries")
def takes_the_norm_of_the_entries(hessian):
    return 2 / np.linalg.norm(hessian)


@wrong_answer("01.largest_stable_step", says="only bounds λmax from above")
def takes_the_largest_row_sum(hessian):
    return 2 / np.abs(hessian).sum(axis=1).max()


@wrong_answer("01.largest_stable_step", says="this is the largest curvature")
def returns_the_curvature(hessian):
    return np.linalg.eigvalsh(hessian)[-1]


@wrong_answer("01.largest_stable_step", says="this is upside down")
def turns_it_upside_down(hessian):
    return np.linalg.eigvalsh(hessian)[-1] / 2


@wrong_answer("01.largest_stable_step", says="should be a number")
def returns_a_limit_per_direction(hessian):
    return 2 / np.linalg.eigvalsh(hessian)


@right_answer("01.largest_stable_step", why="the spectral norm of a bowl is its largest curvature")
def takes_the_spectral_norm(hessian):
    return 2 / np.linalg.norm(hessian, 2)


@right_answer("01.largest_stable_step", why="power iteration")
def iterates_powers(hessian):
    direction = np.ones(len(hessian)) + np.arange(len(hessian))
    for _ in range(2000):
        direction = hessian @ direction
        direction = direction / np.linalg.norm(direction)
    return 2 / (direction @ hessian @ direction)


@right_answer("01.largest_stable_step", why="a number in single precision")
def answers_in_single_precision(hessian):
    return np.float32(2 / np.linalg.eigvalsh(hessian).max())


@right_answer("01.largest_stable_step", why="a tensor of no dimension")
def answers_with_a_tensor(hessian):
    return 2 / torch.linalg.eigvalsh(torch.tensor(hessian)).max()


# ------------------------------------------------------------------ 01.3


@wrong_answer("01.convergence_rates", says="a factor has a sign")
def leaves_the_sign(hessian, alpha):
    factors = 1 - alpha * np.linalg.eigvalsh(hessian)
    return factors, int(np.argmax(np.abs(factors)))


@wrong_answer("01.convergence_rates", says="rates of the loss")
def squares_the_factors(hessian, alpha):
    rates = (1 - alpha * np.linalg.eigvalsh(hessian)) ** 2
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="the share that one step removes")
def returns_what_is_removed(hessian, alpha):
    removed = alpha * np.linalg.eigvalsh(hessian)
    return removed, int(np.argmax(np.abs(1 - removed)))


@wrong_answer("01.convergence_rates", says="a negative curvature has lost its sign")
def takes_singular_values(hessian, alpha):
    rates = np.abs(1 - alpha * np.sort(np.abs(np.linalg.eigvalsh(hessian))))
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="the right rates in another order")
def starts_with_the_steepest(hessian, alpha):
    rates = np.abs(1 - alpha * np.linalg.eigvalsh(hessian))[::-1]
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="from the smallest eigenvalue to the largest")
def sorts_the_rates(hessian, alpha):
    rates = np.sort(np.abs(1 - alpha * np.linalg.eigvalsh(hessian)))
    return rates, len(rates) - 1


@wrong_answer("01.convergence_rates", says="the diagonal does not hold")
def rates_of_the_diagonal(hessian, alpha):
    rates = np.abs(1 - alpha * np.sort(np.diag(hessian)))
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="`eig` does not")
def leaves_eig_unsorted(hessian, alpha):
    rates = np.abs(1 - alpha * np.linalg.eig(hessian)[0])
    return rates, int(np.argmax(rates))


@wrong_answer("01.convergence_rates", says="this direction dies out first")
def takes_the_smallest_rate(hessian, alpha):
    rates = np.abs(1 - alpha * np.linalg.eigvalsh(hessian))
    return rates, int(np.argmin(rates))


@wrong_answer("01.convergence_rates", says="the flattest direction is not always")
def blames_the_flattest_direction(hessian, alpha):
    return np.abs(1 - alpha * np.linalg.eigvalsh(hessian)), 0


@wrong_answer("01.convergence_rates", says="the steepest direction is not always")
def blames_the_steepest_direction(hessian, alpha):
    return np.abs(1 - alpha * np.linalg.eigvalsh(hessian)), len(hessian) - 1


@wrong_answer("01.convergence_rates", says="give its place in `rates`")
def returns_the_largest_rate(hessian, alpha):
    rates = np.abs(1 - alpha * np.linalg.eigvalsh(hessian))
    return rates, float(rates.max())


@wrong_answer("01.convergence_rates", says="this counts from 1")
def counts_from_one(hessian, alpha):
    rates = np.abs(1 - alpha * np.linalg.eigvalsh(hessian))
    return rates, int(np.argmax(rates)) + 1


@wrong_answer("01.convergence_rates", says="compare sizes, not signs")
def takes_the_largest_signed_factor(hessian, alpha):
    factors = 1 - alpha * np.linalg.eigvalsh(hessian)
    return np.abs(factors), int(np.argmax(factors))


@right_answer("01.convergence_rates", why="eigenvalues of I − αH, brought into order")
def takes_eigenvalues_of_the_step(hessian, alpha):
    factors = np.linalg.eigvalsh(np.eye(len(hessian)) - alpha * hessian)[::-1]
    return [np.abs(factors), np.argmax(np.abs(factors))]


@right_answer("01.convergence_rates", why="`eig` on a general matrix, sorted by hand; a list")
def sorts_by_hand(hessian, alpha):
    curvatures = sorted(np.linalg.eig(hessian)[0].real)
    rates = [abs(1 - alpha * curvature) for curvature in curvatures]
    return rates, rates.index(max(rates))


@right_answer("01.convergence_rates", why="on tensors, and a whole number in a tensor")
def works_out_rates_on_tensors(hessian, alpha):
    rates = (1 - alpha * torch.linalg.eigvalsh(torch.tensor(hessian))).abs()
    return rates, rates.argmax()


# ------------------------------------------------------------------ 01.4


@wrong_answer("01.finite_difference_gradient", says="this is the forward difference")
def looks_to_one_side(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += h
        slopes[place] = (f(moved) - f(x)) / h
    return slopes


@wrong_answer("01.finite_difference_gradient", says="this is the backward difference")
def looks_back(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] -= h
        slopes[place] = (f(x) - f(moved)) / h
    return slopes


@wrong_answer("01.finite_difference_gradient", says="never to the other side")
def goes_forward_and_back(f, x, h):
    x, slopes = x.copy(), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= h
        slopes[place] = (above - f(x)) / (2 * h)
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


@wrong_answer("01.finite_difference_gradient", says="write `/ (2 * h)`")
def divides_by_two_times_h_without_brackets(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[place] = h
        slopes[place] = (f(x + move) - f(x - move)) / 2 * h
    return slopes


@wrong_answer("01.finite_difference_gradient", says="`=` does not copy")
def copies_nothing(f, x, h):
    x, slopes = x.copy(), np.zeros_like(x)
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


@wrong_answer("01.finite_difference_gradient", says="a whole row was moved")
def moves_a_row(f, x, h):
    slopes = np.zeros_like(x)
    for i in range(len(x)):
        above, below = x.copy(), x.copy()
        above[i] += h
        below[i] -= h
        slopes[i] = (f(above) - f(below)) / (2 * h)
    return slopes


@wrong_answer("01.finite_difference_gradient", says="entries stay moved")
def leaves_entries_moved(f, x, h):
    x, slopes = x.copy(), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= 2 * h
        slopes[place] = (above - f(x)) / (2 * h)
    return slopes


@wrong_answer("01.finite_difference_gradient", says="a fresh copy")
def makes_both_copies_once(f, x, h):
    above, below, slopes = x.copy(), x.copy(), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        above[place] += h
        below[place] -= h
        slopes[place] = (f(above) - f(below)) / (2 * h)
    return slopes


@wrong_answer("01.finite_difference_gradient", says="a fresh array of zeros")
def makes_the_move_once(f, x, h):
    move, slopes = np.zeros_like(x), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        move[place] = h
        slopes[place] = (f(x + move) - f(x - move)) / (2 * h)
    return slopes


@wrong_answer("01.finite_difference_gradient", says="a formula of higher order")
def takes_four_points(f, x, h):
    return (8 * differences(f, x, h) - differences(f, x, 2 * h)) / (12 * h)


@wrong_answer("01.finite_difference_gradient", says="the gradient has the shape of x")
def returns_a_flat_array(f, x, h):
    moves = h * np.eye(x.size).reshape(-1, *x.shape)
    return np.array([(f(x + move) - f(x - move)) / (2 * h) for move in moves])


@wrong_answer("01.finite_difference_gradient", says="is it the exact slope")
def differentiates(f, x, h):
    return ref.grad(f)(x)


def differences(f, x, h):
    """f(x + h eᵢ) − f(x − h eᵢ) for each entry, shaped like x."""
    moves = h * np.eye(x.size).reshape(-1, *x.shape)
    return np.reshape([f(x + move) - f(x - move) for move in moves], x.shape)


@wrong_answer("01.finite_difference_gradient", says="divided by 2 alone")
def forgets_h_in_the_division(f, x, h):
    return differences(f, x, h) / 2


@wrong_answer("01.finite_difference_gradient", says="a difference per distance")
def forgets_the_division(f, x, h):
    return differences(f, x, h)


@wrong_answer("01.finite_difference_gradient", says="each point is h/2 away")
def goes_half_of_h_to_each_side(f, x, h):
    return differences(f, x, h / 2) / h


@wrong_answer("01.finite_difference_gradient", says="each point is 2h away")
def goes_twice_h_to_each_side(f, x, h):
    return differences(f, x, 2 * h) / (4 * h)


@wrong_answer("01.finite_difference_gradient", says="it was called with a flat one")
def hands_over_a_flat_array(f, x, h):
    flat = x.ravel()
    return (differences(f, flat, h) / (2 * h)).reshape(x.shape)


@wrong_answer("01.finite_difference_gradient", says="and the gradient has that shape, too")
def works_on_a_flat_array_all_along(f, x, h):
    return differences(f, x.ravel(), h) / (2 * h)


@wrong_answer("01.finite_difference_gradient", says="called with one entry alone")
def hands_over_one_entry(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        slopes[place] = (f(x[place] + h) - f(x[place] - h)) / (2 * h)
    return slopes


@right_answer("01.finite_difference_gradient", why="moved as a flat array, put into shape for f")
def moves_a_flat_array_and_reshapes(f, x, h):
    def at(flat):
        return f(flat.reshape(x.shape))

    return (differences(at, x.ravel(), h) / (2 * h)).reshape(x.shape)


@right_answer("01.finite_difference_gradient", why="x itself is moved and put back")
def puts_entries_back(f, x, h):
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        old, values = x[place], []
        for moved in (old + h, old - h):
            x[place] = moved
            values.append(f(x))
        x[place] = old
        slopes[place] = (values[0] - values[1]) / (2 * h)
    return slopes


@right_answer("01.finite_difference_gradient", why="all moves made beforehand; a nested list")
def makes_all_moves_beforehand(f, x, h):
    moves = h * np.eye(x.size).reshape(-1, *x.shape)
    slopes = [(f(x + move) - f(x - move)) / (2 * h) for move in moves]
    return np.reshape(slopes, x.shape).tolist()


@right_answer("01.finite_difference_gradient", why="the result in single precision")
def rounds_to_single_precision(f, x, h):
    slopes = np.zeros(x.shape, np.float32)
    for place in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[place] = h
        slopes[place] = (f(x + move) - f(x - move)) / (2 * h)
    return slopes


# ------------------------------------------------------------------ 01.5


def floors(curvatures, alpha, variance):
    """The right answer's part of each direction."""
    return alpha * variance / (2 * (2 - alpha * curvatures))


@wrong_answer("01.settled_loss", says="this is as noisy as one example")
def averages_nothing(curvatures, alpha, sigma, examples):
    return floors(curvatures, alpha, sigma**2).sum()


@wrong_answer("01.settled_loss", says="dividing σ by n")
def divides_sigma_by_n(curvatures, alpha, sigma, examples):
    return floors(curvatures, alpha, (sigma / examples) ** 2).sum()


@wrong_answer("01.settled_loss", says="here it enters as σ")
def takes_sigma_for_the_variance(curvatures, alpha, sigma, examples):
    return floors(curvatures, alpha, sigma / examples).sum()


@wrong_answer("01.settled_loss", says="½ of the loss")
def forgets_the_half(curvatures, alpha, sigma, examples):
    return 2 * floors(curvatures, alpha, sigma**2 / examples).sum()


@wrong_answer("01.settled_loss", says="these are the mean squares of θ")
def forgets_the_loss(curvatures, alpha, sigma, examples):
    return np.sum(2 / curvatures * floors(curvatures, alpha, sigma**2 / examples))


@wrong_answer("01.settled_loss", says="here all of them have λ = 1")
def copies_the_lesson(curvatures, alpha, sigma, examples):
    return len(curvatures) * alpha * sigma**2 / examples / (2 * (2 - alpha))


@wrong_answer("01.settled_loss", says="with λ = 1 and one example")
def copies_the_lesson_as_it_stands(curvatures, alpha, sigma, examples):
    return alpha * sigma**2 / (2 * (2 - alpha))


@wrong_answer("01.settled_loss", says="one direction with λ = 1: derive")
def copies_the_lesson_for_a_batch(curvatures, alpha, sigma, examples):
    return alpha * sigma**2 / examples / (2 * (2 - alpha))


@wrong_answer("01.settled_loss", says="and a mean of n numbers has the variance")
def copies_the_lesson_for_each_direction(curvatures, alpha, sigma, examples):
    return len(curvatures) * alpha * sigma**2 / (2 * (2 - alpha))


@wrong_answer("01.settled_loss", says="αλ in place of each α")
def puts_curvatures_into_the_lesson(curvatures, alpha, sigma, examples):
    rates = alpha * curvatures
    return np.sum(rates * sigma**2 / examples / (2 * (2 - rates)))


@wrong_answer("01.settled_loss", says="here each mean square m counts as ½m")
def halves_the_mean_squares(curvatures, alpha, sigma, examples):
    return np.sum(floors(curvatures, alpha, sigma**2 / examples) / curvatures)


@wrong_answer("01.settled_loss", says="dividing σ² by √n")
def divides_by_the_root_of_n(curvatures, alpha, sigma, examples):
    return floors(curvatures, alpha, sigma**2 / np.sqrt(examples)).sum()


@wrong_answer("01.settled_loss", says="the noise is multiplied by λ")
def multiplies_the_noise_by_the_curvature(curvatures, alpha, sigma, examples):
    variance = (alpha * curvatures * sigma) ** 2 / examples
    mean_square = variance / (1 - (1 - alpha * curvatures) ** 2)
    return np.sum(curvatures * mean_square) / 2


@wrong_answer("01.settled_loss", says="the square is missing")
def forgets_the_square(curvatures, alpha, sigma, examples):
    mean_square = alpha**2 * sigma**2 / examples / (1 - (1 - alpha * curvatures))
    return np.sum(curvatures * mean_square) / 2


@wrong_answer("01.settled_loss", says="the rule for small α")
def takes_the_rule_for_small_steps(curvatures, alpha, sigma, examples):
    return len(curvatures) * alpha * sigma**2 / examples / 4


@wrong_answer("01.settled_loss", says="only the steepest direction is counted")
def counts_the_steepest_alone(curvatures, alpha, sigma, examples):
    return floors(curvatures, alpha, sigma**2 / examples)[np.argmax(curvatures)]


@wrong_answer("01.settled_loss", says="averages over the directions")
def averages_the_directions(curvatures, alpha, sigma, examples):
    return floors(curvatures, alpha, sigma**2 / examples).mean()


@wrong_answer("01.settled_loss", says="α² belongs to its variance")
def forgets_that_noise_is_scaled(curvatures, alpha, sigma, examples):
    mean_square = alpha * sigma**2 / examples / (1 - (1 - alpha * curvatures) ** 2)
    return np.sum(curvatures * mean_square) / 2


@wrong_answer("01.settled_loss", says="the denominators 2 − αλ have been added up")
def adds_up_the_denominators(curvatures, alpha, sigma, examples):
    return alpha * sigma**2 / (2 * examples * np.sum(2 - alpha * curvatures))


@wrong_answer("01.settled_loss", says="all of them have the mean of the λ")
def takes_the_mean_curvature_for_each(curvatures, alpha, sigma, examples):
    mean = np.full_like(curvatures, curvatures.mean())
    return floors(mean, alpha, sigma**2 / examples).sum()


@wrong_answer("01.settled_loss", says="all of them have the largest λ")
def takes_the_largest_curvature_for_each(curvatures, alpha, sigma, examples):
    largest = np.full_like(curvatures, curvatures.max())
    return floors(largest, alpha, sigma**2 / examples).sum()


@wrong_answer("01.settled_loss", says="here by 1 − α: λ belongs to the shrinking")
def shrinks_all_directions_alike(curvatures, alpha, sigma, examples):
    mean_square = alpha**2 * sigma**2 / examples / (1 - (1 - alpha) ** 2)
    return np.sum(curvatures * mean_square) / 2


@wrong_answer("01.settled_loss", says="neither simulate nor round")
def simulates(curvatures, alpha, sigma, examples):
    rng = np.random.default_rng(0)
    theta = np.zeros((4000, len(curvatures)))
    for _ in range(400):
        noise = sigma / np.sqrt(examples) * rng.standard_normal(theta.shape)
        theta = theta - alpha * (curvatures * theta + noise)
    return np.mean(np.sum(curvatures * theta**2, axis=1)) / 2


@wrong_answer("01.settled_loss", says="a sign is turned")
def turns_a_sign(curvatures, alpha, sigma, examples):
    return np.sum(alpha * sigma**2 / examples / (2 * (2 + alpha * curvatures)))


@wrong_answer("01.settled_loss", says="all of them have the sum of the λ")
def takes_the_sum_of_curvatures_for_each(curvatures, alpha, sigma, examples):
    return len(curvatures) * takes_the_sum_of_curvatures(curvatures, alpha, sigma, examples)


@wrong_answer("01.settled_loss", says="here one with the sum of the λ")
def takes_the_sum_of_curvatures(curvatures, alpha, sigma, examples):
    return alpha * sigma**2 / examples / (2 * (2 - alpha * np.sum(curvatures)))


@right_answer("01.settled_loss", why="the law is repeated until it stands still")
def repeats_the_law(curvatures, alpha, sigma, examples):
    mean_square = np.zeros_like(curvatures)
    for _ in range(5000):
        mean_square = (1 - alpha * curvatures) ** 2 * mean_square + alpha**2 * sigma**2 / examples
    return np.sum(curvatures * mean_square) / 2


@right_answer("01.settled_loss", why="plain Python numbers, one direction after the other")
def adds_up(curvatures, alpha, sigma, examples):
    total = 0.0
    for curvature in curvatures.tolist():
        total += alpha * sigma**2 / examples / (2 * (2 - alpha * curvature))
    return total


@right_answer("01.settled_loss", why="a tensor of single precision")
def settles_in_single_precision(curvatures, alpha, sigma, examples):
    return torch.tensor(floors(curvatures, alpha, sigma**2 / examples).sum(), dtype=torch.float32)


# ------------------------------------------------------------------ 01.6


def known(path, alpha):
    """(H, the slope at the first place): what a right answer works with."""
    slopes = (path[:-1] - path[1:]) / alpha
    moves = np.diff(path[:-1], axis=0)
    hessian = np.linalg.lstsq(moves, np.diff(slopes, axis=0), rcond=None)[0]
    return (hessian + hessian.T) / 2, slopes[0]


def centre_of(path, alpha):
    hessian, slope = known(path, alpha)
    return path[0] - np.linalg.solve(hessian, slope)


@wrong_answer("01.curvatures_of_a_path", says="these are the factors 1 − αλ of a step")
def returns_the_factors(path, alpha):
    hessian, _ = known(path, alpha)
    return np.linalg.eigvalsh(np.eye(len(hessian)) - alpha * hessian), centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="so divide by alpha")
def forgets_to_divide_by_alpha(path, alpha):
    hessian, _ = known(path, alpha)
    return alpha * np.linalg.eigvalsh(hessian), centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="sort them upwards")
def sorts_downwards(path, alpha):
    return np.linalg.eigvalsh(known(path, alpha)[0])[::-1], centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="`eigvals` do not sort")
def leaves_eigvals_unsorted(path, alpha):
    return np.linalg.eigvals(known(path, alpha)[0]), centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="all signs are turned")
def takes_the_move_for_the_slope(path, alpha):
    slopes = np.diff(path, axis=0) / alpha
    moves = np.diff(path[:-1], axis=0)
    hessian = np.linalg.lstsq(moves, np.diff(slopes, axis=0), rcond=None)[0]
    centre = path[0] - np.linalg.solve(hessian, slopes[0])
    return np.linalg.eigvalsh((hessian + hessian.T) / 2), centre


@wrong_answer("01.curvatures_of_a_path", says="paired with the place after it")
def pairs_slopes_with_later_places(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    moves = np.diff(path[1:], axis=0)
    hessian = np.linalg.lstsq(moves, np.diff(slopes, axis=0), rcond=None)[0]
    centre = path[1] - np.linalg.solve(hessian, slopes[0])
    return np.linalg.eigvalsh((hessian + hessian.T) / 2), centre


@wrong_answer("01.curvatures_of_a_path", says="these are the eigenvalues of H⁻¹")
def swaps_the_arguments_of_lstsq(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    moves, changes = np.diff(path[:-1], axis=0), np.diff(slopes, axis=0)
    inverse = np.linalg.lstsq(changes, moves, rcond=None)[0]
    centre = path[0] - np.linalg.solve(inverse, slopes[0])
    return np.linalg.eigvalsh((inverse + inverse.T) / 2), centre


@wrong_answer("01.curvatures_of_a_path", says="the two parts have changed places")
def returns_the_centre_first(path, alpha):
    return centre_of(path, alpha), np.linalg.eigvalsh(known(path, alpha)[0])


@wrong_answer("01.curvatures_of_a_path", says="this takes the last place for c")
def takes_the_last_place_all_along(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    hessian = np.linalg.lstsq(path[:-1] - path[-1], slopes, rcond=None)[0]
    return np.linalg.eigvalsh((hessian + hessian.T) / 2), path[-1]


@wrong_answer("01.curvatures_of_a_path", says="only if H is diagonal: take eigenvalues")
def returns_the_diagonal(path, alpha):
    return np.sort(np.diag(known(path, alpha)[0])), centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="fits each coordinate by itself")
def fits_each_coordinate(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    moves, changes = np.diff(path[:-1], axis=0), np.diff(slopes, axis=0)
    curvatures = (moves * changes).sum(axis=0) / (moves * moves).sum(axis=0)
    return np.sort(curvatures), path[0] - slopes[0] / curvatures


@wrong_answer("01.curvatures_of_a_path", says="multiplies by H where H⁻¹ belongs")
def multiplies_by_the_hessian(path, alpha):
    hessian, slope = known(path, alpha)
    return np.linalg.eigvalsh(hessian), path[0] - hessian @ slope


@wrong_answer("01.curvatures_of_a_path", says="both must be of one step")
def looks_from_the_next_place(path, alpha):
    hessian, slope = known(path, alpha)
    return np.linalg.eigvalsh(hessian), path[1] - np.linalg.solve(hessian, slope)


@wrong_answer("01.curvatures_of_a_path", says="a curvature can be negative")
def takes_curvatures_for_positive(path, alpha):
    hessian, _ = known(path, alpha)
    return np.linalg.svd(hessian)[1][::-1], centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="and c is not 0")
def puts_the_centre_at_zero(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    hessian = np.linalg.lstsq(path[:-1], slopes, rcond=None)[0]
    return np.linalg.eigvalsh((hessian + hessian.T) / 2), np.zeros(path.shape[1])


def fitted_around(centre, path, alpha):
    """The H, not symmetric, that fits slope = H(θ − centre) best."""
    slopes = (path[:-1] - path[1:]) / alpha
    return np.linalg.lstsq(path[:-1] - centre, slopes, rcond=None)[0]


@wrong_answer("01.curvatures_of_a_path", says="differences of successive θ and of their slopes")
def puts_the_centre_at_zero_and_reads_half_of_the_fit(path, alpha):
    hessian = fitted_around(np.zeros(path.shape[1]), path, alpha)
    return np.linalg.eigvalsh(hessian), np.zeros(path.shape[1])


@wrong_answer("01.curvatures_of_a_path", says="H(θ − c), and c is")
def puts_the_centre_at_zero_and_takes_eigvals(path, alpha):
    hessian = fitted_around(np.zeros(path.shape[1]), path, alpha)
    return np.linalg.eigvals(hessian).real, centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="the path has not arrived, and on a saddle")
def centres_on_the_last_place_and_reads_half_of_the_fit(path, alpha):
    return np.linalg.eigvalsh(fitted_around(path[-1], path, alpha)), path[-1]


@wrong_answer("01.curvatures_of_a_path", says="takes the mean of the path for c")
def centres_on_the_mean_place(path, alpha):
    mean = path.mean(axis=0)
    return np.linalg.eigvalsh(fitted_around(mean, path, alpha)), mean


@wrong_answer("01.curvatures_of_a_path", says="takes the first place for c")
def centres_on_the_first_place(path, alpha):
    return np.linalg.eigvalsh(fitted_around(path[0], path, alpha)), path[0]


@wrong_answer("01.curvatures_of_a_path", says="pair moves with *changes* of slope")
def pairs_moves_with_their_own_slopes(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    hessian = np.linalg.lstsq(np.diff(path, axis=0), slopes, rcond=None)[0]
    return np.linalg.eigvalsh(hessian), centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="singular values are")
def leaves_singular_values_as_they_come(path, alpha):
    return np.linalg.svd(known(path, alpha)[0])[1], centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="this is H itself")
def returns_the_hessian(path, alpha):
    return known(path, alpha)[0], centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="the matrix of a step")
def returns_the_matrix_of_a_step(path, alpha):
    hessian, _ = known(path, alpha)
    return np.eye(len(hessian)) - alpha * hessian, centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="each coordinate for a direction of its own")
def goes_coordinate_by_coordinate(path, alpha):
    moves = np.diff(path, axis=0)
    return np.sort((1 - moves[1] / moves[0]) / alpha), centre_of(path, alpha)


@wrong_answer("01.curvatures_of_a_path", says="this is where the path ends")
def takes_the_last_place(path, alpha):
    return np.linalg.eigvalsh(known(path, alpha)[0]), path[-1]


@wrong_answer("01.curvatures_of_a_path", says="the mean of the path")
def takes_the_mean_place(path, alpha):
    return np.linalg.eigvalsh(known(path, alpha)[0]), path.mean(axis=0)


@wrong_answer("01.curvatures_of_a_path", says="this went the wrong way")
def adds_the_newton_step(path, alpha):
    hessian, slope = known(path, alpha)
    return np.linalg.eigvalsh(hessian), path[0] + np.linalg.solve(hessian, slope)


@wrong_answer("01.curvatures_of_a_path", says="divide by alpha before you solve")
def solves_with_the_step(path, alpha):
    hessian, _ = known(path, alpha)
    return np.linalg.eigvalsh(hessian), path[0] - np.linalg.solve(hessian, path[0] - path[1])


@wrong_answer("01.curvatures_of_a_path", says="the place from which you looked")
def returns_the_newton_step(path, alpha):
    hessian, slope = known(path, alpha)
    return np.linalg.eigvalsh(hessian), -np.linalg.solve(hessian, slope)


@wrong_answer("01.curvatures_of_a_path", says="takes the slope for the way")
def subtracts_the_slope(path, alpha):
    hessian, slope = known(path, alpha)
    return np.linalg.eigvalsh(hessian), path[0] - slope


@wrong_answer("01.curvatures_of_a_path", says="one of the diagonal of H")
def divides_by_the_diagonal(path, alpha):
    hessian, slope = known(path, alpha)
    return np.linalg.eigvalsh(hessian), path[0] - slope / np.diag(hessian)


@wrong_answer("01.curvatures_of_a_path", says="by a curvature")
def divides_by_the_curvatures(path, alpha):
    hessian, slope = known(path, alpha)
    curvatures = np.linalg.eigvalsh(hessian)
    return curvatures, path[0] - slope / curvatures


@right_answer("01.curvatures_of_a_path", why="successive moves are multiplied by I − αH")
def fits_the_step(path, alpha):
    moves = np.diff(path, axis=0)
    step = np.linalg.lstsq(moves[:-1], moves[1:], rcond=None)[0]  # I − αH
    curvatures, directions = np.linalg.eig((np.eye(len(step)) - step) / alpha)
    slope = (path[0] - path[1]) / alpha
    newton = directions @ (np.linalg.solve(directions, slope) / curvatures)
    return np.sort(curvatures.real), path[0] - newton.real


@right_answer("01.curvatures_of_a_path", why="H and Hc from one system with a constant column")
def fits_an_affine_map(path, alpha):
    places = np.column_stack([path[:-1], np.ones(len(path) - 1)])
    slopes = (path[:-1] - path[1:]) / alpha
    fit = np.linalg.lstsq(places, slopes, rcond=None)[0]  # (n + 1, n): H above −Hc
    hessian = (fit[:-1] + fit[:-1].T) / 2
    return [np.linalg.eigvalsh(hessian).tolist(), (-np.linalg.solve(hessian, fit[-1])).tolist()]


@right_answer("01.curvatures_of_a_path", why="just enough moves, solved exactly, on tensors")
def solves_with_the_first_moves(path, alpha):
    path, n = torch.tensor(path), path.shape[1]
    slopes = (path[:-1] - path[1:]) / alpha
    hessian = torch.linalg.solve(path[1 : n + 1] - path[:n], slopes[1 : n + 1] - slopes[:n])
    centre = path[0] - torch.linalg.solve(hessian, slopes[0])
    return torch.linalg.eigvalsh((hessian + hessian.T) / 2), centre
