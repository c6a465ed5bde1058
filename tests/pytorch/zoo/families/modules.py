"""What people do to modules: hooks, patches, parametrisations, hidden parts, state, frozen and shared weights."""

import threading
import weakref

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn
from torch.nn.utils import parametrizations, prune

from .. import models
from ..case import (
    IMAGE,
    Case,
    around,
    conv4,
    frozen,
    in_eval,
    of_images,
    real,
    reals,
    relu_mlp,
    tanh_mlp,
)
from ..models import Calls, linear


def hooked(**hooks):
    """A perceptron whose first layer has these hooks, by the end of the name of what registers them."""
    model = relu_mlp()
    for name, hook in hooks.items():
        getattr(model[0], f"register_{name}")(hook)
    return real(model)


def patched(model, attribute="forward"):
    """The model with twice what its forward gives, patched on the instance."""
    original = getattr(model, attribute)
    setattr(model, attribute, lambda x: 2 * original(x))
    return model


def _halved(slopes):
    return tuple(None if slope is None else 0.5 * slope for slope in slopes)


def _kept_by_hook():
    model, outputs = tanh_mlp(), []
    model[0].register_forward_hook(lambda module, x, output: outputs.append(output))
    return real(model)


def features_in_the_loss(case):
    """The case with a penalty on features, which a hook hands over to the loss."""
    features = {}
    case.model[0].register_forward_hook(lambda module, x, output: features.update(now=output))
    case.loss = lambda out, y: F.mse_loss(out, y) + features["now"].square().mean()
    return case


def _hook_on_gradient():
    case = real(relu_mlp())
    case.model[0].weight.register_hook(lambda slope: 0.5 * slope)
    return case


def _hook_on_activation(m, x):
    hidden = torch.tanh(m.body(x))
    if hidden.requires_grad:
        hidden.register_hook(lambda slope: 0.5 * slope)
    return m.head(hidden)


def _layer_twice():
    layer = nn.Linear(4, 4)
    return real(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(4, 2))


def _still(*parts):
    return [part.double().requires_grad_(False) for part in parts]


def _with_buffers(**buffers):
    case = real(relu_mlp())
    for name, buffer in buffers.items():
        case.model.register_buffer(name, buffer)
    return case


def _other_layout(model):
    """The model with weights that are views of others, as .t() or channels_last leave them."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight = nn.Parameter(torch.randn(module.in_features, module.out_features).t())
        if isinstance(module, nn.Conv2d):
            last = module.weight.detach().to(memory_format=torch.channels_last)
            module.weight = nn.Parameter(last)
    return model


def _strided_biases():
    case = real(relu_mlp())
    for layer in (case.model[0], case.model[2]):
        layer.bias = nn.Parameter(torch.randn(2 * len(layer.bias)).double()[::2])
    return case


def _body_and_head(function, body=5, **attributes):
    return Calls(function, body=nn.Linear(4, body), head=nn.Linear(body, 2), **attributes)


def _mixed_precision(frozen_body=False):
    model = _body_and_head(lambda m, x: m.head(torch.tanh(m.body(x.float())).double()))
    model.head.double()
    model.body.requires_grad_(not frozen_body)
    loss = lambda out, y: F.mse_loss(out, y.double())
    return Case(model, loss, reals(), tolerance=1e-5)


def _checkpointed():
    """The body is computed again on the way back, when functional_call has put θ back in φ's place."""
    body = lambda m, x: torch.tanh(m.body(x))
    again = lambda m, x: torch.utils.checkpoint.checkpoint(body, m, x, use_reentrant=False)
    refused = "computes parts of itself again on the way back"
    return real(_body_and_head(lambda m, x: m.head(again(m, x))), refused=refused)


class _Trainer:
    """Something that knows its model, and itself."""

    def __init__(self, model):
        self.model, self.me = model, self


def _known_to_a_trainer():
    model = tanh_mlp()
    object.__setattr__(model, "trainer", _Trainer(model))
    return real(model)


def _cannot_be_copied(thing, convolves=True):
    model = models.CannotBeCopied(thing, convolves)
    return real(model, inputs=IMAGE if convolves else (4,))


