"""Three families of tasks, ready for `check_family`, `compare` and `write_report` (chapter 16).

Waves whose frequency changes as well; invented characters of which some labels are wrong; the pendulum of
chapter 13. Each is an object with `sample(rng, tasks)`, and where somebody knows the law, with an `oracle`
that predicts from the support set alone.
"""

import argparse

import numpy as np

from maml_edu.capstone import check_family, compare
from maml_edu.tasks import Glyphs, TaskBatch
from maml_edu.tasks.pendulum import Pendulum, fit_law, outputs, states_of, step


class NuisanceWaves:
    """y = A sin(ωx − p) + noise, 10 points: height, phase and, a nuisance, the frequency change.

    A ~ U[0.1, 5], p ~ U[0, π], ω ~ U[0.7, 1.3], x ~ U[−5, 5], noise ~ N(0, 0.1²).
    """

    def __init__(self, shots=10, queries=20):
        self.shots, self.queries = shots, queries

    def __repr__(self):
        return f"NuisanceWaves(shots={self.shots}, queries={self.queries})"

    def sample(self, rng, tasks=25):
        """A batch of new waves: support (tasks, shots, 1), query (tasks, queries, 1), x and y alike."""
        low, high = np.array([[0.1, 0, 0.7], [5, np.pi, 1.3]])
        height, phase, frequency = rng.uniform(low, high, (tasks, 3)).T[:, :, None, None]
        x = rng.uniform(-5, 5, (tasks, self.shots + self.queries, 1))
        y = height * np.sin(frequency * x - phase) + rng.normal(0, 0.1, x.shape)
        k = self.shots
        return TaskBatch(x[:, :k], y[:, :k], x[:, k:], y[:, k:])

    def oracle(self, support_x, support_y, query_x):
        """Predictions for one task, (queries, 1): least squares with two numbers at each of 61 frequencies."""
        fits = []
        for frequency in np.linspace(0.7, 1.3, 61):
            numbers = np.linalg.lstsq(_waves(support_x, frequency), support_y, rcond=None)[0]
            left = np.square(_waves(support_x, frequency) @ numbers - support_y).sum()
            fits.append((left, frequency, numbers))
        _, frequency, numbers = min(fits, key=lambda fit: fit[0])
        return _waves(query_x, frequency) @ numbers


def _waves(x, frequency):
    """sin ωx and cos ωx, (n, 2), of x (n, 1)."""
    return np.concatenate([np.sin(frequency * x), np.cos(frequency * x)], axis=1)


class NoisyGlyphs(Glyphs):
    """Five invented characters, five examples each, of which one bears another character's label.

    The wrong labels go round: each class loses one example and gets one, so classes stay balanced. Query labels
    are right. Of characters no law is known: there is no oracle.
    """

    def __init__(self, split="train", ways=5, shots=5, queries=5, **world):
        super().__init__(split, ways, shots, queries, **world)

    def sample(self, rng, tasks=25):
        """A batch of new episodes, shapes as in `Glyphs`: one label in `shots` is wrong, in the support set."""
        batch = super().sample(rng, tasks)
        labels = batch.support_y.reshape(tasks, self.ways, self.shots).copy()
        order = rng.random((tasks, self.ways)).argsort(axis=1)  # classes in a circle
        rows, place = np.arange(tasks)[:, None], rng.integers(self.shots, size=order.shape)
        labels[rows, order, place] = np.roll(
            order, 1, axis=1
        )  # (tasks, ways): each its neighbour's
        return TaskBatch(batch.support_x, labels.reshape(tasks, -1), batch.query_x, batch.query_y)

    def __repr__(self):
        return f"Noisy{super().__repr__()}"


class KnownPendulum(Pendulum):
    """Bodies of chapter 13's pendulum, from 20 random movements each; the oracle fits the law's three numbers."""

    def oracle(self, support_x, support_y, query_x):
        """Predictions for one task, (queries, 2)."""
        body = fit_law(support_x[None], support_y[None])[0]
        state, control = states_of(query_x)
        return outputs(state, step(state, control, body))

    def __repr__(self):
        return f"Known{super().__repr__()}"


FAMILIES = {"waves": NuisanceWaves, "glyphs": NoisyGlyphs, "pendulum": KnownPendulum}


def main(iterations, names):
    for name in names:
        family = FAMILIES[name]()
        report = check_family(family, tasks=20)
        print(f"{name}: {'sound' if report.ok else 'not sound: ' + ', '.join(report.failed)}")
    sizes = {"iterations": iterations, "episodes": 50, "validation_episodes": 25}
    rates = {
        "inner_lrs": (0.03,),
        "meta_lrs": (3e-3,),
    }  # a trial: chapter 16 has choices in earnest
    print(compare(NuisanceWaves(shots=5), seeds=(0,), progress=False, **sizes, **rates))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=2000, help="of training on the waves")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    options = parser.parse_args()
    main(options.iterations, options.families)
