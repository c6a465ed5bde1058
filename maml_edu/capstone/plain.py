"""Learners that need no meta-training, in NumPy, and how one is chosen: start with `Choice`.

Nearest neighbours, class means, ridge regression and its kernel and random-feature forms (Rahimi and Recht 2007).
Each is tried with several settings; which one is taken is decided on validation tasks, never on those of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from maml_edu.pytorch.intervals import Evaluation

FOLDS = 5  # parts of a query set, each asked with the others known
POINTS = 3000  # examples that the average predictor is fitted to, at most
FEATURES = 300  # random ones


class Task(NamedTuple):
    """One task: x (examples, features) float64; y (examples, outputs) float64, or class numbers (examples,)."""

    support_x: np.ndarray
    support_y: np.ndarray
    query_x: np.ndarray
    query_y: np.ndarray


@dataclass(frozen=True)
class Scoring:
    """What a prediction is worth. ways: classes; 0 in regression. loss: of one's own; None: mse or accuracy."""

    ways: int = 0
    loss: Callable | None = None

    @property
    def metric(self) -> str:
        if self.loss is not None:
            return getattr(self.loss, "__name__", type(self.loss).__name__)
        return "accuracy" if self.ways else "mse"

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self.metric == "accuracy" and self.loss is None

    def __call__(self, prediction, y) -> float:
        """The score of ONE task."""
        if self.loss is not None:
            return float(self.loss(prediction, y))
        if not self.ways:
            return float(np.mean((prediction - y) ** 2))
        labels = prediction.argmax(1) if prediction.ndim == 2 else prediction
        return float(np.mean(labels == y))

    def of(self, predictions: Iterable, tasks: Sequence[Task], source="") -> Evaluation:
        """Scores (tasks, 1) of predictions for the queries of some tasks."""
        with np.errstate(all="ignore"):
            pairs = zip(predictions, tasks, strict=True)
            values = [[self(prediction, task.query_y)] for prediction, task in pairs]
        return Evaluation(self.metric, np.array(values), source)

    def middle(self, scores: Evaluation, step=-1) -> tuple[float, float, float]:
        """The mean of accuracies, the median of anything else, with its 95 % interval."""
        if scores.metric.endswith("accuracy"):
            mean, half = scores.mean[step], scores.ci95[step]
            return float(mean), float(mean - half), float(mean + half)
        low, high = scores.median_ci95[:, step]
        return float(scores.median[step]), float(low), float(high)

    def gain(self, better: Evaluation, worse: Evaluation) -> tuple[float, float, float]:
        """By how much the first is better, task by task, with its 95 % interval; what is no number is worst."""
        one, other = self.ranked(better), self.ranked(worse)
        with np.errstate(invalid="ignore"):  # two that ran away are equally bad
            difference = one - other if self.rises else other - one
            both = one.values == other.values
        values = np.where(both, 0.0, difference.values)
        return self.middle(Evaluation(difference.metric, values, difference.source))

    def ranked(self, scores: Evaluation) -> Evaluation:
        """The same scores with the worst there is in place of NaN."""
        worst = -np.inf if self.rises else np.inf
        values = np.where(np.isnan(scores.values), worst, scores.values)
        return Evaluation(scores.metric, values, scores.source)


class Choice(NamedTuple):
    """A learner that was chosen, by name, and all that were to choose from: {name: score on validation tasks}."""

    name: str
    learner: Any
    tried: dict[str, float]


def choose(candidates: dict, predict: Callable, tasks: Sequence[Task], scoring: Scoring) -> Choice:
    """The candidate {name: learner} with the best middle score; predict(learner, task) → predictions."""
    tried = {}
    for name, learner in candidates.items():
        scores = scoring.of((predict(learner, task) for task in tasks), tasks)
        value = scoring.middle(scores)[0]
        tried[name] = value if np.isfinite(value) else (-np.inf if scoring.rises else np.inf)
    name = (max if scoring.rises else min)(tried, key=lambda name: tried[name])
    return Choice(name, candidates[name], tried)


# ------------------------------------------------------------------ of one task


def learners(
    scoring: Scoring, scale: float, strengths=(1e-4, 1e-2, 0.1, 1.0)
) -> dict[str, Callable]:
    """{name: learner(support_x, support_y, query_x) → predictions}.

    scale: the usual distance of two examples. strengths: λ of ridge regression, in units of scale².
    """
    if scoring.ways:
        return _classifiers(scoring.ways, scale, strengths)
    kernels = {
        f"kernel ridge, width {width:g}, λ {strength:g}": _kernel_ridge(width * scale, strength)
        for width in (0.2, 0.4, 0.8, 1.6)
        for strength in (1e-4, 1e-2, 1e-1)
    }
    lines = {f"ridge, λ {s:g}": _ridge(s * scale**2) for s in strengths}
    return {"mean of the support set": _mean, "nearest neighbour": _nearest} | lines | kernels


