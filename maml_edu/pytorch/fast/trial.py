"""Before a way to the gradient is trusted: what the forward pass does, and a try beside the textbook loop.

`observe` looks at one forward pass: does it draw random numbers, does it change something? `Trial` computes
the gradient of a task or two by an engine and by `textbook`: one that ends in an error, or in other numbers,
is not used. Both leave generators and modules as they were.
"""

from __future__ import annotations

import contextlib
import math
import random
from typing import NamedTuple

import numpy as np
import torch

from .. import maml
from . import structure, textbook

TASKS = 2  # that an engine is tried with
EXACT = {torch.float64: 1e-8}  # the relative error that is put down to rounding in any case
ROUGH = 3e-4  # the same in float32 and below
NOISE = 30.0  # times the textbook loop's own distance from float64


class Facts(NamedTuple):
    """What a forward pass does beside computing."""

    random: str  # "": nothing; "torch": draws from torch's generators; "other": is not the same twice
    volatile: frozenset  # (id of a module, attribute) that it changes


# ------------------------------------------------------------------ one forward pass, looked at


def observe(learner, tensors) -> Facts:
    """The Facts of a learner's forward passes, from two looks at one task."""
    task = [tensor[0] for tensor in tensors]
    with generators_untouched(learner.model):
        before = structure.attributes_of(learner.model)
        states = _states()
        first = _losses(learner, task)
        drawn = [name for name, a, b in _pairs(states, _states()) if a != b]
        after = structure.attributes_of(learner.model)
        second = _losses(learner, task)
        structure.restore(before, everything=True)
    same = np.allclose(first, second, rtol=1e-6, atol=0, equal_nan=True)
    if drawn and set(drawn) <= {"torch", "cuda"}:
        draws = "torch"
    else:
        draws = "other" if drawn or not same else ""
    return Facts(draws, frozenset(structure.volatile_in(before, after)))


def _losses(learner, task):
    """The losses of support and query set at θ, as numbers."""
    support_x, support_y, query_x, query_y = task
    params, loss = learner.detached(), learner.task_loss
    with torch.no_grad():
        values = [
            (learner.inner_loss or loss)(params, support_x, support_y),
            loss(params, query_x, query_y),
        ]
    return [float(value) if value.numel() == 1 else math.nan for value in values]


def _states():
    """The states of the generators that a forward pass may draw from, in what can be compared."""
    states = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state(legacy=False)),
        "python": random.getstate(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state().numpy().tobytes()
    return states


def _pairs(one, other):
    return [(name, one[name], other.get(name)) for name in one]


@contextlib.contextmanager
def generators_untouched(model):
    """Put back torch's, NumPy's and Python's generators, and those that the model's modules hold."""
    cpu, legacy, python = torch.get_rng_state(), np.random.get_state(), random.getstate()
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    cuda = torch.cuda.get_rng_state() if on_gpu else None
    held = [g for m in model.modules() for g in vars(m).values() if _state(g) is not None]
    states = [_state(generator) for generator in held]
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        np.random.set_state(legacy)
        random.setstate(python)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda)
        for generator, state in zip(held, states, strict=True):
            _set_state(generator, state)


def _state(thing):
    """The state of a random generator; None for anything else."""
    if isinstance(thing, np.random.Generator):
        return thing.bit_generator.state
    if isinstance(thing, np.random.RandomState):
        return thing.get_state()
    if isinstance(thing, random.Random):
        return thing.getstate()
    return thing.get_state() if isinstance(thing, torch.Generator) else None


def _set_state(generator, state):
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


# ------------------------------------------------------------------ an engine, tried


class Trial:
    """Tries engines on the first tasks of a batch, beside the textbook loop, which runs once for all."""

    def __init__(self, learner, tensors, loop):
        self.learner, self.loop = learner, loop
        self.params = learner.params
        self.tensors = tuple(tensor[:TASKS] for tensor in tensors)
        self._expected = None

    def reason_against(self, run, what) -> str | None:
        """Why an engine is not to be used; None where it gives the right numbers.

        run(what, params, tensors, loop): the engine.
        """
        expected, noise = self.expected()
        try:
            with self._untouched(), maml.math_attention():
                result = run(what, self.params, self.tensors, self.loop)
        except Exception as error:
            return f"here it ends in {type(error).__name__}: {_first_line(error)}"
        gap = _distance(result, expected)
        rounding = EXACT.get(next(iter(self.params.values())).dtype, ROUGH)
        if gap <= max(rounding, NOISE * noise):
            return None
        return f"its numbers differ from those of the textbook loop, by {gap:.1e} of their size"

    def expected(self):
        """(the textbook loop's result, its distance from float64's)."""
        if self._expected is None:
            loss = self.learner.task_loss
            with self._untouched():
                result = textbook.meta_gradient(loss, self.params, self.tensors, self.loop)
            self._expected = result, 0.0
            truth = self._in_double(loss)
            if truth is not None and math.isfinite(_distance(result, truth)):
                self._expected = truth, _distance(result, truth)
        return self._expected

    def _in_double(self, loss):
        """The textbook loop's result in float64; None where that is what it has, or cannot be computed."""
        if all(p.dtype == torch.float64 for p in self.params.values()):
            return None
        double = lambda tensor: tensor.double() if tensor.is_floating_point() else tensor
        rates = self.loop.inner_lr
        if isinstance(rates, (torch.Tensor, dict)):
            rates = maml.mapped(lambda r: double(r) if isinstance(r, torch.Tensor) else r, rates)
        arguments = {n: double(p) for n, p in self.params.items()}, tuple(map(double, self.tensors))
        try:
            with self._untouched():
                return textbook.meta_gradient(
                    loss, *arguments, self.loop._replace(inner_lr=rates)
                )
        except Exception:  # a layer that insists on its own precision
            return None

    @contextlib.contextmanager
    def _untouched(self):
        before = structure.attributes_of(self.learner.model)
        with generators_untouched(self.learner.model):
            try:
                yield
            finally:
                structure.restore(before, everything=True)


def _distance(result, expected):
    """The largest relative distance of the value, θ's gradient and the rates' one, each as one vector."""
    gaps = [0.0]
    for mine, theirs in zip(result, expected, strict=True):
        a, b = _vector(mine), _vector(theirs)
        if not torch.isfinite(b).all():
            continue  # training will say so: nothing to compare
        scale = float(b.norm())
        gaps.append(float((a - b).norm()) / scale if scale else float(a.norm()))
    return max(gaps) if not any(math.isnan(gap) for gap in gaps) else math.inf


def _vector(tree):
    parts = list(tree.values()) if isinstance(tree, dict) else [tree]
    return torch.cat([part.detach().double().cpu().reshape(-1) for part in parts])


def _first_line(error):
    return (str(error).strip().splitlines() or ["no message"])[0][:200]


def foreign_leaves(learner, tensors, loop):
    """Tensors that the query loss of a task depends on, that want a gradient, and that nothing trains."""
    task = [tensor[0] for tensor in tensors]
    value, theta, rates = textbook.query_graph(learner.task_loss, learner.params, task, loop)
    ours = {id(leaf) for leaf in theta.values()}
    if loop.learn_rates:
        ours |= {id(leaf) for leaf in (rates.values() if isinstance(rates, dict) else [rates])}
    seen, waiting, foreign = set(), [value.grad_fn], []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in ours:
            foreign.append(leaf)
        waiting.extend(parent for parent, _ in node.next_functions)
    return foreign
