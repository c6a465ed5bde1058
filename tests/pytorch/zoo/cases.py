"""The table of the zoo: `CASES`, name → function that gives a Case; `build(name)` seeds and calls it."""

import functools
import random
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

import maml_edu.pytorch as mt
from maml_edu.tasks import TaskBatch

from . import models
from .models import Calls

ENGINES = ("plain", "lean", "threads", "closed", "native", "conv", "textbook", "auto")
COMPILED = ("MLP with tanh", "LayerNorm")  # half a minute each: not run with the others
SINGLE = torch.float32


@dataclass
class Case:
    """A model with its loss and a batch of tasks.

    options: of mt.MAML. linear: forward is random and the output linear in θ, with targets 0, so that
    ⟨θ, gradient⟩ = 2 × value whatever was drawn, as long as value and gradient are of the same draws.
    around: a context that the caller is in. tolerance: where it is not that of the precision.
    """

    model: nn.Module
    loss: Any
    batch: Any
    options: dict = field(default_factory=dict)
    linear: bool = False
    around: Any = None
    tolerance: float | None = None
    writes_parameters: bool = False


CASES: dict = {}


def build(name) -> Case:
    """The case of this name, always the same one, with parameters that are nowhere 0 or 1."""
    seed()
    case = CASES[name]()
    case.options = {"inner_lr": 0.1, "inner_steps": 2, **case.options}
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in case.model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=draw).to(parameter.dtype)
    return case


def seed():
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


def add(name, make):
    assert name not in CASES, name
    CASES[name] = make


# ------------------------------------------------------------------ batches

TASKS, SHOTS, QUERIES = 3, 4, 5


def _batch(x, y):
    """x(n), y(n): what n examples of a task are."""
    sizes = {"support": SHOTS, "query": QUERIES}
    fields = {}
    for role, n in sizes.items():
        fields[f"{role}_x"] = np.stack([x(n) for _ in range(TASKS)])
        fields[f"{role}_y"] = np.stack([y(n) for _ in range(TASKS)])
    return SimpleNamespace(**fields)


def _normal(*shape):
    return lambda n: np.random.default_rng(np.random.randint(2**31)).normal(size=(n, *shape))


def _whole(below, *shape):
    return lambda n: np.random.randint(below, size=(n, *shape))


def reals(inputs=(4,), outputs=(2,)):
    return _batch(_normal(*inputs), _normal(*outputs))


def zeros(inputs=(4,), outputs=(2,)):
    return _batch(_normal(*inputs), lambda n: np.zeros((n, *outputs)))


def classes(inputs=(4,), ways=3):
    return _batch(_normal(*inputs), _whole(ways))


def words(length=4, vocabulary=6, ways=None):
    y = _normal(2) if ways is None else _whole(ways)
    return _batch(_whole(vocabulary, length), y)


IMAGE = (2, 4, 4)


# ------------------------------------------------------------------ a model in a line


def real(*layers, loss=F.mse_loss, inputs=(4,), outputs=(2,), dtype=torch.float64, **rest):
    model = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
    return Case(model.to(dtype), loss, reals(inputs, outputs), **rest)


def drawn(*layers, inputs=(4,), outputs=(2,), **rest):
    """A random forward pass, linear in θ."""
    model = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
    return Case(model.double(), F.mse_loss, zeros(inputs, outputs), linear=True, **rest)


def classifier(*layers, loss=F.cross_entropy, inputs=(4,), ways=3, **rest):
    model = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
    return Case(model.double(), loss, classes(inputs, ways), **rest)


def mlp(outputs=2, activation=nn.Tanh):
    return nn.Sequential(nn.Linear(4, 5), activation(), nn.Linear(5, outputs))


def image_mlp(*middle, **rest):
    """Convolution → middle → mean over places → linear."""
    layers = nn.Conv2d(2, 4, 3, padding=1), *middle, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return real(*layers, nn.Linear(4, 2), inputs=IMAGE, **rest)


# ------------------------------------------------------------------ norms


def in_eval(case):
    """The case with norms in eval mode, whose statistics were written."""
    for module in case.model.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(3)
    case.model.eval()
    return case


