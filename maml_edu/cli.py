"""The command `maml-edu`: one thin function a command, the work is done elsewhere.

Each command imports what it needs when it runs, so that `maml-edu --help` is quick. What a
user can put right ends as one message and exit code 1, not as a traceback (set MAML_EDU_DEBUG
to see the traceback all the same). Start from `main`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from maml_edu import __version__
from maml_edu.console import as_program, say
from maml_edu.grading import commands as grading
from maml_edu.runs import commands

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Work = Annotated[
    Path | None,
    typer.Option(
        "--work",
        metavar="DIR",
        help="Folder of your own copies. [dim]Default: my_work[/dim]",
    ),
]


def main():
    """Run the command line."""
    as_program(app, "maml-edu")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"maml-edu {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which version."),
    ] = False,
):
    """From gradient descent to MAML: a course in JupyterLab.

    [bold]The first time[/bold]

      maml-edu doctor    is everything in place?

      maml-edu lab       open the course

    [bold]Each command[/bold] explains itself, with examples: maml-edu lab --help
    """


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def lab(
    context: typer.Context,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser window.")
    ] = True,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port to listen on. [dim]Default: 8888, or the next free one[/dim]",
        ),
    ] = None,
    teaching: Annotated[
        bool,
        typer.Option("--teaching", help="Show nbgrader's menus, where nbgrader is installed."),
    ] = False,
    work: Work = None,
):
    """Open the course in JupyterLab, on your own copies of its notebooks.

    Copies that are missing are made; one that is there is never written over. Ctrl-C ends it.
    Options that are not listed here are handed on to JupyterLab.

    [bold]Examples[/bold]

      maml-edu lab

      maml-edu lab --no-browser --port 8899    on a machine without a screen

      maml-edu lab --work ~/maml    keep your copies elsewhere

      maml-edu lab --teaching       for making assignments: with nbgrader's menus
    """
    from maml_edu import lab, places

    folder = _work(work)
    copied = lab.prepare(folder, places.course_root())
    if copied:
        say(f"Copied {len(copied)} notebooks into {folder}.")
    if lab.on_a_hub():
        say(f"On a JupyterHub JupyterLab is open already: your notebooks are in {folder}.")
        return
    say(f"Your notebooks are in {folder}. Ctrl-C ends JupyterLab.")
    raise typer.Exit(lab.launch(folder, port, browser, context.args, teaching))


@app.command()
def fresh(
    name: Annotated[str, typer.Argument(help="For example exercises/04 or notebooks/07.")],
    work: Work = None,
):
    """Start one notebook again from a fresh copy; your old one is set aside, not deleted.

    [bold]Examples[/bold]

      maml-edu fresh exercises/04

      maml-edu fresh notebooks/07_maml_in_numpy
    """
    from maml_edu import lab, places

    copy, aside = lab.fresh(name, _work(work), places.course_root())
    if aside:
        say(f"Your old copy is now {aside}.")
    say(f"A fresh copy is at {copy}. If it is open in JupyterLab, close and open it again.")


@app.command()
def doctor():
    """Look whether everything that the course needs is in place; say what to do where not.

    The exit code is 1 when something needed is missing, 0 otherwise.
    """
    from maml_edu import doctor

    report = doctor.doctor()
    Console().print(doctor.terminal_table(report))
    say("Everything needed is in place." if report.well else "Something needed is not well.")
    raise typer.Exit(0 if report.well else 1)


def _work(option: Path | None) -> Path:
    """The work folder that was asked for, or the usual one."""
    from maml_edu import places

    return option.expanduser().absolute() if option else places.work_folder()


@app.command()
def progress():
    """Show which exercises you have passed, chapter by chapter.

    A pass is remembered when a check in your notebook first says so.
    """
    from rich.table import Table

    from maml_edu.checks import progress

    done = progress()
    table = Table(box=None)
    for heading in ("", "chapter", "exercise", "points", "passed"):
        table.add_column(heading, justify="right" if heading == "points" else "left")
    for row in done.rows:
        sign, date = ("✓", row.passed) if row.passed else ("○", "not yet")
        table.add_row(sign, row.chapter[:2], row.exercise, str(row.points), date)
    Console().print(table)
    say(done.summary())


app.command()(commands.train)
app.command()(commands.evaluate)
app.command()(grading.grade)
app.add_typer(grading.app, name="classroom")

data = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(data, name="data")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of data sets. [dim]Default: MAML_EDU_DATA, or a folder of your own[/dim]",
    ),
]


@data.callback()
def _data():
    """Get data sets, and see which are there.

    [bold]Examples[/bold]

      maml-edu data list

      maml-edu data get omniglot

      maml-edu data get clinc150
    """


@data.command("get")
def data_get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="omniglot or clinc150")],
    resize: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Omniglot: how 105 × 105 pixels become 28 × 28: nearest, as in the published experiments; "
            "area, smoother; or both. [dim]Default: nearest[/dim]",
        ),
    ] = None,
    keep_archives: Annotated[
        bool,
        typer.Option(
            "--keep-archives/--no-keep-archives",
            help="Keep the originals, for another --resize without a network. "
            "Training reads the packed file alone (Omniglot 0.9 MB, CLINC150 0.2 MB).",
        ),
    ] = True,
    data_dir: DataDir = None,
):
    """Download a data set, verify it, pack it. What is there and whole stays as it is.

    Omniglot, handwritten characters, is 15.9 MB to download; CLINC150, requests to an
    assistant, 2.5 MB. Ctrl-C keeps what has arrived, and the same command goes on from there.

    [bold]Examples[/bold]

      maml-edu data get omniglot

      maml-edu data get omniglot --resize both --no-keep-archives    1.8 MB remain

      maml-edu data get omniglot --data-dir /shared/data    for a class

      maml-edu data get clinc150
    """
    from maml_edu.tasks import download

    download.get(name, data_dir, resize, keep_archives, say=say)


@data.command("list")
def data_list(data_dir: DataDir = None):
    """Show which data sets there are: whether each is there and whole, where, and its size.

    [bold]Examples[/bold]

      maml-edu data list

      maml-edu data list --data-dir /shared/data
    """
    from rich.markup import escape
    from rich.table import Table

    from maml_edu.tasks import download

    table = Table(box=None)
    for heading in ("data set", "what it is", "there?", "size", "where"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "where")
    entries = download.known(data_dir)
    for entry in entries:
        table.add_row(entry.name, entry.what, entry.state, entry.size, escape(entry.where))
    Console().print(table)
    for entry in entries:
        if entry.command:
            say(f"To get {entry.name}: {entry.command}")


@app.command()
def build(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHAPTER]...", help="Numbers or names. [dim]Default: all[/dim]"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Build what has not changed, too.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only say what is out of step; exit code 1 then."),
    ] = False,
):
    """Build and execute the notebooks from course/ (for authors, in a clone).

    [bold]Examples[/bold]

      maml-edu build    what has changed

      maml-edu build 04 07 --force

      maml-edu build --check
    """
    from maml_edu import build, places

    if not places.in_clone():
        raise ValueError("Only a clone of the repository can be built: this is an installed copy.")
    if not check:
        build.build(places.course_root(), chapters or None, force=force)
        return
    late = build.out_of_step(places.course_root())
    say("\n".join(late) or "Every notebook is in step with its source.")
    raise typer.Exit(1 if late else 0)


if __name__ == "__main__":
    main()
