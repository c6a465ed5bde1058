"""Settings and presets: what is published, what is a default, and where each value comes from."""

import json

import pytest

from maml_edu import runs
from maml_edu.runs.problems import make_learner, make_problem
from maml_edu.runs.settings import from_json


def test_what_is_given_wins_over_a_preset_and_a_preset_over_defaults():
    settings = runs.resolve("omniglot", "finn2017", inner_steps=4, ways=None)
    assert (settings.inner_steps, settings.filters, settings.resize) == (4, 64, "nearest")
    assert [settings.origin[name] for name in ("inner_steps", "filters", "resize")] == [
        "you", "finn2017", "default",
    ]  # fmt: skip


@pytest.mark.parametrize(("ways", "steps", "batch", "test"), [(5, 1, 32, 3), (20, 5, 16, 5)])
@pytest.mark.parametrize("shots", [1, 5])
def test_finn2017_is_the_published_protocol_with_rates_of_a_mean_loss(
    ways, shots, steps, batch, test
):
    own = runs.resolve("omniglot", "finn2017", ways=ways, shots=shots)
    summed = {5: 0.4, 20: 0.1}[ways]  # of a loss that sums over ways
    assert own.inner_lr == pytest.approx(summed * ways) == pytest.approx(2.0)
    assert (own.inner_steps, own.meta_batch, own.test_steps) == (steps, batch, test)
    assert (own.iterations, own.meta_lr, own.queries) == (60_000, 1e-3, shots)
    assert (own.net, own.filters, own.pool, own.method) == ("conv4", 64, "stride", "maml")


def test_finn2017_on_sinusoids_is_the_published_protocol():
    own = runs.resolve("sinusoids", "finn2017")
    assert (own.inner_lr, own.inner_steps, own.test_steps, own.iterations) == (0.01, 1, 10, 70_000)
    assert (own.hidden, own.init, own.meta_batch) == ((40, 40), 0.01, 25)


def test_antoniou2019_is_maml_plus_plus_with_its_schedule():
    own = runs.resolve("omniglot", "antoniou2019", ways=20, shots=5)
    assert (own.method, own.pool, own.inner_lr, own.inner_steps) == ("maml++", "max", 0.1, 5)
    assert (own.schedule, own.iterations, own.meta_batch) == ("cosine:0.01", 50_000, 8)


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


@pytest.mark.parametrize("tasks", ["sinusoids", "omniglot", "glyphs"])
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
        make_learner(own).model[0].weight[0].item()
        for own in (settings, settings, settings.changed(seed=1))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_a_perceptron_can_be_trained_on_images_and_conv4_only_on_them():
    settings = runs.resolve("glyphs", net="mlp", hidden=(4,), ways=3, alphabets=1)
    learner = make_learner(settings)
    assert sum(p.numel() for p in learner.model.parameters()) == 784 * 4 + 4 + 4 * 3 + 3
    settings = runs.resolve("sinusoids", net="conv4")
    with pytest.raises(ValueError, match="conv4 is for images"):
        make_learner(settings)


def test_methods_begin_with_rates_and_steps_that_suit_them():
    own = runs.resolve("glyphs", method="maml++", inner_steps=4)
    assert (own.inner_lr, own.inner_steps, own.test_steps) == (0.4, 4, 4)
    assert own.origin["test_steps"] == "default"
    assert runs.resolve("glyphs", "finn2017", method="maml++").test_steps == 1
    assert runs.resolve("glyphs", method="reptile").inner_steps == 5
    assert runs.resolve("sinusoids", method="reptile").inner_lr == 0.01
    assert runs.resolve("glyphs", method="fomaml", inner_lr=0.1).inner_lr == 0.1


def test_test_steps_that_the_method_cannot_take_are_refused_before_training(tmp_path):
    settings = runs.resolve("glyphs", method="maml++", test_steps=9, alphabets=1, filters=2)
    with pytest.raises(ValueError, match="--test-steps: there are learned rates for 3 inner steps"):
        runs.run(settings, tmp_path / "a", device="cpu", progress=False)
    assert not (tmp_path / "a").exists()
