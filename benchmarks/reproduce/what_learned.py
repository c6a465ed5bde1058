"""What a meta-trained network has learned: which layers must move at test, and what its body is good for.

    python benchmarks/reproduce/what_learned.py

prints the tables of chapter 12 for three seeds and two widths. Parts: `sines` (which layers move, ridge heads,
CKA), `diversity` (1 to infinitely many training waves), `memory` (a code of the wave in the input), `shift` (other
waves than in training) and `glyphs`. Rates and penalties are chosen on validation tasks, the rates of training
at the first width and for the first seed; `diversity`, `memory` and the pretrained network of `shift` have
chapter 07's α of 0.01. With --runs each seed is stored, and an interrupted run with the same settings goes on.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import maml_edu.pytorch as mt
from maml_edu.pytorch.baselines import Scale
from maml_edu.tasks import Glyphs, Sinusoids, TaskBatch

VALIDATION, TEST = 2, 1  # seeds of the tasks
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)  # λ of ridge heads
QUIET = {"device": "cpu", "progress": False}


class Waves:
    """Sine waves of chapter 07, or others. many: a fixed number of them; code: how many inputs name the wave."""

    def __init__(self, shots=10, many=None, code=0, seed=0, height=1.0, turn=0.0, frequency=1.0):
        self.shots, self.many, self.code = shots, many, code
        self.height, self.turn, self.frequency = height, turn, frequency
        if many is not None:
            self.bank = self.draw(np.random.default_rng([seed, 12]), many)

    def draw(self, rng, number):
        """(heights, phases, codes) of new waves."""
        heights, phases = Sinusoids(1).draw_waves(rng, number)
        return heights * self.height, phases + self.turn, rng.normal(size=(number, self.code))

    def sample(self, rng, tasks=25):
        if self.many is None:
            waves = self.draw(rng, tasks)
        else:
            which = rng.integers(self.many, size=tasks)
            waves = [part[which] for part in self.bank]
        height, phase, code = (part.reshape(tasks, 1, -1) for part in waves)
        x = rng.uniform(-5, 5, (tasks, 2 * self.shots, 1))
        y = height * np.sin(self.frequency * x - phase)
        x = np.concatenate([x, code.repeat(2 * self.shots, 1)], 2)  # (tasks, examples, 1 + code)
        first, rest = slice(None, self.shots), slice(self.shots, None)
        return TaskBatch(x[:, first], y[:, first], x[:, rest], y[:, rest])


class Stored:
    """The tasks of a batch, one part after the other: for what is evaluated again and again."""

    def __init__(self, batch):
        self.batch, self.first = batch, 0

    def sample(self, rng, tasks=25):
        """The next tasks, and after the last ones the first; ValueError if they end in between."""
        batch = self.batch.part(self.first, self.first + tasks)
        self.first = (self.first + tasks) % len(self.batch)
        return batch


def trained(learner, tasks, iterations, seed, **how):
    """The learner after training; as it is when it diverges, which is told."""
    try:
        mt.meta_train(learner, tasks, iterations, seed=seed, **{**QUIET, **how})
    except mt.TrainingDiverged as error:
        print(f"  {type(learner).__name__} diverged: {str(error)[:100]}", flush=True)
    return learner


# ------------------------------------------------------------------ sine waves

SINE_RATES = (0.003, 0.01, 0.03, 0.1)
SINE_PARTS = {
    "all layers": None,
    "the head": "4",
    "all but the head": ("0", "2"),
    "layer 1": "0",
    "layer 2": "2",
    "layer 2 and the head": ("2", "4"),
}
SINE_METHODS = {
    "MAML, K = 1": (mt.MAML, 1),
    "MAML, K = 5": (mt.MAML, 5),
    "ANIL, K = 1": (mt.ANIL, 1),
    "ANIL, K = 5": (mt.ANIL, 5),
    "BOIL, K = 1": (mt.BOIL, 1),
    "pretrained": (mt.FineTuning, 1),
}


def sine_learner(method, width, seed, inner_lr):
    kind, steps = SINE_METHODS[method]
    torch.manual_seed(seed)
    return kind(mt.MLP(1, width, width, 1), inner_lr=inner_lr, inner_steps=steps)


def sine_trained(method, width, seed, inner_lr, iterations):
    learner = sine_learner(method, width, seed, inner_lr)
    return trained(learner, Waves(), iterations, seed, meta_batch=25, meta_lr=1e-3)


def error_after(learner, tasks, episodes, steps, seed=VALIDATION):
    """The mean error of tasks, which no runaway may be among."""
    mean = mt.evaluate(learner, tasks, episodes, steps, seed).mean[-1]
    return mean if np.isfinite(mean) else np.inf


@functools.cache
def sine_rate(method, width, iterations, episodes):
    """The rate with the least error on validation waves after a quarter of the training, of the first seed.

    width: the first of --widths, whose rates the others take over.
    """

    def error(rate):
        learner = sine_trained(method, width, 0, rate, iterations // 4 or 1)
        return error_after(learner, Waves(), episodes, learner.inner_steps)

    if method == "pretrained":  # its rate is of use in the test alone
        return 0.01
    rate = min(SINE_RATES, key=error)
    print(f"{method}, width {width}: α = {rate}", flush=True)
    return rate


def best_rate(learner, part, tasks, episodes, steps, rates):
    """The rate with the least error on validation tasks if only this part moves."""
    error = lambda rate: error_after(learner.moving_only(part, rate), tasks, episodes, steps)
    return min(rates, key=error)


def cells(result, steps=(1, 5, 10)):
    """Medians, means and the share that ran away (%) after these steps."""
    away = 100 * result.runaways[-1]
    return [*result.median[list(steps)], *result.mean[list(steps)], away]


def moving_parts(learner, parts, episodes, rates):
    """{part: cells} if only this part moves, at the learner's rate; the head also at its best rates."""
    evaluated = lambda part, rate, steps: mt.evaluate(
        learner.moving_only(part, rate), Waves(), episodes, steps, TEST
    )
    rows = {name: cells(evaluated(part, None, 10)) for name, part in parts.items()}
    best = []
    for steps in (1, 5, 10):
        rate = best_rate(learner, "4", Waves(), episodes, steps, rates)
        result = evaluated("4", rate, steps)
        best.append((result.median[-1], result.mean[-1], 100 * result.runaways[-1]))
    medians, means, away = zip(*best, strict=True)
    return rows | {"the head, its best α": [*medians, *means, away[-1]]}


