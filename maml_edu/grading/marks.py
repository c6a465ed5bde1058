"""Marks: what grading found out, together with what a person gave. Start from `build`.

A person gives points in `marks/by_hand.csv`, a line for an answer (`by_hand`). Such points count before those
of the checks. What could not be graded has no points: None, never 0. `points` are these; `adjusted` is what
counts once `policy.toml` has been heard, and `reasons` say what it changed. `marks/marks.db` is made anew from
the results and these two, and can be deleted at any time.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from maml_edu.atomic import replacing

from . import counting, results
from .by_hand import (
    ByHand,
    Given,
    Maxima,
    add_waiting,
    bind,
    fingerprints,
    given_for,
    read_by_hand,
)
from .exports import tables
from .mark import Mark
from .results import Result, Verdict
from .tasks import task_of

LOCK_SECONDS = 60


@dataclass(frozen=True)
class Waiting:
    """One answer that a person still has to read."""

    student: str
    chapter: str
    exercise: str
    title: str
    max_points: float
    changed: bool = False  # since a person read it


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


def points_of(verdict: Verdict, given: Given | None) -> float | None:
    """The points that count for an exercise: a person's, else those of the checks, else None.

    Where a person has decided about another answer, this one waits again, unless the checks find it
    wholly right.
    """
    if given is not None and given.points is not None:
        return given.points
    full = verdict.points is not None and verdict.points >= verdict.max_points
    return None if given is not None and given.changed and not full else verdict.points


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
        worth=exercises,
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
    waiting = []
    for result in found:
        for verdict in result.verdicts:
            given = given_for(result, verdict.exercise, by_hand)
            if points_of(verdict, given) is None:
                title, worth = verdict.title, verdict.max_points
                changed = given is not None and given.changed
                one = (result.student, result.chapter, verdict.exercise, title, worth, changed)
                waiting.append(Waiting(*one))
    return sorted(waiting, key=lambda w: (w.chapter, w.exercise, w.student))


# ------------------------------------------------------------------ what a person gives


def write_by_hand_template(
    path: Path, found: Iterable[Result], earlier: Iterable[Result] = ()
) -> int:
    """Add a line without points to `by_hand.csv` for each answer that waits and has none; how many.

    earlier: hand-ins before the present ones that may count. What is there stays, in its order; lines that
    name no answer are bound to the present one. Raises ValueError when what is there cannot be read.
    """
    found = list(found)
    bind(path, found)
    given = read_by_hand(path)
    asked = [(w, result) for result in [*found, *earlier] for w in todo([result], given)]
    asked.sort(key=lambda one: (one[0].chapter, one[0].exercise, one[0].student))
    waiting = [
        ((w.student, w.exercise), (fingerprints(result, w.exercise) or [""])[0])
        for w, result in asked
    ]
    return add_waiting(path, list(dict.fromkeys(waiting)))


def bind_to_results(results_folder: Path, by_hand: Path) -> None:
    """Lines that do not say which answer they are for are for the one graded last: before another is graded.

    A table that cannot be read stays as it is; `build` tells of it.
    """
    found, _ = sound_results(results_folder)
    present = {(result.chapter, result.student) for result in found}
    # What a newer hand-in has replaced, and nobody has graded yet: the older one was read.
    before = counting.earlier(results_folder, [])
    found += [own[-1][1] for key, own in before.items() if key not in present]
    with suppress(ValueError):
        bind(by_hand, found)


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
    sandboxed INTEGER, problem TEXT, adjusted REAL, adjusted_max REAL, reasons TEXT, counts TEXT,
    PRIMARY KEY (chapter, student)
);
CREATE TABLE parts (
    student TEXT, chapter TEXT, exercise TEXT, title TEXT, outcome TEXT, points REAL, max_points REAL,
    by_hand INTEGER, reason TEXT, comment TEXT, PRIMARY KEY (chapter, student, exercise)
);
"""


