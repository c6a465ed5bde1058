"""One process against several on this machine, and what the model expects of many GPUs.

    python benchmarks/reproduce/scaling.py             # measures 1 and 2 processes, a few minutes
    python benchmarks/reproduce/scaling.py --model     # only works out the table of docs/scaling.md, in a second

Each measurement is `maml_edu.train` as a user starts it, one core a process; the two take turns, and the
ratio is taken within each round. Start reading at `main`; the model is `step_time`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import torch
from torch import distributed as dist

WORKLOADS = {  # name → options of maml_edu.train, iterations
    "MLP 1-40-40-1 (1,761 parameters), K = 1": (["--hidden", "40,40"], 2000),
    "the same, K = 5": (["--hidden", "40,40", "--inner-steps", "5"], 600),
    "MLP 1-336-336-1 (114,241 parameters), K = 5": (
        ["--hidden", "336,336", "--inner-steps", "5"],
        40,
    ),
}
SAME = ["--device", "cpu", "--threads", "1", "--validate-every", "0", "--no-test", "--json"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="store_true", help="only the expectation for many GPUs")
    parser.add_argument("--processes", type=int, default=2, help="compared with one process")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the iterations; less is quicker"
    )
    options = parser.parse_args()
    if not options.model:
        measure(options)
        print()
    show_model()


# ------------------------------------------------------------------ measured


def measure(options):
    """Milliseconds an outer step of 25 tasks, by one process and by several."""
    print(f"| 25 tasks a step | 1 process | {options.processes} processes | ratio |")
    print("| --- | --- | --- | --- |")
    for name, (arguments, iterations) in WORKLOADS.items():
        count = max(2, int(iterations * options.share))
        rounds = []
        for _ in range(options.rounds):
            rounds.append([step_ms(arguments, count, n) for n in (1, options.processes)])
        one, several = (statistics.median(times) for times in zip(*rounds, strict=True))
        ratio = statistics.median(first / second for first, second in rounds)
        print(f"| {name} | {one:.2f} ms | {several:.2f} ms | {ratio:.2f} |", flush=True)
    print(f"\nAll-reduce between {options.processes} processes (gloo, loopback), median of 200:")
    for numbers in (1_763, 112_263, 1_000_000):
        print(f"  {numbers:>9,} numbers: {all_reduce_us(numbers, options.processes):.0f} µs")


def step_ms(arguments, iterations, processes):
    """Milliseconds an iteration of `maml_edu.train` takes, once it is warm."""
    own = [sys.executable, "-m", "maml_edu.train"]
    if processes > 1:
        many = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        own = [sys.executable, "-m", *many, "-m", "maml_edu.train"]
    seconds = []
    for count in (iterations // 5, iterations):  # the difference leaves out what is done only once
        done = run([*own, *SAME, *arguments, "--iterations", str(count), "--no-progress"])
        seconds.append(json.loads(done)["seconds"])
    return 1e3 * (seconds[1] - seconds[0]) / (iterations - iterations // 5)


def all_reduce_us(numbers, processes):
    """Microseconds that one all-reduce of so many float32 takes."""
    many = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return float(run([sys.executable, "-m", *many, __file__, "--all-reduce", str(numbers)]))


def run(command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:  # for the files of a run
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return done.stdout


def all_reduce(numbers):
    """What each process of `all_reduce_us` does."""
    import time

    from maml_edu.pytorch.training.distributed import processes

    with processes("cpu"):
        flat, times = torch.zeros(numbers), []
        for _ in range(220):
            began = time.perf_counter()
            dist.all_reduce(flat)
            times.append(time.perf_counter() - began)
        if dist.get_rank() == 0:
            print(1e6 * statistics.median(times[20:]))


# ------------------------------------------------------------------ worked out: see docs/scaling.md

NVLINK, NETWORK = 1.9, 4.0  # µs a step of a ring; of a tree 1.2 and 8.5
LAUNCH = 10.0  # µs from Python to the first byte, once a step
BANDWIDTH = {"machine": 200e3, "network": 40e3}  # bytes a µs and GPU
PER_MACHINE = 8


def all_reduce_time(gpus, parameters):
    """µs for one all-reduce of all gradients and the loss, by the quicker of ring and tree."""
    if gpus == 1:
        return 0.0
    inside, machines = min(gpus, PER_MACHINE), -(-gpus // PER_MACHINE)
    between = 2 * (machines - 1)
    ring = 10.0 + (2 * (gpus - 1) - between) * NVLINK + between * NETWORK
    tree = 4.4 + 2 * ((inside - 1) * 1.2 + (machines - 1).bit_length() * 8.5)
    sent = 2 * (gpus - 1) / gpus * 4 * (parameters + 2)  # bytes from each GPU
    return LAUNCH + min(ring, tree) + sent / BANDWIDTH["network" if machines > 1 else "machine"]


def step_time(gpus, tasks, parameters, per_task, floor, every_rank):
    """µs of an outer step: the largest share of tasks, what every rank does, and the all-reduce.

    per_task: µs of one task on a full GPU; floor: µs of the shortest possible step, however few tasks;
    every_rank: µs a task that every rank spends on the whole meta-batch (drawing it).
    """
    share = -(-tasks // gpus)
    reduce = all_reduce_time(gpus, parameters)
    return max(floor, share * per_task) + tasks * every_rank + reduce


# parameters, µs a task, floor in µs, µs a task on every rank
CONV4 = (112_261, 156.0, 800.0, 10.0)
CONV4_DRAWN_ON_GPU = (112_261, 156.0, 800.0, 0.1)
SINES = (1_761, 0.4, 300.0, 1.0)
GPUS = (1, 2, 4, 8, 16, 32, 64)


def show_model():
    """The tables of docs/scaling.md."""
    for name, case, tasks in (("Conv4", CONV4, 32), ("sinusoid MLP", SINES, 25)):
        print(f"{name}, one meta-batch of {tasks} tasks shared (strong scaling)")
        print("| GPUs | tasks on each | all-reduce | step | times faster |")
        print("| --- | --- | --- | --- | --- |")
        alone = step_time(1, tasks, *case)
        for gpus in (n for n in GPUS if n <= tasks):
            took, reduce = step_time(gpus, tasks, *case), all_reduce_time(gpus, case[0])
            print(f"| {gpus} | {-(-tasks // gpus)} | {shown(reduce, took)} | {alone / took:.1f} |")
        print()
    print("Conv4, 32 tasks on each GPU (weak scaling)")
    print("| GPUs | tasks | all-reduce | step | tasks a second, times one GPU | drawn on the GPU |")
    print("| --- | --- | --- | --- | --- | --- |")
    for gpus in GPUS:
        took, reduce = step_time(gpus, 32 * gpus, *CONV4), all_reduce_time(gpus, CONV4[0])
        gains = [
            gpus * step_time(1, 32, *case) / step_time(gpus, 32 * gpus, *case)
            for case in (CONV4, CONV4_DRAWN_ON_GPU)
        ]
        columns = f"| {gpus} | {32 * gpus} | {shown(reduce, took)}"
        print(f"{columns} | {gains[0]:.1f} | {gains[1]:.1f} |")


def shown(reduce, took):
    return f"{reduce:.0f} µs | {took / 1e3:.2f} ms"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--all-reduce"]:
        all_reduce(int(sys.argv[2]))
    else:
        main()
