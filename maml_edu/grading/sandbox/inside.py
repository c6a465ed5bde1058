"""The program in the box: it runs a notebook's cells and answers calls of their functions.

A warm Python (`main`) has NumPy, and PyTorch where asked for, imported already. For every submission it
forks, and the child walls itself off again (`isolate`): its own processes, mounts, network and empty,
small folders, no rights, hard limits. There `Sitting` runs what a student wrote. Nothing in here is
trusted by the judge, and nothing in here is worth stealing: no check, no solution, no other submission.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import traceback
import types
from typing import Any

from . import protocol, syscalls
from .clock import Clock

WORK = "/student"  # their home and folder in the box, empty at first
OPEN, CLOSE, CLOCK = b"o", b"c", b"t"
ASKED = struct.Struct("dd")  # what follows CLOCK: two moments, as `Clock.since` takes them
TICK = 0.05  # seconds between two looks at memory and time


def main(control: int, kind: str, walls: str, limits: str) -> None:
    """Serve one judge, one submission at a time, until its end of the socket `control` is closed.

    kind: "numpy" or "torch"; limits: JSON of `box.Limits`; walls: "box" (each child gets walls of its own
    within this box, where that is allowed), "given" (no walls but this box's, which serves one child only),
    "none" (no sandbox, on this machine as it is).
    """
    own = json.loads(limits)
    if walls != "none" and os.geteuid() == 0:
        become(own["user"])
    if sys.platform == "linux":  # what a child leaves behind becomes ours to end
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if walls == "box":
        walls = "nested" if nesting_works(own) else "given"
    look = looking(own["chapters"]) if own.get("chapters") else list
    shell = preloaded(kind)
    sock = socket.socket(fileno=control)
    ready: dict[str, Any] = {
        "id": 0,
        "walls": walls,
        "versions": versions(kind),
        "in_sight": look(),
    }
    protocol.send(sock, ready)
    while True:
        command, fds, _, _ = socket.recv_fds(sock, 1, 1)
        if not command:
            return
        if command == OPEN and fds:
            child = forked(fds[0], walls, own, shell)
            clock = Clock()
            why = watched(child, sock, own, walls, clock)
            used = clock.used if os.path.isdir("/proc/self") else None
            protocol.send(sock, {"id": 0, "ended": why, "used": used})


# ------------------------------------------------------------------ what is in sight

OUR_SIGN = b"maml"  # in every file of the course
MOST_IN_SIGHT = 20  # that are told


def looking(chapters: list[str]):
    """Walk through the box in a process beside this one; returns what waits for what it found."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with _never_returning():
            with open(tell, "w") as file:
                file.write(json.dumps(in_sight(chapters)))
            os._exit(0)
    os.close(tell)

    def found() -> list[str]:
        with open(told) as file:
            text = file.read()
        os.waitpid(child, 0)
        return json.loads(text)

    return found


def in_sight(chapters: list[str], top: str = "/") -> list[str]:
    """Paths of the course's and of a class's files, all of which bear a chapter's name: "04_…".

    Also the wheel that carries them. Each folder is looked at once: links are not followed.
    """
    names = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, chapters))})(?![a-z0-9_])")
    found: list[str] = []
    folders = [top]
    while folders and len(found) < MOST_IN_SIGHT:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False) and entry.path not in ("/proc", "/dev"):
                    folders.append(entry.path)
                if "_" in name and (names.search(name) or is_wheel(name)) and is_ours(entry.path):
                    found.append(entry.path)
    return sorted(found)


def is_wheel(name: str) -> bool:
    return name.startswith("maml_edu-") and name.endswith((".whl", ".tar.gz", ".zip"))


def is_ours(path: str) -> bool:
    """Whether a file is of this course (others number their chapters, too), or a folder holds one that is."""
    if is_wheel(os.path.basename(path)):
        return True
    try:
        paths = [path] if os.path.isfile(path) else [e.path for e in os.scandir(path)]
    except OSError:
        return False
    for one in paths:
        with contextlib.suppress(OSError), open(one, "rb") as file:
            if OUR_SIGN in file.read(8 << 20):
                return True
    return False


# ------------------------------------------------------------------ the warm Python


WARM = ["numpy", "matplotlib.pyplot", "maml_edu.reference", "maml_edu.checks.check"]
WARM_TORCH = ["torch", "maml_edu.pytorch"]


