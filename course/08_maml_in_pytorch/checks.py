"""Checks of chapter 08: each computes with `maml_edu.reference` what is right, and what mistakes give."""

import itertools
from functools import partial
from types import SimpleNamespace

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.comparing import difference
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect, named, short

CUT = (
    "the inner slope is a constant in your gradient (its graph is not recorded, or is detached), or you "
    "differentiated with respect to φ"
)


# ---------------------------------------------------------------- problems


def draw_problem(rng, least=2, most=4, linear=0.3):
    """(loss, params, data) of `least` to `most` tasks: the loss, the names and every size vary.

    linear: how often the network is linear, so that its Hessian is the same everywhere.
    """
    inputs, outputs, width = rng.integers(1, 4), rng.integers(1, 3), rng.integers(3, 6)
    tasks, shots, queries = rng.integers(least, most + 1), rng.integers(3, 6), rng.integers(6, 9)
    if rng.random() < 1 - linear:
        loss, shapes = named("tanh_mlp_mse"), {"w1": (inputs, width), "b1": (width,)}
        shapes |= {"w2": (width, outputs), "b2": (outputs,)}
    else:
        loss, shapes = named("linear_mse"), {"w": (inputs, outputs), "b": (outputs,)}
    params = {name: rng.normal(0, 0.8, shape) for name, shape in shapes.items()}
    x = rng.normal(size=(tasks, shots + queries, inputs))
    y = np.sin(x @ rng.normal(0, 1.5, (tasks, inputs, outputs)))
    y = y + rng.normal(0, 0.1, y.shape)
    return loss, params, (x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:])


def part_of(data, start, stop):
    return tuple(part[start:stop] for part in data)


def one_task(rng, linear=0.3):
    """A problem of one task, its data still with a task axis."""
    return draw_problem(rng, 1, 1, linear)


def meta(loss, params, data, inner_lr, inner_steps, first_order=False):
    """(meta-loss, gradient) of a batch, as an answer returns them."""
    batch = dict(zip(("support_x", "support_y", "query_x", "query_y"), data, strict=True))
    value, grads = ref.meta_gradient(
        loss.numpy, params, SimpleNamespace(**batch), inner_lr, inner_steps, first_order
    )
    return float(value), grads


def value_and_grads(function, params):
    value, grads = ref.value_and_grad(function)(params)
    return float(value), grads


def scaled(grads, factor):
    return {name: factor * slope for name, slope in grads.items()}


def moved(params, slope, rate):
    return {name: params[name] - rate * slope[name] for name in params}


# ---------------------------------------------------------------- 08.1


@exercise(
    "08.inner_step",
    points=3,
    minutes=10,
    difficulty=2,
    interface="torch",
    forbids=("maml_edu.pytorch",),
)
def inner_step(answer, rng):
    """A step that a gradient can pass"""
    for problem, inner_lr in draw(rng, problem=partial(one_task, linear=0.1), inner_lr=(0.1, 0.6)):
        loss, params, data = problem
        x, y = data[0][0], data[1][0]
        weights = {name: rng.normal(0, 0.8, value.shape) for name, value in params.items()}
        case = (loss, params, x, y, inner_lr, weights)
        right = _step(*case)
        expect(answer(*case), right, mistakes=partial(_step_mistakes, *case, right))


def _step(loss, params, x, y, inner_lr, weights):
    """(φ, gradient of Σ weights · φ)."""

    def weighted(theta):
        phi = moved(theta, ref.grad(loss.numpy)(theta, x, y), inner_lr)
        return sum(np.sum(weights[name] * phi[name]) for name in phi)

    return moved(params, ref.grad(loss.numpy)(params, x, y), inner_lr), ref.grad(weighted)(params)


