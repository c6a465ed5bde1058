"""Evaluation: scores per inner step on new tasks, with intervals."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.pytorch import evaluation
from maml_edu.tasks import Sinusoids, TaskBatch


def learner(**options):
    torch.manual_seed(0)
    return mt.MAML(mt.MLP(1, 6, 1).double(), **{"inner_lr": 0.02, "inner_steps": 2, **options})


class Quadrants:
    """Two-class tasks in the plane: on which side of a line through 0 is a point?"""

    def sample(self, rng, tasks=25):
        x = rng.normal(size=(tasks, 20, 2))
        normal = rng.normal(size=(tasks, 1, 2))
        y = ((x * normal).sum(-1) > 0).astype(int)  # (tasks, 20)
        return TaskBatch(x[:, :10], y[:, :10], x[:, 10:], y[:, 10:])


def test_there_is_a_score_for_each_episode_before_and_after_each_step():
    result = mt.evaluate(learner(), Sinusoids(5), episodes=230, steps=4)
    assert result.values.shape == (230, 5) and len(result) == 230
    assert result.mean.shape == result.ci95.shape == (5,)
    assert mt.evaluate(learner(), Sinusoids(5), episodes=3).values.shape == (3, 3)
    assert mt.evaluate(learner(), Sinusoids(5), episodes=3, steps=0).values.shape == (3, 1)


def test_scores_are_the_query_losses_of_the_reference():
    subject = learner()
    params = {"w1": subject.model[0].weight, "b1": subject.model[0].bias,
              "w2": subject.model[2].weight, "b2": subject.model[2].bias}  # fmt: skip
    params = {k: v.detach().numpy().T for k, v in params.items()}
    result = mt.evaluate(subject, Sinusoids(5), episodes=4, steps=3, seed=8)
    batch = Sinusoids(5).sample(np.random.default_rng(8), evaluation.CHUNK).part(0, 4)
    expected = [
        [ref.mse(ref.adapt(ref.mse, params, sx, sy, 0.02, k), qx, qy) for k in range(4)]
        for sx, sy, qx, qy in batch
    ]
    np.testing.assert_allclose(result.values, expected, rtol=1e-12)
    assert result.metric == "mse"


@pytest.mark.parametrize("fewer, more", [(2, 3), (40, 100), (100, 230), (130, 230)])
def test_a_shorter_evaluation_is_the_beginning_of_a_longer_one(fewer, more):
    short, long = (mt.evaluate(learner(), Sinusoids(5), n, steps=1) for n in (fewer, more))
    np.testing.assert_allclose(short.values, long.values[:fewer], rtol=1e-12)


def test_a_family_that_has_no_more_tasks_than_are_wanted_is_evaluated_on_these():
    few = Sinusoids(5).sample(np.random.default_rng(0), 20)

    class Fixed:
        def sample(self, rng, tasks):
            return few.part(0, tasks)

    assert len(mt.evaluate(learner(), Fixed(), episodes=20)) == 20
    with pytest.raises(ValueError, match="tasks 0 … 21"):
        mt.evaluate(learner(), Fixed(), episodes=21)


def test_two_learners_are_compared_task_by_task():
    ours, theirs = learner(inner_lr=0.02), learner(inner_lr=0.01)
    a, b = (mt.evaluate(subject, Sinusoids(5), 30, steps=2) for subject in (ours, theirs))
    difference = a - b
    assert difference.metric == "difference of mse" and len(difference) == 30
    np.testing.assert_allclose(difference.values, a.values - b.values)
    assert difference.ci95[2] < 0.5 * np.hypot(a.ci95[2], b.ci95[2])
    others = [{"seed": 2}, {"episodes": 29}, {"steps": 1}, {"metric": "loss"}]
    for change in others:
        arguments = {"episodes": 30, "steps": 2, "seed": 1} | change
        with pytest.raises(ValueError, match="cannot be compared task by task"):
            a - mt.evaluate(theirs, Sinusoids(5), **arguments)


def test_class_labels_are_scored_by_accuracy():
    torch.manual_seed(0)
    subject = mt.MAML(mt.MLP(2, 16, 2), loss=F.cross_entropy, inner_lr=0.5, inner_steps=3)
    result = mt.evaluate(subject, Quadrants(), episodes=50, steps=20)
    assert result.metric == "accuracy"
    assert set(np.unique(result.values * 10).round(9)) <= set(range(11))  # ten queries a task
    assert result.mean[0] < 0.65 and result.mean[-1] > 0.75


def test_a_loss_of_one_s_own_is_scored_by_itself():
    result = mt.evaluate(learner(loss=F.l1_loss), Sinusoids(5), episodes=3)
    assert result.metric == "loss" and (result.values > 0).all()


def test_the_same_seed_gives_the_same_scores_and_nothing_is_changed():
    subject = learner()
    before = subject.detached()
    first, again, other = (
        mt.evaluate(subject, Sinusoids(5), episodes=5, seed=seed).values for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert all(torch.equal(before[k], v) for k, v in subject.params.items())


def test_training_tasks_and_evaluation_tasks_are_not_the_same_by_default():
    """meta_train draws from seed 0, evaluate from seed 1."""
    seen = []

    class Recording(Sinusoids):
        def sample(self, rng, tasks=25):
            seen.append(super().sample(rng, tasks))
            return seen[-1]

    subject = learner()
    mt.meta_train(subject, Recording(5), 1, meta_batch=4, progress=False)
    mt.evaluate(subject, Recording(5), episodes=4)
    assert not np.isin(seen[0].support_x, seen[1].support_x).any()


@pytest.mark.parametrize("episodes", [1, 0, -3, 2.5, True, None, "600"])
def test_too_few_episodes_for_an_interval_are_refused(episodes):
    with pytest.raises(
        ValueError, match=r"episodes must be a whole number ≥ 2 \(for an interval\)"
    ):
        mt.evaluate(learner(), Sinusoids(5), episodes=episodes)


@pytest.mark.parametrize("steps", [-1, 1.5])
def test_steps_that_make_no_sense_are_refused(steps):
    with pytest.raises(ValueError, match="inner_steps must be a whole number"):
        mt.evaluate(learner(), Sinusoids(5), episodes=2, steps=steps)


def test_more_steps_than_there_are_rates_are_refused_with_what_is_needed():
    subject = learner(inner_lr=np.array([0.02, 0.01]))
    assert len(mt.evaluate(subject, Sinusoids(5), episodes=2).mean) == 3
    with pytest.raises(ValueError, match="nor 5 inner steps"):
        mt.evaluate(subject, Sinusoids(5), episodes=2, steps=5)


def test_dropout_is_off_while_a_model_is_evaluated_and_on_again_after():
    model = torch.nn.Sequential(mt.MLP(1, 8, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    learner = mt.MAML(model)
    first, second = (mt.evaluate(learner, Sinusoids(5), episodes=4) for _ in range(2))
    assert np.array_equal(first.values, second.values) and model.training


@pytest.mark.parametrize(
    "learner, tasks", [(None, Sinusoids(5)), (mt.MAML(mt.MLP(1, 1)), Sinusoids)]
)
def test_what_cannot_be_evaluated_is_refused(learner, tasks):
    with pytest.raises(ValueError, match="must"):
        mt.evaluate(learner, tasks)


# ------------------------------------------------------------------ one query at a time


class Images:
    """Three-way tasks of small random images, whose brightness is the class."""

    def sample(self, rng, tasks=25):
        y = np.tile(np.arange(3), (tasks, 3))  # (tasks, 9)
        x = rng.normal(size=(tasks, 9, 1, 4, 4)) + y[..., None, None, None] * 0.5
        return TaskBatch(x[:, :3], y[:, :3], x[:, 3:], y[:, 3:])


def normalised(kind=mt.MAML, **options):
    torch.manual_seed(0)
    body = (torch.nn.Conv2d(1, 4, 3), mt.BatchNorm(4), torch.nn.ReLU(), torch.nn.Flatten())
    model = torch.nn.Sequential(*body, torch.nn.Linear(16, 3)).double()
    return kind(model, F.cross_entropy, 0.5, 2, **options)


@pytest.mark.parametrize("kind", [mt.MAML, mt.MAMLpp, mt.ANIL])
def test_one_query_at_a_time_is_each_query_alone_with_the_support_set(kind):
    subject, batch = normalised(kind), Images().sample(np.random.default_rng(1), 4)
    result = mt.evaluate(subject, Images(), 4, seed=1, transductive=False)
    for task, (sx, sy, qx, qy) in enumerate(batch):
        right = []
        for x, y in zip(qx, qy, strict=True):
            both = np.concatenate([sx, x[None]])
            outputs = subject.predictions(sx, torch.as_tensor(sy), torch.as_tensor(both), 2)
            right.append([int(output[-1].argmax()) == y for output in outputs])
        np.testing.assert_allclose(result.values[task], np.mean(right, axis=0))


def test_with_batch_norm_a_query_gains_from_the_others_and_without_it_does_not():
    together, alone = (
        mt.evaluate(normalised(), Images(), 30, seed=1, transductive=how) for how in (True, False)
    )
    assert not np.array_equal(together.values, alone.values)
    plain = mt.MAML(mt.MLP(2, 6, 2).double(), F.cross_entropy, 0.1, 2)
    both = [mt.evaluate(plain, Quadrants(), 30, transductive=how).values for how in (True, False)]
    np.testing.assert_allclose(*both)


def test_a_prototypical_network_can_be_asked_one_query_at_a_time():
    subject = mt.ProtoNet(normalised().model[:-1])
    together, alone = (
        mt.evaluate(subject, Images(), 20, transductive=how).mean[0] for how in (True, False)
    )
    assert 1 / 3 < alone <= 1 and 1 / 3 < together <= 1


def test_regression_scores_are_the_same_one_query_at_a_time():
    both = [
        mt.evaluate(learner(), Sinusoids(5), 10, transductive=how).values for how in (True, False)
    ]
    np.testing.assert_allclose(*both, rtol=1e-12)


def test_a_bar_shows_how_far_the_evaluation_is(capsys):
    mt.evaluate(learner(), Sinusoids(5), 10)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("kind", [mt.MAML, mt.MAMLpp])
@pytest.mark.parametrize("together", [True, False])
def test_one_task_after_the_other_gives_the_scores_of_all_tasks_at_once(
    kind, together, monkeypatch
):
    subject = normalised(kind)
    found = mt.evaluate(subject, Images(), 7, transductive=together)
    monkeypatch.setattr(evaluation, "_convolves", lambda learner: False)
    assert np.array_equal(
        found.values, mt.evaluate(subject, Images(), 7, transductive=together).values
    )


def test_a_second_evaluation_of_the_same_learner_needs_no_rehearsal(monkeypatch):
    learner = mt.MAML(nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)))
    alone = []
    one_by_one = evaluation._Scoring._one_by_one
    monkeypatch.setattr(
        evaluation._Scoring, "_one_by_one", lambda *a: alone.append(1) or one_by_one(*a)
    )
    first = mt.evaluate(learner, Sinusoids(), 4)
    assert len(alone) == 1
    second = mt.evaluate(learner, Sinusoids(), 4)
    assert len(alone) == 1 and np.array_equal(first.values, second.values)
    learner.model[1] = nn.ReLU()
    mt.evaluate(learner, Sinusoids(), 4)
    assert len(alone) == 2
