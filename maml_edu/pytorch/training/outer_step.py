"""The outer step by itself, for a loop of one's own: start with `OuterStep`."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from typing import Any

import torch

from maml_edu.tasks import TaskBatch
from maml_edu.tasks.batch import FIELDS

from .. import fast
from ..arguments import check_learner, check_meta_lr, is_count, refuse_unknown
from ..fast import threads
from ..learner import MAML
from .checkpoint import copied
from .distributed import undistributed
from .history import History
from .stepper import PlainStepper, Plan


class OuterStep:
    """What `meta_train` repeats, to be called from a loop of one's own: as quick, and to the same numbers.

        step = mt.OuterStep(learner, meta_lr=1e-3, optimiser="adam", clip=10)
        for iteration in range(70_000):
            loss = step(tasks.sample(rng, tasks=25))

    step(batch) takes one outer step and returns the meta-loss before it, a float. batch: a TaskBatch, with
    arrays or tensors, with masks or without, or a tuple or list of its four arrays. step(batches) takes a step
    for each of several and returns the list of meta-losses: those of a list or tuple at one go, which is
    quickest; any other iterable, such as a generator, is asked for each batch after the step before.

    learner: a MAML or one of its family, or a `Distributed`, on the device where it is to compute. meta_lr,
    optimiser, schedule, clip: as in `meta_train`. iterations: how many steps there will be, for
    schedule="cosine" and for learners that change from step to step, such as MAMLpp.

    Between two steps anything may change: what is frozen, the parameters' values, the learner's settings,
    `optimiser`, the torch.optim optimiser at work (so that torch's own schedules can drive it). history: the
    losses so far. Raises TrainingDiverged when the loss or a gradient is NaN, infinite or huge, and ValueError
    for bad arguments and batches; the parameters are then those from before that step.
    """

    def __init__(
        self,
        learner,
        meta_lr: float = 1e-3,
        optimiser: Any = "adam",
        *,
        clip: Any = None,
        schedule: Any = None,
        iterations: int | None = None,
        **unknown,
    ):
        refuse_unknown(type(self).__init__, unknown)
        check_learner(learner)
        check_meta_lr(meta_lr)
        _check_iterations(learner, schedule, iterations)
        plan = Plan(iterations or 0, 0, meta_lr, 0, optimiser, schedule, clip)
        self.learner, self.iterations, self.history = learner, iterations, History()
        self.stepper = stepper_kind(learner, plan)(learner, None, plan, self.history)
        native = type(self.stepper) is not PlainStepper  # sees to threads itself
        self._threads = contextlib.nullcontext if native else threads_for(learner)

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """The optimiser of the meta-parameters; its settings may be changed between two steps."""
        return self.stepper.optimiser

    def __call__(self, batches):
        """One outer step for a batch, or one for each of several; returns the meta-loss(es) before them."""
        if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
            with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is in
                return self(batches)
        if _is_one_batch(batches):
            return self._run([batches])[0]
        if isinstance(batches, (list, tuple)):
            return self._run(batches)
        return [loss for batch in batches for loss in self._run([batch])]

    def _run(self, batches):
        """The meta-losses of one step for each batch."""
        done, began, stepper = len(self.history), time.perf_counter(), self.stepper
        batches = [TaskBatch.of(batch) for batch in batches]
        if self.iterations is not None and done + len(batches) > self.iterations:
            raise ValueError(
                f"{done} steps are done and {len(batches)} more asked for, but iterations={self.iterations} "
                f"was said to be all: give the number of steps that there will be."
            )
        stepper.ahead.extend(({}, batch) for batch in batches)
        try:
            with self._threads():
                while stepper.ahead:
                    n = min(stepper.stride, len(stepper.ahead))
                    self.history.loss.extend(stepper.run(len(self.history), n))
        except Exception as error:
            with contextlib.suppress(AttributeError):  # some have no place for it
                error.history = self.history  # type: ignore[attr-defined]
            raise
        finally:
            stepper.ahead.clear()
            self.history.seconds += time.perf_counter() - began
        return self.history.loss[done:]

    def state_dict(self) -> dict:
        """The optimiser's state and the losses so far, as copies on the CPU. θ is in `learner.state_dict()`."""
        loss = torch.tensor(self.history.loss, dtype=torch.float64)  # 8 bytes a step
        return copied(self.stepper.state_dict()) | {"loss": loss}

    def load_state_dict(self, state: dict):
        """Take over what `state_dict` gave: the next step is then the one that would have come next.

        The optimiser's rate is the one in the state, as with torch's optimisers. Raises ValueError or KeyError
        where it does not fit.
        """
        losses, state = state["loss"].tolist(), copied(state)
        self.stepper.load_state_dict(state)
        groups = zip(self.optimiser.param_groups, state["optimiser"]["param_groups"], strict=True)
        for group, saved in groups:
            group["lr"] = saved["lr"]
        self.history.loss[:] = losses

    def __repr__(self):
        kind = type(self.optimiser).__name__
        return f"{type(self).__name__}({self.learner!r}, {kind}, {len(self.history)} steps)"


def _is_one_batch(batches) -> bool:
    """Whether this is one batch, or what should have been one: no list or other iterable of batches."""
    if _is_batch(batches):
        return True
    if isinstance(batches, (list, tuple)):
        return len(batches) == len(FIELDS) and not _is_batch(batches[0])
    is_array = hasattr(batches, "shape")
    return is_array or isinstance(batches, (dict, str)) or not hasattr(batches, "__iter__")


def _is_batch(value) -> bool:
    """Whether `TaskBatch.of` takes it, as far as can be seen from outside."""
    if isinstance(value, (list, tuple)):
        return len(value) == len(FIELDS) and all(hasattr(part, "shape") for part in value)
    return isinstance(value, TaskBatch) or all(hasattr(value, name) for name in FIELDS)


def _check_iterations(learner, schedule, iterations):
    """ValueError unless `iterations` is a count, or None where nothing depends on it."""
    if iterations is not None and not is_count(iterations, 1):
        raise ValueError(f"iterations must be a whole number ≥ 1, or None; got {iterations!r}.")
    anneals = type(undistributed(learner)).before_iteration is not MAML.before_iteration
    cosine = schedule == "cosine" or (isinstance(schedule, (tuple, list)) and "cosine" in schedule)
    if iterations is None and (anneals or cosine):
        who = f"schedule={schedule!r}" if cosine else type(undistributed(learner)).__name__
        raise ValueError(
            f"{who} depends on how many steps there will be: give iterations=…, their number."
        )


# ------------------------------------------------------------------ what meta_train chooses, too


def stepper_kind(learner, plan: Plan) -> type[PlainStepper]:
    """The quickest stepper on a CPU that knows how to train this learner."""
    if isinstance(learner, MAML) and _on_cpu(learner) and importlib.util.find_spec("numba"):
        from . import native_steps

        if native_steps.reason_against(learner, plan) is None:
            return native_steps.NativeStepper
    return PlainStepper


def threads_for(learner):
    """Makes a context in which a small net on the CPU has one task per thread, not several per operation."""
    small = sum(p.numel() for p in learner.params.values()) <= fast.SMALL
    return threads.one_each if small and _on_cpu(learner) else contextlib.nullcontext


def _on_cpu(learner):
    return next(learner.model.parameters()).device.type == "cpu"
