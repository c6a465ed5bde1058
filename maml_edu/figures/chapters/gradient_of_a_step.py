"""Chapter 04: what changes when a gradient is taken through a gradient step.

The support loss is L_S(θ) = ½a(θ − c)², the query loss L_Q(θ) = ½b(θ − d)². One step gives φ = θ − αa(θ − c),
and dL_Q(φ)/dθ = (1 − αa)·b(φ − d). First-order MAML leaves out the factor (1 − αa). With many parameters the
factor is I − αH_S. Start from `two_arrows`, then `two_tasks`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Curve, Level, Note, Points, Scene, contours, number
from maml_edu.figures.static import draw

__all__ = ["two_arrows", "meta_loss_of_theta", "two_curvatures", "two_tasks"]

THETA = np.linspace(-4.2, 4.2, 169)
EDGE = 3.9  # no arrow goes beyond: both are drawn smaller, by one factor, which is then said
B = 0.8  # the query loss's curvature in all one-dimensional figures
TIE = 1e-9


def loss(theta, minimum, curvature):
    """½ curvature (θ − minimum)²; upside down, with its top at 5, where the curvature is negative."""
    return 0.5 * curvature * (theta - minimum) ** 2 + 5 * (curvature < 0)


def step(theta, c, a, alpha):
    """φ, one gradient step from θ on the support loss."""
    return theta - alpha * a * (theta - c)


def slopes(theta, c, a, d, alpha):
    """(meta-gradient dL_Q(φ)/dθ, first-order slope b(φ − d))."""
    first_order = B * (step(theta, c, a, alpha) - d)
    return (1 - alpha * a) * first_order, first_order


# ------------------------------------------------------------------ two arrows


def two_arrows():
    """Sliders for α, a, θ and d (θ can be dragged): where do the two gradients push θ?"""
    sliders = {
        "alpha": ("step size α", 0.0, 1.5, 0.4, 0.05),
        "a": ("support curvature a", -0.5, 2.0, 1.0, 0.1),
        "theta": ("parameter θ", -3.5, 3.5, 2.5, 0.1),
        "d": ("query minimum d", -2.0, 2.0, 0.6, 0.1),
    }
    return interactive(arrows_scene, sliders, twin=[{"alpha": 0.4}, {"alpha": 1.4}])


def arrows_scene(alpha=0.4, a=1.0, theta=2.5, d=0.6, c=0.0):
    """The two parabolas, θ, φ, and below them where each gradient would push θ."""
    phi = step(theta, c, a, alpha)
    meta, first_order = slopes(theta, c, a, d, alpha)
    scale = _scale(theta, (meta, first_order))
    return Scene(
        title=_what_the_arrows_do(alpha * a, first_order),
        alt=(
            f"α = {number(alpha, 2)}. Two parabolas: the support loss with its "
            f"{'top (5 is added to it)' if a < 0 else 'minimum'} at {number(c, 2)}, the query "
            f"loss with its minimum at {number(d, 2)}. On the first lie θ at "
            f"{number(theta, 2)} and, one step away, φ at {number(phi, 2)}; a dotted line leads from φ to "
            f"the query loss. Below, an arrow from θ for minus the meta-gradient, {_signed(-meta)}, and "
            f"one for minus the first-order gradient, {_signed(-first_order)}. A third curve shows the "
            "query loss after the step."
        ),
        xlabel="parameter",
        ylabel="loss",
        xlim=(-4.2, 4.2),
        ylim=(-2.4, 6),
        legend="below",
        curves=_losses(alpha, a, c, d) + [_judged(phi, c, a, d)],
        arrows=[
            Arrow((theta, loss(theta, c, a)), (phi, loss(phi, c, a)), "path", "the step θ → φ"),
            Arrow((theta, -0.9), (theta - scale * meta, -0.9), "maml", "push of the meta-gradient"),
            Arrow(
                (theta, -1.7),
                (theta - scale * first_order, -1.7),
                "first_order",
                "first-order push",
            ),
        ],
        points=[
            Points(phi, loss(phi, d, B), "query", "L_Q at φ"),
            Points(phi, loss(phi, c, a), "phi", "φ"),
            Points(theta, loss(theta, c, a), "theta", "θ", drag="theta", axis="x"),
        ],
        notes=[
            *_minima(c, d),
            *_name("φ", phi, loss(phi, c, a), theta < phi),
            *_name("θ", theta, loss(theta, c, a), theta >= phi),
            _value(theta, -meta, -0.9),
            _value(theta, -first_order, -1.7),
            *(
                [Note(-4.0, -2.15, f"arrows drawn at {number(scale)} of their length")]
                * (scale < 1)
            ),
        ],
    )


def _losses(alpha, a, c, d):
    after = loss(step(THETA, c, a, alpha), d, B)
    return [
        Curve(
            THETA,
            loss(THETA, c, a),
            "support_loss",
            "support loss L_S" + " + 5" * (a < 0),
        ),
        Curve(THETA, loss(THETA, d, B), "query_loss", "query loss L_Q"),
        Curve(THETA, after, "truth", "meta-loss L_Q(φ(θ))"),
    ]


def _judged(phi, c, a, d):
    return Curve([phi, phi], [loss(phi, c, a), loss(phi, d, B)], "neutral", "φ is judged by L_Q")


def _minima(c, d):
    ends = [Note(c, -0.35, "c", "middle"), Note(d, -0.35, "d", "middle")]
    return ends if abs(c - d) > 0.15 else [Note(c, -0.35, "c = d" if c == d else "c d", "middle")]


def _scale(theta, gradients):
    """1, ½, ¼ …: the largest at which all arrows from θ end inside the picture."""
    scale = 1.0
    while any(abs(theta - scale * gradient) > EDGE for gradient in gradients):
        scale /= 2
    return scale


def _name(text, x, y, right):
    """The name of a point, unless the point lies outside the picture."""
    if abs(x) > 4.2 or y > 5.5:
        return []
    side = 1 if right else -1
    return [Note(x + 0.22 * side, y + 0.3, text, "left" if right else "right")]


def _value(theta, push, y):
    """The arrow's value, at its tail, on the side where the arrow is not."""
    away = -1 if push > 0 else 1
    return Note(theta + 0.15 * away, y, _signed(push), "left" if away > 0 else "right")


