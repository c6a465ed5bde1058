"""Chapter 02: how a program differentiates itself.

A small program, L = mean of (relu(wx + b) − y)² over two examples, is written to a tape of plain lines, and its
slopes are pulled back from the last line to the first: rightly, or with one of three classic mistakes. A nudge of
each parameter says what is true. Start from `break_the_tape`; `price_of_a_gradient` counts multiplications.
"""

from dataclasses import dataclass

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Bar, Curve, Note, Points, Scene, number
from maml_edu.figures.static import draw

__all__ = ["break_the_tape", "price_of_a_gradient"]

BREAKS = (
    "nothing",
    "overwrite instead of add",
    "forget to sum over a broadcast axis",
    "visit the lines from first to last",
)
X2 = 2.0  # the second example's input
Y = np.array([0.5, 2.0])
LEAVES = 4  # the first lines of the tape: w, x, b, y
NUDGED = ("w", "b", "x₁", "x₂")
LIMIT = 4.2  # the axis of slopes; a longer bar is cut
TIE = 1e-6


# ------------------------------------------------------------------ the program and its tape


@dataclass(frozen=True)
class Line:
    """One line of the tape: its name, its value, and (index of a parent, local factor) for each operand."""

    name: str
    value: object  # number or (2,)
    parents: tuple = ()


def tape_of(w, b, x):
    """The lines of L = mean((relu(wx + b) − y)²); x (2,)."""
    x = np.asarray(x, dtype=float)
    product = w * x
    z = product + b
    a = np.maximum(z, 0.0)
    r = a - Y
    return [
        Line("w", w),
        Line("x", x),
        Line("b", b),
        Line("y", Y),
        Line("w·x", product, ((0, x), (1, w))),
        Line("z = w·x + b", z, ((4, 1.0), (2, 1.0))),
        Line("a = relu(z)", a, ((5, (z > 0) * 1.0),)),
        Line("r = a − y", r, ((6, 1.0), (3, -1.0))),
        Line("q = r·r", r * r, ((7, r), (7, r))),
        Line("L = mean q", float(np.mean(r * r)), ((8, 0.5),)),
    ]


def pull_back(lines, broken=BREAKS[0]):
    """∂L/∂line for every line, as this tape claims; None for a line that no slope has reached."""
    slopes: list = [None] * len(lines)
    slopes[-1] = 1.0
    order = range(len(lines)) if broken == BREAKS[3] else range(len(lines) - 1, -1, -1)
    for index in order:
        if slopes[index] is None:
            continue
        for parent, factor in lines[index].parents:
            part = slopes[index] * factor
            if np.ndim(lines[parent].value):
                part = np.broadcast_to(part, np.shape(lines[parent].value))
            elif broken != BREAKS[2]:
                part = float(np.sum(part))
            known = slopes[parent] is not None and broken != BREAKS[1]
            slopes[parent] = slopes[parent] + part if known else part
    return slopes


def claimed(slopes):
    """The slopes that are claimed for w, b, x₁ and x₂: arrays, of one number each if all is well."""
    w, x, b = (np.zeros(1) if part is None else np.atleast_1d(part) for part in slopes[:3])
    return [w, b, *(x if len(x) == 2 else np.zeros(2)).reshape(2, 1)]


def nudged(w, b, x, h):
    """(L(+h) − L(−h)) / 2h for w, b, x₁ and x₂: (4,)."""
    loss = lambda p: tape_of(p[0], p[1], p[2:])[-1].value
    place, ways = np.array([w, b, *x]), h * np.eye(4)
    return np.array([(loss(place + way) - loss(place - way)) / (2 * h) for way in ways])


# ------------------------------------------------------------------ break the tape


def break_the_tape():
    """Sliders for w, b, x₁ (they can be dragged), the nudge h, and what is broken: what does a nudge expose?"""
    sliders = {
        "w": ("weight w", -2.0, 2.0, 1.0, 0.1),
        "b": ("bias b", -2.0, 2.0, 0.5, 0.1),
        "x": ("first input x₁", -2.0, 2.0, 1.0, 0.1),
        "h": ("nudge h", 0.05, 1.0, 0.05, 0.05),
        "broken": ("what is broken", list(BREAKS)),
    }
    return interactive(tape_scenes, sliders, twin=[{}, {"broken": BREAKS[2]}])


def tape_scenes(w=1.0, b=0.5, x=1.0, h=0.05, broken=BREAKS[0]):
    """Left: the tape with values and slopes. Right: what it claims of four slopes, and what nudges say."""
    inputs = np.array([x, X2])
    lines = tape_of(w, b, inputs)
    slopes, right = pull_back(lines, broken), pull_back(lines)
    quotients = nudged(w, b, inputs, h)
    return [
        _tape_scene(lines, slopes, right, broken),
        _nudge_scene((w, b, x, X2), claimed(slopes), claimed(right), quotients, h, broken),
    ]


