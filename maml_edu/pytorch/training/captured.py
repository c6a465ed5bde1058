"""Whole outer steps as one CUDA graph, so that a GPU never waits for Python: start with `CapturedStepper`.

An outer step of a small network is some hundred short kernels. Started one by one from Python, the GPU is
idle most of the time. Here the step (drawing tasks, adaptation, the way back, clipping, Adam) is recorded
once and then replayed, `STRIDE` times before anybody looks at the losses. A recorded step reads and writes
the same memory each time: θ, the optimiser's state, the rates, the inputs and the losses are tensors that
stay where they are, and whatever changes between steps is written into them from outside.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs says what can be captured, and how.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import torch

from maml_edu.tasks import TaskBatch
from maml_edu.tasks.batch import may_be_drawn_ahead

from .. import fast, maml
from ..fast.structure import structure_of
from ..learner import MAML
from .distributed import Distributed
from .optimisers import make_optimiser
from .sampling import sampler_for
from .stepper import PlainStepper

STRIDE = 100  # steps between two looks at the losses
_WARM_UP = 3  # steps on a side stream before the capture: libraries make their plans in these
_AHEAD = 4  # batches that may wait for the GPU to take them
_CAPTURABLE = (
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
)


def reason_against(learner, tasks, plan) -> str | None:
    """Why the steps of this run cannot be captured; None if nothing speaks against it beforehand."""
    if isinstance(learner, Distributed):
        return "the meta-gradient is averaged over several processes"
    device = next(iter(learner.meta_params.values())).device
    if device.type != "cuda":
        return f"CUDA graphs are for CUDA GPUs, and the learner is on {device}"
    return reason_against_learner(learner) or reason_against_optimiser(learner, plan)


def reason_against_learner(learner) -> str | None:
    """Why the steps of this learner cannot be captured on any device; None if they can."""
    if getattr(learner.meta_gradient, "__func__", None) is not MAML.meta_gradient:
        return f"{type(learner).__name__} computes its meta-gradient in a way of its own"
    if getattr(learner.before_iteration, "__func__", None) is not MAML.before_iteration:
        return f"{type(learner).__name__} changes from iteration to iteration"
    asked = (learner.engine,) if isinstance(learner.engine, str) else tuple(learner.engine)
    if not {"auto", "lean"} & set(asked):
        return f"engine={learner.engine!r} was asked for, and only 'lean' is captured"
    rates = learner.inner_lr.values() if isinstance(learner.inner_lr, dict) else [learner.inner_lr]
    if any(isinstance(rate, (list, tuple, np.ndarray)) for rate in rates):
        return "inner_lr holds arrays, which each step would copy to the GPU: give tensors"
    return None


def reason_against_optimiser(learner, plan) -> str | None:
    """Why the optimiser that the plan asks for cannot be captured; None if it can."""
    optimiser = make_optimiser(plan.optimiser, learner.everything().values(), plan.meta_lr)
    name, groups = type(optimiser).__name__, optimiser.param_groups
    if any(group.get("differentiable") for group in groups):
        return f"{name} was asked to be differentiable"
    if type(optimiser) in _CAPTURABLE:
        return None
    fused = all(group.get("fused") and not group.get("dampening") for group in groups)
    if type(optimiser) is torch.optim.SGD and fused:
        return None
    return f"torch's {name} cannot be captured" + (
        " unless it is fused, without dampening" if name == "SGD" else ""
    )


_UNEQUAL = "tasks of unequal size are taken in groups"


class CapturedStepper(PlainStepper):
    """Outer steps replayed from a CUDA graph; what it cannot capture it does step by step.

    Tasks come from `sampling.sampler_for` if that knows the family and the family may be drawn ahead; sinusoids
    are then not those of a CPU, though of the same distribution. Otherwise `tasks.sample` draws the same tasks
    as ever, one batch before each replay. A loss is NaN if its gradient was not finite; θ cannot be used then,
    as after a loss that is NaN.

    `run` may do fewer steps than asked for: an error between replays is raised by the next call, when the
    losses of the steps before it are known. Checkpoints are those of `PlainStepper`, and either goes on
    from the other's: to the same tasks where NumPy draws them, else to new ones. capture=False does
    the same steps without a graph, on any device. Raises ValueError as `PlainStepper` does.
    """

    stride = STRIDE

    def __init__(self, learner, tasks, plan, history, *, capture=True):
        super().__init__(learner, tasks, plan, history)
        example = self.params[0][1]
        self.device, self.dtype = example.device, example.dtype
        self.capture = capture and self.device.type == "cuda"
        self.because = ""  # why the steps are done one by one, once they are
        self.draws = sampler_for(tasks) if may_be_drawn_ahead(tasks) else None
        self.losses = torch.zeros(STRIDE, dtype=self.dtype, device=self.device)
        self.place = torch.zeros(1, dtype=torch.int64, device=self.device)  # of the next loss
        self.inputs: Any = None  # `_Inputs`, where NumPy draws
        self.graph: torch.cuda.CUDAGraph | None = None
        self.recorded: tuple | None = None  # what the graph was captured from
        self.held: TaskBatch | None = None  # drawn, and not yet used
        self.error: Exception | None = None  # raised by the next `run`
        _make_capturable(self.optimiser, self.device)

    # ------------------------------------------------------------------ many steps, one look

    def run(self, done: int, n: int) -> list[float]:
        """The meta-losses of up to n outer steps. TrainingDiverged, ValueError, or an error of the model."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if not self.because:
            with self._on_device():
                self.place.zero_()
                count = self._replays(done, min(n, STRIDE))
                if count:
                    return self.losses[:count].tolist()  # the one wait for the device
        return super().run(done, 1)

    def _replays(self, done, n):
        """Queue up to n steps on the device, without waiting for them; returns how many."""
        for count in range(n):
            try:
                batch = self._next_batch()
                if self.rates.schedule is not None:
                    self.rates.set(done + count)
                if count == 0:
                    self._make_ready(batch)
            except Exception as error:
                where = f"iteration {done + count + 1}; the parameters are those from before it."
                error.add_note(f"This was {where}")
                if count == 0:
                    raise
                self.error = error
                return count
            if self.because or not self._take_in(batch):
                self.held = batch
                return count
            self.graph.replay() if self.graph is not None else self._work()
        return n

    def _work(self):
        """One outer step, from tensors to tensors; nothing in it waits for the device."""
        value, grads = self.learner.meta_gradient(self._batch())
        flat = torch.cat([slope.reshape(-1) for slope in grads.values()])
        loss = value + 0.0 * torch.dot(flat, flat)  # NaN where that is not finite: 0 · ∞
        self.losses.index_copy_(0, self.place, loss.to(self.dtype).reshape(1))
        self.place.add_(1)
        self._update(grads)

    def _batch(self):
        """The four tensors of the next meta-batch: drawn here, or put into place from outside."""
        if self.inputs is not None:
            return self.inputs.tensors
        arrays = self.draws(self.stream, tasks=self.plan.meta_batch)
        return tuple(maml.like_params(values, self.learner.params) for values in arrays)

    # ------------------------------------------------------------------ tasks that NumPy draws

    def _next_batch(self):
        """The next meta-batch of NumPy's; None if the device draws its own."""
        if self.draws is not None:
            return None
        batch, self.held = self.held, None
        return super().sample() if batch is None else batch

    def _take_in(self, batch):
        """Put a batch where the step reads it. If it does not fit: False, and no more captured steps."""
        if self.inputs is None or self.inputs.put(batch):
            return True
        self._give_up(
            _UNEQUAL if _is_masked(batch) else "the batches of this family differ in shape"
        )
        return False

    def sample(self):
        """The next meta-batch for a step by itself."""
        if self.draws is None:
            return self._next_batch()
        return TaskBatch(*self._batch())

    # ------------------------------------------------------------------ the capture

    def _make_ready(self, batch):
        """Capture the step, unless that was done in these very circumstances."""
        if self._circumstances() == self.recorded:
            return
        if batch is not None and _is_masked(batch):
            self._give_up(_UNEQUAL)
            return
        self.graph, self.recorded = None, None
        self._adopt_parameters()
        if self.draws is None:
            self.inputs = _Inputs(maml.tensors_of(batch, self.learner.params))
        with self._nothing_happens():
            engine = fast.engine_for(self.learner, self._batch()).name
        if engine != "lean":
            self._give_up(f"the meta-gradient is computed by {engine!r}", warn=False)
            return
        with self._nothing_happens():
            _make_state(self.optimiser, self.params)
        try:
            with self._nothing_happens():
                self.graph = self._record()
        except NotCapturable as error:
            self._give_up(f"the model or its loss does what cannot be captured: {error}")
            return
        self.recorded = self._circumstances()

    def _record(self):
        """The graph of one step; None without capture."""
        if not self.capture:
            return None
        stream, before = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(before)
        with torch.cuda.stream(stream):  # the one of the capture: libraries keep a handle for each
            for _ in range(_WARM_UP):
                self._work()
        before.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._work()
        except RuntimeError as error:
            torch.cuda.set_stream(before)  # which torch leaves undone after an error
            _end_failed_capture(self.device)
            reason = str(error.__context__ or error)  # leaving the capture raises another one
            raise NotCapturable(reason.splitlines()[0]) from error
        return graph

    @contextlib.contextmanager
    def _nothing_happens(self):
        """What is done meanwhile to θ, the optimiser, the tasks and the place of the loss is undone."""
        tensors = [tensor for _, tensor in self.params] + [self.stream.drawn, self.place]
        tensors += [t for state in self.optimiser.state.values() for t in _tensors_in(state)]
        copies = [tensor.detach().clone() for tensor in tensors]
        try:
            yield
        finally:
            for _, parameter in self.params:
                parameter.grad = None
            with torch.no_grad():
                for tensor, copy in zip(tensors, copies, strict=True):
                    tensor.copy_(copy)

    def _circumstances(self):
        """Everything outside of the tensors' values that a captured step depends on."""
        learner, loop = self.learner, self.learner.loop()
        rates = loop.inner_lr if isinstance(loop.inner_lr, dict) else {"": loop.inner_lr}
        tensors = [*learner.everything().values(), *learner.model.buffers()]
        tensors += [rate for rate in rates.values() if isinstance(rate, torch.Tensor)]
        places = [(id(tensor), tensor.data_ptr(), tensor.requires_grad) for tensor in tensors]
        numbers = {n: rate for n, rate in rates.items() if not isinstance(rate, torch.Tensor)}
        loop = loop._replace(inner_lr=None, inner_loss=None, query_weights=str(loop.query_weights))
        losses = learner.loss_function, learner.inner_loss_function
        structures = [structure_of(thing) for thing in (learner.model, *losses)]
        return places, repr(numbers), loop, learner.precision, learner.engine, structures

    def _give_up(self, because, warn=True):
        """From now on one step at a time."""
        self.because, self.stride = because, 1
        self.graph, self.recorded, self.inputs = None, None, None
        if warn:
            warnings.warn(
                f"the outer steps are not replayed from a CUDA graph: {because}. They are done one by one, "
                f"to the same result, in more time; with engine='plain' without this warning.",
                stacklevel=6,
            )

    def _on_device(self):
        on_gpu = self.device.type == "cuda"
        return torch.cuda.device(self.device) if on_gpu else contextlib.nullcontext()

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict:
        """As `PlainStepper.state_dict` gives it, and what has been drawn on the device."""
        state = super().state_dict()
        groups = [_as_plain(group) for group in state["optimiser"]["param_groups"]]
        return state | {"optimiser": state["optimiser"] | {"param_groups": groups}}

    def load_state_dict(self, state: dict):
        """Take over what `state_dict` gave, of this stepper or another; the rate stays the one asked for."""
        groups = [
            saved | {name: group[name] for name in _MACHINERY if name in group}
            for saved, group in zip(
                state["optimiser"]["param_groups"], self.optimiser.param_groups, strict=True
            )
        ]
        super().load_state_dict(
            state | {"optimiser": state["optimiser"] | {"param_groups": groups}}
        )
        self.graph, self.recorded = None, None  # of other tensors


