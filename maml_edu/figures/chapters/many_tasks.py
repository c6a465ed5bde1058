"""Chapter 03: what one function for all waves can learn, and how to say honestly how good it is.

The best single function is the average wave; what is left at each x is the variance of the waves there. Start
from `fit_by_hand`, then `intervals_and_truth`.
"""

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Band, Curve, Note, Points, Scene, number
from maml_edu.figures.sines import (
    AXES,
    MEAN_SQUARE,
    X,
    average_wave,
    error_of_the_average,
)
from maml_edu.figures.static import draw

__all__ = ["learned_average", "fit_by_hand", "intervals_and_truth", "leak_prices"]


# ------------------------------------------------------------------ the average task


def learned_average(*networks, apply=ref.mlp):
    """Left: pretrained networks (their parameters) lie on the average wave. Right: what is left at each x."""
    outputs = [apply(params, X[:, None])[:, 0] for params in networks]
    return draw(average_scene(outputs), what_is_left_scene())


def average_scene(outputs):
    """The networks' curves, (networks, 201), on the average wave and in the spread of the waves."""
    average, spread = average_wave(), np.sqrt(left_at(X))
    away = max(float(np.sqrt(np.mean((y - average) ** 2))) for y in outputs)
    return Scene(
        title=f"Pretraining learns the average wave: off by {number(away, 1)} at most, root mean square",
        alt=(
            f"A wave of height 1.6, the average of all waves, and on it, as dashed pink curves, the outputs "
            f"of {len(outputs)} pretrained networks, nowhere far from it. A wide grey band around it, one standard "
            "deviation of the waves to either side, is narrowest at crests and troughs and widest half way "
            "between them."
        ),
        bands=[Band(X, average - spread, average + spread, "before", "the waves, ± 1 sd")],
        curves=[
            Curve(X, average, "truth", "average of all waves"),
            *(Curve(X, y, "baseline", "pretrained network") for y in outputs),
        ],
        **AXES,
    )


def left_at(x):
    """The variance over the family of y at x: E[A²]/2 − (1.62 cos x)², what no single function can explain."""
    return MEAN_SQUARE / 2 - (np.interp(x, X, average_wave())) ** 2


def what_is_left_scene():
    """The variance of y at each x, and its mean."""
    left, mean = left_at(X), error_of_the_average()
    return Scene(
        title=f"What is left: {number(left.min(), 2)} at best, {number(mean)} on average",
        alt=(
            f"A curve with low points of {number(left.min(), 2)} where the average wave has crests and troughs, "
            f"and high points of {number(left.max(), 2)} half way between them; a dotted line marks its mean, "
            f"{number(mean)}."
        ),
        xlabel="input x",
        ylabel="squared error of the average wave",
        xlim=(-5, 5),
        ylim=(0, 6),
        curves=[
            Curve(X, left, "truth", "error that is left at x"),
            Curve(X, np.full_like(X, mean), "neutral", "its mean"),
        ],
    )


# ------------------------------------------------------------------ fit it by hand

WAVES = {  # name: height and phase
    "height 3.5, phase 2.6": (3.5, 2.6),
    "height 4.5, phase 0.3": (4.5, 0.3),
    "height 2.5, phase 3.1": (2.5, 3.1),
}
MOST = 10  # points that a reader may put
LEAST, FAR = 1e-2, 1e6  # errors beyond are drawn here


def fit_by_hand(params, apply=ref.mlp):
    """Choose points, α and steps, and try to make a pretrained network (its `params`) fit a new wave.

    The points may be dragged, added and taken away. The best error so far stays in the title; a menu brings
    least squares in two numbers. `apply(params, x)` maps (n, 1) → (n, 1) in NumPy.
    """
    best = {}  # wave → the reader's best error

    def scenes(points, wave, alpha, steps, oracle):
        path = by_hand(params, points, alpha, steps, apply)
        error = wave_error(path[0][-1], wave)
        best[wave] = min(error, best.get(wave, np.inf))
        return hand_scenes(path, points, wave, alpha, oracle == "shown", best[wave])

    sliders = {
        "wave": ("the new wave", list(WAVES)),
        "alpha": ("inner rate α", 0.002, 0.06, 0.01, 0.002),
        "steps": ("gradient steps", 0, 20, 5, 1),
        "oracle": ("least squares in two numbers", ["hidden", "shown"]),
    }
    start = on_the_wave(np.linspace(-4.5, 4.5, MOST), next(iter(WAVES)))
    corner = on_the_wave(np.linspace(-4.8, -3.2, 5), next(iter(WAVES)))
    twin = [{"steps": 20}, {"points": corner, "steps": 20, "oracle": "shown"}]
    figure = interactive(scenes, sliders, drag={"points": start}, more={"points": MOST}, twin=twin)
    best.clear()  # the twin's settings are not the reader's
    figure.set()

    def put_all_on_the_wave(change):
        figure.set(points=on_the_wave(figure.values["points"][:, 0], change["new"]))

    figure.controls["wave"].observe(put_all_on_the_wave, "value")
    return figure


