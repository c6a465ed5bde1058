"""Checks of chapter 03: one function per exercise, for the learner and for the grader."""

from functools import partial

import numpy as np

from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect

# ------------------------------------------------------------------ 03.1

NAMES = ("support_x", "support_y", "query_x", "query_y")


@exercise("03.sampler", points=3, minutes=12, difficulty=2)
def sampler(answer, rng):
    """A sampler"""
    inputs = {"heights": _heights, "phases": _phases, "tasks": (60, 80)}
    counts = {"shots": (3, 5), "queries": (6, 8), "seed": (0, 10**6)}
    for heights, phases, tasks, shots, queries, seed in draw(rng, **inputs, **counts):
        settings = (heights, phases, tasks, shots, queries)
        first, other = (_parts(answer, *settings, seed + i) for i in (0, 1))
        again = _parts(answer, *settings, seed)
        for parts in (first, other):
            _judge_form(parts, tasks, shots, queries)
            _judge_places(parts)
            _judge_waves(parts, heights, phases)
            _judge_sets(parts)
            _judge_order(parts)
        _judge_seeds(first, again, other)
        for parts in (first, other):
            _judge_one_generator(parts, heights, phases)
    heights, phases = (0.5, 5.0), _phases(rng)  # so wide that an uneven law shows
    many = _parts(answer, heights, phases, MANY, 3, 6, int(rng.integers(10**6)))
    _judge_form(many, MANY, 3, 6)
    _judge_waves(many, heights, phases)
    _judge_evenness(many, heights, phases)


MANY = 2_000  # tasks, of which the laws are judged


def _heights(rng):
    low = float(rng.uniform(0.5, 2.0))
    return low, low + float(rng.uniform(1.0, 3.0))


def _phases(rng):
    """A range within (0, π) of a width at which −p, p + π/2 and p − π/2 lie outside."""
    low = float(rng.uniform(0.2, 1.0))
    return low, low + float(rng.uniform(0.9, 1.4))


def _parts(answer, *settings):
    got = answer(*settings)
    parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
    if len(parts) != 4 or any(part is None for part in parts):
        raise WrongAnswer("return four arrays: support_x, support_y, query_x, query_y")
    return [part.astype(float) for part in parts]


def _judge_form(parts, tasks, shots, queries):
    for name, part, count in zip(NAMES, parts, (shots, shots, queries, queries), strict=True):
        if part.shape == (tasks, count):
            continue
        if part.shape == (count, tasks):
            raise WrongAnswer(
                f"{name} lies on its side: tasks are the first axis, points the second"
            )
        if part.shape == (tasks, count, 1):
            raise WrongAnswer(f"{name} has an axis too many: (tasks, points) is asked for")
        if part.shape in {(tasks, shots), (tasks, queries), (tasks, shots + queries)}:
            raise WrongAnswer(f"{name} has the wrong number of points for each task")
        wanted = f"its shape is {part.shape}; it should be {(tasks, count)}"
        raise WrongAnswer(f"{name} has the wrong shape: (tasks, points) is asked for", wanted)
    if not all(np.isfinite(part).all() for part in parts):
        raise WrongAnswer("there are nan or infinite numbers among the points")


def _judge_places(parts):
    x = np.concatenate([parts[0], parts[2]], axis=1)
    if np.abs(x).max() > 5:
        raise WrongAnswer("some x lie outside −5 … 5")
    if (x >= 0).all():
        raise WrongAnswer("no x is negative: they are drawn between −5 and 5")
    if (x == np.round(x)).all():
        raise WrongAnswer(
            "all x are whole numbers: draw them evenly between −5 and 5, as real numbers"
        )
    if (x == x[0]).all():
        raise WrongAnswer(
            "all tasks have their points at the same places: draw x anew for each task"
        )
    for words, part in (("support", parts[0]), ("query", parts[2])):
        if (part == part[0]).all():
            raise WrongAnswer(
                f"all tasks have their {words} points at the same places: draw x anew for each task"
            )
    inside = [np.unique(row[np.abs(row) < 5]) for row in x]
    if len(np.unique(np.concatenate(inside))) < 0.9 * sum(map(len, inside)):
        raise WrongAnswer(
            "the same x come in many tasks, as from a grid or rounded: draw them evenly between −5 and 5, as real "
            "numbers"
        )
    if (np.abs(x) == 5).sum() > 2:
        raise WrongAnswer(
            "many x are exactly −5 or 5, as if others had been cut off there: draw them evenly between −5 and 5"
        )


def _wave_through(x, y):
    """(height, phase, largest distance of a point) of the wave nearest to each task's points, (tasks,) each."""
    found = []
    for places, values in zip(x, y, strict=True):
        columns = np.column_stack([np.sin(places), np.cos(places)])
        (a, b) = np.linalg.lstsq(columns, values, rcond=None)[0]
        off = np.abs(columns @ (a, b) - values).max()
        found.append((np.hypot(a, b), np.arctan2(-b, a), off))
    return np.array(found).T


def _judge_waves(parts, heights, phases):
    support, query = _wave_through(*parts[:2]), _wave_through(*parts[2:])
    height, phase, off = _wave_through(
        np.concatenate(parts[::2], axis=1), np.concatenate(parts[1::2], axis=1)
    )
    if off.max() > 1e-4:
        if max(support[2].max(), query[2].max()) < 1e-4:
            raise WrongAnswer(
                "support and query set of a task lie on two different waves: draw height and phase once for both"
            )
        raise WrongAnswer(
            "the points of a task lie on no wave A sin(x − p): one height and one phase for all points of a task"
        )
    for kind, values, (low, high) in (("height", height, heights), ("phase", phase, phases)):
        if np.ptp(values) < 1e-4:
            raise WrongAnswer(f"all tasks have the same {kind}: draw one for each task")
        if low - 1e-4 <= values.min() and values.max() <= high + 1e-4:
            continue
        if kind == "phase" and low - 1e-4 <= -values.max() and -values.min() <= high + 1e-4:
            raise WrongAnswer(
                "your waves are shifted the other way: it is sin(x − p), with a minus"
            )
        if kind == "phase" and low - 1e-4 <= (values + np.pi / 2).min() <= high + 1e-4:
            raise WrongAnswer("your waves are cosines, or their phases lie outside the range given")
        raise WrongAnswer(f"the {kind}s of some waves lie outside the range given")


def _judge_sets(parts):
    """No point twice. In single precision it happens by chance, once in thousands of tasks: one is forgiven."""
    x, query = parts[0], parts[2]
    if (x[:, :, None] == query[:, None, :]).any(axis=(1, 2)).sum() > 1:
        raise WrongAnswer(
            "a point of a support set is among the queries of its task: that tests memory, not learning"
        )
    both = np.sort(np.concatenate([x, query], axis=1), axis=1)
    if (np.diff(both, axis=1) == 0).any(axis=1).sum() > 1:
        raise WrongAnswer("a point comes twice in a task: draw each x by itself")
    if (x.max(axis=1) < query.min(axis=1)).all() or (x.min(axis=1) > query.max(axis=1)).all():
        raise WrongAnswer(
            "support and query set lie on two sides of each other in every task: do not sort x before you split it"
        )


