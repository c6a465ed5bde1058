"""The sinusoid experiment of the MAML paper, in full: MSE after 0, 1, 5 and 10 inner steps.

    python benchmarks/reproduce/sinusoid.py --iterations 70000 --train-shots 10 --shots 5 10

Trains MAML and, for comparison, one network on all tasks together (Finn et al. 2017, section 5.1),
then adapts both to the same new tasks. The settings are the paper's: a ReLU network 1-40-40-1, 25
tasks an iteration, Adam with rate 0.001, one inner step of 0.01 in training. Appendix B says that
one network trained on 10 shots is tested on 5, 10 and 20. Start reading at `main`.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: small networks want one thread

import numpy as np
import torch

import maml_edu
import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.tasks import Sinusoids

STEPS = 10  # inner steps at test time
SHOWN = (0, 1, 5, 10)
PUBLISHED = {  # Finn et al. 2017, Appendix C, Table 2: 5 shots, after 1, 5 and 10 steps
    "MAML": {1: 0.67, 5: 0.38, 10: 0.35},
    "pretrained": {1: 2.41, 5: 2.23, 10: 2.19},
}
VALIDATION_SEED, TEST_SEED = 1_000_003, 1_000_033  # tasks of their own, never those of training
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # tried for fine-tuning
QUERIES = 100  # a task at test time: the error over the whole wave, not at a few lucky points


def main():
    options = arguments()
    learners = {
        "MAML": trained(options, "maml", options.inner_steps),
        "pretrained": trained(options, "pretrained", inner_steps=0),
    }
    results = [
        result(options, method, learner, shots)
        for shots in options.shots
        for method, learner in learners.items()
    ]
    report = {"settings": settings(options), "results": results}
    show(report)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def arguments():
    parser = argparse.ArgumentParser(
        description="Meta-train on sine waves as Finn et al. (2017) did and measure the error on new "
        "waves after 0, 1, 5 and 10 gradient steps, MAML beside a pretrained network.",
        epilog="Try --iterations 2000 first (half a minute). The paper used 70000.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--shots",
        type=int,
        nargs="+",
        default=[5],
        help="support points of a new task at test time; several numbers give several tables",
    )
    add(
        "--train-shots",
        type=int,
        help="support points of a task in training (default: the first of --shots; the paper: 10)",
    )
    add("--iterations", type=int, default=70_000, help="outer steps, of MAML and of pretraining")
    add("--inner-steps", type=int, default=1, help="inner steps in training; at test time 10")
    add("--inner-lr", type=float, default=0.01, help="α, the rate of the inner steps of MAML")
    add("--meta-lr", type=float, default=1e-3, help="β, the rate of Adam, for both networks")
    add("--meta-batch", type=int, default=25, help="tasks an outer step")
    add(
        "--init",
        choices=["torch", "he", "0.01"],
        default="torch",
        help="first weights: PyTorch's own, He's, or a truncated normal of standard deviation "
        "0.01 as in the paper's code",
    )
    add("--episodes", type=int, default=600, help="new tasks to test on; fewer: wider intervals")
    add("--seed", type=int, default=0, help="of the first weights and of the training tasks")
    add(
        "--runs",
        type=Path,
        default=Path("runs/sinusoid"),
        help="folder for checkpoints: the same command goes on where an interrupted one stopped",
    )
    add("--json", type=Path, help="also write settings and results to this file")
    options = parser.parse_args()
    options.train_shots = options.train_shots or options.shots[0]
    return options


def trained(options, method, inner_steps):
    """A learner after `options.iterations`; pretraining is the same without an inner step."""
    learner = mt.MAML(network(options), inner_lr=options.inner_lr, inner_steps=inner_steps)
    done = f"{method}-{options.train_shots}shot-{inner_steps}step-lr{options.inner_lr:g}"
    done += f"-init{options.init}-seed{options.seed}"
    history = mt.meta_train(
        learner,
        Sinusoids(shots=options.train_shots),
        iterations=options.iterations,
        meta_batch=options.meta_batch,
        meta_lr=options.meta_lr,
        device="cpu",
        seed=options.seed,
        checkpoint=options.runs / done,
    )
    if history.interrupted:
        raise SystemExit(1)
    learner.seconds = history.seconds
    return learner


def network(options):
    """The network before training: the same for both methods."""
    torch.manual_seed(options.seed)
    model = mt.MLP(1, 40, 40, 1)
    if options.init == "torch":
        return model
    scale = None if options.init == "he" else float(options.init)
    params = ref.mlp_init(np.random.default_rng(options.seed), (1, 40, 40, 1), scale)
    with torch.no_grad():
        for own, value in zip(model.parameters(), params.values(), strict=True):
            own.copy_(torch.tensor(value.T))  # torch keeps weights as (outputs, inputs)
    return model


def result(options, method, learner, shots):
    """MSE of one method on new tasks of `shots` support points, at its rate.

    "ran away" counts the tasks that the inner steps have made far worse (`Evaluation.runaways`): with an
    unlucky support set a fixed rate can be too long for the curvature there, and one such task moves the mean.
    """
    tasks = Sinusoids(shots=shots, queries=QUERIES)
    rate = options.inner_lr if method == "MAML" else best_rate(learner, tasks, options.episodes)
    learner.inner_lr = rate
    scores = mt.evaluate(learner, tasks, episodes=options.episodes, steps=STEPS, seed=TEST_SEED)
    return {
        "method": method,
        "shots": shots,
        "rate": rate,
        "mse": rounded(scores.mean),
        "ci95": rounded(scores.ci95),
        "median": rounded(scores.median),
        "median_low": rounded(scores.median_ci95[0]),
        "median_high": rounded(scores.median_ci95[1]),
        "trust": list(scores.trust),
        "ran away": np.rint(len(scores) * scores.runaways).astype(int).tolist(),
        "training_seconds": round(learner.seconds, 1),
    }


def rounded(values):
    return [round(float(value), 5) for value in values]


def best_rate(learner, tasks, episodes):
    """The fine-tuning rate with the least error after 10 steps, chosen on tasks set aside for it.

    As "an automatically tuned step size" in the paper: the baseline is to be as good as it can be.
    """
    errors = {}
    for learner.inner_lr in RATES:
        scores = mt.evaluate(learner, tasks, episodes, steps=STEPS, seed=VALIDATION_SEED)
        errors[learner.inner_lr] = np.nan_to_num(scores.mean[-1], nan=np.inf)
    return min(errors, key=errors.get)


def settings(options):
    chosen = {k: v for k, v in vars(options).items() if k not in ("runs", "json")}
    versions = {"maml_edu": maml_edu.__version__, "torch": torch.__version__}
    machine = {"processor": platform.machine(), "threads": torch.get_num_threads()}
    when = time.strftime("%Y-%m-%d")
    return {**chosen, **versions, "python": platform.python_version(), **machine, "date": when}


def show(report):
    said = report["settings"]
    print(
        f"\nMSE on {said['episodes']} new sine waves: median, and mean ± 95 % (! where it may not hold); "
        f"{said['iterations']} iterations on {said['train_shots']}-shot tasks, seed {said['seed']},\n"
        f"first weights {said['init']}, torch {said['torch']}, {said['threads']} thread(s)\n"
    )
    steps = "".join(f"{f'{n} steps':>24}" for n in SHOWN)
    print(f"shots  method       rate{steps}  ran away  training")
    for row in report["results"]:
        cells = "".join(cell(row, n) for n in SHOWN)
        lead = f"{row['shots']:>5}  {row['method']:<11}{row['rate']:>6}"
        print(f"{lead}{cells}{row['ran away'][-1]:>10}{row['training_seconds']:>8.0f} s")
        if row["shots"] == 5:
            known = PUBLISHED[row["method"]]
            cells = "".join(f"{known.get(n, '–'):>24}" for n in SHOWN)
            print(f"       published        {cells}")


def cell(row, step):
    mark = " " if row["trust"][step] == "mean" else "!"
    return f"{row['median'][step]:>8.3f}, {row['mse'][step]:>6.3f} ± {row['ci95'][step]:.3f}{mark}"


if __name__ == "__main__":
    main()
