"""Every method of the family on the same 600 waves, each at settings of its own: `family.py --part table`.

Settings are chosen on 200 validation waves: each point of a method's grid is trained for 3,000 iterations from a
seed of its own, and the lowest median over waves wins, after 1, 5 or 10 steps, whichever is lowest. Fine-tuning
and the ridge head choose α or their strength on the same waves, after the whole training. Test waves choose
nothing.

*Gradient equivalents* per outer step and task: one is the gradient of the loss on one set of ten points; a
Hessian-vector product, a pass forward and back through a pass forward and back, counts as two. So

    FOMAML       K + 1          K inner gradients and the query gradient
    MAML         K + 1 + 2K     and a Hessian-vector product per inner step on the way back
    BOIL, Meta-SGD              as MAML: a head that stays, or the rates' own gradient, changes next to nothing
    MAML++       as MAML        and up to K − 1 query gradients while the query losses of all steps count (a tenth)
    ANIL         2              the body's features once for all K steps, then one pass back through support and
                                query; the head's own steps are of 41 of the 1,761 parameters, and do not count
    Reptile      K              no query gradient
    iMAML        K + 1 + 2(C + 1)   C steps of conjugate gradients, and one product for the first residual
    pretrained   2              one gradient on support and query, 20 points
"""

import copy
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from family_stability import META_BATCH, TASKS, network

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids

WAVES = Sinusoids(shots=10, queries=100)  # at test time the error over the whole wave
VALIDATION_SEED, TEST_SEED, TUNING_SEED = 1_000_003, 1_000_033, 100
VALIDATION, TEST = 200, 600  # waves
STEPS, SHOWN = 10, (1, 5, 10)
CHECKPOINTS = (1_000, 3_000)  # and the last iteration
ALPHAS = (0.003, 0.01, 0.03, 0.1)
HEAD_ALPHAS = (*ALPHAS, 0.3, 1.0)  # a head alone bears longer steps
FINE_TUNING = (0.001, 0.003, 0.01, 0.03, 0.1)
STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
CG_STEPS = 5


class Method(NamedTuple):
    """A row: make(model, **settings) → learner, the grid of its settings, and what a step costs."""

    make: Callable
    grid: dict
    cost: float


def unrolled(kind, steps, cost, alphas=ALPHAS):
    """MAML and its variants with one α."""
    return Method(
        lambda model, inner_lr: kind(model, inner_lr=inner_lr, inner_steps=steps),
        {"inner_lr": alphas},
        cost,
    )


def plus_plus(model, inner_lr):
    """Its rates train at an outer rate in proportion to their start, three times the library's default."""
    options = {"inner_lr": inner_lr, "inner_steps": 5, "rates_share": inner_lr}
    return mt.MAMLpp(model, torch.nn.functional.mse_loss, **options)


def implicit(model, inner_lr, strength):
    return mt.IMAML(
        model, inner_lr=inner_lr, inner_steps=STEPS, strength=strength, cg_steps=CG_STEPS
    )


METHODS = {
    "MAML, K = 1": unrolled(mt.MAML, 1, 4),
    "MAML, K = 5": unrolled(mt.MAML, 5, 16),
    "FOMAML, K = 1": unrolled(mt.FOMAML, 1, 2),
    "FOMAML, K = 5": unrolled(mt.FOMAML, 5, 6),
    "ANIL, K = 1": unrolled(mt.ANIL, 1, 2, HEAD_ALPHAS),
    "ANIL, K = 5": unrolled(mt.ANIL, 5, 2, HEAD_ALPHAS),
    "BOIL, K = 1": unrolled(mt.BOIL, 1, 4),
    "BOIL, K = 5": unrolled(mt.BOIL, 5, 16),
    "Meta-SGD, K = 1": unrolled(mt.MetaSGD, 1, 4),
    "Meta-SGD, K = 5": unrolled(mt.MetaSGD, 5, 16),
    "MAML++, K = 5": Method(plus_plus, {"inner_lr": ALPHAS[:-1]}, 16),
    "Reptile, K = 5": Method(
        lambda model, inner_lr: mt.Reptile(model, inner_lr=inner_lr, inner_steps=5),
        {"inner_lr": ALPHAS[:-1], "meta_lr": (3e-4, 1e-3, 3e-3)},
        5,
    ),
    "iMAML, K = 10": Method(
        implicit,
        {"inner_lr": (0.003, 0.01), "strength": (0.3, 1.0, 3.0, 10.0, 30.0)},
        STEPS + 3 + 2 * CG_STEPS,
    ),
    "pretrained": Method(lambda model: mt.FineTuning(model, inner_lr=0.01), {}, 2),
}


