"""The box: where a student's code runs, and can do no harm. `Box.open` gives a session in it.

On Linux bubblewrap builds it: the system and Python read-only, nothing else of this machine, no network,
no rights, memory, time and disk limited. One box serves many submissions: the Python in there (`inside`)
is warm, and every submission gets a fork behind further walls of its own. `probe` says whether all this
works here, and what to do where not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from maml_edu import places

from . import inside, protocol, view
from .view import View

START = 120.0  # seconds until a warm Python must have answered, on a machine that is busy
MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one submission may use. memory: bytes a process, above the warm Python's own; resident: of all
    its processes together; disk: of each of its folders, and of a file; cpu: seconds a process."""

    memory: int = 2048 * MB
    resident: int = 3072 * MB
    disk: int = 64 * MB
    processes: int = 48
    cpu: int = 120
    user: int = 61000  # who root becomes in the box; each judge has a number of its own


class NoBox(RuntimeError):
    """No box can be had here; the message says what is missing and what to do."""


class Box:
    """A warm Python in a box. kind: "numpy" or "torch"; sandbox=False: without walls, on trust."""

    def __init__(self, kind: str = "numpy", limits: Limits | None = None, sandbox: bool = True):
        limits = limits or Limits(user=61000 + os.getpid() % 4000)
        self.kind, self.sandboxed = kind, sandbox
        self._folder = tempfile.TemporaryDirectory(prefix="maml-edu-", ignore_cleanup_errors=True)
        self._errors = open(os.path.join(self._folder.name, "errors"), "w+b")  # noqa: SIM115
        seen = View.whole() if sandbox else None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command(theirs.fileno(), kind, limits, seen),
                    env=environment(self._folder.name), cwd=self._folder.name,
                    stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors,
                    pass_fds=[theirs.fileno()], start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                ours.close()
                self._errors.close()
                self._folder.cleanup()
                raise NoBox(f"the box could not be started: {error}") from None
        self._control, self._sock = protocol.Channel(ours), ours
        try:
            ready = self._control.read(0, time.monotonic() + START)
        except (protocol.Gone, protocol.TooLate, protocol.Malformed) as error:
            said = self._said() or f"{type(error).__name__}: {error}"
            self.close()
            raise NoBox(f"the box could not be started: {said}") from None
        except BaseException:
            self.close()
            raise
        if ready["in_sight"]:
            self.close()
            raise NoBox(told_of(ready["in_sight"]))
        if seen is not None:
            _looked_through.add(seen)
        self.walls: str = ready["walls"]
        self.versions: dict[str, str] = ready["versions"]
        self._used = False

    @property
    def reusable(self) -> bool:
        """Whether it is there and can serve another submission."""
        return self._process.poll() is None and not (self.walls == "given" and self._used)

    def open(self) -> Session:
        """A session: a fork of the warm Python, fresh as on the first day."""
        self._used = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._sock, [inside.OPEN], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise NoBox(f"the box is gone: {error}") from None
        return Session(self, ours)

    def ended(self, seconds: float = 20.0) -> str:
        """Close the session that is open, wait until nothing of it is left; says why it ended."""
        if self.walls == "given":
            self.close()
            return ""
        with contextlib.suppress(OSError):
            self._sock.send(inside.CLOSE)
        try:
            return str(self._control.read(0, time.monotonic() + seconds)["ended"])
        except (protocol.Gone, protocol.TooLate, protocol.Malformed, KeyError):
            self.close()
            return ""

    def close(self) -> None:
        """End it and all that runs in it."""
        if self._process.poll() is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._sock.close()
        self._errors.close()
        self._folder.cleanup()

    def _said(self) -> str:
        """The last of what the program that failed to start has printed."""
        self._errors.seek(0)
        return self._errors.read()[-600:].decode(errors="replace").strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    """One submission's stay in a box: questions to it and their answers."""

    def __init__(self, box: Box, sock: socket.socket):
        self._box, self._channel, self._open = box, protocol.Channel(sock), True
        self.why_ended = ""

    def ask(self, do: str, seconds: float, **arguments):
        """One question of `inside.Sitting`. Raises what `protocol.Channel.ask` raises."""
        return self._channel.ask({"do": do, "with": arguments}, seconds)

    def close(self) -> str:
        """End it, whatever runs in it; says why, when it had ended before."""
        if self._open:
            self._open = False
            self._channel.close()
            self.why_ended = self._box.ended()
        return self.why_ended

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def told_of(paths: list[str]) -> str:
    """What is the matter when a box would show what nobody may see, and what to do."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return (
        f"every submission could read {paths[0]}{more}, a file of the course or of a class: it lies where the "
        "system's or Python's own files lie. Move it to a folder of its own (in /srv or in a home, say), and "
        "grade again"
    )


# ------------------------------------------------------------------ how it is built


_looked_through: set[View] = set()  # boxes of this process that show this are known to be right


def command(control: int, kind: str, limits: Limits, seen: View | None) -> list[str]:
    """The command line of a warm Python, in a box that shows this, or (None) without one."""
    where = str(view.PACKAGE.parent if seen is None else Path(view.INSIDE).parent)
    folders = [str(path) for path in view.package_folders()]  # -I leaves a user's own packages out
    code = (
        f"import sys; sys.path[:0] = [{where!r}, *(p for p in {folders!r} if p not in sys.path)]; "
    )
    code += (
        "from maml_edu.grading.sandbox.inside import main; main(int(sys.argv[1]), *sys.argv[2:])"
    )
    python = [sys.executable, "-I", "-B", "-c", code, str(control), kind]
    if seen is None:
        return [*python, "none", json.dumps(asdict(limits))]
    more = {
        # which every submission's own /tmp would hide
        "below_tmp": [(str(p), to) for p, to in seen.tops if p.is_relative_to("/tmp")],
        "chapters": [] if seen in _looked_through else places.chapters(),
    }
    return [*bubblewrap(limits, seen), "--", *python, "box", json.dumps(asdict(limits) | more)]


def bubblewrap(limits: Limits, seen: View) -> list[str]:
    """bwrap and its options: what can be seen in the box, in order, and what can not."""
    keep = ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if os.geteuid() == 0:  # who becomes somebody else in there, and so needs no user namespace
        keep += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        keep += ["--unshare-cgroup-try", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        keep += ["--unshare-all"]
    variables = [part for pair in environment(inside.WORK).items() for part in ("--setenv", *pair)]
    small = ["--perms", "1777", "--size", str(limits.disk), "--tmpfs"]
    # a shared mapping of /dev/zero is memory that no limit counts, and /dev would keep files for the next one
    devices = ["--dev", "/dev", "--dev-bind", "/dev/null", "/dev/zero", *small, "/dev/shm"]
    devices += ["--remount-ro", "/dev"]
    return [
        shutil.which("bwrap") or "bwrap", *keep, "--clearenv", *variables,
        *small, "/tmp", *seen.options, *view.package(),
        "--proc", "/proc", *devices, *small, inside.WORK,
        "--chdir", inside.WORK, "--remount-ro", "/",
    ]  # fmt: skip


def environment(home: str) -> dict[str, str]:
    """All that a student's code finds in its environment."""
    return {
        "HOME": home, "TMPDIR": "/tmp" if home == inside.WORK else home, "USER": "student",
        "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "IPYTHONDIR": f"{home}/.ipython",
        "MPLCONFIGDIR": ("/tmp" if home == inside.WORK else home) + "/matplotlib",
        "NBGRADER_EXECUTION": "autograde",  # nbgrader's own sign: a cell without points need not train
    }  # fmt: skip


@cache
def probe() -> str:
    """Why there can be no box here, and what to do; "" where there can."""
    if sys.platform != "linux":
        return "the box is made by bubblewrap, which runs on Linux only: grade in a Linux machine or container"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed: apt-get install bubblewrap (or dnf, pacman, zypper)"
    tried = subprocess.run(
        [*bubblewrap(Limits(), View.whole()), "--", "/usr/bin/env", "true"], env=environment("/"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=START,
    )  # fmt: skip
    if tried.returncode == 0:
        return ""
    said = tried.stderr.strip().splitlines()[-1:] or [f"exit code {tried.returncode}"]
    if "nknown option" in said[0]:
        return f"bubblewrap is too old ({said[0]}): 0.8 or newer is needed"
    return (
        f"bubblewrap is installed and may not run ({said[0]}): this system forbids user namespaces. An "
        "administrator can allow them (sysctl kernel.apparmor_restrict_unprivileged_userns=0, or "
        "kernel.unprivileged_userns_clone=1), or run the container with --security-opt seccomp=unconfined"
    )
