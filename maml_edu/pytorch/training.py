"""Meta-training: start with `meta_train`."""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from maml_edu.atomic import replacing

BLOWN_UP = 1e6  # times the first meta-loss (at least 1): no run comes back from there


class TrainingDiverged(RuntimeError):
    """The meta-loss or its gradient became NaN, infinite or absurdly large.

    iteration: where; the learner keeps the parameters from before that iteration.
    """

    def __init__(self, iteration: int, what: str):
        super().__init__(
            f"training diverged at iteration {iteration}: {what}. The parameters are those from before "
            f"it. Try a smaller inner_lr or meta_lr, fewer inner steps, or look at the tasks' scale."
        )
        self.iteration = iteration


@dataclass
class History:
    """What happened: the meta-loss of every iteration, the seconds it took, whether it was stopped."""

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    def __len__(self):
        return len(self.loss)

    def smoothed(self, window: int = 100) -> np.ndarray:
        """Running mean of the loss over `window` iterations (shorter at the start)."""
        total = np.cumsum(np.insert(np.asarray(self.loss, float), 0, 0.0))
        ends = np.arange(1, len(total))
        starts = np.maximum(ends - window, 0)
        return (total[ends] - total[starts]) / (ends - starts)

    def __repr__(self):
        last = f", last loss {self.loss[-1]:.4g}" if self.loss else ""
        stopped = ", interrupted" if self.interrupted else ""
        return f"History({len(self.loss)} iterations{last}, {self.seconds:.1f} s{stopped})"


def meta_train(
    learner,
    tasks,
    iterations: int,
    meta_batch: int = 25,
    meta_lr: float = 1e-3,
    device: str | torch.device = "auto",
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 1000,
    progress: bool = True,
) -> History:
    """Train `learner` (MAML) on tasks from a family by Adam on the meta-gradient; returns the history.

    tasks: has `sample(rng, tasks=n)` → TaskBatch. meta_lr: β. device: "auto" takes a GPU where there is
    one. seed: of the tasks that are drawn. checkpoint: a folder; the state is written there every
    `checkpoint_every` iterations and at the end, whole or not at all, and a later call with the same
    folder goes on from it, to the same result as one uninterrupted run on the same device.
    Ctrl-C ends training: the learner and the history keep what was reached. Raises TrainingDiverged with
    the iteration when the loss or a gradient is NaN, infinite or huge, ValueError for bad arguments.
    """
    check_learner_and_tasks(learner, tasks)
    _check(iterations, meta_batch, meta_lr, checkpoint_every)
    learner.model.to(find_device(device))
    optimiser = torch.optim.Adam(learner.params.values(), lr=meta_lr)
    rng, history = np.random.default_rng(seed), History()
    settings = _settings(learner, tasks, meta_batch, seed)
    store = _Checkpoint(checkpoint, learner, optimiser, rng, history, settings)
    start, began = store.resume(), time.perf_counter() - history.seconds
    bar = tqdm(
        total=iterations,
        initial=start,
        disable=not progress or None,
        desc="meta-training",
        unit="it",
    )
    done = start
    try:
        with bar, _one_thread_for_small_nets(learner):
            for done in range(start + 1, iterations + 1):
                with _naming(done):
                    batch = tasks.sample(rng, tasks=meta_batch)
                    loss = _train_step(learner, optimiser, batch, done, history)
                history.loss.append(loss)
                history.seconds = time.perf_counter() - began
                bar.update()
                if done % 20 == 0:
                    bar.set_postfix(loss=f"{np.mean(history.loss[-100:]):.3g}", refresh=False)
                if done % checkpoint_every == 0:
                    store.save()
    except KeyboardInterrupt:
        history.interrupted = True
        print(f"Stopped after {len(history)} of {iterations} iterations; the learner keeps them.")
        store.resumable()
    else:
        store.save()
    return history


def _train_step(learner, optimiser, batch, iteration, history):
    """One outer step: θ ← Adam(θ, meta-gradient). Returns the meta-loss before it."""
    value, grads = learner.meta_gradient(batch)
    loss = float(value)
    bad_slopes = [name for name, slope in grads.items() if not torch.isfinite(slope).all()]
    limit = BLOWN_UP * max(1.0, abs(history.loss[0])) if history.loss else math.inf
    if bad_slopes or not abs(loss) <= limit or math.isinf(loss):
        nan = f", its gradient NaN or infinite at {', '.join(bad_slopes)}" if bad_slopes else ""
        last = f" (it was {history.loss[-1]:.4g} before)" if history.loss else ""
        raise TrainingDiverged(iteration, f"the meta-loss is {loss:.4g}{last}{nan}")
    for name, parameter in learner.params.items():
        parameter.grad = grads[name]
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return loss


@contextlib.contextmanager
def _naming(iteration):
    """A ValueError on the way (NaN in a task, say) tells in which iteration it happened."""
    try:
        yield
    except ValueError as error:
        error.add_note(f"This was iteration {iteration}; the parameters are those from before it.")
        raise


