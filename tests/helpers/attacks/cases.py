"""How a submission of the attack suite is declared, and how a notebook is made from it.

Source text may name what a test owns: GROUND, its folder (a class of other students, a gradebook, a folder
"escaped" where no file may appear), PORT, a server of the test on 127.0.0.1, to which nobody may connect,
and CLONE, the folder of the course.
"""

from __future__ import annotations

import copy
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from maml_edu import places

CHAPTER = "04_gradient_of_a_step"
TORCH, IMAGES = "08_maml_in_pytorch", "10_few_shot_images"
POINTS = {
    "01_gradient_descent": (2, 2, 3, 4, 3, 5), "02_backpropagation": (3, 3, 3, 3, 4, 3),
    "03_many_tasks": (3, 4, 4, 3, 5, 3), CHAPTER: (2, 3, 3, 3, 4, 3), "05_hessians": (3, 3, 3, 4, 3, 3),
    "06_many_inner_steps": (3, 4, 3, 3, 4, 3), "07_maml_in_numpy": (2, 3, 2, 3, 3, 3, 4), TORCH: (3, 4, 4, 5, 6),
    "09_fast_maml": (2, 4, 2, 3, 3, 5, 5), IMAGES: (4, 4, 3, 4, 3, 4, 5), "11_maml_family": (2, 3, 3, 4, 2, 5, 4),
    "12_what_did_it_learn": (3, 3, 4, 4, 3, 5), "13_robots": (3, 3, 4, 4, 5, 4), "14_language": (4, 3, 4, 5, 3, 3),
    "15_other_frameworks": (3, 4, 3, 4, 4, 5), "16_your_own": (4, 3, 3, 3, 5, 4),
}  # fmt: skip
ALL = "all"  # points: every one
ANY = "any"  # it breaks its own process: what is left of its marks is luck, and its own business
REFUSED = None  # points of a file that is not run at all


@dataclass(frozen=True)
class Case:
    """One submission. content: what the file holds, or does to a path to become it.

    points: of each exercise (None: a person decides); ALL; ANY; REFUSED. quick: it runs into time limits, which are short for it.
    says: words in the reason of one verdict, or of the refusal. marks: "ordinary": graded as an ordinary
    user, too; "given": in a box without walls within; "seen outside": without walls it gets 0.
    """

    name: str
    content: bytes | dict | Callable
    points: tuple | str | None = ALL
    chapter: str = CHAPTER
    file: str = ""
    quick: bool = False
    says: str = ""
    marks: tuple = ()

    @property
    def deserved(self):
        return POINTS[self.chapter] if self.points == ALL else self.points


# ------------------------------------------------------------------ notebooks


@cache
def _built(folder, chapter):
    path = places.course_root() / folder / f"{chapter}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def stub(chapter=CHAPTER) -> dict:
    """The notebook that is handed out."""
    return copy.deepcopy(_built("exercises", chapter))


def id_of(cell) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def solutions(chapter=CHAPTER) -> dict[str, str]:
    """Name → source of the solved cell."""
    cells = _built("solutions", chapter)["cells"]
    return {id_of(c): "".join(c["source"]) for c in cells if is_answer(c)}


def is_answer(cell) -> bool:
    about = cell["metadata"].get("nbgrader", {})
    return bool(about.get("solution")) and cell["cell_type"] == "code"


def solved(chapter=CHAPTER, **answers: str) -> dict:
    """The notebook with every answer right, but for those that are given."""
    notebook, sources = stub(chapter), solutions(chapter)
    # After its last answer comes a training, which takes longer than all the rest.
    if chapter == TORCH:
        last = max(number for number, cell in enumerate(notebook["cells"]) if is_answer(cell))
        after = notebook["cells"][last + 2 :]
        notebook["cells"][last + 2 :] = [cell for cell in after if cell["cell_type"] != "code"]
    for cell in notebook["cells"]:
        if is_answer(cell):
            cell["source"] = text(answers.pop(id_of(cell), sources[id_of(cell)]))
        elif id_of(cell).startswith("written_"):
            cell["source"] = "Because of the factor 1 − αa."
    assert not answers, answers
    return notebook


