"""Looking into a trained network: what each of its layers gives, and how alike two layers are.

Start with `layer_outputs`, at θ and at φ, and compare the two with `linear_cka`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from . import maml, modes
from .fast import structure
from .learner import Forward
from .precision import applied

_CONSTANT = 1e-12  # features that vary less than this share of their size do not vary


def linear_cka(a, b, *, debiased=False) -> float:
    """Linear centred kernel alignment of two representations of the same examples (Kornblith et al. 2019).

    a (examples, …), b (examples, …): arrays or tensors, such as the outputs of two layers. Whatever an example
    has is flattened; the two may have different numbers of features. Each feature is centred, and then

        CKA = ‖AᵀB‖² / (‖AᵀA‖ ‖BᵀB‖)   (Frobenius norms),

    a number from 0 to 1. It is 1 if b is a rotated, reflected, scaled or shifted; other linear maps change it.
    It compares what comes out of layers and does not see how far their weights have moved. With few examples and
    many features it is high for unrelated representations, too: take more examples than features, or

    debiased=True: the three norms are replaced by unbiased estimates of what they would be with ever more examples
    (the unbiased HSIC of Song et al. 2012, for CKA in Nguyen, Raghu and Kornblith 2021). Unrelated representations
    then come out around 0, on either side of it. At least four examples.

    Raises ValueError for different numbers of examples, too few, numbers that are not finite, and features
    that do not vary, for which the ratio is 0/0.
    """
    a, b = _centred("a", a), _centred("b", b)
    if len(a) != len(b):
        raise ValueError(
            f"a has {len(a)} examples and b has {len(b)}: compare two representations of the same examples, "
            f"in the same order."
        )
    if debiased:
        return _debiased(a @ a.T, b @ b.T)
    if len(a) < max(a.shape[1], b.shape[1]):  # the same from two matrices (examples, examples)
        a, b = a @ a.T, b @ b.T
        ratio = (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))
    else:
        own = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
        ratio = np.square(a.T @ b).sum() / own
    return float(min(ratio, 1.0))  # beyond 1 by rounding alone


def _debiased(k, m):
    """The cosine of the angle between two Gram matrices (examples, examples) without their diagonals."""
    if len(k) < 4:
        raise ValueError(
            f"{len(k)} examples say nothing about likeness without bias: debiased=True needs four or more."
        )
    k, m = _without_diagonal(k), _without_diagonal(m)
    norms = np.linalg.norm(k) * np.linalg.norm(m)
    if norms <= _CONSTANT:
        raise ValueError(
            "all pairs of examples differ by the same amount, so that the debiased CKA would be 0/0: take more "
            "examples, or debiased=False."
        )
    return float(np.clip((k * m).sum() / norms, -1.0, 1.0))


def _without_diagonal(gram):
    """The Gram matrix with a diagonal of 0 and, off it, the rows' and columns' sums taken off.

    ⟨K, M⟩ / (n (n − 3)) of two of these is the unbiased HSIC (Song et al. 2012, equation 5; the same matrices are
    "U-centred" in Székely and Rizzo 2014).
    """
    n = len(gram)
    gram = gram - np.diag(np.diag(gram))
    rows = gram.sum(0) / (n - 2)
    gram = gram - rows[:, None] - rows[None] + rows.sum() / (n - 1)
    return gram - np.diag(np.diag(gram))


def _centred(name, values):
    """values as (examples, features) in float64, each feature with mean 0, all together of norm 1."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if np.iscomplexobj(values):
        raise ValueError(
            f"{name} holds complex numbers: compare real and imaginary parts as two features."
        )
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(
            f"{name} must hold at least two examples, (examples, features); got shape {values.shape}."
        )
    values = values.reshape(len(values), -1)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} holds numbers that are not finite: the network has run away on these examples."
        )
    largest = np.abs(values).max(initial=0.0)
    scaled = values / (largest or 1.0)  # squares neither overflow nor vanish
    centred = scaled - scaled.mean(0)
    norm = np.linalg.norm(centred)
    if norm <= _CONSTANT * np.linalg.norm(scaled):
        raise ValueError(
            f"the features of {name} are the same for all examples, so that CKA would be 0/0: a layer that is "
            f"dead, or examples that are all alike."
        )
    return centred / norm


def layer_outputs(learner_or_model, params, x) -> dict:
    """What each layer of a network gives for x (examples, …) at the given parameters, in the order of calls.

    learner_or_model: a learner, such as a MAML, or an nn.Module. params: θ or φ, a dict as `adapt` returns it;
    parameters that it does not name have the model's own values. x: an array or a tensor.

    Returns a dict name → output (examples, …), free of any graph: the modules without children, and attention,
    by their names in the model ("features.conv1"). A layer that is called more than once is there as "relu",
    "relu#2", …. Functions that are no modules, such as F.relu, do not show. As in `predict`, nothing is dropped
    out, and batch norms use the batch at hand. Raises ValueError for a name that the model does not have.
    """
    whole = isinstance(learner_or_model, nn.Module)  # one with a child of that name, too
    model = learner_or_model if whole else learner_or_model.model
    precision = getattr(learner_or_model, "precision", "float32")
    own = dict(model.named_parameters())
    named = params if isinstance(params, Mapping) else {}
    unknown = [str(name) for name in named if name not in own]
    if unknown or not named:
        raise ValueError(
            f"params must be a dict that names parameters of the model ({', '.join(own)}); got "
            f"{', '.join(unknown) or type(params).__name__}."
        )
    given = {name: torch.as_tensor(value).detach().to(own[name]) for name, value in named.items()}
    modes.refuse_unwritten_statistics(model)
    maml.refuse_bytes("x", x)
    outputs: dict = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(applied(precision))
        stack.enter_context(modes.in_evaluation(model))
        stack.enter_context(structure.nothing_left_in(model))
        for name, layer in _layers(model):
            hook = layer.register_forward_hook(_recorder(name, outputs))
            stack.callback(hook.remove)
        Forward(model, precision)(given, x)
    return outputs


def _layers(model):
    """The modules without children, with their names; a model that is one layer is called by its kind.

    Attention is one, which does not call what it holds; a parametrisation, such as weight_norm, is none.
    """
    layers: list = []
    inside: tuple[str, ...] = ()  # what stands in a layer that is there already
    for name, layer in model.named_modules():
        children = [child for child, _ in layer.named_children() if child != "parametrizations"]
        if name.startswith(inside) or isinstance(layer, nn.ModuleList):
            continue
        if isinstance(layer, nn.MultiheadAttention) or not children:
            layers.append((name or type(layer).__name__, layer))
            inside += (f"{name}." if name else "",)
    return layers


def _recorder(name, outputs):
    """A hook that copies what a layer gives into `outputs`: a layer in place may overwrite it afterwards."""

    def record(layer, inputs, output):
        calls = sum(1 for n in outputs if n == name or n.startswith(f"{name}#"))
        copied = lambda part: part.detach().clone() if isinstance(part, torch.Tensor) else part
        outputs[f"{name}#{calls + 1}" if calls else name] = pytree.tree_map(copied, output)

    return record
