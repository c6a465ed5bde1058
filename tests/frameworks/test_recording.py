"""How lessons are run, recorded and compared: a tiny lesson and a stub in the place of JAX; no framework needed."""

import json
import os

import pytest
import recording
import tolerance
from nbformat import v4

from maml_edu import places, recorded

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
    output = ["the answer of 0.1.2 is 42", "10.5"]
    record = {"printed": recorded.digest_of(output), "output": output}
    assert file["cells"]["answer"].items() > record.items()
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
    file["versions"]["jax"] = "0.1.3"
    [said, *_] = recording.differences(notebook, file)
    assert said == "versions: {'jax': '0.1.3'} recorded, {'jax': '0.1.2'} now"


def test_pieces_of_what_is_printed_are_one_text_and_what_is_shown_has_its_own_lines():
    piece = lambda text: v4.new_output("stream", name="stdout", text=text)
    shown = v4.new_output("display_data", data={"text/plain": "shown"})
    cell = v4.new_code_cell(
        outputs=[piece("one, "), piece("two"), shown, piece("a\nb"), piece("c")]
    )
    assert recording.printed("pieces", cell) == ["one, two", "shown", "a", "bc"]


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
        ("error 1.234 after 5", "error 1.235 after 5"),
        ("length of the gradient 152.405", "length of the gradient 152.406"),
        ("meta-loss 1.622103", "meta-loss 1.622104"),
        ("meta-loss 4.297655924322", "meta-loss 4.297655924324"),
        ("meta-loss 4.297656059265  float32", "meta-loss 4.297655582428  float32"),
        ("apart by 6e-16", "apart by 2.1e-15"),
        ("largest difference 2e-15", "largest difference 3e-14"),
        ("apart by 9e-08", "apart by 4e-07"),
        ("apart by 9e-07", "apart by 1.1e-06"),
        ("after one outer step 1e-05", "after one outer step 2e-05"),
        ("with 2.21.0 on 2026-12-01", "with 2.22.1 on 2027-01-31"),
        ("−0.5000 and nan", "-0.5001 and nan"),
        ("a    1.0", "a 1.0"),
        ("0.0", "-0.0"),
    ],
)
def test_lines_that_are_alike(then, now):
    assert tolerance.apart([then], [now]) == []


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("error 1.234", "error 1.236"),
        ("after 5 steps", "after 6 steps"),
        ("1e-3 apart", "2e-2 apart"),
        ("plain   9e-08   first-order   1e+00", "plain   9e-08   first-order   0e+00"),
        ("assign inside, apart by 9e-01", "assign inside, apart by 1e+00"),
        ("plain   5e-01", "plain   6e-01"),
        ("after one outer step: 1e-05", "after one outer step: 0e+00"),
        ("after one outer step: 1e-05", "after one outer step: 3e-05"),
        ("in the layer afterwards 0.0", "in the layer afterwards 0.1"),
        ("0.999 in float64: 0.9990000129", "0.999 in float64: 0.9990000000"),
        ("meta-loss 4.297655924322  float64", "meta-loss 4.297656059265  float64"),
        ("meta-loss 4.297656059265  float32", "meta-loss 4.297666059265  float32"),
        ("PyTorch  4.297655924322   4e-16", "PyTorch  4.299955924322   4e-16"),
        ("PyTorch  4.297655924322   4e-16", "PyTorch  4.2999   4e-16"),
        ("apart by 3e-16", "apart by 3e-14"),
        ("apart by 3e-16", "apart by 0e+00"),
        ("largest difference 2e-15", "largest difference 1e-13"),
        ("stop_gradient      1.50", "stop_gradient      1.51"),
        ("length of the gradient 152.405", "length of the gradient 152.5"),
        ("length of the gradient 152.405", "length of the gradient 152.407"),
        ("apart by 6e-16", "apart by 5e-08"),
        ("apart by 3e-07", "apart by 3e-05"),
        ("apart by 2e-07", "apart by 3e-09"),
        ("error 1.2", "error nan"),
        ("0.5", "-0.5"),
        ("1e-200", "-1e-200"),
        ("the same", "not the same"),
        ("1.0 1.0", "1.0"),
        ("float32", "float64"),
        ("2.21.0", "3"),
    ],
)
def test_lines_that_are_not_alike(then, now):
    [said] = tolerance.apart([then], [now])
    assert f"recorded  {then}" in said and f"now       {now}" in said


def test_lines_too_many_or_too_few_are_shown():
    assert tolerance.apart(["a"], ["a", "b"]) == ["1 lines recorded, 2 now; only printed now: 'b'"]
    assert tolerance.apart(["a", "b"], ["a"]) == ["2 lines recorded, 1 now; only recorded: 'b'"]
