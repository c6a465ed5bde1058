"""What the figures of chapter 11 show agrees with the reference library and with finite differences."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures.chapters import maml_family as shown
from maml_edu.figures.scene import Scene

THETA = (1.3, 1.7)


def reference_loss(params, x, y):
    """A task's loss as the reference library wants it: x holds the task, y nothing."""
    return shown.loss(shown.Valley(*x[0]), params["x"], params["y"])


BATCH = SimpleNamespace(
    support_x=np.array([[task] for task in shown.TASKS]),
    support_y=np.zeros((2, 1)),
    query_x=np.array([[task] for task in shown.TASKS]),
    query_y=np.zeros((2, 1)),
)


def reference_gradient(alpha, steps, first_order=False, theta=THETA):
    params = {"x": np.array(theta[0]), "y": np.array(theta[1])}
    _, gradient = ref.meta_gradient(reference_loss, params, BATCH, alpha, steps, first_order)
    return np.array([gradient["x"], gradient["y"]], dtype=float)


# ---- the five pulls


@pytest.mark.parametrize("theta", [THETA, (-2.0, -1.5)])
@pytest.mark.parametrize(("alpha", "steps"), [(0.3, 1), (0.3, 4), (0.6, 3), (0.9, 2)])
def test_maml_and_first_order_pull_as_the_reference_says(theta, alpha, steps):
    for name, first_order in (("MAML", False), ("FOMAML", True)):
        expected = -reference_gradient(alpha, steps, first_order, theta)
        found = shown.pull_at(name, shown.Inner(alpha, steps, 1.0), theta)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("alpha", "steps"), [(0.3, 1), (0.3, 4), (0.9, 2)])
def test_reptile_pulls_from_theta_to_the_mean_of_the_adapted_parameters(alpha, steps):
    params = {"x": np.array(THETA[0]), "y": np.array(THETA[1])}
    ends = [
        ref.adapt(reference_loss, params, x, y, alpha, steps)
        for x, y in zip(BATCH.support_x, BATCH.support_y, strict=True)
    ]
    expected = np.mean([[phi["x"], phi["y"]] for phi in ends], axis=0) - THETA
    found = shown.pull_at("Reptile", shown.Inner(alpha, steps, 1.0), THETA)
    np.testing.assert_allclose(found, expected / alpha, rtol=1e-9)


def test_pretraining_is_maml_without_a_step():
    found = shown.pull_at("pretraining", shown.Inner(0.3, 3, 1.0), THETA)
    np.testing.assert_allclose(found, -reference_gradient(0.3, 0), rtol=1e-9)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_implicit_maml_is_the_slope_of_the_loss_at_the_nearby_solution(strength):
    def meta_loss(x, y):
        ends = [shown.nearest_solution(task, (x, y), strength) for task in shown.TASKS]
        return np.mean([shown.loss(t, *e) for t, e in zip(shown.TASKS, ends, strict=True)])

    (x, y), h = THETA, 1e-4
    slope = [
        (meta_loss(x + h, y) - meta_loss(x - h, y)) / (2 * h),
        (meta_loss(x, y + h) - meta_loss(x, y - h)) / (2 * h),
    ]
    found = shown.pull_at("implicit MAML", shown.Inner(0.3, 3, strength), THETA)
    np.testing.assert_allclose(found, -np.array(slope), rtol=1e-5)


@pytest.mark.parametrize("theta", [THETA, (-3.2, -2.6), (0.5, 2.5)])
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_the_nearby_solution_has_no_slope_left_and_curves_upwards(theta, strength):
    for task in shown.TASKS:
        phi = shown.nearest_solution(task, theta, strength)
        slope, (xx, xy, yy) = shown.slope_and_hessian(task, *phi)
        away = strength * np.subtract(phi, theta)
        np.testing.assert_allclose(np.add(slope, away), 0, atol=1e-7)
        assert np.linalg.eigvalsh([[xx + strength, xy], [xy, yy + strength]])[0] > 0


def test_slope_and_hessian_are_those_of_the_loss():
    for task in shown.TASKS:
        loss = partial(shown.loss, task)
        slope = ref.grad(lambda p, loss=loss: loss(p[0], p[1]))
        found, (xx, xy, yy) = shown.slope_and_hessian(task, *THETA)
        np.testing.assert_allclose(found, slope(np.array(THETA)), rtol=1e-9)
        np.testing.assert_allclose(
            [[xx, xy], [xy, yy]], ref.jacobian(slope)(np.array(THETA)), rtol=1e-9
        )


# ---- what the prompts ask


