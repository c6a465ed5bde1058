"""Training and evaluation mode, for networks that adapt: `in_evaluation`.

MAML's batch norms normalise by the batch at hand, in training and in evaluation alike, unless their owner
put them into eval mode, as in a pretrained backbone. Everything else, such as dropout, is off in evaluation.
"""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import nn

from .networks import BatchNorm


def is_norm(module) -> bool:
    """Whether a module keeps, or could keep, running statistics of what it normalises."""
    statistics = isinstance(module, nn.modules.batchnorm._NormBase) or hasattr(
        module, "running_mean"
    )
    return statistics or isinstance(module, BatchNorm)


@contextlib.contextmanager
def in_evaluation(model):
    """Dropout and the like are off; norms keep their mode. The mode of every module is put back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            if not is_norm(module):
                module.training = False
        yield
    finally:
        for module, training in modes:
            module.training = training


def refuse_unwritten_statistics(model):
    """ValueError for a norm in eval mode whose running statistics were never written."""
    for name, module in model.named_modules():
        mean, variance = (getattr(module, n, None) for n in ("running_mean", "running_var"))
        if module.training or not isinstance(mean, torch.Tensor) or variance is None:
            continue
        count = getattr(module, "num_batches_tracked", None)
        fresh = count is None or int(count) == 0
        if fresh and bool((mean == 0).all()) and bool((variance == 1).all()):
            raise ValueError(
                f"{name or 'model'} ({type(module).__name__}) is in eval mode, but its running statistics "
                f"were never written: meta-training never writes them. Call model.train(), and it uses the "
                f"statistics of the batch at hand, as in training; or load statistics that fit."
            )


def uses_batch_statistics(model) -> bool:
    """Whether what comes out for one example depends on the others in the batch."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            return True
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            if module.training or module.running_mean is None:
                return True
    return False


BESIDE = "give all queries at once, or the support set to normalise with: predict(params, x, beside=support_x)"


def warn_of_one_example(model, x, advice=BESIDE):
    """A warning where a network with batch norms is asked about one example by itself."""
    if len(x) == 1 and uses_batch_statistics(model):
        warn_of_batch_statistics(advice)


def warn_of_batch_statistics(advice=BESIDE):
    """The warning itself."""
    warnings.warn(
        f"a network with batch norms is asked about one example at a time: it is normalised by itself alone, "
        f"so that the answer hardly depends on it. Instead: {advice}.",
        stacklevel=5,
    )
