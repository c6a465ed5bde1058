"""The timing of the Omniglot experiment, on invented characters."""

import sys

import torch

from maml_edu import places

sys.path.append(str(places.course_root()))

from benchmarks.reproduce import omniglot_speed  # noqa: E402


def test_a_short_run_tells_what_the_whole_one_would_take(monkeypatch, capsys):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)  # put back afterwards
    monkeypatch.setattr(omniglot_speed, "ASIDE", 1)
    monkeypatch.setattr(omniglot_speed, "ALPHABETS", 1)
    omniglot_speed.main(["--iterations", "2", "--device", "cpu", "--quiet", "--engine", "lean"])
    said = capsys.readouterr().out
    assert "5-way 1-shot, 32 tasks, float32: " in said and "CPU threads, torch" in said
    assert "60,000 iterations: " in said and "extrapolated" in said
    assert "drawing 32 tasks by itself: " in said


def test_the_extrapolation_leaves_the_first_iterations_out():
    options, clock = omniglot_speed.parse(["--iterations", "1100"]), omniglot_speed.Clock()
    clock.began, clock.after, clock.done = 0.0, 40.0, 100
    said = omniglot_speed.report(options, torch.device("cpu"), 32, clock, now=45.0)
    assert "then 5.00 ms each" in said
    assert f"60,000 iterations: {(45 + 58_900 * 0.005) / 60:.1f} minutes, extrapolated" in said
