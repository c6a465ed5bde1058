"""The closed form of `closed.py`, compiled by numba: the kernels that `chunks.py` calls, one task at a time.

Arrays are padded to the widest layer (and to whole vector registers), so that one compiled function
serves every network: W (K + 1, layers, outputs, inputs) are the weights φ₀ … φ_K of the task at hand, WT
(K + 1, layers, inputs, outputs) the same transposed, B (K + 1, layers, outputs) the biases; A and D
(layers, examples, outputs) what a layer gives out and the slope of the loss with respect to it before
its ReLU. R{·}, the derivative along a direction (Pearlmutter 1994), is written with an R in front.
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit

from maml_edu.places import cache_folder

from .tile import BYTES, tile

MSE, CROSS_ENTROPY = 0, 1


_PROCESS = uuid.uuid4().hex[:8]


def compiled(function):
    """numba's version of a function: compiled at its first call, and kept on disk if a folder can be written.

    That folder is NUMBA_CACHE_DIR, or in the user's cache folder; never the package, which may be read-only
    or belong to others. Sums may be reordered and contracted, so that they fill vector registers; NaN and
    infinity stay what they are, training has to see them.
    """
    how: dict[str, Any] = {
        "fastmath": {"reassoc", "contract", "nsz", "arcp"},
        "nogil": True,
        "error_model": "numpy",
    }
    folder = config.CACHE_DIR or str(cache_folder() / "numba")  # type: ignore[attr-defined]
    try:
        kernel = _kept_in(folder, function, how)
    except (RuntimeError, OSError):
        kernel = None
    return njit(**how)(function) if kernel is None else kernel  # compiled again in each process


def _kept_in(folder, function, how):
    """numba's version of a function whose code is kept in a folder; None, or an error, if it cannot be."""
    before, config.CACHE_DIR = config.CACHE_DIR, folder  # type: ignore[attr-defined] # read when the function is decorated
    try:
        kernel = njit(cache=True, **how)(function)
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
    try:
        index, place = kernel._cache._cache_file, Path(kernel._cache.cache_path)
        stamp, pattern = index._source_stamp, index._data_name_pattern
    except AttributeError:  # a later numba, which keeps these things elsewhere
        return None
    index._source_stamp = (stamp, _sources())
    # Files of its own for each process: numba numbers them from 1 in each, so that two which compile at
    # the same time, for float32 and float64 say, would find each other's code under their own name.
    index._data_name_pattern = pattern.replace("{number", _PROCESS + ".{number")
    # numba falls back on the package's own folder without a word
    return kernel if Path(folder) in place.parents else None


@functools.cache
def _sources():
    """A digest of all kernels: numba looks at a function's own file, not at what it calls in others."""
    files = [file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))]
    kernels = [text for text in files if b"@compiled" in text or b"intrinsic" in text]
    return hashlib.sha256(b"".join(kernels)).hexdigest()


ROWS = 5
FEW = 4  # outputs; fewer fill no register, and plain sums are quicker
rows_of, row_of = tile(ROWS), tile(1)
fresh_rows_of, fresh_row_of = tile(ROWS, fresh=True), tile(1, fresh=True)
columns_of, column_of = tile(ROWS, transposed=True), tile(1, transposed=True)

# What one thread needs for one task; see `workspace`.
Workspace = namedtuple(
    "Workspace", "X W WT B A D QX QA QD RA RD SW SB UW UT UB VW VB G P T CW CB ones column"
)


def workspace(widths, steps, examples, dtype, slots, shots=0, vectors=0):
    """Room for one task: `examples` per set at most, `slots` of slopes kept (inner steps, or 1).

    shots: support examples, where `one_step` is to be used. vectors: of θ's size, for `task_gradients.py`.
    """
    layers, wide = len(widths) - 1, padded(max(widths))

    def room(*shape):
        return np.zeros(shape, dtype)

    return Workspace(
        X=room(examples, wide),
        W=room(steps + 1, layers, wide, wide),
        WT=room(steps + 1, layers, wide, wide),
        B=room(steps + 1, layers, wide),
        A=room(steps + 1, layers, examples, wide),
        D=room(steps + 1, layers, examples, wide),
        QX=room(examples, wide),
        QA=room(layers, examples, wide),
        QD=room(layers, examples, wide),
        RA=room(layers, examples, wide),
        RD=room(layers, examples, wide),
        SW=room(slots, layers, wide, wide),
        SB=room(slots, layers, wide),
        UW=room(layers, wide, wide),
        UT=room(layers, wide, wide),
        UB=room(layers, wide),
        VW=room(layers, wide, wide),
        VB=room(layers, wide),
        G=room(layers, examples, padded(shots)),
        P=room(layers, examples, padded(shots)),
        T=room(wide, padded(shots)),
        CW=room(vectors, layers, wide, wide),
        CB=room(vectors, layers, wide),
        ones=np.ones((layers, examples), dtype),
        column=np.ones((examples, 1), dtype),
    )


