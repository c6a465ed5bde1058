"""Wrong answers that a learner of chapter 06 might give, and what each is told; then unusual right ones."""

import math

import numpy as np

from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 06.1


def _landed(theta, a, c, rates):
    for rate in rates:
        theta = theta - rate * a * (theta - c)
    return theta


@wrong_answer("06.k_step_slope", says="how φ_K follows θ is missing")
def first_order(theta, a, c, b, d, rates):
    return b * (_landed(theta, a, c, rates) - d)


@wrong_answer("06.k_step_slope", says="only one step's factor is there")
def last_factor_only(theta, a, c, b, d, rates):
    return (1 - rates[-1] * a) * b * (_landed(theta, a, c, rates) - d)


@wrong_answer("06.k_step_slope", says="only the first step's factor is there")
def first_factor_only(theta, a, c, b, d, rates):
    return (1 - rates[0] * a) * b * (_landed(theta, a, c, rates) - d)


@wrong_answer("06.k_step_slope", says="once too often")
def product_squared(theta, a, c, b, d, rates):
    return np.prod((1 - rates * a) ** 2) * b * (_landed(theta, a, c, rates) - d)


@wrong_answer("06.k_step_slope", says="this is the parabola of one loss")
def exponent_twice_k_of_one_loss(theta, a, c, b, d, rates):
    return a * np.prod(1 - rates * a) ** 2 * (theta - c)


@wrong_answer("06.k_step_slope", says="judged by its distance to c")
def distance_to_the_support_minimum(theta, a, c, b, d, rates):
    return np.prod(1 - rates * a) ** 2 * b * (theta - c)


@wrong_answer("06.k_step_slope", says="1 − a Σα is what K steps would do")
def steps_added(theta, a, c, b, d, rates):
    follows = 1 - a * sum(rates)
    return follows * b * (c + follows * (theta - c) - d)


@wrong_answer("06.k_step_slope", says="the mean rate, K times")
def mean_rate(theta, a, c, b, d, rates):
    follows = (1 - a * np.mean(rates)) ** len(rates)
    return follows * b * (c + follows * (theta - c) - d)


@wrong_answer("06.k_step_slope", says="you take the first one K times")
def first_rate(theta, a, c, b, d, rates):
    follows = (1 - a * rates[0]) ** len(rates)
    return follows * b * (c + follows * (theta - c) - d)


@wrong_answer("06.k_step_slope", says="one step is missing, the last")
def a_step_too_few(theta, a, c, b, d, rates):
    follows = math.prod(1 - rate * a for rate in rates[:-1])
    return follows * b * (_landed(theta, a, c, rates[:-1]) - d)


@wrong_answer("06.k_step_slope", says="the factors are 1 − α_k a, not 1 − α_k")
def factors_without_curvature(theta, a, c, b, d, rates):
    follows = np.prod(1 - rates)
    return follows * b * (c + follows * (theta - c) - d)


@wrong_answer("06.k_step_slope", says="the steps go downhill")
def uphill(theta, a, c, b, d, rates):
    follows = np.prod(1 + rates * a)
    return follows * b * (_landed(theta, a, c, -rates) - d)


@wrong_answer("06.k_step_slope", says="you took the support's, a")
def support_curvature(theta, a, c, b, d, rates):
    return np.prod(1 - rates * a) * a * (_landed(theta, a, c, rates) - d)


@wrong_answer("06.k_step_slope", says="this is half of the slope")
def halved(theta, a, c, b, d, rates):
    return np.prod(1 - rates * a) * b * (_landed(theta, a, c, rates) - d) / 2


@wrong_answer("06.k_step_slope", says="this is twice the slope")
def doubled(theta, a, c, b, d, rates):
    return 2 * np.prod(1 - rates * a) * b * (_landed(theta, a, c, rates) - d)


@wrong_answer("06.k_step_slope", says="yours is b(θ − d)")
def slope_at_the_start(theta, a, c, b, d, rates):
    return np.prod(1 - rates * a) * b * (theta - d)


@wrong_answer("06.k_step_slope", says="this is how φ_K follows θ; it still")
def only_the_path(theta, a, c, b, d, rates):
    return np.prod(1 - rates * a)


# ------------------------------------------------------------------ 06.2


def _ahead(theta, rates, support_h, support_min):
    """(φ₀ … φ_K, g₀ … g_{K−1}), lists."""
    path, slopes = [theta], []
    for rate in rates:
        slopes.append(support_h @ (path[-1] - support_min))
        path.append(path[-1] - rate * slopes[-1])
    return path, slopes


def _collected(v, rates, support_h, slopes, late=False):
    """−v·g of each step, on the way back; late: after the step has been walked over."""
    answer = []
    for rate, slope in zip(reversed(list(rates)), reversed(slopes), strict=True):
        walked = v - rate * support_h @ v
        answer.append(-(walked if late else v) @ slope)
        v = walked
    return np.array(answer[::-1])


