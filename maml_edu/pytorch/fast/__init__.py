"""Faster ways to the same meta-gradient: start with `meta_gradient`. Tests hold each to the plain one.

    plain     vmap through the whole inner loop: `maml_edu.pytorch.maml`, which chapter 08 teaches
    lean      vmap, then back over the inner steps by Hessian-vector products: little memory
    threads   the same for one task at a time, tasks spread over threads: anything large on a CPU
    closed    the same with derivatives by hand, in NumPy: multilayer perceptrons
    native    these compiled by numba: one task per thread, in cache (pip install "maml_edu[fast]")
    conv      convolutional networks like Conv4 with derivatives by hand, compiled by numba as well
    compiled  `lean` through torch.compile: needs a C++ compiler, and half a minute

Chosen by itself: on the CPU `native` or `closed` for a multilayer perceptron, `conv` for Conv4 and its
like, `threads` for anything else with convolutions or more than 100,000 parameters, else `lean`; on a
GPU `lean`; `plain` where a model draws random numbers (dropout), which a second look at the same step
would draw anew.
"""

from __future__ import annotations

import importlib
import importlib.util
import weakref

import torch
from torch import nn
from torch.func import vmap

from .. import maml
from ..networks import BatchNorm

ENGINES = ("plain", "lean", "threads", "closed", "native", "conv", "compiled")
NO_NUMBA = 'numba is not installed: pip install "maml_edu[fast]"'
BY_HAND = ("closed", "native", "conv")  # derivatives of known layers, in the parameters' precision
SMALL = 100_000  # parameters; below, operations are too short to be worth a thread


def meta_gradient(learner, batch):
    """(meta-loss, gradients like θ[, gradients like inner_lr]) by the first engine that applies."""
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is in
        return _meta_gradient(learner, batch)


def _meta_gradient(learner, batch):
    params = learner.params
    tensors = maml.tensors_of(batch, params)
    name, network = engine_for(learner, tensors)
    what = learner.loss if network is None else network
    arguments = (params, tensors, learner.inner_lr, learner.inner_steps, learner.first_order)
    return module_of(name).meta_gradient(
        what, *arguments, learn_rates=learner.learn_inner_lr, **learner.options()
    )


def module_of(name):
    """The module of an engine, imported when it is first asked for."""
    return maml if name == "plain" else importlib.import_module(f".{name}", __name__)


def check_engine(engine):
    """`engine` as given, once it is known to name engines. ValueError otherwise."""
    names = (engine,) if isinstance(engine, str) else tuple(engine)
    unknown = [name for name in names if name not in (*ENGINES, "auto")]
    if unknown or not names:
        raise ValueError(
            f"engine must be 'auto' or one or several of {', '.join(ENGINES)}; got {engine!r}."
        )
    return engine


_chosen: weakref.WeakKeyDictionary = (
    weakref.WeakKeyDictionary()
)  # learner → {what it depends on: choice}


def engine_for(learner, tensors):
    """(name, the network for the closed form or None): the first engine that applies to these tensors.

    Raises ValueError with every engine's reason where none of those asked for does.
    """
    known = _chosen.setdefault(learner, {})
    key = circumstances(learner, tensors)
    if key not in known:
        known[key] = choose(learner, tensors)
    name, network = known[key]
    if network is not None and not labels_within(network, tensors):
        # labels that the loss ignores, or an error that torch words best
        return ("threads" if name == "conv" else "lean"), None
    return name, network


def circumstances(learner, tensors):
    """Everything that the choice of an engine depends on: cheap to look at before each step."""
    losses = (learner.loss_function, learner.inner_loss_function, learner.inner_steps)
    shapes = tuple((t.shape, t.dtype, t.device.type) for t in tensors)
    precision = getattr(learner, "precision", None)
    return learner.engine, precision, losses, shapes, *parts(learner.model)


SETTINGS = {  # of layers whose derivatives are taken by hand, what may be changed in place
    nn.Flatten: ("start_dim", "end_dim"),
    nn.Conv2d: ("stride", "padding", "dilation", "groups", "padding_mode", "kernel_size"),
    nn.MaxPool2d: (
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "ceil_mode",
        "return_indices",
    ),
    BatchNorm: ("eps",),
}


