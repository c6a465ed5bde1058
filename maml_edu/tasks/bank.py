"""`Bank`: images of many classes, in memory, any number of each class. Start with `Bank.of`.

It knows nothing of episodes (`classes.py` draws them), nor of files and data sets (`reading.py` reads them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency: what a channel axis is known by
_EXPECTED = (
    "a bank is an array of images (classes, examples, height, width), with channels first or last if they are in "
    "colour, or a list of such arrays, one (examples, height, width) per class"
)


@dataclass(frozen=True)
class Bank:
    """Images of many classes.

    images: (total, height, width) or (total, channels, height, width), class after class; uint8 or float32.
    sizes: (classes,), the number of images of each class.
    names: what the classes are called; None if nobody said.
    """

    images: np.ndarray
    sizes: np.ndarray
    names: list[str] | None = None

    def __post_init__(self):
        if self.names is None:
            return
        names = [str(name) for name in self.names]
        if len(names) != len(self.sizes):
            raise ValueError(f"there are {len(self.sizes)} classes, but {len(names)} names.")
        object.__setattr__(self, "names", names)

    @classmethod
    def of(cls, images, channels: str | None = None, names: Sequence[str] | None = None) -> Bank:
        """A bank of these images.

        images: an array or tensor (classes, examples, height, width), or with channels first or last
            (classes, examples, channels, height, width); or a list of arrays, one per class. uint8, bool or
            floats, which become float32. A Bank is returned as it is.
        channels: "first" or "last"; None: the axis that has 1, 3 or 4 entries.
        Raises ValueError if this is no such thing, if images differ in shape or kind, or contain NaN.
        """
        if isinstance(images, Bank):
            return images
        if isinstance(images, (list, tuple)) or getattr(images, "dtype", None) == np.dtype(object):
            flat, sizes = _joined([_array(part, f"class {n}") for n, part in enumerate(images)])
        else:
            array = _array(images, "the bank")
            if array.ndim not in (4, 5):
                raise ValueError(f"{_EXPECTED}; got shape {array.shape}.")
            flat, sizes = array.reshape(-1, *array.shape[2:]), np.full(len(array), array.shape[1])
        if flat.size == 0 or not sizes.all():
            raise ValueError(f"{_EXPECTED}; got one that is empty, or has an empty class.")
        flat = _channels_first(flat, channels)
        bank = cls(
            np.ascontiguousarray(as_pixels(flat)), sizes, None if names is None else list(names)
        )
        bank.refuse_nan()
        return bank

    @property
    def first(self) -> np.ndarray:
        """Where each class begins in `images`: (classes,)."""
        return np.cumsum(self.sizes) - self.sizes

    def by_class(self):
        """(classes, examples, …), or a list of arrays (examples, …) if the classes differ in size; no copies."""
        if (self.sizes == self.sizes[0]).all():
            return self.images.reshape(len(self.sizes), -1, *self.images.shape[1:])
        return np.split(self.images, self.first[1:])

    def rotated(self) -> Bank:
        """Four times as many classes: each turned by 0, then each by 90, 180 and 270 degrees."""
        height, width = self.images.shape[-2:]
        if height != width:
            raise ValueError(
                f"rotations need square images; these are {height} × {width}: leave rotations out, or make "
                f"them square."
            )
        turned = [np.rot90(self.images, turn, axes=(-2, -1)) for turn in range(4)]
        names = self.names and [
            f"{name}, {angle}°" if angle else name
            for angle in (0, 90, 180, 270)
            for name in self.names
        ]
        return Bank(np.concatenate(turned), np.tile(self.sizes, 4), names)

    def refuse_nan(self):
        """ValueError if an image contains NaN or infinity."""
        if self.images.dtype == np.uint8:
            return
        for number, part in enumerate(np.split(self.images, self.first[1:])):
            if not np.isfinite(part).all():
                raise ValueError(
                    f"{named(number, self.names)} contains NaN, infinity, or numbers too large for float32: "
                    f"look at the data."
                )


def named(number, names) -> str:
    """How a message speaks of a class."""
    return f"class {number}" if names is None else f"class {names[number]!r}"


def _channels_first(images, channels: str | None):
    """Images (total, height, width) as they are; those with channels as (total, channels, height, width)."""
    shape = images.shape[1:]
    if channels not in (None, "first", "last"):
        raise ValueError(f'channels must be "first" or "last"; got {channels!r}.')
    if len(shape) == 2:
        _refuse_single_images(shape, channels)
        return images
    if channels is None:
        if (shape[0] in CHANNELS) == (shape[2] in CHANNELS):
            raise ValueError(
                f'which axis of images of shape {shape} holds the channels? Say channels="first" or '
                f'channels="last".'
            )
        channels = "first" if shape[0] in CHANNELS else "last"
    return images if channels == "first" else np.moveaxis(images, -1, 1)


def _refuse_single_images(shape, channels):
    """Images (height, width) that cannot be meant: an axis of classes or of examples is missing."""
    if channels is not None:
        raise ValueError(
            f'channels="{channels}", but images of shape {shape} have no axis of channels: {_EXPECTED}.'
        )
    height, width = shape
    if width in CHANNELS[1:] and height != width:
        raise ValueError(
            f"images of {height} × {width} pixels look like images in colour that are not sorted by class: "
            f"{_EXPECTED}. If they are meant, add an axis of channels: bank[..., None]."
        )


def as_pixels(images):
    """uint8 (or bool) images as uint8, real-valued ones as float32; ValueError for other kinds."""
    if images.dtype.kind == "b" or images.dtype == np.uint8:
        return images.astype(np.uint8, copy=False)
    if images.dtype.kind != "f":
        raise ValueError(
            f"images are uint8 (0 … 255) or floats; got {images.dtype}. Convert them: images.astype(np.uint8) if "
            f"they are 0 … 255, images / 65535 if they have 16 bits."
        )
    with np.errstate(over="ignore"):  # `refuse_nan` notices
        return images.astype(np.float32, copy=False)


def as_array(values) -> np.ndarray:
    """An array, or a tensor from any device, as a NumPy array."""
    if not hasattr(values, "detach"):
        return np.asarray(values)
    values = values.detach().cpu()
    return np.asarray(values.float() if "bfloat16" in str(values.dtype) else values)


def _array(values, what):
    if isinstance(values, (list, tuple)) and any(hasattr(value, "convert") for value in values):
        raise ValueError(
            f'{what} holds images of Pillow: give arrays, np.asarray(image.convert("RGB")), or all of them as '
            f"(image, label) to FewShotImages.from_dataset."
        )
    try:
        return as_array(values)
    except ValueError:
        raise ValueError(
            f"{what} holds images of different shapes: bring them to one size."
        ) from None


def _joined(parts):
    """Arrays (examples, …), one per class, as one array (total, …), and the sizes (classes,)."""
    for number, part in enumerate(parts):
        if part.ndim not in (3, 4):
            raise ValueError(f"{_EXPECTED}; got shape {part.shape} for class {number}.")
        if part.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"images of class 0 have shape {parts[0].shape[1:]}, those of class {number} {part.shape[1:]}: "
                f"bring them to one size."
            )
        if as_pixels(part[:0]).dtype != as_pixels(parts[0][:0]).dtype:
            raise ValueError(
                f"images of class 0 are {parts[0].dtype}, those of class {number} {part.dtype}: give uint8 "
                f"everywhere, or floats."
            )
    if not parts:
        raise ValueError(f"{_EXPECTED}; got an empty list.")
    return np.concatenate(parts), np.array([len(part) for part in parts])
