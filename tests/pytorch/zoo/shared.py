"""Models that put features where several threads would overwrite one another's: `CASES`.

Large enough that a thread is interrupted between writing and reading.
"""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from .case import built, real

__all__ = ["CASES", "built"]

_FEATURES: dict = {}
_HOLDER = SimpleNamespace(features=None)


def _layers():
    return (
        nn.Conv2d(2, 16, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 2),
    )


def _images(*layers, **rest):
    return real(*layers, inputs=(2, 12, 12), **rest)


def _by_hook(write, read):
    """A hook writes the features of the first layer, the loss reads them."""
    case = _images(*_layers(), loss=lambda out, y: F.mse_loss(out, y) + read().square().mean())
    case.model[0].register_forward_hook(lambda module, x, output: write(output))
    return case


def _in_closure():
    features = {}
    return _by_hook(lambda output: features.update(now=output), lambda: features["now"])


def _in_global():
    case = _images(*_layers(), loss=_with_global_features)
    case.model[0].register_forward_hook(_keep_globally)
    return case


def _keep_globally(module, x, output):
    _FEATURES["now"] = output


def _with_global_features(out, y):
    return F.mse_loss(out, y) + _FEATURES["now"].square().mean()


def _in_object():
    return _by_hook(lambda output: setattr(_HOLDER, "features", output), lambda: _HOLDER.features)


class _KeepsOnClass(nn.Module):
    """Writes its features to a dict of the class, and reads them there."""

    features: dict = {}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        self.features["now"] = torch.tanh(self.first(x))
        later = torch.tanh(self.second(self.features["now"]))
        return self.head((later + self.features["now"]).mean((2, 3)))


class _KeepsInGlobal(_KeepsOnClass):
    """The same with a dict of this file."""

    def forward(self, x):
        _FEATURES["now"] = torch.tanh(self.first(x))
        later = torch.tanh(self.second(_FEATURES["now"]))
        return self.head((later + _FEATURES["now"]).mean((2, 3)))


CASES = {
    "a closure": _in_closure,
    "a global dict": _in_global,
    "a global object": _in_object,
    "the class": lambda: _images(_KeepsOnClass()),
    "a global dict, in forward": lambda: _images(_KeepsInGlobal()),
}
