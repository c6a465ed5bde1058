"""Checks of chapter 07: one function per exercise, for the learner and for the grader."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import draw, exercise, expect, named

TANH = named("tanh_mlp_mse")
WIDTH = 3


def network_params(rng):
    """θ of a tanh network 1-3-1, curved enough for every mistake to show."""
    shapes = {"w1": (1, WIDTH), "b1": (WIDTH,), "w2": (WIDTH, 1), "b2": (1,)}
    return {name: rng.normal(0.0, 0.8, shape) for name, shape in shapes.items()}


def batch_of(rng, tasks, shots=4, queries=6):
    """Support and query sets of small waves: x and y (tasks, examples, 1)."""
    amplitude, phase = rng.uniform(0.5, 2.0, (tasks, 1, 1)), rng.uniform(0, np.pi, (tasks, 1, 1))
    x = rng.uniform(-2.0, 2.0, (tasks, shots + queries, 1))
    y = amplitude * np.sin(x - phase)
    return x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:]


def descend(params, x, y, inner_lr, inner_steps, first_order=False):
    return ref.adapt(TANH.numpy, params, x, y, inner_lr, inner_steps, first_order)


def moved(params, slope, rate):
    return {name: value - rate * slope[name] for name, value in params.items()}


PROBLEM = {
    "params": network_params,
    "batch": lambda rng: batch_of(rng, tasks=int(rng.integers(2, 5))),
    "inner_lr": (0.1, 0.3),
    "inner_steps": (2, 4),
}


# ---------------------------------------------------------------- 07.1


@exercise("07.inner_loop", points=3, minutes=10, difficulty=2)
def inner_loop(answer, rng):
    """The inner loop"""
    # from 3 steps on, "one step short" and "one step only" are two numbers
    for params, batch, lr, steps in draw(rng, **{**PROBLEM, "inner_steps": (3, 4)}):
        x, y = batch[:2]
        tasks = list(zip(x, y, strict=True))
        adapted = [descend(params, sx, sy, lr, steps) for sx, sy in tasks]
        expect(
            answer(TANH, params, x, y, lr, steps),
            adapted,
            mistakes={
                "each step needs the slope where it starts; this takes the slope at θ every time": [
                    moved(params, ref.grad(TANH.numpy)(params, sx, sy), steps * lr)
                    for sx, sy in tasks
                ],
                "this goes uphill: gradient descent subtracts the slope": [
                    descend_uphill(params, sx, sy, lr, steps) for sx, sy in tasks
                ],
                "this is one inner step short": [
                    descend(params, sx, sy, lr, steps - 1) for sx, sy in tasks
                ],
                "this is one step only: is φ set inside the loop, so that every step starts at θ again?": [
                    descend(params, sx, sy, lr, 1) for sx, sy in tasks
                ],
                "this is one inner step too many": [
                    descend(params, sx, sy, lr, steps + 1) for sx, sy in tasks
                ],
                "every task has to start at θ; here a task starts where the one before it ended": (
                    chain(params, tasks, lr, steps)
                ),
                "all tasks share the same arrays, changed in place: make new arrays in every step": (
                    [chain(params, tasks, lr, steps)[-1]] * len(tasks)
                ),
                "this is the last task alone: return a list with the φ of every task": adapted[-1],
            },
        )


def descend_uphill(params, x, y, inner_lr, inner_steps):
    for _ in range(inner_steps):
        params = moved(params, ref.grad(TANH.numpy)(params, x, y), -inner_lr)
    return params


def chain(params, tasks, inner_lr, inner_steps):
    """What comes of adapting one after the other without going back to θ."""
    adapted = []
    for x, y in tasks:
        params = descend(params, x, y, inner_lr, inner_steps)
        adapted.append(params)
    return adapted


# ---------------------------------------------------------------- 07.2


@exercise("07.outer_loop", points=4, minutes=20, difficulty=3)
def outer_loop(answer, rng):
    """One turn of the outer loop"""
    for params, batch, lr, steps, beta in draw(rng, **PROBLEM, meta_lr=(0.05, 0.3)):
        sx, sy, qx, qy = batch
        first_order = mean_slope(params, batch, lr, steps, first_order=True)
        right = mean_slope(params, batch, lr, steps)
        last = descend(params, sx[-1], sy[-1], lr, steps)
        expect(
            answer(TANH, params, sx, sy, qx, qy, lr, steps, beta),
            moved(params, right, beta),
            mistakes={
                "the query losses are summed: take their mean over the tasks": (
                    moved(params, right, beta * len(sx))
                ),
                "this is first-order MAML: the gradient at φ, without the path from θ to φ": (
                    moved(params, first_order, beta)
                ),
                "this adapts on the query set: φ comes from the support set": (
                    moved(params, mean_slope(params, (qx, qy, qx, qy), lr, steps), beta)
                ),
                "this judges φ on its own support set: the outer loss is the query loss": (
                    moved(params, mean_slope(params, (sx, sy, sx, sy), lr, steps), beta)
                ),
                "support and query are exchanged": (
                    moved(params, mean_slope(params, (qx, qy, sx, sy), lr, steps), beta)
                ),
                "this moves φ of the last task: the update belongs to θ": moved(last, right, beta),
                "this moves φ of the last task by a slope at φ: both belong to θ": (
                    moved(last, first_order, beta)
                ),
                "there is no inner loop in this: it trains θ on all query sets together": (
                    moved(params, mean_slope(params, batch, lr, 0), beta)
                ),
                "nothing moved: φ was computed outside the function that is differentiated": params,
                "θ moves after every task: it moves once a batch, by the mean slope at the old θ": (
                    one_by_one(params, batch, lr, steps, beta)
                ),
                "this goes uphill: the update subtracts the slope": moved(params, right, -beta),
                "this is the meta-gradient: return θ after the update, θ − β times it": right,
            },
        )


def mean_slope(params, batch, inner_lr, inner_steps, first_order=False):
    """∇θ of the mean query loss after adaptation, for a batch (support x, y, query x, y)."""

    def meta_loss(theta):
        losses = [
            TANH.numpy(descend(theta, sx, sy, inner_lr, inner_steps, first_order), qx, qy)
            for sx, sy, qx, qy in zip(*batch, strict=True)
        ]
        return sum(losses) / len(losses)

    return ref.grad(meta_loss)(params)


def one_by_one(params, batch, inner_lr, inner_steps, beta):
    """θ after an update for each task in turn, every one at the θ that the last one left."""
    for task in range(len(batch[0])):
        own = tuple(part[task : task + 1] for part in batch)
        params = moved(params, mean_slope(params, own, inner_lr, inner_steps), beta)
    return params


# ---------------------------------------------------------------- 07.3


@exercise("07.more_steps_at_test", points=3, minutes=15, difficulty=2)
def more_steps_at_test(answer, rng):
    """More steps at test time"""
    for params, batch, lr, steps in draw(rng, **{**PROBLEM, "inner_steps": (3, 6)}):
        sx, sy, qx, qy = batch
        right = curves(params, batch, lr, steps + 1)  # one step more than asked for
        on_support = curves(params, (sx, sy, sx, sy), lr, steps)
        on_query = curves(params, (qx, qy, qx, qy), lr, steps)
        expect(
            answer(TANH, params, sx, sy, qx, qy, lr, steps),
            right[:, :-1],
            mistakes={
                "the loss before the first step is missing: column 0 is the loss at params": (
                    right[:, 1:-1]
                ),
                "this starts after the first step: column k is the loss after k steps": right[
                    :, 1:
                ],
                "the loss after the last step is missing": right[:, :-2],
                "this is the loss on the support set, which the steps were taken on": on_support,
                "this takes its steps on the query set: nobody may learn from the test": on_query,
                "every task has to start at params; here one starts where the last one ended": (
                    curves(params, batch, lr, steps, chained=True)
                ),
                "each step starts from where the last one ended, this always starts at params": (
                    np.hstack([right[:, :1], np.repeat(right[:, 1:2], steps, axis=1)])
                ),
                "rows and columns are exchanged: a row for each task, a column for each step count": (
                    right[:, :-1].T
                ),
                "keep the tasks apart, a row each: the mean comes in 07.4": right[:, :-1].mean(0),
            },
        )


def curves(params, batch, inner_lr, steps, chained=False):
    """Query losses (tasks, steps + 1)."""
    phi, rows = params, []
    for sx, sy, qx, qy in zip(*batch, strict=True):
        phi = phi if chained else params
        row = [TANH.numpy(phi, qx, qy)]
        for _ in range(steps):
            phi = descend(phi, sx, sy, inner_lr, 1)
            row.append(TANH.numpy(phi, qx, qy))
        rows.append(row)
    return np.array(rows)


# ---------------------------------------------------------------- 07.4


@exercise("07.evaluate", points=3, minutes=10, difficulty=2)
def evaluate(answer, rng):
    """Mean and interval"""
    shape = {"tasks": (5, 12), "steps": (2, 4)}
    for tasks, steps in draw(rng, **shape):
        scale = 3.0 * 0.5 ** np.arange(steps + 1)  # errors fall with the steps
        losses = rng.gamma(2.0, 1.0, (tasks, steps + 1)) * scale
        mean, spread = losses.mean(axis=0), losses.std(axis=0, ddof=1)
        root = np.sqrt(tasks)
        halves = {
            "ci95 is the spread of single tasks: the mean of n of them is surer by the factor √n": (
                1.96 * spread
            ),
            "this is the standard deviation over the tasks: divide by √n, and times 1.96": spread,
            "this is one standard error: 95 % of a normal lies within 1.96 of them": spread / root,
            "1.96, not 2: this takes two standard errors": 2 * spread / root,
            "divide by n − 1 in the standard deviation (ddof=1): the mean is estimated, too": (
                1.96 * losses.std(axis=0) / root
            ),
            "divide the standard deviation by √n, not by n": 1.96 * spread / tasks,
            "ci95 is half the width of the interval, from the mean to one end": (
                2 * 1.96 * spread / root
            ),
        }
        expect(
            answer(losses),
            {"mean": mean, "ci95": 1.96 * spread / root},
            mistakes={
                **{says: {"mean": mean, "ci95": half} for says, half in halves.items()},
                "this averages over the steps: the tasks are the rows, axis 0": {
                    "mean": losses.mean(axis=1),
                    "ci95": 1.96 * losses.std(axis=1, ddof=1) / np.sqrt(steps + 1),
                },
                "this is the median: the table is to hold the mean": {
                    "mean": np.median(losses, axis=0),
                    "ci95": 1.96 * spread / root,
                },
                "all steps are thrown together: a mean and an interval for each step": {
                    "mean": losses.mean(),
                    "ci95": 1.96 * losses.std(ddof=1) / np.sqrt(losses.size),
                },
            },
        )
