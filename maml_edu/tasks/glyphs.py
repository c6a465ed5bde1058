"""Invented alphabets, drawn by invented hands: start with `Glyphs`, for the images alone with `draw_glyphs`.

As in the generative model of Lake et al. (2015), a character is a few strokes, and an alphabet is a small stock
of strokes that its characters share. Here a stroke is a cubic Bézier curve; a later stroke begins at a place on an
earlier one, joins two such places, or stands apart. Each drawer moves the control points a little, leans,
stretches and turns the whole, and has a pen of their own. Nothing is downloaded, and there are as many
alphabets as you like. Places on paper are complex numbers, x + iy with y pointing down, from 0 to 1 + i.
"""

from __future__ import annotations

import numpy as np

from .batch import whole
from .classes import FewShotImages

SIDE = 28  # pixels of an image
_FINE = 2  # the pen moves on a grid this many times finer
_STOCK = 10  # strokes of an alphabet, of which its characters are made
_STROKES = (0.08, 0.27, 0.35, 0.30)  # how many characters have 1, 2, 3, 4 strokes
_POINTS = 40  # places along a stroke where the pen is put down
_SEEDS = {"train": 1, "val": 2, "test": 3}


class Glyphs(FewShotImages):
    """N-way K-shot episodes of invented characters: Omniglot's stand-in that needs no download.

    split: "train", "val" or "test", which share no alphabet.
    alphabets, characters, drawers: how many alphabets, characters per alphabet and drawings per character are
        drawn, once, when the family is made. Omniglot's training split has 33 alphabets of 31 characters on
        average, by 20 drawers.
    seed: another one gives another world.

    x is 1 where there is ink. Other arguments, and errors, as for `FewShotImages`.
    """

    def __init__(
        self,
        split: str = "train",
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        *,
        rotations: bool = False,
        alphabets: int = 50,
        characters: int = 20,
        drawers: int = 20,
        seed: int = 0,
    ):
        if split not in _SEEDS:
            raise ValueError(f"split must be one of {', '.join(_SEEDS)}; got {split!r}.")
        rng = np.random.default_rng([seed, _SEEDS[split]])
        images = draw_glyphs(rng, alphabets, characters, drawers)
        bank = images.reshape(-1, *images.shape[2:])  # (classes, drawers, 28, 28)
        super().__init__(bank, ways, shots, queries, rotations=rotations)
        self.split = split
        self.drawn = (
            f"alphabets={alphabets}, characters={characters}, drawers={drawers}, seed={seed}"
        )

    def __repr__(self):
        return (
            f"Glyphs({self.split!r}, ways={self.ways}, shots={self.shots}, queries={self.queries}, "
            f"rotations={self.rotations}, {self.drawn})"
        )


def draw_glyphs(rng: np.random.Generator, alphabets=1, characters=20, drawers=20) -> np.ndarray:
    """New alphabets: uint8 (alphabets, characters, drawers, 28, 28), where 1 is ink.

    The same generator state gives the same images. Raises ValueError for counts below 1.
    """
    counts = [
        whole(name, n)
        for name, n in (("alphabets", alphabets), ("characters", characters), ("drawers", drawers))
    ]
    images = np.empty((*counts, SIDE, SIDE), np.uint8)
    for alphabet in images:
        alphabet[:] = _draw_alphabet(rng, *counts[1:])
    return images


def _draw_alphabet(rng, characters, drawers):
    """One alphabet: uint8 (characters, drawers, 28, 28)."""
    strokes, there = _invent_characters(rng, _invent_stock(rng), characters)
    strokes = _handwriting(rng, strokes, drawers)  # (characters, drawers, strokes, 4)
    there = np.broadcast_to(there[:, None], strokes.shape[:3])
    pens = np.broadcast_to(rng.integers(0, len(PENS), drawers), strokes.shape[:2])
    return rasterise(strokes, there, pens)


# ------------------------------------------------------------------ what is meant to be drawn


def _invent_stock(rng):
    """The strokes of an alphabet, control points around 0: (strokes, 4).

    A stroke sets out in some direction, often upright or level, and turns twice on its way: not at all
    (lines), to the same side (arcs and rings), to either side (waves), or at one end (hooks).
    """
    way = rng.choice(4, _STOCK, p=(0.4, 0.3, 0.15, 0.15))
    bend = rng.uniform(0.6, 2.2, _STOCK) * rng.choice([-1, 1], _STOCK)
    ways = np.array([[0.08, 0.08], [1, 1], [1, -1], [0.1, 1.3]])[way]  # (strokes, 2)
    start = rng.uniform(0, 2 * np.pi, _STOCK)
    eighths = np.round(start / (np.pi / 4)) * np.pi / 4
    quarters = np.round(start / (np.pi / 2)) * np.pi / 2
    start = np.where(rng.random(_STOCK) < 0.6, quarters, eighths) + rng.normal(0, 0.12, _STOCK)
    heading = start[:, None] + np.cumsum(np.insert(bend[:, None] * ways, 0, 0, axis=1), axis=1)
    length = rng.uniform(0.3, 0.9, (_STOCK, 1)) * (1 + np.abs(bend * ways[:, 0])[:, None] / 2)
    legs = length / 3 * np.exp(1j * heading)
    points = np.cumsum(np.insert(legs, 0, 0, axis=1), axis=1)
    return points - points.mean(1, keepdims=True)


