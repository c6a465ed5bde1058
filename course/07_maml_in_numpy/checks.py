"""Checks of chapter 07: one function per exercise, for the learner and for the grader."""

import itertools
from functools import partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import draw, exercise, expect, named

TANH, LINE = named("tanh_mlp_mse"), named("linear_mse")


def a_problem(rng):
    """(loss, θ, support x and y, query x and y): network or straight line, of any size."""
    inputs, outputs, width = (int(n) for n in rng.integers([1, 1, 2], [3, 3, 5]))
    tasks, shots, queries = (int(n) for n in rng.integers([2, 3, 5], [5, 6, 8]))
    if rng.random() < 0.7:
        loss, params = TANH, network_params(rng, inputs, width, outputs)
    else:
        shapes = {"w": (inputs, outputs), "b": (outputs,)}
        loss, params = LINE, {name: rng.normal(0.0, 0.8, shape) for name, shape in shapes.items()}
    return loss, params, *sets_of(rng, tasks, shots, queries, inputs, outputs)


def network_params(rng, inputs=1, width=3, outputs=1):
    """θ of a small tanh network, curved enough for every mistake to show."""
    shapes = {"w1": (inputs, width), "b1": (width,), "w2": (width, outputs), "b2": (outputs,)}
    return {name: rng.normal(0.0, 0.8, shape) for name, shape in shapes.items()}


def sets_of(rng, tasks, shots, queries, inputs=1, outputs=1):
    """Support and query sets of small waves: x (tasks, examples, inputs), y (tasks, examples, outputs)."""
    amplitude, phase = (
        rng.uniform(low, high, (tasks, 1, outputs)) for low, high in ((0.5, 2.0), (0.0, np.pi))
    )
    x = rng.uniform(-2.0, 2.0, (tasks, shots + queries, inputs))
    y = amplitude * np.sin(x.sum(axis=2, keepdims=True) - phase)
    return x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:]


def moved(params, slope, rate):
    return {name: value - rate * slope[name] for name, value in params.items()}


PROBLEM = {"problem": a_problem, "inner_lr": (0.05, 0.2), "inner_steps": (2, 4)}


# ---------------------------------------------------------------- 07.1


@exercise(
    "07.inner_loop",
    points=2,
    minutes=5,
    difficulty=1,
    forbids=("maml_edu.reference.adapt", "maml_edu.pytorch"),
)
def inner_loop(answer, rng):
    """The inner loop"""
    # from 3 steps on, "one step short" and "one step only" are two numbers
    for problem, lr, steps in draw(rng, **{**PROBLEM, "inner_steps": (3, 4)}):
        named_loss, params, x, y = problem[:4]
        expect(
            answer(named_loss, params, x, y, lr, steps),
            adapt_all(named_loss.numpy, params, x, y, lr, steps),
            mistakes=partial(inner_mistakes, named_loss.numpy, params, x, y, lr, steps),
        )


def inner_mistakes(loss, params, x, y, lr, steps):
    """Message → what that mistake gives, or a function that computes it."""
    chained = lambda: chain(loss, params, x, y, lr, steps)
    paths = paths_of(loss, params, x, y, lr, steps + 1)
    after = lambda k: [path[k] for path in paths]
    right = after(steps)
    every = lambda walk: (
        lambda: [walk(loss, params, sx, sy, lr, steps) for sx, sy in zip(x, y, strict=True)]
    )
    return {
        "each step needs the slope where it starts; this takes the slope at θ every time": (
            lambda: adapt_all(loss, params, x, y, lr * steps, 1)
        ),
        "this goes uphill: gradient descent subtracts the slope": every(uphill),
        "this is one inner step short": after(steps - 1),
        "this is one step only: is φ set inside the loop, so that every step starts at θ again?": (
            after(1)
        ),
        "this is one inner step too many": after(steps + 1),
        "every task has to start at θ; here a task starts where the one before it ended": chained,
        "all tasks share the same arrays, changed in place: make new arrays in every step": (
            lambda: [chained()[-1]] * len(x)
        ),
        "all entries of your list are one and the same dict, refilled for each task: make a new one for "
        "each": [right[-1]] * len(x),
        "this is the last task alone: return a list with the φ of every task": right[-1],
        "this is the first task alone: does `return` stand inside the loop over the tasks?": right[
            0
        ],
        "this list has the first task alone: does `return` stand inside the loop over the tasks?": (
            right[:1]
        ),
        "this list has the last task alone: append inside the loop over the tasks": right[-1:],
        "this list has a φ for every step of every task: append after a task's last step": [
            phi for path in paths for phi in path[1 : steps + 1]
        ],
        "this is one dict for all tasks: return a list with a dict for each task": {
            name: np.stack([phi[name] for phi in right]) for name in params
        },
        "within one step a parameter is moved before the slope of the next one is taken: take the "
        "whole slope first, then move all of them": every(one_name_at_a_time),
        "this takes a step for each example: one step goes by the slope of the whole support set": every(
            one_example_at_a_time
        ),
        "this is gradient descent with momentum: plain steps, φ − α · slope": every(with_momentum),
        "no step is taken in this: φ is still θ": [params] * len(x),
        "this adapts to all tasks at once, by one slope over the whole batch: a slope for each task": (
            lambda: [at_once(loss, params, x, y, lr, steps)] * len(x)
        ),
        "this is one φ, adapted to all tasks at once: a φ for each task, by the slope on its own points": (
            lambda: at_once(loss, params, x, y, lr, steps)
        ),
    }


def adapt_all(loss, params, x, y, inner_lr, inner_steps):
    """φ of every task."""
    return [
        ref.adapt(loss, params, sx, sy, inner_lr, inner_steps) for sx, sy in zip(x, y, strict=True)
    ]


def paths_of(loss, params, x, y, inner_lr, inner_steps):
    """The path of each task from θ."""
    return [path_of(loss, params, *task, inner_lr, inner_steps) for task in zip(x, y, strict=True)]


