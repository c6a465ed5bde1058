"""MAML in NumPy: against closed forms, finite differences, and PyTorch's double backward."""

from types import SimpleNamespace

import numpy as np
import pytest
from by_hand import (
    directional,
    distance,
    inner,
    like,
    maml_by_autograd,
    quadratic,
    random_batch,
    random_params,
    relu_mse,
    tanh_mse,
    tanh_mse_numpy,
)

import maml_edu.reference as ref

STEPS = (1, 2, 5)


def problem(seed, sizes=(2, 5, 1), tasks=3):
    rng = np.random.default_rng(seed)
    return random_params(rng, sizes), random_batch(rng, tasks, inputs=sizes[0], outputs=sizes[-1])


# ------------------------------------------------------------------ against finite differences


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("loss", [tanh_mse_numpy, ref.mse], ids=["tanh", "relu"])
def test_meta_gradient_equals_finite_differences(loss, steps):
    params, batch = problem(steps)
    value, grads = ref.meta_gradient(loss, params, batch, 0.1, steps)
    assert value == pytest.approx(ref.meta_loss(loss, params, batch, 0.1, steps), rel=1e-14)
    rng = np.random.default_rng(9)
    for _ in range(3):
        v = like(rng, params)
        # Steps so small that no ReLU of this problem switches on the way.
        f = lambda p: ref.meta_loss(loss, p, batch, 0.1, steps)
        numeric = directional(f, params, v, step=1e-6)
        assert abs(inner(grads, v) - numeric) < 1e-6 * abs(numeric)


# ------------------------------------------------------------------ against PyTorch


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", (0, *STEPS))
@pytest.mark.parametrize("losses", [(tanh_mse_numpy, tanh_mse), (ref.mse, relu_mse)],
                         ids=["tanh", "relu"])  # fmt: skip
def test_meta_gradient_equals_double_backward_of_pytorch(losses, steps, first_order):
    params, batch = problem(steps)
    value, grads = ref.meta_gradient(losses[0], params, batch, 0.1, steps, first_order)
    expected_value, expected = maml_by_autograd(losses[1], params, batch, 0.1, steps, first_order)
    assert abs(value - expected_value) < 1e-12 * expected_value
    assert distance(grads, expected) < 1e-9


def test_a_deeper_network_and_more_outputs_agree_with_pytorch_too():
    params, batch = problem(0, (3, 6, 4, 2), tasks=2)
    _, grads = ref.meta_gradient(ref.mse, params, batch, 0.05, 3)
    assert distance(grads, maml_by_autograd(relu_mse, params, batch, 0.05, 3)[1]) < 1e-9


# ------------------------------------------------------------------ against closed forms


def bowls(seed=0, tasks=4):
    """Tasks ½ a (θ − c)² with one curvature and one minimum each; support and query alike."""
    rng = np.random.default_rng(seed)
    a, c = rng.uniform(0.5, 2, (tasks, 1, 1)), rng.normal(size=(tasks, 1, 1))
    return SimpleNamespace(support_x=a, support_y=c, query_x=a, query_y=c), a, c


@pytest.mark.parametrize("steps", (0, *STEPS))
def test_on_a_quadratic_the_meta_gradient_is_the_closed_form(steps):
    """φ − c = (1 − αa)^K (θ − c), so dL(φ)/dθ = (1 − αa)^K · a (φ − c)."""
    batch, a, c = bowls()
    theta, alpha = np.array([0.7]), 0.3
    factor = (1 - alpha * a) ** steps
    gap = factor * (theta - c)
    value, grads = ref.meta_gradient(quadratic, {"theta": theta}, batch, alpha, steps)
    np.testing.assert_allclose(value, np.mean(a * gap**2) / 2, rtol=1e-13)
    np.testing.assert_allclose(grads["theta"], [np.mean(factor * a * gap)], rtol=1e-13)
    first = ref.meta_gradient(quadratic, {"theta": theta}, batch, alpha, steps, first_order=True)
    np.testing.assert_allclose(first[1]["theta"], [np.mean(a * gap)], rtol=1e-13)


