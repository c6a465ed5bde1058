"""Sinusoids: the paper's protocol, and nothing hidden."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu.tasks import Sinusoids, TaskBatch
from maml_edu.tasks.sinusoids import AMPLITUDE, PHASE, X_RANGE

PARTS = ("support_x", "support_y", "query_x", "query_y")
counts = st.integers(1, 12)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_ranges_are_those_of_the_paper():
    assert (AMPLITUDE, PHASE, X_RANGE) == ((0.1, 5.0), (0.0, np.pi), (-5.0, 5.0))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(counts, counts, counts, st.integers(0, 2**32))
def test_a_batch_has_the_shapes_that_were_asked_for(shots, queries, tasks, seed):
    batch = Sinusoids(shots, queries).sample(rng(seed), tasks)
    assert isinstance(batch, TaskBatch) and len(batch) == tasks
    assert batch.support_x.shape == batch.support_y.shape == (tasks, shots, 1)
    assert batch.query_x.shape == batch.query_y.shape == (tasks, queries, 1)
    assert {getattr(batch, part).dtype for part in PARTS} == {np.dtype(float)}


def test_there_are_as_many_queries_as_shots_unless_said_otherwise():
    assert Sinusoids(7).queries == 7 and Sinusoids().shots == 10
    assert repr(Sinusoids(3, 4)) == "Sinusoids(shots=3, queries=4)"


def test_amplitude_phase_and_x_are_uniform_over_their_ranges():
    family = Sinusoids(20)
    amplitude, phase = family.draw_waves(rng(), 4000)
    x = family.sample_from(rng(1), amplitude, phase).support_x
    for values, (low, high) in ((amplitude, AMPLITUDE), (phase, PHASE), (x.ravel(), X_RANGE)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        quarters = np.quantile(values, [0.25, 0.5, 0.75])
        np.testing.assert_allclose(quarters, low + np.array([1, 2, 3]) / 4 * (high - low),
                                   atol=0.03 * (high - low))  # fmt: skip
    assert abs(np.corrcoef(amplitude, phase)[0, 1]) < 0.05


def test_y_is_the_sine_of_its_own_task_on_support_and_query_alike():
    family = Sinusoids(6, 5)
    batch = family.sample(rng(3), tasks=50)
    amplitude, phase = family.draw_waves(rng(3), 50)  # what the same generator draws first
    for x, y in ((batch.support_x, batch.support_y), (batch.query_x, batch.query_y)):
        expected = amplitude[:, None, None] * np.sin(x - phase[:, None, None])
        np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-14)


def test_support_and_query_are_different_examples():
    batch = Sinusoids(10).sample(rng(), 20)
    assert not np.isin(batch.support_x, batch.query_x).any()


def test_the_same_seed_gives_the_same_tasks_and_the_next_batch_is_another():
    first, again = (Sinusoids(5).sample(rng(7)) for _ in range(2))
    assert all(np.array_equal(getattr(first, part), getattr(again, part)) for part in PARTS)
    generator = rng(7)
    Sinusoids(5).sample(generator)
    later = Sinusoids(5).sample(generator)
    assert not np.array_equal(first.support_x, later.support_x)


def test_the_global_seed_of_numpy_has_no_say():
    np.random.seed(0)
    first = Sinusoids(5).sample(rng(7))
    np.random.seed(1)
    assert np.array_equal(first.query_y, Sinusoids(5).sample(rng(7)).query_y)


@pytest.mark.parametrize("bad", [0, -1, 1.0, 2.5, "3", None, np.nan])
def test_counts_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match="shots must be a whole number ≥ 1; got"):
        Sinusoids(shots=bad)
    if bad is not None:
        with pytest.raises(ValueError, match="queries must be a whole number ≥ 1; got"):
            Sinusoids(5, queries=bad)
    with pytest.raises(ValueError, match="tasks must be a whole number ≥ 1; got"):
        Sinusoids(5).sample(rng(), tasks=bad)


@pytest.mark.parametrize("bad", [None, 0, np.random.RandomState(0), np.random, "seed"])
def test_anything_but_a_generator_is_refused_with_how_to_make_one(bad):
    with pytest.raises(
        ValueError, match=r"must be a numpy Generator, such as np\.random\.default_rng"
    ):
        Sinusoids(5).sample(bad)


@pytest.mark.parametrize(
    ("amplitude", "phase", "says"),
    [
        ([1.0, np.nan], [0.0, 0.0], "NaN or infinity"),
        ([1.0, 2.0], [0.0, np.nan], "NaN or infinity"),
        ([1.0], [0.0, 1.0], "number of tasks"),
        ([], [], "empty"),
    ],
)
def test_waves_that_do_not_fit_are_refused_with_the_reason(amplitude, phase, says):
    with pytest.raises(ValueError, match=says):
        Sinusoids(5).sample_from(rng(), amplitude, phase)
