"""What is in the tasks of a family: numbers, labels, no answers in the questions. Start with `about_content`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .answers import Check, failed, noted, passed
from .drawing import AT_ONCE, drawn, rows_of
from .plain import Task
from .repeats import query_is_new, support_is_new

LARGE, SMALL = 30.0, 0.01  # numbers beyond these want to be scaled
FAINT = 1e-3  # an entry of x that varies by so little, beside another, is not seen
GIVEN_AWAY = 0.995  # share of y's variance that one entry of x may explain at most

_TARGETS = (
    "Real targets have shape (tasks, examples, outputs) and are floats; class numbers 0, 1, … have shape "
    "(tasks, examples) and are integers"
)


@dataclass(frozen=True)
class Kind:
    """What the tasks are: kind "regression" or "classification"; ways: number of classes, 0 in regression."""

    kind: str
    ways: int = 0


def draw_tasks(family, seed, tasks: int) -> list[Task]:
    """So many tasks as plain float64, examples flattened; class numbers stay integers."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[np.ndarray, ...]] = []
    while len(rows) < tasks:
        rows += rows_of(drawn(family, rng, min(AT_ONCE, tasks - len(rows))))
    refuse_other_kinds(rows)
    return [as_task(row) for row in rows]


def refuse_other_kinds(rows, first=None):
    """ValueError if a task differs from the first one in more than its numbers of examples."""
    expected = _form(rows[0] if first is None else first)
    for number, row in enumerate(rows):
        if _form(row) != expected:
            raise ValueError(
                f"x and y of an example have shapes {_form(row)[0]} and {_form(row)[1]} in one task (number "
                f"{number} of those drawn here), {expected[0]} and {expected[1]} in the first: all tasks of a "
                "family need the same."
            )


def _form(row):
    return row[0].shape[1:], row[1].shape[1:]


def as_task(row) -> Task:
    return Task(*(_flat(part) for part in row))


def _flat(part) -> np.ndarray:
    if part.ndim == 1:
        return part if part.dtype.kind in "iu" else part.astype(float)
    return part.reshape(len(part), -1).astype(float)


def kind_of(rows) -> Kind:
    """Regression or classification. rows: of `rows_of`. Raises ValueError for targets that are neither."""
    support_x, support_y, _, query_y = rows[0]
    shapes = support_y.shape[1:], query_y.shape[1:]
    if support_x.dtype.kind == "c" or support_y.dtype.kind == "c":
        raise ValueError(
            "x or y holds complex numbers: give real and imaginary parts as entries of their own."
        )
    if support_x.dtype == np.uint8:
        raise ValueError("x is uint8: networks take real numbers. Give images / 255 in float32.")
    kinds = support_y.dtype.kind, query_y.dtype.kind
    if shapes[0] != shapes[1] or kinds[0] != kinds[1]:
        raise ValueError(
            f"support_y and query_y differ: (…, {shapes[0]}) {support_y.dtype} and (…, {shapes[1]}) "
            f"{query_y.dtype}. {_TARGETS}."
        )
    if kinds[0] == "f" and shapes[0]:
        return Kind("regression")
    if kinds[0] in "iu" and not shapes[0]:
        ways = 1 + max(int(max(row[1].max(), row[3].max())) for row in rows)
        return Kind("classification", ways)
    raise ValueError(
        f"y is {support_y.dtype} of shape {support_y.shape} for one task. {_TARGETS}: give y[..., None] for one "
        "real "
        f"number each, or y.astype(np.int64) for class numbers."
    )


def one_hot_rows(rows) -> bool:
    """Whether every y is a 1 among zeros, two entries or more."""
    values = np.concatenate([part for row in rows for part in (row[1], row[3])])
    return (
        values.ndim == 2
        and values.shape[1] > 1
        and bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())
    )


# ------------------------------------------------------------------ the checks


def about_content(tasks: Sequence[Task], kind: Kind) -> list[Check]:
    """All checks of what tasks hold; these need no learner."""
    checks = [_of_usual_size(tasks, kind)]
    if kind.ways:
        checks += [labels_count(tasks, kind), _classes_are_known(tasks)]
    checks += [query_is_new(tasks, kind.ways), support_is_new(tasks), _no_task_twice(tasks)]
    return [*checks, _nothing_given_away(tasks, kind)]


def pooled(tasks: Sequence[Task], only_queries=False) -> tuple[np.ndarray, np.ndarray]:
    """x and y of all examples of many tasks, which then are not told apart."""
    sets = [pair for t in tasks for pair in ((t.support_x, t.support_y), (t.query_x, t.query_y))]
    sets = sets[1::2] if only_queries else sets
    return np.concatenate([x for x, _ in sets]), np.concatenate([y for _, y in sets])


