"""What the figures of the chapters show agrees with closed forms; every figure has its words."""

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures import arrows, descent, start
from maml_edu.figures.scene import Scene


def small_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 1))


FIGURES = {
    "fit_a_new_sine": lambda: figures.fit_a_new_sine(small_net(0), small_net(1)),
    "sine_tasks": figures.sine_tasks,
    "descent_on_contours": figures.descent_on_contours,
    "convergence_by_direction": figures.convergence_by_direction,
    "stability_limit": figures.stability_limit,
    "noisy_descent": figures.noisy_descent,
    "two_arrows": figures.two_arrows,
    "meta_loss_of_theta": figures.meta_loss_of_theta,
    "two_curvatures": figures.two_curvatures,
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_alt_text_and_a_modest_size(name):
    figure = FIGURES[name]()
    picture = getattr(figure, "twin", figure)
    assert len(picture.title) > 15 and len(picture.alt) > len(picture.title) + 40
    assert picture.png.startswith(b"\x89PNG") and len(picture.png) < 100_000


@pytest.mark.parametrize("name", figures.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(figures, name) is not None


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(AttributeError, match="two_arrows"):
        figures.two_arows  # noqa: B018


# ---- chapter 00


def test_the_fit_shown_is_one_step_of_gradient_descent():
    params, points = small_net(), start.a_new_sine()
    x, y = points[:, :1], points[:, 1:]
    slope = ref.grad(ref.mse)(params, x, y)
    stepped = {name: value - 0.05 * slope[name] for name, value in params.items()}
    scene = start.fit_scenes(params, params, points, 1, inner_lr=0.05)[0]
    shown = scene.curves[2].y
    np.testing.assert_allclose(shown, ref.mlp(stepped, start.X[:, None])[:, 0], rtol=1e-12)


def test_no_step_leaves_the_network_as_it_was():
    scene = start.fit_scenes(small_net(), small_net(1), start.a_new_sine(), 0)[1]
    np.testing.assert_array_equal(scene.curves[1].y, scene.curves[2].y)


def test_the_pretrained_network_can_have_its_own_rate():
    one, other = start.fit_scenes(small_net(), small_net(), start.a_new_sine(), 1, 0.05, 0.01)
    assert not np.allclose(one.curves[2].y, other.curves[2].y)


def test_the_sine_through_points_of_a_sine_is_that_sine():
    shown = start.sine_through(start.a_new_sine(amplitude=2.0, phase=1.0))
    np.testing.assert_allclose(shown, 2 * np.sin(start.X - 1), atol=1e-12)


def test_the_average_wave_is_the_mean_of_many_waves():
    amplitude, phase = start.Sinusoids(5).draw_waves(np.random.default_rng(0), 40_000)
    mean = np.mean(amplitude[:, None] * np.sin(start.X[::20] - phase[:, None]), axis=0)
    np.testing.assert_allclose(start.average_wave()[::20], mean, atol=0.05)


# ---- chapter 01


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


# ---- chapter 04


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 1.4])
def test_the_meta_gradient_arrow_is_the_slope_of_the_loss_after_a_step(alpha):
    def after(theta):
        return arrows.loss(arrows.step(theta, 0.5, 1.2, alpha), 0.5, 1.2)

    meta, _ = arrows.slopes(2.0, 0.5, 1.2, alpha)
    assert meta == pytest.approx((after(2 + 1e-6) - after(2 - 1e-6)) / 2e-6, abs=1e-8)
    np.testing.assert_allclose(meta, ref.grad(after)(np.array(2.0)), atol=1e-12)


@pytest.mark.parametrize(("alpha", "same"), [(0.4, True), (1.4, False)])
def test_the_arrows_part_when_the_step_overshoots(alpha, same):
    pushes = [a.head[0] - a.tail[0] for a in arrows.arrows_scene(alpha=alpha).arrows[1:]]
    assert (pushes[0] * pushes[1] > 0) == same
    assert ("wrong way" in arrows.arrows_scene(alpha=alpha).title) != same


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("a", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("theta", [-3.5, 0.0, 3.5])
def test_every_setting_of_the_sliders_gives_a_scene(alpha, a, theta):
    scene = arrows.arrows_scene(alpha, a, theta, c=0.0)
    assert isinstance(scene, Scene) and scene.as_dict()["title"]
    assert all(abs(arrow.head[0]) <= 4 for arrow in scene.arrows[1:])


def test_dragging_theta_moves_its_slider():
    figure = figures.two_arrows()
    figure.widget  # noqa: B018
    figure.planes[0].moved = {"theta": [[-1.04, 0.3]]}
    assert figure.controls["theta"].value == pytest.approx(-1.0)


def test_the_meta_loss_picture_touches_with_the_meta_gradient():
    scene = arrows.meta_loss_scene(alpha=1.4)
    tangent = next(c for c in scene.curves if c.role == "maml")
    slope = (tangent.y[1] - tangent.y[0]) / (tangent.x[1] - tangent.x[0])
    assert slope == pytest.approx(arrows.slopes(2.5, 0.0, 1.0, 1.4)[0])
