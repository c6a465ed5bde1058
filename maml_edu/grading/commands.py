"""The commands `grade` and `classroom …`: thin functions, the work is done beside this file."""

from __future__ import annotations

import contextlib
import json as json_module
import re
import secrets as random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from maml_edu.atomic import replacing
from maml_edu.console import say

from .submission import printable

Class = Annotated[
    Path | None,
    typer.Option("--class", metavar="DIR", help="The class folder. [dim]Default: here[/dim]"),
]
Chapters = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CHAPTER]...", help="Numbers or names. [dim]Default: all[/dim]"),
]
UNSAFE = "Grade without a sandbox, on trust; every result says so."


def grade(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Your own notebooks; or a class folder. [dim]Default: the class folder here[/dim]",
        ),
    ] = None,
    chapter: Annotated[
        list[str] | None,
        typer.Option(
            "--chapter", metavar="CHAPTER", help="Only these chapters; or what a file is of."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. [dim]Default: as many as cores[/dim]")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Grade on this dask.distributed cluster: tcp://host:8786."
        ),
    ] = None,
    allow_unsandboxed: Annotated[bool, typer.Option("--allow-unsandboxed", help=UNSAFE)] = False,
    seed_file: Annotated[Path | None, typer.Option(hidden=True)] = None,  # these are Gradescope's
    private: Annotated[Path | None, typer.Option(hidden=True)] = None,
    gradescope: Annotated[Path | None, typer.Option(hidden=True)] = None,
):
    """Grade notebooks: your own, or everything that a class has handed in.

    Notebooks run in a box where they can do no harm, and are judged from
    outside it by the checks of the exercises, on inputs that nobody has seen.
    What is graded stays graded: after Ctrl-C or a crash the same command goes
    on, and does again only what has changed.

    [bold]Examples[/bold]

      maml-edu grade my_work/exercises/04_*.ipynb    your own work

      maml-edu grade                                 the class folder here

      maml-edu grade ~/maml2026 --chapter 04 --workers 8

      maml-edu grade --scheduler tcp://10.0.0.5:8786    on a cluster
    """
    from . import classroom

    paths = paths or []
    if gradescope is not None:
        _gradescope(paths, chapter, seed_file, private, gradescope, allow_unsandboxed)
    elif paths and all(path.suffix.lower() == ".ipynb" for path in paths):
        _own_work(paths, chapter)
    else:
        if len(paths) > 1:
            raise ValueError("name notebooks (.ipynb), or one class folder.")
        where = classroom.find(paths[0] if paths else None)
        _class(where, chapter, workers, scheduler, allow_unsandboxed)


# ------------------------------------------------------------------ one's own work


def _own_work(paths: list[Path], chapter: list[str] | None):
    """A learner's own notebooks: the same judge, a friendly table, no result kept."""
    from . import many
    from .sandbox import box

    if problem := box.probe():
        say(f"Without a sandbox, since this is your own work ({problem}).")
    how = many.How(Path(), random.token_hex(8), not problem)
    failed = 0
    try:
        for path in paths:
            result = many.graded(many.Job("you", _chapter_of(path, chapter), path), how)
            failed += not _own_result(path, result)
    finally:
        many.cool()
    if failed:
        raise typer.Exit(1)


def _own_result(path: Path, result) -> bool:
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


def _chapter_of(path: Path, chapter: list[str] | None) -> str:
    from .classroom import chapter_named

    if not path.exists():
        raise ValueError(f"there is no {path}.")
    number = re.search(r"\d\d", path.name)
    if not chapter and not number:
        raise ValueError(f"{path.name} does not say of which chapter it is: add --chapter 04, say.")
    return chapter_named(chapter[0] if chapter else number[0])  # type: ignore[index]


SIGNS = {"right": "[green]✓[/green]", "wrong": "[red]✗[/red]", "not done": "○", "person": "·"}


def _own_table(result) -> Table:
    from .results import OUTCOMES

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


# ------------------------------------------------------------------ Gradescope


def _gradescope(paths, chapter, seed_file, private, target, allow_unsandboxed):
    """What Gradescope's autograder runs in its container, for one submission."""
    from . import exports, many
    from .classroom import chapter_named

    if len(paths) != 1 or not chapter or seed_file is None:
        raise ValueError("--gradescope needs one PATH, --chapter and --seed-file.")
    sandbox = _sandbox(allow_unsandboxed)
    how = many.How(Path(), seed_file.read_text(encoding="utf-8").strip(), sandbox, private)
    try:
        result = many.graded(many.Job("student", chapter_named(chapter[0]), paths[0]), how)
    finally:
        many.cool()
    with replacing(target) as file:
        text = json_module.dumps(exports.gradescope(result), ensure_ascii=False, indent=1)
        file.write(text.encode())


