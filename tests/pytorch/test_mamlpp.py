"""MAML++'s learned rates have an outer rate of their own, so that they do not run away where they start low."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids

TASKS = Sinusoids(shots=5, queries=5)


def learner_at(inner_lr, **options):
    torch.manual_seed(0)
    options = {"engine": "closed", "inner_steps": 2} | options
    return mt.MAMLpp(mt.MLP(1, 8, 1), F.mse_loss, inner_lr=inner_lr, **options)


@pytest.mark.parametrize(
    ("start", "share"),
    [(1e-6, 3e-7), (0.01, 0.003), (0.05, 0.015), (0.1, 1.0), (0.4, 1.0), (0.0, 1.0)],
)
def test_rates_that_start_low_train_in_proportion_and_others_as_published(start, share):
    learner = learner_at(start)
    assert set(learner.outer_shares()) == set(learner.learned_rates())
    assert set(learner.outer_shares().values()) == {share}


def test_rates_start_as_published_but_lower_for_a_squared_error():
    losses = {F.mse_loss: 0.01, nn.MSELoss(): 0.01, F.cross_entropy: 0.1, F.l1_loss: 0.1}
    for loss, start in losses.items():
        learner = mt.MAMLpp(mt.MLP(1, 8, 2), loss)
        assert all(torch.all(rate == start) for rate in learner.learned_rates().values())


def test_a_share_may_be_asked_for_and_is_checked():
    assert set(learner_at(0.01, rates_share=1).outer_shares().values()) == {1.0}
    for bad in (0, -1.0, "much", True, float("nan")):
        with pytest.raises(ValueError, match="rates_share must be a number > 0"):
            learner_at(0.01, rates_share=bad)


@pytest.mark.parametrize("optimiser", ["adam", "sgd", torch.optim.Adam])
def test_the_outer_step_moves_rates_by_their_share(optimiser):
    moved = {}
    batch = TASKS.sample(np.random.default_rng(0), tasks=3)
    for share in (1.0, 0.25):
        learner = learner_at(0.05, rates_share=share)
        before = {name: p.detach().clone() for name, p in learner.meta_params.items()}
        mt.OuterStep(learner, meta_lr=1e-3, optimiser=optimiser, iterations=10)(batch)
        moved[share] = {n: p.detach() - before[n] for n, p in learner.meta_params.items()}
    for name, whole in moved[1.0].items():
        times = 0.25 if name.startswith("inner_lr.") else 1.0
        assert torch.allclose(moved[0.25][name], times * whole, rtol=1e-3, atol=2e-8), name


def test_a_schedule_is_that_of_the_rates_too():
    learner = learner_at(0.01)
    step = mt.OuterStep(
        learner, meta_lr=1e-3, schedule=lambda iteration: 0.5**iteration, iterations=9
    )
    step([TASKS.sample(np.random.default_rng(0), tasks=2)] * 2)
    assert [group["lr"] for group in step.optimiser.param_groups] == pytest.approx([5e-4, 1.5e-6])


def test_settings_say_so_only_where_it_is_not_the_published_way():
    assert learner_at(0.01).settings()["rates_share"] == 0.003
    assert "rates_share" not in learner_at(0.1).settings()


def test_a_run_with_another_share_is_not_gone_on_from(tmp_path):
    run = {"meta_batch": 2, "checkpoint": tmp_path}
    mt.meta_train(learner_at(0.01, rates_share=1.0), TASKS, iterations=2, **run)
    with pytest.raises(ValueError, match="rates_share"):
        mt.meta_train(learner_at(0.01), TASKS, iterations=4, **run)
    step = mt.OuterStep(learner_at(0.01, rates_share=1.0), iterations=4)
    with pytest.raises(ValueError, match="other outer rates"):
        mt.OuterStep(learner_at(0.01), iterations=4).load_state_dict(step.state_dict())


def test_a_run_goes_on_as_if_it_had_not_paused(tmp_path):
    whole, parts = learner_at(0.01, multi_step_until=0), learner_at(0.01, multi_step_until=0)
    run = {"meta_batch": 2, "meta_lr": 1e-2}
    mt.meta_train(whole, TASKS, iterations=6, **run)
    for iterations in (3, 6):
        mt.meta_train(parts, TASKS, iterations=iterations, checkpoint=tmp_path, **run)
    for name, value in whole.meta_params.items():
        assert torch.equal(value, parts.meta_params[name])


def test_on_sinusoids_rates_that_start_low_stay_low():
    """Rates trained like θ are ten times their start by then, or more; such runs diverge sooner or later."""
    torch.manual_seed(0)
    learner = mt.MAMLpp(mt.MLP(1, 40, 40, 1), F.mse_loss, multi_step_until=100)
    history = mt.meta_train(learner, Sinusoids(shots=10), iterations=300, meta_batch=25)
    assert history.loss[-1] < history.loss[0]
    assert all(torch.all((rate > 0) & (rate < 0.02)) for rate in learner.learned_rates().values())
