"""`policy.toml`: what holds for whom, in one file; deadlines, lateness, second hand-ins, dropped questions, bonus.

`read` gives a `Policy`, or says what is wrong and on which line; `Policy.of(chapter)` is what holds there;
`apply` makes an adjusted mark of a mark, by plain rules in this order: questions (dropped, full points,
weights), lateness, adjustment of the whole, bonus. Each step leaves a reason in words. Nothing here reads a
clock or a submission: a time comes with the mark.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .exports.tables import number
from .mark import Mark

UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
NEVER = timedelta()


@dataclass(frozen=True)
class Late:
    """What lateness costs: `take` per cent for each hour or day begun, never more than `most` per cent.

    of: per cent of what, "points" (that the submission has) or "maximum".
    """

    per: str = "day"
    take: float = 0.0
    of: str = "maximum"
    most: float = 100.0


@dataclass(frozen=True)
class Extra:
    """What one person gets: points to add or take off, per cent of the points, or a mark; and why."""

    why: str
    points: float | None = None
    percent: float | None = None
    to: float | None = None


@dataclass(frozen=True)
class Extension:
    until: datetime
    why: str = ""


@dataclass(frozen=True)
class Rules:
    """What holds in one chapter."""

    deadline: datetime | None = None
    grace: timedelta = NEVER
    late: Late | None = None
    counts: str = "last"
    dropped: tuple[str, ...] = ()
    full_points: tuple[str, ...] = ()
    weight: Mapping[str, float] = field(default_factory=dict)
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    bonus: Mapping[str, Extra] = field(default_factory=dict)
    adjust: Mapping[str, Extra] = field(default_factory=dict)

    def due(self, student: str) -> datetime | None:
        """When this person must have handed in."""
        extension = self.extensions.get(student)
        return extension.until if extension else self.deadline


@dataclass(frozen=True)
class Policy:
    """What holds, chapter by chapter; `path` and `lines` are for messages."""

    path: Path = Path("policy.toml")
    defaults: Rules = Rules()
    chapters: Mapping[str, Rules] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def of(self, chapter: str) -> Rules:
        return self.chapters.get(chapter, self.defaults)


# ------------------------------------------------------------------ reading


class Wrong(ValueError):
    """A mistake in policy.toml; the message names the file, the line and the key."""


def read(path: Path, chapters: Iterable[str]) -> Policy:
    """The policy of a file; where there is none, one by which nothing is adjusted.

    chapters: the folders' names, "04_gradient_of_a_step", that `[chapters.04]` may mean. Raises Wrong.
    """
    if not path.is_file():
        return Policy(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise Wrong(f"{path} is not in UTF-8 (byte {error.start}): save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise Wrong(f"{path} is no TOML: {error}.") from error
    return _Reader(path, _lines_of(text), list(chapters)).policy(found)


def _lines_of(text: str) -> dict[str, int]:
    """Where each key stands: "chapters.04.deadline" → its line."""
    lines: dict[str, int] = {}
    table = ""
    for i, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = _plain_key(head[1])
            lines.setdefault(table, i)
        elif pair := re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+|\s*\.\s*)+)\s*=""", line):
            key = _plain_key(pair[1])
            lines.setdefault(f"{table}.{key}" if table else key, i)
    return lines


def _plain_key(key: str) -> str:
    parts = re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."'\s]+))\s*""", key)
    return ".".join(a or b or c for a, b, c in parts)


