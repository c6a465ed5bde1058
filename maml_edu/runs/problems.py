"""From settings to what is trained: `make_problem` (tasks) and `make_learner` (network, loss, method).

`_PLANS` has, for each family of tasks, a function for either. What fits which family: `families`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .families import METHODS, NETS, family_of, refuse_what_does_not_fit
from .settings import Settings

_WITHOUT_INNER_LOOP = ("protonet",)
_HELD_OUT = {  # (what, source) → how many are for the test and for validation; intents: of each domain
    ("domains", "course"): (3, 2),
    ("domains", "clinc150"): (3, 2),
    ("intents", "course"): (2, 2),
    ("intents", "clinc150"): (5, 5),
}


@dataclass(frozen=True)
class Problem:
    """Task families to train, validate and test on.

    beside: learners that need no training, by name, to be tested on the same tasks.
    notes: what has to be known beside a table of the test.
    """

    training: Any
    validation: Any
    test: Any
    beside: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class _Plan(NamedTuple):
    """How a family of tasks becomes a problem and a learner: functions of the settings."""

    tasks: Callable[..., Any]  # (settings, split, data_dir) → what has `sample`
    network: Callable[[Settings], Any]
    learner: Callable[..., Any]  # (settings, model) → a learner around it
    beside: Callable[[], dict[str, Any]] = dict
    notes: Callable[..., tuple[str, ...]] = lambda settings, tasks: ()


def make_problem(settings: Settings, data_dir=None) -> Problem:
    """The tasks that the settings ask for. ValueError if they make no sense, FileNotFoundError without data."""
    splits = (tasks_of(settings, split, data_dir) for split in ("train", "val", "test"))
    training, validation, test = splits
    return Problem(training, validation, test, *beside(settings, test))


def tasks_of(settings: Settings, split: str = "test", data_dir=None):
    """The tasks of one split, with the queries of training or of the test. Errors as for `make_problem`."""
    refuse_what_does_not_fit(settings.tasks, settings.method, settings.net, settings.ways)
    return _PLANS[settings.tasks].tasks(settings, split, data_dir)


def beside(settings: Settings, tasks) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What belongs to a test on these tasks: learners that need no training, and notes."""
    plan = _PLANS[settings.tasks]
    return plan.beside(), plan.notes(settings, tasks)


def make_learner(settings: Settings):
    """The learner that the settings ask for; its first weights depend on the seed alone. Needs no data."""
    import torch

    family_of(settings.tasks)
    _refuse_other("--method", settings.method, METHODS)
    _refuse_other("--net", settings.net, NETS)
    dtypes = {"float32": torch.float32, "float64": torch.float64}
    _refuse_other("--dtype", settings.dtype, dtypes)
    refuse_what_does_not_fit(settings.tasks, settings.method, settings.net, settings.ways)
    plan = _PLANS[settings.tasks]
    torch.manual_seed(settings.seed)
    return plan.learner(settings, plan.network(settings).to(dtypes[settings.dtype]))


# ------------------------------------------------------------------ tasks


def _sinusoids(settings, split, data_dir):
    """Regression of sine waves (Finn et al. 2017, section 5.1)."""
    from maml_edu.tasks import Sinusoids

    queries = settings.queries
    if split != "train" and settings.test_queries is not None:
        queries = settings.test_queries
    return Sinusoids(settings.shots, queries)


def _omniglot(settings, split, data_dir):
    """Handwritten characters, other ones in each split."""
    from maml_edu.tasks import Omniglot

    how = {"resize": settings.resize or "nearest", "data_dir": data_dir}
    return Omniglot(split, *_sizes(settings, split), rotations=bool(settings.rotations), **how)


def _glyphs(settings, split, data_dir):
    """Invented characters, other ones in each split."""
    from maml_edu.tasks import Glyphs

    how: dict[str, Any] = {"rotations": bool(settings.rotations)}
    if split == "train" and settings.alphabets is not None:
        how["alphabets"] = settings.alphabets
    return Glyphs(split, *_sizes(settings, split), **how)


def _intents(settings, split, data_dir):
    """Sentences by what people want, of other domains in each split, or other intents."""
    from maml_edu.tasks import Intents

    what = settings.hold_out or "domains", settings.source or "course"
    if what not in _HELD_OUT:
        names = [" or ".join(dict.fromkeys(kind)) for kind in zip(*_HELD_OUT, strict=True)]
        raise ValueError(
            f"--hold-out must be {names[0]}, and --source {names[1]}; got {what[0]!r} and {what[1]!r}."
        )
    test, val = _HELD_OUT[what]
    mixed = what == ("intents", "course") if settings.mixed is None else settings.mixed
    how: dict[str, Any] = {
        "hold_out": what[0],
        "source": what[1],
        "test": test,
        "val": val,
        "mixed": mixed,
    }
    return Intents(split, *_sizes(settings, split), **how, seed=settings.seed, data_dir=data_dir)


