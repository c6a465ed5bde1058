"""benchmarks/reproduce/family.py: its curvature, its Taylor series, its intervals, and small runs of its parts."""

import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu import places

FOLDER = places.course_root() / "benchmarks" / "reproduce"


@pytest.fixture(scope="module")
def parts():
    """The script's modules by their names."""
    sys.path.insert(0, str(FOLDER))
    try:
        import curvature
        import family
        import family_stability
        import family_table
        import family_taylor
    finally:
        sys.path.remove(str(FOLDER))
    return {
        "curvature": curvature,
        "family": family,
        "stability": family_stability,
        "table": family_table,
        "taylor": family_taylor,
    }


@pytest.fixture
def run(parts, monkeypatch, capsys):
    """main(options) → what it printed."""

    def words(*options):
        monkeypatch.setattr(sys, "argv", ["family.py", *options])
        parts["family"].main()
        return capsys.readouterr().out

    return words


@pytest.fixture
def small_table(parts, monkeypatch):
    """Few waves, and two methods that need no compiling."""
    table = parts["table"]
    monkeypatch.setattr(table, "VALIDATION", 4)
    monkeypatch.setattr(table, "TEST", 6)
    first_order = lambda model, inner_lr: mt.FOMAML(model, inner_lr=inner_lr, engine="textbook")

    def pretrained(model):
        learner = mt.FineTuning(model, inner_lr=0.01)
        learner.engine = "textbook"
        return learner

    methods = {
        "first order": table.Method(first_order, {"inner_lr": (0.01, 0.1)}, 2),
        "pretrained": table.Method(pretrained, {}, 2),
    }
    monkeypatch.setattr(table, "METHODS", methods)


def batch_of(parts, count=3):
    batch = parts["stability"].TASKS.sample(np.random.default_rng(4), tasks=count)
    return tuple(torch.as_tensor(array).double() for array in batch.arrays)


def test_the_largest_eigenvalue_is_the_full_hessians_even_where_another_is_larger_in_size(parts):
    x, y, *_ = batch_of(parts)
    torch.manual_seed(0)
    model = mt.MLP(1, 8, 8, 1).double()
    loss = parts["curvature"].loss_of(model)
    theta = parts["curvature"].flat(dict(model.named_parameters()))
    found = parts["curvature"].curvatures(loss, theta.expand(3, -1), x, y, 20)
    for task in range(3):
        exact = torch.linalg.eigvalsh(torch.func.hessian(loss)(theta, x[task], y[task]))
        assert found[task] == pytest.approx(float(exact[-1]), rel=1e-5)
    saddle = lambda v, x, y: (torch.tensor([-9.0, 0.5, 2.0], dtype=v.dtype) * v**2).sum() / 2
    here = torch.ones(1, 3, dtype=torch.float64)
    assert parts["curvature"].curvatures(saddle, here, x[:1], y[:1], 3) == pytest.approx(2.0)


def test_both_gradients_are_those_of_the_library(parts):
    torch.manual_seed(0)
    batch, model = batch_of(parts), mt.MLP(1, 8, 1).double()
    loss, flat = parts["curvature"].loss_of(model), parts["curvature"].flat
    theta = flat(dict(model.named_parameters()))
    found = parts["curvature"].both_gradients(loss, theta, batch, 0.01, 3)
    for gradient, first_order in zip(found, (False, True), strict=True):
        learner = mt.MAML(model, inner_steps=3, first_order=first_order, engine="textbook")
        torch.testing.assert_close(gradient, flat(learner.meta_gradient(batch)[1]))


def test_one_step_with_the_last_steps_factor_alone_is_maml(parts):
    torch.manual_seed(0)
    batch, model = batch_of(parts), mt.MLP(1, 8, 1).double()
    truncated = (
        parts["stability"].Truncated(model, inner_lr=0.01, inner_steps=1).meta_gradient(batch)
    )
    full = mt.MAML(model, inner_lr=0.01, inner_steps=1).meta_gradient(batch)
    for name, gradient in full[1].items():
        torch.testing.assert_close(truncated[1][name], gradient)


