"""The language in which `course/*/checks.py` is written: `@exercise`, `draw`, `expect`.

A check function gets the answer as a callable from plain data to plain data, and a generator to draw
inputs from. It cannot tell a function in the learner's notebook from a stand-in for one that lives
in another process, so the grader judges with this same code (`judge`).

`expect` does not stop at the first case that differs: a mistake is named only if the answer agrees with
it in every case. How two values are compared is in `comparing`, how a run is decided in `verdict`.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import inspect
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from maml_edu import places

from .catalogue import named
from .comparing import array_of, short
from .verdict import Run, WrongAnswer, expect, note_changes

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
    "note_changes",
    "right_answer",
    "short",
    "wrong_answer",
]

VISIBLE_CASES = 5


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
    right_answers: list = field(default_factory=list)
    more: list = field(default_factory=list)  # further checks, a teacher's own
    forbids: tuple[str, ...] = ()  # what of maml_edu an answer must not call (`library`)

    @property
    def title(self) -> str:
        return inspect.cleandoc(self.check.__doc__ or self.id).splitlines()[0]

    @property
    def name(self) -> str:
        return self.id.split(".", 1)[1]

    @property
    def parameters(self) -> list[str]:
        """Names of the arguments, as the stub has them; none where there is no stub to be read."""
        for folder in places.chapters():
            path = places.course_root() / "course" / folder / "exercises.py"
            if folder.split("_", 1)[0] == self.id.split(".", 1)[0] and path.is_file():
                return _parameters(ast.parse(path.read_text(encoding="utf-8")), self.name)
        return []


def _parameters(tree, name):
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    return [argument.arg for function in found[-1:] for argument in function.args.args]


@dataclass(frozen=True)
class WrongAnswerCase:
    """A wrong answer that a learner might give, and words that the check's message must contain."""

    exercise: str
    says: str
    function: Callable


@dataclass(frozen=True)
class RightAnswerCase:
    """A right answer that is written otherwise than one expects, and in what."""

    exercise: str
    why: str
    function: Callable


_exercises: dict[str, Exercise] = {}


@dataclass(eq=False)  # each is itself alone, and can be a key
class Private:
    """What a teacher's file says: exercises of their own, and further checks by exercise.

    It is kept apart from the course: what one class adds is no other's, nor what the file said before.
    """

    chapter: str
    exercises: dict[str, Exercise] = field(default_factory=dict)
    also: dict[str, list[Callable]] = field(default_factory=dict)

    def add(self, own: Exercise) -> None:
        """Take up an exercise. Raises ValueError for one that is there, or is another chapter's."""
        self._refuse_other_chapters(own.id)
        if own.id in self.exercises:
            raise ValueError(f'@exercise("{own.id}") is there twice: give one another name.')
        if own.id in [item.id for item in load_chapter(self.chapter)]:
            raise ValueError(
                f'"{own.id}" is an exercise of the course: @also("{own.id}") adds a check to it, '
                "and another name makes an exercise of your own."
            )
        self.exercises[own.id] = own

    def add_check(self, id: str, check: Callable) -> None:
        """Take up a further check. Raises ValueError for an exercise that is not there."""
        if id not in self.exercises:
            find(id)
            self._refuse_other_chapters(id)
        self.also.setdefault(id, []).append(check)

    def _refuse_other_chapters(self, id: str) -> None:
        prefix = prefix_of(self.chapter)
        if not id.startswith(f"{prefix}.") or not id.removeprefix(f"{prefix}.").isidentifier():
            raise ValueError(
                f'"{id}" is no exercise of {self.chapter}, whose are called "{prefix}.function_name": rename it, '
                "or write it into the file of its own chapter."
            )


_reading: ContextVar[Private | None] = ContextVar("the private file being read", default=None)


def exercise(
    id: str,
    *,
    points: int,
    minutes: int,
    difficulty: int,
    interface: str = "plain",
    forbids: tuple[str, ...] = (),
):
    """Register a check function `(answer, rng)` as the exercise `id`; its docstring is the title.

    interface: "plain" for answers on NumPy arrays, "torch" for answers on (float64) tensors, "figure" for
    answers that return a matplotlib figure; the check itself always sees NumPy arrays.

    forbids: dotted names of functions or packages of maml_edu that an answer must not call, since they are what
    it is to write ("maml_edu.reference.adapt"). All else of the library is allowed.
    """
    if not 1 <= difficulty <= 5:
        raise ValueError(f"{id}: difficulty is 1 to 5, got {difficulty}.")

    def register(check):
        own = Exercise(id, points, minutes, difficulty, interface, check, forbids=tuple(forbids))
        private = _reading.get()
        if private is None:
            _exercises[id] = own
        else:
            private.add(own)
        return check

    return register


