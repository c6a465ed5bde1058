"""Chapter 05: what I − αH does to a vector, which curvatures a network has, and where they come from.

Along an eigenvector of H with the curvature λ a step multiplies by 1 − αλ: above 1 it stretches, from 0 to 1 it
shrinks, below 0 it reverses, and below −1 it makes longer as well. Start from `factor_on_a_vector`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Bar, Curve, Ink, Note, Points, Scene, number
from maml_edu.figures.static import draw

__all__ = ["factor_on_a_vector", "second_derivatives_by_layer", "spectrum_by_rank"]

TIE = 1e-9
FLAT = 1e-9  # a curvature below this part of the largest is a zero with rounding errors
NOTICED = 0.01  # a factor as near to 1 as this changes nothing that is seen
TOP, BOTTOM = 24, 24  # bars at either end of a spectrum; what lies between is one bar
REACH = 3.0  # half the width of the plane
BARS = (-2.6, 2.2)  # the heights shown


# ------------------------------------------------------------------ what a step does to a vector


def factor_on_a_vector(spectra, alpha=0.01):
    """Drag v and turn H: v − αHv in the plane; next to it every factor 1 − αλ of a network.

    spectra: name of a network → its curvatures (n,).
    """
    sliders = {
        "network": ("curvatures of the network", list(spectra)),
        "alpha": ("step size α", 0.0, 0.02, alpha, 0.0005),
        "first": ("curvature λ₁ of the plane", -80.0, 220.0, 150.0, 5.0),
        "second": ("curvature λ₂ of the plane", -80.0, 220.0, -40.0, 5.0),
        "angle": ("direction of λ₁, in degrees", 0, 180, 60, 5),
    }

    def scenes(network, **values):
        return factor_scenes(spectra[network], name=network, **values)

    return interactive(scenes, sliders, drag={"v": (1.0, 1.0)})


def factor_scenes(
    curvatures, v=(1.0, 1.0), alpha=0.01, first=150.0, second=-40.0, angle=60, name=""
):
    """The plane with v, and the spectrum as bars, both under one α."""
    return [
        plane_scene(np.asarray(v, dtype=float), alpha, first, second, angle),
        bars_scene(np.asarray(curvatures, dtype=float), alpha, name),
    ]


def turned(first, second, angle):
    """(H, its eigenvectors): curvature `first` along the direction at `angle` degrees, `second` across it."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    axes = np.array([[c, s], [-s, c]])  # (2, 2), a row per eigenvector
    return first * np.outer(axes[0], axes[0]) + second * np.outer(axes[1], axes[1]), axes


def what_happens(factor):
    """The role of a direction with this factor 1 − αλ: its word, too."""
    if factor > 1 + TIE:
        return "stretched"
    if factor >= -TIE:
        return "shrunk"
    return "reversed" if factor >= -1 - TIE else "runaway"


def plane_scene(v, alpha, first, second, angle):
    h, axes = turned(first, second, angle)
    factors = 1 - alpha * np.array([first, second])
    made = v - alpha * (h @ v)
    turn = np.linspace(0, 2 * np.pi, 121)
    circle = np.array([np.cos(turn), np.sin(turn)])
    return Scene(
        title=_what_becomes_of(v, made, factors),
        alt=(
            f"α = {number(alpha)}. A plane with the vector v = {_place(v)} and v − αHv = {_place(made)}, joined "
            f"by −αHv. A dotted circle of radius 1 becomes an ellipse with the half axes "
            f"{number(abs(factors[0]), 2)} and {number(abs(factors[1]), 2)}. The two half axes are drawn as "
            f"lines: that of λ₁ = {number(first)}, at {number(angle)} degrees, is {_said(factors[0])}, that of "
            f"λ₂ = {number(second)} is {_said(factors[1])}."
        ),
        xlabel="first component",
        ylabel="second component",
        xlim=(-REACH, REACH),
        ylim=(-0.8 * REACH, 0.8 * REACH),
        curves=[
            Curve(*circle, "neutral", "vectors of length 1"),
            Curve(*(circle - alpha * h @ circle), "truth", "the same, times I − αH"),
            *(_axis(axis, factor) for axis, factor in zip(axes, factors, strict=True)),
        ],
        arrows=[
            Arrow((0, 0), tuple(v), "before", "v"),
            Arrow(tuple(v), tuple(made), "path", "−αHv"),
            Arrow((0, 0), tuple(made), "maml", "v − αHv"),
        ],
        points=[Points(*v, "theta", "drag v", drag="v")],
        notes=[
            Note(*(_beyond(factor) * axis), text, "middle")
            for axis, factor, text in zip(axes, factors, ("λ₁", "λ₂"), strict=True)
        ],
        equal=True,
        legend="below",
    )


