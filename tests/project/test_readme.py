"""What the README tells a reader to run, runs, and says what the README says."""

import contextlib
import dataclasses
import io
import re

import pytest

from maml_edu import places

README = places.course_root() / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


def block(words):
    """The only block of the README that has these words in it."""
    [code] = [code for code in BLOCKS if words in code]
    return code


def run(code):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def test_the_ten_line_example_trains_and_evaluates():
    printed = run(BLOCKS[0].replace("2_000", "30").replace("episodes=600", "episodes=20"))
    assert "30 iterations" in printed and "mse on 20 new tasks" in printed


def test_the_ten_line_example_has_ten_lines_at_most():
    assert len(BLOCKS[0].strip().splitlines()) <= 10


def test_the_diagnosis_says_what_the_readme_says():
    code = block("diagnose_meta_gradient")
    promised = re.search(r"# (This is .*?) …", code).group(1)
    assert run(code).startswith(promised)


@pytest.mark.parametrize("loop", ["mt.OuterStep", "torch.optim.Adam"])
def test_a_loop_of_one_s_own_goes_on_from_the_ten_lines_and_prints_a_loss(loop):
    beginning = BLOCKS[0].replace("2_000", "2").replace("episodes=600", "episodes=2")
    numpy = "import numpy as np\nrng = np.random.default_rng(0)\n"
    code = block(loop).replace("1_000", "3")
    assert float(run(f"{beginning}\n{numpy}{code}\nprint('loss', float(loss))").split()[-1]) > 0


def test_the_page_on_output_names_every_field_of_a_history():
    from maml_edu.pytorch import History

    page = (README.parent / "docs" / "output.md").read_text("utf-8")
    for field in dataclasses.fields(History):
        assert f"`{field.name}`" in page, field.name


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", README.read_text("utf-8"), re.M))
def test_its_make_commands_exist(target):
    assert re.search(rf"^{target}:", (README.parent / "Makefile").read_text("utf-8"), re.M)


def test_the_experiment_in_the_page_on_few_shot_tasks_runs(tmp_path, monkeypatch):
    page = (README.parent / "docs" / "few_shot.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.S)
    monkeypatch.chdir(tmp_path)
    assert "'metric': 'accuracy'" in run(code.replace("iterations=20", "iterations=2"))
    assert (tmp_path / "runs" / "mine" / "results.json").is_file()


def test_a_family_is_checked_compared_and_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beginning = BLOCKS[0].replace("2_000", "2").replace("episodes=600", "episodes=2")
    small = "compare(sines, seeds=(0,), iterations=8, episodes=20, validation_episodes=20, steps=2)"
    code = block("check_family").replace("compare(sines)", small)
    run(f"{beginning}\n{code}")
    assert {path.name for path in tmp_path.iterdir()} == {"my_family.html", "my_family.md"}
