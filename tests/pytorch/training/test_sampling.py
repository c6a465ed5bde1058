"""Random numbers and tasks drawn in plain torch: the same on every device, and of the right distribution."""

import math

import numpy as np
import pytest
import torch

import maml_edu.pytorch as mt
from maml_edu.pytorch.training.sampling import Stream, everywhere, sampler_for
from maml_edu.pytorch.training.stepper import PlainStepper, Plan
from maml_edu.tasks import FewShotImages, Sinusoids
from maml_edu.tasks.batch import FIELDS

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def split_mix(seed, count):
    """SplitMix64 as its authors wrote it, in Python's own integers."""
    mask, found = (1 << 64) - 1, []
    for i in range(1, count + 1):
        z = (seed + i * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        found.append(z ^ (z >> 31))
    return found


def unsigned(numbers):
    return [int(z) % (1 << 64) for z in numbers]


# ------------------------------------------------------------------ the numbers


def test_the_stream_gives_the_published_numbers_of_splitmix64():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert unsigned(Stream(1234567).bits((3,))) == published


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5, 2**64 - 1, -3])
def test_the_stream_is_splitmix64_for_any_seed(seed):
    assert unsigned(Stream(seed).bits((500,))) == split_mix(seed % (1 << 64), 500)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 24), (torch.float64, 53)])
def test_real_numbers_are_the_leading_bits(dtype, digits):
    expected = [(z >> (64 - digits)) / 2**digits for z in split_mix(9, 200)]
    assert Stream(9, dtype=dtype).uniform((200,)).tolist() == expected
    shifted = Stream(9, dtype=dtype).uniform((200,), -2.0, 6.0)
    np.testing.assert_allclose(shifted, 8 * np.array(expected) - 2, atol=1e-6)


def test_numbers_do_not_depend_on_how_many_are_drawn_at_once():
    at_once, stream = Stream(3).bits((2, 6)), Stream(3)
    assert torch.equal(at_once.flatten(), torch.cat([stream.bits((k,)) for k in (1, 4, 5, 2)]))


def test_a_stream_goes_on_from_its_state():
    stream, other = Stream(5), Stream(99)
    stream.uniform((7, 3))
    other.load_state_dict(stream.state_dict())
    assert torch.equal(stream.bits((9,)), other.bits((9,)))


def test_the_state_is_one_tensor_that_stays_in_its_place():
    stream = Stream(5)
    place, first = stream.drawn.data_ptr(), stream.bits((4,))
    stream.uniform((3,)), stream.normal((2,)), stream.choice(5, 2)
    assert stream.drawn.data_ptr() == place and stream.drawn.tolist() == [4 + 3 + 4 + 5]
    stream.drawn.zero_()
    assert torch.equal(stream.bits((4,)), first)


@on_gpu
def test_a_gpu_draws_the_same_numbers_as_the_cpu():
    for draw in (
        lambda s: s.bits((1000,)),
        lambda s: s.uniform((1000,), -5.0, 3.0),
        lambda s: s.uniform((1000,), -5.0, 3.0, dtype=torch.float64),
        lambda s: s.integers(-3, 1000, (1000,)),
        lambda s: s.choice(20, 5, (30,)),
    ):
        assert torch.equal(draw(Stream(8)), draw(Stream(8, "cuda")).cpu())


# ------------------------------------------------------------------ their distribution: seeds are fixed


def chi_square(counts):
    """How far counts are from equal ones, in standard deviations of that sum of squares."""
    expected = counts.sum() / len(counts)
    return (((counts - expected) ** 2 / expected).sum() - len(counts)) / math.sqrt(2 * len(counts))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_fill_their_interval_evenly(dtype):
    drawn = Stream(0, dtype=dtype).uniform((200_000,), -2.0, 6.0).double().numpy()
    assert drawn.min() >= -2.0 and drawn.max() <= 6.0
    assert abs(chi_square(np.histogram(drawn, 256, (-2, 6))[0])) < 4


