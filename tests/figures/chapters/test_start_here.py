"""What the figures of chapter 00 show agrees with closed forms."""

import numpy as np
import pytest

import maml_edu.reference as ref
from maml_edu.figures import sines
from maml_edu.figures.chapters import start_here as start


def small_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 1))


def test_the_fit_shown_is_one_step_of_gradient_descent():
    params, points = small_net(), start.a_new_sine()
    x, y = points[:, :1], points[:, 1:]
    slope = ref.grad(ref.mse)(params, x, y)
    stepped = {name: value - 0.05 * slope[name] for name, value in params.items()}
    scene = start.fit_scenes(params, params, points, 1, inner_lr=0.05)[0]
    shown = scene.curves[2].y
    np.testing.assert_allclose(shown, ref.mlp(stepped, sines.X[:, None])[:, 0], rtol=1e-12)


def test_no_step_leaves_the_network_as_it_was():
    scene = start.fit_scenes(small_net(), small_net(1), start.a_new_sine(), 0)[1]
    np.testing.assert_array_equal(scene.curves[1].y, scene.curves[2].y)


def test_the_pretrained_network_can_have_its_own_rate():
    one, other = start.fit_scenes(small_net(), small_net(), start.a_new_sine(), 1, 0.05, 0.01)
    assert not np.allclose(one.curves[2].y, other.curves[2].y)


def test_the_nearest_sine_of_points_of_a_sine_is_that_sine():
    shown = start.nearest_sine(start.a_new_sine(amplitude=2.0, phase=1.0))
    np.testing.assert_allclose(shown, 2 * np.sin(sines.X - 1), atol=1e-12)


def test_the_wave_sliders_put_all_points_on_that_wave_wherever_they_were():
    figure = start.fit_a_new_sine(small_net(0), small_net(1))
    x = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.5, 4.9]  # two more than at the start
    figure.set(points=[[place, 5.0] for place in x])
    figure.set(height=2.0)
    figure.set(phase=-1.0)
    shown = figure.scenes[0].points[0]
    np.testing.assert_allclose(shown.x, x)
    np.testing.assert_allclose(shown.y, 2 * np.sin(np.array(x) + 1))


def test_one_point_can_be_moved_off_its_wave_by_hand():
    figure = start.fit_a_new_sine(small_net(0), small_net(1))
    moved = figure.values["points"]
    moved[3] = 0.5, 4.0
    figure.set(points=moved)
    np.testing.assert_allclose(figure.scenes[1].points[0].y, moved[:, 1])


def test_one_point_is_enough_for_a_nearest_wave_and_for_a_step():
    figure = start.fit_a_new_sine(small_net(0), small_net(1))
    figure.set(points=[[1.0, 2.0]])
    wave, _, after = figure.scenes[0].curves
    assert np.interp(1.0, wave.x, wave.y) == pytest.approx(2.0, abs=1e-3)
    assert np.all(np.isfinite(after.y))
