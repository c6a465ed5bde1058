"""`handed_in.json`, what collect knew of a hand-in, signed with the class's seed: nobody else can write one.

It lies among what students hand in, and nbgrader's exchange copies whatever they put there. One without a
valid signature is as if it were not there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from maml_edu.atomic import replacing

FILE = "handed_in.json"
LARGEST = 1 << 20  # bytes of one that collect wrote


def write(folder: Path, said: Mapping[str, Any]) -> None:
    """Keep what is known of a hand-in beside its files; said: with `student` and `chapter`."""
    signed = {**said, "signature": _signature(folder, said)}
    with replacing(folder / FILE) as file:
        file.write((json.dumps(signed, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))


def read(folder: Path, student: str, chapter: str) -> dict[str, Any] | None:
    """What collect wrote of this person's hand-in of this chapter; None where it did not write it."""
    path = folder / FILE
    with suppress(OSError, ValueError, RecursionError):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return None
        said = json.loads(path.read_bytes())
        if not isinstance(said, dict):
            return None
        signature = str(said.pop("signature", ""))
        ours = _signature(folder, said)
        if (
            ours
            and hmac.compare_digest(signature.encode(), ours.encode())
            and (said.get("student"), said.get("chapter")) == (student, chapter)
        ):
            return said
    return None


def is_foreign(folder: Path, student: str, chapter: str) -> bool:
    """Whether there is such a file that collect did not write."""
    return os.path.lexists(folder / FILE) and read(folder, student, chapter) is None


def _signature(folder: Path, said: Mapping[str, Any]) -> str:
    seed = _seed(folder)
    text = f"{FILE}\0{json.dumps(said, sort_keys=True)}"
    return hmac.new(seed, text.encode("ascii"), hashlib.sha256).hexdigest() if seed else ""


def _seed(folder: Path) -> bytes:
    """The seed of the class folder that a hand-in's folder is in; b"" where there is none."""
    for parent in folder.absolute().parents:
        with suppress(OSError):
            return (parent / "seed").read_bytes().strip()
    return b""