@wrong_answer("06.rate_gradient", says="only the last step has a slope in yours")
def last_step_only(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    answer = np.zeros(len(rates))
    answer[-1] = -(query_h @ (path[-1] - query_min)) @ slopes[-1]
    return answer


@wrong_answer("06.rate_gradient", says="either v is walked back one step too far")
def v_of_the_wrong_side(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min), rates, support_h, slopes, late=True)


@wrong_answer("06.rate_gradient", says="or g_k is taken where step k landed")
def slopes_of_the_landing_points(theta, rates, support_h, support_min, query_h, query_min):
    path, _ = _ahead(theta, rates, support_h, support_min)
    slopes = [support_h @ (phi - support_min) for phi in path[1:]]
    return _collected(query_h @ (path[-1] - query_min), rates, support_h, slopes)


@wrong_answer("06.rate_gradient", says="the minus is missing")
def minus_forgotten(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return -_collected(query_h @ (path[-1] - query_min), rates, support_h, slopes)


@wrong_answer("06.rate_gradient", says="this is half of the slopes")
def slopes_halved(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min) / 2, rates, support_h, slopes)


@wrong_answer("06.rate_gradient", says="this is twice the slopes")
def slopes_doubled(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min) * 2, rates, support_h, slopes)


@wrong_answer("06.rate_gradient", says="v is not walked back at all")
def rates_of_first_order(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    v = query_h @ (path[-1] - query_min)
    return np.array([-v @ slope for slope in slopes])


@wrong_answer("06.rate_gradient", says="in the order of the walk back")
def order_of_the_walk_back(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min), rates, support_h, slopes)[::-1]


@wrong_answer("06.rate_gradient", says="the slope of a shared rate")
def shared_rate(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min), rates, support_h, slopes).sum()


@wrong_answer("06.rate_gradient", says="in the order of the way forward")
def rates_not_reversed(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min), rates[::-1], support_h, slopes)


@wrong_answer("06.rate_gradient", says="your g_k are slopes of the query loss")
def slopes_of_the_query_loss(theta, rates, support_h, support_min, query_h, query_min):
    path, _ = _ahead(theta, rates, support_h, support_min)
    slopes = [query_h @ (phi - query_min) for phi in path[:-1]]
    return _collected(query_h @ (path[-1] - query_min), rates, support_h, slopes)


@wrong_answer("06.rate_gradient", says="yours is the query's")
def walked_by_the_query_hessian(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min), rates, query_h, slopes)