# ------------------------------------------------------------------ training and choosing


def trained(method, settings, seed, iterations, at=()):
    """(learner, {iteration: its scores}, None or the iteration of its divergence)."""
    settings, scores = dict(settings), {}
    outer = {"meta_lr": settings.pop("meta_lr", 1e-3)}
    learner = method.make(network(seed), **settings)

    def score(iteration, history, learner):
        if iteration in at or iteration == iterations:
            scores[iteration] = summary(evaluated(learner, TEST_SEED, TEST))

    callbacks = [(min(CHECKPOINTS[0], iterations), score)] if at else []
    fixed = {"meta_batch": META_BATCH, "seed": seed, "device": "cpu", "progress": False}
    try:
        mt.meta_train(learner, TASKS, iterations, callbacks=callbacks, **fixed, **outer)
    except mt.TrainingDiverged as error:
        return learner, scores, error.iteration
    return learner, scores, None


def evaluated(learner, seed, episodes):
    """Scores after 0 to 10 steps; fewer where the rates are of a number of steps."""
    steps = learner.inner_steps if isinstance(learner, mt.MAMLpp) else STEPS
    return mt.evaluate(learner, WAVES, episodes, steps=steps, seed=seed)


def summary(scores):
    """Medians, means and the number of runaways after the steps that are shown."""
    shown = [n for n in SHOWN if n < scores.values.shape[1]]
    return {
        str(n): [
            float(scores.median[n]),
            float(scores.mean[n]),
            round(len(scores) * float(scores.runaways[n])),
        ]
        for n in shown
    }


def lowest(result):
    """The lowest median of a summary, over the steps; infinite where there is none."""
    return min(
        (row[0] if math.isfinite(row[0]) else math.inf for row in result.values()), default=math.inf
    )


def points(grid):
    """All combinations of a grid's values, as dicts."""
    combined = [{}]
    for name, values in grid.items():
        combined = [{**point, name: value} for point in combined for value in values]
    return combined


def tuned(name, method, iterations, record):
    """(the chosen settings, [(point, its lowest validation median or infinity)])."""
    tried = []
    for point in points(method.grid) if method.grid else []:

        def work(point=point):
            learner, _, diverged = trained(method, point, TUNING_SEED, iterations)
            return (
                math.inf
                if diverged
                else lowest(summary(evaluated(learner, VALIDATION_SEED, VALIDATION)))
            )

        tried.append((point, record.run(f"tuning {name} {point} {iterations}", work)))
    return (min(tried, key=lambda pair: pair[1])[0] if tried else {}), tried


def at_an_end(grid, point):
    """The names of the settings that are the smallest or the largest of their lists."""
    return [
        name
        for name, value in point.items()
        if len(grid[name]) > 1 and value in (min(grid[name]), max(grid[name]))
    ]


# ------------------------------------------------------------------ heads in closed form


