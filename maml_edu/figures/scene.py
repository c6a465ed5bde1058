"""A picture as plain data: a `Scene` says what is there, not how it is painted.

A figure is a pure function parameters → `Scene`. The same scene is painted by matplotlib
(`static.draw`) and by the browser (`plane.Plane`), so a static twin cannot disagree with its
live figure. Nothing here imports matplotlib. Start from `Scene`.
"""

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from maml_edu.figures.style import ROLES


@dataclass(frozen=True)
class Curve:
    """A line through (x[i], y[i]); NaN makes a gap. `markers=True` also marks every point."""

    x: object  # (n,)
    y: object  # (n,)
    role: str = "truth"
    label: str = ""
    markers: bool = False


@dataclass(frozen=True)
class Points:
    """Marks at (x[i], y[i]), or one mark when both are numbers.

    `drag="start"` lets the reader move them in a live figure: `interactive(…, drag={"start": …})`
    then passes their places back to the figure's function. `axis` is "xy", "x" or "y". With
    `interactive(…, more={"start": 12})` the reader also adds points and takes them away.
    """

    x: object  # number or (n,)
    y: object
    role: str = "support"
    label: str = ""
    drag: str = ""
    axis: str = "xy"


@dataclass(frozen=True)
class Arrow:
    """An arrow from `tail` to `head`, both (x, y) in the units of the axes."""

    tail: tuple
    head: tuple
    role: str = "maml"
    label: str = ""


@dataclass(frozen=True)
class Band:
    """The area between `low` and `high` over `x`, such as a confidence interval."""

    x: object  # (n,)
    low: object  # (n,)
    high: object  # (n,)
    role: str = "maml"
    label: str = ""


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, a line with a cap at either end: a confidence interval, at the height `at`.

    Caps are taller than any mark, so that an interval shorter than its mark is seen as well. All three are
    numbers or (n,); with `axis="y"` the interval is upright, above `at`.
    """

    low: object
    high: object
    at: object
    role: str = "truth"
    label: str = ""
    axis: str = "x"


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `value` at the height `at`, `width` wide in the axis' units: numbers, or (n,).

    With `axis="y"` bars are upright. Its axis is not logarithmic and shows the 0; a bar that goes beyond
    the axis is cut there and gets a mark that says so. Where bars would not do, take `Points`.
    """

    at: object
    value: object
    role: str = "maml"
    label: str = ""
    axis: str = "x"
    width: float = 0.6


@dataclass(frozen=True)
class Level:
    """Contour lines of a surface: polylines of shape (n, 2). `contours` makes them."""

    lines: list
    role: str = "surface"
    label: str = ""


@dataclass(frozen=True)
class Ink:
    """A small black-and-white image centred at (x, y), `size` wide and high, in a frame of its role's colour.

    pixels (side, side): ink where above ½. `press="2"` lets the reader click it in a live figure:
    `interactive(…, press="answers")` passes the names of all that was pressed to the figure's function.
    """

    x: float
    y: float
    pixels: object  # (side, side)
    size: float = 0.9
    role: str = "support"
    label: str = ""
    press: str = ""


@dataclass(frozen=True)
class Note:
    """Words at (x, y): `anchor` "left", "middle" or "right" is the part of the text put there.

    With a `role` the words have its colour, as a curve's name beside its end. With a `press` name they
    are a button, as an `Ink` is.
    """

    x: float
    y: float
    text: str
    anchor: str = "left"
    press: str = ""
    role: str = ""


# What a scene holds, from the bottom to the top; all but notes have a role and a label.
KINDS = ("inks", "levels", "bands", "bars", "curves", "arrows", "intervals", "points")
LEGENDS = ("", "upper right", "upper left", "lower right", "lower left", "below")