def _sandbox(allow_unsandboxed: bool) -> bool:
    """Whether there is a box. Raises RuntimeError where there is none and none was waived."""
    from .sandbox import box

    problem = box.probe()
    if not problem:
        return True
    if not allow_unsandboxed:
        raise RuntimeError(
            f"no sandbox: {problem}. Student code would run with your rights on your files. "
            "--allow-unsandboxed grades all the same, and marks every result so."
        )
    say(f"No sandbox ({problem}): grading on trust.")
    return False


# ------------------------------------------------------------------ a class


def _class(where, chapters, workers, scheduler, allow_unsandboxed):
    from . import many
    from .classroom import chapter_named

    how = where.how(_sandbox(allow_unsandboxed))
    jobs = where.jobs([chapter_named(name) for name in chapters] if chapters else None)
    for line in where.strangers():
        say(f"not graded: {line}")
    if not jobs:
        raise ValueError(
            f"nothing was handed in: {where.root / 'submitted'} has no STUDENT/CHAPTER folders. "
            "maml-edu classroom collect FOLDER --chapter NN fills it."
        )
    _try_private({job.chapter for job in jobs}, how)
    kept = [many.Done(job, result) for job in jobs if (result := _already(job, how))]
    done_before = {done.job for done in kept}
    todo = [job for job in jobs if job not in done_before]
    if kept:
        say(f"{len(kept)} of {len(jobs)} were graded before and have not changed.")
    running = (
        many.grade_on(scheduler, todo, how, say)
        if scheduler
        else many.grade_all(todo, how, workers)
    )
    done = [*kept, *_watched(running, len(todo))]
    Console().print(_outcome_table(done))
    _tell_problems(done)
    _marks(where)
    if any(one.result is None for one in done):
        raise typer.Exit(1)


def _already(job, how):
    from . import many

    with contextlib.suppress(OSError, UnicodeError):  # which grading will tell
        return many.already(job, how)


def _try_private(chapters, how):
    """Import a teacher's further checks. Raises ValueError for a mistake in them, before anything is graded."""
    from maml_edu.checks.exercise import load_chapter, load_private

    for chapter in sorted(chapters):
        load_chapter(chapter)
        try:
            load_private(how.private_checks(chapter))
        except Exception as error:
            raise ValueError(
                f"{how.private_checks(chapter)}: {type(error).__name__}: {error}"
            ) from error


def _watched(running: Iterable, total: int) -> list:
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


def _outcome_table(done) -> Table:
    """How many were graded, wait for a person, or failed."""
    table = Table(box=None)
    for heading in ("chapter", "handed in", "graded", "wait for a person", "failed"):
        table.add_column(heading, justify="left" if heading == "chapter" else "right")
    for chapter in sorted({one.job.chapter for one in done}):
        own = [one for one in done if one.job.chapter == chapter]
        given = [one.result for one in own if one.result and one.result.points is not None]
        waiting = sum(1 for result in given if result.needs_person)
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


def _marks(where):
    """Marks from results, and what a person still has to read."""
    from . import marks

    found, _ = marks.sound_results(where.results)
    marks.write_by_hand_template(where.by_hand, found)
    built = marks.build(where.results, where.by_hand, where.database)
    for problem in built.problems:
        say(problem)
    waiting = sum(len(mark.waiting) for mark in built.marks)
    if waiting:
        say(f"{waiting} answers wait for a person: give their points in {where.by_hand}.")
    say(f"Marks: {where.database}. Next: maml-edu classroom feedback, report, export.")


# ------------------------------------------------------------------ classroom …

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def _classroom():
    """Teach a class: hand out, collect, grade, give feedback, export.

    [bold]A term[/bold]

      maml-edu classroom new ~/maml2026    once; then, in that folder:

      maml-edu classroom release 04        what students get is in release/

      maml-edu classroom collect ~/Downloads/all --chapter 04

      maml-edu classroom grade

      maml-edu classroom feedback 04

      maml-edu classroom report 04

      maml-edu classroom export csv
    """


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    name: Annotated[
        str | None, typer.Option(help="Of the course. [dim]Default: the folder's[/dim]")
    ] = None,
    chapters: Annotated[
        list[str] | None, typer.Option("--chapter", help="Only these. [dim]Default: all[/dim]")
    ] = None,
):
    """Make a class folder: sources, a seed of your own, a place for private checks.

    [bold]Example[/bold]

      maml-edu classroom new ~/maml2026 --name "MAML, autumn 2026"
    """
    from . import classroom

    made = classroom.new(folder, name, [classroom.chapter_named(c) for c in chapters or []] or None)
    say(
        f"{made.root} is ready. Its seed decides the hidden inputs: keep it, and keep it to yourself."
    )
    say("Next: maml-edu classroom release 04, in that folder.")


