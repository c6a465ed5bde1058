"""Plain data: all that ever passes between a check and an answer.

Numbers, text, arrays, and lists, tuples and dicts of them; plus `Named` functions of the
catalogue, which travel as their names. So an answer may as well live in another process:
`encode` and `decode` turn plain data into JSON and back, and `call` is the answer's side of a call.
"""

from __future__ import annotations

import base64
import copy
import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .catalogue import Named

SCALARS = (bool, int, float, str, type(None))


_REAL = (
    "give real numbers. (np.linalg.eigvals may return complex ones by rounding. A symmetric matrix, such as a "
    "Hessian, has real eigenvalues: np.linalg.eigvalsh returns them as real numbers.)"
)


# What data from another process may hold at most: far more than any answer, and so little that no work with it
# takes long. The judge's time is everybody's.
DEEPEST = 64  # lists in each other
PARTS = 1 << 16  # numbers, words, lists; an array or a key counts as several
OF_AN_ARRAY, OF_A_KEY = 4, 8
NUMBERS = 1 << 21  # in an array
LETTERS = 1 << 20  # of one word
BITS = 1024  # of a whole number
# Of larger keys many have the same hash, and a dict is slow with those: each counts as many parts.
BITS_OF_A_KEY, OF_A_LARGE_KEY = 64, 1024


class NotPlain(TypeError):
    """A value that is not plain data; the message says which and where."""


class TooDeep(NotPlain):
    """Lists in lists in lists, more of them than anybody asks for."""


class TooLarge(ValueError):
    """Data that says more than any answer needs; the message goes on from "the result is"."""


FAR_LARGER = "far larger than what was asked for"
FAR_DEEPER = "nested far more deeply than what was asked for"


def call(function, args, interface: str = "plain", note_changes=None) -> Any:
    """The result of `function(*args)` as plain data; the arguments are copies, whatever it does.

    interface "plain": NumPy arrays in and out; "torch": float64 tensors in and out; "figure": arrays in,
    and what the figure shows out (`plotted`). note_changes, if given, is called with the places (a list of
    int) of arguments that the function has changed in place. Raises what the function raises, and NotPlain
    for a result that is not plain data.
    """
    to_answer, from_answer = INTERFACES[interface]
    copies = [to_answer(arg) for arg in args]
    returned = function(*copies)
    try:
        result = from_answer(returned)
    except RecursionError:
        raise TooDeep("the result is nested too deeply, or contains itself.") from None
    if note_changes is not None:
        pairs = enumerate(zip(copies, args, strict=True))
        note_changes([place for place, (now, before) in pairs if changed(now, before)])
    return result


def changed(now, before) -> bool:
    """Whether what an answer was given is no more what it was; put back to rounding is not changed."""
    if isinstance(before, Named):
        return False
    if isinstance(before, dict):
        same = isinstance(now, dict) and now.keys() == before.keys()
        return not same or any(changed(now[k], before[k]) for k in before)
    if isinstance(before, (list, tuple)):
        same = isinstance(now, (list, tuple)) and len(now) == len(before)
        return not same or any(map(changed, now, before))
    if isinstance(before, np.ndarray):
        return _array_changed(now, before)
    return now is not before and not (type(now) is type(before) and now == before)


def _array_changed(now, before):
    if hasattr(now, "detach"):  # a tensor
        now = now.detach().cpu().numpy()
    if not isinstance(now, np.ndarray) or now.shape != before.shape:
        return True
    if before.dtype.kind != "f" or now.dtype.kind != "f":
        return not np.array_equal(now, before)
    finite = np.abs(before[np.isfinite(before)])
    rounding = 1e-12 * float(finite.max(initial=0.0))
    return not np.allclose(now, before, rtol=0.0, atol=rounding, equal_nan=True)


def to_numpy_answer(value):
    """What a function that works on NumPy arrays is given."""
    return _walk(value, lambda leaf: leaf.numpy if isinstance(leaf, Named) else copy.deepcopy(leaf))


def to_torch_answer(value):
    """What a function that works on tensors is given: arrays become tensors."""
    import torch

    def leaf_of(leaf):
        if isinstance(leaf, Named):
            return leaf.torch
        return torch.tensor(leaf) if isinstance(leaf, np.ndarray) else leaf

    return _walk(value, leaf_of)


