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


def missing() -> str | None:
    """None where torch.compile can work, else what it lacks."""
    if not torch.cuda.is_available() and not any(
        map(shutil.which, ("c++", "g++", "clang++", "cl"))
    ):
        return "torch.compile needs a C++ compiler (g++ or clang++) on the PATH"
    return None


def meta_gradient(
    loss,
    params,
    batch,
    inner_lr,
    inner_steps,
    first_order=False,
    *,
    adapting=None,
    inner_loss=None,
    query_weights=None,
    learn_rates=False,
):
    """As `maml_edu.pytorch.meta_gradient`, to rounding. loss: hashable, as a learner's is."""
    inner_steps = maml.check_inner_loop(params, inner_lr, inner_steps, adapting)
    weights = tuple(maml.check_query_weights(query_weights, inner_steps))
    moving = tuple(adapting or params)
    step = compiled_step(loss, inner_loss or loss, bool(first_order), moving, weights, learn_rates)
    rates = maml.detached(inner_lr) if learn_rates else inner_lr
    value, grads, slopes = step(maml.detached(params), rates, maml.tensors_of(batch, params))
    return (value, grads, lean.fold(slopes, rates)) if learn_rates else (value, grads)


@functools.lru_cache(maxsize=8)
def compiled_step(loss, inner_loss, first_order, moving, weights, learn_rates):
    """The compiled function (θ, rates, tensors) → (value, grads, slopes) of one configuration."""
    losses = [maml.per_step(own, len(weights) - 1) for own in (loss, inner_loss)]
    fixed = (*losses, first_order, list(moving), list(weights), learn_rates)
    return torch.compile(lambda *inputs: lean.all_tasks(*inputs, *fixed), dynamic=False)
