"""Text as numbers, in any language and without a vocabulary: start with `hashed_ngrams`.

A text becomes the counts of its letter groups, its character n-grams with word borders, in a fixed number of bins:
the hashing trick with signs of Weinberger et al. (2009, arXiv 0902.2206). Nothing is learned and nothing is looked
up, so a word that nobody has seen before has its bins, too. `letter_groups` says which groups fall into which bin.
"""

from __future__ import annotations

import functools
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .batch import whole

SIZE = 1024  # bins, unless another number is asked for
LENGTHS = (3, 4, 5)  # letters of a group
BORDER = " "  # stands before and after each word, and counts as a letter


class LetterGroup(NamedTuple):
    """One letter group of a text, and where it is counted."""

    group: str  # with its word borders: " ca" is at the beginning of a word
    start: int  # its letters, borders apart, are folded(text)[start:end]
    end: int
    bin: int  # 0 … size − 1
    sign: int  # 1 or −1: what it adds to the bin


def hashed_ngrams(texts: Iterable[str], size: int = SIZE, lengths=LENGTHS) -> np.ndarray:
    """Signed counts of the letter groups of each text, scaled to unit length: float32 (texts, size).

    texts: strings in any language; upper and lower case count as the same.
    size: the number of bins; groups that fall into one bin cannot be told apart.
    lengths: how many letters a group has. Groups stay within a word, and its two borders count as letters.

    The hash is CRC-32 of the group in UTF-8, the same in every process and on every machine. A text without a
    letter group (empty, or spaces alone) is a row of zeros. Raises ValueError for texts that are no strings, and
    for numbers below 1.
    """
    texts, size, lengths = _strings(texts), whole("size", size), _lengths(lengths)
    places = functools.cache(lambda word: _places(word, size, lengths))  # most words come again
    counts = np.zeros((len(texts), size), np.float32)
    for row, text in zip(counts, texts, strict=True):
        words = folded(text).split()
        if words:
            bins, signs = np.concatenate([places(word) for word in words], axis=1)
            row += np.bincount(bins, signs, size)
    norms = np.linalg.norm(counts, axis=1, keepdims=True)
    return counts / np.where(norms == 0, np.float32(1), norms)


def letter_groups(text: str, size: int = SIZE, lengths=LENGTHS) -> list[LetterGroup]:
    """Every letter group that `hashed_ngrams` counts in this text, in order, with its bin and sign.

    Arguments and errors as for `hashed_ngrams`. A group that stands in the text twice is listed twice.
    """
    [text], size, lengths = _strings([text]), whole("size", size), _lengths(lengths)
    text, end, groups = folded(text), 0, []
    for word in text.split():
        start = text.index(word, end)
        end = start + len(word)
        for group, at in _groups(word, lengths):
            first = start + max(at, 0)
            last = start + min(at + len(group), len(word))
            groups.append(LetterGroup(group, first, last, *_place(group, size)))
    return groups


def folded(text: str) -> str:
    """The text as it is counted: case-folded, and each letter written in one way (Unicode's NFKC)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


# ------------------------------------------------------------------ one word


def _groups(word: str, lengths) -> Iterator[tuple[str, int]]:
    """The letter groups of a word, and where each begins in it: −1 at the border before it."""
    bordered = f"{BORDER}{word}{BORDER}"
    for length in lengths:
        for at in range(len(bordered) - length + 1):
            group = bordered[at : at + length]
            if group != BORDER:
                yield group, at - 1


def _place(group: str, size: int) -> tuple[int, int]:
    """The bin and the sign of a letter group: the lower bits of its hash, and the highest one."""
    code = zlib.crc32(group.encode("utf-8", "surrogatepass"))  # 32 bits
    return code % size, 1 if code >> 31 else -1


def _places(word: str, size: int, lengths) -> np.ndarray:
    """Bins and signs of all letter groups of a word: (2, groups)."""
    pairs = [_place(group, size) for group, _ in _groups(word, lengths)]
    return np.array(pairs, np.int64).reshape(-1, 2).T


# ------------------------------------------------------------------ checks


def _strings(texts) -> list[str]:
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of strings; got one string: give [{texts[:20]!r}].")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {number} must be a string; got {text!r}.")
    return texts


def _lengths(lengths) -> tuple[int, ...]:
    lengths = tuple(lengths) if isinstance(lengths, Iterable) else (lengths,)
    if not lengths:
        raise ValueError("lengths is empty: say how many letters a group has, such as (3, 4, 5).")
    return tuple(whole("a length of letter groups", length) for length in lengths)
