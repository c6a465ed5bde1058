"""Verdicts through the box: right gets all, wrong its explanation, and one exercise leaves the others alone."""

import inspect
import json
import textwrap
import time

import pytest
from attacks.cases import CHAPTER, IMAGES, TORCH, code, id_of, solutions, solved, stub

from maml_edu.checks import exercise
from maml_edu.grading import judge
from maml_edu.grading.cells import digest
from maml_edu.grading.judge import Boxes, Times, raised, runnable, seed_of, task_of, with_exercises
from maml_edu.grading.sandbox import box
from maml_edu.grading.sandbox.box import NoBox
from maml_edu.grading.submission import Cell, Submission, read

needs_box = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")
CHAPTERS = with_exercises()
PATIENT, QUICK = Times(15, 15, 60), Times(1.2, 1.2, 8)
RIGHT = "def meta_slope(theta, c, a, alpha): return (1 - alpha * a) ** 2 * a * (theta - c)"


@pytest.fixture(scope="module")
def boxes():
    with Boxes() as boxes:
        yield boxes


@pytest.fixture
def verdicts(boxes, tmp_path):
    """Judges a notebook; returns its verdicts by exercise."""

    def judged(notebook, chapter=CHAPTER, times=PATIENT, cases=4, **more):
        path = tmp_path / "one.ipynb"
        path.write_text(json.dumps(notebook))
        found = judge.judge(read(path), task_of(chapter), "a secret", boxes, times, cases, **more)
        return {verdict.exercise: verdict for verdict in found}

    return judged


def points(found):
    return [v.points for v in found.values()]


# ------------------------------------------------------------------ every chapter


@needs_box
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solution_of_a_chapter_gets_full_marks(chapter, verdicts):
    found = verdicts(solved(chapter), chapter)
    for verdict in found.values():
        assert verdict.outcome in ("right", "person")
        assert verdict.points == (verdict.max_points if verdict.outcome == "right" else None)
        assert verdict.reason == "" and verdict.title and verdict.seconds >= 0
    assert len(found) == len(exercise.load_chapter(chapter)) + 1


@needs_box
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_empty_notebook_of_a_chapter_is_not_done(chapter, verdicts):
    found = verdicts(stub(chapter), chapter)
    assert {v.outcome for v in found.values()} == {"not done"} and not any(points(found))


@needs_box
def test_a_cell_without_points_can_see_that_work_is_graded_and_leave_its_training_out(verdicts):
    """A training in every notebook of a class would take hours; 07 and 08 ask as this one does."""
    training = "import os\nassert 'NBGRADER_EXECUTION' in os.environ, 'a long training'\n"
    found = verdicts(solved(meta_slope=training + solutions()["meta_slope"]))
    assert found["04.meta_slope"].outcome == "right"


# One notebook asks for one wrong answer to each exercise: the first, the second, and so on.
BANK = {chapter: exercise.wrong_answers(chapter) for chapter in (CHAPTER, IMAGES)}
ROUNDS = [
    (chapter, number)
    for chapter in BANK
    for number in range(max(len(item.wrong_answers) for item in exercise.load_chapter(chapter)))
]


@needs_box
@pytest.mark.parametrize(("chapter", "number"), ROUNDS)
def test_a_wrong_answer_gets_its_explanation_through_the_box(chapter, number, verdicts):
    notebook = stub(chapter)
    helpers, expected = bank_source(chapter), {}
    for item in exercise.load_chapter(chapter):
        if number < len(item.wrong_answers):
            case = item.wrong_answers[number]
            helpers += f"\n{item.name} = {case.function.__name__}"
            expected[item.id] = case.says
    notebook["cells"].append(code(helpers))
    found = verdicts(notebook, chapter)
    for id, says in expected.items():
        assert (
            found[id].outcome == "wrong" and found[id].points == 0 and says in found[id].reason
        ), id


def bank_source(chapter):
    """The chapter's wrong answers and their helpers, without the words that register them."""
    module = inspect.getmodule(BANK[chapter][0].function)
    lines = [
        line for line in inspect.getsource(module).split("\n") if "checks.exercise" not in line
    ]
    own = "def wrong_answer(*a, **k): return lambda f: f\nright_answer = wrong_answer\n"
    return own + "\n".join(lines)


