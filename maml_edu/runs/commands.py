"""The commands `train` and `evaluate`: each option is a setting or an argument of `maml_edu.runs`.

torch is imported when the work begins, so that help is quick.
"""

from __future__ import annotations

import json as json_module
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from maml_edu.console import say

from .folder import Folder, latest, plain
from .presets import DEFAULTS, PRESETS, find
from .problems import METHODS
from .settings import Settings, relevant, resolve


def option(help, *, panel, default="", **more):
    """An option with its help, in its panel; its value is None where it is not given."""
    if default:
        help = f"{help} [dim]Default: {default}[/dim]"
    return typer.Option(help=help, rich_help_panel=panel, **more)


TASK, NET, INNER, OUTER, LOOK, RUN = (
    "Tasks", "Network", "Inner loop", "Outer loop", "Validation and test", "Run",
)  # fmt: skip
DataDir = Annotated[
    Path | None,
    option(
        "Folder of the data sets.", panel=TASK, default="MAML_EDU_DATA, or where maml-edu data get puts them",
        metavar="DIR",
    ),
]  # fmt: skip


def train(
    tasks: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASKS]", help=f"{', '.join(DEFAULTS)}. [dim]Default: sinusoids[/dim]"
        ),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            f"Published settings: {', '.join(PRESETS)}. Options given beside it win.", panel=TASK
        ),
    ] = None,
    ways: Annotated[int | None, option("N, classes of a task.", panel=TASK, default="5")] = None,
    shots: Annotated[
        int | None,
        option(
            "K, support examples of a task (of each class).", panel=TASK, default="1, sinusoids: 10"
        ),
    ] = None,
    queries: Annotated[
        int | None,
        option(
            "Query examples (of each class) in training.",
            panel=TASK,
            default="5, sinusoids: as many as shots",
        ),
    ] = None,
    test_queries: Annotated[
        int | None, option("The same in validation and test.", panel=TASK, default="as in training")
    ] = None,
    rotations: Annotated[
        bool | None,
        option(
            "Each character turned by 90, 180, 270 degrees is another.",
            panel=TASK,
            default="omniglot: yes, glyphs: no",
        ),
    ] = None,
    resize: Annotated[
        str | None,
        option("Omniglot's pixels: nearest (as published) or area.", panel=TASK, default="nearest"),
    ] = None,
    alphabets: Annotated[
        int | None, option("Glyphs: how many are invented for training.", panel=TASK, default="100")
    ] = None,
    data_dir: DataDir = None,
    net: Annotated[
        str | None, option("mlp or conv4.", panel=NET, default="conv4, sinusoids: mlp")
    ] = None,
    hidden: Annotated[
        str | None, option("Widths of the hidden layers of the mlp.", panel=NET, default="40,40")
    ] = None,
    init: Annotated[
        float | None,
        option("Standard deviation of its first weights.", panel=NET, default="torch's own way"),
    ] = None,
    filters: Annotated[
        int | None, option("Of each layer of conv4.", panel=NET, default="64")
    ] = None,
    pool: Annotated[
        str | None, option("conv4 halves by stride or max.", panel=NET, default="stride")
    ] = None,
    dtype: Annotated[
        str | None, option("float32 or float64.", panel=NET, default="float32")
    ] = None,
    method: Annotated[
        str | None, option(f"{', '.join(METHODS)} (sinusoids alone).", panel=INNER, default="maml")
    ] = None,
    inner_lr: Annotated[
        float | None,
        option(
            "α, the rate of the inner steps, for a loss that is a mean over examples. (The code of "
            "Finn et al. sums over ways: its 0.4 at 5 ways is 2.0 here.)",
            panel=INNER,
            default="2.0 (fomaml, reptile, meta-sgd, maml++, imaml: 0.4), sinusoids: 0.01",
        ),
    ] = None,
    inner_steps: Annotated[
        int | None,
        option(
            "Inner steps in training.",
            panel=INNER,
            default="1, on images maml++ 3, reptile and imaml 5",
        ),
    ] = None,
    engine: Annotated[
        str | None, option("How meta-gradients are computed.", panel=INNER, default="auto")
    ] = None,
    precision: Annotated[
        str | None, option("float32, tf32 or bf16.", panel=INNER, default="float32")
    ] = None,
    iterations: Annotated[
        int | None, option("Outer steps.", panel=OUTER, default="6000, sinusoids: 2000")
    ] = None,
    meta_batch: Annotated[
        int | None,
        option(
            "Tasks of an outer step, over all processes together.",
            panel=OUTER,
            default="16, sinusoids: 25",
        ),
    ] = None,
    meta_lr: Annotated[
        float | None,
        option("β, the rate of the outer steps.", panel=OUTER, default="0.002, sinusoids: 0.001"),
    ] = None,
    optimiser: Annotated[
        str | None,
        option("adam, adamw, sgd, momentum, nesterov, rmsprop …", panel=OUTER, default="adam"),
    ] = None,
    schedule: Annotated[
        str | None,
        option(
            "Of β: constant, cosine (to 0), or cosine:0.01 (to a hundredth).",
            panel=OUTER,
            default="cosine:0.01, sinusoids: constant",
        ),
    ] = None,
    clip: Annotated[
        str | None,
        option("Largest norm of the meta-gradient (10), or element (value:10).", panel=OUTER),
    ] = None,
    seed: Annotated[
        int | None, option("Of the first weights and the training tasks.", panel=OUTER, default="0")
    ] = None,
    validate_every: Annotated[
        int | None,
        option("Iterations between two; 0: never.", panel=LOOK, default="500, sinusoids: 1000"),
    ] = None,
    validation_episodes: Annotated[
        int | None, option("Tasks of a validation.", panel=LOOK, default="300, sinusoids: 200")
    ] = None,
    episodes: Annotated[
        int | None, option("New tasks that are tested on at the end.", panel=LOOK, default="600")
    ] = None,
    test_steps: Annotated[
        int | None, option("Inner steps then.", panel=LOOK, default="3, sinusoids: as in training")
    ] = None,
    test: Annotated[bool, option("Test at the end.", panel=LOOK)] = True,
    out: Annotated[
        Path | None,
        option("Folder of the run.", panel=RUN, metavar="DIR", default="a new one in runs/"),
    ] = None,
    resume: Annotated[
        bool,
        option(
            "Go on with the run in --out (else the latest in runs/), with its own settings.",
            panel=RUN,
        ),
    ] = False,
    previous: Annotated[
        bool,
        option(
            "With --resume: from the checkpoint before the last, where that is damaged.", panel=RUN
        ),
    ] = False,
    checkpoint_every: Annotated[int, option("Iterations between two.", panel=RUN)] = 500,
    device: Annotated[
        str, option("auto (a GPU, if there is one), cpu, cuda, cuda:1 …", panel=RUN)
    ] = "auto",
    threads: Annotated[
        int | None, option("Threads of torch.", panel=RUN, default="torch decides", min=1)
    ] = None,
    timeout: Annotated[
        float, option("Seconds until a process that does not answer is lost.", panel=RUN)
    ] = 300.0,
    progress: Annotated[bool, option("Show a bar.", panel=RUN)] = True,
    json: Annotated[bool, option("Print the results as JSON, nothing else.", panel=RUN)] = False,
):
    """Meta-train a network on few-shot tasks, then test how it adapts to new ones.

    All goes into a folder: settings, history, curves, parameters, checkpoints. Ctrl-C stops after the current
    iteration; --resume goes on from there, to the same numbers as if nothing had been.

    [bold]Examples[/bold]

      maml-edu train sinusoids    half a minute: sine waves, as in the paper

      maml-edu train omniglot --ways 5 --shots 1    some minutes on a laptop

      maml-edu train omniglot --ways 20 --shots 1 --preset finn2017    the published settings, for a GPU

      maml-edu train glyphs --method anil --iterations 2000    invented alphabets, no download

      maml-edu train --resume    go on with the latest run

    [bold]Two processes of this machine share each meta-batch; one that dies costs 100 iterations[/bold]

      torchrun --standalone --nproc-per-node 2 --max-restarts 3 -m maml_edu.train
      --out run --resume --checkpoint-every 100

    [bold]Two machines with 8 GPUs each: the same command on both[/bold]

      torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500
      -m maml_edu.train --meta-batch 64 --out run
    """
    values = dict(locals())
    arguments = {name: values.pop(name) for name in ARGUMENTS}
    values = {name: value for name, value in values.items() if name not in ALSO}
    settings, out = settings_for(values, out, resume, previous)
    going_on = {"resume": resume, "previous": previous}
    raise typer.Exit(run(settings, out, preset, json, **going_on, **arguments))


