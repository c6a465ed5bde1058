"""Is this a family of tasks worth meta-learning? Start with `check_family`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STATUSES = ("pass", "fail", "note", "not computed")


@dataclass(frozen=True)
class Check:
    """One question to a family and its answer.

    name: what is asked, in a few words. status: one of STATUSES; a "note" is no fault, but should be known.
    number: what was measured, if anything was. words: what it says; of a fault what is wrong, why, and what to do.
    """

    name: str
    status: str
    words: str
    number: float | None = None


@dataclass(frozen=True)
class FamilyReport:
    """What `check_family` found. Printed, it is a table; in a notebook, too.

    name, description: the family's repr and docstring. kind: "regression" or "classification", "" if unknown.
    metric: what `scores` hold, "mse", "accuracy", or the name of a loss of one's own.
    checks: every `Check`, in order. scores: `Evaluation` (tasks, 1) of "average", "plain", and "oracle" or "stand-in".
    `ok`: nothing failed. `failed`: the names of the checks that failed. `report["tasks differ"]`: one check.
    """

    name: str
    description: str
    kind: str
    metric: str
    checks: tuple[Check, ...]
    scores: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> list[str]:
        return [check.name for check in self.checks if check.status == "fail"]

    def __getitem__(self, name: str) -> Check:
        raise NotImplementedError


def check_family(
    family, *, oracle=None, loss=None, shared_labels=False, tasks=120, seed=0
) -> FamilyReport:
    """Ask a family of tasks all that can be asked before anything is trained; seconds for small examples.

    family: has `sample(rng, tasks=n)` → TaskBatch (or a tuple of its four arrays). Targets are real numbers
        (tasks, examples, outputs), or class numbers 0, 1, … as integers (tasks, examples).
    oracle: function (support_x, support_y, query_x) of ONE task → predictions, as arrays: who knows the law of the
        family, but neither this task nor query_y. Of classes: labels (queries,) or scores (queries, classes). None
        takes the method `family.oracle`; without one, plain learners with more examples stand in.
    loss: function (prediction, query_y) → one number for ONE task, less is better. None: mean squared error, or
        accuracy.
    shared_labels: True says that a class number means the same in all tasks, which then is no fault.
    tasks: new tasks that scores are of; as many are used for choosing settings, and three times as many to fit the
        average predictor. seed: of the tasks.

    Raises ValueError for arguments that make no sense; what is wrong with the family is in the report.
    """
    raise NotImplementedError
