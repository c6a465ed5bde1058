"""The three worked families of chapter 16: each through its checks, a comparison with three seeds, and a report.

    python benchmarks/reproduce/capstone.py --family waves --seeds 0 1 2 --out runs/capstone

prints the table of checks, the settings that were chosen, and a table of methods; with --out it writes the page, in
HTML and in Markdown. Without --family all three are run, one after the other. Settings are chosen on validation
tasks; their characters, and those of the test, are from alphabets that training has not seen. --quick tries it out.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.capstone import check_family, compare, write_report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "own_families.py"


def families():
    """The classes in examples/own_families.py by name."""
    spec = importlib.util.spec_from_file_location("own_families", EXAMPLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FAMILIES


def perceptron():
    """Class scores (examples, 5) of images (examples, 1, 28, 28), by way of 64 and 64 numbers."""
    return nn.Sequential(nn.Flatten(), *mt.MLP(784, 64, 64, 5))


# What `compare` is told of each family: sizes, and the rates to choose between where its own lists do not fit.
SETTINGS = {
    "waves": {"iterations": 2_000},
    "glyphs": {
        "model": perceptron,
        "iterations": 300,
        "meta_batch": 8,
        "inner_lrs": (0.1, 0.3, 1.0, 3.0),
    },
    "pendulum": {"iterations": 1_000, "inner_lrs": (0.01, 0.03, 0.1, 0.3)},
}
SHOTS = {"waves": 5, "glyphs": 5, "pendulum": 20}


def measured(name, seeds, options):
    """The report and the comparison of one family."""
    make, shots = families()[name], options.shots or SHOTS[name]
    how = dict(
        SETTINGS[name],
        seeds=seeds,
        quick=options.quick,
        progress=False,
        test_seed=options.test_seed,
    )
    if options.iterations:
        how["iterations"] = options.iterations
    how |= {"episodes": options.episodes, "validation_episodes": options.episodes // 2}
    if name == "glyphs":
        how |= {split: make(split, shots=shots) for split in ("val", "test")}
        how["validation"] = how.pop("val")
    family = make(shots=shots)
    return check_family(family, tasks=60), compare(family, **how)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shots", type=int, help="support examples; of glyphs per class")
    parser.add_argument(
        "--episodes", type=int, default=200, help="test tasks; half as many to choose on"
    )
    parser.add_argument("--iterations", type=int, help="of training, in place of the family's own")
    parser.add_argument("--test-seed", type=int, default=3, help="of the test tasks")
    parser.add_argument("--out", type=Path, help="a folder for the pages")
    parser.add_argument("--quick", action="store_true", help="one seed and a fifth of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.family:
        began = time.process_time()
        report, comparison = measured(name, tuple(options.seeds), options)
        print(report, comparison, comparison.settings, sep="\n\n", flush=True)
        for method, row in comparison.rows.items():
            print(f"{method}: {row.tried}")
        print(f"{name}: {time.process_time() - began:.0f} s of CPU", flush=True)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            write_report(
                comparison,
                options.out / name,
                author="maml_edu",
                family_report=report,
                overwrite=True,
            )


if __name__ == "__main__":
    main()
