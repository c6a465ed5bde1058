"""A teacher and two students on a JupyterHub, from release to feedback, by HTTP: `make test-hub`.

Each has a home and a server of their own, and an account or, as in containers, the account jovyan. The
configuration is that of examples/jupyterhub/.
"""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("jupyterhub", reason="`make test-hub` runs it in an environment of its own")

import hub
from hub import Person

from maml_edu import places

CHAPTER = "04_gradient_of_a_step"
COURSE = "maml2026"
NOTEBOOK = f"{CHAPTER}/{CHAPTER}.ipynb"
WRITTEN = "written_04"
ABOUT = {"course_id": COURSE, "assignment_id": CHAPTER}
WRONG = "def meta_slope(theta, c, a, alpha):\n    return a * (theta - alpha * a - c)\n"
PAGE = places.course_root() / "docs" / "jupyterhub.md"
pytestmark = pytest.mark.skipif(bool(hub.why_not()), reason=hub.why_not())


@pytest.fixture(scope="module", params=["accounts", "jovyan"])
def people(tmp_path_factory, request):
    """prof, ada and wang, logged in, each on a server of their own."""
    names = ["prof", "ada", "wang"]
    folder = tmp_path_factory.mktemp("hub")
    with hub.hub(folder, names, request.param == "accounts") as address:
        with ThreadPoolExecutor() as together:
            people = together.map(lambda name: Person(address, name), names)
        yield dict(zip(names, people, strict=True))


@pytest.fixture(scope="module")
def handed_out(people):
    """Chapter 04 is in the exchange, and both students have fetched it."""
    prof = people["prof"]
    prof.types("maml-edu classroom new maml2026")
    prof.types("maml-edu classroom release 04", COURSE)
    prof.types(f"nbgrader release_assignment {CHAPTER}", COURSE)
    listed = {}
    for name in ("ada", "wang"):
        listed[name] = people[name].ask("GET", "assignments", params={"course_id": COURSE})
        people[name].ask("POST", "assignments/fetch", json=ABOUT)
    return listed


