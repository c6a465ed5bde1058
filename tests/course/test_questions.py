"""Questions people ask (chapter 16): each answer is short, and says where it is shown; what it names is there."""

import re
from functools import cache

import pytest
from course_files import source

from maml_edu import places

ROOT = places.course_root()
CHAPTER, ARTICLE = "16_your_own", 3
MOST_WORDS = 105


@cache
def plain(path):
    """A page's text, without comment signs at the start of lines, each space a single one."""
    text = re.sub(r"^# ?", "", path.read_text("utf-8"), flags=re.M)
    return re.sub(r"\s+", " ", text)


def questions():
    """{question: (answer, where it is shown)}, in the order of the lesson."""
    lesson = re.sub(r"^# ?", "", source(CHAPTER, "lesson.py").read_text("utf-8"), flags=re.M)
    part = lesson.split("## Questions people ask")[1].split("## What you should have seen")[0]
    asked = re.findall(
        r"^\*\*(\d+ · .+?)\*\*\n(.+?)^\*Shown in\*(.+?)(?=\n\n|\n %%|\Z)", part, re.S | re.M
    )
    return {re.sub(r"\s+", " ", q): (a, re.sub(r"\s+", " ", shown)) for q, a, shown in asked}


ASKED = questions()


def pages(shown):
    """The texts that an answer's last line names: lessons with their exercises, and the pages of docs/."""
    chapters = re.findall(r"\((\w+)\.ipynb\)", shown) or [CHAPTER]
    parts = [
        source(chapter, name) for chapter in chapters for name in ("lesson.py", "exercises.py")
    ]
    docs = [ROOT / name for name in re.findall(r"`(docs/\w+\.md)`", shown)]
    return " ".join(plain(path) for path in parts + docs if path.is_file())


def test_there_are_at_least_twenty_numbered_in_order():
    numbers = [int(question.split(" · ")[0]) for question in ASKED]
    assert len(numbers) >= 20
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("question", ASKED)
def test_an_answer_is_short_and_names_a_lesson_that_exists(question):
    answer, shown = ASKED[question]
    assert len(answer.split()) <= MOST_WORDS
    chapters = re.findall(r"\((\w+)\.ipynb\)", shown)
    assert chapters or "this chapter" in shown
    assert not [name for name in chapters if not source(name, "lesson.py").is_file()]
    assert not [
        name for name in re.findall(r"`(docs/\w+\.md)`", shown) if not (ROOT / name).is_file()
    ]


@pytest.mark.parametrize("question", ASKED)
def test_what_an_answer_quotes_is_a_heading_or_words_of_a_page_it_names(question):
    _, shown = ASKED[question]
    here = plain(source(CHAPTER, "lesson.py")).lower() if "this chapter" in shown else ""
    text = (pages(shown) + here).lower()
    assert not [
        words for words in re.findall(r'"([^"]+)"', shown) if words.rstrip(",").lower() not in text
    ]


@pytest.mark.parametrize("question", ASKED)
def test_every_decimal_number_of_an_answer_stands_on_a_page_it_names(question):
    answer, shown = ASKED[question]
    numbers = re.findall(r"(?<![\d.])\d+\.\d+(?!\d|\.\d)", answer)
    standing = set(re.findall(r"(?<![\d.])\d+\.\d+(?!\d|\.\d)", pages(shown)))
    assert not [number for number in numbers if number not in standing]
