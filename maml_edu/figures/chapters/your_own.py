"""Chapter 16: the same points read by three learners: gradient steps, attention, and two numbers.

Start from `three_learners`.
"""

from dataclasses import dataclass

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Note, Points, Scene, number
from maml_edu.figures.sines import AXES, X

__all__ = ["three_learners"]

MOST = 20  # points that a reader may put
ROOM = {**AXES, "ylim": (-8, 8)}  # for a wave taller than any in the family
EXACT = 1e-9  # a squared error below is rounding
THREADS = 25  # lines from a query, together: each stands for 4 % of its attention
APART = np.array([0.03, 0.08])  # between threads at a point, in the units of x and y: about 1 pixel


@dataclass(frozen=True)
class Prompt:
    """Points (n, 2) to be read, and the waves (height, phase) that they are from."""

    points: np.ndarray
    waves: tuple


def _from_waves(x, *waves):
    """Points at x (n,), in turn from each wave."""
    x = np.asarray(x, float)
    height, phase = np.array([waves[i % len(waves)] for i in range(len(x))]).T
    return Prompt(np.column_stack([x, height * np.sin(x - phase)]), waves)


WAVE, TALL, OTHER = (
    (3.5, 0.5),
    (7.0, 0.5),
    (2.5, 2.8),
)  # height, phase; the family ends at a height of 5
EVENLY = np.linspace(-4.4, 4.4, 10)
PROMPTS = {
    "ten points of a wave": _from_waves(EVENLY, WAVE),
    "one point": _from_waves([1.5], WAVE),
    "two points half a period apart": _from_waves([-1.2, -1.2 + np.pi], WAVE),
    "a wave twice as tall": _from_waves(EVENLY, TALL),
    "points of two waves": _from_waves(EVENLY, WAVE, OTHER),
}
FIRST = next(iter(PROMPTS))


# ---------------------------------------------------------------- the figure


def three_learners(learner, transformer):
    """Choose points or drag them: MAML's steps, a transformer that reads them, and least squares, side by side.

    learner: an `mt.MAML` of sine waves, trained. transformer: an `mt.InContext`, trained on the same waves, or any
    model(support_x, support_y, query_x) → (1, queries, 1) with attention(support_x, support_y, query_x) →
    (1, queries, points); all take arrays (1, n, 1). The query whose attention is drawn can be dragged as well.
    Raises ValueError for a transformer whose answers have other shapes.
    """

    def scenes(points, prompt, steps, query):
        return learner_scenes(learner, transformer, points, prompt, steps, query)

    sliders = {
        "prompt": ("points", list(PROMPTS)),
        "steps": ("MAML: gradient steps", 0, 10, 1, 1),
        "query": ("transformer: query x", -5.0, 5.0, 2.2, 0.1),
    }
    twin = [{}, _changes("a wave twice as tall")]
    start = PROMPTS[FIRST].points
    figure = interactive(scenes, sliders, {"points": start}, twin, more={"points": MOST})
    figure.controls["prompt"].observe(lambda change: figure.set(**_changes(change["new"])), "value")
    return figure


def _changes(prompt):
    return {"prompt": prompt, "points": PROMPTS[prompt].points}


def learner_scenes(learner, transformer, points, prompt=FIRST, steps=1, query=2.2):
    """The three panels: points (n, 2) as they lie now, and the prompt that they were before they were moved."""
    points = np.asarray(points, float)
    truths = waves_of(points, prompt)
    return [
        _maml_scene(learner, points, truths, steps),
        _transformer_scene(transformer, points, truths, query),
        _least_squares_scene(points, truths),
    ]


def waves_of(points, prompt):
    """The prompt's waves on `X`, (waves, 201), while each point lies on one of them; none after that."""
    x, y = points.T
    waves = [(height, phase) for height, phase in PROMPTS[prompt].waves]
    off = np.min([np.abs(height * np.sin(x - phase) - y) for height, phase in waves], axis=0)
    lie_on = len(off) and off.max() < 1e-6
    return np.array([h * np.sin(X - p) for h, p in waves if lie_on]).reshape(-1, len(X))


# ---------------------------------------------------------------- three learners


def maml_outputs(learner, points, steps):
    """The network at θ and after the steps: on `X` (2, 201), and the second at the points (n,)."""
    x, y = points[:, :1], points[:, 1:]  # (n, 1) each
    phi = learner.adapt(x, y, steps)
    where = np.concatenate([X[:, None], x])
    before, after = (
        learner.predict(params, where).detach().cpu().numpy()[:, 0]
        for params in (learner.detached(), phi)
    )
    return np.stack([before, after])[:, : len(X)], after[len(X) :]


