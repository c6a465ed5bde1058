"""What the figures of chapter 01 show agrees with closed forms."""

import numpy as np
import pytest

from maml_edu.figures.chapters import gradient_descent as descent


def test_descent_follows_its_closed_form():
    path = descent.descend((2.0, -1.0), (1.0, 10.0), 0.15, steps=7)
    k = np.arange(8)[:, None]
    np.testing.assert_allclose(path, [2.0, -1.0] * (1 - 0.15 * np.array([1, 10])) ** k, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("alpha", [0.01, 0.12, 0.3])
def test_growth_is_what_a_long_descent_does(alpha, momentum):
    path = np.abs(descent.descend((1.0, 1.0), (10.0, 10.0), alpha, momentum, steps=400)[:, 0])
    windows = np.maximum.reduceat(path + 1e-320, np.arange(0, 400, 50))
    measured = (windows[4] / windows[2]) ** (1 / 100)
    assert measured == pytest.approx(descent.growth(10.0, alpha, momentum), rel=0.05, abs=0.02)


@pytest.mark.parametrize(
    ("alpha", "momentum", "steps", "says"),
    [
        (0.0, 0.0, 30, "no step"),
        (0.1, 0.0, 60, "Arrives: α = 0.1 is below the limit 2/λmax = 0.2"),
        (0.16, 0.0, 60, "Arrives, zigzagging"),
        (0.01, 0.0, 5, "On its way: "),
        (0.2, 0.0, 30, "Bounces for ever"),
        (0.21, 0.0, 30, "Blows up: α = 0.21 is above the limit 2/λmax = 0.2"),
        (0.21, 0.5, 80, "Arrives, swinging"),
        (0.31, 0.5, 30, "Blows up: α = 0.31 is above the limit 2(1 + μ)/λmax = 0.3"),
    ],
)
def test_the_title_says_what_descent_does(alpha, momentum, steps, says):
    scene = descent.descent_scenes(alpha=alpha, momentum=momentum, steepness=10, steps=steps)[0]
    assert says in scene.title


def test_starting_at_the_minimum_is_said():
    assert "nothing moves" in descent.descent_scenes(start=(0.0, 0.0))[0].title


def test_noise_settles_at_its_floor():
    final = descent.noisy_runs(np.full(300, 0.5), 1.0, steps=300, runs=4000, seed=0)[-1]
    assert np.mean(final**2) / 2 == pytest.approx(descent.noise_floor(0.5, 1.0), rel=0.1)


def test_the_stability_picture_crosses_one_at_the_limit():
    scene = descent.stability_scene((1.0, 4.0))
    steep = next(c for c in scene.curves if c.role == "high")
    assert np.interp(0.5, steep.x, steep.y) == pytest.approx(1)
    (best,) = scene.points
    assert best.y == pytest.approx(abs(1 - best.x * 4.0)) == pytest.approx(abs(1 - best.x))


@pytest.mark.parametrize("momentum", [0.0, 0.4, 0.95])
def test_growth_is_the_spectral_radius_of_a_step(momentum):
    alphas = np.linspace(0, 0.5, 23)
    turns = [[[1 + momentum - 10 * a, -momentum], [1, 0]] for a in alphas]
    radii = np.abs(np.linalg.eigvals(turns)).max(axis=1)
    np.testing.assert_allclose(descent.growth(10.0, alphas, momentum), radii, rtol=1e-9, atol=1e-12)


def test_no_pair_near_the_star_of_the_map_is_better():
    def rate(alpha, momentum):
        return max(descent.growth(c, alpha, momentum) for c in (1.0, 20.0))

    alpha, momentum = descent.best_pair(1.0, 20.0)
    best = rate(alpha, momentum)
    assert best == pytest.approx(np.sqrt(momentum), rel=1e-6)
    nearby = [(a, m) for a in (-0.004, 0, 0.004) for m in (-0.04, 0, 0.04) if (a, m) != (0, 0)]
    assert all(rate(alpha + a, momentum + m) > best for a, m in nearby)


def test_a_point_dragged_off_the_map_stays_on_it():
    left, right = descent.momentum_scenes((-1.0, 7.0), (1.0, 20.0))
    (_, mark) = left.points
    assert (mark.x, mark.y) == (0, 0.98) and left.xlim[0] <= mark.x and right.title


@pytest.mark.parametrize(
    ("alpha", "says"),
    [(0.16, "slowest direction alone"), (0.21, "fastest-growing direction alone")],
)
def test_the_loss_runs_into_the_line_of_the_direction_that_decides(alpha, says):
    _, losses = descent.descent_scenes(alpha=alpha, steps=80)
    whole, alone = losses.curves
    assert alone.label == says
    assert alone.y[0] < 0.8 * whole.y[0] and np.all(alone.y <= whole.y * (1 + 1e-9))
    assert whole.y[-1] == pytest.approx(alone.y[-1], rel=1e-3)


def test_with_momentum_the_line_promises_a_rate_and_no_direction():
    for setting, says in (((2 / 21, 0.0), "both directions"), ((0.13, 0.4), "long-run rate")):
        line = descent.momentum_scenes(setting, (1.0, 20.0))[1].curves[1]
        assert line.label.startswith(says)
        assert line.y[0] == pytest.approx(10.5)


def test_a_start_without_a_part_in_the_slowest_direction_has_a_line_all_the_same():
    line = descent.descent_scenes(start=(0.0, 1.0))[1].curves[1]
    assert line.y[0] == pytest.approx(5.0) and line.label.startswith("long-run rate")
