"""The family: each member's defining identity, against loops written without the library."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import distance, maml_by_autograd, random_batch, tensors
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

import maml_edu.pytorch as mt
from maml_edu.pytorch.imaml import conjugate_gradient
from maml_edu.pytorch.mamlpp import multi_step_weights
from maml_edu.tasks import Sinusoids, TaskBatch

RATE = 0.1


def network():
    """Two layers, "0." the body and "2." the head, without kinks."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def problem(seed=0, tasks=3):
    return random_batch(np.random.default_rng(seed), tasks, shots=4, queries=5, inputs=2)


def mse_of(model):
    """loss(params, x, y) without the library."""
    return lambda params, x, y: ((functional_call(model, params, (x,)) - y) ** 2).mean()


def numbers(tensors):
    return {name: value.detach().numpy() for name, value in tensors.items()}


def descend(loss, params, x, y, rate, steps):
    """Plain gradient descent by torch.autograd; the parameters after it, leaves of a new graph."""
    params = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    for _ in range(steps):
        slopes = torch.autograd.grad(loss(params, x, y), list(params.values()))
        params = {
            name: (p - rate * slope).detach().requires_grad_()
            for (name, p), slope in zip(params.items(), slopes, strict=True)
        }
    return params


def slopes_of(value, params):
    slopes = torch.autograd.grad(value, list(params.values()))
    return dict(zip(params, (slope.numpy() for slope in slopes), strict=True))


def mean(dicts):
    return {name: np.mean([one[name] for one in dicts], axis=0) for name in dicts[0]}


# ------------------------------------------------------------------ first-order MAML, Reptile


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_fomaml_s_gradient_is_the_mean_query_gradient_at_phi(steps):
    model, batch = network(), problem()
    value, grads = mt.FOMAML(model, inner_lr=RATE, inner_steps=steps).meta_gradient(batch)
    loss, values, slopes = mse_of(model), [], []
    for support_x, support_y, query_x, query_y in tensors(batch):
        theta = dict(model.named_parameters())
        phi = descend(loss, theta, support_x, support_y, RATE, steps)
        values.append(loss(phi, query_x, query_y))
        slopes.append(slopes_of(values[-1], phi))
    assert distance(numbers(grads), mean(slopes)) < 1e-12
    assert float(value) == pytest.approx(float(sum(values).detach()) / 3, rel=1e-12)


@pytest.mark.parametrize("data", ["support", "support+query"])
def test_reptile_with_one_step_is_joint_training(data):
    model, batch = network(), problem()
    grads = mt.Reptile(model, inner_lr=RATE, inner_steps=1, data=data).meta_gradient(batch)[1]
    theta = dict(model.named_parameters())
    losses = [  # of all examples at once, which are equally many for each task
        mse_of(model)(theta, torch.cat([sx, qx]), torch.cat([sy, qy]))
        if data == "support+query"
        else mse_of(model)(theta, sx, sy)
        for sx, sy, qx, qy in tensors(batch)
    ]
    assert distance(numbers(grads), slopes_of(sum(losses) / 3, theta)) < 1e-12


@pytest.mark.parametrize("data", ["support", "support+query"])
def test_reptile_with_more_steps_is_the_way_to_phi_in_units_of_the_rate(data):
    model, batch = network(), problem()
    value, grads = mt.Reptile(model, inner_lr=RATE, inner_steps=4, data=data).meta_gradient(batch)
    theta, loss = dict(model.named_parameters()), mse_of(model)
    ways, values = [], []
    for sx, sy, qx, qy in tensors(batch):
        x, y = (sx, sy) if data == "support" else (torch.cat([sx, qx]), torch.cat([sy, qy]))
        phi = descend(loss, theta, x, y, RATE, 4)
        ways.append({n: (theta[n] - phi[n]).detach().numpy() / RATE for n in theta})
        values.append(loss(phi, qx, qy).item())
    assert distance(numbers(grads), mean(ways)) < 1e-12
    assert float(value) == pytest.approx(np.mean(values), rel=1e-12)
    assert not any(slope.requires_grad for slope in grads.values())


