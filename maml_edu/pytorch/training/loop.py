"""Meta-training: start with `meta_train`.

At its heart it is this loop, with Adam unless another optimiser is asked for:

    rng, losses = np.random.default_rng(seed), []
    optimiser = torch.optim.Adam(learner.meta_params.values(), lr=meta_lr)
    for iteration in range(iterations):
        batch = tasks.sample(rng, tasks=meta_batch)
        value, grads = learner.meta_gradient(batch)  # each task's gradient, then the mean
        for name, parameter in learner.meta_params.items():
            parameter.grad = grads[name]
        optimiser.step()  # θ ← θ − β · (the gradient, as Adam scales it)
        losses.append(float(value))

All the rest is for being stopped and resumed, for noticing a divergence, for validation, and for speed.
What it stands on: `stepper` (an outer step), `optimisers`, `checkpoint`, `history`, `progress`, `distributed`.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..arguments import (
    check_learner_and_tasks,
    check_meta_lr,
    find_device,
    is_count,
    refuse_unknown,
)
from ..evaluation import evaluate
from ..learner import MAML
from ..metrics import BUILT_IN, more_is_better, name_of
from .checkpoint import Checkpoint, copied, generators, set_generators
from .distributed import PeerLost, team_of, undistributed
from .history import History
from .interrupt import CtrlC
from .outer_step import stepper_kind, threads_for
from .progress import Progress
from .stepper import PlainStepper, Plan, TrainingDiverged, is_usable, named

VALIDATION_SEED = 20170309  # tasks that neither training (seed) nor `evaluate` (1) draws


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
    metric: str | Callable | None = None,
    keep_best: bool | str = False,
    callbacks: Iterable = (),
    **unknown,
) -> History:
    """Train `learner` on tasks from a family by descent on the meta-gradient; returns the history.

    tasks: has `sample(rng, tasks=n)` → TaskBatch, or a tuple of its four arrays; it is called once per
    iteration, in order, and ahead of time only if the family says `draws_ahead = True`. meta_lr: β. device:
    "auto" takes a GPU if there is one. seed: of the tasks that are drawn. checkpoint: a folder; the state is
    written there every `checkpoint_every` iterations and at the end, whole or not at all, and a later call with
    the same folder goes on from it, to the same result as one uninterrupted run on the same device. progress:
    show a bar, or without a terminal write a line at each validation and at least every minute.

    optimiser: "adam", another of `optimisers.OPTIMISERS`, a torch.optim class, or a function params →
    optimiser. schedule: what β is multiplied by: "constant", "cosine" (to 0), ("cosine", last factor), or
    a function of the iteration (from 0) alone. clip: the largest norm of the meta-gradient, or ("value",
    x), the largest element.

    validation: a task family; every `validate_every` iterations and at the end `validation_episodes` of
    its tasks, always the same, are scored after the last inner step: history.validation. metric: what is
    scored, as in `evaluate`. keep_best: the learner gets the parameters that scored best when training ends
    (Ctrl-C included). True knows what is better of "accuracy", "mse" and "loss"; for a function say "max" or
    "min". A later call with the same checkpoint goes on from the last parameters all the same.

    callbacks: functions called as f(iteration, history, learner) after each iteration, or pairs (n, f)
    for every n-th; one that returns True ends training. An exception in one ends it, too, once a
    checkpoint is written.

    Parameters that a callback freezes (requires_grad_(False)) or unfreezes stay as they are, or are trained,
    from the next iteration on.

    Ctrl-C ends training after the current iteration, with a checkpoint: the learner and the history keep
    what was reached (a second Ctrl-C ends it at once). Raises TrainingDiverged with the iteration when
    the loss or a gradient is NaN, infinite or huge, ValueError for bad arguments; an exception on the way
    has the history so far as its `history`. `Distributed` trains on several processes.
    """
    refuse_unknown(meta_train, unknown)
    check_learner_and_tasks(learner, tasks)
    if validation is not None:
        check_learner_and_tasks(learner, validation)
    _check(iterations, meta_batch, meta_lr, checkpoint_every, validate_every, validation_episodes)
    validating = Validation(validation, validate_every, validation_episodes, metric, keep_best)
    _check_best(validating)
    learner.to(find_device(device))
    plan = Plan(iterations, meta_batch, meta_lr, seed, optimiser, schedule, clip)
    run = Run(learner, tasks, plan, validating, _with_periods(callbacks), checkpoint_every)
    return run.train(checkpoint, progress)


@dataclass(frozen=True)
class Validation:
    """What is scored while training goes on, and when; see `meta_train`."""

    tasks: Any
    every: int
    episodes: int
    metric: str | Callable | None = None
    keep_best: bool | str = False

    def scores(self, learner):
        """(metric, mean, ci95, which to trust) after the last inner step, on the same tasks each time."""
        result = evaluate(
            learner, self.tasks, self.episodes, seed=VALIDATION_SEED, metric=self.metric
        )
        return result.metric, float(result.mean[-1]), float(result.ci95[-1]), result.trust[-1]

    def rises(self, metric: str) -> bool | None:
        """Whether more of the metric is better; None if nobody has said."""
        if self.keep_best in ("max", "min"):
            return self.keep_best == "max"
        return None if callable(self.metric) else more_is_better(metric)


class Run:
    """One call of `meta_train`: what the loop changes, and the loop."""

    def __init__(self, learner, tasks, plan: Plan, validation: Validation, callbacks, save_every):
        self.learner, self.tasks, self.plan = learner, tasks, plan
        self.validation, self.callbacks, self.save_every = validation, callbacks, save_every
        self.team, self.history = team_of(learner), History()
        self.best: dict | None = None  # iteration, mean and learner's state of the best validation
        self.frozen_at_start = _frozen(undistributed(learner))
        self.stepper = stepper_for(learner, tasks, plan, self.history)
        self.periods = [save_every, *(n for n, _ in callbacks)]
        self.periods += [validation.every] if validation.tasks is not None else []

    def train(self, folder, progress) -> History:
        """From the checkpoint, if there is one, to the last iteration, or to what ends it before."""
        self.store = Checkpoint(folder, self.settings(), self.config(), self.team)
        self._resume()
        self.start = len(self.history)
        self.saved, self.written = self.start or None, bool(self.start)
        self.began = time.perf_counter() - self.history.seconds
        wanted = progress and not self.team.rank
        self.progress = Progress(self.history, self.start, self.plan.iterations, wanted)
        try:
            with self.progress, threads_for(self.learner)(), CtrlC() as ctrl_c:
                self._iterate(ctrl_c)
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

    def _iterate(self, ctrl_c):
        """The outer loop. What does not happen at every iteration is an event."""
        done, stop = self.start, False
        self.team.agreed(False)  # nobody wishes to stop yet
        while done < self.plan.iterations and not stop:
            goal = self._next_event(done)
            while done < goal and not stop:
                losses = self.stepper.run(done, min(self.stepper.stride, goal - done))
                self._record(losses)
                done += len(losses)
                if done < goal:
                    self.progress.show(done)
                stop = self.team.agreed(ctrl_c.asked)
            if done == goal:
                self._events(done)
                self.progress.show(done)
            stop = stop or bool(self.history.stopped)
        self.progress.show(done, last=True)
        written = self._save()
        if ctrl_c.asked or (stop and not self.history.stopped):
            self._say_interrupted("there" if written else "")

    def _next_event(self, done):
        """The next iteration after which there is something to do, or the last."""
        return min(self.plan.iterations, *((done // n + 1) * n for n in self.periods))

    def _record(self, losses):
        """Losses into the history. TrainingDiverged at the first bad one, with those before it recorded.

        A long stride of steps does not look at its losses itself; each is compared with the first of the run.
        """
        for loss in losses:
            if not is_usable(loss, self.history):
                iteration, what = len(self.history) + 1, f"the meta-loss is {loss:.4g}"
                raise TrainingDiverged(iteration, what, usable=False)
            self.history.loss.append(loss)
        self._name_engine()

    def _name_engine(self):
        """The engine that has just run into the history, after those that ran before it."""
        engine, names = undistributed(self.learner).ran, self.history.engine
        if engine and engine not in names.split(", "):
            self.history.engine = f"{names}, {engine}" if names else engine

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
        metric, mean, ci95, trust = self.team.from_first(lambda: self.validation.scores(alone))
        self._refuse_another_metric(metric)
        self.history.metric, self.history.rises = metric, self.validation.rises(metric)
        self.history.validation.append((done, mean, ci95))
        if trust != "mean":
            self.history.doubtful.append(done)
        if self.validation.keep_best and self._is_best(mean):
            self.best = {"iteration": done, "mean": mean, "learner": copied(alone.state_dict())}

    def _is_best(self, mean):
        """Is a validation score better than all before it?"""
        if self.best is None or not math.isfinite(mean):
            return math.isfinite(mean)
        return mean > self.best["mean"] if self.history.rises else mean < self.best["mean"]

    def _refuse_another_metric(self, metric):
        """ValueError if a run that goes on was validated by something else before."""
        before = self.history.metric
        if self.history.validation and metric != before:
            raise ValueError(
                f"this run was validated by {before!r} until now, and is asked for {metric!r}, which cannot "
                f"be compared: ask for metric={before!r} again, or begin in another folder."
            )

    def _call(self, callback, done):
        alone = undistributed(self.learner)

        def work():
            return callback(done, self.history, alone), _frozen(alone)

        answer, frozen = self.team.from_first(work)
        _freeze(alone, frozen)  # what rank 0 froze, on all ranks
        if isinstance(answer, (bool, np.bool_)) and answer:
            self.history.stopped = named(callback)

    def _save(self):
        """Write a checkpoint, unless it was just done; is there one of this very iteration?"""
        self._look_at_the_clock()
        if self.saved != len(self.history):  # the same on all ranks, since all take part
            self.saved = len(self.history)
            self.written = self.store.path is not None and self.store.save(self.state())
        return self.written

    def state(self) -> dict:
        """Everything that the rest of the run depends on; called on every rank, for its generators."""
        loss = torch.tensor(self.history.loss, dtype=torch.float64)  # 8 bytes an iteration
        return {
            "learner": self.learner.state_dict(),
            "stepper": self.stepper.state_dict(),
            "generators": self.team.gather(generators()),
            "history": vars(self.history) | {"loss": loss},
            "best": self.best,
            "frozen": {
                "at_start": self.frozen_at_start,
                "now": _frozen(undistributed(self.learner)),
            },
        }

    def take(self, state: dict):
        """Take over what `state` gave. Raises what the parts raise that it does not fit."""
        self.learner.load_state_dict(state["learner"])
        self.stepper.load_state_dict(state["stepper"])
        if self.team.rank < len(state["generators"]):  # a rank more than before keeps its own
            set_generators(state["generators"][self.team.rank])
        losses = state["history"]["loss"].tolist()
        vars(self.history).update(state["history"] | {"loss": losses, "stopped": ""})
        self.best = state["best"]
        if self.validation.metric is not None:
            self._refuse_another_metric(name_of(self.validation.metric))
        if "frozen" in state:  # not in files of earlier versions
            self._freeze_as_before(**state["frozen"])

    def _freeze_as_before(self, at_start, now):
        """Freeze what was frozen when a state was written, by a callback say.

        Not if the model came with other frozen parameters than to that run: then that is what is wanted.
        """
        if self.frozen_at_start == at_start:
            _freeze(undistributed(self.learner), now)
        elif self.frozen_at_start != now and not self.team.rank:
            warnings.warn(
                f"the checkpoint {self.store.path} was written with {_listed(now)} frozen (now "
                f"{_listed(self.frozen_at_start)}): training goes on from it with what is frozen now.",
                stacklevel=7,
            )

    def _resume(self):
        """Take over the checkpoint's state, if there is one. ValueError, and no change, if it does not fit."""
        state = self.store.resume(self.plan.iterations)
        if state is None:
            return
        before = copied(self.learner.state_dict())
        try:
            self.take(state)
        except Exception as error:
            self.learner.load_state_dict(before)
            raise self.store.refusal(error) from error

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
        has_words = type(self.tasks).__repr__ is not object.__repr__
        settings = {
            "seed": self.plan.seed,
            "tasks": repr(self.tasks) if has_words else type(self.tasks).__name__,
            "meta_batch": self.plan.meta_batch,
            "optimiser": named(self.plan.optimiser),
            **self.learner.settings(),
        }
        return {name: str(value) for name, value in settings.items()}

    def config(self):
        """What else the numbers depend on, as plain text: it may change, and a resumed run says so."""
        plan = self.plan.config()
        anneals = type(undistributed(self.learner)).before_iteration is not MAML.before_iteration
        stretched = anneals or "cosine" in plan["schedule"]  # by another number of iterations
        names = ["meta_lr", "schedule", "clip"] + (["iterations"] if stretched else [])
        device = next(iter(self.learner.meta_params.values())).device
        machine = {"device": device.type, "processes": str(self.team.ranks)}
        return {name: plan[name] for name in names} | machine


