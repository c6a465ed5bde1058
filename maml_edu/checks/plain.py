"""Plain data: all that ever passes between a check and an answer.

Numbers, text, arrays, and lists, tuples and dicts of them; plus `Named` functions of the
catalogue, which travel as their names. So an answer may as well live in another process:
`encode` and `decode` turn plain data into JSON and back, and `call` is the answer's side of a call.
"""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import numpy as np

from .catalogue import Named

SCALARS = (bool, int, float, str, type(None))


class NotPlain(TypeError):
    """A value that is not plain data; the message says which and where."""


def call(function, args, interface: str = "plain") -> Any:
    """The result of `function(*args)` as plain data; the arguments are copies, whatever it does.

    interface "plain": NumPy arrays in and out; "torch": float64 tensors in and out. Raises what the
    function raises, and NotPlain for a result that is not plain data.
    """
    to_answer, from_answer = INTERFACES[interface]
    return from_answer(function(*[to_answer(arg) for arg in args]))


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


def to_plain(value, where: str = "the result") -> Any:
    """`value` as plain data: tensors become arrays, NumPy numbers Python's. NotPlain otherwise."""
    if isinstance(value, dict):
        return {_key(k, where): to_plain(v, f"{where}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type_of(value)(to_plain(v, f"{where}[{i}]") for i, v in enumerate(value))
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind not in "biufU":
            raise NotPlain(f"{where} is an array of {value.dtype}: give an array of numbers.")
        if value.ndim:
            return np.array(value)
        return float(value) if value.dtype.kind == "f" else value.item()
    if isinstance(value, Named) or type(value) in SCALARS:
        return value
    raise NotPlain(
        f"{where} is of type {type(value).__name__}: give numbers, arrays or a dict of them."
    )


INTERFACES = {"plain": (to_numpy_answer, to_plain), "torch": (to_torch_answer, to_plain)}


def encode(value) -> str:
    """Plain data as one line of JSON; arrays keep dtype and shape, floats every bit."""
    return json.dumps(_to_json(value))


def decode(text: str) -> Any:
    """What `encode` was given."""
    return _from_json(json.loads(text))


def _to_json(value):
    if isinstance(value, Named):
        return {"function": value.name}
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, dict):
        return {"dict": [[key, _to_json(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type_of(value).__name__: [_to_json(item) for item in value]}
    return value


def _from_json(value):
    if not isinstance(value, dict):
        return value
    if "array" in value:
        flat = np.frombuffer(base64.b64decode(value["array"]), value["dtype"])
        return flat.reshape(value["shape"]).copy()
    if "function" in value:
        return Named(value["function"])
    if "dict" in value:
        return {key: _from_json(item) for key, item in value["dict"]}
    kind, items = next(iter(value.items()))
    return {"list": list, "tuple": tuple}[kind](_from_json(item) for item in items)


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