def wrong_answer(id: str, *, says: str):
    """Register a function as a wrong answer to `id`, which must fail with a message that `says` so."""

    def register(function):
        find(id).wrong_answers.append(WrongAnswerCase(id, says, function))
        return function

    return register


def right_answer(id: str, *, why: str):
    """Register a function as an unusual answer to `id` that is right all the same; `why` says what is unusual."""

    def register(function):
        find(id).right_answers.append(RightAnswerCase(id, why, function))
        return function

    return register


def also(id: str):
    """Register a further check function `(answer, rng)` of `id`, a teacher's own: both must be content."""

    def register(check):
        private = _reading.get()
        if private is None:
            find(id).more.append(check)
        else:
            private.add_check(id, check)
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
    return [e for e in _exercises.values() if e.id.split(".", 1)[0] == prefix_of(folder)]


def prefix_of(folder: str) -> str:
    """What the ids of a chapter's exercises begin with: "04" for 04_gradient_of_a_step."""
    return folder.split("_", 1)[0]


def wrong_answers(folder: str) -> list[WrongAnswerCase]:
    """The bank of wrong answers of one chapter folder."""
    return [case for e in _with_bank(folder) for case in e.wrong_answers]


def right_answers(folder: str) -> list[RightAnswerCase]:
    """The bank of unusual right answers of one chapter folder; they stand beside the wrong ones."""
    return [case for e in _with_bank(folder) for case in e.right_answers]


def _with_bank(folder):
    exercises = load_chapter(folder)
    _load(folder, "wrong_answers")
    return exercises


def _load(folder, module):
    """Import course/<folder>/<module>.py once, if it is there."""
    path = places.course_root() / "course" / folder / f"{module}.py"
    _import_once(f"maml_edu_course.{folder}.{module}", path)


def load_private(chapter: str, path: Path | None) -> Private:
    """What a teacher's file (private/CHAPTER.py) says, as it is now; nothing where there is none.

    Raises ValueError, with the line, for a mistake in it.
    """
    if path is None or not path.is_file():
        return _nothing(chapter)
    return _private(chapter, str(path), path.read_bytes())


_nothing = lru_cache(maxsize=64)(Private)


@lru_cache(maxsize=64)
def _private(chapter: str, path: str, content: bytes) -> Private:
    name = f"maml_edu_private.{chapter}"
    sys.modules[name] = module = types.ModuleType(name)
    module.__file__ = path
    private = Private(chapter)
    token = _reading.set(private)
    try:
        # Not imported: Python would keep its byte code beside it, and take that for a file of the same
        # size that was written within a second.
        exec(compile(content, path, "exec", dont_inherit=True), vars(module))
    except Exception as error:
        raise ValueError(f"{place_in(error, path)}: {type(error).__name__}: {error}") from error
    finally:
        _reading.reset(token)
    return private


def place_in(error: BaseException, path: str) -> str:
    """The line of a file at which an error came up: "private/04_x.py, line 7"."""
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == path
    ]
    return f"{path}, line {lines[-1]}" if lines else path


def _import_once(name, path):
    if name in sys.modules or not path.is_file():
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = loaded = importlib.util.module_from_spec(spec)
    token = _reading.set(None)  # a private file may be what asks for the course's
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        _reading.reset(token)


# ------------------------------------------------------------------ judging


class CaseGenerator(np.random.Generator):
    """A numpy Generator that knows how many cases to draw."""

    def __init__(self, seed: int, cases: int):
        super().__init__(np.random.PCG64(seed))
        self.cases = cases


def judge(item: Exercise, answer: Callable, seed: int, cases: int = VISIBLE_CASES) -> None:
    """Run the check of an exercise on `answer`, a callable from plain data to plain data.

    Returns when the answer is right. Raises WrongAnswer, the inputs of the failing case in its detail, or
    whatever the answer itself raises (NotImplementedError: not done yet).
    """
    rng = CaseGenerator(seed, cases)
    for check in (item.check, *item.more):
        Run(answer, item).of(check, rng)


def draw(rng: np.random.Generator, **what) -> Iterator[Any]:
    """Cases to try: per case one value for each keyword, in order (a single keyword: the bare value).

    A pair of floats is a range to draw from uniformly, a pair of ints likewise (both ends included), a
    list a choice, a function is called with `rng`; anything else stands for itself.
    """
    for _ in range(getattr(rng, "cases", VISIBLE_CASES)):
        values = tuple(_draw_one(rng, source) for source in what.values())
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
