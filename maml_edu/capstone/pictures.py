"""The two pictures of a report, as scenes: `curves_scene`, `failure_scene`."""

from __future__ import annotations

import numpy as np

from maml_edu.figures import Curve, Points, Scene, number

from .comparison import AVERAGE, ORACLE, PLAIN, PRETRAINED, SCRATCH, Comparison

LOOKS = {  # method: role
    "MAML": "maml", PRETRAINED: "baseline", "ridge head on its features": "high", SCRATCH: "before", PLAIN: "after",
    AVERAGE: "neutral", ORACLE: "truth",
}  # fmt: skip


def curves_scene(comparison: Comparison) -> Scene:
    """The middle score of every method against inner steps; methods without steps are level lines."""
    curves = comparison.curves()
    log = not comparison.rises
    limits = _limits(curves, log)
    steps = np.arange(len(curves["MAML"]))
    visible = lambda curve: np.where(curve > 0, curve, np.nan) if log else curve
    drawn = {name: visible(curve) for name, curve in curves.items()}
    shown = {name: curve for name, curve in drawn.items() if np.isfinite(curve).any()}
    left_out = [f"{name} is at 0" for name in curves if name not in shown]
    step = comparison.rows["MAML"].step
    middle = "mean" if comparison.rises else "median"
    words = "; ".join(
        f"{name} {number(curves[name][comparison.rows[name].step])}" for name in curves
    )
    return Scene(
        title=f"MAML after {step} steps: {comparison.metric} {number(curves['MAML'][step])}",
        alt=f"The {middle} {comparison.metric} of each method against the number of inner steps. At the chosen "
        f"step: {words}.",
        xlabel="inner steps" + (f" ({', '.join(left_out)})" if left_out else ""),
        ylabel=f"{comparison.metric}, {middle} over test tasks",
        xlim=(-0.3, len(steps) - 0.7),
        ylim=limits,
        ylog=log,
        curves=[
            Curve(steps, np.clip(curve, *limits), LOOKS[name], name, comparison.rows[name].values.shape[2] > 1)
            for name, curve in shown.items()
        ],
        legend="below",
    )  # fmt: skip


def _limits(curves, log):
    """What is drawn: from the best to twice the worst start; what runs away leaves the picture at its edge."""
    if not log:
        return (0.0, 1.0)
    values = np.concatenate(list(curves.values()))
    low = values[np.isfinite(values) & (values > 0)].min(initial=1.0)
    starts = [curve[0] for curve in curves.values() if np.isfinite(curve[0])]
    high = max([2 * max(starts, default=1.0), 2 * low])
    return float(low / 1.5), float(high)


def failure_scene(comparison: Comparison) -> Scene:
    """The test task on which MAML does worst: what was asked, what MAML and the pretrained network said."""
    failure = comparison.failure
    if comparison.kind == "classification":
        return _classes_scene(comparison, failure)
    x, y = np.asarray(failure["query_x"]), np.asarray(failure["query_y"])
    if x.shape[1:] == (1,) and y.shape[1:] == (1,):
        return _line_scene(comparison, failure)
    return _values_scene(comparison, failure)


def _title(comparison, failure):
    score = failure["drawn"]["MAML"]
    said = f"{comparison.metric} {number(score)}" if np.isfinite(score) else "it ran away"
    return f"MAML's worst task, number {failure['task']}, seed {failure['seed']}: {said}"


def _line_scene(comparison, failure):
    """x and y are numbers: the points themselves, and lines through what is said at all of them."""
    x, y = (np.asarray(failure[name], float)[:, 0] for name in ("query_x", "query_y"))
    known_x, known_y = (np.asarray(failure[n], float)[:, 0] for n in ("support_x", "support_y"))
    all_x, all_y = np.concatenate([x, known_x]), np.concatenate([y, known_y])
    order = np.argsort(all_x)
    said = {
        name: _tame(np.concatenate([values, failure["at support"][name]]).astype(float)[:, 0], all_y)[order]
        for name, values in (failure["predictions"] | failure["others"]).items()
    }  # fmt: skip
    networks = failure["predictions"]
    return Scene(
        title=_title(comparison, failure),
        alt=f"{len(known_x)} support points and {len(x)} queries of one task, with what {', '.join(said)} say at "
        f"each of them. MAML misses the support points by {number(_missed(failure))} on average.",
        xlabel="x",
        ylabel="y",
        xlim=_around(all_x),
        ylim=_around(all_y, *said.values()),
        curves=[Curve(all_x[order], v, LOOKS[name], name, name in networks) for name, v in said.items()],
        points=[Points(x, y, "query", "query"), Points(known_x, known_y, "support", "support")],  # support on top
        legend="below",
    )  # fmt: skip


def _missed(failure) -> float:
    """The mean distance of MAML's predictions from y at the support points."""
    y = np.asarray(failure["support_y"], float)
    return float(np.abs(np.asarray(failure["at support"]["MAML"], float) - y).mean())


def _values_scene(comparison, failure):
    """Several numbers: what was said against what was right."""
    y = np.asarray(failure["query_y"], float).reshape(-1)
    said = {name: _tame(values.reshape(-1), y) for name, values in _said(failure).items()}
    ends = _around(y)
    return Scene(
        title=_title(comparison, failure),
        alt=f"What MAML and the pretrained network say of {len(y)} numbers of one task, against what is right; on "
        "the diagonal both agree.",
        xlabel="right y",
        ylabel="predicted y",
        xlim=ends,
        ylim=_around(y, *said.values()),
        curves=[Curve(np.array(ends), np.array(ends), "neutral", "right")],
        points=[Points(y, values, LOOKS[name], name) for name, values in said.items()],
        legend="below",
    )


def _classes_scene(comparison, failure):
    """The share of right answers for each class."""
    y = np.asarray(failure["query_y"])
    classes = np.unique(y)
    shares = {
        name: np.array([np.mean(np.asarray(labels)[y == k] == k) for k in classes])
        for name, labels in failure["predictions"].items()
    }
    return Scene(
        title=_title(comparison, failure),
        alt=f"The share of right answers for each of {len(classes)} classes of one task, of MAML and of the "
        "pretrained network.",
        xlabel="class",
        ylabel="share of right answers",
        xlim=(classes[0] - 0.5, classes[-1] + 0.5),
        ylim=(-0.05, 1.05),
        points=[
            Points(classes + (0.08 if name == "MAML" else -0.08), share, LOOKS[name], name)
            for name, share in shares.items()
        ],
        legend="below",
    )  # fmt: skip


def _said(failure):
    return {name: np.asarray(v, float) for name, v in failure["predictions"].items()}


def _tame(values, y):
    """Predictions, cut off where they are far beyond y, so that a picture can show them; NaN leaves a gap."""
    room = 3 * max(float(np.ptp(y)), 1e-9)
    return np.clip(values, y.min() - room, y.max() + room)


def _around(*arrays):
    values = np.concatenate([np.ravel(a) for a in arrays])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
