"""A class's own notebook and checks decide what is asked, handed out and graded; contradictions are told."""

import json
import math
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from maml_edu import places
from maml_edu.checks.exercise import load_chapter
from maml_edu.cli import app
from maml_edu.grading import classroom, judge, marks, model_answers, results, tasks
from maml_edu.grading.sandbox import box
from maml_edu.grading.submission import read

CHAPTER = "04_gradient_of_a_step"
OWN = "50_transformers"
pytestmark = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")


def run(*arguments, code=0):
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=True)
    assert done.exit_code == code, f"{arguments}: {done.output} {done.exception!r}"
    return done.output if code == 0 else str(done.exception)


@pytest.fixture
def room(tmp_path):
    return classroom.new(tmp_path / "class", chapters=[CHAPTER])


def source(room, chapter=CHAPTER):
    return room.source / chapter / f"{chapter}.ipynb"


def change(room, edit, chapter=CHAPTER):
    """Edit the cells of a class's notebook."""
    made = json.loads(source(room, chapter).read_text("utf-8"))
    made["cells"] = edit(made["cells"]) or made["cells"]
    source(room, chapter).write_text(json.dumps(made), "utf-8")


def mark(cell):
    return cell["metadata"].get("nbgrader", {})


def without(*names):
    return lambda cells: [cell for cell in cells if mark(cell).get("grade_id") not in names]


def set_points(**points):
    def edit(cells):
        for cell in cells:
            if mark(cell).get("grade_id") in points:
                mark(cell)["points"] = points[mark(cell)["grade_id"]]

    return edit


def say_otherwise(cells):
    """Text above an exercise that says other points."""
    for cell in cells:
        cell["source"] = "".join(cell["source"]).replace(
            "3 minutes · 2 points", "3 minutes · 6 points"
        )


def hand_in(room, student, made, chapter=CHAPTER):
    folder = room.root / "submitted" / student / chapter
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{chapter}.ipynb").write_text(json.dumps(made), "utf-8")


def solved(room, chapter=CHAPTER):
    return json.loads(source(room, chapter).read_text("utf-8"))


def grade(room, *more, code=0):
    return run("classroom", "grade", "--workers", "1", *more, "--class", room.root, code=code)


def known(room, student="ada", chapter=CHAPTER):
    return results.known(room.results, chapter, student)


# ------------------------------------------------------------------ points, and exercises that go


def test_points_changed_in_the_source_are_the_points_that_are_given(room):
    hand_in(room, "ada", solved(room))
    grade(room)
    assert known(room).max_points == 20 and known(room).points == 18
    change(room, set_points(check_meta_slope=6, written_04=5))
    assert "0 of 1" not in grade(room) and "graded before" not in grade(room).split("1 of 1")[0]
    parts = {v.exercise: v.max_points for v in known(room).verdicts}
    assert parts["04.meta_slope"] == 6 and parts["written_04"] == 5
    assert known(room).points == 22 and known(room).max_points == 27
    # nothing is left of the old points in anything that is made from results
    built = marks.collect(room.results, room.by_hand)
    assert built.problems == [] and math.isclose(built.marks[0].max_points, 27)


def test_an_exercise_deleted_in_the_source_is_not_asked_and_counts_nowhere(room):
    hand_in(room, "ada", solved(room))
    hand_in(room, "bob", solved(room))
    grade(room)
    change(room, without("first_order_misleads", "check_first_order_misleads"))
    grade(room)
    for student in ("ada", "bob"):
        result = known(room, student)
        assert "04.first_order_misleads" not in {v.exercise for v in result.verdicts}
        assert (result.points, result.max_points) == (15, 17)
    run("classroom", "release", "04", "--class", room.root)
    assert (
        "def first_order_misleads"
        not in (room.root / "release" / CHAPTER / f"{CHAPTER}.ipynb").read_text()
    )


def test_prose_of_the_source_grades_nobody_again(room):
    hand_in(room, "ada", solved(room))
    grade(room)

    def translate(cells):
        cells[0]["source"] = "# 04 · Übungen"

    change(room, translate)
    assert "1 of 1 were graded before" in grade(room)


