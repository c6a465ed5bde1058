"""A pendulum whose body changes: models of it learned from 20 random transitions, judged by what they control.

    python benchmarks/reproduce/pendulum.py --runs runs/pendulum

prints a table per world: bodies as chapter 13's law has them, bodies with a spring or with a dead zone, of which
least squares does not know, and bodies with both. MAML and the pretrained network learn from bodies of that world;
"trained without" is MAML that has learned from bodies as the law says. Rules, rates and numbers of steps are chosen
on validation bodies, for every network from the same grid. MAML also takes 0, 1, 3 and 10 steps of the rate that it
has learned. With --shakes run the twenty transitions are one run of two seconds from hanging, with random controls,
in place of twenty random states (training is as before). With --runs an interrupted run goes on where it stopped.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import maml_edu.pytorch as mt
from maml_edu.pytorch.intervals import bootstrap_ranks
from maml_edu.tasks import TaskBatch
from maml_edu.tasks.pendulum import (
    Pendulum,
    fit_law,
    inputs,
    moved,
    outputs,
    states_of,
    step,
)
from maml_edu.tasks.planning import HANGING, drive, plan

WORLDS = {
    "as the law says": {},
    "with a spring": {"spring": 8.0},
    "with a dead zone": {"dead_zone": 0.3},
    "with both": {"spring": 8.0, "dead_zone": 0.3},
}
SHOTS, INNER_STEPS = 20, 3
OWN_STEPS = (0, 1, 3, 10)  # steps of MAML with the rate that it has learned
STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)  # to choose from
RULES = {
    "SGD": (torch.optim.SGD, (0.03, 0.1, 0.2, 0.3, 0.5)),
    "Adam": (torch.optim.Adam, (0.003, 0.01, 0.03, 0.1)),
}
TEST, VALIDATION, PLANS = 1, 2, 3  # seeds of bodies and plans, each with that of the run


class Way(NamedTuple):
    """How a network adapts: "SGD" or "Adam", the rate, the number of steps."""

    rule: str
    rate: float
    steps: int

    def __str__(self):
        return f"{self.rule} {self.rate:.3g} × {self.steps}" if self.steps else "no step"


# ------------------------------------------------------------------ networks, one set of weights per body


def stacked(model, bodies):
    """Weights of an `mt.MLP` for so many bodies: [(bodies, inputs, outputs), (bodies, 1, outputs), …]."""
    shaped = [p.T if p.ndim == 2 else p[None] for p in model.parameters()]
    return [p.detach().repeat(bodies, 1, 1).requires_grad_() for p in shaped]


def predict(weights, x):
    """(bodies, n, 4) → (bodies, n, 2)."""
    *hidden, last = zip(weights[1::2], weights[::2], strict=True)
    for bias, weight in hidden:
        x = torch.relu(torch.baddbmm(bias, x, weight))
    return torch.baddbmm(last[0], x, last[1])


def adapted(model, batch, rule, rate, at):
    """{steps: weights} after each number of steps in `at`, of each body on its own support set."""
    weights, kept = stacked(model, len(batch.support_x)), {}
    x, y = tensor(batch.support_x), tensor(batch.support_y)
    optimiser = RULES[rule][0](weights, lr=rate)
    for done in range(max(at) + 1):
        if done in at:
            kept[done] = [w.detach().clone() for w in weights]
        optimiser.zero_grad()
        (predict(weights, x) - y).square().mean((1, 2)).sum().backward()
        optimiser.step()
    return kept


def tensor(array):
    return torch.as_tensor(array, dtype=torch.float32)


def network_model(weights):
    """States and controls to the states that the networks predict."""

    def model(state, control):
        with torch.no_grad():
            return moved(state, predict(weights, tensor(inputs(state, control))).numpy())

    return model


# ------------------------------------------------------------------ training and choosing


def trained(method, world, seed, options):
    """MAML with three steps of one learned rate, or the same network without an inner step ("pretrained")."""
    torch.manual_seed(seed)
    network = mt.MLP(4, 64, 64, 2)
    if method == "scratch":
        return network, None
    own, queries = {"inner_lr": 0.1, "inner_steps": INNER_STEPS, "learn_inner_lr": True}, SHOTS
    if method == "pretrained":  # it sees support and query transitions alike
        own, queries = {"inner_steps": 0}, 2 * SHOTS
    learner = mt.MAML(network, **own)
    folder = options.runs and options.runs / f"{method}-{world}-{seed}".replace(" ", "-")
    how = {"meta_batch": 16, "meta_lr": 1e-2, "schedule": ("cosine", 0.05), "seed": seed}
    how |= {"checkpoint": folder, "device": "cpu", "progress": False}
    began = time.process_time()
    mt.meta_train(learner, Pendulum(SHOTS, queries, **WORLDS[world]), options.iterations, **how)
    print(f"{method}, {world}, seed {seed}: {time.process_time() - began:.1f} s", flush=True)
    return network, float(torch.as_tensor(learner.inner_lr).detach())


def best_way(network, batch, most, also=()):
    """Of all rules, rates and numbers of steps up to `most`, the lowest median error on these bodies."""
    at = [k for k in STEPS if k <= most]
    scores = {}
    for rule, (_, rates) in RULES.items():
        for rate in (*rates, *(also if rule == "SGD" else ())):
            for k, weights in adapted(network, batch, rule, rate, at).items():
                errors = errors_of(network_model(weights), batch)
                scores[Way(rule, rate, k)] = np.median(np.nan_to_num(errors, nan=np.inf))
    return min(scores, key=scores.get)


def ways_of(method, network, rate, batch, most):
    """{name of the row: Way} of one network."""
    if method == "MAML, trained without":
        return {f"MAML, trained without, {k} steps": Way("SGD", rate, k) for k in (3, 10)}
    if method in ("scratch", "pretrained"):
        name = {"scratch": "from scratch"}.get(method, method)
        few = {f"{name}, at most {k} steps": best_way(network, batch, k) for k in (3, 10)}
        return few | {f"{name}, its best": best_way(network, batch, most)}
    own = {f"MAML, {k} step{'s' * (k != 1)}": Way("SGD", rate, k) for k in OWN_STEPS}
    return own | {"MAML, its best": best_way(network, batch, most, (rate,))}


# ------------------------------------------------------------------ judging


def shaken(family, rng, bodies, shakes):
    """A batch of these bodies: support of random states, or of one run from hanging; query of random states."""
    batch = family.sample_from(rng, bodies)
    if shakes == "states":
        return batch
    run = drive(lambda state: rng.uniform(-1, 1, len(bodies)), bodies, SHOTS, HANGING)
    before, after = run.states[:, :-1], run.states[:, 1:]
    x, y = inputs(before, run.controls), outputs(before, after)
    return TaskBatch(x, y, batch.query_x, batch.query_y)


def errors_of(model, batch):
    """The mean squared error of each body's query predictions, in scaled outputs: (bodies,)."""
    state, control = states_of(batch.query_x)
    with np.errstate(all="ignore"):
        return ((outputs(state, model(state, control)) - batch.query_y) ** 2).mean((1, 2))


