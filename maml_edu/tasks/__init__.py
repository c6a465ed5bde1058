"""Where few-shot tasks come from: `TaskBatch` and the task families. Knows nothing of MAML."""

from .batch import TaskBatch
from .classes import FewShotImages
from .glyphs import Glyphs
from .omniglot import Omniglot
from .sinusoids import Sinusoids

__all__ = ["FewShotImages", "Glyphs", "Omniglot", "Sinusoids", "TaskBatch"]
