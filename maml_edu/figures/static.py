"""Scenes painted by matplotlib: pictures that need no kernel, with words for who cannot see them.

JupyterLab shows the text/html twin (its own image output knows no alt text); nbconvert, nbviewer
and other readers that take image/png find the alt text in the output's metadata; text/plain is
the alt text itself. The PNG's bytes depend on the scene alone. It has no paper of its own: it is
transparent, in colours that are seen on light and on dark pages (`style.py` says why). Start from `draw`.
"""

import base64
import html
import textwrap
from dataclasses import dataclass
from functools import cache

import numpy as np

from maml_edu.figures.corners import columns_below, free_corner
from maml_edu.figures.paper import without_paper
from maml_edu.figures.scene import KINDS
from maml_edu.figures.style import GRID, INK, LINE, ROLES

PANEL = 5.2  # inches
DPI = 110
TITLE = 10.5  # points


@dataclass(frozen=True)
class Picture:
    """A finished picture: PNG bytes, alt text, title, and the scenes painted. Displays itself in Jupyter."""

    png: bytes
    alt: str
    title: str
    scenes: tuple = ()

    def as_html(self, css_class="maml-edu-picture"):
        """An `<img>` that carries the picture and its alt text."""
        source = "data:image/png;base64," + base64.b64encode(self.png).decode()
        return (
            f'<img class="{css_class}" alt="{html.escape(self.alt)}" '
            f'style="max-width: 100%; height: auto" src="{source}">'
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": self.png, "text/html": self.as_html(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}

    def save(self, path):
        """Write the PNG to `path`."""
        with open(path, "wb") as file:
            file.write(self.png)


def draw(*scenes, columns=None):
    """The scenes side by side (at most `columns` in a row) as one `Picture`."""
    if not scenes:
        raise ValueError("draw() got no scene: give it at least one, draw(scene)")
    import matplotlib

    columns = min(columns or len(scenes), len(scenes))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a reader's own matplotlibrc must not change the course
        matplotlib.rcParams.update(_LOOK)
        png = without_paper(*(_pixels(scenes, columns, paper) for paper in ("#ffffff", "#000000")))
    return Picture(png, describe(scenes), scenes[0].title, scenes)


def describe(scenes):
    """One alt text for all panels."""
    if len(scenes) == 1:
        return f"{scenes[0].title}. {scenes[0].alt}"
    places = ("Left", "Right") if len(scenes) == 2 else [f"Panel {i + 1}" for i in range(99)]
    return " ".join(f"{p}: {s.title}. {s.alt}" for p, s in zip(places, scenes, strict=False))


_LOOK = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def _pixels(scenes, columns, paper):
    """The panels on paper of one colour: (height, width, 3), 0 … 255."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["figure.facecolor"] = paper
    scenes = [scene.as_dict() for scene in scenes]
    rows = -(-len(scenes) // columns)
    height = max(map(_height, scenes)) + _room_beside_a_diagram(scenes)
    figure = Figure(figsize=(PANEL * columns, height * rows), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    canvas = FigureCanvasAgg(figure)
    for i, scene in enumerate(scenes):
        _panel(figure.add_subplot(rows, columns, i + 1), scene)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def _paper():
    """The colour of the paper that is being painted on."""
    import matplotlib

    return matplotlib.rcParams["figure.facecolor"]


def _box(scene):
    """Width and height in inches of a panel's axes."""
    ratio = (scene["ylim"][1] - scene["ylim"][0]) / (scene["xlim"][1] - scene["xlim"][0])
    return 0.86 * PANEL, 0.86 * PANEL * (ratio if scene["equal"] else 0.62)


def _place(scene):
    """(place, columns) of the legend: where the scene says, or in a free corner, or "below"."""
    labels = [item["label"] for item in _labelled(scene)]
    if not labels:
        return "", 0
    place, columns = free_corner(scene, labels, _box(scene))
    if scene["legend"] not in ("", place):
        place = scene["legend"]
        columns = columns_below(labels, PANEL) if place == "below" else 1
    return place, columns


def _height(scene):
    """Inches for one panel: the axes, then title, axis label and legend around them."""
    lines = len(_title_lines(scene["title"]))
    height = _box(scene)[1] + 0.2 * lines + (0.25 if scene["diagram"] else 0.65)
    place, columns = _place(scene)
    return height + 0.19 * -(-len(_labelled(scene)) // columns) if place == "below" else height


def _room_beside_a_diagram(scenes):
    """Inches more for panels of equal scales: beside one without axis labels all are wider, and so higher."""
    kinds = {(scene["equal"], scene["diagram"]) for scene in scenes}
    if not {(True, True), (True, False)} <= kinds:
        return 0.0
    return 0.1 * max(_box(scene)[1] for scene in scenes if scene["equal"])


def _title_lines(title):
    """The title in lines of at most 54 characters, fewer if one of them is wider than the axes."""
    for characters in range(54, 20, -1):
        lines = textwrap.wrap(title, characters)
        if max(map(_title_inches, lines), default=0) <= 0.86 * PANEL:
            break
    return lines


@cache
def _title_inches(line):
    """How wide a line of a title is."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family=_LOOK["font.family"], weight="bold")
    return TextPath((0, 0), line, size=TITLE, prop=font).get_extents().width / 72


def _panel(ax, scene):
    for ink in scene["inks"]:
        _ink(ax, ink)
    for level in scene["levels"]:
        for x, y in level["lines"]:
            ax.plot(_array(x), _array(y), **_line(level), zorder=1.5)
    for band in scene["bands"]:
        colour = ROLES[band["role"]].colour
        x, low, high = (_array(band[k]) for k in ("x", "low", "high"))
        ax.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0, zorder=1.8)
    for bar in scene["bars"]:
        _bars(ax, bar)
    for curve in scene["curves"]:
        marks = _marks(curve, 4.5) if curve["markers"] else {}
        ax.plot(_array(curve["x"]), _array(curve["y"]), **_line(curve), **marks, zorder=2)
    for arrow in scene["arrows"]:
        _arrow(ax, arrow)
    for interval in scene["intervals"]:
        _interval(ax, interval)
    for points in scene["points"]:
        x, y = _array(points["x"]), _array(points["y"])
        ax.plot(x, y, linestyle="", **_marks(points, 8), zorder=4)
    for note in scene["notes"]:
        _note(ax, note)
    _axes(ax, scene)
    _legend(ax, scene)


def _array(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _line(item):
    role = ROLES[item["role"]]
    style = (0, role.dash) if role.dash else "solid"
    return {"color": role.colour, "linewidth": role.width, "linestyle": style}


def _marks(item, size):
    role = ROLES[item["role"]]
    grow = 1.7 if role.marker == "*" else 1
    return {
        "marker": role.marker,
        "markersize": size * grow,
        "markerfacecolor": role.colour,
        "markeredgecolor": role.edge or _paper(),
        "markeredgewidth": 0.9 if size > 6 else 0.4,
    }


def _arrow(ax, arrow):
    role = ROLES[arrow["role"]]
    (x0, x1), (y0, y1) = arrow["x"], arrow["y"]
    if (x0, y0) == (x1, y1):
        return
    shape = {"arrowstyle": "-|>,head_length=0.5,head_width=0.25", "shrinkA": 0, "shrinkB": 0}
    look = {"color": role.colour, "linewidth": role.width + 0.4, "mutation_scale": 14}
    drawn = ax.annotate("", (x1, y1), (x0, y0), arrowprops={**shape, **look}, annotation_clip=False)
    drawn.arrow_patch.set_clip_path(ax.patch)


def _bars(ax, bar):
    """Bars from 0; across one that is cut go two strokes of paper, just before its end."""
    from matplotlib.transforms import ScaledTranslation

    draw_bars = ax.barh if bar["axis"] == "x" else ax.bar
    colour, at, end = ROLES[bar["role"]].colour, bar["at"], bar["end"]
    draw_bars(at, end, bar["width"], color=colour, linewidth=0, zorder=1.9)
    half = 0.75 * bar["width"] / 2
    for place, tip in ((a, e) for a, e, cut in zip(at, end, bar["cut"], strict=True) if cut):
        for points in (-9, -14):  # from the end of the axis
            back = (points if tip > 0 else -points) / 72
            shift = (back, 0) if bar["axis"] == "x" else (0, back)
            move = ax.transData + ScaledTranslation(*shift, ax.figure.dpi_scale_trans)
            ends = ([tip, tip], [place - 2 * half, place + 2 * half])
            x, y = ends if bar["axis"] == "x" else ends[::-1]
            ax.plot(x, y, color=_paper(), linewidth=2.2, transform=move, zorder=1.95)


def _interval(ax, interval):
    """A line with caps that stand out above and below any mark."""
    role, upright = ROLES[interval["role"]], interval["axis"] == "y"
    low, high, at = (_array(interval[k]) for k in ("low", "high", "at"))
    cap = {"marker": "_" if upright else "|", "markersize": 15, "markeredgewidth": 1.5}
    for pair in zip(low, high, at, strict=True):
        ends = (list(pair[:2]), [pair[2]] * 2)
        look = {"color": role.colour, "linewidth": 1.5, "zorder": 3.5}
        ax.plot(*(ends[::-1] if upright else ends), **look, **cap)


def _note(ax, note):
    from matplotlib.patheffects import withStroke

    anchor = {"left": "left", "middle": "center", "right": "right"}[note["anchor"]]
    halo = [withStroke(linewidth=3, foreground=_paper())]
    place = (note["x"], note["y"])
    box = {"boxstyle": "round,pad=0.4", "facecolor": _paper(), "edgecolor": INK}
    look = {"bbox": box} if note["press"] else {"path_effects": halo}
    role = ROLES.get(note["role"])
    if role:  # a light fill is no colour for words
        look |= {"color": INK if role.edge else role.colour, "fontweight": "bold"}
    ax.text(*place, note["text"], ha=anchor, va="center", zorder=5, fontsize=9, **look)


def _ink(ax, ink):
    from matplotlib.patches import Rectangle

    half, (x, y) = ink["size"] / 2, (ink["x"], ink["y"])
    drawn = np.array([[pixel == "1" for pixel in row] for row in ink["pixels"]], dtype=float)
    pixels = np.stack([*np.broadcast_to(_channels(LINE), (*drawn.shape, 3)).T, drawn.T]).T
    place = {"extent": (x - half, x + half, y - half, y + half), "aspect": "auto", "zorder": 2}
    ax.imshow(pixels, interpolation="nearest", **place)
    frame = {"edgecolor": ROLES[ink["role"]].colour, "linewidth": ROLES[ink["role"]].width + 0.8}
    ax.add_patch(Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, zorder=3, **frame))


def _channels(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _axes(ax, scene):
    if scene["xlog"]:
        ax.set_xscale("log")
    if scene["ylog"]:
        ax.set_yscale("log")
        _label_between_powers(ax.yaxis, scene["ylim"])
    if scene["xticks"]:
        ax.set_xticks(*zip(*scene["xticks"], strict=True))
        ax.set_xticks([], minor=True)
    ax.set(xlim=scene["xlim"], ylim=scene["ylim"], xlabel=scene["xlabel"], ylabel=scene["ylabel"])
    if scene["rows"] or scene["diagram"]:
        ax.set(ylabel="", yticks=[])
        ax.spines["left"].set_visible(False)
    if scene["diagram"]:
        ax.set(xlabel="", xticks=[])
        ax.spines["bottom"].set_visible(False)
        ax.grid(False)
    title = "\n".join(_title_lines(scene["title"]))
    ax.set_title(title, loc="left", fontsize=TITLE, fontweight="bold")
    if scene["equal"]:
        ax.set_aspect("equal")


def _label_between_powers(axis, limits):
    """Numbers at 2 and 5 times a power of ten where an axis spans too few powers to be read by them alone."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if limits[1] < 1000 * limits[0]:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _labelled(scene):
    """Everything that has a label, once each, in order."""
    seen, items = set(), []
    for kind in KINDS:
        for item in scene[kind]:
            if item["label"] and (item["role"], item["label"]) not in seen:
                seen.add((item["role"], item["label"]))
                items.append({**item, "kind": kind})
    return items


def _legend(ax, scene):
    from matplotlib.legend_handler import HandlerLine2D

    items = _labelled(scene)
    if not items:
        return
    handles = [_key(item) for item in items]
    corner, columns = _place(scene)
    if corner == "below":
        place = {"loc": "upper left", "bbox_to_anchor": (-0.02, _foot(scene)), "borderaxespad": 0}
    else:  # paper below it, for contour lines that run there
        place = {"loc": corner, "frameon": True, "framealpha": 1, "borderaxespad": 0.2}
        place |= {"facecolor": _paper(), "edgecolor": "none"}
    both_ends = {h: HandlerLine2D(numpoints=2) for h in handles if _is_capped(h)}
    ax.legend(
        handles=handles,
        ncol=columns,
        handler_map=both_ends,
        handlelength=2.6,
        columnspacing=1.4,
        **place,
    )


def _is_capped(handle):
    return getattr(handle, "get_marker", str)() == "|"


def _foot(scene):
    """Where a legend below begins, in heights of the axes: under the numbers and the label, if any."""
    return -(0.05 if scene["diagram"] else 0.5) / _box(scene)[1]


def _key(item):
    """The legend's sample of a line, an area, an arrow or a mark."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if item["kind"] == "inks":
        return Patch(facecolor="none", edgecolor=ROLES[item["role"]].colour, label=item["label"])
    if item["kind"] == "bands":
        return Patch(color=ROLES[item["role"]].colour, alpha=0.25, label=item["label"])
    if item["kind"] == "bars":
        return Patch(color=ROLES[item["role"]].colour, label=item["label"])
    if item["kind"] == "intervals":
        look = {"color": ROLES[item["role"]].colour, "linewidth": 1.5}
        caps = {"marker": "|", "markersize": 9, "markeredgewidth": 1.5}
        return Line2D([0, 1], [0, 0], label=item["label"], **look, **caps)
    if item["kind"] == "points":
        return Line2D([], [], linestyle="", label=item["label"], **_marks(item, 7))
    marks = _marks(item, 4.5) if item.get("markers") else {}
    if item["kind"] == "arrows":
        marks = {"marker": ">", "markevery": [-1], "markersize": 6}
        return Line2D([], [], label=item["label"], **{**_line(item), "linestyle": "-"}, **marks)
    return Line2D([], [], label=item["label"], **_line(item), **marks)
