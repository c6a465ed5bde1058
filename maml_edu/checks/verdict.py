"""One run of a check: what `expect` has seen, and what it comes to. Start from `Run`.

A learner's answer is compared in many cases. A mistake is named only if the answer agrees with it in all
of them, the ones where the answer happens to be right included, so nobody is accused of what they did not
do. The run goes on while some mistake still fits, and ends at once when none does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .catalogue import Named
from .comparing import SINGLE, Difference, difference, short

ONE_LINE = 100  # characters: a longer answer is shown where it differs only


class WrongAnswer(AssertionError):
    """An answer that is not right, and why.

    reason: safe to show to anybody: it names the mistake, never an input. detail: inputs, expected,
    got; for the learner's own check, not for feedback on hidden cases. mistakes: the known mistakes that
    are named, those with which the answer agrees in every case.
    """

    def __init__(self, reason: str, detail: str = "", mistakes: tuple[str, ...] = ()):
        super().__init__(reason + (f"\n{detail}" if detail else ""))
        self.reason, self.detail, self.mistakes = reason, detail, mistakes

    def _render_traceback_(self):  # IPython shows this in place of the frames of our own code
        return [str(self)]


def expect(
    got: Any,
    expected: Any,
    mistakes: dict[str, Any] | Callable[[], dict[str, Any]] | None = None,
    *,
    rtol: float = SINGLE,
    atol: float = 1e-9,
    what: str = "your answer",
    otherwise: str = "",
    detail: str = "",
) -> None:
    """Say that `got` should equal `expected` in type, shape, kind of number and value.

    mistakes: message → the value that a known mistake gives (or a function of no argument that computes
    it); or a function of no argument that returns such a dict. A function is called only if the answer
    differs in some case, so a right answer waits for none of it; it may be called after later cases were
    drawn: bind what belongs to this one (`functools.partial`). In `judge`, a difference is told when the
    run ends: the mistakes that fit every case of the same `what`, or what differs first. Elsewhere
    WrongAnswer is raised at once.

    rtol: relative to the largest number in `expected`. The usual one accepts single precision; give a
    smaller one (with its `atol`) where an exercise asks for more.

    otherwise: what is told, in place of how the values differ, when no known mistake fits; safe to show to
    anybody. detail: more about this case, for the learner's own check.
    """
    run = _open.get() or Run()
    run.note(
        Comparison(got, expected, mistakes or {}, rtol, atol, what, run.inputs, otherwise, detail)
    )
    if run is not _open.get() and run.first is not None:
        raise run.verdict()


def note_changes(places) -> None:
    """Say that the answer has changed these of its arguments (their places, counted from 0) in place."""
    run = _open.get()
    if run is not None and isinstance(places, list):
        known = range(len(run.inputs))
        run.changed |= {n for n in places if type(n) is int and n in known}


@dataclass
class Comparison:
    """What one `expect` was given, in one case."""

    got: Any
    expected: Any
    given: dict[str, Any] | Callable[[], dict[str, Any]]  # the mistakes, or what computes them
    rtol: float
    atol: float
    what: str
    inputs: tuple
    otherwise: str = ""
    detail: str = ""
    difference: Difference | None = field(init=False)

    def __post_init__(self):
        self.difference = self._from(self.expected)

    @cached_property
    def mistakes(self) -> dict[str, Any]:
        return self.given() if callable(self.given) else self.given

    def _from(self, value):
        return difference(self.got, value, self.rtol, self.atol, self.what)

    def fits(self, message: str) -> bool:
        """Whether the answer agrees with a known mistake here; also where it is right, and so is the mistake."""
        if message not in self.mistakes:
            return self.difference is None
        value = self.mistakes[message]
        value = value() if callable(value) and not isinstance(value, Named) else value
        return self._from(value) is None

    def has_cause(self, cause: str) -> bool:
        return self.difference is None or cause in self.difference.causes

    @property
    def values(self):
        """What is expected and what is there: all of it on a short line each, or else the part that differs."""
        expected, got, place = short(self.expected), short(self.got), ""
        if max(len(expected), len(got)) > ONE_LINE and self.difference and self.difference.parts:
            expected, got = map(short, self.difference.parts)
            place = self.difference.path
        return f"expected{place}: {expected}\ngot{place}:      {got}"


class Run:
    """A check function at work on one answer: hands out the answer, gathers comparisons, decides."""

    def __init__(self, answer: Callable | None = None, item=None):
        self.answer, self.item = answer, item
        self.warned: dict = dict(np.geterr())  # of what the answer's own code is warned
        self.inputs: tuple = ()  # of the last call
        self.changed: set[int] = set()
        self.raised: Exception | None = None  # by the answer
        self.seen: list[Comparison] = []
        self.first: Comparison | None = None  # that differs
        self.mistakes: list[str] = []  # that fit all that was seen, of the same `what`
        self.causes: list[str] = []

    def of(self, check: Callable, rng) -> None:
        """Run `check(answer, rng)`. Raises WrongAnswer unless the answer is right."""
        token = _open.set(self)
        try:
            with np.errstate(all="ignore"):  # what a check computes with an answer may be anything
                check(self.ask, rng)
        except Exception as error:
            self._interpret(error)
        finally:
            _open.reset(token)
        if self.first is not None:
            raise self.verdict()
        if self.changed:
            raise WrongAnswer(self._told_of_changes(), self._inputs(self.inputs))

    def ask(self, *args):
        """The answer, as the check sees it."""
        self.inputs = args
        try:
            with np.errstate(**self.warned):
                return self.answer(*args)  # type: ignore[misc]
        except Exception as error:
            self.raised = error
            raise

    def _interpret(self, error) -> None:
        """Raise what an exception in a check comes to; returns when the run is to be decided."""
        if self.first is not None and (
            error is not self.raised or isinstance(error, NotImplementedError)
        ):
            return  # a difference was seen before, and the check went on with an answer that is wrong
        if isinstance(error, WrongAnswer):
            detail = "\n".join(filter(None, (error.detail, self._inputs(self.inputs))))
            raise WrongAnswer(error.reason, detail, error.mistakes) from error.__cause__
        raise error

    def note(self, comparison: Comparison) -> None:
        """Take up a comparison; ends the run where nothing is left that would explain the answer."""
        self.seen.append(comparison)
        if self.first is None:
            if comparison.difference is None:
                return
            self.first = comparison
            self.mistakes, self.causes = [*comparison.mistakes], [*comparison.difference.causes]
            news = [old for old in self.seen if old.what == comparison.what][::-1]
        else:
            news = [comparison] if comparison.what == self.first.what else []
        for one in news:
            self.mistakes = [message for message in self.mistakes if one.fits(message)]
            self.causes = [cause for cause in self.causes if one.has_cause(cause)]
        if not self.mistakes and not self.causes:
            raise self.verdict()

    def verdict(self) -> WrongAnswer:
        """What is told of an answer that differs: all mistakes that fit, or what differs and why it may."""
        first = self.first
        assert first is not None and first.difference is not None
        if self.mistakes:
            reason, words = "; or: ".join(self.mistakes), ""
        elif first.otherwise:
            reason, words = first.otherwise, ""
        else:
            reason = first.difference.reason + "".join(self.causes[:1])
            words = first.difference.detail
        if self.changed:
            reason += f". Besides, {self._told_of_changes()}"
        parts = (words, first.detail, self._inputs(first.inputs), first.values)
        detail = "\n".join(filter(None, parts))
        return WrongAnswer(reason, detail, tuple(self.mistakes))

    def _told_of_changes(self):
        names = self._names(len(self.inputs))
        told = " and ".join(f"`{names[place]}`" for place in sorted(self.changed))
        return (
            f"your function changes {told} in place, which belongs to whoever calls it: "
            "work on a copy, or make a new one"
        )

    def _inputs(self, inputs):
        """The arguments of a call, on one line."""
        pairs = zip(self._names(len(inputs)), inputs, strict=True)
        texts = [f"{name} = {short(value, most=6, limit=120)}" for name, value in pairs]
        return f"inputs:   {', '.join(texts)}" if texts else ""

    def _names(self, count):
        """The arguments' names: the stub's own, or else the answer's."""
        names = (self.item.parameters if self.item else []) or _signature(self.answer)
        return [*names, *(f"argument {n + 1}" for n in range(len(names), count))][:count]


def _signature(function) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except Exception:  # a function that has none, or says something else
        return []
    return [str(p.name) for p in parameters if p.kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD]


_open: ContextVar[Run | None] = ContextVar("run of a check", default=None)
