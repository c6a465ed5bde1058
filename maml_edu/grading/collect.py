"""What students have handed in elsewhere comes into a class folder: `collect`.

Whose each hand-in is, `_Finder` says, by the roster; `hand_ins.put` lays it where it belongs. Everybody's line is
in students.csv before the first file is laid, so that a run that was killed finds the same people again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from . import classroom as classes
from . import downloads, files, hand_ins, lists
from .classroom import Classroom, folders
from .downloads import Entry
from .files import File
from .people import (
    FILE,
    HandIn,
    LeftOut,
    Match,
    Roster,
    Student,
    Who,
    folded,
    is_key,
    note_left_out,
    squashed,
)
from .submission import ENDING, Rejected, plain_name, printable

LARGEST_HAND_IN = 200 << 20  # bytes
MOST_BESIDE = 100  # files beside the notebooks
ARCHIVE = re.compile(r"\.(rar|7z|tar|tgz|tar\.gz|gz|xz)$", re.I)


@dataclass(frozen=True)
class How:
    """How downloads are read. system: of `downloads.SYSTEMS`; pattern: of names; lists: of the class."""

    system: str | None = None
    pattern: str | None = None
    lists: Sequence[Path] = ()


@dataclass
class Collected:
    """What collecting did. counts: key → "new", "newer", "older", "before" or "same". told: for the teacher,
    in words. missing: who has handed in nothing of the chapter."""

    counts: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    left: list[LeftOut] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        how_often = Counter(self.counts.values())
        laid = how_often["new"] + how_often["newer"]
        lines = [f"{laid} students' notebooks were copied to submitted/."]
        if how_often["newer"]:
            lines.append(
                f"{how_often['newer']} of them replace an earlier hand-in, which is in earlier/."
            )
        if how_often["same"]:
            lines.append(f"{how_often['same']} were there already.")
        if how_often["older"]:
            who = ", ".join(sorted(k for k, what in self.counts.items() if what == "older"))
            lines.append(
                f"what is in submitted/ is newer, and stays; these went to earlier/: {who}."
            )
        lines += self.told
        lines += [f"left out: {one.what}: {one.why}" for one in self.left]
        if self.missing:
            lines.append(f"handed in nothing: {', '.join(self.missing)}")
        return [printable(line) for line in lines]


def collect(
    classroom: Classroom, paths: Path | Sequence[Path], chapter: str, how: How | None = None
) -> Collected:
    """Take one or more downloads, folders or zips, into submitted/.

    Raises ValueError for what is no download, or where it would be a guess which system it is of;
    nothing is changed then.
    """
    how = how or How()
    root, done = classroom.root, Collected()
    with contextlib.ExitStack() as stack:
        stack.enter_context(hand_ins.alone(root))
        roster = Roster.of(root)
        for path in how.lists:
            done.told += lists.merge_list(roster, path, chapter).told
        finder = _Finder(roster, root, chapter)
        found: list[tuple[Entry, list[Student]]] = []
        for path in [paths] if isinstance(paths, Path) else paths:
            tree = stack.enter_context(files.opened(path))
            reading = downloads.read(tree, chapter, how.system, how.pattern, finder.known)
            done.left += [_left(chapter, what, why) for what, why in reading.left.items()]
            found += finder.find(reading.entries)
        roster.save(root / "students.csv")
        done.told += finder.lines()
        done.left += [_left(chapter, what, why) for what, why in finder.left.items()]
        for entry, students in sorted(found, key=_order):
            _take(root, entry, students, chapter, done)
        done.told += hand_ins.share(root, roster, chapter)
        done.left = list(dict.fromkeys(done.left))
        note_left_out(root, done.left)
        done.missing = hand_ins.missing(root, roster, chapter)
    return done


def _left(chapter: str, what: str, why: str, student: str = "") -> LeftOut:
    when = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    return LeftOut(when, chapter, printable(what), printable(why), student)


def _order(found: tuple[Entry, list[Student]]) -> tuple[datetime, str]:
    """Hand-ins of one person one after the other, the oldest first."""
    return _moment(found[0])[0] or datetime.min.replace(tzinfo=UTC), found[0].label


def _moment(entry: Entry) -> tuple[datetime | None, str]:
    """When something was handed in, and who says so: the download, or the newest notebook's own time."""
    if entry.time is not None:
        return entry.time, "download"
    known = [downloads.of_file(file) for file in entry.files]
    times = [time for time in known if time is not None]
    return (max(times), "file") if times else (None, "")


# ------------------------------------------------------------------ whose it is


