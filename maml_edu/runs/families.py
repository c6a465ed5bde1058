"""What a run has to know of each family of tasks, in plain values: start with `FAMILIES`.

Which methods and networks fit, and which settings mean something. `presets` holds the values that a family begins
with, `problems` makes its tasks, networks and learners.
"""

from __future__ import annotations

from dataclasses import dataclass

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
NETS = ("mlp", "conv4")
_EPISODES = tuple(method for method in METHODS if method != "fine-tuning")
_NO_CLASS_LASTS = (
    "fine-tuning learns all tasks at once, which makes sense if a target is the same in all of them: for "
    "sinusoids and navigation. In {tasks} class 0 is a different class in each task; a pretrained network, "
    "fine-tuned, is among the baselines of `make reproduce`."
)
_NO_CLASSES = "protonet compares classes, and {tasks} has none: choose another method."
_OF_SOME = {  # settings that mean nothing for the other families
    "ways", "queries", "test_queries", "init", "rotations", "resize", "alphabets", "source", "hold_out", "mixed",
    "horizon", "later_lr",
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """What is possible with one family of tasks.

    about: what it is, in words.
    inputs: what a network of these tasks takes; the networks of two families with the same inputs fit both.
    methods: those that can learn it, and `refusals`, why another one cannot, by its name.
    nets: the networks that fit.
    classifies: whether its tasks have ways.
    has_splits: whether training, validation and test have tasks of their own.
    unit: what shots count.
    own: those of the settings that not every family has which mean something here.
    """

    about: str
    inputs: str
    methods: tuple[str, ...]
    refusals: dict[str, str]
    own: frozenset[str]
    nets: tuple[str, ...] = ("mlp",)
    classifies: bool = True
    has_splits: bool = True
    unit: str = "shot"

    def knows(self, setting: str) -> bool:
        """Does this setting mean anything for these tasks?"""
        return setting not in _OF_SOME or setting in self.own


_CLASSES = {"ways", "queries", "test_queries", "init"}


def _images(*own: str) -> Family:
    return Family(
        about="handwritten or invented characters",
        inputs="images of 28 × 28 pixels",
        methods=_EPISODES,
        refusals={"fine-tuning": _NO_CLASS_LASTS},
        own=frozenset(_CLASSES | {"rotations", *own}),
        nets=("conv4", "mlp"),
    )


FAMILIES = {
    "sinusoids": Family(
        about="regression",
        inputs="one number",
        methods=tuple(method for method in METHODS if method != "protonet"),
        refusals={"protonet": _NO_CLASSES},
        own=frozenset({"queries", "test_queries", "init"}),
        classifies=False,
        has_splits=False,
    ),
    "omniglot": _images("resize"),
    "glyphs": _images("alphabets"),
    "intents": Family(
        about="sentences by what people want",
        inputs="counts of letter groups",
        methods=_EPISODES,
        refusals={"fine-tuning": _NO_CLASS_LASTS},
        own=frozenset(_CLASSES | {"source", "hold_out", "mixed"}),
    ),
    "navigation": Family(
        about="reinforcement learning",
        inputs="a position in the plane",
        methods=("maml", "fomaml", "fine-tuning"),
        refusals={"protonet": _NO_CLASSES},
        own=frozenset({"horizon", "later_lr"}),
        classifies=False,
        has_splits=False,
        unit="trajectories",
    ),
}


def family_of(tasks: str) -> Family:
    """The family of this name. ValueError, with a list of all, if there is none."""
    if tasks not in FAMILIES:
        raise ValueError(f"tasks must be one of {', '.join(FAMILIES)}; got {tasks!r}.")
    return FAMILIES[tasks]


def refuse_what_does_not_fit(tasks: str, method: str, net: str, ways: int | None):
    """ValueError if a family of tasks has no such method or network, or no ways.

    Unknown methods and networks are for whoever makes them to refuse.
    """
    family = family_of(tasks)
    if method in METHODS and method not in family.methods:
        usual = "--method {method} does not fit {tasks}: choose one of {methods}."
        reason = family.refusals.get(method, usual)
        methods = ", ".join(family.methods)
        raise ValueError(reason.format(method=method, tasks=tasks, methods=methods))
    if net == "conv4" and net not in family.nets:
        raise ValueError(f"conv4 is for images; {tasks} needs --net mlp.")
    if ways is not None and not family.classifies:
        raise ValueError(
            f"--ways is for classification: {tasks} is {family.about} and has no classes."
        )
