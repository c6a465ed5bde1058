"""Update rules: pure functions that take the same steps as PyTorch's."""

import numpy as np
import pytest
import torch

import maml_edu.reference as ref

RULES = {
    "sgd": (ref.sgd, lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (ref.momentum, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "adam": (ref.adam, lambda p: torch.optim.Adam(p, lr=0.1)),
}


def problem():
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}


@pytest.mark.parametrize("name", RULES)
def test_seven_steps_are_those_of_pytorch(name):
    rule, torch_rule = RULES[name]
    params, state = problem(), None
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    optimiser = torch_rule(list(tensors.values()))
    for _ in range(7):
        grads = {k: np.cos(v) * v for k, v in params.items()}
        for k, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[k])
        params, state = rule(params, grads, state, lr=0.1)
        optimiser.step()
    for k, tensor in tensors.items():
        np.testing.assert_allclose(params[k], tensor.detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_a_step_changes_nothing_that_it_is_given(name):
    rule, _ = RULES[name]
    params, grads = problem(), problem()
    _, state = rule(params, grads, None)
    kept = repr(state)
    rule(params, grads, state)
    assert repr(state) == kept
    assert all(np.array_equal(params[k], v) for k, v in problem().items())
    assert all(np.array_equal(grads[k], v) for k, v in problem().items())


def test_the_first_step_of_adam_has_the_length_of_the_rate_in_each_direction():
    params, _ = ref.adam({"a": np.zeros(3)}, {"a": np.array([1e-3, -5.0, 1e4])}, lr=0.01)
    np.testing.assert_allclose(params["a"], [-0.01, 0.01, -0.01], rtol=1e-4)


def test_momentum_settles_on_a_valley_floor():
    params, state = {"x": np.array([3.0, -2.0])}, None
    for _ in range(300):
        params, state = ref.momentum(params, {"x": np.array([1.0, 20.0]) * params["x"]}, state)
    assert np.abs(params["x"]).max() < 1e-4


@pytest.mark.parametrize("rule", [ref.sgd, ref.momentum, ref.adam])
def test_a_negative_rate_is_refused(rule):
    with pytest.raises(ValueError, match="lr must be a number ≥ 0"):
        rule({"x": np.ones(1)}, {"x": np.ones(1)}, None, lr=-1.0)


def test_gradients_of_other_parameters_are_refused():
    with pytest.raises(ValueError, match="grads has keys"):
        ref.sgd({"x": np.ones(1)}, {"y": np.ones(1)})
