"""What lies on the desk: every answer that a person has to read, question by question, and its mark so far."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from maml_edu import places

from .. import answers, counting, marks
from ..by_hand import Given, Wish, give, given_for, read_by_hand
from ..classroom import Classroom
from ..exports.tables import number
from ..pages import render
from ..results import Result, Verdict


@dataclass(frozen=True)
class Sheet:
    """One answer on the desk. id: tells nobody whose it is; answer: what by_hand.csv calls it."""

    id: str
    result: Result
    verdict: Verdict
    answer: str
    stamp: str
    text: str
    code: bool
    key: str  # of equal answers
    problem: str = ""


@dataclass
class Question:
    """All answers to one question."""

    chapter: str
    exercise: str
    title: str
    worth: float
    asked: answers.Asked
    sheets: list[Sheet] = field(default_factory=list)


class Unknown(KeyError):
    """An answer that is not on the desk."""


class Desk:
    """The answers of these chapters (all). Reads the class folder; `give` writes by_hand.csv, at once."""

    def __init__(self, room: Classroom, chapters: list[str], anonymous: bool = False):
        self.room, self.chapters, self.anonymous = room, chapters, anonymous
        self.secret = room.secret
        self.lock = threading.Lock()
        self.questions: list[Question] = []
        self.sheets: dict[str, Sheet] = {}
        self.load()

    # -------------------------------------------------------------- what there is

    def load(self) -> None:
        """Look at the class folder again. Raises ValueError for mistakes in by_hand.csv or policy.toml."""
        found, _ = marks.sound_results(self.room.results)
        worth = marks.maxima(found)
        given = read_by_hand(self.room.by_hand, worth)
        term = counting.of(self.room.root, found, worth)
        of = [r for r in found if not self.chapters or r.chapter in self.chapters]
        questions: dict[tuple[str, str], Question] = {}
        for result, stamp in _hand_ins(term, of):
            rules = term.policy.of(result.chapter)
            for verdict in result.verdicts:
                if verdict.exercise in (*rules.dropped, *rules.full_points):
                    continue
                if self._is_read(result, verdict, given):
                    self._lay(questions, result, verdict, stamp)
        ordered = [questions[key] for key in sorted(questions)]
        for question in ordered:
            question.sheets.sort(
                key=lambda s: s.id if self.anonymous else (s.result.student, s.stamp)
            )
        with self.lock:
            self.questions = ordered
            self.sheets = {sheet.id: sheet for q in ordered for sheet in q.sheets}

    def _is_read(self, result, verdict, given) -> bool:
        """Whether a person reads this answer: it waits, or somebody gave points for it."""
        own = given_for(result, verdict.exercise, given)
        waits = marks.points_of(verdict, own) is None
        return waits or verdict.outcome == "person" or bool(own and own.points is not None)

    def _lay(self, questions, result, verdict, stamp) -> None:
        root, key = self.room.root, (result.chapter, verdict.exercise)
        if key not in questions:
            asked = answers.asked(root, *key)
            title, worth = verdict.title, verdict.max_points
            questions[key] = Question(*key, title, worth, asked)
        text, code, problem = "", "." in verdict.exercise, ""
        own = answers.notebook_of(root, result, stamp)
        if own is None:
            problem = (
                "another notebook was handed in since it was graded, or it is gone: grade again"
            )
        else:
            text, code = answers.text_of(own, verdict, answers.handed_out(root, result.chapter))
        name = answers.present(result, verdict.exercise)
        id = self._digest(result.student, result.chapter, verdict.exercise, name, stamp)
        same = answers.key_of(text, code)
        sheet = Sheet(id, result, verdict, name, stamp, text, code, same, problem)
        questions[key].sheets.append(sheet)

    def _digest(self, *words: str) -> str:
        text = "\0".join([self.secret, *words])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]

    # -------------------------------------------------------------- as the page gets it

    def state(self) -> dict[str, Any]:
        """All that the page shows but the answers themselves, and the marks."""
        with self.lock:
            questions = list(self.questions)
        return {
            "anonymous": self.anonymous,
            "questions": [self._question(question) for question in questions],
            "marks": self.marks(),
        }

    def _question(self, question: Question) -> dict[str, Any]:
        asked = question.asked
        model = answers.key_of(asked.model, asked.code)
        return {
            "id": question.exercise,
            "chapter": places.title(question.chapter),
            "title": question.title or question.exercise,
            "worth": number(question.worth),
            "question": render.html_of(asked.question) if asked.question else "",
            "rubric": render.html_of(asked.rubric) if asked.rubric else "",
            "model": render.html_of(asked.model, asked.code) if asked.model else "",
            "answers": [
                self._sheet(sheet, i, question, model) for i, sheet in enumerate(question.sheets, 1)
            ],
        }

    def _sheet(self, sheet, number_, question, model):
        same = [
            s.id for s in question.sheets if sheet.key and s.key == sheet.key and s is not sheet
        ]
        name = f"Answer {number_}" if self.anonymous else sheet.result.student
        return {
            "id": sheet.id,
            "name": name,
            "earlier": sheet.stamp,
            "reason": sheet.problem or sheet.verdict.reason,
            "same": same,
            "model": bool(sheet.key) and sheet.key == model,
        }

    def marks(self) -> dict[str, Any]:
        """Answer → what was given to it, and to answers before it; as by_hand.csv says now."""
        given = read_by_hand(self.room.by_hand)
        with self.lock:
            sheets = list(self.sheets.values())
        return {sheet.id: self._mark(sheet, given) for sheet in sheets}

    def _mark(self, sheet: Sheet, given) -> dict[str, Any]:
        own = given_for(sheet.result, sheet.verdict.exercise, given) or Given(None)
        counts = marks.points_of(sheet.verdict, own)
        return {
            "points": None if own.points is None else number(own.points),
            "comment": own.comment,
            "waits": counts is None,
            "old": [
                {
                    "points": None if old.points is None else number(old.points),
                    "comment": old.comment,
                }
                for old in own.others
            ],
        }

    def answer(self, id: str) -> dict[str, str]:
        """One answer, ready to be shown. Raises Unknown."""
        sheet = self._of(id)
        return {
            "html": render.html_of(sheet.text, sheet.code),
            "source": sheet.text[: render.LONGEST],
        }

    def _of(self, id: str) -> Sheet:
        with self.lock:
            if id not in self.sheets:
                raise Unknown(id)
            return self.sheets[id]

    # -------------------------------------------------------------- giving

    def give(self, ids: list[str], points: float | None, comment: str, seen: list[Given]) -> None:
        """Write a mark for these answers. seen: what the page showed for each.

        Raises Unknown, ValueError for points that cannot be, `by_hand.Conflict`.
        """
        wishes = []
        for id, was in zip(ids, seen, strict=True):
            sheet = self._of(id)
            worth = sheet.verdict.max_points
            if points is not None and not 0 <= points <= worth:
                raise ValueError(f"between 0 and {number(worth)} points, not {number(points)}.")
            who = (sheet.result.student, sheet.verdict.exercise, sheet.answer)
            wishes.append(Wish(*who, points, comment, was))
        give(self.room.by_hand, wishes)


def _hand_ins(term: counting.Term, found: list[Result]) -> Iterator[tuple[Result, str]]:
    """Every hand-in that may count: (result, STAMP of an earlier one or "")."""
    for result in found:
        for stamp, own in counting.hand_ins(term, result):
            yield own, stamp
