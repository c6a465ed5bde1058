"""Chapter 06: what happens to a gradient on its way back through K inner steps.

The live figure has two tasks and two parameters. Along its own axes (u flat, w steep) a task's support loss is
½ FLAT u² + STEEP (1 − cos(BEND w)) / BEND², whose curvature at the minimum is FLAT one way and STEEP the other.
So a step is a formula, and K of them on a whole grid of starts take milliseconds. Start from `wandering_star`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import (
    Arrow,
    Band,
    Curve,
    Level,
    Note,
    Points,
    Scene,
    number,
)
from maml_edu.figures.static import draw

__all__ = [
    "wandering_star",
    "signal_walking_back",
    "rate_finds_itself",
    "short_and_long_horizons",
    "sets_in_memory",
]

# ------------------------------------------------------------------ two tasks, two parameters

FLAT, STEEP, BEND = 0.1, 3.5, 0.6
ANGLES = np.radians([75.0, -25.0])  # the direction in which each task is steep
SUPPORT_MIN = np.array([[-1.3, 0.3], [1.2, -0.5]])  # (tasks, 2), in the plane
QUERY_OFF = np.array([[0.35, 0.35], [-0.3, 0.3]])  # query minus support minimum along (u, w)
QUERY_H = np.array([0.5, 1.0])  # the query loss's curvatures along (u, w)
XLIM, YLIM, SIZE = (-3.3, 3.3), (-2.7, 2.7), 91
ABOVE = (0.03, 0.12, 0.35, 0.8, 1.6)  # heights of the contours above the star
LONGEST = 1.5  # of an arrow, in units of the plane
SHORT = 0.5  # an arrow that would leave the picture is drawn shorter, but not shorter than this
LIMIT, CHAOS = 2.0, 3.5  # of αλ: beyond the one paths hop, beyond the other without a period
SHORTEST = 8  # points of a contour: a shattered surface has thousands of specks
RIM = 30  # points of a contour that ends at the rim: a shorter one is a scrap of another basin


def own_axes():
    """The directions (u, w) of each task as rows, (tasks, 2, 2)."""
    cos, sin = np.cos(ANGLES), np.sin(ANGLES)
    return np.stack([np.stack([-sin, cos], axis=1), np.stack([cos, sin], axis=1)], axis=1)


def to_own(points):
    """Points (2, …) of the plane along both tasks' own axes, (tasks, 2, …)."""
    away = points[None] - SUPPORT_MIN.reshape(2, 2, *[1] * (points.ndim - 1))
    return np.einsum("tij,tj...->ti...", own_axes(), away)


def to_plane(own):
    """The inverse of `to_own` for one place of each task: (tasks, 2) → (tasks, 2)."""
    return SUPPORT_MIN + np.einsum("tij,ti->tj", own_axes(), own)


def inner_step(own, alpha):
    """One step of both tasks from `own` (tasks, 2, …)."""
    slope = np.stack([FLAT * own[:, 0], STEEP / BEND * np.sin(BEND * own[:, 1])], axis=1)
    return own - alpha * slope


def factors(own, alpha):
    """The eigenvalues of I − αH there, (tasks, 2): H is diagonal along a task's own axes."""
    curvature = np.stack([np.full(2, FLAT), STEEP * np.cos(BEND * own[:, 1])], axis=1)
    return 1 - alpha * curvature


def query_losses(own):
    """Both tasks' query losses, (tasks, …)."""
    off = own - QUERY_OFF.reshape(2, 2, *[1] * (own.ndim - 2))
    return 0.5 * np.einsum("i,ti...->t...", QUERY_H, off**2)


def paths(theta, alpha, steps):
    """φ₀ … φ_K of both tasks along their own axes, (steps + 1, tasks, 2)."""
    path = [to_own(np.asarray(theta, dtype=float))]
    for _ in range(steps):
        path.append(inner_step(path[-1], alpha))
    return np.array(path)


