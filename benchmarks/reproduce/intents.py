"""What needs no learning on few-shot intents: the nearest mean of hashed letter groups, domains held out.

    python benchmarks/reproduce/intents.py                       # CLINC150: maml-edu data get clinc150
    python benchmarks/reproduce/intents.py --data-dir ../shared/data --episodes 100

A seed draws the three domains of the test and the episodes. Intervals are 1.96 standard errors over episodes.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from maml_edu.tasks import Intents

AT_ONCE = 50  # episodes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", type=int, nargs="+", default=[5, 10])
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--episodes", type=int, default=600, help="rounded up to fifties")
    parser.add_argument("--data-dir", help="where CLINC150 is, as for maml-edu data")
    options = parser.parse_args()
    columns = [(ways, shots) for ways in options.ways for shots in options.shots]
    heads = [f"{ways}-way {shots}-shot" for ways, shots in columns]
    print("| intents of an episode | seed: domains held out |", " | ".join(heads), "|")
    print("| --- " * (len(columns) + 2) + "|")
    for mixed in (False, True):
        for seed in options.seeds:
            cells = [measured(mixed, seed, *column, options) for column in columns]
            kind = "of all three domains" if mixed else "of one domain"
            held = ", ".join(sorted({domain for _, domains in cells for domain in domains}))
            row = " | ".join(cell for cell, _ in cells)
            print(f"| {kind} | {seed}: {held} | {row} |", flush=True)


def measured(mixed, seed, ways, shots, options):
    """Per cent correct with its interval, in words, and the domains of the test."""
    tasks = Intents(
        "test",
        ways,
        shots,
        15,
        source="clinc150",
        mixed=mixed,
        seed=seed,
        data_dir=options.data_dir,
    )
    rng, batches = np.random.default_rng(seed), -(-options.episodes // AT_ONCE)
    right = np.concatenate([correct(tasks.sample(rng, AT_ONCE), ways) for _ in range(batches)])
    error = 1.96 * right.std(ddof=1) / np.sqrt(len(right))
    return f"{100 * right.mean():.1f} ± {100 * error:.1f}", set(tasks.domains)


def correct(batch, ways):
    """The share of queries that are nearest, by angle, to the mean of their own class: (tasks,)."""
    tasks, _, size = batch.support_x.shape
    means = batch.support_x.reshape(tasks, ways, -1, size).mean(axis=2)
    means = means / np.linalg.norm(means, axis=2, keepdims=True)  # (tasks, ways, size)
    said = np.einsum("tqd,twd->tqw", batch.query_x, means).argmax(axis=2)
    return (said == batch.query_y).mean(axis=1)


if __name__ == "__main__":
    main()
