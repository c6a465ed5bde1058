"""Reverse-mode differentiation of plain NumPy code, to any order.

Start from `grad`. A function is run once on `Traced` values, which take part in NumPy's own
dispatch (`__array_ufunc__`, `__array_function__`): code under differentiation is written with
`np.` and nothing else. Every operation on them is written to a `Tape`; `Tape.pull_back` walks the
tape from the last line to the first and applies each operation's local rule (`rules.py`).

The rules are plain NumPy too. Inside an outer `grad` the values on the inner tape are themselves
traced, so the backward pass is recorded by the outer tape: that is all that a gradient of a
gradient needs.
"""

import inspect
import itertools

import numpy as np

# What the operations mean for traced values; filled by rules.py, which explains each.
RULES, COMPOSED, CONSTANT, HINTS = {}, {}, set(), {}

_levels = itertools.count(1)  # a tape made later belongs to a grad further inside


# ------------------------------------------------------------------ what a user calls


def grad(f):
    """df/dparams as a function: `grad(f)(params, *rest, **options)` has the structure of `params`.

    `params` is a number, an array, or a dict/list/tuple of them, nested as you like; `f` returns one
    number. Raises ValueError when it does not, TypeError when `params` holds something else.
    """
    return lambda params, *rest, **options: value_and_grad(f)(params, *rest, **options)[1]


def value_and_grad(f):
    """Like `grad`, but returns `(f(params, *rest), gradient)` for the price of one backward pass."""

    def value_and_gradient(params, *rest, **options):
        tape, out, rebuild = _trace(f, params, rest, options)
        if np.shape(out) != ():
            raise ValueError(
                f"grad needs a function that returns one number, but it returned an array of shape "
                f"{np.shape(out)}: take np.mean or np.sum of it, or use jacobian."
            )
        slopes = rebuild(tape.pull_back(out, 1.0))
        tape.open = False
        return out.value if tape.holds(out) else out, slopes

    return value_and_gradient


def jacobian(f):
    """df/dx as a function: each leaf of the result has shape `f(x).shape + leaf.shape`."""

    def jacobian_of(x, *rest, **options):
        tape, out, rebuild = _trace(f, x, rest, options)
        shape = np.shape(out)
        units = np.eye(int(np.prod(shape))).reshape(-1, *shape)  # one output element at a time
        rows = [tape.pull_back(out, unit) for unit in units]
        tape.open = False
        stacked = [np.stack(column) for column in zip(*rows, strict=True)]
        return rebuild([np.reshape(leaf, shape + np.shape(leaf)[1:]) for leaf in stacked])

    return jacobian_of


def hvp(f, params, v):
    """H v, the Hessian of `f` at `params` times a direction `v` like `params`, without forming H.

    Reverse over reverse: H v = d/dparams ⟨df/dparams, v⟩, with v held fixed.
    """
    return grad(lambda p: _inner(grad(f)(p), v))(params)


def stop_gradient(x):
    """`x` as plain numbers: whatever led to them is left out of every derivative."""
    leaves, rebuild = _flatten(x)
    return rebuild([plain(leaf) for leaf in leaves])


# ------------------------------------------------------------------ the tape


class Tape:
    """What was computed from the parameters, in order: per value, who fed it and how to go back."""

    def __init__(self):
        self.level = next(_levels)
        self.open = True  # until its gradient has been taken
        self.lines = []  # one per traced value: [(index of a parent, its backward rule), …]

    def record(self, value, parents=()):
        self.lines.append(parents)
        return Traced(value, self, len(self.lines) - 1)

    def holds(self, x):
        return isinstance(x, Traced) and x.tape is self

    def pull_back(self, out, cotangent):
        """Σ cotangent · dout/dleaf for every leaf (the first lines of the tape), last line first."""
        slopes = {out.index: cotangent} if self.holds(out) else {}
        for index in range(len(self.lines) - 1, len(self.leaves) - 1, -1):
            slope = slopes.pop(index, None)
            if slope is None:
                continue
            for parent, pull in self.lines[index]:
                part = pull(slope)
                slopes[parent] = slopes[parent] + part if parent in slopes else part
        return [_like(slopes.get(i, 0.0), leaf) for i, leaf in enumerate(self.leaves)]