class SineAndCosine(torch.nn.Module):
    """The two features of which every wave is a sum, each times a parameter that nobody trains."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x):
        return self.scale * torch.cat([x.sin(), x.cos()], -1)


def on(body, strength, seed, episodes):
    """Scores of ridge regression on a body in float64, on the waves that `evaluated` draws."""
    return mt.evaluate(mt.RidgeHead(body, strength=strength), WAVES, episodes, steps=0, seed=seed)


def ridge(model):
    """[median, mean] on the test waves of a ridge head on a body, and its strength, chosen on validation waves."""
    body = mt.body_of(copy.deepcopy(model).double())
    by = {s: on(body, s, VALIDATION_SEED, VALIDATION).median[0] for s in STRENGTHS}
    best = min(by, key=by.get)
    scores = on(body, best, TEST_SEED, TEST)
    return [float(scores.median[0]), float(scores.mean[0]), best]


# ------------------------------------------------------------------ the table


def table(options, record):
    """Rows as they are ready; then the frontier."""
    rows = {}
    for name, method in METHODS.items():
        if options.only and name not in options.only:
            continue
        chosen, tried = tuned(name, method, options.tuning, record)
        if tried:
            ends = at_an_end(method.grid, chosen)
            print(f"\n{name}: {chosen}{', at the end: ' + ', '.join(ends) if ends else ''}")
            print("  " + "; ".join(f"{list(p.values())} {value:.3g}" for p, value in tried))
        runs = [
            record.run(
                f"{name} {chosen} seed {seed} {options.iterations}",
                lambda seed=seed, name=name, method=method, chosen=chosen: row(
                    name, method, chosen, seed, options.iterations
                ),
            )
            for seed in options.seeds
        ]
        rows[name] = runs
        show_row(name, method, runs, options.iterations)
    print("\nuntrained")
    show_heads([ridge(network(seed)) for seed in options.seeds])
    exact = on(SineAndCosine(), 1e-12, TEST_SEED, TEST)
    print(
        f"\nleast squares on sin x and cos x: median {exact.median[0]:.2g}, mean {exact.mean[0]:.2g}"
    )
    frontier(rows)


def row(name, method, chosen, seed, iterations):
    """One run of one method: scores on the test waves at the checkpoints, with what its body gives."""
    learner, scores, diverged = trained(method, chosen, seed, iterations, CHECKPOINTS)
    result = {"diverged": diverged, "scores": {str(at): value for at, value in scores.items()}}
    if diverged:
        return result
    if name == "pretrained":
        by = {}
        for rate in FINE_TUNING:
            learner.inner_lr = rate
            by[rate] = lowest(summary(evaluated(learner, VALIDATION_SEED, VALIDATION)))
        learner.inner_lr = result["rate"] = min(by, key=by.get)
        result["scores"][str(iterations)] = summary(evaluated(learner, TEST_SEED, TEST))
    return result | {"ridge": ridge(learner.model)}


def show_row(name, method, runs, iterations):
    """Median, mean and runaways after 1, 5 and 10 steps, a seed each; the ridge head on the body."""
    print(f"\n{name}, {method.cost} gradient equivalents")
    for steps in SHOWN:
        cells = [run["scores"].get(str(iterations), {}).get(str(steps)) for run in runs]
        if any(cells):
            print(
                f"  {steps:>2} steps: " + "; ".join(cell(c) if c else "–" for c in cells),
                flush=True,
            )
    for run in runs:
        if run["diverged"]:
            print(f"  diverged at {run['diverged']}")
        if "rate" in run:
            print(f"  fine-tuned at {run['rate']}")
    heads = [run["ridge"] for run in runs if "ridge" in run]
    show_heads(heads)


def show_heads(heads):
    cells = "; ".join(f"{median:.3g} (mean {mean:.3g}, λ {best:g})" for median, mean, best in heads)
    print(f"  ridge head on its body: {cells}", flush=True)


def cell(values):
    median, mean, away = values
    return f"{median:.3g} (mean {mean:.3g}{f', {away} ran away' if away else ''})"


def frontier(rows):
    """Median error after five steps against gradient equivalents spent per task place: iterations × cost."""
    print("\nspent (gradient equivalents): median after 5 steps, mean over seeds")
    for name, runs in rows.items():
        for at in sorted({int(at) for run in runs for at in run["scores"]}):  # a run may stop early
            medians = [run["scores"][str(at)]["5"][0] for run in runs if str(at) in run["scores"]]
            print(
                f"  {name}, {at} iterations: {at * METHODS[name].cost:>8.0f}: {np.mean(medians):.3g} "
                f"({len(medians)} of {len(runs)} seeds)"
            )


def seconds(options, record):
    """Processor seconds per 1,000 iterations of each method, and the ratio to MAML's, in interleaved rounds."""
    steps, rng = {}, np.random.default_rng(0)
    for name, method in METHODS.items():
        point = {key: values[0] for key, values in method.grid.items()}
        point.pop("meta_lr", None)
        steps[name] = mt.OuterStep(
            method.make(network(0), **point), meta_lr=1e-5, iterations=100_000
        )
    batches = [TASKS.sample(rng, tasks=META_BATCH) for _ in range(100)]
    used = {name: [] for name in steps}
    for number in range(options.rounds + 1):
        for name, step in steps.items():
            start = time.process_time()
            step(batches)
            if number:  # the first round compiles
                used[name].append((time.process_time() - start) * 10)
    first = np.array(used["MAML, K = 1"])
    print("\nprocessor seconds per 1,000 iterations (median of rounds), ratio to MAML, K = 1")
    for name, values in used.items():
        print(f"  {name}: {np.median(values):.2f}, {np.median(np.array(values) / first):.1f}")
