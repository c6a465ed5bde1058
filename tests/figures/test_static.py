"""Pictures carry their words, and the same scene gives the same bytes."""

import io
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from maml_edu.figures import Arrow, Band, Bar, Curve, Interval, Level, Note, Points, Scene, draw
from maml_edu.figures.style import GROUNDS, ROLES, contrast


def busy_scene(title="It <rises>", **more):
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
        **more,
    )


def pixels(*scenes):
    """(height, width, 4), 0 … 255."""
    return np.asarray(Image.open(io.BytesIO(draw(*scenes).png)).convert("RGBA")).astype(int)


def plain(**more):
    axes = {"xlabel": "x", "ylabel": "y", "xlim": (0, 10), "ylim": (0, 10)}
    return Scene("A title that says it", "What there is to see.", **{**axes, **more})


# ---- light pages and dark ones


def test_a_picture_has_no_paper_of_its_own():
    painted = pixels(busy_scene())
    assert (painted[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()
    assert (painted[..., 3] == 0).mean() > 0.5
    white = (painted[..., :3] > 230).all(axis=-1) & (painted[..., 3] > 60)
    assert not white.any()


@pytest.mark.parametrize("ground", GROUNDS)
def test_all_words_are_seen_on_light_pages_and_on_dark_ones(ground):
    painted = pixels(plain())
    solid = painted[painted[..., 3] == 255]
    assert len(solid) > 500
    tones = {f"#{bytes(own[:3].tolist()).hex()}" for own in solid}
    assert min(contrast(tone, ground) for tone in tones) >= 3


def test_words_over_a_line_cut_a_hole_into_it():
    line = [Curve([0, 10], [5, 5], "truth")]
    alone, with_words = (
        pixels(plain(curves=line, notes=notes)) for notes in ([], [Note(5, 5, "l  l  l", "middle")])
    )
    gone = (alone[..., 3] == 255) & (with_words[..., 3] == 0)
    assert gone.sum() > 20


# ---- bars, intervals, diagrams


def test_a_bar_that_is_cut_shows_it():
    whole, cut = (pixels(plain(bars=[Bar([2, 6], [4, v], "maml")])) for v in (10, 11))
    gone = (whole[..., 3] == 255) & (cut[..., 3] < 128)
    assert gone.sum() > 100


def test_an_interval_shorter_than_its_mark_is_seen():
    mark = [Points(5, 5, "maml")]
    alone, both = (
        pixels(plain(points=mark, intervals=own)) for own in ([], [Interval(4.98, 5.02, 5)])
    )
    assert (both[..., 3] > alone[..., 3] + 100).sum() > 6


def test_a_diagram_has_neither_axes_nor_their_labels():
    axes = {"xlabel": "", "ylabel": "", "diagram": True, "points": [Points(5, 5, "maml")]}
    painted = pixels(plain(**axes))
    below_the_title = painted[60:, :, 3]
    assert 0 < (below_the_title > 0).sum() < 600


# ---- words


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
    assert image.info.keys() <= {"transparency"}


@pytest.mark.parametrize(
    "title",
    [
        "Three starts, one wave: each network has found it from twenty points",
        " ".join(["MMMM WWWW"] * 9),
    ],
)
def test_no_title_runs_out_of_its_picture(title):
    above_the_axes = pixels(Scene(**{**vars(plain()), "title": title}))[:35, :, 3]
    assert (above_the_axes > 0).any() and (above_the_axes[:, -5:] == 0).all()


def test_panels_of_equal_scales_beside_a_diagram_are_not_cut():
    """Without axis labels beside them all panels are wider, and with equal scales higher, too."""
    marks = [Points(5, 5, role, f"a thing that is called {role}") for role in ("maml", "support")]
    title = "A title that is so long that it needs a second line in its picture"
    square = {"equal": True, "title": title}
    axes = plain(points=marks, legend="below")
    scenes = [Scene(**{**vars(axes), **square, "diagram": on}) for on in (False, True)]
    painted = pixels(*scenes)[..., 3]
    assert (painted[[0, -1]] == 0).all() and (painted > 0).any()


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
