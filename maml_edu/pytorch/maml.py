"""MAML on tensors: start with `meta_gradient`, the gradient of each task and then the mean.

The functions of `maml_edu.reference.maml` in the same order, with `torch.func` in place of our own `grad`
and with three additions: losses of their own for each step (MAML++), a subset that adapts (ANIL), and an
open rule for the inner step. `loss(params, x, y)` is one number for ONE task; `params` (θ) a dict of
tensors; batches may hold arrays or tensors.

The order matters. `vmap` of each task's gradient is exact for every layer that torch can differentiate
twice. The gradient of a vmap is not: torch (2.13) then differentiates the batched forms of batch_norm,
layer_norm and embedding, whose second derivatives are silently wrong (relative error 1e-3 to 2e-2).
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import torch
from torch.func import grad, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from maml_edu.tasks import TaskBatch

from .arguments import check_examples, one_number
from .loop import Loop

_BYTES = (torch.uint8, np.dtype("uint8"))
ROOM = 1 << 28  # numbers that the gradients and parameters of the tasks at work may take


def adapt(
    loss,
    params,
    support_x,
    support_y,
    inner_lr,
    inner_steps,
    first_order=False,
    *,
    adapting=None,
    inner_optimiser="sgd",
    inner_clip=None,
):
    """φ: `params` after `inner_steps` of gradient descent on one task's support set.

    MAML's inner loop (Finn et al. 2017, Algorithm 1, line 6). inner_lr (α): a number; a tensor
    (inner_steps,) of one rate per step; or a dict like params of either, or of tensors shaped like the
    parameter (one rate per element), or with a step axis in front of that. first_order takes each slope
    for a constant. adapting: the names of the parameters that take part (None: all), as in ANIL; a dict
    of rates then names these. inner_optimiser: "sgd", "momentum", "adam", or a pure function (params,
    slopes, state, rate) → (params, state), see `inner_optimisers`. inner_clip: the largest norm of the
    slopes, or ("value", x), their largest element. Differentiable with respect to params and inner_lr.
    Raises ValueError for rates, steps or data that make no sense.
    """
    loop = Loop(inner_lr, inner_steps, first_order, adapting).checked(params)
    loop = loop._replace(inner_optimiser=inner_optimiser, inner_clip=inner_clip).checked(params)
    support_x, support_y = (like_params(a, params) for a in (support_x, support_y))
    check_examples("support", support_x, support_y)
    with math_attention():
        return adaptation(loss, params, support_x, support_y, loop)[-1]


def slope_of(loss, params, moving, x, y):
    """The gradient of one task's loss at `params`, with respect to those of them that are `moving`."""
    return grad(lambda part: loss(params | part, x, y))(moving)


def adaptation(loss, params, support_x, support_y, loop, slope_of=slope_of):
    """[φ₀ = θ, φ₁, …, φ_K]: the parameters before and after each inner step. Inputs are not checked.

    loss: one for all steps, or a sequence of one for each (`per_step`). slope_of: how slopes are taken,
    where not by `torch.func`.
    """
    losses, path, state = per_step(loss, loop.inner_steps), [params], None
    for step in range(loop.inner_steps):
        moving = {name: params[name] for name in loop.adapting or params}
        slopes = slope_of(losses[step], params, moving, support_x, support_y)
        if loop.first_order:
            slopes = detached(slopes)
        moved, state = loop.step(moving, slopes, state, step)
        params = params | moved
        path.append(params)
    return path


def query_loss(loss, params, task, loop, slope_of=slope_of):
    """The query loss of ONE task at φ, or the weighted sum of those at φ₀ … φ_K.

    task: support x and y, query x and y, each (examples, …).
    """
    support_x, support_y, query_x, query_y = task
    inner_loss, losses = loop.inner_loss or loss, per_step(loss, loop.inner_steps)
    path = adaptation(inner_loss, params, support_x, support_y, loop, slope_of)
    return sum(
        weight * losses[step](path[step], query_x, query_y)
        for step, weight in enumerate(loop.query_weights)
        if weight
    )


