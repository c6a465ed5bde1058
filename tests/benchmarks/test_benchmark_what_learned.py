"""benchmarks/reproduce/what_learned.py: its waves, its shortcuts, and that an interrupted run goes on."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scripts import script_of

import maml_edu.pytorch as mt


@pytest.fixture(scope="module")
def script():
    return script_of("what_learned")


def sampled(waves, tasks=6):
    return waves.sample(np.random.default_rng(0), tasks).arrays


def test_waves_change_what_they_say_and_nothing_else(script):
    plain, taller, turned = (
        sampled(script.Waves(**change)) for change in ({}, {"height": 2}, {"turn": np.pi})
    )
    np.testing.assert_allclose(taller[1], 2 * plain[1])
    np.testing.assert_allclose(turned[3], -plain[3], atol=1e-12)
    assert script.oracle_row(20)[1:] == pytest.approx([0] * 5, abs=1e-9)


def test_a_fixed_number_of_waves_comes_back_with_their_codes(script):
    waves = script.Waves(many=2, code=3)
    x, y, query_x, _ = sampled(waves, 20)
    assert x.shape == (20, 10, 4) and len(np.unique(x[:, :, 1:].reshape(-1, 3), axis=0)) == 2
    np.testing.assert_array_equal(x[:, 0, 1:], query_x[:, -1, 1:])
    heights, phases, codes = waves.bank
    for task in range(20):
        which = int(np.argmin(np.abs(codes - x[task, 0, 1:]).sum(1)))
        expected = heights[which] * np.sin(x[task, :, :1] - phases[which])
        np.testing.assert_allclose(y[task], expected)


def test_the_head_on_stored_features_is_the_head_that_moves_alone(script):
    torch.manual_seed(0)
    learner = mt.MAML(mt.Conv4(5, filters=3), F.cross_entropy, inner_lr=0.4)
    stored = script.features_of(mt.body_of(learner.model), "test", 4, script.TEST)
    head = mt.MAML(learner.model.head, F.cross_entropy, inner_lr=0.4)
    short = mt.evaluate(head, stored, 4, 1, metric="accuracy").values
    whole = mt.evaluate(
        learner.moving_only("head"), script.glyphs_of("test"), 4, 1, script.TEST, metric="accuracy"
    ).values
    np.testing.assert_allclose(short, whole)
    still = script.features_after(learner.moving_only("features", 0.0), 4)
    for before, after in zip(stored.batch.arrays, still.batch.arrays, strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_what_ran_away_is_told_in_per_cent_of_the_tasks(script):
    torch.manual_seed(0)
    wild = mt.MAML(mt.MLP(1, 8, 1), inner_lr=100.0)
    result = mt.evaluate(wild, script.Waves(), 20, 10, 0)
    assert script.cells(result)[-1] == 100 * np.mean(~(result.values[:, -1] < 1e3)) == 100


@pytest.fixture
def run(script, monkeypatch, capsys):
    """main(options) → the lines of its tables."""

    def lines(*options):
        monkeypatch.setattr(sys, "argv", ["what_learned.py", *options])
        threads = torch.get_num_threads()
        try:
            script.main()
        finally:
            torch.set_num_threads(threads)
        return [line for line in capsys.readouterr().out.splitlines() if "|" in line]

    return lines


def test_a_small_run_prints_its_tables_and_goes_on_where_it_stopped(run, tmp_path):
    options = "--part diversity --seeds 0 1 --widths 4 --iterations 2 --episodes 4".split()
    printed = [run(*options, "--runs", str(tmp_path)) for _ in range(2)]
    assert printed[0] == printed[1] and sorted(p.name for p in tmp_path.iterdir()) == [
        "diversity-4-0.json",
        "diversity-4-1.json",
    ]
    rows = [line.split("|")[1].strip() for line in printed[0][2:]]
    assert rows == ["M = 1", "M = 3", "M = 10", "M = 30", "M = 100", "M = ∞"]
    assert all(line.count("|") == 14 for line in printed[0])
    with pytest.raises(ValueError, match="give --runs another folder"):
        run(*options, "--runs", str(tmp_path), "--iterations", "3")


@pytest.mark.parametrize("part", ["memory", "shift"])
def test_small_runs_of_the_other_parts_have_their_columns(run, monkeypatch, script, part):
    monkeypatch.setattr(script, "SINE_RATES", (0.01,))
    lines = run(*f"--part {part} --seeds 0 --widths 4 --iterations 4 --episodes 4".split())
    assert len(lines) == 2 + {"memory": 5, "shift": 16}[part]
    assert len({line.count("|") for line in lines}) == 1


def test_a_small_run_on_glyphs_has_its_columns_and_rates_of_its_own(run, monkeypatch, script):
    monkeypatch.setitem(script.GLYPH_METHODS, "BOIL, K = 1", (mt.BOIL, 1, (0.1, 0.4)))
    monkeypatch.setattr(script, "HEAD_STEPS", (1, 2))
    options = "--part glyphs --seeds 0 --filters 3 --glyph-iterations 2 --episodes 4 --methods"
    lines = run(*options.split(), "BOIL, K = 1", "ProtoNet")
    rows = [line.split("|")[1].strip() for line in lines]
    assert rows.count("BOIL, K = 1") == 3 and rows.count("ProtoNet") == 1


def test_stored_tasks_are_all_judged_once_and_never_some_of_them_twice(script):
    """`evaluate` takes a hundred tasks at a time: each part must bring the next ones."""
    tasks = script.Waves().sample(np.random.default_rng(3), 150)
    stored, learner = script.Stored(tasks), mt.MAML(mt.MLP(1, 4, 1))
    values = mt.evaluate(learner, stored, 150, 0).values[:, 0]
    again = mt.evaluate(learner, stored, 150, 0).values[:, 0]
    alone = [
        mt.evaluate(learner, script.Stored(tasks.part(i, i + 2)), 2, 0).values for i in (0, 148)
    ]
    np.testing.assert_allclose(values, again)
    np.testing.assert_allclose(values[[0, 1, 148, 149]], np.concatenate(alone)[:, 0], rtol=1e-5)
    assert len(np.unique(values)) == 150
    with pytest.raises(ValueError, match="not part of a batch of 150"):
        mt.evaluate(learner, stored, 250, 0)


def test_a_seed_that_ran_away_does_not_hide_the_others(script):
    assert script.cell(np.array([2.5, np.nan, 11]), 2) == "11 (2.5–∞)"
    assert script.cell(np.array([np.nan] * 3), 2) == "–"


def test_every_part_that_moves_on_sines_and_each_table_has_its_columns(script, monkeypatch):
    methods = {name: script.SINE_METHODS[name] for name in ("ANIL, K = 1", "pretrained")}
    monkeypatch.setattr(script, "SINE_METHODS", methods | {"MAML, K = 1": (mt.MAML, 1)})
    monkeypatch.setattr(script, "SINE_RATES", (0.01,))
    monkeypatch.setattr(script, "STRENGTHS", (0.1,))
    options = SimpleNamespace(episodes=3, iterations=4, widths=[4])
    tables = script.sines(4, 0, options)
    assert len(tables["moving"]) == 4 * 7 and len(tables["ridge"]) == 5
    for name, rows in tables.items():
        columns = len(script.COLUMNS[f"sines {name}"])
        assert all(len(numbers) == columns for numbers in rows.values()), name
