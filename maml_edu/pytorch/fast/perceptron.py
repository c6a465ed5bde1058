"""The multilayer perceptrons whose derivatives are taken by hand: which they are, and their numbers as arrays.

`network_of` recognises one; `closed` and `native` compute on the arrays, and `results` names them again.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import lean
from .structure import flattened, is_untouched

MSE, CROSS_ENTROPY = 0, 1
_LINEAR, _RELU = nn.Linear.forward, nn.ReLU.forward  # as torch has them


class Network(NamedTuple):
    """A multilayer perceptron as the closed form knows it: what its layers' parameters are called."""

    weights: tuple[str, ...]
    biases: tuple[str | None, ...]
    widths: tuple[int, ...]
    support_kind: int  # MSE or CROSS_ENTROPY, of the support set
    query_kind: int
    frozen: dict  # parameters that are no part of θ, by name
    flattens: bool  # whether the examples may have several axes


def network_of(learner, inner_loss=None):
    """The Network in a learner, or None where its model or loss is another.

    inner_loss: what is to be known of its loss of the support set, where that is more.
    """
    kinds = kinds_of_losses(learner, inner_loss)
    layers = _linear_layers(learner.model)
    if None in kinds or layers is None:
        return None
    names = {p: name for name, p in learner.model.named_parameters()}
    frozen = {n: p for n, p in learner.model.named_parameters() if not p.requires_grad}
    return Network(
        tuple(names[layer.weight] for layer in layers),
        tuple(None if layer.bias is None else names[layer.bias] for layer in layers),
        (layers[0].in_features, *(layer.out_features for layer in layers)),
        kinds[0],
        kinds[1],
        frozen,
        is_flatten(next(flattened(learner.model), None)),
    )


def _linear_layers(model):
    """The layers of Linear → ReLU → … → Linear, perhaps behind a Flatten; None for anything else."""
    flat = list(flattened(model))
    if flat and is_flatten(flat[0]):
        flat = flat[1:]
    linear, between = flat[::2], flat[1::2]
    plain = (
        len(flat) % 2
        and all(type(m) is nn.Linear and type(m).forward is _LINEAR for m in linear)
        and all(type(m) is nn.ReLU and type(m).forward is _RELU for m in between)
        and all(map(is_untouched, model.modules()))
        and len(list(model.parameters()))
        == sum(len(m._parameters) - (m.bias is None) for m in linear)
        and all(p.dtype in (torch.float32, torch.float64) for p in model.parameters())
        and all(m.weight.shape == (m.out_features, m.in_features) for m in linear)
        and all(b.in_features == a.out_features for a, b in itertools.pairwise(linear))
    )
    return linear if plain else None


def is_flatten(module):
    plain = type(module) is nn.Flatten and is_untouched(module)
    return plain and (module.start_dim, module.end_dim) == (1, -1)


def kinds_of_losses(learner, inner_loss=None):
    """MSE, CROSS_ENTROPY or None of the losses of support and query set: only plain forms are known."""
    query = learner.loss_function
    support = query if learner.inner_loss_function is None else learner.inner_loss_function
    plain = [
        type(loss).__name__ == "TaskLoss"
        for loss in (learner.task_loss, inner_loss or learner.inner_loss)
        if loss
    ]
    return (_kind_of(support), _kind_of(query)) if all(plain) else (None, None)


def _kind_of(function):
    if function is F.mse_loss:
        return MSE
    if function is F.cross_entropy:
        return CROSS_ENTROPY
    if type(function) not in (nn.MSELoss, nn.CrossEntropyLoss) or not is_untouched(function):
        return None
    if function.reduction != "mean":
        return None
    if type(function) is nn.MSELoss:
        return MSE
    plain = function.weight is None and function.label_smoothing == 0 and function.ignore_index < 0
    return CROSS_ENTROPY if plain else None


def fits(network, tensors):
    """Whether the batch's shapes are what the closed form expects (it never broadcasts)."""
    support_x, support_y, query_x, query_y = tensors
    for kind, x, y in (
        (network.support_kind, support_x, support_y),
        (network.query_kind, query_x, query_y),
    ):
        if not x.is_floating_point() or (x.ndim != 3 and not network.flattens):
            return False
        if x[0, 0].numel() != network.widths[0]:
            return False
        if kind == MSE and tuple(y.shape) != (*x.shape[:2], network.widths[-1]):
            return False
        if kind == CROSS_ENTROPY and (y.is_floating_point() or y.shape != x.shape[:2]):
            return False
    return True


def by_outer_products(network, loop, shots, rates):
    """Whether one inner step need not form its weights: see `kernels/one_step.py`.

    rates: of the first step, for [W₁, b₁, …]; one that is an array, or NaN, stands for one for each element.
    """
    one_step = loop.inner_steps == 1 and loop.query_weights[0] == 0 and not loop.learn_rates
    if not one_step or 2 * shots > max(network.widths):
        return False
    return all(np.ndim(rate) == 0 and rate == rate for rate in rates)


# ------------------------------------------------------------------ tensors in, tensors out


def arrays_of(network, params):
    """[W₁, b₁, W₂, …] with a leading axis of 1, sharing memory with the parameters."""
    tensors = network.frozen | params
    dtype = next(iter(params.values())).detach().numpy().dtype
    values = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        values.append(tensors[weight].detach().numpy()[None])
        nothing = np.zeros((1, values[-1].shape[1]), dtype)
        values.append(nothing if bias is None else tensors[bias].detach().numpy()[None])
    return values


def arrays_of_batch(network, tensors):
    """Support x and y, query x and y as arrays (tasks, examples, width); labels become one-hot."""
    arrays = [np.asarray(tensor) for tensor in tensors]
    for role, kind in ((0, network.support_kind), (2, network.query_kind)):
        arrays[role] = arrays[role].reshape(*arrays[role].shape[:2], -1)
        y, dtype = arrays[role + 1], arrays[role].dtype
        one_hot = kind == CROSS_ENTROPY
        classes = np.eye(network.widths[-1], dtype=dtype)
        arrays[role + 1] = classes[y] if one_hot else y.astype(dtype)
    return arrays


def rates_of(network, params, loop, step):
    """αₖ of [W₁, b₁, …]: numbers, or arrays with a leading axis of 1; 0 for what does not adapt."""
    moving = set(loop.moving(params))

    def rate(name):
        if name not in moving:
            return 0.0
        alpha = loop.rate(name, params[name], step)
        if isinstance(alpha, torch.Tensor):
            alpha = alpha.detach().numpy()
        return alpha[None] if np.ndim(alpha) else float(alpha)

    return [rate(name) for name in names_of(network)]


def names_of(network):
    """The parameters' names in the order [W₁, b₁, …]; None for a bias that is not there."""
    return [n for pair in zip(network.weights, network.biases, strict=True) for n in pair]


def results(network, params, loop, value, v, slopes):
    """Means over tasks, as tensors named like θ; where rates are learned also theirs, folded like inner_lr."""

    def named(arrays, wanted):
        pairs = zip(names_of(network), arrays, strict=True)
        tensors = {
            n: torch.from_numpy(np.ascontiguousarray(a[0] if len(a) == 1 else a.mean(0)))
            for n, a in pairs
            if n in wanted
        }
        return {name: tensors[name] for name in wanted}

    value = torch.tensor(value.mean(), dtype=next(iter(params.values())).dtype)
    grads = named(v, list(params))
    if not loop.learn_rates:
        return value, grads
    moving = loop.moving(params)
    slopes = {step: named(arrays, moving) for step, arrays in slopes.items()}
    return value, grads, lean.fold(slopes, loop.inner_lr)
