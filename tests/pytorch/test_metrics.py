"""What `evaluate` scores: the metric that is asked for, accuracy where that makes sense, else a question."""

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import TaskBatch


class Fixed:
    """The same few tasks, over and over."""

    def __init__(self, *arrays):
        self.batch = TaskBatch(*arrays)

    def sample(self, rng, tasks):
        chosen = np.arange(tasks) % len(self.batch)
        return self.batch.map(lambda array: array[chosen])


def x_of(n, seed=0):
    return np.random.default_rng(seed).normal(size=(2, n, 4))


def labels(n, ways):
    return np.tile(np.arange(n) % ways, (2, 1))


def learner_of(outputs, loss, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, outputs)).double()
    return mt.MAML(model, loss, 0.5, 2, **options)


def by_hand(learner, tasks, score):
    """score(output, y) after the last step, for each task of the batch."""
    scores = []
    for support_x, support_y, query_x, query_y in tasks.batch:
        phi = learner.adapt(support_x, support_y)
        scores.append(float(score(learner.predict(phi, query_x), torch.as_tensor(query_y))))
    return scores


SHARE = lambda out, y: ((out[:, 0] > 0) == (y > 0)).double().mean()
SHIFTED_BCE = lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], y.to(out.dtype))


def test_scores_that_are_no_numbers_are_wrong_whatever_the_label():
    class RunAway(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x):
            return self.layer(x).double() * torch.nan

    y = np.zeros((2, 5), dtype=int)
    tasks = Fixed(x_of(5), labels(5, 2), x_of(5), y)
    learner = mt.MAML(RunAway().double(), F.cross_entropy, inner_steps=0)
    assert not mt.evaluate(learner, tasks, 2, 0).values.any()


@pytest.mark.parametrize("outputs, loss, y", [
    (1, SHIFTED_BCE, labels(5, 2)),  # one logit
    (1, lambda out, y: F.mse_loss(out, y[:, None].to(out.dtype)), labels(5, 7)),  # whole numbers
    (3, lambda out, y: F.mse_loss(out, y.to(out.dtype)), np.zeros((2, 5, 3), int)),  # several a row
    (3, lambda out, y: F.cross_entropy(out, y.long()), labels(5, 2) > 0),  # yes or no
    (3, lambda out, y: F.cross_entropy(out, y % 3), labels(5, 7)),  # beyond the scores
])  # fmt: skip
def test_what_is_no_class_number_is_not_scored_by_accuracy_unless_somebody_says_how(
    outputs, loss, y
):
    learner, tasks = learner_of(outputs, loss), Fixed(x_of(5), y, x_of(5, 1), y)
    with pytest.raises(ValueError, match="accuracy makes no sense here.*metric=f"):
        mt.evaluate(learner, tasks, 4)
    result = mt.evaluate(learner, tasks, 4, metric="loss")
    assert result.metric == "loss"
    assert result.values[:2, -1] == pytest.approx(by_hand(learner, tasks, loss))


def test_a_metric_of_ones_own_for_the_task_or_for_each_example():
    learner = learner_of(1, SHIFTED_BCE)
    tasks = Fixed(x_of(6), labels(6, 2), x_of(8, 1), labels(8, 2))
    each = lambda out, y: ((out[:, 0] > 0) == (y > 0)).numpy()
    for metric in (SHARE, each, lambda out, y: float(SHARE(out, y))):
        result = mt.evaluate(learner, tasks, 2, metric=metric)
        assert result.values[:, -1] == pytest.approx(by_hand(learner, tasks, SHARE))


@pytest.mark.parametrize("answer", [None, torch.zeros(3), {"f1": 1.0}, torch.zeros(8, 8)])
def test_a_metric_that_returns_something_else_is_told_what_is_expected(answer):
    learner = learner_of(1, SHIFTED_BCE)
    tasks = Fixed(x_of(6), labels(6, 2), x_of(8, 1), labels(8, 2))
    with pytest.raises(ValueError, match="one number for the task, or one for each of its 8"):
        mt.evaluate(learner, tasks, 2, metric=lambda out, y: answer)


@pytest.mark.parametrize("loss, ignored", [
    (F.cross_entropy, -100),
    (nn.CrossEntropyLoss(ignore_index=0), 0),
    (functools.partial(F.cross_entropy, ignore_index=0), 0),
    (lambda out, y: F.cross_entropy(out, y, ignore_index=0), 0),
])  # fmt: skip
def test_labels_that_the_loss_ignores_do_not_count(loss, ignored):
    y = labels(9, 3)
    y[0, 4:] = ignored
    learner, tasks = learner_of(3, loss), Fixed(x_of(9), labels(9, 3), x_of(9, 1), y)

    def share(out, y):
        real = y != ignored
        return (out.argmax(1) == y)[real].double().mean()

    result = mt.evaluate(learner, tasks, 2)
    assert result.metric == "accuracy"
    assert result.values[:, -1] == pytest.approx(by_hand(learner, tasks, share))


