"""Inner loops of every kind, tasks of unequal size, batches of every kind, and what the caller is in."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from maml_edu.tasks import TaskBatch

from ..case import SINGLE, Case, around, conv4, mapped, of_images, real, reals, relu_mlp, tanh_mlp
from ..models import Branches, LastOf

_BY_NAME = {"0.weight": 0.1, "0.bias": 0.2, "2.weight": 0.05, "2.bias": 0.1}


def rule(params, slopes, state, rate):
    """A rule of one's own: slopes that are squashed, and a step that grows."""
    count = 1 if state is None else state + 1
    rates = rate if isinstance(rate, dict) else dict.fromkeys(params, rate)
    step = lambda name: rates[name] * count * slopes[name] / (1 + slopes[name].abs())
    return {name: p - step(name) for name, p in params.items()}, count


_LOOPS = {
    "rate per parameter": {"inner_lr": {**_BY_NAME, "2.bias": 0.0}},
    "rate per step": {"inner_lr": torch.tensor([0.1, 0.05])},
    "learned rates": {"inner_lr": _BY_NAME, "learn_inner_lr": True},
    "one learned rate": {"learn_inner_lr": True},
    "learned rate per step": {"inner_lr": torch.tensor([0.1, 0.05]), "learn_inner_lr": True},
    "some adapt": {"adapting": ("2.weight", "2.bias")},
    "first order": {"first_order": True},
    "query weights": {"query_weights": [0.2, 0.3, 0.5]},
    "inner loss": {"inner_loss": F.l1_loss},
    "inner momentum": {"inner_optimiser": "momentum", "inner_steps": 3},
    "inner Adam": {"inner_optimiser": "adam", "inner_steps": 3},
    "inner clip": {"inner_clip": 0.5},
    "inner clip by value": {"inner_clip": ("value", 0.1)},
    "own rule": {"inner_optimiser": rule},
    "no inner step": {"inner_steps": 0},
    "seven inner steps": {"inner_steps": 7, "inner_lr": 0.05},
}
_FEW = {
    name: _LOOPS[name] for name in ("one learned rate", "first order", "inner Adam", "own rule")
}


def _lstm(**rest):
    return real(LastOf(nn.LSTM(3, 4, batch_first=True), 2), inputs=(3, 3), **rest)


def unequal(inputs=(4,)):
    """A batch with masks."""
    draw, tasks = np.random.default_rng(0).normal, []
    for shots, queries in ((4, 5), (2, 5), (4, 3)):
        sizes = (shots, *inputs), (shots, 2), (queries, *inputs), (queries, 2)
        tasks.append(tuple(draw(size=size) for size in sizes))
    return TaskBatch.padded(tasks)


def _of(change, model=relu_mlp):
    """A perceptron and a batch with change(name, values) in the place of its arrays."""
    case = real(model())
    case.batch = mapped(case.batch, change)
    return case


def _made_in_inference_mode():
    case = real(tanh_mlp())
    with torch.inference_mode():
        case.batch = mapped(case.batch, lambda name, values: torch.as_tensor(values) * 1)
    return case


def _on_x(change):
    return lambda name, values: change(values) if name.endswith("_x") else values


def _transposed(name, values):
    return torch.as_tensor(values).transpose(1, 2).contiguous().transpose(1, 2)


_AUTOCAST = {"around": lambda: torch.autocast("cpu", torch.bfloat16), "tolerance": 0.05}

CASES = {
    **{f"MLP: {n}": lambda o=options: real(relu_mlp(), options=o) for n, options in _LOOPS.items()},
    **{
        f"LayerNorm: {n}": lambda o=options: around(nn.LayerNorm(5), options=o)
        for n, options in _FEW.items()
    },
    **{
        f"images: {n}": lambda o=options: of_images(nn.BatchNorm2d(4), nn.ReLU(), options=o)
        for n, options in _FEW.items()
    },
    **{
        f"Conv4: {n}": lambda o=_LOOPS[n]: conv4(options=o)
        for n in ("one learned rate", "rate per step", "first order", "query weights", "inner clip")
    },
    "Conv4: some adapt": lambda: conv4(options={"adapting": ("5.weight", "5.bias")}),
    "MLP: inner loss of no parameter": lambda: real(
        relu_mlp(),
        options={"inner_loss": lambda out, y: y.square().mean()},
        refused="does not depend on the parameters",
    ),
    "LSTM: inner Adam": lambda: _lstm(options=_LOOPS["inner Adam"]),
    "LSTM: learned rate": lambda: _lstm(options=_LOOPS["one learned rate"]),
    "masks": lambda: Case(relu_mlp().double(), F.mse_loss, unequal()),
    "masks, batch norm": lambda: Case(
        nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).double(),
        F.mse_loss,
        unequal(),
    ),
    "masks, branches": lambda: Case(Branches().double(), F.mse_loss, unequal()),
    "caller in no_grad": lambda: real(tanh_mlp(), around=torch.no_grad),
    "caller in no_grad, LSTM": lambda: _lstm(around=torch.no_grad),
    "caller in inference mode": lambda: real(tanh_mlp(), around=torch.inference_mode),
    "caller in inference mode, LSTM": lambda: _lstm(around=torch.inference_mode),
    "caller in autocast": lambda: real(relu_mlp(), dtype=SINGLE, **_AUTOCAST),
    "precision bf16": lambda: real(
        relu_mlp(), dtype=SINGLE, options={"precision": "bf16"}, tolerance=0.05
    ),
    "bfloat16 model": lambda: Case(tanh_mlp().bfloat16(), F.mse_loss, reals(), tolerance=0.05),
    "batch made in inference mode": _made_in_inference_mode,
    "batch in float32": lambda: _of(lambda name, values: values.astype(np.float32)),
    "batch of flipped arrays": lambda: _of(_on_x(lambda x: x[..., ::-1])),
    "batch of transposed tensors": lambda: _of(_transposed),
    "x that wants a gradient": lambda: _of(_on_x(lambda x: torch.as_tensor(x).requires_grad_())),
    "one task": lambda: _of(lambda name, values: values[:1]),
    "one example": lambda: _of(lambda name, values: values[:, :1]),
}