def answered(person, meta_slope=None):
    """Put the model answers into a student's notebook, or another one for 04.meta_slope."""
    mine = person.read(NOTEBOOK)
    model = json.loads((places.course_root() / "solutions" / f"{CHAPTER}.ipynb").read_text("utf-8"))
    answers = {grade_id(cell): "".join(cell["source"]) for cell in model["cells"]}
    for cell in mine["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            own = meta_slope if grade_id(cell) == "meta_slope" else None
            cell["source"] = own or answers[grade_id(cell)]
    person.save(NOTEBOOK, mine)


def grade_id(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def submit(person):
    said = person.ask("POST", "assignments/submit", json=ABOUT)
    assert said["success"], said


@pytest.fixture(scope="module")
def handed_in(people, handed_out):
    """ada's is right; wang's is empty, then nearly right. What ada's kernel and the last `collect` said."""
    ada, wang = people["ada"], people["wang"]
    answered(ada)
    said, end = ada.runs(NOTEBOOK)
    end()
    submit(ada)
    submit(wang)
    people["prof"].types(
        f"nbgrader collect {CHAPTER}"
    )  # from her home: ~/.jupyter says where the class is
    answered(wang, WRONG)
    time.sleep(1.1)  # nbgrader's names tell hand-ins apart by the second
    submit(wang)
    return said, people["prof"].types(f"nbgrader collect --update {CHAPTER}", COURSE)


@pytest.fixture(scope="module")
def graded(people, handed_in):
    """All is graded; one hand-in came by e-mail."""
    prof = people["prof"]
    mailed = f"submitted/eve/{CHAPTER}"
    prof.types(f"mkdir -p {mailed}; cp release/{NOTEBOOK} {mailed}", COURSE)
    said = prof.types("maml-edu classroom grade", COURSE, code=None)
    if "no sandbox" in said:  # a machine where only root may build one
        said = prof.types("maml-edu classroom grade --allow-unsandboxed", COURSE)
    prof.types("maml-edu classroom feedback 04", COURSE)
    return said


@pytest.fixture(scope="module")
def given_back(people, graded):
    """The feedback that each student has fetched: {name: {path in their home: page}}."""
    release = f"nbgrader release_feedback {CHAPTER}"
    assert "eve" in people["prof"].types(
        release, COURSE, code=1
    )  # who has no secret in the exchange
    people["prof"].types(f"{release} --CourseDirectory.student_id_exclude=eve", COURSE)
    found: dict = {"ada": {}, "wang": {}}
    for name, pages in found.items():
        person = people[name]
        person.ask("POST", "assignments/fetch_feedback", json=ABOUT)
        for path in person.types(f"find {CHAPTER}/feedback -name '*.html'").splitlines():
            pages[path] = person.read(path)
    return found


def test_students_see_what_was_released_and_fetch_it(people, handed_out):
    for name, listed in handed_out.items():
        [one] = listed["value"]
        assert ABOUT.items() <= one.items() and one["status"] == "released"
        assert "NotImplementedError" in json.dumps(people[name].read(NOTEBOOK))


def test_a_students_own_kernel_checks_the_answers(people, handed_in):
    said = handed_in[0].splitlines()
    assert len(said) >= 4 and all(re.match(r"✓ 04\.\w+: right", line) for line in said), said


def test_nbgrader_collects_the_second_hand_in_and_suspects_nobody(handed_in):
    assert "Updating submission: wang" in handed_in[1] and "cheating" not in handed_in[1]


def test_grading_counts_the_last_hand_in_of_each(people, graded):
    outcomes = {}
    for name in ("ada", "wang", "eve"):
        result = json.loads(people["prof"].read(f"{COURSE}/results/{CHAPTER}/{name}.json"))
        outcomes[name] = {v["exercise"]: v["outcome"] for v in result["verdicts"]}
    right = dict.fromkeys(outcomes["ada"], "right") | {WRITTEN: "person"}
    assert outcomes["ada"] == right and len(right) > 4
    assert outcomes["wang"] == right | {"04.meta_slope": "wrong"}
    assert outcomes["eve"] == dict.fromkeys(right, "not done")


def test_each_student_gets_the_page_of_their_own_work_and_nobody_elses(people, given_back):
    for name, other in (("ada", "wang"), ("wang", "ada")):
        pages = list(given_back[name].values())
        made = people["prof"].read(f"{COURSE}/feedback/{name}/{CHAPTER}/{CHAPTER}.html")
        assert pages == [made] and f"for {name}" in made and f"for {other}" not in made


def test_nobody_reads_another_home_or_what_others_have_in_the_exchange(people, given_back):
    ada, exchange = people["ada"], f"/srv/nbgrader/exchange/{COURSE}"
    if "(jovyan)" in ada.types("id"):  # as docs/jupyterhub.md warns
        assert "wang" in ada.types(f"ls {exchange}/inbound")
        return
    for path in ("/home/prof", "/home/wang", f"{exchange}/feedback", f"{exchange}/inbound"):
        assert "Permission denied" in ada.types(f"ls {path}", code=2)


@pytest.mark.parametrize(("name", "off"), [("prof", False), ("ada", True)])
def test_formgrader_and_create_assignment_are_the_teachers_alone(people, name, off):
    page = people[name].page("lab")
    data = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.S)
    disabled = json.loads(data[1])["disabledExtensions"]
    ours = {f"@jupyter/nbgrader:{plugin}" for plugin in ("formgrader", "create-assignment")}
    assert ours & set(disabled) == (ours if off else set())
    assert "@jupyter/nbgrader:assignment-list" not in disabled


def test_the_server_of_a_student_has_no_formgrader_and_the_teachers_opens_the_class(people, graded):
    with pytest.raises(AssertionError, match="404"):
        people["ada"].page("formgrader")
    assert CHAPTER in json.dumps(people["prof"].ask("GET", "formgrader/api/assignments"))


def test_lessons_reach_a_student_without_a_second_server(people):
    said = people["ada"].types("maml-edu fresh notebooks/04")
    assert f"/ada/my_work/notebooks/{CHAPTER}.ipynb" in said
    assert "On a JupyterHub" in people["ada"].types("maml-edu lab")
    assert people["ada"].read(f"my_work/notebooks/{CHAPTER}.ipynb")["cells"]


def test_every_command_of_the_page_was_typed_here(people, given_back):
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    ours = [line for line in lines if re.match("maml-edu|nbgrader", line)]
    assert len(ours) == 9 and set(ours) <= Person.typed