def pulls(alpha=0.3, steps=3, strength=1.0, theta=THETA):
    return {
        name: shown.pull_at(name, shown.Inner(alpha, steps, strength), theta)
        for name in shown.METHODS
    }


def rests(alpha=0.3, steps=3, strength=1.0, theta=THETA):
    fields = {
        name: partial(shown.pull_at, name, shown.Inner(alpha, steps, strength))
        for name in shown.METHODS
    }
    return {
        name: shown.arrived(field, shown.trail(field, theta)[-1]) for name, field in fields.items()
    }


def test_reptile_with_one_step_is_pretraining():
    one = pulls(steps=1)
    np.testing.assert_allclose(one["Reptile"], one["pretraining"], rtol=1e-12)
    assert ["Reptile", "pretraining"] in shown.places_of_rest(rests(steps=1))
    assert "Reptile is pretraining" in shown.pulls_scenes(steps=1)[1].title


def test_first_order_is_pushed_away_beyond_alpha_lambda_1_and_maml_is_not():
    assert shown.angle(pulls(0.6)["FOMAML"], pulls(0.6)["MAML"]) > 90
    assert rests(0.6)["FOMAML"] is None and rests(0.6)["MAML"] is not None
    assert rests(0.3)["FOMAML"] is not None


def test_implicit_maml_goes_over_into_pretraining_as_its_strength_grows():
    ends = [rests(strength=strength) for strength in (1.0, 100.0)]
    far, near = (np.subtract(e["implicit MAML"], e["pretraining"]) for e in ends)
    assert np.linalg.norm(near) < 0.05 < np.linalg.norm(far)


def test_implicit_maml_hardly_pulls_when_its_strength_goes_to_nought():
    long, short = (np.hypot(*pulls(strength=s)["implicit MAML"]) for s in (1.0, 0.01))
    assert short < long / 1000


def test_beyond_alpha_lambda_2_the_meta_gradient_explodes():
    assert np.hypot(*pulls(0.9)["MAML"]) > 100 * np.hypot(*pulls(0.3)["MAML"])


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.6])
def test_at_a_place_of_rest_nothing_pulls(alpha):
    for name, rest in rests(alpha).items():
        if rest is not None:
            pull = shown.pull_at(name, shown.Inner(alpha, 3, 1.0), rest)
            np.testing.assert_allclose(pull, 0, atol=1e-4)


# ---- the live figure


@pytest.mark.parametrize("theta", [(-3.3, 2.7), (0.0, 0.0), (3.3, -2.7), (-1.3, 0.5)])
@pytest.mark.parametrize(
    "settings", [{"alpha": 1.0, "steps": 10}, {"exponent": -2.0}, {"exponent": 2.0}]
)
def test_every_setting_gives_a_picture_with_arrows_of_one_length(theta, settings):
    plane, compass = shown.pulls_scenes(theta, **settings)
    for scene, length in ((plane, shown.ARROW), (compass, 1.0)):
        assert isinstance(scene, Scene) and scene.as_dict()["title"]
        lengths = [np.linalg.norm(np.subtract(a.head, a.tail)) for a in scene.arrows]
        np.testing.assert_allclose(lengths, length, rtol=1e-9)


def test_dragging_theta_moves_the_trails_and_keeps_the_contours():
    figure = figures.where_each_pulls()
    figure.widget  # noqa: B018
    figure.planes[0].moved = {"theta": [[-2.0, -1.5]]}
    plane = figure.scenes[0]
    assert plane.levels is shown.valleys()
    for curve in plane.curves:
        assert (curve.x[0], curve.y[0]) == pytest.approx((-2.0, -1.5))


def test_names_around_the_compass_keep_apart():
    tips = {
        name: (np.cos(t), np.sin(t))
        for name, t in zip("abcde", np.radians([-100, -101, -99, 80, 81]), strict=True)
    }
    places = shown.names_around(tips)
    for side in (1, -1):
        heights = sorted(y for x, y in places.values() if x * side > 0)
        assert np.all(np.diff(heights) > 0.9 * shown.APART)


def test_angles_go_round_the_circle():
    assert shown.angle((1, -0.001), (1, 0.001)) < 1
    assert shown.angle((1, 0), (-1, 0)) == pytest.approx(180)
    assert shown.furthest_apart({"a": (1, 0), "b": (0, 1), "c": (-1, 1)})[1:] == ("a", "c")


# ---- pictures of what was measured


def run(product, diverged=None):
    cosine = np.linspace(0.8, 0.5, len(product))
    return {"iterations": 500 * np.arange(len(product)), "product": product, "cosine": cosine} | {
        "diverged": diverged
    }