# ------------------------------------------------------------------ exercise by exercise


@needs_box
def test_a_crash_in_the_third_leaves_the_others_their_points(verdicts):
    found = verdicts(
        solved(
            first_order_misleads="import os\ndef first_order_misleads(theta, c, a, alpha): os._exit(1)"
        )
    )
    assert points(found) == [2, 3, 0, 3, 4, 3, None]
    assert found["04.first_order_misleads"].outcome == "crashed"


@needs_box
def test_a_loop_in_the_third_leaves_the_others_their_points_and_ends_in_time(verdicts):
    loop = "def first_order_misleads(theta, c, a, alpha):\n    while True: pass"
    start = time.monotonic()
    found = verdicts(solved(first_order_misleads=loop), times=QUICK)
    assert time.monotonic() - start < 10
    assert points(found) == [2, 3, 0, 3, 4, 3, None]
    verdict = found["04.first_order_misleads"]
    assert verdict.outcome == "timeout" and "no answer within 1.2 s" in verdict.reason


@needs_box
def test_an_answer_that_ends_its_process_later_is_blamed_and_not_the_next_one(verdicts):
    """The first answer is given, and then its process dies; the second is asked again, in a new one."""
    later = """
        import threading, time, os
        def meta_slope(theta, c, a, alpha):
            threading.Timer(0.05, lambda: os._exit(1)).start()
            return 0.0"""
    slow = solutions()["numeric_meta_slope"].replace(
        "    return (", "    import time; time.sleep(0.1)\n    return ("
    )
    found = verdicts(solved(meta_slope=later, numeric_meta_slope=slow))
    assert points(found) == [0, 3, 3, 3, 4, 3, None]


@needs_box
def test_a_notebook_out_of_time_keeps_what_it_has_earned_and_the_rest_waits_for_a_person(verdicts):
    slow = "import time\ndef first_order_misleads(theta, c, a, alpha): time.sleep(99)"
    found = verdicts(solved(first_order_misleads=slow), times=Times(9, 9, 3))
    assert points(found) == [2, 3, None, None, None, None, None]  # its own time, 9 s, was not over
    assert found["04.first_order_misleads"].outcome == "not asked"
    assert "the notebook as a whole took more than 3 s" in found["04.first_order_misleads"].reason
    assert found["04.best_start"].outcome == "not asked"
    assert "used up its time" in found["04.best_start"].reason


@needs_box
def test_a_cell_that_never_ends_is_left_out(verdicts):
    notebook = solved()
    notebook["cells"].insert(2, code("while True: pass"))
    assert points(verdicts(notebook, times=QUICK)) == [2, 3, 3, 3, 4, 3, None]


@needs_box
def test_many_deadly_cells_end_the_notebook_and_not_the_grader(verdicts):
    notebook = solved()
    notebook["cells"][:0] = [code("import os; os._exit(1)")] * judge.RESTARTS
    assert points(verdicts(notebook)) == [2, 3, 3, 3, 4, 3, None]
    notebook["cells"][:0] = [code("import os; os._exit(1)")] * 50
    found = verdicts(notebook)
    assert {v.outcome for v in found.values()} == {"not asked", "person"}


@needs_box
def test_a_box_in_which_nothing_starts_is_given_up(verdicts, monkeypatch):
    """A bug of ours, or a system that allows too little: no mark, and no loop without an end."""
    opened = []

    def lame(self):
        opened.append(self)
        session = original(self)
        session._channel._sock.shutdown(2)
        return session

    original = box.Box.open
    monkeypatch.setattr(box.Box, "open", lame)
    found = verdicts(solved())
    assert {v.points for v in found.values()} == {None} and len(opened) < 2 * judge.RESTARTS