class NotCapturable(RuntimeError):
    """CUDA refused to capture a step; the message is torch's first line."""


def _end_failed_capture(device):
    """Bring torch's generator out of the capture that failed: at the end of one that succeeds.

    Until then torch would raise wherever random numbers are drawn on this GPU.
    """
    with contextlib.suppress(RuntimeError):
        torch.cuda.synchronize()
        with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.Stream()):
            torch.zeros(1, device=device)


# ------------------------------------------------------------------ the optimiser

_MACHINERY = ("lr", "capturable", "fused", "foreach")  # how a group is computed, not what


def _make_capturable(optimiser, device: torch.device):
    """Have the optimiser read its rates from tensors, and on a GPU count its steps there.

    As its constructor's capturable=True would; the rates are float32 because fused kernels want them so.
    """
    for group in optimiser.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), dtype=torch.float32, device=device)
        if "capturable" in group and device.type == "cuda":
            group["capturable"] = True
    optimiser._warned_capturable_if_run_uncaptured = True  # it is, in the warm-up, on purpose


def _as_plain(group: dict) -> dict:
    """A group of an optimiser's state_dict as the same optimiser has it that is not captured."""
    return (
        group
        | {"lr": float(group["lr"])}
        | ({"capturable": False} if "capturable" in group else {})
    )


