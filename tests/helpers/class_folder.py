"""A class folder as collecting and grading leave it: roster, hand-ins, results, without running anything."""

import json

import graded
from graded import CHAPTER

from maml_edu.grading import results, signed
from maml_edu.grading.classroom import Classroom, write
from maml_edu.grading.exports import tables

ROSTER = [
    "key",
    "name",
    "email",
    "login",
    "number",
    "canvas",
    "moodle",
    "blackboard",
    "group",
    "section",
]


def folder(root):
    """An empty class folder."""
    write(root / "seed", "secret\n")
    write(root / "nbgrader_config.py", "c = get_config()  # noqa\n")
    for name in ("submitted", "results", "marks", "exports", "source", "private"):
        (root / name).mkdir(exist_ok=True)
    return Classroom(root)


def roster(root, *people):
    """students.csv: a dict a person."""
    rows = [[person.get(column, "") for column in ROSTER] for person in people]
    tables.write(root / "students.csv", ROSTER, rows)


def hand_in(root, result, numbers=None, files=(), when="2026-11-28T11:01:00+00:00", **said):
    """One graded submission, with what the download said."""
    place = root / "submitted" / result.student / result.chapter
    write(place / f"{result.chapter}.ipynb", json.dumps(notebook()))
    if when:
        write(place / "timestamp.txt", when)
    if numbers is not None:
        said |= {"numbers": numbers, "files": list(files), "time": when}
        signed.write(place, said | {"student": result.student, "chapter": result.chapter})
    results.save(root / "results", result)


def notebook(answer="def meta_slope(theta):\n    return theta"):
    """What they handed in: one answer, and an essay with a tag in it."""
    about = {"nbgrader": {"grade_id": graded.WRITTEN, "solution": True, "grade": True, "points": 2}}
    code = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": answer,
    }
    text = {
        "cell_type": "markdown",
        "metadata": about,
        "source": "<script>alert(1)</script> $a<b$ so",
    }
    return {"cells": [code, text], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


__all__ = ["CHAPTER", "folder", "hand_in", "notebook", "roster"]
