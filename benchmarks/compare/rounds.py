"""Measuring: the process of a peer, the check before the timing, interleaved rounds. Start with `measure`.

A peer that is wrong, breaks or hangs becomes a row that says so; it never ends the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.compare import oracle, workloads

WORKER = Path(__file__).with_name("worker.py")
EXACT = 1e-9  # relative error in float64 above which a meta-gradient is wrong

DOES_NOT_APPLY = ("ValueError", "NotImplementedError", "ImportError", "ModuleNotFoundError")


class PeerFailed(RuntimeError):
    """A worker gave an error, died or did not answer; the message is one line."""

    def __init__(self, reason, kind=""):
        super().__init__(reason)
        self.kind = kind


class Worker:
    """A peer's process: `ask` a command, `close` it. Raises PeerFailed."""

    def __init__(self, entry, folder=None, scratch=None, patience=300.0):
        self.entry, self.patience = entry, patience
        self.log = Path(scratch or ".") / f"{entry.name}.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER), entry.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=surroundings(folder, scratch),
                start_new_session=True,  # Ctrl-C is for the driver, which then closes its workers
            )
        self.answers: queue.Queue = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.seconds_to_start = self._answer()["seconds"]
        except BaseException:  # Ctrl-C, too
            self.close()
            raise

    def ask(self, command, **arguments):
        """The worker's answer to a command."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"cmd": command, **arguments}) + "\n")
            self.process.stdin.flush()
        return self._answer()

    def close(self):
        """End the process, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    @property
    def alive(self):
        return self.process.poll() is None

    def _listen(self):
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def _answer(self):
        try:
            line = self.answers.get(timeout=self.patience)
        except queue.Empty:
            self.close()
            raise PeerFailed(f"no answer within {self.patience:.0f} s") from None
        if line is None:
            code = self.process.wait()
            raise PeerFailed(f"its process ended with code {code}: {last_line(self.log)}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise PeerFailed(answer["error"], answer["kind"])
        return answer


def surroundings(folder, scratch):
    """Environment variables of a worker: its packages first, every core, caches of this run only."""
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    found = {n: v for n, v in os.environ.items() if n not in (*limits, "PYTHONPATH")}
    if folder:
        found["PYTHONPATH"] = str(folder)
    if scratch:  # so that the first step of a run compiles what it needs, and says what that takes
        found["TORCHINDUCTOR_CACHE_DIR"] = str(Path(scratch) / "inductor")
        found["NUMBA_CACHE_DIR"] = str(Path(scratch) / "numba")
        found["MAML_EDU_HOME"] = str(Path(scratch) / "home")
    return found


def last_line(log):
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "without a word")


@dataclass
class Row:
    """What is known of one peer on one workload.

    status: "timed"; "wrong" (the check failed: not timed); "failed" (an error, or no environment);
    "apart" (does not apply or is left out, by `reason`). rates: tasks per second, round by round, None
    where the peer sat a round out. tasks: in one timed outer step.
    """

    peer: str
    status: str = "timed"
    reason: str = ""
    error64: float | None = None
    error32: float | None = None
    first_seconds: float | None = None
    threads: int | None = None
    tasks: int = 0
    rates: list[float | None] = field(default_factory=list)
    batch: str | None = None  # "check" where a whole batch would take too long
    step_seconds: float = 0.0
    spent: float = 0.0

    def to_dict(self):
        working = ("batch", "step_seconds", "spent")
        return {name: v for name, v in asdict(self).items() if name not in working}


@dataclass(frozen=True)
class Plan:
    """How long to measure: rounds, seconds of a round, seconds a peer may spend on all its rounds.

    A peer whose steps are long sits out the later rounds once its seconds are spent; for the first
    `least` rounds it may spend three times as many.
    """

    rounds: int = 5
    seconds: float = 0.4
    budget: float = 6.0
    least: int = 3
    device: str = "cpu"
    cores: int = os.cpu_count() or 1
    quick: bool = False
    thorough: bool = False


