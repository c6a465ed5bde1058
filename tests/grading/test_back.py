"""What goes back finds its student: by number first, in any language, and never somebody else's row."""

import csv
import io
import json
import re
import zipfile

import class_folder
import graded
import pytest
from graded import CHAPTER, WRITTEN

from maml_edu.grading import exports, give_back
from maml_edu.grading.exports import Into, lms, who
from maml_edu.grading.exports.lms import How
from maml_edu.grading.exports.tables import Sheet
from maml_edu.grading.exports.who import HandIn, Known
from maml_edu.grading.marks import Mark
from maml_edu.grading.people import Student

HEAD = {
    "en": 'Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",'
    '"Last modified (submission)","Last modified (grade)","Feedback comments"',
    "de": 'ID,"Vollständiger Name",E-Mail-Adresse,Status,Bewertung,Bestwertung,"Bewertung kann geändert werden",'
    '"Zuletzt geändert (Abgabe)","Zuletzt geändert (Bewertung)","Feedback als Kommentar"',
    "fr": 'Identifiant,"Nom complet","Adresse de courriel",Statut,Note,"Note maximale",'
    '"La note peut être modifiée","Dernière modification (travail remis)","Dernière modification (note)",'
    '"Feedback par commentaires"',
    "zh": "编号,全名,电子邮件地址,状态,成绩,最高分,可以更改成绩,上次修改（提交）,上次修改（成绩）,反馈评语",
}
WORD = {"en": ("Participant ", "Yes", "No"), "de": ("Teilnehmer/in", "Ja", "Nein"),
        "fr": ("Participant", "Oui", "Non"), "zh": ("参与者", "是", "否")}  # fmt: skip