def meta_loss(
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
    inner_optimiser="sgd",
    inner_clip=None,
):
    """Mean over tasks of the query loss at φ, the parameters adapted to the task's support set.

    batch: a TaskBatch, or a tuple of its four arrays; tasks of unequal size as `TaskBatch` describes them.
    adapting, inner_optimiser, inner_clip: as in `adapt`. inner_loss: the loss of the support set, where it
    is another one. query_weights (inner_steps + 1,): weights of the query losses at φ₀, φ₁, …, φ_K (None:
    only φ_K counts), the multi-step loss of MAML++ (Antoniou et al. 2019, equation 5).
    """
    loop = Loop(inner_lr, inner_steps, first_order, adapting, inner_loss, query_weights)
    loop = loop._replace(inner_optimiser=inner_optimiser, inner_clip=inner_clip).checked(params)

    def mean_loss(tensors):
        losses = vmap(lambda *task: query_loss(loss, params, task, loop), randomness="different")
        return (losses(*tensors).mean(),)

    with math_attention():
        return over_groups(mean_loss, batch, params)[0]


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
    inner_optimiser="sgd",
    inner_clip=None,
):
    """(meta-loss, its gradient with respect to θ, like params): what the outer loop descends.

    The gradient goes through every inner step (Algorithm 1, line 8). first_order=True leaves out the
    second derivatives (first-order MAML, section 5.2): the query gradient at φ stands for that at θ.
    batch and the other arguments: as in `meta_loss`. learn_rates=True gives a third result: the gradient
    with respect to inner_lr, a tensor or a dict of tensors (Meta-SGD). The results are free of any graph.

    Each task's gradient is as large as θ: memory grows with tasks × |θ| × (inner_steps + 2), and beyond
    2²⁸ numbers (1 GiB in float32) the tasks go in chunks. Faster ways to the same: `maml_edu.pytorch.fast`.
    """
    loop = Loop(
        inner_lr, inner_steps, first_order, adapting, inner_loss, query_weights, learn_rates
    )
    loop = loop._replace(inner_optimiser=inner_optimiser, inner_clip=inner_clip).checked(params)
    with math_attention():
        return over_groups(
            lambda tensors: mean_of_gradients(loss, params, tensors, loop), batch, params
        )


def mean_of_gradients(loss, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]) of tasks of one size, all at once.

    tensors: support x and y, query x and y, each (tasks, examples, …).
    """
    theta = detached(params)
    rates = detached(loop.inner_lr) if loop.learn_rates else loop.inner_lr
    wanted = (0, 1) if loop.learn_rates else (0,)

    def task_gradient(*task):
        at = lambda theta, rates: query_loss(loss, theta, task, loop._replace(inner_lr=rates))
        slopes, value = grad_and_value(at, argnums=wanted)(theta, rates)
        return value, *slopes

    return mean_over_tasks(task_gradient, tensors, theta, loop.inner_steps, "different")


def mean_over_tasks(one_task, tensors, theta, inner_steps, randomness):
    """The mean of one_task(support_x, support_y, query_x, query_y) → (numbers and dicts of tensors).

    All tasks side by side under vmap, in chunks where their parameters take more than `ROOM` numbers.
    """
    numbers = sum(p.numel() for p in theta.values()) * (inner_steps + 2)
    tasks, size = len(tensors[0]), max(1, ROOM // numbers)
    run = vmap(one_task, randomness=randomness)
    if tasks <= size:
        return mapped(lambda results: results.detach().mean(0), run(*tensors))
    total = None
    for part in zip(*(tensor.split(size) for tensor in tensors), strict=True):
        sums = mapped(lambda results: results.detach().sum(0), run(*part))
        total = sums if total is None else mapped(torch.add, total, sums)
    return mapped(lambda sums: sums / tasks, total)


def mapped(function, *trees):
    """function of the tensors of one or several alike tuples or dicts, nested or not."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: mapped(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        return tuple(mapped(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


