"""benchmarks/reproduce/in_context.py: its worlds, its linear attention, and that an interrupted run goes on."""

import numpy as np
import pytest
import torch
from scripts import script_of

from maml_edu.tasks import Sinusoids


@pytest.fixture(scope="module")
def script():
    return script_of("in_context")


def sampled(family, seed=0):
    return family.sample(np.random.default_rng(seed), 6).arrays


def test_waves_as_they_are_are_sinusoids(script):
    for ours, theirs in zip(sampled(script.Waves(5)), sampled(Sinusoids(5, 100)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_worlds_change_what_they_say(script):
    plain, taller = sampled(script.Waves(10)), sampled(script.Waves(10, height=2))
    np.testing.assert_allclose(taller[1], 2 * plain[1])
    turned = sampled(script.Waves(10, turn=np.pi))
    np.testing.assert_allclose(turned[3], -plain[3], atol=1e-12)
    strange = sampled(script.Waves(10, strangers=3))
    np.testing.assert_array_equal(strange[1][:, 3:], plain[1][:, 3:])
    assert (np.abs(strange[1] - plain[1]).max(axis=2)[:, :3] > 0).all()
    noisy = sampled(script.Waves(10, noise=0.5))
    np.testing.assert_array_equal(noisy[3], plain[3])
    assert (noisy[1] != plain[1]).all()


def test_hand_built_linear_attention_is_a_gradient_step(script):
    alpha, d = 0.3, 5
    x, y, asked, _ = map(torch.as_tensor, script.regressions(np.random.default_rng(0), 4))
    select, value = torch.zeros(script.WIDTH, d + 1).double(), torch.zeros(script.WIDTH, d + 1)
    select[:d, :d] = torch.eye(d)
    value[d, d] = -2 * alpha
    out = torch.zeros(d + 1, script.WIDTH).double()
    out[d, d] = 1
    answers = script.read_linearly((select, select, value.double(), out), x, y, asked)
    w = torch.zeros(4, d, 1, dtype=torch.float64, requires_grad=True)
    loss = (x @ w - y).square().mean((1, 2)).sum()
    (slope,) = torch.autograd.grad(loss, w)
    torch.testing.assert_close(answers, asked @ (-alpha * slope))


def test_the_best_matrix_of_rates_is_no_worse_than_one_rate(script):
    alpha, matrix = script.best_steps((1.0, 0.5))
    assert matrix.shape == (2, 2)
    assert matrix[0, 0] < matrix[1, 1] and alpha > 0


def test_an_interrupted_test_goes_on(script, tmp_path):
    results = script.Results(tmp_path / "results.json")
    assert results.missing("MAML") == list(script.WORLDS)
    results.add("MAML", [{"world": "10 points"}])
    again = script.Results(tmp_path / "results.json")
    assert "10 points" not in again.missing("MAML")
    assert len(again.missing("MAML")) == len(script.WORLDS) - 1


def test_test_tasks_are_those_of_evaluate(script):
    import maml_edu.pytorch as mt

    torch.manual_seed(0)
    learner = mt.MAML(mt.MLP(1, 4, 1), inner_steps=0)
    ours = np.concatenate([b.query_y for b in script.test_batches(script.Waves(2))])
    scores = mt.evaluate(learner, script.Waves(2), script.EPISODES, seed=script.TEST_SEED)
    with torch.no_grad():
        asked = np.concatenate([b.query_x for b in script.test_batches(script.Waves(2))])
        answers = learner.model(torch.as_tensor(asked, dtype=torch.float32)).numpy()
    expected = ((answers - ours) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(scores.values[:, 0], expected, rtol=1e-4)


def test_no_wave_through_the_point_is_better_on_average_than_their_posterior_mean(script):
    rng = np.random.default_rng(0)
    heights, phases = Sinusoids(1).draw_waves(rng, 2_000_000)
    at_point = heights * np.sin(0.7 - phases)
    near = np.abs(at_point - 1.5) < 0.01  # what the prior says of waves through (0.7, 1.5)
    asked = np.array([[-3.0], [0.7], [2.0]])
    mean = (heights[near] * np.sin(asked - phases[near])).mean(axis=1, keepdims=True)
    answers = script.posterior_mean(np.array([[0.7]]), np.array([[1.5]]), asked)
    np.testing.assert_allclose(answers, mean, atol=0.1)
    np.testing.assert_allclose(answers[1], 1.5)


def test_scaled_reading_brings_y_into_four_and_back(script):
    seen = []

    def model(x, y, asked):
        seen.append(np.abs(y).max(axis=1)[:, 0])
        return torch.as_tensor(y[:, :1])

    x, y, asked, _ = sampled(script.Waves(10, taller=5))
    answers = script.scaled(model)(x, y, asked)
    np.testing.assert_allclose(answers.numpy(), y[:, :1])
    assert (seen[0] <= 4 + 1e-9).all()


def test_few_tasks_deal_the_points_of_the_same_waves(script):
    batch = script.Waves(3).sample(np.random.default_rng(0), 2)
    few = script.FewTasks(batch).sample(np.random.default_rng(1), 9)
    assert few.support_x.shape == (9, 3, 1) and few.query_x.shape == (9, script.QUERIES, 1)
    known = {tuple(np.sort(np.concatenate([t[1], t[3]])[:, 0])) for t in batch}
    assert {tuple(np.sort(np.concatenate([t[1], t[3]])[:, 0])) for t in few} <= known