def _signed(value):
    """A number with its sign; 0 has none."""
    value = 0.0 if abs(value) < TIE else value
    return f"{'+' if value > 0 else ''}{number(value, 2)}"


def _what_the_arrows_do(product, first_order):
    said = f"αa = {number(product)}"
    if abs(product) < TIE:
        return "αa = 0: no step, so both gradients are the query's slope at θ"
    if abs(first_order) < TIE:
        return "The step lands on d, the query's minimum: both gradients vanish"
    if abs(product - 1) < TIE:
        return "αa = 1: every start lands on c, yet first-order pushes"
    if product < 0:
        return f"{said} < 0: both push θ the same way, first-order too weakly"
    if product < 1:
        ratio = number(1 / (1 - product))
        return f"{said} < 1: both push θ the same way, first-order {ratio} times as hard"
    if product > 2 + TIE:
        return f"{said} > 2: each step leads further from c; first-order pushes the wrong way"
    return f"{said} > 1: the step overshoots c; first-order pushes θ the wrong way"


def two_curvatures(alpha=0.8, flat=0.5, steep=1.8, theta=2.3, d=-2.0):
    """A flat task and a steep one with the same α: first-order errs where it is steep."""
    return draw(arrows_scene(alpha, flat, theta, d), arrows_scene(alpha, steep, theta, d))


# ------------------------------------------------------------------ the meta-loss


def meta_loss_of_theta(alpha=1.4, a=1.0, theta=2.5):
    """L_Q(φ(θ)) against θ with its true slope, and with the first-order one."""
    return draw(meta_loss_scene(alpha, a, theta))


def meta_loss_scene(alpha=1.4, a=1.0, theta=2.5, d=0.6, c=0.0):
    """The query loss after a step as a function of the start, and two candidate tangents at θ."""
    meta, first_order = slopes(theta, c, a, d, alpha)
    height = loss(step(theta, c, a, alpha), d, B)
    after = loss(step(THETA, c, a, alpha), d, B)
    near = np.array([theta - 1.2, theta + 1.2])
    top = 1.3 * float(after.max()) or 1.0
    return Scene(
        title=(
            f"αa = {number(alpha * a)}: the meta-gradient {number(meta, 2)} is the slope of "
            f"L_Q(φ(θ)); the first-order {number(first_order, 2)} is not"
        ),
        alt=(
            f"The parabola L_Q(φ(θ)). At θ = {number(theta, 2)} a solid line of slope "
            f"{number(meta, 2)} touches it; a dash-dotted line of slope {number(first_order, 2)}, "
            "the first-order gradient, cuts through it."
        ),
        xlabel="parameter θ, before the step",
        ylabel="query loss after the step, L_Q(φ(θ))",
        xlim=(-4, 4),
        ylim=(-0.25 * top, top),
        curves=[
            Curve(THETA, after, "truth", "L_Q(φ(θ))"),
            Curve(near, height + meta * (near - theta), "maml", "slope (1 − αa)·b(φ − d)"),
            Curve(near, height + first_order * (near - theta), "first_order", "slope b(φ − d)"),
        ],
        points=[Points(theta, height, "theta", "θ")],
    )


