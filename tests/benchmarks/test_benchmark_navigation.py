"""The table of 2-D navigation: a small run of it, as a user starts it."""

import os
import subprocess
import sys

from maml_edu import places

SCRIPT = places.course_root() / "benchmarks" / "reproduce" / "navigation.py"


def run(*options):
    small = "--iterations 1 --episodes 2 --seeds 0 --first 0.5 --later 0.1".split()
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *small, *options], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_interrupted_table_goes_on_to_the_same_numbers(tmp_path):
    again = [run("--methods", "FOMAML", "--runs", str(tmp_path)) for _ in range(2)]
    first, second = (text.splitlines() for text in again)
    assert first[0].startswith("FOMAML, seed 0: ") and first[1:] == second[1:]
    rows = [line.split("|")[1:-1] for line in first if line.startswith("| ")]
    assert [row[1].strip() for row in rows] == ["0.5, then 0.125", "0.5, then 0.25", "its own"]
    assert all(len(row) == 2 + 4 + 4 for row in rows)  # medians and means after 0 to 3 steps


def test_each_method_is_compared_with_maml_on_the_same_goals():
    lines = run("--methods", "MAML", "untrained").splitlines()
    rows = [line.replace("−", "-").split("|") for line in lines if line.startswith("| ")]
    maml, untrained = (float(row[7].split()[0]) for row in rows if row[2] == " its own ")
    assert rows[-1][1:3] == [" MAML minus untrained ", " 0 "]
    difference = float(rows[-1][3].split()[0])
    assert abs(maml - untrained - difference) < 0.151  # three figures were rounded
