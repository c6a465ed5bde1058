"""Marks: what a person gives counts, nothing that was not decided becomes 0, and the database can be made anew."""

import json
import sqlite3
import threading
from contextlib import closing

import graded
import pytest
from filelock import FileLock
from graded import CHAPTER, NAMES, WRITTEN
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu.grading import marks, results
from maml_edu.grading.exports import tables
from maml_edu.grading.marks import Given

HEADER = "student,exercise,points,comment\n"


@pytest.fixture
def places(tmp_path):
    """(results folder, by_hand.csv, database) of a class folder."""
    return tmp_path / "results", tmp_path / "marks/by_hand.csv", tmp_path / "marks/marks.db"


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "by_hand.csv"
    path.write_bytes(text.encode(encoding))
    return path


def rows(database, query):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


# ------------------------------------------------------------------ what counts


def test_a_mark_adds_up_checks_and_people_and_says_what_waits():
    result = graded.result("ada", ["right", "wrong", "right", "not done"])
    found = marks.mark(result, {})
    assert (found.points, found.max_points, found.waiting) == (5, 13, [WRITTEN])
    assert not found.complete
    found = marks.mark(result, {("ada", WRITTEN): Given(1.5), ("bob", WRITTEN): Given(2)})
    assert (found.points, found.waiting, found.complete) == (6.5, [], True)


def test_points_of_a_person_come_before_those_of_a_check_and_a_comment_alone_changes_none():
    result = graded.result("ada", ["wrong"] * 4)
    by_hand = {("ada", "04.meta_slope"): Given(2), ("ada", "04.best_start"): Given(None, "nearly")}
    found = marks.mark(result, by_hand)
    assert found.parts["04.meta_slope"] == 2 and found.parts["04.best_start"] == 0
    assert found.points == 2


@pytest.mark.parametrize("status", ["rejected", "grader-error"])
def test_what_could_not_be_graded_has_no_points_until_a_person_has_given_them_all(status):
    worth = marks.maxima([graded.result("bob")])
    lost = (
        graded.rejected("eve")
        if status == "rejected"
        else graded.result("eve", ["right"], status=status)
    )
    assert marks.mark(lost, {}, worth).points is None
    some = {("eve", "04.meta_slope"): Given(3), ("eve", WRITTEN): Given(0)}
    found = marks.mark(lost, some, worth)
    assert found.points is None and "04.best_start" in found.waiting and found.max_points == 13
    every = some | {("eve", exercise): Given(1) for exercise in list(graded.EXERCISES)[1:]}
    assert marks.mark(lost, every, worth).points == 6


def test_one_answer_that_could_not_be_graded_waits_and_is_not_0():
    result = graded.result("ada", ["right", "grader-error", "right", "right"])
    found = marks.mark(result, {("ada", WRITTEN): Given(2)})
    assert found.parts["04.numeric_meta_slope"] is None
    assert found.waiting == ["04.numeric_meta_slope"] and not found.complete


# ------------------------------------------------------------------ by_hand.csv


def test_no_table_yet_means_that_nothing_was_given(tmp_path):
    assert marks.read_by_hand(tmp_path / "by_hand.csv") == {}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEADER + 'ada,written_04,1.5,"well, nearly"\n', "utf-8"),
        (HEADER + 'ada,written_04,1.5,"well, nearly"\r\n', "utf-8-sig"),
        ("student;exercise;points;comment\nada;written_04;1,5;well, nearly\n", "utf-8-sig"),
        ("student\texercise\tpoints\tcomment\nada\twritten_04\t1.5\twell, nearly\n", "utf-8"),
        (
            "exercise,comment,points,student\nwritten_04,'well, nearly',1.5,ada".replace("'", '"'),
            "utf-8",
        ),
    ],
)
def test_the_table_is_read_as_spreadsheets_save_it(tmp_path, text, encoding):
    assert marks.read_by_hand(table(tmp_path, text, encoding)) == {
        ("ada", "written_04"): Given(1.5, "well, nearly")
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty: its first line must name the columns"),
        (
            "student,exercise,points,grade\n",
            "line 1: the columns must be student, exercise, points",
        ),
        ("student,exercise\n", "line 1: the columns must be"),
        (HEADER + "ada,written_04,two,\n", "line 2: the points must be a number, not 'two'"),
        (HEADER + "ada,written_04,nan,\n", "line 2: the points must be a number"),
        (HEADER + "ada,written_04,inf,\n", "line 2: the points must be a number"),
        (HEADER + "ada,written_04,1e3,\n", "line 2: the points must be a number"),
        (HEADER + "ada,written_04,٣,\n", "line 2: the points must be a number"),
        (HEADER + "ada,written_04,-1,\n", "line 2: the points must not be negative"),
        (
            HEADER + "\nada,written_04,2.5,\n",
            "line 3: written_04 is worth 2 points, and 2.5 are given",
        ),
        (
            HEADER + "ada,writen_04,1,\n",
            "line 2: there is no exercise 'writen_04'. Is it written_04",
        ),
        (HEADER + ",written_04,1,\n", "line 2: a student and an exercise are needed"),
        (HEADER + "ada,written_04,1,a,b\n", "line 2: there are more cells than columns"),
        (
            HEADER + "ada,written_04,1,\nada,written_04,2,\n",
            "line 3: written_04 of ada is on line 2",
        ),
        (HEADER + 'ada,written_04,1,"never closed', "is not a table of comma-separated values"),
    ],
)
def test_a_line_that_is_not_right_is_named(tmp_path, text, says):
    with pytest.raises(ValueError) as error:
        marks.read_by_hand(table(tmp_path, text), marks.maxima([graded.result()]))
    assert says in str(error.value)


