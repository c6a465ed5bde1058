"""What a notebook's cells say, read as text and never run: where an answer is, whether it is empty, its digest.

All of it takes time in proportion to the text, whatever the text is: a notebook is handed in by anybody.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from keyword import iskeyword

EMPTY_TEXTS = frozenset({"", "YOUR ANSWER HERE"})  # of a written answer's cell
PROSE = 5  # words that stand one after the other, in a cell of their own
PROSE_BESIDE_AN_ANSWER = 25  # words in such runs, in a cell that holds the code of an answer, too


@dataclass(frozen=True)
class Cell:
    """One cell: kind "code", "markdown" or "raw"; grade_id: nbgrader's name for it, or ""."""

    kind: str
    source: str
    grade_id: str = ""

    @cached_property
    def names(self) -> frozenset[str]:
        """What this cell gives a value to, by its text, were it code: at the start of lines, read in one pass."""
        words: list[str] = []
        for match in _NAMES.finditer(_flush(self.source)):
            words += _WORD.findall(match[match.lastindex or 0])
        return frozenset(words)

    def binds(self, name: str) -> bool:
        return name in self.source and name in self.names


_WORD = re.compile(r"\w+")
_NAMES = re.compile(
    r"^(?:(?:async )?def|class) (\w+)"
    r"|^(?:from [\w.]+ )?import ([^\n]+)"
    r"|^(\w+(?:[ \t]*[=,][ \t]*\w+){0,8})[ \t]*=(?!=)"  # a = b = 1; a, b = 1, 2
    r"|^(\w+)[ \t]*:[^=\n]*=(?!=)",
    flags=re.M,
)


def _flush(source: str) -> str:
    """A cell's text without the indentation that its first line has, which IPython takes off, too."""
    lines = source.splitlines()
    first = next((line for line in lines if line.strip()), "")
    before = first[: len(first) - len(first.lstrip())]
    return "\n".join(line.removeprefix(before) for line in lines) if before else "\n".join(lines)


# ------------------------------------------------------------------ which cell answers


@cache
def answer_pattern(name: str) -> re.Pattern[str]:
    """What a cell that answers holds: at the start of a line, a function of this name, or a value given to it."""
    named = re.escape(name)
    return re.compile(rf"^(?:async )?def {named}\b|^{named}[ \t]*=(?!=)", flags=re.M)


LONGEST_STUB = 20_000  # characters


def is_blank(cell: Cell, name: str, handed_out: Collection[str] = ()) -> bool:
    """Whether a cell that binds this name only holds the line that raises, as it was handed out."""
    if len(cell.source) > LONGEST_STUB or "NotImplementedError" not in cell.source:
        return False
    if cell.source.strip() in handed_out:
        return True
    text = _flush(cell.source)
    found = [match.end() for match in answer_pattern(name).finditer(text)]
    if not found:
        return False
    block = []
    for line in text[found[-1] :].split("\n")[1:]:
        if line[:1] not in ("", " ", "\t", "#"):
            break
        block.append(line)
    lines = [line.strip() for line in _QUOTED.sub("", "\n".join(block)).split("\n")]
    code = [line for line in lines if line and not line.startswith("#")]
    return bool(code) and all(line.startswith("raise NotImplementedError") for line in code)


_QUOTED = re.compile(r'"""[\s\S]*?"""|' + r"'''[\s\S]*?'''")


def answer_cells(cells: Sequence[Cell], name: str, handed_out: Collection[str] = ()) -> list[int]:
    """The cells that answer, by their text, in order: of code; where none of those is more than a stub, of text."""
    code = [i for i, cell in enumerate(cells) if cell.kind == "code" and cell.binds(name)]
    if any(not is_blank(cells[i], name, handed_out) for i in code):
        return code
    text = [i for i, c in enumerate(cells) if c.kind != "code" and _answers(c, name)]
    return sorted(code + text)


def _answers(cell: Cell, name: str) -> bool:
    return cell.binds(name) and bool(answer_pattern(name).search(_flush(cell.source)))


def place_of_answer(cells: Sequence[Cell], name: str, answer: str = "") -> int | None:
    """The cell to be shown as the answer: the one that was judged, whose digest this is; else by its text.

    Then the last one that is no stub counts, or the cell that nbgrader named.
    """
    judged = [i for i, cell in enumerate(cells) if answer and digest(cell.source) == answer]
    found = answer_cells(cells, name)
    done = [i for i in found if not is_blank(cells[i], name)]
    named = [i for i, cell in enumerate(cells) if cell.grade_id == name]
    among = judged or done or found or named
    return among[-1] if among else None


# ------------------------------------------------------------------ the same answer


def normalised(source: str) -> str:
    """A text without what editors change on their own: line ends, spaces at an end, how accents are written."""
    lines = [line.rstrip() for line in unicodedata.normalize("NFC", source).splitlines()]
    return "\n".join(lines).strip("\n")


def digest(source: str) -> str:
    """The first 16 hex digits of the SHA-256 of a normalised text; "" of one that is empty."""
    text = normalised(source)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16] if text else ""


# ------------------------------------------------------------------ words in code


def is_prose(cell: Cell, names: Collection[str], handed_out_lines: Collection[str]) -> bool:
    """Whether a cell of code holds sentences of a student's own: an essay in the wrong kind of cell."""
    lines = [line.strip() for line in cell.source.splitlines()]
    own = "\n".join(line for line in lines if line and line not in handed_out_lines)
    answers = any(cell.binds(name) for name in names)
    most = max(_runs(own), default=0)
    return sum(_runs(own)) >= PROSE_BESIDE_AN_ANSWER if answers else most >= PROSE


_WORDS = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:[,;:.!?’'\"]*+[ \t]++[^\W\d_]++)+")
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]{8,}")


def _runs(text: str) -> Iterator[int]:
    """How many words there are in each run of words with nothing but spaces and commas between them.

    Python's own words and single letters are not counted, so that an expression is none.
    """
    for run in _WORDS.finditer(text):
        words = [word.strip(",;:.!?’'\"") for word in run.group().split()]
        count = sum(len(word) > 1 and not iskeyword(word) for word in words)
        if count >= PROSE:
            yield count
    for run in _WITHOUT_SPACES.finditer(text):
        yield len(run.group()) // 2 + 1
