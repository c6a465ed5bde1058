"""`maml_edu.build` on a course of one chapter: what it writes, when, what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from maml_edu.build import BuildError, build, out_of_step

CHAPTER = "01_halving"

LESSON = """\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_version: '1.3'
#   kernelspec:
#     display_name: mine
#     name: python3
# ---

# %% [markdown]
# # Halving
# What is half of a half?

# %%
half = 1 / 2
print("half:", half)
print("half of it:", half / 2)

# %%
half / 4

# %%
half / 4
"""


def mark(grade_id, solution=False, points=None):
    """nbgrader's metadata as it stands in a `# %%` line."""
    entry = {"grade": points is not None, "grade_id": grade_id, "locked": not solution}
    entry |= {} if points is None else {"points": points}
    entry |= {"schema_version": 3, "solution": solution, "task": False}
    return f"nbgrader={json.dumps(entry)}"


EXERCISES = f"""\
# %% [markdown]
# # Exercises

# %%
def check(answer, hidden=False):
    try:
        assert answer(6) == 3 and (not hidden or answer(7) == 3.5), "not half"
        print("right")
    except NotImplementedError:
        print("not done yet")

# %% {mark("halve", solution=True)}
def halve(number):
    \"\"\"Half of `number`.\"\"\"
    ### BEGIN SOLUTION
    secret_factor = 0.5
    return secret_factor * number
    ### END SOLUTION

# %% {mark("check_halve", points=3)}
check(halve)
### BEGIN HIDDEN TESTS
check(halve, hidden=True)
### END HIDDEN TESTS

# %% [markdown] {mark("written_01", solution=True, points=2)}
# A model answer: half of nothing is nothing.
"""


def write_course(root, lesson=LESSON, exercises=EXERCISES):
    folder = root / "course" / CHAPTER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lesson.py").write_text(lesson)
    if exercises:
        (folder / "exercises.py").write_text(exercises)
    return root


def quiet(line):
    """A report that nobody reads."""


def notebook(root, folder):
    return nbformat.read(root / folder / f"{CHAPTER}.ipynb", as_version=4)