def _axis(axis, factor):
    """From the middle to what becomes of an eigenvector."""
    role = what_happens(factor)
    label = {"runaway": "eigenvector, reversed and longer"}.get(role, f"eigenvector, {role}")
    return Curve([0, factor * axis[0]], [0, factor * axis[1]], role, label)


def _beyond(factor):
    """Where to name an eigenvector: beyond the circle and what becomes of it, on the side where that ends."""
    side = -1.0 if factor < -TIE else 1.0
    return side * min(max(1.0, abs(factor)) + 0.25, 0.75 * REACH)


def _place(vector):
    return f"({number(vector[0], 2)}, {number(vector[1], 2)})"


def _said(factor):
    word = {"runaway": "reversed and made longer"}.get(what_happens(factor), what_happens(factor))
    return f"{word}, by the factor {number(0.0 if abs(factor) < TIE else factor, 2)}"


def _what_becomes_of(v, made, factors):
    before, after = np.linalg.norm(v), np.linalg.norm(made)
    signs = f"factors {' and '.join(number(0.0 if abs(f) < TIE else f, 2) for f in factors)}"
    if before < TIE:
        return f"v = 0 stays 0; {signs}"
    if after < 1e-6 * before:
        return f"{signs}: nothing is left of v"
    cosine = np.clip(v @ made / before / after, -1, 1)
    degrees = number(np.degrees(np.arccos(cosine)), places=0)
    return f"{signs}: v is turned by {degrees}°, {number(after / before, 2)} times as long"


# ------------------------------------------------------------------ every factor of a network


def bars_scene(curvatures, alpha, name=""):
    """The factor 1 − αλ of the steepest directions, of the most negative ones, and one bar for the rest."""
    order = np.sort(curvatures)[::-1]
    top, bottom = order[:TOP], order[max(TOP, len(order) - BOTTOM) :]
    middle = order[TOP : len(order) - BOTTOM]
    wide = 12 if len(middle) else 0
    places = np.r_[np.arange(len(top)), len(top) + wide + np.arange(len(bottom))] + 0.5
    factors = 1 - alpha * np.r_[top, bottom]
    bars = _bars_by_role(places, factors)
    notes = [Note(1.0, -2.4, "steepest"), Note(places[-1] + 0.4, -2.4, "most negative", "right")]
    if len(middle):
        ends = sorted(1 - alpha * middle[[0, -1]])
        bars.append(Bar(len(top) + wide / 2, 1.0, "before", "all between", "y", wide - 1))
        notes.append(Note(len(top) + wide / 2, -0.28, f"{len(middle):,} more", "middle"))
        notes.append(Note(len(top) + wide / 2, -0.58, _between(*ends), "middle"))
    ends = (0, float(places[-1]) + 0.5)
    return Scene(
        title=_what_they_do(curvatures, alpha, name),
        alt=(
            f"α = {number(alpha)}. Upright bars, one a direction, from the steepest on the left to the most "
            f"negative on the right; their heights are the factors 1 − αλ, from {number(factors.min(), 2)} to "
            f"{number(factors.max(), 2)}, with lines at 1, 0 and −1. A broad grey bar of height 1 stands for the "
            f"{len(middle):,} directions between them."
        ),
        xlabel="bars, from the steepest direction to the most negative",
        ylabel="factor 1 − αλ",
        xlim=ends,
        ylim=BARS,
        bars=bars,
        curves=[Curve(ends, [height, height], "neutral") for height in (-1.0, 0.0, 1.0)],
        notes=notes,
        legend="below",
    )


def _bars_by_role(places, factors):
    """One `Bar` for each thing that happens to a direction."""
    words = {
        "stretched": "stretched, above 1",
        "shrunk": "shrunk, 0 to 1",
        "reversed": "reversed, −1 to 0",
        "runaway": "reversed and longer, below −1",
    }
    roles = np.array([what_happens(factor) for factor in factors])
    return [
        Bar(places[roles == role], factors[roles == role], role, label, "y", 0.8)
        for role, label in words.items()
        if np.any(roles == role)
    ]


def _between(low, high):
    low, high = number(low, places=2), number(high, places=2)
    return f"at {low}" if low == high else f"{low} to {high}"


def _what_they_do(curvatures, alpha, name):
    product = alpha * curvatures
    said = f"{name}, α = {number(alpha)}" if name else f"α = {number(alpha)}"
    runaway, back = int(np.sum(product > 2 + TIE)), int(np.sum(product > 1 + TIE))
    longer, seen = int(np.sum(product < -NOTICED)), int(np.sum(np.abs(product) > NOTICED))
    if not seen:
        return f"{said}: no direction changes by more than 1 %"
    more = f" ({runaway} beyond −1)" if runaway else ""
    return (
        f"{said}: {back} reversed{more}, {seen - back - longer} shrunk and {longer} stretched by over 1 %, "
        f"{len(curvatures) - seen:,} of {len(curvatures):,} hardly changed"
    )