@pytest.mark.parametrize("options", [
    {"inner_lr": 0.0}, {"inner_steps": 0}, {"inner_lr": np.array([0.1, 0.1]), "inner_steps": 2},
])  # fmt: skip
def test_reptile_refuses_rates_that_it_cannot_divide_by(options):
    with pytest.raises(ValueError, match="Reptile divides by the inner rate"):
        mt.Reptile(network(), **options)


def test_reptile_refuses_unknown_data():
    with pytest.raises(ValueError, match="data must be 'support' or 'support.query'; got 'query'"):
        mt.Reptile(network(), data="query")


# ------------------------------------------------------------------ ANIL, BOIL


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("member, still", [(mt.ANIL, "0."), (mt.BOIL, "2.")])
def test_only_head_or_body_adapts_and_all_is_trained(member, still, steps):
    """As MAML by a plain loop with rate 0 for what does not adapt."""
    model, batch = network(), problem()
    learner = member(model, inner_lr=RATE, inner_steps=steps)
    value, grads = learner.meta_gradient(batch)
    rate = lambda name, step: 0.0 if name.startswith(still) else RATE
    params = numbers(dict(model.named_parameters()))
    by_hand, expected = maml_by_autograd(mse_of(model), params, batch, rate, steps)
    assert float(value) == pytest.approx(by_hand, rel=1e-12)
    assert distance(numbers(grads), expected) < 1e-12
    phi = learner.adapt(batch.support_x[0], batch.support_y[0])
    unchanged = {name for name in phi if torch.equal(phi[name], learner.params[name])}
    assert unchanged == {name for name in phi if name.startswith(still)}


def test_anil_s_gradient_of_a_linear_head_is_the_closed_form():
    """φ = h − α∇, and the meta-gradient (I − α·2ZᵀZ/n) ∇L_query(φ), Z the features with a 1 behind."""
    model, batch = network(), problem(tasks=1)
    grads = mt.ANIL(model, inner_lr=RATE).meta_gradient(batch)[1]
    sx, sy, qx, qy = (values.numpy() for values in next(tensors(batch)))
    weight, bias = (p.detach().numpy() for p in model[0].parameters())
    z, zq = (np.c_[np.tanh(x @ weight.T + bias), np.ones(len(x))] for x in (sx, qx))
    head = np.append(model[2].weight.detach().numpy(), model[2].bias.detach().numpy())
    phi = head - RATE * 2 * z.T @ (z @ head - sy[:, 0]) / len(z)
    slope = 2 * zq.T @ (zq @ phi - qy[:, 0]) / len(zq)
    expected = slope - RATE * 2 * z.T @ (z @ slope) / len(z)
    np.testing.assert_allclose(grads["2.weight"][0], expected[:-1], rtol=1e-10)
    np.testing.assert_allclose(grads["2.bias"], expected[-1:], rtol=1e-10)


def test_anil_is_maml_with_a_subset_and_boil_the_complement():
    anil, boil = mt.ANIL(network()), mt.BOIL(network())
    assert anil.adapting == ["2.weight", "2.bias"]
    assert sorted([*anil.adapting, *boil.adapting]) == sorted(anil.params)
    maml = mt.MAML(network(), inner_lr=RATE, inner_steps=2, adapting="2.")
    named = mt.ANIL(network(), inner_lr=RATE, inner_steps=2, head="2.")
    theirs, ours = (learner.meta_gradient(problem())[1] for learner in (maml, named))
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_the_head_of_conv4_is_found_by_name_and_by_itself():
    model = mt.Conv4(3, filters=2, size=8)
    assert mt.ANIL(model).adapting == mt.ANIL(model, head="head.").adapting
    assert mt.ANIL(model).adapting == ["head.weight", "head.bias"]
    assert "features.conv1.weight" in mt.BOIL(model).adapting


@pytest.mark.parametrize("member", [mt.ANIL, mt.BOIL])
def test_a_head_that_is_not_there_is_refused_with_the_names(member):
    with pytest.raises(ValueError, match=r"no head 'fc\.': its parameters are 0\.weight, 0\.bias"):
        member(network(), head="fc.")
    with pytest.raises(ValueError, match=r"model must be an nn\.Module"):
        member(None)