def padded(width):
    """The next multiple of 16: whole registers of float32 and float64."""
    return width + -width % 16


whole = compiled(padded)  # the same for numba: whole registers need no loop for what is left over


@compiled
def inner_step(step, slot, y, kind, strength, widths, rates, ws):
    """φₖ₊₁ = φₖ − αₖ (g + λ (φₖ − θ)): one gradient step on the support set, all kept for the way back.

    strength: λ of the proximal term; 0 but in implicit MAML.
    """
    W, B = ws.W[step], ws.B[step]
    support_pass(step, y, kind, widths, ws)
    GW, GB = ws.SW[slot], ws.SB[slot]
    clear(GW, GB, widths)
    add_weight_slopes(ws.X, ws.A[step], ws.D[step], GW, GB, ws.ones, widths, len(y))
    if strength > 0 and step > 0:
        add_difference(GW, GB, W, B, ws.W[0], ws.B[0], strength, widths)
    for layer in range(len(widths) - 1):
        outputs, inputs = widths[layer + 1], widths[layer]
        old, new, slope, rate = W[layer], ws.W[step + 1, layer], GW[layer], rates[0][step, layer]
        for i in range(outputs):
            ws.B[step + 1, layer, i] = B[layer, i] - rates[1][step, layer, i] * GB[layer, i]
            for j in range(inputs):
                new[i, j] = old[i, j] - rate[i, j] * slope[i, j]
        transpose(ws.WT[step + 1, layer], new, outputs, inputs)


@compiled
def support_pass(step, y, kind, widths, ws):
    """Forward and back through the support set at φₖ: A and D of this step."""
    W, A, D, n = ws.W[step], ws.A[step], ws.D[step], len(y)
    forward(ws.X, W, ws.WT[step], ws.B[step], A, ws.column, widths, n)
    loss_slope(A[-1], y, D[-1], kind, 1.0, n, widths[-1])
    backward(W, A, D, widths, n)


@compiled
def query(step, y, kind, weight, widths, ws):
    """The weighted query loss at φₖ; its slope is added to v (VW, VB)."""
    n = len(y)
    loss = query_loss(step, y, kind, weight, widths, ws)
    backward(ws.W[step], ws.QA, ws.QD, widths, n)
    add_weight_slopes(ws.X, ws.QA, ws.QD, ws.VW, ws.VB, ws.ones, widths, n)
    return loss


@compiled
def query_loss(step, y, kind, weight, widths, ws):
    """The weighted query loss at φₖ; its slope at the output is left in QD."""
    n = len(y)
    forward(ws.X, ws.W[step], ws.WT[step], ws.B[step], ws.QA, ws.column, widths, n)
    return loss_slope(ws.QA[-1], y, ws.QD[-1], kind, weight, n, widths[-1])


@compiled
def walk_back(step, y, kind, widths, rates, ws):
    """v ← v − H (α v): the step φₖ → φₖ₊₁ differentiated, without forming the Hessian H of the support loss."""
    for layer in range(len(widths) - 1):  # the direction u = −α v
        outputs, inputs = widths[layer + 1], widths[layer]
        direction, v, rate = ws.UW[layer], ws.VW[layer], rates[0][step, layer]
        for i in range(outputs):
            ws.UB[layer, i] = -rates[1][step, layer, i] * ws.VB[layer, i]
            for j in range(inputs):
                direction[i, j] = -rate[i, j] * v[i, j]
    add_hessian_times_direction(step, y, kind, widths, ws, ws.VW, ws.VB)