def walked_back(path, alpha, back):
    """The mean over tasks of the query gradient at φ_K, carried back through the last `back` steps, (2,)."""
    v = QUERY_H * (path[-1] - QUERY_OFF)  # (tasks, 2)
    for own in path[::-1][1 : back + 1]:
        v = factors(own, alpha) * v
    return np.einsum("tij,ti->tj", own_axes(), v).mean(axis=0)


def meta_losses(alpha, steps):
    """The meta-loss after 0, 1, …, `steps` steps on the grid of starts, (steps + 1, SIZE, SIZE)."""
    x, y = np.meshgrid(np.linspace(*XLIM, SIZE), np.linspace(*YLIM, SIZE))
    own, losses = to_own(np.stack([x, y])), []
    for k in range(steps + 1):
        losses.append(query_losses(own).mean(axis=0))
        own = inner_step(own, alpha) if k < steps else own
    return np.array(losses)


def star_of(losses):
    """The lowest place (x, y) of a grid, and its height; between grid points by a parabola each way."""
    row, column = np.unravel_index(np.argmin(losses), losses.shape)
    place = []
    for at, line, limits in ((column, losses[row], XLIM), (row, losses[:, column], YLIM)):
        if 0 < at < SIZE - 1:
            left, middle, right = line[at - 1 : at + 2]
            at = at + 0.5 * (left - right) / max(left - 2 * middle + right, 1e-12)
        place.append(limits[0] + at * (limits[1] - limits[0]) / (SIZE - 1))
    return tuple(place), float(losses[row, column])


def wandering_star():
    """Drag θ above two tasks, with sliders for K, α and how many steps are walked back."""
    sliders = {
        "steps": ("inner steps K", 0, 20, 8, 1),
        "alpha": ("step size α", 0.0, 1.2, 0.3, 0.02),
        "back": ("steps walked back, at most", 0, 20, 2, 1),
    }
    twin = [{}, {"alpha": 1.1, "steps": 20}]
    return interactive(star_scene, sliders, drag={"theta": (2.3, 1.6)}, twin=twin)


def star_scene(theta=(2.3, 1.6), steps=8, alpha=0.3, back=2):
    """The meta-loss over the plane of starts, its star, both paths from θ, and two arrows at θ."""
    theta = np.asarray(theta, dtype=float)
    path, losses = paths(theta, alpha, steps), meta_losses(alpha, steps)
    full, cut = (-walked_back(path, alpha, n) for n in (steps, min(back, steps)))
    trail = np.array([star_of(surface)[0] for surface in losses])  # (steps + 1, 2)
    scale = min(
        1.0, *(_room(theta, push) / max(np.linalg.norm(push), 1e-12) for push in (full, cut))
    )
    places = np.array([to_plane(own) for own in path])  # (steps + 1, tasks, 2)
    return Scene(
        title=_what_the_surface_does(alpha, steps, full, cut),
        alt=(
            f"K = {steps}, α = {number(alpha)}. Contours of the meta-loss over a plane of starts; its lowest "
            f"place, a star, is at {_place(trail[-1])}, and a thin line shows its way there from K = 0. θ is at "
            f"{_place(theta)}; two paths lead from it to the end of task 1 at {_place(places[-1, 0])} and that of "
            f"task 2 at {_place(places[-1, 1])}. Two arrows at θ: minus the meta-gradient, "
            f"{number(np.linalg.norm(full), 2)} long, and minus what is left when only the last "
            f"{min(back, steps)} steps are walked back, "
            f"{number(np.linalg.norm(cut), 2)} long."
        ),
        xlabel="θ₁",
        ylabel="θ₂",
        xlim=XLIM,
        ylim=YLIM,
        levels=[_contours(losses[-1])],
        curves=[
            Curve(*trail.T, "neutral", "the star's way"),
            *(Curve(*places[:, t].T, "path", "inner steps", markers=True) for t in (0, 1)),
        ],
        arrows=[
            Arrow(tuple(theta), tuple(theta + scale * cut), "first_order", "truncated push"),
            Arrow(tuple(theta), tuple(theta + scale * full), "maml", "full push"),
        ],
        points=[
            Points(*trail[-1], "goal", "the best start"),
            Points(*SUPPORT_MIN.T, "support", "support minima"),
            Points(*places[-1].T, "phi", "ends of paths"),
            Points(*theta, "theta", "θ", drag="theta"),
        ],
        notes=[*_scale_note(scale), *_names(places[-1])],
        equal=True,
        legend="below",
    )