def test_a_task_of_which_no_label_counts_is_refused():
    y = labels(6, 3)
    y[1] = -100
    learner, tasks = learner_of(3, F.cross_entropy), Fixed(x_of(6), labels(6, 3), x_of(6, 1), y)
    with pytest.raises(ValueError, match="every label of a task is to be ignored"):
        mt.evaluate(learner, tasks, 2)


def test_labels_for_each_place_are_scored_along_the_class_axis():
    torch.manual_seed(0)
    model = nn.Conv1d(2, 3, 3, padding=1).double()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 2, 7)), rng.integers(0, 3, (2, 5, 7))
    learner, tasks = mt.MAML(model, F.cross_entropy, 0.1), Fixed(x, y, x, y)
    share = lambda out, y: (out.argmax(1) == y).double().mean()
    result = mt.evaluate(learner, tasks, 2)
    assert result.values[:, -1] == pytest.approx(by_hand(learner, tasks, share))
    own = mt.MAML(model, lambda out, y: F.cross_entropy(out, y), 0.1)
    with pytest.raises(ValueError, match="which axis counts classes is not known"):
        mt.evaluate(own, tasks, 2)


class Two(nn.Module):
    """An output of two parts."""

    def __init__(self, kind):
        super().__init__()
        self.body, self.kind = nn.Linear(4, 3).double(), kind

    def forward(self, x):
        out = self.body(x)
        return (out, out.mean()) if self.kind is tuple else {"scores": out, "none": None}


@pytest.mark.parametrize("kind, part", [(tuple, 0), (dict, "scores")])
@pytest.mark.parametrize("transductive", [True, False])
def test_outputs_of_several_parts_reach_the_metric_as_they_are(kind, part, transductive):
    loss = lambda out, y: F.cross_entropy(out[part], y)
    learner = mt.MAML(Two(kind), loss, 0.1)
    tasks = Fixed(x_of(6), labels(6, 3), x_of(6, 1), labels(6, 3))
    with pytest.raises(ValueError, match="the model's output is a"):
        mt.evaluate(learner, tasks, 2)
    if kind is tuple and not transductive:
        return  # a mean over examples has no example to ask about
    share = lambda out, y: (out[part].argmax(1) == y).double().mean()
    result = mt.evaluate(learner, tasks, 2, metric=share, transductive=transductive)
    assert result.values[:, -1] == pytest.approx(by_hand(learner, tasks, share))


def test_padding_does_not_count():
    rng = np.random.default_rng(0)
    alone = [
        tuple(a for n in sizes for a in (rng.normal(size=(n, 4)), np.arange(n) % 3))
        for sizes in ((4, 5), (6, 8), (4, 5))
    ]
    learner = learner_of(3, F.cross_entropy)

    class Unequal:
        def sample(self, rng, tasks):
            return TaskBatch.padded(alone[:tasks])

    result = mt.evaluate(learner, Unequal(), 3)
    for task, score in zip(alone, result.values[:, -1], strict=True):
        phi = learner.adapt(*task[:2])
        right = learner.predict(phi, task[2]).argmax(1) == torch.as_tensor(task[3])
        assert score == pytest.approx(float(right.double().mean()))


def test_two_columns_that_are_no_class_scores_are_asked_about():
    """A mean and a log variance, and whole numbers that happen to be 0 and 1."""
    gaussian = lambda out, y: F.gaussian_nll_loss(out[:, 0], y.to(out.dtype), out[:, 1].exp())
    tasks = Fixed(x_of(6), labels(6, 2), x_of(6, 1), labels(6, 2))
    with pytest.raises(ValueError, match="its columns are not alike"):
        mt.evaluate(learner_of(2, gaussian), tasks, 2)
    smooth = lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)
    assert mt.evaluate(learner_of(2, smooth), tasks, 2).metric == "accuracy"
    weighted = lambda out, y: F.cross_entropy(out, y, torch.tensor([1.0, 3.0]).double())
    assert mt.evaluate(learner_of(2, weighted), tasks, 2, metric="accuracy").metric == "accuracy"


def test_an_unknown_metric_is_refused():
    learner = learner_of(3, F.cross_entropy)
    tasks = Fixed(x_of(6), labels(6, 3), x_of(6, 1), labels(6, 3))
    with pytest.raises(ValueError, match="metric must be one of accuracy, mse, loss"):
        mt.evaluate(learner, tasks, 2, metric="f1")
