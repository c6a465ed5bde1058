"""How learners that compute their meta-gradient themselves take derivatives: `functional`, or `by_autograd`.

Both have the same three functions of a loss(params, x, y) on one task's examples. The first runs under vmap;
the second runs whatever autograd can differentiate, one task after the other.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch.func import grad, grad_and_value, vjp

from . import maml
from .fast import textbook


def _hessian(loss, params, x, y):
    """The function v → H v, with H the Hessian of the loss at params: symmetric, so a transposed product does."""
    pull = vjp(lambda at: grad(loss)(at, x, y), params)[1]
    return lambda v: pull(v)[0]


def _slope_and_value(loss, params, *examples):
    """(gradient like params, loss), by autograd."""
    with torch.enable_grad(), textbook.twice_differentiable(loss):
        leaves = {name: textbook.as_leaf(p) for name, p in params.items()}
        value = loss(leaves, *examples)
        slopes = textbook.gradients(value, leaves.values())
    return dict(zip(params, slopes, strict=True)), value.detach()


def _hessian_by_autograd(loss, params, x, y):
    with torch.enable_grad(), textbook.twice_differentiable(loss):
        leaves = {name: textbook.as_leaf(p) for name, p in params.items()}
        slopes = textbook.slope_of(loss, leaves, leaves, x, y)

    def product(v):
        outputs = [slope for slope in slopes.values() if slope.requires_grad]
        directions = [v[name] for name, slope in slopes.items() if slope.requires_grad]
        if not outputs:  # a loss that is linear in all parameters
            return maml.mapped(torch.zeros_like, v)
        products = torch.autograd.grad(
            outputs, list(leaves.values()), directions, retain_graph=True, materialize_grads=True
        )
        return dict(zip(params, products, strict=True))

    return product


functional = SimpleNamespace(
    slope_of=maml.slope_of,
    slope_and_value=lambda loss, *arguments: grad_and_value(loss)(*arguments),
    hessian=_hessian,
)
by_autograd = SimpleNamespace(
    slope_of=textbook.detached_slope_of,
    slope_and_value=_slope_and_value,
    hessian=_hessian_by_autograd,
)
