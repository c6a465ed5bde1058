"""Settings and presets: what is published, what is a default, and where each value comes from."""

import json

import pytest

from maml_edu import runs
from maml_edu.runs.families import FAMILIES
from maml_edu.runs.problems import make_learner, make_problem
from maml_edu.runs.settings import from_json


def test_what_is_given_wins_over_a_preset_and_a_preset_over_defaults():
    settings = runs.resolve("omniglot", "finn2017", inner_steps=4, ways=None)
    assert (settings.inner_steps, settings.filters, settings.resize) == (4, 64, "nearest")
    assert [settings.origin[name] for name in ("inner_steps", "filters", "resize")] == [
        "you", "finn2017", "default",
    ]  # fmt: skip


@pytest.mark.parametrize("name", runs.PRESETS)
def test_every_preset_says_where_it_is_from_and_how_its_loss_is_meant(name):
    preset = runs.PRESETS[name]
    assert "20" in preset.source and ("mean" in preset.note)


def test_a_preset_without_settings_for_these_tasks_is_refused():
    with pytest.raises(ValueError, match="no settings for sinusoids: choose another"):
        runs.resolve("sinusoids", "antoniou2019")
    with pytest.raises(ValueError, match="no settings for omniglot with 7 ways"):
        runs.resolve("omniglot", "finn2017", ways=7)
    with pytest.raises(
        ValueError, match="preset must be one of finn2017, antoniou2019; got 'finn'"
    ):
        runs.resolve("omniglot", "finn")


@pytest.mark.parametrize("tasks", FAMILIES)
def test_settings_survive_json(tasks):
    settings = runs.resolve(tasks, shots=3, seed=4)
    again = from_json(json.loads(json.dumps(settings.as_json())))
    assert again == settings and again.origin == settings.origin


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no setting 'rate'"):
        runs.resolve("sinusoids", rate=3)
    with pytest.raises(ValueError, match="no setting 'rate'"):
        from_json({"rate": 3})
    with pytest.raises(ValueError, match="tasks must be one of"):
        runs.resolve("cosines")


@pytest.mark.parametrize("method", ["maml", "maml++", "anil", "protonet"])
def test_glyphs_need_no_data_and_make_a_learner_for_each_method(method):
    settings = runs.resolve("glyphs", method=method, ways=3, filters=2, alphabets=1)
    problem = make_problem(settings)
    learner = make_learner(settings)
    assert learner.model.outputs == 2 and (method == "protonet") == (
        type(learner.model.head).__name__ == "Identity"
    )
    assert len(problem.training.bank) == 20 and problem.test.ways == 3


def test_the_seed_alone_decides_the_first_weights():
    settings = runs.resolve("sinusoids", hidden=(4,))
    weights = [
        make_learner(these).model[0].weight[0].item()
        for these in (settings, settings, settings.changed(seed=1))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_a_perceptron_can_be_trained_on_images_and_conv4_only_on_them():
    settings = runs.resolve("glyphs", net="mlp", hidden=(4,), ways=3, alphabets=1)
    learner = make_learner(settings)
    assert sum(p.numel() for p in learner.model.parameters()) == 784 * 4 + 4 + 4 * 3 + 3
    for tasks in ("sinusoids", "intents", "navigation"):
        with pytest.raises(ValueError, match=f"conv4 is for images; {tasks} needs --net mlp"):
            runs.resolve(tasks, net="conv4")
        with pytest.raises(ValueError, match="conv4 is for images"):
            make_learner(runs.Settings(tasks=tasks, net="conv4"))


def test_methods_begin_with_rates_and_steps_that_suit_them():
    assert runs.resolve("glyphs", method="maml++").inner_lr == 0.4
    assert runs.resolve("glyphs", method="reptile").inner_steps == 5
    assert runs.resolve("sinusoids", method="reptile").inner_lr == 0.01
    assert runs.resolve("glyphs", method="fomaml", inner_lr=0.1).inner_lr == 0.1


@pytest.mark.parametrize(("preset", "asked", "expected"), [
    (None, {}, (3, "default")),
    (None, {"inner_steps": 4}, (4, "default")),
    ("antoniou2019", {}, (5, "antoniou2019")),
    ("antoniou2019", {"inner_steps": 7}, (5, "antoniou2019")),
    ("antoniou2019", {"inner_steps": 2}, (2, "default")),
    ("antoniou2019", {"test_steps": 1}, (1, "you")),
    ("antoniou2019", {"test_steps": 9}, (9, "you")),
    ("finn2017", {"method": "maml++"}, (1, "default")),
])  # fmt: skip
def test_maml_plus_plus_is_tested_as_the_preset_says_within_the_steps_it_has_rates_for(
    preset, asked, expected
):
    settings = runs.resolve("glyphs", preset, **{"method": "maml++"} | asked)
    assert (settings.test_steps, settings.origin["test_steps"]) == expected


def test_test_steps_that_the_method_cannot_take_are_refused_before_training(tmp_path):
    settings = runs.resolve(
        "glyphs", method="maml++", test_steps=9, alphabets=1, filters=2, iterations=1
    )
    with pytest.raises(ValueError, match="--test-steps: there are learned rates for 3 inner steps"):
        runs.run(settings, tmp_path / "a", device="cpu", progress=False)
    assert not (tmp_path / "a").exists()