def test_the_page_of_written_answers_shows_the_class_s_question_and_rubric(room):
    def own(cells):
        for cell in cells:
            if mark(cell).get("grade_id") == "written_04":
                cell["source"] = "**Musterantwort.** Der Faktor."
                mark(cell)["points"] = 5

    change(room, own)
    made = solved(room)
    for cell in made["cells"]:
        if mark(cell).get("grade_id") == "written_04":
            cell["source"] = "My own words."
    hand_in(room, "ada", made)
    grade(room)
    run("classroom", "report", "04", "--class", room.root)
    page = (room.root / "exports" / f"written_{CHAPTER}.html").read_text("utf-8")
    assert "Musterantwort" in page and "written_04, 5 points" in page and "My own words" in page
    assert "<strong>Model answer" not in page  # of the course
    assert tasks.rubric(room, CHAPTER, "written_04") == "**Musterantwort.** Der Faktor."
    assert tasks.question(room, CHAPTER, "written_04").startswith("## 04.7 In your own words")
    assert tasks.question(room, CHAPTER, "04.meta_slope").startswith("## 04.1 The meta-gradient")
    assert tasks.question(room, CHAPTER, "04.none") == ""


def test_without_a_source_the_course_decides_as_before(room):
    assert tasks.task_of(CHAPTER).worth == room.task(CHAPTER).worth
    assert room.task("01_gradient_descent").worth == tasks.task_of("01_gradient_descent").worth
    assert tasks.rubric(room, "01_gradient_descent", "written_01")


@pytest.mark.parametrize("chapter", tasks.with_exercises())
def test_the_course_s_own_notebooks_ask_what_the_course_asks(chapter):
    """A class that changes nothing grades as the course does."""
    solutions = places.course_root() / "solutions"
    cells = tasks.marked_cells(solutions / f"{chapter}.ipynb")
    known = {item.name: item for item in load_chapter(chapter)}
    asked, problems = tasks._exercises(cells, known, tasks.load_private(chapter, None))
    course = tasks.task_of(chapter)
    assert problems == [] and [(i.id, i.points) for i in asked] == [
        (i.id, i.points) for i in course.exercises
    ]
    assert tasks._questions(cells) == (course.written, [])
    assert set(course.given.splitlines()) <= set(tasks._given(cells).splitlines())
    assert tasks.contradicting_texts(solutions / f"{chapter}.ipynb") == []


# ------------------------------------------------------------------ contradictions


def rename(cells):
    for cell in cells:
        if mark(cell).get("grade_id") in ("meta_slope", "check_meta_slope"):
            mark(cell)["grade_id"] = mark(cell)["grade_id"].replace("meta_slope", "steigung")


def twice(cells):
    return [*cells, next(c for c in cells if mark(c).get("grade_id") == "meta_slope")]


def task_cell(cells):
    for cell in cells:
        if mark(cell).get("grade_id") == "written_04":
            mark(cell).update(task=True, solution=False)


ALSO = "from maml_edu.checks.exercise import also\n@also('{}')\ndef f(answer, rng): answer(1)"
OWN_CHECK = """
from maml_edu.checks.exercise import draw, exercise, expect, also

@exercise("04.mine", points=4, minutes=5, difficulty=1)
def mine(answer, rng):
    '''Twice'''
    for x in draw(rng, x=(1.0, 9.0)):
        expect(answer(x), 2 * x)
"""


