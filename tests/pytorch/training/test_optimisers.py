"""The outer optimiser, its rate and its clipping: what is asked for is what happens."""

import math

import numpy as np
import pytest
import torch
from small_runs import fresh, quiet, same, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import optimisers
from maml_edu.pytorch.training.optimisers import OPTIMISERS, make_schedule
from maml_edu.tasks import Sinusoids


def trained(iterations=5, **options):
    learner = fresh()
    learner.model.double()
    mt.meta_train(learner, Sinusoids(5), iterations, **options, **quiet)
    return theta(learner)


def by_hand(step):
    """θ after five steps of step(θ, gradient, iteration) on the same tasks."""
    learner, rng = fresh(), np.random.default_rng(0)
    learner.model.double()
    for iteration in range(5):
        _, grads = learner.meta_gradient(Sinusoids(5).sample(rng, 4))
        with torch.no_grad():
            for name, value in learner.params.items():
                value += step(name, grads, iteration)
    return theta(learner)


def close(a, b, rtol=1e-12):
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=rtol, atol=1e-15)


NAMED = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


def test_every_name_is_tested():
    assert NAMED.keys() == OPTIMISERS.keys()


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_the_optimiser_of_torch_of_that_name(name):
    kind, options = NAMED[name]
    own = trained(optimiser=lambda params: kind(params, lr=1e-3, **options))
    close(trained(optimiser=name), own)
    assert not same(own, theta(fresh()))


def test_a_class_gets_the_rate_and_a_function_its_own():
    by_class = trained(optimiser=torch.optim.SGD, meta_lr=0.1)
    by_function = trained(optimiser=lambda params: torch.optim.SGD(params, lr=0.1), meta_lr=7.0)
    assert same(by_class, by_function)
    close(by_class, by_hand(lambda name, grads, _: -0.1 * grads[name]))


def test_learned_rates_are_given_to_the_optimiser_too():
    given = []

    def make(params):
        given.extend(params)
        return torch.optim.SGD(params, lr=0.1)

    learner = fresh(learn_inner_lr=True)
    before = theta(learner)
    mt.meta_train(learner, Sinusoids(5), 1, optimiser=make, **quiet)
    assert [id(p) for p in given] == [id(p) for p in learner.meta_params.values()]
    assert not torch.equal(theta(learner)["inner_lr"], before["inner_lr"])


@pytest.mark.parametrize("wrong", ["adamm", 3, None, torch.nn.Linear, lambda params: 3,
                                   torch.optim.SGD([torch.zeros(1)], 0.1)])  # fmt: skip
def test_what_is_no_optimiser_is_refused_with_what_there_is(wrong):
    with pytest.raises(
        (ValueError, TypeError), match="optimiser must be one of adam, adamw|Linear"
    ):
        trained(optimiser=wrong)


# ------------------------------------------------------------------ the rate


def test_a_cosine_goes_from_one_to_its_last_factor():
    falling = make_schedule("cosine", 10)
    assert falling(0) == 1 and falling(5) == pytest.approx(0.5) and falling(10) == pytest.approx(0)
    last = make_schedule(("cosine", 0.01), 10)
    assert last(0) == 1 and last(10) == pytest.approx(0.01)
    assert last(5) == pytest.approx((1 + 0.01) / 2)


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        ("constant", lambda i: 1),
        (None, lambda i: 1),
        ("cosine", lambda i: (1 + math.cos(math.pi * i / 5)) / 2),
        (lambda i: 1 / (1 + i), lambda i: 1 / (1 + i)),
    ],
)
def test_each_step_has_the_rate_of_its_iteration(schedule, factor):
    got = trained(optimiser="sgd", meta_lr=0.1, schedule=schedule)
    close(got, by_hand(lambda name, grads, i: -0.1 * factor(i) * grads[name]))


def test_every_group_of_an_optimiser_keeps_its_own_rate_under_a_schedule():
    def two_groups(params):
        return torch.optim.SGD([{"params": params[:2]}, {"params": params[2:], "lr": 0.5}], lr=0.1)

    rates = {"0.weight": 0.1, "0.bias": 0.1, "2.weight": 0.5, "2.bias": 0.5}
    got = trained(optimiser=two_groups, schedule="cosine")
    cosine = lambda i: (1 + math.cos(math.pi * i / 5)) / 2
    close(got, by_hand(lambda name, grads, i: -rates[name] * cosine(i) * grads[name]))


def test_a_rate_that_is_a_tensor_is_changed_in_place():
    rate = torch.tensor(0.1)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate, foreach=False)
    rates = optimisers.Rates(optimiser, lambda i: 0.5)
    rates.set(3)
    assert optimiser.param_groups[0]["lr"] is rate and rate == pytest.approx(0.05)


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf"), None, "half"])
def test_a_factor_that_is_no_use_is_an_error_that_names_the_iteration(factor):
    with pytest.raises(ValueError, match="schedule gave the factor") as caught:
        trained(schedule=lambda i: factor if i == 2 else 1.0)
    assert "iteration 3" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "wrong", ["linear", 0.5, ("cosine", 2.0), ("cosine",), ("cosine", "x"), ("a", 1)]
)
def test_what_is_no_schedule_is_refused(wrong):
    with pytest.raises(ValueError, match="schedule must be"):
        trained(schedule=wrong)


# ------------------------------------------------------------------ clipping


def test_a_number_clips_the_norm_of_all_gradients_together():
    norms = []

    def clipped(name, grads, _):
        norm = math.sqrt(sum(float((g * g).sum()) for g in grads.values()))
        norms.append(norm)
        return -0.1 * grads[name] * min(1.0, 2.0 / (norm + 1e-6))

    expected = by_hand(clipped)
    assert max(norms) > 2.0, "something is clipped"
    close(trained(optimiser="sgd", meta_lr=0.1, clip=2.0), expected)
    assert not same(
        trained(optimiser="sgd", meta_lr=0.1, clip=2.0), trained(optimiser="sgd", meta_lr=0.1)
    )


def test_value_clips_each_element():
    expected = by_hand(lambda name, grads, _: -0.1 * grads[name].clamp(-0.2, 0.2))
    close(trained(optimiser="sgd", meta_lr=0.1, clip=("value", 0.2)), expected)


@pytest.mark.parametrize(
    "wrong", [0, -1, "big", True, float("inf"), ("value", 0), ("elements", 1), (1, 2, 3)]
)
def test_what_cannot_clip_is_refused(wrong):
    with pytest.raises(ValueError, match="clip must be"):
        trained(clip=wrong)
