"""A model of your own: any nn.Module that autograd can differentiate twice.

Here a residual network with torch's LayerNorm and GELU, of which nothing in the library knows. What it prints:
which engine computes the meta-gradient and why the faster ones do not, and how the network adapts.
"""

import argparse

import numpy as np
import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids


class Residual(nn.Module):
    """x + a small network of x, normalised: (examples, width) → the same shape."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inside = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x):
        return x + self.inside(self.norm(x))


def main(iterations):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 32), Residual(32), Residual(32), nn.Linear(32, 1))
    learner = mt.MAML(model, nn.functional.mse_loss, inner_lr=0.01, inner_steps=1)
    sines = Sinusoids(shots=10)
    print(learner.explain(sines.sample(np.random.default_rng(0), tasks=25)))
    print(mt.meta_train(learner, sines, iterations, meta_batch=25, meta_lr=1e-3))
    print(mt.evaluate(learner, sines, episodes=200, steps=5))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=300)
    main(parser.parse_args().iterations)