def test_each_method_has_its_coefficients_to_three_digits_and_the_rest_falls_like_alpha_squared(
    parts,
):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    loss = parts["curvature"].loss_of(model)
    theta = parts["curvature"].flat(dict(model.named_parameters()))
    rows = parts["taylor"].series(loss, theta, batch_of(parts, 5), rates=(1e-5, 1e-4))
    for name, (_, times) in parts["taylor"].TIMES.items():
        (_, _, coefficient, rest, _), (_, _, _, larger, _) = [r for r in rows if r[1] == name]
        assert coefficient == pytest.approx(times, abs=1e-3)
        assert larger / rest == pytest.approx(100, rel=0.05)


def test_the_exact_interval_of_a_share_is_the_textbooks(parts):
    interval = parts["stability"].clopper_pearson
    assert interval(0, 10) == pytest.approx((0, 0.3085), abs=1e-4)
    assert interval(2, 10) == pytest.approx((0.0252, 0.5561), abs=1e-4)
    assert interval(10, 10) == pytest.approx((0.6915, 1), abs=1e-4)


def test_a_run_that_gets_worse_than_untrained_has_diverged(parts):
    watched, network = parts["stability"].watched, parts["stability"].network
    learner = lambda: mt.FOMAML(network(0), engine="textbook")  # nothing to compile
    assert not watched(learner(), 0, 2, 2)["diverged"]
    wild = watched(learner(), 0, 4, 2, meta_lr=10.0)
    assert wild["diverged"] and wild["looks"]


def test_settings_are_chosen_by_validation_and_the_ends_of_grids_are_named(parts):
    table = parts["table"]
    grid = {"inner_lr": (0.1, 0.2, 0.3), "strength": (1, 2)}
    assert len(table.points(grid)) == 6
    assert table.at_an_end(grid, {"inner_lr": 0.2, "strength": 2}) == ["strength"]
    assert table.lowest({"1": [math.nan, 0, 0], "5": [0.5, 9, 1]}) == 0.5
    assert table.lowest({}) == math.inf


def test_least_squares_on_sine_and_cosine_is_exact(parts):
    table = parts["table"]
    assert table.on(table.SineAndCosine(), 1e-12, 3, 5).median[0] < 1e-10


def test_an_interrupted_part_goes_on_to_the_same_words(run, tmp_path):
    small = "--part causes --iterations 2 --every 2 --only".split() + ["last step's factor"]
    kept = ["--json", str(tmp_path / "runs.json")]
    first = run(*small, "--seeds", "0", *kept)
    again = run(*small, "--seeds", "0", "1", *kept)
    assert "0 of 1 diverged (95 % 0–98 %)" in first and "0 of 2 diverged" in again
    line = next(line for line in first.splitlines() if "seed 0:" in line)
    assert line in again


def test_a_small_table_prints_its_rows_and_the_oracle(parts, run, small_table):
    small = "--part table --iterations 2 --tuning 1 --seeds 0 --only".split()
    said = run(*small, "first order", "pretrained")
    assert "first order, 2 gradient equivalents" in said and "fine-tuned at" in said
    assert "least squares on sin x and cos x" in said


def test_the_frontier_counts_the_seeds_that_got_there_even_if_the_first_one_stopped(parts, capsys):
    scores = {"5": [0.3, 0.4, 0]}
    stopped, through = {"scores": {"1000": scores}}, {"scores": {"1000": scores, "10000": scores}}
    parts["table"].frontier({"FOMAML, K = 5": [stopped, through]})
    said = capsys.readouterr().out
    assert "10000 iterations:    60000: 0.3 (1 of 2 seeds)" in said
    assert "1000 iterations:     6000: 0.3 (2 of 2 seeds)" in said
