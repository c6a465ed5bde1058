"""How each method of a comparison is trained and tuned: start with `Bench`. `maml_edu.pytorch` does the work."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch import modes
from maml_edu.pytorch.intervals import Evaluation
from maml_edu.tasks import TaskBatch

from .content import as_task, refuse_other_kinds
from .drawing import AT_ONCE, drawn, rows_of
from .plain import Choice, Scoring, Task, choose, learners

ADAPT = (
    0.001,
    0.003,
    0.01,
    0.03,
    0.1,
    0.3,
)  # α that the pretrained network and the one from scratch try
TRAINING_SEED = 1000  # plus a seed: of the tasks of training
TRIAL = 4  # a trial of settings takes this part of the iterations
FINAL = 2  # so many of them are then trained in full
IN_FULL = "(trained in full)"
HEADS = (1e-3, 1e-2, 0.1, 1.0, 10.0)  # λ of ridge heads, in units of the features' mean square


class Fixed:
    """Tasks that were drawn once: `sample` gives them in their order, whatever the generator."""

    def __init__(self, family, seed, tasks: int):
        rng = np.random.default_rng(seed)
        self.rows: list[tuple[np.ndarray, ...]] = []
        while len(self.rows) < tasks:
            self.rows += rows_of(drawn(family, rng, min(AT_ONCE, tasks - len(self.rows))))
        refuse_other_kinds(self.rows)
        self.tasks: list[Task] = [as_task(row) for row in self.rows]
        self.at = 0

    def __len__(self):
        return len(self.rows)

    def sample(self, rng, tasks=25) -> TaskBatch:
        """The next tasks; ValueError if there are not so many left."""
        rows = self.rows[self.at : self.at + tasks]
        if len(rows) < tasks:
            raise ValueError(f"{len(rows)} tasks are left, not {tasks}.")
        self.at += tasks
        if len({tuple(part.shape for part in row) for row in rows}) > 1:
            return TaskBatch.padded(rows)
        return TaskBatch(*(np.stack(parts) for parts in zip(*rows, strict=True)))

    def evaluated(self, learner, steps: int) -> Evaluation:
        """The scores of a learner on all of them."""
        self.at = 0
        with np.errstate(all="ignore"):
            return mt.evaluate(learner, self, episodes=len(self), steps=steps)


class Joined:
    """A family whose query sets hold the support set, too: at K = 0 its meta-loss is that of joint training."""

    def __init__(self, family):
        self.family = family

    def sample(self, rng, tasks=25) -> TaskBatch:
        batch = TaskBatch.of(self.family.sample(rng, tasks=tasks))
        if batch.support_mask is None and batch.query_mask is None:
            x, y, more_x, more_y = batch.arrays
            return TaskBatch(x, y, _both(x, more_x, 1), _both(y, more_y, 1))
        return TaskBatch.padded(
            [(x, y, _both(x, more_x), _both(y, more_y)) for x, y, more_x, more_y in batch]
        )


def _both(one, other, axis=0):
    join = torch.cat if isinstance(one, torch.Tensor) else np.concatenate
    return join([one, other], axis)


@dataclass(frozen=True)
class Bench:
    """What all methods of one comparison share; the arguments of `compare`, checked.

    validation, test: `Fixed` tasks. tick: called after each piece of work, with words.
    """

    family: Any
    validation: Fixed
    test: Fixed
    model: Callable[[], nn.Module]
    scoring: Scoring
    seeds: tuple[int, ...]
    iterations: int
    meta_batch: int
    inner_steps: int
    steps: int
    inner_lrs: tuple[float, ...]
    meta_lrs: tuple[float, ...]
    tick: Callable = lambda words: None
    notes: list[str] = field(default_factory=list)

    @property
    def loss(self):
        return F.cross_entropy if self.scoring.ways else F.mse_loss

    def fresh(self, seed: int) -> nn.Module:
        """A new network, the same for the same seed; torch's generator is afterwards as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.model()

    def trained(self, learner, tasks, meta_lr, seed, part=1) -> bool:
        """Meta-train a learner for a part of the iterations; whether it went well."""
        iterations = max(1, self.iterations // part)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                history = mt.meta_train(
                    learner, tasks, iterations, self.meta_batch, meta_lr, "cpu", seed=TRAINING_SEED + seed,
                    progress=False,
                )  # fmt: skip
        except mt.TrainingDiverged as error:
            self.note(f"seed {seed}, β {meta_lr:g}: {error}")
            return False
        if (
            history.interrupted
        ):  # meta_train gives back what it has; a comparison of that would mislead
            raise KeyboardInterrupt("the comparison was stopped by Ctrl-C; it has no result.")
        return True

    def note(self, words: str):
        """What has to be known, once."""
        if words not in self.notes:
            self.notes.append(words)

    def middle(self, scores: Evaluation, step: int) -> float:
        """The middle score after so many steps; whatever is no number is the worst there is."""
        value = self.scoring.middle(scores, step)[0]
        return value if np.isfinite(value) else self.worst

    @property
    def worst(self) -> float:
        return -np.inf if self.scoring.rises else np.inf

    def best_step(self, evaluations: list[Evaluation], least: int = 0) -> tuple[int, float]:
        """(number of steps ≥ `least` with the best validation score, that score); of several seeds the mean."""
        scores = [
            np.mean([self.middle(scores, step) for scores in evaluations])
            for step in range(evaluations[0].values.shape[1])
        ]
        better = np.argmax if self.scoring.rises else np.argmin
        step = least + int(better(scores[least:]))
        return step, float(scores[step])

    def note_edge(self, name: str, letter: str, rate: float, rates):
        """A note where the best of several rates is the last one on either side: a better one may lie beyond."""
        if len(rates) > 1 and rate in (min(rates), max(rates)):
            end = "smallest" if rate == min(rates) else "largest"
            self.notes.append(f"{name}: {letter} {rate:g} is the {end} that was tried; try beyond.")

    def best_of(self, tried: dict) -> Any:
        """The key with the best score."""
        return (max if self.scoring.rises else min)(tried, key=lambda key: tried[key])


