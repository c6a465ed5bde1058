"""Heads on a body: what can be read out of features without an inner loop, or before one.

`body_of` is a network without its last layer. On it go `ProtoNet` (the nearest class mean) and `RidgeHead` (least
squares in closed form), to ask what a trained body is good for, or to train it so. `ProtoMAML` starts MAML's
inner loop from the nearest class mean.
"""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import nn

from . import maml, rules
from .arguments import one_number
from .baselines import ProtoNet, check_classes
from .family import head_of
from .fast import structure, textbook
from .learner import MAML, Forward
from .networks import Conv4
from .precision import in_own_precision
from .task_gradient import mean_over_tasks


def body_of(model, head=None) -> nn.Module:
    """The model without its head: an nn.Module x (examples, …) → features (examples, features).

    What goes into the head comes out; where the head is called more than once, what goes in first. The parameters
    are the model's own, not copies, under the same names: who trains one trains the other. head: the name of
    the head's module; None means the layer that is both registered and called last, as for `ANIL`. It starts in the
    model's mode: body.eval(), and not model.eval(), switches off what the model itself drops out.

        nearest = mt.ProtoNet(mt.body_of(learner.model))    # the nearest class mean of the features
        features = mt.body_of(learner.model)(x)
        at_phi = mt.body_of(learner.adapted(support_x, support_y))(x)

    Raises ValueError for a model without a body, for a head that is not one module, and if it would be a guess.
    """
    name = _head_module(model, head)
    return Body(model, name)


def _head_module(model, head):
    """The name of the module that is the head."""
    if isinstance(model, Conv4) and not any(True for _ in model.head.parameters()):
        raise ValueError("this Conv4 has no head (ways=None): it is a body already.")
    names = head_of(model, head)
    if names is None:
        raise ValueError(
            f"model must be an nn.Module with parameters that are not frozen; got {type(model).__name__}."
        )
    if len(names) == sum(1 for _ in model.named_parameters()):
        raise ValueError("the model is nothing but a head: there is no body under it.")
    fitting = [
        name
        for name, module in model.named_modules()
        if not isinstance(module, (nn.ModuleList, nn.ModuleDict))  # which are never called
        and {f"{name}.{own}" for own, _ in module.named_parameters()} == set(names)
    ]
    if fitting:  # the one that is named, or the innermost of those around one layer
        return head.removesuffix(".") if _is_named(head, fitting) else fitting[-1]
    raise ValueError(
        f"the head must be one module, whose input are the features; {head!r} names {', '.join(names)}."
    )


def _is_named(head, names):
    return isinstance(head, str) and head.removesuffix(".") in names


class Body(nn.Module):
    """A model up to its head, which `body_of` makes: the same modules around the same parameters.

    At each call the model is cut anew, a stop in the place of its head, so that what was changed in it since is
    seen. It shares its children with this module, which therefore has its names; the tuple keeps it from being a
    child itself.
    """

    def __init__(self, model, head):
        super().__init__()
        cut = _with_module(model, head.split("."), Stop())
        self.whole, self.head, self.training = (model,), head, model.training
        self._parameters, self._buffers, self._modules = cut._parameters, cut._buffers, cut._modules

    def forward(self, x):
        cut = _with_module(self.whole[0], self.head.split("."), Stop(), self)
        try:
            cut(x)
        except Features as reached:
            return reached.values.flatten(1)  # (examples, features)
        raise ValueError(
            "the model's forward pass does not call its head: there is no telling what goes into it."
        )


class Features(Exception):
    """What goes into the head, on its way out of the forward pass."""

    def __init__(self, values):
        super().__init__()
        self.values = values


class Stop(nn.Module):
    """Stands in the head's place and ends the forward pass."""

    def forward(self, features):
        raise Features(features)


def _with_module(model, path, module, body=None):
    """The model with another module at a path; only what leads there is new, and shares its tensors.

    body: the same part of a `Body`, whose mode what is new is in.
    """
    if not path:
        return module
    twin = object.__new__(type(model))
    twin.__dict__.update(vars(model))
    twin._modules = dict(model._modules)
    below = body and body._modules[path[0]]
    twin._modules[path[0]] = _with_module(model._modules[path[0]], path[1:], module, below)
    twin.training = model.training if body is None else body.training
    return twin


# ------------------------------------------------------------------ ridge regression


