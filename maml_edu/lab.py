"""A learner's working copies, and JupyterLab opened on them.

The course's own notebooks stay as they are: `prepare` copies them into the work folder when
they are not there, and never writes over one that is. `fresh` gives a new copy of one and sets
the old one aside. `launch` starts JupyterLab. Start from `prepare`.
"""

import errno
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

FOLDERS = ("notebooks", "exercises", "solutions")
_CONFIGURATION = Path(__file__).resolve().parent / "jupyter"
_STALE_SECONDS = 3600  # a part file this old was left by a copy that was killed


class LabError(RuntimeError):
    """Something a learner can put right; the message says how."""


def prepare(work: Path, course_root: Path) -> list[Path]:
    """Copy the course's notebooks into `work` where they are missing; return the new copies.

    A notebook that is there is left alone, whatever is in it. Each copy appears whole or not
    at all, even when the process is killed. Raises LabError when the folder cannot be written.
    """
    if not _notebooks(course_root / "notebooks"):
        raise LabError(
            "The course's notebooks have not been built here: run `make notebooks` first."
        )
    copied = []
    try:
        for folder in FOLDERS:
            (work / folder).mkdir(parents=True, exist_ok=True)
            _sweep(work / folder)
            for source in _notebooks(course_root / folder):
                target = work / folder / source.name
                if _copy_new(source, target):
                    copied.append(target)
    except OSError as error:
        raise LabError(_explain(error, work)) from error
    return copied


def fresh(name: str, work: Path, course_root: Path) -> tuple[Path, Path | None]:
    """Give a fresh copy of one notebook: (the copy, where the old one was set aside or None).

    `name` is as in `exercises/04_gradient_of_a_step`; the chapter's number may stand for its
    name, and `.ipynb` may be left out. The learner's old copy is renamed, never deleted.
    """
    source = _find(name, course_root)
    target = work / source.relative_to(course_root)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _finished_part(source, target) as part:  # first, in case the disk is full
            aside = _set_aside(target) if os.path.lexists(target) else None
            _appear(part, target)
    except OSError as error:
        raise LabError(_explain(error, work)) from error
    return target, aside


def on_a_hub() -> bool:
    """Whether this runs on a JupyterHub, where JupyterLab is open already and a second one could not be reached."""
    return bool(os.environ.get("JUPYTERHUB_USER"))


def launch(
    work: Path, port: int | None = None, browser: bool = True, extra=(), teaching: bool = False
) -> int:
    """Run JupyterLab on the work folder until it ends; return its exit code.

    `teaching` shows nbgrader's menus, which a learner has no use for. `extra` are further arguments for JupyterLab
    itself. Where the system can, JupyterLab takes this process's place, so that Ctrl-C and signals reach it and
    nobody else. Not for a JupyterHub: `on_a_hub`.
    """
    line = command(work, port, browser, extra)
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(line[0], line, environment(work, teaching))
    try:
        return subprocess.call(line, env=environment(work, teaching))
    except KeyboardInterrupt:
        return 130


def command(work: Path, port: int | None = None, browser: bool = True, extra=()) -> list[str]:
    """The command line that opens JupyterLab on the course map, for this computer only."""
    line = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={work}"]
    line += ["--ServerApp.ip=127.0.0.1", f"--LabApp.default_url={_first_page(work)}"]
    line.append("-y")  # one Ctrl-C ends it
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        line.append("--allow-root")  # in a container root is the only user
    if port is not None:
        line += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        line.append("--no-browser")
    return [*line, *extra]


def environment(work: Path, teaching: bool = False) -> dict[str, str]:
    """The environment of JupyterLab and its kernels: this Python's programs come first."""
    configured = [
        _CONFIGURATION / "everybody"
    ]  # no question about Jupyter's news, no request for them
    if not teaching:
        configured.append(_CONFIGURATION / "learner")  # without nbgrader's menus
    return {
        **os.environ,
        "PATH": _in_front(Path(sys.executable).parent, "PATH"),
        "JUPYTER_CONFIG_PATH": _in_front(
            os.pathsep.join(map(str, configured)), "JUPYTER_CONFIG_PATH"
        ),
        # A kernel named python3 in the home folder must not hide this environment's own.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MAML_EDU_WORK": str(work),
    }


def _in_front(folders: Path | str, variable: str) -> str:
    """The list of folders in an environment variable, with one or more in front."""
    return os.pathsep.join(filter(None, [str(folders), os.environ.get(variable)]))


def _first_page(work: Path) -> str:
    """JupyterLab's address of the course map: the first lesson."""
    lessons = _notebooks(work / "notebooks")
    return f"/lab/tree/notebooks/{lessons[0].name}" if lessons else "/lab"


def _find(name: str, course_root: Path) -> Path:
    """The one course notebook that `name` means, or a LabError that lists what there is."""
    wanted = Path(name.removesuffix(".ipynb")).parts[-2:]
    everything = [path for folder in FOLDERS for path in _notebooks(course_root / folder)]
    found = [path for path in everything if _means(wanted, path)]
    if len(found) == 1:
        return found[0]
    choices = [f"{path.parent.name}/{path.stem}" for path in found or everything]
    problem = "means more than one notebook" if found else "is no notebook of the course"
    raise LabError(f"{name!r} {problem}. Choose one of:\n  " + "\n  ".join(choices))


def _notebooks(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def _means(wanted: tuple[str, ...], path: Path) -> bool:
    """Does ('exercises', '04') or ('04_gradient_of_a_step',) mean this notebook?"""
    if not wanted or (len(wanted) == 2 and wanted[0] != path.parent.name):
        return False
    return path.stem == wanted[-1] or path.stem.startswith(f"{wanted[-1]}_")


def _copy_new(source: Path, target: Path) -> bool:
    """Copy `source` to `target`, whole or not at all; False when `target` is there already."""
    if os.path.lexists(target):
        return False
    with _finished_part(source, target) as part:
        return _appear(part, target)


@contextmanager
def _finished_part(source: Path, target: Path):
    """A complete copy of `source` beside `target`, under a name that JupyterLab does not show."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _appear(part: Path, target: Path) -> bool:
    """Give a finished file its name in one step; False when somebody else was first."""
    try:
        os.link(part, target)  # unlike a rename, a link never replaces a file
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        if os.path.lexists(target):
            return False
        part.rename(target)  # a file system without links, such as exFAT
    return True


def _set_aside(path: Path) -> Path:
    """Rename `path` to a dated name that is free, and return it."""
    date = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1, 1000):
        again = f"_{number}" if number > 1 else ""
        aside = path.with_name(f"{path.stem}.{date}{again}{path.suffix}")
        if not os.path.lexists(aside):
            path.rename(aside)
            return aside
    raise LabError(f"{path.name} was set aside a thousand times this second; try again.")


def _sweep(folder: Path) -> None:
    """Remove part files that a killed copy left behind."""
    for part in folder.glob(".*.part"):
        if time.time() - part.stat().st_mtime > _STALE_SECONDS:
            part.unlink(missing_ok=True)


def _explain(error: OSError, work: Path) -> str:
    """What a failed copy means for the learner, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk that holds {work} is full, so the notebooks could not all be copied. "
            "Nothing of yours was changed. Free some space, or choose another folder: "
            "maml-edu lab --work FOLDER."
        )
    return (
        f"The notebooks could not be copied into {work}: {error.strerror or error}. Choose a "
        "folder that you may write to: maml-edu lab --work FOLDER."
    )
