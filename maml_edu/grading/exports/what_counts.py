"""Which points of a mark count, out of how many, and why: the one place where exports and pages look them up."""

from __future__ import annotations

from ..marks import Mark


def points(mark: Mark) -> float | None:
    """The points of a mark that other systems are given; None where there are none."""
    return mark.adjusted


def maximum(mark: Mark) -> float:
    """What they are out of."""
    return mark.max_points if mark.adjusted_max is None else mark.adjusted_max


def reasons(mark: Mark) -> list[str]:
    """Why these are not the points as graded, in words; nothing where they are."""
    return mark.reasons
