"""`maml-edu train` and `maml-edu evaluate`, as a user types them."""

import json
import signal

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import maml_edu.pytorch as mt
from maml_edu import cli
from maml_edu.runs.folder import Folder
from maml_edu.runs.settings import METHODS
from maml_edu.tasks import Glyphs, Sinusoids, glyphs, omniglot

TRAIN = (
    "train glyphs --ways 3 --filters 2 --meta-batch 2 --alphabets 1 --iterations 4 --validate-every 2 "
    "--validation-episodes 4 --episodes 6 --queries 2 --device cpu --no-progress --checkpoint-every 2"
).split()  # fmt: skip
SINES = (
    "train sinusoids --hidden 8 --meta-batch 5 --engine plain --device cpu --no-progress --shots 5 "
    "--validate-every 0 --episodes 10 --dtype float64"
).split()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Where runs/ is made, and no data set is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAML_EDU_DATA", str(tmp_path / "nothing"))


def run(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "120"}).invoke(cli.app, [*map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_a_run_prints_its_settings_first_and_a_table_last():
    output = run(*TRAIN, "--preset", "antoniou2019", "--inner-steps", 2).output
    before, after = output.split("History(4 iterations")
    for words in ("maml++", "inner_steps", "you", "Antoniou, Edwards and Storkey 2019"):
        assert words in before
    assert "transductive" in after and "one query at a time" in after and "±" in after
    assert "runs/glyphs-3way-1shot-maml++" in after


def test_evaluate_prints_a_table_and_writes_json_and_a_picture():
    run(*TRAIN, "--out", "a")
    said = run("evaluate", "a", "--episodes", 6, "--steps", "0:2", "--no-progress").output
    assert "accuracy on 6 new tasks" in said and "one query at a time" in said
    results = json.loads(open("a/evaluation.json").read())
    assert results["steps"] == [0, 1, 2] and results["scores"].keys() == {
        "transductive",
        "one query at a time",
    }
    assert open("a/evaluation.png", "rb").read(4) == b"\x89PNG"
    printed = json.loads(run("evaluate", "a", "--episodes", 6, "--steps", "0:2", "--json").stdout)
    assert printed["scores"] == results["scores"]


def test_evaluate_on_another_split_and_with_other_shots():
    run(*TRAIN, "--out", "a")
    options = "--episodes 4 --split val --shots 2 --queries 3 --json --steps 1".split()
    results = json.loads(run("evaluate", "a", *options).stdout)
    assert results["tasks"].startswith("Glyphs('val', ways=3, shots=2, queries=3")


def test_resume_goes_on_with_the_latest_run_and_its_own_settings():
    run(*TRAIN, "--out", "runs/part", "--iterations", 2, "--schedule", "constant", "--no-test")
    run(*TRAIN, "--out", "other", "--schedule", "constant", "--no-test")
    resumed = run("train", "--resume", "--iterations", 4, "--json", "--device", "cpu")
    assert json.loads(resumed.stdout)["iterations"] == 4
    assert Folder("runs/part").settings().iterations == 4
    assert Folder("runs/part").settings().schedule == "constant"


def test_resume_refuses_other_settings_than_the_run_was_begun_with():
    run(*TRAIN, "--out", "a")
    with pytest.raises(
        ValueError, match="was begun with inner_lr 2.0, not 0.1: leave the option out"
    ):
        run("train", "glyphs", "--inner-lr", 0.1, "--resume", "--out", "a")
    with pytest.raises(ValueError, match="was begun with tasks glyphs, not sinusoids"):
        run("train", "sinusoids", "--resume", "--out", "a")
    with pytest.raises(ValueError, match="--previous goes with --resume"):
        run("train", "--previous", "--out", "a")


def test_a_damaged_checkpoint_is_refused_and_the_previous_one_goes_on():
    whole = json.loads(run(*TRAIN, "--out", "whole", "--json").stdout)
    run(*TRAIN, "--out", "a", "--no-test")
    with open("a/checkpoint.pt", "r+b") as file:
        file.write(b"damage")
    with pytest.raises(
        ValueError, match="is damaged.*the one before it, of iteration 2.*--previous"
    ):
        run("train", "--resume", "--out", "a")
    again = run("train", "--resume", "--previous", "--out", "a", "--json", "--device", "cpu")
    assert "Going on from a checkpoint of iteration 2" in again.stderr
    results = json.loads(again.stdout)
    assert results["evaluation"] == whole["evaluation"] and results["loss"] == whole["loss"]


def test_without_its_data_omniglot_says_how_to_get_it():
    with pytest.raises(FileNotFoundError, match="maml-edu data get omniglot"):
        run("train", "omniglot", "--iterations", 1)


def test_what_does_not_fit_is_said():
    run(*TRAIN, "--out", "a")
    for arguments, words in (
        (("--tasks", "sinusoids"), "does not fit sinusoids"),
        (("--tasks", "letters"), "--tasks must be one of"),
        (("--split", "exam"), "split must be one of"),
        (("--which", "first"), "which must be best or last"),
    ):
        with pytest.raises(ValueError, match=words):
            run("evaluate", "a", *arguments)
    with pytest.raises(ValueError, match="holds no run"):
        run("evaluate", "nowhere")


def test_help_of_both_commands_teaches_with_examples():
    train, evaluate = (run(command, "--help").output for command in ("train", "evaluate"))
    for words in ("maml-edu train omniglot --ways 5 --shots 1", "sums over ways", "--preset finn2017",
                  "torchrun --standalone --nproc-per-node 2 --max-restarts 3", "--nnodes 2"):  # fmt: skip
        assert words in train
    assert "maml-edu evaluate" in evaluate.split("Examples")[1] and "0:10" in evaluate


def test_a_preset_can_be_left_with_one_option_changed():
    said = run(*TRAIN, "--preset", "finn2017", "--ways", 5, "--filters", 3, "--no-test").output
    assert "is 2.0 for the mean" in " ".join(said.split())
    assert Folder("runs/glyphs-5way-1shot-maml").settings().filters == 3


def test_glyphs_of_the_three_splits_are_what_a_run_trains_validates_and_tests_on():
    run(*TRAIN, "--out", "a")
    results = json.loads(open("a/results.json").read())
    assert results["tasks"] == repr(Glyphs("test", 3, 1, 5))


def test_evaluate_keeps_its_hands_off_the_files_of_the_run():
    run(*TRAIN, "--out", "a")
    before = open("a/config.json").read()
    for name in ("config", "results", "../b", "b/c", ""):
        with pytest.raises(ValueError, match="--name must be letters"):
            run("evaluate", "a", "--name", name)
    assert open("a/config.json").read() == before


def test_an_evaluation_that_cannot_be_kept_is_printed_all_the_same(monkeypatch):
    run(*TRAIN, "--out", "a")

    def full(self, name, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "_write", full)
    result = run("evaluate", "a", "--episodes", 4, "--steps", 1)
    assert (
        "accuracy on 4 new tasks" in result.stdout
        and "Not saved: a cannot be written" in result.stderr
    )


@pytest.mark.parametrize(("options", "words"), [
    (("--meta-lr", 0), "meta_lr must be"), (("--clip", "foo"), "clip must be"),
    (("--schedule", "foo"), "schedule must be"), (("--queries", 0), "queries must be a whole number"),
    (("--test-queries", 0), "queries must be"), (("--alphabets", 0), "alphabets must be"),
    (("--episodes", 1), "--episodes must be ≥ 2"), (("--seed", -1), "--seed must be a whole number"),
    (("--inner-steps", -1), "inner_steps must be a whole number"),
    (("--method", "mammal"), "--method must be one of maml, fomaml"),
    (("--dtype", "float16"), "--dtype must be one of float32, float64"),
    (("--optimiser", "magic"), "optimiser must be one of adam"),
    (("--device", "toaster"), "device 'toaster' cannot be used here"),
    (("--method", "reptile", "--precision", "tf32"), "reptile has one way of computing: leave out --precision"),
    (("--hidden", "3,3"), "--hidden means nothing for glyphs with --net conv4"),
    (("--resize", "area"), "--resize means nothing for glyphs"),
    (("--method", "protonet", "--inner-lr", 1), "--inner-lr means nothing .* --method protonet"),
    (("--method", "fine-tuning"), "fine-tuning learns all tasks at once"),
])  # fmt: skip
def test_a_mistake_is_said_before_training_and_leaves_no_folder_behind(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        run(*TRAIN, *options, "--out", "a")
    assert not (tmp_path / "a").exists()


def test_ways_mean_nothing_for_sinusoids():
    with pytest.raises(ValueError, match="sinusoids is regression and has no classes"):
        run(*SINES, "--ways", 5)


@pytest.mark.parametrize("widths", ["40,x", "0", "-3,4"])
def test_widths_that_are_no_widths_are_refused(widths):
    assert "give widths ≥ 1" in run(*SINES, "--hidden", widths, code=2).output


def test_a_refused_resume_leaves_the_run_as_it_was():
    run(*TRAIN, "--out", "a", "--no-test")
    with pytest.raises(ValueError, match="already holds 4 iterations"):
        run("train", "--resume", "--out", "a", "--iterations", 2, "--device", "cpu")
    assert Folder("a").settings().iterations == 4
    run("train", "--resume", "--out", "a", "--device", "cpu", "--no-test")


def test_resume_takes_the_run_that_was_last_trained_not_the_one_last_evaluated():
    run(*TRAIN, "--out", "runs/old", "--no-test")
    run(*TRAIN, "--out", "runs/new", "--no-test", "--seed", 3)
    run("evaluate", "runs/old", "--episodes", 4, "--steps", 1)
    results = json.loads(run("train", "--resume", "--json", "--no-test", "--device", "cpu").stdout)
    assert results["folder"] == "runs/new"


def test_a_prototypical_network_is_tested_with_other_ways_and_maml_is_not():
    run(*TRAIN, "--method", "protonet", "--out", "a", "--no-test")
    arguments = ("--episodes", 4, "--json", "--no-progress")
    results = json.loads(run("evaluate", "a", "--ways", 5, *arguments).stdout)
    assert "ways=5" in results["tasks"] and results["steps"] == [0]
    run(*TRAIN, "--out", "b", "--no-test")
    with pytest.raises(ValueError, match="an output for each of its 3 ways"):
        run("evaluate", "b", "--ways", 5)


def test_the_folder_of_the_data_is_remembered(tmp_path):
    images = glyphs.draw_glyphs(np.random.default_rng(0), 3, 4).reshape(12, 20, -1)
    omniglot.write_packed(tmp_path / "here" / omniglot.PACKED["nearest"], {
        "packed": np.packbits(images, axis=-1), "alphabet": np.repeat(["a", "b", "c"], 4),
        "character": np.tile(["1", "2", "3", "4"], 3), "is_background": np.ones(12, bool),
        "vinyals_split": np.repeat([0, 1, 2], 4).astype(np.int8),
    })  # fmt: skip
    train = [word for word in TRAIN if word not in ("--alphabets", "1")]
    train[1] = "omniglot"
    run(*train, "--meta-batch", 2, "--data-dir", "here", "--out", "a", "--iterations", 2)
    run("train", "--resume", "--out", "a", "--iterations", 3, "--device", "cpu", "--episodes", 4)
    run("evaluate", "a", "--episodes", 4, "--steps", 1)
    run("evaluate", "a", "--episodes", 4, "--steps", 1, "--tasks", "glyphs")


# ------------------------------------------------------------------ from the options to the library and back


def test_json_holds_what_the_library_gives_for_the_same_run():
    options = "--iterations 20 --json --validate-every 10 --validation-episodes 5".split()
    printed = json.loads(run(*SINES, *options).stdout)
    torch.manual_seed(0)
    learner, tasks = mt.MAML(mt.MLP(1, 8, 1).double(), engine="plain"), Sinusoids(5)
    history = mt.meta_train(learner, tasks, 20, meta_batch=5, device="cpu", progress=False)
    expected = mt.evaluate(learner, tasks, 10)
    scores = printed["evaluation"]["scores"]["score"]
    low, high = expected.median_ci95
    arrays = {"mean": expected.mean, "ci95": expected.ci95, "median": expected.median}
    arrays |= {"median_low": low, "median_high": high, "runaways": expected.runaways}
    assert scores == {name: of.tolist() for name, of in arrays.items()} | {
        "trust": list(expected.trust)
    }
    assert printed["loss"] == history.smoothed()[-1] and printed["iterations"] == 20
    assert printed["processes"] == 1 and printed["parameters"] == 25 and printed["device"] == "cpu"
    assert printed["settings"]["inner_lr"] == 0.01
    assert [iteration for iteration, _, _ in printed["validation"]] == [10, 20]


def test_options_reach_the_library(monkeypatch, tmp_path):
    seen = {}

    def meta_train(learner, tasks, **options):
        seen.update(options, learner=learner, tasks=repr(tasks))
        return mt.History([1.0], 1.0)

    monkeypatch.setattr(mt, "meta_train", meta_train)
    run(
        *SINES, "--iterations", 7, "--meta-lr", 0.5, "--optimiser", "momentum", "--schedule", "cosine:0.25",
        "--clip", "value:3", "--seed", 4, "--out", tmp_path / "a", "--checkpoint-every", 2,
        "--validate-every", 3, "--validation-episodes", 6, "--queries", 2, "--test-queries", 9,
        "--inner-lr", 0.125, "--inner-steps", 2, "--hidden", "3,4", "--method", "fomaml",
    )  # fmt: skip
    learner = seen.pop("learner").learner
    assert isinstance(learner, mt.FOMAML) and (learner.inner_lr, learner.inner_steps) == (0.125, 2)
    assert [tuple(p.shape) for p in learner.model.parameters()][::2] == [(3, 1), (4, 3), (1, 4)]
    assert seen.pop("tasks") == "Sinusoids(shots=5, queries=2)"
    assert repr(seen.pop("validation")) == "Sinusoids(shots=5, queries=9)"
    assert sorted(every for every, _ in seen.pop("callbacks")) == [2, 3, 200]
    assert seen == {
        "iterations": 7, "meta_batch": 5, "meta_lr": 0.5, "seed": 4, "device": "cpu",
        "checkpoint": tmp_path / "a", "checkpoint_every": 2, "progress": False, "optimiser": "momentum",
        "schedule": ("cosine", 0.25), "clip": ("value", 3.0), "validate_every": 3,
        "validation_episodes": 6, "keep_best": True,
    }  # fmt: skip


@pytest.mark.parametrize("method", [method for method in METHODS if method != "protonet"])
def test_every_method_that_is_listed_trains_and_is_tested(method):
    no_choice = ["--engine", "auto"] if method in ("reptile", "imaml", "fine-tuning") else []
    output = run(*SINES, "--iterations", 2, "--method", method, *no_choice).output
    assert "History(2 iterations" in output and "mse on 10 new tasks" in output


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_says_where_it_stopped_and_how_to_go_on(as_json, monkeypatch):
    def sample(self, rng, tasks=25, sample=Sinusoids.sample):
        signal.raise_signal(signal.SIGINT)
        return sample(self, rng, tasks)

    monkeypatch.setattr(Sinusoids, "sample", sample)
    options = ["--iterations", 20, "--out", "a", *(["--json"] if as_json else [])]
    result = run(*SINES, *options, code=130)
    words = result.stderr if as_json else result.stdout
    assert "Stopped after 1 of 20 iterations" in words and "goes on from there" in words
    if as_json:
        printed = json.loads(result.stdout)
        assert printed["interrupted"] and printed["evaluation"] is None
