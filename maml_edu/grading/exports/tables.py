"""Tables as CSV: our own, which no spreadsheet takes for formulas, and those of others, changed cell by cell.

A cell of text that a spreadsheet might run as a formula gets an apostrophe in front; `plain` takes it off
again, and `read` does so for every cell. Numbers stay numbers. A `Sheet` is a file of somebody else's:
what is not set in it stays as it was, byte for byte.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maml_edu.atomic import replacing

# What a spreadsheet reads as the start of a formula, also behind blanks, marks that nobody sees, and
# apostrophes: the last so that `plain` undoes exactly what `safe` did.
_FORMULA = re.compile(r"[\s'\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|'*[\t\r\n]")
DELIMITERS = ",;\t"


def safe(text: str) -> str:
    """Text that is not a formula: with an apostrophe in front where it could be taken for one."""
    return "'" + text if _FORMULA.match(text) else text


def plain(text: str) -> str:
    """The text that `safe` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text


def number(value: float) -> int | float:
    """Points as a table shows them: 3, not 3.0, and no noise of binary fractions."""
    value = round(float(value), 6)
    return int(value) if value.is_integer() else value


def write(path: Path, header: list[str], rows: Iterable[Iterable[str | float | None]]) -> None:
    """Write a table, atomically: UTF-8 with the mark by which Excel knows it, text quoted, None empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    for row in [header, *rows]:
        writer.writerow([_cell(value) for value in row])
    with replacing(path) as file:
        file.write(text.getvalue().encode("utf-8-sig"))


def _cell(value):
    if value is None:
        return ""
    return safe(value) if isinstance(value, str) else number(value)


def read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the rows of a table, each row with the number of the line on which it ends.

    A table that a spreadsheet has saved is read as well: with a byte order mark, with semicolons or tabs.
    Raises ValueError for what is not UTF-8, not CSV or empty.
    """
    text = decoded(path).removeprefix("\ufeff")
    if not text.strip():
        raise ValueError(f"{path} is empty: its first line must name the columns.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
    try:
        rows = [(reader.line_num, [plain(cell) for cell in row]) for row in reader]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: this is not a table of comma-separated values ({error})."
        ) from error
    header = [name.strip() for name in rows[0][1]]
    return header, [(line, row) for line, row in rows[1:] if any(cell.strip() for cell in row)]


UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}  # by their mark


def decoded(path: Path, encoding: str = "utf-8") -> str:
    """A file's text. Raises ValueError when it is not UTF-8."""
    try:
        return path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8 (byte {error.start}): save it as 'CSV UTF-8' and try again."
        ) from error


def delimiter_of(text: str) -> str:
    """The character between the cells: what the first line has most of, outside quotes."""
    first = re.sub(r'"(?:[^"]|"")*"', "", text).lstrip("\r\n").splitlines()[:1]
    counts = {d: first[0].count(d) if first else 0 for d in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


# ------------------------------------------------------------------ tables of others


@dataclass
class Sheet:
    """A CSV file of somebody else's, cell by cell as it is written there; row 0 is the header."""

    cells: list[list[str]]  # as in the file, quotes included
    ends: list[str]  # of the lines
    delimiter: str
    mark: str  # the byte order mark, or nothing
    encoding: str = "utf-8"

    @classmethod
    def of(cls, path: Path) -> Sheet:
        """Read a file; also in UTF-16 with its mark, as Blackboard writes. Raises ValueError when it is
        neither that nor UTF-8, is empty, or a quote is never closed."""
        encoding = UTF_16.get(path.read_bytes()[:2], "utf-8")
        text = decoded(path, encoding)
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        text = text[len(mark) :]
        if not text.strip():
            raise ValueError(f"{path} is empty: export it again.")
        delimiter = delimiter_of(text)
        cells, ends = _split(text, delimiter, path)
        return cls(cells, ends, delimiter, mark, encoding)

    @property
    def header(self) -> list[str]:
        return [self.value(0, column).strip() for column in range(len(self.cells[0]))]

    def value(self, row: int, column: int) -> str:
        """What a cell says; "" where the row is too short to have it."""
        raw = self.cells[row][column] if column < len(self.cells[row]) else ""
        if not raw.startswith('"'):
            return raw
        end = raw.rindex('"')
        return raw[1:end].replace('""', '"') + raw[end + 1 :]

    def set(self, row: int, column: int, text: str) -> None:
        """Let a cell say something else; it is quoted if it was, or must be."""
        line = self.cells[row]
        line.extend([""] * (column + 1 - len(line)))
        quoted = line[column].startswith('"') or re.search(r'[",;\t\r\n]', text)
        line[column] = '"' + text.replace('"', '""') + '"' if quoted else text

    def text(self) -> str:
        lines = zip(self.cells, self.ends, strict=True)
        return self.mark + "".join(self.delimiter.join(line) + end for line, end in lines)

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        with replacing(path) as file:
            file.write(self.text().encode(self.encoding))

    def only(self, rows: Iterable[int], columns: Iterable[int]) -> Sheet:
        """The same with these rows and columns alone; a row's end stays its own."""
        rows, columns = sorted(rows), sorted(columns)
        cells = [[*self.cells[i], *[""] * len(self.cells[0])] for i in rows]
        return Sheet(
            [[row[column] for column in columns] for row in cells],
            [self.ends[i] or self.ends[0] for i in rows],
            self.delimiter, self.mark, self.encoding,
        )  # fmt: skip


def _split(text, delimiter, path):
    """The raw cells of each line, and what ends each line."""
    cell = re.compile(
        rf'("(?:[^"]|"")*"[^"{delimiter}\r\n]*|(?!")[^{delimiter}\r\n]*)({delimiter}|\r\n|\n|\r|\Z)'
    )
    cells: list[list[str]] = [[]]
    ends: list[str] = []
    position = 0
    while True:
        found = cell.match(text, position)
        if found is None:
            raise ValueError(f"{path}, line {len(cells)}: a quote is not closed. Export it again.")
        cells[-1].append(found[1])
        position = found.end()
        if found[2] == delimiter:
            continue
        ends.append(found[2])
        if position == len(text):
            return cells, ends
        cells.append([])
