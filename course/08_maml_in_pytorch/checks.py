"""Checks of chapter 08: each computes with `maml_edu.reference` what is right, and what mistakes give."""

import itertools
from types import SimpleNamespace

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import draw, exercise, expect, named

LOSS = named("tanh_mlp_mse")
CUT = "the inner slope is a constant in your gradient (its graph is not recorded, or is detached)"


def draw_params(rng, inputs=2, width=4):
    """Parameters of a two-layer tanh network, {"w1" (2, 4), "b1" (4,), "w2" (4, 1), "b2" (1,)}."""
    shapes = {"w1": (inputs, width), "b1": (width,), "w2": (width, 1), "b2": (1,)}
    return {name: rng.normal(0, 0.8, shape) for name, shape in shapes.items()}


def draw_tasks(rng, tasks=3):
    """(support_x, support_y, query_x, query_y) of `tasks` tasks: 5 support, 6 query examples."""
    x, slopes = rng.normal(size=(tasks, 11, 2)), rng.normal(0, 1.5, (tasks, 2, 1))
    y = np.sin(x @ slopes) + rng.normal(0, 0.1, (tasks, 11, 1))
    return x[:, :5], y[:, :5], x[:, 5:], y[:, 5:]


def as_batch(support_x, support_y, query_x, query_y):
    return SimpleNamespace(
        support_x=support_x, support_y=support_y, query_x=query_x, query_y=query_y
    )


def meta(params, data, inner_lr, inner_steps, first_order=False):
    """(meta-loss, gradient) of a batch, as an answer returns them."""
    value, grads = ref.meta_gradient(
        LOSS.numpy, params, as_batch(*data), inner_lr, inner_steps, first_order
    )
    return float(value), grads


def scaled(grads, factor):
    return {name: factor * slope for name, slope in grads.items()}


# ---------------------------------------------------------------- 08.1


@exercise("08.inner_step", points=3, minutes=10, difficulty=2, interface="torch")
def inner_step(answer, rng):
    """A step that a gradient can pass"""
    cases = draw(rng, params=draw_params, weights=draw_params, data=draw_tasks, inner_lr=(0.1, 0.6))
    for params, weights, data, inner_lr in cases:
        x, y = data[0][0], data[1][0]
        phi, through = _step(params, x, y, inner_lr, weights)
        uphill = _step(params, x, y, -inner_lr, weights)
        no_rate = _step(params, x, y, 1.0, weights)
        curved = {name: through[name] - weights[name] for name in weights}
        zero = scaled(weights, 0.0)
        expect(
            answer(LOSS, params, x, y, inner_lr, weights),
            (phi, through),
            mistakes={
                f"`through` is just the weights, as if dφ/dθ were 1: {CUT}": (phi, weights),
                "`through` is zero: no way leads back from φ to params, neither straight nor through "
                "the slope (was φ detached, or made of new leaves?)": (phi, zero),
                "`through` holds only the way through the slope, −αHw: φ = θ − α · slope depends on "
                "θ directly, too": (phi, curved),
                "the step goes uphill: φ = θ − α · slope, with a minus": uphill,
                "the step has length 1 times the slope: inner_lr is missing": no_rate,
                "you return the parameters before the step; φ comes first": (params, through),
                "φ and `through` are in the wrong order: return (phi, through)": (through, phi),
            },
        )


def _step(params, x, y, inner_lr, weights):
    """(φ, gradient of Σ weights · φ)."""

    def weighted(theta):
        slope = ref.grad(LOSS.numpy)(theta, x, y)
        phi = {name: theta[name] - inner_lr * slope[name] for name in theta}
        return sum(np.sum(weights[name] * phi[name]) for name in phi)

    slope = ref.grad(LOSS.numpy)(params, x, y)
    phi = {name: params[name] - inner_lr * slope[name] for name in params}
    return phi, ref.grad(weighted)(params)


# ---------------------------------------------------------------- 08.2


@exercise("08.meta_gradient", points=4, minutes=15, difficulty=3, interface="torch")
def meta_gradient(answer, rng):
    """The meta-gradient of one task"""
    cases = draw(rng, params=draw_params, data=draw_tasks, inner_lr=(0.1, 0.5), inner_steps=(2, 4))
    for params, data, inner_lr, inner_steps in cases:
        task = tuple(part[:1] for part in data)
        sx, sy, qx, qy = task
        steps = (inner_lr, inner_steps)
        right = meta(params, task, *steps)
        expect(
            answer(LOSS, params, *(part[0] for part in task), *steps),
            right,
            mistakes={
                f"this is the first-order gradient: {CUT}": meta(params, task, *steps, True),
                "the query loss is taken on the support set": meta(
                    params, (sx, sy, sx, sy), *steps
                ),
                "support and query are swapped: adapt on the support set, judge on the query set": (
                    meta(params, (qx, qy, sx, sy), *steps)
                ),
                "every inner step takes its slope at θ: step k must take it at the parameters that "
                "step k − 1 has reached": _stale(params, task, *steps),
                "there is one inner step only: do inner_steps of them": meta(
                    params, task, inner_lr, 1
                ),
                "there is one inner step too many": meta(params, task, inner_lr, inner_steps + 1),
                "this is the gradient at θ without any adaptation": meta(params, task, 0.0, 0),
                "the order is wrong: return the value first, then the gradient": right[::-1],
            },
        )
    _without_steps(answer, params, task, inner_lr)


def _without_steps(answer, params, task, inner_lr):
    """No inner steps: φ = θ, a case that a loop gets right by itself."""
    expect(
        answer(LOSS, params, *(part[0] for part in task), inner_lr, 0),
        meta(params, task, inner_lr, 0),
        what="your answer for inner_steps = 0 (φ = θ)",
    )


