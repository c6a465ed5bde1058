"""Every test of the course runs for every chapter that there is: arguments by name.

`exercise_chapter`: each folder in course/ that has exercises; `item`: (folder, id) of an exercise;
`wrong`: (folder, id, number, function name) of each wrong answer, `unusual` of each unusual right one;
`lesson`, `built`: the path of each lesson and of each built notebook. Without a chapter pytest skips
such a test, and `test_sync.py::test_there_is_a_course` is the one that fails.
"""

import nbformat
import pytest
from course_files import (
    built_paths,
    exercise_ids,
    found_chapters,
    right_answer_places,
    source,
    wrong_answer_places,
)

from maml_edu import places


def pytest_generate_tests(metafunc):
    chapters = found_chapters()
    values = {
        "exercise_chapter": [c for c in chapters if source(c, "exercises.py").is_file()],
        "item": [(c, id) for c in chapters for id in exercise_ids(c)],
        "wrong": [(c, *place) for c in chapters for place in wrong_answer_places(c)],
        "unusual": [(c, *place) for c in chapters for place in right_answer_places(c)],
        "lesson": [built_paths(c)[0] for c in chapters],
        "built": [path for c in chapters for path in built_paths(c)],
    }
    for name in values.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, values[name], ids=_label)


def _label(value):
    if isinstance(value, tuple):
        return "-".join([value[1], *value[3:]])
    return value if isinstance(value, str) else f"{value.parent.name}/{value.stem}"


@pytest.fixture(scope="session")
def root():
    return places.course_root()


@pytest.fixture(scope="session")
def read():
    """Reads a built notebook, with a word on what to do when it is not there."""

    def read_notebook(path):
        if not path.is_file():
            pytest.fail(f"{path.parent.name}/{path.name} is not built: run `make notebooks`")
        return nbformat.read(path, as_version=4)

    return read_notebook
