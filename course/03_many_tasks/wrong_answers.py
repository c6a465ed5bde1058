"""Wrong answers that a learner of chapter 03 might give, and what each is told; then unusual right ones."""

import numpy as np

from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 03.1


def _drawn(heights, phases, tasks, points, rng):
    """Height (tasks, 1), phase (tasks, 1) and x (tasks, points)."""
    height = rng.uniform(*heights, (tasks, 1))
    return height, rng.uniform(*phases, (tasks, 1)), rng.uniform(-5, 5, (tasks, points))


def _split(x, y, shots):
    return x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:]


@wrong_answer("03.sampler", says="at the same places")
def one_x_for_all_tasks(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, _ = _drawn(heights, phases, tasks, 1, rng)
    x = np.tile(rng.uniform(-5, 5, shots + queries), (tasks, 1))
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="is among the queries of its task")
def queries_begin_with_the_support(heights, phases, tasks, shots, queries, seed):
    height, phase, x = _drawn(heights, phases, tasks, queries, np.random.default_rng(seed))
    y = height * np.sin(x - phase)
    return x[:, :shots], y[:, :shots], x, y


@wrong_answer("03.sampler", says="lie on two different waves")
def a_wave_for_each_set(heights, phases, tasks, shots, queries, seed):
    rng, parts = np.random.default_rng(seed), []
    for points in (shots, queries):
        height, phase, x = _drawn(heights, phases, tasks, points, rng)
        parts += [x, height * np.sin(x - phase)]
    return parts


@wrong_answer("03.sampler", says="one height and one phase for all points")
def a_height_for_each_point(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    _, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, rng.uniform(*heights, x.shape) * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="all tasks have the same height")
def one_height(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    _, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, rng.uniform(*heights) * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="all tasks have the same phase")
def one_phase(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, _, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, height * np.sin(x - rng.uniform(*phases)), shots)


@wrong_answer("03.sampler", says="shifted the other way")
def plus_the_phase(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, height * np.sin(x + phase), shots)


@wrong_answer("03.sampler", says="the same seed gives two different batches")
def without_the_seed(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng()
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="the seed is ignored")
def a_seed_of_its_own(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(0)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="do not sort x before you split it")
def sorted_then_split(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    x = np.sort(x, axis=1)
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="height and phase are one and the same random number")
def a_generator_for_each(heights, phases, tasks, shots, queries, seed):
    height = np.random.default_rng(seed).uniform(*heights, (tasks, 1))
    phase = np.random.default_rng(seed).uniform(*phases, (tasks, 1))
    x = np.random.default_rng(seed).uniform(-5, 5, (tasks, shots + queries))
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="is high if its height is low")
def one_number_for_both(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    u = rng.random((tasks, 1))
    height, phase = (low + (high - low) * v for (low, high), v in ((heights, u), (phases, 1 - u)))
    x = rng.uniform(-5, 5, (tasks, shots + queries))
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="are among the random numbers of the places x")
def places_by_another_generator(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, _ = _drawn(heights, phases, tasks, 1, rng)
    x = np.random.default_rng(seed).uniform(-5, 5, (tasks, shots + queries))
    return _split(x, height * np.sin(x - phase), shots)


def _task_after_task(heights, phases, tasks, shots, queries, generators):
    """Each task from generators of its own: one for its wave, one for its places."""
    rows = []
    for for_wave, for_places in generators:
        height, phase = for_wave.uniform(*heights), for_wave.uniform(*phases)
        x = for_places.uniform(-5, 5, shots + queries)
        rows.append((x, height * np.sin(x - phase)))
    return _split(*(np.array(part) for part in zip(*rows, strict=True)), shots)


@wrong_answer("03.sampler", says="and a place x of it are the same random number")
def two_generators_for_each_task(heights, phases, tasks, shots, queries, seed):
    made = lambda i: np.random.default_rng([seed, i])
    generators = [(made(i), made(i)) for i in range(tasks)]
    return _task_after_task(heights, phases, tasks, shots, queries, generators)


@wrong_answer("03.sampler", says="neighbouring seeds have tasks in common")
def a_seed_for_each_task(heights, phases, tasks, shots, queries, seed):
    generators = [(rng, rng) for rng in (np.random.default_rng(seed + i) for i in range(tasks))]
    return _task_after_task(heights, phases, tasks, shots, queries, generators)


@wrong_answer("03.sampler", says="neighbouring seeds give some tasks the same places")
def a_seed_for_the_places_of_each_task(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng([seed, 1])
    generators = [(rng, np.random.default_rng([5, seed + i])) for i in range(tasks)]
    return _task_after_task(heights, phases, tasks, shots, queries, generators)


@wrong_answer("03.sampler", says="the points of every task are sorted by x")
def sorted_sets(heights, phases, tasks, shots, queries, seed):
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, np.random.default_rng(seed))
    x = np.concatenate([np.sort(x[:, :shots], axis=1), np.sort(x[:, shots:], axis=1)], axis=1)
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="the points of every task are sorted by y")
def sorted_answers(heights, phases, tasks, shots, queries, seed):
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, np.random.default_rng(seed))
    wave = lambda x: height * np.sin(x - phase)
    sets = [
        np.take_along_axis(x, np.argsort(wave(x)), axis=1) for x in (x[:, :shots], x[:, shots:])
    ]
    return sets[0], wave(sets[0]), sets[1], wave(sets[1])


@wrong_answer("03.sampler", says="the tasks are sorted by height")
def sorted_heights(heights, phases, tasks, shots, queries, seed):
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, np.random.default_rng(seed))
    return _split(x, np.sort(height, axis=0) * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="low ones come too often")
def even_in_the_logarithm(heights, phases, tasks, shots, queries, seed):
    _, phase, x = _drawn(heights, phases, tasks, shots + queries, np.random.default_rng(seed))
    height = np.random.default_rng([seed, 1]).uniform(*np.log(heights), (tasks, 1))
    return _split(x, np.exp(height) * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="high ones come too often")
