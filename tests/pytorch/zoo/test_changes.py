"""What is changed between two calls counts at the second: the engine is chosen again where it must be."""

import pytest

from .changes import CHANGES
from .runs import gap_after

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_of(name):
    gap, ran = gap_after(*CHANGES[name])
    assert gap <= 1e-9, f"{ran} is off by {gap:.1e}"
