"""What every peer is given: the same network, first weights and tasks. NumPy only; start with `MAIN`.

Parameters are a dict in PyTorch's names, order and layouts (`0.weight` is (outputs, inputs) or (outputs,
inputs, 3, 3)); a peer that keeps them otherwise converts on the way in and out. All numbers are
representable in float32, so that a run in float64 starts from the same point.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from maml_edu.tasks import Sinusoids

FIELDS = ("support_x", "support_y", "query_x", "query_y")
WAYS, SIDE = 5, 28


@dataclass(frozen=True)
class Workload:
    """One outer step to time: second-order meta-gradient, Adam with rate `meta_lr`.

    network: "mlp" (1-width-width-1, ReLU, mean squared error on sine waves) or "conv4" (`width` filters,
    batch norm with the batch's own statistics, cross-entropy, 5 ways). shots, queries: per wave, or per
    class. pool: stride 1 and max-pool 2 where Conv4 otherwise has stride 2. check_tasks: how many tasks
    the float64 check and the choice of a thread count use (None: all). inner_optimiser: "sgd", or "adam" as
    torch.optim.Adam has it, begun anew for each task.
    """

    network: str
    tasks: int
    shots: int
    queries: int
    inner_lr: float
    inner_steps: int
    width: int
    pool: bool = False
    meta_lr: float = 1e-3
    check_tasks: int | None = None
    inner_optimiser: str = "sgd"

    @property
    def kind(self):
        """What `--workloads` calls it, whatever its number of inner steps."""
        kind = "sinusoid" if self.network == "mlp" else "conv4-pool" if self.pool else "conv4"
        return kind if self.inner_optimiser == "sgd" else f"{kind}-{self.inner_optimiser}"

    @property
    def name(self):
        return f"{self.kind}-{self.inner_steps}"

    def with_(self, **changes):
        return replace(self, **changes)

    def to_dict(self):
        return asdict(self)


SINUSOID = Workload("mlp", 25, shots=10, queries=10, inner_lr=0.01, inner_steps=1, width=40)
CONV4 = Workload("conv4", 32, 1, 15, inner_lr=0.4, inner_steps=1, width=64, check_tasks=2)
CONV4_POOL = CONV4.with_(pool=True, tasks=4)
MAIN = [  # five steps want a smaller rate: at 0.4 rounding errors grow from step to step
    own.with_(
        inner_steps=steps, inner_lr=0.1 if own.network == "conv4" and steps > 1 else own.inner_lr
    )
    for own in (SINUSOID, CONV4, CONV4_POOL)
    for steps in (1, 5)
]
MAIN += [SINUSOID.with_(inner_steps=5, inner_optimiser="adam")]
KINDS = tuple(dict.fromkeys(own.kind for own in MAIN))


def shapes(workload):
    """name → shape of every parameter, in PyTorch's order and layouts."""
    width = workload.width
    if workload.network == "mlp":
        sizes = {"0": (width, 1), "2": (width, width), "4": (1, width)}
        pairs = [(f"{at}.weight", f"{at}.bias", size) for at, size in sizes.items()]
        return {name: own for w, b, size in pairs for name, own in ((w, size), (b, size[:1]))}
    found, layers = {}, 4 if workload.pool else 3  # in nn.Sequential: conv, norm, ReLU (, pool)
    for block in range(4):
        conv, norm = block * layers, block * layers + 1
        inputs = 1 if block == 0 else width
        found[f"{conv}.weight"], found[f"{conv}.bias"] = (width, inputs, 3, 3), (width,)
        found[f"{norm}.weight"], found[f"{norm}.bias"] = (width,), (width,)
    head = 4 * layers + 1  # after nn.Flatten
    features = width if workload.pool else 4 * width  # 28 → 14 → 7 → 3 → 1, or → 4 → 2 with stride
    return found | {f"{head}.weight": (WAYS, features), f"{head}.bias": (WAYS,)}


def first_params(workload, seed=0):
    """θ before the first step: uniform in ±1/√inputs as PyTorch draws it; batch norm near 1 and 0."""
    rng, params = np.random.default_rng(seed), {}
    inputs = 1
    for name, shape in shapes(workload).items():
        if len(shape) > 1:
            inputs = int(np.prod(shape[1:]))
        limit = 1 / np.sqrt(inputs)
        params[name] = rng.uniform(-limit, limit, shape).astype(np.float32)
        if name in norm_weights(workload):
            params[name] = 1 + 0.1 * params[name]
    return params


def norm_weights(workload):
    """Names of the scales of batch norm: weights with a single axis."""
    known = shapes(workload).items()
    return [name for name, shape in known if name.endswith("weight") and len(shape) == 1]


def batch(workload, seed, tasks=None):
    """One meta-batch of invented tasks: field → array with a leading task axis, float32 or int64."""
    rng, tasks = np.random.default_rng(seed), tasks or workload.tasks
    if workload.network == "mlp":
        family = Sinusoids(shots=workload.shots, queries=workload.queries)
        drawn = family.sample(rng, tasks=tasks)
        return {name: np.asarray(getattr(drawn, name), np.float32) for name in FIELDS}
    # Each class is a random picture, each example of it that picture and noise.
    classes = rng.normal(size=(tasks, 1, WAYS, 1, SIDE, SIDE))
    found = {}
    for role, count in (("support", workload.shots), ("query", workload.queries)):
        noise = rng.normal(size=(tasks, count, WAYS, 1, SIDE, SIDE))
        x = (classes + noise).reshape(tasks, count * WAYS, 1, SIDE, SIDE)
        found[f"{role}_x"] = x.astype(np.float32)
        found[f"{role}_y"] = np.tile(np.arange(WAYS), (tasks, count)).astype(np.int64)
    return found


def save(workload, path, batches=2, seed=0):
    """Write first weights, the batch of the check and `batches` batches for timing to one .npz file."""
    arrays = {f"params/{name}": value for name, value in first_params(workload, seed).items()}
    sizes = {"check": workload.check_tasks, **{str(i): None for i in range(batches)}}
    for number, (label, tasks) in enumerate(sizes.items()):
        drawn = batch(workload, seed + 1 + number, tasks)
        arrays |= {f"{label}/{name}": value for name, value in drawn.items()}
    np.savez(path, **arrays)


def load(path):
    """(params, {label: batch}) as `save` wrote them."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    groups: dict[str, dict] = {}
    for name, value in arrays.items():
        group, _, own = name.partition("/")
        groups.setdefault(group, {})[own] = value
    return groups.pop("params"), groups