@dataclass(frozen=True)
class Scene:
    """One panel. `title` says the finding; `alt` says, to who cannot see it, what there is to see.

    `equal=True` gives both axes the same scale; `xlog`, `ylog` make an axis logarithmic.
    `diagram=True` draws no axes at all, for pictures of nodes and arrows; `rows=True` no vertical one,
    where each height is a thing with a name: neither wants the label of what is not drawn. Labels of
    things become one legend, in the order in which things are listed: in the first free corner of a
    picture, below it if none is free; `legend` names the place ("upper left", "below" …) instead.
    `xticks`, pairs (value, text), say which values the axis names, and how.
    """

    title: str
    alt: str
    xlim: tuple
    ylim: tuple
    xlabel: str = ""
    ylabel: str = ""
    inks: list = field(default_factory=list)
    levels: list = field(default_factory=list)
    bands: list = field(default_factory=list)
    bars: list = field(default_factory=list)
    curves: list = field(default_factory=list)
    arrows: list = field(default_factory=list)
    intervals: list = field(default_factory=list)
    points: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    equal: bool = False
    xlog: bool = False
    ylog: bool = False
    diagram: bool = False
    rows: bool = False
    legend: str = ""
    xticks: tuple = ()

    def __post_init__(self):
        labels = ("xlabel", "ylabel")[: 0 if self.diagram else 1 if self.rows else 2]
        for name in ("title", "alt", *labels):
            if not getattr(self, name).strip():
                raise ValueError(f"this scene has no {name}: write one, readers depend on it")
        for name, log in (("xlim", self.xlog), ("ylim", self.ylog)):
            low, high = getattr(self, name)
            if not (isfinite(low) and isfinite(high) and low < high and (low > 0 or not log)):
                raise ValueError(
                    f"{name} is ({low}, {high}): give two finite numbers, the smaller one first"
                    + (" and above 0 on a logarithmic axis" if log else "")
                )
        for item in [*self._things(), *(note for note in self.notes if note.role)]:
            if item.role not in ROLES:
                raise ValueError(f"unknown role {item.role!r}: use one of {', '.join(ROLES)}")
        if self.legend not in LEGENDS:
            raise ValueError(f"unknown place of the legend {self.legend!r}: use one of {LEGENDS}")
        for bar in self.bars:
            self._check(bar)

    def _check(self, bar):
        log, (low, high) = (self.xlog, self.xlim) if bar.axis == "x" else (self.ylog, self.ylim)
        if log or not low <= 0 <= high:
            raise ValueError(
                f"a bar along {bar.axis} has a length only on a linear axis that shows the 0, and this one "
                f"goes {'by factors ' if log else ''}from {low} to {high}: draw Points instead"
            )

    def _things(self):
        return [item for kind in KINDS for item in getattr(self, kind)]

    def words(self):
        """All that is to be read in it: title, alt text, axes, labels and notes."""
        axes = [] if self.diagram else [self.xlabel] if self.rows else [self.xlabel, self.ylabel]
        said = [item.label for item in self._things()] + [note.text for note in self.notes]
        return [self.title, self.alt, *axes, *said]

    def as_dict(self):
        """Plain lists and numbers for the painters: finite, rounded, nothing absurdly far away."""
        x, y = _tamer(self.xlim, self.xlog), _tamer(self.ylim, self.ylog)
        same = ("alt", "xlabel", "ylabel", "equal", "xlog", "ylog", "diagram", "rows", "legend")
        return {
            **{name: getattr(self, name) for name in same},
            "title": _unbroken(self.title),
            "xticks": [[float(value), text] for value, text in self.xticks],
            "xlim": [float(v) for v in self.xlim],
            "ylim": [float(v) for v in self.ylim],
            "inks": [
                {"x": x(i.x)[0], "y": y(i.y)[0], "size": float(i.size), "press": i.press}
                | {"pixels": _rows(i.pixels), **_name(i)}
                for i in self.inks
            ],
            "levels": [
                {"lines": [[x(line[:, 0]), y(line[:, 1])] for line in item.lines], **_name(item)}
                for item in self.levels
            ],
            "bands": [
                {"x": x(b.x), "low": y(b.low), "high": y(b.high), **_name(b)} for b in self.bands
            ],
            "bars": [self._bar(bar) for bar in self.bars],
            "intervals": [
                {"low": along(i.low), "high": along(i.high), "at": across(i.at), "axis": i.axis}
                | _name(i)
                for i in self.intervals
                for along, across in ((x, y) if i.axis == "x" else (y, x),)
            ],
            "curves": [
                {"x": x(c.x), "y": y(c.y), "markers": c.markers, **_name(c)} for c in self.curves
            ],
            "arrows": [
                {"x": x([a.tail[0], a.head[0]]), "y": y([a.tail[1], a.head[1]]), **_name(a)}
                for a in self.arrows
            ],
            "points": [
                {"x": x(p.x), "y": y(p.y), "drag": p.drag, "axis": p.axis, **_name(p)}
                for p in self.points
            ],
            "notes": [
                {"x": x(n.x)[0], "y": y(n.y)[0], "text": n.text, "anchor": n.anchor}
                | {"press": n.press, "role": n.role}
                for n in self.notes
            ],
        }

    def _bar(self, bar):
        """One rectangle each: from 0 to the value, or to the end of the axis if that is cut."""
        low, high = self.xlim if bar.axis == "x" else self.ylim
        value = np.atleast_1d(np.asarray(bar.value, dtype=float))
        end = [float(v) for v in np.clip(value, low, high)]
        sizes = {"at": [float(v) for v in np.atleast_1d(bar.at)], "width": float(bar.width)}
        cut = [bool(v < low or v > high) for v in value]
        return {**sizes, "end": end, "cut": cut, "axis": bar.axis, **_name(bar)}