def code(source: str) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": text(source), "outputs": [], "execution_count": None}  # fmt: skip


def raw(source: str, kind="raw") -> dict:
    return {"cell_type": kind, "metadata": {}, "source": text(source)}


def bare(notebook) -> dict:
    """As Colab leaves it: no metadata, no ids."""
    notebook["metadata"] = {}
    for one in notebook["cells"]:
        one["metadata"] = {}
        one.pop("id", None)
    return notebook


def short(chapter, **answers: str) -> dict:
    """A solved notebook with the code of its answers, functions and imports only: nothing trains, nothing draws."""
    notebook = solved(chapter, **answers)
    kept = [c for c in notebook["cells"] if c["cell_type"] != "code" or is_answer(c)
            or re.search(r"^(import|from|def|class) ", "".join(c["source"]), flags=re.M)]  # fmt: skip
    return notebook | {"cells": kept}


def text(source: str) -> str:
    return textwrap.dedent(source).strip("\n")


def answer_cells(notebook) -> list[dict]:
    return [cell for cell in notebook["cells"] if is_answer(cell)]


# ------------------------------------------------------------------ ways to declare one


def cell(name, source, points=ALL, at="start", chapter=CHAPTER, **more) -> Case:
    """A solved notebook with one more cell, at the start or at the end."""
    notebook = solved(chapter)
    notebook["cells"].insert(0 if at == "start" else len(notebook["cells"]), code(source))
    return Case(name, notebook, points, chapter, **more)


def answer(name, points, chapter=CHAPTER, before="", **answers) -> Case:
    """A solved notebook with some answers replaced, and perhaps a cell before them. more: of Case."""
    fields = Case.__dataclass_fields__
    more = {key: answers.pop(key) for key in list(answers) if key in fields}
    notebook = solved(chapter, **answers)
    if before:
        notebook["cells"].insert(0, code(before))
    return Case(name, notebook, points, chapter, **more)


def changed(name, change, points=ALL, chapter=CHAPTER, **more) -> Case:
    """A solved notebook after `change(notebook)`, which may return another."""
    notebook = solved(chapter)
    return Case(name, change(notebook) or notebook, points, chapter, **more)


def spy(name, look, **more) -> Case:
    """A solved notebook that looks for what it must not see, and forgets its answers when it has seen it.

    look: statements; `seen` is to become true.
    """
    source = (
        f"seen = None\ntry:\n{textwrap.indent(text(look), '    ')}\nexcept Exception:\n    pass"
    )
    answers = " = ".join(solutions())
    forget = f"if seen:\n    {answers} = lambda *a: 0"
    notebook = solved()
    notebook["cells"] = [code(source), *notebook["cells"], code(forget)]
    return Case(name, notebook, ALL, **more)


def refused(name, content, says, **more) -> Case:
    """A file that is no notebook. content: bytes, or a function that puts something at a path."""
    return Case(name, content, REFUSED, says=says, **more)


def all_cases() -> list[Case]:
    from . import (
        cheats,
        could_not_run,
        every_chapter,
        files,
        folders,
        forgeries,
        harm,
        honest,
        monsters,
        neighbours,
        other_chapters,
        spies,
        telltales,
        which_cell,
    )

    modules = (
        honest, files, harm, spies, cheats, forgeries, other_chapters, monsters, neighbours,
        which_cell, could_not_run, telltales, folders, every_chapter,
    )  # fmt: skip
    found = [
        replace(case, name=f"{module.__name__.rpartition('.')[2]}: {case.name}")
        for module in modules
        for case in module.CASES
    ]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), {n for n in names if names.count(n) > 1}
    return found
