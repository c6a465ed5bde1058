"""Is this a family of tasks worth meta-learning? Start with `check_family`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import tables
from .answers import Check, failed, not_computed
from .content import Kind, about_content, draw_tasks, kind_of, one_hot_rows, refuse_other_kinds
from .difficulty import Measured, Pools, about_difficulty, measure
from .drawing import AT_ONCE, about_drawing, about_lasting, drawn, rows_of
from .plain import Scoring, Task

POOL, ENTRIES = 600, 5_000_000  # tasks to fit the average predictor to; numbers in their x, at most
LEAST = 20  # tasks that an interval wants
_MARKS = {"pass": "yes", "fail": "NO", "note": "note", "not computed": "—"}
_HEAD = ("", "check", "what it says")
_HARMLESS = ("tasks do not depend on their number",)  # a note that leaves the verdict as it is


@dataclass(frozen=True)
class FamilyReport:
    """What `check_family` found. Printed, it is a table; in a notebook, too.

    name, description: the family's repr and docstring. kind: "regression" or "classification", "" if unknown.
    metric: what `scores` hold, "mse", "accuracy", or the name of a loss of one's own.
    checks: every `Check`, in order. scores: `Evaluation` (tasks, 1) of "average", "plain", "stand-in", and of
    "oracle" if one was given; names: who that was.
    `ok`: nothing failed. `failed`: the names of the checks that failed. `report["tasks differ"]`: one check.
    """

    name: str
    description: str
    kind: str
    metric: str
    checks: tuple[Check, ...]
    scores: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> list[str]:
        return [check.name for check in self.checks if check.status == "fail"]

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(
            f"no check is called {name!r}; there are: {', '.join(c.name for c in self.checks)}"
        )

    @property
    def head(self) -> tuple[str, ...]:
        """What the columns of `rows` are called."""
        return _HEAD

    @property
    def verdict(self) -> str:
        """One sentence."""
        notes = [c.name for c in self.checks if c.status == "note" and c.name not in _HARMLESS]
        if self.ok and notes:
            return f"{self.name}: no check failed; read the note{'s' * (len(notes) > 1)}: {', '.join(notes)}."
        if self.ok:
            return f"{self.name}: nothing speaks against meta-learning on this family."
        number = len(self.failed)
        return f"{self.name}: {number} check{'s' * (number > 1)} failed: {', '.join(self.failed)}."

    def rows(self) -> list[tuple[str, str, str]]:
        return [(_MARKS[check.status], check.name, check.words) for check in self.checks]

    def __repr__(self):
        return f"{self.verdict}\n\n{tables.as_text(_HEAD, self.rows())}"

    def _repr_html_(self):
        return f"<p>{tables.escaped(self.verdict)}</p>\n{tables.as_html(_HEAD, self.rows())}"

    def as_markdown(self) -> str:
        return f"{tables.plain(self.verdict)}\n\n{tables.as_markdown(_HEAD, self.rows())}"


def check_family(
    family, *, oracle=None, loss=None, shared_labels=False, tasks=120, seed=0
) -> FamilyReport:
    """Ask a family of tasks all that can be asked before anything is trained; seconds for small examples.

    family: has `sample(rng, tasks=n)` → TaskBatch (or a tuple of its four arrays). Targets are real numbers
        (tasks, examples, outputs), or class numbers 0, 1, … as integers (tasks, examples).
    oracle: function (support_x, support_y, query_x) of ONE task → predictions, as arrays: who knows the law of the
        family, but neither this task nor query_y. x and y are (examples, entries), float64, or labels (examples,).
        Of classes it says labels (queries,) or scores (queries, classes). None takes the method `family.oracle`;
        without one, plain learners with more examples stand in.
    loss: function (prediction, query_y) → one number for ONE task, less is better. None: mean squared error, or
        accuracy.
    shared_labels: True says that a class number means the same in all tasks, which then is no fault.
    tasks: new tasks that scores are of; as many are used for choosing settings, and up to 600 to fit the average
        predictor. seed: of the tasks.

    Raises ValueError for arguments that make no sense; what is wrong with the family is in the report.
    """
    _check_arguments(oracle, loss, tasks, seed)
    oracle = oracle_of(family, oracle)
    kind, checks = Kind(""), about_drawing(family, seed)
    measured = Measured(Scoring())
    rows: list = []
    if checks[0].status == "pass":
        checks, kind, rows = _about_its_kind(family, seed, checks)
    if kind.kind:
        try:
            pools = pools_of(family, seed, tasks)
            more, measured = _about_tasks(pools, kind, oracle, loss, shared_labels, seed)
            checks += more
        except ValueError as error:  # sample fails now and then
            checks.append(failed("tasks of one kind", str(error)))
        checks = _in_place(checks, about_lasting(family, [seed, 3], rows, _looking(rows, kind)))
    return FamilyReport(
        short(family), inspect.getdoc(family) or "", kind.kind, measured.scoring.metric if kind.kind else "",
        tuple(checks), measured.scores, measured.names,
    )  # fmt: skip


def _check_arguments(oracle, loss, tasks, seed):
    for name, function in (("oracle", oracle), ("loss", loss)):
        if function is not None and not callable(function):
            raise ValueError(f"{name} must be a function or None; got {function!r}.")
    for name, value, least in (("tasks", tasks, LEAST), ("seed", seed, 0)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number ≥ {least}; got {value!r}.")


def oracle_of(family, oracle) -> Callable | None:
    """The oracle that was given, or the family's own; None without one."""
    own = getattr(family, "oracle", None)
    return oracle if oracle is not None else own if callable(own) else None


