"""Chapter 07: MAML on sine waves, as it trains and as it adapts, next to a pretrained network.

Start from `scrub_adaptation`.
"""

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Band, Curve, Points, Scene, number
from maml_edu.figures.sines import AXES, X, adaptation, error_of_the_average
from maml_edu.figures.static import draw
from maml_edu.tasks import Sinusoids

__all__ = ["scrub_adaptation", "training_curve", "error_against_steps", "what_the_start_has"]

STEPS = 10  # inner steps that can be scrubbed through
TASKS, MOST_SHOTS = 12, 20
SEED = 7  # of the waves in the figure and of their support points

# Mean squared error after 1, 5 and 10 steps, 5 shots (Finn et al. 2017, Appendix C, Table 2).
PUBLISHED = {"maml": {1: 0.67, 5: 0.38, 10: 0.35}, "baseline": {1: 2.41, 5: 2.23, 10: 2.19}}


# ---------------------------------------------------------------- scrub the adaptation


def scrub_adaptation(
    maml_params, pretrained_params, inner_lr=0.01, pretrained_lr=None, apply=ref.mlp
):
    """Slide, or drag, through the inner steps on a new sine wave: MAML next to a pretrained network.

    Both take gradient steps on the same support points. `pretrained_lr` gives the second network a
    rate of its own: a number, or shots → rate, of which the nearest number of shots is taken.
    `apply(params, x)` maps (n, 1) → (n, 1) in NumPy. The first wave shown is a typical one for MAML.
    """
    tuned = inner_lr if pretrained_lr is None else pretrained_lr

    def scenes(steps, task, shots):
        other_lr = (
            tuned[min(tuned, key=lambda k: abs(k - shots))] if isinstance(tuned, dict) else tuned
        )
        networks = ((maml_params, inner_lr), (pretrained_params, other_lr))
        return scrub_scenes(networks, steps, task, shots, apply)

    sliders = {
        "steps": ("inner steps", 0, STEPS, 1, 1),
        "task": ("new task", 1, TASKS, typical_task(maml_params, inner_lr, 5, apply), 1),
        "shots": ("shots", 1, MOST_SHOTS, 5, 1),
    }
    return interactive(scenes, sliders, twin=[{"steps": 0}, {"steps": 1}, {"steps": 10}])


def typical_task(params, inner_lr, shots, apply=ref.mlp):
    """The number of the task whose errors before, after one and after all steps are the most usual."""
    errors = []
    for task in range(1, TASKS + 1):
        wave, support = a_task(task, shots)
        path = adaptation(params, support, inner_lr, STEPS, apply)[[0, 1, STEPS]]
        errors.append(np.log(np.mean((path - wave) ** 2, axis=1)))
    away = np.abs(errors - np.median(errors, axis=0)).sum(axis=1)  # (TASKS,)
    return int(np.argmin(np.nan_to_num(away, nan=np.inf))) + 1


def scrub_scenes(networks, steps=1, task=1, shots=5, apply=ref.mlp):
    """Left the two networks after `steps` on one task, right their errors at every step.

    networks: ((MAML's params, its rate), (the other's params, its rate)).
    """
    wave, support = a_task(task, shots)
    paths = [adaptation(params, support, rate, STEPS, apply) for params, rate in networks]
    errors = np.array([np.mean((path - wave) ** 2, axis=1) for path in paths])  # (2, STEPS + 1)
    shown = [path[steps] for path in paths]
    return [_fits(wave, support, shown, errors[:, steps], steps), _errors(errors, steps)]


def a_task(task, shots):
    """A wave on `X`, (201,), and `shots` support points of it, (shots, 2): more shots add points."""
    rng = np.random.default_rng(SEED)
    family = Sinusoids(shots=MOST_SHOTS)
    amplitude, phase = family.draw_waves(rng, TASKS)
    batch = family.sample_from(rng, amplitude, phase)
    points = np.hstack([batch.support_x[task - 1], batch.support_y[task - 1]])  # (MOST_SHOTS, 2)
    return amplitude[task - 1] * np.sin(X - phase[task - 1]), points[:shots]


def _times(steps):
    return "Before any step" if steps == 0 else f"After {steps} step{'s' if steps > 1 else ''}"


def _fits(wave, support, shown, errors, steps):
    maml, other = (number(error, 2) for error in errors)
    return Scene(
        title=f"{_times(steps)}: error {maml} of MAML, {other} of the pretrained network",
        alt=(
            f"A sine wave as a black line with {len(support)} orange support points on it. "
            f"{_times(steps)}, a blue line, MAML's network, has a mean squared distance of {maml} "
            f"from it, and a dashed pink line, the pretrained network, of {other}."
        ),
        curves=[
            Curve(X, wave, "truth", "a new wave"),
            Curve(X, shown[0], "maml", "MAML"),
            Curve(X, shown[1], "baseline", "pretrained"),
        ],
        points=[Points(*support.T, "support", "support points")],
        **AXES,
    )