@dataclass(frozen=True)
class Row:
    """One method on the test tasks.

    values: (seeds, tasks, steps + 1), a method without steps has one column. step: the number of steps, chosen on
    validation tasks. chosen: in words. tried: {setting in words: score on validation tasks}. learners: one a seed.
    diverged: the seeds with which training broke off. answer: of methods without networks, the function
    (support_x, support_y, query_x) → predictions.
    """

    name: str
    metric: str
    values: np.ndarray
    step: int
    chosen: str
    tried: dict[str, float] = field(default_factory=dict)
    source: str = ""
    learners: tuple = ()
    diverged: tuple = ()
    answer: Callable | None = None

    @property
    def scores(self) -> Evaluation:
        """The score of each task at the chosen step, the mean over seeds: (tasks, 1).

        It is what a network from one random training gives on average. NaN counts as the worst score there is:
        ∞, or an accuracy of 0.
        """
        values, accuracies = self.values[:, :, self.step], self.metric.endswith("accuracy")
        values = np.where(np.isnan(values), 0.0 if accuracies else np.inf, values)
        return Evaluation(self.metric, values.mean(axis=0)[:, None], self.source)

    @property
    def by_seed(self) -> list[Evaluation]:
        """The scores of each seed after each step."""
        return [Evaluation(self.metric, values, self.source) for values in self.values]

    @property
    def runaways(self) -> float:
        """The share of tasks, over all seeds, that the inner steps have made far worse."""
        return float(np.mean([scores.runaways[self.step] for scores in self.by_seed]))


# ------------------------------------------------------------------ networks that take gradient steps


