"""How well a learner adapts to new tasks, with intervals that mean something: start with `evaluate`."""

from __future__ import annotations

import contextlib
import copy
import queue
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.func import vmap
from tqdm.auto import tqdm

from . import maml
from .arguments import check_learner_and_tasks
from .fast import threads
from .learner import MAML

CHUNK = 100  # episodes at once: enough to be quick, little memory
AT_ONCE = 1000  # images at once, where each query goes through the model beside a support set


@dataclass(frozen=True)
class Evaluation:
    """Scores after 0, 1, … inner steps on the query sets of new tasks.

    values: (episodes, steps + 1); mean and ci95: (steps + 1,). The interval is mean ± ci95, with
    ci95 = 1.96 · standard error over episodes. metric: "mse" (the learner's loss) or "accuracy".
    """

    metric: str
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        return self.values.mean(axis=0)

    @property
    def ci95(self) -> np.ndarray:
        """Half the width of the 95 % confidence interval of each mean."""
        return 1.96 * self.values.std(axis=0, ddof=1) / np.sqrt(len(self.values))

    def __len__(self):
        return len(self.values)

    def __repr__(self):
        rows = [
            f"{step:>5}  {mean:.4f} ± {ci:.4f}"
            for step, (mean, ci) in enumerate(zip(self.mean, self.ci95, strict=True))
        ]
        head = f"{self.metric} on {len(self)} new tasks, mean ± 95 % confidence"
        return "\n".join([head, "steps", *rows])


def evaluate(
    learner,
    tasks,
    episodes: int = 600,
    steps: int | None = None,
    seed: int = 1,
    *,
    transductive: bool = True,
    progress: bool = False,
) -> Evaluation:
    """Adapt θ to `episodes` new tasks and score the query sets after 0, 1, …, `steps` inner steps.

    steps: None takes as many as in training; more are allowed where inner_lr has no step axis. The
    score is accuracy where query_y holds class labels (integers), else the learner's loss. seed: of the
    tasks; another than in training, so that they are new. progress: show a bar.

    transductive: the whole query set goes through the model at once, as in the experiments of Finn et al.
    (2017); where batch norm takes its statistics from the batch, each query then gains from the others.
    False asks about one query at a time, in a batch with the support set alone, as Nichol et al. (2018)
    do in their non-transductive setting. Without batch norm the two are the same.
    The model is in eval mode meanwhile. Raises ValueError for bad arguments.
    """
    check_learner_and_tasks(learner, tasks)
    if isinstance(episodes, bool) or not isinstance(episodes, (int, np.integer)) or episodes < 2:
        raise ValueError(
            f"episodes must be a whole number ≥ 2 (for an interval); got {episodes!r}."
        )
    steps = learner.check_steps(learner.inner_steps if steps is None else steps)
    params, rng = learner.detached(), np.random.default_rng(seed)
    values, metric = [], "loss"
    bar = tqdm(total=episodes, disable=None if progress else True, desc="evaluation", unit="task")
    with _evaluating(learner.model), bar:
        for first in range(0, episodes, CHUNK):
            batch = tasks.sample(rng, tasks=min(CHUNK, episodes - first))
            tensors = maml.tensors_of(batch, params)
            metric = "loss" if tensors[3].is_floating_point() else "accuracy"
            for scores in _by_parts(learner, tensors, steps, metric, transductive):
                values.append(scores)
                bar.update(len(scores))
    if metric == "loss" and learner.loss_function is torch.nn.functional.mse_loss:
        metric = "mse"
    return Evaluation(metric, np.concatenate(values))


@contextlib.contextmanager
def _evaluating(model):
    """Dropout and the like are off while a model is evaluated; its mode is put back."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _by_parts(learner, tensors, steps, metric, transductive):
    """Scores (tasks, steps + 1) of a batch, a part of its tasks after the other.

    Under vmap each task has weights of its own, and convolutions with such are slow on a CPU (4 times, measured
    with Conv4): there one task after the other, on several threads.
    """
    images = tensors[2].shape[1] * (tensors[0].shape[1] + 1)
    size = CHUNK if transductive else max(1, AT_ONCE // images)
    if not _large(learner):
        for part in _parts(tensors, size):
            yield _scores(learner, part, steps, metric, transductive)
        return
    twins = queue.SimpleQueue[MAML]()  # functional_call swaps a module's parameters in place
    for _ in range(threads.budget()):
        twins.put(_twin(learner))

    def work(part):
        twin = twins.get()
        try:
            return _scores(twin, part, steps, metric, transductive)
        finally:
            twins.put(twin)

    parts, at_once = list(_parts(tensors, 1)), threads.budget()
    with threads.one_each():
        for first in range(0, len(parts), at_once):
            yield np.concatenate(threads.in_threads(work, parts[first : first + at_once]))


def _large(learner):
    """Whether a task at a time is quicker: convolutions, on a CPU."""
    on_cpu = all(p.device.type == "cpu" for p in learner.params.values())
    return on_cpu and any(isinstance(m, nn.modules.conv._ConvNd) for m in learner.model.modules())


def _twin(learner):
    """The learner with a copy of its modules, around the same tensors."""
    twin = copy.copy(learner)
    shared = [*learner.model.parameters(), *learner.model.buffers()]
    twin.model = copy.deepcopy(learner.model, {id(tensor): tensor for tensor in shared})
    return twin


def _parts(tensors, size):
    """The four tensors of a batch, `size` tasks at a time."""
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def _scores(learner, tensors, steps, metric, transductive):
    """Scores (tasks, steps + 1) of one batch."""

    def one_task(support_x, support_y, query_x, query_y):
        if transductive:
            outputs = learner.predictions(support_x, support_y, query_x, steps)
        else:
            outputs = one_at_a_time(support_x, support_y, query_x)
        return torch.stack([score(output, query_y) for output in outputs])

    def one_at_a_time(support_x, support_y, query_x):
        def outputs(x):
            own = learner.predictions(support_x, support_y, x[None], steps, beside=support_x)
            return tuple(output[0] for output in own)

        few = max(1, AT_ONCE // (len(support_x) + 1))  # more need gigabytes
        # steps + 1 times (queries, …)
        return vmap(outputs, randomness="different", chunk_size=few)(query_x)

    def score(output, y):
        if metric == "loss":
            return learner.loss_function(output, y)
        return (output.argmax(-1) == y).double().mean()

    with torch.no_grad():  # no graph where rates are learned
        return vmap(one_task, randomness="different")(*tensors).cpu().double().numpy()