# ------------------------------------------------------------------ two tasks, two parameters


def symmetric(flat, steep, degrees):
    """The symmetric matrix with curvature `steep` along the direction at `degrees`, `flat` across it."""
    along = _direction(degrees)
    across = np.array([-along[1], along[0]])
    return steep * np.outer(along, along) + flat * np.outer(across, across)


def _direction(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


STEEP = 60  # degrees: the steep direction of task 1
FLAT = 0.2  # the curvature across it
SUPPORT_MIN = np.array([[-1.5, 0.5], [1.4, -1.1]])  # (tasks, 2)
QUERY_MIN = np.array([[-0.9, 0.2], [0.9, -0.5]])
QUERY_H = np.array([symmetric(0.5, 1.1, 50), symmetric(0.5, 1.0, 150)])  # (tasks, 2, 2)
XLIM, YLIM = (-3.4, 3.4), (-2.8, 2.8)
HEIGHTS = [0.06, 0.25]  # of the contours
START = (1.5, 1.5)  # θ: task 1's push from here hides no eigenvector, with α = 0.3 and with α = 1


def support_h(steep):
    """H_S of both tasks, (tasks, 2, 2); the first one's steep curvature is the reader's."""
    return np.array([symmetric(FLAT, steep, STEEP), symmetric(0.3, 1.0, 160)])


def two_tasks():
    """Drag θ above two tasks: each task's φ and both pushes move along; and what I − αH_S does to vectors."""
    sliders = {
        "alpha": ("step size α", 0.0, 1.5, 0.3, 0.025),
        "steep": ("steep curvature λ₂ of task 1", -0.6, 2.0, 1.6, 0.1),
    }
    return interactive(two_tasks_scenes, sliders, drag={"theta": START}, twin=[{}, {"alpha": 1.0}])


def adapted(theta, alpha, steep):
    """φ of both tasks, (tasks, 2)."""
    return theta - alpha * np.einsum("tij,tj->ti", support_h(steep), theta - SUPPORT_MIN)


def gradients(theta, alpha, steep):
    """(meta-gradients, first-order gradients) of both tasks, (tasks, 2) each."""
    first = np.einsum("tij,tj->ti", QUERY_H, adapted(theta, alpha, steep) - QUERY_MIN)
    return first - alpha * np.einsum("tij,tj->ti", support_h(steep), first), first


def two_tasks_scenes(theta=START, alpha=0.3, steep=1.6):
    """The plane with both tasks, and the circle that task 1's factor makes an ellipse of."""
    theta = np.asarray(theta, dtype=float)
    return [_plane_scene(theta, alpha, steep), _factor_scene(theta, alpha, steep)]


def _plane_scene(theta, alpha, steep):
    phi = adapted(theta, alpha, steep)
    meta, first = (each.mean(axis=0) for each in gradients(theta, alpha, steep))
    return Scene(
        title=f"α = {number(alpha)}: {_what_the_pushes_do(meta, first)}",
        alt=(
            f"α = {number(alpha)}. A plane with two tasks, each with the contours of a support bowl and of a "
            f"query bowl a little away from it. θ is at {_place(theta)}; its steps lead to φ of task 1 at "
            f"{_place(phi[0])} and φ of task 2 at {_place(phi[1])}. From θ two arrows: minus the meta-gradient, "
            f"{_place(-meta)}, and minus the first-order gradient, {_place(-first)}, the means of both tasks."
        ),
        xlabel="θ₁",
        ylabel="θ₂",
        xlim=XLIM,
        ylim=YLIM,
        levels=_bowls(steep),
        arrows=[
            *(Arrow(tuple(theta), tuple(p), "path", "a step of each task") for p in phi),
            Arrow(tuple(theta), tuple(theta - meta), "maml", "push of the meta-gradient"),
            Arrow(tuple(theta), tuple(theta - first), "first_order", "first-order push"),
        ],
        points=[
            Points(*phi.T, "phi", "φ of each task"),
            Points(*theta, "theta", "θ", drag="theta"),
        ],
        notes=[
            *_names(
                ("φ, task 1", phi[0], theta),
                ("φ, task 2", phi[1], theta),
                ("θ", theta, phi.mean(axis=0)),
            ),
            Note(-3.3, -0.55, "task 1"),
            Note(2.3, -2.3, "task 2"),
        ],
        equal=True,
        legend="below",  # θ may be dragged anywhere, and contours fill the rest
    )


def _names(*named):
    """The names of points inside the picture, each on the side away from where its arrow comes from."""
    inside = [part for part in named if abs(part[1][0]) < XLIM[1] and abs(part[1][1]) < YLIM[1]]
    notes = []
    for text, point, origin in inside:
        right, above = point >= np.asarray(origin)
        x = point[0] + (0.15 if right else -0.15)
        notes.append(
            Note(x, point[1] + (0.2 if above else -0.25), text, "left" if right else "right")
        )
    return notes


def _bowls(steep):
    """Contours of the four losses."""
    kinds = [
        ("support_loss", "support loss", support_h(steep), SUPPORT_MIN),
        ("query_loss", "query loss", QUERY_H, QUERY_MIN),
    ]
    return [
        Level(contours(_bowl(h, minimum), XLIM, YLIM, HEIGHTS).lines, role, label)
        for role, label, matrices, minima in kinds
        for h, minimum in zip(matrices, minima, strict=True)
    ]


def _bowl(h, minimum):
    def height(x, y):
        away = np.stack([x - minimum[0], y - minimum[1]], axis=-1)
        return 0.5 * np.einsum("...i,ij,...j->...", away, h, away)

    return height


def _place(vector):
    return f"({number(vector[0], 2)}, {number(vector[1], 2)})"


def _what_the_pushes_do(meta, first):
    if np.linalg.norm(meta) < 0.03:
        left = number(np.linalg.norm(first), 2)
        return f"MAML rests here, its two pulls cancel; first-order still pushes, {left} long"
    if np.linalg.norm(first) < 0.03:
        left = number(np.linalg.norm(meta), 2)
        return f"first-order rests here; the meta-gradient still pushes, {left} long"
    angle = number(_angle(meta, first), 2)
    return f"the two pushes on θ are {angle}° apart"


def _angle(a, b):
    cosine = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _factor_scene(theta, alpha, steep):
    factors = 1 - alpha * np.array([FLAT, steep])
    axes = np.array([_direction(STEEP + 90), _direction(STEEP)])
    turn = np.linspace(0, 2 * np.pi, 121)
    circle = np.array([np.cos(turn), np.sin(turn)])
    made = np.eye(2) - alpha * support_h(steep)[0]
    ellipse = made @ circle
    push = -gradients(theta, alpha, steep)[1][0]
    push = push / max(np.linalg.norm(push), 1e-12)
    turned = made @ push
    return Scene(
        title=_what_the_factor_does(alpha, factors),
        alt=(
            f"α = {number(alpha)}; the support loss of task 1 has the curvature {number(FLAT)} along its flat "
            f"direction and {number(steep)} along its steep one. A dotted circle of radius 1 and the curve that "
            f"I − αH_S of task 1 makes of it, an ellipse with half axes "
            f"{number(abs(factors[0]), 2)} along the flat direction and {number(abs(factors[1]), 2)} "
            f"along the steep one. An arrow of length 1, task 1's first-order push, becomes {_place(turned)}, "
            f"{number(_angle(push, turned), 2)} degrees away from it."
        ),
        xlabel="first component",
        ylabel="second component",
        xlim=(-2.65, 2.65),
        ylim=(-2.18, 2.18),
        curves=[
            Curve(*circle, "neutral", "vectors of length 1"),
            Curve(*ellipse, "after", "the same, times I − αH_S"),
            *(_axis(axis, factor) for axis, factor in zip(axes, factors, strict=True)),
        ],
        arrows=[
            Arrow((0, 0), tuple(push), "first_order", "push of task 1, first-order"),
            Arrow((0, 0), tuple(turned), "maml", "that push, times I − αH_S"),
        ],
        notes=[
            Note(*(1.2 * max(1, abs(factors[1])) * axes[1]), f"steep, λ₂ = {number(steep)}"),
            Note(*(1.2 * axes[0]), f"flat, λ₁ = {number(FLAT)}", "right"),
        ],
        equal=True,
        legend="below",
    )


def _axis(axis, factor):
    """From the middle to what becomes of an eigenvector."""
    role, label = (
        ("path", "eigenvector, reversed") if factor < 0 else ("before", "eigenvector, not reversed")
    )
    return Curve([0, factor * axis[0]], [0, factor * axis[1]], role, label)


def _what_the_factor_does(alpha, factors):
    flat, steep = (number(0.0 if abs(f) < TIE else f, 2) for f in factors)
    said = f"α = {number(alpha)}, task 1: 1 − αλ₁ = {flat}, 1 − αλ₂ = {steep}"
    if abs(factors[1]) < TIE:
        return f"{said}: flattened to a line"
    if factors[1] < 0:
        return f"{said}: reversed"
    if factors[1] > 1 + TIE:
        return f"{said}: stretched"
    return said
