"""How hard a family is: what is known without this task, and by whoever knows the law. Start with `measure`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from maml_edu.pytorch.intervals import Evaluation

from .agreement import support_is_silent
from .answers import Check, failed, not_computed, noted, passed
from .content import Kind, pooled
from .plain import (
    POINTS,
    Choice,
    Scoring,
    Task,
    average_predictors,
    choose,
    distances,
    learners,
    on_all_but_a_fold,
    on_support,
)

MUCH = 0.7  # share of what there is to know that is worth a word if no support set is needed for it
ROOM = 0.05  # share of what could be gained below which there is nothing to gain
SHARED = 0.1  # share of the way from guessing to perfection that labels may be known without a support set
PLACES = 0.6  # share of x's variance between tasks beyond which these are different places
ALMOST_ALL = 0.95  # share of y's variance, or accuracy, beyond which nothing is left to learn


@dataclass(frozen=True)
class Pools:
    """Tasks for three ends: to fit the average predictor to, to choose settings on, and to test on."""

    train: Sequence[Task]
    validation: Sequence[Task]
    test: Sequence[Task]


@dataclass
class Measured:
    """Scores on the test tasks: of "average", "plain", "stand-in", "oracle"; names: who that was."""

    scoring: Scoring
    scores: dict[str, Evaluation] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    problem: str = ""  # of the oracle

    @property
    def best(self) -> str:
        return "oracle" if "oracle" in self.scores else "stand-in"

    def value(self, name) -> float:
        return self.scoring.middle(self.scores[name])[0]

    def told(self, name) -> str:
        """ "0.123 (0.100 to 0.140)"."""
        return "{:.3g} ({:.3g} to {:.3g})".format(*self.scoring.middle(self.scores[name]))

    def gain(self, better, worse) -> tuple[float, float, float]:
        return self.scoring.gain(self.scores[better], self.scores[worse])


def usual_distance(tasks: Sequence[Task], rng) -> float:
    """The median distance of two examples of the family, at least a little above 0."""
    x = pooled(tasks[:50])[0]
    x = x[rng.permutation(len(x))[:200]]
    found = np.sqrt(distances(x, x)[np.triu_indices(len(x), 1)])
    return max(float(np.median(found)), 1e-9)


def choose_average(pools: Pools, scoring: Scoring, seed) -> Choice:
    """The average predictor: fitted to training tasks, its form chosen on validation tasks."""
    rng = np.random.default_rng(seed)
    x, y = pooled(pools.train)
    taken = rng.permutation(len(x))[:POINTS]
    scale = usual_distance(pools.train, rng)
    fitted = average_predictors(x[taken], y[taken], scoring, scale, rng)
    return choose(fitted, lambda f, task: f(task.query_x), pools.validation, scoring)


def choose_plain(pools: Pools, scoring: Scoring, seed, predict: Callable = on_support) -> Choice:
    """The learner that does best on validation tasks, with the support set alone or what `predict` gives it."""
    scale = usual_distance(pools.train, np.random.default_rng(seed))
    return choose(learners(scoring, scale), predict, pools.validation, scoring)


def measure(pools: Pools, scoring: Scoring, oracle: Callable | None, seed) -> Measured:
    """Scores of the average predictor, of a plain learner, of the same with more examples, and of the oracle."""
    measured = Measured(scoring)
    ways: dict[str, tuple[Choice, Callable]] = {
        "average": (choose_average(pools, scoring, seed), lambda f, task: f(task.query_x)),
        "plain": (choose_plain(pools, scoring, seed), on_support),
        "stand-in": (choose_plain(pools, scoring, seed, on_all_but_a_fold), on_all_but_a_fold),
    }
    for name, (choice, predict) in ways.items():
        predictions = [predict(choice.learner, task) for task in pools.test]
        measured.scores[name] = scoring.of(predictions, pools.test)
        measured.names[name], measured.choices[name] = choice.name, choice
    if oracle is not None:
        try:
            predictions = [ask(oracle, task, scoring) for task in pools.test]
            measured.scores["oracle"] = scoring.of(predictions, pools.test)
            measured.names["oracle"] = "who knows the law"
        except ValueError as error:
            measured.problem = str(error)
    return measured


def ask(oracle: Callable, task: Task, scoring: Scoring, support: Task | None = None) -> np.ndarray:
    """What an oracle says of a task's queries, given copies; ValueError if it is of no use.

    support: the task that the support set is from; None: the same.
    """
    source = task if support is None else support
    given = [np.array(part) for part in (source.support_x, source.support_y, task.query_x)]
    try:
        said = oracle(*given)
        said = np.asarray(said.detach().cpu() if hasattr(said, "detach") else said)
    except Exception as error:
        raise ValueError(f"the oracle raised {type(error).__name__}: {error}") from error
    expected = [task.query_y.shape]
    if scoring.ways:
        expected.append((len(task.query_y), scoring.ways))
    if said.shape not in expected or said.dtype.kind not in "biuf":
        raise ValueError(
            f"the oracle must give numbers of shape {' or '.join(map(str, expected))} for these queries; it gave "
            f"{said.dtype} of shape {said.shape}."
        )
    if not np.isfinite(said).all() and not (scoring.ways and said.ndim == 2):
        raise ValueError("the oracle's predictions hold NaN or infinity.")
    return said


# ------------------------------------------------------------------ the checks


def about_difficulty(measured: Measured, pools: Pools, kind: Kind, oracle, shared_labels) -> list:
    """All checks of how hard the family is."""
    checks = [_average(measured)]
    if kind.ways:
        checks.append(_labels_change(measured, pools, kind, shared_labels))
    checks += [_oracle(measured, pools, oracle), _tasks_differ(measured, pools, kind, oracle)]
    return [*checks, _support_helps(measured, pools, kind), _room_for_maml(measured)]


def _average(measured):
    words = (
        f"{measured.names['average']}: {measured.scoring.metric} {measured.told('average')}. So much is known "
        "without a "
        "support set."
    )
    return passed("average predictor", words, measured.value("average"))


def _labels_change(measured, pools, kind, shared_labels):
    name = "a label means another class in each task"
    value, low, _ = measured.scoring.middle(measured.scores["average"])
    if measured.scoring.metric != "accuracy":
        return not_computed(name, "asked of accuracies only.")
    chance = 1 / kind.ways
    known = (low - chance) / (1 - chance)
    if known <= SHARED:
        return passed(
            name, f"without a support set {value:.2f} are right; guessing: {chance:.2f}.", value
        )
    words = f"without a support set {value:.2f} are right, where guessing gives {chance:.2f}"
    labels = np.concatenate([task.query_y for task in pools.test])
    most = np.bincount(labels).max() / len(labels)
    if most - chance > 0.5 * (value - chance):  # whoever says one class for all has most of it
        return failed(
            name,
            f"{words}: {100 * most:.0f} % of all queries are of class {np.bincount(labels).argmax()}, and whoever "
            "always says that is right as often. Ask for all classes alike, or number them in random order.",
            value,
        )
    if shared_labels:
        return noted(name, f"{words}: you said that labels are shared.", value)
    return failed(
        name,
        f"{words}: a label means much the same in all tasks, which can be learned once and for all. Number the "
        "classes of each task in random order, take out of x what tells the label, or say shared_labels=True if "
        "they are meant to be the same.",
        value,
    )


def _oracle(measured, pools, oracle):
    name = "oracle"
    if oracle is None:
        words = (
            f"none was given. In its place: {measured.names['stand-in']}, which has seen the other queries as "
            "well: "
            f"{measured.told('stand-in')}. That is no limit: give oracle=f(support_x, support_y, query_x) if you "
            "know the law."
        )
        return not_computed(name, words)
    if measured.problem:
        return failed(name, measured.problem)
    measured.problem = _of_no_oracle(measured, pools, oracle)
    if measured.problem:
        return failed(name, measured.problem, measured.value("oracle"))
    exact = not measured.scoring.rises and np.all(measured.scores["oracle"].values <= 1e-12)
    words = f"{measured.scoring.metric} {measured.told('oracle')}." + (
        " 0 exactly is right only if y holds no noise." if exact else ""
    )
    return passed(name, words, measured.value("oracle"))


def _of_no_oracle(measured, pools, oracle) -> str:
    """What is wrong with an oracle: "" if nothing is."""
    scoring, tasks = measured.scoring, pools.test
    if measured.gain("plain", "oracle")[1] > 0 and _is_much(measured, "plain", "oracle"):
        return (
            f"it is worse ({measured.told('oracle')}) than a plain learner ({measured.names['plain']}, "
            f"{measured.told('plain')}): who knows the law is not. Look for a mistake in it."
        )
    try:
        again = [ask(oracle, task, scoring) for task in tasks]
    except ValueError as error:
        return f"asked a second time: {error}"
    if not np.allclose(
        scoring.of(again, tasks).values, measured.scores["oracle"].values, equal_nan=True
    ):
        return "asked twice, it gives two answers: an oracle is a function of what it is given."
    if _looks_up(measured, tasks, oracle):
        return (
            "its answers change when x changes by a billionth: it looks this task up, perhaps in what the family "
            "keeps. An oracle knows the law of the family and the support set, and no more."
        )
    try:
        others = [*tasks[1:], tasks[0]]
        misled = [ask(oracle, t, scoring, other) for t, other in zip(tasks, others, strict=True)]
    except ValueError as error:
        return f"with the support set of another task: {error}"
    value, low, _ = scoring.gain(measured.scores["oracle"], scoring.of(misled, tasks))
    helps = measured.gain("oracle", "average")
    if helps[1] > 0 and _is_much(measured, "oracle", "average") and low <= 0:
        return (
            f"it is as good ({measured.told('oracle')}) with the support set of another task: it knows this task "
            "from "
            "elsewhere, perhaps from what the family keeps, or from query_x. An oracle knows the law of the "
            "family and the "
            "support set, and no more."
        )
    return ""


def _looks_up(measured, tasks, oracle) -> bool:
    """Whether an oracle fails, or says other things, where x is changed by rounding; not asked of whole numbers."""
    scoring = measured.scoring
    moved = [
        t._replace(support_x=t.support_x * (1 + 1e-9), query_x=t.query_x * (1 + 1e-9))
        for t in tasks
    ]
    if all((part == np.round(part)).any() for t in tasks for part in (t.support_x, t.query_x)):
        return False
    try:
        scores = scoring.of([ask(oracle, task, scoring) for task in moved], tasks).values
    except ValueError:
        return True
    before = measured.scores["oracle"].values
    room = 0.01 * measured.value("average") if not scoring.rises else 0.0
    return bool(np.mean(~np.isclose(scores, before, rtol=0.01, atol=room, equal_nan=True)) > 0.05)


def _is_much(measured, better, worse) -> bool:
    """Whether one is better by more than ROOM of what the worse one could gain at most."""
    gain, worst = measured.gain(better, worse)[0], measured.value(worse)
    possible = 1 - worst if measured.scoring.rises else abs(worst)
    return gain > ROOM * possible


def _tasks_differ(measured, pools, kind, oracle):
    """Whether a task's own examples explain its queries better than another task's do."""
    name, scoring, tasks = "tasks differ", measured.scoring, pools.test
    others = [*tasks[1:], tasks[0]]
    learner = measured.choices["stand-in"].learner
    pairs = zip(tasks, others, strict=True)
    misled = scoring.of([on_all_but_a_fold(learner, t, other) for t, other in pairs], tasks)
    value, low, _ = scoring.gain(measured.scores["stand-in"], misled)
    who = measured.names["stand-in"]
    if low <= 0 and "oracle" in measured.scores and not measured.problem:
        pairs = zip(tasks, others, strict=True)
        misled = scoring.of([ask(oracle, t, scoring, other) for t, other in pairs], tasks)
        value, low, _ = scoring.gain(measured.scores["oracle"], misled)
        who = "the oracle"
    own, other = (scoring.middle(s)[0] for s in (measured.scores[measured.best], misled))
    if low > 0:
        apart = 0.0 if scoring.ways else _share_between(tasks)
        answer, more = (passed, "") if apart <= PLACES else (noted, _elsewhere(apart))
        return answer(
            name,
            f"with another task's examples {who} has {scoring.metric} {other:.3g}, better by {value:.3g} with the "
            f"task's own.{more}",
            value,
        )
    if not _is_too_easy(measured, pools, kind) and _average_and_rest(measured, pools):
        words = "a task's own examples explain what the average predictor leaves of its queries."
        return passed(name, words, value)
    return failed(
        name,
        f"another task's examples explain a task's queries as well as its own ({who}: {own:.3g} and {other:.3g}): "
        "the tasks "
        "are one task, or so noisy that nobody sees how they differ. Let what is drawn for a task change how y "
        "follows "
        "from x.",
        value,
    )


def _share_between(tasks) -> float:
    """The share of the variance of x that is between tasks; of the entry of x where it is largest."""
    sets = [np.concatenate([task.support_x, task.query_x]) for task in tasks]
    total = np.concatenate(sets).var(axis=0)
    within = np.mean([x.var(axis=0) for x in sets], axis=0)
    moves = within > 1e-12 * total.max()  # an entry that names the task is no place
    return float(1 - (within[moves] / total[moves]).min()) if moves.any() else 0.0


def _elsewhere(share):
    return (
        f" Yet x itself lies elsewhere in each task ({100 * share:.0f} % of its variance is between tasks): "
        f"perhaps "
        "one law for all, of which each task sees another part. Make sure that y follows from x differently, too."
    )


def _support_helps(measured, pools, kind):
    name, best = "the support set helps", measured.best
    value, low, high = measured.gain(best, "average")
    text = f"average predictor {measured.told('average')}, {best} {measured.told(best)}"
    too_easy = _is_too_easy(measured, pools, kind)
    helps = low > 0 and _is_much(measured, best, "average")
    learner, tasks = measured.choices["stand-in"].learner, pools.test
    asked = best == "stand-in" and (helps or not too_easy)
    if asked and support_is_silent(learner, tasks, measured.scoring, 0):
        return failed(
            name,
            f"{text}. Yet it is the queries that explain each other: the support set, of which a learner sees "
            "nothing else, tells as little of them as that of another task. Support and query seem to be of "
            "different tasks, or to number their classes differently: draw both from one task, and then divide "
            "them.",
            value,
        )
    if helps:
        return passed(name, f"{text}: this lies between, to be learned.", value)
    rest = None if too_easy else _average_and_rest(measured, pools)
    return rest or failed(name, f"{text}: {_why_not(measured, pools, too_easy)}.", value)


def _is_too_easy(measured, pools, kind) -> bool:
    known = _known_without(measured, pools)
    return _nothing_left(measured, pools, kind) or known > ALMOST_ALL


def _why_not(measured, pools, too_easy):
    known = _known_without(measured, pools)
    if too_easy:
        return (
            "too easy. One function of x answers all tasks, and no support set is needed: let tasks differ "
            "more, and "
            "take out of x what tells the answer"
        )
    if measured.best == "oracle":
        return (
            "impossible. Even the oracle gains nothing from the support set: more shots, less noise, or more in "
            "common "
            "between support and query"
        )
    nearly = (
        f"one function of x has {100 * known:.0f} % of what there is to know, without a support set: see that x "
        f"does "
        "not tell the answer, and let tasks differ more. Else "
    )
    return (nearly if known > MUCH else "") + (
        "no plain learner gains anything from the examples, even with more of them: perhaps impossible, perhaps "
        "only "
        "hard. If you know the law, give oracle=; else more shots and less noise"
    )


def _known_without(measured, pools) -> float:
    """What the average predictor has of what there is to know: of y's variance, or of the way from guessing."""
    value, scoring = measured.value("average"), measured.scoring
    if scoring.rises:
        return (value - 1 / scoring.ways) / (1 - 1 / scoring.ways)
    if scoring.ways or scoring.metric != "mse":
        return 0.0
    variance = float(pooled(pools.test)[1].var(axis=0).mean())
    return 1 - float(np.mean(measured.scores["average"].values)) / variance


