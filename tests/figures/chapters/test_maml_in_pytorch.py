"""What the figures of chapter 08 show is what the broken MAMLs of the lesson do; each has its words."""

import numpy as np
import pytest

import maml_edu.reference as ref
from maml_edu.checks import diagnose_meta_gradient
from maml_edu.figures.chapters import maml_in_pytorch as bh

SETTINGS = [(0.2, 2), (0.05, 1), (0.3, 3)]
THETA = np.array([-1.4, 0.7])
NAMED = {  # suspect → what the checker calls its gradient
    1: "first_order",
    2: "first_order",
    3: "first_order",
    4: "graph_cut",
    5: "support_as_query",
    6: "summed_over_tasks",
}


def suspect(number):
    return bh.SUSPECTS[number - 1]


def diagnosis(step, inner_lr, inner_steps):
    problem = (bh.line_loss, {"theta": THETA}, bh.line_tasks(), inner_lr, inner_steps)
    return diagnose_meta_gradient({"theta": step}, *problem)


def first_order_slope(phi, x, y):
    return ref.grad(bh.line_loss)(phi, x, y)["theta"]


# ---- the numbers


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_right_step_is_the_meta_gradient(settings):
    grads = ref.meta_gradient(bh.line_loss, {"theta": THETA}, bh.line_tasks(), *settings)[1]
    np.testing.assert_allclose(bh.outer_step("right", THETA, *settings), grads["theta"], rtol=1e-10)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_surface_is_the_meta_loss(settings):
    value = ref.meta_loss(bh.line_loss, {"theta": THETA}, bh.line_tasks(), *settings)
    assert bh.meta_loss(*THETA, *settings) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("number", NAMED)
def test_a_suspect_s_step_is_what_the_checker_calls_it(number, settings):
    found = diagnosis(bh.outer_step(suspect(number), THETA, *settings), *settings)
    assert found.mistake == NAMED[number], found


@pytest.mark.parametrize("inner_lr, inner_steps", [(0.2, 2), (0.3, 3)])
def test_a_stale_slope_is_named_from_two_steps_on(inner_lr, inner_steps):
    found = diagnosis(
        bh.outer_step(suspect(7), THETA, inner_lr, inner_steps), inner_lr, inner_steps
    )
    assert found.mistake == "stale_params"
    assert diagnosis(bh.outer_step(suspect(7), THETA, inner_lr, 1), inner_lr, 1).correct


@pytest.mark.parametrize("settings", SETTINGS)
def test_moving_phi_averages_the_tasks_own_updates(settings):
    new = []
    for sx, sy, qx, qy in bh.line_tasks():
        phi = ref.adapt(bh.line_loss, {"theta": THETA}, sx, sy, *settings)
        new.append(phi["theta"] - bh.OUTER_LR * first_order_slope(phi, qx, qy))
    step = (THETA - np.mean(new, axis=0)) / bh.OUTER_LR
    np.testing.assert_allclose(bh.outer_step(suspect(8), THETA, *settings), step, rtol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS)
def test_writing_in_place_starts_each_task_where_the_last_one_ended(settings):
    phi, slopes = {"theta": THETA}, []
    for sx, sy, qx, qy in bh.line_tasks():
        phi = ref.adapt(bh.line_loss, phi, sx, sy, *settings)
        slopes.append(first_order_slope(phi, qx, qy))
    new = phi["theta"] - bh.OUTER_LR * np.mean(slopes, axis=0)
    step = (THETA - new) / bh.OUTER_LR
    np.testing.assert_allclose(bh.outer_step(suspect(9), THETA, *settings), step, rtol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS[:2])
def test_the_star_stands_where_the_meta_gradient_is_zero(settings):
    place = bh._minimum(*settings)
    np.testing.assert_allclose(bh.outer_step("right", place, *settings), 0, atol=1e-9)
    assert bh.meta_loss(*place, *settings) < bh.meta_loss(*(place + 0.1), *settings)


# ---- what the lesson says of it


def first_order_curvature(inner_lr):
    """Eigenvalues of the mean over the tasks of H_Q (I − αH_S): the gradient's derivative, one inner step."""
    batch = bh.line_tasks()
    support, _ = bh.quadratics(batch.support_x, batch.support_y)
    query, _ = bh.quadratics(batch.query_x, batch.query_y)
    return np.linalg.eigvals((query @ (np.eye(2) - inner_lr * support)).mean(axis=0))


def test_at_a_large_rate_the_steepest_task_nearly_cancels_the_others_and_then_outweighs_them():
    batch = bh.line_tasks()
    curvature, _ = bh.quadratics(batch.support_x, batch.support_y)
    assert np.linalg.eigvalsh(0.3 * curvature).max() == pytest.approx(1.4, abs=0.05)
    assert 0 < first_order_curvature(0.3).min() < 0.1 and first_order_curvature(0.2).min() > 0.3
    assert first_order_curvature(0.32).min() > 0 > first_order_curvature(0.33).min()
    right, wrong = (bh.outer_path(name, bh.START, 0.3, 1)[-1] for name in ("right", suspect(1)))
    assert bh.meta_loss(*wrong, 0.3, 1) > 5 * bh.meta_loss(*right, 0.3, 1)


def distance_from_the_star(path, settings):
    return np.linalg.norm(path - bh._minimum(*settings), axis=-1)


