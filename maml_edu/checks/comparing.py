"""How two pieces of plain data differ, in words for a learner. Start from `difference`.

One rule says what is near enough, for numbers, arrays and whole structures alike: every number lies within
`rtol` of the largest number expected. The usual `rtol` is SINGLE, so an answer computed in float32 is right;
an exercise that asks for more gives a smaller one, and then float32 is told apart. Whole numbers are exact.

Words in a `reason` hold nothing that was drawn: neither values, nor shapes, nor how long a list is, nor the
keys of a dict (of parameters, say, whose names differ from case to case). Those stand in the `detail`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

SINGLE = 1e-5  # relative: what float32 keeps through a few hundred operations


@dataclass(frozen=True)
class Difference:
    """Where an answer differs first.

    reason: safe to show to anybody. causes: what else is true of it, each a guess at why, as safe. detail:
    the numbers. path: of the entry that differs, such as "[1]['w']"; parts: what is expected there, and what
    is there (None: not known yet).
    """

    reason: str
    causes: tuple[str, ...] = ()
    detail: str = ""
    path: str = ""
    parts: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Place:
    """An entry of an answer. shown: its path in words for everybody; exact: with list items' numbers, and keys."""

    what: str
    shown: str = ""
    exact: str = ""

    def __str__(self):
        return self.what + self.shown

    def item(self, key, shown):
        """The place one level further in."""
        return replace(self, shown=self.shown + f"[{shown}]", exact=self.exact + f"[{key!r}]")

    @property
    def is_none(self):
        if not self.shown:
            return f"{self.what} is None: is a `return` missing?"
        return f"the entry {self.shown} of {self.what} is None: nothing was put there"


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the one expected."""

    relative: float
    absolute: float
    scale: float  # the largest number expected

    def differs(self, values, expected):
        """Where two arrays of one shape differ; nan differs from everything."""
        if expected.dtype.kind in "iub" and values.dtype.kind in "iub":
            return values != expected
        gap = np.abs(values.astype(float) - expected.astype(float))
        return ~(gap <= self.absolute + self.relative * self.scale)


@np.errstate(all="ignore")
def difference(got, expected, rtol=SINGLE, atol=1e-9, what="your answer") -> Difference | None:
    """The first difference between two pieces of plain data, or None."""
    tolerance = Tolerance(rtol, atol, max(_sizes(expected), default=0.0))
    return _difference(got, expected, tolerance, Place(what))


def _sizes(expected) -> Iterator[float]:
    """The largest finite number of each leaf that is not made of whole numbers."""
    if isinstance(expected, dict):
        expected = list(expected.values())
    if isinstance(expected, (list, tuple)):
        for item in expected:
            yield from _sizes(item)
    elif isinstance(expected, (float, np.floating, np.ndarray)):
        array = np.asarray(expected)
        if array.dtype.kind == "f":
            yield float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))


def _difference(got, expected, tolerance, place) -> Difference | None:
    """The first difference at this place or further in; the innermost place is kept."""
    found = _difference_here(got, expected, tolerance, place)
    if found is None or found.parts is not None:
        return found
    first = f"first at {place.exact}" if place.exact and "first at" not in found.detail else ""
    detail = "\n".join(filter(None, (found.detail, first)))
    return replace(found, detail=detail, path=place.exact, parts=(expected, got))


def _difference_here(got, expected, tolerance, place) -> Difference | None:
    if got is None and expected is not None:
        return Difference(place.is_none)
    if isinstance(expected, dict):
        return _dict_difference(got, expected, tolerance, place)
    if isinstance(expected, (list, tuple)):
        return _list_difference(got, expected, tolerance, place)
    if expected is None or isinstance(expected, (str, bool, np.bool_)):
        same = _scalar_type(got) is _scalar_type(expected) and got == expected
        return None if same else Difference(f"{place} is not the expected one")
    return _array_difference(got, np.asarray(expected), tolerance, place)


def _scalar_type(value):
    return bool if isinstance(value, np.bool_) else type(value)


def _dict_difference(got, expected, tolerance, place):
    wanted = f"{place} should be a dict with the keys asked for"
    keys = f"they are {short(list(expected))}"
    if not isinstance(got, dict):
        return Difference(f"{wanted}, not {kind_of(got)}", detail=keys)
    if got.keys() != expected.keys():
        return Difference(
            f"{wanted}: some are missing, or too many",
            detail=f"{keys}; your keys are {short(list(got))}",
        )
    parts = (_difference(got[k], expected[k], tolerance, place.item(k, "name")) for k in expected)
    return next(filter(None, parts), None)


def _list_difference(got, expected, tolerance, place):
    # a tuple's length belongs to the exercise, a list's (one part per task, say) to the inputs
    fixed = isinstance(expected, tuple)
    count = f" of {len(expected)}" if fixed else ""
    if not isinstance(got, (list, tuple)):
        return Difference(f"{place} should be {kind_of(expected)}{count}, not {kind_of(got)}")
    if len(got) != len(expected):
        counts = f"{place} should have {len(expected)} parts and has {len(got)}"
        many = "many" if len(got) > len(expected) else "few"
        wanted = f"{place} should have {len(expected)} parts"
        return Difference(wanted if fixed else f"{place} has too {many} parts", detail=counts)
    pairs = enumerate(zip(got, expected, strict=True))
    parts = (
        _difference(g, e, tolerance, place.item(i, i if fixed else "i")) for i, (g, e) in pairs
    )
    return next(filter(None, parts), None)


def _array_difference(got, expected, tolerance, place):
    wanted = _malformed(got, expected)
    if wanted:
        return replace(wanted, reason=f"{place} {wanted.reason}")
    values = np.asarray(got)
    wrong = tolerance.differs(values, expected)
    if not wrong.any():
        return None
    if not np.isfinite(values).all():
        return Difference(f"{place} contains NaN or infinity")
    causes, words = _causes(values, expected)
    first = _first_difference(values, expected, wrong, place)
    return Difference(
        f"{place} has the wrong value", causes, "\n".join(filter(None, (words, first)))
    )


def _malformed(got, expected) -> Difference | None:
    """What is wrong with the form of what should be an array (or a number) like `expected`."""
    if isinstance(got, (dict, str, bool)) or (
        isinstance(got, (list, tuple)) and expected.ndim == 0
    ):
        return Difference(f"should be {kind_of(expected)}, not {kind_of(got)}")
    most = 8 * expected.size + 4096
    if leaves(got, most) > most:  # which need no longer look: it may be compared with many mistakes
        return Difference("has the wrong shape", detail=f"it holds more than {most} numbers")
    if not holds_numbers(got):
        return Difference(f"should hold numbers, not {kind_of(got)}")
    try:
        values = np.asarray(got)
    except ValueError:
        return Difference("should be a regular array", detail=_shapes("ragged", expected.shape))
    if values.dtype.kind not in "biuf":
        return Difference(f"should hold numbers, not {kind_of(got)}")
    if values.shape != expected.shape:
        return _shape_difference(values, expected)
    if expected.dtype.kind in "iu" and values.dtype.kind not in "iu":
        return Difference(f"should be made of whole numbers (int), not {_number_kind(got, values)}")
    if expected.dtype.kind == "b" and values.dtype.kind != "b":
        return Difference(f"should be made of True and False, not {values.dtype}")
    return None


def _number_kind(got, values):
    """What to call the numbers of `got`: Python's own word for its own numbers."""
    own = not isinstance(got, (np.ndarray, np.generic)) and values.dtype == np.float64
    return "float" if own else str(values.dtype)


