"""What every peer's meta-gradient is held against: MAML by double backward, one task after the other.

In float64, from elementary operations, sharing no line with any peer or with `maml_edu`. Slow, and easy
to check by eye; tests hold it to finite differences. Start with `meta_gradient`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def meta_gradient(workload, params, batch):
    """(meta-loss, gradients like params) in float64: mean over tasks of the query loss at φ_K.

    params: name → array in PyTorch's layouts; batch: field → array with a leading task axis.
    """
    theta = {name: torch.tensor(value, dtype=torch.float64) for name, value in params.items()}
    leaves = [value.requires_grad_() for value in theta.values()]
    total, slopes = 0.0, [torch.zeros_like(leaf) for leaf in leaves]
    tasks = len(batch["support_x"])
    for task in range(tasks):
        own = {name: as_tensor(value[task]) for name, value in batch.items()}
        value = query_loss(workload, theta, own)
        grads = torch.autograd.grad(value, leaves)
        slopes = [a + b / tasks for a, b in zip(slopes, grads, strict=True)]
        total += value.item() / tasks
    return total, {n: s.numpy() for n, s in zip(theta, slopes, strict=True)}


def query_loss(workload, theta, task):
    """L(φ_K) on the query set, φ by K steps of descent on the support set, with a graph."""
    phi, first, second = dict(theta), [0.0] * len(theta), [0.0] * len(theta)
    for step in range(1, workload.inner_steps + 1):
        inner = loss(workload, phi, task["support_x"], task["support_y"])
        slopes = torch.autograd.grad(inner, list(phi.values()), create_graph=True)
        if workload.inner_optimiser == "adam":
            first = [0.9 * m + 0.1 * slope for m, slope in zip(first, slopes, strict=True)]
            second = [0.999 * v + 0.001 * g * g for v, g in zip(second, slopes, strict=True)]
            slopes = [adam(m, v, step) for m, v in zip(first, second, strict=True)]
        moved = zip(phi.items(), slopes, strict=True)
        phi = {name: value - workload.inner_lr * slope for (name, value), slope in moved}
    return loss(workload, phi, task["query_x"], task["query_y"])


def adam(m, v, step):
    """Adam's direction m̂ / (√v̂ + 1e-8); an element whose slope has always been 0 has the derivative 0."""
    m, v, still = m / (1 - 0.9**step), v / (1 - 0.999**step), (v == 0).double()
    return m / ((v + still).sqrt() * (1 - still) + 1e-8)


def loss(workload, params, x, y):
    """Mean squared error, or mean cross-entropy, of one task's examples."""
    if workload.network == "mlp":
        return (mlp(list(params.values()), x) - y).square().mean()
    log_p = conv4(workload, list(params.values()), x).log_softmax(dim=1)
    return -log_p[torch.arange(len(y)), y].mean()


def mlp(params, x):
    w1, b1, w2, b2, w3, b3 = params
    hidden = (x @ w1.T + b1).clamp_min(0)
    hidden = (hidden @ w2.T + b2).clamp_min(0)
    return hidden @ w3.T + b3


def conv4(workload, params, x):
    """Four times convolution, batch norm with the batch's own statistics, ReLU (, max-pool); linear."""
    *blocks, weight, bias = params
    for kernel, offset, scale, shift in zip(*[iter(blocks)] * 4, strict=True):
        x = F.conv2d(x, kernel, offset, stride=1 if workload.pool else 2, padding=1)
        centred = x - x.mean((0, 2, 3), keepdim=True)
        x = centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
        x = (x * scale[:, None, None] + shift[:, None, None]).clamp_min(0)
        if workload.pool:
            x = F.max_pool2d(x, 2)
    return x.flatten(1) @ weight.T + bias


def as_tensor(values):
    """Real numbers as float64, labels as they are."""
    values = torch.from_numpy(np.asarray(values))
    return values.double() if values.is_floating_point() else values


def relative_error(found, wanted):
    """|found − wanted| / |wanted| over all parameters together; inf for another set of names or NaN."""
    if set(found) != set(wanted):
        return float("inf")
    gap = sum(np.sum(np.square(np.asarray(found[n], float) - wanted[n])) for n in wanted)
    size = sum(np.sum(np.square(wanted[n])) for n in wanted)
    error = float(np.sqrt(gap / size))
    return error if np.isfinite(error) else float("inf")
