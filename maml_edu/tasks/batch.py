"""`TaskBatch`: what every task family samples and every learner takes."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

FIELDS = ("support_x", "support_y", "query_x", "query_y")


@dataclass(frozen=True)
class TaskBatch:
    """A meta-batch: arrays (or tensors) whose leading axis counts tasks, the second one examples.

    support_x (tasks, shots, …), support_y (tasks, shots, …): what a task is learned from;
    query_x (tasks, queries, …), query_y (tasks, queries, …): what it is judged on.
    Raises ValueError when the four do not fit together, are empty, or hold NaN or infinity.
    """

    support_x: Any
    support_y: Any
    query_x: Any
    query_y: Any

    def __post_init__(self):
        for name in FIELDS:
            if not hasattr(getattr(self, name), "shape"):
                object.__setattr__(self, name, _as_array(name, getattr(self, name)))
            _refuse_text(name, getattr(self, name))
        shapes = {name: tuple(getattr(self, name).shape) for name in FIELDS}
        if any(len(shape) < 2 for shape in shapes.values()):
            raise ValueError(
                f"each array needs the axes (tasks, examples, …); got {_listed(shapes)}."
            )
        if len({shape[0] for shape in shapes.values()}) > 1:
            raise ValueError(f"the arrays differ in their number of tasks: {_listed(shapes)}.")
        for role in ("support", "query"):
            if shapes[f"{role}_x"][1] != shapes[f"{role}_y"][1]:
                raise ValueError(f"{role} x and y differ in examples per task: {_listed(shapes)}.")
        if shapes["support_x"][2:] != shapes["query_x"][2:]:
            raise ValueError(f"support and query examples differ in shape: {_listed(shapes)}.")
        if any(0 in shape for shape in shapes.values()):
            raise ValueError(f"the batch is empty: {_listed(shapes)}. Sample at least one task.")
        for name in FIELDS:
            _refuse_nan(name, getattr(self, name))

    def __len__(self) -> int:
        """Number of tasks."""
        return self.support_x.shape[0]

    def __iter__(self):
        """(support_x, support_y, query_x, query_y) task by task."""
        return zip(*(getattr(self, name) for name in FIELDS), strict=True)


def _as_array(name, values):
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not a regular array: {error}") from None


def _refuse_text(name, values):
    if isinstance(values, np.ndarray) and values.dtype.kind not in "biufc":
        raise ValueError(f"{name} must hold numbers; its dtype is {values.dtype}.")


def _refuse_nan(name, values):
    # A tensor on a GPU is not looked at here: that would make the GPU wait for Python every time.
    if isinstance(values, np.ndarray):
        bad = values.dtype.kind in "fc" and not np.isfinite(values).all()
    else:
        on_cpu = getattr(getattr(values, "device", None), "type", "cpu") == "cpu"
        bad = on_cpu and values.dtype.is_floating_point and not values.isfinite().all()
    if bad:
        raise ValueError(f"{name} contains NaN or infinity: look at the data before training.")


def _listed(shapes):
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def whole(name, value) -> int:
    """A whole number ≥ 1 as an int; ValueError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number ≥ 1; got {value!r}.")
    return number
