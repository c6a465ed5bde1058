"""What comes after grading: feedback, reports and exports of a class folder, written where they belong."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maml_edu import places

from . import exports, marks
from .classroom import Classroom, write
from .judge import task_of
from .pages import feedback, html, report
from .results import Result
from .submission import Rejected, find, read

SYSTEMS = ("csv", "canvas", "moodle", "gradescope", "nbgrader")


def graded(classroom: Classroom, chapters: list[str]) -> marks.Built:
    """Marks and results of these chapters (all). Raises ValueError where nothing has been graded."""
    built = marks.collect(classroom.results, classroom.by_hand)
    of = [result for result in built.results if not chapters or result.chapter in chapters]
    if not of:
        raise ValueError(f"nothing is graded yet in {classroom.root}: maml-edu classroom grade.")
    names = {(result.chapter, result.student) for result in of}
    own = [mark for mark in built.marks if (mark.chapter, mark.student) in names]
    handed_in = classroom.jobs(chapters or None)
    late = [job for job in handed_in if (job.chapter, job.student) not in names]
    problems = [
        *built.problems,
        *([f"{len(late)} submissions are not graded yet."] if late else []),
    ]
    return marks.Built(own, of, built.by_hand, problems)


# ------------------------------------------------------------------ feedback and reports


def write_feedback(classroom: Classroom, built: marks.Built) -> list[Path]:
    """A page and a notebook for every submission, in feedback/STUDENT/CHAPTER/; the pages."""
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
    if own and result.sha256 and own.sha256 != result.sha256:
        own = None  # handed in since: what was graded is not this
        result = replace(
            result,
            notes=[
                *result.notes,
                "another notebook was handed in since; this is on the one before",
            ],
        )
    cells = own.cells if own else []
    page = folder / f"{result.chapter}.html"
    write(page, feedback.page(result, cells, by_hand))
    if own:
        made = feedback.in_notebook(result, cells, by_hand)
        write(page.with_suffix(".ipynb"), json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    return page


def write_reports(classroom: Classroom, built: marks.Built) -> list[Path]:
    """Two pages a chapter for the teacher, in exports/: how the class did, and the written answers."""
    paths = []
    for chapter in sorted({result.chapter for result in built.results}):
        of = [result for result in built.results if result.chapter == chapter]
        page = report.page(of, [m for m in built.marks if m.chapter == chapter])
        for name, text in (("report", page), ("written", written_page(classroom, chapter, of))):
            paths.append(classroom.root / "exports" / f"{name}_{chapter}.html")
            write(paths[-1], text)
    return paths


def written_page(classroom: Classroom, chapter: str, graded: list[Result]) -> str:
    """All written answers of a chapter on one page, to be read in a row, below the rubric."""
    body = f"<h1>Written answers: {html.escape(places.title(chapter))}</h1>\n"
    for question in task_of(chapter).written:
        body += f"<h2>{html.escape(question.id)}, {question.points:g} points</h2>\n"
        body += _text(places.course_root() / "solutions" / f"{chapter}.ipynb", question.id)
        for result in graded:
            if any(v.exercise == question.id and v.points is None for v in result.verdicts):
                folder = classroom.root / "submitted" / result.student / chapter
                body += f"<h3>{html.name(result.student)}</h3>\n"
                with contextlib.suppress(Rejected):
                    body += _text(find(folder, chapter)[0], question.id)
    return html.page("Written answers", body)


def _text(notebook: Path, name: str) -> str:
    """What the cells of a name hold, as it stands there."""
    found = [cell.source for cell in read(notebook).cells if cell.grade_id == name]
    text = "\n\n".join(found) or "(not in its cell: look in the notebook)"
    return f'<pre style="white-space: pre-wrap">{html.escape(text, 20_000)}</pre>\n'


# ------------------------------------------------------------------ exports


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
    classroom: Classroom, built: marks.Built, system: str, chapter: str | None, into: Into
) -> list[str]:
    """Give marks to another system; what to say about it. Raises ValueError for what is missing."""
    folder = classroom.root / "exports"
    if system == "csv":
        exports.csv_table(built.marks, folder / "marks.csv")
        return [f"{folder / 'marks.csv'}"]
    if system == "nbgrader":
        return _into_nbgrader(classroom, built)
    if into.exported is None:
        raise ValueError(f"{system} needs --into FILE: what you exported there, to be filled in.")
    target = folder / f"{system}_{chapter}.csv"
    how: dict[str, Any] = {"match": into.match, "partial": into.partial, "scale": into.scale}
    if system == "moodle":
        return _told(exports.moodle(built.marks, into.exported, target, **how))
    if into.assignment is None:
        raise ValueError('canvas needs --assignment "Name": the column to be filled in.')
    return _told(exports.canvas(built.marks, into.exported, into.assignment, target, **how))


def _into_nbgrader(classroom, built):
    database = classroom.root / "gradebook.db"
    exports.nbgrader_gradebook(built.marks, built.results, database, built.by_hand)
    lines = [f"{database}: nbgrader formgrader and nbgrader export show the marks."]
    return lines + [
        f"{mark.student}, {mark.chapter}: has no mark ({mark.status}), which nbgrader exports as 0"
        for mark in built.marks
        if mark.points is None
    ]


def write_autograder(
    classroom: Classroom, chapter: str, wheel: Path | None, unsandboxed: bool
) -> Path:
    """The bundle that Gradescope builds an autograder from. Raises ValueError without a wheel."""
    if wheel is None or not wheel.is_file():
        raise ValueError(
            "Gradescope installs maml_edu from a wheel in the bundle: make one in a clone (pip wheel "
            "--no-deps -w dist .) and name it with --wheel dist/maml_edu-….whl."
        )
    path = classroom.root / "exports" / f"gradescope_{chapter}.zip"
    private = classroom.root / "private" / f"{chapter}.py"
    how = {"wheel": wheel, "private": private if private.is_file() else None}
    exports.gradescope_bundle(path, chapter, classroom.secret, **how, allow_unsandboxed=unsandboxed)
    return path


def _told(filled: exports.Filled) -> list[str]:
    """What became of a file that was filled in."""
    lines = [f"{filled.path}: {len(filled.written)} marks, found by {filled.matched_by}."]
    lines += [f"left as it was: {student}: {why}" for student, why in filled.left.items()]
    lines += [f"not in that file: {student}" for student in filled.unknown]
    return lines + [f"handed in nothing: {student}" for student in filled.without]