def maml(bench: Bench) -> Row:
    """MAML: α and β chosen with the first seed (see `search`), the number of steps with all seeds."""

    def learner(pair, seed, part=1):
        made = mt.MAML(bench.fresh(seed), bench.loss, pair[0], bench.inner_steps)
        return made, bench.trained(made, bench.family, pair[1], seed, part)

    def trial(pair, part):
        made, fine = learner(pair, bench.seeds[0], part)
        scores = bench.validation.evaluated(made, bench.steps) if fine else None
        bench.tick("MAML: choosing α and β")
        return (made, fine), bench.best_step([scores], 1)[1] if scores else bench.worst

    pairs = {(a, b): f"α {a:g}, β {b:g}" for a in bench.inner_lrs for b in bench.meta_lrs}
    pair, first, tried = search(bench, pairs, trial)
    bench.note_edge("MAML", "α", pair[0], bench.inner_lrs)
    bench.note_edge("MAML", "β", pair[1], bench.meta_lrs)
    trained = [first]
    for seed in bench.seeds[1:]:
        trained.append(learner(pair, seed))
        bench.tick("MAML")
    diverged = [seed for seed, (_, fine) in zip(bench.seeds, trained, strict=True) if not fine]
    row = tested(bench, "MAML", [made for made, _ in trained], pairs[pair], tried, least=1)
    return replace(row, diverged=tuple(diverged))


def search(bench: Bench, candidates: dict, trial: Callable) -> tuple[Any, Any, dict[str, float]]:
    """(the best candidate, what its full training gave, {candidate in words: score on validation tasks}).

    candidates: {candidate: words}. trial(candidate, part) → (anything, score) trains with the first seed for one
    `part`-th of the iterations. More than FINAL candidates are first trained for a quarter; the best FINAL of
    them are then trained in full, and the better one is chosen.
    """
    final, tried = list(candidates), {}
    if len(final) > FINAL:
        short = {one: trial(one, TRIAL)[1] for one in candidates}
        tried = {candidates[one]: score for one, score in short.items()}
        final = sorted(short, key=lambda one: short[one], reverse=bench.scoring.rises)[:FINAL]
    full = {one: trial(one, 1) for one in final}
    tried |= {f"{candidates[one]} {IN_FULL}": score for one, (_, score) in full.items()}
    best = bench.best_of({one: score for one, (_, score) in full.items()})
    return best, full[best][0], tried


def pretrained(bench: Bench) -> tuple[list[nn.Module], dict[str, float]]:
    """A network of each seed, trained on all tasks at once, and what was tried; β chosen as MAML's (`search`).

    Of classes: its body as that of a prototypical network, for labels mean another class in each task.
    """

    def training(meta_lr, seed, part=1):
        model = bench.fresh(seed)
        learner: Any
        if bench.scoring.ways:
            learner, tasks = mt.ProtoNet(body_of(model)[0], bench.loss), bench.family
        else:
            learner, tasks = mt.MAML(model, bench.loss, 0.01, 0), Joined(bench.family)
        fine = bench.trained(learner, tasks, meta_lr, seed, part)
        return model, learner, fine

    def trial(meta_lr, part):
        model, learner, fine = training(meta_lr, bench.seeds[0], part)
        scores = bench.validation.evaluated(learner, 0) if fine else None
        bench.tick("pretraining: choosing β")
        return (model, fine), bench.middle(scores, 0) if scores else bench.worst

    rates = {b: f"pretraining, β {b:g}" for b in bench.meta_lrs}
    meta_lr, first, tried = search(bench, rates, trial)
    bench.note_edge("pretraining", "β", meta_lr, bench.meta_lrs)
    trained = [first]
    for seed in bench.seeds[1:]:
        model, _, fine = training(meta_lr, seed)
        trained.append((model, fine))
        bench.tick("pretraining")
    for seed, (_, fine) in zip(bench.seeds, trained, strict=True):
        if not fine:
            bench.note(f"pretraining broke off with seed {seed}: so far the network is pretrained.")
    return [model for model, _ in trained], tried


