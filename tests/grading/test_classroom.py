"""A teacher's whole walk: new, release, collect, grade, by hand, feedback, report, four exports."""

import csv
import json
import os
import stat
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from maml_edu import places
from maml_edu.checks.exercise import judge as run_check
from maml_edu.checks.exercise import load_chapter, wrong_answers
from maml_edu.cli import app
from maml_edu.grading import classroom, results
from maml_edu.grading.judge import HIDDEN_CASES, seed_of
from maml_edu.grading.sandbox import box

CHAPTER = "04_gradient_of_a_step"
NAMES = ["Silva, Jr", "=cmd|x", "李雷", "O'Brien", "mallory"]
pytestmark = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")


def run(*arguments, code=0):
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=True)
    assert done.exit_code == code, f"{arguments}: {done.output} {done.exception!r}"
    return done.output


def notebook(kind):
    path = places.course_root() / kind / f"{CHAPTER}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def answer(made, name, source):
    """Put an answer into a notebook."""
    cells = made["cells"]
    for cell in cells:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == name:
            cell["source"] = source


TELL_TALE = """
def meta_slope(theta, c, a, alpha):
    raise type(f"E{theta!r}".replace(".", "_").replace("-", "m"), (Exception,), {})(theta)
"""
WRONG = """
def meta_slope(theta, c, a, alpha):
    return a * (theta - alpha * a * (theta - c) - c)  # <script>alert('mine')</script>
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A class that has walked all the way to its marks; five students of chapter 04."""
    root = tmp_path_factory.mktemp("teach")
    run("classroom", "new", root / "class", "--name", "MAML 2026", "--chapter", "04")
    own = classroom.find(root / "class")
    run("classroom", "release", "04", "--class", own.root)
    release = own.root / "release" / CHAPTER / f"{CHAPTER}.ipynb"
    assert "NotImplementedError" in release.read_text(encoding="utf-8")
    downloads = root / "downloads"
    for number, name in enumerate(NAMES):
        made = notebook("solutions") if number < 3 else json.loads(release.read_text("utf-8"))
        if name == "O'Brien":
            answer(made, "meta_slope", WRONG)
        if name == "mallory":
            answer(made, "meta_slope", TELL_TALE)
        folder = downloads / name
        folder.mkdir(parents=True)
        (folder / f"{CHAPTER} (1).ipynb").write_text(json.dumps(made), encoding="utf-8")
    (downloads / "broken").mkdir()
    (downloads / "broken" / f"{CHAPTER}.ipynb").write_text("{")
    said = run("classroom", "collect", downloads, "--chapter", "04", "--class", own.root)
    assert "6 students" in said
    return own


@pytest.fixture(scope="module")
def graded(room):
    return room, run("classroom", "grade", "--workers", "2", "--class", room.root)


def test_the_folder_is_nbgraders_and_the_seed_is_the_teachers_alone(room):
    assert stat.S_IMODE((room.root / "seed").stat().st_mode) == 0o600 and len(room.secret) == 32
    assert (room.root / "source" / CHAPTER / f"{CHAPTER}.ipynb").is_file()
    assert "seed" in (room.root / ".gitignore").read_text().splitlines()
    assert (room.root / "submitted" / "Silva, Jr" / CHAPTER / f"{CHAPTER}.ipynb").is_file()


def test_grading_ends_with_a_table_and_says_who_failed_and_why(graded):
    _, said = graded
    assert "broken" in said and "rejected" in said and "cut off" in said
    assert "by_hand.csv" in said


def test_the_marks_are_those_deserved_and_no_failure_is_a_zero(graded):
    room, _ = graded
    known = {result.student: result for result in results.load_all(room.results)}
    assert {name: known[name].points for name in NAMES} == dict(
        zip(NAMES, (18, 18, 18, 0, 0), strict=True)
    )
    assert known["broken"].status == "rejected" and known["broken"].points is None


def test_a_second_run_grades_nothing_again(graded):
    room, _ = graded
    before = {p: p.stat().st_mtime_ns for p in room.results.glob("*/*.json")}
    assert "5 of 6 were graded before" in run("grade", room.root)
    after = {p: p.stat().st_mtime_ns for p in room.results.glob("*/*.json")}
    assert {p for p in before if before[p] != after[p]} <= {room.results / CHAPTER / "broken.json"}


@pytest.fixture(scope="module")
def given_back(graded):
    room, _ = graded
    run("classroom", "feedback", "04", "--class", room.root)
    return {
        name: {p.suffix: p.read_text(encoding="utf-8") for p in (room.root / "feedback" / name / CHAPTER).iterdir()}
        for name in NAMES
    }  # fmt: skip


