"""plane.js in a real browser, without JupyterLab: what it paints, and what it sends for clicks and keys.

Needs Chromium (or Chrome) and Playwright; is skipped, with the reason, where one is missing.
"""

import json

import pytest
from chromium import launched, needs_browser

from maml_edu.figures import Bar, Curve, Interval, Note, Points, Scene
from maml_edu.figures.plane import HERE
from maml_edu.figures.style import roles_as_json

pytestmark = needs_browser

# Stands for the kernel: it keeps what is sent, and answers a move with the points where they are now.
PAGE = """<!doctype html><style>body {{ margin: 0; {variables} }} {css}</style><body><div id="figure"></div>
<script type="module">
const state = {state}, listeners = {{}};
window.sent = [];
const model = {{
  get: (name) => state[name],
  set: (name, value) => {{ state[name] = value; }},
  on: (event, call) => {{ (listeners[event] ??= []).push(call); }},
  off: () => {{}},
  save_changes: () => {{
    window.sent.push(structuredClone({{ moved: state.moved, pressed: state.pressed }}));
    const places = state.moved.points;
    if (!places) return;
    const scene = structuredClone(state.scene);
    [scene.points[0].x, scene.points[0].y] = [0, 1].map((k) => places.map((place) => place[k]));
    setTimeout(() => {{ state.scene = scene; listeners["change:scene"].forEach((call) => call()); }}, 20);
  }},
}};
{script}
render({{ model, el: document.getElementById("figure") }});
window.ready = true;
</script>"""
DARK = "--jp-layout-color0: #111111; --jp-content-font-color1: #ffffff; background: #111111"


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture
def show(browser):
    """A function (scene, more, CSS variables of the page) → the page that shows it."""
    pages = []

    def open_page(scene, more=None, variables=""):
        state = {"scene": scene.as_dict(), "roles": roles_as_json(), "more": more or {}}
        state |= {"moved": {}, "pressed": {}}
        css, script = (
            (HERE / name).read_text(encoding="utf-8") for name in ("plane.css", "plane.js")
        )
        page = browser.new_page(viewport={"width": 520, "height": 520})
        pages.append(page)
        script = script.replace("export default { render };", "")
        page.set_content(
            PAGE.format(state=json.dumps(state), css=css, script=script, variables=variables)
        )
        page.wait_for_function("window.ready === true", timeout=20_000)
        return page

    yield open_page
    for page in pages:
        page.close()


def plain(**things):
    axes = {"xlabel": "x", "ylabel": "y", "xlim": (0, 10), "ylim": (0, 10)}
    return Scene("A title", "What there is to see.", **{**axes, **things})


def three_points():
    return plain(points=[Points([2, 5, 8], [5, 5, 5], "support", "yours", drag="points")])


def at(page, x, y):
    """The pixel of (x, y) on axes from 0 to 10."""
    box = page.locator(".room").bounding_box()
    return box["x"] + box["width"] * x / 10, box["y"] + box["height"] * (1 - y / 10)


def places(page):
    """The last places that were sent, once all messages have been answered."""
    page.wait_for_timeout(150)
    return page.evaluate("window.sent.at(-1)?.moved.points ?? null")


def test_a_click_on_an_empty_place_adds_a_point_until_there_are_enough(show):
    page = show(three_points(), more={"points": 4})
    page.mouse.click(*at(page, 3.5, 8))
    assert places(page)[:3] == [[2, 5], [5, 5], [8, 5]]
    assert places(page)[3] == pytest.approx([3.5, 8], abs=0.05)
    page.mouse.click(*at(page, 6, 2))
    assert len(places(page)) == 4 and page.locator(".handle").count() == 4


def test_a_double_click_or_delete_takes_a_point_away_but_not_the_last(show):
    page = show(three_points(), more={"points": 4})
    page.mouse.dblclick(*at(page, 5, 5))
    assert places(page) == [[2, 5], [8, 5]]
    for _ in range(3):
        page.locator(".handle").first.focus()
        page.keyboard.press("Delete")
    assert places(page) == [[8, 5]] and page.locator(".handle").count() == 1


def test_moving_a_point_neither_adds_nor_removes_one(show):
    page = show(three_points(), more={"points": 4})
    page.mouse.move(*at(page, 5, 5))
    page.mouse.down()
    page.mouse.move(*at(page, 6, 7), steps=4)
    page.mouse.up()
    assert len(places(page)) == 3 and places(page)[1] == pytest.approx([6, 7], abs=0.05)


def test_without_more_a_click_does_nothing(show):
    page = show(three_points())
    page.mouse.click(260, 120)
    page.locator(".handle").first.dblclick()
    assert places(page) in (None, [[2, 5], [5, 5], [8, 5]])
    assert page.locator(".handle").count() == 3


@pytest.mark.parametrize(
    ("variables", "paper", "ink"),
    [
        ("", "rgb(255, 255, 255)", "rgb(34, 34, 34)"),
        (DARK, "rgb(17, 17, 17)", "rgb(255, 255, 255)"),
    ],
)
def test_paper_and_text_are_the_pages_own(show, variables, paper, ink):
    page = show(plain(curves=[Curve([0, 10], [0, 10], "truth")]), variables=variables)

    def style(place, name):
        return page.evaluate(f"getComputedStyle(document.querySelector('{place}')).{name}")

    assert style(".maml-edu-live", "backgroundColor") == paper
    assert style(".maml-edu-live .title", "color") == ink
    assert style(".maml-edu-live svg text", "fill") == ink
    assert style("[clip-path] path", "stroke") == ink, "a line without a colour of its own"


def test_bars_intervals_and_coloured_words_are_painted(show):
    scene = plain(
        bars=[Bar([2, 4], [5, 12], "maml", "a bar")],
        intervals=[Interval(6, 6.1, 8, label="95 % interval")],
        notes=[Note(5, 9, "MAML", role="maml")],
    )
    page = show(scene)
    assert page.locator(".cut").count() == 2, "two strokes across the bar that is cut"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.named')).fill")
        == "rgb(0, 114, 178)"
    )
    assert page.locator(".legend span").all_inner_texts() == ["a bar", "95 % interval"]


def test_a_diagram_has_no_axes(show):
    page = show(plain(diagram=True, xlabel="", ylabel="", points=[Points(5, 5)]))
    assert page.locator("svg text").count() == 0 and page.locator("svg line").count() == 0