class _Reader:
    """Turns a parsed file into a Policy; every mistake is raised with its line."""

    def __init__(self, path: Path, lines: dict[str, int], chapters: list[str]):
        self.path, self.lines, self.chapters = path, lines, chapters

    def wrong(self, key: str, what: str) -> Wrong:
        line = self.lines.get(key) or next(
            (self.lines[k] for k in _above(key) if k in self.lines), None
        )
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        return Wrong(f"{where}: {key}: {what}")

    def policy(self, found: dict[str, Any]) -> Policy:
        self.only("", found, ("defaults", "chapters"))
        defaults = self.table("defaults", found.get("defaults", {}))
        self.only("defaults", defaults, ("deadline", "grace", "late", "counts"))
        if "deadline" in defaults:
            raise self.wrong("defaults.deadline", "a deadline belongs to a chapter.")
        base = self.rules("defaults", defaults, Rules())
        own: dict[str, Rules] = {}
        for name, table in self.table("chapters", found.get("chapters", {})).items():
            key = f"chapters.{name}"
            chapter = self.chapter(key, name)
            if chapter in own:
                raise self.wrong(key, f"chapter {chapter} stands there twice.")
            own[chapter] = self.rules(key, self.table(key, table), base)
        return Policy(self.path, base, own, self.lines)

    def only(self, key: str, table: dict[str, Any], known: Iterable[str]) -> None:
        known = list(known)
        for name in table:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Is it {near[0]}?" if near else f" There are: {', '.join(known)}."
                raise self.wrong(f"{key}.{name}".lstrip("."), f"is not known.{hint}")

    def table(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table: [" + key + "], or { … }.")
        return value

    def chapter(self, key: str, name: str) -> str:
        found = [c for c in self.chapters if name in (c, c.split("_")[0])]
        if not found:
            raise self.wrong(
                key, f"there is no chapter {name!r}; there are {', '.join(self.chapters)}."
            )
        return found[0]

    def rules(self, key: str, table: dict[str, Any], base: Rules) -> Rules:
        """The rules of one chapter; what it does not say is as in `base`."""
        self.only(key, table, Rules.__dataclass_fields__)
        made: dict[str, Any] = {}
        for name, value in table.items():
            made[name] = getattr(self, f"_{name}")(f"{key}.{name}", value)
        rules = replace(base, **made)
        self.consistent(key, rules)
        return rules

    def consistent(self, key: str, rules: Rules) -> None:
        for who, extension in rules.extensions.items():
            where = f"{key}.extensions.{who}"
            if rules.deadline is None:
                raise self.wrong(where, f"an extension needs a deadline: give {key}.deadline.")
            if extension.until < rules.deadline:
                raise self.wrong(
                    where,
                    f"{extension.until.isoformat()} is before the deadline, {rules.deadline.isoformat()}.",
                )
        groups = {
            "dropped": rules.dropped,
            "full_points": rules.full_points,
            "weight": rules.weight,
        }
        for name, own in groups.items():
            for other, others in groups.items():
                for exercise in own if name < other else ():
                    if exercise in others:
                        raise self.wrong(
                            f"{key}.{other}",
                            f"{exercise} stands in {name} as well: keep one of them.",
                        )

    # -------------------------------------------------------------- key by key

    def _deadline(self, key, value):
        return self.time(key, value)

    def time(self, key, value) -> datetime:
        """A time with its zone, as TOML has them or in quotes."""
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                value = None
        if not isinstance(value, datetime):
            raise self.wrong(
                key, "must be a day and a time with its zone: 2026-12-01T23:59:00+01:00."
            )
        if value.tzinfo is None:
            raise self.wrong(
                key,
                f"{value.isoformat()} has no time zone: write {value.isoformat()}+01:00, say, or Z for UTC.",
            )
        return value

    def _grace(self, key, value):
        found = re.fullmatch(r"\s*(\d{1,4})\s*(minute|hour|day)s?\s*", str(value))
        if not found:
            raise self.wrong(key, 'must be such as "15 minutes", "2 hours" or "1 day".')
        return timedelta(**{f"{found[2]}s": int(found[1])})

    def _late(self, key, value):
        table = self.table(key, value)
        self.only(key, table, Late.__dataclass_fields__)
        for name, among in (("per", tuple(UNITS)), ("of", ("maximum", "points"))):
            if table.get(name, among[0]) not in among:
                raise self.wrong(f"{key}.{name}", f"must be {' or '.join(map(repr, among))}.")
        if "take" not in table:
            raise self.wrong(key, "take is missing: per cent for each day (or hour) begun.")
        for name in ("take", "most"):
            if name in table:
                self.number(f"{key}.{name}", table[name], 0, 100)
        return Late(**table)

    def _counts(self, key, value):
        if value not in ("last", "best"):
            raise self.wrong(key, "must be 'last' or 'best'.")
        return value

    def _dropped(self, key, value):
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.wrong(key, 'must be a list of exercises: ["04.best_start"].')
        return tuple(value)

    _full_points = _dropped

    def _weight(self, key, value):
        flat: dict[str, Any] = {}
        for name, own in self.table(
            key, value
        ).items():  # 04.meta_slope without quotes is 04 → meta_slope
            flat |= (
                {f"{name}.{k}": v for k, v in own.items()} if isinstance(own, dict) else {name: own}
            )
        return {name: self.number(f"{key}.{name}", own, 0, 1000) for name, own in flat.items()}

    def _extensions(self, key, value):
        made = {}
        for who, own in self.table(key, value).items():
            where = f"{key}.{who}"
            own = own if isinstance(own, dict) else {"until": own}
            self.only(where, own, ("until", "why"))
            if "until" not in own:
                raise self.wrong(where, "until is missing: until when.")
            made[who] = Extension(
                self.time(where, own["until"]), self.text(where, own.get("why", ""))
            )
        return made

    def _bonus(self, key, value):
        return {
            w: self.extra(f"{key}.{w}", own, ("points",))
            for w, own in self.table(key, value).items()
        }

    def _adjust(self, key, value):
        kinds = ("points", "percent", "to")
        return {
            w: self.extra(f"{key}.{w}", own, kinds) for w, own in self.table(key, value).items()
        }

    def extra(self, key, value, kinds) -> Extra:
        table = self.table(key, value)
        self.only(key, table, (*kinds, "why"))
        told = [kind for kind in kinds if kind in table]
        if len(told) != 1:
            raise self.wrong(key, f"needs one of {', '.join(kinds)}.")
        if not self.text(key, table.get("why", "")).strip():
            raise self.wrong(key, "why is missing: the person reads it beside the mark.")
        low = 0 if kinds == ("points",) or told == ["to"] else -1000
        self.number(key, table[told[0]], low, 1000)
        return Extra(**table)

    def text(self, key, value) -> str:
        if not isinstance(value, str):
            raise self.wrong(key, "the reason must be text, in quotes.")
        return value

    def number(self, key, value, low, high) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or not low <= value <= high:
            raise self.wrong(key, f"must be a number from {low} to {high}, not {value!r}.")
        return float(value)


def _above(key: str) -> list[str]:
    """The keys above a key, the nearest first."""
    parts = key.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]


