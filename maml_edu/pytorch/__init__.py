"""MAML on tensors: the functions of `maml_edu.reference`, all tasks at once, on CPU and GPU.

Start with `maml.py`; `MAML`, `meta_train` and `evaluate` are what a project of your own needs.
`family.py` has MAML's relatives, `baselines.py` what they are compared with, `heads.py` and `similarity.py` what
looks into a trained network.
"""

from .baselines import FineTuning, NearestCentroid, NearestNeighbour, ProtoNet
from .evaluation import Evaluation, evaluate
from .family import ANIL, BOIL, FOMAML, MetaSGD, Reptile
from .heads import ProtoMAML, RidgeHead, body_of
from .imaml import IMAML
from .in_context import InContext, train_in_context
from .learner import MAML
from .maml import adapt, meta_gradient, meta_loss
from .mamlpp import MAMLpp
from .networks import MLP, BatchNorm, Conv4, LayerNorm
from .similarity import layer_outputs, linear_cka
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
    "ProtoMAML",
    "ProtoNet",
    "Reptile",
    "RidgeHead",
    "TrainingDiverged",
    "adapt",
    "body_of",
    "evaluate",
    "layer_outputs",
    "linear_cka",
    "meta_gradient",
    "meta_loss",
    "meta_train",
    "processes",
    "train_in_context",
]
