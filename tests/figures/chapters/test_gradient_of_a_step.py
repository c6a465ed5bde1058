"""What the figures of chapter 04 show agrees with closed forms."""

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures.chapters import gradient_of_a_step as shown
from maml_edu.figures.scene import Scene

# ---- two arrows


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 1.4])
@pytest.mark.parametrize("a", [-0.5, 0.0, 1.2])
def test_the_meta_gradient_arrow_is_the_slope_of_the_query_loss_after_a_step(alpha, a):
    def after(theta):
        return shown.loss(shown.step(theta, 0.5, a, alpha), -0.4, shown.B)

    meta, _ = shown.slopes(2.0, 0.5, a, -0.4, alpha)
    assert meta == pytest.approx((after(2 + 1e-6) - after(2 - 1e-6)) / 2e-6, abs=1e-8)
    np.testing.assert_allclose(meta, ref.grad(after)(np.array(2.0)), atol=1e-12)


def pushes(scene):
    return [arrow.head[0] - arrow.tail[0] for arrow in scene.arrows[1:]]


@pytest.mark.parametrize(("alpha", "a", "same"), [(0.4, 1, True), (1.4, 1, False), (1, -0.5, True)])
def test_the_arrows_part_when_the_step_overshoots(alpha, a, same):
    scene = shown.arrows_scene(alpha, a)
    meta, first_order = pushes(scene)
    assert (meta * first_order > 0) == same and ("wrong way" in scene.title) != same
    assert (abs(meta) > abs(first_order)) == (abs(1 - alpha * a) > 1)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("a", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("theta", [-3.5, 0.0, 3.5])
def test_arrows_keep_their_ratio_and_stay_inside_at_every_setting(alpha, a, theta):
    scene = shown.arrows_scene(alpha, a, theta)
    assert isinstance(scene, Scene) and scene.as_dict()["title"]
    assert all(abs(arrow.head[0]) <= shown.EDGE for arrow in scene.arrows[1:])
    meta, first_order = shown.slopes(theta, 0.0, a, 0.6, alpha)
    scale = shown._scale(theta, (meta, first_order))
    np.testing.assert_allclose(pushes(scene), [-scale * meta, -scale * first_order], atol=1e-12)
    assert (scale < 1) == any("of their length" in note.text for note in scene.notes)


def test_the_arrows_of_two_curvatures_are_drawn_at_full_length():
    for a in (0.5, 1.8):
        meta, first_order = shown.slopes(2.3, 0.0, a, -2.0, 0.8)
        assert shown._scale(2.3, (meta, first_order)) == 1


@pytest.mark.parametrize("alpha", np.linspace(0.05, 1.5, 30))
def test_with_d_at_minus_2_only_the_meta_arrow_turns_and_at_1(alpha):
    """What the lesson lets its readers find."""
    meta, first_order = shown.slopes(2.5, 0.0, 1.0, -2.0, alpha)
    assert first_order > 0 and np.sign(meta) == np.sign(np.round(1 - alpha, 9))


def test_every_mark_is_in_the_legend_and_a_raised_parabola_says_so():
    scene = shown.arrows_scene(a=-0.5)
    assert all(mark.label for mark in scene.points)
    assert any(curve.label == "support loss L_S + 5" for curve in scene.curves)
    assert all("+ 5" not in curve.label for curve in shown.arrows_scene(a=0.5).curves)


def test_both_arrows_vanish_where_the_step_lands_on_the_query_s_minimum():
    scene = shown.arrows_scene(alpha=0.4, a=1.0, theta=1.0, d=0.6)
    np.testing.assert_allclose(pushes(scene), 0, atol=1e-12)
    assert "both gradients vanish" in scene.title


def test_dragging_theta_moves_its_slider():
    figure = figures.two_arrows()
    figure.widget  # noqa: B018
    figure.planes[0].moved = {"theta": [[-1.04, 0.3]]}
    assert figure.controls["theta"].value == pytest.approx(-1.0)


def test_the_meta_loss_picture_touches_with_the_meta_gradient():
    scene = shown.meta_loss_scene(alpha=1.4)
    tangent = next(c for c in scene.curves if c.role == "maml")
    slope = (tangent.y[1] - tangent.y[0]) / (tangent.x[1] - tangent.x[0])
    assert slope == pytest.approx(shown.slopes(2.5, 0.0, 1.0, 0.6, 1.4)[0])


# ---- two tasks


def mean_query_loss(theta, alpha, steep):
    phi = shown.adapted(theta, alpha, steep) - shown.QUERY_MIN
    return np.einsum("ti,tij,tj->", phi, shown.QUERY_H, phi) / 4


@pytest.mark.parametrize("steep", [-0.6, 0.0, 1.6])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_push_in_the_plane_is_the_slope_of_the_mean_query_loss_after_a_step(alpha, steep):
    theta, h = np.array([0.7, -1.1]), 1e-6
    measured = [
        (
            mean_query_loss(theta + h * e, alpha, steep)
            - mean_query_loss(theta - h * e, alpha, steep)
        )
        / (2 * h)
        for e in np.eye(2)
    ]
    meta, first = shown.gradients(theta, alpha, steep)
    np.testing.assert_allclose(meta.mean(axis=0), measured, atol=1e-8)
    scene = shown.two_tasks_scenes(theta, alpha, steep)[0]
    for arrow, push in zip(scene.arrows[2:], (meta, first), strict=True):
        np.testing.assert_allclose(arrow.head, theta - push.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize(("alpha", "says"), [(0.3, "0.52"), (0.625, "line"), (1.0, "reversed")])
def test_the_ellipse_has_the_factors_as_half_axes(alpha, says):
    scene = shown.two_tasks_scenes(alpha=alpha)[1]
    radii = np.linalg.norm([scene.curves[1].x, scene.curves[1].y], axis=0)
    assert radii.max() == pytest.approx(1 - alpha * shown.FLAT, abs=1e-3)
    assert radii.min() == pytest.approx(abs(1 - alpha * 1.6), abs=1e-3)
    assert says in scene.title


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_a_start_moved_along_the_steep_direction_moves_phi_by_the_factor(alpha):
    along = shown._direction(shown.STEEP)
    moved = shown.adapted(along, alpha, 1.6)[0] - shown.adapted(np.zeros(2), alpha, 1.6)[0]
    np.testing.assert_allclose(moved, (1 - alpha * 1.6) * along, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_no_eigenvector_lies_under_an_arrow_in_the_printed_picture(alpha):
    scene = shown.two_tasks_scenes(alpha=alpha)[1]
    for line in scene.curves[2:]:
        for arrow in scene.arrows:
            assert shown._angle(np.array([line.x[1], line.y[1]]), np.array(arrow.head)) > 10


def test_maml_s_resting_place_is_said_and_first_order_still_pushes_there():
    title = shown.two_tasks_scenes(theta=(-0.735, 0.17), alpha=1.0)[0].title
    assert title.startswith("α = 1: MAML rests here") and "0.33 long" in title


def test_dragging_theta_moves_both_landing_points_and_the_factors_vector():
    figure = figures.two_tasks()
    figure.widget  # noqa: B018
    before = figure.planes[1].scene["arrows"]
    figure.planes[0].moved = {"theta": [[0.5, -0.4]]}
    np.testing.assert_allclose(figure.values["theta"], [0.5, -0.4])
    landed = figure.scenes[0].points[0]
    np.testing.assert_allclose(
        np.transpose([landed.x, landed.y]), shown.adapted(np.array([0.5, -0.4]), 0.3, 1.6)
    )
    assert figure.planes[1].scene["arrows"] != before
