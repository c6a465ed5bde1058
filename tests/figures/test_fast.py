"""What the figures of chapter 09 show is what they are given; the live one follows its two terms."""

import numpy as np
import pytest

import maml_edu.figures as figures
from maml_edu.figures import fast

RUNGS = {"loop": (2e3, 5e8), "vmap": (4e4, 3e9), "back-walk": (2e4, 2.9e9), "native": (4e7, 3e10)}


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.speed_ladder({"loop": 1.0, "vmap": 5.5, "native": 55.0}),
        lambda: figures.roofline(2e-6, 8e10, RUNGS),
        figures.launch_or_compute,
        lambda: figures.memory_against_steps([1, 5, 20], [2e4, 9e4, 4e5], [1e4, 4e4, 1e5]),
    ],
)
def test_every_figure_has_a_title_alt_text_and_a_modest_size(figure):
    picture = getattr(figure(), "twin", None) or figure()
    assert len(picture.title) > 15 and len(picture.alt) > len(picture.title) + 40
    assert len(picture.png) < 100_000


def test_at_the_bend_half_the_time_goes_into_starting():
    start, peak = 5e-6, 8e10
    assert fast.speed_under_roof(start * peak, start, peak) == pytest.approx(peak / 2)


def test_the_live_mark_is_the_product_of_all_tasks_at_once():
    scene = fast.launch_scene(tasks=25, width=40, overhead=5, peak=80)
    assert scene.points[0].x == 2 * 10 * 40 * 40 * 25
    assert scene.points[0].y == pytest.approx(8e5 / (5e-6 + 8e5 / 80e9) / 1e9)
    assert "computing" in scene.title and "starting" in fast.launch_scene(tasks=1).title


def test_bars_are_as_long_as_the_factors():
    scene = fast.ladder_scene({"loop": 1.0, "vmap": 5.5})
    assert [curve.x[1] for curve in scene.curves] == [1.0, 5.5]


def test_no_name_in_the_roofline_lies_on_another():
    heights = np.sort([note.y for note in fast.roofline_scene(2e-6, 8e10, RUNGS).notes])
    assert np.diff(np.log10(heights)).min() > 0.25


def test_the_slopes_in_the_title_are_bytes_per_step():
    scene = fast.memory_scene([1, 11], [1024, 11 * 1024], [512, 512 * 6])
    assert "1 KiB recorded" in scene.title and "0.25 KiB walking back" in scene.title