def fine_tuned(bench: Bench, name: str, models: list[nn.Module], before=()) -> Row:
    """Networks as they are, with an α and a number of steps of their own, chosen with the first seed.

    before: what was tried in pretraining, {words: score}.
    """
    tried = {}
    for rate in sorted({*ADAPT, *bench.inner_lrs}):
        trial = mt.FineTuning(models[0], bench.loss, rate, 1)
        tried[rate] = bench.best_step([bench.validation.evaluated(trial, bench.steps)])[1]
    bench.tick(f"{name}: choosing α")
    rate = bench.best_of(tried)
    bench.note_edge(name, "α", rate, tried)
    learners = [mt.FineTuning(model, bench.loss, rate, 1) for model in models]
    words = dict(before) | {f"α {a:g}": score for a, score in tried.items()}
    return tested(bench, name, learners, f"α {rate:g}", words)


def tested(bench: Bench, name, learners, chosen, tried, least=0) -> Row:
    """The row of some learners, one for each seed: how many steps is chosen on validation tasks."""
    step, _ = bench.best_step(
        [bench.validation.evaluated(learner, bench.steps) for learner in learners], least
    )
    scores = [bench.test.evaluated(learner, bench.steps) for learner in learners]
    values = np.stack([one.values for one in scores])
    bench.tick(name)
    chosen = f"{chosen}, {step} step{'s' * (step != 1)}"
    return Row(
        name, scores[0].metric, values, step, chosen, tried, scores[0].source, tuple(learners)
    )


# ------------------------------------------------------------------ a head on features


def body_of(model: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """(what comes before the last layer, the last layer). ValueError if that is not a linear one."""
    parts = list(model.children())
    if isinstance(getattr(model, "head", None), nn.Linear) and hasattr(model, "features"):
        return model.features, model.head
    if isinstance(model, nn.Sequential) and len(parts) > 1:
        if isinstance(parts[-1], nn.Linear):
            return nn.Sequential(*parts[:-1]), parts[-1]
        if isinstance(parts[-1], nn.Sequential):  # such as Flatten, then an MLP
            body, head = body_of(parts[-1])
            return nn.Sequential(*parts[:-1], body), head
    raise ValueError(
        "the model's last layer is not to be found (what comes before it is pretrained, and gets a new head): "
        "give an nn.Sequential that ends with nn.Linear, or a module "
        "with "
        "`features` and a linear `head`."
    )


def head_on_features(bench: Bench, models: list[nn.Module]) -> Row:
    """Ridge regression (of classes: or the nearest class mean) on what the pretrained body makes of x."""
    values, chosen = [], []
    tried: dict[str, float] = {}
    for model in models:
        body = copy.deepcopy(body_of(model)[0])  # whose running statistics may be written
        validation = [_embedded(body, row) for row in bench.validation.rows]
        test = [_embedded(body, row) for row in bench.test.rows]
        choice = _chosen_head(bench, validation)
        predictions = [choice.learner(t.support_x, t.support_y, t.query_x) for t in test]
        values.append(bench.scoring.of(predictions, test).values)
        chosen.append(choice.name)
        tried = tried or choice.tried
    bench.tick("head on features")
    words = "; ".join(dict.fromkeys(chosen))
    return Row(
        "ridge head on its features", bench.scoring.metric, np.stack(values), 0, words, tried
    )


def _chosen_head(bench, tasks) -> Choice:
    scale = float(np.sqrt(np.mean([np.mean(t.support_x**2) for t in tasks]))) or 1.0
    candidates = {
        name: learner
        for name, learner in learners(bench.scoring, scale, HEADS).items()
        if name.startswith("ridge") or name in ("nearest centroid", "nearest angle")
    }
    predict = lambda learner, t: learner(t.support_x, t.support_y, t.query_x)
    return choose(candidates, predict, tasks, bench.scoring)


@torch.no_grad()
def _embedded(body, row) -> Task:
    """A task whose x are the features that a body makes of them; batch norms see support and query together."""
    support_x, support_y, query_x, query_y = row
    x = torch.as_tensor(np.concatenate([support_x, query_x])).float()
    with modes.in_evaluation(body):
        features = body(x).flatten(1).double().numpy()
    k = len(support_x)
    return as_task((features[:k], support_y, features[k:], query_y))
