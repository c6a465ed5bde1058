"""Pictures carry their words, and the same scene gives the same bytes."""

import io
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from maml_edu.figures import Arrow, Band, Curve, Level, Note, Points, Scene, draw
from maml_edu.figures.style import ROLES


def busy_scene(title="It <rises>"):
    x = np.linspace(0, 1, 20)
    return Scene(
        title=title,
        alt='A line "up" & a mark.',
        xlabel="x",
        ylabel="y",
        xlim=(0, 1),
        ylim=(0.1, 1),
        ylog=True,
        levels=[Level([np.array([[0, 0.2], [1, 0.4]])])],
        bands=[Band(x, x / 2, x, "maml", "interval")],
        curves=[Curve(x, x, role, role) for role in ROLES],
        arrows=[Arrow((0, 0.2), (1, 0.8), "maml", "push"), Arrow((0.5, 0.5), (0.5, 0.5))],
        points=[Points(0.5, 0.5, role) for role in ROLES],
        notes=[Note(0.5, 0.5, "here", "middle")],
    )


class Images(HTMLParser):
    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.attributes = dict(attributes)


def test_the_picture_shows_its_alt_text_to_every_kind_of_reader():
    picture = draw(busy_scene())
    data, metadata = picture._repr_mimebundle_()
    reader = Images()
    reader.feed(data["text/html"])
    words = 'It <rises>. A line "up" & a mark.'
    assert picture.alt == words == data["text/plain"] == metadata["image/png"]["alt"]
    assert reader.attributes["alt"] == words
    assert reader.attributes["src"].startswith("data:image/png;base64,")


def test_panels_are_described_one_after_the_other():
    assert draw(busy_scene("One"), busy_scene("Two")).alt.startswith("Left: One. A line")
    three = draw(*[busy_scene(t) for t in ("One", "Two", "Three")], columns=2)
    assert "Panel 3: Three. A line" in three.alt


def test_the_same_scene_gives_the_same_bytes_whatever_the_reader_has_configured():
    first = draw(busy_scene()).png
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 300}):
        assert draw(busy_scene()).png == first


def test_the_file_holds_pixels_and_nothing_else():
    image = Image.open(io.BytesIO(draw(busy_scene()).png))
    assert image.info == {}


def test_a_note_is_painted():
    assert draw(busy_scene()).png != draw(_without_notes()).png


def _without_notes():
    scene = busy_scene()
    scene.notes.clear()
    return scene


def test_drawing_nothing_says_what_to_give():
    with pytest.raises(ValueError, match="at least one"):
        draw()


def test_drawing_leaves_the_readers_matplotlib_alone():
    with matplotlib.rc_context({"font.size": 17}):
        draw(busy_scene())
        assert matplotlib.rcParams["font.size"] == 17
