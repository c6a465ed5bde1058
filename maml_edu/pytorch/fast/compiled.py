"""`lean` through torch.compile: the whole meta-gradient as a few fused kernels, for any small network.

The first call for a new shape takes half a minute or more, and on the CPU a C++ compiler; for a network
that trains for an hour that is little. Never chosen by itself: say engine="compiled".
"""

from __future__ import annotations

import functools
import shutil

import torch

from .. import maml
from . import lean
from .structure import structure_of


def missing() -> str | None:
    """None where torch.compile can work, else what it lacks."""
    if not torch.cuda.is_available() and not any(
        map(shutil.which, ("c++", "g++", "clang++", "cl"))
    ):
        return "torch.compile needs a C++ compiler (g++ or clang++) on the PATH"
    return None


def meta_gradient(loss, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]), as `maml.meta_gradient`.

    loss: hashable, as a learner's is.
    """
    theta, rates = maml.detached(params), loop.inner_lr
    rates = maml.detached(rates) if loop.learn_rates else rates
    compiled = _compiled(loss, loop._replace(inner_lr=None), _modes(loss))
    value, grads, slopes = compiled(theta, rates, tensors)
    return (value, grads, lean.fold(slopes, rates)) if loop.learn_rates else (value, grads)


@functools.lru_cache(maxsize=8)
def _compiled(loss, loop, modes):
    """The compiled function (θ, rates, tensors) → (value, grads, slopes) of one configuration."""

    def step(theta, rates, tensors):
        return lean.all_tasks(loss, theta, tensors, loop._replace(inner_lr=rates))

    return torch.compile(step, dynamic=False)


def _modes(loss):
    """What may be changed in a model or loss and must not serve what was compiled before."""
    items = loss if isinstance(loss, (list, tuple)) else [loss]
    return tuple((structure_of(item.model), structure_of(item.function)) for item in items)