LEAF_X, CHAIN_X, VALUE_X, SLOPE_X = 3.5, 5.4, 5.7, 9.1
LEAF_Y = (8.6, 7.1, 5.6, 3.2)  # w, x, b, y
CHAIN_Y = (7.85, 6.45, 5.05, 3.65, 2.25, 0.85)  # w·x … L


def _tape_scene(lines, slopes, right, broken):
    places = [(LEAF_X, y) for y in LEAF_Y] + [(CHAIN_X, y) for y in CHAIN_Y]
    wrong = [not _same(slope, true) for slope, true in zip(slopes, right, strict=True)]
    return Scene(
        title=_what_the_tape_claims(wrong, broken),
        alt=(
            f"A graph of ten lines of a tape; broken: {broken}. Each has its value and the slope that the tape "
            "claims for it. "
            + "; ".join(
                f"{line.name.split(' = ')[0]}: value {_several(line.value)}, slope {_several(slope)}"
                + " (wrong)" * bad
                for line, slope, bad in zip(lines, slopes, wrong, strict=True)
            )
            + "."
        ),
        xlim=(0, 12.7),
        ylim=(0.3, 9.7),
        diagram=True,
        arrows=[
            _edge(places[parent], places[index])
            for index, line in enumerate(lines)
            for parent in sorted({parent for parent, _ in line.parents})
        ],
        points=[Points(*np.transpose(places), "path")],
        notes=[
            Note(VALUE_X, 9.3, "values ↓"),
            Note(SLOPE_X, 9.3, "slopes ∂L/∂… ↑"),
            *_leaf_notes(lines, slopes, wrong),
            *_chain_notes(lines, slopes, wrong),
            *_factors(lines, places),
        ],
    )


def _leaf_notes(lines, slopes, wrong):
    for index, y in enumerate(LEAF_Y):
        line = lines[index]
        yield Note(LEAF_X - 0.3, y + 0.26, f"{line.name} = {_several(line.value)}", "right")
        yield _slope_note(LEAF_X - 0.3, y - 0.34, slopes[index], wrong[index], "right")


def _chain_notes(lines, slopes, wrong):
    for index, y in enumerate(CHAIN_Y, start=LEAVES):
        line = lines[index]
        name = line.name.split(" = ")[0] if index > LEAVES else line.name
        yield Note(VALUE_X, y, f"{name} = {_several(line.value)}")
        yield _slope_note(SLOPE_X, y, slopes[index], wrong[index], "left")


def _slope_note(x, y, slope, wrong, anchor):
    words = f"slope {_several(slope)}" + " ✗" * wrong
    return Note(x, y, words, anchor, role="first_order" if wrong else "maml")


def _factors(lines, places):
    """The local factor of each edge, beside it; that of r·r, whose two edges are drawn as one, says so."""
    for index, line in enumerate(lines):
        twice = len(line.parents) == 2 and line.parents[0][0] == line.parents[1][0]
        for parent, factor in line.parents[: 1 if twice else None]:
            (x0, y0), (x1, y1) = places[parent], places[index]
            words = f"× {_several(factor)}" + ", twice" * twice
            if x0 == x1:
                yield Note(VALUE_X, (y0 + y1) / 2, words)
            else:
                yield Note((x0 + x1) / 2, (y0 + y1) / 2 + 0.42 * np.sign(y0 - y1), words, "middle")


def _edge(tail, head, gap=0.22):
    tail, head = np.array(tail), np.array(head)
    along = (head - tail) / np.linalg.norm(head - tail)
    return Arrow(tuple(tail + gap * along), tuple(head - gap * along), "path")


def _several(value):
    """A number, or the two numbers of both examples in brackets; "none" where nothing arrived."""
    if value is None:
        return "none"
    digits = 3 if np.ndim(value) == 0 else 2
    parts = [number(part, digits) for part in np.atleast_1d(np.round(value, 9))]
    return parts[0] if np.ndim(value) == 0 else f"({', '.join(parts)})"


def _same(slope, true):
    """Whether two slopes are the same; one that never arrived is as good as 0."""
    slope, true = (
        0.0 * np.asarray(t) if s is None else s for s, t in ((slope, true), (true, true))
    )
    return np.shape(slope) == np.shape(true) and bool(np.allclose(slope, true, atol=TIE))


def _what_the_tape_claims(wrong, broken):
    if broken == BREAKS[0]:
        return "A slope is gathered from the lines that use it"
    if not any(wrong):
        return "Broken, and here every slope is right all the same"
    return f"Broken ({broken}): {sum(wrong)} of {len(wrong)} slopes are wrong"


