"""The verdict, reached out here: the course's own checks on functions that live in a box.

`judge` gives a submission's cells to a box and each check a stand-in for the student's function, which
sends the arguments there and brings the result back. Inputs are drawn here, from a secret seed, and
compared here, so nothing that a notebook does to its own process can change its marks.
"""

from __future__ import annotations

import builtins
import keyword
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

from maml_edu.checks import plain
from maml_edu.checks.check import HIDDEN_CASES, PUBLIC_SEED, seed_of
from maml_edu.checks.exercise import VISIBLE_CASES, WrongAnswer, note_changes
from maml_edu.checks.exercise import judge as run_check
from maml_edu.checks.library import refusal

from . import cells as text_of
from .results import Verdict
from .sandbox import protocol
from .sandbox.box import Account, Box, Busy, Limits, NoBox, Session
from .submission import Cell, Submission, printable
from .tasks import Task, Written
from .tasks import task_of as task_of  # where tests look for them
from .tasks import with_exercises as with_exercises

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
        self.submission = submission
        self.cells = runnable(submission.cells, task)
        torch = any(item.interface == "torch" for item in task.exercises)
        wanted = torch or submission.mentions("torch")
        self.kind = (
            "torch" if wanted and find_spec("torch") else "numpy"
        )  # Gradescope's may have none
        self.account = Account(times.notebook)
        self.busy = False  # the machine is: nothing more is asked
        self.deadly: dict[int, str] = {}  # cell → how it ended the box
        self.failures = 0  # starts that ended before all cells were run
        self.session: Session | None = None
        self.bound: dict[str, int] = {}
        self.at: object = None  # which cells bound it, as the box says it
        self.errors: dict[int, object] = {}  # cell → what stopped it, as the box says it
        self.judged = Judged()

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
                    self.bound, self.at = counts(reply.get("bound")), reply.get("at")
                    self.errors[at] = reply.get("error")
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
    """Cells that are to be run, with their places.

    Code that has become text counts as code, but only where no cell of code answers: an old attempt that was
    made text is no answer beside the new one.
    """
    answers = {i for e in task.exercises for i in text_of.answer_cells(cells, e.name, task.texts)}
    kept = []
    for place, cell in enumerate(cells):
        if cell.kind == "code" or place in answers:
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
    verdicts = {}
    raised_in: dict[str, tuple] = {}  # exercise → it, and the definition that raised
    try:
        for item in task.exercises:
            start = time.monotonic()
            outcome, reason = judge_one(attempt, item, submission, secret, cases)
            if outcome == "right" and (words := in_the_library(item, attempt)):
                outcome, reason = "wrong", words
            points = item.points if outcome == "right" else None if outcome in OPEN else 0
            seconds = round(time.monotonic() - start, 3)
            answer = answer_of(attempt.judged, submission)
            verdicts[item.id] = Verdict(
                item.id, item.title, outcome, points, item.points, reason, seconds, answer
            )
            if outcome == "raised":
                raised_in[item.id] = (item, attempt.judged.name, attempt.judged.which)
            elif show:
                show(verdicts[item.id])
        for id, line in lines_of_errors(attempt, raised_in, submission).items():
            verdicts[id] = replace(verdicts[id], reason=line)
    finally:
        attempt.close()
    for id in raised_in if show else ():
        show(verdicts[id])  # type: ignore[misc]
    names = [item.name for item in task.exercises]
    written = [judge_written(submission, one, task.texts, names) for one in task.written]
    return [*verdicts.values(), *written]


def in_the_library(item, attempt) -> str:
    """What to say of an answer that calls what its exercise is to write; "" where it does not."""
    return refusal(item.forbids, (cell.source for _, cell in attempt.cells), item.name)


OPEN = ("grader-error", "not asked", "person")  # outcomes that are no points, and not none either


