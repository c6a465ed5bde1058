"""What nbgrader's formgrader shows after `export nbgrader`: asked of the API and the exporter that it uses."""

import class_folder
import graded
import pytest
from graded import CHAPTER, WRITTEN

from maml_edu.grading import exports, give_back
from maml_edu.grading.by_hand import COLUMNS
from maml_edu.grading.exports import Into

nbgrader = pytest.importorskip("nbgrader.api")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Three are handed in: one complete, one that waits, one refused; and the source that formgrader lists."""
    tmp_path = tmp_path_factory.mktemp("class")
    room = class_folder.folder(tmp_path)
    class_folder.hand_in(
        tmp_path, graded.result("ada", ["right", "wrong", "right", "right"], "why")
    )
    class_folder.hand_in(tmp_path, graded.result("wei"), when="")
    class_folder.hand_in(tmp_path, graded.rejected("eve"))
    (tmp_path / "submitted/eve" / CHAPTER / f"{CHAPTER}.ipynb").write_text("{")
    source = tmp_path / "source" / CHAPTER
    source.mkdir()
    (source / f"{CHAPTER}.ipynb").write_text("{}")
    room.by_hand.write_text(",".join(COLUMNS) + f"\nada,{WRITTEN},1.5,Good.\n")
    exports.write_export(room, give_back.marks_of(room, []), "nbgrader", None, Into())
    return room


def asked(room):
    from maml_edu.grading.exports.nbgrader import api

    return api(room.root)


def test_manage_submissions_shows_everybody_as_graded_with_scores_and_times(room):
    with asked(room) as api:
        shown = {one["student"]: one for one in api.get_submissions(CHAPTER)}
    assert {s: (one["autograded"], one["score"], one["max_score"]) for s, one in shown.items()} == {
        "ada": (True, 9.5, 13), "wei": (True, 11, 13), "eve": (True, 0, 13),
    }  # fmt: skip
    assert {s: one["needs_manual_grade"] for s, one in shown.items()} == {
        "ada": False,
        "wei": True,
        "eve": True,
    }
    assert (
        shown["ada"]["timestamp"].startswith("2026-11-28T11:01")
        and shown["wei"]["timestamp"] is None
    )


def test_manual_grading_lists_the_notebooks_and_a_student_s_page_the_scores(room):
    with asked(room) as api:
        listed = api.get_notebook_submissions(CHAPTER, CHAPTER)
        own = api.get_student_submissions("ada")
        books = api.get_student_notebook_submissions("ada", CHAPTER)
    assert {one["student"]: one["needs_manual_grade"] for one in listed} == {
        "ada": False,
        "wei": True,
        "eve": True,
    }
    assert [(one["autograded"], one["score"], one["max_score"]) for one in own] == [(True, 9.5, 13)]
    assert [(one["score"], one["needs_manual_grade"]) for one in books] == [(9.5, False)]


def test_the_page_of_a_submission_has_a_box_for_each_grade_and_nothing_that_runs(room):
    import nbformat
    from nbconvert import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers

    path = room.root / "autograded" / "wei" / CHAPTER / f"{CHAPTER}.ipynb"
    made = nbformat.read(path, 4)
    nbformat.validate(made)
    grades = {
        c.metadata.nbgrader.grade_id: c
        for c in made.cells
        if c.metadata.get("nbgrader", {}).get("grade")
    }
    assert set(grades) == {WRITTEN, *(f"check_{e.split('.')[1]}" for e in graded.EXERCISES)}
    assert "# 04.meta_slope\n# right: 3 of 3 points" in grades["check_meta_slope"].source
    assert grades[WRITTEN].source == "&lt;script>alert(1)&lt;/script> $a&lt;b$ so"
    assert not any(cell.get("outputs") for cell in made.cells)
    exporter = HTMLExporter(
        template_name="formgrade", extra_template_basedirs=[handlers.template_path]
    )
    about = dict.fromkeys(
        ("assignment_id", "notebook_id", "submission_id", "base_url", "student"), "x"
    )
    about |= {"index": 0, "total": 1, "last_name": "x", "first_name": "x", "notebook_path": "x"}
    html, _ = exporter.from_filename(str(path), resources=about)
    assert all(f'id="{name}"' in html for name in grades)
    assert "<script>alert(1)" not in html and "def meta_slope" not in html.split("<body")[0]


def test_late_plugins_of_nbgrader_see_when_it_was_handed_in(room):
    from nbgrader.utils import parse_utc
    from sqlalchemy.engine import URL

    with nbgrader.Gradebook(URL.create("sqlite", database=str(room.root / "gradebook.db"))) as book:
        assignment = book.find_assignment(CHAPTER)
        assignment.duedate = parse_utc("2026-11-28 11:00:00 UTC")
        book.db.commit()
        late = {s.student.id: s.total_seconds_late for s in book.assignment_submissions(CHAPTER)}
    assert late["ada"] == 60 and late["wei"] == 0


def test_a_second_hand_in_after_the_export_is_shown_as_not_graded(room):
    path = room.root / "submitted" / "ada" / CHAPTER / "timestamp.txt"
    before = path.read_text()
    path.write_text("2026-11-29T10:00:00+00:00")
    with asked(room) as api:
        assert api.get_submission(CHAPTER, "ada")["autograded"] is False
    path.write_text(before)
