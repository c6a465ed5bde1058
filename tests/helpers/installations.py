"""The course installed in the ways that people install it, quickly: its wheel's files are copied to where pip
would put them, and the packages that it needs are those of the Python that runs the tests.

`all_kinds` names them; each maker takes an empty folder and returns the command line of its Python, or
says (`Cannot`) why there is none here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from maml_edu import places

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
BASE = Path(sys.base_prefix)
CARRIED = ("course", "notebooks", "exercises", "solutions")
NEEDED = Path(sysconfig.get_path("purelib"))


class Cannot(Exception):
    """This kind cannot be made on this machine; says why."""


def wheel_into(folder: Path) -> None:
    """What `pip install` of the wheel leaves in a folder of packages."""
    package = Path(places.__file__).parent
    no_bytes = shutil.ignore_patterns("__pycache__", "my_work", "_course")
    shutil.copytree(package, folder / "maml_edu", ignore=no_bytes)
    for name in CARRIED:
        shutil.copytree(
            places.course_root() / name, folder / "maml_edu" / "_course" / name, ignore=no_bytes
        )
    (folder / "needed.pth").write_text(f"{NEEDED}\n")


def environment_of(python: str, folder: Path) -> list[str]:
    """A virtual environment with the wheel in it."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    wheel_into(folder / "lib" / VERSION / "site-packages")
    return [str(folder / "bin" / "python")]


# ------------------------------------------------------------------ the kinds


def clone(folder: Path) -> list[str]:
    return ["env", f"PYTHONPATH={places.course_root()}", sys.executable]


def venv(folder: Path) -> list[str]:
    command = environment_of(str(BASE / "bin" / VERSION), folder / "venv")
    if not (folder / "venv" / "lib64").exists():  # as on Fedora, and on Debian's 64 bits
        (folder / "venv" / "lib64").symlink_to("lib")
    return command


def venv_by_links(folder: Path) -> list[str]:
    """By way of two links, as where homes lie on another disk, and with lib64 a second folder of the same."""
    real = folder / "disk" / "home" / "prof"
    real.parent.mkdir(parents=True)
    (folder / "home").symlink_to("disk/home")
    environment_of(str(BASE / "bin" / VERSION), real)
    (folder / "venv").symlink_to(folder / "home" / "prof")
    return [str(folder / "venv" / "bin" / "python")]


def venv_in_a_clone(folder: Path) -> list[str]:
    """`python -m venv .` in a clone: its folder is the folder of the solutions."""
    root = folder / "clone"
    no_bytes = shutil.ignore_patterns("__pycache__", ".git", ".venv", ".*")
    root.mkdir()
    for name in ("maml_edu", "tests", *CARRIED):
        shutil.copytree(places.course_root() / name, root / name, ignore=no_bytes)
    shutil.copy(places.course_root() / "pyproject.toml", root)
    subprocess.run([str(BASE / "bin" / VERSION), "-m", "venv", "--without-pip", root], check=True)
    packages = root / "lib" / VERSION / "site-packages"
    (packages / "needed.pth").write_text(f"{root}\n{NEEDED}\n")
    return [str(root / "bin" / "python")]


def user(folder: Path) -> list[str]:
    """`pip install --user`."""
    wheel_into(folder / "lib" / VERSION / "site-packages")
    return ["env", f"PYTHONUSERBASE={folder}", str(BASE / "bin" / VERSION)]


def copied_python(folder: Path, packages: str) -> list[str]:
    """A Python of its own at a folder, the wheel in its folder of packages."""
    (folder / "bin").mkdir(parents=True)
    shutil.copy(BASE / "bin" / VERSION, folder / "bin" / VERSION)
    left_out = shutil.ignore_patterns(
        "test", "site-packages", "__pycache__", "idlelib", "ensurepip", "config-*"
    )
    shutil.copytree(BASE / "lib" / VERSION, folder / "lib" / VERSION, ignore=left_out)
    for library in (BASE / "lib").glob("libpython*"):
        shutil.copy(library, folder / "lib")
    wheel_into(folder / packages)
    return ["env", f"LD_LIBRARY_PATH={folder / 'lib'}", str(folder / "bin" / VERSION)]


def conda(folder: Path) -> list[str]:
    """PREFIX/lib/python3.x and no lib64, Python itself in it."""
    return copied_python(folder / "envs" / "maml", f"lib/{VERSION}/site-packages")


def debian(folder: Path) -> list[str]:
    """The system's Python and /usr/local/lib/python3.x/dist-packages, in a view of the file system in which
    that folder is ours."""
    python = system_python()
    if os.geteuid() != 0:
        raise Cannot("only root can put packages there")
    target = Path("/usr/local/lib", VERSION, "dist-packages")
    if not target.is_dir():
        raise Cannot(f"there is no {target}")
    wheel_into(folder / "dist-packages")
    script = f"mount --bind '{folder / 'dist-packages'}' {target} && exec \"$@\""
    inner = ["sh", "-c", script, "sh", python]
    return ["unshare", "--mount", "--propagation", "private", *inner]


def gradescope(folder: Path) -> list[str]:
    """What setup.sh of the bundle makes: an environment of the system's Python."""
    return environment_of(system_python(), folder / "autograder" / "venv")


def system_python() -> str:
    found = f"/usr/bin/{VERSION}"
    if not os.path.exists(found):
        raise Cannot(f"there is no {found}")
    return found


def two(folder: Path) -> list[str]:
    """A clone, in an environment with an older wheel."""
    command = environment_of(str(BASE / "bin" / VERSION), folder / "venv")
    return ["env", f"PYTHONPATH={places.course_root()}", *command]


def all_kinds():
    return [clone, venv, venv_by_links, venv_in_a_clone, user, conda, debian, gradescope, two]
