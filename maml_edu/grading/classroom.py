"""A teacher's folder: made once (`new`), handed out from (`release`), and where all in it lies (`Classroom`).

It is an nbgrader course folder, so nbgrader's own tools work in it, and beside their folders it has

    seed            the secret that hidden inputs are drawn from; never handed out
    private/        further checks, one file a chapter, if you like
    results/        CHAPTER/STUDENT.json, what grading found out: the only record
    marks/          by_hand.csv, which you fill in, and marks.db, made from all that
    exports/        what other systems are given
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from maml_edu import places
from maml_edu.atomic import replacing

from .judge import with_exercises
from .many import How, Job
from .submission import printable

CONFIG = """# nbgrader's settings for this folder; its own commands (formgrader, exchange) work here.
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {name!r}
c.CourseDirectory.root = {root}
"""
ROOT = "__import__('pathlib').Path(__file__).resolve().parent.as_posix()"
IGNORED = "seed\nprivate/\nstudents.csv\npolicy.toml\nsubmitted/\nearlier/\nresults/\nmarks/\nfeedback/\nexports/\n"
IGNORED += "autograded/\nleft_out.csv\n.collecting*\n*.db\n"
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
        """Every submission that is there, of these chapters, by chapter and student."""
        known = chapters or with_exercises()
        found = [
            Job(student.name, chapter, student / chapter)
            for student in folders(self.root / "submitted")
            for chapter in known
            if os.path.lexists(student / chapter)
        ]
        return sorted(found, key=lambda job: (job.chapter, job.student))

    def strangers(self) -> list[str]:
        """What lies in submitted/ and is no submission, with why."""
        submitted = self.root / "submitted"
        lines = []
        for entry in entries(submitted):
            if not entry.is_dir(follow_symlinks=False):
                lines.append(f"submitted/{entry.name}: not a student's folder")
                continue
            try:
                lines += [
                    f"submitted/{entry.name}/{own.name}: not a chapter's folder"
                    for own in entries(Path(entry.path))
                    if own.name not in with_exercises()
                ]
            except OSError as error:
                lines.append(f"submitted/{entry.name}: {error.strerror}")
        return [printable(line) for line in lines]


def entries(path: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, hidden things left out, by name."""
    found = list(os.scandir(path)) if path.is_dir() else []
    return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)


def folders(path: Path) -> list[Path]:
    """The folders in a folder, links and hidden ones left out."""
    return [Path(e.path) for e in entries(path) if e.is_dir(follow_symlinks=False)]


def find(path: Path | None = None) -> Classroom:
    """The class folder at `path`; by default here, or above. Raises ValueError where there is none."""
    start = (path or Path.cwd()).expanduser().absolute()
    for folder in (start,) if path else (start, *start.parents):
        if (folder / "seed").is_file() and (folder / "nbgrader_config.py").is_file():
            return Classroom(folder)
    raise ValueError(
        f"{start} is no class folder (with a seed and an nbgrader_config.py): make one with "
        "maml-edu classroom new DIR, or name the one that you have; to grade your own work, name its notebooks."
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
    root.chmod(0o700)  # what is handed in, marks and the seed are nobody else's business
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
    from .exports import nbgrader

    written = []
    with nbgrader.api(classroom.root) as api:
        for chapter in chapters or [f.name for f in folders(classroom.root / "source")]:
            done = api.generate_assignment(chapter, force=True)
            if not done["success"]:
                said = (done.get("error") or done.get("log") or "").strip().splitlines()
                told = [line for line in said if "Error" in line or "error:" in line] or said
                raise RuntimeError(f"nbgrader could not make {chapter}: {' '.join(told[-1:])}")
            made = classroom.root / "release" / chapter
            _refuse_secrets(made, classroom.secret)
            written.append(made / f"{chapter}.ipynb")
    return written


def _refuse_secrets(folder: Path, seed: str) -> None:
    """Delete a folder that is to be handed out, and raise RuntimeError, when it gives something away."""
    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        content = path.read_bytes()
        for word in ("BEGIN SOLUTION", "HIDDEN TESTS", "hidden=True", seed):
            if word.encode() in content:
                shutil.rmtree(folder)
                what = "your seed" if word == seed else repr(word)
                raise RuntimeError(
                    f"{folder} held {what}, in {path.name}, and was deleted: look at its source."
                )
