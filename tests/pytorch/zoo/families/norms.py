"""Norms of every kind, in training and in eval mode."""

import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt

from ..case import SINGLE, around, in_eval, of_images, real
from ..models import Calls

_VECTORS = {
    "BatchNorm1d": lambda: nn.BatchNorm1d(5),
    "BatchNorm1d without statistics": lambda: nn.BatchNorm1d(5, track_running_stats=False),
    "BatchNorm1d without weights": lambda: nn.BatchNorm1d(5, affine=False),
    "LayerNorm": lambda: nn.LayerNorm(5),
    "LayerNorm without weights": lambda: nn.LayerNorm(5, elementwise_affine=False),
    "GroupNorm on vectors": lambda: nn.GroupNorm(1, 5),
    "RMSNorm": lambda: nn.RMSNorm(5),
    "mt.LayerNorm": lambda: mt.LayerNorm(5),
    "mt.BatchNorm on vectors": lambda: mt.BatchNorm(5),
    "BatchNorm1d that corrects itself": lambda: Renormalised(5),
    "BatchNorm1d that reads what it wrote": lambda: ReadsWhatItWrote(5),
    "BatchNorm1d with a monitor": lambda: _monitored(nn.BatchNorm1d(5)),
}
_IMAGES = {
    "BatchNorm2d": lambda: nn.BatchNorm2d(4),
    "BatchNorm2d, cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(4),
    "InstanceNorm2d, affine": lambda: nn.InstanceNorm2d(4, affine=True),
    "InstanceNorm2d with statistics": lambda: nn.InstanceNorm2d(
        4, affine=True, track_running_stats=True
    ),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "LayerNorm of images": lambda: nn.LayerNorm([4, 4, 4]),
    "LocalResponseNorm": lambda: nn.LocalResponseNorm(2),
    "mt.BatchNorm": lambda: mt.BatchNorm(4),
}


class Renormalised(nn.BatchNorm1d):
    """Batch renormalisation: in training, too, it looks at the running statistics."""

    def forward(self, x):
        mean, variance = x.mean(0), x.var(0, unbiased=False) + self.eps
        running = self.running_var + self.eps
        r = (variance / running).sqrt().detach()
        d = ((mean - self.running_mean) / running.sqrt()).detach()
        return ((x - mean) / variance.sqrt() * r + d) * self.weight + self.bias


class ReadsWhatItWrote(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x) * self.running_var.sqrt()


def _monitored(norm):
    """The norm with a hook that reads its running statistics at each forward pass."""
    norm.seen = []
    norm.register_forward_hook(lambda m, x, out: m.seen.append(float(m.running_mean.mean())))
    return norm


def _functional(function, features):
    """function(module, x) with a weight and a bias for each feature."""
    weight, bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
    return Calls(function, weight=weight, bias=bias)


def _batch_norm(m, x):
    return F.batch_norm(x, None, None, m.weight, m.bias, training=True)


def _of_sequences(norm):
    return real(nn.Conv1d(2, 3, 2), norm, nn.Tanh(), nn.Flatten(), nn.Linear(9, 2), inputs=(2, 4))


def _of_volumes(norm):
    end = nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2)
    return real(nn.Conv3d(1, 3, 2), norm, nn.Tanh(), *end, inputs=(1, 3, 3, 3))


CASES = {
    **{name: lambda norm=norm: around(norm()) for name, norm in _VECTORS.items()},
    **{name: lambda norm=norm: of_images(norm(), nn.Tanh()) for name, norm in _IMAGES.items()},
    **{
        f"{name}, eval": lambda norm=_VECTORS[name]: in_eval(around(norm()))
        for name in ("BatchNorm1d", "BatchNorm1d without statistics", "BatchNorm1d with a monitor")
    },
    **{
        f"{name}, eval": lambda norm=_IMAGES[name]: in_eval(of_images(norm(), nn.Tanh()))
        for name in ("BatchNorm2d", "InstanceNorm2d with statistics", "mt.BatchNorm")
    },
    "BatchNorm1d of sequences": lambda: _of_sequences(nn.BatchNorm1d(3)),
    "InstanceNorm1d, affine": lambda: _of_sequences(nn.InstanceNorm1d(3, affine=True)),
    "BatchNorm3d": lambda: _of_volumes(nn.BatchNorm3d(3)),
    "InstanceNorm3d": lambda: _of_volumes(nn.InstanceNorm3d(3)),
    "BatchNorm2d, float32": lambda: of_images(nn.BatchNorm2d(4), nn.Tanh(), dtype=SINGLE),
    "LayerNorm, float32": lambda: around(nn.LayerNorm(5), dtype=SINGLE),
    "F.batch_norm": lambda: around(_functional(_batch_norm, 5)),
    "F.layer_norm": lambda: around(
        _functional(lambda m, x: F.layer_norm(x, (5,), m.weight, m.bias), 5)
    ),
    "F.group_norm": lambda: around(
        _functional(lambda m, x: F.group_norm(x, 5, m.weight, m.bias), 5)
    ),
}
