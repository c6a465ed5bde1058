"""Many submissions: each its own result, whatever is killed, full or run twice."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from maml_edu import places
from maml_edu.grading import many, results, submission
from maml_edu.grading.judge import Times
from maml_edu.grading.many import How, Job
from maml_edu.grading.pages import feedback
from maml_edu.grading.sandbox import box

CHAPTER = "04_gradient_of_a_step"
needs_box = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")
pytestmark = needs_box
DEADLY = "deadly"


def solution():
    return (places.course_root() / "solutions" / f"{CHAPTER}.ipynb").read_bytes()


def stub():
    return (places.course_root() / "exercises" / f"{CHAPTER}.ipynb").read_bytes()


@pytest.fixture
def how(tmp_path):
    return How(tmp_path / "results", "a secret", cases=4, times=Times(5, 5, 20))


@pytest.fixture
def hand_in(tmp_path):
    def job(student, data):
        folder = tmp_path / "submitted" / student / CHAPTER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{CHAPTER}.ipynb").write_bytes(data)
        return Job(student, CHAPTER, folder)

    yield job
    many.cool()


def rows(how):
    return results.table(results.load_all(how.folder))


def test_a_pool_grades_each_and_writes_a_file_each(how, hand_in):
    jobs = [hand_in("ada", solution()), hand_in("bo", stub()), hand_in("cy", b"no notebook")]
    done = {one.job.student: one.result for one in many.grade_all(jobs, how, workers=2)}
    assert {name: result.status for name, result in done.items()} == {
        "ada": "graded", "bo": "graded", "cy": "rejected",
    }  # fmt: skip
    assert done["ada"].points == 18 and done["bo"].points == 0 and done["cy"].points is None
    assert results.load_all(how.folder) == [done["ada"], done["bo"], done["cy"]]
    assert done["ada"].versions["numpy"] and done["ada"].sandboxed


def test_what_is_graded_is_not_graded_again(how, hand_in):
    job = hand_in("ada", solution())
    first = many.grade_one(job, how)
    written = results.path_of(how.folder, CHAPTER, "ada").stat().st_mtime_ns
    assert many.grade_one(job, how).result == first.result
    assert results.path_of(how.folder, CHAPTER, "ada").stat().st_mtime_ns == written


def test_as_many_processes_start_as_cores_may_be_used(how, monkeypatch):
    started = []

    def pool(jobs, how, workers, one):
        started.append(workers)
        return (many.Done(job, None) for job in jobs)

    monkeypatch.setattr(many, "_in_a_pool", pool)
    monkeypatch.setattr(many, "usable_cores", lambda: 3)
    for jobs, workers in ((9, None), (2, None), (9, 5)):
        named = [Job(str(number), CHAPTER, Path()) for number in range(jobs)]
        assert len(list(many.grade_all(named, how, workers))) == jobs
    assert started == [3, 2, 5]


@pytest.mark.parametrize(
    "change", ["notebook", "seed", "private", "no private", "damaged", "grader-error"]
)
def test_what_has_changed_or_failed_is_graded_again(change, how, hand_in, tmp_path):
    job = hand_in("ada", stub())
    private = tmp_path / "private" / f"{CHAPTER}.py"
    private.parent.mkdir()
    private.write_text("# none")
    how = replace(how, private=private.parent)
    many.grade_one(job, how)
    if change == "notebook":
        hand_in("ada", solution())
    if change == "seed":
        how = replace(how, secret="another")
    if change == "private":
        private.write_text("# nine")
    if change == "no private":
        private.unlink()
    path = results.path_of(how.folder, CHAPTER, "ada")
    if change == "damaged":
        path.write_bytes(path.read_bytes()[:50])
    if change == "grader-error":
        results.save(how.folder, replace(results.load(path), status="grader-error"))
    assert many.already(job, how) is None
    done = many.grade_one(job, how).result
    assert done.points == (18 if change == "notebook" else 0) and done.key == how.key(CHAPTER)


def test_a_full_disk_is_an_error_and_no_mark(how, hand_in, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(results, "save", full)
    done = many.grade_one(hand_in("ada", solution()), how)
    assert done.result is None and "No space left" in done.error
    assert results.load_all(how.folder) == []


def kill_own_worker(job, how):
    """What a worker does when a submission is the end of it."""
    many.marker(job, how).parent.mkdir(parents=True, exist_ok=True)
    many.marker(job, how).touch()
    if job.student.startswith(DEADLY):
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return many.grade_one(job, how)


def test_a_submission_that_kills_its_workers_is_told_and_the_others_are_graded(how, hand_in):
    names = ["ada", f"{DEADLY} one", "bo", "cy", f"{DEADLY} two", "di"]
    jobs = [hand_in(name, stub()) for name in names]
    done = {d.job.student: d.result for d in many.grade_all(jobs, how, 2, one=kill_own_worker)}
    assert sorted(done) == sorted(names)
    for name, result in done.items():
        assert result.status == ("grader-error" if name.startswith(DEADLY) else "graded")
        assert (result.points is None) == name.startswith(DEADLY)
    assert len(rows(how)) == 6


def test_a_name_that_is_no_text_is_told_and_stops_nobody(how, hand_in):
    odd = hand_in(os.fsdecode(b"lat\xe9in"), stub())
    done = {d.job: d for d in many.grade_all([odd, hand_in("ada", stub())], how, 2)}
    assert done[odd].result is None and "name" in done[odd].error and len(rows(how)) == 1


@pytest.mark.parametrize("chapter", [c for c in places.chapters() if submission.asked_in(c)])
def test_the_lesson_in_place_of_the_exercises_is_refused_and_no_zero(chapter, how, tmp_path):
    folder = tmp_path / "submitted" / "ada" / chapter
    folder.mkdir(parents=True)
    shutil.copy(places.course_root() / "notebooks" / f"{chapter}.ipynb", folder)
    result = many.grade_one(Job("ada", chapter, folder), how).result
    assert result.status == "rejected" and result.points is None and not result.verdicts
    assert result.problem.startswith("this is the lesson and not its exercises: hand in")


def test_several_notebooks_in_one_hand_in_are_noted_in_result_and_page(how, hand_in):
    job = hand_in("ada", stub())
    (job.path / f"{CHAPTER} (1).ipynb").write_bytes(solution())
    result = many.grade_one(job, how).result
    assert result.points == 18 and result.file == f"{CHAPTER} (1).ipynb"
    assert result.notes[-1].startswith("2 notebooks were handed in: ")
    made = feedback.page(results.load_all(how.folder)[0], [])
    assert "2 notebooks were handed in" in made and "(no answers)" in made
    assert many.grade_one(job, how).result == result  # and it is known again


def test_the_notebook_of_another_chapter_is_refused_and_no_zero(how, hand_in):
    other = places.course_root() / "solutions" / "07_maml_in_numpy.ipynb"
    result = many.grade_one(hand_in("ada", other.read_bytes()), how).result
    assert result.status == "rejected" and "another" in result.problem and result.points is None


def dies_at_once(job, how):
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_never_begin_are_one_error_and_nobodys_result(how, hand_in):
    jobs = [hand_in(name, stub()) for name in ("ada", "bo", "cy")]
    with pytest.raises(RuntimeError, match="before they begin"):
        list(many.grade_all(jobs, how, 2, one=dies_at_once))
    assert results.load_all(how.folder) == []


def raises(job, how):
    raise RuntimeError("a bug of ours")


def test_a_bug_in_grading_costs_one_submission_a_mark_and_says_so(how, hand_in):
    (done,) = many.grade_all([hand_in("ada", stub())], how, 1, one=raises)
    assert done.result.status == "grader-error" and "a bug of ours" in done.result.problem


GRADE = """
import sys
from pathlib import Path
from maml_edu.grading import many
from maml_edu.grading.judge import Times
if __name__ == "__main__":
    root = Path(sys.argv[1])
    how = many.How(root / "results", "a secret", cases=4, times=Times(5, 5, 20))
    folders = sorted(root.glob("submitted/*/04_gradient_of_a_step"))
    jobs = [many.Job(folder.parent.name, folder.name, folder) for folder in folders]
    list(many.grade_all(jobs, how, 2))
