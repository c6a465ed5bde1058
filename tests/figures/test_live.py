"""Moving a slider or a point from either side changes what the planes show."""

import re

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


def test_what_is_typed_into_a_box_is_passed_by_name():
    live = interactive(lambda words: line_scene(kind=words), {"words": ("say", "a line")})
    live.widget  # noqa: B018
    live.controls["words"].value = "Wörter"
    assert live.values == {"words": "Wörter"}
    assert "Wörter" in live.planes[0].scene["title"]


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


def test_a_slider_with_a_player_is_tied_to_it_in_the_browser():
    spec = ("time", 0, 80, 20, 2, "play")
    live = interactive(lambda time: line_scene(slope=float(time)), {"time": spec})
    player, slider = live.widget.children[0].children[0].children
    assert slider is live.controls["time"] and type(slider).__name__ == "IntSlider"
    assert type(player).__name__ == "Play"
    assert (player.value, player.min, player.max, player.step) == (20, 0, 80, 2)
    slider.value = 30
    assert live.scenes[0].title.startswith("Slope 30.0")


def test_only_a_slider_of_whole_numbers_plays():
    with pytest.raises(ValueError, match="'time'.*a slider of whole numbers and \"play\""):
        interactive(lambda time: line_scene(), {"time": ("time", 0.0, 8.0, 2.0, 0.5, "play")})


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


# ---- points that come and go


def points_scene(points, slope=1.0):
    return Scene(
        title=f"{len(points)} points",
        alt="Points.",
        xlabel="x",
        ylabel="y",
        xlim=(0, 10),
        ylim=(0, 10),
        points=[Points(*np.transpose(points), "support", "your points", drag="points")],
    )


def growing(n=2, most=4):
    places = np.column_stack([np.arange(1.0, n + 1), np.full(n, 5.0)])
    return interactive(points_scene, drag={"points": places}, more={"points": most})


def test_points_added_and_taken_away_in_the_browser_reach_the_function():
    live = growing()
    live.widget  # noqa: B018
    (plane,) = live.planes
    assert plane.more == {"points": 4}
    for places in ([[1, 5], [2, 5], [7, 3]], [[7, 3]]):
        plane.moved = {"points": places}
        np.testing.assert_array_equal(live.values["points"], places)
        assert plane.scene["title"] == f"{len(places)} points"


def test_a_point_is_added_in_the_widest_gap_and_the_last_one_stays():
    live = growing()
    add, remove = live.widget.children[0].children
    add.click()
    np.testing.assert_array_equal(live.values["points"][-1], [6, 5])
    for _ in range(3):
        add.click()
    assert len(live.values["points"]) == 4, "as many as there may be"
    for _ in range(5):
        remove.click()
    np.testing.assert_array_equal(live.values["points"], [[1, 5]])


@pytest.mark.parametrize("places", [np.empty((0, 2)), np.zeros((5, 2))])
def test_too_many_points_or_none_are_refused(places):
    with pytest.raises(ValueError, match="1 to 4 points"):
        growing().set(points=places)


def test_points_of_a_fixed_number_stay_as_many():
    live = interactive(points_scene, drag={"points": np.ones((2, 2))})
    with pytest.raises(ValueError, match="reshape"):
        live.set(points=np.zeros((3, 2)))


@pytest.mark.parametrize("drag", [{}, {"points": (1.0, 2.0)}, {"points": np.zeros((5, 2))}])
def test_more_wants_a_table_of_places(drag):
    with pytest.raises(ValueError, match=r"wants drag=.*\(n, 2\)"):
        interactive(points_scene, drag=drag, more={"points": 4})


def test_paper_and_ink_of_a_live_figure_are_the_pages_own():
    css, script = ((HERE / name).read_text(encoding="utf-8") for name in ("plane.css", "plane.js"))
    assert "--paper: var(--jp-layout-color0" in css and "--ink: var(--jp-content-font-color1" in css
    assert not re.search(r"#(fff|222|e4e4)", script)


@pytest.mark.parametrize(
    ("step", "shown"), [(0.025, ".3f"), (0.05, ".2f"), (0.1, ".1f"), (0.5, ".1f"), (1e-4, ".4f"), (10.0, ".0f")]
)  # fmt: skip
def test_a_slider_shows_all_places_of_its_step(step, shown):
    live = interactive(
        line_scene, {"slope": ("slope", 0.0, 100.0, 1.0, step)}, drag={"start": (0.5, 0.5)}
    )
    assert live.controls["slope"].readout_format == shown
