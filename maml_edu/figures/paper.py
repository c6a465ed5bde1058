"""A picture without paper, from two paintings of it: on white and on black. Start from `without_paper`."""

import io

import numpy as np


def without_paper(white, black):
    """PNG bytes of what was painted on `white` and on `black` paper: (height, width, 3), 0 … 255.

    Where the two differ the paper shows through, and how much is how transparent the picture is there. What
    was painted in the colour of the paper, the rim of a mark or the halo of a note, becomes a hole.
    """
    solid = 255 - np.clip((white - black).mean(axis=-1, keepdims=True), 0, 255)
    colour = np.clip(black * 255 / np.maximum(solid, 1), 0, 255)
    return _png(*_coarse(colour, solid))


def _coarse(colour, solid):
    """Sixteen steps of transparency, and of colour where something shows through: nobody sees more."""
    solid = 17 * np.round(solid / 17)
    colour = np.where(solid < 255, np.minimum(16 * np.round(colour / 16), 255), np.round(colour))
    return np.where(solid == 0, 0, colour), solid


def _png(colour, solid):
    """A palette of the 256 most frequent colours; a rarer one becomes the nearest of these."""
    from PIL import Image

    pixels = np.concatenate([colour, solid], axis=-1).astype(np.uint8)
    packed = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]  # one number a pixel
    found, where, count = np.unique(packed, return_inverse=True, return_counts=True)
    colours = found.view(np.uint8).reshape(-1, 4)
    kept = colours[np.argsort(-count, kind="stable")[:256]]
    nearest = ((_seen(colours)[:, None] - _seen(kept)) ** 2).sum(axis=-1).argmin(axis=1)
    image = Image.fromarray(nearest[where].reshape(packed.shape).astype(np.uint8), "P")
    image.putpalette(kept[:, :3].tobytes())
    file = io.BytesIO()
    image.save(file, "png", optimize=True, transparency=bytes(kept[:, 3]))
    return file.getvalue()


def _seen(colours):
    """Colours (n, 4) as they weigh: the less solid, the less it matters which."""
    solid = colours[:, 3:].astype(float)
    return np.concatenate([colours[:, :3] * solid / 255, solid], axis=1)