def _contours(surface):
    import contourpy  # comes with matplotlib

    x, y = np.linspace(*XLIM, SIZE), np.linspace(*YLIM, SIZE)
    maker = contourpy.contour_generator(x=x, y=y, z=surface)
    heights = float(surface.min()) + np.array(ABOVE)
    lines = [line for height in heights for line in maker.lines(height) if _is_seen(line)]
    return Level(lines, "surface", "meta-loss")


def _is_seen(line):
    closed = np.array_equal(line[0], line[-1])
    return len(line) > (SHORTEST if closed else RIM)


def _room(theta, push):
    """How long an arrow from θ that way may be drawn."""
    ends = np.where(push > 0, 1, -1) * (XLIM[1] - 0.1, YLIM[1] - 0.1)
    inside = np.min((ends - theta) / np.where(push == 0, 1e-12, push)) * np.linalg.norm(push)
    return float(np.clip(inside, SHORT, LONGEST))


def _scale_note(scale):
    if scale > 0.999:
        return []
    return [
        Note(XLIM[0] + 0.1, YLIM[0] + 0.15, f"arrows drawn at {number(scale, 2)} of their length")
    ]


def _names(landed):
    """The tasks' names beside their minima, and beside the ends of their paths if these are inside the picture."""
    inside = (np.abs(landed) < (XLIM[1] - 0.3, YLIM[1] - 0.3)).all(axis=1)
    named = zip(("end of task 1", "end of task 2"), landed, inside, strict=True)
    return [
        *(Note(x - 0.15, y - 0.2, text, "right") for text, (x, y), shown in named if shown),
        *(Note(x + 0.15, y - 0.2, f"task {n}") for n, (x, y) in enumerate(SUPPORT_MIN, start=1)),
    ]


def _place(vector):
    return f"({number(vector[0], 2)}, {number(vector[1], 2)})"


def _angle(a, b):
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(a @ b / max(length, 1e-300), -1, 1))))


def _what_the_surface_does(alpha, steps, full, cut):
    product = alpha * STEEP
    said = f"K = {steps}, αλ = {number(product, 2)}"
    if steps == 0 or alpha == 0:
        return f"{said}: no step, so the star is where the mean query loss is least"
    angle = _angle(full, cut)
    arrows = f"arrows\u00a0{number(angle, places=0)}°\u00a0apart"
    if angle < 1:
        arrows = "both arrows point the same way"
    if product <= LIMIT:
        return f"{said} < 2: one basin; {arrows}"
    if product <= CHAOS:
        return f"{said} > 2: the inner loop hops, the basin breaks into terraces; {arrows}"
    long = number(np.linalg.norm(full), 2)
    return f"{said}: the basin has shattered; {arrows}, meta-gradient {long} long"


# ------------------------------------------------------------------ the walk back

ROLES = ("low", "truth", "high")


def signal_walking_back(walks, cosines):
    """How long v is after each step back, and how well a truncated gradient points.

    walks: name of a rate → lengths of v (tasks, K + 1), v_K first. cosines: name → (K + 1,), the cosine of the
    gradient of the last n steps with the full one, the median over tasks.
    """
    return draw(walk_scene(walks), truncation_scene(cosines))


