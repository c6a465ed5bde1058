"""Sentences and walks as experiments: what fits them, what a run of them holds, how they are tested."""

import json
import signal

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import maml_edu.pytorch as mt
from maml_edu import cli, runs
from maml_edu.pytorch.policy import PolicyGradient, returns_after
from maml_edu.runs.families import FAMILIES
from maml_edu.runs.problems import make_learner, make_problem, tasks_of
from maml_edu.tasks import Intents, Navigation

INTENTS = {
    "hidden": (4,), "meta_batch": 2, "iterations": 4, "validate_every": 2, "validation_episodes": 4,
    "episodes": 20, "test_queries": 3, "test_steps": 2,
}  # fmt: skip
WALKS = {
    "shots": 3, "horizon": 6, "hidden": (4,), "meta_batch": 2, "iterations": 4, "validate_every": 2,
    "validation_episodes": 4, "episodes": 20,
}  # fmt: skip
QUIET = {"device": "cpu", "progress": False}


def options(settings):
    """Settings as a user types them."""
    for name, value in settings.items():
        yield f"--{name.replace('_', '-')}"
        yield ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def command(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "140"}).invoke(cli.app, [*map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def train(tasks, *more, code=0, **changes):
    small = {"intents": INTENTS, "navigation": WALKS}[tasks] | changes
    return command(
        "train", tasks, *options(small), "--device", "cpu", "--no-progress", *more, code=code
    )


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAML_EDU_DATA", str(tmp_path / "nothing"))


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """(outcome, settings) of a small run on navigation."""
    settings = runs.resolve("navigation", **WALKS)
    return runs.run(settings, tmp_path_factory.mktemp("runs") / "run", **QUIET), settings


@pytest.mark.parametrize("name", FAMILIES)
def test_what_only_some_families_know_has_a_default_or_a_meaning_for_none(name):
    settings = runs.resolve(name)
    assert settings.method in FAMILIES[name].methods and settings.net in FAMILIES[name].nets
    assert (settings.ways is not None) == FAMILIES[name].classifies
    for other in {"ways", "rotations", "horizon", "source", "later_lr"} - FAMILIES[name].own:
        assert getattr(settings, other) is None


# ------------------------------------------------------------------ intents


def test_intents_are_held_out_by_domain_or_by_intent_as_the_seed_draws():
    splits = ("train", "val", "test")
    for hold_out, seed in (("domains", 0), ("domains", 1), ("intents", 0)):
        settings = runs.resolve("intents", hold_out=hold_out, seed=seed)
        train, val, test = (tasks_of(settings, split) for split in splits)
        held = {"test": 3, "val": 2} if hold_out == "domains" else {"test": 2, "val": 2}
        expected = Intents(
            "test", 5, 1, 10, hold_out=hold_out, seed=seed, mixed=hold_out == "intents", **held
        )
        assert test.names == expected.names and test.mixed == expected.mixed
        assert not set(test.names) & set(val.names) and not set(test.names) & set(train.names)
        assert (train.queries, val.queries, test.queries) == (5, 10, 10)


def test_a_run_on_intents_tells_the_domains_and_the_nearest_centroid_beside_it():
    said = " ".join(train("intents").output.split())
    settings = runs.resolve("intents", **INTENTS)
    test = make_problem(settings).test
    for domain in set(test.domains):
        assert domain in said
    assert "nearest centroid, not trained: " in said
    assert "this run after 2 inner steps, compared with it: " in said
    results = json.loads(open("runs/intents-5way-1shot-maml/results.json").read())
    learner, _ = runs.load("runs/intents-5way-1shot-maml")
    ours, theirs = mt.evaluate(learner, test, 20, 2), mt.evaluate(mt.NearestCentroid(), test, 20)
    [(_, beside)], [(_, gain)] = results["beside"].items(), results["minus_beside"].items()
    assert beside["mean"] == pytest.approx(theirs.mean)  # one shot: the same as by angle
    assert gain["mean"] == pytest.approx(ours.mean - theirs.mean[0])
    assert gain["ci95"][2] == pytest.approx(
        1.96 * (ours.values[:, 2] - theirs.values[:, 0]).std(ddof=1) / np.sqrt(20)
    )
    assert results["more_is_better"] is True


@pytest.mark.parametrize("method", FAMILIES["intents"].methods)
def test_every_method_that_fits_sentences_trains_and_is_tested(method):
    settings = runs.resolve(
        "intents", **INTENTS | {"iterations": 1, "method": method, "test_steps": None}
    )
    outcome = runs.run(settings, "a", **QUIET)
    assert outcome.report.metric == "accuracy" and len(outcome.history) == 1


def test_a_run_on_intents_resumes_to_the_same_numbers():
    whole = json.loads(train("intents", "--json", "--out", "whole").stdout)
    train("intents", "--no-test", "--out", "part", iterations=2)
    again = json.loads(
        command("train", "--resume", "--out", "part", "--iterations", 4, "--json").stdout
    )
    assert again["evaluation"] == whole["evaluation"] and again["loss"] == whole["loss"]


def test_a_run_on_intents_is_evaluated_on_other_splits_and_shots_and_not_on_images():
    train("intents", "--no-test", "--out", "a")
    few = ("--episodes", 20, "--json", "--steps", 1)
    results = json.loads(command("evaluate", "a", "--split", "val", "--shots", 2, *few).stdout)
    assert results["tasks"].startswith("Intents('val', ways=5, shots=2, queries=3")
    for arguments, words in (
        (("--tasks", "glyphs"), "takes counts of letter groups, and does not fit glyphs"),
        (("--ways", 3), "an output for each of its 5 ways"),
        (("--rotations",), "--rotations means nothing in a test on intents"),
        (("--inner-lr", 1), "--inner-lr means nothing in a test on intents"),
        (("--later-lr", 1), "--later-lr means nothing in a test on intents"),
        (("--split", "exam"), "split must be one of"),
        (("--source", "mine"), "--source course or clinc150; got 'domains' and 'mine'"),
    ):
        with pytest.raises(ValueError, match=words):
            command("evaluate", "a", *arguments, *few)


def test_without_its_data_clinc150_says_how_to_get_it():
    with pytest.raises(FileNotFoundError, match="maml-edu data get clinc150"):
        train("intents", source="clinc150")


# ------------------------------------------------------------------ navigation


def test_a_run_on_navigation_is_the_librarys_training_and_its_returns(walked):
    outcome, settings = walked
    learner, tasks = make_learner(settings), Navigation(3, 6)
    history = mt.meta_train(
        learner, tasks, 4, meta_batch=2, meta_lr=0.01, schedule=("cosine", 0.1), clip=1, device="cpu",
        progress=False,
    )  # fmt: skip
    assert outcome.history.loss == history.loss
    last, _ = runs.load(outcome.folder, "last")
    assert all(torch.equal(p, last.params[name]) for name, p in learner.params.items())
    best, _ = runs.load(outcome.folder)
    expected = returns_after(best, tasks, (0.5, 0.125, 0.125), 20)
    assert np.array_equal(outcome.report.ways["score"].values, expected.values)


def test_the_best_policy_is_the_one_with_the_highest_return(walked):
    outcome, settings = walked
    history = outcome.history
    assert history.metric == "return" and history.rises and len(history.validation) == 2
    best = max(history.validation, key=lambda entry: entry[1])
    assert history.best == best
    learner, _ = runs.load(outcome.folder)
    tasks = make_problem(settings).validation
    assert mt.evaluate(learner, tasks, 4, seed=20170309).mean[-1] == best[1]


def test_a_report_on_navigation_says_that_more_is_better_and_the_rates(walked):
    outcome, _ = walked
    assert outcome.report.as_json()["more_is_better"] is True
    notes = " ".join(outcome.report.as_json()["notes"])
    assert "more is better" in notes and "0.5 in the first step, 0.125 in later ones" in notes
    assert (outcome.folder / "results.png").read_bytes().startswith(b"\x89PNG")
    header = (outcome.folder / "history.csv").read_text().splitlines()[0]
    assert header == "iteration,meta_loss,validation_return,ci95"


@pytest.mark.parametrize(("method", "expected"), [
    ("maml", (1, False, 0.5, 0.125)), ("fomaml", (1, True, 0.5, 0.125)), ("fine-tuning", (0, False, 0.35, 0.09)),
])  # fmt: skip
def test_methods_that_fit_walks(method, expected):
    learner = make_learner(runs.resolve("navigation", method=method, hidden=(3,)))
    assert isinstance(learner, PolicyGradient)
    assert (
        learner.inner_steps,
        learner.first_order,
        learner.inner_lr,
        learner.later_lr,
    ) == expected
    assert learner.rates(3) == (*expected[2:], expected[3])


def test_a_policy_trained_without_inner_steps_is_tested_after_them():
    results = json.loads(train("navigation", "--json", "--method", "fine-tuning").stdout)
    assert results["evaluation"]["steps"] == [0, 1, 2, 3]
    assert results["settings"]["later_lr"] == 0.09
    assert results["folder"] == "runs/navigation-3trajectories-fine-tuning"


def test_evaluate_takes_other_rates_and_more_steps_for_a_policy(walked):
    outcome, settings = walked
    few = ("--episodes", 20, "--json", "--steps", 2, "--inner-lr", 0.3, "--later-lr", 0.2)
    printed = json.loads(command("evaluate", outcome.folder, *few).stdout)
    learner, _ = runs.load(outcome.folder)
    expected = returns_after(learner, Navigation(3, 6), (0.3, 0.2), 20)
    assert printed["scores"]["score"]["mean"] == expected.mean.tolist()
    assert "0.3 in the first step, 0.2 in later ones" in printed["notes"][1]
    for arguments, words in (
        (("--split", "val"), "navigation has no splits"),
        (("--queries", 3), "--queries means nothing in a test on navigation"),
        (("--ways", 3), "--ways means nothing in a test on navigation"),
        (("--tasks", "sinusoids"), "takes a position in the plane, and does not fit sinusoids"),
        (("--later-lr", -1), "later_lr must be a number ≥ 0"),
    ):
        with pytest.raises(ValueError, match=words):
            command("evaluate", outcome.folder, *arguments)


def test_ctrl_c_and_resume_of_a_policy_give_the_same_numbers(walked, monkeypatch):
    outcome, settings = walked
    count, sample = iter(range(100)), Navigation.sample

    def interrupted(self, rng, tasks=20):
        if next(count) == 2:
            signal.raise_signal(signal.SIGINT)
        return sample(self, rng, tasks)

    with monkeypatch.context() as patch:
        patch.setattr(Navigation, "sample", interrupted)
        assert runs.run(settings, "a", **QUIET).history.interrupted
    resumed = runs.run(settings, "a", resume=True, **QUIET)
    assert resumed.history.loss == outcome.history.loss
    assert resumed.report.as_json() == outcome.report.as_json()


@pytest.mark.parametrize(("tasks", "arguments", "words"), [
    ("navigation", ("--method", "anil"), "--method anil does not fit navigation: choose one of maml, fomaml"),
    ("navigation", ("--method", "protonet"), "protonet compares classes, and navigation has none"),
    ("navigation", ("--ways", 5), "navigation is reinforcement learning and has no classes"),
    ("navigation", ("--queries", 5), "--queries means nothing for navigation"),
    ("navigation", ("--init", 0.1), "--init means nothing for navigation"),
    ("navigation", ("--inner-steps", 2), "inner_steps must be 0 or 1 in training"),
    ("navigation", ("--method", "fine-tuning", "--inner-steps", 1), "--inner-steps means nothing"),
    ("navigation", ("--horizon", 0), "horizon must be a whole number"),
    ("navigation", ("--later-lr", -1), "later_lr must be a number ≥ 0"),
    ("navigation", ("--preset", "antoniou2019"), "has no settings for navigation"),
    ("intents", ("--preset", "finn2017"), "has no settings for intents"),
    ("intents", ("--method", "fine-tuning"), "In intents class 0 is a different class in each task"),
    ("intents", ("--hold-out", "words"), "--hold-out must be domains or intents"),
    ("intents", ("--horizon", 5), "--horizon means nothing for intents"),
    ("intents", ("--ways", 9), "an episode takes 9 of one domain"),
    ("intents", ("--shots", 13), "13"),
    ("sinusoids", ("--source", "course"), "--source means nothing for sinusoids"),
    ("sinusoids", ("--method", "protonet"), "protonet compares classes, and sinusoids has none"),
])  # fmt: skip
def test_what_does_not_fit_is_said_before_training(tasks, arguments, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        command("train", tasks, *arguments, "--out", "a", "--iterations", 1, "--no-progress")
    assert not (tmp_path / "a").exists()


def test_the_preset_of_navigation_says_what_differs():
    said = " ".join(
        train("navigation", "--no-test", preset="finn2017", meta_batch=1).output.split()
    )
    assert "Adam takes the outer steps" in said and "tanh in place of ReLU" in said
    assert runs.resolve("navigation", "finn2017").later_lr == 0.25
