"""A class folder of chapter 04 that nobody has graded, with written answers: what tests of reading share."""

import hashlib
import json
from dataclasses import replace

import graded
from graded import CHAPTER, WRITTEN

from maml_edu import places
from maml_edu.grading import classroom, results
from maml_edu.grading.cells import digest

HOSTILE = (
    "<script>document.title = 'mine'</script> <img src=x onerror=\"document.title='mine'\">\n\n"
    "[click](javascript:alert(1)) ![pixel](http://127.0.0.1:9/pixel.png) "
    "<style>body { display: none }</style> $\\href{javascript:alert(1)}{x}$"
)
LONG = (
    "The factor $I - \\alpha H(\\theta)$ decides: beyond $\\alpha\\lambda = 1$ the **sign** is wrong.\n\n"
    "$$\\frac{F^\\top G}{\\|F\\|^2} > 1$$\n\n- small rates: first order does well\n- large ones: not"
)


def a_room(folder, essays, chapter=CHAPTER):
    """A class folder: student → what they wrote; None: a notebook that nobody can read."""
    room = classroom.new(folder, "A class", [chapter])
    for student, text in essays.items():
        hand_in(room, student, text)
    return room


def hand_in(room, student, text):
    """A notebook with an essay goes into submitted/, and a result of it into results/; the result."""
    folder = room.root / "submitted" / student / CHAPTER
    folder.mkdir(parents=True, exist_ok=True)
    if text is None:
        (folder / f"{CHAPTER}.ipynb").write_text("{")
        one = graded.rejected(student)
    else:
        path = places.course_root() / "exercises" / f"{CHAPTER}.ipynb"
        made = json.loads(path.read_text(encoding="utf-8"))
        for cell in made["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == WRITTEN:
                cell["source"] = text
        data = json.dumps(made).encode()
        (folder / f"{CHAPTER}.ipynb").write_bytes(data)
        one = graded.result(student)
        verdicts = [
            replace(v, answer=digest(text)) if v.exercise == WRITTEN else v for v in one.verdicts
        ]
        one = replace(one, verdicts=verdicts, sha256=hashlib.sha256(data).hexdigest())
    results.save(room.results, one)
    return one


def model_answer():
    """The course's own, with its rubric, as somebody would copy it."""
    path = places.course_root() / "solutions" / f"{CHAPTER}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return next(
        "".join(cell["source"])
        for cell in cells
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == WRITTEN
    )
