"""Update rules as pure functions: `params, state = adam(params, grads, state, lr)`.

`params` and `grads` are dicts of arrays with the same keys; `state` is None before the first update
and whatever the rule returned after that. Nothing is changed in place.
"""

import numpy as np


def sgd(params, grads, state=None, lr=0.01):
    """One step of gradient descent: θ ← θ − lr · g. Returns (params, state)."""
    if params.keys() != grads.keys():
        raise ValueError(f"grads has keys {sorted(grads)} but params has {sorted(params)}.")
    if not lr >= 0:
        raise ValueError(f"lr must be a number ≥ 0; got {lr!r}.")
    return {name: theta - lr * grads[name] for name, theta in params.items()}, state


def momentum(params, grads, state=None, lr=0.01, mu=0.9):
    """Heavy ball (Polyak 1964): v ← μ v + g, θ ← θ − lr · v. Returns (params, state)."""
    velocity = state or {name: np.zeros_like(theta) for name, theta in params.items()}
    velocity = {name: mu * velocity[name] + grads[name] for name in params}
    return sgd(params, velocity, None, lr)[0], velocity


def adam(params, grads, state=None, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam (Kingma & Ba 2015, Algorithm 1). Returns (params, state)."""
    zeros = {name: np.zeros_like(theta) for name, theta in params.items()}
    t, mean, square = state or (0, zeros, zeros)
    t = t + 1
    mean = {name: beta1 * mean[name] + (1 - beta1) * grads[name] for name in params}
    square = {name: beta2 * square[name] + (1 - beta2) * grads[name] ** 2 for name in params}
    direction = {  # both averages start at 0; dividing by 1 − βᵗ makes up for it
        name: (mean[name] / (1 - beta1**t)) / (np.sqrt(square[name] / (1 - beta2**t)) + eps)
        for name in params
    }
    return sgd(params, direction, None, lr)[0], (t, mean, square)
