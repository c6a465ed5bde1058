"""Feedback: helpful words, nothing hidden in them, and nothing of a student's that a browser would interpret."""

import copy
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import graded
import nbformat
import pytest
from graded import CHAPTER, HOSTILE, NAMES, WRITTEN

from maml_edu.checks import exercise as checks
from maml_edu.grading.cells import digest
from maml_edu.grading.marks import Given
from maml_edu.grading.pages import feedback
from maml_edu.grading.pages.html import POLICY, STYLE, visible
from maml_edu.grading.results import OUTCOMES
from maml_edu.grading.submission import Cell, Rejected, read

CELLS = [
    Cell("markdown", "# 04 · Exercises"),
    Cell("code", "import numpy as np"),
    Cell("code", "def meta_slope(theta, c, a, alpha):\n    return 1 < 2 & 3"),
    Cell("raw", "raw"),
]
OURS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "h1",
    "h2",
    "h3",
    "p",
    "div",
    "span",
    "strong",
}
OURS |= {"section", "header", "a", "pre", "code", "bdi"}


class Tags(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.text, self.open = [], "", []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def harmless(page):
    """Assert that a page has our tags and attributes only; its text."""
    tags = Tags(page)
    assert not tags.open
    for tag, attributes in tags.found:
        assert tag in OURS
        assert set(attributes) <= {
            "lang", "charset", "http-equiv", "content", "name", "class", "style", "id", "href", "dir",
            "aria-labelledby", "aria-hidden",
        }  # fmt: skip
        assert re.fullmatch(r"#c\d+", attributes.get("href", "#c1"))
        assert re.fullmatch(r"width: [\d.]+%", attributes.get("style", "width: 1%"))
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    assert POLICY in html.unescape(page)
    page.encode()
    return tags.text


def hostile_result(text):
    return graded.result(text, ["wrong", "raised", "crashed", "wrong"], text, notes=[text])


# ------------------------------------------------------------------ what it says


def test_the_page_says_points_outcome_reason_and_what_to_do_next():
    result = graded.result("Ada", ["right", "wrong", "not done", "timeout"], "the step goes uphill")
    text = harmless(feedback.page(result, CELLS))
    for words in (
        "Feedback: 04 · The gradient of a gradient step", "for Ada", "3 of 13 points",
        "1 answer is still to be decided",
        "1. The meta-gradient by hand", "✓ right", "✗ not right yet", "the step goes uphill", "check()",
        "hints", "✗ took too long", "2 points, open", "Your answer: cell 3", "return 1 < 2 & 3",
    ):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_has_words_and_all_but_right_say_what_to_do(outcome):
    words = feedback.in_words(graded.verdict("04.best_start", outcome, "why"))
    assert words.splitlines()[:2] == [
        f"{OUTCOMES[outcome]}: "
        + {
            "right": "3 of 3 points",
            "person": "3 points, open",
            "grader-error": "3 points, open",
            "not asked": "3 points, open",
        }.get(outcome, "0 of 3 points"),
        "why",
    ]
    assert (outcome in feedback.NEXT) == (len(words.splitlines()) > 2) == (outcome != "right")


def test_the_page_leads_to_an_answer_by_its_name_or_its_id():
    cells = [*CELLS, Cell("markdown", "my words", WRITTEN), Cell("code", "x = 1", "best_start")]
    text = harmless(feedback.page(graded.result("ada", ["wrong"] * 4, "why"), cells))
    assert [int(n) for n in re.findall(r"Your answer: cell (\d)", text)] == [3, 6, 5]


def test_the_page_leads_to_the_cell_that_was_judged():
    """Not to the last of its name, where that could not be run; and not to text where code answers."""
    again = Cell("code", "import not_here\ndef meta_slope(theta, c, a, alpha):\n    return 2")
    cells = [*CELLS, again, Cell("raw", "def meta_slope(a):\n    return 3")]
    one = graded.result("ada", ["wrong"] * 4, "why", written=False)
    one.verdicts[0] = replace(one.verdicts[0], answer=digest(CELLS[2].source))
    assert "Your answer: cell 3<" in feedback.page(one, cells)
    one.verdicts[0] = replace(one.verdicts[0], answer="")  # a result of before there were digests
    assert "Your answer: cell 5<" in feedback.page(one, cells)
    stub = Cell("code", "def meta_slope(theta):\n    raise NotImplementedError()")
    assert "Your answer: cell 5<" in feedback.page(one, [*cells, stub])


def test_what_could_not_be_graded_is_no_0():
    text = harmless(feedback.page(graded.rejected(), []))
    assert "No mark yet" in text and "not a mark of 0" in text and "the file is not JSON" in text
    assert "0 of" not in text
    broken = graded.result(
        "ada", ["right", "grader-error"], status="grader-error", problem="/secret/path"
    )
    text = harmless(feedback.page(broken, []))
    assert "No mark yet" in text and "the grader's fault and not yours" in text
    assert "/secret" not in text  # what failed in the grader is for the teacher


def test_a_persons_points_and_words_are_shown_and_half_written_ones_are_not():
    result = graded.result("ada", ["wrong"] * 4, "why")
    by_hand = {
        ("ada", "04.meta_slope"): Given(2, "Nearly."),
        ("ada", WRITTEN): Given(None, "half a"),
    }
    by_hand |= {("ada", "04.best_start"): Given(None, "See hint 2.")}
    text = harmless(feedback.page(result, CELLS, by_hand))
    assert "decided by a person" in text and "2 of 3 points" in text and "Nearly." in text
    assert "See hint 2." in text and "half a" not in text
    text = harmless(feedback.page(result, CELLS, {("ada", WRITTEN): Given(2, "Good.")}))
    assert "read by a person" in text and "2 of 2 points" in text and "Good." in text


def test_no_hidden_input_expected_value_or_line_of_a_check_is_in_it():
    """A real wrong answer, judged by the real check: its detail has them, the feedback does not."""
    exercise = next(e for e in checks.load_chapter(CHAPTER) if e.name == "meta_slope")
    seen = []

    def answer(theta, c, a, alpha):
        seen.extend([theta, c, a, alpha])
        return a * (theta - c)

    with pytest.raises(checks.WrongAnswer) as wrong:
        checks.judge(exercise, answer, seed=7, cases=3)
    result = graded.result("ada", ["wrong"] * 4, wrong.value.reason)
    notebook = feedback.in_notebook(result, [])
    for text in (feedback.page(result, []), json.dumps(notebook, ensure_ascii=False)):
        assert wrong.value.reason[:40] in text
        assert not any(f"{value:.4g}" in text for value in seen)
        for line in wrong.value.detail.splitlines():
            assert line.split(":", 1)[1].strip() not in text
        assert "hidden=True" not in text and "expect(" not in text and 'check("' not in text


# ------------------------------------------------------------------ hostile text


@pytest.mark.parametrize("text", [*HOSTILE, *NAMES])
def test_nothing_of_a_students_becomes_html(text):
    cells = [
        Cell("code", text),
        Cell("markdown", text),
        Cell(text, f"def meta_slope():\n{text}", text),
    ]
    by_hand = {(text, "04.best_start"): Given(1, text)}
    said = harmless(feedback.page(hostile_result(text), cells, by_hand))
    assert said.count(visible(text)) >= 6
    harmless(feedback.page(graded.rejected(text, problem=text), cells))


def test_the_page_has_an_end_whatever_is_handed_in():
    for source in (
        "<" * 3_000_000,
        "&" * 400_000,
        "\n" * 1_200_000,
        "李" * 900_000,
        "\x00" * 900_000,
    ):
        page = feedback.page(graded.result("ada"), [Cell("code", source), Cell("code", "x = 1")])
        assert len(page.encode()) <= feedback.LIMIT
        assert "cut here" in page and "this page is full" in page
        harmless(page)
    many = feedback.page(graded.result("ada"), [Cell("code", "pass")] * 50_000)
    assert len(many.encode()) <= feedback.LIMIT and "more cells: this page is full" in many
    long = hostile_result("'" * 1_000_000)
    assert len(feedback.page(long, CELLS).encode()) <= feedback.LIMIT


def test_a_long_notebook_of_blank_lines_is_searched_quickly():
    cells = [Cell("code", "\n \t" * 300_000), Cell("code", "def meta_slope(\n" * 1000)]
    assert 'href="#c2"' in feedback.page(graded.result("ada"), cells)


def test_the_page_is_made_for_everybody():
    page = feedback.page(graded.result("ada"), CELLS)
    assert '<html lang="en">' in page and 'name="viewport"' in page
    headings = [int(tag[1]) for tag, _ in Tags(page).found if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1 and all(
        b - a <= 1 for a, b in zip(headings, headings[1:], strict=False)
    )
    assert "@media print" in page and "prefers-color-scheme: dark" in page
    for ground, ink in (
        ("card", "right"),
        ("card", "wrong"),
        ("card", "open"),
        ("card", "none"),
        ("card", "soft"),
    ):
        assert all(contrast(look[ground], look[ink]) >= 4.5 for look in looks())


def looks():
    """The colours of the light and of the dark page."""
    blocks = re.findall(r":root \{[^}]*--ink[^}]*\}", STYLE)[:2]
    return [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in blocks]


def contrast(a, b):
    """The ratio of WCAG 2."""
    low, high = sorted(map(luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    parts = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


# ------------------------------------------------------------------ in the notebook


def cells_of(folder, notebook):
    """The cells of a notebook that was handed in; none where it is refused."""
    path = folder / "one.ipynb"
    path.write_text(json.dumps(notebook))
    try:
        return read(path).cells
    except Rejected:
        return []


def valid(notebook):
    nbformat.validate(nbformat.from_dict(copy.deepcopy(notebook)))
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def test_feedback_follows_each_answer_found_by_its_name_or_its_id():
    cells = [
        Cell("code", "def best_start(c):\n    return 0"),
        Cell("code", "def meta_slope():\n    pass", "meta_slope"),
        Cell("code", "def meta_slope():\n    return 1"),
        Cell("code", "misleads = 1", "first_order_misleads"),
        Cell("code", "def numeric_meta_slope(\n    loss):\n    pass"),
        Cell("markdown", "my words", WRITTEN),
    ]
    result = graded.result("ada", ["wrong"] * 4, "why")
    sources = valid(feedback.in_notebook(result, cells, {("ada", WRITTEN): Given(1, "Good.")}))
    kinds = [re.sub(r"> \*\*Feedback on ([^:]*):.*", r"# \1", s, flags=re.S) for s in sources]
    assert kinds[0].startswith(
        "# Feedback: 04 · The gradient of a gradient step\n\n**1 of 13 points**"
    )
    assert kinds[1:] == [
        "def best_start(c):\n    return 0", "# The best place to start from",
        "def meta_slope():\n    pass",
        "def meta_slope():\n    return 1", "# The meta-gradient by hand",
        "misleads = 1", "# The sign flip",
        "def numeric_meta_slope(\n    loss):\n    pass", "# The meta-gradient by finite differences",
        "my words", "# In your own words",
    ]  # fmt: skip
    assert "read by a person** – 1 of 2 points" in sources[11] and "Comment: Good." in sources[11]


def test_only_the_sources_of_a_notebook_come_back(tmp_path):
    evil = "<script>alert(1)</script>"
    cell = {
        "cell_type": "code", "source": "x = 1", "execution_count": 3, "attachments": {"a": {"text/html": evil}},
        "metadata": {"nbgrader": {"grade_id": evil}, "raw_mimetype": "text/html"}, "id": evil,
        "outputs": [{"output_type": "display_data", "data": {"text/html": evil}, "metadata": {}}],
    }  # fmt: skip
    raw = {"cell_type": "raw", "source": evil, "metadata": {"format": "text/html"}}
    notebook = {
        "cells": [cell, raw],
        "metadata": {"title": evil},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    made = feedback.in_notebook(graded.result("ada"), cells_of(tmp_path, notebook))
    sources = valid(made)
    assert json.dumps(made).count("alert") == 1  # the raw cell, as text
    assert sources[2] == f"```text\n{evil}\n```" and made["cells"][2]["cell_type"] == "markdown"
    assert "outputs" in made["cells"][1] and not made["cells"][1]["outputs"]


@pytest.mark.parametrize("notebook", [
    {}, {"cells": 3}, {"cells": [None, 1, "x", []]}, {"cells": [{"source": 5}, {"source": [1, None, "x = 1"]}]},
    {"cells": [{"cell_type": [], "source": "x", "metadata": 3}]},
    {"cells": [{"cell_type": "code", "source": "x", "metadata": {"nbgrader": {"grade_id": ["meta_slope"]}}}]},
    {"cells": [{"cell_type": "code", "source": "\ud800\x00"}]},
])  # fmt: skip
def test_a_broken_notebook_gets_its_feedback_all_the_same(notebook, tmp_path):
    cells = cells_of(tmp_path, notebook)
    made = feedback.in_notebook(graded.result("ada", ["wrong"] * 4, "why"), cells)
    assert sum("Feedback on" in source for source in valid(made)) == 5
    json.dumps(made, ensure_ascii=False).encode()


def test_a_notebook_with_feedback_has_an_end():
    for source in ('"' * 3_000_000, "李" * 3_000_000, "\x07" * 3_000_000):
        big = [Cell("code", source), *[Cell("code", "def meta_slope():\n  pass")] * 3000]
        made = feedback.in_notebook(graded.result("ada", ["wrong"] * 4, "why"), big)
        assert len(json.dumps(made)) <= feedback.NOTEBOOK_LIMIT + 100_000
        assert sum("Feedback on" in source for source in valid(made)) == 5


@pytest.mark.parametrize(
    "text", [*HOSTILE, *NAMES, "# a", "1. a", "- a", "| a | b |", "a@b.org www.example.org"]
)
def test_markdown_html_and_mathematics_in_a_reason_are_shown_and_not_interpreted(text):
    mistune = pytest.importorskip("nbconvert.filters.markdown_mistune")
    result = hostile_result(text)
    made = feedback.in_notebook(result, [], {(text, "04.best_start"): Given(1, text)})
    ours = {"p", "strong", "code", "blockquote", "h1", "a"}
    for cell in made["cells"]:
        page = mistune.markdown2html_mistune(cell["source"])
        tags = Tags(page)
        assert {tag for tag, _ in tags.found} <= ours
        for tag, attributes in tags.found:
            if tag == "a":  # the anchor of a heading, which nbconvert makes
                assert attributes.get("class") == "anchor-link"
        outside = re.sub(r"<code>.*?</code>", "", page, flags=re.S)
        assert "$" not in outside and "\\" not in outside and "javascript" not in outside
    words = " ".join(visible(text).split())
    assert any(
        words in " ".join(Tags(mistune.markdown2html_mistune(c["source"])).text.split())
        for c in made["cells"]
    )


def test_plain_prose_stays_prose():
    assert feedback.said("this is the slope at φ: the factor 1 − αa (once)") == (
        "this is the slope at φ: the factor 1 − αa (once)"
    )
    assert feedback.said("is a `return` missing?") == "`` is a `return` missing? ``"