def contents(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*.ipynb"))}


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    root = write_course(tmp_path_factory.mktemp("course"))
    build(root, report=quiet)
    return root


@pytest.fixture
def course(built_once, tmp_path):
    """A fresh copy of the built course, free to be spoilt."""
    return Path(shutil.copytree(built_once, tmp_path / "copy"))


@pytest.fixture
def lesson_only(tmp_path):
    """Builds one lesson whose only code is the given cell; returns it."""

    def make(code):
        write_course(tmp_path, lesson=f"# %% [markdown]\n# # T\n\n# %%\n{code}\n", exercises=None)
        build(tmp_path, report=quiet)
        return notebook(tmp_path, "notebooks").cells[1]

    return make


# ---------------------------------------------------------------- what is written


def test_a_chapter_becomes_a_lesson_a_stub_and_a_solution(course):
    found = sorted(path.relative_to(course).as_posix() for path in contents(course))
    assert found == [f"{f}/{CHAPTER}.ipynb" for f in ("exercises", "notebooks", "solutions")]


def test_a_chapter_without_exercises_becomes_a_lesson_only(lesson_only, tmp_path):
    lesson_only("print(1)")
    assert [path.parent.name for path in contents(tmp_path)] == ["notebooks"]


def test_a_lesson_holds_its_outputs_with_consecutive_prints_in_one(course):
    first = notebook(course, "notebooks").cells[1]
    assert [output.text for output in first.outputs] == ["half: 0.5\nhalf of it: 0.25\n"]
    assert first.execution_count == 1


def test_a_stub_has_neither_solution_nor_hidden_tests_nor_outputs(course):
    text = (course / "exercises" / f"{CHAPTER}.ipynb").read_text()
    for secret in ("secret_factor", "hidden=True)\\n", "model answer", "BEGIN", "END"):
        assert secret not in text.replace("hidden=False):", "")
    assert "raise NotImplementedError()" in text and "YOUR ANSWER HERE" in text
    assert all(not cell.get("outputs") for cell in notebook(course, "exercises").cells)


def test_a_solution_keeps_its_code_and_hidden_tests_and_has_run(course):
    text = (course / "solutions" / f"{CHAPTER}.ipynb").read_text()
    for part in ("secret_factor", "check(halve, hidden=True)", "model answer"):
        assert part in text
    checked = notebook(course, "solutions").cells[3]
    assert checked.outputs[0].text == "right\nright\n"


@pytest.mark.parametrize("folder", ["exercises", "solutions"])
def test_nbgrader_metadata_survives_the_round_trip(course, folder):
    cells = notebook(course, folder).cells
    marks = [cell.metadata.nbgrader for cell in cells if "nbgrader" in cell.metadata]
    assert [mark.grade_id for mark in marks] == ["halve", "check_halve", "written_01"]
    assert [mark.get("points") for mark in marks] == [None, 3, 2]
    assert {mark.schema_version for mark in marks} == {3}


def test_check_cells_of_a_stub_are_locked(course):
    cell = notebook(course, "exercises").cells[3]
    assert cell.metadata.editable is False and cell.metadata.deletable is False


def test_equal_cells_have_different_ids_and_a_cell_has_one_id_in_stub_and_solution(
    course,
):
    ids = [cell.id for cell in notebook(course, "notebooks").cells]
    assert len(set(ids)) == len(ids)
    stub, solution = (notebook(course, folder).cells for folder in ("exercises", "solutions"))
    assert [cell.id for cell in stub] == [cell.id for cell in solution]


def test_metadata_says_only_the_kernel_and_the_source(course):
    metadata = notebook(course, "notebooks").metadata
    assert set(metadata) == {"kernelspec", "maml_edu"}
    assert metadata.maml_edu.source == f"course/{CHAPTER}/lesson.py"
    assert len(metadata.maml_edu.source_sha256) == 64
    assert metadata.kernelspec.name == "python3"
    assert all("execution" not in cell.metadata for cell in notebook(course, "notebooks").cells)


def test_files_are_readable_json_of_nbformat_4_5(course):
    text = (course / "notebooks" / f"{CHAPTER}.ipynb").read_text()
    assert text.startswith('{\n "cells"') and text.endswith("}\n")
    assert (json.loads(text)["nbformat"], json.loads(text)["nbformat_minor"]) == (4, 5)


# ---------------------------------------------------------------- when it is written


def test_a_rebuild_without_a_change_writes_nothing(course):
    before = contents(course)
    (course / "course" / CHAPTER / "lesson.py").touch()
    assert build(course, report=quiet) == [] and out_of_step(course) == []
    assert contents(course) == before


def test_a_forced_rebuild_writes_the_same_bytes(course):
    before = contents(course)
    assert len(build(course, force=True, report=quiet)) == 3
    assert contents(course) == before


def test_a_changed_lesson_is_built_alone_and_reported(course):
    write_course(course, lesson=LESSON.replace("half / 4", "half / 8"))
    [message] = out_of_step(course)
    assert "notebooks/01_halving.ipynb is older than 01_halving/lesson.py" in message
    lines = []
    assert [path.parent.name for path in build(course, report=lines.append)] == ["notebooks"]
    assert lines[0] == "notebooks/01_halving.ipynb: executing ..."
    assert out_of_step(course) == []


def test_a_changed_check_rebuilds_the_solution_but_not_the_stub(course):
    (course / "course" / CHAPTER / "checks.py").write_text("# new\n")
    assert [message.split("/")[0] for message in out_of_step(course)] == ["solutions"]


def test_a_notebook_edited_by_hand_is_noticed(course):
    path = course / "notebooks" / f"{CHAPTER}.ipynb"
    path.write_text(path.read_text().replace("half of a half", "half of a third"))
    [message] = out_of_step(course)
    assert "was edited by hand" in message


def test_a_notebook_that_was_not_executed_is_noticed(course):
    path = course / "solutions" / f"{CHAPTER}.ipynb"
    path.write_text(path.read_text().replace('"execution_count": 1', '"execution_count": null'))
    [message] = out_of_step(course)
    assert "was not executed" in message


def test_a_stub_with_outputs_is_noticed(course):
    shown = notebook(course, "exercises")
    shown.cells[1].outputs = [nbformat.v4.new_output("stream", text="done before\n")]
    nbformat.write(shown, course / "exercises" / f"{CHAPTER}.ipynb")
    [message] = out_of_step(course)
    assert "holds outputs" in message


def test_a_missing_notebook_and_one_without_a_source_are_noticed(course):
    (course / "exercises" / f"{CHAPTER}.ipynb").rename(course / "exercises" / "99_gone.ipynb")
    missing, orphan = out_of_step(course)
    assert "exercises/01_halving.ipynb is missing" in missing
    assert "exercises/99_gone.ipynb has no source" in orphan


def test_chapters_are_chosen_by_name_or_number_and_unknown_ones_refused(course):
    assert len(build(course, chapters=["01"], force=True, report=quiet)) == 3
    with pytest.raises(ValueError, match="no chapter 02 in course/: there is 01_halving"):
        build(course, chapters=["02"], report=quiet)


def test_a_root_without_a_course_is_refused(tmp_path):
    with pytest.raises(BuildError, match="must be the folder that holds course/"):
        build(tmp_path, report=quiet)


# ---------------------------------------------------------------- what is refused


def test_a_failing_cell_is_named_and_the_old_notebook_stays(course):
    before = contents(course)
    write_course(course, lesson=LESSON.replace("half / 4", "half / 0", 1))
    with pytest.raises(BuildError) as caught:
        build(course, report=quiet)
    message = str(caught.value)
    assert message.startswith('notebooks/01_halving.ipynb, cell 3 ("half / 0"): ZeroDivisionError')
    assert contents(course) == before
    assert not list(course.rglob(".*.part"))


@pytest.mark.parametrize(
    "code, complaint",
    [
        ("import warnings; warnings.warn('old')", "stderr.*UserWarning: old"),
        ("import sys; print('x', file=sys.stderr)", "writes to stderr"),
        ("import os; print('in', os.getcwd())", "path of this machine"),
        ("from pathlib import Path; Path.home()", "path"),
        ("print('read /home/ada/data.csv')", "path that differs elsewhere: /home/ada"),
        (r"print('C:\\Users\\ada')", "path"),
        ("print(object())", "address that differs elsewhere: 0x"),
        (
            "import datetime; print(datetime.datetime.now())",
            "date that differs elsewhere: 20",
        ),
        ("from IPython.display import HTML; HTML('<p>/tmp/figure</p>')", "path"),
    ],
)
def test_an_output_that_would_differ_elsewhere_is_refused(lesson_only, code, complaint):
    with pytest.raises(BuildError, match=f"(?s)notebooks/01_halving.ipynb, cell 2 .*{complaint}"):
        lesson_only(code)


def test_a_kernel_that_dies_is_reported(lesson_only):
    with pytest.raises(BuildError, match=r"cell 2 .*: the kernel died"):
        lesson_only("import os; os._exit(1)")


def test_a_cell_that_does_not_end_is_reported(lesson_only, monkeypatch):
    monkeypatch.setattr("maml_edu.build.CELL_TIMEOUT", 1)
    with pytest.raises(BuildError, match=r"cell 2 .*: still running after 1 s"):
        lesson_only("import time; time.sleep(60)")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_the_kernel_and_writes_nothing(tmp_path, monkeypatch):
    flag = tmp_path / "kernel.pid"
    monkeypatch.setenv("FLAG", str(flag))
    code = "import os, time\nopen(os.environ['FLAG'], 'w').write(str(os.getpid()))\ntime.sleep(60)"
    write_course(tmp_path, lesson=f"# %%\n{code}\n", exercises=None)
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program += f"from maml_edu.build import build; build({str(tmp_path)!r})"
    builder = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: flag.is_file() and flag.read_text())
    builder.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in builder.communicate(timeout=60)[1]
    wait_until(lambda: not is_running(int(flag.read_text())))
    assert not (tmp_path / "notebooks").exists()


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.1)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_allowed_exception_is_refused_all_the_same(tmp_path):
    write_course(tmp_path, lesson='# %% tags=["raises-exception"]\n1 / 0\n', exercises=None)
    with pytest.raises(BuildError, match=r"cell 1 \(\"1 / 0\"\): it raises ZeroDivisionError"):
        build(tmp_path, report=quiet)


