"""Exports round-trip: every name survives, every other cell stays, and nothing undecided becomes 0."""

import csv
import io
import json
import os
import subprocess
import zipfile

import graded
import pytest
from graded import CHAPTER, NAMES, WRITTEN
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu.grading import marks
from maml_edu.grading.exports import gradescope, lms, marks_table, nbgrader, tables
from maml_edu.grading.exports.lms import How
from maml_edu.grading.exports.tables import Sheet
from maml_edu.grading.marks import Given, Mark


def mark(student, points=11.5, waiting=(), status="graded", of=13.0):
    parts = {} if points is None else {"04.meta_slope": points}
    parts |= dict.fromkeys(waiting)
    return Mark(student, CHAPTER, status, points, of, list(waiting), parts)


def lines(path):
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


# ------------------------------------------------------------------ our own table


def test_a_table_of_marks_round_trips_with_every_name(tmp_path):
    found = [mark(name) for name in NAMES]
    found += [mark("waits", 3.0, [WRITTEN]), mark("lost", None, status="rejected")]
    found += [
        Mark("other", "07_maml_in_numpy", "graded", 0.0, 3.0, [], {"07.evaluate": 0.0}, False)
    ]
    path = tmp_path / "exports" / "marks.csv"
    marks_table.csv_table(found, path)
    assert marks_table.read_csv_table(path) == sorted(found, key=lambda m: (m.chapter, m.student))


def test_no_cell_of_the_table_is_a_formula_and_numbers_stay_numbers(tmp_path):
    path = tmp_path / "marks.csv"
    marks_table.csv_table(
        [mark(name) for name in NAMES] + [mark("lost", None, status="rejected")], path
    )
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # by which Excel knows UTF-8
    header, *rows = lines(path)
    assert not any(cell.startswith(tuple("=+-@\t\r")) for row in [header, *rows] for cell in row)
    assert "'=cmd|x" in [row[0] for row in rows] and "李雷" in [row[0] for row in rows]
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert (by_name["李雷"]["points"], by_name["李雷"]["max_points"]) == ("11.5", "13")
    assert by_name["lost"]["points"] == ""


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "marks.csv"
    for text in (
        "a,b\n1,2\n",
        ",".join(marks_table.HEADER) + "\nada,04,graded,,13,,yes,many,13,\n",
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not a table of marks"):
            marks_table.read_csv_table(path)


# ------------------------------------------------------------------ tables of others


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@given(
    st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1),
    st.sampled_from(",;\t"),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_a_sheet_reads_what_csv_wrote_and_gives_it_back_byte_for_byte(
    tmp_path_factory, rows, delimiter, quote
):
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    head = ["a", "b", "c", "d"]
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows([head, *rows])
    path = tmp_path_factory.mktemp("sheet") / "t.csv"
    path.write_bytes(text.getvalue().encode())
    sheet = Sheet.of(path)
    assert sheet.text() == text.getvalue()
    values = [[sheet.value(i, j) for j in range(len(row))] for i, row in enumerate(sheet.cells)]
    assert values[1 : len(rows) + 1] == rows
    sheet.set(1, 5, 'new, "one"')
    assert sheet.value(1, 5) == 'new, "one"' and sheet.cells[2:] == Sheet.of(path).cells[2:]


def test_a_quote_that_is_never_closed_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,2\n"x,3\n' + "y" * 100_000)
    with pytest.raises(ValueError, match="line 3: a quote is not closed"):
        Sheet.of(path)


# ------------------------------------------------------------------ Canvas

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Notes,Chapter 04 (1234),Quiz (99),Final Score\r\n"
    ",,,,,,Manual Posting,,\r\n"
    "    Points Possible,,,,,,13.00,5.00,(read only)\r\n"
    '"Silva, Jr",1,s1,jsilva,"A, B","a ""note""",,4.00,\r\n'
    '"=""=cmd|x""",2,s2,cmdx@uni.example,A,,7.00,,\r\n'
    "李雷,3,s3,LiLei,A,=1+1,,N/A,81.2\r\n"
    '"O\'Brien, Bob ""B""",0004,s4,bob,A,,5.5,,\r\n'
    '"Lovelace, Ada",5,s5,ada,A,,EX,,\r\n'
    "Nobody,6,s6,nobody,A,,3.0,,\r\n"
    '"Student, Test",7,,abc123,A,,,,\r\n'
)