@needs_box
def test_an_answer_that_spoils_the_others_spoils_itself_only(verdicts):
    spoils = """
        import maml_edu.grading.sandbox.inside as inside
        def meta_slope(theta, c, a, alpha):
            inside.Sitting.do_call = lambda *a, **k: {"result": [1.0]}
            return 0.0"""
    assert points(verdicts(solved(meta_slope=spoils))) == [0, 3, 3, 3, 4, 3, None]


@needs_box
def test_a_missing_answer_is_called_missing(verdicts):
    found = verdicts(solved(best_start="pass"))
    assert found["04.best_start"].outcome == "missing" and points(found) == [2, 3, 3, 0, 4, 3, None]
    assert "no function best_start" in found["04.best_start"].reason


@needs_box
def test_an_earlier_answer_counts_where_the_last_one_is_the_empty_cell(verdicts):
    notebook = solved()
    notebook["cells"] += stub()["cells"]
    assert points(verdicts(notebook)) == [2, 3, 3, 3, 4, 3, None]
    notebook["cells"].append(code("def meta_slope(*a): return 0.0"))
    found = verdicts(notebook)
    assert points(found) == [0, 3, 3, 3, 4, 3, None] and found["04.meta_slope"].outcome == "wrong"


@needs_box
def test_a_stub_is_not_done_and_a_library_that_raises_the_same_is_an_error(verdicts):
    library = "import numpy as np\ndef meta_slope(*a): return np.random.default_rng().bit_generator.seed_seq.foo()"
    raises = "import torch\ndef meta_slope(*a): return torch.ones(1, device='meta').numpy()"
    assert verdicts(solved(meta_slope=raises))["04.meta_slope"].outcome == "raised"
    assert "AttributeError" in verdicts(solved(meta_slope=library))["04.meta_slope"].reason
    later = (
        "def meta_slope(theta, c, a, alpha):\n    if theta > 0: raise NotImplementedError()\n"
        + textwrap.indent(RIGHT.partition(": ")[2], "    ")
    )
    assert verdicts(solved(meta_slope=later), cases=20)["04.meta_slope"].outcome == "not done"


@needs_box
def test_every_verdict_is_shown_as_it_is_reached(verdicts):
    shown = []
    verdicts(solved(), show=lambda verdict: shown.append(verdict.exercise))
    assert shown == [item.id for item in exercise.load_chapter(CHAPTER)]


@needs_box
def test_a_check_that_fails_is_no_mark(verdicts, monkeypatch):
    def broken(answer, rng):
        answer(1.0, 1.0, 1.0, 1.0)
        raise KeyError("a bug of ours")

    item = exercise.find("04.meta_slope")
    monkeypatch.setitem(item.__dict__, "more", [broken])
    found = verdicts(solved())
    verdict = found["04.meta_slope"]
    assert (
        verdict.outcome == "grader-error"
        and verdict.points is None
        and "KeyError" in verdict.reason
    )
    assert points(found)[1:] == [3, 3, 3, 4, 3, None]


@needs_box
def test_an_answer_that_changes_its_arguments_in_place_is_told_so(verdicts):
    source = """
        def first_order_misleads(theta, c, a, alpha):
            a *= alpha
            slopes = a * (1 - a) * (theta - c)
            return slopes.mean(1) * ((1 - a) * slopes).mean(1) < 0"""
    found = verdicts(solved(first_order_misleads=source))
    assert found["04.first_order_misleads"].outcome == "wrong"
    assert "changes `a` in place" in found["04.first_order_misleads"].reason


@needs_box
def test_no_reason_holds_an_input_or_an_expected_value(verdicts):
    wrong = {key: f"def {key}(*a): return 0.123" for key in solutions()}
    wrong["meta_slope"] = (
        "def meta_slope(theta, *a):\n    raise type(f'E{theta}', (Exception,), {})(theta)"
    )
    found = verdicts(solved(**wrong))
    item = exercise.find("04.meta_slope")
    rng = exercise.CaseGenerator(seed_of("a secret", item.id), 4)
    inputs = {"theta": (-3.0, 3.0), "c": (-2.0, 2.0), "a": (0.3, 2.0), "alpha": (0.05, 1.2)}
    drawn = [value for case in exercise.draw(rng, **inputs) for value in case]
    for verdict in found.values():
        assert not any(f"{abs(value):.3f}"[:5] in verdict.reason for value in drawn)