def _step_mistakes(loss, params, x, y, inner_lr, weights, right):
    phi, through = right
    ones = {name: np.ones_like(value) for name, value in params.items()}
    curved = {name: through[name] - weights[name] for name in weights}  # −αHw
    count = sum(value.size for value in weights.values())
    mean_of_each = {name: value / value.size for name, value in weights.items()}
    slope_at = lambda theta: ref.grad(loss.numpy)(theta, x, y)
    after = lambda theta: loss.numpy(moved(theta, slope_at(theta), inner_lr), x, y)
    weighted_slope = lambda theta: sum(np.sum(w * slope_at(theta)[n]) for n, w in weights.items())
    return {
        f"`through` is just the weights, as if dφ/dθ were 1: {CUT}, or φ was written into params": (
            (phi, weights)
        ),
        "`through` is zero: no way leads back from φ to params, neither straight nor through "
        "the slope (was φ detached, or made of new leaves?)": (phi, scaled(weights, 0.0)),
        "`through` holds only the way through the slope, −αHw: φ = θ − α · slope depends on "
        "θ directly, too": (phi, curved),
        "`through` is −Hw: the direct way from θ to φ is missing, and so is inner_lr": (
            (phi, scaled(curved, 1 / inner_lr))
        ),
        "`through` is w − Hw: inner_lr is missing in it, w − αHw": (
            (phi, moved(weights, curved, -1 / inner_lr))
        ),
        "the curvature in `through` is that at φ: H belongs to params, where the slope was taken": lambda: (
            (phi, moved(weights, ref.grad(weighted_slope)(phi), inner_lr))
        ),
        "`through` is the right one plus the slope of the loss: was that still in .grad, to which `backward()` "
        "adds?": lambda: (phi, moved(through, slope_at(params), -1.0)),
        "`through` is the weights plus the slope of the loss: the inner slope is a constant (its graph is not "
        "recorded), and was it still in .grad, to which `backward()` adds?": lambda: (
            (phi, moved(weights, slope_at(params), -1.0))
        ),
        "the weights are missing: `through` is the gradient of the plain sum of φ": lambda: (
            (phi, _step(loss, params, x, y, inner_lr, ones)[1])
        ),
        "`through` is the gradient of the sum of each tensor's *mean* of weights · φ; asked for is the sum": (
            lambda: (phi, _step(loss, params, x, y, inner_lr, mean_of_each)[1])
        ),
        "`through` is the gradient of the *mean* of weights · φ over all elements; asked for is the sum": (
            (phi, scaled(through, 1 / count))
        ),
        "`through` is the gradient of the loss at φ; asked for is that of Σ weights · φ": lambda: (
            (phi, ref.grad(after)(params))
        ),
        "the curvature has the wrong sign in `through`: φ = θ − α · slope gives w − αHw": (
            (phi, {name: weights[name] - curved[name] for name in weights})
        ),
        "the step goes uphill: φ = θ − α · slope, with a minus": lambda: _step(
            loss, params, x, y, -inner_lr, weights
        ),
        "the step has length 1 times the slope: inner_lr is missing": lambda: _step(
            loss, params, x, y, 1.0, weights
        ),
        "you return the parameters before the step; φ comes first": (params, through),
        "φ and `through` are in the wrong order: return (phi, through)": right[::-1],
    }


# ---------------------------------------------------------------- 08.2


@exercise(
    "08.meta_gradient",
    points=4,
    minutes=15,
    difficulty=2,
    interface="torch",
    forbids=("maml_edu.pytorch",),
)
def meta_gradient(answer, rng):
    """An inner loop with momentum"""
    cases = draw(
        rng, problem=one_task, inner_lr=(0.05, 0.3), inner_steps=(2, 3), momentum=(0.3, 0.9)
    )
    for number, (problem, *settings) in enumerate(cases):
        loss, params, data = problem
        right = _with_momentum(loss, params, data, *settings)
        question = (loss, params, *(part[0] for part in data), *settings)
        got = answer(*question)
        if not number:
            _refuse_what_remembers(got, answer(*question))
        expect(
            got,
            right,
            mistakes=partial(_momentum_mistakes, loss, params, data, *settings, right),
        )
    inner_lr, _, momentum = settings
    expect(
        answer(loss, params, *(part[0] for part in data), inner_lr, 0, momentum),
        meta(loss, params, data, inner_lr, 0),
        what="your answer for inner_steps = 0 (φ = θ)",
    )


def _refuse_what_remembers(first, second):
    """Raise WrongAnswer if two calls with the same arguments have given two answers (NaN is no answer)."""
    try:
        remembers = difference(first, first) is None and difference(second, first) is not None
    except RecursionError:  # nested too deeply to be an answer: what comes next says so
        return
    if remembers:
        raise WrongAnswer(
            "two calls with the same arguments give two answers: is something left over from the call before, such "
            "as a velocity outside the function or in a default argument? It starts with 0 in every call",
            f"first:  {short(first)}\nsecond: {short(second)}",
        )


def _heavy_ball(phi, velocity, slope, rate, mu):
    velocity = mu * velocity + slope
    return phi - rate * velocity, velocity


def _averaged(phi, velocity, slope, rate, mu):
    velocity = mu * velocity + (1 - mu) * slope
    return phi - rate * velocity, velocity


def _nesterov(phi, velocity, slope, rate, mu):
    velocity = mu * velocity + slope
    return phi - rate * (slope + mu * velocity), velocity


def _old_velocity(phi, velocity, slope, rate, mu):
    return phi - rate * velocity, mu * velocity + slope


def _cut_velocity(phi, velocity, slope, rate, mu):
    return _heavy_ball(phi, ref.stop_gradient(velocity), slope, rate, mu)


def _cut_slope(phi, velocity, slope, rate, mu):
    return _heavy_ball(phi, velocity, ref.stop_gradient(slope), rate, mu)