def _errors(errors, steps):
    left = [100 * errors[row, steps] / errors[row, 0] for row in (0, 1)]
    maml, other = (f"{number(share, 2)}\u00a0%" for share in left)
    title = (
        f"{maml} of MAML's error is left, {other} of the other's"
        if steps
        else "Both begin with the error of a guess"
    )
    top = 1.15 * float(np.clip(np.nanmax(errors[:, 0]), 0.5, 15))
    axis = np.arange(STEPS + 1)
    return Scene(
        title=title,
        alt=(
            f"Mean squared error on this wave after 0 to {STEPS} inner steps: a blue line for MAML "
            f"from {number(errors[0, 0], 2)} to {number(errors[0, -1], 2)} and a dashed pink one "
            f"for the pretrained network from {number(errors[1, 0], 2)} to "
            f"{number(errors[1, -1], 2)}. A mark on each stands at {steps}."
        ),
        xlabel="inner steps",
        ylabel="error on the whole wave (MSE)",
        xlim=(-0.3, STEPS + 0.3),
        ylim=(0, top),
        curves=[
            Curve([steps, steps], [0, top], "neutral"),
            Curve(axis, errors[0], "maml", "MAML"),
            Curve(axis, errors[1], "baseline", "pretrained"),
        ],
        points=[
            Points(steps, errors[0, steps], "maml", drag="steps", axis="x"),
            Points(steps, errors[1, steps], "baseline"),
        ],
    )


# ---------------------------------------------------------------- training and evaluation


def training_curve(maml, pretrained=None, window=100):
    """The mean of the last `window` losses, from iteration `window` on; `pretrained` may be absent.

    maml: query loss after adaptation, (iterations,); pretrained: loss without it, (iterations,).
    """
    return draw(training_scene(maml, pretrained, window))


def training_scene(maml, pretrained=None, window=100):
    """The panel of `training_curve`."""
    runs = [("maml", "MAML, after its inner step", maml)]
    if pretrained is not None:
        runs.append(("baseline", "pretraining on all tasks", pretrained))
    smooth = [running_mean(losses, window) for _, _, losses in runs]
    limit, last = error_of_the_average(), max(len(losses) for _, _, losses in runs)
    title = (
        f"MAML's loss after adaptation falls from {_at(smooth[0], 0)} (mean of the first "
        f"{min(window, len(maml)):,}) to {_at(smooth[0], -1)}"
    )
    if pretrained is not None:
        title += f"; pretraining ends at {_at(smooth[1], -1)}"
    return Scene(
        title=title,
        alt=(
            f"Lines of the mean of the last {window} losses over {last} iterations, MAML's "
            f"solid and blue{', the other dashed and pink' if len(runs) > 1 else ''}; a dotted line "
            f"at {number(limit)} marks the least that a network can have which is the same "
            "for all tasks."
        ),
        xlabel="iterations of the outer loop",
        ylabel=f"loss (MSE), mean of the last {window}",
        xlim=(0, last),
        ylim=(0, max(4.5, *(1.05 * float(np.nanmax(s)) for s in smooth))),
        curves=[
            *[
                Curve(np.arange(len(losses) - len(s), len(losses)) + 1, s, role, label)
                for (role, label, losses), s in zip(runs, smooth, strict=True)
            ],
            Curve([0, last], [limit, limit], "neutral", "the average wave"),  # on top of the rest
        ],
    )


def _at(losses, place):
    return number(losses[place], places=2)


def running_mean(losses, window):
    """The mean of `window` losses in a row, (iterations − window + 1,): the first one ends at iteration `window`.

    Of fewer losses than `window` it is one number, the mean of all.
    """
    total = np.cumsum(np.insert(np.asarray(losses, dtype=float), 0, 0.0))
    window = min(window, len(losses))
    return (total[window:] - total[:-window]) / window


def error_against_steps(results):
    """Errors after each inner step on new tasks: for each number of shots the medians, and the means.

    results: shots → [(role, label, evaluation), …], evaluations as of `mt.evaluate`. Medians have their 95 %
    band everywhere; means only where `trust` says that theirs keeps its promise. Next to the means of 5 shots stand
    those that were published. All panels share one logarithmic axis.
    """
    limits = _error_limits([one for rows in results.values() for _, _, one in rows])
    panels = [
        scene(shots, rows, limits)
        for shots, rows in results.items()
        for scene in (median_scene, mean_scene)
    ]
    return draw(*panels, columns=2)


def _error_limits(evaluations):
    """One logarithmic axis for all panels, which an error of 100 does not flatten."""
    low = min(float(np.min(one.median_ci95[0])) for one in evaluations)
    high = max(float(np.nanmax(one.mean[:2] + one.ci95[:2])) for one in evaluations)
    return 0.7 * low, 2.5 * high