def build(results_folder: Path, by_hand: Path, database: Path, root: Path | None = None) -> Built:
    """Make the database of marks anew from the result files and what people gave.

    One writer at a time; the database is replaced as a whole, and is the same for the same marks. Lines of
    by_hand.csv that do not say which answer they are for are bound to the present one, in the file. A
    damaged result is reported in `problems`, and the others count. root: the class folder with policy.toml,
    submitted/ and earlier/ (default: the folder that holds the results). Raises ValueError for a line of
    by_hand.csv or policy.toml that is not right, RuntimeError when another process keeps the lock, OSError
    when the database cannot be written.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(database.with_name(database.name + ".lock"), timeout=LOCK_SECONDS):
            bind(by_hand, sound_results(results_folder)[0])
            built = collect(results_folder, by_hand, root)
            content = _database(built)
            with replacing(database) as file:
                file.write(content)
            return built
    except Timeout as error:
        raise RuntimeError(
            f"another process has been writing {database} for {LOCK_SECONDS} seconds: wait for it to "
            "end, and try again."
        ) from error


def collect(results_folder: Path, by_hand: Path, root: Path | None = None) -> Built:
    """The marks of a folder of results, without writing anything."""
    found, problems = sound_results(results_folder)
    worth = maxima(found)
    given = read_by_hand(by_hand, worth)
    term = counting.of(root or results_folder.parent, found, worth)
    pairs = [counting.counted(term, own, lambda r: mark(r, given, worth)) for own in found]
    marks, counted = [mark for mark, _ in pairs], [result for _, result in pairs]
    problems += [*term.problems, *_contradictions(marks, worth, given)]
    problems += [*_changed(counted, given), *_changed_around(counted, given, term)]
    return Built(marks, counted, given, problems)


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


def _changed(found, by_hand):
    """A line for each answer that is another than the one a person gave points for."""
    lines = []
    for result in found:
        for verdict in result.verdicts:
            given = given_for(result, verdict.exercise, by_hand)
            if given is None or not given.changed:
                continue
            old = [old.points for old in given.others if old.points is not None][-1]
            waits = points_of(verdict, given) is None
            after = (
                "it waits again" if waits else "the checks find the new one right, and that counts"
            )
            lines.append(
                f"{result.student}, {verdict.exercise}: changed since it was read "
                f"({tables.number(old)} points then): {after}."
            )
    return lines


def _changed_around(found, by_hand, term):
    """A line for each answer that is as it was read, and that the checks find another of since.

    Something else in the notebook has changed, a helper that the answer calls, say.
    """
    lines = []
    for result in found:
        before = [own for _, own in term.earlier.get((result.chapter, result.student), [])]
        before = before[: before.index(result)] if result in before else before
        for verdict in result.verdicts:
            given = given_for(result, verdict.exercise, by_hand)
            if given is None or given.points in (None, verdict.points):
                continue
            old = _of_the_same_answer(before, result, verdict)
            if old is not None and old.outcome != verdict.outcome and verdict.points is not None:
                lines.append(
                    f"{result.student}, {verdict.exercise}: {tables.number(given.points)} points by hand, "
                    f"and the checks say {verdict.outcome} now, {old.outcome} of the hand-in before: the "
                    "answer is the same, and something else in the notebook is not. Are the points right?"
                )
    return lines


def _of_the_same_answer(before: list[Result], result: Result, verdict: Verdict) -> Verdict | None:
    """What the checks found of it in the last other notebook that had it."""
    same = [
        old
        for own in before
        if own.sha256 != result.sha256
        for old in own.verdicts
        if (old.exercise, old.answer) == (verdict.exercise, verdict.answer) and old.answer
    ]
    return same[-1] if same else None


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
            policy = (item.adjusted, item.adjusted_max, "\n".join(item.reasons), item.counts)
            row = head + tail + policy
            connection.execute(f"INSERT INTO marks VALUES ({', '.join('?' * len(row))})", row)
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
