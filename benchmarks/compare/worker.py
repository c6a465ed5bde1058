"""One peer in a process of its own: `python worker.py NAME` answers JSON lines until its input ends.

    {"cmd": "prepare", "workload": {…}, "data": FILE, "dtype": "float64", "device": "cpu"}
    {"cmd": "gradient", "batch": "check", "out": FILE, "threads": 2}     → {"value": …, "seconds": …}
    {"cmd": "round", "steps": 3, "batch": null, "threads": 2}            → {"tasks": …, "seconds": …}
    {"cmd": "peak", "threads": 2}                                        → {"bytes": …}

Every answer is one line; {"error": reason, "kind": "ValueError"} where it went wrong. "data" is a file of
`workloads.save`. What a peer prints goes to stderr. Start reading at `main`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # last: a peer's own packages come first

from benchmarks.compare import peers, workloads  # noqa: E402


class Session:
    """The peer as it is now, and the batches of its workload; a method for each command."""

    def __init__(self, entry):
        self.entry, self.make, self.peer = entry, peers.load(entry), None
        self.batches, self.workload, self.threads, self.done = None, None, None, 0

    def prepare(self, workload, data, dtype="float32", device="cpu", threads=None):
        """Network, first weights, data on the device; nothing has run yet."""
        self.rest()
        began = time.perf_counter()
        params, batches = workloads.load(data)
        self.workload = workloads.Workload(**workload)
        self.peer = self.make(self.workload, params, dtype, device, self.entry.option)
        self.batches = {label: self.peer.put(own) for label, own in batches.items()}
        self.use(threads)
        return {"seconds": time.perf_counter() - began}

    def gradient(self, batch, out, threads=None):
        """The meta-gradient of one batch into an .npz file."""
        self.use(threads)
        began = time.perf_counter()
        value, slopes = self.peer.gradient(self.batches[batch])
        seconds = time.perf_counter() - began
        np.savez(out, **slopes)
        return {"value": value, "seconds": seconds}

    def round(self, steps, batch=None, threads=None):
        """Outer steps on end, over the batches in turn (or on one of them)."""
        self.use(threads)
        chosen = [batch] if batch else [label for label in self.batches if label != "check"]
        if hasattr(self.peer, "run"):  # trains on tasks that it draws itself
            return {"tasks": steps * self.workload.tasks, "seconds": self.peer.run(steps)}
        began = time.perf_counter()
        for _ in range(steps):
            self.peer.step(self.batches[chosen[self.done % len(chosen)]])
            self.done += 1
        self.peer.wait()
        seconds = time.perf_counter() - began
        return {"tasks": steps * self.tasks_in(chosen[0]), "seconds": seconds}

    def peak(self, threads=None):
        """Bytes held at the worst moment of one step, on the GPU or by the whole process."""
        self.use(threads)
        give_back_memory()
        self.peer.forget_peak()
        forget_peak()
        self.round(1)
        return {"bytes": self.memory()[1]}

    def resident(self):
        """Bytes that are held now."""
        give_back_memory()
        return {"bytes": self.memory()[0]}

    def memory(self):
        """(bytes now, most) of the GPU, or of the process."""
        return self.peer.device_memory() or (process_now(), process_peak())

    def rest(self):
        """Forget the workload."""
        self.peer = self.batches = None
        give_back_memory()
        return {}

    def use(self, threads):
        if threads and self.peer is not None and threads != self.threads:
            self.peer.set_threads(threads)
            self.threads = threads

    def tasks_in(self, label):
        return (self.workload.check_tasks if label == "check" else None) or self.workload.tasks


def give_back_memory():
    """Free what is free: Python's objects, then the C library's."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library


def forget_peak():
    """Let the kernel's high-water mark start anew (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def process_peak():
    """The most memory that the process has held, bytes."""
    found = _status("VmHWM")
    if found is None:
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return found


def process_now():
    found = _status("VmRSS")
    return process_peak() if found is None else found


def _status(name):
    """A figure of /proc/self/status in bytes; None where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None


def one_line(error):
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def answer(session, request):
    command = request.pop("cmd")
    try:
        return {"ok": True, **getattr(session, command)(**request)}
    except Exception as error:  # whatever it is, the others go on
        return {"ok": False, "error": one_line(error), "kind": type(error).__name__}


def main():
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a peer that prints would break the protocol
    began = time.perf_counter()
    try:
        session = Session(peers.BY_NAME[sys.argv[1]])
    except Exception as error:
        hello = {"ok": False, "error": one_line(error), "kind": type(error).__name__}
    else:
        hello = {"ok": True, "seconds": time.perf_counter() - began}
    print(json.dumps(hello), file=replies, flush=True)
    if not hello["ok"]:
        return
    for line in sys.stdin:
        print(json.dumps(answer(session, json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
