"""From settings to what is trained: `make_problem` (tasks, network, loss) and `make_learner`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .settings import METHODS, Settings

_WITHOUT_INNER_LOOP = ("protonet",)


@dataclass(frozen=True)
class Problem:
    """Task families to train, validate and test on."""

    training: Any
    validation: Any
    test: Any


def make_problem(settings: Settings, data_dir=None) -> Problem:
    """The tasks that the settings ask for. ValueError if they make no sense, FileNotFoundError without data."""
    return _choice("tasks", settings.tasks, _PROBLEMS)(settings, data_dir)


def _sinusoids(settings, data_dir=None) -> Problem:
    """Regression of sine waves (Finn et al. 2017, section 5.1)."""
    from maml_edu.tasks import Sinusoids

    if settings.ways is not None:
        raise ValueError(
            "--ways is for classification: sinusoids is regression and has no classes."
        )
    queries = settings.queries if settings.test_queries is None else settings.test_queries
    test = Sinusoids(settings.shots, queries)
    return Problem(Sinusoids(settings.shots, settings.queries), test, test)


def _images(settings, data_dir=None) -> Problem:
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


_PROBLEMS: dict[str, Callable[..., Problem]] = {
    "sinusoids": _sinusoids,
    "omniglot": _images,
    "glyphs": _images,
}


def make_learner(settings: Settings):
    """The learner that the settings ask for; its first weights depend on the seed alone. Needs no data."""
    import torch
    from torch.nn.functional import cross_entropy, mse_loss

    import maml_edu.pytorch as mt

    kind = getattr(mt, _choice("--method", settings.method, METHODS))
    dtypes = {"float32": torch.float32, "float64": torch.float64}
    dtype = _choice("--dtype", settings.dtype, dtypes)
    loss = cross_entropy if settings.of_images else mse_loss
    torch.manual_seed(settings.seed)
    model = _make_network(settings).to(dtype)
    if settings.method in _WITHOUT_INNER_LOOP:
        return kind(model, loss)
    how = _way_of_computing(kind, settings)
    return kind(model, loss, settings.inner_lr, settings.inner_steps, **how)


def _way_of_computing(kind, settings: Settings) -> dict[str, str]:
    """Engine and precision, if they were asked for. ValueError if this method has no choice of them."""
    names = [n for n in ("engine", "precision") if getattr(settings, n) != getattr(Settings, n)]
    accepted = inspect.signature(kind).parameters.keys()
    for name in names:
        if not accepted & {name, "options"}:
            raise ValueError(f"{settings.method} has one way of computing: leave out --{name}.")
    return {name: getattr(settings, name) for name in names}


def _make_network(settings: Settings):
    """A new network for these tasks; without a head if the method compares embeddings."""
    from torch import nn

    import maml_edu.pytorch as mt

    inputs, outputs = (28 * 28, settings.ways) if settings.of_images else (1, 1)
    if settings.method in _WITHOUT_INNER_LOOP:
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


def _choice(option, name, among):
    """among[name]; ValueError, with a list of all names, if there is none."""
    if name not in among:
        raise ValueError(f"{option} must be one of {', '.join(among)}; got {name!r}.")
    return among[name]