@wrong_answer("06.rate_gradient", says="yours is that of the support loss")
def began_with_the_support_gradient(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(support_h @ (path[-1] - support_min), rates, support_h, slopes)


@wrong_answer("06.rate_gradient", says="in yours α_k is missing")
def walked_without_the_rates(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return _collected(query_h @ (path[-1] - query_min), np.ones(len(rates)), support_h, slopes)


@wrong_answer("06.rate_gradient", says="yours walks back with the mean rate")
def walked_by_the_mean_rate(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    v = query_h @ (path[-1] - query_min)
    return _collected(v, np.full(len(rates), rates.mean()), support_h, slopes)


@wrong_answer("06.rate_gradient", says="the slope with respect to log α_k")
def slope_of_the_logarithm(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    return rates * _collected(query_h @ (path[-1] - query_min), rates, support_h, slopes)


# ------------------------------------------------------------------ 06.3


def _through(factors, v, order):
    """The mean over tasks of v after these steps."""
    walked = []
    for steps, own in zip(factors, v, strict=True):
        for k in order:
            own = steps[k] @ own
        walked.append(own)
    return np.mean(walked, axis=0)


@wrong_answer("06.truncated", says="these are the first steps: the walk")
def first_steps(factors, query_gradients, back):
    kept = min(back, factors.shape[1])
    return _through(factors, query_gradients, range(kept - 1, -1, -1))


@wrong_answer("06.truncated", says="and in the wrong order as well")
def first_steps_forwards(factors, query_gradients, back):
    return _through(factors, query_gradients, range(min(back, factors.shape[1])))


@wrong_answer("06.truncated", says="the right steps in the wrong order")
def last_steps_forwards(factors, query_gradients, back):
    steps = factors.shape[1]
    return _through(factors, query_gradients, range(max(steps - back, 0), steps))


@wrong_answer("06.truncated", says="one step too many")
def a_step_too_many(factors, query_gradients, back):
    steps = factors.shape[1]
    return _through(factors, query_gradients, range(steps - 1, max(steps - back - 2, -1), -1))


@wrong_answer("06.truncated", says="one step too few")
def a_step_less(factors, query_gradients, back):
    steps = factors.shape[1]
    stop = max(steps - back, 0)
    return _through(factors, query_gradients, range(steps - 1, stop, -1))


@wrong_answer("06.truncated", says="the whole way is walked back")
def never_cut(factors, query_gradients, back):
    return _through(factors, query_gradients, range(factors.shape[1] - 1, -1, -1))


@wrong_answer("06.truncated", says="x[-0:] is all of x")
def minus_nought(factors, query_gradients, back):
    order = list(range(factors.shape[1]))[-back:]
    return _through(factors, query_gradients, order[::-1])


@wrong_answer("06.truncated", says="nothing is walked back: that is first order")
def nothing_walked_back(factors, query_gradients, back):
    return query_gradients.mean(axis=0)


@wrong_answer("06.truncated", says="walk over steps twice")
def below_nought(factors, query_gradients, back):
    v = query_gradients
    for n in range(back):
        v = np.einsum("tij,tj->ti", factors[:, factors.shape[1] - 1 - n], v)
    return v.mean(axis=0)


@wrong_answer("06.truncated", says="yours is the sum")
def summed_over_tasks(factors, query_gradients, back):
    steps = factors.shape[1]
    order = range(steps - 1, max(steps - back - 1, -1), -1)
    return len(factors) * _through(factors, query_gradients, order)


@wrong_answer("06.truncated", says="yours has one of each task")
def one_of_each_task(factors, query_gradients, back):
    v = query_gradients[..., None]
    for k in reversed(range(max(factors.shape[1] - back, 0), factors.shape[1])):
        v = factors[:, k] @ v
    return v[..., 0]


@wrong_answer("06.truncated", says="the mean of the tasks is another task")
def factors_averaged(factors, query_gradients, back):
    v, mean = query_gradients.mean(axis=0), factors.mean(axis=0)
    for k in reversed(range(max(len(mean) - back, 0), len(mean))):
        v = mean[k] @ v
    return v


@wrong_answer("06.truncated", says="only the diagonals of the matrices")
def diagonals_by_einsum(factors, query_gradients, back):
    v = query_gradients
    for k in reversed(range(max(factors.shape[1] - back, 0), factors.shape[1])):
        v = np.einsum("tii,ti->ti", factors[:, k], v)
    return v.mean(axis=0)


@wrong_answer("06.truncated", says="entry by entry and leaves a matrix")
def star_for_at(factors, query_gradients, back):
    walked = []
    for steps, v in zip(factors, query_gradients, strict=True):
        for factor in steps[::-1][:back]:
            v = factor * v
        walked.append(v)
    return np.mean(walked, axis=0)


@wrong_answer("06.truncated", says="K − back is below 0")
def index_below_nought(factors, query_gradients, back):
    v = query_gradients
    order = list(range(factors.shape[1]))[factors.shape[1] - back :]
    return _through(factors, v, order[::-1])


@wrong_answer("06.truncated", says="leaves out the first `back` steps")
def first_steps_left_out(factors, query_gradients, back):
    return _through(factors, query_gradients, list(range(factors.shape[1]))[back:][::-1])


@wrong_answer("06.truncated", says="yours is the median")
def median_of_the_tasks(factors, query_gradients, back):
    order = list(range(factors.shape[1]))[::-1][:back]
    pairs = zip(factors, query_gradients, strict=True)
    return np.median([_through(f[None], q[None], order) for f, q in pairs], axis=0)


# ------------------------------------------------------------------ 06.4


def _count(steps, size):
    return -(-steps // size)  # rounded up


@wrong_answer("06.segments", says="this counts the checkpoints alone")
def checkpoints_alone(steps, size):
    return _count(steps, size), steps - _count(steps, size)


@wrong_answer("06.segments", says="this counts the open segment alone")
def open_segment_alone(steps, size):
    return min(size, steps), steps - _count(steps, size)


@wrong_answer("06.segments", says="one set too many: an open segment")
def checkpoint_twice(steps, size):
    peak = max(
        len(range(0, first + 1, size)) + min(size, steps - first) for first in range(0, steps, size)
    )
    return peak, steps - _count(steps, size)


@wrong_answer("06.segments", says="checkpoints are forgotten when their segment is done")
def all_checkpoints_to_the_end(steps, size):
    return _count(steps, size) + min(size, steps) - 1, steps - _count(steps, size)


@wrong_answer("06.segments", says="the peak may be in the one before")
def last_segment_only(steps, size):
    count = _count(steps, size)
    return count - 1 + steps - (count - 1) * size, steps - count


@wrong_answer("06.segments", says="round the number of segments up")
def rounded_down(steps, size):
    count = max(steps // size, 1)
    return count + min(size, steps) - 1, steps - count


@wrong_answer("06.segments", says="one too many of each segment is computed again")
def everything_again(steps, size):
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return max(n + length for n, length in enumerate(lengths)), steps


@wrong_answer("06.segments", says="the recomputed steps of one segment")
def one_segment_again(steps, size):
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return max(n + length for n, length in enumerate(lengths)), lengths[0] - 1


@wrong_answer("06.segments", says="the two numbers are exchanged")
def exchanged(steps, size):
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return steps - len(lengths), max(n + length for n, length in enumerate(lengths))


@wrong_answer("06.segments", says="here the size is given")
def best_size_in_place_of_the_given(steps, size):
    size = max(1, round(steps**0.5))
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return max(n + length for n, length in enumerate(lengths)), steps - len(lengths)


@wrong_answer("06.segments", says="one set too few: an open segment")
def start_left_out(steps, size):
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return max(n + length for n, length in enumerate(lengths)) - 1, steps - len(lengths)


@wrong_answer("06.segments", says="lands nor φ_K counts")
def landing_point_held(steps, size):
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return max(n + length + 1 for n, length in enumerate(lengths)), steps - len(lengths)


@wrong_answer("06.segments", says="rounded down")
def lesson_s_formula_rounded_down(steps, size):
    return steps // size + size - 1, steps - steps // size


@wrong_answer("06.segments", says="rounded up")
def lesson_s_formula_rounded_up(steps, size):
    return _count(steps, size) + size - 1, steps - _count(steps, size)


@wrong_answer("06.segments", says="rounded down, but")
def lesson_s_formula_made_whole(steps, size):
    return int(steps / size + size - 1), steps - _count(steps, size)


@wrong_answer("06.segments", says="this is K/s + s, rounded down")
def without_the_minus(steps, size):
    return steps // size + size, steps - _count(steps, size)


@wrong_answer("06.segments", says="this is K/s + s, rounded up")
def without_the_minus_rounded_up(steps, size):
    return _count(steps, size) + size, steps - _count(steps, size)


@wrong_answer("06.segments", says="And one too many of each segment is computed again")
def landing_point_held_and_computed(steps, size):
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    return max(n + length + 1 for n, length in enumerate(lengths)), steps


@wrong_answer("06.segments", says="both are whole numbers")
def divided_by_slash(steps, size):
    return steps / size + size - 1, steps - steps / size


# ------------------------------------------------------------------ 06.5


def _searched(loss, curvatures, top=None):
    """The pair with the least loss(first (a, 1, 1), second (b, 1)) → (a, b), on finer and finer grids."""
    top = top or 1 / curvatures.min()
    first = second = np.geomspace(0.001 / curvatures.max(), top, 250)
    for _ in range(3):
        losses = loss(first[:, None, None], second[:, None])
        i, j = np.unravel_index(np.nanargmin(losses), losses.shape)
        best = np.array([first[i], second[j]])
        first, second = (np.geomspace(0.95 * x, min(1.05 * x, top), 40) for x in best)
    return best


def _square_after(rates, square, curvatures, noise):
    """The mean squares after steps with these rates, in order."""
    for rate in rates:
        square = (1 - rate * curvatures) ** 2 * square + rate**2 * noise
    return square


def _pair(curvatures, noise, start, before, after, square=None, top=None, weights=None):
    square = start**2 if square is None else square
    weights = curvatures if weights is None else weights

    def loss(a, b):
        return _square_after([a] * before + [b] * after, square, curvatures, noise) @ weights

    return _searched(loss, curvatures, top)


@wrong_answer("06.two_rates", says="yours is the best pair below 2/λmax")
def below_the_limit(curvatures, noise, start, steps, switch):
    top = 2 / curvatures.max()
    return _pair(curvatures, noise, start, switch, steps - switch, top=top)


@wrong_answer("06.two_rates", says="one rate for all steps, given twice")
def one_rate_twice(curvatures, noise, start, steps, switch):
    rates = np.geomspace(0.001, 2, 20_000)[:, None] / curvatures.max()
    square = _square_after([rates] * steps, start**2, curvatures, noise)
    return np.repeat(rates[np.argmin(square @ curvatures), 0], 2)


@wrong_answer("06.two_rates", says="give both rates: yours is one number")
def one_number(curvatures, noise, start, steps, switch):
    return one_rate_twice(curvatures, noise, start, steps, switch)[0]


@wrong_answer("06.two_rates", says="the rates are exchanged")
def rates_exchanged(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise, start, switch, steps - switch)[::-1]


@wrong_answer("06.two_rates", says="yours has it the other way round")
def switch_counted_from_the_end(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise, start, steps - switch, switch)


@wrong_answer("06.two_rates", says="in yours it has `steps`")
def second_phase_of_all_steps(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise, start, switch, steps)


@wrong_answer("06.two_rates", says="one step too many")
def a_step_more(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise, start, switch, steps - switch + 1)


@wrong_answer("06.two_rates", says="one step too few")
def a_step_fewer(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise, start, switch, steps - switch - 1)


@wrong_answer("06.two_rates", says="best for the end of its own phase")
def phase_by_phase(curvatures, noise, start, steps, switch):
    rates = np.geomspace(0.001 / curvatures.max(), 1 / curvatures.min(), 20_000)[:, None]
    square, best = start**2, []
    for count in (switch, steps - switch):
        after = _square_after([rates] * count, square, curvatures, noise)
        at = np.argmin(after @ curvatures)
        best.append(rates[at, 0])
        square = after[at]
    return np.array(best)


@wrong_answer("06.two_rates", says="the noise is missing")
def without_noise(curvatures, noise, start, steps, switch):
    return _pair(curvatures, 0 * noise, start, switch, steps - switch)


@wrong_answer("06.two_rates", says="the sum of the losses on the way")
def sum_on_the_way(curvatures, noise, start, steps, switch):
    def loss(a, b):
        square, total = start**2, 0
        for k in range(steps):
            square = _square_after([a if k < switch else b], square, curvatures, noise)
            total = total + square @ curvatures
        return total

    return _searched(loss, curvatures)


def _with_noise_of(power, curvatures, noise, start, steps, switch):
    def loss(a, b):
        square = start**2
        for rate in [a] * switch + [b] * (steps - switch):
            square = (1 - rate * curvatures) ** 2 * square + rate**power * noise
        return square @ curvatures

    return _searched(loss, curvatures)


@wrong_answer("06.two_rates", says="yours has α")
def noise_with_alpha(*case):
    return _with_noise_of(1, *case)


@wrong_answer("06.two_rates", says="in yours α² is missing")
def noise_without_alpha(*case):
    return _with_noise_of(0, *case)


@wrong_answer("06.two_rates", says="yours adds up all of it")
def noise_added_up(curvatures, noise, start, steps, switch):
    def loss(a, b):
        square = _square_after([a] * switch + [b] * (steps - switch), start**2, curvatures, 0)
        return (square + (switch * a**2 + (steps - switch) * b**2) * noise) @ curvatures

    return _searched(loss, curvatures)


@wrong_answer("06.two_rates", says="not by |1 − αλ|")
def factor_not_squared(curvatures, noise, start, steps, switch):
    def loss(a, b):
        square = start**2
        for rate in [a] * switch + [b] * (steps - switch):
            square = np.abs(1 - rate * curvatures) * square + rate**2 * noise
        return square @ curvatures

    return _searched(loss, curvatures)


@wrong_answer("06.two_rates", says="the mean squared distance")
def distance_minimised(curvatures, noise, start, steps, switch):
    ones = np.ones_like(curvatures)
    return _pair(curvatures, noise, start, switch, steps - switch, weights=ones)


@wrong_answer("06.two_rates", says="do not square it")
def noise_squared(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise**2, start, switch, steps - switch)


@wrong_answer("06.two_rates", says="the mean of θ² begins at start²")
def start_not_squared(curvatures, noise, start, steps, switch):
    return _pair(curvatures, noise, start, switch, steps - switch, square=np.abs(start))


@wrong_answer("06.two_rates", says="search again around your pair")
def coarse_grid(*case):
    return _one_grid(130, *case)


def _one_grid(points, curvatures, noise, start, steps, switch):
    first = second = np.geomspace(0.001 / curvatures.max(), 1 / curvatures.min(), points)
    rates = [first[:, None, None]] * switch + [second[:, None]] * (steps - switch)
    losses = _square_after(rates, start**2, curvatures, noise) @ curvatures
    i, j = np.unravel_index(np.argmin(losses), losses.shape)
    return np.array([first[i], second[j]])


@wrong_answer("06.two_rates", says="more than 1 per cent above the least")
def coarsest_grid(*case):
    return _one_grid(25, *case)


@wrong_answer("06.two_rates", says="argmin gives a place")
def places_returned(curvatures, noise, start, steps, switch):
    grid = list(np.geomspace(0.001 / curvatures.max(), 1 / curvatures.min(), 4_000))
    best = _pair(curvatures, noise, start, switch, steps - switch)
    return np.searchsorted(grid, best)


# ------------------------------------------------------------------ 06.6


def _phi(theta, a, c, steps, alpha):
    return c + (1 - alpha * a) ** steps * (theta - c)


def _slope(theta, a, c, b, d, steps, alpha):
    """dM/dα, the mean over the tasks."""
    dphi = -steps * a * (1 - alpha * a) ** (steps - 1) * (theta - c)
    return np.mean(b * (_phi(theta, a, c, steps, alpha) - d) * dphi)


@wrong_answer("06.learn_the_rate", says="this is descent on α itself")
def descent_on_alpha(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = [alpha]
    for _ in range(updates):
        path.append(path[-1] - meta_lr * _slope(theta, a, c, b, d, steps, path[-1]))
    return np.array(path)


@wrong_answer("06.learn_the_rate", says="dα/dρ = α is missing")
def slope_of_alpha_moves_rho(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = [alpha]
    for _ in range(updates):
        rho = np.log(path[-1]) - meta_lr * _slope(theta, a, c, b, d, steps, path[-1])
        path.append(np.exp(rho))
    return np.array(path)


@wrong_answer("06.learn_the_rate", says="1 − x is e^(−x) only for a small x")
def exponential_cut_short(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = [alpha]
    for _ in range(updates):
        now = path[-1]
        path.append(now * (1 - meta_lr * now * _slope(theta, a, c, b, d, steps, now)))
    return np.array(path)


@wrong_answer("06.learn_the_rate", says="a step on α with the slope of ρ")
def slope_of_rho_moves_alpha(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = [alpha]
    for _ in range(updates):
        now = path[-1]
        path.append(now - meta_lr * now * _slope(theta, a, c, b, d, steps, now))
    return np.array(path)


@wrong_answer("06.learn_the_rate", says="this goes uphill")
def rho_uphill(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = [alpha]
    for _ in range(updates):
        now = path[-1]
        path.append(now * np.exp(meta_lr * now * _slope(theta, a, c, b, d, steps, now)))
    return np.array(path)


def _learned(theta, a, c, b, d, steps, alpha, meta_lr, updates, slope=_slope):
    path = [alpha]
    for _ in range(updates):
        now = path[-1]
        path.append(now * np.exp(-meta_lr * now * slope(theta, a, c, b, d, steps, now)))
    return np.array(path)


@wrong_answer("06.learn_the_rate", says="these are the ρ")
def logarithms(*case):
    return np.log(_learned(*case))


@wrong_answer("06.learn_the_rate", says="after the first entry these are the ρ")
def logarithms_after_the_first(*case):
    path = _learned(*case)
    return np.append(path[0], np.log(path[1:]))


@wrong_answer("06.learn_the_rate", says="the first rate belongs to the path")
def without_the_first(*case):
    return _learned(*case)[1:]


@wrong_answer("06.learn_the_rate", says="only the last rate is there")
def last_rate(*case):
    return _learned(*case)[-1]


@wrong_answer("06.learn_the_rate", says="take the slope at the rate reached so far")
def slope_at_the_first_rate(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    step = meta_lr * alpha * _slope(theta, a, c, b, d, steps, alpha)
    return np.array([alpha * np.exp(-n * step) for n in range(updates + 1)])


@wrong_answer("06.learn_the_rate", says="one inner step: there are K")
def one_inner_step(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    return _learned(theta, a, c, b, d, 1, alpha, meta_lr, updates)


@wrong_answer("06.learn_the_rate", says="your slope is the K-th part")
def rate_of_the_last_step(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    def slope(theta, a, c, b, d, steps, alpha):
        return _slope(theta, a, c, b, d, steps, alpha) / steps

    return _learned(theta, a, c, b, d, steps, alpha, meta_lr, updates, slope)


@wrong_answer("06.learn_the_rate", says="the exponent falls by one")
def exponent_kept(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    def slope(theta, a, c, b, d, steps, alpha):
        dphi = -steps * a * (1 - alpha * a) ** steps * (theta - c)
        return np.mean(b * (_phi(theta, a, c, steps, alpha) - d) * dphi)

    return _learned(theta, a, c, b, d, steps, alpha, meta_lr, updates, slope)


@wrong_answer("06.learn_the_rate", says="yours takes the support loss")
def judged_by_the_support_loss(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    return _learned(theta, a, c, a, c, steps, alpha, meta_lr, updates)


@wrong_answer("06.learn_the_rate", says="yours is the sum")
def summed(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    return _learned(theta, a, c, b, d, steps, alpha, len(a) * meta_lr, updates)


@wrong_answer("06.learn_the_rate", says="yours keeps the first one")
def first_rate_in_dalpha_drho(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = [alpha]
    for _ in range(updates):
        slope = _slope(theta, a, c, b, d, steps, path[-1])
        path.append(path[-1] * np.exp(-meta_lr * alpha * slope))
    return np.array(path)


@wrong_answer("06.learn_the_rate", says="first order: what α does in step k")
def rate_of_first_order(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    def slope(theta, a, c, b, d, steps, alpha):
        phi, moves = np.full(len(a), theta), 0
        for _ in range(steps):
            moves = moves + a * (phi - c)
            phi = phi - alpha * a * (phi - c)
        return np.mean(-b * (phi - d) * moves)

    return _learned(theta, a, c, b, d, steps, alpha, meta_lr, updates, slope)


@wrong_answer("06.learn_the_rate", says="not the product of the means")
def means_multiplied(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    def slope(theta, a, c, b, d, steps, alpha):
        dphi = -steps * a * (1 - alpha * a) ** (steps - 1) * (theta - c)
        return np.mean(b * (_phi(theta, a, c, steps, alpha) - d)) * np.mean(dphi)

    return _learned(theta, a, c, b, d, steps, alpha, meta_lr, updates, slope)


@wrong_answer("06.learn_the_rate", says="the mean of the tasks is another task")
def tasks_averaged(theta, a, c, b, d, *rest):
    return _learned(theta, *(np.array([part.mean()]) for part in (a, c, b, d)), *rest)


@wrong_answer("06.learn_the_rate", says="this is half of the slope")
def half_the_slope(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    return _learned(theta, a, c, b, d, steps, alpha, meta_lr / 2, updates)


# ------------------------------------------------------------------ right, and unusual


@right_answer("06.k_step_slope", why="a loop forward and a loop back")
def loops(theta, a, c, b, d, rates):
    slope = b * (_landed(theta, a, c, rates) - d)
    for rate in reversed(list(rates)):
        slope -= rate * a * slope
    return slope


@right_answer("06.k_step_slope", why="float32")
def in_single_precision(theta, a, c, b, d, rates):
    follows = np.float32(np.prod(np.float32(1) - np.float32(a) * rates.astype(np.float32)))
    return (
        follows * np.float32(b) * (np.float32(c) + follows * np.float32(theta - c) - np.float32(d))
    )


@right_answer(
    "06.k_step_slope", why="a difference quotient: the meta-loss is a parabola, so it is exact"
)
def difference_quotient(theta, a, c, b, d, rates):
    def meta_loss(start):
        return b / 2 * (_landed(start, a, c, rates) - d) ** 2

    return (meta_loss(theta + 1) - meta_loss(theta - 1)) / 2


@right_answer("06.rate_gradient", why="a difference quotient for each rate")
def rates_by_differences(theta, rates, support_h, support_min, query_h, query_min):
    def judged(rates):
        off = _ahead(theta, rates, support_h, support_min)[0][-1] - query_min
        return off @ query_h @ off / 2

    h = 1e-6
    return [(judged(rates + h * e) - judged(rates - h * e)) / (2 * h) for e in np.eye(len(rates))]


@right_answer("06.rate_gradient", why="products of matrices, nothing walked back")
def rates_by_products(theta, rates, support_h, support_min, query_h, query_min):
    path, slopes = _ahead(theta, rates, support_h, support_min)
    query = query_h @ (path[-1] - query_min)
    one, answer = np.eye(len(theta)), []
    for k, slope in enumerate(slopes):
        for rate in rates[k + 1 :]:
            slope = (one - rate * support_h) @ slope
        answer.append(-query @ slope)
    return np.array(answer)


@right_answer("06.rate_gradient", why="a list, and the way back by recursion")
def rates_by_recursion(theta, rates, support_h, support_min, query_h, query_min):
    def walk(phi, left):
        """(v at φ, slopes of the rates that are left)."""
        if not len(left):
            return query_h @ (phi - query_min), []
        slope = support_h @ (phi - support_min)
        v, later = walk(phi - left[0] * slope, left[1:])
        return v - left[0] * support_h @ v, [float(-v @ slope), *later]

    return walk(theta, list(rates))[1]


@right_answer("06.truncated", why="slices from the end")
def slices(factors, query_gradients, back):
    order = list(range(factors.shape[1]))[::-1][:back]
    return _through(factors, query_gradients, order)


@right_answer("06.truncated", why="the product of the matrices first")
def product_first(factors, query_gradients, back):
    tasks, steps, size, _ = factors.shape
    product = np.broadcast_to(np.eye(size), (tasks, size, size))
    for k in range(max(steps - back, 0), steps):
        product = product @ factors[:, k]
    return np.mean(product @ query_gradients[:, :, None], axis=0)[:, 0]


@right_answer("06.truncated", why="float32, and a counter that runs down")
def counting_down(factors, query_gradients, back):
    v, k = query_gradients.astype(np.float32), factors.shape[1]
    while back > 0 and k > 0:
        back, k = back - 1, k - 1
        v = (
            np.matvec(factors[:, k], v)
            if hasattr(np, "matvec")
            else (factors[:, k] @ v[..., None])[..., 0]
        )
    return v.astype(np.float32).mean(0)


@right_answer("06.segments", why="played through, with a set of what is held")
def played(steps, size):
    kept = set(range(0, steps, size))
    peak = again = 0
    for first in sorted(kept, reverse=True):
        own = set(range(first, min(first + size, steps)))
        again += len(own - kept)
        peak = max(peak, len(kept | own))
        kept.discard(first)
    return peak, again


@right_answer("06.segments", why="a formula")
def formula(steps, size):
    count = -(-steps // size)
    rest = steps - (count - 1) * size
    return max(count - 1 + rest, count - 2 + size if count > 1 else 0), steps - count


@right_answer("06.segments", why="NumPy's whole numbers")
def numpy_s_whole_numbers(steps, size):
    first = np.arange(0, steps, size)
    lengths = np.minimum(size, steps - first)
    return np.max(np.arange(len(first)) + lengths), np.sum(lengths - 1)


@right_answer("06.segments", why="a list")
def as_a_list(steps, size):
    return [*formula(steps, size)]


@right_answer("06.segments", why="an array")
def as_an_array(steps, size):
    return np.array(formula(steps, size))


@right_answer("06.two_rates", why="the lesson's loop, over a long list of pairs, three times")
def list_of_pairs(curvatures, noise, start, steps, switch):
    low, high = np.full(2, 0.001 / curvatures.max()), np.full(2, 1 / curvatures.min())
    for points in (200, 50, 50):
        axes = [np.geomspace(*ends, points) for ends in zip(low, high, strict=True)]
        pairs = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)  # (pairs, 2)
        square = start**2 + 0 * pairs[:, :1]
        for k in range(steps):
            rate = pairs[:, :1] if k < switch else pairs[:, 1:]
            square = (1 - rate * curvatures) ** 2 * square + rate**2 * noise
        best = pairs[np.argmin(square @ curvatures)]
        low, high = best * 0.92, best * 1.08
    return best


@right_answer("06.two_rates", why="one grid, formula of a geometric series, a list")
def one_fine_grid(curvatures, noise, start, steps, switch):
    grid = np.geomspace(0.001 / curvatures.max(), 1 / curvatures.min(), 1200)
    left = (1 - grid[:, None] * curvatures) ** 2  # (rates, n)
    settled = grid[:, None] ** 2 * noise / (1 - left - 1e-13)
    square = settled + left**switch * (start**2 - settled)
    later = left ** (steps - switch)
    losses = (square @ (later * curvatures).T) + (settled * (1 - later)) @ curvatures
    i, j = np.unravel_index(np.argmin(losses), losses.shape)
    return [float(grid[i]), float(grid[j])]


@right_answer("06.two_rates", why="pair by pair: a coarse grid, then downhill to better neighbours")
def better_neighbours(curvatures, noise, start, steps, switch):
    def judged(pair):
        rates = [pair[0]] * switch + [pair[1]] * (steps - switch)
        return _square_after(rates, start**2, curvatures, noise) @ curvatures

    axis = np.geomspace(0.001 / curvatures.max(), 1 / curvatures.min(), 120)
    losses = judged((axis[:, None, None], axis[:, None]))
    i, j = np.unravel_index(np.argmin(losses), losses.shape)
    pair, hop = (axis[i], axis[j]), 0.1
    while hop > 1e-4:
        ways = [(x, y) for x in (-hop, 0, hop) for y in (-hop, 0, hop)]
        near = [(pair[0] * math.exp(x), pair[1] * math.exp(y)) for x, y in ways]
        best = min(near, key=judged)
        hop, pair = (hop / 2 if judged(best) >= judged(pair) else hop), best
    return pair[0], pair[1]


@right_answer("06.learn_the_rate", why="ρ itself, in a loop over steps")
def rho_in_a_loop(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    rho, path = np.log(alpha), [alpha]
    for _ in range(updates):
        rate = np.exp(rho)
        phi, dphi = np.full(len(a), theta), np.zeros(len(a))
        for _ in range(steps):  # forward: how φ follows α
            dphi = dphi - a * (phi - c) - rate * a * dphi
            phi = phi - rate * a * (phi - c)
        rho = rho - meta_lr * rate * np.mean(b * (phi - d) * dphi)
        path.append(np.exp(rho))
    return path


@right_answer("06.learn_the_rate", why="difference quotients with respect to ρ")
def rho_by_differences(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    def meta_loss(rho):
        return np.mean(b / 2 * (_phi(theta, a, c, steps, np.exp(rho)) - d) ** 2)

    rho, h = [np.log(alpha)], 1e-6
    for _ in range(updates):
        slope = (meta_loss(rho[-1] + h) - meta_loss(rho[-1] - h)) / (2 * h)
        rho.append(rho[-1] - meta_lr * slope)
    return np.exp(rho)


@right_answer("06.learn_the_rate", why="the array filled in place, task after task")
def task_after_task(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    path = np.empty(updates + 1)
    path[0] = alpha
    for n in range(updates):
        slopes = [
            _slope(theta, *(np.array([x]) for x in task), steps, path[n])
            for task in zip(a, c, b, d, strict=True)
        ]
        path[n + 1] = path[n] * math.exp(-meta_lr * path[n] * sum(slopes) / len(slopes))
    return path
