"""MAML++: query losses of all steps at first, rates and batch norms for every step. Start with `MAMLpp`."""

from __future__ import annotations

import functools
import math
import numbers

import torch
import torch.nn.functional as F
from torch import nn

from . import arguments
from .arguments import is_count
from .family import start_at
from .learner import MAML, Forward, TaskLoss, as_leaves, names_that_adapt
from .maml import slope_of
from .networks import BatchNorm

PUBLISHED_START = 0.1  # of the learned rates, in the settings published with the code
START_FOR_MSE = 0.01
SHARE_OF_START = (
    0.3  # the outer rate of rates that start lower, as a multiple of meta_lr times their start
)


class MAMLpp(MAML):
    """MAML++ (Antoniou, Edwards and Storkey 2019): what makes MAML's training stable, all of it.

    Multi-step loss: in the first part of training the query losses after every step count,
    Σᵢ wᵢ L_query(φᵢ), the weights going from equal to (almost) the last alone: `multi_step_weights`.
    multi_step_until: where that part ends, as a share of the run (0.1) or a number of iterations (5000).
    Learned rates: one for each adapting parameter and inner step, all of which start at inner_lr. None: at 0.01
    for F.mse_loss, as in MAML, else at 0.1 as in the settings published with the code. On sinusoids 0.1 is beyond
    what is stable.
    rates_share: their outer rate, as a multiple of meta_lr. The published settings train them like θ: 1.0, also
    the default (None) from a start of 0.1 on. Rates that start lower have 0.3 times their mean start for a share:
    a step of Adam at meta_lr 1e-3 then changes a rate by 0.03 % of its start. That is for stability. On sinusoids,
    from 0.01, rates that trained like θ, or at a share of 0.1, left what is stable after hundreds to some
    thousands of iterations. At 0.01 runs of 10,000 iterations ended with lower losses than at 0.003, but one of
    eleven diverged; at 0.003 none of twelve did. A function that makes the optimiser sets all its rates itself.
    Derivative order: first-order gradients until first_order_until (share or iterations). The paper
    begins so for its first 50 epochs; the settings published with its code do not: 0.0.
    Batch norm: `mt.BatchNorm` layers get a weight and a bias for each inner step, step i's for support at
    φᵢ and query at φᵢ₊₁; they do not adapt. Per-step running statistics are left out: the original code
    collects them, but normalises by the batch's own in training and in evaluation alike.
    Outer rate: `meta_train(…, meta_lr=1e-3, schedule=("cosine", 0.01))`, down to 1e-5 as in the paper.

    inner_lr: a number, (inner_steps,) of them, a dict of either by the names of what adapts, or None. Other
    arguments as for `MAML`. Raises ValueError where they make no sense.
    """

    def __init__(
        self,
        model,
        loss=F.cross_entropy,
        inner_lr=None,
        inner_steps=5,
        *,
        multi_step_until=0.1,
        first_order_until=0.0,
        per_step_norm=True,
        rates_share=None,
        adapting=None,
        inner_loss=None,
        engine="auto",
    ):
        options = {"inner_steps": inner_steps, "inner_loss": inner_loss, "engine": engine}
        self.stepwise: list[str] = []
        super().__init__(model, loss, **options)
        if self.inner_steps < 1:
            raise ValueError(f"MAMLpp needs at least one inner step; got {inner_steps}.")
        self.multi_step_until = check_until("multi_step_until", multi_step_until)
        self.first_order_until = check_until("first_order_until", first_order_until)
        norms = batch_norms(model) if per_step_norm else {}
        self.stepwise = [name for name in self.params if name in norms]
        still = [name for name in self.params if name not in self.stepwise]
        self.adapting = still if adapting is None else names_that_adapt(adapting, self.params)
        if not self.adapting or set(self.adapting) & set(self.stepwise):
            raise ValueError(
                f"adapting may not name {', '.join(self.stepwise)}, of which each inner step has its own, "
                f"and something has to adapt: leave them out, or choose per_step_norm=False."
            )
        inner_lr = start_for(loss) if inner_lr is None else inner_lr
        arguments.check_rates(inner_lr, self.adapting)
        starts = {name: start_at(inner_lr, name, (self.inner_steps,)) for name in self.adapting}
        self.inner_lr, self.learn_inner_lr = as_leaves(starts, self.params), True
        self.rates_share = check_share(rates_share, starts)
        give_steps({name: norms[name] for name in self.stepwise}, self.inner_steps)
        self.before_iteration(0, 1)

    def before_iteration(self, iteration, iterations):
        """The annealing: query weights and order of the derivative for this iteration."""
        until = in_iterations(self.multi_step_until, iterations)
        self.query_weights = multi_step_weights(iteration, until, self.inner_steps)
        self.first_order = iteration < in_iterations(self.first_order_until, iterations)

    def settings(self):
        annealed = {"query_weights": self.multi_step_until, "first_order": self.first_order_until}
        annealed = {name: f"annealed until {until}" for name, until in annealed.items()}
        own = {} if self.rates_share == 1 else {"rates_share": self.rates_share}
        return super().settings() | annealed | {"per_step_norm": bool(self.stepwise)} | own

    # -------------------------------------------------------------- a rate for each step

    @property
    def inner_lr(self):
        """The rates as `maml.rate` reads them: (inner_steps,) each.

        A parameter of that very shape (five ways, five steps) would have them taken for one rate per
        element: there the step axis stands in front of the parameter's own.
        """
        if not isinstance(self.rates, dict):
            return self.rates
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        return {
            name: rate[:, None].expand(-1, len(rate)) if rate.shape == shapes[name] else rate
            for name, rate in self.rates.items()
        }

    @inner_lr.setter
    def inner_lr(self, rates):
        self.rates = rates

    def learned_rates(self):
        return {f"inner_lr.{name}": rate for name, rate in self.rates.items()}

    def outer_shares(self):
        return dict.fromkeys(self.learned_rates(), self.rates_share)

    def meta_gradient(self, batch):
        """(meta-loss, gradients like `meta_params`)."""
        value, grads = super().meta_gradient(batch)
        rates = self.learned_rates().items()
        spread = {n for n, rate in rates if n in grads and rate.shape != grads[n].shape}
        return value, grads | {name: grads[name].sum(1) for name in spread}

    def check_steps(self, steps):
        steps = super().check_steps(steps)
        if steps > self.inner_steps:
            raise ValueError(
                f"there are learned rates for {self.inner_steps} inner steps, not for {steps}: take fewer "
                f"steps, or train with more."
            )
        return steps

    # -------------------------------------------------------------- a batch norm for each step

    @property
    def task_loss(self):
        """Losses at φ₀ … φ_K for a query set: at φᵢ with the batch norms of the step that led there."""
        if not self.stepwise:
            return super().task_loss
        steps = [0, *range(self.inner_steps)]
        return StepLosses(self.at_step(self.loss_function, step) for step in steps)

    @property
    def inner_loss(self):
        """Losses at φ₀ … for a support set: at φᵢ with the batch norms of step i."""
        if not self.stepwise:
            return super().inner_loss
        function = self.inner_loss_function or self.loss_function
        return StepLosses(self.at_step(function, step) for step in range(self.inner_steps))

    def at_step(self, function, step):
        return StepLoss(self.model, function, self.stepwise, step)

    def predictors(self, support_x, support_y, steps, slope_of=slope_of):
        """[function (x, beside=None) → output] for ONE task after 0, 1, …, `steps` inner steps."""
        path = self.path(self.detached(), support_x, support_y, steps, slope_of)
        norms = [max(step - 1, 0) for step in range(steps + 1)]
        output = Forward(self.model, self.precision).output
        return [
            functools.partial(output, at_step(phi, self.stepwise, norm, self.model))
            for phi, norm in zip(path, norms, strict=True)
        ]

    def adapt(self, support_x, support_y, steps=None):
        """φ for ONE task, as `MAML.adapt` gives it.

        Batch norms keep their axis of steps; after fewer steps than in training all have those of the last
        one that was taken.
        """
        phi = super().adapt(support_x, support_y, steps)
        if steps is not None and steps < self.inner_steps:
            last = at_step(phi, self.stepwise, max(steps - 1, 0), self.model)
            stepwise = [name for name in self.stepwise if name in phi]
            phi |= {name: last[name].expand_as(phi[name]).clone() for name in stepwise}
        return phi

    def at_end(self, phi, steps=None):
        """φ with the batch norms of the last step."""
        return at_step(phi, self.stepwise, -1, self.model)

    def moving_only(self, adapting, inner_lr=None):
        raise ValueError(
            "MAMLpp has rates and batch norms for each inner step, learned for all that moves together: there "
            "is no freezing a part of it afterwards. Make it with adapting=…, or freeze a MAML."
        )


