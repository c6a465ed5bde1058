"""What the figures of chapter 06 show agrees with closed forms and with the reference library."""

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures.chapters import many_inner_steps as shown
from maml_edu.figures.scene import Scene

# ---- two tasks: every formula against a program that differentiates


def support_loss(place, task):
    u, w = [sum(axis * (place - shown.SUPPORT_MIN[task])) for axis in shown.own_axes()[task]]
    valley = shown.STEEP * (1 - np.cos(shown.BEND * w)) / shown.BEND**2
    return 0.5 * shown.FLAT * u**2 + valley


def meta_loss(theta, alpha, steps, back=None):
    """The mean query loss after the steps; with `back`, only the last steps have a derivative."""
    losses = []
    for task in (0, 1):
        phi = theta
        for k in range(steps):
            if back is not None and k == steps - back:
                phi = ref.stop_gradient(phi) + theta - ref.stop_gradient(theta)
            phi = phi - alpha * ref.grad(lambda p, task=task: support_loss(p, task))(phi)
        if back == 0:
            phi = ref.stop_gradient(phi) + theta - ref.stop_gradient(theta)
        own = [sum(axis * (phi - shown.SUPPORT_MIN[task])) for axis in shown.own_axes()[task]]
        off = zip(shown.QUERY_H, own, shown.QUERY_OFF[task], strict=True)
        losses.append(sum(0.5 * h * (x - d) ** 2 for h, x, d in off))
    return sum(losses) / 2


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.66, 1.1])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_the_grid_holds_the_meta_loss_of_its_starts(alpha, steps):
    surface = shown.meta_losses(alpha, steps)[-1]
    for row, column in ((0, 0), (45, 45), (20, 77)):
        x = shown.XLIM[0] + column * (shown.XLIM[1] - shown.XLIM[0]) / (shown.SIZE - 1)
        y = shown.YLIM[0] + row * (shown.YLIM[1] - shown.YLIM[0]) / (shown.SIZE - 1)
        assert surface[row, column] == pytest.approx(
            float(meta_loss(np.array([x, y]), alpha, steps)), abs=1e-9
        )


@pytest.mark.parametrize("alpha", [0.3, 0.66, 1.1])
@pytest.mark.parametrize(("steps", "back"), [(1, 1), (5, 5), (5, 2), (5, 0), (0, 0)])
def test_the_arrows_are_the_meta_gradient_and_its_truncation(alpha, steps, back):
    theta = np.array([2.3, 1.6])
    path = shown.paths(theta, alpha, steps)
    expected = ref.grad(lambda t: meta_loss(t, alpha, steps, back))(theta)
    np.testing.assert_allclose(shown.walked_back(path, alpha, back), expected, rtol=1e-9)


def test_own_axes_and_plane_are_inverse_to_each_other():
    theta = np.array([0.7, -1.1])
    np.testing.assert_allclose(shown.to_plane(shown.to_own(theta)), [theta, theta], atol=1e-12)


# ---- the star


def test_without_a_step_the_star_is_where_the_mean_query_loss_is_least():
    axes = shown.own_axes()
    bowls = np.einsum("tij,i,tik->tjk", axes, shown.QUERY_H, axes)  # (tasks, 2, 2)
    minima = shown.to_plane(shown.QUERY_OFF)
    least = np.linalg.solve(bowls.sum(0), np.einsum("tij,tj->i", bowls, minima))
    np.testing.assert_allclose(shown.star_of(shown.meta_losses(0.3, 0)[0])[0], least, atol=0.02)


@pytest.mark.parametrize("steps", [8, 20])
def test_the_star_goes_where_both_flat_directions_are_right(steps):
    flat = shown.own_axes()[:, 0]  # (tasks, 2)
    wanted = shown.QUERY_OFF[:, 0] / (1 - 0.3 * shown.FLAT) ** steps
    both_right = np.linalg.solve(flat, wanted + np.sum(flat * shown.SUPPORT_MIN, axis=1))
    star, _ = shown.star_of(shown.meta_losses(0.3, steps)[-1])
    np.testing.assert_allclose(star, both_right, atol=0.02)


def test_the_star_s_way_is_drawn_from_no_step_on_and_ends_at_the_star():
    scene = shown.star_scene(steps=8)
    way = scene.curves[0]
    assert len(way.x) == 9
    assert (way.x[-1], way.y[-1]) == (scene.points[0].x, scene.points[0].y)


# ---- the edge