def _of_usual_size(tasks, kind):
    name, (x, y) = "numbers of a usual size", pooled(tasks)
    length, size = float(np.median(np.linalg.norm(x, axis=1))), float(np.abs(x).max())
    fault = _one_question(tasks, x)
    if fault:
        return failed(name, fault)
    if size > LARGE or length < SMALL:
        value = size if size > LARGE else length
        return failed(name, _far_out("x", x) or _rescale("x", value), size)
    if kind.ways:
        return _with_entries(name, x, f"the largest entry of x is {size:.3g}", size)
    spread = float(y.std(axis=0).max())
    if spread == 0:
        return failed(name, "y is the same in every example: there is nothing to predict.", 0.0)
    if max(spread, np.abs(y).max() / 10) > LARGE or spread < SMALL:
        value = spread if spread < SMALL else float(np.abs(y).max())
        return failed(name, _far_out("y", y) or _rescale("y", value), spread)
    text = f"the largest entry of x is {size:.3g}, y varies by {spread:.3g}"
    return _with_entries(name, x, text, spread)


def _one_question(tasks, x) -> str:
    """What to say where x is the same everywhere, or in every query, or in every support set."""
    if np.ptp(x, axis=0).max() == 0:
        return "x is the same in every example: a question that is always the same."
    for role, sets in (
        ("query", [task.query_x for task in tasks]),
        ("support", [task.support_x for task in tasks]),
    ):
        several = [part for part in sets if len(part) > 1]
        if several and max(np.ptp(part, axis=0).max() for part in several) == 0:
            return (
                f"x is the same in all {role} examples of a task, as if one of them had been repeated: draw an "
                f"x for "
                "each."
            )
    return ""


def _far_out(name, values) -> str:
    """What to say where a few numbers alone are too large, which no constant mends."""
    most, usual = float(np.abs(values).max()), float(np.quantile(np.abs(values), 0.98))
    if most <= LARGE or usual > LARGE or most < 10 * usual:
        return ""
    return (
        f"a few numbers of {name} lie far out: the largest is {most:.3g}, yet 98 % are below {usual:.3g}. They "
        f"alone "
        "decide gradients and mean squared errors, and no constant scales them away: cut them off, or take "
        "logarithms."
    )


def _with_entries(name, x, text, value) -> Check:
    """Passed, or a note where some entry of x varies far less than another."""
    spread = x.std(axis=0)
    faint = np.flatnonzero((spread > 0) & (spread < FAINT * spread.max()))
    if not len(faint):
        return passed(name, f"{text}.", value)
    return noted(
        name,
        f"{text}; yet entry {faint[0]} of x varies by {spread[faint[0]]:.1g} only, {spread.argmax()} by "
        f"{spread.max():.1g}: a network hardly sees it. Divide each entry by a constant of its own.",
        value,
    )


def _rescale(name, value):
    return (
        f"{name} has numbers of about {value:.3g}, with which gradient steps of usual rates diverge or stand "
        "still: divide "
        f"{name} by a constant, the same for all tasks, so that it varies by about 1."
    )


def labels_count(tasks: Sequence[Task], kind: Kind) -> Check:
    """Whether the classes of every support set are 0, 1, …, N − 1."""
    name = "labels are 0, 1, …, alike in all tasks"
    sets = [set(task.support_y.tolist()) for task in tasks]
    lowest, numbers = min(map(min, sets)), {len(found) for found in sets}
    lowest = min(lowest, *(int(task.query_y.min()) for task in tasks))
    if lowest < 0:
        return failed(name, f"there is a label {lowest}: number the classes of a task 0, 1, ….")
    if lowest > 0:
        return failed(
            name,
            f"labels start at {lowest}: subtract {lowest}, for the classes of a task are 0 … N − 1.",
            lowest,
        )
    if kind.ways < 2:
        return failed(name, "every label is 0: one class leaves nothing to decide.")
    if sets.count(set(range(kind.ways))) < len(sets):
        few = min(numbers)
        return failed(
            name,
            f"labels go up to {kind.ways - 1}, yet the support set of some task has {few} classes only, or leaves "
            "out a "
            f"number: number the classes of each task 0 … N − 1, with an example of each.",
            few,
        )
    counts = [np.bincount(t.support_y, minlength=kind.ways) for t in tasks]
    if all(len(set(count.tolist())) == 1 for count in counts):
        return passed(name, f"{kind.ways} classes, as many support examples of each.", kind.ways)
    return noted(name, f"{kind.ways} classes with unequal numbers of support examples.", kind.ways)


