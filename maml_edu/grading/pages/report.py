"""What a teacher looks at before the next lecture: one page about a class, exercise by exercise. See `page`.

Names appear only where something has to be done about somebody's submission.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maml_edu import places

from ..answers import Alike
from ..marks import Mark
from ..results import OUTCOMES, Result, Verdict
from .html import escape, name, points
from .html import page as whole_page

REASONS = 5  # shown for an exercise
NAMES = 200  # shown in a list
FEW = 3  # submissions from which "everybody" and "nobody" say something
BINS = 10

STATUS = {  # of a submission, in words
    "graded": "graded",
    "rejected": "refused: no notebook",
    "timeout": "stopped: an answer took too long",
    "crashed": "stopped: an answer ended its process",
    "grader-error": "not graded: the grader failed",
}

# In the order of a bar; the colours are Okabe and Ito's, and the table beside a bar says the same in words.
COLOURS = {
    "right": "#009e73", "wrong": "#e69f00", "raised": "#d55e00", "timeout": "#cc79a7", "crashed": "#7a4b9a",
    "not asked": "#b8a2c8", "not done": "#999999", "missing": "#56b4e9", "person": "#0072b2", "read": "#f0e442",
    "grader-error": "#000000",
}  # fmt: skip


WORDS = OUTCOMES | {"read": "read, and given points by a person"}


@dataclass(frozen=True)
class Item:
    """One exercise over a class: its verdicts, and the points that count for it (None: not decided)."""

    exercise: str
    title: str
    max_points: float
    verdicts: list[Verdict]
    points: list[float | None]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(map(_outcome, self.verdicts, self.points))

    @property
    def written(self) -> bool:
        """Whether people judge it, and not checks."""
        return "." not in self.exercise

    @property
    def judged(self) -> int:
        """How many answers have their points."""
        return sum(value is not None for value in self.points)

    @property
    def right(self) -> int:
        """How many pass: by all points, or half of them where people give them."""
        needed = self.max_points / 2 if self.written else self.max_points
        return sum(value is not None and value >= needed > 0 for value in self.points)


def _outcome(verdict: Verdict, value: float | None) -> str:
    """What became of an answer, once people have read it."""
    if value is None:
        return "grader-error" if verdict.outcome == "grader-error" else "person"
    return verdict.outcome if value == verdict.points else "read"


@dataclass(frozen=True)
class About:
    """What else a teacher wants to know of a chapter: equal answers, what collect left out, who is missing."""

    alike: Sequence[Alike] = ()
    left_out: Sequence[tuple[str, str]] = ()  # (what, why)
    missing: Sequence[str] = ()


def page(
    results: Iterable[Result], marks: Iterable[Mark], about: Mapping[str, About] | None = None
) -> str:
    """A page of HTML about the results and marks of a class, chapter by chapter; about: chapter → the rest."""
    about = about or {}
    found = {(mark.chapter, mark.student): mark for mark in marks}
    chapters: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda r: (r.chapter, r.student)):
        chapters.setdefault(result.chapter, []).append(result)
    body = "<h1>How the class did</h1>\n"
    if not chapters:
        body += "<p>Nothing has been graded yet.</p>\n"
    for i, (chapter, graded) in enumerate(chapters.items(), 1):
        own = [found.get((chapter, r.student)) for r in graded]
        body += _chapter(i, chapter, graded, own, about.get(chapter, About()))
    return whole_page("How the class did", body)


def _chapter(number, chapter, graded, found, about):
    items = _items(graded, found)
    parts = [f"<h2>{escape(places.title(chapter), 200)}</h2>\n", _summary(graded, found)]
    parts.append(_first(number, items))
    parts += [_item(f"x{number}-{i}", i, item) for i, item in enumerate(items, 1)]
    parts += [
        _failed(graded),
        _noted(graded),
        _waiting(items, found),
        _alike(about.alike),
        _adjusted(found),
    ]
    parts += [_left_out(about.left_out), _missing(about.missing)]
    return "".join(parts)


def _items(graded: Sequence[Result], found: Sequence[Mark | None]) -> list[Item]:
    """The exercises of a chapter, in the order of the notebook."""
    items: dict[str, Item] = {}
    for result, mark in zip(graded, found, strict=True):
        for verdict in result.verdicts:
            new = Item(verdict.exercise, verdict.title, verdict.max_points, [], [])
            item = items.setdefault(verdict.exercise, new)
            item.verdicts.append(verdict)
            value = mark.parts.get(verdict.exercise) if mark else verdict.points
            item.points.append(value)
    return list(items.values())


# ------------------------------------------------------------------ the class as a whole


def _summary(graded, found):
    complete = [mark for mark in found if mark is not None and mark.complete]
    statuses = Counter(result.status for result in graded)
    words = [f"{len(graded)} submission{'' if len(graded) == 1 else 's'}"]
    words += [f"{statuses[status]} {said}" for status, said in STATUS.items() if statuses[status]]
    waiting = sum(bool(mark.waiting) for mark in found if mark is not None)
    if waiting:
        words.append(f"{waiting} with an answer that waits for a person")
    unsafe = sum(not result.sandboxed for result in graded)
    if unsafe:
        words.append(f"{unsafe} graded without a sandbox")
    seconds = [result.seconds for result in graded if result.seconds]
    if seconds:
        words.append(f"{_seconds(statistics.median(seconds))} each to grade (the median)")
    parts = [f"<p>{escape('; '.join(words))}.</p>\n"]
    decided = [mark for mark in found if mark is not None and mark.adjusted is not None]
    if decided:
        parts.append(_marks(decided, len(complete)))
    return "".join(parts)


def _marks(decided, complete):
    values = [mark.adjusted for mark in decided]
    full = max(mark.adjusted_max for mark in decided)
    middle = points(statistics.median(values))
    words = f"Half the class has {middle} of {points(full)} points or more"
    if complete < len(decided):
        words += f", so far: {len(decided) - complete} of {len(decided)} marks are not complete"
    chart = _histogram(_bins(values, max(full, *values)), words)  # a bonus may go above the maximum
    return f"<p>{escape(words)}.</p>\n{chart}"


def _first(number, items):
    """Exercises that nobody or everybody passes, before all the others."""
    # Of what people judge, only once they have judged all of it.
    judged = [
        (i, item)
        for i, item in enumerate(items, 1)
        if item.judged >= FEW and not (item.written and item.judged < len(item.points))
    ]
    nobody = [(i, item) for i, item in judged if item.right == 0]
    everybody = [(i, item) for i, item in judged if item.right == item.judged]
    lines = []
    for group, words in ((nobody, "Nobody passes"), (everybody, "Everybody passes")):
        for i, item in group:
            link = f'<a href="#x{number}-{i}">{i}. {escape(item.title or item.exercise, 200)}</a>'
            lines.append(
                f"<li><strong>{words}</strong> {link} ({item.judged} answers judged)</li>\n"
            )
    if not lines:
        return ""
    return f"<h3>Look here first</h3>\n<ul>\n{''.join(lines)}</ul>\n"


# ------------------------------------------------------------------ one exercise


def _item(anchor, number, item):
    title = f"{number}. {escape(item.title or item.exercise, 200)}"
    counts = item.outcomes
    by_checks = [v for v in item.verdicts if v.points is not None]
    share = "read by a person" if item.written else "not judged by checks"
    if by_checks and not item.written:
        share = f"{100 * item.outcomes['right'] / len(by_checks):.0f} % right"
    decided = [value for value in item.points if value is not None]
    parts = [
        f'<section class="item" id="{anchor}">\n<header><h3>{title}</h3> <span>{share}</span></header>\n',
        _shares(counts, len(item.verdicts)),
        _outcome_table(counts, len(item.verdicts)),
    ]
    if decided:
        said = f"Points: mean {points(round(statistics.fmean(decided), 2), item.max_points)}"
        parts.append(f"<p>{said}</p>\n{_histogram(_bins(decided, item.max_points), said)}")
    parts += [_reasons(item.verdicts), _time(item.verdicts)]
    return "".join(parts) + "</section>\n"


def _outcome_table(counts, total):
    rows = "".join(
        f'<tr><td><span aria-hidden="true" style="color: {COLOURS.get(outcome, "#999")}">■</span> '
        f'{escape(WORDS.get(outcome, outcome))}</td><td class="n">{n}</td>'
        f'<td class="n">{100 * n / total:.0f} %</td></tr>\n'
        for outcome, n in _ordered(counts)
    )
    return f"<table>\n<tbody>\n{rows}</tbody>\n</table>\n"


def _ordered(counts):
    order = [*COLOURS, *sorted(set(counts) - set(COLOURS))]
    return [(outcome, counts[outcome]) for outcome in order if counts[outcome]]


def _reasons(verdicts):
    """The misconceptions seen most often: what the checks said, and how many times."""
    counts = Counter(
        verdict.reason
        for verdict in verdicts
        if verdict.outcome in ("wrong", "raised") and verdict.reason
    )
    if not counts:
        return ""
    # Equal counts are in the order of the words, so that the page is the same for the same results.
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS]
    rows = "".join(
        f'<tr><td class="n">{n} ×</td><td dir="auto">{escape(reason, 300)}</td></tr>\n'
        for reason, n in most
    )
    left = len(counts) - len(most)
    more = f'<p class="soft">and {left} other{"" if left == 1 else "s"}</p>\n' if left else ""
    return f"<table>\n<caption>Seen most often</caption>\n<tbody>\n{rows}</tbody>\n</table>\n{more}"


def _time(verdicts):
    seconds = [verdict.seconds for verdict in verdicts if verdict.seconds > 0]
    if not seconds:
        return ""
    median, longest = _seconds(statistics.median(seconds)), _seconds(max(seconds))
    return f'<p class="soft">Time of an answer: {median} (the median), {longest} at most.</p>\n'


def _seconds(value):
    return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms"


# ------------------------------------------------------------------ who needs something


def _failed(graded):
    """Submissions and answers that could not be graded, and why."""
    rows = [
        (result.student, result.status, result.problem)
        for result in graded
        if result.status != "graded"
    ]
    rows += [
        (
            result.student,
            f"{verdict.title or verdict.exercise}: could not be graded",
            verdict.reason,
        )
        for result in graded
        for verdict in result.verdicts
        if verdict.outcome == "grader-error" and result.status == "graded"
    ]
    if not rows:
        return ""
    lines = "".join(
        f'<tr><td>{name(student)}</td><td>{escape(what, 200)}</td><td dir="auto">{escape(why, 500)}</td></tr>\n'
        for student, what, why in rows[:NAMES]
    )
    head = "<thead><tr><th>student</th><th>what</th><th>why</th></tr></thead>\n"
    more = _more(len(rows))
    return (
        "<h3>Not wholly graded, and why</h3>\n"
        f'<div class="wide"><table>\n{head}<tbody>\n{lines}</tbody>\n</table></div>\n{more}'
    )


def _noted(graded):
    """What was put right, or chosen, before a submission was graded: several notebooks in one hand-in, say."""
    rows = [(result.student, note) for result in graded for note in result.notes]
    if not rows:
        return ""
    lines = "".join(
        f'<tr><td>{name(student)}</td><td dir="auto">{escape(note, 500)}</td></tr>\n'
        for student, note in rows[:NAMES]
    )
    head = "<thead><tr><th>student</th><th>what was found</th></tr></thead>\n"
    return (
        f"<details>\n<summary>Files that were not quite as asked: {len(rows)}</summary>\n"
        f'<div class="wide"><table>\n{head}<tbody>\n{lines}</tbody>\n</table></div>\n{_more(len(rows))}</details>\n'
    )


def _waiting(items, found):
    """Whose answers a person still has to read, folded: a list for each exercise."""
    parts = []
    for item in items:
        names = [
            mark.student for mark in found if mark is not None and item.exercise in mark.waiting
        ]
        if names:
            listed = ", ".join(name(student) for student in names[:NAMES])
            title = escape(item.title or item.exercise, 200)
            parts.append(
                f"<details>\n<summary>{title}: {len(names)} to read</summary>\n<p>{listed}</p>\n"
                f"{_more(len(names))}</details>\n"
            )
    return "<h3>Waiting for a person</h3>\n" + "".join(parts) if parts else ""


def _alike(found):
    """Equal answers: no proof of anything, for the model answers of an open course can be read by everybody."""
    lines = []
    for one in found:
        who = ", ".join(name(student) for student in one.students[:NAMES])
        what = f"{one.title or one.exercise} ({one.exercise})" if one.exercise else ""
        if not what:
            said = "Most code answers are the model's, word for word"
        elif one.model:
            said = f"{what}: equal to the model answer"
        else:
            said = f"{what}: {len(one.students)} equal answers"
        lines.append(f"<li>{escape(said, 300)}: {who}</li>\n")
    return f"<h3>Equal answers</h3>\n<ul>\n{''.join(lines)}</ul>\n" if lines else ""


def _adjusted(found):
    """What policy.toml changed, and for whom, folded."""
    rows = [
        f"<tr><td>{name(mark.student)}</td>"
        f'<td class="n">{points(mark.points)} of {points(mark.max_points)}</td>'
        f'<td class="n">{points(mark.adjusted)} of {points(mark.adjusted_max)}</td>'
        f'<td dir="auto">{escape(" ".join(mark.reasons), 1000)}</td></tr>\n'
        for mark in found
        if mark is not None and mark.reasons
    ]
    if not rows:
        return ""
    head = "<tr><th>student</th><th>given</th><th>counts</th><th>why</th></tr>"
    table = f"<table>\n<thead>{head}</thead>\n<tbody>\n{''.join(rows[:NAMES])}</tbody>\n</table>"
    return (
        f"<details>\n<summary>Adjusted by policy.toml: {len(rows)}</summary>\n"
        f'<div class="wide">{table}</div>\n{_more(len(rows))}</details>\n'
    )


def _left_out(found):
    """What was in a download and was not collected."""
    lines = [f"<li>{name(what)}: {escape(why, 500)}</li>\n" for what, why in found[:NAMES]]
    more = _more(len(found))
    return f"<h3>Not collected</h3>\n<ul>\n{''.join(lines)}</ul>\n{more}" if lines else ""


def _missing(found):
    """Who is in the class and has handed in nothing, folded."""
    if not found:
        return ""
    who = ", ".join(name(student) for student in found[:NAMES])
    return (
        f"<details>\n<summary>Handed in nothing: {len(found)}</summary>\n<p>{who}</p>\n"
        f"{_more(len(found))}</details>\n"
    )


def _more(n):
    return f'<p class="soft">and {n - NAMES} more</p>\n' if n > NAMES else ""


# ------------------------------------------------------------------ pictures


def _bins(values: Sequence[float], full: float) -> list[tuple[str, int]]:
    """(label, how many) from 0 to `full`: a bin for each number of points, or BINS equal ones."""
    whole = all(float(value).is_integer() for value in values) and float(full).is_integer()
    if whole and full <= 2 * BINS:
        counts = Counter(int(value) for value in values)
        return [(str(i), counts[i]) for i in range(int(full) + 1)]
    width = full / BINS or 1.0
    counts = Counter(min(math.floor(value / width), BINS - 1) for value in values)
    return [(f"{points(i * width)}–{points((i + 1) * width)}", counts[i]) for i in range(BINS)]


def _histogram(bins, alt):
    """Columns with their numbers on top, as SVG."""
    step, height = max(30, min(64, 720 // len(bins))), 90
    most = max(n for _, n in bins) or 1
    parts = []
    for i, (label, n) in enumerate(bins):
        x, tall = i * step + 2, round(height * n / most, 1)
        middle = x + (step - 4) / 2
        parts.append(
            f'<rect x="{x}" y="{18 + height - tall}" width="{step - 4}" height="{tall}" fill="#56b4e9"/>'
            f'<text x="{middle}" y="{13 + height - tall}" text-anchor="middle">{n or ""}</text>'
            f'<text x="{middle}" y="{height + 34}" text-anchor="middle">{label}</text>'
        )
    width = step * len(bins)
    said = f"{alt}. " + ", ".join(f"{n} with {label}" for label, n in bins if n)
    axis = f'<path d="M0 {18.5 + height}H{width}" stroke="#888"/>'
    unit = f'<text x="0" y="{height + 52}">points →</text>'
    return (
        f'<svg role="img" aria-label="{escape(said)}" viewBox="0 0 {width} {height + 58}" '
        f'width="{width}" height="{height + 58}">{"".join(parts)}{axis}{unit}</svg>\n'
    )


def _shares(counts, total):
    """One bar, divided by outcome; the table below it has the numbers."""
    x, parts = 0.0, []
    for outcome, n in _ordered(counts):
        wide = 720 * n / total
        colour = COLOURS.get(outcome, "#999")
        parts.append(
            f'<rect x="{x:.1f}" y="0" width="{max(wide - 1, 1):.1f}" height="18" fill="{colour}"/>'
        )
        x += wide
    return f'<svg aria-hidden="true" viewBox="0 0 720 22" width="720" height="22">{"".join(parts)}</svg>\n'
