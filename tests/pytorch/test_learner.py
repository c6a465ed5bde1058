"""MAML: a network, a loss and an inner loop held together."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import distance, maml_by_autograd, random_batch
from torch import nn

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.tasks import Sinusoids, TaskBatch


def learner_and_reference(steps=2, **options):
    """A learner in double precision, and its parameters as the reference names them."""
    torch.manual_seed(0)
    model = mt.MLP(2, 5, 3, 1).double()
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    params = {}
    for number, layer in enumerate(layers, start=1):
        params[f"w{number}"] = layer.weight.detach().numpy().T
        params[f"b{number}"] = layer.bias.detach().numpy()
    return mt.MAML(model, inner_lr=0.1, inner_steps=steps, **options), params


def renamed(params):
    """Parameters of the module as the reference names them."""
    values = [v.detach().numpy() for v in params.values()]
    names = [f"{letter}{layer}" for layer in (1, 2, 3) for letter in "wb"]
    return {k: v.T if k[0] == "w" else v for k, v in zip(names, values, strict=True)}


@pytest.mark.parametrize("first_order", [False, True])
def test_the_meta_gradient_of_a_module_is_that_of_the_reference(first_order):
    learner, params = learner_and_reference(first_order=first_order)
    batch = random_batch(np.random.default_rng(0), inputs=2)
    value, grads = learner.meta_gradient(batch)
    expected_value, expected = ref.meta_gradient(ref.mse, params, batch, 0.1, 2, first_order)
    assert float(value) == pytest.approx(expected_value, rel=1e-9)
    assert distance(renamed(grads), expected) < 1e-9
    assert list(grads) == list(learner.params)
    assert float(learner.meta_loss(batch)) == pytest.approx(expected_value, rel=1e-9)
    assert not learner.meta_loss(batch).requires_grad


@pytest.mark.parametrize("steps", [None, 0, 1, 7])
def test_adapt_gives_the_parameters_of_the_reference_for_any_number_of_steps(steps):
    learner, params = learner_and_reference()
    batch = random_batch(np.random.default_rng(0), inputs=2)
    x, y = batch.support_x[0], batch.support_y[0]
    phi = learner.adapt(x, y, steps=steps)
    expected = ref.adapt(ref.mse, params, x, y, 0.1, 2 if steps is None else steps)
    assert distance(renamed(phi), expected) < 1e-12
    assert not any(p.requires_grad for p in phi.values())


def test_adapting_leaves_the_model_as_it_was():
    learner, params = learner_and_reference()
    learner.adapt(np.ones((4, 2)), np.ones((4, 1)), steps=3)
    assert distance(renamed(learner.params), params) == 0.0
    assert all(p.grad is None for p in learner.model.parameters())


def test_predict_and_loss_take_arrays_at_any_parameters():
    learner, params = learner_and_reference()
    x, y = np.random.default_rng(0).normal(size=(4, 2)), np.ones((4, 1))
    prediction = learner.predict(learner.params, x)
    np.testing.assert_allclose(prediction.detach(), ref.mlp(params, x), rtol=1e-12)
    assert learner.task_loss(learner.params, x, y).item() == pytest.approx(ref.mse(params, x, y))
    zeros = {k: torch.zeros_like(v) for k, v in learner.params.items()}
    assert not learner.predict(zeros, x).any()


def test_a_classifier_keeps_its_labels_whole():
    torch.manual_seed(0)
    learner = mt.MAML(mt.MLP(2, 5, 3), loss=F.cross_entropy, inner_lr=0.1)
    batch = random_batch(np.random.default_rng(0), inputs=2)
    batch.support_y = np.random.default_rng(1).integers(3, size=(3, 4))
    batch.query_y = np.random.default_rng(2).integers(3, size=(3, 5))
    value, _ = learner.meta_gradient(batch)
    assert 0.5 < float(value) < 2.0


def test_rates_by_the_names_of_the_module():
    learner, _ = learner_and_reference()
    rates = dict.fromkeys(learner.params, 0.0) | {"4.weight": 0.5}
    frozen = mt.MAML(learner.model, inner_lr=rates)
    phi = frozen.adapt(np.ones((4, 2)), np.ones((4, 1)))
    moved = [k for k in phi if not torch.equal(phi[k], learner.params[k])]
    assert moved == ["4.weight"]


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("model", [nn.ReLU(), lambda x: x, None, {"w": torch.ones(1)}])
def test_a_model_without_parameters_is_refused(model):
    with pytest.raises(ValueError, match=r"model must be an nn\.Module with parameters"):
        mt.MAML(model)


def test_a_loss_that_is_no_function_is_refused():
    with pytest.raises(ValueError, match=r"loss must be a function \(prediction, target\)"):
        mt.MAML(nn.Linear(1, 1), loss="mse")


@pytest.mark.parametrize("options", [
    {"inner_lr": -1}, {"inner_lr": float("nan")}, {"inner_lr": {"weight": 0.1}},
    {"inner_steps": 1.5}, {"inner_steps": -1},
])  # fmt: skip
def test_rates_and_steps_that_make_no_sense_are_refused_at_once(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        mt.MAML(nn.Linear(1, 1), **options)


def test_adapt_refuses_steps_that_make_no_sense():
    with pytest.raises(ValueError, match="inner_steps must be a whole number"):
        learner_and_reference()[0].adapt(np.ones((4, 2)), np.ones((4, 1)), steps=-1)


NORMALISED = {
    "mt.BatchNorm": lambda: mt.BatchNorm(4),
    "mt.LayerNorm": lambda: mt.LayerNorm(4),
    "nn.LayerNorm without weights": lambda: nn.LayerNorm(4, elementwise_affine=False),
    "nn.GroupNorm": lambda: nn.GroupNorm(2, 4),
    "nn.RMSNorm": lambda: nn.RMSNorm(4),
}


@pytest.mark.parametrize("layer", NORMALISED.values(), ids=NORMALISED.keys())
def test_a_normalisation_layer_that_is_let_in_is_exact_to_second_order(layer):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), layer(), nn.Tanh(), nn.Linear(4, 1)).double()
    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=(3, n, d))) for n, d in ((4, 2), (4, 1), (6, 2), (6, 1))]
    batch = TaskBatch(*parts)
    learner = mt.MAML(model, F.mse_loss, inner_lr=0.1, inner_steps=2)
    params = {name: p.detach().numpy() for name, p in model.named_parameters()}
    by_loop = maml_by_autograd(learner.task_loss, params, batch, 0.1, 2)[1]
    ours = learner.meta_gradient(batch)[1]
    size = max(np.abs(slope).max() for slope in by_loop.values())
    assert max(np.abs(ours[n].numpy() - by_loop[n]).max() for n in ours) < 1e-9 * size


def test_frozen_parameters_are_neither_adapted_nor_trained():
    model = mt.MLP(1, 4, 1)
    model[0].weight.requires_grad_(False)
    before, learner = model[0].weight.clone(), mt.MAML(model)
    assert "0.weight" not in learner.params and "0.weight" not in learner.adapt([[1.0]], [[1.0]])
    mt.meta_train(learner, Sinusoids(5), 3, meta_batch=2, progress=False, device="cpu")
    assert torch.equal(model[0].weight, before)
