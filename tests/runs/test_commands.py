"""`maml-edu train` and `maml-edu evaluate`, as a user types them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from maml_edu import cli
from maml_edu.runs.folder import Folder
from maml_edu.tasks import Glyphs, glyphs, omniglot

TRAIN = (
    "train glyphs --ways 3 --filters 2 --meta-batch 2 --alphabets 1 --iterations 4 --validate-every 2 "
    "--validation-episodes 4 --episodes 6 --queries 2 --device cpu --no-progress --checkpoint-every 2"
).split()  # fmt: skip


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
    said = run(*TRAIN, "--preset", "antoniou2019", "--inner-steps", 2, "--test-steps", 2).output
    before, after = said.split("History(4 iterations")
    for line in (
        "maml++",
        "antoniou2019",
        "inner_steps",
        "you",
        "Antoniou, Edwards and Storkey 2019",
    ):
        assert line in before
    assert "transductive" in after and "one query at a time" in after and "±" in after
    assert "runs/glyphs-3way-1shot-maml++" in after


def test_evaluate_prints_a_table_and_writes_json_and_a_picture():
    run(*TRAIN, "--out", "a")
    said = run("evaluate", "a", "--episodes", 6, "--steps", "0:2", "--no-progress").output
    assert "accuracy on 6 new tasks" in said and "one query at a time" in said
    found = json.loads(open("a/evaluation.json").read())
    assert found["steps"] == [0, 1, 2] and found["scores"].keys() == {
        "transductive",
        "one query at a time",
    }
    assert open("a/evaluation.png", "rb").read(4) == b"\x89PNG"
    printed = json.loads(run("evaluate", "a", "--episodes", 6, "--steps", "0:2", "--json").stdout)
    assert printed["scores"] == found["scores"]


def test_evaluate_on_another_split_and_with_other_shots():
    run(*TRAIN, "--out", "a")
    arguments = (
        "--episodes",
        4,
        "--split",
        "val",
        "--shots",
        2,
        "--queries",
        3,
        "--json",
        "--steps",
        1,
    )
    found = json.loads(run("evaluate", "a", *arguments).stdout)
    assert found["tasks"].startswith("Glyphs('val', ways=3, shots=2, queries=3")


def test_resume_goes_on_with_the_latest_run_and_its_own_settings():
    whole = json.loads(run(*TRAIN, "--out", "whole", "--json").stdout)
    run(*TRAIN, "--out", "runs/part", "--iterations", 2, "--schedule", "constant", "--no-test")
    run(*TRAIN, "--out", "other", "--schedule", "constant")
    found = run("train", "--resume", "--iterations", 4, "--json", "--device", "cpu")
    assert json.loads(found.stdout)["iterations"] == 4
    assert Folder("runs/part").settings().iterations == 4
    assert Folder("runs/part").settings().schedule == "constant" and whole["iterations"] == 4


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
    found = json.loads(again.stdout)
    assert found["evaluation"] == whole["evaluation"] and found["loss"] == whole["loss"]


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
    assert "maml-edu train omniglot --ways 5 --shots 1" in train and "sums over ways" in train
    assert "maml-edu evaluate" in evaluate.split("Examples")[1] and "0:10" in evaluate


def test_a_preset_can_be_left_with_one_option_changed():
    said = run(*TRAIN, "--preset", "finn2017", "--ways", 5, "--filters", 3, "--no-test").output
    assert "is 2.0 for the mean" in " ".join(said.split())
    assert Folder("runs/glyphs-5way-1shot-maml").settings().filters == 3


def test_glyphs_of_the_three_splits_are_what_a_run_trains_validates_and_tests_on():
    run(*TRAIN, "--out", "a")
    found = json.loads(open("a/results.json").read())
    assert found["tasks"] == repr(Glyphs("test", 3, 1, 5))


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
    (("--hidden", "3,3"), "--hidden means nothing for glyphs with --net conv4"),
    (("--resize", "area"), "--resize means nothing for glyphs"),
    (("--method", "protonet", "--inner-lr", 1), "--inner-lr means nothing .* --method protonet"),
    (("--method", "fine-tuning"), "fine-tuning learns all tasks at once"),
])  # fmt: skip
def test_a_mistake_is_said_before_training_and_leaves_no_folder_behind(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        run(*TRAIN, *options, "--out", "a")
    assert not (tmp_path / "a").exists()


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
    found = json.loads(run("train", "--resume", "--json", "--no-test", "--device", "cpu").stdout)
    assert found["folder"] == "runs/new"


def test_a_prototypical_network_is_tested_with_other_ways_and_maml_is_not():
    run(*TRAIN, "--method", "protonet", "--out", "a", "--no-test")
    arguments = ("--episodes", 4, "--json", "--no-progress")
    found = json.loads(run("evaluate", "a", "--ways", 5, *arguments).stdout)
    assert "ways=5" in found["tasks"] and found["steps"] == [0]
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
    train = [own for own in TRAIN if own not in ("--alphabets", "1")]
    train[1] = "omniglot"
    run(*train, "--meta-batch", 2, "--data-dir", "here", "--out", "a", "--iterations", 2)
    run("train", "--resume", "--out", "a", "--iterations", 3, "--device", "cpu", "--episodes", 4)
    run("evaluate", "a", "--episodes", 4, "--steps", 1)
    run("evaluate", "a", "--episodes", 4, "--steps", 1, "--tasks", "glyphs")
