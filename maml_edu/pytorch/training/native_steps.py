"""Whole outer steps in native code: `NativeStepper`, for the learners that `reason_against` lets through.

For 25 tasks of the sinusoid network, Python and torch take as long as the meta-gradient itself, and so does
waking a second thread. Here the next batches, dozens of them if they may be drawn ahead, go into two calls of
`outer.py` (one for each core), and nothing of Python runs in between. Importing this module imports numba.
"""

from __future__ import annotations

import functools
import itertools
import math
import numbers
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np
import torch

from maml_edu.tasks import TaskBatch
from maml_edu.tasks.batch import may_be_drawn_ahead

from .. import fast, maml, rules
from ..fast import native, perceptron, threads
from ..fast.kernels import outer
from ..fast.structure import Glance
from ..learner import MAML
from ..task_gradient import TaskGradient
from .stepper import BLOWN_UP, PlainStepper

STRIDE = 64  # the most outer steps in one call
CALLS = 4096  # of one step each, before their counters are made anew
WORTH_A_THREAD = 1e6  # multiplications, about; less is done before another thread is awake
WORTH_A_LOOK = 2e8  # about 40 ms: progress and Ctrl-C are looked at after so many
# What the kernel computes, whatever the rate; torch's Adam has these settings unless it is told otherwise.
_ADAM = {
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "weight_decay": 0,
    "amsgrad": False,
    "maximize": False,
}


def reason_against(learner, plan) -> str | None:
    """Why a learner cannot be trained by `NativeStepper`; None if it can."""
    clips_norm = plan.clip is None or isinstance(plan.clip, numbers.Real)
    if plan.optimiser not in ("adam", torch.optim.Adam) or not clips_norm:
        return "it knows Adam, and clipping of the norm"
    if _has_outer_step_of_its_own(learner):
        return f"{type(learner).__name__} has an outer step of its own"
    if learner.precision == "bf16":
        return "it does not compute in bfloat16"
    if not learner.loop().is_descent:
        return "it knows gradient descent without clipping, and no other inner step"
    asked = fast.preferences(learner, ())
    if asked[0] != "native" or any(p.device.type != "cpu" for p in learner.params.values()):
        return "engine 'native' is not the first choice here"
    rule = rule_of(learner)
    if perceptron.network_of(learner, rule and rule.inner_loss) is None:
        return "the closed form does not fit"
    return None


def _has_outer_step_of_its_own(learner) -> bool:
    """Whether it trains more than θ, or has (or was given) other methods than MAML's."""
    gradient = getattr(learner.meta_gradient, "__func__", None)
    known = gradient is MAML.meta_gradient or (
        gradient is TaskGradient.meta_gradient and learner.rule() is not None
    )
    before = getattr(learner.before_iteration, "__func__", None)
    return learner.learn_inner_lr or not known or before is not MAML.before_iteration


def rule_of(learner) -> rules.Rule | None:
    """The rule of its meta-gradient, where that is not MAML's."""
    return learner.rule() if isinstance(learner, TaskGradient) else None


class _Way(NamedTuple):
    """How the kernel takes batches of one kind: found out once, and used for as long as nothing changes."""

    network: perceptron.Network
    loop: Any  # `loop.Loop`, checked
    kinds: list  # of the parts of a batch, see `_kinds`
    glance: Glance | None
    room: native.Room
    rates: tuple  # the inner ones, `native.padded_rates`
    flags: tuple  # as in `chunks.share`
    arranged: Any  # a function of a batch's four arrays, or None

    def holds(self, batch):
        """Whether it is still the way for this batch."""
        same = self.glance is not None and self.glance.holds()
        return same and _kinds(batch) == self.kinds


