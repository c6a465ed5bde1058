"""Honest work, in all the ways in which people write it and browsers break it: the right code gets its marks."""

from __future__ import annotations

import base64
import json

from .cases import (
    ALL,
    CHAPTER,
    REFUSED,
    answer,
    answer_cells,
    cell,
    changed,
    code,
    id_of,
    is_answer,
    stub,
)

# ------------------------------------------------------------------ what happens to cells


def without_checks(notebook):
    notebook["cells"] = [c for c in notebook["cells"] if not id_of(c).startswith("check_")]


def edited_checks(notebook):
    for one in notebook["cells"]:
        if id_of(one).startswith("check_"):
            one["source"] = "assert True  # all tests pass!"


def renamed_checks(notebook):
    for one in notebook["cells"]:
        if id_of(one).startswith("check_"):
            one["metadata"]["nbgrader"] |= {"grade_id": "check_meta_slope", "points": 10**6}


def reversed_cells(notebook):
    notebook["cells"].reverse()


def stub_copies_after(notebook):
    """Each answer, then the empty cell once more, as "undo" and "paste" leave it."""
    empty = {id_of(c): c for c in answer_cells(stub())}
    for place in range(len(notebook["cells"]) - 1, -1, -1):
        if is_answer(notebook["cells"][place]):
            notebook["cells"].insert(place + 1, empty[id_of(notebook["cells"][place])])


def stub_copies_before(notebook):
    notebook["cells"][:0] = answer_cells(stub())


def twice(notebook):
    notebook["cells"] *= 2


def retyped(kind):
    def change(notebook):
        for one in answer_cells(notebook):
            one["cell_type"] = kind

    return change


def without_types(notebook):
    for one in notebook["cells"]:
        if one["cell_type"] == "code":
            del one["cell_type"]


def every_metadata(value):
    def change(notebook):
        notebook["metadata"] = value
        for one in notebook["cells"]:
            one["metadata"] = value

    return change


def without_metadata(notebook):
    del notebook["metadata"]
    for one in notebook["cells"]:
        del one["metadata"]
        one.pop("id", None)


def kernel(name, language):
    def change(notebook):
        notebook["metadata"]["kernelspec"] = {
            "name": name,
            "display_name": name,
            "language": language,
        }

    return change


def format_3(notebook):
    cells = []
    for one in notebook["cells"]:
        key = "input" if one["cell_type"] == "code" else "source"
        cells.append(
            {"cell_type": one["cell_type"], "metadata": one["metadata"], key: one["source"]}
        )
        if key == "input":
            cells[-1] |= {
                "language": "python",
                "outputs": [],
                "collapsed": False,
                "prompt_number": 3,
            }
    return {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells}],
    }


def of_format(major, minor):
    def change(notebook):
        notebook["nbformat"], notebook["nbformat_minor"] = major, minor
        for one in notebook["cells"]:
            one.pop("id", None)

    return change


def every_source(change):
    def apply(notebook):
        for one in notebook["cells"]:
            one["source"] = change("".join(one["source"]))

    return apply


def every_answer(change):
    def apply(notebook):
        for one in answer_cells(notebook):
            one["source"] = change("".join(one["source"]))

    return apply


def indented(source):
    return "\n".join("    " + line for line in source.split("\n"))


def one_cell(notebook):
    sources = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    notebook["cells"] = [code("\n\n".join(sources))]


def without_imports(notebook):
    notebook["cells"] = [
        c for c in notebook["cells"] if not "".join(c["source"]).startswith("import")
    ]


def large_outputs(notebook):
    picture = base64.b64encode(bytes(3 << 20)).decode()
    answer_cells(notebook)[0]["outputs"] = [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}},
        {"output_type": "stream", "name": "stderr", "text": ["Warning!\n"] * 1000},
        {
            "output_type": "error",
            "ename": "<script>alert(1)</script>",
            "evalue": "",
            "traceback": [],
        },
        {"output_type": "execute_result", "data": {"text/html": "<script>alert(1)</script>"}},
        "no output at all",
    ]


def many_cells(notebook):
    notebook["cells"] += [code(f"x{i} = {i}") for i in range(1500)]


