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
from torch.nn.modules.module import register_module_forward_pre_hook

from .. import maml
from . import structure, textbook

TASKS, STEPS = 2, 3  # tasks that an engine is tried with, and inner steps, at most
EXACT = {torch.float64: 1e-8}  # the relative error that is put down to rounding in any case
ROUGH = 3e-4  # the same in float32 and below
NOISE = 30.0  # times the textbook loop's own distance from float64


class Facts(NamedTuple):
    """What a forward pass does beside computing."""

    random: (
        str  # "": nothing; "torch": draws from torch's generators; "other": is not the same twice
    )
    volatile: frozenset  # what it changes: (id of a module, attribute), or the id of a loss
    recomputes: bool  # whether the way back calls layers once more
    generators: list  # random generators that the model and the losses hold


# ------------------------------------------------------------------ one forward pass, looked at


def observe(learner, tensors) -> Facts:
    """The Facts of a learner's forward passes, from two looks at one task."""
    task = [tensor[0] for tensor in tensors]
    held = held_generators(learner)
    with generators_untouched(held) as generators:
        before, settings = structure.attributes_of(learner.model), _settings(learner)
        first = _losses(learner, task)
        drawn = generators.drawn_since()
        now = _settings(learner)
        changed = {
            place for place in settings.keys() | now.keys() if settings.get(place) != now.get(place)
        }
        second = _losses(learner, task)
        structure.restore(before, everything=True)
    same = np.allclose(first, second, rtol=1e-6, atol=0, equal_nan=True)
    draws = drawn or ("" if same else "other")
    return Facts(draws, frozenset(changed), _recomputes(learner, task), held)


def _recomputes(learner, task) -> bool:
    """Whether the way back calls layers again (torch.utils.checkpoint)."""
    calls, before = [], structure.attributes_of(learner.model)
    theta = {name: textbook.as_leaf(p) for name, p in learner.params.items()}
    with generators_untouched(held_generators(learner)), torch.enable_grad(), maml.math_attention():
        value = learner.task_loss(theta, *task[2:])
        hook = register_module_forward_pre_hook(lambda module, inputs: calls.append(module))
        try:
            textbook.gradients(value, theta.values())
        finally:
            hook.remove()
            structure.restore(before, everything=True)
    return bool(calls)


def _settings(learner):
    """What the modules and losses of a learner are set to, by place."""
    functions = (learner.loss_function, learner.inner_loss_function)
    losses = {id(f): structure.structure_of(f) for f in functions if f is not None}
    return structure.frozen_attributes(learner.model) | losses


def _losses(learner, task):
    """The losses of support and query set at θ, as numbers."""
    support_x, support_y, query_x, query_y = task
    params, loss = learner.detached(), learner.task_loss
    with torch.enable_grad():  # which a model may ask for in its forward pass
        values = [
            (learner.inner_loss or loss)(params, support_x, support_y),
            loss(params, query_x, query_y),
        ]
    return [float(value) if value.numel() == 1 else math.nan for value in values]


class Generators:
    """The states of torch's, NumPy's and Python's generators, and of those that are held (see `Facts`).

    held: None for torch's alone, which takes 1 µs in place of 100: for models made of torch's layers.
    """

    def __init__(self, held=()):
        self.held = held
        on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state() if on_gpu else None
        self.others = []
        if held is not None:
            self.others = [(g, _state(g)) for g in (np.random, random, *held)]

    def put_back(self):
        torch.set_rng_state(self.torch)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)
        for generator, state in self.others:
            _set_state(generator, state)

    def drawn_since(self) -> str:
        """What has been drawn from since: "", "torch", or "other" where not from torch's generators alone."""
        now = Generators(self.held)
        if [repr(state) for _, state in self.others] != [repr(state) for _, state in now.others]:
            return "other"
        on_gpu = self.cuda is not None and not torch.equal(self.cuda, now.cuda)
        return "torch" if on_gpu or not torch.equal(self.torch, now.torch) else ""


