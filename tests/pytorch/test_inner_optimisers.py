"""The inner loop's rule: momentum, Adam, a function of one's own, clipping; exact to second order."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

import maml_edu.pytorch as mt
from maml_edu.tasks import TaskBatch


def problem(**options):
    """(learner, batch) in float64: three tasks of a small tanh network, three inner steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    rng = np.random.default_rng(0)
    batch = TaskBatch(*(rng.normal(size=(3, n, d)) for n in (4, 6) for d in (2, 1)))
    return mt.MAML(model, F.mse_loss, 0.1, 3, **options), batch


def by_torch_optim(name, learner, batch):
    """The meta-loss with φ found by torch's own optimiser, task by task, without a second order."""
    kinds = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    }
    losses = []
    for task in batch:
        support_x, support_y, query_x, query_y = map(torch.as_tensor, task)
        phi = {n: p.detach().clone().requires_grad_() for n, p in learner.params.items()}
        optimiser = kinds[name](list(phi.values()))
        for _ in range(learner.inner_steps):
            optimiser.zero_grad()
            F.mse_loss(functional_call(learner.model, phi, (support_x,)), support_y).backward()
            if learner.inner_clip is not None:
                nn.utils.clip_grad_norm_(list(phi.values()), learner.inner_clip)
            optimiser.step()
        losses.append(F.mse_loss(functional_call(learner.model, phi, (query_x,)), query_y))
    return float(sum(losses) / len(losses))


def by_differences(learner, batch, size=1e-6):
    """The derivative of the meta-loss along a random direction, and that direction."""
    rng = torch.Generator().manual_seed(1)
    direction = {
        n: torch.randn(p.shape, generator=rng, dtype=p.dtype) for n, p in learner.params.items()
    }
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for name, p in learner.params.items():
                p += sign * size * direction[name]
        values.append(float(learner.meta_loss(batch)))
        with torch.no_grad():
            for name, p in learner.params.items():
                p -= sign * size * direction[name]
    return (values[0] - values[1]) / (2 * size), direction


def heavy_ball(params, slopes, state, rate):
    """A rule of one's own, with a state that is more than a dict of tensors."""
    before, steps = state or (params, 0)
    friction = 0.5 / (1 + steps)
    moved = {n: p - rate * slopes[n].tanh() + friction * (p - before[n]) for n, p in params.items()}
    return moved, (params, steps + 1)


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_the_rules_are_those_of_torch_optim(name, clip):
    learner, batch = problem(inner_optimiser=name, inner_clip=clip)
    assert float(learner.meta_loss(batch)) == pytest.approx(
        by_torch_optim(name, learner, batch), rel=1e-9
    )


@pytest.mark.parametrize("engine", ["plain", "textbook"])
@pytest.mark.parametrize("clip", [None, 0.3, ("value", 0.05)])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", heavy_ball])
def test_the_meta_gradient_goes_through_rule_and_clipping(rule, clip, engine):
    learner, batch = problem(inner_optimiser=rule, inner_clip=clip, engine=engine)
    expected, direction = by_differences(learner, batch)
    value, grads = learner.meta_gradient(batch)
    along = sum(float((grads[n] * d).sum()) for n, d in direction.items())
    assert along == pytest.approx(expected, rel=1e-6)
    assert float(value) == pytest.approx(float(learner.meta_loss(batch)), rel=1e-12)


@pytest.mark.parametrize("options", [
    {"adapting": "2"}, {"first_order": True}, {"query_weights": [0.1, 0.2, 0.3, 0.4]},
    {"learn_inner_lr": True}, {"inner_loss": F.l1_loss},
])  # fmt: skip
def test_adam_goes_together_with_all_else_alike_on_both_engines(options):
    learner, batch = problem(inner_optimiser="adam", **options)
    results = []
    for engine in ("plain", "textbook"):
        learner.engine = engine
        results.append(learner.meta_gradient(batch)[1])
    assert results[0].keys() == results[1].keys()
    for name, slope in results[0].items():
        torch.testing.assert_close(slope, results[1][name], rtol=1e-9, atol=1e-12)


def test_a_unit_that_is_dead_does_not_turn_adam_s_gradient_into_nan():
    """Its slopes are exactly 0, where the derivative of a square root is infinite."""
    learner, batch = problem(inner_optimiser="adam")
    learner.model[1] = nn.ReLU()
    with torch.no_grad():
        learner.model[0].bias[0] = -100.0
    _, grads = learner.meta_gradient(batch)
    assert all(torch.isfinite(slope).all() for slope in grads.values())


def test_rates_by_name_and_by_step_reach_a_rule_of_ones_own():
    seen = []

    def watching(params, slopes, state, rate):
        seen.append(rate)
        return {n: p - rate[n] * slopes[n] for n, p in params.items()}, None

    learner, batch = problem()
    rates = {name: torch.tensor([0.1, 0.2, 0.3]) for name in learner.params}
    phi = mt.adapt(learner.task_loss, learner.detached(), *next(iter(batch))[:2], rates, 3,
                   inner_optimiser=watching)  # fmt: skip
    expected = mt.adapt(learner.task_loss, learner.detached(), *next(iter(batch))[:2], rates, 3)
    assert [float(rate["0.bias"]) for rate in seen] == pytest.approx([0.1, 0.2, 0.3])
    torch.testing.assert_close(phi, expected)


@pytest.mark.parametrize("engine", ["lean", "threads"])
def test_engines_that_know_descent_alone_say_so(engine):
    learner, batch = problem(inner_optimiser="adam", engine=engine)
    with pytest.raises(ValueError, match=f"{engine}: it knows gradient descent without clipping"):
        learner.meta_gradient(batch)


@pytest.mark.parametrize("options, words", [
    ({"inner_optimiser": "adagrad"}, "must be one of sgd, momentum, adam"),
    ({"inner_optimiser": torch.optim.Adam}, "changes its parameters in place"),
    ({"inner_clip": 0}, "inner_clip must be a number > 0"),
    ({"inner_clip": ("norms", 1.0)}, "inner_clip must be"),
])  # fmt: skip
def test_rules_that_make_no_sense_are_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        problem(**options)


@pytest.mark.parametrize("answer, words", [
    (lambda p, s: p, r"must return \(params, state\)"),
    (lambda p, s: ({"0.weight": p["0.weight"]}, s), "a tensor like each of params"),
    (lambda p, s: ({n: t.sum() for n, t in p.items()}, s), "a tensor like each of params"),
])  # fmt: skip
def test_a_rule_that_returns_something_else_is_told_what_is_expected(answer, words):
    learner, batch = problem(inner_optimiser=lambda p, g, s, r: answer(p, s))
    with pytest.raises(ValueError, match=words):
        learner.meta_gradient(batch)