# ------------------------------------------------------------------ what it is made of


def multi_step_weights(iteration, until, inner_steps):
    """Weights of the query losses at φ₀ … φ_K in MAML++: equal at first, from `until` on the last alone.

    In between those of φ₁ … φ_{K−1} fall linearly, but not below 0.03/K, and φ_K has the rest: as in the
    original code, which has them fall from epoch to epoch (10 epochs of 500 iterations out of 100 for
    Omniglot, 15 for miniImagenet). None: the last alone.
    """
    if iteration >= until:
        return None
    others = max((1 - iteration / until) / inner_steps, 0.03 / inner_steps)
    return [0.0, *[others] * (inner_steps - 1), 1.0 - (inner_steps - 1) * others]


def start_for(loss):
    """Where the learned rates start unless told otherwise: as published, but lower for a mean squared error."""
    squared = loss is F.mse_loss or isinstance(loss, nn.MSELoss)
    return START_FOR_MSE if squared else PUBLISHED_START


def check_share(share, starts):
    """The outer rate of the learned rates as a multiple of meta_lr; None: by where they start."""
    if share is None:
        mean = float(torch.cat([start.reshape(-1) for start in starts.values()]).abs().mean())
        low = 0 < mean < PUBLISHED_START - 1e-6
        return float(f"{SHARE_OF_START * mean:.6g}") if low else 1.0
    if (
        not isinstance(share, numbers.Real)
        or isinstance(share, bool)
        or not 0 < float(share) < math.inf
    ):
        raise ValueError(
            f"rates_share must be a number > 0, or None: the outer rate of the inner rates as a multiple of "
            f"meta_lr; got {share!r}."
        )
    return float(share)


