"""Gymnasium's environments: its own checker accepts them, and their numbers are those of many at once."""

import builtins
import importlib
import sys

import numpy as np
import pytest

from maml_edu.tasks import Navigation, Pendulum
from maml_edu.tasks.navigation import step_all
from maml_edu.tasks.pendulum import inputs, step
from maml_edu.tasks.planning import HANGING, cost


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def gym():
    """The module, if Gymnasium is installed."""
    pytest.importorskip("gymnasium", reason='needs gymnasium: pip install "maml_edu[robots]"')
    return importlib.import_module("maml_edu.tasks.gym")


def test_without_gymnasium_the_error_says_how_to_install_it(monkeypatch):
    really = builtins.__import__

    def missing(name, *rest):
        if name.partition(".")[0] == "gymnasium":
            raise ModuleNotFoundError("No module named 'gymnasium'", name="gymnasium")
        return really(name, *rest)

    monkeypatch.delitem(sys.modules, "maml_edu.tasks.gym", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r'pip install "maml_edu\[robots\]"'):
        importlib.import_module("maml_edu.tasks.gym")


@pytest.mark.parametrize("name", ["Navigation", "Pendulum"])
@pytest.mark.filterwarnings("ignore:.*observation space m.*imum value is:UserWarning")
def test_gymnasium_makes_them_and_its_checker_has_nothing_to_say(gym, name):
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    made = gymnasium.make(f"maml_edu.tasks.gym:maml_edu/{name}-v0")
    assert isinstance(made.unwrapped, getattr(gym, f"{name}Env"))
    check_env(made.unwrapped)


def test_navigation_and_its_vectorised_step_agree_bit_for_bit(gym):
    goals, actions = Navigation().draw_goals(rng(), 5), rng(1).normal(0, 0.1, (100, 5, 1, 2))
    positions, alive = np.zeros((5, 1, 2)), np.ones((5, 1), bool)
    environments = [gym.NavigationEnv(goal) for goal in goals]
    for environment in environments:
        environment.reset(seed=0)
    for t in range(100):
        positions, rewards, alive = step_all(positions, actions[t], goals, alive)
        for n, environment in enumerate(environments):
            at, reward, over, truncated, info = environment.step(actions[t, n, 0])
            assert np.array_equal(at, positions[n, 0]) and reward == rewards[n, 0]
            assert over is bool(not alive[n, 0]) and truncated is (t == 99)
            assert np.array_equal(info["goal"], goals[n])


def test_a_walk_that_arrives_terminates(gym):
    environment = gym.NavigationEnv((0.15, 0.0))
    environment.reset()
    assert [environment.step((0.1, 0.0))[2], environment.step((0.05, 0.0))[2]] == [False, True]
    assert environment.step((0.1, 0.0))[1] == 0


def test_the_pendulum_and_its_vectorised_step_agree_bit_for_bit(gym):
    bodies = Pendulum(spring=4.0, dead_zone=0.1).draw_bodies(rng(), 5)
    state, controls = np.array([HANGING] * 5), rng(1).uniform(-1.5, 1.5, (80, 5))
    environments = [gym.PendulumEnv(bodies[n]) for n in range(5)]
    for environment in environments:
        environment.reset()
    for t in range(80):
        clipped = np.clip(controls[t], -1, 1)
        state = step(state, clipped, bodies)
        costs = cost(state, clipped)
        for n, environment in enumerate(environments):
            seen, reward, over, truncated, _ = environment.step(controls[t, n : n + 1])
            assert np.array_equal(environment.state, state[n]) and reward == -costs[n]
            assert np.array_equal(seen, inputs(state, clipped)[n, :3])
            assert over is False and truncated is (t == 79)


def test_each_reset_draws_another_task_and_a_seed_the_same_again(gym):
    for environment, name in ((gym.NavigationEnv(), "goal"), (gym.PendulumEnv(), "body")):
        drawn = [str(environment.reset(seed=seed)[1][name]) for seed in (3, None, 3, 4)]
        assert drawn[0] == drawn[2] and len(set(drawn)) == 3


def test_one_episode_may_have_a_task_of_its_own(gym):
    walk = gym.NavigationEnv((0.1, 0.2))
    assert walk.reset(options={"goal": (0.3, 0.4)})[1]["goal"].tolist() == [0.3, 0.4]
    assert walk.reset()[1]["goal"].tolist() == [0.1, 0.2]
    one, other = Pendulum().draw_bodies(rng(), 2)
    swing = gym.PendulumEnv(one)
    assert swing.reset(options={"body": other})[1]["body"] == other.numbers()
    assert swing.reset()[1]["body"] == one.numbers()
    stiff = gym.PendulumEnv(spring=2.0, dead_zone=0.1).reset()[1]["body"]
    assert (stiff["spring"], stiff["dead_zone"]) == (2.0, 0.1)


def test_what_makes_no_sense_is_refused_with_words(gym):
    with pytest.raises(ValueError, match=r"goal must be two finite numbers, \(x, y\); got"):
        gym.NavigationEnv((0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match="body must be one .*; got Body of many"):
        gym.PendulumEnv(Pendulum().draw_bodies(rng(), 2))
    with pytest.raises(ValueError, match="body must be one .*; got dict"):
        gym.PendulumEnv().reset(options={"body": {"mass": 1.0}})
    with pytest.raises(ValueError, match="horizon must be a whole number ≥ 1; got 0"):
        gym.NavigationEnv(horizon=0)
    for environment, action in ((gym.NavigationEnv(), (0.0, 0.0)), (gym.PendulumEnv(), (0.0,))):
        with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
            environment.step(action)
    swing = gym.PendulumEnv()
    swing.reset()
    with pytest.raises(ValueError, match=r"one finite control, \(1,\); got 0.5"):
        swing.step(0.5)