def test_successive_numbers_and_neighbouring_seeds_are_independent():
    own, next_seed = (Stream(seed).uniform((200_000,)).double().numpy() for seed in (0, 1))
    for other in (own[1:], own[2:], own[40:], next_seed):
        n = len(other)
        assert abs(np.corrcoef(own[:n], other)[0, 1]) < 4 / math.sqrt(n)
        cells = np.histogram2d(own[:n], other, 16, [[0, 1], [0, 1]])[0]
        assert abs(chi_square(cells.ravel())) < 4


def test_every_bit_is_set_half_of_the_time():
    drawn = Stream(7).bits((100_000,)).numpy().view(np.uint64)
    share = [np.mean((drawn >> np.uint64(bit)) & np.uint64(1)) for bit in range(64)]
    assert max(abs(own - 0.5) for own in share) < 4.5 * 0.5 / math.sqrt(len(drawn))


def test_normal_numbers_have_the_moments_of_a_normal_distribution():
    drawn = Stream(2).normal((400_000,)).double()
    moments = [float((drawn**k).mean()) for k in (1, 2, 3, 4)]
    assert np.allclose(moments, [0, 1, 0, 3], atol=0.04)
    assert float((drawn.abs() < 1.96).double().mean()) == pytest.approx(0.95, abs=0.002)
    assert drawn.isfinite().all()


@pytest.mark.parametrize(("low", "high"), [(0, 7), (-4, 3), (10, 11)])
def test_whole_numbers_are_equally_likely(low, high):
    drawn = Stream(3).integers(low, high, (70_000,)).numpy()
    counts = np.bincount(drawn - low, minlength=high - low)
    assert len(counts) == high - low and counts.min() > 0
    assert high - low == 1 or abs(chi_square(counts)) < 4


def test_a_choice_takes_each_number_once_and_all_orders_equally_often():
    drawn = Stream(4).choice(4, 3, (60_000,)).numpy()
    assert all(len(set(row)) == 3 for row in drawn[:500])
    counts = np.bincount(drawn @ [16, 4, 1], minlength=64)
    assert np.count_nonzero(counts) == 24 and abs(chi_square(counts[counts > 0])) < 4
    assert sorted(Stream(4).choice(9, 9).tolist()) == list(range(9))


def test_numbers_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="low < high"):
        Stream(0).integers(3, 3, (1,))
    with pytest.raises(ValueError, match="7 different numbers out of 5"):
        Stream(0).choice(5, 7)


# ------------------------------------------------------------------ tasks