class NativeStepper(PlainStepper):
    """Several outer steps in one native call; the plain one for a batch that the kernel cannot take.

    What may change between two calls (frozen parameters, the model's structure, the optimiser's settings) is
    asked for at each. θ and torch's Adam have what the steps did as soon as `run` returns: a checkpoint is one
    of PlainStepper.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stride = 1  # until a batch has shown how much work a step is
        self.plain_next = False  # the next batch is one that the kernel has given back
        self.way: _Way | None = None
        self.vectors: _Vectors | None = None
        self.crew: _Crew | None = None  # where a call is a step

    def run(self, done, n):
        """As `PlainStepper.run`; fewer than n steps, at least one, if the kernel stops before."""
        self._draw(n)
        way, parts = (None, []) if self.plain_next else self._stretch(n)
        losses = self._native(done, way, parts) if parts else []
        for _ in losses:
            self.ahead.popleft()
        self.plain_next = 0 < len(losses) < len(parts)
        if losses:
            return losses
        with threads.one_each():
            return [self._step(done)]

    def _draw(self, n):
        """n batches ahead, or the next one alone if the family does not say that it may be drawn ahead.

        What goes wrong is put among them, and raised when its iteration has come.
        """
        if len(self.ahead) < n and not may_be_drawn_ahead(self.tasks):
            n = 1
        while len(self.ahead) < n and not (self.ahead and isinstance(self.ahead[-1][1], Exception)):
            before = self.position()
            try:
                self.ahead.append((before, self.draw()))
            except Exception as error:
                self.ahead.append((before, error))

    # ---------------------------------------------------------------- the next batches

    def _stretch(self, n):
        """(how, the four arrays of each of the next batches); none if the first is for a plain step."""
        ahead = (batch for _, batch in itertools.islice(self.ahead, n))
        batches = list(itertools.takewhile(_is_whole, ahead))
        if not batches or not self._is_plain_adam():
            return None, []
        if self.way is None or not self.way.holds(batches[0]):
            self.way = self._way(batches[0])
        return self.way, [] if self.way is None else self._alike(self.way, batches)

    def _way(self, batch) -> _Way | None:
        """How the kernel takes batches like this one; None if it cannot."""
        learner = self.learner
        if _has_outer_step_of_its_own(learner):
            return None
        try:
            self._adopt_parameters()
            params = self._trained()
            loop = learner.loop().checked(params)
            tensors, rule = maml.tensors_of(batch, params), rule_of(learner)
            if rule is None:
                name, network = fast.engine_for(learner, tensors, loop)
            else:
                name, network = rules.engine_for(learner, tensors)
                loop = rule.loop(loop)
        except ValueError:  # which the plain step raises, too
            return None
        if name != "native":
            return None
        learner.ran = name
        if self.vectors is None or self.vectors.network is not network:
            self.vectors = _Vectors(network, next(iter(params.values())))
        arranged = None if rule is None else rule.arranged
        seen = tensors if arranged is None else arranged(*tensors)
        (tasks, shots), dtype = seen[0].shape[:2], self.vectors.adam.theta.dtype
        rates = native.padded_rates(network, params, loop)
        told = native.rule_of(network, params, *(rule or ())[:3])
        flags = native.flags_of(network, loop, shots, rates, told)
        room = native.room_for(network, tasks, dtype)
        return _Way(network, loop, _kinds(batch), Glance.of(learner), room, rates, flags, arranged)

    def _trained(self):
        """θ: the parameters that are not frozen."""
        return {name: parameter for name, parameter in self.params if parameter.requires_grad}

    def _alike(self, way, batches):
        """The four arrays of each batch that is like the first one; none for labels out of range."""
        like, parts = self.params[0][1], []  # type: ignore[var-annotated]
        for batch in batches:
            if parts and _kinds(batch) != way.kinds:
                break
            arrays = [_array(values, like) for values in batch.arrays]
            if not _labels_within(way.network, arrays):
                break
            parts.append(arrays if way.arranged is None else way.arranged(*arrays))
        return parts

    def _is_plain_adam(self):
        """Whether the optimiser still does what the kernel does, at whatever rate."""
        optimiser = self.optimiser
        (group, *others) = optimiser.param_groups
        hooked = optimiser._optimizer_step_pre_hooks or optimiser._optimizer_step_post_hooks
        step = vars(optimiser).get("step")  # torch's schedules put one there that counts the steps
        patched = step is not None and not hasattr(step, "_wrapped_by_lr_sched")
        same = all(group[name] == value for name, value in _ADAM.items())
        return same and not (others or hooked or patched)

    # ---------------------------------------------------------------- the call

    def _native(self, done, way, parts):
        """The losses of the steps that the kernel took, from iteration `done` on."""
        rates, vectors, params = self._rates(done, len(parts)), self.vectors, dict(self.params)
        assert vectors is not None  # `_way` has seen to it
        with torch.no_grad():
            vectors.take(params, self.optimiser)
            crew = self._crew_for(way, vectors, parts)
            crew.rates[: len(rates)], crew.limits[:] = rates, self._limits()
            taken = crew.take_steps(len(rates), self._threads(way, crew.data, len(rates)) - 1)
            if taken:
                vectors.give_back(params)
                self.optimiser._opt_called = True  # type: ignore[attr-defined]  # for torch's schedules
        return crew.values[:taken].tolist()

    def _crew_for(self, way, vectors, parts):
        """Who takes the steps of these batches: for a single one the crew of the last such call, if it can."""
        if len(parts) > 1:
            return _Crew(way, vectors, parts, len(parts))
        if self.crew is None or not self.crew.can_go_on(way, vectors):
            self.crew = _Crew(way, vectors, parts, CALLS)
        else:
            self.crew.put(0, parts[0])
        return self.crew

    def _threads(self, way, data, steps):
        """On how many threads these steps are worth while; and `stride` for the next ones."""
        (_, tasks, shots), queries = data[0].shape[:3], data[2].shape[2]
        numbers = sum((a + 1) * b for a, b in itertools.pairwise(way.network.widths))
        passes = 1 + way.loop.inner_steps + way.flags[3][2]  # CG steps, each about as much as one
        amount = 2 * tasks * max(shots, queries) * numbers * passes
        self.stride = int(min(STRIDE, max(1, WORTH_A_LOOK // amount)))
        enough = amount * steps > WORTH_A_THREAD
        return min(threads.budget(), native.CHUNKS, tasks) if enough else 1

    def _rates(self, done, n):
        """Adam's rate at each of the next n iterations; fewer if the schedule fails."""
        rates = []
        for iteration in range(done, done + n):
            if self.rates.schedule is not None:
                try:
                    self.rates.set(iteration)
                except ValueError:  # the plain step says so, at its iteration
                    break
            rates.append(float(self.optimiser.param_groups[0]["lr"]))
        return np.array(rates)

    def _limits(self):
        """[the largest loss that is usable, negative: times the first one; the gradient's largest norm]."""
        first = self.history.loss[:1]
        largest = BLOWN_UP * max(1.0, abs(first[0])) if first else -BLOWN_UP
        return np.array([largest, math.inf if self.plan.clip is None else float(self.plan.clip)])

    def load_state_dict(self, state):
        self.plain_next = False
        super().load_state_dict(state)


