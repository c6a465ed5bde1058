"""docs/seed_article.md: every claim points to something that is there and runs, in both languages alike."""

import re

import pytest
from pointers import COMMAND, EXERCISE, headings_named, missing, points_to_something_that_runs

from maml_edu import places

PAGE = (places.course_root() / "docs" / "seed_article.md").read_text("utf-8")
ENGLISH, CHINESE = PAGE.split("\n## 中文\n")
ROW = re.compile(r"^\| ([A-Z]\d) \|(.*)\|$", re.M)


def rows(text):
    return {name: cells.split(" | ") for name, cells in ROW.findall(text)}


@pytest.mark.parametrize("name", rows(ENGLISH))
def test_the_last_column_points_to_something_that_runs(name):
    where = rows(ENGLISH)[name][-1]
    assert points_to_something_that_runs(where)


@pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_all_that_is_pointed_to_is_there(language):
    lines = [line for line in language.splitlines() if not re.match(r"\[e?\d\d\]:", line)]
    assert [wrong for line in lines for wrong in missing(line)] == []


def test_both_languages_have_the_same_rows_that_point_to_the_same_places():
    def pointers(cells):
        where = cells[-1]
        return sorted(headings_named(where)), EXERCISE.findall(where), COMMAND.findall(where)

    english, chinese = rows(ENGLISH), rows(CHINESE)
    assert list(english) == list(chinese) and len(english) >= 37
    for name in english:
        assert pointers(english[name]) == pointers(chinese[name]), name


def test_nothing_is_left_to_be_done():
    assert "TODO" not in PAGE
