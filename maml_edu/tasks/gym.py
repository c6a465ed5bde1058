"""Navigation and the pendulum as environments of Gymnasium: `NavigationEnv` and `PendulumEnv`.

Importing this file needs `pip install "maml_edu[robots]"`, and registers both, so that

    gymnasium.make("maml_edu.tasks.gym:maml_edu/Navigation-v0")
    gymnasium.make("maml_edu.tasks.gym:maml_edu/Pendulum-v0")

work. An environment has one goal or one body, and runs one trajectory at a time. Its numbers are exactly those of
`navigation.step_all` and `pendulum.step`, which take many at once: use these where speed matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import navigation, pendulum, planning
from .batch import whole

try:
    import gymnasium
except ImportError as error:
    raise ImportError(
        'maml_edu.tasks.gym needs gymnasium: pip install "maml_edu[robots]"'
    ) from error
from gymnasium.spaces import Box


class NavigationEnv(gymnasium.Env):
    """A walk to one goal, which stays hidden: it is in `info["goal"]`, not in the observation.

    goal: (x, y) of every episode. None means that `reset` draws one from U[−0.5, 0.5]². For one episode
        there is `reset(options={"goal": (x, y)})`.
    horizon: steps after which an episode is truncated.

    Observation: the position (2,), float64. Action: a move (2,), clipped to −0.1 … 0.1 on each axis. Reward:
    −distance to the goal after the move. An episode terminates within 0.01 of the goal on both axes; steps
    after that pay nothing.
    Raises ValueError for a goal that is not two finite numbers; RuntimeError for a step before the first reset.
    """

    def __init__(self, goal=None, horizon: int = 100):
        self.goal = None if goal is None else _checked_goal(goal)
        self.horizon = whole("horizon", horizon)
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float64)
        largest = navigation.LARGEST_MOVE
        self.action_space = Box(-largest, largest, (2,), np.float64)
        self._positions: Any = None

    def reset(self, *, seed=None, options=None):
        """(position, {"goal": (2,)}) at the start of an episode."""
        super().reset(seed=seed)
        goal = (options or {}).get("goal", self.goal)
        if goal is None:
            goal = navigation.Navigation().draw_goals(self.np_random, 1)[0]
        self._goals = _checked_goal(goal)[None]
        self._positions, self._alive, self._steps = np.zeros((1, 1, 2)), np.ones((1, 1), bool), 0
        return self._positions[0, 0].copy(), self._info()

    def step(self, action):
        """(position, reward, terminated, truncated, {"goal": (2,)}) after a move."""
        _refuse_unless_reset(self._positions)
        actions = np.asarray(action, float).reshape(1, 1, -1)
        self._positions, rewards, self._alive = navigation.step_all(
            self._positions, actions, self._goals, self._alive
        )
        self._steps += 1
        over = not self._alive[0, 0]
        truncated = self._steps >= self.horizon
        return self._positions[0, 0].copy(), float(rewards[0, 0]), over, truncated, self._info()

    def _info(self):
        return {"goal": self._goals[0].copy()}


class PendulumEnv(gymnasium.Env):
    """One body, hanging at first, to be swung up. Its numbers are in `info["body"]`, by name.

    body: a `Body` of numbers, for every episode. None means that `reset` draws one. For one episode
        there is `reset(options={"body": body})`.
    spring, dead_zone: of the bodies that are drawn.
    horizon: steps of 0.1 s after which an episode is truncated; there is no other end.

    Observation: (cos ψ, sin ψ, ω / 6), float64. Action: the control u (1,), clipped to −1 … 1. Reward: minus
    `planning.cost` of the state after the step.
    Raises ValueError for anything but a single body; RuntimeError for a step before the first reset.
    """

    def __init__(
        self, body=None, horizon: int = 80, *, spring: float = 0.0, dead_zone: float = 0.0
    ):
        self.body = None if body is None else _checked_body(body)
        self.horizon = whole("horizon", horizon)
        self._family = pendulum.Pendulum(spring=spring, dead_zone=dead_zone)
        most = np.array([1.0, 1.0, np.inf])
        self.observation_space = Box(-most, most, dtype=np.float64)
        self.action_space = Box(-1.0, 1.0, (1,), np.float64)
        self._state: Any = None

    def reset(self, *, seed=None, options=None):
        """(observation, {"body": its numbers}) of a body that hangs."""
        super().reset(seed=seed)
        body = (options or {}).get("body", self.body)
        self._body = (
            self._family.draw_bodies(self.np_random, 1)[0] if body is None else _checked_body(body)
        )
        self._state, self._steps = np.array(planning.HANGING), 0
        return self._observation(), self._info()

    def step(self, action):
        """(observation, reward, False, truncated, {"body": its numbers}) after 0.1 s."""
        _refuse_unless_reset(self._state)
        control = np.asarray(action, float)
        if control.shape != (1,) or not np.isfinite(control).all():
            raise ValueError(f"the action must be one finite control, (1,); got {action!r}.")
        control = np.clip(control[0], -1, 1)
        self._state = pendulum.step(self._state, control, self._body)
        self._steps += 1
        reward = -float(planning.cost(self._state, control))
        return self._observation(), reward, False, self._steps >= self.horizon, self._info()

    @property
    def state(self) -> np.ndarray:
        """(ψ, ω), in rad and rad/s."""
        _refuse_unless_reset(self._state)
        return self._state.copy()

    def _observation(self):
        return pendulum.inputs(self._state, 0.0)[:3]

    def _info(self):
        return {"body": self._body.numbers()}


def _refuse_unless_reset(state):
    if state is None:
        raise RuntimeError("call reset() first: it starts an episode.")


def _checked_goal(goal):
    goal = np.asarray(goal, float)
    if goal.shape != (2,) or not np.isfinite(goal).all():
        raise ValueError(f"goal must be two finite numbers, (x, y); got {goal}.")
    return goal


def _checked_body(body):
    if not isinstance(body, pendulum.Body) or body.mass.ndim:
        raise ValueError(
            f"body must be one pendulum.Body, such as Pendulum().draw_bodies(rng, 1)[0]; got {type(body).__name__}"
            f"{' of many' if isinstance(body, pendulum.Body) else ''}."
        )
    return body


gymnasium.register("maml_edu/Navigation-v0", entry_point="maml_edu.tasks.gym:NavigationEnv")
gymnasium.register("maml_edu/Pendulum-v0", entry_point="maml_edu.tasks.gym:PendulumEnv")