# ------------------------------------------------------------------ does it fit the class


def check(policy: Policy, people: Iterable[str], worth: Mapping[str, Mapping[str, float]]) -> None:
    """Raise Wrong for a person or an exercise that the class does not have.

    worth: chapter → exercise → points, for the chapters that are known.
    """
    known = sorted(set(people))
    reader = _Reader(policy.path, dict(policy.lines), list(worth))
    for chapter, rules in policy.chapters.items():
        key = _written(policy, chapter)
        for name in ("extensions", "bonus", "adjust"):
            for who in getattr(rules, name):
                if who not in known:
                    raise reader.wrong(
                        f"{key}.{name}.{who}", f"nobody is called {who!r}.{_near(who, known)}"
                    )
        if chapter not in worth:
            continue
        for name in ("dropped", "full_points", "weight"):
            for exercise in getattr(rules, name):
                if exercise not in worth[chapter]:
                    hint = _near(exercise, worth[chapter])
                    raise reader.wrong(
                        f"{key}.{name}", f"chapter {chapter} has no exercise {exercise!r}.{hint}"
                    )
        if worth[chapter] and set(worth[chapter]) <= set(rules.dropped):
            raise reader.wrong(f"{key}.dropped", "no exercise is left.")


def _written(policy: Policy, chapter: str) -> str:
    """How the file calls a chapter: chapters.04, or by its whole name."""
    short = f"chapters.{chapter.split('_')[0]}"
    here = any(key == short or key.startswith(f"{short}.") for key in policy.lines)
    return short if here else f"chapters.{chapter}"


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=2)
    return f" Is it {' or '.join(near)}?" if near else ""


# ------------------------------------------------------------------ a mark, adjusted


def apply(mark: Mark, rules: Rules, time: datetime | None) -> Mark:
    """The mark with `adjusted`, `adjusted_max` and `reasons`; the raw points stay.

    time: of the hand-in, None where nobody knows it: then no lateness is counted.
    """
    parts, full, reasons = _questions(mark, rules)
    waiting = [exercise for exercise, value in parts.items() if value is None]
    decided = mark.points is not None or (
        # What was missing for a mark has been dropped, say.
        bool(mark.waiting) and not waiting and set(full) <= set(parts)
    )
    points = math.fsum(value for value in parts.values() if value is not None) if decided else None
    maximum = math.fsum(full.values())
    own = rules.adjust.get(mark.student)
    if own is not None and own.to is not None:
        points, waiting = own.to, []
        reasons.append(_said("Set", own, f"to {number(own.to)}"))
    elif points is not None:
        points = _lateness(points, maximum, mark.student, rules, time, reasons)
        points = _adjustment(points, own, reasons)
    if points is not None:
        points = round(_bonus(points, mark.student, rules, reasons), 6)
    return replace(mark, adjusted=points, adjusted_max=maximum, reasons=reasons, waiting=waiting)


def _questions(mark, rules):
    """(points by exercise, maximum by exercise, reasons), after dropping and weighing."""
    full = dict(mark.worth)
    parts, reasons = dict(mark.parts), []
    for exercise in rules.dropped:
        if full.pop(exercise, None) is not None:
            parts.pop(exercise, None)
            reasons.append(f"{exercise} was dropped: it counts for nobody.")
    for exercise in rules.full_points:
        if exercise in full:
            parts[exercise] = full[exercise]
            reasons.append(f"{exercise}: everybody has the full {_points(full[exercise])}.")
    for exercise, new in rules.weight.items():
        old = full.get(exercise)
        if not old:
            continue
        full[exercise] = new
        value = parts.get(exercise)
        if value is not None:
            parts[exercise] = value * new / old
        reasons.append(f"{exercise} counts {_points(new)} in place of {number(old)}.")
    return parts, full, reasons


def lateness(rules: Rules, student: str, time: datetime | None) -> timedelta:
    """How late a hand-in is, from this person's own deadline on; 0 within the grace."""
    due = rules.due(student)
    if due is None or time is None or time - due <= rules.grace:
        return NEVER
    return time - due


def _lateness(points, maximum, student, rules, time, reasons):
    late = lateness(rules, student, time)
    if not late or rules.late is None:
        return points
    how = rules.late
    begun = math.ceil(late / UNITS[how.per])
    share = min(begun * how.take, how.most)
    left = max(points - share / 100 * (maximum if how.of == "maximum" else points), 0.0)
    what = "the maximum" if how.of == "maximum" else "the points"
    reasons.append(
        f"Late by {begun} {how.per}{'' if begun == 1 else 's'} begun (due {_when(rules.due(student))}): "
        f"{number(share)} % of {what} off, {_points(points - left)}."
    )
    return left


def _adjustment(points, own, reasons):
    if own is None:
        return points
    change = own.points if own.points is not None else points * own.percent / 100
    size = f"{number(own.percent):+} %" if own.percent is not None else f"{number(change):+}"
    reasons.append(_said("Adjusted by", own, size))
    return max(points + change, 0.0)


def _bonus(points, student, rules, reasons):
    own = rules.bonus.get(student)
    if own is None:
        return points
    reasons.append(_said("Bonus", own, f"{number(own.points):+}"))
    return points + own.points


def _said(what, own, how):
    return f"{what} {how}: {own.why.strip().rstrip('.')}."


def _points(value):
    value = number(value)
    return f"{value} point{'' if value == 1 else 's'}"


# ------------------------------------------------------------------ which hand-in counts


