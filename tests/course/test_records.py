"""Every `%%recorded` cell of every lesson has a record of its present text, and no record is without a cell."""

import datetime
import json

import pytest
import recording
import tolerance

from maml_edu import places, recorded


def complaints(lesson, pins):
    """What is wrong with the records next to a lesson (a path); `pins`: package → version."""
    notebook = recording.read(lesson)
    found = recording.cells(notebook)
    file = lesson.with_name(recorded.FILE)
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    records = record.get("cells", {})
    names = [name for _, name, *_ in found]
    said = [f"{name}: two cells have this name" for name in set(names) if names.count(name) > 1]
    said += [f"{name}: a record without a cell" for name in records if name not in names]
    for _, name, source, _ in found:
        if name not in records:
            said.append(f"{name}: no record")
        elif records[name]["source"] != source:
            said.append(f"{name}: changed after it was recorded")
        elif records[name]["printed"] != recorded.digest_of(records[name]["output"]):
            said.append(f"{name}: its recorded output was changed by hand")
    return said + about_date_and_versions(record, recording.packages(notebook), pins)


def about_date_and_versions(record, packages, pins):
    """A date that there is, and of each package that the lesson uses the version that is pinned."""
    pinned = {package: pins[package] for package in packages}
    versions, date = record.get("versions", {}), record.get("date", "")
    said = [] if versions == pinned else [f"recorded with {versions}, pinned are {pinned}"]
    try:
        datetime.date.fromisoformat(date)
    except ValueError:
        said.append(f"recorded on {date!r}, which is no date")
    return said


def test_every_recorded_cell_has_its_record():
    advice = "record them again: make test-frameworks ARGS=--write"
    for lesson in recording.lessons():
        assert complaints(lesson, recording.pins()) == [], f"{lesson.parent.name}: {advice}"


def test_no_two_lessons_use_one_name():
    names = [
        name
        for path in recording.lessons()
        for _, name, *_ in recording.cells(recording.read(path))
    ]
    assert len(names) == len(set(names))


def test_a_record_file_stands_only_beside_a_lesson_that_uses_it():
    files = {
        path.parent.name for path in (places.course_root() / "course").glob(f"*/{recorded.FILE}")
    }
    assert files <= {path.parent.name for path in recording.lessons()}


PINS = {"jax": "1", "tensorflow": "2", "keras": "3"}


@pytest.fixture
def two_cells(tmp_path):
    """A lesson of two cells, and its records, which are right."""
    path = tmp_path / "lesson.py"
    cell = "# %%\n# %%recorded {} {}\nprint({})\n\n"
    text = cell.format("jax", "one", 1) + cell.format("tensorflow", "two", 2)
    path.write_text(text, encoding="utf-8")
    records = {
        name: {"source": source, "printed": recorded.digest_of(["1.5"]), "output": ["1.5"]}
        for _, name, source, _ in recording.cells(recording.read(path))
    }
    file = {"date": "2026-12-01", "versions": PINS, "cells": records}
    (tmp_path / recorded.FILE).write_text(json.dumps(file), encoding="utf-8")
    assert complaints(path, PINS) == []
    return path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("print(1)", "print(2)", ["one: changed after it was recorded"]),
        ("jax one", "tensorflow,jax one", ["one: changed after it was recorded"]),
        ("jax one", "jax new", ["one: a record without a cell", "new: no record"]),
        ("jax one", "tensorflow two", ["two: two cells have this name", "one: a record without"]),
    ],
)
def test_a_lesson_that_its_records_do_not_fit_is_complained_of(two_cells, old, new, says):
    text = two_cells.read_text(encoding="utf-8")
    two_cells.write_text(text.replace(old, new), encoding="utf-8")
    said = complaints(two_cells, PINS)
    assert all(a.startswith(b) for a, b in zip(said, says, strict=False)) and len(said) >= len(says)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["1.5"]}, "two"', '["1.6"]}, "two"', "one: its recorded output was changed by hand"),
        ("2026-12-01", "2099-13-45", "recorded on '2099-13-45', which is no date"),
        (
            '"tensorflow": "2"',
            '"tensorflow": "2.9"',
            "recorded with {'jax': '1', 'tensorflow': '2.9",
        ),
        ('"versions"', '"else"', "recorded with {}, pinned are {'tensorflow': '2', 'keras': '3', "),
        (', "keras": "3"', "", "recorded with {'jax': '1', 'tensorflow': '2'}, pinned are"),
    ],
)
def test_a_record_that_was_changed_is_complained_of(two_cells, old, new, says):
    file = two_cells.with_name(recorded.FILE)
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    [said] = complaints(two_cells, PINS)
    assert said.startswith(says)


def changed(line):
    """The line with one of its numbers changed, for each number and in several ways."""
    for match in tolerance.NUMBER.finditer(line):
        text, number = match[0], tolerance.value(match[0])
        others = [number + 1, -number - 1] if tolerance.is_whole(text) else [30 * number, -number]
        for other in [*others, 0.0 if number else 0.1]:
            if other != number:
                yield line[: match.start()] + f"{other:.12g}" + line[match.end() :]


def test_another_size_sign_or_zero_is_noticed_in_every_number_of_every_record():
    for lesson in recording.lessons():
        file = json.loads(lesson.with_name(recorded.FILE).read_text(encoding="utf-8"))
        for line in [line for record in file["cells"].values() for line in record["output"]]:
            assert tolerance.alike(line, line)
            unnoticed = [other for other in changed(line) if tolerance.alike(line, other)]
            assert unnoticed == []