def _nudge_scene(values, slopes, right, quotients, h, broken):
    rows = np.arange(len(NUDGED), 0, -1)
    exposed = [
        not (len(slope) == 1 and abs(slope[0] - quotient) < TIE)
        for slope, quotient in zip(slopes, quotients, strict=True)
    ]
    off = [abs(true[0] - q) > TIE for true, q in zip(right, quotients, strict=True)]
    told = [
        f"{name}: claimed {_several(s if len(s) > 1 else s[0])}, nudge {number(round(q, 9), 2)}"
        for name, s, q in zip(NUDGED, slopes, quotients, strict=True)
    ]
    names = ("w", "b", "x")
    return Scene(
        title=_what_nudges_say(exposed, off, broken, h),
        alt=(
            f"For w, b, x₁ and x₂ a bar for the slope that the tape claims and one for the quotient of a nudge "
            f"of {number(h)} to both sides, with a mark at the value itself. {'; '.join(told)}."
        ),
        xlabel="slope (bars), value (marks)",
        xlim=(-LIMIT, LIMIT),
        ylim=(0.35, 5.0),
        rows=True,
        legend="below",
        bars=[
            *(
                Bar(row - 0.23 - 0.12 * i, part, "maml", "slope that the tape claims", width=0.1)
                for row, slope in zip(rows, slopes, strict=True)
                for i, part in enumerate(slope)
            ),
            Bar(rows - 0.08, quotients, "before", "quotient of the nudge", width=0.16),
        ],
        curves=[
            Curve([0, 0], [0.5, 4.55], "neutral"),
            *(Curve([-LIMIT, LIMIT], [row + 0.55, row + 0.55], "neutral") for row in rows[1:]),
        ],
        points=[
            *(
                Points(value, row + 0.13, "theta", "value (drag it)", drag=name, axis="x")
                for name, value, row in zip(names, values, rows, strict=False)
            ),
            Points(values[3], 1.13, "support", "value (fixed)"),
        ],
        notes=[Note(-LIMIT + 0.1, row + 0.34, text) for row, text in zip(rows, told, strict=True)],
    )


def _what_nudges_say(exposed, off, broken, h):
    if any(off):
        names = _listed([name for name, bad in zip(NUDGED, off, strict=True) if bad])
        return f"A kink of relu lies within h = {number(h)}: here the nudge of {names} errs"
    if broken == BREAKS[0]:
        return "The nudge agrees with all four slopes"
    if not any(exposed):
        return "Broken, and no nudge here can see it"
    seen = _listed([name for name, bad in zip(NUDGED, exposed, strict=True) if bad])
    blind = _listed([name for name, bad in zip(NUDGED, exposed, strict=True) if not bad])
    return f"Exposed by nudges of {seen}" + (f", not of {blind}" if blind else "")


def _listed(names):
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


# ------------------------------------------------------------------ the price, in multiplications


def multiplications(width, examples=10):
    """(parameters, in the value, in the gradient) of the network 1-width-width-1, products of matrices only.

    Each weight matrix is used in one product on the way forward and in two on the way back: one for its own
    slope, one for that of the layer's input. The first layer's input is data, and needs none.
    """
    sizes = [(1, width), (width, width), (width, 1)]
    parameters = sum((inputs + 1) * outputs for inputs, outputs in sizes)
    value = sum(examples * inputs * outputs for inputs, outputs in sizes)
    return parameters, value, 3 * value - examples * width


def price_of_a_gradient(widths=(5, 10, 20, 40, 80, 160, 320, 640), examples=10):
    """Multiplications for one evaluation, the gradient, and the gradient by differences, against parameters."""
    return draw(price_scene(widths, examples))


def price_scene(widths=(5, 10, 20, 40, 80, 160, 320, 640), examples=10):
    """Three curves over the number of parameters, all axes by factors."""
    parameters, value, gradient = np.transpose([multiplications(w, examples) for w in widths])
    differences = 2 * parameters * value
    last = f"{number(parameters[-1] / 1000)},000 parameters"
    return Scene(
        title="A gradient costs under three evaluations at any size; differences cost two per parameter",
        alt=(
            "Multiplications against the number of parameters, both axes by factors of ten. The line of the "
            "evaluation and, a little above it, that of the gradient rise side by side. The line of the gradient "
            f"by differences rises twice as steeply; at {last} it is {number(2 * parameters[-1])} times as high "
            "as the evaluation."
        ),
        xlabel="parameters of the network",
        ylabel=f"multiplications, {examples} examples",
        xlim=(0.7 * parameters[0], 1.5 * parameters[-1]),
        ylim=(0.4 * value[0], 3 * differences[-1]),
        xlog=True,
        ylog=True,
        curves=[
            Curve(parameters, differences, "high", "gradient by differences", markers=True),
            Curve(parameters, gradient, "maml", "gradient by the tape", markers=True),
            Curve(parameters, value, "low", "one evaluation of the loss", markers=True),
        ],
    )
