"""Who is who: the class's list, what a download said, and the row of somebody else's table that is a student's.

`known` reads what the class folder knows; `find` gives everybody their row, or says why nobody can tell.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import signed
from ..people import Student, read
from .tables import Sheet


@dataclass(frozen=True)
class HandIn:
    """What a download said of one submission: the system's numbers, the files' own names, when."""

    numbers: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    sha256: Sequence[str] = ()
    time: str = ""
    late: bool | None = None


@dataclass(frozen=True)
class Known:
    """What a class folder knows: key → person, and key → what was said of their submission of a chapter."""

    people: Mapping[str, Student] = field(default_factory=dict)
    handed_in: Mapping[str, HandIn] = field(default_factory=dict)
    chapter: str = ""

    def person(self, key: str) -> Student:
        return self.people.get(key) or Student(key)

    def name(self, key: str) -> str:
        """What to call somebody."""
        return self.person(key).name or key

    def numbers(self, key: str, system: str) -> set[str]:
        """The numbers by which a system knows somebody: from the download, or else from the list."""
        own = self.handed_in[key].numbers.get(system, "") if key in self.handed_in else ""
        return {own} if own else self.person(key).numbers(system, self.chapter)


def number_in(key: str) -> str:
    """That which a download's names end in: Name_20056 of Moodle, name_509_880027 of Canvas."""
    found = re.search(r"_(\d+)(?:_\d+)?$", key)
    return found[1] if found else ""


def known(root: Path, chapter: str | None = None) -> Known:
    """What the class folder knows; chapter: whose downloads. Raises ValueError for a damaged file."""
    if chapter is None:
        return Known(people(root))
    return Known(people(root), handed_in(root, chapter), chapter)


def people(root: Path) -> dict[str, Student]:
    """students.csv by key; nothing where there is none. Raises ValueError for a list that is not right."""
    path = root / "students.csv"
    return {student.key: student for student in read(path)} if path.is_file() else {}


def handed_in(root: Path, chapter: str) -> dict[str, HandIn]:
    """What downloads said of the submissions of a chapter, by key.

    Where somebody else of the group handed it in, the numbers and names of files are theirs, and left out.
    """
    found = {}
    for path in sorted((root / "submitted").glob(f"*/{chapter}/{signed.FILE}")):
        key = path.parts[-3]
        said = signed.read(path.parent, key, chapter)
        if said is not None:
            numbers, files = said.get("numbers") or {}, said.get("files") or []
            if said.get("by") not in (None, "", key):
                numbers, files = {}, []
            sums = said.get("sha256") or []
            found[key] = HandIn(numbers, files, sums, said.get("time") or "", said.get("late"))
    return found


# ------------------------------------------------------------------ in somebody else's table


@dataclass
class Places:
    """rows: key → row. why: key → why no row is theirs for certain. contested: rows that may be somebody's
    all the same. by: the headings that told."""

    rows: dict[str, int] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    contested: set[int] = field(default_factory=set)
    by: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Look:
    """Where to look: own, the column of the system's own numbers; columns, all that name somebody."""

    system: str
    own: int | None
    columns: Sequence[int]
    rows: Sequence[int]


TWICE = "more than one row, or more than one submission, fits"


def find(students: Iterable[str], sheet: Sheet, look: Look, known: Known) -> Places:
    """Everybody's row.

    The system's own number decides, where the download told it; a row that an address, a login or a name
    gives must not be another one. Without such a number, all columns that know somebody must agree on one
    row: letter for letter but for case, blanks and the form of the accents; where none does, one that has
    it as "Last, First", before the @, or after the word "Participant". A name that two people of the class
    have finds neither. Whose number the file does not have is not in it, however somebody there is called.
    A row that names another person of the class is theirs, whoever handed in.
    """
    indices = {c: _index(sheet, look.rows, c, c == look.own) for c in look.columns}
    owners = _Owners(known, look.system)
    found = Places()
    used: dict[str, set[int]] = {}
    for student in students:
        why, rows, columns = _told(student, known, look, indices, owners)
        if why:
            found.why[student] = why
            found.contested |= rows
        elif rows:
            row = next(iter(rows))
            if other := owners.of_row(student, row, columns, sheet, look):
                found.why[student] = f"the row that fits names {other}"
            else:
                found.rows[student], used[student] = row, columns
    claims = Counter(found.rows.values())
    for student in [s for s, row in found.rows.items() if claims[row] > 1]:
        found.why[student] = TWICE
        found.contested.add(found.rows.pop(student))
    columns = {column for student in found.rows for column in used[student]}
    found.by = [sheet.header[column] for column in sorted(columns)]
    return found


