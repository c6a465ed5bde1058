"""Chapter 11: where each member of the MAML family pulls θ, and what its shortcuts cost.

The live figure has two tasks, each a valley with one loss for support and query. Along its own axes (u flat, w
steep) a task's loss is ½ flat u² + ½ steep (w − bend (√(1 + u²) − 1))²: with bend = 0 a bowl, else a valley that
turns. A redraw takes hundreds of outer steps in two dimensions, so these are plain floats, not arrays. The other
pictures draw what a lesson has measured. Start from `where_each_pulls`.
"""

from collections import namedtuple
from functools import cache, partial
from math import atan2, cos, degrees, hypot, isfinite, pi, radians, sin, sqrt

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import (
    Arrow,
    Curve,
    Interval,
    Level,
    Note,
    Points,
    Scene,
    contours,
    number,
)
from maml_edu.figures.static import draw

__all__ = [
    "where_each_pulls",
    "curvature_along_training",
    "frontier",
    "who_is_as_good",
    "taylor_check",
]

# ------------------------------------------------------------------ two tasks, two parameters

Inner = namedtuple("Inner", "alpha steps strength")  # α, K, and λ of implicit MAML
Valley = namedtuple("Valley", "x y angle flat steep bend")  # minimum, direction of u, curvatures

TASKS = (
    Valley(-1.3, 0.5, radians(-35.0), 0.25, 2.5, 0.5),
    Valley(1.4, -0.6, radians(20.0), 0.5, 1.0, 0.0),
)
XLIM, YLIM = (-3.3, 3.3), (-2.7, 2.7)
HEIGHTS = (0.1, 0.5, 1.3)  # of the contours
START = (1.3, 1.7)
OUTER_STEPS, LONGEST = 30, 0.25  # of a trail, and its longest step in units of the plane
ARROW = 0.7  # each arrow's length in the plane
SAME_PLACE, SAME_WAY = 0.02, 1.0  # nearer, in units of the plane and in degrees, is the same

METHODS = {  # name → role
    "MAML": "maml",
    "FOMAML": "first_order",
    "Reptile": "reptile",
    "implicit MAML": "implicit",
    "pretraining": "baseline",
}


def own_place(task, x, y):
    """A point along a task's own axes: (u, w)."""
    c, s, dx, dy = cos(task.angle), sin(task.angle), x - task.x, y - task.y
    return c * dx + s * dy, c * dy - s * dx


def loss(task, x, y):
    """One task's loss; x and y may be arrays."""
    u, w = own_place(task, x, y)
    return (task.flat * u**2 + task.steep * (w - task.bend * ((1 + u * u) ** 0.5 - 1)) ** 2) / 2


def slope_and_hessian(task, x, y):
    """((∂x, ∂y), (hxx, hxy, hyy)) of one task's loss."""
    u, w = own_place(task, x, y)
    root = sqrt(1 + u * u)
    turn = task.bend * u / root  # the valley's direction here: dw/du
    off = task.steep * (w - task.bend * (root - 1))
    gu, gw = task.flat * u - off * turn, off
    huu = task.flat + task.steep * turn * turn - off * task.bend / root**3
    huw, hww = -task.steep * turn, task.steep
    c, s = cos(task.angle), sin(task.angle)
    slope = (c * gu - s * gw, s * gu + c * gw)
    xx = c * c * huu - 2 * c * s * huw + s * s * hww
    xy = c * s * (huu - hww) + (c * c - s * s) * huw
    yy = s * s * huu + 2 * c * s * huw + c * c * hww
    return slope, (xx, xy, yy)


def times(matrix, v):
    """A symmetric matrix (xx, xy, yy) times a vector."""
    xx, xy, yy = matrix
    return xx * v[0] + xy * v[1], xy * v[0] + yy * v[1]


def divided(v, matrix):
    """The solution of matrix · solution = v."""
    xx, xy, yy = matrix
    d = xx * yy - xy * xy
    return (yy * v[0] - xy * v[1]) / d, (xx * v[1] - xy * v[0]) / d


def inner_steps_of(task, theta, alpha, steps):
    """(φ, the slopes and the Hessians on the way to it) of gradient descent from θ."""
    (x, y), slopes, hessians = theta, [], []
    for _ in range(steps):
        slope, hessian = slope_and_hessian(task, x, y)
        x, y = x - alpha * slope[0], y - alpha * slope[1]
        slopes.append(slope)
        hessians.append(hessian)
    return (x, y), slopes, hessians


