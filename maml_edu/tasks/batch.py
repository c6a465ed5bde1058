"""`TaskBatch`: what every task family samples and every learner takes. Start with `TaskBatch.of`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

FIELDS = ("support_x", "support_y", "query_x", "query_y")
_MASKS = ("support_mask", "query_mask")


@dataclass(frozen=True, eq=False, repr=False)
class TaskBatch:
    """A meta-batch: arrays (or tensors) whose first axis counts tasks and whose second counts examples.

    support_x (tasks, shots, …), support_y (tasks, shots, …): what a task is learned from.
    query_x (tasks, queries, …), query_y (tasks, queries, …): what it is judged on.
    support_mask (tasks, shots), query_mask (tasks, queries): True for a real example, False for padding,
        which fills up the smaller tasks of a batch. None means that every example is real.

    Masks may also be given as 0 and 1. What stands in the padding is never read: it may be anything.
    Raises ValueError if the parts do not fit together, if they are empty or a task has no real example, and
    if a real example contains NaN or infinity.
    """

    support_x: Any
    support_y: Any
    query_x: Any
    query_y: Any
    support_mask: Any = None
    query_mask: Any = None

    def __post_init__(self):
        for name in FIELDS:
            object.__setattr__(self, name, _array_or_tensor(name, getattr(self, name)))
        _check_shapes({name: tuple(getattr(self, name).shape) for name in FIELDS})
        for name in _MASKS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._checked_mask(name))
        for name in FIELDS:
            _refuse_nan(name, getattr(self, name), self._real(name.partition("_")[0]))

    def _checked_mask(self, name):
        mask = _array_or_tensor(name, getattr(self, name))
        expected = tuple(getattr(self, name.replace("mask", "x")).shape[:2])
        if tuple(mask.shape) != expected:
            raise ValueError(
                f"{name} has shape {tuple(mask.shape)}; it needs one entry per example, {expected}."
            )
        values = _on_host(mask)
        if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
            raise ValueError(f"{name} must be True for a real example and False for padding.")
        empty = np.flatnonzero(~values.astype(bool).any(axis=1))
        if len(empty):
            raise ValueError(f"{name} leaves task {empty[0]} without a real example.")
        return mask.astype(bool, copy=False) if isinstance(mask, np.ndarray) else mask.bool()

    # -------------------------------------------------------------- other ways to make one

    @classmethod
    def of(cls, batch) -> TaskBatch:
        """A TaskBatch made from whatever holds one.

        batch: a TaskBatch (returned as it is); an object with the attributes support_x, support_y, query_x
        and query_y (and masks, if it has them); or a tuple or list of these four arrays, in this order.
        Raises ValueError for anything else.
        """
        if isinstance(batch, TaskBatch):
            return batch
        if all(hasattr(batch, name) for name in FIELDS):
            masks = (getattr(batch, name, None) for name in _MASKS)
            return cls(*(getattr(batch, name) for name in FIELDS), *masks)
        expected = (
            f"a batch is a TaskBatch, an object with the attributes {', '.join(FIELDS)}, or a tuple of these four "
            f"arrays, each (tasks, examples, …)"
        )
        if not isinstance(batch, (tuple, list)):
            raise ValueError(f"{expected}; got {_kind(batch)}.")
        if any(_is_task(part) for part in batch):
            raise ValueError(
                f"{expected}; got {_kind(batch)} tasks: TaskBatch.padded(tasks) joins them."
            )
        if len(batch) != len(FIELDS):
            raise ValueError(f"{expected}; got {_kind(batch)}.")
        return cls(*batch)

    @classmethod
    def padded(cls, tasks: Iterable) -> TaskBatch:
        """One batch of tasks that may have different numbers of examples, with the masks that tell which are real.

        tasks: for each task support_x (shots, …), support_y (shots, …), query_x (queries, …) and
        query_y (queries, …). The padding is zeros. Arrays give arrays, tensors give tensors.
        Raises ValueError if the tasks differ in more than their number of examples.
        """
        tasks = list(tasks)
        if not tasks:
            raise ValueError("the batch is empty: give at least one task.")
        for number, task in enumerate(tasks):
            if not isinstance(task, (tuple, list)) or len(task) != len(FIELDS):
                raise ValueError(
                    f"task {number} must be a tuple of {', '.join(FIELDS)}; got {_kind(task)}."
                )
        columns = [
            _column(name, values)
            for name, values in zip(FIELDS, zip(*tasks, strict=True), strict=True)
        ]
        masks = [
            _padding_mask(role, *columns[at : at + 2])
            for role, at in (("support", 0), ("query", 2))
        ]
        return cls(*map(_filled_up, columns), *masks)

    @classmethod
    def trusted(cls, *values) -> TaskBatch:
        """A batch of six parts that nobody looks at: for a caller who has checked them, or made them to fit."""
        batch = object.__new__(cls)
        for name, value in zip((*FIELDS, *_MASKS), values, strict=True):
            object.__setattr__(batch, name, value)
        return batch

    # -------------------------------------------------------------- what is in it

    def __len__(self) -> int:
        """Number of tasks."""
        return self.support_x.shape[0]

    @property
    def arrays(self) -> tuple[Any, Any, Any, Any]:
        """(support_x, support_y, query_x, query_y), padding included."""
        return self.support_x, self.support_y, self.query_x, self.query_y

    def __iter__(self) -> Iterator[tuple[Any, Any, Any, Any]]:
        """(support_x, support_y, query_x, query_y) of one task after the other, without its padding."""
        if self.support_mask is None and self.query_mask is None:
            return zip(*self.arrays, strict=True)
        return self._without_padding()

    def _without_padding(self):
        real = self._real("support"), self._real("query")
        for task in range(len(self)):
            support, query = (
                slice(None) if mask is None else np.flatnonzero(mask[task]) for mask in real
            )
            yield (
                self.support_x[task][support],
                self.support_y[task][support],
                self.query_x[task][query],
                self.query_y[task][query],
            )

    def __repr__(self) -> str:
        parts = (
            f"{name} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
            for name in (*FIELDS, *_MASKS)
            if (value := getattr(self, name)) is not None
        )
        return f"{type(self).__name__}({', '.join(parts)})"

    # -------------------------------------------------------------- batches made from it

    def map(self, function: Callable) -> TaskBatch:
        """A batch of function(array) for each of the four arrays; the masks stay as they are.

        The function must keep tasks and examples where they are: it may convert, move or scale them.
        """
        masks = (getattr(self, name) for name in _MASKS)
        return type(self)(*(function(values) for values in self.arrays), *masks)

    def part(self, first: int, last: int) -> TaskBatch:
        """Tasks first … last − 1, with their masks. ValueError if there are no such tasks."""
        if not 0 <= operator.index(first) < operator.index(last) <= len(self):
            raise ValueError(f"tasks {first} … {last} − 1 are not part of a batch of {len(self)}.")
        values = (getattr(self, name) for name in (*FIELDS, *_MASKS))
        return self.trusted(*(None if value is None else value[first:last] for value in values))

    def groups(self) -> list[tuple[Any, TaskBatch]]:
        """The same tasks in batches without padding: [(numbers of its tasks, TaskBatch without masks), …].

        The tasks of a group have the same number of support examples and the same number of queries; groups
        are ordered by these. A batch without masks is one group: [(range(tasks), batch)]. Masks that lie on
        a GPU are copied to the CPU, which waits for them.
        """
        masks = self._real("support"), self._real("query")
        if masks[0] is None and masks[1] is None:
            return [(range(len(self)), self)]
        support, query = (
            np.ones(x.shape[:2], bool) if mask is None else mask
            for mask, x in zip(masks, (self.support_x, self.query_x), strict=True)
        )
        sizes = np.stack([support.sum(axis=1), query.sum(axis=1)], axis=1)  # (tasks, 2)
        groups = []
        for size in np.unique(sizes, axis=0):
            tasks = np.flatnonzero((sizes == size).all(axis=1))
            places = [_places(mask[tasks]) for mask in (support, support, query, query)]
            arrays = (
                values[tasks[:, None], at] for values, at in zip(self.arrays, places, strict=True)
            )
            groups.append((tasks.tolist(), self.trusted(*arrays, None, None)))
        return groups

    def _real(self, role) -> np.ndarray | None:
        """Which examples are real, as a NumPy array (tasks, examples); None means all."""
        mask = getattr(self, f"{role}_mask")
        return None if mask is None else _on_host(mask)


# ------------------------------------------------------------------ checks


def _array_or_tensor(name, values):
    """NumPy arrays and tensors as they are, anything else as an array; ValueError unless it holds numbers."""
    if isinstance(values, np.ndarray) or hasattr(values, "detach"):
        array = values
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{name} is not a regular array: {error}") from None
    if isinstance(array, np.ndarray) and array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must hold numbers; its dtype is {array.dtype}.")
    return array


def _check_shapes(shapes):
    """ValueError unless these shapes, by the names of the fields, are those of one batch."""
    if any(len(shape) < 2 for shape in shapes.values()):
        raise ValueError(f"each array needs the axes (tasks, examples, …); got {_listed(shapes)}.")
    if len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(f"the arrays differ in their number of tasks: {_listed(shapes)}.")
    for role in ("support", "query"):
        if shapes[f"{role}_x"][1] != shapes[f"{role}_y"][1]:
            raise ValueError(f"{role} x and y differ in examples per task: {_listed(shapes)}.")
    if shapes["support_x"][2:] != shapes["query_x"][2:]:
        raise ValueError(f"support and query examples differ in shape: {_listed(shapes)}.")
    if any(0 in shape for shape in shapes.values()):
        raise ValueError(f"the batch is empty: {_listed(shapes)}. Sample at least one task.")


def _refuse_nan(name, values, real=None):
    """ValueError if an example contains NaN or infinity; real (tasks, examples): those to look at."""
    # A tensor on a GPU is not looked at here: that would make the GPU wait for Python every time.
    if getattr(getattr(values, "device", None), "type", "cpu") != "cpu":
        return
    if isinstance(values, np.ndarray):
        with_nan, isfinite = values.dtype.kind in "fc", np.isfinite
    else:
        dtype = values.dtype
        with_nan, isfinite = dtype.is_floating_point or dtype.is_complex, values.__class__.isfinite
    if with_nan and not isfinite(values if real is None else values[real]).all():
        raise ValueError(f"{name} contains NaN or infinity: look at the data before training.")


def _listed(shapes):
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _on_host(mask) -> np.ndarray:
    return np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)


def whole(name, value) -> int:
    """A whole number ≥ 1 as an int; ValueError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number ≥ 1; got {value!r}.")
    return number


