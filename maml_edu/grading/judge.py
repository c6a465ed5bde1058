"""The verdict, reached out here: the course's own checks on functions that live in a box.

`judge` gives a submission's cells to a box and each check a stand-in for the student's function, which
sends the arguments there and brings the result back. Inputs are drawn here, from a secret seed, and
compared here, so nothing that a notebook does to its own process can change its marks.
"""

from __future__ import annotations

import builtins
import keyword
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from maml_edu import places
from maml_edu.checks import plain
from maml_edu.checks.check import HIDDEN_CASES, seed_of
from maml_edu.checks.exercise import Exercise, WrongAnswer, load_chapter, note_changes
from maml_edu.checks.exercise import judge as run_check

from .results import Verdict
from .sandbox import protocol
from .sandbox.box import Account, Box, Busy, Limits, NoBox, Session
from .submission import Cell, Submission, answer_pattern, printable, read

RESTARTS = 8  # of a box in which one notebook's cells keep killing themselves
ENDED = (protocol.Gone, protocol.TooLate, protocol.Malformed)
BUSY = (
    "the machine was too busy with other work to judge this: it is graded again when the class is"
)


@dataclass(frozen=True)
class Times:
    """Seconds: a cell, a question (all calls of one exercise), a notebook.

    They are the submission's own: of the processor, and those in which it sleeps. While its processes have to
    wait for a machine that is busy with others, none pass (see `sandbox.clock`). How long all of it may take
    by the wall clock is `box.PATIENCE` times as much; what is stopped by that alone is not judged (`BUSY`).
    """

    cell: float = 20.0
    question: float = 20.0
    notebook: float = 180.0


@dataclass(frozen=True)
class Written:
    """A question that a person reads: its cell's name, its points."""

    id: str
    points: float


@dataclass(frozen=True)
class Task:
    """What is asked in a chapter: its exercises, its written questions, and cells that are given."""

    chapter: str
    exercises: list[Exercise]
    written: list[Written]
    given: str  # import statements of the notebook that was handed out
    texts: frozenset[str] = frozenset()  # and its text cells

    @property
    def worth(self) -> dict[str, float]:
        """Points by exercise."""
        checked = {item.id: float(item.points) for item in self.exercises}
        return checked | {question.id: question.points for question in self.written}


# ------------------------------------------------------------------ a chapter


def task_of(chapter: str) -> Task:
    """Exercises and written questions of a chapter folder, read from the course."""
    source = places.course_root() / "course" / chapter / "exercises.py"
    if not source.is_file():
        raise ValueError(
            f"there are no exercises in chapter {chapter!r}; there are in: {', '.join(with_exercises())}"
        )
    text = source.read_text(encoding="utf-8")
    heads = re.findall(r"^# %% \[markdown\] nbgrader=(\{.*\})$", text, flags=re.M)
    written = [
        Written(*re.search(r'"grade_id": "(\w+)".*"points": (\d+)', head).groups())  # type: ignore[union-attr]
        for head in heads
        if '"solution": true' in head
    ]
    given = re.findall(r"^(?:import|from) .+$", text, flags=re.M)
    exercises = load_chapter(chapter)
    own = [Written(w.id, float(w.points)) for w in written]
    return Task(chapter, exercises, own, "\n".join(given), handed_out(chapter))


def handed_out(chapter: str) -> frozenset[str]:
    """The text cells of the notebook that students get."""
    path = places.course_root() / "exercises" / f"{chapter}.ipynb"
    return frozenset(cell.source.strip() for cell in read(path).cells if cell.kind != "code")


def with_exercises() -> list[str]:
    """The chapters that have exercises, in order."""
    root = places.course_root() / "course"
    return [name for name in places.chapters() if (root / name / "checks.py").is_file()]


# ------------------------------------------------------------------ the boxes


