"""What is put back after a look at a model, and where a look is refused."""

import pytest
import torch
from torch import nn

from maml_edu.pytorch.fast import trial


@pytest.fixture
def pretended_gpu(monkeypatch):
    """torch as it is while a CUDA graph is captured: it refuses to tell the state of a GPU's generator."""

    def refuse(device=None):
        raise RuntimeError("Cannot call CUDAGeneratorImpl::current_seed during CUDA graph capture")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", refuse)


def test_a_gpus_generator_is_left_alone_while_a_graph_is_captured(pretended_gpu):
    generators = trial.Generators(nn.Linear(1, 1))
    assert generators.drawn_since() == ""
    torch.rand(1)
    assert generators.drawn_since() == "torch"
    generators.put_back()
    assert generators.drawn_since() == ""


def test_draws_on_a_gpu_are_noticed_and_put_back(pretended_gpu, monkeypatch):
    states = {torch.device("cuda", 0): torch.tensor([1])}
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state", states.get)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: states.update({device: state})
    )
    generators = trial.Generators(nn.Linear(1, 1))
    states[torch.device("cuda", 0)] = torch.tensor([2])
    assert generators.drawn_since() == "torch"
    generators.put_back()
    assert generators.drawn_since() == "" and states[torch.device("cuda", 0)] == 1
