"""Small learners of every kind, and how far a fast engine is from the plain way on them.

`random_learner` and `random_tasks` draw a problem; `disagreement` computes its meta-gradient twice.
"""

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt

LOSSES = {"mse": F.mse_loss, "cross-entropy": F.cross_entropy}


def perceptron(rng, widths, bias=None, nested=False, flatten=False):
    """Linear → ReLU → … → Linear; bias: True, False or None (drawn for each layer)."""
    layers = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        own = bool(rng.integers(2)) if bias is None else bias
        layers += [nn.Linear(int(inputs), int(outputs), bias=own), nn.ReLU()]
    layers = layers[:-1]
    if nested:
        middle = len(layers) // 2
        layers = [nn.Sequential(*layers[:middle]), nn.Sequential(nn.Sequential(*layers[middle:]))]
    return nn.Sequential(*([nn.Flatten()] if flatten else []), *layers)


def convolutional(channels=2, filters=3, ways=3):
    """Two blocks of what Conv4 has four of, for images of 6 × 6."""
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, stride=2, padding=1),
        mt.BatchNorm(filters),
        nn.ReLU(),
        nn.Conv2d(filters, filters, 3, padding=1),
        mt.BatchNorm(filters),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(filters, ways),
    )


def with_new_parameters(model, rng, scale=0.6):
    """The model in float64 with all of its parameters drawn from `rng`."""
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = scale / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.3
            centre = 1.0 if parameter.ndim == 1 and bool((parameter == 1).all()) else 0.0
            parameter.copy_(torch.from_numpy(rng.normal(centre, spread, tuple(parameter.shape))))
    return model


def random_tasks(rng, inputs, outputs, loss="mse", tasks=3, shots=4, queries=6):
    """A batch of arrays; inputs: the shape of one example; loss "cross-entropy": labels < outputs."""
    fields = {}
    for role, n in (("support", shots), ("query", queries)):
        fields[f"{role}_x"] = rng.normal(size=(tasks, n, *inputs))
        fields[f"{role}_y"] = (
            rng.normal(size=(tasks, n, outputs))
            if loss == "mse"
            else rng.integers(outputs, size=(tasks, n))
        )
    return SimpleNamespace(**fields)


RATES = (
    "one number",
    "per step",
    "per parameter",
    "per parameter and step",
    "per element",
    "per element and step",
)


def random_rates(rng, form, params, steps):
    """Rates between 0 and 0.2 of one of the forms that `mt.adapt` names; tensors like the parameters."""
    draw = lambda *shape: torch.from_numpy(np.asarray(rng.uniform(0, 0.2, shape)))
    if form == "one number":
        return float(draw())
    if form == "per step":
        return draw(steps)
    lead = (steps,) if form.endswith("step") else ()
    element = form.startswith("per element")
    return {n: draw(*lead, *(p.shape if element else ())) for n, p in params.items()}


def unambiguous(form, params, steps):
    """Whether rates of this form have a step axis that cannot be taken for the parameter's own."""
    if steps == 0 and form.endswith("step"):
        return False
    return form != "per parameter and step" or all(tuple(p.shape) != (steps,) for p in params)


def used_engine(learner, batch):
    """The engine that the learner would use for this batch."""
    tensors = mt.maml.tensors_of(batch, learner.params)
    return mt.fast.engine_for(learner, tensors)[0]


def both_ways(learner, batch, engine):
    """((value, grads) by `engine`, (value, grads) by the plain way); the engine is really used."""
    learner.engine = "plain"
    plain = learner.meta_gradient(batch)
    learner.engine = engine
    assert used_engine(learner, batch) == engine
    return learner.meta_gradient(batch), plain


def disagreement(learner, batch, engine):
    """The largest relative difference from the plain way: of the value, of the slopes of θ, of the rates'."""
    (value, grads), (plain_value, plain) = both_ways(learner, batch, engine)
    assert list(grads) == list(plain) == list(learner.meta_params)
    assert value.dtype == plain_value.dtype and value.shape == plain_value.shape == ()
    for name, own in plain.items():
        assert (grads[name].shape, grads[name].dtype) == (own.shape, own.dtype), name
        assert not grads[name].requires_grad
    parts = [relative([value], [plain_value])]
    for names in (list(learner.params), list(learner.learned_rates())):
        parts.append(relative([grads[n] for n in names], [plain[n] for n in names]))
    return max(parts)


def relative(found, expected):
    """‖found − expected‖ relative to ‖expected‖; absolute where that is 0."""
    if not found:
        return 0.0
    found, expected = (torch.cat([t.reshape(-1) for t in own]) for own in (found, expected))
    size = float(expected.norm())
    return float((found - expected).norm()) / (size or 1.0)
