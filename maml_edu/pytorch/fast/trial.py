"""Before a way to the gradient is trusted: what the forward pass does, and a try beside the textbook loop.

`observe` looks at one forward pass: does it draw random numbers, does it change something? `Trial` computes
the gradient of a task or two by an engine and by `textbook`: one that ends in an error, or in other numbers,
is not used. Both leave generators and modules as they were.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import random
import threading
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
KINK = 1e-2  # what rounding does where it puts an activation on the other side of a kink (ReLU, max-pooling)


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
    with untouched(learner) as generators:
        settings = _settings(learner)
        first = _losses(learner, task)
        drawn = generators.drawn_since()
        now = _settings(learner)
        places = settings.keys() | now.keys()
        changed = {place for place in places if settings.get(place) != now.get(place)}
        remembers = _remembers(learner.model, changed)
        second = _losses(learner, task)
    same = np.allclose(first, second, rtol=1e-6, atol=0, equal_nan=True)
    draws = drawn if drawn or (same and not remembers) else "other"
    again = recomputes(learner, lambda theta: sum(learner.example_losses(theta, task)))
    return Facts(draws, frozenset(changed), again, generators.held)


def recomputes(learner, loss) -> bool:
    """Whether the way back from loss(θ) calls layers again (torch.utils.checkpoint)."""
    calls, ours, here = [], set(learner.model.modules()), threading.get_ident()

    def note(module, inputs):
        if module in ours and threading.get_ident() == here:
            calls.append(module)

    theta = {name: textbook.as_leaf(p) for name, p in learner.params.items()}
    with untouched(learner), torch.enable_grad(), maml.math_attention():
        value = loss(theta)
        hook = register_module_forward_pre_hook(note)
        try:
            textbook.gradients(value, theta.values())
        finally:
            hook.remove()
    return bool(calls)


def _remembers(model, changed) -> bool:
    """Whether a forward pass changes something that a later one may go by: an attribute without tensors."""
    values = (vars(m).get(n) for m in model.modules() for i, n in _pairs(changed) if i == id(m))
    return any(not structure.holds_tensor(value) for value in values)


def _pairs(changed):
    return [place for place in changed if isinstance(place, tuple)]


def _settings(learner):
    """What the modules and losses of a learner are set to, by place."""
    functions = (learner.loss_function, learner.inner_loss_function)
    losses = {id(f): structure.structure_of(f) for f in functions if f is not None}
    return structure.frozen_attributes(learner.model) | losses


def _losses(learner, task):
    """The losses of a task at θ, as numbers."""
    with torch.enable_grad():  # which a model may ask for in its forward pass
        values = learner.example_losses(learner.detached(), task)
    single = [torch.as_tensor(value).detach() for value in values]
    return [float(value) if value.numel() == 1 else math.nan for value in single]


class Generators:
    """The states of torch's, NumPy's and Python's generators, and of those that are held (see `Facts`).

    held: None for torch's alone, which takes 1 µs in place of 100: for models made of torch's layers.
    """

    def __init__(self, held=()):
        self.held = held
        self.torch = torch.get_rng_state()
        # while a CUDA graph is captured torch refuses to tell; the same steps were watched before
        look = _cuda_in_use() and not is_capturing()
        self.cuda = torch.cuda.get_rng_state_all() if look else []
        self.others = []
        if held is not None:
            self.others = [(g, _state(g)) for g in (np.random, random, *held)]

    def put_back(self):
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)
        for generator, state in self.others:
            _set_state(generator, state)

    def drawn_since(self) -> str:
        """What has been drawn from since: "", "torch", or "other" where not from torch's generators alone."""
        now = Generators(self.held)
        if _as_bytes(self.others) != _as_bytes(now.others):
            return "other"
        pairs = [(self.torch, now.torch), *zip(self.cuda, now.cuda, strict=False)]
        return "" if all(torch.equal(before, after) for before, after in pairs) else "torch"


def _as_bytes(others):
    """The states of generators, to be compared: as text a long one would be cut short."""
    states = (state for _, state in others)
    return [pickle.dumps(s.numpy() if isinstance(s, torch.Tensor) else s) for s in states]


def is_capturing() -> bool:
    """Whether a CUDA graph is being captured, in which much is refused that runs otherwise."""
    return _cuda_in_use() and torch.cuda.is_current_stream_capturing()


def _cuda_in_use() -> bool:
    return torch.cuda.is_initialized() and torch.cuda.is_available()


@contextlib.contextmanager
def untouched(learner):
    """What is computed meanwhile leaves no trace: in generators, in modules' attributes, in buffers."""
    model = learner.model
    losses = (learner.loss_function, learner.inner_loss_function)
    generators = Generators(structure.generators_in(model, *losses))
    attributes, notes = structure.attributes_of(model), structure.notes_in(model)
    kept = [v for values in attributes.values() for v in values.values() if _is_plain_tensor(v)]
    buffers = [(b, b.detach().clone()) for b in (*model.buffers(), *kept)]
    try:
        yield generators
    finally:
        generators.put_back()
        structure.restore(attributes, everything=True)
        structure.write_back(notes)
        with torch.no_grad():
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


