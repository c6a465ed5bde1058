"""Which files the course has: shared by the tests of this folder and their conftest."""

import ast
from functools import cache

from maml_edu import places

FOLDERS = ("notebooks", "exercises", "solutions")
# (notebook, what stands there, what the tests run): what takes long. `maml-edu build` executes all of it.
SHORTENED = (
    ("notebooks/05_hessians.ipynb", "rng(seed), tasks=3)", "rng(seed), tasks=1)"),
    ("notebooks/06_many_inner_steps.ipynb", "rng(6), tasks=40)", "rng(6), tasks=8)"),
    ("notebooks/06_many_inner_steps.ipynb", "iterations=4_000", "iterations=1_000"),
    ("notebooks/06_many_inner_steps.ipynb", "SIZES = [1, 2, 4, 8, 16, 64]", "SIZES = [1, 8, 64]"),
    ("notebooks/06_many_inner_steps.ipynb", "steps in (16, 64, 256)", "steps in (16, 32)"),
    ("notebooks/07_maml_in_numpy.ipynb", "ITERATIONS = 70_000", "ITERATIONS = 2_100"),
    ("notebooks/08_maml_in_pytorch.ipynb", "for seed in (8, 9, 10)", "for seed in (8,)"),
    ("notebooks/09_fast_maml.ipynb", "ROUNDS = 15", "ROUNDS = 5"),
    ("notebooks/10_few_shot_images.ipynb", "train, iterations,", "train, iterations // 10,"),
    ("notebooks/13_robots.ipynb", "family, 100,", "family, 4,"),
    ("notebooks/13_robots.ipynb", "tasks, 2_000,", "tasks, 100,"),
    ("notebooks/14_language.ipynb", "rate, iterations=300", "rate, iterations=20"),
    (
        "notebooks/16_your_own.ipynb",
        "transformer, family, iterations=2_000",
        "transformer, family, iterations=200",
    ),
    ("notebooks/16_your_own.ipynb", "losses.reshape(4, 500)", "losses.reshape(4, 50)"),
    ("notebooks/16_your_own.ipynb", "family, iterations=7_000", "family, iterations=700"),
    (
        "notebooks/16_your_own.ipynb",
        "seeds=(0, 1, 2), iterations=2_000",
        "seeds=(0, 1, 2), iterations=200",
    ),
    ("solutions/07_maml_in_numpy.ipynb", "iterations=300,", "iterations=60,"),
    ("solutions/08_maml_in_pytorch.ipynb", "iterations=300,", "iterations=60,"),
)


def found_chapters():
    """Folder names in course/, none when there is no course."""
    try:
        return places.chapters()
    except FileNotFoundError:
        return []


def source(chapter, name):
    return places.course_root() / "course" / chapter / name


def built_paths(chapter):
    """Paths where this chapter's built notebooks belong, whether they are there or not."""
    folders = FOLDERS if source(chapter, "exercises.py").is_file() else FOLDERS[:1]
    return [places.course_root() / folder / f"{chapter}.ipynb" for folder in folders]


def exercise_ids(chapter):
    """Ids like "04.meta_slope" in the order of checks.py; nothing is imported."""
    return [id for id, _ in _decorated(source(chapter, "checks.py"), "exercise")]


def wrong_answer_places(chapter):
    """(exercise id, how many of its wrong answers come before, function name) for each."""
    return _places(chapter, "wrong_answer")


def right_answer_places(chapter):
    """The same of its unusual right answers, which stand beside the wrong ones."""
    return _places(chapter, "right_answer")


def _places(chapter, decorator):
    found = _decorated(source(chapter, "wrong_answers.py"), decorator)
    before = [[id for id, _ in found[:i]].count(id) for i, (id, _) in enumerate(found)]
    return [(id, count, name) for (id, name), count in zip(found, before, strict=True)]


@cache  # asked for again with every test that runs for each exercise
def _decorated(path, decorator):
    """(the decorator's first argument, the function's name) for all functions that have it."""
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return [
        (call.args[0].value, function.name)
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for call in function.decorator_list
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == decorator
    ]
