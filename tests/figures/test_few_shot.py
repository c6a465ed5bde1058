"""What the figures of chapter 10 show is what they are given; the game counts what was clicked."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import maml_edu.figures as figures
import maml_edu.pytorch as mt
from maml_edu.figures import Ink, Note, Scene, few_shot, interactive
from maml_edu.tasks import FewShotImages

QUIZ = {
    "support": np.zeros((3, 5, 4, 4)),
    "query": np.ones((3, 4, 4)),
    "truth": [2, 0, 4],
    "network": [2, 1, 4],
    "pixels": [3, 0, 0],
}


@pytest.fixture(scope="module")
def tasks():
    """Six classes of one pixel-wide bars, by hands that shift them: easy, and quick to draw."""
    bank = np.zeros((6, 8, 28, 28), np.uint8)
    for character in range(6):
        for hand in range(8):
            bank[character, hand, 2 + hand % 2 : 20, 4 * character + 2] = 1
    return FewShotImages(bank, ways=5, shots=1, queries=3)


@pytest.fixture(scope="module")
def learner():
    torch.manual_seed(0)
    return mt.MAML(mt.Conv4(5, filters=4), F.cross_entropy, inner_lr=0.4)


def an_accuracy():
    rows = {"MAML": (0.9, 0.02), "pixels": (0.4, 0.03)}
    return figures.accuracies(rows, "MAML is above the pixels", 0.2, ours=("MAML",))


def test_every_figure_has_a_title_alt_text_and_a_modest_size(tasks, learner):
    batch = tasks.sample(np.random.default_rng(0), tasks=1)
    game = figures.be_the_classifier(learner, tasks, questions=3)
    for picture in (figures.an_episode(batch), an_accuracy(), game.twin):
        assert len(picture.title) > 15 and len(picture.alt) > len(picture.title) + 40
        assert len(picture.png) < 100_000


# ---- images in a scene


def inky(**changes):
    ink = Ink(0.5, 0.5, [[0, 1], [1, 0]], 0.4, "support", "an image", **changes)
    axes = {"xlabel": "x", "ylabel": "y", "xlim": (0, 1), "ylim": (0, 1)}
    return Scene("An image on paper", "A small image.", inks=[ink], **axes)


def test_an_image_is_sent_as_rows_of_ink_from_the_top():
    (sent,) = inky().as_dict()["inks"]
    assert sent["pixels"] == ["01", "10"] and sent["role"] == "support" and sent["press"] == ""


def test_the_first_row_of_an_image_is_painted_on_top():
    from io import BytesIO

    from PIL import Image

    scene = inky()
    upside_down = Ink(0.5, 0.5, [[1, 1], [0, 0]], 0.8)
    picture = figures.draw(Scene(**{**vars(scene), "inks": [upside_down], "diagram": True}))
    grey = np.asarray(Image.open(BytesIO(picture.png)).convert("L"))
    dark = np.flatnonzero((grey < 60).sum(1) > 0.3 * grey.shape[1])
    assert len(dark) > 50 and dark.mean() < grey.shape[0] / 2


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


# ---- the game


@pytest.mark.parametrize(
    ("pressed", "answers", "shown"),
    [
        ([], [], False),
        (["1"], [1], True),
        (["1", "2"], [1], True),  # the answer that counts is the first
        (["1", "next"], [1], False),
        (["next", "1", "next", "next", "0"], [1, 0], True),
        (["1", "next", "0", "next", "3", "next", "3"], [1, 0, 3], True),  # the last one stays
    ],
)
def test_clicks_become_answers(pressed, answers, shown):
    assert few_shot.played(pressed, questions=3) == (answers, shown)


def test_an_open_question_says_nothing_of_its_answer_and_can_be_clicked():
    scene = few_shot.quiz_scene(QUIZ, [])
    assert [ink.press for ink in scene.inks] == ["0", "1", "2", "3", "4", ""]
    assert not [p for p in scene.points if p.role == "goal"]
    assert "number" not in scene.alt and not any(note.press for note in scene.notes)


def test_an_answered_question_shows_who_said_what_and_leads_on():
    scene = few_shot.quiz_scene(QUIZ, ["3"])
    assert not any(ink.press for ink in scene.inks)
    assert [note.press for note in scene.notes if note.press] == ["next"]
    (star,) = [p for p in scene.points if p.role == "goal"]
    assert star.x == 3  # class 2 is the third
    places = {p.role: round(p.x) for p in scene.points if p.y > 2}
    assert places == {"goal": 3, "reader": 4, "maml": 3, "baseline": 4}
    assert "no, the star" in scene.title and "you 0, network 1, pixels 0" in scene.title


def test_the_score_counts_right_answers_of_all_players():
    scene = few_shot.quiz_scene(QUIZ, ["2", "next", "0", "next", "0"])
    assert "you 2, network 2, pixels 1" in scene.title
    assert not any(note.press for note in scene.notes), "there is no question after the last"
    assert "you: 2 of 3" in [note.text for note in scene.notes]


def test_the_quiz_asks_learner_and_pixels_about_one_query_beside_the_support_set(tasks, learner):
    quiz = few_shot.make_quiz(learner, tasks, steps=1, questions=6, seed=3)
    for task in range(6):
        support = torch.tensor(quiz["support"][task])[:, None]  # (ways, 1, 28, 28)
        query = torch.tensor(quiz["query"][task])[None, None]
        phi = learner.adapt(support, torch.arange(5))
        both = learner.predict(phi, torch.cat([support, query]))
        assert int(both[-1].argmax()) == quiz["network"][task]
        nearest = ((support - query) ** 2).sum((1, 2, 3)).argmin()
        assert int(nearest) == quiz["pixels"][task]


def test_several_shots_are_refused_with_a_word(tasks, learner):
    two = FewShotImages(tasks.bank, ways=5, shots=2, queries=1)
    with pytest.raises(ValueError, match="shots=1"):
        figures.be_the_classifier(learner, two)


# ---- accuracies


def test_a_row_shows_its_accuracy_and_interval_in_per_cent():
    scene = few_shot.accuracy_scene(
        {"a": (0.9, 0.02), "b": (0.4, 0.03)}, "One row each", 0.2, ("a",)
    )
    np.testing.assert_allclose([curve.x for curve in scene.curves[:2]], [[37, 43], [88, 92]])
    assert [point.role for point in scene.points] == ["baseline", "maml"]
    assert scene.points[1].y > scene.points[0].y, "the first is on top"
    assert "a: 90.0 ± 2.0 %" in [note.text for note in scene.notes]
