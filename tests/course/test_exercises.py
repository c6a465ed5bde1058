"""Every exercise, its stub, its solution and its wrong answers: as a learner meets them.

Cells run one after the other in one namespace, which is quick; nbval runs the same notebooks in
real kernels, `test_nbgrader.py` runs them as a teacher does.
"""

import ast
import contextlib
import io
import linecache
import re
import sys
from functools import cache

import numpy as np
import pytest
from course_files import (
    built_paths,
    exercise_ids,
    right_answer_places,
    source,
    wrong_answer_places,
)

from maml_edu.checks import check
from maml_edu.checks.catalogue import Named
from maml_edu.checks.check import PUBLIC_SEED, local_answer, seed_of
from maml_edu.checks.exercise import (
    VISIBLE_CASES,
    WrongAnswer,
    expect,
    find,
    judge,
    load_chapter,
    right_answers,
    wrong_answers,
)

SEEDS = ("autumn", "1859")
LINE = re.compile(r"difficulty (\d)/5 · (\d+) minutes? · (\d+) points?", re.I)
BLANK = re.compile(r"^[ ]*# YOUR CODE HERE\n[ ]*raise NotImplementedError\(\)", re.M)
SOLUTION = re.compile(r"^[^\n]*### BEGIN SOLUTION.*?### END SOLUTION[^\n]*", re.M | re.S)
HIDDEN = re.compile(r"\n?[^\n]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*", re.S)


@pytest.fixture(autouse=True)
def nobody_s_record(tmp_path, monkeypatch):
    """Checks record what passed: not in the record of whoever runs the tests."""
    monkeypatch.setenv("MAML_EDU_HOME", str(tmp_path))
    for name in ("NBGRADER_EXECUTION", "MAML_EDU_SEED"):
        monkeypatch.delenv(name, raising=False)


def stub_and_solution(chapter, read):
    _, stub, solution = built_paths(chapter)
    return read(stub), read(solution)


def mark(cell):
    return cell.metadata.get("nbgrader", {})


def by_grade_id(notebook):
    return {mark(cell).grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


def run(notebook, name):
    """(what the code cells printed; the namespace they leave). Raises what a cell raises."""
    printed, namespace = io.StringIO(), {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed):
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                run_cell(cell.source, f"<{name}, cell {number + 1}>", namespace)
    return printed.getvalue(), namespace


def run_cell(text, filename, namespace):
    """Runs one cell; its lines stay findable for tracebacks and `inspect`, as in IPython."""
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), namespace)


@cache
def left_blank(path, read):
    """`run` of a stub, once a chapter."""
    return run(read(path), path.stem)


@cache
def solved(path, read):
    """`run` of a solution notebook without what only trains and draws, once a chapter.

    nbval and nbgrader run all of it.
    """
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code" and not mark(cell):
            cell.source = definitions(cell.source)
    return run(notebook, path.stem)


DEFINITIONS = ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef


def definitions(text):
    """The imports, functions and classes of a cell."""
    body = [node for node in ast.parse(text).body if isinstance(node, DEFINITIONS)]
    return ast.unparse(ast.Module(body, []))


# ---------------------------------------------------------------- what a chapter has


def test_a_chapter_has_three_exercises_and_each_that_it_registers_is_seen_here(exercise_chapter):
    registered = [item.id for item in load_chapter(exercise_chapter)]
    assert registered == exercise_ids(exercise_chapter)
    assert len(registered) >= 3
    assert all(id.startswith(exercise_chapter[:2] + ".") for id in registered)


def test_every_answer_that_is_registered_is_seen_here(exercise_chapter):
    cases = wrong_answers(exercise_chapter)
    assert len(cases) == len(wrong_answer_places(exercise_chapter))
    assert len(right_answers(exercise_chapter)) == len(right_answer_places(exercise_chapter))


def test_an_exercise_has_eight_wrong_answers_and_three_unusual_right_ones(item):
    chapter, id = item
    wrong = [place[0] for place in wrong_answer_places(chapter)].count(id)
    right = [place[0] for place in right_answer_places(chapter)].count(id)
    assert (wrong >= 8, right >= 3) == (True, True), f"{wrong} wrong ones, {right} right ones"