# ------------------------------------------------------------------ which cell, which definition

WRONG = "def meta_slope(theta, c, a, alpha): return 0.0"


def cell_of(notebook, name):
    return next(cell for cell in notebook["cells"] if id_of(cell) == name)


@needs_box
@pytest.mark.parametrize("kind", ["raw", "markdown"])
def test_an_old_attempt_that_was_made_text_is_not_judged_beside_the_answer(kind, verdicts):
    notebook = solved()
    notebook["cells"].append({"cell_type": kind, "metadata": {}, "source": WRONG})
    found = verdicts(notebook)
    assert found["04.meta_slope"].outcome == "right"
    assert found["04.meta_slope"].answer == digest(solutions()["meta_slope"])


@needs_box
def test_an_answer_that_has_become_text_counts_beside_the_empty_cell(verdicts):
    notebook = solved()
    cell_of(notebook, "meta_slope")["cell_type"] = "raw"
    notebook["cells"].append(cell_of(stub(), "meta_slope"))
    assert verdicts(notebook)["04.meta_slope"].outcome == "right"


@needs_box
def test_the_last_binding_of_a_name_counts_and_not_what_came_between(verdicts):
    notebook = solved()
    notebook["cells"] += [
        code("keep = meta_slope"),
        code(WRONG),
        code("meta_slope = keep  # it was right"),
    ]
    found = verdicts(notebook)
    assert found["04.meta_slope"].outcome == "right"
    assert found["04.meta_slope"].answer == digest("meta_slope = keep  # it was right")
    notebook["cells"] += [code(WRONG), code("between = meta_slope"), code("meta_slope = keep")]
    notebook["cells"].append(code("meta_slope = between"))
    assert verdicts(notebook)["04.meta_slope"].outcome == "wrong"


@needs_box
def test_an_answer_is_known_by_a_digest_that_changes_with_it_and_only_with_it(verdicts):
    found = verdicts(solved())
    assert all(len(v.answer) == 16 for v in found.values())
    assert len({v.answer for v in found.values()}) == len(found)
    notebook = solved(meta_slope=solutions()["meta_slope"].replace("\n", "  \r\n") + "\n\n")
    cell_of(notebook, "written_04")["source"] += " More."
    again = verdicts(notebook)
    changed = {id for id in found if found[id].answer != again[id].answer}
    assert changed == {"written_04"}
    again = verdicts(solved(meta_slope=RIGHT, best_start="pass"))
    assert again["04.meta_slope"].answer == digest(RIGHT) and again["04.best_start"].answer == ""
    assert verdicts(stub())["04.meta_slope"].answer  # of the cell as it was handed out


@needs_box
def test_what_a_box_says_of_cells_is_not_believed(verdicts):
    lies = """
        import maml_edu.grading.sandbox.inside as inside
        original = inside.Sitting.do_run
        def do_run(self, *args, **more): return original(self, *args, **more) | {"at": %s}
        inside.Sitting.do_run = do_run"""
    for said in ("7", "{'meta_slope': [10**9]}", "{'meta_slope': ['x', None]}", "{'meta_slope': []}"):  # fmt: skip
        notebook = solved()
        notebook["cells"].insert(0, code(textwrap.dedent(lies % said)))
        found = verdicts(notebook)
        assert found["04.meta_slope"].outcome == "right" and found["04.meta_slope"].answer == ""


# ------------------------------------------------------------------ an answer that is there, and could not be run


@needs_box
@pytest.mark.parametrize(("before", "says"), [
    ("import a_package_that_is_not_here", "ModuleNotFoundError (line 1 of its cell: import a_package"),
    ("from my_helpers import step", "ModuleNotFoundError (line 1 of its cell: from my_helpers"),
    ("steps = int(input('How many steps? '))", "ValueError (line 1 of its cell: steps = int(input"),
    ("data = open('data.csv').read()", "FileNotFoundError"),
    ("import os; os._exit(3)", "took too long or ended its process"),
])  # fmt: skip
def test_an_answer_whose_cell_stops_before_it_waits_for_a_person(before, says, verdicts):
    found = verdicts(solved(meta_slope=f"{before}\n{RIGHT}"))
    verdict = found["04.meta_slope"]
    assert (verdict.outcome, verdict.points) == ("person", None)
    assert says in verdict.reason and verdict.answer == digest(f"{before}\n{RIGHT}")
    assert points(found)[1:] == [3, 3, 3, 4, 3, None]