def _norms():
    flat = {
        "BatchNorm1d": lambda: nn.BatchNorm1d(5),
        "BatchNorm1d without statistics": lambda: nn.BatchNorm1d(5, track_running_stats=False),
        "BatchNorm1d without weights": lambda: nn.BatchNorm1d(5, affine=False),
        "LayerNorm": lambda: nn.LayerNorm(5),
        "LayerNorm without weights": lambda: nn.LayerNorm(5, elementwise_affine=False),
        "GroupNorm on vectors": lambda: nn.GroupNorm(1, 5),
        "RMSNorm": lambda: nn.RMSNorm(5),
        "mt.LayerNorm": lambda: mt.LayerNorm(5),
        "mt.BatchNorm on vectors": lambda: mt.BatchNorm(5),
    }
    images = {
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
    for name, norm in flat.items():
        add(name, lambda norm=norm: real(nn.Linear(4, 5), norm(), nn.Tanh(), nn.Linear(5, 2)))
    for name, norm in images.items():
        add(name, lambda norm=norm: image_mlp(norm(), nn.Tanh()))
    for name in ("BatchNorm1d", "BatchNorm1d without statistics"):
        add(
            f"{name}, eval",
            lambda n=flat[name]: in_eval(real(nn.Linear(4, 5), n(), nn.Tanh(), nn.Linear(5, 2))),
        )
    for name in ("BatchNorm2d", "InstanceNorm2d with statistics", "mt.BatchNorm"):
        add(f"{name}, eval", lambda n=images[name]: in_eval(image_mlp(n(), nn.Tanh())))


_norms()
add("BatchNorm1d of sequences", lambda: real(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Tanh(), nn.Flatten(), nn.Linear(9, 2), inputs=(2, 4)))
add("InstanceNorm1d, affine", lambda: real(nn.Conv1d(2, 3, 2), nn.InstanceNorm1d(3, affine=True), nn.Tanh(), nn.Flatten(), nn.Linear(9, 2), inputs=(2, 4)))
add("BatchNorm3d", lambda: real(nn.Conv3d(1, 3, 2), nn.BatchNorm3d(3), nn.Tanh(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2), inputs=(1, 3, 3, 3)))
add("BatchNorm2d, float32", lambda: image_mlp(nn.BatchNorm2d(4), nn.Tanh(), dtype=SINGLE))
add("F.batch_norm", lambda: real(nn.Linear(4, 5), Calls(lambda m, x: F.batch_norm(x, None, None, m.weight, m.bias, training=True), weight=nn.Parameter(torch.ones(5)), bias=nn.Parameter(torch.zeros(5))), nn.Tanh(), nn.Linear(5, 2)))
add("F.layer_norm", lambda: real(nn.Linear(4, 5), Calls(lambda m, x: F.layer_norm(x, (5,), m.weight, m.bias), weight=nn.Parameter(torch.ones(5)), bias=nn.Parameter(torch.zeros(5))), nn.Tanh(), nn.Linear(5, 2)))
add("F.group_norm", lambda: real(nn.Linear(4, 6), Calls(lambda m, x: F.group_norm(x, 2, m.weight, m.bias), weight=nn.Parameter(torch.ones(6)), bias=nn.Parameter(torch.zeros(6))), nn.Tanh(), nn.Linear(6, 2)))


# ------------------------------------------------------------------ dropout and other randomness

def attention_dropout(freeze=True):
    case = drawn(models.SelfAttention(4, 2, 2, False, dropout=0.5), inputs=(3, 4))
    for parameter in (case.model.attention.in_proj_weight, case.model.attention.in_proj_bias, *case.model.attention.out_proj.parameters()):
        parameter.requires_grad_(False)
    return case


def lstm_dropout():
    case = drawn(models.LastOf(nn.LSTM(3, 4, 2, dropout=0.5, batch_first=True), 2), inputs=(3, 3))
    case.model.recurrent.requires_grad_(False)
    return case


add("Dropout", lambda: drawn(nn.Dropout(0.5), nn.Linear(4, 2)))
add("Dropout, eval", lambda: in_eval(real(nn.Dropout(0.5), nn.Linear(4, 2))))
add("Dropout that drops nothing", lambda: real(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(1e-9), nn.Linear(5, 2)))
add("Dropout2d", lambda: drawn(nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(32, 2), inputs=IMAGE))
add("Dropout2d before a convolution", lambda: drawn(nn.Dropout2d(0.5), nn.Conv2d(2, 2, 3), nn.Flatten(1), Calls(lambda m, x: x[:, :2]), inputs=IMAGE))
add("AlphaDropout", lambda: drawn(nn.AlphaDropout(0.5), nn.Linear(4, 2)))
add("F.dropout, always on", lambda: drawn(Calls(lambda m, x: m.layer(F.dropout(x, 0.5, training=True)), layer=nn.Linear(4, 2))))
add("Gaussian noise", lambda: drawn(Calls(lambda m, x: m.layer(x + torch.randn_like(x)), layer=nn.Linear(4, 2))))
add("LSTM with dropout", lstm_dropout)
add("attention with dropout", attention_dropout)
add("Dropout behind .item()", lambda: drawn(Calls(lambda m, x: m.layer(F.dropout(x, 0.5)) * (1 + abs(x.sum().item())), layer=nn.Linear(4, 2))))
for _source in ("python", "numpy", "own NumPy", "own torch"):
    add(f"random numbers: {_source}", lambda source=_source: drawn(models.Draws(source)))
add("other at its first call", lambda: real(models.CountsCalls()))
add("initialised by the first data", lambda: real(models.InitialisesByData()))
add("dropout in the loss", lambda: Case(mlp().double(), lambda p, y: F.mse_loss(F.dropout(p, 0.5), y), reals()))


# ------------------------------------------------------------------ recurrent layers and attention


def _recurrent():
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        name = kind.__name__
        one = lambda kind=kind, **o: models.LastOf(kind(3, 4, batch_first=True, **o), 2)
        add(name, lambda one=one: real(one(), inputs=(3, 3)))
        add(f"{name}, float32", lambda one=one: real(one(), inputs=(3, 3), dtype=SINGLE))
        add(f"{name}, 2 layers", lambda one=one: real(one(num_layers=2), inputs=(3, 3)))
        add(f"{name}, bidirectional", lambda one=one: real(one(bidirectional=True), inputs=(3, 3)))
    for cell in (nn.RNNCell, nn.LSTMCell, nn.GRUCell):
        make = lambda cell=cell: models.OverTime(cell(3, 4), 2)
        add(cell.__name__, lambda make=make: real(make(), inputs=(3, 3)))
        add(f"{cell.__name__}, float32", lambda m=make: real(m(), inputs=(3, 3), dtype=SINGLE))


_recurrent()


def transformer(**options):
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True, **options)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))