class _Finder:
    """Says whose each hand-in of a download is, and adds to the roster who is new."""

    def __init__(self, roster: Roster, root: Path, chapter: str):
        self.roster, self.chapter = roster, chapter
        self.was_empty = not len(roster)
        self.taken = {
            folder.name
            for above in ("submitted", "earlier", "feedback")
            for folder in folders(root / above)
        }
        self.teams = False
        self.added: list[str] = []
        self.by_name: list[str] = []
        self.told: list[str] = []
        self.left: dict[str, str] = {}

    def known(self, word: str) -> bool:
        found = self.roster.match(Who(word=word), self.chapter)
        return found.student is not None or found.torn

    def find(self, entries: list[Entry]) -> list[tuple[Entry, list[Student]]]:
        """Every hand-in with the people whose it is; what could be two people's is left out."""
        people = {_identity(who): who for entry in entries for who in entry.who}
        exactly = Counter(who.name or who.word for who in people.values())
        alike = Counter(folded(who.name or who.word) for who in people.values())
        self.teams = all("moodle" in who.once and "-" in who.name for who in people.values())
        matches: dict[object, Match] = {}
        for identity, who in people.items():
            name = who.name or who.word
            matches[identity] = self._match(who, exactly[name] == 1, alike[folded(name)] > 1)
        self.told += _undo_twins(matches)
        own: dict[object, list[Student]] = {}
        found = []
        for entry in entries:
            if self._may_be_two(entry, matches) or self._is_torn(entry, matches):
                continue
            for who in entry.who:
                identity = _identity(who)
                if identity not in own:
                    own[identity] = self._people(who, matches[identity], entry.label)
            found.append((entry, [s for who in entry.who for s in own[_identity(who)]]))
        return found

    def _match(self, who: Who, alone: bool, alike: bool) -> Match:
        found = self.roster.match(who, self.chapter, alone, alike)
        if found.student is None and self.teams:
            # where groups hand in, Moodle puts their name in front of all names: "Group 1-Ada Lovelace"
            for place in (m.end() for m in re.finditer("-", who.name)):
                inner = self.roster.match(
                    replace(who, name=who.name[place:].strip()), self.chapter, alone, alike
                )
                if inner.student is not None:
                    return inner
        return found

    def _may_be_two(self, entry: Entry, matches: dict[object, Match]) -> bool:
        """Whether nothing but a name tells, and that of two files, or in two ways."""
        who = entry.who[0]
        if _identity(who) == ("", ""):
            self.left[entry.label or "''"] = "its name says nobody's name"
            return True
        if _second_reading(entry):
            student = matches[_identity(who)].student
            known = squashed(student.name) | {folded(student.name)} if student else set()
            if folded(who.name) not in known:
                self.left[entry.label] = (
                    "its name can be read in two ways, and students.csv does not tell which number is the user's: "
                    "give Canvas's gradebook with --roster"
                )
                return True
        if not entry.flat or len(entry.files) < 2 or who.ids or who.once:
            return False
        match = matches[_identity(who)]
        if match.student is not None and match.by in ("key", "number"):
            names = ", ".join(file.name for file in entry.files)
            self.told.append(
                f"{names}: taken for one hand-in, of {match.student.key}; where one of them is somebody "
                "else's, put each person's into a folder"
            )
            return False
        self.left[f"{who.name or who.word}: {', '.join(file.name for file in entry.files)}"] = (
            "more than one file of that name, which may be two people's: put each person's into a folder"
        )
        return True

    def _is_torn(self, entry: Entry, matches: dict[object, Match]) -> bool:
        """Whether what somebody goes by is one person's here and another's there."""
        torn = [m for who in entry.who if (m := matches[_identity(who)]).torn]
        if torn:
            self.left[entry.label] = torn[0].why
        return bool(torn)

    def _people(self, who: Who, match: Match, label: str) -> list[Student]:
        """Somebody of the roster, a group of it, or somebody new."""
        if match.student is not None:
            if match.by == "name":
                self.by_name.append(match.student.key)
            plain = replace(who, group="")  # of this hand-in alone
            self.told += self.roster.learn(match.student.key, plain, self.chapter)
            return [self.roster[match.student.key]]
        for word in (who.word, who.name, who.ids.get("github", "")):
            if members := self._group(word, who.squashed):
                return members
        student = self.roster.add(replace(who, group=""), self.chapter, self.taken)
        self.added.append(student.key)
        if not self.was_empty or match.perhaps:
            self.told.append(_new(student.key, label, match.perhaps))
        return [student]

    def _group(self, word: str, without_blanks: bool) -> list[Student]:
        if not without_blanks:
            return self.roster.members(word)
        plain = re.sub(r"\W", "", folded(word))
        return [s for s in self.roster if s.group and re.sub(r"\W", "", folded(s.group)) == plain]

    def lines(self) -> list[str]:
        """What was guessed, and how it is put right."""
        told = list(self.told)
        if self.by_name:
            told.insert(
                0,
                f"{len(self.by_name)} people were found by their name alone, which nobody else has; where that is "
                "wrong, give the system's list with --roster, or the right number in students.csv.",
            )
        if self.added:
            told.insert(0, f"{len(self.added)} people are new in students.csv.")
        return told


