"""What is asked in a chapter, and for how many points: `task_of`, for the course or for a class.

In a class its own notebook decides, CLASS/source/CHAPTER/CHAPTER.ipynb: what students are handed out is made
from it (`classroom.release`), so what is graded is read from it. An exercise is a pair of nbgrader's cells,
the answer `meta_slope` and its test `check_meta_slope`, which holds the points; delete both and it is not
asked. Its check is the course's, or an `@exercise` in CLASS/private/CHAPTER.py. Where the two files do not fit
together there is no task but a ValueError that says what to do: nobody is graded by half of what was meant.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from maml_edu import places
from maml_edu.checks.exercise import Exercise, Private, load_chapter, load_private, prefix_of

from .submission import Rejected, read

NOTHING_THERE = "YOUR ANSWER HERE"  # what nbgrader leaves of a written model answer


@dataclass(frozen=True)
class Written:
    """A question that a person reads: its cell's name, its points."""

    id: str
    points: float


@dataclass(frozen=True)
class Task:
    """What is asked in a chapter: its exercises, its written questions, and cells that are given."""

    chapter: str
    exercises: list[Exercise]
    written: list[Written]
    given: str  # import statements of the notebook that was handed out
    texts: frozenset[str] = frozenset()  # and all its cells, as they were handed out

    @property
    def worth(self) -> dict[str, float]:
        """Points by exercise."""
        checked = {item.id: float(item.points) for item in self.exercises}
        return checked | {question.id: question.points for question in self.written}

    @property
    def digest(self) -> str:
        """Of what marks depend on: another one, and results are graded again. Prose is no part of it."""
        asked = [[item.id, item.interface, item.points] for item in self.exercises]
        questions = [[question.id, question.points] for question in self.written]
        text = json.dumps([self.chapter, asked, questions, self.given])
        return hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------ which chapters


def with_exercises() -> list[str]:
    """The chapters of the course that have exercises, in order."""
    root = places.course_root() / "course"
    return [name for name in places.chapters() if (root / name / "checks.py").is_file()]


def notebook_of(chapter: str, source: Path | None) -> Path | None:
    """A chapter's notebook in a class's source/; None where the course's counts.

    Raises ValueError for a folder without its notebook.
    """
    if source is None or not (source / chapter).is_dir():
        return None
    path = source / chapter / f"{chapter}.ipynb"
    if not path.is_file():
        raise ValueError(
            f"{source / chapter} is there, and no {path.name} in it: is it called otherwise? Delete the folder "
            "to ask what the course asks."
        )
    return path


def own_chapters(source: Path) -> list[str]:
    """The chapters in a class's source/ that are none of the course's."""
    found = sorted(
        path.parent.name for path in source.glob("*/*.ipynb") if path.stem == path.parent.name
    )
    return [name for name in found if name not in with_exercises()]


def refuse_name(chapter: str) -> None:
    """Raise ValueError for a chapter of a class that would be taken for one of the course."""
    if not re.fullmatch(r"\w+", chapter) or chapter.startswith("_"):
        raise ValueError(f"source/{chapter}: a chapter's name has letters, digits and _ alone.")
    taken = [name for name in places.chapters() if prefix_of(name) == prefix_of(chapter)]
    if taken:
        raise ValueError(
            f'source/{chapter}: "{prefix_of(chapter)}" is {taken[0]} of the course. Give your chapter another '
            "number, from 50 on, say: 50_transformers, with its notebook and its file in private/."
        )


def refuse_twins(chapters: Iterable[str], source: Path) -> None:
    """Raise ValueError where two chapters of a class would share a mark: by_hand.csv knows a name alone."""
    chapters, course = list(chapters), with_exercises()
    for chapter in chapters:
        if chapter not in course:
            refuse_name(chapter)
    of: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    there = {path.parent.name for path in source.glob("*/*.ipynb") if path.stem == path.parent.name}
    for chapter in sorted({*chapters, *there}):
        other = prefixes.setdefault(prefix_of(chapter), chapter)
        if other != chapter:
            raise ValueError(f"source/ has both {other} and {chapter}: give one another number.")
        path = notebook_of(chapter, source)
        for cell in marked_cells(path) if path else ():
            if cell.grade and cell.solution and of.setdefault(cell.name, chapter) != chapter:
                raise ValueError(
                    f'the question "{cell.name}" is in {of[cell.name]} and in {chapter}: give it another grade_id '
                    "in one, for a mark by hand names the question alone."
                )


