"""Reptile and implicit MAML in native code: the numbers of the plain way, and who is left to it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch import rules
from maml_edu.tasks import Sinusoids, TaskBatch

pytest.importorskip("numba")

LEARNERS = {
    "reptile": lambda model, **options: mt.Reptile(model, inner_lr=0.05, inner_steps=3, **options),
    "reptile on both sets": lambda model, **options: mt.Reptile(
        model, inner_lr=0.05, inner_steps=2, data="support+query", **options
    ),
    "implicit": lambda model, **options: mt.IMAML(
        model, inner_lr=0.05, inner_steps=4, strength=2.0, cg_steps=3, **options
    ),
    "implicit, at theta": lambda model, **options: mt.IMAML(model, inner_steps=0, **options),
    "implicit, a weak penalty": lambda model, **options: mt.IMAML(
        model, inner_lr=0.01, strength=0.01, cg_steps=8, **options
    ),
}


def batch_of(inputs, outputs, tasks=3, classes=False, shots=5, queries=7):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(tasks, n, inputs)) for n in (shots, queries)]
    if classes:
        y = [rng.integers(0, outputs, size=(tasks, n)) for n in (shots, queries)]
    else:
        y = [rng.normal(size=(tasks, n, outputs)) for n in (shots, queries)]
    return TaskBatch(x[0], y[0], x[1], y[1])


def perceptron(*widths, bias=True, dtype=torch.float64):
    torch.manual_seed(1)
    layers = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def distance(learner, other, batch):
    """The largest relative distance of two learners' results on a batch, each from all of its numbers."""
    (value, grads), (expected, like) = learner.meta_gradient(batch), other.meta_gradient(batch)
    assert grads.keys() == like.keys()
    a, b = (torch.cat([g.reshape(-1) for g in found.values()]) for found in (grads, like))
    return max(abs(float(value / expected) - 1), float((a - b).norm() / b.norm()))


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("widths", [(2, 1), (3, 20, 2), (1, 9, 17, 4, 3)])
def test_native_code_has_the_numbers_of_the_plain_way(make, bias, widths):
    model, batch = perceptron(*widths, bias=bias), batch_of(widths[0], widths[-1])
    learner = make(model)
    assert distance(learner, make(model, engine="plain"), batch) < 1e-9
    assert learner.ran == "native" and learner.explain(batch).engine == "native"


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
def test_so_has_it_for_classes_and_for_a_single_task(make):
    model, batch = perceptron(4, 8, 3), batch_of(4, 3, tasks=1, classes=True)
    learner = make(model, loss=F.cross_entropy)
    plain = make(model, loss=F.cross_entropy, engine=("textbook",))
    assert distance(learner, plain, batch) < 1e-9
    assert (learner.ran, plain.ran) == ("native", "textbook")


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
@pytest.mark.parametrize("frozen", ["0.weight", "0.bias", "2.weight"])
def test_what_is_frozen_is_no_part_of_it(make, frozen):
    model, batch = perceptron(2, 6, 1), batch_of(2, 1)
    learner, plain = make(model), make(model, engine="plain")
    learner.meta_gradient(batch)
    dict(model.named_parameters())[frozen].requires_grad_(False)
    assert distance(learner, plain, batch) < 1e-9 and learner.ran == "native"
    assert frozen not in learner.meta_gradient(batch)[1]


def test_float32_is_as_exact_as_the_plain_way():
    batch = batch_of(1, 1, tasks=25)
    for make in (LEARNERS["reptile"], LEARNERS["implicit"]):
        model = perceptron(1, 12, 1, dtype=torch.float32)
        learner = make(model)
        assert distance(learner, make(model, engine="plain"), batch) < 1e-4
        assert learner.ran == "native"


def test_a_support_loss_of_its_own_is_used():
    model, numbers, classes = perceptron(2, 6, 3), batch_of(2, 3), batch_of(2, 3, classes=True)
    batch = TaskBatch(*numbers.arrays[:2], *classes.arrays[2:])
    options = {"loss": F.cross_entropy, "inner_loss": F.mse_loss, "inner_lr": 0.05}
    learner = mt.IMAML(model, **options)
    assert distance(learner, mt.IMAML(model, engine="plain", **options), batch) < 1e-9
    assert learner.ran == "native"
    learner = mt.IMAML(model, inner_loss=F.l1_loss, inner_lr=0.05)
    learner.meta_gradient(numbers)
    assert learner.ran == "plain"
    assert "mse_loss or cross_entropy" in learner.explain(numbers).reasons["native"]