def _is_plain_tensor(value) -> bool:
    """Whether a module keeps it as it would a buffer."""
    return isinstance(value, torch.Tensor) and value.is_leaf and not value.requires_grad


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
    """Tries engines on the first tasks of a batch, beside the textbook loop, which runs once for all.

    reference(params, tensors, loop): what to compare with, where that is not MAML's meta-gradient.
    """

    def __init__(self, learner, tensors, loop, reference=None):
        self.learner, self.loop = learner, loop.shortened(STEPS, learner.params)
        self.kink = KINK if reference is None else math.inf
        loss = learner.task_loss
        textbook_loop = lambda *arguments: textbook.meta_gradient(loss, *arguments)
        self.reference = reference or textbook_loop
        self.params = learner.params
        self.tensors = tuple(tensor[:TASKS] for tensor in tensors)
        self._expected = None

    def reason_against(self, run, what) -> str | None:
        """Why an engine is not to be used; None where it gives the right numbers.

        run(what, params, tensors, loop): the engine.
        """
        expected, noise = self.expected()
        try:
            with untouched(self.learner), maml.math_attention():
                result = run(what, self.params, self.tensors, self.loop)
        except Exception as error:
            return said(error)
        gap = _distance(result, expected)
        rounding = EXACT.get(next(iter(self.params.values())).dtype, ROUGH)
        if gap <= max(rounding, NOISE * noise) or (gap <= self.kink and self._is_exact(run, what)):
            return None
        return f"its numbers differ from those of the textbook loop, by {gap:.1e} of their size"

    def expected(self):
        """(the textbook loop's result, its distance from float64's)."""
        if self._expected is None:
            rule = self.loop.inner_optimiser
            memory = structure.structure_of(rule)
            with untouched(self.learner):
                result = self.reference(self.params, self.tensors, self.loop)
            if structure.structure_of(rule) != memory:
                raise ValueError(
                    "inner_optimiser keeps something from call to call, so that tasks would disturb one another: "
                    "it must be a pure function, whose state is what it returns."
                )
            self._expected = result, 0.0
            truth = self._in_double(lambda _, *arguments: self.reference(*arguments), None)
            if truth is not None and math.isfinite(_distance(result, truth)):
                self._expected = truth, _distance(result, truth)
        return self._expected

    def _is_exact(self, run, what):
        """Whether an engine has the textbook loop's numbers in float64, where rounding cannot be the reason."""
        mine = self._in_double(run, what)
        return mine is not None and _distance(mine, self.expected()[0]) <= EXACT[torch.float64]

    def _in_double(self, run, what):
        """An engine's result in float64; None where that is what it has, or cannot be computed."""
        if all(p.dtype == torch.float64 for p in self.params.values()):
            return None
        double = lambda tensor: tensor.double() if tensor.is_floating_point() else tensor
        rates = self.loop.inner_lr
        if isinstance(rates, (torch.Tensor, dict)):
            rates = maml.mapped(lambda r: double(r) if isinstance(r, torch.Tensor) else r, rates)
        arguments = {n: double(p) for n, p in self.params.items()}, tuple(map(double, self.tensors))
        try:
            with untouched(self.learner), maml.math_attention():
                return run(what, *arguments, self.loop._replace(inner_lr=rates))
        except Exception:  # a layer that insists on its own precision
            return None


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
    dense = [part.to_dense() if part.layout != torch.strided else part for part in parts]
    return torch.cat([part.detach().double().cpu().reshape(-1) for part in dense])


def said(error) -> str:
    """Why an engine is not used that has raised an error."""
    line = (str(error).strip().splitlines() or ["no message"])[0][:200]
    return f"here it ends in {type(error).__name__}: {line}"


# ------------------------------------------------------------------ what the losses depend on


def check_losses(learner, tensors):
    """ValueError where a loss has no graph, or depends on something that nothing would train."""
    task = [tensor[0] for tensor in tensors]
    with untouched(learner), torch.enable_grad(), maml.math_attention():
        leaves = [_leaves_but_ours(learner, task) for _ in range(2)]
    # a leaf that a forward pass makes for itself is another one each time
    foreign = [leaf for leaf in leaves[0] if any(leaf is other for other in leaves[1])]
    names = [n for n, p in learner.model.named_parameters() if any(p is leaf for leaf in foreign)]
    if names:
        raise ValueError(
            f"the loss reads the model's own parameters ({', '.join(names[:3])}), which are θ whatever φ is: "
            f"what it adds would be left out of the meta-gradient. Use mt.meta_gradient(loss, params, …), "
            f"whose loss(params, x, y) is given the parameters."
        )
    if foreign:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in foreign[:3])
        raise ValueError(
            f"the loss depends on {len(foreign)} tensor(s) that want a gradient and are no part of the model's "
            f"parameters (of shapes {shapes}): they would never be trained. Register them in the model, say "
            f"requires_grad_(False), or use mt.meta_gradient(loss, params, …), where params may hold whatever "
            f"is to be trained."
        )


def _leaves_but_ours(learner, task):
    """The leaves of the graphs of a task's losses at θ that are not θ."""
    theta = {name: textbook.as_leaf(p) for name, p in learner.params.items()}
    ours = {id(leaf) for leaf in theta.values()}
    losses = [
        loss for loss in learner.example_losses(theta, task) if isinstance(loss, torch.Tensor)
    ]
    if any(not loss.requires_grad for loss in losses):
        raise ValueError(
            "the loss does not depend on the parameters, as far as autograd can see: it, or the model, calls "
            "detach(), float(), argmax or numpy(), or computes under no_grad. Nothing could be learned from it."
        )
    seen, waiting, leaves = set(), [loss.grad_fn for loss in losses], []
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