# ------------------------------------------------------------------ the task


def task_of(chapter: str, source: Path | None = None, private: Path | None = None) -> Task:
    """What is asked in a chapter: of the course, or of a class with these source/ and private/ folders.

    Raises ValueError for a chapter without exercises, and for files of a class that contradict each other.
    """
    file = private / f"{chapter}.py" if private is not None else None
    further = load_private(chapter, file)
    path = notebook_of(chapter, source)
    if path is None:
        task = _of_course(chapter)
        if further.exercises:
            raise ValueError(
                f'{file}: @exercise("{next(iter(further.exercises))}") has no cells, for there is no '
                f"source/{chapter}/{chapter}.ipynb: put the notebook there, or delete the exercise."
            )
    else:
        task = _of_class(chapter, path, path.read_bytes(), further)
    return replace(task, exercises=[_with_more(item, further) for item in task.exercises])


def _with_more(item: Exercise, further: Private) -> Exercise:
    more = further.also.get(item.id)
    return replace(item, more=[*item.more, *more]) if more else item


def _of_course(chapter: str) -> Task:
    """Exercises and written questions of a chapter folder, read from the course."""
    source = places.course_root() / "course" / chapter / "exercises.py"
    if not source.is_file():
        raise ValueError(
            f"there are no exercises in chapter {chapter!r}; there are in: {', '.join(with_exercises())}"
        )
    text = source.read_text(encoding="utf-8")
    heads = re.findall(r"^# %% \[markdown\] nbgrader=(\{.*\})$", text, flags=re.M)
    written = [
        Written(*re.search(r'"grade_id": "(\w+)".*"points": (\d+)', head).groups())  # type: ignore[union-attr]
        for head in heads
        if '"solution": true' in head
    ]
    given = re.findall(r"^(?:import|from) .+$", text, flags=re.M)
    own = [Written(w.id, float(w.points)) for w in written]
    return Task(chapter, load_chapter(chapter), own, "\n".join(given), handed_out(chapter))