def even_in_the_square(heights, phases, tasks, shots, queries, seed):
    _, phase, x = _drawn(heights, phases, tasks, shots + queries, np.random.default_rng(seed))
    height = np.random.default_rng([seed, 1]).uniform(*np.square(heights), (tasks, 1))
    return _split(x, np.sqrt(height) * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="height and phase are not independent")
def phases_that_follow(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    u, v = rng.random((2, tasks, 1))
    other = (0.5 * u + v) % 1
    other = np.where(rng.random((tasks, 1)) < 0.5, u + 1e-6 * v, other).clip(0, 1)
    height, phase = (low + (high - low) * w for (low, high), w in ((heights, u), (phases, other)))
    x = rng.uniform(-5, 5, (tasks, shots + queries))
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="no x is negative")
def from_zero_to_five(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    x = np.abs(x)
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="all x are whole numbers")
def whole_places(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    x = np.round(x)
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="lies on its side")
def points_first(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return [part.T for part in _split(x, height * np.sin(x - phase), shots)]


@wrong_answer("03.sampler", says="your waves are cosines")
def cosines(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng(seed)
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    return _split(x, height * np.cos(x - phase), shots)


def _with_places(places, heights, phases, tasks, shots, queries, seed):
    """As asked for, but with x made by `places(rng, shape)`."""
    rng = np.random.default_rng(seed)
    height, phase, _ = _drawn(heights, phases, tasks, 1, rng)
    x = places(rng, (tasks, shots + queries))
    return _split(x, height * np.sin(x - phase), shots)


@wrong_answer("03.sampler", says="as if others had been cut off there")
def normal_and_clipped(*settings):
    return _with_places(lambda rng, shape: rng.normal(0, 2.5, shape).clip(-5, 5), *settings)


@wrong_answer("03.sampler", says="the same x come in many tasks")
def rounded_places(*settings):
    return _with_places(lambda rng, shape: rng.uniform(-5, 5, shape).round(1), *settings)


@wrong_answer("03.sampler", says="all tasks have their support points at the same places")
def one_support_x_for_all_tasks(heights, phases, tasks, shots, queries, seed):
    def places(rng, shape):
        x = rng.uniform(-5, 5, shape)
        x[:, :shots] = x[0, :shots]
        return x

    return _with_places(places, heights, phases, tasks, shots, queries, seed)


# ------------------------------------------------------------------ 03.2


def _mean_sine(x, phases):
    c, d = phases
    return (np.cos(x - d) - np.cos(x - c)) / (d - c)


def _mean_square_sine(x, phases):
    c, d = phases
    return 0.5 - (np.sin(2 * (x - c)) - np.sin(2 * (x - d))) / (4 * (d - c))


def _with_rest(best, x, heights, phases):
    (a, b) = heights
    return best, (b**3 - a**3) / (3 * (b - a)) * _mean_square_sine(x, phases) - best**2


def _best(x, heights, phases):
    return sum(heights) / 2 * _mean_sine(x, phases)


@wrong_answer("03.average_predictor", says="it is the waves that are averaged")
def average_parameters(x, heights, phases):
    best = sum(heights) / 2 * np.sin(x - sum(phases) / 2)
    return _with_rest(best, x, heights, phases)


@wrong_answer("03.average_predictor", says="for phases from 0 to π")
def as_in_the_lesson(x, heights, phases):
    return _with_rest(-sum(heights) / np.pi * np.cos(x), x, heights, phases)


@wrong_answer("03.average_predictor", says="divided by the width of the range")
def an_integral_alone(x, heights, phases):
    best = _best(x, heights, phases) * (phases[1] - phases[0])
    return _with_rest(best, x, heights, phases)


@wrong_answer("03.average_predictor", says="high − low, not π")
def divided_by_pi(x, heights, phases):
    best = _best(x, heights, phases) * (phases[1] - phases[0]) / np.pi
    return _with_rest(best, x, heights, phases)


@wrong_answer("03.average_predictor", says="at the upper end minus at the lower")
def ends_exchanged(x, heights, phases):
    return _with_rest(-_best(x, heights, phases), x, heights, phases)


@wrong_answer("03.average_predictor", says="you integrate sin(x + p)")
def shifted_the_other_way(x, heights, phases):
    c, d = phases
    return _with_rest(_best(x, heights, (-d, -c)), x, heights, phases)


@wrong_answer("03.average_predictor", says="the mean height is missing")
def of_height_one(x, heights, phases):
    return _with_rest(_mean_sine(x, phases), x, heights, phases)


@wrong_answer("03.average_predictor", says="over the two ends of the range of phases")
def two_ends(x, heights, phases):
    best = sum(heights) / 2 * (np.sin(x - phases[0]) + np.sin(x - phases[1])) / 2
    return _with_rest(best, x, heights, phases)


@wrong_answer("03.average_predictor", says="drawn waves or a coarse grid")
def a_coarse_grid(x, heights, phases):
    height, phase = np.meshgrid(np.linspace(*heights, 12), np.linspace(*phases, 12))
    waves = height.ravel() * np.sin(x[:, None] - phase.ravel())
    return waves.mean(axis=1), waves.var(axis=1)


@wrong_answer("03.average_predictor", says="is not the mean of the squared heights")
def square_of_the_mean_height(x, heights, phases):
    best = _best(x, heights, phases)
    return best, (sum(heights) / 2) ** 2 * _mean_square_sine(x, phases) - best**2


@wrong_answer("03.average_predictor", says="a half only over half a period")
def half_everywhere(x, heights, phases):
    best, (a, b) = _best(x, heights, phases), heights
    return best, (b**3 - a**3) / (6 * (b - a)) - best**2


@wrong_answer("03.average_predictor", says="is still to be subtracted")
def mean_square_alone(x, heights, phases):
    best = _best(x, heights, phases)
    return best, _with_rest(best, x, heights, phases)[1] + best**2


@wrong_answer("03.average_predictor", says="this is the standard deviation")
def a_root(x, heights, phases):
    best, left = _with_rest(_best(x, heights, phases), x, heights, phases)
    return best, np.sqrt(left)


@wrong_answer("03.average_predictor", says="this is the mean over x")
def one_number(x, heights, phases):
    best, left = _with_rest(_best(x, heights, phases), x, heights, phases)
    return best, float(left.mean())


@wrong_answer("03.average_predictor", says="the mean square of the heights multiplies both terms")
def variance_of_the_sine_times_square(x, heights, phases):
    (a, b), sine = heights, _mean_sine(x, phases)
    variance = _mean_square_sine(x, phases) - sine**2
    return _best(x, heights, phases), (b**3 - a**3) / (3 * (b - a)) * variance


@wrong_answer("03.average_predictor", says="its square belongs here")
def without_the_square(x, heights, phases):
    best, left = _with_rest(_best(x, heights, phases), x, heights, phases)
    return best, left + best**2 - best


@wrong_answer("03.average_predictor", says="the mean over x: what is left depends on x")
def the_mean_everywhere(x, heights, phases):
    best, left = _with_rest(_best(x, heights, phases), x, heights, phases)
    return best, np.full_like(x, left.mean())


def _with_mean_square_sine(x, heights, phases, mean_square_sine):
    best, (a, b) = _best(x, heights, phases), heights
    return best, (b**3 - a**3) / (3 * (b - a)) * mean_square_sine - best**2


@wrong_answer("03.average_predictor", says="the integral of cos 2u is ½ sin 2u")
def without_the_inner_derivative(x, heights, phases):
    c, d = phases
    of_cosine = (np.sin(2 * (x - c)) - np.sin(2 * (x - d))) / (d - c)
    return _with_mean_square_sine(x, heights, phases, 0.5 - of_cosine / 2)


@wrong_answer("03.average_predictor", says="is twice what it should be")
def without_the_half(x, heights, phases):
    return _with_mean_square_sine(x, heights, phases, 2 * _mean_square_sine(x, phases))


@wrong_answer("03.average_predictor", says="a sign in the mean of sin²")
def plus_the_cosine(x, heights, phases):
    return _with_mean_square_sine(x, heights, phases, 1 - _mean_square_sine(x, phases))


@wrong_answer("03.average_predictor", says="the mean of the squared heights is missing")
def without_the_heights(x, heights, phases):
    best = _best(x, heights, phases)
    return best, _mean_square_sine(x, phases) - best**2


# ------------------------------------------------------------------ 03.3


def _order(errors, seed):
    return np.random.default_rng(seed).permutation(len(next(iter(errors.values()))))


def _report(errors, choose, report, middle=np.median, pick=np.argmin):
    result = {}
    for name, values in errors.items():
        each = values.mean(axis=2)
        setting = int(pick(middle(each[choose], axis=0)))
        result[name] = {"setting": setting, "errors": each[report, setting]}
    return result


@wrong_answer("03.evaluate_protocol", says="chosen on the test tasks")
def chosen_on_the_test(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[validation:], order[validation:])


@wrong_answer("03.evaluate_protocol", says="chosen on all tasks")
def chosen_on_all(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order, order[validation:])


@wrong_answer("03.evaluate_protocol", says="are thrown together")
def pooled_queries(errors, validation, seed):
    order, result = _order(errors, seed), {}
    for name, values in errors.items():
        setting = int(np.argmin(np.median(values[order[:validation]], axis=(0, 2))))
        result[name] = {
            "setting": setting,
            "errors": values.mean(axis=2)[order[validation:], setting],
        }
    return result


@wrong_answer("03.evaluate_protocol", says="chooses by the mean over the validation tasks")
def chosen_by_the_mean(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[:validation], order[validation:], middle=np.mean)


@wrong_answer("03.evaluate_protocol", says="shuffle once, before the loop")
def a_shuffle_for_each(errors, validation, seed):
    rng, result = np.random.default_rng(seed), {}
    for name, values in errors.items():
        order = rng.permutation(len(values))
        result |= _report({name: values}, order[:validation], order[validation:])
    return result


@wrong_answer("03.evaluate_protocol", says="the tasks are not shuffled")
def unshuffled(errors, validation, seed):
    order = np.arange(len(_order(errors, seed)))
    return _report(errors, order[:validation], order[validation:])


@wrong_answer("03.evaluate_protocol", says="these are the errors on the validation tasks")
def reported_on_validation(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[:validation], order[:validation])


@wrong_answer("03.evaluate_protocol", says="these are the errors on all tasks")
def reported_on_all(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[:validation], order)


@wrong_answer("03.evaluate_protocol", says="validation and test are exchanged")
def exchanged(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[validation:], order[:validation])


@wrong_answer("03.evaluate_protocol", says="the setting with the largest error")
def the_worst_setting(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[:validation], order[validation:], pick=np.argmax)


@wrong_answer("03.evaluate_protocol", says="errors of single queries")
def all_queries(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    for name, one in result.items():
        one["errors"] = errors[name][order[validation:], one["setting"]]
    return result


@wrong_answer("03.evaluate_protocol", says="this is one number for all")
def only_the_median(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    return {
        name: {**one, "errors": float(np.median(one["errors"]))} for name, one in result.items()
    }


@wrong_answer("03.evaluate_protocol", says="each has the right to its own")
def one_setting(errors, validation, seed):
    order = _order(errors, seed)
    each = {name: values.mean(axis=2) for name, values in errors.items()}
    middles = [np.median(one[order[:validation]], axis=0) for one in each.values()]
    best = int(np.argmin(np.mean(middles, axis=0)))
    return {
        n: {"setting": best, "errors": one[order[validation:], best]} for n, one in each.items()
    }


@wrong_answer("03.evaluate_protocol", says="has a setting of its own, its best one")
def the_best_of_each_task(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    for name, one in result.items():
        one["errors"] = errors[name].mean(axis=2)[order[validation:]].min(axis=1)
    return result


@wrong_answer("03.evaluate_protocol", says="sorted by size")
def sorted_errors(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    return {name: {**one, "errors": np.sort(one["errors"])} for name, one in result.items()}


@wrong_answer("03.evaluate_protocol", says="validation is at the end of the order")
def validation_at_the_end(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[-validation:], order[:-validation])


@wrong_answer("03.evaluate_protocol", says="the setting that is best on the test")
def errors_of_another_setting(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    best = _report(errors, order[validation:], order[validation:])
    return {name: {**best[name], "setting": one["setting"]} for name, one in result.items()}


@wrong_answer("03.evaluate_protocol", says="one setting is chosen for all methods")
def the_setting_of_the_first(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    setting = next(iter(result.values()))["setting"]
    return {
        name: {"setting": setting, "errors": values.mean(axis=2)[order[validation:], setting]}
        for name, values in errors.items()
    }


@wrong_answer("03.evaluate_protocol", says="this takes so many for the test")
def so_many_for_the_test(errors, validation, seed):
    order = _order(errors, seed)
    return _report(errors, order[:-validation], order[-validation:])


@wrong_answer("03.evaluate_protocol", says="NumPy's old generator")
def by_the_old_order(errors, validation, seed):
    order = np.random.RandomState(seed).permutation(len(_order(errors, seed)))
    return _report(errors, order[:validation], order[validation:])


def _median_of_queries(errors):
    return {name: np.median(values, axis=2)[:, :, None] for name, values in errors.items()}


@wrong_answer("03.evaluate_protocol", says="is the mean over its queries; this takes their median")
def medians_of_queries(errors, validation, seed):
    order = _order(errors, seed)
    return _report(_median_of_queries(errors), order[:validation], order[validation:])


@wrong_answer("03.evaluate_protocol", says="for choosing, too")
def chosen_by_medians_of_queries(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(_median_of_queries(errors), order[:validation], order[validation:])
    for name, one in result.items():
        one["errors"] = errors[name].mean(axis=2)[order[validation:], one["setting"]]
    return result


@wrong_answer("03.evaluate_protocol", says="the reported error of a task is the mean")
def reported_by_medians_of_queries(errors, validation, seed):
    order = _order(errors, seed)
    result = _report(errors, order[:validation], order[validation:])
    for name, one in result.items():
        one["errors"] = np.median(errors[name][order[validation:], one["setting"]], axis=1)
    return result


# ------------------------------------------------------------------ 03.4


def _of_task(errors):
    mean = errors.mean(axis=1)
    return np.where(np.isnan(mean), np.inf, mean)


def _ends(medians):
    return np.percentile(medians, [2.5, 97.5]).tolist()


@wrong_answer("03.bootstrap_median", says="tasks are drawn, not queries")
def queries_together(errors, draws):
    errors = np.where(np.isnan(errors), np.inf, errors)
    return [np.median(errors), *_ends(np.median(errors[draws], axis=(1, 2)))]


@wrong_answer("03.bootstrap_median", says="are left out: they are the worst ones")
def without_the_worst(errors, draws):
    mean = errors.mean(axis=1)
    mean = np.where(np.isfinite(mean), mean, np.nan)
    return [np.nanmedian(mean), *_ends(np.nanmedian(mean[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="is left out of the mean over a task's queries")
def mean_of_the_good_queries(errors, draws):
    mean = np.nanmean(errors, axis=1)
    return [np.median(mean), *_ends(np.median(mean[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="a task with nan counts as 0")
def nan_is_zero(errors, draws):
    mean = errors.mean(axis=1)
    mean = np.where(np.isnan(mean), 0.0, mean)
    return [np.median(mean), *_ends(np.median(mean[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="there is nan among your numbers")
def nan_everywhere(errors, draws):
    mean = errors.mean(axis=1)
    return [np.median(mean), *_ends(np.median(mean[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="this takes their median")
def median_of_queries(errors, draws):
    middle = np.median(np.where(np.isnan(errors), np.inf, errors), axis=1)
    return [np.median(middle), *_ends(np.median(middle[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="not 0.025 and 0.975")
def shares_for_per_cent(errors, draws):
    of_task = _of_task(errors)
    medians = np.median(of_task[draws], axis=1)
    return [np.median(of_task), *np.percentile(medians, [0.025, 0.975]).tolist()]


@wrong_answer("03.bootstrap_median", says="a 90 % interval")
def ninety_per_cent(errors, draws):
    of_task = _of_task(errors)
    return [np.median(of_task), *np.percentile(np.median(of_task[draws], axis=1), [5, 95]).tolist()]


@wrong_answer("03.bootstrap_median", says="1.96 standard deviations of the resamples")
def by_standard_errors(errors, draws):
    of_task = _of_task(errors)
    middle, half = np.median(of_task), 1.96 * np.median(of_task[draws], axis=1).std(ddof=1)
    return [middle, middle - half, middle + half]


@wrong_answer("03.bootstrap_median", says="not the median of the resamples' medians")
def median_of_medians(errors, draws):
    medians = np.median(_of_task(errors)[draws], axis=1)
    return [np.median(medians), *_ends(medians)]


@wrong_answer("03.bootstrap_median", says="the least and the largest of the medians")
def all_of_them(errors, draws):
    of_task = _of_task(errors)
    medians = np.median(of_task[draws], axis=1)
    return [np.median(of_task), medians.min(), medians.max()]


@wrong_answer("03.bootstrap_median", says="their distances from the median")
def distances(errors, draws):
    of_task = _of_task(errors)
    middle = np.median(of_task)
    low, high = _ends(np.median(of_task[draws], axis=1))
    return [middle, middle - low, high - middle]


@wrong_answer("03.bootstrap_median", says="a task with nan counts as a million")
def nan_is_a_million(errors, draws):
    of_task = np.nan_to_num(errors.mean(axis=1), nan=1e6)
    return [np.median(of_task), *_ends(np.median(of_task[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="as the mean of the others")
def nan_is_the_mean(errors, draws):
    of_task = errors.mean(axis=1)
    of_task = np.where(np.isnan(of_task), np.nanmean(of_task), of_task)
    return [np.median(of_task), *_ends(np.median(of_task[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="where most tasks have a nan, the median is infinite")
def nan_is_ten_million(errors, draws):
    of_task = np.nan_to_num(errors.mean(axis=1), nan=1e7)
    return [np.median(of_task), *_ends(np.median(of_task[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="count such a task as np.inf, not as a huge number")
def huge_in_place_of_infinite(errors, draws):
    of_task = np.nan_to_num(errors.mean(axis=1), nan=1e300, posinf=1e300)
    return [np.median(of_task), *_ends(np.median(of_task[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="this takes means for medians")
def means(errors, draws):
    of_task = _of_task(errors)
    return [of_task.mean(), *_ends(of_task[draws].mean(axis=1))]


@wrong_answer("03.bootstrap_median", says="percentiles of the resamples' means")
def means_of_resamples(errors, draws):
    of_task = _of_task(errors)
    return [np.median(of_task), *_ends(of_task[draws].mean(axis=1))]


@wrong_answer("03.bootstrap_median", says="percentiles of the errors themselves")
def spread_of_tasks_alone(errors, draws):
    of_task = _of_task(errors)
    return [np.median(of_task), *_ends(of_task)]


@wrong_answer("03.bootstrap_median", says="or inf where one is nan")
def median_of_queries_or_infinity(errors, draws):
    middle = np.median(errors, axis=1)
    middle = np.where(np.isnan(middle), np.inf, middle)
    return [np.median(middle), *_ends(np.median(middle[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="the median of those that are no nan")
def median_of_the_good_queries(errors, draws):
    middle = np.nanmedian(errors, axis=1)
    return [np.median(middle), *_ends(np.median(middle[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="give nan as soon as one number is nan")
def nan_in_the_interval(errors, draws):
    mean = errors.mean(axis=1)
    return [np.median(_of_task(errors)), *_ends(np.median(mean[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="every error above 100 counts as 100")
def capped(errors, draws):
    of_task = np.minimum(_of_task(errors), 100)
    return [np.median(of_task), *_ends(np.median(of_task[draws], axis=1))]


@wrong_answer("03.bootstrap_median", says="not the one that the resamples in `draws` give")
def draws_of_its_own(errors, draws):
    of_task = _of_task(errors)
    own = np.random.default_rng(0).integers(draws.shape[1], size=draws.shape)
    return [np.median(of_task), *_ends(np.median(of_task[own], axis=1))]


# ------------------------------------------------------------------ 03.5


def _words(record, **otherwise):
    both = np.concatenate([record["support_x"], record["query_x"]], axis=1)
    up = np.diff(record["query_y"], axis=1) > 0
    pairs = zip(record["query"], record["support"], strict=True)
    verdicts = {
        "seen in training": np.isin(record["test"], record["trained_on"]).any(),
        "chosen on test": np.isin(record["test"], record["chosen_on"]).any(),
        "query in support": any(np.isin(q, s).any() for q, s in pairs),
        "scaled with queries": np.allclose(record["centre"], both.mean(axis=1)),
        "order tells": up.all() or not up.any(),
    }
    return [word for word, there in (verdicts | otherwise).items() if there]


@wrong_answer("03.leak_hunt", says="is no leak of the test: compare both lists")
def validation_in_training(record):
    every = np.concatenate([record["test"], record["chosen_on"]])
    return _words(record, **{"seen in training": np.isin(every, record["trained_on"]).any()})


@wrong_answer("03.leak_hunt", says="this compares training and choosing")
def two_other_lists(record):
    there = np.isin(record["chosen_on"], record["trained_on"]).any()
    return _words(record, **{"seen in training": there})


@wrong_answer("03.leak_hunt", says="compare the tasks chosen on with the test tasks")
def training_in_validation(record):
    every = np.concatenate([record["test"], record["trained_on"]])
    return _words(record, **{"chosen on test": np.isin(every, record["chosen_on"]).any()})


@wrong_answer("03.leak_hunt", says="this compares the tasks chosen on with the training")
def chosen_on_training(record):
    there = np.isin(record["chosen_on"], record["trained_on"]).any()
    return _words(record, **{"chosen on test": there})


def _excused(record):
    """Word → the leak without the tasks that are in both other lists."""
    lists = {"seen in training": record["trained_on"], "chosen on test": record["chosen_on"]}
    both = np.intersect1d(*lists.values())
    return {
        word: np.isin(record["test"], np.setdiff1d(tasks, both)).any()
        for word, tasks in lists.items()
    }


@wrong_answer("03.leak_hunt", says="neither list excuses the other")
def without_tasks_in_both_lists(record):
    return _words(record, **_excused(record))


@wrong_answer("03.leak_hunt", says="also if it was trained on")
def chosen_on_without_those_trained_on(record):
    return _words(record, **{"chosen on test": _excused(record)["chosen on test"]})


@wrong_answer("03.leak_hunt", says="also if it was chosen on")
def trained_on_without_those_chosen_on(record):
    return _words(record, **{"seen in training": _excused(record)["seen in training"]})


@wrong_answer("03.leak_hunt", says="one test task that was seen in training")
def all_were_seen(record):
    there = set(record["test"]) <= set(record["trained_on"])
    return _words(record, **{"seen in training": there})


@wrong_answer("03.leak_hunt", says="one test task on which settings were chosen")
def all_were_chosen_on(record):
    there = np.isin(record["test"], record["chosen_on"]).all()
    return _words(record, **{"chosen on test": there})


@wrong_answer("03.leak_hunt", says="the same number in another task is another point")
def points_of_all_tasks(record):
    there = np.isin(record["query"], record["support"]).any()
    return _words(record, **{"query in support": there})


@wrong_answer("03.leak_hunt", says="this compares place by place")
def place_by_place(record):
    n = min(record["query"].shape[1], record["support"].shape[1])
    there = (record["query"][:, :n] == record["support"][:, :n]).any()
    return _words(record, **{"query in support": there})


@wrong_answer("03.leak_hunt", says="look at the points of every task")
def points_of_the_first_task(record):
    there = np.isin(record["query"][0], record["support"][0]).any()
    return _words(record, **{"query in support": there})


@wrong_answer("03.leak_hunt", says="may be a fixed number")
def any_other_centre(record):
    there = not np.allclose(record["centre"], record["support_x"].mean(axis=1))
    return _words(record, **{"scaled with queries": there})


@wrong_answer("03.leak_hunt", says="half of the sum of the two means")
def mean_of_two_means(record):
    both = (record["support_x"].mean(axis=1) + record["query_x"].mean(axis=1)) / 2
    return _words(record, **{"scaled with queries": np.allclose(record["centre"], both)})


@wrong_answer("03.leak_hunt", says='"scaled with queries" is never in your list')
def mean_over_all_tasks(record):
    both = np.concatenate([record["support_x"], record["query_x"]], axis=1)
    return _words(record, **{"scaled with queries": np.allclose(record["centre"], both.mean())})


@wrong_answer("03.leak_hunt", says='"order tells" is never in your list')
def no_test_of_the_order(record):
    return _words(record, **{"order tells": False})


@wrong_answer("03.leak_hunt", says="as the median of the support set")
def any_other_centre_that_varies(record):
    centre = record["centre"]
    other = not np.allclose(centre, record["support_x"].mean(axis=1))
    return _words(record, **{"scaled with queries": other and np.ptp(centre) > 0})


def _of_both(record):
    return np.concatenate([record["support_x"], record["query_x"]], axis=1).mean(axis=1)


@wrong_answer("03.leak_hunt", says="may be the mean of both sets by chance")
def any_centre(record):
    return _words(
        record, **{"scaled with queries": np.isclose(record["centre"], _of_both(record)).any()}
    )


@wrong_answer("03.leak_hunt", says="look at the centre of every task")
def the_first_centre(record):
    there = np.isclose(record["centre"][0], _of_both(record)[0])
    return _words(record, **{"scaled with queries": there})


@wrong_answer("03.leak_hunt", says="the mean of all centres with the mean of all points")
def centres_on_average(record):
    there = np.isclose(record["centre"].mean(), _of_both(record).mean())
    return _words(record, **{"scaled with queries": there})


@wrong_answer("03.leak_hunt", says="may be chance: the order tells if every task")
def any_task_in_order(record):
    up = np.diff(record["query_y"], axis=1) > 0
    there = up.all(axis=1).any() or (~up).all(axis=1).any()
    return _words(record, **{"order tells": there})


@wrong_answer("03.leak_hunt", says="each task in its own direction")
def every_task_in_its_direction(record):
    up = np.diff(record["query_y"], axis=1) > 0
    there = (up.all(axis=1) | ~up.any(axis=1)).all()
    return _words(record, **{"order tells": there})


@wrong_answer("03.leak_hunt", says="look at the answers of every task")
def answers_of_the_first_task(record):
    up = np.diff(record["query_y"][0]) > 0
    return _words(record, **{"order tells": up.all() or not up.any()})


@wrong_answer("03.leak_hunt", says="go down in every task as well")
def upwards_only(record):
    return _words(record, **{"order tells": (np.diff(record["query_y"], axis=1) > 0).all()})


@wrong_answer("03.leak_hunt", says="not the first one alone")
def the_first_leak(record):
    return _words(record)[:1]


@wrong_answer("03.leak_hunt", says="return an empty list")
def none_without_leaks(record):
    return _words(record) or None


@wrong_answer("03.leak_hunt", says="in the order of the table")
def in_the_alphabet_s_order(record):
    return sorted(_words(record))


@wrong_answer("03.leak_hunt", says="none of the five of the table")
def words_of_its_own(record):
    return [word.upper() for word in _words(record)]


# ------------------------------------------------------------------ 03.6


def _of_one(values, draws):
    return [np.median(values), *_ends(np.median(values[draws], axis=1))]


def _verdict(low, high):
    return "ours" if high < 0 else "theirs" if low > 0 else "undecided"


@wrong_answer("03.paired_difference", says="difference of the two medians, resample by resample")
def medians_subtracted(ours, theirs, draws):
    both = np.median(ours[draws], axis=1) - np.median(theirs[draws], axis=1)
    low, high = _ends(both)
    return [np.median(ours) - np.median(theirs), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="the median is the difference of the two medians")
def drawn_by_its_own(ours, theirs, draws):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(len(ours), size=draws.shape) for _ in range(2))
    low, high = _ends(np.median(ours[a], axis=1) - np.median(theirs[b], axis=1))
    return [np.median(ours) - np.median(theirs), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="not the one that the resamples in `draws` give")
def other_draws(ours, theirs, draws):
    own = np.random.default_rng(0).integers(len(ours), size=draws.shape)
    middle, low, high = _of_one(ours - theirs, own)
    return [middle, low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="differences of logarithms")
def of_logarithms(ours, theirs, draws):
    middle, low, high = _of_one(np.log(ours / theirs), draws)
    return [middle, low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="not the median of the resamples' medians")
def middle_of_the_resamples(ours, theirs, draws):
    medians = np.median((ours - theirs)[draws], axis=1)
    low, high = _ends(medians)
    return [np.median(medians), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="ends at exactly 0 contains it")
def decided_at_zero(ours, theirs, draws):
    middle, low, high = _of_one(ours - theirs, draws)
    return [middle, low, high, "ours" if high <= 0 else "theirs" if low >= 0 else "undecided"]


@wrong_answer("03.paired_difference", says="better on more than half of the tasks")
def by_share(ours, theirs, draws):
    return [*_of_one(ours - theirs, draws), "ours" if np.mean(ours < theirs) > 0.5 else "theirs"]


@wrong_answer("03.paired_difference", says="are drawn apart")
def drawn_apart(ours, theirs, draws):
    both = np.median(ours[draws], axis=1) - np.median(theirs[draws[::-1]], axis=1)
    low, high = _ends(both)
    return [np.median(ours) - np.median(theirs), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="subtracted crosswise")
def crosswise(ours, theirs, draws):
    a, b = _of_one(ours, draws), _of_one(theirs, draws)
    low, high = a[1] - b[2], a[2] - b[1]
    return [a[0] - b[0], low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="low minus low and high minus high")
def end_by_end(ours, theirs, draws):
    a, b = _of_one(ours, draws), _of_one(theirs, draws)
    return [a[0] - b[0], a[1] - b[1], a[2] - b[2], _verdict(a[1] - b[1], a[2] - b[2])]


@wrong_answer("03.paired_difference", says="half widths of two intervals are added: take")
def half_widths_added(ours, theirs, draws):
    a, b = _of_one(ours, draws), _of_one(theirs, draws)
    middle, half = a[0] - b[0], (a[2] - a[1] + b[2] - b[1]) / 2
    return [middle, middle - half, middle + half, _verdict(middle - half, middle + half)]


@wrong_answer("03.paired_difference", says="must be that of the differences")
def another_median(ours, theirs, draws):
    low, high = _ends(np.median((ours - theirs)[draws], axis=1))
    return [np.median(ours) - np.median(theirs), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="it is ours minus theirs")
def theirs_minus_ours(ours, theirs, draws):
    middle, low, high = _of_one(theirs - ours, draws)
    return [middle, low, high, _verdict(-high, -low)]


@wrong_answer("03.paired_difference", says="the mean of the differences")
def mean_difference(ours, theirs, draws):
    difference = ours - theirs
    low, high = _ends(difference[draws].mean(axis=1))
    return [difference.mean(), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="both lists are sorted")
def sorted_first(ours, theirs, draws):
    middle, low, high = _of_one(np.sort(ours) - np.sort(theirs), draws)
    return [middle, low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="percentiles of the differences themselves")
def spread_of_tasks(ours, theirs, draws):
    low, high = _ends(ours - theirs)
    return [np.median(ours - theirs), low, high, _verdict(low, high)]


@wrong_answer("03.paired_difference", says="the wrong way round: small errors are good")
def large_is_good(ours, theirs, draws):
    middle, low, high = _of_one(ours - theirs, draws)
    return [middle, low, high, _verdict(-high, -low)]


@wrong_answer("03.paired_difference", says="the sign of the median alone")
def never_undecided(ours, theirs, draws):
    middle, low, high = _of_one(ours - theirs, draws)
    return [middle, low, high, "ours" if middle < 0 else "theirs"]


@wrong_answer("03.paired_difference", says="waits until two separate intervals")
def by_overlap(ours, theirs, draws):
    a, b = _of_one(ours, draws), _of_one(theirs, draws)
    return [*_of_one(ours - theirs, draws), _verdict(a[1] - b[2], a[2] - b[1])]


# ------------------------------------------------------------------ right ones


@right_answer("03.sampler", why="task by task, with sets drawn apart")
def task_by_task(heights, phases, tasks, shots, queries, seed):
    rng, parts = np.random.default_rng(seed), ([], [], [], [])
    for _ in range(tasks):
        height, phase = rng.uniform(*heights), rng.uniform(*phases)
        for i, count in ((0, shots), (2, queries)):
            x = rng.uniform(-5, 5, count)
            parts[i].append(x)
            parts[i + 1].append(height * np.sin(x - phase))
    return parts


@right_answer("03.sampler", why="NumPy's old generator")
def by_the_old_generator(heights, phases, tasks, shots, queries, seed):
    state = np.random.RandomState(seed)
    height, phase = (low + (high - low) * state.rand(tasks, 1) for low, high in (heights, phases))
    support_x, query_x = (10 * state.rand(tasks, n) - 5 for n in (shots, queries))
    return support_x, height * np.sin(support_x - phase), query_x, height * np.sin(query_x - phase)


@right_answer("03.sampler", why="a generator for each task, from the seed and the task's number")
def a_generator_for_each_task(heights, phases, tasks, shots, queries, seed):
    generators = [(rng, rng) for rng in (np.random.default_rng([seed, i]) for i in range(tasks))]
    return _task_after_task(heights, phases, tasks, shots, queries, generators)


@right_answer(
    "03.sampler", why="two numbers a and b in place of height and phase; single precision"
)
def by_two_numbers(heights, phases, tasks, shots, queries, seed):
    rng = np.random.default_rng([seed, 7])
    height, phase, x = _drawn(heights, phases, tasks, shots + queries, rng)
    y = height * np.cos(phase) * np.sin(x) - height * np.sin(phase) * np.cos(x)
    return [part.astype(np.float32) for part in _split(x, y, shots)]


@right_answer("03.average_predictor", why="Gauss–Legendre quadrature is exact to rounding")
def by_quadrature(x, heights, phases):
    nodes, weights = np.polynomial.legendre.leggauss(30)
    height, phase = (low + (high - low) * (nodes + 1) / 2 for low, high in (heights, phases))
    weight = np.outer(weights, weights).ravel() / 4
    waves = np.outer(height, np.ones(30)).ravel() * np.sin(x[:, None] - np.tile(phase, 30))
    best = waves @ weight
    return best, waves**2 @ weight - best**2


@right_answer("03.average_predictor", why="mean and variance of the height; a list")
def by_variances(x, heights, phases):
    (a, b), sine = heights, _mean_sine(x, phases)
    mean, variance, square = (a + b) / 2, (b - a) ** 2 / 12, _mean_square_sine(x, phases)
    return [list(mean * sine), list(variance * square + mean**2 * (square - sine**2))]


@right_answer("03.average_predictor", why="complex exponentials")
def by_exponentials(x, heights, phases):
    (a, b), (c, d) = heights, phases
    turn = lambda k: (
        np.exp(1j * k * x) * (np.exp(-1j * k * d) - np.exp(-1j * k * c)) / (-1j * k * (d - c))
    )
    best = (a + b) / 2 * turn(1).imag
    return best, (a * a + a * b + b * b) / 3 * (1 - turn(2).real) / 2 - best**2


@right_answer(
    "03.evaluate_protocol", why="sorted medians in place of argmin; NumPy's whole numbers"
)
def by_sorting(errors, validation, seed):
    order, result = _order(errors, seed), {}
    for name in sorted(errors):
        each = errors[name].sum(axis=2) / errors[name].shape[2]
        middles = np.quantile(each[order[:validation]], 0.5, axis=0)
        setting = np.argsort(middles, kind="stable")[0]
        result[name] = {"errors": list(each[order[validation:]][:, setting]), "setting": setting}
    return result


@right_answer("03.evaluate_protocol", why="loops over settings and tasks")
def by_loops(errors, validation, seed):
    order, result = _order(errors, seed).tolist(), {}
    for name, values in errors.items():
        scores = []
        for setting in range(values.shape[1]):
            scores.append(np.median([values[t, setting].mean() for t in order[:validation]]))
        best = scores.index(min(scores))
        result[name] = {
            "setting": best,
            "errors": np.array([values[t, best].mean() for t in order[validation:]]),
        }
    return result


@right_answer("03.evaluate_protocol", why="masks in place of lists of tasks")
def by_tables(errors, validation, seed):
    order = _order(errors, seed)
    shuffled = {name: values[order].mean(axis=-1) for name, values in errors.items()}
    best = {n: int(np.median(one[:validation], axis=0).argmin()) for n, one in shuffled.items()}
    return {
        n: {"setting": best[n], "errors": one[validation:, best[n]]} for n, one in shuffled.items()
    }


@right_answer("03.bootstrap_median", why="nan_to_num with infinity, and quantiles")
def by_quantiles(errors, draws):
    of_task = np.nan_to_num(errors.mean(axis=1), nan=np.inf)
    low, high = np.quantile(np.median(of_task[draws], axis=1), [0.025, 0.975])
    return np.median(of_task), low, high


@right_answer("03.bootstrap_median", why="resample by resample, medians by sorting")
def by_one_loop(errors, draws):
    of_task = _of_task(errors)

    def middle(values):
        values = sorted(values)
        return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2

    medians = [middle(of_task[places].tolist()) for places in draws]
    return [middle(of_task.tolist()), *_ends(medians)]


@right_answer("03.bootstrap_median", why="nan is replaced before the mean")
def replaced_first(errors, draws):
    of_task = np.where(np.isnan(errors), np.inf, errors).mean(axis=1)
    return np.array([np.median(of_task), *_ends(np.median(np.take(of_task, draws), axis=1))])


@right_answer("03.leak_hunt", why="sets of Python")
def by_sets(record):
    test, words = set(record["test"].tolist()), []
    if test & set(record["trained_on"].tolist()):
        words.append("seen in training")
    if test & set(record["chosen_on"].tolist()):
        words.append("chosen on test")
    if any(
        set(s) & set(q)
        for s, q in zip(record["support"].tolist(), record["query"].tolist(), strict=True)
    ):
        words.append("query in support")
    both = np.hstack([record["support_x"], record["query_x"]])
    if np.abs(both.mean(axis=1) - record["centre"]).max() < 1e-6:
        words.append("scaled with queries")
    y = record["query_y"]
    if (y == np.sort(y, axis=1)).all() or (y == -np.sort(-y, axis=1)).all():
        words.append("order tells")
    return words


@right_answer("03.leak_hunt", why="shared points by their x, in place of their numbers")
def by_places(record):
    same = record["support_x"][:, :, None] == record["query_x"][:, None, :]
    return _words(record, **{"query in support": same.any()})


@right_answer("03.leak_hunt", why="a tuple, by one comparison of all pairs")
def by_broadcasting(record):
    same = record["support"][:, :, None] == record["query"][:, None, :]
    slopes = np.sign(np.diff(record["query_y"]))
    words = _words(
        record, **{"query in support": same.any(), "order tells": abs(slopes.sum()) == slopes.size}
    )
    return tuple(words)


@right_answer("03.leak_hunt", why="sums in place of means")
def by_sums(record):
    count = record["support_x"].shape[1] + record["query_x"].shape[1]
    total = record["support_x"].sum(axis=1) + record["query_x"].sum(axis=1)
    guilty = np.allclose(total, count * record["centre"])
    return _words(record, **{"scaled with queries": guilty})


@right_answer("03.paired_difference", why="a loop over resamples of both methods")
def by_pairs(ours, theirs, draws):
    medians = [np.median(ours[places] - theirs[places]) for places in draws]
    low, high = np.quantile(medians, [0.025, 0.975])
    verdict = "undecided" if low <= 0 <= high else "ours" if low < 0 else "theirs"
    return np.median(ours - theirs), low, high, verdict


@right_answer("03.paired_difference", why="theirs minus ours, turned round at the end")
def turned_round(ours, theirs, draws):
    middle, low, high = _of_one(theirs - ours, draws)
    return [-middle, -high, -low, _verdict(-high, -low)]


@right_answer("03.paired_difference", why="single precision, and sorted resamples")
def in_single_precision(ours, theirs, draws):
    difference = (ours - theirs).astype(np.float32)
    ranked, n = np.sort(difference[draws], axis=1), draws.shape[1]
    low, high = _ends((ranked[:, (n - 1) // 2] + ranked[:, n // 2]) / 2)
    return float(np.median(difference)), low, high, _verdict(low, high)
