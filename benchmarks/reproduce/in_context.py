"""Reading the examples or stepping on them: a transformer next to MAML, on sine waves and outside them.

    python benchmarks/reproduce/in_context.py --seeds 0 1 2 --runs runs/in_context

prints, per seed, the squared error on 600 new waves after reading 1 to 50 points, and in worlds that training did
not have. The learners: `InContext` after training of several lengths, each with a schedule of its own; MAML trained
with one inner step (70,000 outer steps), MAML trained with five (`MAML5`, 13,000) and, if asked for, the pretrained
network, each with the α that was best on validation waves for that number of points and steps; least squares for
a sin x + b cos x; for one point the posterior mean. With --told the learners may also be told what has changed:
MAML's α is chosen in each of the other worlds, and the kept transformers have y scaled or are fine-tuned there. An
interrupted run goes on where it stopped. `--linear` trains one layer of linear attention on linear regressions and
compares it with one gradient step. Start reading at `main`.
"""

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import maml_edu.pytorch as mt
from maml_edu.pytorch.intervals import Evaluation
from maml_edu.tasks import Sinusoids, TaskBatch
from maml_edu.tasks.sinusoids import X_RANGE

VALIDATION_SEED, TEST_SEED = 1_000_003, 1_000_033  # tasks of their own, never those of training
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)  # α to choose from
STEPS = (0, 1, 5, 10, 50)
SHOTS = (1, 2, 3, 5, 10, 20, 50)
INNER_STEPS = {"MAML": 1, "MAML5": 5, "pretrained": 0}
EPISODES, VALIDATION, QUERIES = 600, 200, 100
WIDTH = 16  # of keys, queries and values in linear attention


class Waves(Sinusoids):
    """Sine waves with something changed; as they are, `Sinusoids` has the same tasks.

    height multiplies all heights, and taller is added to them; stretch multiplies all x; frequency is that of all
    waves (1 in training); turn is added to all phases. noise: the standard deviation of what is added to the
    support set's y. strangers: how many support points belong to another wave. The query set is always without
    noise, and of the task's own wave.
    """

    def __init__(
        self, shots=10, *, height=1, taller=0, turn=0, stretch=1, frequency=1, noise=0, strangers=0
    ):
        super().__init__(shots, QUERIES)
        self.height, self.taller, self.turn, self.stretch = height, taller, turn, stretch
        self.frequency, self.noise, self.strangers = frequency, noise, strangers

    def sample(self, rng, tasks=25):
        amplitude, phase = self.draw_waves(rng, tasks)
        x = self.stretch * rng.uniform(*X_RANGE, (tasks, self.shots + self.queries, 1))
        y = self.wave(x, amplitude, phase)
        if self.strangers:
            strange = self.wave(x, *self.draw_waves(rng, tasks))
            y[:, : self.strangers] = strange[:, : self.strangers]
        k = self.shots
        if self.noise:
            y[:, :k] += rng.normal(0, self.noise, (tasks, k, 1))
        return TaskBatch(x[:, :k], y[:, :k], x[:, k:], y[:, k:])

    def wave(self, x, amplitude, phase):
        amplitude, phase = (v[:, None, None] for v in (amplitude, phase))
        amplitude = self.height * amplitude + self.taller
        return amplitude * np.sin(self.frequency * x - phase - self.turn)


NEW_HEIGHTS_AND_PHASES = ("heights 5.1 to 10", "phases π to 2π")
WORLDS = {f"{k} points": {"shots": k} for k in SHOTS} | {
    "heights × 1.5": {"height": 1.5},
    "heights × 2": {"height": 2},
    "heights 5.1 to 10": {"taller": 5},
    "phases π to 2π": {"turn": np.pi},
    "x to ± 7.5": {"stretch": 1.5},
    "noise 0.5": {"noise": 0.5},
    "3 of 10 strangers": {"strangers": 3},
    "5 of 10 strangers": {"strangers": 5},
    "frequency 1.25": {"frequency": 1.25},
    "frequency 1.5": {"frequency": 1.5},
}


