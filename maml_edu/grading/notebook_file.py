"""From a file to a notebook's text, whatever the file is: `text_of`. Time and memory are bounded.

A notebook is refused for what is wrong with it (`Rejected`), never for what its outputs weigh: one that is
too large is read without them.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from pathlib import Path

LARGEST = 20 << 20  # bytes of a notebook that is read as it is; outputs with many pictures have ten
WITH_OUTPUTS = 100 << 20  # bytes of one that is read without its outputs
PIECES = 5_000_000  # quotes and brackets that are looked at in search of outputs: a few seconds


class Rejected(Exception):
    """A submission that is not to be run; the message is one sentence for teacher and student."""


def text_of(path: Path) -> tuple[str, str, list[str]]:
    """(text, SHA-256 of the file, notes on what had to be put right) of a notebook's file. Raises Rejected."""
    data = _bytes(path)
    checksum = hashlib.sha256(data).hexdigest()
    data, notes = _utf_8(data)
    if len(data) > LARGEST:
        notes.append(f"the file has {len(data) / 2**20:.0f} MB, so it was read without its outputs")
        data = without_outputs(data)
        if len(data) > LARGEST:
            raise Rejected(f"the file is larger than {LARGEST >> 20} MB, even without its outputs")
    try:
        return data.decode("utf-8"), checksum, notes
    except UnicodeDecodeError:
        raise Rejected("the file is not UTF-8 text, so it is no notebook") from None


# ------------------------------------------------------------------ bytes


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
    if about.st_size > WITH_OUTPUTS:
        raise Rejected(
            f"the file is larger than {WITH_OUTPUTS >> 20} MB; clear its outputs and hand it in again"
        )
    with open(number, "rb", closefd=False) as file:
        return file.read(WITH_OUTPUTS)


_MARKS = (  # the longest first: that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def _utf_8(data: bytes) -> tuple[bytes, list[str]]:
    """A file's content in UTF-8, and a note, where a mark at its beginning says that it has another encoding."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding:
        return data, []
    if encoding == "utf-8-sig":
        return data[len(codecs.BOM_UTF8) :], ["the file began with a byte order mark"]
    try:
        return data.decode(encoding).encode(), [f"the file was in {encoding.upper()}"]
    except UnicodeError:
        raise Rejected(f"the file is neither UTF-8 nor {encoding.upper()} text") from None


# ------------------------------------------------------------------ without outputs


_HEAVY = {b"outputs": b"[]", b"attachments": b"{}", b"widgets": b"{}"}
_VALUE = re.compile(rb"\s*:\s*(?=[\[{])")
_NEXT = re.compile(rb'["\[\]{}]')


def without_outputs(data: bytes) -> bytes:
    """A notebook's JSON with every list of outputs emptied, read without building what is in them."""
    pieces = _Pieces(data)
    kept, copied, at = [], 0, 0
    while (start := data.find(b'"', at)) >= 0:
        at = pieces.end_of_text(start + 1)
        empty = _HEAVY.get(data[start + 1 : at - 1]) if at - start < 16 else None
        if empty and (value := _VALUE.match(data, at)):
            kept += [data[copied : value.end()], empty]
            at = copied = pieces.end_of_value(value.end())
    return b"".join([*kept, data[copied:]])


class _Pieces:
    """Finds the ends of JSON's values, and counts how much was looked at."""

    def __init__(self, data: bytes):
        self.data, self.left = data, PIECES

    def _one_more(self):
        self.left -= 1
        if self.left < 0:
            raise Rejected(
                "the file is too large to be read with its outputs; clear them and hand it in again"
            )

    def end_of_text(self, at: int) -> int:
        """Where a text ends that begins at `at`, behind its quote."""
        while True:
            self._one_more()
            end = self.data.find(b'"', at)
            if end < 0:
                raise Rejected("the file is not JSON: no notebook, or one that was cut off")
            before = end
            while before > at and self.data[before - 1] == 0x5C:  # backslashes, which hide a quote
                before -= 1
            if (end - before) % 2 == 0:
                return end + 1
            at = end + 1

    def end_of_value(self, at: int) -> int:
        """Where a list or dict ends that begins at `at`."""
        depth = 0
        while mark := _NEXT.search(self.data, at):
            self._one_more()
            at = mark.end()
            if mark[0] == b'"':
                at = self.end_of_text(at)
            else:
                depth += 1 if mark[0] in b"[{" else -1
            if depth == 0:
                return at
        raise Rejected("the file is not JSON: no notebook, or one that was cut off")
