"""The palette can be told apart: by people with colour-blindness, and printed in grey."""

from itertools import combinations

import pytest

from maml_edu.figures.style import GROUNDS, INK, LINE, ROLES, contrast, lightness, roles_as_json

# Roles that share a panel as lines, and as marks.
LINES = [
    ("truth", "before", "after"),
    ("truth", "baseline"),
    ("before", "after", "maml", "first_order", "path"),
    ("maml", "first_order", "baseline"),
    ("high", "low", "path", "neutral"),
    ("path", "surface", "neutral"),
    ("support_loss", "query_loss", "after", "maml", "first_order", "path", "neutral"),
    ("baseline", "path", "neutral"),
    ("maml", "baseline", "after", "neutral"),
    ("maml", "first_order", "hidden", "surface"),
    ("truth", "after", "attention"),
    ("maml", "first_order", "reptile", "implicit", "baseline", "surface", "neutral", "path"),
    ("maml", "first_order", "reptile", "implicit", "baseline", "before", "neutral"),
    ("stretched", "shrunk", "reversed", "runaway", "before", "maml", "path", "neutral"),
]
MARKS = [
    ("support", "query"),
    ("theta", "phi", "goal"),
    ("support", "goal", "path"),
    ("reader", "baseline", "maml", "goal"),
    ("maml", "baseline"),
    ("maml", "first_order", "reptile", "implicit", "baseline", "phi", "goal"),
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
        assert a.marker != b.marker or abs(lightness(a.colour) - lightness(b.colour)) >= 25


@pytest.mark.parametrize("name", ROLES)
def test_light_marks_have_a_dark_edge(name):
    role = ROLES[name]
    if name in ("support", "query", "goal"):
        assert lightness(role.colour) > 65 and role.edge == "#000000"


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("name", ROLES)
def test_every_role_stands_out_from_light_pages_and_from_dark_ones(name, ground):
    role = ROLES[name]
    assert max(contrast(own, ground) for own in (role.colour, role.edge) if own) >= 3
    assert not role.edge or role.edge == "#000000"  # an edge serves marks, not lines


@pytest.mark.parametrize("ground", GROUNDS)
def test_words_stand_out_a_little_more(ground):
    assert contrast(INK, ground) >= 3.9


def test_contrast_of_known_colours():
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_lightness_of_known_greys():
    assert lightness("#000000") == 0
    assert lightness("#ffffff") == pytest.approx(100, abs=0.01)
    assert lightness("#777777") == pytest.approx(50, abs=0.1)


def test_the_browser_gets_every_role_with_its_dashes():
    sent = roles_as_json()
    assert sent.keys() == ROLES.keys()
    assert all(sent[name]["dash"] == list(role.dash) for name, role in ROLES.items())


def test_in_the_browser_lines_without_a_colour_follow_the_text():
    sent = roles_as_json()
    for name, role in ROLES.items():
        assert sent[name]["colour"] == ("var(--ink)" if role.colour == LINE else role.colour)
