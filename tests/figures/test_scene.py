"""A scene is checked plain data."""

import json
import sys
from subprocess import run

import numpy as np
import pytest

from maml_edu.figures.scene import (
    Arrow,
    Band,
    Bar,
    Curve,
    Interval,
    Note,
    Points,
    Scene,
    contours,
    number,
)


def scene(**changes):
    whole = {
        "title": "It rises",
        "alt": "A rising line.",
        "xlabel": "x",
        "ylabel": "y",
        "xlim": (0, 1),
        "ylim": (0, 1),
    }
    return Scene(**{**whole, **changes})


@pytest.mark.parametrize("name", ["title", "alt", "xlabel", "ylabel"])
def test_a_scene_without_words_is_refused(name):
    with pytest.raises(ValueError, match=f"no {name}"):
        scene(**{name: " "})


def test_what_has_no_axis_needs_no_label_for_it():
    assert scene(diagram=True, xlabel="", ylabel="").words() == ["It rises", "A rising line."]
    assert scene(rows=True, ylabel="").words() == ["It rises", "A rising line.", "x"]
    with pytest.raises(ValueError, match="no xlabel"):
        scene(rows=True, xlabel="", ylabel="")


@pytest.mark.parametrize("bad", [{"xlog": True, "xlim": (0.1, 1)}, {"xlim": (0.5, 1)}])
def test_a_bar_without_a_nought_is_refused(bad):
    with pytest.raises(ValueError, match=r"bar along x.*Points"):
        scene(bars=[Bar(1, 0.7)], **bad)
    assert scene(bars=[Bar(0.5, 0.7, axis="y")], **bad)


def test_a_bar_beyond_the_axis_ends_there_and_is_marked():
    (sent,) = scene(bars=[Bar([1, 2], [0.5, 7])]).as_dict()["bars"]
    assert sent["end"] == [0.5, 1.0] and sent["cut"] == [False, True]


def test_an_unknown_place_of_the_legend_lists_the_known_ones():
    with pytest.raises(ValueError, match="'middle'.*upper left"):
        scene(legend="middle")


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_limits_that_make_no_axis_are_refused(limits):
    with pytest.raises(ValueError, match="ylim"):
        scene(ylim=limits)


def test_a_logarithmic_axis_cannot_start_at_zero():
    with pytest.raises(ValueError, match="above 0"):
        scene(ylim=(0, 1), ylog=True)


def test_an_unknown_role_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'red'.*support"):
        scene(curves=[Curve([0, 1], [0, 1], "red")])


def test_everything_in_a_scene_survives_json():
    full = scene(
        levels=[contours(lambda x, y: x + y, (0, 1), (0, 1), [0.5])],
        bands=[Band([0, 1], [0, 0], [1, 1])],
        curves=[Curve(np.arange(3), [0, np.nan, 2])],
        bars=[Bar(0.5, np.float32(0.25)), Bar(np.arange(2), [0.1, 3], axis="y")],
        intervals=[Interval(0.1, np.float64(0.2), 0.5), Interval([0], [np.inf], [1], axis="y")],
        arrows=[Arrow((0, 0), (np.float64(1), 1))],
        points=[Points(0.5, 0.5, drag="start")],
        notes=[Note(0.5, np.float32(0.5), "here")],
    ).as_dict()
    assert json.loads(json.dumps(full, allow_nan=False)) == full
    assert full["curves"][0]["y"] == [0.0, None, 2.0]


def test_a_path_that_blows_up_stays_drawable():
    wild = scene(curves=[Curve([0, 1, 2], [1e300, np.inf, -np.inf])]).as_dict()["curves"][0]
    assert wild["y"] == [101.0, 101.0, -100.0]


def test_zero_is_a_gap_on_a_logarithmic_axis():
    drawn = scene(ylim=(1, 10), ylog=True, curves=[Curve([0, 1], [0, 5])]).as_dict()["curves"][0]
    assert drawn["y"] == [None, 5.0]


def test_contours_lie_on_their_level():
    level = contours(lambda x, y: x**2 + y**2, (-2, 2), (-2, 2), [1.0])
    radius = np.hypot(*np.concatenate(level.lines).T)
    np.testing.assert_allclose(radius, 1, atol=1e-3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.2, "0.2"),
        (-1.5, "−1.5"),
        (1234.5, "1230"),
        (2.04e-4, "2.04 × 10⁻⁴"),
        (-3e7, "−3 × 10⁷"),
        (np.inf, "∞"),
        (np.nan, "undefined"),
    ],
)
def test_numbers_read_as_people_write_them(value, words):
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(-0.004, "0.00"), (-0.996, "−1.00"), (2, "2.00"), (np.inf, "∞")]
)
def test_numbers_with_fixed_places_know_no_minus_nought(value, words):
    assert number(value, places=2) == words


def test_importing_the_figures_imports_no_painter():
    code = (
        "import sys, maml_edu.figures, maml_edu.figures.scene\n"
        "print([m for m in ('matplotlib', 'ipywidgets', 'torch', 'anywidget') if m in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
