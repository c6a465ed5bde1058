"""Working copies are made when missing, never written over, and whole or not there at all."""

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maml_edu import lab


@pytest.fixture
def course(tmp_path):
    """A small course: two chapters in three folders."""
    root = tmp_path / "course"
    for folder in lab.FOLDERS:
        (root / folder).mkdir(parents=True)
        for name in ("00_start", "04_slope"):
            (root / folder / f"{name}.ipynb").write_text(f"{folder}/{name} as built")
    return root


@pytest.fixture
def work(tmp_path):
    return tmp_path / "my_work"


def files(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_missing_copies_are_made_in_their_folders(course, work):
    copied = lab.prepare(work, course)
    assert files(work) == files(course) == sorted(p.relative_to(work).as_posix() for p in copied)
    assert (work / "exercises" / "04_slope.ipynb").read_text() == "exercises/04_slope as built"


def test_a_copy_that_is_there_is_never_written_over(course, work):
    lab.prepare(work, course)
    mine = work / "exercises" / "04_slope.ipynb"
    mine.write_text("my answers")
    (work / "solutions" / "00_start.ipynb").unlink()
    (course / "exercises" / "04_slope.ipynb").write_text("a newer course")
    assert lab.prepare(work, course) == [work / "solutions" / "00_start.ipynb"]
    assert mine.read_text() == "my answers"


def test_even_an_empty_file_or_a_broken_link_of_the_learner_stays(course, work):
    folder = work / "exercises"
    folder.mkdir(parents=True)
    (folder / "00_start.ipynb").touch()
    (folder / "04_slope.ipynb").symlink_to(work / "nowhere")
    lab.prepare(work, course)
    assert (folder / "00_start.ipynb").read_text() == ""
    assert os.readlink(folder / "04_slope.ipynb") == str(work / "nowhere")


def test_a_copy_that_appears_meanwhile_wins(course, work, monkeypatch):
    def link(part, target):
        Path(target).write_text("from another window")
        raise FileExistsError(errno.EEXIST, "File exists", str(target))

    monkeypatch.setattr(os, "link", link)
    assert lab.prepare(work, course) == []
    assert (work / "notebooks" / "00_start.ipynb").read_text() == "from another window"


def test_a_file_system_without_links_is_served_too(course, work, monkeypatch):
    def link(part, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    assert len(lab.prepare(work, course)) == 6
    assert files(work) == files(course)


KILLED = """
import os, signal, sys
from pathlib import Path
from maml_edu import lab
def copy(reader, writer):
    writer.write(b"half of"), writer.flush()
    os.kill(os.getpid(), signal.SIGKILL)
lab.shutil.copyfileobj = copy
lab.prepare(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_copy_leaves_no_half_notebook(course, work):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(work), str(course)])
    assert killed.returncode == -9
    assert not list(work.rglob("*.ipynb"))
    [part] = [path for path in work.rglob("*") if path.is_file()]
    os.utime(part, (time.time() - 7200,) * 2)
    assert len(lab.prepare(work, course)) == 6
    assert files(work) == files(course), "the half copy is swept away, too"


def test_a_full_disk_is_said_plainly_and_leaves_nothing_half(course, work, monkeypatch):
    def copy(reader, writer):
        writer.write(b"half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lab.shutil, "copyfileobj", copy)
    with pytest.raises(lab.LabError, match=r"is full.*Free some space, or choose another folder"):
        lab.prepare(work, course)
    assert files(work) == []


def test_a_work_folder_that_is_a_file_is_said_plainly(course, work):
    work.write_text("not a folder")
    with pytest.raises(lab.LabError, match="could not be copied into .*--work"):
        lab.prepare(work, course)


def test_a_course_that_was_not_built_is_said_plainly(tmp_path, work):
    with pytest.raises(lab.LabError, match="make notebooks"):
        lab.prepare(work, tmp_path)


@pytest.mark.parametrize(
    "name",
    ["exercises/04", "exercises/04_slope", "exercises/04_slope.ipynb", "my_work/exercises/04"],
)
def test_a_fresh_copy_sets_the_old_one_aside(course, work, name):
    lab.prepare(work, course)
    mine = work / "exercises" / "04_slope.ipynb"
    mine.write_text("my answers")
    copy, aside = lab.fresh(name, work, course)
    assert copy == mine
    assert copy.read_text() == "exercises/04_slope as built"
    assert aside.read_text() == "my answers"
    assert re.fullmatch(r"04_slope\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.ipynb", aside.name)


def test_fresh_copies_in_one_second_keep_every_old_one(course, work):
    asides = set()
    for round in range(4):
        copy, aside = lab.fresh("exercises/04", work, course)
        asides.add(aside)
        copy.write_text(f"round {round}")
    kept = {aside.read_text() for aside in asides if aside}
    assert kept == {"round 0", "round 1", "round 2"}


def test_a_fresh_copy_on_a_full_disk_leaves_the_old_one(course, work, monkeypatch):
    lab.prepare(work, course)
    mine = work / "exercises" / "04_slope.ipynb"
    mine.write_text("my answers")

    def copy(reader, writer):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lab.shutil, "copyfileobj", copy)
    with pytest.raises(lab.LabError, match="Nothing of yours was changed"):
        lab.fresh("exercises/04", work, course)
    assert mine.read_text() == "my answers"
    assert files(work) == files(course)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("04", "more than one notebook"),
        ("exercises/99", "is no notebook of the course"),
        ("exercises/0", "is no notebook of the course"),
        ("", "is no notebook of the course"),
        ("../exercises/../exercises", "is no notebook of the course"),
    ],
)
def test_a_name_that_is_not_one_notebook_lists_the_choices(course, work, name, problem):
    with pytest.raises(lab.LabError, match=f"{problem}(?s:.*)exercises/04_slope"):
        lab.fresh(name, work, course)


def option(line, name):
    return next(part.split("=", 1)[1] for part in line if part.startswith(f"{name}="))


def test_jupyterlab_opens_the_map_on_loopback_in_this_python(course, work):
    lab.prepare(work, course)
    line = lab.command(work, port=8899, browser=False, extra=["--LabApp.collaborative=False"])
    assert line[:3] == [sys.executable, "-m", "jupyterlab"]
    assert option(line, "--LabApp.default_url") == "/lab/tree/notebooks/00_start.ipynb"
    assert option(line, "--ServerApp.root_dir") == str(work)
    assert option(line, "--ServerApp.ip") == "127.0.0.1"
    assert option(line, "--ServerApp.port") == "8899"
    assert "--no-browser" in line
    assert line[-1] == "--LabApp.collaborative=False"


def test_a_browser_opens_and_a_port_is_found_unless_told_otherwise(work):
    line = lab.command(work)
    assert "--no-browser" not in line
    assert not any(part.startswith("--ServerApp.port=") for part in line)


def test_kernels_find_this_environments_programs_first(work, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    environment = lab.environment(work)
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert environment["MAML_EDU_WORK"] == str(work)
    *ours, mine = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert all((Path(folder) / "labconfig" / "page_config.json").is_file() for folder in ours)
    assert mine == "/mine"


@pytest.mark.parametrize("teaching", [False, True])
def test_a_learner_sees_no_menus_of_nbgrader_and_a_teacher_does(work, teaching):
    environment = lab.environment(work, teaching)
    program = (
        "import jupyter_core.paths as p, json, pathlib;"
        "pages = [pathlib.Path(d) / 'labconfig' / 'page_config.json' for d in p.jupyter_config_path()];"
        "print([name for page in pages if page.is_file()"
        " for name, off in json.loads(page.read_text())['disabledExtensions'].items() if off])"
    )
    line = [sys.executable, "-c", program]
    printed = subprocess.run(
        line, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert ("'@jupyter/nbgrader'" in printed) != teaching
    assert "announcements" in printed
