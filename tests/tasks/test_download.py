"""Downloads end whole or not at all, go on where they were interrupted, and say what to do when they fail.

Nothing leaves this machine: tests/helpers/loopback.py serves small archives that are made here.
"""

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from loopback import served, sources
from PIL import Image

from maml_edu import cli
from maml_edu.tasks import Omniglot, clinc150, download, omniglot

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "omniglot"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/omniglot")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and permissions of POSIX")
FIRST, SECOND = omniglot.ARCHIVES
PACKED = omniglot.PACKED["nearest"]


def drawings(folder, number):
    """An archive of one character by 20 drawers, all noise: some 30 kB."""
    rng, file = np.random.default_rng(number), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for drawer in range(1, 21):
            picture = io.BytesIO()
            Image.fromarray(rng.random((105, 105)) < 0.5).save(picture, "PNG")
            name = f"{folder}/Invented/character01/{number:04}_{drawer:02}.png"
            archive.writestr(name, picture.getvalue())
    return file.getvalue()


ARCHIVES = {FIRST: drawings("images_background", 1), SECOND: drawings("images_evaluation", 2)}


@pytest.fixture
def server(monkeypatch):
    """Serves the two archives, which take the place of Omniglot's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "CHUNK", 1024)
    monkeypatch.setattr(download, "TIMEOUT", 5)
    with served(dict(ARCHIVES)) as server:
        monkeypatch.setattr(download, "SOURCES", sources(server.url, ARCHIVES))
        yield server


@pytest.fixture
def get(tmp_path, monkeypatch, capsys):
    """Runs `maml-edu data get omniglot --data-dir tmp_path/data`: (exit code, what it said)."""

    def get(*options):
        line = ["maml-edu", "data", "get", "omniglot", "--data-dir", str(tmp_path / "data")]
        monkeypatch.setattr(sys, "argv", [*line, *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = "".join(capsys.readouterr())
        assert "Traceback" not in said
        return ended.value.code or 0, said

    return get


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "omniglot"


def names(folder):
    """The files in a folder, but for the lock."""
    return {path.name for path in folder.iterdir()} - {".lock"} if folder.is_dir() else set()


def is_ready(folder):
    """Is all there, whole, and nothing else?"""
    whole = all((folder / name).read_bytes() == content for name, content in ARCHIVES.items())
    bank = Omniglot("background", 1, rotations=False, data_dir=folder.parent).bank
    return whole and names(folder) == {FIRST, SECOND, PACKED} and len(bank) == 1


# ------------------------------------------------------------------ when all goes well


def test_the_first_time_all_is_downloaded_verified_and_packed(server, get, folder):
    code, said = get()
    assert code == 0 and is_ready(folder)
    assert server.seen == [(f"/{FIRST}", None), (f"/{SECOND}", None)]
    assert f"Omniglot (nearest) is ready: {folder / PACKED}" in said
    assert "Lake, Salakhutdinov and Tenenbaum (2015)" in said and "MIT licence" in said
    packed = omniglot.read_packed(folder / PACKED)["images"]
    expected = omniglot.unpacked(omniglot.pack([folder / FIRST, folder / SECOND]))["images"]
    assert np.array_equal(packed, expected)


def test_what_is_there_and_whole_is_left_as_it_is(server, get, folder):
    get()
    before = (folder / PACKED).stat().st_mtime_ns
    code, said = get()
    assert code == 0 and f"is already there, and whole: {folder / PACKED}" in said
    assert len(server.seen) == 2 and (folder / PACKED).stat().st_mtime_ns == before


def test_kept_archives_give_another_size_without_a_network(server, get, folder):
    get()
    server.status = 500
    assert get("--resize", "both")[0] == 0
    assert names(folder) == {FIRST, SECOND, *omniglot.PACKED.values()}


def test_archives_can_be_deleted_once_they_are_packed(server, get, folder):
    assert get("--no-keep-archives")[0] == 0
    assert names(folder) == {PACKED}
    get("--resize", "area")
    assert get("--resize", "area", "--no-keep-archives")[0] == 0
    assert names(folder) == set(omniglot.PACKED.values())


@pytest.mark.parametrize("place", [".", "omniglot"])
def test_archives_put_there_by_hand_are_used_and_left(server, get, folder, place):
    for name, content in ARCHIVES.items():
        (folder.parent / place).mkdir(parents=True, exist_ok=True)
        (folder.parent / place / name).write_bytes(content)
    assert get()[0] == 0 and server.seen == []
    assert (folder.parent / place / FIRST).is_file() and (folder / PACKED).is_file()


def test_the_environment_chooses_the_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_DATA", str(tmp_path / "elsewhere"))
    download.get_omniglot(say=lambda line: None)
    assert (tmp_path / "elsewhere" / "omniglot" / PACKED).is_file()
    assert len(Omniglot("evaluation", 1, rotations=False).bank) == 1


def test_a_redirection_is_followed_with_the_range(server, get, folder):
    server.moved = True
    folder.mkdir(parents=True)
    (folder / f"{FIRST}.part").write_bytes(ARCHIVES[FIRST][:5000])
    assert get()[0] == 0 and is_ready(folder)
    assert server.seen[0] == (f"/raw/{FIRST}", "bytes=5000-")


@posix
def test_who_may_read_the_folder_may_read_the_data(server, get, folder):
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    get()
    assert {(folder / name).stat().st_mode & 0o077 for name in names(folder)} == {0o044}


@posix
def test_progress_is_shown_on_a_terminal_and_not_elsewhere(server, folder):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with program(server, folder, stderr=theirs) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    assert "100%" in shown and "B/s" in shown and "drawings/s" in shown
    os.close(ours)
    shutil.rmtree(folder)
    with program(server, folder) as process:
        assert process.communicate(timeout=60)[1] == ""


# ------------------------------------------------------------------ interrupted, and gone on with


def test_a_cut_connection_is_said_and_the_next_download_goes_on_from_there(server, get, folder):
    server.cut_after = 8192
    code, said = get()
    assert code == 1 and "was cut after 0.0 MB of 0.0 MB (the connection broke off)" in said
    assert "What has arrived is kept, and the same command goes on from there." in said
    assert names(folder) == {f"{FIRST}.part"}
    have = (folder / f"{FIRST}.part").stat().st_size
    assert 0 < have <= 8192
    server.cut_after = None
    server.seen.clear()
    code, said = get()
    assert code == 0 and is_ready(folder) and "going on after" in said
    assert server.seen == [(f"/{FIRST}", f"bytes={have}-"), (f"/{SECOND}", None)]


def test_silence_in_the_middle_is_said_and_what_has_arrived_is_kept(
    server, get, folder, monkeypatch
):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.stall_after = 8192
    code, said = get()
    assert code == 1 and "no word from the server for 0.3 seconds" in said
    assert (folder / f"{FIRST}.part").stat().st_size > 0
    server.stall_after = None
    assert get()[0] == 0 and is_ready(folder)


def test_a_server_that_takes_no_ranges_starts_over(server, get, folder):
    folder.mkdir(parents=True)
    (folder / f"{FIRST}.part").write_bytes(b"x" * 5000)
    server.ranges = False
    code, said = get()
    assert code == 0 and is_ready(folder) and "going on" not in said


def test_a_range_that_the_server_cannot_give_starts_over(server, get, folder):
    folder.mkdir(parents=True)
    part = folder / f"{FIRST}.part"
    part.write_bytes(ARCHIVES[FIRST][:20_000])
    server.files[FIRST] = ARCHIVES[FIRST][:10_000]
    code, said = get()
    assert server.seen == [(f"/{FIRST}", "bytes=20000-"), (f"/{FIRST}", None)]  # 416, then all
    assert code == 1 and f"gives 10000 bytes, {len(ARCHIVES[FIRST])} are expected" in said
    server.files[FIRST] = ARCHIVES[FIRST]
    assert get()[0] == 0 and is_ready(folder)


def test_a_part_that_is_complete_is_not_asked_for_again(server, get, folder):
    folder.mkdir(parents=True)
    (folder / f"{FIRST}.part").write_bytes(ARCHIVES[FIRST])
    assert get()[0] == 0 and is_ready(folder)
    assert server.seen == [(f"/{SECOND}", None)]


@pytest.mark.parametrize("size", [5000, 100_000])
def test_a_part_of_another_file_is_found_out_and_deleted(server, get, folder, size):
    folder.mkdir(parents=True)
    (folder / f"{FIRST}.part").write_bytes(b"x" * size)
    code, said = get()
    assert code == 1 and "It was deleted" in said and names(folder) == set()
    assert get()[0] == 0 and is_ready(folder)


# ------------------------------------------------------------------ what can go wrong


def other(content):
    """As long, one bit apart."""
    return content[:-1] + bytes([content[-1] ^ 1])


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def no_such_name(*_, **__):
    raise socket.gaierror(-2, "Name or service not known")


FAILURES = {
    "404": (
        lambda server, patch: setattr(server, "status", 404),
        "was answered with 404 Not Found",
    ),
    "403": (lambda server, patch: setattr(server, "status", 403), "your network keeps it from you"),
    "500": (lambda server, patch: setattr(server, "status", 500), "500 Internal Server Error"),
    "503": (lambda server, patch: setattr(server, "status", 503), "Try again later"),
    "wrong": (
        lambda server, patch: server.files.update({FIRST: other(ARCHIVES[FIRST])}),
        "is damaged, or another file",
    ),
    "short": (
        lambda server, patch: server.files.update({FIRST: ARCHIVES[FIRST][:9000]}),
        "gives 9000 bytes",
    ),
    "long": (
        lambda server, patch: server.files.update({FIRST: ARCHIVES[FIRST] + b"x" * 9000}),
        "are expected: another file is there now",
    ),
    "login page": (
        lambda server, patch: server.files.update({FIRST: b"<html>Log in</html>"}),
        "a network that wants you to log in",
    ),
    "cut": (lambda server, patch: setattr(server, "cut_after", 4096), "was cut after"),
    "silent": (
        lambda server, patch: (
            setattr(server, "stall_after", 0),
            patch.setattr(download, "TIMEOUT", 0.3),
        ),
        "no word from the server for 0.3 seconds",
    ),
    "mute": (
        lambda server, patch: (
            setattr(server, "mute", True),
            patch.setattr(download, "TIMEOUT", 0.3),
        ),
        "cannot be reached: no word from the server for 0.3 seconds",
    ),
    "refused": (
        lambda server, patch: patch.setattr(
            download, "SOURCES", sources(f"http://127.0.0.1:{closed_port()}", ARCHIVES)
        ),
        "cannot be reached: the server refuses the connection. Is there a network?",
    ),
    "no name": (
        lambda server, patch: patch.setattr(socket, "getaddrinfo", no_such_name),
        "cannot be reached: the server's name is not known. Is there a network?",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_says_why_leaves_no_damage_and_the_next_try_succeeds(
    server, get, folder, monkeypatch, failure
):
    happens, words = FAILURES[failure]
    with monkeypatch.context() as patch:
        happens(server, patch)
        code, said = get()
        assert code == 1 and words in said
        assert not {FIRST, SECOND, PACKED} & names(folder)
    server.status = server.cut_after = server.stall_after = None
    server.files, server.mute = dict(ARCHIVES), False
    assert get()[0] == 0 and is_ready(folder)


def test_a_wrong_checksum_says_what_was_expected_and_what_came(server, get, folder):
    server.files[SECOND] = other(ARCHIVES[SECOND])
    code, said = get()
    assert code == 1
    for content in (ARCHIVES[SECOND], server.files[SECOND]):
        assert f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}" in said
    assert names(folder) == {FIRST}, "what was verified stays"


@pytest.mark.parametrize("more", [-9000, 9000])
def test_another_length_is_noticed_where_the_server_does_not_tell_it(server, get, folder, more):
    server.told = False
    content = ARCHIVES[FIRST]
    server.files[FIRST] = content[:more] if more < 0 else content + b"x" * more
    code, said = get()
    assert code == 1 and "It was deleted" in said and names(folder) == set()
    server.files[FIRST] = content
    assert get()[0] == 0 and is_ready(folder)


def test_a_download_that_fails_says_how_to_do_without_it(server, get, folder):
    server.status = 404
    assert f"Or put {FIRST} into {folder} by hand: the same command takes it" in get()[1]


@pytest.mark.parametrize("archive", omniglot.ARCHIVES)
def test_a_damaged_archive_in_the_folder_is_downloaded_again(server, get, folder, archive):
    get()
    (folder / PACKED).unlink()
    (folder / archive).write_bytes(other(ARCHIVES[archive]))
    server.seen.clear()
    code, said = get()
    assert code == 0 and is_ready(folder) and server.seen == [(f"/{archive}", None)]
    assert f"{folder / archive} is damaged, or another file of that name" in said


def test_a_damaged_archive_put_there_by_hand_is_left_and_not_used(server, get, folder):
    folder.parent.mkdir(parents=True)
    (folder.parent / FIRST).write_bytes(b"mine")
    code, said = get()
    assert code == 0 and is_ready(folder) and f"{folder.parent / FIRST} is damaged" in said
    assert (folder.parent / FIRST).read_bytes() == b"mine"


def test_a_damaged_packed_file_is_made_anew(server, get, folder):
    get()
    (folder / PACKED).write_bytes((folder / PACKED).read_bytes()[:-100])
    code, said = get()
    assert code == 0 and is_ready(folder) and "is ready" in said and len(server.seen) == 2


def test_an_archive_of_something_else_is_one_message(server, get, folder, monkeypatch):
    bad = {FIRST: b"<html></html>", SECOND: ARCHIVES[SECOND]}
    server.files = bad
    monkeypatch.setattr(download, "SOURCES", sources(server.url, bad))
    code, said = get()
    assert code == 1 and "is damaged, or not the archive it should be" in said
    assert PACKED not in names(folder)


class Full(io.FileIO):
    """A file on a disk that has room for 8 kB more."""

    def write(self, content):
        if self.tell() + len(content) > 8192:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


def test_a_full_disk_while_downloading_is_one_message_and_the_next_try_goes_on(
    server, get, folder, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(download, "open", lambda path, mode: Full(path, mode), raising=False)
        code, said = get()
    assert code == 1 and f"The disk is full, or your share of it: {folder} needs 2.1 MB" in said
    assert "--data-dir or MAML_EDU_DATA" in said and names(folder) == {f"{FIRST}.part"}
    assert get()[0] == 0 and is_ready(folder)
    assert server.seen[1] == (f"/{FIRST}", "bytes=8192-")


def test_a_full_disk_while_packing_is_one_message(server, get, folder, monkeypatch):
    def full(file, **_):
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(omniglot.np, "savez_compressed", full)
        code, said = get()
    assert code == 1 and "The disk is full" in said and names(folder) == {FIRST, SECOND}
    assert get()[0] == 0 and is_ready(folder)


@posix
def test_a_limit_on_the_size_of_files_is_one_message(server, folder):
    with program(server, folder, preamble=LIMITED) as process:
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "cannot be written or read (File too large)" in said
    assert names(folder) == {f"{FIRST}.part"}
    with program(server, folder) as process:
        assert process.wait(60) == 0
    assert is_ready(folder)


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))"


def test_a_folder_that_cannot_be_made_is_one_message(server, get, folder):
    folder.parent.write_text("a file is in the way")
    code, said = get()
    assert code == 1 and "cannot be written or read" in said
    assert "--data-dir or MAML_EDU_DATA" in said


@posix
def test_a_folder_that_is_only_to_be_read_is_one_message_and_what_is_there_is_found(
    server, get, folder
):
    get()
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        assert get()[0] == 0, "already there: nothing is written"
        code, said = get("--resize", "area")
    finally:
        folder.chmod(0o755)
    assert code == 1 and f"cannot be written or read (Permission denied: {folder}" in said
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


def test_what_must_not_be_written_is_one_message(server, get, folder, monkeypatch):
    """As above, for who may write everywhere."""

    def denied(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    code, said = get()
    assert code == 1 and f"{folder} cannot be written or read (Permission denied: {folder}" in said


# ------------------------------------------------------------------ several processes


PROGRAM = """
import json, sys
{preamble}
from maml_edu import cli
from maml_edu.tasks import download