def preloaded(kind):
    """Import what notebooks import; returns the IPython shell that their cells will run in."""
    sys.argv = [""]
    for name in WARM + (WARM_TORCH if kind == "torch" else []):
        importlib.import_module(name)
    if kind == "torch":
        torch = sys.modules["torch"]
        torch.set_num_threads(1)
        torch.func.vmap(torch.func.grad(torch.sum))(torch.zeros(1, 1))  # imports 800 modules more
    sys.modules["maml_edu.checks"].check = _no_check  # type: ignore[attr-defined]  # the judge has the real one
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False  # it writes files, in a thread of its own
    builtins.input = _no_input
    shell = InteractiveShell.instance(config=config)
    shell.run_line_magic = _lenient(shell.run_line_magic)  # type: ignore[method-assign]
    sys.path.insert(0, "")  # as in Jupyter: a notebook may import what it has written
    gc.collect()
    gc.freeze()  # a child that collects rubbish would copy all of this
    return shell


def _no_check(*args, **kwargs):
    """What `check` is in the box: the cells beside the exercises say nothing here."""


def _no_input(prompt=""):
    """What `input` is in the box: nobody is there to answer."""
    return ""


def _lenient(magic):
    """A magic that fails here (%matplotlib inline, an extension) does not end its cell."""

    def run(*args, **kwargs):
        try:
            return magic(*args, **kwargs)
        except Exception:
            return None

    return run


def versions(kind) -> dict[str, str]:
    """Of what decides results."""
    modules = ["numpy", "maml_edu", *(["torch"] if kind == "torch" else [])]
    found = {name: str(sys.modules[name].__version__) for name in modules}
    return {"python": ".".join(map(str, sys.version_info[:3]))} | found


def forked(channel: int, walls: str, limits, shell) -> int:
    """Start a child for one submission behind walls of its own; returns its process id out here."""
    if walls == "none":
        child = _seated(channel, walls, limits, shell)
        os.close(channel)
        return child
    told, tell = os.pipe()
    step = os.fork()
    if step == 0:  # who makes new walls for processes is not behind them, its child is
        with _never_returning():
            if walls == "nested":
                unshare()
            os.write(tell, b"%d" % _seated(channel, walls, limits, shell))
            os._exit(0)
    os.close(tell)
    os.close(channel)
    child = int(os.read(told, 32) or 0)
    os.close(told)
    os.waitpid(step, 0)
    return child


def _seated(channel, walls, limits, shell) -> int:
    """Fork the process that a submission runs in."""
    child = os.fork()
    if child:
        return child
    with _never_returning():
        keep_only(channel)
        size = own_size()
        os.setsid()  # a signal to a process group passes through walls
        if walls != "none":
            first_to_go()
        elif sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # it ends with the warm Python
        if walls == "nested":
            isolate(limits)
        limit(limits, walls, size)
        if walls != "none":
            with contextlib.suppress(OSError):  # a kernel without: the other walls stand
                syscalls.refuse()
        Sitting(socket.socket(fileno=3), shell).serve()
    os._exit(70)


@contextlib.contextmanager
def _never_returning():
    """A forked child must not come back into the program it was forked from."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def watched(child: int, sock, limits, walls, clock: Clock) -> str:
    """Wait until the child has ended or the judge says so; then nothing of it is left. Says why.

    Meanwhile the judge may ask what time it has used (CLOCK).
    """
    if not child:
        return "it could not be walled off"
    why = ""
    while not why:
        asked = bool(select.select([sock], [], [], TICK)[0])
        command = sock.recv(1) if asked else b""
        mine = of_the_submission(child, walls)
        clock.look(mine)
        if command == CLOCK:
            told(sock, clock)
        elif asked:  # CLOSE, or b"" when the judge is no more
            why = "closed"
        elif os.waitpid(child, os.WNOHANG) != (0, 0):
            why = "its process ended"
        elif walls != "none":
            why = too_much(child, mine, limits)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # behind walls it is enough that the first is gone
    end_all()
    return why


def told(sock, clock: Clock) -> None:
    """Answer the judge who asks for the time; none where the system does not tell (macOS)."""
    moments = ASKED.unpack(sock.recv(ASKED.size, socket.MSG_WAITALL))
    used, asleep = clock.since(*moments) if os.path.isdir("/proc/self") else (None, None)
    protocol.send(sock, {"id": 0, "used": used, "asleep": asleep})


def of_the_submission(child: int, walls: str) -> list[int]:
    """The processes of the submission that there are."""
    if walls != "none":  # in a box, all but its first and this one
        all_of_them = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in all_of_them if pid not in (1, os.getpid())]
    found, new = [], [child] if os.path.isdir("/proc/self") else []
    while new:
        found.append(new.pop())
        with contextlib.suppress(OSError):
            with open(f"/proc/{found[-1]}/task/{found[-1]}/children") as file:
                new += map(int, file.read().split())
    return found


def too_much(child: int, processes: list[int], limits) -> str:
    """What of the machine's they hold more than they may, or ""."""
    if resident(processes) > limits["resident"]:
        return f"it used more than {limits['resident'] >> 20} MB of memory"
    if sockets(child) > limits["sockets"]:
        return f"it opened more than {limits['sockets']} sockets, whose memory is the machine's"
    return ""


