"""The report: what a teacher should look at, first; names only where somebody needs something."""

import re
from html.parser import HTMLParser

import graded
import pytest
from graded import CHAPTER, HOSTILE, NAMES, WRITTEN

from maml_edu.grading import marks, signed
from maml_edu.grading.marks import Given
from maml_edu.grading.pages import report
from maml_edu.grading.pages.html import POLICY, visible


class Words(HTMLParser):
    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.text, self.style = [], "", False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.style = tag == "style"

    def handle_endtag(self, tag):
        self.style = False

    def handle_data(self, data):
        if not self.style:
            self.text += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def page_of(found, by_hand=None):
    return report.page(found, marks.of(found, by_hand or {}))


def text_of(page):
    return " ".join(Words(page).text.split())


def test_items_that_nobody_or_everybody_passes_come_first():
    text = text_of(page_of(graded.a_class()))
    first = text.index("Look here first")
    assert first < text.index("Nobody passes 4. The best place to start from (58 answers judged)")
    assert text.index("Everybody passes 3. The sign flip") < text.index(
        "1. The meta-gradient by hand 4"
    )
    few = text_of(page_of([graded.result("ada"), graded.result("bob")]))
    assert "Look here first" not in few  # two answers say nothing about an item


def test_an_item_has_its_shares_points_misconceptions_and_time():
    found = [
        graded.result(f"s{i}", ["wrong", "right", "timeout", "missing"], "uphill") for i in range(6)
    ]
    found += [graded.result("s6", ["right", "right", "right", "not done"])]
    text = text_of(page_of(found))
    for words in (
        "14 % right", "not right yet686 %", "6 ×uphill", "took too long", "not found",
        "Points: mean 0.43 of 3 points", "Time of an answer: 10 ms (the median), 10 ms at most",
        "400 ms each to grade",
    ):  # fmt: skip
        assert words in text


def test_misconceptions_are_counted_most_frequent_first_and_the_rest_is_said():
    told = ["a"] * 5 + ["b"] * 7 + list("cdefgh")
    found = [graded.result(f"s{i:02}", ["wrong"], reason) for i, reason in enumerate(told)]
    text = text_of(page_of(found))
    assert re.search(r"7 × ?b 5 × ?a 1 × ?c 1 × ?d 1 × ?e and 3 others", text)


def test_what_could_not_be_graded_is_there_with_its_reason_and_is_in_no_share():
    text = text_of(page_of(graded.a_class()))
    assert (
        "60 submissions; 58 graded; 1 refused: no notebook; 1 not graded: the grader failed" in text
    )
    assert "the file is not JSON" in text and "no box could be started" in text
    assert "The meta-gradient by finite differences: could not be graded" in text
    lost = [graded.result(f"s{i}", ["grader-error"] * 4) for i in range(5)]
    text = text_of(page_of(lost))
    assert (
        "0 % right" not in text and "Nobody passes" not in text and "not judged by checks" in text
    )


def test_names_are_only_where_somebody_needs_something():
    found = graded.a_class()
    by_hand = {(r.student, WRITTEN): Given(2) for r in found if r.student != "student 09"}
    text = text_of(page_of(found, by_hand))
    named = {int(i) for i in re.findall(r"student (\d\d)", text)}
    assert named == {3, 7, 8, 9}
    assert "In your own words: 1 to read" in text


@pytest.mark.parametrize("text", [*HOSTILE, *NAMES])
def test_nothing_of_a_students_becomes_html(text):
    found = [graded.result(f"{text}{i}", ["wrong", "raised"], text) for i in range(4)]
    found += [graded.rejected(text, problem=text), graded.result("x", chapter=text)]
    page = page_of(found)
    words = Words(page)
    ours = "html head meta title style body main h1 h2 h3 p ul li strong a section header span table caption tbody"
    ours += " thead tr th td svg rect text path details summary div bdi"
    assert {tag for tag, _ in words.tags} <= set(ours.split())
    for _, attributes in words.tags:
        assert re.fullmatch(r"#x\d+-\d+", attributes.get("href", "#x1-1"))
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    assert visible(text)[:80] in words.text and "default-src &#x27;none&#x27;" not in page
    assert POLICY in page
    page.encode()


