"""What a callback freezes stays as it is from the next step on, and what it unfreezes is trained."""

import functools
import warnings

import numpy as np
import pytest
import ranks
import torch
from ranks import numbers, together
from small_runs import fresh, quiet, same, theta
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import loop as training
from maml_edu.pytorch.training.captured import CapturedStepper
from maml_edu.pytorch.training.stepper import PlainStepper
from maml_edu.tasks import Sinusoids

FREEZES, THAWS, END = 3, 6, 9  # after these iterations


def learner(**options):
    torch.manual_seed(0)
    return mt.MAML(mt.MLP(1, 8, 1).double(), **{"inner_lr": 0.05, **options})


def freeze_and_thaw(iteration, history, learner):
    if iteration in (FREEZES, THAWS):
        learner.model[0].requires_grad_(iteration == THAWS)


def everything(learner):
    return {name: p.detach().clone() for name, p in learner.model.named_parameters()}


OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": functools.partial(torch.optim.AdamW, weight_decay=0.1),
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
}


@functools.cache
def by_hand(optimiser, clip):
    """The parameters after each iteration of a plain loop that leaves the frozen ones alone."""
    trained, rng, after = learner(engine="plain"), np.random.default_rng(0), []
    optimise = OPTIMISERS[optimiser](trained.model.parameters(), lr=0.01)
    for iteration in range(1, END + 1):
        _, grads = trained.meta_gradient(Sinusoids(5).sample(rng, 4))
        for name, parameter in trained.model.named_parameters():
            parameter.grad = grads.get(name)
        if clip:
            moving = [p for p in trained.model.parameters() if p.requires_grad]
            nn.utils.clip_grad_norm_(moving, clip)
        optimise.step()
        freeze_and_thaw(iteration, None, trained)
        after.append(everything(trained))
    return after


STEPPERS = {
    "chosen": training.stepper_for,
    "plain": PlainStepper,
    "captured": lambda *arguments: CapturedStepper(*arguments, capture=False),
}
WAYS = [
    ("chosen", "auto"),
    *(("plain", e) for e in ("plain", "lean", "closed", "threads", "textbook")),
]


@pytest.mark.parametrize(("stepper", "engine"), [*WAYS, ("captured", "lean")])
@pytest.mark.parametrize(
    ("optimiser", "clip"), [("adam", None), ("adam", 0.05), ("adamw", None), ("momentum", None)]
)
def test_every_stepper_and_engine_heeds_it_from_the_next_step_on(
    stepper, engine, optimiser, clip, monkeypatch
):
    # the tasks that NumPy draws, for captured steps as well
    family = type("Waves", (Sinusoids,), {"draws_ahead": stepper != "captured"})(5)
    monkeypatch.setattr(training, "stepper_for", STEPPERS[stepper])
    expected, after = by_hand(optimiser, clip), []

    def look(iteration, history, trained):
        freeze_and_thaw(iteration, history, trained)
        after.append(everything(trained))

    rule = (
        optimiser if optimiser == "adam" else lambda params: OPTIMISERS[optimiser](params, lr=0.01)
    )
    if stepper == "captured" and optimiser == "momentum":
        rule = "momentum"  # fused, as captured steps want it
    options = {"optimiser": rule, "clip": clip, "meta_lr": 0.01, "callbacks": look}
    history = mt.meta_train(learner(engine=engine), family, END, **options, **quiet)
    assert engine in ("auto", history.engine)
    rtol = 1e-6 if stepper == "captured" else 1e-9  # whose rates are in float32
    for ours, theirs in zip(after, expected, strict=True):
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=rtol, atol=1e-3 * rtol)
    assert torch.equal(after[THAWS - 1]["0.weight"], after[FREEZES - 1]["0.weight"])
    assert not torch.equal(after[THAWS]["0.weight"], after[THAWS - 1]["0.weight"])


def test_a_model_that_comes_frozen_can_be_thawed():
    net = learner()
    net.model[0].requires_grad_(False)
    begin = everything(net)
    mt.meta_train(net, Sinusoids(5), END, callbacks=[(THAWS, freeze_and_thaw)], **quiet)
    half = learner()
    half.model[0].requires_grad_(False)
    mt.meta_train(half, Sinusoids(5), THAWS, **quiet)
    assert torch.equal(everything(half)["0.weight"], begin["0.weight"])
    assert not torch.equal(everything(net)["0.weight"], begin["0.weight"])


def test_learned_rates_of_what_is_frozen_wait_with_it():
    rates = []
    look = lambda iteration, history, trained: rates.append(
        trained.inner_lr["0.weight"].detach().clone()
    )
    sgd = mt.MetaSGD(learner().model, engine="plain")
    mt.meta_train(sgd, Sinusoids(5), END, callbacks=[freeze_and_thaw, look], **quiet)
    assert torch.equal(rates[THAWS - 1], rates[FREEZES - 1])
    assert not torch.equal(rates[THAWS], rates[THAWS - 1])