@pytest.mark.parametrize(
    ("edit", "private", "words"),
    [
        (rename, "", 'no check is known for the cell "steigung"'),
        (without("check_meta_slope"), "", 'the cell "meta_slope" has no test cell "check_meta_slope"'),
        (without("meta_slope"), "", '"check_meta_slope" has points, and there is no answer cell "meta_slope"'),
        (twice, "", 'two cells have the grade_id "meta_slope"'),
        (set_points(check_meta_slope=None), "", '"check_meta_slope" has no points'),
        (set_points(check_meta_slope=-1), "", '"check_meta_slope" has no points'),
        (set_points(written_04="two"), "", 'the question "written_04" has no points'),
        (task_cell, "", "manually graded tasks"),
        (lambda cells: [c for c in cells if not mark(c)], "", "nothing is asked"),
        (lambda cells: None, OWN_CHECK, '@exercise("04.mine") in private/04_gradient_of_a_step.py has no cells'),
        (lambda cells: None, OWN_CHECK.replace("04.mine", "05.mine"), "is no exercise of 04_gradient"),
        (lambda cells: None, OWN_CHECK.replace("04.mine", "04.meta_slope"), "is an exercise of the course"),
        (lambda cells: None, OWN_CHECK + OWN_CHECK, "is there twice"),
        (lambda cells: None, "import nothing_like_it", "line 1: ModuleNotFoundError"),
        (lambda cells: None, ALSO.format("04.mime"), "line 2: ValueError: there is no exercise '04.mime'"),
        (lambda cells: None, ALSO.format("01.descent_step"), "is no exercise of 04_gradient"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["grade", "release"])
def test_a_contradiction_is_one_error_that_names_it_before_anything_is_done(
    room, edit, private, words, command
):
    hand_in(room, "ada", solved(room))
    change(room, edit)
    if private:
        (room.private / f"{CHAPTER}.py").write_text(private)
    said = run("classroom", command, "04", "--class", room.root, code=1)
    assert words in said, said
    assert not list(room.results.glob("*/*.json")) and not list((room.root / "release").iterdir())


def test_a_notebook_that_is_none_or_gone_is_told(room):
    hand_in(room, "ada", solved(room))
    source(room).write_text("{")
    assert "is no notebook" in grade(room, code=1)
    source(room).unlink()
    assert f"no {CHAPTER}.ipynb in it" in grade(room, code=1)


def test_points_in_the_text_that_are_not_those_of_the_cell_are_not_handed_out(room):
    change(room, say_otherwise)
    said = run("classroom", "release", "04", "--class", room.root, code=1)
    assert 'the text above "meta_slope" says 6 points, its cell has 2' in said
    change(room, set_points(check_meta_slope=6))
    run("classroom", "release", "04", "--class", room.root)


# ------------------------------------------------------------------ own exercises and chapters


def own_exercise(room, name="mine", chapter="04", points=4):
    run(
        "classroom",
        "exercise",
        name,
        "--chapter",
        chapter,
        "--points",
        points,
        "--class",
        room.root,
    )


def test_an_own_exercise_is_released_and_graded_for_every_submission_alike(room):
    """13 points for the first of a worker's submissions, 17 for the others: not any more."""
    own_exercise(room)
    run("classroom", "release", "04", "--class", room.root)
    handed_out = json.loads(
        (room.root / "release" / CHAPTER / f"{CHAPTER}.ipynb").read_text("utf-8")
    )
    texts = "\n".join("".join(cell["source"]) for cell in handed_out["cells"])
    assert "def mine(x)" in texts and "return 2 * x" not in texts and "assert mine" in texts
    for number in range(3):
        hand_in(room, f"right{number}", solved(room))
        hand_in(room, f"stub{number}", handed_out)
    said = run("classroom", "grade", "--workers", "2", "--class", room.root)
    assert "grade the chapter again" not in said
    for number in range(3):
        right, stub = known(room, f"right{number}"), known(room, f"stub{number}")
        assert (right.points, right.max_points) == (22, 24) and (stub.points, stub.max_points) == (
            0,
            24,
        )
    assert "04.mine" not in [item.id for item in load_chapter(CHAPTER)]  # nor anywhere else
    assert tasks.task_of(CHAPTER).worth.keys() == {v.exercise for v in right.verdicts} - {"04.mine"}


def test_a_wrong_answer_to_an_own_exercise_is_told_why(room):
    own_exercise(room)
    made = solved(room)
    for cell in made["cells"]:
        if mark(cell).get("grade_id") == "mine":
            cell["source"] = "def mine(x):\n    return x\n"
    hand_in(room, "ada", made)
    grade(room)
    (verdict,) = [v for v in known(room).verdicts if v.exercise == "04.mine"]
    assert (verdict.points, verdict.max_points, verdict.reason) == (0, 4, "the factor is missing")


def test_other_points_in_private_and_source_are_a_contradiction(room):
    own_exercise(room)
    hand_in(room, "ada", solved(room))
    change(room, set_points(check_mine=3))
    assert "04.mine is worth 4 points in private" in grade(room, code=1)


def test_a_check_that_students_do_not_have_is_not_handed_out(room):
    own_exercise(room)

    def call(cells):
        for cell in cells:
            if mark(cell).get("grade_id") == "check_mine":
                cell["source"] = 'check("04.mine", mine)'

    change(room, call)
    assert "which no student has" in run("classroom", "release", "04", "--class", room.root, code=1)


def test_an_own_chapter_goes_all_the_way(room, tmp_path):
    own_exercise(room, "attention", OWN, 3)
    own_exercise(room, "softmax", "50", 2)
    run("classroom", "release", OWN, "--class", room.root)
    handed_out = room.root / "release" / OWN / f"{OWN}.ipynb"
    (tmp_path / "downloads" / "ada").mkdir(parents=True)
    made = solved(room, OWN)
    (tmp_path / "downloads" / "ada" / f"{OWN}.ipynb").write_text(json.dumps(made), "utf-8")
    (tmp_path / "downloads" / "bob").mkdir()
    (tmp_path / "downloads" / "bob" / f"{OWN}.ipynb").write_text(
        handed_out.read_text("utf-8"), "utf-8"
    )
    run("classroom", "collect", tmp_path / "downloads", "--chapter", "50", "--class", room.root)
    assert room.strangers() == []
    grade(room, "50")
    assert known(room, "ada", OWN).points == 5 and known(room, "bob", OWN).points == 0
    assert known(room, "bob", OWN).max_points == 5
    run("classroom", "feedback", OWN, "--class", room.root)
    assert (room.root / "feedback" / "ada" / OWN / f"{OWN}.html").is_file()
    run("classroom", "report", "50", "--class", room.root)
    assert (room.root / "exports" / f"report_{OWN}.html").is_file()
    run("classroom", "export", "csv", "--class", room.root)
    table = (room.root / "exports" / "marks.csv").read_text("utf-8-sig")
    assert "50.attention" in table and "50.softmax" in table
    assert room.chapter_named("50") == OWN and tasks.title(room, OWN) == "50 · transformers"


def test_an_own_chapter_without_the_class_that_has_it_is_unknown(room):
    with pytest.raises(ValueError, match="no exercises in chapter"):
        tasks.task_of(OWN)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("04_mine", "is 04_gradient_of_a_step of the course"),
        ("50 x", "letters, digits and _ alone"),
    ],
)
def test_an_own_chapter_is_never_taken_for_one_of_the_course(room, name, words):
    folder = room.source / name
    folder.mkdir()
    (folder / f"{name}.ipynb").write_text(source(room).read_text("utf-8"), "utf-8")
    hand_in(room, "ada", solved(room), name)
    assert words in grade(room, code=1)


