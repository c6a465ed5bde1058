"""A recurrent network: an LSTM that learns to tell two melodies apart, from five noisy hearings of each.

Each task has two random melodies of its own. `explain` says which engine the learner has chosen by itself, and
why not the others.
"""

import argparse

import numpy as np
import torch
from torch import nn

import maml_edu.pytorch as mt


class Melodies:
    """x (tasks, hearings, 8 moments, 1), y (tasks, hearings): which of the task's two melodies it is."""

    def sample(self, rng, tasks=25):
        melodies = rng.normal(size=(tasks, 2, 8))
        y = np.tile([0, 1], (tasks, 15))  # 10 hearings to learn from, 20 to be judged on
        x = np.take_along_axis(melodies, y[:, :, None], axis=1)[..., None]  # (tasks, 30, 8, 1)
        x = x + rng.normal(0, 0.5, x.shape)
        return x[:, :10], y[:, :10], x[:, 10:], y[:, 10:]


class Classifier(nn.Module):
    """(examples, moments, 1) → (examples, 2): from what an LSTM outputs at the last moment."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        outputs, _ = self.lstm(x)
        return self.head(outputs[:, -1])


def main(iterations):
    torch.manual_seed(0)
    learner = mt.MAML(Classifier(), nn.functional.cross_entropy, inner_lr=0.5, inner_steps=2)
    print(learner.explain(Melodies().sample(np.random.default_rng(0))))
    print(mt.meta_train(learner, Melodies(), iterations, meta_batch=8, meta_lr=1e-2))
    print(mt.evaluate(learner, Melodies(), episodes=100))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=60)
    main(parser.parse_args().iterations)
