"""CKA of two representations, and what each layer of a network gives."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt


def representations(examples=30, features=6, others=4, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(examples, features)) + 3
    return a, np.tanh(a[:, :others]) + 0.3 * rng.normal(size=(examples, others))


def cka_by_kernels(a, b):
    """tr(KHLH) / √(tr(KHKH) tr(LHLH)): the definition with matrices (examples, examples)."""
    centre = np.eye(len(a)) - 1 / len(a)
    k, other = centre @ a @ a.T @ centre, centre @ b @ b.T @ centre
    return np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other))


@pytest.mark.parametrize("examples", [3, 5, 30])  # fewer than the features, between the two, more
def test_cka_is_what_its_definition_by_kernels_says(examples):
    a, b = representations(examples)
    assert mt.linear_cka(a, b) == pytest.approx(cka_by_kernels(a, b), rel=1e-12)
    assert mt.linear_cka(b, a) == pytest.approx(mt.linear_cka(a, b), rel=1e-12)


def test_cka_sees_no_rotation_scale_or_offset_but_other_linear_maps():
    a, b = representations()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert mt.linear_cka(a, 7 * a @ rotation - 5) == pytest.approx(1, abs=1e-12)
    assert mt.linear_cka(-2 * a @ rotation + 1, b) == pytest.approx(mt.linear_cka(a, b), rel=1e-10)
    assert mt.linear_cka(a, a * [10, 1, 1, 1, 1, 1]) < 0.9


def test_cka_takes_tensors_and_maps_of_features_and_numbers_of_any_size():
    a, b = representations()
    maps = torch.tensor(a, dtype=torch.float64, requires_grad=True).reshape(30, 2, 3)
    assert mt.linear_cka(maps, b) == pytest.approx(mt.linear_cka(a, b), rel=1e-12)
    assert mt.linear_cka(1e200 * a, 1e-200 * b) == pytest.approx(mt.linear_cka(a, b), rel=1e-10)


def unbiased_hsic(k, m):
    """Song et al. 2012, equation 5, term by term, for Gram matrices whose diagonal is set to 0."""
    n, ones = len(k), np.ones(len(k))
    k, m = (gram * (1 - np.eye(n)) for gram in (k, m))
    sums = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + sums - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))


@pytest.mark.parametrize("examples", [4, 5, 30])
def test_debiased_cka_is_what_its_definition_by_unbiased_hsic_says(examples):
    a, b = representations(examples)
    k, m = a @ a.T, b @ b.T
    wanted = unbiased_hsic(k, m) / np.sqrt(unbiased_hsic(k, k) * unbiased_hsic(m, m))
    assert mt.linear_cka(a, b, debiased=True) == pytest.approx(wanted, rel=1e-8)


def test_debiased_cka_of_unrelated_representations_is_about_zero_and_of_equal_ones_is_one():
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(2, 25, 500)) for _ in range(20)]
    biased = np.mean([mt.linear_cka(a, b) for a, b in noise])
    debiased = [mt.linear_cka(a, b, debiased=True) for a, b in noise]
    assert biased > 0.9 and abs(np.mean(debiased)) < 0.05 and min(debiased) < 0
    a, rotation = rng.normal(size=(25, 6)), np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert mt.linear_cka(a, 3 * a @ rotation + 5, debiased=True) == pytest.approx(1, abs=1e-12)


def test_debiased_cka_wants_four_examples_that_are_not_all_alike_from_one_another():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="3 examples say nothing"):
        mt.linear_cka(rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), debiased=True)
    with pytest.raises(ValueError, match="all pairs of examples differ by the same amount"):
        mt.linear_cka(np.eye(5), rng.normal(size=(5, 2)), debiased=True)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (np.eye(3), np.eye(4), "a has 3 examples and b has 4"),
        (np.ones((1, 2)), np.ones((1, 2)), "at least two examples"),
        (np.array([[1.0], [np.nan]]), np.eye(2), "a holds numbers that are not finite"),
        (np.eye(2), np.full((2, 3), 0.1), "features of b are the same for all examples"),
        (np.eye(2) * 1j, np.eye(2), "a holds complex numbers"),
        (np.eye(2), np.zeros((2, 0)), "features of b are the same for all examples"),
    ],
)
def test_what_has_no_cka_is_refused(a, b, says):
    with pytest.raises(ValueError, match=says):
        mt.linear_cka(a, b)


# ------------------------------------------------------------------ layers


def test_the_outputs_of_all_layers_come_in_the_order_of_calls_at_the_given_parameters():
    torch.manual_seed(0)
    learner, x = mt.MAML(mt.MLP(2, 5, 3)), torch.randn(4, 2)
    phi = {name: value + 1 for name, value in learner.detached().items()}
    outputs = mt.layer_outputs(learner, phi, x.numpy())
    assert list(outputs) == ["0", "1", "2"]
    torch.testing.assert_close(outputs["0"], x @ phi["0.weight"].T + phi["0.bias"])
    torch.testing.assert_close(outputs["1"], outputs["0"].relu())
    torch.testing.assert_close(outputs["2"], learner.predict(phi, x).detach())
    assert not any(values.requires_grad for values in outputs.values())
    assert not any(layer._forward_hooks for layer in learner.model.modules())


def test_a_layer_that_is_called_twice_is_there_twice_and_one_in_place_spoils_nothing():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.relu = nn.Linear(2, 2), nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.inner(self.relu(self.inner(x))))

    torch.manual_seed(0)
    model, x = Twice(), torch.randn(5, 2)
    outputs = mt.layer_outputs(model, dict(model.named_parameters()), x)
    assert list(outputs) == ["inner", "relu", "inner#2", "relu#2"]
    torch.testing.assert_close(outputs["inner"], model.inner(x).detach())
    assert (outputs["inner"] < 0).any()


def test_layers_behave_as_in_evaluation_and_a_single_layer_is_called_by_its_kind():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), mt.BatchNorm(3))
    outputs = mt.layer_outputs(model, dict(model.named_parameters()), torch.randn(6, 2))
    assert torch.equal(outputs["0"], outputs["1"]) and model[1].training
    torch.testing.assert_close(outputs["2"].mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    layer = nn.Linear(2, 3)
    assert list(mt.layer_outputs(layer, dict(layer.named_parameters()), torch.ones(1, 2))) == [
        "Linear"
    ]


def test_names_that_the_model_does_not_have_are_refused():
    model = mt.MLP(1, 2, 1)
    for params in ({"w1": torch.ones(1)}, {}, None, [1.0]):
        with pytest.raises(ValueError, match="a dict that names parameters of the model"):
            mt.layer_outputs(model, params, torch.ones(2, 1))


def test_layers_that_hold_others_are_there_themselves():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
    ).eval()
    x = torch.randn(3, 5, 4)
    params = dict(model.named_parameters())
    outputs = mt.layer_outputs(model, params, x)
    torch.testing.assert_close(outputs["0"], model[0](x).detach())
    assert "1.self_attn" in outputs and not any("parametrizations" in name for name in outputs)


def test_a_network_with_a_child_called_model_is_looked_into_as_a_whole():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.last = nn.Linear(2, 3), nn.Linear(3, 1)

        def forward(self, x):
            return self.last(self.model(x) + 1)

    outer, x = Outer(), torch.randn(4, 2)
    outputs = mt.layer_outputs(outer, dict(outer.named_parameters()), x)
    torch.testing.assert_close(outputs["last"], outer(x).detach())


def test_parameters_may_be_arrays_of_another_precision():
    model, x = mt.MLP(1, 3, 1), torch.randn(4, 1)
    params = {n: p.detach().double().numpy() for n, p in model.named_parameters()}
    torch.testing.assert_close(mt.layer_outputs(model, params, x)["2"], model(x).detach())


def test_every_layer_of_a_conv4_shows_and_its_first_features_stay_alike_after_a_step():
    torch.manual_seed(0)
    learner = mt.MAML(mt.Conv4(3, filters=4, size=8), F.cross_entropy, inner_lr=0.1)
    x, y = torch.randn(12, 1, 8, 8), torch.arange(12) % 3
    before, after = (
        mt.layer_outputs(learner, params, x) for params in (learner.detached(), learner.adapt(x, y))
    )
    assert list(before)[:4] == [
        "features.conv1",
        "features.norm1",
        "features.relu1",
        "features.conv2",
    ]
    assert list(before)[-1] == "head" and before.keys() == after.keys()
    assert all(0 < mt.linear_cka(before[name], after[name]) <= 1 for name in before)
