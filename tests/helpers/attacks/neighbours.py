"""Two submissions at once, and the judge behind them: signals between the two, the machine's memory, its time.

Locks, leases and notices on files that both see; buffers and sockets that no limit of a process counts; crowds.
"""

from __future__ import annotations

from .cases import ALL, answer, cell, spy
from .harm import slope

SHARED = "os.path.realpath(os.__file__)"  # a file of Python's own, which every box shows

LOCKS = [
    spy(f"a lock by {how}", f"""
        import fcntl, os
        first, second = open({SHARED}), open({SHARED})
        {how}
        seen = False
    """, marks=marks)
    for how, marks in (
        ("fcntl.flock(first, fcntl.LOCK_EX)", ("ordinary", "given")), ("fcntl.flock(first, fcntl.LOCK_SH)", ()),
        ("fcntl.lockf(first, fcntl.LOCK_SH)", ()), ("fcntl.lockf(first, fcntl.LOCK_SH, 4, 8)", ()),
    )
] + [
    spy("a lock that keeps another out", f"""
        import fcntl, os
        first, second = open({SHARED}), open({SHARED})
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try: fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError: seen = True
    """, marks=("ordinary", "given", "seen outside")),
    spy("a lock of an open file", f"""
        import fcntl, os, struct
        first, second = open({SHARED}), open({SHARED})
        ask = struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 0, 0, 0)
        fcntl.fcntl(first, 37, ask)
        left = fcntl.fcntl(second, 36, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
        seen = struct.unpack('hhqqi4x', left)[0] != fcntl.F_UNLCK
    """, marks=("ordinary", "seen outside")),
    spy("a lease", f"""
        import fcntl, os
        open('own', 'w').close()
        for path in ({SHARED}, 'own'):
            try: fcntl.fcntl(open(path), fcntl.F_SETLEASE, fcntl.F_RDLCK); seen = path
            except OSError: pass
    """, marks=("ordinary",)),
    spy("notices of a folder", f"""
        import fcntl, os
        fcntl.fcntl(os.open(os.path.dirname({SHARED}), os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_ACCESS); seen = True
    """, marks=("ordinary", "seen outside")),
    *(spy(f"notices of files, by {name}", f"""
        import ctypes, platform
        column = ['x86_64', 'aarch64'].index(platform.machine())
        seen = ctypes.CDLL(None).syscall({numbers}[column], {flags}, 0) >= 0
    """, marks=marks) for name, numbers, flags, marks in (
        ("inotify_init1", (294, 26), 0, ("ordinary", "seen outside")), ("inotify_init", (253, -1), 0, ("seen outside",)),
        ("fanotify_init", (300, 262), 0x200, ()),
    )),
    spy("a queue of messages", """
        import ctypes, os
        libc = ctypes.CDLL(None)
        try: seen = libc.mq_open(b'/meet', os.O_CREAT | os.O_RDWR, 0o666, None) >= 0
        except AttributeError: seen = ctypes.CDLL('librt.so.1').mq_open(b'/meet', os.O_CREAT | os.O_RDWR, 0o666, None) >= 0
    """, marks=("ordinary",)),
    spy("the kernel's log", """
        import ctypes
        seen = ctypes.CDLL(None).klogctl(3, ctypes.create_string_buffer(1 << 16), 1 << 16) > 0
    """, marks=("ordinary",)),
    spy("locks of others in /proc", "import os; seen = len(open('/proc/locks').read()) > 0 and os.getpid() > 50"),
    cell("locks of its own files, as libraries take them", """
        import fcntl, sqlite3
        with open('mine', 'w') as file:
            fcntl.flock(file, fcntl.LOCK_EX); fcntl.flock(file, fcntl.LOCK_UN)
            fcntl.lockf(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_UN)
    """, marks=("ordinary",)),
]  # fmt: skip

