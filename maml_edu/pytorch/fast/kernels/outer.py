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
STANDS_BY = 1 << 12  # the same between two calls: some milliseconds

# claimed, finished (steps,): chunks of each step that were taken up, and that are done; released (1,):
# the last step whose θ and data are there, or −1 to stop. int64, for `atomics`.
Counters = namedtuple("Counters", "claimed finished released")

# theta, m, v (numbers,): θ and Adam's averages; parts (trained parameters, 2): where each begins and ends in
# them, what lies between is not trained; steps (trained parameters,): how many Adam has taken with each.
Adam = namedtuple("Adam", "theta m v steps parts")


@compiled
def outer_steps(
    rank, span, counters, chunks, data, kinds, widths, weights, flags, padded, rates, ws, sums, room
):
    """The outer steps from span[0] up to span[1], that one not included; returns how many were taken.

    Fewer than there are where a loss or a gradient is of no use: θ is then that from before this step.
    data: (places, tasks, examples, …), and room: (losses of tasks (places, tasks), the meta-losses (places,),
    the gradient (numbers,), Adam, its rate at each step (places,), [largest loss, largest norm of the
    gradient]). Steps use their places in turn. span[2]: the patience of `is_released`.
    """
    losses, values, slope, adam, outer_rates, limits = room
    first, last, patience = span
    for step in range(first, last):
        if rank == 0:
            atomics.store(counters.released, 0, step)
        elif not is_released(counters, step, patience):
            return step - first
        place = step % len(values)
        batch = (data[0][place], data[1][place], data[2][place], data[3][place])
        chunk = atomics.add(counters.claimed, step, 1)
        if chunk < chunks:
            start_from(padded, widths, ws)
        while chunk < chunks:
            fixed = (kinds, widths, weights, flags, rates, ws, sums)
            one_chunk(chunk, chunks, batch, *fixed, losses[place])
            atomics.add(counters.finished, step, 1)
            chunk = atomics.add(counters.claimed, step, 1)
        if rank > 0:
            continue
        wait_for_all(counters, step, chunks)
        values[place] = losses[place].mean()
        collect(slope, sums[0], sums[1], widths, len(losses[place]))
        total = squared_norm(slope, adam.parts)
        if not is_usable(values[place], total, limits):
            return step - first
        adam_step(adam, slope, outer_rates[place], min(1.0, limits[1] / (np.sqrt(total) + 1e-6)))
        spread(adam.theta, padded[0], padded[1], widths)
    return last - first


@compiled
def is_released(counters, step, patience):
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
        if spins > SPINS + patience:
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