def transformer_outputs(transformer, points, query):
    """(answers on `X` (201,), at the points (n,), at the query; the query's attention to the points (n,))."""
    import torch

    support = [points[None, :, :1].astype(np.float32), points[None, :, 1:].astype(np.float32)]
    where = np.concatenate([X, points[:, 0], [query]])[None, :, None].astype(np.float32)
    with torch.no_grad():
        tensors = [torch.as_tensor(a) for a in (*support, where)]
        answers = transformer(*tensors)
        attention = transformer.attention(*tensors[:2], tensors[2][:, -1:])
    for name, got, wanted in (
        ("model(…)", answers, where.shape),
        ("model.attention(…)", attention, (1, 1, len(points))),
    ):
        if tuple(got.shape) != wanted:
            raise ValueError(
                f"{name} gave the shape {tuple(got.shape)} where {wanted} is wanted: (tasks, queries, 1) for "
                "answers and (tasks, queries, points) for attention."
            )
    answers = answers[0, :, 0].double().cpu().numpy()
    weights = attention[0, 0].double().cpu().numpy()
    return answers[: len(X)], answers[len(X) : -1], answers[-1], weights


def least_squares(points):
    """(p, q of the wave p sin x + q cos x nearest to the points, how many numbers they decide: 1 or 2).

    Where they decide one only, the lowest of the nearest waves is taken.
    """
    x, y = points.T
    (p, q), _, rank, _ = np.linalg.lstsq(np.column_stack([np.sin(x), np.cos(x)]), y, rcond=1e-6)
    return p, q, int(rank)


# ---------------------------------------------------------------- panels


def _maml_scene(learner, points, truths, steps):
    (before, after), at_points = maml_outputs(learner, points, steps)
    who = f"MAML after {steps} step{'' if steps == 1 else 's'}"
    return _scene(
        who,
        "The network's output before adaptation is a grey dashed line.",
        points,
        truths,
        (after, at_points),
        more=[Curve(X, before, "before", "MAML before")],
    )


def _transformer_scene(transformer, points, truths, query):
    on_grid, at_points, answer, weights = transformer_outputs(transformer, points, query)
    most = np.argsort(-weights, kind="stable")[:3]
    looks = ", ".join(
        f"{_percent(weights[i])} to the point at x = {number(points[i, 0], places=1)}" for i in most
    )
    return _scene(
        "Transformer, no step",
        (
            f"From a blue square, the query at x = {number(query, places=1)} with its answer "
            f"{number(answer, 2)}, thin pink threads lead to the points, one for every 4 % of its attention in "
            f"the last layer: {looks}."
        ),
        points,
        truths,
        (on_grid, at_points),
        more=[
            Curve(*threads((query, answer), points, weights), "attention", "4 % of its attention")
        ],
        marks=[Points(query, answer, "query", "query (drag it)", drag="query", axis="x")],
        notes=[
            Note(points[i, 0], points[i, 1] + 0.9, _percent(weights[i]), "middle")
            for i in most
            if weights[i] >= 0.1
        ],
    )


def _least_squares_scene(points, truths):
    p, q, decided = least_squares(points)
    x = points[:, 0]
    who = "Least squares, two numbers"
    if decided < 2:
        who = "Least squares (the lowest of many waves)"
    return _scene(
        who,
        f"Its wave is {number(p, 2)} sin x + ({number(q, 2)}) cos x.",
        points,
        truths,
        (p * np.sin(X) + q * np.cos(X), p * np.sin(x) + q * np.cos(x)),
    )


def _scene(who, words, points, truths, answers, more=(), marks=(), notes=()):
    """One panel; answers: those on `X` (201,) and those at the points (n,)."""
    on_grid, at_points = answers
    error = _error(on_grid, truths, at_points, points[:, 1])
    name = "their wave" if len(truths) == 1 else "their waves"
    plain = {0: "no wave, since points were moved", 1: "their wave as a plain line"}
    return Scene(
        title=f"{who}: {error}",
        alt=(
            f"{len(points)} orange point{'s' * (len(points) > 1)}, "
            f"{plain.get(len(truths), 'their two waves as plain lines')}, and as a green line what the learner "
            f"makes of the points. {words}"
        ),
        curves=[
            *(Curve(X, wave, "truth", name) for wave in truths),
            *more,
            Curve(X, on_grid, "after", "answer"),
        ],
        points=[*marks, Points(*points.T, "support", "points (drag them)", drag="points")],
        notes=list(notes),
        legend="below",
        **ROOM,
    )


def _error(on_grid, truths, at_points, y):
    """Mean squared errors in words: from the points' wave if they have one, or at the points."""
    at = f"at the points {_squared(at_points - y)}"
    return f"error {_squared(on_grid - truths[0])} ({at})" if len(truths) == 1 else f"error {at}"


def _squared(difference):
    value = float(np.mean(difference**2))
    return number(0 if value < EXACT else value, 2)


def _percent(weight):
    return f"{number(100 * weight, places=0)} %"


def threads(query, points, weights):
    """Lines from the query (x, y) to the points, in proportion to their weights: x and y with gaps.

    One line stands for 1/THREADS of the weights, rounded. All begin at the query, and end side by side at a point.
    """
    start, lines = np.asarray(query, float), [np.full((1, 2), np.nan)]
    for point, weight in zip(points, weights, strict=True):
        along = (point - start) / APART
        across = np.array([-along[1], along[0]]) / (np.linalg.norm(along) or 1.0) * APART
        count = round(float(weight) * THREADS) if np.isfinite(weight) else 0
        for shift in np.arange(count) - (count - 1) / 2:
            lines.append(np.array([start, point + shift * across, [np.nan, np.nan]]))
    return np.concatenate(lines).T
