"""What students have handed in elsewhere comes into a class folder: `collect`."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from maml_edu.atomic import replacing

from .classroom import Classroom, entries
from .submission import ENDING, Rejected, plain_name, printable


@dataclass(frozen=True)
class Found:
    """A submission in a download: what a student is called there, their number, and their notebooks."""

    name: str
    number: str
    notebooks: list[Path]


def collect(classroom: Classroom, folder: Path, chapter: str) -> tuple[list[str], list[str]]:
    """Copy a downloaded folder into submitted/: (students copied, what was left out and why).

    Per student either a folder with the notebook in it, named after them (Moodle's
    "Name_123_assignsubmission_file" too), or a file "student_….ipynb" (Canvas's with its number). Two of
    one name keep the system's numbers. What is there already is replaced when the new file is newer;
    links are not followed.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: unpack what you downloaded, and name that.")
    found: list[Found] = []
    left: list[str] = []
    for entry in entries(folder):
        try:
            found.append(submission_in(entry, chapter))
        except (Rejected, OSError) as error:
            left.append(f"{entry.name}: {getattr(error, 'strerror', None) or error}")
        except UnicodeError:
            left.append(f"{entry.name}: its name is no text; give it another")
    names = Counter(own.name for own in found)
    copied = []
    for own in found:
        twice = names[own.name] > 1
        student = f"{own.name}_{own.number}" if own.number and twice else own.name
        if twice and not own.number:
            left.append(f"{own.name}: more than one of that name")
            continue
        try:
            left += [
                f"{student}: {why}" for why in _take(classroom, student, chapter, own.notebooks)
            ]
            copied.append(student)
        except OSError as error:
            left.append(f"{student}: {error.strerror}")
    return sorted(copied), [printable(line) for line in left]


MOODLE = re.compile(r"(.+?)_(\d+)_assignsubmission_\w+?_?$")
CANVAS = re.compile(r"([^_]+)_(?:LATE_)?(\d+)_(\d+)_.+")


def submission_in(entry: os.DirEntry[str], chapter: str) -> Found:
    """The submission that an entry of a download is. Raises Rejected, OSError."""
    entry.name.encode()
    if entry.is_symlink():
        raise Rejected("a link")
    if entry.is_dir():
        moodle = MOODLE.match(entry.name)
        name, number = moodle.groups() if moodle else (entry.name, "")
        return Found(name.strip(), number, _notebooks_in(Path(entry.path), chapter))
    if not ENDING.search(entry.name):
        raise Rejected("no notebook")
    if canvas := CANVAS.match(entry.name):
        return Found(f"{canvas[1]}_{canvas[2]}", canvas[3], [Path(entry.path)])
    name, mark, _ = entry.name.partition("_")
    if not mark or plain_name(entry.name) == plain_name(chapter) or name == chapter[:2]:
        raise Rejected("the file does not begin with a student's name")
    return Found(name.strip(), "", [Path(entry.path)])


def _notebooks_in(folder: Path, chapter: str) -> list[Path]:
    """The notebooks of a student's folder, or of the folder of this chapter in it. Raises Rejected."""
    inner = folder / chapter
    folder = inner if inner.is_dir() and not inner.is_symlink() else folder
    files = [entry for entry in entries(folder) if entry.is_file(follow_symlinks=False)]
    notebooks = [Path(entry.path) for entry in files if ENDING.search(entry.name)]
    if not notebooks:
        held = ", ".join(entry.name for entry in entries(folder)[:5]) or "nothing"
        raise Rejected(f"no notebook in that folder, but {held}")
    return notebooks


def _take(classroom, student, chapter, notebooks) -> list[str]:
    """Copy a student's notebooks, under the name that nbgrader expects where it can only be this one."""
    folder = classroom.root / "submitted" / student / chapter
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for path in notebooks:
        usual = plain_name(path.name).endswith(plain_name(chapter)) and len(notebooks) == 1
        target = folder / (f"{chapter}.ipynb" if usual else path.name)
        about = path.stat()
        if target.is_file() and target.stat().st_mtime > about.st_mtime:
            kept.append("what is in submitted/ is newer, and stays")
            continue
        with open(path, "rb") as source, replacing(target) as file:
            shutil.copyfileobj(source, file)
        os.utime(target, (about.st_atime, about.st_mtime))
    return kept