def test_an_exercise_has_an_answer_cell_and_a_check_cell_of_its_points(item, read):
    chapter, id = item
    _, notebook = stub_and_solution(chapter, read)
    name, cells = id.split(".")[1], by_grade_id(notebook)
    assert {name, f"check_{name}"} <= set(cells), f"grade_ids: {list(cells)}"
    answer, judge = mark(cells[name]), mark(cells[f"check_{name}"])
    assert answer.solution and not answer.grade and not answer.locked
    assert judge.grade and judge.locked and not judge.solution
    assert judge.points == find(id).points
    assert re.search(
        rf"^\s*check\([\"']{re.escape(id)}[\"'], {name}\)$", cells[f"check_{name}"].source, re.M
    )
    assert re.search(rf"^(def {name}\(|{name} = )", cells[name].source, re.M)


def test_no_cell_is_graded_that_no_exercise_knows(exercise_chapter, read):
    names = [id.split(".")[1] for id in exercise_ids(exercise_chapter)]
    known = {f"check_{name}" for name in names} | {f"written_{exercise_chapter[:2]}"}
    _, notebook = stub_and_solution(exercise_chapter, read)
    assert {id for id, cell in by_grade_id(notebook).items() if mark(cell).grade} == known


def test_an_exercise_says_difficulty_minutes_points_and_folds_two_hints(item, read):
    chapter, id = item
    _, notebook = stub_and_solution(chapter, read)
    text = around(notebook, id.split(".")[1])
    known = find(id)
    assert LINE.findall(text) == [(str(known.difficulty), str(known.minutes), str(known.points))]
    hints = re.findall(r"<summary>[^<]*hint", text, re.I)
    assert len(hints) >= 2 and text.count("<details") >= 2, f"{len(hints)} hints are folded"


def around(notebook, name):
    """The markdown of one exercise: from the cell with its line of points to the next such cell."""
    cells = notebook.cells
    place = next(i for i, cell in enumerate(cells) if mark(cell).get("grade_id") == name)
    starts = [i for i, c in enumerate(cells) if c.cell_type == "markdown" and LINE.search(c.source)]
    first = max((i for i in starts if i < place), default=place)
    last = min((i for i in starts if i > place), default=len(cells))
    own = [c for c in cells[first:last] if c.cell_type == "markdown" and not mark(c)]
    return "\n".join(cell.source for cell in own)


def test_a_chapter_has_one_written_question_with_a_rubric(exercise_chapter, read):
    stub, solution = stub_and_solution(exercise_chapter, read)
    written = [c for c in solution.cells if mark(c).get("grade") and mark(c).get("solution")]
    assert [mark(cell).grade_id for cell in written] == [f"written_{exercise_chapter[:2]}"]
    assert written[0].cell_type == "markdown" and mark(written[0]).points > 0
    assert "rubric" in written[0].source.lower()
    assert "YOUR ANSWER HERE" in by_grade_id(stub)[mark(written[0]).grade_id].source
    assert "rubric" not in by_grade_id(stub)[mark(written[0]).grade_id].source.lower()


def test_exercises_hold_no_widgets(exercise_chapter, read):
    for cell in read(built_paths(exercise_chapter)[1]).cells:
        code = cell.source if cell.cell_type == "code" else ""
        assert not re.search(r"ipywidgets|anywidget|\binteract(ive)?\(", code), code


# ---------------------------------------------------------------- stub and solution


def test_stub_and_solution_differ_only_inside_solution_and_hidden_regions(exercise_chapter, read):
    stub, solution = stub_and_solution(exercise_chapter, read)
    assert [cell.id for cell in stub.cells] == [cell.id for cell in solution.cells]
    for blank, full in zip(stub.cells, solution.cells, strict=True):
        assert mark(blank) == mark(full)
        if mark(full).get("solution") and full.cell_type == "code":
            assert BLANK.sub("", blank.source) == SOLUTION.sub("", full.source)
        elif not mark(full).get("solution"):
            assert blank.source == HIDDEN.sub("", full.source)


def test_a_stub_holds_no_line_of_the_solution(exercise_chapter, read):
    text = "\n".join(cell.source for cell in read(built_paths(exercise_chapter)[1]).cells)
    assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN)|hidden=True", text)
    written = source(exercise_chapter, "exercises.py").read_text(encoding="utf-8")
    assert BLANK.search(text) and len(BLANK.findall(text)) == len(SOLUTION.findall(written))


