"""The closed form in native code: `chunks.py` behind the same signature as `closed.py`.

One task at a time, everything in a core's cache, tasks spread over threads. numba compiles the kernels at
the first call (about 15 s for each precision) and keeps the result on disk for later ones. Needs
`pip install "maml_edu[fast]"`; importing this module imports numba.
"""

from __future__ import annotations

import itertools
import math
import threading
from typing import NamedTuple

import numpy as np
import torch

from . import lean, perceptron, threads
from .kernels import chunks as chunks_of_tasks
from .kernels import perceptron as kernels
from .kernels import task_gradients

CHUNKS = (
    16  # sums over tasks are made in this many parts, so that they do not depend on the threads
)


def meta_gradient(network, params, tensors, loop, rule=None):
    """(meta-loss, gradient like params[, gradient like inner_lr]), as `maml.meta_gradient`.

    network: a `perceptron.Network`, in the place of the loss. rule: of the meta-gradient, where it is not
    MAML's; see `rule_of`.
    """
    data = tuple(map(np.ascontiguousarray, perceptron.arrays_of_batch(network, tensors)))
    (tasks, shots), dtype = data[0].shape[:2], data[0].dtype
    rates = padded_rates(network, params, loop)
    slots = steps_apart(loop, params) if loop.learn_rates else 1
    room = room_for(network, tasks, dtype, slots)
    put(network, perceptron.arrays_of(network, params), *room.theta)
    flags = flags_of(network, loop, shots, rates, rule or rule_of(network, params))
    kinds, weights = (network.support_kind, network.query_kind), np.array(loop.query_weights)
    examples, chunks = max(shots, data[2].shape[1]), len(room.sums[0])

    def work(share):
        ws = workspace_for(network, loop, examples, dtype, shots, flags)
        part = (share.start, share.stop, chunks)
        fixed = (data, kinds, room.widths, weights, flags, room.theta, rates)
        chunks_of_tasks.share(*part, *fixed, ws, room.sums, room.losses)

    count = min(threads.budget(), chunks)
    edges = [chunks * part // count for part in range(count + 1)]
    threads.in_threads(work, [range(a, b) for a, b in itertools.pairwise(edges)])
    value = torch.tensor(room.losses.mean())
    grads = unpadded(network, room, room.sums[0], room.sums[1])
    grads = {name: grads[name] for name in params}
    if not loop.learn_rates:
        return value, grads
    slopes = {}
    for step in range(slots):
        all_of_step = unpadded(network, room, room.sums[2][:, step], room.sums[3][:, step])
        slopes[step] = {name: all_of_step[name] for name in loop.moving(params)}
    return value, grads, lean.fold(slopes, loop.inner_lr)


def steps_apart(loop, params):
    """For how many inner steps the rates may differ: one, where none of them has an axis of steps."""
    rates = loop.inner_lr
    each = rates.items() if isinstance(rates, dict) else [("", rates)]
    shapes = ((name, tuple(r.shape if hasattr(r, "shape") else np.shape(r))) for name, r in each)
    alike = all(shape in ((), name and tuple(params[name].shape)) for name, shape in shapes)
    return min(loop.inner_steps, 1) if alike else loop.inner_steps


def flags_of(network, loop, shots, rates, rule):
    """What the kernel is told about the meta-gradient; see `chunks.share`."""
    through = rule[0] == task_gradients.THROUGH
    products = through and perceptron.by_outer_products(network, loop, shots, rates[2].ravel())
    return loop.first_order, loop.learn_rates, products, rule


def rule_of(network, params, kind=task_gradients.THROUGH, number=0.0, cg_steps=0):
    """The rule of a meta-gradient as the kernel knows it; see `kernels/task_gradients.py`."""
    free = [float(name in params) for name in perceptron.names_of(network)]
    return kind, float(number), cg_steps, np.array(free).reshape(-1, 2)


class Room(NamedTuple):
    """What one call needs beside its threads' workspaces."""

    widths: np.ndarray
    theta: tuple[
        np.ndarray, np.ndarray
    ]  # padded weights (layers, wide, wide), biases (layers, wide)
    sums: tuple[
        np.ndarray, ...
    ]  # slopes of weights, biases and their rates, a slot per chunk of tasks
    losses: np.ndarray  # (tasks,)


def room_for(network, tasks, dtype, slots=1):
    """The Room of a call, that of this thread's last one where it fits. slots: of the rates' slopes."""
    size = (network.widths, min(CHUNKS, tasks), slots, tasks, dtype.str)
    return cached_per_thread("call", _make_room, *size)


def _make_room(widths, chunks, slots, tasks, dtype):
    layers, wide = len(widths) - 1, kernels.padded(max(widths))
    theta = np.zeros((layers, wide, wide), dtype), np.zeros((layers, wide), dtype)
    sums = [np.zeros((chunks, *array.shape), dtype) for array in theta]
    sums += [np.zeros((chunks, slots, *array.shape), dtype) for array in theta]
    return Room(np.array(widths), theta, tuple(sums), np.zeros(tasks, dtype))


def workspace_for(network, loop, examples, dtype, shots, flags):
    """What a thread needs for one task, from its last call where it fits; see `kernels.workspace`.

    examples: in a set, at most; shots: in the support set.
    """
    slots = loop.inner_steps if loop.learn_rates else 1
    vectors = task_gradients.VECTORS if flags[3][0] == task_gradients.IMPLICIT else 0
    size = (network.widths, loop.inner_steps, examples, dtype.str, slots, shots * flags[2], vectors)
    return cached_per_thread("task", kernels.workspace, *size)


_last = threading.local()


def cached_per_thread(what, make, *size):
    """make(*size), the one that this thread made for its last call where the size is the same."""
    last = getattr(_last, what, None)
    if last is None or last[0] != size:
        last = (size, make(*size))
        setattr(_last, what, last)
    return last[1]


def put(network, arrays, W, B):
    """[W₁, b₁, …] of leading axis 1 into the padded (layers, wide, wide) and (layers, wide)."""
    for layer, (weight, bias) in enumerate(zip(arrays[::2], arrays[1::2], strict=True)):
        outputs, inputs = network.widths[layer + 1], network.widths[layer]
        W[layer, :outputs, :inputs] = weight[0] if np.ndim(weight) else weight
        B[layer, :outputs] = bias[0] if np.ndim(bias) else bias


def padded_rates(network, params, loop):
    """α of every weight and bias at every step, (K, layers, wide, wide) and (K, layers, wide).

    And of whole layers at the first step: (layers, 2), weights' and biases'; NaN where the elements of one
    parameter have rates of their own.
    """
    dtype = numpy_dtype(next(iter(params.values())).dtype)
    everything = loop.adapting is None and len(params) == len(perceptron.names_of(network))
    if isinstance(loop.inner_lr, (int, float)) and everything:
        size = (network.widths, float(loop.inner_lr), loop.inner_steps, dtype)
        return cached_per_thread("rates", _one_rate, *size)
    layers, wide, steps = (
        len(network.weights),
        kernels.padded(max(network.widths)),
        loop.inner_steps,
    )
    W, B = np.zeros((steps, layers, wide, wide), dtype), np.zeros((steps, layers, wide), dtype)
    apart = steps_apart(loop, params)
    each = [perceptron.rates_of(network, params, loop, step) for step in range(apart)]
    for rates, to_W, to_B in zip(each, W, B, strict=False):
        put(network, rates, to_W, to_B)
    W[apart:], B[apart:] = W[:1], B[:1]
    first = [rate if np.ndim(rate) == 0 else math.nan for rate in each[0]] if each else []
    return W, B, np.array(first).reshape(-1, 2)


def _one_rate(widths, rate, steps, dtype):
    """`padded_rates` where one number is the rate of all."""
    layers, wide = len(widths) - 1, kernels.padded(max(widths))
    W = np.full((steps, layers, wide, wide), rate, dtype)
    return W, np.full((steps, layers, wide), rate, dtype), np.full((layers, 2), float(rate))


def numpy_dtype(dtype):
    return "f8" if dtype == torch.float64 else "f4"


def unpadded(network, room, W, B):
    """Means over tasks by name, from the padded sums of every chunk: views of one new tensor."""
    shapes = shapes_of(network)
    flat = np.empty(sum(map(math.prod, shapes)), W.dtype)
    kernels.collect(flat, W, B, room.widths, len(room.losses))
    parts = torch.from_numpy(flat).split([math.prod(shape) for shape in shapes])
    named = zip(perceptron.names_of(network), parts, shapes, strict=True)
    return {name: part.view(shape) for name, part, shape in named if name is not None}


def shapes_of(network):
    """The shapes of [W₁, b₁, W₂, …]."""
    pairs = itertools.pairwise(network.widths)
    return [shape for inputs, outputs in pairs for shape in ((outputs, inputs), (outputs,))]


def places(network):
    """(name or None, slice) of [W₁, b₁, W₂, …] in one vector."""
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes_of(network)))
    slices = [slice(a, b) for a, b in itertools.pairwise([0, *ends])]
    return zip(perceptron.names_of(network), slices, strict=True)
