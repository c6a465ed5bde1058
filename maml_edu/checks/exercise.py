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
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
_further: list[tuple[str, Callable]] = []  # what `also` has added, in this order
_private: dict[
    str, tuple
] = {}  # chapter folder → its file of further checks: path, content, what it added
_private_lock = threading.RLock()


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


def right_answer(id: str, *, why: str):
    """Register a function as an unusual answer to `id` that is right all the same; `why` says what is unusual."""

    def register(function):
        find(id).right_answers.append(RightAnswerCase(id, why, function))
        return function

    return register


def also(id: str):
    """Register a further check function `(answer, rng)` of `id`, a teacher's own: both must be content."""

    def register(check):
        find(id).more.append(check)
        _further.append((id, check))
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


def load_private(folder: str, path: Path | None) -> None:
    """Let a teacher's file of further checks (`also`) count for a chapter folder, and no other file.

    A process that grades may live long and serve several classes: a file that has changed is run again, and
    what it added before counts no more. None, or a file that is not there: no further checks. Raises OSError
    and whatever the file raises; none of its checks count then.
    """
    with _private_lock:
        content = path.read_bytes() if path is not None and path.is_file() else None
        if _private.get(folder, (None, None, []))[:2] == (path, content):
            return
        _, _, added = _private.pop(folder, (None, None, []))
        _take_back(added)
        if content is not None:
            _private[folder] = path, content, _run_private(folder, str(path), content)


def _run_private(folder: str, path: str, content: bytes) -> list[tuple[str, Callable]]:
    """What a file of further checks adds: (exercise, check). All of it or, when the file fails, nothing."""
    name = f"maml_edu_private.{folder}"
    sys.modules[name] = module = types.ModuleType(name)
    module.__file__ = path
    start = len(_further)
    try:
        # Not imported: Python would keep its byte code beside it, and take that for a file of the same
        # size that was written within a second.
        exec(compile(content, path, "exec", dont_inherit=True), vars(module))
    except BaseException:
        del sys.modules[name]
        _take_back(_further[start:])
        raise
    return _further[start:]


def _take_back(added: list[tuple[str, Callable]]) -> None:
    for pair in added:
        _further.remove(pair)
        _exercises[pair[0]].more.remove(pair[1])


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
