"""The marking page's server: loopback only, one class, one random address. Start from `Server`.

Whoever knows the address may mark, so it is random, and nothing else answers. A page of another site in the
same browser cannot read it (Host), cannot write (Origin, and the address again), and cannot frame it.
"""

from __future__ import annotations

import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..by_hand import Conflict, Given
from ..exports.tables import number
from .desk import Desk, Unknown

HERE = Path(__file__).parent
FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LARGEST = 1 << 20  # bytes of a request
SECONDS = 30  # that a request may take to arrive
MOST = 2000  # answers that one mark may be for


class Server(ThreadingHTTPServer):
    """The page for a desk, on 127.0.0.1. url: its address, which holds the token."""

    daemon_threads, block_on_close = True, False

    def __init__(self, desk: Desk, port: int = 0):
        """Raises OSError where the port is taken."""
        self.desk, self.token = desk, secrets.token_urlsafe(24)
        super().__init__(("127.0.0.1", port), Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.host}/{self.token}/"

    def handle_error(self, request, client_address):
        """A browser that goes away is nothing to tell of."""


class Wrong(Exception):
    """A request that is answered with a status and a sentence, and nothing done."""

    def __init__(self, status: int, says: str, **more: Any):
        super().__init__(says)
        self.status, self.answer = status, {"error": says, **more}


class Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "maml-edu", ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self):
        self._answered(self._get)

    def do_POST(self):
        self._answered(self._post)

    def _answered(self, work):
        """Do a request's work; whatever goes wrong is a status and a sentence."""
        try:
            kind, content = work()
            self._send(200, kind, content)
        except Wrong as wrong:
            self.close_connection = True  # what it sent may lie there unread
            self._send(wrong.status, "application/json", _json(wrong.answer))
        except (TimeoutError, ConnectionError):
            self.close_connection = True
        except (
            ValueError,
            RuntimeError,
            OSError,
        ) as error:  # by_hand.csv is damaged, the disk is full
            self._send(500, "application/json", _json({"error": str(error)}))

    def _send(self, status, kind, content):
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Quiet: addresses hold the token."""

    # -------------------------------------------------------------- who asks for what

    def _path(self) -> str:
        """What is asked for, below the token. Raises Wrong for everybody who should not ask."""
        if self.headers.get("Host") not in (
            self.server.host,
            f"localhost:{self.server.server_port}",
        ):
            raise Wrong(403, "this server answers on loopback only")
        _, token, *rest = (*self.path.split("/", 2), "")[:3]
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Wrong(
                404, "there is nothing here: use the whole address that the command printed"
            )
        return rest[0]

    def _get(self):
        path = self._path()
        if path in FILES:
            name, kind = FILES[path]
            return kind, (HERE / name).read_bytes()
        if path == "state":
            self.server.desk.load()
            return "application/json", _json(self.server.desk.state())
        if path == "marks":
            return "application/json", _json({"marks": self.server.desk.marks()})
        if path.startswith("answer/"):
            try:
                return "application/json", _json(
                    self.server.desk.answer(path.removeprefix("answer/"))
                )
            except Unknown:
                raise Wrong(404, "this answer is not here any more: reload the page") from None
        raise Wrong(404, "there is nothing here")

    def _post(self):
        if self._path() != "give":
            raise Wrong(404, "there is nothing here")
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            raise Wrong(403, "only the marking page itself may give marks")
        if self.headers.get("Content-Type") != "application/json":
            raise Wrong(415, "marks come as JSON")
        try:
            self.server.desk.give(**_wish(self._body()))
        except Unknown:
            raise Wrong(409, "this answer is not here any more: reload the page") from None
        except Conflict as conflict:
            # Without the name: whoever marks may not know it.
            told = (
                f"Meanwhile somebody else gave {conflict.given}. Enter again writes yours over it."
            )
            raise Wrong(409, told, marks=self.server.desk.marks()) from None
        return "application/json", _json({"marks": self.server.desk.marks()})

    def _body(self):
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > LARGEST:
            raise Wrong(413, "no mark is as long as that")
        try:
            return json.loads(self.rfile.read(int(length)).decode("utf-8"))
        except (ValueError, RecursionError):
            raise Wrong(400, "this is no JSON") from None


def _wish(body: Any) -> dict[str, Any]:
    """What is to be given: answers, points, comment, and what the page showed. Raises Wrong."""
    try:
        ids, seen = body["answers"], body["seen"]
        points, comment = body["points"], body["comment"]
        good = (
            all(isinstance(one, str) for one in ids)
            and 0 < len(ids) == len(seen) <= MOST
            and len(set(ids)) == len(ids)
            and isinstance(comment, str)
            and _is_points(points)
            and all(_is_points(was["points"]) and isinstance(was["comment"], str) for was in seen)
        )
    except (TypeError, KeyError):
        good = False
    if not good:
        raise Wrong(400, "this is no mark")
    was = [Given(one["points"], one["comment"]) for one in seen]
    # by_hand.csv has six digits behind the comma at most
    points = None if points is None else number(points)
    return {"ids": ids, "points": points, "comment": comment, "seen": was}


def _is_points(value: Any) -> bool:
    number_ = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number_ and 0 <= value <= 1e6)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")
