"""Which term of its Taylor series each method keeps, and where the series ends: `family.py --part taylor`, `alpha`.

Derived in lesson 11, and by other authors' accounts in Nichol et al. (2018), whose names for the terms are used
here: with two mini-batches of the same task and α → 0 the expected updates are

    MAML      1 · AvgGrad − 2α · AvgGradInner
    FOMAML    1 · AvgGrad −  α · AvgGradInner
    Reptile   2 · AvgGrad −  α · AvgGradInner                 all up to O(α²)

AvgGrad (the lesson's G) is the mean gradient at θ, AvgGradInner (its J) = E[H₂g₁], which is half the gradient of
E[g₁ · g₂]; g₁ and g₂ are the gradients of two mini-batches. Here these are a task's support and query set, each
once the first and once the second, so that the means over tasks have the symmetry of the expectation. MAML and
FOMAML take one inner step, Reptile two.
"""

import numpy as np
import torch
from curvature import curvatures, flat, loss_of
from family_stability import TASKS, held_out, network
from torch import nn
from torch.func import grad, jvp, vmap

import maml_edu.pytorch as mt

TIMES = {"MAML": (1, 2), "FOMAML": (1, 1), "Reptile": (2, 1)}  # of AvgGrad, of α AvgGradInner
RATES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1)
TASK_SEED = 1_000_099


def updates(loss, theta, task, rate):
    """The three methods' updates on one task, whose first mini-batch is the support set: {name: (parameters,)}."""
    x, y, query_x, query_y = task
    slope = grad(loss)
    first = slope(theta, x, y)
    second = slope(theta - rate * first, query_x, query_y)
    through = jvp(lambda at: slope(at, x, y), (theta,), (second,))[1]  # H₁ g₂(φ)
    return {"MAML": second - rate * through, "FOMAML": second, "Reptile": first + second}


def both_orders(function, theta, batch):
    """The mean over tasks of function(theta, task) and of the same with the two sets changed over."""
    x, y, query_x, query_y = batch
    per_task = vmap(lambda *task: function(theta, task))
    results = [per_task(x, y, query_x, query_y), per_task(query_x, query_y, x, y)]
    return {name: sum(r[name].mean(0) for r in results) / 2 for name in results[0]}


def two_terms(loss, theta, batch):
    """(AvgGrad, AvgGradInner), each (parameters,)."""

    def of_task(theta, task):
        x, y, query_x, query_y = task
        first = grad(loss)(theta, x, y)
        inner = jvp(lambda at: grad(loss)(at, query_x, query_y), (theta,), (first,))[1]  # H₂ g₁
        return {"mean": first, "inner": inner}

    terms = both_orders(of_task, theta, batch)
    return terms["mean"], terms["inner"]


def series(loss, theta, batch, rates=RATES):
    """For each rate and method: (coefficient of −α AvgGradInner that was found, rest, rest of one term alone).

    The coefficient is found by projecting update − AvgGrad onto AvgGradInner. The rest is what is left when both
    terms are taken away with the series' own coefficients, over ‖AvgGrad‖: it falls like α². The last one leaves
    AvgGradInner in: it falls like α.
    """
    mean, inner = two_terms(loss, theta, batch)
    rows = []
    for rate in rates:
        found = both_orders(
            lambda theta, task, rate=rate: updates(loss, theta, task, rate), theta, batch
        )
        for name, update in found.items():
            grads, inners = TIMES[name]
            left = update - grads * mean
            coefficient = float(-(left @ inner) / (rate * inner @ inner))
            rest = float((left + inners * rate * inner).norm() / mean.norm())
            rows.append((rate, name, coefficient, rest, float(left.norm() / mean.norm())))
    return rows


def tasks(count):
    batch = TASKS.sample(np.random.default_rng(TASK_SEED), tasks=count)
    return tuple(torch.as_tensor(array).double() for array in batch.arrays)


def smooth_network(seed):
    """The network with tanh in place of ReLU."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1)
    )


def taylor(options, record):
    """The coefficients at θ after `--iterations` of MAML with one step, for ReLU and for tanh."""
    batch, some = tasks(options.tasks), held_out()
    for kind, start in (("ReLU", network), ("tanh", smooth_network)):
        for seed in options.seeds:
            model = start(seed)
            settings = {"seed": seed, "device": "cpu", "progress": False}
            mt.meta_train(mt.MAML(model), TASKS, options.iterations, 25, 1e-3, **settings)
            loss = loss_of(model.double())
            theta = flat(dict(model.named_parameters()))
            bent = float(curvatures(loss, theta.expand(len(some[0]), -1), *some[:2]).median())
            print(
                f"\n{kind}, seed {seed}: median λmax {bent:.4g}, {len(batch[0])} tasks in both orders"
            )
            print(f"{'α':>8} {'αλmax':>9}  " + "   ".join(f"{m}: c, rest, first" for m in TIMES))
            rows = series(loss, theta, batch)
            for rate in RATES:
                mine = [row for row in rows if row[0] == rate]
                cells = "   ".join(
                    f"{c:8.4f} {rest:9.2e} {one:9.2e}" for _, _, c, rest, one in mine
                )
                print(f"{rate:8.0e} {rate * bent:9.2e}  {cells}", flush=True)


def alpha(options, record):
    """Where first order comes to rest on quadratics, and how large MAML's gradient is there, for several α.

    Tasks ½ aᵢ (θ − cᵢ)² with aᵢ ≤ 1, support loss = query loss: MAML's gradient is the mean of
    aᵢ (1 − αaᵢ)² (θ − cᵢ), first order's of aᵢ (1 − αaᵢ) (θ − cᵢ). Both are linear: their rest points are known.
    """
    rng = np.random.default_rng(0)
    a = rng.uniform(0.1, 1.0, 1000)
    c = 2 * a + rng.normal(size=1000)  # the steep tasks lie to the right
    print("\n     α   MAML rests at   first order at   |MAML's gradient| there   excess meta-loss")
    for rate in (0.0, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9):
        full, first = a * (1 - rate * a) ** 2, a * (1 - rate * a)
        rest, rest_first = (np.sum(w * c) / np.sum(w) for w in (full, first))
        gradient = abs(np.mean(full * (rest_first - c)))
        excess = 0.5 * np.mean(full) * (rest_first - rest) ** 2
        print(
            f"{rate:6.2f}   {rest:13.5f}   {rest_first:14.5f}   {gradient:24.2e}   {excess:16.2e}"
        )
