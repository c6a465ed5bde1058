"""The three worked families of chapter 16: what they promise, and a small run of the script."""

import os
import subprocess
import sys

import numpy as np
import pytest

from maml_edu import places

SCRIPT = places.course_root() / "benchmarks" / "reproduce" / "capstone.py"


@pytest.fixture
def families(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import capstone

    return capstone.families()


def oracle_errors(family, tasks=20):
    """The oracle's mean squared error on new tasks, (tasks,)."""
    batch = family.sample(np.random.default_rng(5), tasks)
    return [
        np.mean((family.oracle(support_x, support_y, query_x) - query_y) ** 2)
        for support_x, support_y, query_x, query_y in batch
    ]


def test_the_oracle_of_the_waves_is_left_with_little_more_than_the_noise(families):
    errors = oracle_errors(families["waves"]())
    assert 0.01 < np.mean(errors) < 0.03


def test_the_oracle_of_the_pendulum_is_left_with_nothing(families):
    assert np.mean(oracle_errors(families["pendulum"]())) < 1e-6


def test_one_label_in_five_is_wrong_and_classes_stay_balanced(families):
    family = families["glyphs"](alphabets=2)
    labels = family.sample(np.random.default_rng(0), 30).support_y.reshape(30, 5, 5)
    right = np.arange(5)[:, None]
    assert ((labels != right).sum(axis=2) == 1).all()
    assert all((np.bincount(task.ravel(), minlength=5) == 5).all() for task in labels)
    places_of_wrong = (labels != right).argmax(axis=2)
    assert len(np.unique(places_of_wrong)) == 5


def test_the_query_labels_are_right(families):
    batch = families["glyphs"](alphabets=2).sample(np.random.default_rng(0), 3)
    assert (batch.query_y == np.repeat(np.arange(5), 5)).all()


def test_the_script_prints_a_table_and_leaves_a_page(tmp_path):
    command = [
        sys.executable,
        SCRIPT,
        "--family",
        "waves",
        "--quick",
        "--episodes",
        "40",
        "--out",
        tmp_path,
    ]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=dict(os.environ), check=False
    )
    assert run.returncode == 0, run.stderr
    assert "MAML" in run.stdout and "oracle" in run.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"waves.html", "waves.md"}
