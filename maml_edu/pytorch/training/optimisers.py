"""The outer loop's update rule, its rate and its clipping, from what `meta_train` is given.

Start with `make_optimiser`. The rules themselves are those of torch.optim.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

OPTIMISERS: dict[str, tuple[type[torch.optim.Optimizer], dict]] = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}
_FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)  # one kernel for all parameters


def make_optimiser(optimiser, params, meta_lr: float, shares=None) -> torch.optim.Optimizer:
    """The optimiser of these tensors: a name of `OPTIMISERS`, a torch.optim class, or a function.

    A name gives the fused form if torch has it, which rounds in another order and does nothing else otherwise.
    A class is called as optimiser(params, lr=meta_lr); a function is called as optimiser(params) and sets its
    own learning rate. shares: for each tensor, what its rate is a multiple of meta_lr by (None: 1 for all);
    names and classes then get a group for each share. Raises ValueError for anything else.
    """
    params = list(params)
    groups = _grouped(params, shares or [1.0] * len(params), meta_lr)
    if isinstance(optimiser, str) and optimiser in OPTIMISERS:
        kind, options = OPTIMISERS[optimiser]
        fused = {"fused": True} if kind in _FUSED and _fusible(params) else {}
        return kind(groups, lr=meta_lr, **options, **fused)
    result = None
    if isinstance(optimiser, type) and issubclass(optimiser, torch.optim.Optimizer):
        result = optimiser(groups, lr=meta_lr)  # type: ignore[call-arg]
    elif callable(optimiser) and not isinstance(optimiser, torch.optim.Optimizer):
        result = optimiser(params)
    if not isinstance(result, torch.optim.Optimizer):
        raise ValueError(
            f"optimiser must be one of {', '.join(OPTIMISERS)}, a class of torch.optim, or a function "
            f"params → optimiser (such as lambda params: torch.optim.SGD(params, lr=0.1)); got "
            f"{optimiser!r}."
        )
    return result


def _grouped(params, shares, meta_lr):
    """The tensors themselves where all share one rate; else a group for each share, that of 1 first."""
    if all(share == 1 for share in shares):
        return params
    pairs = list(zip(params, shares, strict=True))
    return [
        {"params": [p for p, own in pairs if own == share], "lr": meta_lr * share}
        for share in sorted(set(shares), key=lambda share: (share != 1, share))
    ]


def _fusible(params):
    """Whether torch 2.6 and later have fused kernels for tensors like these."""
    return all(
        p.device.type in ("cpu", "cuda")
        and p.is_floating_point()
        and laid_as(torch.empty_like(p), p).stride() == p.stride()
        for p in params
    )


def laid_as(values: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The same numbers in the order in which the parameter has its own in memory.

    A gradient or an average that has another order goes with the wrong elements in torch's fused kernels on a
    CPU (2.13), which go by position.
    """
    contiguous = values.is_contiguous() and parameter.is_contiguous()
    if contiguous or values.stride() == parameter.stride():
        return values
    return torch.empty_like(parameter, requires_grad=False).copy_(values)


def make_schedule(schedule, iterations: int) -> Callable[[int], float] | None:
    """A function iteration (from 0) → factor of the rate; None if the rate stays as it is.

    "cosine" falls from 1 to 0 over the iterations, ("cosine", x) from 1 to x (Loshchilov & Hutter 2017,
    equation 5, without restarts). A function must depend on its argument alone: then a resumed run is
    the same as one without a pause. Raises ValueError for anything else.
    """
    pair = isinstance(schedule, (tuple, list)) and len(schedule) == 2
    name, last = schedule if pair else (schedule, 0.0)
    if name == "cosine" and _is_number(last) and 0 <= last <= 1:
        return lambda i: last + (1 - last) * (1 + math.cos(math.pi * i / iterations)) / 2
    if schedule is None or schedule == "constant":
        return None
    if callable(schedule):
        return schedule
    raise ValueError(
        f'schedule must be "constant", "cosine", ("cosine", last factor from 0 to 1) or a function '
        f"iteration → factor; got {schedule!r}."
    )


class Rates:
    """The rates of an optimiser's groups: what they were to begin with, times a factor."""

    def __init__(self, optimiser, schedule):
        self.optimiser, self.schedule = optimiser, schedule
        self.base = [float(group["lr"]) for group in optimiser.param_groups]

    def set(self, iteration: int):
        """Set the rates of this iteration (from 0). ValueError if the schedule gives no number ≥ 0."""
        factor = self.schedule(iteration)
        if not _is_number(factor) or factor < 0:
            raise ValueError(f"schedule gave the factor {factor!r}: it must be a number ≥ 0.")
        self.multiply(float(factor))

    def multiply(self, factor: float):
        """Make the rates `factor` times what they were to begin with."""
        for group, base in zip(self.optimiser.param_groups, self.base, strict=True):
            if isinstance(group["lr"], torch.Tensor):  # a captured step reads this very tensor
                group["lr"].fill_(base * factor)
            else:
                group["lr"] = base * factor


def make_clip(clip) -> Callable[[list[torch.Tensor]], object] | None:
    """A function that clips the gradients of parameters in place; None if nothing is to be clipped.

    A number: the norm of all gradients together is at most that. ("value", x): each element is within
    ±x. Raises ValueError for anything else.
    """
    if clip is None:
        return None
    pair = isinstance(clip, (tuple, list)) and len(clip) == 2
    name, limit = clip if pair else ("norm", clip)
    if name in ("norm", "value") and _is_number(limit) and limit > 0:
        clipping = clip_grad_value_ if name == "value" else clip_grad_norm_
        return lambda params: clipping(params, limit)
    raise ValueError(
        f'clip must be a number > 0 (the largest norm of the gradient) or ("value", x) with x > 0 (the '
        f"largest element); got {clip!r}."
    )


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
