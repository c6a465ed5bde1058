"""Feedback as a zip that a learning system hands to its students: `moodle` and `canvas`.

Moodle's "Upload multiple feedback files in a zip" knows everybody by the number in a folder's name, Canvas's
"Re-upload submissions" by the name of the file that was handed in. Both are what the download said; where
it is not known, or could be another's, the feedback stays out of the zip, and a line says whose.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from maml_edu.atomic import replacing

from ..marks import Built
from ..pages import feedback
from ..results import Result
from . import who
from .moodle_columns import participants_of
from .tables import Sheet
from .who import HandIn, Known


def moodle(
    built: Built, root: Path, known: Known, path: Path, worksheet: Path | None = None
) -> list[str]:
    """A folder NAME_NUMBER_assignsubmission_file_ for each student, their page and notebook in it.

    worksheet: Moodle's grading worksheet of the assignment, which knows the numbers of those whose
    download did not.
    """
    students = [result.student for result in built.results]
    numbers = {s: next(iter(sorted(known.numbers(s, "moodle"))), "") for s in students}
    lacking = [student for student in students if not numbers[student]]
    numbers |= {student: who.number_in(student) for student in lacking}
    why = {}
    if worksheet is not None:
        told, why = _numbers_in(worksheet, students, known)
        numbers = {s: numbers[s] if s not in lacking else told.get(s, "") for s in students}
    twice = Counter(number for number in numbers.values() if number)
    files: dict[str, bytes] = {}
    left: dict[str, str] = {}
    for result in built.results:
        student, number = result.student, numbers[result.student]
        if not number:
            left[student] = why.get(student, "Moodle's number of the participant is not known")
        elif twice[number] > 1:
            left[student] = f"more than one student has the participant's number {number}"
        else:
            folder = f"{_plain(known.name(student))}_{number}_assignsubmission_file_"
            files |= {f"{folder}/{name}": data for name, data in _written(root, result).items()}
            if f"{folder}/{result.chapter}.html" not in files:
                left[student] = "its page of feedback is not there"
    return _zip(
        path, files, left, "Moodle: Grading actions, Upload multiple feedback files in a zip."
    )


def _numbers_in(worksheet, students, known):
    """(student → the number that a worksheet has, student → why none is certain)."""
    sheet = Sheet.of(worksheet)
    own = participants_of(sheet, worksheet)
    rows = [i for i in range(1, len(sheet.cells)) if sheet.value(i, own).strip()]
    look = who.Look("moodle", own, range(len(sheet.header)), rows)
    found = who.find(students, sheet, look, known)
    numbers = {
        s: re.search(r"\d*$", sheet.value(row, own).strip()) for s, row in found.rows.items()
    }
    return {student: number[0] for student, number in numbers.items() if number}, found.why


def _plain(text):
    """A name in a folder's: without what ends a part of it, or what a file system does not take."""
    return " ".join(re.sub(r'[\\/:*?"<>|_\x00-\x1f\x7f]+', " ", text).split())[:100] or "student"


def _written(root, result) -> dict[str, bytes]:
    """The files of a student's feedback that are there."""
    folder = root / "feedback" / result.student / result.chapter
    paths = [folder / f"{result.chapter}{ending}" for ending in (".html", ".ipynb")]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def canvas(built: Built, root: Path, known: Known, path: Path) -> list[str]:
    """Each student's notebook with the feedback in it, under the name of the file they handed in.

    Canvas shows the file under that name, whatever is in it: so only a notebook can come back as one.
    """
    files: dict[str, bytes] = {}
    left: dict[str, str] = {}
    for result in built.results:
        name = _original(result, known.handed_in)
        if not name:
            left[result.student] = "how Canvas called the file is not known"
        elif not re.search(r"_\d+_\d+_", name):
            left[result.student] = f"Canvas's numbers are not in the name {name}"
        elif not name.lower().endswith(".ipynb"):
            left[result.student] = f"Canvas would call the feedback {name}, which it is not"
        elif name in files:
            left[result.student] = f"more than one student has handed in {name}"
        else:
            files[name] = _notebook(root, result, built)
    return _zip(path, files, left, "Canvas: Assignment, Re-upload submissions.")


def _original(result: Result, handed_in: Mapping[str, HandIn]) -> str:
    """How the system called the file that was graded; the one notebook where only one can be meant."""
    said = handed_in.get(result.student)
    if said is None:
        return ""
    graded = [
        n for n, digest in zip(said.files, said.sha256, strict=False) if digest == result.sha256
    ]
    notebooks = [name for name in said.files if name.lower().endswith(".ipynb")]
    names = (graded if result.sha256 else []) or notebooks or list(said.files)
    return Path(names[0]).name if names else ""


def _notebook(root, result, built) -> bytes:
    there = _written(root, result).get(f"{result.chapter}.ipynb")
    made = feedback.in_notebook(result, [], built.by_hand)
    return there or (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()


def _zip(path, files, left, where) -> list[str]:
    """Write the zip: the same bytes for the same files. Raises ValueError when there is nothing for it."""
    lines = [f"left out: {student}: {why}" for student, why in sorted(left.items())]
    if not files:
        raise ValueError("\n".join(["there is nobody's feedback to be put into the zip.", *lines]))
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    whose = len({name.split("/")[0] for name in files})
    return [f"{path}: the feedback of {whose} students. {where}", *lines]