class RidgeHead(ProtoNet):
    """Ridge regression in closed form on the features of a body, fitted to each task's support set.

    With X (shots, features) the body's outputs and Y the targets, both centred,
    W = (XᵀX + λI)⁻¹ XᵀY. Centring fits an offset that is not penalised. Regression takes y as it is;
    classification takes columns that are 1 for a class and 0 for the others, and the largest answer wins.

    body: any nn.Module x → features, such as `body_of(model)`. strength: λ > 0, next to the sum XᵀX and not
    the mean: choose it on validation tasks. loss(prediction, y): one number for one task; classification wants
    F.cross_entropy. There is no inner loop: inner_steps is 0, and `evaluate` gives the same at every step. Support
    and query go through the body together, as in `ProtoNet`.

    `meta_train` trains the body through the solution. That is R2-D2 (Bertinetto et al. 2019) without what it learns
    besides: a scale and an offset of the answers, and λ if that is wanted. Answers lie between about 0 and 1, which
    cross-entropy takes for unsure ones; a loss of your own may scale them,
    lambda answers, y: F.cross_entropy(10 * answers, y).

    Labels are 0, 1, … of the task; there is a column for every support example, of which those of classes without
    an example are −∞. Raises ValueError for labels in training with F.mse_loss, and as `ProtoNet` does.
    """

    def __init__(self, body, loss=F.mse_loss, strength=1.0):
        number = isinstance(strength, numbers.Real) and not isinstance(strength, bool)
        if not number or not 0 < float(strength) < float("inf"):
            raise ValueError(f"strength (λ) must be a number > 0; got {strength!r}.")
        self.strength = float(strength)
        super().__init__(body, loss)

    def logits(self, params, support_x, support_y, query_x):
        """The answers for ONE task's query_x: (queries, *targets), or (queries, shots) for classes."""
        support_x, support_y, query_x = (
            maml.like_params(values, params) for values in (support_x, support_y, query_x)
        )
        both = Forward(self.model)(params, torch.cat([support_x, query_x])).flatten(1)
        features, queries = both[: len(support_x)], both[len(support_x) :]  # (examples, features)
        if support_y.is_floating_point():
            weights, offset = ridge(features, support_y.reshape(len(support_y), -1), self.strength)
            return (queries @ weights + offset).reshape(len(queries), *support_y.shape[1:])
        classes = torch.arange(len(support_x), device=support_y.device)
        member = (support_y[:, None] == classes).to(features.dtype)  # (shots, classes)
        weights, offset = ridge(features, member, self.strength)
        return torch.where(member.sum(0) > 0, queries @ weights + offset, -torch.inf)

    def check_tasks(self, support_x, support_y, query_x, query_y):
        if support_y.is_floating_point():
            return
        if self.loss_function is F.mse_loss:
            raise ValueError(
                "y holds class labels, which are no numbers to come close to: RidgeHead(body, F.cross_entropy)."
            )
        check_classes(support_x, support_y, query_x, query_y)

    def settings(self):
        return super().settings() | {"strength": self.strength}


def ridge(features, targets, strength):
    """(weights (features, targets), offset (targets,)) that minimise ‖XW + b − Y‖² + λ‖W‖².

    In float64 where there is one: XᵀX has the square of X's condition. With fewer examples than features by the
    same numbers in a smaller matrix, W = Xᵀ(XXᵀ + λI)⁻¹Y. NaN where λ is so small beside the features that rounding
    would show: a condition above about 10¹¹, at which four digits are left in the worst case.
    """
    dtype = features.dtype
    precise = dtype if features.device.type == "mps" else torch.float64
    x, y = features.to(precise), targets.to(precise)
    centre, mean = x.mean(0), y.mean(0)
    x, y = x - centre, y - mean
    examples, size = x.shape
    gram = x.T @ x if size <= examples else x @ x.T
    eye = torch.eye(len(gram), dtype=precise, device=x.device)
    factor, failed = torch.linalg.cholesky_ex(gram + strength * eye)
    pivots = factor.diagonal().detach().square()
    solved = (failed == 0) & (pivots.min() > 1e4 * torch.finfo(precise).eps * pivots.max())
    weights = torch.cholesky_solve(x.T @ y if size <= examples else y, factor)
    weights = weights if size <= examples else x.T @ weights
    weights = torch.where(solved, weights, torch.nan)
    return weights.to(dtype), (mean - centre @ weights).to(dtype)


# ------------------------------------------------------------------ MAML from prototypes


