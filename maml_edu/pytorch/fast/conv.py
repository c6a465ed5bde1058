"""Convolutional networks on the CPU: `conv_kernels.py` behind the same signature as `closed.py`.

`network_of` recognises [convolution → (batch norm) → ReLU → (max-pooling)] one or several times, then the
mean over places or Flatten, then a linear layer: Conv4, or an nn.Sequential of the same. Then one task at
a time, tasks spread over threads. numba compiles the kernels at the first call and keeps the result on
disk for later ones. Needs `pip install "maml_edu[fast]"`; importing this module imports numba.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ..loop import Loop
from ..networks import BatchNorm, Conv4, SpatialMean
from . import lean, native, perceptron, threads
from .kernels.conv_kernels import Net, backward, backward_along, forward, forward_along, unfold
from .kernels.conv_layout import (
    Block,
    Network,
    Workspace,
    layouts,
    parts_of,
    sizes_of,
    views,
    workspace,
)
from .kernels.perceptron import loss_curvature, loss_slope
from .structure import flattened, is_untouched

KEEP = 5  # inner steps, the last ones, whose passes are kept for the way back
_NORMS = (
    BatchNorm,
    nn.BatchNorm2d,
)  # the latter in training mode, when it uses the batch's statistics
_KINDS = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Linear, *_NORMS, SpatialMean, Conv4)
_FORWARD = {kind: kind.forward for kind in _KINDS}  # as torch, and this library, have them


# ------------------------------------------------------------------ which networks


def network_of(learner, tensors):
    """(Network, None), or (None, the reason why the kernels cannot be used)."""
    kinds = perceptron.kinds_of_losses(learner)
    if None in kinds:
        return None, "it needs mse_loss or cross_entropy in its plain form"
    if not all(p.requires_grad for p in learner.model.parameters()):
        return None, "some parameters are frozen"
    norms = [m for m in learner.model.modules() if type(m) is BatchNorm]
    if any(p.ndim == 2 for norm in norms for p in norm.parameters()):
        return None, "its batch norms have weights for each inner step"
    network = recognised(learner.model, kinds)
    if network is None:
        return None, "it needs convolution, BatchNorm, ReLU and pooling layers as Conv4 has them"
    if not fits(network, tensors):
        return None, "images or targets have a shape that it does not know"
    return network, None


def recognised(model, kinds):
    """The Network that a model is, with the kinds of its two losses; None for any other."""
    names = {p: name for name, p in model.named_parameters()}
    layers = list(layers_of(model))
    *_, last = layers
    blocks = blocks_of(layers[:-2], names) if len(layers) > 2 and is_end(*layers[-2:]) else None
    used = sum(p is not None for layer in layers for p in layer._parameters.values())
    known = (
        len(names) == used  # none is shared, or belongs to no layer
        and {p.dtype for p in names} in ({torch.float32}, {torch.float64})
        and all(map(is_untouched, model.modules()))
        and all(
            type(m).forward is _FORWARD[type(m)] for m in (model, *layers) if type(m) in _FORWARD
        )
    )
    if not blocks or not known:
        return None
    return Network(
        tuple(blocks),
        type(layers[-2]) is SpatialMean,
        names[last.weight],
        None if last.bias is None else names[last.bias],
        (last.in_features, last.out_features),
        model.image if type(model) is Conv4 else None,
        *kinds,
    )


def layers_of(model):
    """The layers of a Conv4 or of nested nn.Sequentials, in order."""
    if type(model) is Conv4:
        yield from flattened(model.features)
        yield model.head
    else:
        yield from flattened(model)


def is_end(vector, linear):
    return type(linear) is nn.Linear and (
        type(vector) is SpatialMean or perceptron.is_flatten(vector)
    )


def blocks_of(layers, names):
    """The blocks that a list of layers consists of; None where it is something else."""
    blocks: list[Block] = []
    while layers:
        conv, *layers = layers
        norm = layers.pop(0) if layers and type(layers[0]) in _NORMS else None
        if not layers or type(layers.pop(0)) is not nn.ReLU:
            return None
        pool = layers.pop(0) if layers and type(layers[0]) is nn.MaxPool2d else None
        if not (is_plain_convolution(conv) and is_plain_norm(norm, conv) and is_plain_pool(pool)):
            return None
        if blocks and blocks[-1].filters != conv.in_channels:
            return None
        blocks.append(block_of(conv, norm, pool, names))
    return blocks


def block_of(conv, norm, pool, names):
    name = lambda layer, kind: names.get(getattr(layer, kind, None))
    return Block(
        names[conv.weight],
        name(conv, "bias"),
        name(norm, "weight"),
        name(norm, "bias"),
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        None if norm is None else norm.eps,
        1 if pool is None else side(pool.kernel_size),
    )


def is_plain_convolution(layer):
    return (
        type(layer) is nn.Conv2d
        and (layer.groups, layer.dilation, layer.padding_mode) == (1, (1, 1), "zeros")
        and not isinstance(layer.padding, str)
    )


def is_plain_norm(layer, conv):
    """Whether a batch norm has a weight and a bias, or neither: no axis of steps as in MAML++."""
    if layer is None:
        return True
    if type(layer) is nn.BatchNorm2d and not (layer.training or layer.running_mean is None):
        return False
    shapes = [
        None if values is None else tuple(values.shape) for values in (layer.weight, layer.bias)
    ]
    filters = (conv.out_channels,)
    return layer.num_features == filters[0] and shapes in ([None, None], [filters, filters])


def is_plain_pool(layer):
    if layer is None:
        return True
    size = side(layer.kernel_size)
    plain = (layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices)
    return size and side(layer.stride) == size and plain == (0, 1, False, False)


def side(size):
    """The side of a square that is given as a number or a pair; None if it is none."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    return pair[0] if pair[0] == pair[1] else None


