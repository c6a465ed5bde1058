"""MAML (Finn, Abbeel & Levine 2017) in NumPy: start with `meta_gradient`.

`loss(params, x, y)` is one number for ONE task; `params` (θ) a dict of arrays; `batch` anything with
support_x, support_y, query_x, query_y whose leading axis counts tasks (`maml_edu.tasks.TaskBatch`).
The same functions on tensors, for all tasks at once: `maml_edu.pytorch.maml`.
"""

import operator

import numpy as np

from .autodiff import grad, stop_gradient, value_and_grad


def adapt(loss, params, support_x, support_y, inner_lr, inner_steps, first_order=False):
    """φ: `params` after `inner_steps` of gradient descent on one task's support set.

    MAML's inner loop (Algorithm 1, line 6). inner_lr (α): a number; an array (inner_steps,) of one
    rate per step; or a dict like params of either, or of arrays shaped like the parameter (one rate
    per element), or with a step axis in front of that. first_order takes each slope for a constant.
    Raises ValueError for rates, steps or data that make no sense.
    """
    inner_steps = check_inner_loop(params, inner_lr, inner_steps)
    check_examples("support", support_x, support_y)
    for step in range(inner_steps):
        slope = grad(loss)(params, support_x, support_y)
        if first_order:
            slope = stop_gradient(slope)
        params = {
            name: value - rate(inner_lr, name, value, step, inner_steps) * slope[name]
            for name, value in params.items()
        }
    return params


def meta_loss(loss, params, batch, inner_lr, inner_steps, first_order=False):
    """Mean over tasks of the query loss at φ, the parameters adapted to the task's support set."""
    losses = [
        loss(adapt(loss, params, sx, sy, inner_lr, inner_steps, first_order), qx, qy)
        for sx, sy, qx, qy in tasks_of(batch)
    ]
    if any(np.shape(value) != () for value in losses):
        raise ValueError(
            f"loss must return one number for one task, but returned shape {np.shape(losses[0])}: take "
            f"the mean over the examples."
        )
    return sum(losses) / len(losses)


def meta_gradient(loss, params, batch, inner_lr, inner_steps, first_order=False):
    """(meta-loss, its gradient with respect to θ, like params): what the outer loop descends.

    The gradient goes through every inner step (Algorithm 1, line 8). first_order=True leaves out the
    second derivatives (first-order MAML, section 5.2): the query gradient at φ stands for that at θ.
    """
    return value_and_grad(meta_loss_of(loss, batch, inner_lr, inner_steps, first_order))(params)


def meta_loss_of(loss, batch, inner_lr, inner_steps, first_order=False):
    """The meta-loss as a function of θ alone."""
    return lambda theta: meta_loss(loss, theta, batch, inner_lr, inner_steps, first_order)


def rate(inner_lr, name, value, step, inner_steps):
    """The inner rate of one parameter at one step: a number or an array like the parameter.

    An array of the parameter's own shape has no step axis; else its leading axis counts steps.
    """
    own = inner_lr[name] if isinstance(inner_lr, dict) else inner_lr
    shape = np.shape(own)
    if shape == () or (isinstance(inner_lr, dict) and shape == np.shape(value)):
        return own
    if shape[0] != inner_steps or shape[1:] not in ((), np.shape(value)):
        raise ValueError(
            f"inner_lr for {name!r} has shape {shape}, which fits neither the parameter "
            f"{np.shape(value)} nor {inner_steps} inner steps: give a number, an array like the "
            f"parameter, or put an axis of {inner_steps} steps in front."
        )
    return own[step]


# ------------------------------------------------------------------ what goes in is looked at first


def check_inner_loop(params, inner_lr, inner_steps):
    """`inner_steps` as an int; ValueError where steps or rates make no sense."""
    try:
        steps = operator.index(inner_steps)
    except TypeError:
        steps = -1
    if steps < 0 or isinstance(inner_steps, bool):
        raise ValueError(
            f"inner_steps must be a whole number ≥ 0 (0: no adaptation); got {inner_steps!r}."
        )
    if not isinstance(params, dict):
        raise ValueError(
            f"params must be a dict name → array, such as mlp_init gives; got {type(params).__name__}."
        )
    if isinstance(inner_lr, dict) and inner_lr.keys() != params.keys():
        raise ValueError(
            f"inner_lr has keys {sorted(inner_lr)} but params has {sorted(params)}: give a rate for "
            f"every parameter, or one number."
        )
    for own in inner_lr.values() if isinstance(inner_lr, dict) else [inner_lr]:
        known = np.asarray(stop_gradient(own))
        if known.dtype.kind not in "fiu" or not np.all(np.isfinite(known)) or np.any(known < 0):
            raise ValueError(f"inner_lr must be finite and ≥ 0; got {own!r}.")
    return steps


def check_examples(role, x, y):
    """ValueError unless x and y hold the same number (≥ 1) of finite examples."""
    if np.ndim(x) == 0 or np.ndim(y) == 0 or len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"{role}_x has shape {np.shape(x)} and {role}_y {np.shape(y)}: both need the same number "
            f"of examples, at least one, on their first axis."
        )
    for name, values in ((f"{role}_x", x), (f"{role}_y", y)):
        known = np.asarray(stop_gradient(values))
        if known.dtype.kind == "f" and not np.all(np.isfinite(known)):
            raise ValueError(f"{name} contains NaN or infinity: look at the data before training.")


def tasks_of(batch):
    """The tasks of a batch one by one, as (support_x, support_y, query_x, query_y)."""
    try:
        arrays = (batch.support_x, batch.support_y, batch.query_x, batch.query_y)
    except AttributeError:
        raise ValueError(
            f"batch must have support_x, support_y, query_x and query_y, as TaskBatch has; got "
            f"{type(batch).__name__}."
        ) from None
    counts = {len(a) if np.ndim(a) else 0 for a in arrays}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(
            f"the batch needs the same number of tasks (≥ 1) on the leading axis of its four arrays; "
            f"their shapes are {[np.shape(a) for a in arrays]}."
        )
    tasks = list(zip(*arrays, strict=True))
    for _, _, query_x, query_y in tasks:
        check_examples("query", query_x, query_y)
    return tasks
