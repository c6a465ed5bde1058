"""`one_step.py` in NumPy, all tasks at once: one inner step without its weights. Start with `meta_gradient`.

With a, δ of the support set at θ, and a_q, δ_q of the query set at φ = θ − α δᵀa, for each layer

    a_q φᵀ = a_q θᵀ + G δ     G = −α a_q aᵀ          δ_q φ = δ_q θ + P a     P = −α δ_q δᵀ

No array holds φ, v or a direction for each task; what is summed over tasks is one large product.
"""

from __future__ import annotations

import numpy as np

from . import closed


def meta_gradient(network, theta, data, rates, weight, first_order):
    """(weighted query losses (tasks,), their gradients summed over tasks: [W₁, b₁, …], a leading axis of 1).

    theta: [W₁, b₁, …] with a leading axis of 1; rates: a number for each of these.
    """
    support_x, support_y, query_x, query_y = data
    support = closed.Pass(theta, support_x, support_y, network.support_kind)
    alphas = list(zip(rates[::2], rates[1::2], strict=True))
    query = Query(theta, support, alphas, query_x, query_y, network.query_kind, weight)
    sums = totals(query.deltas, query.inputs)
    if not first_order:
        turned, turning = query.way_back()
        sums = [a + b for a, b in zip(sums, totals(turning, support.inputs), strict=True)]
        for layer, delta in enumerate(support.deltas[1:], start=1):
            sums[2 * layer] += total(delta, turned[layer - 1])
    return query.loss, [own[None] for own in sums]


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
            z = closed.times(a, W.swapaxes(1, 2)) + self.G[-1] @ delta
            z += b[:, None] - beta * delta.sum(1, keepdims=True)
            self.inputs.append(z if layer == last else np.maximum(z, 0))
        loss, slope = closed.loss_and_slope(kind, self.inputs[-1], y)
        self.loss, self.deltas, self.P = weight * loss, [weight * slope], {}
        for layer in range(last, 0, -1):
            delta, a = support.deltas[layer], support.inputs[layer]
            self.P[layer] = -alphas[layer][0] * (self.deltas[0] @ delta.swapaxes(1, 2))
            back = closed.times(self.deltas[0], self.weights[layer]) + self.P[layer] @ a
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
                z += closed.times(turned[-1], self.weights[layer].swapaxes(1, 2))
            turned.append(z if layer == last else z * (support.inputs[layer + 1] > 0))
        turning = [support.curvature(turned[-1])]
        for layer in range(last, 0, -1):
            back = closed.times(turning[0], self.weights[layer])
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
