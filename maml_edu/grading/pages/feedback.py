"""What a student gets back: a page (`page`), or their notebook with words beside each answer (`in_notebook`).

Both say points, outcome, the verdict's reason and what to do next. They hold no hidden input, no expected
value and no check, for a verdict holds none. What a student wrote is shown as text and nothing else: their
outputs are left out, and no tag, link or script of theirs is interpreted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from maml_edu import places

from .. import marks
from ..cells import Cell, place_of_answer
from ..exports import what_counts
from ..marks import Built, ByHand, Given, Mark
from ..results import OUTCOMES, Result, Verdict
from .html import escape, name, points, visible
from .html import page as whole_page

LIMIT = 1_000_000  # bytes of a page
NOTEBOOK_LIMIT = 2_000_000  # bytes of a notebook
CELLS = 2000
REASON = 1000  # characters
COMMENT = 5000

NO_MARK = "This could not be graded, or not all of it. It is not a mark of 0: ask your teacher what to do."

LOOK = {"right": "right", "person": "open", "grader-error": "open"}  # of an item; otherwise wrong
SIGNS = {"right": "✓", "person": "…", "grader-error": "…"}

_TRY = (
    "Open your notebook, run the exercise's cell and then check() in the cell below it: it tries inputs of "
    "its own and shows what it expected and what it got."
)
NEXT = {
    "wrong": f"{_TRY} If it is content there, ask which inputs it did not try. The hints fold out below it.",
    "not done": "The exercise was handed in as it was handed out. Write the function's body in place of the "
    "line that raises; the hints below the exercise fold out.",
    "missing": "Is the function still there, is its name spelt as in the exercise, and does its cell run "
    "after a restart of the kernel (menu Kernel, Restart Kernel and Run All Cells)?",
    "raised": f"{_TRY} The last line of the error says what happened, the lines above it where.",
    "timeout": "Look for a loop that does not end, or for work that is done again and again. check() in the "
    "notebook uses small inputs; Kernel, Interrupt Kernel stops it.",
    "not asked": "What came before took all the time that a notebook has: mend that first. It costs no points "
    "yet, and your teacher can see it.",
    "crashed": "Look for exit(), for arrays that grow without end, and for a function that calls itself for "
    "ever; restart the kernel and run check() in the notebook.",
    "person": "There is nothing that you need to do.",
    "grader-error": "This is the grader's fault and not yours: it costs no points, and your teacher can see it.",
}


def label(verdict: Verdict, given: Given | None) -> str:
    """The outcome of an exercise in words."""
    if given is not None and given.points is not None:
        return "read by a person" if verdict.outcome == "person" else "decided by a person"
    return OUTCOMES.get(verdict.outcome, "could not be graded")


def in_words(verdict: Verdict, given: Given | None = None) -> str:
    """An exercise's feedback as plain text, a line for each thing to say."""
    value = marks.points_of(verdict, given)
    lines = [f"{label(verdict, given)}: {points(value, verdict.max_points)}"]
    if verdict.reason:
        lines.append(visible(verdict.reason, REASON))
    if _comment(verdict, given):
        lines.append(f"Comment: {_comment(verdict, given)}")
    if _next(verdict, given):
        lines.append(_next(verdict, given))
    return "\n".join(lines)


def summary(result: Result, by_hand: ByHand | None = None, mark: Mark | None = None) -> str:
    """The feedback on a submission in a few lines of plain text: what fits into a system's comment."""
    by_hand = by_hand or {}
    found = mark or marks.mark(result, by_hand)
    value = what_counts.points(found)
    if value is None:
        return NO_MARK
    lines = [points(value, what_counts.maximum(found)) + (" so far" if found.waiting else "")]
    lines += [visible(why, REASON) for why in what_counts.reasons(found)]
    for verdict in result.verdicts:
        given = marks.given_for(result, verdict.exercise, by_hand)
        worth = points(marks.points_of(verdict, given), verdict.max_points)
        title = visible(verdict.title or verdict.exercise, 200)
        words = [f"{title}: {label(verdict, given)}, {worth}"]
        words += [visible(verdict.reason, REASON)] if verdict.reason else []
        lines.append(". ".join(words))
        if comment := _comment(verdict, given):
            lines.append(f"Comment: {comment}")
    return "\n".join(lines)


def summaries(built: Built) -> dict[str, str]:
    """Student → summary, of the results of one chapter."""
    own = {(mark.chapter, mark.student): mark for mark in built.marks}
    return {
        result.student: summary(result, built.by_hand, own.get((result.chapter, result.student)))
        for result in built.results
    }


def _comment(verdict, given):
    """A person's comment; not while their points are still missing, for it may be half written."""
    if given is None or (given.points is None and verdict.points is None):
        return ""
    return visible(given.comment.strip(), COMMENT)


