"""The command `maml-edu`: what it says, its exit codes, and no traceback for a user's mistake."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from maml_edu import __version__, cli, lab, places


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)


def as_a_program(monkeypatch, capsys, *arguments):
    """Run `maml-edu` through its entry point: (exit code, what it said on stderr)."""
    monkeypatch.setattr(sys, "argv", ["maml-edu", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small built course and a work folder beside it."""
    root = tmp_path / "course"
    (root / "course" / "04_slope").mkdir(parents=True)
    for folder in lab.FOLDERS:
        (root / folder).mkdir()
        (root / folder / "04_slope.ipynb").write_text("as built")
    monkeypatch.setattr(places, "course_root", lambda: root)
    monkeypatch.setenv("MAML_EDU_WORK", str(tmp_path / "my_work"))
    return root


def test_version_is_the_packages():
    assert run("--version").output == f"maml-edu {__version__}\n"


def test_help_teaches_with_examples():
    output = run("--help").output
    for command in ("lab", "fresh", "doctor", "progress", "build"):
        assert command in output
    assert "maml-edu doctor" in output
    for command in ("lab", "fresh", "build"):
        assert f"maml-edu {command}" in run(command, "--help").output.split("Examples")[1]


def test_the_help_shows_that_data_can_be_got():
    assert "data" in run("--help").output.split("Commands")[1]
    output = run("data", "get", "--help").output.split("Examples")[1]
    assert "maml-edu data get omniglot" in output and "--no-keep-archives" in output


def test_no_arguments_show_the_help_and_an_unknown_command_is_an_error():
    assert "Commands" in run().output
    assert run("trian").exit_code == 2


def test_lab_copies_then_opens_and_hands_its_options_on(course, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(lab, "launch", lambda *arguments: calls.append(arguments) or 0)
    result = run("lab", "--no-browser", "--port", "8899", "--ServerApp.token=abc")
    assert result.exit_code == 0
    assert calls == [(tmp_path / "my_work", 8899, False, ["--ServerApp.token=abc"], False)]
    assert "Copied 3 notebooks" in result.output
    assert (tmp_path / "my_work" / "exercises" / "04_slope.ipynb").read_text() == "as built"
    assert "Copied" not in run("lab").output


def test_on_a_jupyterhub_lab_copies_and_says_where_and_starts_no_second_server(
    course, tmp_path, monkeypatch
):
    monkeypatch.setattr(lab, "launch", lambda *arguments: pytest.fail("started a second server"))
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    run("lab")
    result = run("lab", "--port", "8899")
    assert result.exit_code == 0 and (tmp_path / "my_work/notebooks/04_slope.ipynb").is_file()
    [said] = result.output.splitlines()
    assert said.startswith("On a JupyterHub JupyterLab is open already") and "my_work" in said


def test_lab_ends_with_jupyterlabs_exit_code(course, monkeypatch):
    monkeypatch.setattr(lab, "launch", lambda *arguments: 3)
    assert run("lab").exit_code == 3


def test_fresh_says_where_the_old_copy_went(course, tmp_path):
    assert "old copy" not in run("fresh", "exercises/04").output
    (tmp_path / "my_work" / "exercises" / "04_slope.ipynb").write_text("mine")
    assert "Your old copy is now" in run("fresh", "exercises/04").output
    kept = [path.read_text() for path in (tmp_path / "my_work" / "exercises").iterdir()]
    assert sorted(kept) == ["as built", "mine"]


def test_a_users_mistake_is_one_message_and_exit_code_1(course, monkeypatch, capsys):
    code, said = as_a_program(monkeypatch, capsys, "fresh", "exercises/99")
    assert code == 1
    assert said.startswith("maml-edu: 'exercises/99' is no notebook of the course.")
    assert "Traceback" not in said
    monkeypatch.setenv("MAML_EDU_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["maml-edu", "fresh", "exercises/99"])
    with pytest.raises(lab.LabError):
        cli.main()


def test_a_work_folder_that_cannot_be_written_is_one_message(course, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    code, said = as_a_program(monkeypatch, capsys, "lab", "--work", str(tmp_path / "file"))
    assert code == 1
    assert "--work FOLDER" in said.replace("\n", " ")


def test_doctors_exit_code_tells_whether_all_is_well(monkeypatch):
    from maml_edu import doctor

    ill = doctor.Report([doctor.Finding("disk", False, "full", "Free some space.", "/disk")])
    monkeypatch.setattr(doctor, "doctor", lambda: ill)
    result = run("doctor")
    assert result.exit_code == 1
    assert all(word in result.output for word in ("disk", "full", "/disk", "Free some space."))
    monkeypatch.setattr(doctor, "doctor", lambda: doctor.Report())
    assert run("doctor").exit_code == 0


def test_progress_shows_what_was_passed(monkeypatch):
    import importlib

    record = importlib.import_module("maml_edu.checks.progress")
    rows = [
        record.Row("04_slope", "04.meta_slope", "The slope", 3, "2026-11-23"),
        record.Row("04_slope", "04.by_hand", "By hand", 2, None),
    ]
    monkeypatch.setattr(record, "progress_table", lambda: rows)
    passed, open_, summary = (line.split() for line in run("progress").output.splitlines()[1:4])
    assert passed == ["✓", "04", "04.meta_slope", "3", "2026-11-23"]
    assert open_ == ["○", "04", "04.by_hand", "2", "not", "yet"]
    assert " ".join(summary) == "1 of 2 exercises, 3 of 5 points"


@pytest.fixture
def builder(monkeypatch, course):
    """Stands in for maml_edu.build, which only authors can import; remembers its calls."""
    stand_in = SimpleNamespace(calls=[], late=[])
    stand_in.build = lambda root, chapters, force: stand_in.calls.append((root, chapters, force))
    stand_in.out_of_step = lambda root: stand_in.late
    import maml_edu

    monkeypatch.setitem(sys.modules, "maml_edu.build", stand_in)
    monkeypatch.setattr(maml_edu, "build", stand_in, raising=False)
    monkeypatch.setattr(places, "in_clone", lambda: True)
    return stand_in


def test_build_takes_all_chapters_or_those_that_are_named(builder, course):
    assert run("build").exit_code == 0
    assert run("build", "04", "07", "--force").exit_code == 0
    assert builder.calls == [(course, None, False), (course, ["04", "07"], True)]


def test_build_check_changes_nothing_and_tells_by_its_exit_code(builder):
    assert run("build", "--check").exit_code == 0
    builder.late = ["notebooks/04_slope.ipynb is missing: run `make notebooks`"]
    result = run("build", "--check")
    assert result.exit_code == 1
    assert "notebooks/04_slope.ipynb is missing" in result.output
    assert builder.calls == []


def test_an_installed_copy_cannot_be_built_and_says_so(builder, monkeypatch, capsys):
    monkeypatch.setattr(places, "in_clone", lambda: False)
    code, said = as_a_program(monkeypatch, capsys, "build")
    assert code == 1
    assert "Only a clone" in said


def test_help_is_quick_to_load_and_the_program_really_starts(tmp_path):
    """The installed entry point, in a process of its own, from another folder."""
    code = "import sys, json, maml_edu.cli as c; sys.argv = ['maml-edu', '--version']\n"
    code += "try: c.main()\nexcept SystemExit: print(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    version, modules = done.stdout.splitlines()
    assert version == f"maml-edu {__version__}"
    assert not {"torch", "matplotlib", "numpy", "jupyterlab"} & set(json.loads(modules))