def test_the_implicit_gradient_of_a_quadratic_is_the_closed_form():
    model, batch = perceptron(2, 1), batch_of(2, 1, tasks=1)
    learner = mt.IMAML(model, inner_lr=0.1, inner_steps=400, cg_steps=6, strength=0.7)
    _, grads = learner.meta_gradient(batch)
    assert learner.ran == "native"
    ones = lambda x: np.concatenate([x[0], np.ones((len(x[0]), 1))], 1)
    A, Q = ones(batch.support_x), ones(batch.query_x)  # (examples, 3)
    H, b = 2 * A.T @ A / len(A), 2 * A.T @ batch.support_y[0, :, 0] / len(A)
    theta = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy()
    phi = np.linalg.solve(H + 0.7 * np.eye(3), b + 0.7 * theta)
    slope = 2 * Q.T @ (Q @ phi - batch.query_y[0, :, 0]) / len(Q)
    expected = np.linalg.solve(np.eye(3) + H / 0.7, slope)
    assert np.allclose(torch.cat([g.reshape(-1) for g in grads.values()]), expected, rtol=1e-9)


@pytest.mark.parametrize("loss", [F.mse_loss, F.cross_entropy])
def test_joint_training_is_native_with_the_numbers_of_the_plain_way(loss):
    classes = loss is F.cross_entropy
    model, batch = perceptron(2, 6, 3), batch_of(2, 3, classes=classes)
    learner, plain = (mt.FineTuning(model, loss, shared_labels=classes) for _ in range(2))
    plain.engine = "plain"
    assert distance(learner, plain, batch) < 1e-9
    assert (learner.ran, plain.ran) == ("native", "plain")


def test_joint_training_of_episode_labels_is_refused_whatever_the_engine():
    model, batch = perceptron(2, 6, 3), batch_of(2, 3, classes=True)
    with pytest.raises(ValueError, match="cannot be learned jointly"):
        mt.FineTuning(model, F.cross_entropy).meta_gradient(batch)


def test_changed_settings_are_seen_at_once():
    model, batch = perceptron(1, 8, 1), batch_of(1, 1)
    learner, plain = (LEARNERS["implicit"](model, engine=e) for e in ("auto", "plain"))
    for change in ({"strength": 5.0}, {"cg_steps": 1}, {"inner_steps": 2}, {"inner_lr": 0.01}):
        for each in (learner, plain):
            vars(each).update(change)
        assert distance(learner, plain, batch) < 1e-9 and learner.ran == "native"


def test_tasks_of_unequal_size_are_the_mean_over_groups():
    model, batch = perceptron(1, 8, 1), batch_of(1, 1)
    mask = np.ones((3, 5), bool)
    mask[1, 3:] = False
    ragged = TaskBatch(*batch.arrays, support_mask=mask)
    for make in (LEARNERS["reptile"], LEARNERS["implicit"]):
        assert distance(make(model), make(model, engine="plain"), ragged) < 1e-9


def test_labels_beyond_the_outputs_are_left_to_torch():
    model, batch = perceptron(2, 4, 3), batch_of(2, 3, classes=True)
    batch.query_y[1, 0] = 3
    with pytest.raises((IndexError, RuntimeError)):
        mt.Reptile(model, F.cross_entropy).meta_gradient(batch)
    batch.query_y[1, 0] = -100  # which torch's loss ignores
    learner = mt.Reptile(model, F.cross_entropy)
    plain = mt.Reptile(model, F.cross_entropy, engine="textbook")
    assert distance(learner, plain, batch) < 1e-9 and learner.ran != "native"


def test_other_models_and_subclasses_with_rules_of_their_own_are_left_to_the_plain_way():
    batch = batch_of(2, 1)
    tanh = mt.Reptile(nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double())
    tanh.meta_gradient(batch)
    assert tanh.ran == "plain"

    class Halved(mt.Reptile):
        def one_task(self, derivatives, theta, task, loop):
            value, grads = super().one_task(derivatives, theta, task, loop)
            return value, {name: slope / 2 for name, slope in grads.items()}

    model = perceptron(2, 4, 1)
    halved, reptile = Halved(model), mt.Reptile(model)
    half, whole = halved.meta_gradient(batch)[1], reptile.meta_gradient(batch)[1]
    assert halved.ran == "plain" and torch.allclose(2 * half["0.weight"], whole["0.weight"])
    assert "numbers differ" in halved.explain(batch).reasons["native"]


