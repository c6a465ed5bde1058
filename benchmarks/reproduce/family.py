"""MAML's family on sine waves: the numbers of chapter 11, in parts.

    python benchmarks/reproduce/family.py --part divergence --seeds 0 1 2 3 4 5 6 7 8 9
    python benchmarks/reproduce/family.py --part causes
    python benchmarks/reproduce/family.py --part table
    python benchmarks/reproduce/family.py --part seconds
    python benchmarks/reproduce/family.py --part taylor
    python benchmarks/reproduce/family.py --part alpha

10-shot waves, ReLU network 1-40-40-1, 25 tasks per iteration, Adam with β = 0.001 and α = 0.01 unless said.
`--json` keeps everything that was measured, run by run: a part that is started again with the same file goes on
after the runs that are in it.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: small networks want one thread

import numpy as np
import torch
from family_stability import Truncated, clopper_pearson, network, watched
from family_table import seconds, table
from family_taylor import alpha, taylor

import maml_edu.pytorch as mt
from maml_edu.atomic import replacing


def main():
    options = arguments()
    torch.set_num_threads(1)
    record = Record(options.json)
    PARTS[options.part](options, record)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--part", choices=list(PARTS), required=True)
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--iterations", type=int, default=10_000)
    add("--every", type=int, default=250, help="iterations between two looks")
    add("--tuning", type=int, default=3_000, help="iterations of each point of a grid")
    add("--rounds", type=int, default=5, help="of the timing")
    add("--tasks", type=int, default=200, help="of the Taylor series' means")
    add("--only", nargs="+", help="of the rows of this part, those with these names")
    add("--json", type=Path, help="keep each run in this file, and skip those that are in it")
    return parser.parse_args()


class Record:
    """Runs by their names, kept in a file."""

    def __init__(self, path):
        self.path = path
        self.runs = json.loads(path.read_text("utf-8")) if path and path.exists() else {}

    def run(self, name, work):
        """work(), or what it gave before."""
        if name not in self.runs:
            self.runs[name] = work()
            if self.path:
                with replacing(self.path) as file:
                    file.write(json.dumps(self.runs, indent=1).encode())
        return self.runs[name]


# ------------------------------------------------------------------ how many runs diverge


def divergence(options, record):
    """MAML and first order, K = 1 and 5: how many runs diverge, and the curvature on the way."""
    for first_order, steps in ((True, 5), (False, 5), (True, 1), (False, 1)):
        name = f"{'FOMAML' if first_order else 'MAML'} K={steps}"
        if options.only and name not in options.only:
            continue
        runs = [
            record.run(
                f"{name} seed {seed} {options.iterations} every {options.every}",
                lambda seed=seed, steps=steps, first_order=first_order: watched(
                    mt.MAML(network(seed), inner_steps=steps, first_order=first_order),
                    seed,
                    options.iterations,
                    options.every,
                ),
            )
            for seed in options.seeds
        ]
        show_runs(name, runs)


def show_runs(name, runs):
    """How many diverged, each run in a line, and one run's way."""
    count = sum(run["diverged"] for run in runs)
    low, high = clopper_pearson(count, len(runs))
    print(
        f"\n{name}: {count} of {len(runs)} diverged (95 % {100 * low:.0f}–{100 * high:.0f} %)\n",
        flush=True,
    )
    for run in runs:
        print("  " + in_a_line(run), flush=True)
    print()
    print(
        "  seed, iteration: αλmax at θ (90 %), highest on the path (90 %), over 2, cosine, ratio, loss"
    )
    for run in runs:
        for seen in run["looks"][:: max(1, len(run["looks"]) // 10)]:
            print(f"  {run['seed']}, {seen['iteration']:>6}: {seen_in_words(seen)}")


def in_a_line(run):
    looks = run["looks"]
    highest = max(seen["path"][0] for seen in looks)
    lowest = min(seen["cosine"] for seen in looks[1:] or looks)
    fate = "stable"
    if run["diverged"]:
        at = run["stopped at"]
        fate = f"DIVERGED, stopped at {at}" if at is not None else "DIVERGED: worse than untrained"
    at_start = max(seen["start"][0] for seen in looks)
    return (
        f"seed {run['seed']}: {fate}; meta-loss at the end {run['loss']:.3g}, of the worst batch "
        f"{run['highest']:.3g}; highest median αλmax at θ {at_start:.2f}, on the path {highest:.2f}; lowest cosine "
        f"{lowest:.2f}"
    )


def seen_in_words(seen):
    start, path, loss = (
        f"{seen[key][0]:.2f} ({seen[key][1]:.2f})" for key in ("start", "path", "loss")
    )
    return f"{start}, {path}, {100 * seen['over 2']:.0f} %, {seen['cosine']:.2f}, {seen['ratio']:.2f}, {loss}"


# ------------------------------------------------------------------ why


def control(name, rate=0.01, kind=mt.MAML, first_order=True, **outer):
    """A row of `causes`: K = 5 with something else than usual."""

    def start(seed, options):
        extra = {"first_order": first_order} if kind is mt.MAML else {}
        learner = kind(network(seed), inner_lr=rate, inner_steps=5, **extra)
        return watched(learner, seed, options.iterations, options.every, **outer)

    return name, start


CONTROLS = dict(
    [
        control("FOMAML, clip 10", clip=10),
        control("FOMAML, clip 1", clip=1),
        control("FOMAML, β = 0.0003", meta_lr=3e-4),
        control("FOMAML, α = 0.005", rate=0.005),
        control("FOMAML, α = 0.003", rate=0.003),
        control("MAML, α = 0.005", rate=0.005, first_order=False),
        control("FOMAML, SGD β = 0.01", optimiser="sgd", meta_lr=0.01),
        control("MAML, SGD β = 0.01", optimiser="sgd", meta_lr=0.01, first_order=False),
        control("last step's factor", kind=Truncated),
        control("FOMAML with bends", bends=True),
        control("MAML with bends", bends=True, first_order=False),
        *(
            control(f"FOMAML, then MAML from {at}", switch=(at, False))
            for at in (2000, 3000, 4000, 6000)
        ),
        *(
            control(f"MAML, then FOMAML from {at}", switch=(at, True), first_order=False)
            for at in (3000, 6000)
        ),
    ]
)


def causes(options, record):
    """Is it the missing term? Everything with five inner steps."""
    for name in options.only or CONTROLS:
        runs = [
            record.run(
                f"{name} seed {seed} {options.iterations} every {options.every}",
                lambda seed=seed, name=name: CONTROLS[name](seed, options),
            )
            for seed in options.seeds
        ]
        show_runs(name, runs)
        for run in runs:
            show_bends(run)


def show_bends(run):
    """The change of mean αλmax per unit length along each update, medians over a third of the run."""
    looks = [seen for seen in run["looks"] if "bends" in seen]
    if not looks:
        return
    for third, part in enumerate(np.array_split(looks, min(3, len(looks))), 1):
        for name in looks[0]["bends"]:
            long, short = np.median([seen["bends"][name] for seen in part], axis=0)
            share = np.mean([seen["bends"][name][0] < 0 for seen in part])
            print(
                f"  seed {run['seed']}, third {third}, {name}: {long:+.3f} (s → 0: {short:+.3f}), falls at "
                f"{100 * share:.0f} % of {len(part)} looks"
            )


PARTS = {
    "divergence": divergence,
    "causes": causes,
    "table": table,
    "seconds": seconds,
    "taylor": taylor,
    "alpha": alpha,
}

if __name__ == "__main__":
    main()
