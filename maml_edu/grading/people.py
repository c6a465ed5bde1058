"""Who is in a class: the roster in students.csv, and what each hand-in was, in its handed_in.json.

One person is one key, which names their folders in all chapters. `Roster.match` says whose a hand-in is: the
number that the system gave them decides, then address, login or student number, then a name that one person
alone has. Where that tells nothing, somebody new is added: no work is ever laid into another's folder on a guess.

A cell of students.csv that a system fills (canvas, moodle, …) may hold several numbers, with blanks between;
one that counts in a single assignment has its chapter in front, "04:20056". Moodle gives such numbers.

Exports ask `Roster.column_of("email")` or `column_of("moodle", "04_gradient_of_a_step")`, key → what stands
there, and `hand_in` for what a download said of the submission that counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from maml_edu.atomic import replacing

from . import signed
from .classroom import folders
from .exports import tables
from .signed import FILE
from .submission import ENDING

CELLS = ("name", "email", "login", "number", "canvas", "moodle", "blackboard", "group", "section")
PERSONAL = ("email", "login", "number")  # what a person has in all systems
LONGEST_KEY = 60  # letters


@dataclass(frozen=True)
class Who:
    """What a download or a list calls somebody.

    ids: column of the roster → what stands there. once: the same, of this assignment alone. word: a folder's
    or a file's name, which may be a key, a login, a number or a name. squashed: the name is Canvas's, without
    blanks. group: whose work it is, where a group hands in together. either: column → numbers of which one is
    theirs, and nobody can tell which but by a roster that has it.
    """

    name: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    once: Mapping[str, str] = field(default_factory=dict)
    word: str = ""
    squashed: bool = False
    group: str = ""
    section: str = ""
    either: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def numbers(self, chapter: str) -> Iterator[tuple[str, str]]:
        """(column, what to look for there), the surest first: numbers of systems, then those of a person."""
        yield from ((column, once_in(chapter, value)) for column, value in self.once.items())
        yield from ((c, v) for c, v in self.ids.items() if c not in PERSONAL)
        yield from ((c, self.ids[c]) for c in PERSONAL if self.ids.get(c))


@dataclass(frozen=True)
class Student:
    """A line of students.csv. others: columns beyond ours (github, brightspace, your own), which stay."""

    key: str
    name: str = ""
    email: str = ""
    login: str = ""
    number: str = ""
    canvas: str = ""
    moodle: str = ""
    blackboard: str = ""
    group: str = ""
    section: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    def cell(self, column: str) -> str:
        return getattr(self, column) if column in CELLS else self.others.get(column, "")

    def tokens(self, column: str) -> list[str]:
        """What a cell holds; a name, and an address, is one thing."""
        return self.cell(column).split()

    def numbers(self, system: str, chapter: str) -> set[str]:
        """What a system calls them: in a chapter of its own ("04:20056"), or else everywhere ("509")."""
        tokens, start = self.tokens(system), once_in(chapter, "")
        own = {token.removeprefix(start) for token in tokens if token.startswith(start)}
        if own or system == "moodle":  # Moodle's are others in each assignment
            return own
        return {token for token in tokens if ":" not in token}

    def having(self, column: str, value: str) -> Student:
        """The same with another cell."""
        if column in CELLS:
            return replace(self, **{column: value})  # type: ignore[arg-type]
        return replace(self, others={**self.others, column: value})


@dataclass(frozen=True)
class Match:
    """Who somebody is: student None where nobody can tell, with the keys that might be meant.

    torn: what they go by is one person's here and another's there, so that nobody new is meant, either.
    """

    student: Student | None
    by: str = ""  # the column that told; "key" or "name"
    perhaps: tuple[str, ...] = ()
    torn: bool = False

    @property
    def why(self) -> str:
        """What to say where it is torn."""
        return (
            f"it can be {' or '.join(self.perhaps)}, for students.csv has what it goes by in several lines: change "
            "the lines, or the name (the key and no other's login or number), or say what names are made of: "
            "--pattern '{login}/{file}'"
        )


# ------------------------------------------------------------------ names and numbers


def once_in(chapter: str, value: str) -> str:
    """A number of one assignment, as the roster holds it: "04:20056"."""
    return f"{chapter.split('_')[0]}:{value}"


def composed(text: str) -> str:
    """Text with its accents in one form, which keyboards and file systems choose differently."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """A name to compare by: case, blanks, form of the accents and "Last, First" make no difference."""
    text = " ".join(composed(text).casefold().split())
    last, comma, first = text.partition(", ")
    return composed(f"{first} {last}" if comma and ", " not in first else text)


def squashed(text: str) -> set[str]:
    """What Canvas may make of a name in a file's name: last name first, letters alone, no blanks."""
    words = folded(text).split()
    turned = [words[i:] + words[:i] for i in range(len(words))] or [[]]
    return {re.sub(r"\W", "", "".join(one)) for one in turned} - {""}


