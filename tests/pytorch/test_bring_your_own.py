"""What a researcher brings: models, losses and batches of their own, and what is said of each."""

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import TaskBatch


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def labels(n, ways=3, tasks=3):
    return np.tile(np.arange(n) % ways, (tasks, 1))


def batch_of(*shape, tasks=3):
    """Three tasks of three classes, four examples to learn from and six to be judged on."""
    x, q = numbers(tasks, 4, *shape), numbers(tasks, 6, *shape, seed=1)
    return TaskBatch(x, labels(4, tasks=tasks), q, labels(6, tasks=tasks))


def perceptron(*between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), *between, nn.Tanh(), nn.Linear(6, 3)).double()


# ------------------------------------------------------------------ φ as a module


def test_an_adapted_module_is_used_saved_and_loaded_without_this_library(tmp_path):
    learner, batch = mt.MAML(perceptron(nn.Dropout(0.5)), F.cross_entropy, 0.5, 3), batch_of(4)
    support_x, support_y, query_x, _ = next(iter(batch))
    module = learner.adapted(support_x, support_y)
    expected = learner.predict(learner.adapt(support_x, support_y), query_x)
    torch.testing.assert_close(module(torch.as_tensor(query_x)), expected)
    torch.save(module, tmp_path / "module.pt")
    torch.save((torch.as_tensor(query_x), expected), tmp_path / "both.pt")
    code = (
        "import sys, torch; sys.modules['maml_edu'] = None\n"
        f"x, y = torch.load(r'{tmp_path / 'both.pt'}')\n"
        f"module = torch.load(r'{tmp_path / 'module.pt'}', weights_only=False)\n"
        "assert torch.allclose(module(x), y, rtol=1e-12)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_learner_keeps_theta_when_a_module_is_adapted_and_trained():
    learner, batch = mt.MAML(perceptron(), F.cross_entropy, 0.5), batch_of(4)
    before = {n: p.clone() for n, p in learner.params.items()}
    module = learner.adapted(*next(iter(batch))[:2])
    module(torch.zeros(2, 4, dtype=torch.float64)).sum().backward()
    torch.optim.SGD(module.parameters(), lr=1.0).step()
    torch.testing.assert_close(dict(learner.params), before)


def test_steps_of_batch_norms_end_as_the_last_ones_in_an_adapted_module():
    model = mt.Conv4(3, filters=4, size=8)
    learner, batch = mt.MAMLpp(model, inner_steps=2), batch_of(1, 8, 8)
    module = learner.adapted(*next(iter(batch))[:2])
    assert {p.ndim for n, p in module.named_parameters() if "norm" in n} == {1}
    assert module(torch.zeros(5, 1, 8, 8)).shape == (5, 3)


# ------------------------------------------------------------------ modes


def test_nothing_is_dropped_in_adapt_and_predict_and_every_mode_is_put_back():
    model = perceptron(nn.Dropout(0.5), nn.Dropout(0.5))
    model[1].eval()
    learner, batch = mt.MAML(model, F.cross_entropy, 0.5, 2), batch_of(4)
    support_x, support_y, query_x, _ = next(iter(batch))
    outputs = [learner.predict(learner.adapt(support_x, support_y), query_x) for _ in range(2)]
    assert torch.equal(*outputs)

    class Family:
        def sample(self, rng, tasks):
            return batch.part(0, tasks)

    mt.evaluate(learner, Family(), 2)
    assert [m.training for m in model] == [True, False, True, True, True]


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, mt.BatchNorm])
def test_one_example_by_itself_is_warned_of_with_what_to_do(norm):
    learner, batch = mt.MAML(perceptron(norm(6)), F.cross_entropy, 0.5), batch_of(4)
    support_x, support_y, query_x, _ = next(iter(batch))
    phi = learner.adapt(support_x, support_y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner.predict(phi, query_x)
        learner.predict(phi, query_x[:1], beside=support_x)
    if norm is mt.BatchNorm:
        with pytest.warns(UserWarning, match="one example at a time.*beside=support_x"):
            learner.predict(phi, query_x[:1])
    else:
        with pytest.raises(ValueError, match="one example at a time.*beside=support_x"):
            learner.predict(phi, query_x[:1])


def test_running_statistics_that_were_never_written_are_refused_in_use():
    learner = mt.MAML(perceptron(nn.BatchNorm1d(6)), F.cross_entropy, 0.5)
    learner.model.eval()
    with pytest.raises(ValueError, match="running statistics were never written"):
        learner.adapt(numbers(4, 4), labels(4)[0])
    learner.model.train()
    learner.adapt(numbers(4, 4), labels(4)[0])
    assert int(learner.model[1].num_batches_tracked) == 0


# ------------------------------------------------------------------ engines


class Lists(nn.Module):
    """Asks for a number of the data, and keeps what it sees."""

    def __init__(self):
        super().__init__()
        self.layer, self.map, self.seen = nn.Linear(4, 3).double(), None, []

    def forward(self, x):
        self.map = torch.tanh(self.layer(x / x.abs().max().item()))
        self.seen.append(self.map)
        return self.map


def test_explain_says_which_engine_runs_and_why_the_others_do_not():
    learner, batch = mt.MAML(Lists(), F.cross_entropy, 0.5), batch_of(4)
    explanation = learner.explain(batch)
    learner.meta_gradient(batch)
    assert explanation.engine == learner.ran == "textbook"
    assert "item" in explanation.reasons["lean"] and "Linear" in explanation.reasons["native"]
    assert "textbook  runs" in str(explanation).splitlines()
    assert "convolutions" in explanation.reasons["conv"]
    assert "compile" in explanation.reasons["compiled"]
    learner.engine = "textbook"
    assert "not asked for" in learner.explain(batch).reasons["conv"]


@pytest.mark.parametrize("engine", ["auto", "textbook"])
def test_what_a_forward_pass_keeps_is_not_left_behind(engine):
    learner, batch = mt.MAML(Lists(), F.cross_entropy, 0.5, engine=engine), batch_of(4)
    learner.meta_gradient(batch)
    assert learner.model.map is None and learner.model.seen == []
    copy.deepcopy(learner.model)


def test_what_is_kept_stays_after_a_prediction():
    learner = mt.MAML(Lists(), F.cross_entropy, 0.5)
    learner.predict(learner.detached(), numbers(5, 4))
    assert learner.model.map.shape == (5, 3)


# ------------------------------------------------------------------ batches


def test_a_tuple_of_four_arrays_is_a_batch():
    learner, batch = mt.MAML(perceptron(), F.cross_entropy, 0.5), batch_of(4)
    mine, theirs = learner.meta_gradient(batch.arrays), learner.meta_gradient(batch)
    torch.testing.assert_close(mine, theirs)


def test_tasks_of_unequal_size_have_the_mean_of_their_own_gradients():
    learner = mt.MAML(perceptron(nn.BatchNorm1d(6)), F.cross_entropy, 0.5, 2)
    sizes = [(4, 5), (6, 3), (4, 5), (3, 7)]
    tasks = [
        tuple(a for n in pair for a in (numbers(n, 4, seed=i), np.arange(n) % 3))
        for i, pair in enumerate(sizes)
    ]
    value, grads = learner.meta_gradient(TaskBatch.padded(tasks))
    alone = [learner.meta_gradient(tuple(a[None] for a in task)) for task in tasks]
    assert float(value) == pytest.approx(np.mean([float(v) for v, _ in alone]))
    for name, slope in grads.items():
        torch.testing.assert_close(slope, sum(g[name] for _, g in alone) / 4)
    functional = mt.meta_gradient(
        learner.task_loss, learner.params, TaskBatch.padded(tasks), 0.5, 2
    )
    torch.testing.assert_close(functional[1], grads)


def test_bytes_are_not_taken_for_real_numbers():
    learner = mt.MAML(perceptron(), F.cross_entropy, 0.5)
    x = np.zeros((3, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="support_x is uint8.*/ 255"):
        learner.meta_gradient((x, labels(4), x, labels(4)))


# ------------------------------------------------------------------ arguments


class Temperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.log = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, out, y):
        return F.cross_entropy(out * self.log.exp(), y)


TEMPERATURE = Temperature()


@pytest.mark.parametrize("name", ["loss", "inner_loss"])
@pytest.mark.parametrize("wrapped", [
    lambda loss: loss, lambda loss: loss.forward, lambda loss: lambda out, y: loss(out, y),
])  # fmt: skip
def test_a_loss_with_parameters_of_its_own_is_refused(name, wrapped):
    with pytest.raises(ValueError, match=f"{name} has parameters of its own .log."):
        mt.MAML(perceptron(), **{"loss": F.cross_entropy, name: wrapped(Temperature())})
    frozen = Temperature().requires_grad_(False)
    mt.MAML(perceptron(), **{"loss": F.cross_entropy, name: wrapped(frozen)}).meta_gradient(
        batch_of(4)
    )


def test_a_parameter_that_cannot_be_seen_is_found_when_the_loss_depends_on_it():
    learner = mt.MAML(perceptron(), lambda out, y: TEMPERATURE(out, y))
    with pytest.raises(ValueError, match="they would never be trained"):
        learner.meta_gradient(batch_of(4))


def test_a_number_names_a_module_and_not_what_begins_alike():
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(12)))
    assert mt.MAML(model, adapting="1").adapting == ["1.weight", "1.bias"]
    assert mt.MAML(model, adapting=("1.bias", "11.")).adapting == [
        "1.bias", "11.weight", "11.bias"]  # fmt: skip
    assert len(mt.MAML(model, adapting="1*.bias").adapting) == 3
    with pytest.raises(ValueError, match="adapting names '13'"):
        mt.MAML(model, adapting="13")