@pytest.mark.parametrize(
    ("alpha", "says"),
    [(0.56, "one basin"), (0.58, "terraces"), (0.98, "terraces"), (1.1, "shattered")],
)
def test_the_title_says_what_has_become_of_the_basin(alpha, says):
    assert says in shown.star_scene(alpha=alpha, steps=20).title


@pytest.mark.parametrize(("alpha", "arrives"), [(0.54, True), (0.6, False)])
def test_the_paths_arrive_in_the_valley_below_the_limit_only(alpha, arrives):
    path = shown.paths((2.3, 1.6), alpha, 400)
    assert np.all(np.abs(path[-1][:, 1]) < 1e-6) == arrives


def test_two_starts_that_differ_by_a_hair_part_beyond_chaos_only():
    for alpha, part in ((0.66, False), (0.98, False), (1.1, True)):
        ends = [shown.paths((2.3 + hair, 1.6), alpha, 60)[-1] for hair in (0, 1e-9)]
        assert (np.abs(ends[0] - ends[1]).max() > 1e-3) == part, alpha


@pytest.mark.parametrize("theta", [(-3.2, 2.6), (0.0, 0.0), (3.2, -2.6)])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.2])
def test_arrows_keep_their_ratio_and_stay_short_at_every_setting(theta, alpha):
    scene = shown.star_scene(theta, steps=12, alpha=alpha, back=3)
    assert isinstance(scene, Scene) and scene.as_dict()["title"]
    cut, full = (np.subtract(arrow.head, arrow.tail) for arrow in scene.arrows)
    assert max(np.linalg.norm(cut), np.linalg.norm(full)) <= shown.LONGEST + 1e-9
    path = shown.paths(theta, alpha, 12)
    right = [-shown.walked_back(path, alpha, n) for n in (3, 12)]
    ratio = np.linalg.norm(right[0]) / np.linalg.norm(right[1])
    assert np.linalg.norm(cut) / np.linalg.norm(full) == pytest.approx(ratio, rel=1e-9)
    for push, arrow in zip(right, scene.arrows, strict=True):
        inside = np.all(np.abs(arrow.head) <= (shown.XLIM[1], shown.YLIM[1]))
        assert inside or np.linalg.norm(np.subtract(arrow.head, arrow.tail)) <= shown.SHORT + 1e-9
        if np.linalg.norm(push) > 1.001 * shown.LONGEST:
            assert any("of their length" in note.text for note in scene.notes)


def test_dragging_theta_moves_both_paths_and_leaves_the_star():
    figure = figures.wandering_star()
    figure.widget  # noqa: B018
    star = figure.scenes[0].points[0]
    figure.planes[0].moved = {"theta": [[0.5, -0.4]]}
    np.testing.assert_allclose(figure.values["theta"], [0.5, -0.4])
    scene = figure.scenes[0]
    assert (scene.points[0].x, scene.points[0].y) == (star.x, star.y)
    for curve in scene.curves[1:]:
        assert (curve.x[0], curve.y[0]) == pytest.approx((0.5, -0.4))


# ---- the other pictures


def test_the_titles_of_the_walk_say_what_the_curves_do():
    walk = shown.walk_scene(
        {"α = 0.01": np.array([[2.0, 1.0], [4.0, 2.0]]), "α = 1": np.ones((2, 2))}
    )
    assert "×\u00a00.5 at α = 0.01 and ×\u00a01 at α = 1" in walk.title
    cosines = {"α = 0.01": np.linspace(0, 1, 21), "α = 1": np.linspace(0, 0.2, 21)}
    assert "cosine 0.5 at α = 0.01, 0.1 at α = 1" in shown.truncation_scene(cosines).title


def test_rates_and_products_share_their_iterations_and_say_their_range():
    runs = {"a": [[0, 0.001, 0.1], [500, 0.02, 1.2]], "b": [[0, 0.03, 0.5], [500, 0.01, 1.4]]}
    rates, products = shown.rates_scene(runs), shown.products_scene(runs)
    assert (
        "αλmax from iteration 500 on: between 1.2 and 1.4" in products.title
        and "0.01" in rates.title
    )
    for scene in (rates, products):
        np.testing.assert_array_equal(scene.curves[1].x, [0, 500])


def test_the_best_size_is_said_in_the_title():
    scene = shown.memory_scene([1, 4, 16], [30.0, 21.0, 31.0], [29.0, 20.0, 29.0])
    assert scene.title == "Segments of 4 steps need the least: 21 sets; segments of 1 need 30"
