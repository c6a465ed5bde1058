"""Reading what was handed in: strict with files, lenient with honest damage.

`find` picks the notebook in a student's folder, `read` turns a file into cells, `of_this_chapter` refuses what
was not asked for. All look before they touch: a link, a device, a file of 2 GB or of nonsense is refused with
one plain sentence (`Rejected`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from maml_edu import places

from .cells import Cell, answer_pattern, is_blank
from .notebook_file import Rejected, text_of

__all__ = [
    "Cell", "Rejected", "Submission", "answer_pattern", "find", "of_this_chapter", "plain_name", "printable",
    "read",
]  # fmt: skip

MOST_CELLS = 2000


@dataclass(frozen=True)
class Submission:
    """A notebook that can be run: its cells, its file's checksum, and what had to be put right.

    origin: the source of the course from which the notebook says it was made, or "".
    """

    cells: list[Cell]
    sha256: str
    file: str = ""
    notes: list[str] = field(default_factory=list)
    origin: str = ""

    def mentions(self, word: str) -> bool:
        return any(word in cell.source for cell in self.cells)


# ------------------------------------------------------------------ which file


LOOKED_AT = 12  # notebooks of one folder that are read to see which is meant
NAMED = 6  # in a note
MINUTE = 60.0  # copying and unpacking leave times that are nearer than this, in any order


def find(folder: Path, chapter: str, asked: Sequence[str] | None = None) -> tuple[Path, list[str]]:
    """The notebook of a chapter in a student's folder, and notes on how it was found.

    Of several, the one with the most answers is meant: a blank original loses against a solved copy. Among
    those it is the one with the chapter's own name, then what browsers and people make of it ("… (1).ipynb",
    "… - Copy.ipynb", "…_final.ipynb"), unless such a one is newer by more than a minute; then the newest.
    asked: the functions that are asked for (those of the course's notebook). Raises Rejected.
    """
    try:
        if folder.is_symlink():
            raise Rejected("the folder is a link to another place; hand in the files themselves")
        found = [entry for entry in os.scandir(folder) if _may_be_it(entry)]
    except OSError as error:
        raise Rejected(f"the folder cannot be read ({error.strerror})") from None
    if not found:
        raise Rejected("there is no notebook (.ipynb) in the folder")
    held = _held(found, chapter, asked_in(chapter) if asked is None else asked)
    chosen = _meant(held)
    name = os.path.basename(chosen.path)
    notes = [] if chosen.nearness == EXACT else [f"the file is called {name!r}"]
    return Path(chosen.path), notes + _told_of_others(chosen, held)


EXACT, ALIKE, NUMBERED, ANY = 3, 2, 1, 0  # how near a file's name is to the chapter's


@dataclass(frozen=True)
class _Held:
    """A notebook of a folder, and what it holds. problem: why it is not the one, in a word or two."""

    path: str
    nearness: int
    time: float
    problem: str = "not looked at"
    solved: int = 0  # answers that are more than a stub
    there: int = 0

    @property
    def worth(self):
        return not self.problem, self.solved, self.there


def _held(found, chapter, asked) -> list[_Held]:
    """What is in each notebook; of a single one, or beyond LOOKED_AT, that is not looked up."""
    held = [_Held(e.path, _nearness(e.name, chapter), _time(e)) for e in found]
    held.sort(key=lambda one: (one.nearness, one.time, one.path), reverse=True)
    if len(held) == 1:
        return held
    return [_looked_at(one, chapter, asked) for one in held[:LOOKED_AT]] + held[LOOKED_AT:]


def _nearness(name, chapter) -> int:
    if name == f"{chapter}.ipynb":
        return EXACT
    if plain_name(name) == plain_name(chapter):
        return ALIKE
    return NUMBERED if name.startswith(chapter.split("_")[0]) else ANY


def _time(entry) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _looked_at(one, chapter, asked):
    try:
        found = read(Path(one.path))
    except Rejected:
        return replace(one, problem="no notebook")
    code = [cell for cell in found.cells if cell.kind == "code"]
    there = [[cell for cell in code if cell.binds(name)] for name in asked]
    solved = sum(
        any(not is_blank(cell, name) for cell in own)
        for name, own in zip(asked, there, strict=True)
    )
    problem = "a lesson" if is_lesson(found, chapter, asked) else ""
    return replace(one, problem=problem, solved=solved, there=sum(map(bool, there)))


def _meant(held) -> _Held:
    """Which of several is to be graded."""
    most = max(one.worth for one in held)
    best = [one for one in held if one.worth == most]
    near = max(one.nearness for one in best)
    best = [one for one in best if one.nearness >= min(near, ALIKE)]
    newest = max(best, key=lambda one: (one.time, one.path))
    exact = [one for one in best if one.nearness == EXACT]
    return exact[0] if exact and newest.time - exact[0].time <= MINUTE else newest


def _told_of_others(chosen, held) -> list[str]:
    """A sentence where there were several, for student and teacher."""
    if len(held) == 1:
        return []
    others = [one for one in held if one is not chosen]
    told = [f"{os.path.basename(one.path)!r} ({_contents(one)})" for one in others[:NAMED]]
    told += [f"{len(others) - NAMED} more"] if len(others) > NAMED else []
    return [
        f"{len(held)} notebooks were handed in: {os.path.basename(chosen.path)!r} "
        f"({_contents(chosen)}) was taken, and not {', '.join(told)}"
    ]


def _contents(one) -> str:
    if one.problem:
        return one.problem
    return "no answers" if not one.solved else f"{one.solved} answer{'s' * (one.solved > 1)}"


ENDING = re.compile(r"\.ipynb(\.json|\.txt)?$", flags=re.I)  # some browsers add one of their own


def _may_be_it(entry) -> bool:
    return bool(ENDING.search(entry.name)) and not entry.name.startswith(".")


def plain_name(name: str) -> str:
    """A file's name without ending, case, numbers in brackets, "copy" and "final"."""
    stem = ENDING.sub("", name).lower()
    return re.sub(r"(\(\d+\)|\b|_|-)(copy|kopie|final|solved)\d*\b|\(\d+\)|[\s_\-]+", "", stem)


# ------------------------------------------------------------------ what is in it


def read(path: Path) -> Submission:
    """The notebook in a file. Raises Rejected where it is none, or no file at all."""
    text, checksum, notes = text_of(path)
    if not text.strip():
        raise Rejected("the file is empty")
    try:
        notebook = json.loads(text)
    except ValueError:
        raise Rejected("the file is not JSON: no notebook, or one that was cut off") from None
    except RecursionError:
        raise Rejected("the file is nested too deeply to be a notebook") from None
    return Submission(_cells(notebook), checksum, printable(path.name), notes, _origin(notebook))


def _origin(notebook) -> str:
    """From which source of the course a notebook says that it was made: "course/04_…/lesson.py"."""
    metadata = notebook.get("metadata")
    own = metadata.get("maml_edu") if isinstance(metadata, dict) else None
    source = own.get("source") if isinstance(own, dict) else None
    return source if isinstance(source, str) else ""


def printable(text: str) -> str:
    """Text of a student's that may be shown: nothing in it moves a cursor, turns a line or breaks a file."""
    odd = "\N{REPLACEMENT CHARACTER}"
    return "".join(c if c.isprintable() else odd for c in text.replace("\t", " "))


def _cells(notebook: Any) -> list[Cell]:
    """Cells of any notebook since format 3, whatever else is wrong with it."""
    if not isinstance(notebook, dict):
        raise Rejected("the file is JSON, and no notebook")
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):  # format 3
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [
            c for sheet in sheets if isinstance(sheet.get("cells"), list) for c in sheet["cells"]
        ]
    if not isinstance(cells, list):
        raise Rejected("the file has no cells, so it is no notebook")
    if len(cells) > MOST_CELLS:
        raise Rejected(f"the notebook has {len(cells)} cells; {MOST_CELLS} are the limit")
    return [_cell(cell) for cell in cells if isinstance(cell, dict)]