def ridge_row(body, episodes, shots=(5, 10)):
    """Medians and means at 5 and 10 points of a ridge head on a body, with λ from validation tasks."""
    results = [ridge_result(body, episodes, Waves(number)) for number in shots]
    return [getattr(result, what)[0] for what in ("median", "mean") for result in results]


def ridge_result(body, episodes, waves):
    """The test of a ridge head whose λ has the least error on validation waves."""

    def error(strength):
        return error_after(mt.RidgeHead(body, strength=strength), waves, episodes, 0)

    head = mt.RidgeHead(body, strength=min(STRENGTHS, key=error))
    return mt.evaluate(head, waves, episodes, 0, TEST)


def oracle_row(episodes, shots=(2, 5, 10)):
    """Median and largest error of least squares on (sin x, cos x) at these numbers of points."""
    worst = []
    for number in shots:
        batch = Waves(number).sample(np.random.default_rng(TEST), episodes)
        design = lambda x: np.concatenate([np.sin(x), np.cos(x)], -1)
        weights = np.linalg.pinv(design(batch.support_x)) @ batch.support_y
        errors = np.square(design(batch.query_x) @ weights - batch.query_y).mean((1, 2))
        worst += [np.median(errors), errors.max()]
    return worst


def sine_layers(learner, steps, number=20):
    """CKA of each layer before and after, on 200 places, and how far its weights moved; means over waves."""
    batch = Waves().sample(np.random.default_rng(TEST), number)
    grid, theta = np.linspace(-5, 5, 200)[:, None], learner.detached()
    before = mt.layer_outputs(learner, theta, grid)
    alike, moved = [], []
    for x, y, *_ in batch:
        phi = learner.adapt(x, y, steps)
        after = mt.layer_outputs(learner, phi, grid)
        alike.append([mt.linear_cka(before[name], after[name]) for name in ("1", "3", "4")])
        moved.append([_moved(theta, phi, f"{name}.weight") for name in (0, 2, 4)])
    return [*np.mean(alike, 0), *(100 * np.mean(moved, 0))]