@needs_box
def test_an_answer_with_a_long_computation_behind_it_waits_for_a_person(verdicts):
    found = verdicts(solved(meta_slope=RIGHT + "\nwhile True: pass"), times=QUICK)
    assert points(found) == [None, 3, 3, 3, 4, 3, None]
    assert "took too long" in found["04.meta_slope"].reason


@needs_box
def test_an_answer_that_could_not_run_is_not_replaced_by_the_empty_or_the_older_one(verdicts):
    for older in (cell_of(stub(), "meta_slope"), code(WRONG)):
        notebook = solved(meta_slope=f"import not_here\n{RIGHT}")
        notebook["cells"].insert(0, older)
        assert verdicts(notebook)["04.meta_slope"].outcome == "person"


@needs_box
def test_an_answer_imported_from_a_file_beside_the_notebook_waits_for_a_person(verdicts):
    found = verdicts(solved(meta_slope="from my_answers import meta_slope, other"))
    assert found["04.meta_slope"].outcome == "person"


@needs_box
def test_what_is_no_python_is_no_answer_and_told_so(verdicts):
    verdict = verdicts(solved(meta_slope=f"{RIGHT}\nx = = 3"))["04.meta_slope"]
    assert (verdict.outcome, verdict.points) == ("missing", 0)
    assert "its cell is no Python" in verdict.reason


@needs_box
def test_a_right_answer_before_a_cell_that_fails_is_right(verdicts):
    notebook = solved(meta_slope=f"{RIGHT}\nimport not_here")
    assert verdicts(notebook)["04.meta_slope"].outcome == "right"
    notebook["cells"].append(code(f"import not_here\n{WRONG}"))
    assert verdicts(notebook)["04.meta_slope"].outcome == "right"


# ------------------------------------------------------------------ essays

ESSAY = "Because the factor 1 − αa turns the sign of the slope, a step may lead away from the best start."


def written(notebook):
    cells = [Cell(c["cell_type"], "".join(c["source"]), id_of(c)) for c in notebook["cells"]]
    task = task_of(CHAPTER)
    names = [item.name for item in task.exercises]
    return judge.judge_written(Submission(cells, ""), task.written[0], task.texts, names)


@pytest.mark.parametrize("source", [
    ESSAY, "# " + ESSAY, f'"""\n{ESSAY}\n"""', f"print({ESSAY!r})", "# " + ESSAY.replace(", ", ",\n# "),
    "因为系数 1 − αa 改变了斜率的符号所以一步可能会远离最佳起点", "short",
])  # fmt: skip
def test_an_essay_in_a_cell_that_has_become_code_waits_for_a_person(source):
    notebook = solved()
    own = cell_of(notebook, "written_04")
    own |= {"cell_type": "code", "source": source, "outputs": []}
    found = written(notebook)
    assert (found.outcome, found.points, found.reason) == ("person", None, "")
    assert found.answer == digest(source)


@pytest.mark.parametrize("source", [
    ESSAY, "# " + ESSAY, f'"""\n{ESSAY}\n"""', f"answer = {ESSAY!r}",
    "因为系数改变了斜率的符号所以一步可能会远离最佳起点",
])  # fmt: skip
def test_an_essay_in_any_cell_of_code_waits_for_a_person(source):
    notebook = stub()
    notebook["cells"].append(code(source))
    found = written(notebook)
    assert found.outcome == "person" and "look for the answer" in found.reason
    notebook = stub()
    beside = cell_of(notebook, "best_start")
    beside["source"] = "".join(beside["source"]) + "".join(f"\n# {ESSAY}" for _ in range(3))
    assert written(notebook).outcome == "person"