def _constant_velocity(phi, velocity, slope, rate, mu):
    phi, velocity = _heavy_ball(phi, velocity, slope, rate, mu)
    return phi, ref.stop_gradient(velocity)


def _rate_twice(phi, velocity, slope, rate, mu):
    velocity = mu * velocity + rate * slope
    return phi - rate * velocity, velocity


def _slope_at_phi(loss, theta, phi, velocity, rate, mu, x, y):
    return ref.grad(loss)(phi, x, y)


def _slope_at_theta(loss, theta, phi, velocity, rate, mu, x, y):
    return ref.grad(loss)(theta, x, y)


def _slope_ahead(loss, theta, phi, velocity, rate, mu, x, y):
    ahead = {name: phi[name] - rate * mu * velocity[name] for name in phi}
    return ref.grad(loss)(ahead, x, y)


def _with_momentum(
    loss, params, data, rate, steps, mu, rule=_heavy_ball, slope_of=_slope_at_phi, running=False
):
    """(query loss, gradient) of one task whose inner loop follows `rule`, parameter by parameter.

    slope_of: where the slope is taken. running: v₀ is ∇L_S(θ), not 0.
    """
    sx, sy, qx, qy = (part[0] for part in data)

    def query_loss(theta):
        phi, velocity = theta, {name: 0.0 * value for name, value in theta.items()}
        velocity = ref.grad(loss.numpy)(theta, sx, sy) if running else velocity
        for _ in range(steps):
            slope = slope_of(loss.numpy, theta, phi, velocity, rate, mu, sx, sy)
            both = {n: rule(phi[n], velocity[n], slope[n], rate, mu) for n in phi}
            phi, velocity = ({n: pair[i] for n, pair in both.items()} for i in (0, 1))
        return loss.numpy(phi, qx, qy)

    return value_and_grads(query_loss, params)


def _momentum_with_respect_to_theta(loss, params, data, rate, steps, mu):
    """The same, but slope k is that of L_S(φ_k) with respect to θ, through all steps before."""
    sx, sy, qx, qy = (part[0] for part in data)

    def state(theta, steps):
        if not steps:
            return theta, {name: 0.0 * value for name, value in theta.items()}
        phi, velocity = state(theta, steps - 1)
        slope = ref.grad(lambda p: loss.numpy(state(p, steps - 1)[0], sx, sy))(theta)
        velocity = {name: mu * velocity[name] + slope[name] for name in phi}
        return moved(phi, velocity, rate), velocity

    return value_and_grads(lambda theta: loss.numpy(state(theta, steps)[0], qx, qy), params)


def _momentum_mistakes(loss, params, data, rate, steps, mu, right):
    sx, sy, qx, qy = data
    run = lambda data=data, rate=rate, steps=steps, mu=mu, **how: (
        lambda: _with_momentum(loss, params, data, rate, steps, mu, **how)
    )
    return {
        f"this is the first-order gradient: {CUT}": run(rule=_cut_slope),
        "the velocity of the step before is a constant in your gradient (detached, or changed under `no_grad` "
        "or through `.data`): it depends on θ, too": run(rule=_cut_velocity),
        "there is no momentum in it: this is plain gradient descent": run(mu=0.0),
        "the slope is weighted by 1 − momentum, as in a running mean: v ← momentum · v + slope": run(
            rule=_averaged
        ),
        "this is Nesterov's momentum: φ moves by the velocity alone, not by slope + momentum · v": run(
            rule=_nesterov
        ),
        "this is Nesterov's momentum: take the slope at φ, not at the place φ − inner_lr · momentum · v "
        "ahead of it": run(slope_of=_slope_ahead),
        "inner_lr is in it twice, in the velocity and in the step: v ← momentum · v + slope, "
        "without it": run(rule=_rate_twice),
        "the velocity begins with the slope at θ: it begins with 0": run(running=True),
        "slope k is taken with respect to θ, not to φ_k (no difference for one step)": lambda: (
            _momentum_with_respect_to_theta(loss, params, data, rate, steps, mu)
        ),
        "the gradient is right, but the value you return is the query loss at θ: return it at φ": (
            (float(loss.numpy(params, qx[0], qy[0])), right[1])
        ),
        "φ moves by the old velocity: update the velocity first, then φ": run(rule=_old_velocity),
        "the query loss is taken on the support set": run(data=(sx, sy, sx, sy)),
        "support and query are swapped: adapt on the support set, judge on the query set": run(
            data=(qx, qy, sx, sy)
        ),
        "every inner step takes its slope at θ: step k must take it at the parameters that "
        "step k − 1 has reached": run(slope_of=_slope_at_theta),
        "there is one inner step only: do inner_steps of them": run(steps=1),
        "there is one inner step too many": run(steps=steps + 1),
        "the inner steps go uphill: φ − inner_lr · v, with a minus": run(rate=-rate),
        "this is the gradient at θ without any adaptation": run(steps=0),
        "the order is wrong: return the value first, then the gradient": right[::-1],
    }


