"""What a case of the zoo is, and the batches and one-line models that its families are written with."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TASKS, SHOTS, QUERIES = 3, 4, 5
IMAGE = (2, 4, 4)
SINGLE = torch.float32


@dataclass
class Case:
    """A model with its loss and a batch of tasks.

    options: of mt.MAML. linear: forward is random and the output linear in θ, with targets 0: then
    ⟨θ, gradient⟩ = 2 × value whatever was drawn, as long as value and gradient are of the same draws.
    around: a context that the caller is in. tolerance: where it is not that of the precision. writes: what
    the model itself changes in a forward pass, such as "parameters". refused: what every engine says, where
    there is no right number.
    """

    model: nn.Module
    loss: Any
    batch: Any
    options: dict = field(default_factory=dict)
    linear: bool = False
    around: Callable | None = None
    tolerance: float | None = None
    writes: tuple = ()
    refused: str = ""


def built(make) -> Case:
    """The case that a function makes, always the same one, with parameters that are nowhere 0 or 1."""
    seed()
    case = make()
    case.options = {"inner_lr": 0.1, "inner_steps": 2, **case.options}
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in case.model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=draw).to(parameter.dtype)
    return case


def seed():
    """Begin torch's, NumPy's and Python's random numbers again."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


# ------------------------------------------------------------------ batches


def batch_of(x, y):
    """A batch of x(n), y(n): n examples of a task."""
    fields = {}
    for role, n in (("support", SHOTS), ("query", QUERIES)):
        fields[f"{role}_x"] = np.stack([x(n) for _ in range(TASKS)])
        fields[f"{role}_y"] = np.stack([y(n) for _ in range(TASKS)])
    return SimpleNamespace(**fields)


def mapped(batch, function):
    """The batch with function(name, values) in the place of each array."""
    return SimpleNamespace(**{name: function(name, values) for name, values in vars(batch).items()})


def normal(*shape):
    return lambda n: np.random.normal(size=(n, *shape))


def whole(below, *shape):
    return lambda n: np.random.randint(below, size=(n, *shape))


def boolean(n):
    return np.random.rand(n, 1) < 0.5


def probabilities(n):
    return np.random.dirichlet([1, 1, 1], n)


def reals(inputs=(4,), outputs=(2,)):
    return batch_of(normal(*inputs), normal(*outputs))


# ------------------------------------------------------------------ a model in a line


def real(*layers, loss=F.mse_loss, inputs=(4,), outputs=(2,), dtype=torch.float64, **rest):
    """Layers one after the other, real x and y."""
    return Case(_joined(layers).to(dtype), loss, reals(inputs, outputs), **rest)


def drawn(*layers, inputs=(4,), outputs=(2,), **rest):
    """A random forward pass, linear in θ, and targets 0."""
    batch = batch_of(normal(*inputs), lambda n: np.zeros((n, *outputs)))
    return Case(_joined(layers).double(), F.mse_loss, batch, linear=True, **rest)


def classifier(*layers, loss=F.cross_entropy, inputs=(4,), ways=3, **rest):
    """Layers one after the other, real x and labels below `ways`."""
    return Case(_joined(layers).double(), loss, batch_of(normal(*inputs), whole(ways)), **rest)


def of_words(*layers, loss=F.mse_loss, y=None, **rest):
    """Layers one after the other, for four tokens below 6."""
    batch = batch_of(whole(6, 4), normal(2) if y is None else y)
    return Case(_joined(layers).double(), loss, batch, **rest)


def of_images(*middle, **rest):
    """Convolution → middle (4 channels) → mean over places → linear."""
    end = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    return real(nn.Conv2d(2, 4, 3, padding=1), *middle, *end, inputs=IMAGE, **rest)


def around(*middle, **rest):
    """Linear → middle (5 features) → tanh → linear."""
    return real(nn.Linear(4, 5), *middle, nn.Tanh(), nn.Linear(5, 2), **rest)


def tanh_mlp(outputs=2):
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, outputs))


def relu_mlp(outputs=2):
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, outputs))


def conv4(options=None, **norm):
    """Layers as Conv4 has them."""
    block = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3, **norm), nn.ReLU(), nn.MaxPool2d(2)
    end = nn.Flatten(), nn.Linear(12, 2)
    return real(*block, *end, inputs=IMAGE, options=options or {})


def in_eval(case):
    """The case in eval mode, with running statistics that were written."""
    for module in case.model.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(3)
    case.model.eval()
    return case


def frozen(case, *names):
    """The case with these parameters frozen, and no others."""
    for name, parameter in case.model.named_parameters():
        parameter.requires_grad_(name not in names)
    return case


def _joined(layers):
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