"""


@pytest.fixture
def grader(tmp_path):
    """Starts graders of what was handed in, as processes of their own."""
    script = tmp_path / "grade.py"
    script.write_text(GRADE)
    started = []

    def start():
        env = os.environ | {"PYTHONPATH": str(Path(many.__file__).parents[2])}
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path)], env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_a_killed_grader_goes_on_where_it_was_and_nobody_is_left(how, hand_in, grader):
    for number in range(12):
        hand_in(f"s{number:02d}", solution() if number % 2 else stub())
    first = grader()
    while len(list(how.folder.glob(f"{CHAPTER}/s*.json"))) < 3:
        assert first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.wait()
    before = {p: p.stat().st_mtime_ns for p in how.folder.glob(f"{CHAPTER}/s*.json")}
    assert grader().wait(120) == 0
    assert [row["points"] for row in rows(how)] == [0, 18] * 6
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())


def test_two_graders_at_once_on_one_folder_spoil_nothing(how, hand_in, grader):
    for number in range(8):
        hand_in(f"s{number:02d}", solution() if number % 2 else stub())
    both = [grader(), grader()]
    assert [process.wait(120) for process in both] == [0, 0]
    assert [row["points"] for row in rows(how)] == [0, 18] * 4
    assert not list(how.folder.glob(f"{CHAPTER}/.*.tmp"))


def test_without_a_sandbox_every_result_says_so(how, hand_in):
    done = many.grade_one(hand_in("ada", solution()), replace(how, sandbox=False))
    assert done.result.points == 18 and not done.result.sandboxed


PRIVATE = """
from maml_edu.checks.exercise import WrongAnswer, also
@also({exercise!r})
def more(answer, rng):
    raise WrongAnswer({reason!r})
