"""The palette can be told apart: by people with colour-blindness, and printed in grey."""

from itertools import combinations

import pytest

from maml_edu.figures.style import ROLES, lightness, roles_as_json

# Roles that share a panel as lines, and as marks.
LINES = [
    ("truth", "before", "after"),
    ("truth", "baseline"),
    ("before", "after", "maml", "first_order", "path"),
    ("maml", "first_order", "baseline"),
    ("high", "low", "path", "neutral"),
    ("path", "surface", "neutral"),
]
MARKS = [
    ("support", "query"),
    ("theta", "phi", "goal"),
    ("support", "goal", "path"),
    ("reader", "baseline", "maml", "goal"),
    ("maml", "baseline"),
]


@pytest.mark.parametrize("together", LINES)
def test_lines_in_one_panel_differ_in_grey_or_in_their_dashes(together):
    for a, b in combinations((ROLES[name] for name in together), 2):
        assert (
            a.dash != b.dash or abs(lightness(a.colour) - lightness(b.colour)) >= 10 or _thin(a, b)
        )


def _thin(a, b):
    return max(a.width, b.width) >= 2 * min(a.width, b.width)


@pytest.mark.parametrize("together", MARKS)
def test_marks_in_one_panel_differ_in_shape_or_strongly_in_grey(together):
    for a, b in combinations((ROLES[name] for name in together), 2):
        assert a.marker != b.marker or abs(lightness(a.colour) - lightness(b.colour)) >= 40


@pytest.mark.parametrize("name", ROLES)
def test_light_marks_have_a_dark_edge(name):
    role = ROLES[name]
    if name in ("support", "query", "goal"):
        assert lightness(role.colour) > 65 and role.edge == "#000000"


@pytest.mark.parametrize("name", [n for n in ROLES if n not in ("support", "query", "goal")])
def test_lines_stand_out_from_white_paper(name):
    assert lightness(ROLES[name].colour) < 72


def test_lightness_of_known_greys():
    assert lightness("#000000") == 0
    assert lightness("#ffffff") == pytest.approx(100, abs=0.01)
    assert lightness("#777777") == pytest.approx(50, abs=0.1)


def test_the_browser_gets_every_role_with_its_dashes():
    sent = roles_as_json()
    assert sent.keys() == ROLES.keys()
    assert all(sent[name]["dash"] == list(role.dash) for name, role in ROLES.items())