def test_two_chapters_never_share_a_mark(room):
    own_exercise(room, "attention", OWN)
    question = next(c for c in solved(room)["cells"] if mark(c).get("grade_id") == "written_04")
    change(room, lambda cells: [*cells, question], OWN)
    hand_in(room, "ada", solved(room, OWN), OWN)
    assert 'the question "written_04" is in 04_gradient_of_a_step and in 50_transformers' in grade(
        room, code=1
    )


@pytest.mark.parametrize(
    ("name", "chapter", "words"),
    [
        ("2x", "04", "is no name of a Python function"),
        ("lambda", "04", "is no name of a Python function"),
        ("meta_slope", "04", "has a cell meta_slope"),
        ("mine", "77", "a new one needs a name: --chapter 77_transformers"),
        ("mine", "04_other", "of the course. Give your chapter another number"),
    ],
)
def test_an_exercise_that_cannot_be_is_refused_and_nothing_is_written(room, name, chapter, words):
    before = {p: p.read_bytes() for p in room.root.rglob("*") if p.is_file()}
    assert words in run(
        "classroom", "exercise", name, "--chapter", chapter, "--class", room.root, code=1
    )
    assert {p: p.read_bytes() for p in room.root.rglob("*") if p.is_file()} == before


# ------------------------------------------------------------------ tried on the model answer first

