"""Every model of the zoo on every engine: the textbook loop's numbers, or refused with the reason."""

import pytest

from .cases import CASES, ENGINES
from .changes import CHANGES
from .runs import gap_after, outcome, tolerance


def test_the_zoo_is_as_large_as_it_says():
    assert len(CASES) >= 250


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_exact_or_refused_with_a_reason(name, engine):
    result = outcome(name, engine)
    assert result.left == []
    assert result.gap <= tolerance(name), f"{result.ran} is off by {result.gap:.1e}"
    if engine in ("auto", "textbook"):
        assert not result.refused


@pytest.mark.parametrize("name", CHANGES)
def test_the_choice_is_made_again_after_a_change_of(name):
    make, change = CHANGES[name]
    gap, ran = gap_after(make, change)
    assert gap <= 1e-9, f"{ran} is off by {gap:.1e}"
