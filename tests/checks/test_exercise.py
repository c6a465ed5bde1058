"""The language of checks.py: what `draw` draws, what `expect` says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu import places
from maml_edu.checks import exercise as language
from maml_edu.checks.exercise import (
    CaseGenerator,
    WrongAnswer,
    catalogue,
    draw,
    exercise,
    expect,
    find,
    judge,
    load_chapter,
    wrong_answer,
    wrong_answers,
)


def refused(got, expected, mistakes=None, **options):
    """The WrongAnswer of `expect`."""
    with pytest.raises(WrongAnswer) as caught:
        expect(got, expected, mistakes, **options)
    return caught.value


@pytest.fixture
def registered():
    """Exercises that a test registers are forgotten after it."""
    yield
    for id in [id for id in language._exercises if id.startswith("9")]:
        del language._exercises[id]


# ------------------------------------------------------------------ expect: what is right


@pytest.mark.parametrize(("got", "expected"), [
    (1.0, 1.0), (1, 1.0), (1.0 + 1e-8, 1.0), (np.float32(0.5), 0.5), (np.array(2.0), 2.0),
    ([1, 2], np.array([1.0, 2.0])), (np.ones((2, 3)), np.ones((2, 3))), (np.zeros((0, 2)), np.zeros((0, 2))),
    (3, 3), (np.int8(3), 3), (np.array([1, 2], np.uint8), np.array([1, 2])),
    (True, True), (np.True_, True), (np.array([True]), np.array([True])),
    ("yes", "yes"), (None, None), ((1.0, [2.0]), [1.0, (2.0,)]),
    ({"a": 1.0, "b": {"c": [1.0]}}, {"b": {"c": [1.0]}, "a": 1.0}),
])  # fmt: skip
def test_a_right_answer_passes(got, expected):
    assert expect(got, expected) is None


@given(st.floats(1e-3, 1e3), st.floats(-0.9, 0.9))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_the_tolerance_is_that_of_single_precision_unless_more_is_asked_for(value, part):
    expect(value * (1 + part * 1e-5), value)
    expect(part * 1e-9, 0.0)
    assert refused(value * (1 + 3e-5), value).reason.startswith("your answer has the wrong value")
    assert refused(1e-8, 0.0)
    expect(value * (1 + part * 1e-7), value, rtol=1e-7, atol=0.0)
    assert "single precision only" in refused(value * (1 + 3e-7), value, rtol=1e-7, atol=0.0).reason
    expect(value * (1 + part * 1e-2), value, rtol=1e-2)
    expect(value + part, value, rtol=0, atol=1.0)


# ------------------------------------------------------------------ expect: what is said of the rest


@pytest.mark.parametrize(("got", "expected", "reason"), [
    (None, 1.0, "your answer is None: is a `return` missing?"),
    (None, np.ones(2), "your answer is None: is a `return` missing?"),
    ("1.0", 1.0, "your answer should be a number, not a str"),
    (True, 1, "your answer should be a number, not a bool"),
    ([1.0], 1.0, "your answer should be a number, not a list"),
    ({"a": 1.0}, np.ones(2), "your answer should be an array, not a dict"),
    (1.0, np.ones(2), "your answer should be an array, not a number"),
    (np.ones((2, 1)), np.ones(2), "your answer has the wrong shape: too many axes"),
    (np.ones(1), 1.0, "your answer should be a number, not an array"),
    ([[1.0], [1.0, 2.0]], np.ones(2), "your answer should be a regular array"),
    (1j, 1.0, "your answer should hold numbers, not a complex"),
    (np.array(["a"]), np.ones(1), "your answer should hold numbers, not an array"),
    (3.0, 3, "your answer should be made of whole numbers (int), not float"),
    (np.float64(3), 3, "your answer should be made of whole numbers (int), not float64"),
    (np.ones(2), np.array([1, 1]), "your answer should be made of whole numbers (int), not float64"),
    (np.ones(2, int), np.array([True, True]), "your answer should be made of True and False, not int64"),
    (1, True, "your answer is not the expected one"),
    (np.zeros(3), True, "your answer is not the expected one"),
    (np.zeros(3), "text", "your answer is not the expected one"),
    (np.zeros(3), None, "your answer is not the expected one"),
    ("no", "yes", "your answer is not the expected one"),
    ([1.0], {"a": 1.0}, "your answer should be a dict with the keys asked for, not a list"),
    ({"b": 1.0}, {"a": 1.0}, "your answer should be a dict with the keys asked for: some are missing, or too many"),
    (np.ones(2), [1.0, 1.0], "your answer should be a list, not an array"),
    ([1.0], (1.0, 2.0), "your answer should have 2 parts"),
    ([1.0], [1.0, 2.0], "your answer has too few parts"),
    (2.0, (1.0, 2.0), "your answer should be a tuple of 2, not a float"),
    ([1.0, {"a": None}], (1.0, {"a": 2.0}), "the entry [1][name] of your answer is None: nothing was put there"),
    ([1.0, None], [1.0, 2.0], "the entry [i] of your answer is None: nothing was put there"),
    ({"W1": None}, {"W1": np.ones(2)}, "the entry [name] of your answer is None: nothing was put there"),
    ({"w": np.ones(2)}, {"w": np.ones(3)}, "your answer[name] has the wrong shape"),
    ([{"w": 1.0}], [{"w": 2.0}], "your answer[i][name] has the wrong value"),
    (10**6 + 1, 10**6, "your answer has the wrong value"),
    (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "your answer contains NaN or infinity"),
    (np.inf, 1.0, "your answer contains NaN or infinity"),
    (np.nan, np.nan, "your answer contains NaN or infinity"),
])  # fmt: skip
def test_type_shape_and_kind_are_compared_before_values(got, expected, reason):
    assert refused(got, expected).reason == reason


@pytest.mark.parametrize(("got", "expected", "cause"), [
    (-2.0, 2.0, ": it has the right size and the wrong sign"),
    (np.array([1.0, -2.0]), np.array([-1.0, 2.0]), ": it has the right size and the wrong sign"),
    (np.array([1.0, 2.0]) * 3, np.array([1.0, 2.0]), ": it is the right one times a constant"),
    (np.float32([1.1, 2.2]), np.array([1.1, 2.2]) * (1 + 3e-5), "single precision only (float32)"),
    (np.array([1.1, 2.2]) * (1 + 3e-5), np.array([1.1, 2.2]), ": it is nearly right"),
    (1.96004, 1.96, ": it is nearly right"),
    (np.array([1.0, 2.0]) * 1.0002, np.array([1.0, 2.0]), ": it is the right one times a constant"),
    (np.array([1.0, 3.0]), np.array([1.0, 2.0]), ""),
    (6.0, 2.0, ""),  # of one number every wrong value is some multiple of the right one
    (np.zeros(2), np.array([1.0, 2.0]), ""),
])  # fmt: skip
def test_a_wrong_value_comes_with_a_likely_cause(got, expected, cause):
    reason = refused(got, expected).reason
    assert reason.startswith("your answer has the wrong value")
    assert cause in reason if cause else reason == "your answer has the wrong value"


def test_the_first_element_that_differs_is_pointed_at():
    detail = refused(np.array([[1.0, 2.0], [5.0, 6.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])).detail
    assert "2 of 4 elements differ, first at [1, 0]: expected 3, got 5" in detail
    assert "expected: array([[1., 2.], [3., 4.]])" in detail and "got:      array(" in detail
    detail = refused([1.0, {"w": np.ones((2, 1))}], (1.0, {"w": np.ones((2, 3))})).detail
    assert "its shape is (2, 1); it should be (2, 3)\nfirst at [1]['w']" in detail


def test_a_single_precision_answer_is_right_as_a_scalar_and_inside_of_dicts_too():
    exact = {"slope": 0.1, "w": np.array([0.1, 1e-7, 3.3]), "n": 7}
    expect({"slope": np.float32(0.1), "w": exact["w"].astype(np.float32), "n": 7}, exact)
    expect(float(np.float32(0.1)), 0.1)
    wrong = refused(float(np.float32(0.1)), 0.1, rtol=1e-9)
    assert "single precision only" in wrong.reason and "times" not in str(wrong)


def test_once_the_right_one_is_never_called_a_factor():
    for factor in (1 + 2e-5, 1 - 5e-5, 1 + 9e-5, 1.0004):
        error = refused(np.array([1.0, 2.0]) * factor, np.array([1.0, 2.0]))
        assert "it is 1 times" not in str(error)


def test_large_arrays_are_shown_by_shape_and_first_numbers():
    detail = refused(np.zeros((20, 30)), np.ones((20, 30))).detail
    assert "expected: array of shape (20, 30): 1, 1, 1, …" in detail and len(detail) < 300


SECRET = np.random.default_rng(0).normal(size=(5, 4))  # too long for a line


@pytest.mark.parametrize(("got", "place", "part"), [
    (({"s": SECRET}, {"s": SECRET + 1}), "[1]['s']", SECRET + 1),
    (({"s": SECRET}, {"s": None}), "[1]['s']", None),
    (({"s": SECRET}, {"s": SECRET[0]}), "[1]['s']", SECRET[0]),
    (({"s": SECRET}, {"s": SECRET.tolist()[:1] + [[7.0]]}), "[1]['s']", [SECRET[0].tolist(), [7.0]]),
    (({"s": SECRET}, {"w": SECRET}), "[1]", {"w": SECRET}),
    ([{"s": SECRET}, {"s": SECRET}, 3.0], "", ({"s": SECRET}, {"s": SECRET}, 3.0)),
])  # fmt: skip
def test_of_a_long_answer_the_part_that_differs_is_shown_with_its_place(got, place, part):
    expected = ({"s": SECRET}, {"s": SECRET})
    for mistakes in ({}, {"this is another one": got}):
        shown = refused(got, expected, mistakes).detail.splitlines()[-2:]
        assert [line.split(": ")[0] for line in shown] == [f"expected{place}", f"got{place}"]
        if place:
            assert shown[1].split(": ", 1)[1].strip() == language.short(part)
            assert shown[0] != shown[1].replace("got", "expected")


def test_a_short_answer_is_shown_as_a_whole():
    detail = refused(("truncated", 3), ("truncated", 2)).detail
    assert detail == "first at [1]\nexpected: ('truncated', 2)\ngot:      ('truncated', 3)"


@pytest.mark.parametrize("got", [
    None, [SECRET], {}, {"s": SECRET, "t": 0.0}, {"s": None}, {"s": "x"}, {"s": SECRET[0]}, {"s": SECRET + 1},
    {"s": SECRET * np.nan}, {"s": [[1.0], 2.0]}, {"s": {"s": 1.0}}, {"s": 1}, {"s": SECRET * 2}, {"s": -SECRET},
])  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: (v,), lambda v: {"s": v}])
def test_the_keys_of_a_dict_are_in_the_detail_alone(got, wrap):
    """They may have been drawn."""
    error = refused(wrap(got), wrap({"s": SECRET}))
    assert "'s'" not in error.reason and "'s'" in error.detail


def test_a_known_mistake_is_named_whatever_its_form():
    mistakes = {"this is the sum": 6.0, "this is the maximum": lambda: 3.0}
    assert refused(6.0, 2.0, mistakes).reason == "this is the sum"
    assert refused(3.0, 2.0, mistakes).reason == "this is the maximum"
    assert refused(5.0, 2.0, mistakes).reason == "your answer has the wrong value"
    nested = {"swapped": {"a": [2.0, 1.0]}}
    assert refused({"a": [2.0, 1.0]}, {"a": [1.0, 2.0]}, nested).reason == "swapped"
    assert refused(np.ones((2, 1)), np.ones(2), {"a column": np.ones((2, 1))}).reason == "a column"
    expect(2.0, 2.0, {"never shown, since the answer is right": 2.0})


def test_computing_a_mistake_is_left_until_it_is_needed():
    expect(2.0, 2.0, {"costly": lambda: pytest.fail("computed for nothing")})


def test_a_name_may_be_given_for_what_is_compared():
    assert refused(1.0, 2.0, what="the loss").reason == "the loss has the wrong value"


def test_reason_and_detail_stand_apart_and_a_notebook_shows_only_the_words():
    error = refused(np.array([1.0, 5.5]), np.array([1.0, 7.25]))
    assert "7.25" not in error.reason and "5.5" not in error.reason and "7.25" in error.detail
    assert error._render_traceback_() == [f"{error.reason}\n{error.detail}"]
    assert isinstance(error, AssertionError)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=2)
    | st.sampled_from([np.zeros(2), np.ones((2, 1)), np.array([1, 2]), np.array([True]), np.array(["a"]), 1j]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


@given(anything, anything)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_is_compared_with_whatever_expect_answers_in_words(got, expected):
    try:
        expect(got, expected)
    except WrongAnswer as error:
        assert error.reason and "\n" not in error.reason


# ------------------------------------------------------------------ draw and judge


def test_draw_gives_each_kind_of_source_what_its_form_says():
    rng = CaseGenerator(0, 200)
    cases = list(
        draw(rng, x=(0.0, 2.0), n=(1, 3), name=["a", "b"], w=lambda rng: rng.normal(size=2), c=7)
    )
    assert len(cases) == 200
    x, n, name, w, c = zip(*cases, strict=True)
    assert 0 <= min(x) < 0.1 and 1.9 < max(x) <= 2 and isinstance(x[0], float)
    assert set(n) == {1, 2, 3} and isinstance(n[0], int)
    assert set(name) == {"a", "b"} and set(c) == {7} and len({tuple(v) for v in w}) == 200


def test_draw_is_the_same_for_the_same_seed_and_gives_a_single_value_bare():
    first, again, other = (list(draw(CaseGenerator(s, 5), x=(0.0, 1.0))) for s in (1, 1, 2))
    assert first == again != other and all(isinstance(x, float) for x in first)
    assert len(list(draw(np.random.default_rng(0), x=(0.0, 1.0)))) == language.VISIBLE_CASES


def test_judge_puts_the_inputs_of_the_failing_case_before_the_detail(registered):
    @exercise("90.double", points=2, minutes=5, difficulty=1)
    def double(answer, rng):
        """Twice a number

        and more words that are no title."""
        for x in draw(rng, x=(1, 9)):
            expect(answer(x), 2 * x, {"this is x itself": x})

    item = find("90.double")
    assert (item.title, item.name, item.points, item.interface) == (
        "Twice a number",
        "double",
        2,
        "plain",
    )
    judge(item, lambda x: 2 * x, seed=0)
    with pytest.raises(WrongAnswer) as caught:
        judge(item, lambda x: x, seed=0)
    assert caught.value.reason == "this is x itself"
    assert caught.value.detail.startswith("inputs:   x = ")
    calls = []
    judge(item, lambda x: calls.append(x) or 2 * x, seed=0, cases=17)
    assert len(calls) == 17


def test_judge_lets_through_what_the_answer_itself_raises(registered):
    @exercise("90.any", points=1, minutes=1, difficulty=1)
    def any_answer(answer, rng):
        answer()

    def unfinished():
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        judge(find("90.any"), unfinished, seed=0)


# ------------------------------------------------------------------ registering and finding


@pytest.mark.parametrize("difficulty", [0, 6])
def test_a_difficulty_that_is_none_is_refused(difficulty):
    with pytest.raises(ValueError, match="90.x: difficulty is 1 to 5"):
        exercise("90.x", points=1, minutes=1, difficulty=difficulty)


@pytest.mark.parametrize(
    "id", ["04.meta_slop", "4.meta_slope", "meta_slope", "", "99.nothing", None]
)
def test_an_unknown_exercise_is_refused_with_names_that_are_near(id):
    with pytest.raises(
        ValueError, match=r"there is no exercise .*progress\(\) lists them all"
    ) as caught:
        find(id)
    near = [item.id for item in catalogue() if item.id in str(caught.value)]
    assert len(near) <= 3
    if id == "04.meta_slop":
        assert near[0] == "04.meta_slope" and "Did you mean" in str(caught.value)


def test_the_catalogue_lists_each_chapter_in_order():
    ids = [item.id for item in catalogue()]
    assert ids and len(set(ids)) == len(ids)
    assert [id[:2] for id in ids] == sorted(id[:2] for id in ids)
    for folder in places.chapters():
        assert [i.id for i in load_chapter(folder)] == [id for id in ids if id[:2] == folder[:2]]


def test_wrong_answers_are_found_once_and_only_for_their_chapter():
    for folder in places.chapters():
        first, again = wrong_answers(folder), wrong_answers(folder)
        assert first == again and all(case.exercise[:2] == folder[:2] for case in first)


def test_a_wrong_answer_to_an_exercise_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="there is no exercise '90.nothing'"):
        wrong_answer("90.nothing", says="x")(lambda: None)


def test_a_chapter_that_cannot_be_loaded_is_tried_again_the_next_time(
    tmp_path, monkeypatch, registered
):
    folder = tmp_path / "course" / "91_broken"
    folder.mkdir(parents=True)
    monkeypatch.setattr(places, "course_root", lambda: tmp_path)
    monkeypatch.setattr(places, "chapters", lambda: ["91_broken"])
    (folder / "checks.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        catalogue()
    (folder / "checks.py").write_text(
        "from maml_edu.checks.exercise import exercise\n"
        "@exercise('91.fine', points=1, minutes=1, difficulty=1)\ndef fine(answer, rng):\n    '''Fine'''\n"
    )
    assert [item.id for item in catalogue()] == ["91.fine"]
