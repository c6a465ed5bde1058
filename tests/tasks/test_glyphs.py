"""Glyphs: invented, but as hard as real characters, and the same for the same seed."""

import numpy as np
import pytest

from maml_edu.tasks import FewShotImages, Glyphs
from maml_edu.tasks.glyphs import PENS, SIDE, bezier, draw_glyphs, rasterise


def rng(seed=0):
    return np.random.default_rng(seed)


def nearest_neighbour_accuracy(family, episodes=400):
    """Of pixels, in 1-shot episodes: the class of the support image with fewest other pixels."""
    batch = family.sample(rng(7), tasks=episodes)
    support, query = (x.reshape(*x.shape[:2], -1) for x in (batch.support_x, batch.query_x))
    distance = (query**2).sum(2)[:, :, None] - 2 * query @ support.transpose(0, 2, 1)
    distance += (support**2).sum(2)[:, None]
    return (distance.argmin(2) == batch.query_y).mean()


@pytest.mark.parametrize("seed", range(3))
def test_glyphs_are_about_as_hard_as_omniglot_for_a_nearest_neighbour(seed):
    bank = draw_glyphs(rng(seed), 20, 20, 20).reshape(-1, 20, SIDE, SIDE)
    assert 0.35 <= nearest_neighbour_accuracy(FewShotImages(bank, 5, 1, 5)) <= 0.50


def test_the_same_seed_draws_the_same_glyphs_and_another_draws_others():
    one, same, other = (draw_glyphs(rng(seed), 2, 3, 4) for seed in (5, 5, 6))
    assert one.shape == (2, 3, 4, SIDE, SIDE) and one.dtype == np.uint8
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_every_glyph_has_ink_in_moderation():
    images = draw_glyphs(rng(1), 10)
    ink = images.mean((3, 4))
    assert set(np.unique(images)) == {0, 1}
    assert ink.min() > 0 and ink.max() < 0.5 and 0.05 < ink.mean() < 0.15


def test_drawers_draw_one_character_alike_but_never_twice_the_same():
    images = draw_glyphs(rng(2), 5, 10, 20).astype(float)  # (alphabets, characters, drawers, …)
    flat = images.reshape(5, 10, 20, -1)
    within = np.abs(flat[:, :, :10] - flat[:, :, 10:]).mean()
    between = np.abs(flat[:, :5] - flat[:, 5:]).mean()
    assert within < 0.9 * between
    assert len(np.unique(flat.reshape(1000, -1), axis=0)) == 1000


def test_characters_of_one_alphabet_are_more_alike_than_those_of_two():
    centres = draw_glyphs(rng(3), 40, 20, 10).mean(2).reshape(40, 20, -1)
    within = ((centres[:, :10] - centres[:, 10:]) ** 2).mean()
    between = ((centres[:20] - centres[20:]) ** 2).mean()
    assert within < between


def test_splits_share_no_alphabet():
    few = {"alphabets": 3, "characters": 10}
    banks = {split: Glyphs(split, **few).bank for split in ("train", "val", "test")}
    images = {
        split: {image.tobytes() for image in bank.reshape(-1, 784)} for split, bank in banks.items()
    }
    assert not images["train"] & images["test"] and not images["train"] & images["val"]


def test_a_family_has_as_many_classes_as_asked_for():
    family = Glyphs("val", 5, 1, 3, alphabets=2, characters=6, drawers=4, rotations=True)
    assert family.bank.shape == (4 * 12, 4, SIDE, SIDE)
    assert repr(family) == (
        "Glyphs('val', ways=5, shots=1, queries=3, rotations=True, alphabets=2, characters=6, drawers=4, seed=0)"
    )


@pytest.mark.parametrize(("options", "words"), [
    ({"split": "training"}, "split must be one of train, val, test"),
    ({"alphabets": 0}, "alphabets must be a whole number"),
    ({"drawers": 3.5}, "drawers must be a whole number"),
    ({"drawers": 10}, "there are 10 examples of class 0"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Glyphs(**({"alphabets": 1} | options))


def test_bezier_curves_start_and_end_at_their_outer_control_points():
    control = np.array([[0, 1j, 1 + 1j, 1], [0, 1, 2, 3]], complex)
    at = bezier(control, np.array([0, 0.5, 1]))
    np.testing.assert_allclose(at, [[0, 0.5 + 0.75j, 1], [0, 1.5, 3]])
    np.testing.assert_allclose(bezier(control, np.array([[0.5], [0.25]])), [[0.5 + 0.75j], [0.75]])


def test_a_straight_stroke_colours_a_straight_line_and_hidden_strokes_nothing():
    across = (np.linspace(0.2, 0.8, 4) + 0.51j).reshape(1, 1, 1, 4)
    shown, hidden = (
        rasterise(across, np.full((1, 1, 1), on), np.zeros((1, 1), int)) for on in (1 > 0, 1 < 0)
    )
    rows, columns = np.nonzero(shown[0, 0])
    assert set(rows) == {SIDE // 2} and columns.min() in (5, 6) and columns.max() in (22, 23)
    assert set(columns) == set(range(columns.min(), columns.max() + 1)) and not hidden.any()


def test_a_broader_pen_leaves_more_ink():
    strokes = np.repeat((np.linspace(0.2 + 0.3j, 0.8 + 0.7j, 4)).reshape(1, 1, 1, 4), len(PENS), 1)
    there = np.ones((1, len(PENS), 1), bool)
    ink = rasterise(strokes, there, np.arange(len(PENS))[None]).sum((2, 3))[0]
    assert ink[0] < ink[1] < ink[2]
