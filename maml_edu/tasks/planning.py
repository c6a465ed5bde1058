"""Control of a pendulum with a model of it: start with `plan`, model-predictive control by random shooting.

A model is a function (states (bodies, plans, 2), controls (bodies, plans)) → states 0.1 s later. It may be the
physics, a fit, or a network; nothing here knows how it was learned. With the true model:

>>> import numpy as np
>>> from maml_edu.tasks.pendulum import Pendulum, step
>>> rng = np.random.default_rng(0)
>>> bodies = Pendulum().draw_bodies(rng, tasks=2)
>>> model = lambda state, control: step(state, control, bodies)
>>> drive(lambda state: plan(model, state, rng)[:, 0], bodies, steps=10).returns.shape
(2,)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .batch import generator, whole
from .pendulum import Body, step

HANGING = (np.pi, 0.0)  # ψ in rad, ω in rad/s
UPRIGHT = 0.9  # the mass is upright where cos ψ is above this, within 26 degrees


class Drive(NamedTuple):
    """What a controller did with some bodies.

    states (bodies, steps + 1, 2), from the start on; controls (bodies, steps); costs (bodies, steps).
    """

    states: np.ndarray
    controls: np.ndarray
    costs: np.ndarray

    @property
    def returns(self) -> np.ndarray:
        """Minus the sum of the costs: (bodies,)."""
        return -self.costs.sum(axis=1)

    @property
    def upright(self) -> np.ndarray:
        """The share of the steps after which the mass was upright: (bodies,)."""
        return (np.cos(self.states[:, 1:, 0]) > UPRIGHT).mean(axis=1)


def cost(state, control):
    """1 − cos ψ + 0.01 ω² + 0.001 u² of states (…, 2) and the controls (…) that led there: (…).

    0 for a mass that stands upright, 2 for one that hangs, and the same however many turns ψ has counted.
    """
    angle, omega = state[..., 0], state[..., 1]
    return 1 - np.cos(angle) + 0.01 * omega**2 + 0.001 * control**2


def plan(model, state, rng, plans: int = 128, horizon: int = 12, hold: int = 3, cost=cost):
    """The cheapest of some random plans, by a model: controls (bodies, horizon) from states (bodies, 2) on.

    Model-predictive control executes its first control, `plan(…)[:, 0]`, and then plans again.

    plans: how many are tried for each body.
    horizon: steps of a plan.
    hold: steps for which a plan keeps each control, drawn from U[−1, 1]. If every step had its own, they
        would cancel each other out, and few plans would swing far.
    cost: a function (states, controls) → costs. The sum over a plan decides; NaN counts as infinity, and if all
        plans of a body cost that much, the first one that was drawn is returned.
    Raises ValueError unless the counts are whole numbers ≥ 1 and what the model returns has the states' shape.
    """
    rng = generator(rng)
    plans, horizon, hold = whole("plans", plans), whole("horizon", horizon), whole("hold", hold)
    state = np.asarray(state, float)
    if state.ndim != 2 or state.shape[1] != 2:
        raise ValueError(f"state must be (bodies, 2): ψ and ω; its shape is {state.shape}.")
    drawn = rng.uniform(-1, 1, (len(state), plans, -(-horizon // hold)))
    controls = np.repeat(drawn, hold, axis=2)[:, :, :horizon]  # (bodies, plans, horizon)
    best = _costs_of(model, state, controls, cost).argmin(axis=1)
    return controls[np.arange(len(state)), best]


def _costs_of(model, state, controls, cost):
    """What each plan costs by the model: (bodies, plans). A poor model may run away; that is no error."""
    bodies, plans, horizon = controls.shape
    states, total = np.repeat(state[:, None], plans, axis=1), np.zeros((bodies, plans))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(horizon):
            states = np.asarray(model(states, controls[:, :, t]))
            if states.shape != (bodies, plans, 2):
                raise ValueError(
                    f"the model must return states (bodies, plans, 2), here {(bodies, plans, 2)}; it returned "
                    f"shape {states.shape}."
                )
            total += cost(states, controls[:, :, t])
    return np.where(np.isnan(total), np.inf, total)


def drive(controller, bodies: Body, steps: int = 80, start=HANGING, cost=cost) -> Drive:
    """Let a controller drive real bodies for some steps of 0.1 s.

    controller: a function of states (bodies, 2) that returns controls (bodies,); beyond −1 … 1 they are clipped.
    start: the state (ψ, ω) of all bodies at first, or states (bodies, 2).
    Raises ValueError unless steps is a whole number ≥ 1 and the controls have their shape and are finite.
    """
    state = np.array(np.broadcast_to(np.asarray(start, float), (len(bodies), 2)))
    states, controls, costs = [state], [], []
    for _ in range(whole("steps", steps)):
        control = np.asarray(controller(state), float)
        if control.shape != (len(bodies),) or not np.isfinite(control).all():
            raise ValueError(
                f"the controller must return {len(bodies)} finite controls, one per body; it returned {control!r}."
            )
        control = np.clip(control, -1, 1)
        state = step(state, control, bodies)
        states.append(state)
        controls.append(control)
        costs.append(cost(state, control))
    return Drive(*(np.stack(parts, axis=1) for parts in (states, controls, costs)))
