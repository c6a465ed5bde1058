"""Where few-shot tasks come from: `TaskBatch` and the task families. Knows nothing of MAML."""

from .batch import TaskBatch
from .classes import FewShotImages
from .omniglot import Omniglot
from .sinusoids import Sinusoids

__all__ = ["FewShotImages", "Omniglot", "Sinusoids", "TaskBatch"]