folder, known = sys.argv[1:]
download.CHUNK = 1024
download.SOURCES = {{name: download.Source(**about) for name, about in json.loads(known).items()}}
sys.argv = ["maml-edu", "data", "get", "omniglot", "--data-dir", folder]
cli.main()
"""


@contextlib.contextmanager
def program(server, folder, stderr=subprocess.PIPE, preamble=""):
    """`maml-edu data get omniglot` in a process of its own, killed at the end of the block."""
    known = {
        name: dataclasses.asdict(source) for name, source in sources(server.url, ARCHIVES).items()
    }
    code = PROGRAM.format(preamble=preamble)
    line = [sys.executable, "-c", code, str(folder.parent), json.dumps(known)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_a_part(folder):
    for _ in range(2000):
        parts = list(folder.glob("*.part")) if folder.is_dir() else []
        if parts and parts[0].stat().st_size > 1024:
            return
        time.sleep(0.01)
    raise AssertionError("nothing was downloaded")


def test_two_processes_at_once_both_end_well_with_one_download(server, folder):
    server.pause = 0.03
    with program(server, folder) as first:
        wait_for_a_part(folder)
        with program(server, folder) as second:
            said = [process.communicate(timeout=60) for process in (first, second)]
            assert [first.returncode, second.returncode] == [0, 0], said
    assert is_ready(folder)
    assert server.seen == [(f"/{FIRST}", None), (f"/{SECOND}", None)]
    assert f"Another process is downloading into {folder}" in said[1][0].replace("\n", "")


def test_four_processes_started_together_all_end_well(server, folder):
    with contextlib.ExitStack() as stack:
        all_ = [stack.enter_context(program(server, folder)) for _ in range(4)]
        said = [process.communicate(timeout=100) for process in all_]
        assert [process.returncode for process in all_] == [0] * 4, said
    assert is_ready(folder) and len(server.seen) == 2


@posix
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(server, folder):
    server.pause = 0.03
    with program(server, folder) as process:
        wait_for_a_part(folder)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in errors
    assert "Stopped. What has arrived is kept, and the same command goes on from there." in said
    assert names(folder) == {f"{FIRST}.part"}
    server.pause = 0
    with program(server, folder) as process:
        assert process.wait(60) == 0
    assert is_ready(folder) and server.seen[1][1].startswith("bytes=")


def test_a_process_that_is_killed_leaves_no_lock_and_no_litter(server, folder):
    server.pause = 0.03
    with program(server, folder) as process:
        wait_for_a_part(folder)
        process.kill()
        process.wait()
    assert len(names(folder)) > 1, "pooch's own temporary file is left, too"
    (folder / ".abcdefgh.tmp").write_bytes(b"left by a writer of packed files")
    server.pause = 0
    with program(server, folder) as process:
        assert process.wait(60) == 0
    assert is_ready(folder) and server.seen[1][1].startswith("bytes=")


# ------------------------------------------------------------------ the commands, and what is known


def shown(monkeypatch, capsys, *arguments):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["maml-edu", "data", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, "".join(capsys.readouterr())


def test_list_says_what_is_there_where_and_how_to_get_the_rest(
    server, get, folder, monkeypatch, capsys
):
    get()
    place = folder.parent
    code, said = shown(monkeypatch, capsys, "list", "--data-dir", str(place))
    rows = said.splitlines()
    assert code == 0 and all(word in rows[1] for word in ("nearest", "there", "MB", str(place)))
    assert "area" in rows[2] and "not there" in rows[2]
    assert "clinc150" in rows[3] and "not there" in rows[3]
    for row, name in zip(rows[4:6], ("glyphs", "intents"), strict=True):
        assert name in row and "built in" in row
    assert rows[6:] == [
        f"To get omniglot, area: maml-edu data get omniglot --resize area --data-dir {place}",
        f"To get clinc150: maml-edu data get clinc150 --data-dir {place}",
    ]
    (folder / PACKED).write_bytes(b"nonsense")
    assert "damaged" in shown(monkeypatch, capsys, "list", "--data-dir", str(place))[1]


def test_list_changes_nothing(tmp_path, monkeypatch, capsys):
    shown(monkeypatch, capsys, "list", "--data-dir", str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_the_help_teaches_with_examples(monkeypatch, capsys):
    assert "maml-edu data get omniglot" in shown(monkeypatch, capsys, "--help")[1]
    for command in ("get", "list"):
        said = shown(monkeypatch, capsys, command, "--help")[1]
        assert f"maml-edu data {command}" in said.split("Examples")[1]


def test_names_and_sizes_that_are_not_known_are_refused_with_those_that_are(monkeypatch, capsys):
    code, said = shown(monkeypatch, capsys, "get", "omniglott")
    assert code == 1 and "no data set 'omniglott': `maml-edu data list` shows" in said
    code, said = shown(monkeypatch, capsys, "get", "omniglot", "--resize", "cubic")
    assert code == 1 and "resize must be one of nearest, area, both; got 'cubic'" in said
    code, said = shown(monkeypatch, capsys, "get", "clinc150", "--resize", "area")
    assert code == 1 and "resize='area' is for the images of omniglot, not for 'clinc150'" in said
    for name in ("glyphs", "intents"):
        assert "nothing to get" in shown(monkeypatch, capsys, "get", name)[1]


def test_what_is_said_where_data_is_missing_is_the_command_that_gets_it(server, tmp_path):
    place = tmp_path / "two words"
    with pytest.raises(FileNotFoundError) as missing:
        Omniglot(resize="area", data_dir=place)
    options = f"--resize area --data-dir '{place}'."
    assert f"Get it (16 MB): maml-edu data get omniglot {options}" in str(missing.value)


def test_the_registry_names_the_archives_that_are_read():
    assert tuple(download.SOURCES) == omniglot.ARCHIVES + clinc150.ARCHIVES


@needs_data
def test_the_registry_holds_the_published_sizes_and_checksums():
    table = (DATA / "README.md").read_text()
    for source in download.OMNIGLOT.sources():
        [row] = [line for line in table.splitlines() if line.startswith(f"| {source.name} |")]
        cells = [cell.strip() for cell in row.split("|")]
        assert (int(cells[2]), cells[4]) == (source.size, source.sha256)
        assert source.url.removesuffix(source.name) in table


@needs_data
def test_two_small_originals_go_the_whole_way(server, get, folder, monkeypatch):
    pairs = zip(omniglot.ARCHIVES, (1, 2), strict=True)
    small = {name: (DATA / f"images_background_small{n}.zip").read_bytes() for name, n in pairs}
    server.files = small
    monkeypatch.setattr(download, "CHUNK", 1 << 16)
    monkeypatch.setattr(download, "SOURCES", sources(server.url, small))
    assert get("--resize", "both", "--no-keep-archives")[0] == 0
    for resize in omniglot.PACKED:
        ours = omniglot.read_packed(folder / omniglot.PACKED[resize])
        whole = omniglot.load(DATA, resize)
        at = [f"{a}/{c}" for a, c in zip(whole["alphabet"], whole["character"], strict=True)]
        rows = [
            at.index(f"{a}/{c}") for a, c in zip(ours["alphabet"], ours["character"], strict=True)
        ]
        assert len(rows) == 242 and np.array_equal(ours["images"], whole["images"][rows])


def test_nothing_of_the_network_is_imported_before_it_is_needed():
    code = "import sys, maml_edu.tasks.download\n"
    code += "print({'pooch', 'requests', 'filelock', 'tqdm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
