"""The commands `train` and `evaluate`: each option is a setting, or an argument of `maml_edu.runs`.

torch is imported when the work begins, so that help is quick.
"""

from __future__ import annotations

import contextlib
import json as json_module
import math
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from maml_edu.console import say

from . import experiment
from . import report as reports
from .families import FAMILIES, family_of
from .folder import Folder, latest, load, plain
from .options import inner_steps, option, with_settings
from .presets import DEFAULTS, PRESETS, find
from .problems import beside, make_learner, tasks_of
from .settings import LOOK, TASKS, Settings, relevant, resolve

_RUN = "Run"  # the last panel of the help
_FILES_OF_A_RUN = ("config", "environment", "history", "curves", "results")


@with_settings
def train(
    *,
    preset: Annotated[
        str | None,
        option(
            f"Published settings: {', '.join(PRESETS)}. Options given with it win.", panel=TASKS
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        option(
            "Folder of the data sets.", panel=TASKS, metavar="DIR",
            default="MAML_EDU_DATA, or where maml-edu data get puts them",
        ),
    ] = None,
    test: Annotated[bool, option("Test at the end.", panel=LOOK)] = True,
    out: Annotated[
        Path | None,
        option("Folder of the run.", panel=_RUN, metavar="DIR", default="a new one in runs/"),
    ] = None,
    resume: Annotated[
        bool,
        option(
            "Go on with the run in --out (else the latest in runs/), with its own settings.",
            panel=_RUN, show_default=False,
        ),
    ] = False,
    previous: Annotated[
        bool,
        option(
            "With --resume: from the checkpoint before the last, if the last is damaged.",
            panel=_RUN, show_default=False,
        ),
    ] = False,
    checkpoint_every: Annotated[
        int, option("Iterations from one checkpoint to the next.", panel=_RUN)
    ] = 500,
    device: Annotated[
        str, option("auto (a GPU, if there is one), cpu, cuda, cuda:1 …", panel=_RUN)
    ] = "auto",
    threads: Annotated[
        int | None, option("Threads of torch.", panel=_RUN, default="torch decides", min=1)
    ] = None,
    timeout: Annotated[
        float, option("Seconds until a process that does not answer is lost.", panel=_RUN)
    ] = 300.0,
    progress: Annotated[bool, option("Show a bar.", panel=_RUN)] = True,
    json: Annotated[
        bool, option("Print the results as JSON, nothing else.", panel=_RUN, show_default=False)
    ] = False,
    **values,
):  # fmt: skip
    """Meta-train a network on few-shot tasks, then test how it adapts to new ones.

    [bold]sinusoids[/bold]: regression. [bold]omniglot[/bold], [bold]glyphs[/bold]: handwritten and
    invented characters. [bold]intents[/bold]: sentences by what people want, of domains that training
    has not seen. [bold]navigation[/bold]: a policy that walks to a hidden goal, by policy gradient.

    Everything goes into a folder: settings, history, curves, parameters, checkpoints.
    Ctrl-C stops after the current iteration; --resume goes on from there, to the same
    numbers as if nothing had happened.

    [bold]Examples[/bold]

      maml-edu train sinusoids    half a minute: sine waves, as in the paper

      maml-edu train omniglot --ways 5 --shots 1    some minutes on a laptop

      maml-edu train omniglot --ways 20 --shots 1 --preset finn2017    the published settings, for a GPU

      maml-edu train glyphs --method anil --iterations 2000    invented alphabets, no download

      maml-edu train intents --shots 5    half a minute; the nearest centroid is told beside the result

      maml-edu train intents --source clinc150    the sentences that others test on

      maml-edu train navigation    a minute: returns after 0 to 3 steps of policy gradient

      maml-edu train navigation --method fine-tuning    the same policy trained without inner steps

      maml-edu train --resume    go on with the latest run

    [bold]Two processes of this machine share each meta-batch; one that dies costs 100 iterations[/bold]

      torchrun --standalone --nproc-per-node 2 --max-restarts 3 -m maml_edu.train
      --out run --resume --checkpoint-every 100

    [bold]Two machines with 8 GPUs each: the same command on both[/bold]

      torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500
      -m maml_edu.train --meta-batch 64 --out run
    """
    settings, out = _settings_and_folder(values, preset, out, resume, previous)
    how = {
        "data_dir": data_dir, "test": test, "resume": resume, "previous": previous, "device": device,
        "threads": threads, "timeout": timeout, "progress": progress, "checkpoint_every": checkpoint_every,
    }  # fmt: skip
    raise typer.Exit(_train(settings, out, preset, json, how))


def _settings_and_folder(values, preset, out, resume, previous) -> tuple[Settings, Path | None]:
    """The settings and the folder of the run that the options ask for, which may have been begun before."""
    values = {name: value for name, value in values.items() if value is not None}
    if previous and not resume:
        raise ValueError("--previous goes with --resume.")
    if resume:
        out = out or latest()
        if Folder(out).begun():
            return _settings_to_resume(Folder(out), preset, values), out
        if previous:
            raise ValueError(f"{out} holds no run to go on with.")
    return resolve(preset=preset, **values), out


def _settings_to_resume(folder: Folder, preset, values) -> Settings:
    """The settings of a run that was begun; ValueError if the options contradict them."""
    begun = folder.settings()
    if preset is not None:
        values = find(preset)(begun.tasks, begun.ways, begun.shots) | values
    changes = {name: value for name, value in values.items() if value != getattr(begun, name)}
    settings = begun.changed(**changes) if changes else begun
    settings.refuse_as_continuation_of(begun, folder.path)
    return settings


def _train(settings: Settings, out, preset, json, how) -> int:
    """Announce the run, train and test, print how it went; the exit code."""
    prints = os.environ.get("RANK", "0") == "0"  # under torchrun the first process alone
    if prints:
        _announce(settings, preset, Console(stderr=json))
    with _stdout_for_json(json):
        outcome = experiment.run(settings, out, **how)
    if prints and json:
        print(json_module.dumps(plain(_as_json(settings, outcome)), indent=1))
    elif prints:
        _print_outcome(outcome)
    return 130 if outcome.history.interrupted else 0


def _announce(settings: Settings, preset, console: Console):
    """Print all settings and where each comes from, before the run."""
    table = Table(box=None, title=f"Meta-training on {settings.tasks}", title_justify="left")
    for heading in ("setting", "value", "from"):
        table.add_column(heading)
    values = settings.as_json()
    origin = values.pop("origin")
    for name, value in values.items():
        if value is not None and relevant(name, settings):
            table.add_row(name, str(value), origin.get(name, "default"))
    console.print(table)
    if preset is not None:
        recipe = find(preset)
        console.print(
            f"{recipe.name}: {recipe.source}. {recipe.note_on(settings.tasks)}", highlight=False
        )


def _print_outcome(outcome):
    """Print how the training went, the table of the test, and how to go on after Ctrl-C."""
    say(f"{outcome.history}\nIn {outcome.folder}: settings, history, curves, parameters.")
    if outcome.report is not None:
        Console().print(outcome.report.table())
    if outcome.history.interrupted:
        say(f"Go on with: maml-edu train --resume --out {outcome.folder}")


def _as_json(settings: Settings, outcome) -> dict[str, Any]:
    """Everything that a script may want to know about a run, in plain values."""
    history, report = outcome.history, outcome.report
    iterations, seconds = len(history), history.seconds
    loss = float(history.smoothed()[-1]) if iterations else math.nan  # of the last 100 iterations
    return {
        "settings": settings.as_json(),
        "folder": str(outcome.folder),
        "processes": outcome.processes,
        "device": outcome.device,
        "parameters": outcome.parameters,
        "iterations": iterations,
        "seconds": seconds,
        "iterations_per_second": iterations / seconds if seconds else None,
        "interrupted": history.interrupted,
        "loss": loss,
        "validation": history.validation,
        "evaluation": report and report.as_json(),
    }


@contextlib.contextmanager
def _stdout_for_json(json: bool):
    """What is printed meanwhile goes to stderr, if JSON is to be printed alone."""
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        yield


# ------------------------------------------------------------------ evaluate


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    episodes: Annotated[int, option("New tasks to adapt to.")] = 600,
    steps: Annotated[
        str | None,
        option("Inner steps to show: 10, 0:10, or 0,1,5,10.", default="as in the run's test"),
    ] = None,
    which: Annotated[str, option("Parameters: best (of validation) or last.")] = "best",
    tasks: Annotated[
        str | None,
        option(f"Other tasks than it was trained on: {', '.join(DEFAULTS)}."),
    ] = None,
    split: Annotated[
        str | None,
        option(
            "train, val, test; omniglot: background and evaluation, too. Not of sinusoids and navigation.",
            default="test",
        ),
    ] = None,
    ways: Annotated[int | None, option("N: only protonet can have another.")] = None,
    shots: Annotated[int | None, option("K.", default="as in training")] = None,
    queries: Annotated[
        int | None, option("Queries of each class.", default="as in the run's test")
    ] = None,
    rotations: Annotated[bool | None, option("As for train.")] = None,
    source: Annotated[str | None, option("Intents: other sentences, as for train.")] = None,
    inner_lr: Annotated[
        float | None, option("Navigation: rate of the first step.", default="as in the run")
    ] = None,
    later_lr: Annotated[
        float | None, option("Navigation: rate of the steps after it.", default="as in the run")
    ] = None,
    seed: Annotated[int, option("Of the tasks.", min=0)] = 1,
    data_dir: Annotated[Path | None, option("Folder of the data sets.", metavar="DIR")] = None,
    device: Annotated[str, option("auto, cpu, cuda …")] = "auto",
    name: Annotated[
        str, option("Of the files in the folder: NAME.json and NAME.png.")
    ] = "evaluation",
    progress: Annotated[bool, option("Show a bar.")] = True,
    json: Annotated[bool, option("Print JSON, nothing else.", show_default=False)] = False,
):
    """Adapt a trained network to new tasks: accuracy, loss or return after each number of inner steps.

    With batch norm in the network there are two answers, and both are given.
    [bold]transductive[/bold]: all queries of a task go through the network at once, as in the
    papers, so that each gains from the others. [bold]one query at a time[/bold]: each goes
    through together with the support set alone.

    [bold]Examples[/bold]

      maml-edu evaluate runs/omniglot-5way-1shot-maml --episodes 600 --steps 0:10

      maml-edu evaluate runs/glyphs-5way-1shot-maml --tasks omniglot --split evaluation
      trained on invented alphabets, tested on the twenty real ones

      maml-edu evaluate runs/intents-5way-1shot-maml --source clinc150

      maml-edu evaluate runs/navigation-20trajectories-maml --inner-lr 0.5 --later-lr 0.25 --episodes 100
    """
    _check_name(name)
    run = Folder(folder)
    changes = {
        "tasks": tasks,
        "ways": ways,
        "shots": shots,
        "test_queries": queries,
        "rotations": rotations,
        "source": source,
        "inner_lr": inner_lr,
        "later_lr": later_lr,
    }
    with _stdout_for_json(json):
        learner, settings = load(folder, which)
        settings = _changed(settings, changes)
        if (
            inner_lr is not None or later_lr is not None
        ):  # of a policy, whose network they do not touch
            learner = make_learner(settings)
            run.take_parameters(learner, which)
        learner.to(_device(device))
        family = _family(settings, split, data_dir or run.data_dir())
        shown = inner_steps(steps) if steps else settings.test_steps
        without_training, notes = beside(settings, family)
        how = {"seed": seed, "progress": progress, "beside": without_training, "notes": notes}
        report = reports.evaluate(learner, family, episodes, shown, **how)
    if json:
        print(json_module.dumps(plain(report.as_json()), indent=1))
    else:
        Console().print(report.table())
    written = _write(run, name, report, {"run": folder.name, "which": which, "seed": seed})
    if written and not json:
        say(f"In {folder}: {name}.json, {name}.png.")