def _next(verdict, given):
    decided = given is not None and given.points is not None
    return "" if decided else NEXT.get(verdict.outcome, "")


# ------------------------------------------------------------------ the page


def page(
    result: Result, cells: Sequence[Cell], by_hand: ByHand | None = None, mark: Mark | None = None
) -> str:
    """The feedback on one submission as a page of HTML of at most LIMIT bytes; cells: the student's own;
    mark: theirs, where more than this result and by_hand decides it (a policy)."""
    by_hand = by_hand or {}
    answers = answers_of(result.verdicts, cells[:CELLS])
    head = _head(result, mark or marks.mark(result, by_hand))
    parts = [
        _item(i, verdict, marks.given_for(result, verdict.exercise, by_hand), answers)
        for i, verdict in enumerate(result.verdicts, 1)
    ]
    body = head + "".join(parts)
    title = f"Feedback on {result.chapter} for {result.student}"
    room = LIMIT - len(whole_page(title, body).encode()) - 1000
    return whole_page(title, body + _cells_section(cells, room))


def _head(result, found):
    lines = [
        f"<h1>Feedback: {escape(places.title(result.chapter), 200)}</h1>\n",
        f'<p class="soft">for {name(result.student)}</p>\n',
        _total(found),
    ]
    if result.status == "rejected" and result.problem:
        lines.append(f"<p>Why: {escape(result.problem, REASON)}.</p>\n")
    lines += [f'<p class="soft">Note: {escape(note, REASON)}.</p>\n' for note in result.notes[:20]]
    return "".join(lines) + ("<h2>Exercises</h2>\n" if result.verdicts else "")


def _total(found):
    value, of = what_counts.points(found), what_counts.maximum(found)
    if value is None:
        return f'<div class="total"><strong>No mark yet</strong> <span>{NO_MARK}</span></div>\n'
    share = 100 * value / of if of else 0
    n = len(found.waiting)
    waiting = f"so far; {n} answer{' is' if n == 1 else 's are'} still to be decided" if n else ""
    why = "".join(f"<p>{escape(reason, REASON)}</p>\n" for reason in what_counts.reasons(found))
    return (
        f'<div class="total"><strong>{points(value, of)}</strong> '
        f'<span>{waiting}</span><div class="bar" aria-hidden="true">'
        f'<span style="width: {min(share, 100):.1f}%"></span></div></div>\n{why}'
    )


def _item(number, verdict, given, answers):
    """One exercise of the page."""
    value = marks.points_of(verdict, given)
    look, sign = LOOK.get(verdict.outcome, "wrong"), SIGNS.get(verdict.outcome, "✗")
    if given is not None and given.points is not None:
        look, sign = "right" if given.points >= verdict.max_points else "wrong", "✎"
    lines = [
        f'<section class="item {look}" aria-labelledby="e{number}">\n'
        f'<header><h3 id="e{number}">{number}. {escape(verdict.title or verdict.exercise, 200)}</h3> '
        f"<span>{points(value, verdict.max_points)}</span></header>\n",
        f'<p class="label"><span aria-hidden="true">{sign}</span> {escape(label(verdict, given))}</p>\n',
    ]
    if verdict.reason:
        lines.append(f'<p dir="auto">{escape(verdict.reason, REASON)}</p>\n')
    if comment := _comment(verdict, given):
        lines.append(f'<p class="comment" dir="auto">{escape(comment)}</p>\n')
    if advice := _next(verdict, given):
        lines.append(f'<p class="soft">{escape(advice)}</p>\n')
    if verdict.exercise in answers:
        cell = answers[verdict.exercise] + 1
        lines.append(f'<p><a href="#c{cell}">Your answer: cell {cell}</a></p>\n')
    return "".join(lines) + "</section>\n"


def _cells_section(cells, room):
    """The student's cells as text, as many and as much of them as `room` bytes hold."""
    if not cells:
        return ""
    lines = ["<h2>Your notebook, as it was graded</h2>\n"]
    for i, cell in enumerate(cells[:CELLS], 1):
        words = f"cell {i} · {'code' if cell.kind == 'code' else 'text'}"
        start = f'<div class="cell" id="c{i}"><p class="soft">{words}</p><pre><code>'
        end = "</code></pre></div>\n"
        text = escape(_cut(cell.source, room - len(start) - len(end) - 200, escape))
        lines.append(start + text + end)
        room -= len(lines[-1].encode())
        if room < 1000:
            break
    left = len(cells) - (len(lines) - 1)
    if left:
        lines.append(f"<p>{left} more cell{'' if left == 1 else 's'}: this page is full.</p>\n")
    return "".join(lines)


