"""Whose time it was: a submission pays for its own, never for a neighbour's, and nothing hangs for ever."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attacks import grounds
from attacks.cases import CHAPTER, Case, solutions, solved

from maml_edu.grading import judge, many, results
from maml_edu.grading.judge import BUSY, Boxes, Times, task_of
from maml_edu.grading.sandbox import box, inside
from maml_edu.grading.sandbox.box import Account, Box, Busy
from maml_edu.grading.sandbox.clock import CROWD, GIVING_WAY, Clock
from maml_edu.grading.sandbox.protocol import Gone, TooLate
from maml_edu.grading.submission import read

linux = pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
needs_box = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")
SPIN = [sys.executable, "-S", "-c", "while True: pass"]
NAP = [sys.executable, "-S", "-c", "import time; time.sleep(99)"]


@contextlib.contextmanager
def running(*command, count=1):
    """Processes that are ended afterwards."""
    # in sessions of their own: a scheduler may share a core among sessions, not processes
    started = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield [one.pid for one in started]
    finally:
        for one in started:
            one.kill()
            one.wait()


@pytest.fixture
def one_core():
    """This process and all that it starts have one core between them."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


def watched_for(clock, processes, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.03)
        clock.look(processes)
    return clock.since(0, 0)


# ------------------------------------------------------------------ the clock


@linux
def test_work_is_time_of_the_processor_and_a_nap_is_sleep():
    with running(*SPIN) as busy, running(*NAP) as idle:
        time.sleep(0.3)  # they have started
        used, asleep = watched_for(Clock(), busy, 0.6)
        assert used > 0.1 and asleep < 0.1
        clock = Clock()
        clock.look(idle)
        before = clock.since(0, 0)
        used, asleep = watched_for(clock, idle, 0.6)
        assert used - before[0] <= 0.05 and 0.4 < asleep - before[1] < 5


@linux
def test_waiting_for_a_busy_machine_is_nobodys_time(one_core):
    with running(*SPIN, count=4):
        started = time.monotonic()
        with running(*SPIN) as mine:
            used, asleep = watched_for(Clock(), mine, 1.5)
            passed = time.monotonic() - started
    assert used < 0.6 * passed and asleep < 0.2 * passed


@linux
def test_all_processes_count_also_those_that_have_ended():
    source = "import os\nfor _ in range(4):\n    if not os.fork():\n        sum(range(4 * 10**6)); os._exit(0)\n"
    with running(sys.executable, "-S", "-c", source + "import time; time.sleep(99)") as (mine,):

        def family():
            return inside.of_the_submission(mine, "none")

        clock, until = Clock(), time.monotonic() + 20
        while clock.used < 0.15 and time.monotonic() < until:
            time.sleep(0.02)
            clock.look(family())
        reached = clock.used
        clock.look([mine])  # the others are gone
        assert clock.used >= reached > 0.1
        assert clock.since(time.monotonic(), time.monotonic()) == (0.0, 0.0)


@linux
def test_of_a_crowd_each_gives_way_and_of_few_nobody():
    with running(*NAP, count=CROWD + 2) as many_of_them, running(*NAP, count=2) as few:
        Clock().look(few)
        Clock().look(many_of_them)
        nice = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (*few, *many_of_them)]
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert nice == [own, own] + [GIVING_WAY] * (CROWD + 2)


def test_a_process_that_is_gone_is_no_error():
    clock = Clock()
    clock.look([2**22 - 1])
    assert clock.since(0, 0)[0] == 0.0


# ------------------------------------------------------------------ accounts


def test_an_account_is_over_when_all_that_was_its_own_is_used():
    account = Account(10.0)
    assert account.left(3.0, 2.0) == pytest.approx(5.0) and not account.over
    account.slept, account.before = 1.0, 2.0
    assert account.left(3.0, 2.0) == pytest.approx(2.0) and not account.over
    assert account.left(6.0, 2.0) <= 0 and account.over
    assert account.left(0.0, 0.0) > 0 and account.over  # for good


@pytest.fixture(scope="module")
def warm():
    with Box("numpy") as one:
        yield one


def asked(session, source, seconds):
    session.ask("begin", 20, watch=[])
    return session.ask("run", seconds, cell=0, source=source)


@needs_box
@pytest.mark.parametrize("source", [
    "import time\nwhile True: time.sleep(0.01)", "import time; time.sleep(99)",
    "import os\nif not os.fork(): os.kill(os.getpid(), 19)\nos.wait()",
    "import threading\nl = threading.Lock(); l.acquire(); l.acquire()", "while True: pass",
    "import os\nif not os.fork(): os.execvp('sleep', ['sleep', '99'])\nos.wait()",
    "import os\nr, w = os.pipe(); os.read(r, 1)",
    "import threading\nt = threading.Thread(target=lambda: [None for _ in iter(int, 1)]); t.start(); t.join()",
    "import select; select.select([], [], [])",
])  # fmt: skip
def test_what_hangs_or_loops_is_ended_when_its_own_time_is_over(warm, source):
    start = time.monotonic()
    with warm.open() as session, pytest.raises(TooLate):
        asked(session, source, 0.7)
    assert 0.6 < time.monotonic() - start < 6  # Busy would come as late as 4.2 s on an idle machine
    assert warm.reusable


@needs_box
def test_many_processes_use_their_time_up_together(warm):
    source = "import os\nfor _ in range(12):\n    if not os.fork():\n        while True: pass\nwhile True: pass"
    account = Account(1.0)
    with warm.open() as session:
        with pytest.raises(TooLate):
            session.ask("run", account, cell=0, source=source)
        session.close()
        assert account.over and session.used > 0.8


