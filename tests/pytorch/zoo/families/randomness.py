"""Forward passes that draw random numbers, or that are not the same twice for another reason."""

import random
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..case import IMAGE, Case, around, drawn, in_eval, real, reals, tanh_mlp
from ..models import LastOf, SelfAttention, linear

_SEVEN = {"inner_steps": 7, "inner_lr": 0.02}


def _attention_dropout():
    case = drawn(SelfAttention(4, 2, 2, need_weights=False, dropout=0.5), inputs=(3, 4))
    case.model.attention.requires_grad_(False)
    return case


def _lstm_dropout():
    lstm = nn.LSTM(3, 4, 2, dropout=0.5, batch_first=True)
    case = drawn(LastOf(lstm, 2), inputs=(3, 3))
    case.model.recurrent.requires_grad_(False)
    return case


def _scaled(factor, **attributes):
    """A linear layer of x times factor(module, x)."""
    return drawn(linear(lambda m, x: x * factor(m, x), **attributes))


def _in_closure(generator, draw):
    return _scaled(lambda m, x: draw(generator))


def _torch_draw(generator):
    return torch.rand(4, generator=generator, dtype=torch.float64)


def _rare(at=lambda m: m.rng, **attributes):
    """Now and then (p = 0.02) the inputs are six times as large."""
    factor = lambda m, x: 1 + 5 * (at(m).random() < 0.02)
    return drawn(linear(lambda m, x: x * factor(m, x), **attributes), options=_SEVEN)


class CountsCalls(nn.Module):
    """The output depends on how often the model was called: `state` has `calls`, `scale(calls)` says how."""

    def __init__(self, scale, state=None):
        super().__init__()
        self.layer, self.scale, self.calls = nn.Linear(4, 2), scale, 0
        self.state = state

    def forward(self, x):
        holder = self if self.state is None else self.state
        holder.calls += 1
        return self.layer(x) * self.scale(holder.calls)


class InitialisedByData(nn.Module):
    """Takes the scale of its inputs from the first ones that it sees, as ActNorm does."""

    def __init__(self):
        super().__init__()
        self.layer, self.ready, self.scale = nn.Linear(4, 2), False, 1.0

    def forward(self, x):
        if not self.ready:
            self.scale, self.ready = float(x.detach().std()), True
        return torch.tanh(self.layer(x / self.scale))


def _counted_in_a_list(m, x):
    m.state["calls"][0] += 1
    return x / m.state["calls"][0]


CASES = {
    "Dropout": lambda: drawn(nn.Dropout(0.5), nn.Linear(4, 2)),
    "Dropout, seven steps": lambda: drawn(nn.Dropout(0.5), nn.Linear(4, 2), options=_SEVEN),
    "Dropout, eval": lambda: in_eval(real(nn.Dropout(0.5), nn.Linear(4, 2))),
    "Dropout that drops nothing": lambda: around(nn.Dropout(1e-9)),
    "Dropout2d": lambda: drawn(nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(32, 2), inputs=IMAGE),
    "Dropout2d before a convolution": lambda: drawn(
        nn.Dropout2d(0.5),
        nn.Conv2d(2, 2, 4),
        nn.Flatten(),
        inputs=IMAGE,
    ),
    "AlphaDropout": lambda: drawn(nn.AlphaDropout(0.5), nn.Linear(4, 2)),
    "F.dropout, always on": lambda: drawn(linear(lambda m, x: F.dropout(x, 0.5))),
    "F.dropout, images, seven steps": lambda: drawn(
        linear(lambda m, x: F.dropout(x, 0.5), convolution=nn.Conv2d(1, 1, 1)), options=_SEVEN
    ),
    "FractionalMaxPool2d": lambda: drawn(
        nn.FractionalMaxPool2d(2, output_size=2), nn.Flatten(), nn.Linear(8, 2), inputs=IMAGE
    ),
    "Gaussian noise": lambda: drawn(linear(lambda m, x: x + torch.randn_like(x))),
    "LSTM with dropout": _lstm_dropout,
    "attention with dropout": _attention_dropout,
    "dropout behind .item()": lambda: drawn(
        linear(lambda m, x: F.dropout(x, 0.5) * (1 + abs(x.sum().item())))
    ),
    "dropout where gradients are wanted": lambda: drawn(
        linear(lambda m, x: F.dropout(x, 0.5) if torch.is_grad_enabled() else x), options=_SEVEN
    ),
    "dropout in the loss": lambda: Case(
        tanh_mlp().double(), lambda out, y: F.mse_loss(F.dropout(out, 0.5), y), reals()
    ),
    "Python's random": lambda: _scaled(lambda m, x: random.random()),
    "NumPy's random": lambda: _scaled(lambda m, x: float(np.random.rand())),
    "NumPy generator": lambda: _scaled(
        lambda m, x: float(m.rng.random()), rng=np.random.default_rng(0)
    ),
    "NumPy generator in a list": lambda: _scaled(
        lambda m, x: float(m.all[0].random()), all=[np.random.default_rng(0)]
    ),
    "NumPy generator in a closure": lambda: _in_closure(
        np.random.default_rng(0), lambda g: float(g.random())
    ),
    "Python generator in a closure": lambda: _in_closure(random.Random(0), lambda g: g.random()),
    "torch generator": lambda: _scaled(
        lambda m, x: _torch_draw(m.rng), rng=torch.Generator().manual_seed(0)
    ),
    "torch generator in a closure": lambda: _in_closure(
        torch.Generator().manual_seed(0), _torch_draw
    ),
    "now and then": lambda: _rare(rng=np.random.default_rng(3)),
    "now and then, generator in a list": lambda: _rare(
        lambda m: m.all[0], all=[np.random.default_rng(3)]
    ),
    "other at its first call": lambda: real(CountsCalls(lambda n: 2.0 if n == 1 else 1.0 + n % 3)),
    "other after eight calls": lambda: real(CountsCalls(lambda n: 1.0 if n < 9 else 3.0)),
    "counter in a namespace": lambda: real(
        CountsCalls(lambda n: 1 / n, state=SimpleNamespace(calls=0))
    ),
    "counter in a namespace that plays no part": lambda: real(
        CountsCalls(lambda n: 1.0, state=SimpleNamespace(calls=0))
    ),
    "counter in a list in a dict": lambda: real(linear(_counted_in_a_list, state={"calls": [0]})),
    "initialised by the first data": lambda: real(InitialisedByData()),
    "RReLU, eval": lambda: in_eval(around(nn.RReLU())),
}
