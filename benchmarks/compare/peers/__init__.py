"""Every peer by name. A peer is one small module with a class `Peer`, run in a process of its own.

    Peer(workload, params, dtype, device, option)   network, first weights, outer Adam; may compile later
    put(batch) → batch                              arrays as the peer likes them, on its device
    gradient(batch) → (value, {name: array})        the meta-gradient at the present θ, PyTorch's layouts
    step(batch)                                     one outer step: meta-gradient and Adam
    wait()                                          returns when the device has done all of it
    set_threads(count)                              CPU threads, before or between steps

Nothing here imports a peer: `load` does, inside the worker. To add one, write its module and a line in
`PEERS`; what pip is to fetch for it goes into `environments.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

MLP, CONV4 = "mlp", "conv4"


@dataclass(frozen=True)
class Entry:
    """One row of the tables.

    module: under `benchmarks.compare.peers`; option: told to its `Peer`; environment: of `environments.py`
    (None: what this Python has); ours: one of maml_edu's engines. threads: counts worth trying on a CPU
    for each network ("all": every core); a peer that has none for a network does not take part there.
    leaves_out(workload, plan): why not to run it, or "". inner: the inner optimisers that it is written for.
    few_tasks: timed on the two tasks of the check
    where a whole batch of convolutions on a CPU would take a minute a step (which flatters it).
    devices: where it is of use. precision: what it computes in when it is timed; close: the relative error
    in float32 that this explains.
    """

    name: str
    label: str
    module: str
    option: str = ""
    environment: str | None = None
    ours: bool = False
    threads: dict | None = None
    leaves_out: Callable = lambda workload, plan: ""
    inner: tuple = ("sgd",)
    few_tasks: bool = False
    precision: str = "float32"
    devices: tuple = ("cpu", "cuda")
    close: float = 0.05  # rounding to float32 stays far below, another algorithm far above

    def reason_to_leave_out(self, workload, plan):
        """Why not to run it on this workload, or ""."""
        if workload.inner_optimiser not in self.inner:
            return f"is not written for {workload.inner_optimiser} as the inner optimiser"
        return self.leaves_out(workload, plan)

    def thread_counts(self, workload, cores, device):
        """The thread counts to try; [None]: leave the peer's own default."""
        if device != "cpu":
            return [None]
        chosen = (self.threads or BOTH)[workload.network]
        return list(dict.fromkeys(cores if one == "all" else one for one in chosen))


BOTH = {MLP: (1, "all"), CONV4: ("all", 1)}  # the likelier one first: checks are done with it
OWN = {MLP: (None,), CONV4: (None,)}  # fixed when the process starts


def only_sinusoid(workload, plan):
    return "" if workload.network == MLP else "is timed on the sinusoid only"


def only_conv4(workload, plan):
    return "" if workload.network == CONV4 else "is about convolutions"


def compiles_for_minutes(workload, plan):
    """Each workload is compiled twice, for float64 and float32; convolutions take minutes each time."""
    if workload.network == CONV4 and not plan.thorough:
        return "compiling convolutions takes minutes: only with --thorough"
    return "compiling takes a minute: left out of --quick" if plan.quick else ""


def slow_convolutions(workload, plan):
    """XLA's convolution of a batch of tasks, each with weights of its own, compiled for a CPU."""
    slow = workload.network == CONV4 and plan.device == "cpu" and plan.quick
    return "takes minutes on a CPU: left out of --quick" if slow else ""


def slower_convolutions(workload, plan):
    """The same within lax.scan over inner steps: ten seconds a task."""
    slow = workload.network == CONV4 and plan.device == "cpu" and workload.name != "conv4-1"
    return "takes minutes a step on a CPU: left out" if slow else slow_convolutions(workload, plan)


def _ours(engine, **changes):
    name, label = f"ours-{engine}", f"maml_edu, {engine}"
    return Entry(name, label, "ours", engine, ours=True, inner=("sgd", "adam"), **changes)


def _captured(precision, said, **changes):
    name = "ours-captured" if precision == "float32" else f"ours-captured-{precision}"
    label = f"maml_edu, meta_train, CUDA graph, {said}"
    options = {"ours": True, "devices": ("cuda",), "precision": precision, **changes}
    return Entry(name, label, "ours_training", precision, **options)


PEERS = [
    Entry("textbook", "textbook loop (create_graph)", "textbook"),
    Entry("learn2learn", "learn2learn 0.2.0", "learn2learn", environment="learn2learn"),
    Entry("higher", "higher 0.2.1", "higher", environment="higher"),
    Entry(
        "torchopt",
        "TorchOpt 0.7.3, MetaSGD or MetaAdam",
        "torchopt",
        environment="torchopt",
        inner=("sgd", "adam"),
    ),
    Entry(
        "parallel-metalearn",
        "parallel-metalearn 0.5.6",
        "parallel_metalearn",
        environment="parallel-metalearn",
    ),
    Entry("vmap", "torch.func vmap", "vmap", "elementary"),
    Entry(
        "vmap-batchnorm2d",
        "torch.func vmap, nn.BatchNorm2d",
        "vmap",
        "BatchNorm2d",
        leaves_out=only_conv4,
    ),
    Entry(
        "compile",
        "torch.compile",
        "compiled",
        threads={MLP: (1,), CONV4: (1,)},
        leaves_out=compiles_for_minutes,
    ),
    Entry(
        "jax",
        "JAX jit + vmap",
        "jax_vmap",
        "vmap",
        environment="jax",
        threads=OWN,
        leaves_out=slow_convolutions,
        few_tasks=True,
    ),
    Entry(
        "jax-scan",
        "JAX jit, tasks in turn, conv as matmul",
        "jax_vmap",
        "scan",
        environment="jax",
        threads=OWN,
        leaves_out=only_conv4,
    ),
    Entry(
        "jax-meta",
        "jax-meta 1.0.3",
        "jax_meta",
        environment="jax",
        threads=OWN,
        leaves_out=slower_convolutions,
        few_tasks=True,
    ),
    _ours("plain"),
    _ours("lean"),
    _ours("threads"),
    _ours("closed"),
    _ours("native"),
    _ours("conv"),
    _ours("compiled", threads={MLP: (1,), CONV4: (1,)}, leaves_out=compiles_for_minutes),
    _ours("auto"),
    Entry(
        "ours-step",
        "maml_edu, OuterStep, one batch a call",
        "ours_step",
        ours=True,
        leaves_out=only_sinusoid,
        inner=("sgd", "adam"),
    ),
    Entry(
        "ours-meta-train",
        "maml_edu, meta_train",
        "ours_training",
        "prepared",
        ours=True,
        inner=("sgd", "adam"),
        devices=("cpu",),
        leaves_out=only_sinusoid,
    ),
    Entry(
        "ours-meta-train-drawing",
        "maml_edu, meta_train, drawing tasks",
        "ours_training",
        ours=True,
        devices=("cpu",),
        leaves_out=only_sinusoid,
    ),
    _captured("float32", "float32"),
    _captured("tf32", "TF32", close=0.4),
    _captured("bf16", "bfloat16", close=0.7),
]
BY_NAME = {entry.name: entry for entry in PEERS}


def load(entry):
    """The class `Peer` of an entry's module: imports the peer, so only a worker calls it."""
    return importlib.import_module(f"{__name__}.{entry.module}").Peer
