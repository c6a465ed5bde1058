"""What a run of a check comes to: only mistakes that were made are named, and all of them."""

import warnings

import numpy as np
import pytest
import torch

from maml_edu.checks import exercise as language
from maml_edu.checks.check import check, local_answer, words_of
from maml_edu.checks.exercise import (
    WrongAnswer,
    draw,
    exercise,
    expect,
    find,
    judge,
    note_changes,
    right_answer,
    wrong_answer,
)
from maml_edu.checks.verdict import Run


@pytest.fixture(autouse=True)
def registered():
    """Exercises that a test registers are forgotten after it."""
    yield
    for id in [id for id in language._exercises if id.startswith("9")]:
        del language._exercises[id]


def told(check_function, answer, cases=5, interface="plain"):
    """The WrongAnswer of `judge`, for an exercise made of this check function."""
    exercise("90.own", points=1, minutes=1, difficulty=1, interface=interface)(check_function)
    with pytest.raises(WrongAnswer) as caught:
        judge(find("90.own"), local_answer(answer, find("90.own")), seed=0, cases=cases)
    return caught.value


def numbers(*rows):
    """A check of f(x) = x² on given x, with mistakes (named functions)."""

    def check_function(answer, rng):
        for x in rows:
            mistakes = {"this is twice x": 2 * x, "this is x³": lambda x=x: x**3}
            expect(answer(x), x**2, mistakes)

    return check_function


# ------------------------------------------------------------------ what is named


def test_a_mistake_is_named_when_the_answer_agrees_with_it_in_every_case():
    error = told(numbers(2.0, 3.0, 5.0), lambda x: 2 * x)
    assert error.reason == "this is twice x" and error.mistakes == ("this is twice x",)
    assert "x = 3" in error.detail  # the first case that differs: 2 · 2 = 2²


def test_a_mistake_that_the_answer_made_once_is_not_named():
    error = told(numbers(3.0, 5.0), lambda x: {3.0: 6.0, 5.0: 11.0}[x])
    assert error.reason == "your answer has the wrong value" and error.mistakes == ()


def test_a_case_in_which_the_answer_is_right_acquits_of_what_would_be_wrong_there():
    for rows in ((3.0, 5.0), (5.0, 3.0)):
        error = told(numbers(*rows), lambda x: 6.0 if x == 3.0 else x**2)
        assert error.reason == "your answer has the wrong value"


def test_all_mistakes_that_fit_every_case_are_named():
    def check_function(answer, rng):
        for x in (3.0, 5.0):
            expect(answer(x), x, {"twice": 2 * x, "three times": 3 * x, "the sum": x + x})

    error = told(check_function, lambda x: 2 * x)
    assert error.reason == "twice; or: the sum" and error.mistakes == ("twice", "the sum")


def test_a_run_ends_as_soon_as_nothing_fits_and_goes_on_while_something_does():
    calls = []

    def answer(x):
        calls.append(x)
        return np.ones((2, 2)) if len(calls) == 1 else 0.0

    assert "should be a number" in told(numbers(2.0, 3.0, 5.0), answer).reason and len(calls) == 1
    calls.clear()
    told(numbers(2.0, 3.0, 5.0), lambda x: calls.append(x) or 2 * x)
    assert len(calls) == 3


def test_mistakes_are_computed_once_a_case_and_only_of_an_answer_that_differs():
    computed = []

    def check_function(answer, rng):
        for x in (2.0, 3.0, 5.0):
            expect(answer(x), x**2, lambda x=x: computed.append(x) or {"this is twice x": 2 * x})

    error = told(check_function, lambda x: 2 * x)
    assert error.reason == "this is twice x" and sorted(computed) == [2.0, 3.0, 5.0]
    computed.clear()
    exercise("90.own", points=1, minutes=1, difficulty=1)(check_function)
    judge(find("90.own"), local_answer(lambda x: x**2, find("90.own")), seed=0)
    assert computed == []


def test_a_mistake_of_another_shape_is_named_all_the_same():
    def check_function(answer, rng):
        for x in (np.ones((2, 3)), np.zeros((4, 3))):
            expect(answer(x), x, {"rows and columns are exchanged": x.T})

    assert told(check_function, lambda x: x.T).reason == "rows and columns are exchanged"


