"""Files of Canvas, Moodle and Blackboard, filled in with marks: nothing else in them is changed.

`canvas`, `moodle` and `blackboard` take the file that the teacher exported there; who is who, `who` finds
out. What has not been decided is never written, as 0 or as anything else.
"""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..marks import Mark
from ..pages.html import visible
from . import tables, who
from .moodle_columns import Columns, columns_of
from .tables import Sheet, number
from .what_counts import maximum, points
from .who import Known, Look


@dataclass(frozen=True)
class Filled:
    """What became of a file that was filled in.

    matched_by: the columns in which students were found. written: the students who got a mark there.
    changed: student → the other mark that stood there. kept: whose comment there was another's, and stays.
    left: student → why their cell stayed as it was. unknown: students with a mark whom the file does not
    have. without: who is in the file and has handed in nothing, by name.
    """

    path: Path
    matched_by: str
    written: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        lines = [
            f"{self.path}: {len(self.written)} marks, found by {self.matched_by or 'nothing'}."
        ]
        lines += [f"another mark was there: {who}: {what}" for who, what in self.changed.items()]
        lines += [f"a comment was there, and stays: {student}" for student in self.kept]
        lines += [f"left as it was: {student}: {why}" for student, why in self.left.items()]
        lines += [f"not in that file: {student}" for student in self.unknown]
        return lines + [f"handed in nothing: {student}" for student in self.without]


@dataclass(frozen=True)
class How:
    """How a file is filled in. match: the one column to look for students in. scale: to the maximum there;
    otherwise it must be ours. partial: also what has been decided of a mark that is not complete."""

    known: Known = field(default_factory=Known)
    match: str | None = None
    scale: bool = False
    partial: bool = False


CANVAS_NAMES = ["SIS Login ID", "SIS User ID", "Integration ID", "ID", "Student"]
CANVAS_KEPT = {*map(str.casefold, CANVAS_NAMES), "root account", "section"}
CANVAS_HEADING = r"(?P<name>.*) \((?P<id>\d+)\)"
BLACKBOARD_NAMES = ["Username", "Student ID", "Last Name", "First Name"]
BLACKBOARD_HEADING = r"(?P<name>.*?) \[[^\]]*?(?P<of>\d+(?:[.,]\d+)?)[^\]]*\]\s*\|(?P<id>\d+)"


def canvas(
    found: Iterable[Mark], exported: Path, assignment: str, path: Path, how: How | None = None
) -> Filled:
    """Make a file that Canvas imports into one assignment's column, from the gradebook exported there.

    assignment: its name, its number, or the whole heading "Name (1234)". Only the columns that say who is
    who and this one are in it, and only the students with a mark: whatever else has been changed in Canvas
    since is not set back. No apostrophes are added, for names must stay what Canvas knows: nothing is
    written but numbers. Raises ValueError when the column, its points or the students do not fit; nothing
    is written then.
    """
    how = how or How()
    sheet = Sheet.of(exported)
    column = _assignment_column(sheet, assignment, exported, CANVAS_HEADING)
    rows = range(1, len(sheet.cells))
    possible = [i for i in rows if sheet.value(i, 0).strip().startswith("Points Possible")]
    heads = [i for i in rows if not sheet.value(i, 0).strip()]
    people = [i for i in rows if i not in {*possible, *heads}]
    own = _column(sheet, "ID")
    names = [c for c in (_column(sheet, name) for name in CANVAS_NAMES) if c is not None]
    filling = _Filling(sheet, Look("canvas", own, names, people), column, path, exported, how)
    out_of = _decimal(sheet.value(possible[0], column)) if possible else None
    if possible and out_of is None and sheet.value(possible[0], column).strip():
        raise ValueError(f"{exported}: Canvas does not let {sheet.header[column]!r} be changed.")
    test = {i for i in people if sheet.value(i, 0).strip() == "Student, Test"}
    for mark, row in filling.marks(found):
        there = sheet.value(row, column).strip().upper()
        if there in ("EX", "N/A"):
            why = "excused in Canvas" if there == "EX" else "not assigned to them in Canvas"
            filling.filled.left[mark.student] = why
        elif row in test:
            filling.filled.left[mark.student] = "Canvas's own test student, who takes no marks"
        else:
            filling.fill(mark, row, out_of)
    filling.without(_column(sheet, "Student"), test)
    kept = [i for i, name in enumerate(sheet.header) if name.casefold() in CANVAS_KEPT]
    top = [i for i in heads if any(cell.strip() for cell in sheet.cells[i])]
    filling.one_column([0, *top, *possible], [*kept, column])
    return filling.filled


