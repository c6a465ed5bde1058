"""The commands `grade` and `classroom …`: their options. The work is done beside this file, `terminal` prints."""

from __future__ import annotations

import re
import secrets as random
from pathlib import Path
from typing import Annotated

import typer

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
    visibility: Annotated[str, typer.Option(hidden=True)] = "visible",
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
        _gradescope(paths, chapter, seed_file, private, gradescope, visibility, allow_unsandboxed)
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
    from . import many, run, terminal
    from .sandbox import box

    if problem := box.probe():
        say(f"Without a sandbox, since this is your own work ({problem}).")
    how = many.How(Path(), random.token_hex(8), not problem)
    jobs = (many.Job("you", _chapter_of(path, chapter), path) for path in paths)
    shown = [terminal.tell_own(job.path, result) for job, result in run.alone(jobs, how)]
    if not all(shown):
        raise typer.Exit(1)


def _chapter_of(path: Path, chapter: list[str] | None) -> str:
    from .classroom import chapter_named

    if not path.exists():
        raise ValueError(f"there is no {path}.")
    number = re.search(r"\d\d", path.name)
    if not chapter and not number:
        raise ValueError(f"{path.name} does not say of which chapter it is: add --chapter 04, say.")
    return chapter_named(chapter[0] if chapter else number[0])  # type: ignore[index]


# ------------------------------------------------------------------ Gradescope


def _gradescope(paths, chapter, seed_file, private, target, visibility, allow_unsandboxed):
    """What Gradescope's autograder runs in its container, for one submission."""
    from . import many, run
    from .classroom import chapter_named
    from .exports import gradescope
    from .tasks import own_chapters, with_exercises

    if len(paths) != 1 or not chapter or seed_file is None:
        raise ValueError("--gradescope needs one PATH, --chapter and --seed-file.")
    sandbox = _sandbox(allow_unsandboxed)
    source = seed_file.parent / "class"  # of the class's own notebook, where the bundle has one
    how = many.How(
        Path(), seed_file.read_text(encoding="utf-8").strip(), sandbox, private, source=source
    )
    known = [*with_exercises(), *own_chapters(source)]
    job = many.Job("student", chapter_named(chapter[0], known), paths[0])
    for _, result in run.alone([job], how):
        gradescope.write_results(result, target, visibility)


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
    from . import run, terminal

    sandbox = _sandbox(allow_unsandboxed)
    for line in where.strangers():
        say(f"not graded: {line}")
    plan = run.plan(where, [where.chapter_named(name) for name in chapters or []] or None, sandbox)
    if plan.kept:
        of = len(plan.kept) + len(plan.todo)
        say(f"{len(plan.kept)} of {of} were graded before and have not changed.")
    running = run.grade(plan, workers, scheduler, say)
    done = [*plan.kept, *terminal.watched(running, len(plan.todo))]
    if plan.earlier and (graded := run.grade_earlier(plan)):
        say(f"{graded} earlier hand-ins were graded too, since the best one counts.")
    try:
        built = run.write_marks(where)
    except ValueError:  # a mistake in by_hand.csv or policy.toml, which the error tells of
        terminal.tell_done(done)
        raise
    terminal.tell_done(done, built.marks)
    terminal.tell_marks(where, built)
    if any(one.result is None for one in done):
        raise typer.Exit(1)