def test_a_large_class_makes_a_page_of_bearable_size_and_the_same_page_again():
    found = [graded.result(f"student {i}", ["wrong"], "x" * 5000 + str(i)) for i in range(2000)]
    page = page_of(found)
    assert len(page) < 200_000
    assert "and 1800 more" in page and "and 1995 others" in page
    assert page == page_of(found[::-1])


def test_several_chapters_and_none():
    text = text_of(page_of([graded.result(), graded.result(chapter="07_maml_in_numpy")]))
    assert text.index("04 · The gradient of a gradient step") < text.index("07 · MAML in NumPy")
    assert "Nothing has been graded yet" in report.page([], [])
    ids = re.findall(
        r'id="([^"]+)"', page_of([graded.result(), graded.result(chapter="07_maml_in_numpy")])
    )
    assert len(ids) == len(set(ids))


def test_pictures_say_in_words_what_they_show():
    page = page_of(graded.a_class())
    pictures = [attributes for tag, attributes in Words(page).tags if tag == "svg"]
    assert all(
        a.get("role") == "img" and a.get("aria-label") or a.get("aria-hidden") for a in pictures
    )
    assert "Points: mean 1.24 of 3 points. 34 with 0, 24 with 3" in page
    bins = report._bins([0.0, 0.5, 1.0, 2.5], 3.0)
    assert sum(n for _, n in bins) == 4 and len(bins) == report.BINS
    assert CHAPTER not in text_of(page)


# ------------------------------------------------------------------ what people give, and policy


def test_nobody_passes_a_written_question_is_said_only_when_all_of_it_is_read():
    found = [graded.result(f"s{i}") for i in range(6)]
    for one in found[3:]:
        one.verdicts[-1] = graded.verdict(WRITTEN, "not done", points=0)
    assert "Nobody passes" not in text_of(page_of(found))
    poor = {(f"s{i}", WRITTEN): Given(0.5) for i in range(3)}
    assert "Nobody passes 5. In your own words (6 answers judged)" in text_of(page_of(found, poor))
    good = {(f"s{i}", WRITTEN): Given(1.5) for i in range(3)}
    text = text_of(page_of(found, good))
    assert "Nobody passes" not in text
    assert (
        "read, and given points by a person350 %"
        in text.replace("person 3", "person3").replace("3 50", "350")
        and "to be read by a person" not in text
    )


def test_an_answer_that_changed_since_it_was_read_waits_in_the_report(tmp_path):
    from dataclasses import replace

    one = replace(graded.result("ada"), sha256="a" * 64)
    by_hand = {("ada", WRITTEN): Given(2, "fine", "file-" + "b" * 16)}
    text = text_of(page_of([one], by_hand))
    assert "to be read by a person" in text and "In your own words: 1 to read" in text


def test_what_policy_changed_stands_beside_what_was_given():
    from dataclasses import replace

    found = [graded.result("ada", written=False)]
    (mark,) = marks.of(found, {})
    late = replace(mark, adjusted=12.5, reasons=["Bonus +1.5: found a mistake."])
    text = text_of(report.page(found, [late]))
    assert "Half the class has 12.5 of 11 points" in text
    assert "ada11 of 1112.5 of 11Bonus +1.5: found a mistake." in text


