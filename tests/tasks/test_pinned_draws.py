"""A seed means the same tasks in every version: draws against numbers that were written down.

If one of these fails, the order or the number of random draws has changed: every seeded figure of the course
and the documentation would become another one. Do not update the numbers; undo the change.
"""

import hashlib

import numpy as np
import pytest

from maml_edu.pytorch.training.sampling import Stream, sampler_for
from maml_edu.tasks import (
    FewShotImages,
    Glyphs,
    Intents,
    Navigation,
    Omniglot,
    Pendulum,
    Sinusoids,
    omniglot,
)
from maml_edu.tasks.glyphs import draw_glyphs


def rng(seed=0):
    return np.random.default_rng(seed)


def sha(*arrays):
    """The first 16 digits of the SHA-256 of the bytes of arrays, one after the other."""
    joined = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(joined).hexdigest()[:16]


def marked_family():
    """A family in whose images the first two pixels say which class and example it is."""
    bank = np.zeros((9, 6, 4, 4), np.uint8)
    bank[:, :, 0, 0], bank[:, :, 0, 1] = np.arange(9)[:, None], np.arange(6)
    bank[:, :, -1, -1] = 255
    return FewShotImages(bank, 3, 2, 2)


def ink_family():
    bank = (rng(5).random((9, 6, 4, 4)) < 0.3).astype(np.uint8)
    return FewShotImages(bank, 3, 2, 2, rotations=True)


def marks(x):
    return np.rint(np.asarray(x)[:, :, 0, 0, :2] * 255).astype(int).tolist()


def test_sine_waves():
    generator = rng()
    batch = Sinusoids(5).sample(generator, 2)
    assert generator.random() == 0.6153851114812539
    expected = (
        [[3.1327023920027237, 4.127555772777217], [2.29655446429944, -3.24344379397441]],
        [[0.441867229960614, -2.435288443841529], [1.1111644751208891, 0.21779929217675473]],
        [[4.350724237877682, 3.158535541215322], [-0.773127788023416, -4.71680328854537]],
        [[-2.841506519947413, 0.3593041435713905], [-1.0445429141381202, 1.4196989205026298]],
    )
    for values, numbers in zip(batch.arrays, expected, strict=True):
        np.testing.assert_allclose(values[:, :2, 0], numbers, rtol=1e-12)


def test_goals():
    generator = rng()
    goals = Navigation().draw_goals(generator, 2)
    assert generator.random() == 0.8132702392002724
    expected = [
        [0.1369616873214543, -0.2302132862361297],
        [-0.4590264760638053, -0.4834723644714709],
    ]
    np.testing.assert_allclose(goals, expected, rtol=1e-12)


def test_pendulums():
    generator = rng()
    batch = Pendulum(3).sample(generator, 2)
    assert generator.random() == 0.8902743520047923
    bodies = Pendulum().draw_bodies(rng(), 2)
    np.testing.assert_allclose(bodies.mass, [1.1369616873214543, 0.7697867137638703], rtol=1e-12)
    np.testing.assert_allclose(bodies.gain, [10.42654310306872, 10.917986243935994], rtol=1e-12)
    assert bodies.sign.tolist() == [1, 1]
    expected = (
        [-0.9179352536303029, 0.3967302233794035, -0.751433447000872, 0.4429766803881634],
        [-1.0396148339200246, 1.787209728028504],
    )
    for values, numbers in zip(batch.arrays[:2], expected, strict=True):
        np.testing.assert_allclose(values[0, 0], numbers, rtol=1e-9)


def test_classes_and_examples_of_episodes():
    generator = rng()
    chosen, examples = marked_family().draw(generator, 2)
    assert generator.random() == 0.3361170605456604
    assert chosen.tolist() == [[3, 2, 1], [2, 4, 6]]
    assert examples.tolist() == [
        [[2, 3, 0, 1], [1, 0, 5, 4], [2, 5, 1, 4]],
        [[5, 3, 0, 4], [4, 1, 2, 0], [5, 0, 3, 2]],
    ]


def test_episodes_of_bytes_and_of_turned_ink():
    assert sha(*marked_family().sample(rng(), 2).arrays) == "ce3a0a98a8b35684"
    assert sha(*ink_family().sample(rng(), 2).arrays) == "af0355ac44f4a7c1"


def test_episodes_of_classes_of_unequal_size():
    family = FewShotImages([rng(n).random((4 + n, 5, 5)) for n in range(6)], 3, 1, 2)
    assert sha(*family.sample(rng(3), 7).arrays) == "55b547ba908df94c"


