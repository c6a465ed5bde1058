"""Ends, loops and floods: they cost the exercise they happen in at most, and nobody else anything.

Each is bounded by itself, so that it harms no machine even where a wall should not hold: 200 processes that
end after five seconds, 6 GB of memory, 300 MB of files, signals to processes it can name only in a box.
"""

from __future__ import annotations

from .cases import ALL, answer, cell

FIRST_LOST = (0, 3, 3, 3, 4, 3)


def slope(body, name, points=FIRST_LOST, **more):
    """The first answer does this when it is called."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    return answer(name, points, meta_slope=f"def meta_slope(theta, c, a, alpha):\n{lines}", **more)


# A box has few processes, with small numbers; on a developer's machine these are other people's.
IN_A_BOX = "import os, signal, ctypes\nif os.getpid() > 50: raise SystemExit\n"

ENDS = [
    cell("os._exit in a cell", "import os; os._exit(0)", marks=("ordinary", "given")),
    slope("import os; os._exit(0)", "os._exit in an answer", says="ended its own process"),
    slope("raise SystemExit", "SystemExit in an answer", says="SystemExit"),
    slope("raise KeyboardInterrupt", "KeyboardInterrupt in an answer", says="KeyboardInterrupt"),
    slope("raise GeneratorExit('x' * 10**6)", "GeneratorExit in an answer", says="GeneratorExit"),
    slope("import os; os.abort()", "abort"),
    slope("import ctypes; ctypes.string_at(0)", "a null pointer"),
    slope("import os; os.execv('/bin/true', ['true'])", "becomes another program"),
    slope("import os; os.close(3)\nreturn 1.0", "closes the channel"),
    slope("import socket; socket.socket(fileno=3).shutdown(2)\nreturn 1.0", "shuts the channel down"),
    slope("import sys; sys.setrecursionlimit(10**8)\ndef f(): return f()\nf()", "recursion without an end", quick=True),
    slope("import os; os.kill(os.getpid(), 9); os.kill(os.getpid(), 11)\nreturn 0.0", "kills itself"),
    slope("import os\nif os.fork(): os._exit(0)\nreturn 1.0", "answers from a child, and dies"),
    slope("import os\nos.fork()\nreturn 1.0", "answers twice, from a child too"),
    slope("import resource as r; r.setrlimit(r.RLIMIT_CPU, (0, 0))\nwhile True: pass", "takes its own time away"),
    cell("kills its parent", IN_A_BOX + "os.kill(os.getppid(), 9); os.kill(1, 9)", marks=("ordinary",)),
    cell("kills whomever it can", IN_A_BOX + """
for pid in (-1, *range(2, 400)):
    for what in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        try: os.kill(pid, what)
        except OSError: pass
""", marks=("ordinary", "given")),
    cell("stops itself and its group", IN_A_BOX + "os.kill(0, signal.SIGSTOP)", quick=True),
    cell("leaves a trap for the end", "import atexit, os; atexit.register(os.abort); exit()"),
    cell("lets the interpreter fall", "import sys, builtins; vars(builtins).clear()"),
    cell("empties sys.modules", "import sys; sys.modules.clear()", points=(None,) * 6, says="stopped with ImportError"),
    cell("closes every file", "import os; os.closerange(0, 1000)", marks=("ordinary",)),
]  # fmt: skip

IGNORES = """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
"""
SWALLOWS = """
while True:
    try:
        while True: pass
    except BaseException: pass
"""

LOOPS = [
    cell("a loop that swallows every exception", SWALLOWS, quick=True, marks=("ordinary", "given")),
    cell("ignores every signal", IGNORES + SWALLOWS, quick=True),
    slope("""
while True:
    try:
        while True: pass
    except BaseException: pass
""", "an answer that swallows every exception", quick=True, says="a loop that does not end"),
    slope("import time; time.sleep(10**6)", "sleeps for ever", quick=True, says="a loop that does not end"),
    slope("return pow(7, 7**9)", "a number that is never done", quick=True),
    slope("import re; return re.match('(a+)+$', 'a' * 60 + 'b')", "an expression that is never done", quick=True),
    slope("import itertools; return list(itertools.count())", "an endless list", quick=True),
    slope("import os\nwhile os.read(3, 100): pass", "eats the questions", quick=True),
    slope("import threading; threading.Lock().acquire(); l = threading.Lock(); l.acquire(); l.acquire()",
          "waits for itself", quick=True),
    slope("""
class Trap:
    def __repr__(self):
        while True: pass
    __class__ = property(__repr__)
    __getattr__ = __eq__ = __hash__ = __repr__
return Trap()
""", "a result that is never looked at to the end", quick=True),
    cell("a thread that never ends", "import threading\ndef run():\n    while True: pass\n"
         "threading.Thread(target=run).start()", at="end"),
    cell("a timer that raises for ever", """
import signal
def trap(*_): raise RuntimeError
signal.signal(signal.SIGALRM, trap); signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
while True:
    try: signal.pause()
    except RuntimeError: pass
