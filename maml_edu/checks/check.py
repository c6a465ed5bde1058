"""`check`, the cell beside every exercise: says whether, and why not, and remembers what passed."""

from __future__ import annotations

import hashlib
import linecache
import os
import sysconfig
import traceback
from pathlib import Path

from . import plain
from .exercise import VISIBLE_CASES, WrongAnswer, find, judge, note_changes
from .library import refusal, sources_of
from .progress import record

PUBLIC_SEED = 20170309  # the day on which MAML appeared on arXiv
HIDDEN_CASES = 25


def check(exercise_id: str, answer, hidden: bool = False) -> None:
    """Judge `answer`, the function you wrote, as the exercise `exercise_id`.

    Prints one line when it is right or not done yet (NotImplementedError), and raises WrongAnswer with
    an explanation otherwise. hidden=True is the grader's way: more cases, from a secret seed (the
    environment variable MAML_EDU_SEED), silent when right, and no input in the message. Under nbgrader
    an exercise that is not done raises, or a blank answer would earn its points.
    """
    item = find(exercise_id)
    seed, cases = (hidden_seed(item.id), HIDDEN_CASES) if hidden else (PUBLIC_SEED, VISIBLE_CASES)
    try:
        judge(item, local_answer(answer, item), seed, cases)
        if item.forbids and (words := refusal(item.forbids, *sources_of(answer))):
            raise WrongAnswer(words)
    except NotImplementedError:
        if os.environ.get("NBGRADER_EXECUTION"):
            raise
        if not hidden:
            print(f"○ {item.id}: not done yet ({item.points} points, about {item.minutes} minutes)")
        return
    except WrongAnswer as wrong:
        detail = "" if hidden else wrong.detail
        raise WrongAnswer(f"✗ {item.id}: {wrong.reason}", detail, wrong.mistakes) from None
    if not hidden:
        if not os.environ.get("NBGRADER_EXECUTION"):
            record(item.id, item.points)
        print(f"✓ {item.id}: right ({item.points} points)")


def hidden_seed(exercise_id: str) -> int:
    """The seed of the hidden cases, made from MAML_EDU_SEED (any text; a teacher's own secret)."""
    return seed_of(os.environ.get("MAML_EDU_SEED", "maml_edu"), exercise_id)


def seed_of(secret: str, exercise_id: str) -> int:
    """The seed of an exercise's hidden cases, from a teacher's secret."""
    return int.from_bytes(hashlib.sha256(f"{secret}/{exercise_id}".encode()).digest()[:8], "big")


def local_answer(function, item):
    """`function`, of this process, as a check sees it: from plain data to plain data."""
    if not callable(function):
        raise WrongAnswer(f"give the function itself, not {type(function).__name__}")

    def answer(*args):
        try:
            return plain.call(function, args, item.interface, note_changes)
        except plain.NotPlain as error:
            raise WrongAnswer(_NOT_PLAIN, words_of(error)) from None
        except SystemExit:
            raise WrongAnswer(
                "your function ends the program (exit, quit): let it return"
            ) from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if is_stub(error):
                raise
            raise WrongAnswer(*_explained(error)) from error

    answer.__wrapped__ = function  # type: ignore[attr-defined]  # whose names of arguments may be shown
    return answer


_NOT_PLAIN = "the result is not plain data: give numbers, text, arrays, or lists and dicts of them"


def is_stub(error: BaseException) -> bool:
    """Whether `error` is the learner's own `raise NotImplementedError`, and not a library's."""
    if not isinstance(error, NotImplementedError):
        return False
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if _in_a_library(frame.filename):
        return False
    line = linecache.getline(frame.filename, frame.lineno or 0) or frame.line or ""
    return "raise" in line if line else not error.args


def _explained(error):
    """What went wrong in the learner's function, in which line of it; and the error's own words.

    These words may hold an input, so they are detail.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not _in_a_library(f.filename)]
    place = (
        f" (in `{own[-1].name}`, line {own[-1].lineno}: {own[-1].line})"
        if own and own[-1].line
        else ""
    )
    kind = type(error).__name__
    return f"your function raised {kind}{place}", f"{kind}: {words_of(error)}"


def words_of(error: BaseException) -> str:
    """An error's own words, where it has some that can be shown: its `__str__` may raise, too."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as another:
        return f"(no words: its own __str__ raises {type(another).__name__})"


def _in_a_library(filename):
    """Whether a file belongs to maml_edu, Python or an installed package, not to the learner."""
    return filename.startswith("<frozen") or any(
        Path(filename).is_relative_to(folder) for folder in _LIBRARIES
    )


_LIBRARIES = {
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
}