"""


def asking(folder, exercise, reason):
    """A folder with a private check that is never content."""
    folder.mkdir(exist_ok=True)
    text = PRIVATE.format(exercise=exercise, reason=reason)
    (folder / f"{CHAPTER}.py").write_text(text)
    return folder


def lost(result):
    return [(v.exercise, v.reason) for v in result.verdicts if v.outcome == "wrong"]


def test_one_grader_that_lives_long_takes_each_class_s_private_checks_as_they_are_now(
    how, hand_in, tmp_path
):
    """A worker of a cluster: several classes, and files that change under its hands."""
    job = hand_in("ada", solution())
    first = replace(how, private=asking(tmp_path / "a", "04.best_start", "one"))
    assert lost(many.grade_one(job, first).result) == [("04.best_start", "one")]
    asking(tmp_path / "a", "04.best_start", "two")  # as long, within the same second
    assert lost(many.grade_one(job, first).result) == [("04.best_start", "two")]
    second = replace(how, private=asking(tmp_path / "b", "04.meta_slope", "other"))
    assert lost(many.grade_one(job, second).result) == [("04.meta_slope", "other")]
    assert lost(many.grade_one(job, first).result) == [("04.best_start", "two")]
    (tmp_path / "a" / f"{CHAPTER}.py").unlink()
    assert many.grade_one(job, first).result.points == 18
    assert lost(many.grade_one(job, second).result) == [("04.meta_slope", "other")]
    assert many.grade_one(job, how).result.points == 18
    assert not list(tmp_path.glob("*/__pycache__"))


def test_a_private_file_that_fails_leaves_no_half_of_itself(how, hand_in, tmp_path):
    job, private = hand_in("ada", solution()), asking(tmp_path / "a", "04.best_start", "one")
    with open(private / f"{CHAPTER}.py", "a") as file:
        file.write("1 / 0")
    for _ in range(2):
        with pytest.raises(ValueError, match="line 6: ZeroDivisionError"):
            many.grade_one(job, replace(how, private=private))
    assert results.load_all(how.folder) == []
    assert many.grade_one(job, how).result.points == 18


def test_a_teachers_private_checks_must_be_content_too(how, hand_in, tmp_path):
    private = asking(tmp_path / "private", "04.best_start", "a private reason")
    job = hand_in("ada", solution())
    (done,) = many.grade_all([job], replace(how, private=private), 1)
    assert lost(done.result) == [("04.best_start", "a private reason")]
    assert done.result.points == 15


distributed = pytest.importorskip("distributed", reason="the extra [cluster] is not installed")


@pytest.fixture
def cluster():
    """A scheduler and two workers of this machine, on loopback."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as own:
        yield own


def test_a_cluster_grades_the_same_with_a_worker_killed_in_the_middle(how, hand_in, cluster):
    jobs = [hand_in(f"s{n:02d}", solution() if n % 2 else stub()) for n in range(16)]
    pids = [worker.pid for worker in cluster.workers.values()]
    done = []
    for one in many.grade_on(cluster.scheduler_address, jobs, how, show=lambda _: None):
        done.append(one.job.student)
        if len(done) == 4:
            os.kill(pids[0], signal.SIGKILL)
    assert sorted(done) == [job.student for job in jobs]
    assert [row["points"] for row in rows(how)] == [0, 18] * 8


def test_a_cluster_that_is_not_there_is_one_clear_error(how, monkeypatch):
    monkeypatch.setattr(many, "CONNECT", 1.0)
    with pytest.raises(OSError):
        list(many.grade_on("tcp://127.0.0.1:9", [], how))


ENDLESS = """
import os
os.fork() or os.setpgid(0, 0)
open({path!r}, "a").write(f"{{os.getpid()}} ")
while True:
    pass
"""


def test_without_a_sandbox_nothing_of_a_submission_is_left_alive(how, hand_in, tmp_path):
    notebook = json.loads(stub())
    pids = tmp_path / "pids"
    notebook["cells"][1]["source"] = ENDLESS.format(path=str(pids))
    times = Times(cell=1, question=1, notebook=6)
    many.grade_one(
        hand_in("ada", json.dumps(notebook).encode()), replace(how, sandbox=False, times=times)
    )
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) >= 2 and not [pid for pid in started if os.path.exists(f"/proc/{pid}")]


def test_a_warm_python_serves_many_without_a_sandbox_too(how):
    with box.Box(sandbox=False) as own:
        for _ in range(2):
            with own.open() as session:
                time.sleep(0.3)
                assert session.ask("begin", 5, watch=[])["id"] == 1
            assert own.reusable


def test_each_verdict_says_what_was_judged_and_older_results_load(how, hand_in):
    many.grade_one(hand_in("ada", solution()), how)
    path = results.path_of(how.folder, CHAPTER, "ada")
    kept = json.loads(path.read_text())
    assert all(len(verdict["answer"]) == 16 for verdict in kept["verdicts"])
    for verdict in kept["verdicts"]:
        del verdict["answer"]
    path.write_text(json.dumps(kept))
    assert {verdict.answer for verdict in results.load(path).verdicts} == {""}
    kept["verdicts"][0]["answer"] = 7
    path.write_text(json.dumps(kept))
    with pytest.raises(results.DamagedResult):
        results.load(path)
