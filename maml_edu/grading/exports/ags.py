"""Marks as scores of LTI's Assignment and Grade Services (AGS 2.0): as a file, or sent to the platform.

`scores` says what each student's score is; what waits for a person is PendingManual, what could not be graded
Failed, and neither has a number. `export` writes them down, and sends them where the class folder has an
lti.toml. Each score is noted before it is sent and after: whatever was killed, the next run sends what is not
there yet, and nothing twice.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from maml_edu import places
from maml_edu.atomic import replacing

from ..marks import Built, Mark
from ..pages import feedback
from . import who
from .lti_client import Client, Refused, Score
from .tables import Sheet, number
from .what_counts import maximum, points
from .who import Known

LOCK_SECONDS = 10


class Platform(Protocol):
    """What `send` needs of a learning system; `lti_client.Client` is one."""

    def line_item(self, resource: str, label: str, maximum: float) -> tuple[str, float]:
        """The address and the maximum of the column of this resource, made where there is none."""

    def results(self, line_item: str) -> dict[str, dict[str, Any]]:
        """User → the result that is there."""

    def send(self, line_item: str, score: Score) -> None:
        """Send one score. Raises Refused where this one is not taken, OSError when nothing is."""


@dataclass(frozen=True)
class Order:
    """members: Names and Roles' list, as a file; partial, scale: as everywhere; dry_run: send nothing."""

    members: Path | None = None
    partial: bool = False
    scale: bool = False
    dry_run: bool = False


def export(root: Path, built: Built, chapter: str, known: Known, order: Order) -> list[str]:
    """Write the scores of a chapter, and send them where the class folder says to whom."""
    settings = _settings(root)
    client = _client(root, settings) if settings and not order.dry_run else None
    members = _members(order.members, client)
    users, lost = users_of([mark.student for mark in built.marks], members, known)
    said = feedback.summaries(built)
    wanted = scores(built.marks, users, said, order.partial)
    path = root / "exports" / f"lti_{chapter}.jsonl"
    names = {user: student for student, user in users.items()}
    left = [f"left out: {student}: {why}" for student, why in lost.items()]
    left += [
        f"without a number: {names[s['userId']]}: {s['gradingProgress']}"
        for s in wanted
        if "scoreGiven" not in s
    ]
    if client is None:
        written = _keep_times(wanted, {s["userId"]: s for s in _lines(path)})
        _write(path, written)
        why = "nothing was sent" if settings else "there is no lti.toml, so nothing was sent"
        return [f"{path}: {len(written)} scores; {why}.", *left]
    told = send(client, wanted, chapter, path.with_suffix(".sent.jsonl"), names, order.scale)
    _write(path, [entry["score"] for entry in _last(path.with_suffix(".sent.jsonl")).values()])
    return [*told, *left]


# ------------------------------------------------------------------ what the scores are


def scores(
    found: Iterable[Mark],
    users: Mapping[str, str],
    comments: Mapping[str, str],
    partial: bool = False,
) -> list[Score]:
    """The score of everybody who has a user there, without its time.

    partial: also the points decided so far of a mark that still waits; it stays PendingManual.
    """
    made = []
    for mark in sorted(found, key=lambda mark: mark.student):
        if mark.student not in users:
            continue
        value = points(mark)
        score: Score = {"userId": users[mark.student], "activityProgress": "Completed"}
        score["gradingProgress"] = "FullyGraded"
        if value is None:
            score |= {"activityProgress": "Submitted", "gradingProgress": "Failed"}
        elif mark.waiting:
            score |= {"activityProgress": "Submitted", "gradingProgress": "PendingManual"}
        if value is not None and (partial or not mark.waiting):
            score |= {"scoreGiven": number(value), "scoreMaximum": number(maximum(mark))}
        if comment := comments.get(mark.student):
            score["comment"] = comment
        made.append(score)
    return made


MEMBER = ("user_id", "lis_person_sourcedid", "email", "name", "ext_user_username")


def users_of(
    students: Iterable[str], members: Iterable[Mapping[str, Any]], known: Known
) -> tuple[dict[str, str], dict[str, str]]:
    """(student → LTI's user, student → why none is certain), from Names and Roles' list of members."""
    learners = [
        member
        for member in members
        if member.get("user_id")
        and str(member.get("status", "Active")) == "Active"
        and ("roles" not in member or any("Learner" in str(role) for role in member["roles"]))
    ]
    sheet = Sheet([list(MEMBER), *([""] * len(MEMBER) for _ in learners)], [], ",", "")
    for i, member in enumerate(learners, 1):
        for j, name in enumerate(MEMBER):
            sheet.set(i, j, str(member.get(name) or ""))
    students = list(students)
    look = who.Look("lti", None, range(len(MEMBER)), range(1, len(sheet.cells)))
    found = who.find(students, sheet, look, known)
    users = {student: str(learners[row - 1]["user_id"]) for student, row in found.rows.items()}
    lost = {s: "is no member there" for s in students if s not in users and s not in found.why}
    return users, found.why | lost


def _members(exported: Path | None, client) -> list[Mapping[str, Any]]:
    if exported is None:
        members = client.members() if client is not None else None
        if members is None:
            raise ValueError(
                "who is who in LTI? Name the platform's list of members with --into members.json (Names and "
                "Roles' membership container), or its address as members in lti.toml."
            )
        return members
    try:
        content = json.loads(exported.read_bytes())
        members = content["members"] if isinstance(content, dict) else content
        if not all(isinstance(member, dict) for member in members):
            raise ValueError("a member that is none")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{exported} is no list of members (Names and Roles): {error}.") from error
    return members


