"""Reading what was handed in: strict with files, lenient with honest damage.

`find` picks the notebook in a student's folder, `read` turns a file into cells. Both look before they
touch: a link, a device, a file of 2 GB or of nonsense is refused with one plain sentence (`Rejected`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST = 20 << 20  # bytes of a notebook; outputs with many pictures have ten
MOST_CELLS = 2000


class Rejected(Exception):
    """A submission that is not to be run; the message is one sentence for teacher and student."""


@dataclass(frozen=True)
class Cell:
    """One cell: kind "code", "markdown" or "raw"; grade_id: nbgrader's name for it, or ""."""

    kind: str
    source: str
    grade_id: str = ""


@dataclass(frozen=True)
class Submission:
    """A notebook that can be run: its cells, its file's checksum, and what had to be put right."""

    cells: list[Cell]
    sha256: str
    file: str = ""
    notes: list[str] = field(default_factory=list)

    def mentions(self, word: str) -> bool:
        return any(word in cell.source for cell in self.cells)


def answer_pattern(name: str) -> re.Pattern[str]:
    """What a cell that answers holds: at the start of a line, a function of this name, or a value given to it."""
    named = re.escape(name)
    return re.compile(rf"^(?:async )?def {named}\b|^{named}[ \t]*=(?!=)", flags=re.M)


# ------------------------------------------------------------------ which file


def find(folder: Path, chapter: str) -> tuple[Path, list[str]]:
    """The notebook of a chapter in a student's folder, and notes on how it was found.

    Its own name comes first, then what browsers and people make of it ("… (1).ipynb", "… - Copy.ipynb",
    "…_final.ipynb"), then the only notebook there is. Raises Rejected.
    """
    try:
        if folder.is_symlink():
            raise Rejected("the folder is a link to another place; hand in the files themselves")
        found = [entry for entry in os.scandir(folder) if _may_be_it(entry)]
    except OSError as error:
        raise Rejected(f"the folder cannot be read ({error.strerror})") from None
    exact = [entry for entry in found if entry.name == f"{chapter}.ipynb"]
    if exact:
        return Path(exact[0].path), []
    if not found:
        raise Rejected("there is no notebook (.ipynb) in the folder")
    alike = [entry for entry in found if plain_name(entry.name) == plain_name(chapter)]
    starts = [e for e in found if e.name.startswith(chapter.split("_")[0])]
    among = alike or starts or found
    chosen = max(among, key=lambda entry: (entry.stat(follow_symlinks=False).st_mtime, entry.name))
    note = f"the file is called {chosen.name!r}"
    if len(among) > 1:
        note += f", the newest of {len(among)} that could be meant"
    return Path(chosen.path), [note]


ENDING = re.compile(r"\.ipynb(\.json|\.txt)?$", flags=re.I)  # some browsers add one of their own


def _may_be_it(entry) -> bool:
    return bool(ENDING.search(entry.name)) and not entry.name.startswith(".")


def plain_name(name: str) -> str:
    """A file's name without ending, case, numbers in brackets, "copy" and "final"."""
    stem = ENDING.sub("", name).lower()
    return re.sub(r"(\(\d+\)|\b|_|-)(copy|kopie|final|solved)\d*\b|\(\d+\)|[\s_\-]+", "", stem)


# ------------------------------------------------------------------ what is in it


def read(path: Path) -> Submission:
    """The notebook in a file. Raises Rejected where it is none, or no file at all."""
    data = _bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    notes = []
    if data.startswith(b"\xef\xbb\xbf"):
        notes.append("the file began with a byte order mark")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Rejected("the file is not UTF-8 text, so it is no notebook") from None
    if not text.strip():
        raise Rejected("the file is empty")
    try:
        notebook = json.loads(text)
    except ValueError:
        raise Rejected("the file is not JSON: no notebook, or one that was cut off") from None
    except RecursionError:
        raise Rejected("the file is nested too deeply to be a notebook") from None
    return Submission(_cells(notebook), digest, printable(path.name), notes)


def printable(text: str) -> str:
    """Text of a student's that may be shown: nothing in it moves a cursor, turns a line or breaks a file."""
    odd = "\N{REPLACEMENT CHARACTER}"
    return "".join(c if c.isprintable() else odd for c in text.replace("\t", " "))


def _bytes(path: Path) -> bytes:
    """A regular file's content, whatever it is that the path names."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        number = os.open(path, flags)
    except OSError as error:
        if path.is_symlink():
            raise Rejected("the file is a link to another place; hand in the file itself") from None
        raise Rejected(f"the file cannot be read ({error.strerror})") from None
    try:
        return _content(number)
    except OSError as error:
        raise Rejected(f"the file cannot be read ({error.strerror})") from None
    finally:
        os.close(number)


def _content(number) -> bytes:
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode):
        raise Rejected("this is not an ordinary file")
    if about.st_size > LARGEST:
        megabytes = LARGEST >> 20
        raise Rejected(
            f"the file is larger than {megabytes} MB; clear its outputs and hand it in again"
        )
    with open(number, "rb", closefd=False) as file:
        return file.read(LARGEST)


def _cells(notebook: Any) -> list[Cell]:
    """Cells of any notebook since format 3, whatever else is wrong with it."""
    if not isinstance(notebook, dict):
        raise Rejected("the file is JSON, and no notebook")
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):  # format 3
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [
            c for sheet in sheets if isinstance(sheet.get("cells"), list) for c in sheet["cells"]
        ]
    if not isinstance(cells, list):
        raise Rejected("the file has no cells, so it is no notebook")
    if len(cells) > MOST_CELLS:
        raise Rejected(f"the notebook has {len(cells)} cells; {MOST_CELLS} are the limit")
    return [_cell(cell) for cell in cells if isinstance(cell, dict)]


def _cell(cell: dict[str, Any]) -> Cell:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    source = source if isinstance(source, str) else ""
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        kind = "code" if "outputs" in cell else "markdown"
    return Cell(kind, source.encode("utf-8", "replace").decode(), _grade_id(cell.get("metadata")))


def _grade_id(metadata) -> str:
    own = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = own.get("grade_id") if isinstance(own, dict) else None
    return name if isinstance(name, str) else ""