@pytest.mark.parametrize("source", [
    "x = 1", "theta = best_start(c, a, alpha) if a is not None and c is not None else 0.0", "",
    "import numpy as np\nfor i, x in enumerate(list_of_rates): print(i, x)", "# first the slope",
])  # fmt: skip
def test_code_alone_is_no_essay(source):
    notebook = stub()
    notebook["cells"].append(code(source))
    assert written(notebook).outcome == "not done"
    notebook = solved()
    cell_of(notebook, "written_04")["source"] = "YOUR ANSWER HERE"
    assert written(notebook).outcome == "not done"


# ------------------------------------------------------------------ what an error tells


@needs_box
def test_an_error_on_every_input_is_told_with_its_line(verdicts):
    fails = "def meta_slope(theta, c, a, alpha):\n    return theta / 0"
    verdict = verdicts(solved(meta_slope=fails))["04.meta_slope"]
    assert verdict.outcome == "raised"
    said = "your function raised ZeroDivisionError (line 2 of its cell: return theta / 0)"
    assert verdict.reason == said


CHOOSES_ITS_LINE = """
    import builtins
    def meta_slope(theta, c, a, alpha):
        first = globals().setdefault('first', theta)
        exec(compile('\\n' * int(abs(first) * 3) + 'raise ValueError', '<cell 2>', 'exec'))
"""


@needs_box
def test_an_error_on_hidden_inputs_tells_no_line_whatever_the_answer_remembers(verdicts):
    """A line may be chosen by an input, and the inputs of other exercises are remembered."""
    only_hidden = """
        calls = []
        def meta_slope(theta, c, a, alpha):
            calls.append(theta)
            if len(calls) <= 5: return (1 - alpha * a) ** 2 * a * (theta - c)
            if calls[0] > 0: raise ValueError
            raise ValueError"""
    verdict = verdicts(solved(meta_slope=only_hidden), cases=20)["04.meta_slope"]
    assert (verdict.outcome, verdict.reason) == ("raised", "your function raised ValueError")


@needs_box
def test_a_line_chosen_by_an_input_is_the_same_for_every_seed(tmp_path, boxes):
    path = tmp_path / "one.ipynb"
    path.write_text(json.dumps(solved(meta_slope=CHOOSES_ITS_LINE)))
    told = {
        judge.judge(read(path), task_of(CHAPTER), seed, boxes, PATIENT, 4)[0].reason
        for seed in ("one", "two", "three", "four")
    }
    assert len(told) == 1


@needs_box
def test_few_kinds_of_errors_are_told_of_hidden_inputs(verdicts):
    kinds = sorted(judge.KNOWN_ERRORS - {"NotImplementedError"})
    source = f"""
        import builtins
        kinds, calls = {kinds}, []
        def meta_slope(theta, c, a, alpha):
            calls.append(theta)
            if len(calls) <= 5: return (1 - alpha * a) ** 2 * a * (theta - c)
            raise getattr(builtins, 'KeyboardInterrupt')"""
    verdict = verdicts(solved(meta_slope=source), cases=20)["04.meta_slope"]
    assert verdict.reason == "your function raised an error" and len(judge.TOLD_ERRORS) < 2**3


# ------------------------------------------------------------------ boxes


@needs_box
def test_a_box_that_died_since_is_replaced_and_nobody_notices(verdicts, boxes):
    verdicts(solved())
    boxes._warm["numpy"]._process.kill()
    assert points(verdicts(solved())) == [2, 3, 3, 3, 4, 3, None]
    warm = boxes._warm["numpy"]
    warm._sock.shutdown(2)  # there, and of no use
    assert (
        points(verdicts(solved())) == [2, 3, 3, 3, 4, 3, None] and boxes._warm["numpy"] is not warm
    )


@needs_box
def test_a_notebook_that_names_torch_gets_a_box_that_has_it_ready(verdicts, boxes):
    verdicts(solved(meta_slope="import torch\n" + RIGHT))
    assert boxes.versions.keys() == {"python", "numpy", "maml_edu", "torch"}
    verdicts(solved())
    assert boxes.versions.keys() == {"python", "numpy", "maml_edu"}


