"""How often mean ± 1.96 standard errors of 600 sine waves covers the mean of all: the table of chapter 07.

    python benchmarks/reproduce/interval_coverage.py --seeds 0 1 2

For each seed MAML and a pretrained network are trained as in the lesson (the seed is that of the first
weights and of the tasks). Each is scored on 4,000 new waves, which are then taken for all the waves there
are: of 2,000 tests of 600 waves drawn from them, which share has an interval that contains their mean?
Errors above 100 count as 100. A seed takes two to three minutes.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: small networks want one thread

import numpy as np
import torch

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids

# name: (inner steps in training, training tasks, [(points of a new wave, rate), …])
NETWORKS = {
    "MAML": (1, Sinusoids(10), [(3, 0.01), (5, 0.01), (10, 0.01)]),
    "pretrained": (0, Sinusoids(10, queries=20), [(5, 0.01), (10, 0.02)]),
}
WAVES, TESTS, SIZE = 4_000, 2_000, 600
STEPS = (1, 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--iterations", type=int, default=70_000, help="outer steps of each network"
    )
    options = parser.parse_args()
    for seed in options.seeds:
        for name, (inner_steps, tasks, tests) in NETWORKS.items():
            learner = trained(inner_steps, tasks, options.iterations, seed)
            for shots, learner.inner_lr in tests:
                print(f"seed {seed}, {name}, {shots} points: {covered(learner, shots)}", flush=True)


def trained(inner_steps, tasks, iterations, seed):
    torch.manual_seed(seed)
    learner = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=inner_steps)
    mt.meta_train(learner, tasks, iterations, meta_batch=25, meta_lr=1e-3, device="cpu", seed=seed)
    return learner


def covered(learner, shots):
    """In words, the share of tests whose interval contains the mean, after each number of steps."""
    rng = np.random.default_rng(0)
    many = mt.evaluate(learner, Sinusoids(shots, queries=25), episodes=WAVES, steps=10, seed=4)
    words = []
    for steps in STEPS:
        errors = np.minimum(np.nan_to_num(many.values[:, steps], nan=100.0), 100.0)
        tests = errors[rng.integers(WAVES, size=(TESTS, SIZE))]  # (tests, waves)
        half = 1.96 * tests.std(axis=1, ddof=1) / np.sqrt(SIZE)
        share = np.mean(np.abs(tests.mean(axis=1) - errors.mean()) <= half)
        far = np.sum(errors > 30)
        words.append(f"{share:.0%} after {steps} (waves above 30: {far} of {WAVES:,})")
    return ", ".join(words)


if __name__ == "__main__":
    main()
