"""Outputs of every form, losses with settings of their own, labels of every kind."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..case import (
    IMAGE,
    Case,
    batch_of,
    boolean,
    classifier,
    mapped,
    normal,
    probabilities,
    real,
    relu_mlp,
    tanh_mlp,
    whole,
)
from ..models import Calls, Returns


class Margin:
    """A loss that is an instance of a class."""

    def __init__(self, margin):
        self.margin = margin

    def __call__(self, scores, labels):
        right = scores.gather(1, labels[:, None])
        return F.relu(self.margin + scores - right).mean()


def _frozen_loss():
    body = nn.Linear(2, 3).double().requires_grad_(False)
    return lambda out, y: F.mse_loss(body(out), body(y))


def _recursive_loss():
    def loss(out, y, times=3):
        return F.mse_loss(out, y) if times == 0 else loss(out, y, times - 1)

    return loss


def _penalised():
    """A loss that reads the model's own parameters, θ, wherever the inner loop is."""
    model = tanh_mlp()
    penalty = lambda: sum(p.square().sum() for p in model.parameters())
    loss = lambda out, y: F.mse_loss(out, y) + 0.01 * penalty()
    return real(model, loss=loss, refused="reads the model's own parameters")


def _trainable_loss():
    """A loss that owns parameters, where a learner cannot see them when it is made."""
    weights = [torch.ones(2, dtype=torch.float64, requires_grad=True)]
    holder = {"deep": {"in": {"dicts": weights}}}
    loss = lambda out, y: F.mse_loss(out * holder["deep"]["in"]["dicts"][0], y)
    return real(tanh_mlp(), loss=loss, refused="would never be trained")


def _some_ignored():
    case = classifier(relu_mlp(3))
    case.batch.support_y[:, 0] = case.batch.query_y[:, 1] = -100
    return case


def _binary(loss, y=boolean):
    return Case(tanh_mlp(1).double(), loss, batch_of(normal(4), y))


def _with_logits(out, y):
    return F.binary_cross_entropy_with_logits(out, y.to(out.dtype))


def _hinge(out, y):
    return F.relu(1 - out * (2 * y.to(out.dtype) - 1)).mean()


def _ctc(scores, y):
    """scores (examples, length, letters), y (examples, 2)."""
    lengths = torch.full((len(y),), 4), torch.full((len(y),), 2)
    return F.ctc_loss(F.log_softmax(scores, -1).transpose(0, 1), y, *lengths)


def _letters(n):
    return np.random.randint(1, 4, size=(n, 2))


def _on_scores(out, y):
    return F.mse_loss(out["scores"] if isinstance(out, dict) else out.scores, y)


def _gaussian():
    model = Calls(
        lambda m, x: (m.mean(x), F.softplus(m.spread(x)) + 0.1),
        mean=nn.Linear(4, 2),
        spread=nn.Linear(4, 2),
    )
    return real(model, loss=lambda out, y: F.gaussian_nll_loss(out[0], y, out[1]))


def with_labels(case, change):
    """The case with change(y) in the place of its labels."""
    case.batch = mapped(case.batch, lambda name, v: change(v) if name.endswith("_y") else v)
    return case


_WEIGHTS = torch.tensor([0.2, 1.0, 3.0]).double()

