"""The meta-gradient with little memory: forward to φ_K, then back over the inner steps one at a time.

Through φₖ₊₁ = φₖ − α g(φₖ) a gradient v at φₖ₊₁ comes back as v − H (α v), with H the Hessian of the support
loss at φₖ: one Hessian-vector product, and no graph outlives its step. Memory grows with the number of
inner steps by |θ| for each task, not by activations; the query set needs one plain backward pass.
"""

from __future__ import annotations

import torch
from torch.func import grad_and_value, vjp, vmap

from .. import maml


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
    """As `maml_edu.pytorch.meta_gradient`, to rounding; all tasks at once."""
    inner_steps = maml.check_inner_loop(params, inner_lr, inner_steps, adapting)
    fixed = (
        maml.per_step(loss, inner_steps),
        maml.per_step(inner_loss or loss, inner_steps),
        first_order,
        list(adapting or params),
        maml.check_query_weights(query_weights, inner_steps),
        learn_rates,
    )
    rates = maml.detached(inner_lr) if learn_rates else inner_lr
    tensors = maml.tensors_of(batch, params)
    value, grads, slopes = all_tasks(maml.detached(params), rates, tensors, *fixed)
    return (value, grads, fold(slopes, rates)) if learn_rates else (value, grads)


def all_tasks(theta, inner_lr, tensors, *fixed):
    """(value, grads, {step: slopes of its rates}), means over tasks; see `BackWalk` for what is fixed."""
    walk = BackWalk(theta, inner_lr, *fixed)
    return mean_over_tasks(vmap(walk.task, randomness="error")(*tensors))


class BackWalk:
    """One task's way: forward over the inner steps, then back. Everything but the task is fixed.

    keep: of how many inner steps, the last ones, the graph is kept until the way back, which saves a
    forward and a backward pass for each and costs their activations.
    """

    keep = 0

    def __init__(
        self, theta, inner_lr, losses, inner_losses, first_order, moving, weights, learn_rates
    ):
        self.theta, self.inner_lr = theta, inner_lr
        self.losses, self.inner_losses = losses, inner_losses  # one for each of φ₀ … φ_K
        self.first_order, self.moving, self.weights = first_order, moving, weights
        self.learn_rates, self.steps = learn_rates, len(weights) - 1

    def task(self, support_x, support_y, query_x, query_y):
        """(query loss, its gradient like θ, the gradients like each step's rates) for one task."""
        path, pulls = self.forward(support_x, support_y)
        value, v, slopes = 0.0, {n: torch.zeros_like(p) for n, p in self.theta.items()}, {}
        for step in range(self.steps, -1, -1):
            if step < self.steps and (self.learn_rates or not self.first_order):
                support = (self.inner_losses[step], path[step], support_x, support_y)
                slope, pull = pulls.pop(step, None) or self.linearised(*support)
                if self.learn_rates:  # φₖ₊₁ = φₖ − α g: dL/dα = −v g
                    slopes[step] = {name: -v[name] * slope[name] for name in self.moving}
                if not self.first_order:
                    v = add(v, pull({n: -self.rate(n, step) * v[n] for n in self.moving}))
            if self.weights[step]:
                slope, loss = self.slope(self.losses[step], path[step], query_x, query_y)
                value = value + self.weights[step] * loss
                v = add(v, {name: self.weights[step] * own for name, own in slope.items()})
        return value, v, slopes

    def forward(self, x, y):
        """[φ₀ … φ_K] without a graph, and (slope, pull) of the steps whose graph is kept."""
        path, pulls = [self.theta], {}
        for step, loss in enumerate(self.inner_losses[: self.steps]):
            if step >= self.steps - self.keep and not self.first_order:
                pulls[step] = self.linearised(loss, path[-1], x, y)
                slope = pulls[step][0]
            else:
                slope, _ = self.slope(loss, path[-1], x, y, self.moving)
            moved = {n: path[-1][n] - self.rate(n, step) * slope[n] for n in self.moving}
            path.append(path[-1] | moved)
        return path, pulls

    def rate(self, name, step):
        return maml.rate(self.inner_lr, name, self.theta[name], step, self.steps)

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


def mean_over_tasks(results):
    """Everything in (value, grads, {step: slopes}) averaged over its leading axis, without a graph."""
    value, grads, slopes = results
    mean = lambda tensors: {n: t.detach().mean(0) for n, t in tensors.items()}
    return value.detach().mean(), mean(grads), {step: mean(own) for step, own in slopes.items()}


def fold(slopes, inner_lr):
    """Slopes of every rate of every step, {step: {name: like the parameter}}, in the shape of inner_lr.

    A rate that serves many elements, parameters or steps gets the sum of what they want.
    """
    steps = sorted(slopes)
    if not steps:  # no inner step, no rate that matters
        zeros = lambda own: torch.zeros_like(own)
        return (
            {n: zeros(v) for n, v in inner_lr.items()}
            if isinstance(inner_lr, dict)
            else zeros(inner_lr)
        )
    if not isinstance(inner_lr, dict):
        totals = torch.stack([sum(own.sum() for own in slopes[step].values()) for step in steps])
        return totals.sum() if inner_lr.ndim == 0 else totals
    folded = {}
    for name, own in inner_lr.items():
        stacked = torch.stack([slopes[step][name] for step in steps])  # (steps, *parameter)
        if own.shape == stacked.shape[1:] or own.ndim == 0:
            stacked = stacked.sum(0)
            folded[name] = stacked.sum() if own.ndim == 0 else stacked
        else:
            folded[name] = stacked if own.shape == stacked.shape else stacked.flatten(1).sum(1)
    return folded
