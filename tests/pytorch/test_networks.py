"""MLP, Conv4 and BatchNorm: what MAML differentiates through."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import distance, maml_by_autograd, random_batch
from torch import nn
from torch.func import functional_call, grad, vmap

import maml_edu.pytorch as mt
from maml_edu.pytorch.networks import elementary_batch_norm, inside_functorch
from maml_edu.tasks import TaskBatch


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


# ------------------------------------------------------------------ which batch norm runs


def second_order(norm, x, weight, bias):
    """Value, slope and the slope of the slope's size of tanh(norm), by double backward without vmap."""
    inputs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    value = torch.tanh(norm(*inputs)).square().sum()
    slopes = torch.autograd.grad(value, inputs, create_graph=True)
    curvatures = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs)
    return [value.detach(), *(slope.detach() for slope in slopes), *curvatures]


def numbers_like(shape, features=3, seed=0):
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.normal(size=shape), *rng.normal(size=(2, features))
    return [torch.tensor(values) for values in (x, weight, bias)]


def with_weights(layer):
    return lambda x, weight, bias: functional_call(layer, {"weight": weight, "bias": bias}, (x,))


@pytest.mark.parametrize("shape", [(7, 3), (2, 3, 5), (4, 3, 5, 6), (1, 3, 2, 2)])
def test_the_quick_batch_norm_is_exact_to_second_order_without_vmap(shape):
    numbers, layer = numbers_like(shape), mt.BatchNorm(3, eps=0.1).double()
    quick = second_order(with_weights(layer), *numbers)
    slow = second_order(lambda *inputs: elementary_batch_norm(*inputs, layer.eps), *numbers)
    for ours, expected in zip(quick, slow, strict=True):
        assert float((ours - expected).norm()) <= 1e-12 * max(1.0, float(expected.norm()))


def test_elementary_operations_run_under_torch_func_and_f_batch_norm_outside(monkeypatch):
    used = []
    quick = F.batch_norm
    monkeypatch.setattr(F, "batch_norm", lambda *a, **k: used.append(1) or quick(*a, **k))
    layer, x = mt.BatchNorm(3), torch.randn(2, 5, 3)
    vmap(layer)(x)
    grad(lambda x: layer(x).square().sum())(x[0])
    vmap(grad(lambda x: layer(x).square().sum()))(x)
    assert not used
    layer(x[0])
    assert used == [1]


def test_the_second_order_under_vmap_is_that_of_double_backward_without():
    layer, batches = mt.BatchNorm(3).double(), [numbers_like((4, 3, 2, 2), seed=s) for s in (0, 1)]
    norm = with_weights(layer)

    def size_of_slope(*inputs):
        slopes = grad(lambda *i: torch.tanh(norm(*i)).square().sum(), argnums=(0, 1, 2))(*inputs)
        return sum(slope.square().sum() for slope in slopes)

    together = vmap(grad(size_of_slope, argnums=(0, 1, 2)))(
        *map(torch.stack, zip(*batches, strict=True))
    )
    for task, numbers in enumerate(batches):
        alone = second_order(norm, *numbers)[-3:]
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[task], expected, rtol=1e-11, atol=1e-11)


def test_where_torch_does_not_tell_elementary_operations_run(monkeypatch):
    assert not inside_functorch()
    monkeypatch.delattr(torch._C._functorch, "peek_interpreter_stack")
    assert inside_functorch()


def test_torch_compile_takes_batch_norm_as_one_piece():
    layer, (x, weight, bias) = mt.BatchNorm(3).double(), numbers_like((4, 3, 2, 2))
    used = []

    def look(module, _):
        used.extend(node.target for node in module.graph.nodes)
        return module.forward

    compiled = torch.compile(layer, backend=look, fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x), rtol=1e-12, atol=1e-12)
    names = [str(target) for target in used]  # elementary operations, which a compiler fuses
    assert any("sqrt" in name for name in names) and not any("batch_norm" in n for n in names)
    slope = vmap(grad(lambda w, x: with_weights(layer)(x, w, bias).pow(3).sum()), (None, 0))
    xs = torch.stack([x, 2 * x + 1])
    compiled = torch.compile(slope, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(weight, xs), slope(weight, xs), rtol=1e-12, atol=1e-12)


def test_a_single_example_is_normalised_to_the_bias():
    layer = mt.BatchNorm(3)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(layer(torch.randn(1, 3)), layer.bias[None])


# ------------------------------------------------------------------ Conv4


