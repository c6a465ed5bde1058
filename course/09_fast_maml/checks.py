"""Checks of chapter 09: each computes what is right, and what mistakes give, with NumPy and the reference."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import draw, exercise, expect, named

LOSS = named("tanh_mlp_mse")


# ---------------------------------------------------------------- 09.1


def draw_regressions(rng, tasks=3, shots=5, inputs=2):
    """(theta (2,), support_x (3, 5, 2), support_y (3, 5)): every axis has another length."""
    x = rng.normal(size=(tasks, shots, inputs))
    return rng.normal(size=inputs), x, rng.normal(size=(tasks, shots))


@exercise("09.adapt_all", points=4, minutes=15, difficulty=2)
def adapt_all(answer, rng):
    """No loop over tasks"""
    for (theta, x, y), inner_lr in draw(rng, problem=draw_regressions, inner_lr=(0.05, 0.3)):
        tasks, shots = y.shape
        summed = np.einsum("tni,tn->ti", x, x @ theta - y)  # (tasks, inputs)
        right = theta - inner_lr * 2 / shots * summed
        pooled = theta - inner_lr * 2 / y.size * summed.sum(0)
        expect(
            answer(theta, x, y, inner_lr),
            right,
            mistakes={
                "one φ for all tasks: the sum runs over tasks too. Sum over shots only, so that a "
                "slope is left for each task": pooled,
                "one φ for all tasks, copied: each task has a slope of its own": np.tile(
                    pooled, (tasks, 1)
                ),
                "the mean over shots is missing: divide by the number of shots": (
                    theta - inner_lr * 2 * summed
                ),
                "you divide by the number of tasks, len(support_y); the mean is over shots": (
                    theta - inner_lr * 2 / tasks * summed
                ),
                "you divide by all examples of all tasks: each task's mean is over its own shots": (
                    theta - inner_lr * 2 / y.size * summed
                ),
                "the 2 of the derivative of a square is missing": theta - inner_lr / shots * summed,
                "the step goes uphill: φ = θ − α · slope": theta + inner_lr * 2 / shots * summed,
                "these are the slopes: φ = θ − α · slope": 2 / shots * summed,
            },
        )


# ---------------------------------------------------------------- 09.2


def draw_params(rng, inputs=2, width=4):
    """Parameters of a two-layer tanh network, {"w1" (2, 4), "b1" (4,), "w2" (4, 1), "b2" (1,)}."""
    shapes = {"w1": (inputs, width), "b1": (width,), "w2": (width, 1), "b2": (1,)}
    return {name: rng.normal(0, 0.8, shape) for name, shape in shapes.items()}


def draw_support(rng):
    """Five examples: x (5, 2), y (5, 1)."""
    return rng.normal(size=(5, 2)), rng.normal(size=(5, 1))


def path_from(theta, x, y, inner_lr, inner_steps):
    """[φ₀ … φ_{K−1}] of gradient descent."""
    path = [theta]
    for _ in range(inner_steps - 1):
        slope = ref.grad(LOSS.numpy)(path[-1], x, y)
        path.append({name: path[-1][name] - inner_lr * slope[name] for name in theta})
    return path


def walked(path, x, y, v, inner_lr):
    """v after v ← v − α H v at each of `path`, in the order given."""
    for phi in path:
        weights = v

        def along(params, weights=weights):
            slope = ref.grad(LOSS.numpy)(params, x, y)
            return sum(np.sum(weights[name] * slope[name]) for name in weights)

        curved = ref.grad(along)(phi)
        v = {name: v[name] - inner_lr * curved[name] for name in v}
    return v


@exercise("09.walk_back", points=5, minutes=20, difficulty=4, interface="torch")
def walk_back(answer, rng):
    """Walk back over the inner steps"""
    cases = draw(
        rng,
        theta=draw_params,
        v=draw_params,
        support=draw_support,
        inner_lr=(0.2, 0.5),
        inner_steps=(2, 4),
    )
    for theta, v, (x, y), inner_lr, inner_steps in cases:
        path = path_from(theta, x, y, inner_lr, inner_steps)
        data = (x, y, v)
        right = walked(path[::-1], *data, inner_lr)
        expect(
            answer(LOSS, path, *data, inner_lr),
            right,
            mistakes={
                "v has not changed: that is first-order MAML, H taken for zero": v,
                "the walk goes forward: the step that was taken last comes first on the way back": (
                    lambda p=path, d=data, a=inner_lr: walked(p, *d, a)
                ),
                "every Hessian is taken at φ₀: step k has its own, at path[k]": (
                    lambda p=path, d=data, a=inner_lr: walked([p[0]] * len(p), *d, a)
                ),
                "every Hessian is taken at the last φ: step k has its own, at path[k]": (
                    lambda p=path, d=data, a=inner_lr: walked([p[-1]] * len(p), *d, a)
                ),
                "the sign is wrong: v ← v − α H v, with a minus": (
                    lambda p=path, d=data, a=inner_lr: walked(p[::-1], *d, -a)
                ),
                "inner_lr is missing: v ← v − α H v": (
                    lambda p=path, d=data: walked(p[::-1], *d, 1.0)
                ),
                "only the last step is walked back: go on to path[0]": (
                    lambda p=path, d=data, a=inner_lr: walked(p[-1:], *d, a)
                ),
                "the first step, at path[0], is left out": (
                    lambda p=path, d=data, a=inner_lr: walked(p[:0:-1], *d, a)
                ),
            },
        )


# ---------------------------------------------------------------- 09.3


@exercise("09.predict_speed_up", points=4, minutes=15, difficulty=3)
def predict_speed_up(answer, rng):
    """Predict the speed-up"""
    cases = draw(
        rng,
        tasks=(5, 60),
        operations=(50, 400),
        flops_per_task=(2e5, 4e6),
        start=(2e-6, 1e-5),
        peak=(2e10, 2e11),
        rest=(1e-4, 1e-3),
    )
    for tasks, operations, flops, start, peak, rest in cases:
        starts, arithmetic = operations * start, tasks * flops / peak
        loop, limit = tasks * starts + arithmetic + rest, arithmetic + rest
        together = starts + arithmetic + rest
        expect(
            answer(tasks, operations, flops, start, peak, rest),
            (loop / together, loop / limit),
            mistakes={
                "you leave `rest` out: both programs spend it, and it does not shrink (Amdahl)": (
                    (loop - rest) / (together - rest),
                    (loop - rest) / arithmetic,
                ),
                "the arithmetic of the vectorised program is that of one task: it does all tasks'": (
                    loop / (starts + arithmetic / tasks + rest),
                    loop / limit,
                ),
                "the number of tasks is no speed-up: only the starts become fewer, arithmetic and rest "
                "stay": (float(tasks), loop / limit),
                "these are inverted: a speed-up is the old time over the new one": (
                    together / loop,
                    limit / loop,
                ),
                "the limit leaves `rest` out: a better engine does not touch it": (
                    loop / together,
                    loop / arithmetic,
                ),
                "the limit is relative to the vectorised program; it is asked relative to the loop": (
                    loop / together,
                    together / limit,
                ),
                "`rest` comes once per outer step, not once per task": (
                    (loop + (tasks - 1) * rest) / together,
                    (loop + (tasks - 1) * rest) / limit,
                ),
            },
        )


# ---------------------------------------------------------------- 09.4


@exercise("09.memory_law", points=3, minutes=10, difficulty=2)
def memory_law(answer, rng):
    """The law of memory"""
    for swap, *case in draw(
        rng,
        swap=[False, True],
        inner_steps=(2, 50),
        parameters=(1000, 5000),
        smaller=(6000, 20_000),
        larger=(30_000, 90_000),
    ):
        steps, parameters, step, query = case
        if swap:  # now the one graph, now the other is larger
            step, query = query, step
        recorded, one = steps * step + query, max(step, query)
        right = (recorded, steps * parameters + one)
        expect(
            answer(steps, parameters, step, query),
            right,
            mistakes={
                "both graphs are counted in the back-walk: one is gone before the other is made, so "
                "the larger one decides": (recorded, steps * parameters + step + query),
                "the query loss has a graph, too: the recorded loop keeps it": (
                    steps * step,
                    right[1],
                ),
                "the query's graph is counted once per inner step: there is one query loss, at the "
                "end": (steps * (step + query), right[1]),
                "the back-walk keeps no graph through its steps: what grows with them is the "
                "parameters": (recorded, steps * (parameters + step) + query),
                "θ itself is counted: it is there anyway": (recorded, right[1] + parameters),
                "the back-walk's one graph is missing: it needs one step's at a time": (
                    recorded,
                    steps * parameters,
                ),
                "the two are in the wrong order: the recorded loop first": right[::-1],
            },
        )