def walk_scene(walks):
    """Median length of v against the steps walked back; at the last rate a band of 8 of 10 tasks, too."""
    curves, ends = [], {}
    for role, (name, lengths) in zip(ROLES, walks.items(), strict=False):
        low, middle, high = np.quantile(lengths, [0.1, 0.5, 0.9], axis=0)
        back = np.arange(len(middle))
        # of the last rate only: three on top of each other are mud
        bands = [Band(back, low, high, role, f"8 of 10 tasks at {name}")]
        curves.append(Curve(back, middle, role, name))
        ends[name] = number(middle[-1] / middle[0], 2)
    highest, lowest = float(np.max(bands[0].high)), float(np.min(bands[0].low))
    changes = " and ".join(
        f"×\u00a0{ends[name]} at {name}" for name in (list(ends)[0], list(ends)[-1])
    )
    return Scene(
        title=f"No vanishing: {len(back) - 1} steps back change the median |v| by {changes}",
        alt=(
            "Length of v on a logarithmic axis against the steps walked back: medians over the tasks; at the "
            f"largest rate a band from the 1st to the 9th tenth. Over the whole walk the medians "
            f"change by {changes}. At the smallest rate the median falls at first and then stays; "
            "at the largest it ends above where it began."
        ),
        xlabel="steps walked back",
        ylabel="length of v",
        xlim=(0, len(back) - 1),
        ylim=(0.6 * lowest, 1.6 * highest),
        ylog=True,
        bands=bands,
        curves=curves,
        legend="below",
    )


def truncation_scene(cosines):
    """The cosine of truncated and full gradient against how many steps are walked back."""
    curves = [
        Curve(np.arange(len(values)), values, role, name)
        for role, (name, values) in zip(ROLES, cosines.items(), strict=False)
    ]
    names, steps = list(cosines), len(curves[0].x) - 1
    ten = [number(curve.y[min(10, steps)], 2) for curve in (curves[0], curves[-1])]
    return Scene(
        title=f"The last ten of {steps} steps: cosine {ten[0]} at {names[0]}, {ten[1]} at {names[-1]}",
        alt=(
            "Cosine of the truncated with the full gradient, the median over the tasks, against the steps walked "
            f"back. With ten steps it is {ten[0]} at {names[0]} and {ten[1]} at {names[-1]}. The curve of "
            "the smallest rate rises quickly to 1; that of the largest stays low until the last steps."
        ),
        xlabel="steps walked back before the walk is cut",
        ylabel="cosine with the full gradient",
        xlim=(0, steps),
        ylim=(-0.3, 1.05),
        curves=[Curve([0, steps], [0, 0], "neutral"), *curves],
        legend="below",
    )


# ------------------------------------------------------------------ the rate


def rate_finds_itself(runs, published=0.01):
    """The inner rate during training from several starts, and next to it the product αλmax.

    runs: name → (n, 3), rows of iteration, α, αλmax. published: the rate of the paper.
    """
    return draw(rates_scene(runs, published), products_scene(runs))


RUN_ROLES = ("low", "high", "truth", "baseline")


def rates_scene(runs, published=0.01):
    """α against iterations, on a logarithmic axis."""
    curves = [
        Curve(*np.asarray(rows)[:, :2].T, role, name, markers=True)
        for role, (name, rows) in zip(RUN_ROLES, runs.items(), strict=False)
    ]
    ends = sorted(float(curve.y[-1]) for curve in curves)
    between = f"{number(ends[0], 2)} and {number(ends[-1], 2)}"
    last = max(float(curve.x[-1]) for curve in curves)
    values = np.concatenate([curve.y for curve in curves])
    return Scene(
        title=f"From each start α comes to the paper's {number(published)} and goes on falling",
        alt=(
            f"The inner rate on a logarithmic axis against iterations of training, {len(curves)} curves from "
            f"different starts. They meet, cross a dotted line at {number(published)}, the paper's rate, "
            f"and have fallen to {between} at the end."
        ),
        xlabel="iterations of meta-training",
        ylabel="inner rate α",
        xlim=(0, last),
        ylim=(0.7 * min(values.min(), published), 1.6 * values.max()),
        ylog=True,
        curves=[Curve([0, last], [published, published], "neutral", "the paper's α"), *curves],
        legend="below",
    )