def to_plain(value, where: str = "the result", depth: int = 0) -> Any:
    """`value` as plain data: tensors become arrays, NumPy numbers Python's. NotPlain otherwise."""
    if depth > DEEPEST:
        raise TooDeep(f"the result is nested more than {DEEPEST} lists deep, or contains itself.")
    if isinstance(value, dict):
        return {_key(k, where): to_plain(v, f"{where}[{k!r}]", depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        parts = (to_plain(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value))
        return type_of(value)(parts)
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind == "c":
            raise NotPlain(f"{where} is an array of {value.dtype}: {_REAL}")
        if value.dtype.kind not in "biufU":
            raise NotPlain(f"{where} is an array of {value.dtype}: give an array of numbers.")
        if value.ndim:  # longdouble is another number on every kind of machine
            return np.array(value, np.float64 if value.dtype.str[1:] in LONG else value.dtype)
        return float(value) if value.dtype.kind == "f" else value.item()
    if isinstance(value, Named) or type(value) in SCALARS:
        return value
    if type(value) is complex:
        raise NotPlain(f"{where} is of type complex: {_REAL}")
    raise NotPlain(
        f"{where} is of type {type(value).__name__}: give numbers, arrays or a dict of them."
    )


def plotted(figure, where: str = "the result") -> list[dict[str, Any]]:
    """What a matplotlib figure (or axes) shows, per axes: its words, and lines and points as arrays."""
    axes = figure.axes if hasattr(figure, "add_subplot") else [figure]
    if not all(hasattr(one, "get_lines") for one in axes):
        raise NotPlain(f"{where} is of type {type(figure).__name__}: give the figure.")
    return [to_plain(_axes(one), where) for one in axes]


def _axes(axes):
    words = {"title": axes.get_title(), "xlabel": axes.get_xlabel(), "ylabel": axes.get_ylabel()}
    lines = [
        {
            "label": line.get_label(),
            "x": np.asarray(line.get_xdata()),
            "y": np.asarray(line.get_ydata()),
        }
        for line in axes.get_lines()
    ]
    points = [np.asarray(drawn.get_offsets()) for drawn in axes.collections]  # of scatter: (n, 2)
    return words | {"lines": lines, "points": points}


INTERFACES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "plain": (to_numpy_answer, to_plain),
    "torch": (to_torch_answer, to_plain),
    "figure": (to_numpy_answer, plotted),
}


def encode(value) -> str:
    """Plain data as one line of JSON; arrays keep dtype and shape, floats every bit."""
    return json.dumps(to_json(value))


def decode(text: str) -> Any:
    """What `encode` was given. Raises ValueError for anything else, so hostile text does no harm."""
    try:
        return from_json(json.loads(text))
    except RecursionError:
        raise ValueError("not plain data: nested too deeply") from None


def to_json(value) -> Any:
    """Plain data as what json.dumps takes."""
    if isinstance(value, Named):
        return {"function": value.name}
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, dict):
        return {"dict": [[key, to_json(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type_of(value).__name__: [to_json(item) for item in value]}
    return value


def from_json(value) -> Any:
    """Plain data from its JSON form. Raises ValueError for what `encode` would not have written, TooLarge for
    what nobody asks for."""
    return _Reader().read(value, 0)


class _Reader:
    """Reads one value. left: how many parts more it may have."""

    def __init__(self):
        self.left = PARTS

    def read(self, value, depth):
        self._count(1)
        if type(value) in SCALARS:
            return _scalar(value)
        if type(value) is not dict:
            raise ValueError("not plain data: a bare list")
        if value.keys() == {"array", "dtype", "shape"}:
            self._count(OF_AN_ARRAY)
            return _array(**value)
        if len(value) != 1:
            raise ValueError("not plain data: a dict that says too much")
        ((kind, items),) = value.items()
        if kind == "function" and type(items) is str:
            return Named(items)
        if kind not in ("list", "tuple", "dict") or type(items) is not list:
            raise ValueError(f"not plain data: a {str(kind)[:20]!r}")
        if depth >= DEEPEST:
            raise TooLarge(FAR_DEEPER)
        if kind == "dict":
            self._count(OF_A_KEY * len(items))
            return dict(self._pair(item, depth) for item in items)
        if len(items) > self.left:
            raise TooLarge(FAR_LARGER)
        return (list if kind == "list" else tuple)(self.read(item, depth + 1) for item in items)

    def _pair(self, item, depth):
        if type(item) is not list or len(item) != 2 or type(item[0]) not in (str, int):
            raise ValueError("not plain data: a dict whose parts are not key and value")
        if type(item[0]) is int and item[0].bit_length() > BITS_OF_A_KEY:
            self._count(OF_A_LARGE_KEY)
        return _scalar(item[0]), self.read(item[1], depth + 1)

    def _count(self, parts):
        self.left -= parts
        if self.left < 0:
            raise TooLarge(FAR_LARGER)


def _scalar(value):
    if (type(value) is str and len(value) > LETTERS) or (
        type(value) is int and value.bit_length() > BITS
    ):
        raise TooLarge(FAR_LARGER)
    return value


DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U\d{1,4})")
LONG = ("f12", "f16")
LARGEST = 1 << 24  # elements of an array, and of what is left when the axes of length 0 are dropped


def _array(array, dtype, shape):
    if type(dtype) is not str or not DTYPE.fullmatch(dtype) or type(array) is not str:
        raise ValueError("not plain data: an array of another kind")
    if (
        type(shape) is not list
        or len(shape) > DEEPEST
        or not all(type(n) is int and 0 <= n < 2**31 for n in shape)
    ):
        raise ValueError("not plain data: an array of no shape")
    if math.prod(n for n in shape if n) > LARGEST:
        raise ValueError("not plain data: an array of a size that cannot be")
    data = base64.b64decode(array, validate=True)
    try:
        flat = np.frombuffer(data, np.dtype(dtype)) if data else np.zeros(0, np.dtype(dtype))
    except TypeError as error:  # a number that this machine has not
        raise ValueError(f"not plain data: {error}") from None
    if flat.size > NUMBERS:
        raise TooLarge(FAR_LARGER)
    if flat.dtype.kind == "U":
        letters = flat.view(flat.dtype.byteorder.replace("|", "=") + "u4") if flat.size else flat
        if flat.size and letters.max() > 0x10FFFF:
            raise ValueError("not plain data: letters that there are not")
    if flat.dtype.kind == "b":
        flat = flat.view(np.uint8) != 0  # of a True that is no 1, arithmetic makes anything
    return flat.reshape(shape).copy()


def _walk(value, leaf_of):
    if isinstance(value, dict):
        return {key: _walk(item, leaf_of) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type_of(value)(_walk(item, leaf_of) for item in value)
    return leaf_of(value)


def type_of(value):
    return list if isinstance(value, list) else tuple


def _key(key, where):
    if not isinstance(key, (str, int)):
        raise NotPlain(f"{where} has the key {key!r}: keys must be text or whole numbers.")
    return key
