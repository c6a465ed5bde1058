"""Chapter 01: when following the slope arrives, and when it blows up.

The landscape is L(θ) = ½(λ₁θ₁² + λ₂θ₂²): a bowl when λ₁ = λ₂, a ravine when they differ. Start
from `descent_on_contours`.
"""

import functools
from dataclasses import replace

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Note, Points, Scene, contours, number
from maml_edu.figures.static import draw

__all__ = [
    "descent_on_contours",
    "convergence_by_direction",
    "stability_limit",
    "noisy_descent",
    "momentum_map",
]

RATES = (0.7, 0.8, 0.9, 0.95)  # the lines of `momentum_map`
TIE = 1e-9  # closer to 1 than this, a factor neither grows nor shrinks


def loss(theta, curvatures):
    """½ Σ λᵢθᵢ² for theta (..., 2): a number each."""
    return 0.5 * np.sum(np.asarray(curvatures) * np.asarray(theta) ** 2, axis=-1)


def descend(start, curvatures, alpha, momentum=0.0, steps=30):
    """Gradient descent with heavy-ball momentum: the path (steps + 1, 2), `start` included."""
    theta, velocity = np.asarray(start, dtype=float), np.zeros(2)
    path = [theta]
    for _ in range(steps):
        velocity = momentum * velocity - alpha * np.asarray(curvatures) * theta
        theta = theta + velocity
        path.append(theta)
    return np.array(path)


def growth(curvature, alpha, momentum=0.0):
    """The factor by which the distance to the minimum shrinks (< 1) or grows (> 1) in the long run.

    The size of the larger root of z² − (1 + μ − αλ)z + μ = 0, where paths are θₖ = zᵏ; without momentum
    |1 − αλ|. Numbers or arrays.
    """
    middle = np.abs(1 + momentum - alpha * curvature)
    spread = middle**2 - 4 * momentum  # below 0: complex roots, whose product is μ
    real = (middle + np.sqrt(np.maximum(spread, 0))) / 2
    return np.where(spread < 0, np.sqrt(momentum), real)[()]


def descent_on_contours():
    """Drag the start; set α, momentum and the ravine's steepness; see the path and its loss."""
    sliders = {
        "alpha": ("step size α", 0.0, 0.4, 0.16, 0.005),
        "momentum": ("momentum μ", 0.0, 0.95, 0.0, 0.05),
        "steepness": ("steepness λmax", 1, 20, 10, 1),
        "steps": ("steps", 1, 100, 30, 1),
    }
    start = (-3.4, 1.8)
    twin = [{"alpha": 0.16}, {"alpha": 0.21, "steps": 12}]
    return interactive(descent_scenes, sliders, drag={"start": start}, twin=twin)


def descent_scenes(start=(-3.4, 1.8), alpha=0.16, momentum=0.0, steepness=10, steps=30):
    """The path over contours, and the loss along it. The flat direction has λ = 1."""
    curvatures = np.array([1.0, float(steepness)])
    path = descend(start, curvatures, alpha, momentum, steps)  # (steps + 1, 2)
    return [
        _path_scene(path, curvatures, alpha, momentum),
        _loss_scene(path, curvatures, alpha, momentum),
    ]


def verdict(path, curvatures, alpha, momentum=0.0):
    """In one sentence: what this descent does, and why."""
    steepest = max(curvatures)
    limit = 2 * (1 + momentum) / steepest
    rule = f"{'2(1 + μ)' if momentum else '2'}/λmax = {number(limit)}"
    worst = max(growth(c, alpha, momentum) for c in curvatures)
    left = loss(path[-1], curvatures) / max(loss(path[0], curvatures), 1e-300)
    if not np.any(path[0]):
        return "The start is the minimum: the slope is zero and nothing moves"
    if alpha == 0:
        return "α = 0: no step, no progress"
    if worst > 1 + TIE:
        return f"Blows up: α = {number(alpha)} is above the limit {rule}"
    if worst > 1 - TIE:
        return f"Bounces for ever: α = {number(alpha)} is the limit {rule}"
    manner = _manner(curvatures, alpha, momentum)
    if left > 0.01:
        return f"On its way{manner}: {number(100 * left, 2)} % of the loss left (limit {rule})"
    return f"Arrives{manner}: α = {number(alpha)} is below the limit {rule}"


def _manner(curvatures, alpha, momentum):
    if momentum == 0:
        return ", zigzagging" if 1 - alpha * max(curvatures) < -TIE else ""
    swings = any((1 + momentum - alpha * c) ** 2 < 4 * momentum for c in curvatures)
    return ", swinging" if swings else ""


