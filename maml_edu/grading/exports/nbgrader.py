"""nbgrader: its API for a class folder (`api`), and marks where its formgrader looks for them (`export`).

The formgrader shows a submission as graded when three things agree: a notebook in autograded/, an entry in the
gradebook, and the same time of handing in in both. `export` makes all three.
"""

from __future__ import annotations

import contextlib
import json
import os
import sysconfig
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from maml_edu.atomic import replacing

from .. import marks
from ..marks import Built, ByHand, Mark
from ..pages import feedback
from ..results import Result
from ..submission import Cell, Rejected, find, read
from .what_counts import points


def export(root: Path, built: Built) -> list[str]:
    """Marks into the class's gradebook.db and notebooks into autograded/; what to say about it.

    Manage Submissions then shows scores, Manual Grading the answers that a person must read. Raises what
    `fill_gradebook` raises.
    """
    database = root / "gradebook.db"
    times = {}
    worth = marks.maxima(built.results)
    for result in built.results:
        key = (result.chapter, result.student)
        times[key] = handed_in_at(root, result)
        folder = root / "autograded" / result.student / result.chapter
        cells = _cells(root, result)
        made = notebook(result, cells, worth[result.chapter], built.by_hand)
        with replacing(folder / f"{result.chapter}.ipynb") as file:
            file.write((json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode())
    fill_gradebook(built.marks, built.results, database, built.by_hand, times)
    lines = [
        f"{database} and autograded/: formgrader and nbgrader export show the marks. Its Autograde button "
        "(⚡) would run nbgrader's own grading, outside the box: leave it alone."
    ]
    lines += [
        f"{mark.student}, {mark.chapter}: nbgrader adds up {mark.points:g} points as graded; "
        f"{points(mark):g} count"
        for mark in built.marks
        if mark.points is not None and points(mark) not in (None, mark.points)
    ]
    untimed = sum(time is None for time in times.values())
    if untimed:
        lines.append(
            f"{untimed} submissions have no timestamp.txt: nbgrader takes them as handed in in time"
        )
    return lines + [
        f"{mark.student}, {mark.chapter}: has no mark ({mark.status}), which nbgrader exports as 0"
        for mark in built.marks
        if points(mark) is None
    ]


def handed_in_at(root: Path, result: Result) -> datetime | None:
    """When, as nbgrader reads it from timestamp.txt: in UTC, without a zone. None where nothing says."""
    from nbgrader.utils import parse_utc

    path = root / "submitted" / result.student / result.chapter / "timestamp.txt"
    try:
        return parse_utc(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError, OverflowError):
        return None


def _cells(root: Path, result: Result) -> list[Cell]:
    """The cells that were graded, where they are still there."""
    folder = root / "submitted" / result.student / result.chapter
    try:
        own = read(find(folder, result.chapter, result.asked)[0])
    except Rejected:
        return []
    return [] if result.sha256 and own.sha256 != result.sha256 else own.cells


# ------------------------------------------------------------------ the notebook that formgrader shows


def notebook(
    result: Result, cells: list[Cell], worth: Mapping[str, float], by_hand: ByHand
) -> dict[str, Any]:
    """A submission as nbgrader expects it after its autograder: each answer marked as one, each grade
    with a cell of its own, which says what our checks found. Without the student's outputs and HTML."""
    cells = cells[: feedback.CELLS]
    places = feedback.answers_of(result.verdicts, cells)
    made = []
    for i, cell in enumerate(cells):
        answers = [exercise for exercise, place in places.items() if place == i]
        made.append(_answer(cell, answers, worth))
        made += [
            _check(result, exercise, worth, by_hand) for exercise in answers if "." in exercise
        ]
    made += [_check(result, e, worth, by_hand) for e in worth if e not in places]
    named = [{"id": f"c{i}"} | cell for i, cell in enumerate(made)]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": named, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def _answer(cell, answers, worth):
    """A cell of the student's; nbgrader knows one answer a cell."""
    if cell.kind == "code":
        made = feedback.code(cell.source)
    else:  # no tag of theirs reaches the teacher's browser
        source = cell.source.replace("<", "&lt;")
        made = feedback.markdown(
            source if cell.kind == "markdown" else feedback.verbatim(cell.source)
        )
    for exercise in answers[:1]:
        grade = "." not in exercise
        made["metadata"] = _named(
            feedback.answer_name(exercise), made, worth[exercise] if grade else None, solution=True
        )
    return made


def _check(result, exercise, worth, by_hand):
    """The cell that has an exercise's grade."""
    found = [verdict for verdict in result.verdicts if verdict.exercise == exercise]
    given = marks.given_for(result, exercise, by_hand)
    said = feedback.in_words(found[0], given) if found else result.problem or "not graded"
    lines = "\n".join(f"# {line}" for line in f"{exercise}\n{said}".splitlines())
    made = feedback.code(lines) if "." in exercise else feedback.markdown("(no answer was found)")
    made["metadata"] = _named(
        grade_cell(exercise), made, worth[exercise], solution="." not in exercise
    )
    return made


def _named(name, cell, worth, solution):
    about = {
        "schema_version": 3,
        "grade_id": name,
        "grade": worth is not None,
        "solution": solution,
    }
    about |= {"locked": not solution, "task": False, "cell_type": cell["cell_type"]}
    return {"nbgrader": about | ({} if worth is None else {"points": worth})}


# ------------------------------------------------------------------ the gradebook


def fill_gradebook(
    found: Iterable[Mark],
    results: Iterable[Result],
    database: Path,
    by_hand: ByHand | None = None,
    times: Mapping[tuple[str, str], datetime | None] | None = None,
) -> None:
    """Put marks into nbgrader's gradebook, where its formgrader and `nbgrader export` show them.

    The points of the checks become the scores of the autograder, those that a person gave manual scores;
    a manual score from the formgrader stays where the mark has none. `needs_manual_grade` is True where
    a person must still decide. by_hand: for the comments. times: (chapter, student) → when it was
    handed in, in UTC, for nbgrader's plugins about late ones. Can be run again. Raises ImportError without
    nbgrader (pip install "maml_edu[teach]"), RuntimeError when the gradebook cannot be written.
    """
    from nbgrader.api import Gradebook, InvalidEntry
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    graded = {(result.chapter, result.student): result for result in results}
    worth = marks.maxima(graded.values())
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A URL object: in a string, a ? in the folder's name would begin something else.
        url = URL.create("sqlite", database=str(database))
        with scripts_on_path(), Gradebook(url) as book:
            for chapter, exercises in worth.items():
                _assignment(book, chapter, exercises)
            for mark in sorted(found, key=lambda mark: (mark.chapter, mark.student)):
                result = graded[mark.chapter, mark.student]
                when = (times or {}).get((mark.chapter, mark.student))
                _submission(book, mark, result, worth[mark.chapter], by_hand or {}, when)
            book.db.commit()
    except (InvalidEntry, SQLAlchemyError) as error:
        raise RuntimeError(
            f"{database} could not be written: is the formgrader busy with it, or is it not nbgrader's "
            f"gradebook? ({str(error)[:200]})"
        ) from error


@contextlib.contextmanager
def api(root: Path):
    """nbgrader's API for a class folder. Raises ImportError without nbgrader."""
    try:
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config
    except ImportError as error:
        raise ImportError("a class needs nbgrader: pip install 'maml_edu[teach]'") from error
    config = Config()
    config.CourseDirectory.root = str(root)
    config.Application.log_level = "ERROR"
    with scripts_on_path():
        yield NbGraderAPI(config=config)


@contextlib.contextmanager
def scripts_on_path():
    """nbgrader asks the program `alembic` when it makes a gradebook; an environment need not be activated."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def grade_cell(exercise: str) -> str:
    """The id of the cell whose points an exercise's are: check_meta_slope for 04.meta_slope."""
    return f"check_{feedback.answer_name(exercise)}" if "." in exercise else exercise


def _assignment(book, chapter, worth):
    book.update_or_create_assignment(chapter)
    book.update_or_create_notebook(chapter, chapter)
    for exercise, value in worth.items():
        kind = "code" if "." in exercise else "markdown"
        cell = grade_cell(exercise)
        book.update_or_create_grade_cell(cell, chapter, chapter, max_score=value, cell_type=kind)
        book.update_or_create_solution_cell(feedback.answer_name(exercise), chapter, chapter)


def _submission(book, mark, result, exercises, by_hand, when):
    """One student's grades and comments."""
    from nbgrader.api import Comment, Grade

    book.update_or_create_student(mark.student)
    with book.db.no_autoflush:  # of a submission that is half made
        submission = book.update_or_create_submission(mark.chapter, mark.student, timestamp=when)
    notebook = next(one for one in submission.notebooks if one.name == mark.chapter)
    graded = {cell.name: cell.id for cell in notebook.notebook.grade_cells}
    solved = {cell.name: cell.id for cell in notebook.notebook.solution_cells}
    grades = {grade.cell_id: grade for grade in notebook.grades}
    remarks = {comment.cell_id: comment for comment in notebook.comments}
    checked = {v.exercise: v.points for v in result.verdicts if result.points is not None}
    for exercise in exercises:
        place = graded[grade_cell(exercise)]
        grade = grades.get(place) or Grade(cell_id=place, notebook=notebook)
        grade.auto_score, value = checked.get(exercise), mark.parts.get(exercise)
        if value is not None:  # a score that the formgrader gave stays where there is none of ours
            grade.manual_score = value if value != grade.auto_score else None
        grade.needs_manual_grade = grade.auto_score is None and grade.manual_score is None
        given = marks.given_for(result, exercise, by_hand)
        if given is not None and given.comment:
            place = solved[feedback.answer_name(exercise)]
            remark = remarks.get(place) or Comment(cell_id=place, notebook=notebook)
            remark.manual_comment = given.comment
