"""Everything that an experiment is made of, in plain values: `Settings`, which `resolve` puts together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .presets import DEFAULTS, defaults_for, find

FORMAT = 1  # of config.json
MAY_CHANGE = (
    "iterations",
    "validation_episodes",
    "episodes",
    "test_steps",
    "engine",
)  # on going on


@dataclass(frozen=True)
class Settings:
    """One experiment. Counts are whole numbers, rates of a loss that is a mean over examples.

    origin: where each value comes from, "default", a preset's name, or "you".
    """

    # tasks
    tasks: str = "sinusoids"
    ways: int | None = None  # N; None for regression
    shots: int = 10  # K, of each class
    queries: int | None = None  # in training, of each class; None: as many as shots
    test_queries: int | None = None  # in validation and test; None: as in training
    rotations: bool | None = None  # each character turned counts as three more
    resize: str | None = None  # Omniglot: "nearest" or "area"
    alphabets: int | None = None  # glyphs: how many are drawn for training
    # network
    net: str = "mlp"  # or "conv4"
    hidden: tuple[int, ...] = (40, 40)  # mlp
    init: float | None = None  # mlp: standard deviation of the first weights; None: torch's own
    filters: int = 64  # conv4
    pool: str = "stride"  # conv4: or "max"
    dtype: str = "float32"
    # inner loop
    method: str = "maml"
    inner_lr: float = 0.01
    inner_steps: int = 1
    engine: str = "auto"
    precision: str = "float32"
    # outer loop
    iterations: int = 2000
    meta_batch: int = 25
    meta_lr: float = 1e-3
    optimiser: str = "adam"
    schedule: str = "constant"
    clip: str | None = None
    seed: int = 0
    # validation and test
    validate_every: int = 1000  # 0: never
    validation_episodes: int = 200
    episodes: int = 600
    test_steps: int | None = None  # None: as in training
    origin: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def of_images(self) -> bool:
        return self.tasks != "sinusoids"

    def as_json(self) -> dict[str, Any]:
        """The same in what JSON knows."""
        plain = dataclasses.asdict(self)
        return plain | {"hidden": list(self.hidden)}

    @property
    def name(self) -> str:
        """A name for the folder, such as omniglot-5way-1shot-maml."""
        ways = f"{self.ways}way-" if self.ways else ""
        return f"{self.tasks}-{ways}{self.shots}shot-{self.method}"

    def refuse_as_continuation_of(self, begun: Settings, path):
        """ValueError where the run in a folder was begun with other settings than may change."""
        for own in dataclasses.fields(self):
            was, now = getattr(begun, own.name), getattr(self, own.name)
            if own.compare and own.name not in MAY_CHANGE and was != now:
                raise ValueError(
                    f"the run in {path} was begun with {own.name} {was}, not {now}: leave the option out to go "
                    f"on with it, or begin another run in another --out."
                )

    def changed(self, **values) -> Settings:
        """The same with other values, as asked for by the user."""
        known_fields(values)
        origin = self.origin | dict.fromkeys(values, "you")
        return dataclasses.replace(self, **tidy(values), origin=origin)


def resolve(tasks: str = "sinusoids", preset: str | None = None, **values) -> Settings:
    """Settings for tasks of this kind: defaults, over them those of a preset, over them what is given.

    A value of None counts as not given. Raises ValueError for names that are not known, and for a preset
    that says nothing of these tasks.
    """
    if tasks not in DEFAULTS:
        raise ValueError(f"tasks must be one of {', '.join(DEFAULTS)}; got {tasks!r}.")
    given = {name: value for name, value in values.items() if value is not None}
    known_fields(given)
    chosen = {}
    if preset is not None:
        setting = DEFAULTS[tasks] | given
        chosen = find(preset)(tasks, setting.get("ways"), setting["shots"])
    defaults = defaults_for(tasks, given.get("method", chosen.get("method", "maml")))
    origin = dict.fromkeys(defaults, "default") | dict.fromkeys(chosen, preset or "")
    settings = Settings(
        **tidy(defaults | chosen | given), origin=origin | dict.fromkeys(given, "you")
    )
    if settings.method == "maml++" and "test_steps" not in given:  # it has rates for these alone
        settings = dataclasses.replace(settings, test_steps=settings.inner_steps)
    check(settings)
    return settings


def check(settings: Settings):
    """ValueError for what is asked for and cannot be, or would mean nothing."""
    for name, origin in settings.origin.items():
        if origin == "you" and not relevant(name, settings):
            raise ValueError(
                f"--{name.replace('_', '-')} means nothing for {settings.tasks} with --net {settings.net} and "
                f"--method {settings.method}: leave it out."
            )
    if settings.method == "fine-tuning" and settings.of_images:
        raise ValueError(
            "fine-tuning learns all tasks at once, which has a meaning where a target is the same in all of "
            "them: for sinusoids. In images class 0 is another character in each task; a pretrained network, "
            "fine-tuned, is among the baselines of `make reproduce`."
        )
    if settings.seed < 0:
        raise ValueError(f"--seed must be a whole number ≥ 0; got {settings.seed}.")


def relevant(name: str, settings: Settings) -> bool:
    """Whether a setting means anything beside the others."""
    where = {
        "hidden": settings.net == "mlp",
        "init": settings.net == "mlp",
        "filters": settings.net != "mlp",
        "pool": settings.net != "mlp",
        "rotations": settings.of_images,
        "resize": settings.tasks == "omniglot",
        "alphabets": settings.tasks == "glyphs",
    }
    inner_loop = ("inner_lr", "inner_steps", "test_steps", "engine", "precision")
    if settings.method == "protonet" and name in inner_loop:
        return False
    return where.get(name, True)


def from_json(config: dict[str, Any]) -> Settings:
    """The settings that `as_json` gave. ValueError for names that are not known, and for other types."""
    if not isinstance(config, dict):
        raise ValueError("its settings are no table")
    known_fields(config)
    for own in dataclasses.fields(Settings):
        value, usual = config.get(own.name), own.default
        kind = float if isinstance(usual, float) else type(usual)
        known = isinstance(value, kind) or (kind is float and isinstance(value, int))
        if isinstance(usual, (int, float, str)) and value is not None and not known:
            raise ValueError(f"{own.name} is {value!r}")
    return Settings(**tidy(config))


def tidy(values):
    """Lists as tuples, so that settings can be compared."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def known_fields(values):
    """ValueError for a name that no setting has."""
    names = [own.name for own in dataclasses.fields(Settings)]
    for name in values:
        if name not in names:
            raise ValueError(f"there is no setting {name!r}: there are {', '.join(names)}.")
