"""Moving a slider or a point from either side changes what the planes show."""

import numpy as np
import pytest

from maml_edu.figures import Curve, Points, Scene, interactive
from maml_edu.figures.plane import HERE, Plane


def line_scene(slope=1.0, start=(0.5, 0.5), kind="line", faint=False, height=0.0):
    return Scene(
        title=f"Slope {slope}, {kind}, {'faint' if faint else 'clear'}",
        alt="A line and a point.",
        xlabel="x",
        ylabel="y",
        xlim=(0, 1),
        ylim=(0, 3),
        curves=[Curve([0, 1], [height, slope])],
        points=[Points(*start, drag="start"), Points(0.0, height, drag="height", axis="y")],
    )


def figure():
    sliders = {
        "slope": ("slope of the line", 0.0, 3.0, 1.0, 0.5),
        "kind": ("kind", ["line", "ray"]),
        "faint": ("draw it faintly", False),
        "height": ("height", 0.0, 3.0, 0.0, 0.25),
    }
    return interactive(line_scene, sliders, drag={"start": (0.5, 0.5)})


def test_a_slider_changes_the_scene_that_the_plane_shows():
    live = figure()
    live.widget  # noqa: B018 - the widget is made when it is first asked for
    live.controls["slope"].value = 2.5
    (plane,) = live.planes
    assert plane.scene["curves"][0]["y"] == [0.0, 2.5]
    assert plane.scene["title"].startswith("Slope 2.5")


def test_a_menu_and_a_tick_box_are_passed_by_name():
    live = figure()
    live.set(kind="ray", faint=True)
    assert live.scenes[0].title == "Slope 1.0, ray, faint"


def test_a_point_moved_in_the_browser_reaches_the_function():
    live = figure()
    live.widget  # noqa: B018
    live.planes[0].moved = {"start": [[0.25, 0.75]]}
    np.testing.assert_array_equal(live.values["start"], [0.25, 0.75])
    assert live.planes[0].scene["points"][0]["x"] == [0.25]


def test_a_point_named_after_a_slider_moves_the_slider_in_whole_steps():
    live = figure()
    live.widget  # noqa: B018
    live.planes[0].moved = {"height": [[0.0, 1.1]]}
    assert live.controls["height"].value == 1.0
    assert live.planes[0].scene["curves"][0]["y"][0] == 1.0


def test_an_older_move_does_not_come_back_with_a_newer_one():
    live = figure()
    live.widget  # noqa: B018
    live.planes[0].moved = {"height": [[0.0, 1.0]]}
    live.set(height=2.0)
    live.planes[0].moved = {"height": [[0.0, 1.0]], "start": [[0.1, 0.1]]}
    assert live.values["height"] == 2.0


def test_the_twin_is_the_function_at_its_first_values():
    live = figure()
    assert live.twin.alt == "Slope 1.0, line, clear. A line and a point."
    live.set(slope=2.0)
    assert live.twin.title == "Slope 1.0, line, clear"


def test_a_twin_can_tell_its_story_in_several_pictures():
    live = interactive(line_scene, twin=[{"slope": 1.0}, {"slope": 2.0}])
    assert "Left: Slope 1.0" in live.twin.alt and "Right: Slope 2.0" in live.twin.alt


def test_displaying_without_a_browser_shows_the_twin_first(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    figure()._ipython_display_()
    assert "maml-edu-twin" in shown[0]["text/html"] and "image/png" in shown[0]
    assert "application/vnd.jupyter.widget-view+json" in shown[1]
    assert "VBox" not in shown[1]["text/plain"]


def test_whole_numbers_make_an_integer_slider():
    live = interactive(lambda steps: line_scene(), {"steps": ("steps", 0, 10, 1, 1)})
    assert type(live.controls["steps"]).__name__ == "IntSlider"


def test_a_spec_that_is_no_slider_is_explained():
    with pytest.raises(ValueError, match="'slope'.*low, high, start, step"):
        interactive(line_scene, {"slope": ("slope", 0, 1)})


def test_setting_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="slope.*start"):
        figure().set(slop=1)


def test_the_plane_loads_nothing_from_the_network():
    for name in ("plane.js", "plane.css"):
        text = (HERE / name).read_text(encoding="utf-8")
        assert "import " not in text.replace("@import ", "import ")
        assert "https:" not in text and "fetch(" not in text
    assert "function render" in str(Plane._esm)
