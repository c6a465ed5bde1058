"""What is asked of the arguments that several public functions share, before anything is computed."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
import operator

import numpy as np
import torch


def is_count(value, least) -> bool:
    """Is it a whole number, at least this?"""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and value >= least


def find_device(device: str | torch.device) -> torch.device:
    """ "auto" as a device: a CUDA GPU if there is one, else the CPU. ValueError for one that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'device {device!r} cannot be used here ({reason}): use "auto" or "cpu".'
        ) from None
    return chosen


def constructor_of(kind) -> inspect.Signature:
    """What is given to a class when it is called."""
    signature = inspect.signature(kind.__init__)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def keywords_of(kind) -> list[str]:
    """What the constructor of a class takes, and those that it hands its **options on to."""
    names: dict[str, None] = {}
    for parent in kind.__mro__:
        parameters = inspect.signature(parent.__init__).parameters.values()
        names |= dict.fromkeys(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in names if name != "self"]


def refuse_unknown(function, unknown, known=None):
    """TypeError for keywords that a function does not have, with the one that was probably meant."""
    if known is None:
        parameters = inspect.signature(function).parameters.values()
        known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    for name in unknown:
        if name in known:
            continue
        british = name.replace("optimizer", "optimiser")
        near = [british] if british in known else difflib.get_close_matches(name, known, 1)
        advice = f": write {near[0]}=…" if near else f"; it has {', '.join(known)}"
        raise TypeError(f"{function.__qualname__} has no argument {name}={advice}.")


def check_learner(learner):
    """ValueError unless it can be trained."""
    if not hasattr(learner, "meta_gradient"):
        raise ValueError(
            f"learner must be a MAML, such as MAML(model, loss); got {type(learner).__name__}."
        )


def check_meta_lr(meta_lr):
    """ValueError unless it is a number > 0."""
    if not isinstance(meta_lr, numbers.Real) or not 0 < float(meta_lr) < math.inf:
        raise ValueError(f"meta_lr must be a number > 0; got {meta_lr!r}.")


def check_learner_and_tasks(learner, tasks):
    """ValueError unless these can be trained and evaluated."""
    check_learner(learner)
    if isinstance(tasks, type) or not hasattr(tasks, "sample"):
        raise ValueError(
            f"tasks must have sample(rng, tasks=n), as Sinusoids(shots=10) has; got {tasks!r}."
        )


def check_batch_size(batch, tasks):
    """ValueError unless a family's `sample` gave as many tasks as it was asked for."""
    if len(batch) != tasks:
        raise ValueError(
            f"sample(rng, tasks={tasks}) gave a batch of {len(batch)} tasks: a family must give as many as "
            f"it is asked for, on the leading axis of all four arrays."
        )


# ------------------------------------------------------------------ of an inner loop


def check_params(params):
    """ValueError unless params is a dict of floating-point tensors, at least one."""
    if params == {}:
        raise ValueError(
            "params is empty: all that the model has is frozen (requires_grad=False), or it has no parameters."
        )
    if not isinstance(params, dict):
        raise ValueError(
            f"params must be a dict name → tensor, such as dict(model.named_parameters()); got "
            f"{type(params).__name__}."
        )
    for name, value in params.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            kind = value.dtype if hasattr(value, "dtype") else type(value).__name__
            raise ValueError(f"params[{name!r}] must be a floating-point tensor, not {kind}.")


def checked_steps(inner_steps) -> int:
    """`inner_steps` as an int; ValueError unless it is a whole number ≥ 0."""
    try:
        steps = operator.index(inner_steps)
    except TypeError:
        steps = -1
    if steps < 0 or isinstance(inner_steps, bool):
        raise ValueError(
            f"inner_steps must be a whole number ≥ 0 (0: no adaptation); got {inner_steps!r}."
        )
    return steps


def check_adapting(adapting, params):
    """ValueError unless `adapting` is None or names some of the parameters."""
    if adapting is not None and (not adapting or not set(adapting) <= set(params)):
        raise ValueError(
            f"adapting must name some of the parameters {sorted(params)}; got {adapting!r}."
        )


def check_rates(inner_lr, moving):
    """ValueError unless inner_lr has a rate for each of the parameters that move.

    The sign of a tensor's elements is not looked at: a learned rate may become negative.
    """
    if type(inner_lr) is float and 0 <= inner_lr < float("inf"):
        return
    if isinstance(inner_lr, dict) and sorted(inner_lr) != sorted(moving):
        raise ValueError(
            f"inner_lr has keys {sorted(inner_lr)} but params has {sorted(moving)}: give a rate for "
            f"every parameter, or one number."
        )
    for rate in inner_lr.values() if isinstance(inner_lr, dict) else [inner_lr]:
        if isinstance(rate, torch.Tensor):
            continue
        values = np.asarray(rate)
        if values.dtype.kind not in "fiu" or not np.all(np.isfinite(values)) or np.any(values < 0):
            raise ValueError(f"inner_lr must be finite and ≥ 0; got {rate!r}.")


def checked_weights(query_weights, inner_steps) -> tuple[float, ...]:
    """Weights of the query losses at φ₀ … φ_K as numbers; ValueError where they do not fit."""
    if query_weights is None:
        return (0.0,) * inner_steps + (1.0,)
    weights = np.asarray(query_weights, float)
    if weights.shape != (inner_steps + 1,) or not np.isfinite(weights).all() or not weights.any():
        raise ValueError(
            f"query_weights must be {inner_steps + 1} finite numbers, not all 0, for the query losses "
            f"after 0 to {inner_steps} inner steps; got {query_weights!r}."
        )
    return tuple(weights.tolist())


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
        if not value.is_floating_point():
            raise ValueError(
                f"loss must return a real number with a derivative, not {value.dtype}."
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