def _trace(f, params, rest, options):
    """Run `f` on traced copies of the leaves of `params`."""
    leaves, rebuild = _flatten(params)
    tape = Tape()
    tape.leaves = [_as_float(leaf) for leaf in leaves]
    out = f(rebuild([tape.record(leaf) for leaf in tape.leaves]), *rest, **options)
    if out is None:
        raise TypeError("the function to differentiate returned None: is its `return` missing?")
    if isinstance(out, (dict, list, tuple, str)):
        raise TypeError(
            f"the function to differentiate returned a {type(out).__name__}: return the one number "
            f"(or, for jacobian, the array) that is to be differentiated."
        )
    if isinstance(out, Traced) and not out.tape.open:
        raise ValueError(_KEPT)
    return tape, out, rebuild


def _flatten(tree):
    """Leaves of nested dicts, lists and tuples, and a function that puts others in their places."""
    if isinstance(tree, dict):
        keys, children = list(tree), list(tree.values())
        build = lambda parts: dict(zip(keys, parts, strict=True))
    elif isinstance(tree, (list, tuple)):
        children = list(tree)
        build = (lambda parts: type(tree)(*parts)) if hasattr(tree, "_fields") else type(tree)
    else:
        return [tree], lambda leaves: leaves[0]
    pairs = [_flatten(child) for child in children]
    stops = list(itertools.accumulate((len(leaves) for leaves, _ in pairs), initial=0))

    def rebuild(leaves):
        return build(
            [put(leaves[a:b]) for (_, put), a, b in zip(pairs, stops[:-1], stops[1:], strict=True)]
        )

    return [leaf for leaves, _ in pairs for leaf in leaves], rebuild


