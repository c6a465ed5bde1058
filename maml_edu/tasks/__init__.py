"""Where few-shot tasks come from: `TaskBatch` and the task families. Knows nothing of MAML."""

from .batch import TaskBatch
from .sinusoids import Sinusoids

__all__ = ["Sinusoids", "TaskBatch"]
