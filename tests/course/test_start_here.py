"""What chapter 00 says of the course is so: the map, and the numbers in its stored output."""

import re

from course_files import built_paths, found_chapters, source

from maml_edu.checks.exercise import find

START = "00_start_here"


def stored_words(notebook):
    """All text that the stored outputs of a notebook show."""
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    shown = [str(output.get("text", "")) for output in outputs]
    return "\n".join(shown + [str(o.get("data", {}).get("text/plain", "")) for o in outputs])


def test_the_stored_output_counts_no_exercises_that_may_change(read):
    words = stored_words(read(built_paths(START)[0]))
    assert not re.search(r"\d+ of \d+ (exercises|points)", words)


def test_the_exercise_shown_on_the_page_has_the_points_and_minutes_of_today(read):
    words = stored_words(read(built_paths(START)[0]))
    item = find("01.descent_step")
    said = re.findall(
        r"01\.descent_step: not done yet \((\d+) points, about (\d+) minutes\)", words
    )
    assert said == [(str(item.points), str(item.minutes))]


def test_the_map_links_every_chapter_that_there_is_and_no_other():
    text = source(START, "lesson.py").read_text(encoding="utf-8").split("## The map")[1]
    table = text.split("# %%")[0]
    linked = re.findall(r"\[\d\d · [^]]+\]\((\d\d_\w+)\.ipynb\)", table)
    assert linked == [chapter for chapter in found_chapters() if chapter != START]
    assert re.findall(r"exercises/(\d\d_\w+)\.ipynb", table) == linked
