"""The timing of the Omniglot experiment, on invented pictures."""

import sys

import numpy as np
import pytest
import torch

from maml_edu import places
from maml_edu.pytorch.sampling import Stream

sys.path.append(str(places.course_root()))

from benchmarks import omniglot_speed  # noqa: E402
from benchmarks.pictures import EXAMPLES, Pictures  # noqa: E402


def drawn(how, family, tasks):
    if how == "sample_on":
        return [part.numpy() for part in family.sample_on(Stream(0), tasks=tasks)]
    batch = family.sample(np.random.default_rng(0), tasks=tasks)
    return [batch.support_x, batch.support_y, batch.query_x, batch.query_y]


@pytest.mark.parametrize("how", ["sample", "sample_on"])
def test_a_task_has_examples_of_as_many_classes_as_it_should(how):
    family = Pictures(ways=5, shots=2, queries=3, classes=8)
    support_x, support_y, query_x, query_y = drawn(how, family, tasks=6)
    assert support_x.shape == (6, 10, 1, 28, 28) and query_x.shape == (6, 15, 1, 28, 28)
    known = family.on(torch.device("cpu")).flatten(2).numpy()  # (classes, examples, pixels)
    for task in range(6):
        found = {}  # label → (class, example) of every picture with it
        for x, y in ((support_x, support_y), (query_x, query_y)):
            for picture, label in zip(x[task], y[task], strict=True):
                same = (known == picture.reshape(-1)).all(-1)
                found.setdefault(int(label), []).append(tuple(np.argwhere(same)[0]))
        assert sorted(found) == [0, 1, 2, 3, 4]
        assert all(len(set(own)) == 5 and len({c for c, _ in own}) == 1 for own in found.values())
        assert len({own[0][0] for own in found.values()}) == 5


@pytest.mark.parametrize("how", ["sample", "sample_on"])
def test_tasks_differ_within_a_batch(how):
    support_x = drawn(how, Pictures(classes=30), tasks=4)[0]
    assert len({own.tobytes() for own in support_x}) == 4


def test_more_examples_than_there_are_get_refused():
    with pytest.raises(ValueError, match=f"{EXAMPLES} examples, fewer than 15"):
        Pictures(shots=15, queries=6)


def test_a_short_run_tells_what_the_whole_one_would_take(monkeypatch, capsys):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)  # put back afterwards
    monkeypatch.setattr(omniglot_speed, "ASIDE", 1)
    monkeypatch.setattr(omniglot_speed, "Pictures", lambda *a, **k: Pictures(*a, classes=20, **k))
    omniglot_speed.main(["--iterations", "2", "--device", "cpu", "--quiet", "--engine", "lean"])
    said = capsys.readouterr().out
    assert "5-way 1-shot, 32 tasks, float32: " in said and "CPU threads, torch" in said
    assert "60,000 iterations: " in said and "extrapolated" in said


def test_the_extrapolation_leaves_the_first_iterations_out():
    options, clock = omniglot_speed.parse(["--iterations", "1100"]), omniglot_speed.Clock()
    clock.began, clock.after, clock.done = 0.0, 40.0, 100
    said = omniglot_speed.report(options, torch.device("cpu"), 32, clock, now=45.0)
    assert "then 5.00 ms each" in said
    assert f"60,000 iterations: {(45 + 58_900 * 0.005) / 60:.1f} minutes, extrapolated" in said