def check_until(name, until):
    """A share of the run (a float from 0 to 1) or a number of iterations (an int ≥ 0)."""
    if not is_count(until, 0) and not (isinstance(until, float) and 0 <= until <= 1):
        raise ValueError(
            f"{name} must be a share of the run, from 0.0 to 1.0, or a whole number of iterations; got "
            f"{until!r}."
        )
    return until


def in_iterations(until, iterations):
    """`until` as a number of iterations."""
    return until * iterations if isinstance(until, float) else until


def batch_norms(model):
    """The weights and biases of a model's BatchNorm layers: full name → (layer, "weight" or "bias")."""
    return {
        f"{prefix}.{name}".lstrip("."): (layer, name)
        for prefix, layer in model.named_modules()
        if isinstance(layer, BatchNorm)
        for name in ("weight", "bias")
    }


def give_steps(norms, inner_steps):
    """Parameters (features,) of batch norms become (inner_steps, features), all steps alike."""
    for name, (layer, kind) in norms.items():
        value = getattr(layer, kind)
        if value.ndim == 2 and len(value) != inner_steps:
            raise ValueError(
                f"{name} already holds batch norms for {len(value)} inner steps, not {inner_steps}: start "
                f"from a new model."
            )
        if value.ndim == 1:
            setattr(layer, kind, nn.Parameter(value.detach().expand(inner_steps, -1).clone()))


def at_step(params, stepwise, step, model):
    """The parameters with, of those that have an axis of steps, what belongs to one step.

    What has been frozen since is no part of params: the model has it.
    """
    missing = [name for name in stepwise if name not in params]
    frozen = {n: p.detach() for n, p in model.named_parameters() if n in missing}
    return params | {name: (params | frozen)[name][step] for name in stepwise}


class StepLoss(TaskLoss):
    """The loss of one task with the batch norms of one inner step."""

    def __init__(self, model, function, stepwise, step):
        super().__init__(model, function)
        self.stepwise, self.step = tuple(stepwise), step

    def _key(self):  # what was compiled for one step must not serve another
        return *super()._key(), self.stepwise, self.step

    def __call__(self, params, x, y):
        return super().__call__(at_step(params, self.stepwise, self.step, self.model), x, y)


class StepLosses(tuple):
    """A loss for each step, as `maml.per_step` takes them; called by itself, it is the last one."""

    @property
    def model(self):
        return self[-1].model

    def __call__(self, params, x, y):
        return self[-1](params, x, y)
