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
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from maml_edu import places

from . import inside, protocol, view
from .view import View

PATIENCE = 6  # how much longer than a submission's own time the wall clock may run
SLOW = 0.5  # seconds from which on a call's sleep is asked for when it is over
START = 120.0  # seconds until a warm Python must have answered, on a machine that is busy
MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one submission may use. memory: bytes a process, above the warm Python's own; resident: of all
    its processes together; disk: of each of its folders, and of a file; cpu: seconds a process; sockets: at a
    time, each of which may hold half a megabyte that is the system's."""

    memory: int = 2048 * MB
    resident: int = 3072 * MB
    disk: int = 64 * MB
    processes: int = 48
    cpu: int = 120
    sockets: int = 256
    user: int = 61000  # who root becomes in the box; each judge has a number of its own


class NoBox(RuntimeError):
    """No box can be had here; the message says what is missing and what to do."""


class Busy(RuntimeError):
    """The machine left a submission no time to answer in: that says nothing about the submission."""


@dataclass
class Account:
    """Time that a submission may use, of its own: see `clock`. seconds: in all.

    slept: in calls that are over; before: what was used in sessions that are over, and by the judge with its
    answers. over: it was all used up.
    """

    seconds: float
    begun: float = field(default_factory=time.monotonic)
    slept: float = 0.0
    before: float = 0.0
    over: bool = False

    def left(self, used: float, asleep: float) -> float:
        """Seconds that are left, where so much was used, and slept in this call."""
        left = self.seconds - (used + asleep + self.slept + self.before)
        self.over = self.over or left <= 0
        return left

    @property
    def by_the_wall(self) -> float:
        """Seconds that must be left, whatever ran: of one process, no more can have been used."""
        return self.seconds - self.before - (time.monotonic() - self.begun)

    @property
    def patience(self) -> float:
        """Seconds until it is said that the machine is too busy."""
        return self.seconds * PATIENCE - (time.monotonic() - self.begun)


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
        self._told_of_end: dict | None = None

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

    def time_since(self, asked: float, called: float) -> tuple[float, float]:
        """(seconds of the processor that the open session has used since one moment, seconds asleep since
        another). Raises Busy where even that is not answered, Gone where the session is over."""
        if self._told_of_end is not None:
            raise protocol.Gone(self._told_of_end["ended"])
        try:
            self._sock.send(inside.CLOCK + inside.ASKED.pack(asked, called))
            told = self._control.read(0, time.monotonic() + START)
        except protocol.TooLate:
            raise Busy from None
        except OSError as error:
            raise protocol.Gone(str(error)) from None
        if "ended" in told:  # meanwhile
            self._told_of_end = told
            raise protocol.Gone(told["ended"])
        if told["used"] is None:  # a system that does not tell: all of it, by the wall
            return time.monotonic() - asked, 0.0
        return told["used"], told["asleep"]

    def ended(self, seconds: float = 20.0) -> tuple[str, float | None]:
        """Close the session that is open, wait until nothing of it is left; (why it ended, seconds of the
        processor that it has used, if that is known)."""
        if self.walls == "given":
            self.close()
            return "", None
        with contextlib.suppress(OSError):
            self._sock.send(inside.CLOSE)
        try:
            told = self._told_of_end or self._control.read(0, time.monotonic() + seconds)
            self._told_of_end = None
            return str(told["ended"]), told["used"]
        except (protocol.Gone, protocol.TooLate, protocol.Malformed, KeyError):
            self.close()
            return "", None

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
    """One submission's stay in a box: questions to it and their answers. used: seconds, when it is over."""

    def __init__(self, box: Box, sock: socket.socket):
        self._box, self._channel, self._open = box, protocol.Channel(sock), True
        self._begun = time.monotonic()
        self.why_ended, self.used = "", 0.0

    def ask(self, do: str, time_for: float | Account, *more: Account, **arguments):
        """One question of `inside.Sitting`, answered within the time that is left on each of these accounts
        (seconds: on a new one). Raises Busy, and what `protocol.Channel.ask` raises."""
        first = time_for if isinstance(time_for, Account) else Account(time_for)
        accounts = (first, *more)
        called = time.monotonic()

        def put_off() -> float:
            """When the time by the wall is over: what is left of the submission's own."""
            left = []
            for one in accounts:
                left.append(one.left(*self._box.time_since(one.begun, called)))
                if left[-1] > 0 >= one.patience:
                    raise Busy
            return max(min(left) / 2, inside.TICK) if min(left) > 0 else 0.0

        end = protocol.Deadline(min(one.by_the_wall for one in accounts), put_off)
        try:
            return self._channel.ask({"do": do, "with": arguments}, end)
        finally:
            if time.monotonic() - called > SLOW:
                self._note_sleep(called, accounts)

    def _note_sleep(self, called, accounts):
        """Put on the accounts what was slept since a call began."""
        with contextlib.suppress(protocol.Gone, Busy):  # an answer counts, whatever came after
            _, asleep = self._box.time_since(called, called)
            for one in accounts:
                one.slept += asleep

    def close(self) -> str:
        """End it, whatever runs in it; says why, when it had ended before."""
        if self._open:
            self._open = False
            self._channel.close()
            self.why_ended, used = self._box.ended()
            self.used = time.monotonic() - self._begun if used is None else used
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
