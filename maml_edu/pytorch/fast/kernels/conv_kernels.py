"""Convolutional networks with every derivative by hand, compiled by numba. Start with `forward`.

One task at a time. Images are matrices: a row for each place of each example, its channels in the
columns, padded to whole registers. A convolution is then a sum of P products, one for each place p of
its kernel, with `table[p, r]` the row that output r sees there (a row of zeros beyond the edge):

    z[r] = b + Σ_p a[table[p, r]] W[p]       dW[p] = Σ_r a[table[p, r]]ᵀ dz[r]       da[table[p, r]] += dz[r] W[p]ᵀ

Nothing is copied out into larger matrices (Dukhan 2019, "The indirect convolution algorithm"). A linear
layer is a convolution that sees the whole image. Batch norm, ReLU and pooling, N the number of rows:

    x = (z − mean z) q       q = 1/√(mean (z − mean z)² + ε)       y = γ x + β       a = pooled relu(y)
    d = dy = what comes back from a, where it was passed on       dγ = Σ d x       dβ = Σ d
    dz = γ q (d − mean d − x mean (d x))

and R{·}, the derivative along a direction of the parameters (Pearlmutter 1994), written with an R in front:

    Rx = q (Rz − mean Rz − x μ)       μ = mean (x Rz)       Rq = −q² μ       Ry = γ Rx + Rγ x + Rβ
    Rdγ = Σ (Rd x + d Rx)       Rdβ = Σ Rd
    Rdz = (Rγ q + γ Rq)(d − mean d − x mean (d x)) + γ q (Rd − mean Rd − Rx mean (d x) − x Rdγ/N)

The parameters of a network are one vector, and so is all that a pass through it keeps; `net` says where
everything begins. `conv.Walk` calls these functions.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from .perceptron import compiled, start_from_bias, transpose
from .tile import BYTES, columns_that_fit, tile

ROWS = 4  # of a tile
BLOCK = 120  # rows that are worked at together, so that they stay in the innermost cache
WIDE = columns_that_fit()
gather_wide, gather = (tile(ROWS, columns=n, named="a") for n in (WIDE, 1))
scatter_wide, scatter = (tile(ROWS, columns=n, named="out") for n in (WIDE, 1))
outer_wide, outer = (tile(ROWS, transposed=True, columns=n, named="a") for n in (WIDE, 1))

# What is known of every layer, and where its parts begin; made by `conv_layout.layout`.
WHOLE = {
    "P C F width": "places of the kernel, padded inputs, padded outputs, outputs without padding",
    "rows after": "rows of what it gives out, before and after pooling",
    "area": "how many places are pooled to one, which is `scale` times the sum of what is passed on",
    "window windows": "of how many places only the largest is passed on, 1 for all; how many such windows",
    "norm": "whether it has a batch norm; `eps` is its ε",
    "W B S T": "in the parameters: weight, bias, batch norm's weight γ and bias β",
    "Z A E D G q": "in a pass's memory: x, what goes on, slopes of a, of y and of z, batch norm's numbers",
    "passed": "in a pass's marks: where y is passed on to a",
    "seen pooled largest": "in the tables: rows that are seen, pooled together, of which the largest counts",
}
REAL = ("scale", "eps")
NAMES = [*" ".join(WHOLE).split(), *REAL]
LAYER = np.dtype([(name, np.float64 if name in REAL else np.int64) for name in NAMES])
# unfold: (rows of one image, C of the first layer), the pixels that the first layer sees, or −1
Net = namedtuple("Net", "layers tables unfold")


def room(rows):
    """Rows to make room for: one more than there are at least, and whole tiles."""
    return rows + ROWS - rows % ROWS


room_for = compiled(room)  # the same for numba


# ------------------------------------------------------------------ one pass through the network


@compiled
def forward(net, phi, X, memory, passed):
    """The network's output and the place for its slope; in memory x, a and q of every layer.

    net: the layout; phi: the parameters; X: what the first layer sees, see `unfold`; memory, passed: the
    numbers and the marks of a pass.
    """
    last = len(net.layers) - 1
    for layer in range(last + 1):
        lay = net.layers[layer]
        Z = matrix(memory, lay.Z, room_for(lay.rows), lay.F)
        start_from_bias(Z, phi[lay.B :], lay.rows, lay.F)
        a = inputs(net, layer, X, memory)
        add_convolved(Z, a, seen(net, lay), weight(lay, phi), lay.rows)
        if layer < last:
            if lay.norm:
                normalise(Z, matrix(memory, lay.q, 4, lay.F), lay.rows, lay.eps, lay.width)
            mask, scale, shift = marks(lay, passed), phi[lay.S :], phi[lay.T :]
            if lay.window > 1:
                mark_largest(mask, Z, scale, shift, largest(net, lay))
            else:
                mark_active(mask, Z, scale, shift)
            A = matrix(memory, lay.A, lay.after, lay.F)
            activate(A, mask, Z, scale, shift, pooled(net, lay), lay.scale)
    return Z, matrix(memory, lay.D, lay.rows, lay.F)


@compiled
def backward(net, phi, X, memory, passed, g, turned):
    """Adds the slopes of all parameters to g; D of the last layer holds that of the loss.

    turned: room for the largest weight with its inputs and outputs changed over.
    """
    for layer in range(len(net.layers) - 1, -1, -1):
        lay = net.layers[layer]
        G = matrix(memory, lay.G, room_for(lay.rows), lay.F)
        if layer < len(net.layers) - 1:
            through_pooling(net, lay, memory, passed)
        if lay.norm:
            if lay.G != lay.D:
                G[: lay.rows] = matrix(memory, lay.D, lay.rows, lay.F)
            Z, q = matrix(memory, lay.Z, lay.rows, lay.F), matrix(memory, lay.q, 4, lay.F)
            through_norm(G, Z, q, phi[lay.S :], g[lay.S :], g[lay.T :])
        else:  # in front of a batch norm a bias changes nothing: its slope is 0
            add_column_sums(g[lay.B :], G, lay.rows)
        add_outer(weight(lay, g), inputs(net, layer, X, memory), seen(net, lay), G, lay.rows)
        if layer > 0:
            E = cleared_slope(net.layers[layer - 1], memory)
            add_scattered(E, G, seen(net, lay), turned_weight(lay, phi, turned), lay.rows)


@compiled
def forward_along(net, away, phi, u, X, memory, passed, Rmemory):
    """`forward` along u: Rx and Ra of every layer; the output's slope, R{output}, and the place for R{slope}.

    A pass at phi lies in memory; away: the layout of Rmemory.
    """
    last = len(net.layers) - 1
    for layer in range(last + 1):
        lay, to = net.layers[layer], away.layers[layer]
        R = matrix(Rmemory, to.Z, room_for(lay.rows), lay.F)
        start_from_bias(R, u[lay.B :], lay.rows, lay.F)
        for term in range(2 if layer > 0 else 1):  # R{a W} = a U + R{a} W
            a = inputs(away, layer, X, Rmemory) if term else inputs(net, layer, X, memory)
            add_convolved(R, a, seen(net, lay), weight(lay, phi if term else u), lay.rows)
        if layer < last:
            Z = matrix(memory, lay.Z, lay.rows, lay.F)
            if lay.norm:
                q, Rq = matrix(memory, lay.q, 4, lay.F), matrix(Rmemory, to.q, 4, lay.F)
                normalise_along(R, Z, q, Rq, lay.rows)
            RA, mask = matrix(Rmemory, to.A, lay.after, lay.F), marks(lay, passed)
            scale, Rscale, Rshift = phi[lay.S :], u[lay.S :], u[lay.T :]
            activate_along(RA, mask, R, Z, scale, Rscale, Rshift, pooled(net, lay), lay.scale)
    d = matrix(memory, lay.D, lay.rows, lay.F)
    return d, R, matrix(Rmemory, to.D, lay.rows, lay.F)


@compiled
def backward_along(net, away, phi, u, X, memory, passed, Rmemory, v, turned):
    """Adds Rg, the change of all slopes along u, to v; RD of the last layer holds that of the loss."""
    for layer in range(len(net.layers) - 1, -1, -1):
        lay, to = net.layers[layer], away.layers[layer]
        G, RG = (
            matrix(memory, lay.G, room_for(lay.rows), lay.F),
            matrix(Rmemory, to.G, room_for(lay.rows), lay.F),
        )
        if layer < len(net.layers) - 1:
            through_pooling(away, to, Rmemory, passed)
        if lay.norm:
            D, Z = matrix(memory, lay.D, lay.rows, lay.F), matrix(memory, lay.Z, lay.rows, lay.F)
            RZ = matrix(Rmemory, to.Z, lay.rows, lay.F)
            q, Rq = matrix(memory, lay.q, 4, lay.F), matrix(Rmemory, to.q, 4, lay.F)
            scale, Rscale = phi[lay.S :], u[lay.S :]
            through_norm_along(RG, D, Z, RZ, q, Rq, scale, Rscale, v[lay.S :], v[lay.T :])
        else:
            add_column_sums(v[lay.B :], RG, lay.rows)
        if layer > 0:
            RE = cleared_slope(away.layers[layer - 1], Rmemory)
        for term in range(2 if layer > 0 else 1):  # R{aᵀ dz} = aᵀ Rdz + Raᵀ dz, R{dz Wᵀ} alike
            a = inputs(away, layer, X, Rmemory) if term else inputs(net, layer, X, memory)
            dz = G if term else RG
            add_outer(weight(lay, v), a, seen(net, lay), dz, lay.rows)
            if layer > 0:
                W = turned_weight(lay, u if term else phi, turned)
                add_scattered(RE, dz, seen(net, lay), W, lay.rows)


# ------------------------------------------------------------------ where things are


@compiled
def matrix(memory, start, rows, columns):
    return memory[start : start + rows * columns].reshape(rows, columns)


@compiled
def inputs(net, layer, X, memory):
    """What goes into a layer, with the row of zeros at its end."""
    if layer == 0:
        return X
    before = net.layers[layer - 1]
    return matrix(memory, before.A, room_for(before.after), before.F)


@compiled
def weight(lay, phi):
    """W (P, C, F) of a layer among the parameters."""
    return phi[lay.W : lay.W + lay.P * lay.C * lay.F].reshape(lay.P, lay.C, lay.F)


@compiled
def turned_weight(lay, phi, turned):
    """W of a layer with inputs and outputs changed over, (P, F, C), written to `turned`."""
    W = weight(lay, phi)
    out = turned[: W.size].reshape(lay.P, lay.F, lay.C)
    for p in range(lay.P):
        transpose(out[p], W[p], lay.C, lay.F)
    return out


@compiled
def marks(lay, passed):
    """(rows, F): where y is passed on to a."""
    return matrix(passed, lay.passed, lay.rows, lay.F)


@compiled
def seen(net, lay):
    """The table (P, rows) of a layer: the row of its inputs that each output sees at each place."""
    return matrix(net.tables, lay.seen, lay.P, room_for(lay.rows))


@compiled
def pooled(net, lay):
    """(area, rows after pooling): the rows that are pooled to one."""
    return matrix(net.tables, lay.pooled, lay.area, lay.after)


@compiled
def largest(net, lay):
    """(window, windows): the rows of which the largest is passed on."""
    return matrix(net.tables, lay.largest, lay.window, lay.windows)


@compiled
def cleared_slope(lay, memory):
    """E of a layer, set to 0, with room for what falls beyond the edge."""
    E = matrix(memory, lay.E, room_for(lay.after), lay.F)
    E[:] = 0
    return E


@compiled
def through_pooling(net, lay, memory, passed):
    """d from the slopes of a."""
    D, mask = matrix(memory, lay.D, lay.rows, lay.F), marks(lay, passed)
    if lay.E == lay.D:
        keep_passed(D, mask)
    else:
        E = matrix(memory, lay.E, lay.after, lay.F)
        pass_back(D, E, mask, pooled(net, lay), lay.scale)


# ------------------------------------------------------------------ convolutions


@compiled
def unfold(out, image, pixels):
    """The pixels that the first layer sees, example by example: out (rows, C), image (examples, pixels)."""
    rows, C = pixels.shape
    zero = out.dtype.type(0)
    for example in range(len(image)):
        for r in range(rows):
            for c in range(C):
                pixel = pixels[r, c]
                out[example * rows + r, c] = image[example, pixel] if pixel >= 0 else zero


@compiled
def add_convolved(out, a, table, W, n):
    """out[r] += Σ_p a[table[p, r]] W[p] over n rows, and to the end of their last tile."""
    P, C, F = W.shape
    lanes = BYTES // out.itemsize
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        for p in range(P):
            names, w, j = table[p], W[p], 0
            while j < F:
                if F - j >= WIDE * lanes:
                    for i in range(first, last, ROWS):
                        gather_wide(out, i, j, a, w, C, names)
                    j += WIDE * lanes
                else:
                    for i in range(first, last, ROWS):
                        gather(out, i, j, a, w, C, names)
                    j += lanes


@compiled
def add_scattered(out, d, table, W, n):
    """out[table[p, r]] += d[r] W[p] for W (P, F, C): the slope of what goes into a convolution."""
    P, F, C = W.shape
    lanes = BYTES // out.itemsize
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        for p in range(P):
            names, w, j = table[p], W[p], 0
            while j < C:
                if C - j >= WIDE * lanes:
                    for i in range(first, last, ROWS):
                        scatter_wide(out, i, j, d, w, F, names)
                    j += WIDE * lanes
                else:
                    for i in range(first, last, ROWS):
                        scatter(out, i, j, d, w, F, names)
                    j += lanes


@compiled
def add_outer(out, a, table, d, n):
    """out[p] += Σ_r a[table[p, r]]ᵀ d[r] over n rows: the slope of a convolution's weight (P, C, F)."""
    P, C, F = out.shape
    lanes = BYTES // out.itemsize
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        terms, slopes = last - first, d[first:last]
        for p in range(P):
            names, w, j = table[p, first:last], out[p], 0
            while j < F:
                if F - j >= WIDE * lanes:
                    for i in range(0, C, ROWS):
                        outer_wide(w, i, j, a, slopes, terms, names)
                    j += WIDE * lanes
                else:
                    for i in range(0, C, ROWS):
                        outer(w, i, j, a, slopes, terms, names)
                    j += lanes