def test_a_table_in_another_encoding_is_named_as_such(tmp_path):
    for encoding in ("latin-1", "utf-16"):
        with pytest.raises(ValueError, match="not in UTF-8.*save it as 'CSV UTF-8'"):
            marks.read_by_hand(table(tmp_path, HEADER + "José,written_04,1,\n", encoding))


def test_points_for_a_chapter_that_is_not_graded_yet_are_no_error(tmp_path):
    path = table(tmp_path, HEADER + "ada,written_07,3,\n")
    assert marks.read_by_hand(path, marks.maxima([graded.result()]))


def test_the_template_gets_the_missing_lines_and_loses_nothing(tmp_path):
    path = tmp_path / "marks" / "by_hand.csv"
    found = [graded.result(name) for name in NAMES]
    assert marks.write_by_hand_template(path, found) == len(NAMES)
    given = marks.read_by_hand(path)
    assert set(given) == {(name, WRITTEN) for name in NAMES}
    assert {value.points for value in given.values()} == {None}

    filled = dict(given) | {("李雷", WRITTEN): Given(2, "=well done"), ("gone", WRITTEN): Given(0)}
    cells = [[s, e, value.points, value.comment] for (s, e), value in filled.items()]
    tables.write(path, HEADER.strip().split(","), cells)
    more = [*found, graded.result("new", ["right", "grader-error", "right", "right"])]
    assert marks.write_by_hand_template(path, more) == 2
    after = marks.read_by_hand(path)
    assert {key: after[key] for key in filled} == filled
    assert len(after) == len(filled) + 2
    before = path.read_bytes()
    assert marks.write_by_hand_template(path, more) == 0
    assert path.read_bytes() == before


def test_a_table_with_a_mistake_is_not_written_over(tmp_path):
    path = table(tmp_path, HEADER + "ada,written_04,two,\n")
    before = path.read_bytes()
    with pytest.raises(ValueError):
        marks.write_by_hand_template(path, [graded.result("bob")])
    assert path.read_bytes() == before


def test_what_waits_is_listed_question_by_question():
    found = [graded.result(n, ["right", "grader-error", "right", "right"]) for n in ("bob", "ada")]
    listed = [(w.exercise, w.student) for w in marks.todo(found, {("bob", WRITTEN): Given(1)})]
    assert listed == [
        ("04.numeric_meta_slope", "ada"),
        ("04.numeric_meta_slope", "bob"),
        (WRITTEN, "ada"),
    ]


# ------------------------------------------------------------------ tables that are no formulas


