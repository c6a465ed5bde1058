"""What was asked and what was answered, as text, for people who read it; and which answers are equal.

`asked` reads question, rubric and model answer from the notebook that the class was given (source/), or else
from the course; `text_of` finds a student's answer; `alike` says which of them are the same, or the model's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from maml_edu import places

from . import cells, signed
from .by_hand import fingerprints
from .judge import Written, essay
from .results import Result, Verdict
from .submission import Cell, Rejected, Submission, find, read

RUBRIC = re.compile(r"^[ \t]*\*\*Rubric\.?\*\*[ \t]*", flags=re.M)
MODEL = re.compile(r"^\s*\*\*Model answer\.?\*\*\s*")
SHORTEST = 20  # letters of an answer; shorter ones are equal by chance
ALL = 3  # code answers that are the model's, word for word, are worth a line from so many on


@dataclass(frozen=True)
class Asked:
    """An exercise or a written question: what it asks, what it is marked by, what the model answers."""

    question: str = ""
    rubric: str = ""
    model: str = ""
    code: bool = False


def name_of(exercise: str) -> str:
    """What the answer to an exercise is called: `meta_slope` for 04.meta_slope."""
    return exercise.split(".", 1)[-1]


# ------------------------------------------------------------------ what was asked


def source_of(root: Path, chapter: str) -> Path:
    """The notebook with the model answers: the class's own, or the course's."""
    own = root / "source" / chapter / f"{chapter}.ipynb"
    return own if own.is_file() else places.course_root() / "solutions" / f"{chapter}.ipynb"


def asked(root: Path, chapter: str, exercise: str) -> Asked:
    """What was asked, from the class's source. Empty where the notebook has no such cell, or is not there."""
    return _asked(source_of(root, chapter), exercise)


def _asked(path: Path, exercise: str) -> Asked:
    name = name_of(exercise)
    own = _cells_of(path)
    at = next((i for i, cell in enumerate(own) if cell.grade_id == name), None)
    if at is None:
        return Asked()
    before = [cell for cell in own[:at] if cell.kind == "markdown"]
    question = before[-1].source if before else ""
    text = own[at].source
    if own[at].kind == "code":
        return Asked(question, "", _without_marks(text), True)
    parts = RUBRIC.split(text, maxsplit=1)
    model = MODEL.sub("", parts[0]).strip()
    return Asked(question, parts[1].strip() if len(parts) > 1 else "", model)


def _cells_of(path: Path) -> Sequence[Cell]:
    with suppress(Rejected, OSError):
        return _read(path, path.stat().st_mtime_ns).cells
    return []


@lru_cache(maxsize=512)
def _read(path: Path, _changed: int) -> Submission:
    return read(path)


def _without_marks(code: str) -> str:
    return re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION[ \t]*\n?", "", code, flags=re.M)


# ------------------------------------------------------------------ what was answered


def folder_of(root: Path, result: Result, stamp: str = "") -> Path:
    """Where a hand-in lies: the one that counts, or the earlier one of a STAMP."""
    if stamp:
        return root / "earlier" / result.student / result.chapter / stamp
    return root / "submitted" / result.student / result.chapter


def notebook_of(root: Path, result: Result, stamp: str = "") -> Submission | None:
    """The notebook that a result is about; None where another was handed in since, or it cannot be read."""
    with suppress(Rejected, OSError):
        path, _ = find(folder_of(root, result, stamp), result.chapter, result.asked)
        found = _read(path, path.stat().st_mtime_ns)
        if not result.sha256 or found.sha256 == result.sha256:
            return found
    return None


def text_of(own: Submission, verdict: Verdict, given: frozenset[str]) -> tuple[str, bool]:
    """(a student's answer, whether it is code), as the judge found it; "" where there is none.

    given: the cells that everybody was given.
    """
    if "." in verdict.exercise:
        place = cells.place_of_answer(own.cells, name_of(verdict.exercise), verdict.answer)
        return ("" if place is None else own.cells[place].source), True
    _, texts = essay(own, Written(verdict.exercise, verdict.max_points), given)
    return "\n\n".join(texts), False


def handed_out(root: Path, chapter: str) -> frozenset[str]:
    """The cells of the notebook that students were given, the class's and the course's."""
    release = root / "release" / chapter / f"{chapter}.ipynb"
    course = places.course_root() / "exercises" / f"{chapter}.ipynb"
    return frozenset(cell.source.strip() for cell in (*_cells_of(course), *_cells_of(release)))


# ------------------------------------------------------------------ which are equal


def key_of(text: str, code: bool = False) -> str:
    """What two answers have in common that are equal but for case, spaces, marks of punctuation and comments."""
    if code:
        lines = [
            re.sub(r"(^|\s)#.*", "", line).rstrip() for line in _without_marks(text).splitlines()
        ]
        return "\n".join(line for line in lines if line.strip())
    text = MODEL.sub("", RUBRIC.split(text, maxsplit=1)[0])
    text = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(c for c in text if c.isalnum())
    return letters if len(letters) >= SHORTEST else ""


@dataclass(frozen=True)
class Alike:
    """Answers that are the same: to which exercise, whose, and whether they are the model answer."""

    exercise: str
    title: str
    students: list[str]
    model: bool


def alike(root: Path, graded: Iterable[Result]) -> list[Alike]:
    """Equal answers of a class to the written questions of a chapter, and solutions that are the model's.

    Members of one group, who handed in one notebook, are not told of each other.
    """
    graded = list(graded)
    found: list[Alike] = []
    texts: dict[str, dict[str, list[str]]] = {}  # exercise → key → students
    titles: dict[str, str] = {}
    models: dict[str, str] = {}
    copied: dict[str, list[str]] = {}  # student → exercises answered by the model's code
    for result in graded:
        own = notebook_of(root, result)
        for verdict in result.verdicts if own else ():
            if verdict.exercise not in models:
                model = asked(root, result.chapter, verdict.exercise)
                models[verdict.exercise] = key_of(model.model, model.code)
                titles[verdict.exercise] = verdict.title
            text, code = text_of(own, verdict, handed_out(root, result.chapter))  # type: ignore[arg-type]
            key = key_of(text, code)
            if code and key and key == models[verdict.exercise]:
                copied.setdefault(result.student, []).append(verdict.exercise)
            elif not code and key:
                texts.setdefault(verdict.exercise, {}).setdefault(key, []).append(result.student)
    for exercise, keys in sorted(texts.items()):
        for key, students in keys.items():
            if key == models[exercise] or len(_apart(root, graded, students)) > 1:
                found.append(Alike(exercise, titles[exercise], students, key == models[exercise]))
    many = [student for student, own in copied.items() if len(own) >= ALL]
    return found + ([Alike("", "", many, True)] if many else [])


def _apart(root: Path, graded: Iterable[Result], students: Sequence[str]) -> set[str]:
    """The groups that these students were in; somebody without one is one alone."""
    chapters = {result.student: result for result in graded}
    groups = set()
    for student in students:
        own = chapters[student]
        group = (signed.read(folder_of(root, own), student, own.chapter) or {}).get("group")
        groups.add(f"group {group}" if group else f"student {student}")
    return groups


def present(result: Result, exercise: str) -> str:
    """What is written into by_hand.csv for this answer; "" for a result that has no name for it."""
    return next(iter(fingerprints(result, exercise)), "")
