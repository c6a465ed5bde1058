"""MAML on tensors, all tasks of a meta-batch at once: start with `meta_gradient`.

The functions of `maml_edu.reference.maml`, line by line the same, with `torch.func` in place of our own
`grad`: `vmap` runs the inner loop of every task side by side, `grad` goes through it. `loss(params, x,
y)` is one number for ONE task; `params` (θ) a dict of tensors; batches may hold arrays or tensors.
"""

from __future__ import annotations

import operator

import numpy as np
import torch
from torch.func import grad, grad_and_value, vmap

from maml_edu.tasks import TaskBatch
from maml_edu.tasks.batch import FIELDS


def adapt(
    loss, params, support_x, support_y, inner_lr, inner_steps, first_order=False, *, adapting=None
):
    """φ: `params` after `inner_steps` of gradient descent on one task's support set.

    MAML's inner loop (Finn et al. 2017, Algorithm 1, line 6). inner_lr (α): a number; a tensor
    (inner_steps,) of one rate per step; or a dict like params of either, or of tensors shaped like the
    parameter (one rate per element), or with a step axis in front of that. first_order takes each slope
    for a constant. adapting: the names of the parameters that take part (None: all), as in ANIL; a dict
    of rates then names these. Differentiable with respect to params and inner_lr. Raises ValueError for
    rates, steps or data that make no sense.
    """
    inner_steps = check_inner_loop(params, inner_lr, inner_steps, adapting)
    support_x, support_y = (like_params(a, params) for a in (support_x, support_y))
    check_examples("support", support_x, support_y)
    data = (support_x, support_y)
    return adaptation(loss, params, *data, inner_lr, inner_steps, first_order, adapting)[-1]


def adaptation(
    loss, params, support_x, support_y, inner_lr, inner_steps, first_order=False, adapting=None
):
    """[φ₀ = θ, φ₁, …, φ_K]: the parameters before and after each inner step. Inputs are not checked."""
    losses, path = per_step(loss, inner_steps), [params]
    for step in range(inner_steps):
        moving = {name: params[name] for name in adapting or params}
        slope = slope_of(losses[step], params, moving, support_x, support_y)
        if first_order:
            slope = {name: value.detach() for name, value in slope.items()}
        params = params | {
            name: value - rate(inner_lr, name, value, step, inner_steps) * slope[name]
            for name, value in moving.items()
        }
        path.append(params)
    return path


def slope_of(loss, params, moving, x, y):
    """The gradient of one task's loss at `params`, with respect to those of them that are `moving`."""
    return grad(lambda part: loss(params | part, x, y))(moving)


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
):
    """Mean over tasks of the query loss at φ, the parameters adapted to the task's support set.

    adapting: as in `adapt`. inner_loss: the loss of the support set, where it is another one.
    query_weights (inner_steps + 1,): weights of the query losses at φ₀, φ₁, …, φ_K (None: only φ_K counts),
    the multi-step loss of MAML++ (Antoniou et al. 2019, equation 5).
    """
    inner_steps = check_inner_loop(params, inner_lr, inner_steps, adapting)
    weights = check_query_weights(query_weights, inner_steps)
    losses = per_step(loss, inner_steps)
    loop = (inner_lr, inner_steps, first_order, adapting)

    def query_loss(support_x, support_y, query_x, query_y):
        path = adaptation(inner_loss or loss, params, support_x, support_y, *loop)
        counted = [step for step, weight in enumerate(weights) if weight]
        return sum(weights[step] * losses[step](path[step], query_x, query_y) for step in counted)

    return vmap(query_loss, randomness="different")(*tensors_of(batch, params)).mean()


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
    """(meta-loss, its gradient with respect to θ, like params): what the outer loop descends.

    The gradient goes through every inner step (Algorithm 1, line 8). first_order=True leaves out the
    second derivatives (first-order MAML, section 5.2): the query gradient at φ stands for that at θ.
    adapting, inner_loss, query_weights: as in `meta_loss`. learn_rates=True gives a third result: the
    gradient with respect to inner_lr, a tensor or a dict of tensors (Meta-SGD). The results are free of
    any graph. The same on other ways, which may be faster: `maml_edu.pytorch.fast`.
    """
    check_inner_loop(params, inner_lr, inner_steps, adapting)
    options = {"adapting": adapting, "inner_loss": inner_loss, "query_weights": query_weights}

    def value_at(theta, rates):
        return meta_loss(loss, theta, batch, rates, inner_steps, first_order, **options)

    wanted = (0, 1) if learn_rates else (0,)
    slopes, value = grad_and_value(value_at, argnums=wanted)(
        detached(params), detached(inner_lr) if learn_rates else inner_lr
    )
    return (value.detach(), *(detached(slope) for slope in slopes))


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
    losses = [one_number(own) for own in loss]
    return losses + losses[-1:] * (inner_steps + 1 - len(losses))