def nearest_solution(task, theta, strength):
    """φ of implicit MAML: a minimum of loss(φ) + ½ λ |φ − θ|², by Newton's method from θ."""

    def height(x, y):
        return loss(task, x, y) + strength / 2 * ((x - theta[0]) ** 2 + (y - theta[1]) ** 2)

    (x, y) = theta
    now = height(x, y)
    for _ in range(60):
        slope, (xx, xy, yy) = slope_and_hessian(task, x, y)
        slope = slope[0] + strength * (x - theta[0]), slope[1] + strength * (y - theta[1])
        if hypot(*slope) < 1e-10:
            break
        lowest = (xx + yy) / 2 - hypot((xx - yy) / 2, xy) + strength
        lift = strength + max(0.0, 0.05 - lowest)  # downhill also where the surface is no bowl
        dx, dy = divided(slope, (xx + lift, xy, yy + lift))
        share = 1.0
        while share > 1e-6 and not height(x - share * dx, y - share * dy) <= now:
            share /= 2
        x, y = x - share * dx, y - share * dy
        now = height(x, y)
    return x, y


# ------------------------------------------------------------------ the five gradients of a task


def maml_gradient(task, theta, inner):
    """The slope at φ, walked back through each step's I − αH."""
    phi, _, hessians = inner_steps_of(task, theta, inner.alpha, inner.steps)
    v = slope_and_hessian(task, *phi)[0]
    for hessian in reversed(hessians):
        turned = times(hessian, v)
        v = v[0] - inner.alpha * turned[0], v[1] - inner.alpha * turned[1]
    return v


def first_order_gradient(task, theta, inner):
    """The slope at φ."""
    phi, _, _ = inner_steps_of(task, theta, inner.alpha, inner.steps)
    return slope_and_hessian(task, *phi)[0]


def reptile_gradient(task, theta, inner):
    """(θ − φ)/α, which is the sum of the slopes on the way."""
    slopes = inner_steps_of(task, theta, inner.alpha, inner.steps)[1]
    return sum(s[0] for s in slopes), sum(s[1] for s in slopes)


def implicit_gradient(task, theta, inner):
    """(I + H/λ)⁻¹ times the slope, both at the nearby solution; α and K play no part."""
    slope, (xx, xy, yy) = slope_and_hessian(task, *nearest_solution(task, theta, inner.strength))
    return divided(slope, (1 + xx / inner.strength, xy / inner.strength, 1 + yy / inner.strength))


def joint_gradient(task, theta, inner):
    """The slope at θ: pretraining on both tasks."""
    return slope_and_hessian(task, *theta)[0]


GRADIENTS = {
    "MAML": maml_gradient,
    "FOMAML": first_order_gradient,
    "Reptile": reptile_gradient,
    "implicit MAML": implicit_gradient,
    "pretraining": joint_gradient,
}


def pull_at(method, inner, theta):
    """Minus the mean of both tasks' gradients: where a method pulls θ."""
    both = [GRADIENTS[method](task, theta, inner) for task in TASKS]
    return -sum(g[0] for g in both) / 2, -sum(g[1] for g in both) / 2


# ------------------------------------------------------------------ trails and rest points


def jacobian(field, theta, here, h=1e-4):
    """The derivatives of a field at θ as rows, ((∂x fx, ∂y fx), (∂x fy, ∂y fy)), by differences."""
    x, y = theta
    right, up = field((x + h, y)), field((x, y + h))
    return tuple(((right[i] - here[i]) / h, (up[i] - here[i]) / h) for i in (0, 1))


def trail(field, theta):
    """Places (OUTER_STEPS + 1, 2) of descent from θ, each with the outer rate that its curvature allows."""
    places = [theta]
    for _ in range(OUTER_STEPS):
        here = field(theta)
        (a, b), (c, d) = jacobian(field, theta, here)
        rate = 1 / max(sqrt(a * a + b * b + c * c + d * d), 1e-300)
        length = rate * hypot(*here)
        if not isfinite(length):
            break
        rate *= min(1.0, LONGEST / max(length, 1e-300))
        theta = theta[0] + rate * here[0], theta[1] + rate * here[1]
        places.append(theta)
    return places


