"""How well a learner adapts to new tasks: start with `evaluate`."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import queue
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import vmap
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from tqdm.auto import tqdm

from . import fast, maml, modes
from .arguments import check_batch_size, check_learner_and_tasks, checked_steps, is_count
from .fast import structure, textbook, threads
from .intervals import Evaluation
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
    tasks; another than in training, so that they are new. The tasks of a short evaluation are the first ones of a
    longer one of the same seed. progress: show a bar. The `Evaluation` has median, mean and intervals, says which
    to trust, and minus another one compares two learners task by task.

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

    A learner that predicts no targets is scored as its method `evaluated` says: a `PolicyGradient` by its returns.
    """
    check_learner_and_tasks(learner, tasks)
    if not is_count(episodes, 2):
        raise ValueError(
            f"episodes must be a whole number ≥ 2 (for an interval); got {episodes!r}."
        )
    if hasattr(learner, "evaluated"):
        _refuse_what_is_about_predictions(metric, transductive)
        return learner.evaluated(tasks, episodes, steps, seed)
    steps = learner.check_steps(learner.inner_steps if steps is None else checked_steps(steps))
    modes.refuse_unwritten_statistics(learner.model)
    rng, values, drawn = np.random.default_rng(seed), [], hashlib.blake2b(digest_size=8)
    scoring = _Scoring(learner, steps, metric, transductive)
    bar = tqdm(total=episodes, disable=None if progress else True, desc="evaluation", unit="task")
    clean = structure.nothing_left_in(learner.model)
    mode = modes.in_evaluation(learner.model)
    with torch.inference_mode(False), mode, clean, applied(learner.precision), torch.no_grad(), bar:
        for first in range(0, episodes, CHUNK):
            count = min(CHUNK, episodes - first)
            batch = _drawn(tasks, rng, count)
            drawn.update(_fingerprint(batch))
            values.append(np.empty((count, steps + 1)))
            for numbers, group in batch.groups():
                values[-1][list(numbers)] = scoring.of(group, bar)
    return Evaluation(scoring.name, np.concatenate(values), f"tasks {drawn.hexdigest()}")


def _refuse_what_is_about_predictions(metric, transductive):
    """ValueError for arguments that mean nothing if a learner predicts no targets."""
    if metric is not None or not transductive:
        raise ValueError(
            "this learner predicts no targets, and says itself how it is scored: leave out metric= and "
            "transductive=."
        )


def _drawn(tasks, rng, count) -> maml.TaskBatch:
    """The next `count` tasks: the first ones of `CHUNK`, so that how many are wanted does not change them."""
    before = rng.bit_generator.state
    try:
        batch = maml.TaskBatch.of(tasks.sample(rng, tasks=CHUNK))
    except (ValueError, IndexError):  # a family that has not so many, perhaps
        rng.bit_generator.state = before
        batch = maml.TaskBatch.of(tasks.sample(rng, tasks=count))
    if len(batch) > count:
        batch = batch.part(0, count)
    check_batch_size(batch, count)
    return batch


def _fingerprint(batch) -> bytes:
    """What tells these tasks from others: the sums of each one's examples."""
    tensors = (torch.as_tensor(values).detach().cpu().flatten(1) for values in batch.arrays)
    return b"".join(tensor.double().sum(1).numpy().tobytes() for tensor in tensors)


