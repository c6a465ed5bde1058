"""MLP and BatchNorm: what MAML differentiates through."""

import numpy as np
import pytest
import torch
from by_hand import distance, maml_by_autograd, random_batch
from torch import nn
from torch.func import functional_call, vmap

import maml_edu.pytorch as mt


def test_the_sinusoid_network_has_layers_in_order_and_no_relu_at_the_end():
    model = mt.MLP(1, 40, 40, 1)
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes == [(40, 1), (40,), (40, 40), (40,), (1, 40), (1,)]
    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_a_given_scale_cuts_weights_off_at_two_of_them_and_starts_biases_at_zero():
    torch.manual_seed(0)
    model = mt.MLP(100, 200, 1, scale=0.01)
    weight, bias = model[0].weight, model[0].bias
    assert float(weight.detach().abs().max()) <= 0.02 and not bias.any()
    assert float(weight.detach().std()) == pytest.approx(0.01 * 0.8796, rel=0.02)


@pytest.mark.parametrize("sizes", [(3,), (), (2, 0, 1), (-1, 2)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must name at least inputs and outputs"):
        mt.MLP(*sizes)


# ------------------------------------------------------------------ BatchNorm


@pytest.mark.parametrize(("shape", "theirs"), [
    ((7, 3), nn.BatchNorm1d), ((7, 3, 5), nn.BatchNorm1d), ((4, 3, 5, 6), nn.BatchNorm2d),
    ((2, 3, 2, 3, 4), nn.BatchNorm3d),
])  # fmt: skip
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_has_the_values_of_pytorch_s_own_in_training(shape, theirs, affine):
    ours, other = mt.BatchNorm(3, affine=affine).double(), theirs(3, affine=affine).double()
    if affine:
        with torch.no_grad():
            for layer in (ours, other):
                layer.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
                layer.bias.copy_(torch.tensor([0.1, 0.2, -3.0]))
    x = torch.tensor(np.random.default_rng(0).normal(size=shape))
    torch.testing.assert_close(ours(x), other(x), rtol=1e-11, atol=1e-12)


def test_batch_norm_is_the_same_in_training_and_evaluation_and_keeps_no_statistics():
    layer = mt.BatchNorm(2)
    x = torch.randn(5, 2)
    before = layer(x)
    layer(100 * torch.randn(5, 2))
    torch.testing.assert_close(layer.eval()(x), before, rtol=0, atol=0)
    assert not list(layer.buffers())


def test_batch_norm_fits_where_a_state_of_pytorch_s_own_comes_from():
    names = {name for name, _ in mt.BatchNorm(3).named_parameters()}
    assert names == {name for name, _ in nn.BatchNorm2d(3).named_parameters()}
    assert repr(mt.BatchNorm(3, affine=False)) == "BatchNorm(3, eps=1e-05, affine=False)"


class Normed(nn.Sequential):
    """Linear, norm, tanh, linear."""

    def __init__(self, norm):
        super().__init__(nn.Linear(2, 6), norm, nn.Tanh(), nn.Linear(6, 1))


@pytest.mark.parametrize("steps", [1, 3])
def test_the_second_order_of_batch_norm_is_exact_against_double_backward_without_vmap(steps):
    """The reference here is nn.BatchNorm1d in a plain loop, where PyTorch's derivatives are right."""
    torch.manual_seed(0)
    theirs = Normed(nn.BatchNorm1d(6, track_running_stats=False)).double()
    batch = random_batch(np.random.default_rng(0), shots=5, inputs=2)
    params = {k: p.detach().numpy() for k, p in theirs.named_parameters()}

    def loss(params, x, y):
        return nn.functional.mse_loss(functional_call(theirs, params, (x,)), y)

    _, expected = maml_by_autograd(loss, params, batch, 0.1, steps)
    ours = Normed(mt.BatchNorm(6)).double()
    ours.load_state_dict(theirs.state_dict())
    _, grads = mt.MAML(ours, inner_lr=0.1, inner_steps=steps).meta_gradient(batch)
    assert distance({k: g.numpy() for k, g in grads.items()}, expected) < 1e-9


def test_tasks_do_not_share_statistics():
    layer = mt.BatchNorm(3)
    x = torch.randn(4, 5, 3) * torch.tensor([1.0, 10.0, 100.0, 1000.0])[:, None, None]
    together = vmap(layer)(x)
    torch.testing.assert_close(together, torch.stack([layer(one) for one in x]))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 4, 3, 3)])
def test_batch_norm_says_which_shape_it_needs(shape):
    with pytest.raises(ValueError, match=r"BatchNorm\(3\) needs x of shape \(examples, 3, …\)"):
        mt.BatchNorm(3)(torch.zeros(shape))


def test_layer_norm_is_that_of_pytorch():
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    for shape in (4, (5, 4)):
        ours, theirs = mt.LayerNorm(shape).double(), nn.LayerNorm(shape).double()
        assert torch.allclose(ours(x), theirs(x), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="LayerNorm needs x of shape"):
        mt.LayerNorm(3)(x)


def test_batch_norm_takes_the_arguments_of_the_layer_it_replaces():
    assert mt.BatchNorm(4, eps=1e-3, momentum=0.1, affine=False).eps == 1e-3
    with pytest.raises(ValueError, match="no running statistics"):
        mt.BatchNorm(4, track_running_stats=True)
