"""Perceptrons, convolutions, pooling, padding, activations."""

import torch
import torch.nn.functional as F
from torch import nn

from ..case import IMAGE, SINGLE, classifier, conv4, of_images, real, relu_mlp, tanh_mlp
from ..models import Calls

_POOLS = (
    lambda: nn.AvgPool2d(2),
    lambda: nn.MaxPool2d(3, stride=1, padding=1),
    lambda: nn.LPPool2d(2, 2),
    lambda: nn.AdaptiveMaxPool2d(2),
)
_ACTIVATIONS = (nn.GELU, nn.SiLU, nn.Softplus, nn.ELU, nn.Hardswish, nn.PReLU, nn.Mish)


def _sampled(m, x):
    grid = torch.tanh(m.grid).expand(len(x), -1, -1, -1)
    return m.head(F.grid_sample(m.conv(x), grid, align_corners=True).flatten(1))


CASES = {
    "MLP with ReLU": lambda: real(relu_mlp()),
    "MLP with tanh": lambda: real(tanh_mlp()),
    "MLP, float32": lambda: real(relu_mlp(), dtype=SINGLE),
    "MLP classifier": lambda: classifier(relu_mlp(3)),
    "Conv1d, circular": lambda: real(
        nn.Conv1d(2, 3, 2, padding="same", padding_mode="circular"),
        nn.Tanh(),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Linear(6, 2),
        inputs=(2, 4),
    ),
    "Conv2d as Conv4 has it": conv4,
    "Conv2d, groups and dilation": lambda: of_images(
        nn.Tanh(), nn.Conv2d(4, 4, 2, groups=2, dilation=2), nn.Tanh()
    ),
    "Conv2d, reflected": lambda: of_images(
        nn.Tanh(), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh()
    ),
    "Conv2d, replicated": lambda: of_images(
        nn.ReplicationPad2d(1), nn.Conv2d(4, 4, 3, stride=2), nn.SiLU()
    ),
    "Conv3d": lambda: real(
        nn.Conv3d(1, 2, 2),
        nn.Tanh(),
        nn.AvgPool3d(2),
        nn.Flatten(),
        nn.Linear(2, 2),
        inputs=(1, 3, 3, 3),
    ),
    "ConvTranspose2d": lambda: of_images(
        nn.Tanh(), nn.ConvTranspose2d(4, 4, 2, stride=2), nn.Tanh()
    ),
    **{
        type(pool()).__name__: lambda pool=pool: of_images(nn.Tanh(), pool(), nn.Tanh())
        for pool in _POOLS
    },
    "Upsample": lambda: of_images(
        nn.Tanh(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 2), nn.Tanh()
    ),
    "PixelShuffle": lambda: real(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(64, 2),
        inputs=IMAGE,
    ),
    "grid_sample": lambda: real(
        Calls(
            _sampled,
            conv=nn.Conv2d(2, 2, 1),
            grid=nn.Parameter(torch.randn(1, 2, 2, 2)),
            head=nn.Linear(8, 2),
        ),
        inputs=IMAGE,
    ),
    **{
        kind.__name__: lambda kind=kind: real(nn.Linear(4, 5), kind(), nn.Linear(5, 2))
        for kind in _ACTIVATIONS
    },
    "GLU": lambda: real(nn.Linear(4, 6), nn.GLU(), nn.Linear(3, 2)),
    "ReLU in place": lambda: real(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)),
    "ReLU in place, images": lambda: of_images(nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "Bilinear": lambda: real(
        Calls(lambda m, x: m.layer(x[:, :2], x[:, 2:]).tanh(), layer=nn.Bilinear(2, 2, 2))
    ),
}
