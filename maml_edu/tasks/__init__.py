"""Where few-shot tasks come from: `TaskBatch` and the task families. Knows nothing of MAML."""

from .batch import TaskBatch
from .classes import FewShotImages
from .glyphs import Glyphs
from .navigation import Navigation
from .omniglot import Omniglot
from .pendulum import Pendulum
from .sinusoids import Sinusoids

__all__ = [
    "FewShotImages",
    "Glyphs",
    "Navigation",
    "Omniglot",
    "Pendulum",
    "Sinusoids",
    "TaskBatch",
]
