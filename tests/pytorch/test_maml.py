"""MAML on tensors: the same numbers as the reference and as a plain loop with create_graph."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from by_hand import (
    distance,
    maml_by_autograd,
    quadratic,
    random_batch,
    random_params,
    relu_mse,
    tanh_mse,
    tanh_mse_numpy,
    tensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.tasks import Sinusoids, TaskBatch


def as_tensors(params):
    return {k: torch.tensor(v) for k, v in params.items()}


def arrays(grads):
    return {k: v.numpy() for k, v in grads.items()}


def problem(seed, sizes=(2, 5, 1), tasks=3):
    rng = np.random.default_rng(seed)
    return random_params(rng, sizes), random_batch(rng, tasks, inputs=sizes[0], outputs=sizes[-1])


# ------------------------------------------------------------------ the same three functions


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    steps=st.integers(0, 4),
    tasks=st.integers(1, 4),
    rate=st.floats(0, 0.3),
    first_order=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_both_back_ends_agree_for_any_network_rate_and_number_of_steps(
    widths, steps, tasks, rate, first_order, seed
):
    params, batch = problem(seed, tuple(widths), tasks)
    arguments = (batch, rate, steps, first_order)
    value, grads = mt.meta_gradient(relu_mse, as_tensors(params), *arguments)
    expected_value, expected = ref.meta_gradient(ref.mse, params, *arguments)
    assert abs(float(value) - expected_value) < 1e-9 * expected_value
    assert distance(arrays(grads), expected) < 1e-9
    assert float(mt.meta_loss(relu_mse, as_tensors(params), *arguments)) == pytest.approx(
        expected_value, rel=1e-9
    )


@pytest.mark.parametrize("seed", range(6))
def test_both_back_ends_agree_where_a_whole_layer_is_dead(seed):
    """Biases of 0 behind units that are all off: the next layer stands exactly on the kink of ReLU."""
    rng = np.random.default_rng(seed)
    params, batch = ref.mlp_init(rng, (1, 2, 2, 1)), Sinusoids(5).sample(rng, 3)
    _, grads = mt.meta_gradient(relu_mse, as_tensors(params), batch, 0.01, 1)
    assert distance(arrays(grads), ref.meta_gradient(ref.mse, params, batch, 0.01, 1)[1]) < 1e-9


def rates_of_every_form(params):
    rng = np.random.default_rng(0)
    return {
        "per step": np.array([0.2, 0.1, 0.05]),
        "per parameter": {k: float(rng.uniform(0, 0.2)) for k in params},
        "per parameter and step": {k: rng.uniform(0, 0.2, 3) for k in params if k != "b2"}
        | {"b2": rng.uniform(0, 0.2, (3, 1))},
        "per element": {k: rng.uniform(0, 0.2, v.shape) for k, v in params.items()},
        "per element and step": {k: rng.uniform(0, 0.2, (3, *v.shape)) for k, v in params.items()},
    }


@pytest.mark.parametrize("as_tensor", [True, False], ids=["tensors", "arrays"])
@pytest.mark.parametrize("form", rates_of_every_form({"b2": np.ones(1)}))
def test_both_back_ends_agree_for_inner_rates_of_every_form(form, as_tensor):
    params, batch = problem(1)
    rates = rates_of_every_form(params)[form]
    expected = ref.meta_gradient(tanh_mse_numpy, params, batch, rates, 3)[1]
    if as_tensor:
        made = lambda rate: torch.as_tensor(rate, dtype=torch.float64)
        by_name = isinstance(rates, dict)
        rates = {k: made(v) for k, v in rates.items()} if by_name else made(rates)
    grads = mt.meta_gradient(tanh_mse, as_tensors(params), batch, rates, 3)[1]
    assert distance(arrays(grads), expected) < 1e-9


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_all_tasks_at_once_give_what_a_loop_with_create_graph_gives(steps, first_order):
    params, batch = problem(steps, (3, 6, 4, 2))
    value, grads = mt.meta_gradient(relu_mse, as_tensors(params), batch, 0.1, steps, first_order)
    expected_value, expected = maml_by_autograd(relu_mse, params, batch, 0.1, steps, first_order)
    assert abs(float(value) - expected_value) < 1e-12 * expected_value
    assert distance(arrays(grads), expected) < 1e-9


def test_the_loss_gets_the_examples_of_one_task():
    params, batch = problem(0, tasks=3)
    shapes = []

    def loss(params, x, y):
        shapes.append((tuple(x.shape), tuple(y.shape)))
        return relu_mse(params, x, y)

    mt.meta_gradient(loss, as_tensors(params), batch, 0.1, 2)
    assert set(shapes) == {((4, 2), (4, 1)), ((5, 2), (5, 1))}


def test_adapt_takes_one_task_as_arrays_or_tensors_and_agrees_with_the_reference():
    params, batch = problem(0)
    x, y = batch.support_x[1], batch.support_y[1]
    expected = ref.adapt(ref.mse, params, x, y, 0.1, 3)
    for inputs in ((x, y), (torch.tensor(x), torch.tensor(y))):
        phi = mt.adapt(relu_mse, as_tensors(params), *inputs, 0.1, 3)
        assert distance(arrays(phi), expected) < 1e-12


def test_results_are_free_of_any_graph_and_params_are_left_alone():
    params, batch = problem(0)
    theta = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    value, grads = mt.meta_gradient(relu_mse, theta, batch, 0.1, 2)
    assert not value.requires_grad and not any(g.requires_grad for g in grads.values())
    assert all(p.grad is None and np.array_equal(p.detach(), params[k]) for k, p in theta.items())


def test_the_meta_loss_is_differentiable_with_respect_to_learned_rates():
    """As Meta-SGD needs it: one rate for each element, learned."""
    params, batch = problem(2)
    rates = {k: np.full(v.shape, 0.1) for k, v in params.items()}
    expected = ref.grad(lambda r: ref.meta_loss(tanh_mse_numpy, params, batch, r, 2))(rates)
    learned = {k: torch.tensor(v, requires_grad=True) for k, v in rates.items()}
    mt.meta_loss(tanh_mse, as_tensors(params), batch, learned, 2).backward()
    assert distance({k: r.grad.numpy() for k, r in learned.items()}, expected) < 1e-9
    alpha = torch.tensor(0.1, dtype=torch.float64)
    slope = torch.func.grad(
        lambda alpha: mt.meta_loss(tanh_mse, as_tensors(params), batch, alpha, 2)
    )(alpha)
    assert float(slope) == pytest.approx(sum(np.sum(v) for v in expected.values()), rel=1e-9)


def test_adapt_is_differentiable_with_respect_to_params():
    params, batch = problem(2, tasks=1)
    theta = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    phi = mt.adapt(tanh_mse, theta, batch.support_x[0], batch.support_y[0], 0.1, 2)
    value = tanh_mse(phi, *map(torch.tensor, (batch.query_x[0], batch.query_y[0])))
    value.backward()
    expected = maml_by_autograd(tanh_mse, params, batch, 0.1, 2)[1]
    assert distance({k: p.grad.numpy() for k, p in theta.items()}, expected) < 1e-9


def test_on_a_quadratic_the_meta_gradient_is_the_closed_form():
    a, c = np.array([[[1.5]], [[0.7]]]), np.array([[[0.3]], [[-1.0]]])
    batch = SimpleNamespace(support_x=a, support_y=c, query_x=a, query_y=c)
    theta = torch.tensor([0.7], dtype=torch.float64)
    grads = mt.meta_gradient(quadratic, {"theta": theta}, batch, 0.3, 4)[1]
    expected = np.mean((1 - 0.3 * a) ** 8 * a * (0.7 - c))
    np.testing.assert_allclose(grads["theta"].numpy(), [expected], rtol=1e-13)


def test_data_follow_the_precision_of_the_parameters():
    params, batch = problem(0)
    single = {k: v.float() for k, v in as_tensors(params).items()}
    grads = mt.meta_gradient(relu_mse, single, batch, 0.1, 2)[1]
    assert {g.dtype for g in grads.values()} == {torch.float32}
    assert distance(arrays(grads), ref.meta_gradient(ref.mse, params, batch, 0.1, 2)[1]) < 1e-4


# ------------------------------------------------------------------ any network


class Conv(nn.Module):
    """A convolutional classifier of 6 × 6 images into three classes."""

    def __init__(self, norm):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), norm(4), nn.Tanh(), nn.Conv2d(4, 5, 2), norm(5)
        )
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)).mean((2, 3)))


def images(rng, tasks=2, shots=6, queries=9):
    return TaskBatch(
        rng.normal(size=(tasks, shots, 1, 6, 6)), rng.integers(3, size=(tasks, shots)),
        rng.normal(size=(tasks, queries, 1, 6, 6)), rng.integers(3, size=(tasks, queries)),
    )  # fmt: skip


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("norm", [mt.BatchNorm, lambda n: nn.GroupNorm(1, n), lambda n: nn.Identity()],
                         ids=["BatchNorm", "GroupNorm", "none"])  # fmt: skip
def test_a_convolutional_network_agrees_with_a_plain_loop(norm, steps):
    torch.manual_seed(0)
    model = Conv(norm).double()
    batch = images(np.random.default_rng(0))
    value, grads = mt.MAML(model, nn.functional.cross_entropy, 0.2, steps).meta_gradient(batch)

    def loss(params, x, y):
        return nn.functional.cross_entropy(torch.func.functional_call(model, params, (x,)), y)

    params = {k: p.detach().numpy() for k, p in model.named_parameters()}
    expected_value, expected = maml_by_autograd(loss, params, batch, 0.2, steps)
    assert float(value) == pytest.approx(expected_value, rel=1e-12)
    assert distance(arrays(grads), expected) < 1e-9


# ------------------------------------------------------------------ bad input


def test_a_loss_of_many_numbers_is_refused():
    params, batch = problem(0)
    each = lambda p, x, y: (x @ p["w1"] + p["b1"]).sum(1)
    with pytest.raises(ValueError, match=r"loss must return one number for one task.*\(5,\)"):
        mt.meta_loss(each, as_tensors(params), batch, 0.1, 0)


@pytest.mark.parametrize("steps", [-1, 1.0, 0.5, "2", None, True])
def test_steps_that_are_no_whole_number_are_refused(steps):
    params, batch = problem(0)
    with pytest.raises(ValueError, match=r"inner_steps must be a whole number ≥ 0 .*got"):
        mt.meta_gradient(relu_mse, as_tensors(params), batch, 0.1, steps)


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, "0.1", None, True, [0.1, -0.1]])
def test_rates_that_make_no_sense_are_refused(rate):
    params, batch = problem(0)
    for rates in (rate, dict.fromkeys(params, rate)):
        with pytest.raises(ValueError, match="inner_lr must be finite and ≥ 0; got"):
            mt.meta_gradient(relu_mse, as_tensors(params), batch, rates, 2)


@pytest.mark.parametrize("shape", [(2,), (3, 1, 5), (5, 2, 3)])
def test_rates_of_a_shape_that_fits_nothing_are_refused(shape):
    params, batch = problem(0)
    rates = {k: torch.full(shape, 0.1) if k == "w1" else 0.1 for k in params}
    with pytest.raises(ValueError, match=r"inner_lr for 'w1' has shape .* nor 3 inner steps"):
        mt.meta_loss(relu_mse, as_tensors(params), batch, rates, 3)


def test_rates_for_other_parameters_are_refused_with_the_names():
    params, batch = problem(0)
    with pytest.raises(
        ValueError, match=r"keys \['w1'\] but params has \['b1', 'b2', 'w1', 'w2'\]"
    ):
        mt.meta_gradient(relu_mse, as_tensors(params), batch, {"w1": 0.1}, 1)


@pytest.mark.parametrize("name", ["support_x", "support_y", "query_x", "query_y"])
def test_data_with_nan_are_named(name):
    params, batch = problem(0)
    getattr(batch, name)[1, 2] = np.nan
    with pytest.raises(ValueError, match=f"{name} contains NaN or infinity"):
        mt.meta_gradient(relu_mse, as_tensors(params), batch, 0.1, 1)


def test_adapt_refuses_examples_without_targets_and_nan():
    params, batch = problem(0)
    x, y = batch.support_x[0], batch.support_y[0]
    with pytest.raises(ValueError, match="the same number of examples, at least one"):
        mt.adapt(relu_mse, as_tensors(params), x, y[:-1], 0.1, 1)
    with pytest.raises(ValueError, match="support_y contains NaN or infinity"):
        mt.adapt(relu_mse, as_tensors(params), x, y * np.nan, 0.1, 1)


def test_a_module_in_place_of_params_is_refused_with_what_to_give():
    with pytest.raises(ValueError, match=r"dict\(model\.named_parameters\(\)\)"):
        mt.meta_loss(relu_mse, nn.Linear(1, 1), problem(0)[1], 0.1, 1)


# ------------------------------------------------------------------ on a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_same_numbers():
    params, _ = problem(0, (1, 20, 1))
    batch = Sinusoids(5).sample(np.random.default_rng(0), 4)
    theta = {k: v.cuda() for k, v in as_tensors(params).items()}
    grads = mt.meta_gradient(relu_mse, theta, batch, 0.01, 3)[1]
    expected = ref.meta_gradient(ref.mse, params, batch, 0.01, 3)[1]
    assert distance({k: g.cpu().numpy() for k, g in grads.items()}, expected) < 1e-9
    on_gpu = TaskBatch(*(a.cuda() for a in map(torch.stack, zip(*tensors(batch), strict=True))))
    again = mt.meta_gradient(relu_mse, theta, on_gpu, 0.01, 3)[1]
    assert distance({k: g.cpu().numpy() for k, g in again.items()}, expected) < 1e-9


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("result", [lambda value: value, lambda value: None, lambda value: 1.0])
def test_a_loss_that_is_not_one_number_is_refused_in_words(steps, result):
    x = np.ones((2, 3, 1))
    params = {"w": torch.ones(1, 1, dtype=torch.float64)}
    with pytest.raises(ValueError, match="one number for one task"):
        mt.meta_gradient(
            lambda p, x, y: result((x @ p["w"] - y) ** 2), params, TaskBatch(x, x, x, x), 0.1, steps
        )


@pytest.mark.parametrize("params", [[1], None, {}, {"w": torch.ones(2).long()}, {"w": np.ones(2)}])
def test_params_that_are_no_dict_of_tensors_are_refused(params):
    x = np.ones((2, 3, 1))
    with pytest.raises(ValueError, match="params"):
        mt.meta_gradient(lambda p, x, y: x.sum(), params, TaskBatch(x, x, x, x), 0.1, 1)


def test_labels_of_any_integer_type_are_taken():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 3)), rng.integers(0, 4, (2, 6)).astype(np.uint8)
    learner = mt.MAML(torch.nn.Linear(3, 4), torch.nn.functional.cross_entropy)
    assert learner.meta_loss(TaskBatch(x, y, x, y)).ndim == 0
