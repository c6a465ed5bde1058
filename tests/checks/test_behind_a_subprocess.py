"""Every check of the course judges an answer that lives in another process, as a grader will.

Nothing but text passes between the two: the check sees a stand-in that sends encoded arguments to
`answering_worker.py` and decodes what comes back.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from course_files import (
    exercise_ids,
    found_chapters,
    right_answer_places,
    wrong_answer_places,
)

from maml_edu.checks import plain
from maml_edu.checks.check import PUBLIC_SEED, hidden_seed
from maml_edu.checks.exercise import WrongAnswer, find, judge, load_chapter, wrong_answers

WORKER = Path(__file__).parents[1] / "helpers" / "answering_worker.py"
CHAPTERS = [chapter for chapter in found_chapters() if exercise_ids(chapter)]
EXERCISES = [(chapter, id) for chapter in CHAPTERS for id in exercise_ids(chapter)]
# The bank judges every wrong answer, in its own process; here two of each exercise will do.
WRONG = [(c, id, n) for c in CHAPTERS for id, n, _ in wrong_answer_places(c) if n < 2]
UNUSUAL = [(c, id, n) for c in CHAPTERS for id, n, _ in right_answer_places(c) if n < 2]


class Worker:
    """The other process."""

    def __init__(self, chapter):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), chapter], env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self.read()["ready"]

    def read(self):
        line = self.process.stdout.readline()
        assert line, "the worker died: run it by hand to see why"
        return json.loads(line)

    def answer(self, name):
        """A stand-in for one function in the other process."""

        def stand_in(*args):
            text = json.dumps({"answer": name, "args": plain.encode(list(args))})
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
            reply = self.read()
            if "result" in reply:
                return plain.decode(reply["result"])
            if reply["error"] == "NotImplementedError":
                raise NotImplementedError(reply["message"])
            raise WrongAnswer(f"your function raised {reply['error']}", reply["message"])

        return stand_in

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def worker_of():
    """One worker a chapter, started when it is first needed."""
    workers = {}

    def worker(chapter):
        if chapter not in workers:
            workers[chapter] = Worker(chapter)
        return workers[chapter]

    yield worker
    for running in workers.values():
        running.close()


def test_there_are_exercises_to_judge():
    assert EXERCISES and WRONG
    assert {id for _, id in EXERCISES} == {i.id for c in CHAPTERS for i in load_chapter(c)}


@pytest.mark.parametrize(("chapter", "id"), EXERCISES, ids=lambda value: value)
def test_the_solution_passes_from_another_process(chapter, id, worker_of):
    worker = worker_of(chapter)
    assert worker.pid != os.getpid()
    judge(find(id), worker.answer(id), PUBLIC_SEED)
    judge(find(id), worker.answer(id), hidden_seed(id))


@pytest.mark.parametrize(("chapter", "id", "number"), WRONG, ids=str)
def test_a_wrong_answer_fails_from_another_process_with_its_phrase(chapter, id, number, worker_of):
    answer = worker_of(chapter).answer(f"{id}/{number}")
    case = [case for case in wrong_answers(chapter) if case.exercise == id][number]
    for seed in (PUBLIC_SEED, hidden_seed(id)):
        with pytest.raises(WrongAnswer) as caught:
            judge(find(id), answer, seed)
        assert case.says in caught.value.reason


@pytest.mark.parametrize(("chapter", "id", "number"), UNUSUAL, ids=str)
def test_an_unusual_right_answer_passes_from_another_process(chapter, id, number, worker_of):
    answer = worker_of(chapter).answer(f"{id}/right/{number}")
    for seed in (PUBLIC_SEED, hidden_seed(id)):
        judge(find(id), answer, seed)


def test_what_goes_wrong_over_there_is_reported_in_words(worker_of):
    chapter, id = EXERCISES[0]
    worker = worker_of(chapter)
    with pytest.raises(WrongAnswer, match="your function raised TypeError"):
        worker.answer(id)(*range(17))
    with pytest.raises(WrongAnswer, match="your function raised KeyError"):
        worker.answer(f"{id}/999")()
    judge(find(id), worker.answer(id), PUBLIC_SEED)  # and the worker goes on


def test_the_stand_in_is_all_that_the_check_ever_sees(worker_of):
    """A check that reached for the function itself (its name, its source) would fail here."""
    chapter, id = EXERCISES[0]
    stand_in = worker_of(chapter).answer(id)
    seen = []
    judge(
        find(id),
        lambda *args: seen.append(plain.encode(list(args))) or stand_in(*args),
        PUBLIC_SEED,
    )
    assert len(seen) >= 2 and all(isinstance(text, str) for text in seen)
