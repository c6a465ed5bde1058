"""A run from its settings to its results: start with `train`."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .evaluating import Report, evaluate
from .folder import Folder, free_folder
from .problems import make_learner, make_problem
from .settings import Settings

EARLY = 200  # iterations after which a rising loss is spoken of


@dataclass(frozen=True)
class Outcome:
    """What came of a run: its folder, the history, the report of the test (None: there was none)."""

    folder: Path
    history: Any
    report: Report | None
    processes: int  # that shared the work
    device: str
    parameters: int  # how many numbers were trained


def train(
    settings: Settings,
    out=None,
    *,
    resume: bool = False,
    previous: bool = False,
    device: str = "auto",
    threads: int | None = None,
    timeout: float = 300.0,
    progress: bool = True,
    checkpoint_every: int = 500,
    data_dir=None,
    test: bool = True,
) -> Outcome:
    """Meta-train what the settings say, into a folder; what came of it.

    out: the folder; None: a new one below runs/. resume: go on with the run that is there; previous: from the
    checkpoint before the last, where the last is damaged. test=False, and
    Ctrl-C, leave the report out. Under torchrun all processes share each meta-batch; `timeout` is the
    seconds until one that does not answer is lost, and rank 0 alone writes and tests. Raises ValueError for
    settings that make no sense and for a folder that already holds a run, TrainingDiverged.
    """
    import torch

    import maml_edu.pytorch as mt
    from maml_edu.pytorch.training.distributed import Distributed, processes

    if threads:
        torch.set_num_threads(threads)
    if out is not None and data_dir is None:
        data_dir = Folder(out).data_dir()
    problem = make_problem(settings, data_dir)
    with processes(device, timeout) as device:
        learner = Distributed(make_learner(settings))
        check_test(learner.learner, settings, test)  # before hours of training, not after
        team = learner.team
        fresh, path = team.from_first(lambda: begin(settings, out, resume, previous, data_dir))
        folder = Folder(path)
        try:
            history = mt.meta_train(
                learner,
                problem.training,
                device=device,
                checkpoint=folder.path,
                checkpoint_every=checkpoint_every,
                progress=progress,
                callbacks=callbacks(settings, folder, checkpoint_every),
                **options(settings, problem),
            )
        except ValueError:
            if fresh and not (folder.path / "checkpoint.pt").is_file() and team.rank == 0:
                folder.forget()
            raise
        if team.rank == 0:
            folder.begin(settings, data_dir)  # which may have changed since it was begun
            folder.finish(history, learner.learner)
    found = None
    if test and team.rank == 0 and not history.interrupted:
        found = report(folder, settings, learner.learner, problem, progress)
    parameters = list(learner.meta_params.values())
    return Outcome(
        folder.path,
        history,
        found,
        processes=team.ranks,
        device=str(parameters[0].device),
        parameters=sum(own.numel() for own in parameters),
    )


def check_test(learner, settings: Settings, test: bool):
    """ValueError where the test asks for what cannot be."""
    if test and settings.episodes < 2:
        raise ValueError(f"--episodes must be ≥ 2, for an interval; got {settings.episodes}.")
    if settings.test_steps is not None:
        try:
            learner.check_steps(settings.test_steps)
        except ValueError as error:
            raise ValueError(f"--test-steps: {error}") from None


def begin(settings: Settings, out, resume: bool, previous: bool, data_dir) -> tuple[bool, str]:
    """(whether it is new, folder) of a run, begun unless it goes on. ValueError where there is one already."""
    from maml_edu.pytorch.training.checkpoint import fall_back

    folder = Folder(out or free_folder(settings))
    if not folder.begun():
        folder.begin(settings, data_dir)
        return True, str(folder.path)
    if not resume:
        raise ValueError(
            f"{folder.path} already holds a run: go on with it with --resume, or give another --out."
        )
    settings.refuse_as_continuation_of(folder.settings(), folder.path)
    if previous:
        done = fall_back(folder.path)
        print(f"Going on from a checkpoint of iteration {done}.", file=sys.stderr)
    return False, str(folder.path)


def options(settings: Settings, problem) -> dict[str, Any]:
    """What `meta_train` takes, from the settings."""
    same = ("iterations", "meta_batch", "meta_lr", "seed", "optimiser")
    found = {name: getattr(settings, name) for name in same}
    found |= {"schedule": worded(settings.schedule), "clip": worded(settings.clip)}
    if settings.validate_every:
        found |= {
            "validation": problem.validation,
            "keep_best": True,
            "validate_every": settings.validate_every,
            "validation_episodes": settings.validation_episodes,
        }
    return found


def callbacks(settings: Settings, folder: Folder, checkpoint_every: int):
    """What happens beside training: files are kept, and a loss that rises is spoken of."""
    every = {checkpoint_every, settings.validate_every} - {0}
    return [(EARLY, early_word), *((n, folder.keep) for n in sorted(every))]


def early_word(iteration, history, learner):
    """A callback of `meta_train`: say it when the loss has risen by half since the beginning."""
    first = sum(history.loss[:50]) / 50
    last = sum(history.loss[-50:]) / 50
    before = sum(history.loss[-50 - EARLY : -EARLY]) / 50 if iteration > EARLY else first
    if last > 1.5 * first and before <= 1.5 * first:
        warnings.warn(
            f"the meta-loss has risen from {first:.3g} at the beginning to {last:.3g} at iteration {iteration}: "
            f"training seems to diverge. Ctrl-C stops it; try a smaller --inner-lr or --meta-lr, or --clip 10.",
            stacklevel=2,
        )


def report(folder: Folder, settings: Settings, learner, problem, progress) -> Report:
    """The test of the best parameters, in results.json and results.png."""
    steps = learner.inner_steps if settings.test_steps is None else settings.test_steps
    try:
        found = evaluate(learner, problem.test, settings.episodes, steps, progress=progress)
    except KeyboardInterrupt:
        again = f"maml-edu evaluate {folder.path}"
        print(f"Training is done, and kept; the test was stopped. Again: {again}", file=sys.stderr)
        raise
    folder.write_results("results", found.as_json() | {"settings": settings.as_json()})
    folder.write_picture("results.png", found.plot().figure)
    return found


def worded(text):
    """ "10" → 10.0, "cosine:0.01" → ("cosine", 0.01); other words as they are."""
    if text is None:
        return None
    word, colon, number = str(text).rpartition(":")
    try:
        return (word, float(number)) if colon else float(text)
    except ValueError:
        return text


@contextlib.contextmanager
def quiet(wanted: bool):
    """What is printed meanwhile goes to stderr, if wanted: stdout is then for JSON alone."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def mean_loss(history) -> float | None:
    """The meta-loss at the end, averaged over the last 100 iterations; None before the first."""
    value = float(history.smoothed()[-1]) if len(history) else math.nan
    return value if math.isfinite(value) else None
