"""Hyper-parameters by name: what each family of tasks begins with, and what papers published.

THE TRAP. The code of Finn et al. (2017) divides the cross-entropy by the shots and *sums* it over the ways,
where this library, like most, takes the mean over all examples. A gradient of the sum is N times that of the
mean, so the inner rates 0.4 (5 ways) and 0.1 (20 ways) of that paper are 2.0 and 2.0 here. The presets hold the
rates for the mean. (Adam, in the outer loop, does not notice the factor.)

The defaults of intents were measured on CLINC150's validation domains, those of navigation on new goals.

Start with `PRESETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .families import FAMILIES

_IMAGES = {
    "ways": 5, "shots": 1, "queries": 5, "test_queries": 5, "rotations": True,
    "net": "conv4", "filters": 64, "pool": "stride", "inner_lr": 2.0, "inner_steps": 1,
    "iterations": 6000, "meta_batch": 16, "meta_lr": 2e-3, "schedule": "cosine:0.01",
    "validate_every": 500, "validation_episodes": 300, "test_steps": 3,
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "sinusoids": {"shots": 10, "inner_lr": 0.01},
    "omniglot": _IMAGES | {"resize": "nearest"},
    "glyphs": _IMAGES | {"alphabets": 100, "rotations": False},
    "intents": {
        "ways": 5, "shots": 1, "queries": 5, "test_queries": 10, "source": "course", "hold_out": "domains",
        "hidden": (64,), "inner_lr": 3.0, "inner_steps": 3, "iterations": 300, "meta_batch": 16,
        "meta_lr": 3e-3, "validate_every": 100, "test_steps": 10,
    },
    "navigation": {
        "shots": 20, "horizon": 100, "hidden": (32, 32), "inner_lr": 0.5, "later_lr": 0.125, "iterations": 100,
        "meta_batch": 20, "meta_lr": 0.01, "schedule": "cosine:0.1", "clip": "1", "validate_every": 25,
        "validation_episodes": 100, "episodes": 100, "test_steps": 3,
    },
}  # fmt: skip

_OF_METHOD_ON_IMAGES: dict[str, dict[str, Any]] = {
    "fomaml": {"inner_lr": 0.4},
    "reptile": {"inner_lr": 0.4, "inner_steps": 5, "test_steps": 5},
    "meta-sgd": {"inner_lr": 0.4, "test_steps": 1},
    "maml++": {"inner_lr": 0.4, "inner_steps": 3, "test_steps": None},
    "imaml": {"inner_lr": 0.4, "inner_steps": 5, "test_steps": 5},
    "protonet": {"test_steps": 0},
}
OF_METHOD: dict[str, dict[str, dict[str, Any]]] = {  # what differs from MAML, by tasks and method
    "sinusoids": {},
    "omniglot": _OF_METHOD_ON_IMAGES,
    "glyphs": _OF_METHOD_ON_IMAGES,
    "intents": {
        "fomaml": {"inner_lr": 1.0},
        "boil": {"inner_lr": 1.0},
        "maml++": {"inner_lr": 1.0, "test_steps": None},
        "imaml": {"inner_lr": 0.3, "inner_steps": 5, "test_steps": 5},
        "protonet": {"meta_lr": 1e-2, "test_steps": 0},
    },
    "navigation": {"fine-tuning": {"inner_lr": 0.35, "later_lr": 0.09}},
}


def defaults_for(tasks: str, method: str) -> dict[str, Any]:
    """The settings that suit these tasks and this method, where they differ from those of `Settings`."""
    return {"tasks": tasks, **DEFAULTS[tasks], **OF_METHOD[tasks].get(method, {})}


@dataclass(frozen=True)
class Preset:
    """A published recipe, to be called with (tasks, ways, shots).

    source: the paper.
    note: what to know about its loss and rates.
    settings: a function (tasks, ways, shots) → settings by name; None if the paper has none for these.
    notes: what to know in place of that, by tasks.
    """

    name: str
    source: str
    note: str
    settings: Callable[[str, int | None, int], dict[str, Any] | None]
    notes: dict[str, str] = field(default_factory=dict)

    def note_on(self, tasks: str) -> str:
        """What to know about it on these tasks."""
        return self.notes.get(tasks, self.note)

    def __call__(self, tasks: str, ways: int | None, shots: int) -> dict[str, Any]:
        """The settings for these tasks. ValueError if the source has none."""
        settings = self.settings(tasks, ways, shots)
        if settings is None:
            raise ValueError(
                f"preset {self.name} ({self.source}) has no settings for {tasks}"
                f"{f' with {ways} ways' if ways else ''}: choose another, or leave it out."
            )
        return settings


def find(name: str) -> Preset:
    """The preset of this name. ValueError, with a list of all, if there is none."""
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {name!r}.")
    return PRESETS[name]


def _finn2017(tasks, ways, shots):
    """MAML as its authors ran it."""
    if tasks == "sinusoids":
        return {
            "net": "mlp", "hidden": (40, 40), "init": 0.01, "inner_lr": 0.01, "inner_steps": 1,
            "iterations": 70_000, "meta_batch": 25, "meta_lr": 1e-3, "test_steps": 10,
            "method": "maml",
        }  # fmt: skip
    if (
        tasks == "navigation"
    ):  # maml_examples/maml_trpo_point.py, and test_maml_point.py, which halves the rate
        return {
            "method": "maml", "shots": 20, "horizon": 100, "hidden": (100, 100), "inner_lr": 0.5, "inner_steps": 1,
            "later_lr": 0.25, "iterations": 100, "meta_batch": 40, "test_steps": 3,
        }  # fmt: skip
    if "conv4" not in FAMILIES[tasks].nets:
        return None
    rate, steps, batch = {5: (0.4, 1, 32), 20: (0.1, 5, 16)}.get(ways, (None, 0, 0))
    if rate is None:
        return None
    return {
        "net": "conv4", "filters": 64, "pool": "stride", "rotations": True, "method": "maml",
        "queries": shots, "test_queries": shots, "inner_lr": rate * ways, "inner_steps": steps,
        "iterations": 60_000, "meta_batch": batch, "meta_lr": 1e-3, "schedule": "constant",
        "test_steps": 5 if ways == 20 else 3,  # as the paper says; their code goes on to 10
    }  # fmt: skip


def _antoniou2019(tasks, ways, shots):
    """MAML++ as its authors' code runs it on Omniglot: 100 epochs of 500 iterations."""
    if "conv4" not in FAMILIES[tasks].nets:
        return None
    return {
        "net": "conv4", "filters": 64, "pool": "max", "rotations": True, "method": "maml++",
        "queries": 1, "test_queries": 1, "inner_lr": 0.1, "inner_steps": 5,
        "iterations": 50_000, "meta_batch": 8, "meta_lr": 1e-3, "schedule": "cosine:0.01",
        "test_steps": 5, "validate_every": 500, "validation_episodes": 600,
    }  # fmt: skip


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "finn2017",
            "Finn, Abbeel and Levine 2017, sections 5.1 to 5.3, and their code",
            "Their loss sums over ways: the inner rate 0.4 (20 ways: 0.1) of the paper is 2.0 for the mean "
            "loss that is used here.",
            _finn2017,
            {
                "navigation": "Goals, moves, trajectories, rates and the number of iterations are those of their "
                "code (the paper's appendix has 20 goals and rates of 0.1, then 0.05). Here Adam takes the outer "
                "steps (their TRPO keeps within a divergence of 0.01, which has no counterpart), and the policy "
                "has tanh in place of ReLU. Half the rate from the second step on, as in their test, is too much "
                "here: see --later-lr 0.125."
            },
        ),
        Preset(
            "antoniou2019",
            "Antoniou, Edwards and Storkey 2019, and their code",
            "Their loss is a mean, as here: the inner rates, one for each layer and step, start at 0.1.",
            _antoniou2019,
        ),
    )
}
