"""A teacher's folder: made once (`new`), handed out from (`release`), and where all in it lies (`Classroom`).

It is an nbgrader course folder, so nbgrader's own tools work in it, and beside their folders it has

    seed            the secret that hidden inputs are drawn from; never handed out
    source/         CHAPTER/CHAPTER.ipynb, what is asked (`tasks`); change it, and add chapters of your own
    private/        CHAPTER.py, further checks, and the checks of your own exercises
    results/        CHAPTER/STUDENT.json, what grading found out: the only record
    marks/          by_hand.csv, which you fill in, and marks.db, made from all that
    exports/        what other systems are given
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from maml_edu import places
from maml_edu.atomic import replacing

from . import tasks
from .many import How, Job
from .submission import printable
from .tasks import Task, with_exercises

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
`#` away, or delete this file. An exercise of your own, with its cells: maml-edu classroom exercise NAME
--chapter {chapter}. All are tried on the model answers of source/ before anybody is graded by them.
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
    def source(self) -> Path:
        return self.root / "source"

    @property
    def private(self) -> Path:
        return self.root / "private"

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
        return How(self.results, self.secret, sandbox, self.private, source=self.source)

    @property
    def chapters(self) -> list[str]:
        """The chapters that can be asked here: the course's, then those of this class alone."""
        return [*with_exercises(), *tasks.own_chapters(self.source)]

    def task(self, chapter: str) -> Task:
        """What is asked in a chapter here. Raises ValueError where files of the class contradict each other."""
        return tasks.task_of(chapter, self.source, self.private)

    def chapter_named(self, name: str) -> str:
        """The chapter that a number or a name means, here. Raises ValueError."""
        return chapter_named(name, self.chapters)

    def jobs(self, chapters: list[str] | None = None) -> list[Job]:
        """Every submission that is there, of these chapters, by chapter and student."""
        known = chapters or self.chapters
        found = [
            Job(student.name, chapter, student / chapter)
            for student in folders(self.root / "submitted")
            for chapter in known
            if os.path.lexists(student / chapter)
        ]
        return sorted(found, key=lambda job: (job.chapter, job.student))

    def strangers(self) -> list[str]:
        """What lies in submitted/ and is no submission, with why."""
        submitted, chapters = self.root / "submitted", self.chapters
        lines = []
        for entry in entries(submitted):
            if not entry.is_dir(follow_symlinks=False):
                lines.append(f"submitted/{entry.name}: not a student's folder")
                continue
            try:
                lines += [
                    f"submitted/{entry.name}/{own.name}: not a chapter's folder"
                    for own in entries(Path(entry.path))
                    if own.name not in chapters
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


def chapter_named(name: str, known: list[str] | None = None) -> str:
    """The chapter folder that a number or a name means, of those that have exercises."""
    known = known or with_exercises()
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
        add_chapter(Classroom(root), chapter)
    return Classroom(root)


def add_chapter(classroom: Classroom, chapter: str) -> None:
    """Put the course's notebook of a chapter into source/, and an empty file of checks into private/."""
    source = places.course_root() / "solutions" / f"{chapter}.ipynb"
    target = classroom.source / chapter / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    private = classroom.private / f"{chapter}.py"
    if not private.exists():
        exercise = f"{tasks.prefix_of(chapter)}.name_of_an_exercise"
        write(private, PRIVATE.format(chapter=chapter, exercise=exercise))


def write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def release(classroom: Classroom, chapters: list[str] | None = None) -> list[Path]:
    """Make what students get, by nbgrader: no solutions, no hidden tests, no dead links. Returns the notebooks.

    Raises ValueError, before anything is written, where source/ and private/ contradict each other, and where
    a check rejects the model answer of its own exercise;
    RuntimeError when nbgrader fails, or leaves anything in that must not get out.
    """
    from . import model_answers
    from .exports import nbgrader
    from .sandbox import box

    written = []
    chapters = chapters or [f.name for f in folders(classroom.source)]
    _refuse_contradictions(classroom, chapters)
    # without a sandbox, too: a model answer is the teacher's own
    model_answers.try_all(chapters, classroom.how(sandbox=not box.probe()))
    with nbgrader.api(classroom.root) as api:
        for chapter in chapters:
            done = api.generate_assignment(chapter, force=True)
            if not done["success"]:
                said = (done.get("error") or done.get("log") or "").strip().splitlines()
                told = [line for line in said if "Error" in line or "error:" in line] or said
                raise RuntimeError(f"nbgrader could not make {chapter}: {' '.join(told[-1:])}")
            made = classroom.root / "release" / chapter
            _refuse_secrets(made, classroom.secret)
            _mend_links(made / f"{chapter}.ipynb")
            written.append(made / f"{chapter}.ipynb")
    return written


def _refuse_contradictions(classroom: Classroom, chapters: list[str]) -> None:
    """Raise ValueError where what would be handed out is not what would be graded."""
    tasks.refuse_twins(chapters, classroom.source)
    lines: list[str] = []
    for chapter in chapters:
        path = tasks.notebook_of(chapter, classroom.source)
        if path is None:  # a class that began with fewer chapters
            add_chapter(classroom, chapter)
            path = classroom.source / chapter / f"{chapter}.ipynb"
        classroom.task(chapter)
        lines += tasks.contradicting_texts(path)
    if lines:
        raise ValueError("\n".join(lines))


def _mend_links(path: Path) -> None:
    """Links to the course's own notebooks become words: in a class they lead nowhere."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = tasks.without_dead_links("".join(cell["source"]))
    write(path, json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")


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
