"""All written answers of a chapter on one page, to be read in a row or printed: `page`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from maml_edu import places

from .. import answers, marks
from ..by_hand import ByHand, Given, given_for
from ..results import Result, Verdict
from .html import escape, name, points
from .html import page as whole_page
from .render import html_of


def page(root: Path, chapter: str, graded: Sequence[Result], by_hand: ByHand) -> str:
    """Question, rubric, and each answer with its mark; what still waits comes first."""
    body = f"<h1>Written answers: {escape(places.title(chapter))}</h1>\n"
    questions: dict[str, list[tuple[Result, Verdict]]] = {}
    for result in graded:
        for verdict in result.verdicts:
            given = given_for(result, verdict.exercise, by_hand)
            waits = marks.points_of(verdict, given) is None
            if waits or verdict.outcome == "person":
                questions.setdefault(verdict.exercise, []).append((result, verdict))
    for exercise, own in sorted(questions.items()):
        body += _question(root, chapter, exercise, own, by_hand)
    return whole_page("Written answers", body, pictures=True)


def _question(root, chapter, exercise, own, by_hand):
    asked, worth = answers.asked(root, chapter, exercise), own[0][1].max_points
    body = f"<h2>{escape(exercise)}, {points(worth)} points</h2>\n"
    for title, text, code in (
        ("Question", asked.question, False),
        ("Rubric", asked.rubric, False),
        ("Model answer", asked.model, asked.code),
    ):
        if text:
            shown = "" if title == "Model answer" else " open"
            body += f"<details{shown}>\n<summary>{title}</summary>\n{_html(text, code)}</details>\n"
    items = [(given_for(result, exercise, by_hand), result, verdict) for result, verdict in own]
    items.sort(key=lambda item: (marks.points_of(item[2], item[0]) is not None, item[1].student))
    return body + "".join(_answer(root, *item) for item in items)


def _answer(root, given: Given | None, result: Result, verdict: Verdict) -> str:
    value = marks.points_of(verdict, given)
    look = "open" if value is None else "right"
    mark = "waits" if value is None else points(value, verdict.max_points)
    lines = [
        f'<section class="item {look}">\n<header><h3>{name(result.student)}</h3> <span>{mark}</span></header>\n'
    ]
    if verdict.reason:
        lines.append(f'<p class="soft">{escape(verdict.reason, 500)}</p>\n')
    own = answers.notebook_of(root, result)
    if own is None:
        lines.append('<p class="soft">another notebook was handed in since: grade again</p>\n')
    else:
        text, code = answers.text_of(own, verdict, answers.handed_out(root, result.chapter))
        lines.append(
            _html(text, code) if text else '<p class="soft">(not found: look in the notebook)</p>'
        )
    if given is not None and given.comment.strip():
        lines.append(f'<p class="comment" dir="auto">{escape(given.comment, 5000)}</p>\n')
    for old in given.others if given is not None and given.changed else ():
        was = "a comment" if old.points is None else points(old.points, verdict.max_points)
        said = f"Changed since it was read. Then: {was}" + (
            f", “{old.comment}”" if old.comment else ""
        )
        lines.append(f'<p class="comment" dir="auto">{escape(said, 5000)}</p>\n')
    return "".join(lines) + "</section>\n"


def _html(text, code=False):
    """As on the marking page; a formula sits on its line by a style, for no script may run here."""
    made = html_of(text, code)
    return re.sub(r'data-low="([\d.]+)"', r'style="vertical-align: -\1px"', made)