class ProtoMAML(MAML):
    """Proto-MAML (Triantafillou et al. 2020): the inner loop starts from the nearest class mean.

    −‖f − c_k‖² is linear in the features f but for a term that all classes share. So in each task the head
    starts as w_k = 2c_k, b_k = −‖c_k‖², with c_k the mean of the body's features over the support examples of class
    k, and then all parameters take `inner_steps` of gradient descent. The meta-gradient goes through
    the prototypes, too; θ's own head plays no part. Only for a class without a support example is its row used.

    head: the name of a linear layer with a bias; None: as for `ANIL`. Other arguments as for `MAML`. Raises
    ValueError for another head and, in training, for regression.
    """

    def __init__(self, model, loss=F.cross_entropy, inner_lr=0.01, inner_steps=1, *, head=None):
        super().__init__(model, loss, inner_lr, inner_steps)
        name = _head_module(model, head)
        self.head = (f"{name}.weight", f"{name}.bias")
        layer = model.get_submodule(name)
        linear = type(layer).forward is nn.Linear.forward and structure.is_untouched(layer)
        if not linear or not set(self.head) <= set(self.params):
            raise ValueError(
                f"the head must be an nn.Linear with a bias, as torch has it and not frozen, for prototypes to "
                f"start from; {name!r} is {layer}."
            )
        self.head_module = name

    def start(self, theta, support_x, support_y):
        """θ of ONE task with the prototypes of its support set in the head."""
        if support_y.is_floating_point() or support_y.ndim != 1:
            raise ValueError(
                "ProtoMAML classifies: y must hold whole-number labels, one an example. For regression: MAML."
            )
        if not set(self.head) <= theta.keys():
            raise ValueError(
                f"the head ({', '.join(self.head)}) has been frozen since this ProtoMAML was made: prototypes "
                "could not start there."
            )
        weight, bias = (theta[name] for name in self.head)
        below = {name: value for name, value in theta.items() if name not in self.head}
        body = Body(self.model, self.head_module)  # in the model's mode of now
        still = {n: p for n, p in body.named_parameters() if not p.requires_grad}
        still = {name: p.detach().to(weight) for name, p in still.items()}
        features = Forward(body)(still | below, support_x)  # (shots, features)
        classes = torch.arange(len(bias), device=support_y.device)
        member = (support_y[:, None] == classes).to(features.dtype)  # (shots, classes)
        count = member.sum(0)
        centres = member.T @ features / count.clamp(min=1)[:, None]  # (classes, features)
        rows = torch.where(count[:, None] > 0, 2 * centres, weight)
        offsets = torch.where(count > 0, -centres.square().sum(1), bias)
        # a slope at the start holds the prototypes fixed: it is taken at nodes that they were not made from
        apart = {name: value.view_as(value) for name, value in theta.items()}
        return apart | dict(zip(self.head, (rows, offsets), strict=True))

    def check_labels(self, *labels):
        """ValueError for labels that the head has no row for."""
        ways = len(dict(self.model.named_parameters())[self.head[1]])
        for y in map(torch.as_tensor, labels):
            if y.is_floating_point() or y.device.type != "cpu" or not y.numel():
                continue  # `start` says so of numbers; looking at values would make a GPU wait for Python
            if y.min() < 0 or y.max() >= ways:
                raise ValueError(
                    f"labels must be 0, 1, … {ways - 1}, one for each row of the head; got {int(y.min())} to "
                    f"{int(y.max())}."
                )

    def adapt(self, support_x, support_y, steps=None):
        """φ for ONE task; see `MAML.adapt`. Raises ValueError for labels that the head has no row for."""
        self.check_labels(support_y)
        return super().adapt(support_x, support_y, steps)

    def path(self, theta, support_x, support_y, steps, slope_of=maml.slope_of):
        """[φ₀, φ₁, …, φ_steps] of ONE task; φ₀ is θ with the prototypes in its head."""
        theta = self.start(theta, support_x, support_y)
        return super().path(theta, support_x, support_y, steps, slope_of)

    def query_loss(self, theta, task, slope_of):
        """The query loss of ONE task at φ, with its graph back to θ."""
        support_x, support_y, query_x, query_y = task
        phi = self.path(theta, support_x, support_y, self.inner_steps, slope_of)[-1]
        return one_number(self.task_loss)(phi, query_x, query_y)

    @in_own_precision
    def meta_gradient(self, batch):
        """(mean query loss at φ, its gradient like θ)."""
        theta = self.detached()
        self.check_labels(*maml.TaskBatch.of(batch).arrays[1::2])

        def one_task(derivatives, task):
            functional = derivatives.slope_of is maml.slope_of
            slope_of = maml.slope_of if functional else textbook.slope_of  # which keep the graph
            loss = lambda theta, *task: self.query_loss(theta, task, slope_of)
            slope, value = derivatives.slope_and_value(loss, theta, *task)
            return value, slope

        return mean_over_tasks(self, one_task, batch, theta)

    @in_own_precision
    def meta_loss(self, batch):
        """Mean query loss after adaptation over the tasks of a batch."""
        theta = self.detached()
        self.check_labels(*maml.TaskBatch.of(batch).arrays[1::2])

        def one_task(derivatives, task):
            return self.query_loss(theta, task, derivatives.slope_of).detach(), {}

        return mean_over_tasks(self, one_task, batch, theta)[0]

    def explain(self, batch):
        return rules.explain_plain(self, batch)