def test_a_single_layer_is_all_head():
    assert mt.ANIL(nn.Linear(2, 1)).adapting == ["weight", "bias"]
    with pytest.raises(ValueError, match="nothing but a head"):
        mt.BOIL(nn.Linear(2, 1))


# ------------------------------------------------------------------ Meta-SGD


@pytest.mark.parametrize("steps", [1, 2])
def test_meta_sgd_with_equal_rates_is_maml(steps):
    model, batch = network(), problem()
    learner = mt.MetaSGD(model, inner_lr=RATE, inner_steps=steps)
    value, grads = learner.meta_gradient(batch)
    params = numbers(dict(model.named_parameters()))
    by_hand, expected = maml_by_autograd(mse_of(model), params, batch, RATE, steps)
    assert float(value) == pytest.approx(by_hand, rel=1e-12)
    assert distance({name: grads[name].numpy() for name in expected}, expected) < 1e-12
    assert grads.keys() == learner.meta_params.keys()


@pytest.mark.parametrize("member", [mt.MetaSGD, mt.MAMLpp])
def test_the_gradient_of_learned_rates_is_the_difference_quotient(member):
    """Along a random direction in all rates at once, of the meta-loss by a plain loop."""
    model, batch = network(), problem()
    options = {"multi_step_until": 0} if member is mt.MAMLpp else {}
    learner = member(model, F.mse_loss, inner_lr=RATE, inner_steps=2, **options)
    grads = learner.meta_gradient(batch)[1]
    rng, rates = np.random.default_rng(3), learner.learned_rates()
    with torch.no_grad():
        for own in rates.values():  # unequal rates, of both signs
            own.copy_(torch.tensor(rng.normal(0, 0.1, size=tuple(own.shape))))
    grads = learner.meta_gradient(batch)[1]
    along = {name: torch.tensor(rng.normal(size=tuple(own.shape))) for name, own in rates.items()}
    params = numbers(dict(model.named_parameters()))

    def value(eps):
        def rate(name, step):
            own = rates[f"inner_lr.{name}"] + eps * along[f"inner_lr.{name}"]
            return own[step].detach() if member is mt.MAMLpp else own.detach()

        return maml_by_autograd(mse_of(model), params, batch, rate, 2)[0]

    assert float(learner.meta_loss(batch)) == pytest.approx(value(0.0), rel=1e-12)
    slope = sum(float((grads[name] * along[name]).sum()) for name in along)
    assert slope == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-8)


def test_rates_of_meta_sgd_start_where_they_are_told():
    model = network()
    rates = {name: 0.1 * i for i, name in enumerate(dict(model.named_parameters()))}
    learner = mt.MetaSGD(model, inner_lr=rates)
    assert all((learner.inner_lr[name] == value).all() for name, value in rates.items())
    assert {name: own.shape for name, own in learner.inner_lr.items()} == {
        name: p.shape for name, p in model.named_parameters()
    }
    for bad in (np.array([0.1, 0.1, 0.1]), -0.1):
        with pytest.raises(ValueError, match="inner_lr"):
            mt.MetaSGD(model, inner_lr=bad)


# ------------------------------------------------------------------ MAML++


def mamlpp(model, **options):
    options = {"inner_lr": RATE, "inner_steps": 3, "multi_step_until": 0} | options
    return mt.MAMLpp(model, F.mse_loss, **options)


def test_maml_plus_plus_with_equal_rates_and_the_last_loss_alone_is_maml():
    model, batch = network(), problem()
    value, grads = mamlpp(model).meta_gradient(batch)
    params = numbers(dict(model.named_parameters()))
    by_hand, expected = maml_by_autograd(mse_of(model), params, batch, RATE, 3)
    assert float(value) == pytest.approx(by_hand, rel=1e-12)
    assert distance({name: grads[name].numpy() for name in expected}, expected) < 1e-12


