"""A run from its settings to its results: what its folder holds, and that nothing is lost on the way."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import maml_edu.pytorch as mt
from maml_edu import runs
from maml_edu.runs.experiment import warn_of_a_rising_loss
from maml_edu.runs.folder import Folder, free_folder, latest
from maml_edu.tasks import Sinusoids

SMALL = {
    "hidden": (8,), "meta_batch": 3, "shots": 5, "engine": "plain", "iterations": 8, "validate_every": 4,
    "validation_episodes": 10, "episodes": 20,
}  # fmt: skip
IMAGES = {
    "ways": 3, "filters": 2, "meta_batch": 2, "alphabets": 1, "iterations": 4, "validate_every": 2,
    "validation_episodes": 4, "episodes": 6, "queries": 2, "test_queries": 2,
}  # fmt: skip
QUIET = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(outcome, settings) of a small run on glyphs."""
    settings = runs.resolve("glyphs", **IMAGES)
    folder = tmp_path_factory.mktemp("runs") / "run"
    return runs.run(settings, folder, checkpoint_every=2, **QUIET), settings


def theta(learner):
    return {name: value.detach().clone() for name, value in learner.meta_params.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------ what a folder holds


def test_a_folder_holds_settings_environment_history_curves_parameters_and_results(finished):
    outcome, settings = finished
    names = {path.name for path in outcome.folder.iterdir()}
    assert names >= {
        "config.json", "environment.json", "history.json", "history.csv", "curves.png", "best.safetensors",
        "last.safetensors", "checkpoint.pt", "checkpoint.previous.pt", "results.json", "results.png",
    }  # fmt: skip
    assert Folder(outcome.folder).settings() == settings
    environment = json.loads((outcome.folder / "environment.json").read_text())
    assert environment["torch"] == torch.__version__ and environment["cores"] == os.cpu_count()
    for picture in ("curves.png", "results.png"):
        assert (outcome.folder / picture).read_bytes().startswith(b"\x89PNG")


def test_the_history_is_there_as_json_and_as_csv(finished):
    outcome, _ = finished
    results = json.loads((outcome.folder / "history.json").read_text())
    assert results["loss"] == outcome.history.loss and results["metric"] == "accuracy"
    with open(outcome.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["meta_loss"]) for row in rows] == outcome.history.loss
    validated = [
        (int(row["iteration"]), float(row["validation_accuracy"]), float(row["ci95"]))
        for row in rows
        if row["validation_accuracy"]
    ]
    assert validated == outcome.history.validation and len(validated) == 2


def test_load_gives_the_parameters_of_the_best_validation_or_the_last(finished):
    outcome, settings = finished
    last, again = runs.load(outcome.folder, "last")
    assert again == settings
    saved = torch.load(outcome.folder / "checkpoint.pt")["learner"]["model"]
    assert same(theta(last), {name: saved[name] for name in theta(last)})
    best, _ = runs.load(outcome.folder)
    score = mt.evaluate(best, runs.problems.make_problem(settings).validation, 4, seed=20170309)
    assert score.mean[-1] == outcome.history.best[1]


def test_the_report_has_both_ways_of_asking_and_equals_evaluate(finished):
    outcome, settings = finished
    learner, _ = runs.load(outcome.folder)
    tasks = runs.problems.make_problem(settings).test
    assert list(outcome.report.ways) == ["transductive", "one query at a time"]
    for way, together in zip(outcome.report.ways, (True, False), strict=True):
        expected = mt.evaluate(learner, tasks, 6, 3, transductive=together)
        assert np.array_equal(outcome.report.ways[way].values, expected.values)
    results = json.loads((outcome.folder / "results.json").read_text())
    assert results["steps"] == [0, 1, 2, 3] and results["episodes"] == 6
    assert (
        results["scores"]["transductive"]["mean"]
        == outcome.report.ways["transductive"].mean.tolist()
    )


def test_learned_rates_are_saved_and_loaded_too(tmp_path):
    settings = runs.resolve("sinusoids", method="meta-sgd", **SMALL)
    outcome = runs.run(settings, tmp_path / "a", **QUIET)
    saved = load_file(outcome.folder / "last.safetensors")
    assert {"inner_lr.0.weight", "0.weight"} <= saved.keys()
    learner, _ = runs.load(outcome.folder, "last")
    assert torch.equal(learner.inner_lr["0.weight"], saved["inner_lr.0.weight"])
    assert not torch.all(saved["inner_lr.0.weight"] == 0.01)


