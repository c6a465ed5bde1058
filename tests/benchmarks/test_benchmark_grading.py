"""The benchmark of grading: its class of right, wrong, damaged and hostile submissions gets its marks."""

import shutil
from dataclasses import replace

import pytest

from benchmarks.grading import grading
from benchmarks.pictures import teaching_pictures
from maml_edu.grading import many
from maml_edu.grading.judge import Times
from maml_edu.grading.sandbox import box

pytestmark = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")


def test_a_class_gets_the_marks_that_it_deserves(tmp_path):
    room, deserved = grading.fill(tmp_path / "class", 40)
    assert None in deserved.values() and len(set(map(str, deserved.values()))) > 10
    how = replace(room.how(), cases=6, times=Times(3, 3, 12))
    done = list(many.grade_all(room.jobs(), how, 2))
    assert len(done) == 40 and grading.wrong_marks(room, deserved) == []


def test_a_wrong_mark_is_found(tmp_path):
    room, deserved = grading.fill(tmp_path / "class", 3)
    how = replace(room.how(), cases=2, times=Times(3, 3, 12))
    list(many.grade_all(room.jobs()[:2], how, 1))
    exercises = {**deserved["student0000"]}
    exercises[next(iter(exercises))] += 1
    bad = grading.wrong_marks(room, deserved | {"student0000": exercises})
    assert len(bad) == 2 and "no result" in bad[0] and "deserves" in bad[1]


@pytest.mark.skipif(not any(map(shutil.which, teaching_pictures.BROWSERS)), reason="no Chromium")
def test_the_pictures_of_the_docs_can_be_made_again(tmp_path):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    teaching_pictures.main(["--count", "12", "--out", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {
        "teaching_feedback.png", "teaching_marking.png", "teaching_report.png",
    }  # fmt: skip


def test_the_same_class_is_made_again():
    first, again = list(grading.submissions(20)), list(grading.submissions(20))
    assert first == again