def path_of(loss, params, x, y, inner_lr, inner_steps):
    """θ, φ after one step, after two, …, of one task."""
    path = [params]
    for _ in range(inner_steps):
        path.append(ref.adapt(loss, path[-1], x, y, inner_lr, 1))
    return path


def uphill(loss, params, x, y, inner_lr, inner_steps):
    for _ in range(inner_steps):
        params = moved(params, ref.grad(loss)(params, x, y), -inner_lr)
    return params


def chain(loss, params, x, y, inner_lr, inner_steps):
    """What comes of adapting to one task after the other without going back to θ."""
    adapted = []
    for sx, sy in zip(x, y, strict=True):
        params = ref.adapt(loss, params, sx, sy, inner_lr, inner_steps)
        adapted.append(params)
    return adapted


def at_once(loss, params, x, y, inner_lr, inner_steps):
    """φ adapted to the points of all tasks together."""
    x, y = (part.reshape(-1, part.shape[-1]) for part in (x, y))
    return ref.adapt(loss, params, x, y, inner_lr, inner_steps)


def one_name_at_a_time(loss, params, x, y, inner_lr, inner_steps):
    """Each parameter moves by a slope that has seen the ones before it move."""
    for _ in range(inner_steps):
        for name in params:
            slope = ref.grad(loss)(params, x, y)
            params = {**params, name: params[name] - inner_lr * slope[name]}
    return params


def one_example_at_a_time(loss, params, x, y, inner_lr, inner_steps):
    """A step for each example in every one of `inner_steps` rounds."""
    for _ in range(inner_steps):
        for place in range(len(x)):
            one = slice(place, place + 1)
            params = ref.adapt(loss, params, x[one], y[one], inner_lr, 1)
    return params


def with_momentum(loss, params, x, y, inner_lr, inner_steps, mu=0.9):
    speed = dict.fromkeys(params, 0.0)
    for _ in range(inner_steps):
        slope = ref.grad(loss)(params, x, y)
        speed = {name: mu * speed[name] + slope[name] for name in params}
        params = moved(params, speed, inner_lr)
    return params


# ---------------------------------------------------------------- 07.2


@exercise(
    "07.outer_loop",
    points=3,
    minutes=10,
    difficulty=2,
    forbids=(
        "maml_edu.reference.meta_gradient",
        "maml_edu.reference.meta_loss",
        "maml_edu.pytorch",
    ),
)
def outer_loop(answer, rng):
    """One turn of the outer loop"""
    for problem, lr, steps, beta in draw(rng, **PROBLEM, meta_lr=(0.25, 0.5)):
        named_loss, params, *sets = problem
        alone = slopes_alone(named_loss.numpy, params, sets, lr, steps)
        right = {name: np.mean([slope[name] for slope in alone], axis=0) for name in params}
        expect(
            answer(named_loss, params, *sets, lr, steps, beta),
            moved(params, right, beta),
            mistakes=partial(
                outer_mistakes, named_loss.numpy, params, sets, lr, steps, beta, alone, right
            ),
        )


def outer_mistakes(loss, params, sets, lr, steps, beta, alone, right):
    """Message → what that mistake gives, or a function that computes it."""
    return {
        **mistaken_slopes(loss, params, sets, lr, steps, beta, alone),
        **mistaken_moves(loss, params, sets, lr, steps, beta, right),
    }


def mistaken_slopes(loss, params, sets, lr, steps, beta, alone):
    """Message → θ moved by the gradient of something else; computed only when it is asked for."""
    sx, sy, qx, qy = sets
    slope = lambda *given, **how: lambda: mean_slope(loss, params, *given, **how)
    wrong = {
        "this is first-order MAML: the gradient at φ, without the path from θ to φ": (
            slope(sets, lr, steps, first_order=True)
        ),
        "this adapts on the query set: φ comes from the support set": (
            slope((qx, qy, qx, qy), lr, steps)
        ),
        "this judges φ on its own support set: the outer loss is the query loss": (
            slope((sx, sy, sx, sy), lr, steps)
        ),
        "support and query are swapped": slope((qx, qy, sx, sy), lr, steps),
        "this judges θ on the query sets: φ is missing, or computed and not used": slope(
            sets, lr, 0
        ),
        "there is one inner step only in this: take inner_steps of them": slope(sets, lr, 1),
        "there is one inner step too many in this": slope(sets, lr, steps + 1),
        "there is one inner step too few in this": slope(sets, lr, steps - 1),
        "φ is judged on support and query set together: the outer loss is the query loss": (
            lambda: summed_slopes(loss, params, sets, lr, steps)
        ),
        "this is the formula of one step, a single factor I − αH(θ): each of several steps has a factor of "
        "its own, at the φ where it starts": lambda: one_factor(loss, params, sets, lr, steps),
        "this is the last task alone: the meta-loss is the mean over all tasks": (
            lambda: alone[-1]
        ),
        "this is the first task alone (does `return` stand inside the loop?): the meta-loss is the mean over "
        "all tasks": lambda: alone[0],
        "this takes all tasks for one: each task adapts to its own support set": (
            slope([part.reshape(1, -1, part.shape[-1]) for part in sets], lr, steps)
        ),
        "the inner steps are taken with meta_lr, β; their rate is inner_lr, α": (
            slope(sets, beta, steps)
        ),
        "a task starts where the one before it ended: every task starts at θ": (
            lambda: ref.grad(lambda theta: chained_loss(loss, theta, sets, lr, steps))(params)
        ),
    }
    return {
        says: lambda direction=direction: moved(params, direction(), beta)
        for says, direction in wrong.items()
    }


