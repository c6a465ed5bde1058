"""Where few-shot tasks come from: `TaskBatch` and the task families. Knows nothing of MAML."""

from .batch import TaskBatch
from .classes import FewShotImages
from .glyphs import Glyphs
from .intents import Intents
from .navigation import Navigation
from .omniglot import Omniglot
from .pendulum import Pendulum
from .sinusoids import Sinusoids
from .text import hashed_ngrams, letter_groups

__all__ = [
    "FewShotImages",
    "Glyphs",
    "Intents",
    "Navigation",
    "Omniglot",
    "Pendulum",
    "Sinusoids",
    "TaskBatch",
    "hashed_ngrams",
    "letter_groups",
]
