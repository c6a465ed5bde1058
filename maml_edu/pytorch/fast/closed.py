"""MAML's gradient for a ReLU network with every derivative by hand: NumPy, all tasks at once.

For a = relu(W a₋ + b) layer by layer, a loss with slope δ at the output, and R{·} the derivative along a
direction u of the parameters (Pearlmutter 1994):

    forward     z = W a₋ + b                 R{z} = W R{a₋} + U a₋ + u_b         R{a} = R{z} where z > 0
    backward    δ₋ = Wᵀ δ where a₋ > 0       R{δ₋} = Wᵀ R{δ} + Uᵀ δ where a₋ > 0
    slopes      g = δ a₋ᵀ                     H u = R{g} = R{δ} a₋ᵀ + δ R{a₋}ᵀ

`native` runs the same formulas compiled, one task at a time. Start with `meta_gradient`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .. import maml
from . import lean

MSE, CROSS_ENTROPY = 0, 1


class Network(NamedTuple):
    """A multilayer perceptron as the closed form knows it: what its layers' parameters are called."""

    weights: tuple[str, ...]
    biases: tuple[str | None, ...]
    widths: tuple[int, ...]
    support_kind: int  # MSE or CROSS_ENTROPY, of the support set
    query_kind: int
    frozen: dict  # parameters that are no part of θ, by name
    flattens: bool  # whether the examples may have several axes


def network_of(learner):
    """The Network in a learner, or None where its model or loss is another."""
    losses = (learner.inner_loss or learner.loss, learner.loss)
    kinds = [kind_of(getattr(own, "function", None)) for own in losses]
    layers = linear_layers(learner.model)
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


def linear_layers(model):
    """The layers of Linear → ReLU → … → Linear, perhaps behind a Flatten; None for anything else."""
    flat = list(flattened(model))
    if flat and is_flatten(flat[0]):
        flat = flat[1:]
    linear, between = flat[::2], flat[1::2]
    plain = (
        len(flat) % 2
        and all(type(m) is nn.Linear for m in linear)
        and all(type(m) is nn.ReLU for m in between)
        and len(list(model.parameters()))
        == sum(len(m._parameters) - (m.bias is None) for m in linear)
        and all(p.dtype in (torch.float32, torch.float64) for p in model.parameters())
        and not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    )
    return linear if plain else None


def is_flatten(module):
    return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)


def flattened(module):
    """The modules of nested nn.Sequentials, in order."""
    if isinstance(module, nn.Sequential) and module.forward.__func__ is nn.Sequential.forward:
        for child in module:
            yield from flattened(child)
    else:
        yield module


def kind_of(function):
    """MSE, CROSS_ENTROPY or None: only losses in their plain form are known."""
    if function is F.mse_loss or (type(function) is nn.MSELoss and function.reduction == "mean"):
        return MSE
    if function is F.cross_entropy:
        return CROSS_ENTROPY
    plain = type(function) is nn.CrossEntropyLoss and (
        function.weight is None
        and function.reduction == "mean"
        and function.label_smoothing == 0
        and function.ignore_index < 0
    )
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


# ------------------------------------------------------------------ the meta-gradient


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
    weights = maml.check_query_weights(query_weights, inner_steps)
    theta = arrays_of(network, params)
    support_x, support_y, query_x, query_y = arrays_of_batch(network, batch, params)
    rates = [
        rates_of(network, params, inner_lr, k, inner_steps, adapting) for k in range(inner_steps)
    ]

    if rates and by_outer_products(network, weights, learn_rates, support_x.shape[1], rates[0]):
        data = (support_x, support_y, query_x, query_y)
        value, sums = one_step(network, theta, data, rates[0], weights[1], first_order)
        v = [own / len(support_x) for own in sums]
        return results(network, params, None, value, v, {}, adapting)

    path, passes = [theta], []
    for rate in rates:  # φₖ₊₁ = φₖ − αₖ g
        passes.append(Pass(path[-1], support_x, support_y, network.support_kind))
        path.append(
            [p - r * g for p, r, g in zip(path[-1], rate, passes[-1].slopes(), strict=True)]
        )

    value, v, slopes = np.zeros(1), [np.zeros_like(p) for p in theta], {}
    for step in range(inner_steps, -1, -1):
        if step < inner_steps:
            if learn_rates:  # dL/dαₖ = −v g
                slopes[step] = [-(a * g) for a, g in zip(v, passes[step].slopes(), strict=True)]
            if not first_order:  # v ← v − H (α v)
                direction = [-r * a for r, a in zip(rates[step], v, strict=True)]
                v = [a + h for a, h in zip(v, passes[step].hessian_times(direction), strict=True)]
        if weights[step]:
            query = Pass(path[step], query_x, query_y, network.query_kind)
            value = value + weights[step] * query.loss
            v = [a + weights[step] * g for a, g in zip(v, query.slopes(), strict=True)]
    return results(network, params, inner_lr if learn_rates else None, value, v, slopes, adapting)


def by_outer_products(network, weights, learn_rates, shots, rates):
    """Whether one inner step need not form its weights: see `one_step.py`.

    rates: of the first step, for [W₁, b₁, …]; one that is an array, or NaN, stands for one for each element.
    """
    if len(weights) != 2 or weights[0] or learn_rates or 2 * shots > max(network.widths):
        return False
    return all(np.ndim(own) == 0 and own == own for own in rates)


def one_step(*arguments):
    from . import closed_one_step  # which needs this module

    return closed_one_step.meta_gradient(*arguments)


