"""What the figures of chapter 03 show agrees with closed forms and with computations of their own."""

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures import sines
from maml_edu.figures.chapters import many_tasks as shown
from maml_edu.tasks import Sinusoids

WAVE = "height 3.5, phase 2.6"


def small_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 1))


# ---- the average


def test_what_is_left_at_each_x_is_the_variance_of_drawn_waves():
    rng = np.random.default_rng(0)
    height, phase = Sinusoids().draw_waves(rng, 20_000)
    waves = height[:, None] * np.sin(sines.X - phase[:, None])
    np.testing.assert_allclose(shown.left_at(sines.X), waves.var(axis=0), atol=0.15)


def test_the_mean_of_what_is_left_is_the_error_of_the_average_wave():
    middle = (sines.X[1:] + sines.X[:-1]) / 2
    assert np.mean(shown.left_at(middle)) == pytest.approx(sines.error_of_the_average(), abs=2e-3)


def test_the_title_says_how_far_the_networks_are_from_the_average():
    scene = shown.average_scene([sines.average_wave() + 0.3, sines.average_wave()])
    assert "off by 0.3 at most, root mean square" in scene.title
    assert len(scene.curves) == 3


# ---- by hand


def test_the_path_is_gradient_descent_and_its_errors_are_those_of_the_curves():
    params, points = small_net(), shown.on_the_wave([-2.0, 0.5, 3.0], WAVE)
    outputs, support = shown.by_hand(params, points, 0.03, 3)
    x, y = points[:, :1], points[:, 1:]
    for step in range(4):
        np.testing.assert_allclose(outputs[step], ref.mlp(params, sines.X[:, None])[:, 0])
        assert support[step] == pytest.approx(float(ref.mse(params, x, y)))
        slope = ref.grad(ref.mse)(params, x, y)
        params = {name: value - 0.03 * slope[name] for name, value in params.items()}


def test_two_points_are_enough_for_the_two_numbers_and_one_is_not():
    for wave in shown.WAVES:
        two = shown.two_numbers(shown.on_the_wave([-1.0, 2.0], wave))
        assert shown.wave_error(two, wave) == pytest.approx(0, abs=1e-20)
        one = shown.two_numbers(shown.on_the_wave([-1.0], wave))
        assert shown.wave_error(one, wave) > 0.01


def test_the_best_error_is_the_reader_s_own_and_is_kept_for_each_wave():
    figure = figures.fit_by_hand(small_net())
    at_first = figure.scenes[0].title
    assert at_first.count(at_first.split("error ")[1].split(",")[0]) == 2  # now, and the best
    figure.set(alpha=0.06, steps=20)
    figure.set(steps=0)
    before = shown.wave_error(ref.mlp(small_net(), sines.X[:, None])[:, 0], WAVE)
    assert f"error {figures.number(before, 2)}, your best" in figure.scenes[0].title
    figure.set(wave=list(shown.WAVES)[1])
    title = figure.scenes[0].title
    assert title.split("error ")[1].split(",")[0] == title.split("best ")[1]


def test_another_wave_takes_all_points_along_wherever_they_were():
    figure = figures.fit_by_hand(small_net())
    figure.set(points=[[-2.0, 5.0], [1.0, -5.0]])
    other = list(shown.WAVES)[2]
    figure.set(wave=other)
    np.testing.assert_allclose(figure.values["points"], shown.on_the_wave([-2.0, 1.0], other))


def test_points_in_a_corner_are_fitted_and_the_wave_is_not():
    corner = shown.on_the_wave(np.linspace(-4.8, -3.2, 5), WAVE)
    path = shown.by_hand(small_net(), corner, 0.02, 20)
    scene = shown.hand_scenes(path, corner, WAVE, 0.02, True, 1.0)[1]
    assert "on your points, yet" in scene.title
    assert scene.curves[0].y[-1] < scene.curves[1].y[-1] / 3


def test_a_rate_that_blows_up_is_said_and_drawn_inside():
    points = shown.on_the_wave(np.linspace(-4, 4, 9), WAVE)
    path = shown.by_hand(small_net(), points, 50.0, 20)
    left, right = shown.hand_scenes(path, points, WAVE, 50.0, False, 1.0)
    assert "beyond a million" in left.title and "lead away" in right.title
    assert np.isfinite([curve.y for curve in right.curves]).all() and right.as_dict()


def test_a_line_below_the_least_error_is_drawn_above_the_axis_and_says_so():
    points = shown.on_the_wave([-1.0, 2.0], WAVE)
    path = shown.by_hand(small_net(), points, 0.01, 3)
    scene = shown.hand_scenes(path, points, WAVE, 0.01, True, 1.0)[1]
    line = scene.curves[-1]
    assert line.label == "two numbers (0.01 or less)"
    assert min(line.y) == shown.LEAST > scene.ylim[0]


# ---- intervals and leaks


def test_intervals_that_hold_the_truth_are_counted_and_the_others_stand_out():
    scene = shown.intervals_scene("after one step", [1.0, 2.0, 3.0], [0.5, 0.5, 0.2], 2.4)
    assert scene.title.startswith("After one step: 1 of 3")
    holds, misses, _ = scene.curves
    assert misses.role == "high"
    np.testing.assert_allclose(misses.x, [0.5, 1.5, np.nan, 2.8, 3.2, np.nan])
    np.testing.assert_allclose(misses.y, [0, 0, 0, 2, 2, 2])
    np.testing.assert_allclose(holds.x, [1.5, 2.5, np.nan])


def test_a_leak_s_arrow_goes_from_the_honest_error_to_the_reported_one():
    scene = shown.leaks_scene({"one": (0.4, 0.1), "two": (0.2, 0.19)})
    assert "5 to 75 % less" in scene.title
    assert [(a.tail[0], a.head[0]) for a in scene.arrows] == [(0.4, 0.1), (0.2, 0.19)]
