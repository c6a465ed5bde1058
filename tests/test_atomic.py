"""A file is written whole or not at all, and what it replaces can be kept; `maml_edu.atomic`."""

import os
import subprocess
import sys
import threading

import pytest

from maml_edu import atomic
from maml_edu.atomic import name_again, replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, content, **options):
    with replacing(path, **options) as file:
        file.write(content)


def test_a_file_takes_the_others_place_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "made" / "on the way" / "state"
    write(path, b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and names(path.parent) == ["state"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_what_was_there_and_no_litter(tmp_path, error):
    path = tmp_path / "state"
    write(path, b"old")
    with pytest.raises(error), replacing(path, keeping=tmp_path / "before") as file:
        file.write(b"half of the n")
        raise error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["state"]


def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(tmp_path):
    path = tmp_path / "state"
    write(path, b"old")
    program = (
        "import os, pathlib, signal, sys\nfrom maml_edu.atomic import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'half of the n')\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode < 0
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("links", [True, False], ids=["links", "a file system without links"])
def test_what_is_replaced_stays_under_the_other_name(tmp_path, monkeypatch, links):
    def no_links(*_):
        raise OSError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path, before = tmp_path / "state", tmp_path / "before"
    for content in (b"one", b"two", b"three"):
        write(path, content, keeping=before)
    assert path.read_bytes() == b"three" and before.read_bytes() == b"two"
    name_again(before, path)  # the way back
    assert path.read_bytes() == before.read_bytes() == b"two"
    assert names(tmp_path) == ["before", "state"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_an_oserror_and_leaves_what_was_there(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "state"
    write(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, call, full)
        with pytest.raises(OSError, match="No space left"):
            write(path, b"new")
    assert path.read_bytes() == b"old" and names(tmp_path) == ["state"]


def test_who_reads_meanwhile_sees_one_whole_file_or_the_other(tmp_path):
    """At no moment is the file missing or half there, also where the one before is kept."""
    path, contents = tmp_path / "state", [bytes([letter]) * 100_000 for letter in b"ab"]
    write(path, contents[0])
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                seen.append(path.read_bytes() in contents)
            except OSError as error:
                seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(50):
        write(path, contents[turn % 2], keeping=tmp_path / "before")
    stop.set()
    reader.join()
    assert seen and set(seen) == {True}