def mistaken_moves(loss, params, sets, lr, steps, beta, right):
    """Message → what comes of the right gradient used in a wrong way."""
    last = lambda: ref.adapt(loss, params, sets[0][-1], sets[1][-1], lr, steps)
    signs = {name: slope / (np.abs(slope) + 1e-8) for name, slope in right.items()}
    return {
        "the query losses are summed: take their mean over the tasks": (
            moved(params, right, beta * len(sets[0]))
        ),
        "this moves φ of the last task: the update belongs to θ": lambda: moved(
            last(), right, beta
        ),
        "this moves φ of the last task by a slope at φ: both belong to θ": (
            lambda: moved(last(), mean_slope(loss, params, sets, lr, steps, first_order=True), beta)
        ),
        "nothing moved: φ was computed outside the function that is differentiated": params,
        "θ moves after every task: it moves once per batch, by the mean slope at the old θ": (
            lambda: one_by_one(loss, params, sets, lr, steps, beta)
        ),
        "this goes uphill: the update subtracts the slope": moved(params, right, -beta),
        "this is the meta-gradient: return θ after the update, θ − β times it": right,
        "θ is moved with inner_lr, α; the rate of the outer loop is meta_lr, β": (
            moved(params, right, lr)
        ),
        "the rates are swapped: α belongs to the inner loop, β to the outer one": (
            lambda: moved(params, mean_slope(loss, params, sets, beta, steps), lr)
        ),
        "this is a step of Adam; here the outer step is plain gradient descent": (
            moved(params, signs, beta)
        ),
    }


def mean_slope(loss, params, sets, inner_lr, inner_steps, first_order=False):
    """∇θ of the mean query loss after adaptation, for a batch (support x, y, query x, y)."""

    def meta_loss(theta):
        losses = [
            loss(ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps, first_order), qx, qy)
            for sx, sy, qx, qy in zip(*sets, strict=True)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


def summed_slopes(loss, params, sets, inner_lr, inner_steps):
    """∇θ of query plus support loss at φ."""
    support = (*sets[:2], *sets[:2])
    on_query, on_support = (
        mean_slope(loss, params, judged, inner_lr, inner_steps) for judged in (sets, support)
    )
    return {name: on_query[name] + on_support[name] for name in params}


def one_factor(loss, params, sets, inner_lr, inner_steps):
    """The mean of (I − αH(θ)) ∇(query loss at φ) over tasks: H at θ alone, however many steps lead to φ."""
    slopes = []
    for sx, sy, qx, qy in zip(*sets, strict=True):
        v = ref.grad(loss)(ref.adapt(loss, params, sx, sy, inner_lr, inner_steps), qx, qy)
        hv = ref.hvp(lambda p, x=sx, y=sy: loss(p, x, y), params, v)
        slopes.append(moved(v, hv, inner_lr))
    return {name: np.mean([slope[name] for slope in slopes], axis=0) for name in params}


def slopes_alone(loss, params, sets, inner_lr, inner_steps):
    """∇θ of the query loss after adaptation of each task alone; their mean is the meta-gradient."""
    each = ([part[task : task + 1] for part in sets] for task in range(len(sets[0])))
    return [mean_slope(loss, params, one, inner_lr, inner_steps) for one in each]


def chained_loss(loss, theta, sets, inner_lr, inner_steps):
    """The mean query loss when no task goes back to θ."""
    total = 0.0
    for sx, sy, qx, qy in zip(*sets, strict=True):
        theta = ref.adapt(loss, theta, sx, sy, inner_lr, inner_steps)
        total = total + loss(theta, qx, qy)
    return total / len(sets[0])


def one_by_one(loss, params, sets, inner_lr, inner_steps, beta):
    """θ after an update for each task in turn, every one at the θ that the last one left."""
    for task in range(len(sets[0])):
        alone = [part[task : task + 1] for part in sets]
        params = moved(params, mean_slope(loss, params, alone, inner_lr, inner_steps), beta)
    return params


# ---------------------------------------------------------------- 07.3


@exercise("07.more_steps_at_test", points=2, minutes=8, difficulty=2)
def more_steps_at_test(answer, rng):
    """More steps at test time"""
    for problem, lr, paths in draw(rng, case=a_case_that_gets_worse):
        named_loss, params, *sets = problem
        loss, steps = named_loss.numpy, len(paths[0]) - 2
        right = curves(loss, paths, *sets[2:])  # one step more than asked for
        expect(
            answer(named_loss, params, *sets, lr, steps),
            right[:, :-1],
            mistakes=partial(curve_mistakes, loss, params, sets, lr, steps, paths, right),
        )


def curve_mistakes(loss, params, sets, lr, steps, paths, right):
    """Message → what that mistake gives, or a function that computes it."""
    return {
        **misread_curves(right, steps),
        **wrong_curves(loss, params, sets, lr, steps, paths),
    }


def a_case_that_gets_worse(rng):
    """(problem, α, the way of each task from θ): drawn again until a later step makes a task clearly worse.

    The ways go one step further than the answer is asked to.
    """
    while True:
        problem, lr, steps = a_problem(rng), rng.uniform(0.05, 0.2), int(rng.integers(4, 7))
        loss, params, sx, sy, *query = problem
        paths = paths_of(loss.numpy, params, sx, sy, lr, steps + 1)
        right = curves(loss.numpy, paths, *query)[:, :-1]
        if np.max(right - np.minimum.accumulate(right, axis=1)) > 1e-3 * np.max(right):
            return problem, lr, paths


def misread_curves(right, steps):
    """Message → a wrong selection of the right numbers, which go one step too far."""
    return {
        "the loss before the first step is missing: column 0 is the loss at params": right[:, 1:-1],
        "this starts after the first step: column k is the loss after k steps": right[:, 1:],
        "the loss after the last step is missing": right[:, :-2],
        "the loss is measured before each step: column k is the loss after k steps": (
            np.hstack([right[:, :1], right[:, :-2]])
        ),
        "each step starts from where the last one ended, this always starts at params": (
            np.hstack([right[:, :1], np.repeat(right[:, 1:2], steps, axis=1)])
        ),
        "rows and columns are swapped: a row for each task, a column for each step count": (
            right[:, :-1].T
        ),
        "keep the tasks apart, a row for each: the mean comes in 07.4": right[:, :-1].mean(axis=0),
        "this is the last task alone: return a row for each task": right[-1, :-1],
        "this is the first task alone: return a row for each task": right[0, :-1],
        "these rows are the first task alone: does `return` stand inside the loop over the tasks?": (
            right[:1, :-1]
        ),
        "these rows are the last task alone: append inside the loop over the tasks": right[
            -1:, :-1
        ],
        "in this no step makes a task worse, but some do: give each loss as it is, not the least one so far": (
            np.minimum.accumulate(right[:, :-1], axis=1)
        ),
        "these losses are sorted: give them in the order of the steps": (
            -np.sort(-right[:, :-1], axis=1)
        ),
    }


