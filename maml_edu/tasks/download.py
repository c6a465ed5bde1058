"""Data sets from the network, whole or not at all: start from `get_omniglot`; `_fetch` gets one file.

`SOURCES` holds the address, the length and the SHA-256 of each file. pooch verifies files and puts them in their
place; `_complete` resumes a download that was interrupted; a lock lets one process at a time work in a folder.
What the files contain is the business of `omniglot.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from . import omniglot

TIMEOUT = 30  # seconds without a word from the server
CHUNK = 1 << 16  # bytes written at a time
_LEFT_OVER = re.compile(r"tmp\w{8}|\.\w{8}\.tmp")  # what pooch and `atomic.replacing` write first
_KEPT = "What has arrived is kept, and the same command goes on from there."


class DownloadError(RuntimeError):
    """A download failed; the message says why, and what to do."""


@dataclass(frozen=True)
class Source:
    """A file on the network, and what it must be."""

    url: str
    size: int  # bytes
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


_LAKE = "https://github.com/brendenlake/omniglot/raw/master/python/"
SOURCES = {
    source.name: source
    for source in (
        Source(
            _LAKE + "images_background.zip",
            9_464_212,
            "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
        ),
        Source(
            _LAKE + "images_evaluation.zip",
            6_462_886,
            "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
        ),
    )
}


# ------------------------------------------------------------------ data sets


def get(name, data_dir=None, resize="nearest", keep_archives=True, say=print):
    """Get the data set of this name; other arguments as for `get_omniglot`. ValueError if there is none."""
    if name == "glyphs":
        say("Glyphs are invented when they are asked for: there is nothing to get.")
    elif name == "omniglot":
        get_omniglot(data_dir, resize, keep_archives, say)
    else:
        raise ValueError(
            f"There is no data set {name!r}: `maml-edu data list` shows which there are."
        )


def get_omniglot(data_dir=None, resize="nearest", keep_archives=True, say=print):
    """Make sure that Omniglot's packed files are there and whole: download and pack them if they are not.

    resize: "nearest", "area" or "both".
    data_dir: as for `Omniglot`; everything is written into its sub-folder `omniglot`.
    keep_archives: False deletes the archives from there once they are packed.
    say: called with each line of what happens.
    Raises DownloadError, which says what to do, and ValueError for another resize.
    """
    choices = {name: [name] for name in omniglot.PACKED} | {"both": list(omniglot.PACKED)}
    if resize not in choices:
        raise ValueError(f"resize must be one of {', '.join(choices)}; got {resize!r}.")
    resizes = choices[resize]
    folder = omniglot.where(data_dir)[0]
    spare = [] if keep_archives else [folder / name for name in SOURCES]
    with _stopped(say), _explained(folder):
        missing = _not_whole(data_dir, resizes)
        if missing or any(path.exists() for path in spare):
            with _alone(folder, say):
                _make(data_dir, _not_whole(data_dir, missing), say)  # another process may have
                for path in spare:
                    path.unlink(missing_ok=True)
        for resize in resizes:
            now = "ready" if resize in missing else "already there, and whole"
            entry = _look(data_dir, resize)
            say(f"Omniglot ({resize}) is {now}: {entry.where}, {entry.size}.")


def _not_whole(data_dir, resizes) -> list[str]:
    """The ways of resizing whose packed file is missing or damaged."""
    return [resize for resize in resizes if _look(data_dir, resize).state != "there"]


def _make(data_dir, resizes, say):
    """Write these packed files, from the archives; those that are missing or damaged are downloaded."""
    from tqdm import tqdm

    if not resizes:
        return
    folder = omniglot.where(data_dir)[0]
    _sweep(folder)
    archives = [_archive(source, data_dir, say) for source in SOURCES.values()]
    for resize in resizes:
        say(f"Packing: 28 × 28 pixels of one bit each ({resize}).")
        shown = lambda drawings: tqdm(drawings, unit=" drawings", disable=None)
        data = omniglot.pack(archives, resize, progress=shown)
        omniglot.write_packed(folder / omniglot.PACKED[resize], data)


def _archive(source: Source, data_dir, say) -> Path:
    """An original archive: from one of the two folders if it is whole there, else downloaded."""
    folder, root = omniglot.where(data_dir)
    for path in (folder / source.name, root / source.name):
        if path.is_file():
            if _whole(path, source):
                return path
            say(f"{path} is damaged, or another file of that name: it is not used.")
    return _fetch(source, folder, say)


# ------------------------------------------------------------------ what is there


@dataclass(frozen=True)
class Entry:
    """A line of `maml-edu data list`."""

    name: str
    what: str
    state: str  # "there", "not there", "damaged" or "built in"
    where: str = ""
    size: str = ""
    command: str = ""  # that gets it, where it is not there


_WHAT = {"nearest": "1623 handwritten characters", "area": "the same, smoother"}


def known(data_dir=None) -> list[Entry]:
    """Every data set: what it is, whether it is there and whole, where, and how large."""
    invented = Entry("glyphs", "invented characters", "built in")
    return [_look(data_dir, resize) for resize in _WHAT] + [invented]


def _look(data_dir, resize) -> Entry:
    """Is Omniglot's packed file there, and whole?"""
    path = omniglot.packed_file(data_dir, resize)
    name, command = f"omniglot, {resize}", omniglot.command(data_dir, resize)
    if path is None:
        return Entry(name, _WHAT[resize], "not there", command=command)
    try:
        omniglot.read_packed(path)
    except ValueError:
        return Entry(name, _WHAT[resize], "damaged", str(path), command=command)
    return Entry(name, _WHAT[resize], "there", str(path), _megabytes(path.stat().st_size))


