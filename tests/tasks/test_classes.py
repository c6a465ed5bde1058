"""Episodes from a bank of images: laws that hold for every draw."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maml_edu.pytorch.training.sampling import Stream, sampler_for
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
    ({"shots": 4, "queries": 3}, "there are 6 examples of class 0, and 4 more .* takes 4 for"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_with_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        FewShotImages(marked_bank(5, 6), **({"ways": 5, "queries": 2} | arguments))


def test_anything_but_a_generator_is_refused():
    with pytest.raises(ValueError, match="numpy Generator"):
        FewShotImages(marked_bank(5, 20)).sample(0)


def test_examples_that_a_class_does_not_have_are_refused():
    family = FewShotImages([marked_bank(1, n)[0] for n in (4, 6)], 2, 1, 1)
    chosen = np.array([[1, 0]])
    assert family.batch(chosen, np.array([[[5, 0], [3, 0]]])).support_x.shape == (1, 2, 1, 4, 4)
    for bad in (4, -1):
        with pytest.raises(ValueError, match="numbered from 0 within their class"):
            family.batch(chosen, np.array([[[5, 0], [bad, 0]]]))


# ------------------------------------------------------------------ colour, floats, unequal classes


def colours(classes=3, examples=4, height=6, width=5, channels=3, seed=0):
    return np.random.default_rng(seed).integers(
        0, 256, (classes, examples, height, width, channels), dtype=np.uint8
    )


def small(bank, **options):
    return FewShotImages(bank, ways=2, shots=1, queries=2, **options)


def assert_same_episodes(one, other):
    for a, b in zip(
        *(f.sample(np.random.default_rng(3), 4).arrays for f in (one, other)), strict=True
    ):
        assert a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_come_out_with_channels_first_however_they_went_in(channels):
    last = colours(channels=channels)
    family = small(last)
    batch = family.sample(np.random.default_rng(0), 2)
    assert batch.support_x.shape == (2, 2, channels, 6, 5) and batch.query_x.shape == (
        2,
        4,
        channels,
        6,
        5,
    )
    chosen, examples = family.draw(np.random.default_rng(0), 2)
    expected = last[chosen[1, 0], examples[1, 0, 0]].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(batch.support_x[1, 0], expected.astype(np.float32))
    assert_same_episodes(family, small(last.transpose(0, 1, 4, 2, 3)))
    assert family.bank.shape == (3, 4, channels, 6, 5)


def test_which_axis_holds_the_channels_is_asked_where_it_cannot_be_seen():
    for height, width, channels in ((3, 5, 4), (6, 5, 2)):
        bank = colours(height=height, width=width, channels=channels)
        with pytest.raises(
            ValueError, match=r'which axis .* Say channels="first" or channels="last"'
        ):
            small(bank)
        last = small(bank, channels="last").sample(np.random.default_rng(0), 1).support_x
        first = small(bank, channels="first").sample(np.random.default_rng(0), 1).support_x
        assert last.shape[2:] == (channels, height, width) and first.shape[2:] == (
            height,
            width,
            channels,
        )
    with pytest.raises(ValueError, match='channels must be "first" or "last"; got 3'):
        small(colours(), channels=3)
    with pytest.raises(ValueError, match="have no axis of channels"):
        small(marked_bank(3, 4), channels="first")


def test_images_in_colour_that_are_not_sorted_by_class_are_noticed():
    with pytest.raises(ValueError, match="look like images in colour that are not sorted by class"):
        small(np.zeros((50, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_real_valued_images_are_left_as_they_are_in_float32(dtype):
    bank = np.random.default_rng(0).normal(2, 5, (3, 4, 6, 5)).astype(dtype)
    family = small(bank)
    chosen, examples = family.draw(np.random.default_rng(0), 2)
    x = family.sample(np.random.default_rng(0), 2).support_x
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :, 0], bank[chosen, examples[:, :, 0]].astype(np.float32))


def test_bytes_are_divided_by_255_unless_all_are_ink_or_paper():
    bank = np.zeros((2, 3, 4, 4), np.uint8)
    for most, expected in ((255, 1.0), (200, 200 / 255), (2, 2 / 255), (1, 1.0)):
        bank[:, :, 1, 1] = most
        x = FewShotImages(bank, 2, 1, 2).sample(np.random.default_rng(0), 1).query_x
        assert x.max() == np.float32(expected)
    assert_same_episodes(FewShotImages(bank > 0, 2, 1, 2), FewShotImages(bank, 2, 1, 2))


def unequal(sizes=(3, 7, 4, 5)):
    """Classes of unequal size, with the marks of `marked_bank`."""
    return [marked_bank(len(sizes), n)[label, :n] for label, n in enumerate(sizes)]


@quick
@given(st.integers(0, 2**32))
def test_classes_of_unequal_size_are_drawn_without_replacement_within_themselves(seed):
    family = FewShotImages(unequal(), 3, 1, 2)
    batch = family.sample(np.random.default_rng(seed), 5)
    both = np.concatenate([marks(batch.support_x), marks(batch.query_x)], axis=1)
    for task in both:
        assert len({tuple(mark) for mark in task}) == 9 and len(set(task[:, 0])) == 3
        assert all(example < family.sizes[label] for label, example in task)


def test_every_example_of_an_unequal_class_is_drawn_equally_often():
    batch = FewShotImages(unequal(), 2, 1, 2).sample(np.random.default_rng(0), 4000)
    labels, examples = marks(batch.query_x).reshape(-1, 2).T
    assert np.bincount(labels) == pytest.approx(np.full(4, 4000), rel=0.06)
    for label, size in enumerate((3, 7, 4, 5)):
        share = np.bincount(examples[labels == label], minlength=size) / (labels == label).sum()
        assert share == pytest.approx(np.full(size, 1 / size), abs=0.02)


def test_equal_classes_in_a_list_are_a_bank_like_any_other():
    bank = marked_bank(4, 5)
    assert_same_episodes(small(list(bank)), small(bank))
    one_by_one = np.empty(4, object)
    one_by_one[:] = list(bank)
    assert_same_episodes(small(one_by_one), small(bank))
    assert_same_episodes(small(torch.as_tensor(bank)), small(bank))
    family = small(unequal())
    assert [part.shape for part in family.bank] == [(n, 4, 4) for n in (3, 7, 4, 5)]
    assert all(np.array_equal(a, b) for a, b in zip(family.bank, unequal(), strict=True))
    assert "classes=4, examples=3 … 7, ways=2" in repr(family)
    assert_same_episodes(small(family.bank), family)


def test_rotations_turn_colours_and_unequal_classes_too():
    squares = colours(height=5)
    family = small(squares, rotations=True, names=["a", "b", "c"])
    assert family.names[3:6] == ["a, 90°", "b, 90°", "c, 90°"] and len(family.names) == 12
    turned = np.rot90(squares[1, 2], 3).transpose(2, 0, 1)
    np.testing.assert_array_equal(family.bank[3 * 3 + 1, 2], turned)
    family = small(unequal(), rotations=True)
    assert family.sizes.tolist() == [3, 7, 4, 5] * 4
    np.testing.assert_array_equal(family.bank[4 + 1][6], np.rot90(unequal()[1][6]))
    with pytest.raises(ValueError, match="rotations need square images; these are 6 × 5"):
        small(colours(), rotations=True)


def test_a_class_with_too_few_examples_is_named():
    for names, words in (
        (None, "3 examples of class 0;"),
        (list("wxyz"), "3 examples of class 'w';"),
    ):
        with pytest.raises(
            ValueError, match=f"there are {words} an episode takes 1 .* and 3 .*lower shots"
        ):
            FewShotImages(unequal(), 2, 1, 3, names=names)


def not_finite(value, dtype=np.float32):
    bank = np.zeros((3, 4, 5, 5), dtype)
    bank[1, 2, 3, 3] = value
    return bank


@pytest.mark.parametrize(("bank", "words"), [
    (marked_bank(3, 4)[0], r"a bank is an array of images .*; got shape \(4, 4, 4\)"),
    ([[1, 2], [3, 4]], r"a bank is an array .*; got shape \(2,\) for class 0"),
    ("bank", r"got shape \(\)"),
    (None, r"got shape \(\)"),
    ([], "got an empty list"),
    (np.zeros((3, 0, 4, 4), np.uint8), "is empty, or has an empty class"),
    ([marked_bank(1, 3)[0], marked_bank(1, 3)[0, :0]], "is empty, or has an empty class"),
    (np.zeros((3, 4, 5, 5), int), r"uint8 \(0 … 255\) or floats; got int64. Convert them: images.astype"),
    (np.zeros((3, 4, 5, 5), complex), "got complex128"),
    (np.full((3, 4, 5, 5), "a"), "got <U1"),
    (not_finite(np.nan), "class 1 contains NaN, infinity"),
    (not_finite(-np.inf), "class 1 contains NaN, infinity"),
    (not_finite(1e300, float), "class 1 contains .* numbers too large for float32"),
    ([np.zeros((4, 5, 5)), np.zeros((4, 6, 5))], r"class 0 have shape \(5, 5\), those of class 1 \(6, 5\)"),
    ([np.zeros((4, 5, 5)), np.zeros((4, 5, 5, 3))], "bring them to one size"),
    ([np.zeros((4, 5, 5)), np.zeros((4, 5, 5), np.uint8)], "class 0 are float64, those of class 1 uint8"),
    ([[np.zeros((5, 5)), np.zeros((6, 5))]], "class 0 holds images of different shapes"),
    ([[Image.new("P", (5, 5))] * 3] * 3, "class 0 holds images of Pillow: give arrays, .*from_dataset"),
])  # fmt: skip
def test_a_bank_of_another_kind_is_refused_with_what_a_bank_is(bank, words):
    with pytest.raises(ValueError, match=words):
        small(bank)


def test_names_belong_to_classes():
    assert small(marked_bank(3, 4), names=("a", "b", 3)).names == ["a", "b", "3"]
    assert small(marked_bank(3, 4)).names is None
    with pytest.raises(ValueError, match="there are 3 classes, but 2 names"):
        small(marked_bank(3, 4), names=["a", "b"])


def test_a_family_is_copied_and_pickled_without_its_bank_twice():
    family = small(unequal())
    stored = pickle.dumps(family)
    assert len(stored) < 2 * family.images.nbytes + 3000
    assert_same_episodes(pickle.loads(stored), family)


# ------------------------------------------------------------------ the same on a device

BANKS = {
    "colour": colours(),
    "floats": np.random.default_rng(0).normal(size=(3, 4, 6, 5)),
    "unequal": unequal(),
    "unequal in colour": [colours(1, n, seed=n)[0] for n in (3, 6, 4)],
}


@pytest.mark.parametrize("kind", BANKS)
def test_a_stream_draws_the_episodes_of_any_bank(kind):
    family = small(BANKS[kind])
    drawn = sampler_for(family)(Stream(0), tasks=20)
    expected = family.sample(np.random.default_rng(0), 20)
    for tensor, array in zip(drawn, expected.arrays, strict=True):
        assert tuple(tensor.shape) == array.shape
    images = family.images.astype(np.float32) / np.float32(family.ink)
    bank = {image.tobytes() for image in images}
    drawn_images = np.concatenate([drawn[0], drawn[2]], axis=1).reshape(20, 6, -1)
    for task in drawn_images:
        assert all(image.tobytes() in bank for image in task)
        assert len({image.tobytes() for image in task}) == 6


def test_a_stream_draws_every_example_of_an_unequal_class_equally_often():
    x = sampler_for(FewShotImages(unequal(), 2, 1, 2))(Stream(0), tasks=4000)[2].numpy()
    labels, examples = marks(x).reshape(-1, 2).T
    for label, size in enumerate((3, 7, 4, 5)):
        share = np.bincount(examples[labels == label], minlength=size) / (labels == label).sum()
        assert share == pytest.approx(np.full(size, 1 / size), abs=0.02)


def test_a_family_that_is_given_another_bank_is_drawn_from_that():
    family = small(marked_bank(3, 4))
    draw = sampler_for(family)
    draw(Stream(0), tasks=2)
    family.images = 0 * family.images
    assert not draw(Stream(0), tasks=2)[0].any()


def test_a_method_put_into_an_instance_is_not_passed_over():
    family = small(marked_bank(3, 4))
    family.draw = lambda rng, tasks: None
    assert sampler_for(family) is None
