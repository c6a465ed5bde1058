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


class MAMLpp(MAML):
    """MAML++ (Antoniou, Edwards and Storkey 2019): what makes MAML's training stable, all of it.

    Multi-step loss: in the first part of training the query losses after every step count,
    Σᵢ wᵢ L_query(φᵢ), the weights going from equal to (almost) the last alone: `multi_step_weights`.
    multi_step_until: where that part ends, as a share of the run (0.1) or a number of iterations (5000).
    Learned rates: one for each adapting parameter and inner step, all of which start at inner_lr.
    Derivative order: first-order gradients until first_order_until (share or iterations). The paper
    begins so for its first 50 epochs; the settings published with its code do not: 0.0.
    Batch norm: `mt.BatchNorm` layers get a weight and a bias for each inner step, step i's for support at
    φᵢ and query at φᵢ₊₁; they do not adapt. Per-step running statistics are left out: the original code
    collects them, but normalises by the batch's own in training and in evaluation alike.
    Outer rate: `meta_train(…, meta_lr=1e-3, schedule=("cosine", 0.01))`, down to 1e-5 as in the paper.

    inner_lr: a number, (inner_steps,) of them, or a dict of either by the names of what adapts. Other
    arguments as for `MAML`. Raises ValueError where they make no sense.
    """

    def __init__(
        self,
        model,
        loss=F.cross_entropy,
        inner_lr=0.1,
        inner_steps=5,
        *,
        multi_step_until=0.1,
        first_order_until=0.0,
        per_step_norm=True,
        adapting=None,
        inner_loss=None,
        engine="auto",
    ):
        options = {"inner_steps": inner_steps, "inner_loss": inner_loss, "engine": engine}
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
        maml.check_inner_loop(self.params, inner_lr, self.inner_steps, self.adapting)
        starts = {name: start_at(inner_lr, name, (self.inner_steps,)) for name in self.adapting}
        self.inner_lr, self.learn_inner_lr = as_leaves(starts, self.params), True
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
        return super().settings() | annealed | {"per_step_norm": bool(self.stepwise)}

    # -------------------------------------------------------------- a rate for each step

    @property
    def inner_lr(self):
        """The rates as `maml.rate` reads them: (inner_steps,) each.

        A parameter of that very shape (five ways, five steps) would have them taken for one rate per
        element: there the step axis stands in front of the parameter's own.
        """
        if not isinstance(self.rates, dict):
            return self.rates
        return {
            name: own[:, None].expand(-1, len(own)) if own.shape == self.params[name].shape else own
            for name, own in self.rates.items()
        }

    @inner_lr.setter
    def inner_lr(self, rates):
        self.rates = rates

    def learned_rates(self):
        return {f"inner_lr.{name}": own for name, own in self.rates.items()}

    def meta_gradient(self, batch):
        """(meta-loss, gradients like `meta_params`)."""
        value, grads = super().meta_gradient(batch)
        spread = {
            name for name, own in self.learned_rates().items() if own.shape != grads[name].shape
        }
        return value, grads | {name: grads[name].sum(1) for name in spread}

    def check_steps(self, steps):
        steps = super().check_steps(steps)
        if steps > self.inner_steps:
            raise ValueError(
                f"there are learned rates for {self.inner_steps} inner steps, not for {steps}: take fewer "
                f"steps, or train with more."
            )
        return steps

    def first_rates(self, steps):
        """The rates of the first `steps` inner steps, without a graph."""
        rates = maml.detached(self.inner_lr)
        return {name: own[: self.check_steps(steps)] for name, own in rates.items()}

    # -------------------------------------------------------------- a batch norm for each step

    @property
    def loss(self):
        """Losses at φ₀ … φ_K for a query set: at φᵢ with the batch norms of the step that led there."""
        if not self.stepwise:
            return super().loss
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

    def predictions(self, support_x, support_y, query_x, steps, beside=None):
        """[output for ONE task's query_x after 0, 1, …, `steps` inner steps on its support set]."""
        loop = (self.first_rates(steps), steps, False, self.adapting)
        loss = self.inner_loss or self.loss
        path = maml.adaptation(loss, self.detached(), support_x, support_y, *loop)
        norms = [max(step - 1, 0) for step in range(steps + 1)]
        return [
            self.predict_beside(at_step(phi, self.stepwise, norm), query_x, beside)
            for phi, norm in zip(path, norms, strict=True)
        ]

    def adapt(self, support_x, support_y, steps=None):
        """φ for ONE task, as `MAML.adapt` gives it; batch norms keep their axis of steps."""
        steps = self.inner_steps if steps is None else steps
        arguments = (self.detached(), support_x, support_y, self.first_rates(steps), steps)
        loss = self.inner_loss or self.loss
        return maml.detached(maml.adapt(loss, *arguments, adapting=self.adapting))