# ------------------------------------------------------------------ what they share


def detached(tensors):
    """The same numbers without a graph; a tensor, or a dict of tensors."""
    if isinstance(tensors, dict):
        return {name: value.detach() for name, value in tensors.items()}
    return tensors.detach()


def per_step(loss, inner_steps):
    """The loss at φ₀, φ₁, …, φ_K: `loss` itself each time, or its items where it is a sequence.

    A sequence that is shorter (more steps than in training) goes on with its last item.
    """
    if not isinstance(loss, (list, tuple)):
        return [one_number(loss)] * (inner_steps + 1)
    losses = [one_number(item) for item in loss]
    return losses + losses[-1:] * (inner_steps + 1 - len(losses))


_lock, _inside = threading.Lock(), 0
_only_math: Any = None  # torch's context; its switches are those of the whole process


@contextlib.contextmanager
def math_attention():
    """A context in which scaled-dot-product attention has a second derivative: its fused forms have none.

    Several threads may be in it; torch's switches are put back when the last one leaves.
    """
    global _inside, _only_math
    with _lock:
        if not _inside:
            _only_math = sdpa_kernel(SDPBackend.MATH)
            _only_math.__enter__()
        _inside += 1
    try:
        with torch.inference_mode(False):  # where nothing would have a derivative
            yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _only_math.__exit__(None, None, None)


def groups_of(batch):
    """[TaskBatch], each of tasks of one size: the batch itself, unless it has masks."""
    return [group for _, group in TaskBatch.of(batch).groups()]


def over_groups(compute, batch, params):
    """compute(tensors) → a tuple of means over tasks, for a batch whose tasks may be of unequal size.

    Tasks of one size go together; the means of the groups are weighted by their numbers of tasks.
    """
    groups = groups_of(batch)
    results = [compute(tensors_of(group, params)) for group in groups]
    if len(results) == 1:
        return results[0]
    tasks = sum(map(len, groups))
    shares = [len(group) / tasks for group in groups]
    weighted = [
        mapped(lambda mean, share=share: share * mean, result)
        for share, result in zip(shares, results, strict=True)
    ]
    return mapped(lambda *parts: sum(parts), *weighted)


def tensors_of(batch, params):
    """The four parts of a batch as tensors on the device, and in the precision, of params."""
    batch = TaskBatch.of(batch)
    if batch.support_mask is not None or batch.query_mask is not None:
        raise ValueError(
            "the batch has masks, for tasks of unequal size: take its groups(), each of one size."
        )
    for role in ("support_x", "query_x"):
        refuse_bytes(role, getattr(batch, role))
    tensors = (like_params(values, params) for values in batch.arrays)
    return tuple(t.detach() if t.requires_grad else t for t in tensors)


def refuse_bytes(role, x):
    """ValueError for examples in uint8, which are images that nobody has scaled."""
    if getattr(x, "dtype", None) in _BYTES:
        raise ValueError(
            f"{role} is uint8: a network takes real numbers, such as images / 255 in float32 (or int64, "
            f"for the numbers of tokens)."
        )


def like_params(values, params):
    """An array or tensor on the device of params; real numbers in their precision, labels as they are."""
    example = next(iter(params.values()))
    if isinstance(values, np.ndarray) and any(stride < 0 for stride in values.strides):
        values = values.copy()  # torch knows no negative strides
    values = torch.as_tensor(values, device=example.device)
    if values.is_complex():
        raise ValueError(
            "the batch holds complex numbers: give real and imaginary parts as features."
        )
    if values.is_inference():
        values = values.clone()
    if values.is_floating_point():
        return values.to(example.dtype)
    return values if values.dtype == torch.bool else values.long()  # labels; losses want int64
