"""examples/: each script runs, with few iterations, and prints what it is there to show."""

import ast
import re
import runpy
import sys

import pytest
from frameworks import needs

from maml_edu import places

FOLDER = places.course_root() / "examples"
SHOWN = {
    "own_model.py": r"lean +runs(.|\n)*mse on 200 new tasks",
    "own_tasks.py": r"close on 100 new tasks",
    "own_families.py": r"waves: sound\nglyphs: sound\npendulum: sound\n(.|\n)*oracle",
    "own_outer_loop.py": r"by_torch_optim .*at first (\S+), at the end (\S+)\nby_outer_step .*at first \1, ",
    "frozen_backbone.py": r"Sequential, saved and loaded: \d+ of 25 right",
    "lstm.py": r"(lean|plain|textbook) +runs(.|\n)*accuracy on 100 new tasks",
    "keras_maml.py": r"mean query error on 600 new waves(.|\n)*MAML(.|\n)*pretrained",
    "jax_maml.py": r"mean query error on 600 new waves(.|\n)*MAML(.|\n)*pretrained",
    "colour_images.py": r"classes=16(.|\n)*classes=8(.|\n)*accuracy on 100 new tasks",
}
NEEDS = {"keras_maml.py": "tensorflow", "jax_maml.py": "jax"}
CASES = [pytest.param(n, marks=needs(NEEDS[n]) if n in NEEDS else ()) for n in SHOWN]


def test_every_example_is_run_here_and_says_what_it_shows():
    scripts = sorted(FOLDER.glob("*.py"))
    assert [script.name for script in scripts] == sorted(SHOWN)
    for script in scripts:
        assert ast.get_docstring(ast.parse(script.read_text("utf-8"))), script.name


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about speed
def test_an_example_runs_and_prints_what_it_shows(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--iterations", "2"])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    printed = capsys.readouterr().out
    assert re.search(SHOWN[name], printed), printed


def test_the_readme_leads_to_the_examples():
    assert "(examples)" in (FOLDER.parent / "README.md").read_text("utf-8")