def judge_written(
    submission: Submission, question: Written, handed_out=frozenset(), names=()
) -> Verdict:
    """A written answer waits for a person; one that was left empty, with no text elsewhere, is not done.

    It is looked for in its own cell, of whatever kind that is now, then in other text, then in code.
    """
    its, own = essay(submission, question, handed_out, names)
    title, points = "In your own words", question.points
    there = any(cell.grade_id == question.id for cell in submission.cells)
    if there and not own:
        return Verdict(question.id, title, "not done", 0, points)
    reason = "" if its else "not in its cell: look for the answer in the notebook"
    answer = text_of.digest("\n\n".join(own))
    return Verdict(question.id, title, "person", None, points, reason, answer=answer)


def essay(
    submission, question: Written, handed_out=frozenset(), names=()
) -> tuple[bool, list[str]]:
    """(whether it stands in its own cell, the texts) of a written answer: what a person is to read."""
    nothing = handed_out | text_of.EMPTY_TEXTS
    its = [cell.source for cell in submission.cells if cell.grade_id == question.id]
    own = [source for source in its if source.strip() not in nothing]
    return bool(own), own or elsewhere(submission, nothing, names)


def elsewhere(submission: Submission, handed_out, names) -> list[str]:
    """Texts of a student's own, in text cells; where there are none, sentences in cells of code."""
    own = [cell for cell in submission.cells if cell.source.strip() not in handed_out]
    lines = {line.strip() for text in handed_out for line in text.splitlines()}
    found = [cell.source for cell in own if cell.kind != "code"]
    return found or [
        cell.source for cell in own if cell.kind == "code" and text_of.is_prose(cell, names, lines)
    ]


@dataclass(frozen=True)
class Judged:
    """The definition that a verdict is about. cell: its place in the notebook, -1 where there is none."""

    cell: int = -1
    name: str = ""
    which: int = 0


def answer_of(judged: Judged, submission: Submission) -> str:
    """The digest of the cell that was judged."""
    cells = submission.cells
    return text_of.digest(cells[judged.cell].source) if 0 <= judged.cell < len(cells) else ""


def judge_one(attempt, item, submission, secret, cases) -> tuple[str, str]:
    """(outcome, reason) of one exercise. Where its process ends, and has served another exercise, that one
    may be to blame: asked again, in a process of its own.

    Where a later definition is in the file, and its cell could not be run, that one was meant: a person looks.
    """
    shared = attempt.session is not None
    outcome = judge_once(attempt, item, submission, secret, cases)
    if outcome[0] == "crashed" and shared:
        outcome = judge_once(attempt, item, submission, secret, cases)
    if outcome[0] != "right" and outcome[0] not in OPEN:
        done = outcome[0] != "not done"  # behind an empty cell, too, an answer may have been meant
        place, why = could_not_run(attempt, item, attempt.judged.cell if done else -1)
        if place >= 0:
            attempt.judged = Judged(place)
            return "person", why
    return outcome


def judge_once(attempt, item, submission, secret, cases) -> tuple[str, str]:
    """(outcome, reason) of one exercise. Earlier definitions count where the last one is a stub."""
    attempt.judged = Judged()
    try:
        attempt.ready()
        candidates = candidates_of(attempt, item)
        if not candidates:
            return "missing", missing(attempt, item)
        first = None
        for judged in candidates:
            attempt.judged, first = judged, first or judged
            outcome = ask_check(attempt, item, judged.name, judged.which, submission, secret, cases)
            if outcome[0] != "not done":
                return outcome
        attempt.judged = first
        return outcome
    except Busy:
        return "not asked", BUSY
    except OutOfTime:
        return (
            "not asked",
            "the notebook had used up its time, or its starts, before this was asked",
        )


def candidates_of(attempt, item) -> list[Judged]:
    """Definitions of an answer, the last one first: by its name, else by its cell."""
    for name in (item.name, f"in the cell of {item.name}"):
        if count := attempt.bound.get(name, 0):
            cells = cells_of(attempt.at, name, count)
            return [Judged(cells[which], name, which) for which in reversed(range(count))]
    return []


def cells_of(at, name, count) -> list[int]:
    """Which cells bound a name so often, as a box says it; -1 where that is nothing it can say."""
    cells = at.get(name) if type(at) is dict else None
    cells = cells if type(cells) is list and len(cells) >= count else [-1] * count
    return [cell if type(cell) is int else -1 for cell in cells]