# ------------------------------------------------------------------ the whole spectrum


def spectrum_by_rank(spectra):
    """The sizes of all curvatures, positive and negative, from the largest down (a picture, a panel per network).

    spectra: name of a network → its curvatures (n,).
    """
    sizes = [np.abs(each) for each in spectra.values()]
    top = 3 * max(float(size.max()) for size in sizes)
    longest = max(int(np.sum(size > FLAT * size.max())) for size in sizes)
    least = min(float(size[size > FLAT * size.max()].min()) for size in sizes)
    floor = 10.0 ** np.floor(np.log10(least))  # so that every curvature that is counted is drawn
    return draw(
        *(rank_scene(np.asarray(each), name, floor, top, longest) for name, each in spectra.items())
    )


def rank_scene(curvatures, name, floor, top, longest):
    """One panel of `spectrum_by_rank`: two falling curves, and in words how many curvatures are 0."""
    limit = FLAT * np.abs(curvatures).max()
    up = np.sort(curvatures[curvatures > limit])[::-1]
    down = np.sort(-curvatures[curvatures < -limit])[::-1]
    zero = len(curvatures) - len(up) - len(down)
    return Scene(
        title=f"{name}: {len(up)} above 0, {len(down)} below, {zero:,} at 0",
        alt=(
            f"Two curves that fall from left to right on a logarithmic axis, sorted by size: the "
            f"{len(up)} positive curvatures, from {number(up.max(initial=0.0), 2)} down, and the {len(down)} "
            f"negative ones, from {number(-down.max(initial=0.0), 2)}. {zero:,} curvatures are zero and cannot be "
            "drawn on such an axis."
        ),
        xlabel="rank of the curvature among those of its sign",
        ylabel="size of the curvature, |λ|",
        xlim=(0, longest * 0.62),
        ylim=(floor, top),
        ylog=True,
        curves=[
            Curve(np.arange(1, len(up) + 1), up, "high", "positive"),
            Curve(np.arange(1, len(down) + 1), down, "low", "negative"),
        ],
    )


# ------------------------------------------------------------------ where they come from


def second_derivatives_by_layer(gauss_newton, rest, layers):
    """Which entries of the two parts of a Hessian are not 0, layer by layer (a picture of two panels).

    gauss_newton, rest: (n, n); layers: name → how many parameters, in the order of the matrix.
    """
    full, hollow = _filled(gauss_newton), _filled(rest)
    ends = np.cumsum([0, *layers.values()])
    inside = sum(int(hollow[a:b, a:b].sum()) for a, b in zip(ends[:-1], ends[1:], strict=True))
    within = "none within a layer" if inside == 0 else f"{number(inside)} entries within a layer"
    one = f"Gauss–Newton part: {number(100 * full.mean(), 2)} % of the entries are not 0"
    return draw(
        matrix_scene(full, one, layers),
        matrix_scene(hollow, f"The rest: {number(100 * hollow.mean(), 2)} %, {within}", layers),
    )


def _filled(matrix):
    """Which entries are more than rounding errors."""
    size = np.abs(matrix)
    return size > FLAT * size.max()


def matrix_scene(filled, title, layers):
    """A square of filled and empty entries, with lines between the layers."""
    n, ends = len(filled), np.cumsum([0, *layers.values()])
    lines = [line for end in ends[1:-1] for line in (([end, end], [0, n]), ([0, n], [end, end]))]
    middles = (ends[:-1] + ends[1:]) / 2
    names = [
        note
        for name, middle in zip(layers, middles, strict=True)
        for note in (
            Note(middle, n * 1.04, name, "middle"),
            Note(-0.02 * n, n - middle, name, "right"),
        )
    ]
    return Scene(
        title=title,
        alt=(
            f"A matrix of {n} rows and columns, filled where an entry is not 0, with lines between the layers "
            f"{', '.join(layers)}. {number(100 * filled.mean(), 2)} % of it is filled. "
            f"{_blocks(filled, ends, layers)}"
        ),
        xlim=(-0.16 * n, 1.02 * n),
        ylim=(-0.02 * n, 1.1 * n),
        inks=[Ink(n / 2, n / 2, filled, n, "before")],
        curves=[Curve(x, [n - y for y in ys], "high") for x, ys in lines],
        notes=names,
        equal=True,
        diagram=True,
    )


def _blocks(filled, ends, layers):
    """Which blocks on the diagonal are empty, in words."""
    pairs = zip(layers, ends[:-1], ends[1:], strict=True)
    empty = [name for name, a, b in pairs if not filled[a:b, a:b].any()]
    if len(empty) == len(layers):
        return "Every block on the diagonal, a layer with itself, is empty."
    return f"Of the blocks on the diagonal {', '.join(empty) if empty else 'none'} is empty."