# ---------------------------------------------------------------- 08.3


@exercise(
    "08.all_tasks",
    points=4,
    minutes=25,
    difficulty=3,
    interface="torch",
    forbids=("maml_edu.pytorch",),
)
def all_tasks(answer, rng):
    """Tasks of unequal size, all at once"""
    cases = draw(rng, problem=lambda r: draw_problem(r, 2, 5), inner_lr=(0.1, 0.5))
    for problem, inner_lr in cases:
        loss, params, data = problem
        mask = _draw_mask(rng, data[0].shape[:2])
        sx, sy, qx, qy = data
        got = answer(loss, params, sx, sy, mask, qx, qy, inner_lr)
        _refuse_the_inverted_mask(got, (loss, params, data, mask, inner_lr))
        right = _padded(loss, params, data, mask, inner_lr)
        expect(
            got,
            right,
            mistakes=partial(_padding_mistakes, loss, params, data, mask, inner_lr, right),
        )


INVERTED = "the mask is inverted: you keep the padding and leave the real examples out"


def _refuse_the_inverted_mask(got, case):
    """Raise WrongAnswer if a task without padding has become NaN, 0/0, and the others are as on their padding."""
    losses = array_of(got[0]) if isinstance(got, (list, tuple)) and got else None
    if losses is None or losses.shape != case[3].shape[:1] or not np.isnan(losses).any():
        return
    if np.allclose(losses, _padded(*case, support=_of_padding(case[0]))[0], equal_nan=True):
        raise WrongAnswer(INVERTED, "a task without padding has no example left: 0/0 is NaN")


def _of_padding(loss):
    """The support loss of somebody who has the mask the wrong way round; NaN where there is no padding."""
    return lambda p, x, y, m: (
        loss.numpy(p, x[m == 0], y[m == 0]) if (m == 0).any() else np.nan * loss.numpy(p, x, y)
    )


def _draw_mask(rng, shape):
    """(tasks, shots) of 1.0 and 0.0: numbers of examples that differ, padding anywhere."""
    tasks, shots = shape
    sizes = rng.permutation(np.arange(tasks) % shots + 1)
    mask = (np.arange(shots) < sizes[:, None]).astype(float)
    return rng.permuted(mask, axis=1)


def _padded(loss, params, data, mask, inner_lr, *, first_order=False, weights=None, support=None):
    """(loss of every task, gradient of their mean). support: the support loss, if another one.

    weights (tasks,): those of the tasks in the gradient, where it is no mean. first_order: slopes constant.
    """
    tasks = list(zip(*data, mask, strict=True))
    support = support or (lambda p, x, y, m: loss.numpy(p, x[m > 0], y[m > 0]))
    weights = np.full(len(tasks), 1 / len(tasks)) if weights is None else weights

    def losses(theta):
        for sx, sy, qx, qy, m in tasks:
            slope = ref.grad(lambda p, x=sx, y=sy, m=m: support(p, x, y, m))(theta)
            slope = ref.stop_gradient(slope) if first_order else slope
            yield loss.numpy(moved(theta, slope, inner_lr), qx, qy)

    total = lambda theta: sum(w * one for w, one in zip(weights, losses(theta), strict=True))
    return np.array([float(one) for one in losses(params)]), ref.grad(total)(params)