ARGUMENTS = ("data_dir", "checkpoint_every", "device", "threads", "timeout", "progress", "test")
ALSO = ("out", "resume", "previous", "json")  # neither settings nor handed on as they are


def settings_for(values, out, resume, previous) -> tuple[Settings, Path | None]:
    """The settings and the folder of the run that the options ask for, which may be one that was begun."""
    tasks, preset = values.pop("tasks"), values.pop("preset")
    given = {name: value for name, value in values.items() if value is not None}
    if "hidden" in given:
        given["hidden"] = sizes(given["hidden"])
    if previous and not resume:
        raise ValueError("--previous goes with --resume.")
    if resume:
        out = out or latest()
        if Folder(out).begun():
            return resumed(Folder(out), tasks, preset, given), out
        if previous:
            raise ValueError(f"{out} holds no run to go on with.")
    return resolve(tasks or "sinusoids", preset, **given), out


def resumed(folder: Folder, tasks, preset, given) -> Settings:
    """The settings of a run that was begun; ValueError where the options contradict them."""
    known = folder.settings()
    asked = given | ({"tasks": tasks} if tasks else {})
    if preset is not None:
        asked = find(preset)(known.tasks, known.ways, known.shots) | asked
    asked = {name: value for name, value in asked.items() if value != getattr(known, name)}
    settings = known.changed(**asked) if asked else known
    settings.refuse_as_continuation_of(known, folder.path)
    return settings


