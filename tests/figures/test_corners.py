"""A legend stands where it hides nothing."""

import numpy as np
import pytest

from maml_edu.figures import Arrow, Band, Bar, Curve, Ink, Interval, Note, Points, Scene, contours
from maml_edu.figures.corners import free_corner

SIZE = (4.5, 2.8)
LABELS = ["one label", "another label"]


def corner(labels=LABELS, **things):
    axes = {"xlim": (0, 1), "ylim": (0, 1), "xlabel": "x", "ylabel": "y"}
    scene = Scene("A title", "Something.", **{**axes, **things})
    return free_corner(scene.as_dict(), labels, SIZE)


def test_an_empty_panel_has_its_legend_in_the_upper_right():
    assert corner() == ("upper right", 1)


@pytest.mark.parametrize(
    "things",
    [
        {"curves": [Curve([0, 1], [0, 1])]},
        {"curves": [Curve([0.9, 0.9], [-50, 50])]},
        {"points": [Points(0.9, 0.95)]},
        {"bands": [Band([0, 1], [0, 0], [0.1, 1])]},
        {"arrows": [Arrow((0, 0), (1, 1))]},
        {"notes": [Note(0.98, 0.9, "words that reach far to the left", "right")]},
        {"bars": [Bar(0.9, 0.95, width=0.1)]},
        {"intervals": [Interval(0.85, 0.95, 0.9)]},
        {"inks": [Ink(0.8, 0.8, np.ones((2, 2)), 0.3)]},
    ],
)
def test_a_corner_with_something_in_it_is_left_alone(things):
    place, _ = corner(**things)
    assert place not in ("upper right", "below")


def test_contour_lines_may_run_below_a_legend():
    level = contours(lambda x, y: x + y, (0, 1), (0, 1), [0.5, 1.8])
    assert corner(levels=[level]) == ("upper right", 1)


def test_a_flat_strip_takes_columns():
    wave = Curve(np.linspace(0, 1, 50), 0.4 + 0.4 * np.sin(np.linspace(0, 40, 50)))
    assert corner([f"label {i}" for i in range(4)], curves=[wave]) == ("upper right", 2)


def test_where_nothing_is_free_it_stands_below():
    rng = np.random.default_rng(0)
    place, columns = corner(points=[Points(*rng.random((2, 400)))])
    assert place == "below" and columns == 3


def test_logarithmic_axes_are_looked_at_as_they_are_drawn():
    middle = Points(10 ** np.linspace(0, 2, 30), 10 ** np.full(30, 1.9))
    axes = {"xlim": (1, 100), "ylim": (1, 100), "xlog": True, "ylog": True}
    assert corner(points=[middle], **axes) == ("lower right", 1)