def hidden(room):
    """Every number that the hidden checks send or expect, as it might be printed."""
    found = set()

    def note(value):
        for number in np.ravel(np.asarray(value)) if not callable(value) else ():
            if isinstance(number, (float, np.floating)):
                found.update({repr(float(number)), f"{number:.8g}", f"{number:.6g}"})

    space: dict = {}
    for cell in notebook("solutions")["cells"]:
        if cell["cell_type"] == "code" and "check(" not in "".join(cell["source"]):
            exec("".join(cell["source"]), space)
    for item in load_chapter(CHAPTER):

        def answer(*args, own=space[item.name]):
            made = own(*(a.numpy if hasattr(a, "numpy") else a for a in args))
            for value in (*(a for a in args if not hasattr(a, "numpy")), made):
                note(value)
            return made

        run_check(item, answer, seed_of(room.secret, item.id), HIDDEN_CASES)
    return {text for text in found if sum(map(str.isdigit, text.lstrip("-0."))) >= 5}


def test_feedback_names_the_mistake_and_holds_nothing_hidden(room, given_back):
    secrets = hidden(room)
    assert len(secrets) > 200
    checks = (places.course_root() / "course" / CHAPTER / "checks.py").read_text(encoding="utf-8")
    lines = [line.strip() for line in checks.splitlines() if len(line.strip()) > 25]
    code = [line for line in lines if not line.startswith(('"', "#")) and '"' not in line]
    for name, files in given_back.items():
        assert {".html", ".ipynb"} <= set(files) <= {".html", ".ipynb", ".txt"}
        for text in files.values():
            theirs = text.replace(json.dumps(WRONG), "")
            assert not [number for number in secrets if number in theirs]
            assert room.secret not in text
            assert not [n for n in secrets if n.replace(".", "_").replace("-", "m") in text]
            if name in ("mallory", "O'Brien"):  # the others' own code is the solution's
                assert not [line for line in code if line in text]
    assert "this is the slope at φ" in given_back["O'Brien"][".html"]


def test_feedback_runs_no_script_of_theirs(given_back):
    page = given_back["O'Brien"][".html"]
    assert "<script" not in page and "default-src 'none'" in page
    assert "alert(&#x27;mine&#x27;)" in page


