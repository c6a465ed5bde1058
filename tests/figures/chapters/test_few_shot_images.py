"""What the figures of chapter 10 show is what they are given; the game counts what was clicked."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import maml_edu.figures as figures
import maml_edu.pytorch as mt
from maml_edu.figures.chapters import few_shot_images as few_shot
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


# ---- the game


@pytest.mark.parametrize(
    ("pressed", "answers", "shown"),
    [
        ([], [], False),
        (["1"], [1], True),
        (["1", "2"], [1], True),  # the answer that counts is the first
        (["1", "next"], [1], False),
        (["next", "1", "next", "next", "0"], [1, 0], True),
        (["1", "next", "0", "next", "3"], [1, 0, 3], True),
        (["1", "next", "0", "next", "3", "next", "3"], [1, 0, 3], False),  # the verdict stays
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
    assert (star.x, star.y) == (3.38, 3.05 + 0.38)  # on the frame of class 2, the third
    places = {p.role: round(p.x) for p in scene.points if p.y > 2}
    assert places == {"goal": 3, "reader": 4, "maml": 3, "baseline": 4}
    assert "no, the star" in scene.title and "you 0, network 1, pixels 0" in scene.title


def test_the_score_counts_right_answers_of_all_players():
    scene = few_shot.quiz_scene(QUIZ, ["2", "next", "0", "next", "0"])
    assert "you 2, network 2, pixels 1" in scene.title
    assert "your verdict →" in [note.text for note in scene.notes if note.press]
    assert "you: 2 of 3" in [note.text for note in scene.notes]


def test_the_game_ends_with_the_score_among_published_ones_of_as_many_ways():
    scene = few_shot.quiz_scene(QUIZ, ["2", "next", "0", "next", "0", "next"])
    said = " ".join(note.text for note in scene.notes)
    assert "you, here: 67 % (21 to 94)" in said
    assert "MAML (2017), transductive, published: 98.7 ± 0.4 %" in said
    assert "2 of 3 right" in scene.title and "other characters than these" in scene.alt
    assert {"reader", "maml", "baseline", "before"} == {point.role for point in scene.points}
    assert not any(ink.press for ink in scene.inks) and not any(n.press for n in scene.notes)


def test_where_nothing_is_published_the_verdict_is_the_score_alone():
    scene = few_shot.verdict_scene({"you": 3, "network": 3, "pixels": 1}, 3, ways=4)
    assert "published" not in scene.alt + scene.title
    assert "you, here: 100 % (44 to 100)" in [note.text for note in scene.notes]


@pytest.mark.parametrize(("ways", "rows"), [(3, 1), (5, 1), (7, 1), (20, 3)])
def test_the_examples_of_many_ways_stand_in_rows_and_apart(ways, rows):
    places = few_shot.places_of(ways)
    assert len(set(places)) == ways and len({y for _, y in places}) == rows


def test_a_question_of_twenty_ways_can_be_answered():
    quiz = QUIZ | {"support": np.zeros((3, 20, 4, 4)), "truth": [19, 0, 4]}
    scene = few_shot.quiz_scene(quiz, [])
    assert [ink.press for ink in scene.inks] == [*map(str, range(20)), ""]
    assert "twenty" in scene.title and "20" not in scene.title
    (star,) = [p for p in few_shot.quiz_scene(quiz, ["19"]).points if p.role == "goal"]
    assert (star.x, star.y) == (6.38, pytest.approx(3.05 + 0.38))


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
    ends = [(interval.low, interval.high, interval.at) for interval in scene.intervals]
    np.testing.assert_allclose(ends, [(37, 43, 1), (88, 92, 2)])
    assert [point.role for point in scene.points] == ["baseline", "maml"]
    assert scene.points[1].y > scene.points[0].y, "the first is on top"
    assert "a: 90.0 ± 2.0 %" in [note.text for note in scene.notes]


def test_words_stand_right_of_the_line_of_chance():
    scene = few_shot.accuracy_scene({"a": (0.9, 0.02), "b": (0.4, 0.03)}, "One row each", 0.2)
    (chance,) = [curve for curve in scene.curves if curve.label == "chance"]
    assert set(chance.x) == {20} and all(20 < note.x < 25 for note in scene.notes)


def test_the_line_of_chance_has_gaps_for_words_that_are_too_long_to_stand_right_of_it():
    long = "a method whose name says all that it does, and when, and why"
    scene = few_shot.accuracy_scene({long: (0.9, 0.02), "b": (0.4, 0.03)}, "One row each", 0.2)
    assert all(note.x < 5 for note in scene.notes)
    (chance,) = [curve for curve in scene.curves if curve.label == "chance"]
    crossed = [low < note.y < high for note in scene.notes for low, high in pieces(chance.y)]
    assert len(crossed) == 4 and not any(crossed)


def pieces(heights):
    """(low, high) of the pieces of a line that NaN interrupts."""
    cuts = np.array(heights).reshape(-1, 3)
    return [(low, high) for low, high, _ in cuts]


# ---- company


def test_company_is_a_row_each_in_the_order_given_and_nothing_joins_them():
    rows = {"even": (0.9, 0.02), "uneven": (0.5, 0.03), "one class": (0.2, 0.01)}
    scene = few_shot.company_scene(rows, "Company decides", 0.2, alone=0.88)
    assert [point.x for point in scene.points] == pytest.approx([20, 50, 90])
    assert [point.y for point in scene.points] == [1, 2, 3], "the first is on top"
    lines = {curve.label: curve for curve in scene.curves}
    assert set(lines) == {"one query at a time", "chance"}
    assert [interval.label for interval in scene.intervals] == 3 * ["95 % interval"]
    assert set(lines["one query at a time"].x) == {88} and set(lines["chance"].x) == {20}


def test_the_words_of_company_begin_at_one_place_and_lie_off_all_lines():
    rows = {"even": (0.9, 0.02), "eleven of one class, one of each of the other four": (0.5, 0.03)}
    scene = few_shot.company_scene(rows, "Company decides", 0.15, alone=0.62)
    assert len({note.x for note in scene.notes}) == 1
    lines = {curve.label: curve for curve in scene.curves}
    (gap,) = np.flatnonzero(np.isnan(lines["one query at a time"].y))
    (reaching,) = [note for note in scene.notes if note.text.startswith("eleven")]
    low, high = lines["one query at a time"].y[gap - 1], lines["one query at a time"].y[gap + 1]
    assert low < reaching.y < high
    crossed = [a < note.y < b for note in scene.notes for a, b in pieces(lines["chance"].y)]
    assert not any(crossed)


def test_the_legend_of_accuracies_says_whose_marks_are_whose():
    picture = figures.accuracies({"a": (0.9, 0.02), "b": (0.4, 0.03)}, "Rows", 0.2, ours=("a",))
    labels = {point.role: point.label for point in picture.scenes[0].points}
    assert labels == {"maml": "MAML", "baseline": "other methods"}