def _cell(cell: dict[str, Any]) -> Cell:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    source = source if isinstance(source, str) else ""
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        kind = "code" if "outputs" in cell else "markdown"
    return Cell(kind, source.encode("utf-8", "replace").decode(), _grade_id(cell.get("metadata")))


def _grade_id(metadata) -> str:
    own = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = own.get("grade_id") if isinstance(own, dict) else None
    return name if isinstance(name, str) else ""


# ------------------------------------------------------------------ whether it is what was asked for


def of_this_chapter(submission: Submission, chapter: str, asked: Sequence[str]) -> None:
    """Raise Rejected where nothing that was asked is in the notebook: for a lesson, say, or another chapter.

    asked: names of functions and of written questions.
    """
    if is_lesson(submission, chapter, asked):
        raise Rejected(
            "this is the lesson and not its exercises: hand in the notebook of the same name from exercises/"
        )
    if _names_it(submission, chapter):
        return
    other = _another_chapter(submission, chapter)
    if other:
        raise Rejected(f"these are the exercises of another chapter, {other}")
    if not any(
        name == cell.grade_id or cell.binds(name) for cell in submission.cells for name in asked
    ):
        raise Rejected("no exercise of this chapter is in it: is it the notebook of another one?")


def _names_it(submission, chapter) -> bool:
    """Whether a cell names an exercise or a written question of this chapter, as check cells do."""
    number = re.escape(chapter.split("_")[0])
    pattern = re.compile(rf"""["']{number}\.\w""")
    return any(
        pattern.search(cell.source) or cell.grade_id == f"written_{chapter.split('_')[0]}"
        for cell in submission.cells
    )


