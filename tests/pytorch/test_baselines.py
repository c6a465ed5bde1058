"""ProtoNet, nearest centroid and fine-tuning; and the interface that they share with the family."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import distance, random_batch, tensors
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.baselines import NearestAngle
from maml_edu.tasks import Sinusoids, TaskBatch


class Blobs:
    """Classification in the plane: each class a cloud around a centre of its own."""

    def __init__(self, ways=3, shots=2, queries=4, spread=0.3):
        self.ways, self.shots, self.queries, self.spread = ways, shots, queries, spread

    def sample(self, rng, tasks=25):
        y = np.arange(self.ways).repeat(self.shots + self.queries)  # class by class
        centres = rng.normal(size=(tasks, self.ways, 2))
        x = centres[:, y] + self.spread * rng.normal(size=(tasks, len(y), 2))
        first = np.tile(np.arange(self.shots + self.queries) < self.shots, self.ways)
        y = np.tile(y, (tasks, 1))
        return TaskBatch(x[:, first], y[:, first], x[:, ~first], y[:, ~first])


def embedding():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def prototypes_by_hand(embed, support_x, support_y, query_x):
    """−‖f(x) − c_k‖² with a loop over the classes."""
    keys, queries = embed(support_x), embed(query_x)
    columns = []
    for label in sorted(set(support_y.tolist())):
        centre = keys[support_y == label].mean(0)
        columns.append(-((queries - centre) ** 2).sum(1))
    return torch.stack(columns, dim=1)


# ------------------------------------------------------------------ ProtoNet


@pytest.mark.parametrize("shots", [1, 3])
def test_protonet_s_logits_are_squared_distances_to_class_means(shots):
    learner = mt.ProtoNet(embedding())
    batch = Blobs(shots=shots).sample(np.random.default_rng(0), 1)
    sx, sy, qx, _ = next(tensors(batch))
    outputs = learner.predictions(sx, sy, qx, 2)
    expected = prototypes_by_hand(learner.model, sx, sy, qx).detach()
    assert len(outputs) == 3
    for output in outputs:
        torch.testing.assert_close(output[:, :3], expected, rtol=1e-12, atol=1e-12)
        assert output.shape == (len(qx), len(sx)) and (output[:, 3:] == -torch.inf).all()


def test_protonet_s_gradient_is_that_of_a_plain_loop():
    learner, batch = mt.ProtoNet(embedding()), Blobs().sample(np.random.default_rng(0), 4)
    value, grads = learner.meta_gradient(batch)
    theta = dict(learner.model.named_parameters())
    losses = [
        F.cross_entropy(prototypes_by_hand(learner.model, sx, sy, qx), qy)
        for sx, sy, qx, qy in tensors(batch)
    ]
    total = sum(losses) / 4
    slopes = torch.autograd.grad(total, list(theta.values()))
    expected = {name: slope.numpy() for name, slope in zip(theta, slopes, strict=True)}
    assert float(value) == pytest.approx(float(total.detach()), rel=1e-12)
    assert distance({name: slope.numpy() for name, slope in grads.items()}, expected) < 1e-11
    assert float(learner.meta_loss(batch)) == pytest.approx(float(value), rel=1e-12)


def test_the_order_of_examples_and_the_numbers_of_classes_do_not_matter():
    learner = mt.ProtoNet(embedding())
    batch = Blobs(ways=3, shots=2).sample(np.random.default_rng(0), 1)
    sx, sy, qx, qy = next(tensors(batch))
    order = torch.tensor([4, 0, 3, 5, 1, 2])
    renamed = torch.tensor([2, 0, 1])
    first = learner.logits(learner.detached(), sx, sy, qx)
    other = learner.logits(learner.detached(), sx[order], renamed[sy[order]], qx)
    torch.testing.assert_close(first[:, :3], other[:, renamed], rtol=1e-12, atol=1e-12)


def test_support_and_query_are_normalised_together():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), mt.BatchNorm(4)).double()
    sx, sy, qx, _ = next(tensors(Blobs().sample(np.random.default_rng(0), 1)))
    both = model(torch.cat([sx, qx]))
    half = iter([both[: len(sx)], both[len(sx) :]])
    expected = prototypes_by_hand(lambda x: next(half), sx, sy, qx)
    logits = mt.ProtoNet(model).predictions(sx, sy, qx, 0)[0]
    torch.testing.assert_close(logits[:, :3], expected.detach(), rtol=1e-10, atol=1e-10)


def test_protonet_takes_feature_maps_and_a_conv4_without_a_head():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    batch = TaskBatch(
        rng.normal(size=(2, 4, 1, 8, 8)), np.tile([0, 1], (2, 2)),
        rng.normal(size=(2, 6, 1, 8, 8)), np.tile([0, 1], (2, 3)),
    )  # fmt: skip
    for model in (mt.Conv4(None, filters=3, size=8), nn.Conv2d(1, 2, 3)):
        value, grads = mt.ProtoNet(model).meta_gradient(batch)
        assert value > 0 and grads.keys() == dict(model.named_parameters()).keys()


def test_regression_is_refused_by_name():
    learner = mt.ProtoNet(mt.MLP(1, 4))
    for action in (
        lambda: learner.meta_gradient(Sinusoids(5).sample(np.random.default_rng(0), 2)),
        lambda: mt.evaluate(learner, Sinusoids(5), episodes=2),
        lambda: mt.meta_train(learner, Sinusoids(5), 1, progress=False, device="cpu"),
    ):
        with pytest.raises(ValueError, match=r"a ProtoNet classifies.*For regression: FineTuning"):
            action()


def test_a_class_without_support_is_refused_with_task_and_class():
    batch = Blobs().sample(np.random.default_rng(0), 3)
    batch.support_y[1][batch.support_y[1] == 2] = 0
    with pytest.raises(
        ValueError, match="task 1 of the batch has a query of class 2, but no support"
    ):
        mt.ProtoNet(embedding()).meta_gradient(batch)


def test_a_class_without_support_counts_as_wrong_in_evaluation():
    class Missing(Blobs):
        def sample(self, rng, tasks=25):
            batch = super().sample(rng, tasks)
            batch.support_y[batch.support_y == 2] = 0
            return batch

    result = mt.evaluate(mt.ProtoNet(embedding()), Missing(), episodes=20)
    assert result.values.max() <= 2 / 3 + 1e-9 and result.mean[0] > 0.2


@pytest.mark.parametrize("labels", [[-1, 0, 0, 1, 1, 2], [10, 11, 12, 10, 11, 12]])
def test_labels_that_do_not_count_classes_are_refused(labels):
    batch = Blobs().sample(np.random.default_rng(0), 2)
    batch.support_y[:] = labels
    with pytest.raises(ValueError, match="labels must be 0, 1, … of each task"):
        mt.ProtoNet(embedding()).meta_gradient(batch)


def test_a_protonet_has_nothing_to_adapt():
    with pytest.raises(ValueError, match="a ProtoNet has no inner loop"):
        mt.ProtoNet(embedding()).adapt(np.ones((2, 2)), [0, 1])


def test_an_embedding_that_is_trained_beats_one_that_is_not():
    """Blobs in two of ten coordinates; the others are noise."""

    class Hidden(Blobs):
        def sample(self, rng, tasks=25):
            batch = super().sample(rng, tasks)
            support_x, query_x = (
                np.concatenate([x, 3 * rng.normal(size=(*x.shape[:2], 8))], axis=2)
                for x in (batch.support_x, batch.query_x)
            )
            return TaskBatch(support_x, batch.support_y, query_x, batch.query_y)

    torch.manual_seed(0)
    learner, tasks = mt.ProtoNet(nn.Linear(10, 4)), Hidden()
    raw = mt.evaluate(mt.NearestCentroid(), tasks, episodes=100)
    before = mt.evaluate(learner, tasks, episodes=100, steps=3)
    history = mt.meta_train(learner, tasks, 100, meta_lr=0.03, progress=False, device="cpu")
    after = mt.evaluate(learner, tasks, episodes=100, steps=3)
    assert history.loss[-1] < history.loss[0]
    assert after.metric == "accuracy" and after.values.shape == (100, 4)
    assert after.mean[0] > 0.75 > 0.6 > max(before.mean[0], raw.mean[0])
    assert np.array_equal(after.mean, after.mean[:1].repeat(4))


# ------------------------------------------------------------------ nearest centroid


def test_nearest_centroid_finds_the_nearest_mean_of_the_examples_themselves():
    tasks, learner = Blobs(spread=0.6), mt.NearestCentroid()
    result = mt.evaluate(learner, tasks, episodes=30, seed=5)
    accuracies = []
    for sx, sy, qx, qy in tasks.sample(np.random.default_rng(5), 100).part(0, 30):
        centres = np.stack([sx[sy == label].mean(0) for label in range(3)])
        nearest = ((qx[:, None] - centres) ** 2).sum(2).argmin(1)
        accuracies.append((nearest == qy).mean())
    np.testing.assert_allclose(result.values[:, 0], accuracies, rtol=1e-12)
    assert 0.5 < result.mean[0] < 1.0


def test_training_a_nearest_centroid_changes_its_confidence_and_not_its_answers():
    tasks, learner = Blobs(spread=0.6), mt.NearestCentroid()
    before = mt.evaluate(learner, tasks, episodes=30)
    history = mt.meta_train(learner, tasks, 50, meta_lr=0.05, progress=False, device="cpu")
    assert np.mean(history.loss[-10:]) < np.mean(history.loss[:10])
    assert np.array_equal(before.values, mt.evaluate(learner, tasks, episodes=30).values)


# ------------------------------------------------------------------ fine-tuning


def test_fine_tuning_is_trained_on_the_examples_of_all_tasks_together():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    batch = random_batch(np.random.default_rng(0), inputs=2)
    value, grads = mt.FineTuning(model, inner_lr=0.1, inner_steps=3).meta_gradient(batch)
    x = torch.tensor(np.concatenate([batch.support_x, batch.query_x], 1)).flatten(0, 1)
    y = torch.tensor(np.concatenate([batch.support_y, batch.query_y], 1)).flatten(0, 1)
    loss = F.mse_loss(model(x), y)  # of one heap: every task has as many examples
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    expected = {name: slope.numpy() for name, slope in zip(grads, slopes, strict=True)}
    assert float(value) == pytest.approx(float(loss.detach()), rel=1e-12)
    assert distance({name: slope.numpy() for name, slope in grads.items()}, expected) < 1e-12


def test_fine_tuning_adapts_by_gradient_descent():
    """As a MAML with the same parameters does."""
    model = mt.MLP(1, 6, 1)
    tuned, maml = (make(model, inner_lr=0.05, inner_steps=2) for make in (mt.FineTuning, mt.MAML))
    first, second = (mt.evaluate(each, Sinusoids(5), episodes=5, steps=4) for each in (tuned, maml))
    assert np.array_equal(first.values, second.values)
    head = mt.FineTuning(model, adapting="2.")
    phi = head.adapt(np.ones((3, 1)), np.ones((3, 1)), steps=2)
    assert [n for n in phi if not torch.equal(phi[n], head.params[n])] == ["2.weight", "2.bias"]


def test_joint_training_of_episode_labels_is_refused_unless_they_mean_the_same():
    batch = Blobs().sample(np.random.default_rng(0), 2)
    with pytest.raises(
        ValueError, match="class 0 is a different class in every task: pretrain with ProtoNet"
    ):
        mt.FineTuning(embedding(), F.cross_entropy).meta_gradient(batch)
    shared = mt.FineTuning(embedding(), F.cross_entropy, shared_labels=True)
    value, grads = shared.meta_gradient(batch)
    x = torch.tensor(np.concatenate([batch.support_x, batch.query_x], 1)).flatten(0, 1)
    y = torch.tensor(np.concatenate([batch.support_y, batch.query_y], 1)).flatten()
    expected = F.cross_entropy(shared.model(x), y)
    assert float(value) == pytest.approx(float(expected.detach()), rel=1e-12)


def test_a_body_trained_as_a_protonet_can_be_fine_tuned():
    """The recipe of FineTuning's docstring: the body is shared, the head starts anew."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 16), nn.ReLU()), nn.Linear(16, 3))
    tasks = Blobs(spread=0.1)
    before = {name: p.clone() for name, p in model.named_parameters()}
    mt.meta_train(mt.ProtoNet(model[0]), tasks, 20, meta_lr=0.03, progress=False, device="cpu")
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"0.0.weight", "0.0.bias"}
    learner = mt.FineTuning(model, F.cross_entropy, inner_lr=0.5, adapting="1.")
    result = mt.evaluate(learner, tasks, episodes=30, steps=20)
    assert result.mean[-1] > 0.8 > 0.6 > result.mean[0]