def _classifiers(ways, scale, strengths):
    def of_labels(regression):
        return lambda x, y, query: regression(x, one_hot(y, ways), query)

    lines = {f"ridge, λ {s:g}": of_labels(_ridge(s * scale**2)) for s in strengths}
    return {
        "nearest centroid": lambda x, y, query: _centroids(x, y, query, ways),
        "nearest angle": lambda x, y, query: _centroids(_unit(x), y, _unit(query), ways, _unit),
        "nearest neighbour": of_labels(_nearest),
    } | lines


def one_hot(labels, ways):
    """(n,) → (n, ways)."""
    return (np.asarray(labels)[:, None] == np.arange(ways)).astype(float)


def _mean(x, y, query):
    return np.broadcast_to(y.mean(0), (len(query), *y.shape[1:]))


def _nearest(x, y, query):
    return y[distances(query, x).argmin(1)]


def _unit(x):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm > 0, norm, 1)


def _centroids(x, y, query, ways, of_centres=lambda centres: centres):
    """−‖query − class mean‖²; −∞ for a class without an example: (queries, ways)."""
    member = one_hot(y, ways).T  # (ways, shots)
    count = member.sum(1, keepdims=True)
    centres = of_centres(member @ x / np.maximum(count, 1))
    return np.where(count.T > 0, -distances(query, centres), -np.inf)


def _ridge(strength):
    """Least squares with a constant, which is not held back: weights pay `strength` · ‖w‖²."""

    def predict(x, y, query):
        x_mean, y_mean = x.mean(0), y.mean(0)
        centred = x - x_mean
        if x.shape[1] <= len(x):
            gram = centred.T @ centred + strength * np.eye(x.shape[1])
            weights = np.linalg.solve(gram, centred.T @ (y - y_mean))
        else:
            gram = centred @ centred.T + strength * np.eye(len(x))
            weights = centred.T @ np.linalg.solve(gram, y - y_mean)
        return (query - x_mean) @ weights + y_mean

    return predict


def _kernel_ridge(width, strength):
    def predict(x, y, query):
        gram = np.exp(-distances(x, x) / (2 * width**2)) + strength * np.eye(len(x))
        weights = np.linalg.solve(gram, y - y.mean(0))
        return np.exp(-distances(query, x) / (2 * width**2)) @ weights + y.mean(0)

    return predict


def distances(a, b):
    """‖aᵢ − bⱼ‖²: (n, features), (m, features) → (n, m)."""
    squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    return np.maximum(squares, 0)


def on_support(learner, task: Task):
    """What a learner says of the queries that has seen the support set."""
    return learner(task.support_x, task.support_y, task.query_x)


def on_all_but_a_fold(learner, task: Task, source: Task | None = None):
    """What a learner says of each query that has seen the support set and the queries of the other folds.

    source: the task that its examples are from; another than `task` asks how well that one explains this one.
    """
    source = task if source is None else source
    fold = np.arange(len(task.query_x)) % min(FOLDS, len(task.query_x))
    of_source = np.arange(len(source.query_x)) % (fold.max() + 1)
    parts: list = [None] * len(fold)
    for number in range(fold.max() + 1):
        x = np.concatenate([source.support_x, source.query_x[of_source != number]])
        y = np.concatenate([source.support_y, source.query_y[of_source != number]])
        asked = np.flatnonzero(fold == number)
        for place, prediction in zip(asked, learner(x, y, task.query_x[asked]), strict=True):
            parts[place] = prediction
    return np.array(parts)


# ------------------------------------------------------------------ of the whole family


def average_predictors(x, y, scoring: Scoring, scale: float, rng) -> dict[str, Callable]:
    """{name: function query_x → predictions} fitted to examples of many tasks, which it cannot tell apart."""
    if scoring.ways:
        labels = y.astype(np.int64)
        y = one_hot(labels, scoring.ways)
    at_zero = np.zeros((1, x.shape[1]))
    mean = _mean(x, y, at_zero)[0]
    fitted: dict[str, Callable] = {
        "always the same": lambda query: np.broadcast_to(mean, (len(query), *mean.shape)),
        "the 50 nearest": lambda query: _of_nearest(x, y, query),
        "ridge": _fitted(lambda x: x, x, y, scale**2),
    }
    for width in (0.2, 0.5, 1.0):
        turns = rng.normal(size=(x.shape[1], FEATURES)) / (width * scale)
        shift = rng.uniform(0, 2 * np.pi, FEATURES)
        waves = lambda x, turns=turns, shift=shift: np.cos(x @ turns + shift)
        fitted[f"ridge on {FEATURES} random features, width {width:g}"] = _fitted(waves, x, y, 1.0)
    return fitted


def _fitted(features, x, y, strength):
    """Ridge on features of x, fitted once."""
    phi = features(x)
    centre, y_mean = phi.mean(0), y.mean(0)
    gram = (phi - centre).T @ (phi - centre) + strength * np.eye(phi.shape[1])
    weights = np.linalg.solve(gram, (phi - centre).T @ (y - y_mean))
    return lambda query: (features(query) - centre) @ weights + y_mean


def _of_nearest(x, y, query, k=50):
    nearest = np.argpartition(distances(query, x), min(k, len(x)) - 1, axis=1)[:, :k]
    return y[nearest].mean(1)
