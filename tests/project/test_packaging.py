"""A wheel built from this tree, in an empty environment, opens the same course.

The one slow test of the repository: it installs everything that a learner's machine installs.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]
BUILT = ("notebooks", "exercises", "solutions")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """What a fresh clone would hold: tracked files, and new ones that git does not ignore."""
    if not (CLONE / ".git").exists():
        pytest.skip("not a clone: what belongs to the repository is not known here")
    listed = ["git", "-C", str(CLONE), "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    copy = tmp_path_factory.mktemp("tree")
    for name in filter(None, names):
        if (CLONE / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CLONE / name, copy / name)
    mine = copy / "my_work" / "exercises"  # a learner has been here, too
    mine.mkdir(parents=True)
    (mine / "99_mine.ipynb").write_text("{}")
    return copy


@pytest.fixture(scope="module")
def archives(tree, tmp_path_factory):
    """The sdist of the tree, and the wheel that is built from the sdist."""
    folder = tmp_path_factory.mktemp("archives")
    tools = folder / "tools"
    pip("install", "--quiet", "--target", tools, "hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
    quietly(build, cwd=tree, env={**os.environ, "PYTHONPATH": str(tools)})
    [sdist] = folder.glob("*.tar.gz")
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", folder, sdist)
    [wheel] = folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(archives, tmp_path_factory):
    """The programs' folder of an empty environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--no-compile", "-c"]
    quietly([*install, CLONE / "constraints.txt", archives[1]])
    yield programs
    shutil.rmtree(folder, ignore_errors=True)  # more than a gigabyte


def pip(*arguments):
    quietly([sys.executable, "-m", "pip", *arguments])


def quietly(line, **options):
    """Run a command; when it fails, show what it said."""
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{line}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def built_notebooks(folder):
    """exercises/04_topic.ipynb and so on, below a folder."""
    return {f"{part}/{path.name}" for part in BUILT for path in (folder / part).glob("*.ipynb")}


def test_the_sdist_and_its_wheel_carry_the_course_and_nothing_of_the_learners(tree, archives):
    with tarfile.open(archives[0]) as sdist:
        source = {name.split("/", 1)[-1] for name in sdist.getnames()}
    files = set(zipfile.ZipFile(archives[1]).namelist())
    course = {path for path in map(str, source) if path.split("/")[0] in ("course", *BUILT)}
    course = {path for path in course if (tree / path).is_file()}
    assert built_notebooks(tree), "the notebooks are built and belong to the repository"
    assert course >= built_notebooks(tree)
    assert {f"maml_edu/_course/{path}" for path in course} <= files
    for kind in ("*.js", "*.txt"):  # of the figures, and the sentences of the course
        other = {str(path.relative_to(tree)) for path in (tree / "maml_edu").rglob(kind)}
        assert other and other <= files
    tops = {name.split("/")[0] for name in files}
    assert tops == {"maml_edu", next(top for top in tops if top.endswith(".dist-info"))}
    assert not any("my_work" in name.split("/") for name in files | source)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def lab(installed, tmp_path):
    """`maml-edu lab` of the installed wheel, started in an empty folder: (its folder, its URL)."""
    here = tmp_path / "somewhere"
    here.mkdir()
    port = free_port()
    line = [installed / "maml-edu", "lab", "--no-browser", "--port", str(port)]
    line += ["--ServerApp.token=secret"]
    with (tmp_path / "lab.log").open("w+") as log:
        server = subprocess.Popen(line, cwd=here, stdout=log, stderr=log, env=clean(tmp_path))
        try:
            wait_for(server, f"http://127.0.0.1:{port}/api/status?token=secret", log)
            yield here, f"http://127.0.0.1:{port}"
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0, "one Ctrl-C ends it"
        finally:
            server.kill()
            server.wait()


def clean(home):
    """An environment in which nothing of this clone or of this test run can be found."""
    drop = ("PYTHONPATH", "VIRTUAL_ENV", "PYTEST_", "JUPYTER", "MAML_EDU_WORK")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    return {**kept, "HOME": str(home), "IPYTHONDIR": str(home / "ipython")}


def wait_for(server, url, log):
    """Until the server answers; its own words when it does not."""
    for _ in range(120):
        try:
            return get(url)
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None:
                break
            time.sleep(0.5)
    log.seek(0)
    raise AssertionError(f"JupyterLab did not answer:\n{log.read()[-4000:]}")


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


@pytest.mark.skipif(os.name != "posix", reason="stops the server with a signal")
def test_the_installed_wheel_opens_the_same_course(tree, installed, lab):
    here, url = lab
    assert "jupyter-config-data" in get(f"{url}/lab?token=secret")
    listed = set()
    for part in BUILT:
        entries = json.loads(get(f"{url}/api/contents/{part}?token=secret"))["content"]
        listed |= {f"{part}/{entry['name']}" for entry in entries}
    assert listed == built_notebooks(tree)
    for name in listed:
        assert (here / "my_work" / name).read_bytes() == (tree / name).read_bytes()
    run = [installed / "jupyter-execute"]
    exercise = sorted((here / "my_work" / "exercises").glob("*.ipynb"))[0]
    quietly([*run, exercise], env={**clean(here), "PATH": os.environ["PATH"]})


def test_the_installed_programs_work_without_the_clone(installed, tmp_path):
    options = {"cwd": tmp_path, "env": clean(tmp_path)}
    assert quietly([installed / "maml-edu", "--version"], **options).startswith("maml-edu ")
    said = quietly([installed / "maml-edu", "doctor"], **options)
    assert "Everything needed is in place." in said
    where = "import maml_edu.places as p; print(p.course_root())"
    root = quietly([installed / "python", "-c", where], **options).strip()
    assert Path(root).parts[-2:] == ("maml_edu", "_course")
    assert str(CLONE) not in root