class _Reverses(torch.autograd.Function):
    """Gradient reversal, as older code writes it."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, slope):
        return -slope


@torch.jit.script
def _scripted(x):
    return torch.tanh(x) * x


def _clamps(m, x):
    with torch.no_grad():
        m.layer.weight.clamp_(-0.2, 0.2)
    return x


_MADE_WEIGHTS = {
    "weight_norm": lambda: around(parametrizations.weight_norm(nn.Linear(5, 5))),
    "spectral_norm": lambda: around(parametrizations.spectral_norm(nn.Linear(5, 5))),
    "spectral_norm, eval": lambda: in_eval(around(parametrizations.spectral_norm(nn.Linear(5, 5)))),
    "orthogonal": lambda: around(parametrizations.orthogonal(nn.Linear(5, 5))),
    "weight_norm, old style": lambda: around(nn.utils.weight_norm(nn.Linear(5, 5))),
    "spectral_norm, old style": lambda: around(nn.utils.spectral_norm(nn.Linear(5, 5))),
    "spectral_norm, old style, eval": lambda: in_eval(
        around(nn.utils.spectral_norm(nn.Linear(5, 5)))
    ),
    "pruned": lambda: around(prune.random_unstructured(nn.Linear(5, 5), "weight", 0.4)),
}

_HOOKS_AND_PATCHES = {
    "forward hook that changes the output": lambda: hooked(
        forward_hook=lambda m, x, out: 1.5 * out
    ),
    "forward pre-hook": lambda: hooked(forward_pre_hook=lambda m, x: (x[0] + 1,)),
    "full backward hook": lambda: hooked(full_backward_hook=lambda m, before, after: None),
    "full backward hook that changes": lambda: hooked(
        full_backward_hook=lambda m, before, after: _halved(before)
    ),
    "full backward pre-hook that changes": lambda: hooked(
        full_backward_pre_hook=lambda m, after: _halved(after)
    ),
    "hook that keeps outputs": _kept_by_hook,
    "hook that hands features to the loss": lambda: features_in_the_loss(real(tanh_mlp())),
    "hook that hands features to the loss, images": lambda: features_in_the_loss(
        of_images(nn.BatchNorm2d(4), nn.Tanh())
    ),
    "hook on a parameter's gradient": _hook_on_gradient,
    "hook on an activation's gradient": lambda: real(_body_and_head(_hook_on_activation)),
    "forward patched on the instance": lambda: real(patched(relu_mlp())),
    "forward patched on the instance, images": lambda: real(patched(conv4().model), inputs=IMAGE),
    "forward of a layer patched": lambda: real(
        nn.Linear(4, 5), patched(nn.ReLU()), nn.Linear(5, 2)
    ),
    "Sequential with its own forward": lambda: real(models.Shifts(*relu_mlp())),
    "Sequential with its own call": lambda: real(models.Doubles(*relu_mlp())),
}

_STATE = {
    "keeps its feature map": lambda: real(models.Keeps()),
    "keeps its feature map, images": lambda: real(models.Keeps(convolves=True), inputs=IMAGE),
    "holds a lock": lambda: _cannot_be_copied(threading.Lock(), convolves=False),
    "holds a lock, images": lambda: _cannot_be_copied(threading.Lock()),
    "holds a generator": lambda: _cannot_be_copied(iter(n for n in range(3))),
    "holds an open file": lambda: _cannot_be_copied(open(__file__)),  # noqa: SIM115
    "holds a weak reference": lambda: _cannot_be_copied(weakref.ref(threading.Thread())),
    "is its own copy": lambda: real(models.IsItsOwnCopy(), inputs=IMAGE),
    "hidden modules": lambda: real(models.HiddenParts(*_still(nn.Linear(4, 5), nn.Linear(5, 5)))),
    "hidden modules that want to be trained": lambda: real(
        models.HiddenParts(nn.Linear(4, 5).double(), nn.Linear(5, 5).double()),
        refused="would never be trained",
    ),
    "hidden batch norm": lambda: real(
        models.HiddenParts(*_still(nn.Linear(4, 5), nn.BatchNorm1d(5)))
    ),
    "attributes in a circle": lambda: real(models.InACircle()),
    "known to a trainer": _known_to_a_trainer,
    "wrapper that passes attributes on": lambda: real(models.PassesOn(nn.Linear(4, 2))),
    "constant buffer": lambda: real(linear(lambda m, x: x * m.mask, mask=nn.Buffer(torch.rand(4)))),
    "counter changed in place": lambda: real(models.CountsInBuffer()),
    "counter assigned again": lambda: real(models.CountsInBuffer(reassigns=True)),
    "buffer of two modules": lambda: real(models.SharesBuffer()),
    "buffers that play no part": lambda: _with_buffers(
        empty=None, numbers=torch.arange(3), small=torch.ones(3, dtype=torch.float16)
    ),
    "switches modes inside forward": lambda: real(models.SwitchesModes()),
}

_WEIGHTS = {
    "residual block": lambda: real(
        models.Residual(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU()), nn.Linear(4, 2)
    ),
    "a layer twice": _layer_twice,
    "frozen body": lambda: frozen(real(relu_mlp()), "0.weight", "0.bias"),
    "frozen convolution": lambda: frozen(
        of_images(nn.BatchNorm2d(4), nn.ReLU()), "0.weight", "0.bias"
    ),
    "frozen norms, eval": lambda: frozen(in_eval(conv4()), "1.weight", "1.bias"),
    "parameters in every place": lambda: real(models.Parametric()),
    "penalty on its own parameters": lambda: real(
        linear(lambda m, x: x * sum(p.square().sum() for p in m.parameters()))
    ),
    "weights in another layout": lambda: real(_other_layout(relu_mlp())),
    "weights in another layout, images": lambda: real(_other_layout(conv4().model), inputs=IMAGE),
    "biases with gaps": _strided_biases,
    "two precisions": _mixed_precision,
    "two precisions, one frozen": lambda: _mixed_precision(frozen_body=True),
    "clamps its weights": lambda: real(linear(_clamps), writes=("parameters",)),
}

_INSIDE_FORWARD = {
    "branches by data": lambda: real(models.Branches()),
    ".item() in forward": lambda: real(linear(lambda m, x: x * (1 + abs(x.sum().item())))),
    "NumPy in forward": lambda: real(
        linear(lambda m, x: x * float(abs(x.detach().numpy()).mean()))
    ),
    "as many passes as the data ask for": lambda: real(models.Halting()),
    "examples chosen by a mask": lambda: real(
        Calls(lambda m, x: m.layer(x[x[:, 0] > 0]).sum(0).expand(len(x), 2), layer=nn.Linear(4, 2))
    ),
    "autograd inside forward": lambda: real(models.Energy(), outputs=(4,)),
    "torch.func.grad inside forward": lambda: real(
        Calls(
            lambda m, x: torch.func.grad(lambda x: m.layer(x).tanh().sum())(x),
            layer=nn.Linear(4, 3),
        ),
        outputs=(4,),
    ),
    "inputs changed in place": lambda: real(
        linear(lambda m, x: x.mul_(0.5)), options={"inner_steps": 1}
    ),
    "vmap inside forward": lambda: real(
        Calls(lambda m, x: torch.vmap(lambda e: m.layer(e).tanh())(x), layer=nn.Linear(4, 2))
    ),
    "old-style autograd.Function": lambda: real(
        _body_and_head(lambda m, x: m.head(torch.tanh(_Reverses.apply(m.body(x)))))
    ),
    "rounding, straight through": lambda: real(
        _body_and_head(lambda m, x: m.head((h := m.body(x)) + (h.round() - h).detach()))
    ),
    "body detached": lambda: real(_body_and_head(lambda m, x: m.head(m.body(x).detach()))),
    "scripted function": lambda: real(_body_and_head(lambda m, x: m.head(_scripted(m.body(x))))),
    "scripted module": lambda: around(torch.jit.script(nn.Tanh())),
    "compiled model": lambda: real(torch.compile(tanh_mlp(), backend="eager")),
    "checkpointed body": _checkpointed,
    "solves a ridge regression": lambda: real(
        Calls(
            lambda m, x: (
                (h := torch.tanh(m.layer(x)))
                @ torch.linalg.solve(h.T @ h + torch.eye(2).to(h), h.T @ x[:, :2])
            ),
            layer=nn.Linear(4, 2),
        )
    ),
    "Fourier transform": lambda: real(
        linear(
            lambda m, x: torch.fft.irfft(torch.fft.rfft(x) * m.filter, n=4),
            filter=nn.Parameter(torch.randn(3)),
        )
    ),
    "autocast in forward": lambda: real(
        Calls(_in_bf16, net=tanh_mlp()), dtype=torch.float32, tolerance=0.05
    ),
}


def _in_bf16(m, x):
    with torch.autocast("cpu", torch.bfloat16):
        return m.net(x).float()


CASES = {**_MADE_WEIGHTS, **_HOOKS_AND_PATCHES, **_STATE, **_WEIGHTS, **_INSIDE_FORWARD}
