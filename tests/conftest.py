"""What every test gets: a learner's record and data folder of its own, and one core."""

import itertools
import os
import re
import signal

import pytest
from course_files import SHORTENED

# Before anybody imports torch: tests run side by side, and small networks want one thread.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell's background job (`make test &`) starts with Ctrl-C ignored, and so would the programs that
# tests start and end with Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NUMBERS = itertools.count()
SLOWEST = [
    "test_packaging.py",
    "test_browser.py",
    "test_attacks.py",
    "test_term.py",
    "07_maml_in_numpy.ipynb",
    "10_few_shot_images.ipynb",
    "test_zoo.py",
    "test_gradients.py",
]


def pytest_collection_modifyitems(items):
    """The slowest files first, so that workers who share the files end together; long trainings shortened."""
    rank = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    for item in items:
        for notebook, long, short in SHORTENED:
            if item.path.match(notebook):
                item.cell.source = item.cell.source.replace(long, short)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One worker a file; where the tests of a file run for every exercise, one a chapter of them."""
    from xdist.scheduler import LoadFileScheduling

    class ByFileAndChapter(LoadFileScheduling):
        def _split_scope(self, nodeid):
            chapter = re.search(r"\[(\d\d)[._]", nodeid)
            return super()._split_scope(nodeid) + (chapter[0] if chapter else "")

    return ByFileAndChapter(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def no_test_touches_the_real_record(tmp_path_factory):
    """Fixtures of a wider scope than one test write below a temporary folder, too."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("MAML_EDU_HOME", str(home))
        patch.delenv("MAML_EDU_WORK", raising=False)
        patch.delenv("MAML_EDU_DATA", raising=False)
        yield home


@pytest.fixture(autouse=True)
def empty_record(no_test_touches_the_real_record, monkeypatch):
    """Each test starts with an empty record: a folder that is made when the test writes, and not before."""
    home = no_test_touches_the_real_record / str(next(NUMBERS))
    monkeypatch.setenv("MAML_EDU_HOME", str(home))