def parts(module):
    """Kind, mode, hooks, settings and parameters of a module and of those within it."""
    own = [type(module), id(module), module.training]
    own += [module.__dict__.get(name) for name in SETTINGS.get(type(module), ())]
    own.append(len(module._forward_hooks) + len(module._forward_pre_hooks))
    tensors = [p for p in module._parameters.values() if p is not None]
    own += [(id(p), p.shape, p.dtype, p.requires_grad) for p in tensors]
    for child in module._modules.values():
        if child is not None:
            own += parts(child)
    return own


def choose(learner, tensors):
    reasons = {}
    for name in preferences(learner, tensors):
        network, reasons[name] = applies(name, learner, tensors)
        if reasons[name] is None:
            return name, network
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"no engine of those asked for applies here ({listed}). Try engine='auto'.")


def preferences(learner, tensors):
    """The names to try, in order; "auto" stands for what is known to be fastest."""
    asked = (learner.engine,) if isinstance(learner.engine, str) else learner.engine
    if "auto" not in asked:
        return asked
    large = sum(p.numel() for p in learner.params.values()) > SMALL
    convolves = any(isinstance(m, nn.modules.conv._ConvNd) for m in learner.model.modules())
    own = [*(["conv"] if convolves else []), *(["threads"] if large or convolves else [])]
    auto = ("native", "closed", *own, "lean", "plain")
    return [name for own in asked for name in (auto if own == "auto" else (own,))]


def applies(name, learner, tensors):
    """(network or None, None), or (None, the reason why this engine cannot be used here)."""
    on_cpu = all(t.device.type == "cpu" for t in tensors)
    if name == "plain":
        return None, None
    if name in ("threads", *BY_HAND) and not on_cpu:
        return None, "it is for the CPU"
    if name in BY_HAND and getattr(learner, "precision", None) == "bf16":
        return None, "it does not compute in bfloat16"
    if name in ("closed", "native"):
        return closed_form(name, learner, tensors)
    if name == "conv":
        return convolutional(learner, tensors)
    if name == "threads" and not hasattr(learner.loss, "model"):
        return None, "it needs a loss that says which module it calls"
    if draws_at_random(learner, tensors):
        return (
            None,
            "the model draws random numbers, such as dropout's; going back would draw others",
        )
    if name == "compiled":
        from .compiled import missing

        return None, missing()
    return None, None


def closed_form(name, learner, tensors):
    from . import closed

    network = closed.network_of(learner)
    if network is None or not closed.fits(network, tensors):
        return (
            None,
            "it needs Linear and ReLU layers, and mse_loss or cross_entropy in its plain form",
        )
    if name == "native" and importlib.util.find_spec("numba") is None:
        return None, NO_NUMBA
    if name == "native" and max(network.widths) > 512:
        return None, "a layer is wider than 512"
    return network, None


def convolutional(learner, tensors):
    """The network for `conv`, or the reason why there is none."""
    if importlib.util.find_spec("numba") is None:
        return None, NO_NUMBA
    from . import conv

    return conv.network_of(learner, tensors)


def labels_within(network, tensors):
    """Whether every class label is one of the network's outputs."""
    labels = [y for y in tensors[1::2] if not y.is_floating_point()]
    return all(0 <= int(y.min()) and int(y.max()) < network.widths[-1] for y in labels)


def draws_at_random(learner, tensors):
    """Whether a forward pass asks for random numbers: one task is tried."""
    support, query = [t[:1] for t in tensors[:2]], [t[:1] for t in tensors[2:]]
    try:
        with torch.no_grad():
            for loss, data in (
                (learner.inner_loss or learner.loss, support),
                (learner.loss, query),
            ):
                vmap(loss, in_dims=(None, 0, 0), randomness="error")(learner.detached(), *data)
    except RuntimeError as error:
        return "random" in str(error)
    return False