def on_the_wave(x, wave):
    """The points of a wave at `x`, (n, 2)."""
    height, phase = WAVES[wave]
    return np.column_stack([x, height * np.sin(np.asarray(x) - phase)])


def wave_error(output, wave):
    """The mean squared distance of a curve on `X` from the wave."""
    with np.errstate(all="ignore"):  # a rate that is too long ends at infinity
        error = np.mean((output - on_the_wave(X, wave)[:, 1]) ** 2)
    return float(error) if np.isfinite(error) else np.inf


def by_hand(params, points, alpha, steps, apply=ref.mlp):
    """After 0, 1, …, `steps` steps on the points (n, 2): outputs on `X`, (steps + 1, 201), and support losses."""
    points = np.asarray(points, dtype=float)
    x, y = points[:, :1], points[:, 1:]  # (n, 1) each
    everywhere = np.concatenate([X[:, None], x])  # (201 + n, 1)

    def loss(p, x, y):
        return np.mean((apply(p, x) - y) ** 2)

    outputs = []
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            params = ref.adapt(loss, params, x, y, alpha, 1) if step else params
            outputs.append(apply(params, everywhere)[:, 0])
        outputs = np.array(outputs)
        support = np.mean((outputs[:, len(X) :] - y[:, 0]) ** 2, axis=1)  # (steps + 1,)
    return outputs[:, : len(X)], support


def two_numbers(points):
    """a sin x + b cos x on `X` with the a and b that fit the points (n, 2) best."""
    x, y = np.asarray(points, dtype=float).T
    a, b = np.linalg.lstsq(np.column_stack([np.sin(x), np.cos(x)]), y, rcond=None)[0]
    return a * np.sin(X) + b * np.cos(X)


def hand_scenes(path, points, wave, alpha, oracle, best):
    """The wave and the curves; and both errors step by step. `best`: the reader's best error so far."""
    outputs, support = path
    steps, errors = len(outputs) - 1, np.array([wave_error(y, wave) for y in outputs])
    least = two_numbers(points)
    return [
        _fit_scene(outputs[-1], least, points, wave, (alpha, steps, errors[-1]), oracle, best),
        _steps_scene(errors, support, wave_error(least, wave) if oracle else None),
    ]


def _fit_scene(output, least, points, wave, made, oracle, best):
    alpha, steps, error = made
    count = f"{len(points)} point{'s' * (len(points) > 1)}"
    done = f"α = {number(alpha)}, {steps} step{'s' * (steps != 1)} on {count}"
    said = f"{done}: error {_shown(error)}, your best {_shown(best)}"
    if oracle:
        said = (
            f"Two numbers from {count}: error {_shown(wave_error(least, wave))}; "
            f"your best with the network {_shown(best)}"
        )
    return Scene(
        title=said,
        alt=(
            f"A new wave as a plain line ({wave}), {count} in orange, the low average wave as a dashed pink line, "
            f"and as a green line what the pretrained network draws: {done}, mean squared distance from the wave "
            f"{_shown(error)}. The reader's best so far is {_shown(best)}."
            + " A dotted line is the best fit of the form a sin x + b cos x."
            * oracle
        ),
        curves=[
            Curve(X, on_the_wave(X, wave)[:, 1], "truth", "the new wave"),
            Curve(X, average_wave(), "baseline", "average of all waves"),
            Curve(X, output, "after", "pretrained network, adapted"),
            *([Curve(X, least, "neutral", "a sin x + b cos x")] * oracle),
        ],
        points=[Points(*np.transpose(points), "support", "your points", drag="points")],
        legend="below",
        **AXES,
    )


def _steps_scene(errors, support, least):
    step = np.arange(len(errors))
    on_axis = lambda values: np.clip(np.nan_to_num(values, nan=FAR), LEAST, FAR)
    top = max(20.0, 2 * float(on_axis(errors).max()), 2 * float(on_axis(support).max()))
    return Scene(
        title=_what_the_steps_do(errors, support),
        alt=(
            f"Two curves over the gradient steps on a logarithmic axis: the error on the points goes from "
            f"{_shown(support[0])} to {_shown(support[-1])}, the error over the whole wave from "
            f"{_shown(errors[0])} to {_shown(errors[-1])}."
            + (
                ""
                if least is None
                else f" A dotted line marks the error of the two numbers, {_shown(least)}."
            )
        ),
        xlabel="gradient steps",
        ylabel="squared error",
        xlim=(0, max(1, len(errors) - 1)),
        ylim=(LEAST / 2, top),  # what is drawn at LEAST does not lie on the axis
        ylog=True,
        curves=[
            Curve(step, on_axis(support), "support_loss", "on your points", markers=True),
            Curve(step, on_axis(errors), "query_loss", "over the whole wave", markers=True),
            *(
                []
                if least is None
                else [
                    Curve(
                        [0, max(1, step[-1])],
                        on_axis([least, least]),
                        "neutral",
                        "two numbers" + f" ({number(LEAST)} or less)" * (least < LEAST),
                    )
                ]
            ),
        ],
        legend="below",
    )