def rest_point(field, theta):
    """Where the field vanishes and pulls back what is near, by Newton's method from θ; None if nowhere near."""
    for _ in range(40):
        here = field(theta)
        (a, b), (c, d) = jacobian(field, theta, here, 1e-5)
        det = a * d - b * c
        if not isfinite(det) or abs(det) < 1e-300:
            return None
        dx, dy = (b * here[1] - d * here[0]) / det, (c * here[0] - a * here[1]) / det
        share = min(1.0, 0.5 / max(hypot(dx, dy), 1e-300))
        theta = theta[0] + share * dx, theta[1] + share * dy
        if hypot(dx, dy) < 1e-6:
            return theta if a + d < 0 < det else None
    return None


# ------------------------------------------------------------------ the live figure


def where_each_pulls():
    """Drag θ above two tasks: five methods pull it, each along a trail of its own."""
    sliders = {
        "alpha": ("step size α", 0.02, 1.0, 0.3, 0.02),
        "steps": ("inner steps K", 1, 10, 3, 1),
        "exponent": ("log₁₀ λ of implicit MAML", -2.0, 2.0, 0.0, 0.1),
    }
    twin = [{}, {"alpha": 0.6}]
    return interactive(pulls_scenes, sliders, drag={"theta": START}, twin=twin)


def pulls_scenes(theta=START, alpha=0.3, steps=3, exponent=0.0):
    """The plane with trails and rest points, and a compass of the directions in which θ is pulled."""
    theta = tuple(float(v) for v in theta)
    inner = Inner(alpha, steps, 10.0**exponent)
    pushes, trails, rests = {}, {}, {}
    for name in METHODS:
        field = partial(pull_at, name, inner)
        pushes[name], trails[name] = field(theta), trail(field, theta)
        rests[name] = arrived(field, trails[name][-1])
    return [
        _plane_scene(theta, inner, pushes, trails, rests),
        _compass_scene(alpha, steps, pushes),
    ]


def arrived(field, end, near=0.3):
    """The rest point that a trail has all but reached, or None."""
    rest = rest_point(field, end)
    return rest if rest and hypot(rest[0] - end[0], rest[1] - end[1]) < near else None


def _plane_scene(theta, inner, pushes, trails, rests):
    alpha, steps, strength = inner
    phis = [inner_steps_of(task, theta, alpha, steps)[0] for task in TASKS]
    return Scene(
        title=_where_they_rest(alpha, steps, rests),
        alt=(
            f"α = {number(alpha)}, K = {steps}, λ = {number(strength, 2)}. Contours of two tasks: the first "
            f"a narrow valley that bends, the second a wide bowl, a star at each minimum. Inner steps lead from θ "
            f"at {_place(theta)} to φ at {_place(phis[0])} and {_place(phis[1])}. Five arrows of one length "
            "start at θ, and five trails of 30 outer steps; a mark at the end of a trail is a place of rest. "
            + " ".join(_said_of(name, trails[name][-1], rests[name]) for name in METHODS)
        ),
        xlabel="θ₁",
        ylabel="θ₂",
        xlim=XLIM,
        ylim=YLIM,
        levels=valleys(),
        curves=[
            *(Curve(*zip(theta, phi, strict=True), "path") for phi in phis),
            *(Curve(*np.array(trails[name]).T, role, name) for name, role in METHODS.items()),
        ],
        arrows=[
            Arrow(theta, _ahead(theta, pushes[name]), role)
            for name, role in METHODS.items()
            if hypot(*pushes[name]) > 0
        ],
        points=[
            Points([task.x for task in TASKS], [task.y for task in TASKS], "goal", "minima"),
            Points(*zip(*phis, strict=True), "phi", "φ after K steps"),
            *(Points(*rests[name], role) for name, role in METHODS.items() if rests[name]),
            Points(*theta, "theta", "θ", drag="theta"),
        ],
        notes=[
            *(Note(task.x, task.y - 0.28, f"task {n}") for n, task in enumerate(TASKS, start=1)),
            Note(XLIM[0] + 0.1, YLIM[0] + 0.2, "a mark ends a trail where θ rests"),
        ],
        equal=True,
        legend="below",
    )


@cache
def valleys():
    """The contours of both tasks."""
    levels = []
    for task, role in zip(TASKS, ("surface", "neutral"), strict=True):
        lines = contours(partial(loss, task), XLIM, YLIM, HEIGHTS, 61).lines
        levels.append(Level(lines, role))
    return levels