def test_sine_waves_drawn_on_the_device_are_those_of_the_family():
    family, stream = Sinusoids(shots=3, queries=4), Stream(0, dtype=torch.float64)
    support_x, support_y, query_x, query_y = sampler_for(family)(stream, tasks=4000)
    assert support_x.shape == support_y.shape == (4000, 3, 1)
    assert query_x.shape == query_y.shape == (4000, 4, 1)
    x, y = (
        torch.cat(pair, 1)[..., 0].numpy() for pair in ((support_x, query_x), (support_y, query_y))
    )
    # y = a sin x + b cos x: seven examples determine a and b, and fit them exactly
    basis = np.stack([np.sin(x), np.cos(x)], -1)
    found = np.linalg.solve(basis.swapaxes(1, 2) @ basis, basis.swapaxes(1, 2) @ y[..., None])
    np.testing.assert_allclose((basis @ found)[..., 0], y, atol=1e-7)
    amplitude = np.hypot(found[:, 0, 0], found[:, 1, 0])
    phase = np.arctan2(-found[:, 1, 0], found[:, 0, 0])
    for values, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, np.pi), (x, -5.0, 5.0)):
        assert low - 1e-9 <= values.min() and values.max() <= high + 1e-9
        assert abs(chi_square(np.histogram(values, 50, (low, high))[0])) < 4
    for a, b in ((amplitude, phase), (amplitude, x[:, 0]), (phase, x[:, 0]), (x[:, 0], x[:, 3])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(4000)


def test_batches_that_follow_one_another_are_new_tasks():
    draw, stream = sampler_for(Sinusoids(5)), Stream(0)
    first, second = draw(stream, tasks=4), draw(stream, tasks=4)
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Constant:
    """A family that draws with NumPy only."""

    def sample(self, rng, tasks=25):
        raise NotImplementedError


class OnDevice(Constant):
    def sample_on(self, stream, tasks=25):
        return "drawn", stream, tasks


class Changed(OnDevice):
    def sample(self, rng, tasks=25):
        raise NotImplementedError


class ChangedSinusoids(Sinusoids):
    def draw_waves(self, rng, tasks=25):
        return np.ones(tasks), np.zeros(tasks)


def test_a_family_with_sample_on_is_asked_for_it():
    assert sampler_for(OnDevice())("stream", tasks=3) == ("drawn", "stream", 3)


@pytest.mark.parametrize("family", [Constant(), Changed(), ChangedSinusoids(5)])
def test_a_family_whose_own_sample_would_be_passed_over_is_left_to_numpy(family):
    assert sampler_for(family) is None


def test_a_sample_that_was_put_in_its_place_is_not_passed_over():
    family = OnDevice()
    family.sample = lambda rng, tasks=25: None
    assert sampler_for(family) is None


# ------------------------------------------------------------------ episodes of images


def marked_family(ways=3, shots=2, queries=2, **options):
    """A family in whose images the first two pixels say which class and example it is."""
    bank = np.zeros((9, 6, 4, 4), np.uint8)
    bank[:, :, 0, 0], bank[:, :, 0, 1] = np.arange(9)[:, None], np.arange(6)
    bank[:, :, 3, 3] = 255
    return FewShotImages(bank, ways, shots, queries, **options)


def marks(x):
    return (x[:, :, 0, 0, :2] * 255).round().long()


@pytest.mark.parametrize("seed", range(5))
def test_episodes_on_the_device_have_different_classes_and_disjoint_sets(seed):
    family = marked_family()
    support_x, support_y, query_x, query_y = sampler_for(family)(Stream(seed), tasks=20)
    assert support_x.shape == (20, 6, 1, 4, 4) and query_y.tolist() == [[0, 0, 1, 1, 2, 2]] * 20
    support, query = marks(support_x), marks(query_x)
    for task in range(20):
        classes = [set(support[task, support_y[task] == n, 0].tolist()) for n in range(3)]
        assert [len(own) for own in classes] == [1, 1, 1] and len(set.union(*classes)) == 3
        assert classes == [set(query[task, query_y[task] == n, 0].tolist()) for n in range(3)]
        seen = {tuple(mark) for mark in [*support[task].tolist(), *query[task].tolist()]}
        assert len(seen) == 12


def test_episodes_on_the_device_are_the_images_of_the_bank():
    family = marked_family(rotations=True)
    x = sampler_for(family)(Stream(3), tasks=10)[0]
    bank = {image.tobytes() for image in family.bank.reshape(-1, 4, 4)}
    drawn = (x * 255).round().to(torch.uint8).numpy().reshape(-1, 4, 4)
    assert x.dtype == torch.float32 and all(image.tobytes() in bank for image in drawn)


@on_gpu
def test_episodes_are_the_same_on_cpu_and_gpu():
    draws = sampler_for(marked_family())
    for here, there in zip(draws(Stream(5)), draws(Stream(5, "cuda")), strict=True):
        assert torch.equal(here, there.cpu())


def test_a_family_that_samples_in_a_way_of_its_own_is_left_to_numpy():
    class Own(FewShotImages):
        def draw(self, rng, tasks):
            return super().draw(rng, tasks)

    assert sampler_for(Own(marked_family().bank, 3, 2, 2)) is None


def test_training_on_a_cpu_draws_episodes_from_the_stream_that_a_gpu_would_draw_from():
    learner = mt.MAML(mt.Conv4(3, filters=2, size=4), torch.nn.functional.cross_entropy)
    family, plan = marked_family(), Plan(10, 4, 1e-3, seed=8)
    stepper = PlainStepper(learner, family, plan, mt.History())
    key = int(np.random.default_rng(8).bit_generator.random_raw())
    stream = Stream(key)
    for _ in range(3):
        expected, batch = sampler_for(family)(stream, tasks=4), stepper.sample()
        for name, tensor in zip(FIELDS, expected, strict=True):
            assert torch.equal(getattr(batch, name), tensor)


def test_sinusoids_are_drawn_by_numpy_on_a_cpu():
    assert everywhere(Sinusoids()) is None and everywhere(marked_family()) is not None
