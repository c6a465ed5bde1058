"""Marks for other systems, by `write_export`: a table of our own, Canvas, Moodle, Gradescope, nbgrader's gradebook.

Each system is a file here, imported when it is asked for. `tables` reads and writes CSV for them, and for marks
and pages: these import this folder, so this file imports nothing of grading until it is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..classroom import Classroom
    from ..marks import Built

SYSTEMS = ("csv", "canvas", "moodle", "gradescope", "nbgrader")


@dataclass(frozen=True)
class Into:
    """Where an export goes. exported: the file to be filled in; match: its column of students; partial:
    marks that still wait for a person, too; scale: to the maximum that stands there."""

    exported: Path | None = None
    assignment: str | None = None
    match: str | None = None
    partial: bool = False
    scale: bool = False


def write_export(
    classroom: Classroom, built: Built, system: str, chapter: str | None, into: Into
) -> list[str]:
    """Give marks to another system; what to say about it. Raises ValueError for what is missing."""
    folder = classroom.root / "exports"
    if system == "csv":
        from .marks_table import csv_table

        csv_table(built.marks, folder / "marks.csv")
        return [f"{folder / 'marks.csv'}"]
    if system == "nbgrader":
        return _into_nbgrader(classroom, built)
    if into.exported is None:
        raise ValueError(f"{system} needs --into FILE: what you exported there, to be filled in.")
    return _filled(built, system, folder / f"{system}_{chapter}.csv", into.exported, into)


def _filled(built: Built, system: str, target: Path, exported: Path, into: Into) -> list[str]:
    """Fill in a file of Canvas or Moodle; what became of it."""
    from . import lms

    how: dict[str, Any] = {"match": into.match, "partial": into.partial, "scale": into.scale}
    if system == "moodle":
        return lms.moodle(built.marks, exported, target, **how).lines
    if into.assignment is None:
        raise ValueError('canvas needs --assignment "Name": the column to be filled in.')
    return lms.canvas(built.marks, exported, into.assignment, target, **how).lines


def _into_nbgrader(classroom: Classroom, built: Built) -> list[str]:
    from . import nbgrader

    database = classroom.root / "gradebook.db"
    nbgrader.fill_gradebook(built.marks, built.results, database, built.by_hand)
    lines = [f"{database}: nbgrader formgrader and nbgrader export show the marks."]
    return lines + [
        f"{mark.student}, {mark.chapter}: has no mark ({mark.status}), which nbgrader exports as 0"
        for mark in built.marks
        if mark.points is None
    ]


def write_autograder(
    classroom: Classroom, chapter: str, wheel: Path | None, unsandboxed: bool
) -> Path:
    """The bundle that Gradescope builds an autograder from. Raises ValueError without a wheel, and for a check
    that rejects the model answer of its own exercise."""
    from .. import model_answers, tasks
    from ..sandbox import box
    from . import gradescope

    if wheel is None or not wheel.is_file():
        raise ValueError(
            "Gradescope installs maml_edu from a wheel in the bundle: make one in a clone (pip wheel "
            "--no-deps -w dist .) and name it with --wheel dist/maml_edu-….whl."
        )
    path = classroom.root / "exports" / f"gradescope_{chapter}.zip"
    private = classroom.root / "private" / f"{chapter}.py"
    model_answers.try_all([chapter], classroom.how(sandbox=not box.probe()))
    source = tasks.notebook_of(chapter, classroom.source)
    how = {"wheel": wheel, "private": private if private.is_file() else None, "source": source}
    gradescope.bundle(path, chapter, classroom.secret, **how, allow_unsandboxed=unsandboxed)
    return path