def fits(network, tensors):
    """Whether the batch's shapes are what the network expects (the kernels never broadcast)."""
    support_x, support_y, query_x, query_y = tensors
    for kind, x, y in (
        (network.support_kind, support_x, support_y),
        (network.query_kind, query_x, query_y),
    ):
        if not x.is_floating_point() or x.ndim != 5 or x.shape[2] != network.blocks[0].channels:
            return False
        if network.image is not None and tuple(x.shape[2:]) != network.image:
            return False
        last = sizes_of(network, tuple(x.shape[3:]))[-1]
        features = network.blocks[-1].filters * (1 if network.mean else math.prod(last.after))
        if min(last.after) < 1 or features != network.widths[0]:
            return False
        if kind == perceptron.MSE and tuple(y.shape) != (*x.shape[:2], network.widths[-1]):
            return False
        if kind == perceptron.CROSS_ENTROPY and (y.is_floating_point() or y.shape != x.shape[:2]):
            return False
    return True


# ------------------------------------------------------------------ the meta-gradient


def meta_gradient(network, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]), as `maml.meta_gradient`.

    network: a `Network`, in the place of the loss.
    """
    job, room = _job(network, params, tensors, loop, tensors[2].shape[1])
    tasks, dtype, steps = len(tensors[0]), job.data[0].dtype, loop.inner_steps
    chunks = min(native.CHUNKS, tasks)
    sums = np.zeros((chunks, room.parameters), dtype)
    rate_sums = np.zeros((chunks, steps * loop.learn_rates, room.parameters), dtype)
    losses = np.zeros(tasks, dtype)
    theta = _packed(network, params, room.parameters, dtype)
    passes = min(KEEP, steps) if loop.learn_rates or not loop.first_order else 1

    def work(share):
        size = (room, steps, max(1, passes), dtype.str)
        walk = Walk(job, native.cached_per_thread("convolutions", workspace, *size), theta)
        for chunk in share:
            for task in range(chunk * tasks // chunks, (chunk + 1) * tasks // chunks):
                losses[task] = walk.task(task, sums[chunk], rate_sums[chunk])

    count = min(threads.budget(), chunks)
    edges = [chunks * part // count for part in range(count + 1)]
    threads.in_threads(work, [range(a, b) for a, b in itertools.pairwise(edges)])
    value = torch.tensor(losses.mean())
    grads = _unpacked(network, sums.sum(0) / dtype.type(tasks), params, params)
    if not loop.learn_rates:
        return value, grads
    each, moving = enumerate(rate_sums.sum(0) / dtype.type(tasks)), loop.moving(params)
    slopes = {step: _unpacked(network, vector, params, moving) for step, vector in each}
    return value, grads, lean.fold(slopes, loop.inner_lr)


def outputs(network, params, tensors, loop, alone=False):
    """[the output for the query set after 0, 1, …, K inner steps, (queries, outputs)] of each task.

    alone: each query goes through the network in a batch with the support set, without the other queries.
    """
    *rest, query_y = tensors
    tensors = (*rest, torch.zeros_like(query_y))  # what is right plays no part
    shots, queries = (x.shape[1] for x in tensors[::2])
    job, room = _job(network, params, tensors, loop, shots + 1 if alone else queries)
    tasks, dtype, steps = len(tensors[0]), job.data[0].dtype, loop.inner_steps
    theta = _packed(network, params, room.parameters, dtype)
    found = np.empty((tasks, steps + 1, queries, network.widths[-1]), dtype)

    def work(share):
        size = (room, steps, 1, dtype.str)
        walk = Walk(job, native.cached_per_thread("convolutions", workspace, *size), theta)
        for task in share:
            walk.outputs(task, alone, found[task])

    count = min(threads.budget(), tasks)
    threads.in_threads(work, [range(first, tasks, count) for first in range(count)])
    return [list(torch.from_numpy(of_task)) for of_task in found]


def _job(network, params, tensors, loop, queries):
    """(Job, Room) for a batch whose query passes take so many images at a time."""
    data = [np.ascontiguousarray(a) for a in perceptron.arrays_of_batch(network, tensors)]
    image, shots = tuple(tensors[0].shape[3:]), tensors[0].shape[1]
    nets, room = layouts(network, image, shots, queries)
    rates = _packed_rates(network, params, loop, room.parameters)
    return Job(network, nets, data, loop, rates), room


class Job(NamedTuple):
    """What all tasks of a call have in common."""

    network: Network
    nets: tuple[Net, Net, Net]  # of a pass on the support set, of one differentiated, of a query
    data: list[np.ndarray]  # support x and y, query x and y, (tasks, examples, …)
    loop: Loop
    rates: list[np.ndarray]  # α of each step, one number for each of the parameters


class Walk:
    """One thread's way through its tasks: forward over the inner steps, then back, as in `lean`."""

    def __init__(self, job: Job, ws: Workspace, theta):
        self.job, self.ws, self.steps = job, ws, job.loop.inner_steps
        ws.phi[0] = theta

    def task(self, number, total, rate_total):
        """One task's query loss; adds its gradient to `total`, those of each step's rates to rate_total."""
        job, ws, value = self.job, self.ws, 0.0
        support_x, self.support_y, query_x, self.query_y = (array[number] for array in job.data)
        unfold(ws.Q, query_x, job.nets[2].unfold)
        self.adapt(support_x)
        ws.v[:] = 0
        for step in range(self.steps, -1, -1):
            if step < self.steps and (job.loop.learn_rates or not job.loop.first_order):
                self.back(step, rate_total)
            if job.loop.query_weights[step]:
                value += self.query(step)
        total += ws.v
        return value

    def outputs(self, number, alone, found):
        """Puts one task's outputs for its queries after each step into `found` (steps + 1, queries, outputs)."""
        net = self.job.nets[2]
        support_x, self.support_y, query_x, _ = (array[number] for array in self.job.data)
        self.adapt(support_x)
        if not alone:
            self.ask(net, query_x, found)
            return
        for row, x in enumerate(query_x):
            batch = np.concatenate([support_x, x[None]])
            self.ask(net, batch, found[:, row : row + 1])

    def ask(self, net, images, found):
        """Puts the outputs for the last of these images after each step into `found`."""
        ws, (steps, count, width) = self.ws, found.shape
        unfold(ws.Q, images, net.unfold)
        for step in range(steps):
            out, _ = forward(net, ws.phi[step], ws.Q, ws.query, ws.query_passed)
            found[step] = out[len(images) - count : len(images), :width]

    def adapt(self, support_x):
        """φ after each step: φₖ₊₁ = φₖ − αₖ g."""
        job, ws = self.job, self.ws
        unfold(ws.X, support_x, job.nets[0].unfold)
        for step in range(self.steps):
            slope = self.support(step)
            np.multiply(job.rates[step], slope, out=ws.u)
            np.subtract(ws.phi[step], ws.u, out=ws.phi[step + 1])

    def support(self, step):
        """The slope g of the support loss at φₖ; the pass is kept until a later step needs its place."""
        job, ws, slot = self.job, self.ws, step % len(self.ws.slope)
        place = (job.nets[0], ws.phi[step], ws.X, ws.support[slot], ws.passed[slot])
        ws.slope[slot] = 0
        out, d = forward(*place)
        kind, width = job.network.support_kind, job.network.widths[-1]
        loss_slope(out, self.support_y, d, kind, 1.0, len(self.support_y), width)
        backward(*place, ws.slope[slot], ws.turned)
        return ws.slope[slot]

    def query(self, step):
        """The weighted query loss at φₖ; its slope is added to v."""
        job, ws, y = self.job, self.ws, self.query_y
        place = (job.nets[2], ws.phi[step], ws.Q, ws.query, ws.query_passed)
        out, d = forward(*place)
        kind, width = job.network.query_kind, job.network.widths[-1]
        loss = loss_slope(out, y, d, kind, job.loop.query_weights[step], len(y), width)
        backward(*place, ws.v, ws.turned)
        return loss

    def back(self, step, rate_total):
        """v ← v − H (α v), as H u = R{g} with u = −α v; and dL/dα = −v g."""
        job, ws, slot = self.job, self.ws, step % len(self.ws.slope)
        if step < self.steps - len(ws.slope):
            self.support(step)
        if job.loop.learn_rates:
            rate_total[step] -= ws.v * ws.slope[slot]
        if job.loop.first_order:
            return
        np.multiply(job.rates[step], ws.v, out=ws.u)
        np.negative(ws.u, out=ws.u)
        kept = (ws.support[slot], ws.passed[slot])
        place = (*job.nets[:2], ws.phi[step], ws.u, ws.X, *kept, ws.away)
        d, Rout, Rd = forward_along(*place)
        y, kind, width = self.support_y, job.network.support_kind, job.network.widths[-1]
        loss_curvature(Rout, d, y, Rd, kind, len(y), width)
        backward_along(*place, ws.v, ws.turned)


