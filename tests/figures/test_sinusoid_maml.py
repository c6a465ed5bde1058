"""What the figures of chapter 07 show is what MAML does; each has its words."""

from types import SimpleNamespace

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures import sinusoid_maml as sm
from maml_edu.tasks import Sinusoids


def small_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 1))


def evaluation(first, last, seed=0):
    """A stand-in for mt.evaluate's result on 50 tasks and 10 steps."""
    values = np.linspace(first, last, 11) * np.random.default_rng(seed).gamma(4, 0.25, (50, 11))
    ci95 = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(50)
    return SimpleNamespace(values=values, mean=values.mean(axis=0), ci95=ci95)


RESULTS = {5: (evaluation(3, 0.5), evaluation(3, 2)), 10: (evaluation(3, 0.3), evaluation(3, 1.8))}
FALLING, FLAT = np.linspace(4, 0.5, 500), np.full(500, 3.0)
FIGURES = {
    "scrub_adaptation": lambda: figures.scrub_adaptation(small_net(0), small_net(1)),
    "training_curve": lambda: figures.training_curve(FALLING, FLAT),
    "error_against_steps": lambda: figures.error_against_steps(RESULTS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_the_chapter_has_a_title_alt_text_and_a_modest_size(name):
    figure = FIGURES[name]()
    picture = getattr(figure, "twin", figure)
    assert len(picture.title) > 15 and len(picture.alt) > len(picture.title) + 40
    assert picture.png.startswith(b"\x89PNG") and len(picture.png) < 150_000


# ---- the average wave


def test_no_function_of_x_alone_beats_the_error_of_the_average_wave():
    batch = Sinusoids(shots=20).sample(np.random.default_rng(0), tasks=40_000)
    average = -2.55 * (2 / np.pi) * np.cos(batch.support_x)
    errors = np.mean((batch.support_y - average) ** 2, axis=(1, 2))
    assert np.mean(errors) == pytest.approx(sm.error_of_the_average(), abs=0.05)
    for worse in (0.9 * average, average + 0.1, 0 * average):
        assert np.mean((batch.support_y - worse) ** 2) > np.mean(errors)


# ---- scrub the adaptation


def scrub(steps, task=2, shots=6, rates=(0.01, 0.02)):
    networks = ((small_net(0), rates[0]), (small_net(1), rates[1]))
    return sm.scrub_scenes(networks, steps, task, shots)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_the_curves_shown_are_the_networks_after_that_many_steps_each_at_its_rate(steps):
    wave, support = sm.a_task(2, 6)
    shown = {curve.role: curve.y for curve in scrub(steps)[0].curves}
    np.testing.assert_allclose(shown["truth"], wave)
    for role, seed, rate in (("maml", 0, 0.01), ("baseline", 1, 0.02)):
        x, y = support[:, :1], support[:, 1:]
        phi = ref.adapt(ref.mse, small_net(seed), x, y, rate, steps)
        np.testing.assert_allclose(shown[role], ref.mlp(phi, sm.X[:, None])[:, 0], rtol=1e-9)


def test_the_errors_shown_are_those_of_the_curves_shown():
    fit, errors = scrub(3)
    wave, *networks = (curve.y for curve in fit.curves)
    for network, mark in zip(networks, errors.points, strict=True):
        assert mark.x == 3
        assert mark.y == pytest.approx(np.mean((network - wave) ** 2))


def test_support_points_lie_on_the_wave_and_more_shots_keep_the_earlier_ones():
    wave, few = sm.a_task(3, 4)
    _, many = sm.a_task(3, 9)
    np.testing.assert_array_equal(many[:4], few)
    near = np.interp(many[:, 0], sm.X, wave)
    np.testing.assert_allclose(many[:, 1], near, atol=0.01)


def test_tasks_differ_and_are_the_same_every_time():
    waves = np.array([sm.a_task(task, 1)[0] for task in range(1, sm.TASKS + 1)])
    assert len(np.unique(waves.round(6), axis=0)) == sm.TASKS
    np.testing.assert_array_equal(sm.a_task(1, 5)[1], sm.a_task(1, 5)[1])


def test_moving_the_sliders_changes_what_is_seen():
    figure = figures.scrub_adaptation(small_net(0), small_net(1))
    before = [scene.title for scene in figure.scenes]
    figure.set(steps=7, task=4, shots=12)
    assert "After 7 steps" in figure.scenes[0].title and before[0] != figure.scenes[0].title
    assert len(figure.scenes[0].points[0].x) == 12


def test_a_rate_per_number_of_shots_takes_the_nearest_one():
    tuned = {5: 0.0, 10: 0.05}
    figure = figures.scrub_adaptation(small_net(0), small_net(1), 0.01, pretrained_lr=tuned)
    figure.set(shots=6)
    assert np.ptp(figure.scenes[1].curves[2].y) == 0  # a rate of 0 changes nothing
    figure.set(shots=20)
    assert np.ptp(figure.scenes[1].curves[2].y) > 0


# ---- training and evaluation


def test_the_training_curve_is_the_mean_of_the_last_losses():
    losses = np.random.default_rng(0).normal(size=300)
    smooth = sm.running_mean(losses, 50)
    assert smooth.shape == (300,)
    assert smooth[-1] == pytest.approx(losses[-50:].mean())
    assert smooth[149] == pytest.approx(losses[100:150].mean())
    assert smooth[0] == pytest.approx(losses[:12].mean())
    assert sm.running_mean([2.0, 4.0], 50)[-1] == pytest.approx(3.0)


def test_the_training_curve_says_where_it_ends_with_and_without_a_baseline():
    alone, both = sm.training_scene(FALLING), sm.training_scene(FALLING, FLAT)
    assert "pretraining" not in alone.title and "pretraining ends at 3" in both.title
    assert both.ylim[1] > 4


def test_published_values_stand_in_the_panel_of_five_shots_only():
    five, ten = (sm.error_scene(shots, *RESULTS[shots]) for shots in (5, 10))
    assert [list(points.y) for points in five.points] == [[0.67, 0.38, 0.35], [2.41, 2.23, 2.19]]
    assert ten.points == []


def test_bands_are_the_intervals_of_the_means():
    maml, pretrained = RESULTS[5]
    scene = sm.error_scene(5, maml, pretrained)
    for band, curve, result in zip(scene.bands, scene.curves, (maml, pretrained), strict=False):
        np.testing.assert_allclose(curve.y, result.mean)
        np.testing.assert_allclose(band.high - band.low, 2 * result.ci95)
    np.testing.assert_allclose(scene.curves[2].y, np.median(maml.values, axis=0))


def test_one_mark_alone_is_dragged_through_the_steps():
    dragged = [points.drag for points in scrub(3)[1].points if points.drag]
    assert dragged == ["steps"]  # two of one name would move as one mark