add("MultiheadAttention with weights", lambda: real(models.SelfAttention(4, 2, 2, True), inputs=(3, 4)))
add("MultiheadAttention without weights", lambda: real(models.SelfAttention(4, 2, 2, False), inputs=(3, 4)))
add("MultiheadAttention, float32", lambda: real(models.SelfAttention(4, 2, 2, False), inputs=(3, 4), dtype=SINGLE))
add("MultiheadAttention, eval", lambda: in_eval(real(models.SelfAttention(4, 2, 2, False), inputs=(3, 4))))
add("TransformerEncoderLayer", lambda: real(transformer(activation="gelu"), inputs=(3, 4)))
add("TransformerEncoderLayer, norm first", lambda: real(transformer(norm_first=True), inputs=(3, 4)))
add("TransformerEncoderLayer, eval", lambda: in_eval(real(transformer(), inputs=(3, 4))))
add("TransformerEncoderLayer, float32", lambda: real(transformer(), inputs=(3, 4), dtype=SINGLE))
add("scaled dot product", lambda: real(models.ScaledDotProduct(4, 2, causal=False), inputs=(3, 4)))
add("scaled dot product, causal", lambda: real(models.ScaledDotProduct(4, 2, causal=True), inputs=(3, 4)))


# ------------------------------------------------------------------ embeddings, shared and made weights


def of_words(model, loss=F.mse_loss, ways=None, **rest):
    return Case(model.double(), loss, words(ways=ways), **rest)


