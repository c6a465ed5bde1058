"""What several tests compare the library with, written without the library.

`maml_by_autograd` is the loop of a PyTorch user: one task after the other, `create_graph`. The losses
stand here twice, in NumPy and in PyTorch. `numeric_slope` is a central difference.
"""

from types import SimpleNamespace

import numpy as np
import torch


def maml_by_autograd(loss, params, batch, rate, inner_steps, first_order=False, inner=None):
    """(meta-loss, meta-gradient) by double backward, as NumPy numbers.

    loss(params, x, y) on tensors; rate: a number, or a function of (parameter's name, step);
    inner: the inner loss where it is another than `loss`.
    """
    theta = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    rate_of = rate if callable(rate) else lambda name, step: rate
    losses = []
    for support_x, support_y, query_x, query_y in tensors(batch):
        phi = dict(theta)
        for step in range(inner_steps):
            value = (inner or loss)(phi, support_x, support_y)
            slopes = torch.autograd.grad(value, list(phi.values()), create_graph=not first_order)
            pairs = zip(phi.items(), slopes, strict=True)
            phi = {k: p - rate_of(k, step) * slope for (k, p), slope in pairs}
        losses.append(loss(phi, query_x, query_y))
    return as_numpy(torch.stack(losses).mean(), theta)


def as_numpy(value, theta):
    """(value, its gradient with respect to θ) as NumPy numbers."""
    slopes = torch.autograd.grad(value, list(theta.values()), allow_unused=True)
    grads = {
        name: np.zeros(tuple(p.shape)) if slope is None else slope.numpy()
        for (name, p), slope in zip(theta.items(), slopes, strict=True)
    }
    return float(value.detach()), grads


def tensors(batch):
    """The tasks of a batch one by one, as tensors."""
    names = ("support_x", "support_y", "query_x", "query_y")
    return zip(*(torch.as_tensor(getattr(batch, name)) for name in names), strict=True)


# ------------------------------------------------------------------ problems


def relu_mse(params, x, y):
    """Mean squared error of a ReLU network {"w1", "b1", "w2", …} on tensors."""
    layers = len(params) // 2
    for layer in range(1, layers + 1):
        x = x @ params[f"w{layer}"] + params[f"b{layer}"]
        x = torch.relu(x) if layer < layers else x
    return torch.mean((x - y) ** 2)


def tanh_mse(params, x, y):
    """Mean squared error of a two-layer tanh network on tensors."""
    return torch.mean(
        (torch.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"] - y) ** 2
    )


def tanh_mse_numpy(params, x, y):
    """The same on arrays."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])  # (examples, width)
    return np.mean((hidden @ params["w2"] + params["b2"] - y) ** 2)


def quadratic(params, x, y):
    """½ mean Σ x (θ − y)², on arrays and tensors alike: curvatures x, minima y."""
    return (x * (params["theta"] - y) ** 2).sum(-1).mean() / 2


def random_params(rng, sizes, scale=0.6):
    """Weights and biases, all of them different from 0 (away from the kinks of ReLU)."""
    params = {}
    for layer, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        params[f"w{layer}"] = scale * rng.normal(size=(inputs, outputs))
        params[f"b{layer}"] = scale * rng.normal(size=outputs)
    return params


def random_batch(rng, tasks=3, shots=4, queries=5, inputs=1, outputs=1):
    """A regression batch of arrays: no TaskBatch, anything with the four names will do."""
    parts = {"support": shots, "query": queries}
    return SimpleNamespace(
        **{f"{part}_x": rng.normal(size=(tasks, n, inputs)) for part, n in parts.items()},
        **{f"{part}_y": rng.normal(size=(tasks, n, outputs)) for part, n in parts.items()},
    )


# ------------------------------------------------------------------ comparing


def distance(a, b):
    """‖a − b‖ relative to ‖b‖, over all parameters at once."""
    assert a.keys() == b.keys()
    a, b = (np.concatenate([np.ravel(np.asarray(tree[k])) for k in b]) for tree in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def directional(f, params, direction, step=1e-5):
    """The slope of `f` at a dict of arrays along a direction, by central differences."""
    ends = [{k: v + s * direction[k] for k, v in params.items()} for s in (step, -step)]
    return (float(f(ends[0])) - float(f(ends[1]))) / (2 * step)


def like(rng, params):
    """A random direction."""
    return {k: rng.normal(size=np.shape(v)) for k, v in params.items()}


def inner(a, b):
    """⟨a, b⟩ of two dicts of arrays."""
    return float(sum(np.sum(np.asarray(a[k]) * b[k]) for k in b))
