"""The pendulum: its physics obeys the laws it should, and its tasks are what they say."""

import doctest

import numpy as np
import pytest

from maml_edu.tasks import Pendulum, TaskBatch, pendulum
from maml_edu.tasks.pendulum import (
    DAMPING,
    GAIN,
    LENGTH,
    MASS,
    Body,
    energy,
    fit_law,
    inputs,
    moved,
    outputs,
    states_of,
    step,
)

PARTS = ("support_x", "support_y", "query_x", "query_y")


def rng(seed=0):
    return np.random.default_rng(seed)


def body(**parts):
    """A body of 1 kg and 1 m without friction, but for these parts."""
    return Body(**{"mass": 1.0, "length": 1.0, "damping": 0.0, "gain": 10.0, "sign": 1.0} | parts)


def states(count=40, seed=1):
    return rng(seed).uniform([-np.pi, -6], [np.pi, 6], (count, 2))


def drift(substeps, monkeypatch, **parts):
    """By how much the energy (J) changes at most in 2 s without control, of many starts."""
    monkeypatch.setattr(pendulum, "SUBSTEPS", substeps)
    state, at_first = states(), energy(states(), body(**parts))
    changes = []
    for _ in range(20):
        state = step(state, np.zeros(len(state)), body(**parts))
        changes.append(np.abs(energy(state, body(**parts)) - at_first).max())
    return max(changes)


# ------------------------------------------------------------------ a fit for who knows the law


def test_least_squares_finds_any_body_that_obeys_the_law_from_five_transitions():
    bodies = Pendulum().draw_bodies(rng(), 30)
    batch = Pendulum(shots=5, queries=50).sample_from(rng(1), bodies)
    fitted = fit_law(batch.support_x, batch.support_y)
    np.testing.assert_allclose(fitted.length, bodies.length, rtol=1e-3)
    np.testing.assert_array_equal(fitted.sign, bodies.sign)
    turned = bodies.mass * bodies.length**2
    torque = fitted.gain / fitted.length**2
    np.testing.assert_allclose(torque, bodies.gain / turned, rtol=1e-3)
    state, control = states_of(batch.query_x)
    says = outputs(state, step(state, control, fitted))
    np.testing.assert_allclose(says, batch.query_y, atol=2e-3)


def test_a_friction_below_nothing_and_a_weight_below_nothing_are_not_believed():
    batch = Pendulum(shots=8, spring=8.0).sample(rng(2), 5)
    fitted = fit_law(-batch.support_x, batch.support_y)
    assert (fitted.damping >= 0).all() and (fitted.length > 0).all()


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda x, y: (x[0], y[0]), r"x must be \(bodies, n, 4\) and y \(bodies, n, 2\)"),
        (lambda x, y: (x, y[:, :3]), r"their shapes are \(2, 6, 4\) and \(2, 3, 2\)"),
        (lambda x, y: (x * np.nan, y), "must be finite"),
        (lambda x, y: (x[:, :2], y[:, :2]), "2 transitions per body do not tell the law's three"),
        (lambda x, y: (x[:, [0] * 6], y[:, [0] * 6]), "from other states and with other controls"),
    ],
)
def test_transitions_that_tell_too_little_are_refused(change, says):
    batch = Pendulum(shots=6).sample(rng(3), 2)
    with pytest.raises(ValueError, match=says):
        fit_law(*change(batch.support_x, batch.support_y))


def test_states_are_read_back_from_inputs():
    state, control = states(), np.linspace(-1, 1, 40)
    again, same = states_of(inputs(state, control))
    np.testing.assert_allclose(again, state, atol=1e-12)
    np.testing.assert_array_equal(same, control)


# ------------------------------------------------------------------ physics


def test_energy_is_conserved_without_damping_and_control_to_the_order_of_the_integrator(
    monkeypatch,
):
    drifts = [drift(substeps, monkeypatch) for substeps in (2, 4, 8)]
    assert drifts[0] < 0.02  # of some 30 J
    for coarse, fine in zip(drifts, drifts[1:], strict=False):
        assert coarse / fine > 14  # order 4: half the step, a sixteenth of the error


def test_energy_is_conserved_with_a_spring_too(monkeypatch):
    assert drift(2, monkeypatch, spring=8.0) < 0.1
    assert drift(16, monkeypatch, spring=8.0) < 0.002


def test_the_motor_adds_its_torque_times_the_angle_and_damping_takes_away():
    before = states()
    for control, torque in ((0.7, 5.6), (-1.0, -8.0)):
        after = step(before, np.full(len(before), control), body(gain=8.0))
        work = energy(after, body()) - energy(before, body())
        np.testing.assert_allclose(work, torque * (after - before)[:, 0], atol=0.01)
    braked = step(before, np.zeros(len(before)), body(damping=0.5))
    assert (energy(braked, body()) < energy(before, body()) + 1e-3).all()