def run(settings: Settings, out, preset, json, **arguments) -> int:
    """Say what is going to be done, do it, say how it went; the exit code."""
    import os

    from . import training

    first = os.environ.get("RANK", "0") == "0"
    if first:
        announce(settings, preset, Console(stderr=json))
    with training.quiet(json):
        outcome = training.train(settings, out, **arguments)
    interrupted = outcome.history.interrupted
    if first and json:
        print(json_module.dumps(plain(as_json(settings, outcome)), indent=1))
    elif first:
        say(f"{outcome.history}\nIn {outcome.folder}: settings, history, curves, parameters.")
        if outcome.report is not None:
            Console().print(outcome.report.table())
        if interrupted:
            say(f"Go on with: maml-edu train --resume --out {outcome.folder}")
    return 130 if interrupted else 0


def announce(settings: Settings, preset, console: Console):
    """All settings, and where each comes from, before the run."""
    table = Table(box=None, title=f"Meta-training on {settings.tasks}", title_justify="left")
    for heading in ("setting", "value", "from"):
        table.add_column(heading)
    shown = settings.as_json()
    origin = shown.pop("origin")
    for name, value in shown.items():
        if value is not None and relevant(name, settings):
            table.add_row(name, str(value), origin.get(name, "default"))
    console.print(table)
    if preset is not None:
        known = PRESETS[preset]
        console.print(f"{known.name}: {known.source}. {known.note}", highlight=False)


def as_json(settings: Settings, outcome) -> dict[str, Any]:
    """Everything that a script may want to know of a run, in plain values."""
    from .training import mean_loss

    history, report = outcome.history, outcome.report
    done, seconds = len(history), history.seconds
    return {
        "settings": settings.as_json(),
        "folder": str(outcome.folder),
        "processes": outcome.processes,
        "device": outcome.device,
        "parameters": outcome.parameters,
        "iterations": done,
        "seconds": seconds,
        "iterations_per_second": done / seconds if seconds else None,
        "interrupted": history.interrupted,
        "loss": mean_loss(history),
        "validation": history.validation,
        "evaluation": report and report.as_json(),
    }


def sizes(text: str) -> tuple[int, ...]:
    """ "40,40" → (40, 40)."""
    try:
        found = tuple(int(size) for size in text.split(",") if size.strip())
    except ValueError:
        found = (0,)
    if any(size < 1 for size in found):
        raise typer.BadParameter("give widths ≥ 1 with commas between them, such as 40,40")
    return found


