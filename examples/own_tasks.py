"""Tasks of your own: any object with `sample(rng, tasks=n)`, and a metric of your own.

Straight lines, of which a learner sees 2 to 8 points: tasks of unequal size, joined by `TaskBatch.padded`. The
metric is the share of points that are predicted to 0.25, as a function of the model's output and y. (If all tasks
have one size, `sample` may return a plain tuple: support_x, support_y, query_x, query_y.)
"""

import argparse

import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import TaskBatch


class Lines:
    """y = a x + b: 2 to 8 noisy points to learn from, 10 to be judged on; x and y are (points, 1)."""

    def sample(self, rng, tasks=25):
        return TaskBatch.padded([self._line(rng) for _ in range(tasks)])

    def _line(self, rng):
        slope, height = rng.normal(size=2)
        shots = int(rng.integers(2, 9))
        x = rng.uniform(-2, 2, (shots + 10, 1))
        y = slope * x + height + rng.normal(0, 0.05, x.shape)
        return x[:shots], y[:shots], x[shots:], y[shots:]


def close(output, y):
    """For each example 1 if the prediction is within 0.25, else 0."""
    return ((output - y).abs() < 0.25).float().squeeze(1)


def main(iterations):
    torch.manual_seed(0)
    learner = mt.MAML(mt.MLP(1, 32, 32, 1), nn.functional.mse_loss, inner_lr=0.05, inner_steps=3)
    print(mt.evaluate(learner, Lines(), episodes=100, metric=close))
    print(mt.meta_train(learner, Lines(), iterations, meta_batch=16, meta_lr=3e-3))
    print(mt.evaluate(learner, Lines(), episodes=100, metric=close))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=500)
    main(parser.parse_args().iterations)
