"""Functions that a check may hand to an answer, by name, so that both sides have them.

`named("tanh_mlp_mse")` is plain data; `.numpy` and `.torch` are the function for either back end. The two
are one piece of code, written against what NumPy and PyTorch call by the same name.
"""

from __future__ import annotations

from dataclasses import dataclass


def _quadratic(xp):
    """½ Σ a (θ − c)²: x holds the curvatures a, y the minima c; params {"theta"}."""
    return lambda params, x, y: xp.sum(x * (params["theta"] - y) ** 2) / 2.0


def _linear_mse(xp):
    """Mean squared error of x @ w + b; params {"w", "b"}."""
    return lambda params, x, y: xp.mean((x @ params["w"] + params["b"] - y) ** 2)


def _tanh_mlp(xp):
    """Outputs (examples, outputs) of a two-layer tanh network; params {"w1", "b1", "w2", "b2"}."""

    def net(params, x):
        hidden = xp.tanh(x @ params["w1"] + params["b1"])  # (examples, width)
        return hidden @ params["w2"] + params["b2"]

    return net


def _tanh_mlp_mse(xp):
    """Mean squared error of `_tanh_mlp`."""
    net = _tanh_mlp(xp)
    return lambda params, x, y: xp.mean((net(params, x) - y) ** 2)


def _running_totals_mse(xp):
    """Mean squared error of the running totals of `_tanh_mlp` over the examples.

    `ref.grad` has no rule for cumsum: a loss whose gradient can only be measured.
    """
    net = _tanh_mlp(xp)
    return lambda params, x, y: xp.mean((xp.cumsum(net(params, x), 0) - y) ** 2)


def _double_well(xp):
    """(θ² − 1)² / 4, a loss of one number with two minima; its slope is θ³ − θ."""
    return lambda theta: (theta**2 - 1.0) ** 2 / 4.0


def _sine_of_product(xp):
    """sin(x · y): a smooth function of two numbers, for derivatives."""
    return lambda x, y: xp.sin(x * y)


def _quartic_and_sine(xp):
    """¼ Σ x⁴ + sin Σ x for an array x of any shape: no derivative of it vanishes."""
    return lambda x: xp.sum(x**4) / 4.0 + xp.sin(xp.sum(x))


def _quartic_of_rows(xp):
    """¼ Σ x⁴ + sin Σ x + ½ Σ (Σ of a row)² for an array x: the same numbers in another shape give another value."""

    def f(x):
        return xp.sum(x**4) / 4.0 + xp.sin(xp.sum(x)) + xp.sum(xp.sum(x, -1) ** 2) / 2.0

    return f


FUNCTIONS = {
    "quadratic": _quadratic,
    "linear_mse": _linear_mse,
    "tanh_mlp": _tanh_mlp,
    "tanh_mlp_mse": _tanh_mlp_mse,
    "running_totals_mse": _running_totals_mse,
    "double_well": _double_well,
    "sine_of_product": _sine_of_product,
    "quartic_and_sine": _quartic_and_sine,
    "quartic_of_rows": _quartic_of_rows,
}


@dataclass(frozen=True)
class Named:
    """A function of the catalogue; travels as its name."""

    name: str

    def __post_init__(self):
        if self.name not in FUNCTIONS:
            raise ValueError(
                f"no function {self.name!r} in the catalogue; it has {sorted(FUNCTIONS)}."
            )

    @property
    def numpy(self):
        """The function on NumPy arrays (traced ones too)."""
        import numpy

        return FUNCTIONS[self.name](numpy)

    @property
    def torch(self):
        """The function on tensors."""
        import torch

        return FUNCTIONS[self.name](torch)

    def __repr__(self):
        return self.name


named = Named
