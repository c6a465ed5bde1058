"""The closed form in native code: `chunks.py` behind the signature of `closed.meta_gradient`.

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

from .. import maml
from . import chunks as chunks_of_tasks
from . import closed, kernels, lean, threads

CHUNKS = (
    16  # sums over tasks are made in this many parts, so that they do not depend on the threads
)


def meta_gradient(
    network,
    params,
    batch,
    inner_lr,
    inner_steps,
    first_order=False,
    *,
    adapting=None,
    query_weights=None,
    learn_rates=False,
    **_,
):
    """As `maml_edu.pytorch.meta_gradient`, to rounding, with a Network in the place of the loss."""
    weights = np.array(maml.check_query_weights(query_weights, inner_steps))
    data = tuple(np.ascontiguousarray(a) for a in closed.arrays_of_batch(network, batch, params))
    tasks, dtype = len(data[0]), data[0].dtype
    rates = padded_rates(network, params, inner_lr, inner_steps, adapting)
    chunks, slots = min(CHUNKS, tasks), inner_steps if learn_rates else 1
    room = kept("call", room_for_call, network.widths, chunks, slots, tasks, dtype.str)
    put(network, closed.arrays_of(network, params), *room.theta)
    shots = data[0].shape[1]
    products = closed.by_outer_products(network, weights, learn_rates, shots, rates[2].ravel())
    kinds = (network.support_kind, network.query_kind)
    flags = (bool(first_order), bool(learn_rates), products)
    examples = max(data[0].shape[1], data[2].shape[1])

    def work(share):
        size = (network.widths, inner_steps, examples, dtype.str, slots, shots * products)
        ws = kept("task", kernels.workspace, *size)
        part = (share.start, share.stop, chunks)
        fixed = (data, kinds, room.widths, weights, flags, room.theta, rates)
        chunks_of_tasks.share(*part, *fixed, ws, room.sums, room.losses)

    count = min(threads.budget(), chunks)
    edges = [chunks * part // count for part in range(count + 1)]
    threads.in_threads(work, [range(a, b) for a, b in zip(edges, edges[1:], strict=False)])
    value = torch.tensor(room.losses.mean())
    grads = unpadded(network, room, room.sums[0], room.sums[1])
    grads = {name: grads[name] for name in params}
    if not learn_rates:
        return value, grads
    slopes = {}
    for step in range(inner_steps):
        own = unpadded(network, room, room.sums[2][:, step], room.sums[3][:, step])
        slopes[step] = {name: own[name] for name in adapting or params}
    return value, grads, lean.fold(slopes, inner_lr)


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


def room_for_call(widths, chunks, slots, tasks, dtype):
    layers, wide = len(widths) - 1, kernels.padded(max(widths))
    theta = np.zeros((layers, wide, wide), dtype), np.zeros((layers, wide), dtype)
    sums = [np.zeros((chunks, *own.shape), dtype) for own in theta]
    sums += [np.zeros((chunks, slots, *own.shape), dtype) for own in theta]
    return Room(np.array(widths), theta, tuple(sums), np.zeros(tasks, dtype))


_kept = threading.local()


def kept(what, make, *size):
    """make(*size), the one that this thread made for its last call where the size is the same."""
    found = getattr(_kept, what, None)
    if found is None or found[0] != size:
        found = (size, make(*size))
        setattr(_kept, what, found)
    return found[1]


def put(network, arrays, W, B):
    """[W₁, b₁, …] of leading axis 1 into the padded (layers, wide, wide) and (layers, wide)."""
    for layer, (weight, bias) in enumerate(zip(arrays[::2], arrays[1::2], strict=True)):
        outputs, inputs = network.widths[layer + 1], network.widths[layer]
        W[layer, :outputs, :inputs] = weight[0] if np.ndim(weight) else weight
        B[layer, :outputs] = bias[0] if np.ndim(bias) else bias


def padded_rates(network, params, inner_lr, steps, adapting):
    """α of every weight and bias at every step, (K, layers, wide, wide) and (K, layers, wide).

    And of whole layers at the first step: (layers, 2), weights' and biases'; NaN where the elements of one
    parameter have rates of their own.
    """
    dtype = next(iter(params.values())).dtype
    everything = adapting is None and len(params) == len(closed.names_of(network))
    if isinstance(inner_lr, (int, float)) and everything:
        return kept("rates", one_rate, network.widths, float(inner_lr), steps, numpy_dtype(dtype))
    layers, wide = len(network.weights), kernels.padded(max(network.widths))
    W = np.zeros((steps, layers, wide, wide), numpy_dtype(dtype))
    B = np.zeros((steps, layers, wide), W.dtype)
    each = [closed.rates_of(network, params, inner_lr, k, steps, adapting) for k in range(steps)]
    for own, to_W, to_B in zip(each, W, B, strict=True):
        put(network, own, to_W, to_B)
    first = [own if np.ndim(own) == 0 else math.nan for own in each[0]] if each else []
    return W, B, np.array(first).reshape(-1, 2)


def one_rate(widths, rate, steps, dtype):
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
    named = zip(closed.names_of(network), parts, shapes, strict=True)
    return {name: part.view(shape) for name, part, shape in named if name is not None}


def shapes_of(network):
    """The shapes of [W₁, b₁, W₂, …]."""
    pairs = itertools.pairwise(network.widths)
    return [shape for inputs, outputs in pairs for shape in ((outputs, inputs), (outputs,))]


def places(network):
    """(name or None, slice) of [W₁, b₁, W₂, …] in one vector."""
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes_of(network)))
    slices = [slice(a, b) for a, b in itertools.pairwise([0, *ends])]
    return zip(closed.names_of(network), slices, strict=True)
