"""Random damage to what the grader reads from outside: files that are handed in, frames that a box sends.

    python benchmarks/grading/fuzz_grading.py --seconds 600            # ten minutes each
    python benchmarks/grading/fuzz_grading.py --part reader --seed 7

Reader: real notebooks with bytes or parts changed, read as a submission. Protocol: real answers, changed
likewise, sent as frames and taken through channel, plain data and the check of an exercise to a verdict,
which may be "right" for the right numbers only. Prints how many inputs there were and what became of them;
what fell out, neither refused nor judged, is kept in --keep and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import random
import socket
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:1] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from maml_edu.checks import plain  # noqa: E402
from maml_edu.checks.exercise import load_chapter  # noqa: E402
from maml_edu.grading import judge, submission  # noqa: E402
from maml_edu.grading.sandbox import protocol  # noqa: E402

QUICK_CHAPTERS = ("01_gradient_descent", "04_gradient_of_a_step", "10_few_shot_images")
SLOW = 2.0  # seconds that no input may take

# ------------------------------------------------------------------ damage

WORDS = [
    b"null", b"true", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'""', b'"\\ud800"', b"\xff", b"\x00",
    b"\xef\xbb\xbf", b"9" * 5000, b"[" * 3000, b'{"a":' * 2000, b'"id": 1,', b'"cells":',
    b'"shape": [0, 2147483647]', b'"dtype": "<U9999"', b'{"list": [' * 400, b"\\u0000", b"]", b"}", b",", b'"',
]  # fmt: skip
PARTS = [
    None, True, False, 0, -1, 2**31 - 1, 2**64, 10**4000, 0.5, float("nan"), float("inf"), "", "x", "\ud800",
    "AAAA", "<f8", "|b1", "<U1", "x" * 5000, [], {}, [[]], [None] * 50, {"list": []}, {"tuple": [1]},
    {"dict": [["a", 1]]}, {"function": "quadratic"}, {"array": "AAAAAAAAAAA=", "dtype": "<f8", "shape": [1]},
    {"array": "", "dtype": "<f8", "shape": [0, 4096, 4096]}, {"array": "AQ==", "dtype": "|b1", "shape": []},
    {"cells": []}, {"nbgrader": {"grade_id": "meta_slope"}}, "markdown", "code", ["x" * 3000, *[0] * 300],
]  # fmt: skip
KINDS = ("?", "u1", "i2", "u8", "i8", "f2", "f4", "f8", ">f8", "U3")


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes, or stretches of them, changed, lost, doubled, moved or put in."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 10, 300)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:to]
        elif kind == 2:
            data[at:at] = data[at:to]
        elif kind == 3:
            data[at:to] = rng.choice(WORDS)
        elif kind == 4:
            data[at:at] = rng.choice(WORDS)
        elif kind == 5:
            del data[at:]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        if not data:
            break
    return bytes(data)


def damaged_parts(value, rng: random.Random):
    """The same JSON with one part replaced, lost or doubled, at any depth."""
    if not isinstance(value, (list, dict)) or not value or rng.random() < 0.15:
        return rng.choice(PARTS)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key, copy = rng.choice(keys), value.copy()
    kind = rng.random()
    if kind < 0.1:
        del copy[key]
    elif kind < 0.15 and isinstance(copy, list):
        copy.insert(key, copy[key])
    elif kind < 0.2 and isinstance(copy, dict):
        copy[rng.choice(["id", "result", "cells", "array", "list", "source", "x"])] = copy[key]
    else:
        copy[key] = damaged_parts(copy[key], rng)
    return copy


def damaged(value, rng) -> bytes:
    """JSON text, hurt in one way or both."""
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        value = damaged_parts(value, rng)
    body = json.dumps(value, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")
    return damaged_bytes(body, rng) if rng.random() < 0.4 else body


def odd_plain(value, rng: random.Random):
    """Plain data with one part that is other plain data: what a wrong answer may be."""
    if isinstance(value, np.ndarray) and rng.random() < 0.5:
        return odd_array(value, rng)
    if not isinstance(value, (list, tuple, dict)) or not value or rng.random() < 0.2:
        rest = [
            odd_array(np.ones(12), rng),
            rng.gauss(0, 1),
            rng.randrange(-3, 30),
            (1.0, 2.0),
            [[1], [2, 3]],
        ]
        return rng.choice([part for part in PARTS if not isinstance(part, dict)] + rest)
    if isinstance(value, dict):
        key = rng.choice(list(value))
        return {
            k: odd_plain(v, rng) if k == key else v for k, v in value.items() if rng.random() < 0.95
        }
    at, parts = rng.randrange(len(value)), list(value)
    parts[at] = odd_plain(parts[at], rng)
    return type(value)(parts[rng.random() < 0.05 :])


def odd_array(array, rng):
    with np.errstate(all="ignore"):
        array = array.astype(rng.choice(KINDS))
    if array.size and rng.random() < 0.5 and array.dtype.kind == "f":
        array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -0.0, 6e4, -1))
    shapes = [array.shape, array.shape, (-1,), (1, -1), (*array.shape, 1), array.shape[::-1]]
    return array.reshape(rng.choice(shapes))[: rng.choice((None, None, 0, 1, -1))]


# ------------------------------------------------------------------ the two doors


class Reader:
    """Files that are handed in."""

    def __init__(self):
        paths = [
            p for folder in ("exercises", "solutions") for p in (ROOT / folder).glob("*.ipynb")
        ]
        self.notebooks = [json.loads(path.read_bytes()) for path in sorted(paths)]
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "one.ipynb"

    def make(self, rng) -> bytes:
        return damaged(rng.choice(self.notebooks), rng)

    def take(self, data: bytes) -> str:
        self.path.write_bytes(data)
        try:
            found = submission.read(self.path)
        except submission.Rejected as error:
            assert str(error).isprintable() and len(str(error)) < 150
            return "refused"
        for cell in found.cells:
            assert all(type(part) is str for part in (cell.kind, cell.source, cell.grade_id))
        json.dumps([cell.source for cell in found.cells], ensure_ascii=False).encode()
        return "read"


class Protocol:
    """Frames from a box, up to the verdict."""

    def __init__(self):
        from answering_worker import answers_of

        self.answers = []  # (exercise, the JSON form of its right answer)
        for chapter in QUICK_CHAPTERS:
            with contextlib.redirect_stdout(io.StringIO()):
                solved = answers_of(chapter)
            for item in load_chapter(chapter):
                self.answers.append((item, plain.to_json(first_result(item, solved[item.id]))))
        self.right = {item.id: plain.from_json(result) for item, result in self.answers}

    def make(self, rng) -> tuple:
        item, result = rng.choice(self.answers)
        reply = {"id": 1, "result": result}
        if rng.random() < 0.1:
            reply = {"id": 1, "raised": {"kind": "ValueError", "cell": 0, "line": 1}}
        if rng.random() < 0.5:
            body = json.dumps(
                {"id": 1, "result": plain.to_json(odd_plain(plain.from_json(result), rng))}
            ).encode()
        else:
            body = damaged(reply, rng)
        frame = struct.pack(">I", len(body)) + body
        return item, damaged_bytes(frame, rng) if rng.random() < 0.1 else frame

    def take(self, made: tuple) -> str:
        item, frame = made
        cells = submission.Submission([submission.Cell("code", "x = 1 / 0")], "")
        outcome, reason = judge.ask_check(Played(frame), item, item.name, 0, cells, "s", 1)
        assert reason.isprintable() and len(reason) < 1500, reason
        assert outcome != "grader-error", reason
        assert outcome != "right" or close(received(frame), self.right[item.id])
        return outcome


def received(frame):
    """The answer in a frame that was judged right."""
    (length,) = protocol.HEAD.unpack(frame[: protocol.HEAD.size])
    body = frame[protocol.HEAD.size :][:length]
    return plain.from_json(json.loads(body)["result"])


def close(got, right) -> bool:
    """Whether two pieces of plain data hold the same numbers, whatever their types."""
    if isinstance(right, dict):
        return got.keys() == right.keys() and all(close(got[key], right[key]) for key in right)
    if isinstance(right, (list, tuple)):
        return len(got) == len(right) and all(map(close, got, right))
    return np.shape(got) == np.shape(right) and np.allclose(got, right, rtol=1e-5, atol=1e-8)


def first_result(item, solution):
    """What a right answer gives to the first question of an exercise."""
    kept = []

    class Enough(Exception):
        pass

    def once(*args):
        kept.append(plain.call(solution, args, item.interface))
        raise Enough

    try:
        judge.run_check(item, once, judge.seed_of("s", item.id), 1)
    except Enough:
        return kept[0]


class Played:
    """In place of an attempt: a channel at whose other end a frame lies ready, and then the end."""

    times = judge.Times(1.0, 1.0, 5.0)

    def __init__(self, frame):
        self.frame, self.until = frame, time.monotonic() + 5

    def ask(self, do, seconds, **arguments):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.setblocking(False)
            channel = Answered(ours)
            channel.frame, channel.theirs = self.frame, theirs
            return channel.ask({"do": do, "with": arguments}, seconds)

    def left(self):
        return self.until - time.monotonic()

    def close(self):
        return ""


class Answered(protocol.Channel):
    """A channel whose question is answered as soon as it is asked."""

    frame: bytes
    theirs: socket.socket

    def _write(self, data, until):
        super()._write(data, until)
        self.theirs.send(self.frame)
        self.theirs.shutdown(socket.SHUT_WR)


# ------------------------------------------------------------------ running them


def fuzz(door, seconds: float, seed: int, keep: Path) -> int:
    """Feed a door for some seconds; prints what came of it. Returns how many inputs fell out."""
    outcomes, fell, slowest, number = collections.Counter(), 0, 0.0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rng = random.Random(f"{seed}/{number}")
        made, start = door.make(rng), time.monotonic()
        try:
            outcomes[door.take(made)] += 1
        except Exception:
            outcomes["fell out"] += 1
            fell += 1
            keep.mkdir(parents=True, exist_ok=True)
            said = traceback.format_exc()
            (keep / f"{type(door).__name__}-{seed}-{number}.txt").write_text(f"{said}\n{made!r}")
            print(said.splitlines()[-1][:200], flush=True)
        slowest = max(slowest, time.monotonic() - start)
        number += 1
    print(f"{type(door).__name__}: {number:,} inputs in {seconds:g} s (seed {seed}), {fell} fell out; "
          f"slowest {slowest:.2f} s; {dict(outcomes.most_common())}", flush=True)  # fmt: skip
    return fell + (slowest > SLOW)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="for each part")
    parser.add_argument("--part", choices=("reader", "protocol", "both"), default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-findings")
    wanted = parser.parse_args()
    warnings.simplefilter("error", np.exceptions.VisibleDeprecationWarning)
    doors = {"reader": [Reader], "protocol": [Protocol], "both": [Reader, Protocol]}[wanted.part]
    return int(sum(fuzz(door(), wanted.seconds, wanted.seed, wanted.keep) for door in doors) > 0)


if __name__ == "__main__":
    sys.exit(main())
