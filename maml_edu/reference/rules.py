"""What each NumPy operation does to slopes: one line per operation in `RULES`.

A rule gets the result, the operands and the options of an operation and returns, per operand, a
function from the slope g = dL/dout to dL/doperand. It is written in plain NumPy, so it can be
differentiated in its turn. An operation that is made of others stands in `COMPOSED`, one whose
derivative is zero in `CONSTANT`; for the rest `HINTS` says what to use instead.
"""

import itertools

import numpy as np

from .autodiff import (
    COMPOSED,
    CONSTANT,
    HINTS,
    RULES,
    Traced,
    cast,
    plain,
    record,
    take,
)


def _put(slope, index, shape):
    """The transpose of `take`: an array of zeros with `slope` added at `index`."""
    if isinstance(slope, Traced):
        return record(_put, (slope, index, shape), {})
    out = np.zeros(shape, np.asarray(slope).dtype)
    np.add.at(out, index, slope)
    return out


def _joined(*parts, axis=0):
    return np.concatenate(parts, axis=axis)


def _sum_to(slope, shape):
    """The transpose of broadcasting: sum `slope` over the axes along which `shape` was stretched."""
    if np.shape(slope) == shape:
        return slope
    extra = np.ndim(slope) - len(shape)
    stretched = [
        i + extra for i, n in enumerate(shape) if n == 1 and np.shape(slope)[i + extra] != 1
    ]
    return np.reshape(np.sum(slope, axis=(*range(extra), *stretched)), shape)


def _spread(slope, x, axis):
    """The transpose of a reduction of `x` over `axis`: `slope` in the shape of `x`."""
    return np.broadcast_to(np.reshape(slope, _kept(x, axis)), np.shape(x))


def _kept(x, axis):
    axes = range(np.ndim(x)) if axis is None else np.atleast_1d(axis) % np.ndim(x)
    return tuple(1 if i in axes else n for i, n in enumerate(np.shape(x)))


def _to(x, pull):
    """A backward rule for an operand `x` that may have been broadcast."""
    return lambda g: _sum_to(pull(g), np.shape(x))


def _extreme(out, x, axis=None, *, keepdims=False):
    """max and min: the slope goes to the largest element, shared equally between ties."""
    hit = plain(x) == np.reshape(plain(out), _kept(x, axis))
    share = hit / np.sum(
        hit, axis=axis if axis is None else tuple(np.atleast_1d(axis)), keepdims=True
    )
    return [lambda g: _spread(g, x, axis) * share]


def _larger(out, x, y):
    """maximum and minimum: the slope goes to the operand that was taken, half each at a tie (of two that vary)."""
    took_x = (plain(x) == plain(out)) / (1.0 + (plain(x) == plain(y)))
    return [_to(x, lambda g: g * took_x), _to(y, lambda g: g * (1.0 - took_x))]


def _power(out, x, p):
    lower = p - 1.0
    if not (np.all(plain(p)) or np.all(plain(x))):  # x⁰ has slope 0, at x = 0 too
        lower = np.where((plain(p) == 0) & (plain(x) == 0), 1.0, lower)
    log_x = lambda: np.log(np.where(plain(x) > 0, x, 1.0))
    return [_to(x, lambda g: g * p * x**lower), _to(p, lambda g: g * out * log_x())]


def _transposed(out, x, axes=None):
    back = None if axes is None else np.argsort(np.asarray(axes) % np.ndim(x))
    return [lambda g: np.transpose(g, back)]


def _matmul(out, x, y):
    swap = lambda a: np.swapaxes(a, -1, -2)
    return [_to(x, lambda g: g @ swap(y)), _to(y, lambda g: swap(x) @ g)]


def _split(out, *parts, axis=0):
    stops = np.cumsum([0] + [np.shape(part)[axis] for part in parts])
    at = (slice(None),) * (axis % np.ndim(out))
    return [lambda g, a=a, b=b: g[(*at, slice(a, b))] for a, b in itertools.pairwise(stops)]


# ------------------------------------------------------------------ the rules
# For out = op(x, y, …): one function per operand, from the slope g = dL/dout to dL/doperand.

