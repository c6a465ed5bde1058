"""What an output is worth: accuracy, squared error, the loss, or a function of your own. Start with `Metric`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

BUILT_IN = ("accuracy", "mse", "loss")
_RISES = {"accuracy": True, "mse": False, "loss": False, "return": True}  # the last: of a policy
_BY_CLASS_AXIS = (F.cross_entropy, F.nll_loss)  # class scores (n, classes, …), labels (n, …)
_MODULES_BY_CLASS_AXIS = (nn.CrossEntropyLoss, nn.NLLLoss)


class Metric(NamedTuple):
    """A metric by name, and score(output, y) → a number for one task."""

    name: str
    score: Callable

    @property
    def rises(self) -> bool | None:
        """Whether more is better; None where nobody has said."""
        return more_is_better(self.name)


def more_is_better(name: str) -> bool | None:
    """Of a built-in metric and of returns; None for any other name, of which nobody has said."""
    return _RISES.get(name)


def name_of(metric) -> str:
    """What a metric that is asked for by name or as a function is called."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)


def metric_for(metric, loss, output, y) -> Metric:
    """The Metric that is asked for, once it is known to make sense of ONE task's output and labels.

    None: the learner's loss for real y ("mse" where that is what it is); accuracy for whole-number y, where
    output and labels have the shapes of class scores and class numbers. Raises ValueError where neither is so.
    """
    if metric is None and y.is_floating_point():
        return Metric("mse" if _is_mse(loss) else "loss", loss)
    if metric is None or metric == "accuracy":
        ignored = _ignored_labels(loss, output, y)
        check_class_scores(output, y, loss, ignored, asked=metric is not None)
        hidden = any(
            label >= 0 for label in ignored
        )  # then the classes are not alike, and yet classes
        if metric is None and not hidden and not _has_class_axis(loss):
            _check_classes_are_alike(loss, output, y, ignored)
        return Metric("accuracy", lambda output, y: accuracy(output, y, ignored))
    if metric == "loss":
        return Metric("loss", loss)
    if metric == "mse":
        _check_same_shape(output, y)
        return Metric("mse", lambda output, y: F.mse_loss(output, y.to(output.dtype)))
    if callable(metric):
        return Metric(name_of(metric), _one_number(metric))
    raise ValueError(
        f"metric must be one of {', '.join(BUILT_IN)}, or a function (output, y) → a number, or a number for "
        f"each example; got {metric!r}."
    )


def accuracy(output, y, ignored=(-100,)):
    """The share of right classes: scores (n, classes, …) against labels (n, …); `ignored` ones do not count.

    Scores that hold a NaN are wrong, whatever the label.
    """
    counts = _counted(y, ignored)
    right = (output.argmax(1) == y) & counts & ~output.isnan().any(1)
    return right.sum().double() / counts.sum()


def _counted(y, ignored):
    """Which labels count: (n, …), True or False."""
    counts = torch.ones_like(y, dtype=torch.bool)
    for label in ignored:
        counts &= y != label
    return counts


def _ignored_labels(loss, output, y):
    """The labels that a loss ignores: what it says, or, where it says nothing, what it turns out to ignore."""
    function, options = loss, {}
    if isinstance(loss, functools.partial):
        function, options = loss.func, loss.keywords
    if function in _BY_CLASS_AXIS:
        return (options.get("ignore_index", -100),)
    if _is_module_by_class_axis(loss):
        return (loss.ignore_index,)
    scores = isinstance(output, torch.Tensor) and output.ndim >= 2
    if not scores or (output.shape[0], *output.shape[2:]) != tuple(y.shape):
        return (-100,)
    return (-100, *(c for c in y.unique().tolist() if _is_ignored(c, loss, output, y)))


def _is_ignored(label, loss, output, y):
    """Whether a loss does not care what is predicted where this is the label."""
    there = (y == label).unsqueeze(1)
    if bool(there.all()):
        return False
    try:
        other = loss(torch.where(there, -3 * output - 1, output), y)
        return bool(torch.as_tensor(other == loss(output, y)).all())
    except Exception:  # a loss that takes something else than scores says so elsewhere
        return False