# ------------------------------------------------------------------ tensors in, tensors out


def _packed(network, params, count, dtype):
    """θ in one vector; a batch norm without weights has the scale 1."""
    vector = np.zeros(count, dtype)
    for block, at in zip(network.blocks, parts_of(network), strict=False):
        vector[at.scale : at.scale + block.filters] = 1
    for name, view in views(network, vector).items():
        view[...] = params[name].detach().numpy().reshape(view.shape)
    return vector


def _packed_rates(network, params, loop, count):
    """α of each step as a vector like θ's, with 0 for what does not adapt."""
    dtype, steps = next(iter(params.values())).detach().numpy().dtype, loop.inner_steps
    alike = isinstance(loop.inner_lr, (int, float))  # then one vector serves all steps
    vectors = np.zeros((min(1, steps) if alike else steps, count), dtype)
    for step, vector in enumerate(vectors):
        places = views(network, vector)
        for name in loop.moving(params):
            rate = loop.rate(name, params[name], step)
            rate = rate.detach().numpy() if isinstance(rate, torch.Tensor) else np.asarray(rate)
            places[name][...] = rate.reshape(places[name].shape) if rate.ndim else rate
    return list(vectors) * (steps if alike else 1)


def _unpacked(network, vector, params, wanted):
    """The tensors, like the parameters, that a vector holds."""
    found = views(network, vector)
    return {n: torch.from_numpy(found[n].reshape(params[n].shape).copy()) for n in wanted}