def _average_and_rest(measured, pools) -> Check | None:
    """Passed, if a plain learner of what the average predictor leaves gains something; for want of an oracle."""
    scoring = measured.scoring
    if measured.best == "oracle" or scoring.ways:
        return None
    average = measured.choices["average"].learner

    def predict(learner, task):
        rest = task._replace(
            support_y=task.support_y - average(task.support_x),
            query_y=task.query_y - average(task.query_x),
        )
        return average(task.query_x) + on_all_but_a_fold(learner, rest)

    choice = choose_plain(pools, scoring, 0, predict)
    both = scoring.of([predict(choice.learner, task) for task in pools.test], pools.test)
    value, low, _ = scoring.gain(both, measured.scores["average"])
    if low <= 0 or value <= ROOM * measured.value("average"):
        return None
    words = "average predictor {}; with {} for what it leaves {:.3g} ({:.3g} to {:.3g}): this lies between, to "
    "be learned."
    return passed(
        "the support set helps",
        words.format(measured.told("average"), choice.name, *scoring.middle(both)),
        value,
    )


def _nothing_left(measured, pools, kind) -> bool:
    """Whether the average predictor leaves nothing to learn."""
    value = measured.value("average")
    if measured.scoring.rises:
        return value > ALMOST_ALL
    if kind.ways or measured.scoring.metric != "mse":
        return False
    variance = np.mean([np.var(task.query_y) for task in pools.test])
    return value < (1 - ALMOST_ALL) * variance


def _room_for_maml(measured) -> Check:
    """What a learner that has seen no other task leaves to one that has."""
    name, best = "a plain learner leaves room", measured.best
    value, low, _ = measured.gain(best, "plain")
    between = measured.gain(best, "average")[0]
    text = f"{measured.names['plain']}, on the support set alone: {measured.told('plain')}"
    if low > 0 and value > ROOM * between and _is_much(measured, best, "plain"):
        return passed(name, f"{text}; {best}: {measured.told(best)}.", value)
    return noted(
        name,
        f"{text}; {best}: {measured.told(best)}. Less than {100 * ROOM:.0f} % of the way from the average "
        "predictor is left to "
        "whoever has seen other tasks: MAML is hardly needed here. Say so, or give fewer shots.",
        value,
    )