# ------------------------------------------------------------------ classroom …

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def _classroom():
    """Teach a class: hand out, collect, grade, give feedback, export.

    [bold]A term[/bold]

      maml-edu classroom new ~/maml2026    once; then, in that folder:

      maml-edu classroom release 04        what students get is in release/

      maml-edu classroom collect ~/Downloads/all.zip --chapter 04

      maml-edu classroom grade

      maml-edu classroom mark 04           what a person has to read

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

    room = classroom.find(where)
    named = [room.chapter_named(name) for name in chapters or []] or None
    for path in classroom.release(room, named):
        say(f"{path}")


@app.command("exercise")
def exercise(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the function that students write.")
    ],
    chapter: Annotated[
        str, typer.Option(help="A number or a name; or a new name, for a chapter of your own.")
    ],
    points: Annotated[int, typer.Option(min=0, help="What it is worth.")] = 2,
    where: Class = None,
):
    """Begin an exercise of your own: cells in source/, and a check in private/.

    [bold]Examples[/bold]

      maml-edu classroom exercise hessian_by_hand --chapter 04 --points 3

      maml-edu classroom exercise attention --chapter 50_transformers
    """
    from . import classroom, own_exercise

    added = own_exercise.add(classroom.find(where), name, chapter, points)
    say(
        f"{added.id} is at the end of {added.notebook}: write its text, its answer between ### BEGIN SOLUTION"
    )
    say("and ### END SOLUTION (students do not get it), and asserts that they may see.")
    say(
        f"Its check is at the end of {added.checks}: what a right answer has to do, on inputs drawn anew."
    )
    say("Both are tried on each other by release and grade; until you change them, 2x is asked.")


@app.command("collect")
def collect(
    downloads: Annotated[
        list[Path],
        typer.Argument(metavar="DOWNLOAD...", help="What you downloaded: zips or folders."),
    ],
    chapter: Annotated[str, typer.Option(help="Which chapter it is.")],
    system: Annotated[
        str | None,
        typer.Option(help="Where it is from, if names do not tell: moodle, canvas, folder, …"),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="How names are made there: '{number}.ipynb', 'HW4-{login}/{file}'."),
    ] = None,
    roster: Annotated[
        list[Path] | None,
        typer.Option(metavar="LIST", help="The system's list of the class, read first."),
    ] = None,
    where: Class = None,
):
    """Take what was handed in elsewhere into submitted/, as your system gives it out.

    Moodle, Canvas, Blackboard, Brightspace, Gradescope, Sakai, Google Classroom,
    GitHub Classroom, or a folder per student. Who is who is kept in students.csv.
    Earlier hand-ins go to earlier/; what is left out is told, and in left_out.csv.

    [bold]Examples[/bold]

      maml-edu classroom collect ~/Downloads/all.zip --chapter 04

      maml-edu classroom collect ~/Downloads/all.zip --chapter 04 --roster worksheet.csv
    """
    from . import classroom
    from .collect import How, collect

    room = classroom.find(where)
    how = How(system, pattern, roster or ())
    done = collect(room, downloads, room.chapter_named(chapter), how)
    for line in done.lines:
        say(line)


@app.command("roster")
def roster(
    lists: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[LIST]...", help="CSV files of your system, to be read in."),
    ] = None,
    chapter: Annotated[
        str | None,
        typer.Option(help="Who has not handed it in; or whose Moodle worksheet LIST is."),
    ] = None,
    merge: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="KEY OTHER", help="Give all that is KEY's to OTHER: one person."),
    ] = None,
    where: Class = None,
):
    """Show who is who, and who has handed in what; read your system's list of the class.

    Moodle's participants or grading worksheet, the gradebook of Canvas, Blackboard
    or Brightspace, Gradescope's roster, or any CSV with columns such as name, email.

    [bold]Examples[/bold]

      maml-edu classroom roster participants.csv

      maml-edu classroom roster --chapter 04      who has handed in nothing

      maml-edu classroom roster --merge li_wei-2 li_wei
    """
    from . import classroom, hand_ins, terminal
    from .lists import read_lists
    from .people import Roster

    room = classroom.find(where)
    named = room.chapter_named(chapter) if chapter else None
    told = hand_ins.merge(room.root, *merge) if merge else []
    told += read_lists(room.root, lists, named) if lists else []
    for line in told:
        say(printable(line))
    known = Roster.of(room.root)
    if not (room.root / "students.csv").exists():
        known.save(room.root / "students.csv")
    terminal.tell_people(room, known, named)


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
def feedback(
    chapters: Chapters = None,
    system: Annotated[
        str | None, typer.Option("--for", metavar="SYSTEM", help="Also a zip for moodle or canvas.")
    ] = None,
    worksheet: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="FILE", help="Moodle's grading worksheet, which knows its numbers."
        ),
    ] = None,
    where: Class = None,
):
    """Write what students get back: a page and a notebook each, in feedback/STUDENT/CHAPTER/.

    [bold]Examples[/bold]

      maml-edu classroom feedback 04

      maml-edu classroom feedback 04 --for moodle    and exports/feedback_moodle_04_….zip
    """
    from . import exports, give_back

    if system is not None and len(chapters or []) != 1:
        raise ValueError("--for takes one chapter: maml-edu classroom feedback 04 --for moodle.")
    room, built = _built(where, chapters)
    written = give_back.write_feedback(room, built)
    say(f"{len(written)} submissions' feedback is in {room.root / 'feedback'}.")
    if system is not None:
        chapter = built.results[0].chapter
        for line in exports.write_zip(room, built, system, chapter, worksheet):
            say(printable(line))


@app.command("report")
def report(chapters: Chapters = None, where: Class = None):
    """Write what to look at before the next lecture, and the written answers.

    [bold]Example[/bold]

      maml-edu classroom report 04
    """
    from . import give_back

    for path in give_back.write_reports(*_built(where, chapters)):
        say(f"{path}")


@app.command("mark")
def mark(
    chapters: Chapters = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Show no names, in an order that tells none.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the page. [dim]Default: any free one[/dim]")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    where: Class = None,
):
    """Read what waits for a person on a page in your browser, and give points; Ctrl-C ends it.

    Question, rubric, answer, points, comment, next: all by keys (? lists them).
    Every mark is in marks/by_hand.csv at once, which a spreadsheet reads too.
    The page is for this machine alone, at an address that nobody can guess.

    [bold]Examples[/bold]

      maml-edu classroom mark 04

      maml-edu classroom mark --anonymous --port 8899 --no-browser
    """
    from . import classroom, marking

    room = classroom.find(where)
    named = [classroom.chapter_named(name) for name in chapters or []]
    marking.session(room, named, anonymous, port, not no_browser, say)


@app.command("policy")
def policy(
    chapters: Chapters = None,
    template: Annotated[
        bool, typer.Option("--template", help="Write a policy.toml with every rule, commented out.")
    ] = False,
    where: Class = None,
):
    """Say what holds for whom: deadlines, extensions, lateness, dropped questions, bonus.

    All of it is in policy.toml of the class folder; mistakes are named with their line.

    [bold]Examples[/bold]

      maml-edu classroom policy --template    once; then edit policy.toml

      maml-edu classroom policy 04
    """
    from . import classroom, counting, run

    room = classroom.find(where)
    if template:
        say(f"{counting.write_template(room.root)}: take the # away from what you need.")
        return
    for line in run.what_holds(room, [classroom.chapter_named(name) for name in chapters or []]):
        say(printable(line))


def _built(where, chapters):
    """The class folder and its marks; what is wrong with them is told."""
    from . import classroom, give_back

    room = classroom.find(where)
    built = give_back.marks_of(room, [room.chapter_named(name) for name in chapters or []])
    for problem in built.problems:
        say(printable(problem))
    return room, built


@app.command("export")
def export(
    system: Annotated[
        str,
        typer.Argument(
            metavar="SYSTEM", help="csv, canvas, moodle, blackboard, gradescope, nbgrader or lti."
        ),
    ],
    chapter: Annotated[
        str | None, typer.Option(help="Which chapter; csv and nbgrader take all without it.")
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option("--into", metavar="FILE", help="What you exported there, to be filled in."),
    ] = None,
    assignment: Annotated[
        str | None, typer.Option(help="Canvas, Blackboard: the assignment's column, by name.")
    ] = None,
    match: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The one column that names students.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="student=…,grade=…",
            help="Moodle: headings that are not found (student, grade, maximum, comment).",
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Also marks that still wait for a person."),
    ] = False,
    scale: Annotated[
        bool,
        typer.Option("--scale", help="To the maximum that stands there."),
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="csv: a row a student, all chapters, the sums.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="lti: write the scores down, send nothing.")
    ] = False,
    visible: Annotated[
        bool, typer.Option("--visible", help="Gradescope: results at once, not after the due date.")
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

      maml-edu classroom export csv --wide

      maml-edu classroom export canvas --chapter 04 --into grades.csv --assignment "Chapter 04"

      maml-edu classroom export moodle --chapter 04 --into worksheet.csv

      maml-edu classroom export moodle --chapter 04 --into blatt.csv --columns grade=Bewertung

      maml-edu classroom export blackboard --chapter 04 --into gc.xls --assignment "Chapter 04"

      maml-edu classroom export gradescope --chapter 04 --wheel dist/maml_edu-….whl

      maml-edu classroom export lti --chapter 04 --dry-run --into members.json

      maml-edu classroom export nbgrader    into gradebook.db, for formgrader
    """
    from . import classroom, exports

    if system not in exports.SYSTEMS:
        raise ValueError(f"{system!r} is none of {', '.join(exports.SYSTEMS)}.")
    if system in exports.ONE_CHAPTER and chapter is None:
        raise ValueError(f"{system} takes one chapter: --chapter 04.")
    room = classroom.find(where)
    name = room.chapter_named(chapter) if chapter else None
    if system == "gradescope":
        lines = exports.write_autograder(room, str(name), wheel, allow_unsandboxed, visible)
    else:
        room, built = _built(where, [name] if name else None)
        into = exports.Into(
            exported, assignment, match, partial, scale, _headings(columns), wide, dry_run
        )
        lines = exports.write_export(room, built, system, name, into)
    for line in lines:
        say(printable(line))


def _headings(text: str | None) -> dict[str, str]:
    """student=ID,grade=Bewertung as a dict; a comma without = behind it belongs to the heading before."""
    pairs = re.split(r",(?=\w+=)", text) if text else []
    if not all("=" in pair for pair in pairs):
        raise ValueError("--columns is written so: --columns student=ID,grade=Bewertung.")
    return {word.strip(): heading.strip() for word, _, heading in (p.partition("=") for p in pairs)}