# ------------------------------------------------------------------ batch norm


@compiled
def normalise(Z, q, n, eps, width):
    """z becomes x. q (4, F): 1/standard deviation, room for mean d and mean (d x), and for a sum."""
    F = Z.shape[1]
    means(q[1], Z, n, q[3])
    for r in range(n):
        for f in range(F):
            Z[r, f] -= q[1, f]
    mean_products(q[0], Z, Z, n, q[3])
    for f in range(F):  # padding stays 0 whatever ε is
        q[0, f] = 1 / np.sqrt(q[0, f] + eps) if f < width else 0
    for r in range(n):
        for f in range(F):
            Z[r, f] *= q[0, f]


@compiled
def through_norm(D, X, q, scale, g_scale, g_shift):
    """d becomes dz = γ q (d − mean d − x mean (d x)); adds dγ and dβ to g's."""
    n, F = X.shape
    means(q[1], D, n, q[3])
    mean_products(q[2], D, X, n, q[3])
    for f in range(F):
        g_shift[f] += n * q[1, f]
        g_scale[f] += n * q[2, f]
    for r in range(n):
        for f in range(F):
            D[r, f] = scale[f] * q[0, f] * (D[r, f] - q[1, f] - X[r, f] * q[2, f])


@compiled
def normalise_along(R, X, q, Rq, n):
    """Rz becomes Rx = q (Rz − mean Rz − x μ); Rq (4, F): −q² μ, and room for more."""
    F = R.shape[1]
    means(Rq[1], R, n, Rq[3])
    mean_products(Rq[2], X, R, n, Rq[3])
    for r in range(n):
        for f in range(F):
            R[r, f] = q[0, f] * (R[r, f] - Rq[1, f] - X[r, f] * Rq[2, f])
    for f in range(F):
        Rq[0, f] = -q[0, f] * q[0, f] * Rq[2, f]


