"""Grading what a class has handed in: `plan` says what there is to do, `grade` does it, `write_marks` ends it.

From Python, as the command does it:

    todo = run.plan(classroom.find(folder))
    done = [*todo.kept, *run.grade(todo)]
    built = run.write_marks(todo.classroom)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from maml_edu.checks.exercise import load_chapter, load_private

from . import many, marks
from .classroom import Classroom
from .many import Done, How, Job
from .results import Result


@dataclass(frozen=True)
class Plan:
    """What grading a class will do. kept: what was graded before and has not changed; todo: all else."""

    classroom: Classroom
    how: How
    kept: list[Done]
    todo: list[Job]


def plan(classroom: Classroom, chapters: list[str] | None = None, sandbox: bool = True) -> Plan:
    """What there is to grade of these chapters (all).

    Raises ValueError where nothing was handed in, or for a mistake in a private check.
    """
    how = classroom.how(sandbox)
    jobs = classroom.jobs(chapters)
    if not jobs:
        raise ValueError(
            f"nothing was handed in: {classroom.root / 'submitted'} has no STUDENT/CHAPTER folders. "
            "maml-edu classroom collect FOLDER --chapter NN fills it."
        )
    _try_private({job.chapter for job in jobs}, how)
    kept = [Done(job, result) for job in jobs if (result := _already(job, how))]
    done_before = {done.job for done in kept}
    return Plan(classroom, how, kept, [job for job in jobs if job not in done_before])


def _try_private(chapters: Iterable[str], how: How) -> None:
    """Import a teacher's further checks. Raises ValueError for a mistake in them, before anything is graded."""
    for chapter in sorted(chapters):
        load_chapter(chapter)
        private = how.private_checks(chapter)
        try:
            load_private(chapter, private)
        except Exception as error:
            raise ValueError(f"{private}: {type(error).__name__}: {error}") from error


def _already(job: Job, how: How) -> Result | None:
    with contextlib.suppress(OSError, UnicodeError):  # which grading will tell
        return many.already(job, how)
    return None


def grade(
    plan: Plan, workers: int | None = None, scheduler: str | None = None, show: Callable = print
) -> Iterator[Done]:
    """Grade what is to be graded, in processes or on a cluster; yields what is done, in no order.

    Raises what `many.grade_all` and `many.grade_on` raise.
    """
    if scheduler:
        return many.grade_on(scheduler, plan.todo, plan.how, show)
    return many.grade_all(plan.todo, plan.how, workers)


def write_marks(classroom: Classroom) -> marks.Built:
    """Marks from all results, and a line of by_hand.csv for each answer that a person has to read."""
    found, _ = marks.sound_results(classroom.results)
    marks.write_by_hand_template(classroom.by_hand, found)
    return marks.build(classroom.results, classroom.by_hand, classroom.database)


# ------------------------------------------------------------------ outside a class


def alone(jobs: Iterable[Job], how: How) -> Iterator[tuple[Job, Result]]:
    """Grade notebooks of no class, here and one after the other; no result is kept."""
    try:
        for job in jobs:
            yield job, many.graded(job, how)
    finally:
        many.cool()
