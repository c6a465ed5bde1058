"""What the figures of chapter 02 show agrees with the library's tape, with nudges and with counts."""

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref
from maml_edu.figures.chapters import backpropagation as shown
from maml_edu.figures.scene import Scene

PLACES = [(1.0, 0.5, 1.0), (-1.3, 0.4, -0.7), (0.6, -0.9, 2.0), (-1.0, -0.5, 1.0)]
BREAKS = shown.BREAKS


def loss(params):
    residual = np.maximum(params["w"] * params["x"] + params["b"], 0) - shown.Y
    return np.mean(residual * residual)


def claims(place, broken):
    w, b, x = place
    return shown.claimed(shown.pull_back(shown.tape_of(w, b, [x, shown.X2]), broken))


# ---- break the tape


@pytest.mark.parametrize("place", PLACES)
def test_the_unbroken_tape_claims_the_library_s_slopes_and_nudges_agree(place):
    w, b, x = place
    inputs = np.array([x, shown.X2])
    slopes = ref.grad(loss)({"w": np.array(w), "b": np.array(b), "x": inputs})
    expected = [slopes["w"], slopes["b"], *slopes["x"]]
    np.testing.assert_allclose(np.ravel(claims(place, BREAKS[0])), expected, atol=1e-12)
    np.testing.assert_allclose(shown.nudged(w, b, inputs, 0.05), expected, atol=1e-9)
    value = shown.tape_of(w, b, inputs)[-1].value
    assert value == pytest.approx(loss({"w": w, "b": b, "x": inputs}))


def test_every_line_s_slope_is_what_a_change_of_its_value_does():
    """Of the lines from z on, by closed forms: q has ½ each, r has r, and relu passes it on."""
    slopes = shown.pull_back(shown.tape_of(1.0, 0.5, [1.0, 2.0]))
    named = dict(zip("w x b y m z a r q L".split(), slopes, strict=True))
    np.testing.assert_allclose(named["q"], [0.5, 0.5])
    for name in "razm":
        np.testing.assert_allclose(named[name], [1.0, 0.5])
    np.testing.assert_allclose(named["y"], [-1.0, -0.5])
    assert (named["L"], named["w"], named["b"]) == (1.0, 2.0, 1.5)


@pytest.mark.parametrize("place", PLACES)
def test_overwriting_halves_every_slope(place):
    right = np.ravel(claims(place, BREAKS[0]))
    np.testing.assert_allclose(np.ravel(claims(place, BREAKS[1])), right / 2, atol=1e-12)


@pytest.mark.parametrize("place", PLACES)
def test_a_forgotten_sum_leaves_two_parts_that_add_up_and_the_inputs_right(place):
    right, broken = claims(place, BREAKS[0]), claims(place, BREAKS[2])
    assert [len(part) for part in broken] == [2, 2, 1, 1]
    np.testing.assert_allclose([part.sum() for part in broken], np.ravel(right), atol=1e-12)


@pytest.mark.parametrize("place", PLACES)
def test_a_walk_from_first_to_last_finds_nothing(place):
    np.testing.assert_array_equal(np.ravel(claims(place, BREAKS[3])), 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "agrees with all four"),
        ({"h": 1.0}, "agrees with all four"),
        ({"broken": BREAKS[1]}, "nudges of w, b, x₁ and x₂"),
        ({"broken": BREAKS[2]}, "nudges of w and b, not of x₁ and x₂"),
        ({"broken": BREAKS[3]}, "nudges of w, b, x₁ and x₂"),
        ({"w": -1.0, "b": -0.5, "broken": BREAKS[1]}, "no nudge here can see it"),
        ({"w": -1.0, "b": -0.5, "broken": BREAKS[2]}, "nudges of w and b"),
        ({"w": -1.0, "b": -0.5, "broken": BREAKS[3]}, "no nudge here can see it"),
        ({"w": 1.5, "b": -1.0, "broken": BREAKS[1]}, "no nudge here can see it"),
        ({"w": 1.5, "b": -1.0, "broken": BREAKS[2]}, "nudges of w and b"),
        ({"w": 1.5, "b": -1.0, "broken": BREAKS[3]}, "no nudge here can see it"),
        ({"b": -0.2, "h": 1.0}, "the nudge of w, b and x₁ errs"),
    ],
)
def test_what_the_lesson_lets_its_readers_find_is_said(settings, says):
    assert says in shown.tape_scenes(**settings)[1].title


def test_wrong_slopes_are_marked_on_the_left():
    scene = shown.tape_scenes(broken=BREAKS[2])[0]
    assert "2 of 10" in scene.title
    assert [note.text for note in scene.notes if note.role == "first_order"] == [
        "slope (1, 1) ✗",
        "slope (1, 0.5) ✗",
    ]
    assert not [n for n in shown.tape_scenes()[0].notes if n.role == "first_order"]


@pytest.mark.parametrize("w", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("b", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("broken", BREAKS)
def test_every_setting_makes_two_scenes(w, b, broken):
    for scene in shown.tape_scenes(w, b, -2.0, 1.0, broken):
        assert isinstance(scene, Scene) and scene.as_dict()["title"]


def test_dragging_a_value_moves_its_slider():
    figure = figures.break_the_tape()
    figure.widget  # noqa: B018
    figure.planes[1].moved = {"w": [[-0.52, 4.1]]}
    assert figure.controls["w"].value == pytest.approx(-0.5)


# ---- the price


@pytest.mark.parametrize("width", [5, 40])
def test_the_counted_multiplications_are_those_of_a_backward_pass_by_hand(width):
    counted = {"value": 0, "back": 0}

    def times(a, b, which):
        counted[which] += a.shape[0] * a.shape[1] * b.shape[1]
        return a @ b

    params = ref.mlp_init(np.random.default_rng(0), (1, width, width, 1))
    kept, a = [], np.ones((10, 1))
    for layer in (1, 2, 3):
        kept.append(a)
        a = times(a, params[f"w{layer}"], "value")
    delta = a
    for layer in (3, 2, 1):
        times(kept[layer - 1].T, delta, "back")
        delta = times(delta, params[f"w{layer}"].T, "back") if layer > 1 else None
    total = counted["value"] + counted["back"]
    size = sum(part.size for part in params.values())
    assert shown.multiplications(width) == (size, counted["value"], total)


def test_the_gradient_costs_under_three_evaluations_at_every_width_and_differences_two_per_parameter():
    scene = shown.price_scene()
    differences, gradient, value = (np.asarray(curve.y) for curve in scene.curves)
    assert np.all((2.8 < gradient / value) & (gradient / value < 3))
    np.testing.assert_allclose(differences / value, 2 * np.asarray(scene.curves[0].x))
