"""2-D navigation by policy gradient: MAML, first-order MAML and a pretrained policy, after 0 to 3 steps.

    python benchmarks/reproduce/navigation.py

prints tables of returns on 100 new goals, 20 trajectories each. Every policy is tested with three pairs of rates,
that of the first step and that of the later ones: 0.5 and 0.125; 0.5 and 0.25, halved as in the original code; and
the pair that suits it best on 100 goals of their own. Last, each policy is compared with MAML's on the same goals,
both at the rates that suit them best. With --runs an interrupted run goes on where it stopped.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import maml_edu.pytorch as mt
from maml_edu.pytorch.policy import Policy, PolicyGradient, returns_after
from maml_edu.tasks import Navigation

METHODS = {
    "MAML": {},
    "FOMAML": {"first_order": True},
    "pretrained": {"inner_steps": 0},
    "untrained": {},
}
FIRST, LATER = (0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0), (0.03, 0.06, 0.09, 0.125, 0.18, 0.25)
VALIDATION, TEST = 2, 1  # seeds of goals and noise
FAMILY = Navigation(trajectories=20)


def learner_for(method, seed):
    """A policy whose first weights depend on the seed alone. A task at a time fits into a CPU's cache."""
    torch.manual_seed(seed)
    return PolicyGradient(Policy(), engine="textbook", **METHODS[method])


def trained(learner, iterations, seed, folder):
    """Trains as chapter 13 does; returns the seconds of CPU."""
    how = {"meta_batch": 20, "meta_lr": 0.01, "schedule": ("cosine", 0.1), "clip": 1, "seed": seed}
    how |= {"checkpoint": folder}
    began = time.process_time()
    mt.meta_train(learner, FAMILY, iterations, device="cpu", progress=False, **how)
    return time.process_time() - began


def best_rates(learner, episodes, grid):
    """(first, later, later): the rate with the best mean return after one step, then after three."""
    score = lambda *rates: returns_after(learner, FAMILY, rates, episodes, VALIDATION).mean[-1]
    first = max(grid[0], key=score)
    return (first, *[max(grid[1], key=lambda later: score(first, later, later))] * 2)


def results_of(method, seed, iterations, episodes, grid, runs):
    """{"0.5, then 0.125": Evaluation, …} of one policy, printed on the way."""
    learner = learner_for(method, seed)
    if method != "untrained":
        seconds = trained(learner, iterations, seed, runs and runs / f"{method}-{seed}")
        print(f"{method}, seed {seed}: {seconds:.1f} s of CPU", flush=True)
    best = best_rates(learner, episodes, grid)
    pairs = {"0.5, then 0.125": (0.5, 0.125, 0.125), "0.5, then 0.25": (0.5, 0.25, 0.25)}
    results = {}
    for name, rates in (pairs | {"its own": best}).items():
        result = results[name] = returns_after(learner, FAMILY, rates, episodes, TEST)
        print(f"{method}, seed {seed}, rates {rates[0]}, then {rates[1]} ({name})")
        for step in range(len(rates) + 1):
            median, mean, _ = result.cells(step)
            print(f"  {step}  median {median}  mean {mean}", flush=True)
    return results


def row(method, name, results):
    """A line of the table: medians and means of all seeds, the middle one and in brackets the extremes."""
    medians, means = (
        np.array([getattr(result, what) for result in results]) for what in ("median", "mean")
    )
    cell = lambda v: f"{np.median(v):.1f} ({v.min():.1f} to {v.max():.1f})".replace("-", "−")
    cells = [cell(values) for part in (medians, means) for values in part.T]
    return f"| {method} | {name} | {' | '.join(cells)} |"


def ahead_of(method, results, maml):
    """A line for each seed: by how much MAML's return is above this method's, on the same goals."""
    lines = []
    for seed, result in results.items():
        by = maml[seed] - result
        steps = zip(by.mean, by.ci95, by.median, strict=True)
        cells = [f"{mean:+.1f} ± {ci:.1f}; {median:+.1f}" for mean, ci, median in steps]
        lines.append(f"| MAML minus {method} | {seed} | {' | '.join(cells)} |".replace("-", "−"))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--first", type=float, nargs="+", default=FIRST, help="rates to try")
    parser.add_argument("--later", type=float, nargs="+", default=LATER, help="rates to try")
    parser.add_argument("--runs", type=Path, help="folder for checkpoints")
    options = parser.parse_args()
    torch.set_num_threads(1)
    best = {}
    for method in options.methods:
        how = options.iterations, options.episodes, (options.first, options.later), options.runs
        seeds = {seed: results_of(method, seed, *how) for seed in options.seeds}
        for name in ("0.5, then 0.125", "0.5, then 0.25", "its own"):
            print(row(method, name, [results[name] for results in seeds.values()]), flush=True)
        best[method] = {seed: results["its own"] for seed, results in seeds.items()}
    for method in best if "MAML" in best else ():
        if method != "MAML":
            print(*ahead_of(method, best[method], best["MAML"]), sep="\n")


if __name__ == "__main__":
    main()