def test_a_guess_at_the_cause_holds_in_every_case_or_is_not_made():
    def check_function(answer, rng):
        for x in (np.array([1.0, 2.0]), np.array([3.0, 5.0])):
            expect(answer(x), x)

    assert "wrong sign" in told(check_function, lambda x: -x).reason
    once = told(check_function, lambda x: -x if x[0] == 1 else x + 1)
    assert once.reason == "your answer has the wrong value"


def test_parts_are_told_apart_by_what_they_are_called():
    def check_function(answer, rng):
        for x in (2.0, 3.0):
            first, second = answer(x)
            expect(first, x, {"the first is doubled": 2 * x}, what="the first part")
            expect(second, x, {"the second is doubled": 2 * x}, what="the second part")

    assert told(check_function, lambda x: (x, 2 * x)).reason == "the second is doubled"
    assert told(check_function, lambda x: (2 * x, 3 * x)).reason == "the first is doubled"


def test_what_a_check_says_itself_after_a_difference_does_not_hide_it():
    def check_function(answer, rng):
        got = answer(3.0)
        expect(got, 9.0, {"this is twice x": 6.0})
        raise WrongAnswer("made for right answers alone")

    assert told(check_function, lambda x: 6.0).reason == "this is twice x"
    assert told(check_function, lambda x: 9.0).reason == "made for right answers alone"


def test_an_exception_in_a_later_case_is_told_and_a_stub_there_is_no_excuse():
    def answer(x):
        return 2 * x if x < 5 else [][0]

    assert "raised IndexError" in told(numbers(3.0, 5.0), answer).reason

    def half(x):
        if x > 4:
            raise NotImplementedError
        return 2 * x

    assert told(numbers(3.0, 5.0), half).reason == "this is twice x"


# ------------------------------------------------------------------ the message


def test_words_come_first_then_the_inputs_under_the_arguments_names_and_short():
    def check_function(answer, rng):
        for w in draw(rng, secret_name=lambda rng: rng.normal(size=(20, 30))):
            expect(answer({"w": w}, 3), w.sum())

    def answer(params, steps):
        return params["no such key"]

    lines = str(told(check_function, answer)).splitlines()
    assert lines[0].startswith("your function raised KeyError")
    assert lines[1] == "KeyError: 'no such key'"
    assert lines[2].startswith("inputs:   params = {'w': array of shape (20, 30): ")
    assert lines[2].endswith("steps = 3") and len(lines[2]) < 160
    assert "secret_name" not in str(told(check_function, lambda params, steps: 0.0))


def test_the_names_are_those_of_the_stub_whatever_the_answer_calls_them():
    with pytest.raises(WrongAnswer) as caught:
        check("09.memory_law", lambda a, b, c, d: (0, 0))
    assert "inputs:   inner_steps = " in caught.value.detail
    assert "step_graph = " in caught.value.detail and "swap" not in caught.value.detail


def test_arguments_without_names_are_counted():
    assert "inputs:   argument 1 = 2" in told(numbers(2.0), lambda *x: 0.0).detail


class Wordless(Exception):
    def __str__(self):
        raise ValueError("no words")

    __repr__ = __str__


class Rude(BaseException):
    def __str__(self):
        raise SystemExit


@pytest.mark.parametrize("kind", [Wordless, Rude])
def test_an_exception_that_cannot_be_printed_stays_inside_the_check(kind):
    def answer(x):
        raise kind

    error = told(numbers(2.0), answer)
    assert error.reason.startswith(f"your function raised {kind.__name__}")
    assert "its own __str__ raises" in error.detail and "inputs:   x = 2" in error.detail
    assert words_of(ValueError("plain")) == "plain"


def test_a_key_that_cannot_be_printed_stays_inside_the_check():
    class Key:
        def __repr__(self):
            raise ValueError

    assert "your function" in told(numbers(2.0), lambda x: {Key(): 1.0}).reason


# ------------------------------------------------------------------ arguments changed in place


def sums(answer, rng):
    for x in draw(rng, x=lambda rng: rng.normal(size=3)):
        params = {"w": x, "more": [x.copy()]}
        expect(answer(params, x.copy(), 3), x.sum(), {"this is the mean": x.mean()})


