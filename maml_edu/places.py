"""Where things are: the course's files, the learner's record, their working copies, data sets.

Every other module asks here, so that a clone and an installed wheel behave alike. Nothing in
this module creates or changes a file. Start from `course_root`.

Environment variables that move a place: MAML_EDU_HOME (the learner's record), MAML_EDU_WORK
(working copies), MAML_EDU_DATA (data sets).
"""

import os
from pathlib import Path

import platformdirs

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


def user_data() -> Path:
    """The folder of the learner's record: MAML_EDU_HOME, else the system's usual place."""
    return _from_environment("MAML_EDU_HOME") or Path(
        platformdirs.user_data_dir("maml_edu", appauthor=False)
    )


def data_folder() -> Path:
    """The folder of downloaded data sets: MAML_EDU_DATA, else `data` beside the record."""
    return _from_environment("MAML_EDU_DATA") or user_data() / "data"


def cache_folder() -> Path:
    """The folder of what can be computed again, such as compiled kernels: the system's usual place."""
    return Path(platformdirs.user_cache_dir("maml_edu", appauthor=False))


def work_folder() -> Path:
    """The learner's working copies: MAML_EDU_WORK, else my_work in the clone or right here."""
    start = _PACKAGE.parent if in_clone() else Path.cwd()
    return _from_environment("MAML_EDU_WORK") or start / "my_work"


def _from_environment(name: str) -> Path | None:
    """The folder that an environment variable names; None when it is unset or empty."""
    value = os.environ.get(name, "").strip()
    return Path(value).expanduser().absolute() if value else None
