"""The commands `grade` and `classroom …`: thin functions, the work is done beside this file."""

from __future__ import annotations

import contextlib
import json as json_module
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
    seed_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the seed, for --gradescope.")
    ] = None,
    gradescope: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write this results.json, as Gradescope's autograder."),
    ] = None,
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
        _gradescope(paths, chapter, seed_file, gradescope, allow_unsandboxed)
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
    from . import box, many

    if problem := box.probe():
        say(f"Without a sandbox, since this is your own work ({problem}).")
    for path in paths:
        if not path.exists():
            raise ValueError(f"there is no {path}.")
        name = _chapter_of(path, chapter)
        how = many.How(Path(), random.token_hex(8), not problem)
        try:
            result = many.graded(many.Job("you", name, path), how)
        finally:
            many.cool()
        if not result.verdicts:
            raise ValueError(f"{path} was not graded: {result.problem}.")
        Console().print(_own_table(result))
        of = sum(v.max_points for v in result.verdicts if "." in v.exercise)  # not the written one
        say(f"{path.name}: {result.points:g} of {of:g} points that a check can give.")


def _chapter_of(path: Path, chapter: list[str] | None) -> str:
    from .classroom import chapter_named

    if chapter:
        return chapter_named(chapter[0])
    return chapter_named(path.name.split("_")[0].split(" ")[0])


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


def _gradescope(paths, chapter, seed_file, target, allow_unsandboxed):
    """What Gradescope's autograder runs in its container, for one submission."""
    from . import exports, many
    from .classroom import chapter_named

    if len(paths) != 1 or not chapter or seed_file is None:
        raise ValueError("--gradescope needs one PATH, --chapter and --seed-file.")
    sandbox = _sandbox(allow_unsandboxed)
    how = many.How(Path(), seed_file.read_text(encoding="utf-8").strip(), sandbox)
    try:
        result = many.graded(many.Job("student", chapter_named(chapter[0]), paths[0]), how)
    finally:
        many.cool()
    with replacing(target) as file:
        text = json_module.dumps(exports.gradescope(result), ensure_ascii=False, indent=1)
        file.write(text.encode())


def _sandbox(allow_unsandboxed: bool) -> bool:
    """Whether there is a box. Raises RuntimeError where there is none and none was waived."""
    from . import box

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
    if not jobs:
        raise ValueError(
            f"nothing was handed in: {where.root / 'submitted'} has no STUDENT/CHAPTER folders. "
            "maml-edu classroom collect FOLDER --chapter NN fills it."
        )
    kept = [many.Done(job, result) for job in jobs if (result := many.already(job, how))]
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
            lines.append((status, f"{one.job.student}, {one.job.chapter}: {status}: {problem}"))
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
    from . import after, classroom

    named = [classroom.chapter_named(name) for name in chapters or []]
    written = after.write_feedback(classroom.find(where), named)
    say(f"{len(written)} students' feedback is written.")


@app.command("report")
def report(chapters: Chapters = None, where: Class = None):
    """Write what to look at before the next lecture: a page a chapter.

    [bold]Example[/bold]

      maml-edu classroom report 04
    """
    from . import after, classroom

    named = [classroom.chapter_named(name) for name in chapters or []]
    for path in after.write_reports(classroom.find(where), named):
        say(f"{path}")


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
        typer.Option(metavar="FILE", help="Gradescope: a wheel of maml_edu to carry along."),
    ] = None,
    where: Class = None,
):
    """Give marks to another system.

    [bold]Examples[/bold]

      maml-edu classroom export csv

      maml-edu classroom export canvas --chapter 04 --into grades.csv --assignment "Chapter 04"

      maml-edu classroom export moodle --chapter 04 --into worksheet.csv

      maml-edu classroom export gradescope --chapter 04    an autograder to upload

      maml-edu classroom export nbgrader    into gradebook.db, for formgrader
    """
    from . import after, classroom

    name = classroom.chapter_named(chapter) if chapter else None
    with contextlib.suppress(BrokenPipeError):
        room = classroom.find(where)
        told = after.write_export(room, system, name, exported, assignment, partial, scale, wheel)
        for line in told:
            say(line)
