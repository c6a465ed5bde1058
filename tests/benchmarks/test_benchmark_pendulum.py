"""The table of pendulums whose body changes: its parts, and a small run of it, as a user starts it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import maml_edu.pytorch as mt
from maml_edu import places
from maml_edu.tasks import Pendulum

SCRIPT = places.course_root() / "benchmarks" / "reproduce" / "pendulum.py"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import pendulum

    return pendulum


def test_all_bodies_at_once_adapt_as_the_inner_loop_adapts_each(script):
    torch.manual_seed(0)
    network = mt.MLP(4, 8, 8, 2)
    batch = Pendulum(shots=6, queries=5).sample(np.random.default_rng(0), 3)
    weights = script.adapted(network, batch, "SGD", 0.1, [2])[2]
    says = script.predict(weights, script.tensor(batch.query_x))
    learner = mt.MAML(network, inner_lr=0.1, inner_steps=2)
    for i in range(3):
        x, y, query = (
            script.tensor(part[i]) for part in (batch.support_x, batch.support_y, batch.query_x)
        )
        with torch.no_grad():
            expected = learner.adapted(x, y)(query)
        torch.testing.assert_close(says[i], expected, rtol=1e-4, atol=1e-6)


def test_the_best_way_is_the_best_of_those_that_may_be_chosen(script):
    torch.manual_seed(0)
    network = mt.MLP(4, 8, 8, 2)
    batch = Pendulum(shots=20).sample(np.random.default_rng(0), 5)
    best = script.best_way(network, batch, 5, also=(0.123,))
    assert best.steps in (1, 2, 3, 5)
    errors = {}
    for rule, rates in {"SGD": (*script.RULES["SGD"][1], 0.123), "Adam": (0.003, 0.1)}.items():
        for rate in rates:
            weights = script.adapted(network, batch, rule, rate, [best.steps])[best.steps]
            wrong = script.errors_of(script.network_model(weights), batch)
            errors[rule, rate] = np.median(wrong)
    own = script.adapted(network, batch, best.rule, best.rate, [best.steps])[best.steps]
    assert np.median(script.errors_of(script.network_model(own), batch)) <= min(errors.values())


def test_one_run_is_twenty_transitions_that_follow_each_other_from_hanging(script):
    family, rng = Pendulum(20, 5), np.random.default_rng(0)
    bodies = family.draw_bodies(rng, 3)
    batch = script.shaken(family, rng, bodies, "run")
    assert batch.support_x.shape == (3, 20, 4) and batch.query_x.shape == (3, 5, 4)
    states, controls = script.states_of(batch.support_x)
    after = script.step(states, controls, bodies)
    np.testing.assert_allclose(np.cos(states[:, 0, 0]), -1.0)
    np.testing.assert_allclose(np.cos(after[:, :-1, 0]), np.cos(states[:, 1:, 0]), atol=1e-9)
    np.testing.assert_allclose(after[:, :-1, 1], states[:, 1:, 1], atol=1e-9)


def test_a_small_table_has_all_rows_and_keeps_what_was_trained(tmp_path):
    small = ["--iterations", "1", "--bodies", "6", "--most", "2", "--seeds", "0"]
    small += ["--worlds", "with a spring", "--runs", str(tmp_path)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *small], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert all(row.count("|") == rows[0].count("|") for row in rows)
    names = [row.split("|")[1].strip() for row in rows[2:]]
    assert names[:2] == ["true model", "least squares"] and len(names) == 15
    assert sum(name.startswith("MAML, trained without") for name in names) == 2
    kept = ["MAML-as-the-law-says-0", "MAML-with-a-spring-0", "pretrained-with-a-spring-0"]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == kept
