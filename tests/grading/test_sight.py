"""What a submission can see, found out by walking through a box from within, however the course is installed."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import installations
import pytest

from maml_edu import places
from maml_edu.grading.sandbox import box, inside, view
from maml_edu.grading.sandbox.box import Box, NoBox
from maml_edu.grading.sandbox.view import View

needs_box = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")

# A submission's cell: every file of the box by its size, and where that is a secret's by its digest.
WALK = """
import hashlib, os, stat
def tell(secrets, top):
    seen, looked, folders = [], 0, [top]
    while folders:
        try: entries = list(os.scandir(folders.pop()))
        except OSError: continue
        for entry in entries:
            looked += 1
            if entry.path in ('/proc', '/sys'): continue
            if entry.is_dir(follow_symlinks=False): folders.append(entry.path); continue
            try: size = entry.stat().st_size
            except OSError: continue
            if str(size) in secrets:
                try: digest = hashlib.sha256(open(entry.path, 'rb').read()).hexdigest()
                except OSError: continue
                if digest in secrets[str(size)]: seen.append(entry.path)
    return [seen, looked]
"""

# Run by the Python of an installation: what a box shows there, and what it shows where nothing is hidden.
PROGRAM = """
import json, sys
from maml_edu import places
from maml_edu.checks import plain
from maml_edu.grading.sandbox import view
from maml_edu.grading.sandbox.box import Box, NoBox
cell, secrets = json.load(open(sys.argv[1]))
def ask(one, top):
    with one.open() as session:
        session.ask("begin", 20, watch=["tell"])
        assert session.ask("run", 20, cell=0, source=cell)["error"] is None
        args = plain.to_json([secrets, top])
        found = session.ask("call", 100, name="tell", which=0, args=args, interface="plain")
        return plain.from_json(found["result"])
with Box("numpy") as one:
    seen, looked = ask(one, "/")
found = {"seen": seen, "looked": looked, "package": str(view.PACKAGE), "walls": one.walls,
         "hidden": [str(path) for path in view.View.whole().hidden]}
view.secret = lambda shown: set()
try:
    Box("numpy").close()
    found["refused"] = ""
except NoBox as error:
    found["refused"] = str(error)
print(json.dumps(found))
"""


def secrets():
    """Size → digests of the files that no submission may read."""
    root, found = places.course_root(), {}
    for pattern in ("course/*/checks.py", "course/*/wrong_answers.py", "course/*/exercises.py",
                    "solutions/*.ipynb", "exercises/*.ipynb", "tests/helpers/attacks/*.py"):  # fmt: skip
        for path in root.glob(pattern):
            data = path.read_bytes()
            if data:
                found.setdefault(str(len(data)), []).append(hashlib.sha256(data).hexdigest())
    assert sum(map(len, found.values())) > 60
    return found


@pytest.fixture
def folder():
    """Not below pytest's, which are closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="install-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def walked(command, folder):
    """What PROGRAM tells."""
    (folder / "what.json").write_text(json.dumps([WALK, secrets()]))
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [*command, "-c", PROGRAM, str(folder / "what.json")], cwd=folder, env=kept | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_box
@pytest.mark.parametrize("kind", installations.all_kinds(), ids=lambda kind: kind.__name__)
def test_no_answer_of_the_course_is_in_sight_however_it_is_installed(kind, folder):
    try:
        command = kind(folder)
    except installations.Cannot as why:
        pytest.skip(str(why))
    found = walked(command, folder)
    assert found["seen"] == [] and found["looked"] > 10_000 and found["walls"] == "nested"
    if kind not in (installations.clone, installations.venv_in_a_clone):
        assert "_course" in str(found["hidden"])
        # what would be seen if it were not hidden is found by the box itself, which is refused
        assert "every submission could read" in found["refused"]
        assert "/04_" in found["refused"] or "/00_" in found["refused"]


# ------------------------------------------------------------------ what is built


def made(folder, *files):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("maml_edu")


def test_each_folder_is_shown_once_and_links_as_links(tmp_path):
    root = tmp_path.resolve()
    made(root, "real/lib/a.py", "real/bin/python")
    (root / "real" / "lib64").symlink_to("lib")
    (root / "way").symlink_to(root / "real")
    (root / "round").symlink_to("round")
    asked = [root / "way" / name for name in ("lib", "lib64", "bin", "lib/a.py")]
    shown = View.of([*asked, root / "real" / "lib", root / "round"])
    assert list(shown.tops) == [
        (root / "real" / "bin", None), (root / "real" / "lib", None),
        (root / "real" / "lib64", "lib"), (root / "way", str(root / "real")),
    ]  # fmt: skip
    bound = [b for a, b in zip(shown.options, shown.options[1:], strict=False) if a == "--ro-bind"]
    assert len(bound) == len(set(bound))