def test_what_rank_0_freezes_is_frozen_on_all_ranks():
    answers = together(2, ranks.training, END, {"callbacks": [freeze_and_thaw]})
    alone = ranks.in_double()
    mt.meta_train(
        alone, Sinusoids(5), END, **{**quiet, "meta_batch": 5, "callbacks": freeze_and_thaw}
    )
    for _, end in answers:
        for name, value in numbers(theta(alone)).items():
            np.testing.assert_allclose(end[name], value, rtol=1e-10)


# ------------------------------------------------------------------ and checkpoints


@pytest.mark.parametrize("stop", [4, 7])
def test_a_run_that_froze_something_goes_on_to_the_same_end(stop, tmp_path):
    options = {"callbacks": freeze_and_thaw, **quiet}
    whole, resumed = learner(), learner()
    expected = mt.meta_train(whole, Sinusoids(5), END, **options)
    mt.meta_train(learner(), Sinusoids(5), stop, checkpoint=tmp_path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = mt.meta_train(resumed, Sinusoids(5), END, checkpoint=tmp_path, **options)
    assert history.loss == expected.loss and same(everything(resumed), everything(whole))


def test_what_is_frozen_between_two_calls_is_heeded_and_said(tmp_path):
    mt.meta_train(learner(), Sinusoids(5), 3, checkpoint=tmp_path, **quiet)
    second = learner()
    second.model[0].requires_grad_(False)
    with pytest.warns(UserWarning, match=r"with nothing frozen \(now 0.weight, 0.bias\)"):
        mt.meta_train(second, Sinusoids(5), 5, checkpoint=tmp_path, **quiet)
    saved = torch.load(tmp_path / "checkpoint.previous.pt")["learner"]["model"]
    assert torch.equal(second.model[0].weight, saved["0.weight"])
    assert not torch.equal(second.model[2].weight, saved["2.weight"])


@pytest.mark.parametrize("stepper", ["plain", "captured"])
def test_a_checkpoint_whose_optimiser_was_given_no_frozen_parameters_goes_on(
    stepper, monkeypatch, tmp_path
):
    def frozen():
        net = learner(engine="lean")
        net.model[0].weight.requires_grad_(False)
        return net

    family = type("Waves", (Sinusoids,), {"draws_ahead": stepper != "captured"})(5)
    monkeypatch.setattr(training, "stepper_for", STEPPERS[stepper])
    whole, resumed = frozen(), frozen()
    expected = mt.meta_train(whole, family, 6, **quiet)
    mt.meta_train(frozen(), family, 3, checkpoint=tmp_path, **quiet)
    state = torch.load(tmp_path / "checkpoint.pt")
    optimiser = state["stepper"]["optimiser"]
    trained = [1, 2, 3]  # 0: the frozen one
    optimiser["state"] = {new: optimiser["state"][old] for new, old in enumerate(trained)}
    optimiser["param_groups"][0]["params"] = [0, 1, 2]
    del state["frozen"]
    torch.save(state, tmp_path / "checkpoint.pt")
    history = mt.meta_train(resumed, family, 6, checkpoint=tmp_path, **quiet)
    assert history.loss == expected.loss and same(everything(resumed), everything(whole))


# ------------------------------------------------------------------ other tensors in the same place


def test_a_parameter_that_is_replaced_is_trained_from_then_on():
    def swap(iteration, history, net):
        if iteration == FREEZES:
            net.model[0].weight = nn.Parameter(net.model[0].weight.detach().clone())

    expected, swapped = learner(engine="plain"), learner(engine="plain")
    mt.meta_train(expected, Sinusoids(5), END, **quiet)
    mt.meta_train(swapped, Sinusoids(5), END, callbacks=swap, **quiet)
    assert same(theta(swapped), theta(expected))


def test_parameters_of_other_names_or_shapes_are_refused():
    def widen(iteration, history, net):
        net.model[2] = nn.Linear(8, 1, bias=False)

    with pytest.raises(ValueError, match="others, by their names or shapes") as caught:
        mt.meta_train(fresh(), Sinusoids(5), 4, callbacks=widen, **quiet)
    assert "iteration 2" in caught.value.__notes__[0]


def test_unfreezing_what_has_no_rate_says_so():
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    model[0].weight.requires_grad_(False)
    learner = mt.MetaSGD(model)
    batch = Sinusoids().sample(np.random.default_rng(0), tasks=2)
    learner.meta_gradient(batch)
    model[0].weight.requires_grad_(True)
    with pytest.raises(ValueError, match="inner_lr has no rate for 0.weight.*no longer frozen"):
        learner.meta_gradient(batch)
