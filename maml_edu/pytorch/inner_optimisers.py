"""The inner loop's rule: gradient descent, momentum, Adam, or a function of your own. Start with `RULES`.

A rule is a pure function (params, slopes, state, rate) → (params, state) for ONE task: dicts of tensors by
the names of what adapts; state is None at the first step, and whatever the rule makes of it after that.
rate is what `inner_lr` says for this step: a number (or a tensor without axes), or a dict by name where
inner_lr is one. The meta-gradient goes through the rule, so it must be built from differentiable operations.
"""

from __future__ import annotations

import numbers

import torch

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Kingma and Ba 2015, as torch.optim.Adam has them
MOMENTUM = 0.9


def sgd(params, slopes, state, rate):
    """φ ← φ − α g (Finn et al. 2017, Algorithm 1, line 6)."""
    return _descended(params, slopes, rate), state


def momentum(params, slopes, state, rate):
    """m ← 0.9 m + g, φ ← φ − α m, as torch.optim.SGD with momentum=0.9."""
    mean = slopes if state is None else {n: MOMENTUM * state[n] + g for n, g in slopes.items()}
    return _descended(params, mean, rate), mean


def adam(params, slopes, state, rate):
    """Adam (Kingma and Ba 2015, Algorithm 1) with torch's constants: φ ← φ − α m̂ / (√v̂ + ε)."""
    step, first, second = state or (0, None, None)
    step += 1
    zeros = {name: torch.zeros_like(g) for name, g in slopes.items()}
    first, second = first or zeros, second or zeros
    first = {n: BETA1 * first[n] + (1 - BETA1) * g for n, g in slopes.items()}
    second = {n: BETA2 * second[n] + (1 - BETA2) * g * g for n, g in slopes.items()}
    directions = {
        n: first[n] / (1 - BETA1**step) / (_root(second[n] / (1 - BETA2**step)) + _epsilon(g))
        for n, g in slopes.items()
    }
    return _descended(params, directions, rate), (step, first, second)


RULES = {"sgd": sgd, "momentum": momentum, "adam": adam}


def _epsilon(like):
    """ε, or the smallest number that half precision can add."""
    return max(EPSILON, torch.finfo(like.dtype).tiny)


def _descended(params, directions, rate):
    rates = rate if isinstance(rate, dict) else dict.fromkeys(params, rate)
    return {name: p - rates[name] * directions[name] for name, p in params.items()}


def _root(values):
    """√values, with the derivative 0 at 0: that of √ is infinite there, and 0 · ∞ would be NaN."""
    positive = values > 0
    return torch.where(positive, torch.where(positive, values, 1.0).sqrt(), 0.0)


def rule_named(inner_optimiser):
    """The rule of a name of `RULES`, or the function itself. ValueError for anything else."""
    if isinstance(inner_optimiser, str) and inner_optimiser in RULES:
        return RULES[inner_optimiser]
    if callable(inner_optimiser) and not isinstance(inner_optimiser, type):
        return inner_optimiser
    raise ValueError(
        f"inner_optimiser must be one of {', '.join(RULES)}, or a pure function (params, slopes, state, "
        f"rate) → (params, state); got {inner_optimiser!r}. An optimiser of torch.optim changes its "
        f"parameters in place, and a meta-gradient cannot go through that."
    )


def check_moved(answer, params):
    """What a rule returned, as (params, state). ValueError unless it has the names and shapes of params."""
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[0], dict):
        raise ValueError(
            f"inner_optimiser must return (params, state), params a dict by name; got "
            f"{type(answer).__name__}."
        )
    moved, state = answer
    shapes = {n: tuple(getattr(p, "shape", ("no tensor",))) for n, p in moved.items()}
    expected = {n: tuple(p.shape) for n, p in params.items()}
    if shapes != expected:
        raise ValueError(
            f"inner_optimiser must return a tensor like each of params: {expected}; got {shapes}."
        )
    return moved, state


# ------------------------------------------------------------------ clipping


def checked_clip(inner_clip):
    """(name, limit) of `inner_clip`, None where there is none. ValueError for anything else."""
    if inner_clip is None:
        return None
    pair = isinstance(inner_clip, (tuple, list)) and len(inner_clip) == 2
    name, limit = inner_clip if pair else ("norm", inner_clip)
    number = isinstance(limit, numbers.Real) and not isinstance(limit, bool)
    if name not in ("norm", "value") or not number or not 0 < float(limit) < float("inf"):
        raise ValueError(
            f'inner_clip must be a number > 0 (the largest norm of a task\'s slopes) or ("value", x) with '
            f"x > 0 (the largest element); got {inner_clip!r}."
        )
    return name, float(limit)


def clipped(slopes, clip):
    """The slopes of one task, cut as torch.nn.utils.clip_grad_norm_ or clip_grad_value_ cuts gradients.

    Differentiable; where something is cut, the meta-gradient goes through the cut.
    """
    if clip is None:
        return slopes
    name, limit = clip
    if name == "value":
        return {n: g.clamp(-limit, limit) for n, g in slopes.items()}
    norm = _root(sum(g.square().sum() for g in slopes.values()))
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)
    return {n: factor * g for n, g in slopes.items()}