RULES |= {
    np.add: lambda out, x, y: [_to(x, lambda g: g), _to(y, lambda g: g)],
    np.subtract: lambda out, x, y: [_to(x, lambda g: g), _to(y, lambda g: -g)],
    np.multiply: lambda out, x, y: [_to(x, lambda g: g * y), _to(y, lambda g: g * x)],
    np.divide: lambda out, x, y: [
        _to(x, lambda g: g / y),
        _to(y, lambda g: -g * out / y),
    ],
    np.negative: lambda out, x: [lambda g: -g],
    np.positive: lambda out, x: [lambda g: g],
    np.power: _power,
    np.square: lambda out, x: [lambda g: g * 2.0 * x],
    np.sqrt: lambda out, x: [lambda g: g / (2.0 * out)],
    np.exp: lambda out, x: [lambda g: g * out],
    np.expm1: lambda out, x: [lambda g: g * (out + 1.0)],
    np.log: lambda out, x: [lambda g: g / x],
    np.log1p: lambda out, x: [lambda g: g / (1.0 + x)],
    np.sin: lambda out, x: [lambda g: g * np.cos(x)],
    np.cos: lambda out, x: [lambda g: -g * np.sin(x)],
    np.tanh: lambda out, x: [lambda g: g * (1.0 - out * out)],
    np.absolute: lambda out, x: [lambda g: g * np.sign(plain(x))],
    np.maximum: _larger,
    np.minimum: _larger,
    np.logaddexp: lambda out, x, y: [
        _to(x, lambda g: g * np.exp(x - out)),
        _to(y, lambda g: g * np.exp(y - out)),
    ],
    np.matmul: _matmul,
    np.sum: lambda out, x, axis=None, *, keepdims=False: [lambda g: _spread(g, x, axis)],
    np.max: _extreme,
    np.min: _extreme,
    np.amax: _extreme,
    np.amin: _extreme,
    np.reshape: lambda out, x, shape: [lambda g: np.reshape(g, np.shape(x))],
    np.transpose: _transposed,
    np.broadcast_to: lambda out, x, shape: [lambda g: _sum_to(g, np.shape(x))],
    np.where: lambda out, where, x, y: [
        None,
        _to(x, lambda g: np.where(where, g, 0.0)),
        _to(y, lambda g: np.where(where, 0.0, g)),
    ],
    take: lambda out, x, index: [lambda g: _put(g, index, np.shape(x))],
    _put: lambda out, slope, index, shape: [lambda g: g[index]],
    cast: lambda out, x, dtype: [lambda g: cast(g, x.dtype)],
    _joined: _split,
}

# Piecewise constant, or about shapes: a plain result, no derivative.
CONSTANT |= {
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(
        np.sign,
        np.floor,
        np.ceil,
        np.rint,
        np.isfinite,
        np.isnan,
        np.isinf,
        np.logical_not,
    ),
    *(
        np.logical_and,
        np.logical_or,
        np.argmax,
        np.argmin,
        np.argsort,
        np.shape,
        np.ndim,
        np.size,
    ),
    *(
        np.zeros_like,
        np.ones_like,
        np.full_like,
        np.empty_like,
        np.allclose,
        np.isclose,
    ),
    *(np.array_equal, np.result_type, np.any, np.all, np.count_nonzero, np.array_repr),
}


def _mean(x, axis=None, *, keepdims=False):
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (np.size(x) / np.size(total))


def _var(x, axis=None, *, ddof=0, keepdims=False):
    total = np.sum(np.square(x - _mean(x, axis, keepdims=True)), axis=axis, keepdims=keepdims)
    return total / (np.size(x) / np.size(total) - ddof)


def _matmul_any(x, y):
    """matmul with vectors made into matrices, so that the rule above sees matrices alone."""
    if np.ndim(y) == 1:
        return _matmul_any(x, np.reshape(y, (-1, 1)))[..., 0]
    if np.ndim(x) == 1:
        return _matmul_any(np.reshape(x, (1, -1)), y)[..., 0, :]
    return record(np.matmul, (x, y), {})


def _dot(x, y):
    if np.ndim(x) == 0 or np.ndim(y) == 0:
        return x * y
    if np.ndim(y) > 2:
        raise NotImplementedError("np.dot with more than two axes on the right: use matmul (@).")
    return _matmul_any(x, y)