def handed_out(chapter: str) -> frozenset[str]:
    """The cells of the notebook that the course hands out, as they are there and as a class gets them."""
    path = places.course_root() / "exercises" / f"{chapter}.ipynb"
    return _texts(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _texts(path: Path, time: int) -> frozenset[str]:
    texts = [cell.source for cell in read(path).cells]
    return frozenset(text.strip() for own in texts for text in (own, without_dead_links(own)))


@lru_cache(maxsize=64)  # it is asked for twice a submission
def _of_class(chapter: str, path: Path, content: bytes, further: Private) -> Task:
    course = load_chapter(chapter) if chapter in with_exercises() else []
    if not course:
        refuse_name(chapter)
    cells = _cells(str(path), content)
    known = {item.name: item for item in [*course, *further.exercises.values()]}
    exercises, problems = _exercises(cells, known, further)
    written, more = _questions(cells)
    problems += more
    if not exercises and not written and not problems:
        problems = ["nothing is asked: no cell in it is one of nbgrader's"]
    if problems:
        raise ValueError(f"{path}: " + "\n".join(problems))
    texts = {cell.source for cell in cells if not cell.solution}
    texts |= {without_dead_links(text) for text in texts}
    out = handed_out(chapter) if course else frozenset()
    return Task(chapter, exercises, written, _given(cells), out | {text.strip() for text in texts})


# ------------------------------------------------------------------ the cells of a class's notebook


@dataclass(frozen=True)
class Marked:
    """A cell of a source notebook, with what nbgrader's metadata say of it."""

    kind: str
    source: str
    name: str = ""
    grade: bool = False
    solution: bool = False
    task: bool = False
    points: Any = None

    @property
    def answer(self) -> bool:
        """Whether students write code here that a test cell grades."""
        return self.kind == "code" and self.solution and not self.grade

    @property
    def test(self) -> bool:
        return self.grade and not self.solution


def marked_cells(path: Path) -> list[Marked]:
    """The cells of a notebook. Raises ValueError where it is none."""
    return _cells(str(path), path.read_bytes())


@lru_cache(maxsize=64)
def _cells(path: str, content: bytes) -> list[Marked]:
    try:
        cells = json.loads(content.decode("utf-8-sig"))["cells"]
        return [_marked(cell) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no notebook ({type(error).__name__}): save it again in JupyterLab, or take back "
            "the copy that you had before."
        ) from error


def _marked(cell) -> Marked:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    own = cell.get("metadata", {}).get("nbgrader", {})
    flags = {key: bool(own.get(key)) for key in ("grade", "solution", "task")}
    return Marked(
        cell["cell_type"], text, str(own.get("grade_id", "")), points=own.get("points"), **flags
    )


def _exercises(cells, known, further) -> tuple[list[Exercise], list[str]]:
    """The exercises that the cells ask, in their order, and what is wrong with others."""
    tests = {cell.name: cell for cell in cells if cell.test}
    answers = [cell for cell in cells if cell.answer]
    found, problems = [], _twice(cells)
    for cell in answers:
        test, item = tests.pop(f"check_{cell.name}", None), known.get(cell.name)
        if test is None and item is None:
            continue  # to be written for its own sake: the last cells of chapter 16, say
        if problem := _contradiction(cell, test, item, further):
            problems.append(problem)
        else:
            found.append(replace(item, points=_number(test.points)))
    names = {cell.name for cell in answers}
    problems += [_without_answer(name) for name in tests]
    problems += [
        f'@exercise("{own.id}") in private/{further.chapter}.py has no cells: an answer with the grade_id '
        f'"{own.name}" and a test "check_{own.name}" are needed, or the exercise has to go.'
        for own in further.exercises.values()
        if own.name not in names
    ]
    return found, problems


def _twice(cells) -> list[str]:
    names = [cell.name for cell in cells if cell.grade or cell.solution]
    return [f'two cells have the grade_id "{name}": delete one, or rename it.'
            for name in sorted({name for name in names if names.count(name) > 1})]  # fmt: skip


def _contradiction(cell, test, item, further) -> str:
    """What is wrong with a pair of cells and the check that should go with them; "" where all is well."""
    own = f"private/{further.chapter}.py"
    if item is None:
        return (
            f'no check is known for the cell "{cell.name}": neither the course nor {own} has '
            f'@exercise("{prefix_of(further.chapter)}.{cell.name}"). Write it there, rename the cell, or delete it '
            "with its test cell."
        )
    if test is None:
        return (
            f'the cell "{cell.name}" has no test cell "check_{cell.name}", so {item.id} has no points: bring '
            "that back, or delete this one too."
        )
    if _number(test.points) is None:
        return f'the cell "check_{cell.name}" has no points: give it a number, from 0 on.'
    if item.id in further.exercises and _number(test.points) != item.points:
        return (
            f"{item.id} is worth {item.points:g} points in {own} and {_number(test.points):g} in the cell "
            f'"check_{cell.name}": make them equal.'
        )
    if item.id in further.exercises and _asks_for_private(test, item):
        return (
            f'the cell "check_{cell.name}" calls check("{item.id}", …), which no student has: write asserts '
            "that they may see. Your check in private/ is run when you grade."
        )
    return ""


HIDDEN = re.compile(r"^\s*### BEGIN HIDDEN TESTS.*?^\s*### END HIDDEN TESTS", flags=re.M | re.S)


def _asks_for_private(test, item) -> bool:
    return (
        re.search(rf"""\bcheck\(\s*["']{re.escape(item.id)}["']""", HIDDEN.sub("", test.source))
        is not None
    )


def _without_answer(name: str) -> str:
    if name.startswith("check_"):
        answer = name.removeprefix("check_")
        return (
            f'the cell "{name}" has points, and there is no answer cell "{answer}": bring that back, or '
            "delete this one too."
        )
    return (
        f'the test cell "{name}" belongs to no answer: call it check_NAME, where NAME is the grade_id of the '
        "answer's cell and the name of its function."
    )


def _questions(cells) -> tuple[list[Written], list[str]]:
    """The questions that a person reads, and what is wrong with them."""
    found, problems = [], []
    for cell in cells:
        if cell.task:
            problems.append(
                f'"{cell.name}" is one of nbgrader\'s "manually graded tasks", which are not graded here: make it '
                "a manually graded answer."
            )
        elif cell.grade and cell.solution:
            points = _number(cell.points)
            if points is None:
                problems.append(
                    f'the question "{cell.name}" has no points: give it a number, from 0 on.'
                )
            else:
                found.append(Written(cell.name, float(points)))
    return found, problems


def _number(points) -> float | int | None:
    """Points as nbgrader keeps them; None for what is no number, or below 0."""
    if isinstance(points, bool) or not isinstance(points, (int, float)) or not 0 <= points < 1e6:
        return None
    return int(points) if float(points).is_integer() else points


SOLUTION = re.compile(r"^\s*### BEGIN SOLUTION.*?^\s*### END SOLUTION", flags=re.M | re.S)


def _given(cells) -> str:
    """The import statements that students are given."""
    lines: list[str] = []
    for cell in cells:
        if cell.kind == "code":
            text = re.sub(r"^\s*[%!].*$", "", SOLUTION.sub("    pass", cell.source), flags=re.M)
            try:
                body = ast.parse(text).body
            except SyntaxError:
                continue
            lines += [
                ast.unparse(line) for line in body if isinstance(line, (ast.Import, ast.ImportFrom))
            ]
    return "\n".join(dict.fromkeys(lines))


# ------------------------------------------------------------------ what is handed out

LINK = re.compile(r"\[([^\]\n]+)\]\(\.\./(\w+)/(\w+)\.ipynb\)")


def without_dead_links(text: str) -> str:
    """A text cell as a class gets it: links to the course's other notebooks lead nowhere there.

    A link to a lesson becomes its title, and how it is opened; of another, its words stay.
    """

    def in_words(link):
        lesson = link[2] == "notebooks" and link[3] in places.chapters()
        return f"{places.title(link[3])} (`maml-edu lab` opens it)" if lesson else link[1]

    return LINK.sub(in_words, text)


POINTS = re.compile(r"·\s*(\d+(?:[.,]\d+)?)\s+points?\b")


def contradicting_texts(path: Path) -> list[str]:
    """Where the text above an answer says other points than its cell has."""
    above, found = "", []
    cells = marked_cells(path)
    tests = {cell.name: cell for cell in cells if cell.test}
    for cell in cells:
        graded = tests.get(f"check_{cell.name}") if cell.answer else cell
        said = (
            POINTS.search(above)
            if graded and (cell.answer or cell.grade and cell.solution)
            else None
        )
        if said and graded and float(said[1].replace(",", ".")) != _number(graded.points):
            found.append(
                f'{path}: the text above "{cell.name}" says {said[1]} points, its cell has '
                f"{graded.points}: make them equal, students read the one and are graded by the other."
            )
        above = cell.source if cell.kind == "markdown" else ""
    return found


# ------------------------------------------------------------------ what a person reads


class WithSource(Protocol):
    """A class folder (`classroom.Classroom`), as far as it is needed here."""

    @property
    def source(self) -> Path: ...


def question(classroom: WithSource, chapter: str, name: str) -> str:
    """What a student was asked, as Markdown: the text above the cell of this name, from its heading on.

    name: an exercise ("04.meta_slope") or a question ("written_04"). "" where there is none.
    """
    cells = marked_cells(_source(classroom, chapter))
    places_of = [i for i, cell in enumerate(cells) if cell.name == name.split(".", 1)[-1]]
    texts: list[str] = []
    for cell in reversed(cells[: places_of[0]] if places_of else []):
        if cell.kind != "markdown" or cell.grade or cell.solution:
            break
        texts.insert(0, cell.source)
        if cell.source.lstrip().startswith("#"):
            break
    return "\n\n".join(texts)


def rubric(classroom: WithSource, chapter: str, name: str) -> str:
    """The model answer and the rubric of a question ("written_04"), as Markdown; "" where there is none."""
    cells = marked_cells(_source(classroom, chapter))
    found = [cell.source for cell in cells if cell.name == name.split(".", 1)[-1]]
    return "\n\n".join(found)


def title(classroom: WithSource, chapter: str) -> str:
    """What a chapter is called: by the course's lesson, or by the first heading of a class's own notebook."""
    if chapter in places.chapters():
        return places.title(chapter)
    try:
        cells = marked_cells(_source(classroom, chapter))
    except (ValueError, OSError):
        return chapter
    heading = re.search(
        r"^# (.+)$", "\n".join(c.source for c in cells if c.kind == "markdown"), flags=re.M
    )
    return heading[1].strip() if heading else chapter


def _source(classroom: WithSource, chapter: str) -> Path:
    own = notebook_of(chapter, classroom.source)
    return own or places.course_root() / "solutions" / f"{chapter}.ipynb"


def model_notebook(chapter: str, source: Path | None) -> Path:
    """The notebook with the model answers that count. Raises ValueError where it is not there."""
    path = notebook_of(chapter, source) or places.course_root() / "solutions" / f"{chapter}.ipynb"
    try:
        read(path)
    except Rejected as error:
        raise ValueError(f"{path}: {error}") from error
    return path
