"""Implicit MAML: differentiates the solution of the inner problem, not the way to it. Start with `IMAML`."""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F

from . import maml, rules
from .arguments import is_count, one_number
from .task_gradient import TaskGradient


class IMAML(TaskGradient):
    """Implicit MAML (Rajeswaran et al. 2019): the meta-gradient of the inner problem's solution.

    φ = argmin L_support(φ) + λ/2 ‖φ − θ‖², near which `inner_steps` of gradient descent arrive, and there
    dφ/dθ = (I + H/λ)⁻¹ with H the Hessian of L_support at φ. The meta-gradient (I + H/λ)⁻¹ ∇L_query(φ)
    (their Lemma 1 and Algorithm 2) does not depend on the way to φ: no graph is kept through the inner
    loop. It is found by `cg_steps` of conjugate gradients, each with one Hessian-vector product.

    strength: λ > 0. inner_lr must be below 2 / (λ + H's largest eigenvalue), else the inner loop diverges.
    Exact as inner and CG steps grow, where I + H/λ is positive definite; where it is not, CG stops with
    what it has. The original code minimises without the λ term, takes one step on that at the end, and
    damps (2 I + H/(λ + 10)) unless told otherwise. engine: "auto", or some of "native", "plain", "textbook".
    Raises ValueError for bad arguments.
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
        engine="auto",
    ):
        if not isinstance(strength, numbers.Real) or not 0 < float(strength) < float("inf"):
            raise ValueError(f"strength (λ) must be a number > 0; got {strength!r}.")
        if not is_count(cg_steps, 0):
            raise ValueError(f"cg_steps must be a whole number ≥ 0; got {cg_steps!r}.")
        self.strength, self.cg_steps = float(strength), int(cg_steps)
        super().__init__(model, loss, inner_lr, inner_steps, inner_loss=inner_loss, engine=engine)

    @property
    def inner_loss(self):
        """The support loss with the proximal term λ/2 ‖φ − θ‖²."""
        return Proximal(super().inner_loss or self.task_loss, self.detached(), self.strength)

    def one_task(self, derivatives, theta, task, loop):
        """(query loss at φ, (I + H/λ)⁻¹ ∇L_query(φ) like θ)."""
        support_x, support_y, query_x, query_y = task
        plain = self.inner_loss.loss
        inner = Proximal(plain, theta, self.strength)
        loop = loop._replace(first_order=True, inner_loss=inner)
        phi = maml.adaptation(inner, theta, support_x, support_y, loop, derivatives.slope_of)[-1]
        loss = one_number(self.task_loss)
        slope, value = derivatives.slope_and_value(loss, phi, query_x, query_y)
        hessian = derivatives.hessian(plain, phi, support_x, support_y)
        solution, _ = conjugate_gradient(lambda v: self.one_plus(hessian, v), slope, self.cg_steps)
        return value, solution

    def rule(self):
        inner = self.inner_loss
        if type(inner) is not Proximal:
            return None
        return rules.Rule(rules.IMPLICIT, self.strength, self.cg_steps, inner_loss=inner.loss)

    def one_plus(self, hessian, v):
        """(I + H/λ) v."""
        product = hessian(v)
        return {name: v[name] + product[name] / self.strength for name in v}

    def settings(self):
        return super().settings() | {"strength": self.strength, "cg_steps": self.cg_steps}


# ------------------------------------------------------------------ what it is made of


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
        going = going & (curvature > 0) & (squared > 0)  # until nothing is left
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