# ------------------------------------------------------------------ evaluate


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    episodes: Annotated[int, typer.Option(help="New tasks to adapt to.")] = 600,
    steps: Annotated[
        str | None,
        typer.Option(
            help="Inner steps to show: 10, 0:10, or 0,1,5,10. [dim]Default: as the run's test[/dim]"
        ),
    ] = None,
    which: Annotated[str, typer.Option(help="Parameters: best (of validation) or last.")] = "best",
    tasks: Annotated[
        str | None,
        typer.Option(help=f"Other tasks than it was trained on: {', '.join(DEFAULTS)}."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test; omniglot: background and evaluation, too. [dim]Default: test[/dim]"
        ),
    ] = None,
    ways: Annotated[int | None, typer.Option(help="N: protonet alone can have another.")] = None,
    shots: Annotated[int | None, typer.Option(help="K. [dim]Default: as in training[/dim]")] = None,
    queries: Annotated[
        int | None,
        typer.Option(help="Queries of each class. [dim]Default: as the run's test[/dim]"),
    ] = None,
    rotations: Annotated[bool | None, typer.Option(help="As for train.")] = None,
    seed: Annotated[int, typer.Option(help="Of the tasks.", min=0)] = 1,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the data sets.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    name: Annotated[
        str, typer.Option(help="Of the files in the folder: NAME.json and NAME.png.")
    ] = "evaluation",
    progress: Annotated[bool, typer.Option(help="Show a bar.")] = True,
    json: Annotated[bool, typer.Option(help="Print JSON, nothing else.")] = False,
):
    """Adapt a trained network to new tasks: accuracy or loss after each number of inner steps.

    With batch norm in the network there are two answers, and both are given. [bold]transductive[/bold]: all queries
    of a task go through the network at once, as in the papers, so that each gains from the others. [bold]one
    query at a time[/bold]: each goes through beside the support set alone.

    [bold]Examples[/bold]

      maml-edu evaluate runs/omniglot-5way-1shot-maml --episodes 600 --steps 0:10

      maml-edu evaluate runs/glyphs-5way-1shot-maml --tasks omniglot --split evaluation
      trained on invented alphabets, tested on the twenty real ones
    """
    from . import evaluating
    from .folder import load
    from .training import quiet

    check_name(name)
    run = Folder(folder)
    with quiet(json):
        learner, settings = load(folder, which)
        learner.to(device_named(device))
        changes = {"ways": ways, "shots": shots, "test_queries": queries, "rotations": rotations}
        family = family_for(settings, tasks, split, changes, data_dir or run.data_dir())
        shown = numbers(steps) if steps else settings.test_steps
        found = evaluating.evaluate(learner, family, episodes, shown, seed=seed, progress=progress)
    if json:
        print(json_module.dumps(plain(found.as_json()), indent=1))
    else:
        Console().print(found.table())
    try:
        run.write_results(
            name, found.as_json() | {"run": folder.name, "which": which, "seed": seed}
        )
        run.write_picture(f"{name}.png", found.plot().figure)
    except OSError as error:
        say(f"Not kept: {folder} cannot be written ({error}).", Console(stderr=True))
        return
    if not json:
        say(f"In {folder}: {name}.json, {name}.png.")


def check_name(name):
    """ValueError for a name of files that are the run's own, or that lie elsewhere."""
    own = ("config", "environment", "history", "curves", "results")
    if name in own or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"--name must be letters, digits, - and _, and none of {', '.join(own)}, which are files of the "
            f"run itself; got {name!r}."
        )


def device_named(device):
    from maml_edu.pytorch.arguments import find_device

    return find_device(device)


def family_for(settings: Settings, tasks, split, changes, data_dir):
    """The tasks to test on: the run's own, or others that fit its network."""
    from .problems import images_of, make_problem

    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("ways", settings.ways) != settings.ways and settings.method != "protonet":
        raise ValueError(
            f"the network of this run has an output for each of its {settings.ways} ways: leave --ways out."
        )
    if tasks is not None and tasks != settings.tasks:
        if "sinusoids" in (tasks, settings.tasks):
            raise ValueError(
                f"the network of this run was made for {settings.tasks}, and does not fit {tasks}."
            )
        others = DEFAULTS.get(tasks)
        if others is None:
            raise ValueError(f"--tasks must be one of {', '.join(DEFAULTS)}; got {tasks!r}.")
        changes = {"tasks": tasks, "rotations": others["rotations"]} | changes
    settings = settings.changed(**changes)
    if settings.ways is None:
        if split not in (None, "test"):
            raise ValueError("sinusoids have no splits: leave --split out.")
        return make_problem(settings).test
    return images_of(settings, split or "test", data_dir)


def numbers(text: str) -> tuple[int, ...]:
    """ "10" → 0 … 10; "0:10" the same; "1,5,10" → (1, 5, 10)."""
    try:
        if "," in text:
            found = tuple(int(part) for part in text.split(","))
        else:
            first, _, last = text.rpartition(":")
            found = tuple(range(int(first or 0), int(last) + 1))
    except ValueError:
        found = ()
    if not found or min(found) < 0:
        raise typer.BadParameter("give inner steps such as 10, 0:10 or 0,1,5,10")
    return found