def _new(key: str, label: str, perhaps: tuple[str, ...]) -> str:
    who = f" ({', '.join(perhaps)} may be the same person)" if perhaps else ""
    other = perhaps[0] if perhaps else "KEY"
    return (
        f"{label}: nobody in students.csv is that for certain{who}, so {key} is new there; if it is somebody "
        f"who was there: maml-edu classroom roster --merge {key} {other}"
    )


def _identity(who: Who) -> object:
    numbers = tuple(sorted([*who.ids.items(), *who.once.items()]))
    return numbers or (who.name, who.word)


def _second_reading(entry: Entry) -> bool:
    """Whether a file's name can be read with another number for its user: a Canvas name may end in _507.

    "eve_507_509_880027_x.ipynb" is 507's attachment 509, or that of 509, who is called eve_507.
    """
    starts = [re.match(r"(\d{4,})_", name) for name in entry.names]
    return entry.system == "canvas" and bool(entry.who[0].ids) and any(starts)


def _undo_twins(matches: dict[object, Match]) -> list[str]:
    """Two of one download who are found to be one person: the one found by a name is somebody else.

    Who is found in two other ways, say by key and by login, is told.
    """
    own: dict[str, list[object]] = {}
    for identity, match in matches.items():
        if match.student is not None:
            own.setdefault(match.student.key, []).append(identity)
    told = []
    for key, identities in own.items():
        sure = [identity for identity in identities if matches[identity].by != "name"]
        for identity in identities:
            if len(identities) > 1 and identity not in sure:
                matches[identity] = Match(None, perhaps=(key,))
        if len(sure) > 1:
            how = ", ".join(sorted({f"its {matches[identity].by}" for identity in sure}))
            told.append(
                f"{key}: {len(sure)} hand-ins under different names are all theirs, by {how}; the newest counts. "
                "Where one is somebody else's, put students.csv right and collect again"
            )
    return told


# ------------------------------------------------------------------ what it is


def _take(root: Path, entry: Entry, students: list[Student], chapter: str, done: Collected) -> None:
    """Make a hand-in ready for each of its people, and lay it."""
    for student in students:
        ready = hand_ins.new_folder(root)
        try:
            own = _made(ready, entry, student, chapter, done)
            if len(students) > 1:
                group = entry.who[0].group or student.group
                own = replace(own, group=group or ", ".join(s.key for s in students))
            hand_ins.close(ready, own)
            what = hand_ins.put(root, ready, own)
        except Rejected as error:
            shutil.rmtree(ready)
            done.left.append(_left(chapter, entry.label, str(error), student.key))
        except OSError as error:
            done.left.append(_left(chapter, entry.label, error.strerror or str(error), student.key))
        else:
            if what == "before":
                done.told.append(
                    f"{student.key}: handed in again what is in earlier/, and no time of a system's says that it "
                    "came last, so what replaced it counts; if this is to count, move "
                    f"submitted/{student.key}/{chapter} out of the class folder and collect again"
                )
            before = done.counts.get(student.key)
            done.counts[student.key] = what if before not in ("new", "newer") else before


