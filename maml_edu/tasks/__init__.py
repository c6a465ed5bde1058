"""Where few-shot tasks come from: `TaskBatch` and the task families. Knows nothing of MAML."""

from .batch import TaskBatch
from .classes import FewShotImages
from .sinusoids import Sinusoids

__all__ = ["FewShotImages", "Sinusoids", "TaskBatch"]