def _against_a_constant(op, wins):
    """maximum and minimum; at a tie with a constant the slope is 0, as in PyTorch's ReLU."""

    def chosen(x, y):
        if isinstance(x, Traced) and isinstance(y, Traced):
            return record(op, (x, y), {})
        x, constant = (x, y) if isinstance(x, Traced) else (y, x)
        return np.where(wins(constant, x), constant, x)

    return chosen


def _norm(x, ord=None, axis=None, *, keepdims=False):
    if ord is not None:
        raise NotImplementedError("np.linalg.norm with ord: write it with np.sum and np.absolute.")
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _clipped(x, a_min=None, a_max=None, *, min=None, max=None):
    low, high = a_min if min is None else min, a_max if max is None else max
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _concatenated(parts, axis=0):
    if axis is None:
        parts, axis = [np.reshape(part, -1) for part in parts], 0
    return record(_joined, tuple(parts), {"axis": axis})


def _moved(x, source, destination):
    source, destination = (np.atleast_1d(a) % np.ndim(x) for a in (source, destination))
    order = [i for i in range(np.ndim(x)) if i not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return np.transpose(x, order)


def _swapped(x, a, b):
    order = list(range(np.ndim(x)))
    order[a], order[b] = order[b], order[a]
    return np.transpose(x, order)


def _widened(x, axis):
    axis = axis % (np.ndim(x) + 1)
    return np.reshape(x, np.shape(x)[:axis] + (1,) + np.shape(x)[axis:])


def _squeezed(x, axis=None):
    drop = [i for i, n in enumerate(np.shape(x)) if n == 1]
    drop = drop if axis is None else list(np.atleast_1d(axis) % np.ndim(x))
    return np.reshape(x, [n for i, n in enumerate(np.shape(x)) if i not in drop])


# Everything that is made of the operations above.
COMPOSED |= {
    np.matmul: _matmul_any,
    np.dot: _dot,
    np.maximum: _against_a_constant(np.maximum, np.greater_equal),
    np.minimum: _against_a_constant(np.minimum, np.less_equal),
    np.outer: lambda x, y: np.reshape(x, (-1, 1)) * np.reshape(y, (1, -1)),
    np.where: lambda condition, x, y: record(np.where, (plain(condition), x, y), {}),
    np.concatenate: _concatenated,
    np.stack: lambda parts, axis=0: np.concatenate([_widened(p, axis) for p in parts], axis),
    np.mean: _mean,
    np.var: _var,
    np.std: lambda x, axis=None, **options: np.sqrt(_var(x, axis, **options)),
    np.linalg.norm: _norm,
    np.clip: _clipped,
    np.reciprocal: lambda x: 1.0 / x,
    np.tan: lambda x: np.sin(x) / np.cos(x),
    np.sinh: lambda x: (np.exp(x) - np.exp(-x)) / 2.0,
    np.cosh: lambda x: (np.exp(x) + np.exp(-x)) / 2.0,
    np.log2: lambda x: np.log(x) / np.log(2.0),
    np.log10: lambda x: np.log(x) / np.log(10.0),
    np.ravel: lambda x: np.reshape(x, -1),
    np.expand_dims: _widened,
    np.squeeze: _squeezed,
    np.swapaxes: _swapped,
    np.moveaxis: _moved,
    np.copy: lambda x: x + 0.0,
}

HINTS |= {
    "einsum": "use matmul (@), transpose and sum",
    "tensordot": "use reshape and matmul (@)",
    "cumsum": "multiply by a lower triangle of ones: np.tril(np.ones((n, n))) @ x",
    "prod": "use np.exp(np.sum(np.log(x))) for positive x, or multiply one by one",
    "vstack": "use np.concatenate or np.stack",
    "hstack": "use np.concatenate or np.stack",
    "append": "use np.concatenate",
    "sort": "index with np.argsort(x): x[np.argsort(x)]",
    "median": "index the sorted values: x[np.argsort(x)]",
    "diag": "multiply by np.eye(n), or index with two integer arrays",
    "trace": "sum the diagonal: np.sum(x * np.eye(n))",
    "tile": "use np.broadcast_to and reshape, or np.concatenate",
    "repeat": "index with an integer array: x[np.repeat(np.arange(n), k)]",
    "floor_divide": "its slope is 0: apply stop_gradient to the operands",
    "remainder": "subtract stop_gradient(np.floor(x / y)) * y",
    "add.reduce": "use np.sum",
    "maximum.reduce": "use np.max",
}
