"""`check`, beside every exercise: what it prints, what it raises, what it keeps to itself."""

import inspect
import re

import numpy as np
import pytest

import maml_edu.reference as ref
from maml_edu.checks import WrongAnswer, check
from maml_edu.checks import exercise as language
from maml_edu.checks.check import HIDDEN_CASES, hidden_seed
from maml_edu.checks.exercise import draw, exercise, expect
from maml_edu.checks.progress import passed

SEEN = []  # the inputs and expected values of the cases that were drawn


@pytest.fixture(autouse=True)
def scaled_sum():
    """An exercise of its own for every test: 3 Σ x."""

    @exercise("90.scaled_sum", points=3, minutes=7, difficulty=2)
    def scaled_sum(answer, rng):
        """Three times a sum"""
        for x, key in draw(rng, x=lambda rng: rng.uniform(1, 2, 3), key=(10**8, 10**9)):
            SEEN.extend([*x, key, 3 * x.sum()])
            expect(
                answer(x, key), {"sum": 3 * x.sum()}, {"the factor 3 is missing": {"sum": x.sum()}}
            )

    SEEN.clear()
    yield
    del language._exercises["90.scaled_sum"]


@pytest.fixture(autouse=True)
def no_grader(monkeypatch):
    for name in ("NBGRADER_EXECUTION", "MAML_EDU_SEED"):
        monkeypatch.delenv(name, raising=False)


def right(x, key):
    return {"sum": 3 * np.sum(x)}


def stub(x, key):
    raise NotImplementedError()


def stub_with_words(x, key):
    raise NotImplementedError("your code here")


def relies_on_a_stub(x, key):
    return {"sum": 3 * stub(x, key)}


# ------------------------------------------------------------------ right, not done, wrong


def test_a_right_answer_prints_one_line_and_is_remembered(capsys):
    assert check("90.scaled_sum", right) is None
    assert capsys.readouterr().out == "✓ 90.scaled_sum: right (3 points)\n"
    assert list(passed()) == ["90.scaled_sum"]


@pytest.mark.parametrize("answer", [stub, stub_with_words, relies_on_a_stub])
def test_a_stub_is_not_done_yet_and_not_remembered(answer, capsys):
    check("90.scaled_sum", answer)
    said = "○ 90.scaled_sum: not done yet (3 points, about 7 minutes)\n"
    assert capsys.readouterr().out == said and not passed()


def test_a_stub_in_a_cell_whose_text_is_not_at_hand_is_one_too(capsys):
    namespace = {}
    exec("def answer(x, key):\n    raise NotImplementedError()\n", namespace)
    check("90.scaled_sum", namespace["answer"])
    assert "not done yet" in capsys.readouterr().out


def test_a_known_mistake_is_explained_with_inputs_expected_and_got():
    with pytest.raises(WrongAnswer) as caught:
        check("90.scaled_sum", lambda x, key: {"sum": np.sum(x)})
    lines = str(caught.value).splitlines()
    assert lines[0] == "✗ 90.scaled_sum: the factor 3 is missing"
    assert [line.split(":")[0] for line in lines[1:]] == ["inputs", "expected", "got"]
    assert caught.value._render_traceback_() == [str(caught.value)] and not passed()


def test_an_exception_in_the_answer_is_explained_with_its_line():
    def answer(x, key):
        return {"sum": x[7]}

    with pytest.raises(WrongAnswer) as caught:
        check("90.scaled_sum", answer)
    line = inspect.getsourcelines(answer)[1] + 1
    assert caught.value.reason == (
        f"✗ 90.scaled_sum: your function raised IndexError (in `answer`, line {line}: "
        'return {"sum": x[7]})'
    )
    assert "IndexError: index 7 is out of bounds" in caught.value.detail


def test_an_exception_inside_a_library_names_the_learner_s_own_line():
    def answer(x, key):
        return {"sum": np.linalg.inv(np.zeros((2, 2)))}

    with pytest.raises(WrongAnswer, match=r"raised LinAlgError \(in `answer`.*np\.linalg\.inv"):
        check("90.scaled_sum", answer)


def unknown_operation(x, key):
    def total(x):
        return np.einsum("i->", x)

    return {"sum": ref.grad(total)(x)}


def unknown_operation_of_torch(x, key):
    import torch

    return {"sum": torch.nn.Module()(1.0)}  # torch's own `raise NotImplementedError`


@pytest.mark.parametrize("answer", [unknown_operation, unknown_operation_of_torch])
@pytest.mark.parametrize("grading", [False, True])
def test_a_library_s_not_implemented_error_is_not_taken_for_a_stub(answer, grading, monkeypatch):
    if grading:
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(
        WrongAnswer, match=r"your function raised NotImplementedError \(in `\w+`, line \d+: return"
    ):
        check("90.scaled_sum", answer)


@pytest.mark.parametrize("answer", [None, 3.0, "right", np.ones(3)])
def test_anything_but_a_function_is_refused(answer):
    with pytest.raises(WrongAnswer, match="give the function itself, not"):
        check("90.scaled_sum", answer)