def test_a_url_a_slash_and_an_embedded_picture_are_no_paths(lesson_only):
    cell = lesson_only(
        "from IPython.display import HTML\n"
        "print('https://example.org/home/page and 3/tmp/4 and ../usr/x')\n"
        'HTML(\'<img src="data:image/png;base64,/home/x/tmp/y0x1234567890" alt="a">\')'
    )
    assert len(cell.outputs) == 2


def test_a_solution_region_outside_a_solution_cell_is_refused(tmp_path):
    spoilt = EXERCISES.replace(mark("halve", solution=True), mark("halve"))
    write_course(tmp_path, exercises=spoilt)
    with pytest.raises(BuildError, match="exercises/01_halving.ipynb: nbgrader says"):
        build(tmp_path, report=quiet)


def test_a_broken_header_is_refused_by_name(tmp_path):
    write_course(tmp_path, lesson=LESSON.replace("#     display_name: mine\n", ""))
    with pytest.raises(BuildError, match="lesson.py of notebooks/01_halving.ipynb: 'display_name"):
        build(tmp_path, report=quiet)


def test_two_cells_of_one_grade_id_are_refused(tmp_path):
    write_course(tmp_path, exercises=EXERCISES.replace("check_halve", "halve"))
    with pytest.raises(BuildError, match="nbgrader says: .*halve"):
        build(tmp_path, report=quiet)


