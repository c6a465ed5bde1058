"""Examples that are there twice, exactly or nearly: start with `query_is_new`, `support_is_new`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .answers import Check, failed, noted, passed
from .plain import Task, distances

RARE = (
    0.005  # share of examples that may be there twice by chance, as two sentences of the same words
)
OF_THEIR_OWN = 0.02  # share of pairs of one x with two y, from which on x takes few values
NEAR = 0.1  # of the usual distance: so near are copies that were shaken


def query_is_new(tasks: Sequence[Task], ways: int) -> Check:
    """Whether queries stand in the support set of their task; ways: classes, 0 in regression."""
    name = "no query is in the support set"
    pairs = [_pairs(t.query_x, t.query_y, t.support_x, t.support_y) for t in tasks]
    words = (
        "of the queries stand in the support set of their task, too: memory answers them, and the score is too "
        "good. Draw both sets at once, without replacement, and then divide them."
    )
    check = _about_repeats(name, pairs, words, "every query is new to its task.")
    near = (_near_classes if ways else _near_numbers)(tasks)
    if near <= _least(ways) or check.status == "fail" and (check.number or 0) >= near:
        return check
    return failed(
        name,
        f"{percent(near)} of the queries are support examples of their task, changed a little: with the same y, "
        "and much nearer to one than examples are to each other. Memory answers them, and the score is too good. "
        "Draw both sets at once, without replacement, and then divide them.",
        near,
    )


def support_is_new(tasks: Sequence[Task]) -> Check:
    """Whether support sets hold an example twice."""
    pairs = [
        _pairs(t.support_x, t.support_y, t.support_x, t.support_y, but_itself=True) for t in tasks
    ]
    words = (
        "of the support examples stand in their support set twice: K shots are then fewer than they seem. Draw "
        "without replacement."
    )
    fine = "the examples of a support set all differ."
    return _about_repeats("no support example twice", pairs, words, fine)


def percent(share: float) -> str:
    """ "17 %", "0.046 %"."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _about_repeats(name, pairs, words, fine):
    """pairs: of each task (examples, others), True where both x are the same, and where both y differ."""
    share = float(np.mean([same.any(axis=1).mean() for same, _ in pairs]))
    if share == 0:
        return passed(name, fine, share)
    if share <= RARE:
        return noted(name, f"{percent(share)} are there twice, perhaps by chance.", share)
    number = sum(int(same.sum()) for same, _ in pairs)
    differ = sum(int((same & other).sum()) for same, other in pairs) / number
    if differ > OF_THEIR_OWN:
        return noted(
            name,
            f"{percent(share)} have an x that is there twice, yet with a y of their own in {percent(differ)} of "
            "these pairs: x takes few values, and these are no copies.",
            share,
        )
    return failed(name, f"{percent(share)} {words}", share)


def _pairs(x, y, others_x, others_y, but_itself=False):
    """(same x, different y), each (examples, others), to rounding."""
    scale = max(float(np.abs(x).max()), float(np.abs(others_x).max()), 1e-300)
    same = distances(x / scale, others_x / scale) <= 1e-6 * x.shape[1]  # then look closely
    if but_itself:
        np.fill_diagonal(same, False)
    for i, j in zip(*np.nonzero(same), strict=True):
        same[i, j] = np.abs(x[i] - others_x[j]).max() <= 1e-6 * scale
    return same, ~_same_y(y, others_y)


def _same_y(y, others):
    """(examples, others): whether two y are the same, to rounding."""
    y, others = (np.asarray(part, float).reshape(len(part), -1) for part in (y, others))
    scale = max(float(np.abs(y).max()), float(np.abs(others).max()), 1e-300)
    return np.abs(y[:, None] - others).max(axis=2) <= 1e-6 * scale


# ------------------------------------------------------------------ nearly the same


def _least(ways):
    """The share of queries that look like shaken copies by chance."""
    return 0.5 if ways else 4 * RARE


def _near_numbers(tasks) -> float:
    """The share of queries whose y is that of one support example alone, and whose x lies close to it.

    0 where such examples are mostly far away, as those of a function in steps are.
    """
    matched, near, number = 0, 0, 0
    sets = [np.concatenate([task.support_x, task.query_x]) for task in tasks]
    usual = np.median([np.median(distances(x, x)[np.triu_indices(len(x), 1)]) for x in sets])
    for task in tasks:
        same = _same_y(task.query_y, task.support_y)
        same &= (same.sum(axis=1) == 1)[:, None]
        close = distances(task.query_x, task.support_x) <= NEAR**2 * usual
        matched, near, number = (
            matched + same.sum(),
            near + (same & close).sum(),
            number + len(same),
        )
    return float(near / number) if near >= 0.9 * matched and matched else 0.0


def _near_classes(tasks) -> float:
    """The share of queries far nearer to a support example of their class than examples of a set are."""
    found: list = []
    usual: list = []
    for task in tasks:
        found.append(_nearest(task.query_x, task.query_y, task.support_x, task.support_y))
        for x, y in ((task.support_x, task.support_y), (task.query_x, task.query_y)):
            usual.append((len(usual) % 2, _nearest(x, y, x, y, but_itself=True)))
    sets = [np.concatenate([d for which, d in usual if which == role]) for role in (0, 1)]
    middles = [float(np.median(d[np.isfinite(d)])) for d in sets if np.isfinite(d).any()]
    if not middles or max(middles) == 0:
        return 0.0
    return float(np.mean(np.concatenate(found) < NEAR * max(middles)))


def _nearest(x, y, others_x, others_y, but_itself=False):
    """The distance to the nearest example of the same class; ∞ where there is none."""
    squares = np.where(y[:, None] == others_y, distances(x, others_x), np.inf)
    if but_itself:
        np.fill_diagonal(squares, np.inf)
    return np.sqrt(squares.min(axis=1))