def _ahead(theta, pull, length=ARROW):
    far = length / hypot(*pull)
    return theta[0] + far * pull[0], theta[1] + far * pull[1]


def _said_of(name, end, rest):
    return f"{name} rests at {_place(rest)}." if rest else f"{name} has got to {_place(end)}."


def _place(vector):
    return f"({number(vector[0], places=1)}, {number(vector[1], places=1)})"


def places_of_rest(rests):
    """The methods in groups of those that rest in the same place, without those that do not rest."""
    groups = []
    for name, rest in rests.items():
        if rest is None:
            continue
        for group in groups:
            other = rests[group[0]]
            if hypot(rest[0] - other[0], rest[1] - other[1]) < SAME_PLACE:
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


COUNTS = ("no place", "one place", "two places", "three places", "four places", "five places")


def _where_they_rest(alpha, steps, rests):
    groups = places_of_rest(rests)
    restless = [name for name, rest in rests.items() if rest is None]
    said = f"αλmax = {number(alpha * TASKS[0].steep, 2)} at task 1's minimum, K = {steps}: "
    if restless:
        verb = "does" if len(restless) == 1 else "do"
        said += f"{_listed(restless)} {verb} not come to rest"
        return said + (f"; the others rest at {COUNTS[len(groups)]}" if groups else "")
    shared = [_listed(group) for group in groups if len(group) > 1]
    said += f"five methods come to rest at {COUNTS[len(groups)]}"
    return said + (f"; {shared[0]} at the same" if shared and len(groups) > 1 else "")


def _listed(names):
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# ------------------------------------------------------------------ the compass

RIM = 1.15  # where names begin
SHORT = {"implicit MAML": "implicit"}  # where there is little room
APART = 0.27  # of two names, in height


def _compass_scene(alpha, steps, pushes):
    turn = np.linspace(0, 2 * pi, 121)
    pulls = {name: pull for name, pull in pushes.items() if hypot(*pull) > 0}
    tips = {name: _ahead((0.0, 0.0), pull, 1.0) for name, pull in pulls.items()}
    beside = names_around(tips)
    return Scene(
        title=_who_disagrees(steps, pulls),
        alt=(
            "A circle with five arrows from its centre, the directions in which θ is pulled; each name with "
            "the length of the pull: "
            + "; ".join(
                f"{name} {number(hypot(*pull), 2)}, towards {number(bearing(pull), places=0)}°"
                for name, pull in pushes.items()
            )
            + f". At task 1's minimum a step in the steep direction has the factor 1 − αλmax = {_factor(alpha)}."
        ),
        xlim=(-2.9, 2.9),
        ylim=(-2.37, 2.37),
        curves=[
            Curve(np.cos(turn), np.sin(turn), "neutral"),
            *(Curve(*zip(tips[n], place, strict=True), "neutral") for n, place in beside.items()),
        ],
        arrows=[Arrow((0, 0), tip, METHODS[name]) for name, tip in tips.items()],
        notes=[
            *(
                Note(
                    x * 1.04,
                    y,
                    f"{SHORT.get(name, name)} {number(hypot(*pushes[name]), 2)}",
                    "left" if x > 0 else "right",
                    role=METHODS[name],
                )
                for name, (x, y) in beside.items()
            ),
            Note(0, -2.0, "directions in which θ is pulled; numbers are lengths", "middle"),
            Note(0, 2.0, f"at task 1's minimum: 1 − αλmax = {_factor(alpha)}", "middle"),
        ],
        equal=True,
        diagram=True,
    )


def _factor(alpha):
    return number(1 - alpha * TASKS[0].steep, 2)


def names_around(tips):
    """Name → where its words begin, outside the circle and none above another."""
    places = {}
    for side in (1, -1):
        mine = sorted(
            (n for n, tip in tips.items() if (tip[0] >= 0) == (side > 0)), key=lambda n: tips[n][1]
        )
        heights = [RIM * tips[name][1] for name in mine]
        for _ in range(100):
            for i in range(len(mine) - 1):
                lacking = APART - (heights[i + 1] - heights[i])
                if lacking > 0:
                    heights[i] -= lacking / 2
                    heights[i + 1] += lacking / 2
        for name, y in zip(mine, heights, strict=True):
            places[name] = (side * max(0.15, sqrt(max(0.0, RIM**2 - y * y))), y)
    return places


