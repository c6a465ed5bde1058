"""The record of what was passed: whole, lasting, and never in the way."""

import datetime
import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from maml_edu import places
from maml_edu.checks import progress
from maml_edu.checks.exercise import catalogue
from maml_edu.checks.progress import Progress, Row, passed, progress_table, record

TODAY = datetime.date.today().isoformat()


def folder():
    return places.user_data() / "progress"


def put(name, text):
    folder().mkdir(parents=True, exist_ok=True)
    path = folder() / f"{name}.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ------------------------------------------------------------------ writing and reading


def test_nothing_is_passed_at_first_and_asking_creates_nothing():
    assert passed() == {}
    assert not places.user_data().exists()


def test_what_is_recorded_is_found_again_in_a_file_of_its_own():
    record("04.a", 3)
    record("07.b", 2)
    assert passed() == {"04.a": TODAY, "07.b": TODAY}
    assert sorted(path.name for path in folder().iterdir()) == ["04.a.json", "07.b.json"]
    entry = json.loads((folder() / "04.a.json").read_text())
    assert entry == {"exercise": "04.a", "points": 3, "passed": TODAY}


def test_the_first_date_stays():
    put("04.a", json.dumps({"exercise": "04.a", "points": 3, "passed": "2017-03-09"}))
    record("04.a", 3)
    assert passed() == {"04.a": "2017-03-09"}


DAMAGE = {
    "empty": b"",
    "cut off": b'{"exercise": "04.a", "poi',
    "binary": bytes(range(256)),
    "no dict": b"[1, 2]",
    "null": b"null",
    "other keys": b'{"name": "04.a"}',
    "wrong types": b'{"exercise": ["04.a"], "points": 3, "passed": 20170309}',
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_set_aside_with_a_word_and_costs_only_itself(kind):
    record("07.b", 2)
    path = put("04.a", DAMAGE[kind])
    with pytest.warns(
        UserWarning, match="record of 04.a was damaged and is set aside as 04.a.damaged"
    ):
        assert passed() == {"07.b": TODAY}
    assert not path.exists() and path.with_suffix(".damaged").read_bytes() == DAMAGE[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once, not at every look
        assert passed() == {"07.b": TODAY}
        record("04.a", 3)
        assert passed() == {"04.a": TODAY, "07.b": TODAY}


def test_a_folder_in_the_place_of_a_record_is_set_aside():
    (folder() / "04.a.json").mkdir(parents=True)
    with pytest.warns(UserWarning, match="damaged"):
        assert passed() == {}
    record("04.a", 3)
    assert passed() == {"04.a": TODAY}


def test_recording_over_a_damaged_record_sets_it_aside_first():
    put("04.a", "{")
    with pytest.warns(UserWarning, match="damaged"):
        record("04.a", 3)
    assert passed() == {"04.a": TODAY}


# ------------------------------------------------------------------ whole or not at all


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_is_a_warning_and_leaves_nothing_behind(broken, monkeypatch):
    record("07.b", 2)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.warns(
        UserWarning, match=r"progress was not saved \(No space left.*your answer counts"
    ):
        record("04.a", 3)
    assert [path.name for path in folder().iterdir()] == ["07.b.json"]


KILLED = """
import os, signal
from maml_edu.checks.progress import record
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
record("04.a", 3)
"""


def test_a_process_killed_while_writing_leaves_the_records_of_before():
    record("07.b", 2)
    result = subprocess.run([sys.executable, "-c", KILLED], env=dict(os.environ), timeout=60)
    assert result.returncode == -9
    assert passed() == {"07.b": TODAY} and not (folder() / "04.a.json").exists()
    record("04.a", 3)
    assert passed() == {"04.a": TODAY, "07.b": TODAY}


def test_many_writers_at_once_do_not_spoil_each_other_s_records():
    barrier = threading.Barrier(8)

    def write(number):
        barrier.wait()
        for exercise in ("04.same", f"04.own_{number}"):
            record(exercise, number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(passed()) == {"04.same", *(f"04.own_{n}" for n in range(8))}
    assert all(path.suffix == ".json" for path in folder().iterdir())


@pytest.mark.parametrize("where", ["a file", "under a file"])
def test_a_home_that_cannot_be_written_to_only_warns(where, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    home = tmp_path / "file" if where == "a file" else tmp_path / "file" / "home"
    monkeypatch.setenv("MAML_EDU_HOME", str(home))
    with pytest.warns(UserWarning, match="progress was not saved"):
        record("04.a", 3)
    assert passed() == {} and repr(progress())


# ------------------------------------------------------------------ the table

ROWS = [
    Row("04_meta", "04.a", "First", 3, "2017-03-09"),
    Row("04_meta", "04.b", "Second", 2, None),
]


def test_the_table_as_text():
    lines = repr(Progress(ROWS)).splitlines()
    assert lines[0].split() == ["✓", "04.a", "3", "points", "2017-03-09"]
    assert lines[1].split() == ["○", "04.b", "2", "points"]
    assert lines[2] == "1 of 2 exercises, 3 of 5 points"


def test_the_table_as_html():
    text = Progress(ROWS)._repr_html_()
    assert "value='3' max='5'" in text and "1 of 2 exercises, 3 of 5 points" in text
    assert text.count("<tr>") == 3 and "not yet" in text and "2017-03-09" in text


def test_names_from_files_are_escaped_in_html():
    row = Row("<b>", "04.a", "a < b & <script>alert(1)</script>", 3, "<img src=x onerror=alert(1)>")
    text = Progress([row])._repr_html_()
    assert "<script>" not in text and "<img" not in text and "<b>" not in text
    assert "a &lt; b &amp; &lt;script&gt;" in text


def test_a_record_with_a_hostile_date_is_shown_as_text():
    item = catalogue()[0]
    hostile = {"exercise": item.id, "points": 1, "passed": "<script>alert(1)</script>"}
    put(item.id, json.dumps(hostile))
    assert "<script>" not in progress()._repr_html_()


def test_progress_lists_every_exercise_of_the_course_and_what_was_passed():
    item = catalogue()[0]
    record(item.id, item.points)
    rows = progress_table()
    assert [row.exercise for row in rows] == [item.id for item in catalogue()]
    assert [row.exercise for row in rows if row.passed] == [item.id]
    assert progress().points == item.points and progress().possible == sum(r.points for r in rows)


def test_records_of_exercises_that_are_no_more_are_left_alone():
    record("99.gone", 3)
    assert progress().points == 0 and "99.gone" in passed()


def test_the_record_lies_where_the_environment_says():
    assert folder() == Path(os.environ["MAML_EDU_HOME"]) / "progress"
