"""From settings to what is trained: `make_problem` (tasks, network, loss) and `make_learner`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .settings import Settings

METHODS = {  # name → class of maml_edu.pytorch
    "maml": "MAML",
    "fomaml": "FOMAML",
    "reptile": "Reptile",
    "anil": "ANIL",
    "boil": "BOIL",
    "meta-sgd": "MetaSGD",
    "maml++": "MAMLpp",
    "imaml": "IMAML",
    "protonet": "ProtoNet",
    "fine-tuning": "FineTuning",
}
WITHOUT_INNER_LOOP = ("protonet",)


@dataclass(frozen=True)
class Problem:
    """Task families to train, validate and test on, and what a network for them needs."""

    training: Any
    validation: Any
    test: Any
    inputs: int  # numbers that an example has
    outputs: int  # numbers, or classes, that are predicted
    loss: Callable  # of (prediction, target)


def make_problem(settings: Settings, data_dir=None) -> Problem:
    """The tasks that the settings ask for. ValueError or FileNotFoundError where there are none such."""
    return chosen("tasks", settings.tasks, PROBLEMS)(settings, data_dir)


def sinusoids(settings, data_dir=None) -> Problem:
    """Regression of sine waves (Finn et al. 2017, section 5.1)."""
    from torch.nn.functional import mse_loss

    from maml_edu.tasks import Sinusoids

    if settings.ways is not None:
        raise ValueError(
            "--ways is for classification: sinusoids is regression and has no classes."
        )
    family = Sinusoids(settings.shots, settings.queries)
    test = Sinusoids(settings.shots, settings.test_queries or settings.queries)
    return Problem(family, test, test, inputs=1, outputs=1, loss=mse_loss)


def images(settings, data_dir=None) -> Problem:
    """Classification of handwritten or invented characters, train, val and test sets apart."""
    from torch.nn.functional import cross_entropy

    train, val, test = (images_of(settings, split, data_dir) for split in ("train", "val", "test"))
    return Problem(train, val, test, inputs=28 * 28, outputs=train.ways, loss=cross_entropy)


def images_of(settings: Settings, split: str, data_dir=None):
    """The episodes of one split, with the queries of training or of the test."""
    from maml_edu.tasks import Glyphs, Omniglot

    ways, queries = settings.ways or 0, settings.queries or settings.shots
    if split != "train":
        queries = settings.test_queries or queries
    how: dict[str, Any] = {"rotations": bool(settings.rotations)}
    if settings.tasks == "omniglot":
        how |= {"resize": settings.resize or "nearest", "data_dir": data_dir}
        return Omniglot(split, ways, settings.shots, queries, **how)
    if split == "train" and settings.alphabets:
        how["alphabets"] = settings.alphabets
    return Glyphs(split, ways, settings.shots, queries, **how)


PROBLEMS: dict[str, Callable[..., Problem]] = {
    "sinusoids": sinusoids,
    "omniglot": images,
    "glyphs": images,
}


def make_learner(settings: Settings, problem: Problem):
    """The learner that the settings ask for; its first weights depend on the seed alone."""
    import torch

    import maml_edu.pytorch as mt

    kind = getattr(mt, chosen("--method", settings.method, METHODS))
    dtype = getattr(
        torch, chosen("--dtype", settings.dtype, {n: n for n in ("float32", "float64")})
    )
    torch.manual_seed(settings.seed)
    model = make_network(settings, problem).to(dtype)
    if settings.method in WITHOUT_INNER_LOOP:
        return kind(model, problem.loss)
    asked = {"engine": (settings.engine, "auto"), "precision": (settings.precision, "float32")}
    given = {name: value for name, (value, usual) in asked.items() if value != usual}
    known = inspect.signature(kind).parameters
    for name in given:
        if not {name, "options"} & known.keys():
            raise ValueError(f"{settings.method} has one way of computing: leave out --{name}.")
    return kind(model, problem.loss, settings.inner_lr, settings.inner_steps, **given)


def make_network(settings: Settings, problem: Problem):
    """A new network for these tasks; without a head, where the method compares embeddings."""
    from torch import nn

    import maml_edu.pytorch as mt

    outputs = None if settings.method in WITHOUT_INNER_LOOP else problem.outputs
    if settings.net == "conv4":
        if problem.inputs != 28 * 28:
            raise ValueError(f"conv4 is for images; {settings.tasks} needs --net mlp.")
        return mt.Conv4(outputs, filters=settings.filters, pool=settings.pool)
    if settings.net != "mlp":
        raise ValueError(f"--net must be one of mlp, conv4; got {settings.net!r}.")
    sizes = (problem.inputs, *settings.hidden, *([] if outputs is None else [outputs]))
    mlp = mt.MLP(*sizes, scale=settings.init)
    return mlp if problem.inputs == 1 else nn.Sequential(nn.Flatten(), *mlp)


def chosen(option, name, among):
    """among[name]; ValueError that lists what there is."""
    if name not in among:
        raise ValueError(f"{option} must be one of {', '.join(among)}; got {name!r}.")
    return among[name]
