"""Several definitions of one answer: the one counts that Python would have used, and that was meant."""

from __future__ import annotations

from .cases import ALL, Case, changed, code, id_of, is_answer, raw, solved, stub

RIGHT = "def meta_slope(theta, c, a, alpha): return (1 - alpha * a) ** 2 * a * (theta - c)"
WRONG = "def meta_slope(theta, c, a, alpha): return 0.0"
FIRST = (0, 3, 3, 3, 4, 3)  # points where the first one is wrong


def own(notebook) -> dict:
    """The cell of the first answer."""
    return next(c for c in notebook["cells"] if id_of(c) == "meta_slope")


def more(name, *cells, points=ALL, at="end", **about) -> Case:
    """A solved notebook with these cells, at the end or at the start."""
    notebook = solved()
    place = len(notebook["cells"]) if at == "end" else 0
    notebook["cells"][place:place] = [code(c) if isinstance(c, str) else c for c in cells]
    return Case(name, notebook, points, **about)


def only(name, *cells, points=ALL, **about) -> Case:
    """The first answer's cell replaced by these."""
    notebook = solved()
    place = notebook["cells"].index(own(notebook))
    notebook["cells"][place : place + 1] = [code(c) if isinstance(c, str) else c for c in cells]
    return Case(name, notebook, points, **about)


def retyped(kind):
    def change(notebook):
        own(notebook)["cell_type"] = kind

    return change


def every_attempt(kind):
    """An old attempt at each answer, made text, below the answer."""

    def change(notebook):
        for place in range(len(notebook["cells"]) - 1, -1, -1):
            if is_answer(one := notebook["cells"][place]):
                notebook["cells"].insert(
                    place + 1, raw(f"def {id_of(one)}(*args): return 0.0", kind)
                )

    return change


FENCED = f"My first try:\n\n```python\n{WRONG}\n```"

TEXT = [
    changed("old attempts are raw cells below the answers", every_attempt("raw"), marks=("ordinary",)),
    changed("old attempts are text below the answers", every_attempt("markdown")),
    more("an old attempt is text above everything", raw(WRONG), at="start"),
    more("an old attempt in a fence", raw(FENCED, "markdown")),
    more("an old attempt with words around it", raw(f"I had this before, and it was wrong.\n\n{WRONG}", "markdown")),
    more("a value in text", raw("meta_slope = 0.3\nbest_start = 1", "markdown")),
    more("text that ends the process", raw("def meta_slope(): pass\nimport os; os._exit(1)")),
    more("text that never ends", raw(f"{WRONG}\nwhile True: pass"), quick=True),
    changed("one answer has become raw", retyped("raw")),
    changed("one answer has become text", retyped("markdown")),
    only("raw, and the empty cell below it", raw(RIGHT), own(stub())),
    only("raw, and the empty cell above it", own(stub()), raw(RIGHT)),
    only("two raw cells, the last right", raw(WRONG), raw(RIGHT)),
    only("two raw cells, the last wrong", raw(RIGHT), raw(WRONG), points=FIRST),
    only("raw and right, and a wrong one in code", raw(RIGHT), WRONG, points=FIRST),
    only("a fence and nothing else", raw(f"```python\n{RIGHT}\n```", "markdown"), points=(None, 3, 3, 3, 4, 3), says="a person reads it"),
    only("a lambda in code beside an old def in text", f"meta_slope = lambda theta, c, a, alpha: {RIGHT.partition('return ')[2]}", raw(WRONG)),
    only("imported in code beside an old def in text", f"%%writefile mine.py\n{RIGHT}", "from mine import meta_slope", raw(WRONG)),
    only("a class in code beside an old def in text", f"class meta_slope(float):\n    def __new__(cls, theta, c, a, alpha): {RIGHT.partition(': ')[2]}", raw(WRONG)),
]  # fmt: skip

LAST = [
    more("kept, spoilt, put back", "keep = meta_slope", WRONG, "meta_slope = keep", marks=("ordinary",)),
    more("kept, spoilt, put back in one line each of one cell", f"keep = meta_slope\n{WRONG}\nmeta_slope = keep"),
    more("put back by its import", "import copy\nkeep = meta_slope", WRONG, "globals().update(meta_slope=keep)"),
    more("put back twice", "keep = meta_slope", WRONG, "meta_slope = keep", WRONG, "meta_slope = keep"),
    more("the wrong one put back", WRONG, "wrong = meta_slope", RIGHT, "meta_slope = wrong", points=FIRST),
    more("spoilt, put back, spoilt again", "keep = meta_slope", WRONG, "spoilt = meta_slope", "meta_slope = keep", "meta_slope = spoilt", points=FIRST),
    more("swapped for another's answer", "meta_slope, numeric_meta_slope = numeric_meta_slope, meta_slope",
         points=(0, 0, 3, 3, 4, 3)),
    more("wrapped", "import functools\nmeta_slope = functools.lru_cache(meta_slope)"),
    more("wrapped in itself", "plain = meta_slope\ndef meta_slope(*args): return plain(*args)"),
    more("deleted and made again", "del meta_slope", RIGHT),
    more("deleted after a wrong one", WRONG, "del meta_slope", points=FIRST),
    more("made again by exec", f"exec({WRONG!r})", points=FIRST),
    more("made in a loop", f"for i in range(3):\n    {WRONG}", points=FIRST),
    more("made where nothing is true", f"if False:\n    {WRONG}"),
    more("made where something is true", f"if True:\n    {WRONG}", points=FIRST),
    more("made while something fails", f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {WRONG}", points=FIRST),
    more("another one inside a function", f"def outer():\n    {WRONG}\n    return meta_slope(0, 0, 0, 0)\nouter()"),
    more("another one, global in a function", f"def outer():\n    global meta_slope\n    {WRONG}\nouter()", points=FIRST),
    more("a text of that name at the end", "meta_slope = 'see above'"),
    more("the empty cell at the end", own(stub())),
    more("the empty cell, with a word in it, at the end", code("".join(own(stub())["source"]).replace("# YOUR CODE HERE", "# see above"))),
    more("a cell that fails before another one", f"1 / 0\n{WRONG}"),
    more("a cell that fails behind another one", f"{WRONG}\n1 / 0", points=FIRST),
    only("right in a cell of its own, wrong in the named one before", WRONG, RIGHT),
    only("two in one cell", f"{WRONG}\n{RIGHT}"),
    only("two in one cell, the wrong one last", f"{RIGHT}\n{WRONG}", points=FIRST),
]  # fmt: skip

CASES = [*TEXT, *LAST]
