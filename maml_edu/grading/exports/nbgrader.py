"""nbgrader: its API for a class folder (`api`), and marks in its gradebook (`fill_gradebook`)."""

from __future__ import annotations

import contextlib
import os
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from .. import marks
from ..marks import ByHand, Mark
from ..pages import feedback
from ..results import Result


def fill_gradebook(
    found: Iterable[Mark], results: Iterable[Result], database: Path, by_hand: ByHand | None = None
) -> None:
    """Put marks into nbgrader's gradebook, where its formgrader and `nbgrader export` show them.

    The points of the checks become the scores of the autograder, those that a person gave manual scores;
    a manual score from the formgrader stays where the mark has none. `needs_manual_grade` is True where
    a person must still decide. by_hand: for the comments. Can be run again. Raises ImportError without
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
                _submission(book, mark, result, worth[mark.chapter], by_hand or {})
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


def _submission(book, mark, result, exercises, by_hand):
    """One student's grades and comments."""
    from nbgrader.api import Comment, Grade

    book.update_or_create_student(mark.student)
    with book.db.no_autoflush:  # of a submission that is half made
        submission = book.update_or_create_submission(mark.chapter, mark.student)
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
