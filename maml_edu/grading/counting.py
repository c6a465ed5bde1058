"""Which of a person's hand-ins counts, and when it came: what `policy` needs to know of a class folder.

`collect` keeps beside each hand-in what it knew of it (`handed_in.json`); nbgrader keeps `timestamp.txt`.
Where neither says a time, none is made up: no lateness is counted, and the teacher is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from maml_edu.atomic import replacing

from . import policy, results, signed
from .exports import tables
from .mark import Mark
from .policy import Policy, Rules
from .results import Result


@dataclass(frozen=True)
class Came:
    """When a hand-in came, and whether the system it came from calls it late; None: not known.

    The time of a file is no such time: copying and unpacking change it.
    """

    time: datetime | None = None
    late: bool | None = None


@dataclass
class Term:
    """A class folder's policy, and the hand-ins before those that lie in submitted/."""

    root: Path
    policy: Policy
    earlier: Mapping[tuple[str, str], list[tuple[str, Result]]]
    problems: list[str] = field(default_factory=list)

    def came(self, result: Result, stamp: str) -> Came:
        if stamp:
            folder = self.root / "earlier" / result.student / result.chapter / stamp
        else:
            folder = self.root / "submitted" / result.student / result.chapter
        return came(folder, result.student, result.chapter)


def of(root: Path, found: Iterable[Result], worth: Mapping[str, Mapping[str, float]]) -> Term:
    """What a class folder says of policy and earlier hand-ins. Raises `policy.Wrong` for a contradiction."""
    found = list(found)
    chapters = sorted({*_chapters(root), *(r.chapter for r in found)})
    said = policy.read(root / "policy.toml", chapters)
    if said.chapters:
        policy.check(said, people(root, found), _worth(root, said.chapters, worth))
    problems = _foreign(root, found)
    return Term(root, said, earlier(root / "results", problems), problems)


def _foreign(root: Path, found: list[Result]) -> list[str]:
    """A line that names every handed_in.json that collect did not write: a student may have handed it in."""
    whose = [
        f"{own.student} ({own.chapter})"
        for own in found
        if signed.is_foreign(
            root / "submitted" / own.student / own.chapter, own.student, own.chapter
        )
    ]
    if not whose:
        return []
    return [
        f"handed_in.json of {', '.join(whose)} is not what collect wrote with this seed, and counts for "
        "nothing: the time in timestamp.txt and the name of the folder count. Was it handed in?"
    ]


def where_the_best_counts(root: Path, chapters: Iterable[str]) -> list[str]:
    """Of these chapters those in which the best hand-in counts. Raises `policy.Wrong`."""
    said = policy.read(root / "policy.toml", sorted({*_chapters(root), *chapters}))
    return [chapter for chapter in sorted(chapters) if said.of(chapter).counts == "best"]


def that_may_count(root: Path, chapters: Iterable[str]) -> list[Result]:
    """The results of earlier hand-ins in chapters where the best one counts; none while policy.toml is wrong."""
    try:
        best = where_the_best_counts(root, chapters)
    except policy.Wrong:  # which `of` tells
        return []
    found = earlier(root / "results", [])
    return [own for (chapter, _), handed in found.items() if chapter in best for _, own in handed]


def _chapters(root):
    from .tasks import with_exercises

    source = root / "source"
    own = [folder.name for folder in source.iterdir() if folder.is_dir()] if source.is_dir() else []
    return [*with_exercises(), *own]


def _worth(root, chapters, worth):
    """Exercises of every chapter that the policy names: as graded, or else as the class asks them."""
    from .tasks import task_of

    known = {chapter: dict(own) for chapter, own in worth.items() if own}
    for chapter in chapters:
        with suppress(ValueError):
            known.setdefault(chapter, task_of(chapter, root / "source", root / "private").worth)
    return known