def test_a_stub_runs_green_and_says_of_each_exercise_that_it_is_not_done(exercise_chapter, read):
    printed, _ = left_blank(built_paths(exercise_chapter)[1], read)
    said = re.findall(r"^○ (\S+): not done yet", printed, re.M)
    assert said == exercise_ids(exercise_chapter) and "✓" not in printed


def test_a_stub_under_nbgrader_fails_in_each_check_so_that_blanks_earn_nothing(
    exercise_chapter, read, monkeypatch
):
    stub, _ = stub_and_solution(exercise_chapter, read)
    _, namespace = left_blank(built_paths(exercise_chapter)[1], read)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    for cell in stub.cells:
        if mark(cell).get("grade") and cell.cell_type == "code":
            with pytest.raises(NotImplementedError):
                run_cell(cell.source, "<check>", namespace)


def test_a_solution_runs_green_and_every_check_says_right(exercise_chapter, read):
    printed, _ = solved(built_paths(exercise_chapter)[2], read)
    said = re.findall(r"^✓ (\S+): right", printed, re.M)
    assert said == exercise_ids(exercise_chapter) and "○" not in printed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_solution_passes_the_hidden_check_whatever_the_seed(item, read, monkeypatch, seed):
    chapter, id = item
    _, namespace = solved(built_paths(chapter)[2], read)
    monkeypatch.setenv("MAML_EDU_SEED", seed)
    check(id, namespace[id.split(".")[1]], hidden=True)


# ---------------------------------------------------------------- wrong answers


def the_wrong(wrong):
    """The registered wrong answer that `wrong` points at."""
    chapter, id, number, name = wrong
    case = [case for case in wrong_answers(chapter) if case.exercise == id][number]
    assert case.function.__name__ == name
    return case


def test_the_phrase_of_a_wrong_answer_names_its_mistake(wrong):
    """That the check says so: see below, `accused of what they did`."""
    case = the_wrong(wrong)
    assert len(case.says.split()) >= 2 and "has the wrong value" not in case.says


def test_a_hidden_check_shows_neither_inputs_nor_what_was_expected(item, monkeypatch):
    chapter, id = item
    monkeypatch.setenv("MAML_EDU_SEED", SEEDS[0])
    case = next(case for case in wrong_answers(chapter) if case.exercise == id)
    with pytest.raises(WrongAnswer) as caught:
        check(id, case.function, hidden=True)
    assert case.says in caught.value.reason and caught.value.detail == ""
    assert not re.search(r"^(inputs|expected|got)\b", str(caught.value), re.M)


def without_the_last(part):
    return dict(list(part.items())[:-1])


def with_a_hole(part):
    return part | {list(part)[-1]: None}


@pytest.mark.parametrize("spoil", [without_the_last, with_a_hole])
def test_a_hidden_check_shows_no_key_of_a_dict_for_it_may_have_been_drawn(item, spoil):
    chapter, id = item
    right = next(case for case in right_answers(chapter) if case.exercise == id)
    keys: set[str] = set()
    with pytest.raises(WrongAnswer) as caught:
        check(id, lambda *args: spoilt(right.function(*args), spoil, keys), hidden=True)
    assert not any(repr(key) in str(caught.value) for key in keys)


def spoilt(value, spoil, keys):
    """`value` with its last dict spoilt, whose keys are noted; None where it has none."""
    if isinstance(value, dict):
        keys.update(value)
        return spoil(value)
    if isinstance(value, (list, tuple)):
        parts = [spoilt(part, spoil, keys) if isinstance(part, dict) else part for part in value]
        return parts if keys else None
    return None


def test_wrong_answers_to_one_exercise_are_told_apart(exercise_chapter):
    """Each names a misconception of its own: one phrase for all would explain nothing."""
    said = [(case.exercise, case.says) for case in wrong_answers(exercise_chapter)]
    assert len(set(said)) == len(said), "two wrong answers to one exercise have the same phrase"


# ---------------------------------------------------------------- accused of what they did