def test_methods_that_learn_per_step_norms_or_an_embedding_can_be_loaded(tmp_path):
    for method, more in (("maml++", {"inner_steps": 2}), ("protonet", {})):
        settings = runs.resolve("glyphs", method=method, **more, **IMAGES)
        outcome = runs.run(settings, tmp_path / method, **QUIET)
        learner, _ = runs.load(outcome.folder, "last")
        assert theta(learner).keys() == load_file(outcome.folder / "last.safetensors").keys()


def test_no_file_of_a_run_names_the_home_folder(finished):
    outcome, _ = finished
    for path in outcome.folder.glob("*.json"):
        assert str(Path.home()) not in path.read_text()


# ------------------------------------------------------------------ interrupted, killed, damaged

KILLED = """
import os, signal, sys
from maml_edu import runs
from maml_edu.runs.folder import Folder
settings = runs.resolve("glyphs", **{images})
keep = Folder.keep
def deadly(self, iteration, history, learner):
    if iteration == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    keep(self, iteration, history, learner)
Folder.keep = deadly
runs.run(settings, sys.argv[1], checkpoint_every=1, device="cpu", progress=False, test=False)
"""


def test_a_run_killed_by_sigkill_resumes_to_the_same_parameters(tmp_path, finished):
    outcome, settings = finished
    source = KILLED.format(images=IMAGES, at=3)
    killed = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path / "a")], capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert len(torch.load(tmp_path / "a" / "checkpoint.pt")["history"]["loss"]) == 2
    again = runs.run(settings, tmp_path / "a", resume=True, checkpoint_every=2, **QUIET)
    assert again.history.loss == outcome.history.loss
    for which in ("best", "last"):
        one, other = (runs.load(folder, which)[0] for folder in (outcome.folder, again.folder))
        assert same(theta(one), theta(other))
    assert again.report.as_json() == outcome.report.as_json()


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_numbers(tmp_path, monkeypatch, capsys):
    settings = runs.resolve("sinusoids", **SMALL)
    whole = runs.run(settings, tmp_path / "a", **QUIET)
    count, sample = iter(range(100)), Sinusoids.sample

    def interrupted(self, rng, tasks=25):
        if next(count) == 5 and tasks == 3:
            signal.raise_signal(signal.SIGINT)
        return sample(self, rng, tasks)

    with monkeypatch.context() as patch:
        patch.setattr(Sinusoids, "sample", interrupted)
        stopped = runs.run(settings, tmp_path / "b", **QUIET)
    assert stopped.history.interrupted and stopped.report is None
    assert (tmp_path / "b" / "last.safetensors").is_file() and len(stopped.history) < 8
    resumed = runs.run(settings, tmp_path / "b", resume=True, **QUIET)
    assert resumed.history.loss == whole.history.loss
    assert resumed.report.as_json() == whole.report.as_json()


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    settings = runs.resolve("sinusoids", **SMALL)
    runs.run(settings, tmp_path / "a", test=False, **QUIET)
    before = (tmp_path / "a" / "history.json").read_bytes()
    with pytest.raises(ValueError, match="already holds a run: go on with it with --resume"):
        runs.run(settings.changed(seed=2), tmp_path / "a", test=False, **QUIET)
    assert (tmp_path / "a" / "history.json").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"not safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"]
)
def test_damaged_parameters_are_refused_with_words(tmp_path, content):
    settings = runs.resolve("sinusoids", **SMALL)
    runs.run(settings, tmp_path / "a", test=False, **QUIET)
    (tmp_path / "a" / "best.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged, .*take the other of best and last"):
        runs.load(tmp_path / "a")
    runs.load(tmp_path / "a", "last")


def test_parameters_of_another_network_are_refused(tmp_path):
    for name, hidden in (("a", (8,)), ("b", (9,))):
        settings = runs.resolve("sinusoids", **(SMALL | {"hidden": hidden}))
        runs.run(settings, tmp_path / name, test=False, **QUIET)
    os.replace(tmp_path / "a" / "best.safetensors", tmp_path / "b" / "best.safetensors")
    with pytest.raises(ValueError, match="of another network than config.json says"):
        runs.load(tmp_path / "b")