class _Scoring:
    """How the tasks of one evaluation are scored: found out from the first ones."""

    def __init__(self, learner, steps, metric, transductive):
        self.learner, self.steps, self.transductive = learner, steps, transductive
        self.wanted, self.way = metric, None
        self.metric: Any = None
        self.params = learner.detached()
        self.ways = fast.kept_for(learner).setdefault("ways of evaluation", {})

    @property
    def name(self):
        return self.metric.name

    def of(self, batch, bar):
        """Scores (tasks, steps + 1) of tasks of one size."""
        tensors, scores = maml.tensors_of(batch, self.params), []
        if self.transductive:
            modes.warn_of_one_example(self.learner.model, tensors[2][0], _AT_A_TIME)
        if self.way is None:
            if self.steps > 0:
                self.learner.refuse_recomputation(*(tensor[0] for tensor in tensors[:2]))
            kinds = self.transductive, self.steps > 0, *((t.shape[1:], t.dtype) for t in tensors)
            if kinds not in self.ways:
                self.ways[kinds] = self._way_for(tensors)
            self.way = getattr(self, self.ways[kinds])
        for part, outputs in self.way(tensors):
            scores.append(self._scores(part[3], outputs))
            bar.update(len(part[3]))
        return np.concatenate(scores)

    def _scores(self, query_y, outputs):
        """Scores (tasks, steps + 1) of the outputs of some tasks, a list over steps for each."""
        loss = self.learner.loss_function
        self.metric = metric_for(self.wanted, loss, outputs[0][-1], query_y[0])
        if self.wanted is None and isinstance(outputs, _SideBySide):
            if _are_plain(loss, outputs[0][-1], query_y):
                of_task = lambda outputs, y: torch.stack(
                    [self.metric.score(output, y).double() for output in outputs]
                )
                return vmap(of_task)(outputs.steps, query_y).cpu().numpy()
        scores = []
        for y, of_task in zip(query_y, outputs, strict=True):
            metric = metric_for(self.wanted, loss, of_task[-1], y)
            scores.append([float(metric.score(output, y)) for output in of_task])
        return np.array(scores)

    # -------------------------------------------------------------- ways through the tasks

    def _way_for(self, tensors):
        """The name of the quickest way that gives the outputs which a task by itself has."""
        convolves = _convolves(self.learner)
        ways = ("_by_hand", "_in_threads") if convolves else ("_side_by_side",)
        if convolves and structure.shares_state(self.learner.model):
            return "_one_by_one"
        few = tuple(tensor[: 1 if convolves else 2] for tensor in tensors)
        steps, self.steps = self.steps, min(self.steps, 1)  # one step shows what there is to see
        expected = None
        try:
            for way in ways:
                if way == "_by_hand" and self._network(tensors) is None:
                    continue
                try:
                    expected = expected or _outputs_of(self._one_by_one(few))
                    if _alike(_outputs_of(getattr(self, way)(few)), expected):
                        return way
                except Exception:  # whatever the kernels, vmap, or a copy of the model cannot do
                    continue
        finally:
            self.steps = steps
        return "_one_by_one"

    def _network(self, tensors):
        """The model as the kernels for convolutions know it.

        None where they do not know it, or how it adapts, and where the loss ignores some labels.
        """
        learner, kind = self.learner, type(self.learner)
        ordinary = all(
            getattr(kind, name) is getattr(MAML, name) for name in ("predictors", "path", "output")
        )
        if not ordinary or learner.precision == "bf16" or torch.is_autocast_enabled("cpu"):
            return None
        if not learner.loop(self.steps).checked(self.params).is_descent:
            return None
        if importlib.util.find_spec("numba") is None:
            return None
        from .fast import conv

        network, _ = conv.network_of(learner, tensors)
        labels = tensors[1]
        if network is None or labels.is_floating_point():
            return network
        within = 0 <= int(labels.min()) <= int(labels.max()) < network.widths[-1]
        return network if within else None

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
            yield part, _SideBySide(run(*part[:3]), len(part[0]))

    def _by_hand(self, tensors):
        """A task at a time by the kernels that also train: `fast/conv.py`."""
        network = self._network(tensors)
        if network is None:  # labels that the loss ignores, which the first tasks had not
            yield from self._in_threads(tensors)
            return
        from .fast import conv

        loop = self.learner.loop(self.steps).checked(self.params)
        parts = list(_parts(tensors, threads.budget()))  # a few at a time, so that the bar moves
        with threads.one_each():
            for part in parts:
                yield part, conv.outputs(network, self.params, part, loop, not self.transductive)

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


class _SideBySide(Sequence):
    """Outputs of several tasks, each a list over steps; `steps` has them with the tasks on a first axis."""

    def __init__(self, steps, tasks):
        self.steps, self.tasks = steps, tasks

    def __len__(self):
        return self.tasks

    def __getitem__(self, number):
        if not -self.tasks <= number < self.tasks:
            raise IndexError(number)
        return pytree.tree_map(lambda part: part[number], self.steps)


def _outputs_of(parts):
    """The outputs of all tasks, in a list, of what a way through the tasks gives."""
    return [outputs for _, part in parts for outputs in part]


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
