"""A teacher's folder: made once (`new`), handed out from (`release`), filled (`collect`), graded.

It is an nbgrader course folder, so nbgrader's own tools work in it, and beside their folders it has

    seed            the secret that hidden inputs are drawn from; never handed out
    private/        further checks, one file a chapter, if you like
    results/        CHAPTER/STUDENT.json, what grading found out: the only record
    marks/          by_hand.csv, which you fill in, and marks.db, made from all that
    exports/        what other systems are given
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maml_edu import places
from maml_edu.atomic import replacing

from .judge import with_exercises
from .many import How, Job
from .submission import plain_name

CONFIG = """# nbgrader's settings for this folder; its own commands (formgrader, exchange) work here.
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {name!r}
c.CourseDirectory.root = {root}
"""
ROOT = "__import__('pathlib').Path(__file__).resolve().parent.as_posix()"
IGNORED = "seed\nprivate/\nsubmitted/\nresults/\nmarks/\nfeedback/\nexports/\nautograded/\n*.db\n"
PRIVATE = '''"""Further checks of chapter {chapter}: an answer must content the course's own and these.

`also` adds a check to an exercise; see `course/{chapter}/checks.py` for how they are written. Take the
`#` away, or delete this file.
"""

# from maml_edu.checks.exercise import also, draw, expect
#
#
# @also("{exercise}")
# def with_other_inputs(answer, rng):
#     for value in draw(rng, value=(10.0, 20.0)):
#         expect(answer(value), 2 * value)
'''


@dataclass(frozen=True)
class Classroom:
    """A class folder and the places in it."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def by_hand(self) -> Path:
        return self.root / "marks" / "by_hand.csv"

    @property
    def database(self) -> Path:
        return self.root / "marks" / "marks.db"

    @property
    def secret(self) -> str:
        """The teacher's seed. Raises ValueError for an empty one."""
        text = (self.root / "seed").read_text(encoding="utf-8").strip()
        if not text:
            raise ValueError(f"{self.root / 'seed'} is empty: put any secret text there.")
        return text

    def how(self, sandbox: bool = True) -> How:
        """How submissions of this class are graded."""
        return How(self.results, self.secret, sandbox, self.root / "private")

    def jobs(self, chapters: list[str] | None = None) -> list[Job]:
        """Every submission that is there, of these chapters, by student."""
        return sorted(self._jobs(chapters), key=lambda job: (job.chapter, job.student))

    def _jobs(self, chapters) -> Iterator[Job]:
        known = chapters or with_exercises()
        for student in folders(self.root / "submitted"):
            for chapter in known:
                path = student / chapter
                if path.is_dir() or path.is_symlink():
                    yield Job(student.name, chapter, path)


