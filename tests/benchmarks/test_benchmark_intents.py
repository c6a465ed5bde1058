"""The nearest mean on few-shot intents, as a script: a small run of it, as a user starts it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from maml_edu import places

SCRIPT = places.course_root() / "benchmarks" / "reproduce" / "intents.py"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not (DATA / "clinc150").is_dir(), reason="needs ../shared/data/clinc150")
def test_a_small_run_prints_a_table_of_plausible_accuracies():
    small = ["--seeds", "1", "--ways", "5", "--episodes", "100", "--data-dir", str(DATA)]
    done = subprocess.run([sys.executable, str(SCRIPT), *small], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, mixed = done.stdout.splitlines()[2:]
    assert "1: kitchen_and_dining, travel, utility" in one and "of all three domains" in mixed
    for row in (one, mixed):
        one_shot, five_shot = (float(cell) for cell in re.findall(r"([\d.]+) ±", row))
        assert 60 < one_shot < 82 and 82 < five_shot < 97


def test_without_data_it_is_said_what_to_do(tmp_path):
    line = [sys.executable, str(SCRIPT), "--data-dir", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 1 and "maml-edu data get clinc150 --data-dir" in done.stderr