def _number(text: str) -> str:
    """A number or an address to compare by: spreadsheets take zeros off the front."""
    if ":" in text:  # of one assignment; Canvas's codes for the anonymous know case
        return composed(text)
    text = composed(text).strip().casefold()
    return text.lstrip("0") or text if text.isdecimal() else text


def key_of(text: str, taken: Collection[str], as_it_is: bool = False) -> str:
    """A new key, which no folder has yet: "li_wei", then "li_wei-2". taken: keys, `folded_key`.

    as_it_is: keep a text that can name a folder, such as that of a folder.
    """
    base = composed(text) if as_it_is and is_key(composed(text)) else _plain_key(text)
    key, count = base, 1
    while folded_key(key) in taken:
        count += 1
        key = f"{base}-{count}"
    return key


def folded_key(key: str) -> str:
    """A key as file systems compare it that know no case."""
    return composed(composed(key).casefold())


def is_key(text: str) -> bool:
    """Whether a text can name a folder, here and on the computers of others."""
    plain = (
        bool(text) and text.isprintable() and text == text.strip() and not set(text) & set("/\\")
    )
    return plain and not text.startswith(".") and len(text.encode("utf-8", "replace")) <= 200


def _plain_key(text: str) -> str:
    letters = []
    base = ""
    for c in unicodedata.normalize("NFKD", text.casefold()):
        if unicodedata.category(c).startswith("M"):
            # an accent on a Latin, Greek or Cyrillic letter may go; a vowel of Devanagari may not
            letters.append("" if base < "\u0530" else c)
        else:
            base = c
            letters.append(c if c.isalnum() else "_")
    key = composed(re.sub("_+", "_", "".join(letters)))[:LONGEST_KEY].strip("_")
    key = re.sub(
        "σ(?=_|$)", "ς", key
    )  # as Greek ends its words; folding case knows one sigma alone
    while len(key.encode("utf-8")) > 180:
        key = key[:-1]
    reserved = re.fullmatch(
        r"con|prn|aux|nul|(com|lpt)\d", key
    )  # names that Windows keeps to itself
    return f"{key}_" if reserved else key or "student"


# ------------------------------------------------------------------ the roster


