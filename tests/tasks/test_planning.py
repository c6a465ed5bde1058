"""Planning: a good model swings the pendulum up, a wrong one does not, and nothing is executed but the plan."""

import doctest

import numpy as np
import pytest

from maml_edu.tasks import Pendulum, planning
from maml_edu.tasks.pendulum import Body, step
from maml_edu.tasks.planning import HANGING, UPRIGHT, cost, drive, plan


def rng(seed=0):
    return np.random.default_rng(seed)


def controlled(bodies, model, seed=0, **options):
    """Model-predictive control of these bodies."""
    generator = rng(seed)
    return drive(lambda state: plan(model, state, generator)[:, 0], bodies, **options)


def physics(bodies):
    return lambda state, control: step(state, control, bodies)


def test_the_true_model_swings_the_pendulum_up_and_keeps_it_there():
    bodies = Pendulum().draw_bodies(rng(), 3)
    done = controlled(bodies, physics(bodies))
    assert done.states.shape == (3, 81, 2) and done.controls.shape == done.costs.shape == (3, 80)
    assert done.returns.mean() > -35 and done.upright.mean() > 0.7
    assert (np.cos(done.states[:, -10:, 0]) > UPRIGHT).all()


def test_a_model_whose_sign_is_wrong_does_not():
    bodies = Pendulum().draw_bodies(rng(), 2)
    turned = Body(**vars(bodies) | {"sign": -bodies.sign})
    done = controlled(bodies, physics(turned), steps=40)
    assert done.upright.mean() < 0.3


def test_what_was_driven_is_what_the_bodies_did():
    bodies = Pendulum().draw_bodies(rng(), 3)
    done = drive(lambda state: np.array([0.5, -3.0, 0.0]), bodies, steps=5)
    assert (done.states[:, 0] == HANGING).all()
    assert (done.controls == [[0.5], [-1], [0]]).all()  # clipped
    for t in range(5):
        after = step(done.states[:, t], done.controls[:, t], bodies)
        assert np.array_equal(after, done.states[:, t + 1])
        assert np.array_equal(done.costs[:, t], cost(after, done.controls[:, t]))
    np.testing.assert_allclose(done.returns, -done.costs.sum(axis=1))


def test_the_cost_is_least_upright_and_at_rest_however_many_turns_were_made():
    assert cost(np.zeros(2), 0.0) == 0
    np.testing.assert_allclose(cost(np.array([[np.pi, 0], [-3 * np.pi, 0]]), 0.0), 2)
    np.testing.assert_allclose(cost(np.array([2 * np.pi, 3.0]), 0.5), 0.09 + 0.00025)


def test_the_plan_that_the_model_finds_cheapest_is_returned():
    state = np.zeros((2, 2))
    near = lambda state, control: np.stack([control, control], axis=-1)  # goes where it is told
    to_half = lambda state, control: (state[..., 0] - np.array([[0.5], [-0.5]])) ** 2
    best = plan(near, state, rng(), plans=400, horizon=2, hold=2, cost=to_half)
    assert best.shape == (2, 2)
    np.testing.assert_allclose(best, [[0.5, 0.5], [-0.5, -0.5]], atol=0.02)


def test_a_plan_keeps_each_control_for_as_long_as_it_should():
    best = plan(lambda state, control: state, np.zeros((3, 2)), rng(), horizon=8, hold=3)
    assert best.shape == (3, 8) and (np.abs(best) <= 1).all()
    for n in range(3):
        assert len(set(best[n, :3])) == len(set(best[n, 3:6])) == len(set(best[n, 6:])) == 1
        assert len(set(best[n])) == 3


def test_the_same_seed_gives_the_same_plan():
    bodies = Pendulum().draw_bodies(rng(), 2)
    state = np.array([HANGING] * 2)
    one, same, other = (plan(physics(bodies), state, rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.filterwarnings("error")
def test_plans_on_which_a_model_runs_away_are_left_out_without_a_warning():
    def model(state, control):
        angle = np.where(control > 0.5, np.nan, state[..., 0])
        return np.stack([angle, state[..., 1] + 1e200 * (control < -0.5)], axis=-1)

    best = plan(model, np.zeros((2, 2)), rng(), plans=400, horizon=2, hold=1)
    assert (np.abs(best) <= 0.5).all()
    never = plan(lambda state, control: state + np.nan, np.zeros((2, 2)), rng())
    assert np.isfinite(never).all()


def test_what_cannot_be_planned_is_refused_with_words():
    stay = lambda state, control: state
    with pytest.raises(ValueError, match=r"state must be \(bodies, 2\): ψ and ω; its shape is \(2"):
        plan(stay, np.zeros(2), rng())
    with pytest.raises(ValueError, match=r"model must return states .*\(1, 128, 2\); it returned"):
        plan(lambda state, control: state[..., 0], np.zeros((1, 2)), rng())
    with pytest.raises(ValueError, match=r"such as np\.random\.default_rng"):
        plan(stay, np.zeros((1, 2)), None)
    for name in ("plans", "horizon", "hold"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number ≥ 1; got 0"):
            plan(stay, np.zeros((1, 2)), rng(), **{name: 0})


@pytest.mark.parametrize("control", [0.5, np.zeros(3), np.zeros((2, 12)), np.full(2, np.nan)])
def test_a_controller_must_return_one_finite_control_per_body(control):
    bodies = Pendulum().draw_bodies(rng(), 2)
    with pytest.raises(ValueError, match="must return 2 finite controls, one per body; it ret"):
        drive(lambda state: control, bodies)


def test_the_examples_in_the_docstrings_are_true():
    tried = doctest.testmod(planning)
    assert tried.attempted and not tried.failed