def rate(inner_lr, name, value, step, inner_steps):
    """The inner rate of one parameter at one step: a number or a tensor like the parameter.

    A tensor of the parameter's own shape has no step axis; else its leading axis counts steps.
    """
    own = inner_lr[name] if isinstance(inner_lr, dict) else inner_lr
    if isinstance(own, (np.ndarray, list, tuple)):
        own = torch.as_tensor(own, dtype=value.dtype, device=value.device)
    shape = tuple(getattr(own, "shape", ()))
    if shape == () or (isinstance(inner_lr, dict) and shape == tuple(value.shape)):
        return own
    if shape[0] != inner_steps or shape[1:] not in ((), tuple(value.shape)):
        raise ValueError(
            f"inner_lr for {name!r} has shape {shape}, which fits neither the parameter "
            f"{tuple(value.shape)} nor {inner_steps} inner steps: give a number, a tensor like the "
            f"parameter, or put an axis of {inner_steps} steps in front."
        )
    return own[step]


# ------------------------------------------------------------------ what goes in is looked at first


def check_inner_loop(params, inner_lr, inner_steps, adapting=None):
    """`inner_steps` as an int; ValueError where steps, rates or names make no sense.

    The sign of a tensor's elements is not looked at: a learned rate may become negative.
    """
    try:
        steps = operator.index(inner_steps)
    except TypeError:
        steps = -1
    if steps < 0 or isinstance(inner_steps, bool):
        raise ValueError(
            f"inner_steps must be a whole number ≥ 0 (0: no adaptation); got {inner_steps!r}."
        )
    check_params(params)
    if adapting is not None and (not adapting or not set(adapting) <= set(params)):
        raise ValueError(
            f"adapting must name some of the parameters {sorted(params)}; got {adapting!r}."
        )
    moving = sorted(adapting or params)
    if isinstance(inner_lr, dict) and sorted(inner_lr) != moving:
        raise ValueError(
            f"inner_lr has keys {sorted(inner_lr)} but params has {moving}: give a rate for "
            f"every parameter, or one number."
        )
    for own in inner_lr.values() if isinstance(inner_lr, dict) else [inner_lr]:
        if isinstance(own, torch.Tensor):
            continue
        known = np.asarray(own)
        if known.dtype.kind not in "fiu" or not np.all(np.isfinite(known)) or np.any(known < 0):
            raise ValueError(f"inner_lr must be finite and ≥ 0; got {own!r}.")
    return steps


def check_query_weights(query_weights, inner_steps):
    """Weights of the query losses at φ₀ … φ_K as numbers; ValueError where they do not fit."""
    if query_weights is None:
        return [0.0] * inner_steps + [1.0]
    weights = np.asarray(query_weights, float)
    if weights.shape != (inner_steps + 1,) or not np.isfinite(weights).all() or not weights.any():
        raise ValueError(
            f"query_weights must be {inner_steps + 1} finite numbers, not all 0, for the query losses "
            f"after 0 to {inner_steps} inner steps; got {query_weights!r}."
        )
    return weights.tolist()


def check_params(params):
    """ValueError unless params is a dict of floating-point tensors, at least one."""
    if not isinstance(params, dict) or not params:
        raise ValueError(
            f"params must be a dict name → tensor, such as dict(model.named_parameters()); got "
            f"{params if params == {} else type(params).__name__}."
        )
    for name, value in params.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            kind = value.dtype if hasattr(value, "dtype") else type(value).__name__
            raise ValueError(f"params[{name!r}] must be a floating-point tensor, not {kind}.")


def one_number(loss):
    """`loss`, with a clear ValueError when it does not return one number (a tensor without axes)."""

    def checked(params, x, y):
        value = loss(params, x, y)
        if not isinstance(value, torch.Tensor) or value.ndim:
            got = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
            raise ValueError(
                f"loss must return one number for one task, a tensor without axes, but returned {got}: "
                f"take the mean over the examples, and return a tensor."
            )
        return value

    return checked


def check_examples(role, x, y):
    """ValueError unless x and y hold the same number (≥ 1) of finite examples."""
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"{role}_x has shape {tuple(x.shape)} and {role}_y {tuple(y.shape)}: both need the same "
            f"number of examples, at least one, on their first axis."
        )
    for name, values in ((f"{role}_x", x), (f"{role}_y", y)):
        if values.device.type != "cpu":  # looking at values would make a GPU wait for Python
            continue
        try:
            finite = bool(torch.isfinite(values).all())
        except RuntimeError:  # inside vmap there are no values to look at
            return
        if not finite:
            raise ValueError(f"{name} contains NaN or infinity: look at the data before training.")


def tensors_of(batch, params):
    """The four parts of a batch as tensors on the device, and in the precision, of params.

    A tuple is taken for what this function gave before.
    """
    if isinstance(batch, tuple):
        return batch
    if not isinstance(batch, TaskBatch):  # its constructor checks shapes and values
        if not all(hasattr(batch, name) for name in FIELDS):
            raise ValueError(
                f"batch must have {', '.join(FIELDS)}, as TaskBatch has; got {type(batch).__name__}."
            )
        batch = TaskBatch(*(getattr(batch, name) for name in FIELDS))
    return tuple(like_params(getattr(batch, name), params) for name in FIELDS)


def like_params(values, params):
    """An array or tensor on the device of params; real numbers in their precision, labels as they are."""
    example = next(iter(params.values()))
    values = torch.as_tensor(values, device=example.device)
    if values.is_floating_point():
        return values.to(example.dtype)
    return values if values.dtype == torch.bool else values.long()  # labels; losses want int64
