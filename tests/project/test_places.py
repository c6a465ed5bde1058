"""Where things are: in a clone, in a wheel, and where the environment says otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

from maml_edu import places

CLONE = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installation from a wheel: site-packages/maml_edu/_course, no clone around it."""
    package = tmp_path / "site-packages" / "maml_edu"
    (package / "_course" / "course" / "01_first").mkdir(parents=True)
    monkeypatch.setattr(places, "_PACKAGE", package)
    return package


def test_a_clone_is_its_own_course_root():
    assert places.course_root() == CLONE
    assert places.work_folder() == CLONE / "my_work"


def test_an_installed_wheel_carries_its_course(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.course_root() == installed / "_course"
    assert places.chapters() == ["01_first"]
    assert places.work_folder() == tmp_path / "my_work"


def test_an_installation_without_course_says_what_to_do(installed):
    (installed / "_course" / "course").rename(installed / "_course" / "gone")
    with pytest.raises(FileNotFoundError, match="install it again"):
        places.course_root()


def test_chapters_are_numbered_folders_in_reading_order(installed):
    course = installed / "_course" / "course"
    for name in ("10_tenth", "02_second", "__pycache__", "notes"):
        (course / name).mkdir()
    (course / "03_a_file").touch()
    assert places.chapters() == ["01_first", "02_second", "10_tenth"]


def test_a_chapter_is_called_what_its_lesson_is_called(installed):
    lesson = installed / "_course" / "course" / "01_first" / "lesson.py"
    assert places.title("01_first") == "01_first"
    lesson.write_text(
        "# %% [markdown]\n# Before.\n#\n# # 01 · The *First*, in NumPy \n# # Two\n", "utf-8"
    )
    assert places.title("01_first") == "01 · The *First*, in NumPy"
    for name in ("02_gone", "", "..", "../course/01_first", "\0", "\ud800"):
        assert places.title(name) == name
    (installed / "_course" / "course").rename(installed / "_course" / "gone")
    assert places.title("01_first") == "01_first"


def test_every_chapter_of_the_course_has_a_title_of_its_own():
    titles = [places.title(name) for name in places.chapters()]
    assert [title[:5] for title in titles] == [f"{name[:2]} · " for name in places.chapters()]
    assert "07 · MAML in NumPy" in titles and "04 · The gradient of a gradient step" in titles


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("MAML_EDU_HOME", places.user_data),
        ("MAML_EDU_WORK", places.work_folder),
        ("MAML_EDU_DATA", places.data_folder),
    ],
)
def test_the_environment_moves_each_place(variable, place, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    assert place() == tmp_path / "there"
    monkeypatch.setenv(variable, "  ")  # set but empty is as good as unset
    assert place().is_absolute()
    assert place() != tmp_path / "there"


def test_asking_where_things_are_creates_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_WORK", str(tmp_path / "work"))
    places.user_data(), places.work_folder(), places.data_folder(), places.cache_folder()
    assert list(tmp_path.iterdir()) == []


def test_networks_and_tasks_need_numpy_torch_and_tqdm_and_nothing_else():
    """On a borrowed machine with a GPU little else may be there."""
    others = ("platformdirs", "pooch", "matplotlib", "PIL", "typer", "safetensors", "numba")
    code = f"import sys; sys.modules.update(dict.fromkeys({others})); import maml_edu.pytorch, maml_edu.tasks"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=CLONE)
