"""The meta-gradient as a textbook has it: one task after the other, double backward through the inner loop.

Slow, and right for whatever autograd can differentiate twice: recurrent layers, control flow that depends on
the data, `.item()`. Every other engine is tried against it before it is used.
"""

from __future__ import annotations

import contextlib
import functools

import torch
from torch import nn

from .. import maml


def meta_gradient(loss, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]): means over tasks. See `maml.meta_gradient`."""
    total = None
    for task in zip(*tensors, strict=True):
        try:
            result = task_gradient(loss, params, task, loop)
        except RuntimeError as error:
            if "is not implemented" not in str(error) or loop.first_order:
                raise
            raise ValueError(
                f"torch has no second derivative of something in this model or loss ({str(error).strip()}): "
                f"write it from other operations, or say first_order=True."
            ) from error
        total = result if total is None else maml.mapped(torch.add, total, result)
    return maml.mapped(lambda sums: sums / len(tensors[0]), total)


def task_gradient(loss, params, task, loop):
    """The same for ONE task: support x and y, query x and y, each (examples, …)."""
    value, theta, rates = query_graph(loss, params, task, loop)
    trees = (theta, rates) if loop.learn_rates else (theta,)
    leaves = [leaf for tree in trees for leaf in _leaves(tree)]
    slopes = iter(gradients(value, leaves))
    return value.detach(), *(maml.mapped(lambda _: next(slopes), tree) for tree in trees)


def query_graph(loss, params, task, loop):
    """(query loss with its graph, θ as leaves of it, rates as leaves where they are learned).

    θ are the parameters themselves where these have hooks, which autograd then calls.
    """
    theta = {n: p if p._backward_hooks else as_leaf(p) for n, p in params.items()}
    rates = maml.mapped(as_leaf, loop.inner_lr) if loop.learn_rates else loop.inner_lr
    loop = loop._replace(inner_lr=rates)
    with twice_differentiable(loss):
        return maml.query_loss(loss, theta, task, loop, slope_of), theta, rates


def slope_of(loss, params, moving, x, y, graph=True):
    """As `maml.slope_of`, by autograd. graph: whether it can be differentiated in turn."""
    if graph:
        value = loss(params, x, y)
        return dict(zip(moving, gradients(value, moving.values(), create_graph=True), strict=True))
    with torch.enable_grad(), twice_differentiable(loss):
        leaves = {name: as_leaf(p) for name, p in moving.items()}
        slopes = gradients(loss({**params, **leaves}, x, y), leaves.values())
    return dict(zip(moving, slopes, strict=True))


detached_slope_of = functools.partial(
    slope_of, graph=False
)  # where nobody keeps a graph, as under no_grad


def as_leaf(tensor):
    """The same numbers as a leaf of a new graph."""
    return tensor.detach().requires_grad_()


def _leaves(tree):
    return tree.values() if isinstance(tree, dict) else [tree]


def gradients(outputs, inputs, directions=None, create_graph=False):
    """torch.autograd.grad, with zeros for inputs that play no part."""
    inputs = list(inputs)
    if isinstance(outputs, torch.Tensor) and not outputs.requires_grad:
        return [torch.zeros_like(i) for i in inputs]
    slopes = torch.autograd.grad(
        outputs, inputs, directions, create_graph=create_graph, allow_unused=True
    )
    return [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, slopes, strict=True)]


@contextlib.contextmanager
def twice_differentiable(loss):
    """torch's forms of attention and of recurrent layers that have second derivatives."""
    model = getattr(loss, "model", None)
    recurrent = isinstance(model, nn.Module) and any(
        isinstance(module, nn.RNNBase) for module in model.modules()
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(maml.math_attention())
        if recurrent:  # cuDNN's have first derivatives only
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield
