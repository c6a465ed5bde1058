"""N-way K-shot episodes from a bank of images: start with `FewShotImages`.

A bank holds some examples of each of many classes. An episode takes N of the classes at random, numbers
them 0 … N − 1, and takes K + queries different examples of each. `maml_edu.pytorch.training.sampling` does the same
index arithmetic on the device that trains.
"""

from __future__ import annotations

import numpy as np

from .batch import TaskBatch, whole


class FewShotImages:
    """N-way K-shot classification of the images in a bank.

    bank: uint8 (classes, examples, side, side), ink 1 (or 255) on paper 0. ways: N; shots: K, and queries:
    the same for the query set, both per class. rotations=True: each class turned by 90, 180 and 270 degrees
    makes three more classes (Vinyals et al. 2016), so that there are four times as many.

    Raises ValueError where the bank has not so many classes, or not so many examples of one.
    """

    draws_ahead = True

    def __init__(self, bank, ways: int = 5, shots: int = 1, queries: int = 15, rotations=False):
        bank = np.asarray(bank)
        if bank.dtype != np.uint8 or bank.ndim != 4 or bank.shape[2] != bank.shape[3]:
            raise ValueError(
                f"a bank holds uint8 images (classes, examples, side, side); got {bank.dtype} of shape "
                f"{bank.shape}."
            )
        self.ways, self.shots, self.queries = (
            whole(name, value)
            for name, value in (("ways", ways), ("shots", shots), ("queries", queries))
        )
        self.rotations = bool(rotations)
        self.bank = with_rotations(bank) if self.rotations else bank
        classes, examples = self.bank.shape[:2]
        if self.ways > classes:
            raise ValueError(
                f"an episode of {self.ways} ways needs as many classes, not {classes}."
            )
        if self.shots + self.queries > examples:
            raise ValueError(
                f"there are {examples} examples of a class: {self.shots} for support and {self.queries} for "
                f"the query set are too many."
            )
        self.ink = max(1, int(self.bank.max(initial=0)))  # what full ink is in the bank

    def sample(self, rng: np.random.Generator, tasks: int = 32) -> TaskBatch:
        """A batch of new episodes; the same generator state gives the same ones.

        x float32 in [0, 1]: support (tasks, ways · shots, 1, side, side), query (tasks, ways · queries, 1,
        side, side), ordered by class; y int64: labels 0 … ways − 1.
        """
        if not isinstance(rng, np.random.Generator):
            raise ValueError(
                f"rng must be a numpy Generator, such as np.random.default_rng(0); got {rng!r}."
            )
        return self.batch(*self.draw(rng, whole("tasks", tasks)))

    def draw(self, rng: np.random.Generator, tasks: int):
        """Which classes (tasks, ways), and which examples of each (tasks, ways, shots + queries)."""
        classes, examples = self.bank.shape[:2]
        chosen = rng.random((tasks, classes)).argsort(axis=1)[:, : self.ways]
        order = rng.random((tasks, self.ways, examples)).argsort(axis=2)
        return chosen, order[:, :, : self.shots + self.queries]

    def batch(self, chosen, examples) -> TaskBatch:
        """The episodes of these classes (tasks, ways) and examples (tasks, ways, shots + queries)."""
        images = self.bank[
            chosen[:, :, None], examples
        ]  # (tasks, ways, shots + queries, side, side)
        images = images.astype(np.float32) / np.float32(self.ink)
        tasks, ways, _, *size = images.shape
        k = self.shots
        x = [part.reshape(tasks, -1, 1, *size) for part in (images[:, :, :k], images[:, :, k:])]
        y = [np.tile(np.repeat(np.arange(ways), n), (tasks, 1)) for n in (k, self.queries)]
        return TaskBatch(x[0], y[0], x[1], y[1])

    def __repr__(self):
        classes, examples = self.bank.shape[:2]
        return (
            f"{type(self).__name__}(classes={classes}, examples={examples}, ways={self.ways}, "
            f"shots={self.shots}, queries={self.queries})"
        )


def with_rotations(bank):
    """The bank with each class turned by 0, 90, 180 and 270 degrees: (4 · classes, examples, side, side)."""
    return np.concatenate([np.rot90(bank, turn, axes=(2, 3)) for turn in range(4)])
