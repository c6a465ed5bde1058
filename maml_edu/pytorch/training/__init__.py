"""The outer loop: start with `meta_train`, in `loop.py`; `OuterStep` is for a loop of one's own.

What they stand on: `stepper` (an outer step), `optimisers`, `sampling`, `checkpoint`, `history`, `distributed`.
"""

from .history import History
from .loop import meta_train
from .outer_step import OuterStep
from .stepper import TrainingDiverged

__all__ = ["History", "OuterStep", "TrainingDiverged", "meta_train"]