def test_beyond_the_stability_limit_first_order_points_the_other_way():
    batch, _, _ = bowls(tasks=1)
    theta = {"theta": np.array([0.7])}
    alpha = 1.5 / float(batch.support_x.squeeze())
    second, first = (
        ref.meta_gradient(quadratic, theta, batch, alpha, 1, first_order=flag)[1]["theta"]
        for flag in (False, True)
    )
    assert np.sign(second) == -np.sign(first)


def test_first_order_lacks_exactly_the_hessian_term():
    """One step: dL(φ)/dθ = (I − αH) v with v the query slope at φ; first order keeps v alone."""
    params, batch = problem(3, tasks=1)
    sx, sy, qx, qy = (
        getattr(batch, k)[0] for k in ("support_x", "support_y", "query_x", "query_y")
    )
    alpha = 0.1
    full = ref.meta_gradient(tanh_mse_numpy, params, batch, alpha, 1)[1]
    first = ref.meta_gradient(tanh_mse_numpy, params, batch, alpha, 1, first_order=True)[1]
    phi = ref.adapt(tanh_mse_numpy, params, sx, sy, alpha, 1)
    v = ref.grad(tanh_mse_numpy)(phi, qx, qy)
    hessian_v = ref.hvp(lambda p: tanh_mse_numpy(p, sx, sy), params, v)
    for k in params:
        np.testing.assert_allclose(first[k], v[k], rtol=1e-13)
        np.testing.assert_allclose(
            full[k] - first[k], -alpha * hessian_v[k], rtol=1e-10, atol=1e-15
        )


def test_zero_steps_adapt_nothing():
    params, batch = problem(0)
    phi = ref.adapt(ref.mse, params, batch.support_x[0], batch.support_y[0], 0.1, 0)
    assert all(np.array_equal(phi[k], params[k]) for k in params)
    _, grads = ref.meta_gradient(ref.mse, params, batch, 0.1, 0)
    tasks = list(zip(batch.query_x, batch.query_y, strict=True))
    slopes = [ref.grad(ref.mse)(params, x, y) for x, y in tasks]
    for k in params:
        np.testing.assert_allclose(grads[k], np.mean([s[k] for s in slopes], axis=0), rtol=1e-13)


def test_adaptation_descends_and_changes_nothing_it_is_given():
    params, batch = problem(0)
    kept = {k: v.copy() for k, v in params.items()}
    x, y = batch.support_x[0], batch.support_y[0]
    losses = [ref.mse(ref.adapt(ref.mse, params, x, y, 0.02, n), x, y) for n in range(6)]
    assert all(after < before for before, after in zip(losses, losses[1:], strict=False))
    assert all(np.array_equal(params[k], kept[k]) for k in params)


def test_the_meta_loss_is_the_mean_over_tasks():
    params, batch = problem(0, tasks=3)
    one = lambda i: SimpleNamespace(**{k: v[i : i + 1] for k, v in vars(batch).items()})
    each = [ref.meta_loss(ref.mse, params, one(i), 0.1, 2) for i in range(3)]
    np.testing.assert_allclose(ref.meta_loss(ref.mse, params, batch, 0.1, 2), np.mean(each))


# ------------------------------------------------------------------ inner rates of every form

FORMS = {
    "number": (0.1, lambda k, step: 0.1),
    "array of one number": (np.array(0.1), lambda k, step: 0.1),
    "one per step": ([0.2, 0.1, 0.05], lambda k, step: [0.2, 0.1, 0.05][step]),
    "one per parameter": (
        {"w1": 0.2, "b1": 0.0, "w2": 0.1, "b2": 0.3},
        lambda k, step: {"w1": 0.2, "b1": 0.0, "w2": 0.1, "b2": 0.3}[k],
    ),
}


def per_element(params):
    rng = np.random.default_rng(4)
    rates = {k: rng.uniform(0, 0.2, v.shape) for k, v in params.items()}
    return rates, lambda k, step: torch_of(rates[k])