@needs_box
def test_the_start_of_a_box_is_not_the_notebooks_time(tmp_path, monkeypatch):
    opened = box.Box.open
    monkeypatch.setattr(box.Box, "open", lambda self: time.sleep(1.5) or opened(self))
    path = tmp_path / "one.ipynb"
    path.write_text(json.dumps(solved()))
    with Boxes() as own:
        found = judge.judge(read(path), task_of(CHAPTER), "s", own, Times(1.4, 1.4, 1.4), cases=1)
    assert [v.points for v in found] == [2, 3, 3, 3, 4, 3, None]


def test_without_a_box_nothing_is_judged(monkeypatch):
    def none(*args):
        raise NoBox("bubblewrap is not installed")

    monkeypatch.setattr(judge, "Box", none)
    with pytest.raises(NoBox), Boxes() as own:
        judge.judge(Submission([], ""), task_of(CHAPTER), "s", own)


# ------------------------------------------------------------------ its parts


def test_a_task_knows_its_exercises_its_written_question_and_the_imports():
    task = task_of(TORCH)
    assert [item.id for item in task.exercises] == [
        item.id for item in exercise.load_chapter(TORCH)
    ]
    assert [(w.id, w.points) for w in task.written] == [("written_08", 3.0)]
    assert "import torch" in task.given.splitlines()
    with pytest.raises(
        ValueError, match="no exercises in chapter '05_x'; there are in: 01_gradient_descent"
    ):
        task_of("05_x")


def test_seeds_differ_by_secret_and_exercise_and_stay():
    assert seed_of("a", "04.x") == seed_of("a", "04.x")
    assert len({seed_of(s, e) for s in ("a", "b") for e in ("04.x", "04.y")}) == 4


def test_code_runs_and_text_only_where_it_is_an_answer():
    cells = [Cell("code", "x = 1"), Cell("markdown", "see def meta_slope"), Cell("raw", "def meta_slope(a): pass"),
             Cell("markdown", "best_start = 3"), Cell("markdown", "meta_slopes = 3\nmeta_slope == 3"),
             Cell("code", "y", "class"), Cell("code", "z", "not a name"),
             Cell("code", "w", "meta_slope")]  # fmt: skip
    kept = runnable(cells, task_of(CHAPTER))
    assert [place for place, _ in kept] == [0, 2, 3, 5, 6, 7]
    assert [cell.grade_id for _, cell in kept] == ["", "", "", "", "", "meta_slope"]
    cells.append(Cell("code", "def meta_slope(a):\n    return a"))
    assert [place for place, _ in runnable(cells, task_of(CHAPTER))] == [0, 3, 5, 6, 7, 8]


@pytest.mark.parametrize(("told", "says"), [
    ({"kind": "ValueError", "cell": 0, "line": 2}, "ValueError (line 2 of its cell: return 1 / 0)"),
    ({"kind": "ValueError", "cell": 0, "line": 9}, "ValueError"),
    ({"kind": "ValueError", "cell": 0, "line": 0}, "ValueError"),
    ({"kind": "ValueError", "cell": -1, "line": 1}, "ValueError"),
    ({"kind": "ValueError", "cell": True, "line": True}, "ValueError"),
    ({"kind": "theta_1.23", "cell": 7}, "an error"),
    ({"kind": ["ValueError"]}, "an error"),
    ("<script>", "an error"), (None, "an error"), ([], "an error"),
])  # fmt: skip
def test_only_known_errors_and_the_students_own_lines_are_repeated(told, says):
    submission = Submission([Cell("code", "def f():\n    return 1 / 0\n\x1b[2J")], "")
    assert raised(told, submission) == says


def test_counts_are_only_what_can_be_counts():
    assert judge.counts({"a": 2, "b": -1, "c": True, "d": 10**9, 5: 1, "e": "2"}) == {
        "a": 2,
        "d": 50,
    }
    assert judge.counts(None) == judge.counts([["a", 1]]) == {}