# ---------------------------------------------------------------- what is left out


def test_a_widget_is_left_out_and_its_static_twin_stays(lesson_only):
    cell = lesson_only(
        "from IPython.display import display\n"
        "kind = 'application/vnd.jupyter.widget-view+json'\n"
        "view = {kind: {'model_id': 'a'}, 'text/plain': 'W'}\n"
        "display(view, raw=True)\n"
        "display(view | {'text/html': '<img alt=\"twin\">'}, raw=True)\n"
        "print('after')"
    )
    assert [output.output_type for output in cell.outputs] == ["display_data", "stream"]
    assert set(cell.outputs[0].data) == {"text/html", "text/plain"}


def test_a_real_slider_leaves_neither_output_nor_state(lesson_only, tmp_path):
    cell = lesson_only("import ipywidgets\nipywidgets.IntSlider()")
    assert cell.outputs == [] and cell.execution_count == 1
    assert cell.metadata.tags == ["nbval-ignore-output"] and out_of_step(tmp_path) == []
    assert "widgets" not in notebook(tmp_path, "notebooks").metadata


def test_progress_bars_are_silent(lesson_only):
    cell = lesson_only("from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass\nprint('done')")
    assert [output.text for output in cell.outputs] == ["done\n"]


def test_prints_around_a_figure_keep_their_order(lesson_only):
    cell = lesson_only(
        "from IPython.display import HTML, display\n"
        "print('before')\ndisplay(HTML('<b>figure</b>'))\nprint('after')"
    )
    kinds = [output.output_type for output in cell.outputs]
    assert kinds == ["stream", "display_data", "stream"]


def test_the_reader_s_own_settings_do_not_reach_the_notebook(lesson_only, monkeypatch):
    for name in ("MAML_EDU_SEED", "NBGRADER_EXECUTION", "MPLBACKEND"):
        monkeypatch.setenv(name, "mine")
    cell = lesson_only(
        "import os\n"
        "print([os.environ.get(n) for n in ('MAML_EDU_SEED', 'NBGRADER_EXECUTION')])\n"
        "print(os.environ['OMP_NUM_THREADS'], os.environ.get('MPLBACKEND') == 'mine')\n"
        "print(os.listdir(os.environ['MAML_EDU_HOME']), os.listdir('.'))"
    )
    assert cell.outputs[0].text == "[None, None]\n1 False\n[] []\n"