def find_device(device: str | torch.device) -> torch.device:
    """ "auto" as a device: a CUDA GPU where there is one, else the CPU. ValueError for one that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'device {device!r} cannot be used here ({reason}): use "auto" or "cpu".'
        ) from None
    return found


@contextlib.contextmanager
def _one_thread_for_small_nets(learner, small: int = 100_000):
    """One torch thread while a small net trains on the CPU: several threads only wait for one another."""
    threads = torch.get_num_threads()
    count = sum(p.numel() for p in learner.params.values())
    on_cpu = next(learner.model.parameters()).device.type == "cpu"
    try:
        if count <= small and on_cpu:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


def check_learner_and_tasks(learner, tasks):
    """ValueError unless these can be trained and evaluated."""
    if not hasattr(learner, "meta_gradient"):
        raise ValueError(
            f"learner must be a MAML, such as MAML(model, loss); got {type(learner).__name__}."
        )
    if isinstance(tasks, type) or not hasattr(tasks, "sample"):
        raise ValueError(
            f"tasks must have sample(rng, tasks=n), as Sinusoids(shots=10) has; got {tasks!r}."
        )


def _check(iterations, meta_batch, meta_lr, checkpoint_every):
    for name, value, least in (
        ("iterations", iterations, 0),
        ("meta_batch", meta_batch, 1),
        ("checkpoint_every", checkpoint_every, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} must be a whole number ≥ {least}; got {value!r}.")
    if not isinstance(meta_lr, numbers.Real) or not 0 < float(meta_lr) < math.inf:
        raise ValueError(f"meta_lr must be a number > 0; got {meta_lr!r}.")


def _settings(learner, tasks, meta_batch, seed):
    """What a run must have in common with the one that it goes on from, as plain text."""
    family = repr(tasks) if type(tasks).__repr__ is not object.__repr__ else type(tasks).__name__
    rate = learner.inner_lr if isinstance(learner.inner_lr, numbers.Real) else "learned or listed"
    found = {
        "seed": seed,
        "tasks": family,
        "meta_batch": meta_batch,
        "inner_lr": rate,
        "inner_steps": learner.inner_steps,
        "first_order": learner.first_order,
    }
    return {name: str(value) for name, value in found.items()}


def _usable(folder):
    """The folder, made if need be; ValueError at once and not after hours when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"the checkpoint folder {folder} cannot be written ({error.strerror or error}): choose another."
        ) from None
    return folder


class _Checkpoint:
    """The state of a run in one file, replaced as a whole; does nothing without a folder."""

    def __init__(self, folder, learner, optimiser, rng, history, settings):
        self.path = None if folder is None else _usable(Path(folder)) / "checkpoint.pt"
        self.learner, self.optimiser, self.rng, self.history = learner, optimiser, rng, history
        self.settings = settings

    def save(self):
        """Write the state, whole or not at all. When that fails training is not lost: it goes on."""
        if self.path is None:
            return
        try:
            self._write(self.path)
        except (OSError, RuntimeError) as error:  # the latter from torch's own zip writer
            warnings.warn(
                f"the checkpoint {self.path} could not be written ({error}): training goes on, and what "
                f"was written before stays. Free some space, or stop and choose another folder.",
                stacklevel=3,
            )

    def _write(self, path):
        state = {
            "settings": self.settings,
            "model": self.learner.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "tasks_rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            "history": asdict(self.history),
        }
        with replacing(path) as file:
            torch.save(state, file)

    def resume(self) -> int:
        """Take up the state in the file, if there is one; the number of iterations done so far."""
        if self.path is None or not self.path.is_file():
            return 0
        state = self.read()
        before = {k: v.clone() for k, v in self.learner.model.state_dict().items()}
        try:
            for name, value in self.settings.items():
                if state["settings"][name] != value:
                    was = state["settings"][name]
                    raise ValueError(f"it was written with {name} {was}, not {value}")
            self.learner.model.load_state_dict(state["model"])
            rates = [group["lr"] for group in self.optimiser.param_groups]
            self.optimiser.load_state_dict(state["optimiser"])
            for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
                group["lr"] = rate  # the one asked for now, not the one of the run before
            self.rng.bit_generator.state = state["tasks_rng"]
            self.history.__dict__.update(state["history"], interrupted=False)
            torch.set_rng_state(state["torch_rng"])
        except Exception as error:
            self.learner.model.load_state_dict(before)
            raise ValueError(
                f"the checkpoint {self.path} does not fit this run ({error}): give another folder, or "
                f"delete it to start anew."
            ) from error
        return len(self.history)

    def read(self):
        """What is in the file. ValueError when it is damaged; nothing in it is ever run."""
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch's own words advise to load it unsafely: not passed on
            raise ValueError(
                f"the checkpoint {self.path} is damaged, or something else wrote it "
                f"({type(error).__name__}): give another folder, or delete it to start anew."
            ) from None

    def resumable(self):
        """After Ctrl-C: say from where a later call goes on (the state in the middle of a step is unsafe)."""
        if self.path is not None and self.path.is_file():
            print(
                f"A later call with checkpoint={str(self.path.parent)!r} goes on from the last one written."
            )