def _another_chapter(submission, chapter) -> str:
    """The chapter of whose exercises a notebook says that it is, where that is another one; "" otherwise."""
    parts = submission.origin.split("/")
    is_other = len(parts) == 3 and parts[2] == "exercises.py" and parts[1] != chapter
    return parts[1] if is_other and parts[1] in places.chapters() else ""


SHARED = 3  # cells of code of a lesson that make a notebook it


def is_lesson(submission: Submission, chapter: str, asked: Sequence[str]) -> bool:
    """Whether a notebook is a lesson with nothing that was asked in it, by what it says or by its cells.

    A lesson may define functions of the exercises' names; an answer stands in a cell that is not the lesson's.
    """
    parts = submission.origin.split("/")
    says_so = parts[-1] == "lesson.py"
    lesson = lesson_cells(parts[1] if says_so and parts[1:2] else chapter)
    own = [cell for cell in submission.cells if cell.source.strip() not in lesson]
    if not says_so and len(submission.cells) - len(own) < SHARED:
        return False
    if any(name == cell.grade_id for cell in own for name in asked):
        return False
    return not any(c.kind == "code" and c.binds(name) for c in own for name in asked)


@cache
def lesson_cells(chapter: str) -> frozenset[str]:
    """The longer cells of code of a chapter's lesson; none where there is no such chapter."""
    cells = _of_the_course("notebooks", chapter)
    return frozenset(c.source.strip() for c in cells if c.kind == "code" and len(c.source) > 40)


@cache
def asked_in(chapter: str) -> tuple[str, ...]:
    """The functions that the course asks for in a chapter; none where there is no such chapter."""
    cells = _of_the_course("exercises", chapter)
    return tuple(
        c.grade_id for c in cells if c.kind == "code" and c.grade_id and c.binds(c.grade_id)
    )


def _of_the_course(folder, chapter) -> list[Cell]:
    if chapter not in places.chapters():  # a word of the student's own may be anything: "../.."
        return []
    path = places.course_root() / folder / f"{chapter}.ipynb"
    try:
        return read(path).cells
    except Rejected:
        return []
