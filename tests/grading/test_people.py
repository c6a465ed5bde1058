"""Who is who: keys, students.csv, matching, lists of systems, the commands' table."""

import codecs
import unicodedata

import pytest
from class_downloads import CHAPTER, in_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from maml_edu.cli import app
from maml_edu.grading import classroom, lists, people
from maml_edu.grading.exports import who
from maml_edu.grading.people import Roster, Student, Who

NFD = unicodedata.normalize("NFD", "José")


def csv_file(path, *lines, encoding="utf-8"):
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize(
    "name, key",
    [
        ("Li Wei", "li_wei"), ("José Łukasz O'Brien-Smith", "jose_łukasz_o_brien_smith"), ("李雷", "李雷"),
        ("नमस्ते", "नमस्ते"), ("..", "student"), ("", "student"), ("🙂", "student"), ("CON", "con_"),
        ("=cmd|x", "cmd_x"), ("Σωτήρης", "σωτηρης"), ("a/../../b", "a_b"), ("x" * 300, "x" * 60),
    ],
)  # fmt: skip
def test_a_key_is_a_folder_name_that_can_be_read(name, key):
    made = people.key_of(name, ())
    assert made == unicodedata.normalize("NFC", key) or made == key
    assert people.is_key(made)


@given(st.lists(st.text(max_size=80), max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_two_people_ever_have_one_key_even_where_case_makes_no_difference(names):
    roster = Roster()
    for name in names:
        roster.add(Who(name=name), CHAPTER)
    keys = [student.key for student in roster]
    assert len({people.folded_key(key) for key in keys}) == len(names) and all(
        map(people.is_key, keys)
    )


def test_a_key_that_a_folder_has_already_is_taken():
    assert Roster().add(Who(name="Li Wei"), CHAPTER, {"LI_WEI"}).key == "li_wei-2"


# ------------------------------------------------------------------ students.csv


def test_the_roster_comes_back_as_it_was_written_with_columns_of_ones_own(tmp_path):
    path = csv_file(
        tmp_path / "students.csv",
        "Key;name;my notes;Email;number",
        "=cmd|x;Li Wei;left handed;li@x.org;0815",
        "ada;Ada;;;",
    )
    roster = people.read(path)
    assert roster["=cmd|x"].number == "0815" and roster["=cmd|x"].others == {
        "my notes": "left handed"
    }
    roster.save(path)
    again = people.read(path)
    assert list(again) == list(roster)
    assert path.read_bytes().startswith(codecs.BOM_UTF8) and b"'=cmd|x" in path.read_bytes()


@pytest.mark.parametrize(
    "lines, says",
    [
        (["name", "Li"], "line 1: there is no column key"),
        (["key,name", "ada,A", "Ada,B"], "line 3: 'Ada' is the key of line 2, too"),
        (["key,name", "../x,A"], "line 2: '../x' cannot be a key"),
        (["key,name", ",A"], "line 2: '' cannot be a key"),
        (["key,email,Email", "a,b,c"], "'email' is there twice"),
        (
            ["key,name,email", "b,B,", "a,Lo, Ada,a@x"],
            'line 3: there are 4 cells and 3 columns: .*"Lo',
        ),
        (["key,name,email,login", "a,Lo, Ada,a@x,", "b,B,b@x,"], "line 2: there are 5 cells and 4"),
    ],
)
def test_a_roster_that_cannot_be_right_says_where(tmp_path, lines, says):
    with pytest.raises(ValueError, match=says):
        people.read(csv_file(tmp_path / "students.csv", *lines))


def test_empty_cells_that_a_spreadsheet_puts_behind_every_line_are_no_fault(tmp_path):
    path = csv_file(tmp_path / "students.csv", "key,name,,", "a,A,,", "b,B")
    assert [s.name for s in people.read(path)] == ["A", "B"]


@pytest.mark.parametrize("heading", ["Key", " KEY ", "key"])
def test_headings_may_be_written_in_capitals_for_collecting_and_for_exports(tmp_path, heading):
    path = csv_file(tmp_path / "students.csv", f"{heading},Name,E-MAIL,Email", "ada,Ada,x,ada@x")
    ours, theirs = people.read(path)["ada"], who.people(tmp_path)["ada"]
    assert (ours.name, ours.email) == (theirs.name, theirs.email) == ("Ada", "ada@x")


def test_an_old_class_has_the_roster_of_its_folders(tmp_path):
    in_folder(
        tmp_path, [f"submitted/{name}/{CHAPTER}/x.ipynb" for name in ("Silva, Jr", "ada", NFD)]
    )
    csv_file(tmp_path / "students.csv", "key,name", "ada,Ada Lovelace")
    assert {s.key: s.name for s in Roster.of(tmp_path)} == {
        "ada": "Ada Lovelace",
        "Silva, Jr": "Silva, Jr",
        NFD: NFD,
    }


def test_columns_for_exports_hold_what_one_person_alone_has():
    roster = Roster(
        [
            Student(
                "a", "N N", "a@x.org", canvas="1 05:anon_x", moodle="04:20056 05:30001", group="G"
            ),
            Student("b", "N N", "b@x.org", canvas="2", moodle="04:20063", group="G"),
        ]
    )
    assert roster.column_of("email") == {"a": "a@x.org", "b": "b@x.org"}
    assert roster.column_of("name") == {}
    assert roster.column_of("moodle", CHAPTER) == {"a": "20056", "b": "20063"}
    assert roster.column_of("moodle", "05_x") == {"a": "30001"}
    assert roster.column_of("canvas") == {"a": "1", "b": "2"}
    assert roster.column_of("group") == {"a": "G", "b": "G"}


# ------------------------------------------------------------------ who somebody is


def matched(roster, chapter=CHAPTER, alone=True, alike=False, **said):
    found = roster.match(Who(**said), chapter, alone, alike)
    return found.student and found.student.key


ROSTER = Roster(
    [
        Student("ada", "Ada Lovelace", "ada@x.org", "al", "0815", canvas="509", moodle="04:20056"),
        Student("n_n", "N N", moodle="04:1"),
        Student("n_n-2", "N N", moodle="04:2"),
        Student("jose", "José García López"),
    ]
)


@pytest.mark.parametrize(
    "who, key",
    [
        ({"name": "somebody", "ids": {"canvas": "509"}}, "ada"),
        ({"name": "somebody", "once": {"moodle": "20056"}}, "ada"),
        ({"name": "x", "ids": {"email": "ADA@X.ORG"}}, "ada"),
        ({"word": "815"}, "ada"),
        ({"word": "al"}, "ada"),
        ({"name": "ada  LOVELACE"}, "ada"),
        ({"name": "Lovelace, Ada"}, "ada"),
        ({"name": "lovelaceada", "squashed": True}, "ada"),
        ({"name": "Ada Lovelace", "once": {"moodle": "77"}}, None),  # she has another number
        ({"name": "Ada Lovelace", "ids": {"canvas": "510"}}, None),
        ({"name": "N N"}, None),
        ({"name": "N N", "once": {"moodle": "2"}}, "n_n-2"),
        ({"name": unicodedata.normalize("NFD", "José García López")}, "jose"),
        ({"name": "garcíalópezjosé", "squashed": True}, "jose"),
        ({"name": "Ada"}, None),
    ],
)
def test_the_number_decides_then_address_and_login_then_a_name_that_one_has(who, key):
    assert matched(ROSTER, **who) == key


@pytest.mark.parametrize(
    "who",
    [
        {"word": "li"},  # Li's key and Wei's login
        {"word": "LI"},
        {"word": "1001"},  # a login and a number
        {"name": "Li", "ids": {"login": "ln", "email": "wz@x"}},
        {"word": "wz", "ids": {"email": "ln@x"}},
    ],
)
def test_nobody_is_taken_where_one_way_names_one_person_and_another_way_another(who):
    roster = Roster(
        [
            Student("li", "Li Na", "ln@x", "ln", "1001"),
            Student("wz", "Wei Zhang", "wz@x", "li"),
            Student("ann", "Ann", login="1001"),
        ]
    )
    found = roster.match(Who(**who), CHAPTER)
    assert found.student is None and found.torn and len(found.perhaps) == 2
    assert all(key in found.why for key in found.perhaps)


def test_a_row_that_can_be_two_people_is_not_read_and_told(tmp_path):
    lines = ["key,email,group", "li,wz@x,G1"]
    roster = Roster([Student("li", "Li", "l@x"), Student("wz", "Wei", "wz@x")])
    before = list(roster)
    merged = lists.merge_list(roster, csv_file(tmp_path / "l.csv", *lines))
    assert list(roster) == before and "can be wz or li" in merged.told[0]


def test_moodles_numbers_of_another_assignment_say_nothing():
    assert matched(ROSTER, "05_x", name="x", once={"moodle": "20056"}) is None
    assert matched(ROSTER, "05_x", name="Ada Lovelace", once={"moodle": "30001"}) == "ada"


def test_what_is_learnt_fills_blanks_and_contradicts_nothing():
    roster = Roster([Student("ada", "Ada", email="ada@x.org")])
    assert roster.learn("ada", Who("Ada L", {"canvas": "5"}, {"moodle": "9"}), CHAPTER) == []
    told = roster.learn("ada", Who(ids={"canvas": "6", "email": "other@x.org"}), CHAPTER)
    assert told == [
        "ada: canvas is 5 in students.csv, and 6 here",
        "ada: email is ada@x.org in students.csv, and other@x.org here",
    ]
    assert roster["ada"] == Student("ada", "Ada", "ada@x.org", canvas="5", moodle="04:9")


@pytest.mark.parametrize(
    "name, squashed, said",
    [
        ("turingalan", True, True), ("Alan Turing", False, True), ("lovelaceada", True, False),
        ("Ada King", False, False), ("ÁDA", False, False), ("", False, False), ("李雷", False, False),
    ],
)  # fmt: skip
def test_a_number_under_a_wholly_different_name_is_told(name, squashed, said):
    roster = Roster([Student("ada", "Ada Lovelace", canvas="509")])
    told = roster.learn("ada", Who(name, {"canvas": "509"}, squashed=squashed), CHAPTER)
    assert [line[:45] for line in told] == ["ada: canvas 509 is Ada Lovelace in students.c"] * said
    assert roster["ada"].name == "Ada Lovelace"


# ------------------------------------------------------------------ lists of systems

MOODLE_WORKSHEET = [
    "Identifier,Full name,ID number,Email address,Status,Grade",
    'Participant 20056,"N N",1,n1@x.org,,',
    'Participant 20063,"N N",2,n2@x.org,,',
]
ADA = {"name": "Ada L"}
LISTS = {
    "plain": (["name,email,group", "Ada L,a@x,G1"], ADA | {"email": "a@x", "group": "G1"}),
    "moodle participants": (
        [
            "First name,Last name,Email address,Roles,Groups",
            "Ada,L,a@x,Student,G1",
            "Ed,T,t@x,Teacher,",
        ],
        ADA | {"email": "a@x", "section": "G1"},
    ),
    "moodle in German": (
        ["Vorname,Nachname,ID-Nummer,E-Mail-Adresse", "Ada,L,0815,a@x"],
        ADA | {"number": "0815", "email": "a@x"},
    ),
    "moodle worksheet in German": (
        ["ID,Vollständiger Name,E-Mail-Adresse,Bewertung", "Teilnehmer/in20056,Ada L,a@x,"],
        ADA | {"moodle": "04:20056", "email": "a@x"},
    ),
    "canvas": (
        [
            "Student,ID,SIS User ID,SIS Login ID,Section,Chapter 04 (77)",
            "    Points Possible,,,,,20",
            '"L, Ada",509,u1,al,S1,',
            '"Student, Test",9,,x,S1,',
        ],
        ADA | {"canvas": "509", "number": "u1", "login": "al", "section": "S1"},
    ),
    "blackboard": (
        ["Last Name\tFirst Name\tUsername\tStudent ID\tAvailability", "L\tAda\tal\t0815\tYes"],
        ADA | {"login": "al", "number": "0815"},
    ),
    "brightspace": (
        [
            "OrgDefinedId,Username,Last Name,First Name,Email,End-of-Line Indicator",
            "#0815,#al,L,Ada,a@x,#",
        ],
        ADA | {"login": "al", "number": "0815", "email": "a@x"},
    ),
    "gradescope": (
        [
            "First Name,Last Name,SID,Email,Role,Section",
            "Ada,L,0815,a@x,Student,S1",
            "Ed,T,,t@x,Instructor,",
        ],
        ADA | {"number": "0815", "section": "S1"},
    ),
    "github": (
        ["identifier,github_username,github_id,name", "0815,ada-l,77,"],
        {"number": "0815", "github": "ada-l"},
    ),
}


@pytest.mark.parametrize("system", LISTS)
def test_the_lists_of_systems_are_read(system, tmp_path):
    lines, wanted = LISTS[system]
    path = csv_file(
        tmp_path / "list", *lines, encoding="utf-16" if system == "blackboard" else "utf-8"
    )
    roster = Roster()
    merged = lists.merge_list(roster, path, CHAPTER)
    (student,) = roster
    assert {column: student.cell(column) for column in wanted} == wanted
    again = lists.merge_list(roster, path, CHAPTER)
    assert (again.added, again.known, merged.added) == ([], [student.key], [student.key])
    assert list(roster) == [student]


def test_a_list_that_says_keys_gives_them(tmp_path):
    roster = Roster()
    path = csv_file(tmp_path / "w.csv", "key,name,email", "ada7,Ada Lovelace,ada@x.org")
    for _ in range(2):
        lists.merge_list(roster, path)
        assert [(s.key, s.name) for s in roster] == [("ada7", "Ada Lovelace")]


def test_namesakes_of_a_list_stay_two_and_their_worksheet_tells_them_apart(tmp_path):
    roster = Roster()
    lists.merge_list(roster, csv_file(tmp_path / "w.csv", *MOODLE_WORKSHEET), CHAPTER)
    later = [line.replace("20056", "30002").replace("20063", "30001") for line in MOODLE_WORKSHEET]
    lists.merge_list(roster, csv_file(tmp_path / "w.csv", *later), "05_x")
    assert {s.email: s.moodle for s in roster} == {
        "n1@x.org": "04:20056 05:30002",
        "n2@x.org": "04:20063 05:30001",
    }


@pytest.mark.parametrize(
    "data, says",
    [
        (b"PK\3\4", "a workbook: save it as CSV"), (b"", "is empty"), (b"a,b\n1,2\n", "says who somebody is"),
        (b"name\n\xff\n", "not in UTF-8"),
        (b"name,email\nAda,a@x\nLi, Bo,b@x\n", "line 3: there are 3 cells and 2 columns"),
        (b"name\n", "names nobody"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_told(tmp_path, data, says):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=says):
        lists.read_list(tmp_path / "x")


# ------------------------------------------------------------------ hand-ins and the command


def test_a_time_is_written_as_nbgrader_reads_it(tmp_path):
    from nbgrader.utils import parse_utc

    moment = people.HandIn("a", CHAPTER, time="2026-11-28T23:01:00+01:00").moment
    (tmp_path / "timestamp.txt").write_text(people.timestamp(moment))
    assert parse_utc(people.timestamp(moment).strip()).isoformat() == "2026-11-28T22:01:00"
    assert people.read_timestamp(tmp_path) == moment


@pytest.mark.parametrize("damage", ["{", "[]", '{"time": 3}', '{"sha256": "x"}', ""])
def test_a_damaged_handed_in_json_costs_nothing(tmp_path, damage):
    in_folder(
        tmp_path,
        {"a.ipynb": "{}", "handed_in.json": damage, "timestamp.txt": "2026-11-28 22:01:00 UTC"},
    )
    own = people.hand_in(tmp_path, "ada", CHAPTER)
    assert own.stored == ["a.ipynb"] and own.moment.hour == 22 and own.system == "nbgrader"


def test_the_command_shows_who_is_who_and_who_has_handed_in_nothing(tmp_path):
    room = classroom.new(tmp_path / "c", chapters=[CHAPTER])
    in_folder(room.root, [f"submitted/ada/{CHAPTER}/{CHAPTER}.ipynb"])
    path = csv_file(tmp_path / "l.csv", "name,email", "Bo Li,bo@x.org")

    def run(*words):
        done = CliRunner().invoke(app, ["classroom", "roster", *words, "--class", str(room.root)])
        assert done.exit_code == 0, done.exception
        return done.output

    said = run(str(path))
    assert "l.csv: 1 people new, 0 known" in said and "bo_li" in said and "bo@x.org" in said
    assert "handed in nothing: bo_li (Bo Li)" in run("--chapter", "04")
    run("--merge", "ada", "bo_li")
    assert [s.key for s in Roster.of(room.root)] == ["bo_li"]
    assert (room.root / "submitted/bo_li" / CHAPTER / f"{CHAPTER}.ipynb").is_file()