# ------------------------------------------------------------------ one interface for all


def regression():
    torch.manual_seed(0)
    return mt.MLP(1, 12, 12, 1)


def classifier():
    torch.manual_seed(0)
    layers = nn.Linear(2, 12), mt.BatchNorm(12), nn.ReLU(), nn.Linear(12, 3)
    return nn.Sequential(*layers)


# A learner of every kind: model, loss → learner.
FAMILY = {
    "MAML": lambda model, loss: mt.MAML(model, loss, 0.05, 2),
    "learned rate": lambda model, loss: mt.MAML(model, loss, 0.05, 2, learn_inner_lr=True),
    "FOMAML": lambda model, loss: mt.FOMAML(model, loss, 0.05, 2),
    "Reptile": lambda model, loss: mt.Reptile(model, loss, 0.02, 3, data="support+query"),
    "ANIL": lambda model, loss: mt.ANIL(model, loss, 0.05, 2),
    "BOIL": lambda model, loss: mt.BOIL(model, loss, 0.05, 2),
    "MetaSGD": lambda model, loss: mt.MetaSGD(model, loss, 0.05, 2),
    "MAMLpp": lambda model, loss: mt.MAMLpp(
        model, loss, 0.05, 2, multi_step_until=4, first_order_until=2
    ),
    # at strength 2 the way down ends after 30 iterations, in float64 and in every engine alike
    "IMAML": lambda model, loss: mt.IMAML(model, loss, 0.05, 4, strength=10.0),
    "FineTuning": lambda model, loss: mt.FineTuning(model, loss, 0.05, 2, shared_labels=True),
}
CLASSIFIERS = FAMILY | {
    "ProtoNet": lambda model, loss: mt.ProtoNet(model, loss),
    "NearestCentroid": lambda model, loss: mt.NearestCentroid(loss),
}
ALL = [("classes", name) for name in CLASSIFIERS] + [("waves", name) for name in FAMILY]