def folders(path: Path) -> list[Path]:
    """The folders in a folder, links and hidden ones left out."""
    if not path.is_dir():
        return []
    found = [entry for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    return sorted(Path(entry.path) for entry in found if not entry.name.startswith("."))


def find(path: Path | None = None) -> Classroom:
    """The class folder at `path`; by default here, or above. Raises ValueError where there is none."""
    start = (path or Path.cwd()).expanduser().absolute()
    for folder in (start,) if path else (start, *start.parents):
        if (folder / "seed").is_file() and (folder / "nbgrader_config.py").is_file():
            return Classroom(folder)
    raise ValueError(
        f"{start} is no class folder (with a seed and an nbgrader_config.py): make one with "
        "maml-edu classroom new DIR, or say where it is with --class DIR."
    )


def chapter_named(name: str) -> str:
    """The chapter folder that a number or a name means, of those that have exercises."""
    known = with_exercises()
    found = [chapter for chapter in known if name in (chapter, chapter.split("_")[0])]
    if not found:
        raise ValueError(f"no chapter {name!r} has exercises; there are {', '.join(known)}.")
    return found[0]


# ------------------------------------------------------------------ new and release


def new(path: Path, name: str | None = None, chapters: list[str] | None = None) -> Classroom:
    """Make a class folder with the sources of these chapters (all). Raises ValueError if it is in use."""
    root = path.expanduser().absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ValueError(f"{root} is there already and not empty: name a new folder.")
    for folder in ("source", "release", "submitted", "private", "results", "marks", "exports"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    seed = os.open(root / "seed", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(seed, "w") as file:
        file.write(secrets.token_hex(16) + "\n")
    course = re.sub(r"\W+", "_", name or root.name)
    write(root / "nbgrader_config.py", CONFIG.format(name=course, root=ROOT))
    write(root / ".gitignore", IGNORED)
    for chapter in chapters or with_exercises():
        source = places.course_root() / "solutions" / f"{chapter}.ipynb"
        target = root / "source" / chapter / source.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
        exercise = f"{chapter[:2]}.name_of_an_exercise"
        write(
            root / "private" / f"{chapter}.py", PRIVATE.format(chapter=chapter, exercise=exercise)
        )
    return Classroom(root)


def write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def release(classroom: Classroom, chapters: list[str] | None = None) -> list[Path]:
    """Make what students get, by nbgrader: no solutions, no hidden tests. Returns the notebooks.

    Raises RuntimeError when nbgrader fails, or leaves anything in that must not get out.
    """
    written = []
    with _nbgrader(classroom) as api:
        for chapter in chapters or [f.name for f in folders(classroom.root / "source")]:
            done = api.generate_assignment(chapter, force=True)
            if not done["success"]:
                last = (done.get("error") or done.get("log") or "").strip().splitlines()[-1:]
                raise RuntimeError(f"nbgrader could not make {chapter}: {' '.join(last)}")
            made = classroom.root / "release" / chapter / f"{chapter}.ipynb"
            text = made.read_text(encoding="utf-8")
            for word in ("BEGIN SOLUTION", "HIDDEN TESTS", "hidden=True", classroom.secret):
                if word in text:
                    made.unlink()
                    raise RuntimeError(f"{made} held {word!r} and was deleted: look at its source.")
            written.append(made)
    return written


@contextlib.contextmanager
def _nbgrader(classroom: Classroom):
    """nbgrader's API for a class folder. It runs `alembic` by name, so our own bin must be on PATH."""
    try:
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config
    except ImportError as error:
        raise ImportError("a class needs nbgrader: pip install 'maml_edu[teach]'") from error
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    config = Config()
    config.CourseDirectory.root = str(classroom.root)
    config.Application.log_level = "ERROR"
    try:
        yield NbGraderAPI(config=config)
    finally:
        os.environ["PATH"] = before


# ------------------------------------------------------------------ collect


def collect(classroom: Classroom, folder: Path, chapter: str) -> tuple[list[str], list[str]]:
    """Copy a downloaded folder into submitted/: (students copied, what was left out and why).

    Per student either a folder with the notebook in it, named after them (Moodle's
    "Name_123_assignsubmission_file" too), or a file "student_….ipynb" (Canvas). A submission that is
    there already is replaced when the new file is newer; files are copied, links are not followed.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: unpack what you downloaded, and name that.")
    copied, left = [], []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        student = student_of(entry.name, entry.is_dir(follow_symlinks=False))
        if entry.is_symlink() or not student:
            left.append(
                f"{entry.name}: {'a link' if entry.is_symlink() else 'no name of a student'}"
            )
        elif entry.is_dir():
            copied += _take_all(classroom, student, chapter, Path(entry.path))
        elif entry.name.lower().endswith(".ipynb"):
            copied += _take(classroom, student, chapter, Path(entry.path))
        else:
            left.append(f"{entry.name}: no notebook")
    return sorted(set(copied)), left


def student_of(name: str, is_folder: bool) -> str:
    """Whose submission a folder or a file is, by its name."""
    if is_folder:
        return re.sub(r"_\d+_assignsubmission_\w+_?$", "", name).strip()
    first, mark, _ = name.partition("_")
    return first.strip() if mark else ""


def _take_all(classroom, student, chapter, folder):
    """Copy the notebooks of a student's folder (or of its folder of this chapter)."""
    inner = folder / chapter
    folder = inner if inner.is_dir() and not inner.is_symlink() else folder
    found = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    notebooks = [entry for entry in found if entry.name.lower().endswith(".ipynb")]
    return [s for entry in notebooks for s in _take(classroom, student, chapter, Path(entry.path))]


def _take(classroom, student, chapter, path):
    """Copy one notebook, under the name that nbgrader expects where it can only be this one."""
    folder = classroom.root / "submitted" / student / chapter
    folder.mkdir(parents=True, exist_ok=True)
    usual = plain_name(path.name).endswith(plain_name(chapter))
    target = folder / (f"{chapter}.ipynb" if usual else path.name)
    if target.is_file() and target.stat().st_mtime > path.stat().st_mtime:
        return []
    with open(path, "rb") as source, replacing(target) as file:
        shutil.copyfileobj(source, file)
    times = path.stat()
    os.utime(target, (times.st_atime, times.st_mtime))
    return [student]
