"""Laying hand-ins where they belong, so that a kill at any moment loses nothing.

    submitted/KEY/CHAPTER/        the one that counts
    earlier/KEY/CHAPTER/STAMP/    all others, whole
    results/CHAPTER/earlier/KEY/STAMP.json    what grading found out about them

A hand-in is made ready in .collecting/, with its handed_in.json last, and moved by renaming. `finish` lays what a
run that was killed had ready, and takes away what it had not.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from .classroom import folders
from .exports import tables
from .people import (
    FILE,
    HandIn,
    Roster,
    Student,
    folded_key,
    hand_in,
    is_key,
    timestamp,
    write_text,
)

READY = ".collecting"


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Nobody else lays hand-ins meanwhile; what a run that was killed had ready is laid. Raises RuntimeError."""
    try:
        with FileLock(root / ".collecting.lock", timeout=10):
            finish(root)
            yield
            shutil.rmtree(root / READY, ignore_errors=True)
    except Timeout:
        raise RuntimeError(
            f"somebody else is collecting into {root}: wait until that is done."
        ) from None


def finish(root: Path) -> None:
    """Lay what was ready; what was not is in the download still."""
    for folder in _all_folders(root / READY):
        try:
            said = json.loads((folder / FILE).read_bytes())
            own = hand_in(folder, str(said["student"]), str(said["chapter"]))
        except (OSError, ValueError, KeyError, TypeError):
            own = None
        if own is not None and is_key(own.student) and is_key(own.chapter):
            put(root, folder, own)
    shutil.rmtree(root / READY, ignore_errors=True)


def _all_folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir()) if path.is_dir() else []


def new_folder(root: Path) -> Path:
    """A folder in which a hand-in can be made ready."""
    folder = root / READY / secrets.token_hex(8)
    folder.mkdir(parents=True)
    return folder


def close(folder: Path, own: HandIn) -> None:
    """Say that a hand-in is whole."""
    moment = own.moment
    if moment is not None:
        write_text(folder / "timestamp.txt", timestamp(moment))
    own.save(folder)


def stamp_now() -> str:
    return datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")


# ------------------------------------------------------------------ where it goes


def place(root: Path, key: str, chapter: str) -> Path:
    """The folder of the hand-in that counts."""
    return root / "submitted" / key / chapter


def result_of(root: Path, key: str, chapter: str) -> Path:
    return root / "results" / chapter / f"{key}.json"


def earlier_result(root: Path, key: str, chapter: str, stamp: str) -> Path:
    return root / "results" / chapter / "earlier" / key / f"{stamp}.json"


def earlier(root: Path, key: str, chapter: str) -> list[tuple[str, HandIn]]:
    """The hand-ins that do not count, with their stamps, the oldest first."""
    found = []
    for folder in folders(root / "earlier" / key / chapter):
        own = hand_in(folder, key, chapter)
        if own is not None:
            found.append((folder.name, own))
    return sorted(
        found, key=lambda one: (one[1].moment or datetime.min.replace(tzinfo=UTC), one[0])
    )


def missing(root: Path, roster: Roster, chapter: str) -> list[str]:
    """Who has handed in nothing of a chapter, by key."""
    return sorted(s.key for s in roster if not os.path.lexists(place(root, s.key, chapter)))


def put(root: Path, ready: Path, own: HandIn) -> str:
    """Lay what is ready where it belongs: "new", "newer", "older", or "same" for what is there already.

    "before" is what came before, and was replaced, and now came again: no time of a system's says that it is older.
    """
    target = place(root, own.student, own.chapter)
    now = hand_in(target, own.student, own.chapter)
    if now is not None and now.same_work(own):
        shutil.rmtree(ready)
        return "same"
    known = any(one.same_work(own) for _, one in earlier(root, own.student, own.chapter))
    if known and now is not None and not _certainly_after(own, now):
        shutil.rmtree(ready)
        return "same" if _before(own, now) else "before"
    if now is not None and _before(own, now):
        _to_earlier(root, ready, own, own.collected)
        return "older"
    replaced = os.path.lexists(target)
    if replaced:
        supersede(root, own.student, own.chapter)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(ready, target)
    return "newer" if replaced else "new"


def _before(one: HandIn, other: HandIn) -> bool:
    return bool(one.moment and other.moment and one.moment < other.moment)


def _certainly_after(own: HandIn, now: HandIn) -> bool:
    """Whether the system itself says so; a file's own time changes when a download is unpacked again."""
    return own.time_from == "download" and _before(now, own)


