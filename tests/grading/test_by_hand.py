"""A mark given by hand is for one answer: another one waits again, and nothing in the table is lost."""

import threading
from dataclasses import replace

import graded
import pytest
from graded import NAMES, WRITTEN

from maml_edu.grading import by_hand, marks
from maml_edu.grading.by_hand import Conflict, Given, Wish, give, read_by_hand
from maml_edu.grading.exports import tables

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def answering(result, **answers):
    """The result with these digests of its answers, "written_04" for one."""
    names = {
        name.replace("_", ".", 1) if name[:2].isdigit() else name: d for name, d in answers.items()
    }
    verdicts = [replace(v, answer=names.get(v.exercise, v.answer)) for v in result.verdicts]
    return replace(result, verdicts=verdicts)


def ada(digest, outcome="right"):
    return answering(graded.result("ada", [outcome, *["right"] * 3]), written_04=digest)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "marks" / "by_hand.csv"


def built(tmp_path, *found):
    graded.kept(tmp_path / "results", found)
    return marks.build(
        tmp_path / "results", tmp_path / "marks/by_hand.csv", tmp_path / "marks/marks.db"
    )


def type_in(path, text, encoding="utf-8"):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode(encoding))


# ------------------------------------------------------------------ which answer


def test_a_changed_written_answer_waits_again_and_the_old_mark_stays_beside_it(tmp_path, path):
    marks.write_by_hand_template(path, [ada(OLD)])
    give(path, [Wish("ada", WRITTEN, f"sha-{OLD}", 1.5, "well, nearly")])
    first = built(tmp_path, ada(OLD))
    assert first.marks[0].points == 12.5 and first.marks[0].complete
    second = built(tmp_path, ada(NEW))
    assert second.marks[0].waiting == [WRITTEN] and second.marks[0].points == 11
    assert (
        "ada, written_04: changed since it was read (1.5 points then): it waits again."
        in second.problems
    )
    given = marks.given_for(ada(NEW), WRITTEN, second.by_hand)
    assert given.changed and given.points is None and given.comment == ""
    assert [(old.points, old.comment) for old in given.others] == [(1.5, "well, nearly")]
    (waits,) = marks.todo([ada(NEW)], second.by_hand)
    assert waits.changed


def test_the_new_answer_gets_a_line_of_its_own_and_the_old_answer_its_mark_again(tmp_path, path):
    marks.write_by_hand_template(path, [ada(OLD)])
    give(path, [Wish("ada", WRITTEN, f"sha-{OLD}", 1.5, "")])
    assert marks.write_by_hand_template(path, [ada(NEW)]) == 1
    assert marks.write_by_hand_template(path, [ada(NEW)]) == 0
    give(path, [Wish("ada", WRITTEN, f"sha-{NEW}", 2, "better")])
    assert built(tmp_path, ada(NEW)).marks[0].points == 13
    assert built(tmp_path, ada(OLD)).marks[0].points == 12.5


def test_points_given_in_place_of_a_check_s_are_not_those_of_another_answer(tmp_path, path):
    type_in(
        path,
        "student,exercise,points,comment\nada,04.meta_slope,2.5,wrong name: half a point off\n",
    )

    def hand_in(digest, outcome):
        result = graded.result("ada", [outcome, *["right"] * 3], written=False)
        return answering(result, **{"04_meta_slope": digest})

    assert built(tmp_path, hand_in(OLD, "missing")).marks[0].points == 10.5
    wrong = built(tmp_path, hand_in(NEW, "wrong"))
    assert wrong.marks[0].waiting == ["04.meta_slope"] and wrong.marks[0].points == 8
    right = built(tmp_path, hand_in(NEW, "right"))
    assert right.marks[0].complete and right.marks[0].points == 11
    assert "the checks find the new one right" in right.problems[0]


def test_a_comment_on_another_answer_is_not_shown_and_makes_nothing_wait(tmp_path, path):
    type_in(path, f"student,exercise,points,comment,answer\nada,04.meta_slope,,nearly,sha-{OLD}\n")
    result = answering(graded.result("ada", written=False), **{"04_meta_slope": NEW})
    found = built(tmp_path, result)
    assert found.marks[0].complete
    assert marks.given_for(result, "04.meta_slope", found.by_hand).comment == ""


