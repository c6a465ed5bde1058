"""What tells a learner whether, and why not.

In notebooks: `check`, `check_gradient`, `diagnose_meta_gradient`, `progress`. To write an exercise:
`maml_edu.checks.exercise`.
"""

from .check import check
from .exercise import WrongAnswer
from .gradients import Diagnosis, check_gradient, diagnose_meta_gradient
from .progress import progress

__all__ = [
    "Diagnosis",
    "WrongAnswer",
    "check",
    "check_gradient",
    "diagnose_meta_gradient",
    "progress",
]