def wrong_curves(loss, params, sets, lr, steps, paths):
    """Message → the curves of another experiment, or a function that computes them."""
    sx, sy, qx, qy = sets
    paths = [path[:-1] for path in paths]
    on_query = lambda: paths_of(loss, params, qx, qy, lr, steps)
    right, on_support = curves(loss, paths, qx, qy), curves(loss, paths, sx, sy)
    return {
        "this is the loss on the support set, which the steps were taken on": on_support,
        "this takes its steps on the query set: nobody may learn from the test": (
            lambda: curves(loss, on_query(), qx, qy)
        ),
        "support and query are swapped: step on the support set, judge on the query set": (
            lambda: curves(loss, on_query(), sx, sy)
        ),
        "every task has to start at params; here one starts where the last one ended": (
            lambda: curves(loss, chained_paths(loss, params, sx, sy, lr, steps), qx, qy)
        ),
        "column 0 is the loss on the support set: every column is judged on the query set": (
            np.hstack([on_support[:, :1], right[:, 1:]])
        ),
        "from column 1 on this is the loss on the support set: every column is judged on the query set": (
            np.hstack([right[:, :1], on_support[:, 1:]])
        ),
        "each step needs the slope where it starts; this takes the slope at params every time": (
            lambda: curves(loss, [straight_on(path) for path in paths], qx, qy)
        ),
        "all tasks share one φ in this, by a slope over the whole batch: a slope for each task": (
            lambda: curves(loss, [joint_path(loss, params, sx, sy, lr, steps)] * len(sx), qx, qy)
        ),
        "going on from φ, column k takes k further steps: one more step for each column, or k steps "
        "from params": lambda: curves(loss, growing_paths(loss, paths, sx, sy, lr, steps), qx, qy),
    }


def curves(loss, paths, x, y):
    """Losses (tasks, steps + 1) of each task along its path."""
    return np.array(
        [[loss(phi, *task) for phi in path] for path, *task in zip(paths, x, y, strict=True)]
    )


def chained_paths(loss, params, x, y, inner_lr, inner_steps):
    """Paths of which each starts where the one before it ended."""
    paths = []
    for task in zip(x, y, strict=True):
        paths.append(path_of(loss, params, *task, inner_lr, inner_steps))
        params = paths[-1][-1]
    return paths


def straight_on(path):
    """A path that goes on along its first step."""
    start, first = path[:2]
    return [{n: start[n] + k * (first[n] - start[n]) for n in start} for k in range(len(path))]


def joint_path(loss, params, x, y, inner_lr, inner_steps):
    """The path by slopes over the points of all tasks together."""
    x, y = (part.reshape(-1, part.shape[-1]) for part in (x, y))
    return path_of(loss, params, x, y, inner_lr, inner_steps)


