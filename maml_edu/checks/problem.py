"""A meta-learning problem as a diagnosis needs it: any inner loop can be put into it and differentiated.

Two back ends serve one code: losses on NumPy arrays are differentiated by `maml_edu.reference`, losses on
tensors, of torch models among them, by autograd in float64. Start from `problem_of`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from maml_edu import reference as ref
from maml_edu.reference.maml import check_inner_loop, rate

SETS = ("support_x", "support_y", "query_x", "query_y")
EXPECTED = (
    "loss must be a function loss(params, x, y) that returns one number for one task, on NumPy arrays or on "
    "tensors; where params is a torch model, loss(prediction, y) will do, such as torch.nn.functional.mse_loss"
)


class OnArrays:
    """A loss on NumPy arrays."""

    name = "NumPy arrays"

    def __init__(self, loss):
        self.loss = loss

    def slope(self, params, x, y):
        return ref.grad(self.loss)(params, x, y)

    def gradient(self, function, params):
        return ref.grad(function)(params)

    constant = staticmethod(ref.stop_gradient)
    root = staticmethod(np.sqrt)

    @staticmethod
    def given(value):
        return value


class OnTensors:
    """A loss on tensors, in float64."""

    name = "tensors"

    def __init__(self, loss):
        import torch

        self.loss, self.torch, self.root = loss, torch, torch.sqrt

    def slope(self, params, x, y):
        leaves = {
            k: p if p.requires_grad else p.detach().requires_grad_() for k, p in params.items()
        }
        return self._slopes(self.loss(leaves, x, y), leaves, create_graph=True)

    def gradient(self, function, params):
        leaves = {k: self.given(p).detach().clone().requires_grad_() for k, p in params.items()}
        slopes = self._slopes(function(leaves), leaves)
        return {k: slope.detach().numpy() for k, slope in slopes.items()}

    def _slopes(self, value, leaves, **how):
        if not value.requires_grad:
            return {k: self.torch.zeros_like(p) for k, p in leaves.items()}
        found = self.torch.autograd.grad(value, list(leaves.values()), allow_unused=True, **how)
        pairs = zip(leaves.items(), found, strict=True)
        return {k: self.torch.zeros_like(p) if s is None else s for (k, p), s in pairs}

    @staticmethod
    def constant(value):
        if isinstance(value, dict):
            return {k: v.detach() for k, v in value.items()}
        return value.detach()

    def given(self, value):
        """An array as a tensor."""
        if isinstance(value, (np.ndarray, np.generic)):
            value = self.torch.as_tensor(np.array(value))
        return value


@dataclass(frozen=True)
class Problem:
    """params: name → float64 array; sets: the batch's four arrays; rates: inner_lr; steps: inner_steps."""

    back: Any
    params: dict[str, np.ndarray]
    sets: tuple[np.ndarray, ...]
    rates: Any
    steps: int

    @property
    def tasks(self) -> int:
        return len(self.sets[2])

    def only(self, tasks) -> Problem:
        """The problem with some of the tasks: a slice, or their numbers."""
        return replace(self, sets=tuple(part[tasks] for part in self.sets))

    def gradient(self, *, sets=None, inner=None, **how) -> dict[str, np.ndarray]:
        """∇θ of the mean query loss after `inner(params, x, y, **how)`, which is `descend` if not given."""
        inner, back = inner or self.descend, self.back
        tasks = [tuple(map(back.given, task)) for task in zip(*(sets or self.sets), strict=True)]

        def mean(params):
            losses = [back.loss(inner(params, sx, sy, **how), qx, qy) for sx, sy, qx, qy in tasks]
            return sum(losses) / len(losses)

        return back.gradient(mean, self.params)

    def descend(
        self, params, x, y, *, steps=None, rates=None, direction=None, first_order=False, state=None
    ):
        """φ after `steps` inner steps. direction(slope, params, state) → (what is subtracted, state)."""
        steps = self.steps if steps is None else steps
        rates = self.rates if rates is None else rates
        for step in range(steps):
            slope = self.back.slope(params, x, y)
            if first_order:
                slope = self.back.constant(slope)
            if direction is not None:
                slope, state = direction(slope, params, state)
            params = self.moved(params, slope, rates, step, steps)
        return params

    def moved(self, params, slope, rates, step, steps):
        given = self.back.given
        return {
            name: value - given(rate(rates, name, value, step, steps)) * slope[name]
            for name, value in params.items()
        }

    def times(self, factor):
        """The inner rates, times a factor."""
        if isinstance(self.rates, dict):
            return {name: np.multiply(own, factor) for name, own in self.rates.items()}
        return np.multiply(self.rates, factor)

    @property
    def has_step_axis(self) -> bool:
        """Whether there is a rate of its own for each step, so that no other number of steps makes sense."""
        if not isinstance(self.rates, dict):
            return np.ndim(self.rates) > 0
        return any(np.shape(v) not in ((), np.shape(self.params[k])) for k, v in self.rates.items())


