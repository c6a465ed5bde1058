"""The MLP as a function of its parameters, and the losses on it."""

import numpy as np
import pytest
import torch
from by_hand import random_params, relu_mse

import maml_edu.reference as ref


def test_initial_parameters_have_names_and_shapes_in_order():
    params = ref.mlp_init(np.random.default_rng(0), (2, 5, 3))
    assert {name: value.shape for name, value in params.items()} == {
        "w1": (2, 5), "b1": (5,), "w2": (5, 3), "b2": (3,),
    }  # fmt: skip
    assert not params["b1"].any() and not params["b2"].any()


def test_the_same_seed_gives_the_same_parameters():
    first, again = (ref.mlp_init(np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert not np.array_equal(first["w2"], ref.mlp_init(np.random.default_rng(6))["w2"])


def test_the_spread_of_weights_is_that_of_he_et_al():
    weights = ref.mlp_init(np.random.default_rng(0), (200, 300, 1))["w1"]
    assert abs(weights.std() / np.sqrt(2 / 200) - 1) < 0.02
    assert abs(weights.mean()) < 0.002


def test_a_given_scale_draws_from_a_normal_cut_off_at_two_of_them():
    weights = ref.mlp_init(np.random.default_rng(0), (200, 300, 1), scale=0.01)["w1"]
    assert np.abs(weights).max() <= 0.02
    assert abs(weights.std() / (0.01 * 0.8796) - 1) < 0.02  # sd of a normal cut off at 2: 0.8796


@pytest.mark.parametrize("sizes", [(3,), (), (2, 0, 1), (-1, 2)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must name at least inputs and outputs"):
        ref.mlp_init(np.random.default_rng(0), sizes)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3, 1), (3, 4, 5, 2)])
def test_the_network_is_that_of_pytorch(sizes):
    rng = np.random.default_rng(0)
    params = random_params(rng, sizes)
    x, y = rng.normal(size=(6, sizes[0])), rng.normal(size=(6, sizes[-1]))
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    value = relu_mse(tensors, torch.tensor(x), torch.tensor(y))
    ours, slopes = ref.value_and_grad(ref.mse)(params, x, y)
    np.testing.assert_allclose(ours, float(value.detach()), rtol=1e-13)
    for name, slope in zip(slopes, torch.autograd.grad(value, tensors.values()), strict=True):
        np.testing.assert_allclose(slopes[name], slope.numpy(), rtol=1e-11, atol=1e-14)


def test_mse_refuses_targets_that_numpy_would_broadcast():
    params = random_params(np.random.default_rng(0), (1, 3, 1))
    with pytest.raises(ValueError, match=r"shape \(4, 1\) but y has \(4,\)"):
        ref.mse(params, np.ones((4, 1)), np.ones(4))


def test_cross_entropy_is_that_of_pytorch_and_so_is_its_gradient():
    rng = np.random.default_rng(0)
    params = random_params(rng, (3, 4, 5))
    x, labels = rng.normal(size=(6, 3)), rng.integers(5, size=6)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    hidden = torch.relu(torch.tensor(x) @ tensors["w1"] + tensors["b1"])
    value = torch.nn.functional.cross_entropy(
        hidden @ tensors["w2"] + tensors["b2"], torch.tensor(labels)
    )
    ours, slopes = ref.value_and_grad(ref.cross_entropy)(params, x, labels)
    np.testing.assert_allclose(ours, float(value.detach()), rtol=1e-13)
    for name, slope in zip(slopes, torch.autograd.grad(value, tensors.values()), strict=True):
        np.testing.assert_allclose(slopes[name], slope.numpy(), rtol=1e-11, atol=1e-14)


def test_logsumexp_neither_overflows_nor_underflows():
    with np.errstate(over="raise", divide="raise"):
        value = ref.logsumexp(np.array([[1000.0, 1000.0], [-1000.0, -1000.0]]))
    np.testing.assert_allclose(value, [1000 + np.log(2), -1000 + np.log(2)])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_slope_of_logsumexp_is_softmax(axis):
    x = np.random.default_rng(0).normal(size=(3, 4))
    slope = ref.grad(lambda x: np.sum(ref.logsumexp(x, axis=axis)))(x)
    np.testing.assert_allclose(slope, np.exp(x) / np.exp(x).sum(axis, keepdims=True), rtol=1e-13)


@pytest.mark.parametrize("labels", [[0, -1], [0, 3]])
def test_labels_that_the_network_has_no_output_for_are_refused(labels):
    params = ref.mlp_init(np.random.default_rng(0), (2, 3))
    with pytest.raises(ValueError, match="labels must be 0 … 2"):
        ref.cross_entropy(params, np.ones((2, 2)), np.array(labels))