def _padding_mistakes(loss, params, data, mask, inner_lr, right):
    sx, sy, qx, qy = data
    tasks, shots = mask.shape
    run = lambda data=data, **how: lambda: _padded(loss, params, data, mask, inner_lr, **how)
    mean_of_real = lambda p, x, y, m: loss.numpy(p, x[m > 0], y[m > 0])
    losses, grads = right
    return {
        "the padding counts as examples: the mask is not used": run(
            support=lambda p, x, y, m: loss.numpy(p, x, y)
        ),
        "the padded rows became zeros, and still count as examples": run(
            support=lambda p, x, y, m: loss.numpy(p, x * m[:, None], y * m[:, None])
        ),
        "the padded rows became zeros, and their mean was scaled up to the real examples: a zeroed row still has a "
        "loss, since the bias answers it": run(
            support=lambda p, x, y, m: (
                shots / m.sum() * loss.numpy(p, x * m[:, None], y * m[:, None])
            )
        ),
        INVERTED: run(support=_of_padding(loss)),
        "the losses of the real examples are summed, not averaged": run(
            support=lambda p, x, y, m: m.sum() * mean_of_real(p, x, y, m)
        ),
        "the sum over the real examples is divided by the number of rows, padding included": run(
            support=lambda p, x, y, m: m.sum() / shots * mean_of_real(p, x, y, m)
        ),
        "the padded rows are summed, too; only the divisor is the number of real examples": run(
            support=lambda p, x, y, m: shots / m.sum() * loss.numpy(p, x, y)
        ),
        "the mean over all rows, padding included, is multiplied by the mean of the mask: the padded rows still "
        "count": run(support=lambda p, x, y, m: m.mean() * loss.numpy(p, x, y)),
        "you take the first rows of each task for the real ones; padding may stand anywhere, the mask "
        "says where": run(support=_first_rows(loss)),
        "all tasks share one φ, one step on the mean of their support losses: each task adapts to its "
        "own (the step belongs inside what vmap runs)": lambda: _shared_step(
            loss, params, data, mask, inner_lr
        ),
        "all tasks are divided by one common number of examples; each task has its own": run(
            support=lambda p, x, y, m: m.sum() * tasks / mask.sum() * mean_of_real(p, x, y, m)
        ),
        "the gradient weighs each task by its number of support examples: take the plain mean": run(
            weights=mask.sum(axis=1) / mask.sum()
        ),
        "the gradient is that of the sum over the tasks: take the mean": (
            (losses, scaled(grads, float(tasks)))
        ),
        "the gradient still has a task axis, one gradient per task: take the mean over it": lambda: (
            (losses, _stacked(loss, params, data, mask, inner_lr))
        ),
        f"the losses are right and the gradient is the first-order one: {CUT}": run(
            first_order=True
        ),
        "all tasks share one φ, adapted to all support sets together: each task adapts to "
        "its own (the step belongs inside what vmap runs)": lambda: _pooled(
            loss, params, data, mask, inner_lr
        ),
        "these are the losses before adaptation, and their gradient": lambda: _padded(
            loss, params, data, mask, 0.0
        ),
        "the loss after adaptation is taken on the (padded) support set, not on the query set": run(
            data=(sx, sy, sx, sy)
        ),
        "the first part is the mean loss; give the loss of every task, shape (tasks,)": (
            (float(losses.mean()), grads)
        ),
        "the order is wrong: return the losses first, then the gradient": (grads, losses),
    }


def _stacked(loss, params, data, mask, inner_lr):
    each = [
        _padded(loss, params, part_of(data, i, i + 1), mask[i : i + 1], inner_lr)[1]
        for i in range(len(mask))
    ]
    return {name: np.stack([grads[name] for grads in each]) for name in params}


def _first_rows(loss):
    """The support loss of somebody who takes the first rows for the real ones."""
    return lambda p, x, y, m: loss.numpy(p, x[: int(m.sum())], y[: int(m.sum())])


def _shared_step(loss, params, data, mask, inner_lr):
    """What comes out when one φ, a step on the mean of all tasks' support losses, serves every task."""
    sx, sy, qx, qy = data

    def losses(theta):
        real = lambda p: [
            loss.numpy(p, x[m > 0], y[m > 0]) for x, y, m in zip(sx, sy, mask, strict=True)
        ]
        slope = ref.grad(lambda p: sum(real(p)) / len(mask))(theta)
        phi = moved(theta, slope, inner_lr)
        return [loss.numpy(phi, x, y) for x, y in zip(qx, qy, strict=True)]

    mean = lambda theta: sum(losses(theta)) / len(qx)
    return np.array([float(one) for one in losses(params)]), ref.grad(mean)(params)


def _pooled(loss, params, data, mask, inner_lr):
    """What comes out when one φ, adapted to all real support examples together, serves every task."""
    sx, sy, qx, qy = data
    real_x, real_y = sx[mask > 0], sy[mask > 0]

    def losses(theta):
        phi = moved(theta, ref.grad(loss.numpy)(theta, real_x, real_y), inner_lr)
        return [loss.numpy(phi, x, y) for x, y in zip(qx, qy, strict=True)]

    mean = lambda theta: sum(losses(theta)) / len(qx)
    return np.array([float(one) for one in losses(params)]), ref.grad(mean)(params)


# ---------------------------------------------------------------- 08.4


BUGS = {
    "slope_at_theta": "the inner slope is taken with respect to θ, not to φ (no difference for one step)",
    "cut_biases": "the slopes of the biases are constants, but their second derivatives are not zero",
    "late_tasks": "the tasks have unequal weights, the later the more (no difference for one or two tasks)",
}


@exercise(
    "08.repaired",
    points=5,
    minutes=20,
    difficulty=3,
    interface="torch",
    forbids=("maml_edu.pytorch",),
)
def repaired(answer, rng):
    """Bug hunt: three in one"""
    cases = draw(
        rng, problem=lambda r: draw_problem(r, 3, 5), inner_lr=(0.1, 0.4), inner_steps=(2, 3)
    )
    for problem, *settings in cases:
        loss, params, data = problem
        case = (loss, params, data, *settings)
        right = meta(*case)
        expect(
            answer(loss, params, *data, *settings),
            right,
            mistakes=partial(_repair_mistakes, *case, *right),
        )


