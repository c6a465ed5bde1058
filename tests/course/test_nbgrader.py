"""Plain nbgrader, no help of ours: a teacher's course of every chapter, and its students.

`source/` gets `solutions/*.ipynb`; what is handed in is what a learner has: the stub of
`exercises/` filled in rightly; and, of the first chapter, the stub as it is and with one wrong answer in it.
One course and one gradebook serve all tests here, so they belong on one worker (loadfile).
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from course_files import exercise_ids, found_chapters, source

from maml_edu.checks.exercise import load_chapter, wrong_answers

TIMEOUT = 300  # seconds for one call of nbgrader
FIRST = next(filter(exercise_ids, found_chapters()), "")  # its stub and a wrong answer, too
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "course"
c.Application.log_level = "WARN"
"""


class Class:
    """A teacher's folder, and nbgrader called in it as from a terminal."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "nbgrader_config.py").write_text(CONFIG)

    def nbgrader(self, *arguments):
        """One command; it runs `alembic` by its bare name, so the environment's bin is on PATH."""
        here = self.folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAML_EDU_", "NBGRADER"))}
        clean["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        clean |= {"MAML_EDU_HOME": str(here / "home"), "OMP_NUM_THREADS": "1"}
        clean |= {"JUPYTER_CONFIG_DIR": str(here / "jupyter"), "IPYTHONDIR": str(here / "ipython")}
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=here,
            env=clean,
            timeout=TIMEOUT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, f"nbgrader {' '.join(arguments)}:\n{done.stdout[-3000:]}"

    def hand_in(self, student, chapter, notebook):
        target = self.folder / "submitted" / student / chapter / f"{chapter}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(notebook, target)

    def scores(self, student, chapter):
        """{grade_id: automatic score}; None for what a person must still mark."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as book:
            notebook = book.find_submission(chapter, student).notebooks[0]
            return {
                grade.name: None if grade.needs_manual_grade else grade.auto_score
                for grade in notebook.grades
            }


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    return Class(tmp_path_factory.mktemp("school"))


@pytest.fixture(scope="module")
def graded(school, root, read):
    """Releases a chapter, hands in three times, autogrades; once a chapter."""
    seen = set()

    def grade(chapter):
        if chapter not in seen:
            seen.add(chapter)
            solution, stub = (
                root / f"solutions/{chapter}.ipynb",
                root / f"exercises/{chapter}.ipynb",
            )
            read(solution)  # says so when it is not built
            folder = school.folder / "source" / chapter
            folder.mkdir(parents=True)
            shutil.copy(solution, folder)
            school.nbgrader("generate_assignment", chapter)
            answers = answer_cells(read(solution))
            if chapter == FIRST:
                school.hand_in("blank", chapter, read(stub))
                wrong = answers | one_wrong_answer(chapter)
                school.hand_in("wrong", chapter, filled_in(read(stub), wrong))
            school.hand_in("right", chapter, filled_in(read(stub), answers))
            school.nbgrader("autograde", chapter)
        return lambda student: school.scores(student, chapter)

    return grade


def answer_cells(notebook):
    """{grade_id: source} of the cells that a learner fills in."""
    marks = [(cell.metadata.get("nbgrader", {}), cell.source) for cell in notebook.cells]
    return {mark.grade_id: text for mark, text in marks if mark.get("solution")}


def filled_in(stub, answers):
    for cell in stub.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("solution"):
            cell.source = answers[mark.grade_id]
    return stub


def one_wrong_answer(chapter):
    """{name of the exercise: a cell with its first wrong answer} for the chapter's first exercise."""
    case = wrong_answers(chapter)[0]
    name = case.exercise.split(".")[1]
    tree = ast.parse(source(chapter, "wrong_answers.py").read_text(encoding="utf-8"))
    kept = [node for node in tree.body if not is_other_wrong_answer(node, case.function.__name__)]
    for node in kept:
        if getattr(node, "name", None) == case.function.__name__:
            node.decorator_list = []
    text = ast.unparse(ast.Module(kept, []))
    return {name: f"{text}\n\n{name} = {case.function.__name__}"}


def is_other_wrong_answer(node, name):
    return isinstance(node, ast.FunctionDef) and bool(node.decorator_list) and node.name != name


def expected(chapter):
    """{grade_id of the check: points} as the exercises declare them."""
    return {f"check_{item.name}": item.points for item in load_chapter(chapter)}


def automatic(scores):
    return {name: score for name, score in scores.items() if not name.startswith("written")}


def test_there_is_something_to_grade():
    assert any(exercise_ids(chapter) for chapter in found_chapters())


@pytest.mark.parametrize("chapter", [FIRST])
def test_plain_nbgrader_gives_a_blank_stub_nothing(chapter, graded):
    scores = graded(chapter)("blank")
    assert set(automatic(scores)) == set(expected(chapter))
    assert sum(scores.values()) == 0


# Of every third chapter: test_exercises.py has the hidden checks of all of them.
some_chapters = pytest.mark.parametrize(
    "chapter", list(filter(exercise_ids, found_chapters()))[::3]
)


@some_chapters
def test_plain_nbgrader_gives_the_solution_full_points(chapter, graded):
    scores = graded(chapter)("right")
    assert automatic(scores) == expected(chapter)


@some_chapters
def test_plain_nbgrader_leaves_the_written_answer_to_a_person(chapter, graded):
    assert graded(chapter)("right")[f"written_{chapter[:2]}"] is None


@pytest.mark.parametrize("chapter", [FIRST])
def test_plain_nbgrader_takes_the_points_of_one_wrong_answer_only(chapter, graded):
    failed = f"check_{wrong_answers(chapter)[0].exercise.split('.')[1]}"
    scores = automatic(graded(chapter)("wrong"))
    assert scores == expected(chapter) | {failed: 0}
    assert 0 < sum(scores.values()) < sum(expected(chapter).values())
