"""A page about a family and a comparison, for a teacher to mark: start with `write_report`."""

from __future__ import annotations

import base64
import html
import os
import platform
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import maml_edu
from maml_edu.atomic import replacing
from maml_edu.figures import draw

from . import tables
from .comparison import Comparison
from .family import FamilyReport
from .pictures import curves_scene, failure_scene

MARK = "<!-- a report of maml_edu.capstone -->"
EMPTY = "(to be written by the author)"
_FIELDS = {
    "question": "Question",
    "expected": "What I expected",
    "found": "What I found",
    "doubt": "What I doubt",
    "failure": "One failure, explained",
}
_NUMBERS = (  # the checks whose numbers say whether a family is worth it: always on the page
    "average predictor", "oracle", "tasks differ", "the support set helps", "a plain learner leaves room",
)  # fmt: skip
_STYLE = (
    "body { max-width: 60em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; line-height: 1.4 } "
    "table { border-collapse: collapse; font-size: 0.85em } td, th "
    "{ border: 1px solid #999; padding: 0.2em 0.5em } img { max-width: 100% } pre { font-size: 0.85em } "
    ".empty { background: #fff3b0; color: #000 } "
    "p, pre, td:last-child { overflow-wrap: anywhere } "  # a long name stays on the page
    "@page { size: A4; margin: 1.3cm } "
    "@media print { body { margin: 0; padding: 0; max-width: none; font-size: 8.5pt; line-height: 1.25 } "
    "h1 { font-size: 14pt; margin: 0 } h2 { font-size: 10.5pt; margin: 0.6em 0 0.2em; break-after: avoid } "
    "p { margin: 0.3em 0 } td, th { padding: 0.1em 0.3em } tr, img { break-inside: avoid } "
    "img { max-height: 8cm } }"
)


class Table(NamedTuple):
    head: tuple
    rows: list


class Heading(NamedTuple):
    text: str


class Missing(NamedTuple):
    """A field that the author has left empty."""

    text: str


class Field(NamedTuple):
    """The author's own words on something; "" if they are still to be written."""

    name: str
    text: str


class Code(NamedTuple):
    text: str


class Folded(NamedTuple):
    """What a reader may open; it is not printed while it is closed."""

    summary: str
    blocks: list


def write_report(
    comparison,
    path: str | os.PathLike,
    *,
    author: str,
    question: str = "",
    expected: str = "",
    found: str = "",
    doubt: str = "",
    failure: str = "",
    family_report=None,
    overwrite: bool = False,
) -> tuple[Path, Path]:
    """A page (two when printed), as HTML and as Markdown; returns the two paths, `path` with .html and .md.

    comparison: of `compare`. family_report: of `check_family`; without it the page says that checks are missing.
    author; question, expected, found, doubt, and failure (what the task on which MAML does worst shows): the
    author's own words; an empty one is marked as still to be written.
    overwrite: True replaces an earlier report; a file that is none stays in any case.

    Pictures are inside the files. Everything is shown as it is: markup in names or words has no effect. Files are
    written whole or not at all. Raises FileExistsError if a file is there already, OSError if it cannot be written,
    ValueError if path is a folder or names no file, if author is empty, if the words are no text, or if
    family_report is of another family than the comparison.
    """
    words = {
        "question": question, "expected": expected, "found": found, "doubt": doubt, "failure": failure,
    }  # fmt: skip
    _check(comparison, family_report, author, words)
    pages = _paths(path)
    for page in pages:
        _refuse_to_overwrite(page, overwrite)
    blocks = _blocks(comparison, family_report, author.strip(), words)
    title = "A family of tasks of my own"
    if comparison.settings["quick"]:
        title = f"A trial, on validation tasks: {title[0].lower()}{title[1:]}"
    texts = _as_html(blocks, title), _as_markdown(blocks, title)
    for page, text in zip(pages, texts, strict=True):
        _write(page, text)
    return pages


def _check(comparison, family_report, author, words):
    if not isinstance(comparison, Comparison):
        raise ValueError(
            f"comparison must be what compare returns; got {type(comparison).__name__}."
        )
    if not isinstance(author, str) or not author.strip():
        raise ValueError(f"author must be a name; got {author!r}.")
    for name, text in words.items():
        if not isinstance(text, str):
            raise ValueError(f"{name} must be text; got {type(text).__name__}.")
    if family_report is None:
        return
    if not isinstance(family_report, FamilyReport):
        raise ValueError(
            f"family_report must be what check_family returns; got {type(family_report).__name__}."
        )
    if family_report.name != comparison.family:
        raise ValueError(
            f"family_report is of {family_report.name}, the comparison of {comparison.family}: give both of one "
            "family."
        )


def _paths(path) -> tuple[Path, Path]:
    if not isinstance(path, (str, os.PathLike)) or not Path(path).name or "\0" in os.fspath(path):
        raise ValueError(f"path must name a file, such as 'my_report'; got {path!r}.")
    path = Path(path)
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder: name a file in it, such as {path / 'my_report'}.")
    stem = path.with_suffix("") if path.suffix.lower() in (".html", ".md") else path
    return stem.with_name(f"{stem.name}.html"), stem.with_name(f"{stem.name}.md")


def _refuse_to_overwrite(page: Path, overwrite: bool):
    try:
        if not page.exists():
            return
        ours = page.is_file() and MARK.encode() in page.read_bytes()
    except OSError as error:
        raise type(error)(f"{page} cannot be read or written: {error.strerror}.") from error
    if not ours:
        raise FileExistsError(f"{page} is no report of ours, and stays: choose another name.")
    if not overwrite:
        raise FileExistsError(
            f"{page} is there already: choose another name, or say overwrite=True to replace your earlier report."
        )