def _repair_mistakes(*case_and_right):
    """Message → what that mistake gives, or a function that computes it."""
    *case, _, _ = case_and_right
    left = {_left(bugs): lambda b=bugs: _with_bugs(*case, *b) for bugs in _subsets()}
    return left | _other_mistakes(*case_and_right)


def _other_mistakes(loss, params, data, inner_lr, inner_steps, value, grads):
    sx, sy, qx, qy = data
    case, tasks = (loss, params, data, inner_lr, inner_steps), len(sx)
    return {
        f"a new bug has come in: this is the first-order gradient, {CUT}": lambda: meta(
            *case, True
        ),
        "a new bug has come in: the loss after adaptation is taken on the support set": lambda: (
            meta(loss, params, (sx, sy, sx, sy), inner_lr, inner_steps)
        ),
        "a new bug has come in: support and query are swapped": lambda: meta(
            loss, params, (qx, qy, sx, sy), inner_lr, inner_steps
        ),
        "a new bug has come in: now the slopes of the weights are constants, those of the biases are not": lambda: (
            _with_bugs(*case, "cut_weights")
        ),
        "the gradient is right, but in the loss you return the tasks still have unequal weights": lambda: (
            (_with_bugs(*case, "late_tasks")[0], grads)
        ),
        "a new bug has come in: the tasks are summed instead of averaged": (
            (value * tasks, scaled(grads, float(tasks)))
        ),
        **{
            f"the mean is now a sum, and an old bug is left: {BUGS[bug]}": lambda bug=bug: (
                _with_bugs(*case, bug, weights=[1.0] * tasks)
            )
            for bug in ("slope_at_theta", "cut_biases")
        },
        **{
            f"the mean is none: {why}": lambda weights=weights: _with_bugs(*case, weights=weights)
            for why, weights in _miscounted(tasks).items()
        },
        "the loss is right, but the gradient is that of the last task alone": lambda: (
            (value, meta(loss, params, part_of(data, tasks - 1, tasks), *case[3:])[1])
        ),
        "only the last task is in it: loss and gradient are the last one's": lambda: meta(
            loss, params, part_of(data, tasks - 1, tasks), *case[3:]
        ),
        "the gradient is right, but the loss you return is the sum over the tasks": (
            (value * tasks, grads)
        ),
        "the loss is right, but the gradient is still that of the sum": (
            (value, scaled(grads, float(tasks)))
        ),
        "a new bug has come in: every slope is taken at θ, as if there were one long step": lambda: (
            meta(loss, params, data, inner_lr * inner_steps, 1)
        ),
        "φ carries over from task to task: every task must start from params": lambda: _chained(
            *case
        ),
        "the order is wrong: return the value first, then the gradient": (grads, value),
    }


def _miscounted(tasks):
    """Why → weights of the tasks, for a running mean that counts from the wrong number."""
    rest = tasks - 1
    return {
        "the running mean counts one task too many, so the first one weighs double": (
            [2 / (tasks + 1)] + rest * [1 / (tasks + 1)]
        ),
        "the running mean counts one task too few, so the second one drives the first one out": (
            [0.0] + rest * [1 / rest]
        ),
        "the sum is divided by one task too many": tasks * [1 / (tasks + 1)],
        "the sum is divided by one task too few": tasks * [1 / rest],
        "the sum is divided by 2, not by the number of tasks": tasks * [1 / 2],
    }


def _subsets():
    """Every choice of at least one bug."""
    return [bugs for count in (1, 2, 3) for bugs in itertools.combinations(BUGS, count)]


def _left(bugs):
    count = {1: "one bug is left", 2: "two bugs are left", 3: "all three bugs are still there"}
    return f"{count[len(bugs)]}: {'; '.join(BUGS[bug] for bug in bugs)}"


def _with_bugs(loss, params, data, inner_lr, inner_steps, *bugs, weights=None):
    """(loss, gradient) of the function with these bugs left in it; weights: of the tasks, if given."""

    def adapted(theta, x, y, steps):
        if not steps:
            return theta
        phi = adapted(theta, x, y, steps - 1)
        if "slope_at_theta" in bugs:
            slope = ref.grad(lambda p: loss.numpy(adapted(p, x, y, steps - 1), x, y))(theta)
        else:
            slope = ref.grad(loss.numpy)(phi, x, y)
        for bug, cut in (("cut_biases", lambda n: n < 2), ("cut_weights", lambda n: n > 1)):
            if bug in bugs:
                slope = {n: _cut_if(cut(params[n].ndim), s) for n, s in slope.items()}
        return moved(phi, slope, inner_lr)

    def total(theta):
        losses = [
            loss.numpy(adapted(theta, sx, sy, inner_steps), qx, qy)
            for sx, sy, qx, qy in zip(*data, strict=True)
        ]
        return sum(w * one for w, one in zip(weights, losses, strict=True))

    tasks = len(data[0])
    late = [0.5 ** max(tasks - 1, 1)] + [0.5 ** (tasks - i) for i in range(1, tasks)]
    weights = weights or (late if "late_tasks" in bugs else [1 / tasks] * tasks)
    return value_and_grads(total, params)


