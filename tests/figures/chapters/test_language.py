"""What the figures of chapter 14 show agrees with the features and with computations of their own."""

import numpy as np
import pytest

import maml_edu.reference as ref
from maml_edu.figures.chapters import language as shown
from maml_edu.tasks import hashed_ngrams

THETA = ref.mlp_init(np.random.default_rng(0), (256, 8, 5))


@pytest.mark.parametrize("asked", [shown.ASKED, "Wo kann ich parken?", "hotel hotel HOTEL", ""])
def test_what_the_letters_add_is_the_difference_of_the_two_cosines(asked):
    keys, query = hashed_ngrams(shown.SENTENCES[:2], 256), hashed_ngrams([asked], 256)[0]
    adds = shown.by_letter(asked, keys[0] - keys[1], 256)
    assert adds.sum() == pytest.approx(float(query @ (keys[0] - keys[1])), abs=1e-6)


def test_letters_between_words_add_nothing():
    text = "do you park"
    adds = shown.by_letter(text, np.ones(256), 256)
    assert all(adds[i] == 0 for i, letter in enumerate(text) if letter == " ")


def test_the_title_names_the_sentence_that_is_asked_again():
    answers, letters = shown.box_scenes(THETA, 1.0, 0, shown.SENTENCES, shown.SENTENCES[3], 256)
    assert "Centroid: intent 4" in answers.title
    assert letters.title.startswith("Intent 4 is ahead of")


def test_the_network_takes_gradient_steps_on_the_five_sentences():
    x = hashed_ngrams(shown.SENTENCES, 256).astype(float)
    phi = ref.adapt(ref.cross_entropy, THETA, x, np.arange(5), 2.0, 4)
    scores = ref.mlp(phi, hashed_ngrams([shown.ASKED], 256).astype(float))[0]
    answers, _ = shown.box_scenes(THETA, 2.0, 4, shown.SENTENCES, shown.ASKED, 256)
    chances = next(bar for bar in answers.bars if bar.role == "maml").value
    np.testing.assert_allclose(chances, np.exp(scores) / np.exp(scores).sum(), rtol=1e-6)


def test_the_letters_that_decided_stand_on_a_coloured_ground():
    asked = "qqqq where"  # the first word is in no box
    theta = ref.mlp_init(np.random.default_rng(0), (4096, 8, 5))
    letters = shown.box_scenes(theta, 1.0, 0, ["where", "x", "y", "z", "w"], asked, 4096)[1]
    [ground] = letters.bands
    assert ground.role == "after"
    assert 4.5 <= ground.x[0] < ground.x[1] <= len(asked) - 0.5
    assert "where" in letters.alt.split("Most in favour")[1]


def test_empty_boxes_and_an_empty_question_are_drawn():
    answers, letters = shown.box_scenes(THETA, 1.0, 1, [""] * 5, "", 256)
    assert "No letter group in common" in answers.title
    assert "No letter speaks for" in letters.title


def test_a_typed_sentence_is_answered_at_once():
    figure = shown.five_boxes(THETA, 1.0)
    figure.set(box2="a b c d", asked="a b c d")
    assert "Centroid: intent 2" in figure.scenes[0].title


def test_differences_stand_on_their_side_of_nothing():
    scene = shown.difference_scene({"gains": (0.03, 0.01), "loses": (-0.02, 0.01)}, "title")
    assert [point.x for point in scene.points] == [3.0, -2.0]
    assert (
        len({(point.role, point.label) for point in scene.points}) == 1
    )  # one mark, in the legend
    assert scene.xlim[0] < -3 and scene.xlim[1] > 4


def test_names_stand_left_of_every_interval():
    rows = {"even": (0.0, 0.003), "loses much": (-0.14, 0.009), "gains": (0.05, 0.007)}
    scene = shown.difference_scene(rows, "title")
    left, right = scene.xlim
    ends = min(interval.low for interval in scene.intervals)
    assert all(note.x < left + (right - left) / 20 for note in scene.notes)
    assert ends > left + (right - left) / 2  # a name takes up to half the width
