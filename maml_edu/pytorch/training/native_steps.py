"""Whole outer steps in native code, for `meta_train`: `NativeStepper`, where `reason_against` is None.

Around 25 tasks of the sinusoid network, Python and torch take as long as the meta-gradient itself, and so
does waking a second thread. Here some dozens of batches are drawn ahead, then two calls into `outer.py`
(one for each core) take as many outer steps, and nothing of Python runs in between. Importing this
module imports numba.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections import deque

import numpy as np
import torch

from maml_edu.tasks import TaskBatch
from maml_edu.tasks.batch import FIELDS, may_be_drawn_ahead

from .. import fast, maml
from ..fast import native, perceptron, threads
from ..fast.kernels import outer
from ..learner import MAML
from .stepper import BLOWN_UP, PlainStepper

STRIDE = 64  # the most outer steps in one call
WORTH_A_THREAD = 2e6  # multiplications, about; less is done before another thread is awake
WORTH_A_LOOK = 2e8  # about 40 ms: progress and Ctrl-C are looked at after so many


def reason_against(learner, plan) -> str | None:
    """Why a learner cannot be trained by `NativeStepper`; None where it can."""
    if plan.optimiser != "adam" or not (plan.clip is None or isinstance(plan.clip, numbers.Real)):
        return "it knows Adam, and clipping of the norm"
    own = type(learner)
    if (own.meta_gradient, own.before_iteration) != (MAML.meta_gradient, MAML.before_iteration):
        return f"{own.__name__} has an outer step of its own"
    if learner.precision == "bf16":
        return "it does not compute in bfloat16"
    if learner.learn_inner_lr:
        return "the inner rates are trained, too"
    if not learner.loop().is_descent:
        return "it knows gradient descent without clipping, and no other inner step"
    asked = fast.preferences(learner, ())
    if asked[0] != "native" or any(p.device.type != "cpu" for p in learner.params.values()):
        return "engine 'native' is not the first choice here"
    if perceptron.network_of(learner) is None:
        return "the closed form does not fit"
    return None


class NativeStepper(PlainStepper):
    """Several outer steps in one native call; the plain one for a batch that it cannot take.

    The optimiser is torch's, its averages are handed over and back: a checkpoint is one of PlainStepper.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stride = 1  # until a batch has shown how much work a step is
        self.ahead: deque = deque()  # (the position before it, batch or error): not yet used
        self.plain_next = False  # the next batch is one that the kernel has given back

    def run(self, done, n):
        """As `PlainStepper.run`; fewer than n steps, at least one, where the kernel stops before."""
        self._draw(n if may_be_drawn_ahead(self.tasks) else 1)
        network, data = (None, []) if self.plain_next else self._stretch(n)
        losses = self._native(done, network, data) if data else []
        for _ in losses:
            self.ahead.popleft()
        self.plain_next = 0 < len(losses) < len(data[0]) if data else False
        return losses or [self._step(done)]

    def sample(self):
        if not self.ahead:
            return super().sample()
        _, batch = self.ahead.popleft()
        if isinstance(batch, Exception):
            raise batch
        return batch

    def _draw(self, n):
        """n batches ahead. What goes wrong is kept, and raised when its iteration has come."""
        while len(self.ahead) < n and not (self.ahead and isinstance(self.ahead[-1][1], Exception)):
            before = self.position()
            try:
                self.ahead.append((before, super().sample()))
            except Exception as error:
                self.ahead.append((before, error))

    def _stretch(self, n):
        """(network, the four parts of the next batches (steps, tasks, …)); none that the kernel cannot take."""
        known = itertools.takewhile(lambda own: isinstance(own[1], TaskBatch), self.ahead)
        batches = [batch for _, batch in itertools.islice(known, n)]
        steps = {int(self._state(p)["step"]) for p in self.learner.params.values()}
        if (
            not batches or len(steps) > 1
        ):  # the kernel counts once for all, whatever was frozen meanwhile
            return None, []
        try:
            tensors = maml.tensors_of(batches[0], self.learner.params)
            name, network = fast.engine_for(self.learner, tensors)
        except ValueError:  # which the plain step raises, too
            return None, []
        return network, self._stacked(network, batches) if name == "native" else []

    def _stacked(self, network, batches):
        """The batches that are of one shape with the first, as four arrays."""
        parts = [[np.asarray(getattr(own, name)) for name in FIELDS] for own in batches]
        shapes = [array.shape for array in parts[0]]
        alike = 0
        while alike < len(parts) and self._fits(network, parts[alike], shapes):
            alike += 1
        dtype = native.numpy_dtype(next(iter(self.learner.params.values())).dtype)
        data = []
        for role, kind in enumerate((None, network.support_kind, None, network.query_kind)):
            arrays = [own[role] for own in parts[:alike]]
            if kind == perceptron.CROSS_ENTROPY:
                classes = np.eye(network.widths[-1], dtype=dtype)
                arrays = [classes[own] for own in arrays]
            stacked = np.empty((alike, *arrays[0].shape), dtype)
            for place, array in zip(stacked, arrays, strict=True):
                place[...] = array
            data.append(stacked.reshape(*stacked.shape[:3], -1))
        return data

    def _fits(self, network, arrays, shapes):
        """Whether a batch has the first one's shapes, and labels that are among the outputs."""
        if [array.shape for array in arrays] != shapes:
            return False
        kinds = ((1, network.support_kind), (3, network.query_kind))
        labels = [arrays[role] for role, kind in kinds if kind == perceptron.CROSS_ENTROPY]
        return all(own.min() >= 0 and own.max() < network.widths[-1] for own in labels)

    # ---------------------------------------------------------------- the call

    def _native(self, done, network, data):
        """The losses of the steps that the kernel took, from iteration `done` on."""
        sizes = self._sizes(done, len(data[0]))
        adam = self._take(network, data[0].dtype)
        values = np.zeros(len(sizes))
        work = self._work(network, data, adam, sizes, values)
        taken = threads.in_threads(work, range(self._threads(data, len(sizes), adam)))[0]
        self._give_back(network, adam, taken)
        self.learner.ran = "native"
        return values[:taken].tolist()

    def _work(self, network, data, adam, sizes, values):
        """A function of a thread's number: its part in these outer steps; see `outer.outer_steps`."""
        (steps, tasks), dtype, params = data[0].shape[:2], data[0].dtype, self.learner.params
        loop = self.learner.loop().checked(params)
        kinds = (network.support_kind, network.query_kind)
        room = native.room_for(network, tasks, dtype)
        chunks = len(room.sums[0])
        outer.spread(adam.theta, *room.theta, room.widths)
        rates = native.padded_rates(network, params, loop)
        counters = outer.Counters(*(np.zeros(n, np.int64) for n in (steps, steps, 1)))
        losses, slope = np.zeros((steps, tasks), dtype), np.empty_like(adam.theta)
        results = (losses, values, slope, adam, sizes, self._limits())
        shots, examples = data[0].shape[2], max(data[0].shape[2], data[2].shape[2])
        products = perceptron.by_outer_products(network, loop, shots, rates[2].ravel())
        flags = (loop.first_order, False, products)
        fixed = (room.widths, np.array(loop.query_weights), flags, room.theta, rates)

        def work(rank):
            ws = native.workspace_for(network, loop, examples, dtype, shots=shots * products)
            what = (rank, counters, chunks, tuple(data), kinds, *fixed, ws, room.sums, results)
            try:
                return outer.outer_steps(*what)
            finally:
                if rank == 0:
                    counters.released[0] = -1  # nobody waits for a thread that has gone

        return work

    def _threads(self, data, steps, adam):
        """On how many threads these steps are worth while; and `stride` for the next ones."""
        _, tasks, shots = data[0].shape[:3]
        examples = max(shots, data[2].shape[2])
        amount = 2 * tasks * examples * len(adam.theta) * (1 + self.learner.inner_steps)
        self.stride = int(min(STRIDE, max(1, WORTH_A_LOOK // amount)))
        enough = amount * steps > WORTH_A_THREAD
        return min(threads.budget(), native.CHUNKS, tasks) if enough else 1

    def _sizes(self, done, n):
        """Adam's [step size, √(1 − β₂ᵗ)] for each of the next steps; fewer where the schedule fails."""
        before, sizes = self._steps_before(), []
        for step in range(n):
            if self.rates.schedule is not None:
                try:
                    self.rates.set(done + step)
                except ValueError:  # the plain step says so, at its iteration
                    break
            t, rate = before + step + 1, self.optimiser.param_groups[0]["lr"]
            sizes.append((rate / (1 - 0.9**t), math.sqrt(1 - 0.999**t)))
        return np.array(sizes).reshape(-1, 2)

    def _limits(self):
        """[the largest loss that is usable, negative: times the first one; the gradient's largest norm]."""
        known = self.history.loss[:1]
        largest = BLOWN_UP * max(1.0, abs(known[0])) if known else -BLOWN_UP
        return np.array([largest, math.inf if self.plan.clip is None else float(self.plan.clip)])

    # ---------------------------------------------------------------- torch's Adam, as one vector

    def _state(self, parameter):
        """What torch's Adam keeps of a parameter; begun as it begins it."""
        state = self.optimiser.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state

    def _steps_before(self):
        return int(self._state(next(iter(self.learner.params.values())))["step"])

    def _take(self, network, dtype):
        """θ, m and v in one vector each, [W₁, b₁, W₂, …], and what of it is trained."""
        trained = self.learner.params
        everything = network.frozen | trained
        sizes = native.shapes_of(network)
        vectors = outer.Adam(*(np.zeros(sum(map(math.prod, sizes)), dtype) for _ in range(4)))
        for name, place in native.places(network):
            if name is not None:
                vectors.theta[place] = everything[name].detach().numpy().ravel()
            if name in trained:
                state = self._state(trained[name])
                vectors.m[place] = state["exp_avg"].numpy().ravel()
                vectors.v[place] = state["exp_avg_sq"].numpy().ravel()
                vectors.moves[place] = 1
        return vectors

    def _give_back(self, network, adam, taken):
        """θ into the model's parameters, m and v and the number of steps into the optimiser."""
        trained = self.learner.params
        with torch.no_grad():
            for name, place in native.places(network):
                if name in trained:
                    parameter, state = trained[name], self._state(trained[name])
                    parameter.copy_(torch.from_numpy(adam.theta[place]).view_as(parameter))
                    state["exp_avg"].copy_(torch.from_numpy(adam.m[place]).view_as(parameter))
                    state["exp_avg_sq"].copy_(torch.from_numpy(adam.v[place]).view_as(parameter))
                    state["step"] += taken

    # ---------------------------------------------------------------- checkpoints

    def state_dict(self):
        """As PlainStepper's: the position is that of the batches that were used."""
        state = super().state_dict()
        return state | (self.ahead[0][0] if self.ahead else {})

    def load_state_dict(self, state):
        self.ahead.clear()
        self.plain_next = False
        super().load_state_dict(state)
