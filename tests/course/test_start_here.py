"""What chapter 00 says of the course is so: the map, and the numbers in its stored output."""

import re

from course_files import built_paths, found_chapters, source

START = "00_start_here"


def stored_words(notebook):
    """All text that the stored outputs of a notebook show."""
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    shown = [str(output.get("text", "")) for output in outputs]
    return "\n".join(shown + [str(o.get("data", {}).get("text/plain", "")) for o in outputs])


def test_the_stored_output_counts_no_exercises_that_may_change(read):
    words = stored_words(read(built_paths(START)[0]))
    assert not re.search(r"\d+ of \d+ (exercises|points)", words)


def test_the_exercise_shown_on_the_page_is_none_of_the_course():
    text = source(START, "lesson.py").read_text(encoding="utf-8")
    assert set(re.findall(r'check\("(\w+)\.', text)) == {"demo"}  # its answer stands on the page


def test_the_map_asks_what_the_lessons_ask():
    table = source(START, "lesson.py").read_text(encoding="utf-8").split("# %%")[2]
    for chapter in found_chapters():
        lesson = source(chapter, "lesson.py").read_text(encoding="utf-8")
        question = re.search(r"^# \*([^*]+\?)\*$", lesson, re.M)
        assert question and f"| {question[1]} |" in table, chapter


def test_the_map_links_every_chapter_that_there_is_and_no_other():
    text = source(START, "lesson.py").read_text(encoding="utf-8").split("## The map")[1]
    table = text.split("# %%")[0]
    linked = re.findall(r"\[\d\d · [^]]+\]\((\d\d_\w+)\.ipynb\)", table)
    assert linked == [chapter for chapter in found_chapters() if chapter != START]
    assert re.findall(r"exercises/(\d\d_\w+)\.ipynb", table) == linked