# ------------------------------------------------------------------ one file


def _fetch(source: Source, folder: Path, say=print) -> Path:
    """The file in `folder`; if it is missing or damaged, it is downloaded, and appears once it is verified.

    An interrupted download leaves `<name>.part`, and the next one goes on from there. One process at a time:
    see `_alone`. Raises DownloadError, which says what to do, and OSError if the disk fails.
    """
    import pooch

    part = folder / f"{source.name}.part"

    def downloader(url, output_file, _):
        _complete(part, source, say)
        _check(part, source)
        os.replace(
            part, output_file
        )  # pooch verifies this one as well, and moves it into its place

    with _quiet(pooch.get_logger()):
        return Path(
            pooch.retrieve(
                source.url,
                f"sha256:{source.sha256}",
                fname=source.name,
                path=folder,
                downloader=downloader,
            )
        )


def _complete(part: Path, source: Source, say=print):
    """Download what is missing in `part`, or all of the file if the server does not send ranges."""
    have = part.stat().st_size if part.is_file() else 0
    if have >= source.size:
        return  # `_check` will tell whether it is the file
    with _answer(source, part, have) as response:
        have = have if response.status_code == 206 else 0
        begun = f", going on after {_megabytes(have)}" if have else ""
        say(f"Downloading {source.url} ({_megabytes(source.size)}{begun}).")
        with open(part, "ab" if have else "wb") as file:
            _receive(response, file, source, have)
            file.flush()
            os.fsync(file.fileno())


def _receive(response, file, source: Source, have: int):
    """Write what arrives, until it ends or is longer than the file can be; shows progress on a terminal."""
    from requests import RequestException
    from tqdm import tqdm

    try:
        with tqdm(
            total=source.size, initial=have, unit="B", unit_scale=True, disable=None
        ) as progress:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
                have += len(chunk)
                if have > source.size:
                    return
    except RequestException as error:
        raise DownloadError(
            f"The connection to {urlsplit(source.url).netloc} was cut after {_megabytes(have)} of "
            f"{_megabytes(source.size)} ({_reason(error)}). {_KEPT}"
        ) from error


