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
    """Task families to train, validate and test on."""

    training: Any
    validation: Any
    test: Any


def make_problem(settings: Settings, data_dir=None) -> Problem:
    """The tasks that the settings ask for. ValueError or FileNotFoundError where there are none such."""
    return chosen("tasks", settings.tasks, PROBLEMS)(settings, data_dir)


def sinusoids(settings, data_dir=None) -> Problem:
    """Regression of sine waves (Finn et al. 2017, section 5.1)."""
    from maml_edu.tasks import Sinusoids

    if settings.ways is not None:
        raise ValueError(
            "--ways is for classification: sinusoids is regression and has no classes."
        )
    queries = settings.queries if settings.test_queries is None else settings.test_queries
    test = Sinusoids(settings.shots, queries)
    return Problem(Sinusoids(settings.shots, settings.queries), test, test)


def images(settings, data_dir=None) -> Problem:
    """Classification of handwritten or invented characters, train, val and test sets apart."""
    return Problem(*(images_of(settings, split, data_dir) for split in ("train", "val", "test")))


def images_of(settings: Settings, split: str, data_dir=None):
    """The episodes of one split, with the queries of training or of the test."""
    from maml_edu.tasks import Glyphs, Omniglot

    ways = 0 if settings.ways is None else settings.ways
    queries = settings.shots if settings.queries is None else settings.queries
    if split != "train" and settings.test_queries is not None:
        queries = settings.test_queries
    how: dict[str, Any] = {"rotations": bool(settings.rotations)}
    if settings.tasks == "omniglot":
        how |= {"resize": settings.resize or "nearest", "data_dir": data_dir}
        return Omniglot(split, ways, settings.shots, queries, **how)
    if split == "train" and settings.alphabets is not None:
        how["alphabets"] = settings.alphabets
    return Glyphs(split, ways, settings.shots, queries, **how)


PROBLEMS: dict[str, Callable[..., Problem]] = {
    "sinusoids": sinusoids,
    "omniglot": images,
    "glyphs": images,
}


def make_learner(settings: Settings):
    """The learner that the settings ask for; its first weights depend on the seed alone. Needs no data."""
    import torch
    from torch.nn.functional import cross_entropy, mse_loss

    import maml_edu.pytorch as mt

    kind = getattr(mt, chosen("--method", settings.method, METHODS))
    dtype = getattr(
        torch, chosen("--dtype", settings.dtype, {n: n for n in ("float32", "float64")})
    )
    loss = cross_entropy if settings.of_images else mse_loss
    torch.manual_seed(settings.seed)
    model = make_network(settings).to(dtype)
    if settings.method in WITHOUT_INNER_LOOP:
        return kind(model, loss)
    asked = {"engine": (settings.engine, "auto"), "precision": (settings.precision, "float32")}
    given = {name: value for name, (value, usual) in asked.items() if value != usual}
    known = inspect.signature(kind).parameters
    for name in given:
        if not {name, "options"} & known.keys():
            raise ValueError(f"{settings.method} has one way of computing: leave out --{name}.")
    return kind(model, loss, settings.inner_lr, settings.inner_steps, **given)


def make_network(settings: Settings):
    """A new network for these tasks; without a head, where the method compares embeddings."""
    from torch import nn

    import maml_edu.pytorch as mt

    inputs, outputs = (28 * 28, settings.ways) if settings.of_images else (1, 1)
    if settings.method in WITHOUT_INNER_LOOP:
        outputs = None
    if settings.net == "conv4":
        if not settings.of_images:
            raise ValueError(f"conv4 is for images; {settings.tasks} needs --net mlp.")
        return mt.Conv4(outputs, filters=settings.filters, pool=settings.pool)
    if settings.net != "mlp":
        raise ValueError(f"--net must be one of mlp, conv4; got {settings.net!r}.")
    sizes = (inputs, *settings.hidden, *([] if outputs is None else [outputs]))
    mlp = mt.MLP(*sizes, scale=settings.init)
    return nn.Sequential(nn.Flatten(), *mlp) if settings.of_images else mlp


def chosen(option, name, among):
    """among[name]; ValueError that lists what there is."""
    if name not in among:
        raise ValueError(f"{option} must be one of {', '.join(among)}; got {name!r}.")
    return among[name]