def worksheet(path, language="en", rows=None, top="13.00"):
    """A worksheet of Moodle's; rows: (number, name, email, grade)."""
    word, yes, no = WORD[language]
    rows = rows or [(20056, "N N", "n1@x.org", ""), (20063, "N N", "n2@x.org", "5.00"),
                    (20070, "Ada Lovelace", "ada@x.org", "")]  # fmt: skip
    lines = [HEAD[language]]
    for number, name, email, grade in rows:
        may = no if name == "Locked" else yes
        lines.append(
            f'{word}{number},"{name}",{email},-,{grade},"{top}",{may},"1. Mai 2026, 10:00",-,'
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def mark(student, points=11.0, waiting=(), chapter=CHAPTER, status="graded"):
    parts = {} if points is None else {"04.meta_slope": points}
    return Mark(
        student, chapter, status, points, 13.0, list(waiting), parts | dict.fromkeys(waiting)
    )


def grades(path):
    sheet = Sheet.of(path)
    return {
        sheet.value(i, 0): sheet.value(i, 4)
        for i in range(1, len(sheet.cells))
        if sheet.value(i, 0)
    }


# ------------------------------------------------------------------ Moodle: who is who


def test_both_namesakes_get_their_own_mark_by_the_number_of_the_download(tmp_path):
    known = Known({}, {"N N": HandIn({"moodle": "20056"}), "N N_2": HandIn({"moodle": "20063"})})
    found = [mark("N N", 13), mark("N N_2", 2), mark("Ada Lovelace", 7)]
    filled = lms.moodle(found, worksheet(tmp_path / "w.csv"), tmp_path / "out.csv", How(known))
    assert grades(tmp_path / "out.csv") == {
        "Participant 20056": "13", "Participant 20063": "2", "Participant 20070": "7",
    }  # fmt: skip
    assert filled.unknown == [] and filled.without == [] and filled.left == {}
    assert filled.changed == {"N N_2": "5.00, now 2"}


def test_a_group_s_worksheet_gives_nobody_the_mark_of_a_namesake(tmp_path):
    path = worksheet(tmp_path / "w.csv", rows=[(20056, "N N", "n1@x.org", "")])
    known = Known({}, {"N N": HandIn({"moodle": "20063"})})  # of the other group
    with pytest.raises(ValueError, match="has none of the 1 students"):
        lms.moodle([mark("N N", 2)], path, tmp_path / "out.csv", How(known))
    assert not (tmp_path / "out.csv").exists()
    # By the list alone: two people of that name, one row.
    people = {k: Student(k, "N N", e) for k, e in (("nn", "other@x.org"), ("nn2", "else@x.org"))}
    filled = lms.moodle([mark("nn"), mark("nn2")], path, tmp_path / "out.csv", How(Known(people)))
    assert set(filled.left) == {"nn", "nn2"} and grades(tmp_path / "out.csv") == {
        "Participant 20056": ""
    }


def test_the_list_of_students_tells_namesakes_apart_by_address(tmp_path):
    people = {k: Student(k, "N N", e) for k, e in (("nn", "n2@x.org"), ("nn2", "N1@X.org"))}
    filled = lms.moodle(
        [mark("nn", 1), mark("nn2", 2)],
        worksheet(tmp_path / "w.csv"),
        tmp_path / "out.csv",
        How(Known(people)),
    )
    assert grades(tmp_path / "out.csv")["Participant 20056"] == "2"
    assert grades(tmp_path / "out.csv")["Participant 20063"] == "1"
    assert filled.without == ["Ada Lovelace"]


def test_namesakes_that_nothing_tells_apart_are_left_and_not_said_to_have_handed_in_nothing(
    tmp_path,
):
    found = [mark("N N", 2), mark("Ada Lovelace")]
    filled = lms.moodle(found, worksheet(tmp_path / "w.csv"), tmp_path / "out.csv")
    assert "more than one row" in filled.left["N N"] and filled.without == []
    assert grades(tmp_path / "out.csv")["Participant 20063"] == "5.00"


def test_a_number_against_the_list_is_a_contradiction_and_gives_no_mark(tmp_path):
    people = {"ada": Student("ada", "Ada Lovelace", "ada@x.org")}
    known = Known(people, {"ada": HandIn({"moodle": "20063"})})
    filled = lms.moodle(
        [mark("ada")], worksheet(tmp_path / "w.csv"), tmp_path / "out.csv", How(known)
    )
    assert "20063 is one row there, and its name or address another" in filled.left["ada"]
    assert grades(tmp_path / "out.csv")["Participant 20063"] == "5.00" and filled.without == [
        "N N (Participant 20056)"
    ]


def test_names_with_accents_in_either_form_are_one(tmp_path):
    path = worksheet(tmp_path / "w.csv", rows=[(1, "Zoe\u0301 Ha\u0308user", "z@x.org", "")])
    lms.moodle([mark("Zoé Häuser")], path, tmp_path / "out.csv")
    assert grades(tmp_path / "out.csv") == {"Participant 1": "11"}


# ------------------------------------------------------------------ Moodle: any language


@pytest.mark.parametrize("language", HEAD)
def test_the_columns_of_a_worksheet_are_found_in_any_language(tmp_path, language):
    path = worksheet(
        tmp_path / "w.csv", language, [(5, "Ada", "ada@x.org", ""), (6, "Locked", "l@x.org", "")]
    )
    filled = lms.moodle(
        [mark("Ada"), mark("Locked")],
        path,
        tmp_path / "out.csv",
        comments={"Ada": "11 of 13 points"},
    )
    sheet = Sheet.of(tmp_path / "out.csv")
    assert (sheet.value(1, 4), sheet.value(1, 9), sheet.value(2, 4)) == (
        "11",
        "11 of 13 points",
        "",
    )
    assert filled.left == {"Locked": "locked in Moodle"}


def test_headings_can_be_chosen_and_a_table_without_a_grade_is_refused(tmp_path):
    path, out = tmp_path / "w.csv", tmp_path / "out.csv"
    path.write_text("Wer;Punkte;Bemerkung\nada;;\nbob;;\n", encoding="utf-8")
    with pytest.raises(ValueError, match="--columns grade=HEADING"):
        lms.moodle([mark("ada")], path, out)
    columns = {"student": "Wer", "grade": "Punkte", "comment": "Bemerkung"}
    lms.moodle([mark("ada")], path, out, comments={"ada": "gut"}, columns=columns)
    assert out.read_text(encoding="utf-8") == "Wer;Punkte;Bemerkung\nada;11;gut\nbob;;\n"
    with pytest.raises(ValueError, match="knows student, grade, maximum, comment, not marke"):
        lms.moodle([mark("ada")], path, out, columns={"marke": "Punkte"})


def test_dates_are_not_taken_for_comments(tmp_path):
    path = worksheet(tmp_path / "w.csv", "de")
    path.write_text(
        re.sub(r",[^,]*$", "", path.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8"
    )
    comments = {"Ada Lovelace": "11 of 13 points"}
    lms.moodle([mark("Ada Lovelace")], path, tmp_path / "out.csv", comments=comments)
    assert "11 of" not in (tmp_path / "out.csv").read_text(encoding="utf-8")


def test_comments_of_ours_are_renewed_and_those_of_a_person_stay(tmp_path):
    path, out = worksheet(tmp_path / "w.csv"), tmp_path / "out.csv"
    lms.moodle([mark("Ada Lovelace")], path, out, comments={"Ada Lovelace": "11 of 13 points\nold"})
    lms.moodle([mark("Ada Lovelace")], out, path, comments={"Ada Lovelace": "11 of 13 points\nnew"})
    assert Sheet.of(path).value(3, 9) == "11 of 13 points<br>new"


# ------------------------------------------------------------------ Canvas

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Notes,Chapter 04 (12),Quiz (99)\n"
    "    Points Possible,,,,,,13.00,5.00\n"
    '"N, N",509,s1,nn,A,x,5.00,4\n'
    '"Lovelace, Ada",510,s2,ada,A,y,,3\n'
    '"Nobody, Nina",511,s3,nina,A,z,,2\n'
    '"Nobody, Nina",512,s4,nina2,A,z,,2\n'
    '"Student, Test",777,,5f0c,A,,,\n'
)


def test_canvas_finds_by_its_number_says_what_it_overwrites_and_who_has_handed_in_nothing(tmp_path):
    path, out = tmp_path / "c.csv", tmp_path / "out.csv"
    path.write_text(CANVAS)
    known = Known({}, {"who knows": HandIn({"canvas": "510"})})
    found = [mark("who knows", 3), mark("nn_509_880027", 4), mark("studenttest_777")]
    filled = lms.canvas(found, path, "Chapter 04", out, How(known))
    assert out.read_text().splitlines()[2:] == [
        '"N, N",509,s1,nn,A,4',
        '"Lovelace, Ada",510,s2,ada,A,3',
    ]
    assert "another mark was there: nn_509_880027: 5.00, now 4" in filled.lines
    assert filled.left == {"studenttest_777": "Canvas's own test student, who takes no marks"}
    assert filled.without == ["Nobody, Nina (511)", "Nobody, Nina (512)"] and filled.unknown == []


@pytest.mark.parametrize(
    "people",
    [
        {"ada": Student("ada", login="x1"), "b": Student("b", "Lovelace, Ada", login="ada")},
        {"ada": Student("ada", email="a@x.org"), "b": Student("b", login="ada")},
        {"ada": Student("ada", "Ada", "a@x.org", "x1"), "b": Student("b", "Ada Lovelace")},
        {"ada": Student("ada", "Ada X", "ada@x.org"), "b": Student("b", "Ada L", login="ada")},
        {"ada": Student("ada", "Ada X", "ada@x.org", "x1"), "b": Student("b", "Ada L", login="b1")},
        {"ada": Student("ada"), "b": Student("b", number="s2")},
        {"ada": Student("ada"), "b": Student("b", canvas="510")},
        {"ada_510": Student("ada_510", "Ada X"), "b": Student("b", canvas="510")},
    ],
)
def test_nobody_gets_the_row_of_another_person_of_the_class(tmp_path, people):
    path, out = tmp_path / "c.csv", tmp_path / "out.csv"
    path.write_text(CANVAS)
    found = [mark(min(people), 3), mark("nn", 4)]
    filled = lms.canvas(found, path, "Chapter 04", out, How(Known(people)))
    assert out.read_text().splitlines()[2:] == ['"N, N",509,s1,nn,A,4']
    assert "Lovelace, Ada" in filled.without


def test_a_key_and_what_stands_before_the_at_tell_where_nothing_else_does(tmp_path):
    path, out = tmp_path / "c.csv", tmp_path / "out.csv"
    path.write_text(CANVAS)
    people = {"nn": Student("nn", "", "n@x.org"), "a": Student("a", "A L", "ada@x.org")}
    lms.canvas([mark("nn", 3), mark("a", 4)], path, "Chapter 04", out, How(Known(people)))
    assert [line[-1] for line in out.read_text().splitlines()[2:]] == ["3", "4"]


def test_a_maximum_is_the_same_in_binary_fractions(tmp_path):
    path, out = tmp_path / "c.csv", tmp_path / "out.csv"
    path.write_text(CANVAS.replace("13.00", "3.30"))
    own = Mark("nn", CHAPTER, "graded", 1.1, 1.1 + 2.2, [], {"04.meta_slope": 1.1})
    lms.canvas([own], path, "Chapter 04", out)
    assert out.read_text().splitlines()[2].endswith(",1.1")


def test_two_attachments_of_one_student_never_make_two_marks(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(CANVAS)
    found = [mark("nn_509_880027", 4), mark("nn_509_889998", 9), mark("ada")]
    filled = lms.canvas(found, path, "12", tmp_path / "out.csv")
    assert "more than one submission" in filled.left["nn_509_880027"] and filled.written == ["ada"]


# ------------------------------------------------------------------ Blackboard

BOARD = (
    '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Last Access"\t"Chapter 04 [Total Pts: 13 Score] |99"\n'
    '"N"\t"N"\t"nn"\t"1"\t"x"\t""\n"Lovelace"\t"Ada"\t"ada"\t"2"\t"x"\t"7.00"\n"No"\t"No"\t"no"\t"3"\t"x"\t""\n'
)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_blackboard_gets_one_column_in_its_own_encoding(tmp_path, encoding):
    path, out = tmp_path / "gc.xls", tmp_path / "out.xls"
    path.write_bytes(BOARD.encode(encoding))
    people = {"a": Student("a", "Ada Lovelace", login="ada"), "b": Student("b", number="1")}
    found = [mark("a"), mark("b", None, status="rejected")]
    filled = lms.blackboard(found, path, "Chapter 04", out, How(Known(people)))
    assert out.read_bytes()[:2] == path.read_bytes()[:2]
    assert out.read_bytes().decode(encoding) == (
        '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Chapter 04 [Total Pts: 13 Score] |99"\n'
        '"Lovelace"\t"Ada"\t"ada"\t"2"\t"11"\n'
    )
    assert filled.left == {"b": "could not be graded (rejected)"} and filled.without == ["no"]
    with pytest.raises(ValueError, match="no assignment 'Quiz'"):
        lms.blackboard(found, path, "Quiz", out)


# ------------------------------------------------------------------ the wide table


def test_the_wide_table_has_a_row_a_student_the_sums_and_no_0_for_what_has_no_mark(tmp_path):
    room = class_folder.folder(tmp_path)
    class_folder.roster(
        tmp_path,
        {
            "key": "ada",
            "name": "=Ada",
            "email": "ada@x.org",
            "login": "al",
            "number": "0007",
            "group": "G1",
        },
        {"key": "never", "name": "Never There"},
    )
    class_folder.hand_in(
        tmp_path, graded.result("ada", ["right", "wrong", "right", "right"], written=False)
    )
    class_folder.hand_in(tmp_path, graded.result("bob"))  # waits for a person
    class_folder.hand_in(tmp_path, graded.rejected("eve"))
    built = give_back.marks_of(room, [])
    lines = exports.write_export(room, built, "csv", None, Into(wide=True))
    text = (tmp_path / "exports" / "marks_wide.csv").read_bytes().decode("utf-8-sig")
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {"ada", "bob", "eve", "never"}
    assert (rows["ada"]["name"], rows["ada"]["number"], rows["ada"]["email"]) == (
        "'=Ada",
        "0007",
        "ada@x.org",
    )
    assert (rows["ada"]["raw"], rows["ada"]["points"], rows["ada"]["open"]) == ("8", "8", "")
    assert rows["ada"]["04.numeric_meta_slope"] == "0"
    assert (rows["bob"]["points"], rows["bob"]["open"]) == ("11", CHAPTER)
    assert rows["bob"][f"{CHAPTER} state"] == "waits for a person" and rows["bob"][WRITTEN] == ""
    assert (rows["eve"]["raw"], rows["eve"]["points"], rows["eve"]["open"]) == ("", "", CHAPTER)
    assert (rows["never"]["points"], rows["never"][f"{CHAPTER} state"]) == ("", "nothing handed in")
    assert "handed in nothing in all chapters: never" in lines


# ------------------------------------------------------------------ points that count

ROWS = [(1, "ada", "ada@x.org", "")]


def test_every_export_and_page_gives_the_points_that_count_and_says_why(tmp_path, monkeypatch):
    """A late penalty, as a policy would give: 11 as graded, 9 of 12 that count."""
    from maml_edu.grading.exports import ags, what_counts, wide
    from maml_edu.grading.pages import feedback

    for module in (what_counts, lms, ags, wide):
        monkeypatch.setattr(module, "points", lambda mark: 9.0)
        monkeypatch.setattr(module, "maximum", lambda mark: 12.0)
    monkeypatch.setattr(what_counts, "reasons", lambda mark: ["two days late: −2 <points>"])
    room = class_folder.folder(tmp_path)
    class_folder.hand_in(tmp_path, graded.result("ada", written=False))
    built = give_back.marks_of(room, [])
    path = worksheet(tmp_path / "w.csv", rows=ROWS, top="12.00")
    exports.write_export(room, built, "moodle", CHAPTER, Into(path))
    sheet = Sheet.of(tmp_path / "exports" / f"moodle_{CHAPTER}.csv")
    assert sheet.value(1, 4) == "9"
    assert sheet.value(1, 9).startswith("9 of 12 points<br>two days late: −2 &lt;points&gt;<br>")
    (score,) = ags.scores(built.marks, {"ada": "u"}, feedback.summaries(built))
    assert (score["scoreGiven"], score["scoreMaximum"]) == (9, 12) and "late" in score["comment"]
    exports.write_export(room, built, "csv", None, Into(wide=True))
    text = (tmp_path / "exports" / "marks_wide.csv").read_text("utf-8-sig").splitlines()[1]
    assert text.split(",")[7:10] == ["11", "9", "12"]
    (page,) = give_back.write_feedback(room, built)
    for name in (page, page.with_suffix(".ipynb")):
        text = name.read_text("utf-8")
        assert "9 of 12 points" in text and "two days late" in text and "11 of 11" not in text
    assert "−2 &lt;points&gt;" in page.read_text("utf-8")


# ------------------------------------------------------------------ zips of feedback


@pytest.fixture
def room(tmp_path):
    """Two namesakes from Moodle, one with an underscore, one of whom nothing is known; graded, fed back."""
    room = class_folder.folder(tmp_path)
    class_folder.roster(tmp_path, {"key": "nn", "name": "N N"}, {"key": "nn2", "name": "N N"},
                        {"key": "u", "name": "Test_Stu/dent"})  # fmt: skip
    for key, number in (("nn", "20056"), ("nn2", "20063"), ("u", "20070"), ("lost", None)):
        files = [f"{key}_{number}_889_04 (1).ipynb"]
        numbers = None if number is None else {"moodle": number, "canvas": number}
        class_folder.hand_in(
            tmp_path, graded.result(key, ["wrong"] * 4, f"reason of {key}"), numbers, files
        )
    give_back.write_feedback(room, give_back.marks_of(room, []))
    return room


def moodle_reads(name):
    """(participant, plugin, file) as assignfeedback_file_zip_importer takes a path apart."""
    parts = name.split("/")
    while parts:
        info = parts.pop(0).split("_", 4)
        if len(info) == 5 and info[1].isdigit():
            return int(info[1]), "_".join(info[2:4]), "/".join([info[4], *parts]).strip("/")
    return None


def test_moodle_s_zip_gives_everybody_their_own_page(room):
    built = give_back.marks_of(room, [])
    lines = exports.write_zip(room, built, "moodle", CHAPTER)
    path = room.root / "exports" / f"feedback_moodle_{CHAPTER}.zip"
    with zipfile.ZipFile(path) as archive:
        read = {moodle_reads(name): archive.read(name).decode() for name in archive.namelist()}
    plugin = "assignsubmission_file"
    assert set(read) == {
        (n, plugin, f"{CHAPTER}.{e}") for n in (20056, 20063, 20070) for e in ("html", "ipynb")
    }
    assert "reason of nn2" in read[20063, plugin, f"{CHAPTER}.html"]
    assert "reason of nn<" in read[20056, plugin, f"{CHAPTER}.html"]
    assert any("left out: lost: Moodle's number" in line for line in lines)
    before = path.read_bytes()
    exports.write_zip(room, built, "moodle", CHAPTER)
    assert path.read_bytes() == before


def test_moodle_s_worksheet_gives_the_numbers_that_the_download_did_not(room, tmp_path):
    rows = [(20070, "Test_Stu/dent", "u@x.org", ""), (31, "Lost", "lost@x.org", "")]
    path = worksheet(tmp_path / "w.csv", "de", rows)
    lines = exports.write_zip(room, give_back.marks_of(room, []), "moodle", CHAPTER, path)
    with zipfile.ZipFile(room.root / "exports" / f"feedback_moodle_{CHAPTER}.zip") as archive:
        assert {moodle_reads(name)[0] for name in archive.namelist()} == {20056, 20063, 20070, 31}
    assert len(lines) == 1


def test_canvas_s_zip_has_the_names_of_the_files_that_were_handed_in(room):
    lines = exports.write_zip(room, give_back.marks_of(room, []), "canvas", CHAPTER)
    with zipfile.ZipFile(room.root / "exports" / f"feedback_canvas_{CHAPTER}.zip") as archive:
        content = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert set(content) == {
        f"{k}_{n}_889_04 (1).ipynb" for k, n in (("nn", 20056), ("nn2", 20063), ("u", 20070))
    }
    assert "reason of nn2" in json.dumps(content["nn2_20063_889_04 (1).ipynb"])
    assert any("left out: lost" in line for line in lines)


@pytest.mark.parametrize("said", [{"files": 5}, {"numbers": ["x"]}, {"sha256": 5}, {}])
def test_a_record_of_a_hand_in_that_collect_did_not_write_gives_nobody_a_number(room, said):
    path = room.root / "submitted" / "nn" / CHAPTER / "handed_in.json"
    forged = json.loads(path.read_text()) | {"numbers": {"moodle": "20063"}} | said
    path.write_text(json.dumps(forged))
    assert "nn2" in who.known(room.root, CHAPTER).handed_in
    assert "nn" not in who.known(room.root, CHAPTER).handed_in


def test_a_list_with_a_key_twice_is_refused(room):
    (room.root / "students.csv").write_text("key,name\nada,A\nada,B\n")
    with pytest.raises(ValueError, match="line 3: 'ada' is the key of line 2, too"):
        who.people(room.root)


def test_a_sheet_without_the_other_columns_keeps_quotes_and_line_ends(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'"a ""1""",b,c\r\n1,"x, y",3\r\n4,5,6')
    assert Sheet.of(path).only([0, 2], [0, 2]).text() == '"a ""1""",c\r\n4,6\r\n'


def test_the_list_may_hold_a_number_of_each_assignment_and_a_group_s_copies_are_not_one_student(
    tmp_path,
):
    people = {
        "a": Student("a", "Ann", moodle="03:20063 04:20056 05:1"),
        "b": Student("b", "Ada Lovelace", moodle="03:20056"),
    }
    found = [mark("a", 3), mark("b", 4)]
    path = worksheet(
        tmp_path / "w.csv",
        rows=[(20056, "X", "x@x.org", ""), (20070, "Ada Lovelace", "ada@x.org", "")],
    )
    lms.moodle(found, path, tmp_path / "out.csv", How(Known(people, {}, CHAPTER)))
    assert grades(tmp_path / "out.csv") == {"Participant 20056": "3", "Participant 20070": "4"}
    class_folder.folder(tmp_path / "class")
    for key in ("a", "b"):
        class_folder.hand_in(
            tmp_path / "class", graded.result(key), {"moodle": "20056"}, ["f"], by="a", group="G"
        )
    said = who.handed_in(tmp_path / "class", CHAPTER)
    assert (said["a"].numbers, said["b"].numbers) == ({"moodle": "20056"}, {})
