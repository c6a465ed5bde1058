"""Marks for other systems: a table, Canvas, Moodle, Gradescope, nbgrader's gradebook.

`csv_table` is ours and safe to open in a spreadsheet. `canvas` and `moodle` fill in the file that the
teacher exported there: only grades (and comments) change, every other cell stays byte for byte. What has
not been decided is never written, as 0 or as anything else.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import shlex
import sysconfig
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maml_edu.atomic import replacing

from . import marks, tables
from .marks import ByHand, Mark
from .pages import feedback
from .pages.html import points as in_points
from .pages.html import visible
from .results import Result
from .tables import Sheet, number

# ------------------------------------------------------------------ a table

HEADER = ["student", "chapter", "status", "points", "max_points", "waiting", "sandboxed"]


def csv_table(found: Iterable[Mark], path: Path) -> None:
    """Write marks as a table: a row a submission, then a column an exercise; empty: not decided.

    A name such as =cmd|x gets an apostrophe in front, so that no spreadsheet runs it; `read_csv_table`,
    or `tables.plain` for one cell, takes it off again. Raises OSError when it cannot be written.
    """
    found = sorted(found, key=lambda mark: (mark.chapter, mark.student))
    exercises = list(dict.fromkeys(exercise for mark in found for exercise in mark.parts))
    rows = [
        [
            mark.student,
            mark.chapter,
            mark.status,
            mark.points,
            mark.max_points,
            " ".join(mark.waiting),
            "yes" if mark.sandboxed else "no",
            *(mark.parts.get(exercise) for exercise in exercises),
        ]
        for mark in found
    ]
    tables.write(path, HEADER + exercises, rows)


def read_csv_table(path: Path) -> list[Mark]:
    """The marks of a table that `csv_table` wrote. Raises ValueError for any other."""
    header, rows = tables.read(path)
    if header[: len(HEADER)] != HEADER:
        raise ValueError(f"{path} is not a table of marks: its columns are {', '.join(header)}.")
    try:
        return [_mark(header, row) for _, row in rows]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} is not a table of marks ({error}).") from error


def _mark(header, row):
    student, chapter, status, points, max_points, waiting, sandboxed = row[: len(HEADER)]
    waits = waiting.split()
    cells = zip(header[len(HEADER) :], row[len(HEADER) :], strict=True)
    parts = {e: float(cell) if cell else None for e, cell in cells if cell or e in waits}
    value = float(points) if points else None
    return Mark(
        student, chapter, status, value, float(max_points), waits, parts, sandboxed == "yes"
    )


# ------------------------------------------------------------------ files of Canvas and Moodle


@dataclass(frozen=True)
class Filled:
    """What became of a file that was filled in.

    matched_by: the column in which students were found. written: the students who got a mark there. left:
    student → why their cell stayed as it was. unknown: students with a mark whom the file does not have.
    without: who is in the file and has handed in nothing.
    """

    path: Path
    matched_by: str
    written: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


CANVAS_NAMES = ["SIS Login ID", "SIS User ID", "Integration ID", "ID", "Student"]
MOODLE_NAMES = ["Email address", "Username", "ID number", "Full name", "Identifier"]


def canvas(
    found: Iterable[Mark],
    exported: Path,
    assignment: str,
    path: Path,
    students: Mapping[str, str] | None = None,
    *,
    match: str | None = None,
    scale: bool = False,
    partial: bool = False,
) -> Filled:
    """Fill one assignment's column of a gradebook exported from Canvas, to be imported there again.

    assignment: its name, its number, or the whole heading "Name (1234)". students: what a student is
    called in the file, where their folder is called otherwise. match: the column to look in; by default
    the one of CANVAS_NAMES that has most of them. scale: to Canvas' points possible; otherwise they must
    be the same as ours. partial: write also what has been decided of a mark that is not complete.

    No apostrophes are added, for names must stay what Canvas knows: nothing is written but numbers.
    Raises ValueError when the column, its points or the students do not fit; nothing is written then.
    """
    sheet = Sheet.of(exported)
    column = _assignment_column(sheet, assignment, exported)
    rows = range(1, len(sheet.cells))
    possible = [i for i in rows if sheet.value(i, 0).strip().startswith("Points Possible")]
    people = [i for i in rows if i not in possible and _is_canvas_student(sheet, i)]
    wanted = _of_one_chapter(found)
    by, places, ambiguous = _matched(wanted, sheet, people, CANVAS_NAMES, match, students, exported)
    filled = Filled(path, sheet.header[by])
    out_of = _decimal(sheet.value(possible[0], column)) if possible else None
    if possible and out_of is None and sheet.value(possible[0], column).strip():
        raise ValueError(f"{exported}: Canvas does not let {sheet.header[column]!r} be changed.")
    for mark in wanted:
        row = places.get(mark.student)
        if row is not None and sheet.value(row, column).strip().upper() in ("EX", "N/A"):
            said = sheet.value(row, column).strip().upper()
            why = "excused in Canvas" if said == "EX" else "not assigned to them in Canvas"
            filled.left[mark.student] = why
        else:
            _fill(filled, sheet, mark, row, column, out_of, ambiguous, scale, partial)
    return _finish(filled, sheet, people, places, column=by)


def moodle(
    found: Iterable[Mark],
    exported: Path,
    path: Path,
    students: Mapping[str, str] | None = None,
    *,
    comments: Mapping[str, str] | None = None,
    match: str | None = None,
    scale: bool = False,
    partial: bool = False,
    grade: str = "Grade",
    maximum: str = "Maximum grade",
    comment: str = "Feedback comments",
) -> Filled:
    """Fill in an assignment's grading worksheet from Moodle, to be uploaded there again.

    comments: student → plain text for the comments' column. grade, maximum, comment: the headings, which
    Moodle writes in the site's language. Everything else as for `canvas`, with MOODLE_NAMES.

    No apostrophes are added, for identifiers must stay what Moodle knows: nothing is written but numbers
    and comments, and a comment never begins like a formula.
    """
    sheet = Sheet.of(exported)
    column = _column(sheet, grade, exported)
    top = _column(sheet, maximum, exported, needed=False)
    locked = _column(sheet, "Grade can be changed", exported, needed=False)
    remarks = _column(sheet, comment, exported, needed=comments is not None)
    people = [i for i in range(1, len(sheet.cells)) if sheet.value(i, 0).strip()]
    wanted = _of_one_chapter(found)
    by, places, ambiguous = _matched(wanted, sheet, people, MOODLE_NAMES, match, students, exported)
    filled = Filled(path, sheet.header[by])
    for mark in wanted:
        row = places.get(mark.student)
        if row is not None and locked is not None and sheet.value(row, locked).strip() == "No":
            filled.left[mark.student] = "locked in Moodle"
            continue
        out_of = None if row is None or top is None else _decimal(sheet.value(row, top))
        _fill(filled, sheet, mark, row, column, out_of, ambiguous, scale, partial)
        if mark.student in filled.written and comments and comments.get(mark.student):
            sheet.set(row, remarks, _remark(comments[mark.student]))
    return _finish(filled, sheet, people, places, column=_best_name(sheet, by))


def _remark(text):
    """Plain text as the HTML that Moodle keeps comments in."""
    text = html.escape(visible(text), quote=False)
    text = text if tables.safe(text) == text else f"Feedback: {text}"
    return text.replace("\n", "<br>")


def _fill(filled, sheet, mark, row, column, out_of, ambiguous, scale, partial):
    """Write one mark, or note why not."""
    if mark.student in ambiguous:
        filled.left[mark.student] = "more than one row, or more than one submission, fits"
    elif row is None:
        filled.unknown.append(mark.student)
    elif mark.points is None:
        filled.left[mark.student] = f"could not be graded ({mark.status})"
    elif mark.waiting and not partial:
        filled.left[mark.student] = f"waits for a person: {', '.join(mark.waiting)}"
    else:
        sheet.set(row, column, str(_scaled(mark, out_of, scale, filled.path)))
        filled.written.append(mark.student)


def _scaled(mark, out_of, scale, path):
    if out_of is None or out_of == mark.max_points:
        return number(mark.points)
    if not scale:
        raise ValueError(
            f"{path.name}: the file says that {number(out_of)} points are possible, and the marks are out "
            f"of {number(mark.max_points)}: change one of them, or have the marks scaled."
        )
    return number(round(mark.points * out_of / mark.max_points, 2)) if mark.max_points else 0


def _finish(filled, sheet, people, places, column):
    used = set(places.values())
    filled.without.extend(sheet.value(row, column) for row in people if row not in used)
    sheet.save(filled.path)
    return filled


def _best_name(sheet, column):
    names = [i for i, heading in enumerate(sheet.header) if heading == "Full name"]
    return names[0] if names else column


def _of_one_chapter(found):
    found = sorted(found, key=lambda mark: mark.student)
    chapters = {mark.chapter for mark in found}
    if len(chapters) > 1:
        raise ValueError(
            f"one column holds the marks of one chapter, not of {', '.join(sorted(chapters))}: choose one."
        )
    return found


def _column(sheet, heading, exported, needed=True):
    """The index of a column, its heading in whatever case; None when it is not there nor needed."""
    places = [i for i, name in enumerate(sheet.header) if name.casefold() == heading.casefold()]
    if places or not needed:
        return places[0] if places else None
    raise ValueError(f"{exported} has no column {heading!r}; it has {', '.join(sheet.header)}.")


def _assignment_column(sheet, assignment, exported):
    named = {i: re.fullmatch(r"(.*) \((\d+)\)", name, re.S) for i, name in enumerate(sheet.header)}
    places = [
        i
        for i, found in named.items()
        if found and assignment.strip() in (found[0], found[1].strip(), found[2])
    ]
    if len(places) == 1:
        return places[0]
    known = ", ".join(repr(found[0]) for found in named.values() if found) or "none"
    what = "no assignment" if not places else "more than one assignment"
    raise ValueError(f"{exported} has {what} {assignment!r}; the assignments in it: {known}.")


def _is_canvas_student(sheet, row):
    """Not the row that says how marks are posted, nor the student that Canvas makes up for tests."""
    name = sheet.value(row, 0).strip()
    return bool(name) and name != "Student, Test"


def _decimal(text):
    """A number as Canvas and Moodle write it, in the language of the site; None when it is none."""
    text = text.strip().replace("\u00a0", "")
    if not re.fullmatch(r"\d+([.,]\d+)?", text):
        return None
    return float(text.replace(",", "."))


# ------------------------------------------------------------------ who is who


def _matched(found, sheet, people, names, match, students, exported):
    """(column, student → row, students for whom more than one fits).

    A student's row is the one that has their name, letter for letter but for case, blanks and the form
    of the accents; where none has, one that has it as "Last, First", before the @, or after the word
    "Participant".
    """
    if match is not None:
        columns = [_column(sheet, match, exported)]
    else:
        known = [_column(sheet, name, exported, needed=False) for name in names]
        columns = [column for column in known if column is not None]
    keys = {mark.student: (students or {}).get(mark.student, mark.student) for mark in found}
    tried = [(column, *_rows(keys, sheet, people, column)) for column in columns]
    best = max(tried, key=lambda one: len(one[1]), default=None)
    if best is None or (found and not best[1] and not best[2]):
        looked = ", ".join(sheet.header[column] for column in columns) or "none of " + ", ".join(
            names
        )
        raise ValueError(
            f"{exported} has none of the {len(found)} students (columns: {looked}): give the column that "
            "has the names of the submitted folders, or a list of who is who."
        )
    return best


def _rows(keys: Mapping[str, str], sheet: Sheet, people: Sequence[int], column: int):
    exact: dict[str, set[int]] = {}
    loose: dict[str, set[int]] = {}
    for row in people:
        key = _key(sheet.value(row, column))
        exact.setdefault(key, set()).add(row)
        for form in _forms(key):
            loose.setdefault(form, set()).add(row)
    fits = {student: _fits(_key(key), exact, loose) for student, key in keys.items()}
    claims = Counter(row for rows in fits.values() for row in rows)
    ambiguous = {
        student
        for student, rows in fits.items()
        if len(rows) > 1 or any(claims[row] > 1 for row in rows)
    }
    places = {s: next(iter(rows)) for s, rows in fits.items() if rows and s not in ambiguous}
    return places, ambiguous


def _fits(key, exact, loose):
    if rows := exact.get(key):
        return rows
    if rows := loose.get(key, set()) | loose.get(_swapped(key) or key, set()):
        return rows
    if number := re.search(r"_(\d+)$", key):  # that which the system gave, in a download's names
        return exact.get(number[1], set()) | loose.get(number[1], set())
    # ada@x.org is the login ada; she is not ada@y.org.
    return exact.get(key.split("@")[0], set()) if "@" in key else set()


def _key(text):
    """A name to compare by. Canvas writes a name that begins with = as ="name"."""
    text = text.strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        text = text[2:-1]
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _forms(key):
    """Other ways to write a name that a file has."""
    forms = {key, _swapped(key) or key, key.split("@")[0] if "@" in key[1:] else key}
    forms.add(key.removeprefix("participant "))
    return forms - {""}


def _swapped(key):
    parts = key.split(", ")
    return f"{parts[1]} {parts[0]}" if len(parts) == 2 and all(parts) else None


# ------------------------------------------------------------------ Gradescope


def gradescope(
    result: Result, by_hand: ByHand | None = None, visibility: str = "visible"
) -> dict[str, Any]:
    """One submission in Gradescope's form of results.json.

    An answer that waits for a person has no score (nor a maximum: in Gradescope that is a question of
    its own); the top-level score, which is the total there, counts the others. Where the grader failed,
    even on one answer, there are no scores at all, for any total would count what it could not judge as
    0: Gradescope then reports an autograder that failed. visibility: as in Gradescope's specification.
    """
    by_hand = by_hand or {}
    found = marks.mark(result, by_hand)
    broken = [
        v for v in result.verdicts if v.outcome == "grader-error" and v.exercise in found.waiting
    ]
    scored = found.points is not None and not broken
    output = [f"{in_points(found.points, found.max_points)} so far" if found.waiting else ""]
    if not scored:
        output = [feedback.NO_MARK]
        output += [visible(result.problem, 1000)] if result.status == "rejected" else []
    content: dict[str, Any] = {
        "output": "\n".join(line for line in [*output, *map(visible, result.notes[:20])] if line),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": visibility,
        "tests": [
            _gradescope_test(result, verdict, by_hand, visibility, scored)
            for verdict in result.verdicts
        ],
    }
    if scored and found.points is not None:
        content["score"] = number(found.points)
    return content


def _gradescope_test(result, verdict, by_hand, visibility, scored):
    given = marks.given_for(result, verdict.exercise, by_hand)
    value = marks.points_of(verdict, given)
    test = {
        "name": visible(verdict.title or verdict.exercise, 200),
        "output": feedback.in_words(verdict, given),
        "output_format": "text",
        "visibility": visibility,
    }
    if value is not None and scored:
        test |= {"score": number(value), "max_score": number(verdict.max_points)}
        test["status"] = "passed" if value >= verdict.max_points else "failed"
    return test


SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image. Choose a base image with Python 3.11 or later
# (Ubuntu 24.04 has 3.12).
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends bubblewrap python3 python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install --no-cache-dir {requirement}
chmod 600 /autograder/source/seed
"""

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission.
set -euo pipefail
cd /autograder
exec /autograder/venv/bin/maml-edu grade /autograder/submission --chapter {chapter} \\
    --seed-file /autograder/source/seed --gradescope /autograder/results/results.json{more}
