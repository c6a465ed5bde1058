"""Every model of the zoo on every engine: the textbook loop's numbers, or refused with the reason."""

import pytest

from .cases import CASES, ENGINES
from .runs import outcome, tolerance


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_exact_or_refused_with_a_reason(name, engine):
    result = outcome(name, engine)
    assert result.left == []
    assert result.gap <= tolerance(name)
    if engine in ("auto", "textbook"):
        assert not result.refused
