"""What goes back when a class is graded: a page and a notebook to each student, two pages to the teacher.

Start from `marks_of`; `write_feedback` and `write_reports` write files into the class folder.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from . import answers, hand_ins, marks, people
from .classroom import Classroom, write
from .pages import feedback, report, written
from .results import Result
from .submission import Rejected, find, read

# What nbgrader's release_feedback wants beside a page: when it was handed in, and a secret that its author has.
OF_THE_EXCHANGE = ("timestamp.txt", "submission_secret.txt")


def marks_of(classroom: Classroom, chapters: list[str]) -> marks.Built:
    """Marks and results of these chapters (all). Raises ValueError where nothing has been graded."""
    built = marks.collect(classroom.results, classroom.by_hand)
    of = [result for result in built.results if not chapters or result.chapter in chapters]
    if not of:
        raise ValueError(f"nothing is graded yet in {classroom.root}: maml-edu classroom grade.")
    names = {(result.chapter, result.student) for result in of}
    own = [mark for mark in built.marks if (mark.chapter, mark.student) in names]
    handed_in = classroom.jobs(chapters or None)
    late = [job for job in handed_in if (job.chapter, job.student) not in names]
    problems = [
        *built.problems,
        *([f"{len(late)} submissions are not graded yet."] if late else []),
    ]
    return marks.Built(own, of, built.by_hand, problems)


# ------------------------------------------------------------------ to each student


def write_feedback(classroom: Classroom, built: marks.Built) -> list[Path]:
    """A page and a notebook for every submission, in feedback/STUDENT/CHAPTER/; the pages."""
    own = {(mark.chapter, mark.student): mark for mark in built.marks}
    return [
        _write_feedback(classroom, result, built.by_hand, own[result.chapter, result.student])
        for result in built.results
    ]


def _write_feedback(classroom: Classroom, result: Result, by_hand, mark: marks.Mark) -> Path:
    folder = classroom.root / "feedback" / result.student / result.chapter
    handed_in = classroom.root / "submitted" / result.student / result.chapter
    try:
        path, _ = find(handed_in, result.chapter, result.asked)
        own = read(path)
    except Rejected:  # the page says so; there is nothing of theirs to show
        own = None
    if own and result.sha256 and own.sha256 != result.sha256:
        own = None  # handed in since: what was graded is not this
        result = replace(
            result,
            notes=[
                *result.notes,
                "another notebook was handed in since; this is on the one before",
            ],
        )
    cells = own.cells if own else []
    page = folder / f"{result.chapter}.html"
    write(page, feedback.page(result, cells, by_hand, mark))
    if own:
        made = feedback.in_notebook(result, cells, by_hand, mark)
        write(page.with_suffix(".ipynb"), json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    for name in OF_THE_EXCHANGE:
        if (handed_in / name).is_file() and not (handed_in / name).is_symlink():
            with open(handed_in / name, encoding="utf-8", errors="replace") as file:
                write(folder / name, file.read(1000))
    return page


# ------------------------------------------------------------------ to the teacher


def write_reports(classroom: Classroom, built: marks.Built) -> list[Path]:
    """Two pages a chapter for the teacher, in exports/: how the class did, and the written answers."""
    paths = []
    for chapter in sorted({result.chapter for result in built.results}):
        of = [result for result in built.results if result.chapter == chapter]
        own = [m for m in built.marks if m.chapter == chapter]
        page = report.page(of, own, {chapter: about(classroom, chapter, of)})
        for name, text in (
            ("report", page),
            ("written", written.page(classroom.root, chapter, of, built.by_hand)),
        ):
            paths.append(classroom.root / "exports" / f"{name}_{chapter}.html")
            write(paths[-1], text)
    return paths


def about(classroom: Classroom, chapter: str, graded: list[Result]) -> report.About:
    """What a report says beside the results: equal answers, what was left out, who handed in nothing."""
    root = classroom.root
    left = {one.what: one.why for one in people.left_out(root, chapter)}  # the last word on each
    absent = hand_ins.missing(root, people.Roster.of(root), chapter)
    return report.About(answers.alike(root, graded), sorted(left.items()), absent)
