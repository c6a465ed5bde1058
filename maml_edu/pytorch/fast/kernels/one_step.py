"""One inner step without its weights: what a layer learns from n examples is a sum of n outer products.

φ = θ − α δᵀa, with a (n, inputs) what went into a layer and δ (n, outputs) its slopes. Where n is small
beside the layer's width it is quicker never to form φ: with the small matrix G = −α a_q aᵀ between the
query examples and those of the support set

    a_q φᵀ = a_q θᵀ + G δ             and, with P = −α δ_q δᵀ,      δ_q φ = δ_q θ + P a

The direction of the way back, u = −α v with v = δ_qᵀ a_q, is a sum of outer products, too:
a uᵀ = Gᵀ δ_q and δ u = Pᵀ a_q. For 10 examples and 40 units
a task takes 10.7 µs in place of 12.0. NumPy's twin is in `closed_one_step.py`; start with `one_step`.
"""

from __future__ import annotations

from .perceptron import (
    BYTES,
    add_linear,
    add_outer,
    add_product,
    add_weight_slopes,
    backward,
    compiled,
    forward,
    fresh_row_of,
    loss_curvature,
    loss_slope,
    relu,
    set_bias,
    set_product,
    where_active,
    whole,
)


@compiled
def one_step(y, kinds, weight, first_order, widths, rates, ws, sums):
    """The weighted query loss of one task; its gradient is added to sums: (weights', biases').

    ws.X and ws.QX hold the examples, ws.W[0] … θ; y: support's and query's; rates (layers, 2): α of weights
    and biases of each layer.
    """
    A, D, n, last = ws.A[0], ws.D[0], len(y[0]), len(widths) - 2
    counts = len(y[1]), n  # query examples, support examples
    forward(ws.X, ws.W[0], ws.WT[0], ws.B[0], A, ws.column, widths, n)
    loss_slope(A[-1], y[0], D[-1], kinds[0], 1.0, n, widths[-1])
    backward(ws.W[0], A, D, widths, n)
    query_forward(counts, widths, rates, ws)
    loss = loss_slope(ws.QA[last], y[1], ws.QD[last], kinds[1], weight, len(y[1]), widths[-1])
    query_backward(counts, widths, rates, ws)
    add_weight_slopes(ws.QX, ws.QA, ws.QD, sums[0], sums[1], ws.ones, widths, len(y[1]))
    if first_order:
        return loss
    turn_forward(counts, widths, rates, ws)
    loss_curvature(ws.RA[last], D[last], y[0], ws.RD[last], kinds[0], n, widths[-1])
    turn_backward(len(y[1]), n, widths, ws)
    add_weight_slopes(ws.X, A, ws.RD, sums[0], sums[1], ws.ones, widths, n)
    for layer in range(1, last + 1):
        add_outer(sums[0][layer], D[layer], ws.RA[layer - 1], n, widths[layer + 1], widths[layer])
    return loss


@compiled
def query_forward(counts, widths, rates, ws):
    """The m query examples through φ: QA, and G of each layer."""
    m, n = counts
    for layer in range(len(widths) - 1):
        inputs, outputs, out = widths[layer], widths[layer + 1], ws.QA[layer]
        a = ws.QX if layer == 0 else ws.QA[layer - 1]
        set_to_sums(ws, layer, ws.D[0, layer], -rates[layer, 1], n, outputs)
        for j in range(outputs):
            ws.UB[layer, j] += ws.B[0, layer, j]  # b − α δ
        set_bias(out, ws.UB, layer, ws.column, m, outputs)
        add_linear(out, a, ws.W[0, layer], ws.WT[0, layer], m, inputs, outputs)
        between(ws.G[layer], a, support_inputs(layer, ws), -rates[layer, 0], m, n, inputs, ws.T)
        add_product(out, ws.G[layer], ws.D[0, layer], m, n, outputs)
        if layer < len(widths) - 2:
            relu(out, m, outputs)


@compiled
def query_backward(counts, widths, rates, ws):
    """QD of all layers from that of the last, and P of each but the first."""
    m, n = counts
    for layer in range(len(widths) - 2, 0, -1):
        inputs, outputs, d = widths[layer], widths[layer + 1], ws.QD[layer]
        set_product(ws.QD[layer - 1], d, ws.W[0, layer], m, outputs, inputs)
        between(ws.P[layer], d, ws.D[0, layer], -rates[layer, 0], m, n, outputs, ws.T)
        add_product(ws.QD[layer - 1], ws.P[layer], ws.A[0, layer - 1], m, n, inputs)
        where_active(ws.QD[layer - 1], ws.QA[layer - 1], m, inputs)


@compiled
def turn_forward(counts, widths, rates, ws):
    """RA: how the support set's activations change along u = −α v."""
    m, n = counts
    for layer in range(len(widths) - 1):
        inputs, outputs, R = widths[layer], widths[layer + 1], ws.RA[layer]
        set_to_sums(ws, layer, ws.QD[layer], -rates[layer, 1], m, outputs)
        set_bias(R, ws.UB, layer, ws.column, n, outputs)
        add_outer(R, ws.G[layer], ws.QD[layer], m, n, outputs)
        if layer > 0:
            a = ws.RA[layer - 1]
            add_linear(R, a, ws.W[0, layer], ws.WT[0, layer], n, inputs, outputs)
        if layer < len(widths) - 2:
            where_active(R, ws.A[0, layer], n, outputs)


@compiled
def turn_backward(m, n, widths, ws):
    """RD of all layers from that of the last: how the support set's slopes change along u."""
    for layer in range(len(widths) - 2, 0, -1):
        inputs, outputs, R = widths[layer], widths[layer + 1], ws.RD[layer - 1]
        set_product(R, ws.RD[layer], ws.W[0, layer], n, outputs, inputs)
        add_outer(R, ws.P[layer], ws.QA[layer - 1], m, n, inputs)
        where_active(R, ws.A[0, layer - 1], n, inputs)


@compiled
def support_inputs(layer, ws):
    return ws.X if layer == 0 else ws.A[0, layer - 1]


@compiled
def between(out, a, b, factor, m, n, k, T):
    """out (m, n) = factor a bᵀ for a (m, k), b (n, k); T: room for bᵀ."""
    number = out.dtype.type(factor)
    for i in range(n):
        for p in range(k):
            T[p, i] = number * b[i, p]
    set_product(out, a, T, m, k, n)


@compiled
def set_to_sums(ws, layer, d, factor, n, m):
    """ws.UB[layer] = factor × the sum of d (n, m) over its rows."""
    out = ws.UB[layer]
    number = out.dtype.type(factor)
    for j in range(0, m, BYTES // out.itemsize):
        fresh_row_of(ws.UB, layer, j, ws.ones, d, n)
    for j in range(whole(m)):
        out[j] *= number