def _cut(text, room, encode):
    """As much of a text as fits in `room` bytes when encoded, and a word about the rest."""
    text = visible(text)
    kept = text[: max(room, 0)]
    while kept and (size := len(encode(kept).encode())) > room:
        kept = kept[: min(len(kept) - 1, len(kept) * room // size)]
    if len(kept) == len(text):
        return text
    return f"{kept}\n… cut here: {len(text) - len(kept):,} more characters"


# ------------------------------------------------------------------ where an answer is


def answer_name(exercise: str) -> str:
    """What the answer to an exercise is called: `meta_slope` for 04.meta_slope."""
    return exercise.split(".", 1)[-1]


def answers_of(verdicts: Iterable[Verdict], cells: Sequence[Cell]) -> dict[str, int]:
    """Exercise → the index of the cell that was judged, or by its text is the answer, for those found."""
    places = {
        verdict.exercise: place_of_answer(cells, answer_name(verdict.exercise), verdict.answer)
        for verdict in verdicts
    }
    return {exercise: place for exercise, place in places.items() if place is not None}


# ------------------------------------------------------------------ in the notebook


def in_notebook(
    result: Result, cells: Sequence[Cell], by_hand: ByHand | None = None, mark: Mark | None = None
) -> dict[str, Any]:
    """A student's notebook with a cell of feedback after each answer, of format 4.

    It has the cells' sources and nothing else of theirs: no outputs, attachments or metadata. It is cut
    where it would be larger than NOTEBOOK_LIMIT bytes; answers that are not found get their feedback at
    the end.
    """
    by_hand = by_hand or {}
    cells = cells[:CELLS]
    answers = answers_of(result.verdicts, cells)
    words = {v.exercise: _feedback_cell(result, v, by_hand) for v in result.verdicts}
    room = NOTEBOOK_LIMIT - sum(len(json.dumps(cell)) for cell in words.values())
    made = [markdown(_summary(result, mark or marks.mark(result, by_hand)))]
    for i, cell in enumerate(cells):
        cut = _cut(cell.source, room - 500, json.dumps)
        made.append(
            code(cut)
            if cell.kind == "code"
            else markdown(cut if cell.kind == "markdown" else verbatim(cut))
        )
        room -= len(json.dumps(made[-1]))
        made += [words.pop(e) for e, place in answers.items() if place == i]
        if room < 1000:
            made.append(markdown("**The notebook is cut here: it is too large.**"))
            break
    made += words.values()
    named = [{"id": f"c{i}"} | cell for i, cell in enumerate(made)]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": named, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def code(source: str) -> dict[str, Any]:
    """A cell of code that has not run."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


def markdown(source: str) -> dict[str, Any]:
    """A cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def verbatim(source: str) -> str:
    """A raw cell's text as a block of code: converters put raw cells into their pages as they are."""
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", source))]))
    return f"{fence}text\n{source}\n{fence}"


def _summary(result, found):
    lines = [f"# Feedback: {said(places.title(result.chapter))}"]
    value = what_counts.points(found)
    if value is None:
        lines.append(
            "This submission could not be graded. That is not a mark of 0: ask your teacher."
        )
    else:
        waiting = f", {len(found.waiting)} still to be decided" if found.waiting else ""
        lines.append(f"**{points(value, what_counts.maximum(found))}**{waiting}")
        lines += [said(why) for why in what_counts.reasons(found)]
    return "\n\n".join(lines)


def _feedback_cell(result, verdict, by_hand):
    given = marks.given_for(result, verdict.exercise, by_hand)
    value = marks.points_of(verdict, given)
    head = f"Feedback on {said(verdict.title or verdict.exercise)}: {said(label(verdict, given))}"
    lines = [f"> **{head}** – {points(value, verdict.max_points)}"]
    if verdict.reason:
        lines.append(f"> Reason: {said(visible(verdict.reason, REASON))}")
    if comment := _comment(verdict, given):
        lines.append(f"> Comment: {said(comment)}")
    if advice := _next(verdict, given):
        lines.append(f"> {advice}")
    return markdown("\n>\n".join(lines))


_PROSE = re.compile(r"[^\W_]+(?:[ ,.;:!?()'’–—−+=/·…-]+[^\W_]+)*[ .!?)…]*")


def said(text: str) -> str:
    """Text for the middle of a line of Markdown, where it means just itself.

    Plain prose stays prose; anything with a sign that Markdown, HTML or MathJax might interpret becomes a
    span of code, in which none of them does.
    """
    line = " ".join(visible(text).split())
    if _PROSE.fullmatch(line) and "//" not in line and "www." not in line.lower():
        return line
    fence = "`" * (1 + max([0, *map(len, re.findall("`+", line))]))
    return f"{fence} {line} {fence}" if line else ""