class Pass:
    """One forward and backward pass of every task at θ = [W₁, b₁, W₂, …], each (tasks or 1, …)."""

    def __init__(self, theta, x, y, kind):
        self.weights, self.kind, self.y = theta[::2], kind, y
        self.inputs = [x]  # of each layer: (tasks, examples, width)
        for layer, (weight, bias) in enumerate(zip(theta[::2], theta[1::2], strict=True)):
            out = times(self.inputs[-1], weight.swapaxes(1, 2)) + bias[:, None]
            last = layer == len(self.weights) - 1
            self.inputs.append(out if last else np.maximum(out, 0))
        self.loss, slope = loss_and_slope(kind, self.inputs[-1], y)
        self.deltas = self.backward([slope], lambda delta, weight, layer: times(delta, weight))

    def backward(self, deltas, through):
        """The slopes before each layer's ReLU, last to first, put in order."""
        for layer in range(len(self.weights) - 1, 0, -1):
            delta = through(deltas[0], self.weights[layer], layer)
            deltas.insert(0, delta * (self.inputs[layer] > 0))
        return deltas

    def slopes(self):
        """[dW₁, db₁, …] of each task: δ a₋ᵀ and the sum of δ."""
        pairs = zip(self.deltas, self.inputs, strict=False)
        return [g for d, a in pairs for g in (d.swapaxes(1, 2) @ a, d.sum(1))]

    def hessian_times(self, direction):
        """H u for u = [U₁, u₁, …]: everything above, differentiated along u."""
        turned, last = [0.0], len(self.weights) - 1  # R{a}; that of the inputs is 0
        for layer, (u, u_bias) in enumerate(zip(direction[::2], direction[1::2], strict=True)):
            out = times(self.inputs[layer], u.swapaxes(1, 2)) + u_bias[:, None]
            if layer:
                out += times(turned[-1], self.weights[layer].swapaxes(1, 2))
            turned.append(out if layer == last else out * (self.inputs[layer + 1] > 0))
        turning = self.backward(
            [self.curvature(turned[-1])],
            lambda d, weight, layer: (
                times(d, weight) + times(self.deltas[layer], direction[2 * layer])
            ),
        )
        found = []
        for layer, (turn, delta) in enumerate(zip(turning, self.deltas, strict=True)):
            product = turn.swapaxes(1, 2) @ self.inputs[layer]
            if layer:
                product += delta.swapaxes(1, 2) @ turned[layer]
            found += [product, turn.sum(1)]
        return found

    def curvature(self, turned):
        """R{δ} at the output: how the slope of the loss changes along R{output}."""
        examples, width = turned.shape[1:]
        if self.kind == MSE:
            return 2 / (examples * width) * turned
        p = examples * self.deltas[-1] + self.y  # δ = (p − y)/n
        return p * (turned - (p * turned).sum(-1, keepdims=True)) / examples


def times(a, matrix):
    """a (tasks, n, k) @ matrix (tasks or 1, k, m): one large product where the matrix is θ's own."""
    if len(matrix) > 1:
        return a @ matrix
    return (a.reshape(-1, a.shape[-1]) @ matrix[0]).reshape(*a.shape[:-1], -1)


def loss_and_slope(kind, out, y):
    """Loss (tasks,) and its slope with respect to the output (tasks, n, width). y: targets, or one-hot."""
    if kind == MSE:
        error = out - y
        return np.square(error).mean((1, 2)), 2 / error[0].size * error
    shifted = out - out.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -(y * log_p).sum((1, 2)) / out.shape[1], (np.exp(log_p) - y) / out.shape[1]


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


def arrays_of_batch(network, batch, params):
    """Support x and y, query x and y as arrays (tasks, examples, width); labels become one-hot."""
    found = [np.asarray(tensor) for tensor in maml.tensors_of(batch, params)]
    for role, kind in ((0, network.support_kind), (2, network.query_kind)):
        found[role] = found[role].reshape(*found[role].shape[:2], -1)
        y, dtype = found[role + 1], found[role].dtype
        one_hot = kind == CROSS_ENTROPY
        found[role + 1] = np.eye(network.widths[-1], dtype=dtype)[y] if one_hot else y.astype(dtype)
    return found


def rates_of(network, params, inner_lr, step, steps, adapting):
    """αₖ of [W₁, b₁, …]: numbers, or arrays with a leading axis of 1; 0 for what does not adapt."""
    moving = set(params if adapting is None else adapting)

    def rate(name):
        if name not in moving:
            return 0.0
        own = maml.rate(inner_lr, name, params[name], step, steps)
        if isinstance(own, torch.Tensor):
            own = own.detach().numpy()
        return own[None] if np.ndim(own) else float(own)

    return [rate(name) for name in names_of(network)]


def names_of(network):
    """The parameters' names in the order [W₁, b₁, …]; None for a bias that is not there."""
    return [n for pair in zip(network.weights, network.biases, strict=True) for n in pair]


def results(network, params, inner_lr, value, v, slopes, adapting):
    """Means over tasks, as tensors named like θ; with slopes of rates also these, folded like inner_lr."""

    def named(arrays, wanted):
        pairs = zip(names_of(network), arrays, strict=True)
        found = {
            n: torch.from_numpy(np.ascontiguousarray(a[0] if len(a) == 1 else a.mean(0)))
            for n, a in pairs
            if n in wanted
        }
        return {name: found[name] for name in wanted}

    value = torch.tensor(value.mean(), dtype=next(iter(params.values())).dtype)
    grads = named(v, list(params))
    if inner_lr is None:
        return value, grads
    moving = list(params if adapting is None else adapting)
    return value, grads, lean.fold({k: named(own, moving) for k, own in slopes.items()}, inner_lr)
