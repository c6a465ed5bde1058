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
from maml_edu.capstone import check_family, compare, write_report
from torch import nn

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "own_families.py"


def families():
    """The classes in examples/own_families.py by name."""
    spec = importlib.util.spec_from_file_location("own_families", EXAMPLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FAMILIES


class Perceptron(nn.Module):
    """Class scores (examples, 5) of images (examples, 1, 28, 28), by way of 64 and 64 numbers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 5),
        )

    def forward(self, x):
        return self.layers(x)


# What `compare` is told of each family: sizes, and the rates to choose between.
SETTINGS = {
    "waves": {"iterations": 5_000, "inner_lrs": (0.003, 0.01, 0.03, 0.1)},
    "glyphs": {
        "model": Perceptron,
        "iterations": 600,
        "meta_batch": 8,
        "inner_lrs": (0.03, 0.1, 0.3, 1.0),
    },
    "pendulum": {"iterations": 2_000, "inner_steps": 3, "inner_lrs": (0.03, 0.1, 0.3)},
}


def measured(name, seeds, quick):
    """The report and the comparison of one family."""
    family = families()[name]
    how = dict(SETTINGS[name], seeds=seeds, quick=quick, progress=False)
    if name == "glyphs":
        how |= {"validation": family("val"), "test": family("test")}
    return check_family(family()), compare(family(), **how)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="a folder for the pages")
    parser.add_argument("--quick", action="store_true", help="one seed and a fifth of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.family:
        began = time.process_time()
        report, comparison = measured(name, tuple(options.seeds), options.quick)
        print(report, comparison, comparison.settings, sep="\n\n", flush=True)
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