def contours(f, xlim, ylim, levels, size=121):
    """Contour lines of `f(x, y)` (arrays in, array out) at the values `levels`, as one `Level`."""
    import contourpy  # comes with matplotlib

    x, y = np.meshgrid(np.linspace(*xlim, size), np.linspace(*ylim, size))  # (size, size)
    maker = contourpy.contour_generator(x=x, y=y, z=f(x, y))
    return Level([line for level in levels for line in maker.lines(level)])


def number(value, digits=3, places=None):
    """A number as people write it: `digits` significant, a real minus sign, 1e5 → "1 × 10⁵".

    With `places`, that many after the point: number(−0.001, places=2) is "0.00". Never "−0".
    """
    value = float(value) + 0.0  # −0.0 + 0.0 = 0.0
    if not isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "undefined"
    if places is not None:
        return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{mantissa} × 10{raised}".replace("-", "−")
    text = np.format_float_positional(value, digits, unique=False, fractional=False, trim="-")
    return text.replace("-", "−")


def _unbroken(title):
    """`title` with no line break around its =, < and >."""
    for sign in "=<>":
        title = title.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return title


def _rows(pixels):
    """An image as one string of 0 and 1 a row, from the top."""
    return ["".join("1" if ink else "0" for ink in row) for row in np.asarray(pixels) > 0.5]


def _name(item):
    return {"role": item.role, "label": item.label}


def _tamer(limits, log):
    """A function values → list: None where not finite, at most 100 axis lengths off the panel."""
    low, high = (float(v) for v in limits)
    far = 100 * (high - low)
    span = (low * 1e-30, high * 1e30) if log else (low - far, high + far)

    def tame(values):
        values = np.atleast_1d(np.asarray(values, dtype=float))
        # ±∞ lies beyond the panel; only NaN (and ≤ 0 on a logarithmic axis) is a gap.
        gap = np.isnan(values) | ((values <= 0) & log)
        return [
            None if g else float(f"{v:.6g}")
            for v, g in zip(np.clip(values, *span), gap, strict=True)
        ]

    return tame
