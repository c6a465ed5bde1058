"""How lessons are run, recorded and compared: a tiny lesson and a stub in the place of JAX; no framework needed."""

import json
import os

import pytest
import recording

from maml_edu import places

LESSON = """\
# %%
import maml_edu.recorded

# %% [markdown]
# # A lesson

# %%
# %%recorded jax answer
import jax
print("the answer of", jax.__version__, "is", jax.ANSWER)
jax.ANSWER / 4

# %%
# %%recorded jax failing
"""


@pytest.fixture
def lesson(tmp_path):
    """The path of the lesson, and an environment whose JAX is a stub that answers 42."""
    path = tmp_path / "lesson.py"
    path.write_text(LESSON + "print('no failure')\n", encoding="utf-8")
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "jax.py").write_text("__version__ = '0.1.2'\nANSWER = 42\n")
    found = [str(tmp_path / "stub"), str(places.course_root())]
    home = {"IPYTHONDIR": str(tmp_path / "ipython")}
    return path, {**os.environ, **home, "PYTHONPATH": os.pathsep.join(found)}


def test_a_lesson_is_run_recorded_and_compared(lesson, monkeypatch):
    notebook = recording.run(*lesson)
    monkeypatch.setattr(recording, "version_of", lambda package: "0.1.2")
    file = json.loads(recording.as_file(notebook, today="2026-12-01"))
    assert file["date"] == "2026-12-01" and file["versions"] == {"jax": "0.1.2"}
    assert file["cells"]["answer"]["output"] == ["the answer of 0.1.2 is 42", "10.5"]
    assert recording.differences(notebook, file) == []
    file["cells"]["answer"]["output"][0] = "the answer of 9.9.9 is 41"
    file["cells"]["failing"]["source"] = "another"
    file["cells"]["gone"] = file["cells"]["answer"]
    assert recording.differences(notebook, file) == [
        "gone: no cell of the lesson has this name",
        "answer, line 1:\n    recorded  the answer of 9.9.9 is 41\n    now       the answer of 0.1.2 is 42",
        "failing: the cell was changed after it was recorded",
    ]
    del file["cells"]["failing"], file["cells"]["gone"]
    assert recording.differences(notebook, file)[1:] == ["failing: not recorded yet"]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.stderr.write('dear me')", "stderr.*dear me"),
    ],
)
def test_a_cell_that_fails_or_warns_is_named(lesson, cell, says):
    path, env = lesson
    path.write_text(LESSON + cell + "\n", encoding="utf-8")
    with pytest.raises(recording.CellFailed, match=rf"(?s)(failing|lesson\.py).*{says}"):
        recording.results(recording.run(path, env))


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("error 1.23 after 5", "error 1.24 after 5"),
        ("1234.5678 ", "1235.0"),
        ("apart by 6e-16", "apart by 2.1e-15"),
        ("with 2.21.0 on 2026-12-01", "with 2.22.1 on 2027-01-31"),
        ("−0.5 and nan", "-0.5001 and nan"),
        ("a    1.0", "a 1.0"),
    ],
)
def test_lines_that_are_alike(then, now):
    assert recording.apart([then], [now]) == []


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("error 1.23", "error 1.25"),
        ("after 5 steps", "after 6 steps"),
        ("1e-3 apart", "2e-2 apart"),
        ("error 1.2", "error nan"),
        ("0.5", "-0.5"),
        ("the same", "not the same"),
        ("1.0 1.0", "1.0"),
        ("float32", "float64"),
    ],
)
def test_lines_that_are_not_alike(then, now):
    [said] = recording.apart([then], [now])
    assert f"recorded  {then}" in said and f"now       {now}" in said


def test_lines_too_many_or_too_few_are_shown():
    assert recording.apart(["a"], ["a", "b"]) == ["1 lines recorded, 2 now; only printed now: 'b'"]
    assert recording.apart(["a", "b"], ["a"]) == ["2 lines recorded, 1 now; only recorded: 'b'"]