def test_a_mark_for_what_could_not_be_read_is_not_that_of_a_later_hand_in(tmp_path, path):
    lines = "".join(f"eve,{e},1,\n" for e in [*graded.EXERCISES, WRITTEN])
    type_in(path, "student,exercise,points,comment\n" + lines)
    lost = built(tmp_path, graded.rejected("eve"), graded.result("bob"))
    assert [m.points for m in lost.marks if m.student == "eve"] == [5]
    whole = answering(graded.result("eve"), written_04=NEW)
    found = built(tmp_path, replace(whole, sha256="a" * 64), graded.result("bob"))
    (mark,) = [m for m in found.marks if m.student == "eve"]
    assert mark.points == 11 and mark.waiting == [WRITTEN]


def test_results_from_before_answers_had_a_digest_go_by_their_file(tmp_path, path):
    old = replace(graded.result("ada"), sha256="a" * 64)
    type_in(path, "student,exercise,points,comment\nada,written_04,2,\n")
    assert built(tmp_path, old).marks[0].complete
    assert "file-aaaaaaaaaaaaaaaa" in path.read_text("utf-8-sig")
    again = answering(replace(old), written_04=NEW)  # graded again, the same file
    assert built(tmp_path, again).marks[0].complete
    assert not built(tmp_path, replace(old, sha256="b" * 64)).marks[0].complete


# ------------------------------------------------------------------ the file


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("student,exercise,points,comment\nada,written_04,1.5,fine\n", "utf-8",
         'student,exercise,points,comment,"answer"\nada,written_04,1.5,fine,sha-0123456789abcdef\n'),
        ('student;exercise;points;comment\r\nada;written_04;1,5;"well; nearly"\r\n',
         "utf-8-sig",
         'student;exercise;points;comment;"answer"\r\nada;written_04;1,5;"well; nearly";sha-0123456789abcdef\r\n'),
        ("points,student,exercise\n2,ada,written_04", "utf-8",
         'points,student,exercise,"answer","comment"\n2,ada,written_04,sha-0123456789abcdef'),
    ],
)  # fmt: skip
def test_lines_without_a_digest_are_bound_in_the_file_and_all_else_stays(
    tmp_path, path, text, encoding, expected
):
    type_in(path, text, encoding)
    built(tmp_path, ada(OLD))
    assert path.read_bytes().decode(encoding) == expected
    before = path.read_bytes()
    built(tmp_path, ada(OLD))
    assert path.read_bytes() == before


def test_a_digest_is_never_taken_for_a_number_by_a_spreadsheet(tmp_path, path):
    marks.write_by_hand_template(path, [ada("1234567890123456")])
    assert "sha-1234567890123456" in path.read_text("utf-8-sig")
    type_in(path, "student,exercise,points,comment,answer\nada,written_04,1,,1234567890123456\n")
    assert read_by_hand(path)["ada", WRITTEN].answer == "sha-1234567890123456"
    type_in(path, "student,exercise,points,comment,answer\nada,written_04,1,,1.23E+15\n")
    with pytest.raises(ValueError, match="line 2: the last column says which answer was read"):
        read_by_hand(path)