@pytest.mark.parametrize("packages", [
    "lib/python3.11/site-packages", "lib/python3/dist-packages", "lib/python3.12/dist-packages",
    "lib/site-packages", "lib64/python3.13/site-packages",
])  # fmt: skip
def test_what_any_wheel_in_sight_carries_is_hidden_and_stays_closed(tmp_path, packages):
    root = tmp_path.resolve()
    made(root, f"{packages}/maml_edu/_course/solutions/04.ipynb")
    shown = View.of([root / packages.split("/")[0]])
    course = root / packages / "maml_edu" / "_course"
    assert shown.hidden == (course,)
    assert shown.options[-2:] == ["--remount-ro", str(course)]
    assert View.of([root / packages]).hidden == (course,)


def test_a_python_in_a_hidden_clone_is_shown_above_it(tmp_path, monkeypatch):
    root = tmp_path.resolve()
    made(root, "src/maml/pyproject.toml", "src/maml/course/x", "src/maml/.venv/lib/y")
    monkeypatch.setattr(view, "PACKAGE", root / "src" / "maml" / "maml_edu")
    monkeypatch.setattr(places, "in_clone", lambda: True)
    shown = View.of([root, root / "src" / "maml" / ".venv" / "lib"])
    assert shown.hidden == (root / "src" / "maml",)
    assert shown.tops == ((root, None), (root / "src" / "maml" / ".venv" / "lib", None))
    at = [shown.options.index(str(root / "src" / "maml" / name)) for name in ("", ".venv/lib")]
    assert at == sorted(at)


def test_of_the_system_no_folder_is_shown_where_people_put_their_own():
    names = {str(path) for path in view.system()}
    assert not names & {"/usr", "/usr/local", "/usr/src", "/usr/local/src", "/usr/local/share"}
    assert {"/usr/bin", "/usr/lib", "/lib"} <= names


# ------------------------------------------------------------------ what a box says of itself


@pytest.mark.parametrize(("name", "is_one"), [
    ("submitted/ada/04_gradient_of_a_step.ipynb", True),
    ("submitted/ada/04_gradient_of_a_step/04_gradient_of_a_step (1).ipynb", True),
    ("results/04_gradient_of_a_step/ada.json", True),
    ("exchange/c/inbound/ada+04_gradient_of_a_step+2026+abc/x.ipynb", True),
    ("course/07_maml_in_numpy/checks.py", True), ("dist/maml_edu-0.1.0-py3-none-any.whl", True),
    ("doc/104_gradient_of_a_step.txt", False), ("doc/04_gradient_of_a_stepwise.txt", False),
    ("doc/04_gradients.ipynb", False), ("figures/gradient_of_a_step.py", False),
])  # fmt: skip
def test_files_of_the_course_and_of_classes_are_known_by_their_names(tmp_path, name, is_one):
    made(tmp_path, name)
    assert bool(inside.in_sight(places.chapters(), str(tmp_path))) is is_one


def test_another_course_may_number_its_chapters_as_we_do(tmp_path):
    made(tmp_path, "x/02_backpropagation.ipynb")
    (tmp_path / "x" / "02_backpropagation.ipynb").write_text("a course of somebody else")
    assert inside.in_sight(places.chapters(), str(tmp_path)) == []


@needs_box
def test_a_class_among_the_files_of_python_is_no_box_and_the_sentence_says_where(
    folder, monkeypatch
):
    made(folder, "lib/class/submitted/ada/04_gradient_of_a_step/04_gradient_of_a_step.ipynb")
    parts = view.python_parts()
    monkeypatch.setattr(view, "python_parts", lambda: [*parts, folder / "lib"])
    with pytest.raises(NoBox, match=r"could read .*/lib/class/submitted/ada/04.* Move it to") as no:
        Box("numpy")
    assert "1 more" in str(no.value)


@needs_box
def test_a_folder_that_is_hidden_can_keep_nothing_for_the_next_one(folder, monkeypatch):
    made(folder, "lib/python3.11/site-packages/maml_edu/_course/solutions/x")
    course = folder / "lib/python3.11/site-packages/maml_edu/_course"
    parts = view.python_parts()
    monkeypatch.setattr(view, "python_parts", lambda: [*parts, folder / "lib"])
    source = f"""
import os
def tell():
    try: open({str(course / "left")!r}, 'w')
    except OSError: return os.listdir({str(course)!r})
"""
    with Box("numpy") as one, one.open() as session:
        session.ask("begin", 20, watch=["tell"])
        assert session.ask("run", 20, cell=0, source=source)["error"] is None
        ask = {"name": "tell", "which": 0, "args": {"list": []}, "interface": "plain"}
        assert session.ask("call", 20, **ask)["result"] == {"list": []}


@needs_box
def test_a_view_is_walked_through_once(monkeypatch):
    box._looked_through.clear()
    asked = []
    built = box.command

    def noted(*args):
        line = built(*args)
        asked.append(bool(json.loads(line[-1])["chapters"]))
        return line

    monkeypatch.setattr(box, "command", noted)
    for _ in range(2):
        Box("numpy").close()
    assert asked == [True, False]