def _path_scene(path, curvatures, alpha, momentum):
    xlim, ylim = (-4.0, 4.0), (-2.6, 2.6)
    top = loss((xlim[1], ylim[1]), curvatures)
    heights = top * (np.arange(1, 10) / 9) ** 2  # evenly spaced ellipses
    finding = verdict(path, curvatures, alpha, momentum)
    shape = "round" if curvatures[0] == curvatures[1] else "long, flat"
    return Scene(
        title=finding,
        alt=(
            f"Contours of a {shape} bowl, the minimum in the middle marked by a star. A path of "
            f"{len(path) - 1} gradient steps starts at ({number(path[0][0], 2)}, "
            f"{number(path[0][1], 2)}) and ends at ({number(path[-1][0], 2)}, "
            f"{number(path[-1][1], 2)})."
        ),
        xlabel="θ₁ (flat direction)",
        ylabel="θ₂ (steep direction)",
        xlim=xlim,
        ylim=ylim,
        levels=[contours(lambda x, y: _surface(x, y, curvatures), xlim, ylim, heights)],
        curves=[Curve(*path.T, "path", "gradient steps", markers=True)],
        points=[
            Points(0, 0, "goal", "minimum"),
            Points(*path[0], "support", "start", drag="start"),
        ],
        equal=True,
    )


def _surface(x, y, curvatures):
    return loss(np.stack([x, y], axis=-1), curvatures)


def _loss_scene(path, curvatures, alpha, momentum):
    step = np.arange(len(path))
    losses = loss(path, curvatures)
    worst = max(growth(c, alpha, momentum) for c in curvatures)
    trend = (
        "falls" if worst < 1 - TIE else "grows" if worst > 1 + TIE else "neither falls nor grows"
    )
    line, label = _trend_line(path, curvatures, alpha, momentum)
    return Scene(
        title=f"In the long run each step multiplies the distance by {number(worst)}, and the "
        f"loss by its square, {number(worst**2)}",
        alt=(
            f"The loss after each step on a logarithmic scale: it {trend}, from "
            f"{number(losses[0], 2)} to {number(losses[-1], 2)} after {step[-1]} steps. "
            f"A dotted straight line: {label}."
        ),
        xlabel="step",
        ylabel="loss L(θ)",
        xlim=(0, max(step[-1], 1)),
        ylim=(1e-6, 1e4),
        ylog=True,
        curves=[
            Curve(step, losses, "path", "loss", markers=True),
            Curve(step, line, "neutral", label),
        ],
    )


def _trend_line(path, curvatures, alpha, momentum):
    """The loss (steps + 1,) of the direction that decides in the long run, and a name for it.

    Without momentum that is a straight line from this direction's own loss. With it a direction's loss is
    none (it swings, or makes a detour first): then the long-run rate, drawn from the start of the whole loss.
    """
    rates = np.array([growth(c, alpha, momentum) for c in curvatures])
    worst = np.max(rates)
    decides = rates > worst - TIE
    own = 0.5 * np.sum(np.asarray(curvatures)[decides] * path[0][decides] ** 2)
    alone = momentum == 0 and own > 0
    name = "fastest-growing direction" if worst > 1 + TIE else "slowest direction"
    name = "both directions" if decides.all() else f"{name} alone"
    start = own if alone else loss(path[0], curvatures)
    steps = np.arange(len(path))
    return start * worst ** (2.0 * steps), name if alone else "long-run rate, from the start"


def convergence_by_direction(alpha=0.15, curvatures=(1.0, 10.0), steps=30):
    """Each direction shrinks by its own factor |1 − αλ| a step."""
    return draw(convergence_scene(alpha, curvatures, steps))


def convergence_scene(alpha=0.15, curvatures=(1.0, 10.0), steps=30):
    """The distance from the minimum in each of two directions, step by step."""
    step = np.arange(steps + 1)
    low, high = sorted(curvatures)
    factors = {role: 1 - alpha * c for role, c in (("low", low), ("high", high))}
    slower = "flat" if abs(factors["low"]) >= abs(factors["high"]) else "steep"
    worst = max(abs(f) for f in factors.values())
    finding = (
        f"With α = {number(alpha)} the {slower} direction is the slow one: a step "
        f"leaves {number(worst)} of its distance"
        if worst < 1
        else f"α = {number(alpha)} is too much for the steep direction: it grows"
    )
    return Scene(
        title=finding,
        alt=(
            "Two straight lines on a logarithmic scale: the part of the distance that is left "
            f"after each step. Flat direction: times {number(abs(factors['low']))} a step; steep "
            f"direction: times {number(abs(factors['high']))} a step."
        ),
        xlabel="step k",
        ylabel="distance left, |1 − αλ|ᵏ",
        xlim=(0, steps),
        ylim=(1e-5, 2 if worst <= 1 else 1e5),
        ylog=True,
        curves=[
            Curve(step, abs(factors[role]) ** step, role, f"{name}: λ = {number(c)}", markers=True)
            for role, name, c in (("low", "flat direction", low), ("high", "steep direction", high))
        ],
    )