add("Embedding", lambda: of_words(nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(12, 2))))
add("Embedding with padding", lambda: of_words(nn.Sequential(nn.Embedding(6, 3, padding_idx=0), nn.Flatten(), nn.Tanh(), nn.Linear(12, 2))))
add("Embedding of a largest norm", lambda: of_words(nn.Sequential(nn.Embedding(6, 3, max_norm=1.0), nn.Flatten(), nn.Linear(12, 2)), writes_parameters=True))
add("EmbeddingBag", lambda: of_words(nn.Sequential(nn.EmbeddingBag(6, 3), nn.Tanh(), nn.Linear(3, 2)), options={"first_order": True}))
add("EmbeddingBag, sum", lambda: of_words(nn.Sequential(nn.EmbeddingBag(6, 3, mode="sum"), nn.Tanh(), nn.Linear(3, 2)), options={"first_order": True}))
add("tied words", lambda: of_words(models.TiedWords(6, 3), F.cross_entropy, ways=6))
add("weight_norm", lambda: real(parametrizations.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2)))
add("spectral_norm", lambda: real(parametrizations.spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2)))
add("spectral_norm, eval", lambda: in_eval(real(parametrizations.spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2))))
add("orthogonal", lambda: real(parametrizations.orthogonal(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 2)))
add("weight_norm, old style", lambda: real(nn.utils.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2)))
add("spectral_norm, old style", lambda: real(nn.utils.spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2)))
add("spectral_norm, old style, eval", lambda: in_eval(real(nn.utils.spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2))))
add("pruned", lambda: real(prune.random_unstructured(nn.Linear(4, 5), "weight", 0.4), nn.ReLU(), nn.Linear(5, 2)))


# ------------------------------------------------------------------ what is done to modules


def hooked(model, **hooks):
    for name, hook in hooks.items():
        getattr(model[0], f"register_{name}")(hook)
    return real(model)


def patched(model, forward):
    model.forward = forward(model.forward)
    return real(model)


def same_twice():
    layer = nn.Linear(4, 4)
    return real(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(4, 2))


def kept_by_hook():
    model, kept = mlp(), []
    model[0].register_forward_hook(lambda module, inputs, output: kept.append(output))
    return real(model)


def gradient_hook():
    case = real(mlp(activation=nn.ReLU))
    case.model[0].weight.register_hook(lambda slope: 0.5 * slope)
    return case


def part_frozen(case, *names):
    for name, parameter in case.model.named_parameters():
        parameter.requires_grad_(name not in names)
    return case


add("MLP with ReLU", lambda: real(mlp(activation=nn.ReLU)))
add("MLP with tanh", lambda: real(mlp()))
add("MLP, float32", lambda: real(mlp(activation=nn.ReLU), dtype=SINGLE))
add("MLP classifier", lambda: classifier(mlp(3, nn.ReLU)))
add("residual block", lambda: real(models.Residual(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU()), nn.Linear(4, 2)))
add("a layer twice", same_twice)
add("forward hook that changes the output", lambda: hooked(mlp(activation=nn.ReLU), forward_hook=lambda m, x, out: 1.5 * out))
add("forward pre-hook", lambda: hooked(mlp(activation=nn.ReLU), forward_pre_hook=lambda m, x: (x[0] + 1,)))
add("full backward hook", lambda: hooked(mlp(activation=nn.ReLU), full_backward_hook=lambda m, before, after: None))
add("full backward hook that changes", lambda: hooked(mlp(activation=nn.ReLU), full_backward_hook=lambda m, before, after: tuple(None if b is None else 0.5 * b for b in before)))
add("full backward pre-hook that changes", lambda: hooked(mlp(activation=nn.ReLU), full_backward_pre_hook=lambda m, after: tuple(0.5 * a for a in after)))
add("hook that keeps outputs", kept_by_hook)
add("hook on a parameter's gradient", gradient_hook)
add("forward patched on the instance", lambda: patched(mlp(activation=nn.ReLU), lambda old: lambda x: 2 * old(x)))
add("Sequential with its own forward", lambda: real(models.Shifts(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))))
add("Sequential with its own call", lambda: real(models.Doubles(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))))
add("keeps its feature map", lambda: real(models.Keeps()))
add("keeps its feature map, images", lambda: real(models.Keeps(True), inputs=IMAGE))
add("holds a lock", lambda: real(models.CannotBeCopied()))
add("holds a lock, images", lambda: real(models.CannotBeCopied(convolves=True), inputs=IMAGE))
add("holds a generator", lambda: real(models.CannotBeCopied(thing=(n for n in range(3)), convolves=True), inputs=IMAGE))
add("holds an open file", lambda: real(models.CannotBeCopied(thing=open(__file__), convolves=True), inputs=IMAGE))
add("hidden modules", lambda: real(models.HiddenParts(nn.Linear(4, 5).double().requires_grad_(False), nn.Linear(5, 5).double().requires_grad_(False))))
add("hidden batch norm", lambda: real(models.HiddenParts(nn.Linear(4, 5).double().requires_grad_(False), nn.BatchNorm1d(5).double().requires_grad_(False))))
add("constant buffer", lambda: real(Calls(lambda m, x: m.layer(x * m.mask), layer=nn.Linear(4, 2), mask=nn.Buffer(torch.rand(4)))))
add("counter changed in place", lambda: real(models.CountsInPlace()))
add("counter assigned again", lambda: real(models.CountsInPlace(reassigns=True)))
add("frozen body", lambda: part_frozen(real(mlp(activation=nn.ReLU)), "0.weight", "0.bias"))
add("frozen convolution", lambda: part_frozen(image_mlp(nn.BatchNorm2d(4), nn.ReLU()), "0.weight", "0.bias"))
add("parameters in every place", lambda: real(models.Parametric()))
add("penalty on its own parameters", lambda: real(Calls(lambda m, x: m.layer(x) * sum(p.square().sum() for p in m.parameters()), layer=nn.Linear(4, 2))))
add("autograd inside forward", lambda: real(models.Energy(), outputs=(4,)))
add("torch.func.grad inside forward", lambda: real(Calls(lambda m, x: torch.func.grad(lambda x: m.layer(x).tanh().sum())(x), layer=nn.Linear(4, 3)), outputs=(4,)))


