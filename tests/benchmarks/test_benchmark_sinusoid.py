"""The full sinusoid experiment as a script: small runs of it, as a user starts it."""

import json
import os
import subprocess
import sys

from maml_edu import places

SCRIPT = places.course_root() / "benchmarks" / "reproduce" / "sinusoid.py"


def run(folder, iterations):
    """(what it printed, what it wrote) of a run with 5-shot tasks in `folder`."""
    small = ["--iterations", str(iterations), "--episodes", "10", "--meta-batch", "4"]
    where = ["--runs", str(folder), "--json", str(folder / "out.json")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *small, *where, "--shots", "5", "10", "--train-shots", "10"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "out.json").read_text(encoding="utf-8"))


def test_an_interrupted_experiment_goes_on_to_the_same_numbers(tmp_path):
    run(tmp_path / "twice", 3)
    printed, resumed = run(tmp_path / "twice", 6)
    _, at_once = run(tmp_path / "once", 6)
    for one, other in zip(resumed["results"], at_once["results"], strict=True):
        assert one["mse"] == other["mse"] and one["rate"] == other["rate"]
    assert [(row["method"], row["shots"]) for row in resumed["results"]] == [
        ("MAML", 5),
        ("pretrained", 5),
        ("MAML", 10),
        ("pretrained", 10),
    ]
    assert all(len(row["mse"]) == len(row["ci95"]) == 11 for row in resumed["results"])
    settings = resumed["settings"]
    assert settings["seed"] == 0 and settings["train_shots"] == 10 and settings["torch"]
    assert printed.count("published") == 2  # beside the two rows of 5 shots


def test_the_help_says_what_the_paper_used():
    said = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True)
    assert said.returncode == 0 and "70000" in said.stdout and "pretrain" in said.stdout
