"""Marks: what grading found out, together with what a person gave. Start from `build`.

A person gives points in `marks/by_hand.csv`, a line for an answer: student, exercise, points, comment.
Such points count before those of the checks. What could not be graded has no points: None, never 0.
`marks/marks.db` is made anew from the results and that table, and can be deleted at any time.
"""

from __future__ import annotations

import difflib
import math
import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from maml_edu.atomic import replacing

from . import results
from .exports import tables
from .results import Result, Verdict
from .tasks import task_of

COLUMNS = ["student", "exercise", "points", "comment"]
LOCK_SECONDS = 60


@dataclass(frozen=True)
class Given:
    """What a person gave for one answer; points None where there is a comment only."""

    points: float | None
    comment: str = ""


ByHand = Mapping[tuple[str, str], Given]  # (student, exercise) → what was given
Maxima = Mapping[str, Mapping[str, float]]  # chapter → exercise → the points it is worth


@dataclass(frozen=True)
class Waiting:
    """One answer that a person still has to read."""

    student: str
    chapter: str
    exercise: str
    title: str
    max_points: float


@dataclass(frozen=True)
class Mark:
    """One submission's mark.

    points: decided so far; None where the submission could not be graded. waiting: the exercises that
    still need a person. parts: exercise → points, None for those that wait.
    """

    student: str
    chapter: str
    status: str
    points: float | None
    max_points: float
    waiting: list[str] = field(default_factory=list)
    parts: dict[str, float | None] = field(default_factory=dict)
    sandboxed: bool = True

    @property
    def complete(self) -> bool:
        """Whether nothing is left to decide: what may go into a gradebook."""
        return self.points is not None and not self.waiting


# ------------------------------------------------------------------ from results to marks


def maxima(found: Iterable[Result]) -> dict[str, dict[str, float]]:
    """What each exercise is worth, chapter by chapter: from results, or else from the course."""
    worth: dict[str, dict[str, float]] = {}
    for result in found:
        chapter = worth.setdefault(result.chapter, {})
        for verdict in result.verdicts:
            chapter[verdict.exercise] = max(verdict.max_points, chapter.get(verdict.exercise, 0))
    for name in [name for name, own in worth.items() if not own]:  # nothing of it could be graded
        with suppress(ValueError):  # a chapter that the course has no longer
            worth[name] = task_of(name).worth
    return worth


def given_for(result: Result, exercise: str, by_hand: ByHand) -> Given | None:
    """What a person gave for an exercise of a submission, if anything."""
    return by_hand.get((result.student, exercise))


def points_of(verdict: Verdict, given: Given | None) -> float | None:
    """The points that count for an exercise: a person's, else those of the checks, else None."""
    return given.points if given is not None and given.points is not None else verdict.points


def mark(result: Result, by_hand: ByHand, worth: Maxima | None = None) -> Mark:
    """The mark of one submission; worth: as from `maxima` of the whole class.

    A submission that could not be graded has points only when a person has given some and none are
    missing; which exercises there are, the results of the others tell.
    """
    exercises = {v.exercise: v.max_points for v in result.verdicts}
    parts = {
        v.exercise: points_of(v, given_for(result, v.exercise, by_hand)) for v in result.verdicts
    }
    if result.points is None:
        exercises = dict((worth or {}).get(result.chapter, {})) | exercises
        given = {e: given_for(result, e, by_hand) for e in exercises}
        hands = {e: g.points for e, g in given.items() if g is not None and g.points is not None}
        if hands:
            parts = {e: hands.get(e, parts.get(e)) for e in exercises}
        points = None if not hands or None in parts.values() else _sum(parts)
    else:
        points = _sum(parts)
    return Mark(
        student=result.student,
        chapter=result.chapter,
        status=result.status,
        points=points,
        max_points=math.fsum(exercises.values()),
        waiting=[exercise for exercise, value in parts.items() if value is None],
        parts=parts,
        sandboxed=result.sandboxed,
    )


def _sum(parts):
    return math.fsum(value for value in parts.values() if value is not None)


