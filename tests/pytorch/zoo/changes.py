"""What may be changed between two calls: `CHANGES`, name → (function that gives a Case, change(case)).

After the change the numbers must be those of the case as it is then. Where forward is random then, its
output is linear in θ and targets are 0; see `Case.linear`.
"""

import collections
import random
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .case import (
    classifier,
    conv4,
    drawn,
    frozen,
    in_eval,
    mapped,
    of_images,
    real,
    relu_mlp,
)
from .families.modules import patched
from .models import Calls, linear


def _set(**values):
    """Sets attributes of the loss."""

    def change(case):
        for name, value in values.items():
            setattr(case.loss, name, value)

    return change


def _of_layer(number, **values):
    def change(case):
        for name, value in values.items():
            setattr(case.model[number], name, value)

    return change


def _cross_entropy(**options):
    return lambda: classifier(relu_mlp(3), loss=nn.CrossEntropyLoss(**options))


def _twice(function):
    return lambda *arguments, **options: 2 * function(*arguments, **options)


def _statistics_given(case):
    case.model[1].running_mean = torch.full((3,), 0.3).double()
    case.model[1].running_var = torch.full((3,), 0.5).double()


def _without_statistics():
    case = conv4(track_running_stats=False)
    case.model.eval()
    return case


class _Chain(nn.Sequential):
    """A Sequential of one's own, whose class is changed in between."""


def _call_of_class(case):
    """`_Chain`, from now on with a __call__ of its own; it is another class for each case."""
    kind = type("_Chain", (_Chain,), {"__call__": _twice(_Chain.__call__)})
    case.model.__class__ = kind


def _closure_changed():
    settings = {"smoothing": 0.0}
    loss = lambda out, y: F.cross_entropy(out, y, label_smoothing=settings["smoothing"])
    case = classifier(relu_mlp(3), loss=loss)
    case.settings = settings
    return case


_SETTINGS = {
    "label_smoothing": (_cross_entropy(), _set(label_smoothing=0.3)),
    "reduction": (_cross_entropy(), _set(reduction="sum")),
    "ignore_index": (_cross_entropy(), _set(ignore_index=1)),
    "class weights given": (_cross_entropy(), _set(weight=torch.tensor([0.2, 1, 3]).double())),
    "class weights replaced": (
        _cross_entropy(weight=torch.ones(3).double()),
        _set(weight=torch.tensor([0.2, 1, 3]).double()),
    ),
    "what a loss closes over": (
        _closure_changed,
        lambda case: case.settings.update(smoothing=0.4),
    ),
    "forward of the loss": (
        lambda: real(relu_mlp(), loss=nn.MSELoss()),
        lambda case: setattr(case.loss, "forward", _twice(case.loss.forward)),
    ),
    "a hook on the loss": (
        lambda: real(relu_mlp(), loss=nn.MSELoss()),
        lambda case: case.loss.register_forward_hook(lambda m, x, out: 2 * out),
    ),
}


def _perceptron():
    return real(relu_mlp())


_MODEL = {
    "forward patched": (_perceptron, lambda case: patched(case.model)),
    "forward of a layer patched": (_perceptron, lambda case: patched(case.model[0])),
    "a patch taken off": (
        lambda: real(patched(relu_mlp())),
        lambda case: delattr(case.model, "forward"),
    ),
    "call of a subclass": (lambda: real(_Chain(*relu_mlp())), _call_of_class),
    "a hook": (
        _perceptron,
        lambda case: case.model[0].register_forward_hook(lambda m, x, out: 2 * out),
    ),
    "a pre-hook": (
        _perceptron,
        lambda case: case.model[2].register_forward_pre_hook(lambda m, x: 2 * x[0]),
    ),
    "a hook on a gradient": (
        _perceptron,
        lambda case: case.model[0].weight.register_hook(lambda slope: 2 * slope),
    ),
    "another layer": (_perceptron, lambda case: case.model.__setitem__(1, nn.Tanh())),
    "another class of a layer": (_perceptron, _of_layer(1, __class__=nn.Tanh)),
    "another weight": (
        _perceptron,
        lambda case: setattr(case.model[0], "weight", nn.Parameter(torch.ones(5, 4).double())),
    ),
    "a layer frozen": (_perceptron, lambda case: case.model[0].requires_grad_(False)),
    "a layer frozen, images": (
        lambda: of_images(nn.BatchNorm2d(4), nn.ReLU()),
        lambda case: case.model[0].requires_grad_(False),
    ),
    "a layer no longer frozen": (
        lambda: frozen(_perceptron(), "0.weight", "0.bias"),
        lambda case: case.model.requires_grad_(True),
    ),
    "eval mode": (lambda: in_train(in_eval(conv4())), lambda case: case.model.eval()),
    "training mode": (lambda: in_eval(conv4()), lambda case: case.model.train()),
    "eps of a norm": (conv4, _of_layer(1, eps=0.5)),
    "statistics of a norm given": (_without_statistics, _statistics_given),
    "statistics of a norm taken": (
        lambda: in_eval(conv4()),
        _of_layer(1, running_mean=None, running_var=None),
    ),
    "padding of a convolution": (
        lambda: of_images(nn.Conv2d(4, 4, 1), nn.ReLU()),
        _of_layer(0, padding_mode="circular", _reversed_padding_repeated_twice=[1, 1, 1, 1]),
    ),
}


def in_train(case):
    case.model.train()
    return case


# ------------------------------------------------------------------ another path through forward

