"""The meta-gradient with little memory: forward to φ_K, then back over the inner steps one at a time.

Through φₖ₊₁ = φₖ − α g(φₖ) a gradient v at φₖ₊₁ comes back as v − H (α v), with H the Hessian of the support
loss at φₖ: one Hessian-vector product, and no graph outlives its step. Memory grows with the number of
inner steps by |θ| for each task, not by activations; the query set needs one plain backward pass.
"""

from __future__ import annotations

import torch
from torch.func import grad_and_value, vjp

from .. import maml


def meta_gradient(loss, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]), as `maml.meta_gradient`; all tasks at once."""
    theta = maml.detached(params)
    if loop.learn_rates:
        loop = loop._replace(inner_lr=maml.detached(loop.inner_lr))
    value, grads, slopes = all_tasks(loss, theta, tensors, loop)
    return (value, grads, fold(slopes, loop.inner_lr)) if loop.learn_rates else (value, grads)


def all_tasks(loss, theta, tensors, loop):
    """(value, grads, {step: slopes of its rates}), means over tasks."""
    walk = BackWalk(loss, theta, loop)
    return maml.mean_over_tasks(walk.task, tensors, theta, loop.inner_steps, "error")


class BackWalk:
    """One task's way: forward over the inner steps, then back. Everything but the task is fixed.

    keep: of how many inner steps, the last ones, the graph is kept until the way back, which saves a
    forward and a backward pass for each and costs their activations.
    """

    def __init__(self, loss, theta, loop, keep=0):
        self.theta, self.loop, self.keep, self.steps = theta, loop, keep, loop.inner_steps
        self.losses = maml.per_step(loss, self.steps)  # one for each of φ₀ … φ_K
        self.inner_losses = maml.per_step(loop.inner_loss or loss, self.steps)
        self.moving = loop.moving(theta)

    def task(self, support_x, support_y, query_x, query_y):
        """(query loss, its gradient like θ, the gradients like each step's rates) for one task."""
        loop, weights = self.loop, self.loop.query_weights
        path, pulls = self.forward(support_x, support_y)
        value, v, slopes = 0.0, {n: torch.zeros_like(p) for n, p in self.theta.items()}, {}
        for step in range(self.steps, -1, -1):
            if step < self.steps and (loop.learn_rates or not loop.first_order):
                support = (self.inner_losses[step], path[step], support_x, support_y)
                slope, pull = pulls.pop(step, None) or self.linearised(*support)
                if loop.learn_rates:  # φₖ₊₁ = φₖ − α g: dL/dα = −v g
                    slopes[step] = {name: -v[name] * slope[name] for name in self.moving}
                if not loop.first_order:
                    v = add(v, pull({n: -self.rate(n, step) * v[n] for n in self.moving}))
            if weights[step]:
                slope, loss = self.slope(self.losses[step], path[step], query_x, query_y)
                value = value + weights[step] * loss
                v = add(v, {name: weights[step] * part for name, part in slope.items()})
        return value, v, slopes

    def forward(self, x, y):
        """[φ₀ … φ_K] without a graph, and (slope, pull) of the steps whose graph is kept."""
        path, pulls = [self.theta], {}
        for step, loss in enumerate(self.inner_losses[: self.steps]):
            if step >= self.steps - self.keep and not self.loop.first_order:
                pulls[step] = self.linearised(loss, path[-1], x, y)
                slope = pulls[step][0]
            else:
                slope, _ = self.slope(loss, path[-1], x, y, self.moving)
            moved = {n: path[-1][n] - self.rate(n, step) * slope[n] for n in self.moving}
            path.append(path[-1] | moved)
        return path, pulls

    def rate(self, name, step):
        return self.loop.rate(name, self.theta[name], step)

    # ---------------------------------------------------------- how torch.func takes derivatives

    def slope(self, loss, params, x, y, names=None):
        """(gradient, value) of one task's loss; with respect to all parameters, or those named."""
        moving = params if names is None else {name: params[name] for name in names}
        return grad_and_value(lambda part: loss(params | part, x, y))(moving)

    def linearised(self, loss, params, x, y):
        """(slope of the support loss, a function u → H u): the slope and its derivative at params."""

        def slope_at(phi):
            return maml.slope_of(loss, phi, {name: phi[name] for name in self.moving}, x, y)

        slope, pull = vjp(slope_at, params)
        return slope, lambda u: pull(u)[0]


def add(a, b):
    """The sum of two dicts of tensors; names that b lacks stay as they are in a."""
    return a | {name: a[name] + value for name, value in b.items()}


def fold(slopes, inner_lr):
    """Slopes of every rate of every step, {step: {name: like the parameter}}, in the shape of inner_lr.

    A rate that serves many elements, parameters or steps gets the sum of what they want.
    """
    steps = sorted(slopes)
    if not steps:  # no inner step, no rate that matters
        return maml.mapped(torch.zeros_like, inner_lr)
    if not isinstance(inner_lr, dict):
        totals = torch.stack([sum(part.sum() for part in slopes[k].values()) for k in steps])
        return totals.sum() if inner_lr.ndim == 0 else totals
    folded = {}
    for name, rate in inner_lr.items():
        stacked = torch.stack([slopes[step][name] for step in steps])  # (steps, *parameter)
        if rate.shape == stacked.shape[1:] or rate.ndim == 0:
            stacked = stacked.sum(0)
            folded[name] = stacked.sum() if rate.ndim == 0 else stacked
        else:
            folded[name] = stacked if rate.shape == stacked.shape else stacked.flatten(1).sum(1)
    return folded