# Each fills what it gets, for at most so many bytes that no machine is harmed where a wall does not hold.
FILL = """
import os, socket
held, total = [], 0
def fill(a, most=1 << 22):
    global total
    a.setblocking(False)
    before = total
    try:
        while total - before < most: total += a.send(bytes(1 << 16))
    except OSError: pass
"""
BUFFERS = [
    *(spy(f"a larger {name}", f"""
        import socket
        a, b = socket.socketpair()
        try: a.setsockopt(socket.SOL_SOCKET, {number}, 1 << 22); seen = True
        except PermissionError: pass
    """, marks=("ordinary", "seen outside")) for name, number in (("buffer to send", 7), ("buffer to receive", 8))),
    *(spy(f"a larger {name}", f"""
        import socket
        a, b = socket.socketpair()
        try: a.setsockopt(socket.SOL_SOCKET, {number}, 1 << 22); seen = True
        except PermissionError: pass
    """) for name, number in (("buffer to send, by force", 32), ("buffer to receive, by force", 33))),
    spy("a larger buffer of its channel", """
        import socket
        socket.socket(fileno=3).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22); seen = True
    """),
    spy("a larger pipe", """
        import fcntl, os
        r, w = os.pipe()
        fcntl.fcntl(w, 1031, 1 << 20); seen = True
    """, marks=("ordinary", "seen outside")),
    spy("a larger buffer, by another way to call", """
        import ctypes, platform, socket
        number = {'x86_64': 54, 'aarch64': 208}[platform.machine()]
        a, b = socket.socketpair()
        value = ctypes.c_int(1 << 22)
        seen = ctypes.CDLL(None).syscall(number, a.fileno(), 1, 7, ctypes.byref(value), 4) == 0
    """, marks=("ordinary", "seen outside")),
    cell("sockets as asyncio and multiprocessing take them", """
        import asyncio, multiprocessing as mp, socket
        asyncio.new_event_loop().run_until_complete(asyncio.sleep(0))
        a, b = mp.Pipe(); a.send([1] * 1000); assert b.recv() == [1] * 1000
        s, t = socket.socketpair(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    """, marks=("ordinary",)),
    *(cell(f"hundreds of sockets, {name}", FILL + source + "\nimport time\ntime.sleep(2)", marks=marks)
      for name, source, marks in (
        ("full", "for _ in range(120):\n    held += socket.socketpair(); fill(held[-2]); fill(held[-1])", ()),
        ("in many processes", """
for _ in range(20):
    if not os.fork():
        for _ in range(60): held += socket.socketpair(); fill(held[-2])
        import time; time.sleep(5); os._exit(0)
""", ("ordinary", "given")),
        ("on their way", """
a, b = socket.socketpair()
for _ in range(300):
    c, d = socket.socketpair(); fill(c)
    try: socket.send_fds(a, [b'x'], [c.fileno(), d.fileno()])
    except OSError: break
    c.close(); d.close()
""", ()),
        ("of packets", "for _ in range(120):\n    held += socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); fill(held[-2])", ()),
        ("with names", """
for i in range(120):
    s = socket.socket(socket.AF_UNIX); s.bind(f'/tmp/s{i}'); s.listen(1); c = socket.socket(socket.AF_UNIX); c.connect(f'/tmp/s{i}')
    held += [s, c]; fill(c)
""", ()),
        ("of the kernel", "for _ in range(200): held.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))", ()),
        ("of the network", "for _ in range(200): held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))", ()),
    )),
    cell("pipes full of data", """
import os
held = []
for _ in range(110):
    r, w = os.pipe(); os.set_blocking(w, False); held.append((r, w))
    try:
        while True: os.write(w, bytes(1 << 16))
    except OSError: pass
"""),
]  # fmt: skip

CROWDS = [
    cell("a crowd that works", """
import os, time
for _ in range(46):
    if not os.fork():
        until = time.monotonic() + 6
        while time.monotonic() < until: pass
        os._exit(0)
""", quick=True, marks=("ordinary",)),
    cell("a crowd of threads", """
import threading, time
until = time.monotonic() + 2
def spin():
    while time.monotonic() < until: pass
for _ in range(40): threading.Thread(target=spin).start()
""", quick=True),
    cell("a crowd in sessions of their own", """
import os, time
for _ in range(40):
    if not os.fork():
        os.setsid()
        until = time.monotonic() + 4
        while time.monotonic() < until: pass
        os._exit(0)
""", quick=True),
    cell("a higher priority", """
import os
for act in (lambda: os.nice(-10), lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
            lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))):
    try: act(); raise SystemExit('it has it')
    except OSError: pass
""", marks=("ordinary",)),
]  # fmt: skip

QUICK_END = {"quick": True, "says": "a loop that does not end"}
TIME = [
    slope(body, name, **QUICK_END) for name, body in (
        ("naps for ever", "import time\nwhile True: time.sleep(0.01)"),
        ("stops a child and waits", "import os\np = os.fork()\nif not p: os.kill(os.getpid(), 19)\nos.waitpid(p, 0)"),
        ("works in children it does not wait for", """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if not os.fork():
        sum(range(10**6)); os._exit(0)
    os.sched_yield()
"""),
        ("works in another session", "import os, time\nif not os.fork():\n    os.setsid()\n    while True: pass\ntime.sleep(99)"),
        ("works in threads alone", """
import threading
def spin():
    while True: pass
t = threading.Thread(target=spin); t.start(); t.join()
"""),
        ("waits for what never comes", "import select; select.select([], [], [])"),
        ("reads an empty pipe", "import os\nr, w = os.pipe(); os.read(r, 1)"),
        ("naps and works by turns", "import time\nwhile True: sum(range(10**5)); time.sleep(0.02)"),
    )
] + [
    slope("import time; time.sleep(0.02)\nreturn (1 - alpha * a) ** 2 * a * (theta - c)", "a nap in each call", points=ALL),
    answer("works for half a second", ALL, before="t = sum(range(10**7))"),
]  # fmt: skip

CASES = [*LOCKS, *BUFFERS, *CROWDS, *TIME]
