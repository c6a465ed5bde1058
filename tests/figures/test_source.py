"""Source is shown with its place, the same on every machine."""

import math

import pytest

from maml_edu.figures import show_source
from maml_edu.figures.chapters.gradient_descent import descend


def test_source_names_its_file_and_line_from_the_package_on():
    shown = show_source(descend)
    lines = open(descend.__code__.co_filename, encoding="utf-8").read().splitlines()
    line = 1 + next(i for i, text in enumerate(lines) if text.startswith("def descend("))
    assert shown.place == f"maml_edu/figures/chapters/gradient_descent.py, line {line}"
    assert repr(shown).startswith(f"# descend: {shown.place}\ndef descend(")


def test_source_is_folded_and_highlighted():
    page = show_source(descend)._repr_html_()
    assert page.startswith("<details><summary>") and "<span style=" in page
    assert "descend" in page and "<script" not in page


def test_a_function_of_no_package_shows_no_folder():
    def local():
        """Mine."""

    shown = show_source(local)
    assert "/" not in shown.place and shown.code.startswith("def local")


def test_compiled_functions_are_refused_with_a_reason():
    with pytest.raises(ValueError, match="built in or compiled"):
        show_source(math.sin)
