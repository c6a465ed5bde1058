"""Marks as a table of our own, safe to open in a spreadsheet: `csv_table`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..marks import Mark
from . import tables
from .what_counts import maximum, points, reasons

HEADER = ["student", "chapter", "status", "points", "max_points", "waiting", "sandboxed"]
HEADER += ["as_graded", "of", "why"]


def csv_table(found: Iterable[Mark], path: Path) -> None:
    """Write marks as a table: a row a submission, then a column an exercise; empty: not decided.

    points and max_points are those that count; as_graded and of those before any policy, and why says what
    it changed.

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
            points(mark),
            maximum(mark),
            " ".join(mark.waiting),
            "yes" if mark.sandboxed else "no",
            mark.points,
            mark.max_points,
            " ".join(reasons(mark)),
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
    student, chapter, status, _, _, waiting, sandboxed, graded, of, _ = row[: len(HEADER)]
    waits = waiting.split()
    cells = zip(header[len(HEADER) :], row[len(HEADER) :], strict=True)
    parts = {e: float(cell) if cell else None for e, cell in cells if cell or e in waits}
    value = float(graded) if graded else None
    return Mark(student, chapter, status, value, float(of), waits, parts, sandboxed == "yes")