def test_a_rate_that_nothing_would_train_is_refused():
    rate = torch.tensor(0.1, requires_grad=True)
    for rates in (rate, {n: rate for n, _ in perceptron().named_parameters()}):
        with pytest.raises(ValueError, match="learn_inner_lr=True"):
            mt.MAML(perceptron(), inner_lr=rates)


@pytest.mark.parametrize("make", [
    lambda: mt.MAML(perceptron(), inner_optimizer="adam"),
    lambda: mt.FOMAML(perceptron(), inner_optimizer="adam"),
    lambda: mt.meta_train(mt.MAML(perceptron()), None, 1, optimizer="adam"),
])  # fmt: skip
def test_another_spelling_is_answered_with_the_right_one(make):
    with pytest.raises(TypeError, match="has no argument .*optimizer=: write .*optimiser="):
        make()


class HeadFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(6, 3), nn.Linear(4, 6)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


class HeadLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.out = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(torch.tanh(self.body(x)))


class Undecided(HeadLast):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else self.body(x)[:, :3]


@pytest.mark.parametrize("kind", [mt.ANIL, mt.BOIL])
def test_the_head_is_named_and_never_guessed(kind):
    assert kind(HeadLast()).head == ["out.weight", "out.bias"] and "out.bias" in repr(
        kind(HeadLast())
    )
    assert kind(perceptron()).head == ["2.weight", "2.bias"]
    for model in (HeadFirst(), Undecided()):
        with pytest.raises(ValueError, match="which layer is the head would be a guess"):
            kind(model)
    assert kind(HeadFirst(), head="head").head == ["head.weight", "head.bias"]


