"""What the figures of chapter 05 show agrees with closed forms and with eigenvalues worked out otherwise."""

import re

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures.chapters import hessians as shown

CURVATURES = np.r_[np.linspace(-30, -1.1, 40), np.zeros(60), np.geomspace(0.3, 160, 50)]

# ---- the plane


@pytest.mark.parametrize("alpha", [0.0, 0.004, 0.01, 0.02])
@pytest.mark.parametrize(("first", "second"), [(150, -40), (100, 0), (-80, 220)])
@pytest.mark.parametrize("angle", [0, 60, 135])
def test_the_arrow_is_v_after_a_step_seen_along_the_eigenvectors(alpha, first, second, angle):
    v = np.array([0.7, -1.1])
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    across = np.array([-along[1], along[0]])
    made = (1 - alpha * first) * (v @ along) * along + (1 - alpha * second) * (v @ across) * across
    scene = shown.plane_scene(v, alpha, first, second, angle)
    np.testing.assert_allclose(scene.arrows[2].head, made, atol=1e-12)
    np.testing.assert_allclose(scene.arrows[1].head, scene.arrows[2].head)
    assert scene.as_dict()["title"]


@pytest.mark.parametrize("alpha", [0.003, 0.01])
def test_the_ellipse_has_the_sizes_of_the_factors_as_half_axes(alpha):
    ellipse = shown.plane_scene(np.ones(2), alpha, 150.0, -40.0, 60).curves[1]
    radii = np.hypot(ellipse.x, ellipse.y)
    assert radii.max() == pytest.approx(max(abs(1 - 150 * alpha), 1 + 40 * alpha), abs=1e-3)
    assert radii.min() == pytest.approx(min(abs(1 - 150 * alpha), 1 + 40 * alpha), abs=1e-3)


def test_the_hessian_of_the_plane_is_that_of_its_bowl():
    h, _ = shown.turned(150.0, -40.0, 60)
    bowl = lambda x: np.sum(x * (h @ x)) / 2
    np.testing.assert_allclose(ref.hvp(bowl, np.zeros(2), np.array([1.0, 2.0])), h @ [1.0, 2.0])


def title_of(v, alpha=0.01, first=150.0, second=-40.0, angle=60):
    return shown.plane_scene(np.array(v, dtype=float), alpha, first, second, angle).title


def test_what_the_lesson_lets_its_readers_find_in_the_plane():
    c, s = np.cos(np.radians(60)), np.sin(np.radians(60))
    assert "turned by 180°, 0.5 times" in title_of((c, s))  # along λ₁
    assert "turned by 0°, 1.4 times" in title_of((-s, c))  # along λ₂
    assert "factors 0 and 1.4" in title_of((1, 1), first=100.0)  # a line
    for v in ((1, 1), (0.2, -2), (-1, 0)):  # a mirror
        assert title_of(v, first=200.0, second=0.0).endswith("°, 1 times as long")
    assert "nothing is left of v" in title_of((1, 1), first=100.0, second=100.0)
    assert title_of((0, 0)).startswith("v = 0")


@pytest.mark.parametrize("alpha", [0.002, 0.01, 0.02])
def test_the_name_of_an_eigenvector_stands_at_its_end(alpha):
    scene = shown.plane_scene(np.ones(2), alpha, 150.0, -40.0, 60)
    for axis, note in zip(scene.curves[2:4], scene.notes, strict=True):
        assert axis.x[1] * note.x + axis.y[1] * note.y > 0


@pytest.mark.parametrize(
    ("factor", "word"),
    [(1.2, "stretched"), (1.0, "shrunk"), (0.3, "shrunk"), (-0.4, "reversed"), (-1.3, "runaway")],
)
def test_the_colour_of_a_direction_says_what_happens_to_it(factor, word):
    assert shown.what_happens(factor) == word


# ---- the bars


@pytest.mark.parametrize("alpha", [0.0, 0.005, 0.01, 0.02])
def test_bars_are_the_factors_of_both_ends_and_one_bar_stands_for_the_rest(alpha):
    scene = shown.bars_scene(CURVATURES, alpha)
    drawn = np.concatenate([np.atleast_1d(b.value) for b in scene.bars if b.role != "before"])
    order = np.sort(CURVATURES)
    ends = np.r_[order[: shown.BOTTOM], order[-shown.TOP :]]
    np.testing.assert_allclose(np.sort(drawn), np.sort(1 - alpha * ends))
    assert f"{len(CURVATURES) - len(ends)} more" in [note.text for note in scene.notes]
    for bar in scene.bars:
        if bar.role != "before":
            assert all(shown.what_happens(value) == bar.role for value in bar.value)


@pytest.mark.parametrize("alpha", [0.005, 0.01, 0.0125, 0.02])
def test_the_title_counts_over_all_directions(alpha):
    title = shown.bars_scene(CURVATURES, alpha, "net").title
    factors = 1 - alpha * CURVATURES
    assert f"{np.sum(factors < 0)} reversed" in title
    assert f"{np.sum(factors > 1.01)} stretched" in title
    assert f"{np.sum((factors >= 0) & (factors < 0.99))} shrunk" in title
    assert f"{np.sum(np.abs(factors - 1) <= 0.01)} of {len(CURVATURES)}" in title
    beyond = re.search(r"\((\d+) beyond −1\)", title)
    assert (int(beyond.group(1)) if beyond else 0) == np.sum(factors < -1)