class Roster:
    """The people of a class, by key, in the order of students.csv."""

    def __init__(self, students: Iterable[Student] = (), columns: Iterable[str] = ()):
        self._students = {student.key: student for student in students}
        self._columns = list(columns)

    @classmethod
    def of(cls, root: Path) -> Roster:
        """The roster of a class folder; who has a folder in submitted/ and no line is in it, too.

        Raises ValueError for a students.csv that cannot be right.
        """
        path = root / "students.csv"
        roster = read(path) if path.is_file() else cls()
        known = {composed(key) for key in roster._students}
        for folder in folders(root / "submitted"):
            if composed(folder.name) not in known and folder.name.isprintable():
                roster.put(Student(folder.name, name=folder.name))
        return roster

    def __iter__(self) -> Iterator[Student]:
        return iter(self._students.values())

    def __len__(self) -> int:
        return len(self._students)

    def __contains__(self, key: str) -> bool:
        return key in self._students

    def __getitem__(self, key: str) -> Student:
        return self._students[key]

    def put(self, student: Student) -> None:
        """Add somebody, or change their line."""
        self._students[student.key] = student

    def remove(self, key: str) -> None:
        del self._students[key]

    def save(self, path: Path) -> None:
        """Write students.csv, whole or not at all; columns that are not ours stay."""
        extra = [c for c in self._columns if c != "key" and c not in CELLS]
        extra += sorted({c for student in self for c in student.others} - set(extra))
        columns = [*CELLS, *extra]
        rows = ([student.key, *(student.cell(c) for c in columns)] for student in self)
        tables.write(path, ["key", *columns], rows)

    def column_of(self, column: str, chapter: str = "") -> dict[str, str]:
        """key → what a system calls that person; without those who have nothing there, or the same as another.

        column: name, email, login, number, canvas, moodle, blackboard or one of your own. chapter: whose
        numbers, where a system has others for each assignment (moodle).
        """
        start = once_in(chapter, "") if chapter else ""
        found: dict[str, str] = {}
        for student in self:
            own = student.tokens(column) if column not in ("name", "group", "section") else []
            of_chapter = [
                token.removeprefix(start) for token in own if start and token.startswith(start)
            ]
            always = [token for token in own if not re.match(r"\w+:", token)]
            value = (of_chapter or always or [""])[0] if own else student.cell(column)
            if value:
                found[student.key] = value
        twice = _twice(_number(value) for value in found.values())
        shared = column in ("group", "section")  # which people have together
        return {k: v for k, v in found.items() if shared or _number(v) not in twice}

    def members(self, group: str) -> list[Student]:
        """Who hands in together under this name."""
        return [s for s in self if group and s.group and folded(s.group) == folded(group)]

    def match(self, who: Who, chapter: str, alone: bool = True, alike: bool = False) -> Match:
        """Who somebody is.

        alone: nobody else in the same download or list has exactly that name. alike: somebody has it but for
        case or accents' form.
        """
        numbers = self._by_numbers(who, chapter)
        named = list(dict.fromkeys([*(key for _, key in numbers), *self._by_word(who)]))
        if len(named) > 1:
            return Match(None, perhaps=tuple(named), torn=True)
        if numbers:
            return Match(self[named[0]], numbers[0][0])
        perhaps: list[str] = []
        for by, exactly, fits in self._ways(who):
            own = [s for s in self if fits(s)]
            perhaps += [s.key for s in own if s.key not in perhaps]
            sure = by == "number" or (alone and (exactly or not alike))
            if len(own) == 1 and sure and not self._is_another(own[0], who, chapter):
                return Match(own[0], by)
            if own and by == "name":
                break
        return Match(None, perhaps=tuple(perhaps))

    def _by_numbers(self, who: Who, chapter: str) -> list[tuple[str, str]]:
        """(column, key) of everybody whom one of the numbers names, the surest first."""
        found = []
        maybe = [(column, value) for column, values in who.either.items() for value in values]
        for column, value in [*who.numbers(chapter), *maybe]:
            own = [s.key for s in self if _number(value) in map(_number, s.tokens(column))]
            if len(own) == 1:
                found.append((column, own[0]))
        return found

    def _by_word(self, who: Who) -> list[str]:
        """Everybody whose key or name, login or number a word is; of a name spelt in two ways the exact one."""
        if not (word := who.word):
            return []
        exactly = [s.key for s in self if s.key == s.name == word]
        exactly = exactly or [s.key for s in self if _has_key(s, word) or s.name == word]
        nearly = [s.key for s in self if folded(word) in (folded(s.key), folded(s.name))]
        numbers = [s.key for s in self if _has_number(s, word)]
        if len(exactly) > 1 and all(self[key].name == word for key in exactly):
            exactly = []  # namesakes: not torn between ways, and a name of several tells nothing
        if not numbers and not exactly:
            return []
        return list(dict.fromkeys([*(exactly or nearly), *numbers]))

    def _ways(self, who: Who) -> Iterator[tuple[str, bool, Callable[[Student], bool]]]:
        """Ways to find somebody by words, the narrowest first: what they go by, whether exactly, the test."""
        if word := who.word:
            yield "key", True, lambda s: s.key == word == s.name
            yield "name", True, lambda s: s.name == word  # whose key is word-2, say
            yield "key", True, lambda s: _has_key(s, word)
            yield "number", False, lambda s: _has_number(s, word)
        # what `collect` called people before there was a roster
        old = {f"{who.name}_{value}" for value in (*who.ids.values(), *who.once.values())}
        yield "key", True, lambda s: s.key in old
        if name := who.name or who.word:
            yield "name", True, lambda s: s.name == name
            yield "name", False, lambda s: bool(s.name) and folded(s.name) == folded(name)
        if who.word:
            yield "name", False, lambda s: folded(s.key) == folded(who.word)
        if who.squashed:
            yield "name", False, lambda s: folded(who.name) in squashed(s.name)

    def _is_another(self, student: Student, who: Who, chapter: str) -> bool:
        """Whether somebody has another number in the same column, so that only the name is the same."""
        for column, value in who.numbers(chapter):
            start = value.partition(":")[0] + ":" if column in who.once else ""
            own = [
                t for t in student.tokens(column) if t.startswith(start) and (start or ":" not in t)
            ]
            if own and _number(value) not in map(_number, own):
                return True
        return any(
            student.tokens(column) and not set(student.tokens(column)) & set(values)
            for column, values in who.either.items()
        )

    def learn(self, key: str, who: Who, chapter: str) -> list[str]:
        """Note what is new about somebody. What contradicts their line changes nothing, and is told."""
        student = self[key]
        told: list[str] = []
        for column, value in who.numbers(chapter):
            own = student.tokens(column)
            if _number(value) in map(_number, own):
                if not told and _is_called_otherwise(student, who):
                    told.append(
                        f"{key}: {column} {value} is {student.name} in students.csv, and {who.name} here, who "
                        "is taken for the same person; where that is wrong, put the number right there"
                    )
                continue
            start = value.partition(":")[0] + ":" if column in who.once else ""
            same_kind = [
                t for t in own if start and t.startswith(start) or not start and ":" not in t
            ]
            if same_kind:
                told.append(f"{key}: {column} is {same_kind[0]} in students.csv, and {value} here")
            elif " " not in value:
                student = student.having(column, " ".join([*own, value]))
        better = student.name in ("", key) or folded(student.name) in squashed(who.name)
        if who.name and better and not (who.squashed and student.name):
            student = replace(student, name=composed(who.name).strip())
        for column, value in (("group", who.group), ("section", who.section)):
            if value and not student.cell(column):
                student = student.having(column, value)
        self.put(student)
        return told

    def add(self, who: Who, chapter: str, taken: Collection[str] = ()) -> Student:
        """Somebody new, under a key that nobody has. taken: folders that stay out of it."""
        text = who.word or who.name or " ".join([*who.ids.values(), *who.once.values()][:1])
        keys = {folded_key(key) for key in self._students} | {folded_key(key) for key in taken}
        key = key_of(text, keys, as_it_is=bool(who.word))
        self.put(Student(key, name=who.name or who.word))
        self.learn(key, who, chapter)
        return self[key]