def bearing(v):
    """Degrees against the clock from the right, 0 … 360."""
    return degrees(atan2(v[1], v[0])) % 360


def angle(a, b):
    """Degrees between two vectors, 0 … 180."""
    return abs((bearing(a) - bearing(b) + 180) % 360 - 180)


def furthest_apart(pushes):
    """(degrees, one method, the other) of the two whose pulls differ most."""
    names = list(pushes)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return max(((angle(pushes[a], pushes[b]), a, b) for a, b in pairs), key=lambda found: found[0])


def _who_disagrees(steps, pushes):
    if len(pushes) < 2:
        return "Hardly any method pulls from here"
    if steps == 1:
        pushes = {name: pull for name, pull in pushes.items() if name != "Reptile"}
    most, one, other = furthest_apart(pushes)
    if most < SAME_WAY:
        return "All methods pull the same way"
    said = f"{one} and {other} disagree most, by {number(most, places=0)}°"
    return said + ("; with K = 1 Reptile is pretraining" if steps == 1 else "")


# ------------------------------------------------------------------ curvature along training


def curvature_along_training(runs, limit=2.0):
    """αλmax and the cosine of first-order and full gradient during training, side by side.

    runs: method → a run, or a list of runs (one per seed); a run is a dict of "iterations", "product" (αλmax) and
    "cosine", each (n,), and "diverged": the iteration at which it ended in no number, or None. limit: of αλmax.
    """
    runs = {name: [own] if isinstance(own, dict) else list(own) for name, own in runs.items()}
    return draw(curvature_scene(runs, limit), cosine_scene(runs))


def curvature_scene(runs, limit=2.0):
    """αλmax against iterations, a line per run; a mark of its method where a run diverged."""
    ends = [(name, run) for name, own in runs.items() for run in own]
    top = min(2.5 * limit, max(1.25 * limit, 1.05 * _highest(run for _, run in ends)))
    said = "; ".join(_said_of_runs(name, own) for name, own in runs.items())
    return Scene(
        title=said,
        alt=f"αλmax against iterations of training, with a dotted line at {number(limit)}. "
        + " ".join(_products_said(name, own) for name, own in runs.items())
        + _marks_said(ends),
        xlabel="iterations of meta-training",
        ylabel="αλmax",
        xlim=(0, _last(ends)),
        ylim=(0, top),
        curves=[
            Curve([0, _last(ends)], [limit, limit], "neutral", f"limit {number(limit)}"),
            *(Curve(run["iterations"], run["product"], role_of(name), name) for name, run in ends),
        ],
        points=_fallen(ends, "product"),
        legend="below",
    )


def cosine_scene(runs):
    """The cosine of the first-order with the full gradient against iterations."""
    ends = [(name, run) for name, own in runs.items() for run in own]
    lowest = {
        name: min(float(np.nanmin(run["cosine"])) for run in own) for name, own in runs.items()
    }
    said = ", ".join(f"{number(low, places=2)} under {name}" for name, low in lowest.items())
    return Scene(
        title=f"Lowest cosine of both gradients: {said}",
        alt="The cosine of the first-order with the full meta-gradient against iterations of training, with "
        f"a dotted line at 0. The lowest are {said}." + _marks_said(ends),
        xlabel="iterations of meta-training",
        ylabel="cosine of first-order and full gradient",
        xlim=(0, _last(ends)),
        ylim=(min(-0.2, 1.1 * min(lowest.values())), 1.05),
        curves=[
            Curve([0, _last(ends)], [0, 0], "neutral"),
            *(Curve(run["iterations"], run["cosine"], role_of(name), name) for name, run in ends),
        ],
        points=_fallen(ends, "cosine"),
        legend="below",
    )


def _last(ends):
    return max(float(max(run["iterations"][-1], run.get("diverged") or 0)) for _, run in ends)


def _fallen(ends, quantity):
    """A mark where each run was last measured before it diverged."""
    return [
        Points(
            run["iterations"][-1], run[quantity][-1], role_of(name), f"{name} diverges soon after"
        )
        for name, run in ends
        if run.get("diverged") is not None
    ]