def _make_state(optimiser, params):
    """Have an optimiser of `_CAPTURABLE`, or SGD, make the state that it lacks, as before the first step.

    Made within a capture, it would be made again at each replay. Changes the parameters.
    """
    fresh = [parameter for _, parameter in params if parameter not in optimiser.state]
    if not fresh:
        return
    for parameter in fresh:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for parameter in fresh:
        for name, value in optimiser.state[parameter].items():
            if isinstance(value, torch.Tensor):
                value.fill_(1.0 if name == "mu_product" else 0.0)  # NAdam's product begins as 1


# ------------------------------------------------------------------ the inputs


class _Inputs:
    """The four tensors of a meta-batch, which stay where they are, and the way into them.

    On the way to a GPU a batch waits in pinned memory, from where it is copied while Python goes on: into
    one of `_AHEAD` places in turn, each used again when its last copy is done.
    """

    def __init__(self, tensors):
        self.tensors = tuple(tensor.clone() for tensor in tensors)
        self.places = []
        if self.tensors[0].is_cuda:
            self.places = [
                ([_pinned(t) for t in self.tensors], torch.cuda.Event()) for _ in range(_AHEAD)
            ]
        self.turn = 0

    def put(self, batch: TaskBatch) -> bool:
        """Copy a batch into the tensors, without waiting for the device. False if its shapes differ."""
        values = [torch.as_tensor(array) for array in batch.arrays]
        if _is_masked(batch) or list(map(_kind, values)) != list(map(_kind, self.tensors)):
            return False
        if not self.places:
            for tensor, value in zip(self.tensors, values, strict=True):
                tensor.copy_(value)
            return True
        waiting, taken = self.places[self.turn % _AHEAD]
        self.turn += 1
        taken.synchronize()
        for tensor, place, value in zip(self.tensors, waiting, values, strict=True):
            tensor.copy_(value if value.is_cuda else place.copy_(value), non_blocking=True)
        taken.record()
        return True


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    """Room for a tensor's values in memory that the GPU can read by itself."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)


def _kind(tensor: torch.Tensor) -> tuple:
    """What must be the same for one tensor's values to fit into another."""
    return tensor.shape, tensor.is_floating_point(), tensor.dtype == torch.bool


def _tensors_in(state: dict) -> list[torch.Tensor]:
    return [value for value in state.values() if isinstance(value, torch.Tensor)]


def _is_masked(batch: TaskBatch) -> bool:
    """Whether its tasks may be of unequal size."""
    return batch.support_mask is not None or batch.query_mask is not None
