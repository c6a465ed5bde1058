"""Chunks of tasks in native code: start with `share`. A chunk's sums are the same whoever works at it."""

from __future__ import annotations

from .one_step import one_step
from .perceptron import (
    add_slopes,
    add_slopes_of_rates,
    clear,
    compiled,
    fill,
    inner_step,
    query,
    transpose,
    walk_back,
)
from .task_gradients import THROUGH, task_gradient


@compiled
def share(first, last, chunks, data, kinds, widths, weights, flags, theta, rates, ws, sums, losses):
    """The chunks first … last of the tasks: query losses, and per chunk the sums of meta-gradients.

    data: support x and y, query x and y, (tasks, examples, …); kinds: the loss of support and of query;
    weights (K + 1,): of the query losses; flags: first order?, slopes of the rates wanted?, by outer
    products (`one_step`)?, and the rule of the meta-gradient (see `task_gradient`); rates: α of weights and biases,
    (K, layers, …), and of whole layers (layers, 2), for `one_step`; sums: of the slopes of weights, biases
    and of their rates, a slot per chunk.
    """
    start_from(theta, widths, ws)
    for chunk in range(first, last):
        one_chunk(chunk, chunks, data, kinds, widths, weights, flags, rates, ws, sums, losses)


@compiled
def start_from(theta, widths, ws):
    """φ₀ = θ, padded."""
    clear(ws.W[0], ws.B[0], widths)
    add_slopes(ws.W[0], ws.B[0], theta[0], theta[1], widths)
    for layer in range(len(widths) - 1):
        transpose(ws.WT[0, layer], ws.W[0, layer], widths[layer + 1], widths[layer])


@compiled
def one_chunk(chunk, chunks, data, kinds, widths, weights, flags, rates, ws, sums, losses):
    """The tasks of one chunk, from φ₀ on; see `share`."""
    support_x, support_y, query_x, query_y = data
    tasks = len(support_x)
    clear(sums[0][chunk], sums[1][chunk], widths)
    for slot in range(sums[2].shape[1] if flags[1] else 0):
        clear(sums[2][chunk, slot], sums[3][chunk, slot], widths)
    for task in range(chunk * tasks // chunks, (chunk + 1) * tasks // chunks):
        x, y = (support_x[task], query_x[task]), (support_y[task], query_y[task])
        fill(ws.X, x[0], widths[0])
        if flags[2]:
            fill(ws.QX, x[1], widths[0])
            slopes = (sums[0][chunk], sums[1][chunk])
            losses[task] = one_step(y, kinds, weights[1], flags[0], widths, rates[2], ws, slopes)
            continue
        if flags[3][0] == THROUGH:
            of_rates = (sums[2][chunk], sums[3][chunk])
            losses[task] = through(x, y, kinds, weights, flags, widths, rates, ws, of_rates)
        else:
            losses[task] = task_gradient(x, y, kinds, len(weights) - 1, flags[3], widths, rates, ws)
        add_slopes(sums[0][chunk], sums[1][chunk], ws.VW, ws.VB, widths)


@compiled
def through(x, y, kinds, weights, flags, widths, rates, ws, sums):
    """The weighted query losses of one task; v (VW, VB): their gradient through all inner steps.

    x, y: support's and query's; sums: of the slopes of the rates, a slot for each step or one for all.
    """
    steps = len(weights) - 1
    for step in range(steps):
        inner_step(step, step if flags[1] else 0, y[0], kinds[0], 0.0, widths, rates, ws)
    clear(ws.VW, ws.VB, widths)
    value = ws.VB[0, 0]  # 0 in their precision
    for step in range(steps, -1, -1):
        if step < steps:
            if flags[1]:
                slot = min(step, len(sums[0]) - 1)
                add_slopes_of_rates(step, slot, widths, ws, sums[0], sums[1])
            if not flags[0]:
                fill(ws.X, x[0], widths[0])
                walk_back(step, y[0], kinds[0], widths, rates, ws)
        if weights[step] != 0:
            fill(ws.X, x[1], widths[0])
            value += query(step, y[1], kinds[1], weights[step], widths, ws)
    return value
