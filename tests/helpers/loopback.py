"""A small HTTP server on this machine for tests of downloads: `served`; it behaves well or badly, as told."""

import contextlib
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from maml_edu.tasks import download


@contextlib.contextmanager
def served(files):
    """The server of `files`, a dict name → bytes, on 127.0.0.1 and a free port.

    Set on it what goes wrong: `status` answers everything so; `ranges` = False ignores Range; `cut_after`,
    `stall_after`: bytes of an answer after which the connection is closed, or nothing more comes;
    `pause`: seconds before each kilobyte; `moved` = True redirects once; `told` = False gives no length;
    `mute` = True never answers.
    `seen` is what was asked for: (path, Range or None).
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.files, server.seen, server.url = files, [], f"http://127.0.0.1:{server.server_port}"
    server.status = server.cut_after = server.stall_after = None
    server.ranges, server.moved, server.told, server.mute, server.pause = (
        True,
        False,
        True,
        False,
        0,
    )
    server.over = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


def sources(url, files):
    """What `download.SOURCES` says of these files, a dict name → bytes, if they are at this address."""
    return {
        name: download.Source(f"{url}/{name}", len(content), hashlib.sha256(content).hexdigest())
        for name, content in files.items()
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        if server.moved and not self.path.startswith("/raw"):
            return self.head(302, Location=f"{server.url}/raw{self.path}")
        server.seen.append((self.path, wanted))
        if server.mute:
            return server.over.wait(20)
        content = server.files.get(self.path.rpartition("/")[2])
        if server.status or content is None:
            return self.head(server.status or 404)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(content) > 0:
            return self.head(416, **{"Content-Range": f"bytes */{len(content)}"})
        length = {"Content-Length": str(len(content) - start)} if server.told else {}
        if wanted and server.ranges:
            whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.head(206, **{"Content-Range": whole}, **length)
        else:
            self.head(200, **length)
        with contextlib.suppress(ConnectionError):  # the other side may have had enough
            self.body(content[start:])

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def body(self, content):
        for at in range(0, len(content), 1024):
            if self.server.cut_after is not None and at >= self.server.cut_after:
                return
            if self.server.stall_after is not None and at >= self.server.stall_after:
                self.server.over.wait(20)
                return
            time.sleep(self.server.pause)
            self.wfile.write(content[at : at + 1024])

    def log_message(self, *_):
        pass
