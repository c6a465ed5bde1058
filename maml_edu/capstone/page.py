"""A page about a family and a comparison, for a teacher to mark: start with `write_report`."""

from __future__ import annotations

import base64
import datetime
import html
import os
import platform
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import maml_edu
from maml_edu.atomic import replacing
from maml_edu.figures import draw

from . import tables
from .comparison import Comparison, seeds_in_words
from .family import FamilyReport
from .pictures import curves_scene, failure_scene

MARK = "<!-- a report of maml_edu.capstone -->"
EMPTY = "(to be written by the author)"
_FIELDS = {
    "question": "Question",
    "expected": "What I expected",
    "found": "What I found",
    "doubt": "What I doubt",
}
_STYLE = (
    "body { max-width: 60em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; line-height: 1.4 } "
    "table { border-collapse: collapse; font-size: 0.85em } td, th "
    "{ border: 1px solid #999; padding: 0.2em 0.5em } "
    ".empty { background: #fff3b0; color: #000 } "
    "body { overflow-wrap: anywhere } "  # a long name stays on the page
    "@page { margin: 1.2cm } "
    "@media print { body { margin: 0; padding: 0; max-width: none; font-size: 7.5pt; line-height: 1.2 } "
    "h1 { font-size: 14pt; margin: 0 } h2 { font-size: 10pt; margin: 0.6em 0 0.2em; break-after: avoid } "
    "p { margin: 0.2em 0 } td, th { padding: 0.05em 0.3em } tr, img { break-inside: avoid } "
    "img { max-height: 5cm } }"
)


class Table(NamedTuple):
    head: tuple
    rows: list


class Heading(NamedTuple):
    text: str


class Missing(NamedTuple):
    """A field that the author has left empty."""

    text: str


def write_report(
    comparison,
    path: str | os.PathLike,
    *,
    author: str,
    question: str = "",
    expected: str = "",
    found: str = "",
    doubt: str = "",
    family_report=None,
    overwrite: bool = False,
) -> tuple[Path, Path]:
    """One page, as HTML and as Markdown; returns the two paths, `path` with .html and .md.

    comparison: of `compare`. family_report: of `check_family`; without it the page says that checks are missing.
    author; question, expected, found, doubt: the author's own words; an empty one is marked as still to be written.
    overwrite: True replaces an earlier report; a file that is none stays in any case.

    Pictures are inside the files. Everything is shown as it is: markup in names or words has no effect. Files are
    written whole or not at all. Raises FileExistsError if a file is there already, OSError if it cannot be written,
    ValueError if path is a folder or names no file, if author is empty, if the words are no text, or if
    family_report is of another family than the comparison.
    """
    words = {"question": question, "expected": expected, "found": found, "doubt": doubt}
    _check(comparison, family_report, author, words)
    pages = _paths(path)
    for page in pages:
        _refuse_to_overwrite(page, overwrite)
    blocks = _blocks(comparison, family_report, author.strip(), words)
    for page, text in zip(pages, (_as_html(blocks), _as_markdown(blocks)), strict=True):
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
    """The page from top to bottom: Heading, Missing, Table, Picture, or text."""
    field = lambda name: [Heading(_FIELDS[name]), words[name].strip() or Missing(EMPTY)]
    s = comparison.settings
    middle = "mean" if comparison.rises else "median"
    return [
        f"{author}, {datetime.date.today().isoformat()}",
        *field("question"),
        *field("expected"),
        Heading("The family"),
        f"{comparison.family}: {comparison.kind}.",
        comparison.description
        or Missing("The class has no docstring: say there what a task is, in words."),
        Heading("Is it worth meta-learning?"),
        *_checks(family_report),
        Heading("Who does best"),
        f"{seeds_in_words(s['seeds'])}. Scores are {comparison.metric} on {s['test tasks']} test tasks, the "
        f"same for "
        "all "
        f"methods; settings were chosen on {s['validation tasks']} validation tasks. Of each task the median over "
        "seeds; "
        f"then the {middle} over tasks, with its 95 % interval.",
        Table(*comparison.table()),
        comparison.verdict,
        *comparison.notes,
        draw(curves_scene(comparison)),
        Heading("One failure"),
        f"The test task on which MAML does worst, with the scores of all methods (medians over seeds). The "
        f"predictions drawn are those of seed {comparison.failure['seed']}, which does worst.",
        Table(
            ("method", comparison.metric),
            [(name, _score(value)) for name, value in comparison.failure["scores"].items()],
        ),
        draw(failure_scene(comparison)),
        *field("found"),
        *field("doubt"),
        Heading("To do it again"),
        Table(("setting", "value"), [*((k, str(v)) for k, v in s.items()), *_versions().items()]),
    ]


def _score(value):
    return f"{value:.3g}" if np.isfinite(value) else "ran away"


def _checks(family_report):
    if family_report is None:
        return [
            Missing("(no check was given: write_report(…, family_report=check_family(family)))")
        ]
    return [family_report.verdict, Table(family_report.head, family_report.rows())]


def _versions() -> dict[str, str]:
    return {
        "maml_edu": maml_edu.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "PyTorch": torch.__version__,
    }


def _title(blocks):
    return "A family of tasks of my own"


def _as_html(blocks) -> str:
    body = "\n".join(map(_html_of, blocks))
    title = _title(blocks)
    return (
        f'<!DOCTYPE html>\n{MARK}\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html_of(block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{html.escape(block.text)}</h2>"
    if isinstance(block, Missing):
        return f'<p class="empty">{html.escape(block.text)}</p>'
    if isinstance(block, Table):
        return tables.as_html(block.head, block.rows)
    if isinstance(block, str):
        return "\n".join(f"<p>{html.escape(part)}</p>" for part in _paragraphs(block))
    return f"<p>{block.as_html()}</p>"


def _as_markdown(blocks) -> str:
    parts = [MARK, f"# {_title(blocks)}", *map(_markdown_of, blocks)]
    return "\n\n".join(parts) + "\n"


def _markdown_of(block) -> str:
    if isinstance(block, Heading):
        return f"## {block.text}"
    if isinstance(block, Missing):
        return f"**{tables.plain(block.text)}**"
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