def supersede(root: Path, key: str, chapter: str) -> str:
    """Move the hand-in that counts to earlier/, and its result after it; the stamp."""
    target = place(root, key, chapter)
    own = hand_in(target, key, chapter)
    stamp = own.collected if own and own.collected else stamp_now()
    if own is not None and not target.is_symlink():
        stamp = _free(root, key, chapter, stamp)
        own = replace(own, collected=stamp)
        own.save(target)  # after a kill the stamp is the same
    result, kept = result_of(root, key, chapter), earlier_result(root, key, chapter, stamp)
    if result.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(result, kept)
    _rename_free(root, target, key, chapter, stamp)
    return stamp


def _to_earlier(root: Path, folder: Path, own: HandIn, stamp: str) -> str:
    stamp = _free(root, own.student, own.chapter, stamp or stamp_now())
    replace(own, collected=stamp).save(folder)
    return _rename_free(root, folder, own.student, own.chapter, stamp)


def _free(root: Path, key: str, chapter: str, stamp: str) -> str:
    """A stamp that no earlier hand-in has."""
    base, count = stamp if is_key(stamp) else stamp_now(), 1
    stamp = base
    while os.path.lexists(root / "earlier" / key / chapter / stamp):
        count += 1
        stamp = f"{base}-{count}"
    return stamp


def _rename_free(root: Path, folder: Path, key: str, chapter: str, stamp: str) -> str:
    stamp = _free(root, key, chapter, stamp)
    target = root / "earlier" / key / chapter / stamp
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(folder, target)
    return stamp


# ------------------------------------------------------------------ groups


def share(root: Path, roster: Roster, chapter: str) -> list[str]:
    """Give the newest hand-in of each group to all its members; what was done, in words."""
    groups: dict[str, list[Student]] = {}
    for student in roster:
        if student.group:
            groups.setdefault(folded_key(student.group), []).append(student)
    told = []
    for members in groups.values():
        handed = [hand_in(place(root, s.key, chapter), s.key, chapter) for s in members]
        known = [own for own in handed if own is not None]
        if len(members) < 2 or not known:
            continue
        oldest = datetime.min.replace(tzinfo=UTC)
        newest = max(known, key=lambda own: (own.moment or oldest, not own.by, own.collected))
        for student in members:
            own = next((one for one in known if one.student == student.key), None)
            if own is None or not own.same_work(newest):
                what = _give(root, newest, student)
                said = " (their own is kept in earlier/)" if what == "newer" else ""
                if what in ("new", "newer"):
                    told.append(
                        f"{student.key}: has {newest.student}'s, of group {student.group}{said}"
                    )
    return told


def _give(root: Path, newest: HandIn, student: Student) -> str:
    ready = new_folder(root)
    source = place(root, newest.student, newest.chapter)
    for name in newest.stored:
        if (source / name).is_file():
            shutil.copy2(source / name, ready / name)
    by = newest.by or newest.student
    own = replace(newest, student=student.key, group=student.group, by=by, collected=stamp_now())
    close(ready, own)
    return put(root, ready, own)


# ------------------------------------------------------------------ two keys of one person


def merge(root: Path, old: str, new: str) -> list[str]:
    """Move all that is `old`'s to `new`'s key, losing nothing; what was done, in words. Can be run again.

    Where both handed in a chapter, the newer one counts, and the other goes to earlier/. Raises ValueError
    for keys that are none.
    """
    with alone(root):
        roster = Roster.of(root)
        if old not in roster:
            raise ValueError(f"nobody in students.csv has the key {old!r}.")
        if not is_key(new) or new == old:
            raise ValueError(
                f"{new!r} cannot be the key of another person, for no folder can have that name."
            )
        told = []
        for folder in folders(root / "submitted" / old):
            told.append(_merge_chapter(root, old, new, folder.name))
        for chapter in folders(root / "earlier" / old):
            for folder in folders(chapter):
                _merge_earlier(root, old, new, chapter.name, folder)
        for result in sorted((root / "results").glob(f"*/{_escaped(old)}.json")):
            _move_result(
                result, result_of(root, new, result.parent.name), new
            )  # of a folder that is gone
        told += _merge_by_hand(root / "marks" / "by_hand.csv", old, new)
        told += _mentions(root, old)
        _merge_lines(roster, old, new)
        roster.save(root / "students.csv")
        for folder in (root / "submitted" / old, root / "earlier" / old):
            for own in [*folders(folder), folder]:
                with contextlib.suppress(OSError):
                    own.rmdir()
        return told


