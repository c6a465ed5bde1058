"""Where a legend fits into a picture without hiding anything. Start from `free_corner`."""

import numpy as np

CHARACTER, LINE = 0.066, 0.19  # inches, of a legend's font
SAMPLE = 0.62  # inches: the sample of a line before its words, and the room around both
NOTE = (0.068, 0.17)  # inches: a character of a note, and its height
PLACES = ("upper right", "upper left", "lower right", "lower left")


def free_corner(scene, labels, size):
    """(place, columns): the first of `PLACES` in which a legend with these labels hides nothing, or "below".

    scene: a `Scene.as_dict()`; size: (width, height) of the panel's axes in inches. One column is tried
    before two and three. Contour lines may be hidden, all else may not.
    """
    taken = _content(scene, size)
    for columns in range(1, min(len(labels), 3) + 1):
        wide = columns * (SAMPLE + CHARACTER * max(map(len, labels))) / size[0]
        high = (LINE * -(-len(labels) // columns) + 0.1) / size[1]
        for place in PLACES if wide <= 1 and high <= 0.6 else ():
            x0 = 1 - wide if "right" in place else 0
            y0 = 1 - high if "upper" in place else 0
            hidden = (taken >= (x0, y0)) & (taken <= (x0 + wide, y0 + high))
            if not hidden.all(axis=1).any():
                return place, columns
    return "below", columns_below(labels, size[0] / 0.86)


def columns_below(labels, width):
    """How many columns of a legend fit below a panel `width` inches wide, at most three."""
    widest = SAMPLE + CHARACTER * max(map(len, labels), default=1)
    return max(1, min(3, int((width - 0.1) / widest)))


def _content(scene, size):
    """Points (n, 2), in fractions of the panel, which what is drawn covers or passes through."""
    x = _fractions(scene["xlim"], scene["xlog"])
    y = _fractions(scene["ylim"], scene["ylog"])
    parts = [_line(x(c["x"]), y(c["y"])) for c in (*scene["curves"], *scene["arrows"])]
    for band in scene["bands"]:
        low, high, at = y(band["low"]), y(band["high"]), x(band["x"])
        parts += [_line(at, low + part * (high - low)) for part in np.linspace(0, 1, 9)]
    for bar in scene["bars"]:
        for at, end in zip(bar["at"], bar["end"], strict=True):
            parts.append(_between(x, y, bar["axis"], (0, end), at, bar["width"]))
    for interval in scene["intervals"]:
        for low, high, at in zip(*(interval[k] for k in ("low", "high", "at")), strict=True):
            parts.append(_between(x, y, interval["axis"], (low, high), at, 0))
    rim = 0.11 / np.asarray(size)  # a mark's radius, with some air
    for points in scene["points"]:
        parts.append(_box(x(points["x"]), y(points["y"]), *rim))
    for ink in scene["inks"]:
        half = ink["size"] / 2
        parts.append(_between(x, y, "x", (ink["x"] - half, ink["x"] + half), ink["y"], 2 * half))
    for note in scene["notes"]:
        half = len(note["text"]) * NOTE[0] / size[0] / 2
        middle = x([note["x"]]) + {"left": half, "middle": 0, "right": -half}[note["anchor"]]
        parts.append(_box(middle, y([note["y"]]), half, NOTE[1] / size[1] / 2))
    return np.vstack(parts) if parts else np.empty((0, 2))


def _fractions(limits, log):
    low, high = np.log10(limits) if log else limits

    def to_fractions(values):
        values = np.array([np.nan if v is None else v for v in values], dtype=float)
        return ((np.log10(values) if log else values) - low) / (high - low)

    return to_fractions


def _line(x, y, between=24):
    """Points along the line through all (x, y), so dense that none slips through a legend."""
    if len(x) < 2:
        return np.column_stack([x, y])
    steps = np.linspace(0, 1, between, endpoint=False)[:, None]
    # Far off the panel a segment is seen only where it crosses: cut it to three panels before it is sampled.
    x, y = np.clip(x, -1, 2), np.clip(y, -1, 2)
    inner = [(v[:-1] + steps * np.diff(v)).ravel() for v in (x, y)]
    return np.vstack([np.column_stack(inner), [[x[-1], y[-1]]]])


def _between(x, y, axis, ends, at, width):
    """A box from one end to the other along an axis, `width` across it, at the height `at`."""
    along, across = np.array(ends, dtype=float), np.array([at - width / 2, at + width / 2])
    u, v = (x(along), y(across)) if axis == "x" else (x(across), y(along))
    return _box(u[:1] + np.ptp(u) / 2, v[:1] + np.ptp(v) / 2, np.ptp(u) / 2, np.ptp(v) / 2)


def _box(x, y, half_width, half_height):
    """Seven by three points of a box around each (x, y)."""
    u, v = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 3))
    return np.column_stack(
        [
            (x[:, None] + half_width * u.ravel()).ravel(),
            (y[:, None] + half_height * v.ravel()).ravel(),
        ]
    )
