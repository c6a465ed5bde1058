"""Which engine computes a meta-gradient that is not MAML's: `native` for perceptrons, else the plain way.

Learners that have one of these (`task_gradient.TaskGradient`) say by which Rule the kernels know it; what runs
is found out once for each structure, and tried on two tasks next to the plain way. Start with `engine_for`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from . import maml
from .derivatives import by_autograd
from .fast import choice, perceptron, trial
from .fast.choice import Choice, Explanation

ENGINES = ("native", "plain", "textbook")
THROUGH, REPTILE, IMPLICIT = 0, 1, 2  # as the kernels number them
_ELSEWHERE = "it knows the meta-gradient of MAML, and no other"


class Rule(NamedTuple):
    """A meta-gradient as the kernels know it, see `fast/kernels/task_gradients.py`.

    inner_loss: the support loss without what the rule adds to it. arranged: a function of the four arrays of a
    batch that gives those that the kernels see. steps: of the inner loop, where it is not the learner's.
    """

    kind: int
    number: float = 0.0  # α or λ
    cg_steps: int = 0
    inner_loss: Any = None
    arranged: Callable | None = None
    steps: int | None = None

    def batch(self, arrays):
        """The four arrays, or tensors, as the kernels see them."""
        return tuple(arrays) if self.arranged is None else self.arranged(*arrays)

    def loop(self, loop):
        """The inner loop's settings as the kernels see them."""
        if self.steps is None:
            return loop
        return loop._replace(inner_steps=self.steps, query_weights=[0.0] * self.steps + [1.0])


def support_is_both(support_x, support_y, query_x, query_y):
    """A batch in which the inner loop trains on support and query set together."""
    return both(support_x, query_x), both(support_y, query_y), query_x, query_y


def query_is_both(support_x, support_y, query_x, query_y):
    """A batch in which the query loss is that of support and query set together."""
    return support_x, support_y, both(support_x, query_x), both(support_y, query_y)


def both(support, query):
    """The examples of both sets, one after the other: arrays or tensors (tasks, examples, …)."""
    if isinstance(support, torch.Tensor) and isinstance(query, torch.Tensor):
        return torch.cat([support, query], 1)
    return np.concatenate([np.asarray(support), np.asarray(query)], 1)


def engine_for(learner, tensors) -> Choice:
    """The first engine that applies to these tensors (tasks, examples, …), of those that the learner asks for.

    Raises ValueError where none of them does.
    """
    kept = choice.kept_for(learner)
    place = ("engine of the rule", *((t.shape, t.dtype, t.device) for t in tensors))
    if place not in kept:
        kept[place] = _first(learner, tensors)
    network = kept[place].network
    if network is None or choice.labels_within(network, tensors):
        return kept[place]
    place = ("labels beyond the outputs", *place)  # an error that torch words best
    if place not in kept:
        kept[place] = _first(learner, tensors, without=("native",))
    return kept[place]


def _first(learner, tensors, without=()) -> Choice:
    reasons = {}
    for name in _preferences(learner, tensors):
        network, reasons[name] = (None, "labels are beyond the network's outputs")
        if name not in without:
            network, reasons[name] = _reason_against(learner, tensors, name)
        if reasons[name] is None:
            return Choice(name, network)
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(
        f"no engine of those asked for has a form for {type(learner).__name__} here ({listed or 'none'}): "
        f"ask for some of {', '.join(ENGINES)}, or for engine='auto'."
    )


def _preferences(learner, tensors):
    return [name for name in choice.preferences(learner, tensors) if name in ENGINES]


def plain_is_ruled_out(learner, tensors, error) -> bool:
    """Note that vmap ends in an error for this structure. False if all hung on it."""
    choice.memory_of(learner).reasons[_place(learner, tensors, "plain")] = trial.said(error)
    kept = choice.kept_for(learner)
    for place in [place for place in kept if isinstance(place, tuple)]:
        del kept[place]
    return "textbook" in _preferences(learner, tensors)


def _place(learner, tensors, name):
    """Where it is remembered why an engine is not used for this structure."""
    memory, rule = choice.memory_of(learner), learner.rule()
    loop = learner.loop().checked(learner.params)
    held, _ = choice.circumstances(learner, tensors, loop, memory)
    told = rule and (rule.kind, rule.cg_steps, rule.steps)
    return choice.coarse(held), type(learner), told, name


