"""Meta-training: start with `meta_train`.

What it stands on: `stepper` (an outer step), `optimisers`, `checkpoint`, `history`, `distributed`.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..arguments import check_learner_and_tasks, check_meta_lr, find_device, is_count
from ..evaluation import evaluate
from ..learner import MAML
from .checkpoint import Checkpoint, copied
from .distributed import PeerLost, team_of, undistributed
from .history import History
from .interrupt import CtrlC
from .outer_step import stepper_kind, threads_for
from .stepper import PlainStepper, Plan, TrainingDiverged, is_usable, named

VALIDATION_SEED = 20170309  # tasks that neither training (seed) nor `evaluate` (1) draws
REFRESH = 0.1  # seconds between two looks of the progress bar


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
    *,
    optimiser: Any = "adam",
    schedule: Any = None,
    clip: Any = None,
    validation=None,
    validate_every: int = 1000,
    validation_episodes: int = 200,
    keep_best: bool = False,
    callbacks: Iterable = (),
) -> History:
    """Train `learner` on tasks from a family by descent on the meta-gradient; returns the history.

    tasks: has `sample(rng, tasks=n)` → TaskBatch. meta_lr: β. device: "auto" takes a GPU where there is
    one. seed: of the tasks that are drawn. checkpoint: a folder; the state is written there every
    `checkpoint_every` iterations and at the end, whole or not at all, and a later call with the same
    folder goes on from it, to the same result as one uninterrupted run on the same device.

    optimiser: "adam", another of `optimisers.OPTIMISERS`, a torch.optim class, or a function params →
    optimiser. schedule: what β is multiplied by: "constant", "cosine" (to 0), ("cosine", last factor), or
    a function of the iteration (from 0) alone. clip: the largest norm of the meta-gradient, or ("value",
    x), the largest element.

    validation: a task family; every `validate_every` iterations and at the end `validation_episodes` of
    its tasks, always the same, are scored after the last inner step: history.validation. keep_best=True
    gives the learner, when training ends (Ctrl-C included), the parameters that scored best; a later call
    with the same checkpoint goes on from the last ones all the same.

    callbacks: functions called as f(iteration, history, learner) after each iteration, or pairs (n, f)
    for every n-th; one that returns True ends training. An exception in one ends it, too, once a
    checkpoint is written.

    Ctrl-C ends training after the current iteration, with a checkpoint: the learner and the history keep
    what was reached (a second Ctrl-C ends it at once). Raises TrainingDiverged with the iteration when
    the loss or a gradient is NaN, infinite or huge, ValueError for bad arguments; an exception on the way
    has the history so far as its `history`. `Distributed` trains on several processes.
    """
    check_learner_and_tasks(learner, tasks)
    if validation is not None:
        check_learner_and_tasks(learner, validation)
    _check(iterations, meta_batch, meta_lr, checkpoint_every, validate_every, validation_episodes)
    learner.to(find_device(device))
    plan = Plan(iterations, meta_batch, meta_lr, seed, optimiser, schedule, clip)
    validating = Validation(validation, validate_every, validation_episodes, keep_best)
    every = each_with_its_period(callbacks)
    return Run(learner, tasks, plan, validating, every, checkpoint_every).train(
        checkpoint, progress
    )


@dataclass(frozen=True)
class Validation:
    """What is scored while training goes on, and when; see `meta_train`."""

    tasks: Any
    every: int
    episodes: int
    keep_best: bool

    def scores(self, learner):
        """(metric, mean, ci95) after the last inner step, on the same tasks each time."""
        result = evaluate(learner, self.tasks, self.episodes, seed=VALIDATION_SEED)
        return result.metric, float(result.mean[-1]), float(result.ci95[-1])


class Run:
    """One call of `meta_train`: what the loop changes, and the loop."""

    def __init__(self, learner, tasks, plan: Plan, validation: Validation, callbacks, save_every):
        self.learner, self.tasks, self.plan = learner, tasks, plan
        self.validation, self.callbacks, self.save_every = validation, callbacks, save_every
        self.team, self.history = team_of(learner), History()
        self.best: dict | None = None  # iteration, mean and learner's state of the best validation
        self.stepper = stepper_for(learner, tasks, plan, self.history)
        self.periods = [save_every, *(n for n, _ in callbacks)]
        self.periods += [validation.every] if validation.tasks is not None else []

    def train(self, folder, progress) -> History:
        """From the checkpoint, if there is one, to the last iteration, or to what ends it before."""
        self.store = Checkpoint(folder, self, self.settings(), self.config())
        self.start = self.store.resume()
        self.saved, self.written = self.start or None, bool(self.start)
        self.began = time.perf_counter() - self.history.seconds
        bar = Bar(self.history, self.start, self.plan.iterations, progress and not self.team.rank)
        try:
            with bar, threads_for(self.learner)(), CtrlC() as ctrl_c:
                self._iterate(bar, ctrl_c)
        except KeyboardInterrupt:  # in the middle of an iteration, whose state is of no use
            self._say_interrupted("the last one written" if self.store.exists() else "")
        except Exception as error:
            with contextlib.suppress(AttributeError):  # some have no place for it
                error.history = self.history  # type: ignore[attr-defined]
            raise
        finally:
            self._look_at_the_clock()
        if self.validation.keep_best and self.best is not None:
            self.learner.load_state_dict(self.best["learner"])
        return self.history

    def _iterate(self, bar, ctrl_c):
        """The outer loop. What does not happen at every iteration is an event."""
        done, stop = self.start, False
        self.team.agreed(False)  # nobody wishes to stop yet
        while done < self.plan.iterations and not stop:
            goal = self._next_event(done)
            while done < goal and not stop:
                losses = self.stepper.run(done, min(self.stepper.stride, goal - done))
                self._look(done, losses)
                self.history.loss.extend(losses)
                done += len(losses)
                bar.show(done)
                stop = self.team.agreed(ctrl_c.asked)
            if done == goal:
                self._events(done)
            stop = stop or bool(self.history.stopped)
        bar.show(done, now=True)
        written = self._save()
        if ctrl_c.asked or (stop and not self.history.stopped):
            self._say_interrupted("there" if written else "")

    def _next_event(self, done):
        """The next iteration after which there is something to do, or the last."""
        return min(self.plan.iterations, *((done // n + 1) * n for n in self.periods))

    def _look(self, done, losses):
        """TrainingDiverged where a loss is of no use: steps of a long stride have not looked themselves."""
        for iteration, loss in enumerate(losses, start=done + 1):
            if not is_usable(loss, self.history):
                raise TrainingDiverged(iteration, f"the meta-loss is {loss:.4g}", kept=False)

    def _events(self, done):
        """Validation, callbacks and checkpoint, each at its iterations."""
        self._look_at_the_clock()
        try:
            last = done == self.plan.iterations
            if self.validation.tasks is not None and (last or done % self.validation.every == 0):
                self._validate(done)
            for n, callback in self.callbacks:
                if done % n == 0:
                    self._call(callback, done)
        except PeerLost:
            raise
        except Exception as error:
            self._save()
            error.add_note(f"This was after iteration {done}, which the learner keeps.")
            raise
        if done % self.save_every == 0:
            self._save()

    def _validate(self, done):
        alone = undistributed(self.learner)
        metric, mean, ci95 = self.team.from_first(lambda: self.validation.scores(alone))
        self.history.metric = metric
        self.history.validation.append((done, mean, ci95))
        better = math.isfinite(mean) and (
            self.best is None or beats(mean, self.best["mean"], metric)
        )
        if self.validation.keep_best and better:
            self.best = {"iteration": done, "mean": mean, "learner": copied(alone.state_dict())}

    def _call(self, callback, done):
        arguments = (done, self.history, undistributed(self.learner))
        answer = self.team.from_first(lambda: callback(*arguments))
        if isinstance(answer, (bool, np.bool_)) and answer:
            self.history.stopped = named(callback)

    def _save(self):
        """Write a checkpoint, unless it was just done; is there one of this very iteration?"""
        self._look_at_the_clock()
        if self.saved != len(self.history):  # the same on all ranks, since all take part
            self.saved, self.written = len(self.history), self.store.save()
        return self.written

    def _look_at_the_clock(self):
        self.history.seconds = time.perf_counter() - self.began

    def _say_interrupted(self, goes_on_from):
        self.history.interrupted = True
        if self.team.rank:
            return
        reached = f"{len(self.history)} of {self.plan.iterations} iterations"
        best = self.validation.keep_best and self.best is not None
        print(f"Stopped after {reached}; the learner keeps {'the best of ' if best else ''}them.")
        if goes_on_from and self.store.path is not None:
            folder = str(self.store.path.parent)
            print(f"A later call with checkpoint={folder!r} goes on from {goes_on_from}.")

    def settings(self):
        """What a run must have in common with the one that it goes on from, as plain text."""
        known = type(self.tasks).__repr__ is not object.__repr__
        found = {
            "seed": self.plan.seed,
            "tasks": repr(self.tasks) if known else type(self.tasks).__name__,
            "meta_batch": self.plan.meta_batch,
            "optimiser": named(self.plan.optimiser),
            **self.learner.settings(),
        }
        return {name: str(value) for name, value in found.items()}

    def config(self):
        """What else the numbers depend on, as plain text: it may change, and a resumed run says so."""
        found = self.plan.config()
        anneals = type(undistributed(self.learner)).before_iteration is not MAML.before_iteration
        stretched = anneals or "cosine" in found["schedule"]  # by another number of iterations
        kept = ["meta_lr", "schedule", "clip"] + (["iterations"] if stretched else [])
        device = next(iter(self.learner.meta_params.values())).device
        machine = {"device": device.type, "processes": str(self.team.ranks)}
        return {name: found[name] for name in kept} | machine


def beats(mean, best, metric):
    """Is a validation score better than the best so far?"""
    return mean > best if metric == "accuracy" else mean < best


class Bar(contextlib.AbstractContextManager):
    """A progress bar that looks at the clock at each iteration, and at nothing else most of the time."""

    def __init__(self, history, start, iterations, wanted):
        self.history, self.next = history, 0.0
        hidden = None if wanted else True  # None: hidden where there is no terminal
        self.bar = tqdm(
            total=iterations, initial=start, disable=hidden, desc="meta-training", unit="it"
        )

    def show(self, done, now=False):
        """There are `done` iterations now."""
        time_is = time.perf_counter()
        if time_is < self.next and not now:
            return
        self.next = time_is + REFRESH
        if not self.bar.disable and self.history.loss:
            known = {"loss": f"{np.mean(self.history.loss[-100:]):.3g}"}
            if self.history.validation:
                known[self.history.metric] = f"{self.history.validation[-1][1]:.4g}"
            self.bar.set_postfix(known, refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error):
        self.bar.close()


def each_with_its_period(callbacks) -> list[tuple[int, Callable]]:
    """Callbacks as (n, function): a function alone is called after every iteration. ValueError else."""
    given = [callbacks] if callable(callbacks) else list(callbacks)
    found = [entry if isinstance(entry, tuple) else (1, entry) for entry in given]
    for entry in found:
        if len(entry) != 2 or not callable(entry[1]) or not is_count(entry[0], 1):
            raise ValueError(
                f"callbacks must be functions f(iteration, history, learner), or pairs (n, f) to be called "
                f"every n iterations; got {entry!r}."
            )
    return found


def _check(iterations, meta_batch, meta_lr, checkpoint_every, validate_every, validation_episodes):
    for name, value, least in (
        ("iterations", iterations, 0),
        ("meta_batch", meta_batch, 1),
        ("checkpoint_every", checkpoint_every, 1),
        ("validate_every", validate_every, 1),
        ("validation_episodes", validation_episodes, 2),
    ):
        if not is_count(value, least):
            raise ValueError(f"{name} must be a whole number ≥ {least}; got {value!r}.")
    check_meta_lr(meta_lr)


def stepper_for(learner, tasks, plan: Plan, history: History) -> PlainStepper:
    """The quickest stepper that knows how to train this learner."""
    if next(iter(learner.meta_params.values())).device.type == "cuda":
        from . import captured

        if captured.reason_against(learner, tasks, plan) is None:
            return captured.CapturedStepper(learner, tasks, plan, history)
    return stepper_kind(learner, plan)(learner, tasks, plan, history)