class _Owners:
    """Which words are whose: of the class's list, and of what the downloads said."""

    def __init__(self, known: Known, system: str):
        self.ids: dict[str, set[str]] = {}
        self.names: dict[str, set[str]] = {}
        self.numbers: dict[str, set[str]] = {}
        for key, person in known.people.items():
            self.names.setdefault(_key(person.name), set()).add(key)
            for word in _ids(person):
                self.ids.setdefault(_key(word), set()).add(key)
        for key in {**known.people, **known.handed_in}:
            for number in known.numbers(key, system):
                self.numbers.setdefault(number, set()).add(key)

    def others(self, student: str, word: str) -> set[str]:
        """Who else has this as login, address or number, or as name."""
        key = _key(word)
        return (self.ids.get(key, set()) | self.names.get(key, set())) - {student}

    def of_row(self, student, row, columns, sheet, look) -> str:
        """The other person that a row names, where nothing of its kind in it is the student's; else ""."""
        if look.own is not None:
            for number in _forms(_key(sheet.value(row, look.own)), True):
                if (owners := self.numbers.get(number, set())) and student not in owners:
                    return min(owners)
        if columns == {look.own}:  # its own number decides
            return ""
        for column in (c for c in look.columns if c != look.own):
            key = _key(sheet.value(row, column))
            for word in (key, _swapped(key) or key):
                # A first name alone, in a column of its own, is many people's.
                names = self.names.get(word, set()) if " " in word else set()
                owners = self.ids.get(word, set()) | names
                if owners and student not in owners:
                    return min(owners)
        return ""


def _ids(person):
    return [word for cell in (person.email, person.login, person.number) for word in cell.split()]


def _words(student, person, owners):
    """(words that are theirs alone, words that somebody else has as well, words before an @).

    The key of a person who has no login and no number is such a word, but never one that is another's; what
    stands before the @ is a login where they have none, and nobody else has it.
    """
    ids = _ids(person)
    shared = [word for word in ids if owners.ids[_key(word)] - {student}]
    words = [word for word in ids if word not in shared]
    if owners.names.get(_key(person.name), set()) - {student}:
        shared.append(person.name)
    elif not owners.others(student, person.name):
        words.append(person.name)
    if not person.login and not person.number and not owners.others(student, student):
        words.append(student)
    before = [word.split("@")[0] for word in words if "@" in word and not person.login]
    return words, shared, [word for word in before if not owners.others(student, word)]


def _told(student, known, look, indices, owners):
    """(why nobody can tell or "", the rows that may be theirs, the columns that told)."""
    person, listed = known.person(student), student in known.people
    words, shared, before = _words(student, person, owners)
    others = [c for c in look.columns if c != look.own or not listed or len(look.columns) == 1]
    hits = _hits(words, before, others, indices)
    own = known.numbers(student, look.system) if look.own in look.columns else set()
    if own:
        rows = set().union(*(_numbered(number, look, indices) for number in own))
        if listed and rows and any(not rows & other for other in hits.values()):
            why = f"its number {', '.join(sorted(own))} is one row there, and its name or address another"
            return why, rows.union(*hits.values()), set()
        hits = {look.own: rows} if rows else {}
    elif not hits and look.own in look.columns and (tail := number_in(student)):
        hits = {look.own: _numbered(tail, look, indices)}
    elif not hits and (hits := _hits(shared, [], others, indices)):
        return TWICE, set().union(*hits.values()), set()
    rows = set.intersection(*hits.values()) if hits else set()
    if len(rows) == 1:
        return "", rows, {min(hits, key=lambda column: len(hits[column]))}
    anywhere = set().union(*hits.values())
    return TWICE if anywhere else "", anywhere, set()


def _numbered(number, look, indices):
    exact, loose = indices[look.own]
    return exact.get(number, set()) or loose.get(number, set())


def _hits(words, before, columns, indices):
    """Column → the rows that have one of the words; loosely, or before the @, where none has it as it is."""
    keys = [key for key in map(_key, words) if key]
    logins = [key for key in map(_key, before) if key]
    for find in (_exact, _loose):
        hits = {c: set().union(*(find(key, *indices[c]) for key in keys)) for c in columns}
        if find is _loose:  # ada@x.org is the login ada; she is not ada@y.org
            for c in columns:
                hits[c] |= set().union(*(_exact(key, *indices[c]) for key in logins))
        if any(hits.values()):
            return {column: rows for column, rows in hits.items() if rows}
    return {}


def _index(sheet, rows, column, own):
    """(exactly, loosely): what a cell says → the rows where it stands."""
    exact: dict[str, set[int]] = {}
    loose: dict[str, set[int]] = {}
    for row in rows:
        key = _key(sheet.value(row, column))
        if key:
            exact.setdefault(key, set()).add(row)
        for form in _forms(key, own):
            loose.setdefault(form, set()).add(row)
    return exact, loose


def _exact(key, exact, loose):
    return exact.get(key, set())


def _loose(key, exact, loose):
    return loose.get(key, set()) | loose.get(_swapped(key) or key, set())


def _key(text):
    """A name to compare by. Canvas writes a name that begins with = as ="name"."""
    text = text.strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        text = text[2:-1]
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _forms(key, own):
    """Other ways to write a name that a file has; own: of a system's numbers, "Participant 101"."""
    forms = {key, _swapped(key) or key, key.split("@")[0] if "@" in key[1:] else key}
    number = re.search(r"\d+$", key) if own else None
    return (forms | ({number[0]} if number else set())) - {""}


def _swapped(key):
    parts = key.split(", ")
    return f"{parts[1]} {parts[0]}" if len(parts) == 2 and all(parts) else None