def test_two_lines_for_one_answer_are_named(tmp_path, path):
    line = f"ada,written_04,1,,sha-{OLD}\n"
    head = "student,exercise,points,comment,answer\n"
    type_in(path, head + line + line)
    with pytest.raises(ValueError, match="line 3: written_04 of ada is on line 2 already"):
        read_by_hand(path)
    type_in(path, head + line + "ada,written_04,2,,\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="two lines for one answer"):
        built(tmp_path, ada(OLD))
    assert path.read_bytes() == before


def test_an_empty_line_follows_the_answer_and_no_second_one_is_added(path):
    marks.write_by_hand_template(path, [ada(OLD)])
    assert marks.write_by_hand_template(path, [ada(NEW)]) == 0
    assert read_by_hand(path) == {("ada", WRITTEN): Given(None, "", f"sha-{NEW}")}


def test_two_answers_of_which_the_better_counts_have_a_line_each_and_both_stay(path):
    assert marks.write_by_hand_template(path, [ada(NEW)]) == 1
    assert marks.write_by_hand_template(path, [ada(NEW)], [ada(OLD), ada(OLD)]) == 1
    before = path.read_bytes()
    assert marks.write_by_hand_template(path, [ada(NEW)], [ada(OLD)]) == 0
    assert path.read_bytes() == before and OLD in before.decode() and NEW in before.decode()


# ------------------------------------------------------------------ giving


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_is_read_back_as_it_was(path, name):
    comment = '=1+1; "quoted", über\nzwei'
    give(path, [Wish(name, WRITTEN, f"sha-{OLD}", 1.5, comment)])
    give(path, [Wish(name, WRITTEN, f"sha-{OLD}", 0.5, comment + "!")])
    assert read_by_hand(path) == {(name, WRITTEN): Given(0.5, comment + "!", f"sha-{OLD}")}
    assert not [row for _, row in tables.read(path)[1] if len(row) != 5]


def test_a_spreadsheet_with_semicolons_gets_decimal_commas(path):
    type_in(path, "student;exercise;points;comment\r\nbob;written_04;1,5;ok\r\n", "utf-8-sig")
    give(path, [Wish("ada", WRITTEN, f"sha-{OLD}", 0.5, "")])
    text = path.read_bytes().decode("utf-8")
    assert text.startswith("\ufeffstudent;") and "bob;written_04;1,5;ok" in text
    assert '"ada";"written_04";0,5;"";"sha-0123456789abcdef"\r\n' in text


def test_two_who_mark_the_same_answer_are_told_of_each_other(path):
    seen = Given(None)
    give(path, [Wish("ada", WRITTEN, f"sha-{OLD}", 1, "mine", seen)])
    with pytest.raises(Conflict, match=r"meanwhile somebody else gave 1 points \(mine\)"):
        give(path, [Wish("ada", WRITTEN, f"sha-{OLD}", 2, "no, mine", seen)])
    assert read_by_hand(path)["ada", WRITTEN].comment == "mine"


def test_one_mark_for_two_hand_ins_with_one_answer_is_no_conflict(path):
    wish = Wish("ada", WRITTEN, f"sha-{OLD}", 2, "both", Given(None))
    assert give(path, [wish, wish]) == [Given(None)]
    assert read_by_hand(path)["ada", WRITTEN] == Given(2, "both", f"sha-{OLD}")


def test_more_digits_than_are_shown_are_no_conflict(path):
    type_in(path, f"student,exercise,points,comment,answer\nada,{WRITTEN},1.23456789,,sha-{OLD}\n")
    give(path, [Wish("ada", WRITTEN, f"sha-{OLD}", 2, "", Given(1.234568))])
    assert read_by_hand(path)["ada", WRITTEN].points == 2


def test_half_a_point_with_a_comma_is_not_read_as_one_and_a_comment(path):
    type_in(path, f"student,exercise,points,comment,answer\nada,{WRITTEN},1,5\n")
    with pytest.raises(ValueError, match=r'line 2: is 1,5 meant\? Write 1\.5, or "1,5"'):
        read_by_hand(path)
    type_in(path, f"student;exercise;points;comment;answer\nada;{WRITTEN};1,5\n")
    assert read_by_hand(path)["ada", WRITTEN].points == 1.5


def test_many_who_mark_at_once_lose_nothing(path):
    def mark(who):
        for i in range(10):
            give(path, [Wish(f"{who}{i}", WRITTEN, f"sha-{OLD}", i / 10, who)])

    threads = [threading.Thread(target=mark, args=(who,)) for who in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = read_by_hand(path)
    assert len(given) == 40 and given["c7", WRITTEN].points == 0.7


def test_a_comment_holds_no_signs_that_move_a_cursor():
    assert by_hand.clean("a\x00b\x1b[31m\r\nc\td\ud800") == "ab[31m\nc\td?"