def _said_of_runs(name, own):
    fallen = sum(run.get("diverged") is not None for run in own)
    if fallen:
        return f"{name} diverged" + (f" in {fallen} of {len(own)} runs" if len(own) > 1 else "")
    return f"{name} kept αλmax at {number(_highest(own), places=2)} or below"


def _highest(runs):
    return max(float(np.nanmax(run["product"])) for run in runs)


def _products_said(name, own):
    starts, ends = ([float(run["product"][i]) for run in own] for i in (0, -1))
    return f"{name}: from {_range(starts)} to {_range(ends)}."


def _range(values):
    low, high = number(min(values), 2), number(max(values), 2)
    return low if low == high else f"{low} … {high}"


def _marks_said(ends):
    fallen = [f"{name} at iteration {run['diverged']}" for name, run in ends if run.get("diverged")]
    return f" Marks: the last place before a run diverged, {', '.join(fallen)}." if fallen else ""


# ------------------------------------------------------------------ the frontier

FAMILY = {  # how a name begins → role
    "MAML++": "before",
    "MAML": "maml",
    "FOMAML": "first_order",
    "first-order": "first_order",
    "Reptile": "reptile",
    "IMAML": "implicit",
    "iMAML": "implicit",
    "implicit": "implicit",
    "pretrain": "baseline",
    "Pretrain": "baseline",
}


def role_of(name):
    """The role of a method by how its name begins; of one that is not known, "before"."""
    return next((role for begin, role in FAMILY.items() if name.startswith(begin)), "before")


def frontier(rows, ylabel="error after ten steps"):
    """Error against the gradient equivalents of one training step of one task: lower and further left is better.

    rows: name → (equivalents, error) or (equivalents, error, low, high), or a list of these: a line. A name with †,
    for a median beside which many tasks ran away, is drawn, but the title does not count it.
    """
    return draw(frontier_scene(rows, ylabel))


def frontier_scene(rows, ylabel="error after ten steps"):
    """A mark or a line per method on logarithmic axes, with its name beside it."""
    lines = {name: np.atleast_2d(np.asarray(own, dtype=float)) for name, own in rows.items()}
    every = np.concatenate([own[:, :2] for own in lines.values()])
    spans = np.concatenate([own[:, 1:].ravel() for own in lines.values()])
    xlim = every[:, 0].min() / 2.2, every[:, 0].max() * 2.4
    ylim = spans.min() / 1.5, spans.max() * 1.6
    apart = side_by_side(lines, xlim, ylim)
    return Scene(
        title=_least_and_cheapest({n: own for n, own in lines.items() if "†" not in n} or lines),
        alt="Marks on logarithmic axes, each a method, with its name: "
        + "; ".join(
            f"{name} {number(error, 2)} for {number(price)}"
            for name, own in lines.items()
            for price, error in own[:, :2]
        )
        + " gradient equivalents.",
        xlabel="gradient equivalents per task and outer step",
        ylabel=f"{ylabel} (logarithmic)",
        xlim=xlim,
        ylim=ylim,
        curves=[Curve(*own[:, :2].T, role_of(name)) for name, own in apart.items() if len(own) > 1],
        intervals=[
            Interval(own[:, 2], own[:, 3], own[:, 0], role_of(name), axis="y")
            for name, own in apart.items()
            if own.shape[1] == 4
        ],
        points=[Points(*own[:, :2].T, role_of(name)) for name, own in apart.items()],
        notes=names_beside(lines, xlim, ylim),
        xlog=True,
        ylog=True,
    )


def _least_and_cheapest(lines, same=1.02):
    """Who has the least error (within 2 %), and who the lowest price, each with both numbers."""
    marks = [(*own[:2], name) for name, rows in lines.items() for own in rows]
    least = min(error for _, error, _ in marks)
    best = [(price, error, name) for price, error, name in marks if error <= same * least]
    price, error, cheapest = min(marks)
    names = list(dict.fromkeys(name for _, _, name in best))
    said = f"Least error: {_listed(names)} ({number(least, 2)} for {number(min(best)[0])})"
    if cheapest in names:
        return said
    return f"{said}; cheapest: {cheapest} ({number(error, 2)} for {number(price)})"


# How far a mark moves that would lie on another, and how near that is, in shares of a panel.
NUDGE, NEAR = 0.014, 0.02


