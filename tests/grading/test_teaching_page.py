"""docs/teaching.md: every command of its blocks, and every export of its tables, is typed here and works."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
import zipfile

import pytest
from typer.testing import CliRunner

from maml_edu import places
from maml_edu.cli import app
from maml_edu.grading.sandbox import box

CHAPTER = "04_gradient_of_a_step"
PEOPLE = ("Ada Lovelace", "Li Wei", "Søren Kierkegaard")
PAGE = (places.course_root() / "docs" / "teaching.md").read_text(encoding="utf-8")
# Moodle's worksheet asks for no comma in a number, Blackboard's and Canvas's headings hold the assignment.
WORKSHEET = "Identifier,Full name,Email address,Grade,Maximum Grade,Feedback comments,Last modified (grade)\n"
WORKSHEET += "".join(f"Participant 100{i},{n},p{i}@x.org,,20.00,,-\n" for i, n in enumerate(PEOPLE))
GRADES = "Student,ID,SIS Login ID,Section,Chapter 04 (77)\n    Points Possible,,,,20\n"
GRADES += "".join(f"{name},{i},p{i},A,\n" for i, name in enumerate(PEOPLE))
GRADEBOOK = "Last Name,First Name,Username,Chapter 04 [Total Pts: 20 Score] |7\n"
GRADEBOOK += "".join(f"{n.split()[1]},{n.split()[0]},p{i},\n" for i, n in enumerate(PEOPLE))

pytestmark = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")


def blocks():
    """The lines of the page's blocks that begin with maml-edu or cd, without their remarks."""
    found = re.findall(r"^```\n(.*?)^```$", PAGE, flags=re.M | re.S)
    lines = [line.split("  #")[0].strip() for block in found for line in block.splitlines()]
    return [line for line in lines if line.startswith(("maml-edu", "cd "))]


def exports():
    """The commands in the table of systems, whole."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "export " in line]
    short = [c for row in rows for c in re.findall(r"`((?:export|feedback) [^`]*)`", row)]
    # Canvas's zip wants Canvas's file names, which Moodle's download has not: test_back.py has it
    return [f"maml-edu classroom {command}" for command in short if "canvas`" not in f"{command}`"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A teacher's home: what was downloaded there, three hand-ins among it."""
    home = tmp_path_factory.mktemp("home")
    downloads = home / "Downloads"
    downloads.mkdir()
    with (downloads / "participants.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [["Full name", "Email address", "Username"]]
        csv.writer(file).writerows(
            rows + [[n, f"p{i}@x.org", f"p{i}"] for i, n in enumerate(PEOPLE)]
        )
    kinds = ("solutions", "solutions", "exercises")
    with zipfile.ZipFile(downloads / "all.zip", "w") as packed:
        for i, (name, kind) in enumerate(zip(PEOPLE, kinds, strict=True)):
            folder = f"{name}_100{i}_assignsubmission_file"
            source = places.course_root() / kind / f"{CHAPTER}.ipynb"
            packed.write(source, f"{folder}/{CHAPTER}.ipynb")
    return home


@pytest.fixture(scope="module")
def walk(home):
    """Type a line in the folder where the lines before it have led; what it prints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))

        def typed(line):
            words = [os.path.expanduser(word) for word in shlex.split(line)]
            if words[0] == "cd":
                patch.chdir(words[1])
                return ""
            if words[:3] == ["maml-edu", "classroom", "mark"]:
                return marked(words[1:])
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"
            return done.output

        yield typed


def marked(words):
    """`mark` in a process of its own: its page is asked for once, and Ctrl-C ends it."""
    line = [sys.executable, "-u", "-c", "from maml_edu.cli import main; main()", *words]
    process = subprocess.Popen([*line, "--no-browser"], stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while not (address := re.search(r"http://127\.0\.0\.1\S+", said)):
            said += process.stdout.readline() or pytest.fail(f"no page: {said}")
        with urllib.request.urlopen(address[0], timeout=20) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        return said + process.stdout.read()
    finally:
        process.kill()


@pytest.fixture(scope="module")
def walked(walk):
    """What each line of the blocks printed, in their order."""
    return {line: walk(line) for line in blocks()}


def test_the_blocks_walk_from_a_new_class_to_its_marks(walked, home):
    room = home / "maml2026"
    assert "3 " in walked["maml-edu classroom collect ~/Downloads/all.zip --chapter 04"]
    table = (room / "exports" / "marks_wide.csv").read_text("utf-8-sig")
    assert all(name in table for name in PEOPLE)
    assert (room / "exports" / f"report_{CHAPTER}.html").is_file()
    assert len(list((room / "feedback").glob("*/*/*.html"))) == 3
    results = [json.loads(p.read_text()) for p in (room / "results" / CHAPTER).glob("*.json")]
    points = sorted(sum(v["points"] or 0 for v in one["verdicts"]) for one in results)
    assert points == [0, 18, 18]  # the exercise that the page adds is in none of them


@pytest.mark.parametrize("line", exports())
def test_each_export_of_the_table_works(walked, walk, home, line, monkeypatch):
    monkeypatch.chdir(home / "maml2026")
    for name, text in (
        ("worksheet.csv", WORKSHEET), ("grades.csv", GRADES), ("gradebook.csv", GRADEBOOK),
        ("maml_edu-0.1.0-py3-none-any.whl", ""),
    ):  # fmt: skip
        (home / "maml2026" / name).write_text(text, encoding="utf-8")
    line = line.replace("FILE", "maml_edu-0.1.0-py3-none-any.whl")
    if " canvas" in line or " blackboard" in line or " moodle" in line:
        line += " --partial --scale" if " export " in line else ""
    if " lti" in line:
        members = [{"user_id": f"u{i}", "email": f"p{i}@x.org"} for i in range(len(PEOPLE))]
        (home / "maml2026" / "members.json").write_text(json.dumps(members))
        line += " --dry-run --into members.json"
    said = walk(line)
    assert str(home / "maml2026") in said.replace("\n", ""), said


def test_the_page_names_every_command_of_a_class():
    names = [
        command.name for command in app.registered_groups[0].typer_instance.registered_commands
    ]
    assert len(names) >= 10
    assert [
        name for name in names if f"classroom {name}" not in PAGE and f"`{name}" not in PAGE
    ] == []
