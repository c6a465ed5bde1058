"""Chapter 07: MAML on sine waves, as it trains and as it adapts, beside a pretrained network.

Start from `scrub_adaptation`.
"""

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Band, Curve, Points, Scene, number
from maml_edu.figures.static import draw
from maml_edu.tasks import Sinusoids

X = np.linspace(-5, 5, 201)  # where curves are drawn and errors are measured
STEPS = 10  # inner steps that can be scrubbed through
TASKS, MOST_SHOTS = 12, 20
SEED = 7  # of the waves in the figure and of their support points

# Mean squared error after 1, 5 and 10 steps, 5 shots (Finn et al. 2017, Appendix C, Table 2).
PUBLISHED = {"maml": {1: 0.67, 5: 0.38, 10: 0.35}, "baseline": {1: 2.41, 5: 2.23, 10: 2.19}}


def error_of_the_average():
    """The least MSE, over all waves, of any one function x → y: that of the average wave.

    E[A²]/2 − (E[A]·2/π)²·E[cos² x], for A ~ U[0.1, 5], phase ~ U[0, π] and x ~ U[−5, 5].
    """
    mean_square = (5**3 - 0.1**3) / (3 * 4.9)  # E[A²]
    return mean_square / 2 - (2.55 * 2 / np.pi) ** 2 * (0.5 + np.sin(10) / 20)


# ---------------------------------------------------------------- scrub the adaptation


def scrub_adaptation(
    maml_params, pretrained_params, inner_lr=0.01, pretrained_lr=None, apply=ref.mlp
):
    """Slide, or drag, through the inner steps on a new sine wave: MAML beside a pretrained network.

    Both take gradient steps on the same support points. `pretrained_lr` gives the second network a
    rate of its own: a number, or shots → rate, of which the nearest number of shots is taken.
    `apply(params, x)` maps (n, 1) → (n, 1) in NumPy.
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
        "task": ("new task", 1, TASKS, 1, 1),
        "shots": ("shots K", 1, MOST_SHOTS, 5, 1),
    }
    return interactive(scenes, sliders, twin=[{"steps": 0}, {"steps": 1}, {"steps": 10}])


def scrub_scenes(networks, steps=1, task=1, shots=5, apply=ref.mlp):
    """Left the two networks after `steps` on one task, right their errors at every step.

    networks: ((MAML's params, its rate), (the other's params, its rate)).
    """
    wave, support = a_task(task, shots)
    paths = [adaptation(params, support, rate, apply) for params, rate in networks]
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


def adaptation(params, support, inner_lr, apply):
    """The network's outputs on `X` after 0, 1, …, `STEPS` inner steps: (STEPS + 1, 201)."""

    def loss(p, x, y):
        return np.mean((apply(p, x) - y) ** 2)

    outputs = [apply(params, X[:, None])[:, 0]]
    for _ in range(STEPS):
        params = ref.adapt(loss, params, support[:, :1], support[:, 1:], inner_lr, 1)
        outputs.append(apply(params, X[:, None])[:, 0])
    return np.array(outputs)


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
        xlabel="input x",
        ylabel="output y",
        xlim=(-5, 5),
        ylim=(-6, 6),
        curves=[
            Curve(X, wave, "truth", "a new wave"),
            Curve(X, shown[0], "maml", "MAML"),
            Curve(X, shown[1], "baseline", "pretrained"),
        ],
        points=[Points(*support.T, "support", "support points")],
    )