def side_by_side(lines, xlim, ylim):
    """The rows of each name with marks that would lie on each other moved apart along x."""
    width, height = np.log(xlim[1] / xlim[0]), np.log(ylim[1] / ylim[0])
    placed, seen = {}, []
    for name, rows in lines.items():
        placed[name] = rows.copy()
        for place in placed[name]:
            u, v = np.log(place[0]) / width, np.log(place[1]) / height
            near = sum(abs(u - a) < NEAR and abs(v - b) < NEAR for a, b in seen)
            seen.append((u, v))
            place[0] *= np.exp(2 * NUDGE * width * near)
    return placed


LETTER, HIGH_LETTER = 0.02, 0.06  # width and height of a letter in shares of a panel
GAP = 0.03  # from a mark to its name


def names_beside(lines, xlim, ylim):
    """A name beside each method's last mark, on the side where nothing is written or drawn yet."""

    def share(x, y):
        across = np.log(x / xlim[0]) / np.log(xlim[1] / xlim[0])
        return across, np.log(y / ylim[0]) / np.log(ylim[1] / ylim[0])

    def value(u, v):
        return xlim[0] * (xlim[1] / xlim[0]) ** u, ylim[0] * (ylim[1] / ylim[0]) ** v

    marks = [share(*own[:2]) for rows in lines.values() for own in rows]
    taken = [(u - 0.015, u + 0.015, v - 0.025, v + 0.025) for u, v in marks]
    for price, _, *ends in (own for rows in lines.values() for own in rows):
        if ends:
            (u, low), (_, high) = (share(price, end) for end in ends)
            taken.append((u - 0.025, u + 0.025, low - 0.01, high + 0.01))
    notes = []
    for name, rows in lines.items():
        u, v = share(*rows[-1][:2])
        text = f"{name} ({number(rows[-1][0])})"
        width = LETTER * len(text)
        boxes = [(_box(u + du, v + dv, width, anchor), du, dv, anchor) for du, dv, anchor in _SIDES]
        box, du, dv, anchor = min(boxes, key=lambda found: _crowding(found[0], taken))
        taken.append(box)
        notes.append(Note(*value(u + du, v + dv), text, anchor, role=role_of(name)))
    return notes


_SIDES = [  # (to the right, up, anchor) of a name beside its mark, the nearest first
    (du, dv, anchor)
    for dv in (0.0, HIGH_LETTER, -HIGH_LETTER, 1.9 * HIGH_LETTER, -1.9 * HIGH_LETTER)
    for du, anchor in ((GAP, "left"), (-GAP, "right"), (0.0, "middle"))
    if dv or du
]


def _box(u, v, width, anchor):
    left = u - {"left": 0.0, "middle": width / 2, "right": width}[anchor]
    return left, left + width, v - HIGH_LETTER / 2, v + HIGH_LETTER / 2


def _crowding(box, taken):
    """The area of a box that lies on others or outside the panel."""
    left, right, low, high = box
    width = right - left
    outside = max(0.0, -left) + max(0.0, right - 1) + max(0.0, -low) + max(0.0, high - 1)
    covered = sum(
        max(0.0, min(right, r) - max(left, le)) * max(0.0, min(high, h) - max(low, lo))
        for le, r, lo, h in taken
    )
    return covered + outside * width


# ------------------------------------------------------------------ published rows


def who_is_as_good(tables):
    """Published accuracies, a panel per setting: which methods are as good as the first row?

    tables: setting, such as "5-way 1-shot" → {name: (per cent, half width of its interval, or None)}.
    """
    lowest = min(value - (half or 0) for rows in tables.values() for value, half in rows.values())
    return draw(*(as_good_scene(name, rows, lowest) for name, rows in tables.items()))