class Boxes:
    """Warm boxes of one judge, made when they are first needed."""

    def __init__(self, sandbox: bool = True, limits: Limits | None = None):
        self.sandbox, self.limits = sandbox, limits
        self._warm: dict[str, Box] = {}
        self.versions: dict[str, str] = {}  # of the box that was taken last

    def open(self, kind: str) -> Session:
        """A session in a warm box; in a new one, where that has died since it served somebody."""
        try:
            return self.take(kind).open()
        except NoBox:
            if kind in self._warm:
                self._warm.pop(kind).close()
            return self.take(kind).open()

    def take(self, kind: str) -> Box:
        box = self._warm.pop(kind, None)
        if box is None or not box.reusable:
            if box is not None:
                box.close()
            box = Box(kind, self.limits, self.sandbox)
        self._warm[kind], self.versions = box, box.versions
        return box

    def close(self):
        while self._warm:
            self._warm.popitem()[1].close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Attempt:
    """One submission in a box, started again without the cell that ended it."""

    def __init__(self, boxes: Boxes, submission: Submission, task: Task, times: Times):
        self.boxes, self.task, self.times = boxes, task, times
        self.cells = runnable(submission.cells, task)
        torch = any(item.interface == "torch" for item in task.exercises)
        self.kind = "torch" if torch or submission.mentions("torch") else "numpy"
        self.account = Account(times.notebook)
        self.busy = False  # the machine is: nothing more is asked
        self.deadly: dict[int, str] = {}  # cell → how it ended the box
        self.failures = 0  # starts that ended before all cells were run
        self.session: Session | None = None
        self.bound: dict[str, int] = {}

    def ready(self):
        """The session, its cells run. Raises OutOfTime, Busy, or NoBox."""
        while True:
            if self.busy:
                raise Busy
            if self.account.over or (self.session is None and self.failures > RESTARTS):
                raise OutOfTime
            if self.session is not None:
                return self.session
            start = time.monotonic()
            self.session = self.boxes.open(self.kind)
            self.account.begun += (
                time.monotonic() - start
            )  # a box's start is not the notebook's time
            self._run_cells()

    def _run_cells(self):
        at = -1
        try:
            self.ask("begin", watch=[item.name for item in self.task.exercises])
            self.ask("run", cell=-1, source=self.task.given)
            for at, cell in self.cells:
                if at not in self.deadly:
                    reply = self.ask(
                        "run", cell=at, source=cell.source, answers=cell.grade_id or None
                    )
                    self.bound = counts(reply.get("bound"))
        except ENDED as error:
            if self.account.over:
                raise OutOfTime from None
            self.deadly[at] = type(error).__name__
            self.failures += 1
            self.close()

    def ask(self, do, account=None, **arguments):
        """An answer from the box, on an account (a cell's, else) and the notebook's. Raises ENDED and Busy."""
        assert self.session is not None  # see ready
        accounts = (account or Account(self.times.cell), self.account)
        start = time.thread_time()
        try:
            return self.session.ask(do, *accounts, **arguments)
        except Busy:
            self.busy = True
            raise
        finally:
            charge(time.thread_time() - start, *accounts)

    def close(self) -> str:
        """End the session; says why it had ended before, if it had."""
        session, self.session = self.session, None
        if session is None:
            return ""
        why = session.close()
        charge(session.used, self.account)
        self.account.left(0.0, 0.0)
        return why


def charge(seconds: float, *accounts: Account) -> None:
    """Put what was used on accounts: by a session that is over, or by us, with an answer."""
    for account in accounts:
        account.before += seconds


class OutOfTime(Exception):
    """The notebook's time is over, or its cells end its process again and again."""


class Ended(Exception):
    """The process in the box ended while it was asked."""


def counts(bound) -> dict[str, int]:
    """How often a name was bound, as a box says it: only what can be that."""
    pairs = bound.items() if type(bound) is dict else ()
    return {k: min(n, 50) for k, n in pairs if type(k) is str and type(n) is int and n > 0}


def runnable(cells: list[Cell], task: Task) -> list[tuple[int, Cell]]:
    """Cells that are to be run, with their places; code that has become text counts as code."""
    answers = [answer_pattern(item.name) for item in task.exercises]
    kept = []
    for place, cell in enumerate(cells):
        if cell.kind == "code" or any(answer.search(cell.source) for answer in answers):
            named = cell.grade_id if cell.grade_id.isidentifier() else ""
            kept.append((place, replace(cell, grade_id="" if keyword.iskeyword(named) else named)))
    return kept