@pytest.mark.parametrize("length", [0.7, 1.3])
def test_small_swings_have_the_period_of_the_textbook(length):
    period = 2 * np.pi * np.sqrt(length / 9.81)
    state = np.array([np.pi + 0.01, 0.0])
    angles = [state[0]]
    for _ in range(100):
        state = step(state, 0.0, body(length=length, mass=3.0))
        angles.append(state[0])
    expected = np.pi + 0.01 * np.cos(2 * np.pi * 0.1 * np.arange(101) / period)
    np.testing.assert_allclose(angles, expected, atol=1e-4)


def test_an_upright_mass_falls_and_a_hanging_one_stays():
    leaning = step([0.1, 0.0], 0.0, body())
    assert leaning[0] > 0.1 and leaning[1] > 0
    np.testing.assert_allclose(step([np.pi, 0.0], 0.0, body()), [np.pi, 0], atol=1e-12)


def test_turning_the_sign_turns_the_control():
    before, control = states(), rng(2).uniform(-1, 1, 40)
    turned = step(before, control, body(sign=-1.0))
    assert np.array_equal(turned, step(before, -control, body()))
    assert not np.allclose(turned, step(before, control, body()))


def test_controls_beyond_the_motors_reach_are_clipped():
    assert np.array_equal(step([1.0, 2.0], 5.0, body()), step([1.0, 2.0], 1.0, body()))
    assert np.array_equal(step([1.0, 2.0], -5.0, body()), step([1.0, 2.0], -1.0, body()))


def test_in_the_dead_zone_a_control_does_nothing_and_beyond_it_loses_as_much():
    stiff, before = body(dead_zone=0.3), [1.0, 2.0]
    for control, felt in ((0.3, 0), (-0.29, 0), (0.8, 0.5), (-1.0, -0.7)):
        expected = step(before, felt, body())
        np.testing.assert_allclose(step(before, control, stiff), expected, atol=1e-13)


def test_the_spring_pulls_to_its_side_and_is_slack_near_its_nail():
    for angle in (0.0, np.pi, -1.0):
        pulled, free = (step([angle, 0.0], 0.0, body(spring=k))[1] for k in (5.0, 0.0))
        assert (pulled - free) * np.sin(np.pi / 2 - angle) > 0.01
    for angle in (1.0, 2.0):  # within 60 degrees of π/2
        near = np.array([angle, 0.0])
        assert np.array_equal(step(near, 0.0, body(spring=5.0)), step(near, 0.0, body()))


def test_many_bodies_and_plans_at_once_are_each_of_them_alone():
    bodies = Pendulum(spring=3.0, dead_zone=0.1).draw_bodies(rng(), 4)
    before, control = rng(1).normal(0, 3, (4, 6, 2)), rng(2).uniform(-1, 1, (4, 6))
    together = step(before, control, bodies)
    assert together.shape == (4, 6, 2)
    for n in range(4):
        for k in range(6):
            alone = step(before[n, k], control[n, k], bodies[n])
            np.testing.assert_allclose(together[n, k], alone, rtol=1e-13, atol=1e-14)


def test_a_turn_is_counted_and_changes_nothing_else():
    once, again = step([1.0, 5.0], 0.5, body()), step([1.0 + 2 * np.pi, 5.0], 0.5, body())
    np.testing.assert_allclose(again, once + [2 * np.pi, 0], atol=1e-12)


# ------------------------------------------------------------------ tasks


def test_a_batch_has_the_shapes_that_were_asked_for():
    batch = Pendulum(7, 9).sample(rng(), tasks=3)
    assert isinstance(batch, TaskBatch) and len(batch) == 3
    assert batch.support_x.shape == (3, 7, 4) and batch.query_x.shape == (3, 9, 4)
    assert batch.support_y.shape == (3, 7, 2) and batch.query_y.shape == (3, 9, 2)
    assert {getattr(batch, part).dtype for part in PARTS} == {np.dtype(float)}
    assert Pendulum().queries == Pendulum().shots == 20 and Pendulum(5).queries == 5
    shown = "Pendulum(shots=5, queries=5, spring=2.0, dead_zone=0.0)"
    assert repr(Pendulum(5, spring=2)) == shown


def test_the_same_seed_gives_the_same_tasks_and_the_next_batch_is_another():
    first, again = (Pendulum(5).sample(rng(7)) for _ in range(2))
    assert all(np.array_equal(getattr(first, part), getattr(again, part)) for part in PARTS)
    generator = rng(7)
    Pendulum(5).sample(generator)
    assert not np.isin(first.support_x, Pendulum(5).sample(generator).support_x).any()