def short(family, most=120) -> str:
    """What a family is called: its repr, or the name of its class where that says nothing."""
    try:
        text = repr(family)
    except Exception:  # of the author's own __repr__
        text = ""
    text = type(family).__name__ if not text or " object at 0x" in text else text
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def pools_of(family, seed, tasks, validation=None, test=None) -> Pools:
    """Tasks to fit to, to choose settings on and to test on, each from a generator of its own."""
    return Pools(
        average_pool(family, [seed, 1]),
        draw_tasks(validation or family, [seed, 2], tasks),
        draw_tasks(test or family, [seed, 3], tasks),
    )


def average_pool(family, seed) -> list[Task]:
    """Tasks to fit the average predictor to: POOL of them, fewer where examples are many or large.

    So many whatever the shots are: of few tasks the average over tasks is itself left to chance.
    """
    first = draw_tasks(family, seed, 1)[0]
    entries = sum(part.size for part in first[::2])
    return draw_tasks(family, seed, int(np.clip(ENTRIES // max(entries, 1), LEAST, POOL)))


def _about_its_kind(family, seed, checks):
    """The checks so far and that of the kind; the kind, and the tasks that it was seen in."""
    name = "x and y are questions and answers"
    try:
        rows = rows_of(drawn(family, [seed, 3], AT_ONCE))
        refuse_other_kinds(rows)
        kind = kind_of(rows)
    except ValueError as error:
        return [*checks, failed(name, str(error))], Kind(""), []
    words = f"{kind.kind}, {kind.ways} classes." if kind.ways else f"{kind.kind}."
    if rows[0][0].dtype.kind in "biu":
        words += (
            f" x holds whole numbers ({rows[0][0].dtype}), which layers such as nn.Linear refuse: give "
            "x.astype(np.float32), unless the model begins with an embedding."
        )
        return [*checks, Check(name, "note", words)], kind, rows
    if kind.kind == "regression" and one_hot_rows(rows):
        words = (
            "regression; but y is a 1 among zeros in every example: if these are classes, give y.argmax(-1), "
            "integers (tasks, examples)."
        )
        return [*checks, Check(name, "note", words)], kind, rows
    return [*checks, Check(name, "pass", words)], kind, rows


def _looking(rows, kind):
    """A function that raises ValueError for tasks of another kind than these."""

    def look(others):
        refuse_other_kinds(others, rows[0])
        found = kind_of(others)
        if found.kind != kind.kind or found.ways > kind.ways:
            raise ValueError(
                f"{found.kind} ({found.ways} classes) after {kind.kind} ({kind.ways} classes)."
            )

    return look


def _in_place(checks, late):
    """Checks with what was found late; a fault takes the place of a check of its name that did not fail."""
    for check in late:
        places = [i for i, one in enumerate(checks) if one.name == check.name]
        if not places:
            checks = [*checks, check]
        elif checks[places[0]].status != "fail":
            checks = [*checks[: places[0]], check, *checks[places[0] + 1 :]]
    return checks


def _about_tasks(pools, kind, oracle, loss, shared_labels, seed):
    """The checks of what the tasks hold, and of how hard they are; what was measured."""
    checks = about_content(pools.test, kind)
    scoring = Scoring(kind.ways, loss)
    fatal = {"labels are 0, 1, …, alike in all tasks", "numbers of a usual size"}
    if any(check.status == "fail" and check.name in fatal for check in checks):
        words = "asked once the faults above are mended."
        return [*checks, not_computed("how hard it is", words)], Measured(scoring)
    measured = measure(pools, scoring, oracle, seed)
    return [*checks, *about_difficulty(measured, pools, kind, oracle, shared_labels)], measured