# ------------------------------------------------------------------ the verdicts


def judge(submission: Submission, task: Task, secret: str, boxes: Boxes, times: Times | None = None,
          cases: int = HIDDEN_CASES, show: Callable[[Verdict], None] | None = None) -> list[Verdict]:  # fmt: skip
    """A verdict for every exercise and written question of a chapter, one after the other.

    What happens in one leaves the others' points alone. Raises NoBox where no box can be had.
    """
    attempt = Attempt(boxes, submission, task, times or Times())
    verdicts = []
    try:
        for item in task.exercises:
            start = time.monotonic()
            outcome, reason = judge_one(attempt, item, submission, secret, cases)
            points = {"right": item.points, "grader-error": None, "not asked": None}.get(outcome, 0)
            seconds = round(time.monotonic() - start, 3)
            verdicts.append(
                Verdict(item.id, item.title, outcome, points, item.points, reason, seconds)
            )
            if show:
                show(verdicts[-1])
    finally:
        attempt.close()
    for question in task.written:
        verdicts.append(judge_written(submission, question, task.texts))
    return verdicts


def judge_written(submission: Submission, question: Written, handed_out=frozenset()) -> Verdict:
    """A written answer waits for a person; one that was left empty, with no text elsewhere, is not done."""
    cells = [cell for cell in submission.cells if cell.grade_id == question.id]
    title, points = "In your own words", question.points
    texts = {cell.source.strip() for cell in submission.cells if cell.kind != "code"}
    own = texts - handed_out - {"", "YOUR ANSWER HERE"}
    if cells and not own:
        return Verdict(question.id, title, "not done", 0, points)
    found = any(cell.source.strip() in own for cell in cells)
    reason = "" if found else "not in its cell: look for the answer in the notebook"
    return Verdict(question.id, title, "person", None, points, reason)


def judge_one(attempt, item, submission, secret, cases) -> tuple[str, str]:
    """(outcome, reason) of one exercise. Where its process ends, and has served another exercise, that one
    may be to blame: asked again, in a process of its own."""
    shared = attempt.session is not None
    outcome = judge_once(attempt, item, submission, secret, cases)
    if outcome[0] == "crashed" and shared:
        outcome = judge_once(attempt, item, submission, secret, cases)
    return outcome


def judge_once(attempt, item, submission, secret, cases) -> tuple[str, str]:
    """(outcome, reason) of one exercise. Earlier definitions count where the last one is a stub."""
    try:
        attempt.ready()
        candidates = candidates_of(attempt, item)
        if not candidates:
            return "missing", missing(attempt, item)
        outcome = "not done", ""
        for name, which in candidates:
            outcome = ask_check(attempt, item, name, which, submission, secret, cases)
            if outcome[0] != "not done":
                break
        return outcome
    except Busy:
        return "not asked", BUSY
    except OutOfTime:
        return (
            "not asked",
            "the notebook had used up its time, or its starts, before this was asked",
        )


def candidates_of(attempt, item) -> list[tuple[str, int]]:
    """Definitions of an answer, the last one first: by its name, else by its cell."""
    for name in (item.name, f"in the cell of {item.name}"):
        if count := attempt.bound.get(name, 0):
            return [(name, which) for which in reversed(range(count))]
    return []


def missing(attempt, item) -> str:
    ways = set(attempt.deadly.values())
    also = "; a cell of the notebook took too long or ended its process" if ways else ""
    return f"no function {item.name} is left when the notebook has been run{also}"


