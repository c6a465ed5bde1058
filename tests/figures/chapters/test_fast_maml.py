"""What the figures of chapter 09 show is what they are given; the live one follows its two terms."""

import pytest

from maml_edu.figures.chapters import fast_maml as fast

RUNGS = {"loop": (2e3, 5e8), "vmap": (4e4, 3e9), "back-walk": (2e4, 2.9e9), "native": (4e7, 3e10)}


def test_at_the_bend_half_the_time_goes_into_starting():
    start, peak = 5e-6, 8e10
    assert fast.speed_under_roof(start * peak, start, peak) == pytest.approx(peak / 2)


def test_the_live_mark_is_the_product_of_all_tasks_at_once():
    scene = fast.launch_scene(tasks=25, width=40, overhead=5, peak=80)
    assert scene.points[0].x == 2 * 10 * 40 * 40 * 25
    assert scene.points[0].y == pytest.approx(8e5 / (5e-6 + 8e5 / 80e9) / 1e9)
    assert "computing" in scene.title and "starting" in fast.launch_scene(tasks=1).title
    assert "a product spends 67 % computing" in scene.title  # one product, not the whole step


def test_a_dot_stands_at_its_factor_and_its_interval_goes_from_low_to_high():
    scene = fast.ladder_scene({"loop": 1.0, "vmap": 5.5}, {"loop": (1.0, 1.0), "vmap": (5.0, 6.0)})
    assert [point.x for point in scene.points] == [1.0, 5.5]
    assert [(span.low, span.high) for span in scene.intervals] == [(5.0, 6.0)]
    assert "interval" in scene.alt and "interval" not in fast.ladder_scene({"loop": 1.0}, {}).alt


def test_a_name_stands_on_the_side_of_its_mark_where_no_other_mark_is_near():
    notes = {note.text: note for note in fast.roofline_scene(2e-6, 8e10, RUNGS).notes}
    assert notes["loop"].y == RUNGS["loop"][1] / 1e9 and notes["loop"].x > RUNGS["loop"][0]
    assert notes["vmap"].anchor == notes["native"].anchor == "left"
    assert notes["vmap"].x > RUNGS["vmap"][0]
    assert notes["back-walk"].x > RUNGS["back-walk"][0]  # vmap is near, so it stands below
    assert notes["back-walk"].y < RUNGS["back-walk"][1] / 1.5e9


def test_the_lines_of_the_roof_have_their_names_in_place_and_no_legend():
    scene = fast.roofline_scene(2e-6, 8e10, RUNGS, 4e10)
    assert not any(curve.label for curve in scene.curves)
    named = {note.role for note in scene.notes if note.role}
    assert named == {"high", "low", "neutral"}
    assert len(fast.roofline_scene(2e-6, 8e10, RUNGS).notes) == len(scene.notes) - 1


def test_the_slopes_in_the_title_are_bytes_per_step():
    scene = fast.memory_scene([1, 11], [1024, 11 * 1024], [512, 512 * 6])
    assert "1 KiB recorded" in scene.title and "0.25 KiB walking back" in scene.title
