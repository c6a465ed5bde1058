"""The average wave is what it is said to be."""

import numpy as np
import pytest

from maml_edu.figures import sines
from maml_edu.tasks import Sinusoids


def test_the_average_wave_is_the_mean_of_many_waves():
    amplitude, phase = Sinusoids(5).draw_waves(np.random.default_rng(0), 40_000)
    mean = np.mean(amplitude[:, None] * np.sin(sines.X[::20] - phase[:, None]), axis=0)
    np.testing.assert_allclose(sines.average_wave()[::20], mean, atol=0.05)


def test_no_function_of_x_alone_beats_the_error_of_the_average_wave():
    batch = Sinusoids(shots=20).sample(np.random.default_rng(0), tasks=40_000)
    average = -2.55 * (2 / np.pi) * np.cos(batch.support_x)
    errors = np.mean((batch.support_y - average) ** 2, axis=(1, 2))
    assert np.mean(errors) == pytest.approx(sines.error_of_the_average(), abs=0.05)
    for worse in (0.9 * average, average + 0.1, 0 * average):
        assert np.mean((batch.support_y - worse) ** 2) > np.mean(errors)
