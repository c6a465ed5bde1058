"""Which column of Moodle's grading worksheet is which: `columns_of`.

Moodle writes the headings in the teacher's language, and reads them so. The order is the same in all: the
participant, who that is, the state, the grade, the maximum, whether the grade can be changed, two dates,
and the comments last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .tables import Sheet

ENGLISH = {
    "student": "Identifier",
    "name": "Full name",
    "grade": "Grade",
    "maximum": "Maximum grade",
    "locked": "Grade can be changed",
    "comment": "Feedback comments",
}
CHOICES = ("student", "grade", "maximum", "comment")
# "No" of the languages that Moodle is used most in; another word counts as yes.
NO = {"no", "non", "nein", "não", "nee", "nej", "nei", "nie", "ne", "ei", "nem", "hayır", "нет", "ні",
      "не", "όχι", "nu", "否", "いいえ", "아니오", "아니요", "لا", "לא", "không", "tidak"}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Indices of columns; None where there is none. people: all in which students may be found."""

    own: int | None
    name: int | None
    grade: int
    maximum: int | None
    locked: int | None
    comment: int | None
    people: Sequence[int]

    def is_locked(self, sheet: Sheet, row: int) -> bool:
        """Whether Moodle does not let this grade be changed."""
        said = "" if self.locked is None else sheet.value(row, self.locked)
        return said.strip().casefold() in NO


def columns_of(sheet: Sheet, exported: Path, chosen: Mapping[str, str]) -> Columns:
    """The columns of a worksheet: as chosen, or by their English headings, or by place and content.

    chosen: words of CHOICES → headings. Raises ValueError where the grade's column is not found.
    """
    named = {word: _named(sheet, heading) for word, heading in ENGLISH.items()}
    unknown = [word for word in chosen if word not in CHOICES]
    if unknown:
        raise ValueError(f"--columns knows {', '.join(CHOICES)}, not {', '.join(unknown)}.")
    for word, heading in chosen.items():
        named[word] = _named(sheet, heading)
        if named[word] is None:
            raise ValueError(
                f"{exported} has no column {heading!r}; it has {', '.join(sheet.header)}."
            )
    own = named["student"] if named["student"] is not None else _identifiers(sheet)
    top = named["maximum"] if named["maximum"] is not None else _maximum(sheet)
    grade = named["grade"]
    if grade is None and top is not None:
        grade = top - 1
    if grade is None:
        raise ValueError(
            f"{exported} has no column 'Grade', nor one that looks like it (before that of the maximum); it "
            f"has {', '.join(sheet.header)}. Say which one it is: --columns grade=HEADING,comment=HEADING."
        )
    locked = named["locked"]
    if locked is None and top is not None and top + 1 < len(sheet.header):
        locked = top + 1
    comment = named["comment"] if named["comment"] is not None else _comments(sheet, locked)
    people = [column for column in range(grade) if column != own]
    name = named["name"] if named["name"] is not None else (people[0] if people else own)
    return Columns(
        own, name, grade, top, locked, comment, [*people, *([own] if own is not None else [])]
    )


def participants_of(sheet: Sheet, exported: Path) -> int:
    """The column of Moodle's participants. Raises ValueError where there is none."""
    named = _named(sheet, ENGLISH["student"])
    own = _identifiers(sheet) if named is None else named
    if own is None:
        raise ValueError(
            f"{exported} has no column of participants (Identifier), with a number each: is it the grading "
            "worksheet of this assignment?"
        )
    return own


def _named(sheet, heading):
    places = [i for i, name in enumerate(sheet.header) if name.casefold() == heading.casefold()]
    return places[0] if places else None


def _values(sheet, column):
    rows = [i for i in range(1, len(sheet.cells)) if any(cell.strip() for cell in sheet.cells[i])]
    return [sheet.value(row, column).strip() for row in rows]


def _identifiers(sheet):
    """The first column, where its cells are one word with a number each: Teilnehmer/in20056."""
    values = _values(sheet, 0)
    found = [re.fullmatch(r"(.*\D)(\d+)", value) for value in values]
    same = all(found) and len({one[1] for one in found if one}) == 1
    return 0 if values and same and len(set(values)) == len(values) else None


def _maximum(sheet):
    """The column with one number above 0 in all rows, behind one of grades and before one of words."""
    found = []
    for column in range(2, len(sheet.header) - 1):
        before, here, after = (_values(sheet, column + k) for k in (-1, 0, 1))
        alike = {_number(value) for value in here}
        grades = all(value in ("", "-") or _number(value) is not None for value in before)
        words = len(set(after)) <= 2 and not any(map(_number, after)) and "-" not in after
        if len(alike) == 1 and all(alike) and grades and words:
            found.append(column)
    return found[0] if len(found) == 1 else None


def _comments(sheet, locked):
    """The last column, behind the two of dates, where it is not one of dates itself (they are never empty)."""
    last = len(sheet.header) - 1
    if locked is None or last < locked + 3 or "" not in _values(sheet, last):
        return None
    return last


def _number(text):
    text = text.replace("\u00a0", "")
    return float(text.replace(",", ".")) if re.fullmatch(r"\d+([.,]\d+)?", text) else None
