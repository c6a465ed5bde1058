"""Where things are: the course's files, the learner's record, their working copies, data sets.

Every other module asks here, so that a clone and an installed wheel behave alike. Nothing in
this module creates or changes a file. Start from `course_root`.

Environment variables that move a place: MAML_EDU_HOME (the learner's record), MAML_EDU_WORK
(working copies), MAML_EDU_DATA (data sets).
"""

import os
import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def in_clone() -> bool:
    """True when the package is imported from a clone of the repository, not from a wheel."""
    root = _PACKAGE.parent
    return (root / "pyproject.toml").is_file() and (root / "course").is_dir()


def course_root() -> Path:
    """The folder that holds course/, notebooks/, exercises/ and solutions/.

    In a clone that is the clone; otherwise the copy that the wheel carries.
    """
    root = _PACKAGE.parent if in_clone() else _PACKAGE / "_course"
    if not (root / "course").is_dir():
        raise FileNotFoundError(
            "The course's files did not come with this installation of maml_edu: install it "
            "again, from a wheel or from a clone of the repository."
        )
    return root


def chapters() -> list[str]:
    """The chapters' folder names in reading order, such as '04_gradient_of_a_step'."""
    folders = (course_root() / "course").glob("[0-9][0-9]_*")
    return sorted(folder.name for folder in folders if folder.is_dir())


def title(chapter: str) -> str:
    """What a chapter is called, by its lesson: '07 · MAML in NumPy', for the folder '07_maml_in_numpy'.

    The name of the folder itself where the course has no such chapter.
    """
    try:
        lesson = course_root() / "course" / chapter / "lesson.py"
        text = lesson.read_text(encoding="utf-8") if chapter in chapters() else ""
    except OSError:
        text = ""
    heading = re.search(r"^# # (.+)$", text, flags=re.M)  # of jupytext's percent format
    return heading[1].strip() if heading else chapter


def user_data() -> Path:
    """The folder of the learner's record: MAML_EDU_HOME, else the system's usual place."""
    return _from_environment("MAML_EDU_HOME") or _usual("user_data_dir")


def data_folder() -> Path:
    """The folder of downloaded data sets: MAML_EDU_DATA, else `data` beside the record."""
    return _from_environment("MAML_EDU_DATA") or user_data() / "data"


def cache_folder() -> Path:
    """The folder of what can be computed again, such as compiled kernels: the system's usual place."""
    return _usual("user_cache_dir")


def work_folder() -> Path:
    """The learner's working copies: MAML_EDU_WORK, else my_work in the clone or right here."""
    start = _PACKAGE.parent if in_clone() else Path.cwd()
    return _from_environment("MAML_EDU_WORK") or start / "my_work"


def _usual(kind: str) -> Path:
    """The system's usual place for files of this kind, by its name in platformdirs."""
    import platformdirs  # not before it is asked for: tasks and networks do without it

    return Path(getattr(platformdirs, kind)("maml_edu", appauthor=False))


def _from_environment(name: str) -> Path | None:
    """The folder that an environment variable names; None when it is unset or empty."""
    value = os.environ.get(name, "").strip()
    return Path(value).expanduser().absolute() if value else None