def _made(ready: Path, entry: Entry, student: Student, chapter: str, done: Collected) -> HandIn:
    """Copy a hand-in's files; what is known of it. Raises Rejected where no notebook is in it."""
    pairs = _unpacked(entry, student.key, chapter, done)
    notebooks, beside = _chosen(pairs, chapter)
    if not notebooks:
        held = ", ".join(name for _, name in pairs[:5]) or "nothing"
        also = (
            "; unpack it, or ask for a .zip"
            if any(ARCHIVE.search(name) for _, name in pairs)
            else ""
        )
        raise Rejected(f"no notebook in it, but {held}{also}")
    moment, told_by = _moment(entry)
    own = HandIn(
        student.key,
        chapter,
        system=entry.system,
        numbers=entry.numbers,
        name=entry.who[0].name or entry.who[0].word,
        time=moment.isoformat() if moment else "",
        time_from=told_by,
        late=entry.late,
        group=entry.who[0].group,
        collected=hand_ins.stamp_now(),
    )
    taken, left = {FILE.casefold(), "timestamp.txt"}, LARGEST_HAND_IN
    for file, name in [*notebooks, *beside]:
        usual = len(notebooks) == 1 and (file, name) in notebooks and _usual(name, chapter)
        stored = _stored(f"{chapter}.ipynb" if usual else name, taken)
        try:
            left -= _copy(file, ready / stored, left, own)
        except Rejected as error:
            if (file, name) in notebooks:
                raise
            done.left.append(_left(chapter, f"{entry.label}: {name}", str(error), student.key))
            continue
        own.files.append("/".join(file.path) if len(file.path) > 1 else file.name)
        own.stored.append(stored)
        if (file, name) in notebooks and _is_lesson(ready / stored):
            done.told.append(
                f"{student.key}: {name} is the lesson of the chapter, not its exercises"
            )
    return own


def _copy(file: File, target: Path, left: int, own: HandIn) -> int:
    with open(target, "xb") as out:
        try:
            own.sha256.append(file.copy(out, min(left, files.LARGEST_FILE)))
        except Rejected:
            target.unlink()
            raise
        size = out.tell()
    if file.time is not None:
        with contextlib.suppress(OSError, OverflowError, ValueError):
            os.utime(target, (file.time, file.time))
    return size


def _unpacked(entry: Entry, key: str, chapter: str, done: Collected) -> list[tuple[File, str]]:
    """The files of a hand-in with their own names; a zip among them is what it holds."""
    found = []
    for file, name in zip(entry.files, entry.names, strict=True):
        if not files.is_zip(replace(file, path=(*file.path[:-1], name))):
            found.append((file, name))
            continue
        try:
            passed: dict[str, str] = {}
            found += [(one, one.name) for one in files.within(file, passed=passed)]
            done.left += [
                _left(chapter, f"{entry.label}: {name}/{what}", why, key)
                for what, why in passed.items()
            ]
        except Rejected as error:
            done.left.append(_left(chapter, f"{entry.label}: {name}", str(error), key))
    return found


Pairs = list[tuple[File, str]]


def _chosen(pairs: Pairs, chapter: str) -> tuple[Pairs, Pairs]:
    """The notebooks of a hand-in that may be of this chapter, and the other files that lie beside them."""
    notebooks = [pair for pair in pairs if ENDING.search(pair[1])]
    if inner := [pair for pair in notebooks if chapter in pair[0].path[:-1]]:
        notebooks = inner
    others = [plain_name(name) for name in classes.with_exercises() if name != chapter]
    own = [pair for pair in notebooks if not any(name in plain_name(pair[1]) for name in others)]
    notebooks = own or notebooks
    where = {file.path[:-1] for file, _ in notebooks}
    beside = [p for p in pairs if not ENDING.search(p[1]) and p[0].path[:-1] in where]
    return notebooks, beside[:MOST_BESIDE]


def _usual(name: str, chapter: str) -> bool:
    """Whether a name is that which nbgrader expects, or what browsers and systems make of it."""
    stem = ENDING.sub("", name)
    tries = (stem, re.sub(r"-\d+$", "", stem))  # Canvas numbers files of one name
    return any(plain_name(one).endswith(plain_name(chapter)) for one in tries)


def _stored(name: str, taken: set[str]) -> str:
    """A name for a file here: plain, no longer than file systems allow, and no other file's."""
    stem, dot, ending = "".join(
        c if c.isprintable() and c not in "/\\" else "_" for c in name
    ).rpartition(".")
    stem, ending = (stem.strip(" ."), ending.strip()) if dot else (ending.strip(" ."), "")
    while len(stem.encode("utf-8", "replace")) > 150:
        stem = stem[:-1]
    ending = f".{ending[:20]}" if ending else ""
    made, count = f"{stem or 'file'}{ending}", 1
    if not is_key(made):
        stem, made = "file", f"file{ending if ending.isprintable() else ''}"
    while made.casefold() in taken:
        count += 1
        made = f"{stem or 'file'}-{count}{ending}"
    taken.add(made.casefold())
    return made


def _is_lesson(path: Path) -> bool:
    """Whether a notebook is a lesson, whose file has the name of its exercises."""
    if path.stat().st_size > 20 << 20:
        return False
    try:
        about = json.loads(path.read_bytes())["metadata"]["maml_edu"]["source"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(about, str) and about.endswith("lesson.py")
