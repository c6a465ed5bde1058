"""Networks and layers that MAML can differentiate through: start with `MLP`."""

from __future__ import annotations

import itertools

import torch
from torch import nn


class MLP(nn.Sequential):
    """A ReLU network, inputs → widths → outputs: MLP(1, 40, 40, 1) is the sinusoid network of the paper.

    scale: None keeps PyTorch's own initialisation; a number draws weights from a normal of that standard
    deviation cut off at two of them, biases 0 (the original MAML code: 0.01).
    """

    def __init__(self, *sizes: int, scale: float | None = None):
        if len(sizes) < 2 or any(n < 1 for n in sizes):
            raise ValueError(f"sizes must name at least inputs and outputs, all ≥ 1; got {sizes}.")
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers[:-1])
        if scale is not None:
            for layer in self[::2]:
                nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
                nn.init.zeros_(layer.bias)

    def __getitem__(self, index):
        if isinstance(index, slice):  # nn.Sequential would call this class's constructor
            return nn.Sequential(*list(self)[index])
        return super().__getitem__(index)

    def arrays(self):
        """The parameters as `maml_edu.reference.mlp` takes them: {"w1": (inputs, outputs), "b1": …}, float64."""
        layers = enumerate(self[::2], start=1)
        pairs = [(f"w{i}", layer.weight.T, f"b{i}", layer.bias) for i, layer in layers]
        return {
            name: value.detach().cpu().double().numpy().copy()
            for w, weight, b, bias in pairs
            for name, value in ((w, weight), (b, bias))
        }


class BatchNorm(nn.Module):
    """Batch normalisation with the batch's own statistics; a drop-in for nn.BatchNorm1d/2d/3d.

    As in the experiments of Finn et al. (2017) there are no running statistics: support and query
    sets are normalised by themselves (transductive), in training and in evaluation alike. Written
    from elementary operations, so that its derivatives are exact to any order under `vmap`: those of
    F.batch_norm are not (torch 2.13: relative error 1e-3 in the second order, without a warning).
    x: (examples, features, …) → the same shape.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = None,  # taken as nn.BatchNorm2d takes it; nothing runs here
        affine: bool = True,
        track_running_stats: bool = False,
    ):
        super().__init__()
        if track_running_stats:
            raise ValueError("BatchNorm has no running statistics: leave track_running_stats out.")
        self.num_features, self.eps = num_features, eps
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm({self.num_features}) needs x of shape (examples, {self.num_features}, …); "
                f"got {tuple(x.shape)}."
            )
        axes = [axis for axis in range(x.ndim) if axis != 1]
        centred = x - x.mean(axes, keepdim=True)
        x = centred / (centred.square().mean(axes, keepdim=True) + self.eps).sqrt()
        if self.weight is None or self.bias is None:
            return x
        shape = (-1,) + (1,) * (x.ndim - 2)  # (features, 1, …) against (examples, features, …)
        return x * self.weight.view(shape) + self.bias.view(shape)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"


class LayerNorm(nn.Module):
    """Layer normalisation over the last axes; a drop-in for nn.LayerNorm.

    Written from elementary operations, so that its derivatives are exact to any order under `vmap`:
    those of F.layer_norm with weights are not (torch 2.13: relative error 1e-2 in the second order).
    x: (…, *normalized_shape) → the same shape.
    """

    def __init__(self, normalized_shape, eps: float = 1e-5, elementwise_affine: bool = True):
        super().__init__()
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.normalized_shape, self.eps = shape, eps
        self.weight = nn.Parameter(torch.ones(shape)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(shape)) if elementwise_affine else None

    def forward(self, x):
        if tuple(x.shape[-len(self.normalized_shape) :]) != self.normalized_shape:
            raise ValueError(
                f"LayerNorm needs x of shape (…, {', '.join(map(str, self.normalized_shape))}); got "
                f"{tuple(x.shape)}."
            )
        axes = tuple(range(-len(self.normalized_shape), 0))
        centred = x - x.mean(axes, keepdim=True)
        x = centred / (centred.square().mean(axes, keepdim=True) + self.eps).sqrt()
        if self.weight is None or self.bias is None:
            return x
        return x * self.weight + self.bias

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"
        )