# ------------------------------------------------------------------ what is given


def problem_of(loss, params, batch, inner_lr, inner_steps) -> Problem:
    """The problem that the arguments of `diagnose_meta_gradient` describe. ValueError where they make no sense."""
    module = params if is_module(params) else None
    params, sets = numpy_params(params), numpy_sets(batch)
    rates = (
        {k: numpy_of(v) for k, v in inner_lr.items()}
        if isinstance(inner_lr, dict)
        else numpy_of(inner_lr)
    )
    steps = check_inner_loop(params, rates, inner_steps)
    if len({len(part) if np.ndim(part) else 0 for part in sets} | {0}) != 2:
        raise ValueError(
            "the batch needs the same number of tasks (≥ 1) on the leading axis of its four arrays; "
            f"their shapes are {[np.shape(part) for part in sets]}."
        )
    return Problem(_back_of(loss, params, sets, module), params, sets, rates, steps)


def _back_of(loss, params, sets, module):
    """The first back end on which the loss gives one number for the first task."""
    qx, qy = sets[2][0], sets[3][0]
    problems = []
    for back in _backs(loss, module):
        try:
            value = back.loss(
                {k: back.given(p) for k, p in params.items()}, back.given(qx), back.given(qy)
            )
        except Exception as error:
            problems.append(f"called with {back.name} it raised {type(error).__name__}: {error}")
            continue
        wrong = hasattr(value, "detach") != isinstance(back, OnTensors)
        if not wrong and np.ndim(value) == 0:
            return back
        shape = f" of shape {tuple(np.shape(value))}" if np.ndim(value) else ""
        problems.append(f"called with {back.name} it returned a {type(value).__name__}{shape}")
    raise ValueError(f"{EXPECTED}. {'; '.join(problems)}.")


def _backs(loss, module):
    if module is None:
        return [OnArrays(loss), OnTensors(loss)]
    return [OnTensors(_of_prediction(loss, module)), OnTensors(loss), OnArrays(loss)]


def _of_prediction(loss, module):
    """loss(prediction, y) as loss(params, x, y); the model's buffers are copies in float64."""
    from torch.func import functional_call

    def on_params(params, x, y):
        rest = dict(module.named_buffers()) | dict(module.named_parameters())
        rest = {k: v.detach().clone() for k, v in rest.items() if k not in params}
        rest = {k: v.double() if v.is_floating_point() else v for k, v in rest.items()}
        return loss(functional_call(module, params | rest, (x,)), y)

    return on_params


def is_module(thing) -> bool:
    return hasattr(thing, "named_parameters")


