"""Which points of a mark count, and out of how many: the one place where exports look them up."""

from __future__ import annotations

from ..marks import Mark


def points(mark: Mark) -> float | None:
    """The points of a mark that other systems are given; None where there are none."""
    return mark.points


def maximum(mark: Mark) -> float:
    """What they are out of."""
    return mark.max_points
