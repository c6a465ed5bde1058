"""Navigation: the published rules of the walk, and none of a step after the end."""

import doctest

import numpy as np
import pytest

from maml_edu.tasks import Navigation, navigation
from maml_edu.tasks.navigation import ARRIVED, GOALS, LARGEST_MOVE, step_all


def rng(seed=0):
    return np.random.default_rng(seed)


def walk(goals, trajectories=3, horizon=100, gain=1.0):
    """What a policy does that knows the goals and goes straight to them, as fast as it may."""
    to_goal = lambda positions: gain * (goals[:, None] - positions)
    return Navigation(trajectories, horizon).roll_out(to_goal, goals)


def test_the_settings_are_those_of_the_original():
    assert (GOALS, LARGEST_MOVE, ARRIVED) == ((-0.5, 0.5), 0.1, 0.01)
    assert repr(Navigation()) == "Navigation(trajectories=20, horizon=100)"


def test_goals_are_uniform_over_the_square():
    goals = Navigation().draw_goals(rng(), 4000)
    assert goals.shape == (4000, 2) and -0.5 <= goals.min() < -0.49 and 0.49 < goals.max() <= 0.5
    quarters = np.quantile(goals, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(quarters.T, [[-0.25, 0, 0.25]] * 2, atol=0.03)


def test_the_same_seed_gives_the_same_goals_and_the_next_ones_are_others():
    generator = rng(7)
    first, later = (Navigation().draw_goals(generator, 5) for _ in range(2))
    assert np.array_equal(first, Navigation().draw_goals(rng(7), 5))
    assert not np.isin(first, later).any()


def test_actions_are_clipped_per_axis_and_not_by_their_norm():
    actions = np.array([[[0.3, 0.05], [-7.0, 8.0], [0.02, -0.1], [0.1, 0.1]]])
    positions, _, _ = step_all(np.zeros((1, 4, 2)), actions, np.array([[0.4, 0.4]]))
    assert positions.tolist() == [[[0.1, 0.05], [-0.1, 0.1], [0.02, -0.1], [0.1, 0.1]]]


def test_the_reward_is_minus_the_distance_after_the_move():
    positions = rng(1).normal(0, 0.3, (4, 5, 2))
    actions, goals = rng(2).normal(0, 0.1, (4, 5, 2)), rng(3).uniform(-0.5, 0.5, (4, 2))
    moved, rewards, _ = step_all(positions, actions, goals)
    for goal, row, paid in zip(goals, moved, rewards, strict=True):
        np.testing.assert_allclose(paid, [-np.linalg.norm(at - goal) for at in row], rtol=1e-14)


def test_an_episode_is_over_only_when_both_axes_are_near():
    goals, near, far = np.array([[0.3, -0.2]]), 0.0099, 0.0101
    offsets = np.array([[near, near], [-near, near], [near, far], [far, near], [far, -far]])
    _, _, alive = step_all(goals[:, None] + offsets, np.zeros((1, 5, 2)), goals)
    assert alive.tolist() == [[False, False, True, True, True]]


def test_the_step_that_arrives_pays_and_dead_steps_pay_nothing_and_stay():
    goals = np.array([[0.245, 0.0]])
    done = walk(goals, trajectories=1, horizon=6)
    assert done.alive[0, 0].tolist() == [True] * 3 + [False] * 3
    np.testing.assert_allclose(done.rewards[0, 0], [-0.145, -0.045, 0, 0, 0, 0], atol=1e-15)
    restless = Navigation(1, 6).roll_out(lambda positions: np.full((1, 1, 2), [0.08, 0]), goals)
    assert restless.alive[0, 0].tolist() == [True] * 3 + [False] * 3  # 0.24 is near enough
    np.testing.assert_allclose(
        restless.rewards[0, 0], [-0.165, -0.085, -0.005, 0, 0, 0], atol=1e-15
    )
    np.testing.assert_allclose(restless.positions[0, 0, 3:], [[0.24, 0]] * 3)
    np.testing.assert_allclose(restless.returns, [[-0.255]])


def test_a_goal_at_the_start_leaves_every_trajectory_a_step_that_counts():
    done = Navigation(4, 5).roll_out(np.zeros_like, [[0.0, 0.0]])
    assert done.alive.sum(axis=2).tolist() == [[1, 1, 1, 1]]


def test_returns_are_sums_over_the_steps_that_count():
    goals = Navigation().draw_goals(rng(4), 6)
    noise = rng(5)
    done = Navigation(7).roll_out(lambda positions: noise.normal(0, 0.05, positions.shape), goals)
    assert done.positions.shape == done.actions.shape == (6, 7, 100, 2)
    assert done.rewards.shape == done.alive.shape == (6, 7, 100)
    np.testing.assert_allclose(done.returns, np.sum(done.rewards, axis=2, where=done.alive))
    assert (np.diff(done.alive.astype(int), axis=2) <= 0).all()  # nobody comes back to life


def test_actions_are_kept_as_the_policy_gave_them():
    done = walk(np.array([[0.5, -0.5]]), gain=10.0, horizon=2)
    np.testing.assert_allclose(done.actions[0, 0], [[5, -5], [4, -4]])


def test_a_policy_that_knows_the_goal_is_there_within_five_steps():
    done = walk(Navigation().draw_goals(rng(), 50))
    assert done.alive.sum(axis=2).max() <= 5 and done.returns.min() > -2


def test_one_step_of_many_goals_is_each_of_them_alone():
    positions, actions = rng(1).normal(0, 0.3, (2, 5, 4, 2))
    goals, alive = rng(2).uniform(-0.5, 0.5, (5, 2)), rng(3).random((5, 4)) < 0.5
    together = step_all(positions, actions, goals, alive)
    for n in range(5):
        one = slice(n, n + 1)
        alone = step_all(positions[one], actions[one], goals[one], alive[one])
        assert all(np.array_equal(a[one], b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize(
    ("positions", "actions", "goals", "says"),
    [
        (np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((4, 2)), r"positions must be \(goals, traj"),
        (np.zeros((1, 4, 2)), np.zeros((1, 2)), np.zeros((1, 2)), r"actions have shape \(1, 2\), pos"),
        (np.zeros((2, 4, 2)), np.zeros((2, 4, 2)), np.zeros(2), r"goals have shape \(2,\); .*need \(2, 2\)"),
        (np.zeros((2, 4, 2)), np.zeros((2, 4, 2)), np.zeros((1, 2)), "one goal per row"),
        (np.zeros((1, 1, 2)), np.full((1, 1, 2), np.nan), np.zeros((1, 2)), "actions contain NaN"),
    ],
)  # fmt: skip
def test_a_step_whose_parts_do_not_fit_is_refused_with_words(positions, actions, goals, says):
    with pytest.raises(ValueError, match=says):
        step_all(positions, actions, goals)


def test_alive_that_fits_only_by_broadcasting_is_refused():
    with pytest.raises(ValueError, match="alive has shape"):
        step_all(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.zeros((2, 2)), alive=[True] * 3)


@pytest.mark.parametrize("goals", [[0.1, 0.2], np.zeros((0, 2)), [[0.1, np.nan]], [[1, 2, 3]]])
def test_goals_that_are_none_are_refused_with_how_to_write_one(goals):
    with pytest.raises(ValueError, match=r"goals must be finite .* write \[\[x, y\]\]"):
        Navigation(2).roll_out(np.zeros_like, goals)


def test_counts_and_generators_that_make_no_sense_are_refused():
    for name in ("trajectories", "horizon"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number ≥ 1; got 0"):
            Navigation(**{name: 0})
    with pytest.raises(ValueError, match="tasks must be a whole number ≥ 1; got 1.5"):
        Navigation().draw_goals(rng(), 1.5)
    with pytest.raises(ValueError, match=r"such as np\.random\.default_rng"):
        Navigation().draw_goals(0)


def test_the_examples_in_the_docstrings_are_true():
    tried = doctest.testmod(navigation)
    assert tried.attempted and not tried.failed


def test_a_sample_is_noise_and_for_each_trajectory_the_goal():
    batch = Navigation(trajectories=3, horizon=7).sample(rng(4), tasks=5)
    assert batch.support_x.shape == batch.query_x.shape == (5, 3, 7, 2)
    assert batch.support_y.shape == batch.query_y.shape == (5, 3, 2)
    assert np.array_equal(batch.support_y, batch.query_y)
    goals = Navigation().draw_goals(rng(4), 5)
    assert all(np.array_equal(batch.support_y[:, n], goals) for n in range(3))
    assert not np.isin(batch.support_x, batch.query_x).any()
    noise = Navigation(trajectories=50, horizon=40).draw_noise(rng(), 10)
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


@pytest.mark.parametrize("draw", ["sample", "draw_noise", "draw_goals"])
def test_what_is_drawn_wants_a_generator_and_a_number_of_tasks(draw):
    with pytest.raises(ValueError, match="numpy Generator"):
        getattr(Navigation(), draw)(0)
    with pytest.raises(ValueError, match="tasks must be a whole number"):
        getattr(Navigation(), draw)(rng(), 0)