def blackboard(
    found: Iterable[Mark], exported: Path, assignment: str, path: Path, how: How | None = None
) -> Filled:
    """Make a file that Blackboard takes into one column, from the grade centre downloaded there.

    assignment: the column's name, its number, or the whole heading "Name [Total Pts: 13 Score] |1234".
    Everything else as for `canvas`.
    """
    how = how or How()
    sheet = Sheet.of(exported)
    column = _assignment_column(sheet, assignment, exported, BLACKBOARD_HEADING)
    heading = re.fullmatch(BLACKBOARD_HEADING, sheet.header[column], re.S)
    assert heading is not None
    named = {name: _column(sheet, name) for name in BLACKBOARD_NAMES}
    user, ids = named["Username"], [c for c in list(named.values())[:2] if c is not None]
    if user is None:
        raise ValueError(f"{exported} has no column 'Username'; it has {', '.join(sheet.header)}.")
    people = [i for i in range(1, len(sheet.cells)) if sheet.value(i, user).strip()]
    filling = _Filling(sheet, Look("blackboard", None, ids, people), column, path, exported, how)
    for mark, row in filling.marks(found):
        filling.fill(mark, row, _decimal(heading["of"]))
    filling.without(user, set())
    filling.one_column([0], [*(c for c in named.values() if c is not None), column])
    return filling.filled