def _shape_difference(values, expected):
    detail = _shapes(values.shape, expected.shape)
    if not expected.ndim:
        return Difference(f"should be a number, not {kind_of(values)}", detail=detail)
    if not values.ndim:
        return Difference("should be an array, not a number", detail=detail)
    if values.ndim != expected.ndim:
        many = "many" if values.ndim > expected.ndim else "few"
        return Difference(f"has the wrong shape: too {many} axes", detail=detail)
    return Difference("has the wrong shape", detail=detail)


def _shapes(got, expected):
    return f"its shape is {got}; it should be {expected}"


# ------------------------------------------------------------------ guesses at a wrong value


def _causes(values, expected) -> tuple[tuple[str, ...], str]:
    """(what is true of a wrong value that no known mistake explains, its numbers).

    A factor is for the detail: whoever returns the right value times an input reads that input off it.
    """
    if expected.dtype.kind != "f":
        return (), ""
    values, single = values.astype(float), values.dtype == np.float32
    scale = float(np.max(np.abs(expected), initial=0.0))
    gap = float(np.max(np.abs(values - expected), initial=0.0)) / scale if scale else np.inf
    if gap <= (10 if single else 1) * SINGLE:
        return (": it is right to single precision only (float32), or rounded",), ""
    if gap <= 10 * SINGLE:
        return (": it is nearly right: is a number rounded, or a small term wrong?",), ""
    causes, words = [], ""
    if scale and np.max(np.abs(values + expected)) <= SINGLE * scale:
        causes.append(": it has the right size and the wrong sign")
    ratio = float(np.sum(values * expected) / np.sum(expected**2)) if scale else 0.0
    near = np.max(np.abs(values - ratio * expected), initial=0.0) <= SINGLE * abs(ratio) * scale
    if values.size > 1 and ratio and near and not causes:
        causes.append(
            ": it is the right one times a constant (a sum for a mean, a factor too many?)"
        )
        words = f"it is {ratio:.6g} times the right one"
    return tuple(causes), words


