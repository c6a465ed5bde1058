"""MAML on tensors: the functions of `maml_edu.reference`, all tasks at once, on CPU and GPU.

Start with `maml.py`; `MAML`, `meta_train` and `evaluate` are what a project of your own needs.
"""

from .evaluation import Evaluation, evaluate
from .learner import MAML
from .maml import adapt, meta_gradient, meta_loss
from .networks import MLP, BatchNorm, LayerNorm
from .training import History, TrainingDiverged, meta_train

__all__ = [
    "MAML",
    "MLP",
    "BatchNorm",
    "Evaluation",
    "History",
    "LayerNorm",
    "TrainingDiverged",
    "adapt",
    "evaluate",
    "meta_gradient",
    "meta_loss",
    "meta_train",
]
