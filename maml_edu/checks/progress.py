"""What a learner has passed: one small file per exercise in the user's data folder.

A file each, written whole or not at all, so two notebooks cannot spoil each other's record and a
damaged file costs one line, not the history.
"""

from __future__ import annotations

import contextlib
import datetime
import html
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from maml_edu import places
from maml_edu.atomic import replacing


@dataclass(frozen=True)
class Row:
    """One exercise in the table of progress; `passed` is a date (ISO) or None."""

    chapter: str
    exercise: str
    title: str
    points: int
    passed: str | None


def record(exercise_id: str, points: int) -> None:
    """Remember that an exercise was passed; the first date stays. Never stops a learner's work."""
    path = _folder() / f"{exercise_id}.json"
    if _read(path) is not None:
        return
    entry = {"exercise": exercise_id, "points": points, "passed": datetime.date.today().isoformat()}
    try:
        with replacing(path) as file:
            file.write(json.dumps(entry).encode())
    except OSError as error:
        warnings.warn(
            f"progress was not saved ({error.strerror}: {path}); your answer counts.", stacklevel=3
        )


def passed() -> dict[str, str]:
    """Exercise id → the date on which it was first passed."""
    entries = [_read(path) for path in sorted(_folder().glob("*.json"))]
    return {entry["exercise"]: entry["passed"] for entry in entries if entry is not None}


def progress_table() -> list[Row]:
    """Every exercise of the course, in order, with what has been passed."""
    from .exercise import load_chapter

    done = passed()
    return [
        Row(folder, item.id, item.title, item.points, done.get(item.id))
        for folder in places.chapters()
        for item in load_chapter(folder)
    ]


class Progress:
    """The table of progress: HTML in a notebook, text elsewhere."""

    def __init__(self, rows: list[Row]):
        self.rows = rows

    @property
    def points(self) -> int:
        return sum(row.points for row in self.rows if row.passed)

    @property
    def possible(self) -> int:
        return sum(row.points for row in self.rows)

    def __repr__(self):
        width = max((len(row.exercise) for row in self.rows), default=0)
        lines = [
            f"{'✓' if row.passed else '○'} {row.exercise:<{width}} {row.points:>3} points  "
            f"{row.passed or ''}"
            for row in self.rows
        ]
        return "\n".join([*(line.rstrip() for line in lines), self.summary()])

    def summary(self) -> str:
        done = sum(1 for row in self.rows if row.passed)
        return f"{done} of {len(self.rows)} exercises, {self.points} of {self.possible} points"

    def _repr_html_(self):
        cells = "".join(
            f"<tr><td>{'✓' if row.passed else '○'}</td><td>{html.escape(row.chapter[:2])}</td>"
            f"<td style='text-align:left'>{html.escape(row.title)}</td><td>{row.points}</td>"
            f"<td>{html.escape(row.passed or 'not yet')}</td></tr>"
            for row in self.rows
        )
        bar = (
            f"<progress value='{self.points}' max='{self.possible}' aria-label='points'></progress>"
        )
        head = "<tr><th></th><th>chapter</th><th style='text-align:left'>exercise</th>"
        return (
            f"<p>{bar} {self.summary()}</p><table>{head}<th>points</th><th>passed</th></tr>"
            f"{cells}</table>"
        )


def progress() -> Progress:
    """The exercises of the course and which of them you have passed."""
    return Progress(progress_table())


def _folder() -> Path:
    return places.user_data() / "progress"


def _read(path):
    """The entry in a file; None when there is none. A damaged file is set aside, with a warning."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(entry["exercise"], str) and isinstance(entry["passed"], str):
            return entry
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    with contextlib.suppress(OSError):
        os.replace(path, path.with_suffix(".damaged"))
        warnings.warn(
            f"the record of {path.stem} was damaged and is set aside as {path.stem}.damaged: run "
            f"its check once more.",
            stacklevel=4,
        )
    return None
