"""How well a learner adapts to new tasks, with intervals that mean something: start with `evaluate`."""

from __future__ import annotations

import copy
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import vmap
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from tqdm.auto import tqdm

from . import maml, modes
from .arguments import check_batch_size, check_learner_and_tasks, checked_steps, is_count
from .fast import structure, textbook, threads
from .learner import MAML
from .metrics import metric_for
from .precision import applied

CHUNK = 100  # episodes at once: enough to be quick, little memory
AT_ONCE = 1000  # images at once, where each query goes through the model beside a support set
_AT_A_TIME = "evaluate(…, transductive=False) asks each query in a batch with the support set"
_EXACT, _ROUGH = (
    1e-6,
    1e-2,
)  # relative differences that are put down to rounding, in float64 and below


@dataclass(frozen=True)
class Evaluation:
    """Scores after 0, 1, … inner steps on the query sets of new tasks.

    values: (episodes, steps + 1); mean and ci95: (steps + 1,). The interval is mean ± ci95, with
    ci95 = 1.96 · standard error over episodes. metric: what was scored, such as "accuracy", "mse" or "loss".
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
    metric: str | Callable | None = None,
    transductive: bool = True,
    progress: bool = False,
) -> Evaluation:
    """Adapt θ to `episodes` new tasks and score the query sets after 0, 1, …, `steps` inner steps.

    steps: None takes as many as in training; more are allowed where inner_lr has no step axis. seed: of the
    tasks; another than in training, so that they are new. progress: show a bar.

    metric: "accuracy", "mse", "loss" (the learner's), or a function (output, y) → a number for the task, or
    one for each of its examples; output is what the model returns, a tuple or dict as it is. None: the
    loss where y is real; accuracy where output and y have the shapes of class scores (examples, classes) and
    class numbers (examples,); anything else is refused. Labels that the loss ignores, and the padding of
    tasks of unequal size, do not count.

    transductive: the whole query set goes through the model at once, as in the experiments of Finn et al.
    (2017); where batch norm takes its statistics from the batch, each query then gains from the others.
    False asks about one query at a time, in a batch with the support set alone, as Nichol et al. (2018)
    do in their non-transductive setting. Without batch norm the two are the same.

    Meanwhile nothing is dropped out, and no buffer is written; batch norms use the batch at hand, unless
    their owner put them into eval mode. All tasks go side by side where the model allows it, else one after
    the other. Raises ValueError for bad arguments and for a metric that makes no sense.
    """
    check_learner_and_tasks(learner, tasks)
    if not is_count(episodes, 2):
        raise ValueError(
            f"episodes must be a whole number ≥ 2 (for an interval); got {episodes!r}."
        )
    steps = learner.check_steps(learner.inner_steps if steps is None else checked_steps(steps))
    modes.refuse_unwritten_statistics(learner.model)
    rng, values = np.random.default_rng(seed), []
    scoring = _Scoring(learner, steps, metric, transductive)
    bar = tqdm(total=episodes, disable=None if progress else True, desc="evaluation", unit="task")
    clean = structure.nothing_left_in(learner.model)
    mode = modes.in_evaluation(learner.model)
    with torch.inference_mode(False), mode, clean, applied(learner.precision), torch.no_grad(), bar:
        for first in range(0, episodes, CHUNK):
            count = min(CHUNK, episodes - first)
            batch = maml.TaskBatch.of(tasks.sample(rng, tasks=count))
            check_batch_size(batch, count)
            values.append(np.empty((count, steps + 1)))
            for numbers, group in batch.groups():
                values[-1][list(numbers)] = scoring.of(group, bar)
    return Evaluation(scoring.name, np.concatenate(values))


class _Scoring:
    """How the tasks of one evaluation are scored: found out from the first ones."""

    def __init__(self, learner, steps, metric, transductive):
        self.learner, self.steps, self.transductive = learner, steps, transductive
        self.wanted, self.way = metric, None
        self.metric: Any = None
        self.params = learner.detached()

    @property
    def name(self):
        return self.metric.name

    def of(self, batch, bar):
        """Scores (tasks, steps + 1) of tasks of one size."""
        tensors, scores = maml.tensors_of(batch, self.params), []
        if self.transductive:
            modes.warn_of_one_example(self.learner.model, tensors[2][0], _AT_A_TIME)
        if self.way is None:
            self.way = self._way_for(tensors)
        for part, outputs in self.way(tensors):
            scores.append(self._scores(part[3], outputs))
            bar.update(len(part[3]))
        return np.concatenate(scores)

    def _scores(self, query_y, outputs):
        """Scores (tasks, steps + 1) of the outputs of some tasks, a list over steps for each."""
        loss, steps = self.learner.loss_function, range(self.steps + 1)
        self.metric = metric_for(self.wanted, loss, outputs[0][-1], query_y[0])
        if self.wanted is None and len(outputs) > 1 and _are_plain(loss, outputs[0][-1], query_y):
            score = vmap(lambda output, y: self.metric.score(output, y).double())
            stacked = [torch.stack([output[step] for output in outputs]) for step in steps]
            return torch.stack([score(part, query_y) for part in stacked], 1).cpu().numpy()
        scores = []
        for y, of_task in zip(query_y, outputs, strict=True):
            metric = metric_for(self.wanted, loss, of_task[-1], y)
            scores.append([float(metric.score(output, y)) for output in of_task])
        return np.array(scores)

    # -------------------------------------------------------------- ways through the tasks

    def _way_for(self, tensors):
        """The quickest way that gives the outputs which a task by itself has."""
        convolves = _convolves(self.learner)
        way = self._in_threads if convolves else self._side_by_side
        if convolves and structure.shares_state(self.learner.model):
            return self._one_by_one
        few = tuple(tensor[: 1 if convolves else 2] for tensor in tensors)
        steps, self.steps = self.steps, min(self.steps, 1)  # one step shows what there is to see
        try:
            expected = [outputs for _, part in self._one_by_one(few) for outputs in part]
            outputs = [outputs for _, part in way(few) for outputs in part]
        except Exception:  # whatever vmap, or a copy of the model, cannot do
            return self._one_by_one
        finally:
            self.steps = steps
        return way if _alike(outputs, expected) else self._one_by_one

    def _one_by_one(self, tensors):
        """(part, outputs of its tasks, each a list over steps): plain autograd, a task at a time."""
        for part in _parts(tensors, 1):
            task = [tensor[0] for tensor in part]
            with torch.enable_grad():  # which a model may ask for in its forward pass
                outputs = self._outputs(self.learner, task[:3], textbook.detached_slope_of)
            yield part, [pytree.tree_map(_detached, outputs)]

    def _side_by_side(self, tensors):
        """All tasks of a part at once, under vmap."""
        images = tensors[2].shape[1] * (tensors[0].shape[1] + 1)
        size = CHUNK if self.transductive else max(1, AT_ONCE // images)
        for part in _parts(tensors, size):
            run = vmap(
                lambda *task: self._outputs(self.learner, task, maml.slope_of),
                randomness="different",
            )
            stacked = run(*part[:3])
            yield part, [_item(stacked, number) for number in range(len(part[0]))]

    def _in_threads(self, tensors):
        """A task at a time, on several threads.

        Under vmap each task has weights of its own, and convolutions with such are slow on a CPU (4 times,
        measured with Conv4).
        """
        twins = queue.SimpleQueue[MAML]()  # functional_call swaps a module's parameters in place
        for _ in range(threads.budget()):
            twins.put(_twin(self.learner))

        def work(part):
            twin = twins.get()
            try:
                task = [tensor[0] for tensor in part]
                with torch.no_grad():  # a thread has its own
                    return self._outputs(twin, task[:3], textbook.detached_slope_of)
            finally:
                twins.put(twin)

        parts, at_once = list(_parts(tensors, 1)), threads.budget()
        with threads.one_each():
            for first in range(0, len(parts), at_once):
                now = parts[first : first + at_once]
                for part, outputs in zip(now, threads.in_threads(work, now), strict=True):
                    yield part, [outputs]

    def _outputs(self, learner, task, slope_of):
        """[output for ONE task's query_x after 0, 1, …, steps inner steps]; task: its first three parts."""
        support_x, support_y, query_x = task
        predictors = learner.predictors(support_x, support_y, self.steps, slope_of)
        if self.transductive:
            return [predict(query_x) for predict in predictors]
        alone = lambda predict: _one_at_a_time(predict, query_x, support_x)
        return [alone(predict) for predict in predictors]


def _detached(part):
    return part.detach() if isinstance(part, torch.Tensor) else part


def _one_at_a_time(predict, query_x, support_x):
    """The outputs of each query in a batch with the support set alone, put together again."""

    def output(x):
        return pytree.tree_map(_first, predict(x[None], beside=support_x))

    few = max(1, AT_ONCE // (len(support_x) + 1))  # more need gigabytes
    try:
        return vmap(output, randomness="different", chunk_size=few)(query_x)
    except (RuntimeError, TypeError, ValueError):  # what vmap cannot do, or give back
        outputs = [output(x) for x in query_x]
        return pytree.tree_map(_stacked, *outputs)


def _first(part):
    return part[0] if isinstance(part, torch.Tensor) else part


def _stacked(*parts):
    return torch.stack(parts) if isinstance(parts[0], torch.Tensor) else parts[0]


def _are_plain(loss, output, query_y):
    """Whether the scores of all tasks can be had at once: torch's own losses, labels that all count."""
    if loss is F.mse_loss:
        return query_y.is_floating_point()
    if loss is not F.cross_entropy or query_y.is_floating_point():
        return False
    return bool(((query_y >= 0) & (query_y < output.shape[1])).all())


def _convolves(learner):
    """Whether a task at a time is quicker: convolutions, on a CPU."""
    on_cpu = all(p.device.type == "cpu" for p in learner.params.values())
    return on_cpu and any(isinstance(m, nn.modules.conv._ConvNd) for m in learner.model.modules())


def _twin(learner):
    """The learner with a copy of its modules, around the same tensors."""
    twin = copy.copy(learner)
    twin.model = threads.model_twin(learner.model)
    return twin


def _parts(tensors, size):
    """The four tensors of a batch, `size` tasks at a time."""
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def _item(stacked: Any, number):
    """The outputs of one task, from those of all stacked on a first axis."""
    return pytree.tree_map(lambda part: part[number], stacked)


def _alike(outputs, expected):
    """Whether two lists of outputs are the same, up to rounding."""
    mine, theirs = pytree.tree_leaves(outputs), pytree.tree_leaves(expected)
    if len(mine) != len(theirs):
        return False
    for a, b in zip(mine, theirs, strict=True):
        if not isinstance(a, torch.Tensor):
            continue
        a, b, exact = a.double(), b.double(), b.dtype == torch.float64
        if a.shape != b.shape or not torch.equal(a.isfinite(), b.isfinite()):
            return False
        a, b = a[a.isfinite()], b[b.isfinite()]
        if float((a - b).norm()) > (_EXACT if exact else _ROUGH) * float(b.norm()):
            return False
    return True
