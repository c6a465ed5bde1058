"""The language in which `course/*/checks.py` is written: `@exercise`, `draw`, `expect`.

A check function gets the answer as a callable from plain data to plain data, and a generator to draw
inputs from. It cannot tell a function in the learner's notebook from a stand-in for one that lives
in another process, so the grader judges with this same code (`judge`).
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maml_edu import places

from .catalogue import Named, named

__all__ = [
    "Exercise",
    "WrongAnswer",
    "also",
    "array_of",
    "draw",
    "exercise",
    "expect",
    "judge",
    "named",
    "wrong_answer",
]

VISIBLE_CASES = 5


class WrongAnswer(AssertionError):
    """An answer that is not right, and why.

    reason: safe to show to anybody: it names the mistake, never an input. detail: inputs, expected,
    got; for the learner's own check, not for feedback on hidden cases.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason + (f"\n{detail}" if detail else ""))
        self.reason, self.detail = reason, detail

    def _render_traceback_(self):  # IPython shows this in place of the frames of our own code
        return [str(self)]


# ------------------------------------------------------------------ exercises


@dataclass(frozen=True)
class Exercise:
    """One auto-graded exercise: its id "NN.name", what it is worth, and the function that judges it."""

    id: str
    points: int
    minutes: int
    difficulty: int
    interface: str
    check: Callable[[Callable, np.random.Generator], None]
    wrong_answers: list = field(default_factory=list)
    more: list = field(default_factory=list)  # further checks, a teacher's own

    @property
    def title(self) -> str:
        return inspect.cleandoc(self.check.__doc__ or self.id).splitlines()[0]

    @property
    def name(self) -> str:
        return self.id.split(".", 1)[1]


@dataclass(frozen=True)
class WrongAnswerCase:
    """A wrong answer that a learner might give, and words that the check's message must contain."""

    exercise: str
    says: str
    function: Callable


_exercises: dict[str, Exercise] = {}


def exercise(id: str, *, points: int, minutes: int, difficulty: int, interface: str = "plain"):
    """Register a check function `(answer, rng)` as the exercise `id`; its docstring is the title.

    interface: "plain" for answers on NumPy arrays, "torch" for answers on (float64) tensors, "figure" for
    answers that return a matplotlib figure; the check itself always sees NumPy arrays.
    """
    if not 1 <= difficulty <= 5:
        raise ValueError(f"{id}: difficulty is 1 to 5, got {difficulty}.")

    def register(check):
        _exercises[id] = Exercise(id, points, minutes, difficulty, interface, check)
        return check

    return register


def wrong_answer(id: str, *, says: str):
    """Register a function as a wrong answer to `id`, which must fail with a message that `says` so."""

    def register(function):
        find(id).wrong_answers.append(WrongAnswerCase(id, says, function))
        return function

    return register


def also(id: str):
    """Register a further check function `(answer, rng)` of `id`, a teacher's own: both must be content."""

    def register(check):
        find(id).more.append(check)
        return check

    return register


