"""Submissions that are damaged or hostile: the right marks, no harm, and nobody else the worse for it.

The corpus is in `attacks`. Every case is followed by an honest notebook in the same boxes, which must get
full marks. A part of it is graded as an ordinary user, too, and in a box that may put up no walls within.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from attacks import grounds
from attacks.cases import (
    ANY,
    CHAPTER,
    IMAGES,
    POINTS,
    TORCH,
    Case,
    all_cases,
    solutions,
    solved,
)

from maml_edu import places
from maml_edu.grading import judge
from maml_edu.grading.sandbox import box

pytestmark = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")

CASES = all_cases()
TORCH_TOO = solved(meta_slope="import torch\n" + solutions()["meta_slope"])
HONEST, HONEST_WITH_TORCH = Case("honest", solved()), Case("honest", TORCH_TOO)


def marked(mark):
    return [pytest.param(case, id=case.name) for case in CASES if mark in case.marks]


@pytest.fixture(scope="module")
def ground():
    folder = Path(tempfile.mkdtemp(prefix="class-"))  # pytest's own are closed to other users
    grounds.build(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server():
    with grounds.server() as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def secret():
    """In this environment, and in that and on the command line of another process of this user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAML_EDU_SEED", grounds.SECRET)
        sleeper = subprocess.Popen(
            ["sh", "-c", "sleep 36000 & wait", grounds.SECRET], start_new_session=True
        )
        yield
        os.killpg(sleeper.pid, signal.SIGKILL)
        sleeper.wait()


@pytest.fixture(scope="module")
def boxes():
    with judge.Boxes() as boxes:
        yield boxes


def deserves(case, points, reasons):
    """Whether these are the marks that a case deserves."""
    said = not case.says or any(case.says in reason for reason in reasons)
    short = all(0 < len(reason) < 600 and reason.isprintable() for reason in reasons)
    return case.deserved in (points, ANY) and said and short


def descendants(pid):
    """Process ids of all that a process has started, and they."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def nothing_left(boxes):
    """Whether each box holds the warm Python and no more; waits for what is just dying."""
    for _ in range(40):
        if all(len(descendants(one._process.pid)) <= 2 for one in boxes._warm.values()):
            return True
        time.sleep(0.05)
    return False


def beside(case):
    """An honest notebook that is judged in a box of the same kind."""
    if case.chapter in (CHAPTER, IMAGES):
        return HONEST
    torch = case.chapter == TORCH or "torch" in str(case.content)
    return HONEST_WITH_TORCH if torch else HONEST


def check(case, boxes, folder, ground, server):
    """Grade a case, look for harm, and grade a bystander."""
    port, came = server
    before = grounds.state(ground)
    points, reasons = grounds.graded(case, grounds.hand_in(case, folder, ground, port), boxes)
    assert deserves(case, points, reasons), (points, reasons)
    assert nothing_left(boxes)
    bystander = beside(case)
    honest = grounds.hand_in(bystander, folder, ground, port)
    points, _ = grounds.graded(bystander, honest, boxes, cases=1)  # it is known to be right
    assert points == bystander.deserved
    assert grounds.state(ground) == before and not came


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_right_marks_no_harm_and_no_bystander_affected(case, boxes, tmp_path, ground, server):
    check(case, boxes, tmp_path / "student", ground, server)


def test_the_corpus_is_large_and_says_what_each_deserves():
    assert len(CASES) >= 330
    for case in CASES:
        if isinstance(case.deserved, tuple):
            assert len(case.deserved) == len(POINTS[case.chapter]), case.name
    assert {case.chapter for case in CASES} == set(POINTS)


# ------------------------------------------------------------------ other circumstances


@pytest.mark.parametrize("case", marked("given"))
def test_a_box_without_walls_within_serves_one_and_holds(
    case, tmp_path, ground, server, monkeypatch
):
    """As on systems where a process in a box may put up no walls of its own."""
    built = box.command

    def without(*args):
        return ["given" if part == "box" else part for part in built(*args)]

    monkeypatch.setattr(box, "command", without)
    with judge.Boxes() as boxes:
        check(case, boxes, tmp_path / "student", ground, server)
        assert all(one.walls == "given" and not one.reusable for one in boxes._warm.values())


@pytest.mark.parametrize("case", marked("seen outside"))
def test_a_spy_sees_what_it_looks_for_where_there_are_no_walls(case, tmp_path, ground):
    """Else it would prove nothing."""
    with grounds.server() as (port, _), judge.Boxes(sandbox=False) as boxes:
        folder = grounds.hand_in(case, tmp_path / "student", ground, port)
        points, _ = grounds.graded(case, folder, boxes)
    shutil.rmtree(ground / "escaped")
    (ground / "escaped").mkdir()
    (ground / "escaped").chmod(0o777)
    assert points == (0, 0, 0, 0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="this is an ordinary user already")
def test_the_same_for_an_ordinary_user(ground, server):
    port, came = server
    before = grounds.state(ground)
    program = [sys.executable, "-B", grounds.__file__, "ordinary", str(ground), str(port)]
    done = subprocess.run(
        as_ordinary_user(program), cwd="/", capture_output=True, text=True, timeout=300,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "MAML_EDU_SEED": grounds.SECRET,
             "MAML_EDU_HOME": str(ground / "escaped")},
    )  # fmt: skip
    if done.returncode and "ermission denied" in done.stderr:
        pytest.skip(f"this Python is closed to ordinary users: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("user") == USER and found.pop("walls") == ["nested"]
    cases = {case.name: case for case in CASES if "ordinary" in case.marks}
    assert found.keys() == cases.keys()
    for name, (points, reasons) in found.items():
        assert deserves(cases[name], points and tuple(points), reasons), (name, points, reasons)
    assert grounds.state(ground) == before and not came


USER = 60999


def as_ordinary_user(command):
    """A command line that runs another as a user who is nobody else.

    Where this Python lies in a folder that is root's alone (/root), it is shown to them under the same
    path, in a view of the file system (a mount namespace) that ends with the command.
    """
    closed = {}
    for folder in {sys.base_prefix, sys.prefix, str(places.course_root())}:
        above = [p for p in reversed(Path(folder).parents) if not p.stat().st_mode & 0o005]
        if above:
            closed[folder] = above[0]
    script = ["set -e", "mount -t tmpfs tmpfs /mnt"] if closed else ["set -e"]
    for number, folder in enumerate(closed):
        script += [f"mkdir /mnt/{number}", f"mount --bind '{folder}' /mnt/{number}"]
    script += [f"mount -t tmpfs -o mode=755 tmpfs '{above}'" for above in set(closed.values())]
    for number, folder in enumerate(closed):
        script += [f"mkdir -p '{folder}'", f"mount --move /mnt/{number} '{folder}'"]
    script += [f'exec setpriv --reuid {USER} --regid {USER} --clear-groups --inh-caps=-all "$@"']
    shell = ["sh", "-c", "\n".join(script), "sh", *command]
    return ["unshare", "--mount", "--propagation", "private", *shell] if closed else shell