def agrees(got, value, rtol):
    """Whether an answer is what a mistake gives: a comparison of its own, apart from that under test."""
    if isinstance(value, dict):
        same = isinstance(got, dict) and got.keys() == value.keys()
        return same and all(agrees(got[k], value[k], rtol) for k in value)
    if isinstance(value, (list, tuple)):
        same = isinstance(got, (list, tuple)) and len(got) == len(value)
        return same and all(agrees(g, v, rtol) for g, v in zip(got, value, strict=True))
    exact = isinstance(value, (str, bool, type(None)))
    if exact or isinstance(got, (dict, list, tuple, type(None))):
        return type(got) is type(value) and got == value
    got, value = np.asarray(got), np.asarray(value)
    if got.shape != value.shape or (value.dtype.kind in "biu") != (got.dtype.kind in "biu"):
        return False
    exact = value.dtype.kind in "biu"
    near = 0.0 if exact else rtol * np.max(np.abs(value), initial=0.0) + 1e-9
    return bool(np.all(np.abs(got.astype(float) - value) <= near))


def agreements(item, answer, seed, cases, monkeypatch):
    """(the WrongAnswer; the mistakes with which the answer agreed in all cases that were compared)."""
    seen = []

    def watched(got, expected, mistakes=None, **how):
        rtol, mistakes = how.get("rtol", 1e-5), shared(mistakes or {})
        seen.append((how.get("what"), got, agrees(got, expected, rtol), mistakes, rtol))
        expect(got, expected, mistakes, **how)

    with monkeypatch.context() as patch, pytest.raises(WrongAnswer) as caught:
        patch.setattr(sys.modules[item.check.__module__], "expect", watched)
        judge(item, local_answer(answer, item), seed, cases)
    first = next((one for one in seen if not one[2]), None)
    fitting = set(first[3]()) if first else set()
    for what, got, right, mistakes, rtol in sorted(seen, key=lambda one: one is not first):
        if fitting and what == first[0]:  # a mistake that is not given in a case is right there
            values = mistakes()
            absent = {message for message in fitting if message not in values and right}
            fitting = absent | {
                message
                for message in fitting & values.keys()
                if agrees(got, called(values[message]), rtol)
            }
    return caught.value, fitting


def shared(mistakes):
    """What returns these mistakes; whatever is a function is called once, by whoever comes first."""

    @cache
    def given():
        return {
            message: cache(value) if is_lazy(value) else value
            for message, value in called(mistakes).items()
        }

    return given


def is_lazy(value):
    return callable(value) and not isinstance(value, Named)


def called(value):
    return value() if is_lazy(value) else value


FEW = 4  # hidden cases, of which a judge takes more
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def test_a_reason_names_the_mistakes_that_agree_in_every_case_and_nothing_that_was_drawn(
    wrong, monkeypatch
):
    """Numbers in it are the author's own, and stand in the text of checks.py."""
    case, reasons = the_wrong(wrong), set()
    item = find(case.exercise)
    for seed, cases in (
        (PUBLIC_SEED, VISIBLE_CASES),
        (seed_of(SEEDS[0], item.id), FEW),
    ):
        told, fitting = agreements(item, case.function, seed, cases, monkeypatch)
        assert set(told.mistakes) == fitting
        assert all(message in told.reason for message in told.mistakes)
        assert case.says in told.reason
        reasons.add(told.reason)
    assert len(reasons) == 1
    own = re.sub(r"(float|int)\d+|tuple of \d|\d parts|\[\d\]", "", reasons.pop())
    written = source(wrong[0], "checks.py").read_text(encoding="utf-8")
    assert set(NUMBER.findall(own)) <= set(NUMBER.findall(written))


# ---------------------------------------------------------------- unusual right answers


def the_unusual(unusual):
    chapter, id, number, name = unusual
    case = [case for case in right_answers(chapter) if case.exercise == id][number]
    assert case.function.__name__ == name and case.why
    return case


def test_an_unusual_right_answer_is_right(unusual, capsys):
    case = the_unusual(unusual)
    check(case.exercise, case.function)
    assert f"✓ {case.exercise}: right" in capsys.readouterr().out


def test_an_unusual_right_answer_passes_the_hidden_check_too(unusual, monkeypatch):
    case = the_unusual(unusual)
    monkeypatch.setenv("MAML_EDU_SEED", SEEDS[0])
    check(case.exercise, case.function, hidden=True)
