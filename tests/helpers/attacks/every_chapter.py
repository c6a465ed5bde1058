"""The chapters that have no file of their own here: damage, crashes and lies in each of them."""

from __future__ import annotations

from .cases import (
    ALL,
    CHAPTER,
    IMAGES,
    POINTS,
    TORCH,
    Case,
    bare,
    code,
    id_of,
    is_answer,
    raw,
    short,
)

OTHERS = [chapter for chapter in POINTS if chapter not in (CHAPTER, TORCH, IMAGES)]


def answers(notebook) -> list[dict]:
    """The cells that hold functions which are asked for and judged."""
    return [c for c in notebook["cells"] if is_answer(c) and not id_of(c).startswith("my_")]


def old_attempts(chapter) -> Case:
    """From Colab, with an old attempt at each answer that was made text."""
    notebook = short(chapter)
    old = [raw(f"def {id_of(c)}(*args): return 0.0", "markdown") for c in answers(notebook)]
    notebook["cells"] += old
    return Case(f"{chapter[:2]}: from Colab, old attempts as text", bare(notebook), ALL, chapter)


def first_crashes(chapter) -> Case:
    """The first answer ends its process; the second is kept, spoilt and put back."""
    notebook = short(chapter)
    first, second = answers(notebook)[:2]
    name = id_of(second)
    first["source"] = f"def {id_of(first)}(*args):\n    import os; os._exit(1)"
    put_back = (f"keep = {name}", f"def {name}(*args): return None", f"{name} = keep")
    notebook["cells"] += map(code, put_back)
    points = (0, *POINTS[chapter][1:])
    return Case(
        f"{chapter[:2]}: the first crashes", notebook, points, chapter, says="ended its own process"
    )


YES = """
class Yes(float):
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True
    __hash__ = float.__hash__
    __getitem__ = __getattr__ = __call__ = lambda self, *a: self
    __iter__ = lambda self: iter([self] * 4)
    __len__ = lambda self: 4
    shape, ndim, dtype = (), 0, 'float64'
"""


def all_lie(chapter) -> Case:
    """Every answer is an object that is equal to everything."""
    notebook = short(chapter)
    for one in answers(notebook):
        one["source"] = f"def {id_of(one)}(*args): return Yes(1.0)"
    notebook["cells"].insert(0, code(YES))
    nothing = (0,) * len(POINTS[chapter])
    return Case(
        f"{chapter[:2]}: equal to everything", notebook, nothing, chapter, says="not plain data"
    )


def last_cannot_run(chapter) -> Case:
    """The last answer needs what is not here."""
    notebook = short(chapter)
    last = answers(notebook)[-1]
    last["source"] = f"import not_here\n{''.join(last['source'])}"
    points = (*POINTS[chapter][:-1], None)
    return Case(
        f"{chapter[:2]}: the last cannot run", notebook, points, chapter, says="a person reads it"
    )


CASES = [
    make(chapter)
    for chapter in OTHERS
    for make in (old_attempts, first_crashes, all_lie, last_cannot_run)
]