def check_generator(rng):
    """ValueError, which says how to make one, unless rng is a numpy Generator."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"rng must be a numpy Generator, such as np.random.default_rng(0); got {rng!r}."
        )


# ------------------------------------------------------------------ tasks of unequal size


def _is_task(part):
    """Is this a tuple of four arrays, as a batch is, and so no array itself?"""
    return (
        isinstance(part, (tuple, list))
        and len(part) == len(FIELDS)
        and all(hasattr(array, "shape") for array in part)
    )


def _kind(value):
    """What a value is, in a word or two."""
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def _column(name, values):
    """One field of all tasks, as a list of arrays or of tensors that differ in their first axis alone."""
    arrays = [
        _array_or_tensor(f"task {number}: {name}", value) for number, value in enumerate(values)
    ]
    for number, array in enumerate(arrays):
        if not array.shape or 0 in array.shape:
            raise ValueError(
                f"task {number}: {name} has shape {tuple(array.shape)}; it needs the axes (examples, …) and at "
                f"least one example."
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"examples of {name} differ in shape: {tuple(arrays[0].shape[1:])} in task 0, "
                f"{tuple(array.shape[1:])} in task {number}."
            )
    if len({isinstance(array, np.ndarray) for array in arrays}) > 1:
        raise ValueError(f"{name} is an array in some tasks and a tensor in others: use one kind.")
    if not isinstance(arrays[0], np.ndarray) and len({array.dtype for array in arrays}) > 1:
        kinds = ", ".join(sorted({str(array.dtype) for array in arrays}))
        raise ValueError(f"{name} has another dtype in some tasks than in others: {kinds}.")
    return arrays


def _padding_mask(role, x, y):
    """Which examples are real, bool (tasks, examples), of the same kind as x."""
    sizes = np.array([len(array) for array in x])
    for number, array in enumerate(y):
        if len(array) != sizes[number]:
            raise ValueError(
                f"task {number}: {role}_x has {sizes[number]} examples, {role}_y has {len(array)}."
            )
    mask = np.arange(sizes.max()) < sizes[:, None]
    if isinstance(x[0], np.ndarray):
        return mask
    return x[0].new_tensor(mask.tolist()).bool()


def _filled_up(arrays):
    """Arrays (examples, …) of unequal length as one (arrays, most examples, …) with zeros at the end."""
    shape = (len(arrays), max(len(array) for array in arrays), *arrays[0].shape[1:])
    if isinstance(arrays[0], np.ndarray):
        filled = np.zeros(shape, np.result_type(*arrays))
    else:
        filled = arrays[0].new_zeros(shape)
    for row, array in enumerate(arrays):
        filled[row, : len(array)] = array
    return filled


def _places(mask):
    """Where the real examples are, in order: (tasks, n), for tasks that all have n of them."""
    return np.nonzero(mask)[1].reshape(len(mask), -1)


# ------------------------------------------------------------------ families of tasks


def may_be_drawn_ahead(tasks) -> bool:
    """Does this family say that its tasks may be drawn before the training step that they are for?

    A family says so with a class attribute `draws_ahead = True`, and promises that what it draws depends on
    the generator alone: not on the learner, nor on when or how often it is asked. Nobody else's promise is
    taken: one is void if a subclass, or the instance itself, replaces a method of the class that made it,
    unless that subclass says `draws_ahead = True` again. An attribute of a family that draws ahead, such as
    `shots`, must not be changed during training: tasks drawn before would still have the old value.
    """
    for cls in type(tasks).__mro__:
        if "draws_ahead" in vars(cls):
            promised = vars(cls)["draws_ahead"] is True and tasks.draws_ahead is True
            return promised and draws_as(tasks, cls)
    return False


def draws_as(tasks, family: type) -> bool:
    """Is `tasks` of this family, and does neither a subclass nor the instance replace any of its methods?"""
    if not isinstance(tasks, family):
        return False
    later = [vars(cls) for cls in type(tasks).__mro__ if cls not in family.__mro__]
    return not any(
        _replaces(name, value, family)
        for names in (*later, getattr(tasks, "__dict__", {}))
        for name, value in names.items()
    )


def _replaces(name, value, family):
    """Could an attribute that was added to a family change what it draws?"""
    if name.startswith("__"):  # __init__ or __repr__, say
        return name in ("__getattribute__", "__getattr__")
    is_property = hasattr(
        type(value), "__set__"
    )  # perhaps in place of a plain attribute, as `shots`
    return is_property or callable(getattr(family, name, None))