def _has_key(student: Student, word: str) -> bool:
    """Whether a word is somebody's key; not where they are called so in the other form of accents."""
    return student.key == word and (student.name == word or composed(student.name) != word)


def _has_number(student: Student, word: str) -> bool:
    """Whether a word is somebody's login, number or address."""
    columns = (*PERSONAL, "blackboard", "github")
    return any(_number(word) in map(_number, student.tokens(column)) for column in columns)


def _is_called_otherwise(student: Student, who: Who) -> bool:
    """Whether no word of one name is in the other, which are in the same script."""
    if student.name == student.key and not who.squashed:  # a folder's name, which is a login, say
        return False
    both = [_plain_key(student.name), _plain_key(who.name)]
    if not all(both) or not student.name or not who.name or both[0].isascii() != both[1].isascii():
        return False
    letters = [name.replace("_", "") for name in both]
    return not any(
        word in letters[1 - i] for i, name in enumerate(both) for word in name.split("_") if word
    )


def read(path: Path) -> Roster:
    """The roster of a students.csv. Raises ValueError, with the line, for one that cannot be right."""
    header, rows = tables.read(path)
    columns = [name.casefold() if name.casefold() in (*CELLS, "key") else name for name in header]
    if "key" not in columns:
        raise ValueError(
            f"{path}, line 1: there is no column key, which says how a person's folder is called; it has "
            f"{', '.join(header)}. maml-edu classroom roster FILE reads other lists."
        )
    if twice := _twice(name for name in columns if name):
        raise ValueError(f"{path}, line 1: the column {sorted(twice)[0]!r} is there twice.")
    _check_cells(path, len(columns), rows)
    found = Roster(columns=columns)
    seen: dict[str, int] = {}
    for line, row in rows:
        cells = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if name}
        key = cells.pop("key", "")
        where = f"{path}, line {line}"
        if not is_key(key):
            raise ValueError(f"{where}: {key!r} cannot be a key, for no folder can have that name.")
        if folded_key(key) in seen:
            raise ValueError(f"{where}: {key!r} is the key of line {seen[folded_key(key)]}, too.")
        seen[folded_key(key)] = line
        ours = {name: cell for name, cell in cells.items() if name in CELLS}
        others = {name: cell for name, cell in cells.items() if name not in CELLS}
        found.put(Student(key, **ours, others=others))
    return found


def _check_cells(path: Path, columns: int, rows: list[tuple[int, list[str]]]) -> None:
    """A line with more cells than columns has a comma too many, and all behind it in the wrong column."""
    for line, row in rows:
        if len(row) > columns:  # though all that is too much is empty: the cells before have moved
            raise ValueError(
                f"{path}, line {line}: there are {len(row)} cells and {columns} columns: put a cell with a comma "
                'in it in quotes, as in "Lovelace, Ada".'
            )


