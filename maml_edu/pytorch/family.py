"""MAML's family, each a few lines beside `MAML`: what they share stands in `learner.py` and `maml.py`.

FOMAML    leaves the second derivatives out
Reptile   moves θ towards φ, no outer derivative at all
ANIL      only the head adapts
BOIL      all but the head adapts
MetaSGD   learns an inner rate for every element of θ

MAML++ and implicit MAML are more than that: `mamlpp.py`, `imaml.py`. All train with `meta_train`, are scored by
`evaluate`, and go on from checkpoints as `MAML` does. What they are compared with: `baselines.py`.
"""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import fx, nn

from . import maml, rules
from .arguments import one_number
from .learner import MAML, as_leaves, names_that_adapt
from .networks import Conv4
from .task_gradient import TaskGradient


class FOMAML(MAML):
    """First-order MAML (Finn et al. 2017, section 5.2): ∇θ L_query(φ) ≈ ∇φ L_query(φ).

    Each inner slope counts as a constant, so that the meta-gradient is the mean over tasks of the query
    gradient at φ, passed on to θ as it is. Arguments as for `MAML`, without first_order.
    """

    def __init__(self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, **options):
        super().__init__(model, loss, inner_lr, inner_steps, first_order=True, **options)


class Reptile(TaskGradient):
    """Reptile (Nichol, Achiam and Schulman 2018, Algorithm 2): the meta-gradient is (θ − φ)/α.

    φ: θ after `inner_steps` (≥ 1) of gradient descent on the task; the mean over tasks goes to the outer
    optimiser as any gradient does. With one step it is the gradient of joint training; with more it
    also holds, to leading order in α, what makes the slopes of successive steps agree.

    data: what the inner loop trains on, "support" or "support+query" (the paper has no split in training;
    then the meta-loss, the query loss at φ, is of examples that φ has seen). Each step takes all
    examples, where the original code draws mini-batches and uses Adam without momentum. inner_lr: one
    number > 0. engine: "auto", or some of "native", "plain", "textbook". Raises ValueError for other rates,
    steps or data.
    """

    def __init__(
        self,
        model,
        loss=F.mse_loss,
        inner_lr=0.01,
        inner_steps=5,
        *,
        data="support",
        engine="auto",
    ):
        super().__init__(model, loss, inner_lr, inner_steps, first_order=True, engine=engine)
        if not isinstance(inner_lr, numbers.Real) or inner_lr == 0 or self.inner_steps < 1:
            raise ValueError(
                f"Reptile divides by the inner rate: inner_lr must be one number > 0, with at least one "
                f"inner step; got {inner_lr!r} and {inner_steps} steps."
            )
        if data not in ("support", "support+query"):
            raise ValueError(f"data must be 'support' or 'support+query'; got {data!r}.")
        self.data = data

    def one_task(self, derivatives, theta, task, loop):
        """(query loss at φ, (θ − φ)/α like θ)."""
        x, y, query_x, query_y = task
        if self.data == "support+query":
            x, y = torch.cat([x, query_x]), torch.cat([y, query_y])
        loss = self.task_loss
        phi = maml.adaptation(loss, theta, x, y, loop, derivatives.slope_of)[-1]
        towards = {name: (theta[name] - phi[name]) / self.inner_lr for name in theta}
        return one_number(loss)(phi, query_x, query_y), towards

    def rule(self):
        arranged = rules.support_is_both if self.data == "support+query" else None
        return rules.Rule(rules.REPTILE, self.inner_lr, arranged=arranged)

    def settings(self):
        return super().settings() | {"data": self.data}


class ANIL(MAML):
    """Almost no inner loop (Raghu et al. 2020): only the head adapts, the body is trained through it.

    θ = (body, head), φ = (body, head − α ∇head L_support); the meta-gradient is of all θ. head: the name of
    its module or parameters, such as "head"; None: the layer that is both registered and called last, which
    `head` names afterwards. Other arguments as for `MAML`. Raises ValueError for a head that the model does
    not have, and where it would have to be guessed.
    """

    def __init__(
        self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, *, head=None, **options
    ):
        self.head = head_of(model, head)
        super().__init__(model, loss, inner_lr, inner_steps, adapting=self.head, **options)

    def __repr__(self):
        return f"{type(self).__name__}(head: {', '.join(self.head)})"


class BOIL(MAML):
    """Body only update in the inner loop (Oh et al. 2021): all but the head adapts, ANIL's opposite.

    θ = (body, head), φ = (body − α ∇body L_support, head): the representation has to change for the task.
    Arguments as for `ANIL`. Raises ValueError for a model that is nothing but a head.
    """

    def __init__(
        self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, *, head=None, **options
    ):
        self.head = head_of(model, head)
        names = [n for n, _ in model.named_parameters()] if self.head else []
        body = [name for name in names if name not in self.head]
        if self.head and not body:
            raise ValueError("the model is nothing but a head: BOIL has no body to adapt.")
        super().__init__(model, loss, inner_lr, inner_steps, adapting=body or None, **options)

    __repr__ = ANIL.__repr__