def moodle(
    found: Iterable[Mark],
    exported: Path,
    path: Path,
    how: How | None = None,
    *,
    comments: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Filled:
    """Fill in an assignment's grading worksheet from Moodle, to be uploaded there again.

    comments: student → plain text for the comments' column. columns: student, grade, maximum, comment →
    a heading; by default `columns_of` finds them, in whichever language Moodle wrote them. Every other
    cell stays byte for byte. No apostrophes are added, for identifiers must stay what Moodle knows: nothing
    is written but numbers and comments, and a comment never begins like a formula.
    """
    how = how or How()
    sheet = Sheet.of(exported)
    places = columns_of(sheet, exported, columns or {})
    people = [i for i in range(1, len(sheet.cells)) if sheet.value(i, 0).strip()]
    look = Look("moodle", places.own, places.people, people)
    filling = _Filling(sheet, look, places.grade, path, exported, how)
    for mark, row in filling.marks(found):
        if places.is_locked(sheet, row):
            filling.filled.left[mark.student] = "locked in Moodle"
            continue
        top = None if places.maximum is None else _decimal(sheet.value(row, places.maximum))
        if filling.fill(mark, row, top):
            _comment(filling, places, mark.student, row, (comments or {}).get(mark.student))
    filling.without(places.name, set())
    sheet.save(path)
    return filling.filled


OURS = re.compile(r"(Feedback: )?[\d.,]+ of [\d.,]+ points?\b")


def _comment(filling: _Filling, places: Columns, student: str, row: int, text: str | None) -> None:
    """Write a comment, unless a person has written one there."""
    if not text or places.comment is None:
        return
    there = filling.sheet.value(row, places.comment).strip()
    if there and not OURS.match(there):
        filling.filled.kept.append(student)
    else:
        filling.sheet.set(row, places.comment, _remark(text))


def _remark(text):
    """Plain text as the HTML that Moodle keeps comments in."""
    text = html.escape(visible(text), quote=False)
    text = text if tables.safe(text) == text else f"Feedback: {text}"
    return text.replace("\n", "<br>")


# ------------------------------------------------------------------ what the three have in common


class _Filling:
    """A sheet while one column of it is being filled."""

    def __init__(
        self, sheet: Sheet, look: Look, column: int, path: Path, exported: Path, how: How
    ) -> None:
        self.sheet, self.column, self.how, self.exported = sheet, column, how, exported
        if how.match is not None:
            chosen = _column(sheet, how.match)
            if chosen is None:
                raise ValueError(
                    f"{exported} has no column {how.match!r}; it has {', '.join(sheet.header)}."
                )
            look = Look(look.system, look.own, [chosen], look.rows)
        self.look, self.filled = look, Filled(path, "")
        self.places = who.Places()
        self.rows: set[int] = set()  # where a mark has been written

    def marks(self, found: Iterable[Mark]) -> Iterable[tuple[Mark, int]]:
        """Each mark with its row; those without one are noted."""
        wanted = _of_one_chapter(found)
        students = [mark.student for mark in wanted]
        self.places = who.find(students, self.sheet, self.look, self.how.known)
        if wanted and not self.places.rows and not self.places.why:
            looked = ", ".join(self.sheet.header[c] for c in self.look.columns) or "none of them"
            raise ValueError(
                f"{self.exported} has none of the {len(wanted)} students (columns: {looked}): name the "
                "column that knows them (--match), or write into students.csv who is who."
            )
        object.__setattr__(self.filled, "matched_by", ", ".join(self.places.by))
        self.filled.left.update(self.places.why)
        rows = self.places.rows
        self.filled.unknown.extend(
            student
            for student in students
            if student not in rows and student not in self.places.why
        )
        return [(mark, rows[mark.student]) for mark in wanted if mark.student in rows]

    def fill(self, mark: Mark, row: int, out_of: float | None) -> bool:
        """Write one mark, or note why not; whether it is there."""
        value = points(mark)
        if value is None:
            self.filled.left[mark.student] = f"could not be graded ({mark.status})"
        elif mark.waiting and not self.how.partial:
            self.filled.left[mark.student] = f"waits for a person: {', '.join(mark.waiting)}"
        else:
            new = _scaled(value, maximum(mark), out_of, self.how.scale, self.exported)
            there = self.sheet.value(row, self.column).strip()
            if there not in ("", "-", "--") and _decimal(there) != new:
                self.filled.changed[mark.student] = f"{there}, now {new}"
            self.sheet.set(row, self.column, str(new))
            self.filled.written.append(mark.student)
            self.rows.add(row)
        return value is not None and row in self.rows

    def without(self, column: int | None, apart: set[int]) -> None:
        """Note who is in the file and has handed in nothing, by name."""
        used = {*self.places.rows.values(), *apart}
        column = self.look.columns[0] if column is None else column
        names = Counter(self.sheet.value(row, column) for row in self.look.rows)
        for row in self.look.rows:
            name = self.sheet.value(row, column)
            more = self.look.columns[0] if self.look.own is None else self.look.own
            if row not in used | self.places.contested:
                twin = f" ({self.sheet.value(row, more)})" if names[name] > 1 else ""
                self.filled.without.append(name + twin)

    def one_column(self, rows: list[int], columns: list[int]) -> None:
        """Save these rows and columns, and those with a new mark."""
        self.sheet.only({*rows, *self.rows}, {*columns}).save(self.filled.path)


def _scaled(value, of, out_of, scale, exported):
    if out_of is None or math.isclose(out_of, of):
        return number(value)
    if not scale:
        raise ValueError(
            f"{exported.name}: {number(out_of)} points are possible there, and the marks are out of "
            f"{number(of)}: change one of them, or have the marks scaled with --scale."
        )
    return number(round(value * out_of / of, 2)) if of else 0


def _of_one_chapter(found):
    found = sorted(found, key=lambda mark: mark.student)
    chapters = {mark.chapter for mark in found}
    if len(chapters) > 1:
        raise ValueError(
            f"one column holds the marks of one chapter, not of {', '.join(sorted(chapters))}: choose one."
        )
    return found


def _column(sheet: Sheet, heading: str) -> int | None:
    """The index of a column, its heading in whatever case; None when it is not there."""
    places = [i for i, name in enumerate(sheet.header) if name.casefold() == heading.casefold()]
    return places[0] if places else None


def _assignment_column(sheet, assignment, exported, pattern):
    named = {i: re.fullmatch(pattern, name, re.S) for i, name in enumerate(sheet.header)}
    places = [
        i
        for i, found in named.items()
        if found and assignment.strip() in (found[0], found["name"].strip(), found["id"])
    ]
    if len(places) == 1:
        return places[0]
    known = ", ".join(repr(found[0]) for found in named.values() if found) or "none"
    what = "no assignment" if not places else "more than one assignment"
    raise ValueError(f"{exported} has {what} {assignment!r}; the assignments in it: {known}.")


def _decimal(text):
    """A number as these systems write it, in the language of the site; None when it is none."""
    text = text.strip().replace("\u00a0", "")
    if not re.fullmatch(r"\d+([.,]\d+)?", text):
        return None
    return float(text.replace(",", "."))
