"""The settings of an inner loop in one record: `Loop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from . import arguments, inner_optimisers


class Loop(NamedTuple):
    """How φ comes from θ, and which query losses count. `checked` makes one whose fields fit the parameters.

    Fields are the arguments of `maml_edu.pytorch.meta_gradient`; query_weights (K + 1,) are numbers after that.
    """

    inner_lr: Any
    inner_steps: int
    first_order: bool = False
    adapting: tuple[str, ...] | None = None
    inner_loss: Callable | None = None
    query_weights: Any = None
    learn_rates: bool = False
    inner_optimiser: Any = "sgd"
    inner_clip: Any = None

    def checked(self, params) -> Loop:
        """The same, with defaults filled in. ValueError for steps, rates, names or rules that make no sense."""
        steps = arguments.checked_steps(self.inner_steps)
        arguments.check_params(params)
        arguments.check_adapting(self.adapting, params)
        arguments.check_rates(self.inner_lr, self.adapting or params)
        return self._replace(
            inner_steps=steps,
            first_order=bool(self.first_order),
            adapting=None if self.adapting is None else tuple(self.adapting),
            query_weights=arguments.checked_weights(self.query_weights, steps),
            learn_rates=bool(self.learn_rates),
            inner_optimiser=inner_optimisers.rule_named(self.inner_optimiser),
            inner_clip=inner_optimisers.checked_clip(self.inner_clip),
        )

    @property
    def is_descent(self) -> bool:
        """Whether an inner step is φ ← φ − α g and nothing else."""
        return self.inner_optimiser in ("sgd", inner_optimisers.sgd) and self.inner_clip is None

    def moving(self, params) -> list[str]:
        """The names of what adapts."""
        return list(self.adapting or params)

    def rate(self, name, value, step):
        """α of one parameter at one step: a number, or a tensor like the parameter.

        A tensor of the parameter's own shape has no step axis; otherwise its leading axis counts steps.
        """
        rate = self.inner_lr[name] if isinstance(self.inner_lr, dict) else self.inner_lr
        if isinstance(rate, (np.ndarray, list, tuple)):
            rate = torch.as_tensor(rate, dtype=value.dtype, device=value.device)
        shape = tuple(getattr(rate, "shape", ()))
        if shape == () or (isinstance(self.inner_lr, dict) and shape == tuple(value.shape)):
            return rate
        if shape[0] != self.inner_steps or shape[1:] not in ((), tuple(value.shape)):
            raise ValueError(
                f"inner_lr for {name!r} has shape {shape}, which fits neither the parameter "
                f"{tuple(value.shape)} nor {self.inner_steps} inner steps: give a number, a tensor like the "
                f"parameter, or put an axis of {self.inner_steps} steps in front."
            )
        return rate[step]

    def shortened(self, steps, params) -> Loop:
        """The loop with `steps` inner steps at most: the first ones, with their rates."""
        if steps >= self.inner_steps:
            return self

        def fewer(name, rate):
            like = tuple(params[name].shape) if name else ()
            by_step = np.shape(rate.detach().cpu() if isinstance(rate, torch.Tensor) else rate)
            return rate[:steps] if by_step not in ((), like) else rate

        rates = self.inner_lr
        if isinstance(rates, dict):
            rates = {name: fewer(name, rate) for name, rate in rates.items()}
        else:
            rates = fewer("", rates)
        weights = self.query_weights and self.query_weights[-steps - 1 :]
        return self._replace(inner_lr=rates, inner_steps=steps, query_weights=weights)

    def step(self, moving, slopes, state, step):
        """(params, state) after one inner step: the slopes clipped, then the rule."""
        if isinstance(self.inner_lr, dict):
            rate = {name: self.rate(name, value, step) for name, value in moving.items()}
        else:
            name, value = next(iter(moving.items()))
            rate = self.rate(name, value, step)
        rule, slopes = self.inner_optimiser, inner_optimisers.clipped(slopes, self.inner_clip)
        answer = rule(moving, slopes, state, rate)
        if rule in inner_optimisers.RULES.values():
            return answer
        return inner_optimisers.check_moved(answer, moving)
