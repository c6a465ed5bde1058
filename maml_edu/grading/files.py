"""The files of a download, in a folder or a zip, and of the zips in it, read without unpacking anything.

Names and sizes are a student's choice, so nothing is written by a name from here, and `File.copy` counts what
it reads: a zip that says 1 KB and holds 4 GB is refused when that much has come out of it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from .submission import Rejected

LARGEST_FILE = 100 << 20  # bytes that one file may have
MOST_FILES = 100_000  # of a download
MOST_IN_ZIP = 2_000  # of a student's own zip
DEEPEST = 20  # folders in folders
LARGEST_INDEX = 1 << 20  # bytes of a student's zip that list what is in it
# What computers leave behind everywhere; nobody hands it in.
JUNK = {
    *("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "__pycache__", ".keep", ".gitkeep"),
    *(".ipynb_checkpoints", ".git", ".github", ".gitignore", ".gitattributes", ".vscode", ".idea"),
}


@dataclass(frozen=True)
class File:
    """A file of a download: its path there, when it was changed (None: unknown), and how to open it."""

    path: tuple[str, ...]
    size: int
    time: float | None
    open: Callable[[], IO[bytes]]

    @property
    def name(self) -> str:
        return self.path[-1]

    def copy(self, target: IO[bytes] | None = None, most: int = LARGEST_FILE) -> str:
        """Write the content, and return its SHA-256. Raises Rejected beyond `most` bytes, or for a damaged zip."""
        digest, count = hashlib.sha256(), 0
        for piece in self._pieces():
            count += len(piece)
            if count > most:
                raise Rejected(f"{self.name} is larger than {most >> 20} MB")
            digest.update(piece)
            if target is not None:
                target.write(piece)
        return digest.hexdigest()

    def read(self, most: int = LARGEST_FILE) -> bytes:
        """The content. Raises Rejected as `copy` does."""
        held = io.BytesIO()
        self.copy(held, most)
        return held.getvalue()

    def _pieces(self) -> Iterator[bytes]:
        try:
            with self.open() as file:
                while piece := file.read(1 << 16):
                    yield piece
        except DAMAGED as error:
            raise Rejected(f"{self.name} cannot be taken out of its zip ({_why(error)})") from None
        except OSError as error:
            raise Rejected(f"{self.name} cannot be read ({error.strerror})") from None


# What zipfile raises for zips that are cut off, encrypted, or packed in a way that it does not know.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error)


def _why(error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return "packed in a way that is not known here"
    return "it has a password" if "password" in str(error) else "the zip is damaged"


@dataclass(frozen=True)
class Tree:
    """All that is in a download. folders: every folder, empty ones too. repositories: those with a .git.
    passed: path → why it was not looked at."""

    name: str
    files: list[File] = field(default_factory=list)
    folders: set[tuple[str, ...]] = field(default_factory=set)
    repositories: set[tuple[str, ...]] = field(default_factory=set)
    passed: dict[str, str] = field(default_factory=dict)

    def below(self) -> Tree | None:
        """The same without the one folder that everything is in; None where there is no such folder."""
        tops = {path[0] for path in [*(f.path for f in self.files), *self.folders]}
        if len(tops) != 1 or any(len(f.path) == 1 for f in self.files):
            return None
        return Tree(
            tops.pop(),
            [replace(f, path=f.path[1:]) for f in self.files],
            {path[1:] for path in self.folders if len(path) > 1},
            {path[1:] for path in self.repositories if len(path) > 1},
            self.passed,
        )

    def _look_at(self, path: tuple[str, ...]) -> bool:
        """Whether a name is one that somebody may have handed in; what is hidden, or no text, is told."""
        name, shown = path[-1], "/".join(path).encode("utf-8", "replace").decode()
        if name == ".git":
            self.repositories.add(path[:-1])
        if name in JUNK or name.startswith("._"):
            return False
        if len(path) > DEEPEST:
            self.passed["/".join(path[:3]) + "/…"] = f"more than {DEEPEST} folders in folders"
            return False
        try:
            name.encode()
        except UnicodeError:
            self.passed[shown] = "its name is no text; give it another"
            return False
        if name.startswith("."):
            self.passed[shown] = "its name begins with a dot, so it is hidden; give it another"
        return not name.startswith(".")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """What is in a folder or a zip. Raises ValueError for anything else, and for too many files."""
    path = path.expanduser()
    if path.is_dir():
        tree = Tree(path.resolve().name)
        _walk(tree, path, ())
        yield tree
        return
    if not path.is_file():
        raise ValueError(f"there is no folder and no zip {path}.")
    try:
        with zipfile.ZipFile(path) as packed:
            yield _in_zip(packed, path.stem, MOST_FILES)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path} is no folder, and no zip that can be read ({error}): download it again, or unpack it "
            "and name the folder."
        ) from None


def _walk(tree: Tree, folder: Path, above: tuple[str, ...]) -> None:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = (*above, entry.name)
        if not tree._look_at(path):
            continue
        if len(tree.files) > MOST_FILES:
            raise ValueError(f"{folder} has more than {MOST_FILES:,} files: name a smaller folder.")
        try:
            about = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                tree.folders.add(path)
                _walk(tree, Path(entry.path), path)
            elif stat.S_ISREG(about.st_mode):
                take = functools.partial(_plain, Path(entry.path))
                tree.files.append(File(path, about.st_size, about.st_mtime, take))
            else:
                link = stat.S_ISLNK(about.st_mode)
                tree.passed["/".join(path)] = "a link" if link else "not an ordinary file"
        except OSError as error:
            tree.passed["/".join(path)] = error.strerror or "it cannot be read"


def _plain(path: Path) -> IO[bytes]:
    """An ordinary file, whatever has taken its place since."""
    number = os.open(
        path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    )
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "not an ordinary file")
    return open(number, "rb")


# ------------------------------------------------------------------ zips


def _in_zip(packed: zipfile.ZipFile, name: str, most: int) -> Tree:
    tree = Tree(name)
    if len(packed.infolist()) > most:
        raise ValueError(f"{name}.zip holds more than {most:,} files.")
    for info in packed.infolist():
        path = _path_in_zip(info)
        shown = "/".join(path) or repr(info.filename)
        if (
            not path
            or ".." in path
            or info.filename.startswith(("/", "\\"))
            or path[0].endswith(":")
        ):
            tree.passed[shown] = "its path leads out of the zip"
            continue
        if not all(tree._look_at(path[: depth + 1]) for depth in range(len(path))):
            continue
        tree.folders.update(path[: depth + 1] for depth in range(len(path) - 1))
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
        if info.is_dir():
            tree.folders.add(path)
        elif kind not in (0, stat.S_IFREG):
            tree.passed[shown] = "a link" if kind == stat.S_IFLNK else "not an ordinary file"
        else:
            take = functools.partial(packed.open, info)
            tree.files.append(File(path, info.file_size, _time_in_zip(info), take))
    return tree


def _path_in_zip(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """A path in a zip; names are UTF-8 where it says so, where an extra field holds them, or where they can be."""
    name = info.orig_filename.split("\0")[0]
    if not info.flag_bits & 0x800:
        raw = name.encode("cp437", "replace")
        with contextlib.suppress(UnicodeDecodeError):
            name = raw.decode("utf-8")
        for kind, data in _extra(info):
            if kind == 0x7075 and len(data) > 5 and data[0] == 1:  # Info-ZIP's Unicode path
                if struct.unpack_from("<L", data, 1)[0] == zlib.crc32(raw):
                    with contextlib.suppress(UnicodeDecodeError):
                        name = data[5:].decode("utf-8")
    if "/" not in name:  # some programs for Windows write its own separators
        name = name.replace("\\", "/")
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _extra(info: zipfile.ZipInfo) -> Iterator[tuple[int, bytes]]:
    data = info.extra
    while len(data) >= 4:
        kind, length = struct.unpack_from("<HH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def _time_in_zip(info: zipfile.ZipInfo) -> float | None:
    for kind, data in _extra(info):
        if kind == 0x5455 and len(data) >= 5 and data[0] & 1:  # seconds, where the field is there
            return float(struct.unpack_from("<l", data, 1)[0])
    if info.date_time[0] <= 1980:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        return time.mktime((*info.date_time, 0, 0, -1))
    return None


def is_zip(file: File) -> bool:
    return file.name.lower().endswith(".zip")


def within(
    file: File, depth: int = 2, left: list[int] | None = None, passed: dict[str, str] | None = None
) -> list[File]:
    """What a student's zip holds, zips in it too. left: bytes that all of them together may have.

    passed: gets what was not looked at → why.

    Raises Rejected for one that cannot be read, or that is a bomb.
    """
    left = [LARGEST_FILE] if left is None else left
    data = file.read(left[0])
    left[0] -= len(data)
    end = data.rfind(b"PK\5\6")
    if end < 0 or len(data) < end + 22:
        raise Rejected(f"{file.name} is no zip that can be read")
    if struct.unpack_from("<L", data, end + 12)[0] > LARGEST_INDEX:
        raise Rejected(f"{file.name} holds more than {MOST_IN_ZIP:,} files")
    try:
        tree = _in_zip(zipfile.ZipFile(io.BytesIO(data)), file.name, MOST_IN_ZIP)
    except (*DAMAGED, OSError) as error:
        raise Rejected(f"{file.name}: {error}") from None
    passed = {} if passed is None else passed
    passed |= tree.passed
    found: list[File] = []
    for one in tree.files:
        inner = replace(one, path=(*file.path, *one.path))
        if is_zip(one) and depth > 1:
            deeper: dict[str, str] = {}
            found += within(inner, depth - 1, left, deeper)
            passed |= {f"{'/'.join(one.path)}/{what}": why for what, why in deeper.items()}
        else:
            found.append(inner)
        if len(found) > MOST_IN_ZIP:
            raise Rejected(f"{file.name} holds more than {MOST_IN_ZIP:,} files")
    return found