def _check_name(name):
    """ValueError for a name of files that are the run's own, or that lie elsewhere."""
    if name in _FILES_OF_A_RUN or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"--name must be letters, digits, - and _, and none of {', '.join(_FILES_OF_A_RUN)}, which are "
            f"files of the run itself; got {name!r}."
        )


def _device(name):
    from maml_edu.pytorch.arguments import find_device

    return find_device(name)


def _changed(settings: Settings, changes) -> Settings:
    """The settings of a run for other tasks that fit its network. ValueError for what does not fit."""
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("tasks", settings.tasks) != settings.tasks:
        changes = _other_tasks(settings, changes["tasks"]) | changes
    changed = settings.changed(**changes)
    for name in changes:
        if not relevant(name, changed) or (name == "inner_lr" and changed.tasks != "navigation"):
            option = "queries" if name == "test_queries" else name.replace("_", "-")
            raise ValueError(
                f"--{option} means nothing in a test on {changed.tasks}: leave it out."
            )
    if changed.ways != settings.ways and settings.method != "protonet":
        raise ValueError(
            f"the network of this run has an output for each of its {settings.ways} ways: leave --ways out."
        )
    return changed


def _family(settings: Settings, split, data_dir):
    """The tasks of a split to test on. ValueError if there are no splits."""
    if split not in (None, "test") and not family_of(settings.tasks).has_splits:
        raise ValueError(f"{settings.tasks} has no splits: leave --split out.")
    return tasks_of(settings, split or "test", data_dir)


def _other_tasks(settings: Settings, tasks) -> dict[str, Any]:
    """What changes with the tasks. ValueError if the network does not fit them."""
    if tasks not in FAMILIES:
        raise ValueError(f"--tasks must be one of {', '.join(FAMILIES)}; got {tasks!r}.")
    takes, inputs = family_of(settings.tasks).inputs, family_of(tasks).inputs
    if takes != inputs:
        raise ValueError(
            f"the network of this run takes {takes}, and does not fit {tasks} ({inputs})."
        )
    return {"rotations": DEFAULTS[tasks]["rotations"]}


def _write(run: Folder, name, report, about) -> bool:
    """Write NAME.json and NAME.png into the folder of a run; were they written?"""
    try:
        run.write_results(name, report.as_json() | about)
        run.write_picture(f"{name}.png", report.plot().figure)
    except OSError as error:
        say(f"Not saved: {run.path} cannot be written ({error}).", Console(stderr=True))
        return False
    return True