def _moved(theta, phi, name):
    return float((phi[name] - theta[name]).norm() / theta[name].norm())


def sines(width, seed, options):
    """The tables of one seed: {table: {row: numbers}}."""
    episodes = options.episodes
    untrained = sine_learner("MAML, K = 1", width, seed, 0.01)
    learners = {}
    for method in SINE_METHODS:
        rate = sine_rate(method, options.widths[0], options.iterations, episodes)
        learners[method] = sine_trained(method, width, seed, rate, options.iterations)
    move, read, layers = {}, {}, {}
    for method, learner in {**learners, "untrained": untrained}.items():
        if method in ("pretrained", "untrained"):
            rate = best_rate(learner, None, Waves(), episodes, 10, (*SINE_RATES, 0.001))
            learner = learner.moving_only(None, rate)
        rows = moving_parts(learner, SINE_PARTS, episodes, (*SINE_RATES, 0.3))
        move |= {f"{method} / {part}": numbers for part, numbers in rows.items()}
        read[method] = ridge_row(mt.body_of(learner.model), episodes)
        layers[method] = sine_layers(learner, learner.inner_steps)
    torch.manual_seed(seed)
    head = mt.RidgeHead(mt.body_of(mt.MLP(1, width, width, 1)), strength=0.1)
    trained(head, Waves(), options.iterations // 2 or 1, seed, meta_batch=25, meta_lr=1e-3)
    read["trained through a ridge head"] = ridge_row(head.model, episodes)
    oracle = {"least squares on sin x and cos x": oracle_row(episodes)}
    return {"moving": move, "ridge": read, "layers": layers, "oracle": oracle}


def diversity(width, seed, options):
    """MAML trained on M waves: errors on these and on new ones."""
    rows = {}
    for many in (1, 3, 10, 30, 100, None):
        waves = Waves(many=many, seed=seed)
        rows[f"M = {many or '∞'}"] = own_and_new(waves, Waves(), 1, width, seed, options)
    return {"waves": rows}


def memory(width, seed, options):
    """The same with three more inputs that name the wave."""
    rows = {}
    for many in (10, 30, 100, 1000, None):
        waves, new = Waves(many=many, code=3, seed=seed), Waves(code=3)
        rows[f"M = {many or '∞'}"] = own_and_new(waves, new, 4, width, seed, options)
    return {"waves": rows}


def own_and_new(waves, new, inputs, width, seed, options):
    """Medians on the training waves and on new ones after 0, 1 and 5 steps, then the means."""
    torch.manual_seed(seed)
    learner = mt.MAML(mt.MLP(inputs, width, width, 1), inner_lr=0.01)
    trained(learner, waves, options.iterations, seed, meta_batch=25, meta_lr=1e-3)
    results = [mt.evaluate(learner, tasks, options.episodes, 5, TEST) for tasks in (waves, new)]
    numbers = [getattr(result, what) for what in ("median", "mean") for result in results]
    return [values[step] for values in numbers for step in (0, 1, 5)]


def shift(width, seed, options):
    """Learners trained on the waves of chapter 07, tested on others."""
    worlds = {
        "as in training": {},
        "twice the height": {"height": 2.0},
        "phases from π to 2π": {"turn": np.pi},
        "frequency 1.5": {"frequency": 1.5},
    }
    rows = {}
    for method in ("MAML, K = 1", "MAML, K = 5", "ANIL, K = 5", "pretrained"):
        rate = sine_rate(method, options.widths[0], options.iterations, options.episodes)
        learner = sine_trained(method, width, seed, rate, options.iterations)
        for world, change in worlds.items():
            result = mt.evaluate(learner, Waves(**change), options.episodes, 10, TEST)
            rows[f"{method} / {world}"] = cells(result)
    return {"worlds": rows}


# ------------------------------------------------------------------ glyphs

GLYPH_RATES = (0.05, 0.1, 0.2, 0.4, 1.0, 2.0, 4.0)
HEAD_RATES = (0.5, 1.0, 2.0, 5.0)  # of the head alone
HEAD_STEPS = (1, 5, 20, 50, 100, 200)
GLYPH_METHODS = {  # name: (learner, K, rates to choose from: a head alone wants larger ones than a body)
    "MAML, K = 1": (mt.MAML, 1, GLYPH_RATES[1:]),
    "MAML, K = 5": (mt.MAML, 5, GLYPH_RATES),
    "ANIL, K = 5": (mt.ANIL, 5, GLYPH_RATES),
    "BOIL, K = 1": (mt.BOIL, 1, GLYPH_RATES[1:5]),
}
GLYPH_ROWS = [*GLYPH_METHODS, "untrained", "ProtoNet"]
BODY = [f"features.{kind}{number}" for number in (1, 2, 3, 4) for kind in ("conv", "norm")]
GLYPH_PARTS = {
    "all layers": None,
    "layers 1–4": "features",
    "layers 2–4 and the head": (*BODY[2:], "head"),
    "layers 3 and 4 and the head": (*BODY[4:], "head"),
    "layer 4 and the head": (*BODY[6:], "head"),
    "layer 4": BODY[6:],
    "the head": "head",
}


def glyphs_of(split):
    return Glyphs(split, ways=5, shots=1, queries=15)


def glyph_learner(method, width, seed, inner_lr):
    kind, steps, _ = GLYPH_METHODS[method]
    torch.manual_seed(seed)
    return kind(mt.Conv4(5, filters=width), F.cross_entropy, inner_lr=inner_lr, inner_steps=steps)


def glyph_trained(learner, iterations, seed, meta_lr=4e-3):
    how = {"meta_batch": 8, "meta_lr": meta_lr, "schedule": "cosine"}
    return trained(learner, glyphs_of("train"), iterations, seed, **how)


def right(learner, episodes, steps, split="test", seed=TEST):
    """% right after these inner steps."""
    tasks = glyphs_of(split)
    return 100 * mt.evaluate(learner, tasks, episodes, steps, seed, metric="accuracy").mean[-1]


@functools.cache
def glyph_score(method, width, rate, iterations, episodes):
    """% right on validation glyphs after so much training of the first seed."""
    learner = glyph_trained(glyph_learner(method, width, 0, rate), iterations, 0)
    return float(right(learner, episodes, learner.inner_steps, "val", VALIDATION))


def glyph_rate(method, width, iterations, episodes):
    """The rate with the most right after a quarter of the training."""
    score = lambda rate: glyph_score(method, width, rate, iterations // 4 or 1, episodes)
    scores = {rate: round(score(rate), 1) for rate in GLYPH_METHODS[method][2]}
    rate = max(scores, key=scores.__getitem__)
    print(f"{method}, {width} filters: α = {rate} of", scores, flush=True)
    return rate


def tasks_of(split, episodes, seed):
    """The tasks of which `evaluate` takes the first `episodes`, which draws a hundred at a time."""
    rng, family = np.random.default_rng(seed), glyphs_of(split)
    batches = [family.sample(rng, 100) for _ in range(0, episodes, 100)]
    arrays = zip(*(batch.arrays for batch in batches), strict=True)
    return TaskBatch(*(np.concatenate(parts)[:episodes] for parts in arrays))


def outputs_of(body, x):
    """The features of one task's examples, which batch norms normalise by themselves."""
    with torch.no_grad():
        return body(torch.as_tensor(x).float()).numpy()


def features_of(body, split, episodes, seed):
    """Tasks whose examples are the body's features at θ, those of support and query apart, as in the inner loop."""
    batch = tasks_of(split, episodes, seed)
    x, query_x = (np.stack([outputs_of(body, one) for one in part]) for part in batch.arrays[::2])
    return Stored(TaskBatch(x, batch.support_y, query_x, batch.query_y))


def both_features(body, episodes):
    """The features of validation and of test tasks."""
    splits = (("val", VALIDATION), ("test", TEST))
    return [features_of(body, split, episodes, seed) for split, seed in splits]


def percent(learner, tasks, episodes, steps=0):
    """% right after 0 … steps."""
    return 100 * mt.evaluate(learner, tasks, episodes, steps, metric="accuracy").mean


def head_alone(model, validation, test, episodes):
    """% right if the head alone moves, α and the number of steps of wide grids from validation glyphs."""
    scores = {}
    for rate in HEAD_RATES:
        head = mt.MAML(model.head, F.cross_entropy, inner_lr=rate)
        reached = percent(head, validation, episodes, HEAD_STEPS[-1])
        scores |= {(rate, steps): reached[steps] for steps in HEAD_STEPS}
    rate, steps = max(scores, key=scores.__getitem__)
    print(f"  the head alone: α = {rate}, {steps} steps", flush=True)
    return percent(mt.MAML(model.head, F.cross_entropy, inner_lr=rate), test, episodes, steps)[-1]


def heads_on(validation, test, episodes):
    """(% right of the nearest class mean, of a ridge head with λ from validation features, λ)."""
    ridge = lambda strength: mt.RidgeHead(Scale(), F.cross_entropy, strength)
    strength = max(STRENGTHS[1:], key=lambda one: percent(ridge(one), validation, episodes)[0])
    heads = (mt.NearestCentroid(), ridge(strength))
    return [percent(head, test, episodes)[0] for head in heads], strength


def features_after(learner, episodes):
    """Tasks whose examples are the features at φ, each task with its own."""
    parts = []
    for x, y, query_x, query_y in tasks_of("test", episodes, TEST):
        body = mt.body_of(learner.adapted(x, y))
        parts.append((outputs_of(body, x), y, outputs_of(body, query_x), query_y))
    return Stored(TaskBatch(*map(np.stack, zip(*parts, strict=True))))


NORMS = [f"features.norm{i}" for i in (1, 2, 3, 4)]


def likeness(learner, other, theta, phi, images):
    """CKA of each layer at θ with the same, or another, network at φ, on these images."""
    before, after = mt.layer_outputs(learner, theta, images), mt.layer_outputs(other, phi, images)
    return [mt.linear_cka(before[name], after[name]) for name in (*NORMS, "head")]


def glyph_layers(learner, number=10):
    """CKA of each layer before and after, on 600 images, then how far its weights moved (%); means over tasks."""
    images = np.concatenate(list(tasks_of("test", 8, TEST + 1).query_x))  # (8 * 75, 1, 28, 28)
    theta, alike, moved = learner.detached(), [], []
    for x, y, *_ in tasks_of("test", number, TEST):
        phi = learner.adapt(x, y)
        alike.append(likeness(learner, learner, theta, phi, images))
        weights = [f"features.conv{i}.weight" for i in (1, 2, 3, 4)] + ["head.weight"]
        moved.append([_moved(theta, phi, name) for name in weights])
    return [*np.mean(alike, 0), *(100 * np.mean(moved, 0))]


def unrelated(learner, width, seed):
    """CKA with a network that has nothing to do with it: the floor of the numbers above."""
    other = glyph_learner("MAML, K = 1", width, seed + 100, 0.1)
    images = np.concatenate(list(tasks_of("test", 8, TEST + 1).query_x))
    at = learner.detached(), other.detached()
    return [*likeness(learner, other, *at, images), *[np.nan] * (len(NORMS) + 1)]


def glyph_rows(learner, episodes):
    """(% right for each part that moves, % right of the heads on its body, CKA and moves)."""
    model, steps = learner.model, learner.inner_steps
    numbers = [right(learner.moving_only(p), episodes, steps) for p in GLYPH_PARTS.values()]
    validation, test = both_features(mt.body_of(model), episodes)
    before, strength = heads_on(validation, test, episodes)
    adapted = features_after(learner, episodes)
    ridge = mt.RidgeHead(Scale(), F.cross_entropy, strength)
    after = [percent(head, adapted, episodes)[0] for head in (mt.NearestCentroid(), ridge)]
    alone = head_alone(model, validation, test, episodes)
    return [*numbers, alone], [*before, *after], glyph_layers(learner)


def glyphs(width, seed, options):
    """The tables of one seed: {table: {row: numbers}}."""
    episodes = options.episodes if width < 32 else options.episodes // 2
    iterations = options.glyph_iterations if width < 32 else options.glyph_iterations // 2
    tables: dict = {"moving": {}, "heads": {}, "layers": {}}
    note = lambda method, rows: [
        tables[n].update({method: r}) for n, r in zip(tables, rows, strict=True)
    ]
    for method in [name for name in GLYPH_METHODS if name in options.methods]:
        rate = glyph_rate(method, width, iterations, episodes)
        learner = glyph_trained(glyph_learner(method, width, seed, rate), iterations, seed)
        note(method, glyph_rows(learner, episodes))
        tables["layers"][f"{method} / an untrained network"] = unrelated(learner, width, seed)
        print(f"  {method}, seed {seed}:", np.round(tables["moving"][method], 1), flush=True)
    if "untrained" in options.methods:
        note("untrained", glyph_rows(untrained_glyphs(width, seed, episodes), episodes))
    if "ProtoNet" in options.methods:
        torch.manual_seed(seed)
        proto = mt.ProtoNet(mt.body_of(mt.Conv4(5, filters=width)))
        glyph_trained(proto, iterations // 2 or 1, seed)
        scores, _ = heads_on(*both_features(proto.model, episodes), episodes)
        tables["heads"]["ProtoNet"] = [*scores, np.nan, np.nan]
    return tables


def untrained_glyphs(width, seed, episodes):
    """A network with its first weights that takes five steps at the best rate for validation glyphs."""
    untrained = glyph_learner("MAML, K = 5", width, seed, 1.0)
    score = lambda rate: right(untrained.moving_only(None, rate), episodes, 5, "val", VALIDATION)
    return untrained.moving_only(None, max(GLYPH_RATES, key=score))


# ------------------------------------------------------------------ tables

PARTS = {"sines": sines, "diversity": diversity, "memory": memory, "shift": shift, "glyphs": glyphs}
_ERRORS = [f"{what} after {steps}" for what in ("median", "mean") for steps in (1, 5, 10)]
_OWN = [
    f"{w}, {t} waves, {s}" for w in ("median", "mean") for t in ("own", "new") for s in (0, 1, 5)
]
COLUMNS = {
    "sines moving": [*_ERRORS, "ran away (%)"],
    "sines ridge": [f"{what}, {n} points" for what in ("median", "mean") for n in (5, 10)],
    "sines layers": [f"CKA {n}" for n in ("1", "2", "head")] + [f"moved {n} (%)" for n in ("1", "2", "head")],
    "sines oracle": [f"{what}, {n} points" for n in (2, 5, 10) for what in ("median", "largest")],
    "diversity waves": _OWN,
    "memory waves": _OWN,
    "shift worlds": [*_ERRORS, "ran away (%)"],
    "glyphs moving": [*GLYPH_PARTS, "the head, its best α"],
    "glyphs heads": ["class mean, θ", "ridge, θ", "class mean, φ", "ridge, φ"],
    "glyphs layers": [f"{w} {n}" for w in ("CKA", "moved (%)") for n in ("1", "2", "3", "4", "head")],
}  # fmt: skip


def shown(value, digits):
    """A number with so many digits; ∞ beyond 10⁴."""
    if np.isnan(value):
        return "–"
    if value > 1e4:
        return "∞"
    return f"{value:.{digits}g}" if 1e-9 < abs(value) < 100 else f"{value:.0f}"


def cell(values, digits):
    """The middle one of the seeds, and in brackets the lowest and the highest; NaN only if all are."""
    if np.isnan(values).any() and not np.isnan(values).all():
        values = np.where(np.isnan(values), np.inf, values)  # one that ran away beyond numbers
    middle, low, high = (shown(f(values), digits) for f in (np.median, np.min, np.max))
    return middle if low == high else f"{middle} ({low}–{high})"


def show(part, width, tables):
    """Print the tables of a part: the middle of the seeds and the extremes. tables: one dict per seed."""
    for table in tables[0]:
        columns = COLUMNS[f"{part} {table}"]
        print(f"\n{part}: {table}, width {width}\n\n| | {' | '.join(columns)} |")
        print("| :- |" + " :- |" * len(columns))
        for row in tables[0][table]:
            numbers = np.array([seed[table][row] for seed in tables], float)  # (seeds, columns)
            digits = 3 if part == "glyphs" or table == "layers" else 2
            print(f"| {row} | {' | '.join(cell(v, digits) for v in numbers.T)} |", flush=True)


def settings_of(part, options):
    """What else the numbers of a part depend on: stored with them, so that no run continues another."""
    if part != "glyphs":
        return {
            "iterations": options.iterations,
            "episodes": options.episodes,
            "rates at": options.widths[0],
        }
    return {
        "iterations": options.glyph_iterations,
        "episodes": options.episodes,
        "methods": options.methods,
    }


def tables_of(part, width, seed, options):
    """The tables of one part, width and seed; read if they are stored already. ValueError if of other settings."""
    path = options.runs and options.runs / f"{part}-{width}-{seed}.json"
    settings = settings_of(part, options)
    if path and path.is_file():
        stored = json.loads(path.read_text())
        if stored["settings"] != settings:
            raise ValueError(
                f"{path} was run with {stored['settings']}, and now {settings} is asked for: give --runs "
                "another folder."
            )
        return stored["tables"]
    began = time.process_time()
    tables = json.loads(json.dumps(PARTS[part](width, seed, options), default=float))
    seconds = time.process_time() - began
    print(f"{part}, width {width}, seed {seed}: {seconds:.0f} s of CPU", flush=True)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = {"settings": settings, "tables": tables}
        path.write_text(json.dumps(stored, ensure_ascii=False))
    return tables


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--widths", type=int, nargs="+", default=[40, 80], help="of sine networks")
    parser.add_argument("--filters", type=int, nargs="+", default=[16, 64], help="of Conv4")
    parser.add_argument("--iterations", type=int, default=10_000, help="of sine networks")
    parser.add_argument("--glyph-iterations", type=int, default=1000, help="half with 64 filters")
    parser.add_argument("--episodes", type=int, default=200, help="half with 64 filters")
    parser.add_argument(
        "--methods", nargs="+", choices=GLYPH_ROWS, default=GLYPH_ROWS, help="on glyphs"
    )
    parser.add_argument("--runs", type=Path, help="folder for what each seed gave")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.part:
        for width in options.filters if part == "glyphs" else options.widths:
            show(part, width, [tables_of(part, width, seed, options) for seed in options.seeds])


if __name__ == "__main__":
    main()
