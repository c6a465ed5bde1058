"""Networks and layers that MAML can differentiate through: start with `MLP`, for images `Conv4`."""

from __future__ import annotations

import itertools
from collections import OrderedDict

import torch
import torch.nn.functional as F
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


class Conv4(nn.Module):
    """The convolutional network of Finn et al. (2017): four blocks of 3×3 convolution, batch norm, ReLU.

    ways: outputs of the linear `head` (None: no head, the output is the embedding, for `ProtoNet`).
    pool: "stride", convolutions of stride 2 and the mean over what is left of the image (Omniglot, 64
    filters), or "max", 2×2 max-pooling after each block and all of what is left (miniImagenet: 32
    filters, 3 channels, size 84). flatten: True or False where it is to be the other way.
    x (examples, channels, size, size) → (examples, ways). Raises ValueError for sizes that do not fit.

    Parameters: `features.conv1` … `features.norm4`, `head`; ANIL adapts "head.". Convolutions and head
    start as Xavier-uniform, biases at 0. The original code differs in these: its batch norm has ε = 1e-3
    and offsets without scales, which the inner loop does not change (as does here adapting=
    ("features.conv", "head.")); its Omniglot head starts as N(0, 1); with stride 2 it pads images of
    even size to the right and below only, as TensorFlow does.
    """

    def __init__(
        self,
        ways: int | None,
        channels: int = 1,
        filters: int = 64,
        size: int = 28,
        pool: str = "stride",
        flatten: bool | None = None,
    ):
        super().__init__()
        if pool not in ("stride", "max"):
            raise ValueError(f"pool must be 'stride' or 'max'; got {pool!r}.")
        left = size  # pixels that are left of each side after four blocks
        for _ in range(4):
            left = (left + 1) // 2 if pool == "stride" else left // 2
        if left < 1 or min(channels, filters) < 1 or (ways is not None and ways < 1):
            raise ValueError(
                f"Conv4 needs ways, channels and filters ≥ 1 and images of at least 16 × 16 pixels for "
                f"'max', 1 × 1 for 'stride'; got {ways}, {channels}, {filters} and size {size}."
            )
        flatten = pool == "max" if flatten is None else flatten
        blocks = [_block(channels if i == 1 else filters, filters, pool, i) for i in range(1, 5)]
        layers = [layer for block in blocks for layer in block]
        last: nn.Module = nn.Flatten() if flatten else SpatialMean()
        self.features = nn.Sequential(OrderedDict([*layers, ("vector", last)]))
        self.image = (channels, size, size)
        self.outputs = filters * left**2 if flatten else filters
        self.head = nn.Identity() if ways is None else nn.Linear(self.outputs, ways)
        self.apply(_xavier)

    def forward(self, x):
        if tuple(x.shape[1:]) != self.image:
            wanted = ", ".join(map(str, self.image))
            raise ValueError(f"Conv4 needs x of shape (examples, {wanted}); got {tuple(x.shape)}.")
        return self.head(self.features(x))


def _block(inputs, filters, pool, number):
    """The named layers of one block; in both forms each side of the image is halved."""
    stride = 2 if pool == "stride" else 1
    layers = {
        "conv": nn.Conv2d(inputs, filters, 3, stride, padding=1),
        "norm": BatchNorm(filters),
        "relu": nn.ReLU(),
    }
    if pool == "max":
        layers["pool"] = nn.MaxPool2d(2)
    return [(f"{name}{number}", layer) for name, layer in layers.items()]


def _xavier(layer):
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


class SpatialMean(nn.Module):
    """(examples, features, …) → (examples, features): the mean over all places."""

    def forward(self, x):
        return x.flatten(2).mean(2)


class BatchNorm(nn.Module):
    """Batch normalisation with the batch's own statistics; a drop-in for nn.BatchNorm1d/2d/3d.

    As in the experiments of Finn et al. (2017) there are no running statistics: support and query
    sets are normalised by themselves (transductive), in training and in evaluation alike. Its
    derivatives are exact to any order under `vmap`, where those of F.batch_norm are not (torch 2.13:
    relative error 1e-3 in the second order, without a warning): there it is written from elementary
    operations. Outside of torch.func F.batch_norm is exact and faster (measured on a CPU: 3 times in
    first order, 1.6 times in second), and is what runs.
    x: (examples, features, …) → the same shape.

    weight and bias may have an axis of inner steps in front, as `MAMLpp` gives them; a layer that is
    called by itself then takes the last step's.
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
        weight, bias = (
            values[-1] if values is not None and values.ndim == 2 else values
            for values in (self.weight, self.bias)
        )
        # F.batch_norm refuses a single value per feature, whose normalised value is 0, and ε = 0
        if inside_functorch() or x.numel() <= self.num_features or self.eps <= 0:
            return elementary_batch_norm(x, weight, bias, self.eps)
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"


def elementary_batch_norm(x, weight, bias, eps):
    """F.batch_norm with the statistics of x (examples, features, …), from elementary operations."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    centred = x - x.mean(axes, keepdim=True)
    x = centred / (centred.square().mean(axes, keepdim=True) + eps).sqrt()
    if weight is None or bias is None:
        return x
    shape = (-1,) + (1,) * (x.ndim - 2)  # (features, 1, …) against (examples, features, …)
    return x * weight.view(shape) + bias.view(shape)


def inside_functorch() -> bool:
    """Whether a torch.func transform (vmap, grad …) may be at work: True also where torch does not tell.

    torch.compile traces transforms in ways of its own, and fuses elementary operations: True there.
    """
    if torch.compiler.is_compiling():
        return True
    peek = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)
    return peek is None or peek() is not None


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
