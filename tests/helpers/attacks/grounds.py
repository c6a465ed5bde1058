"""What a submission could harm: a class's folder, a server, a secret in the environment; and who grades it.

`graded` is one submission's points and reasons; run as a program, it grades what its arguments name as
whoever runs it, and prints that as JSON.

    python tests/helpers/attacks/grounds.py ordinary FOLDER PORT
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1])]

from attacks.cases import CHAPTER, IMAGES, POINTS, TORCH, Case, all_cases, solved
from maml_edu import places
from maml_edu.grading import judge, many, submission

SECRET = "very secret for tests"
PATIENT, QUICK = judge.Times(15, 15, 60), judge.Times(1.2, 1.2, 8)
CASES_EACH = {chapter: 2 for chapter in POINTS if chapter not in (CHAPTER, IMAGES)} | {TORCH: 1}
task_of = functools.cache(judge.task_of)


def build(folder: Path) -> None:
    """The folder of a class, readable to everybody, with one folder that everybody may write to."""
    folder.chmod(0o755)
    other = folder / "submitted" / "ada"
    other.mkdir(parents=True)
    (other / f"{CHAPTER}.ipynb").write_text(json.dumps(solved()))
    (folder / "gradebook.db").write_text("ada 11\n")
    (folder / "private").mkdir()
    (folder / "private" / f"{CHAPTER}.py").write_text("# tests of the teacher's own\n")
    (folder / "escaped").mkdir()
    (folder / "escaped").chmod(0o777)


def state(folder: Path) -> dict[str, str]:
    """All files below a folder, with what is in them."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@contextlib.contextmanager
def server():
    """A port on 127.0.0.1 and the list of who has connected to it."""
    came: list = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen():
            with contextlib.suppress(OSError):
                while True:
                    sock, who = listener.accept()
                    came.append(who)
                    sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                    sock.close()

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1], came


def hand_in(case: Case, folder: Path, ground: Path, port: int) -> Path:
    """The folder of a student who hands this in."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / (case.file or f"{case.chapter}.ipynb")
    if callable(case.content):
        case.content(path)
        return folder
    data = case.content
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    for word, place in (("GROUND", ground), ("PORT", port), ("CLONE", places.course_root())):
        data = data.replace(word.encode(), str(place).encode())
    path.write_bytes(data)
    return folder


def graded(case: Case, folder: Path, boxes: judge.Boxes, cases: int = 8):
    """(points of each exercise or None, reasons) of what lies in a folder, judged on so many cases."""
    try:
        path, _ = submission.find(folder, case.chapter)
        read = submission.read(path)
        submission.of_this_chapter(read, case.chapter, many.names_asked(task_of(case.chapter)))
    except submission.Rejected as error:
        return None, [str(error)]
    task, times = task_of(case.chapter), QUICK if case.quick else PATIENT
    cases = CASES_EACH.get(case.chapter, cases)
    for _ in range(
        5
    ):  # what a busy machine had no time for is judged again, as `many.grade_all` does
        verdicts = judge.judge(read, task, SECRET, boxes, times, cases)[: len(task.exercises)]
        if not any(verdict.reason == judge.BUSY for verdict in verdicts):
            break
    return tuple(v.points for v in verdicts), [v.reason for v in verdicts if v.reason]


def main(mark: str, ground: str, port: str) -> None:
    """Grade all cases of a mark; print points, reasons, user and walls as JSON."""
    found: dict = {"user": os.geteuid()}
    folder = Path(ground) / "escaped" / "handed in"
    with judge.Boxes() as boxes:
        for case in all_cases():
            if mark in case.marks:
                hand_in(case, folder, Path(ground), int(port))
                found[case.name] = graded(case, folder, boxes)
        found["walls"] = sorted({box.walls for box in boxes._warm.values()})
    shutil.rmtree(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
