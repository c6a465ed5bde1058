"""What one submission is worth: `Mark`. Made by `marks`, adjusted by `policy`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mark:
    """One submission's mark.

    points: decided so far; None where the submission could not be graded. waiting: the exercises that
    still need a person. parts: exercise → points, None for those that wait; worth: exercise → maximum.
    adjusted, adjusted_max: what counts, after lateness, dropped questions and the like, with the reasons in
    words (a bonus may go above the maximum); without a policy the same as points and max_points. counts:
    which hand-in this is the mark of, the STAMP of an earlier one, or "".
    """

    student: str
    chapter: str
    status: str
    points: float | None
    max_points: float
    waiting: list[str] = field(default_factory=list)
    parts: dict[str, float | None] = field(default_factory=dict)
    sandboxed: bool = True
    adjusted: float | None = None
    adjusted_max: float | None = None
    reasons: list[str] = field(default_factory=list)
    counts: str = ""
    worth: dict[str, float] = field(default_factory=dict, compare=False)

    def __post_init__(self):
        if self.adjusted_max is None:  # nothing has adjusted it
            object.__setattr__(self, "adjusted", self.points)
            object.__setattr__(self, "adjusted_max", self.max_points)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to decide: what may go into a gradebook."""
        return self.adjusted is not None and not self.waiting
