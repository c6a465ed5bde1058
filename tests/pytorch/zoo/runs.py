"""A case through an engine, and how far the result is from the oracle's: `outcome`."""

import contextlib
import copy
import functools
import io
import random
import re
from typing import NamedTuple

import numpy as np
import torch

import maml_edu.pytorch as mt

from . import oracle
from .case import built, seed
from .cases import build

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_REFUSAL = re.compile(
    r"no engine of those asked for applies here \((\w+: .+)\)\. Try engine='auto'\."
)


class Outcome(NamedTuple):
    """What came of a case on an engine.

    gap: the largest relative distance from the right numbers, of two calls in a row. refused: the reason, ""
    where there are numbers. ran: the engine that did. left: what is not as it was before.
    """

    gap: float
    refused: str
    ran: str
    left: list


class Right(NamedTuple):
    """The oracle's results at two calls in a row, and torch's, NumPy's and Python's generators after that."""

    results: list
    generators: tuple


@functools.cache
def _right(name) -> Right:
    case = build(name)
    seed()
    with _around(case):
        results = [oracle.meta_gradient(case) for _ in range(2)]
    return Right(results, _generators())


def outcome(name, engine) -> Outcome:
    """What comes of two calls. Raises whatever the library raises but for a refusal with a reason."""
    case = build(name)
    learner = mt.MAML(case.model, case.loss, engine=engine, **case.options)
    before = _state(case)
    seed()
    try:
        with _around(case):
            results = [learner.meta_gradient(case.batch) for _ in range(2)]
    except ValueError as error:
        return Outcome(0.0, _reason(case, error), "", _left(case, before))
    expected = _right(name)
    if case.linear and learner.ran != "textbook":
        gap = max(_homogeneous(case, *result) for result in results)
    else:
        gap = max(map(distance, results, expected.results))
    left = _left(case, before)
    if learner.ran == "textbook" and not _same_generators(_generators(), expected.generators):
        left.append("generators are not where the textbook loop leaves them")
    return Outcome(gap, "", learner.ran, left)


def gap_after(make, change):
    """(distance from the right numbers after a change between two calls of one learner, engine that ran)."""
    case, expected = built(make), built(make)
    learner = mt.MAML(case.model, case.loss, **case.options)
    learner.meta_gradient(case.batch)
    change(case)
    change(expected)
    seed()
    result = learner.meta_gradient(case.batch)
    if case.linear and learner.ran != "textbook":
        return _homogeneous(case, *result), learner.ran
    seed()
    return distance(result, oracle.meta_gradient(expected)), learner.ran


def tolerance(name) -> float:
    case = build(name)
    return case.tolerance or TOLERANCE[next(case.model.parameters()).dtype]


def _reason(case, error):
    """Why a case was refused; any other ValueError is raised again."""
    if case.refused and case.refused in str(error):
        return str(error)
    match = _REFUSAL.fullmatch(str(error))
    if match is None:
        raise error
    return match[1]


def _around(case):
    return case.around() if case.around else contextlib.nullcontext()


# ------------------------------------------------------------------ numbers


def distance(result, expected):
    """The largest relative distance of the value, θ's gradient and the rates' one, each as one vector."""
    (value, slopes), (true_value, true_slopes) = result, expected
    assert list(slopes) == list(true_slopes)
    for name, slope in slopes.items():
        like = true_slopes[name]
        assert (slope.shape, slope.dtype) == (like.shape, like.dtype), name
        assert not slope.requires_grad, name
    rates = [name for name in slopes if name.startswith("inner_lr")]
    theta = [name for name in slopes if name not in rates]
    groups = [
        ([slopes[n] for n in names], [true_slopes[n] for n in names]) for names in (theta, rates)
    ]
    return max(
        _relative(mine, theirs) for mine, theirs in [([value], [true_value]), *groups] if mine
    )


def _relative(mine, theirs):
    a, b = _vector(mine), _vector(theirs)
    assert torch.isfinite(b).all(), "the textbook loop has no finite numbers here"
    gap, size = float((a - b).norm()), float(b.norm())
    return gap / size if size else gap


def _vector(tensors):
    return torch.cat([tensor.to_dense().reshape(-1).double() for tensor in tensors])


def _homogeneous(case, value, slopes):
    """|⟨θ, gradient⟩ − 2 value| relative to 2 value, which is 0 where the value is quadratic in θ."""
    theta = {n: p for n, p in case.model.named_parameters() if p.requires_grad}
    product = sum(float((theta[name].detach() * slope).sum()) for name, slope in slopes.items())
    return abs(product - 2 * float(value)) / (2 * float(value))


# ------------------------------------------------------------------ what is left behind


def _state(case):
    model = case.model
    return {
        "buffers": {name: buffer.clone() for name, buffer in model.named_buffers()},
        "parameters": {name: p.detach().clone() for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "frozen": [p.requires_grad for p in model.parameters()],
        "copied": _works(copy.deepcopy, model),
        "saved": _works(lambda model: torch.save(model, io.BytesIO()), model),
    }


def _left(case, before):
    """What a call has changed in the model, in words."""
    now, left = _state(case), []
    left += [f"{what} changed" for what in ("modes", "frozen") if now[what] != before[what]]
    for what in {"buffers", "parameters"} - set(case.writes):
        old, new = before[what], now[what]
        if old.keys() != new.keys() or not all(torch.equal(old[n], new[n]) for n in old):
            left.append(f"{what} changed")
    for what in ("copied", "saved"):
        if before[what] is None and now[what] is not None:
            left.append(f"can no longer be {what}: {now[what]}")
    if any(p.grad is not None for p in case.model.parameters()):
        left.append("a parameter has a .grad")
    return left


def _works(function, model):
    """None, or the error of function(model)."""
    try:
        function(model)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return None


def _generators():
    return torch.get_rng_state(), np.random.get_state(), random.getstate()


def _same_generators(a, b):
    same = all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    return torch.equal(a[0], b[0]) and same and a[2] == b[2]