def odd_cells(notebook):
    notebook["cells"][:0] = [
        {"cell_type": "code", "metadata": {"nbgrader": None}, "source": None, "outputs": None},
        {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": 7}}, "source": 5},
        {"cell_type": "code", "source": ["x = 1\n", None, 3, {"y": 2}]},
        {"cell_type": "heading", "level": 3, "source": "A heading"},
        {"cell_type": ["code"], "source": "y"},
        {},
        {"cell_type": "markdown", "source": "\ud800 <script>alert(1)</script>", "attachments": []},
        None,
        "a cell?",
    ]


def html_everywhere(notebook):
    for one in answer_cells(notebook):
        one["source"] = "# </textarea><script>alert('&')</script>\n" + "".join(one["source"])
        one["metadata"]["tags"] = ["<img src=x onerror=alert(1)>"]


DAMAGED = [
    changed("plain", lambda nb: None),
    changed("check cells deleted", without_checks),
    changed("check cells edited", edited_checks),
    changed("check cells renamed, worth a million", renamed_checks),
    changed("cells in reverse", reversed_cells),
    changed("empty copies after the answers", stub_copies_after),
    changed("empty copies before everything", stub_copies_before),
    changed("every cell twice", twice),
    changed("answers have become text", retyped("markdown")),
    changed("answers have become raw cells", retyped("raw")),
    changed("answers of an unknown type", retyped("python")),
    changed("cells have lost their type", without_types),
    changed("no metadata", without_metadata),
    changed("metadata is null", every_metadata(None)),
    changed("metadata is a list", every_metadata(["nbgrader"])),
    changed("nbgrader's metadata is text", every_metadata({"nbgrader": "locked"})),
    changed("an unknown kernel", kernel("conda-env-ml-2019-py", "python")),
    changed("another language's kernel", kernel("ir", "R")),
    changed("format 3", format_3),
    changed("format 4.0", of_format(4, 0)),
    changed("a format of the future", of_format(99, "x")),
    changed("Windows line ends", every_source(lambda s: s.replace("\n", "\r\n"))),
    changed("old Mac line ends", every_source(lambda s: s.replace("\n", "\r"))),
    changed("source as lines", every_source(lambda s: s.splitlines(keepends=True))),
    changed("source as letters", every_source(list)),
    changed("all indented", every_answer(indented)),
    changed("with tabs", every_answer(lambda s: s.replace("    ", "\t"))),
    changed("with spaces that do not break", every_answer(lambda s: s.replace(" = {", "\u00a0=\u00a0{")),
            (2, 3, 3, 3, 4, 0)),  # no Python: as in the student's own notebook
    changed("all in one cell", one_cell),
    changed("imports deleted", without_imports),
    changed("large outputs", large_outputs),
    changed("1,500 more cells", many_cells),
    changed("cells that are none", odd_cells),
    changed("HTML in code and metadata", html_everywhere),
    changed("a BOM", lambda nb: b"\xef\xbb\xbf" + json.dumps(nb).encode()),
    changed("letters as they are", lambda nb: json.dumps(nb, ensure_ascii=False).encode()),
    changed("empty answers", lambda nb: stub(), (0, 0, 0, 0, 0, 0)),
    changed("no cells", lambda nb: nb | {"cells": []}, REFUSED, says="no exercise of this chapter"),
    *(changed(f"called {name}", lambda nb: None, file=name) for name in (
        f"{CHAPTER} (1).ipynb", f"Copy of {CHAPTER}.IPYNB", f"{CHAPTER}-Copy2.ipynb", f"{CHAPTER}.ipynb.txt",
        "04 final FINAL.ipynb", "李雷 -rf $(id) ;.ipynb", "\x1b[2J\udcff\n.ipynb",
    )),
]  # fmt: skip


# ------------------------------------------------------------------ what people write around it

AROUND = [
    cell(
        "a warning on stderr",
        "import sys, warnings; warnings.warn('old'); print('hm', file=sys.stderr)",
    ),
    cell("warnings are errors", "import warnings; warnings.simplefilter('error')"),
    cell(
        "NumPy raises",
        "import numpy as np; np.seterr(all='raise'); np.set_printoptions(precision=2)",
    ),
    cell("asks for input", "name = input('Your name? '); print('Hello', name)"),
    cell(
        "inline pictures", "import numpy as np\n%matplotlib inline\nimport matplotlib.pyplot as plt"
    ),
    cell("widget pictures", "%matplotlib widget\n%config InlineBackend.figure_format = 'retina'"),
    cell("extensions that are not here", "%load_ext nb_black\n%load_ext autoreload\n%autoreload 2"),
    cell("starts from scratch", "%reset -f"),
    cell("the shell", "!ls -la; echo $HOME\nfiles = !ls\n!sleep 0"),
    cell("installs a package", "%pip install numpy==1.0", quick=True),
    cell("a cell of bash", "%%bash\nrm -rf ~/* /tmp/*"),
    cell(
        "displays",
        "from IPython.display import HTML, display; display(HTML('<b>hi</b>')); get_ipython()",
    ),
    cell(
        "a picture",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show(); plt.savefig('a.png')",
    ),
    cell("a widget", "import ipywidgets; ipywidgets.interact(lambda x: x, x=3)"),
    cell("waits", "import asyncio; await asyncio.sleep(0.01)"),
    cell("a cell that fails", "1 / 0"),
    cell("a cell that is no Python", "def f(:"),
    cell("an assertion of their own", "assert meta_slope(0, 0, 0, 0) == 7, 'hm'"),
    cell("a question mark", "?print\nlen??"),
    cell("prints a lot", "for i in range(20000): print('x' * 200)"),
    cell("a loop to show what not to do", "while True: pass", quick=True),
    cell("exit at the end", "exit()", at="end"),
    cell("quit in the middle", "quit()\nimport sys; sys.exit(3)"),
    cell(
        "tidies up",
        "del meta_slope, numeric_meta_slope, first_order_misleads, best_start",
        at="end",
    ),
    cell("a number of the same name", "best_start = 0.25", at="end"),
    cell("the check, hidden", "check('04.meta_slope', meta_slope, hidden=True)", at="end"),
    cell(
        "a thread",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    ),
    cell("a pool", "import multiprocessing as m\nwith m.Pool(2) as p: print(p.map(abs, [-1, 2]))"),
    cell(
        "a file of their own", "open('notes.txt', 'w').write('hi'); print(open('notes.txt').read())"
    ),
    cell("a module of their own", "%%writefile mine.py\nx = 1"),
    cell(
        "the clock",
        "import time; time.sleep(0.2)\n%time sum(range(1000))\n%timeit -n 1 -r 1 abs(1)",
    ),
]


# ------------------------------------------------------------------ how people write the answers

RIGHT = "(1 - alpha * a) * a * (theta - alpha * a * (theta - c) - c)"


def misleads(verdict):
    """The right answer to 04.first_order_misleads, as `verdict` writes that `products` are negative."""
    return (
        "def first_order_misleads(theta, c, a, alpha):\n"
        "    slopes = a * (1 - alpha * a) * (theta - c)\n"
        "    products = slopes.mean(axis=1) * ((1 - alpha * a) * slopes).mean(axis=1)\n"
        f"    return {verdict}"
    )


THROUGH_TORCH = """
    import torch
    def meta_slope(theta, c, a, alpha):
        theta = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        phi = theta - alpha * a * (theta - c)
        return torch.autograd.grad(a * (phi - c) ** 2 / 2, theta)[0]
"""

WRITTEN = [
    answer("magics in an answer", ALL, meta_slope=f"%matplotlib inline\n%time\ndef meta_slope(theta, c, a, alpha): return {RIGHT}"),
    answer("a timed cell", ALL, meta_slope=f"%%time\ndef meta_slope(theta, c, a, alpha): return {RIGHT}"),
    answer("a captured cell", ALL, meta_slope=f"%%capture out\ndef meta_slope(theta, c, a, alpha): return {RIGHT}"),
    answer("imported from a file that was written", ALL, meta_slope="from mine import meta_slope",
           before=f"%%writefile mine.py\ndef meta_slope(theta, c, a, alpha): return {RIGHT}"),
    answer("letters of other alphabets", ALL, meta_slope="""
        def meta_slope(θ, ц, a, α):
            φ = θ - α * a * (θ - ц)
            斜率 = (1 - α * a) * a * (φ - ц)
            return 斜率"""),
    answer("a helper in another cell", ALL, before="def landing(theta, c, a, alpha): return theta - alpha * a * (theta - c)",
           meta_slope="def meta_slope(theta, c, a, alpha): return (1 - alpha * a) * a * (landing(theta, c, a, alpha) - c)"),
    answer("a lambda", ALL, meta_slope=f"meta_slope = lambda theta, c, a, alpha: {RIGHT}"),
    answer("partial", ALL, meta_slope=f"""
        from functools import partial
        def general(power, theta, c, a, alpha): return ({RIGHT}) ** power
        meta_slope = partial(general, 1)"""),
    answer("an object that can be called", ALL, meta_slope=f"""
        class Slope:
            def __call__(self, theta, c, a, alpha): return {RIGHT}
        meta_slope = Slope()"""),
    answer("a method", ALL, meta_slope=f"""
        class Maths:
            @staticmethod
            def slope(theta, c, a, alpha): return {RIGHT}
        meta_slope = Maths.slope"""),
    answer("np.vectorize", ALL, meta_slope=f"meta_slope = np.vectorize(lambda theta, c, a, alpha: {RIGHT})"),
    answer("decorated, annotated, dataclass", ALL, meta_slope="""
        from __future__ import annotations
        import dataclasses, functools
        @dataclasses.dataclass
        class Task:
            c: float; a: float; alpha: float
        @functools.cache
        def meta_slope(theta: float, c: float, a: float, alpha: float) -> Undefined:
            t = Task(c, a, alpha)
            return (1 - t.alpha * t.a) * t.a * (1 - t.alpha * t.a) * (theta - t.c)"""),
    answer("any arguments", ALL, meta_slope="def meta_slope(*args, h=1):\n    theta, c, a, alpha = args\n    return " + RIGHT),
    answer("prints and plots", ALL, meta_slope=f"""
        import matplotlib.pyplot as plt
        def meta_slope(theta, c, a, alpha):
            print('debug', theta); plt.plot([theta]); plt.show()
            return {RIGHT}"""),
    answer("through torch", ALL, meta_slope=THROUGH_TORCH, marks=("ordinary",)),
    answer("an array of one number", ALL, meta_slope=f"def meta_slope(theta, c, a, alpha): return np.array({RIGHT})"),
    answer("single precision at the end", ALL, meta_slope=f"def meta_slope(theta, c, a, alpha): return np.float32({RIGHT})"),
    answer("extended precision", ALL, best_start="""
        def best_start(c, a, alpha):
            c, a = np.asarray(c, np.longdouble), a.astype(np.longdouble)
            weight = a * (1 - alpha * a) ** 2
            return np.average(c, weights=weight)"""),
    answer("an array of one number in brackets", (0, 3, 3, 3, 4, 3), says="should be a number",
           meta_slope=f"def meta_slope(theta, c, a, alpha): return np.array([{RIGHT}])"),
    answer("a fraction", (0, 3, 3, 3, 4, 3), says="is not plain data",
           meta_slope=f"from fractions import Fraction\ndef meta_slope(theta, c, a, alpha): return Fraction({RIGHT})"),
    answer("a list of Python's bools", ALL, first_order_misleads=misleads("[bool(x < 0) for x in products]")),
    answer("a list of NumPy's bools", ALL, first_order_misleads=misleads("list(products < 0)")),
    answer("a tensor of bools", ALL, first_order_misleads="import torch\n" + misleads("torch.tensor(products) < 0")),
    answer("an array in another order", ALL, first_order_misleads=misleads("(products[::-1] < 0)[::-1]")),
    answer("a matrix", (2, 3, 0, 3, 4, 3), says="has the wrong shape", first_order_misleads=misleads("np.matrix(products < 0)")),
    answer("a masked array", ALL, first_order_misleads=misleads("np.ma.array(products < 0)")),
    answer("under another name", ALL, meta_slope=f"def metaSlope(theta, c, a, alpha): return {RIGHT}"),
    answer("helper and answer under another name", ALL, meta_slope=f"""
        def helper(x): return x
        def my_solution(theta, c, a, alpha): return helper({RIGHT})"""),
    answer("changes what it is given", (2, 3, 3, 0, 4, 3), says="changes `c` and `a` in place", best_start="""
        def best_start(c, a, alpha):
            a *= (1 - alpha * a) ** 2
            c *= a
            return c.sum() / a.sum()"""),
    answer("wrong first, right in a later cell", ALL, before="def meta_slope(theta, c, a, alpha): return 0"),
    answer("a wrong one last", (0, 3, 3, 3, 4, 3), meta_slope=f"def meta_slope(theta, c, a, alpha): return {RIGHT}\ndef meta_slope(theta, c, a, alpha): return 0.0"),
    answer("a coroutine", (0, 3, 3, 3, 4, 3), says="not plain data", meta_slope=f"async def meta_slope(theta, c, a, alpha): return {RIGHT}"),
    answer("a generator", (0, 3, 3, 3, 4, 3), says="not plain data", meta_slope=f"def meta_slope(theta, c, a, alpha): yield {RIGHT}"),
    answer("no answer to the first", (0, 3, 3, 3, 4, 3), says="no function meta_slope", meta_slope="# later"),
    answer("the first raises", (0, 3, 3, 3, 4, 3), says="ZeroDivisionError (line 2 of its cell: return theta / 0)",
           meta_slope="def meta_slope(theta, c, a, alpha):\n    return theta / 0"),
    answer("too few arguments", (0, 3, 3, 3, 4, 3), says="TypeError", meta_slope="def meta_slope(theta): return theta"),
    answer("the third crashes", (2, 3, 0, 3, 4, 3), says="ended its own process", marks=("ordinary",),
           first_order_misleads="import os\ndef first_order_misleads(theta, c, a, alpha): os.abort()"),
    answer("the third never ends", (2, 3, 0, 3, 4, 3), says="a loop that does not end", quick=True,
           first_order_misleads="def first_order_misleads(theta, c, a, alpha):\n    while True: pass"),
]  # fmt: skip

CASES = [*DAMAGED, *AROUND, *WRITTEN]
