"""A class of a thousand, graded: how quickly, how rightly, and what a kill in the middle costs.

    python benchmarks/grading/grading.py                     # 1,000 submissions of chapter 04, two processes
    python benchmarks/grading/grading.py --kill 3            # killed three times and run again: the same table?
    python benchmarks/grading/grading.py --cluster --kill 1  # two dask workers, one killed in the middle
    python benchmarks/grading/grading.py --nbgrader 20       # the same first 20 by nbgrader, seconds each

Every submission comes with the mark it deserves: right, wrong, damaged and hostile ones, as a class hands
them in. A mark that differs, or a 0 for what could not be graded, makes the exit code 1.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import inspect
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from maml_edu.checks.exercise import load_chapter, wrong_answers  # noqa: E402
from maml_edu.grading import classroom, results  # noqa: E402
from maml_edu.grading.exports import nbgrader  # noqa: E402

CHAPTER = "04_gradient_of_a_step"
HOSTILE = {  # a cell of their own → what it does to the mark: None leaves it, a number is the mark
    "allclose": ("np.array_equal = np.testing.assert_allclose = lambda *a, **k: True", None),
    "always equal": ("class Yes(float):\n    def __eq__(self, o): return True\nfloat_ = Yes", None),
    "exit": ("import os\nos._exit(0)", None),
    "kill": ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", None),
    "transformer": ("get_ipython().input_transformers_post.append(lambda lines: ['pass'])", 0),
    "swallow": ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", None),
    "memory": ("hog = [bytearray(1 << 28) for _ in range(24)]", None),
    "forks": ("import os, time\nfor _ in range(100):\n    if not os.fork(): time.sleep(5) or os._exit(0)", None),
    "disk": ("with open('big', 'wb') as f:\n    for _ in range(300): f.write(bytes(1 << 20))", None),
    "print": ("for _ in range(100000): print('x' * 100)", None),
}  # fmt: skip


# ------------------------------------------------------------------ who hands in what


def submissions(count: int, seed: int = 0, hostile: bool = True):
    """(student, file name, bytes, deserved) for each: points by exercise, or None to be refused."""
    rng = random.Random(seed)
    stub = json.loads((ROOT / "exercises" / f"{CHAPTER}.ipynb").read_text(encoding="utf-8"))
    right = answers_of(ROOT / "solutions" / f"{CHAPTER}.ipynb")
    wrong = wrong_sources()
    items = load_chapter(CHAPTER)
    for number in range(count):
        student = f"student{number:04d}"
        notebook, deserved = copy.deepcopy(stub), {}
        for item in items:
            kind = rng.choices(("right", "wrong", "stub"), (70, 20, 10))[0]
            if kind != "stub":
                source = right[item.name] if kind == "right" else rng.choice(wrong[item.name])
                cell_of(notebook, item.name)["source"] = source
            deserved[item.id] = item.points if kind == "right" else 0
        yield student, *handed_in(notebook, deserved, rng, number, hostile)


def handed_in(notebook, deserved, rng, number, hostile):
    """(file name, bytes, deserved) of a notebook: as it is, damaged, or hostile."""
    name, kind = f"{CHAPTER}.ipynb", rng.choices(("plain", "damaged", "hostile"), (70, 20, 10))[0]
    if kind == "hostile" and hostile:
        # the few that run into time limits are rare, as in life
        names = [n for n in HOSTILE if n not in ("swallow", "forks")] * 4 + ["swallow", "forks"]
        source, mark = HOSTILE[rng.choice(names)]
        notebook["cells"].insert(2, code(source))
        return name, dump(notebook), dict.fromkeys(deserved, 0) if mark == 0 else deserved
    if kind == "damaged":
        return DAMAGE[number % len(DAMAGE)](notebook, deserved, name)
    return name, dump(notebook), deserved


def code(source):
    return {"cell_type": "code", "execution_count": None, "id": hashlib.sha1(source.encode()).hexdigest()[:8],
            "metadata": {}, "outputs": [], "source": source}  # fmt: skip


def dump(notebook) -> bytes:
    return json.dumps(notebook, ensure_ascii=False).encode()


def cell_of(notebook, grade_id):
    cells = notebook["cells"]
    return next(c for c in cells if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


def answers_of(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return {
        item.name: "".join(cell_of(notebook, item.name)["source"]) for item in load_chapter(CHAPTER)
    }


def wrong_sources():
    """Exercise name → sources of wrong answers, under the name that the exercise asks for."""
    found: dict[str, list[str]] = {}
    for case in wrong_answers(CHAPTER):
        source = textwrap.dedent(inspect.getsource(case.function))
        source = re.sub(r"\A@wrong_answer\(.*?\)\n(?=def )", "", source, flags=re.S)
        name = case.exercise.split(".")[1]
        found.setdefault(name, []).append(re.sub(r"\Adef \w+", f"def {name}", source))
    return found


def without_metadata(notebook, deserved, name):
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    return name, dump(notebook), deserved


def without_tests(notebook, deserved, name):
    notebook["cells"] = [c for c in notebook["cells"] if "check(" not in "".join(c["source"])]
    return name, dump(notebook), deserved


def duplicated(notebook, deserved, name):
    notebook["cells"] += [copy.deepcopy(c) for c in notebook["cells"] if c["cell_type"] == "code"]
    return name, dump(notebook), deserved


def renamed(notebook, deserved, name):
    return f"{CHAPTER} (1).ipynb", dump(notebook), deserved


def marked(notebook, deserved, name):
    return name, b"\xef\xbb\xbf" + dump(notebook), deserved


def other_kernel(notebook, deserved, name):
    notebook["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    return name, dump(notebook), deserved


def asking(notebook, deserved, name):
    notebook["cells"].insert(
        1, code("name = input('Who are you? ')\nimport warnings\nwarnings.warn('hm')")
    )
    return name, dump(notebook), deserved


def cut_off(notebook, deserved, name):
    return name, dump(notebook)[:-200], None


def empty(notebook, deserved, name):
    return name, b"", None


DAMAGE = (
    without_metadata, without_tests, duplicated, renamed, marked, other_kernel, asking, cut_off, empty,
)  # fmt: skip


def fill(folder: Path, count: int, hostile: bool = True) -> tuple[classroom.Classroom, dict]:
    """A class folder in which `count` submissions lie, and what each deserves."""
    room = classroom.new(folder, chapters=[CHAPTER])
    (room.root / "seed").write_text("a seed for the benchmark")
    deserved = {}
    for student, name, data, points in submissions(count, hostile=hostile):
        target = room.root / "submitted" / student / CHAPTER
        target.mkdir(parents=True)
        (target / name).write_bytes(data)
        deserved[student] = points
    return room, deserved


# ------------------------------------------------------------------ grade, kill, compare


def wrong_marks(room, deserved) -> list[str]:
    """A line for every mark that is not the one deserved, and for every missing result."""
    known = {result.student: result for result in results.load_all(room.results)}
    lines = [f"{student}: no result" for student in deserved if student not in known]
    for student, points in deserved.items():
        result = known.get(student)
        if result is None:
            continue
        if points is None:
            if result.status != "rejected" or result.points is not None:
                lines.append(f"{student}: {result.status} {result.points}, should be rejected")
            continue
        got = {v.exercise: v.points for v in result.verdicts if v.exercise in points}
        if got != points:
            lines.append(f"{student}: {got}, deserves {points} ({result.status}: {result.problem})")
    return lines


def table(room) -> str:
    """What must be the same after a kill, byte for byte."""
    return json.dumps(results.table(results.load_all(room.results)), indent=1)


def command(room, workers, scheduler=None):
    own = ["--scheduler", scheduler] if scheduler else ["--workers", str(workers)]
    return [
        sys.executable,
        "-m",
        "maml_edu.cli",
        "classroom",
        "grade",
        "--class",
        str(room.root),
        *own,
    ]


def graded(room) -> int:
    return len([p for p in room.results.glob("*/*.json") if not p.name.startswith(".")])


def run_killed(room, workers, kills, count, rng):
    """Grade, with `kill -9` of the grader at random moments; seconds in all."""
    start = time.perf_counter()
    moments = sorted(rng.sample(range(count // 20, count - count // 20), kills))
    for moment in [*moments, None]:
        process = subprocess.Popen(command(room, workers), cwd=ROOT, stdout=subprocess.DEVNULL)
        while process.poll() is None and (moment is None or graded(room) < moment):
            time.sleep(0.05)
        if moment is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"killed with {graded(room)} of {count} graded", flush=True)
    return time.perf_counter() - start


def run_on_cluster(room, kill, count):
    """Grade on two dask workers of this machine, one killed in the middle; seconds in all."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = subprocess.Popen(
        [*dask, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet
    )
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
              "--no-dashboard", "--host", "127.0.0.1"]  # fmt: skip
    workers = [subprocess.Popen(worker, start_new_session=True, **quiet) for _ in range(2)]
    try:
        start = time.perf_counter()
        process = subprocess.Popen(command(room, 0, address), cwd=ROOT, stdout=subprocess.DEVNULL)
        while kill and process.poll() is None and graded(room) < count // 2:
            time.sleep(0.05)
        if kill:
            os.killpg(workers[0].pid, signal.SIGKILL)
            print(f"a worker was killed with {graded(room)} of {count} graded", flush=True)
        process.wait()
        return time.perf_counter() - start
    finally:
        for own in workers:
            if own.poll() is None:
                os.killpg(own.pid, signal.SIGKILL)
            own.wait()
        scheduler.kill()
        scheduler.wait()