@needs_box
def test_a_session_tells_what_it_has_used_when_it_is_closed(warm):
    with warm.open() as session:
        asked(
            session,
            "import time\nt = time.process_time()\nwhile time.process_time() < t + 0.5: pass",
            20,
        )
        session.close()
    assert 0.4 < session.used < 2
    with warm.open() as session:
        with pytest.raises(Gone):
            asked(session, "import os; os._exit(0)", 20)
        assert session.close() in ("its process ended", "closed") and session.used < 2


@needs_box
def test_a_clock_that_is_asked_after_the_end_is_answered_by_the_end(warm):
    with warm.open() as session:
        with pytest.raises(Gone):
            asked(session, "import os; os._exit(0)", 20)
        for _ in range(2):
            with contextlib.suppress(Gone):
                warm.time_since(0.0, 0.0)
        session.close()
    with warm.open() as session:
        assert asked(session, "x = 1", 20)["error"] is None


# ------------------------------------------------------------------ judged


def loaded(body="", seconds=0.5):
    """A right first answer that needs so much of the processor, in all of its calls."""
    source = "import time\n" + solutions()["meta_slope"].replace(
        "def meta_slope", "def right_meta_slope"
    )
    source += f"""
def meta_slope(theta, c, a, alpha):
    until = time.process_time() + {seconds / 4}
    while time.process_time() < until: {body or "pass"}
    return right_meta_slope(theta, c, a, alpha)
"""
    return Case("loaded", solved(meta_slope=source))


def graded(case, tmp_path, boxes, times, cases=4):
    folder = grounds.hand_in(case, tmp_path / "student", tmp_path, 1)
    return judge.judge(
        read(folder / f"{CHAPTER}.ipynb"), task_of(CHAPTER), "s", boxes, times, cases
    )


@needs_box
def test_a_right_answer_is_right_however_busy_others_keep_the_machine(tmp_path, one_core):
    with Boxes() as boxes, running(*SPIN, count=5):
        boxes.take("numpy")
        start = time.monotonic()
        found = graded(loaded(), tmp_path, boxes, Times(1.2, 1.2, 9))
        assert time.monotonic() - start > 1.5  # by the wall clock, its time would have been over
    assert [v.points for v in found][:6] == [2, 3, 3, 3, 4, 3]


@needs_box
def test_an_answer_that_works_too_long_is_out_of_time_however_busy_the_machine(tmp_path, one_core):
    with Boxes() as boxes, running(*SPIN, count=2):
        found = graded(loaded(seconds=40), tmp_path, boxes, Times(1.0, 1.0, 9))
    slow = [v for v in found if v.outcome == "timeout"]
    assert len(slow) == 1 and slow[0].points == 0 and "no answer within 1 s" in slow[0].reason


@needs_box
def test_what_the_machine_had_no_time_for_has_no_mark_and_is_graded_again(
    tmp_path, one_core, monkeypatch
):
    monkeypatch.setattr(box, "PATIENCE", 0.5)
    path = grounds.hand_in(loaded(seconds=1.4), tmp_path / "student", tmp_path, 1)
    job = many.Job("student", CHAPTER, path)
    how = many.How(tmp_path / "results", "s", cases=4, times=Times(1.5, 1.5, 60))
    try:
        with running(*SPIN, count=3):
            done = many.grade_one(job, how)
        assert (done.result.status, done.result.problem) == ("grader-error", BUSY)
        assert done.result.points is None and 0 not in [v.points for v in done.result.verdicts]
        assert not done.result.final and many.too_busy(done)
        monkeypatch.setattr(box, "PATIENCE", 6)
        again = many.How(tmp_path / "results", "s", cases=4, times=Times(20, 20, 180))
        assert many.grade_one(job, again).result.points == 18
    finally:
        many.cool()


def busy_at_first(job, how):
    """In place of grade_one: the first time, the machine is too busy."""
    mark = Path(how.folder, f"{job.student}.seen")
    first = not mark.exists()
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    problem = BUSY if first and job.student != "calm" else ""
    alone = len(list(Path(how.folder).glob("*.now")))
    return many.Done(
        job, results.Result(job.student, CHAPTER, "graded", problem=problem, notes=[str(alone)])
    )


def test_what_the_machine_had_no_time_for_is_run_again_alone_when_the_others_are_done(tmp_path):
    jobs = [many.Job(name, CHAPTER, tmp_path) for name in ("ada", "calm", "wang")]
    done = list(many.grade_all(jobs, many.How(tmp_path, "s"), workers=2, one=busy_at_first))
    assert [d.job.student for d in done][0] == "calm"
    assert sorted(d.job.student for d in done) == ["ada", "calm", "wang"]
    assert not any(many.too_busy(d) for d in done)


@needs_box
def test_the_notebooks_time_is_its_own_too(tmp_path, monkeypatch):
    """Sleep and work in several sessions add up; what is slept in one call is not forgotten in the next."""
    napping = loaded(body="time.sleep(0.02)", seconds=0.2)
    with Boxes() as boxes:
        account = Account(0.0)
        assert account.left(0.0, 0.0) <= 0 and account.over
        found = graded(napping, tmp_path, boxes, Times(9, 9, 1.0))
    assert [v.points for v in found][0] is None or found[0].outcome == "not asked"


def test_a_busy_machine_is_no_error_of_the_submission():
    assert not issubclass(Busy, judge.ENDED)
    assert many.summary([results.Verdict("04.x", "x", "not asked", None, 3, BUSY)])[1] == BUSY
