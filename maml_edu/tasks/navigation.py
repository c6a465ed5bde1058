"""2-D navigation, MAML's first experiment with reinforcement learning: start with `Navigation`, or with `step_all`.

A point walks in the plane to a goal that it does not see. Rewards alone tell it where the goal is. The settings
are those of Finn et al. (2017, section 5.3) and of their code (github.com/cbfinn/maml_rl, point_env_randgoal.py).
Lengths have no unit. Policies and policy gradients are not in this file; `gym.py` has the same task for Gymnasium.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .batch import TaskBatch, generator, whole

GOALS = (-0.5, 0.5)  # each coordinate of a goal is uniform over this range
LARGEST_MOVE = 0.1  # per axis and step
ARRIVED = 0.01  # per axis: nearer than this to the goal, an episode is over


class Trajectories(NamedTuple):
    """What a policy did. `alive` tells which steps count: sums and means are over these alone.

    positions (goals, trajectories, horizon, 2): where the point was before each step.
    actions (goals, trajectories, horizon, 2): as the policy gave them, before they were clipped.
    rewards (goals, trajectories, horizon): −distance to the goal after each step; 0 once the episode is over.
    alive (goals, trajectories, horizon): True for the steps of the episode, the one that arrives included.
    """

    positions: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    alive: np.ndarray

    @property
    def returns(self) -> np.ndarray:
        """The sum of each trajectory's rewards, without discount: (goals, trajectories)."""
        return self.rewards.sum(axis=-1)


class Navigation:
    """Goals ~ U[−0.5, 0.5]², start at (0, 0), moves of at most 0.1 per axis, reward −distance to the goal.

    trajectories: how often a policy tries to reach each goal.
    horizon: steps after which an episode ends, if it has not arrived before.
    Raises ValueError unless both are whole numbers ≥ 1.

    >>> family = Navigation(trajectories=3)
    >>> goals = family.draw_goals(np.random.default_rng(0), tasks=2)
    >>> right = family.roll_out(lambda positions: np.full(positions.shape, (0.1, 0.0)), goals)
    >>> right.returns.shape
    (2, 3)
    """

    def __init__(self, trajectories: int = 20, horizon: int = 100):
        self.trajectories = whole("trajectories", trajectories)
        self.horizon = whole("horizon", horizon)

    def draw_goals(self, rng: np.random.Generator, tasks: int = 20) -> np.ndarray:
        """Goals of new tasks, (tasks, 2). The same generator state gives the same goals."""
        rng = generator(rng)
        return rng.uniform(*GOALS, (whole("tasks", tasks), 2))

    def draw_noise(self, rng: np.random.Generator, tasks: int = 20) -> np.ndarray:
        """Standard normal numbers, (tasks, trajectories, horizon, 2), for a policy that explores by noise."""
        rng = generator(rng)
        return rng.standard_normal((whole("tasks", tasks), self.trajectories, self.horizon, 2))

    def sample(self, rng: np.random.Generator, tasks: int = 20) -> TaskBatch:
        """New tasks: x is the noise that a policy explores with, y the goal, once for each trajectory.

        support_x, query_x (tasks, trajectories, horizon, 2); support_y, query_y (tasks, trajectories, 2), the
        same goals in both. Where a policy goes follows from these and from the policy alone.
        """
        goals = self.draw_goals(rng, tasks)
        support_x, query_x = self.draw_noise(rng, tasks), self.draw_noise(rng, tasks)
        goals = np.repeat(goals[:, None], self.trajectories, axis=1)
        return TaskBatch(support_x, goals, query_x, goals)

    def roll_out(self, policy, goals) -> Trajectories:
        """All trajectories of a policy to these goals, (goals, 2), from (0, 0) to the horizon.

        policy: a function of positions (goals, trajectories, 2) that returns actions of the same shape. It is
            also asked about trajectories that are over; what it answers there has no effect.
        Raises ValueError if goals or actions have another shape, or contain NaN or infinity.
        """
        goals = _checked_goals(goals)
        shape = (len(goals), self.trajectories)
        positions, alive = np.zeros((*shape, 2)), np.ones(shape, bool)
        steps = []
        for _ in range(self.horizon):
            actions = np.asarray(policy(positions))
            moved, rewards, still_alive = step_all(positions, actions, goals, alive)
            steps.append((positions, actions, rewards, alive))
            positions, alive = moved, still_alive
        return Trajectories(*(np.stack(parts, axis=2) for parts in zip(*steps, strict=True)))

    def __repr__(self):
        return f"Navigation(trajectories={self.trajectories}, horizon={self.horizon})"


def step_all(positions, actions, goals, alive=None):
    """One step of every trajectory: (positions after it, rewards, which trajectories go on).

    positions, actions (goals, trajectories, 2); goals (goals, 2).
    alive (goals, trajectories): which episodes are not over yet; None means all.

    An action is a move, clipped to −0.1 … 0.1 on each axis by itself. In the original, `normalize` multiplies
    what the policy gives by 0.1 before that. The reward, (goals, trajectories), is −distance to the goal
    after the move. An episode is over after the step that ends within 0.01 of the goal on both axes. From then
    on it stays where it is, its rewards are 0, and the third result, (goals, trajectories), is False.
    Raises ValueError if shapes do not fit together, or if actions contain NaN or infinity.
    """
    positions, actions, goals = np.asarray(positions), np.asarray(actions), np.asarray(goals)
    _check_step(positions, actions, goals)
    alive = np.ones(positions.shape[:2], bool) if alive is None else np.asarray(alive, bool)
    if alive.shape != positions.shape[:2]:
        raise ValueError(
            f"alive has shape {alive.shape}, positions {positions.shape}: say of each trajectory if it goes on."
        )
    moves = np.clip(actions, -LARGEST_MOVE, LARGEST_MOVE)
    positions = np.where(alive[:, :, None], positions + moves, positions)
    away = positions - goals[:, None]  # (goals, trajectories, 2)
    rewards = np.where(alive, -np.sqrt((away**2).sum(axis=2)), 0.0)
    arrived = (np.abs(away) < ARRIVED).all(axis=2)
    return positions, rewards, alive & ~arrived


def _checked_goals(goals):
    """Goals as floats; ValueError unless they are finite and (goals, 2)."""
    goals = np.asarray(goals, float)
    if goals.ndim != 2 or goals.shape[1] != 2 or not len(goals) or not np.isfinite(goals).all():
        raise ValueError(
            f"goals must be finite numbers (goals, 2), one goal or more; got shape {goals.shape}: "
            f"for a single goal write [[x, y]]."
        )
    return goals


def _check_step(positions, actions, goals):
    """ValueError unless these fit together as `step_all` says."""
    if positions.ndim != 3 or positions.shape[2] != 2:
        raise ValueError(
            f"positions must be (goals, trajectories, 2); their shape is {positions.shape}."
        )
    if actions.shape != positions.shape:
        raise ValueError(
            f"actions have shape {actions.shape}, positions {positions.shape}: give each trajectory one action."
        )
    if goals.shape != (len(positions), 2):
        raise ValueError(
            f"goals have shape {goals.shape}; positions {positions.shape} need ({len(positions)}, 2): "
            f"one goal per row of trajectories."
        )
    if not np.isfinite(actions).all():
        raise ValueError("actions contain NaN or infinity: look at the policy's parameters.")