def _errors(errors, steps):
    changes = [100 * (after / before - 1) for before, after in errors[:, :2]]
    maml, other = (f"{'+' if change > 0 else ''}{number(change, 2)}\u00a0%" for change in changes)
    top = 1.15 * float(np.clip(np.nanmax(errors[:, 0]), 0.5, 15))
    axis = np.arange(STEPS + 1)
    return Scene(
        title=f"First step: MAML's error changes by {maml}, the other's by {other}",
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
    """Loss of every outer iteration, averaged over the last `window`; `pretrained` may be absent.

    maml: query loss after adaptation, (iterations,); pretrained: loss without it, (iterations,).
    """
    return draw(training_scene(maml, pretrained, window))


def training_scene(maml, pretrained=None, window=100):
    """The panel of `training_curve`."""
    runs = [("maml", "MAML, after its inner step", maml)]
    if pretrained is not None:
        runs.append(("baseline", "pretraining on all tasks", pretrained))
    smooth = [running_mean(losses, window) for _, _, losses in runs]  # (iterations,) each
    limit, last = error_of_the_average(), max(map(len, smooth))
    title = f"MAML's loss after adaptation falls from {_at(smooth[0], 0)} to {_at(smooth[0], -1)}"
    if pretrained is not None:
        title += f"; pretraining ends at {_at(smooth[1], -1)}"
    return Scene(
        title=title,
        alt=(
            f"{title}. Lines of the mean of the last {window} losses over {last} iterations, MAML's "
            f"solid and blue{', the other dashed and pink' if len(runs) > 1 else ''}; a dotted line "
            f"at {number(limit)} marks the least that a network can have which is the same "
            "for all tasks."
        ),
        xlabel="iterations of the outer loop",
        ylabel=f"loss (MSE), mean of the last {window}",
        xlim=(0, last),
        ylim=(0, max(4.5, *(1.05 * float(np.nanmax(s)) for s in smooth))),
        curves=[
            Curve([0, last], [limit, limit], "neutral", "the average wave"),
            *[
                Curve(np.arange(1, len(s) + 1), s, role, label)
                for (role, label, _), s in zip(runs, smooth, strict=True)
            ],
        ],
    )


def _at(losses, place):
    return number(losses[place], 2)


def running_mean(losses, window):
    """The mean of the last `window` losses at every iteration; the first ones hold what there is.

    The very first means are of few losses and jump, so each holds at least `window // 4` of them.
    """
    total = np.cumsum(np.insert(np.asarray(losses, dtype=float), 0, 0.0))
    least = min(max(1, window // 4), len(losses))
    ends = np.maximum(np.arange(1, len(losses) + 1), least)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)


def error_against_steps(results):
    """MSE after each inner step on new tasks, with 95 % intervals, a panel per number of shots.

    results: shots → (MAML's evaluation, the pretrained network's), each with `mean` and `ci95`,
    (steps + 1,), and `values`, (tasks, steps + 1). The panel of 5 shots shows the published values, too.
    """
    highest = max(float(np.max(r.mean[:2] + r.ci95[:2])) for pair in results.values() for r in pair)
    return draw(*[error_scene(shots, *pair, 1.05 * highest) for shots, pair in results.items()])


def error_scene(shots, maml, pretrained, top=3.6):
    """One panel of `error_against_steps`."""
    axis = np.arange(len(maml.mean))
    pairs = [("maml", "MAML", maml), ("baseline", "pretrained", pretrained)]
    published = PUBLISHED if shots == 5 else {}
    ends = [f"{number(r.mean[0], 2)} to {number(r.mean[-1], 2)}" for _, _, r in pairs]
    title = (
        f"{shots} shots: one step takes MAML to {number(maml.mean[1], 2)}, "
        f"pretraining to {number(pretrained.mean[1], 2)}"
    )
    return Scene(
        title=title,
        alt=(
            f"Mean squared error on new waves against inner steps: a blue line for MAML from "
            f"{ends[0]}, a dashed pink one for the pretrained network from {ends[1]}, each in a "
            f"band of its 95 % confidence interval. A dotted line, MAML's median, ends at "
            f"{number(np.median(maml.values[:, -1]), 2)}."
            + (" Marks at 1, 5 and 10 steps are the published values." if published else "")
        ),
        xlabel="inner steps on the support points",
        ylabel="MSE on new tasks",
        xlim=(-0.3, axis[-1] + 0.3),
        ylim=(0, top),
        bands=[
            Band(axis, r.mean - r.ci95, r.mean + r.ci95, role, "95 % interval of the mean")
            for role, _, r in pairs
        ],
        curves=[
            *[Curve(axis, r.mean, role, f"{label}, mean") for role, label, r in pairs],
            Curve(axis, np.median(maml.values, axis=0), "neutral", "MAML, median"),
        ],
        points=[
            Points(list(known), list(known.values()), role, f"{role_name(role)} in the paper")
            for role, known in published.items()
        ],
    )


def role_name(role):
    """How a legend calls a role of this chapter."""
    return {"maml": "MAML", "baseline": "pretrained"}[role]
