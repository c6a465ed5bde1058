"""How memory grows with inner steps, and time with tasks and with the size of the network.

Each point is one peer on one workload: no rounds, since the question is the shape of a curve over two or
three powers of ten. Start with `run`.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.compare import workloads
from benchmarks.compare.rounds import PeerFailed, time_of_steps

MEMORY = "memory"
STEPS = (1, 2, 5, 10, 20, 50)
TASKS = (1, 4, 16, 64, 250, 1000)
WIDTHS = (10, 20, 40, 80, 160, 320, 640)


@dataclass(frozen=True)
class Sweep:
    """name: key in the results; axis: the field of the workload that takes `values`; peers: by name."""

    name: str
    title: str
    workload: workloads.Workload
    axis: str
    values: tuple[int, ...]
    peers: tuple[str, ...]

    @property
    def measures_memory(self):
        return self.name.startswith(MEMORY)


# Two tasks, for time's sake. JAX unrolls the inner loop: compiling 50 steps of Conv4 takes too long.
FEW = workloads.CONV4.with_(tasks=2, inner_lr=0.01)
SINES = workloads.SINUSOID
COMMON = ("textbook", "vmap", "jax", "ours-plain", "ours-lean", "ours-auto")
SWEEPS = [
    Sweep(
        "memory-conv4",
        "Memory of one outer step, Conv4, 2 tasks",
        FEW,
        "inner_steps",
        STEPS,
        ("textbook", "vmap", "ours-plain", "ours-lean", "ours-auto"),
    ),
    Sweep(
        "memory-sinusoid",
        "Memory of one outer step, sinusoid, 250 tasks",
        SINES.with_(tasks=250),
        "inner_steps",
        STEPS,
        ("textbook", "vmap", "ours-plain", "ours-lean", "ours-auto"),
    ),
    Sweep("tasks", "Speed against tasks, sinusoid, K = 1", SINES, "tasks", TASKS, COMMON),
    Sweep("width", "Speed against width, sinusoid, K = 1", SINES, "width", WIDTHS, COMMON),
]


def run(sweep, entries, crew, plan, point, note=lambda text: None):
    """Call point({"peer", "value", "bytes" or "rate"}) for each peer and value, small values first.

    A peer that fails at a value (memory, time) ends there with {"peer", "value", "reason"}.
    """
    for entry in entries:
        if entry.name not in sweep.peers:
            continue
        try:
            worker = crew.fresh(entry)  # nobody else's memory in it
        except PeerFailed as error:
            point({"peer": entry.name, "value": sweep.values[0], "reason": str(error)})
            continue
        try:
            _curve(sweep, entry, worker, crew, plan, point, note)
        finally:
            worker.close()


def _curve(sweep, entry, worker, crew, plan, point, note):
    base = None
    for value in sweep.values:
        note(f"{entry.name}, {sweep.axis} = {value}")
        workload = sweep.workload.with_(**{sweep.axis: value, "check_tasks": 1})
        data = crew.scratch / f"{sweep.name}.npz"
        workloads.save(workload, data, batches=1)
        how = {"threads": entry.thread_counts(workload, plan.cores, plan.device)[0]}
        arguments = {"workload": workload.to_dict(), "data": str(data), "device": plan.device}
        try:
            worker.ask("prepare", **how, **arguments)
            if base is None:  # libraries loaded, kernels chosen: what every later step needs anyway
                worker.ask("round", steps=1, batch="check", **how)
                base = worker.ask("resident")["bytes"]
            found = (
                _memory(worker, base, how)
                if sweep.measures_memory
                else _rate(worker, workload, how)
            )
        except PeerFailed as error:
            point({"peer": entry.name, "value": value, "reason": str(error)})
            return
        point({"peer": entry.name, "value": value, **found})


def _memory(worker, base, how):
    """Peak bytes of one outer step beyond what the process held before it; a step before warms up."""
    worker.ask("round", steps=1, **how)
    return {"bytes": max(0, worker.ask("peak", **how)["bytes"] - base)}


def _rate(worker, workload, how):
    """Tasks per second, warmed up and compiled."""
    worker.ask("round", steps=1, **how)
    return {"rate": workload.tasks / time_of_steps(worker, batch=None, **how)}
