"""Meta-training from a terminal, on one process or many: `python -m maml_edu.train --help`.

Each option is an argument of the library; what happens is `meta_train`. New families of tasks are
registered in `PROBLEMS`. torch is imported when training begins. Start from `main`.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main():
    """Run the command line; a problem that a user can put right becomes one clear message."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, OSError, ValueError, ImportError) as error:
        if os.environ.get("MAML_EDU_DEBUG"):
            raise
        notes = " ".join(getattr(error, "__notes__", []))
        Console(stderr=True).print(
            f"maml_edu.train: {error} {notes}".rstrip(),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        sys.exit(1)


# ------------------------------------------------------------------ what can be trained, and on what


@dataclass(frozen=True)
class Problem:
    """Task families to train, validate and test on, and what a network for them needs."""

    training: Any
    validation: Any
    test: Any
    inputs: int  # numbers that an example has
    outputs: int  # numbers, or classes, that are predicted
    loss: Callable  # of (prediction, target)


def sinusoids(options) -> Problem:
    """Regression of sine waves (Finn et al. 2017, section 5.1)."""
    from torch.nn.functional import mse_loss

    from maml_edu.tasks import Sinusoids

    if options.ways is not None:
        raise ValueError(
            "--ways is for classification: sinusoids is regression and has no classes."
        )
    family = Sinusoids(options.shots, options.queries)
    return Problem(family, family, family, inputs=1, outputs=1, loss=mse_loss)


PROBLEMS: dict[str, Callable[[Any], Problem]] = {"sinusoids": sinusoids}
LEARNERS = {  # name → class of maml_edu.pytorch
    "maml": "MAML",
    "fomaml": "FOMAML",
    "reptile": "Reptile",
    "anil": "ANIL",
    "boil": "BOIL",
    "meta-sgd": "MetaSGD",
    "maml++": "MAMLpp",
    "imaml": "IMAML",
    "fine-tuning": "FineTuning",
}


def make_learner(problem, options):
    """The learner that the options ask for; its first weights depend on the seed alone."""
    import torch

    import maml_edu.pytorch as mt

    torch.manual_seed(options.seed)
    model = mt.MLP(problem.inputs, *options.hidden, problem.outputs).to(
        getattr(torch, options.dtype)
    )
    kind = getattr(mt, chosen("--learner", options.learner, LEARNERS))
    known = inspect.signature(kind).parameters
    given = {} if options.engine == "auto" else {"engine": options.engine}
    if given and not {"engine", "options"} & known.keys():
        raise ValueError(f"{options.learner} has one way of computing: leave out --engine.")
    return kind(model, problem.loss, options.inner_lr, options.inner_steps, **given)


def chosen(option, name, among):
    """among[name]; ValueError that lists what there is."""
    if name not in among:
        raise ValueError(f"{option} must be one of {', '.join(among)}; got {name!r}.")
    return among[name]


# ------------------------------------------------------------------ the run


def run(options) -> int:
    """Train, and on rank 0 report; the exit code."""
    import torch

    import maml_edu.pytorch as mt
    from maml_edu.pytorch.distributed import Distributed, processes

    if options.threads:
        torch.set_num_threads(options.threads)
    problem = chosen("--tasks", options.tasks, PROBLEMS)(options)
    aside = contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext()
    with processes(options.device, options.timeout) as device, aside:
        learner = Distributed(make_learner(problem, options))
        history = mt.meta_train(
            learner, problem.training, device=device, **training(options, problem)
        )
    if learner.team.rank:
        return 130 if history.interrupted else 0
    result = None
    if not history.interrupted:
        steps = options.inner_steps if options.test_steps is None else options.test_steps
        result = mt.evaluate(learner.learner, problem.test, options.episodes, steps)
    if options.json:
        print(json.dumps(as_json(options, learner, history, result), indent=1))
    else:
        print(history, *([result] if result else []), sep="\n")
    return 130 if history.interrupted else 0


def training(options, problem) -> dict[str, Any]:
    """What `meta_train` takes, from the options."""
    same = ("iterations", "meta_batch", "meta_lr", "seed", "checkpoint", "checkpoint_every")
    found = {name: getattr(options, name) for name in (*same, "progress", "optimiser", "keep_best")}
    found |= {"schedule": worded(options.schedule), "clip": worded(options.clip)}
    if options.validate_every:
        found |= {
            "validation": problem.validation,
            "validate_every": options.validate_every,
            "validation_episodes": options.validation_episodes,
        }
    return found


def worded(text):
    """ "10" → 10.0, "cosine:0.01" → ("cosine", 0.01); other words as they are."""
    if text is None:
        return None
    word, colon, number = text.rpartition(":")
    try:
        return (word, float(number)) if colon else float(text)
    except ValueError:
        return text


def as_json(options, learner, history, result) -> dict[str, Any]:
    """Everything that a script may want to know of a run, in plain values."""
    parameters = learner.meta_params.values()
    seconds, done = history.seconds, len(history)
    return {
        "settings": {name: as_text(value) for name, value in vars(options).items()},
        "processes": learner.team.ranks,
        "device": str(next(iter(parameters)).device),
        "parameters": sum(parameter.numel() for parameter in parameters),
        "iterations": done,
        "seconds": seconds,
        "iterations_per_second": done / seconds if seconds else None,
        "interrupted": history.interrupted,
        "loss": float(history.smoothed()[-1]) if done else None,
        "validation": history.validation,
        "evaluation": result
        and {
            "metric": result.metric,
            "episodes": len(result),
            "mean": result.mean.tolist(),
            "ci95": result.ci95.tolist(),
        },
    }


def as_text(value):
    return str(value) if isinstance(value, Path) else value


# ------------------------------------------------------------------ the command line


def sizes(text: str) -> list[int]:
    """ "40,40" → [40, 40]."""
    try:
        found = [int(size) for size in text.split(",") if size.strip()]
    except ValueError:
        found = [0]
    if any(size < 1 for size in found):
        raise typer.BadParameter("give widths ≥ 1 with commas between them, such as 40,40")
    return found


def option(help, *, panel, **more):
    """An option with its help, in its panel."""
    return typer.Option(help=help, rich_help_panel=panel, **more)


TASK, NET, INNER, OUTER, LOOK, RUN = (
    "Tasks", "Network", "Inner loop", "Outer loop", "Validation and test", "Run",
)  # fmt: skip


@app.command()
def train(
    tasks: Annotated[str, option(f"Family: {', '.join(PROBLEMS)}.", panel=TASK)] = "sinusoids",
    shots: Annotated[
        int, option("K, support examples of a task (of each class).", panel=TASK)
    ] = 10,
    queries: Annotated[
        int | None, option("Query examples. [dim]Default: as many as shots[/dim]", panel=TASK)
    ] = None,
    ways: Annotated[int | None, option("N, classes of a task.", panel=TASK)] = None,
    hidden: Annotated[str, option("Widths of the hidden layers of the MLP.", panel=NET)] = "40,40",
    dtype: Annotated[str, option("float32 or float64.", panel=NET)] = "float32",
    learner: Annotated[str, option(f"{', '.join(LEARNERS)}.", panel=INNER)] = "maml",
    inner_lr: Annotated[float, option("α, the rate of the inner steps.", panel=INNER)] = 0.01,
    inner_steps: Annotated[int, option("Inner steps in training.", panel=INNER)] = 1,
    engine: Annotated[str, option("How meta-gradients are computed.", panel=INNER)] = "auto",
    iterations: Annotated[int, option("Outer steps.", panel=OUTER)] = 2000,
    meta_batch: Annotated[
        int, option("Tasks of an outer step, over all processes together.", panel=OUTER)
    ] = 25,
    meta_lr: Annotated[float, option("β, the rate of the outer steps.", panel=OUTER)] = 1e-3,
    optimiser: Annotated[
        str, option("adam, adamw, sgd, momentum, nesterov, rmsprop …", panel=OUTER)
    ] = "adam",
    schedule: Annotated[
        str, option("Of β: constant, cosine (to 0), or cosine:0.01 (to a hundredth).", panel=OUTER)
    ] = "constant",
    clip: Annotated[
        str | None,
        option("Largest norm of the meta-gradient (10), or element (value:10).", panel=OUTER),
    ] = None,
    seed: Annotated[int, option("Of the first weights and the training tasks.", panel=OUTER)] = 0,
    validate_every: Annotated[int, option("Iterations between two; 0: never.", panel=LOOK)] = 1000,
    validation_episodes: Annotated[int, option("Tasks of a validation.", panel=LOOK)] = 200,
    keep_best: Annotated[
        bool, option("Test the parameters that validated best, not the last.", panel=LOOK)
    ] = False,
    episodes: Annotated[int, option("New tasks that are tested on at the end.", panel=LOOK)] = 600,
    test_steps: Annotated[
        int | None, option("Inner steps then. [dim]Default: as in training[/dim]", panel=LOOK)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        option("Folder; the same command goes on where a run stopped.", panel=RUN, metavar="DIR"),
    ] = None,
    checkpoint_every: Annotated[int, option("Iterations between two.", panel=RUN)] = 1000,
    device: Annotated[
        str, option("auto (a GPU, if there is one), cpu, cuda, cuda:1 …", panel=RUN)
    ] = "auto",
    threads: Annotated[
        int | None, option("Threads of torch. [dim]Default: torch decides[/dim]", panel=RUN)
    ] = None,
    timeout: Annotated[
        float, option("Seconds until a process that does not answer is lost.", panel=RUN)
    ] = 300.0,
    progress: Annotated[bool, option("Show a bar.", panel=RUN)] = True,
    json: Annotated[bool, option("Print the results as JSON, nothing else.", panel=RUN)] = False,
):
    """Meta-train a network on few-shot tasks, then test how it adapts to new ones.

    Ctrl-C stops after the current iteration, with a checkpoint if there is a folder for it.

    [bold]Examples[/bold]

      python -m maml_edu.train --iterations 2000

      python -m maml_edu.train --learner reptile --inner-steps 5 --keep-best

    [bold]Two processes of this machine share each meta-batch[/bold]

      torchrun --standalone --nproc-per-node 2 -m maml_edu.train

    [bold]One that dies costs 100 iterations: all start again from the checkpoint[/bold]

      torchrun --standalone --nproc-per-node 2 --max-restarts 3 -m maml_edu.train
      --checkpoint run --checkpoint-every 100

    [bold]Two machines with 8 GPUs each: the same command on both[/bold]

      torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500
      -m maml_edu.train --meta-batch 64 --checkpoint run
    """
    options = SimpleNamespace(**locals())
    options.hidden = sizes(hidden)
    chosen("--dtype", dtype, {"float32": 1, "float64": 1})
    raise typer.Exit(run(options))


if __name__ == "__main__":
    main()