class _Crew:
    """Some outer steps, and the threads that take them together.

    batches: the four arrays of each, which are copied. With fewer batches than steps, the threads beside the
    caller's stand by from one call to the next, for a few milliseconds: to wake them takes as long as a step.
    The caller's thread does all the work where they are late or gone, so nothing depends on them.
    """

    def __init__(self, way, vectors, batches, steps):
        network, loop, room = way.network, way.loop, way.room
        places, dtype = len(batches), vectors.adam.theta.dtype
        kinds = (None, network.support_kind, None, network.query_kind)
        columns = zip(kinds, batches[0], strict=True)
        self.data = tuple(_places(network, kind, array, places, dtype) for kind, array in columns)
        self.way, self.vectors, self.kinds = way, vectors, kinds
        for place, arrays in enumerate(batches):
            self.put(place, arrays)
        tasks, shots = self.data[0].shape[1:3]
        self.steps, self.begun = steps, 0
        self.helpers: list[futures.Future] = []
        self.patience = outer.STANDS_BY if places < steps else outer.PATIENCE
        self.counters = outer.Counters(*(np.zeros(n, np.int64) for n in (steps, steps, 1)))
        self.values, self.rates, self.limits = np.zeros(places), np.zeros(places), np.zeros(2)
        losses, slope = np.zeros((places, tasks), dtype), np.empty_like(vectors.adam.theta)
        results = (losses, self.values, slope, vectors.adam, self.rates, self.limits)
        self.space = (max(shots, self.data[2].shape[2]), dtype, shots, way.flags)
        weights = np.array(loop.query_weights)
        fixed = (kinds[1::2], room.widths, weights, way.flags, room.theta, way.rates)
        self.before = (self.counters, len(room.sums[0]), self.data, *fixed)
        self.after = (room.sums, results)

    def put(self, place, arrays):
        """The four arrays of a batch where the kernel looks for them; class labels as one-hot vectors."""
        for part, kind, array in zip(self.data, self.kinds, arrays, strict=True):
            if kind == perceptron.CROSS_ENTROPY:
                array = np.eye(part.shape[-1], dtype=part.dtype)[array]
            part[place] = array.reshape(part.shape[1:])

    def can_go_on(self, way, vectors):
        """Whether the next step may be one of these."""
        return self.way is way and self.vectors is vectors and self.begun < self.steps

    def take_steps(self, steps, helpers):
        """Take so many steps, with so many threads beside this one; returns how many were of use."""
        room, first, taken = self.way.room, self.begun, 0
        self.begun += steps  # whatever happens, none of them is taken again
        outer.spread(self.vectors.adam.theta, *room.theta, room.widths)
        self._call(helpers, first)
        try:
            taken = self._work(0, first, first + steps)
        finally:
            if taken < steps:
                self.begun = self.steps
            if self.begun == self.steps:
                _send_home(self.counters)
                late = [helper for helper in self.helpers if not helper.cancel()]
                if taken < steps:  # after Ctrl-C, say: nothing goes on behind the caller's back
                    futures.wait(late)
        return taken

    def _call(self, helpers, first):
        """See to it that so many threads work at the steps from `first` on, which may be begun."""
        self.helpers = [helper for helper in self.helpers if not helper.done()]
        if len(self.helpers) == helpers:
            return
        _send_home(self.counters)
        futures.wait(self.helpers)
        if helpers:
            pool = threads.pool(helpers, functools.partial(_send_home, self.counters))
            self.counters.released[0] = first
            ranks = range(1, helpers + 1)
            self.helpers = [pool.submit(self._work, rank, first, self.steps) for rank in ranks]

    def _work(self, rank, first, last):
        """One thread's part in the steps from `first` to before `last`; see `outer.outer_steps`."""
        ws = native.workspace_for(self.way.network, self.way.loop, *self.space)
        span = (first, last, self.patience)
        return outer.outer_steps(rank, span, *self.before, ws, *self.after)


