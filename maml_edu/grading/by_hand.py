"""`marks/by_hand.csv`: what people give, a line for an answer; read strictly, changed cell by cell.

The columns are student, exercise, points, comment, answer. `answer` says which answer was read: "sha-" and
the digest of the answer (`Verdict.answer`), "file-" and that of the file where an answer has none of its
own, or "nothing". A line is for that answer and no other: when another one is handed in, a line of its own
is added for it, and the old one stays, to be shown beside it. The prefix keeps a spreadsheet from taking
sixteen digits for a number.

Whatever a spreadsheet made of the file stays as it is: order, semicolons, decimal commas, byte order mark.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from .exports import tables
from .results import Result

COLUMNS = ["student", "exercise", "points", "comment", "answer"]
NEEDED = COLUMNS[:3]
LOCK_SECONDS = 60
NOTHING = "nothing"  # was handed in that could be read
LONGEST = 5000  # characters of a comment


@dataclass(frozen=True)
class Given:
    """What a person gave for one answer; points None where there is a comment only.

    answer: which answer it is for, "" where nobody has said. others: what was given to other answers of the
    same student to the same exercise. changed: that there is no word about the present answer, and points
    for another.
    """

    points: float | None
    comment: str = ""
    answer: str = ""
    others: tuple[Given, ...] = ()
    changed: bool = False

    @property
    def empty(self) -> bool:
        return self.points is None and not self.comment.strip()


Key = tuple[str, str]  # (student, exercise)
ByHand = Mapping[Key, Given]  # what was given
Maxima = Mapping[str, Mapping[str, float]]  # chapter → exercise → the points it is worth


# ------------------------------------------------------------------ which answer


def fingerprints(result: Result, exercise: str) -> list[str]:
    """What names the answer to an exercise of a submission; the first is what is written into the table.

    Empty for a result that knows neither its answers nor its file.
    """
    own = [v.answer for v in result.verdicts if v.exercise == exercise and v.answer]
    names = [f"sha-{answer}" for answer in own]
    names += [f"file-{result.sha256[:16]}"] if result.sha256 else []
    return names or ([NOTHING] if result.status == "rejected" else [])


def given_for(result: Result, exercise: str, by_hand: ByHand) -> Given | None:
    """What a person gave for this answer to an exercise, if anything.

    Points for another answer do not count: what is left of them is `changed`.
    """
    entry = by_hand.get((result.student, exercise))
    if entry is None:
        return None
    names = fingerprints(result, exercise)
    lines = [replace(entry, others=()), *entry.others]
    if not names:
        return lines[-1] if len(lines) > 1 else entry
    here = [line for line in lines if line.answer in names] or [
        line for line in lines if not line.answer
    ]
    old = tuple(line for line in lines if line not in here and not line.empty)
    chosen = here[-1] if here else Given(None)
    changed = chosen.points is None and any(line.points is not None for line in old)
    return replace(chosen, others=old, changed=changed)


# ------------------------------------------------------------------ reading


def read_by_hand(path: Path, worth: Maxima | None = None) -> dict[Key, Given]:
    """What people gave, from `by_hand.csv`; nothing when there is no such file yet.

    worth: as from `marks.maxima`; with it, points above the maximum and misspelt exercises are found.
    Raises ValueError that names the line.
    """
    if not path.is_file():
        return {}
    header, rows = tables.read(path)
    _check_header(path, header)
    lines: dict[tuple[str, str, str], int] = {}
    given: dict[Key, Given] = {}
    for line, row in rows:
        key, value = _line(f"{path}, line {line}", header, row, worth)
        if (*key, value.answer) in lines:
            raise ValueError(
                f"{path}, line {line}: {key[1]} of {key[0]} is on line "
                f"{lines[*key, value.answer]} already: keep one."
            )
        lines[*key, value.answer] = line
        before = given.get(key)
        given[key] = value if before is None else replace(before, others=(*before.others, value))
    return given


def _check_header(path, header):
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in NEEDED if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise ValueError(
            f"{path}, line 1: the columns must be {', '.join(COLUMNS)}, not {', '.join(header)}."
        )


def _line(where, header, row, worth):
    """One line: ((student, exercise), Given)."""
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        raise ValueError(f"{where}: there are more cells than columns: is a comma outside quotes?")
    cells = dict(zip(header, row, strict=False))
    if len(row) < len(header) and re.fullmatch(r"\d{1,2}", cells.get("comment", "").strip()):
        one = f"{cells.get('points', '')},{cells['comment']}"
        raise ValueError(f'{where}: is {one} meant? Write {one.replace(",", ".")}, or "{one}".')
    student, exercise = cells.get("student", ""), cells.get("exercise", "").strip()
    if not student.strip() or not exercise:
        raise ValueError(f"{where}: a student and an exercise are needed.")
    points = _points(where, cells.get("points", "").strip())
    if worth is not None:
        _check_worth(where, exercise, points, worth)
    answer = _answer(where, cells.get("answer", "").strip())
    return (student, exercise), Given(points, cells.get("comment", ""), answer)


def _points(where, text):
    if not text:
        return None
    # A spreadsheet in many languages writes 1,5.
    if not re.fullmatch(r"[+-]?\d{1,9}([.,]\d{0,9})?", text, re.ASCII):
        raise ValueError(f"{where}: the points must be a number, not {text[:40]!r}.")
    points = float(text.replace(",", "."))
    if points < 0:
        raise ValueError(
            f"{where}: the points must not be negative, and are {text}. (What is taken off a whole "
            "submission goes into policy.toml.)"
        )
    return points


def _answer(where, text):
    """Which answer a line is for; the digest alone, as a person may copy it, is good as well."""
    if re.fullmatch(r"[0-9a-f]{16}", text):
        return f"sha-{text}"
    if text and text != NOTHING and not re.fullmatch(r"(sha|file)-[0-9a-f]{16}", text):
        raise ValueError(
            f"{where}: the last column says which answer was read, and {text[:40]!r} does not. Leave it "
            "empty: grading fills it in."
        )
    return text


def _check_worth(where, exercise, points, worth):
    known = {name: value for chapter in worth.values() for name, value in chapter.items()}
    if exercise not in known:
        number = re.search(r"\d\d", exercise)
        if number and not any(chapter.startswith(number[0]) for chapter in worth):
            return  # of a chapter that has not been graded yet
        near = difflib.get_close_matches(exercise, known, n=2)
        hint = f" Is it {' or '.join(near)}?" if near else ""
        raise ValueError(f"{where}: there is no exercise {exercise!r}.{hint}")
    if points is not None and points > known[exercise]:
        raise ValueError(
            f"{where}: {exercise} is worth {tables.number(known[exercise])} points, and "
            f"{tables.number(points)} are given. (A bonus goes into policy.toml.)"
        )


# ------------------------------------------------------------------ writing


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else of ours writes the table meanwhile. Raises RuntimeError when somebody does for long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise RuntimeError(
            f"another process has been writing {path} for {LOCK_SECONDS} seconds: wait for it to end, "
            "and try again."
        ) from error
    try:
        yield
    finally:
        lock.release()


class Table:
    """The table as it lies there, to be changed cell by cell; inside `locked`.

    Raises ValueError for what `read_by_hand` would not read.
    """

    def __init__(self, path: Path):
        self.path = path
        self.changed = False
        if not path.is_file():
            tables.write(path, COLUMNS, [])
        read_by_hand(path)
        self.sheet = tables.Sheet.of(path)
        if "answer" not in self.sheet.header:
            self.sheet.cells[0].append(self._text("answer"))
        names = self.sheet.header
        if "comment" not in names:
            self.sheet.cells[0].append(self._text("comment"))
            names = self.sheet.header
        self.column = {name: names.index(name) for name in COLUMNS}

    def _text(self, text: str) -> str:
        return '"' + tables.safe(text).replace('"', '""') + '"'

    def rows(self) -> Iterator[tuple[int, Key, Given]]:
        """(row, (student, exercise), what it says) of every line that says something."""
        for row in range(1, len(self.sheet.cells)):
            said = {
                name: tables.plain(self.sheet.value(row, at)) for name, at in self.column.items()
            }
            if any(text.strip() for text in said.values()):
                points = _points("", said["points"].strip())
                answer = _answer("", said["answer"].strip())
                key = said["student"], said["exercise"].strip()
                yield row, key, Given(points, said["comment"], answer)

    def set(self, row: int, name: str, text: str) -> None:
        """Let a cell say something else."""
        if tables.plain(self.sheet.value(row, self.column[name])) != text:
            self.sheet.set(row, self.column[name], tables.safe(text) if name != "points" else text)
            self.changed = True

    def add(self, key: Key, given: Given) -> None:
        """A line more, at the end."""
        line = [""] * len(self.sheet.cells[0])
        texts = {"student": key[0], "exercise": key[1], "answer": given.answer}
        for name, text in (texts | {"comment": given.comment}).items():
            line[self.column[name]] = self._text(text) if text else '""'
        line[self.column["points"]] = self.number(given.points)
        ends = self.sheet.ends
        newline = ends[0] or "\r\n"
        ends[-1] = ends[-1] or newline
        self.sheet.cells.append(line)
        ends.append(newline)
        self.changed = True

    def number(self, points: float | None) -> str:
        """Points as this file writes them: a spreadsheet that uses semicolons uses decimal commas."""
        text = "" if points is None else str(tables.number(points))
        return text.replace(".", ",") if self.sheet.delimiter == ";" else text

    def save(self) -> None:
        """Write it, whole or not at all, if anything has changed."""
        if self.changed:
            self.sheet.save(self.path)


def bind(path: Path, found: Iterable[Result]) -> int:
    """Write into each line that names no answer which one it is for: the one that was graded last.

    How many lines. Raises ValueError when the table cannot be read, or has two lines for one answer.
    """
    if not path.is_file():
        return 0
    with locked(path):
        table = Table(path)
        names = _present(found)
        bound = 0
        for row, key, given in table.rows():
            present = names.get(key)
            if given.answer or not present:
                continue
            table.set(row, "answer", present[0])
            bound += 1
        _refuse_twice(table)
        table.save()
        return bound


def _present(found: Iterable[Result]) -> dict[Key, list[str]]:
    """Student and exercise → what names the answer that is there now."""
    found = list(found)
    worth: dict[str, set[str]] = {}
    for result in found:
        worth.setdefault(result.chapter, set()).update(v.exercise for v in result.verdicts)
    return {
        (result.student, exercise): fingerprints(result, exercise)
        for result in found
        for exercise in worth[result.chapter]
    }


def _refuse_twice(table: Table) -> None:
    lines: dict[tuple[str, str, str], int] = {}
    for row, key, given in table.rows():
        if given.answer and (*key, given.answer) in lines:
            raise ValueError(
                f"{table.path}: {key[1]} of {key[0]} has two lines for one answer, the "
                f"{lines[*key, given.answer]}. and the {row}. below the head: keep one."
            )
        lines[*key, given.answer] = row


def add_waiting(path: Path, waiting: Iterable[tuple[Key, str]]) -> int:
    """Add a line without points for each of these answers that has none; how many.

    A line that was left empty is used again, for the answer that is there now, unless its own still waits.
    What is there stays, in its order.
    """
    waiting = list(dict.fromkeys(waiting))
    wanted = set(waiting)
    with locked(path):
        table = Table(path)
        lines: dict[Key, list[tuple[int, Given]]] = {}
        for row, key, given in table.rows():
            lines.setdefault(key, []).append((row, given))
        added = 0
        for key, answer in waiting:
            own = lines.get(key, [])
            if any(given.answer in ("", answer) or not answer for _, given in own):
                continue
            spare = [one for one in own if one[1].empty and (key, one[1].answer) not in wanted]
            if spare:
                own.remove(spare[0])
                table.set(spare[0][0], "answer", answer)
            else:
                table.add(key, Given(None, "", answer))
                added += 1
        table.save()
        return added


@dataclass(frozen=True)
class Wish:
    """What somebody wants to give to an answer. seen: what stood there when they looked, None: no matter."""

    student: str
    exercise: str
    answer: str
    points: float | None
    comment: str
    seen: Given | None = None


class Conflict(RuntimeError):
    """Somebody else has given something else meanwhile; `now` is what stands there."""

    def __init__(self, wish: Wish, now: Given):
        self.wish, self.now = wish, now
        super().__init__(
            f"{wish.student}, {wish.exercise}: meanwhile somebody else gave {self.given}"
        )

    @property
    def given(self) -> str:
        """What, in words."""
        points = (
            "no points" if self.now.points is None else f"{tables.number(self.now.points)} points"
        )
        return points + (f" ({self.now.comment})" if self.now.comment else "")


def give(path: Path, wishes: Iterable[Wish]) -> list[Given]:
    """Write what a person gives, all of it or nothing; what stood there before, answer by answer.

    Raises Conflict, and ValueError when the table cannot be read.
    """
    with locked(path):
        table = Table(path)
        before = []
        # Two hand-ins of one person may have one answer, and it has one line.
        for wish in {(w.student, w.exercise, w.answer): w for w in wishes}.values():
            row, now = _line_of(table, wish)
            if wish.seen is not None and _says(now) != _says(wish.seen):
                raise Conflict(wish, now)
            before.append(now)
            comment = clean(wish.comment)
            if row is None:
                key = (wish.student, wish.exercise)
                table.add(key, Given(wish.points, comment, wish.answer))
                continue
            table.set(row, "points", table.number(wish.points))
            table.set(row, "comment", comment)
            table.set(row, "answer", wish.answer)
        table.save()
        return before


def _says(given: Given) -> tuple[float | None, str]:
    """Points, as they are shown, and comment."""
    return None if given.points is None else tables.number(given.points), given.comment


def _line_of(table: Table, wish: Wish) -> tuple[int | None, Given]:
    """The line for an answer, and what it says; an empty or unbound one serves as well."""
    own = [(row, given) for row, key, given in table.rows() if key == (wish.student, wish.exercise)]
    exact = [pair for pair in own if pair[1].answer == wish.answer]
    spare = [pair for pair in own if not pair[1].answer or pair[1].empty]
    for row, given in exact or spare:
        return row, given
    return None, Given(None)


def clean(comment: str) -> str:
    """A comment as it may stand in a table: no signs that move a cursor, and of a bearable length."""
    text = comment.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(c for c in text if c in "\n\t" or c >= " ")
    return text.encode("utf-8", "replace").decode()[:LONGEST]
