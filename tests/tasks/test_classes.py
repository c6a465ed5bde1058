"""Episodes from a bank of images: laws that hold for every draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu.tasks import FewShotImages, TaskBatch

quick = settings(max_examples=40, deadline=None, derandomize=True)


def marked_bank(classes, examples, side=4):
    """A bank in which the first two pixels of an image say which class and example it is."""
    bank = np.zeros((classes, examples, side, side), np.uint8)
    bank[:, :, 0, 0] = np.arange(classes)[:, None]
    bank[:, :, 0, 1] = np.arange(examples)
    bank[:, :, -1, -1] = 255
    return bank


def marks(x):
    """(class, example) of the images of a batch, as whole numbers."""
    return np.rint(x[:, :, 0, 0, :2] * 255).astype(int)


@quick
@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
def test_no_class_twice_and_support_and_query_share_no_example(ways, shots, queries, seed):
    family = FewShotImages(marked_bank(8, 8), ways, shots, queries)
    batch = family.sample(np.random.default_rng(seed), tasks=6)
    assert isinstance(batch, TaskBatch)
    support, query = marks(batch.support_x), marks(batch.query_x)
    for task in range(6):
        of_label = {
            label: set(support[task, batch.support_y[task] == label, 0]) for label in range(ways)
        }
        assert all(len(classes) == 1 for classes in of_label.values())
        assert len(set.union(*of_label.values())) == ways
        for label, classes in of_label.items():
            assert set(query[task, batch.query_y[task] == label, 0]) == classes
        seen = [tuple(mark) for mark in np.concatenate([support[task], query[task]])]
        assert len(set(seen)) == len(seen) == ways * (shots + queries)


@quick
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
def test_shapes_types_and_range(ways, shots, queries):
    batch = FewShotImages(marked_bank(5, 6), ways, shots, queries).sample(
        np.random.default_rng(0), tasks=3
    )
    assert batch.support_x.shape == (3, ways * shots, 1, 4, 4)
    assert batch.query_x.shape == (3, ways * queries, 1, 4, 4)
    assert batch.support_x.dtype == np.float32 and batch.support_y.dtype == np.int64
    assert 0 <= batch.query_x.min() and batch.query_x.max() == 1
    assert batch.support_y.tolist() == [[n for n in range(ways) for _ in range(shots)]] * 3


def test_the_same_generator_gives_the_same_episodes_and_another_gives_others():
    family = FewShotImages(marked_bank(20, 6), 5, 1, 2)
    one, same, other = (family.sample(np.random.default_rng(s), tasks=4) for s in (1, 1, 2))
    assert np.array_equal(one.query_x, same.query_x)
    assert not np.array_equal(one.query_x, other.query_x)


def test_every_class_gets_every_label_equally_often():
    batch = FewShotImages(marked_bank(4, 3), 2, 1, 1).sample(np.random.default_rng(0), tasks=4000)
    classes = marks(batch.support_x)[:, :, 0]  # (tasks, ways)
    for label in range(2):
        share = np.bincount(classes[:, label], minlength=4) / 4000
        np.testing.assert_allclose(share, 0.25, atol=0.03)


def test_rotations_make_three_new_classes_of_each():
    bank = marked_bank(2, 3)
    family = FewShotImages(bank, 8, 1, 1, rotations=True)
    assert family.bank.shape[0] == 8
    for turn in range(4):
        assert np.array_equal(family.bank[2 * turn + 1, 2], np.rot90(bank[1, 2], turn))


@pytest.mark.parametrize("arguments, words", [
    ({"ways": 6}, "as many classes, not 5"),
    ({"ways": 0}, "ways must be a whole number"),
    ({"shots": 1.5}, "shots must be a whole number"),
    ({"queries": True}, "queries must be a whole number"),
    ({"shots": 4, "queries": 3}, "6 examples of a class"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_with_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        FewShotImages(marked_bank(5, 6), **({"ways": 5, "queries": 2} | arguments))


def test_a_bank_of_another_kind_is_refused():
    for bank in (np.zeros((5, 6, 4, 4)), np.zeros((5, 6, 4), np.uint8), [[1, 2], [3, 4]]):
        with pytest.raises(ValueError, match="a bank holds uint8 images"):
            FewShotImages(bank)
    with pytest.raises(ValueError, match="numpy Generator"):
        FewShotImages(marked_bank(5, 20)).sample(0)
