"""Scenes painted by matplotlib: pictures that need no kernel, with words for who cannot see them.

JupyterLab shows the text/html twin (its own image output knows no alt text); nbconvert, nbviewer
and other readers that take image/png find the alt text in the output's metadata; text/plain is
the alt text itself. The PNG's bytes depend on the scene alone. Start from `draw`.
"""

import base64
import html
import io
import textwrap
from dataclasses import dataclass

import numpy as np

from maml_edu.figures.style import GRID, INK, PAPER, ROLES

PANEL = 5.2  # inches
DPI = 110


@dataclass(frozen=True)
class Picture:
    """A finished picture: PNG bytes, alt text, title. Displays itself in Jupyter."""

    png: bytes
    alt: str
    title: str

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
        return Picture(_paint(scenes, columns), describe(scenes), scenes[0].title)


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
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
}


def _paint(scenes, columns):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    rows = -(-len(scenes) // columns)
    height = max(_height(scene) for scene in scenes)
    figure = Figure(figsize=(PANEL * columns, height * rows), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    canvas = FigureCanvasAgg(figure)
    for i, scene in enumerate(scenes):
        _panel(figure.add_subplot(rows, columns, i + 1), scene.as_dict())
    canvas.draw()
    # 256 colours are enough for lines on paper and make the file a third as large.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return file.getvalue()


def _height(scene):
    """Inches for one panel: the axes, then title, axis label and legend around them."""
    labels = {item["label"] for item in _labelled(scene.as_dict())}
    across = 0.86 * PANEL
    ratio = (scene.ylim[1] - scene.ylim[0]) / (scene.xlim[1] - scene.xlim[0])
    box = across * (ratio if scene.equal else 0.62)
    lines = len(textwrap.wrap(scene.as_dict()["title"], 54))
    box += 0.3 * bool(scene.inks)  # the legend stands lower under a high box
    return box + 0.2 * lines + 0.65 + 0.19 * -(-len(labels) // _legend_columns(labels))


def _panel(ax, scene):
    for ink in scene["inks"]:
        _ink(ax, ink)
    for level in scene["levels"]:
        for x, y in level["lines"]:
            ax.plot(_array(x), _array(y), **_line(level), zorder=1.5)
    for band in scene["bands"]:
        colour = ROLES[band["role"]].colour
        x, low, high = (_array(band[k]) for k in ("x", "low", "high"))
        ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0, zorder=1.8)
    for curve in scene["curves"]:
        marks = _marks(curve, 4.5) if curve["markers"] else {}
        ax.plot(_array(curve["x"]), _array(curve["y"]), **_line(curve), **marks, zorder=2)
    for arrow in scene["arrows"]:
        _arrow(ax, arrow)
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
        "markeredgecolor": role.edge or PAPER,
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


def _note(ax, note):
    from matplotlib.patheffects import withStroke

    anchor = {"left": "left", "middle": "center", "right": "right"}[note["anchor"]]
    halo = [withStroke(linewidth=3, foreground=PAPER)]
    place = (note["x"], note["y"])
    box = {"boxstyle": "round,pad=0.4", "facecolor": PAPER, "edgecolor": INK}
    look = {"bbox": box} if note["press"] else {"path_effects": halo}
    ax.text(*place, note["text"], ha=anchor, va="center", zorder=5, fontsize=9, **look)


def _ink(ax, ink):
    from matplotlib.patches import Rectangle

    half, (x, y) = ink["size"] / 2, (ink["x"], ink["y"])
    paper = np.array([[pixel == "0" for pixel in row] for row in ink["pixels"]], dtype=float)
    place = {"extent": (x - half, x + half, y - half, y + half), "aspect": "auto", "zorder": 2}
    ax.imshow(paper, cmap="gray", vmin=0, vmax=1, interpolation="nearest", **place)
    frame = {"edgecolor": ROLES[ink["role"]].colour, "linewidth": ROLES[ink["role"]].width + 0.8}
    ax.add_patch(Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, zorder=3, **frame))


def _axes(ax, scene):
    if scene["xlog"]:
        ax.set_xscale("log")
    if scene["ylog"]:
        ax.set_yscale("log")
    ax.set(xlim=scene["xlim"], ylim=scene["ylim"], xlabel=scene["xlabel"], ylabel=scene["ylabel"])
    title = "\n".join(textwrap.wrap(scene["title"], 54))
    ax.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    if scene["equal"]:
        ax.set_aspect("equal")
    if scene["rows"]:
        ax.set_yticks([])
    if scene["diagram"]:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)


def _labelled(scene):
    """Everything that has a label, once each, in order."""
    seen, items = set(), []
    for kind in ("inks", "levels", "bands", "curves", "arrows", "points"):
        for item in scene[kind]:
            if item["label"] and (item["role"], item["label"]) not in seen:
                seen.add((item["role"], item["label"]))
                items.append({**item, "kind": kind})
    return items


def _legend_columns(labels):
    widest = 0.62 + 0.072 * max(map(len, labels), default=1)  # inches: the sample, then the words
    return max(1, min(3, int((PANEL - 0.1) / widest)))


def _legend(ax, scene):
    items = _labelled(scene)
    if not items:
        return
    handles = [_key(item) for item in items]
    columns = _legend_columns([item["label"] for item in items])
    place = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.17), "borderaxespad": 0}
    ax.legend(handles=handles, ncol=columns, handlelength=2.6, columnspacing=1.4, **place)


def _key(item):
    """The legend's sample of a line, an area, an arrow or a mark."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if item["kind"] == "inks":
        return Patch(facecolor=PAPER, edgecolor=ROLES[item["role"]].colour, label=item["label"])
    if item["kind"] == "bands":
        return Patch(color=ROLES[item["role"]].colour, alpha=0.2, label=item["label"])
    if item["kind"] == "points":
        return Line2D([], [], linestyle="", label=item["label"], **_marks(item, 7))
    marks = _marks(item, 4.5) if item.get("markers") else {}
    if item["kind"] == "arrows":
        marks = {"marker": ">", "markevery": [-1], "markersize": 6}
        return Line2D([], [], label=item["label"], **{**_line(item), "linestyle": "-"}, **marks)
    return Line2D([], [], label=item["label"], **_line(item), **marks)
