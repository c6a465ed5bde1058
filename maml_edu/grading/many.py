"""Grading many: `grade_one` does a submission and writes its result; a pool or a cluster does so for all.

Every task writes its own result file, so whatever is killed, what is graded is graded, and a rerun does
the rest. `grade_all` uses processes of this machine, `grade_on` an existing dask.distributed cluster.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import hashlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

from maml_edu import __version__, places
from maml_edu.checks.check import HIDDEN_CASES
from maml_edu.machine import usable_cores

from . import results
from .judge import BUSY, Boxes, Times, judge
from .results import Result
from .sandbox.box import NoBox
from .submission import Rejected, find, of_this_chapter, read
from .tasks import Task, task_of

CONNECT = 10.0  # seconds until a scheduler must have answered
WATCH = 1.0  # seconds between a worker's two looks at whether its parent lives


@dataclass(frozen=True)
class Job:
    """One submission to grade: whose, which chapter, and its folder or its file."""

    student: str
    chapter: str
    path: Path


@dataclass(frozen=True)
class How:
    """How to grade. secret: what the hidden inputs are drawn from; private, source: of a class (`tasks`)."""

    folder: Path  # of results
    secret: str
    sandbox: bool = True
    private: Path | None = None
    cases: int = HIDDEN_CASES
    times: Times = field(default_factory=Times)
    source: Path | None = None

    def task(self, chapter: str) -> Task:
        """What is asked. Raises ValueError where files of the class contradict each other."""
        return task_of(chapter, self.source, self.private)

    def key(self, chapter: str) -> str:
        """What a result depends on beside the notebook: another key, and it is graded again."""
        source = places.course_root() / "course" / chapter
        parts = [__version__, self.secret, str(self.cases), str(self.sandbox)]
        for path in (source / "checks.py", source / "exercises.py"):
            parts.append(path.read_text(encoding="utf-8") if path.is_file() else "")
        private = self.private_checks(chapter)
        content = private.read_bytes() if private is not None and private.is_file() else b""
        parts.append(hashlib.sha256(content).hexdigest())
        if self.source is not None:
            try:
                parts.append(self.task(chapter).digest)
            except ValueError as error:  # grading will tell
                parts.append(str(error))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def private_checks(self, chapter: str) -> Path | None:
        return self.private / f"{chapter}.py" if self.private else None


@dataclass(frozen=True)
class Done:
    """What became of a job: its result, or (result None) why none could be written."""

    job: Job
    result: Result | None
    error: str = ""


# ------------------------------------------------------------------ one


def grade_one(job: Job, how: How) -> Done:
    """Grade a submission and write its result, unless that was done. Nothing in a submission raises."""
    try:
        kept = already(job, how)
        if kept is not None:
            return Done(job, kept)
        with _running(job, how):
            result = graded(job, how)
            results.save(how.folder, result)
        return Done(job, result)
    except (OSError, UnicodeError) as error:  # a full disk is no mark, nor is a name of no letters
        return not_written(job, error)


def not_written(job: Job, error: OSError | UnicodeError) -> Done:
    why = error.strerror if isinstance(error, OSError) else "its name is no text"
    return Done(job, None, f"{why}: nothing was written, grade again")


def marker(job: Job, how: How) -> Path:
    """A file that is there while a submission is being graded, and after the death of who did."""
    name = hashlib.sha256(os.fsencode(job.student)).hexdigest()[:16]
    return how.folder / job.chapter / f".{name}.running"


@contextlib.contextmanager
def _running(job, how):
    path = marker(job, how)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def already(job: Job, how: How) -> Result | None:
    """The result that is there, if it is of this very file, these checks and this seed."""
    known = results.known(how.folder, job.chapter, job.student)
    if known is None or not known.final or known.key != how.key(job.chapter):
        return None
    try:
        path, _ = located(job, how)
        return known if known.sha256 and known.sha256 == read(path).sha256 else None
    except Rejected:
        return None


def located(job: Job, how: How) -> tuple[Path, list[str]]:
    """The notebook of a job, which may name its folder."""
    if job.path.is_dir() and not job.path.is_symlink():
        return find(job.path, job.chapter, [item.name for item in how.task(job.chapter).exercises])
    return job.path, []


def graded(job: Job, how: How) -> Result:
    """The result of a submission, whatever it is."""
    start = time.monotonic()
    base = Result(
        job.student, job.chapter, "rejected", sandboxed=how.sandbox, key=how.key(job.chapter)
    )
    task = how.task(job.chapter)
    try:
        path, notes = located(job, how)
        submission = read(path)
        of_this_chapter(submission, task.chapter, names_asked(task))
    except Rejected as error:
        return replace(base, problem=str(error))
    base = replace(
        base, file=submission.file, sha256=submission.sha256, notes=notes + submission.notes
    )
    boxes = warm(how.sandbox)
    try:
        verdicts = judge(submission, task, how.secret, boxes, how.times, how.cases)
    except NoBox as error:
        return replace(base, status="grader-error", problem=str(error))
    status, problem = summary(verdicts)
    seconds = round(time.monotonic() - start, 3)
    return replace(
        base, status=status, verdicts=verdicts, problem=problem, seconds=seconds, versions=boxes.versions
    )  # fmt: skip


def names_asked(task) -> list[str]:
    """The functions and written questions of a chapter, as their cells are called."""
    return [item.name for item in task.exercises] + [question.id for question in task.written]


def summary(verdicts) -> tuple[str, str]:
    """(status, problem) of a submission, by the worst that happened in it."""
    if any(verdict.reason == BUSY for verdict in verdicts):
        return "grader-error", BUSY  # which no mark is, and so it is graded again
    for outcome, status in (
        ("grader-error", "grader-error"), ("not asked", "timeout"), ("timeout", "timeout"), ("crashed", "crashed"),
    ):  # fmt: skip
        bad = [verdict for verdict in verdicts if verdict.outcome == outcome]
        if bad:
            return status, "; ".join(f"{verdict.exercise}: {verdict.reason}" for verdict in bad)
    return "graded", ""


_own = threading.local()


def warm(sandbox: bool) -> Boxes:
    """This thread's boxes; they end with it."""
    if getattr(_own, "sandbox", None) is not sandbox:
        if hasattr(_own, "boxes"):
            _own.boxes.close()
        _own.sandbox, _own.boxes = sandbox, Boxes(sandbox)
    return _own.boxes


