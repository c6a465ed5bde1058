"""Data sets from the network, whole or not at all: start from `get`; `_fetch` gets one file.

`SOURCES` holds the address, the length and the SHA-256 of each file. pooch verifies files and puts them in their
place; `_complete` resumes a download that was interrupted; a lock lets one process at a time work in a folder.
What the files contain is the business of `omniglot.py` and `clinc150.py`.
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
from typing import Any
from urllib.parse import urlsplit

from . import clinc150, omniglot

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


@dataclass(frozen=True)
class DataSet:
    """A data set that is packed from files on the network into one small file."""

    name: str  # in commands
    title: str  # in a sentence
    module: Any  # omniglot.py or clinc150.py, which know what is in the files and where they are looked for
    what: dict[str, str]  # what a packed file holds, by the names in the module's PACKED
    packing: str  # what is said when it is packed
    unit: str  # what is counted then
    credit: str  # whose it is, and the licence

    def sources(self) -> list[Source]:
        """Its files on the network."""
        return [SOURCES[name] for name in self.module.ARCHIVES]

    def titled(self, variant: str) -> str:
        """The title of a packed file."""
        return f"{self.title} ({variant})" if variant else self.title


_LAKE = "https://github.com/brendenlake/omniglot/raw/master/python/"
_LARSON = "https://github.com/clinc/oos-eval/raw/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/"
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
        Source(
            _LARSON + "data_full.json",
            2_495_390,
            "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
        ),
        Source(
            _LARSON + "domains.json",
            3_818,
            "b947b579d3b8e74b06f93b01083d8efaff2888b43a3e362533bd88a6e1211b3a",
        ),
    )
}


OMNIGLOT = DataSet(
    "omniglot",
    "Omniglot",
    omniglot,
    {"nearest": "1623 handwritten characters", "area": "the same, smoother"},
    "28 × 28 pixels of one bit each",
    "drawings",
    "Lake, Salakhutdinov and Tenenbaum (2015), https://github.com/brendenlake/omniglot, MIT licence",
)
CLINC150 = DataSet(
    "clinc150",
    "CLINC150",
    clinc150,
    {"": "22,500 requests, 150 intents"},
    "the requests by intent",
    "requests",
    "Larson et al. (2019), An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction, "
    "https://github.com/clinc/oos-eval, CC BY 3.0: who passes it on names the authors and says what was changed "
    "(here: regrouped by intent, texts untouched)",
)
_BUILT_IN = {
    "glyphs": ("invented characters", "Glyphs are invented when they are asked for"),
    "intents": ("the course's own requests", "The course's own intents come with it"),
}


# ------------------------------------------------------------------ data sets


def get(name, data_dir=None, resize=None, keep_archives=True, say=print):
    """Get the data set of this name; other arguments as for `get_omniglot`. ValueError if there is none."""
    if resize is not None and name != "omniglot":
        raise ValueError(f"resize={resize!r} is for the images of omniglot, not for {name!r}.")
    if name in _BUILT_IN:
        say(f"{_BUILT_IN[name][1]}: there is nothing to get.")
    elif name == "omniglot":
        get_omniglot(data_dir, resize or "nearest", keep_archives, say)
    elif name == "clinc150":
        get_clinc150(data_dir, keep_archives, say)
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
    _get(OMNIGLOT, choices[resize], data_dir, keep_archives, say)


def get_clinc150(data_dir=None, keep_archives=True, say=print):
    """The same for CLINC150's one packed file, in the sub-folder `clinc150`; arguments as for `get_omniglot`."""
    _get(CLINC150, list(clinc150.PACKED), data_dir, keep_archives, say)


def _get(data_set: DataSet, variants, data_dir, keep_archives, say):
    """Make sure that these packed files of a data set are there and whole."""
    folder = data_set.module.where(data_dir)[0]
    spare = [] if keep_archives else [folder / name for name in data_set.module.ARCHIVES]
    with _stopped(say), _explained(folder, data_set):
        missing = _not_whole(data_set, data_dir, variants)
        if missing or any(path.exists() for path in spare):
            with _alone(folder, say):
                late = _not_whole(data_set, data_dir, missing)  # another process may have made some
                _make(data_set, data_dir, late, say)
                for path in spare:
                    path.unlink(missing_ok=True)
        for variant in variants:
            now = "ready" if variant in missing else "already there, and whole"
            entry = _look(data_set, data_dir, variant)
            say(f"{data_set.titled(variant)} is {now}: {entry.where}, {entry.size}.")
        say(f"{data_set.title}: {data_set.credit}.")


def _not_whole(data_set, data_dir, variants) -> list[str]:
    """Those of the variants whose packed file is missing or damaged."""
    return [name for name in variants if _look(data_set, data_dir, name).state != "there"]


def _make(data_set, data_dir, variants, say):
    """Write these packed files, from the archives; those that are missing or damaged are downloaded."""
    from tqdm import tqdm

    if not variants:
        return
    module = data_set.module
    folder = module.where(data_dir)[0]
    _sweep(folder)
    archives = [_archive(source, module.where(data_dir), say) for source in data_set.sources()]
    for variant in variants:
        say(f"Packing: {data_set.packing}{variant and f' ({variant})'}.")
        shown = lambda items: tqdm(items, unit=f" {data_set.unit}", disable=None)
        data = module.pack(archives, variant, progress=shown)
        module.write_packed(folder / module.PACKED[variant], data)


def _archive(source: Source, folders, say) -> Path:
    """An original archive: from one of the folders if it is whole there, else downloaded into the first."""
    for path in (folder / source.name for folder in folders):
        if path.is_file():
            if _whole(path, source):
                return path
            say(f"{path} is damaged, or another file of that name: it is not used.")
    return _fetch(source, folders[0], say)


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


def known(data_dir=None) -> list[Entry]:
    """Every data set: what it is, whether it is there and whole, where, and how large."""
    packed = [
        _look(data_set, data_dir, variant)
        for data_set in (OMNIGLOT, CLINC150)
        for variant in data_set.what
    ]
    return packed + [Entry(name, what, "built in") for name, (what, _) in _BUILT_IN.items()]


def _look(data_set: DataSet, data_dir, variant) -> Entry:
    """Is this packed file there, and whole?"""
    path = data_set.module.packed_file(data_dir, variant)
    command = data_set.module.command(data_dir, variant)
    name = f"{data_set.name}, {variant}" if variant else data_set.name
    what = data_set.what[variant]
    if path is None:
        return Entry(name, what, "not there", command=command)
    try:
        data_set.module.read_packed(path)
    except ValueError:
        return Entry(name, what, "damaged", str(path), command=command)
    return Entry(name, what, "there", str(path), _megabytes(path.stat().st_size))


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
def _explained(folder: Path, data_set: DataSet):
    """Turn an error of the disk into a DownloadError that says what to do."""
    other = "give a folder elsewhere, with --data-dir or MAML_EDU_DATA"
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            need = _megabytes(sum(source.size for source in data_set.sources()) + 2_000_000)
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