# ------------------------------------------------------------------ sending


def send(
    platform: Platform,
    wanted: list[Score],
    chapter: str,
    log: Path,
    names: Mapping[str, str],
    scale: bool,
) -> list[str]:
    """Send what the platform does not have yet; what became of it. Raises OSError when it is not there.

    log: a line before a score is sent and one after, each on the disk before anything else happens. Of a
    score between the two nobody knows whether it arrived: the platform is asked, and where it does not
    say so, the score goes again with the same time, by which it is known for the same one.
    """
    top = max((score.get("scoreMaximum", 0) for score in wanted), default=0)
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(log.with_name(log.name + ".lock"), timeout=LOCK_SECONDS):
            resource, label = f"maml_edu:{chapter}", places.title(chapter)
            item, there = platform.line_item(resource, label, top or 1)
            if top and there != top and not scale:
                raise ValueError(
                    f"the platform has {number(there)} points for {label}, and the marks are out of "
                    f"{number(top)}: change one of them, or let it scale them with --scale."
                )
            return _send_all(platform, wanted, item, log, names)
    except Timeout as error:
        raise RuntimeError("another run is sending these scores: wait for it to end.") from error


def _send_all(platform, wanted, item, log, names):
    known = {user: entry for user, entry in _last(log).items() if entry["line_item"] == item}
    doubt = {user for user, entry in known.items() if entry["state"] == "sending"}
    results = platform.results(item) if doubt else {}
    sent: list[str] = []
    before: list[str] = []
    refused: list[str] = []
    for score in wanted:
        user = score["userId"]
        entry = known.get(user)
        timed = _keep_times([score], {user: entry["score"]} if entry else {})[0]
        state = entry["state"] if entry is not None and timed == entry["score"] else "new"
        if state == "sent" or (state == "sending" and _arrived(score, results.get(user))):
            if state != "sent":
                _note(log, item, "sent", timed)
            before.append(user)
            continue
        _note(log, item, "sending", timed)
        try:
            platform.send(item, timed)
        except Refused as error:
            _note(log, item, "refused", timed)
            refused.append(f"not taken: {names.get(user, user)}: {error}")
        except OSError as error:
            raise RuntimeError(
                f"the platform does not answer ({error}): {len(sent)} scores were sent; the same command "
                "goes on with the others."
            ) from error
        else:
            _note(log, item, "sent", timed)
            sent.append(user)
    return [f"{len(sent)} scores sent, {len(before)} were there already.", *refused]


def _arrived(score, result):
    """Whether the platform's result is this score's."""
    if "scoreGiven" not in score or not result or result.get("resultScore") is None:
        return False
    share = score["scoreGiven"] / score["scoreMaximum"]
    there = result["resultScore"] / (result.get("resultMaximum") or score["scoreMaximum"])
    return abs(share - there) < 1e-6


def _keep_times(wanted: list[Score], before: Mapping[str, Score]) -> list[Score]:
    """Each score with the time at which it came to be so: that of before, or now, and never an earlier one."""
    now, timed = datetime.now(UTC), []
    for score in wanted:
        old = before.get(score["userId"], {})
        if {k: v for k, v in old.items() if k != "timestamp"} == score:
            timed.append(old)
            continue
        after = datetime.fromisoformat(old["timestamp"]) + timedelta(milliseconds=1) if old else now
        timed.append(score | {"timestamp": max(now, after).isoformat(timespec="milliseconds")})
    return timed


# ------------------------------------------------------------------ files


def _note(log: Path, item: str, state: str, score: Score) -> None:
    """Add a line to the log, and wait until it is on the disk."""
    line = json.dumps({"line_item": item, "state": state, "score": score}, ensure_ascii=False)
    with open(log, "ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        cut = file.read(1) not in (b"", b"\n")  # a line that a kill has cut off
        file.write(b"\n" * cut + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _last(log: Path) -> dict[str, dict[str, Any]]:
    """User → the last line about them."""
    return {entry["score"]["userId"]: entry for entry in _lines(log)}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that are whole."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _write(path: Path, lines: list[Score]) -> None:
    with replacing(path) as file:
        file.write(b"".join(json.dumps(s, ensure_ascii=False).encode() + b"\n" for s in lines))


NEEDED = ("issuer", "client_id", "token_url", "key", "line_items")
ALLOWED = (*NEEDED, "audience", "kid", "members")


def _settings(root: Path) -> dict[str, str]:
    """lti.toml: who we are to the platform, and where it listens; nothing where there is none."""
    path = root / "lti.toml"
    if not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML ({error}).") from error
    missing = [name for name in NEEDED if not isinstance(found.get(name), str)]
    wrong = [name for name in found if name not in ALLOWED]
    if missing or wrong:
        raise ValueError(
            f"{path} needs {', '.join(NEEDED)} (texts), and may have {', '.join(ALLOWED[len(NEEDED) :])}; "
            f"missing: {', '.join(missing) or 'nothing'}; not known: {', '.join(wrong) or 'nothing'}."
        )
    return found


def _client(root, settings):
    try:
        return Client(settings, (root / settings["key"]).read_text(encoding="utf-8"))
    except ImportError as error:
        raise ImportError("sending scores needs: pip install 'maml_edu[lti]'") from error