def test_the_multi_step_loss_is_the_weighted_sum_of_the_query_losses():
    model, batch = network(), problem()
    learner = mamlpp(model, multi_step_until=100)
    learner.before_iteration(50, 1000)
    value, grads = learner.meta_gradient(batch)
    weights = [1 / 6, 1 / 6, 2 / 3]  # half of 1/3, and the rest
    params = numbers(dict(model.named_parameters()))
    parts = [maml_by_autograd(mse_of(model), params, batch, RATE, k) for k in (1, 2, 3)]
    expected = {n: sum(w * g[n] for w, (_, g) in zip(weights, parts, strict=True)) for n in params}
    assert float(value) == pytest.approx(
        sum(w * v for w, (v, _) in zip(weights, parts, strict=True)), rel=1e-12
    )
    assert distance({name: grads[name].numpy() for name in expected}, expected) < 1e-12


@pytest.mark.parametrize("iteration, expected", [
    (0, [0.0, 0.2, 0.2, 0.2, 0.2, 0.2]),
    (2500, [0.0, 0.1, 0.1, 0.1, 0.1, 0.6]),
    (4999, [0.0, 0.006, 0.006, 0.006, 0.006, 0.976]),
    (5000, None),
    (49_999, None),
])  # fmt: skip
def test_the_weights_go_from_equal_to_the_last_alone(iteration, expected):
    """Five steps, 10 of 100 epochs of 500 iterations: the numbers of the original code at its epochs."""
    weights = multi_step_weights(iteration, 5000, 5)
    assert weights == (expected and pytest.approx(expected, abs=1e-12))
    assert mamlpp(network(), multi_step_until=0.1).multi_step_until == 0.1


@given(steps=st.integers(1, 8), until=st.integers(1, 50), iteration=st.integers(0, 60))
def test_the_weights_always_sum_to_one(steps, until, iteration):
    weights = multi_step_weights(iteration, until, steps) or [0.0] * steps + [1.0]
    assert len(weights) == steps + 1 and sum(weights) == pytest.approx(1)
    assert weights[0] == 0 and min(weights) >= 0 and weights[-1] == pytest.approx(max(weights))


def test_the_annealing_is_a_function_of_the_iteration_and_not_of_what_came_before():
    learner = mamlpp(network(), inner_steps=2, multi_step_until=0.5, first_order_until=3)
    seen = {}
    for iteration in [0, 5, 2, 9, 3, 0, 5]:
        learner.before_iteration(iteration, 10)
        now = (learner.query_weights, learner.first_order)
        assert seen.setdefault(iteration, now) == now
    assert seen[0] == ([0.0, 0.5, 0.5], True)
    assert seen[2] == ([0.0, pytest.approx(0.3), pytest.approx(0.7)], True)
    assert seen[3][1] is False
    assert seen[5] == (None, False)
    assert learner.settings() == mamlpp(
        network(), inner_steps=2, multi_step_until=0.5, first_order_until=3
    ).settings()  # fmt: skip


def test_the_order_of_the_derivative_changes_when_it_is_told_to():
    model, batch = network(), problem()
    learner = mamlpp(model, first_order_until=0.5)
    loss, params = mse_of(model), numbers(dict(model.named_parameters()))
    for iteration, first_order in [(0, True), (4, True), (5, False), (9, False)]:
        learner.before_iteration(iteration, 10)
        grads = learner.meta_gradient(batch)[1]
        expected = maml_by_autograd(loss, params, batch, RATE, 3, first_order)[1]
        assert distance({name: grads[name].numpy() for name in expected}, expected) < 1e-12


