"""How well the last ten of forty inner steps point, for single waves and for batches, with several seeds.

    python benchmarks/reproduce/truncated_batches.py

prints the table of chapter 06, *truncation: right and useless*, and follows the wave with the longest signal
of each seed at α = 0.01: its curvature αλmax and its support loss on the way. About a minute of one core per seed.
"""

import argparse

import numpy as np
import torch

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.tasks import Sinusoids

STEPS, BACK = 40, 10
ALONG = (0, 5, 10, 15, 20, 25, 30, 35, 40)


def trained(seed):
    """The chapter's θ: K = 5, α = 0.01, 3,000 iterations."""
    torch.manual_seed(seed)
    learner = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=5)
    settings = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu", "progress": False}
    mt.meta_train(learner, Sinusoids(10), 3_000, seed=seed, **settings)
    return {name: value.astype(float) for name, value in learner.model.arrays().items()}


def flat(params):
    return np.concatenate([part.ravel() for part in params.values()])


@np.errstate(all="ignore")  # a wave may run away: its numbers become infinite
def walk_back(theta, task, alpha):
    """(v_K, v_{K−1} … v_0 as rows, (STEPS + 1, parameters); the list φ₀ … φ_K)."""
    support, query = task[:2], task[2:]
    path = [theta]
    for _ in range(STEPS):
        path.append(ref.adapt(ref.mse, path[-1], *support, alpha, 1))
    v = ref.grad(ref.mse)(path[-1], *query)
    signals = [flat(v)]
    for phi in reversed(path[:-1]):
        hv = ref.hvp(lambda params: ref.mse(params, *support), phi, v)
        v = {name: v[name] - alpha * hv[name] for name in v}
        signals.append(flat(v))
    return np.array(signals), path


@np.errstate(all="ignore")
def stays(signals, path, task):
    return bool(np.isfinite(signals).all() and ref.mse(path[-1], *task[2:]) < 100)


def cosine(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def clipped(signals):
    """Each wave's signals, scaled down to the median length of all waves where they are longer."""
    lengths = np.linalg.norm(signals, axis=2, keepdims=True)  # (waves, STEPS + 1, 1)
    return signals * np.minimum(1, np.median(lengths, axis=0) / lengths)


def steepest(params, x, y, rounds=20):
    """The curvature of largest size of the support loss, by power iteration."""
    v = params
    for _ in range(rounds):
        length = np.linalg.norm(flat(v))
        v = {name: part / length for name, part in v.items()}
        hv = ref.hvp(lambda params: ref.mse(params, x, y), params, v)
        rayleigh, v = flat(v) @ flat(hv), hv
    return rayleigh


def report(seed):
    theta = trained(seed)
    batch = list(Sinusoids(10).sample(np.random.default_rng(6), tasks=40))
    for alpha in (0.01, 0.02, 0.03):
        walks = [(*walk_back(theta, task, alpha), task) for task in batch]
        walks = [walk for walk in walks if stays(*walk)]
        signals = np.array([walk[0] for walk in walks])
        mean, mean_clipped = signals.mean(axis=0), clipped(signals).mean(axis=0)
        print(
            f"seed {seed}  α = {alpha}: waves, median {np.median(cosine(signals[:, BACK], signals[:, -1])):5.2f}"
            f"  batch {cosine(mean[BACK], mean[-1]):5.2f}"
            f"  clipped {cosine(mean_clipped[BACK], mean_clipped[-1]):5.2f}"
            f"  ran away {len(batch) - len(walks)} of {len(batch)}",
            flush=True,
        )
        if alpha == 0.01:
            follow_the_longest(walks, alpha)


def follow_the_longest(walks, alpha):
    """Print the way of the wave whose v_0 is longest."""
    lengths = np.linalg.norm([walk[0] for walk in walks], axis=2)  # (waves, STEPS + 1)
    longest = int(np.argmax(lengths[:, -1]))
    _, path, (x, y, *_) = walks[longest]
    medians = np.median(lengths, axis=0)
    rows = {
        "step k      ": (ALONG, "7d"),
        "αλmax       ": ([alpha * steepest(path[k], x, y) for k in ALONG], "7.2f"),
        "support loss": ([ref.mse(path[k], x, y) for k in ALONG], "7.3f"),
        "|v_k|/median": ([lengths[longest, STEPS - k] / medians[STEPS - k] for k in ALONG], "7.0f"),
    }
    print(f"  the wave with the longest v_0, number {longest}:")
    for name, (values, form) in rows.items():
        print(f"  {name}", *(f"{value:{form}}" for value in values), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        report(seed)


if __name__ == "__main__":
    main()
