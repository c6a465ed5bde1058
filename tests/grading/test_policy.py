"""policy.toml: every rule leaves its reason, every contradiction is named with its line, and no mark is not 0."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import graded
import pytest
from graded import CHAPTER, WRITTEN

from maml_edu.grading import marks, policy, results, signed
from maml_edu.grading.by_hand import Given
from maml_edu.grading.policy import Wrong

DUE = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)
HEAD = "[chapters.04]\ndeadline = 2026-12-01T23:59:00Z\n"
LATE = 'late = { per = "day", take = 10, of = "maximum", most = 25 }\n'


def rules_of(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, "utf-8")
    return policy.read(path, [CHAPTER, "07_maml_in_numpy"]).of(CHAPTER)


def adjusted(tmp_path, text, time=None, outcomes=("right",) * 4, given=2.0, student="ada"):
    by_hand = {} if given is None else {(student, WRITTEN): Given(given)}
    mark = marks.mark(graded.result(student, outcomes), by_hand)
    return policy.apply(mark, rules_of(tmp_path, text), time)


# ------------------------------------------------------------------ what it does


def test_without_a_policy_nothing_is_adjusted(tmp_path):
    mark = marks.mark(graded.result("ada"), {("ada", WRITTEN): Given(2)})
    assert (mark.adjusted, mark.adjusted_max, mark.reasons) == (13, 13, [])
    rules = policy.read(tmp_path / "policy.toml", [CHAPTER]).of(CHAPTER)
    assert policy.apply(mark, rules, None) == mark


@pytest.mark.parametrize(
    ("late", "points"),
    [
        (-timedelta(seconds=1), 13), (timedelta(0), 13), (timedelta(minutes=15), 13),
        (timedelta(minutes=15, seconds=1), 11.7), (timedelta(days=1), 11.7),
        (timedelta(days=1, seconds=1), 10.4), (timedelta(days=40), 9.75),
    ],
)  # fmt: skip
def test_each_day_begun_beyond_the_grace_costs_its_share_up_to_the_most(tmp_path, late, points):
    found = adjusted(tmp_path, HEAD + LATE + 'grace = "15 minutes"\n', DUE + late)
    assert (found.adjusted, found.points, found.adjusted_max) == (points, 13, 13)
    assert len(found.reasons) == (points < 13)


def test_lateness_may_be_of_the_points_by_the_hour_and_leaves_no_less_than_0(tmp_path):
    text = HEAD + 'late = { per = "hour", take = 20, of = "points" }\n'
    found = adjusted(tmp_path, text, DUE + timedelta(hours=1, minutes=1), given=0)
    assert found.adjusted == 6.6
    assert found.reasons == [
        "Late by 2 hours begun (due 2026-12-01 23:59+00:00): 40 % of the points off, 4.4 points."
    ]
    poor = ["right", "wrong", "wrong", "wrong"]
    text = HEAD + "late = { take = 60 }\n"
    assert adjusted(tmp_path, text, DUE + timedelta(1), poor, given=0).adjusted == 0


def test_an_extension_is_for_one_person(tmp_path):
    text = (
        HEAD
        + LATE
        + '[chapters.04.extensions]\nada = { until = "2026-12-08T23:59:00+01:00", why = "ill" }\n'
    )
    then = DUE + timedelta(days=6)
    assert adjusted(tmp_path, text, then).adjusted == 13
    assert adjusted(tmp_path, text, then, student="bob").adjusted == 9.75
    assert (
        "due 2026-12-08 23:59+01:00"
        in adjusted(tmp_path, text, then + timedelta(days=2)).reasons[0]
    )


def test_without_a_time_no_lateness_is_counted(tmp_path):
    assert adjusted(tmp_path, HEAD + LATE, None).adjusted == 13


def test_a_dropped_question_counts_for_nobody_and_waits_for_nobody(tmp_path):
    found = adjusted(tmp_path, f'[chapters.04]\ndropped = ["{WRITTEN}"]\n', given=None)
    assert (found.adjusted, found.adjusted_max, found.waiting) == (11, 11, [])
    assert found.complete and found.reasons == ["written_04 was dropped: it counts for nobody."]


def test_full_points_and_weights_say_so(tmp_path):
    text = '[chapters.04]\nfull_points = ["04.best_start"]\nweight = { 04.meta_slope = 6, written_04 = 1 }\n'
    found = adjusted(tmp_path, text, None, ["right", "right", "right", "wrong"], given=1)
    assert (found.points, found.adjusted, found.adjusted_max) == (9, 6 + 3 + 2 + 3 + 0.5, 15)
    assert found.reasons == [
        "04.best_start: everybody has the full 3 points.",
        "04.meta_slope counts 6 points in place of 3.",
        "written_04 counts 1 point in place of 2.",
    ]


def test_a_bonus_may_go_above_the_maximum_and_an_adjustment_not_below_0(tmp_path):
    bonus = '[chapters.04.bonus]\nada = { points = 1.5, why = "found a mistake" }\n'
    found = adjusted(tmp_path, bonus)
    assert found.adjusted == 14.5 and found.reasons == ["Bonus +1.5: found a mistake."]
    for how, points in (("points = -20", 0), ("percent = -50", 6.5), ("to = 4", 4)):
        text = f'[chapters.04.adjust]\nada = {{ {how}, why = "copied" }}\n'
        found = adjusted(tmp_path, text)
        assert found.adjusted == points and "copied." in found.reasons[0]


def test_what_could_not_be_graded_has_no_mark_whatever_the_policy_unless_it_is_set(tmp_path):
    mark = marks.mark(graded.rejected("eve"), {}, marks.maxima([graded.result("bob")]))
    text = (
        HEAD
        + LATE
        + 'full_points = ["04.best_start"]\n[chapters.04.bonus]\neve = { points = 1, why = "x" }\n'
    )
    found = policy.apply(mark, rules_of(tmp_path, text), DUE + timedelta(days=9))
    assert found.adjusted is None and found.points is None and not found.complete
    found = policy.apply(
        mark, rules_of(tmp_path, '[chapters.04.adjust]\neve = { to = 5, why = "oral" }\n'), None
    )
    assert found.adjusted == 5 and found.points is None and found.complete


def test_a_chapter_takes_what_it_does_not_say_from_the_defaults(tmp_path):
    text = '[defaults]\ncounts = "best"\ngrace = "1 hour"\n' + HEAD + 'counts = "last"\n'
    rules = rules_of(tmp_path, text)
    assert rules.counts == "last" and rules.grace == timedelta(hours=1)
    assert policy.read(tmp_path / "policy.toml", ["07_x"] + [CHAPTER]).of("07_x").counts == "best"


def test_the_template_is_a_policy_and_so_is_all_that_it_holds(tmp_path):
    assert rules_of(tmp_path, policy.TEMPLATE) == policy.Rules()
    lines = [line.removeprefix("# ") for line in policy.TEMPLATE.splitlines()]
    told = [line for line in lines if line.startswith(("[", '"')) or " = " in line.split("#")[0]]
    rules = rules_of(
        tmp_path, "\n".join(told).replace("dropped", "# dropped").replace("full_p", "# full_p")
    )
    assert rules.extensions["wang"].why == "ill" and rules.late.most == 50 and rules.weight


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[chapters.04\n", "is no TOML: .*line 1"),
        ("[chapters.04]\ndeadline = 2026-12-01T23:59:00\n", "line 2: chapters.04.deadline: .*no time zone"),
        ('[chapters.04]\n\ndeadline = "soon"\n', "line 3: chapters.04.deadline: must be a day and a time"),
        ("[chapters.04]\ndeadline = 2026-12-01\n", "line 2: .*must be a day and a time"),
        ("[chapters.05]\n", "line 1: chapters.05: there is no chapter '05'"),
        ("[chapters.04]\ndedline = 3\n", "line 2: chapters.04.dedline: is not known. Is it deadline"),
        ("[default]\n", "line 1: default: is not known. Is it defaults"),
        ('[chapters.04]\ncounts = "first"\n', "line 2: .*must be 'last' or 'best'"),
        ('[chapters.04]\ngrace = "a bit"\n', "line 2: .*such as"),
        ("[chapters.04]\nlate = { take = 110 }\n", "line 2: chapters.04.late.take: must be a number from 0 to 100"),
        ('[chapters.04]\nlate = { per = "week", take = 1 }\n', "line 2: .*'hour' or 'day'"),
        ("[chapters.04]\nlate = {}\n", "line 2: .*take is missing"),
        (HEAD + '[chapters.04.extensions]\n"wang" = 2026-11-01T00:00:00Z\n', "line 4: .*before the deadline"),
        ('[chapters.04.extensions]\n"wang" = 2026-11-01T00:00:00Z\n', "line 2: .*needs a deadline"),
        ('[chapters.04.bonus]\n"a b" = { points = 1 }\n', "line 2: chapters.04.bonus.a b: why is missing"),
        ('[chapters.04.bonus]\nada = { points = -1, why = "x" }\n', "line 2: .*from 0 to 1000"),
        ('[chapters.04.adjust]\nada = { points = 1, to = 3, why = "x" }\n', "line 2: .*needs one of"),
        ('[chapters.04]\ndropped = ["a"]\nweight = { "a" = 1 }\n', "line 3: .*a stands in dropped as well"),
        ('[chapters.04]\ndropped = ["a"]\nfull_points = ["a"]\n', "line 3: .*stands in dropped as well"),
        ("[chapters.04]\n[chapters.04_gradient_of_a_step]\n", "line 2: .*stands there twice"),
        ("[chapters.04]\ndropped = 3\n", "line 2: .*must be a list"),
        ("[chapters.04]\nweight = { a = nan }\n", "line 2: .*must be a number"),
        ("chapters = 4\n", "line 1: chapters: must be a table"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_its_key(tmp_path, text, says):
    with pytest.raises(Wrong, match=says):
        rules_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[chapters.04]\ndropped = ["04.best_strat"]\n', "line 2: .*no exercise '04.best_strat'. Is it 04.best"),
        ('[chapters.04.bonus]\nadda = { points = 1, why = "x" }\n', "line 2: .*nobody is called 'adda'. Is it ada"),
        ('[chapters.04.weight]\n"04.x" = 1\n', "line 1: .*no exercise '04.x'"),
    ],
)  # fmt: skip
def test_a_person_or_an_exercise_that_is_not_there_is_an_error_of_every_command(
    tmp_path, text, says
):
    graded.kept(tmp_path / "results", [graded.result("ada")])
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(Wrong, match=says):
        marks.collect(tmp_path / "results", tmp_path / "by_hand.csv")


# ------------------------------------------------------------------ a class folder


def hand_in(root, student, time="", late=None, stamp=""):
    folder = (
        root / "earlier" / student / CHAPTER / stamp
        if stamp
        else root / "submitted" / student / CHAPTER
    )
    folder.mkdir(parents=True)
    (root / "seed").write_text("secret")
    signed.write(folder, {"student": student, "chapter": CHAPTER, "time": time, "late": late})


def earlier(root, result, stamp):
    path = results.save(root / "elsewhere", result)
    target = root / "results" / CHAPTER / "earlier" / result.student / f"{stamp}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def collected(root):
    return marks.build(root / "results", root / "marks/by_hand.csv", root / "marks/marks.db")


def test_the_time_comes_from_collect_or_from_nbgrader_and_where_there_is_none_the_teacher_is_told(
    tmp_path,
):
    (tmp_path / "policy.toml").write_text(HEAD + LATE)
    graded.kept(
        tmp_path / "results",
        [graded.result(n, written=False) for n in ("ada", "bob", "cid", "dee")],
    )
    hand_in(tmp_path, "ada", "2026-12-02T10:00:00+01:00")
    hand_in(tmp_path, "cid", "", late=True)
    (tmp_path / "submitted/bob" / CHAPTER).mkdir(parents=True)
    (tmp_path / "submitted/bob" / CHAPTER / "timestamp.txt").write_text(
        "2026-12-03 10:00:00.000000 UTC"
    )
    built = collected(tmp_path)
    assert [m.adjusted for m in built.marks] == [9.9, 8.8, 11, 11]
    told = "\n".join(built.problems)
    assert "dee, 04_gradient_of_a_step: nobody knows when it was handed in" in told
    assert "cid, 04_gradient_of_a_step: nobody knows when" in told and "calls it late" in told
    assert "ada" not in told and "bob" not in told


def test_the_best_hand_in_counts_lateness_included_and_the_mark_says_which(tmp_path):
    (tmp_path / "policy.toml").write_text(HEAD + LATE + 'counts = "best"\n')
    old = graded.result("ada", ["right", "right", "wrong", "right"], written=False)
    earlier(tmp_path, old, "20261201-120000")
    hand_in(tmp_path, "ada", "2026-12-01T10:00:00Z", stamp="20261201-120000")
    graded.kept(tmp_path / "results", [graded.result("ada", written=False)])
    hand_in(tmp_path, "ada", "2026-12-03T10:00:00Z")
    built = collected(tmp_path)
    (mark,) = built.marks
    assert (mark.adjusted, mark.counts) == (9, "20261201-120000")
    assert mark.reasons == ["Of 2 hand-ins the best counts: that of 2026-12-01."]
    assert built.results == [old]
    (tmp_path / "policy.toml").write_text(HEAD + 'counts = "best"\n')
    (mark,) = collected(tmp_path).marks
    assert (mark.adjusted, mark.counts) == (11, "")


def test_a_last_hand_in_that_cannot_be_read_hides_no_earlier_one(tmp_path):
    earlier(tmp_path, graded.result("eve", written=False), "20261201-120000")
    graded.kept(tmp_path / "results", [graded.rejected("eve"), graded.result("bob", written=False)])
    built = collected(tmp_path)
    assert [m.adjusted for m in built.marks] == [11, None]
    assert "the one of 2026-12-01 has 11 points" in "".join(built.problems)
    (tmp_path / "policy.toml").write_text('[defaults]\ncounts = "best"\n')
    assert [m.adjusted for m in collected(tmp_path).marks] == [11, 11]


def test_points_by_hand_go_with_the_answer_that_they_were_for_among_hand_ins(tmp_path):
    def essay(digest):
        result = graded.result("ada")
        verdicts = [
            replace(v, answer=digest) if v.exercise == WRITTEN else v for v in result.verdicts
        ]
        return replace(result, verdicts=verdicts)

    (tmp_path / "policy.toml").write_text('[defaults]\ncounts = "best"\n')
    earlier(tmp_path, essay("a" * 16), "20261201-120000")
    graded.kept(tmp_path / "results", [essay("b" * 16)])
    (tmp_path / "marks").mkdir()
    head = "student,exercise,points,comment,answer\n"
    lines = "ada,written_04,2,good,sha-aaaaaaaaaaaaaaaa\nada,written_04,0.5,worse,sha-bbbbbbbbbbbbbbbb\n"
    (tmp_path / "marks/by_hand.csv").write_text(head + lines)
    (mark,) = collected(tmp_path).marks
    assert mark.adjusted == 13 and mark.counts == "20261201-120000"


def with_essay(outcomes, digest):
    result = graded.result("ada", outcomes, sha256=digest * 64)
    own = [replace(v, answer=digest * 16 if v.exercise == WRITTEN else "") for v in result.verdicts]
    return replace(result, verdicts=own)


def test_a_mark_waits_for_an_answer_of_another_hand_in_that_may_yet_be_the_best(tmp_path):
    def marked(first, last, given):
        earlier(tmp_path, with_essay(first, "a"), "20261201-120000")
        graded.kept(tmp_path / "results", [with_essay(last, "b")])
        by_hand = tmp_path / "marks/by_hand.csv"
        by_hand.parent.mkdir(exist_ok=True)
        by_hand.write_text("student,exercise,points,comment,answer\n" + given)
        (mark,) = collected(tmp_path).marks
        return mark.adjusted, mark.counts, mark.waiting

    (tmp_path / "policy.toml").write_text('[defaults]\ncounts = "best"\n')
    better, worse = ["right", "right", "right", "wrong"], ["right", "right", "wrong", "right"]
    first, last = (f"ada,written_04,{{}},,sha-{digest * 16}\n" for digest in "ab")
    two = "20261201-120000"
    assert marked(better, worse, first.format(1)) == (9, two, [WRITTEN])  # may be 11
    assert marked(better, worse, first.format(2)) == (10, two, [WRITTEN])
    assert marked(better, worse, first.format(2) + last.format(0.5)) == (10, two, [])
    assert marked(["right"] * 4, better, first.format(0)) == (11, two, [])  # 8 + 2 is less
    assert marked(["right"] * 4, better, last.format(2)) == (11, two, [WRITTEN])


def test_earlier_answers_that_may_count_get_lines_to_be_filled_in_and_keep_them(tmp_path):
    from maml_edu.grading import run
    from maml_edu.grading.classroom import Classroom

    def lines():
        run.write_marks(Classroom(tmp_path))
        return (tmp_path / "marks/by_hand.csv").read_text("utf-8-sig").splitlines()[1:]

    line = '"ada","written_04",,"","sha-{}"'
    earlier(tmp_path, with_essay(["right"] * 4, "a"), "20261201-120000")
    graded.kept(tmp_path / "results", [with_essay(["wrong"] * 4, "b")])
    assert lines() == [line.format("b" * 16)]  # the last one counts
    (tmp_path / "policy.toml").write_text('[defaults]\ncounts = "best"\n')
    assert lines() == lines() == [line.format("b" * 16), line.format("a" * 16)]
    earlier(tmp_path, with_essay(["wrong"] * 4, "b"), "20261202-120000")
    graded.kept(tmp_path / "results", [with_essay(["wrong"] * 4, "c")])
    assert lines() == lines() == [line.format(own * 16) for own in "bac"]


def test_points_by_hand_are_asked_about_where_a_changed_helper_changed_what_the_checks_find(
    tmp_path,
):
    def hand_in(outcome, sha256, answer="a" * 16):
        result = graded.result("ada", [outcome, *["right"] * 3], written=False, sha256=sha256 * 64)
        own = [replace(v, answer=answer) for v in result.verdicts]
        return replace(result, verdicts=own)

    def told(first, last):
        earlier(tmp_path, first, "20261201-120000")
        graded.kept(tmp_path / "results", [last])
        return collected(tmp_path).problems

    by_hand = tmp_path / "marks/by_hand.csv"
    by_hand.parent.mkdir()
    by_hand.write_text(f"student,exercise,points,answer\nada,04.meta_slope,1,sha-{'a' * 16}\n")
    (line,) = told(hand_in("wrong", "1"), hand_in("right", "2"))
    assert line.startswith(
        "ada, 04.meta_slope: 1 points by hand, and the checks say right now, wrong"
    )
    assert told(hand_in("wrong", "1"), hand_in("wrong", "2")) == []
    assert told(hand_in("wrong", "1"), hand_in("right", "1")) == []  # the checks were changed
    assert told(hand_in("wrong", "1", "b" * 16), hand_in("right", "2")) == []
    by_hand.write_text(by_hand.read_text().replace(",1,", ",3,"))  # as the checks say
    assert told(hand_in("wrong", "1"), hand_in("right", "2")) == []


def test_a_damaged_earlier_result_is_told_and_costs_nobody_anything(tmp_path):
    earlier(tmp_path, graded.result("ada", written=False), "20261201-120000")
    path = next((tmp_path / "results").glob("*/earlier/*/*.json"))
    path.write_text("half")
    graded.kept(tmp_path / "results", [graded.result("ada", written=False)])
    built = collected(tmp_path)
    assert built.marks[0].adjusted == 11 and "not a result of grading" in built.problems[0]


def test_a_file_s_own_time_is_no_time_of_handing_in(tmp_path):
    from maml_edu.grading import counting

    folder = tmp_path / "submitted/ada" / CHAPTER
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_text("2026-12-03 10:00:00.000000 UTC")
    assert counting.came(folder, "ada", CHAPTER).time is not None
    (tmp_path / "seed").write_text("secret")
    said = {"time": "2026-12-03T10:00:00+00:00", "time_from": "file", "late": True}
    signed.write(folder, said | {"student": "ada", "chapter": CHAPTER})
    assert counting.came(folder, "ada", CHAPTER) == counting.Came(None, True)


def test_a_handed_in_json_that_a_student_handed_in_takes_off_no_lateness_and_is_told_once(tmp_path):
    (tmp_path / "policy.toml").write_text(HEAD + LATE + 'counts = "best"\n')
    graded.kept(tmp_path / "results", [graded.result(n, written=False) for n in ("ada", "eve")])
    time = "2026-12-02T10:00:00+01:00"
    hand_in(tmp_path, "ada", time)
    hand_in(tmp_path, "eve", time)  # whose seed a student does not know
    path = tmp_path / "submitted/eve" / CHAPTER / "handed_in.json"
    (path.parent / "timestamp.txt").write_text("2026-12-03 10:00:00.000000 UTC")
    true = json.loads(path.read_text())
    ada = json.loads((tmp_path / "submitted/ada" / CHAPTER / "handed_in.json").read_text())
    forged = [true | {"time": "2026-11-01T10:00:00+01:00"}, true | {"time_from": "file"}, ada]
    forged += [{"time": 5}, [], {"signature": 5}, {"signature": "\u00e9"}]
    for said in [*map(json.dumps, forged), "[" * 100000, "\udcff", ""]:
        path.write_bytes(said.encode("utf-8", "surrogateescape"))
        built = collected(tmp_path)
        assert [m.adjusted for m in built.marks] == [9.9, 8.8]
        assert [line.split(" is not")[0] for line in built.problems] == [
            f"handed_in.json of eve ({CHAPTER})"
        ]
    path.write_text(json.dumps(true))
    assert [m.adjusted for m in collected(tmp_path).marks] == [9.9, 9.9]


def test_a_line_typed_before_the_next_hand_in_was_collected_is_for_the_answer_that_was_read(
    tmp_path,
):
    by_hand = tmp_path / "marks/by_hand.csv"
    by_hand.parent.mkdir()
    by_hand.write_text("student,exercise,points,comment\nada,written_04,2,good\n")
    old = replace(graded.result("ada"), sha256="a" * 64)
    earlier(
        tmp_path, old, "20261201-120000"
    )  # collect has moved it there, and nothing is graded since
    marks.bind_to_results(tmp_path / "results", by_hand)
    graded.kept(tmp_path / "results", [replace(old, sha256="b" * 64)])
    (mark,) = collected(tmp_path).marks
    assert mark.waiting == [WRITTEN]


def test_earlier_hand_ins_are_graded_where_the_best_one_counts(tmp_path):
    from typer.testing import CliRunner

    from maml_edu import places
    from maml_edu.cli import app
    from maml_edu.grading import classroom
    from maml_edu.grading.sandbox import box

    if problem := box.probe():
        pytest.skip(problem)

    def command(*words):
        done = CliRunner().invoke(app, ["classroom", *words, "--class", str(room.root)])
        assert done.exit_code == 0, (done.output, done.exception)
        return " ".join(done.output.split())

    room = classroom.new(tmp_path / "class", "A class", [CHAPTER])
    for kind, folder in (
        ("solutions", "earlier/ada/{}/20261201-120000"),
        ("exercises", "submitted/ada/{}"),
    ):
        target = room.root / folder.format(CHAPTER) / f"{CHAPTER}.ipynb"
        target.parent.mkdir(parents=True)
        target.write_bytes((places.course_root() / kind / f"{CHAPTER}.ipynb").read_bytes())
    assert "were graded too" not in command("grade")
    assert "no deadlines" in command("policy")
    command("policy", "--template")
    (room.root / "policy.toml").write_text('[defaults]\ncounts = "best"\n')
    assert "the best hand-in counts" in command("policy", "04")
    assert "1 earlier hand-ins were graded too" in command("grade")
    assert "were graded too" not in command("grade")
    (mark,) = marks.collect(room.results, room.by_hand).marks
    assert mark.points == mark.adjusted == mark.max_points - mark.worth[WRITTEN]
    assert mark.counts == "20261201-120000"
    (room.root / "policy.toml").write_text("[chapters.04]\ndeadline = 2026-12-01\n")
    done = CliRunner().invoke(app, ["classroom", "grade", "--class", str(room.root)])
    assert done.exit_code != 0 and "line 2: chapters.04.deadline" in str(done.exception)


def test_a_policy_knows_the_class_s_own_chapters_before_anything_is_graded(tmp_path):
    """The points of an exercise are those of source/, not those of the course."""
    from maml_edu.grading import classroom, counting, own_exercise

    room = classroom.new(tmp_path / "class", chapters=["04_gradient_of_a_step"])
    added = own_exercise.add(room, "attention", "50_transformers", 3)
    rule = room.root / "policy.toml"
    rule.write_text(f'[chapters.50]\nweight = {{ "{added.id}" = 5 }}\n')
    assert counting.of(room.root, [], {}).policy.chapters
    rule.write_text('[chapters.50]\nfull_points = ["50.attentoin"]\n')
    with pytest.raises(policy.Wrong, match="attentoin"):
        counting.of(room.root, [], {})
