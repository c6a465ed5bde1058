"""Checks of gradients: against finite differences, and of meta-gradients against known mistakes.

Start from `diagnose_meta_gradient`: it computes what the right meta-gradient and the classic mistakes
would give, each straight from its definition with `maml_edu.reference`, and says which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np

from maml_edu import reference as ref

from .exercise import WrongAnswer

TOLERANCE = 1e-6  # relative; meta-gradients in float64 agree to about 1e-14
SINGLE_PRECISION = 1e-3  # float32 rounding, carried through the inner steps
IN_FLOAT32 = 1e-4  # between a mistake in float32 and the same in float64
ROUNDING = 1e-10


# ------------------------------------------------------------------ against finite differences


def check_gradient(f, grad, x, directions: int = 5, seed: int = 0, rtol: float = 1e-5) -> None:
    """Compare `grad(x)` with central differences of `f` along random directions; print the result.

    f(x): one number; x and grad(x): an array, or a dict of arrays. Raises WrongAnswer, with analytic
    beside numeric slope, when they differ by more than `rtol`; ValueError when shapes do not fit.
    """
    if directions < 1:
        raise ValueError(f"directions must be a whole number ≥ 1; got {directions!r}.")
    x, slope = _dict(x), _dict(grad(x))
    _same_shapes(slope, x, "grad(x)", "x")
    unwrap = (lambda p: p[None]) if None in x else (lambda p: p)
    rng = np.random.default_rng(seed)
    step = 1e-5 * (max(float(np.max(np.abs(value), initial=0.0)) for value in x.values()) or 1.0)
    worst = 0.0
    for number in range(1, directions + 1):
        v = {name: rng.normal(size=np.shape(value)) for name, value in x.items()}
        ahead, behind = (float(f(unwrap({k: x[k] + s * v[k] for k in x}))) for s in (step, -step))
        numeric, analytic = (ahead - behind) / (2 * step), _dot(slope, v)
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
    """A sentence that says what a meta-gradient is; `.mistake` is its short name, None when right."""

    mistake: str | None
    also: tuple[str, ...]

    def __new__(cls, sentence: str, mistake: str | None = None, also: tuple[str, ...] = ()):
        self = super().__new__(cls, sentence)
        self.mistake, self.also = mistake, also
        return self

    @property
    def correct(self) -> bool:
        return self.mistake is None


SENTENCES = {
    "first_order": "This is the first-order gradient: the query loss is differentiated at φ (with respect "
    "to φ), and the graph between θ and φ is cut (a detach, a copy, a missing create_graph).",
    "no_inner_step": "There is no inner step in it: this is the gradient of the query loss at θ itself.",
    "graph_cut": "It is zero everywhere: the graph from θ to the query loss is cut, or the gradients "
    "were cleared.",
    "support_as_query": "The support set is used as the query set: the loss after adaptation must be taken "
    "on examples that adaptation has not seen.",
    "query_as_support": "The query set is used for adaptation: the inner steps must see the support set "
    "alone.",
    "swapped": "Support and query are swapped: adapt on the support set, judge on the query set.",
    "one_step_short": "It has one inner step too few.",
    "one_step_more": "It has one inner step too many.",
    "stale_params": "Every inner step takes its slope at θ: step k must take it at φₖ, the parameters of the "
    "step before.",
    "last_step_only": "Only the last inner step is differentiated: the graph is cut before it.",
    "wrong_inner_sign": "The inner steps go uphill: φ = θ − α · slope, with a minus.",
    "inner_sum": "The inner loss is summed over the support examples instead of averaged, which "
    "multiplies inner_lr by their number.",
    "inner_sum_of_elements": "The inner loss is summed over support examples and outputs instead of averaged, "
    "which multiplies inner_lr by the number of both.",
    "first_task_only": "Only the first task of the batch is in it.",
    "last_task_only": "Only the last task of the batch is in it: gradients of the others were overwritten.",
    "chained_tasks": "Each task starts from the parameters adapted to the task before it: every task must "
    "start from θ.",
    "half_inner_lr": "inner_lr is half of what was asked for.",
    "double_inner_lr": "inner_lr is twice what was asked for.",
    "tenth_inner_lr": "inner_lr is a tenth of what was asked for.",
    "tenfold_inner_lr": "inner_lr is ten times what was asked for.",
}


def diagnose_meta_gradient(candidate, loss, params, batch, inner_lr, inner_steps) -> Diagnosis:
    """Say which meta-gradient `candidate` is: the right one, that of a known mistake, or neither.

    candidate: gradients like `params` (arrays or tensors), a pair (meta-loss, gradients), or a function
        with the signature of `reference.meta_gradient`.
    loss: loss(params, x, y) on NumPy arrays, one number for one task. A loss on tensors has to be written
        out in NumPy, under the same names of parameters; chapter 08 does so in three lines.
    params: name → array or tensor, such as dict(model.named_parameters()).
    batch: a TaskBatch without masks, or the tuple of its four arrays.

    The other arguments are those of `reference.meta_gradient`. Raises ValueError when they make no sense,
    and says what is expected when they are models, learners or losses of torch.
    """
    params, batch = _numpy_params(params), _numpy_batch(batch)
    _check_loss(loss, params, batch)
    inner_lr = (
        {k: _numpy(v) for k, v in inner_lr.items()}
        if isinstance(inner_lr, dict)
        else _numpy(inner_lr)
    )
    got = _gradients_of(candidate, loss, params, batch, inner_lr, inner_steps)
    problem = _malformed(got, params)
    if problem:
        return Diagnosis(problem, "malformed")
    right = ref.meta_gradient(loss, params, batch, inner_lr, inner_steps)[1]
    if not all(np.isfinite(value).all() for value in right.values()):
        raise ValueError(
            "the right meta-gradient of this problem is itself NaN or infinite: take a smaller inner_lr, "
            "and look for NaN in params."
        )
    error = _distance(got, right)
    if error > ROUNDING and _is_rounding(got, right, loss, params, batch):
        error = 0.0
    if error < TOLERANCE and not _single(got, error):
        return Diagnosis(
            f"Right: it equals the meta-gradient (relative difference {_below(error)})."
        )
    with np.errstate(all="ignore"):  # with ten times the rate, say, numbers may well overflow
        matches = list(_matches(got, right, loss, params, batch, inner_lr, inner_steps))
    if matches:
        return _named(matches)
    if error < SINGLE_PRECISION and _single(got, error):
        return Diagnosis(
            f"It is right to single precision only (relative difference {_below(error)}): somewhere "
            f"float64 became float32, or it comes from finite differences.",
            "single_precision",
        )
    factor = _rate_factor(got, loss, params, batch, inner_lr, inner_steps)
    if factor is not None:
        return Diagnosis(f"inner_lr is {factor:.4g} times what was asked for.", "wrong_inner_lr")
    return Diagnosis(_unknown(got, right), "unknown")


def _named(matches) -> Diagnosis:
    """The first match; what is as simple and gives the same gradient on this problem is mentioned."""
    (name, sentence, simple), *others = matches
    same = [words for _, words, also_simple in others if simple and also_simple]
    if same:
        sentence += " On this problem the same as: " + " ".join(same)
    return Diagnosis(sentence, name, tuple(other for other, _, _ in others))


def _matches(
    got, right, loss, params, batch, inner_lr, inner_steps
) -> Iterator[tuple[str, str, bool]]:
    """(name, sentence, is it one mistake alone?) of all that is known to give `got`, simple ones first."""
    if all(not np.any(value) for value in got.values()):
        yield "graph_cut", SENTENCES["graph_cut"], True
        return
    tolerance = IN_FLOAT32 if _holds_float32(got) else TOLERANCE
    bases = {"": right}  # gradients that differ, each under the first name it goes by
    for name, make in _mistakes(loss, params, batch, inner_lr, inner_steps).items():
        value = make()
        gap = _distance(value, right)  # a mistake that changes next to nothing needs a close match
        if gap > ROUNDING and _distance(got, value) < min(tolerance, gap / 1000):
            yield name, SENTENCES[name], True
        if all(_distance(value, other) > TOLERANCE for other in bases.values()):
            bases[name] = value
    for name, value in bases.items():
        for scale, factor, words in _scales(batch):
            if _distance(got, {k: factor * v for k, v in value.items()}) < tolerance:
                both = f"{SENTENCES[name]} And besides: {words}" if name else words
                yield f"{name}_and_{scale}".removeprefix("_and_"), both, not name


def _scales(batch) -> list[tuple[str, float, str]]:
    """(name, factor, sentence) of each factor on the whole gradient that stands for a mistake."""
    tasks, queries, elements = len(batch.query_x), np.shape(batch.query_y)[1], batch.query_y[0].size
    scales = [
        ("wrong_sign", -1.0, "The sign is wrong: it points where the meta-loss falls, not where it rises."),
        ("summed_over_tasks", tasks, "It is summed over the tasks instead of averaged."),
        ("summed_over_examples", queries, "The query loss is summed over the examples instead of averaged."),
        ("divided_by_tasks_twice", 1 / tasks, "It is divided by the number of tasks twice."),
        ("divided_by_examples_twice", 1 / queries, "It is divided by the number of query examples twice."),
        ("doubled", 2.0, "It is twice the right size: gradients of two backward passes have been added up, or "
         "a factor ½ is missing in the loss."),
    ]  # fmt: skip
    if tasks > 1 and queries > 1:
        words = "It is summed over tasks and over query examples instead of averaged."
        scales.insert(3, ("summed_over_tasks_and_examples", tasks * queries, words))
    if elements > queries:
        words = "The query loss is summed over examples and outputs instead of averaged."
        scales.append(("summed_over_elements", elements, words))
    return [scale for scale in scales if scale[1] != 1]


def _mistakes(loss, params, batch, inner_lr, inner_steps) -> dict[str, Callable[[], dict]]:
    """Name → the gradient that this mistake gives, computed from what the mistake is."""
    sx, sy, qx, qy = batch.support_x, batch.support_y, batch.query_x, batch.query_y
    shots, elements, steps = np.shape(sy)[1], sy[0].size, inner_steps

    def meta(batch=batch, rate=inner_lr, steps=steps, first_order=False):
        return lambda: ref.meta_gradient(loss, params, batch, rate, steps, first_order)[1]

    def data(support_x, support_y, query_x, query_y):
        return SimpleNamespace(
            support_x=support_x, support_y=support_y, query_x=query_x, query_y=query_y
        )

    def times(factor):
        return _times(inner_lr, factor)

    def by_hand(inner):
        return lambda: ref.grad(lambda p: _mean_query_loss(loss, inner, p, batch))(params)

    loop = (loss, inner_lr, steps)
    found = {
        "first_order": meta(first_order=True),
        "no_inner_step": meta(rate=0.0, steps=0),
        "support_as_query": meta(data(sx, sy, sx, sy)),
        "query_as_support": meta(data(qx, qy, qx, qy)),
        "stale_params": by_hand(lambda p, x, y: _stale(*loop, p, x, y)),
        "last_step_only": by_hand(lambda p, x, y: _last_only(*loop, p, x, y)),
        "wrong_inner_sign": by_hand(lambda p, x, y: _descend(*loop, p, x, y, factor=-1.0)),
        "inner_sum": meta(rate=times(shots)),
        "first_task_only": meta(data(sx[:1], sy[:1], qx[:1], qy[:1])),
        "last_task_only": meta(data(sx[-1:], sy[-1:], qx[-1:], qy[-1:])),
        "chained_tasks": lambda: _chained(*loop, params, batch),
        "half_inner_lr": meta(rate=times(0.5)),
        "double_inner_lr": meta(rate=times(2.0)),
        "tenth_inner_lr": meta(rate=times(0.1)),
        "tenfold_inner_lr": meta(rate=times(10.0)),
    }
    if steps > 0:  # without a step it is one of the above
        found["swapped"] = meta(data(qx, qy, sx, sy))
    if elements > shots:
        found["inner_sum_of_elements"] = meta(rate=times(elements))
    if not _has_step_axis(inner_lr, params):
        found["one_step_more"] = meta(steps=steps + 1)
        if steps > 1:  # one step too few of one is no inner step
            found["one_step_short"] = meta(steps=steps - 1)
    return found


def _times(inner_lr, factor):
    if isinstance(inner_lr, dict):
        return {name: np.multiply(own, factor) for name, own in inner_lr.items()}
    return np.multiply(inner_lr, factor)


def _rate_factor(got, loss, params, batch, inner_lr, inner_steps) -> float | None:
    """The factor on inner_lr with which the right gradient would be `got`; None when there is none.

    The best of a coarse grid, then Gauss-Newton: at the factor sought the residual is zero. With one or
    two numbers in θ some rate would explain nearly everything, so then nothing is said.
    """
    target = _flat(got)
    if inner_steps == 0 or target.size < 3:
        return None

    def gradient(factor):
        with np.errstate(all="ignore"):
            scaled = _times(inner_lr, factor)
            return _flat(ref.meta_gradient(loss, params, batch, scaled, inner_steps)[1])

    def miss(factor):
        gap = float(np.linalg.norm(gradient(factor) - target))
        return gap if np.isfinite(gap) else np.inf

    factor = min(np.geomspace(0.05, 20.0, 13), key=miss)
    for _ in range(8):
        here = gradient(factor)
        change = (gradient(factor * (1 + 1e-6)) - here) / (factor * 1e-6)
        if not np.isfinite(change).all() or not np.any(change):
            return None
        factor = max(factor / 4, factor + float(change @ (target - here) / (change @ change)))
    return factor if miss(factor) < TOLERANCE * np.linalg.norm(target) else None


def _flat(gradients):
    return np.concatenate([np.ravel(np.asarray(g, float)) for _, g in sorted(gradients.items())])


# The wrong inner loops, each written out as somebody would write it.


def _descend(loss, inner_lr, steps, params, x, y, factor=1.0):
    for step in range(steps):
        slope = ref.grad(loss)(params, x, y)
        params = _moved(params, slope, inner_lr, step, steps, factor)
    return params


def _stale(loss, inner_lr, steps, params, x, y):
    slope = ref.grad(loss)(params, x, y)
    for step in range(steps):
        params = _moved(params, slope, inner_lr, step, steps)
    return params


def _last_only(loss, inner_lr, steps, params, x, y):
    # The value is that of all the steps; derivatives flow through the last one alone, as if φ_{K−1} were θ.
    start = ref.stop_gradient(params)
    for step in range(steps - 1):
        start = _moved(start, ref.grad(loss)(start, x, y), inner_lr, step, steps)
    start = {k: params[k] + ref.stop_gradient(start[k] - params[k]) for k in params}
    if steps == 0:
        return start
    return _moved(start, ref.grad(loss)(start, x, y), inner_lr, steps - 1, steps)


def _moved(params, slope, inner_lr, step, steps, factor=1.0):
    from maml_edu.reference.maml import rate

    return {
        name: value - factor * rate(inner_lr, name, value, step, steps) * slope[name]
        for name, value in params.items()
    }


def _mean_query_loss(loss, inner, params, batch):
    tasks = list(zip(batch.support_x, batch.support_y, batch.query_x, batch.query_y, strict=True))
    return sum(loss(inner(params, sx, sy), qx, qy) for sx, sy, qx, qy in tasks) / len(tasks)


def _chained(loss, inner_lr, steps, params, batch):
    def total(params):
        losses, start = [], params
        for sx, sy, qx, qy in zip(
            batch.support_x, batch.support_y, batch.query_x, batch.query_y, strict=True
        ):
            start = _descend(loss, inner_lr, steps, start, sx, sy)
            losses.append(loss(start, qx, qy))
        return sum(losses) / len(losses)

    return ref.grad(total)(params)


# ------------------------------------------------------------------ comparing gradients


def _gradients_of(candidate, loss, params, batch, inner_lr, inner_steps):
    if callable(candidate) and not _is_torch_module(candidate):
        try:
            candidate = candidate(loss, params, batch, inner_lr, inner_steps)
        except Exception as error:
            error.add_note(
                "candidate is a function, so it was called with NumPy arrays: candidate(loss, params, batch, "
                "inner_lr, inner_steps). If it works on tensors, give the gradients that it returns instead."
            )
            raise
    if isinstance(candidate, (tuple, list)) and len(candidate) == 2:
        candidate = candidate[1]
    if not isinstance(candidate, dict):
        learner = hasattr(candidate, "meta_gradient")
        raise ValueError(
            f"candidate must be a dict of gradients like params, a pair (meta-loss, gradients) or a "
            f"function that returns one; got {type(candidate).__name__}."
            + (" Of a learner, give learner.meta_gradient(batch)." if learner else "")
        )
    return {
        name: np.zeros_like(params[name]) if value is None and name in params else _leaf(value)
        for name, value in candidate.items()
    }


def _malformed(got, params):
    if got.keys() != params.keys():
        return f"It has the keys {sorted(got)}, but params has {sorted(params)}."
    for name, value in got.items():
        if value is None:
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


def _distance(a, b):
    """‖a − b‖ relative to the larger norm, over all parameters at once."""
    scale = max(_norm(a), _norm(b))
    return _norm({k: np.asarray(a[k], float) - b[k] for k in b}) / scale if scale > 0 else 0.0


def _is_rounding(got, right, loss, params, batch):
    """Whether the difference is no more than float64 leaves of the query slopes when they cancel."""
    gap = _norm({k: got[k] - right[k] for k in right})
    at_theta = ref.meta_gradient(loss, params, batch, 0.0, 0)[1]
    return gap < 1e-13 * _norm(at_theta) and not _holds_float32(got)


def _below(error):
    """A bound in whole powers of ten: rounding differs from machine to machine, this does not."""
    return f"below 1e-{min(12, max(0, int(-np.log10(max(error, 1e-12))))):02d}"


def _single(got, error):
    return error > 1e-8 or (error > ROUNDING and _holds_float32(got))


def _holds_float32(got):
    return any(value.dtype.itemsize < 8 for value in got.values())


def _unknown(got, right):
    gaps = {k: float(np.max(np.abs(got[k] - right[k]), initial=0.0)) for k in right}
    name = max(gaps, key=lambda k: gaps[k])
    cosine = _dot(got, right) / max(_norm(got) * _norm(right), 1e-300)
    return (
        f"Not the meta-gradient, and none of the known mistakes. The largest difference is at {name!r}: "
        f"{gaps[name]:.3g} (the right gradient's largest element there is "
        f"{np.max(np.abs(right[name])):.3g}); by parameter: "
        + ", ".join(f"{k} {gap:.2g}" for k, gap in gaps.items())
        + f". Its length is {_norm(got) / max(_norm(right), 1e-300):.3g} times the right one, the cosine "
        f"of the angle between them {cosine:.3f}."
    )


def _dot(a, b):
    return float(sum(np.sum(np.asarray(a[k], float) * b[k]) for k in b))


def _norm(a):
    return float(np.sqrt(_dot(a, a)))


def _has_step_axis(inner_lr, params):
    if not isinstance(inner_lr, dict):
        return np.ndim(inner_lr) > 0
    return any(np.shape(v) not in ((), np.shape(params[k])) for k, v in inner_lr.items())


def _numpy(value):
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def _leaf(value):
    """A gradient as an array; None when it is not regular."""
    try:
        return _numpy(value)
    except ValueError:
        return None


def _is_torch_module(thing):
    return hasattr(thing, "named_parameters")


def _numpy_params(params):
    """The parameters as float64 arrays by name; ValueError for anything but a dict of numbers."""
    if not isinstance(params, dict):
        hint = " Of a torch model, give dict(model.named_parameters())."
        raise ValueError(
            f"params must be a dict name → array or tensor; got {type(params).__name__}."
            + (hint if _is_torch_module(params) or not np.shape(params) else "")
        )
    return {name: np.asarray(_numpy(value), float) for name, value in params.items()}


def _check_loss(loss, params, batch):
    """ValueError unless `loss` can be called on the arrays of a task, and gives one number that is no tensor."""
    expected = (
        "loss must be a function loss(params, x, y) on NumPy arrays that returns one number for one task, "
        "since what is right is computed with NumPy"
    )
    advice = (
        "Write a loss on tensors out in NumPy, under the same names of parameters (chapter 08 shows it); "
        "candidate, params and batch may stay tensors."
    )
    if not len(batch.query_x) or not len(batch.query_y):
        return  # no task at all, of which the reference says so
    try:
        value = loss(params, batch.query_x[0], batch.query_y[0])
    except Exception as error:
        raise ValueError(
            f"{expected}; called with the first task's arrays it raised {type(error).__name__}: {error}. {advice}"
        ) from error
    if hasattr(value, "detach") or np.ndim(value) > 0:
        shape = f" of shape {tuple(value.shape)}" if np.ndim(value) else ""
        raise ValueError(f"{expected}; it returned a {type(value).__name__}{shape}. {advice}")


def _numpy_batch(batch):
    names = ("support_x", "support_y", "query_x", "query_y")
    if isinstance(batch, (tuple, list)) and len(batch) == len(names):
        batch = SimpleNamespace(**dict(zip(names, batch, strict=True)))
    if not all(hasattr(batch, name) for name in names):
        raise ValueError(
            f"batch must have {', '.join(names)}, or be a tuple of these four; got {type(batch).__name__}."
        )
    if any(getattr(batch, name, None) is not None for name in ("support_mask", "query_mask")):
        raise ValueError(
            "batch has masks, for tasks of unequal size: give one of its groups() at a time, and the "
            "gradient of that group."
        )
    arrays = {name: _numpy(getattr(batch, name)) for name in names}
    return SimpleNamespace(
        **{k: v.astype(float) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    )


def _dict(x):
    return x if isinstance(x, dict) else {None: np.asarray(x, float)}


def _same_shapes(a, b, a_name, b_name):
    if a.keys() != b.keys() or any(np.shape(a[k]) != np.shape(b[k]) for k in b):
        raise ValueError(
            f"{a_name} and {b_name} differ in keys or shapes: "
            f"{ {k: np.shape(v) for k, v in a.items()} } and { {k: np.shape(v) for k, v in b.items()} }."
        )
