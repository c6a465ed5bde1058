"""The Omniglot experiment: its time, on invented characters or real ones, and its accuracy on these."""

import json
import sys

import numpy as np
import pytest
import torch

from maml_edu import places
from maml_edu.tasks import omniglot

sys.path.append(str(places.course_root()))

from benchmarks.reproduce import omniglot_speed  # noqa: E402

SHORT = ["--device", "cpu", "--quiet", "--engine", "lean", "--iterations"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)  # put back afterwards
    monkeypatch.setattr(omniglot_speed, "ASIDE", 1)
    monkeypatch.setattr(omniglot_speed, "ALPHABETS", 1)


def test_a_short_run_tells_what_the_whole_one_would_take(capsys):
    omniglot_speed.main([*SHORT, "2"])
    said = capsys.readouterr().out
    assert "5-way 1-shot, invented characters, 32 tasks, float32: " in said
    assert "CPU threads, torch" in said
    assert "60,000 iterations: " in said and "extrapolated" in said
    assert "drawing 32 tasks by itself: " in said
    assert "accuracy" not in said


def test_with_omniglot_it_is_tested_on_new_classes(tmp_path, capsys):
    packed = np.random.default_rng(0).integers(0, 256, (20, 20, 98), dtype=np.uint8)
    names = np.array([str(number) for number in range(20)])
    data = {"packed": packed, "alphabet": names, "character": names}
    data |= {"is_background": np.ones(20, bool), "vinyals_split": np.repeat([0, 2], 10)}
    omniglot.write_packed(tmp_path / omniglot.PACKED["nearest"], data)
    written = tmp_path / "figures.json"
    options = ["--data", str(tmp_path), "--episodes", "4", "--json", str(written)]
    omniglot_speed.main([*SHORT, "2", *options])
    figures = json.loads(written.read_text())
    assert figures["data"] == "Omniglot" and figures["complete"] and figures["iterations"] == 2
    assert len(figures["accuracy"]["mean"]) == 4 and figures["accuracy"]["episodes"] == 4
    assert "accuracy on 4 tasks of new classes" in capsys.readouterr().out


def test_a_run_that_is_stopped_says_so_and_keeps_what_it_has(tmp_path, monkeypatch, capsys):
    def stopped(learner, family, iterations, *rest, callbacks, **options):
        history = type("History", (), {"loss": [1.0, 0.5]})
        callbacks[0][1](1, history, learner)
        return history

    monkeypatch.setattr(omniglot_speed.mt, "meta_train", stopped)
    written = tmp_path / "figures.json"
    omniglot_speed.main([*SHORT, "5", "--json", str(written)])
    figures = json.loads(written.read_text())
    assert not figures["complete"] and figures["iterations"] == 2 and figures["loss"] == 0.75
    assert "stopped after 2 of 5 iterations" in capsys.readouterr().out


def test_the_extrapolation_leaves_the_first_iterations_out():
    first = {"first": {"iterations": 100, "seconds": 40.0}}
    times = omniglot_speed.times(first, 1100, 45.0)
    assert times["ms_each"] == pytest.approx(5.0)
    assert times["minutes_of_the_paper"] == pytest.approx((45.0 + 58_900 * 0.005) / 60)