def products_scene(runs):
    """αλmax against iterations, and the limit 2 of chapter 01."""
    curves = [
        Curve(*np.asarray(rows)[:, [0, 2]].T, role, name, markers=True)
        for role, (name, rows) in zip(RUN_ROLES, runs.items(), strict=False)
    ]
    values = np.concatenate([curve.y[1:] for curve in curves])
    low, high = number(values.min(), 2), number(values.max(), 2)
    since = number(curves[0].x[1], places=0)
    last = max(float(curve.x[-1]) for curve in curves)
    return Scene(
        title=f"αλmax from iteration {since} on: between {low} and {high}",
        alt=(
            f"The product of the inner rate and the largest curvature against iterations, {len(curves)} curves: "
            f"after the first mark all stay between {low} and {high}. A dotted line marks 2, the limit."
        ),
        xlabel="iterations of meta-training",
        ylabel="αλmax, median of some waves",
        xlim=(0, last),
        ylim=(0, 2.3),
        curves=[Curve([0, last], [2, 2], "neutral", "the limit"), *curves],
        legend="below",
    )


def short_and_long_horizons(losses, best):
    """The loss of a noisy descent against its steps, for rates that are best at different horizons.

    losses: name → (n + 1,), before the first step and after each. best: name of the one that ends lowest.
    """
    return draw(horizon_scene(losses, best))


def horizon_scene(losses, best):
    """Loss against steps, both logarithmic."""
    roles = ("high", "support_loss", "low", "maml", "baseline")
    curves = [
        Curve(np.arange(1, len(values)), values[1:], role, name)
        for role, (name, values) in zip(roles, losses.items(), strict=False)
    ]
    low, high = (f(min(c.y) if f is min else max(c.y) for c in curves) for f in (min, max))
    steps = len(next(iter(losses.values()))) - 1
    return Scene(
        title=f"What is best after a step is not best after {steps:,}: there {best} is lowest",
        alt=(
            f"Mean loss against steps, both on logarithmic axes, {len(curves)} curves. Those that fall fastest at "
            f"first level off highest; after {steps:,} steps {best} is lowest."
        ),
        xlabel="steps",
        ylabel="mean loss",
        xlim=(1, steps),
        ylim=(0.7 * low, 1.4 * high),
        xlog=True,
        ylog=True,
        curves=curves,
    )


# ------------------------------------------------------------------ memory


def sets_in_memory(sizes, peaks, laws):
    """Sets of parameters held at the peak, against the length of a segment: measured, and by the law."""
    return draw(memory_scene(sizes, peaks, laws))


def memory_scene(sizes, peaks, laws):
    """Measured peaks as marks, the law as a curve. Segments of 1 keep every φ."""
    best, least = sizes[int(np.argmin(peaks))], number(min(peaks), 2)
    plain, size = number(peaks[int(np.argmin(sizes))], 2), min(sizes)
    return Scene(
        title=f"Segments of {best} steps need the least: {least} sets; segments of {size} need {plain}",
        alt=(
            f"Sets of parameters held at the peak against the steps in a segment, measured for {len(sizes)} sizes "
            f"and computed by a law. Both are lowest in the middle, the measured one at {best}, and rise on "
            "either side."
        ),
        xlabel="steps in a segment",
        ylabel="memory at the peak, in sets of parameters",
        xlim=(0.9 * min(sizes), 1.1 * max(sizes)),
        ylim=(0, 1.15 * max(*peaks, *laws)),
        xlog=True,
        curves=[Curve(sizes, laws, "neutral", "the law and a constant")],
        points=[Points(sizes, peaks, "maml", "measured")],
    )