def check_class_scores(output, y, loss, ignored=(-100,), asked=False):
    """ValueError unless output and labels of one task have the shapes of class scores and class numbers."""
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    advice = (
        "Say what is right: metric=f, with f(output, y) → a number for the task, or one for each example"
        + ("" if asked else ' (or metric="loss", "mse")')
        + "."
    )
    problem = None
    if not isinstance(output, torch.Tensor):
        problem = f"the model's output is a {shape}"
    elif y.is_floating_point() or y.dtype == torch.bool:
        problem = f"y is {y.dtype}, and class numbers are whole"
    elif output.ndim < 2 or (output.shape[0], *output.shape[2:]) != tuple(y.shape):
        problem = f"the output has shape {shape}, and y {tuple(y.shape)}"
    elif output.shape[1] < 2:
        problem = (
            f"the output has shape {shape}: one number for each example, not one for each class"
        )
    elif output.ndim > 2 and not _has_class_axis(loss):
        problem = f"the output has shape {shape}, and which axis counts classes is not known"
    if problem is None:
        problem = _problem_of_labels(output, y, ignored)
    if problem:
        raise ValueError(f"accuracy makes no sense here: {problem}. {advice}")


def _problem_of_labels(output, y, ignored):
    counted = y[_counted(y, ignored)]
    if not len(counted):
        return "every label of a task is to be ignored"
    low, high = int(counted.min()), int(counted.max())
    if low < 0 or high >= output.shape[1]:
        return f"labels go from {low} to {high}, and there are {output.shape[1]} class scores"
    return None


def _check_classes_are_alike(loss, output, y, ignored):
    """ValueError where a loss of one's own changes when the classes change their order: perhaps they are none.

    A mean and a variance beside whole numbers have the shapes of class scores and class numbers, too.
    """
    last = output.shape[1] - 1
    turned = torch.where(_counted(y, ignored), last - y, y)
    try:
        before, after = loss(output, y), loss(output.flip(1), turned)
        alike = bool(torch.allclose(before, after, rtol=1e-3, atol=1e-6, equal_nan=True))
    except Exception:  # a loss that wants something else says so by itself
        return
    if not alike:
        raise ValueError(
            f"accuracy may make no sense here: the output has shape {tuple(output.shape)}, but to this loss its "
            f'columns are not alike, as class scores are. Say metric="accuracy" if that is what they are, else '
            f'metric=f, with f(output, y) → a number, or metric="loss".'
        )


def _has_class_axis(loss):
    function = loss.func if isinstance(loss, functools.partial) else loss
    return function in _BY_CLASS_AXIS or _is_module_by_class_axis(loss)


def _is_module_by_class_axis(loss):
    kinds = [kind for kind in _MODULES_BY_CLASS_AXIS if isinstance(loss, kind)]
    return bool(kinds) and loss.forward.__func__ is kinds[0].forward


def _is_mse(loss):
    return loss is F.mse_loss or (type(loss) is nn.MSELoss and loss.reduction == "mean")


def _check_same_shape(output, y):
    if not isinstance(output, torch.Tensor) or output.shape != y.shape:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(
            f'metric="mse" compares numbers one by one: the output is {shape}, y {tuple(y.shape)}.'
        )


def _one_number(metric):
    """metric(output, y), averaged where it gives a number for each example; ValueError for anything else."""

    def score(output, y):
        answer = metric(output, y)
        try:
            value = torch.as_tensor(answer)
        except (TypeError, ValueError, RuntimeError):
            value = None
        if value is not None and (value.ndim == 0 or tuple(value.shape) == (len(y),)):
            return value.double().mean()
        got = type(answer).__name__ if value is None else f"shape {tuple(value.shape)}"
        raise ValueError(
            f"metric must return one number for the task, or one for each of its {len(y)} examples; got {got}."
        )

    return score