def _judge_order(parts):
    """Neither points nor tasks are sorted: a place in an array that tells something is a leak."""
    for name, part in zip(NAMES, parts, strict=True):
        if _goes_one_way(part):
            what = "x" if name.endswith("x") else "y"
            raise WrongAnswer(
                f"the points of every task are sorted by {what}: leave them in the order in which they were drawn"
            )
    height, phase, _ = _wave_through(
        np.concatenate(parts[::2], axis=1), np.concatenate(parts[1::2], axis=1)
    )
    for kind, values in (("height", height), ("phase", phase)):
        if _goes_one_way(values[None]):
            raise WrongAnswer(
                f"the tasks are sorted by {kind}: leave them in the order in which they were drawn"
            )


def _goes_one_way(rows):
    """Whether all rows go up, or all go down."""
    steps = np.diff(rows, axis=1)
    return bool((steps > 0).all() or (steps < 0).all())


def _judge_seeds(first, again, other):
    same = lambda one, two: all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    if not same(first, again):
        raise WrongAnswer(
            "the same seed gives two different batches: draw everything with np.random.default_rng(seed)"
        )
    if same(first, other):
        raise WrongAnswer("two seeds give the same batch: the seed is ignored")
    if np.array_equal(first[0], other[0]):
        raise WrongAnswer("two seeds give the same places x: draw x with the seed, too")
    waves = [_waves_of(parts) for parts in (first, other)]
    if _in_both(*waves):
        raise WrongAnswer(
            "two neighbouring seeds have tasks in common: a test with one and training with the other would share "
            "them. Draw all tasks of a batch from one generator"
        )
    if _in_both(first[0], other[0]):
        raise WrongAnswer("two neighbouring seeds give some tasks the same places x")


def _waves_of(parts):
    """Height and phase of each task, (tasks, 2)."""
    x, y = (np.concatenate(parts[i::2], axis=1) for i in (0, 1))
    return np.column_stack(_wave_through(x, y)[:2])


def _in_both(one, two):
    """Whether a row of the one is a row of the other, up to rounding."""
    return bool((np.abs(one[:, None] - two[None]).max(axis=2) < 1e-8).any())


def _judge_one_generator(parts, heights, phases):
    """Height, phase and x are random numbers of their own: on the scale from 0 to 1 none is another one again."""
    of_height, of_phase = (
        (values - low) / (high - low)
        for values, (low, high) in zip(_waves_of(parts).T, (heights, phases), strict=True)
    )
    places = (np.concatenate(parts[::2], axis=1) + 5) / 10  # (tasks, points)
    advice = "draw a number for each, all from ONE generator (another one with the same seed draws the same again)"
    if _mostly(of_height[:, None], of_phase[:, None]):
        raise WrongAnswer(f"height and phase are one and the same random number: {advice}")
    if _mostly(of_height[:, None], 1 - of_phase[:, None]):
        raise WrongAnswer(
            "the phase of a task is high if its height is low: draw a random number for each"
        )
    for kind, values in (("height", of_height), ("phase", of_phase)):
        if _mostly(values[:, None], places):
            raise WrongAnswer(
                f"the {kind} of a task and a place x of it are the same random number: {advice}"
            )
        if _mostly(values[:, None], places.reshape(1, -1)):
            raise WrongAnswer(
                f"the {kind}s of the tasks are among the random numbers of the places x: {advice}"
            )


def _mostly(values, others):
    """Whether half of the values (tasks, 1) are among the others of their row."""
    return (np.abs(values - others).min(axis=1) < 1e-9).mean() > 0.5


def _judge_evenness(parts, heights, phases):
    """The law of what was drawn; no height follows a phase, no place follows a wave."""
    x = np.concatenate(parts[::2], axis=1)
    height, phase = _waves_of(parts).T
    for kind, values, (low, high) in (
        ("heights", height, heights),
        ("phases", phase, phases),
        ("places x", x.ravel(), (-5.0, 5.0)),
    ):
        unit = (values - low) / (high - low)
        if _distance_from_even(unit) > 3.4:
            which = "low" if np.median(unit) < 0.45 else "high" if np.median(unit) > 0.55 else ""
            words = f": {which} ones come too often" if which else ""
            raise WrongAnswer(
                f"the {kind} are not drawn evenly from the whole of their range{words}"
            )
    follows = np.abs(np.corrcoef(np.column_stack([height, phase, x]).T)) > 0.2
    if follows[0, 1]:
        raise WrongAnswer("height and phase are not independent: one goes with the other")
    if follows[:2, 2:].any():
        raise WrongAnswer("some places x go with the height or the phase of their task")


def _distance_from_even(unit):
    """Kolmogorov's √n D between the numbers and the even law on 0 … 1; above 3.4 once in 5,000 million."""
    unit, n = np.sort(unit), unit.size
    steps = np.arange(n + 1) / n
    return np.sqrt(n) * max((steps[1:] - unit).max(), (unit - steps[:-1]).max())


# ------------------------------------------------------------------ 03.2


@exercise("03.average_predictor", points=4, minutes=25, difficulty=4)
def average_predictor(answer, rng):
    """The average of another family"""
    for heights, phases in draw(rng, heights=_any_heights, phases=_any_phases):
        x = rng.uniform(-5, 5, rng.integers(5, 10))
        got = _several(answer(x, heights, phases), 2, "return two arrays: best, left")
        best, left = _average(x, heights, phases), _left(x, heights, phases)
        mistakes = partial(_wrong_averages, x, heights, phases, got[0], best)
        expect(got[0], best, mistakes, what="the best function")
        mistakes = partial(_wrong_rests, x, heights, phases, got[1], left)
        expect(got[1], left, mistakes, what="what is left")


def _several(got, count, words):
    got = list(got) if isinstance(got, np.ndarray) and got.ndim else got
    if not isinstance(got, (list, tuple)) or len(got) != count:
        raise WrongAnswer(words)
    return got


def _any_heights(rng):
    low = float(rng.uniform(0.1, 2.0))
    return low, low + float(rng.uniform(0.5, 3.0))


def _any_phases(rng):
    low = float(rng.uniform(-2.0, 2.0))
    return low, low + float(rng.uniform(0.6, 2.6))


def _mean_sine(x, phases):
    c, d = phases
    return (np.cos(x - d) - np.cos(x - c)) / (d - c)


def _mean_square_sine(x, phases):
    c, d = phases
    return 0.5 - (np.sin(2 * (x - c)) - np.sin(2 * (x - d))) / (4 * (d - c))


def _mean_square(heights):
    a, b = heights
    return (b**3 - a**3) / (3 * (b - a))


def _average(x, heights, phases):
    return sum(heights) / 2 * _mean_sine(x, phases)


def _left(x, heights, phases):
    square = _mean_square(heights) * _mean_square_sine(x, phases)
    return square - _average(x, heights, phases) ** 2


NEARLY = "close, but not exact: write the averages down as integrals; drawn waves or a coarse grid are not enough"


def _if_near(got, right):
    """What was answered, where that is right to about two digits; else what is right."""
    values = array_of(got)
    same = values is not None and values.shape == np.shape(right)
    return got if same and np.allclose(values, right, rtol=0.05, atol=0.1) else right