def _stale(params, task, inner_lr, inner_steps):
    """Every slope taken at θ: the same as one step of inner_steps times the rate."""
    return meta(params, task, inner_lr * inner_steps, 1)


# ---------------------------------------------------------------- 08.3


@exercise("08.all_tasks", points=4, minutes=15, difficulty=3, interface="torch")
def all_tasks(answer, rng):
    """All tasks at once"""
    cases = draw(rng, params=draw_params, data=lambda r: draw_tasks(r, 4), inner_lr=(0.1, 0.6))
    for params, data, inner_lr in cases:
        each = [meta(params, tuple(p[i : i + 1] for p in data), inner_lr, 1) for i in range(4)]
        losses = np.array([value for value, _ in each])
        grads = meta(params, data, inner_lr, 1)[1]
        first_order = meta(params, data, inner_lr, 1, True)[1]
        stacked = {name: np.stack([g[name] for _, g in each]) for name in params}
        expect(
            answer(LOSS, params, *data, inner_lr),
            (losses, grads),
            mistakes={
                "the gradient is that of the sum over the tasks: take the mean": (
                    losses,
                    scaled(grads, 4.0),
                ),
                "the gradient still has a task axis, one gradient a task: take the mean over it": (
                    losses,
                    stacked,
                ),
                f"the losses are right and the gradient is the first-order one: {CUT}": (
                    losses,
                    first_order,
                ),
                "all tasks share one φ, adapted to all support sets together: each task adapts to "
                "its own (the step belongs inside what vmap runs)": lambda p=params, d=data, a=inner_lr: (
                    _pooled(p, d, a)
                ),
                "these are the losses before adaptation, and their gradient": (
                    _losses(params, data),
                    meta(params, data, 0.0, 0)[1],
                ),
                "the first part is the mean loss; give the loss of every task, shape (tasks,)": (
                    float(losses.mean()),
                    grads,
                ),
            },
        )


def _losses(params, data):
    return np.array([LOSS.numpy(params, qx, qy) for _, _, qx, qy in zip(*data, strict=True)])


def _pooled(params, data, inner_lr):
    """What comes out when one φ, adapted to all support sets together, serves every task."""
    support = tuple(part.reshape(-1, part.shape[-1]) for part in data[:2])
    slope = ref.grad(LOSS.numpy)(params, *support)
    phi = {name: params[name] - inner_lr * slope[name] for name in params}

    def mean(theta):
        slope = ref.grad(LOSS.numpy)(theta, *support)
        phi = {name: theta[name] - inner_lr * slope[name] for name in theta}
        tasks = list(zip(*data[2:], strict=True))
        return sum(LOSS.numpy(phi, qx, qy) for qx, qy in tasks) / len(tasks)

    return _losses(phi, data), ref.grad(mean)(params)


# ---------------------------------------------------------------- 08.4


BUGS = {
    "first_order": "the inner slope has no graph, so the second order is missing",
    "on_support": "the loss after adaptation is taken on the support set",
    "summed": "the tasks are summed instead of averaged",
}


@exercise("08.repaired", points=5, minutes=20, difficulty=4, interface="torch")
def repaired(answer, rng):
    """Bug hunt: three in one"""
    cases = draw(rng, params=draw_params, data=draw_tasks, inner_lr=(0.1, 0.5), inner_steps=(2, 3))
    for params, data, inner_lr, inner_steps in cases:
        problem = (params, data, inner_lr, inner_steps)
        left = {_left(bugs): _with_bugs(*problem, *bugs) for bugs in _subsets()}
        value, grads = _with_bugs(*problem)
        mistakes = {
            "the gradient is right, but the loss you return is the sum over the tasks": (
                value * len(data[0]),
                grads,
            ),
            "the loss is right, but the gradient is still that of the sum": (
                value,
                scaled(grads, len(data[0])),
            ),
            "φ carries over from task to task: every task must start from params": lambda p=problem: (
                _chained(*p)
            ),
        }
        expect(answer(LOSS, *_flat(problem)), (value, grads), mistakes=left | mistakes)


def _flat(problem):
    params, data, inner_lr, inner_steps = problem
    return params, *data, inner_lr, inner_steps


def _subsets():
    """Every choice of at least one bug."""
    return [bugs for count in (1, 2, 3) for bugs in itertools.combinations(BUGS, count)]


def _left(bugs):
    count = {1: "one bug is left", 2: "two bugs are left", 3: "all three bugs are still there"}
    return f"{count[len(bugs)]}: {'; '.join(BUGS[bug] for bug in bugs)}"


def _with_bugs(params, data, inner_lr, inner_steps, *bugs):
    """(loss, gradient) of the function with these bugs left in it."""
    if "on_support" in bugs:
        data = (*data[:2], *data[:2])
    value, grads = meta(params, data, inner_lr, inner_steps, "first_order" in bugs)
    factor = len(data[0]) if "summed" in bugs else 1
    return value * factor, scaled(grads, float(factor))


def _chained(params, data, inner_lr, inner_steps):
    """Each task starts from the φ of the task before it."""

    def mean(theta):
        losses, phi = [], theta
        for sx, sy, qx, qy in zip(*data, strict=True):
            phi = ref.adapt(LOSS.numpy, phi, sx, sy, inner_lr, inner_steps)
            losses.append(LOSS.numpy(phi, qx, qy))
        return sum(losses) / len(losses)

    value, grads = ref.value_and_grad(mean)(params)
    return float(value), grads
