"""The box: what can be seen in it, what can be used up, and that nothing of a submission is left."""

import contextlib
import errno
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

from maml_edu import places
from maml_edu.checks import plain
from maml_edu.grading.sandbox import box, inside, view
from maml_edu.grading.sandbox.box import MB, Box, Limits, NoBox
from maml_edu.grading.sandbox.protocol import Gone, TooLate

needs_box = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")
SMALL = Limits(memory=512 * MB, resident=768 * MB, disk=8 * MB, processes=12, cpu=3, user=60123)


@pytest.fixture(scope="module")
def warm():
    with Box("numpy") as one:
        yield one


def told(session, source, seconds=20.0):
    """What the cell's function `tell` returns."""
    session.ask("begin", seconds, watch=["tell"])
    error = session.ask("run", seconds, cell=0, source=source)["error"]
    assert error is None, error
    answer = session.ask(
        "call", seconds, name="tell", which=0, args={"list": []}, interface="plain"
    )
    return plain.from_json(answer["result"]) if "result" in answer else answer


def alone(one, source, seconds=20.0):
    """What `tell` returns in a session of its own."""
    with one.open() as session:
        return told(session, source, seconds)


def numbers_of(pattern):
    """Process ids whose command line holds a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if pattern.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def waits_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# ------------------------------------------------------------------ one after the other


@needs_box
def test_a_session_answers_and_the_next_one_knows_nothing_of_it(warm):
    leaves = """
        import builtins, os, numpy
        numpy.left = builtins.left = 1
        for folder in ('/tmp', '/student', '/dev/shm', '/dev', '/maml', os.getcwd()):
            try: open(folder + '/left', 'w').write('x')
            except OSError: pass
        def tell(): return os.listdir('.')
    """
    looks = """
        import builtins, os, numpy
        def tell():
            found = [f for f in ('/tmp', '/student', '/dev/shm', '/dev', '/maml') if os.path.exists(f + '/left')]
            return found + [x.__name__ for x in (builtins, numpy) if hasattr(x, 'left')]
    """
    assert alone(warm, leaves) == ["left"]
    assert alone(warm, looks) == []


@needs_box
def test_a_box_serves_many_quickly(warm):
    alone(warm, "def tell(): return 1")
    start = time.monotonic()
    assert [alone(warm, f"def tell(): return {n}") for n in range(5)] == list(range(5))
    assert time.monotonic() - start < 5


@needs_box
def test_what_a_session_started_is_gone_when_it_is_closed(warm):
    word = f"sleep-{os.getpid()}"
    with warm.open() as session:
        told(
            session,
            f"""
            import subprocess, os
            for _ in range(3): subprocess.Popen(['sh', '-c', 'sleep 60; : {word}'], start_new_session=True)
            if not os.fork():
                os.setsid()
                if os.fork(): os._exit(0)
                os.execv('/bin/sh', ['sh', '-c', 'trap "" TERM HUP INT; while true; do sleep 1; done; : {word}'])
            def tell(): return 1
        """,
        )
        assert waits_until(lambda: len(numbers_of(word)) == 4)
    assert numbers_of(word) == []


@needs_box
def test_closing_tells_why_a_session_had_ended(warm):
    session = warm.open()
    with pytest.raises(Gone):
        told(session, "import os; os._exit(0)")
    assert session.close() in ("its process ended", "closed")  # whichever is noticed first
    session = warm.open()
    told(session, "def tell(): return 1")
    assert session.close() == "closed"


@needs_box
def test_a_session_that_hangs_is_closed_at_once(warm):
    session = warm.open()
    with pytest.raises(TooLate):
        told(session, "while True: pass", 0.5)
    start = time.monotonic()
    assert session.close() == "closed"
    assert time.monotonic() - start < 3 and warm.reusable
    assert alone(warm, "def tell(): return 7") == 7


@needs_box
def test_a_box_ends_with_the_process_that_made_it(tmp_path):
    program = "from maml_edu.grading.sandbox.box import Box; import time; b = Box(); "
    program += "print(b._process.pid, flush=True); time.sleep(99)"
    maker = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        cwd=places.course_root(),
        env=os.environ | {"TMPDIR": str(tmp_path)},  # what a killed one leaves lies there
    )
    pid = int(maker.stdout.readline())
    maker.kill()
    maker.wait()
    maker.stdout.close()
    assert waits_until(lambda: not Path(f"/proc/{pid}").exists() or is_dead(pid))


def is_dead(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


@needs_box
def test_a_closed_box_leaves_no_file_and_opens_no_more():
    one = Box("numpy")
    folder = Path(one._folder.name)
    one.close()
    assert not folder.exists() and not one.reusable
    with pytest.raises(NoBox, match="the box is gone"):
        one.open()


# ------------------------------------------------------------------ what is in sight


@needs_box
def test_nothing_of_this_machine_is_in_sight_but_python_and_the_system(warm):
    sights = alone(
        warm,
        """
        import os
        folders = ('/', '/maml', '/student', '/tmp', '/dev/shm')
        def tell(): return {folder: sorted(os.listdir(folder)) for folder in folders}
    """,
    )
    allowed = {
        "bin",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "maml",
        "proc",
        "sbin",
        "student",
        "tmp",
        "usr",
    }
    parts = [path for path, _ in view.View.whole().tops]
    assert set(sights.pop("/")) <= allowed | {path.parts[1] for path in view.python_parts()} | {
        path.parts[1] for path in parts
    }
    below_tmp = {part.parts[2] for part in parts if part.is_relative_to("/tmp")}
    assert set(sights.pop("/tmp")) == below_tmp
    assert sights == {"/maml": ["maml_edu"], "/student": [], "/dev/shm": []}


@needs_box
def test_the_environment_holds_what_is_said_and_no_more(warm, monkeypatch):
    found = alone(warm, "import os\ndef tell(): return dict(os.environ)")
    expected = box.environment(inside.WORK)
    assert {k: found[k] for k in expected} == expected
    # what shells, IPython and matplotlib add
    assert found.keys() - expected.keys() <= {
        "PWD",
        "SHLVL",
        "_",
        "LC_CTYPE",
        "KMP_INIT_AT_FORK",
        "OLDPWD",
    }


@needs_box
def test_a_course_in_the_same_folder_as_its_python_stays_out_of_sight(tmp_path, monkeypatch):
    """`python -m venv .` in a clone: the folder of the environment is the folder of the solutions."""
    for name in ("bin", "lib", "solutions", "my_work"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyvenv.cfg").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    shown = {
        str(path.relative_to(tmp_path))
        for path in view.python_parts()
        if path.is_relative_to(tmp_path)
    }
    assert shown == {"bin", "lib", "pyvenv.cfg"}


@needs_box
def test_there_are_no_rights_in_it_and_no_way_to_them(warm):
    found = alone(
        warm,
        """
        import ctypes, os, socket
        libc = ctypes.CDLL(None)
        def fails(act):
            try: return act() == -1
            except OSError: return True
        def tell(): return [
            os.getuid() != 0, libc.prctl(39, 0, 0, 0, 0) == 1,              # no new privileges
            not any(libc.prctl(23, c, 0, 0, 0) == 1 for c in range(40)),    # the bounding set is empty
            fails(lambda: libc.unshare(0x10000000)), fails(lambda: os.setuid(0)), fails(lambda: os.chroot('/')),
            fails(lambda: os.memfd_create('x')), fails(lambda: socket.socket(40, 1)),
            fails(lambda: libc.mount(b'x', b'/tmp', b'tmpfs', 0, None)), fails(lambda: libc.umount2(b'/tmp', 2)),
        ]
    """,
    )
    assert found == [True] * 10


@needs_box
def test_its_process_is_the_first_to_go_when_memory_runs_out(warm):
    word = f"oom-{os.getpid()}"
    with warm.open() as session:
        told(
            session,
            f"import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 9; : {word}'])\ndef tell(): return 1",
        )
        assert waits_until(lambda: numbers_of(word))
        assert Path(f"/proc/{numbers_of(word)[0]}/oom_score_adj").read_text() == "1000\n"


# ------------------------------------------------------------------ limits


@pytest.fixture(scope="module")
def small():
    with Box("numpy", SMALL) as one:
        yield one


@needs_box
@pytest.mark.parametrize(("does", "error"), [
    ("bytearray(600 << 20)", "MemoryError"),
    ("open('big', 'wb').write(bytes(9 << 20))", "OSError"),
    ("[open(f'{i}', 'wb').write(bytes(5 << 20)) for i in range(3)]", "OSError"),
    ("[open(f'/tmp/{i}', 'wb').write(bytes(5 << 20)) for i in range(3)]", "OSError"),
    ("[open(f'/dev/shm/{i}', 'wb').write(bytes(5 << 20)) for i in range(3)]", "OSError"),
    ("[open(f'{i}', 'w') for i in range(5000)]", "OSError"),
    ("[subprocess.Popen(['sleep', '9']) for _ in range(40)]", "BlockingIOError"),
    ("mmap.mmap(-1, 1 << 20)", "PermissionError"),
])  # fmt: skip
def test_what_a_submission_may_use_is_limited(small, does, error):
    source = f"import mmap, os, subprocess\ndef tell(): return {does} and 1"
    assert alone(small, source)["raised"]["kind"] == error


@needs_box
def test_a_program_of_the_shell_has_the_same_limits(small):
    source = "import subprocess\ndef tell(): return subprocess.run('ulimit -f -n -v -c', shell=True).returncode"
    assert alone(small, source) == 0
    deadly = (
        "import subprocess\ndef tell(): return subprocess.run('yes > big', shell=True).returncode"
    )
    assert alone(small, deadly) != 0


@needs_box
def test_processor_time_is_limited(small):
    start = time.monotonic()
    with small.open() as session, pytest.raises(Gone):
        told(session, "while True: pass", 60)
    assert time.monotonic() - start < 40


@needs_box
def test_memory_of_all_its_processes_together_is_limited(small):
    session = small.open()
    with pytest.raises(Gone):
        told(
            session,
            """
            import os, time
            for _ in range(4):
                if not os.fork():
                    hog = bytearray(b'x') * (300 << 20)
                    time.sleep(9); os._exit(0)
            time.sleep(9)
        """,
        )
    assert session.close() == "it used more than 768 MB of memory" and small.reusable


@needs_box
def test_one_that_uses_everything_up_leaves_everything_to_the_next(small):
    for _ in range(2):
        alone(
            small,
            """
            import os, time
            open('a', 'wb').write(bytes(7 << 20)); open('/tmp/b', 'wb').write(bytes(7 << 20))
            for _ in range(5):
                if not os.fork(): time.sleep(60)
            def tell(): return 1
        """,
        )


# ------------------------------------------------------------------ without one


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_without_walls_the_same_answers_come_and_nothing_is_left():
    word = f"loose-{os.getpid()}"
    with Box("numpy", sandbox=False) as one:
        assert one.walls == "none" and not one.sandboxed
        assert alone(one, "def tell(): return 3") == 3
        with one.open() as session:
            told(
                session,
                f"import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 60; : {word}'])\ndef tell(): return 1",
            )
            assert waits_until(lambda: numbers_of(word))
        assert waits_until(lambda: not numbers_of(word)) and one.reusable
        assert alone(one, "import os\ndef tell(): return dict(os.environ)")["USER"] == "student"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's signal of a parent's death")
def test_without_walls_a_loop_ends_with_the_box():
    one = Box("numpy", sandbox=False)
    session = one.open()
    with pytest.raises(TooLate):
        told(session, "while True: pass", 0.5)
    children = (
        Path(f"/proc/{one._process.pid}/task/{one._process.pid}/children").read_text().split()
    )
    assert len(children) == 1
    one.close()
    assert waits_until(lambda: is_dead(int(children[0])))


def test_why_there_is_no_box_is_said_and_what_to_do(monkeypatch):
    def why():
        box.probe.cache_clear()
        return box.probe()

    def saying(text):
        monkeypatch.setattr(
            box.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1, "", text)
        )

    monkeypatch.setattr(sys, "platform", "darwin")
    assert "runs on Linux only" in why()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "apt-get install bubblewrap" in why()
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    saying("bwrap: No permissions to create new namespace")
    assert "(bwrap: No permissions to create new namespace)" in why() and "sysctl" in why()
    saying("bwrap: Unknown option --size")
    assert "too old" in why() and "sysctl" not in why()
    saying("")
    assert "(exit code 1)" in why()
    box.probe.cache_clear()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([sys.executable, "-c", "raise SystemExit('nothing')"], "nothing"),
        (["/no/bwrap"], "No such file"),
    ],
)
def test_a_program_that_does_not_start_is_no_box_and_leaves_nothing(command, says, monkeypatch):
    monkeypatch.setattr(box, "command", lambda *a: command)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NoBox, match=f"could not be started: .*{says}"):
        Box()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_limits_travel_as_json():
    line = box.command(7, "numpy", SMALL, None)
    assert json.loads(line[-1])["memory"] == 512 * MB and line[-4:-1] == ["7", "numpy", "none"]


def test_the_signal_that_ends_a_box_reaches_its_group_only():
    with Box("numpy", sandbox=False) as one:
        assert os.getpgid(one._process.pid) == one._process.pid != os.getpgid(0)
        os.killpg(one._process.pid, signal.SIGKILL)
        assert waits_until(lambda: not one.reusable)


def test_a_python_below_tmp_is_seen_there_and_cannot_be_written(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        lib, one = Path(folder, "lib"), Path(folder, "pyvenv.cfg")
        lib.mkdir()
        (lib / "late.py").write_text("value = 7")
        one.write_text("home")
        parts = view.python_parts()
        monkeypatch.setattr(view, "python_parts", lambda: [*parts, lib, one])
        source = f"""
import sys
sys.path.append({str(lib)!r})
import late
def f():
    try:
        open({str(lib / "more.py")!r}, "w")
    except OSError as error:
        return [late.value, open({str(one)!r}).read(), error.errno]
"""
        with Box() as own, own.open() as session:
            session.ask("begin", 5, watch=["f"])
            assert session.ask("run", 5, cell=0, source=source)["error"] is None
            args = {"name": "f", "which": 0, "args": {"list": []}, "interface": "plain"}
            value, text, number = session.ask("call", 5, **args)["result"]["list"]
    assert (value, text) == (7, "home") and number in (errno.EROFS, errno.EACCES)