def _wrong_averages(x, heights, phases, got, right):
    (a, b), (c, d) = heights, phases
    sine = _mean_sine(x, phases)
    return {
        "this is the wave with the average height and the average phase: it is the waves that are averaged, "
        "not their parameters": (a + b) / 2 * np.sin(x - (c + d) / 2),
        "this is the average for phases from 0 to π: here they go from another place to another": (
            -(a + b) / np.pi * np.cos(x)
        ),
        "an average is the integral divided by the width of the range of phases": (
            (a + b) / 2 * sine * (d - c)
        ),
        "the width of the range of phases is high − low, not π: that was the lesson's range": (
            (a + b) / 2 * sine * (d - c) / np.pi
        ),
        "the sign is the wrong one: the integral of sin(x − p) over p is cos(x − p), at the upper end minus at "
        "the lower": -(a + b) / 2 * sine,
        "you integrate sin(x + p): the wave is A sin(x − p)": (
            (a + b) / 2 * (np.cos(x + c) - np.cos(x + d)) / (d - c)
        ),
        "the mean height is missing: this is the average of waves of height 1": sine,
        "the mean of the heights is half of low + high": (a + b) * sine,
        "this takes half of high − low for the mean height: it is half of low + high": (
            (b - a) / 2 * sine
        ),
        "this takes the largest height: the mean height belongs here": b * sine,
        "the average is taken over the two ends of the range of phases, not over all of it": (
            (a + b) / 2 * (np.sin(x - c) + np.sin(x - d)) / 2
        ),
        "this takes the root of the mean square of the heights: for the average their mean counts": (
            np.sqrt(_mean_square(heights)) * sine
        ),
        NEARLY: _if_near(got, right),
    }


def _wrong_rests(x, heights, phases, got, right):
    (a, b), best = heights, _average(x, heights, phases)
    square, of_sine = _mean_square(heights), _mean_square_sine(x, phases)
    return {
        "the square of the mean height is not the mean of the squared heights": (
            ((a + b) / 2) ** 2 * of_sine - best**2
        ),
        "the mean of sin² is a half only over half a period: here the phases go over another range": (
            square / 2 - best**2
        ),
        "this is the mean square of y: the square of the best function is still to be subtracted": (
            square * of_sine
        ),
        "the best function is subtracted itself: its square belongs here": square * of_sine - best,
        "this is the standard deviation: the squared error that is left is its square": (
            lambda: np.sqrt(np.maximum(right, 0))
        ),
        "this is the mean over x: one number for each x is asked for": float(np.mean(right)),
        "this has the same number at each x, the mean over x: what is left depends on x": (
            np.full(len(x), np.mean(right))
        ),
        "a factor ½ is missing in the mean of sin²: the integral of cos 2u is ½ sin 2u, and sin² has another ½": (
            square * (2 * of_sine - 0.5) - best**2
        ),
        "the mean of sin² is twice what it should be: sin² u = ½ (1 − cos 2u)": (
            2 * square * of_sine - best**2
        ),
        "a sign in the mean of sin² is wrong: sin² u = ½ (1 − cos 2u), and u = x − p falls as p grows": (
            square * (1 - of_sine) - best**2
        ),
        "the mean of the squared heights is missing in the mean square of y": of_sine - best**2,
        "this takes the mean of the two squared ends for the mean of the squared heights": (
            (a**2 + b**2) / 2 * of_sine - best**2
        ),
        "this is the variance of the heights alone: that of the phases contributes, too": (
            (b - a) ** 2 / 12 * of_sine
        ),
        "the mean square of the heights multiplies both terms: what is subtracted is the square of the best "
        "function, with the square of the mean height in it": (
            square * (of_sine - _mean_sine(x, phases) ** 2)
        ),
        "the sign is the wrong one: the mean of the square minus the square of the mean": -right,
        NEARLY: _if_near(got, right),
    }


# ------------------------------------------------------------------ 03.3

METHODS = ["MAML", "pretrained", "nearest", "ridge", "average"]


@exercise("03.evaluate_protocol", points=4, minutes=15, difficulty=3)
def evaluate_protocol(answer, rng):
    """A test protocol"""
    for errors, validation, seed in _experiments(rng):
        right = _protocol(errors, validation, seed)
        got = answer(errors, validation, seed)
        expect(got, right, partial(_wrong_protocols, errors, validation, seed, got))


