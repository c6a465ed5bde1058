"""A row a student, a column a chapter and an exercise: `wide_table`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..marks import Mark
from ..people import Student
from . import tables
from .what_counts import maximum, points

WHO = ["student", "name", "email", "login", "number", "group", "section"]
SUMS = ["raw", "points", "of", "open"]


def wide_table(found: Iterable[Mark], people: Mapping[str, Student], path: Path) -> list[str]:
    """Write the marks of a term as one table; what to say about it.

    Who somebody is, from the class's list: its addresses and numbers are what Moodle's gradebook import, or
    a registry, looks for. Then the sums over all chapters: raw (as graded), points (as they count, after
    all policies), of (the maximum of every chapter here), open (the chapters without a complete mark, which
    the sums do not hold, or not wholly). Then each chapter's: what became of it, raw, points, of, and each
    exercise. Empty: not decided, or nothing handed in (the state says which); never 0 for either.
    """
    found = list(found)
    chapters = sorted({mark.chapter for mark in found})
    worth = {c: max(maximum(mark) for mark in found if mark.chapter == c) for c in chapters}
    parts = {c: _parts(mark for mark in found if mark.chapter == c) for c in chapters}
    marks = {(mark.student, mark.chapter): mark for mark in found}
    students = sorted({*people, *(mark.student for mark in found)})
    header = WHO + SUMS
    for chapter in chapters:
        header += [f"{chapter} {word}" for word in ("state", "raw", "points", "of")] + parts[
            chapter
        ]
    rows = []
    for student in students:
        own = {c: marks.get((student, c)) for c in chapters}
        row = _who(people.get(student) or Student(student)) + _sums(own, worth)
        for chapter, mark in own.items():
            row += _chapter(mark, worth[chapter], parts[chapter])
        rows.append(row)
    tables.write(path, header, rows)
    without = [student for student in students if not any(m.student == student for m in found)]
    lines = [f"{path}: {len(students)} students, {len(chapters)} chapters."]
    return lines + [f"handed in nothing in all chapters: {student}" for student in without]


def _parts(marks):
    return list(dict.fromkeys(exercise for mark in marks for exercise in mark.parts))


def _who(person) -> list[str | float | None]:
    return [
        person.key, person.name, person.email, person.login, person.number, person.group, person.section
    ]  # fmt: skip


def _sums(own, worth):
    raw = [mark.points for mark in own.values() if mark is not None and mark.points is not None]
    all_points = [points(mark) for mark in own.values() if mark is not None]
    count = [value for value in all_points if value is not None]
    waits = [c for c, mark in own.items() if mark is not None and not mark.complete]
    return [
        math.fsum(raw) if raw else None,
        math.fsum(count) if count else None,
        math.fsum(worth.values()),
        " ".join(waits),
    ]


def _chapter(mark, worth, exercises):
    if mark is None:
        return ["nothing handed in", None, None, worth, *[None] * len(exercises)]
    state = "waits for a person" if mark.waiting and mark.points is not None else mark.status
    return [state, mark.points, points(mark), worth, *(mark.parts.get(e) for e in exercises)]