def per_step_and_parameter(params):
    rng = np.random.default_rng(5)
    rates = {k: rng.uniform(0, 0.2, 3) for k in params}
    rates["b2"] = rng.uniform(0, 0.2, (3, 1))  # its shape is (1,): the step axis is the first
    return rates, lambda k, step: torch_of(rates[k])[step]


def per_element_per_step(params):
    rng = np.random.default_rng(6)
    rates = {k: rng.uniform(0, 0.2, (3, *v.shape)) for k, v in params.items()}
    return rates, lambda k, step: torch_of(rates[k])[step]


def torch_of(values):
    import torch

    return torch.as_tensor(values)


MADE = {f.__name__: f for f in (per_element, per_step_and_parameter, per_element_per_step)}


@pytest.mark.parametrize("form", [*FORMS, *MADE])
@pytest.mark.parametrize("first_order", [False, True])
def test_inner_rates_of_every_form_agree_with_pytorch(form, first_order):
    params, batch = problem(1)
    rates, rate_of = MADE[form](params) if form in MADE else FORMS[form]
    rates = np.array(rates) if isinstance(rates, list) else rates
    _, grads = ref.meta_gradient(tanh_mse_numpy, params, batch, rates, 3, first_order)
    expected = maml_by_autograd(tanh_mse, params, batch, rate_of, 3, first_order)[1]
    assert distance(grads, expected) < 1e-9


def test_a_rate_shaped_like_its_parameter_is_per_element_even_with_as_many_steps():
    params = {"theta": np.array([1.0, 2.0])}
    x, y = np.ones((1, 2)), np.zeros((1, 2))
    phi = ref.adapt(quadratic, params, x, y, {"theta": np.array([0.5, 0.0])}, 2)
    np.testing.assert_allclose(phi["theta"], [0.25, 2.0])


def test_the_meta_loss_is_differentiable_with_respect_to_the_inner_rate():
    params, batch = problem(2)
    by_name = {k: np.full((2, *v.shape), 0.1) for k, v in params.items()}
    of_rate = lambda rate: ref.meta_loss(tanh_mse_numpy, params, batch, rate, 2)
    slope = ref.grad(of_rate)(0.1)
    numeric = (of_rate(0.1 + 1e-6) - of_rate(0.1 - 1e-6)) / 2e-6
    assert abs(slope - numeric) < 1e-7 * abs(numeric)
    slopes = ref.grad(of_rate)(by_name)
    assert all(slopes[k].shape == by_name[k].shape for k in by_name)
    np.testing.assert_allclose(sum(np.sum(s) for s in slopes.values()), slope, rtol=1e-12)


def test_single_precision_params_keep_their_dtype():
    params, batch = problem(0)
    single = {k: v.astype(np.float32) for k, v in params.items()}
    few = SimpleNamespace(**{k: v.astype(np.float32) for k, v in vars(batch).items()})
    grads = ref.meta_gradient(ref.mse, single, few, 0.1, 2)[1]
    assert {v.dtype for v in grads.values()} == {np.dtype(np.float32)}
    assert distance(grads, ref.meta_gradient(ref.mse, params, batch, 0.1, 2)[1]) < 1e-4


def test_cross_entropy_is_meta_learned_as_well():
    rng = np.random.default_rng(0)
    params = random_params(rng, (2, 4, 3))
    batch = random_batch(rng, tasks=2, inputs=2)
    batch.support_y = rng.integers(3, size=(2, 4))
    batch.query_y = rng.integers(3, size=(2, 5))
    _, grads = ref.meta_gradient(ref.cross_entropy, params, batch, 0.5, 2)
    v = like(rng, params)
    f = lambda p: ref.meta_loss(ref.cross_entropy, p, batch, 0.5, 2)
    numeric = directional(f, params, v, step=1e-6)
    assert abs(inner(grads, v) - numeric) < 1e-6 * abs(numeric)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("steps", [-1, 1.0, 0.5, "2", None, True, np.float64(2)])
def test_steps_that_are_no_whole_number_are_refused(steps):
    params, batch = problem(0)
    with pytest.raises(ValueError, match=r"inner_steps must be a whole number ≥ 0 .*got"):
        ref.meta_gradient(ref.mse, params, batch, 0.1, steps)