def _escaped(key: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in key)


def _merge_chapter(root: Path, old: str, new: str, chapter: str) -> str:
    mine = hand_in(place(root, old, chapter), old, chapter)
    theirs = hand_in(place(root, new, chapter), new, chapter)
    if mine is None:
        return f"{chapter}: {old}'s is a link, and stays"
    if theirs is not None and (_before(mine, theirs) or mine.same_work(theirs)):
        stamp = supersede(root, old, chapter)
        _merge_earlier(root, old, new, chapter, root / "earlier" / old / chapter / stamp)
        return f"{chapter}: the hand-in of {new} counts; that of {old} is in earlier/{new}"
    if theirs is not None:
        supersede(root, new, chapter)
    _move_result(result_of(root, old, chapter), result_of(root, new, chapter), new)
    target = place(root, new, chapter)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(place(root, old, chapter), target)
    if (target / FILE).is_file():
        replace(mine, student=new).save(target)
    kept = f"; that of {new} is in earlier/{new}" if theirs is not None else ""
    return f"{chapter}: the hand-in of {old} is {new}'s and counts{kept}"


def _merge_earlier(root: Path, old: str, new: str, chapter: str, folder: Path) -> None:
    stamp = _free(root, new, chapter, folder.name)
    _move_result(
        earlier_result(root, old, chapter, folder.name),
        earlier_result(root, new, chapter, stamp),
        new,
    )
    own = hand_in(folder, old, chapter)
    if own is not None:
        replace(own, student=new, collected=stamp).save(folder)
    _rename_free(root, folder, new, chapter, stamp)


def _move_result(source: Path, target: Path, student: str) -> None:
    """A result under another person's name; one that is there already is of the hand-in that counts, and stays."""
    if not source.is_file():
        return
    if not target.exists():
        try:
            said = json.loads(source.read_bytes())
            said["student"] = student
            write_text(target, json.dumps(said, ensure_ascii=False, indent=1) + "\n")
        except (ValueError, TypeError):  # a damaged one, which grading makes anew
            pass
    source.unlink()


def _merge_by_hand(path: Path, old: str, new: str) -> list[str]:
    """Give the marks by hand their new name, cell by cell; what both have is told."""
    if not path.is_file():
        return []
    sheet = tables.Sheet.of(path)
    header = [name.casefold() for name in sheet.header]
    if "student" not in header or "exercise" not in header:
        return []
    who, what = header.index("student"), header.index("exercise")
    rows = range(1, len(sheet.cells))
    which = [header.index(name) for name in ("exercise", "answer") if name in header]

    def answer(i: int) -> list[str]:
        return [sheet.value(i, column).strip() for column in which]

    theirs = [answer(i) for i in rows if tables.plain(sheet.value(i, who)) == new]
    told = []
    for i in rows:
        if tables.plain(sheet.value(i, who)) == old:
            if answer(i) in theirs:
                told.append(
                    f"marks/by_hand.csv, {sheet.value(i, what)}: both have a line; keep one of them"
                )
            else:
                sheet.set(i, who, tables.safe(new))
    sheet.save(path)
    return told


def _mentions(root: Path, old: str) -> list[str]:
    """What names somebody and is a person's to change."""
    told = []
    policy = root / "policy.toml"
    if policy.is_file() and old in policy.read_text(encoding="utf-8", errors="replace"):
        told.append(f"policy.toml names {old}: change it there")
    if (root / "feedback" / old).is_dir():
        told.append(f"feedback/{old} is of before: delete it, and write feedback again")
    return told


def _merge_lines(roster: Roster, old: str, new: str) -> None:
    """One line of two: what the line of `new` has, then what only the other has."""
    mine, theirs = roster[old], roster[new] if new in roster else Student(new)
    systems = {"email", "login", "number", "canvas", "moodle", "blackboard", *mine.others}
    for column in sorted(systems):
        fresh = [token for token in mine.tokens(column) if token not in theirs.tokens(column)]
        if fresh:
            theirs = theirs.having(column, " ".join([*theirs.tokens(column), *fresh]))
    for column in ("name", "group", "section"):
        if not theirs.cell(column) or column == "name" and theirs.name == new:
            theirs = theirs.having(column, mine.cell(column) or theirs.cell(column))
    roster.put(theirs)
    roster.remove(old)