@compiled
def through_norm_along(RD, D, X, RX, q, Rq, scale, Rscale, v_scale, v_shift):
    """Rd becomes Rdz; adds Rdγ and Rdβ to v's."""
    n, F = D.shape
    means(Rq[1], RD, n, Rq[3])
    mean_products(Rq[2], RD, X, n, Rq[3])
    outer, inner = np.empty_like(q[0]), np.empty_like(q[0])  # the factors in front of the brackets
    mean_products(inner, D, RX, n, Rq[3])
    for f in range(F):
        Rq[2, f] += inner[f]  # Rdγ/N
        v_shift[f] += n * Rq[1, f]
        v_scale[f] += n * Rq[2, f]
        outer[f] = Rscale[f] * q[0, f] + scale[f] * Rq[0, f]
        inner[f] = scale[f] * q[0, f]
    for r in range(n):
        for f in range(F):
            slope = D[r, f] - q[1, f] - X[r, f] * q[2, f]
            turned = RD[r, f] - Rq[1, f] - RX[r, f] * q[2, f] - X[r, f] * Rq[2, f]
            RD[r, f] = outer[f] * slope + inner[f] * turned


# ------------------------------------------------------------------ ReLU and pooling


@compiled
def mark_active(passed, X, scale, shift):
    """Marks where relu(γ x + β) passes something on: everywhere but where it is 0, so that NaN passes."""
    n, F = passed.shape
    for r in range(n):
        for f in range(F):
            passed[r, f] = not scale[f] * X[r, f] + shift[f] <= 0