def _write(page: Path, text: str):
    """The file, whole or not at all; what UTF-8 does not have becomes a question mark."""
    try:
        with replacing(page) as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise type(error)(f"{page} cannot be written: {error.strerror or error}.") from error


# ------------------------------------------------------------------ what is on the page


def _blocks(comparison, family_report, author, words) -> list[Any]:
    """The page from top to bottom."""
    return [
        author,
        *(Field(title, words[name].strip()) for name, title in _FIELDS.items()),
        Heading("The family"),
        *_family(comparison),
        Heading("Is it worth meta-learning?"),
        *_checks(family_report),
        Heading("Who does best"),
        *_scores(comparison),
        Heading("After each step, and the worst task"),
        *_pictures(comparison),
        Heading("To do it again"),
        " · ".join(f"{k}: {v}" for k, v in (comparison.settings | _versions()).items()),
    ]


def _family(comparison):
    blocks = [
        f"{comparison.family}: {comparison.kind}.",
        comparison.description
        or Missing("The class has no docstring: say there what a task is, in words."),
    ]
    return [*blocks, Folded("Its code", [Code(comparison.source)])] if comparison.source else blocks


def _scores(comparison):
    how = (
        "Nothing is chosen on the tasks of the table, except in a trial. α and β were chosen with the first seed: "
        "each pair was trained for a quarter of the iterations, the best two in full; of two or fewer all in full."
    )
    return [
        f"{comparison.title}. {comparison.how_to_read}",
        Table(*comparison.table()),
        comparison.verdict,
        *comparison.notes,
        Folded(
            "What every method chose between, and the scores on validation tasks",
            [how, Table(*comparison.tried())],
        ),
    ]


def _pictures(comparison):
    failure = comparison.failure
    scores = "; ".join(f"{name} {_score(value)}" for name, value in failure["scores"].items())
    return [
        draw(curves_scene(comparison), failure_scene(comparison)),
        f"On the right the task on which MAML does worst, with the network of seed {failure['seed']}, which does "
        f"worst there ({_score(failure['drawn']['MAML'])}). Means over the trainings on this task: {scores}.",
    ]


def _score(value):
    return f"{value:.3g}" if np.isfinite(value) else "ran away"


def _checks(family_report):
    if family_report is None:
        return [
            Missing("(no check was given: write_report(…, family_report=check_family(family)))")
        ]
    checks, rows = family_report.checks, family_report.rows()
    shown = [
        row
        for check, row in zip(checks, rows, strict=True)
        if check.status in ("fail", "note") or check.name in _NUMBERS
    ]
    count = f"{len(checks)} checks, {len(family_report.failed) or 'none'} failed. "
    return [
        count + family_report.verdict,
        Table(family_report.head, shown),
        Folded(f"All {len(checks)} checks", [Table(family_report.head, rows)]),
    ]


def _versions() -> dict[str, str]:
    return {
        "maml_edu": maml_edu.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "PyTorch": torch.__version__,
    }


def _as_html(blocks, title) -> str:
    body = "\n".join(map(_html_of, blocks))
    return (
        f'<!DOCTYPE html>\n{MARK}\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html_of(block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{html.escape(block.text)}</h2>"
    if isinstance(block, Missing):
        return f'<p class="empty">{html.escape(block.text)}</p>'
    if isinstance(block, Field):
        name = f"<b>{html.escape(block.name)}.</b>"
        if not block.text:
            return f'<p class="empty">{name} {html.escape(EMPTY)}</p>'
        return _html_of(block.text).replace("<p>", f"<p>{name} ", 1)
    if isinstance(block, Code):
        return f"<pre>{html.escape(block.text)}</pre>"
    if isinstance(block, Folded):
        inside = "\n".join(map(_html_of, block.blocks))
        return f"<details><summary>{html.escape(block.summary)}</summary>\n{inside}\n</details>"
    if isinstance(block, Table):
        return tables.as_html(block.head, block.rows)
    if isinstance(block, str):
        return "\n".join(f"<p>{html.escape(part)}</p>" for part in _paragraphs(block))
    return f"<p>{block.as_html()}</p>"


def _as_markdown(blocks, title) -> str:
    parts = [MARK, f"# {title}", *map(_markdown_of, blocks)]
    return "\n\n".join(parts) + "\n"


def _markdown_of(block) -> str:
    if isinstance(block, Heading):
        return f"## {block.text}"
    if isinstance(block, Missing):
        return f"**{tables.plain(block.text)}**"
    if isinstance(block, Field):
        return f"**{block.name}.** {_markdown_of(block.text or Missing(EMPTY))}"
    if isinstance(block, Code):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
        return f"{fence}python\n{block.text}\n{fence}"
    if isinstance(block, Folded):
        inside = "\n\n".join(map(_markdown_of, block.blocks))
        summary = html.escape(block.summary)
        return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"
    if isinstance(block, Table):
        return tables.as_markdown(block.head, block.rows)
    if isinstance(block, str):
        return "\n\n".join(map(_line, _paragraphs(block)))
    return f"![{tables.plain(block.alt)}](data:image/png;base64,{base64.b64encode(block.png).decode()})"


def _line(text) -> str:
    """A paragraph that begins no list and no other thing."""
    text = tables.plain(text)
    head = text[:1]
    if head in "-+=>":
        return f"\\{text}"
    number = text[: len(text) - len(text.lstrip("0123456789"))]
    rest = text[len(number) :]
    return f"{number}\\{rest}" if number and rest[:1] in (".", ")") else text


def _paragraphs(text):
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
