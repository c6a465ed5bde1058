"""Grading what a class has handed in: `plan` says what there is to do, `grade` does it, `write_marks` ends it.

From Python, as the command does it:

    todo = run.plan(classroom.find(folder))
    done = [*todo.kept, *run.grade(todo)]
    built = run.write_marks(todo.classroom)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import counting, many, marks, model_answers, policy, results, tasks
from .classroom import Classroom
from .many import Done, How, Job
from .results import Result


@dataclass(frozen=True)
class Plan:
    """What grading a class will do. kept: what was graded before and has not changed; todo: all else.

    earlier: (job, STAMP) of hand-ins before the present ones, where the best one counts.
    """

    classroom: Classroom
    how: How
    kept: list[Done]
    todo: list[Job]
    earlier: list[tuple[Job, str]] = field(default_factory=list)


def plan(classroom: Classroom, chapters: list[str] | None = None, sandbox: bool = True) -> Plan:
    """What there is to grade of these chapters (all).

    Raises ValueError where nothing was handed in, where what is asked contradicts itself (`tasks`), where a check
    rejects the model answer of its own exercise (`model_answers`), and for a mistake in policy.toml.
    """
    how = classroom.how(sandbox)
    marks.bind_to_results(classroom.results, classroom.by_hand)
    jobs = classroom.jobs(chapters)
    if not jobs:
        raise ValueError(
            f"nothing was handed in: {classroom.root / 'submitted'} has no STUDENT/CHAPTER folders. "
            "maml-edu classroom collect FOLDER --chapter NN fills it."
        )
    asked = sorted({job.chapter for job in jobs})
    tasks.refuse_twins(asked, classroom.source)
    model_answers.try_all(asked, how)
    kept = [Done(job, result) for job in jobs if (result := _already(job, how))]
    done_before = {done.job for done in kept}
    todo = [job for job in jobs if job not in done_before]
    return Plan(classroom, how, kept, todo, _earlier(classroom, how, {job.chapter for job in jobs}))


def _earlier(classroom: Classroom, how: How, chapters: set[str]) -> list[tuple[Job, str]]:
    """Hand-ins before the present ones that may be the best, and are not graded by these checks."""
    found = []
    for chapter in counting.where_the_best_counts(classroom.root, chapters):
        for folder in sorted((classroom.root / "earlier").glob(f"*/{chapter}/*/")):
            student, stamp = folder.parent.parent.name, folder.name
            path = results.earlier_path(classroom.results, chapter, student, stamp)
            if not _is_graded(path, how.key(chapter)):
                found.append((Job(student, chapter, folder), stamp))
    return found


def _is_graded(path: Path, key: str) -> bool:
    with contextlib.suppress(results.DamagedResult, OSError):
        known = results.load_earlier(path)
        return known.final and known.key == key
    return False


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


def grade_earlier(plan: Plan) -> int:
    """Grade what `plan.earlier` names, one after the other; how many. Raises OSError where none can be written."""
    stamps = dict(plan.earlier)
    for job, result in alone(stamps, plan.how):
        results.save_earlier(plan.classroom.results, result, stamps[job])
    return len(stamps)


def write_marks(classroom: Classroom) -> marks.Built:
    """Marks from all results, and a line of by_hand.csv for each answer that a person has to read."""
    found, _ = marks.sound_results(classroom.results)
    term = counting.of(classroom.root, found, marks.maxima(found))
    earlier = [own for one in found for _, own in counting.hand_ins(term, one)[:-1]]
    marks.write_by_hand_template(classroom.by_hand, found, earlier)
    return marks.build(classroom.results, classroom.by_hand, classroom.database)


def what_holds(classroom: Classroom, chapters: list[str]) -> list[str]:
    """What holds for whom in these chapters (all that were graded or have rules). Raises `policy.Wrong`."""
    found, problems = marks.sound_results(classroom.results)
    term = counting.of(classroom.root, found, marks.maxima(found))
    if not term.policy.path.is_file():
        return [
            f"there is no {term.policy.path}: no deadlines, the last hand-in counts, points are as given. "
            "--template writes one."
        ]
    known = {*term.policy.chapters, *(result.chapter for result in found)}
    return policy.in_words(term.policy, chapters or sorted(known)) + problems + term.problems


# ------------------------------------------------------------------ outside a class


def alone(jobs: Iterable[Job], how: How) -> Iterator[tuple[Job, Result]]:
    """Grade notebooks of no class, here and one after the other; no result is kept."""
    try:
        for job in jobs:
            yield job, many.graded(job, how)
    finally:
        many.cool()