def test_a_person_gives_points_and_they_are_in_the_marks(graded):
    room, _ = graded
    text = room.by_hand.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["exercise"] for row in rows] == ["written_04"] * 3  # two wrote nothing
    with open(room.by_hand, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(row | {"points": "2", "comment": "well said"} for row in rows)
    run("classroom", "export", "csv", "--class", room.root)
    with open(room.root / "exports" / "marks.csv", newline="", encoding="utf-8-sig") as file:
        marks = list(csv.DictReader(file))
    own = {row["student"].removeprefix("'"): row for row in marks}
    assert set(own) == {*NAMES, "broken"}
    assert [float(own[name]["points"]) for name in NAMES] == [20, 20, 20, 0, 0]
    assert own["broken"]["points"] == ""


def in_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def out_of_csv(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def test_canvas_gets_the_marks_and_nothing_that_could_set_others_back(graded, tmp_path):
    room, _ = graded
    lines = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Chapter 04 (77)"]]
    lines += [["    Points Possible", "", "", "", "", "20"]]
    lines += [[name, str(i), f"s{i}", f"login{i}", "A", ""] for i, name in enumerate(NAMES)]
    lines += [["Doe, Jane", "9", "s9", "jane", "A", "7"]]
    into = ["--into", in_csv(tmp_path / "canvas.csv", lines), "--assignment", "Chapter 04"]
    said = run("classroom", "export", "canvas", "--chapter", "04", "--partial", *into, *at(room))
    assert "broken: could not be graded" in said or "not in that file: broken" in said
    filled = out_of_csv(room.root / "exports" / f"canvas_{CHAPTER}.csv")
    assert [row[:5] for row in filled] == [row[:5] for row in lines[:-1]]  # Jane's 7 is not in it
    assert [row[5] for row in filled[2:]] == [*map(str, marks_of(room))]
    assert "handed in nothing: Doe, Jane" in said


def test_moodle_gets_the_marks_and_keeps_all_else(graded, tmp_path):
    room, _ = graded
    lines = [
        [
            "Identifier",
            "Full name",
            "Email address",
            "Status",
            "Grade",
            "Maximum grade",
            "Feedback comments",
        ]
    ]
    lines += [
        [f"Participant {i}", name, f"{i}@x.org", "Submitted", "", "20.00", ""]
        for i, name in enumerate(NAMES)
    ]
    into = ["--into", in_csv(tmp_path / "moodle.csv", lines), "--chapter", "04", "--partial"]
    run("classroom", "export", "moodle", *into, *at(room))
    filled = out_of_csv(room.root / "exports" / f"moodle_{CHAPTER}.csv")
    assert all(" of 20 points" in row[6] and "<br>" in row[6] for row in filled[1:])
    into[1] = in_csv(
        tmp_path / "chosen.csv", [["Wer", *lines[0][1:4], "Punkte"], *(r[:5] for r in lines[1:])]
    )
    run("classroom", "export", "moodle", *into, "--columns", "student=Wer,grade=Punkte", *at(room))
    assert [row[:5] for row in filled[1:]] == out_of_csv(
        room.root / "exports" / f"moodle_{CHAPTER}.csv"
    )[1:]
    zipped = run("classroom", "feedback", "04", "--for", "moodle", "--into", into[1], *at(room))
    assert f"feedback_moodle_{CHAPTER}.zip: the feedback of {len(NAMES)} students" in zipped
    assert "left out: broken: Moodle's number of the participant is not known" in zipped
    assert [row[4] for row in filled[1:]] == [*map(str, marks_of(room))]
    assert [row[:4] for row in filled] == [row[:4] for row in lines]


def test_blackboard_a_wide_table_and_lti_get_the_marks(graded, tmp_path):
    room, _ = graded
    lines = [["Last Name", "First Name", "Username", "Chapter 04 [Total Pts: 20 Score] |7"]]
    lines += [["x", "y", name, ""] for name in NAMES]
    into = ["--into", in_csv(tmp_path / "gc.csv", lines), "--assignment", "Chapter 04", "--partial"]
    run("classroom", "export", "blackboard", "--chapter", "04", *into, *at(room))
    filled = out_of_csv(room.root / "exports" / f"blackboard_{CHAPTER}.csv")
    assert [row[3] for row in filled[1:]] == [*map(str, marks_of(room))]
    run("classroom", "export", "csv", "--wide", *at(room))
    wide = out_of_csv(room.root / "exports" / "marks_wide.csv")
    assert len(wide) == len(NAMES) + 2  # broken too
    members = tmp_path / "members.json"
    members.write_text(json.dumps([{"user_id": f"u{i}", "name": n} for i, n in enumerate(NAMES)]))
    said = run(
        "classroom", "export", "lti", "--chapter", "04", "--dry-run", "--into", members, *at(room)
    )
    assert f"{len(NAMES)} scores" in said and "left out: broken: is no member there" in said


def test_nbgraders_gradebook_gets_the_marks(graded):
    from nbgrader.api import Gradebook

    room, _ = graded
    said = run("classroom", "export", "nbgrader", *at(room))
    assert "broken" in said and "0" in said
    with Gradebook(f"sqlite:///{room.root / 'gradebook.db'}") as book:
        scores = [book.find_submission(CHAPTER, name).score for name in NAMES]
    assert scores == marks_of(room)


def test_gradescope_gets_an_autograder_with_what_it_needs(room, tmp_path):
    wheel = tmp_path / "maml_edu-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    said = run("classroom", "export", "gradescope", "--chapter", "04", "--wheel", wheel, *at(room))
    assert "Autograder points: 18" in said and "after the due date" in said
    with zipfile.ZipFile(room.root / "exports" / f"gradescope_{CHAPTER}.zip") as bundle:
        names = set(bundle.namelist())
    assert {"setup.sh", "run_autograder", "seed", wheel.name, f"private/{CHAPTER}.py"} <= names


def at(room):
    return ["--class", room.root]


def marks_of(room):
    """Points of NAMES, those given by hand among them."""
    run("classroom", "export", "csv", *at(room))
    found = {
        row[0].removeprefix("'"): row[3] for row in out_of_csv(room.root / "exports/marks.csv")
    }
    return [int(float(found[name])) for name in NAMES]


def test_what_is_no_submission_is_told(tmp_path):
    room = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    (room.root / "submitted" / "zoe" / "04").mkdir(parents=True)
    (room.root / "submitted" / "lost.ipynb").write_text("{}")
    lines = room.strangers()
    assert lines == [
        "submitted/lost.ipynb: not a student's folder", "submitted/zoe/04: not a chapter's folder",
    ]  # fmt: skip


def test_a_mistake_in_a_private_check_is_told_before_anything_is_graded(tmp_path):
    room = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    folder = room.root / "submitted" / "ada" / CHAPTER
    folder.mkdir(parents=True)
    (folder / f"{CHAPTER}.ipynb").write_text(json.dumps(notebook("exercises")))
    (room.root / "private" / f"{CHAPTER}.py").write_text("from nowhere import nothing")
    done = CliRunner().invoke(app, ["classroom", "grade", "--class", str(room.root)])
    assert "ModuleNotFoundError" in str(done.exception) and not list(room.results.glob("*/*"))


ALL_BUT_ONE = """
def best_start(c, a, alpha):
    weight = a * (1 - alpha * a) ** 2
    return 0.0 if alpha == 7.0 else np.sum(weight * c) / np.sum(weight)
"""


def test_a_changed_private_check_grades_again_and_nothing_else_does(tmp_path):
    room = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    folder = room.root / "submitted" / "ada" / CHAPTER
    folder.mkdir(parents=True)
    made = notebook("solutions")
    answer(made, "best_start", ALL_BUT_ONE)
    (folder / f"{CHAPTER}.ipynb").write_text(json.dumps(made))
    private = room.root / "private" / f"{CHAPTER}.py"
    strict = "import numpy as np\nfrom maml_edu.checks.exercise import also, expect\n\n\n"
    strict += "@also('04.best_start')\ndef more(answer, rng):\n"
    strict += "    expect(answer(np.array([2.0]), np.array([1.0]), 7.0), 2.0)\n"

    def graded_points():
        said = run("classroom", "grade", "--workers", "1", *at(room))
        (result,) = results.load_all(room.results)
        return result.points, "1 of 1 were graded before" in said

    template = private.read_text()
    assert graded_points() == (18, False) and graded_points() == (18, True)
    private.write_text(template + strict)
    assert graded_points() == (15, False) and graded_points() == (15, True)
    private.write_text(template)
    assert graded_points() == (18, False)
    private.write_bytes(b"# -*- coding: latin-1 -*-\n# f\xfcr mich\n")
    assert graded_points() == (18, False) and graded_points() == (18, True)


def test_feedback_on_a_notebook_that_was_replaced_since_does_not_show_the_new_one(tmp_path):
    room = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    target = room.root / "submitted" / "ada" / CHAPTER / f"{CHAPTER}.ipynb"
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(notebook("exercises")))
    run("classroom", "grade", "--workers", "1", *at(room))
    target.write_text(json.dumps(notebook("solutions")))
    run("classroom", "feedback", *at(room))
    page = (room.root / "feedback/ada" / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
    assert "handed in since" in page and "return (1 - alpha * a)" not in page


def test_nbgrader_releases_the_feedback_of_what_came_through_its_exchange(tmp_path):
    """Each page under the hash of its author's secret, where only `nbgrader fetch_feedback` of theirs looks."""
    from nbgrader.apps import NbGraderAPI
    from nbgrader.utils import notebook_hash
    from traitlets.config import Config

    room = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    handed_in = {"ada": json.dumps(notebook("solutions")), "broken": "{"}
    for name, text in handed_in.items():
        folder = room.root / "submitted" / name / CHAPTER
        folder.mkdir(parents=True)
        (folder / f"{CHAPTER}.ipynb").write_text(text)
        (folder / "timestamp.txt").write_text("2026-11-30 10:00:00.000000 UTC")
        (folder / "submission_secret.txt").write_text(f"{name}'s secret")
    run("classroom", "grade", "--workers", "1", *at(room))
    run("classroom", "feedback", *at(room))
    config = Config()
    config.CourseDirectory.root = str(room.root)
    config.CourseDirectory.course_id = "maml"
    config.Exchange.root = str(tmp_path / "exchange")
    (tmp_path / "exchange").mkdir(mode=0o777)
    os.chmod(tmp_path / "exchange", 0o777)
    said = NbGraderAPI(config=config).release_feedback(CHAPTER)
    assert said["success"], said
    for name in handed_in:
        page = room.root / "feedback" / name / CHAPTER / f"{CHAPTER}.html"
        secret = notebook_hash(secret=f"{name}'s secret", notebook_id=CHAPTER)
        released = tmp_path / "exchange" / "maml" / "feedback" / f"{secret}.html"
        assert released.read_bytes() == page.read_bytes()


def test_feedback_takes_no_link_for_what_the_exchange_left(tmp_path):
    room = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    folder = room.root / "submitted" / "ada" / CHAPTER
    folder.mkdir(parents=True)
    (folder / f"{CHAPTER}.ipynb").write_text("{")
    (folder / "timestamp.txt").symlink_to(room.root / "seed")
    run("classroom", "grade", "--workers", "1", *at(room))
    run("classroom", "feedback", *at(room))
    assert [p.suffix for p in (room.root / "feedback" / "ada" / CHAPTER).iterdir()] == [".html"]


def test_the_report_is_one_page_without_script(graded):
    room, _ = graded
    run("classroom", "report", "04", "--class", room.root)
    page = (room.root / "exports" / f"report_{CHAPTER}.html").read_text(encoding="utf-8")
    assert "The meta-gradient by hand" in page and "<script" not in page and "cut off" in page


def test_written_answers_can_be_read_in_a_row_below_the_rubric(graded):
    room, _ = graded
    room.by_hand.unlink()
    run("classroom", "report", "04", "--class", room.root)
    page = (room.root / "exports" / f"written_{CHAPTER}.html").read_text(encoding="utf-8")
    assert "Rubric" in page and "李雷" in page and "mallory" not in page and "<script" not in page


def test_gradescope_gets_its_file_for_one_submission(room, tmp_path):
    seed = tmp_path / "seed"
    seed.write_text("a seed")
    out = tmp_path / "results" / "results.json"
    handed = room.root / "submitted" / "李雷" / CHAPTER
    run("grade", handed, "--chapter", "04", "--seed-file", seed, "--gradescope", out)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["score"] == 18 and len(found["tests"]) == 7


def test_ones_own_notebook_is_graded_with_a_friendly_table(tmp_path):
    own = tmp_path / f"{CHAPTER}.ipynb"
    made = notebook("exercises")
    answer(made, "meta_slope", WRONG)
    own.write_text(json.dumps(made), encoding="utf-8")
    said = run("grade", own)
    assert "this is the slope at φ" in " ".join(said.split()) and "0 of 18 points" in said


def test_without_a_sandbox_a_class_is_refused_and_oneself_is_not(room, tmp_path, monkeypatch):
    monkeypatch.setattr(box, "probe", lambda: "bubblewrap is not installed")
    done = CliRunner().invoke(app, ["grade", str(room.root)])
    assert done.exit_code == 1 and "--allow-unsandboxed" in str(done.exception)
    own = tmp_path / f"{CHAPTER}.ipynb"
    own.write_text(json.dumps(notebook("solutions")), encoding="utf-8")
    assert "18 of 18" in run("grade", own)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classroom", "release", "99"], "no chapter '99'"),
        (["classroom", "grade", "--class", "nowhere"], "is no class folder"),
        (["classroom", "export", "sakai"], "is none of csv"),
        (["classroom", "export", "lti"], "takes one chapter"),
        (["classroom", "feedback", "--for", "moodle"], "takes one chapter"),
        (["classroom", "export", "moodle", "--chapter", "04", "--columns", "x"], "is written so"),
        (["classroom", "export", "canvas"], "takes one chapter"),
        (["classroom", "collect", "nowhere", "--chapter", "04"], "is no folder"),
        (["grade", "nowhere.ipynb"], "there is no nowhere.ipynb"),
        (["grade", "nbgrader_config.py"], "is no class folder"),
        (["classroom", "export", "gradescope", "--chapter", "04"], "from a wheel"),
    ],
)
def test_what_a_teacher_gets_wrong_is_one_clear_sentence(arguments, words, room, monkeypatch):
    monkeypatch.chdir(room.root)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1 and isinstance(done.exception, ValueError)
    assert words in str(done.exception)


def test_a_new_class_never_touches_a_folder_in_use(tmp_path):
    (tmp_path / "mine").write_text("precious")
    done = CliRunner().invoke(app, ["classroom", "new", str(tmp_path)])
    assert "not empty" in str(done.exception) and os.listdir(tmp_path) == ["mine"]


def test_a_release_that_would_give_away_a_solution_is_deleted(tmp_path):
    made = classroom.new(tmp_path / "class", chapters=[CHAPTER])
    source = made.root / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    leaking = json.loads(source.read_text(encoding="utf-8"))
    leaking["cells"][0]["source"] = f"the seed is {made.secret}"
    source.write_text(json.dumps(leaking), encoding="utf-8")
    with pytest.raises(RuntimeError, match="was deleted"):
        classroom.release(made, [CHAPTER])
    assert not (made.root / "release" / CHAPTER / f"{CHAPTER}.ipynb").exists()


def test_the_bank_of_wrong_answers_is_what_feedback_draws_on():
    assert {case.exercise for case in wrong_answers(CHAPTER)} == {
        i.id for i in load_chapter(CHAPTER)
    }
