"""MAML's family, each a few lines beside `MAML`: what they share stands in `learner.py` and `maml.py`.

FOMAML    leaves the second derivatives out
Reptile   moves θ towards φ, no outer derivative at all
ANIL      only the head adapts
BOIL      all but the head adapts
MetaSGD   learns an inner rate for every element of θ
MAMLpp    MAML++: query losses of all steps at first, rates and batch norms for every step
IMAML     implicit MAML: differentiates the solution of the inner problem, not the way to it

All train with `meta_train`, are scored by `evaluate`, and go on from checkpoints as `MAML` does. For
what they are compared with see `baselines.py`.
"""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import grad, grad_and_value, vjp, vmap

from . import maml
from .learner import MAML, TaskLoss, as_leaves, names_that_adapt
from .networks import BatchNorm


class FOMAML(MAML):
    """First-order MAML (Finn et al. 2017, section 5.2): ∇θ L_query(φ) ≈ ∇φ L_query(φ).

    Each inner slope counts as a constant, so that the meta-gradient is the mean over tasks of the query
    gradient at φ, passed on to θ as it is. Arguments as for `MAML`, without first_order.
    """

    def __init__(self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, **options):
        super().__init__(model, loss, inner_lr, inner_steps, first_order=True, **options)


class Reptile(MAML):
    """Reptile (Nichol, Achiam and Schulman 2018, Algorithm 2): the meta-gradient is (θ − φ)/α.

    φ: θ after `inner_steps` (≥ 1) of gradient descent on the task; the mean over tasks goes to the outer
    optimiser as any gradient does. With one step it is the gradient of joint training; with more it
    also holds, to leading order in α, what makes the slopes of successive steps agree.

    data: what the inner loop trains on, "support" or "support+query" (the paper has no split in training;
    then the meta-loss, the query loss at φ, is of examples that φ has seen). Each step takes all
    examples, where the original code draws mini-batches and uses Adam without momentum. inner_lr: one
    number > 0. Raises ValueError for other rates, steps or data.
    """

    def __init__(self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=5, *, data="support"):
        super().__init__(model, loss, inner_lr, inner_steps, first_order=True)
        if not isinstance(inner_lr, numbers.Real) or inner_lr == 0 or self.inner_steps < 1:
            raise ValueError(
                f"Reptile divides by the inner rate: inner_lr must be one number > 0, with at least one "
                f"inner step; got {inner_lr!r} and {inner_steps} steps."
            )
        if data not in ("support", "support+query"):
            raise ValueError(f"data must be 'support' or 'support+query'; got {data!r}.")
        self.data = data

    def meta_gradient(self, batch):
        """(mean query loss at φ, mean of (θ − φ)/α like θ)."""
        theta, loop = self.detached(), (self.inner_lr, self.inner_steps, True)

        def one_task(support_x, support_y, query_x, query_y):
            x, y = support_x, support_y
            if self.data == "support+query":
                x, y = torch.cat([x, query_x]), torch.cat([y, query_y])
            phi = maml.adaptation(self.loss, theta, x, y, *loop)[-1]
            towards = {name: (theta[name] - phi[name]) / self.inner_lr for name in theta}
            return maml.one_number(self.loss)(phi, query_x, query_y), towards

        return mean_over_tasks(one_task, batch, theta)

    def settings(self):
        return super().settings() | {"data": self.data}


class ANIL(MAML):
    """Almost no inner loop (Raghu et al. 2020): only the head adapts, the body is trained through it.

    θ = (body, head), φ = (body, head − α ∇head L_support); the meta-gradient is of all θ. head: what the
    names of its parameters begin with, such as "head."; None: the layer that holds the last parameter.
    Other arguments as for `MAML`. Raises ValueError for a head that the model does not have.
    """

    def __init__(
        self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, *, head=None, **options
    ):
        adapting = head_names(model, head)
        super().__init__(model, loss, inner_lr, inner_steps, adapting=adapting, **options)


class BOIL(MAML):
    """Body only update in the inner loop (Oh et al. 2021): all but the head adapts, ANIL's opposite.

    θ = (body, head), φ = (body − α ∇body L_support, head): the representation has to change for the task.
    Arguments as for `ANIL`. Raises ValueError for a model that is nothing but a head.
    """

    def __init__(
        self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, *, head=None, **options
    ):
        inside = set(head_names(model, head) or ())
        body = [name for name in trained(model) if name not in inside]
        if inside and not body:
            raise ValueError("the model is nothing but a head: BOIL has no body to adapt.")
        super().__init__(model, loss, inner_lr, inner_steps, adapting=body or None, **options)


class MetaSGD(MAML):
    """Meta-SGD (Li, Zhou, Chen and Li 2017): φ = θ − α ∘ ∇L_support(θ), with θ and α both learned.

    α has a rate for every element of θ, so it learns the direction of the step, too; a rate may become
    negative. inner_lr: where all rates start (a number, or a dict name → number or tensor like the
    parameter). The paper takes one inner step; with more, each has the same rates. Taking more steps in
    evaluation than in training may diverge, since rates learned for one step are large. Other arguments
    as for `MAML`.
    """

    def __init__(self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, **options):
        super().__init__(model, loss, inner_lr, inner_steps, **options)
        moving = self.adapting or self.params
        starts = {name: start_at(inner_lr, name, self.params[name].shape) for name in moving}
        self.inner_lr, self.learn_inner_lr = as_leaves(starts, self.params), True


# ------------------------------------------------------------------ what they are made of


def mean_over_tasks(one_task, batch, params):
    """Means over a batch of what one_task(support_x, support_y, query_x, query_y) gives: (value, grads)."""
    with torch.no_grad():
        arguments = maml.tensors_of(batch, params)
        values, grads = vmap(one_task, randomness="different")(*arguments)  # (tasks, …)
        return values.mean(), {name: slope.mean(0) for name, slope in grads.items()}


def is_count(value):
    """Whether this is a whole number ≥ 0."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 0


def trained(model):
    """The names of a model's parameters that are not frozen; none for what is no model."""
    named = model.named_parameters() if isinstance(model, nn.Module) else ()
    return [name for name, parameter in named if parameter.requires_grad]


def head_names(model, head):
    """The names of the head's parameters: of those that begin with `head`, or of the last layer (None).

    None where there are no parameters, which `MAML` refuses. ValueError for a head that is not there.
    """
    names = trained(model)
    if not names:
        return None
    if head is None:
        layer = names[-1].rpartition(".")[0]
        head = f"{layer}." if layer else names  # a single layer is all head
    try:
        return names_that_adapt(head, names)
    except ValueError:
        raise ValueError(
            f"the model has no head {head!r}: its parameters are {', '.join(names)}."
        ) from None


def start_at(inner_lr, name, shape):
    """A first value of the learned rates of one parameter: a number, or what has the shape, spread over it."""
    own = inner_lr[name] if isinstance(inner_lr, dict) else inner_lr
    own = torch.as_tensor(own, dtype=torch.float64)  # the parameters' precision comes later
    if own.ndim and own.shape != shape:
        raise ValueError(
            f"inner_lr for {name!r} has shape {tuple(own.shape)}, but its learned rates are "
            f"{tuple(shape)}: give one number to start from."
        )
    return own.expand(shape)