def test_a_wrong_number_of_parameters_is_explained():
    with pytest.raises(WrongAnswer, match="your function raised TypeError") as caught:
        check("90.scaled_sum", lambda x: 0.0)
    assert "takes 1 positional argument but 2 were given" in caught.value.detail


def test_a_result_that_is_not_plain_data_is_explained():
    with pytest.raises(WrongAnswer, match="the result is not plain data") as caught:
        check("90.scaled_sum", lambda x, key: {"sum": object()})
    assert "the result['sum'] is of type object" in caught.value.detail


def test_keyboard_interrupt_is_not_an_answer():
    def answer(x, key):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("90.scaled_sum", answer)


def test_an_unknown_exercise_is_refused_with_near_names():
    with pytest.raises(
        ValueError, match=r"no exercise '04\.meta_slop'\. Did you mean 04\.meta_slope"
    ):
        check("04.meta_slop", right)


# ------------------------------------------------------------------ hidden


def test_a_hidden_check_is_silent_when_right_and_leaves_no_record(capsys):
    check("90.scaled_sum", right, hidden=True)
    assert capsys.readouterr().out == "" and not passed()
    assert len(SEEN) == 5 * HIDDEN_CASES


def test_a_hidden_check_of_a_stub_is_silent_in_a_notebook(capsys):
    check("90.scaled_sum", stub, hidden=True)
    assert capsys.readouterr().out == ""


def raises_the_inputs(x, key):
    raise ValueError(f"{x.tolist()} {key}")


def looks_up_an_input(x, key):
    return {"sum": {}[key]}


TELLTALES = {
    "wrong value": lambda x, key: {"sum": 0.0},
    "known mistake": lambda x, key: {"sum": np.sum(x)},
    "wrong shape": lambda x, key: {"sum": x},
    "wrong sign": lambda x, key: {"sum": -3 * np.sum(x)},
    "nan": lambda x, key: {"sum": x[0] * np.nan},
    "text": lambda x, key: str((x, key)),
    "inputs as keys": lambda x, key: {str(x.tolist()): 1.0, key: 2.0},
    "inputs in an error": raises_the_inputs,
    "an input that is no key": looks_up_an_input,
    "inputs around an object": lambda x, key: {str(key): object()},
    "inputs as an odd key": lambda x, key: {(float(x[0]), key): 1.0},
    "none": lambda x, key: None,
}


@pytest.mark.parametrize("case", TELLTALES)
def test_a_hidden_message_holds_neither_inputs_nor_expected_values(case):
    with pytest.raises(WrongAnswer) as caught:
        check("90.scaled_sum", TELLTALES[case], hidden=True)
    message = str(caught.value)
    assert caught.value.detail == "" and message.startswith("✗ 90.scaled_sum: ")
    for value in SEEN:
        assert f"{value:.4g}" not in message and str(value) not in message
    SEEN.clear()
    with pytest.raises(WrongAnswer) as visible:  # whereas the learner's own check shows them
        check("90.scaled_sum", TELLTALES[case])
    assert str(SEEN[3]) in str(visible.value)
    assert visible.value.reason == caught.value.reason


def test_no_error_that_python_shows_beneath_a_hidden_one_holds_inputs():
    """nbgrader's feedback prints chained exceptions as well."""
    with pytest.raises(WrongAnswer) as caught:
        check("90.scaled_sum", raises_the_inputs, hidden=True)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_hidden_cases_depend_on_the_secret_and_on_the_exercise(monkeypatch):
    default = hidden_seed("04.a")
    assert default == hidden_seed("04.a") != hidden_seed("04.b")
    monkeypatch.setenv("MAML_EDU_SEED", "autumn, 3rd group")
    assert hidden_seed("04.a") not in (default, hidden_seed("04.b"))
    check("90.scaled_sum", right, hidden=True)
    first = SEEN.copy()
    monkeypatch.setenv("MAML_EDU_SEED", "winter")
    SEEN.clear()
    check("90.scaled_sum", right, hidden=True)
    assert not set(first) & set(SEEN)


def test_visible_cases_are_the_same_for_everybody_and_not_among_the_hidden_ones(monkeypatch):
    check("90.scaled_sum", right)
    first = SEEN.copy()
    monkeypatch.setenv("MAML_EDU_SEED", "another")
    SEEN.clear()
    check("90.scaled_sum", right)
    assert SEEN == first
    SEEN.clear()
    check("90.scaled_sum", right, hidden=True)
    assert not set(first) & set(SEEN)


# ------------------------------------------------------------------ under nbgrader


@pytest.mark.parametrize("hidden", [False, True])
def test_under_nbgrader_a_stub_raises_so_that_it_earns_nothing(hidden, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    for answer in (stub, stub_with_words, relies_on_a_stub):
        with pytest.raises(NotImplementedError):
            check("90.scaled_sum", answer, hidden=hidden)


def test_under_nbgrader_nothing_is_recorded(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    check("90.scaled_sum", right)
    assert re.match("✓", capsys.readouterr().out) and not passed()


def test_an_answer_that_ends_the_program_is_explained():
    def quits(theta, c, a, alpha):
        raise SystemExit

    with pytest.raises(WrongAnswer, match="ends the program"):
        check("04.meta_slope", quits)