# ------------------------------------------------------------------ layers


add("Conv1d", lambda: real(nn.Conv1d(2, 3, 2, padding="same", padding_mode="circular"), nn.Tanh(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(6, 2), inputs=(2, 4)))
add("Conv2d as Conv4 has it", lambda: real(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2), inputs=IMAGE))
add("Conv2d, groups and dilation", lambda: image_mlp(nn.Tanh(), nn.Conv2d(4, 4, 2, groups=2, dilation=2), nn.Tanh()))
add("Conv2d, reflected", lambda: image_mlp(nn.Tanh(), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh()))
add("Conv2d, replicated", lambda: image_mlp(nn.ReplicationPad2d(1), nn.Conv2d(4, 4, 3, stride=2), nn.SiLU()))
add("Conv3d", lambda: real(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.AvgPool3d(2), nn.Flatten(), nn.Linear(2, 2), inputs=(1, 3, 3, 3)))
add("ConvTranspose2d", lambda: image_mlp(nn.Tanh(), nn.ConvTranspose2d(4, 4, 2, stride=2), nn.Tanh()))
for _pool in (nn.AvgPool2d(2), nn.MaxPool2d(3, stride=1, padding=1), nn.LPPool2d(2, 2), nn.AdaptiveMaxPool2d(2)):
    add(type(_pool).__name__, lambda pool=_pool: image_mlp(nn.Tanh(), pool, nn.Tanh()))
add("FractionalMaxPool2d", lambda: drawn(nn.FractionalMaxPool2d(2, output_size=2), nn.Flatten(), nn.Linear(8, 2), inputs=IMAGE))
add("Upsample", lambda: image_mlp(nn.Tanh(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 2), nn.Tanh()))
add("PixelShuffle", lambda: real(nn.Conv2d(2, 4, 3, padding=1), nn.PixelShuffle(2), nn.Tanh(), nn.Flatten(), nn.Linear(64, 2), inputs=IMAGE))
add("grid_sample", lambda: real(Calls(lambda m, x: m.head(F.grid_sample(m.conv(x), torch.tanh(m.grid).expand(len(x), -1, -1, -1), align_corners=True).flatten(1)), conv=nn.Conv2d(2, 2, 1), grid=nn.Parameter(torch.randn(1, 2, 2, 2)), head=nn.Linear(8, 2)), inputs=IMAGE))
for _kind in (nn.GELU, nn.SiLU, nn.Softplus, nn.ELU, nn.Hardswish, nn.PReLU, nn.Mish, nn.GLU):
    add(_kind.__name__, lambda kind=_kind: real(nn.Linear(4, 6), kind(), nn.Linear(3 if kind is nn.GLU else 6, 2)))