def sockets(child: int) -> int:
    """How many are open behind the walls of the submission, those on their way to another process included."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{child}/net/sockstat") as file:
            return int(file.readline().split()[2])
    return 0


def end_all() -> None:
    """End all children, and theirs, which become ours: without walls they may have left their group."""
    while True:
        for child in children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children() -> list[int]:
    """Process ids of this process's children; none where the system does not tell (macOS)."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()  # state, parent, …
            if int(fields[1]) == os.getpid():
                found.append(int(name))
    return found


def resident(processes: list[int]) -> int:
    """Bytes of memory that these processes have to themselves."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{process}/statm") as file:
                _, pages, shared, *_ = file.read().split()
            total += (int(pages) - int(shared)) * page
    return total


# ------------------------------------------------------------------ walls

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1, 2, 4, 32, 4096, 16384, 1 << 18,
)  # fmt: skip

libc: Any = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def _checked(name, *args):
    """Call a function of libc that returns 0. Raises OSError."""
    if getattr(libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def become(user: int) -> None:
    """From root to an ordinary user: limits on the number of processes do not bind root."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self belongs to root


def nesting_works(limits) -> bool:
    """Whether a child may put up walls of its own: some systems allow that to nobody within a box."""
    child = os.fork()
    if child == 0:
        with _never_returning(), contextlib.suppress(OSError):
            unshare()
            inner = os.fork()
            if inner:
                os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) & 255)
            isolate(limits)
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def unshare() -> None:
    """New walls; this process keeps its user and group, and no other is known behind them."""
    user, group = os.geteuid(), os.getegid()
    _checked("unshare", NEWUSER | NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def isolate(limits) -> None:
    """Behind new walls: empty folders of limited size, and no rights, for ever."""
    _checked("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    size = f"size={limits['disk']},nr_inodes=2000,mode=700".encode()
    kept = [(p, to or os.open(p, os.O_PATH)) for p, to in limits["below_tmp"]]
    for folder in (b"/tmp", b"/dev/shm", WORK.encode()):
        _checked("mount", b"tmpfs", folder, b"tmpfs", MS_NOSUID | MS_NODEV, size)
    for path, what in kept:
        show_again(path, what)
    try:
        _checked("mount", b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | 8, None)
    except OSError:  # not allowed where parts of the outer one are hidden: then none at all
        _checked(
            "mount", b"tmpfs", b"/proc", b"tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, b"size=4k"
        )
    with contextlib.suppress(OSError), open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
    without_rights()


def show_again(path: str, what: str | int) -> None:
    """Show what a new /tmp has hidden, a Python that lies there, at its path: what was open as a number,
    read-only as it was, or a link to a path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if isinstance(what, str):
        os.symlink(what, path)
        return
    source = f"/proc/self/fd/{what}"
    if os.path.isdir(source):
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT))
    _checked("mount", source.encode(), path.encode(), None, MS_BIND | MS_REC, None)
    os.close(what)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def without_rights() -> None:
    """Drop every capability and the ways to come by one."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _checked("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _checked("capset", ctypes.byref(_Header(0x20080522, 0)), (ctypes.c_uint32 * 6)())


def keep_only(channel: int) -> None:
    """The socket becomes 3; input and output lead nowhere; nothing else stays open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    sock = os.dup(channel) if channel <= 3 else channel
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.dup2(sock, 3)
    os.closerange(4, 4096)


def first_to_go() -> None:
    """When the machine runs out of memory, its kernel ends this process before any other."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def own_size() -> int:
    """Bytes of address space that this process has taken."""
    with contextlib.suppress(OSError, IndexError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 4 << 30


def limit(limits, walls, size) -> None:
    """Hard limits, of each process; `watched` looks at the sum of their memory. size: of address space,
    to begin with."""
    import resource  # Windows has none: there, `box.probe` says that there is no box

    most = {
        "RLIMIT_AS": size + limits["memory"],
        "RLIMIT_CPU": limits["cpu"],
        "RLIMIT_FSIZE": limits["disk"],
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 1,  # with 0, a program of the system may be handed the core, outside
    }
    if walls == "nested" or (walls == "given" and counted_alone(limits)):
        most["RLIMIT_NPROC"] = limits["processes"]
    for name, value in most.items():
        with contextlib.suppress(ValueError, OSError):  # a hard limit that is lower already
            resource.setrlimit(getattr(resource, name), (value, value))


def counted_alone(limits) -> bool:
    """Whether the processes in the box are counted apart from others of the same user: where that user is
    nobody else, and since Linux 5.14, which counts by namespace."""
    version = tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2])
    return os.getuid() == limits["user"] or version >= (5, 14)


# ------------------------------------------------------------------ a submission


class Sitting:
    """One submission in the box: its cells are run, one after the other, and its functions called."""

    def __init__(self, sock, shell):
        self.sock, self.shell = sock, shell
        self.plain = importlib.import_module("maml_edu.checks.plain")
        self.is_stub = sys.modules["maml_edu.checks.check"].is_stub
        self.watch: list[str] = []
        self.found: dict[str, list] = {}  # a name → what was bound to it, the last one last
        self.at: dict[str, list[int]] = {}  # and by which cells
        self.cell = -1
        shell.compile.get_code_name = lambda *_: f"<cell {self.cell}>"

    def serve(self):
        os.register_at_fork(after_in_child=self.sock.close)  # one process answers, and no other
        os.chdir(WORK if os.path.isdir(WORK) and os.access(WORK, os.W_OK) else os.getcwd())
        while (request := protocol.receive(self.sock)) is not None:
            answer = getattr(self, f"do_{request['do']}")(**request["with"])
            if not fits(answer):
                answer = {"too_large": True}
            protocol.send(self.sock, answer | {"id": request["id"]})

    def do_begin(self, watch):
        self.watch = watch
        return {}

    def do_run(self, cell, source, answers=None):
        """Run a cell. answers: the name that it should define, where the notebook says so."""
        self.cell = cell
        space = self.shell.user_ns
        before = {name: id(value) for name, value in space.items()}
        outcome = self.shell.run_cell(source, store_history=False)
        error = outcome.error_before_exec or outcome.error_in_exec
        for name in self.watch:
            self._note(name, space.get(name))
        if answers:  # a function that was given another name
            own = [v for k, v in list(space.items()) if before.get(k) != id(v) and is_function(v)]
            if own:
                self._note(f"in the cell of {answers}", own[-1])
        bound = {name: len(values) for name, values in self.found.items()}
        return {"bound": bound, "at": self.at, "error": described(error) if error else None}

    def _note(self, name, value):
        """Remember what a name means after a cell; what it has meant before, and means again, is the last."""
        known, cells = self.found.setdefault(name, []), self.at.setdefault(name, [])
        if not callable(value) or (known and known[-1] is value):
            return
        for place in range(len(known)):
            if known[place] is value:
                del known[place], cells[place]
                break
        known.append(value)
        cells.append(self.cell)

    def do_call(self, name, which, args, interface):
        """Call what was bound to a name."""
        try:
            arguments = self.plain.from_json(args)
            changed: list[int] = []
            result = self.plain.call(self.found[name][which], arguments, interface, changed.extend)
            return {"result": self.plain.to_json(result), "changed": changed}
        except self.plain.TooDeep:
            return {"too_deep": True}
        except self.plain.NotPlain:
            return {"not_plain": True}
        except BaseException as error:
            if isinstance(error, NotImplementedError) and self.is_stub(error):
                return {"stub": True}
            return {"raised": described(error)}


def fits(answer) -> bool:
    """Whether an answer can be sent: neither too long, nor of too many parts, nor with a number of more digits
    than Python writes."""
    try:
        body = json.dumps(answer).encode()
    except ValueError:
        return False
    return len(body) < protocol.LARGEST - 100 and protocol.parts(body) < protocol.MOST_PARTS - 100


def is_function(value):
    return type(value) is types.FunctionType


def described(error) -> dict:
    """What was raised, and where in the notebook. The judge uses what it can check itself."""
    place = {"cell": -1, "line": -1}
    for frame, line in traceback.walk_tb(getattr(error, "__traceback__", None)):
        name = frame.f_code.co_filename
        if name.startswith("<cell ") and name[6:-1].isdigit():
            place = {"cell": int(name[6:-1]), "line": line}
    if isinstance(error, SyntaxError) and place["cell"] < 0:
        place = {"cell": -1, "line": error.lineno or -1}
    return {"kind": type(error).__name__} | place