def _reason_against(learner, tensors, name):
    """(network or None, None), or (None, why this engine cannot be used here)."""
    if name == "textbook":
        return None, None
    reasons = choice.memory_of(learner).reasons
    if name == "plain":
        return None, reasons.get(_place(learner, tensors, name))
    network, reason = _network_of(learner, tensors)
    if reason is not None:
        return None, reason
    place = _place(learner, tensors, name)
    if place not in reasons:
        rule, loop = learner.rule(), learner.loop().checked(learner.params)
        reference = lambda *arguments: _in_plain_words(learner, *arguments)
        attempt = trial.Trial(learner, tensors, loop, reference)
        run = lambda network, *arguments: run_native(network, rule, *arguments)
        reasons[place] = attempt.reason_against(run, network)
    return (network, None) if reasons[place] is None else (None, reasons[place])


def _in_plain_words(learner, theta, tensors, loop):
    """The means over tasks of what the learner says of each, by autograd."""
    theta = maml.detached(theta)
    results = [
        learner.one_task(by_autograd, theta, task, loop) for task in zip(*tensors, strict=True)
    ]
    return maml.mapped(lambda *parts: torch.stack(parts).detach().mean(0), *results)


def _network_of(learner, tensors):
    """(the perceptron, None), or (None, why native code does not fit, as far as can be told without trying)."""
    rule = learner.rule()
    if rule is None:
        return None, _ELSEWHERE
    if any(t.device.type != "cpu" for t in tensors):
        return None, "it is for the CPU"
    if not learner.loop().is_descent:
        return None, "it knows gradient descent without clipping, and no other inner step"
    if learner.precision == "bf16" or torch.is_autocast_enabled("cpu"):
        return None, "it does not compute in bfloat16"
    if importlib.util.find_spec("numba") is None:
        return None, choice.NO_NUMBA
    network = perceptron.network_of(learner, rule.inner_loss)
    try:
        tensors = rule.batch(tensors)
    except RuntimeError:  # examples of two sizes, say: which the plain way says, too
        return None, "support and query sets do not go together"
    if network is None or not perceptron.fits(network, tensors):
        return None, choice.NEEDS_PERCEPTRON
    if max(network.widths) > choice.WIDEST:
        return None, f"a layer is wider than {choice.WIDEST}"
    return network, None


def run_native(network, rule, params, tensors, loop):
    """(meta-loss, gradient like params) by the rule, in native code."""
    from .fast import native

    told = native.rule_of(network, params, rule.kind, rule.number, rule.cg_steps)
    return native.meta_gradient(network, params, rule.batch(tensors), rule.loop(loop), told)


def explain_plain(learner, batch) -> Explanation:
    """The Explanation of a learner that no kernel knows: plain, or textbook where vmap or its draws forbid that."""
    group = maml.groups_of(batch)[0]
    with trial.untouched(learner):
        learner.meta_gradient(group.part(0, min(2, len(group))))
    elsewhere = dict.fromkeys(choice.ENGINES, _ELSEWHERE)
    other = "would do, but plain comes first"
    if learner.ran == "textbook":
        other = "vmap cannot do what this model does, or all tasks would share one draw"
    both = {"plain", "textbook"} - {learner.ran}
    return Explanation(learner.ran, elsewhere | dict.fromkeys(both, other) | {learner.ran: "runs"})


def explain(learner, batch) -> Explanation:
    """The Explanation for a batch (for tasks of unequal size: for the first of its groups)."""
    params = learner.params
    group = maml.groups_of(batch)[0]
    with trial.untouched(learner):  # only a run shows what vmap cannot do
        learner.meta_gradient(group.part(0, min(2, len(group))))
    tensors = maml.tensors_of(group, params)
    name = engine_for(learner, tensors).name
    asked = _preferences(learner, tensors)
    reasons = {n: _reason_against(learner, tensors, n)[1] for n in asked}
    reasons = {n: r or f"would do, but {name} comes first" for n, r in reasons.items()}
    not_asked = f"not asked for: engine={learner.engine!r}"
    others = {n: not_asked if n in ENGINES else _ELSEWHERE for n in choice.ENGINES}
    return Explanation(name, others | reasons | {name: "runs"})