def stability_limit(curvatures=(1.0, 4.0)):
    """The rate |1 − αλ| against α: below 1 a direction converges, above 1 it blows up."""
    return draw(stability_scene(curvatures))


def stability_scene(curvatures=(1.0, 4.0)):
    """The rate of a flat and a steep direction against the step size; names stand at the lines."""
    low, high = sorted(curvatures)
    alpha = np.linspace(0, 2.5 / low, 251)
    best = 2 / (low + high)  # where both directions are equally slow
    return Scene(
        title=f"The steepest direction sets the limit: α < 2/λmax = {number(2 / high)}",
        alt=(
            "Two V-shaped curves, the rate per step against the step size. Each starts at 1, "
            f"falls to 0 at α = 1/λ and passes 1 again at α = 2/λ: {number(2 / low)} for the flat "
            f"direction, {number(2 / high)} for the steep one. A level dotted line marks the rate "
            "1, an upright one the limit of the steep direction. A star marks where the curves cross "
            f"at α = {number(best)}: both directions are equally slow there."
        ),
        xlabel="step size α",
        ylabel="rate per step, |1 − αλ|",
        xlim=(0, alpha[-1]),
        ylim=(0, 2),
        curves=[
            Curve(alpha, np.ones_like(alpha), "neutral"),
            Curve([2 / high, 2 / high], [0, 2], "neutral"),
            Curve(alpha, abs(1 - alpha * low), "low"),
            Curve(alpha, abs(1 - alpha * high), "high"),
        ],
        points=[Points(best, 1 - best * low, "goal")],
        notes=[
            Note(2 / high - 0.03 / low, 1.88, "2/λmax", "right"),  # the steep line is on the right
            Note(2.85 / high, 1.7, f"steep direction: λ = {number(high)}", role="high"),
            Note(1.62 / low, 0.52, f"flat direction: λ = {number(low)}", role="low"),
            Note(1.9 / low, 1.07, "rate 1; above it: blows up", "right"),
            # to the right of the limit's line, which would run through the words
            Note(2 / high + 0.04 / low, 1 - best * low, f"both equally slow: α = {number(best)}"),
        ],
    )


def momentum_map(curvatures=(1.0, 20.0)):
    """Every α and μ on one map: drag the point, and see the descent that it stands for."""
    low, high = sorted(curvatures)
    plain = (2 / (low + high), 0.0)

    def scenes(setting):
        return momentum_scenes(setting, (low, high))

    twin = [{"setting": place} for place in (plain, best_pair(low, high))]
    return interactive(scenes, drag={"setting": plain}, twin=twin)


def best_pair(low, high):
    """α and μ with the best long-run rate, √μ, in a ravine of curvatures low … high."""
    root = (np.sqrt(high) - np.sqrt(low)) / (np.sqrt(high) + np.sqrt(low))
    return 4 / (np.sqrt(low) + np.sqrt(high)) ** 2, root**2


def momentum_scenes(setting, curvatures):
    """Left the map, right the loss along the descent with the α and μ of `setting`."""
    low, high = curvatures
    alpha = float(np.clip(setting[0], 0, 4 / high))
    momentum = float(np.clip(setting[1], 0, 0.98))
    path = descend((1.0, 1.0), curvatures, alpha, momentum, steps=100)
    return [
        _map_scene(alpha, momentum, curvatures),
        _loss_scene(path, curvatures, alpha, momentum),
    ]


@functools.cache
def _lines_of_one_rate(curvatures):
    low, high = curvatures

    def rate(alpha, momentum):
        return np.maximum(growth(low, alpha, momentum), growth(high, alpha, momentum))

    lines = contours(rate, (0.0, 4 / high), (0.0, 0.999), RATES, size=401)
    return replace(lines, label="pairs of one long-run rate")


