"""MAML in NumPy that can be read in an evening: start with `maml.py`, four short functions.

`autodiff` differentiates plain NumPy code to any order, `networks` holds an MLP as a dict of
arrays, `optimisers` the update rules, `maml` the algorithm. Nothing here imports anything but NumPy.
"""

from . import rules  # noqa: F401 - fills the tables of autodiff
from .autodiff import grad, hvp, jacobian, stop_gradient, value_and_grad
from .maml import adapt, meta_gradient, meta_loss
from .networks import cross_entropy, logsumexp, mlp, mlp_init, mse
from .optimisers import adam, momentum, sgd

__all__ = [
    "adam",
    "adapt",
    "cross_entropy",
    "grad",
    "hvp",
    "jacobian",
    "logsumexp",
    "meta_gradient",
    "meta_loss",
    "mlp",
    "mlp_init",
    "momentum",
    "mse",
    "sgd",
    "stop_gradient",
    "value_and_grad",
]