@compiled
def mark_largest(passed, X, scale, shift, windows):
    """The same for the largest y of each window: of equal ones the first, and NaN before all others."""
    F = X.shape[1]
    best, top = np.empty(F, np.int8), np.empty(F, X.dtype)
    for r in range(windows.shape[1]):
        for place in range(len(windows)):
            row = windows[place, r]
            for f in range(F):
                y = scale[f] * X[row, f] + shift[f]
                better = place == 0 or y > top[f] or np.isnan(y)
                top[f] = y if better else top[f]
                best[f] = place if better else best[f]
        for place in range(len(windows)):
            row = windows[place, r]
            for f in range(F):
                passed[row, f] = best[f] == place and not top[f] <= 0


@compiled
def activate(A, passed, X, scale, shift, places, factor):
    """a: `factor` times the sum over places of what is passed on of y = γ x + β."""
    n, F = A.shape
    factor, zero = A.dtype.type(factor), A.dtype.type(0)
    for r in range(n):
        for place in range(len(places)):
            row = places[place, r]
            for f in range(F):
                y = factor * (scale[f] * X[row, f] + shift[f])
                before = A[r, f] if place > 0 else zero
                A[r, f] = before + (y if passed[row, f] else zero)


@compiled
def pass_back(D, E, passed, places, factor):
    """d: where y was passed on, `factor` times the slope of the a that it was pooled to; else 0."""
    n, F = E.shape
    factor, zero = D.dtype.type(factor), D.dtype.type(0)
    if len(places) * n < len(D):  # some rows are pooled with no others
        D[:] = 0
    for r in range(n):
        for place in range(len(places)):
            row = places[place, r]
            for f in range(F):
                slope = factor * E[r, f]
                D[row, f] = slope if passed[row, f] else zero