def _send_home(counters):
    """Who waits for the next step waits no longer."""
    counters.released[0] = -1


class _Vectors:
    """θ and Adam's averages of a network in one vector each, [W₁, b₁, W₂, …], as the kernel wants them.

    torch's Adam is given views of its averages' vectors, so that both work on the same numbers; θ stays in
    its owner's tensors, and is copied.
    """

    def __init__(self, network, like):
        self.network = network
        shapes, dtype = native.shapes_of(network), native.numpy_dtype(like.dtype)
        theta, m, v = (np.zeros(sum(map(math.prod, shapes)), dtype) for _ in range(3))
        pairs = zip(native.places(network), shapes, strict=True)
        places = {name: (place, shape) for (name, place), shape in pairs if name is not None}
        self.frozen = [name for name in places if name in network.frozen]
        self.trained = [name for name in places if name not in network.frozen]
        parts = np.array([(places[n][0].start, places[n][0].stop) for n in self.trained])
        steps = np.zeros(len(parts), np.float32)  # fewer of one that was frozen for a while
        self.adam = outer.Adam(theta, m, v, steps, parts)

        def views(vector, names):
            return [torch.from_numpy(vector[places[n][0]]).view(places[n][1]) for n in names]

        self.theta = views(theta, self.frozen + self.trained)
        averages = zip(
            torch.from_numpy(steps), *(views(x, self.trained) for x in (m, v)), strict=True
        )
        names = ("step", "exp_avg", "exp_avg_sq")  # in torch's Adam
        self.states = [dict(zip(names, each, strict=True)) for each in averages]
        # What was in the states of torch's Adam when they were looked at last.
        self.known: list[int] | None = None

    def take(self, params, optimiser):
        """θ into the vectors; the averages, too, where they are not yet, or no longer, those of torch's Adam."""
        tensors = [params[name] for name in self.frozen + self.trained]
        states = [optimiser.state[parameter] for parameter in tensors[len(self.frozen) :]]
        if _inside(states) != self.known:
            self._take_averages(states)
            self.known = _inside(states)
        torch._foreach_copy_(self.theta, tensors)

    def _take_averages(self, states):
        for state, ours in zip(states, self.states, strict=True):
            for name, view in ours.items():
                if state.get(name) is not view:  # nothing there yet: 0, as torch begins
                    view.copy_(state[name]) if name in state else view.zero_()
                    state[name] = view

    def give_back(self, params):
        """θ into its owner's tensors."""
        tensors = [params[name] for name in self.trained]
        torch._foreach_copy_(tensors, self.theta[len(self.frozen) :])


def _inside(states):
    """Which objects are in some dicts."""
    return [id(value) for state in states for value in state.values()]


# -------------------------------------------------------------------- batches as arrays


def _is_whole(batch) -> bool:
    """Whether it is a batch of tasks of one size, and no error."""
    return isinstance(batch, TaskBatch) and batch.support_mask is None and batch.query_mask is None


def _kinds(batch):
    """What must be the same for two batches to go together."""
    return [(type(a), a.shape, a.dtype, getattr(a, "device", None)) for a in batch.arrays]


def _array(values, like):
    """One part of a batch as a NumPy array. like: a tensor of the device and precision that are wanted."""
    if isinstance(values, np.ndarray):
        return values
    if values.dtype != like.dtype or values.device != like.device:
        values = maml.like_params(values, {"": like})
    return values.detach().numpy() if values.requires_grad else values.numpy()


def _labels_within(network, arrays) -> bool:
    """Whether the labels are among the network's outputs."""
    kinds = ((1, network.support_kind), (3, network.query_kind))
    labels = [arrays[role] for role, kind in kinds if kind == perceptron.CROSS_ENTROPY]
    return all(y.min() >= 0 and y.max() < network.widths[-1] for y in labels)


def _places(network, kind, array, places, dtype):
    """Room for one part of so many batches: (places, tasks, examples, width)."""
    labels = kind == perceptron.CROSS_ENTROPY
    width = network.widths[-1] if labels else math.prod(array.shape[2:])
    return np.empty((places, *array.shape[:2], width), dtype)