def make(kind, name):
    """A new learner, and tasks for it."""
    if kind == "waves":
        return FAMILY[name](regression(), F.mse_loss), Sinusoids(5)
    return CLASSIFIERS[name](classifier(), F.cross_entropy), Blobs(spread=0.6)


def train(learner, tasks, iterations, **options):
    options = {"meta_batch": 6, "meta_lr": 0.01, "progress": False, "device": "cpu"} | options
    return mt.meta_train(learner, tasks, iterations, **options)


class Same:
    """One batch of tasks, again and again: its loss falls steadily."""

    def __init__(self, tasks):
        self.tasks = tasks

    def sample(self, rng, tasks=25):
        return self.tasks.sample(np.random.default_rng(7), tasks)


def test_the_family_and_the_baselines_are_public():
    names = {"FOMAML", "Reptile", "ANIL", "BOIL", "MetaSGD", "MAMLpp", "IMAML"}
    assert names | {"ProtoNet", "FineTuning", "NearestCentroid", "Conv4"} <= {*mt.__all__}
    kinds = {type(make("classes", name)[0]).__name__ for name in CLASSIFIERS}
    assert kinds == names | {"MAML", "ProtoNet", "FineTuning", "NearestCentroid"}


@pytest.mark.parametrize("kind, name", ALL)
def test_every_learner_follows_the_interface(kind, name):
    learner, tasks = make(kind, name)
    meta_params = learner.meta_params
    assert all(p.is_leaf and p.requires_grad for p in meta_params.values())
    assert all(meta_params[n] is p for n, p in learner.params.items())
    learner.before_iteration(0, 10)
    value, grads = learner.meta_gradient(tasks.sample(np.random.default_rng(0), 4))
    assert value.ndim == 0 and not value.requires_grad and grads.keys() == meta_params.keys()
    assert all(grads[n].shape == p.shape for n, p in meta_params.items())
    assert not any(slope.requires_grad for slope in grads.values())
    assert all(p.grad is None for p in meta_params.values())
    assert learner.to("cpu") is learner
    assert all(learner.meta_params[n] is p for n, p in meta_params.items())
    assert json.loads(json.dumps(learner.settings())) == learner.settings()
    assert learner.settings()["learner"] == type(learner).__name__