@compiled
def keep_passed(D, passed):
    """The same where nothing is pooled, in place."""
    n, F = D.shape
    zero = D.dtype.type(0)
    for r in range(n):
        for f in range(F):
            slope = D[r, f]
            D[r, f] = slope if passed[r, f] else zero


@compiled
def activate_along(RA, passed, RX, X, scale, Rscale, Rshift, places, factor):
    """Ra: Ry = γ Rx + Rγ x + Rβ where y was passed on, summed over places."""
    n, F = RA.shape
    factor, zero = RA.dtype.type(factor), RA.dtype.type(0)
    for r in range(n):
        for place in range(len(places)):
            row = places[place, r]
            for f in range(F):
                y = factor * (scale[f] * RX[row, f] + Rscale[f] * X[row, f] + Rshift[f])
                before = RA[r, f] if place > 0 else zero
                RA[r, f] = before + (y if passed[row, f] else zero)


# ------------------------------------------------------------------ sums over rows


@compiled
def means(out, a, n, part):
    """The mean of each column over n rows; added up in parts, which keeps rounding small."""
    out[:] = 0
    for first in range(0, n, BLOCK):
        part[:] = 0
        for r in range(first, min(first + BLOCK, n)):
            for f in range(len(out)):
                part[f] += a[r, f]
        for f in range(len(out)):
            out[f] += part[f]
    for f in range(len(out)):
        out[f] /= n


@compiled
def mean_products(out, a, b, n, part):
    """The mean of a b of each column."""
    out[:] = 0
    for first in range(0, n, BLOCK):
        part[:] = 0
        for r in range(first, min(first + BLOCK, n)):
            for f in range(len(out)):
                part[f] += a[r, f] * b[r, f]
        for f in range(len(out)):
            out[f] += part[f]
    for f in range(len(out)):
        out[f] /= n


@compiled
def add_column_sums(out, a, n):
    for r in range(n):
        for f in range(a.shape[1]):
            out[f] += a[r, f]