def test_steps_may_be_a_whole_number_of_numpy():
    params, batch = problem(0)
    ref.meta_loss(ref.mse, params, batch, 0.1, np.int64(1))


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, "0.1", None, True, [0.1, -0.1], 1j])
def test_rates_that_make_no_sense_are_refused(rate):
    params, batch = problem(0)
    for rates in (rate, dict.fromkeys(params, rate)):
        with pytest.raises(ValueError, match="inner_lr must be finite and ≥ 0; got"):
            ref.meta_gradient(ref.mse, params, batch, rates, 2)


def test_rates_for_other_parameters_are_refused_with_the_names():
    params, batch = problem(0)
    with pytest.raises(
        ValueError, match=r"keys \['w1'\] but params has \['b1', 'b2', 'w1', 'w2'\]"
    ):
        ref.meta_gradient(ref.mse, params, batch, {"w1": 0.1}, 1)


@pytest.mark.parametrize("shape", [(2,), (2, 5), (3, 1, 5), (5, 2, 3)])
def test_rates_of_a_shape_that_fits_nothing_are_refused(shape):
    params, batch = problem(0)  # w1: (2, 5)
    rates = {k: np.full(shape, 0.1) if k == "w1" else 0.1 for k in params}
    if shape == (2, 5):
        ref.meta_loss(ref.mse, params, batch, rates, 3)
        return
    with pytest.raises(ValueError, match=r"inner_lr for 'w1' has shape .* nor 3 inner steps"):
        ref.meta_loss(ref.mse, params, batch, rates, 3)


def test_params_that_are_no_dict_are_refused():
    _, batch = problem(0)
    with pytest.raises(ValueError, match="params must be a dict name → array"):
        ref.meta_loss(ref.mse, [np.ones((1, 1))], batch, 0.1, 1)


@pytest.mark.parametrize("name", ["support_x", "support_y", "query_x", "query_y"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_with_nan_or_infinity_are_named(name, bad):
    params, batch = problem(0)
    getattr(batch, name)[1, 2] = bad
    with pytest.raises(ValueError, match=f"{name} contains NaN or infinity"):
        ref.meta_gradient(ref.mse, params, batch, 0.1, 1)


@pytest.mark.parametrize("change", [
    {"support_x": np.zeros((2, 4, 2))},  # tasks differ
    {k: np.zeros((0, 4, 1)) for k in ("support_x", "support_y", "query_x", "query_y")},
    {"query_y": np.float64(3.0)},
])  # fmt: skip
def test_a_batch_without_or_with_unequal_tasks_is_refused(change):
    params, batch = problem(0)
    vars(batch).update(change)
    with pytest.raises(ValueError, match="same number of tasks"):
        ref.meta_loss(ref.mse, params, batch, 0.1, 1)


@pytest.mark.parametrize("role", ["support", "query"])
def test_examples_without_targets_are_refused(role):
    params, batch = problem(0)
    setattr(batch, f"{role}_y", getattr(batch, f"{role}_y")[:, :-1])
    with pytest.raises(ValueError, match=f"{role}_x has shape .* same number of examples"):
        ref.meta_loss(ref.mse, params, batch, 0.1, 1)


def test_an_empty_support_set_is_refused():
    params, batch = problem(0)
    with pytest.raises(ValueError, match="at least one"):
        ref.adapt(ref.mse, params, np.zeros((0, 2)), np.zeros((0, 1)), 0.1, 1)


def test_a_loss_of_several_numbers_is_refused_without_inner_steps_too():
    batch = SimpleNamespace(**dict.fromkeys(("support_x", "support_y", "query_x", "query_y"), X))
    with pytest.raises(ValueError, match="one number for one task"):
        ref.meta_loss(lambda p, x, y: p["w"] * (x - y), {"w": np.ones(1)}, batch, 0.1, 0)


def test_what_is_no_batch_is_refused():
    with pytest.raises(ValueError, match="batch must have support_x"):
        ref.meta_loss(ref.mse, {"w1": np.ones((1, 1)), "b1": np.ones(1)}, None, 0.1, 1)


X = np.ones((2, 3, 1))