"""


def gradescope_bundle(
    path: Path,
    chapter: str,
    seed: str,
    *,
    wheel: Path | None = None,
    private: Path | None = None,
    allow_unsandboxed: bool = False,
) -> None:
    """Write the zip that Gradescope builds an autograder from; the same bytes for the same arguments.

    seed: the secret of the hidden checks; keep the zip as you keep the seed. wheel: of maml_edu, to be
    carried in the zip; otherwise this version is installed by name. private: a teacher's file of further
    checks of the chapter. allow_unsandboxed: grade also where
    the image does not let bubblewrap work; a submission's code can then read what is in the image, the
    seed and the solutions among it. Raises ValueError for a chapter that is no folder's name, and OSError.
    """
    from maml_edu import __version__

    if not re.fullmatch(r"\d\d_\w+", chapter, re.ASCII):
        raise ValueError(
            f"{chapter!r} is no chapter: give its folder, such as 04_gradient_of_a_step."
        )
    requirement = f"/autograder/source/{wheel.name}" if wheel else f"maml_edu=={__version__}"
    more = " --allow-unsandboxed" if allow_unsandboxed else ""
    more += " --private /autograder/source/private" if private else ""
    files = {
        "run_autograder": (RUN.format(chapter=shlex.quote(chapter), more=more).encode(), 0o755),
        "seed": (seed.encode(), 0o600),
        "setup.sh": (SETUP.format(requirement=shlex.quote(requirement)).encode(), 0o755),
    }
    if wheel:
        files[wheel.name] = (wheel.read_bytes(), 0o644)
    if private:
        files[f"private/{chapter}.py"] = (private.read_bytes(), 0o600)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix: or the mode means nothing
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


# ------------------------------------------------------------------ nbgrader


def nbgrader_gradebook(
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
                _nbgrader_assignment(book, chapter, exercises)
            for mark in sorted(found, key=lambda mark: (mark.chapter, mark.student)):
                result = graded[mark.chapter, mark.student]
                _nbgrader_submission(book, mark, result, worth[mark.chapter], by_hand or {})
            book.db.commit()
    except (InvalidEntry, SQLAlchemyError) as error:
        raise RuntimeError(
            f"{database} could not be written: is the formgrader busy with it, or is it not nbgrader's "
            f"gradebook? ({str(error)[:200]})"
        ) from error


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


def _nbgrader_assignment(book, chapter, worth):
    book.update_or_create_assignment(chapter)
    book.update_or_create_notebook(chapter, chapter)
    for exercise, value in worth.items():
        kind = "code" if "." in exercise else "markdown"
        cell = grade_cell(exercise)
        book.update_or_create_grade_cell(cell, chapter, chapter, max_score=value, cell_type=kind)
        book.update_or_create_solution_cell(feedback.answer_name(exercise), chapter, chapter)


def _nbgrader_submission(book, mark, result, exercises, by_hand):
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