def chosen(candidates: list[Mark], rules: Rules) -> int:
    """Which of a person's hand-ins counts, oldest first: its place in the list.

    "last": the last one, whatever became of it. "best": the one with most adjusted points; of equal ones
    the one with less to wait for, then the later one.
    """
    if rules.counts == "last" or len(candidates) == 1:
        return len(candidates) - 1

    def rank(i):
        mark = candidates[i]
        value = -1.0 if mark.adjusted is None else mark.adjusted
        return value, -len(mark.waiting), i

    return max(range(len(candidates)), key=rank)


# ------------------------------------------------------------------ in words


def in_words(policy: Policy, chapters: Iterable[str]) -> list[str]:
    """What holds, chapter by chapter, and then for whom."""
    lines = []
    for chapter in chapters:
        rules = policy.of(chapter)
        lines.append(f"{chapter}: {_common(rules)}")
        for name, verb in (("dropped", "dropped"), ("full_points", "full points for everybody")):
            lines += [f"  {exercise}: {verb}" for exercise in getattr(rules, name)]
        lines += [f"  {exercise}: counts {_points(new)}" for exercise, new in rules.weight.items()]
        for who, extension in rules.extensions.items():
            why = f" ({extension.why})" if extension.why else ""
            lines.append(f"  {who}: until {_when(extension.until)}{why}")
        for name in ("adjust", "bonus"):
            lines += [
                f"  {who}: {_extra_words(name, own)}" for who, own in getattr(rules, name).items()
            ]
    return lines


def _common(rules):
    words = [f"until {_when(rules.deadline)}" if rules.deadline else "no deadline"]
    if rules.deadline and rules.grace:
        words.append(f"{number(rules.grace / timedelta(minutes=1))} minutes of grace")
    if rules.deadline and rules.late:
        late = rules.late
        words.append(
            f"{number(late.take)} % of the {late.of} off for each {late.per} begun, {number(late.most)} % at most"
        )
    words.append(f"the {rules.counts} hand-in counts")
    return "; ".join(words)


def _extra_words(name, own):
    if own.to is not None:
        return f"set to {number(own.to)} ({own.why})"
    size = (
        f"{number(own.points):+} points" if own.points is not None else f"{number(own.percent):+} %"
    )
    return f"{name} {size} ({own.why})"


def _when(time: datetime) -> str:
    return time.isoformat(sep=" ", timespec="minutes")


def as_time(text: str) -> datetime | None:
    """The time of a hand-in as it was written down; None for none, or none with a zone.

    ISO 8601, and nbgrader's "2026-12-01 10:00:00.000000 UTC" and "… +0100".
    """
    text = re.sub(r"\s*(UTC|GMT|Z)$", "+00:00", text.strip())
    text = re.sub(r"\s+([+-]\d\d:?\d\d)$", r"\1", text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


TEMPLATE = """# What holds in this class. Everything is optional; take the "#" away from what you need.
# Times carry their zone: +01:00, or Z for UTC. People are named by their key (students.csv, submitted/KEY).
# `maml-edu classroom policy` says what holds for whom, and finds mistakes.

# For every chapter, unless the chapter says otherwise:
[defaults]
# counts = "last"          # or "best": of several hand-ins the one with most points, lateness counted
# grace = "15 minutes"     # late within it costs nothing; beyond it, lateness counts from the deadline
# late = { per = "day", take = 10, of = "maximum", most = 50 }
#                          # per "day" or "hour" begun; per cent of the "maximum" or of the "points"; at most

# A chapter, by its number or its whole name:
# [chapters.04]
# deadline = 2026-12-01T23:59:00+01:00
# dropped = ["04.best_start"]            # counts for nobody, and the maximum shrinks
# full_points = ["04.meta_slope"]        # or: everybody has all of its points
# weight = { "written_04" = 4 }          # counts so many points; what was given is scaled

# [chapters.04.extensions]
# "wang" = { until = 2026-12-08T23:59:00+01:00, why = "ill" }

# [chapters.04.bonus]                    # may go above the maximum
# "ada" = { points = 1, why = "found a mistake in the lesson" }

# [chapters.04.adjust]                   # the submission as a whole: points, percent, or to
# "bob" = { percent = -20, why = "two of three cells were copied, as agreed" }
"""