def of(found: Iterable[Result], by_hand: ByHand) -> list[Mark]:
    """The marks of many submissions, by chapter and student."""
    found = sorted(found, key=lambda r: (r.chapter, r.student))
    worth = maxima(found)
    return [mark(result, by_hand, worth) for result in found]


def todo(found: Iterable[Result], by_hand: ByHand) -> list[Waiting]:
    """What still needs a person, question by question: all answers to one are best read in a row."""
    waiting = [
        Waiting(result.student, result.chapter, verdict.exercise, verdict.title, verdict.max_points)
        for result in found
        for verdict in result.verdicts
        if points_of(verdict, given_for(result, verdict.exercise, by_hand)) is None
    ]
    return sorted(waiting, key=lambda w: (w.chapter, w.exercise, w.student))


# ------------------------------------------------------------------ what a person gives


def read_by_hand(path: Path, worth: Maxima | None = None) -> dict[tuple[str, str], Given]:
    """What people gave, from `by_hand.csv`; nothing when there is no such file yet.

    worth: as from `maxima`; with it, points above the maximum and misspelt exercises are found.
    Raises ValueError that names the line.
    """
    if not path.is_file():
        return {}
    header, rows = tables.read(path)
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in COLUMNS[:3] if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise ValueError(
            f"{path}, line 1: the columns must be {', '.join(COLUMNS)}, not {', '.join(header)}."
        )
    given: dict[tuple[str, str], Given] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, row in rows:
        key, value = _line(f"{path}, line {line}", header, row, worth)
        if key in given:
            raise ValueError(
                f"{path}, line {line}: {key[1]} of {key[0]} is on line {lines[key]} already: keep one."
            )
        given[key], lines[key] = value, line
    return given


def _line(where, header, row, worth):
    """One line: ((student, exercise), Given)."""
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        raise ValueError(f"{where}: there are more cells than columns: is a comma outside quotes?")
    cells = dict(zip(header, row, strict=False))
    student, exercise = cells.get("student", ""), cells.get("exercise", "").strip()
    if not student.strip() or not exercise:
        raise ValueError(f"{where}: a student and an exercise are needed.")
    points = _points(where, cells.get("points", "").strip())
    if worth is not None:
        _check_worth(where, exercise, points, worth)
    return (student, exercise), Given(points, cells.get("comment", ""))


def _points(where, text):
    if not text:
        return None
    # A spreadsheet in many languages writes 1,5.
    if not re.fullmatch(r"[+-]?\d{1,9}([.,]\d{0,9})?", text, re.ASCII):
        raise ValueError(f"{where}: the points must be a number, not {text[:40]!r}.")
    points = float(text.replace(",", "."))
    if points < 0:
        raise ValueError(f"{where}: the points must not be negative, and are {text}.")
    return points


def _check_worth(where, exercise, points, worth):
    known = {name: value for chapter in worth.values() for name, value in chapter.items()}
    if exercise not in known:
        number = re.search(r"\d\d", exercise)
        if number and not any(chapter.startswith(number[0]) for chapter in worth):
            return  # of a chapter that has not been graded yet
        near = difflib.get_close_matches(exercise, known, n=2)
        hint = f" Is it {' or '.join(near)}?" if near else ""
        raise ValueError(f"{where}: there is no exercise {exercise!r}.{hint}")
    if points is not None and points > known[exercise]:
        raise ValueError(
            f"{where}: {exercise} is worth {tables.number(known[exercise])} points, and "
            f"{tables.number(points)} are given."
        )


def write_by_hand_template(path: Path, found: Iterable[Result]) -> int:
    """Add a line without points to `by_hand.csv` for each answer that waits and has none; how many.

    What is there stays, in its order. Raises ValueError when what is there cannot be read.
    """
    given = read_by_hand(path)
    waiting = [w for w in todo(found, given) if (w.student, w.exercise) not in given]
    if not waiting and path.is_file():
        return 0
    rows: list[list[str | float | None]] = [
        [student, exercise, value.points, value.comment]
        for (student, exercise), value in given.items()
    ]
    tables.write(path, COLUMNS, rows + [[w.student, w.exercise, None, ""] for w in waiting])
    return len(waiting)


# ------------------------------------------------------------------ the database