# ------------------------------------------------------------------ where a caller may be, and what a model may do


def test_learners_adapt_in_inference_mode_as_anywhere_else():
    learner, batch = mt.MAML(perceptron(), F.cross_entropy, 0.5, 2), batch_of(4)
    support_x, support_y, *_ = next(iter(batch))
    expected = learner.adapt(support_x, support_y)
    with torch.inference_mode():
        torch.testing.assert_close(learner.adapt(support_x, support_y), expected)
        value = learner.meta_loss(batch)
        theta = {n: p.clone() for n, p in learner.detached().items()}
    assert float(value) == pytest.approx(float(learner.meta_loss(batch)), rel=1e-12)
    assert not torch.allclose(expected["0.weight"], theta["0.weight"])


class Scaling(nn.Module):
    """Changes its input in place."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3).double()

    def forward(self, x):
        return self.layer(x.div_(255))


def test_a_model_that_changes_its_input_in_place_finds_it_as_it_was():
    learner, batch = mt.MAML(Scaling(), F.cross_entropy, 50.0, 3), batch_of(4)
    before = batch.map(np.copy)
    support_x, support_y, query_x, _ = next(iter(batch))
    phi = learner.adapt(support_x, support_y)
    learner.meta_gradient(batch)
    learner.predict(phi, query_x)
    for mine, theirs in zip(batch.arrays, before.arrays, strict=True):
        assert np.array_equal(mine, theirs)

    class Plain(Scaling):
        def forward(self, x):
            return self.layer(x / 255)

    plain = Plain()
    plain.load_state_dict(learner.model.state_dict())
    other = mt.MAML(plain, F.cross_entropy, 50.0, 3)
    torch.testing.assert_close(phi, other.adapt(support_x, support_y))
    torch.testing.assert_close(learner.meta_gradient(batch), other.meta_gradient(batch))


def test_shared_weights_are_adapted_in_each_of_their_places():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4, bias=False).double(), nn.Linear(4, 4).double()
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(torch.tanh(self.a(x)))

    learner, batch = mt.MAML(Tied(), F.cross_entropy, 0.5, 2), batch_of(4)
    support_x, support_y, query_x, _ = next(iter(batch))
    module = learner.adapted(support_x, support_y)
    expected = learner.predict(learner.adapt(support_x, support_y), query_x)
    torch.testing.assert_close(module(torch.as_tensor(query_x)), expected)
    assert module.a.weight is module.b.weight


@pytest.mark.parametrize("loss", [
    lambda out, y: (out.argmax(1) != y).double().mean(),
    lambda out, y: torch.tensor(float(F.cross_entropy(out, y))),
    lambda out, y: F.cross_entropy(out.detach(), y),
])  # fmt: skip
@pytest.mark.parametrize("kind", [mt.MAML, mt.Reptile])
def test_a_loss_that_nothing_could_be_learned_from_is_refused(kind, loss):
    with pytest.raises(ValueError, match="does not depend on the parameters"):
        kind(perceptron(), loss, 0.1).meta_gradient(batch_of(4))


def test_a_class_in_the_place_of_a_loss_is_refused():
    with pytest.raises(ValueError, match="loss must be a function"):
        mt.MAML(perceptron(), nn.CrossEntropyLoss)