PICKY = """
from maml_edu.checks.exercise import WrongAnswer, also

@also("04.best_start")
def picky(answer, rng):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise WrongAnswer('not to my taste')", "rejects your own model answer: not to my taste"),
        ("answer(1)", "rejects your own model answer: your function raised"),
        ("undefined", f"{CHAPTER}.py, line 6: NameError"),
    ],
)
def test_a_check_that_rejects_the_model_answer_grades_nobody(room, body, words):
    hand_in(room, "ada", solved(room))
    (room.private / f"{CHAPTER}.py").write_text(PICKY.format(body=body))
    said = grade(room, code=1)
    assert (
        "04.best_start: the check picky (private/04_gradient_of_a_step.py, line 4)" in said
        and words in said
    )
    assert not list(room.results.glob("*/*.json"))


def test_a_model_answer_that_is_wrong_or_gone_grades_nobody(room):
    hand_in(room, "ada", solved(room))

    def spoil(cells):
        for cell in cells:
            if mark(cell).get("grade_id") == "meta_slope":
                cell["source"] = "def meta_slope(theta, c, a, alpha):\n    return 1.0\n"
            if mark(cell).get("grade_id") == "best_start":
                cell["source"] = "def best_start(c, a, alpha):\n    raise NotImplementedError()\n"

    change(room, spoil)
    said = grade(room, code=1)
    assert "04.meta_slope: the check meta_slope (04_gradient_of_a_step/checks.py" in said
    assert "04.best_start: there is no model answer in" in said


def test_what_was_tried_is_not_tried_again_until_it_changes(room, monkeypatch):
    own_exercise(room)
    hand_in(room, "ada", solved(room))
    tried = []
    real = model_answers.rejections
    monkeypatch.setattr(model_answers, "rejections", lambda *a: tried.append(a[0]) or real(*a))
    grade(room)
    grade(room)
    assert tried == [CHAPTER]
    (room.private / f"{CHAPTER}.py").open("a").write("\n# another thought\n")
    grade(room)
    assert tried == [CHAPTER] * 2


def test_a_class_that_changes_nothing_waits_for_no_trial(room, monkeypatch):
    hand_in(room, "ada", solved(room))
    monkeypatch.setattr(model_answers, "rejections", None)
    grade(room)
    assert known(room).points == 18


# ------------------------------------------------------------------ what is handed out


def test_no_dead_link_is_handed_out_and_an_empty_answer_is_still_not_done(room):
    run("classroom", "release", "04", "--class", room.root)
    made = json.loads((room.root / "release" / CHAPTER / f"{CHAPTER}.ipynb").read_text("utf-8"))
    text = "\n".join("".join(cell["source"]) for cell in made["cells"])
    assert "](../" not in text
    assert "The lesson is 04 · The gradient of a gradient step (`maml-edu lab` opens it)." in text
    hand_in(room, "ada", made)
    grade(room)
    assert {v.outcome for v in known(room).verdicts} == {"not done"}


def test_a_chapter_that_the_class_began_without_can_be_released(room):
    run("classroom", "release", "01", "--class", room.root)
    assert (room.source / "01_gradient_descent" / "01_gradient_descent.ipynb").is_file()


def test_gradescope_is_given_what_the_class_asks(room, tmp_path):
    import zipfile

    own_exercise(room)
    wheel = tmp_path / "maml_edu-1-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    run(
        "classroom",
        "export",
        "gradescope",
        "--chapter",
        "04",
        "--wheel",
        wheel,
        "--class",
        room.root,
    )
    with zipfile.ZipFile(room.root / "exports" / f"gradescope_{CHAPTER}.zip") as bundle:
        bundle.extractall(tmp_path / "autograder")
    (tmp_path / "hand_in.ipynb").write_text(json.dumps(solved(room)), "utf-8")
    grader = tmp_path / "autograder"
    run("grade", tmp_path / "hand_in.ipynb", "--chapter", CHAPTER, "--seed-file", grader / "seed", "--private",
        grader / "private", "--gradescope", tmp_path / "results.json")  # fmt: skip
    done = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert done["score"] == 22 and len(done["tests"]) == 8


# ------------------------------------------------------------------ what is to be written is not to be called

ADAPT = """
def inner_loop(loss, params, support_x, support_y, inner_lr, inner_steps):
    pairs = zip(support_x, support_y)
    return [ref.adapt(loss, params, x, y, inner_lr, inner_steps) for x, y in pairs]
"""


def test_an_answer_that_calls_what_it_should_write_has_no_points_and_is_told():
    chapter = "07_maml_in_numpy"
    task = tasks.task_of(chapter)
    two = replace(task, exercises=task.exercises[:2], written=[])
    solution = read(places.course_root() / "solutions" / f"{chapter}.ipynb")
    shortened = [
        replace(cell, source=ADAPT) if cell.grade_id == "inner_loop" else cell
        for cell in solution.cells[:12]
    ]
    with judge.Boxes() as boxes:
        found = judge.judge(replace(solution, cells=shortened), two, "a secret", boxes, cases=3)
    assert [(v.outcome, v.points) for v in found] == [
        ("wrong", 0),
        ("right", 3),
    ]  # which may use ref.adapt
    assert "write what `maml_edu.reference.adapt` does" in found[0].reason