def _answer(source: Source, part: Path, have: int):
    """The server's answer: 206 sends the file from byte `have` on, 200 from the start."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = requests.get(source.url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise DownloadError(
            f"{source.url} cannot be reached: {_reason(error)}. Is there a network? Behind a proxy, set "
            f"HTTPS_PROXY. {_by_hand(source, part)}"
        ) from error
    status, first = response.status_code, response.headers.get("Content-Range", "")
    if have and (status == 416 or status == 206 and not first.startswith(f"bytes {have}-")):
        response.close()  # the server's file is shorter, or the server miscounts
        return _answer(source, part, 0)
    if status not in (200, 206):
        response.close()
        raise DownloadError(_refused(response, source, part))
    _expect_length(response, source, part, have if status == 206 else 0)
    return response


def _expect_length(response, source: Source, part: Path, have: int):
    """Refuse a file of another length before any of it is written."""
    length = response.headers.get("Content-Length")
    if length is not None and have + int(length) != source.size:
        response.close()
        raise DownloadError(
            f"{source.url} gives {have + int(length)} bytes, {source.size} are expected: another file is there "
            f"now, or a network that wants you to log in answers in its place. Look at the address in a "
            f"browser. {_by_hand(source, part)}"
        )


def _refused(response, source: Source, part: Path) -> str:
    """What to say about an answer such as 404 or 503."""
    said = f"{source.url} was answered with {response.status_code} {response.reason}".rstrip()
    if response.status_code >= 500 or response.status_code == 429:
        return f"{said}: the server has a problem at the moment. Try again later."
    return (
        f"{said}: the file has moved, or your network keeps it from you. {_by_hand(source, part)}"
    )


def _check(part: Path, source: Source):
    """Delete `part`, and say so, if it is not the file that is expected."""
    import pooch

    size, sha256 = part.stat().st_size, pooch.file_hash(part)
    if (size, sha256) != (source.size, source.sha256):
        part.unlink()
        raise DownloadError(
            f"What {source.url} gave is damaged, or another file. Expected: {source.size} bytes, "
            f"SHA-256 {source.sha256}. Got: {size} bytes, SHA-256 {sha256}. It was deleted, so that the same "
            f"command starts afresh. If that ends here again, the file on the server is another one now."
        )


def _whole(path: Path, source: Source) -> bool:
    """Does a file have the length and the SHA-256 that it should have?"""
    import pooch

    return path.stat().st_size == source.size and pooch.file_hash(path) == source.sha256


# ------------------------------------------------------------------ what can go wrong


@contextlib.contextmanager
def _alone(folder: Path, say=print):
    """Let one process at a time work in `folder`. A process that is killed gives up its lock."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"Another process is downloading into {folder}: waiting for it to end.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(folder: Path):
    """Delete what killed processes have left behind, but keep the parts that a download goes on with."""
    for path in folder.iterdir():
        if _LEFT_OVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _stopped(say):
    """Say on Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"Stopped. {_KEPT}")
        raise


@contextlib.contextmanager
def _explained(folder: Path):
    """Turn an error of the disk into a DownloadError that says what to do."""
    other = "give a folder elsewhere, with --data-dir or MAML_EDU_DATA"
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            need = _megabytes(sum(source.size for source in SOURCES.values()) + 2_000_000)
            raise DownloadError(
                f"The disk is full, or your share of it: {folder} needs {need}. Free some space, or {other}. "
                f"{_KEPT}"
            ) from error
        why = ": ".join(str(part) for part in (error.strerror, error.filename) if part)
        raise DownloadError(
            f"{folder} cannot be written or read ({why or error}). Make it yours to write, or {other}."
        ) from error


def _reason(error: BaseException) -> str:
    """In a few words, why a server does not answer, or stopped; `error` comes from requests."""
    words = {
        socket.gaierror: "the server's name is not known",
        ConnectionRefusedError: "the server refuses the connection",
        ssl.SSLError: "the encrypted connection failed, perhaps for its certificate",
        TimeoutError: f"no word from the server for {TIMEOUT} seconds",
        ConnectionError: "the connection broke off",
        HTTPException: "the connection broke off",
    }
    at: BaseException | None = error
    while at is not None:
        for kind, said in words.items():
            if isinstance(at, kind):
                return said
        at = at.__cause__ or at.__context__
    return str(error)


def _by_hand(source: Source, part: Path) -> str:
    """How to do without the download."""
    return f"Or put {source.name} into {part.parent} by hand: the same command takes it from there."


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


@contextlib.contextmanager
def _quiet(logger):
    """Silence pooch's own lines: ours say more."""
    before = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(before)
