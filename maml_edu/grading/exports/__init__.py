"""Marks and feedback for other systems: `write_export`, `write_autograder`, `write_zip`.

Each system is a file here, imported when it is asked for. `who` finds out whose row in somebody else's table
is whose, `what_counts` says which points of a mark go out, `tables` reads and writes CSV, for marks and pages
as well: these import this folder, so this file imports nothing of grading until it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..classroom import Classroom
    from ..marks import Built

SYSTEMS = ("csv", "canvas", "moodle", "blackboard", "gradescope", "nbgrader", "lti")
ONE_CHAPTER = ("canvas", "moodle", "blackboard", "gradescope", "lti")
ZIPS = ("moodle", "canvas")


@dataclass(frozen=True)
class Into:
    """Where an export goes. exported: the file to be filled in; match: its column of students; columns:
    what a heading of Moodle's is called; partial: marks that still wait for a person, too; scale: to the
    maximum that stands there; wide: a row a student; dry_run: say what would be sent."""

    exported: Path | None = None
    assignment: str | None = None
    match: str | None = None
    partial: bool = False
    scale: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    wide: bool = False
    dry_run: bool = False


def write_export(
    classroom: Classroom, built: Built, system: str, chapter: str | None, into: Into
) -> list[str]:
    """Give marks to another system; what to say about it. Raises ValueError for what is missing."""
    from . import who

    folder = classroom.root / "exports"
    if system == "csv":
        return _table(classroom, built, folder, into.wide)
    if system == "nbgrader":
        from . import nbgrader

        return nbgrader.export(classroom.root, built)
    known = who.known(classroom.root, chapter)
    if system == "lti":
        from . import ags

        order = ags.Order(into.exported, into.partial, into.scale, into.dry_run)
        return ags.export(classroom.root, built, str(chapter), known, order)
    if into.exported is None:
        raise ValueError(f"{system} needs --into FILE: what you exported there, to be filled in.")
    name = into.exported.suffix if system == "blackboard" else ".csv"
    return _filled(built, system, folder / f"{system}_{chapter}{name}", known, into)


def _table(classroom: Classroom, built: Built, folder: Path, wide: bool) -> list[str]:
    from . import who
    from .marks_table import csv_table
    from .wide import wide_table

    if wide:
        return wide_table(built.marks, who.people(classroom.root), folder / "marks_wide.csv")
    csv_table(built.marks, folder / "marks.csv")
    return [f"{folder / 'marks.csv'}"]


def _filled(built, system, target, known, into) -> list[str]:
    """Fill in a file of Canvas, Moodle or Blackboard; what became of it."""
    from ..pages import feedback
    from . import lms

    how = lms.How(known, into.match, into.scale, into.partial)
    if system == "moodle":
        comments = feedback.summaries(built)
        more = {"comments": comments, "columns": into.columns}
        return lms.moodle(built.marks, into.exported, target, how, **more).lines
    if into.assignment is None:
        raise ValueError(f'{system} needs --assignment "Name": the column to be filled in.')
    fill = {"canvas": lms.canvas, "blackboard": lms.blackboard}[system]
    return fill(built.marks, into.exported, into.assignment, target, how).lines


def write_zip(
    classroom: Classroom, built: Built, system: str, chapter: str, worksheet: Path | None = None
) -> list[str]:
    """Feedback that has been written, as a zip for Moodle or Canvas; what to say about it."""
    from . import who, zips

    if system not in ZIPS:
        raise ValueError(f"{system!r} is none of {', '.join(ZIPS)}.")
    path = classroom.root / "exports" / f"feedback_{system}_{chapter}.zip"
    known = who.known(classroom.root, chapter)
    if system == "canvas":
        return zips.canvas(built, classroom.root, known, path)
    return zips.moodle(built, classroom.root, known, path, worksheet)


def write_autograder(
    classroom: Classroom, chapter: str, wheel: Path | None, unsandboxed: bool, visible: bool = False
) -> list[str]:
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
    gradescope.bundle(
        path, chapter, classroom.secret, **how, allow_unsandboxed=unsandboxed, visible=visible
    )
    return [
        f"{path}: upload it as the autograder. Your seed is in it: keep it to yourself.",
        *gradescope.setting_up(chapter, visible),
    ]
