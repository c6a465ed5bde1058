"""A teacher's checks and model answers, tried on each other before anybody is graded by them: `try_all`.

The class's notebook is graded as if a student had handed it in. A check that is not content with it would
have been content with nobody, and everybody had lost the points without a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from maml_edu import places
from maml_edu.atomic import replacing
from maml_edu.checks.exercise import Exercise, WrongAnswer, place_in

from .judge import Boxes, judge
from .many import How
from .results import OUTCOMES, Verdict
from .submission import read
from .tasks import model_notebook


def try_all(chapters: Iterable[str], how: How) -> None:
    """Try every check of these chapters on the model answer that goes with it, unless that was done before.

    What is the course's own, cell by cell and check by check, its tests have tried. Raises ValueError that names
    exercise, check and reason, and NoBox.
    """
    todo = [chapter for chapter in chapters if not _tried(chapter, how)]
    if not todo:
        return
    problems = []
    with Boxes(how.sandbox) as boxes:
        for chapter in todo:
            found = rejections(chapter, how, boxes)
            if not found:
                _remember(chapter, how)
            problems += found
    if problems:
        raise ValueError("\n".join([*problems, "Until then nothing is handed out or graded."]))


def rejections(chapter: str, how: How, boxes: Boxes) -> list[str]:
    """What the checks of a chapter have against its model answers, a line each."""
    path = model_notebook(chapter, how.source)
    task = how.task(chapter)
    watched = [Watched(item) for item in task.exercises]
    own = replace(task, exercises=[one.exercise for one in watched], written=[])
    verdicts = judge(read(path), own, how.secret, boxes, how.times, how.cases)
    return [
        _said(verdict, one, path)
        for verdict, one in zip(verdicts, watched, strict=True)
        if verdict.outcome != "right"
    ]


def _said(verdict: Verdict, watched: Watched, path: Path) -> str:
    where = f"{path}, cell {watched.exercise.name}"
    if verdict.outcome in ("missing", "not done"):
        return (
            f"{verdict.exercise}: there is no model answer in {where}: write one between ### BEGIN SOLUTION and "
            "### END SOLUTION, so that its check can be tried."
        )
    check = watched.rejecting or watched.last
    if verdict.outcome == "grader-error":
        return f"{verdict.exercise}: the check {check} fails on your own model answer: {watched.failure}."
    reason = verdict.reason or OUTCOMES[verdict.outcome]
    return (
        f"{verdict.exercise}: the check {check} rejects your own model answer: {reason}. One of the two is "
        f"wrong; the answer is in {where}."
    )


class Watched:
    """An exercise whose checks are watched: which was asked last, which was the first not to be content, and how
    one failed."""

    def __init__(self, item: Exercise):
        self.last = self.rejecting = self.failure = ""
        self.exercise = replace(
            item, check=self._watch(item.check), more=[self._watch(check) for check in item.more]
        )

    def _watch(self, check: Callable) -> Callable:
        file = Path(check.__code__.co_filename)
        name = (
            f"{check.__name__} ({'/'.join(file.parts[-2:])}, line {check.__code__.co_firstlineno})"
        )

        def watched(answer, rng):
            self.last = name
            try:
                check(answer, rng)
            except (WrongAnswer, NotImplementedError):
                self.rejecting = self.rejecting or name
                raise
            except Exception as error:
                self.rejecting = self.rejecting or name
                self.failure = f"{place_in(error, str(file))}: {type(error).__name__}: {error}"
                raise

        watched.__doc__ = check.__doc__  # an exercise's title
        return watched


# ------------------------------------------------------------------ once


@dataclass(frozen=True)
class _Tried:
    """The file that says what was tried last, and what it has to say now."""

    path: Path
    key: str


def _about(chapter: str, how: How) -> _Tried:
    content = model_notebook(chapter, how.source).read_bytes()
    key = hashlib.sha256(how.key(chapter).encode() + content).hexdigest()
    return _Tried(how.folder / chapter / ".tried", key)


def _tried(chapter: str, how: How) -> bool:
    task = how.task(chapter)
    if _as_in_the_course(chapter, how, task):
        return True
    about = _about(chapter, how)
    return about.path.is_file() and about.path.read_text(encoding="utf-8") == about.key


def _as_in_the_course(chapter, how, task) -> bool:
    """Whether there is nothing of the class's to be tried: its notebook is the course's, and its checks are."""
    course = places.course_root() / "solutions" / f"{chapter}.ipynb"
    own = model_notebook(chapter, how.source)
    if not course.is_file() or any(item.more for item in task.exercises):
        return False
    return own == course or own.read_bytes() == course.read_bytes()


def _remember(chapter: str, how: How) -> None:
    about = _about(chapter, how)
    about.path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(about.path) as file:
        file.write(about.key.encode())
