"""Whether a support set and its query set are of one task: start with `support_is_silent`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .plain import Scoring, Task, distances

SILENT = 0.1  # of what as many queries tell: what a support set tells at least
APART = 2.0  # times as far from the support set as from each other: queries that lie elsewhere


def support_is_silent(learner: Callable, tasks: Sequence[Task], scoring: Scoring, seed) -> bool:
    """Whether some queries explain the others, and as many support examples do not.

    Each is compared with the support set of another task. False, too, where queries are too few to ask, and in
    regression where they lie elsewhere than the support set, so that a learner would have to extrapolate.
    """
    if min(len(task.query_x) for task in tasks) < 2 or len(tasks) < 2:
        return False
    rng = np.random.default_rng(seed)
    known, asked = zip(*[_divided(task, scoring.ways, rng) for task in tasks], strict=True)
    if not scoring.ways and _lie_apart(tasks, known, asked):
        return False
    others = [*tasks[1:], tasks[0]]
    own, misled, told = (
        scoring.of([learner(*examples, part.query_x) for examples, part in zip(sets, asked, strict=True)], asked)
        for sets in (
            [(task.support_x, task.support_y) for task in tasks],
            [(task.support_x, task.support_y) for task in others],
            known,
        )
    )  # fmt: skip
    of_queries, low, _ = scoring.gain(told, misled)
    return low > 0 and scoring.gain(own, misled)[0] < SILENT * of_queries


def _divided(task, ways, rng):
    """((x, y) of as many queries as the support set has, of each class, too; a task of the others)."""
    order = rng.permutation(len(task.query_x))
    if ways:
        taken = []
        for k in range(ways):
            of_class = order[task.query_y[order] == k]
            taken.append(of_class[: min(int((task.support_y == k).sum()), len(of_class) // 2)])
        first = np.concatenate(taken)
    else:
        first = order[: min(len(task.support_x), len(order) // 2)]
    if not len(first):
        first = order[:1]
    rest = np.setdiff1d(order, first)
    known = task.query_x[first], task.query_y[first]
    return known, task._replace(query_x=task.query_x[rest], query_y=task.query_y[rest])


def _lie_apart(tasks, known, asked) -> bool:
    """Whether the queries are much farther from the support set than from each other."""
    to = lambda sets: np.median(
        [np.median(distances(part.query_x, x).min(1)) for part, x in zip(asked, sets, strict=True)]
    )
    return bool(to([t.support_x for t in tasks]) > APART**2 * to([x for x, _ in known]))
