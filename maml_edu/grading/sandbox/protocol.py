"""All that passes between the judge and a box: frames of JSON over a socket.

A frame is four bytes, its length, and that much JSON in UTF-8. The judge asks, {"id": 7, "do": …}, and the
box answers with the same id; whatever else comes from there is hostile until `Channel` has looked at it:
its size before it is read, its form, its id, its time.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

HEAD = struct.Struct(">I")
LARGEST = 8 << 20  # bytes of one answer
MOST_PARTS = 1 << 19  # commas and opening brackets in it: reading takes time and memory by these


class Gone(Exception):
    """The process in the box is no more, or has closed its end."""


class TooLate(Exception):
    """No answer within the time that was given."""


class Malformed(Exception):
    """An answer that is none: too large, no JSON, too deep, to another question."""


def send(sock: socket.socket, message: dict[str, Any]) -> None:
    """Write one frame (the box's side; `Channel.ask` is the judge's)."""
    body = json.dumps(message).encode()
    sock.sendall(HEAD.pack(len(body)) + body)


def receive(sock: socket.socket) -> dict[str, Any] | None:
    """Read one frame from the judge, who is trusted; None at the end."""
    head = _exactly(sock, HEAD.size)
    body = _exactly(sock, HEAD.unpack(head)[0]) if head else None
    return json.loads(body) if body else None


def _exactly(sock, count):
    parts = []
    while count:
        part = sock.recv(min(count, 1 << 16))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Deadline:
    """A moment that may be put off. more: asked when it has come, for seconds more; 0.0: none."""

    def __init__(self, seconds: float, more: Callable[[], float] | None = None):
        self._until, self._more = time.monotonic() + seconds, more

    def left(self) -> float:
        """Seconds until it; 0 or less when it is over."""
        left = self._until - time.monotonic()
        if left <= 0 and self._more is not None:
            left = self._more()
            self._until = time.monotonic() + left
        return left


class Channel:
    """The judge's end of a socket to a box."""

    def __init__(self, sock: socket.socket):
        self._sock = sock
        self._asked = 0
        sock.setblocking(False)

    def ask(self, question: dict[str, Any], seconds: float | Deadline) -> dict[str, Any]:
        """The answer to one question. Raises TooLate, Gone or Malformed: the box is to be closed then."""
        self._asked += 1
        until = seconds if isinstance(seconds, Deadline) else Deadline(seconds)
        if _waiting(self._sock):
            raise Malformed("an answer came before there was a question")
        body = json.dumps(question | {"id": self._asked}).encode()
        self._write(HEAD.pack(len(body)) + body, until)
        return self.read(self._asked, until)

    def read(self, asked: int, until: float | Deadline) -> dict[str, Any]:
        """The next frame, which must be the answer to question `asked`. until: by `time.monotonic`."""
        until = until if isinstance(until, Deadline) else Deadline(until - time.monotonic())
        (length,) = HEAD.unpack(self._read(HEAD.size, until))
        if length > LARGEST:
            raise Malformed(f"an answer of {length} bytes; {LARGEST} are the limit")
        answer = parse(self._read(length, until))
        if type(answer) is not dict or answer.get("id") != asked or type(answer["id"]) is not int:
            raise Malformed("an answer to a question that was not asked")
        return answer

    def close(self):
        self._sock.close()

    def _write(self, data, until):
        view = memoryview(data)
        while view:
            self._wait(until, write=True)
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Gone(str(error)) from None

    def _read(self, count, until):
        parts = []
        while count:
            self._wait(until)
            try:
                part = self._sock.recv(min(count, 1 << 16))
            except BlockingIOError:
                continue
            except OSError as error:
                raise Gone(str(error)) from None
            if not part:
                raise Gone("its end is closed")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _wait(self, until, write=False):
        poll = select.poll()  # not select: it knows no file descriptor beyond 1023
        poll.register(self._sock, select.POLLOUT if write else select.POLLIN)
        while (left := until.left()) > 0:
            if poll.poll(left * 1000):
                return
        raise TooLate


def _waiting(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))  # b"" is its end, which the answer will tell
    except OSError:
        return False


def parts(body: bytes) -> int:
    """How many lists, dicts and entries there are in JSON, at most (a word may hold a comma)."""
    return sum(map(body.count, (b",", b"[", b"{")))


def parse(body: bytes) -> Any:
    """JSON from a box. Raises Malformed for what is none, has too many parts, or is nested too deeply."""
    if parts(body) > MOST_PARTS:
        raise Malformed(f"an answer of {parts(body)} parts; {MOST_PARTS} are the limit")
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"an answer that is no JSON ({type(error).__name__})") from None
