"""Meta-gradients that do not go back through the inner steps, Reptile's and implicit MAML's: `task_gradient`."""

from __future__ import annotations

from .perceptron import (
    add_difference,
    add_hessian_times_direction,
    add_slopes,
    clear,
    compiled,
    fill,
    inner_step,
    query,
    query_loss,
    support_pass,
)

# The rule of a meta-gradient: (one of these, α or λ, CG steps, free). free (layers, 2): 1 for the weights and
# biases of a layer that are part of θ, 0 for what is frozen or not there.
THROUGH, REPTILE, IMPLICIT = 0, 1, 2
# Conjugate gradients' vectors, in CW (VECTORS, layers, wide, wide) and CB (VECTORS, layers, wide).
SOLUTION, RESIDUAL, DIRECTION, IMAGE = range(4)
VECTORS = 4


@compiled
def task_gradient(x, y, kinds, steps, rule, widths, rates, ws):
    """The query loss of one task at φ_K; v (VW, VB): its meta-gradient by the rule. x, y: support's, query's."""
    kind, number, cg_steps, free = rule
    strength = number if kind == IMPLICIT else 0.0
    for step in range(steps):
        inner_step(step, 0, y[0], kinds[0], strength, widths, rates, ws)
    fill(ws.X, x[1], widths[0])
    clear(ws.VW, ws.VB, widths)
    if kind == REPTILE:  # (θ − φ)/α
        add_difference(ws.VW, ws.VB, ws.W[0], ws.B[0], ws.W[steps], ws.B[steps], 1 / number, widths)
        return query_loss(steps, y[1], kinds[1], 1.0, widths, ws)
    loss = query(steps, y[1], kinds[1], 1.0, widths, ws)
    fill(ws.X, x[0], widths[0])
    support_pass(steps, y[0], kinds[0], widths, ws)
    conjugate_gradient(steps, y[0], kinds[0], rule, widths, ws)
    return loss


@compiled
def conjugate_gradient(step, y, kind, rule, widths, ws):
    """v ← (I + H/λ)⁻¹ v, nearly: `imaml.conjugate_gradient` for one task, with the same stop."""
    _, strength, cg_steps, free = rule
    W, B = ws.CW, ws.CB
    keep_free(ws.VW, ws.VB, free, widths)
    copy(W[SOLUTION], B[SOLUTION], ws.VW, ws.VB, widths)
    one_plus(SOLUTION, step, y, kind, strength, free, widths, ws)
    copy(W[RESIDUAL], B[RESIDUAL], ws.VW, ws.VB, widths)
    add_multiple(W[RESIDUAL], B[RESIDUAL], -1.0, W[IMAGE], B[IMAGE], widths)
    copy(W[DIRECTION], B[DIRECTION], W[RESIDUAL], B[RESIDUAL], widths)
    squared = dot(W[RESIDUAL], B[RESIDUAL], W[RESIDUAL], B[RESIDUAL], widths)
    going = squared > 0
    for _ in range(cg_steps):  # without a way out: NaN must be seen
        one_plus(DIRECTION, step, y, kind, strength, free, widths, ws)
        curvature = dot(W[DIRECTION], B[DIRECTION], W[IMAGE], B[IMAGE], widths)
        going = going and curvature > 0 and squared > 0
        length = squared / curvature if going else 0.0
        add_multiple(W[SOLUTION], B[SOLUTION], length, W[DIRECTION], B[DIRECTION], widths)
        add_multiple(W[RESIDUAL], B[RESIDUAL], -length, W[IMAGE], B[IMAGE], widths)
        before = squared
        squared = dot(W[RESIDUAL], B[RESIDUAL], W[RESIDUAL], B[RESIDUAL], widths)
        share = squared / before if going else 0.0
        scale(W[DIRECTION], B[DIRECTION], share, widths)
        add_slopes(W[DIRECTION], B[DIRECTION], W[RESIDUAL], B[RESIDUAL], widths)
    copy(ws.VW, ws.VB, W[SOLUTION], B[SOLUTION], widths)


@compiled
def one_plus(vector, step, y, kind, strength, free, widths, ws):
    """IMAGE = (I + H/λ) times one of the vectors."""
    out_W, out_B = ws.CW[IMAGE], ws.CB[IMAGE]
    copy(ws.UW, ws.UB, ws.CW[vector], ws.CB[vector], widths)
    clear(out_W, out_B, widths)
    add_hessian_times_direction(step, y, kind, widths, ws, out_W, out_B)
    scale(out_W, out_B, 1 / strength, widths)
    add_slopes(out_W, out_B, ws.UW, ws.UB, widths)
    keep_free(out_W, out_B, free, widths)


# ------------------------------------------------------------------ vectors of θ's size


@compiled
def copy(out_W, out_B, W, B, widths):
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            out_B[layer, i] = B[layer, i]
            for j in range(widths[layer]):
                out_W[layer, i, j] = W[layer, i, j]


@compiled
def scale(W, B, factor, widths):
    number = W.dtype.type(factor)
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            B[layer, i] *= number
            for j in range(widths[layer]):
                W[layer, i, j] *= number


@compiled
def add_multiple(out_W, out_B, factor, W, B, widths):
    number = W.dtype.type(factor)
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            out_B[layer, i] += number * B[layer, i]
            for j in range(widths[layer]):
                out_W[layer, i, j] += number * W[layer, i, j]


@compiled
def dot(a_W, a_B, b_W, b_B, widths):
    total = a_W[0, 0, 0] * 0
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            total += a_B[layer, i] * b_B[layer, i]
            for j in range(widths[layer]):
                total += a_W[layer, i, j] * b_W[layer, i, j]
    return total


@compiled
def keep_free(W, B, free, widths):
    """0 in the place of what is no part of θ."""
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            if free[layer, 1] == 0:
                B[layer, i] = 0
            if free[layer, 0] == 0:
                for j in range(widths[layer]):
                    W[layer, i, j] = 0