def _map_scene(alpha, momentum, curvatures):
    low, high = curvatures
    xlim, ylim = (0.0, 4 / high), (-0.04, 1.0)  # a point at μ = 0 is seen whole
    rate = max(growth(c, alpha, momentum) for c in curvatures)
    best_alpha, best_momentum = best_pair(low, high)
    mu = np.linspace(0, 1, 101)
    place = f"α = {number(alpha, 4)}, μ = {number(momentum, 4)}"
    return Scene(
        title=f"{place}: in the long run each step multiplies the distance by {number(rate)}",
        alt=(
            "A map with the step size α across and the momentum μ upwards. Contour lines of "
            f"the rates {', '.join(map(str, RATES))} lie within one another like sails, and narrow "
            f"towards a star at α = {number(best_alpha, 4)}, μ = {number(best_momentum, 4)}. A dotted "
            "line from lower left to upper right is the limit 2(1 + μ)/λmax; to its right descent "
            f"blows up. A point marks {place}."
        ),
        xlabel="step size α",
        ylabel="momentum μ",
        xlim=xlim,
        ylim=ylim,
        levels=[_lines_of_one_rate(curvatures)],
        curves=[Curve(2 * (1 + mu) / high, mu, "neutral", "limit, 2(1 + μ)/λmax")],
        points=[
            Points(best_alpha, best_momentum, "goal", "best long-run rate of all"),
            Points(alpha, momentum, "support", "your α and μ", drag="setting"),
        ],
        notes=[
            # √μ is the rate along the top of each line
            *[Note(2.2 / high, rate**2 + 0.015, number(rate), "middle") for rate in RATES],
            Note(3.1 / high, 0.12, "blows up", "middle"),
        ],
        legend="below",
    )


def noisy_descent(large=0.5, small=0.05, noise=1.0, steps=120, seed=0):
    """Descent on ½θ² whose slope is measured with an error: large steps, small steps, shrinking."""
    return draw(*noisy_scenes(large, small, noise, steps, seed))


def noisy_runs(rates, noise, steps, runs, seed, start=4.0):
    """θ of `runs` noisy descents on ½θ², (steps + 1, runs); rates: α of each step, (steps,)."""
    rng = np.random.default_rng(seed)
    theta = np.full(runs, start)
    path = [theta]
    for alpha in rates:
        theta = theta - alpha * (theta + noise * rng.standard_normal(runs))
        path.append(theta)
    return np.array(path)


def noise_floor(alpha, noise):
    """Mean loss that noisy descent on ½θ² settles at: ασ² / (2(2 − α))."""
    return alpha * noise**2 / (2 * (2 - alpha))


def noisy_scenes(large=0.5, small=0.05, noise=1.0, steps=120, seed=0):
    """Left: one run of each. Right: the mean loss of 500 runs, and where it settles."""
    k = np.arange(steps)
    schedules = {
        "high": (f"large steps, α = {number(large)}", np.full(steps, large)),
        "low": (f"small steps, α = {number(small)}", np.full(steps, small)),
        "path": (f"shrinking steps, α = {number(large)}/(1 + k/8)", large / (1 + k / 8)),
    }
    runs = {
        role: noisy_runs(rates, noise, steps, 500, seed) for role, (_, rates) in schedules.items()
    }
    labels = {role: label for role, (label, _) in schedules.items()}
    return [_one_run_scene(runs, labels), _mean_loss_scene(runs, labels, large, small, noise)]


def _one_run_scene(runs, labels):
    step = np.arange(len(runs["high"]))
    return Scene(
        title="A noisy slope: large steps never settle, small ones take long",
        alt=(
            "One run of each: with large steps θ falls from 4 to 0 at once and then jumps about; "
            "with small steps it glides down slowly and smoothly; with shrinking steps it falls at "
            "once and then calms down."
        ),
        xlabel="step",
        ylabel="θ of one run (minimum at 0)",
        xlim=(0, step[-1]),
        ylim=(-2.5, 4.5),
        curves=[Curve(step, runs[role][:, 0], role, label) for role, label in labels.items()],
    )


def _mean_loss_scene(runs, labels, large, small, noise):
    step = np.arange(len(runs["high"]))
    floors = [noise_floor(alpha, noise) for alpha in (large, small)]
    return Scene(
        title="The floor of the loss is set by α, so shrink α to arrive",
        alt=(
            "The mean loss of 500 runs on a logarithmic scale. Large steps fall fastest and stay "
            f"at {number(floors[0], 2)}; small steps fall slowly towards {number(floors[1], 2)}; "
            "shrinking steps fall fast and go on falling. Dotted lines mark the two floors."
        ),
        xlabel="step",
        ylabel="mean loss ½θ² of 500 runs",
        xlim=(0, step[-1]),
        ylim=(3e-3, 2e1),
        ylog=True,
        curves=[
            *[
                Curve(step, np.mean(runs[r] ** 2, axis=1) / 2, r, label)
                for r, label in labels.items()
            ],
            *[
                Curve([0, step[-1]], [floor, floor], "neutral", "floor, ασ²/(2(2 − α))")
                for floor in floors
            ],
        ],
    )