@pytest.fixture
def canvas(tmp_path):
    path = tmp_path / "canvas.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CANVAS.encode())
    return path


def changed(before, after):
    """(row, column) → new value, of the cells that are not the same byte for byte."""
    old, new = Sheet.of(before), Sheet.of(after)
    assert (old.ends, old.mark, old.delimiter) == (new.ends, new.mark, new.delimiter)
    return {
        (i, j): new.value(i, j)
        for i, row in enumerate(new.cells)
        for j in range(max(len(row), len(old.cells[i])))
        if old.cells[i][j : j + 1] != row[j : j + 1]
    }


def imported(path):
    """Login or name → the cell of the assignment, as Canvas reads the file; its columns."""
    sheet = Sheet.of(path)
    rows = range(1, len(sheet.cells))
    cells = {
        sheet.value(i, 3) or sheet.value(i, 0): sheet.value(i, len(sheet.header) - 1) for i in rows
    }
    return cells, sheet.header


HEADS = {"": "Manual Posting", "    Points Possible": "13.00"}


def test_canvas_gets_the_marks_in_one_column_and_nothing_that_could_set_others_back(
    canvas, tmp_path
):
    path = tmp_path / "out.csv"
    found = [
        mark("jsilva"), mark("cmdx@uni.example", 3.0), mark("lilei", 0.0), mark("bob", None, status="rejected"),
        mark("ada"), mark("stranger"),
    ]  # fmt: skip
    filled = lms.canvas(found, canvas, "Chapter 04", path)
    cells, header = imported(path)
    assert cells == HEADS | {"jsilva": "11.5", "cmdx@uni.example": "3", "LiLei": "0"}
    assert header[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert header[5:] == ["Chapter 04 (1234)"]  # neither notes nor other assignments
    assert path.read_bytes().startswith(b"\xef\xbb\xbf") and b'"=""=cmd|x"""' in path.read_bytes()
    assert filled.matched_by == "SIS Login ID"
    assert filled.changed == {"cmdx@uni.example": "7.00, now 3"}
    assert filled.written == ["cmdx@uni.example", "jsilva", "lilei"]
    assert filled.left == {"bob": "could not be graded (rejected)", "ada": "excused in Canvas"}
    assert filled.unknown == ["stranger"] and filled.without == ["Nobody"]


def test_canvas_students_are_found_by_whichever_column_has_most_of_them(canvas, tmp_path):
    path = tmp_path / "out.csv"
    names = ["Silva, Jr", "=cmd|x", "李雷", "Ada Lovelace"]
    filled = lms.canvas([mark(name) for name in names], canvas, "1234", path)
    assert filled.matched_by == "Student" and len(filled.written) == 3
    assert filled.left == {"Ada Lovelace": "excused in Canvas"}
    filled = lms.canvas([mark(n) for n in ("s1", "s2")], canvas, "Chapter 04 (1234)", path)
    assert filled.matched_by == "SIS User ID"
    filled = lms.canvas([mark("0004"), mark("ada")], canvas, "1234", path, How(match="id"))
    assert (filled.written, filled.unknown) == (["0004"], ["ada"])


def test_a_mark_that_waits_for_a_person_is_left_unless_asked_for(canvas, tmp_path):
    path = tmp_path / "out.csv"
    found = [mark("bob", 9.0, [WRITTEN])]
    filled = lms.canvas(found, canvas, "1234", path)
    assert imported(path)[0] == HEADS and filled.left == {"bob": "waits for a person: written_04"}
    lms.canvas(found, canvas, "1234", path, How(partial=True))
    assert imported(path)[0] == HEADS | {"bob": "9"}


def test_nobody_gets_a_mark_of_somebody_who_is_called_alike(canvas, tmp_path):
    path = tmp_path / "out.csv"
    # cmdx@other.example is not cmdx@uni.example; two submissions for one row, two rows for one name.
    filled = lms.canvas([mark("cmdx@other.example"), mark("bob")], canvas, "1234", path)
    assert filled.unknown == ["cmdx@other.example"]
    filled = lms.canvas([mark("bob"), mark("BOB"), mark("jsilva")], canvas, "1234", path)
    assert set(filled.left) == {"bob", "BOB"}
    assert imported(path)[0] == HEADS | {"jsilva": "11.5"}
    canvas.write_text(CANVAS.replace("nobody", "jsilva"), newline="")
    filled = lms.canvas([mark("bob"), mark("jsilva")], canvas, "1234", path)
    assert "more than one row" in filled.left["jsilva"] and filled.written == ["bob"]


def test_canvas_says_what_does_not_fit_and_writes_nothing(canvas, tmp_path):
    path = tmp_path / "out.csv"
    for arguments, says in [
        (
            {"assignment": "Chapter 05"},
            "no assignment 'Chapter 05'.*'Chapter 04 .1234.', 'Quiz .99.'",
        ),
        ({"assignment": "Quiz"}, "5 points are possible there, and the marks are out of 13"),
        ({"assignment": "1234", "how": How(match="Login")}, "has no column 'Login'"),
        ({"assignment": "1234", "found": [mark("x"), mark("y")]}, "has none of the 2 students"),
        (
            {"assignment": "1234", "found": [mark("ada"), Mark("ada", "07_x", "graded", 1, 1)]},
            "one chapter",
        ),
    ]:
        arguments = {"found": [mark("bob")], "exported": canvas, "path": path} | arguments
        with pytest.raises(ValueError, match=says):
            lms.canvas(**arguments)
        assert not path.exists()
    lms.canvas([mark("bob", 6.5)], canvas, "Quiz", path, How(scale=True))
    assert imported(path)[0]["bob"] == "2.5"


def test_canvas_with_semicolons_and_decimal_commas(tmp_path):
    exported, path = tmp_path / "in.csv", tmp_path / "out.csv"
    exported.write_text(
        "Student;ID;SIS Login ID;Section;Chapter 04 (1234)\nPoints Possible;;;;13,00\n李雷;1;ll;A;\n"
    )
    lms.canvas([mark("ll")], exported, "1234", path)
    assert path.read_text() == (
        "Student;ID;SIS Login ID;Section;Chapter 04 (1234)\nPoints Possible;;;;13,00\n李雷;1;ll;A;11.5\n"
    )


# ------------------------------------------------------------------ Moodle

MOODLE = (
    'Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",'
    '"Last modified (submission)","Last modified (grade)","Feedback comments"\n'
    'Participant 101,"Silva, Jr",silva@uni.example,"Submitted for grading",,13.00,Yes,"Monday, 2 March",-,\n'
    "Participant 102,=cmd|x,x@uni.example,-,,13.00,Yes,-,-,old\n"
    'Participant 103,李雷,li@uni.example,-,"7,5","13,00",Yes,-,-,\n'
    'Participant 104,"O\'Brien ""Bob""",bob@uni.example,-,,13.00,No,-,-,\n'
    "Participant 105,Nobody,n@uni.example,-,4.00,13.00,Yes,-,-,\n"
)


@pytest.fixture
def moodle(tmp_path):
    path = tmp_path / "moodle.csv"
    path.write_bytes(MOODLE.encode())
    return path


def test_moodle_gets_marks_and_comments_and_every_other_cell_stays(moodle, tmp_path):
    path = tmp_path / "out.csv"
    names = ["Silva, Jr", "=cmd|x", "李雷", 'O\'Brien "Bob"', "stranger"]
    comments = {"李雷": "3 of 3 points\n<b>well</b> done", "=cmd|x": "more", "Silva, Jr": "=1+1"}
    filled = lms.moodle([mark(name) for name in names], moodle, path, comments=comments)
    assert changed(moodle, path) == {
        (1, 4): "11.5", (1, 9): "Feedback: =1+1", (2, 4): "11.5", (3, 4): "11.5",
        (3, 9): "3 of 3 points<br>&lt;b&gt;well&lt;/b&gt; done",
    }  # fmt: skip
    assert filled.matched_by == "Full name"
    assert filled.left == {'O\'Brien "Bob"': "locked in Moodle"}
    assert filled.kept == ["=cmd|x"]  # a person's comment
    assert filled.changed == {"李雷": "7,5, now 11.5"}
    assert filled.unknown == ["stranger"] and filled.without == ["Nobody"]


def test_moodle_students_are_found_by_address_or_number(moodle, tmp_path):
    path = tmp_path / "out.csv"
    filled = lms.moodle([mark("silva@UNI.example"), mark("li")], moodle, path)
    assert filled.matched_by == "Email address" and len(filled.written) == 2
    assert lms.moodle([mark("101")], moodle, path).matched_by == "Identifier"
    with pytest.raises(ValueError, match="has no column 'Bewertung'"):
        lms.moodle([mark("101")], moodle, path, columns={"grade": "Bewertung"})


def test_moodle_marks_are_scaled_only_when_asked(moodle, tmp_path):
    path = tmp_path / "out.csv"
    moodle.write_text(MOODLE.replace("13.00", "100.00"))
    with pytest.raises(ValueError, match="100 points are possible there"):
        lms.moodle([mark("101")], moodle, path)
    lms.moodle([mark("101", 11.0)], moodle, path, How(scale=True))
    assert changed(moodle, path) == {(1, 4): "84.62"}


# ------------------------------------------------------------------ Gradescope


def test_gradescope_gets_points_and_words_in_its_own_form():
    result = graded.result("ada", ["right", "wrong", "not done", "timeout"], "why <b>")
    content = gradescope.results_json(result)
    assert content["score"] == 3 and "3 of 13 points so far" in content["output"]
    right, wrong, *_, written = content["tests"]
    assert (right["score"], right["max_score"], right["status"]) == (3, 3, "passed")
    assert (wrong["score"], wrong["max_score"], wrong["status"]) == (0, 3, "failed")
    assert "why <b>" in wrong["output"] and "check()" in wrong["output"]
    assert not {"score", "max_score", "status"} & set(written)
    assert written["output"] == "graded by hand, in a question of its own: up to 2 points"
    assert {test["visibility"] for test in content["tests"]} == {"visible"}
    assert {test["output_format"] for test in content["tests"]} == {"text"}
    assert (
        gradescope.results_json(result, visibility="after_published")["visibility"]
        == "after_published"
    )
    assert gradescope.results_json(result, {("ada", WRITTEN): Given(2)})["score"] == 5
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize(
    "result",
    [
        graded.rejected(),
        graded.result("ada", status="grader-error"),
        graded.result("ada", ["right", "grader-error", "right", "right"]),
    ],
)
def test_gradescope_gets_no_score_for_what_could_not_be_graded(result):
    content = gradescope.results_json(result)
    assert '"score"' not in json.dumps(content)
    assert "not a mark of 0" in content["output"]


@pytest.mark.parametrize("text", [*graded.HOSTILE, *NAMES])
def test_gradescope_shows_hostile_text_as_text(text):
    content = gradescope.results_json(graded.result(text, ["wrong"] * 4, text, notes=[text]))
    json.dumps(content, ensure_ascii=False).encode()
    assert content["output_format"] == content["test_output_format"] == "text"


def test_the_autograder_bundle_is_the_same_bytes_and_can_be_run(tmp_path):
    wheel = tmp_path / "maml_edu-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    paths = [tmp_path / "a.zip", tmp_path / "deep" / "b.zip"]
    for path in paths:
        gradescope.bundle(path, CHAPTER, "secret", wheel=wheel)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        modes = {i.filename: i.external_attr >> 16 & 0o777 for i in archive.infolist()}
        run, setup = (archive.read(name).decode() for name in ("run_autograder", "setup.sh"))
        assert archive.read("seed") == b"secret"
    assert modes == {
        "run_autograder": 0o755, "setup.sh": 0o755, "seed": 0o600, wheel.name: 0o644, "constraints.txt": 0o644,
    }  # fmt: skip
    assert "/autograder/source/maml_edu-1-py3-none-any.whl" in setup
    words = ("grade /autograder/submission", f"--chapter {CHAPTER}", "--seed-file", "--gradescope")
    assert all(word in run for word in words) and "--allow-unsandboxed" not in run
    for script in (run, setup):
        assert script.startswith("#!/usr/bin/env bash\n")
        assert (
            "//" not in script.replace("https://download.pytorch.org/whl/cpu", "")
            and str(tmp_path) not in script
            and os.path.expanduser("~") not in script
        )
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_bundle_says_what_it_installs_and_refuses_a_chapter_that_is_none(tmp_path):
    path = tmp_path / "a.zip"
    gradescope.bundle(path, CHAPTER, "secret", allow_unsandboxed=True)
    with zipfile.ZipFile(path) as archive:
        assert b"maml_edu==" in archive.read("setup.sh")
        assert b"--allow-unsandboxed" in archive.read("run_autograder")
    for chapter in ("04_x; rm -rf ~", "../04_x", "04", "04_x\n"):
        with pytest.raises(ValueError, match="is no chapter"):
            gradescope.bundle(path, chapter, "secret")


@pytest.mark.parametrize(
    ("chapter", "torch"),
    [(CHAPTER, False), ("12_what_did_it_learn", False), ("08_maml_in_pytorch", True)],
)
def test_the_image_gets_pytorch_only_where_a_chapter_needs_it_and_never_cuda(
    tmp_path, chapter, torch
):
    gradescope.bundle(tmp_path / "a.zip", chapter, "secret")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        setup, pinned = (archive.read(n).decode() for n in ("setup.sh", "constraints.txt"))
    subprocess.run(["bash", "-n"], input=setup, text=True, check=True)
    commands = [line for line in setup.splitlines() if line.startswith("pip ")]
    assert ("torch" in "".join(commands)) is torch and ("\ntorch==" in pinned) is torch
    assert not torch or commands[0].startswith(
        "pip --index-url https://download.pytorch.org/whl/cpu torch"
    )
    assert "pip --no-deps" in commands[-1]  # or the whole of JupyterLab comes along
    assert "jupyterlab" not in setup and "+" not in pinned and "numpy==" in pinned


def test_a_private_check_of_pytorch_brings_pytorch(tmp_path):
    private = tmp_path / "04.py"
    private.write_text("import torch\n")
    assert gradescope.needs_torch(CHAPTER, private) and not gradescope.needs_torch(CHAPTER)


def test_a_notebook_that_mentions_pytorch_is_graded_where_there_is_none(tmp_path, monkeypatch):
    import class_folder

    from maml_edu.grading import judge, submission

    path = tmp_path / f"{CHAPTER}.ipynb"
    path.write_text(json.dumps(class_folder.notebook("import torch")))
    attempt = [judge.Boxes(), submission.read(path), judge.task_of(CHAPTER), judge.Times()]
    assert judge.Attempt(*attempt).kind == "torch"
    monkeypatch.setattr(judge, "find_spec", lambda name: None)  # as in Gradescope's image
    assert judge.Attempt(*attempt).kind == "numpy"


def test_results_are_hidden_until_the_due_date_unless_asked_for(tmp_path):
    for visible in (False, True):
        gradescope.bundle(tmp_path / "a.zip", CHAPTER, "secret", visible=visible)
        with zipfile.ZipFile(tmp_path / "a.zip") as archive:
            assert (b"--visibility after_due_date" in archive.read("run_autograder")) is not visible
    gradescope.write_results(graded.result(), tmp_path / "r.json", "after_due_date")
    content = json.loads((tmp_path / "r.json").read_text())
    told = {content["visibility"], *(test["visibility"] for test in content["tests"])}
    assert told == {"after_due_date"}
    with pytest.raises(ValueError, match="not 'tomorrow'"):
        gradescope.write_results(graded.result(), tmp_path / "r.json", "tomorrow")


def test_the_command_says_how_the_assignment_must_be_set_up():
    text = "\n".join(gradescope.setting_up(CHAPTER))
    assert "Autograder points: 18" in text and "worth 2 points for written_04" in text
    assert "after the due date" in text and "--visible" in text
    assert "at once" in "\n".join(gradescope.setting_up(CHAPTER, visible=True))


# ------------------------------------------------------------------ nbgrader


def test_nbgraders_gradebook_shows_the_marks_and_what_waits(tmp_path):
    api = pytest.importorskip("nbgrader.api")
    from sqlalchemy.engine import URL

    found = [graded.result(name, ["right", "wrong", "right", "not done"]) for name in NAMES]
    found += [
        graded.rejected("eve"),
        graded.result("ida", ["right", "grader-error", "right", "right"]),
    ]
    by_hand = {("李雷", WRITTEN): Given(1.5, "Good."), ("李雷", "04.best_start"): Given(2)}
    database = tmp_path / "what? #1" / "gradebook.db"
    for _ in range(2):  # again changes nothing
        nbgrader.fill_gradebook(marks.of(found, by_hand), found, database, by_hand)

    with api.Gradebook(URL.create("sqlite", database=str(database))) as book:
        grades = {s.student.id: s for s in book.assignment_submissions(CHAPTER)}
        assert set(grades) == {*NAMES, "eve", "ida"}
        assert grades["=cmd|x"].score == 5 and grades["=cmd|x"].max_score == 13
        assert grades["=cmd|x"].needs_manual_grade
        assert grades["李雷"].score == 8.5 and not grades["李雷"].needs_manual_grade
        assert book.find_comment(WRITTEN, CHAPTER, CHAPTER, "李雷").comment == "Good."
        best = book.find_grade("check_best_start", CHAPTER, CHAPTER, "李雷")
        assert (best.auto_score, best.manual_score) == (0, 2)
        lost = [
            book.find_grade(cell, CHAPTER, CHAPTER, "eve") for cell in ("check_meta_slope", WRITTEN)
        ]
        assert all(grade.auto_score is None and grade.needs_manual_grade for grade in lost)
        assert book.find_grade(
            "check_numeric_meta_slope", CHAPTER, CHAPTER, "ida"
        ).needs_manual_grade
        read = book.find_grade(WRITTEN, CHAPTER, CHAPTER, "=cmd|x")
        read.manual_score, read.needs_manual_grade = 2, False  # in the formgrader
        book.db.commit()

    nbgrader.fill_gradebook(marks.of(found, by_hand), found, database, by_hand)
    with api.Gradebook(URL.create("sqlite", database=str(database))) as book:
        assert book.find_submission(CHAPTER, "=cmd|x").score == 7
        assert not book.find_submission(CHAPTER, "=cmd|x").needs_manual_grade


def test_a_gradebook_that_is_none_is_refused(tmp_path):
    pytest.importorskip("nbgrader.api")
    database = tmp_path / "gradebook.db"
    database.write_bytes(b"not a database, and long enough to be read as one" * 50)
    with pytest.raises(RuntimeError, match="is it not nbgrader's gradebook"):
        nbgrader.fill_gradebook([], [graded.result()], database)


def test_the_names_of_cells_are_those_of_the_course():
    assert nbgrader.grade_cell("04.meta_slope") == "check_meta_slope"
    assert nbgrader.grade_cell(WRITTEN) == WRITTEN
    assert tables.number(3.0) == 3 and tables.number(0.1 + 0.2) == 0.3