add("ReLU in place", lambda: real(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)))
add("ReLU in place, images", lambda: image_mlp(nn.BatchNorm2d(4), nn.ReLU(inplace=True)))
add("RReLU", lambda: Case(nn.Sequential(nn.Linear(4, 5), nn.RReLU(), nn.Linear(5, 2)).double(), F.mse_loss, reals()))
add("Bilinear", lambda: real(Calls(lambda m, x: m.layer(x[:, :2], x[:, 2:]).tanh(), layer=nn.Bilinear(2, 2, 2))))


# ------------------------------------------------------------------ outputs, losses, labels


def classes_ignored(value=-100):
    batch = classes()
    batch.support_y[:, 0], batch.query_y[:, 1] = value, value
    return batch


def smoothed_later():
    """What a loss is set to counts at each call: see `test_zoo` for changes in between."""
    return classifier(mlp(3, nn.ReLU), loss=nn.CrossEntropyLoss(label_smoothing=0.1))


class Margin:
    """A loss that is an instance of a class."""

    def __init__(self, margin):
        self.margin = margin

    def __call__(self, scores, labels):
        right = scores.gather(1, labels[:, None])
        return F.relu(self.margin + scores - right).mean()


def frozen_loss():
    body = nn.Linear(2, 3).double().requires_grad_(False)
    return lambda predicted, y: F.mse_loss(body(predicted), body(y))


def boolean(n):
    return np.random.rand(n, 1) < 0.5


def binary(loss, y=boolean):
    return Case(mlp(1).double(), loss, _batch(_normal(4), y))


def ctc(scores, y):
    """scores (examples, length, letters), y (examples, 2)."""
    lengths = torch.full((len(y),), 4), torch.full((len(y),), 2)
    return F.ctc_loss(F.log_softmax(scores, -1).transpose(0, 1), y, *lengths)


def on_scores(loss):
    return lambda output, y: loss(output["scores"] if isinstance(output, dict) else output.scores, y)


add("tuple of outputs", lambda: real(models.Returns("tuple"), loss=lambda out, y: F.mse_loss(out[0], y) + 0.1 * out[1].square().mean()))
add("dict of outputs", lambda: real(models.Returns("dict"), loss=on_scores(F.mse_loss)))
add("dataclass of outputs", lambda: real(models.Returns("dataclass"), loss=on_scores(F.mse_loss)))
add("one number as output", lambda: real(models.Returns("number"), loss=lambda out, y: (out - y.mean()).square()))
add("cross-entropy with weights", lambda: classifier(mlp(3, nn.ReLU), loss=nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]).double())))
add("cross-entropy, smoothed", smoothed_later)
add("cross-entropy, summed", lambda: classifier(mlp(3, nn.ReLU), loss=nn.CrossEntropyLoss(reduction="sum"), options={"inner_lr": 0.02}))
add("cross-entropy, labels ignored", lambda: Case(mlp(3, nn.ReLU).double(), F.cross_entropy, classes_ignored()))
add("cross-entropy, class 1 ignored", lambda: classifier(mlp(3, nn.ReLU), loss=nn.CrossEntropyLoss(ignore_index=1)))
add("cross-entropy of probabilities", lambda: Case(mlp(3, nn.ReLU).double(), F.cross_entropy, _batch(_normal(4), lambda n: np.random.dirichlet([1, 1, 1], n))))
add("cross-entropy per pixel", lambda: Case(nn.Conv2d(2, 3, 3, padding=1).double(), F.cross_entropy, _batch(_normal(*IMAGE), _whole(3, 4, 4))))
add("BCEWithLogits, bool labels", lambda: binary(lambda out, y: F.binary_cross_entropy_with_logits(out, y.to(out.dtype))))
add("BCEWithLogits, weights", lambda: binary(nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0]).double()), lambda n: boolean(n).astype(float)))
add("NLL", lambda: classifier(nn.Linear(4, 3), nn.LogSoftmax(-1), loss=F.nll_loss))
add("KLDiv", lambda: Case(nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1)).double(), nn.KLDivLoss(reduction="batchmean"), _batch(_normal(4), lambda n: np.random.dirichlet([1, 1, 1], n))))
add("Huber", lambda: real(mlp(), loss=nn.HuberLoss(delta=0.5)))
add("smooth L1", lambda: real(mlp(), loss=F.smooth_l1_loss))
add("MSE, summed", lambda: real(mlp(activation=nn.ReLU), loss=nn.MSELoss(reduction="sum"), options={"inner_lr": 0.01}))
add("GaussianNLL of a tuple", lambda: real(Calls(lambda m, x: (m.mean(x), F.softplus(m.spread(x)) + 0.1), mean=nn.Linear(4, 2), spread=nn.Linear(4, 2)), loss=lambda out, y: F.gaussian_nll_loss(out[0], y, out[1])))
add("hinge", lambda: binary(lambda out, y: F.relu(1 - out * (2 * y.to(out.dtype) - 1)).mean()))
add("CTC", lambda: Case(nn.Linear(3, 4).double(), ctc, _batch(_normal(4, 3), lambda n: np.random.randint(1, 4, size=(n, 2))), options={"first_order": True}))
add("cosine embedding", lambda: real(mlp(), loss=lambda out, y: F.cosine_embedding_loss(out, y, torch.ones(len(y)))))
add("loss as functools.partial", lambda: classifier(mlp(3, nn.ReLU), loss=functools.partial(F.cross_entropy, label_smoothing=0.2)))
add("loss as an instance", lambda: classifier(mlp(3), loss=Margin(0.7)))
add("loss with frozen parameters", lambda: real(mlp(activation=nn.ReLU), loss=frozen_loss()))
add("branches by data", lambda: real(models.Branches()))
add(".item() in forward", lambda: real(models.Branches(by_item=True)))
add("as many passes as the data ask for", lambda: real(models.Halting()))