@pytest.mark.parametrize("kind, name", ALL)
def test_every_learner_s_state_makes_another_one_the_same(kind, name):
    learner, tasks = make(kind, name)
    train(learner, tasks, 2)
    state = learner.state_dict()
    other = make(kind, name)[0]
    for p in other.meta_params.values():
        p.data.add_(1.0)
    other.load_state_dict(state)
    for n, p in learner.meta_params.items():
        assert torch.equal(other.meta_params[n], p)
    batch = tasks.sample(np.random.default_rng(0), 4)
    for each in (learner, other):  # which is annealed is a function of the iteration, and no state
        each.before_iteration(5, 10)
    values = [each.meta_loss(batch) for each in (learner, other)]
    assert float(values[0]) == float(values[1])


@pytest.mark.parametrize("kind, name", ALL)
def test_every_learner_trains_and_is_evaluated(kind, name):
    learner, tasks = make(kind, name)
    before = {n: p.detach().clone() for n, p in learner.meta_params.items()}
    history = train(learner, Same(tasks), 40)
    assert np.mean(history.loss[-5:]) < np.mean(history.loss[5:10])  # MAML++ has annealed by then
    assert all(torch.isfinite(p).all() for p in learner.meta_params.values())
    moved = {n for n, p in learner.meta_params.items() if not torch.equal(p, before[n])}
    assert moved >= {n for n in before if "bias" not in n}
    result = mt.evaluate(learner, tasks, episodes=10, steps=1)
    assert result.values.shape == (10, 2) and np.isfinite(result.values).all()
    assert result.metric == ("mse" if kind == "waves" else "accuracy")


