"""A page about a family and a comparison, for a teacher to mark: start with `write_report`."""

from __future__ import annotations

import os
from pathlib import Path


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

    comparison: of `compare`. family_report: of `check_family`; None leaves the table of checks to be added.
    author; question, expected, found, doubt: the author's own words; an empty field is marked as still to be written.
    overwrite: True replaces files that are there. Pictures are inside the files. Files are written whole or not at all.

    Raises FileExistsError if a file is there already, ValueError for an empty author, or if the report is of
    another family than the comparison.
    """
    raise NotImplementedError
