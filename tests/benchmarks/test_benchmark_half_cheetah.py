"""HalfCheetah by policy gradient: a small run as a user starts it, and the simulator against Gymnasium's."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from benchmarks.reproduce import half_cheetah
from maml_edu import places
from maml_edu.pytorch.policy import Policy

SCRIPT = places.course_root() / "benchmarks" / "reproduce" / "half_cheetah.py"
SMALL = "--iterations 2 --goals 2 --trajectories 2 --horizon 10 --episodes 2 --tried 0.1 --hidden 8"
simulates = pytest.mark.skipif(
    not (find_spec("mujoco") and find_spec("gymnasium")),
    reason='needs MuJoCo: pip install "maml_edu[mujoco]"',
)


def run(*options):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, str(SCRIPT), *SMALL.split(), *options]
    done = subprocess.run(line, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@simulates
def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path):
    first, second = (run("--methods", "MAML", "--runs", str(tmp_path)) for _ in range(2))
    assert first[0].startswith("MAML, seed 0: ") and first[1:] == second[1:]
    rows = [line.split("|")[1:-1] for line in first if line.startswith("| ")]
    assert [row[1].strip() for row in rows] == ["0.1", "its own, 0.1"]
    assert all(len(row) == 2 + 4 for row in rows)  # returns after 0 to 3 steps


@simulates
def test_the_other_methods_run_too_with_published_returns_where_the_horizon_is_the_same():
    said = run("--methods", "FOMAML", "pretrained", "untrained", "--horizon", "200")
    assert [line.split()[1] for line in said if "published* |" in line] == [
        "*pretrained,",
        "*untrained,",
    ]
    assert not any("untrained, seed" in line for line in said)


def test_without_mujoco_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(SystemExit, match=r'MuJoCo.* cannot be imported.*"maml_edu\[mujoco\]"'):
        half_cheetah.Simulator()


@pytest.mark.parametrize(
    "line, status, says",
    [("--help", 0, "A task is a direction"), ("--horizon 0", 2, "'0' is no whole number ≥ 1")],
)
def test_the_command_explains_itself(line, status, says, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    monkeypatch.setattr(sys, "argv", ["half_cheetah.py", *line.split()])
    with pytest.raises(SystemExit) as left:
        half_cheetah.main()
    assert left.value.code == status and says in "".join(capsys.readouterr())


# ------------------------------------------------------------------ the simulator


@pytest.fixture(scope="module")
def simulator():
    return half_cheetah.Simulator()


def learner(simulator):
    torch.manual_seed(0)
    policy = Policy((5,), 0.0, half_cheetah.SEES, half_cheetah.MOTORS)
    return half_cheetah.CheetahGradient(policy, simulator)


def walked(simulator, tasks=2, trajectories=3, horizon=30):
    """(noise, goals, what the learner's policy does with them)."""
    family, ours = half_cheetah.HalfCheetah(trajectories, horizon), learner(simulator)
    batch = family.sample(np.random.default_rng(0), tasks)
    noise, goals = (torch.as_tensor(part).float() for part in batch.arrays[:2])
    return noise, goals, ours.walk(ours.for_each_task(tasks), noise, goals)


@simulates
@pytest.mark.filterwarnings("ignore")
def test_trajectories_are_those_of_gymnasiums_half_cheetah(simulator, tmp_path, monkeypatch):
    import gymnasium

    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings into a file where it is
    noise, goals, ours = walked(simulator)
    how = {"frame_skip": 1, "ctrl_cost_weight": half_cheetah.CONTROL_COST}
    for task, way in enumerate(goals[:, 0, 0].tolist()):
        world = gymnasium.make("HalfCheetah-v5", forward_reward_weight=way, **how).unwrapped
        world.reset(seed=0)
        start = simulator.start(noise[task, 0, :3].numpy())[0]
        world.set_state(start[1:10], start[10:])
        for t in range(30):
            action = ours.actions[task, 0, t].clamp(-1, 1).numpy()
            sees, reward, *_ = world.step(action)
            assert float(ours.rewards[task, 0, t]) == pytest.approx(reward, abs=1e-4)
            if t < 29:
                np.testing.assert_allclose(ours.positions[task, 0, t + 1], sees, atol=1e-4)


@simulates
def test_each_task_runs_by_its_own_parameters_and_rewards_its_own_direction(simulator):
    noise, goals, ours = walked(simulator, tasks=4)
    assert set(goals.flatten().tolist()) == {-1, 1} and ours.alive.all()
    cost = 0.05 * (ours.actions.clamp(-1, 1) ** 2).sum(dim=-1)
    opposite = learner(simulator)
    opposite = opposite.walk(opposite.for_each_task(4), noise, -goals)
    torch.testing.assert_close(opposite.actions, ours.actions)  # directions are not seen
    torch.testing.assert_close(opposite.rewards + cost, -(ours.rewards + cost), atol=1e-4, rtol=0)
    one = learner(simulator)
    phi = {
        name: p * torch.tensor([1.0, 1, 1, 2]).view(-1, 1, 1)
        for name, p in one.for_each_task(4).items()
    }
    other = one.walk(phi, noise, goals)
    assert torch.equal(other.actions[:3], ours.actions[:3])
    assert not torch.allclose(other.actions[3], ours.actions[3])


@simulates
def test_threads_change_nothing(simulator):
    states = simulator.start(np.random.default_rng(0).standard_normal((9, 18)))
    actions = np.random.default_rng(1).uniform(-1, 1, (9, 6))
    for one, two in zip(
        simulator.step(states, actions),
        half_cheetah.Simulator(2).step(states, actions),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


@simulates
def test_actions_and_bodies_beyond_numbers_are_refused(simulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings into a file where it is
    states = simulator.start(np.zeros((2, 18)))
    with pytest.raises(FloatingPointError, match="NaN or infinity.*--meta-lr"):
        simulator.step(states, np.full((2, 6), np.nan))
    states[1, 10] = 1e12  # m/s
    with pytest.raises(FloatingPointError, match="lost a body"):
        simulator.step(states, np.zeros((2, 6)))


def test_directions_are_forward_and_backward_alike_and_the_same_in_both_sets():
    family = half_cheetah.HalfCheetah(trajectories=3, horizon=5)
    directions = family.draw_goals(np.random.default_rng(0), 1000)
    assert set(directions.flatten()) == {-1, 1} and abs(directions.mean()) < 0.1
    batch = family.sample(np.random.default_rng(0), 4)
    assert batch.support_x.shape == (4, 3, 3 + 5, 6) and batch.support_y.shape == (4, 3, 1)
    np.testing.assert_array_equal(batch.support_y, batch.query_y)
    assert not np.allclose(batch.support_x, batch.query_x)