def judged(name, way, model, batch, bodies, seed):
    """Errors, returns and shares upright of some bodies under control with a model; printed."""
    rng = np.random.default_rng((PLANS, seed))  # the same plans for all models
    done = drive(lambda state: plan(model, state, rng)[:, 0], bodies)
    values = errors_of(model, batch), done.returns, done.upright
    error, reward, upright = (np.median(v) for v in values)
    print(
        f"  {name}{way and f' ({way})'}: error {error:.2g}, return {reward:.1f}, upright {upright:.2f}",
        flush=True,
    )
    return way, np.array(values)


def results_of(world, seed, options):
    """{row: (way, values (3, bodies))} of all models in one world."""
    family = Pendulum(SHOTS, 200, **WORLDS[world])
    test, validation = (np.random.default_rng((k, seed)) for k in (TEST, VALIDATION))
    bodies = family.draw_bodies(test, options.bodies)
    batch = shaken(family, test, bodies, options.shakes)
    chosen_on = shaken(family, validation, family.draw_bodies(validation, 20), options.shakes)
    on = lambda name, way, model: judged(name, way, model, batch, bodies, seed)
    print(f"{world}, seed {seed}")
    fitted, results = fit_law(batch.support_x, batch.support_y), {}
    for name, body in (("true model", bodies), ("least squares", fitted)):
        results[name] = on(name, "", lambda state, control, body=body: step(state, control, body))
    methods = {"MAML": ("MAML", world), "pretrained": ("pretrained", world)}
    methods["scratch"] = ("scratch", world)
    if WORLDS[world]:
        methods["MAML, trained without"] = ("MAML", next(iter(WORLDS)))
    for method, (kind, learned_in) in methods.items():
        network, rate = trained(kind, learned_in, seed, options)
        for name, way in ways_of(method, network, rate, chosen_on, options.most).items():
            weights = adapted(network, batch, way.rule, way.rate, [way.steps])[way.steps]
            results[name] = on(name, way, network_model(weights))
    return results


# ------------------------------------------------------------------ the table


def write(value, places):
    """A number with a minus sign as people write it, and nothing before a nought; below 1e-12 it is rounding."""
    text = f"{0.0 if abs(value) < 1e-12 else value:{places}}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def middle(values, places):
    """The median and its 95 % interval over bodies, in words."""
    low, high = np.sort(values)[list(bootstrap_ranks(len(values)))]
    return f"{write(np.median(values), places)} ({write(low, places)} to {write(high, places)})"


def table(world, seeds):
    """Lines of markdown: medians over all bodies of all seeds."""
    lines = [
        f"| {world} | settings | error | return | upright | return − least squares' | − that from scratch |",
        "| :- | :- | :- | :- | :- | :- | :- |",
    ]
    yardsticks = "least squares", "from scratch, its best"
    returns = {y: np.concatenate([results[y][1][1] for results in seeds]) for y in yardsticks}
    for name in seeds[0]:
        error, reward, upright = np.concatenate([results[name][1] for results in seeds], axis=1)
        ways = "; ".join(dict.fromkeys(str(results[name][0]) for results in seeds))
        cells = [middle(error, ".2g"), middle(reward, ".1f"), middle(upright, ".2f")]
        cells += [middle(reward - returns[y], "+.1f") if name != y else "" for y in yardsticks]
        lines.append(f"| {name} | {ways} | {' | '.join(cells)} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--bodies", type=int, default=15, help="to be tested, for each seed")
    parser.add_argument("--most", type=int, default=max(STEPS), help="steps that may be chosen")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--shakes", choices=["states", "run"], default="states")
    parser.add_argument("--runs", type=Path, help="folder for checkpoints")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = []
    for world in options.worlds:
        tables += ["", *table(world, [results_of(world, s, options) for s in options.seeds])]
    print("\n".join(tables))


if __name__ == "__main__":
    main()