def as_good_scene(setting, rows, lowest=None):
    """A mark and its interval per method; a line down from the first."""
    if lowest is None:
        lowest = min(value - (half or 0) for value, half in rows.values())
    first, (best, _) = next(iter(rows.items()))
    first_order = next((name for name in rows if role_of(name) == "first_order"), None)
    compared = first_order or min(rows, key=lambda name: rows[name][0])
    behind = best - rows[compared][0]
    low = lowest - 0.35 * (100 - lowest)
    spans, points, notes = [], [], []
    for y, (name, (value, half)) in zip(range(len(rows), 0, -1), rows.items(), strict=True):
        if half:
            spans.append(Interval(value - half, value + half, y, role_of(name)))
        points.append(Points(value, y, role_of(name)))
        notes.append(Note(low, y + 0.32, f"{name}: {_with_interval(value, half)}"))
    return Scene(
        title=f"{setting}: "
        + (
            f"{compared} is {number(behind, places=1)} points behind {first}"
            if behind > 0
            else f"{compared} is not behind {first}"
        ),
        alt="A mark per method, with its interval where one was published, further right for more "
        f"accuracy; a dotted line at {first}'s: "
        + "; ".join(
            f"{name} {_with_interval(value, half)} %" for name, (value, half) in rows.items()
        )
        + ".",
        xlabel="accuracy [%]",
        xlim=(low - 0.02 * (100 - low), 100.5),
        ylim=(0.5, len(rows) + 0.8),
        curves=[Curve([best, best], [0.5, len(rows) + 0.8], "neutral")],
        intervals=spans,
        points=points,
        notes=notes,
        rows=True,
    )


def _with_interval(value, half):
    return number(value, 4) + (f" ± {number(half)}" if half else "")


# ------------------------------------------------------------------ the Taylor series


def taylor_check(alphas, ratios, curvature=None):
    """What a Taylor series of first order in α leaves over, in units of its last term: it ends where this is 1.

    ratios: method → (n,), the rest divided by the last term at each of `alphas`. curvature: λmax; draws αλmax = 1.
    """
    return draw(taylor_scene(alphas, ratios, curvature))


def taylor_scene(alphas, ratios, curvature=None):
    """A line per method, a guide of slope 1 below them, a line at 1, and where αλ = 1."""
    alphas = np.asarray(alphas, dtype=float)
    lines = {name: np.asarray(values, dtype=float) for name, values in ratios.items()}
    values = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in lines.values()])
    slopes = _range([slope_at_small(alphas, own) for own in lines.values()])
    xlim = float(alphas.min()) / 1.2, float(alphas.max()) * 1.2
    ylim = float(values.min()) / 4, max(float(values.max()), 1.0) * 4
    guide = values.min() / 2 * alphas / alphas[0]
    edge = [] if curvature is None else [Curve([1 / curvature] * 2, ylim, "before", "αλmax = 1")]
    said = _where_it_ends(alphas, lines, curvature)
    return Scene(
        title=said,
        alt=f"Lines on logarithmic axes, {_listed(list(lines))}: the rest of the series divided by its last term, "
        f"against α. For small α their slope is {slopes}; a dotted guide has slope 1. {said}."
        + (f" A dashed line at α = {number(1 / curvature, 2)}: αλmax = 1." if curvature else ""),
        xlabel="step size α",
        ylabel="rest ÷ last term of the series",
        xlim=xlim,
        ylim=ylim,
        xlog=True,
        ylog=True,
        curves=[
            Curve(alphas, guide, "neutral", "slope 1"),
            Curve(xlim, [1, 1], "truth", "as large as the term"),
            *edge,
            *(Curve(alphas, own, role_of(name), name, markers=True) for name, own in lines.items()),
        ],
        legend="below",
    )


def _where_it_ends(alphas, lines, curvature):
    ends = {name: first_at_one(alphas, own) for name, own in lines.items()}
    ends = {name: alpha for name, alpha in ends.items() if alpha is not None}
    if not ends:
        return "The rest stays smaller than the series' last term"
    first = min(ends, key=ends.get)
    said = f"{first}'s series is the first to end, at α = {number(ends[first], 2)}"
    return said + (f", αλmax = {number(curvature * ends[first], 2)}" if curvature else "")


def first_at_one(alphas, ratios):
    """The first α at which a ratio reaches 1, on a line of logarithms between two rates, or None."""
    for i, ratio in enumerate(ratios):
        if ratio >= 1:
            if i == 0:
                return float(alphas[0])
            (a, b), (u, v) = np.log(alphas[i - 1 : i + 1]), np.log(ratios[i - 1 : i + 1])
            return float(np.exp(a + (b - a) * (0 - u) / (v - u)))
    return None


def slope_at_small(alphas, values):
    """The slope of log values against log α over the smaller half of the rates."""
    few = max(2, len(alphas) // 2)
    alphas, values = alphas[:few], values[:few]
    there = np.isfinite(values) & (values > 0)  # a difference of 0 has no logarithm
    return float(np.polyfit(np.log(alphas[there]), np.log(values[there]), 1)[0])
