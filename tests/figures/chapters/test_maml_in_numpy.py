"""What the figures of chapter 07 show is what MAML does; each has its words."""

from types import SimpleNamespace

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures.chapters import maml_in_numpy as sm
from maml_edu.figures.sines import X


def small_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 1))


def evaluation(first, last, seed=0, away=0.0):
    """A stand-in for mt.evaluate's result on 50 tasks and 10 steps; with runaways no mean is to be trusted."""
    values = np.linspace(first, last, 11) * np.random.default_rng(seed).gamma(4, 0.25, (50, 11))
    median, half = np.median(values, axis=0), values.std(axis=0, ddof=1) / np.sqrt(50)
    return SimpleNamespace(
        median=median,
        median_ci95=np.array([0.8 * median, 1.3 * median]),
        mean=values.mean(axis=0),
        ci95=1.96 * half,
        runaways=np.full(11, away),
        trust=("mean",) * 5 + ("median" if away else "mean",) * 6,
    )


ROWS = [
    ("maml", "MAML, 10 shots", evaluation(3, 0.5, away=0.02)),
    ("low", "MAML, 5 shots", evaluation(3, 0.4)),
    ("baseline", "pretrained", evaluation(3, 2)),
]
FALLING, FLAT = np.linspace(4, 0.5, 500), np.full(500, 3.0)

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
        np.testing.assert_allclose(shown[role], ref.mlp(phi, X[:, None])[:, 0], rtol=1e-9)


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
    near = np.interp(many[:, 0], X, wave)
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
    assert smooth.shape == (251,)
    assert smooth[-1] == pytest.approx(losses[-50:].mean())
    assert smooth[100] == pytest.approx(losses[100:150].mean())
    assert smooth[0] == pytest.approx(losses[:50].mean())
    np.testing.assert_allclose(sm.running_mean([2.0, 4.0], 50), [3.0])


def test_the_training_curve_begins_where_its_first_window_ends():
    curve = sm.training_scene(FALLING, window=40).curves[0]
    assert (curve.x[0], curve.x[-1], len(curve.x)) == (40, len(FALLING), len(curve.y))
    assert "(mean of the first 40)" in sm.training_scene(FALLING, window=40).title
    assert "(mean of the first 500)" in sm.training_scene(FALLING, window=1000).title


def test_the_training_curve_says_where_it_ends_with_and_without_a_baseline():
    alone, both = sm.training_scene(FALLING), sm.training_scene(FALLING, FLAT)
    assert "pretraining" not in alone.title and "pretraining ends at 3.00" in both.title
    assert both.title not in both.alt  # it is read out before the alternative text
    assert both.ylim[1] > 4


def test_published_means_stand_with_the_means_of_five_shots_only():
    five, ten = (sm.mean_scene(shots, ROWS) for shots in (5, 10))
    assert [list(points.y) for points in five.points] == [[0.67, 0.38, 0.35], [2.41, 2.23, 2.19]]
    assert ten.points == [] and sm.median_scene(5, ROWS).points == []


def test_all_three_networks_are_drawn_and_medians_have_their_intervals():
    scene = sm.median_scene(5, ROWS)
    assert [curve.role for curve in scene.curves] == ["maml", "low", "baseline"]
    for band, curve, (_, _, result) in zip(scene.bands, scene.curves, ROWS, strict=True):
        np.testing.assert_allclose(curve.y, result.median)
        np.testing.assert_allclose([band.low, band.high], result.median_ci95)


def test_a_mean_has_a_band_only_where_its_interval_holds():
    scene = sm.mean_scene(5, ROWS)
    assert "2.0 % run away (MAML, 10 shots)" in scene.title
    wild, tame, _ = scene.bands
    np.testing.assert_allclose(wild.high[:5] - wild.low[:5], 2 * ROWS[0][2].ci95[:5])
    assert np.isnan(wild.high[5:]).all() and np.isfinite(tame.high).all()


def test_means_are_compared_in_the_title_where_no_wave_runs_away():
    tame = [("maml", "MAML", evaluation(0, 0.1)), ("baseline", "pretrained", evaluation(2, 0.3))]
    ends = [f"{result.mean[-1]:.2f}" for _, _, result in tame]
    assert (
        sm.mean_scene(10, tame).title
        == f"10 shots: mean {ends[0]} against {ends[1]} after 10 steps"
    )


def test_a_mean_that_ran_away_does_not_flatten_the_axis():
    far = evaluation(3, 0.5, away=0.02)
    far.mean[6:] = [1e3, 1e6, np.inf, np.nan, np.nan]
    low, high = sm._error_limits([far, evaluation(3, 0.1)])
    assert 0 < low < 0.2 and 3 < high < 20


# ---- what the start has


def test_the_answer_is_that_of_a_step_on_ten_points_of_which_nine_lie_on_the_curve():
    params, rate, place, pull = small_net(), 0.05, 1.2, 2.0
    x = np.append(np.linspace(-4, 4, 9), place)[:, None]
    y = ref.mlp(params, x)
    y[-1] += pull
    phi = ref.adapt(ref.mse, params, x, y, rate, 1)
    change = ref.mlp(phi, X[:, None]) - ref.mlp(params, X[:, None])
    np.testing.assert_allclose(
        sm.answer_to_a_pull(params, rate, place, pull), change[:, 0], atol=1e-12
    )


def test_a_wave_is_like_a_wave_and_a_wave_in_between_is_not():
    assert sm.likeness_to_a_wave(0.3 * np.cos(X - 1.0), 1.0) == pytest.approx(1)
    assert abs(sm.likeness_to_a_wave(np.sin(X - 1.0), 1.0)) < 0.15


def test_the_pulled_point_is_drawn_where_it_is_and_can_be_dragged():
    scene = sm.start_scene("baseline", small_net(), 0.01, 1.0, 2.0)
    (point,) = scene.points
    assert (point.x, point.y, point.drag) == (1.0, 2.0, "place")


def test_the_first_wave_to_scrub_is_a_typical_one():
    task = sm.typical_task(small_net(), 0.01, 5)
    errors = []
    for number in range(1, sm.TASKS + 1):
        wave, support = sm.a_task(number, 5)
        path = sm.adaptation(small_net(), support, 0.01, 10)[[0, 1, 10]]
        errors.append(np.mean((path - wave) ** 2, axis=1))
    low, high = np.quantile(errors, [0.15, 0.85], axis=0)
    assert np.all((low < errors[task - 1]) & (errors[task - 1] < high))


def test_one_mark_alone_is_dragged_through_the_steps():
    dragged = [points.drag for points in scrub(3)[1].points if points.drag]
    assert dragged == ["steps"]  # two of one name would move as one mark