# Two glyphs of 28 × 28 pixels, eight a byte.
GLYPHS = {
    (0, 1, 2): (
        "0000000000000000000000000000c000000c0000006000000300000018000400c000c00700180018036000c06600060c40"
        "00318c00011180001b100000f200000760000034000001c000000c000001c00000fa000039800006000000c000000ffe00"
    ),
    (1, 2, 3): (
        "000000000000000000000000000000000000000000000000000000000000000000000000007000071e0000ff000000e000"
        "010e000071300001b180001e180003c00000ec00000c400000000000000000000000000000000000000000000000000000"
    ),
}


def test_glyphs():
    generator = rng()
    images = draw_glyphs(generator, 2, 3, 4)
    assert generator.random() == 0.9965038654273245
    assert images.sum() == pytest.approx(
        1839, abs=4
    )  # sine and cosine may round differently elsewhere
    for number, digits in GLYPHS.items():
        drawn = np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8)).reshape(28, 28)
        assert np.count_nonzero(drawn != images[number]) <= 2


def test_a_family_of_glyphs():
    family = Glyphs("val", 3, 1, 2, alphabets=2, characters=4, drawers=4)
    ink = family.sample(rng(1), 2).support_x.sum((2, 3, 4))
    np.testing.assert_allclose(ink, [[123, 72, 70], [43, 80, 52]], atol=2)


def test_episodes_of_omniglot(tmp_path):
    omniglot.write_packed(tmp_path / omniglot.PACKED["nearest"], {
        "packed": rng(6).integers(0, 256, (12, 20, 98), dtype=np.uint8),
        "alphabet": np.array(["a"] * 12),
        "character": np.array([f"c{n}" for n in range(12)]),
        "is_background": np.ones(12, bool),
        "vinyals_split": np.zeros(12, np.int8),
    })  # fmt: skip
    batch = Omniglot("train", 5, 1, 3, data_dir=tmp_path).sample(rng(), 3)
    assert batch.support_x.sum((2, 3, 4)).tolist() == [
        [381, 406, 376, 399, 381], [397, 394, 400, 363, 392], [404, 424, 363, 408, 398],
    ]  # fmt: skip
    assert sha(*batch.arrays) == "2a9090bfbd32f772"


def test_held_out_domains_and_episodes_of_intents():
    world = {
        f"d{d}": {f"i{d}{i}": [f"{d} {i} {n}" for n in range(5 + i)] for i in range(4)}
        for d in range(6)
    }
    family = Intents("test", 3, 1, 2, source=world, val=0)
    assert sorted(set(family.domains)) == ["d2", "d3", "d5"]
    chosen, examples = family.draw(rng(), 2)
    assert chosen.tolist() == [[10, 9, 11], [7, 5, 6]]
    assert examples.tolist() == [
        [[0, 6, 4], [2, 3, 1], [7, 5, 0]], [[4, 6, 2], [2, 5, 4], [4, 1, 3]],
    ]  # fmt: skip


def test_sine_waves_of_a_stream():
    stream = Stream(0)
    drawn = sampler_for(Sinusoids(5))(stream, tasks=2)
    assert int(stream.drawn) == 24
    expected = (
        [[-4.735662460327148, 4.708819389343262], [2.082223415374756, 0.18482160568237305]],
        [[0.8442987203598022, -0.9297819137573242], [0.884783148765564, -2.6671810150146484]],
        [[2.715465545654297, -2.5431108474731445], [3.4415512084960938, 3.5548973083496094]],
        [[4.329998970031738, 3.0417091846466064], [2.645995616912842, 2.590911626815796]],
    )
    for values, numbers in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(values[:, :2, 0], numbers, rtol=2e-6)


def test_episodes_of_a_stream():
    stream = Stream(0)
    support_x, support_y, query_x, query_y = sampler_for(marked_family())(stream, tasks=2)
    assert int(stream.drawn) == 54
    assert marks(support_x) == [
        [[7, 3], [7, 1], [0, 1], [0, 4], [3, 4], [3, 0]],
        [[6, 4], [6, 5], [3, 2], [3, 3], [4, 3], [4, 2]],
    ]
    assert marks(query_x) == [
        [[7, 2], [7, 4], [0, 0], [0, 5], [3, 3], [3, 2]],
        [[6, 1], [6, 0], [3, 0], [3, 1], [4, 5], [4, 4]],
    ]
    assert support_y.tolist() == query_y.tolist() == [[0, 0, 1, 1, 2, 2]] * 2
    turned = sampler_for(ink_family())(Stream(0), tasks=2)
    assert sha(*turned) == "7634f7df96b4c9de"
