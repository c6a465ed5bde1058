"""Everything that an experiment is made of, in plain values: `Settings`, which `resolve` puts together.

A field of `Settings` also holds what `maml-edu train --help` says of it: the option is made of the field.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .families import METHODS, family_of, refuse_what_does_not_fit
from .presets import DEFAULTS, defaults_for, find

FORMAT = 1  # of config.json
# what may be another in a resumed run
_MAY_CHANGE = ("iterations", "validation_episodes", "episodes", "test_steps", "later_lr", "engine")
TASKS, NET, INNER, OUTER, LOOK = (
    "Tasks", "Network", "Inner loop", "Outer loop", "Validation and test",
)  # fmt: skip


def _setting(default, panel: str, help: str, none: str = "") -> Any:
    """A field that is an option of `maml-edu train`.

    panel: under which heading.
    help: what it is.
    none: what a value of None means, in words.
    """
    return field(default=default, metadata={"panel": panel, "help": help, "none": none})


@dataclass(frozen=True)
class Settings:
    """One experiment. Counts are whole numbers; rates are for a loss that is a mean over examples.

    origin: where each value comes from: "default", a preset's name, or "you".
    """

    tasks: str = _setting("sinusoids", TASKS, f"{', '.join(DEFAULTS)}.")
    ways: int | None = _setting(None, TASKS, "N, classes of a task.", none="none")
    shots: int = _setting(
        10,
        TASKS,
        "K, support examples of a task (of each class). Navigation: trajectories to a goal.",
    )
    queries: int | None = _setting(
        None, TASKS, "Query examples (of each class) in training.", none="as many as shots"
    )
    test_queries: int | None = _setting(
        None, TASKS, "The same in validation and test.", none="as in training"
    )
    rotations: bool | None = _setting(
        None, TASKS, "Each character turned by 90, 180 or 270 degrees is another character."
    )
    resize: str | None = _setting(None, TASKS, "Omniglot's pixels: nearest (as published) or area.")
    alphabets: int | None = _setting(
        None, TASKS, "Glyphs: how many alphabets are invented for training."
    )
    source: str | None = _setting(
        None,
        TASKS,
        "Sentences: course (they come with it), or clinc150 (maml-edu data get clinc150).",
    )
    hold_out: str | None = _setting(
        None,
        TASKS,
        "What validation and test have that training has not: domains (2 and 3 of them), or intents (of each "
        "domain 2 and 2; clinc150: 5 and 5). --seed draws which.",
    )
    mixed: bool | None = _setting(
        None,
        TASKS,
        "Intents of an episode from all domains, which is easier, in place of one domain.",
        none="no, but yes with --hold-out intents of the course, which leaves too few in a domain",
    )
    horizon: int | None = _setting(None, TASKS, "Steps after which a trajectory ends.")

    net: str = _setting("mlp", NET, "mlp or conv4.")
    hidden: tuple[int, ...] = _setting((40, 40), NET, "Widths of the hidden layers of the mlp.")
    init: float | None = _setting(
        None, NET, "Standard deviation of the first weights of the mlp.", none="torch's own way"
    )
    filters: int = _setting(64, NET, "Filters of each layer of conv4.")
    pool: str = _setting("stride", NET, "conv4 halves the image by stride or max.")
    dtype: str = _setting("float32", NET, "float32 or float64.")

    method: str = _setting(
        "maml",
        INNER,
        f"{', '.join(METHODS)}. Not all fit all tasks: fine-tuning (trained on all tasks at once, without inner "
        f"steps) is for sinusoids and navigation, protonet for classes, and navigation takes maml, fomaml, "
        f"fine-tuning.",
    )
    inner_lr: float = _setting(
        0.01,
        INNER,
        "α, the rate of the inner steps, for a loss that is a mean over examples. (The code of Finn et al. "
        "sums over ways: its 0.4 at 5 ways is 2.0 here.)",
    )
    inner_steps: int = _setting(1, INNER, "Inner steps in training.")
    later_lr: float | None = _setting(
        None,
        INNER,
        "Navigation: the rate of the second inner step and of all later ones, in the test.",
    )
    engine: str = _setting("auto", INNER, "How meta-gradients are computed.")
    precision: str = _setting("float32", INNER, "float32, tf32 or bf16.")

    iterations: int = _setting(2000, OUTER, "Outer steps.")
    meta_batch: int = _setting(25, OUTER, "Tasks of an outer step, over all processes together.")
    meta_lr: float = _setting(1e-3, OUTER, "β, the rate of the outer steps.")
    optimiser: str = _setting("adam", OUTER, "adam, adamw, sgd, momentum, nesterov, rmsprop …")
    schedule: str = _setting(
        "constant", OUTER, "Of β: constant, cosine (to 0), or cosine:0.01 (to a hundredth)."
    )
    clip: str | None = _setting(
        None, OUTER, "Largest norm of the meta-gradient (10), or element (value:10).", none="none"
    )
    seed: int = _setting(
        0, OUTER, "Of the first weights, the training tasks, and what is held out of intents."
    )

    validate_every: int = _setting(
        1000, LOOK, "Iterations from one validation to the next; 0: never."
    )
    validation_episodes: int = _setting(200, LOOK, "Tasks of a validation.")
    episodes: int = _setting(600, LOOK, "New tasks for the test at the end.")
    test_steps: int | None = _setting(None, LOOK, "Inner steps in the test.", none="as in training")

    origin: dict[str, str] = field(default_factory=dict, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The same in the types that JSON has."""
        plain = dataclasses.asdict(self)
        return plain | {"hidden": list(self.hidden)}

    @property
    def name(self) -> str:
        """A name for the folder, such as omniglot-5way-1shot-maml."""
        ways = f"{self.ways}way-" if self.ways else ""
        return f"{self.tasks}-{ways}{self.shots}{family_of(self.tasks).unit}-{self.method}"

    def refuse_as_continuation_of(self, begun: Settings, path):
        """ValueError if the run in a folder was begun with other settings than may change."""
        for setting in dataclasses.fields(self):
            was, now = getattr(begun, setting.name), getattr(self, setting.name)
            if setting.compare and setting.name not in _MAY_CHANGE and was != now:
                raise ValueError(
                    f"the run in {path} was begun with {setting.name} {was}, not {now}: leave the option out to "
                    f"go on with it, or begin another run in another --out."
                )

    def changed(self, **values) -> Settings:
        """The same with other values, as asked for by the user."""
        _refuse_unknown(values)
        origin = self.origin | dict.fromkeys(values, "you")
        return dataclasses.replace(self, **_tidy(values), origin=origin)