def _classes_are_known(tasks):
    name = "query classes are those of the support set"
    unknown = [t for t in tasks if not set(t.query_y.tolist()) <= set(t.support_y.tolist())]
    if unknown:
        return failed(
            name,
            f"in {len(unknown)} of {len(tasks)} tasks a query is of a class without a support example: nobody can "
            "know it. "
            "Draw queries from the classes of the support set.",
            len(unknown) / len(tasks),
        )
    partial = [t for t in tasks if set(t.query_y.tolist()) != set(t.support_y.tolist())]
    if len(partial) == len(tasks):
        return failed(
            name,
            "in every task a class of the support set is never asked for: whoever knows that guesses better. Ask "
            "for "
            "all classes.",
            1.0,
        )
    if partial:
        return noted(
            name,
            f"in {len(partial)} of {len(tasks)} tasks some class is not asked for.",
            len(partial) / len(tasks),
        )
    return passed(name, "every class is asked for, and every one has support examples.")


def _no_task_twice(tasks):
    name = "no task twice"
    texts = {b"".join(np.ascontiguousarray(part).tobytes() for part in task) for task in tasks}
    twice = len(tasks) - len(texts)
    if twice:
        return failed(
            name,
            f"{twice} of {len(tasks)} tasks are copies of others, example by example: so few different tasks are "
            "learned "
            "by heart. Draw examples anew for each task.",
            twice / len(tasks),
        )
    return passed(name, f"{len(tasks)} tasks, all of them different.")


def _nothing_given_away(tasks, kind):
    """The share of y's variance that a single entry of a query's x explains, over all tasks; of each part of y."""
    name = "x does not hold the answer"
    x, y = pooled(tasks, only_queries=True)
    explained = (
        _of_classes(x, y, kind.ways) if kind.ways else _of_numbers(x, y)
    )  # (features, parts)
    part = int(
        explained.max(axis=0).argmin()
    )  # what is given away of all parts is given away of this one
    place, share = int(explained[:, part].argmax()), float(explained[:, part].max())
    if share <= GIVEN_AWAY:
        named = _task_is_named(name, tasks)
        return named or passed(
            name, f"one entry of x explains at most {100 * share:.0f} % of y.", share
        )
    return failed(
        name,
        f"entry {place} of x explains {100 * share:.1f} % of y in all tasks alike: y seems to be written into x. "
        "Leave it "
        "out; if it is meant, the tasks do not need their support sets.",
        share,
    )


def _task_is_named(name, tasks) -> Check | None:
    """A note, or a fault, where an entry of x is the same in all examples of a task, and differs between tasks."""
    sets = [np.concatenate([task.support_x, task.query_x]) for task in tasks]
    within = np.max([np.ptp(x, axis=0) for x in sets], axis=0)
    values = np.stack([x[0] for x in sets])  # (tasks, features)
    named = np.flatnonzero((within == 0) & (np.ptp(values, axis=0) > 0))
    if not len(named):
        return None
    batches = [values[at : at + AT_ONCE, named] for at in range(0, len(values), AT_ONCE)]
    rises = np.all([(np.diff(batch, axis=0) > 0).all(axis=0) for batch in batches], axis=0)
    if rises.any():
        return failed(
            name,
            f"entry {named[rises.argmax()]} of x counts the tasks of a batch: it says which one this is, and means "
            "nothing for a new task. Leave it out.",
            1.0,
        )
    return noted(
        name,
        f"entry {named[0]} of x is the same in all examples of a task and differs between tasks, so that x tells "
        "which task it is: fine if it will be known of a new task, too; a number for a name is to be left out.",
    )


def _of_numbers(x, y):
    """The same for numbers, and for their ranks: what is written into x on another scale counts, too."""
    return np.maximum(_squared_correlation(x, y), _squared_correlation(_ranks(x), _ranks(y)))


def _ranks(values):
    columns = [np.unique(column, return_inverse=True)[1] for column in values.T]
    return np.stack(columns, axis=1).astype(float)


def _squared_correlation(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    scale = np.outer(np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0))
    return (x.T @ y / np.where(scale > 0, scale, 1)) ** 2


def _of_classes(x, y, ways):
    total = ((x - x.mean(0)) ** 2).sum(0)
    within = sum(
        ((x[y == k] - x[y == k].mean(0)) ** 2).sum(0) for k in range(ways) if (y == k).any()
    )
    varies = total > 1e-12 * total.max()
    return np.where(varies, 1 - within / np.where(varies, total, 1), 0)[:, None]