def test_five_ways_and_five_steps_are_not_mixed_up():
    """A bias of shape (5,) with rates (5,): these count steps, not elements."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 5)).double()
    batch = random_batch(np.random.default_rng(0), inputs=2, outputs=5)
    learner = mamlpp(model, inner_steps=5)
    rng, rates = np.random.default_rng(1), learner.learned_rates()
    with torch.no_grad():
        for own in rates.values():
            own.copy_(torch.tensor(rng.uniform(0.05, 0.3, size=5)))
    rate = lambda name, step: rates[f"inner_lr.{name}"][step].detach()
    params = numbers(dict(model.named_parameters()))
    by_hand, expected = maml_by_autograd(mse_of(model), params, batch, rate, 5)
    value, grads = learner.meta_gradient(batch)
    assert float(value) == pytest.approx(by_hand, rel=1e-12)
    assert distance({name: grads[name].numpy() for name in expected}, expected) < 1e-12
    assert all(grads[name].shape == (5,) for name in rates)
    own, eps = rates["inner_lr.0.bias"], 1e-6
    with torch.no_grad():
        own[3] += eps
        above = learner.meta_loss(batch)
        own[3] -= 2 * eps
        below = learner.meta_loss(batch)
    slope = float(above - below) / (2 * eps)
    assert slope == pytest.approx(float(grads["inner_lr.0.bias"][3]), rel=1e-6)


def normalised():
    torch.manual_seed(0)
    layers = nn.Linear(2, 4), mt.BatchNorm(4), nn.Tanh(), nn.Linear(4, 1)
    return nn.Sequential(*layers).double()


def with_unequal_norms(**options):
    """A learner whose steps have batch norms that differ."""
    learner = mamlpp(normalised(), **options)
    rng = np.random.default_rng(4)
    with torch.no_grad():
        for name in ("1.weight", "1.bias"):
            values = rng.normal(1.0, 0.3, size=tuple(learner.params[name].shape))
            learner.params[name].copy_(torch.tensor(values))
    return learner


def normalised_by_hand(learner, batch, weights):
    """The multi-step loss with a batch norm for each step, by a plain loop and F.batch_norm."""
    theta = {n: p.detach().clone().requires_grad_() for n, p in learner.params.items()}
    moving = [name for name in theta if not name.startswith("1.")]

    def loss(params, step, x, y):
        hidden = F.linear(x, params["0.weight"], params["0.bias"])
        norm = (params["1.weight"][step], params["1.bias"][step])
        hidden = torch.tanh(F.batch_norm(hidden, None, None, *norm, training=True))
        return F.mse_loss(F.linear(hidden, params["3.weight"], params["3.bias"]), y)

    total = 0.0
    for support_x, support_y, query_x, query_y in tensors(batch):
        phi = dict(theta)
        for step, weight in enumerate(weights):
            value = loss(phi, step, support_x, support_y)
            slopes = torch.autograd.grad(value, [phi[n] for n in moving], create_graph=True)
            for name, slope in zip(moving, slopes, strict=True):
                phi[name] = phi[name] - RATE * slope
            total = total + weight * loss(phi, step, query_x, query_y) / len(batch.query_x)
    return float(total.detach()), slopes_of(total, theta)


@pytest.mark.parametrize("engine", ["plain", "lean", "threads"])
@pytest.mark.parametrize("iteration", [0, 4, 10])
def test_each_step_has_its_own_batch_norm(iteration, engine):
    learner, batch = with_unequal_norms(multi_step_until=10, engine=engine), problem()
    learner.before_iteration(iteration, 100)
    weights = (learner.query_weights or [0.0, 0.0, 0.0, 1.0])[1:]
    value, grads = learner.meta_gradient(batch)
    by_hand, expected = normalised_by_hand(learner, batch, weights)
    assert float(value) == pytest.approx(by_hand, rel=1e-12)
    assert distance({name: grads[name].numpy() for name in expected}, expected) < 1e-10
    assert grads["1.weight"].shape == (3, 4)
    assert (
        len(set(learner.task_loss)) == 3 and learner.task_loss == learner.task_loss
    )  # steps are not mixed up


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_batch_norm_gets_a_gradient_only_at_its_own_step(step):
    """Without inner steps of any size, the query loss after step i sees the i-th batch norm alone."""
    learner = with_unequal_norms(inner_lr=0.0)
    learner.query_weights = [0.0] * (step + 1) + [1.0] + [0.0] * (2 - step)
    grads = learner.meta_gradient(problem())[1]
    for name in ("1.weight", "1.bias"):
        assert [bool(row.any()) for row in grads[name]] == [i == step for i in range(3)]


def test_batch_norms_do_not_adapt_and_predictions_take_those_of_their_step():
    learner, batch = with_unequal_norms(), problem()
    assert learner.adapting == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert not any("1." in name for name in learner.learned_rates())
    sx, sy, qx, qy = next(tensors(batch))
    outputs = learner.predictions(sx, sy, qx, 3)
    for steps, output in enumerate(outputs):
        weights = [float(i == steps - 1) for i in range(3)]
        if steps:
            one = TaskBatch(sx[None], sy[None], qx[None], qy[None])
            expected = normalised_by_hand(learner, one, weights)[0]
            assert float(F.mse_loss(output, qy)) == pytest.approx(expected, rel=1e-12)
    phi = learner.adapt(sx, sy)
    assert torch.equal(phi["1.weight"], learner.params["1.weight"])
    torch.testing.assert_close(learner.predict(phi, qx), outputs[3], rtol=1e-12, atol=0)
    assert len(learner.predictions(sx, sy, qx, 1)) == 2
    assert learner.model(qx).shape == qy.shape  # the model by itself: the last step's batch norm


def test_a_frozen_batch_norm_and_one_without_weights_stay_what_they_are():
    norms = mt.BatchNorm(4), mt.BatchNorm(4, affine=False)
    model = nn.Sequential(nn.Linear(2, 4), *norms, nn.Linear(4, 1)).double()
    model[1].weight.requires_grad_(False)
    learner = mamlpp(model)
    assert learner.stepwise == ["1.bias"] and model[1].weight.shape == (4,)
    assert learner.meta_gradient(problem())[1]["1.bias"].shape == (3, 4)
    assert mamlpp(mt.BatchNorm(2).double(), per_step_norm=False).adapting == ["weight", "bias"]


def test_one_batch_norm_for_all_steps_may_be_kept_and_adapts_then():
    learner = mamlpp(normalised(), per_step_norm=False)
    assert learner.params["1.weight"].shape == (4,) and "1.weight" in learner.adapting


@pytest.mark.parametrize("options, word", [
    ({"inner_steps": 0}, "at least one inner step"),
    ({"multi_step_until": -1}, "multi_step_until must be a share"),
    ({"first_order_until": 1.5}, "first_order_until must be a share"),
    ({"adapting": "1."}, "of which each inner step has its own"),
    ({"inner_lr": np.array([0.1, 0.1])}, "inner_lr for '0.weight' has shape"),
    ({"inner_lr": -0.1}, "inner_lr must be finite"),
])  # fmt: skip
def test_maml_plus_plus_refuses_what_makes_no_sense(options, word):
    model = normalised()
    with pytest.raises(ValueError, match=word):
        mamlpp(model, **options)
    assert model[1].weight.shape == (4,)  # a refused model is left as it was


def test_more_steps_than_there_are_learned_rates_are_refused():
    learner = mamlpp(network())
    with pytest.raises(ValueError, match="learned rates for 3 inner steps, not for 10"):
        learner.check_steps(10)
    with pytest.raises(ValueError, match="already holds batch norms for 3 inner steps, not 5"):
        mamlpp(mamlpp(normalised()).model, inner_steps=5)


def test_rates_may_start_differently_by_step_and_by_name():
    learner = mamlpp(network(), inner_lr=np.array([0.3, 0.2, 0.1]), adapting="2.")
    assert learner.learned_rates()["inner_lr.2.bias"].tolist() == [0.3, 0.2, 0.1]
    learner = mamlpp(network(), inner_lr={"2.weight": 0.3, "2.bias": 0.0}, adapting="2.")
    assert learner.learned_rates()["inner_lr.2.weight"].tolist() == [0.3] * 3


# ------------------------------------------------------------------ implicit MAML


def flat(params):
    return torch.cat([p.detach().reshape(-1) for p in params.values()])


def proximal(loss, theta, strength):
    """The inner problem of implicit MAML."""

    def near(params, x, y):
        away = sum(((params[name] - theta[name]) ** 2).sum() for name in theta)
        return loss(params, x, y) + strength / 2 * away

    return near


def implicit_of_task(loss, theta, task, strength, rate, steps):
    """(I + H/λ)⁻¹ ∇L_query(φ) of one task, with a dense Hessian."""
    sx, sy, qx, qy = task
    sizes = [p.numel() for p in theta.values()]

    def at(vector, x, y):
        parts = zip(theta.items(), vector.split(sizes), strict=True)
        return loss({name: part.reshape(p.shape) for (name, p), part in parts}, x, y)

    phi = flat(descend(proximal(loss, theta, strength), theta, sx, sy, rate, steps))
    hessian = torch.autograd.functional.hessian(lambda v: at(v, sx, sy), phi)
    slope = torch.autograd.functional.jacobian(lambda v: at(v, qx, qy), phi)
    return torch.linalg.solve(torch.eye(len(phi)) + hessian / strength, slope)


def implicit_by_hand(model, batch, *options):
    theta = {name: p.detach() for name, p in model.named_parameters()}
    answers = [implicit_of_task(mse_of(model), theta, task, *options) for task in tensors(batch)]
    return torch.stack(answers).mean(0)


def error_of_imaml(cg_steps, expected):
    learner = mt.IMAML(network(), inner_lr=RATE, inner_steps=8, strength=2.0, cg_steps=cg_steps)
    return float((flat(learner.meta_gradient(problem())[1]) - expected).norm() / expected.norm())


def test_imaml_s_gradient_goes_to_the_implicit_gradient_as_conjugate_gradients_go_on():
    expected = implicit_by_hand(network(), problem(), 2.0, RATE, 8)
    errors = [error_of_imaml(steps, expected) for steps in (0, 1, 3, 6, 17)]
    assert all(after < before for before, after in zip(errors[:-1], errors[1:], strict=True))
    assert errors[0] > 1e-2 and errors[-1] < 1e-12


def test_imaml_s_gradient_is_the_slope_of_the_query_loss_of_the_solved_inner_problem():
    """By central differences through a plain descent that has converged."""
    model, batch, strength = network(), problem(tasks=2), 2.0
    options = {"inner_lr": RATE, "inner_steps": 300, "strength": strength, "cg_steps": 20}
    grads = mt.IMAML(model, **options).meta_gradient(batch)[1]
    theta = {name: p.detach() for name, p in model.named_parameters()}
    rng, loss = np.random.default_rng(5), mse_of(model)
    along = {name: torch.tensor(rng.normal(size=tuple(p.shape))) for name, p in theta.items()}

    def value(eps):
        start = {name: p + eps * along[name] for name, p in theta.items()}
        near = proximal(loss, start, strength)
        losses = [
            loss(descend(near, start, sx, sy, RATE, 300), qx, qy).item()
            for sx, sy, qx, qy in tensors(batch)
        ]
        return sum(losses) / len(losses)

    slope = sum(float((grads[name] * along[name]).sum()) for name in grads)
    assert slope == pytest.approx((value(1e-4) - value(-1e-4)) / 2e-4, rel=1e-6)


def test_a_strong_pull_to_theta_leaves_phi_at_theta():
    """λ → ∞: nothing adapts, and the meta-gradient is the query gradient at θ."""
    model, batch = network(), problem()
    learner = mt.IMAML(model, inner_lr=1e-7, inner_steps=5, strength=1e6)
    theta = dict(model.named_parameters())
    losses = [mse_of(model)(theta, qx, qy) for _, _, qx, qy in tensors(batch)]
    grads = learner.meta_gradient(batch)[1]
    assert distance(numbers(grads), slopes_of(sum(losses) / 3, theta)) < 1e-4


def test_the_residual_of_conjugate_gradients_falls_to_rounding_in_as_many_steps_as_unknowns():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    matrix = torch.tensor(root @ root.T + np.eye(6))
    target = {"a": torch.tensor(rng.normal(size=4)), "b": torch.tensor(rng.normal(size=2))}
    product = lambda v: dict(zip("ab", (matrix @ flat(v)).split([4, 2]), strict=True))
    results = [conjugate_gradient(product, target, steps) for steps in range(12)]
    exact = torch.linalg.solve(matrix, flat(target))
    # the error in the norm of the matrix cannot grow; the residual itself is what was promised
    away = [flat(x) - exact for x, _ in results]
    energy = [float(a @ matrix @ a) for a in away]
    assert all(
        after <= before + 1e-20 for before, after in zip(energy[:-1], energy[1:], strict=True)
    )
    for x, residual in results:
        true = (flat(target) - matrix @ flat(x)).norm()
        assert float(residual) == pytest.approx(float(true), abs=1e-11)
    assert float(results[6][1]) < 1e-9 and np.isfinite(float(results[11][1]))


def test_conjugate_gradients_stop_where_the_matrix_is_not_positive_definite():
    matrix = torch.diag(torch.tensor([1.0, 3.0, -2.0], dtype=torch.float64))
    target = {"a": torch.ones(3, dtype=torch.float64)}
    x, _ = conjugate_gradient(lambda v: {"a": matrix @ v["a"]}, target, 20)
    far = conjugate_gradient(lambda v: {"a": matrix @ v["a"]}, target, 40)[0]
    assert torch.isfinite(x["a"]).all() and torch.equal(x["a"], far["a"])
    solved = conjugate_gradient(lambda v: v, target, 5)  # nothing is left to do at the start
    assert torch.equal(solved[0]["a"], target["a"]) and float(solved[1]) == 0.0


@pytest.mark.parametrize("options", [
    {"strength": 0.0}, {"strength": -1.0}, {"strength": "2"}, {"strength": float("inf")},
    {"cg_steps": -1}, {"cg_steps": 2.0}, {"cg_steps": True},
])  # fmt: skip
def test_imaml_refuses_what_makes_no_sense(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        mt.IMAML(network(), **options)


@pytest.mark.parametrize("frozen", ["features.norm1", "features.conv1"])
def test_mamlpp_goes_on_where_something_is_frozen_later(frozen):
    """Of a batch norm that is frozen, each step still has its own."""
    model = mt.Conv4(3, filters=4, size=8).double()
    learner = mt.MAMLpp(model, inner_steps=2)
    with torch.no_grad():
        model.features.norm1.weight.mul_(torch.tensor([[1.0], [2.0]]))
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(6) % 3, (2, 1))
    x = rng.normal(size=(2, 6, 1, 8, 8))
    before = learner.meta_gradient((x, y, x, y))
    model.get_submodule(frozen).requires_grad_(False)
    value, grads = learner.meta_gradient((x, y, x, y))
    assert not any(name.startswith(frozen) for name in grads)
    if frozen == "features.norm1":  # it does not adapt in any case
        torch.testing.assert_close(value, before[0])
        torch.testing.assert_close(grads["head.weight"], before[1]["head.weight"])
    learner.adapt(x[0], y[0])
    assert learner.adapted(x[0], y[0])(torch.as_tensor(x[1])).shape == (6, 3)


# ------------------------------------------------------------------ models that vmap cannot run


class InNumpy(nn.Module):
    """Scales its input by a number that NumPy works out, which vmap and torch.func refuse."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(1, 8), nn.Linear(8, 1)

    def forward(self, x):
        scale = float(np.abs(x.detach().numpy()).max())
        return self.head(torch.tanh(self.body(x / scale)))


class InTorch(InNumpy):
    def forward(self, x):
        return self.head(torch.tanh(self.body(x / x.abs().max())))


@pytest.mark.parametrize("kind", [mt.FOMAML, mt.Reptile, mt.IMAML, mt.FineTuning, mt.MetaSGD])
def test_a_forward_pass_in_numpy_gives_what_one_in_torch_gives(kind):
    theirs, ours = InNumpy().double(), InTorch().double()
    ours.load_state_dict(theirs.state_dict())
    batch = Sinusoids().sample(np.random.default_rng(0), tasks=3)
    value, grads = kind(theirs).meta_gradient(batch)
    expected, slopes = kind(ours).meta_gradient(batch)
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    for name, slope in slopes.items():
        torch.testing.assert_close(grads[name], slope, rtol=1e-9, atol=1e-12)