def numpy_of(value):
    """An array of a tensor or of anything; NumPy has no bfloat16, float32 holds it."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if "bfloat16" in str(value.dtype) else value).numpy()


def numpy_params(params) -> dict[str, np.ndarray]:
    """The parameters as float64 arrays by name; of a torch model, those that are not frozen."""
    if is_module(params):
        params = {k: p for k, p in params.named_parameters() if p.requires_grad}
    if not isinstance(params, dict):
        hint = "" if np.shape(params) else " Of a torch model, give the model itself."
        raise ValueError(
            "params must be a dict name → array or tensor, or a torch model; "
            f"got {type(params).__name__}.{hint}"
        )
    return {name: np.asarray(numpy_of(value), float) for name, value in params.items()}


def numpy_sets(batch) -> tuple[np.ndarray, ...]:
    """A batch's four arrays; reals in float64."""
    if isinstance(batch, (tuple, list)) and len(batch) == len(SETS):
        batch = SimpleNamespace(**dict(zip(SETS, batch, strict=True)))
    if not all(hasattr(batch, name) for name in SETS):
        raise ValueError(
            f"batch must have {', '.join(SETS)}, or be a tuple of these four; got {type(batch).__name__}."
        )
    if any(getattr(batch, name, None) is not None for name in ("support_mask", "query_mask")):
        raise ValueError(
            "batch has masks, for tasks of unequal size: give one of its groups() at a time, and the "
            "gradient of that group."
        )
    arrays = (numpy_of(getattr(batch, name)) for name in SETS)
    return tuple(a.astype(float) if a.dtype.kind == "f" else a for a in arrays)


# ------------------------------------------------------------------ whose gradient it is


class Candidate:
    """What is to be diagnosed: fixed gradients, or something that can be asked about other problems, too.

    A function gets what was given to `diagnose_meta_gradient`; a learner (anything with
    `meta_gradient(batch)`) has rates and steps of its own, so it can be asked about other batches only.
    """

    def __init__(self, candidate, loss, params, batch):
        self.candidate, self.loss, self.params, self.batch = candidate, loss, params, batch
        self.learner = callable(getattr(candidate, "meta_gradient", None))
        self.function = not self.learner and not is_module(candidate) and callable(candidate)

    def gradients(self, problem: Problem) -> dict[str, Any]:
        """Name → array or None (no gradient), as given; ValueError for what is no gradient at all."""
        got = self._asked(problem)
        if isinstance(got, (tuple, list)) and len(got) == 2:
            got = got[1]
        if is_module(got):
            got = {name: p.grad for name, p in got.named_parameters() if p.requires_grad}
            got = got if any(grad is not None for grad in got.values()) else self.candidate
        if not isinstance(got, dict):
            hint = " Its parameters hold no .grad: call backward() first." * is_module(got)
            hint += " Of a learner, meta_gradient must be a method." * hasattr(got, "meta_gradient")
            raise ValueError(
                "candidate must be a dict of gradients like params, a pair (meta-loss, gradients), a torch "
                "model whose parameters hold .grad, a learner or a function that returns gradients; "
                f"got {type(got).__name__}.{hint}"
            )
        if self.learner:
            got = {name: value for name, value in got.items() if not name.startswith("inner_lr")}
        return {name: None if value is None else _leaf(value) for name, value in got.items()}

    def _asked(self, problem):
        if self.learner:
            return self.candidate.meta_gradient(self._batch(problem))
        if not self.function:
            return self.candidate
        on_arrays = isinstance(problem.back, OnArrays)
        params = problem.params if on_arrays else self._on_tensors(problem)
        batch = self._batch(problem)
        try:
            return self.candidate(self.loss, params, batch, problem.rates, problem.steps)
        except Exception as error:
            error.add_note(
                f"candidate is a function, so it was called with {problem.back.name}, since the loss works on "
                "them: candidate(loss, params, batch, inner_lr, inner_steps). If it works on others, give the "
                "gradients that it returns instead."
            )
            raise

    def _on_tensors(self, problem):
        if is_module(self.params):
            import copy

            return copy.deepcopy(self.params).double()
        return {k: problem.back.given(p).requires_grad_() for k, p in problem.params.items()}

    def _batch(self, problem):
        """The problem's batch, in the form in which batches were given."""
        if not self.learner:
            return SimpleNamespace(
                **dict(zip(SETS, map(problem.back.given, problem.sets), strict=True))
            )
        if isinstance(self.batch, (tuple, list)):
            return tuple(part[: problem.tasks] for part in self.batch)
        return type(self.batch)(
            **{name: getattr(self.batch, name)[: problem.tasks] for name in SETS}
        )


def _leaf(value):
    """A gradient as an array; of objects when it is not regular."""
    try:
        return numpy_of(value)
    except ValueError:
        return np.empty((), object)