def resolve(tasks: str = Settings.tasks, preset: str | None = None, **values) -> Settings:
    """The settings of an experiment: defaults, replaced by a preset's, replaced by yours.

    tasks: the name of one of `families.FAMILIES`.
    preset: the name of a published recipe, of `PRESETS`.
    values: settings by name, as in `Settings`; None counts as not given.

    Raises ValueError for unknown names, for settings that contradict each other, and for a preset that says
    nothing about these tasks.
    """
    family_of(tasks)
    yours = {name: value for name, value in values.items() if value is not None}
    _refuse_unknown(yours)
    published = {}
    if preset is not None:
        size = DEFAULTS[tasks] | yours
        published = find(preset)(tasks, size.get("ways"), size["shots"])
    method = yours.get("method", published.get("method", Settings.method))
    defaults = defaults_for(tasks, method)
    origin = dict.fromkeys(defaults, "default") | dict.fromkeys(published, preset or "")
    origin |= dict.fromkeys(yours, "you")
    settings = Settings(**_tidy(defaults | published | yours), origin=origin)
    settings = _tested_within_its_rates(settings)
    _check(settings)
    return settings


def _tested_within_its_rates(settings: Settings) -> Settings:
    """MAML++ has rates for the inner steps of training alone: it takes no more in the test, unless you ask."""
    steps, yours = settings.test_steps, settings.origin.get("test_steps") == "you"
    possible = steps is not None and steps <= settings.inner_steps
    if settings.method != "maml++" or yours or possible:
        return settings
    origin = settings.origin | {"test_steps": "default"}
    return dataclasses.replace(settings, test_steps=settings.inner_steps, origin=origin)


def _check(settings: Settings):
    """ValueError for what is impossible, and for what was asked for but would mean nothing."""
    refuse_what_does_not_fit(settings.tasks, settings.method, settings.net, settings.ways)
    for name, origin in settings.origin.items():
        if origin == "you" and not relevant(name, settings):
            raise ValueError(
                f"--{name.replace('_', '-')} means nothing for {settings.tasks} with --net {settings.net} and "
                f"--method {settings.method}: leave it out."
            )
    if settings.seed < 0:
        raise ValueError(f"--seed must be a whole number ≥ 0; got {settings.seed}.")


def relevant(name: str, settings: Settings) -> bool:
    """Does a setting mean anything, given the others?"""
    condition = {
        "hidden": settings.net == "mlp",
        "init": settings.net == "mlp",
        "filters": settings.net != "mlp",
        "pool": settings.net != "mlp",
    }
    inner_loop = ("inner_lr", "inner_steps", "test_steps", "engine", "precision")
    if settings.method == "protonet" and name in inner_loop:
        return False
    if name == "inner_steps" and (settings.tasks, settings.method) == ("navigation", "fine-tuning"):
        return False  # a policy that is trained without
    return family_of(settings.tasks).knows(name) and condition.get(name, True)


def from_json(config: dict[str, Any]) -> Settings:
    """The settings that `as_json` gave. ValueError for unknown names and for other types."""
    if not isinstance(config, dict):
        raise ValueError("its settings are no table")
    _refuse_unknown(config)
    for setting in dataclasses.fields(Settings):
        value, usual = config.get(setting.name), setting.default
        kind = float if isinstance(usual, float) else type(usual)
        fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
        if isinstance(usual, (int, float, str)) and value is not None and not fits:
            raise ValueError(f"{setting.name} is {value!r}")
    return Settings(**_tidy(config))


def _tidy(values):
    """Lists as tuples, so that settings can be compared."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def _refuse_unknown(values):
    """ValueError for a name that no setting has."""
    names = [setting.name for setting in dataclasses.fields(Settings)]
    for name in values:
        if name not in names:
            raise ValueError(f"there is no setting {name!r}: there are {', '.join(names)}.")