class MetaSGD(MAML):
    """Meta-SGD (Li, Zhou, Chen and Li 2017): φ = θ − α ∘ ∇L_support(θ), with θ and α both learned.

    α has a rate for every element of θ, so it learns the direction of the step, too; a rate may become
    negative. inner_lr: where all rates start (a number, or a dict name → number or tensor like the
    parameter). The paper takes one inner step; with more, each has the same rates. Taking more steps in
    evaluation than in training may diverge, since rates learned for one step are large. Other arguments
    as for `MAML`.
    """

    def __init__(self, model, loss=F.mse_loss, inner_lr=0.01, inner_steps=1, **options):
        super().__init__(model, loss, inner_lr, inner_steps, **options)
        moving = self.adapting or self.params
        starts = {name: start_at(inner_lr, name, self.params[name].shape) for name in moving}
        self.inner_lr, self.learn_inner_lr = as_leaves(starts, self.params), True


# ------------------------------------------------------------------ which layer is the head


def head_of(model, head):
    """The names of the head's parameters: those that `head` names, or of the layer that is called last (None).

    None where there are no parameters, which `MAML` refuses. ValueError for a head that is not there, and
    where it would have to be guessed: the order of calls cannot be told, or the layer that is called last
    is not the one that was registered last.
    """
    if not trained(model):
        return None
    names = [name for name, _ in model.named_parameters()]
    if head is None:
        head = _last_layer(model, names)
    try:
        return names_that_adapt(head, names)
    except ValueError:
        raise ValueError(
            f"the model has no head {head!r}: its parameters are {', '.join(names)}."
        ) from None


def trained(model):
    """The names of a model's parameters that are not frozen; none for what is no model."""
    named = model.named_parameters() if isinstance(model, nn.Module) else ()
    return [name for name, parameter in named if parameter.requires_grad]


def _last_layer(model, names):
    """The layer that holds the last parameter, once it is known to be the one that is called last."""
    registered = names[-1].rpartition(".")[0]
    if not registered:
        if not any("." in name for name in names):
            return names  # a single layer is all head
        raise ValueError(
            f"the last parameter, {names[-1]}, belongs to the model itself and to no layer: name the head, "
            f"head=…"
        )
    called = _called_last(model)
    if called != registered:
        order = (
            f"the layer that is called last is {called!r}"
            if called
            else "in which order its layers are called cannot be told from outside"
        )
        raise ValueError(
            f"which layer is the head would be a guess: the layer registered last is {registered!r}, and "
            f'{order}. Name it, such as head="{called or registered}".'
        )
    return registered


def _called_last(model):
    """The name of the layer that all others with parameters lead to, and that leads to all of the output.

    None where there is no such layer, or where that cannot be told.
    """
    if isinstance(model, Conv4):
        return "head" if model.head is not None else None
    shared = sum(1 for _ in model.named_parameters(remove_duplicate=False))
    if (
        shared != sum(1 for _ in model.parameters())
        or type(model).__call__ is not nn.Module.__call__
    ):
        return None  # a layer shares its parameters, or something else than `forward` is called
    try:
        graph = _Calls().trace(model)
    except Exception:  # control flow that depends on the data, a forward with other arguments
        return None
    with_parameters = {
        node: node.target
        for node in graph.nodes
        if node.op == "call_module"
        and any(True for _ in model.get_submodule(node.target).parameters())
    }
    direct = any(
        node.op == "get_attr" for node in graph.nodes
    )  # parameters that no layer's call shows
    if direct or not with_parameters:
        return None
    last = list(with_parameters)[-1]
    output = next(node for node in graph.nodes if node.op == "output")
    alone = list(with_parameters.values()).count(last.target) == 1
    before = _upstream(last)
    all_lead_there = set(with_parameters) <= before
    through = set(with_parameters) & _upstream(output, without=last) == {last}
    return last.target if alone and all_lead_there and through and _is_head(model, last) else None


def _upstream(node, without=None):
    """The nodes that a node is computed from, itself among them; not beyond `without`."""
    seen, waiting = set(), [node]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting.extend([] if here is without else here.all_input_nodes)
    return seen


def _is_head(model, node):
    """Whether it is one layer that maps features to outputs, with a matrix of weights: no norm, no block."""
    layer = model.get_submodule(node.target)
    weights = [p for n, p in layer.named_parameters() if p.ndim > 1]
    return len(weights) == 1 and not any(True for _ in layer.children())


class _Calls(fx.Tracer):
    """Traces which layers are called, without looking into them."""

    def is_leaf_module(self, m, module_qualified_name):
        return not any(True for _ in m.children()) or super().is_leaf_module(
            m, module_qualified_name
        )


def start_at(inner_lr, name, shape):
    """A first value of the learned rates of one parameter: a number, or what has the shape, spread over it."""
    start = inner_lr[name] if isinstance(inner_lr, dict) else inner_lr
    start = torch.as_tensor(start, dtype=torch.float64)  # the parameters' precision comes later
    if start.ndim and start.shape != shape:
        raise ValueError(
            f"inner_lr for {name!r} has shape {tuple(start.shape)}, but its learned rates are "
            f"{tuple(shape)}: give one number to start from."
        )
    return start.expand(shape)