def test_equal_answers_what_was_left_out_and_who_is_missing_are_listed(tmp_path):
    import essays

    from maml_edu.grading import classroom, give_back

    same = "The step is short where the curvature is small, so the factor stays close to one."
    own = {
        "ada": same,
        "bob": f"  {same.lower()}",
        "cid": essays.model_answer(),
        "dee": "Something else, of one's own.",
    }
    room = essays.a_room(tmp_path / "class", own)
    (room.root / "students.csv").write_text("key,name\nada,Ada\nzoe,Zoe\n")
    (room.root / "left_out.csv").write_text(
        f"when,chapter,what,why\n1,{CHAPTER},x.pdf,no notebook\n1,07_x,y,z\n"
    )
    for student in ("gus", "hal"):
        essays.hand_in(room, student, "One essay of the group, written by both, handed in once.")
        said = {"student": student, "chapter": CHAPTER, "group": "G1"}
        signed.write(room.root / "submitted" / student / CHAPTER, said)
    built = give_back.marks_of(classroom.find(room.root), [CHAPTER])
    paths = {path.name: path.read_text("utf-8") for path in give_back.write_reports(room, built)}
    text = text_of(paths[f"report_{CHAPTER}.html"])
    assert "In your own words (written_04): 2 equal answers: ada, bob" in text
    assert "In your own words (written_04): equal to the model answer: cid" in text
    assert "gus, hal" not in text.split("Equal answers")[1].split("Not collected")[0]
    assert (
        "x.pdf: no notebook" in text and "Handed in nothing: 1 zoe" in text and "y: z" not in text
    )


def test_code_that_is_the_model_s_in_most_exercises_is_told(tmp_path):
    import hashlib

    import essays

    from maml_edu import places
    from maml_edu.grading import answers

    room = essays.a_room(tmp_path / "class", {"ada": "Something of my own, at some length."})
    data = (places.course_root() / "solutions" / f"{CHAPTER}.ipynb").read_bytes()
    folder = room.root / "submitted/bob" / CHAPTER
    folder.mkdir(parents=True)
    (folder / f"{CHAPTER}.ipynb").write_bytes(data)
    copied = graded.result("bob", sha256=hashlib.sha256(data).hexdigest())
    found = answers.alike(room.root, [graded.result("ada"), copied])
    assert [(one.exercise, one.students) for one in found if not one.exercise] == [("", ["bob"])]


def test_written_answers_stand_below_question_and_rubric_those_that_wait_first(tmp_path):
    import essays

    from maml_edu.grading.by_hand import Wish, give, read_by_hand
    from maml_edu.grading.pages import written

    room = essays.a_room(
        tmp_path / "class",
        {"ada": essays.LONG, "bob": "Mine, with **force**.", "eve": essays.HOSTILE},
    )
    first = essays.hand_in(room, "bob", "Mine, with **force**.")
    give(room.by_hand, [
        Wish("ada", WRITTEN, f"sha-{essays.digest(essays.LONG)}", 1.5, "well, nearly"),
        Wish("bob", WRITTEN, f"sha-{essays.digest('before')}", 1, "the old comment"),
    ])  # fmt: skip
    found, _ = marks.sound_results(room.results)
    page = written.page(room.root, CHAPTER, found, read_by_hand(room.by_hand))
    text = text_of(page)
    assert first in found and text.index("Rubric") < text.index("bob waits") < text.index(
        "ada 1.5 of 2 points"
    )
    assert "Changed since it was read. Then: 1 of 2 points, “the old comment”" in text
    assert (
        "<strong>force</strong>" in page and "well, nearly" in text and "Many papers report" in text
    )
    tags = Words(page).tags
    assert "script" not in {tag for tag, _ in tags}
    assert all(
        dict(a)["src"].startswith("data:image/svg+xml;base64,") for tag, a in tags if tag == "img"
    )


def test_notes_on_a_hand_in_are_shown_with_the_name():
    note = "2 notebooks were handed in: 'a.ipynb' was taken, and not '<b>.ipynb'"
    made = report.page([graded.result("ada", notes=[note]), graded.result("bo")], [])
    assert "Files that were not quite as asked: 1" in made
    assert "was taken, and not &#x27;&lt;b&gt;.ipynb&#x27;" in made
    assert "not quite as asked" not in report.page([graded.result("bo")], [])