def ask_check(attempt, item, name, which, submission, secret, cases) -> tuple[str, str]:
    """(outcome, reason) of the check on one definition."""
    answer = StandIn(attempt, item, name, which, submission)
    try:
        run_check(item, answer, seed_of(secret, item.id), cases)
        return answer.failed or ("right", "")
    except NotImplementedError:
        return answer.failed or ("not done", "")
    except WrongAnswer as wrong:
        # a check may have gone on after an error, and found out what it came from
        return answer.failed or (
            "raised" if wrong.reason == answer.raised else "wrong",
            wrong.reason,
        )
    except NoBox:
        raise
    except Exception as error:
        return answer.failed or (
            "grader-error",
            f"the check itself failed on this answer ({type(error).__name__}): a person must look",
        )


class StandIn:
    """What a check takes for the student's function."""

    def __init__(self, attempt, item, name, which, submission):
        self.attempt, self.item, self.name, self.which = attempt, item, name, which
        self.submission = submission
        self.account = Account(attempt.times.question)
        self.failed: tuple[str, str] | None = None
        self.raised = ""  # what is told of the last error in the student's function

    def __call__(self, *args):
        if self.failed:
            raise Ended
        try:
            reply = self.attempt.ask(
                "call", self.account, name=self.name, which=self.which,
                args=plain.to_json(list(args)), interface=self.item.interface,
            )  # fmt: skip
        except Busy:
            self.failed = "not asked", BUSY
            self.attempt.close()
            raise Ended from None
        except ENDED as error:
            self.failed = self._why(error)
            raise Ended from None
        return self._answer(reply)

    def _why(self, error) -> tuple[str, str]:
        """What to say of a box that ended, or had to be ended."""
        over = self.attempt.account.over
        said = self.attempt.close()
        if isinstance(error, protocol.TooLate):
            if over:
                return (
                    "not asked",  # to its end, that is: its own time was not over
                    f"the notebook as a whole took more than {self.attempt.times.notebook:g} s",
                )
            return "timeout", (
                f"no answer within {self.attempt.times.question:g} s: is there a loop that does not end?"
            )
        if isinstance(error, protocol.Malformed):
            return "crashed", "its process sent something that is no answer"
        memory = f": {said}" if "memory" in said else " (exit, a crash, or too much memory)"
        return "crashed", f"your function ended its own process{memory}"

    def _answer(self, reply):
        if reply.get("stub") is True:
            raise NotImplementedError
        if reply.get("not_plain") is True:
            raise WrongAnswer(
                "the result is not plain data: give numbers, text, arrays, or lists and dicts of them"
            )
        if reply.get("too_large") is True:
            raise WrongAnswer(f"the result is {plain.FAR_LARGER}")
        if reply.get("too_deep") is True:
            raise WrongAnswer(f"the result is {plain.FAR_DEEPER}")
        if "raised" in reply:
            self.raised = f"your function raised {raised(reply['raised'], self.submission)}"
            raise WrongAnswer(self.raised)
        start = time.thread_time()
        try:
            result = plain.from_json(reply["result"])
            note_changes(reply.get("changed"))
            return result
        except plain.TooLarge as error:
            raise WrongAnswer(f"the result is {error}") from None
        except (ValueError, KeyError, RecursionError, MemoryError):
            self.failed = "crashed", "its process sent something that is no answer"
            self.attempt.close()
            raise Ended from None
        finally:
            charge(time.thread_time() - start, self.account, self.attempt.account)


KNOWN_ERRORS = {
    *(name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)),
    "AxisError", "LinAlgError", "OutOfMemoryError", "UFuncTypeError",
}  # fmt: skip


def raised(told, submission: Submission) -> str:
    """An error as it may be shown: its kind, if Python or NumPy know it, and the student's own line.

    A class that a student defines may be called anything, the value of a hidden input, say.
    """
    told = told if type(told) is dict else {}
    kind = told.get("kind")
    kind = kind if type(kind) is str and kind in KNOWN_ERRORS else "an error"
    cell, line = told.get("cell"), told.get("line")
    if type(cell) is int and type(line) is int and 0 <= cell < len(submission.cells):
        lines = submission.cells[cell].source.splitlines()
        if 0 < line <= len(lines) and lines[line - 1].strip():
            return f"{kind} (line {line} of its cell: {printable(lines[line - 1].strip()[:120])})"
    return kind