def test_few_directions_need_no_broad_bar():
    scene = shown.bars_scene(np.array([5.0, 1.0, -2.0]), 0.01)
    assert all(bar.role != "before" for bar in scene.bars)
    assert sum(np.size(bar.value) for bar in scene.bars) == 3


def test_the_menu_chooses_the_network_and_v_can_be_dragged():
    figure = figures.factor_on_a_vector({"one": CURVATURES, "two": -CURVATURES})
    assert figure.scenes[1].title.startswith("one")
    figure.set(network="two")
    assert figure.scenes[1].title.startswith("two")
    figure.widget  # noqa: B018
    figure.planes[0].moved = {"v": [[0.5, -1.0]]}
    np.testing.assert_allclose(figure.scenes[0].arrows[0].head, [0.5, -1.0])


# ---- the spectrum


def test_both_curves_fall_and_the_title_counts_signs_and_zeros():
    scene = shown.rank_scene(CURVATURES, "net", 1e-4, 500.0, 90)
    up, down = scene.curves
    assert len(up.x) == 50 and len(down.x) == 40 and "60 at 0" in scene.title
    assert np.all(np.diff(up.y) <= 0) and np.all(np.diff(down.y) <= 0)
    assert up.y[0] == pytest.approx(160) and down.y[0] == pytest.approx(30)


def test_every_curvature_that_is_counted_is_on_the_axis():
    tiny = np.r_[CURVATURES, 2.4e-7, -1.6e-5]
    for scene in figures.spectrum_by_rank({"one": CURVATURES, "two": tiny}).scenes:
        for curve in scene.curves:
            assert scene.ylim[0] <= min(curve.y) and max(curve.y) <= scene.ylim[1]


# ---- where second derivatives are


def parts_of(width, seed=0):
    """(Gauss–Newton part, rest, sizes of the layers) of 1-width-width-1, by the reference alone."""
    rng = np.random.default_rng(seed)
    params = ref.mlp_init(rng, (1, width, width, 1))
    params = {n: part + 0.3 * rng.normal(size=part.shape) for n, part in params.items()}
    x, y = rng.uniform(-5, 5, (6, 1)), rng.normal(size=(6, 1))
    names, ends = list(params), np.cumsum([part.size for part in params.values()])[:-1]

    def shaped(vector):
        parts = (vector[a:b] for a, b in zip([0, *ends], [*ends, None], strict=True))
        return {n: np.reshape(p, params[n].shape) for n, p in zip(names, parts, strict=True)}

    theta = np.concatenate([part.ravel() for part in params.values()])
    slopes = ref.jacobian(lambda t: ref.mlp(shaped(t), x)[:, 0])(theta)  # (6, n)
    units = np.eye(len(theta))
    loss = lambda t: ref.mse(shaped(t), x, y)
    h = np.array([ref.hvp(loss, theta, unit) for unit in units])
    gauss_newton = 2 / 6 * slopes.T @ slopes
    layers = [params[f"w{k}"].size + params[f"b{k}"].size for k in (1, 2, 3)]
    return gauss_newton, h - gauss_newton, layers


def test_the_rest_is_empty_within_a_layer_and_adds_up_to_nothing():
    """What the lesson says of it: no second derivative within a layer, trace 0, and a bound on the rank."""
    gauss_newton, rest, layers = parts_of(5)
    scale, a = np.abs(rest).max(), 0
    assert scale > 0.01
    for size in layers:
        assert np.abs(rest[a : a + size, a : a + size]).max() < 1e-12 * max(scale, 1)
        a += size
    assert abs(np.trace(rest)) < 1e-12
    assert np.linalg.eigvalsh(gauss_newton).min() > -1e-12
    assert np.linalg.matrix_rank(gauss_newton) <= 6
    assert np.linalg.matrix_rank(rest, tol=1e-9) <= 2 * (layers[0] + layers[2] - 1)


def test_the_picture_shows_which_entries_are_not_0_and_says_so():
    gauss_newton, rest, sizes = parts_of(4)
    layers = dict(zip(("layer 1", "layer 2", "layer 3"), sizes, strict=True))
    picture = figures.second_derivatives_by_layer(gauss_newton, rest, layers)
    left, right = picture.scenes
    assert "none within a layer" in right.title
    assert "Every block on the diagonal" in right.alt
    assert np.array_equal(right.inks[0].pixels, np.abs(rest) > 1e-9 * np.abs(rest).max())
    assert np.array_equal(left.inks[0].pixels, left.inks[0].pixels.T)


def test_an_entry_within_a_layer_would_be_told():
    title = figures.second_derivatives_by_layer(np.eye(4), np.eye(4), {"a": 2, "b": 2})
    assert "4 entries within a layer" in title.scenes[1].title