def missing(attempt, item) -> str:
    ways = set(attempt.deadly.values())
    also = "; a cell of the notebook took too long or ended its process" if ways else ""
    no_python = [i for i in last_cells(attempt, item, -1) if is_no_python(attempt.errors.get(i))]
    if no_python:
        also = "; its cell is no Python: run it, and see what it says"
    return f"no function {item.name} is left when the notebook has been run{also}"


def last_cells(attempt, item, behind) -> list[int]:
    """The cells with more than a stub of an answer, by their text, behind a place in the notebook."""
    cells = attempt.submission.cells
    return [
        place
        for place, _ in attempt.cells
        if place > behind
        and cells[place].binds(item.name)
        and not text_of.is_blank(cells[place], item.name, attempt.task.texts)
    ]


def is_no_python(error) -> bool:
    kind = error.get("kind") if type(error) is dict else None
    return kind in ("SyntaxError", "IndentationError", "TabError")


def could_not_run(attempt, item, behind) -> tuple[int, str]:
    """The last cell with an answer that could not be run, and why, in a sentence; (-1, "") where there is none.

    A package or a file that is not here, a question to somebody (`input`), hours of work in the same cell:
    nothing of that says that the answer is wrong.
    """
    submission = attempt.submission
    for place in reversed(last_cells(attempt, item, behind)):
        error = attempt.errors.get(place)
        if place in attempt.deadly:
            return place, (
                "the answer is in the notebook, but its cell took too long or ended its process: a person reads it"
            )
        if error and (submission.cells[place].kind != "code" or not is_no_python(error)):
            why = f"its cell stopped with {raised(error, submission)}: a person reads it"
            return place, f"the answer is in the notebook, but {why}"
    return -1, ""


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
            "raised" if wrong.reason in answer.raised else "wrong",
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
        self.raised: list[str] = []  # what may be told of errors in the student's function
        self.line = ""  # and the first with its line, for inputs that everybody knows

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
            self.line = self.line or raised(reply["raised"], self.submission)
            self.raised.append(f"your function raised {kind_of(reply['raised'], TOLD_ERRORS)}")
            raise WrongAnswer(self.raised[-1])
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


# Which error an answer raises on a hidden input is the student's choice, as its line is: a few common ones help,
# and tell less than three bits of that input; of a line's number a student could read all of it.
TOLD_ERRORS = {
    "ZeroDivisionError", "IndexError", "KeyError", "TypeError", "ValueError", "NameError", "AttributeError",
}  # fmt: skip


def kind_of(told, known) -> str:
    """An error's kind, if it is one of those that are known.

    A class that a student defines may be called anything, the value of a hidden input, say.
    """
    kind = told.get("kind") if type(told) is dict else None
    return kind if type(kind) is str and kind in known else "an error"


def raised(told, submission: Submission) -> str:
    """An error as it may be shown where no input is hidden: its kind, if Python or NumPy know it, and the
    student's own line."""
    kind = kind_of(told, KNOWN_ERRORS)
    told = told if type(told) is dict else {}
    cell, line = told.get("cell"), told.get("line")
    if type(cell) is int and type(line) is int and 0 <= cell < len(submission.cells):
        lines = submission.cells[cell].source.splitlines()
        if 0 < line <= len(lines) and lines[line - 1].strip():
            return f"{kind} (line {line} of its cell: {printable(lines[line - 1].strip()[:120])})"
    return kind


def lines_of_errors(attempt, raised_in, submission) -> dict[str, str]:
    """Exercise → the error and its line, for answers that raise on the inputs of `check`, which everybody knows.

    They are tried in a process that has seen no hidden input: one that has could choose a line by it.
    """
    found: dict[str, str] = {}
    if raised_in:
        attempt.close()
    for id, (item, name, which) in raised_in.items():
        try:
            attempt.ready()
        except Exception:  # out of time, or no box can be had now: the verdicts stand without
            return found
        answer = StandIn(attempt, item, name, which, submission)
        try:
            run_check(replace(item, more=[]), answer, PUBLIC_SEED, VISIBLE_CASES)
        except Exception:
            if answer.line:
                found[id] = f"your function raised {answer.line}"
    return found