def _first_difference(values, expected, wrong, place):
    if values.ndim == 0:
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{int(wrong.sum())} of {wrong.size} elements differ, first at {place.exact}{list(at)}: "
        f"expected {short(expected[at].item())}, got {short(values[at].item())}"
    )


# ------------------------------------------------------------------ what a value is


def array_of(value) -> np.ndarray | None:
    """`value` as an array of numbers; None where it is none, whatever it is."""
    try:
        array = np.asarray(value) if holds_numbers(value) else None
    except ValueError:  # lists of different lengths
        return None
    return array if array is not None and array.dtype.kind in "biuf" else None


NUMBERS = {bool, int, float}


def holds_numbers(value) -> bool:
    """Whether np.asarray makes numbers of this: a word among them makes an array of words, all as long."""
    if isinstance(value, (list, tuple)):
        return NUMBERS.issuperset(map(type, value)) or all(map(holds_numbers, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return isinstance(value, (bool, int, float, np.bool_, np.number))


def leaves(value, most: int) -> int:
    """How many values there are in lists in lists, counted until they are more than `most`."""
    if not isinstance(value, (list, tuple)):
        return 1
    count = len(value)
    for item in value if count <= most else ():
        if isinstance(item, (list, tuple)):
            count += leaves(item, most - count)
            if count > most:
                break
    return count


def kind_of(value) -> str:
    if isinstance(value, np.ndarray):
        return "an array" if value.ndim else "a number"
    return f"a {type(value).__name__}"


def short(value, most: int = 24, limit: int = 400) -> str:
    """`value` on one line; arrays of more than `most` numbers by their shape and first numbers."""
    pieces, length = [], 0
    try:
        for piece in _text(value, most, limit):
            pieces.append(piece)
            length += len(piece)
            if length > 8 * limit:  # the rest would not be shown
                break
    except (ValueError, RecursionError):  # more digits, or levels, than Python writes
        return kind_of(value)
    text = " ".join("".join(pieces).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _text(value, most, limit) -> Iterator[str]:
    """The pieces of a text, in order: whoever has enough stops. None is much longer than `limit`."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, dict):
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else ''}{_clipped(key, limit)!r}: "
            yield from _text(item, most, limit)
        yield "}"
    elif isinstance(value, (list, tuple)) and any(
        isinstance(v, (dict, list, tuple, np.ndarray)) for v in value[: limit + 1]
    ):
        left, right = "[]" if isinstance(value, list) else "()"
        yield left
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _text(item, most, limit)
        yield right
    elif isinstance(value, np.ndarray) and value.size > most:
        first = ", ".join("".join(_text(n, most, limit)) for n in value.ravel()[:3].tolist())
        yield f"array of shape {value.shape}: {first}, …"
    elif isinstance(value, float):
        yield f"{value:.6g}"
    else:
        with np.printoptions(precision=6):
            yield repr(_clipped(value, limit))


def _clipped(value, limit):
    """The beginning of what is long: no more of it will be shown."""
    if isinstance(value, (list, tuple)) and len(value) > limit:
        return type(value)(_clipped(item, limit) for item in value[: limit + 1])
    return value[: 8 * limit] if isinstance(value, str) else value