def _cut_if(cut, slope):
    return ref.stop_gradient(slope) if cut else slope


def _chained(loss, params, data, inner_lr, inner_steps):
    """Each task starts from the φ of the task before it."""

    def mean(theta):
        losses, phi = [], theta
        for sx, sy, qx, qy in zip(*data, strict=True):
            phi = ref.adapt(loss.numpy, phi, sx, sy, inner_lr, inner_steps)
            losses.append(loss.numpy(phi, qx, qy))
        return sum(losses) / len(losses)

    return value_and_grads(mean, params)


# ---------------------------------------------------------------- 08.5


KINDS = ("right", "truncated", "detached", "left out", "decay")


@exercise(
    "08.which_bug",
    points=6,
    minutes=50,
    difficulty=4,
    interface="torch",
    forbids=("maml_edu.checks",),
)
def which_bug(answer, rng):
    """The bug that the curve does not show"""
    first = int(rng.integers(len(KINDS)))
    turns = itertools.count()
    cases = draw(rng, problem=one_task, inner_lr=(0.05, 0.2), inner_steps=(4, 5))
    for number, (problem, *settings) in enumerate(cases):
        loss, params, data = problem
        case = (loss, params, data, *settings)
        # more gradients each at first: a few cases have all kinds twice; then one, for each is a search
        for turn in itertools.islice(turns, 3 if number < 2 else 2 if number < 5 else 1):
            rounds, place = divmod(turn, len(KINDS))
            kind = KINDS[(first + place) % len(KINDS)]
            guilty, gradient = _guilty(rng, kind, rounds % 2 == 0, case)
            got = answer(loss, params, *(part[0] for part in data), *settings, gradient)
            _answer_about(got, guilty, case)


def _guilty(rng, kind, hard, case):
    """((kind, detail), gradient) of a program of this kind; k, K − k and k ± 1 are told apart.

    hard: a truncation that is not first-order, a decay so large that the gradient is not linear in it.
    """
    _, params, _, _, inner_steps = case
    details = {
        "right": [None],
        "truncated": [k for k in range(1, inner_steps + 1 - hard) if abs(inner_steps - 2 * k) > 1],
        "detached": list(params),
        "left out": list(params),
        "decay": [_draw_decay(rng, *((0.03, 0.05) if hard else (1e-4, 2e-3)))],
    }
    detail = details[kind][rng.integers(len(details[kind]))]
    return (kind, detail), _made_by(*case, kind, detail)


def _draw_decay(rng, low, high):
    """A λ that no power of ten is near, and that is another one when it is rounded to four decimals."""
    while True:
        decay = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        rounded = abs(round(decay, 4) - decay) / _third_digit(decay)
        if abs(decay / _power_of_ten(decay) - 1) > 0.1 and (rounded > 1 or decay > 0.01):
            return decay


def _power_of_ten(value):
    """The nearest one."""
    return float(10.0 ** np.round(np.log10(value)))


def _made_by(loss, params, data, inner_lr, inner_steps, kind, detail):
    """The gradient that a program with this bug computes for its one task."""
    sx, sy, qx, qy = (part[0] for part in data)

    def query_loss(theta):
        phi = theta
        for step in range(inner_steps):
            slope = ref.grad(loss.numpy)(phi, sx, sy)
            for name in slope:
                if kind == "truncated" and step < detail or (kind, detail) == ("detached", name):
                    slope[name] = ref.stop_gradient(slope[name])
                if (kind, detail) == ("left out", name):
                    slope[name] = 0.0
                if kind == "decay":
                    slope[name] = slope[name] + detail * phi[name]
            phi = moved(phi, slope, inner_lr)
        return loss.numpy(phi, qx, qy)

    return ref.grad(query_loss)(params)


def _answer_about(got, guilty, case):
    """Raise WrongAnswer, with what the mix-up is, unless `got` names the guilty program."""
    expect_pair(got)
    kind, detail = guilty
    if got[0] != kind:
        raise WrongAnswer(_wrong_kind(got, guilty), f"expected: {guilty}\ngot:      {short(got)}")
    wrong = {}
    if kind == "truncated":
        wrong = _wrong_steps(got, guilty, case[-1])
    if kind in ("detached", "left out"):
        wrong = {"right bug, wrong parameter": _another(got, guilty, set(case[1]))}
    if kind == "decay":
        wrong = partial(_wrong_decays, got, guilty, case)
    rtol = 0.505 * _third_digit(detail) / detail if kind == "decay" else 0.0  # half a unit
    expect(got, guilty, mistakes=wrong, rtol=rtol, what="your (kind, detail)")