def _frozen(learner) -> list[str]:
    """The names of the parameters that are not trained."""
    return [name for name, p in learner.model.named_parameters() if not p.requires_grad]


def _listed(names):
    """Some names in few words."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) + more) or "nothing"


def _freeze(learner, names):
    """Train all of the learner's parameters but these."""
    for name, parameter in learner.model.named_parameters():
        if parameter.requires_grad == (name in names):
            parameter.requires_grad_(name not in names)


def _with_periods(callbacks) -> list[tuple[int, Callable]]:
    """Callbacks as (n, function): a function alone is called after every iteration. ValueError otherwise."""
    entries = [callbacks] if callable(callbacks) else list(callbacks)
    pairs = [entry if isinstance(entry, tuple) else (1, entry) for entry in entries]
    for pair in pairs:
        if len(pair) != 2 or not callable(pair[1]) or not is_count(pair[0], 1):
            raise ValueError(
                f"callbacks must be functions f(iteration, history, learner), or pairs (n, f) to be called "
                f"every n iterations; got {pair!r}."
            )
    return pairs


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


def _check_best(validation: Validation):
    """ValueError for a metric, or a wish to keep the best, that cannot be fulfilled."""
    metric, best = validation.metric, validation.keep_best
    if metric is not None and metric not in BUILT_IN and not callable(metric):
        raise ValueError(
            f"metric must be one of {', '.join(BUILT_IN)}, or a function (output, y) → number; got {metric!r}."
        )
    if not isinstance(best, bool) and best not in ("max", "min"):
        raise ValueError(f'keep_best must be True, False, "max" or "min"; got {best!r}.')
    if best is True and callable(metric):
        raise ValueError(
            f"keep_best=True does not know whether more of {name_of(metric)!r} is better: say "
            f'keep_best="max" or keep_best="min".'
        )
    if validation.tasks is None and (best or metric is not None):
        asked = f"keep_best={best!r}" if best else f"metric={metric!r}"
        raise ValueError(f"{asked} needs validation=, a family of tasks to score.")


def stepper_for(learner, tasks, plan: Plan, history: History) -> PlainStepper:
    """The quickest stepper that knows how to train this learner."""
    if next(iter(learner.meta_params.values())).device.type == "cuda":
        from . import captured

        if captured.reason_against(learner, tasks, plan) is None:
            return captured.CapturedStepper(learner, tasks, plan, history)
    return stepper_kind(learner, plan)(learner, tasks, plan, history)
