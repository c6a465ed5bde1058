"""What the commands print: a learner's own result, and how grading a class goes and ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from maml_edu.console import say

from .results import OUTCOMES
from .submission import printable

# ------------------------------------------------------------------ one's own work


def tell_own(path: Path, result) -> bool:
    """Show what became of one notebook; whether it was graded."""
    if not result.verdicts:
        say(f"{path} was not graded: {result.problem}.")
        return False
    Console().print(_own_table(result))
    checked = [v for v in result.verdicts if "." in v.exercise]  # not the written one
    points = sum(v.points for v in checked if v.points is not None)
    of = sum(v.max_points for v in checked)
    say(f"{path.name}: {points:g} of {of:g} points that a check can give.")
    return result.status != "grader-error"


SIGNS = {"right": "[green]✓[/green]", "wrong": "[red]✗[/red]", "not done": "○", "person": "·"}


def _own_table(result) -> Table:
    table = Table(box=None)
    for heading in ("", "exercise", "points", ""):
        table.add_column(
            heading, overflow="fold", justify="right" if heading == "points" else "left"
        )
    for verdict in result.verdicts:
        points = "" if verdict.points is None else f"{verdict.points:g} of {verdict.max_points:g}"
        words = OUTCOMES[verdict.outcome] + (f": {verdict.reason}" if verdict.reason else "")
        sign = SIGNS.get(verdict.outcome, "[red]✗[/red]")
        table.add_row(sign, escape(verdict.exercise), points, escape(words))
    return table


# ------------------------------------------------------------------ a class


def watched(running: Iterable, total: int) -> list:
    """All that comes, with a progress bar."""
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    done = []
    try:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            for one in bar.track(running, total=total):
                done.append(one)
    except KeyboardInterrupt:
        say("Interrupted. What was graded is kept; the same command does the rest.")
        raise
    return done


def tell_done(done, marks=None) -> None:
    """What became of each submission: a table, and a line for each that has no mark.

    marks: what people have given included; without them, all that the checks leave to a person waits.
    """
    Console().print(_outcome_table(done, marks))
    _tell_problems(done)


def _outcome_table(done, marks) -> Table:
    """How many were graded, wait for a person, or failed."""
    waits = {(mark.chapter, mark.student): bool(mark.waiting) for mark in marks or ()}
    table = Table(box=None)
    for heading in ("chapter", "handed in", "graded", "wait for a person", "failed"):
        table.add_column(heading, justify="left" if heading == "chapter" else "right")
    for chapter in sorted({one.job.chapter for one in done}):
        own = [one for one in done if one.job.chapter == chapter]
        given = [one.result for one in own if one.result and one.result.points is not None]
        waiting = sum(
            waits.get((result.chapter, result.student), bool(result.needs_person))
            for result in given
        )
        numbers = (len(own), len(given), waiting, len(own) - len(given))
        table.add_row(chapter, *map(str, numbers))
    return table


def _tell_problems(done):
    """A line for each that failed or was stopped, the same ones together when they are many."""
    lines = []
    for one in sorted(done, key=lambda one: (one.job.chapter, one.job.student)):
        status = one.result.status if one.result else "not written"
        problem = one.result.problem if one.result else one.error
        if status != "graded":
            who = printable(f"{one.job.student}, {one.job.chapter}")
            lines.append((status, f"{who}: {status}: {problem}"))
    for _, line in lines[:30]:
        say(line)
    if len(lines) > 30:
        rest = Counter(status for status, _ in lines[30:])
        say("and " + ", ".join(f"{count} more: {status}" for status, count in rest.items()))
    if any(one.result and not one.result.sandboxed for one in done):
        say("Graded without a sandbox: every such result says so.")


def tell_marks(where, built):
    """Where marks are, and what a person still has to read."""
    for problem in built.problems:
        say(problem)
    waiting = sum(len(mark.waiting) for mark in built.marks)
    if waiting:
        say(
            f"{waiting} answer{' waits' if waiting == 1 else 's wait'} for a person: read them with "
            f"maml-edu classroom mark, or give their points in {where.by_hand}."
        )
    say(f"Marks: {where.database}. Next: maml-edu classroom feedback, report, export.")


def tell_people(where, roster, chapter: str | None) -> None:
    """Who is who, and who has handed in what; of one chapter, who has not."""
    from .hand_ins import missing
    from .people import CELLS

    if chapter is not None:
        absent = missing(where.root, roster, chapter)
        say(f"{len(roster) - len(absent)} of {len(roster)} have handed in {chapter}.")
        for key in absent:
            name = roster[key].name
            say(printable(f"handed in nothing: {key}" + (f" ({name})" if name != key else "")))
        return
    columns = [c for c in CELLS if any(student.cell(c) for student in roster)]
    table = Table(box=None)
    for heading in ("key", *columns, "handed in"):
        table.add_column(heading, overflow="fold")
    jobs = where.jobs()
    for student in roster:
        there = {job.chapter.split("_")[0] for job in jobs if job.student == student.key}
        cells = [student.key, *(student.cell(c) for c in columns), " ".join(sorted(there))]
        table.add_row(*(escape(printable(cell)) for cell in cells))
    Console().print(table)
    say(f"{len(roster)} people, in {where.root / 'students.csv'}: correct it there.")