class Crew:
    """The workers of a run, started when first needed and kept; one that died is started anew."""

    def __init__(self, environments, scratch):
        self.environments, self.scratch = environments, Path(scratch)
        self.workers, self.startup = {}, {}

    def worker(self, entry):
        """The process of a peer. Raises PeerFailed, also where its packages are missing."""
        known = self.workers.get(entry.name)
        if known and known.alive:
            return known
        self.workers[entry.name] = started = self.fresh(entry)
        self.startup.setdefault(entry.name, started.seconds_to_start)
        return started

    def fresh(self, entry):
        """A process that nothing was run in; the caller closes it."""
        built = self.environments.get(entry.environment)
        if built is not None and built.reason:
            raise PeerFailed(built.reason)
        return Worker(entry, built and built.folder, self.scratch)

    def rest(self):
        """Let every worker give back the memory of its last workload; one that cannot is ended."""
        for worker in self.workers.values():
            if worker.alive:
                try:
                    worker.ask("rest")
                except PeerFailed:
                    worker.close()

    def close(self):
        for worker in self.workers.values():
            worker.close()


def measure(workload, entries, crew, plan, note=lambda text: None):
    """[Row]: check every peer, then time those that are right in interleaved rounds.

    note(text) hears what is going on. KeyboardInterrupt passes through with the rows so far as its
    `rows`.
    """
    data = crew.scratch / f"{workload.name}.npz"
    workloads.save(workload, data)
    rows: list[Row] = []
    try:
        note("reference gradient")
        truth = Truth(workload, data)
        for entry in entries:
            note(f"checking {entry.name}")
            rows.append(admit(entry, workload, data, truth, crew, plan))
        for number in range(plan.rounds):
            for entry, row in in_turn(entries, rows, number):
                note(f"round {number + 1} of {plan.rounds}: {entry.name}")
                one_round(entry, row, crew, plan, number)
    except KeyboardInterrupt as stop:
        stop.rows = rows  # type: ignore[attr-defined]
        raise
    crew.rest()
    return rows


class Truth:
    """The meta-gradients that peers are held against, in float64: of the check, and of a timed batch."""

    def __init__(self, workload, data):
        self.workload, self.known = workload, {}
        self.params, self.batches = workloads.load(data)

    def error(self, label, found):
        """Relative error of a meta-gradient on the batch of that label."""
        if label not in self.known:
            batch = self.batches[label]
            self.known[label] = oracle.meta_gradient(self.workload, self.params, batch)[1]
        return oracle.relative_error(found, self.known[label])


def admit(entry, workload, data, truth, crew, plan):
    """The Row of one peer, ready for its rounds when it is right; else why it is not timed."""
    row = Row(entry.name, tasks=workload.tasks)
    left_out = entry.reason_to_leave_out(workload, plan)
    if left_out:
        row.status, row.reason = "apart", left_out
        return row
    try:
        check(entry, row, workload, data, truth, crew, plan)
    except PeerFailed as error:
        row.reason = str(error)
        row.status = "apart" if entry.ours and error.kind in DOES_NOT_APPLY else "failed"
    return row


def check(entry, row, workload, data, truth, crew, plan):
    """Fill a row up to its rounds: correctness in float64 and float32, the first step, threads."""
    worker = crew.worker(entry)
    counts = entry.thread_counts(workload, plan.cores, plan.device)
    common = {"workload": workload.to_dict(), "data": str(data), "device": plan.device}
    worker.ask("prepare", dtype="float64", threads=counts[0], **common)
    row.error64, _ = gradient_error(worker, "check", truth, crew)
    if not row.error64 <= EXACT:
        row.status, row.reason = "wrong", f"relative error {row.error64:.0e} in float64"
        return
    few = entry.few_tasks and workload.check_tasks and plan.device == "cpu"
    label = "check" if few else "0"
    worker.ask("prepare", dtype="float32", threads=counts[0], **common)
    row.error32, row.first_seconds = gradient_error(worker, label, truth, crew)
    if not row.error32 <= entry.close:
        row.status, row.reason = "wrong", f"relative error {row.error32:.0e} in float32"
        return
    if label == "check":
        row.tasks, row.batch = workload.check_tasks, label
    row.threads = best_threads(worker, counts)
    row.step_seconds = time_of_steps(worker, batch=row.batch, threads=row.threads)


