"""A whole experiment, from its settings to its results: start with `run`."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .folder import Folder, free_folder
from .problems import Problem, make_learner, make_problem
from .report import Report, evaluate
from .settings import Settings

_EARLY = 200  # iterations after which a rising loss is reported


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    folder: where its files are.
    history: the `mt.History` of its training.
    report: the test; None if there was none.
    processes: how many shared the work.
    device: where the parameters are, such as "cpu" or "cuda:0".
    parameters: how many numbers were trained.
    """

    folder: Path
    history: Any
    report: Report | None
    processes: int
    device: str
    parameters: int


def run(
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
    """Meta-train what the settings say, in a folder of its own, then test it.

    out: the folder; None means a new one in runs/.
    resume: continue the run in the folder, if there is one.
    previous: continue it from the checkpoint before the last, for when the last is damaged.
    device: "auto" (a GPU, if there is one), "cpu", "cuda", "cuda:1" …
    threads: of torch; None leaves the choice to torch.
    timeout: seconds after which a process that does not answer counts as lost.
    progress: show a bar.
    checkpoint_every: iterations between two checkpoints.
    data_dir: the folder of the data sets; None means the one that the run was begun with, or the usual one.
    test: evaluate the best parameters at the end. Ctrl-C during training leaves the test out, too.

    Under torchrun all processes share each meta-batch; rank 0 alone writes files and tests.

    Raises ValueError for settings that make no sense and for a folder that already holds a run,
    TrainingDiverged when training does.
    """
    import torch

    from maml_edu.pytorch.training.distributed import Distributed, processes

    if threads:
        torch.set_num_threads(threads)
    if out is not None and data_dir is None:
        data_dir = Folder(out).data_dir()
    problem = make_problem(settings, data_dir)
    with processes(device, timeout) as device:
        learner = Distributed(make_learner(settings))
        _check_test(learner.learner, settings, test)  # before hours of training, not after
        team = learner.team
        is_new, path = team.from_first(lambda: _begin(settings, out, resume, previous, data_dir))
        folder = Folder(path)
        how = {"device": device, "checkpoint_every": checkpoint_every, "progress": progress}
        try:
            history = _train(learner, problem, settings, folder, **how)
        except ValueError:
            if is_new and team.rank == 0 and not folder.has_checkpoint():
                folder.forget()
            raise
        if team.rank == 0:
            folder.begin(settings, data_dir)  # either may have changed since the run was begun
            folder.finish(history, learner.learner)
    report = None
    if test and team.rank == 0 and not history.interrupted:
        report = _test(folder, settings, learner.learner, problem, progress)
    trained = list(learner.meta_params.values())
    return Outcome(
        folder.path,
        history,
        report,
        processes=team.ranks,
        device=str(trained[0].device),
        parameters=sum(tensor.numel() for tensor in trained),
    )


def _check_test(learner, settings: Settings, test: bool):
    """ValueError if the test that the settings ask for is impossible."""
    if test and settings.episodes < 2:
        raise ValueError(f"--episodes must be ≥ 2, for an interval; got {settings.episodes}.")
    if settings.test_steps is not None:
        try:
            learner.check_steps(settings.test_steps)
        except ValueError as error:
            raise ValueError(f"--test-steps: {error}") from None


def _begin(settings: Settings, out, resume: bool, previous: bool, data_dir) -> tuple[bool, str]:
    """(is it new?, folder) of a run, which is begun unless it continues. ValueError if it may not."""
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
        iteration = fall_back(folder.path)
        print(f"Going on from a checkpoint of iteration {iteration}.", file=sys.stderr)
    return False, str(folder.path)


# ------------------------------------------------------------------ training


def _train(learner, problem: Problem, settings: Settings, folder: Folder, **how):
    """The history of the training; how: arguments of `meta_train` that are no settings."""
    import maml_edu.pytorch as mt

    callbacks = _callbacks(settings, folder, how["checkpoint_every"])
    how |= {"checkpoint": folder.path, "callbacks": callbacks}
    return mt.meta_train(learner, problem.training, **how, **_options(settings, problem))


def _options(settings: Settings, problem: Problem) -> dict[str, Any]:
    """The arguments of `meta_train` that the settings decide."""
    same = ("iterations", "meta_batch", "meta_lr", "seed", "optimiser")
    options = {name: getattr(settings, name) for name in same}
    options |= {"schedule": _parsed(settings.schedule), "clip": _parsed(settings.clip)}
    if settings.validate_every:
        options |= {
            "validation": problem.validation,
            "keep_best": True,
            "validate_every": settings.validate_every,
            "validation_episodes": settings.validation_episodes,
        }
    return options


def _parsed(text):
    """ "10" → 10.0, "cosine:0.01" → ("cosine", 0.01); other words as they are."""
    if text is None:
        return None
    word, colon, number = str(text).rpartition(":")
    try:
        return (word, float(number)) if colon else float(text)
    except ValueError:
        return text


def _callbacks(settings: Settings, folder: Folder, checkpoint_every: int):
    """What happens while training goes on: files are written, and a loss that rises is reported."""
    periods = {checkpoint_every, settings.validate_every} - {0}
    return [(_EARLY, warn_of_a_rising_loss), *((n, folder.keep) for n in sorted(periods))]


def warn_of_a_rising_loss(iteration, history, learner):
    """A callback of `meta_train`: warns once the loss is 1.5 times what it was at the beginning."""
    first = sum(history.loss[:50]) / 50
    last = sum(history.loss[-50:]) / 50
    before = sum(history.loss[-50 - _EARLY : -_EARLY]) / 50 if iteration > _EARLY else first
    if last > 1.5 * first and before <= 1.5 * first:
        warnings.warn(
            f"the meta-loss has risen from {first:.3g} at the beginning to {last:.3g} at iteration {iteration}: "
            f"training seems to diverge. Ctrl-C stops it; try a smaller --inner-lr or --meta-lr, or --clip 10.",
            stacklevel=2,
        )


# ------------------------------------------------------------------ the test


def _test(folder: Folder, settings: Settings, learner, problem: Problem, progress) -> Report:
    """The test of the best parameters, also written to results.json and results.png."""
    episodes, steps = settings.episodes, settings.test_steps
    try:
        report = evaluate(
            learner,
            problem.test,
            episodes,
            steps,
            progress=progress,
            beside=problem.beside,
            notes=problem.notes,
        )
    except KeyboardInterrupt:
        say = "Training is done and saved; the test was stopped. To run it: maml-edu evaluate"
        print(say, folder.path, file=sys.stderr)
        raise
    folder.write_results("results", report.as_json() | {"settings": settings.as_json()})
    folder.write_picture("results.png", report.plot().figure)
    return report