def median_scene(shots, rows, limits=(0.03, 8.0)):
    """The medians of one number of shots, each in its band."""
    axis = np.arange(len(rows[0][2].median))
    ends = [
        f"{label} from {number(one.median[0], 2)} to {number(one.median[-1], 2)}"
        for _, label, one in rows
    ]
    return Scene(
        title=f"MAML, {shots} shots: {rows[0][2].median[1]:.2f} after 1 step, "
        f"{rows[0][2].median[-1]:.2f} after {axis[-1]}",
        alt="Median of the squared errors on new waves against inner steps, on a logarithmic axis, "
        f"each line in its 95 % band: {'; '.join(ends)}.",
        bands=[Band(axis, *one.median_ci95, role) for role, _, one in rows],
        curves=[Curve(axis, one.median, role, label) for role, label, one in rows],
        **_error_axes("median of the MSE", axis, limits),
    )


def mean_scene(shots, rows, limits=(0.03, 8.0)):
    """The means of one number of shots, with a band where it keeps its promise, and the published ones."""
    axis = np.arange(len(rows[0][2].mean))
    away, whose = max((float(one.runaways[-1]), label) for _, label, one in rows)
    finding = (
        f"{100 * away:.1f} % run away ({whose})"
        if away
        else f"mean {' against '.join(f'{one.mean[-1]:.2f}' for _, _, one in rows)} after {axis[-1]} steps"
    )
    published = PUBLISHED if shots == 5 else {}
    names = {"maml": "MAML, published", "baseline": "pretrained, published"}
    return Scene(
        title=f"{shots} shots: {finding}",
        alt="Mean of the same errors against inner steps, with a 95 % band only where it keeps its "
        "promise: "
        + "; ".join(f"{label} ends at {number(one.mean[-1], 2)}" for _, label, one in rows)
        + "."
        + (" Marks at 1, 5 and 10 steps are the published means." if published else ""),
        bands=[_trusted_band(axis, one, role) for role, _, one in rows],
        curves=[Curve(axis, one.mean, role, label) for role, label, one in rows],
        points=[
            Points(list(known), list(known.values()), role, names[role])
            for role, known in published.items()
        ],
        **_error_axes("mean of the MSE", axis, limits),
    )


def _trusted_band(axis, one, role):
    """The band of a mean; a gap where it would promise too much."""
    half = np.where([word == "mean" for word in one.trust], one.ci95, np.nan)
    return Band(axis, one.mean - half, one.mean + half, role)


def _error_axes(ylabel, axis, limits):
    return {
        "xlabel": "inner steps on the support points",
        "ylabel": ylabel,
        "xlim": (-0.3, axis[-1] + 0.3),
        "ylim": limits,
        "ylog": True,
    }


# ---------------------------------------------------------------- what the start has


def what_the_start_has(
    maml_params, pretrained_params, inner_lr=0.01, pretrained_lr=None, apply=ref.mlp
):
    """Pull one of ten support points and see the whole curve answer: MAML's start, the pretrained one.

    The other nine lie on the curve already, so the step is that of the pulled one alone. Each network takes
    it at its own rate. Drag the point.
    """
    rates = (inner_lr, inner_lr if pretrained_lr is None else pretrained_lr)

    def scenes(place, pull):
        starts = zip(("maml", "baseline"), (maml_params, pretrained_params), rates, strict=True)
        return [
            start_scene(role, params, rate, place, pull, apply) for role, params, rate in starts
        ]

    sliders = {
        "place": ("x of the point", -4.5, 4.5, 1.0, 0.1),
        "pull": ("how far it is pulled", 0.5, 3.0, 2.0, 0.1),
    }
    return interactive(scenes, sliders, twin=[{"place": -2.5}, {"place": 1.0}])


def answer_to_a_pull(params, rate, place, pull, apply=ref.mlp, shots=10):
    """How much the curve changes on `X` by one step on `shots` points of which one is `pull` off it."""
    x = np.array([[float(place)]])
    support = np.hstack([x, apply(params, x) + pull])
    before, after = adaptation(params, support, rate / shots, 1, apply)  # a mean; the others are 0
    return after - before


def likeness_to_a_wave(change, place):
    """Correlation over `X` of a change of the curve with cos(x − place), a wave with its crest there."""
    return float(np.corrcoef(change, np.cos(X - place))[0, 1])


def start_scene(role, params, rate, place, pull, apply=ref.mlp):
    """One panel of `what_the_start_has`."""
    change = answer_to_a_pull(params, rate, place, pull, apply)
    name = {"maml": "MAML's start", "baseline": "Pretrained start"}[role]
    there = float(np.interp(place, X, change))
    alike = number(likeness_to_a_wave(change, place), 2)
    return Scene(
        title=f"{name}: {100 * there / pull:.0f} % of the pull, correlation with a wave {alike}",
        alt=f"The change of the network's curve by a step in which one of ten support points, at x = "
        f"{number(place, 2)}, was {number(pull, 2)} off it: {number(there, 2)} at that point. A dotted line is "
        f"a wave as high, with its crest there. Correlation of the change with the wave: {alike}.",
        curves=[
            Curve(X, change, role, "change of the whole curve"),
            Curve(X, there * np.cos(X - place), "neutral", "a wave as high at that point"),
        ],
        points=[Points(place, pull, "support", "the pulled point", drag="place", axis="x")],
        **{**AXES, "ylabel": "change of the output", "ylim": (-1.5, 3.3)},
    )