def _inner(a, b):
    """⟨a, b⟩ of two structures alike."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return sum(_inner(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return sum(map(_inner, a, b))
    if isinstance(b, (dict, list, tuple)) or np.shape(a) != np.shape(b):
        raise ValueError("hvp: the direction v must have the structure and the shapes of params.")
    return np.sum(a * b)


def _as_float(leaf):
    if isinstance(leaf, Traced):
        return leaf
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"params may hold real numbers and arrays, not {type(leaf).__name__}.")
    return array if array.dtype.kind == "f" else array.astype(float)


def _like(slope, leaf):
    """A leaf's slope in the leaf's shape and dtype (an untouched leaf has slope 0)."""
    if np.shape(slope) != np.shape(leaf):
        slope = np.broadcast_to(slope, np.shape(leaf))
    if isinstance(slope, Traced):
        return slope if slope.dtype == leaf.dtype else slope.astype(leaf.dtype)
    return np.array(slope, dtype=leaf.dtype)


# ------------------------------------------------------------------ values under differentiation


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """A value on a tape. It behaves like the array in it; it cannot be written to."""

    __slots__ = ("index", "tape", "value")

    def __init__(self, value, tape, index):
        self.value, self.tape, self.index = value, tape, index

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            raise TypeError(_IN_PLACE)
        if method != "__call__":
            raise NotImplementedError(_no_rule(f"{ufunc.__name__}.{method}"))
        return _dispatch(ufunc, inputs, kwargs)

    def __array_function__(self, func, types, args, kwargs):
        if kwargs.get("out") is not None:
            raise TypeError(_IN_PLACE)
        return _dispatch(func, args, {k: v for k, v in kwargs.items() if k != "out"})

    def __getitem__(self, index):
        return record(take, (self, plain(index)), {})

    def __setitem__(self, index, value):
        raise TypeError(_IN_PLACE)

    def __iadd__(self, other):
        return self._new(self + other)

    def __isub__(self, other):
        return self._new(self - other)

    def __imul__(self, other):
        return self._new(self * other)

    def __itruediv__(self, other):
        return self._new(self / other)

    def _new(self, result):
        """What `x += y` makes of a number, as in NumPy: a new one. An array would be written to."""
        if self.ndim:
            raise TypeError(_IN_PLACE)
        return result

    def __array__(self, *args, **kwargs):
        raise TypeError(_CUT_OFF)

    def __float__(self):
        raise TypeError(_CUT_OFF)

    __int__ = __index__ = __complex__ = __float__

    def __bool__(self):
        return bool(plain(self))

    def __len__(self):
        return len(plain(self))

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"Traced({plain(self)!r})"

    def __format__(self, specification):
        return format(plain(self), specification)  # to look at: print(f"{loss:.3f}")

    def __deepcopy__(self, memo):
        return self + 0.0  # a copy that stays on the tape; a copy of the tape would lose it

    def __getattr__(self, name):
        if name.startswith("_"):  # NumPy and Python ask for these; they must hear a plain no
            raise AttributeError(name)
        raise _NoSuchMethod(_no_rule(name))

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: np.transpose(self))

    def astype(self, dtype, copy=True):
        if np.dtype(dtype).kind != "f":  # rounding to whole numbers is piecewise constant
            return plain(self).astype(dtype)
        return record(cast, (self, dtype), {})

    def reshape(self, *shape):
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        return np.transpose(self, (axes[0] if len(axes) == 1 else axes) or None)

    def clip(self, min=None, max=None, **options):
        # By position: the function has these keywords since NumPy 2.1 only.
        return np.clip(self, min, max, **options)

    def copy(self):
        return self + 0.0

    def flatten(self):
        return np.reshape(self, -1)

    def argmax(self, *args, **kwargs):
        return plain(self).argmax(*args, **kwargs)

    def argmin(self, *args, **kwargs):
        return plain(self).argmin(*args, **kwargs)


for _name in (
    "sum",
    "mean",
    "max",
    "min",
    "var",
    "std",
    "ravel",
    "squeeze",
    "swapaxes",
    "dot",
):
    _function = getattr(np, _name)
    setattr(
        Traced,
        _name,
        lambda self, *a, _function=_function, **k: _function(self, *a, **k),
    )


class _NoSuchMethod(NotImplementedError, AttributeError):
    """x.name for a name without a rule; an AttributeError too, so that hasattr says no."""


_IN_PLACE = (
    "a value under differentiation cannot be written to in place (x[i] = …, x += …, out=…): its "
    "derivative would be lost. Make a new one: x = x + …, np.where, np.stack or np.concatenate."
)
_KEPT = (
    "this value was kept from a call of grad that has ended (stored in a list or a global, say), so no "
    "derivative can flow through it: let the function return it, or keep stop_gradient(x)."
)
_CUT_OFF = (
    "this would turn a value under differentiation into a plain number and lose its derivative "
    "(float(x), math.exp(x), np.array([x, …]), np.asarray(x)). Use np. functions on it, np.stack to "
    "build an array of such values, or stop_gradient(x) where a constant is meant."
)


def plain(x):
    """`x` without tapes; looks into tuples and lists, for indices."""
    while isinstance(x, Traced):
        x = x.value
    return type(x)(map(plain, x)) if type(x) in (tuple, list) else x


def _dispatch(func, args, kwargs):
    """Find what `func` means for traced values: a rule, a composition, or a constant."""
    if func in CONSTANT:
        return func(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
    if func in COMPOSED:
        return _apply(COMPOSED[func], func, args, kwargs)
    if func in RULES:
        return record(func, args, kwargs)
    raise NotImplementedError(_no_rule(func.__name__))


def record(func, args, kwargs):
    """Run `func` one tape further out, and write it with its backward rules on the innermost tape."""
    tapes = [a.tape for a in args if isinstance(a, Traced)]
    if not tapes:
        return func(*args, **kwargs)
    if not all(tape.open for tape in tapes):
        raise ValueError(_KEPT)
    tape = max(tapes, key=lambda tape: tape.level)
    inner = [tape.holds(a) for a in args]
    values = [a.value if held else a for a, held in zip(args, inner, strict=True)]
    out = func(*values, **kwargs)
    pulls = _apply(RULES[func], func, (out, *values), kwargs)
    parents = [(a.index, pull) for a, held, pull in zip(args, inner, pulls, strict=False) if held]
    return tape.record(out, parents)


def _apply(rule, func, args, kwargs):
    """`rule(*args, **kwargs)`; NotImplementedError for an option that the rule does not know."""
    try:
        return rule(*args, **kwargs)
    except TypeError as error:
        try:
            inspect.signature(rule).bind(*args, **kwargs)
        except TypeError:
            options = ", ".join(kwargs) or "arguments by position"
            raise NotImplementedError(
                f"np.{func.__name__} is covered, but not called like this ({options}): leave such "
                f"options out, and name those you need (axis=…)."
            ) from error
        raise


def take(x, index):
    """Indexing as a function, so that it can have a rule."""
    return x[index]


def cast(x, dtype):
    """A change of dtype as a function, so that it can have a rule."""
    return x.astype(dtype) if isinstance(x, Traced) else np.asarray(x).astype(dtype)


def _no_rule(name):
    hint = HINTS.get(name, "write it with the operations listed in maml_edu/reference/rules.py")
    return f"np.{name} has no derivative rule here: {hint}."
