"""MAML's gradient for a ReLU network with every derivative by hand: NumPy, all tasks at once.

For a = relu(W a₋ + b) layer by layer, a loss with slope δ at the output, and R{·} the derivative along a
direction u of the parameters (Pearlmutter 1994):

    forward     z = W a₋ + b                 R{z} = W R{a₋} + U a₋ + u_b         R{a} = R{z} where z > 0
    backward    δ₋ = Wᵀ δ where a₋ > 0       R{δ₋} = Wᵀ R{δ} + Uᵀ δ where a₋ > 0
    slopes      g = δ a₋ᵀ                     H u = R{g} = R{δ} a₋ᵀ + δ R{a₋}ᵀ

`native` runs the same formulas compiled, one task at a time. Start with `meta_gradient`.
"""

from __future__ import annotations

import numpy as np

from . import perceptron
from .perceptron import MSE

# ------------------------------------------------------------------ the meta-gradient


def meta_gradient(network, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]), as `maml.meta_gradient`.

    network: a `perceptron.Network`, in the place of the loss.
    """
    theta = perceptron.arrays_of(network, params)
    support_x, support_y, query_x, query_y = perceptron.arrays_of_batch(network, tensors)
    steps, weights = loop.inner_steps, loop.query_weights
    rates = [perceptron.rates_of(network, params, loop, step) for step in range(steps)]
    if rates and perceptron.by_outer_products(network, loop, support_x.shape[1], rates[0]):
        data = (support_x, support_y, query_x, query_y)
        value, sums = one_step(network, theta, data, rates[0], weights[1], loop.first_order)
        v = [total / len(support_x) for total in sums]
        return perceptron.results(network, params, loop, value, v, {})

    path, passes = [theta], []
    for rate in rates:  # φₖ₊₁ = φₖ − αₖ g
        passes.append(Pass(path[-1], support_x, support_y, network.support_kind))
        path.append(
            [p - r * g for p, r, g in zip(path[-1], rate, passes[-1].slopes(), strict=True)]
        )

    value, v, slopes = np.zeros(1), [np.zeros_like(p) for p in theta], {}
    for step in range(steps, -1, -1):
        if step < steps:
            if loop.learn_rates:  # dL/dαₖ = −v g
                slopes[step] = [-(a * g) for a, g in zip(v, passes[step].slopes(), strict=True)]
            if not loop.first_order:  # v ← v − H (α v)
                direction = [-r * a for r, a in zip(rates[step], v, strict=True)]
                v = [a + h for a, h in zip(v, passes[step].hessian_times(direction), strict=True)]
        if weights[step]:
            query = Pass(path[step], query_x, query_y, network.query_kind)
            value = value + weights[step] * query.loss
            v = [a + weights[step] * g for a, g in zip(v, query.slopes(), strict=True)]
    return perceptron.results(network, params, loop, value, v, slopes)


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


# ------------------------------------------------------------------ one inner step, without its weights
#
# With a, δ of the support set at θ, and a_q, δ_q of the query set at φ = θ − α δᵀa, for each layer
#
#     a_q φᵀ = a_q θᵀ + G δ     G = −α a_q aᵀ          δ_q φ = δ_q θ + P a     P = −α δ_q δᵀ
#
# No array holds φ, v or a direction for each task; what is summed over tasks is one large product.


def one_step(network, theta, data, rates, weight, first_order):
    """(weighted query losses (tasks,), their gradients summed over tasks: [W₁, b₁, …], a leading axis of 1).

    theta: [W₁, b₁, …] with a leading axis of 1; rates: a number for each of these.
    """
    support_x, support_y, query_x, query_y = data
    support = Pass(theta, support_x, support_y, network.support_kind)
    alphas = list(zip(rates[::2], rates[1::2], strict=True))
    query = Query(theta, support, alphas, query_x, query_y, network.query_kind, weight)
    sums = totals(query.deltas, query.inputs)
    if not first_order:
        turned, turning = query.way_back()
        sums = [a + b for a, b in zip(sums, totals(turning, support.inputs), strict=True)]
        for layer, delta in enumerate(support.deltas[1:], start=1):
            sums[2 * layer] += total(delta, turned[layer - 1])
    return query.loss, [total[None] for total in sums]


class Query:
    """The query set through φ, forward and back, and the way back through the inner step."""

    def __init__(self, theta, support, alphas, x, y, kind, weight):
        self.weights, self.support, self.alphas = theta[::2], support, alphas
        last = len(self.weights) - 1
        self.inputs, self.G = [x], []
        for layer, (W, b) in enumerate(zip(self.weights, theta[1::2], strict=True)):
            alpha, beta = alphas[layer]
            a, delta = self.inputs[-1], support.deltas[layer]
            self.G.append(-alpha * (a @ support.inputs[layer].swapaxes(1, 2)))  # (tasks, m, n)
            z = times(a, W.swapaxes(1, 2)) + self.G[-1] @ delta
            z += b[:, None] - beta * delta.sum(1, keepdims=True)
            self.inputs.append(z if layer == last else np.maximum(z, 0))
        loss, slope = loss_and_slope(kind, self.inputs[-1], y)
        self.loss, self.deltas, self.P = weight * loss, [weight * slope], {}
        for layer in range(last, 0, -1):
            delta, a = support.deltas[layer], support.inputs[layer]
            self.P[layer] = -alphas[layer][0] * (self.deltas[0] @ delta.swapaxes(1, 2))
            back = times(self.deltas[0], self.weights[layer]) + self.P[layer] @ a
            self.deltas.insert(0, back * (self.inputs[layer] > 0))

    def way_back(self):
        """R{a} after each layer, R{δ} before it, of the support set along −α v."""
        support = self.support
        turned: list[np.ndarray] = []
        last = len(self.weights) - 1
        for layer, delta in enumerate(self.deltas):
            z = self.G[layer].swapaxes(1, 2) @ delta
            z -= self.alphas[layer][1] * delta.sum(1, keepdims=True)
            if layer:
                z += times(turned[-1], self.weights[layer].swapaxes(1, 2))
            turned.append(z if layer == last else z * (support.inputs[layer + 1] > 0))
        turning = [support.curvature(turned[-1])]
        for layer in range(last, 0, -1):
            back = times(turning[0], self.weights[layer])
            back += self.P[layer].swapaxes(1, 2) @ self.inputs[layer]
            turning.insert(0, back * (support.inputs[layer] > 0))
        return turned, turning


def totals(deltas, inputs):
    """[dW₁, db₁, …] summed over all tasks."""
    pairs = zip(deltas, inputs, strict=False)
    return [g for d, a in pairs for g in (total(d, a), d.sum((0, 1)))]


def total(delta, a):
    """Σ δᵀ a over tasks: (outputs, inputs)."""
    return delta.reshape(-1, delta.shape[-1]).T @ a.reshape(-1, a.shape[-1])
