"""What is put back after a look at a model, and where a look is refused."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.fast import trial


@pytest.fixture
def pretended_gpu(monkeypatch):
    """torch as it is while a CUDA graph is captured: it refuses to tell the state of a GPU's generator."""

    def refuse():
        raise RuntimeError("Cannot call CUDAGeneratorImpl::current_seed during CUDA graph capture")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", refuse)


def test_a_gpus_generator_is_left_alone_while_a_graph_is_captured(pretended_gpu):
    generators = trial.Generators()
    assert generators.drawn_since() == ""
    torch.rand(1)
    assert generators.drawn_since() == "torch"
    generators.put_back()
    assert generators.drawn_since() == ""


def test_an_error_within_a_capture_is_the_callers_and_rules_no_engine_out(monkeypatch):
    def waits(prediction, target):
        torch.cuda.synchronize()
        return F.mse_loss(prediction, target)

    def refuse():
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    learner = mt.MAML(nn.Linear(2, 1), waits, engine=("lean", "plain"))
    batch = [torch.rand(2, 4, n) for n in (2, 1, 2, 1)]
    learner.meta_gradient(batch)
    with monkeypatch.context() as capture:
        capture.setattr(torch.cuda, "synchronize", refuse)
        capture.setattr(trial, "is_capturing", lambda: True)
        with pytest.raises(RuntimeError, match="capturing"):
            learner.meta_gradient(batch)
    learner.meta_gradient(batch)
    assert learner.ran == "lean"


def test_draws_on_any_gpu_are_noticed_and_put_back(pretended_gpu, monkeypatch):
    states = [torch.tensor([1]), torch.tensor([1])]
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(states))
    monkeypatch.setattr(
        torch.cuda, "set_rng_state_all", lambda new: states.__setitem__(slice(2), new)
    )
    generators = trial.Generators()
    states[1] = torch.tensor([2])
    assert generators.drawn_since() == "torch"
    generators.put_back()
    assert generators.drawn_since() == "" and states[1] == 1


def test_a_draw_from_any_kind_of_generator_is_noticed():
    kinds = [
        torch.Generator(),
        np.random.default_rng(0),
        np.random.RandomState(0),
        random.Random(0),
    ]
    draws = [lambda g: torch.rand(1, generator=g), *[lambda g: g.random()] * 3]
    for generator, draw in zip(kinds, draws, strict=True):
        watched = trial.Generators([generator])
        assert watched.drawn_since() == ""
        draw(generator)
        assert watched.drawn_since() == "other"
        watched.put_back()
        assert watched.drawn_since() == ""


# ------------------------------------------------------------------ rounding at a kink


def off_by(gap, in_double):
    """The textbook engine, but for a relative error in float32, and another one in float64."""

    def engine(loss, params, tensors, loop):
        value, grads = trial.textbook.meta_gradient(loss, params, tensors, loop)
        double = next(iter(params.values())).dtype == torch.float64
        return value, {n: g * (1 + (in_double if double else gap)) for n, g in grads.items()}

    return engine


@pytest.mark.parametrize(
    "gap, in_double, trusted",
    [(1e-3, 0.0, True), (1e-3, 1e-6, False), (0.1, 0.0, False), (1e-7, 0.0, True)],
)
def test_what_differs_in_float32_alone_and_a_little_is_rounding_at_a_kink(gap, in_double, trusted):
    learner = mt.MAML(nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 1)))
    tensors = [torch.rand(2, 4, n) for n in (2, 1, 2, 1)]
    attempt = trial.Trial(learner, tensors, learner.loop().checked(learner.params))
    reason = attempt.reason_against(off_by(gap, in_double), learner.task_loss)
    assert (reason is None) == trusted
