"""Regression on sine waves, MAML's first experiment (Finn et al. 2017, section 5.1)."""

from __future__ import annotations

import numpy as np

from .batch import TaskBatch, check_generator, whole

AMPLITUDE = (0.1, 5.0)
PHASE = (0.0, np.pi)
X_RANGE = (-5.0, 5.0)


class Sinusoids:
    """Tasks y = A sin(x − φ) with A ~ U[0.1, 5], φ ~ U[0, π] and x ~ U[−5, 5].

    shots: support examples per task.
    queries: query examples per task; None means as many as shots, as in the paper.
    Raises ValueError unless both are whole numbers ≥ 1.
    """

    draws_ahead = True

    def __init__(self, shots: int = 10, queries: int | None = None):
        self.shots = whole("shots", shots)
        self.queries = self.shots if queries is None else whole("queries", queries)

    def sample(self, rng: np.random.Generator, tasks: int = 25) -> TaskBatch:
        """A batch of `tasks` new sine waves. The same generator state gives the same tasks.

        Shapes: support (tasks, shots, 1), query (tasks, queries, 1), x and y alike; float64.
        """
        amplitude, phase = self.draw_waves(rng, tasks)
        return self.sample_from(rng, amplitude, phase)

    def draw_waves(self, rng: np.random.Generator, tasks: int = 25):
        """Amplitude and phase of new tasks, each (tasks,)."""
        check_generator(rng)
        tasks = whole("tasks", tasks)
        return rng.uniform(*AMPLITUDE, tasks), rng.uniform(*PHASE, tasks)

    def sample_from(self, rng: np.random.Generator, amplitude, phase) -> TaskBatch:
        """Examples of the waves with these amplitudes and phases, each (tasks,)."""
        amplitude = np.asarray(amplitude, float).reshape(-1, 1, 1)
        phase = np.asarray(phase, float).reshape(-1, 1, 1)
        x = rng.uniform(*X_RANGE, (len(amplitude), self.shots + self.queries, 1))
        y = amplitude * np.sin(x - phase)  # (tasks, shots + queries, 1)
        k = self.shots
        arrays = x[:, :k], y[:, :k], x[:, k:], y[:, k:]
        # The waves may be the caller's; one look is enough, for training draws thousands of batches a second.
        fits = len(y) and y.shape == x.shape and np.isfinite(y).all()
        return TaskBatch.trusted(*arrays, None, None) if fits else TaskBatch(*arrays)

    def __repr__(self):
        return f"Sinusoids(shots={self.shots}, queries={self.queries})"
