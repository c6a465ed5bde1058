"""Scores of many tasks, with intervals that keep their promise: start with `Evaluation`."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

LOSSES = ("loss", "mse")  # metrics that are small for good answers, and have no upper bound
BOUNDED = ("accuracy", "difference of accuracy")
FEW = 20  # tasks: with fewer, 1.96 standard errors are too few even where nothing is skewed


@dataclass(frozen=True)
class Evaluation:
    """Scores after 0, 1, … inner steps on the query sets of new tasks.

    metric: what was scored, such as "accuracy", "mse" or "loss". values: (tasks, steps + 1). source: what tells
    these tasks from others; evaluations of the same tasks are compared task by task: `a - b`.

    For each number of steps: `median` with `median_ci95`, `mean` with `ci95`, the share of `runaways`, and in
    `trust` whether these values speak against the mean's interval. A few tasks on which the inner steps diverge
    can be all that a mean says. Then mean ± ci95 covers the true mean about as often as a coin falls on one side
    (54 % of the time, in one run of benchmarks/reproduce/interval_coverage.py: sine waves, 5 shots, 10 steps),
    while the median's interval holds.
    """

    metric: str
    values: np.ndarray
    source: str = ""

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """Means over tasks, (steps + 1,)."""
        with np.errstate(all="ignore"):  # a loss may be infinite
            return self.values.mean(axis=0)

    @functools.cached_property
    def ci95(self) -> np.ndarray:
        """Half the width of the 95 % interval of each mean: 1.96 standard errors. See `trust`."""
        with np.errstate(all="ignore"):
            return 1.96 * self.values.std(axis=0, ddof=1) / np.sqrt(len(self))

    @functools.cached_property
    def median(self) -> np.ndarray:
        """Medians over tasks, (steps + 1,). NaN counts as the largest value."""
        ranked, middle = self._ranked, len(self) // 2
        if len(self) % 2:
            return ranked[middle]
        return (ranked[middle - 1] + ranked[middle]) / 2

    @functools.cached_property
    def median_ci95(self) -> np.ndarray:
        """The 95 % bootstrap interval of each median, (2, steps + 1): its lower and its upper end."""
        low, high = bootstrap_ranks(len(self))
        return self._ranked[[low, high]]

    @functools.cached_property
    def runaways(self) -> np.ndarray:
        """The share of tasks that the inner steps have made far worse, (steps + 1,).

        A loss above twice the largest one before any step, or infinite or NaN; of other metrics NaN and
        infinite ones alone.
        """
        away = ~np.isfinite(self.values)
        if self.metric in LOSSES:
            first = self.values[:, 0][~away[:, 0]]
            away |= self.values > 2 * first.max(initial=0.0)
        return away.mean(axis=0)

    @functools.cached_property
    def trust(self) -> tuple[str, ...]:
        """For each number of steps "mean", or "median" where the mean's interval is not to be trusted.

        It is not where tasks have run away, then or before, where a sum of so many values is not yet normal
        (`needs_more_tasks`), and nowhere on fewer than 20 tasks. "mean" says that these values give no reason to
        doubt: they cannot show that one task in thousands is far worse than all of them.
        """
        away = np.cumsum(self.runaways) > 0
        doubtful = away | needs_more_tasks(self.values, bounded=self.metric in BOUNDED)
        return tuple("median" if is_doubtful else "mean" for is_doubtful in doubtful)

    @functools.cached_property
    def _ranked(self):
        return np.sort(self.values, axis=0)

    def __len__(self):
        return len(self.values)

    def __sub__(self, other) -> Evaluation:
        """The differences task by task: far surer than the difference of two means.

        Raises ValueError unless both evaluations are of the same metric, tasks and numbers of steps.
        """
        if not isinstance(other, Evaluation):
            return NotImplemented
        mine, theirs = (self.metric, self.values.shape), (other.metric, other.values.shape)
        if mine != theirs or self.source != other.source:
            raise ValueError(
                f"these two are not of the same tasks, and cannot be compared task by task: {self.metric} of "
                f"{self.values.shape} (tasks, steps + 1), and {other.metric} of {other.values.shape}"
                f"{'' if mine != theirs else ' on other tasks'}. Evaluate both with the same tasks, episodes, "
                f"steps, seed and metric."
            )
        return Evaluation(f"difference of {self.metric}", self.values - other.values, self.source)

    def __repr__(self):
        rows = [self.row(step) for step in range(self.values.shape[1])]
        head = f"{self.metric} on {len(self)} new tasks, with 95 % intervals"
        return "\n".join([head, _line("steps", *COLUMNS), *rows, *self.remarks()])

    def row(self, step) -> str:
        """One line of the printed table."""
        return _line(str(step), *self.cells(step))

    def cells(self, step) -> tuple[str, str, str]:
        """Median, mean and runaways after so many steps, in words."""
        low, high = self.median_ci95[:, step]
        median = f"{self.median[step]:.4f} ({low:.4f} to {high:.4f})"
        mark = "" if self.trust[step] == "mean" else " !"
        away = self.runaways[step]
        share = f"{100 * away:.1f} %" if away else "none"
        return median, f"{self.mean[step]:.4f} ± {self.ci95[step]:.4f}{mark:<2}", share

    def remarks(self) -> list[str]:
        """What a reader of the table must know: empty if every mean can be trusted."""
        if "median" not in self.trust:
            return []
        if len(self) < FEW:
            return [
                f"! intervals of {len(self)} tasks do not keep their promise: evaluate on 20 or more"
            ]
        return [
            "! the scores are too skewed, or a few tasks too far off, for this mean's interval to be "
            "trusted: trust the median, or evaluate on more tasks"
        ]


COLUMNS = ("median", "mean", "ran away")


def _line(steps, median, mean, away):
    return f"{steps:>5}  {median:<28}  {mean:<24}  {away}".rstrip()


def needs_more_tasks(values, bounded=False) -> np.ndarray:
    """Whether n values (n, …) are too skewed for mean ± 1.96 standard errors to cover in 95 % of cases.

    With skewness γ it covers less, by about γ²/4n (the Edgeworth expansion in Hall 1992), so γ may grow with √n
    (n > 25 γ² is the rule of Cochran 1977). Here it may be 0.15 √n. But a sample shows less of a heavy tail than
    there is, and least where its mean is too small; so what lies between the deciles is asked, too, which a few
    values do not change: Kelly's measure may be 0.15 + 0.018 √n. Both factors were chosen by simulation with
    log-normal, exponential, Pareto and other distributions, as tests/pytorch/test_intervals.py does it again.
    A few huge values above a symmetric rest show in neither measure unless they are among the n.
    bounded: of scores such as accuracies, a handful of which takes all values, the first is asked alone.
    """
    if len(values) < FEW:
        return np.ones(values.shape[1], bool)
    root = np.sqrt(len(values))
    with np.errstate(all="ignore"):  # a loss may be infinite or NaN
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        kelly = np.abs(high + low - 2 * middle) / np.where(high > low, high - low, 1.0)
        centred = values - values.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0))
        skewness = np.abs(((centred / np.where(spread > 0, spread, 1.0)) ** 3).mean(axis=0))
        symmetric = skewness <= 0.15 * root
        return ~(symmetric if bounded else symmetric & (kelly <= 0.15 + 0.018 * root))


@functools.lru_cache(maxsize=64)
def bootstrap_ranks(n: int, level: float = 0.95) -> tuple[int, int]:
    """The places, from 0, in n ranked values of the ends of the bootstrap interval of their median.

    The percentile bootstrap (Efron and Tibshirani 1993, chapter 13) draws n values with replacement again and
    again, and takes quantiles of their medians. For a median no drawing is needed: that of a resample is at
    most the value of rank k if half of the draws or more are among the first k, a binomial tail.
    """
    share = np.arange(1, n + 1) / n
    half = -(-n // 2)
    at_most_lower = np.array([_at_least(half, n, p) for p in share])  # of the lower median
    at_most_upper = np.array([_at_least(n // 2 + 1, n, p) for p in share])
    tail = (1 - level) / 2
    low = int(np.argmax(at_most_lower > tail))
    high = int(np.argmax(at_most_upper >= 1 - tail))
    return low, high


def _at_least(k, n, p):
    """P(B ≥ k) for B binomial with n draws of probability p."""
    if p >= 1:
        return 1.0
    j = np.arange(k, n + 1)
    log_factorials = _log_factorials(n)
    chances = log_factorials[n] - log_factorials[j] - log_factorials[n - j]
    return float(np.exp(chances + j * math.log(p) + (n - j) * math.log1p(-p)).sum())


@functools.lru_cache(maxsize=8)
def _log_factorials(n):
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