def test_an_engine_that_has_no_form_for_it_is_refused():
    learner = mt.Reptile(perceptron(1, 4, 1), engine="lean")
    with pytest.raises(ValueError, match="no engine of those asked for has a form for Reptile"):
        learner.meta_gradient(batch_of(1, 1))
    assert rules.ENGINES == ("native", "plain", "textbook")


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
def test_training_in_native_code_goes_the_plain_ways_way(make):
    tasks, trained = Sinusoids(shots=5, queries=4), []
    for engine in ("auto", "plain"):
        learner = make(perceptron(1, 9, 1), engine=engine)
        history = mt.meta_train(learner, tasks, iterations=12, meta_batch=4, meta_lr=1e-2)
        trained.append((history.loss, learner.detached()))
    (losses, theta), (plain_losses, plain) = trained
    assert np.allclose(losses, plain_losses, rtol=1e-7)
    assert all(torch.allclose(theta[name], plain[name], rtol=1e-6) for name in theta)


def test_nan_is_seen_and_not_stopped_before():
    model, batch = perceptron(1, 8, 1), batch_of(1, 1)
    batch.support_x[0] = np.nan
    for make in (LEARNERS["reptile"], LEARNERS["implicit, at theta"]):  # the latter by CG alone
        learner = make(model)
        _, grads = learner.meta_gradient(batch)
        assert learner.ran == "native"
        assert not all(torch.isfinite(slope).all() for slope in grads.values())


def test_conjugate_gradients_may_go_on_after_nothing_is_left():
    model, batch = perceptron(3, 1), batch_of(3, 1, shots=6)
    few, many = (
        mt.IMAML(model, strength=2.0, cg_steps=steps, engine="plain").meta_gradient(batch)[1]
        for steps in (6, 300)
    )
    assert torch.allclose(few["0.weight"], many["0.weight"], rtol=1e-9)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.below, self.last = nn.Linear(2, 4), nn.Linear(4, 3)

    def forward(self, x):
        below = lambda x: torch.tanh(self.below(x))
        return self.last(torch.utils.checkpoint.checkpoint(below, x, use_reentrant=False))


@pytest.mark.parametrize("kind", [mt.MAML, mt.Reptile, mt.IMAML, mt.ProtoMAML])
def test_checkpointed_models_are_refused_wherever_an_inner_loop_runs(kind):
    batch = batch_of(2, 3, classes=True)
    ways = {
        "meta_gradient": lambda learner: learner.meta_gradient(batch),
        "meta_loss": lambda learner: learner.meta_loss(batch),
        "adapt": lambda learner: learner.adapt(batch.support_x[0], batch.support_y[0]),
        "evaluate": lambda learner: mt.evaluate(learner, Blocks(batch), 3),
    }
    for way, act in ways.items():
        with pytest.raises(ValueError, match="computes parts of itself again"):
            act(kind(Checkpointed().double(), F.cross_entropy))
            pytest.fail(way)


class Blocks:
    def __init__(self, batch):
        self.batch = batch

    def sample(self, rng, tasks=25):
        return self.batch.part(0, tasks)


def test_draws_outside_of_torch_are_made_for_each_task_by_itself():
    calls = []

    class Drawing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x):
            calls.append(np.random.random())
            return self.layer(x) * (1 + calls[-1])

    learner = mt.Reptile(Drawing().double())
    learner.meta_gradient(batch_of(1, 1))
    calls.clear()
    learner.meta_gradient(batch_of(1, 1, tasks=3))
    assert learner.ran == "textbook" and len(set(calls)) >= 3


def test_nothing_is_left_in_a_model_that_keeps_what_it_computes():
    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(1, 1), None

        def forward(self, x):
            self.last = self.layer(x)
            return self.last

    learner = mt.Reptile(Keeping().double())
    learner.meta_gradient(batch_of(1, 1))
    assert learner.model.last is None


def test_what_vmap_cannot_do_is_tried_once_and_told():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x):
            return self.layer(x) if float(x.sum()) > -1e9 else x

    learner, batch = mt.Reptile(Branches().double()), batch_of(1, 1)
    learner.meta_gradient(batch)
    explanation = learner.explain(batch)
    assert learner.ran == explanation.engine == "textbook"
    assert "RuntimeError" in explanation.reasons["plain"]
