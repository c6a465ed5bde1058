"""Published numbers and defaults against literals: whoever changes one changes it here, too, and knows it."""

import inspect

import pytest

import maml_edu.pytorch as mt
from maml_edu import runs
from maml_edu.runs import presets

IMAGES = ("omniglot", "glyphs")

# ------------------------------------------------------------------ presets

FINN_SINUSOIDS = {
    "method": "maml", "net": "mlp", "hidden": (40, 40), "init": 0.01, "inner_lr": 0.01, "inner_steps": 1,
    "iterations": 70_000, "meta_batch": 25, "meta_lr": 0.001, "test_steps": 10,
}  # fmt: skip
FINN_5_WAYS = {
    "method": "maml", "net": "conv4", "filters": 64, "pool": "stride", "rotations": True, "inner_lr": 2.0,
    "inner_steps": 1, "iterations": 60_000, "meta_batch": 32, "meta_lr": 0.001, "schedule": "constant",
    "test_steps": 3,
}  # fmt: skip
FINN_20_WAYS = FINN_5_WAYS | {"inner_steps": 5, "meta_batch": 16, "test_steps": 5}
ANTONIOU = {
    "method": "maml++", "net": "conv4", "filters": 64, "pool": "max", "rotations": True, "queries": 1,
    "test_queries": 1, "inner_lr": 0.1, "inner_steps": 5, "iterations": 50_000, "meta_batch": 8,
    "meta_lr": 0.001, "schedule": "cosine:0.01", "test_steps": 5, "validate_every": 500,
    "validation_episodes": 600,
}  # fmt: skip
FINN_NAVIGATION = {
    "method": "maml", "shots": 20, "horizon": 100, "hidden": (100, 100), "inner_lr": 0.5, "inner_steps": 1,
    "later_lr": 0.25, "iterations": 100, "meta_batch": 40, "test_steps": 3,
}  # fmt: skip
PUBLISHED = [
    ("finn2017", "navigation", None, 20, FINN_NAVIGATION),
    ("finn2017", "sinusoids", None, 5, FINN_SINUSOIDS),
    ("finn2017", "sinusoids", None, 10, FINN_SINUSOIDS),
]
for tasks in IMAGES:
    for shots in (1, 5):
        as_many = {"queries": shots, "test_queries": shots}
        PUBLISHED += [
            ("finn2017", tasks, 5, shots, FINN_5_WAYS | as_many),
            ("finn2017", tasks, 20, shots, FINN_20_WAYS | as_many),
            ("antoniou2019", tasks, 5, shots, ANTONIOU),
            ("antoniou2019", tasks, 20, shots, ANTONIOU),
        ]


@pytest.mark.parametrize(("name", "tasks", "ways", "shots", "expected"), PUBLISHED)
def test_a_preset_is_the_published_protocol_and_a_run_gets_all_of_it(
    name, tasks, ways, shots, expected
):
    assert runs.PRESETS[name](tasks, ways, shots) == expected
    settings = runs.resolve(tasks, name, ways=ways, shots=shots)
    for setting, value in expected.items():
        assert getattr(settings, setting) == value, setting
        assert settings.origin[setting] == ("you" if setting == "shots" else name)
    assert (settings.ways, settings.shots) == (ways, shots)


def test_these_are_all_presets():
    assert {name for name, *_ in PUBLISHED} == runs.PRESETS.keys()


# ------------------------------------------------------------------ defaults

ON_IMAGES = {
    "ways": 5, "shots": 1, "queries": 5, "test_queries": 5, "net": "conv4", "filters": 64, "pool": "stride",
    "inner_lr": 2.0, "inner_steps": 1, "iterations": 6000, "meta_batch": 16, "meta_lr": 0.002,
    "schedule": "cosine:0.01", "validate_every": 500, "validation_episodes": 300, "test_steps": 3,
}  # fmt: skip


def test_the_defaults_of_each_kind_of_tasks():
    assert presets.DEFAULTS == {
        "sinusoids": {"shots": 10, "inner_lr": 0.01},
        "omniglot": ON_IMAGES | {"rotations": True, "resize": "nearest"},
        "glyphs": ON_IMAGES | {"rotations": False, "alphabets": 100},
        "intents": {
            "ways": 5, "shots": 1, "queries": 5, "test_queries": 10, "source": "course", "hold_out": "domains",
            "hidden": (64,), "inner_lr": 3.0, "inner_steps": 3, "iterations": 300, "meta_batch": 16,
            "meta_lr": 0.003, "validate_every": 100, "test_steps": 10,
        },
        "navigation": {
            "shots": 20, "horizon": 100, "hidden": (32, 32), "inner_lr": 0.5, "later_lr": 0.125,
            "iterations": 100, "meta_batch": 20, "meta_lr": 0.01, "schedule": "cosine:0.1", "clip": "1",
            "validate_every": 25, "validation_episodes": 100, "episodes": 100, "test_steps": 3,
        },
    }  # fmt: skip


def test_the_defaults_of_each_method():
    on_images = {
        "fomaml": {"inner_lr": 0.4},
        "reptile": {"inner_lr": 0.4, "inner_steps": 5, "test_steps": 5},
        "meta-sgd": {"inner_lr": 0.4, "test_steps": 1},
        "maml++": {"inner_lr": 0.4, "inner_steps": 3, "test_steps": None},
        "imaml": {"inner_lr": 0.4, "inner_steps": 5, "test_steps": 5},
        "protonet": {"test_steps": 0},
    }
    assert presets.OF_METHOD == {
        "sinusoids": {},
        "omniglot": on_images,
        "glyphs": on_images,
        "intents": {
            "fomaml": {"inner_lr": 1.0},
            "boil": {"inner_lr": 1.0},
            "maml++": {"inner_lr": 1.0, "test_steps": None},
            "imaml": {"inner_lr": 0.3, "inner_steps": 5, "test_steps": 5},
            "protonet": {"meta_lr": 0.01, "test_steps": 0},
        },
        "navigation": {"fine-tuning": {"inner_lr": 0.35, "later_lr": 0.09}},
    }


def test_the_defaults_of_everything_else():
    assert runs.Settings().as_json() == {
        "tasks": "sinusoids", "ways": None, "shots": 10, "queries": None, "test_queries": None,
        "rotations": None, "resize": None, "alphabets": None, "source": None, "hold_out": None, "mixed": None,
        "horizon": None, "net": "mlp", "hidden": [40, 40], "init": None,
        "filters": 64, "pool": "stride", "dtype": "float32", "method": "maml", "inner_lr": 0.01,
        "inner_steps": 1, "later_lr": None, "engine": "auto", "precision": "float32",
        "iterations": 2000, "meta_batch": 25, "meta_lr": 0.001, "optimiser": "adam",
        "schedule": "constant", "clip": None, "seed": 0,
        "validate_every": 1000, "validation_episodes": 200, "episodes": 600, "test_steps": None, "origin": {},
    }  # fmt: skip


@pytest.mark.parametrize(("learner", "expected"), [
    (mt.MAML, {"inner_lr": 0.01, "inner_steps": 1}),
    (mt.MAMLpp, {
        "inner_lr": None, "inner_steps": 5, "multi_step_until": 0.1, "first_order_until": 0.0,
        "per_step_norm": True,
    }),
    (mt.IMAML, {"inner_lr": 0.01, "inner_steps": 16, "strength": 2.0, "cg_steps": 5}),
])  # fmt: skip
def test_the_defaults_of_a_learner_which_runs_relies_on(learner, expected):
    parameters = inspect.signature(learner).parameters
    assert {name: parameters[name].default for name in expected} == expected
