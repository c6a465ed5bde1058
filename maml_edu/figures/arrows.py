"""Chapter 04: what changes when a gradient is taken through a gradient step.

The loss is L(θ) = ½a(θ − c)², one step gives φ = θ − αa(θ − c), and dL(φ)/dθ = (1 − αa)·a(φ − c).
First-order MAML leaves out the factor (1 − αa). Start from `two_arrows`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Curve, Note, Points, Scene, number
from maml_edu.figures.static import draw

THETA = np.linspace(-4.2, 4.2, 169)
EDGE = 3.9  # arrows that would leave the picture stop here; their value stands beside them


def loss(theta, c, a):
    """L(θ) = ½a(θ − c)²."""
    return 0.5 * a * (theta - c) ** 2


def step(theta, c, a, alpha):
    """φ, one gradient step from θ."""
    return theta - alpha * a * (theta - c)


def slopes(theta, c, a, alpha):
    """(meta-gradient dL(φ)/dθ, first-order slope a(φ − c))."""
    first_order = a * (step(theta, c, a, alpha) - c)
    return (1 - alpha * a) * first_order, first_order


def two_arrows():
    """Sliders for α, a, θ and c (θ can be dragged): where do the two gradients push θ?"""
    sliders = {
        "alpha": ("step size α", 0.0, 1.5, 0.4, 0.05),
        "a": ("curvature a", 0.2, 2.0, 1.0, 0.1),
        "theta": ("parameter θ", -3.5, 3.5, 2.5, 0.1),
        "c": ("minimum c", -2.0, 2.0, 0.0, 0.1),
    }
    return interactive(arrows_scene, sliders, twin=[{"alpha": 0.4}, {"alpha": 1.4}])


def arrows_scene(alpha=0.4, a=1.0, theta=2.5, c=0.0):
    """The parabola, θ, φ, and below them where each gradient would push θ."""
    phi = step(theta, c, a, alpha)
    meta, first_order = slopes(theta, c, a, alpha)
    height = loss(phi, c, a)
    return Scene(
        title=_what_the_arrows_do(alpha * a, theta == c),
        alt=(
            f"A parabola with its minimum at {number(c, 2)}, θ at {number(theta, 2)} and, one step "
            f"away, φ at {number(phi, 2)}. Below, an arrow from θ for minus the meta-gradient, "
            f"{number(-meta, 2)}, and one for minus the first-order gradient, "
            f"{number(-first_order, 2)}. A flatter parabola shows the loss after the step."
        ),
        xlabel="parameter",
        ylabel="loss",
        xlim=(-4.2, 4.2),
        ylim=(-2.4, 6),
        curves=[
            Curve(THETA, loss(THETA, c, a), "before", "loss L"),
            Curve(
                THETA, loss(step(THETA, c, a, alpha), c, a), "after", "loss after a step, L(φ(θ))"
            ),
            Curve([theta, theta], [-2.4, loss(theta, c, a)], "neutral"),
            Curve([phi, theta], [height, height], "neutral"),
        ],
        arrows=[
            Arrow((theta, loss(theta, c, a)), (phi, height), "path", "the step θ → φ"),
            _push(theta, -meta, -0.8, "maml", "push of the meta-gradient"),
            _push(theta, -first_order, -1.7, "first_order", "push of first-order"),
        ],
        points=[
            Points(c, 0, "goal"),
            Points(phi, height, "phi"),
            Points(theta, loss(theta, c, a), "theta", "θ", drag="theta", axis="x"),
        ],
        notes=[
            Note(c, -0.45, "c", "middle"),
            _name("φ", phi, height, c),
            _name("θ", theta, loss(theta, c, a), c),
            _value(theta, -meta, -0.8),
            _value(theta, -first_order, -1.7),
        ],
    )


def _push(theta, push, y, role, label):
    return Arrow((theta, y), (float(np.clip(theta + push, -EDGE, EDGE)), y), role, label)


def _name(text, x, y, c):
    """The name of a point of the parabola, on the parabola's outer side."""
    side = 1 if x >= c else -1
    return Note(x + 0.32 * side, y, text, "left" if side > 0 else "right")


def _value(theta, push, y):
    """The arrow's value, beside its tail, on the side where the arrow is not."""
    away = -1 if push > 0 else 1
    text = f"{'+' if push > 0 else ''}{number(push, 2)}"
    return Note(theta + 0.15 * away, y, text, "left" if away > 0 else "right")


def _what_the_arrows_do(product, at_minimum):
    said = f"αa = {number(product)}"
    if at_minimum:
        return "θ is at the minimum: no step, no arrows"
    if abs(product - 1) < 1e-9:
        return "αa = 1: one step lands on c, and both gradients vanish"
    if product == 0:
        return "α = 0: no step, so both gradients are the plain slope"
    if product < 1:
        ratio = number(1 / (1 - product))
        return f"{said} < 1: both push θ towards c, first-order {ratio} times as hard"
    if product > 2:
        return f"{said} > 2: each step leads further away, and first-order pushes the wrong way"
    return f"{said} > 1: the step overshoots c, and first-order pushes θ the wrong way"


def meta_loss_of_theta(alpha=1.4, a=1.0, theta=2.5, c=0.0):
    """L(φ(θ)) against θ with its true slope, the first-order one beside it."""
    return draw(meta_loss_scene(alpha, a, theta, c))


def meta_loss_scene(alpha=1.4, a=1.0, theta=2.5, c=0.0):
    """The loss after a step as a function of the start, and two candidate tangents at θ."""
    meta, first_order = slopes(theta, c, a, alpha)
    height = loss(step(theta, c, a, alpha), c, a)
    after = loss(step(THETA, c, a, alpha), c, a)
    near = np.array([theta - 1.2, theta + 1.2])
    top = 1.15 * float(after.max()) or 1.0
    return Scene(
        title=(
            f"αa = {number(alpha * a)}: the meta-gradient {number(meta, 2)} is the slope of "
            f"L(φ(θ)); the first-order {number(first_order, 2)} is not"
        ),
        alt=(
            f"The parabola L(φ(θ)). At θ = {number(theta, 2)} a blue line of slope "
            f"{number(meta, 2)} touches it; a dashed red line of slope {number(first_order, 2)}, "
            "the first-order gradient, cuts through it."
        ),
        xlabel="parameter θ, before the step",
        ylabel="loss after the step, L(φ(θ))",
        xlim=(-4, 4),
        ylim=(-0.15 * top, top),
        curves=[
            Curve(THETA, after, "after", "L(φ(θ))"),
            Curve(near, height + meta * (near - theta), "maml", "slope (1 − αa)·a(φ − c)"),
            Curve(near, height + first_order * (near - theta), "first_order", "slope a(φ − c)"),
        ],
        points=[Points(theta, height, "theta", "θ")],
    )


def two_curvatures(alpha=0.8, flat=0.5, steep=1.8, theta=2.5):
    """The same step on a flat task and on a steep one: first-order errs where it is steep."""
    return draw(arrows_scene(alpha, flat, theta), arrows_scene(alpha, steep, theta))