def find(id: str) -> Exercise:
    """The exercise `id`. Raises ValueError with the nearest names when there is none."""
    chapter = str(id).split(".", 1)[0]
    for folder in places.chapters():
        if folder.split("_", 1)[0] == chapter:
            load_chapter(folder)
    if id in _exercises:
        return _exercises[id]
    near = difflib.get_close_matches(str(id), [e.id for e in catalogue()], n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(
        f"there is no exercise {id!r}.{hint} maml_edu.checks.progress() lists them all."
    )


def catalogue() -> list[Exercise]:
    """Every exercise of the course, in order."""
    return [e for folder in places.chapters() for e in load_chapter(folder)]


def load_chapter(folder: str) -> list[Exercise]:
    """The exercises of one chapter folder, in the order of its checks.py (none without that file)."""
    _load(folder, "checks")
    return [e for e in _exercises.values() if e.id.split(".", 1)[0] == folder.split("_", 1)[0]]


def wrong_answers(folder: str) -> list[WrongAnswerCase]:
    """The bank of wrong answers of one chapter folder."""
    exercises = load_chapter(folder)
    _load(folder, "wrong_answers")
    return [case for e in exercises for case in e.wrong_answers]


def _load(folder, module):
    """Import course/<folder>/<module>.py once, if it is there."""
    path = places.course_root() / "course" / folder / f"{module}.py"
    _import_once(f"maml_edu_course.{folder}.{module}", path)


def load_private(path: Path) -> None:
    """Import a teacher's file of further checks (`also`) once, if it is there."""
    _import_once(f"maml_edu_private.{path.resolve()}", path)


def _import_once(name, path):
    if name in sys.modules or not path.is_file():
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise


# ------------------------------------------------------------------ judging


class CaseGenerator(np.random.Generator):
    """A numpy Generator that knows how many cases to draw and which one is being looked at."""

    def __init__(self, seed: int, cases: int):
        super().__init__(np.random.PCG64(seed))
        self.cases = cases
        self.case: dict[str, Any] = {}


def judge(item: Exercise, answer: Callable, seed: int, cases: int = VISIBLE_CASES) -> None:
    """Run the check of an exercise on `answer`, a callable from plain data to plain data.

    Returns when the answer is right. Raises WrongAnswer, its detail led by the inputs of the case,
    or whatever the answer itself raises (NotImplementedError: not done yet).
    """
    rng = CaseGenerator(seed, cases)
    try:
        for check in (item.check, *item.more):
            check(answer, rng)
    except WrongAnswer as wrong:
        inputs = ", ".join(f"{name} = {_short(value)}" for name, value in rng.case.items())
        detail = "\n".join(
            part for part in (inputs and f"inputs:   {inputs}", wrong.detail) if part
        )
        raise WrongAnswer(wrong.reason, detail) from wrong.__cause__


def draw(rng: np.random.Generator, **what) -> Iterator[Any]:
    """Cases to try: per case one value for each keyword, in order (a single keyword: the bare value).

    A pair of floats is a range to draw from uniformly, a pair of ints likewise (both ends included), a
    list a choice, a function is called with `rng`; anything else stands for itself.
    """
    for _ in range(getattr(rng, "cases", VISIBLE_CASES)):
        case = {name: _draw_one(rng, source) for name, source in what.items()}
        if isinstance(rng, CaseGenerator):
            rng.case = case
        values = tuple(case.values())
        yield values if len(values) > 1 else values[0]


def _draw_one(rng, source):
    if callable(source):
        return source(rng)
    if isinstance(source, list):
        return source[rng.integers(len(source))]
    if isinstance(source, tuple) and len(source) == 2:
        if all(isinstance(end, int) for end in source):
            return int(rng.integers(source[0], source[1], endpoint=True))
        return float(rng.uniform(*source))
    return source


# ------------------------------------------------------------------ comparing


def expect(
    got: Any,
    expected: Any,
    mistakes: dict[str, Any] | None = None,
    *,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    what: str = "your answer",
) -> None:
    """Raise WrongAnswer unless `got` equals `expected` in type, shape, kind of number and value.

    mistakes: message → the value that a known mistake gives (or a function of no argument that
    computes it); when `got` is one of these, the message is the reason. rtol, atol: as in numpy.isclose.
    """
    tolerance = _Tolerance(rtol, atol)
    difference = _difference(got, expected, tolerance, what)
    if difference is None:
        return
    detail = f"expected: {_short(expected)}\ngot:      {_short(got)}"
    for message, value in (mistakes or {}).items():
        value = value() if callable(value) and not isinstance(value, Named) else value
        if _difference(got, value, tolerance, what) is None:
            raise WrongAnswer(message, detail)
    raise WrongAnswer(difference.reason, "\n".join(filter(None, (difference.detail, detail))))


@dataclass(frozen=True)
class _Tolerance:
    relative: float
    absolute: float

    def differs(self, values, expected):
        """Where two arrays of one shape are not close; nan is close to nothing."""
        return ~np.isclose(values, expected, self.relative, self.absolute, equal_nan=False)


@dataclass(frozen=True)
class _Difference:
    reason: str
    detail: str = ""


def _difference(got, expected, tolerance, what) -> _Difference | None:
    """The first difference between two pieces of plain data, or None."""
    if isinstance(expected, dict):
        return _dict_difference(got, expected, tolerance, what)
    if isinstance(expected, (list, tuple)):
        return _list_difference(got, expected, tolerance, what)
    if got is None and expected is not None:
        return _Difference(f"{what} is None: is a `return` missing?")
    if expected is None or isinstance(expected, (str, bool, np.bool_)):
        same = _scalar_type(got) is _scalar_type(expected) and got == expected
        return None if same else _Difference(f"{what} is not the expected one")
    return _array_difference(got, np.asarray(expected), tolerance, what)


def _scalar_type(value):
    return bool if isinstance(value, np.bool_) else type(value)


def _dict_difference(got, expected, tolerance, what):
    if not isinstance(got, dict):
        return _Difference(
            f"{what} should be a dict with the keys {list(expected)}, not {_type(got)}"
        )
    if got.keys() != expected.keys():
        return _Difference(
            f"{what} should be a dict with the keys {list(expected)}: some are missing, or too many",
            f"{what} has the keys {list(got)}",
        )
    parts = (_difference(got[k], expected[k], tolerance, f"{what}[{k!r}]") for k in expected)
    return next(filter(None, parts), None)


def _list_difference(got, expected, tolerance, what):
    if not isinstance(got, (list, tuple)):
        return _Difference(
            f"{what} should be {_type(expected)} of {len(expected)}, not {_type(got)}"
        )
    if len(got) != len(expected):
        return _Difference(f"{what} should have {len(expected)} parts and has {len(got)}")
    pairs = enumerate(zip(got, expected, strict=True))
    parts = (_difference(g, e, tolerance, f"{what}[{i}]") for i, (g, e) in pairs)
    return next(filter(None, parts), None)


def _array_difference(got, expected, tolerance, what):
    if isinstance(got, (dict, str, bool)) or (
        isinstance(got, (list, tuple)) and expected.ndim == 0
    ):
        return _Difference(f"{what} should be {_type(expected)}, not {_type(got)}")
    if not holds_numbers(got):
        return _Difference(f"{what} should hold numbers, not {_type(got)}")
    try:
        values = np.asarray(got)
    except ValueError:
        return _Difference(f"{what} should be a regular array of shape {expected.shape}")
    if values.dtype.kind not in "biuf":
        return _Difference(f"{what} should hold numbers, not {_type(got)}")
    if values.shape != expected.shape and not expected.ndim:
        return _Difference(f"{what} should be a number, not {_type(values)}")
    if values.shape != expected.shape:
        return _Difference(f"{what} has shape {values.shape}; it should have {expected.shape}")
    if expected.dtype.kind in "iu" and values.dtype.kind not in "iu":
        return _Difference(f"{what} should be made of whole numbers (int), not {values.dtype}")
    if expected.dtype.kind == "b" and values.dtype.kind != "b":
        return _Difference(f"{what} should be made of True and False, not {values.dtype}")
    wrong = tolerance.differs(values, expected)
    if not wrong.any():
        return None
    if not np.isfinite(values).all():
        return _Difference(f"{what} contains NaN or infinity")
    cause, detail = _likely_cause(values, expected)
    first = _first_difference(values, expected, wrong)
    return _Difference(
        f"{what} has the wrong value{cause}", "\n".join(filter(None, (detail, first)))
    )


def array_of(value) -> np.ndarray | None:
    """`value` as an array of numbers; None where it is none, whatever it is."""
    try:
        array = np.asarray(value) if holds_numbers(value) else None
    except ValueError:  # lists of different lengths
        return None
    return array if array is not None and array.dtype.kind in "biuf" else None


def holds_numbers(value) -> bool:
    """Whether np.asarray makes numbers of this: a word among them makes an array of words, all as long."""
    if isinstance(value, (list, tuple)):
        return all(holds_numbers(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return isinstance(value, (bool, int, float, np.bool_, np.number))


@np.errstate(all="ignore")
def _likely_cause(values, expected):
    """A guess for a wrong value that no known mistake explains: (for the reason, for the detail).

    The factor is detail: whoever returns the right value times an input reads that input off it.
    """
    if expected.dtype.kind not in "fiu":
        return "", ""
    if np.allclose(values, -expected):
        return ": it has the right size and the wrong sign", ""
    if np.allclose(values, expected, rtol=1e-4) and values.dtype == np.float32:
        return ": it is right to single precision only (float32)", ""
    scale = np.linalg.norm(expected)
    ratio = float(np.sum(values * expected) / scale**2) if scale > 0 else 0.0
    if values.size > 1 and ratio and np.allclose(values, ratio * expected):
        return (
            ": it is the right one times a constant (a sum for a mean, a factor too many?)",
            f"it is {ratio:.4g} times the right one",
        )
    return "", ""


def _first_difference(values, expected, wrong):
    if values.ndim == 0:
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{int(wrong.sum())} of {wrong.size} elements differ, first at {list(place)}: "
        f"expected {_short(expected[place].item())}, got {_short(values[place].item())}"
    )


def _type(value):
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.ndim else "a number"
    return f"a {type(value).__name__}"


def _short(value, limit=400):
    value = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    try:
        with np.printoptions(precision=6, threshold=20, edgeitems=3):
            text = repr(value)
    except (ValueError, RecursionError):  # more digits, or levels, than Python writes
        return _type(value)
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
