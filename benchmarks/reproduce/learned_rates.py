"""The inner rate learned by its own gradient, with θ: where it goes from two starts, for several K and seeds.

    python benchmarks/reproduce/learned_rates.py

prints the numbers of chapter 06, *the rate learns itself*: 10-shot sine waves, network 1-40-40-1, 25 tasks per
iteration, Adam with β = 0.001 for θ and α alike. Some minutes of one core.
"""

import argparse

import numpy as np
import torch

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids

WINDOW = 300  # iterations, over which a rate is averaged


def learned(start, inner_steps, seed, iterations):
    """The rate after every iteration; shorter than `iterations` if training diverged."""
    torch.manual_seed(seed)
    learner = mt.MAML(
        mt.MLP(1, 40, 40, 1), inner_lr=start, inner_steps=inner_steps, learn_inner_lr=True
    )
    rates = []

    def note(iteration, history, learner):
        rates.append(learner.inner_lr.item())

    settings = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu", "progress": False}
    try:
        mt.meta_train(learner, Sinusoids(10), iterations, seed=seed, callbacks=[note], **settings)
    except mt.TrainingDiverged:
        print(f"  diverged at iteration {len(rates) + 1}")
    return np.array(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, nargs="+", default=[3_000, 6_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for inner_steps in options.steps:
        for start in (0.001, 0.01):
            for seed in options.seeds:
                rates = learned(start, inner_steps, seed, max(options.iterations))
                means = (f"{np.mean(rates[n - WINDOW : n]):.4f}" for n in options.iterations)
                print(f"K = {inner_steps}  from {start}  seed {seed}:", *means, flush=True)


if __name__ == "__main__":
    main()
