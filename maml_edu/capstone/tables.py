"""Tables in three forms, from the same rows: text, HTML and Markdown. Everything is escaped."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence


def as_text(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = 110) -> str:
    """Columns side by side; the last one is broken into lines."""
    sizes = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head) - 1)]
    indent = sum(sizes) + 2 * len(sizes)
    lines = []
    for row in [head, *rows]:
        left = "".join(f"{cell!s:<{size}}  " for cell, size in zip(row, sizes, strict=False))
        words = textwrap.wrap(str(row[-1]), max(30, width - indent)) or [""]
        lines += [(left + words[0]).rstrip(), *(" " * indent + more for more in words[1:])]
    return "\n".join(lines)


def as_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A <table>; whatever the cells hold is shown as it is."""
    left = ' style="text-align: left; vertical-align: top"'
    line = lambda tag, cells: (
        "<tr>" + "".join(f"<{tag}{left}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"
    )
    body = "\n".join(line("td", row) for row in rows)
    return f"<table>\n<thead>{line('th', head)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of GitHub's Markdown; what would be markup in the cells is escaped."""
    lines = [head, ["---"] * len(head), *[[plain(c) for c in row] for row in rows]]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def escaped(text) -> str:
    """Text that HTML shows as it is."""
    return html.escape(str(text))


def plain(text) -> str:
    """Text that Markdown, and the HTML in it, shows as it is, on one line."""
    text = html.escape(" ".join(str(text).split()), quote=False)
    return "".join(f"\\{c}" if c in "\\`*_[]|#!~$" else c for c in text)