# ------------------------------------------------------------------ inner loops


def rule(params, slopes, state, rate):
    """Gradient descent with a sign-preserving root: a rule of one's own."""
    moved = {}
    for name, p in params.items():
        each = rate[name] if isinstance(rate, dict) else rate
        moved[name] = p - each * slopes[name] / (1 + slopes[name].abs())
    return moved, state


def with_options(options, model=lambda: mlp(activation=nn.ReLU)):
    return lambda: real(model(), options=options)


_LOOPS = {
    "rate per parameter": {"inner_lr": {"0.weight": 0.1, "0.bias": 0.2, "2.weight": 0.05, "2.bias": 0.0}},
    "rate per step": {"inner_lr": torch.tensor([0.1, 0.05])},
    "learned rates": {"inner_lr": {"0.weight": 0.1, "0.bias": 0.2, "2.weight": 0.05, "2.bias": 0.1}, "learn_inner_lr": True},
    "one learned rate": {"inner_lr": 0.1, "learn_inner_lr": True},
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
for _name, _options in _LOOPS.items():
    add(f"MLP: {_name}", with_options(_options))
for _name in ("learned rates", "first order", "inner Adam", "query weights"):
    add(f"LayerNorm MLP: {_name}", with_options({**_LOOPS[_name]} if _name != "learned rates" else {"learn_inner_lr": True}, lambda: nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 2))))
add("LSTM: inner Adam", lambda: real(models.LastOf(nn.LSTM(3, 4, batch_first=True), 2), inputs=(3, 3), options=_LOOPS["inner Adam"]))
add("images: learned rate", lambda: image_mlp(nn.BatchNorm2d(4), nn.ReLU(), options={"learn_inner_lr": True}))


# ------------------------------------------------------------------ callers


def unequal():
    sizes = ((4, 5), (2, 5), (4, 3))
    draw = np.random.default_rng(0).normal
    return TaskBatch.padded(
        (draw(size=(s, 4)), draw(size=(s, 2)), draw(size=(q, 4)), draw(size=(q, 2))) for s, q in sizes
    )


add("masks", lambda: Case(mlp(activation=nn.ReLU).double(), F.mse_loss, unequal()))
add("masks, batch norm", lambda: Case(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).double(), F.mse_loss, unequal()))
add("masks, LSTM-like branches", lambda: Case(models.Branches().double(), F.mse_loss, unequal()))
for _name, _context in {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}.items():
    add(f"caller in {_name}", lambda context=_context: real(mlp(), around=context))
    add(f"caller in {_name}, LSTM", lambda context=_context: real(models.LastOf(nn.LSTM(3, 4, batch_first=True), 2), inputs=(3, 3), around=context))
add("caller in autocast", lambda: real(mlp(activation=nn.ReLU), dtype=SINGLE, around=lambda: torch.autocast("cpu", torch.bfloat16), tolerance=0.05))
add("autocast in forward", lambda: real(Calls(lambda m, x: m.net(x), net=mlp()), dtype=SINGLE))