def growing_paths(loss, paths, x, y, inner_lr, inner_steps):
    """φ after 0, 1, 1 + 2, 1 + 2 + 3, … steps of each task."""
    counts = [k * (k + 1) // 2 for k in range(inner_steps + 1)]
    further = counts[-1] - inner_steps
    long = [
        path + path_of(loss, path[-1], *task, inner_lr, further)[1:]
        for path, *task in zip(paths, x, y, strict=True)
    ]
    return [[path[count] for count in counts] for path in long]


# ---------------------------------------------------------------- 07.4


@exercise("07.evaluate", points=3, minutes=12, difficulty=2)
def evaluate(answer, rng):
    """A mean, and when to believe it"""
    for losses in [*draw(rng, losses=some_losses), *telling_losses(rng)]:
        mean, half, holds = summary(losses)
        right = {"mean": mean, "ci95": half, "holds": holds}
        expect(
            answer(losses),
            right,
            mistakes=partial(table_mistakes, losses, right),
        )


def table_mistakes(losses, right):
    """Message → the table that this mistake gives."""
    return {
        **{says: {**right, "ci95": other} for says, other in halves(losses).items()},
        **{says: {**right, "holds": other} for says, other in conditions(losses).items()},
        **mistaken_axes(losses),
    }


POWERS = [0.1, 0.33, 0.5, 1.0, 1.6, 2.6]  # of a gamma variable: the last ones give long tails


def some_losses(rng, tasks=(40, 120), columns=(6, 12), powers=POWERS):
    """Losses (tasks, steps + 1): most columns tame, some with a long tail; both kinds in every case.

    About one column in three is mirrored, so that its long tail is that of the small losses.
    """
    while True:
        n, steps = int(rng.integers(*tasks)), int(rng.integers(*columns))
        losses = rng.gamma(2.0, 1.0, (n, steps)) ** rng.choice(powers, size=steps)
        mirrored = 1.01 * losses.max(axis=0) - losses
        losses = np.where(rng.random(steps) < 0.3, mirrored, losses)
        holds = summary(losses)[2]
        if np.any(holds) and not np.all(holds):
            return losses


def telling_losses(rng):
    """Further losses: every wrong `holds` is wrong in one of them, and no two are the same in all."""
    kinds = (tame_losses, small_tests, skewed_losses, losses_of_sizes)
    kept, apart = [], set()
    for kind in itertools.cycle(kinds):
        losses = kind(rng)
        holds = {"right": summary(losses)[2], **conditions(losses)}
        pairs = list(itertools.combinations(holds, 2))
        now = {(one, two) for one, two in pairs if not np.array_equal(holds[one], holds[two])}
        if now - apart:
            kept.append(losses)
            apart |= now
        if len(apart) == len(pairs):
            return kept


def small_tests(rng):
    """Losses of fewer than 25 tasks: a g of 1 is too large here."""
    return some_losses(rng, tasks=(16, 25), columns=(4, 6))


def skewed_losses(rng):
    """Losses of which most columns, or only a few, have a long tail; those that do are small."""
    few, most = [0.33, 0.5, 0.5, 0.5, 2.6], [0.5, 2.6, 2.6]
    losses = some_losses(rng, powers=(few, most)[rng.integers(2)])
    return np.where(summary(losses)[2], 1.0, 0.1) * losses


def losses_of_sizes(rng):
    """Losses whose sizes show by which power of s_n a third moment was divided."""
    losses = some_losses(rng)
    between = (np.sqrt(len(losses)) / 5 / np.abs(skewness_of(losses))) ** 0.4  # 25 g² s⁵ = n
    return losses * between / losses.std(axis=0)


def tame_losses(rng):
    """Losses of which every column holds: here "all of them hold" and "none does" are told apart."""
    while True:
        losses = rng.gamma(2.0, 1.0, (int(rng.integers(40, 120)), int(rng.integers(3, 6)))) ** 0.5
        if np.all(summary(losses)[2]):
            return losses


def skewness_of(losses):
    return np.mean(((losses - losses.mean(axis=0)) / losses.std(axis=0)) ** 3, axis=0)


def summary(losses):
    """(mean, half the width of its interval, whether n > 25 g²), each (steps + 1,)."""
    half = 1.96 * losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    return losses.mean(axis=0), half, len(losses) > 25 * skewness_of(losses) ** 2


def halves(losses):
    """Message → a wrong half width."""
    n, spread = len(losses), losses.std(axis=0, ddof=1)
    low, high = np.percentile(losses, [2.5, 97.5], axis=0)
    return {
        "ci95 is the spread of single tasks: the mean of n of them is surer by the factor √n": (
            1.96 * spread
        ),
        "ci95 is the standard deviation over the tasks: divide by √n, and times 1.96": spread,
        "ci95 is one standard error: 95 % of a normal lies within 1.96 of them": (
            spread / np.sqrt(n)
        ),
        "1.96, not 2: this takes two standard errors": 2 * spread / np.sqrt(n),
        "divide by n − 1 in the standard deviation (ddof=1): the mean is estimated, too": (
            1.96 * losses.std(axis=0) / np.sqrt(n)
        ),
        "divide the standard deviation by √n, not by n": 1.96 * spread / n,
        "n in ci95 is the number of tasks, the rows; this takes the number of steps": (
            1.96 * spread / np.sqrt(losses.shape[1])
        ),
        "ci95 is half the width of the interval, from the mean to one end": (
            2 * 1.96 * spread / np.sqrt(n)
        ),
        "this uses the variance, the square of the standard deviation": (
            1.96 * spread**2 / np.sqrt(n)
        ),
        "this is half of what holds 95 % of the single tasks (percentiles); ci95 is about their mean": (
            (high - low) / 2
        ),
    }


def conditions(losses):
    """Message → a wrong `holds`."""
    n, g = len(losses), skewness_of(losses)
    every = bool(np.all(n > 25 * g**2))
    return {
        "holds is the wrong way round: a skewed column has a large g and does not hold": (
            n < 25 * g**2
        ),
        "the condition takes the square of g, not its size": n > 25 * np.abs(g),
        "the condition takes the square of g, not g itself": n > 25 * g,
        "this believes every interval of a negative g: a long tail of small losses skews, too, so the condition "
        "takes g²": n > 25 * np.maximum(g, 0) ** 2,
        "the factor 25 is squared, too: n > 25 g² squares g alone": n > (25 * g) ** 2,
        "g is the mean of a second power, so it is always 1: take the third": np.full(
            len(g), n > 25
        ),
        "g is not standardised: divide x − mean by s_n, then take the third power": (
            n > 25 * (g * losses.std(axis=0) ** 3) ** 2
        ),
        "g is divided by s_n itself, not by its third power: divide x − mean by s_n, then take the power": (
            n > 25 * (g * losses.std(axis=0) ** 2) ** 2
        ),
        "n in the condition is the number of tasks, the rows; this takes the number of steps": (
            losses.shape[1] > 25 * g**2
        ),
        "n in the condition is the number of tasks, the rows; this takes the number of all losses": (
            losses.size > 25 * g**2
        ),
        "this believes every interval: is there no condition at all, is the factor 25 missing (n > g² always "
        "holds), or is g always 0 (as the mean of (x − mean)/s_n is: the third power belongs inside the mean)?": (
            np.full(len(g), True)
        ),
        **of_one_g(losses),
        "holds is one statement for each step, not that all of them hold": np.full(len(g), every),
        "holds is one value for all steps together: it is one statement for each step": every,
        "holds is False everywhere: is your g the mean of the third power of (x − mean)/s_n? (That of the "
        "fourth, the kurtosis, is never small.)": np.full(len(g), False),
        "s_n in the skewness divides by n (ddof=0); n − 1 belongs to ci95": (
            n > 25 * g**2 * ((n - 1) / n) ** 3
        ),
    }


def of_one_g(losses):
    """Message → the `holds` of a g that is one number for all steps."""
    n, steps = losses.shape
    over_both = bool(n > 25 * np.mean(skewness_of(losses)) ** 2)
    of_all = bool(n > 25 * skewness_of(losses.reshape(-1, 1))[0] ** 2)
    return {
        "g is a mean over tasks and steps, so holds is one value: take the mean over the tasks, axis=0": (
            over_both
        ),
        "g is a mean over tasks and steps, one for all steps: take the mean over the tasks, axis=0": (
            np.full(steps, over_both)
        ),
        "g is that of all losses thrown together, so holds is one value: a g for each step": of_all,
        "g is that of all losses thrown together, one for all steps: a g for each step": np.full(
            steps, of_all
        ),
    }


def mistaken_axes(losses):
    """Message → what comes of averaging over something else."""
    mean, half, holds = summary(losses)
    over_steps = dict(zip(("mean", "ci95", "holds"), summary(losses.T), strict=True))
    everything = (part[0] for part in summary(losses.reshape(-1, 1)))
    steps = "n is the number of tasks, the rows; this takes the number of steps"
    return {
        steps: {
            "mean": mean,
            "ci95": half * np.sqrt(len(losses) / losses.shape[1]),
            "holds": losses.shape[1] > 25 * skewness_of(losses) ** 2,
        },
        "n is the number of tasks, the rows; this takes the number of all losses": {
            "mean": mean,
            "ci95": half / np.sqrt(losses.shape[1]),
            "holds": losses.size > 25 * skewness_of(losses) ** 2,
        },
        "this averages over the steps: the tasks are the rows, axis 0": over_steps,
        "this is the median: the table is of means": {
            "mean": np.median(losses, axis=0),
            "ci95": half,
            "holds": holds,
        },
        "all steps are thrown together: a mean and an interval for each step": dict(
            zip(("mean", "ci95", "holds"), everything, strict=True)
        ),
    }


# ---------------------------------------------------------------- 07.5


# numbers of tasks n at which n // 2 − 0.98 √n, and round(n / 2 − 0.98 √n), give another k than is right
EVERY_N = np.arange(11, 40)
PART = (EVERY_N / 2 - 0.98 * np.sqrt(EVERY_N)) % 1
ODD, ROUNDED_UP = EVERY_N[(EVERY_N % 2 == 1) & (PART < 0.45)], EVERY_N[PART > 0.55]


@exercise("07.coverage", points=3, minutes=18, difficulty=3)
def coverage(answer, rng):
    """Does the interval keep its promise?"""
    of_each_kind = [a_population(rng, rng.choice(kind)) for kind in (ODD, ROUNDED_UP)]
    for population, draws in [*draw(rng, data=a_population), *of_each_kind]:
        shares = {"mean": share_mean(population, draws), "median": share_median(population, draws)}
        mistakes = partial(wrong_shares, population, draws, shares)
        expect(answer(population, draws), shares, mistakes)


def a_population(rng, n=None):
    """(losses (many,), places (tests, n)), of another tail and another n each time."""
    many = 2 * int(rng.integers(150, 250))  # even: the median lies between two losses, no ties
    tests, n = int(rng.integers(500, 700)), int(rng.integers(10, 40)) if n is None else n
    losses = np.exp(rng.normal(0.0, rng.uniform(0.8, 2.2), many))
    return losses, rng.integers(many, size=(tests, n))


def share_mean(population, draws, factor=1.96, ddof=1, truth=None, spread=None):
    tests, n = population[draws], draws.shape[1]
    spread = tests.std(axis=1, ddof=ddof) if spread is None else spread
    half = factor * spread / np.sqrt(n)
    truth = population.mean() if truth is None else truth
    return np.mean(np.abs(tests.mean(axis=1) - truth) <= half)


def share_median(population, draws, low=0, high=0, truth=None, ranked=True, axis=1, k=None):
    """low, high: how many places further in the two ends are. Unsorted, or sorted along a wrong axis, on demand."""
    tests, n = population[draws], draws.shape[1]
    tests = np.sort(tests, axis=axis) if ranked else tests
    k = int(n / 2 - 0.98 * np.sqrt(n)) if k is None else k
    truth = np.median(population) if truth is None else truth
    return np.mean((tests[:, k - 1 + low] <= truth) & (truth <= tests[:, -k - high]))


def share_about_the_median(population, draws, factor):
    """Of the intervals that are laid about each test's median with the mean's width."""
    tests, n = population[draws], draws.shape[1]
    half = factor * tests.std(axis=1, ddof=1) / np.sqrt(n)
    return np.mean(np.abs(np.median(tests, axis=1) - np.median(population)) <= half)


def wrong_shares(population, draws, right):
    """Message → the shares that this mistake gives."""
    n, mean, median = draws.shape[1], right["mean"], right["median"]
    of_mean = lambda *args, **how: {"mean": share_mean(*args, **how), "median": median}
    of_median = lambda *args, **how: {"mean": mean, "median": share_median(*args, **how)}
    return {
        "these are the shares that miss: count the intervals that contain the truth": (
            {"mean": 1 - mean, "median": 1 - median}
        ),
        "these are counts: divide by the number of tests": (
            {name: share * len(draws) for name, share in right.items()}
        ),
        "these are percentages: give shares between 0 and 1": (
            {name: 100 * share for name, share in right.items()}
        ),
        "the median's interval is one place too narrow at each end: was k rounded up, or the 1 forgotten? "
        "The k-th smallest stands in column k − 1": of_median(population, draws, low=1, high=1),
        "the median's interval is one place too wide at each end: the k-th smallest stands in column k − 1, "
        "the k-th largest in column −k": of_median(population, draws, low=-1, high=-1),
        "k is rounded to the nearest whole number: round it down": (
            of_median(population, draws, k=round(n / 2 - 0.98 * np.sqrt(n)))
        ),
        "k takes 1.96 √n; half of that is right, 0.98 √n, since the standard deviation is √n/2": (
            of_median(population, draws, k=int(n / 2 - 1.96 * np.sqrt(n)))
        ),
        "n // 2 rounds too early: take k from n / 2, and round the difference down": (
            of_median(population, draws, k=int(n // 2 - 0.98 * np.sqrt(n)))
        ),
        "each of the two terms of k is rounded down: round their difference": (
            of_median(population, draws, k=n // 2 - int(0.98 * np.sqrt(n)))
        ),
        "the median's interval is not one about the median by standard errors: it goes from the k-th smallest "
        "to the k-th largest loss": (
            {"mean": mean, "median": share_about_the_median(population, draws, 1.96)}
        ),
        "this takes one standard error on each side of the median: its interval goes from the k-th smallest to "
        "the k-th largest loss": (
            {"mean": mean, "median": share_about_the_median(population, draws, 1.0)}
        ),
        "the lower end of the median's interval is one place too far in: the k-th smallest stands in "
        "column k − 1": of_median(population, draws, low=1),
        "the upper end of the median's interval is one place too far in: the k-th largest stands in "
        "column −k": of_median(population, draws, high=1),
        "the lower end of the median's interval is one place too far out: the k-th smallest stands in "
        "column k − 1": of_median(population, draws, low=-1),
        "the upper end of the median's interval is one place too far out: the k-th largest stands in "
        "column −k": of_median(population, draws, high=-1),
        "the losses of each test are not sorted: the k-th smallest needs np.sort(…, axis=1)": (
            of_median(population, draws, ranked=False)
        ),
        "this sorts along axis 0, each place over all tests: sort within each test, axis=1": (
            of_median(population, draws, axis=0)
        ),
        "the median's interval is the one that should contain the median, not the mean": (
            of_median(population, draws, truth=population.mean())
        ),
        "the mean's interval is the one that should contain the mean, not the median": (
            of_mean(population, draws, truth=np.median(population))
        ),
        "the mean's interval is too wide: it takes the standard deviation for the standard error": (
            of_mean(population, draws, factor=1.96 * np.sqrt(n))
        ),
        "divide by n − 1 in the standard deviation (ddof=1): the mean is estimated, too": (
            of_mean(population, draws, ddof=0)
        ),
        "the mean's interval is too narrow: divide the standard deviation by √n, not by n": (
            of_mean(population, draws, factor=1.96 / np.sqrt(n))
        ),
        "n in s/√n is the number of losses of a test; this takes the number of tests": (
            of_mean(population, draws, factor=1.96 * np.sqrt(n / len(draws)))
        ),
        "s is the standard deviation of each test, which knows no other; this takes that of the population": (
            of_mean(population, draws, spread=population.std())
        ),
        "this is one standard error on each side: 95 % of a normal lies within 1.96 of them": (
            of_mean(population, draws, factor=1.0)
        ),
        "this takes the columns of draws for the tests: a test is a row, so n is draws.shape[1] and the axis 1": {
            "mean": share_mean(population, draws.T),
            "median": share_median(population, draws.T),
        },
        "the two shares are swapped": {"mean": median, "median": mean},
        "the truth is that of the whole population, not that of each test": (
            {"mean": 1.0, "median": 1.0}
        ),
        "the truth is taken from the tests, all of them thrown together: it is that of the population": (
            {
                "mean": share_mean(population, draws, truth=population[draws].mean()),
                "median": share_median(population, draws, truth=np.median(population[draws])),
            }
        ),
    }


# ---------------------------------------------------------------- 07.6


@exercise("07.six_curves", points=3, minutes=12, difficulty=3)
def six_curves(answer, rng):
    """Six curves"""
    for train, new in draw(rng, curves=some_curves):
        right = {
            "adapts": new["before"] - new["query"],
            "fits_points": new["query"] - new["support"],
            "fits_tasks": new["query"] - train["query"],
            "knows_tasks": new["before"] - train["before"],
        }
        expect(answer(train, new), right, mistakes=curve_mistakes_of(train, new, right))


def curve_mistakes_of(train, new, right):
    """Message → the four answers that this mistake gives."""
    single = {says: {**right, key: value} for says, (key, value) in misread(train, new).items()}
    swapped = {
        f"{one} and {other} are swapped": {**right, one: right[other], other: right[one]}
        for one, other in itertools.combinations(right, 2)
    }
    on_training = {
        "adapts": train["before"] - train["query"],
        "fits_points": train["query"] - train["support"],
    }
    return {
        **single,
        **swapped,
        **reversed_signs(right),
        "three of these are read off the training tasks; the first two questions are about new ones": {
            **right,
            **on_training,
        },
        "train and new are swapped": {
            **on_training,
            "fits_tasks": -right["fits_tasks"],
            "knows_tasks": -right["knows_tasks"],
        },
        "these are ratios: give differences": {
            "adapts": new["before"] / new["query"],
            "fits_points": new["query"] / new["support"],
            "fits_tasks": new["query"] / train["query"],
            "knows_tasks": new["before"] / train["before"],
        },
    }


def reversed_signs(right):
    """Message → two signs or more reversed; `misread` has the single ones."""
    every = "every sign is reversed: the larger the number, the more it does so"
    return {
        every
        if len(keys) == len(right)
        else f"{' and '.join(keys)}: the signs are reversed; the larger the number, the more it does so": {
            key: -value if key in keys else value for key, value in right.items()
        }
        for several in (2, 3, 4)
        for keys in itertools.combinations(right, several)
    }


def some_curves(rng):
    """(train, new): three curves each, none the same as another."""
    times = int(rng.integers(3, 9))
    curve = lambda: rng.uniform(0.1, 4.0, times)
    return tuple({name: curve() for name in ("before", "support", "query")} for _ in range(2))


def misread(train, new):
    """Message → (answer, the difference of two other curves)."""
    return {
        "adapts: on new tasks; this compares the training tasks": (
            ("adapts", train["before"] - train["query"])
        ),
        "adapts: on points that the step has not seen; this takes those it has seen": (
            ("adapts", new["before"] - new["support"])
        ),
        "adapts: the sign is reversed; a step that helps makes the loss before it the larger": (
            ("adapts", new["query"] - new["before"])
        ),
        "fits_points: on new tasks; this compares the training tasks": (
            ("fits_points", train["query"] - train["support"])
        ),
        "fits_points: compare seen with unseen points, both after the step": (
            ("fits_points", new["before"] - new["support"])
        ),
        "fits_points: the sign is reversed; fitting what was seen makes the query loss the larger": (
            ("fits_points", new["support"] - new["query"])
        ),
        "fits_tasks: the success of a step shows on points that it has not seen, the query set": (
            ("fits_tasks", new["support"] - train["support"])
        ),
        "fits_tasks: this is how much a step helps on the training tasks; compare training tasks with new ones, "
        "both after the step": (("fits_tasks", train["before"] - train["query"])),
        "fits_tasks: after the step; this is before it": (
            ("fits_tasks", new["before"] - train["before"])
        ),
        "fits_tasks: the sign is reversed; fitting the tasks makes the loss on new ones the larger": (
            ("fits_tasks", train["query"] - new["query"])
        ),
        "fits_tasks: this is a difference of two improvements, which contains what θ knew before the step, too; "
        "two curves after the step tell": (
            ("fits_tasks", (train["before"] - train["query"]) - (new["before"] - new["query"]))
        ),
        "knows_tasks: the sign is reversed; knowing the tasks makes the loss on new ones the larger": (
            ("knows_tasks", train["before"] - new["before"])
        ),
        "knows_tasks: before it is shown a point; this is after a step": (
            ("knows_tasks", new["query"] - train["query"])
        ),
        "knows_tasks: compare training tasks with new ones, both before the step": (
            ("knows_tasks", train["before"] - train["query"])
        ),
    }


# ---------------------------------------------------------------- 07.7


@exercise("07.curve_after_a_step", points=4, minutes=30, difficulty=4)
def curve_after_a_step(answer, rng):
    """What the start answers with"""
    net = named("tanh_mlp")
    for problem, lr in draw(rng, problem=a_network_and_a_task, inner_lr=(0.05, 0.4)):
        params, sx, sy, x = problem
        right = first_order_answer(net.numpy, params, sx, sy, lr, x)
        expect(
            answer(net, params, sx, sy, lr, x),
            right,
            mistakes=partial(first_order_mistakes, net.numpy, params, sx, sy, lr, x, right),
        )


def first_order_mistakes(net, params, sx, sy, lr, x, right):
    """Message → what that mistake gives."""
    return {
        **wrong_changes(net, params, sx, sy, lr, x, right),
        **wrong_kernels(net, params, sx, sy, lr, x, right),
    }


def a_network_and_a_task(rng):
    """(θ, support x (shots, inputs), support y (shots, 1), x (points, inputs))."""
    inputs, width, shots, points = (int(n) for n in rng.integers([1, 2, 2, 6], [3, 5, 6, 10]))
    sx, sy, x, _ = (part[0] for part in sets_of(rng, 1, shots, points, inputs))
    return network_params(rng, inputs, width), sx, sy, x


def slopes_of(net, params, inputs, only=None):
    """(points, parameters): ∇f at each input, of all parameters or of those named."""
    rows = ref.jacobian(lambda p: net(p, inputs)[:, 0])(params)
    return np.hstack([rows[name].reshape(len(inputs), -1) for name in only or rows])


def first_order_answer(net, params, sx, sy, lr, x, only=None):
    kernel = slopes_of(net, params, x, only) @ slopes_of(net, params, sx, only).T
    residual = net(params, sx) - sy  # (shots, 1)
    return {"kernel": kernel, "change": -lr * 2 / len(sx) * kernel @ residual}


def wrong_changes(net, params, sx, sy, lr, x, right):
    """Message → the right kernel with a wrong change."""
    change, shots = right["change"], len(sx)
    loss = lambda p: np.mean((net(p, sx) - sy) ** 2)
    after = net(moved(params, ref.grad(loss)(params), lr), x)
    labels = -lr * 2 / shots * right["kernel"] @ (-sy)
    return {
        says: {**right, "change": wrong}
        for says, wrong in {
            "change is that of a whole step, curvature and all: stay with the first order": (
                after - net(params, x)
            ),
            "change holds the outputs after it: give the change alone": net(params, x) + change,
            "the change has the wrong sign: a step goes against the slope": -change,
            "the change lacks the 1/n: the support loss is a mean over the support points": (
                shots * change
            ),
            "the change is divided by the number of points x, not by n, the number of support points": (
                shots / len(x) * change
            ),
            "the change lacks the factor 2, from the derivative of the square": change / 2,
            "the change lacks inner_lr": change / lr,
            "the change takes the mean residual for all: each is weighted by its own entry of the kernel": (
                -lr
                * 2
                * right["kernel"].mean(axis=1, keepdims=True)
                * np.mean(net(params, sx) - sy)
            ),
            "the change pulls towards 0, not towards y: the residual is f(x_j) − y_j": (
                change - labels
            ),
            "the change takes the labels alone: the residual is f(x_j) − y_j": labels,
            "the change takes y_j in place of the residual, f(x_j) − y_j, and pulls away from it": -labels,
            "change should have the shape (points, 1)": change[:, 0],
        }.items()
    }


def wrong_kernels(net, params, sx, sy, lr, x, right):
    """Message → what comes of another kernel, with the change that follows from it or with the right one."""
    far, near = slopes_of(net, params, x), slopes_of(net, params, sx)
    lengths = np.linalg.norm(far, axis=1)[:, None] * np.linalg.norm(near, axis=1)
    names = list(params)
    of = lambda only: slopes_of(net, params, x, only) @ slopes_of(net, params, sx, only).T
    slope_in_x = lambda points: ref.grad(lambda at: np.sum(net(params, at)))(points)
    wrong = {
        "this kernel leaves the biases out: sum over all parameters": (
            of([name for name in names if name[0] == "w"])
        ),
        "this kernel is that of the first layer alone: sum over all parameters": of(names[:2]),
        "this kernel is that of the last layer alone: sum over all parameters": of(names[-2:]),
        "this kernel is that of the first array of parameters alone: sum over all of them": (
            of(names[:1])
        ),
        "this kernel is that of the last array of parameters alone: sum over all of them": (
            of(names[-1:])
        ),
        "this kernel is divided by the lengths of the gradients (a cosine): take the plain product": (
            right["kernel"] / lengths
        ),
        "this kernel is divided by the number of parameters: a sum over them, no mean": (
            right["kernel"] / far.shape[1]
        ),
        "this kernel multiplies outputs, f(x) f(x_j): multiply their gradients": (
            net(params, x) @ net(params, sx).T
        ),
        "this kernel multiplies the slopes of f in x: a step changes θ, so take the slopes in θ": (
            slope_in_x(x) @ slope_in_x(sx).T
        ),
    }
    residual = net(params, sx) - sy
    return {
        "the kernel is transposed: a row for each of x, a column for each support point": {
            **right,
            "kernel": right["kernel"].T,
        },
        **{
            says: {"kernel": k, "change": -lr * 2 / len(sx) * k @ residual}
            for says, k in wrong.items()
        },
        **{f"{says} (the change is right)": {**right, "kernel": k} for says, k in wrong.items()},
    }
