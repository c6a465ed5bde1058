"""A process that holds the answers of one chapter and is asked through text alone.

    python answering_worker.py 04_gradient_of_a_step

It runs the code cells of the chapter's exercises.py (solutions included, checks left out). Each line
on stdin is {"answer": "04.meta_slope", "args": encoded}, where "04.meta_slope/2" is the third wrong
answer to that exercise and "04.meta_slope/right/0" its first unusual right one; each line on stdout
{"result": encoded} or {"error": type, "message": text}.
"""

import json
import os
import re
import sys
from unittest import mock

os.environ["MPLBACKEND"] = "Agg"

from maml_edu import places  # noqa: E402
from maml_edu.checks import exercise, plain  # noqa: E402


def code_cells(path):
    """The code cells of a jupytext file, without those that check and grade."""
    cells = re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.M)[1:]
    for cell in cells:
        head, _, body = cell.partition("\n")
        if "[markdown]" not in head and '"grade": true' not in head:
            yield body


def answers_of(chapter):
    """Name → function, of the solutions and of the wrong answers."""
    namespace = {"__name__": "__main__"}
    cells = code_cells(places.course_root() / "course" / chapter / "exercises.py")
    with mock.patch.dict(
        os.environ, NBGRADER_EXECUTION="autograde"
    ):  # cells without points train nothing
        for number, cell in enumerate(cells):
            exec(compile(cell, f"<cell {number}>", "exec"), namespace)
    answers = {item.id: namespace[item.name] for item in exercise.load_chapter(chapter)}
    exercise.wrong_answers(chapter)
    for item in exercise.load_chapter(chapter):
        for number, case in enumerate(item.wrong_answers):
            answers[f"{item.id}/{number}"] = case.function
        for number, case in enumerate(item.right_answers):
            answers[f"{item.id}/right/{number}"] = case.function
    return answers


def reply_to(line, answers):
    """One answer to one question; whatever the function does, the reply is text."""
    request = json.loads(line)
    item = exercise.find(request["answer"].split("/")[0])
    try:
        args = plain.decode(request["args"])
        result = plain.call(answers[request["answer"]], args, item.interface)
        return {"result": plain.encode(result)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def main():
    replies, sys.stdout = sys.stdout, sys.stderr  # what an answer prints is no reply
    answers = answers_of(sys.argv[1])
    print(json.dumps({"ready": os.getpid()}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(reply_to(line, answers)), file=replies, flush=True)


if __name__ == "__main__":
    main()