CASES = {
    "tuple of outputs": lambda: real(
        Returns("tuple"), loss=lambda out, y: F.mse_loss(out[0], y) + 0.1 * out[1].square().mean()
    ),
    "dict of outputs": lambda: real(Returns("dict"), loss=_on_scores),
    "dataclass of outputs": lambda: real(Returns("dataclass"), loss=_on_scores),
    "one number as output": lambda: real(
        Returns("number"), loss=lambda out, y: (out - y.mean()).square()
    ),
    "cross-entropy with weights": lambda: classifier(
        relu_mlp(3), loss=nn.CrossEntropyLoss(weight=_WEIGHTS)
    ),
    "cross-entropy, smoothed": lambda: classifier(
        relu_mlp(3), loss=nn.CrossEntropyLoss(label_smoothing=0.1)
    ),
    "cross-entropy, summed": lambda: classifier(
        relu_mlp(3), loss=nn.CrossEntropyLoss(reduction="sum"), options={"inner_lr": 0.02}
    ),
    "cross-entropy, labels ignored": _some_ignored,
    "cross-entropy, class 1 ignored": lambda: classifier(
        relu_mlp(3), loss=nn.CrossEntropyLoss(ignore_index=1)
    ),
    "cross-entropy of probabilities": lambda: Case(
        relu_mlp(3).double(), F.cross_entropy, batch_of(normal(4), probabilities)
    ),
    "cross-entropy per pixel": lambda: Case(
        nn.Conv2d(2, 3, 3, padding=1).double(),
        F.cross_entropy,
        batch_of(normal(*IMAGE), whole(3, 4, 4)),
    ),
    "labels of 8 bits": lambda: with_labels(
        classifier(relu_mlp(3), loss=lambda out, y: F.cross_entropy(out, y.long())),
        lambda y: y.astype(np.uint8),
    ),
    "BCEWithLogits, bool labels": lambda: _binary(_with_logits),
    "BCEWithLogits, weights": lambda: _binary(
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0]).double()),
        lambda n: boolean(n).astype(float),
    ),
    "NLL": lambda: classifier(nn.Linear(4, 3), nn.LogSoftmax(-1), loss=F.nll_loss),
    "KLDiv": lambda: Case(
        nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1)).double(),
        nn.KLDivLoss(reduction="batchmean"),
        batch_of(normal(4), probabilities),
    ),
    "Huber": lambda: real(tanh_mlp(), loss=nn.HuberLoss(delta=0.5)),
    "smooth L1": lambda: real(tanh_mlp(), loss=F.smooth_l1_loss),
    "MSE, summed": lambda: real(
        relu_mlp(), loss=nn.MSELoss(reduction="sum"), options={"inner_lr": 0.01}
    ),
    "MSE, whole-number y": lambda: with_labels(real(relu_mlp()), lambda y: (3 * y).astype(int)),
    "MSE, y that broadcasts": lambda: with_labels(real(relu_mlp()), lambda y: y[..., :1]),
    "GaussianNLL of a tuple": _gaussian,
    "hinge": lambda: _binary(_hinge),
    "CTC": lambda: Case(  # torch has no second derivative of it
        nn.Linear(3, 4).double(), _ctc, batch_of(normal(4, 3), _letters), {"first_order": True}
    ),
    "cosine embedding": lambda: real(
        tanh_mlp(), loss=lambda out, y: F.cosine_embedding_loss(out, y, torch.ones(len(y)))
    ),
    "labels changed in place": lambda: real(
        tanh_mlp(),
        loss=lambda out, y: F.mse_loss(out, y.mul_(0.5)),
        options={"inner_steps": 1},
    ),
    "loss as functools.partial": lambda: classifier(
        relu_mlp(3), loss=functools.partial(F.cross_entropy, label_smoothing=0.2)
    ),
    "loss as an instance": lambda: classifier(tanh_mlp(3), loss=Margin(0.7)),
    "loss with frozen parameters": lambda: real(relu_mlp(), loss=_frozen_loss()),
    "loss that calls itself": lambda: real(tanh_mlp(), loss=_recursive_loss()),
    "loss that reads the model's parameters": _penalised,
    "loss with parameters of its own": _trainable_loss,
    "loss of no parameter": lambda: real(
        tanh_mlp(),
        loss=lambda out, y: y.square().mean(),
        refused="does not depend on the parameters",
    ),
    "loss linear in θ": lambda: real(nn.Linear(4, 2), loss=lambda out, y: (out * y).mean()),
}
