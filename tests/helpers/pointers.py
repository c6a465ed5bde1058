"""What a text points to, and whether it is there: headings of lessons, exercises, commands, scripts."""

import re
from functools import cache

from course_files import exercise_ids, found_chapters, source

from maml_edu import places

ROOT = places.course_root()
COMMAND = re.compile(r"`(?:python )?((?:maml-edu|make|examples/|benchmarks/)[^`…]*)`")
EXERCISE = re.compile(r"`(\d\d\.\w+)`")
# Headings of a lesson stand in italics behind its link: [07], *The algorithm* and *What the start has*.
LESSON = re.compile(r"\[(\d\d)\]")
ITALIC = re.compile(r"(?<!\*)\*([^*]+)\*(?!\*)")


def chapter_of(number):
    [chapter] = [name for name in found_chapters() if name.startswith(f"{number}_")]
    return chapter


def plain(heading):
    """A heading without its mathematics' marks: "$I - \\alpha H$" and "I − αH" are one."""
    return re.sub(r"[$ `]", "", heading.replace("\\alpha", "α").replace("−", "-"))


@cache
def headings(number):
    text = source(chapter_of(number), "lesson.py").read_text(encoding="utf-8")
    return [plain(heading) for heading in re.findall(r"^# #+ (.+)$", text, re.M)]


@cache
def exercises():
    return {
        id for chapter in found_chapters() for id in exercise_ids(chapter) if chapter[:2] != "00"
    }


def headings_named(text):
    """(chapter number, heading) for each heading in italics that follows a lesson's link."""
    parts = LESSON.split(text)[1:]
    return [
        (number, heading)
        for number, after in zip(parts[::2], parts[1::2], strict=True)
        for heading in ITALIC.findall(after.split("[e")[0])
    ]


def missing(text):
    """Whatever the text points to and is not there, in words."""
    wrong = [
        f"chapter {number} has no heading {heading!r}"
        for number, heading in headings_named(text)
        if not any(known.startswith(plain(heading.rstrip(" …"))) for known in headings(number))
    ]
    wrong += [f"no exercise {id}" for id in EXERCISE.findall(text) if id not in exercises()]
    return wrong + [words for command in COMMAND.findall(text) if (words := _command(command))]


def points_to_something_that_runs(text):
    return bool(LESSON.search(text) or EXERCISE.search(text) or COMMAND.search(text))


def _command(command):
    program, *words = command.split()
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
        return None if words[0] in targets else f"no target {words[0]} in the Makefile"
    if program == "maml-edu":
        from typer.main import get_command

        from maml_edu.cli import app

        return None if words[0] in get_command(app).commands else f"no command {command}"
    return None if (ROOT / program).is_file() else f"no file {program}"