def people(root: Path, found: Iterable[Result] = ()) -> set[str]:
    """Everybody the class folder knows: its roster, who handed in, who was graded."""
    names = {result.student for result in found}
    for folder in (root / "submitted", root / "earlier"):
        if folder.is_dir():
            names |= {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if (root / "students.csv").is_file():
        header, rows = tables.read(root / "students.csv")
        if "key" in header:
            names |= {row[header.index("key")] for _, row in rows if len(row) > header.index("key")}
    return names - {""}


def came(folder: Path, student: str, chapter: str) -> Came:
    """When what lies in a folder was handed in."""
    said = signed.read(folder, student, chapter) or {}
    late = said.get("late")
    if said.get("time_from") == "file":
        return Came(None, late)  # and so is its timestamp.txt
    with suppress(ValueError):
        if time := policy.as_time(said.get("time") or ""):
            return Came(time, late)
    with suppress(OSError, ValueError):
        return Came(policy.as_time((folder / "timestamp.txt").read_text(encoding="utf-8")), late)
    return Came(None, late)


def earlier(folder: Path, problems: list[str]) -> dict[tuple[str, str], list[tuple[str, Result]]]:
    """(chapter, student) → (stamp, result) of the hand-ins before the present one, oldest first.

    folder: of results; problems gets a line for each that is damaged.
    """
    found: dict[tuple[str, str], list[tuple[str, Result]]] = {}
    for path in sorted(folder.glob("*/earlier/*/*.json"), key=lambda path: _stamp_order(path.stem)):
        if path.name.startswith("."):
            continue
        try:
            result = results.load_earlier(path)
        except (results.DamagedResult, OSError) as error:
            problems.append(str(error))
        else:
            found.setdefault((result.chapter, result.student), []).append((path.stem, result))
    return found


def _stamp_order(stamp: str) -> tuple[str, int]:
    """YYYYMMDD-HHMMSS, then YYYYMMDD-HHMMSS-2 and so on."""
    number = stamp[15:].lstrip("-")
    return stamp[:15], int(number) if number.isdecimal() else 0


# ------------------------------------------------------------------ what counts


def counted(term: Term, result: Result, mark_of: Callable[[Result], Mark]) -> tuple[Mark, Result]:
    """(the adjusted mark, the result it is of) for one person and chapter; mark_of: as yet not adjusted."""
    rules = term.policy.of(result.chapter)
    before = term.earlier.get((result.chapter, result.student), [])
    handed = hand_ins(term, result)
    found, most = [], []
    for stamp, own in handed:
        when, raw = term.came(own, stamp), mark_of(own)
        mark = policy.apply(raw, rules, when.time)
        found.append(replace(mark, counts=stamp))
        most.append(policy.apply(_with_all_points(raw), rules, when.time).adjusted)
        _tell_lateness(term, mark, rules, when, stamp)
    at = policy.chosen(found, rules)
    mark = _waiting_for_others(found, most, at)
    if len(found) > 1:
        which = f"that of {_day(mark.counts)}" if mark.counts else "the last one"
        told = f"Of {len(found)} hand-ins the best counts: {which}."
        mark = replace(mark, reasons=[told, *mark.reasons])
    elif before and mark.points is None:
        _tell_lost(term, result, before)
    return mark, handed[at][1]


def _with_all_points(mark: Mark) -> Mark:
    """The mark if everything that waits were given in full."""
    own = {e: mark.worth[e] if value is None else value for e, value in mark.parts.items()}
    points = math.fsum(own.values()) if own else mark.points
    return replace(mark, parts={**own}, points=points)


def _waiting_for_others(found: list[Mark], most: list[float | None], at: int) -> Mark:
    """The mark that counts so far; it waits for whatever may yet let another one count."""
    mark = found[at]
    waiting = list(mark.waiting)
    for other, full in zip(found, most, strict=True):
        if other is not mark and full is not None and full > (mark.adjusted or 0.0):
            waiting += [exercise for exercise in other.waiting if exercise not in waiting]
    return replace(mark, waiting=waiting)


def hand_ins(term: Term, result: Result) -> list[tuple[str, Result]]:
    """(STAMP of an earlier one or "", result) of every hand-in that may count, the last one last."""
    best = term.policy.of(result.chapter).counts == "best"
    before = term.earlier.get((result.chapter, result.student), []) if best else []
    return [*before, ("", result)]


def _day(stamp):
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}" if stamp[:8].isdecimal() else stamp


def _tell_lateness(term: Term, mark, rules: Rules, when: Came, stamp) -> None:
    if rules.deadline is None or rules.late is None or when.time is not None:
        return
    which = f", hand-in {stamp}" if stamp else ""
    says = "; the system it came from calls it late" if when.late else ""
    term.problems.append(
        f"{mark.student}, {mark.chapter}{which}: nobody knows when it was handed in, so no lateness is "
        f"counted{says}."
    )


def _tell_lost(term: Term, result: Result, before) -> None:
    stamp, last = before[-1]
    if last.points is not None:
        why = result.problem or result.status
        term.problems.append(
            f"{result.student}, {result.chapter}: the last hand-in has no mark ({why}); the one of "
            f'{_day(stamp)} has {tables.number(last.points)} points. counts = "best" in policy.toml lets it count.'
        )


# ------------------------------------------------------------------ said to the teacher


def write_template(root: Path) -> Path:
    """A policy.toml with every rule, commented out. Raises ValueError where there is one already."""
    path = root / "policy.toml"
    if path.exists():
        raise ValueError(f"{path} is there already: edit it, or move it away first.")
    with replacing(path) as file:
        file.write(policy.TEMPLATE.encode("utf-8"))
    return path
