"""What `find_the_factor` shows: each fault's gradient against automatic differentiation, and the game's rules."""

from itertools import combinations, product

import numpy as np
import pytest

import maml_edu.reference as ref
from maml_edu.figures.chapters import other_frameworks as shown

THETA = np.array(shown.START)
OPEN = ("stopped", "same", "swapped", "summed")


def keras_loss(theta, examples, swapped, summed):
    """Cross-entropy on (1 − p, p) as `keras.losses.categorical_crossentropy` writes it, swapped or not."""
    x, label = examples
    p = 1 / (1 + np.exp(-(theta[0] * x + theta[1])))
    truth, prediction = (1 - label, label), (1 - p, p)
    target, output = (prediction, truth) if swapped else (truth, prediction)
    losses = -sum(
        t * np.log(np.minimum(np.maximum(o, 1e-7), 1 - 1e-7))
        for t, o in zip(target, output, strict=True)
    )
    return np.sum(losses) if summed else np.mean(losses)


def by_autodiff(theta, alpha, stopped, same, swapped, summed):
    """The gradient of the same program, written with `ref.grad`."""

    def step(p):
        return p - alpha * ref.grad(lambda q: keras_loss(q, shown.SUPPORT, swapped, summed))(p)

    constant = step(theta) - theta

    def after(p):
        phi = p + constant if stopped else step(p)
        return keras_loss(phi, shown.SUPPORT if same else shown.QUERY, swapped, summed)

    return ref.grad(after)(theta)


@pytest.mark.parametrize("on", [*product((False, True), repeat=4)])
def test_every_combination_is_what_automatic_differentiation_of_that_program_gives(on):
    for theta, alpha in ((THETA, shown.ALPHA), (np.array([-1.2, 0.4]), 1.1)):
        computed = shown.meta_gradient(theta, alpha, **dict(zip(OPEN, on, strict=True)))
        wanted = by_autodiff(theta, alpha, *on)
        np.testing.assert_allclose(computed, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_the_contours_are_those_of_the_wanted_gradient():
    w, b, width = *THETA, 1e-5
    slope = [
        (
            shown.meta_loss(w + i * width, b + j * width, 0.6)
            - shown.meta_loss(w - i * width, b - j * width, 0.6)
        )
        / (2 * width)
        for i, j in ((1, 0), (0, 1))
    ]
    np.testing.assert_allclose(slope, shown.meta_gradient(THETA, 0.6), rtol=1e-7)


def test_a_tape_that_opens_too_late_gives_none_whatever_else_is_on():
    assert shown.meta_gradient(THETA, 0.6, late=True) is None
    assert shown.meta_gradient(THETA, 0.6, late=True, summed=True) is None


def test_no_two_combinations_look_alike_where_the_reader_starts():
    sets = [c for size in range(5) for c in combinations(OPEN, size)]
    found = [shown.meta_gradient(THETA, shown.ALPHA, **dict.fromkeys(c, True)) for c in sets]
    for one, other in combinations(found, 2):
        length, angle = shown.compare(one, other)
        assert abs(np.log(length)) > 0.2 or angle > 15


def test_lengths_and_angles_of_known_arrows():
    assert shown.compare(np.array([0.0, 3.0]), np.array([1.0, 0.0])) == (3.0, 90.0)
    length, angle = shown.compare(np.zeros(2), np.array([1.0, 0.0]))
    assert length == 0 and np.isnan(angle)
    length, angle = shown.compare(np.array([1.0, 0.0]), np.zeros(2))
    assert length == np.inf and np.isnan(angle)


# ---- the game


def test_hidden_programs_differ_and_their_seed_decides():
    cases = shown.hidden_cases(16, seed=3)
    assert len(set(cases)) == 16 and frozenset() not in cases
    assert cases == shown.hidden_cases(16, seed=3) != shown.hidden_cases(16, seed=4)
    assert all(case == {"late"} for case in cases if "late" in case)


@pytest.mark.parametrize("cases", [0, 17])
def test_a_number_of_programs_that_does_not_exist_is_refused(cases):
    with pytest.raises(ValueError, match="1 to 16"):
        shown.find_the_factor(cases=cases)


def switched(figure, on, **more):
    figure.set(**{name: name in on for name in shown.SWITCHES}, **more)
    return figure.scenes


@pytest.mark.parametrize("case", range(1, 9))
def test_the_right_switches_are_found_and_wrong_ones_are_not(case):
    figure = shown.find_the_factor()
    hidden = shown.hidden_cases()[case - 1]
    plane, words = switched(figure, hidden, case=f"program {case}")
    assert words.title.startswith(f"Found. Program {case}: ")
    if hidden != {"late"}:
        one, other = (arrow.head for arrow in plane.arrows[1:])
        assert one == other
    wrong = hidden ^ {"stopped"} if hidden != {"late"} else {"stopped"}
    _, words = switched(figure, wrong)
    assert "not found yet" in words.title


def test_only_the_answer_names_the_hidden_switches():
    figure = shown.find_the_factor()
    hidden = shown.hidden_cases()[0]
    plane, words = switched(figure, (), case="program 1")
    assert all("hidden program" not in said for said in words.words())
    assert not [p for p in words.points if p.role == "goal"]
    _, words = switched(figure, (), answer=True)
    assert len([p for p in words.points if p.role == "goal"]) == len(hidden)
    assert words.title == f"Program 1: {shown._listed(hidden)} (the stars)"


def test_without_a_rate_a_stopped_gradient_leaves_no_trace():
    plane, words = shown.factor_scenes(
        {"stopped": True, "summed": True}, frozenset({"summed"}), "program 3", alpha=0.0
    )
    assert words.title == "The arrows agree here, and the switches do not: change α or drag θ"
    plane, _ = shown.factor_scenes({"stopped": True}, alpha=0.0)
    assert plane.title == "Your switches: the meta-gradient itself"


def test_none_hides_other_switches_and_the_title_says_so():
    _, words = shown.factor_scenes({"late": True, "same": True}, frozenset({"late"}), "program 2")
    assert "hides every other switch" in words.title


def test_the_arrow_of_the_wanted_gradient_has_one_length_and_long_ones_are_cut_with_their_length():
    plane, _ = shown.factor_scenes({"swapped": True, "summed": True})
    wanted, mine = plane.arrows
    length = lambda arrow: np.hypot(*np.subtract(arrow.head, arrow.tail))
    assert length(wanted) == pytest.approx(shown.UNIT)
    assert length(mine) == pytest.approx(shown.UNIT * shown.LONGEST)
    ratio, _ = shown.compare(
        shown.meta_gradient(THETA, 0.6, swapped=True, summed=True), shown.meta_gradient(THETA, 0.6)
    )
    assert ratio > 3 and plane.notes[0].text == f"{shown.number(ratio)} ×"


def test_theta_is_dragged():
    figure = shown.find_the_factor()
    before = figure.scenes[0].title
    figure.set(theta=(-1.0, 0.5))
    assert figure.scenes[0].title != before
    assert figure.scenes[0].arrows[0].tail == (-1.0, 0.5)