def _twice(words: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {word for word in words if word in seen or seen.add(word)}  # type: ignore[func-returns-value]


# ------------------------------------------------------------------ what was handed in


@dataclass(frozen=True)
class HandIn:
    """What is known of one hand-in: `handed_in.json` beside its files.

    numbers: what the system calls person and submission. files: names in the download, stored: names here,
    sha256: of each, all in one order. time: ISO 8601 with its zone, or ""; it is the system's own where
    time_from is "download", and the file's where it is "file". collected: when, the STAMP under which it
    goes to earlier/. by: who handed it in, where it is a group's.
    """

    student: str
    chapter: str
    system: str = "folder"
    numbers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    files: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    time: str = ""
    time_from: str = ""
    late: bool | None = None
    group: str = ""
    by: str = ""
    collected: str = ""

    @property
    def moment(self) -> datetime | None:
        """When it was handed in."""
        try:
            found = datetime.fromisoformat(self.time)
        except ValueError:
            return None
        return found if found.tzinfo else found.astimezone()

    def same_work(self, other: HandIn) -> bool:
        """Whether the files hold the same, whatever they are called."""
        return bool(self.sha256) and sorted(self.sha256) == sorted(other.sha256)

    def save(self, folder: Path) -> None:
        """Keep it beside its files, in the class folder."""
        signed.write(folder, asdict(self))


def hand_in(folder: Path, student: str, chapter: str) -> HandIn | None:
    """What is known of a hand-in's folder, or can be seen where nbgrader or a person made it; None: no folder."""
    if folder.is_symlink() or not folder.is_dir():
        return None
    said = signed.read(folder, student, chapter)
    if said is None:  # none, or one that somebody else wrote: the files themselves tell
        return _seen(folder, student, chapter)
    known = {one.name for one in fields(HandIn)}
    told = HandIn(**{name: value for name, value in said.items() if name in known})
    return replace(told, stored=[name for name in told.stored if Path(name).name == name])


def _seen(folder: Path, student: str, chapter: str) -> HandIn:
    import hashlib

    own = [p for p in sorted(folder.iterdir()) if p.is_file() and not p.is_symlink()]
    work = [p for p in own if p.name not in (FILE, "timestamp.txt")]
    notebooks = [p.stat().st_mtime for p in work if ENDING.search(p.name)]
    time, told = "", read_timestamp(folder)
    if told is not None:
        time = told.isoformat()
    elif notebooks:
        time = datetime.fromtimestamp(max(notebooks), UTC).isoformat()
    return HandIn(
        student,
        chapter,
        system="nbgrader" if told else "folder",
        files=[p.name for p in work],
        stored=[p.name for p in work],
        sha256=[hashlib.sha256(p.read_bytes()).hexdigest() for p in work],
        time=time,
        time_from="download" if told else "file" if time else "",
    )


def timestamp(moment: datetime) -> str:
    """A time as nbgrader writes it into timestamp.txt."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC") + "\n"


def read_timestamp(folder: Path) -> datetime | None:
    """The time in nbgrader's timestamp.txt; None where there is none that can be read."""
    try:
        text = (folder / "timestamp.txt").read_text(encoding="utf-8").strip()
        text, _, zone = text.rpartition(" ") if text.endswith(("UTC", "GMT")) else (text, "", "")
        found = datetime.fromisoformat(text)
    except (OSError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# ------------------------------------------------------------------ what was left out

LEFT_OUT = ["when", "chapter", "what", "why", "student"]


@dataclass(frozen=True)
class LeftOut:
    """What collect left out of a chapter, and why. student: the key, where that is known."""

    when: str
    chapter: str
    what: str
    why: str
    student: str = ""


def left_out(root: Path, chapter: str | None = None) -> list[LeftOut]:
    """What collecting has left out so far (of a chapter)."""
    path = root / "left_out.csv"
    if not path.is_file():
        return []
    header, rows = tables.read(path)
    lines = [dict(zip(header, row, strict=False)) for _, row in rows]
    found = [LeftOut(*(line.get(name, "") for name in LEFT_OUT)) for line in lines]
    return [one for one in found if chapter in (None, one.chapter)]


def note_left_out(root: Path, new: Iterable[LeftOut]) -> None:
    """Add lines to left_out.csv; one that stands there already does not come again."""
    before = left_out(root)
    known = {(one.chapter, one.what, one.why) for one in before}
    fresh = [one for one in new if (one.chapter, one.what, one.why) not in known]
    if fresh:
        rows = [[getattr(one, name) for name in LEFT_OUT] for one in [*before, *fresh]]
        tables.write(root / "left_out.csv", LEFT_OUT, rows)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
