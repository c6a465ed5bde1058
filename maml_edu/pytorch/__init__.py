"""MAML on tensors: the functions of `maml_edu.reference`, all tasks at once, on CPU and GPU.

Start with `maml.py`; `MAML`, `meta_train` and `evaluate` are what a project of your own needs.
`family.py` has MAML's relatives, `baselines.py` what they are compared with.
"""

from .baselines import FineTuning, NearestCentroid, NearestNeighbour, ProtoNet
from .evaluation import Evaluation, evaluate
from .family import ANIL, BOIL, FOMAML, MetaSGD, Reptile
from .imaml import IMAML
from .in_context import InContext, train_in_context
from .learner import MAML
from .maml import adapt, meta_gradient, meta_loss
from .mamlpp import MAMLpp
from .networks import MLP, BatchNorm, Conv4, LayerNorm
from .training import History, OuterStep, TrainingDiverged, meta_train
from .training.distributed import Distributed, processes

__all__ = [
    "ANIL",
    "BOIL",
    "FOMAML",
    "IMAML",
    "MAML",
    "MLP",
    "BatchNorm",
    "Conv4",
    "Distributed",
    "Evaluation",
    "FineTuning",
    "History",
    "InContext",
    "LayerNorm",
    "MAMLpp",
    "MetaSGD",
    "NearestCentroid",
    "NearestNeighbour",
    "OuterStep",
    "ProtoNet",
    "Reptile",
    "TrainingDiverged",
    "adapt",
    "evaluate",
    "meta_gradient",
    "meta_loss",
    "meta_train",
    "processes",
    "train_in_context",
]
