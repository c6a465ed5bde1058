"""An answer that calls what its exercise is to write is told so, by the learner's check and by the judge."""

import time

import pytest

import maml_edu.reference as ref
from maml_edu import places
from maml_edu.checks import check
from maml_edu.checks.exercise import catalogue, find, load_chapter, right_answers
from maml_edu.checks.library import LONGEST, called, refusal, sources_of
from maml_edu.grading.submission import read

ADAPT = ("maml_edu.reference.adapt",)


@pytest.fixture(autouse=True)
def nobody_s_record(tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_HOME", str(tmp_path))


@pytest.mark.parametrize(
    "cells",
    [
        ["import maml_edu.reference as ref", "def f(x):\n    return ref.adapt(x)"],
        ["import maml_edu.reference", "def f(x):\n    return maml_edu.reference.adapt(x)"],
        ["from maml_edu import reference as r", "def f(x):\n    return [r.adapt(y) for y in x]"],
        ["from maml_edu.reference import adapt as mine", "f = mine"],
        ["from maml_edu.reference.maml import adapt", "f = lambda x: adapt(x)"],
        ["def f(x):\n    from maml_edu.reference import adapt\n    return adapt(x)"],
        ["from maml_edu.reference import *", "def f(x):\n    return adapt(x)"],
        ["import maml_edu.reference as r\n%time 1", "def h(x):\n    return r.adapt(x)", "def f(x): return h(x)"],
        ["import maml_edu.reference as ref\ng = ref.adapt", "h = g", "def f(x):\n    return h(x)"],
        ["import maml_edu.reference as ref", "class A:\n    go = ref.adapt", "def f(x):\n    return A.go(x)"],
    ],
)  # fmt: skip
def test_a_call_is_found_however_it_is_written(cells):
    assert "write what `maml_edu.reference" in refusal(ADAPT, cells, "f")


@pytest.mark.parametrize(
    "cells",
    [
        ["import maml_edu.reference as ref", "def f(x):\n    return ref.grad(x)"],
        ["import maml_edu.reference as ref", "def f(x):\n    return x", "def g(x):\n    return ref.adapt(x)"],
        ["from maml_edu.reference import grad", "def adapt(x): return x", "def f(x): return adapt(x)"],
        ["from maml_edu.reference import adapt", "def adapt(x): return x", "def f(x): return adapt(x)"],
        ["import maml_edu.reference as ref\nphi = ref.adapt(1)", "def f(x):\n    phi = x\n    return phi"],
        ["import maml_edu.reference as ref\nx = ref.adapt(1)", "def f(x):\n    return [y(x) for y in x]"],
        ["import mine as ref", "def f(x):\n    return ref.adapt(x)"],
        ["import maml_edu.reference as ref", "def f(x):\n    'not with ref.adapt'\n    # ref.adapt\n    return x"],
        ["import maml_edu.reference as ref", "def f(x:\n    return ref.adapt(x)"],
        [],
    ],
)  # fmt: skip
def test_an_answer_of_one_s_own_is_not_accused(cells):
    assert refusal(ADAPT, cells, "f") == ""


def test_a_package_may_be_forbidden_as_a_whole():
    cells = ["import maml_edu.pytorch as m", "def f(x):\n    return m.MAML(x).anything"]
    assert refusal(("maml_edu.pytorch",), cells, "f") and not refusal(ADAPT, cells, "f")
    assert not refusal((), cells, "f")


def test_no_notebook_keeps_it_busy():
    names = "".join(f"a{n} = " for n in range(20_000))
    start = time.monotonic()
    assert called(["x" * (LONGEST + 1)], "f") == set()
    called([f"{names}f = {' + '.join(f'a{n}' for n in range(300))}"], "f")
    called(["f = " + "(" * 50_000, "f = " + "a." * 20_000 + "b", "f = " + "-" * 50_000 + "1"], "f")
    assert time.monotonic() - start < 30


def helper(loss, params, x, y, rate, steps):
    return ref.adapt(loss, params, x, y, rate, steps)


def inner_loop(loss, params, support_x, support_y, inner_lr, inner_steps):
    pairs = zip(support_x, support_y, strict=True)
    return [helper(loss, params, x, y, inner_lr, inner_steps) for x, y in pairs]


def test_the_learner_s_own_check_says_it_too():
    with pytest.raises(AssertionError, match="write what `maml_edu.reference.adapt` does"):
        check("07.inner_loop", inner_loop)
    assert refusal(ADAPT, *sources_of(ref.adapt))
    assert not refusal(ADAPT, *sources_of(ref.grad)) and sources_of(print)[1] == "print"


def test_what_is_forbidden_is_there():
    """A name that is misspelt, or has moved, forbids nothing."""
    import importlib

    forbidden = {one for item in catalogue() for one in item.forbids}
    assert len(forbidden) >= 5
    for one in forbidden:
        try:
            importlib.import_module(one)
        except ModuleNotFoundError:
            package, _, name = one.rpartition(".")
            assert callable(getattr(importlib.import_module(package), name))
    assert find("08.repaired").forbids and not find("04.meta_slope").forbids


@pytest.mark.parametrize("chapter", sorted({item.id[:2] for item in catalogue() if item.forbids}))
def test_no_model_answer_and_no_unusual_right_one_calls_what_is_forbidden(chapter):
    (folder,) = [name for name in places.chapters() if name[:2] == chapter]
    solution = read(places.course_root() / "solutions" / f"{folder}.ipynb")
    sources = [cell.source for cell in solution.cells if cell.kind == "code"]
    for item in load_chapter(folder):
        assert refusal(item.forbids, sources, item.name) == ""
    for case in right_answers(folder):
        words = refusal(find(case.exercise).forbids, *sources_of(case.function))
        assert words == "", (case.exercise, case.why)