@dataclass(frozen=True)
class Built:
    """What `build` made: the marks, the results they come from, and what a teacher must know of."""

    marks: list[Mark]
    results: list[Result]
    by_hand: ByHand
    problems: list[str]


SCHEMA = """
CREATE TABLE marks (
    student TEXT, chapter TEXT, status TEXT, points REAL, max_points REAL, waiting INTEGER,
    sandboxed INTEGER, problem TEXT, PRIMARY KEY (chapter, student)
);
CREATE TABLE parts (
    student TEXT, chapter TEXT, exercise TEXT, title TEXT, outcome TEXT, points REAL, max_points REAL,
    by_hand INTEGER, reason TEXT, comment TEXT, PRIMARY KEY (chapter, student, exercise)
);
"""


def build(results_folder: Path, by_hand: Path, database: Path) -> Built:
    """Make the database of marks anew from the result files and what people gave.

    One writer at a time; the database is replaced as a whole, and is the same for the same marks. A
    damaged result is reported in `problems`, and the others count. Raises ValueError for a line of
    by_hand.csv that is not right, RuntimeError when another process keeps the lock, OSError when the
    database cannot be written.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(database.with_name(database.name + ".lock"), timeout=LOCK_SECONDS):
            built = collect(results_folder, by_hand)
            content = _database(built)
            with replacing(database) as file:
                file.write(content)
            return built
    except Timeout as error:
        raise RuntimeError(
            f"another process has been writing {database} for {LOCK_SECONDS} seconds: wait for it to "
            "end, and try again."
        ) from error


def collect(results_folder: Path, by_hand: Path) -> Built:
    """The marks of a folder of results, without writing anything."""
    found, problems = sound_results(results_folder)
    worth = maxima(found)
    given = read_by_hand(by_hand, worth)
    marks = [mark(result, given, worth) for result in found]
    return Built(marks, found, given, problems + _contradictions(marks, worth, given))


def sound_results(folder: Path) -> tuple[list[Result], list[str]]:
    """Every result of a folder that can be used, by chapter and student, and what is wrong with others."""
    found: dict[tuple[str, str], Result] = {}
    problems = []
    for path in results.paths(folder):
        try:
            result = results.load(path)
        except (results.DamagedResult, OSError) as error:
            problems.append(str(error))
        else:
            found[result.chapter, result.student] = result
    return [found[key] for key in sorted(found)], problems


def _contradictions(marks, worth, given):
    """What a teacher would want to know before anybody sees these marks."""
    problems = []
    for found in marks:
        full = math.fsum(worth[found.chapter].values())
        if found.points is not None and not math.isclose(found.max_points, full):
            problems.append(
                f"{found.student}, {found.chapter}: graded out of {tables.number(found.max_points)} "
                f"points, others out of {tables.number(full)}: grade the chapter again."
            )
    used = {(found.student, exercise) for found in marks for exercise in found.parts}
    for student, exercise in given:
        if (student, exercise) not in used and given[student, exercise].points is not None:
            problems.append(
                f"by_hand.csv gives {student} points for {exercise}, and there is no such submission: "
                "they count for nothing."
            )
    return problems


def _database(built: Built) -> bytes:
    """An SQLite file; its bytes depend on the marks alone."""
    found = {(result.chapter, result.student): result for result in built.results}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {results.FORMAT}")
        for item in built.marks:
            result = found[item.chapter, item.student]
            head = (item.student, item.chapter, item.status, item.points, item.max_points)
            tail = (len(item.waiting), item.sandboxed, result.problem)
            connection.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", head + tail)
            connection.executemany(
                "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _part_rows(item, result, built.by_hand),
            )
        connection.commit()
        return connection.serialize()


def _part_rows(item, result, by_hand):
    verdicts = {verdict.exercise: verdict for verdict in result.verdicts}
    for exercise, points in item.parts.items():
        verdict = verdicts.get(exercise, Verdict(exercise, exercise, "person", None, 0.0))
        given = given_for(result, exercise, by_hand) or Given(None)
        yield (
            item.student, item.chapter, exercise, verdict.title, verdict.outcome, points,
            verdict.max_points, given.points is not None, verdict.reason, given.comment,
        )  # fmt: skip
