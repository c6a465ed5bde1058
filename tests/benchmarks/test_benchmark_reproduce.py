"""`make reproduce`: small runs of it, on invented data in place of Omniglot."""

import json
import sys

import numpy as np
import pytest

from maml_edu import places
from maml_edu.tasks import glyphs, omniglot

sys.path.append(str(places.course_root()))

from benchmarks.reproduce import baselines, reproduce  # noqa: E402

ROWS = [
    row
    for row in reproduce.ROWS
    if row.name in ("laptop-5way-1shot", "glyphs-protonet", "finn2017-5way-1shot")
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a packed file of Omniglot's layout, in which glyphs stand for the characters."""
    folder = tmp_path_factory.mktemp("data")
    images = glyphs.draw_glyphs(np.random.default_rng(0), 6, 14).reshape(84, 20, 28, 28)
    omniglot.write_packed(folder / omniglot.PACKED["nearest"], {
        "packed": np.packbits(images.reshape(84, 20, -1), axis=-1),
        "alphabet": np.repeat([f"alphabet {n}" for n in range(6)], 14),
        "character": np.tile([f"character{n:02}" for n in range(14)], 6),
        "char_id": np.arange(1, 85, dtype=np.int16), "drawer": np.arange(1, 21, dtype=np.int8),
        "is_background": np.arange(84) < 42, "vinyals_split": np.repeat([0, 1, 2], 28).astype(np.int8),
    })  # fmt: skip
    return folder


def run(monkeypatch, data, out, *arguments):
    monkeypatch.setattr(reproduce, "ROWS", ROWS)
    monkeypatch.setattr(reproduce, "SETTINGS", ((5, 1),))
    few = {"sinusoids-5shot": ("trained on 5 shots", ["--shots", "5", "--meta-batch", "4"])}
    monkeypatch.setattr(reproduce, "SINUSOIDS", few)
    monkeypatch.setattr(baselines, "RATES", (0.5,))
    monkeypatch.setattr(baselines, "STEPS", (2,))
    quick = [
        "--data-dir",
        str(data),
        "--out",
        str(out),
        "--device",
        "cpu",
        "--iterations",
        "2",
        "--episodes",
        "3",
    ]
    reproduce.main([*quick, *arguments])


def test_every_row_for_this_machine_is_run_and_the_others_are_labelled(
    monkeypatch, data, tmp_path, capsys
):
    run(monkeypatch, data, tmp_path / "out")
    said = capsys.readouterr().out
    assert (
        "not run: finn2017-5way-1shot, for a GPU, by: maml-edu train omniglot --preset finn2017"
        in said
    )
    for label in (
        "MAML, laptop recipe, transductive",
        "pixels, nearest neighbour",
        "ProtoNet, one query",
        "pretrained, trained on 5 shots",
        "98.7 ± 0.4",
    ):
        assert label in said
    assert "for a GPU" in said.split("preset finn2017, transductive")[1].splitlines()[0]
    found = json.loads((tmp_path / "out" / "glyphs-protonet-seed0" / "results.json").read_text())
    assert found["tasks"].startswith("Omniglot('evaluation', ways=5") and found["episodes"] == 3
    names = {path.name for path in (tmp_path / "out" / "baselines").glob("*.json")}
    assert names >= {f"{own.name}-5way-1shot-test.json" for own in baselines.BASELINES}
    assert "pixels-5way-1shot-evaluation.json" in names

    def nothing(*_, **__):
        raise AssertionError("what is there is not done again")

    monkeypatch.setattr(reproduce.runs, "run", nothing)
    monkeypatch.setattr(reproduce.subprocess, "run", nothing)
    monkeypatch.setattr(baselines.runs, "evaluate", nothing)
    run(monkeypatch, data, tmp_path / "out")


def test_the_tables_take_the_place_of_those_on_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{reproduce.BEGIN}\nold\n{reproduce.END}\nafter\n")
    reproduce.write(page, "new")
    assert page.read_text() == f"before\n{reproduce.BEGIN}\n\nnew\n\n{reproduce.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="has not the marks"):
        reproduce.write(page, "new")


def test_a_cell_has_an_interval_over_tasks_or_the_range_over_seeds(tmp_path):
    for seed, mean in enumerate((0.9, 0.94)):
        folder = tmp_path / f"row-seed{seed}"
        folder.mkdir()
        scores = {"transductive": {"mean": [0.2, mean], "ci95": [0.1, 0.004]}}
        (folder / "results.json").write_text(json.dumps({"steps": [0, 1], "scores": scores}))
        expected = ("90.00 ± 0.40", "92.00 (90.00–94.00, 2 seeds)")[seed]
        assert reproduce.cell(tmp_path, "row", "transductive") == expected
    assert reproduce.cell(tmp_path, "other", "transductive") == "–"


def test_a_quick_look_is_not_taken_for_a_result(monkeypatch, data, tmp_path):
    assert reproduce.parse(["--iterations", "2"]).out.name == "quick"
    with pytest.raises(ValueError, match="not for docs/results.md"):
        reproduce.main(["--episodes", "2", "--write"])
    run(monkeypatch, data, tmp_path / "out", "--only", "glyphs-protonet")
    with pytest.raises(ValueError, match="was run with other settings"):
        reproduce.main(
            ["--data-dir", str(data), "--out", str(tmp_path / "out"), "--only", "glyphs-protonet"]
        )


def test_without_omniglot_it_is_said_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="maml-edu data get omniglot"):
        reproduce.main(["--data-dir", str(tmp_path)])


def test_the_commands_of_the_rows_are_ones_that_maml_edu_knows():
    from typer.testing import CliRunner

    from maml_edu import cli

    known = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, ["train", "--help"]).output
    for row in reproduce.ROWS:
        options = [word for word in row.command(1).split(";")[0].split() if word.startswith("--")]
        assert options and all(option in known for option in options)


def test_pretraining_numbers_the_classes_of_the_whole_bank():
    bank = glyphs.draw_glyphs(np.random.default_rng(0), 1, 8).reshape(8, 20, 28, 28)
    batch = baselines.AllClasses(bank, 3, 2, 2).sample(np.random.default_rng(1), 4)
    for x, y in zip(batch.support_x.reshape(-1, 28, 28), batch.support_y.ravel(), strict=True):
        assert any(np.array_equal(x, image) for image in bank[y])


def test_a_page_without_runs_has_dashes(tmp_path):
    assert "| – |" in reproduce.page(tmp_path)


def test_a_cell_of_the_sinusoids_has_the_median_first_and_marks_a_mean_that_may_not_hold():
    row = {
        "median": [3.0, 0.16],
        "mse": [3.2, 0.5],
        "ci95": [0.2, 0.4],
        "trust": ["mean", "median"],
    }
    assert reproduce.sinusoid_cell(row, 0) == "3.00 (3.20 ± 0.20)"
    assert reproduce.sinusoid_cell(row, 1) == "0.16 (0.50 ± 0.40 !)"