_SEVEN = {"inner_steps": 7, "inner_lr": 0.05}  # more steps than any engine keeps the graphs of


def _more_examples(case):
    """Ten support examples for each task."""
    draw = np.random.default_rng(5).normal
    zero = 0 if case.linear else 1
    case.batch = mapped(case.batch, lambda name, values: values)
    case.batch.support_x = draw(size=(3, 10, 4))
    case.batch.support_y = zero * draw(size=(3, 10, 2))


def _dropout(x):
    return F.dropout(x, 0.5)


def _python(x):
    return x * random.random()


def _numpy(x):
    return x * float(np.random.rand())


def _among_many(path, make=drawn):
    return lambda: make(linear(lambda m, x: path(x) if len(x) > 8 else x), options=_SEVEN)


_SHAPES = {
    "shape: dropout": (_among_many(_dropout), _more_examples),
    "shape: Python's random": (_among_many(_python), _more_examples),
    "shape: NumPy's random": (_among_many(_numpy), _more_examples),
    "shape: .item()": (_among_many(lambda x: x * x.sum().item(), real), _more_examples),
    "shape: branches": (_among_many(lambda x: x if x.sum() > 0 else -x, real), _more_examples),
}


class _Slots:
    __slots__ = ("on",)

    def __init__(self):
        self.on = False


class _Switched(Calls):
    """Has a switch on the class; a class of its own for each case."""


def _of_class(path, convolution):
    kind = type("_Switched", (_Switched,), {"on": False})
    function = lambda m, x: m.layer(path(x) if type(m).on else x)
    parts = {"layer": nn.Linear(4, 2), **convolution}
    return drawn(kind(function, **parts), options=_SEVEN)


def _places():
    """name → (a switch, whether it is on, what turns it on)."""
    deep = lambda: {"a": {"b": {"c": {"on": False}}}}
    namespace = lambda: SimpleNamespace(on=False)
    on = lambda switch: switch.on
    turn = lambda switch: setattr(switch, "on", True)
    return {
        "namespace": (namespace, on, turn),
        "dict": (
            lambda: {"on": False},
            lambda switch: switch["on"],
            lambda switch: switch.update(on=True),
        ),
        "deep dict": (
            deep,
            lambda switch: switch["a"]["b"]["c"]["on"],
            lambda switch: switch["a"]["b"]["c"].update(on=True),
        ),
        "slots": (_Slots, on, turn),
        "set": (set, bool, lambda switch: switch.add("on")),
        "deque": (collections.deque, bool, lambda switch: switch.append("on")),
        "array": (lambda: np.zeros(1), lambda switch: switch[0] > 0, lambda switch: switch.fill(1)),
        "buffer": (lambda: nn.Buffer(torch.zeros(())), bool, lambda switch: switch.fill_(1)),
    }


def _switches(path, convolution):
    """name → (case, change) for each place where a switch may be; on, forward takes the path."""
    rest = lambda: {"convolution": nn.Conv2d(1, 1, 1)} if convolution else {}

    def in_attribute(new, is_on, turn):
        before = lambda m, x: path(x) if is_on(m.switch) else x
        make = lambda: drawn(linear(before, switch=new(), **rest()), options=_SEVEN)
        return make, lambda case: turn(case.model.switch)

    def in_closure():
        switch = {"on": False}
        case = drawn(linear(lambda m, x: path(x) if switch["on"] else x, **rest()), options=_SEVEN)
        case.switch = switch
        return case

    return {
        **{f"in a {name}": in_attribute(*place) for name, place in _places().items()},
        "in a closure": (in_closure, lambda case: case.switch.update(on=True)),
        "on the class": (
            lambda: _of_class(path, rest()),
            lambda case: setattr(type(case.model), "on", True),
        ),
    }


def _hidden_dropout(where, convolution):
    """A Dropout that nn.Module does not see: in a list, a closure, the loss."""
    dropout = nn.Dropout(0.5).eval()
    rest = {"convolution": nn.Conv2d(1, 1, 1)} if convolution else {}
    before = {
        "list": lambda m, x: m.parts[0](x),
        "closure": lambda m, x: dropout(x),
        "loss": lambda m, x: x,
    }[where]
    parts = {"parts": [dropout]} if where == "list" else {}
    case = drawn(linear(before, **parts, **rest), options=_SEVEN)
    if where == "loss":
        case.loss = lambda out, y: F.mse_loss(dropout(out), y)
    case.dropout = dropout
    return case


_PATHS = {"dropout": _dropout, "Python's random": _python}
_RANDOM = {
    f"{path}{', images' if images else ''}: switch {name}": pair
    for path, function in _PATHS.items()
    for images in (False, True)
    for name, pair in _switches(function, images).items()
} | {
    f"hidden dropout{', images' if images else ''}: in a {where}": (
        lambda where=where, images=images: _hidden_dropout(where, images),
        lambda case: case.dropout.train(),
    )
    for images in (False, True)
    for where in ("list", "closure", "loss")
}
_RANDOM["p of a dropout"] = (
    lambda: drawn(nn.Dropout(0.0), nn.Linear(4, 2), options=_SEVEN),
    _of_layer(0, p=0.5),
)
_RANDOM["mode of a dropout"] = (
    lambda: in_eval(drawn(nn.Dropout(0.5), nn.Linear(4, 2), options=_SEVEN)),
    lambda case: case.model.train(),
)

CHANGES = {**_SETTINGS, **_MODEL, **_SHAPES, **_RANDOM}
