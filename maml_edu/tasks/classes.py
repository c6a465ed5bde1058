"""N-way K-shot episodes from a bank of images: start with `FewShotImages`.

A bank holds some examples of each of many classes. An episode takes N of the classes at random, numbers
them 0 … N − 1, and takes K + queries different examples of each. `maml_edu.pytorch.training.sampling` does the same
index arithmetic on the device that trains.
"""

from __future__ import annotations

import numpy as np

from .bank import Bank, named
from .batch import TaskBatch, check_generator, whole
from .reading import files_by_class, read_dataset, read_files


class FewShotImages:
    """N-way K-shot classification of the images in a bank.

    bank: images (classes, examples, height, width), or in colour with channels first or last (classes,
        examples, channels, height, width), or a list of arrays, one per class, where classes have
        unequal numbers of examples. uint8 becomes 0 … 1 when episodes are drawn: it is divided by 255, or
        taken as it is if the whole bank is 0 and 1. Floats are left as they are, in float32.
    ways: N, the number of classes of an episode.
    shots, queries: examples of each class in the support set (K) and in the query set.
    rotations: True makes of each class three more, turned by 90, 180 and 270 degrees (Vinyals et al. 2016).
    channels: "first" or "last"; None: the axis of a colour image that has 1, 3 or 4 entries.
    names: what the classes are called; they are in the attribute `names`, in the order of the bank.

    The bank stays in memory as it is given. Channels are moved to the front and lists joined, which copies
    them once; rotations take four times as much. `from_folder` and `from_dataset` read banks.
    Raises ValueError if the bank is of another kind, contains NaN, or has too few classes or too few examples of
    a class.
    """

    draws_ahead = True

    def __init__(
        self,
        bank,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        rotations: bool = False,
        *,
        channels: str | None = None,
        names=None,
    ):
        self.ways, self.shots, self.queries = _counts(ways, shots, queries)
        self.rotations = bool(rotations)
        images = Bank.of(bank, channels, names)
        images = images.rotated() if self.rotations else images
        _check_enough(images.sizes, images.names, self.ways, self.shots, self.queries)
        self.images = images.images  # (total, height, width) or (total, channels, height, width)
        self.sizes, self.first = images.sizes, images.first  # how many of each class, from where on
        self.names = images.names
        # what full ink is in the bank: 255, or 1 where it is 0 and 1 or real-valued
        self.ink = 255 if images.images.dtype == np.uint8 and images.images.max() > 1 else 1

    @classmethod
    def from_folder(
        cls,
        folder,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        rotations: bool = False,
        *,
        size=None,
        grey: bool = False,
    ):
        """Episodes of the images in a folder that has a sub-folder per class.

        folder: every folder in it that holds images is a class, at any depth. Its name is its path ("cat",
            "Greek/character05"), and classes are sorted by name. Hidden files and other kinds are ignored.
        size: (height, width), or one number for both: images are resized to it, whatever their proportions.
            None: they must all have one size.
        grey: True reads shades of grey, False colours (three channels). Transparent places are white.

        All images are kept in memory, channels · height · width bytes each. Raises FileNotFoundError if
        there is no such folder; ValueError, which names the file, if an image cannot be read or has another size;
        and as the constructor does.
        """
        counts = _counts(ways, shots, queries)
        files = files_by_class(folder)
        sizes = np.tile([len(paths) for paths in files.values()], 4 if rotations else 1)
        _check_enough(sizes, list(files), *counts)  # before all the images are read
        return cls(read_files(files, size, grey), ways, shots, queries, rotations)

    @classmethod
    def from_dataset(
        cls,
        dataset,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        rotations: bool = False,
        *,
        channels: str | None = None,
    ):
        """Episodes of the images in a torch Dataset, or in any sequence of pairs (image, label).

        dataset: has a length, and dataset[i] is a pair of an image (a tensor, an array, or an image of Pillow;
            uint8 or floats) and a label, a whole number. If the second entry is no whole number, the
            labels are dataset.targets or dataset.labels. Classes are in the order of their labels, and
            called as in dataset.classes if there is such a list.
        channels: "first" or "last"; None: first in tensors, last in arrays, 1, 3 or 4 of them.

        Each image is read once and kept in memory. So a transform that is random is applied once, too: leave
        it out here. Raises ValueError if the dataset has no length, as iterable and endless ones do not, if
        images differ in shape or kind, which is said with the index of the item, and as the constructor does.
        """
        return cls(read_dataset(dataset, channels), ways, shots, queries, rotations)

    @property
    def bank(self):
        """The images by class: (classes, examples, …), or a list of arrays (examples, …) of unequal length."""
        return Bank(self.images, self.sizes).by_class()

    def sample(self, rng: np.random.Generator, tasks: int = 32) -> TaskBatch:
        """A batch of new episodes; the same generator state gives the same ones.

        x float32: support (tasks, ways · shots, channels, height, width), query (tasks, ways · queries,
        channels, height, width), ordered by class; y int64: labels 0 … ways − 1.
        """
        check_generator(rng)
        return self.batch(*self.draw(rng, whole("tasks", tasks)))

    def draw(self, rng: np.random.Generator, tasks: int):
        """Which classes (tasks, ways), and which examples of each (tasks, ways, shots + queries)."""
        chosen = rng.random((tasks, len(self.sizes))).argsort(axis=1)[:, : self.ways]
        most = self.sizes.max()
        place = rng.random((tasks, self.ways, most))  # of each example in a random order
        place[np.arange(most) >= self.sizes[chosen][:, :, None]] = 1  # not there: last
        return chosen, place.argsort(axis=2)[:, :, : self.shots + self.queries]

    def batch(self, chosen, examples) -> TaskBatch:
        """The episodes of these classes (tasks, ways) and examples (tasks, ways, shots + queries)."""
        if not ((examples >= 0) & (examples < self.sizes[chosen][:, :, None])).all():
            raise ValueError(
                "examples are numbered from 0 within their class; there are not so many."
            )
        images = self.images[self.first[chosen][:, :, None] + examples]
        images = images.astype(np.float32) / np.float32(self.ink)
        tasks, ways, _, *size = images.shape  # (tasks, ways, shots + queries, …)
        shape = (1, *size)[-3:]  # (channels, height, width)
        k = self.shots
        x = [part.reshape(tasks, -1, *shape) for part in (images[:, :, :k], images[:, :, k:])]
        y = [np.tile(np.repeat(np.arange(ways), n), (tasks, 1)) for n in (k, self.queries)]
        return TaskBatch(x[0], y[0], x[1], y[1])

    def __repr__(self):
        fewest, most = self.sizes.min(), self.sizes.max()
        return (
            f"{type(self).__name__}(classes={len(self.sizes)}, "
            f"examples={most if fewest == most else f'{fewest} … {most}'}, ways={self.ways}, "
            f"shots={self.shots}, queries={self.queries})"
        )


def _counts(ways, shots, queries):
    return whole("ways", ways), whole("shots", shots), whole("queries", queries)


def _check_enough(sizes, names, ways, shots, queries):
    """ValueError unless there are enough classes, sizes (classes,), and enough examples of each."""
    if ways > len(sizes):
        raise ValueError(
            f"an episode of {ways} ways needs as many classes, not {len(sizes)}: lower ways, or add classes."
        )
    short = np.flatnonzero(sizes < shots + queries)
    if len(short):
        others = f", and {len(short) - 1} more classes have too few" if len(short) > 1 else ""
        raise ValueError(
            f"there are {sizes[short[0]]} examples of {named(short[0], names)}{others}; an episode takes "
            f"{shots} for the support set and {queries} for the query set: lower shots or queries, or leave "
            f"such classes out."
        )
