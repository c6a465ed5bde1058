"""Does first-order MAML stay stable, and if not, why? The runs behind `family.py --part divergence` and `causes`.

Start with `watched`: one training run, looked at every so many iterations on tasks that it never trains on.
"""

import math

import numpy as np
import torch
from curvature import bend, both_gradients, curvatures, flat, inner_path, loss_of

import maml_edu.pytorch as mt
from maml_edu.pytorch import maml
from maml_edu.pytorch.task_gradient import mean_over_tasks
from maml_edu.tasks import Sinusoids

TASKS, META_BATCH = Sinusoids(shots=10), 25
HELD_OUT_SEED, HELD_OUT = 1_000_087, 32  # the tasks on which curvature and gradients are measured
WINDOW = 250  # iterations: the meta-loss of a run is the median over the last so many
STEP = 0.01  # the length of the move along which a change of curvature is measured


def network(seed):
    torch.manual_seed(seed)
    return mt.MLP(1, 40, 40, 1)


class Truncated(mt.MAML):
    """MAML whose meta-gradient goes back through the last inner step alone: (I − αH(φ_{K−1})) ∇L_query(φ_K).

    The middle between first order, which has no such factor, and full MAML, which has K of them.
    """

    def meta_gradient(self, batch):
        theta, loss = self.detached(), self.task_loss
        loop = self.loop()._replace(first_order=True).checked(self.params)

        def one_task(derivatives, task):
            x, y, query_x, query_y = task
            path = maml.adaptation(loss, theta, x, y, loop, derivatives.slope_of)
            slope, value = derivatives.slope_and_value(loss, path[-1], query_x, query_y)
            bent = derivatives.hessian(loss, path[-2], x, y)(slope)
            return value, {name: slope[name] - self.inner_lr * bent[name] for name in slope}

        return mean_over_tasks(self, one_task, batch, theta)


def held_out():
    """The 32 tasks of all measurements: four tensors in float64."""
    batch = TASKS.sample(np.random.default_rng(HELD_OUT_SEED), tasks=HELD_OUT)
    return tuple(torch.as_tensor(array).double() for array in batch.arrays)


def look(learner, batch):
    """What one look at a learner measures, on the tasks of `batch`."""
    model = mt.MLP(1, 40, 40, 1).double()
    loss, theta = loss_of(model), flat(learner.params)
    rate, steps = learner.inner_lr, learner.inner_steps
    x, y, query_x, query_y = batch
    path = inner_path(loss, theta, x, y, rate, steps)
    places = [part.repeat(len(path), 1, 1) for part in (x, y)]
    alpha_lambda = rate * curvatures(loss, torch.cat(path), *places).reshape(len(path), -1)
    full, first = both_gradients(loss, theta, batch, rate, steps)
    after = torch.vmap(loss)(path[-1], query_x, query_y)
    highest = alpha_lambda.nan_to_num(math.inf).amax(0)
    return {
        "start": quantiles(alpha_lambda[0]),
        "path": quantiles(highest),
        "over 2": float((highest > 2).double().mean()),
        "cosine": float(full @ first / (full.norm() * first.norm())),
        "ratio": float(first.norm() / full.norm()),
        "loss": quantiles(after),
    }


def quantiles(values):
    """(median, 90 % quantile); what is no number counts as infinite."""
    ranked = np.sort(np.nan_to_num(values.detach().numpy(), nan=np.inf))
    return float(ranked[(len(ranked) - 1) // 2]), float(ranked[round(0.9 * (len(ranked) - 1))])


def directions(learner, step, batch):
    """How the mean αλmax changes along the updates that full MAML and first order would make at this θ.

    For the plain gradients, and for them as the run's own Adam would scale them (divided by the root of its second
    moments), each of unit length: αλmax(θ + s u) − αλmax(θ − s u) over 2s for s = 0.01, and for s → 0, at which
    no ReLU switches. "term": along the second-order term that first order leaves out, −(full − first).
    """
    loss, theta = loss_of(mt.MLP(1, 40, 40, 1).double()), flat(learner.params)
    full, first = both_gradients(loss, theta, batch, learner.inner_lr, learner.inner_steps)
    moments = [step.optimiser.state[p].get("exp_avg_sq") for p in learner.params.values()]
    scale = torch.cat([m.reshape(-1).double() for m in moments]).sqrt() + 1e-8
    result = {}
    for name, by in (("plain", 1.0), ("Adam", scale)):
        for who, gradient in (("full", full), ("first", first), ("term", full - first)):
            changes = (bend(loss, theta, -gradient / by, batch, s) for s in (STEP, 1e-6))
            result[f"{name} {who}"] = [learner.inner_lr * change for change in changes]
    return result


def watched(learner, seed, iterations, every, switch=None, bends=False, **outer):
    """Train, and look at the learner every `every` iterations; a dict for the report.

    switch: (iteration, first_order): from there on the same learner and the same Adam go on with that
    meta-gradient. bends: also measure `directions`. A run has *diverged* if `TrainingDiverged` was raised (the
    meta-loss or its gradient is no number, or 10⁶ times the first one), or if the median meta-loss of its last
    250 iterations is above that of its first iteration: worse than not trained.
    """
    if switch and switch[0] % every:
        raise ValueError(
            f"a switch at {switch[0]} needs a look there: --every must divide it, not {every}."
        )
    step, rng = mt.OuterStep(learner, **{"meta_lr": 1e-3, **outer}), np.random.default_rng(seed)
    batch, looks, stopped = held_out(), [], None
    for done in range(0, iterations + 1, every):
        if switch and done == switch[0]:
            learner.first_order = switch[1]
        looks.append({"iteration": done, **look(learner, batch)})
        if bends and done:
            looks[-1]["bends"] = directions(learner, step, batch)
        if done == iterations:
            break
        try:
            step(
                [TASKS.sample(rng, tasks=META_BATCH) for _ in range(min(every, iterations - done))]
            )
        except mt.TrainingDiverged as error:
            stopped = error.iteration
            break
    losses = np.array(step.history.loss)
    worse = bool(np.median(losses[-WINDOW:]) > losses[0])
    return {
        "seed": seed,
        "diverged": stopped is not None or worse,
        "stopped at": stopped,
        "loss": float(np.median(losses[-WINDOW:])),
        "highest": float(losses[WINDOW:].max(initial=0.0)),  # of a batch, once training has begun
        "looks": looks,
    }


def clopper_pearson(k, n, level=0.95):
    """The exact interval of a share of k out of n: the shares at which so few, or so many, have 2.5 %."""

    def at_least(p):  # the probability of k or more
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))

    def at_most(p):
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))

    tail = (1 - level) / 2
    low = 0.0 if k == 0 else bisected(lambda p: at_least(p) - tail)
    return low, 1.0 if k == n else bisected(lambda p: tail - at_most(p))


def bisected(rising):
    """Where a rising function of a share crosses zero."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
