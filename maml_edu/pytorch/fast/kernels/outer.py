"""Whole outer steps compiled: meta-gradient and Adam, many in one call. Start with `outer_steps`.

Several threads call it with the same arrays. Who is free takes the next chunk of tasks; thread 0 waits
for all of them, takes Adam's step (Kingma & Ba 2015, Algorithm 1) and lets the others go on.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from . import atomics
from .chunks import one_chunk, start_from
from .perceptron import collect, compiled

SPINS = 200  # looks at a counter before another thread may have the core
PATIENCE = 1 << 20  # times a thread gives way before it goes home: thread 0 can do without it

# claimed, finished (steps,): chunks of each step that were taken up, and that are done; released (1,):
# steps whose θ is there, or −1 to stop. int64, for `atomics`.
Counters = namedtuple("Counters", "claimed finished released")

# theta, m, v (numbers,): θ and Adam's averages; parts (trained parameters, 2): where each begins and ends in
# them, what lies between is not trained; steps (trained parameters,): how many Adam has taken with each.
Adam = namedtuple("Adam", "theta m v steps parts")


@compiled
def outer_steps(
    rank, counters, chunks, data, kinds, widths, weights, flags, padded, rates, ws, sums, room
):
    """The outer steps of data (steps, tasks, examples, …); returns how many were taken.

    Fewer than there are where a loss or a gradient is of no use: θ is then that from before this step.
    room: (losses of tasks (steps, tasks), the meta-losses (steps,), the gradient (numbers,), Adam, its rate
    at each step (steps,), [largest loss, largest norm of the gradient]).
    """
    losses, values, slope, adam, outer_rates, limits = room
    steps = len(outer_rates)
    for step in range(steps):
        if rank > 0 and not is_released(counters, step):
            return step
        batch = (data[0][step], data[1][step], data[2][step], data[3][step])
        chunk = atomics.add(counters.claimed, step, 1)
        if chunk < chunks:
            start_from(padded, widths, ws)
        while chunk < chunks:
            fixed = (kinds, widths, weights, flags, rates, ws, sums)
            one_chunk(chunk, chunks, batch, *fixed, losses[step])
            atomics.add(counters.finished, step, 1)
            chunk = atomics.add(counters.claimed, step, 1)
        if rank > 0:
            continue
        wait_for_all(counters, step, chunks)
        values[step] = losses[step].mean()
        collect(slope, sums[0], sums[1], widths, len(losses[step]))
        total = squared_norm(slope, adam.parts)
        if not is_usable(values[step], total, limits):
            atomics.store(counters.released, 0, -1)
            return step
        adam_step(adam, slope, outer_rates[step], min(1.0, limits[1] / (np.sqrt(total) + 1e-6)))
        spread(adam.theta, padded[0], padded[1], widths)
        atomics.store(counters.released, 0, step + 1)
    return steps


@compiled
def is_released(counters, step):
    """Wait until θ is there for this step. False where the others have stopped, or have gone quiet."""
    spins = 0
    while True:
        released = atomics.load(counters.released, 0)
        if released < 0:
            return False
        if released >= step:
            return True
        spins += 1
        if spins > SPINS:
            atomics.give_way()
        if spins > PATIENCE:
            return False


@compiled
def wait_for_all(counters, step, chunks):
    spins = 0
    while atomics.load(counters.finished, step) < chunks:
        spins += 1
        if spins > SPINS:
            atomics.give_way()


@compiled
def squared_norm(slope, parts):
    """Of the gradient of what is trained: what is frozen plays no part."""
    total = 0.0
    for part in range(len(parts)):
        for i in range(parts[part, 0], parts[part, 1]):
            total += float(slope[i]) * float(slope[i])
    return total


@compiled
def is_usable(value, total, limits):
    """Whether loss and gradient are finite, and the loss below its limit, which the first loss sets."""
    if not (np.isfinite(value) and np.isfinite(total)):
        return False
    if limits[0] < 0:
        limits[0] *= -max(1.0, abs(value))
    return abs(value) <= limits[0]


@compiled
def adam_step(adam, slope, rate, factor):
    """θ ← θ − β m̂ / (√v̂ + ε) as torch.optim.Adam does it, with the gradient times `factor`."""
    number = adam.theta.dtype.type
    factor, epsilon = number(factor), number(1e-8)
    keep_m, keep_v = number(0.9), number(0.999)
    add_m, add_v = number(1 - 0.9), number(1 - 0.999)
    for part in range(len(adam.parts)):
        adam.steps[part] += 1
        t = float(adam.steps[part])
        size, root = number(rate / (1 - 0.9**t)), number(np.sqrt(1 - 0.999**t))
        for i in range(adam.parts[part, 0], adam.parts[part, 1]):
            g = slope[i] * factor
            adam.m[i] = keep_m * adam.m[i] + add_m * g
            adam.v[i] = keep_v * adam.v[i] + add_v * g * g
            adam.theta[i] -= size * adam.m[i] / (np.sqrt(adam.v[i]) / root + epsilon)


@compiled
def spread(flat, W, B, widths):
    """[W₁, b₁, W₂, …] in one vector into the padded (layers, wide, wide) and (layers, wide)."""
    at = 0
    for layer in range(len(widths) - 1):
        outputs, inputs = widths[layer + 1], widths[layer]
        for i in range(outputs):
            for j in range(inputs):
                W[layer, i, j] = flat[at + i * inputs + j]
            B[layer, i] = flat[at + outputs * inputs + i]
        at += outputs * (inputs + 1)