class IMAML(MAML):
    """Implicit MAML (Rajeswaran et al. 2019): the meta-gradient of the inner problem's solution.

    φ = argmin L_support(φ) + λ/2 ‖φ − θ‖², near which `inner_steps` of gradient descent arrive, and there
    dφ/dθ = (I + H/λ)⁻¹ with H the Hessian of L_support at φ. The meta-gradient (I + H/λ)⁻¹ ∇L_query(φ)
    (their Lemma 1 and Algorithm 2) does not depend on the way to φ: no graph is kept through the inner
    loop. It is found by `cg_steps` of conjugate gradients, each with one Hessian-vector product.

    strength: λ > 0. inner_lr must be below 2 / (λ + H's largest eigenvalue), else the inner loop diverges.
    Exact as inner and CG steps grow, where I + H/λ is positive definite; where it is not, CG stops with
    what it has. The original code minimises without the λ term, takes one step on that at the end, and
    damps (2 I + H/(λ + 10)) unless told otherwise. Raises ValueError for bad arguments.
    """

    def __init__(
        self,
        model,
        loss=F.mse_loss,
        inner_lr=0.01,
        inner_steps=16,
        *,
        strength=2.0,
        cg_steps=5,
        inner_loss=None,
    ):
        super().__init__(model, loss, inner_lr, inner_steps, inner_loss=inner_loss)
        if not isinstance(strength, numbers.Real) or not 0 < float(strength) < float("inf"):
            raise ValueError(f"strength (λ) must be a number > 0; got {strength!r}.")
        if not is_count(cg_steps):
            raise ValueError(f"cg_steps must be a whole number ≥ 0; got {cg_steps!r}.")
        self.strength, self.cg_steps = float(strength), int(cg_steps)

    @property
    def inner_loss(self):
        """The support loss with the proximal term λ/2 ‖φ − θ‖²."""
        return Proximal(super().inner_loss or self.loss, self.detached(), self.strength)

    def meta_gradient(self, batch):
        """(mean query loss at φ, mean of (I + H/λ)⁻¹ ∇L_query(φ), like θ)."""
        theta, inner = self.detached(), self.inner_loss
        loop = (self.inner_lr, self.inner_steps, True)

        def one_task(support_x, support_y, query_x, query_y):
            phi = maml.adaptation(inner, theta, support_x, support_y, *loop)[-1]
            slope, value = grad_and_value(maml.one_number(self.loss))(phi, query_x, query_y)
            # v ↦ H v: H is symmetric, so the transposed derivative of the slope will do
            hessian = vjp(lambda at: grad(inner.loss)(at, support_x, support_y), phi)[1]
            solution, _ = conjugate_gradient(
                lambda v: self.one_plus(hessian, v), slope, self.cg_steps
            )
            return value, solution

        return mean_over_tasks(one_task, batch, theta)

    def one_plus(self, hessian, v):
        """(I + H/λ) v."""
        product = hessian(v)[0]
        return {name: v[name] + product[name] / self.strength for name in v}

    def settings(self):
        return super().settings() | {"strength": self.strength, "cg_steps": self.cg_steps}


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


