"""`maml-edu classroom exercise`: cells and a check to begin an exercise of one's own with. Start from `add`."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from pathlib import Path

from maml_edu.checks.exercise import prefix_of

from . import tasks
from .classroom import Classroom, add_chapter, write

TEXT = """## {id} In a few words, what it is about

*difficulty 2/5 · 10 minutes · {points} points*

What is asked, and why it is worth the time."""
ANSWER = '''def {name}(x):
    """What it returns, and what its arguments are.

    x: an array (n,). Returns an array (n,).
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION'''
TEST = """# What you may see; other inputs are tried when it is graded.
assert {name}(np.array([1.0, -3.0])).tolist() == [2.0, -6.0]
### BEGIN HIDDEN TESTS
### END HIDDEN TESTS"""
CHECK = '''

# ------------------------------------------------------------------ {id}

import numpy as np  # noqa: E402

from maml_edu.checks.exercise import draw, exercise, expect  # noqa: E402


@exercise("{id}", points={points}, minutes=10, difficulty=2)
def {name}(answer, rng):
    """In a few words, what it is about"""
    for n in draw(rng, n=(1, 6)):
        x = rng.normal(size=n)
        expect(answer(x), 2 * x, mistakes={{"the factor is missing": x}})
'''
HEAD = "# {chapter}\n\nWhat it is about. Replace `raise NotImplementedError()`, and run the cell below."
IMPORTS = "import numpy as np"


@dataclass(frozen=True)
class Added:
    """Where a new exercise is to be written: its notebook, its file of checks."""

    id: str
    notebook: Path
    checks: Path


def add(classroom: Classroom, name: str, chapter: str, points: int = 2) -> Added:
    """Put an exercise's cells into the class's notebook of a chapter, and its check into private/.

    They fit together as they are: what is asked is 2x until you write something better. chapter: a number or a
    name of one that is there, or the name of a new one of your own. Raises ValueError for a name that will
    not do, or is taken.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} is no name of a Python function: call it hessian_by_hand, say.")
    if points < 0:
        raise ValueError(f"{points} points: give a number from 0 on.")
    chapter = _chapter(classroom, chapter)
    path = classroom.source / chapter / f"{chapter}.ipynb"
    if not path.exists() and chapter in tasks.with_exercises():
        add_chapter(classroom, chapter)
    id = f"{prefix_of(chapter)}.{name}"
    taken = {cell.name for cell in tasks.marked_cells(path)} if path.exists() else set()
    if {name, f"check_{name}"} & taken:
        raise ValueError(f"{path} has a cell {name} or check_{name} already: choose another name.")
    if path.exists():
        classroom.task(chapter)  # that is to be in order before anything is added
    checks = classroom.private / f"{chapter}.py"
    text = (
        checks.read_text(encoding="utf-8") if checks.exists() else f'"""Checks of {chapter}."""\n'
    )
    write(checks, text.rstrip("\n") + "\n" + CHECK.format(id=id, name=name, points=points))
    _add_cells(path, chapter, id, name, points)
    return Added(id, path, checks)


def _chapter(classroom, wanted) -> str:
    """The chapter that is meant: one that is there, or a new one. Raises ValueError."""
    try:
        return classroom.chapter_named(wanted)
    except ValueError:
        if wanted.isdigit():
            raise ValueError(
                f"there is no chapter {wanted}; a new one needs a name: --chapter {wanted}_transformers, say."
            ) from None
        tasks.refuse_name(wanted)
        return wanted


def _add_cells(path, chapter, id, name, points) -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    if path.exists():
        notebook = nbformat.read(path, as_version=4)
    else:
        first = new_markdown_cell(
            HEAD.format(chapter=chapter.replace("_", " · ", 1).replace("_", " "))
        )
        notebook = new_notebook(cells=[first, new_code_cell(IMPORTS)])
        notebook.metadata["kernelspec"] = {
            "display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3",
        }  # fmt: skip
    answer = {"grade": False, "grade_id": name, "locked": False, "solution": True}
    test = {
        "grade": True,
        "grade_id": f"check_{name}",
        "locked": True,
        "solution": False,
        "points": points,
    }
    for cell, own in (
        (new_markdown_cell(TEXT.format(id=id, points=points)), None),
        (new_code_cell(ANSWER.format(name=name)), answer),
        (new_code_cell(TEST.format(name=name)), test),
    ):
        if own:
            cell.metadata["nbgrader"] = own | {"schema_version": 3, "task": False}
        notebook.cells.append(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, nbformat.writes(notebook) + "\n")
