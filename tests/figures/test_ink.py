"""Small images in a scene, and what in a scene can be pressed."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from maml_edu.figures import Ink, Note, Scene, draw, interactive


def inky(**changes):
    ink = Ink(0.5, 0.5, [[0, 1], [1, 0]], 0.4, "support", "an image", **changes)
    axes = {"xlabel": "x", "ylabel": "y", "xlim": (0, 1), "ylim": (0, 1)}
    return Scene("An image on paper", "A small image.", inks=[ink], **axes)


def test_an_image_is_sent_as_rows_of_ink_from_the_top():
    (sent,) = inky().as_dict()["inks"]
    assert sent["pixels"] == ["01", "10"] and sent["role"] == "support" and sent["press"] == ""


def test_the_first_row_of_an_image_is_painted_on_top():
    scene = inky()
    upside_down = Ink(0.5, 0.5, [[1, 1], [0, 0]], 0.8)
    picture = draw(Scene(**{**vars(scene), "inks": [upside_down], "diagram": True}))
    solid = np.asarray(Image.open(BytesIO(picture.png)).convert("RGBA"))[..., 3] == 255
    drawn = np.flatnonzero(solid.sum(1) > 0.3 * solid.shape[1])
    assert len(drawn) > 50 and drawn.mean() < solid.shape[0] / 2


def test_the_roles_of_images_are_checked():
    with pytest.raises(ValueError, match="unknown role 'red'"):
        Scene(**{**vars(inky()), "inks": [Ink(0, 0, [[1]], role="red")]})


# ---- what is pressed


def press_scene(pressed, size=1):
    return Scene(
        **{**vars(inky(press="a")), "title": f"Pressed so far: {' '.join(pressed)} at {size}"},
    )


def test_what_is_pressed_in_the_browser_reaches_the_function_in_order():
    live = interactive(press_scene, {"size": ("size", 1, 3, 1, 1)}, press="pressed")
    live.widget  # noqa: B018
    for count, name in enumerate("abb", start=1):
        live.planes[0].pressed = {"name": name, "count": count}
    assert live.values["pressed"] == ["a", "b", "b"]
    assert live.planes[0].scene["title"] == "Pressed so far: a b b at 1"


def test_a_figure_without_buttons_knows_no_presses():
    live = interactive(lambda: inky())
    assert live.values == {}
    with pytest.raises(ValueError, match="no 'pressed'"):
        live.set(pressed=["a"])


def test_a_note_with_a_name_to_press_is_a_button():
    sent = Scene(**{**vars(inky()), "notes": [Note(0, 0, "next", press="next")]}).as_dict()
    assert sent["notes"][0]["press"] == "next"