def test_every_part_of_a_body_varies_over_its_range():
    bodies = Pendulum().draw_bodies(rng(), 4000)
    for name, (low, high) in (
        ("mass", MASS), ("length", LENGTH), ("damping", DAMPING), ("gain", GAIN),
    ):  # fmt: skip
        values = getattr(bodies, name)
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
    assert abs(bodies.sign.mean()) < 0.05 and set(bodies.sign) == {-1, 1}
    assert not bodies.spring.any() and not bodies.dead_zone.any()


def test_y_is_what_the_tasks_own_body_does():
    family = Pendulum(6, 5, spring=4.0, dead_zone=0.2)
    batch = family.sample(rng(3), tasks=8)
    bodies = family.draw_bodies(rng(3), 8)  # what the same generator draws first
    assert (bodies.spring == 4).all() and (bodies.dead_zone == 0.2).all()
    for x, y in ((batch.support_x, batch.support_y), (batch.query_x, batch.query_y)):
        state = np.stack([np.arctan2(x[..., 1], x[..., 0]), 6 * x[..., 2]], axis=-1)
        after = step(state, x[..., 3], bodies)
        np.testing.assert_allclose(moved(state, y), after, atol=1e-12)


def test_inputs_and_outputs_have_a_size_of_about_one():
    batch = Pendulum().sample(rng(), 400)
    assert np.abs(batch.support_x).max() <= 1
    np.testing.assert_allclose(batch.support_y.std(axis=(0, 1)), 1, atol=0.1)


def test_inputs_do_not_count_turns_and_moved_is_the_inverse_of_outputs():
    before, after = states(5, 1), states(5, 2)
    np.testing.assert_allclose(moved(before, outputs(before, after)), after, rtol=1e-12)
    around = inputs(before + [2 * np.pi, 0], np.full(5, 0.3))
    np.testing.assert_allclose(around, inputs(before, np.full(5, 0.3)), atol=1e-12)


def test_bodies_can_be_taken_one_by_one_and_in_part():
    bodies = Pendulum().draw_bodies(rng(), 4)
    assert len(bodies) == 4 and len(bodies[1:3]) == 2 and bodies[2].mass == bodies.mass[2]
    assert bodies[2].numbers()["gain"] == bodies.gain[2]
    with pytest.raises(TypeError, match="this is one body"):
        len(bodies[2])


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"mass": 0.0}, "mass must be finite and above 0; got 0.0"),
        ({"length": -1.0}, "length must be finite and above 0"),
        ({"damping": -0.1}, "damping must be finite and at least 0"),
        ({"gain": np.nan}, "gain must be finite and at least 0; got nan"),
        ({"sign": 0.0}, "sign must be 1 or −1; got 0.0"),
        ({"spring": np.inf}, "spring must be finite"),
        ({"dead_zone": 1.0}, "dead_zone must be at least 0 and below 1; got 1.0"),
        ({"gain": [1.0, 2.0]}, r"gain has shape \(2,\), mass \(\): give one number per body"),
    ],
)
def test_a_body_that_cannot_be_is_refused_with_the_reason(parts, says):
    with pytest.raises(ValueError, match=says):
        body(**parts)


def test_states_that_do_not_fit_are_refused_with_their_shapes():
    with pytest.raises(ValueError, match=r"state must be \(…, 2\) and control \(…\); .*\(4, 3\)"):
        step(np.zeros((4, 3)), np.zeros(4), body())
    with pytest.raises(ValueError, match=r"their shapes are \(4, 2\) and \(3,\)"):
        step(np.zeros((4, 2)), np.zeros(3), body())
    with pytest.raises(ValueError, match="there are 5 bodies; the first axis of the state"):
        step(np.zeros((4, 2)), np.zeros(4), Pendulum().draw_bodies(rng(), 5))
    with pytest.raises(ValueError, match="there are 5 bodies"):
        step(np.zeros(2), 0.0, Pendulum().draw_bodies(rng(), 5))


def test_arguments_that_make_no_sense_are_refused():
    for name in ("shots", "queries"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number ≥ 1; got 0"):
            Pendulum(**{name: 0})
    with pytest.raises(ValueError, match="dead_zone must be at least 0 and below 1; got 2"):
        Pendulum(dead_zone=2)
    with pytest.raises(ValueError, match="tasks must be a whole number ≥ 1"):
        Pendulum().sample(rng(), 0)
    with pytest.raises(ValueError, match=r"such as np\.random\.default_rng"):
        Pendulum().sample(0)


def test_the_examples_in_the_docstrings_are_true():
    tried = doctest.testmod(pendulum)
    assert tried.attempted and not tried.failed
