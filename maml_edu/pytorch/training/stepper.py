"""Outer steps: what `meta_train` repeats. Start with `PlainStepper`.

A stepper owns the state that a step changes together with the learner, and takes one or several steps when
it is told to. `meta_train` knows only this much of it:

    stride                  the most steps that one `run` may do; the losses are looked at after each run
    run(done, n)            n outer steps, of iterations done … done + n − 1 (from 0): their n meta-losses
    state_dict()            what a checkpoint keeps of it; load_state_dict(state) takes it up again

It raises TrainingDiverged as soon as it detects divergence, before changing a parameter. Losses of steps that
run without such a test are tested by `meta_train` after each run.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maml_edu.tasks import TaskBatch

from ..arguments import check_batch_size
from .distributed import undistributed
from .history import History
from .optimisers import Rates, laid_as, make_clip, make_optimiser, make_schedule
from .sampling import Stream, everywhere

BLOWN_UP = 1e6  # times the first meta-loss (at least 1): no run comes back from there


class TrainingDiverged(RuntimeError):
    """The meta-loss or its gradient became NaN, infinite or absurdly large.

    iteration: where, counted from 1. history: what was reached before it. usable: whether the learner still
    has the parameters from before that iteration; the message says which is the case.
    """

    def __init__(self, iteration: int, what: str, usable: bool = True):
        where = (
            "The parameters are those from before it."
            if usable
            else "The parameters are no longer usable: go on from the last checkpoint."
        )
        super().__init__(
            f"training diverged at iteration {iteration}: {what}. {where} Try a smaller inner_lr or "
            f"meta_lr, fewer inner steps, clip=10, or look at the tasks' scale."
        )
        self.iteration = iteration
        self.history: Any = None


@dataclass(frozen=True)
class Plan:
    """What `meta_train` was asked for, as far as a step needs it."""

    iterations: int
    meta_batch: int
    meta_lr: float
    seed: int
    optimiser: Any = "adam"
    schedule: Any = None
    clip: Any = None

    def config(self) -> dict[str, str]:
        """The same as plain text."""
        return {name: named(value) for name, value in vars(self).items()}


def named(value) -> str:
    """A value as text that is the same in the next run: functions and classes by their names."""
    if isinstance(value, (int, float, str, tuple, list, type(None))):
        return repr(value)
    return str(getattr(value, "__qualname__", type(value).__qualname__))


class PlainStepper:
    """One outer step at a time: sample, meta-gradient, look at it, clip, update θ."""

    stride = 1

    def __init__(self, learner, tasks, plan: Plan, history: History):
        self.learner, self.tasks, self.plan, self.history = learner, tasks, plan, history
        self.rng = np.random.default_rng(plan.seed)
        self.params = list(learner.everything().items())  # frozen ones wait until they are trained
        tensors = [parameter for _, parameter in self.params]
        self.ahead: deque = deque()  # of (the position before it, batch or error)
        self.draws: Any = everywhere(tasks)  # on the device; None: NumPy draws
        key = np.random.default_rng(plan.seed).bit_generator.random_raw()
        self.stream = Stream(int(key), tensors[0].device, tensors[0].dtype)
        own = undistributed(learner).outer_shares()
        shares = [own.get(name, 1.0) for name, _ in self.params]
        self.optimiser = make_optimiser(plan.optimiser, tensors, plan.meta_lr, shares)
        self.rates = Rates(self.optimiser, make_schedule(plan.schedule, plan.iterations))
        self.clip = make_clip(plan.clip)

    def run(self, done: int, n: int) -> list[float]:
        """The meta-losses of n outer steps, each before it. TrainingDiverged or ValueError on the way."""
        return [self._step(iteration) for iteration in range(done, done + n)]

    def _step(self, iteration):
        """One outer step: θ ← Adam(θ, meta-gradient). Returns the meta-loss from before it."""
        self.learner.before_iteration(iteration, self.plan.iterations)
        try:
            batch = self.sample()
            self._adopt_parameters()
            value, grads = self.learner.meta_gradient(batch)
            if self.rates.schedule is not None:
                self.rates.set(iteration)
        except ValueError as error:
            where = f"This was iteration {iteration + 1}; the parameters are those from before it."
            error.add_note(where)
            raise
        loss = float(value)
        if not is_usable(loss, self.history) or not all_finite(grads.values()):
            raise TrainingDiverged(iteration + 1, self._what_is_wrong(batch, loss, grads))
        self._update(grads)
        return loss

    def sample(self):
        """The next meta-batch: the first of those ahead, else a new one."""
        if not self.ahead:
            return self.draw()
        _, batch = self.ahead.popleft()
        if isinstance(batch, Exception):
            raise batch
        return batch

    def draw(self):
        """A new meta-batch of the family's. ValueError unless it is one, of as many tasks as were asked for."""
        draw, source = self.draws or self.tasks.sample, self.stream if self.draws else self.rng
        batch = TaskBatch.of(draw(source, tasks=self.plan.meta_batch))
        check_batch_size(batch, self.plan.meta_batch)
        return batch

    def position(self) -> dict:
        """How far the tasks have been drawn."""
        if self.draws is None:
            return {"tasks_rng": self.rng.bit_generator.state}
        stream = self.stream.state_dict()
        # if NumPy draws from here on, it should not draw the same tasks again
        onwards = np.random.default_rng([stream["seed"] % (1 << 64), stream["drawn"]])
        return {"tasks_rng": onwards.bit_generator.state, "stream": stream}

    def _adopt_parameters(self):
        """Let the optimiser train the tensors that the learner has now, where they have been replaced."""
        now = self.learner.everything()
        if len(now) == len(self.params) and all(now.get(n) is before for n, before in self.params):
            return
        shapes = {name: before.shape for name, before in self.params}
        if shapes != {name: parameter.shape for name, parameter in now.items()}:
            raise ValueError(
                "the model's parameters are others, by their names or shapes, than those that the optimiser "
                "was made for: begin a new training with this model."
            )
        for name, before in self.params:
            for group in self.optimiser.param_groups:
                group["params"] = [now[name] if p is before else p for p in group["params"]]
            if before in self.optimiser.state:
                self.optimiser.state[now[name]] = self.optimiser.state.pop(before)
        self.params = list(now.items())

    def _update(self, grads):
        for name, parameter in self.params:
            slope = grads.get(name)  # None: frozen, the optimiser passes it over
            parameter.grad = None if slope is None else laid_as(slope, parameter)
            for kind, values in self.optimiser.state.get(parameter, {}).items():
                if isinstance(values, torch.Tensor) and values.shape == parameter.shape:
                    self.optimiser.state[parameter][kind] = laid_as(values, parameter)
        if self.clip is not None:
            self.clip([parameter for _, parameter in self.params])
        self.optimiser.step()
        for _, parameter in self.params:
            parameter.grad = None

    def _what_is_wrong(self, batch, loss, grads):
        """In words: the loss, the parameters whose slopes are not finite, and the tasks that it comes from."""
        bad = [name for name, slope in grads.items() if not torch.isfinite(slope).all()]
        nan = f", its gradient NaN or infinite at {', '.join(bad)}" if bad else ""
        last = f" (it was {self.history.loss[-1]:.4g} before)" if self.history.loss else ""
        return f"the meta-loss is {loss:.4g}{last}{nan}{self._where(batch)}"

    def _where(self, batch):
        """In words: which tasks of the batch diverge by themselves, as far as that can be told."""
        alone = undistributed(self.learner)
        bad = []
        with contextlib.suppress(Exception):  # the divergence is the news, not what looks for it
            for number in range(len(batch)):
                value, grads = alone.meta_gradient(batch.part(number, number + 1))
                if not is_usable(float(value), self.history) or not all_finite(grads.values()):
                    bad.append(str(number))
            if len(bad) == len(batch):
                return f", in all {len(batch)} tasks of the batch"
        shown = ", ".join(bad[:5]) + (", …" if len(bad) > 5 else "")
        return f", in {len(bad)} of {len(batch)} tasks (number {shown} from 0)" if bad else ""

    def state_dict(self) -> dict:
        """The optimiser, and how far the tasks have been drawn; those ahead have not been used."""
        position = self.ahead[0][0] if self.ahead else {}
        return {"optimiser": self.optimiser.state_dict(), **self.position(), **position}

    def load_state_dict(self, state: dict):
        """Take over what `state_dict` gave; the rate stays the one asked for now."""
        self.ahead.clear()
        self.optimiser.load_state_dict(self._with_places_for_frozen(state["optimiser"]))
        self.rates.multiply(1.0)
        self.rng.bit_generator.state = state["tasks_rng"]
        if "stream" not in state:
            self.draws = None  # NumPy has drawn up to now, and goes on
        elif self.draws is not None:
            self.stream.load_state_dict(state["stream"])

    def _with_places_for_frozen(self, saved):
        """An optimiser's state for this one's parameters. ValueError if it is of other groups.

        Earlier versions gave the optimiser no frozen parameters, so that theirs have other numbers.
        """
        groups, state, first = [], {}, 0
        if len(saved["param_groups"]) != len(self.optimiser.param_groups):
            raise ValueError(
                f"the optimiser's state has {len(saved['param_groups'])} groups of parameters, where this "
                f"one has {len(self.optimiser.param_groups)}: it was saved with other outer rates (as of "
                f"MAMLpp's rates_share). Use the same settings, or begin anew."
            )
        for ours, theirs in zip(self.optimiser.param_groups, saved["param_groups"], strict=True):
            places = list(range(first, first + len(ours["params"])))
            first += len(places)
            groups.append({**theirs, "params": places})
            if len(theirs["params"]) != len(places):
                places = [n for n, p in zip(places, ours["params"], strict=True) if p.requires_grad]
            for old, new in zip(theirs["params"], places, strict=True):
                if old in saved["state"]:
                    state[new] = saved["state"][old]
        return {**saved, "state": state, "param_groups": groups}


def is_usable(loss: float, history: History) -> bool:
    """Whether a loss is finite and, in size, at most `BLOWN_UP` times the first one of the run (at least 1)."""
    if not history.loss:
        return math.isfinite(loss)
    return abs(loss) <= BLOWN_UP * max(1.0, abs(history.loss[0]))


def all_finite(tensors) -> bool:
    """Whether no element is NaN or infinite; in most cases the squared norm of all tensors says so."""
    tensors = list(tensors)
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    if math.isfinite(torch.dot(flat, flat)):
        return True
    # not finite, or large enough for its square to overflow
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