""", quick=True),
]  # fmt: skip

MEMORY = "hog = []\nfor _ in range(24): hog.append(bytearray(b'x') * (1 << 28))"
FLOODS = [
    cell("memory", MEMORY, marks=("ordinary", "given")),
    slope(MEMORY, "memory in an answer", says="MemoryError"),
    cell("memory in children", """
import os, time
for _ in range(6):
    if not os.fork():
        hog = bytearray(b'x') * (1 << 30)
        time.sleep(3); os._exit(0)
for _ in range(6): os.wait()
"""),
    cell("memory that belongs to nobody", """
import mmap, os, time
maps = []
for _ in range(6):
    maps.append(mmap.mmap(-1, 1 << 30))
    if not os.fork(): time.sleep(3); os._exit(0)
    maps[-1][:] = bytes(1 << 30); maps.pop().close()
"""),
    cell("memory in files without a name", """
import os
files = []
for _ in range(200):
    files.append(os.memfd_create('x')); os.write(files[-1], bytes(30 << 20))
"""),
    cell("memory in /dev/zero", """
import mmap, os
for _ in range(6): mmap.mmap(os.open('/dev/zero', os.O_RDWR), 1 << 30)[:] = bytes(1 << 30)
"""),
    cell("processes", """
import os, time
for _ in range(200):
    if not os.fork(): time.sleep(5); os._exit(0)
""", marks=("ordinary", "given")),
    cell("processes that make processes", """
import os, time
until = time.time() + 2
for _ in range(7): os.fork()
while time.time() < until: time.sleep(0.1)
os._exit(0)
"""),
    cell("threads", """
import threading, time
for _ in range(400): threading.Thread(target=time.sleep, args=(5,)).start()
"""),
    cell("files", "with open('big', 'wb') as f:\n    for _ in range(300): f.write(bytes(1 << 20))", marks=("ordinary",)),
    cell("many files", """
for folder in ('/student', '/tmp', '/dev/shm', '/dev', '.'):
    for i in range(40):
        try:
            with open(f'{folder}/{i}', 'wb') as f: f.write(bytes(5 << 20))
        except OSError: pass
"""),
    cell("many empty files", "for i in range(5000): open(f'{i}', 'w').close()"),
    cell("a file with a hole", "open('hole', 'wb').truncate(1 << 40)"),
    cell("output", "import sys\nfor _ in range(200): print('x' * (1 << 20)); sys.stderr.write('y' * (1 << 20))"),
    cell("open files", "import os\nfiles = []\nwhile len(files) < 5000: files.append(os.open('/dev/null', 0))"),
    cell("sockets full of data", """
import socket
pairs = []
for _ in range(100):
    a, b = socket.socketpair(); a.setblocking(False); pairs.append((a, b))
    try:
        while True: a.send(bytes(1 << 16))
    except OSError: pass
"""),
    slope("print('x' * (100 << 20))\nreturn (1 - alpha * a) ** 2 * a * (theta - c)", "output in an answer", points=ALL),
    slope("return np.zeros(10**8)", "a large result", says="MemoryError"),
    slope("return 'x' * 10**8", "a long text", says="far larger"),
    slope("return 10**5000", "a long number"),
    slope("return 10**4000", "a number of 4,000 digits", says="far larger"),
    slope("return list(range(15 * 10**5))", "a long list"),
    slope("return ['x' * 4000] + [''] * 10**6", "one long word in a long list", says="far larger"),
    slope("r = []\nfor _ in range(10**5): r = [r]\nreturn r", "a deep list"),
    slope("r = []\nr.append(r)\nreturn r", "a list in itself"),
    slope("return {i: {} for i in range(10**5)}", "a large dict"),
    slope("return np.zeros((0, 10**9, 10**9))", "an array of no elements and an odd shape"),
    slope("return np.lib.stride_tricks.as_strided(np.zeros(1), (10**9,), (0,))", "an array larger than its memory"),
    answer("one long word in a long array", (2, 3, 0, 3, 4, 3), says="far larger",
           first_order_misleads="def first_order_misleads(theta, c, a, alpha): return ['x' * 4000] + [0] * 10**6"),
]  # fmt: skip

SOURCES = [
    cell("a million brackets", "(" * 10**6, quick=True),
    cell("a hundred thousand signs", "x = " + "-" * 10**5 + "1", quick=True),
    cell("a line of five megabytes", "x = '" + "y" * (5 << 20) + "'", quick=True),
    cell("twenty thousand lines", "x = 1\n" * 2 * 10**4),
    cell("a thousand loops in each other", "\n".join(" " * n + "for i in '':" for n in range(1000)), quick=True),
    cell("a constant that is never done", "x = 9 ** 9 ** 9 ** 9", quick=True),
    cell("zeros in the source", "x = 1\0\ny = 2"),
    cell("text that changes its direction", "# \u202e\u2066 if admin\nx = 1"),
]  # fmt: skip

CASES = [*ENDS, *LOOPS, *FLOODS, *SOURCES]
