"""docs/jupyterhub.md and the files that it says to copy; `make test-hub` uses them on a Hub."""

import json
import re

import pytest

from maml_edu import places

PAGE = places.course_root() / "docs" / "jupyterhub.md"
EXAMPLES = places.course_root() / "examples" / "jupyterhub"
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".json"))


def test_what_the_page_links_to_is_there_and_every_example_is_linked():
    links = re.findall(r"\]\((?!http)(.*?)\)", PAGE.read_text("utf-8"))
    linked = [(PAGE.parent / link).resolve() for link in links]
    assert [path for path in linked if not path.exists()] == []
    unnamed = [f for f in FILES if f not in linked and EXAMPLES / "teacher" not in f.parents]
    assert len(FILES) == 7 and unnamed == [] and EXAMPLES / "teacher" in linked


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_every_example_can_be_read(path):
    text = path.read_text("utf-8")
    json.loads(text) if path.suffix == ".json" else compile(text, path.name, "exec")


def test_the_teacher_gets_back_what_students_do_not_see():
    for name, key in (
        ("labconfig/page_config.json", "disabledExtensions"),
        ("jupyter_server_config.json", "ServerApp"),
    ):
        theirs = json.loads((EXAMPLES / "environment" / name).read_text())[key]
        mine = json.loads((EXAMPLES / "teacher" / name).read_text())[key]
        mine, theirs = (one.get("jpserver_extensions", one) for one in (mine, theirs))
        assert mine and all(theirs[plugin] is not on for plugin, on in mine.items())
