"""The closed form in native code: `kernels.py` behind the signature of `closed.meta_gradient`.

One task at a time, everything in a core's cache, tasks spread over threads. numba compiles the kernels at
the first call (about 15 s for each precision) and keeps the result on disk for later ones. Needs
`pip install "maml_edu[fast]"`; importing this module imports numba.
"""

from __future__ import annotations

import threading

import numpy as np
import torch

from .. import maml
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
    theta = closed.arrays_of(network, params)
    data = tuple(np.ascontiguousarray(a) for a in closed.arrays_of_batch(network, batch, params))
    rates = padded_rates(network, params, inner_lr, inner_steps, adapting)
    chunks = min(CHUNKS, len(data[0]))
    sums = room_for_sums(network, chunks, inner_steps if learn_rates else 0, data[0].dtype)
    losses = np.zeros(len(data[0]), data[0].dtype)
    kinds, widths = (network.support_kind, network.query_kind), np.array(network.widths)
    size = (max(data[0].shape[1], data[2].shape[1]), data[0].dtype.str)

    def work(share):
        room = workspace(network.widths, inner_steps, *size, inner_steps if learn_rates else 1)
        put(network, theta, room.W[0], room.B[0])
        part, flags = (share.start, share.stop, chunks), (bool(first_order), learn_rates)
        kernels.share(*part, data, kinds, widths, weights, flags, rates, room, sums, losses)

    count = min(threads.budget(), chunks)
    edges = [chunks * part // count for part in range(count + 1)]
    threads.in_threads(work, [range(a, b) for a, b in zip(edges, edges[1:], strict=False)])
    grads = unpadded(network, sums[0].sum(0), sums[1].sum(0), len(data[0]))
    slopes = {
        step: unpadded(network, *(own[:, step].sum(0) for own in sums[2:]), len(data[0]))
        for step in range(inner_steps if learn_rates else 0)
    }
    value = torch.from_numpy(losses).mean()
    grads = {name: grads[name] for name in params}
    if not learn_rates:
        return value, grads
    moving = list(adapting or params)
    slopes = {step: {name: own[name] for name in moving} for step, own in slopes.items()}
    return value, grads, lean.fold(slopes, inner_lr)


_rooms = threading.local()


def workspace(*size):
    """This thread's room for one task, kept for the next call of the same size."""
    if getattr(_rooms, "size", None) != size:
        _rooms.room, _rooms.size = kernels.workspace(*size), size
    return _rooms.room


def put(network, arrays, W, B):
    """[W₁, b₁, …] of leading axis 1 into the padded (layers, wide, wide) and (layers, wide)."""
    for layer, (weight, bias) in enumerate(zip(arrays[::2], arrays[1::2], strict=True)):
        outputs, inputs = network.widths[layer + 1], network.widths[layer]
        W[layer, :outputs, :inputs] = weight[0] if np.ndim(weight) else weight
        B[layer, :outputs] = bias[0] if np.ndim(bias) else bias


def padded_rates(network, params, inner_lr, steps, adapting):
    """α of every weight and bias at every step: (K, layers, wide, wide) and (K, layers, wide)."""
    layers, wide = len(network.weights), kernels.padded(max(network.widths))
    dtype = next(iter(params.values())).detach().numpy().dtype
    W, B = np.zeros((steps, layers, wide, wide), dtype), np.zeros((steps, layers, wide), dtype)
    for step in range(steps):
        rates = closed.rates_of(network, params, inner_lr, step, steps, adapting)
        put(network, rates, W[step], B[step])
    return W, B


def room_for_sums(network, chunks, steps, dtype):
    """Zeros for the slopes of weights and biases, and for those of their rates, a slot per chunk."""
    layers, wide = len(network.weights), kernels.padded(max(network.widths))
    shapes = [(layers, wide, wide), (layers, wide)]
    shapes += [(steps, *shape) for shape in shapes]
    return tuple(np.zeros((chunks, *shape), dtype) for shape in shapes)


def unpadded(network, W, B, tasks):
    """Means over tasks as tensors by name, from padded sums."""
    found = {}
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        outputs, inputs = network.widths[layer + 1], network.widths[layer]
        found[weight] = torch.from_numpy(W[layer, :outputs, :inputs] / tasks)
        if bias is not None:
            found[bias] = torch.from_numpy(B[layer, :outputs] / tasks)
    return found
