"""What the figures of chapter 13 (a) show agrees with the library's own walks and returns."""

import numpy as np
import pytest
import torch

from maml_edu.figures.chapters import navigation as shown
from maml_edu.pytorch.policy import Policy, PolicyGradient, examples
from maml_edu.tasks.navigation import Trajectories

GOAL = np.array([0.2, -0.1])
RATES = (0.5, 0.1, 0.1)


def learner(seed, hidden=(4,)):
    torch.manual_seed(seed)
    return PolicyGradient(Policy(hidden))


@pytest.fixture(scope="module")
def both():
    return learner(0), learner(1)


def walks(both, trajectories=3):
    noise = shown.draw_noise(0, trajectories)
    return shown.Walks(both[0], shown._both(*both), noise, GOAL, RATES)


def by_hand(ours, trajectories=3):
    """The rounds of one policy, by itself."""
    phi, rounds = ours.for_each_task(1), []
    goals = torch.as_tensor(np.broadcast_to(GOAL, (1, trajectories, 2)).copy()).float()
    for k, noise in enumerate(shown.draw_noise(0, trajectories)):
        if k:
            phi = ours.improved(phi, torch.func.vmap(examples)(rounds[-1]), RATES[k - 1])
        rounds.append(ours.walk(phi, torch.as_tensor(noise[None]).float(), goals))
    return rounds


def test_side_by_side_each_policy_walks_and_learns_as_it_does_alone(both):
    together = walks(both).rounds(3)
    for i, ours in enumerate(both):
        for joint, alone in zip(together, by_hand(ours), strict=True):
            torch.testing.assert_close(joint.positions[i], alone.positions[0])
            torch.testing.assert_close(joint.returns[i], alone.returns[0])


def test_walks_are_computed_when_they_are_asked_for_and_kept(both):
    ours = walks(both)
    (first,) = ours.rounds(0)
    assert len(ours.walked) == 1
    assert ours.rounds(2)[0] is first and len(ours.walked) == 3


def test_titles_tell_the_mean_returns_of_the_walks(both):
    rounds = walks(both).rounds(2)
    maml, pretrained = shown.walk_scenes(rounds, GOAL, (0.5, 0.1), 2)
    for i, scene in enumerate((maml, pretrained)):
        before, after = (shown.number(rounds[k].returns[i].mean(), places=1) for k in (0, 2))
        assert scene.title.endswith(f"0.5, 0.1: return {before}\u00a0→\u00a0{after}")
    assert [curve.role for curve in pretrained.curves] == ["neutral", "path", "baseline"]
    none = shown.walk_scenes(rounds, GOAL, (0.5, 0.1), 0)
    assert "knows no goal" in none[0].title and len(none[0].curves) == 2


def test_a_walk_that_arrives_ends_in_the_goal_and_the_others_at_the_horizon():
    positions = torch.tensor(
        [[[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]], [[0.0, 0.0], [0.2, 0.0], [0.3, 0.0]]]
    )
    alive = torch.tensor([[True, True, False], [True, True, True]])
    walked = Trajectories(positions[None], None, None, alive[None])
    x, y = shown.paths(walked, 0, GOAL)
    nan = np.nan
    np.testing.assert_allclose(x, [0, 0.1, 0.2, nan, 0, 0.2, 0.3, nan], atol=1e-7)
    np.testing.assert_allclose(y, [0, 0, -0.1, nan, 0, 0, 0, nan], atol=1e-7)
    assert shown._arrived(walked, 0) == 1


def test_the_star_is_dragged_and_the_rates_matter(both):
    figure = shown.walk_to_a_goal(*both, trajectories=3)
    before = [scene.title for scene in figure.scenes]
    figure.set(goal=(-0.3, 0.3))
    moved = [scene.title for scene in figure.scenes]
    assert moved != before and "(−0.3, 0.3)" in figure.scenes[0].alt
    figure.set(later=0.5)
    assert [scene.title for scene in figure.scenes] == moved  # one step: the later rate is not used
    figure.set(first=1.0)
    assert [scene.title for scene in figure.scenes] != moved


def test_policies_of_other_shapes_are_refused_in_words(both):
    with pytest.raises(ValueError, match="parameters of the same shapes"):
        shown.walk_to_a_goal(both[0], learner(0, hidden=(5,)))


def test_the_best_rates_are_named():
    scene = shown.rate_scene(
        [0.2, 0.4], {"maml": ("MAML", [-20.0, -11.0]), "baseline": ("b", [-12, -15])}, 0.5
    )
    assert scene.title.endswith("MAML at 0.4, b at 0.2")
    low, high = scene.ylim
    assert low < -20 and high > -11


def test_where_walks_end_is_drawn_over_the_distance_of_the_goal():
    scene = shown.reach_scene([0.2, 0.4], {"maml": ("MAML", [0.4, 0.41])})
    assert "0.40 for a goal at 0.2" in scene.alt
    np.testing.assert_array_equal(scene.curves[1].y, [0.4, 0.41])
