"""Every `%%recorded` cell of every lesson has a record of its present text, and no record is without a cell."""

import json

import recording

from maml_edu import places, recorded


def complaints(lesson):
    """What is wrong with the records next to a lesson (a path)."""
    found = recording.cells(recording.read(lesson))
    file = lesson.with_name(recorded.FILE)
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    records, versions = record.get("cells", {}), record.get("versions", {})
    names = [name for _, name, *_ in found]
    said = [f"{name}: two cells have this name" for name in set(names) if names.count(name) > 1]
    said += [f"{name}: a record without a cell" for name in records if name not in names]
    for frameworks, name, body, _ in found:
        packages = [package for part in frameworks for package in recorded.FRAMEWORKS[part]]
        if name not in records:
            said.append(f"{name}: no record")
        elif records[name]["source"] != recorded.digest(body):
            said.append(f"{name}: changed after it was recorded")
        said += [
            f"{name}: no version of {package}" for package in packages if package not in versions
        ]
    return said


def test_every_recorded_cell_has_its_record():
    advice = "record them again: make test-frameworks ARGS=--write"
    for lesson in recording.lessons():
        assert complaints(lesson) == [], f"{lesson.parent.name}: {advice}"


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


def test_the_complaints_above_can_be_made(tmp_path):
    lesson = tmp_path / "lesson.py"
    cell = "# %%\n# %%recorded {} {}\nprint({})\n\n"
    cells = cell.format("jax", "right", 1) + cell.format("tensorflow", "changed", 2)
    lesson.write_text(cells + cell.format("jax", "new", 3) * 2, encoding="utf-8")
    record = {
        name: {"source": recorded.digest("print(1)"), "output": []}
        for name in ("right", "changed", "gone")
    }
    file = {"date": "2026-12-01", "versions": {"jax": "1", "tensorflow": "2"}, "cells": record}
    (tmp_path / recorded.FILE).write_text(json.dumps(file), encoding="utf-8")
    assert complaints(lesson) == [
        "new: two cells have this name",
        "gone: a record without a cell",
        "changed: changed after it was recorded",
        "changed: no version of keras",
        "new: no record",
        "new: no record",
    ]