@pytest.mark.parametrize("settings", [(0.3, 1), (0.35, 3), (0.35, 5)])
def test_with_an_odd_number_of_steps_first_order_goes_away_from_the_star(settings):
    away = distance_from_the_star(bh.outer_path(suspect(1), bh.START, *settings), settings)
    assert away[-1] > 2 * away[0]


@pytest.mark.parametrize("inner_lr", [0.05, 0.2, 0.3])
def test_with_two_steps_first_order_settles_next_to_the_star(inner_lr):
    settings = (inner_lr, 2)
    away = distance_from_the_star(bh.outer_path(suspect(1), bh.START, *settings), settings)
    assert 0.1 < away[-1] < 0.4 and away[0] > 2.5


def test_a_sum_is_forgiven_at_one_rate_and_flies_off_at_another():
    assert "flies off" in bh.suspect_scenes(suspect(6), 0.05, 1)[0].title
    right, wrong = (bh.outer_path(name, bh.START, 0.2, 1)[-1] for name in ("right", suspect(6)))
    np.testing.assert_allclose(right, wrong, atol=0.01)


def test_with_two_steps_first_order_arrives_at_the_same_rate():
    right, wrong = (bh.outer_path(name, bh.START, 0.3, 2)[-1] for name in ("right", suspect(1)))
    assert bh.meta_loss(*wrong, 0.3, 2) < 1.02 * bh.meta_loss(*right, 0.3, 2)


# ---- bars that are too long


def test_a_bar_is_cut_if_and_only_if_its_step_is_longer_than_the_panel():
    steps = bh.suspect_scenes(suspect(1), 0.2, 2)[1].as_dict()
    cut = {name for name, bar in zip(bh.SUSPECTS, steps["bars"], strict=True) if bar["cut"][0]}
    assert cut == {suspect(8), suspect(9)}


# ---- where the bugs cut


def test_each_suspect_that_cuts_stands_at_the_edges_that_it_cuts():
    """What autograd says: which of the two ways from θ to φ is left, and of which pieces."""
    scene = bh.cut_scene()
    words = {note.text: (note.x, note.y) for note in scene.notes}
    theta, slope, phi = ((p.x, p.y) for p in scene.points[1:4])
    assert theta[0] < words["1"][0] < slope[0] < words["2"][0] < phi[0]
    assert abs(words["4"][0] - theta[0]) < 1 and abs(words["3, 8, 9"][0] - phi[0]) < 1
    marks = scene.points[0]
    straight = [x for x, y in zip(marks.x, marks.y, strict=True) if y == theta[1]]
    upper = [x for x, y in zip(marks.x, marks.y, strict=True) if y > theta[1]]
    assert len(straight) == 2 and len(upper) == 4  # suspects 1 and 2 leave the straight way alone


# ---- six curves


@pytest.fixture(scope="module")
def logs():
    return {bug: bh.training_log(bug, 120, 20) for bug in bh.PROGRAMS.values()}


def test_a_log_of_the_right_program_has_six_curves_of_their_own(logs):
    _, training, validation = logs["right"]
    for log in (training, validation):
        before, support, query = log[-1]
        assert support < query < before
    assert abs(training[-1] - validation[-1]).max() < 0.25 * validation[-1].max()


def test_judged_on_support_the_query_curve_is_the_support_curve(logs):
    for log in logs["judged on support"][1:]:
        np.testing.assert_array_equal(log[:, 1], log[:, 2])


def test_with_an_unused_copy_before_is_after(logs):
    for log in logs["unused copy"][1:]:
        np.testing.assert_array_equal(log[:, 0], log[:, 1])


def test_with_the_same_seed_only_the_tasks_of_training_get_better(logs):
    _, training, validation = logs["same seed"]
    assert validation[-1, 2] > 1.5 * training[-1, 2]


# ---- the words


def test_titles_say_what_is_to_be_seen():
    def titles(number, *settings):
        return [scene.title for scene in bh.suspect_scenes(suspect(number), *settings)]

    assert titles(4, 0.2, 2) == [
        "Suspect 4 never leaves its start (α = 0.2, 2 inner steps)",
        "Suspect 4 has no step at all",
    ]
    assert (
        "nothing to see" in titles(7, 0.2, 1)[0] and "equals the right one" in titles(7, 0.2, 1)[1]
    )
    assert titles(6, 0.2, 2)[1] == "Suspect 6: right direction, 4 times the length"
    for number in (1, 2, 3):
        assert (
            titles(number, 0.2, 2)[1]
            == "Suspects 1, 2 and 3 take the same step: 2 times the length, 26° off the right direction"
        )
    assert titles(5, 0.2, 2)[1] == ("Suspect 5: 0.69 times the length, 17° off the right direction")
    assert "Suspects 1, 2 and 3 all step the wrong way" in titles(1, 0.4, 1)[1]
    assert "even the right gradient" in titles(1, 0.5, 5)[0]


@pytest.mark.parametrize("name", bh.SUSPECTS)
@pytest.mark.parametrize("settings", [(0.0, 1), (0.5, 5), (0.25, 3)])
def test_every_place_of_the_sliders_gives_a_picture(name, settings):
    for theta in (bh.START, (3.0, -2.4)):
        scenes = bh.suspect_scenes(name, *settings, theta)
        assert all(scene.as_dict() for scene in scenes)