def _experiments(rng):
    """Cases in which another choice of tasks, of a mean or of a unit, chooses another setting for some method."""
    for methods, settings, seed in draw(rng, methods=(2, 4), settings=(8, 12), seed=(0, 10**6)):
        names = [METHODS[i] for i in rng.permutation(len(METHODS))[:methods]]
        while True:
            tasks, queries = int(rng.integers(24, 36)), int(rng.integers(4, 8))
            validation = int(rng.integers(8, tasks // 2 - 1))  # fewer than the test has
            errors = {name: _some_errors(rng, tasks, settings, queries) for name in names}
            right = _protocol(errors, validation, seed)
            others = _wrong_choices(errors, validation, seed).values()
            if all(any(o[n]["setting"] != right[n]["setting"] for n in names) for o in others):
                break
        yield errors, validation, seed


def _some_errors(rng, tasks, settings, queries):
    """Squared errors (tasks, settings, queries): tall waves and low ones, settings nearly alike."""
    tall = np.exp(rng.normal(0.0, 0.7, (tasks, 1, 1)))
    of_setting = np.exp(rng.normal(0.0, 0.5, (tasks, settings, 1)))
    return tall * of_setting * rng.gamma(0.5, 1.0, (tasks, settings, queries))


def _protocol(
    errors, validation, seed, *, of_task=None, middle=np.median, pick=np.argmin, **tasks_of
):
    """The result; by other lists of tasks, another error of a task, another middle, on demand."""
    tasks = len(next(iter(errors.values())))
    order = tasks_of.get("order", np.random.default_rng(seed).permutation(tasks))
    choose = tasks_of.get("choose", order[:validation])
    report = tasks_of.get("report", order[validation:])
    result = {}
    for name, values in errors.items():
        each = values.mean(axis=2) if of_task is None else of_task(values)  # (tasks, settings)
        setting = int(pick(middle(each[choose], axis=0)))
        result[name] = {"setting": setting, "errors": each[report, setting]}
    return result


def _order(errors, seed):
    return np.random.default_rng(seed).permutation(len(next(iter(errors.values()))))


ONE_SETTING = "one setting is chosen for all methods: each has the right to its own"


def _wrong_choices(errors, validation, seed):
    """Message → the result of choosing otherwise."""
    order = _order(errors, seed)
    run = partial(_protocol, errors, validation, seed)
    return {
        "the setting is chosen on the test tasks: then its error is small partly by luck": (
            run(choose=order[validation:])
        ),
        "the setting is chosen on all tasks, those of the test among them": run(choose=order),
        "the queries of all validation tasks are thrown together: first the mean over the queries of each task, "
        "then the median over the tasks": _pooled(errors, validation, seed),
        "this chooses by the mean over the validation tasks: by the median is asked for": (
            run(middle=np.mean)
        ),
        "this chooses the setting with the largest error": run(pick=np.argmax),
        ONE_SETTING: _one_for_all(errors, validation, seed),
        "validation and test are exchanged: the first of the order are for choosing": (
            run(choose=order[validation:], report=order[:validation])
        ),
        "the error of a task is the mean over its queries; this takes their median": (
            run(of_task=lambda values: np.median(values, axis=2))
        ),
    }


def _pooled(errors, validation, seed):
    """The setting by the median of all queries of the validation tasks."""
    order, result = _order(errors, seed), {}
    for name, values in errors.items():
        pool = np.moveaxis(values[order[:validation]], 1, 0).reshape(values.shape[1], -1)
        setting = int(np.argmin(np.median(pool, axis=1)))
        result[name] = {
            "setting": setting,
            "errors": values.mean(axis=2)[order[validation:], setting],
        }
    return result


def _one_for_all(errors, validation, seed):
    order = _order(errors, seed)
    each = {name: values.mean(axis=2) for name, values in errors.items()}
    middles = sum(np.median(one[order[:validation]], axis=0) for one in each.values())
    setting = int(np.argmin(middles))
    return {
        n: {"setting": setting, "errors": one[order[validation:], setting]}
        for n, one in each.items()
    }


def _if_one_setting(errors, test, got):
    """What a single setting, that of the answer, gives for all methods, however it was chosen; else NaN."""
    try:
        (setting,) = {int(got[name]["setting"]) for name in errors}
        return {
            name: {"setting": setting, "errors": values.mean(axis=2)[test, setting]}
            for name, values in errors.items()
        }
    except (TypeError, KeyError, ValueError, IndexError, OverflowError):
        return np.nan


def _wrong_protocols(errors, validation, seed, got):
    order, right = _order(errors, seed), _protocol(errors, validation, seed)
    tasks = np.arange(len(order))
    run = partial(_protocol, errors, validation, seed)
    each = {name: values.mean(axis=2) for name, values in errors.items()}
    reported = lambda pick: {
        name: {"setting": one["setting"], "errors": pick(each[name], one["setting"], errors[name])}
        for name, one in right.items()
    }
    test = order[validation:]
    middle_of_task = lambda values: np.median(values, axis=2)
    return {
        **_wrong_choices(errors, validation, seed),
        ONE_SETTING: _if_one_setting(errors, test, got),
        "`validation` is how many tasks are for choosing; this takes so many for the test": (
            run(choose=order[:-validation], report=order[-validation:])
        ),
        "this is the order of NumPy's old generator: take np.random.default_rng(seed)": (
            run(order=np.random.RandomState(seed).permutation(len(order)))
        ),
        "the reported error of a task is the mean over its queries; this takes their median": (
            reported(lambda one, k, raw: np.median(raw[test, k], axis=1))
        ),
        "for choosing, too, the error of a task is the mean over its queries; this takes their median": {
            name: {**one, "errors": each[name][test, one["setting"]]}
            for name, one in run(of_task=middle_of_task).items()
        },
        "validation is at the end of the order: the first ones are for choosing, all others are the test": (
            run(choose=order[-validation:], report=order[:-validation])
        ),
        "these are the errors of the setting that is best on the test, not of the one that was chosen": (
            reported(lambda one, k, _: one[test, np.argmin(np.median(one[test], axis=0))])
        ),
        "every method has other test tasks: shuffle once, before the loop over methods": (
            _shuffled_anew(errors, validation, seed)
        ),
        "the tasks are not shuffled: take them in the order that the generator gives": run(
            order=tasks
        ),
        "these are the errors on the validation tasks: on them the setting was chosen": (
            run(report=order[:validation])
        ),
        "these are the errors on all tasks: those on which the setting was chosen do not count": (
            run(report=order)
        ),
        "each test task has a setting of its own, its best one: that is chosen on the test": (
            reported(lambda one, k, _: one[test].min(axis=1))
        ),
        "one number for each test task is asked for: these are errors of single queries": (
            reported(lambda one, k, raw: raw[test, k])
        ),
        "one number for each test task is asked for: this is one number for all": (
            reported(lambda one, k, _: float(np.median(one[test, k])))
        ),
        "this is the mean over the test tasks: one number for each of them is asked for": (
            reported(lambda one, k, _: float(one[test, k].mean()))
        ),
        "the test errors are not in the shuffled order but in that of the tasks' numbers": (
            reported(lambda one, k, _: one[np.sort(test), k])
        ),
        "the test errors are sorted by size: then nobody can compare two methods task by task": (
            reported(lambda one, k, _: np.sort(one[test, k]))
        ),
        "this takes the error of the first query for that of the task: it is their mean": (
            run(of_task=lambda values: values[:, :, 0])
        ),
        "settings count from 0": {
            name: {**one, "setting": one["setting"] + 1} for name, one in right.items()
        },
    }


def _shuffled_anew(errors, validation, seed):
    """One generator that goes on: another order for each method."""
    rng, result = np.random.default_rng(seed), {}
    for name, values in errors.items():
        order = rng.permutation(len(values))
        result |= _protocol({name: values}, validation, seed, order=order)
    return result


# ------------------------------------------------------------------ 03.4


@exercise("03.bootstrap_median", points=3, minutes=10, difficulty=2)
def bootstrap_median(answer, rng):
    """The bootstrap of a median"""
    cases = [*draw(rng, case=_a_test), _half_blown_up(rng), _half_blown_up(rng)]
    ruled_out: set[str] = set()
    why_nan: set[str] | None = None  # what explains the nan in all cases that have one
    for errors, draws in cases:
        got = tuple(_several(answer(errors, draws), 3, THREE))
        values = array_of(got)
        if values is not None and np.isnan(values.astype(float)).any():
            why = _between_infinities(errors, draws, values.astype(float))
            why_nan = why if why_nan is None else why_nan & why
            if not why_nan:
                raise WrongAnswer(NAN)
            continue
        right = _bootstrap(_worst_for_nan(errors.mean(axis=1)), draws)
        expect(got, right, partial(_wrong_bootstraps, errors, draws, got, ruled_out))
    if why_nan:
        raise WrongAnswer("; or: ".join(sorted(why_nan)))
    _judge_infinity(answer, *_mostly_blown_up(rng))


THREE = "return three numbers: median, low, high"
NAN = (
    "there is nan among your numbers: `np.median` and `np.percentile` give nan as soon as one number is nan. A "
    "task with nan is infinitely bad"
)
OF_MEANS = "these are percentiles of the resamples' means: the median of each is asked for"
OF_ERRORS = "these are percentiles of the errors themselves: they say where tasks lie, not how sure the median is"
WRONG_AXIS = "the axis is the wrong one: a median for each resample, over its tasks"


def _between_infinities(errors, draws, got):
    """The mistakes whose percentiles, between two infinite values, are nan, and that give this answer."""
    of_task = _worst_for_nan(errors.mean(axis=1))
    middle, means = np.median(of_task), np.mean(of_task[draws], axis=1)
    known = {
        "this takes means for medians, of the test and of the resamples: a mean is infinite if one task is": (
            np.mean(of_task),
            *_ends(means),
        ),
        OF_MEANS: (middle, *_ends(means)),
        OF_ERRORS: (middle, *_ends(of_task)),
        WRONG_AXIS: (middle, *_ends(np.median(of_task[draws], axis=0))),
    }
    if got.shape != (3,):
        return set()
    near = partial(np.allclose, got, rtol=0, atol=1e-5 * middle, equal_nan=True)
    return {message for message, values in known.items() if near(values)}


def _judge_infinity(answer, errors, draws):
    """Where most tasks have a nan, the median is infinite: no number is large enough in place of infinity."""
    got = tuple(_several(answer(errors, draws), 3, THREE))
    middle, *ends = _bootstrap(_worst_for_nan(errors.mean(axis=1)), draws)
    if not (array_of(got[0]) is not None and np.ndim(got[0]) == 0 and got[0] == middle):
        raise WrongAnswer(
            "where most tasks have a nan, the median is infinite: count such a task as np.inf, not as a huge number"
        )
    expect(tuple(got[1:]), tuple(ends), what="the interval")


def _a_test(rng):
    """(errors (tasks, queries) with some tasks that blew up, draws); the median of every resample is finite."""
    while True:
        tasks, queries = int(rng.integers(18, 32)), int(rng.integers(3, 7))
        errors = np.exp(rng.normal(0.0, 0.9, (tasks, 1))) * rng.gamma(0.6, 1.0, (tasks, queries))
        away = rng.permutation(tasks)[:4]
        errors[away[:2], rng.integers(queries)] = np.nan
        errors[away[2:], rng.integers(queries)] = 1e6
        draws = rng.integers(tasks, size=(int(rng.integers(150, 250)), tasks))
        of_task = _worst_for_nan(errors.mean(axis=1))
        if np.isfinite(np.median(of_task[draws], axis=1)).all():
            return errors, draws


def _half_blown_up(rng):
    """As `_a_test`; half of the tasks are beyond a million, so that the middle shows how a nan is counted."""
    while True:
        tasks, queries = int(rng.integers(22, 32)), int(rng.integers(3, 7))
        errors = np.exp(rng.normal(0.0, 0.9, (tasks, 1))) * rng.gamma(0.6, 1.0, (tasks, queries))
        away = rng.permutation(tasks)[(tasks - 1) // 2 :]
        errors[away] = rng.uniform(2e6, 9e6, (len(away), 1))
        errors[away[:2], rng.integers(queries)] = np.nan
        draws = rng.integers(tasks, size=(int(rng.integers(150, 250)), tasks))
        of_task = _worst_for_nan(errors.mean(axis=1))
        if np.isfinite(np.median(of_task[draws], axis=1)).all():
            return errors, draws


def _mostly_blown_up(rng):
    """As `_a_test`; most tasks have a nan, but few that are drawn: only the test's median is infinite."""
    while True:
        errors, _ = _a_test(rng)
        tasks, queries = errors.shape
        order = rng.permutation(tasks)
        away, others = order[: 2 * tasks // 3], order[2 * tasks // 3 :]
        errors[away, rng.integers(queries)] = np.nan
        shape = (int(rng.integers(150, 250)), tasks)
        is_away = rng.random(shape) < 0.1
        draws = np.where(is_away, rng.choice(away, shape), rng.choice(others, shape))
        of_task = _worst_for_nan(errors.mean(axis=1))
        if np.isfinite(np.median(of_task[draws], axis=1)).all():
            return errors, draws


def _worst_for_nan(values):
    return np.where(np.isnan(values), np.inf, values)


def _bootstrap(of_task, draws, middle=np.median, ends=(2.5, 97.5)):
    low, high = np.percentile(middle(of_task[draws], axis=1), ends)
    return float(middle(of_task)), float(low), float(high)


@np.errstate(all="ignore")
def _wrong_bootstraps(errors, draws, got, ruled_out):
    of_task = _worst_for_nan(errors.mean(axis=1))
    right, medians = _bootstrap(of_task, draws), np.median(of_task[draws], axis=1)
    ends = lambda *q: (right[0], *(float(v) for v in np.percentile(medians, q)))
    around = lambda half: (right[0], right[0] - half, right[0] + half)
    spread = medians.std(ddof=1)
    named = {
        **_finite_for_nan(errors, draws),
        "tasks are drawn, not queries: this takes the queries of all drawn tasks together. The error of a task is "
        "the mean over its queries, before anything is drawn": _by_queries(errors, draws),
        "the tasks that blew up are left out: they are the worst ones, and count as infinitely bad": (
            _without_the_worst(errors, draws)
        ),
        "nan is left out of the mean over a task's queries: a task with nan is infinitely bad as a whole": (
            _bootstrap(np.nanmean(errors, axis=1), draws)
        ),
        "a task with nan counts as 0, the best there is: it is infinitely bad": (
            _bootstrap(np.nan_to_num(errors.mean(axis=1), nan=0.0, posinf=np.inf), draws)
        ),
        "queries with nan count as 0, the best there is: a task with nan is infinitely bad": (
            _bootstrap(np.nan_to_num(errors, nan=0.0, posinf=np.inf).mean(axis=1), draws)
        ),
        "the error of a task is the mean over its queries; this takes their median": (
            _bootstrap(np.median(_worst_for_nan(errors), axis=1), draws)
        ),
        "the error of a task is the mean over its queries; this takes their median, or inf where one is nan": (
            _bootstrap(_worst_for_nan(np.median(errors, axis=1)), draws)
        ),
        "the error of a task is the mean over its queries; this takes the median of those that are no nan": (
            _bootstrap(_worst_for_nan(np.nanmedian(errors, axis=1)), draws)
        ),
        OF_ERRORS: (right[0], *_ends(of_task)),
        "`np.percentile` takes per cent: 2.5 and 97.5, not 0.025 and 0.975": ends(0.025, 0.975),
        "this leaves 5 % out at each end, a 90 % interval: take 2.5 and 97.5": ends(5, 95),
        "these are the least and the largest of the medians: take the middle 95 % of them": ends(
            0, 100
        ),
        "this is median ± 1.96 standard deviations of the resamples' medians: the percentiles are asked for": (
            around(1.96 * spread)
        ),
        "the median itself is that of the test, not the median of the resamples' medians": (
            float(np.median(medians)),
            *right[1:],
        ),
        "the median itself is that of the test, not the mean of the resamples' medians": (
            float(np.mean(medians)),
            *right[1:],
        ),
        "low and high are exchanged": (right[0], right[2], right[1]),
        "low and high are the two ends, not their distances from the median": (
            right[0],
            right[0] - right[1],
            right[2] - right[0],
        ),
        WRONG_AXIS: (right[0], *_ends(np.median(of_task[draws], axis=0))),
        OF_MEANS: (right[0], *_ends(np.mean(of_task[draws], axis=1))),
    }
    return named | {
        NOT_THESE_DRAWS: _if_resampled(got, right, _still_fitting(named, got, right, ruled_out))
    }


LARGE = {"a hundred": 1e2, "a thousand": 1e3, "ten thousand": 1e4, "a million": 1e6}


def _finite_for_nan(errors, draws):
    """Message → the result when a task with nan, or one that is huge, counts as a number that others exceed."""
    of_task = errors.mean(axis=1)
    worse = "other tasks are worse, but one with nan is infinitely bad"
    return {
        **{
            f"a task with nan counts as {words}: {worse}": (
                _bootstrap(np.where(np.isnan(of_task), value, of_task), draws)
            )
            for words, value in LARGE.items()
        },
        "a task with nan counts as the mean of the others: it is infinitely bad": (
            _bootstrap(np.where(np.isnan(of_task), np.nanmean(of_task), of_task), draws)
        ),
        "every error above 100 counts as 100: a median needs no cap": (
            _bootstrap(np.minimum(_worst_for_nan(of_task), 100.0), draws)
        ),
    }


NOT_THESE_DRAWS = (
    "the median is right, but the interval is not the one that the resamples in `draws` give: each row of `draws` "
    "says which tasks a resample consists of"
)


def _still_fitting(named, got, right, ruled_out):
    """The values of the known mistakes that fit this case and all before; the others join `ruled_out`.

    In a single case many mistakes may give the same: the ends of an interval are medians of few numbers.
    """
    values = array_of(got)
    if values is not None and values.shape == (3,):
        size = 1e-5 * max(map(abs, right))
        ruled_out |= {m for m, v in named.items() if not np.allclose(values, v, rtol=0, atol=size)}
    return [value for message, value in named.items() if message not in ruled_out]


def _if_resampled(got, right, named):
    """What was answered, if its median is right and inside, and no known mistake gives it; else `right`."""
    values = array_of(got)
    if values is None or values.shape != (3,) or not np.isfinite(values).all():
        return right
    size = 1e-5 * max(map(abs, right))
    known = any(np.allclose(values, other, rtol=0, atol=size) for other in named)
    fits = abs(values[0] - right[0]) <= size and values[1] <= values[0] <= values[2]
    return got if fits and not known else right


def _by_queries(errors, draws):
    pool = _worst_for_nan(errors)
    medians = np.median(pool[draws].reshape(len(draws), -1), axis=1)
    return float(np.median(pool)), *(float(v) for v in np.percentile(medians, [2.5, 97.5]))


def _without_the_worst(errors, draws):
    """Medians of finite errors only."""
    of_task = errors.mean(axis=1)
    return _bootstrap(np.where(np.isfinite(of_task), of_task, np.nan), draws, middle=np.nanmedian)


# ------------------------------------------------------------------ 03.5

WORDS = (
    "seen in training",
    "chosen on test",
    "query in support",
    "scaled with queries",
    "order tells",
)


# Each comes in every kind, and the last in both directions: these follow from the place in the list.
SINGLE = [WORDS[i] for i in (0, 1, 2, 2, 2, 3, 3, 4, 4)]


@exercise("03.leak_hunt", points=5, minutes=25, difficulty=3)
def leak_hunt(answer, rng):
    """The leak hunt"""
    fixed = [*[set()] * 3, *[set(WORDS)] * 3, *({word} for word in SINGLE)]
    some = [{w for w in WORDS if rng.random() < 0.5} for _ in draw(rng, case=0)]
    for place, leaks in enumerate(fixed + some):
        record = _record(rng, leaks, kind=place % 3, down=place % 2 == 0)
        got = answer(record)
        if isinstance(got, (list, tuple)) and not set(map(str, got)) <= set(WORDS):
            raise WrongAnswer("there is a word in your list that is none of the five of the table")
        expect(got, _found(record), partial(_wrong_hunts, record))


def _record(rng, leaks, kind, down):
    """A record with these leaks, and with what looks like a leak and is none. kind: 0, 1 or 2, where they stand."""
    n, shots, queries = (int(k) for k in rng.integers([8, 3, 5], [14, 5, 7]))
    shots = queries if kind == 1 else shots  # as many: only then is a mean of two means right
    points = _points(rng, (n, shots, queries), kind, "query in support" in leaks)
    return {
        **_tasks(rng, n, leaks, kind),
        **points,
        "query_y": _answers(rng, (n, queries), kind, down, "order tells" in leaks),
        "centre": _centre(rng, points, "scaled with queries" in leaks, kind, down),
    }


def _tasks(rng, n, leaks, kind):
    """Lists of tasks; of the test, one task or (kind 1) all are in another list."""
    number = rng.permutation(400)
    trained, chosen, test = number[:60], number[60:90], number[90 : 90 + n]
    if kind != 0:
        chosen[:4] = trained[:4]  # unwise, but no leak
    for word, others in (("seen in training", trained), ("chosen on test", chosen)):
        if word in leaks and kind == 1:
            others[10 : 10 + n] = test
        elif word in leaks:
            others[int(rng.integers(10, len(others)))] = test[int(rng.integers(1, n))]
    return {"trained_on": trained, "chosen_on": chosen, "test": test}


def _centre(rng, points, leaks, kind, down):
    """What is subtracted, (n,): the mean of both sets, or a fixed number, the support set's mean or its median."""
    both = np.concatenate([points["support_x"], points["query_x"]], axis=1).mean(axis=1)
    if leaks:
        return both
    if (
        kind == 0
    ):  # a number that happens to be the mean of both in one task, the first or the second
        return np.full(len(both), both[0 if down else 1])
    middle = np.mean if kind == 1 else np.median
    return middle(points["support_x"], axis=1)


def _points(rng, sizes, kind, leaks):
    """Numbers of points and their x; the same number may be support in one task and query in another."""
    n, shots, queries = sizes
    drawn = np.array([rng.permutation(2 * (shots + queries))[: shots + queries] for _ in range(n)])
    x = rng.uniform(-5, 5, (n, 2 * (shots + queries)))  # of every point of a task
    support, query = drawn[:, :shots].copy(), drawn[:, shots:].copy()
    if leaks and kind == 1:  # in all tasks, at another place
        query[:, -1] = support[:, 0]
    elif leaks:  # in the first alone, at another place; or in another one, at the same place
        task = int(rng.integers(1, n)) if kind == 2 else 0
        query[task, 0 if kind == 2 else -1] = support[task, 0]
    support_x, query_x = (np.take_along_axis(x, which, axis=1) for which in (support, query))
    if kind == 1 and not leaks:  # over all tasks, not in each, the two sets have the same mean
        query_x += support_x.mean() - query_x.mean()
    return {"support": support, "query": query, "support_x": support_x, "query_x": query_x}


def _answers(rng, shape, kind, down, leaks):
    """Answers (n, queries): in order in every task; or in one alone, as by chance, or each in its own direction."""
    y = rng.uniform(-5, 5, shape)
    in_order = np.sort(y, axis=1)[:, :: -1 if down else 1]
    if leaks:
        return in_order.copy()
    if kind == 1:  # every task in a direction of its own
        turned = rng.permutation(len(y)) % 2 == 0
        return np.where(turned[:, None], in_order[:, ::-1], in_order)
    y[:, :3] = np.sort(y[:, :3], axis=1)[:, [0, 2, 1]]  # up, then down
    by_chance = 1 if kind == 2 else 0
    y[by_chance] = in_order[by_chance]
    return y


def _in_common(one, other):
    return bool(np.isin(one, other).any())


def _rising(y):
    return np.diff(y, axis=1) > 0  # (n, queries − 1)


def _found(record, **otherwise):
    """The list of leaks; `otherwise`: word → another verdict."""
    pairs = zip(record["query"], record["support"], strict=True)
    both = np.concatenate([record["support_x"], record["query_x"]], axis=1)
    up = _rising(record["query_y"])
    shown = {
        "seen in training": _in_common(record["test"], record["trained_on"]),
        "chosen on test": _in_common(record["test"], record["chosen_on"]),
        "query in support": any(_in_common(q, s) for q, s in pairs),
        "scaled with queries": bool(np.allclose(record["centre"], both.mean(axis=1))),
        "order tells": bool(up.all() or not up.any()),
    } | otherwise
    return [word for word, is_there in shown.items() if is_there]


NEVER = {
    "seen in training": "compare the test tasks with those trained on",
    "chosen on test": "compare the test tasks with those chosen on",
    "query in support": "compare the two sets of points of each task",
    "scaled with queries": "compare `centre` with the mean over both sets of each task, support and query together",
    "order tells": "look whether the answers of the queries go up in every task, or down in every task",
}


def _wrong_hunts(record):
    found = partial(_found, record)
    right, up = found(), _rising(record["query_y"])
    support, query, centre = record["support"], record["query"], record["centre"]
    means = [record[name].mean(axis=1) for name in ("support_x", "query_x")]
    flat = [np.unique(record[name]) for name in ("trained_on", "chosen_on", "test")]
    one_way = lambda signs: bool(signs.all(axis=1).any() or (~signs).all(axis=1).any())
    each_one_way = bool((up.all(axis=1) | ~up.any(axis=1)).all())
    not_both = [np.setdiff1d(flat[i], flat[1 - i]) for i in (0, 1)]
    excused = {
        "seen in training": _in_common(flat[2], not_both[0]),
        "chosen on test": _in_common(flat[2], not_both[1]),
    }
    nothing = right if right else None
    both = np.concatenate([record["support_x"], record["query_x"]], axis=1).mean(axis=1)
    scaled = lambda verdict: found(**{"scaled with queries": bool(verdict)})
    never = {
        f'"{word}" is never in your list: {advice}': found(**{word: False})
        for word, advice in NEVER.items()
    }
    return {
        **never,
        "to choose settings on training tasks is no leak of the test: compare both lists with the test tasks": (
            found(
                **{"seen in training": "seen in training" in right or _in_common(flat[0], flat[1])}
            )
        ),
        "to choose settings on training tasks is no leak of the test: this compares training and choosing, and "
        "not the test tasks": found(**{"seen in training": _in_common(flat[0], flat[1])}),
        "to choose settings on training tasks is no leak: compare the tasks chosen on with the test tasks": (
            found(**{"chosen on test": "chosen on test" in right or _in_common(flat[0], flat[1])})
        ),
        "to choose settings on training tasks is no leak: this compares the tasks chosen on with the training "
        "tasks, and not with the test tasks": found(
            **{"chosen on test": _in_common(flat[0], flat[1])}
        ),
        "a test task that was trained on AND chosen on shows two leaks: neither list excuses the other": (
            found(**excused)
        ),
        "a test task that was chosen on is a leak, also if it was trained on": (
            found(**{"chosen on test": excused["chosen on test"]})
        ),
        "a test task that was trained on is a leak, also if it was chosen on": (
            found(**{"seen in training": excused["seen in training"]})
        ),
        "one test task that was seen in training is a leak: not all of them need to be": (
            found(**{"seen in training": bool(np.isin(record["test"], record["trained_on"]).all())})
        ),
        "one test task on which settings were chosen is a leak: not all of them need to be": (
            found(**{"chosen on test": bool(np.isin(record["test"], record["chosen_on"]).all())})
        ),
        "one test task is enough for the first two leaks: not all need to be in the other list": found(
            **{
                "seen in training": bool(np.isin(record["test"], record["trained_on"]).all()),
                "chosen on test": bool(np.isin(record["test"], record["chosen_on"]).all()),
            }
        ),
        "every task numbers its own points: the same number in another task is another point": (
            found(**{"query in support": _in_common(query, support)})
        ),
        "a query in the support set of its task may stand anywhere in it: this compares place by place": (
            found(**{"query in support": _same_places(query, support)})
        ),
        "look at the points of every task, not of the first alone": (
            found(**{"query in support": _in_common(query[0], support[0])})
        ),
        "one task with a query in its support set is a leak: not all of them need to have one": found(
            **{
                "query in support": all(
                    _in_common(q, s) for q, s in zip(query, support, strict=True)
                )
            }
        ),
        "a centre that is not the mean of the support set may be a fixed number, which knows nothing of the "
        "queries": found(**{"scaled with queries": not np.allclose(centre, means[0])}),
        "the mean of all points is not half of the sum of the two means: the sets have different sizes": (
            found(**{"scaled with queries": bool(np.allclose(centre, (means[0] + means[1]) / 2))})
        ),
        "a centre that varies and is not the mean of the support set may still know nothing of the queries, as the "
        "median of the support set": scaled(
            not np.allclose(centre, means[0]) and np.ptp(centre) > 1e-9
        ),
        "the centre of one task may be the mean of both sets by chance: the leak shows in every task": (
            scaled(np.isclose(centre, both).any())
        ),
        "look at the centre of every task, not of the first alone": scaled(
            np.isclose(centre[0], both[0])
        ),
        "this compares the mean of all centres with the mean of all points: compare them task by task": (
            scaled(np.isclose(centre.mean(), both.mean()))
        ),
        "a few tasks in order may be chance: the order tells if every task has it": (
            found(**{"order tells": one_way(up)})
        ),
        "a few tasks that go up may be chance: the order tells if every task has it": (
            found(**{"order tells": bool(up.all(axis=1).any())})
        ),
        "look at the answers of every task, not of the first alone": (
            found(**{"order tells": bool(up[0].all() or not up[0].any())})
        ),
        "each task in its own direction is no such order: they go up in every task, or down in every task": (
            found(**{"order tells": each_one_way})
        ),
        "the answers may go down in every task as well": found(**{"order tells": bool(up.all())}),
        "a list of all leaks is asked for, not the first one alone": right[:1],
        "if there is no leak, return an empty list": nothing,
        "this lists what is in order: list the leaks": [w for w in WORDS if w not in right],
        "the words come in the order of the table": sorted(right),
        "the words come in the order of the table, from its top": right[::-1],
    }


def _same_places(query, support):
    n = min(query.shape[1], support.shape[1])
    return bool((query[:, :n] == support[:, :n]).any())


# ------------------------------------------------------------------ 03.6


@exercise("03.paired_difference", points=3, minutes=8, difficulty=2)
def paired_difference(answer, rng):
    """A paired difference"""
    ruled_out: set[str] = set()
    for gap in [*draw(rng, gap=[-1, 0, 1]), -2, -1, 0, 1, 2, "ties", "other ties"]:
        if isinstance(gap, str):
            ours, theirs, draws = _two_with_ties(rng, turned=gap == "other ties")
        else:
            ours, theirs, draws = _two_methods(rng, gap)
        got = answer(ours, theirs, draws)
        got = _several(got, 4, "return four things: median, low, high, verdict")
        numbers, verdict = _paired(ours, theirs, draws)
        expect(
            tuple(got[:3]),
            numbers,
            partial(_wrong_numbers, ours, theirs, draws, tuple(got[:3]), ruled_out),
            what="the numbers",
        )
        if not isinstance(got[3], str) or got[3] not in ("ours", "theirs", "undecided"):
            raise WrongAnswer('the verdict is one of the words "ours", "theirs" and "undecided"')
        expect(got[3], verdict, partial(_wrong_verdicts, ours, theirs, draws), what="the verdict")


def _two_methods(rng, gap):
    """(ours, theirs, draws): errors that scatter widely from task to task; by gap 1 little between the methods."""
    wanted = ("undecided", "theirs", "ours")[int(np.sign(gap))]
    factor = {0: 0.0, 1: 0.12, 2: 2.5}[abs(gap)] * np.sign(gap)
    while True:
        tasks = 2 * int(rng.integers(10, 20)) + 1  # odd: the median's sign says who wins most tasks
        hard = np.exp(rng.normal(0.0, 1.0, tasks))
        theirs = hard * np.exp(rng.normal(0.0, 0.15, tasks))
        ours = hard * np.exp(rng.normal(factor, 0.15, tasks))
        draws = rng.integers(tasks, size=(int(rng.integers(150, 250)), tasks))
        numbers, verdict = _paired(ours, theirs, draws)
        apart = _verdict_by_overlap(ours, theirs, draws) != "undecided"
        of_resamples = np.median(np.median((ours - theirs)[draws], axis=1))
        clear = min(np.abs(numbers[1:])) > 1e-4
        clear &= (
            abs(gap) != 2 or abs(of_resamples - numbers[0]) > 1e-4
        )  # seldom: in some cases only
        if verdict == wanted and clear and apart == (abs(gap) == 2):
            return ours, theirs, draws


def _two_with_ties(rng, turned):
    """(ours, theirs, draws): equal on many tasks: the interval ends at exactly 0, or begins there (turned)."""
    while True:
        tasks = 2 * int(rng.integers(10, 20)) + 1
        theirs = np.exp(rng.normal(0.0, 1.0, tasks))
        better = rng.permutation(tasks)[: int(0.6 * tasks)]
        ours = theirs.copy()
        ours[better] *= np.exp(-rng.uniform(0.1, 0.5, len(better)))
        draws = rng.integers(tasks, size=(int(rng.integers(150, 250)), tasks))
        (middle, low, high), _ = _paired(ours, theirs, draws)
        if high == 0 and max(low, middle) < -1e-4:
            return (theirs, ours, draws) if turned else (ours, theirs, draws)


def _ends(medians):
    return tuple(float(v) for v in np.percentile(medians, [2.5, 97.5]))


def _paired(ours, theirs, draws, middle=np.median):
    difference = ours - theirs
    low, high = _ends(middle(difference[draws], axis=1))
    verdict = "ours" if high < 0 else "theirs" if low > 0 else "undecided"
    return (float(middle(difference)), low, high), verdict


def _alone(values, draws):
    """(median, low, high) of one method."""
    return (float(np.median(values)), *_ends(np.median(values[draws], axis=1)))


def _wrong_numbers(ours, theirs, draws, got, ruled_out):
    right, (a, b) = _paired(ours, theirs, draws)[0], (_alone(ours, draws), _alone(theirs, draws))
    of_medians = a[0] - b[0]
    both = np.median(ours[draws], axis=1) - np.median(theirs[draws], axis=1)
    apart = np.median(ours[draws], axis=1) - np.median(theirs[draws[::-1]], axis=1)
    half = (a[2] - a[1]) / 2 + (b[2] - b[1]) / 2
    root = np.hypot((a[2] - a[1]) / 2, (b[2] - b[1]) / 2)
    medians = np.median((ours - theirs)[draws], axis=1)
    named = {
        "this is the difference of the two medians, resample by resample: take the difference on each task first, "
        "then the median": (of_medians, *_ends(both)),
        "the two methods are drawn apart, each with other tasks: the same tasks for both, and the difference on "
        "each": (of_medians, *_ends(apart)),
        "the ends of two separate intervals are subtracted crosswise, which adds their widths: the difference on "
        "each task is far surer": (of_medians, a[1] - b[2], a[2] - b[1]),
        "low minus low and high minus high is no interval: take the difference on each task first": (
            (of_medians, a[1] - b[1], a[2] - b[2])
        ),
        "the half widths of two intervals are added: take the difference on each task first": (
            (of_medians, of_medians - half, of_medians + half)
        ),
        "the half widths of two intervals are added in squares, as for separate tasks: take the difference on "
        "each task first": (of_medians, of_medians - root, of_medians + root),
        "the interval is right, but the median must be that of the differences, not the difference of the "
        "medians": (of_medians, *right[1:]),
        "the sign is the wrong one: it is ours minus theirs": (-right[0], -right[2], -right[1]),
        "this is the mean of the differences: the median is asked for": (
            _paired(ours, theirs, draws, middle=np.mean)[0]
        ),
        "both lists are sorted before they are subtracted: then other tasks are compared": (
            _paired(np.sort(ours), np.sort(theirs), draws)[0]
        ),
        "these are relative differences: ours minus theirs is asked for": (
            _paired(ours / theirs - 1, np.zeros(len(ours)), draws)[0]
        ),
        "these are the sizes of the differences: their signs say who is better": (
            _paired(np.abs(ours - theirs), np.zeros(len(ours)), draws)[0]
        ),
        "these are percentiles of the differences themselves: they say where tasks lie, not how sure the "
        "median is": (
            right[0],
            *_ends(ours - theirs),
        ),
        "this is median ± 1.96 standard deviations of the resamples' medians: the percentiles are asked for": (
            right[0],
            right[0] - 1.96 * medians.std(ddof=1),
            right[0] + 1.96 * medians.std(ddof=1),
        ),
        "this leaves 5 % out at each end, a 90 % interval: take 2.5 and 97.5": (
            right[0],
            *(float(v) for v in np.percentile(medians, [5, 95])),
        ),
        "low and high are exchanged": (right[0], right[2], right[1]),
        "these are differences of logarithms: ours minus theirs is asked for": (
            _paired(np.log(ours), np.log(theirs), draws)[0]
        ),
        "the median itself is that of the differences, not the median of the resamples' medians": (
            float(np.median(medians)),
            *right[1:],
        ),
        "the median itself is that of the differences, not the mean of the resamples' medians": (
            float(np.mean(medians)),
            *right[1:],
        ),
    }
    apart = "the median is the difference of the two medians: subtract task by task first, then take the median"
    known = _still_fitting(named, got, right, ruled_out)
    return named | {
        apart: _if_of_medians(got, of_medians, right, known),
        NOT_THESE_DRAWS: _if_resampled(got, right, known),
    }


def _if_of_medians(got, of_medians, right, named):
    """What was answered, if it begins with `of_medians` and no known mistake gives it; else `right`."""
    values = array_of(got)
    size = 1e-5 * max(map(abs, right))
    if values is None or values.shape != (3,) or not np.isclose(values[0], of_medians, 0, size):
        return right
    return right if any(np.allclose(values, other, 0, size) for other in named) else got


def _verdict_by_overlap(ours, theirs, draws):
    a, b = _alone(ours, draws), _alone(theirs, draws)
    return "ours" if a[2] < b[1] else "theirs" if b[2] < a[1] else "undecided"


def _wrong_verdicts(ours, theirs, draws):
    (middle, low, high), verdict = _paired(ours, theirs, draws)
    swapped = {"ours": "theirs", "theirs": "ours", "undecided": "undecided"}
    return {
        "the verdict is the wrong way round: small errors are good": swapped[verdict],
        "the verdict says who is better on more than half of the tasks, which is the sign of the median alone: if "
        "the interval contains 0, it is undecided": ("ours" if middle < 0 else "theirs"),
        "the verdict waits until two separate intervals do not overlap: the interval of the difference decides": (
            _verdict_by_overlap(ours, theirs, draws)
        ),
        "the verdict is undecided whatever the interval says": "undecided",
        "the verdict never says theirs: an interval above 0 is sure, too": (
            "ours" if verdict == "ours" else "undecided"
        ),
        "an interval that contains 0 does not show that they are worse: that is undecided": (
            "ours" if verdict == "ours" else "theirs"
        ),
        "an interval that ends at exactly 0 contains it: that is undecided": (
            "ours" if high <= 0 else "theirs" if low >= 0 else "undecided"
        ),
    }