@pytest.mark.parametrize(("content", "words"), [
    (None, "holds no run"), ("{", "is damaged"), ("[]", "is damaged"), ('{"format": 99}', "its format is 99"),
    ('{"format": 1, "settings": {"rate": 1}}', "no setting 'rate'"),
    ('{"format": 1, "settings": []}', "no table"),
    ('{"format": 1, "settings": {"filters": "2"}}', "filters is '2'"),
])  # fmt: skip
def test_a_folder_without_a_sound_config_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        runs.load(tmp_path)


def test_new_folders_are_named_after_the_settings_and_the_latest_is_found(tmp_path):
    settings = runs.resolve("glyphs")
    first = free_folder(settings, tmp_path)
    assert first.name == "glyphs-5way-1shot-maml"
    Folder(first).begin(settings)
    second = free_folder(settings, tmp_path)
    assert second.name == "glyphs-5way-1shot-maml-2"
    time.sleep(0.02)
    Folder(second).begin(settings)
    assert latest(tmp_path) == second
    with pytest.raises(ValueError, match="there is no run in"):
        latest(tmp_path / "none")


def test_the_best_parameters_are_those_of_the_history_after_falling_back(tmp_path):
    """Whatever an earlier, longer life of the run has left in best.safetensors."""
    settings = runs.resolve("sinusoids", **(SMALL | {"iterations": 12}))
    runs.run(settings, tmp_path / "a", checkpoint_every=4, test=False, **QUIET)
    (tmp_path / "a" / "checkpoint.pt").write_bytes(b"damaged")
    shorter = settings.changed(iterations=9)
    outcome = runs.run(shorter, tmp_path / "a", resume=True, previous=True, test=False, **QUIET)
    whole = runs.run(shorter, tmp_path / "b", test=False, **QUIET)
    assert outcome.history.loss == whole.history.loss
    for which in ("best", "last"):
        one, other = (runs.load(tmp_path / name, which)[0] for name in "ab")
        assert same(theta(one), theta(other))


def test_a_full_disk_is_said_and_does_not_end_the_training(tmp_path, monkeypatch):
    settings = runs.resolve("sinusoids", **SMALL)
    write, count = Folder._write, iter(range(100))

    def full(self, name, content):
        if name == "history.json" and next(count) == 0:
            raise OSError(28, "No space left on device")
        write(self, name, content)

    monkeypatch.setattr(Folder, "_write", full)
    with pytest.warns(UserWarning, match="could not be written .*No space left.*training goes on"):
        outcome = runs.run(settings, tmp_path / "a", test=False, **QUIET)
    assert len(outcome.history) == 8 and (tmp_path / "a" / "history.json").is_file()


def test_what_json_does_not_know_is_written_as_null(tmp_path):
    Folder(tmp_path).write_results("x", {"a": [float("inf"), 1.5], "b": {"c": float("nan")}})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, 1.5], "b": {"c": None}}


def test_the_files_of_a_run_can_be_read_by_others(tmp_path):
    before = os.umask(0o022)
    try:
        Folder(tmp_path).write_results("x", {})
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


# ------------------------------------------------------------------ an early word


def history_of(*losses):
    return mt.History(loss=[float(loss) for loss in losses])


def test_a_loss_that_rises_is_spoken_of_once_and_early():
    rising = history_of(*[1.6] * 100, *[4.0] * 100)
    with pytest.warns(UserWarning, match="has risen from 1.6 .* to 4 at iteration 200.*--inner-lr"):
        warn_of_a_rising_loss(200, rising, None)
    rising.loss += [4.0] * 200
    warn_of_a_rising_loss(400, rising, None)  # a warning would be an error here


@pytest.mark.filterwarnings("error")
def test_a_loss_that_falls_or_wavers_is_not_spoken_of():
    warn_of_a_rising_loss(200, history_of(*[1.6] * 200), None)
    warn_of_a_rising_loss(200, history_of(*np.linspace(2, 0.5, 200)), None)


def test_training_that_diverges_ends_with_words_and_keeps_the_folder(tmp_path):
    settings = runs.resolve("sinusoids", **(SMALL | {"meta_lr": 1e9, "iterations": 60}))
    with pytest.raises(mt.TrainingDiverged, match="training diverged at iteration"):
        runs.run(settings, tmp_path / "a", **QUIET)
    assert Folder(tmp_path / "a").settings() == settings
