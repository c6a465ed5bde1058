"""`Check`: one question to a family and its answer."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("pass", "fail", "note", "not computed")


@dataclass(frozen=True)
class Check:
    """One question to a family and its answer.

    name: what is asked, in a few words. status: one of STATUSES; a "note" is no fault, but should be known.
    number: what was measured, if anything was. words: what it says; of a fault what is wrong, why, and what to do.
    """

    name: str
    status: str
    words: str
    number: float | None = None


def passed(name, words, number=None) -> Check:
    return Check(name, "pass", words, number)


def failed(name, words, number=None) -> Check:
    return Check(name, "fail", words, number)


def noted(name, words, number=None) -> Check:
    return Check(name, "note", words, number)


def not_computed(name, words) -> Check:
    return Check(name, "not computed", words)