def _invent_characters(rng, stock, characters):
    """Control points (characters, 4 strokes, 4) around the middle, and which strokes are there."""
    most = len(_STROKES)
    strokes = stock[rng.integers(0, len(stock), (characters, most))]  # (characters, strokes, 4)
    strokes = strokes * rng.uniform(0.6, 1.3, (characters, most, 1))
    mirrored = rng.random((characters, most, 1)) < 0.25
    strokes = np.where(mirrored, -strokes.conj(), strokes)
    for n in range(1, most):
        strokes[:, n] = _placed(rng, strokes[:, n], strokes[:, :n])
    there = np.arange(most) < 1 + rng.choice(most, (characters, 1), p=_STROKES)
    return _fitted(strokes, there), there


def _placed(rng, stroke, earlier):
    """A stroke (characters, 4) moved to where it belongs, given those before it (characters, n, 4)."""
    characters, n, _ = earlier.shape
    some = np.arange(characters)

    def a_place():
        t = rng.choice([0.0, 0.5, 1.0], characters, p=(0.4, 0.2, 0.4))
        return bezier(earlier[some, rng.integers(0, n, characters)], t[:, None])[:, 0]

    start, end = a_place(), a_place()
    apart = earlier[:, 0].mean(1) + rng.normal(0, 0.35, (characters, 2)) @ [1, 1j]
    held = bezier(stroke, rng.choice([0.0, 0.5], characters, p=(0.7, 0.3))[:, None])
    touching = stroke - held + start[:, None]
    away = stroke - stroke.mean(1, keepdims=True) + apart[:, None]
    # turned and stretched to lead from one place to another, where these are far enough apart
    span = stroke[:, 3] - stroke[:, 0]
    factor = (end - start) / np.where(np.abs(span) < 0.15, np.inf, span)
    joining = (stroke - stroke[:, :1]) * factor[:, None] + start[:, None]
    kind = rng.choice(3, characters, p=(0.4, 0.45, 0.15))
    kind = np.where((kind == 0) & ((np.abs(factor) < 0.4) | (np.abs(factor) > 2)), 1, kind)
    return np.choose(kind[:, None], [joining, touching, away])


def _fitted(strokes, there):
    """Strokes moved and scaled so that a character fills −½ … ½; a long thin one becomes less so."""
    path = np.where(there[:, :, None], bezier(strokes, np.linspace(0, 1, 9)), np.nan)
    path = path.reshape(len(path), -1)
    low, high = (f(path.real, 1) + 1j * f(path.imag, 1) for f in (np.nanmin, np.nanmax))
    extent = np.stack([(high - low).real, (high - low).imag])
    long = np.maximum(extent.max(0), 0.35)
    width, height = (
        np.maximum(extent, 0.6 * long)[:, :, None, None] ** 0.7 * long[:, None, None] ** 0.3
    )
    centred = strokes - (low + high)[:, None, None] / 2
    return centred.real / width + 1j * centred.imag / height


# ------------------------------------------------------------------ how a hand draws it


def _handwriting(rng, strokes, drawers):
    """The characters as each drawer draws them, in the unit square: (characters, drawers, strokes, 4)."""
    characters, most, _ = strokes.shape
    each = (characters, drawers)

    def normal(spread, *shape):
        return rng.normal(0, spread, (*each, *shape, 2)) @ [1, 1j]

    hand = strokes[:, None] + normal(0.035, most, 4) + normal(0.03, most, 1)
    hand = hand * rng.uniform(0.55, 0.9, drawers)[:, None, None]  # some write large, some small
    stretch = 1 + rng.normal(0, 0.1, (*each, 2))
    right = stretch[..., 0, None, None]  # where a step to the right, and one down, lead
    down = stretch[..., 1, None, None] * 1j + rng.normal(0, 0.12, each)[..., None, None]
    turn = np.exp(1j * rng.normal(0, 0.1, each))[..., None, None]
    middle = 0.5 + 0.5j + normal(0.06, 1, 1)
    return turn * (hand.real * right + hand.imag * down) + middle


def bezier(control, t):
    """Points of cubic Bézier curves (…, 4) at t (times,) or (…, times): (…, times)."""
    t = np.asarray(t)[..., None]
    s = 1 - t
    weights = np.concatenate([s**3, 3 * s**2 * t, 3 * s * t**2, t**3], -1)  # (…, times, 4)
    if weights.ndim == 2:
        return control @ weights.T
    return (weights @ control[..., None])[..., 0]


# ------------------------------------------------------------------ what is left on paper

# What a pen colours around the place where it is put down, (down, right) on the fine grid: fine, medium, broad.
PENS = (
    ((0, 0), (0, 1), (1, 0), (1, 1)),
    ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)),
    tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)),
)


def rasterise(strokes, there, pens):
    """uint8 (characters, drawers, 28, 28): 1 where the pen has coloured at least half of a pixel.

    strokes (characters, drawers, strokes, 4) in the unit square; there (characters, drawers, strokes):
    which of them are drawn; pens (characters, drawers): numbers of `PENS`.
    """
    shape, grid = strokes.shape[:2], SIDE * _FINE
    path = bezier(strokes.astype(np.complex64), np.linspace(0, 1, _POINTS, dtype=np.float32))
    x, y = (np.clip((part * grid).astype(np.int32), 1, grid - 2) for part in (path.real, path.imag))
    image = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(*shape, 1, 1)
    place = (image * grid + y) * grid + x  # (characters, drawers, strokes, POINTS)
    dots = np.zeros((image.size, grid, grid), np.uint8)
    dots.reshape(-1)[place[there]] = 1
    coloured = np.empty_like(dots)
    for number, offsets in enumerate(PENS):
        with_pen = pens.ravel() == number
        shifted = [np.roll(dots[with_pen], offset, axis=(1, 2)) for offset in offsets]
        coloured[with_pen] = np.bitwise_or.reduce(shifted)
    covered = coloured.reshape(*shape, SIDE, _FINE, SIDE, _FINE).sum((3, 5), dtype=np.uint8)
    return (2 * covered >= _FINE**2).astype(np.uint8)