@app.command("release")
def release(chapters: Chapters = None, where: Class = None):
    """Make what students get: no solutions, no hidden tests.

    [bold]Example[/bold]

      maml-edu classroom release 04 07
    """
    from . import classroom

    named = [classroom.chapter_named(name) for name in chapters or []] or None
    for path in classroom.release(classroom.find(where), named):
        say(f"{path}")


@app.command("collect")
def collect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What you downloaded.")],
    chapter: Annotated[str, typer.Option(help="Which chapter it is.")],
    where: Class = None,
):
    """Put a downloaded folder of notebooks where grading looks for them.

    It may hold a folder per student (Moodle's names too) or files called
    student_….ipynb (Canvas).

    [bold]Example[/bold]

      maml-edu classroom collect ~/Downloads/submissions --chapter 04
    """
    from . import classroom

    name = classroom.chapter_named(chapter)
    copied, left = classroom.collect(classroom.find(where), folder, name)
    say(f"{len(copied)} students' notebooks were copied to submitted/.")
    for line in left:
        say(f"left out: {line}")


@app.command("grade")
def grade_class(
    chapters: Chapters = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. [dim]Default: as many as cores[/dim]")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A dask.distributed cluster.")
    ] = None,
    allow_unsandboxed: Annotated[bool, typer.Option("--allow-unsandboxed", help=UNSAFE)] = False,
    where: Class = None,
):
    """Grade all that was handed in and is not graded yet (the same as maml-edu grade DIR).

    [bold]Example[/bold]

      maml-edu classroom grade 04 --workers 8
    """
    from . import classroom

    _class(classroom.find(where), chapters, workers, scheduler, allow_unsandboxed)


@app.command("feedback")
def feedback(chapters: Chapters = None, where: Class = None):
    """Write what students get back: a page and a notebook each, in feedback/STUDENT/CHAPTER/.

    [bold]Example[/bold]

      maml-edu classroom feedback 04
    """
    from . import after

    room, built = _built(where, chapters)
    written = after.write_feedback(room, built)
    say(f"{len(written)} submissions' feedback is in {room.root / 'feedback'}.")


@app.command("report")
def report(chapters: Chapters = None, where: Class = None):
    """Write what to look at before the next lecture, and the written answers.

    [bold]Example[/bold]

      maml-edu classroom report 04
    """
    from . import after

    for path in after.write_reports(*_built(where, chapters)):
        say(f"{path}")


def _built(where, chapters):
    """The class folder and its marks; what is wrong with them is told."""
    from . import after, classroom

    room = classroom.find(where)
    built = after.graded(room, [classroom.chapter_named(name) for name in chapters or []])
    for problem in built.problems:
        say(printable(problem))
    return room, built


@app.command("export")
def export(
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="csv, canvas, moodle, gradescope or nbgrader.")
    ],
    chapter: Annotated[
        str | None, typer.Option(help="Which chapter; csv and nbgrader take all without it.")
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option("--into", metavar="FILE", help="What you exported there, to be filled in."),
    ] = None,
    assignment: Annotated[
        str | None, typer.Option(help="Canvas: the assignment's column, by name.")
    ] = None,
    match: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Canvas, Moodle: which names students.")
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Canvas, Moodle: marks that still wait for a person, too."),
    ] = False,
    scale: Annotated[
        bool,
        typer.Option("--scale", help="Canvas, Moodle: to the maximum that stands there."),
    ] = False,
    wheel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Gradescope: the wheel of maml_edu to be installed."),
    ] = None,
    allow_unsandboxed: Annotated[
        bool,
        typer.Option(
            "--allow-unsandboxed",
            help="Gradescope: where its image allows no sandbox. [dim]Student code can "
            "then read your seed[/dim]",
        ),
    ] = False,
    where: Class = None,
):
    """Give marks to another system.

    [bold]Examples[/bold]

      maml-edu classroom export csv

      maml-edu classroom export canvas --chapter 04 --into grades.csv --assignment "Chapter 04"

      maml-edu classroom export moodle --chapter 04 --into worksheet.csv

      maml-edu classroom export gradescope --chapter 04 --wheel dist/maml_edu-….whl

      maml-edu classroom export nbgrader    into gradebook.db, for formgrader
    """
    from . import after, classroom

    if system not in after.SYSTEMS:
        raise ValueError(f"{system!r} is none of {', '.join(after.SYSTEMS)}.")
    if system in ("canvas", "moodle", "gradescope") and chapter is None:
        raise ValueError(f"{system} takes one chapter: --chapter 04.")
    name = classroom.chapter_named(chapter) if chapter else None
    if system == "gradescope":
        path = after.write_autograder(classroom.find(where), str(name), wheel, allow_unsandboxed)
        say(f"{path}: upload it as the autograder. Your seed is in it: keep it to yourself.")
        return
    room, built = _built(where, [name] if name else None)
    into = after.Into(exported, assignment, match, partial, scale)
    for line in after.write_export(room, built, system, name, into):
        say(printable(line))