@compiled
def add_hessian_times_direction(step, y, kind, widths, ws, out_W, out_B):
    """out += H u for the direction u (UW, UB) and the Hessian H of the support loss at φₖ.

    H u = R{g}: the whole forward and backward pass, differentiated along u.
    """
    W, A, D, n, last = ws.W[step], ws.A[step], ws.D[step], len(y), len(widths) - 2
    for layer in range(last + 1):
        transpose(ws.UT[layer], ws.UW[layer], widths[layer + 1], widths[layer])
    for layer in range(
        last + 1
    ):  # R{a W + b} = R{a} W + a U + u, and the ReLU passes what it passed
        outputs, inputs, R = widths[layer + 1], widths[layer], ws.RA[layer]
        a = ws.X if layer == 0 else A[layer - 1]
        set_bias(R, ws.UB, layer, ws.column, n, outputs)
        add_linear(R, a, ws.UW[layer], ws.UT[layer], n, inputs, outputs)
        if layer > 0:
            add_linear(R, ws.RA[layer - 1], W[layer], ws.WT[step, layer], n, inputs, outputs)
        if layer < last:
            where_active(R, A[layer], n, outputs)
    loss_curvature(ws.RA[last], D[last], y, ws.RD[last], kind, n, widths[-1])
    for layer in range(last, 0, -1):
        outputs, inputs, R = widths[layer + 1], widths[layer], ws.RD[layer - 1]
        set_product(R, ws.RD[layer], W[layer], n, outputs, inputs)
        add_product(R, D[layer], ws.UW[layer], n, outputs, inputs)
        where_active(R, A[layer - 1], n, inputs)
    add_weight_slopes(ws.X, A, ws.RD, out_W, out_B, ws.ones, widths, n)
    for layer in range(1, last + 1):
        add_outer(out_W[layer], D[layer], ws.RA[layer - 1], n, widths[layer + 1], widths[layer])


# ------------------------------------------------------------------ one pass through the network


@compiled
def forward(X, W, WT, B, A, column, widths, n):
    """A[l] = relu(A[l − 1] W[l]ᵀ + B[l]), without the ReLU in the last layer."""
    for layer in range(len(widths) - 1):
        outputs, out = widths[layer + 1], A[layer]
        a = X if layer == 0 else A[layer - 1]
        set_bias(out, B, layer, column, n, outputs)
        add_linear(out, a, W[layer], WT[layer], n, widths[layer], outputs)
        if layer < len(widths) - 2:
            relu(out, n, outputs)


@compiled
def relu(out, n, m):
    for i in range(n):
        for j in range(whole(m)):
            if out[i, j] <= 0:  # NaN passes
                out[i, j] = 0


@compiled
def backward(W, A, D, widths, n):
    """The slopes D of all layers from that of the last."""
    for layer in range(len(widths) - 2, 0, -1):
        set_product(D[layer - 1], D[layer], W[layer], n, widths[layer + 1], widths[layer])
        where_active(D[layer - 1], A[layer - 1], n, widths[layer])


