"""What grading found out: a `Result` per submission, one JSON file each, written whole or not at all.

`results/CHAPTER/STUDENT.json` is the only record; tables, marks, feedback and exports are made from these
files and can be made again. A grade that could not be given is None, never 0.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maml_edu.atomic import replacing

FORMAT = 1
STATUSES = ("graded", "rejected", "timeout", "crashed", "grader-error")
OUTCOMES = {  # of one exercise → what it means to a reader
    "right": "right",
    "wrong": "not right yet",
    "not done": "not done",
    "missing": "not found in the notebook",
    "raised": "stopped with an error",
    "timeout": "took too long",
    "not asked": "the time was over before",
    "crashed": "ended its process",
    "person": "to be read by a person",
    "grader-error": "could not be graded",
}


class DamagedResult(RuntimeError):
    """A result file that is not what `save` writes."""


@dataclass(frozen=True)
class Verdict:
    """One exercise of one submission.

    points: None where a person has to decide (outcome "person" or "grader-error"). reason: one line for
    the student; it holds no input and no expected value. answer: digest (`cells.digest`) of the text that was
    judged, or is to be read; "" where there is none, and in results of before there were any.
    """

    exercise: str
    title: str
    outcome: str
    points: float | None
    max_points: float
    reason: str = ""
    seconds: float = 0.0
    answer: str = ""


@dataclass(frozen=True)
class Result:
    """What became of one submission.

    status: one of STATUSES. problem: why it was not (wholly) graded, for the teacher; "" otherwise.
    sha256: of the file that was handed in; key: of the checks and the seed it was judged with, so that a
    rerun knows what is done. notes: honest damage that was repaired, such as a file's name.
    """

    student: str
    chapter: str
    status: str
    verdicts: list[Verdict] = field(default_factory=list)
    problem: str = ""
    file: str = ""
    sha256: str = ""
    key: str = ""
    sandboxed: bool = True
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> list[str] | None:
        """The functions that were asked for; None where nothing was judged."""
        return [v.exercise.partition(".")[2] for v in self.verdicts if "." in v.exercise] or None

    @property
    def points(self) -> float | None:
        """What has been decided so far; None when nothing could be graded."""
        if self.status in ("rejected", "grader-error"):
            return None
        return sum(v.points for v in self.verdicts if v.points is not None)

    @property
    def max_points(self) -> float:
        """Of all exercises, those for a person included."""
        return sum(v.max_points for v in self.verdicts)

    @property
    def needs_person(self) -> list[Verdict]:
        """What a person still has to read."""
        return [v for v in self.verdicts if v.points is None]

    @property
    def final(self) -> bool:
        """Whether grading again could change nothing."""
        return self.status != "grader-error"


def path_of(folder: Path, chapter: str, student: str) -> Path:
    """The file of one result in a folder of results."""
    return folder / chapter / f"{student}.json"


def save(folder: Path, result: Result) -> Path:
    """Write the file of a result, atomically. Raises OSError where it cannot (a full disk, say)."""
    return _write(path_of(folder, result.chapter, result.student), result)


def save_earlier(folder: Path, result: Result, stamp: str) -> Path:
    """Write the file of an earlier hand-in's result; raises as `save` does."""
    return _write(earlier_path(folder, result.chapter, result.student, stamp), result)


def _write(path: Path, result: Result) -> Path:
    text = json.dumps({"format": FORMAT} | asdict(result), ensure_ascii=False, indent=1)
    with replacing(path) as file:
        file.write(text.encode() + b"\n")
    return path


def load(path: Path) -> Result:
    """A result from its file. Raises DamagedResult for anything else, OSError where it is not there."""
    return _load(path, path)


def load_earlier(path: Path) -> Result:
    """The result of an earlier hand-in, CHAPTER/earlier/STUDENT/STAMP.json; raises as `load` does."""
    chapter = path.parent.parent.parent
    return _load(path, chapter / f"{path.parent.name}.json")


def earlier_path(folder: Path, chapter: str, student: str, stamp: str) -> Path:
    """The file of an earlier hand-in's result."""
    return folder / chapter / "earlier" / student / f"{stamp}.json"


def _load(path: Path, named: Path) -> Result:
    """The result in a file; named: where it would lie if it counted, which says of whom it must be."""
    try:
        found = json.loads(path.read_bytes().decode("utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        verdicts = [Verdict(**verdict) for verdict in found.pop("verdicts")]
        result = Result(verdicts=verdicts, **found)
        _check_sound(result, named)
        return result
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedResult(
            f"{path} is not a result of grading ({error}): delete it, and grade again."
        ) from error


def _check_sound(result: Result, path: Path) -> None:
    """Raise ValueError unless every field that marks are made of is what it should be."""
    if result.status not in STATUSES:
        raise ValueError(f"status {result.status!r}")
    texts = [result.student, result.chapter, result.problem]
    for verdict in result.verdicts:
        texts += [verdict.exercise, verdict.title, verdict.outcome, verdict.reason, verdict.answer]
        points = 0 if verdict.points is None else verdict.points
        if not _is_number(verdict.max_points) or not _is_number(points):
            raise ValueError(f"points of {verdict.exercise!r}")
        if points > verdict.max_points:
            raise ValueError(f"{verdict.exercise!r} has more points than it is worth")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("text that is none")
    "".join(texts).encode()  # a UnicodeError is a ValueError
    if len({v.exercise for v in result.verdicts}) < len(result.verdicts):
        raise ValueError("an exercise that is there twice")
    if [_composed(t) for t in texts[:2]] != [_composed(path.stem), _composed(path.parent.name)]:
        raise ValueError(f"it is that of {result.student!r} in {result.chapter!r}")


def _composed(
    text: str,
) -> str:  # some file systems give names back with accents apart from letters
    return unicodedata.normalize("NFC", text)


def _is_number(value) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


def known(folder: Path, chapter: str, student: str) -> Result | None:
    """The result that is there; None when there is none, or a damaged one, which grading replaces."""
    try:
        return load(path_of(folder, chapter, student))
    except (DamagedResult, OSError):
        return None


def load_all(folder: Path) -> list[Result]:
    """Every result of a folder of results, by chapter and student. Raises DamagedResult."""
    return [load(path) for path in paths(folder)]


def paths(folder: Path) -> list[Path]:
    """The files of a folder of results."""
    return [path for path in sorted(folder.glob("*/*.json")) if not path.name.startswith(".")]


def table(results: list[Result]) -> list[dict[str, Any]]:
    """A plain row a submission, the same for the same marks: no times, no versions."""
    return [
        {
            "student": result.student,
            "chapter": result.chapter,
            "status": result.status,
            "points": result.points,
            "max_points": result.max_points,
            **{verdict.exercise: verdict.points for verdict in result.verdicts},
        }
        for result in sorted(results, key=lambda r: (r.chapter, r.student))
    ]
