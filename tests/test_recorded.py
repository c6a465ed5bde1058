"""`%%recorded`: what a cell does with its framework, without it, edited, without a record; no framework needed."""

import json
import subprocess
import sys
import types

import pytest

from maml_edu import places, recorded

CELL = "import jax\nprint('the answer', 6 * 7)\n"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two chapters, of which one has records."""
    folder = tmp_path / "course" / "15_other_frameworks"
    folder.mkdir(parents=True)
    (tmp_path / "course" / "01_first").mkdir()
    output = ["the answer 42", "", "end"]
    cells = {
        name: {
            "source": recorded.digest(f"{line} {name}", CELL),
            "printed": recorded.digest_of(output),
            "output": output,
        }
        for name, line in (("answer", "jax"), ("both", "jax,tensorflow"))
    }
    versions = {"tensorflow": "2.21.0", "keras": "3.15.1", "jax": "0.10.2"}
    record = {"date": "2026-12-01", "versions": versions, "cells": cells}
    (folder / recorded.FILE).write_text(json.dumps(record), encoding="utf-8")
    monkeypatch.setattr(places, "course_root", lambda: tmp_path)
    return folder


@pytest.fixture
def absent(monkeypatch):
    """None of the frameworks is installed, wherever these tests run."""
    monkeypatch.setattr(recorded, "is_installed", lambda package: False)


@pytest.fixture
def shell():
    """An IPython shell of its own, with the magic."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    recorded.register(shell)
    yield shell
    InteractiveShell.clear_instance()


def test_without_the_framework_one_line_says_so_and_the_record_follows(
    course, absent, shell, capsys
):
    shell.run_cell(f"%%recorded jax answer\n{CELL}").raise_error()
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == (
        'JAX is not installed here (pip install "maml_edu[jax]"): '
        "recorded on 1 December 2026 with JAX 0.10.2."
    )
    assert rest == ["the answer 42", "", "end"]


def test_of_two_frameworks_only_the_missing_one_is_named(course, shell, monkeypatch, capsys):
    monkeypatch.setattr(recorded, "is_installed", lambda package: package != "keras")
    shell.run_cell(f"%%recorded jax,tensorflow both\n{CELL}").raise_error()
    [first, *_] = capsys.readouterr().out.splitlines()
    assert first.startswith("TensorFlow is not installed here (pip install")
    assert first.endswith("with JAX 0.10.2, TensorFlow 2.21.0, Keras 3.15.1.")
    monkeypatch.setattr(recorded, "is_installed", lambda package: False)
    shell.run_cell(f"%%recorded jax,tensorflow both\n{CELL}").raise_error()
    said = capsys.readouterr().out
    assert (
        'JAX and TensorFlow are not installed here (pip install "maml_edu[jax,tensorflow]")' in said
    )


def test_with_the_framework_the_cell_runs_as_any_other(course, shell, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jax", types.ModuleType("jax"))
    result = shell.run_cell("%%recorded jax answer\nimport jax\nx = 1\nprint('ran')\nx + 1")
    assert result.result == 2 and shell.user_ns["x"] == 1
    assert "ran" in capsys.readouterr().out
    result = shell.run_cell("%%recorded jax answer\n\n1 / 0")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert (
        "line 3" in capsys.readouterr().out
    )  # as the reader counts, the magic's own line included


def test_an_edited_cell_says_that_it_has_no_record_and_shows_none(course, absent, shell, capsys):
    shell.run_cell(f"%%recorded jax answer\n{CELL.replace('6', '5')}").raise_error()
    said = capsys.readouterr().out
    assert "JAX is not installed here" in said and "not the cell that was recorded" in said
    assert "42" not in said


def test_blanks_at_the_ends_of_lines_and_cells_do_not_count():
    digest = recorded.digest
    assert digest(" jax  one ", "a  \n b\t\n\n") == digest("jax one", "\na\n b")
    assert digest("jax one", "a\n b") != digest("jax one", "a\nb")
    assert digest("jax one", "a\n\nb") != digest("jax one", "a\nb")


def test_other_frameworks_in_the_magic_make_another_cell(course, absent, capsys):
    assert recorded.digest("jax one", CELL) != recorded.digest("jax,tensorflow one", CELL)
    recorded.show("jax,tensorflow answer", CELL)
    assert "not the cell that was recorded" in capsys.readouterr().out


def test_a_missing_record_says_how_to_make_it(course, absent):
    with pytest.raises(LookupError, match="No chapter .* 'other'.*ARGS=--write"):
        recorded.show("jax other", CELL)


@pytest.mark.parametrize("line", ["", "jax", "answer", "jax, tensorflow answer", "keras answer"])
def test_a_magic_that_is_written_wrongly_is_told_how(course, shell, line):
    with pytest.raises(ValueError, match="as in `%%recorded tensorflow,jax the_table`; got"):
        shell.run_cell(f"%%recorded {line}\n{CELL}").raise_error()


def test_registering_twice_is_registering_once(shell):
    recorded.register(shell)
    assert shell.input_transformers_cleanup.count(recorded.without_first_line) == 1


def test_other_cells_are_left_alone():
    for lines in ([], ["\n"], ["x = 1\n"], ["%%time\n", "x\n"], ["%%recorded_not jax a\n"]):
        assert recorded.without_first_line(lines) is lines


def test_importing_it_outside_ipython_loads_nothing():
    line = (
        "import sys, maml_edu.recorded; "
        "print(sorted({'IPython', 'tensorflow', 'jax', 'numpy', 'torch'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
