"""What comes after grading: feedback, reports and exports of a class folder, written where they belong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import exports, feedback, marks, report
from .classroom import Classroom, write
from .results import Result
from .submission import Rejected, Submission, find, read

SYSTEMS = ("csv", "canvas", "moodle", "gradescope", "nbgrader")


def graded(classroom: Classroom, chapters: list[str]) -> marks.Built:
    """Marks and results of these chapters (all). Raises ValueError where nothing has been graded."""
    built = marks.collect(classroom.results, classroom.by_hand)
    of = [result for result in built.results if not chapters or result.chapter in chapters]
    if not of:
        raise ValueError(f"nothing is graded yet in {classroom.root}: maml-edu classroom grade.")
    names = {(result.chapter, result.student) for result in of}
    own = [mark for mark in built.marks if (mark.chapter, mark.student) in names]
    return marks.Built(own, of, built.by_hand, built.problems)


# ------------------------------------------------------------------ feedback and reports


def write_feedback(classroom: Classroom, chapters: list[str]) -> list[Path]:
    """A page and a notebook for every submission, in feedback/STUDENT/CHAPTER/; the pages."""
    built = graded(classroom, chapters)
    return [_write_feedback(classroom, result, built.by_hand) for result in built.results]


def _write_feedback(classroom: Classroom, result: Result, by_hand) -> Path:
    folder = classroom.root / "feedback" / result.student / result.chapter
    try:
        path, _ = find(
            classroom.root / "submitted" / result.student / result.chapter, result.chapter
        )
        own = read(path)
    except Rejected:  # the page says so; there is nothing of theirs to show
        own = None
    cells = [(cell.kind, cell.source) for cell in own.cells] if own else []
    page = folder / f"{result.chapter}.html"
    write(page, feedback.page(result, cells, by_hand))
    if own:
        made = feedback.in_notebook(result, as_notebook(own), by_hand)
        write(page.with_suffix(".ipynb"), json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    return page


def as_notebook(submission: Submission) -> dict[str, Any]:
    """A submission's cells as a notebook of format 4 and nothing else."""
    return {
        "cells": [
            {
                "cell_type": cell.kind,
                "source": cell.source,
                "metadata": {"nbgrader": {"grade_id": cell.grade_id}},
            }
            for cell in submission.cells
        ]
    }


def write_reports(classroom: Classroom, chapters: list[str]) -> list[Path]:
    """A page a chapter for the teacher, in exports/."""
    built = graded(classroom, chapters)
    paths = []
    for chapter in sorted({result.chapter for result in built.results}):
        of = [result for result in built.results if result.chapter == chapter]
        paths.append(classroom.root / "exports" / f"report_{chapter}.html")
        write(paths[-1], report.page(of, [m for m in built.marks if m.chapter == chapter]))
    return paths


# ------------------------------------------------------------------ exports


def write_export(
    classroom: Classroom, system: str, chapter: str | None, exported: Path | None = None,
    assignment: str | None = None, partial: bool = False, scale: bool = False, wheel: Path | None = None,
) -> list[str]:  # fmt: skip
    """Give marks to another system; what to say about it. Raises ValueError for what is missing."""
    if system not in SYSTEMS:
        raise ValueError(f"{system!r} is none of {', '.join(SYSTEMS)}.")
    if system in ("canvas", "moodle", "gradescope") and chapter is None:
        raise ValueError(f"{system} takes one chapter: --chapter 04.")
    folder = classroom.root / "exports"
    if system == "gradescope":
        path = folder / f"gradescope_{chapter}.zip"
        exports.gradescope_bundle(path, str(chapter), classroom.secret, wheel=wheel)
        return [f"{path}: upload it as the autograder. Your seed is in it: keep it to yourself."]
    built = graded(classroom, [chapter] if chapter else [])
    if system == "csv":
        exports.csv_table(built.marks, folder / "marks.csv")
        return [f"{folder / 'marks.csv'}"]
    if system == "nbgrader":
        database = classroom.root / "gradebook.db"
        exports.nbgrader_gradebook(built.marks, built.results, database, built.by_hand)
        return [f"{database}: nbgrader formgrader and nbgrader export show the marks."]
    if exported is None:
        raise ValueError(f"{system} needs --into FILE: what you exported there, to be filled in.")
    target = folder / f"{system}_{chapter}.csv"
    if system == "moodle":
        return _told(exports.moodle(built.marks, exported, target, partial=partial, scale=scale))
    if assignment is None:
        raise ValueError('canvas needs --assignment "Name": the column to be filled in.')
    how = {"partial": partial, "scale": scale}
    return _told(exports.canvas(built.marks, exported, assignment, target, **how))


def _told(filled: exports.Filled) -> list[str]:
    """What became of a file that was filled in."""
    lines = [f"{filled.path}: {len(filled.written)} marks, found by {filled.matched_by}."]
    lines += [f"left as it was: {student}: {why}" for student, why in filled.left.items()]
    lines += [f"not in that file: {student}" for student in filled.unknown]
    lines += [f"handed in nothing: {student}" for student in filled.without]
    return lines