def _what_the_steps_do(errors, support):
    if len(errors) == 1:
        return f"Before any step: error {_shown(errors[0])} over the whole wave"
    if not errors[-1] < 2 * errors[0]:
        return "The steps lead away: α is too large for these points"
    if support[-1] < errors[-1] / 3:
        return f"{_shown(support[-1])} on your points, yet {_shown(errors[-1])} over the whole wave"
    return f"Over the whole wave the error goes from {_shown(errors[0])} to {_shown(errors[-1])}"


def _shown(error):
    """An error in few digits: rounding is 0, and what blew up is large."""
    if not error < FAR:
        return "beyond a million"
    return "0" if error < 1e-9 else number(error, 2)


# ------------------------------------------------------------------ intervals that miss


def intervals_and_truth(tests):
    """Intervals of many tests beside what they are meant to hold, a panel for each of `tests`.

    tests: words, such as "after one step" → (middles (n,), half widths (n,), the truth).
    """
    return draw(*(intervals_scene(words, *test) for words, test in tests.items()))


def intervals_scene(words, middles, halves, truth):
    """One interval in each row, lowest middle at the bottom; those that miss stand out."""
    order = np.argsort(middles)
    middles, halves = np.asarray(middles)[order], np.asarray(halves)[order]
    low, high = middles - halves, middles + halves
    holds = (low <= truth) & (truth <= high)
    right = float(max(high.max(), truth))
    kinds = [("truth", "holds it", holds), ("high", "misses it", ~holds)]
    return Scene(
        title=f"{words[:1].upper()}{words[1:]}: {holds.sum()} of {len(holds)} intervals hold the true mean",
        alt=(
            f"{len(holds)} horizontal intervals, one above the other, sorted by their middle, and a dotted upright "
            f"line at the true mean, {number(truth, 2)}. {holds.sum()} cross it; {(~holds).sum()} do not, "
            f"in orange. The shortest is {number(2 * halves.min(), 2)} wide, the widest "
            f"{number(2 * halves.max(), 2)}."
        ),
        xlabel="mean squared error: 95 % intervals, sorted by their middle",
        xlim=(max(0.0, float(low.min()) - 0.05 * right), 1.05 * right),
        ylim=(-1, len(middles)),
        curves=[
            *(_lines(low, high, which, role, label) for role, label, which in kinds if which.any()),
            Curve([truth, truth], [-1, len(middles)], "neutral", "mean of all waves"),
        ],
        rows=True,
        legend="below",
    )


def _lines(low, high, which, role, label):
    """From low to high in each row of `which`, with gaps between: caps of so many rows would touch."""
    rows = np.flatnonzero(which)
    x = np.column_stack([low[rows], high[rows], np.full(len(rows), np.nan)])
    return Curve(x.ravel(), np.repeat(rows, 3), role, label)


# ------------------------------------------------------------------ leaks


def leak_prices(rows):
    """What each leak makes of an honest error. rows: name of the leak → (honest, leaked)."""
    return draw(leaks_scene(rows))


def leaks_scene(rows):
    """An arrow from the honest error to the one that the leak reports, a row for each leak.

    No mark at its head: on the shortest it would hide the arrow.
    """
    heights = np.arange(len(rows))[::-1]
    honest, leaked = np.transpose(list(rows.values()))
    low, high = 0.5 * min(leaked.min(), honest.min()), 2 * max(leaked.max(), honest.max())
    least = 1 - leaked / honest
    return Scene(
        title=f"Each leak reports less than the truth: {number(100 * least.min(), 2)} to "
        f"{number(100 * least.max(), 2)} % less",
        alt="For each leak an arrow to the left, from the honest error to the reported one, on a logarithmic axis: "
        + "; ".join(f"{name}, {number(a, 2)} to {number(b, 2)}" for name, (a, b) in rows.items())
        + ".",
        xlabel="squared error that is reported (logarithmic)",
        xlim=(low, high),
        ylim=(-0.7, len(rows) - 0.2),
        xlog=True,
        rows=True,
        arrows=[
            Arrow((a, y), (b, y), "high", "to the error with the leak")
            for a, b, y in zip(honest, leaked, heights, strict=True)
        ],
        points=[Points(honest, heights, "query", "honest error")],
        notes=[Note(low * 1.05, y + 0.28, name) for name, y in zip(rows, heights, strict=True)],
        legend="below",
    )