# ------------------------------------------------------------------ MAML++


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


def check_until(name, until):
    """A share of the run (a float from 0 to 1) or a number of iterations (an int ≥ 0)."""
    if not is_count(until) and not (isinstance(until, float) and 0 <= until <= 1):
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
        f"{prefix}.{own}".lstrip("."): (layer, own)
        for prefix, layer in model.named_modules()
        if isinstance(layer, BatchNorm)
        for own in ("weight", "bias")
    }


def give_steps(norms, inner_steps):
    """Parameters (features,) of batch norms become (inner_steps, features), all steps alike."""
    for name, (layer, own) in norms.items():
        value = getattr(layer, own)
        if value.ndim == 2 and len(value) != inner_steps:
            raise ValueError(
                f"{name} already holds batch norms for {len(value)} inner steps, not {inner_steps}: start "
                f"from a new model."
            )
        if value.ndim == 1:
            setattr(layer, own, nn.Parameter(value.detach().expand(inner_steps, -1).clone()))


def at_step(params, stepwise, step):
    """The parameters with, of those that have an axis of steps, what belongs to one step."""
    return params | {name: params[name][step] for name in stepwise}


class StepLoss(TaskLoss):
    """The loss of one task with the batch norms of one inner step."""

    def __init__(self, model, function, stepwise, step):
        super().__init__(model, function)
        self.stepwise, self.step = tuple(stepwise), step

    def __call__(self, params, x, y):
        return super().__call__(at_step(params, self.stepwise, self.step), x, y)

    def __eq__(self, other):  # what was compiled for one step must not serve another
        own = (self.stepwise, self.step)
        return super().__eq__(other) and own == (other.stepwise, other.step)

    def __hash__(self):
        return hash((super().__hash__(), self.stepwise, self.step))


class StepLosses(tuple):
    """A loss for each step, as `maml.per_step` takes them; called by itself, it is the last one."""

    @property
    def model(self):
        return self[-1].model

    def __call__(self, params, x, y):
        return self[-1](params, x, y)


# ------------------------------------------------------------------ implicit MAML


class Proximal:
    """loss(params, x, y) + λ/2 ‖params − θ‖²."""

    def __init__(self, loss, theta, strength):
        self.loss, self.theta, self.strength = loss, theta, strength

    def __call__(self, params, x, y):
        away = {name: params[name] - self.theta[name] for name in self.theta}
        return self.loss(params, x, y) + self.strength / 2 * dot(away, away)


def conjugate_gradient(product, target, steps):
    """(x, ‖target − A x‖) with A x ≈ target after `steps` of conjugate gradients, for dicts of tensors.

    product(v) → A v with A symmetric and positive definite (Nocedal and Wright 2006, algorithm 5.2). The
    start is x = target, the solution for A = I. Where A is found not to be positive definite, x stays what
    it was before. Free of branches on values, so that it runs under vmap.
    """
    x = target
    image = product(x)
    residual = {name: target[name] - image[name] for name in target}
    direction, squared = residual, dot(residual, residual)
    going = squared > 0
    for _ in range(steps):
        image = product(direction)
        curvature = dot(direction, image)
        going = going & (curvature > 0)
        length = torch.where(going, squared / curvature, 0.0)
        x = {name: x[name] + length * direction[name] for name in x}
        residual = {name: residual[name] - length * image[name] for name in x}
        before, squared = squared, dot(residual, residual)
        share = torch.where(going, squared / before, 0.0)
        direction = {name: residual[name] + share * direction[name] for name in x}
    return x, squared.sqrt()


def dot(a, b):
    """⟨a, b⟩ of two dicts of tensors."""
    return sum((a[name] * b[name]).sum() for name in a)