def cool() -> None:
    """Close this thread's boxes."""
    if hasattr(_own, "boxes"):
        _own.boxes.close()
        del _own.boxes, _own.sandbox


# ------------------------------------------------------------------ a class, on this machine


def grade_all(
    jobs: Iterable[Job], how: How, workers: int | None = None, one: Callable = grade_one
) -> Iterator[Done]:
    """Grade all, in processes (as many as cores may be used); yields what is done, in no order.

    A submission in whose company a worker dies is tried again alone; when its worker dies once more, that
    is its result ("grader-error"), and no other's. One for which the machine had no time is graded again at the
    end, alone. Raises RuntimeError when no worker even begins.
    """
    todo, again = list(jobs), []
    for done in _grade_together(todo, how, min(workers or usable_cores(), max(len(todo), 1)), one):
        if too_busy(done):
            again.append(done.job)
        else:
            yield done
    for job in again:  # alone, when the others are done
        yield next(_in_a_pool([job], how, 1, one), None) or given_up(job, how)


def too_busy(done: Done) -> bool:
    """Whether it was not graded because the machine had no time for it."""
    return done.result is not None and done.result.problem == BUSY


def _grade_together(todo, how, workers, one) -> Iterator[Done]:
    """All of them once, and those again in whose company a worker died."""
    finished: set[Job] = set()
    for done in _in_a_pool(todo, how, workers, one):
        finished.add(done.job)
        yield done
    left = [job for job in todo if job not in finished]
    while left:  # a worker died: whoever was being graded then is graded alone, the others together
        suspects = [job for job in left if marker(job, how).exists()]
        for job in suspects:
            yield next(_in_a_pool([job], how, 1, one), None) or given_up(job, how)
        rest = [job for job in left if job not in suspects]
        finished = set()
        for done in _in_a_pool(rest, how, workers, one):
            finished.add(done.job)
            yield done
        left = [job for job in rest if job not in finished]
        if not suspects and len(left) == len(rest):
            raise RuntimeError(
                "the processes that grade end before they begin: is there memory for them? (A script of your own "
                "has to call this below `if __name__ == '__main__':`.) Nothing is lost; grade again."
            )


def _in_a_pool(jobs, how, workers, one) -> Iterator[Done]:
    """What a pool of processes gets done of these jobs until one of its processes dies."""
    if not jobs:
        return
    spawn = multiprocessing.get_context(
        "spawn"
    )  # a fork would carry the parent's threads and boxes along
    with futures.ProcessPoolExecutor(workers, spawn, _begin, (os.getpid(),)) as pool:
        try:
            asked = {pool.submit(one, job, how): job for job in jobs}
        except BrokenProcessPool:
            return
        try:
            for answer in futures.as_completed(asked):
                try:
                    yield answer.result()
                except BrokenProcessPool:
                    continue
                except Exception as error:  # a bug of ours: it is reported, the others are graded
                    yield given_up(asked[answer], how, f"{type(error).__name__}: {error}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(parent: int):
    """A worker's first act: see to it that it ends with its parent, which cannot tell when killed."""

    def watch():
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


DIED = "the process that graded it died, twice: a person must look"


def given_up(job: Job, how: How, problem: str = DIED) -> Done:
    """The result of a submission that cannot be graded: no mark, and why. One that is there stays."""
    try:
        kept = already(job, how)
        if kept is None:
            kept = Result(
                job.student, job.chapter, "grader-error", problem=problem, sandboxed=how.sandbox
            )
            results.save(how.folder, kept)
        return Done(job, kept)
    except (OSError, UnicodeError) as error:
        return not_written(job, error)


# ------------------------------------------------------------------ a class, on a cluster


def grade_on(address: str, jobs: Iterable[Job], how: How, show: Callable = print) -> Iterator[Done]:
    """Grade all on the dask.distributed cluster at `address`; yields what is done, in no order.

    Its workers must see the same folders. A submission whose workers die again and again gets a
    "grader-error". Raises ImportError without the extra `cluster`, OSError when nobody is at the address.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError(
            "grading on a cluster needs dask.distributed: pip install 'maml_edu[cluster]'"
        ) from error

    with Client(address, timeout=CONNECT) as client:
        show(f"{len(client.scheduler_info()['workers'])} workers at {address}")
        asked = {client.submit(grade_one, job, how, pure=False): job for job in jobs}
        for answer in as_completed(asked):
            if answer.status == "finished":
                yield answer.result()
            else:
                problem = f"{DIED} ({type(answer.exception()).__name__})"
                yield given_up(asked[answer], how, problem)
