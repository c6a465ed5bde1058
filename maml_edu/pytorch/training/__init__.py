"""The outer loop: start with `meta_train`, in `loop.py`.

What it stands on: `stepper` (an outer step), `optimisers`, `sampling`, `checkpoint`, `history`, `distributed`.
"""

from .history import History
from .loop import meta_train
from .stepper import TrainingDiverged

__all__ = ["History", "TrainingDiverged", "meta_train"]
