"""Who does best on a family of tasks: start with `compare`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from tqdm.auto import tqdm

import maml_edu.pytorch as mt
from maml_edu.pytorch.arguments import is_count
from maml_edu.pytorch.intervals import Evaluation

from . import tables
from .content import Kind, draw_tasks, kind_of, labels_count
from .difficulty import Pools, ask, choose_average, choose_plain
from .drawing import AT_ONCE, drawn, refuse_policies, rows_of, told
from .family import average_pool, oracle_of, short
from .methods import (
    FINAL,
    TRAINING_SEED,
    Bench,
    Fixed,
    Row,
    body_of,
    fine_tuned,
    head_on_features,
    maml,
    pretrained,
)
from .plain import Scoring, Task, on_support
from .source import source_of

INNER_LRS = {"regression": (0.003, 0.01, 0.03, 0.1), "classification": (0.03, 0.1, 0.3, 1.0)}
META_LRS = (1e-3, 3e-3, 1e-2, 3e-2)
AVERAGE_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 3  # of tasks that training does not draw
PRETRAINED, SCRATCH = "pretrained, fine-tuned", "from scratch"
PLAIN, AVERAGE, ORACLE = "plain learner", "average predictor", "oracle"
_QUICK = 5  # a trial takes this part of the iterations


@dataclass(frozen=True)
class Comparison:
    """What `compare` measured, all methods on the same test tasks. Printed, it is a table; in a notebook, too.

    family, description, kind, metric: as in a FamilyReport. rows: {name of a method: `Row`}, MAML first.
    settings: what all was done with, in plain values. notes: what has to be known, a line each.
    failure: the task on which MAML does worst: its number, the seed that does worst there, the four arrays, what
    MAML and the pretrained network with that seed say at the queries ("predictions") and at the support points ("at
    support"), what the plain learner and the oracle say ("others"), the scores of all methods ("scores": means over
    seeds; "drawn": of that seed). source: the code of the family's class, "" if it is not to be had.
    `curves()`: medians (of accuracies: means) after each inner step; `difference(name)`: MAML against a method.
    """

    family: str
    description: str
    kind: str
    metric: str
    rows: dict[str, Row]
    settings: dict[str, Any]
    failure: dict[str, Any]
    scoring: Scoring
    notes: tuple[str, ...] = ()
    source: str = ""

    @property
    def rises(self) -> bool:
        """Whether more of the metric is better."""
        return self.scoring.rises

    def difference(self, name: str) -> tuple[float, float, float]:
        """By how much MAML is better than this method, task by task: the middle, with its 95 % interval.

        Below 0: the method is better. The median of the differences; of accuracies their mean.
        """
        return self.scoring.gain(self.rows["MAML"].scores, self.rows[name].scores)

    def curves(self) -> dict[str, np.ndarray]:
        """{method: the middle score after 0, 1, … inner steps}; of a method without steps, one number for all."""
        steps = self.rows["MAML"].values.shape[2]
        return {name: _curve(row, self.scoring, steps) for name, row in self.rows.items()}

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(head, rows) in words."""
        middle = "mean" if self.rises else "median"
        head = (
            "method", f"{self.metric}, {middle} (95 %)", "of each seed", "MAML is better by (95 %)", "ran away",
            "chosen",
        )  # fmt: skip
        return head, [self._cells(name, row) for name, row in self.rows.items()]

    def _cells(self, name, row):
        away = f"{100 * row.runaways:.1f} %" if row.runaways else "none"
        seeds = [self.scoring.middle(one, row.step)[0] for one in row.by_seed]
        return (
            name,
            _interval(self.scoring.middle(row.scores)),
            ", ".join(f"{value:.3g}" for value in seeds) if len(seeds) > 1 else "—",
            "—" if name == "MAML" else _gain(self.difference(name)),
            away if row.values.shape[2] > 1 else "—",
            row.chosen,
        )

    @property
    def verdict(self) -> str:
        """What the table says of MAML, in one or two sentences; a method that wins is named."""
        rivals = [name for name in self.rows if name not in ("MAML", ORACLE)]
        gains = {name: self.difference(name) for name in rivals}
        better = [name for name, (_, _, high) in gains.items() if high < 0]
        open_ = [name for name, (_, low, high) in gains.items() if low <= 0 <= high]
        if self.rows["MAML"].diverged:
            seeds = ", ".join(map(str, self.rows["MAML"].diverged))
            return (
                f"MAML's training diverged (seed {seeds}): its scores are those of a training that broke off, "
                f"and say "
                "nothing of MAML. Try smaller inner_lrs and meta_lrs, and look at the scale of x and y."
            )
        if better:
            words = f"better than MAML on these tasks: {', '.join(better)}"
        elif open_:
            words = f"not to be told from MAML on these tasks: {', '.join(open_)}"
        else:
            words = "MAML is better than every rival here"
        return f"{words[0].upper()}{words[1:]}."

    @property
    def how_to_read(self) -> str:
        """What the columns of the table mean."""
        middle = "mean" if self.rises else "median"
        lines = [
            "A task's score is the mean over the trainings: what a network from one random training gives on "
            f'average. Then the {middle} over tasks. "Better by": the {middle} of the differences task by task; '
            "below 0 the method is better than MAML."
        ]
        if self.metric == "mse":
            lines.append(
                '"Ran away": tasks that the steps made worse than twice the worst loss before any.'
            )
        return " ".join(lines)

    @property
    def title(self) -> str:
        s = self.settings
        trial = "A trial. " if s["quick"] else ""
        return (
            f"{trial}{self.family}: {self.metric} on {s['scored on']}, {seeds_in_words(s['seeds'])}"
        )

    def tried(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(head, rows) of what each method chose between, with the scores on validation tasks."""
        middle = "mean" if self.rises else "median"
        rows: list[tuple[str, ...]] = [
            (name, "; ".join(f"{words}: {value:.3g}" for words, value in row.tried.items()))
            for name, row in self.rows.items()
            if row.tried
        ]
        return ("method", f"tried: {self.metric} on validation tasks, {middle}"), rows

    def __repr__(self):
        table = tables.as_text(*self.table())
        return "\n".join([self.title, self.how_to_read, table, self.verdict, *self.notes])

    def _repr_html_(self):
        paragraph = lambda line: f"<p>{tables.escaped(line)}</p>"
        above = "".join(map(paragraph, (self.title, self.how_to_read)))
        below = "".join(map(paragraph, (self.verdict, *self.notes)))
        return above + tables.as_html(*self.table()) + below


def seeds_in_words(seeds) -> str:
    """ "3 seeds"."""
    return f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"


def _interval(values) -> str:
    if not np.isfinite(values[0]):
        return "it ran away"
    value, low, high = (f"{v:.3g}".replace("-", "−", 1) if v < 0 else f"{v:.3g}" for v in values)
    return f"{value} ({low} to {high})"


def _gain(values) -> str:
    if np.isinf(values[0]):
        return "MAML ran away" if values[0] < 0 else "it ran away"
    return _interval(values)


def _curve(row, scoring, steps):
    """(steps,): the middle score of a row after each step, over seeds as `Row.scores` has it."""
    columns = range(row.values.shape[2])
    curve = np.array([scoring.middle(replace(row, step=step).scores)[0] for step in columns])
    return curve if len(curve) == steps else np.full(steps, curve[0])


def compare(
    family,
    model=None,
    *,
    validation=None,
    test=None,
    oracle=None,
    seeds=(0, 1, 2),
    iterations=2000,
    meta_batch=25,
    inner_steps=1,
    steps=10,
    inner_lrs=None,
    meta_lrs=META_LRS,
    episodes=200,
    validation_episodes=100,
    test_seed=TEST_SEED,
    quick=False,
    progress=True,
) -> Comparison:
    """Meta-train MAML and its rivals on a family, each with settings of its own; test all on the same new tasks.

    model: function of no arguments → a new nn.Module, x (examples, …) → predictions (examples, outputs) or class
        scores (examples, ways). None: an MLP with two layers of 40.
    validation, test: families to choose settings on and to test on, where classes are held out, such as
        Glyphs("val"), Glyphs("test"). None: `family` itself, with other seeds.
    oracle: as in `check_family`. seeds: of initialisation and of training tasks; what is trained is trained once
        for each. iterations, meta_batch: of MAML, and of pretraining. inner_steps: K in training; steps: most in
        the test. inner_lrs, meta_lrs: α and β to choose between; the pretrained network and the one from scratch
        choose their own α among these and `ADAPT`.
    episodes, validation_episodes: test tasks, and tasks on which settings are chosen. test_seed: of the test
        tasks, 3 or more; whoever has looked at a table and goes on changing things takes another.
    quick: True for a trial: one seed, a fifth of the iterations, scores on validation tasks; no test task is
        drawn. The result says so.

    α and β are chosen with the first seed: each pair is trained for a quarter of the iterations, the best two in
    full. A task's score is the mean over the trainings; what ran away counts as the worst score.

    Methods: MAML; the pretrained network (of classes: with the body of a prototypical network) with its own α and
    number of steps; a ridge head on its features; the same network from scratch; a plain learner on the
    support set; the average predictor; the oracle, if there is one. Nothing is chosen on test tasks. Scores
    are mean squared errors, or accuracies.

    Raises ValueError for families without examples (of policies), for tasks that do not fit together, for models
    that do not fit, and for arguments that make no sense.
    """
    counts = {
        "iterations": iterations, "meta_batch": meta_batch, "inner_steps": inner_steps, "steps": steps,
        "episodes": (episodes, 20), "validation_episodes": (validation_episodes, 20),
    }  # fmt: skip
    _check(counts, seeds, inner_lrs, meta_lrs, test_seed)
    if quick:
        seeds, iterations = tuple(seeds)[:1], max(1, iterations // _QUICK)
    kind = _kind_of_all(family, validation, test)
    build, oracle = _model_for(model, family, kind), oracle_of(family, oracle)
    rates = tuple(INNER_LRS[kind.kind] if inner_lrs is None else inner_lrs)
    chosen_on = Fixed(validation or family, [VALIDATION_SEED], validation_episodes)
    scored_on = chosen_on if quick else Fixed(test or family, [test_seed], episodes)
    pieces = _pieces(len(rates) * len(meta_lrs)) + _pieces(len(meta_lrs)) + 2 * len(seeds) + 4
    with tqdm(total=pieces, disable=None if progress else True, desc="compare") as bar:
        bench = Bench(
            family, chosen_on, scored_on, build, Scoring(kind.ways), tuple(seeds), iterations, meta_batch,
            inner_steps, steps, rates, tuple(meta_lrs), _ticking(bar),
        )  # fmt: skip
        _look_first(bench, kind, oracle)
        rows = _all_rows(bench, oracle)
    where = {"validation": validation, "test": test, "test seed": test_seed, "quick": quick}
    return _compared(bench, kind, rows, where)


def _pieces(candidates: int) -> int:
    """How many trainings `search` makes."""
    return candidates + FINAL if candidates > FINAL else candidates


def _ticking(bar):
    def tick(words):
        bar.set_postfix_str(words)
        bar.update()

    return tick


def _all_rows(bench: Bench, oracle) -> dict[str, Row]:
    """The rows of all methods, MAML first."""
    models, tried = pretrained(bench)
    rows = [maml(bench), fine_tuned(bench, PRETRAINED, models, tried)]
    try:
        rows.append(head_on_features(bench, models))
    except ValueError as error:  # of `body_of`
        bench.notes.append(f"no head on features: {error}")
    rows.append(fine_tuned(bench, SCRATCH, [bench.fresh(seed) for seed in bench.seeds]))
    rows += _untrained(bench, oracle)
    source = rows[0].source
    return {row.name: replace(row, source=source, metric=rows[0].metric) for row in rows}


def _untrained(bench: Bench, oracle) -> list[Row]:
    """What takes no gradient steps: a plain learner, the average predictor, the oracle."""
    train = average_pool(bench.family, [AVERAGE_SEED])
    pools = Pools(train, bench.validation.tasks, bench.test.tasks)
    average = choose_average(pools, bench.scoring, 0)
    plain = choose_plain(pools, bench.scoring, 0)
    of_average = lambda x, y, query: average.learner(query)
    rows = [
        _row(bench, PLAIN, plain.learner, plain.name, plain.tried),
        _row(bench, AVERAGE, of_average, average.name, average.tried),
    ]
    if oracle is not None:
        try:
            rows.append(_row(bench, ORACLE, _asking(bench, oracle), "who knows the law", {}))
        except ValueError as error:  # of some task; the first one was fine
            bench.note(f"no oracle: {error}")
    bench.tick("plain learners")
    return rows


def _asking(bench, oracle):
    """An oracle as a function (support_x, support_y, query_x) → predictions, which are checked."""
    like = bench.test.tasks[0].query_y
    expected = lambda query: np.zeros((len(query), *like.shape[1:]), like.dtype)
    return lambda x, y, query: ask(oracle, Task(x, y, query, expected(query)), bench.scoring)


def _row(bench, name, answer, chosen, tried) -> Row:
    predictions = [on_support(answer, task) for task in bench.test.tasks]
    values = bench.scoring.of(predictions, bench.test.tasks).values[None]  # (1, tasks, 1)
    return Row(name, bench.scoring.metric, values, 0, chosen, tried, answer=answer)


def _compared(bench, kind, rows, where) -> Comparison:
    quick, number = where["quick"], len(bench.test)
    scored = "validation tasks" if quick else f"test tasks (seed {where['test seed']})"
    settings = {
        "seeds": list(bench.seeds), "iterations": bench.iterations, "meta-batch": bench.meta_batch,
        "K in training": bench.inner_steps, "most steps in the test": bench.steps,
        "α of MAML to choose from": list(bench.inner_lrs), "β to choose from": list(bench.meta_lrs),
        "validation tasks": len(bench.validation), "scored on": f"{number} {scored}",
    }  # fmt: skip
    for name in ("validation", "test"):
        if where[name] is not None:
            settings[f"{name} family"] = short(where[name])
    settings |= {"model": _model_in_words(bench), "quick": quick}
    notes = list(bench.notes)
    if quick:
        notes.append(
            "quick=True: one seed, few iterations, scores on the validation tasks on which settings were chosen; "
            "a trial, not a result. No test task was used."
        )
    elif len(bench.seeds) < 3:
        notes.append(
            f"{seeds_in_words(bench.seeds)}: three or more show how much depends on chance."
        )
    description = inspect.getdoc(bench.family) or ""
    return Comparison(
        short(bench.family), description, kind.kind, bench.scoring.metric, rows, settings,
        _failure(bench, rows), bench.scoring, tuple(notes), source_of(bench.family),
    )  # fmt: skip


def _model_in_words(bench) -> str:
    """The layers by name, and how many parameters there are."""
    model = bench.fresh(bench.seeds[0])
    parts = [m for m in model.modules() if not list(m.children())]
    words = " → ".join(" ".join(repr(part).split()).removesuffix("()") for part in parts)
    for usual in ("in_features=", "out_features=", ", bias=True"):
        words = words.replace(usual, "")
    words = words if len(words) <= 200 else type(model).__name__
    return f"{words}; {sum(p.numel() for p in model.parameters()):,} parameters"


def _failure(bench, rows) -> dict[str, Any]:
    """The task on which MAML does worst, and what is said there; of networks with the seed that does worst."""
    worst = np.argmin if bench.scoring.rises else np.argmax
    mine = rows["MAML"]
    number = int(worst(bench.scoring.ranked(mine.scores).values[:, 0]))
    of_seeds = bench.scoring.ranked(
        Evaluation(mine.metric, mine.values[:, number, mine.step, None])
    )
    seed = int(worst(of_seeds.values[:, 0]))
    raw = bench.test.rows[number]
    said = {name: _said(bench, rows[name], seed, number, raw[2]) for name in ("MAML", PRETRAINED)}
    others = [name for name in (PLAIN, ORACLE) if name in rows] if not bench.scoring.ways else []
    at_support = {name: _said(bench, rows[name], seed, number, raw[0]) for name in (*said, *others)}
    drawn = {
        name: float(row.values[min(seed, len(row.values) - 1), number, row.step]) for name, row in rows.items()
    }  # fmt: skip
    return {
        "task": number, "seed": bench.seeds[seed],
        **dict(zip(("support_x", "support_y", "query_x", "query_y"), raw, strict=True)),
        "predictions": said, "at support": at_support,
        "others": {name: _said(bench, rows[name], seed, number, raw[2]) for name in others},
        "scores": {name: float(row.scores.values[number, 0]) for name, row in rows.items()}, "drawn": drawn,
    }  # fmt: skip


def _said(bench, row, seed, number, x):
    """What a method says of x in one task: predictions like y, or class numbers."""
    raw, task = bench.test.rows[number], bench.test.tasks[number]
    if row.answer is not None:
        return row.answer(task.support_x, task.support_y, x.reshape(len(x), -1).astype(float))
    output = row.learners[seed].predictions(*raw[:2], x, row.step)[-1].detach().numpy()
    return output.argmax(1) if bench.scoring.ways else output


# ------------------------------------------------------------------ checks of arguments


def _check(counts, seeds, inner_lrs, meta_lrs, test_seed):
    for name, value in counts.items():
        value, least = value if isinstance(value, tuple) else (value, 1)
        if not is_count(value, least):
            raise ValueError(f"{name} must be a whole number ≥ {least}; got {value!r}.")
    try:
        seeds = list(seeds)
    except TypeError:
        seeds = []
    if not seeds or len(set(seeds)) < len(seeds) or not all(is_count(seed, 0) for seed in seeds):
        raise ValueError(
            "seeds must be different whole numbers ≥ 0, such as (0, 1, 2); one of them at least."
        )
    if not is_count(test_seed, TEST_SEED) or test_seed in {TRAINING_SEED + seed for seed in seeds}:
        raise ValueError(
            f"test_seed must be a whole number ≥ {TEST_SEED} whose tasks training does not draw (not "
            f"{TRAINING_SEED} + a seed); got {test_seed!r}."
        )
    for name, rates in (("inner_lrs", inner_lrs), ("meta_lrs", meta_lrs)):
        if rates is None and name == "inner_lrs":
            continue
        try:
            fine = len(rates) > 0 and all(0 < float(rate) < np.inf for rate in rates)
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise ValueError(f"{name} must hold numbers above 0, one at least; got {rates!r}.")


def _kind_of_all(family, validation, test) -> Kind:
    """What the tasks are; ValueError unless those of all three families are of one kind."""
    kinds = {}
    for name, one in (("family", family), ("validation", validation), ("test", test)):
        if one is None:
            continue
        refuse_policies(one)
        rows = rows_of(drawn(one, [0], 25))
        kinds[name] = kind_of(rows), rows[0][0].shape[1:], rows[0][1].shape[1:]
    for name, found in kinds.items():
        if found != kinds["family"]:
            raise ValueError(
                f"{name} has {_in_words(*found)}, family {_in_words(*kinds['family'])}: tasks of one kind are "
                f"compared."
            )
    return kinds["family"][0]


def _in_words(kind, x, y) -> str:
    what = f"{kind.kind} of {kind.ways} classes" if kind.ways else kind.kind
    return f"{what} with examples of shapes {x} and {y}"


def _look_first(bench: Bench, kind: Kind, oracle):
    """ValueError for what would end in nothing after all training."""
    _look_at_tasks(bench, kind)
    _try_model(bench)
    if oracle is not None:
        ask(oracle, bench.test.tasks[0], bench.scoring)


def _look_at_tasks(bench: Bench, kind: Kind):
    """ValueError for labels that do not count from 0, and for test tasks that were seen before."""
    tasks = bench.test.tasks
    every = set(range(kind.ways))
    if kind.ways and np.mean([set(task.support_y.tolist()) == every for task in tasks]) < 0.5:
        problem = labels_count(tasks, kind)
        raise ValueError(f"{problem.name}: {problem.words}")
    text = lambda task: b"".join(np.ascontiguousarray(part).tobytes() for part in task)
    train = draw_tasks(
        bench.family, TRAINING_SEED + bench.seeds[0], 4 * AT_ONCE
    )  # as meta_train draws them
    chosen_on = [] if bench.test is bench.validation else bench.validation.tasks  # of a trial
    seen = {text(task) for task in (*chosen_on, *train)}
    share = float(np.mean([text(task) in seen for task in tasks]))
    if share > 0.1:
        raise ValueError(
            f"{100 * share:.0f} % of the test tasks are tasks of training or validation, example by example: a "
            f"test on "
            "them says nothing of new tasks. Other seeds must give other tasks: check_family says where they do "
            "not."
        )


def _model_for(model, family, kind: Kind):
    """A function of no arguments → a new network."""
    if model is None:
        row = rows_of(drawn(family, [0], 1))[0]
        inputs, shape = int(np.prod(row[0].shape[1:])), row[1].shape[1:]
        if len(shape) > 1 or not row[0].shape[1:]:
            raise ValueError(
                f"for x {row[0].shape} and y {row[1].shape} of one task there is no network by default: give "
                "model=."
            )
        outputs = kind.ways or shape[0]
        network = lambda: mt.MLP(inputs, 40, 40, outputs)
        if row[0].ndim == 2:
            return network
        return lambda: nn.Sequential(nn.Flatten(), *network())
    if isinstance(model, nn.Module) or not callable(model):
        raise ValueError(
            "model must be a function that makes a new network each time, such as lambda: mt.MLP(1, 40, 40, 1): "
            "every "
            "seed and every method starts from one of its own."
        )
    return model


def _try_model(bench: Bench):
    """ValueError unless the model takes x and gives what is compared with y."""
    try:
        model, other = bench.fresh(0), bench.fresh(0)
    except Exception as error:
        raise ValueError(f"model() raised {told(error)}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"model() must give an nn.Module; it gave {type(model).__name__}.")
    if {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in other.parameters()}:
        raise ValueError(
            "model() gives a network with the same parameters each time, so that every method would go on from the "
            "training of another: make a new one inside the function, lambda: mt.MLP(1, 40, 40, 1)."
        )
    learner = mt.MAML(model, bench.loss, bench.inner_lrs[0], 1)
    support_x, support_y, query_x, query_y = bench.test.rows[0]
    try:
        output = learner.predictions(support_x, support_y, query_x, 0)[0]
    except Exception as error:
        whole = (
            f" x holds whole numbers ({support_x.dtype}): give floats, x.astype(np.float32)."
            if support_x.dtype.kind in "biu"
            else ""
        )
        raise ValueError(
            f"the model does not take x of shape {support_x.shape}: {told(error)}{whole}"
        ) from error
    ways = bench.scoring.ways
    expected = (len(query_x), ways) if ways else query_y.shape
    if tuple(output.shape) != tuple(expected):
        raise ValueError(
            f"the model gives {tuple(output.shape)} for a query set; it must give {tuple(expected)}."
        )
    if ways:
        body_of(model)  # pretraining needs it