def in_the_dict(params, x, n):
    params["w"] += 1
    return x.sum()


def deep_inside(params, x, n):
    params["more"][0][:] = 0
    return x.sum()


def takes_out(params, x, n):
    params.pop("w")
    return x.sum()


def appends(params, x, n):
    params["more"].append(x)
    return x.sum()


@pytest.mark.parametrize("answer", [in_the_dict, deep_inside, takes_out, appends])
@pytest.mark.parametrize("interface", ["plain", "torch"])
def test_a_right_answer_that_changes_its_arguments_in_place_is_told_so(answer, interface):
    error = told(sums, answer, interface=interface)
    assert error.reason.startswith("your function changes `params` in place")
    assert error.detail.startswith("inputs:   params = ") and error.mistakes == ()


def test_all_arguments_that_are_changed_are_told_and_so_is_the_mistake():
    def answer(params, x, n):
        params["w"] *= 2
        x[0] -= 1e-3
        return (x + 1e-3 * (np.arange(3) == 0)).mean()

    reason = told(sums, answer).reason
    assert reason.startswith("this is the mean. Besides, your function changes `params` and `x`")


def test_what_was_put_back_to_rounding_or_replaced_is_not_changed():
    def puts_back(params, x, n):
        x += 0.1
        x -= 0.1
        params = {"w": params["w"] * 2}
        n += 1
        return x.sum()

    def on_tensors(params, x, n):
        x = x.requires_grad_()
        return x.sum() + 0 * torch.zeros(1).sum()

    exercise("90.sums", points=1, minutes=1, difficulty=1)(sums)
    judge(find("90.sums"), local_answer(puts_back, find("90.sums")), seed=0)
    exercise("90.sums", points=1, minutes=1, difficulty=1, interface="torch")(sums)
    judge(find("90.sums"), local_answer(on_tensors, find("90.sums")), seed=0)


@pytest.mark.parametrize("places", [None, [9], [-1], ["0"], [True], {0: 1}, "0", [[0]]])
def test_places_that_are_none_are_no_change(places):
    """They may come from a hostile process."""

    def answer(x):
        note_changes(places)
        return x**2

    exercise("90.own", points=1, minutes=1, difficulty=1)(numbers(2.0))
    judge(find("90.own"), answer, seed=0)
    note_changes([0])  # outside of a run: nobody to tell


# ------------------------------------------------------------------ the two banks


def test_right_and_wrong_answers_are_registered_beside_each_other():
    exercise("90.own", points=1, minutes=1, difficulty=1)(numbers(2.0, 3.0))
    wrong_answer("90.own", says="twice x")(lambda x: 2 * x)
    right_answer("90.own", why="float32")(lambda x: np.float32(x) ** 2)
    item = find("90.own")
    assert [case.says for case in item.wrong_answers] == ["twice x"]
    assert [case.why for case in item.right_answers] == ["float32"]
    judge(item, local_answer(item.right_answers[0].function, item), seed=0)
    with pytest.raises(ValueError, match="there is no exercise '90.nothing'"):
        right_answer("90.nothing", why="x")(lambda: None)


def test_a_check_s_own_arithmetic_never_warns_and_the_answer_s_does():
    def squares(answer, rng):
        expect(answer(2.0) ** 2, np.array([1.0]))

    huge = np.array([1e308])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(WrongAnswer):
            Run(lambda x: huge).of(squares, None)
        with pytest.raises(RuntimeWarning, match="overflow"):
            Run(lambda x: huge * huge).of(squares, None)


def test_what_is_told_otherwise_gives_way_to_a_named_mistake_and_the_detail_is_always_there():
    def squares(answer, rng):
        how = {"otherwise": "the loss is too high", "detail": "by 3 per cent"}
        expect(answer(3.0), 9.0, mistakes={"this is twice x": 6.0}, **how)

    for wrong, reason in ((6.0, "this is twice x"), (7.0, "the loss is too high")):
        with pytest.raises(WrongAnswer) as told:
            Run(lambda x, wrong=wrong: wrong).of(squares, None)
        assert told.value.reason == reason
        assert "by 3 per cent" in told.value.detail
    Run(lambda x: 9.0).of(squares, None)