def test_the_title_counts_the_runs_that_diverged():
    runs = {"MAML": [run([1, 1.4])], "FOMAML": [run([1, 1.9], 900), run([1, 1.5, 1.8])]}
    scene = shown.curvature_scene(runs)
    assert scene.title == "MAML kept αλmax at 1.40 or below; FOMAML diverged in 1 of 2 runs"
    [mark] = scene.points
    assert (mark.x, mark.y) == (500, 1.9) and "FOMAML at iteration 900" in scene.alt
    assert shown.cosine_scene(runs).xlim == scene.xlim == (0, 1000)


def test_the_title_names_the_least_error_and_the_lowest_price():
    rows = {"MAML": (4, 0.1), "BOIL": (4, 0.101), "FOMAML": (2, 0.2), "Reptile": (5, 0.5)}
    title = shown.frontier_scene(rows).title
    assert title == "Least error: MAML and BOIL (0.1 for 4); cheapest: FOMAML (0.2 for 2)"
    title = shown.frontier_scene({"FOMAML": (4, 0.1), "MAML": (2, 0.2)}).title
    assert title == "Least error: FOMAML (0.1 for 4); cheapest: MAML (0.2 for 2)"


def test_a_median_with_a_dagger_is_drawn_and_does_not_win_the_title():
    scene = shown.frontier_scene({"MAML": (4, 0.1), "Meta-SGD, † 24 %": (4, 0.01)})
    assert scene.title == "Least error: MAML (0.1 for 4)"
    assert any("†" in note.text for note in scene.notes) and len(scene.points) == 2


def test_marks_in_one_place_are_drawn_side_by_side():
    one, other = shown.frontier_scene(
        {"MAML": (4, 0.1), "BOIL": (4, 0.1), "ANIL": (2, 0.3)}
    ).points[:2]
    assert one.x == 4 and 4 < other.x < 4.4 and one.y == other.y
    rows = {"MAML": (4, 0.1, 0.08, 0.2), "BOIL": (4, 0.1, 0.05, 0.12), "ANIL": (2, 0.3, 0.2, 0.4)}
    scene = shown.frontier_scene(rows)
    assert [span.at for span in scene.intervals] == [point.x for point in scene.points]


def test_names_beside_marks_do_not_lie_on_each_other():
    rows = {"MAML K = 1": (4, 0.14), "BOIL": (4, 0.15), "Meta-SGD": (4, 0.12), "ANIL": (4, 0.16)}
    scene = shown.frontier_scene(rows | {"IMAML": (30, 1.0), "pretrained": (1, 2.0)})
    (left, right), (low, high) = scene.xlim, scene.ylim
    boxes = [
        shown._box(
            np.log(note.x / left) / np.log(right / left),
            np.log(note.y / low) / np.log(high / low),
            shown.LETTER * len(note.text),
            note.anchor,
        )
        for note in scene.notes
    ]
    for i, box in enumerate(boxes):
        assert shown._crowding(box, boxes[i + 1 :]) == 0, scene.notes[i].text


def test_the_title_says_how_far_first_order_is_behind_in_every_setting():
    scene = shown.as_good_scene("20-way", {"MAML": (95.8, 0.3), "FOMAML": (89.4, None)})
    lower = shown.as_good_scene("5", {"MAML": (98.7, 0.4), "FOMAML": (98.3, 1), "Reptile": (97, 1)})
    assert lower.title == "5: FOMAML is 0.4 points behind MAML"
    assert scene.title == "20-way: FOMAML is 6.4 points behind MAML"
    assert len(scene.intervals) == 1 and scene.curves[0].x == [95.8, 95.8]


def test_the_slope_is_read_off_where_alpha_is_small():
    alphas = np.geomspace(1e-4, 1, 9)
    scene = shown.taylor_scene(alphas, {"MAML": alphas * (1 + 30 * alphas**2)}, curvature=20.0)
    assert "their slope is 1;" in scene.alt and "A dashed line at α = 0.05" in scene.alt


def test_the_title_says_where_the_first_series_ends():
    alphas = np.geomspace(1e-4, 1, 9)
    ratios = {"FOMAML": 2 * alphas, "MAML": 10 * alphas}
    title = shown.taylor_scene(alphas, ratios, curvature=20.0).title
    assert title == "MAML's series is the first to end, at α = 0.1, αλmax = 2"
    assert "stays smaller" in shown.taylor_scene(alphas, {"MAML": alphas / 2}).title


def test_names_of_one_method_have_one_role():
    roles = [shown.role_of(name) for name in ("MAML, K = 5", "first-order MAML", "ANIL", "IMAML")]
    assert roles == ["maml", "first_order", "before", "implicit"]