@compiled
def add_weight_slopes(X, A, D, GW, GB, ones, widths, n):
    """GW += Dᵀ A, GB += the sum of D over examples, layer by layer."""
    for layer in range(len(widths) - 1):
        outputs, d = widths[layer + 1], D[layer]
        add_outer(GW[layer], d, X if layer == 0 else A[layer - 1], n, outputs, widths[layer])
        for j in range(0, outputs, BYTES // GB.itemsize):
            row_of(GB, layer, j, ones, d, n)


@compiled
def loss_slope(out, y, d, kind, weight, n, width):
    """The loss times `weight`, and in d its slope. y: targets, or for the cross-entropy 1 at the label."""
    loss = out[0, 0] * 0
    if kind == MSE:
        scale = out.dtype.type(weight / (n * width))
        for i in range(n):
            for j in range(width):
                error = out[i, j] - y[i, j]
                loss += error * error
                d[i, j] = 2 * scale * error
        return loss * scale
    scale = out.dtype.type(weight / n)
    for i in range(n):
        top = out[i, 0]
        for j in range(1, width):
            top = max(top, out[i, j])
        total = top * 0
        for j in range(width):
            d[i, j] = np.exp(out[i, j] - top)
            total += d[i, j]
        for j in range(width):
            loss += y[i, j] * (np.log(total) + top - out[i, j])
            d[i, j] = scale * (d[i, j] / total - y[i, j])
    return loss * scale


@compiled
def loss_curvature(R, d, y, out, kind, n, width):
    """R{d}: how the slope d of the support loss changes along R{output}."""
    scale = R.dtype.type(1 / n)
    for i in range(n):
        if kind == MSE:
            for j in range(width):
                out[i, j] = 2 * scale / width * R[i, j]
            continue
        mean = R[i, 0] * 0
        for j in range(width):  # the probabilities p, from d = (p − y)/n
            mean += (n * d[i, j] + y[i, j]) * R[i, j]
        for j in range(width):
            out[i, j] = scale * (n * d[i, j] + y[i, j]) * (R[i, j] - mean)


@compiled
def add_slopes_of_rates(step, slot, widths, ws, sums_W, sums_B):
    """dL/dα of this step, −v g: added to the sums in a slot."""
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            sums_B[slot, layer, i] -= ws.VB[layer, i] * ws.SB[step, layer, i]
            for j in range(widths[layer]):
                sums_W[slot, layer, i, j] -= ws.VW[layer, i, j] * ws.SW[step, layer, i, j]


# ------------------------------------------------------------------ matrices


@compiled
def add_product(out, a, b, n, k, m):
    """out (n, m) += a (n, k) @ b (k, m); whole registers, so `out` is written up to its padding."""
    for j in range(0, m, BYTES // out.itemsize):
        for i in range(0, n - n % ROWS, ROWS):
            rows_of(out, i, j, a, b, k)
        for i in range(n - n % ROWS, n):
            row_of(out, i, j, a, b, k)


@compiled
def set_product(out, a, b, n, k, m):
    """out (n, m) = a (n, k) @ b (k, m)."""
    for j in range(0, m, BYTES // out.itemsize):
        for i in range(0, n - n % ROWS, ROWS):
            fresh_rows_of(out, i, j, a, b, k)
        for i in range(n - n % ROWS, n):
            fresh_row_of(out, i, j, a, b, k)


@compiled
def add_linear(out, a, w, wt, n, k, m):
    """out (n, m) += a (n, k) @ wᵀ, for w (m, k) and its transpose wt (k, m)."""
    if m >= FEW:
        add_product(out, a, wt, n, k, m)
        return
    for i in range(n):
        for j in range(m):
            total = out[i, j]
            for p in range(k):
                total += a[i, p] * w[j, p]
            out[i, j] = total


@compiled
def add_outer(out, d, a, n, m, k):
    """out (m, k) += dᵀ a for d (n, m), a (n, k): the slope of a weight matrix."""
    if k == 1:
        for i in range(n):
            for j in range(m):
                out[j, 0] += d[i, j] * a[i, 0]
        return
    for j in range(0, k, BYTES // out.itemsize):
        for i in range(0, m - m % ROWS, ROWS):
            columns_of(out, i, j, d, a, n)
        for i in range(m - m % ROWS, m):
            column_of(out, i, j, d, a, n)


@compiled
def transpose(out, a, n, m):
    for i in range(n):
        for j in range(m):
            out[j, i] = a[i, j]


@compiled
def start_from_bias(out, bias, n, m):
    for i in range(n):
        for j in range(m):
            out[i, j] = bias[j]


@compiled
def set_bias(out, B, layer, column, n, m):
    """out (n, m) = B[layer] in every row: as a product with ones (n, 1), quicker than short loops."""
    set_product(out, column, B[layer : layer + 1], n, 1, m)


@compiled
def where_active(d, a, n, m):
    """d is kept where the ReLU passed something on (a > 0)."""
    for i in range(n):
        for j in range(whole(m)):
            if a[i, j] <= 0:
                d[i, j] = 0


@compiled
def zero(a, n, m):
    for i in range(n):
        for j in range(m):
            a[i, j] = 0


@compiled
def fill(out, a, m):
    for i in range(len(a)):
        for j in range(m):
            out[i, j] = a[i, j]


@compiled
def clear(W, B, widths):
    for layer in range(len(widths) - 1):
        zero(W[layer], widths[layer + 1], widths[layer])
        for i in range(widths[layer + 1]):
            B[layer, i] = 0


@compiled
def add_slopes(out_W, out_B, W, B, widths):
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            out_B[layer, i] += B[layer, i]
            for j in range(widths[layer]):
                out_W[layer, i, j] += W[layer, i, j]


@compiled
def add_difference(out_W, out_B, W, B, from_W, from_B, factor, widths):
    """out += factor (W − from), weights and biases."""
    number = out_W.dtype.type(factor)
    for layer in range(len(widths) - 1):
        for i in range(widths[layer + 1]):
            out_B[layer, i] += number * (B[layer, i] - from_B[layer, i])
            for j in range(widths[layer]):
                out_W[layer, i, j] += number * (W[layer, i, j] - from_W[layer, i, j])


@compiled
def collect(flat, W, B, widths, tasks):
    """[W₁, b₁, W₂, …] in one vector: the sums of all chunks, over the number of tasks."""
    at = 0
    for layer in range(len(widths) - 1):
        outputs, inputs = widths[layer + 1], widths[layer]
        for i in range(outputs):
            row = flat[at : at + inputs]
            for j in range(inputs):
                row[j] = W[0, layer, i, j]
            for chunk in range(1, len(W)):
                part = W[chunk, layer, i]
                for j in range(inputs):
                    row[j] += part[j]
            at += inputs
        bias = flat[at : at + outputs]
        for i in range(outputs):
            bias[i] = B[0, layer, i]
        for chunk in range(1, len(W)):
            for i in range(outputs):
                bias[i] += B[chunk, layer, i]
        at += outputs
    for i in range(at):
        flat[i] /= tasks