def free_port():
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def by_nbgrader(count, folder: Path) -> str:
    """How quickly and how rightly nbgrader autogrades the first `count` of these students, one at a time.

    All at once it stops at the first notebook that it cannot read. Those who are hostile hand in a plain
    notebook here, since nbgrader has no sandbox.
    """
    room, deserved = fill(folder, count, hostile=False)
    classroom.release(room)
    os.environ |= {"MAML_EDU_SEED": "a seed", "MAML_EDU_HOME": str(folder / "home")}
    right = graded = 0
    start = time.perf_counter()
    with nbgrader.api(room.root) as api:
        for student, points in deserved.items():
            done = api.autograde(CHAPTER, student, create=True, force=True)
            graded += done["success"]
            if done["success"] and points is not None:
                with api.gradebook as book:
                    found = book.find_submission(CHAPTER, student).score
                right += found == sum(points.values())
    seconds = time.perf_counter() - start
    each = f"{count / seconds:.2f} a second"
    return f"nbgrader: {count} in {seconds:.1f} s, {each}: {graded} graded, {right} of them rightly"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--count", type=int, default=1000, help="submissions (1000)")
    add("--workers", type=int, default=2, help="processes (2)")
    add("--kill", type=int, default=0, help="kill the grader (with --cluster: a worker) so often")
    add("--cluster", action="store_true", help="on two dask workers instead")
    add("--nbgrader", type=int, default=0, metavar="N", help="time nbgrader on the first N, too")
    add("--seed", type=int, default=0, help="of the moments of the kills")
    add("--table", type=Path, help="write the final table here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maml-edu-class-") as folder:
        room, deserved = fill(Path(folder, "class"), options.count)
        if options.cluster:
            seconds = run_on_cluster(room, options.kill, options.count)
        else:
            rng = random.Random(options.seed)
            seconds = run_killed(room, options.workers, options.kill, options.count, rng)
        bad = wrong_marks(room, deserved)
        final = table(room)
        print(
            f"{options.count} submissions in {seconds:.1f} s: {options.count / seconds:.1f} a second"
        )
        print(f"final table: sha256 {hashlib.sha256(final.encode()).hexdigest()[:16]}")
        print(f"wrong marks: {len(bad)}", *bad[:20], sep="\n")
        if options.table:
            options.table.write_text(final, encoding="utf-8")
        if options.nbgrader:
            shutil.rmtree(room.root)
            n = options.nbgrader
            print(by_nbgrader(n, Path(folder, "nbgrader")))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
