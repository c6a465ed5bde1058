"""Chapter 01: when following the slope arrives, and when it blows up.

The landscape is L(θ) = ½(λ₁θ₁² + λ₂θ₂²): a bowl when λ₁ = λ₂, a ravine when they differ. Start
from `descent_on_contours`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Points, Scene, contours, number
from maml_edu.figures.static import draw

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

    Without momentum |1 − αλ|; with it the spectral radius of θₖ₊₁ = (1 + μ − αλ)θₖ − μθₖ₋₁.
    """
    if momentum == 0:
        return abs(1 - alpha * curvature)
    turn = [[1 + momentum - alpha * curvature, -momentum], [1, 0]]
    return float(np.max(np.abs(np.linalg.eigvals(turn))))


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
    return Scene(
        title=f"In the long run each step multiplies the loss by {number(worst**2)}",
        alt=(
            f"The loss after each step on a logarithmic scale: it {trend}, from "
            f"{number(losses[0], 2)} to {number(losses[-1], 2)} after {step[-1]} steps."
        ),
        xlabel="step",
        ylabel="loss L(θ)",
        xlim=(0, max(step[-1], 1)),
        ylim=(1e-6, 1e4),
        ylog=True,
        curves=[
            Curve(step, losses, "path", "loss", markers=True),
            Curve(step, losses[0] * worst ** (2.0 * step), "neutral", "slowest direction's factor"),
        ],
    )


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
        f"With α = {number(alpha)} the {slower} direction is the slow one: "
        f"a factor {number(worst)} a step"
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
    """The factor |1 − αλ| against α: below 1 a direction converges, above 1 it blows up."""
    return draw(stability_scene(curvatures))


def stability_scene(curvatures=(1.0, 4.0)):
    """The factor per step of a flat and a steep direction against the step size."""
    low, high = sorted(curvatures)
    alpha = np.linspace(0, 2.5 / low, 251)
    best = 2 / (low + high)  # where both directions are equally fast
    return Scene(
        title=f"The steepest direction sets the limit: α < 2/λmax = {number(2 / high)}",
        alt=(
            "Two V-shaped curves, the factor per step against the step size. Each starts at 1, "
            f"falls to 0 at α = 1/λ and passes 1 again at α = 2/λ: {number(2 / low)} for the flat "
            f"direction, {number(2 / high)} for the steep one. A dotted line marks the factor 1."
        ),
        xlabel="step size α",
        ylabel="factor per step, |1 − αλ|",
        xlim=(0, alpha[-1]),
        ylim=(0, 2),
        curves=[
            Curve(alpha, np.ones_like(alpha), "neutral", "above 1: blows up"),
            Curve([2 / high, 2 / high], [0, 2], "neutral"),
            Curve(alpha, abs(1 - alpha * low), "low", f"flat direction: λ = {number(low)}"),
            Curve(alpha, abs(1 - alpha * high), "high", f"steep direction: λ = {number(high)}"),
        ],
        points=[Points(best, 1 - best * low, "goal", f"fastest for both: α = {number(best)}")],
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
        "path": ("shrinking steps", large / (1 + k / 8)),
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
        ylabel="parameter θ (minimum at 0)",
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
        ylabel="mean loss ½θ²",
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
