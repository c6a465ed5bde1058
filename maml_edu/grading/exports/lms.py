"""Files of Canvas and Moodle, filled in: only grades (and comments) change, every other cell stays byte for byte.

`canvas` and `moodle` take the file that the teacher exported there. Who is who is decided by one column of
it (`_matched`). What has not been decided is never written, as 0 or as anything else.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..marks import Mark
from ..pages.html import visible
from . import tables
from .tables import Sheet, number


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

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        lines = [f"{self.path}: {len(self.written)} marks, found by {self.matched_by}."]
        lines += [f"left as it was: {student}: {why}" for student, why in self.left.items()]
        lines += [f"not in that file: {student}" for student in self.unknown]
        return lines + [f"handed in nothing: {student}" for student in self.without]


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
