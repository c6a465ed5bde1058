"""What N-way K-shot episodes of any kind of example have in common: numbers to check, and index arithmetic.

`classes.py` makes episodes of images with it, `intents.py` episodes of sentences.
"""

from __future__ import annotations

import numpy as np

from .bank import named
from .batch import TaskBatch, whole


def counts(ways, shots, queries) -> tuple[int, int, int]:
    """The three as ints; ValueError unless they are whole numbers ≥ 1."""
    return whole("ways", ways), whole("shots", shots), whole("queries", queries)


def check_enough(sizes, names, ways, shots, queries):
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


def draw_examples(rng: np.random.Generator, sizes, chosen, number: int) -> np.ndarray:
    """Different examples of each of the chosen classes (tasks, ways), numbered from 0: (tasks, ways, number).

    sizes (classes,): how many examples each class has.
    """
    most = sizes.max()
    place = rng.random((*chosen.shape, most))  # of each example in a random order
    place[np.arange(most) >= sizes[chosen][:, :, None]] = 1  # not there: last
    return place.argsort(axis=2)[:, :, :number]


def rows(first, sizes, chosen, examples) -> np.ndarray:
    """Where examples (tasks, ways, n) of the chosen classes (tasks, ways) stand, class after class in a bank.

    first, sizes (classes,): where each class begins, and how many examples it has. Raises ValueError if a class
    does not have so many.
    """
    if not ((examples >= 0) & (examples < sizes[chosen][:, :, None])).all():
        raise ValueError("examples are numbered from 0 within their class; there are not so many.")
    return first[chosen][:, :, None] + examples


def as_batch(x, shots: int) -> TaskBatch:
    """Episodes from x (tasks, ways, shots + queries, …): the first shots of each class are its support set.

    Support (tasks, ways · shots, …) and query (tasks, ways · queries, …) ordered by class; y int64: 0 … ways − 1.
    """
    tasks, ways, number, *shape = x.shape
    parts = [part.reshape(tasks, -1, *shape) for part in (x[:, :, :shots], x[:, :, shots:])]
    labels = [np.tile(np.repeat(np.arange(ways), n), (tasks, 1)) for n in (shots, number - shots)]
    return TaskBatch(parts[0], labels[0], parts[1], labels[1])