@pytest.mark.parametrize("options, shapes", [
    ({}, [(64, 1, 3, 3), (64, 64, 3, 3), (5, 64)]),
    ({"flatten": True}, [(64, 1, 3, 3), (64, 64, 3, 3), (5, 256)]),
    ({"channels": 3, "filters": 32, "size": 84, "pool": "max"},
     [(32, 3, 3, 3), (32, 32, 3, 3), (5, 800)]),
    ({"pool": "max", "flatten": False}, [(64, 1, 3, 3), (64, 64, 3, 3), (5, 64)]),
])  # fmt: skip
def test_conv4_has_the_sizes_of_the_paper(options, shapes):
    """800 = 5 · 5 · 32 for miniImagenet; 64 after the mean over 2 × 2 for Omniglot."""
    model = mt.Conv4(5, **options)
    state = dict(model.named_parameters())
    names = ("features.conv1.weight", "features.conv4.weight", "head.weight")
    assert [tuple(state[name].shape) for name in names] == shapes
    assert len(state) == 18 and model.outputs == shapes[-1][1]
    assert model(torch.randn(2, *model.image)).shape == (2, 5)


def test_conv4_is_convolution_norm_relu_four_times_and_a_mean():
    torch.manual_seed(0)
    model, x = mt.Conv4(3, filters=4, size=12).double(), torch.randn(5, 1, 12, 12).double()
    state, hidden = dict(model.named_parameters()), x
    for i in (1, 2, 3, 4):
        conv = (state[f"features.conv{i}.weight"], state[f"features.conv{i}.bias"])
        norm = (state[f"features.norm{i}.weight"], state[f"features.norm{i}.bias"])
        hidden = F.conv2d(hidden, *conv, stride=2, padding=1)
        hidden = torch.relu(F.batch_norm(hidden, None, None, *norm, training=True))
    expected = F.linear(hidden.mean((2, 3)), state["head.weight"], state["head.bias"])
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)


def test_conv4_starts_as_xavier_uniform_with_biases_at_zero():
    torch.manual_seed(0)
    model = mt.Conv4(5)
    bound = (6 / (9 * 64 + 9 * 64)) ** 0.5
    weight = model.features.conv2.weight.detach()
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not model.features.conv2.bias.any() and not model.head.bias.any()


def test_conv4_without_ways_is_an_embedding():
    model = mt.Conv4(None, filters=4, size=16, pool="max", flatten=True)
    assert model(torch.randn(2, 1, 16, 16)).shape == (2, 4) and model.outputs == 4
    assert not any(name.startswith("head") for name, _ in model.named_parameters())


@pytest.mark.parametrize("pool", ["stride", "max"])
def test_the_meta_gradient_of_conv4_is_that_of_a_plain_loop(pool):
    torch.manual_seed(0)
    model, rng = mt.Conv4(3, filters=3, size=16, pool=pool).double(), np.random.default_rng(0)
    batch = TaskBatch(
        rng.normal(size=(2, 4, 1, 16, 16)), rng.integers(3, size=(2, 4)),
        rng.normal(size=(2, 6, 1, 16, 16)), rng.integers(3, size=(2, 6)),
    )  # fmt: skip
    params = {name: p.detach().numpy() for name, p in model.named_parameters()}

    def loss(params, x, y):
        return F.cross_entropy(functional_call(model, params, (x,)), y)

    value, grads = mt.MAML(model, F.cross_entropy, 0.2, 2).meta_gradient(batch)
    expected_value, expected = maml_by_autograd(loss, params, batch, 0.2, 2)
    assert float(value) == pytest.approx(expected_value, rel=1e-12)
    assert distance({name: slope.numpy() for name, slope in grads.items()}, expected) < 1e-9


@pytest.mark.parametrize("options", [
    {"ways": 0}, {"channels": 0}, {"filters": 0}, {"size": 15, "pool": "max"}, {"size": 0},
])  # fmt: skip
def test_sizes_that_conv4_cannot_have_are_refused(options):
    with pytest.raises(ValueError, match="Conv4 needs ways, channels and filters ≥ 1 and images"):
        mt.Conv4(**{"ways": 5} | options)
    with pytest.raises(ValueError, match="pool must be 'stride' or 'max'; got 'mean'"):
        mt.Conv4(5, pool="mean")


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 3, 28, 28), (2, 1, 32, 28), (2, 784)])
def test_conv4_says_which_images_it_needs(shape):
    with pytest.raises(ValueError, match=r"x of shape \(examples, 1, 28, 28\); got"):
        mt.Conv4(5)(torch.zeros(shape))