def gradient_error(worker, label, truth, crew):
    """(relative error, seconds) of a peer's meta-gradient on one batch."""
    out = crew.scratch / f"{worker.entry.name}.npz"
    seconds = worker.ask("gradient", batch=label, out=str(out))["seconds"]
    with np.load(out) as stored:
        found = {name: stored[name] for name in stored.files}
    return truth.error(label, found), seconds


def best_threads(worker, counts, trials=3):
    """The thread count with the shortest step on the batch of the check, tried in turn."""
    if len(counts) == 1:
        return counts[0]
    seconds = dict.fromkeys(counts, float("inf"))
    for _ in range(trials):
        for count in counts:
            once = worker.ask("round", steps=1, batch="check", threads=count)["seconds"]
            steps = max(1, min(100, int(0.05 / once)))
            took = worker.ask("round", steps=steps, batch="check", threads=count)["seconds"]
            seconds[count] = min(seconds[count], took / steps)
    return min(seconds, key=seconds.get)


def time_of_steps(worker, enough=0.1, **how):
    """Seconds of one outer step, from as many as take `enough` seconds: those before warm up."""
    steps = 1
    while True:
        seconds = worker.ask("round", steps=steps, **how)["seconds"]
        if seconds >= enough and (steps > 1 or seconds > 1):
            return seconds / steps
        steps *= max(2, min(10, int(enough / max(seconds, 1e-9))))


def in_turn(entries, rows, number):
    """The peers to time in one round: each round begins with another, so that none is always first."""
    timed = [(e, r) for e, r in zip(entries, rows, strict=True) if r.status == "timed"]
    start = number % len(timed) if timed else 0
    return timed[start:] + timed[:start]


def one_round(entry, row, crew, plan, number):
    """Add this round's rate to a row: None when the peer's time is spent; a failure ends its rounds."""
    enough = plan.budget if number >= plan.least else 3 * plan.budget
    if row.status != "timed" or row.spent > enough:
        row.rates.append(None)
        return
    steps = max(1, round(plan.seconds / row.step_seconds))
    how = {"batch": row.batch, "threads": row.threads}
    try:
        answer = crew.workers[entry.name].ask("round", steps=steps, **how)
    except PeerFailed as error:
        row.status, row.reason = "failed", str(error)
        return
    row.spent += answer["seconds"]
    row.step_seconds = answer["seconds"] / steps
    row.rates.append(answer["tasks"] / answer["seconds"])


# ------------------------------------------------------------------------------ figures from rounds


def median(rates):
    """Median over the rounds that a peer took part in; None without any."""
    known = [rate for rate in rates if rate is not None]
    return statistics.median(known) if known else None


def ratio(rates, others):
    """Median of rates / others within each round that both took part in; None without a common one.

    A machine's speed drifts; within one round both peers saw the same machine.
    """
    pairs = [(a, b) for a, b in zip(rates, others, strict=False) if a is not None and b is not None]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def spread(rates):
    """(slowest, fastest) round; None without any."""
    known = [rate for rate in rates if rate is not None]
    return (min(known), max(known)) if known else None


def fastest(rows, names):
    """The timed row of the highest median among peers of these names; None without any."""
    known = [row for row in rows if row["peer"] in names and median(row["rates"]) is not None]
    return max(known, key=lambda row: median(row["rates"]), default=None)
