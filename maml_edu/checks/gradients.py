"""Checks of gradients: against finite differences, and of meta-gradients against known mistakes.

Start from `diagnose_meta_gradient`: it computes what the right meta-gradient and the classic mistakes
would give, each straight from its definition, and says which one it is. The mistakes are in `suspects`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .problem import Candidate, Problem, problem_of
from .suspects import (
    SENTENCES,
    TOLERANCE,
    Match,
    Suspects,
    distance,
    dot,
    holds_float32,
    listed,
    norm,
)
from .verdict import WrongAnswer

__all__ = ["SENTENCES", "Diagnosis", "check_gradient", "diagnose_meta_gradient"]

RIGHT = 1e-9  # relative; meta-gradients in float64 agree to about 1e-14
SINGLE_PRECISION = 1e-5  # float32 rounding, carried through the inner steps


# ------------------------------------------------------------------ against finite differences


def check_gradient(f, grad, x, directions: int = 5, seed: int = 0, rtol: float = 1e-5) -> None:
    """Compare `grad(x)` with central differences of `f` along random directions; print the result.

    f(x): one number; x and grad(x): an array, or dicts, lists and tuples of arrays, nested or not (a list of
    numbers is an array). Raises WrongAnswer, with analytic beside numeric slope, when they differ by more than
    `rtol`; ValueError when structures or shapes do not fit.
    """
    if directions < 1:
        raise ValueError(f"directions must be a whole number ≥ 1; got {directions!r}.")
    whole = x if _is_structure(x) else np.asarray(x, float)
    x, slope = _leaves(whole), _leaves(grad(whole))
    _same_shapes(slope, x, "grad(x)", "x")
    rng = np.random.default_rng(seed)
    step = 1e-5 * (max(float(np.max(np.abs(value), initial=0.0)) for value in x.values()) or 1.0)
    worst = 0.0
    for number in range(1, directions + 1):
        v = {name: rng.normal(size=np.shape(value)) for name, value in x.items()}
        ahead, behind = (
            float(f(_rebuilt(whole, {k: x[k] + s * v[k] for k in x}))) for s in (step, -step)
        )
        numeric, analytic = (ahead - behind) / (2 * step), dot(slope, v)
        # f is known to about 1e-15 of its size, so its differences not better than this:
        rounding = 8 * np.finfo(float).eps * max(abs(ahead), abs(behind)) / step
        gap = abs(analytic - numeric)
        error = 0.0 if gap <= rounding else gap / max(abs(analytic), abs(numeric))
        worst = max(worst, error)
        if not error <= rtol:
            ratio = analytic / numeric if numeric else np.inf
            raise WrongAnswer(
                f"the gradient disagrees with finite differences along random direction {number}",
                f"analytic: {analytic:.8g}\nnumeric:  {numeric:.8g}\nratio:    {ratio:.4g}",
            )
    print(
        f"✓ gradient agrees with finite differences along {directions} directions "
        f"(relative difference {_below(worst)})"
    )


# ------------------------------------------------------------------ which mistake was it?


class Diagnosis(str):
    """A sentence that says what a meta-gradient is; `.mistake` is its short name, None when right.

    `.also`: short names of other mistakes that give the same numbers on this problem.
    """

    mistake: str | None
    also: tuple[str, ...]

    def __new__(cls, sentence: str, mistake: str | None = None, also: tuple[str, ...] = ()):
        self = super().__new__(cls, sentence)
        self.mistake, self.also = mistake, also
        return self

    @property
    def correct(self) -> bool:
        return self.mistake is None


def diagnose_meta_gradient(candidate, loss, params, batch, inner_lr, inner_steps) -> Diagnosis:
    """Say which meta-gradient `candidate` is: the right one, that of a known mistake, or neither.

    candidate: gradients like `params` (arrays or tensors), a pair (meta-loss, gradients), a torch model
        whose parameters hold `.grad`, a learner with `meta_gradient(batch)`, or a function with the
        signature of `reference.meta_gradient`, which gets arrays or tensors as the loss does. A function or
        a learner is asked about smaller problems, too, if what it gives is not known.
    loss: loss(params, x, y), one number for one task, on NumPy arrays or on tensors; if params is a torch
        model, loss(prediction, y) such as torch.nn.functional.mse_loss.
    params: name → array or tensor, or a torch model.
    batch: a TaskBatch without masks, or the tuple of its four arrays.

    Right is what agrees to 1e-9, computed in float64; float32 is acquitted of anything below 1e-5, and told
    so. The other arguments are those of `reference.meta_gradient`. Raises ValueError when they make no sense.
    """
    problem = problem_of(loss, params, batch, inner_lr, inner_steps)
    asked = Candidate(candidate, loss, params, batch)
    found = _diagnosis(asked, problem)
    if found.mistake not in ("unknown", "small_difference") or not (
        asked.function or asked.learner
    ):
        return found
    return Diagnosis(f"{found} {_shrunk(asked, problem)}", found.mistake)


def _diagnosis(asked: Candidate, problem: Problem) -> Diagnosis:
    got = asked.gradients(problem)
    malformed = _malformed(got, problem.params)
    if malformed:
        return Diagnosis(malformed, "malformed")
    got = {k: np.zeros_like(problem.params[k]) if v is None else v for k, v in got.items()}
    right = problem.gradient()
    if not all(np.isfinite(value).all() for value in right.values()):
        raise ValueError(
            "the right meta-gradient of this problem is itself NaN or infinite: take a smaller inner_lr, "
            "and look for NaN in params."
        )
    error = distance(got, right)
    if error < RIGHT or _is_rounding(got, right, problem):
        return Diagnosis(
            f"Right: it equals the meta-gradient (relative difference {_below(min(error, RIGHT))})."
        )
    if holds_float32(got) and error < SINGLE_PRECISION:
        return Diagnosis(
            f"It is right to single precision (relative difference {_below(error)}), and in float32 no more can "
            "be seen: a smaller term that is wrong shows in float64 only.",
            "single_precision",
        )
    matches = Suspects(problem, got, right).matches()
    return _named(matches) if matches else _unknown(got, right, error)


def _named(matches: list[Match]) -> Diagnosis:
    """All that gives this gradient: one mistake where one will do, else two at once."""
    single = [match for match in matches if match.single]
    first, *others = single or matches[:1]
    sentence = " Or, with the same numbers here: ".join(m.sentence for m in (first, *others))
    return Diagnosis(sentence, first.name, tuple(m.name for m in matches if m is not first))


def _malformed(got, params):
    if got.keys() != params.keys():
        return f"It has the keys {sorted(got)}, but params has {sorted(params)}."
    for name, value in got.items():
        if value is None:
            continue
        if value.dtype == object and value.shape == () and value.item() is None:
            return f"{name!r} is no regular array."
        if value.dtype.kind not in "fiu":
            return f"{name!r} holds no real numbers, but {value.dtype}."
        if np.shape(value) != np.shape(params[name]):
            return (
                f"{name!r} has shape {np.shape(value)}, but the parameter {np.shape(params[name])}."
            )
        if not np.all(np.isfinite(value)):
            return f"{name!r} contains NaN or infinity: look for a division by 0, a log of 0, or a rate too large."
    return ""


def _is_rounding(got, right, problem):
    """Whether the difference is no more than float64 leaves of the query slopes when they cancel."""
    gap = norm({k: got[k] - right[k] for k in right})
    return gap < 1e-13 * norm(problem.gradient(steps=0)) and not holds_float32(got)


def _below(error):
    """A bound in whole powers of ten: rounding differs from machine to machine, this does not."""
    return f"below 1e-{min(12, max(0, int(-np.log10(max(error, 1e-12))))):02d}"


def _unknown(got, right, error) -> Diagnosis:
    gaps = {k: float(np.max(np.abs(got[k] - right[k]), initial=0.0)) for k in right}
    name = max(gaps, key=lambda k: gaps[k])
    if error < SINGLE_PRECISION:
        return Diagnosis(
            f"It is right to single precision only (relative difference {_below(error)}): somewhere float64 became "
            "float32, or it comes from finite differences, or a small term is wrong.",
            "single_precision",
        )
    if error < 1e-2:
        return Diagnosis(
            f"Nearly the meta-gradient, and none of the known mistakes: the relative difference is {error:.1e}, "
            f"the largest one at {name!r}. A small term is wrong"
            + (
                ", or it is rounding in float32: compute in float64 to know."
                if holds_float32(got)
                else "."
            ),
            "small_difference",
        )
    cosine = dot(got, right) / max(norm(got) * norm(right), 1e-300)
    return Diagnosis(
        f"Not the meta-gradient, and none of the known mistakes. The largest difference is at {name!r}: "
        f"{gaps[name]:.3g} (the right gradient's largest element there is "
        f"{np.max(np.abs(right[name])):.3g}); by parameter: "
        + ", ".join(f"{k} {gap:.2g}" for k, gap in gaps.items())
        + f". Its length is {norm(got) / max(norm(right), 1e-300):.3g} times the right one, the cosine "
        f"of the angle between them {cosine:.3f}.{_those_right(got, right)} Shrink the problem: one task, one "
        "inner step, inner_lr = 0 (given a function or a learner, this check does so).",
        "unknown",
    )


def _those_right(got, right):
    whole = norm(right)
    names = [k for k in right if norm({k: got[k] - right[k]}) < TOLERANCE * whole]
    return f" Right alone: {listed(names)}." if names else ""


# ------------------------------------------------------------------ smaller problems


def _shrunk(asked: Candidate, problem: Problem) -> str:
    """What is told by smaller problems, on which a function (or a learner) is asked again."""
    told = []
    for words, smaller, if_right, if_wrong in _smaller(problem, asked.learner):
        try:
            found = _diagnosis(asked, smaller)
        except Exception as error:
            told.append(f"{words} it raises {type(error).__name__}.")
            continue
        if found.mistake in (None, "single_precision"):
            told.append(f"{words} it is right: {if_right}.")
        elif found.mistake in ("unknown", "small_difference"):
            told.append(f"{words} it is wrong, too: {if_wrong}.")
        else:
            told.append(f"{words} it is wrong, too, and the mistake is known: {found}")
    return " ".join(["Smaller problems:", *told]) if told else ""


def _smaller(problem: Problem, learner: bool):
    """(words, smaller problem, what it tells if it is right there, and if not)."""
    if problem.tasks > 1:
        yield (
            "with one task", problem.only(slice(0, 1)), "the error is in how tasks are put together",
            "the error is not in how tasks are put together",
        )  # fmt: skip
    if learner:  # it has steps and rates of its own
        return
    if problem.steps > 1 and not problem.has_step_axis:
        yield (
            "with one inner step", replace(problem, steps=1), "the error is in how one inner step follows another",
            "the error is not in how one inner step follows another",
        )  # fmt: skip
    if problem.steps > 0:
        yield (
            "with α = 0", replace(problem, rates=problem.times(0.0)), "the error is in the inner loop",
            "the error is in the query loss or in its mean, not in the inner loop",
        )  # fmt: skip


# ------------------------------------------------------------------ arrays by name


def _is_structure(tree):
    """Whether this is a dict, list or tuple that holds arrays; a list of numbers is itself an array."""
    if isinstance(tree, (list, tuple)):
        return any(
            np.ndim(child) > 0 if hasattr(child, "shape") else _is_structure(child)
            for child in tree
        )
    return isinstance(tree, dict)


def _leaves(tree, place=()):
    """The arrays of a structure by their places in it, such as ("layer", 0); that of a bare array is ()."""
    if not _is_structure(tree):
        return {place: tree if hasattr(tree, "shape") else np.asarray(tree, float)}
    children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {k: v for key, child in children for k, v in _leaves(child, (*place, key)).items()}


def _rebuilt(tree, leaves, place=()):
    """A structure like `tree`, with `leaves` at their places."""
    if not _is_structure(tree):
        return leaves[place]
    if isinstance(tree, dict):
        return {key: _rebuilt(child, leaves, (*place, key)) for key, child in tree.items()}
    parts = [_rebuilt(child, leaves, (*place, i)) for i, child in enumerate(tree)]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def _same_shapes(a, b, a_name, b_name):
    if a.keys() != b.keys() or any(np.shape(a[k]) != np.shape(b[k]) for k in b):
        shapes = [
            {".".join(map(str, k)) or "the array": np.shape(v) for k, v in leaves.items()}
            for leaves in (a, b)
        ]
        raise ValueError(
            f"{a_name} and {b_name} differ in keys or shapes: {shapes[0]} and {shapes[1]}."
        )