def _third_digit(value):
    """What a unit of the third significant digit is worth."""
    return 10.0 ** (np.floor(np.log10(value)) - 2)


def _wrong_steps(got, guilty, inner_steps):
    """Message → (kind, k) for a truncation."""
    kind, detail = guilty
    wrong = {
        "k counts the steps whose slopes are constants, not those that are differentiated": (
            (kind, inner_steps - detail)
        ),
        "truncated it is, but not every step is cut: k = inner_steps would be first-order": (
            (kind, inner_steps)
        ),
        "truncated it is, but with one step more": (kind, detail - 1),
        "truncated it is, but with one step fewer": (kind, detail + 1),
    }
    others = set(range(inner_steps + 1)) - {k for _, k in wrong.values()}
    return wrong | {"truncated it is, but with another k": _another(got, guilty, others)}


def _wrong_decays(got, guilty, case):
    """Message → (kind, λ)."""
    kind, detail = guilty
    line = _one_linear_step(detail, case)
    decimals = [round(detail, places) for places in (2, 3, 4)]
    wrong = {
        "λ is too small by the factor inner_lr: the step is φ − α(∇L + λφ)": detail * case[-2],
        "λ is half of what it should be: λφ is added to the slope, which belongs to ½λ‖φ‖²": (
            detail / 2
        ),
        "λ is twice what it should be: λφ is added to the slope, not λφ/2": detail * 2,
        "λ has the wrong sign: the decay pulls φ to zero, slope + λφ": -detail,
        "decay it is, but this is only the nearest power of ten: fit λ": _power_of_ten(detail),
        "decay it is, but this is one linear step from λ = 0, and the gradient is not linear in λ: go on from "
        "there until λ stays": line,
        "decay it is, but λ is rounded to decimals: three *significant* digits are asked for, and λ may be as "
        "small as 1e-4": _one_of(decimals, got, detail),
        "decay it is, and λ is off by less than a tenth, but not right to three significant digits": (
            _nearly(got, detail, [line, *decimals])
        ),
    }
    return {message: (kind, value) for message, value in wrong.items()}


def _one_linear_step(detail, case):
    """The λ at which the tangent at λ = 0 comes nearest to the gradient of this decay."""
    flat = lambda decay: np.concatenate(
        [slope.ravel() for slope in _made_by(*case, "decay", decay).values()]
    )
    start = flat(0.0)
    change = (flat(1e-6) - start) / 1e-6
    return float(change @ (flat(detail) - start) / (change @ change))


def _another(got, guilty, others):
    """`got` itself, where its detail is another one of `others`; else what is right."""
    detail = got[1]
    known = isinstance(detail, (int, str)) and not isinstance(detail, bool) and detail in others
    return tuple(got) if known and detail != guilty[1] else guilty


def _one_of(values, got, right):
    """That of `values` which is the λ of `got`; else the right one."""
    decay = _number(got[1])
    return next((value for value in values if np.isclose(decay, value, 3e-4, 1e-9)), right)


def _nearly(got, right, others):
    """The λ of `got`, where it is off by less than a tenth and none of `others`; else the right one."""
    decay = _number(got[1])
    if not abs(decay / right - 1) < 0.1 or np.isclose(decay, others, 3e-4, 1e-9).any():
        return right
    return decay


def _number(value):
    """A float; NaN for what is no number."""
    array = array_of(value)
    return float(array) if array is not None and not array.ndim else np.nan


def expect_pair(got):
    """Raise WrongAnswer unless `got` is a pair (kind, detail) with a kind from the table."""
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        raise WrongAnswer(
            'return a pair (kind, detail), such as ("truncated", 2)', f"got: {short(got)}"
        )
    if not isinstance(got[0], str) or got[0] not in KINDS:
        raise WrongAnswer(f"the kind must be one of {', '.join(KINDS)}", f"got: {short(got[0])}")


def _wrong_kind(got, guilty):
    """Why this accusation, or acquittal, is wrong."""
    said, kind = got[0], guilty[0]
    if said == "right":
        return (
            "you acquit a program that has a bug: in float64 the right gradient agrees to 1e-12, and "
            "this one is far from that"
        )
    if kind == "right":
        return "you accuse a program that is right: its gradient is the meta-gradient to rounding"
    if {said, kind} == {"detached", "left out"}:
        return (
            "you mix up two bugs of one parameter: detached, it moves, and its slope is a constant; left "
            "out, it does not move at all"
        )
    if said == "decay":
        return (
            "you blame a weight decay, but no λ explains all of the difference: fit it, and look at "
            "what is left over"
        )
    return "you blame the wrong bug: with it the program would have computed another gradient than this"