@pytest.mark.parametrize("kind, name", ALL)
def test_every_learner_goes_on_from_a_checkpoint_as_if_nothing_had_happened(kind, name, tmp_path):
    whole, tasks = make(kind, name)
    expected = train(whole, tasks, 6)
    first, second = make(kind, name)[0], make(kind, name)[0]
    train(first, tasks, 6, checkpoint=tmp_path, callbacks=[(3, lambda *_: True)])
    assert any(not torch.equal(p, first.meta_params[n]) for n, p in second.meta_params.items())
    history = train(second, tasks, 6, checkpoint=tmp_path)
    assert history.loss == expected.loss
    for n, p in whole.meta_params.items():
        assert torch.equal(second.meta_params[n], p)


def test_maml_plus_plus_trains_by_its_recipe():
    """Falling outer rate, first order at first, all losses at first."""
    learner, tasks = make("classes", "MAMLpp")
    history = train(learner, Same(tasks), 30, schedule=("cosine", 0.01))
    assert len(history) == 30 and history.loss[-1] < history.loss[0]
    assert learner.query_weights is None and learner.first_order is False


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    tasks = Sinusoids(5)
    train(mt.IMAML(regression(), strength=2.0), tasks, 2, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="strength"):
        train(mt.IMAML(regression(), strength=3.0), tasks, 4, checkpoint=tmp_path)


# ------------------------------------------------------------------ nearest angle, nearest neighbour


def test_the_nearest_angle_is_that_of_the_class_mean_whatever_its_length():
    support_x = torch.tensor([[9.0, 0.0], [9.0, 0.2], [0.1, 0.1], [0.1, 0.1]])
    support_y, query_x = torch.tensor([0, 0, 1, 1]), torch.tensor([[1.0, 0.2], [3.0, 2.5]])
    logits = NearestAngle().predictions(support_x, support_y, query_x, 0)[0]
    assert logits.argmax(1).tolist() == [0, 1]
    centres = torch.tensor([[9.0, 0.1], [0.1, 0.1]])
    cosines = F.cosine_similarity(query_x[:, None], centres[None], dim=2)
    torch.testing.assert_close(logits[:, :2], 2 * cosines - 2, rtol=1e-4, atol=1e-5)
    assert torch.isinf(logits[:, 2:]).all()


def test_the_nearest_neighbour_is_found_among_all_support_examples():
    support_x = torch.tensor([[0.0, 0.0], [4.0, 0.0], [1.0, 1.0], [9.0, 9.0]])
    support_y = torch.tensor([0, 0, 1, 1])
    query_x = torch.tensor([[3.5, 0.5], [2.0, 2.0], [8.0, 8.0]])
    logits = mt.NearestNeighbour().predictions(support_x, support_y, query_x, 0)[0]
    assert logits.argmax(1).tolist() == [0, 1, 1]
    torch.testing.assert_close(logits[0, :2], -torch.tensor([0.5, 6.5]))
    assert torch.isinf(logits[:, 2:]).all()


def test_with_one_shot_the_nearest_neighbour_is_the_nearest_centroid():
    x, y = torch.randn(5, 3, 4), torch.arange(5)
    queries = torch.randn(20, 3, 4)
    one, other = (
        kind().predictions(x, y, queries, 0)[0]
        for kind in (mt.NearestNeighbour, mt.NearestCentroid)
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