def _navigation(settings, split, data_dir):
    """Walks to a goal that is not seen (Finn et al. 2017, section 5.3)."""
    from maml_edu.tasks import Navigation

    return Navigation(settings.shots, 100 if settings.horizon is None else settings.horizon)


def _sizes(settings, split):
    """(ways, shots, queries) of the episodes of one split."""
    ways = 0 if settings.ways is None else settings.ways
    queries = settings.shots if settings.queries is None else settings.queries
    if split != "train" and settings.test_queries is not None:
        queries = settings.test_queries
    return ways, settings.shots, queries


# ------------------------------------------------------------------ networks


def _mlp(settings, inputs, outputs):
    """A perceptron; without a head if the method compares embeddings."""
    import maml_edu.pytorch as mt

    head = [] if settings.method in _WITHOUT_INNER_LOOP else [outputs]
    return mt.MLP(inputs, *settings.hidden, *head, scale=settings.init)


def _network_for_a_number(settings):
    return _mlp(settings, 1, 1)


def _network_for_sentences(settings):
    from maml_edu.tasks.text import SIZE

    return _mlp(settings, SIZE, settings.ways)


def _network_for_images(settings):
    from torch import nn

    import maml_edu.pytorch as mt

    if settings.net == "conv4":
        outputs = None if settings.method in _WITHOUT_INNER_LOOP else settings.ways
        return mt.Conv4(outputs, filters=settings.filters, pool=settings.pool)
    return nn.Sequential(nn.Flatten(), *_mlp(settings, 28 * 28, settings.ways))


def _policy(settings):
    from maml_edu.pytorch.policy import Policy

    return Policy(settings.hidden)


# ------------------------------------------------------------------ learners


def _regression(settings, model):
    from torch.nn.functional import mse_loss

    return _with_inner_loop(settings, model, mse_loss)


def _classification(settings, model):
    from torch.nn.functional import cross_entropy

    import maml_edu.pytorch as mt

    if settings.method in _WITHOUT_INNER_LOOP:
        return getattr(mt, METHODS[settings.method])(model, cross_entropy)
    return _with_inner_loop(settings, model, cross_entropy)


def _with_inner_loop(settings, model, loss):
    import maml_edu.pytorch as mt

    kind = getattr(mt, METHODS[settings.method])
    how = _way_of_computing(kind, settings)
    return kind(model, loss, settings.inner_lr, settings.inner_steps, **how)


def _policy_gradient(settings, model):
    from maml_edu.pytorch.policy import PolicyGradient

    steps = 0 if settings.method == "fine-tuning" else settings.inner_steps
    how = _way_of_computing(PolicyGradient, settings)
    if settings.later_lr is not None:
        how["later_lr"] = settings.later_lr
    return PolicyGradient(model, settings.inner_lr, steps, settings.method == "fomaml", **how)


def _way_of_computing(kind, settings: Settings) -> dict[str, Any]:
    """Engine and precision, if they were asked for. ValueError if this method has no choice of them."""
    names = [n for n in ("engine", "precision") if getattr(settings, n) != getattr(Settings, n)]
    accepted = inspect.signature(kind).parameters.keys()
    for name in names:
        if not accepted & {name, "options"}:
            raise ValueError(f"{settings.method} has one way of computing: leave out --{name}.")
    return {name: getattr(settings, name) for name in names}


# ------------------------------------------------------------------ beside a test


def _nearest_centroid():
    """What needs no training, and often wins."""
    from maml_edu.pytorch.baselines import NearestAngle

    return {"nearest centroid, not trained": NearestAngle()}


def _domains(settings, tasks) -> tuple[str, ...]:
    """Which domains the sentences are from."""
    return (f"Domains: {', '.join(dict.fromkeys(tasks.domains))}.",)


def _rates(settings, tasks) -> tuple[str, ...]:
    """What the numbers of a policy mean."""
    from maml_edu.pytorch.policy import LATER_LR

    later = LATER_LR if settings.later_lr is None else settings.later_lr
    return (
        "A return is a sum of negative distances: more is better.",
        f"Rates: {settings.inner_lr} in the first step, {later} in later ones.",
    )


_PLANS = {
    "sinusoids": _Plan(_sinusoids, _network_for_a_number, _regression),
    "omniglot": _Plan(_omniglot, _network_for_images, _classification),
    "glyphs": _Plan(_glyphs, _network_for_images, _classification),
    "intents": _Plan(
        _intents, _network_for_sentences, _classification, _nearest_centroid, _domains
    ),
    "navigation": _Plan(_navigation, _policy, _policy_gradient, notes=_rates),
}


def _refuse_other(option, name, names):
    """ValueError, with a list of all names, if this is none of them."""
    if name not in names:
        raise ValueError(f"{option} must be one of {', '.join(names)}; got {name!r}.")
