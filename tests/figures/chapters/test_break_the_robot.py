"""What the figure of a robot that breaks shows agrees with the physics, the inner loop and the planner."""

import numpy as np
import pytest

import maml_edu.reference as ref
from maml_edu.figures.chapters import break_the_robot as shown
from maml_edu.tasks.pendulum import Body, inputs, moved, step
from maml_edu.tasks.planning import drive, plan

THETA = ref.mlp_init(np.random.default_rng(0), (4, 16, 16, 2))
NETWORKS = {"MAML": (THETA, 0.05), "pretrained network": (THETA, 0.2)}
ROBOT = Body(*(np.array([v]) for v in (1.0, 1.0, 0.1, 10.0, -1.0)))


def figure(**options):
    return shown.break_the_robot(NETWORKS, **{"seconds": 1.0, "plans": 5} | options)


def states(count=30):
    state = np.random.default_rng(1).uniform(-3, 3, (1, count, 2))
    return state, np.random.default_rng(2).uniform(-1, 1, (1, count))


def test_the_network_predicts_as_the_reference_does_after_its_steps():
    batch, (state, control) = shown._shakes(ROBOT, 4), states()
    loss = lambda p, x, y: np.mean((ref.mlp(p, x) - y) ** 2)
    phi = ref.adapt(loss, THETA, batch.support_x[0], batch.support_y[0], 0.05, 2)
    expected = moved(state, ref.mlp(phi, inputs(state, control)))
    model = shown.model_of("MAML", NETWORKS, ROBOT, batch, 2)
    np.testing.assert_allclose(model(state, control), expected, atol=1e-5)


@pytest.mark.parametrize("name", [shown.LAW, shown.TRUTH])
def test_least_squares_and_the_true_model_predict_as_the_body_moves(name):
    model = shown.model_of(name, NETWORKS, ROBOT, shown._shakes(ROBOT, 0), 0)
    np.testing.assert_allclose(model(*states()), step(*states(), ROBOT), atol=1e-3)


def test_the_heights_are_those_of_a_drive_with_the_true_model():
    scene = figure(plans=9).scenes[1]
    body = shown._body(1.2, 1.1, 9.0, 0.2, True, 0.0)
    rng = np.random.default_rng(0)
    model = lambda state, control: step(state, control, body)
    expected = drive(lambda state: plan(model, state, rng, plans=9)[:, 0], body, 10)
    curve = next(c for c in scene.curves if c.label == "controlled with the true model")
    np.testing.assert_allclose(curve.y, np.cos(expected.states[0, :, 0]))


def test_the_mass_is_where_the_drive_has_it_at_each_time():
    live = figure()
    for time in (0, 3, 10):
        live.set(time=time)
        picture, heights = live.scenes
        mass, height = picture.points[0], heights.points[0]
        assert np.hypot(mass.x, mass.y) == pytest.approx(1.1)
        assert mass.y == pytest.approx(1.1 * height.y) and height.x == pytest.approx(time / 10)


def test_moving_in_time_plans_nothing_and_another_body_does(monkeypatch):
    planned = []
    monkeypatch.setattr(shown, "plan", lambda *a, **k: planned.append(1) or plan(*a, **k))
    live = figure()
    before = len(planned)
    live.set(time=7)
    assert len(planned) == before
    live.set(mass=2.0)
    assert len(planned) == before + 20  # both models, ten steps each


def test_steps_count_for_networks_alone():
    live = figure()
    live.set(model=shown.LAW, k=0)
    title = live.scenes[0].title
    live.set(k=9)
    assert live.scenes[0].title == title and title.startswith("Least squares: ")
    live.set(model="pretrained network")
    assert live.scenes[0].title.startswith("Pretrained network after 9 steps: ")


def test_the_true_model_is_as_good_as_itself():
    live = figure()
    live.set(model=shown.TRUTH)
    assert live.scenes[1].title.endswith("just the same")


def test_a_taut_spring_is_drawn_and_a_slack_one_is_not():
    live = figure()
    drawn = lambda: [c.label for c in live.scenes[0].curves]
    live.set(spring=4.0, time=0)  # the mass hangs, and the nail is at the side
    assert "spring" in drawn()
    live.set(spring=0.0)
    assert "spring" not in drawn()


def test_steps_that_run_away_are_drawn():
    live = shown.break_the_robot({"MAML": (THETA, 1e6)}, seconds=0.5, plans=3)
    live.set(k=10)
    assert "error on other shakes" in " ".join(live.scenes[0].words())