@given(st.text(st.characters(codec="utf-8"), max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_cell_comes_back_as_it_was_and_never_begins_like_a_formula(text):
    assert tables.plain(tables.safe(text)) == text
    assert tables.safe(text)[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=2, max_size=2))
)
@settings(max_examples=100, deadline=None)
def test_a_table_comes_back_as_it_was(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    tables.write(path, ["a", "b"], cells)
    header, found = tables.read(path)
    assert header == ["a", "b"]
    assert [row for _, row in found] == [row for row in cells if any(cell.strip() for cell in row)]


# ------------------------------------------------------------------ the database


def test_the_database_holds_every_mark_and_tells_undecided_from_0(places):
    folder, by_hand, database = places
    found = [graded.result(name, ["wrong"] * 4) for name in NAMES] + [graded.rejected("eve")]
    graded.kept(folder, found)
    marks.write_by_hand_template(by_hand, found)
    built = marks.build(folder, by_hand, database)
    assert not built.problems
    stored = dict(rows(database, "SELECT student, points FROM marks"))
    assert stored == dict.fromkeys(NAMES, 0) | {"eve": None}
    assert rows(database, "SELECT COUNT(*) FROM parts WHERE points IS NULL") == [(len(NAMES),)]
    assert rows(database, "SELECT problem FROM marks WHERE student = 'eve'")[0][0].startswith(
        "the file"
    )


def test_the_same_marks_give_the_same_bytes_in_whichever_order_they_were_graded(places, tmp_path):
    _, by_hand, database = places
    found = graded.a_class(20)
    contents = set()
    for i, order in enumerate([found, found[::-1]]):
        folder = graded.kept(tmp_path / str(i), order)
        for slow in order[:5]:  # graded again, slower
            results.save(folder, results.Result(**{**vars(slow), "seconds": 9.0 + i}))
        marks.build(folder, by_hand, database)
        contents.add(database.read_bytes())
    assert len(contents) == 1


def test_a_damaged_result_is_reported_and_the_others_count(places):
    folder, by_hand, database = places
    graded.kept(folder, [graded.result(name) for name in ("ada", "bob", "cid", "dee", "eli")])
    spoil(folder, "bob", lambda text: text[: len(text) // 2])
    spoil(folder, "cid", lambda text: text.replace('"max_points": 3', '"max_points": "many"', 1))
    spoil(folder, "dee", lambda text: text.replace('"dee"', '"ada"'))
    spoil(folder, "eli", lambda text: text.replace('"points": 3', '"points": NaN', 1))
    (folder / CHAPTER / ".ada.running.json").write_text("half")
    built = marks.build(folder, by_hand, database)
    assert [mark.student for mark in built.marks] == ["ada"]
    assert len(built.problems) == 4
    assert all("delete it, and grade again" in problem for problem in built.problems)


def spoil(folder, student, change):
    path = results.path_of(folder, CHAPTER, student)
    path.write_text(change(path.read_text("utf-8")), "utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"student": "a\ud800"}, {"student": 7}, {"verdicts": 3}, {"verdicts": [{}]}, {"status": "fine"},
        {"status": []}, {"problem": None}, {"chapter": None},
    ],
)  # fmt: skip
def test_a_result_of_wrong_types_is_damaged_and_no_traceback(places, change):
    folder, by_hand, database = places
    path = results.save(folder, graded.result("ada"))
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change))
    built = marks.build(folder, by_hand, database)
    assert built.marks == [] and len(built.problems) == 1


def test_points_for_nobody_and_marks_out_of_something_else_are_told(places):
    folder, by_hand, database = places
    graded.kept(folder, [graded.result("ada"), graded.result("bob", ["right"] * 3)])
    by_hand.parent.mkdir()
    by_hand.write_text(HEADER + "adda,written_04,2,\n")
    told = " ".join(marks.build(folder, by_hand, database).problems)
    assert "by_hand.csv gives adda points for written_04, and there is no such submission" in told
    assert "bob" in told and "out of 10 points, others out of 13" in told


def test_a_mistake_by_hand_leaves_the_database_as_it_was(places):
    folder, by_hand, database = places
    graded.kept(folder, [graded.result("ada")])
    marks.build(folder, by_hand, database)
    before = database.read_bytes()
    by_hand.write_text(HEADER + "ada,written_04,99,\n")
    with pytest.raises(ValueError, match="line 2"):
        marks.build(folder, by_hand, database)
    assert database.read_bytes() == before


def test_one_writer_at_a_time(places, monkeypatch):
    folder, by_hand, database = places
    graded.kept(folder, [graded.result("ada")])
    database.parent.mkdir()
    monkeypatch.setattr(marks, "LOCK_SECONDS", 0.05)
    with FileLock(str(database) + ".lock"), pytest.raises(RuntimeError, match="another process"):
        in_a_thread(lambda: marks.build(folder, by_hand, database))
    assert not database.exists()


def in_a_thread(work):  # a lock of one's own thread would be entered again
    caught = []

    def run():
        try:
            work()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for error in caught:
        raise error