def main():
    options = arguments()
    torch.set_num_threads(1)  # small networks want one thread
    if options.linear:
        linear(options.seeds)
        return
    options.runs.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        done = Results(options.runs / f"results-seed{seed}.json")
        done.add("least squares", [least_squares_row(w) for w in done.missing("least squares")])
        done.add("posterior", [posterior_row(w) for w in done.missing("posterior", ["1 points"])])
        for iterations in options.iterations if "transformer" in options.learners else ():
            transformer(seed, options, done, iterations)
        for method in (m for m in INNER_STEPS if m in options.learners):
            short = options.maml5_iterations
            for iterations in short if method == "MAML5" else [options.maml_iterations]:
                stepping(method, seed, options, done, iterations)
        show(seed, done)
    costs()


def arguments():
    parser = argparse.ArgumentParser(
        description="In-context learning next to MAML on sine waves.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="first weights and training tasks")
    learners = ["transformer", *INNER_STEPS]
    add("--learners", nargs="+", choices=learners, default=learners[:3], help="to train and test")
    add("--iterations", type=int, nargs="+", default=[2000, 6000], help="of the transformer")
    add("--maml-iterations", type=int, default=70_000, help="outer steps of MAML and pretraining")
    add("--maml5-iterations", type=int, nargs="+", default=[13_000], help="of MAML5")
    add("--runs", type=Path, default=Path("runs/in_context"), help="folder for weights and results")
    add("--told", action="store_true", help="MAML and transformer also adjusted to other worlds")
    add("--linear", action="store_true", help="linear attention on linear regression, nothing else")
    return parser.parse_args()


class Results:
    """{learner: [row, …]} in a file, written after each learner."""

    def __init__(self, path):
        self.path = path
        self.rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def missing(self, learner, worlds=WORLDS):
        """The worlds in which the learner has not been tested yet."""
        tested = {row["world"] for row in self.rows.get(learner, [])}
        return [world for world in worlds if world not in tested]

    def add(self, learner, rows):
        self.rows.setdefault(learner, []).extend(rows)
        self.path.write_text(json.dumps(self.rows, indent=1, default=float), encoding="utf-8")


# ------------------------------------------------------------------ learners


def transformer(seed, options, done, iterations):
    """Trains, keeps and tests an `InContext`."""
    name, kept = f"transformer {iterations}", options.runs / f"in_context-{iterations}-{seed}.pt"
    ways = {f"{name}, {how}": how for how in ("scaled", "fine-tuned")} if options.told else {}
    told = {way: done.missing(way, NEW_HEIGHTS_AND_PHASES) for way in ways}
    if not (worlds := done.missing(name)) and not any(told.values()):
        return
    torch.manual_seed(seed)
    model, began = mt.InContext(), time.process_time()
    if kept.exists():
        model.load_state_dict(torch.load(kept))
    else:
        mt.train_in_context(model, Sinusoids(10), iterations, seed=seed, progress=False)
        torch.save(model.state_dict(), kept)
    seconds = time.process_time() - began
    rows = [row(world, errors_of(model, family(world)), seconds=seconds) for world in worlds]
    done.add(name, rows)
    for way, worlds in told.items():
        for world in worlds:
            helped = scaled(model) if ways[way] == "scaled" else fine_tuned(model, world, seed)
            done.add(way, [row(world, errors_of(helped, family(world)))])


def scaled(model):
    """`model` for waves of any height: y is brought into ±4 by a factor, and the answer back by the same."""

    def answers(support_x, support_y, query_x):
        times = np.maximum(1, np.abs(support_y).max(axis=1, keepdims=True) / 4)  # (tasks, 1, 1)
        return model(support_x, support_y / times, query_x) * torch.as_tensor(times)

    return answers


def fine_tuned(model, world, seed, iterations=500):
    """A copy of `model` after further training on the validation waves of another world."""
    model = copy.deepcopy(model)
    few = FewTasks(family(world).sample(np.random.default_rng(VALIDATION_SEED), VALIDATION))
    mt.train_in_context(model, few, iterations, meta_lr=1e-3, seed=seed, progress=False)
    return model


class FewTasks:
    """A family of the tasks of one batch. Which of a task's points are read is drawn anew each time."""

    def __init__(self, batch):
        self.shots = batch.support_x.shape[1]
        self.x = np.concatenate([batch.support_x, batch.query_x], axis=1)  # (tasks, points, 1)
        self.y = np.concatenate([batch.support_y, batch.query_y], axis=1)

    def sample(self, rng, tasks=25):
        chosen, k = rng.integers(len(self.x), size=tasks), self.shots
        points = rng.permutation(self.x.shape[1])
        x, y = self.x[chosen][:, points], self.y[chosen][:, points]
        return TaskBatch(x[:, :k], y[:, :k], x[:, k:], y[:, k:])


def family(world):
    return Waves(**WORLDS[world])


def errors_of(model, tasks):
    """MSE per task of `EPISODES` test tasks, those of `mt.evaluate` with the seed TEST_SEED."""
    errors = []
    for batch in test_batches(tasks):
        with torch.no_grad():
            answers = model(*batch.arrays[:3]).double().numpy()
        errors.append(((answers - batch.query_y) ** 2).mean(axis=(1, 2)))
    return Evaluation("mse", np.concatenate(errors)[:, None])


def test_batches(tasks):
    rng = np.random.default_rng(TEST_SEED)
    return [tasks.sample(rng, tasks=100) for _ in range(EPISODES // 100)]


def stepping(method, seed, options, done, iterations):
    """Trains, keeps and tests a learner that takes gradient steps."""
    name = f"{method} {iterations}" if method == "MAML5" else method
    others = [w for w in WORLDS if "points" not in w] if method == "MAML" and options.told else []
    worlds, told = done.missing(name), done.missing("MAML, told", others)
    if not worlds + told:
        return
    torch.manual_seed(seed)
    learner = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=INNER_STEPS[method])
    folder, began = options.runs / f"{name}-{seed}", time.process_time()
    settings = {"device": "cpu", "seed": seed, "progress": False, "checkpoint": folder}
    mt.meta_train(learner, Sinusoids(10), iterations, **settings)
    seconds = time.process_time() - began
    rates = {k: best_rates(learner, Waves(k)) for k in {family(w).shots for w in worlds}}
    for world in worlds:
        done.add(name, steps_of(learner, world, rates[family(world).shots], seconds))
    for world in told:
        rates = best_rates(learner, family(world))
        done.add("MAML, told", steps_of(learner, world, rates, seconds))


def best_rates(learner, tasks):
    """{steps: α} with the least median error on validation tasks."""
    medians = {}
    for learner.inner_lr in RATES:
        scores = mt.evaluate(learner, tasks, VALIDATION, steps=max(STEPS), seed=VALIDATION_SEED)
        medians[learner.inner_lr] = np.nan_to_num(scores.median, nan=np.inf)
    return {steps: min(medians, key=lambda rate: medians[rate][steps]) for steps in STEPS}


def steps_of(learner, world, rates, seconds):
    """A row for each number of steps, with its rate."""
    rows = []
    for rate in sorted(set(rates.values())):
        learner.inner_lr, wanted = rate, [k for k in STEPS if rates[k] == rate]
        scores = mt.evaluate(learner, family(world), EPISODES, steps=max(wanted), seed=TEST_SEED)
        rows += [row(world, scores, k, rate=rate, seconds=seconds) for k in wanted]
    return sorted(rows, key=lambda row: row["steps"])


def least_squares_row(world):
    """The wave a sin x + b cos x that fits the support points best."""
    errors = []
    for batch in test_batches(family(world)):
        for support_x, support_y, query_x, query_y in batch:
            features = [np.hstack([np.sin(x), np.cos(x)]) for x in (support_x, query_x)]
            numbers = np.linalg.lstsq(features[0], support_y, rcond=None)[0]
            errors.append(np.mean((features[1] @ numbers - query_y) ** 2))
    return row(world, Evaluation("mse", np.array(errors)[:, None]))


def posterior_row(world):
    """The mean of all waves of the family through one point, each as likely as it is: no learner does better."""
    tasks = [task for batch in test_batches(family(world)) for task in batch]
    errors = [np.mean((posterior_mean(*task[:3]) - task[3]) ** 2) for task in tasks]
    return row(world, Evaluation("mse", np.array(errors)[:, None]))


def posterior_mean(support_x, support_y, query_x):
    """Answers (queries, 1) with the least expected squared error for a support set of one point."""
    phases = (np.arange(10_000) + 0.5) * np.pi / 10_000
    per_height = np.sin(support_x[0, 0] - phases)  # y of each wave of height 1
    heights = support_y[0, 0] / per_height  # the waves through the point
    weights = ((heights >= 0.1) & (heights <= 5)) / np.abs(per_height)  # dA = dy / |sin(x − p)|
    return np.sin(query_x - phases) @ (weights * heights)[:, None] / weights.sum()


def row(world, scores, step=0, **more):
    """What is kept of one learner in one world."""
    low, high = scores.median_ci95[:, step]
    return {
        "world": world,
        "steps": step,
        "median": scores.median[step],
        "low": low,
        "high": high,
        "mean": scores.mean[step],
        "ci95": scores.ci95[step],
        "trust": str(scores.trust[step]),
        "ran away": scores.runaways[step],
        **more,
    }


# ------------------------------------------------------------------ what is printed


def show(seed, done):
    """A table per seed: the median, its interval and the mean, a line for each learner in each world."""
    print(f"\nseed {seed}: MSE on {EPISODES} tasks: median (95 %), mean (! where it says little)")
    for world in WORLDS:
        print(f"\n{counted(1, 'point') if world == '1 points' else world}")
        for learner, rows in done.rows.items():
            for found in (r for r in rows if r["world"] == world):
                print("   " + line(learner, found))


def line(learner, found):
    steps = f", {counted(found['steps'], 'step')} (α = {found['rate']})" if "rate" in found else ""
    mark = "" if found["trust"] == "mean" else " !"
    spread = f"({found['low']:.3g} to {found['high']:.3g})"
    return f"{learner + steps:<36}{found['median']:>9.3g} {spread:<20}{found['mean']:>10.3g}{mark}"


def counted(number, thing):
    return f"{number} {thing}{'' if number == 1 else 's'}"


def costs():
    """Parameters, and multiplications for ten points and one query of one task."""
    model, network = mt.InContext(), mt.MLP(1, 40, 40, 1)
    count = {n: sum(p.numel() for p in m.parameters()) for n, m in (("t", model), ("m", network))}
    x, asked = np.ones((1, 10, 1)), np.ones((1, 1, 1))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x, x, asked)
    reading = counter.get_total_flops() // 2
    forward = 40 + 40 * 40 + 40  # one example through 1-40-40-1
    print(
        f"\nparameters: transformer {count['t']}, MAML {count['m']}: {count['t'] / count['m']:.0f}"
    )
    for steps in (1, 10, 50):  # forward, and backward twice of that, for ten points; then the query
        stepping = 3 * 10 * forward * steps + forward
        share = f"{reading / stepping:.1f} times {stepping}"
        print(
            f"multiplications: transformer {reading}, {share} of MAML with {counted(steps, 'step')}"
        )


# ------------------------------------------------------------------ linear attention


def regressions(rng, tasks, points=10, scales=(1.0,) * 5):
    """Linear regressions y = w·x, w normal, x uniform in (−1, 1) times its scale.

    Support x (tasks, points, d), y (tasks, points, 1); query x (tasks, 1, d), y (tasks, 1, 1).
    """
    w = rng.normal(size=(tasks, len(scales), 1))
    x = rng.uniform(-1, 1, (tasks, points + 1, len(scales))) * scales
    return x[:, :points], (x @ w)[:, :points], x[:, points:], (x @ w)[:, points:]


def read_linearly(weights, x, y, asked):
    """One layer of linear attention: predictions (tasks, queries, 1).

    weights: keys, queries, values, each (WIDTH, d + 1), and projection (d + 1, WIDTH).
    """
    keys, queries, values, projection = weights
    pairs = torch.cat([x, y], dim=-1)  # (tasks, points, d + 1)
    token = torch.cat([asked, torch.zeros_like(asked[..., :1])], dim=-1)  # (tasks, queries, d + 1)
    scores = (token @ queries.T) @ (pairs @ keys.T).mT  # (tasks, queries, points)
    token = token + scores @ (pairs @ values.T) @ projection.T / x.shape[1]
    return -token[..., -1:]  # read with a minus, as von Oswald et al. (2023) do


def trained_attention(seed, scales, iterations=3000):
    """The four matrices of one layer after training by Adam on linear regressions."""
    torch.manual_seed(seed)
    rng, size = np.random.default_rng(seed), len(scales) + 1
    shapes = [(WIDTH, size)] * 3 + [(size, WIDTH)]
    weights = [(torch.randn(shape) / 4).requires_grad_() for shape in shapes]
    optimiser = torch.optim.Adam(weights, lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    for _ in range(iterations):
        *given, wanted = (tensor(v) for v in regressions(rng, 64, scales=scales))
        loss = (read_linearly(weights, *given) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return weights


def tensor(array):
    return torch.as_tensor(array, dtype=torch.float32)


def best_steps(scales):
    """(α, a matrix of rates (d, d)): the best on many tasks, for a step from 0 on the mean squared error."""
    x, y, asked, wanted = regressions(
        np.random.default_rng(VALIDATION_SEED), 100_000, scales=scales
    )
    slope = 2 * x.transpose(0, 2, 1) @ y / x.shape[1]  # −gradient at 0, (tasks, d, 1)
    one = (asked @ slope)[:, 0, 0]
    all_pairs = (asked.transpose(0, 2, 1) * slope.transpose(0, 2, 1)).reshape(len(x), -1)
    alpha = one @ wanted[:, 0, 0] / (one @ one)
    return alpha, np.linalg.lstsq(all_pairs, wanted[:, 0, 0], rcond=None)[0].reshape(
        [len(scales)] * 2
    )


def linear(seeds):
    """Learned linear attention next to one gradient step with the best α, and with the best matrix of rates."""
    for scales in ((1.0,) * 5, (2.0, 1.0, 1.0, 0.5, 0.5)):
        alpha, matrix = best_steps(scales)
        test = regressions(np.random.default_rng(TEST_SEED), 20_000, scales=scales)
        x, y, asked, wanted = test
        slope = 2 * x.transpose(0, 2, 1) @ y / x.shape[1]  # (tasks, d, 1)
        steps = {"one α": alpha * asked @ slope, "a matrix of rates": asked @ matrix @ slope}
        rates = np.round(np.diag(matrix), 2).tolist()
        print(f"\nscales {scales}: best α {alpha:.3f}; best matrix, its diagonal: {rates}")
        for name, answers in {"no step": 0 * wanted, **steps}.items():
            print(f"   {name}: MSE {mse(answers, wanted):.4f}")
        for seed in seeds:
            weights = trained_attention(seed, scales)
            with torch.no_grad():
                answers = read_linearly(weights, *map(tensor, test[:3])).numpy()
            apart = ", ".join(f"{mse(answers, other):.5f} from {n}" for n, other in steps.items())
            print(f"   attention, seed {seed}: MSE {mse(answers, wanted):.4f}; {apart}", flush=True)


def mse(a, b):
    return np.mean((a - b) ** 2)


if __name__ == "__main__":
    main()