def held_generators(learner) -> list:
    """The random generators that a learner's model and losses hold."""
    losses = (learner.loss_function, learner.inner_loss_function)
    return structure.generators_in(learner.model, *losses)


@contextlib.contextmanager
def generators_untouched(held=()):
    """Put back the generators of `Generators`."""
    generators = Generators(held)
    try:
        yield generators
    finally:
        generators.put_back()


def _state(thing):
    """The state of a random generator; of np.random and random, those of their own."""
    if thing is np.random:
        return np.random.get_state(legacy=False)
    if thing is random:
        return random.getstate()
    if isinstance(thing, np.random.Generator):
        return thing.bit_generator.state
    if isinstance(thing, np.random.RandomState):
        return thing.get_state()
    if isinstance(thing, random.Random):
        return thing.getstate()
    return thing.get_state()


def _set_state(generator, state):
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif generator is random or isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


# ------------------------------------------------------------------ an engine, tried


class Trial:
    """Tries engines on the first tasks of a batch, beside the textbook loop, which runs once for all."""

    def __init__(self, learner, tensors, loop):
        self.learner, self.loop = learner, _shortened(loop, learner.params)
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
            return said(error)
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
                return textbook.meta_gradient(loss, *arguments, self.loop._replace(inner_lr=rates))
        except Exception:  # a layer that insists on its own precision
            return None

    @contextlib.contextmanager
    def _untouched(self):
        before = structure.attributes_of(self.learner.model)
        with generators_untouched(held_generators(self.learner)):
            try:
                yield
            finally:
                structure.restore(before, everything=True)


def _shortened(loop, params):
    """The loop with `STEPS` inner steps at most: the textbook loop keeps the graph of them all."""
    steps = min(STEPS, loop.inner_steps)
    if steps == loop.inner_steps:
        return loop

    def fewer(rate, shape):
        by_step = tuple(getattr(rate, "shape", ())) not in ((), shape)
        return rate[:steps] if by_step else rate

    rates = loop.inner_lr
    if isinstance(rates, dict):
        rates = {name: fewer(rate, tuple(params[name].shape)) for name, rate in rates.items()}
    elif np.ndim(rates if not isinstance(rates, torch.Tensor) else rates.detach().cpu()):
        rates = rates[:steps]
    weights = loop.query_weights[-steps - 1 :]
    return loop._replace(inner_lr=rates, inner_steps=steps, query_weights=weights)


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


def said(error) -> str:
    """Why an engine is not used that has raised an error."""
    line = (str(error).strip().splitlines() or ["no message"])[0][:200]
    return f"here it ends in {type(error).__name__}: {line}"


def foreign_leaves(learner, tensors, loop):
    """Tensors that the query loss of a task depends on, that want a gradient, and that nothing trains.

    A leaf that a forward pass makes for itself is another one each time, and is none of them.
    """
    task, loop = [tensor[0] for tensor in tensors], _shortened(loop, learner.params)
    before = structure.attributes_of(learner.model)
    with generators_untouched(held_generators(learner)):
        try:
            leaves = [_leaves_but_ours(learner, task, loop) for _ in range(2)]
        finally:
            structure.restore(before, everything=True)
    return [leaf for leaf in leaves[0] if any(leaf is other for other in leaves[1])]


def _leaves_but_ours(learner, task, loop):
    value, theta, rates = textbook.query_graph(learner.task_loss, learner.params, task, loop)
    ours = {id(leaf) for leaf in theta.values()}
    if loop.learn_rates:
        ours |= {id(leaf) for leaf in (rates.values() if isinstance(rates, dict) else [rates])}
    seen, waiting, leaves = set(), [value.grad_fn], []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in ours:
            leaves.append(leaf)
        waiting.extend(parent for parent, _ in node.next_functions)
    return leaves
