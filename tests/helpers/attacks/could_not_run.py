"""Answers that are in the notebook and whose cells cannot be run here: a person is asked, and nobody gets 0 for it."""

from __future__ import annotations

from .cases import ALL, Case, answer, stub
from .which_cell import RIGHT, WRONG, more, only, own

PERSON = (None, 3, 3, 3, 4, 3)
FIRST = (0, 3, 3, 3, 4, 3)


def stopped(name, before, says, **more) -> Case:
    """The first answer, with something before it in its cell that cannot be done here."""
    return answer(name, PERSON, meta_slope=f"{before}\n{RIGHT}", says=says, **more)


BEFORE = [
    stopped("a package that is not here", "import seaborn_of_the_future as sns", "ModuleNotFoundError", marks=("ordinary",)),
    stopped("Colab's own package", "from google.colab import drive\ndrive.mount('/content/drive')", "ModuleNotFoundError"),
    stopped("a helper beside the notebook", "from my_helpers import step", "ModuleNotFoundError (line 1"),
    stopped("all of a helper beside the notebook", "from my_helpers import *", "ModuleNotFoundError (line 1"),
    stopped("a file beside the notebook", "data = open('data.csv').read()", "FileNotFoundError"),
    stopped("an array beside the notebook", "weights = np.load('weights.npy')", "FileNotFoundError"),
    stopped("a question to somebody", "n = int(input('How many? '))", "ValueError (line 1"),
    stopped("the network", "import urllib.request as r\nr.urlopen('http://127.0.0.1:PORT/', timeout=3)", "stopped with an error (line 2"),
    stopped("a screen", "import tkinter\ntkinter.Tk()", "stopped with "),
    stopped("an assertion of their own", "assert 2 > 3", "AssertionError"),
    stopped("a name of another cell that failed", "use(helper_of_another_cell)", "NameError"),
    stopped("an end", "import os; os._exit(0)", "took too long or ended its process"),
    stopped("a long computation before", "while True: pass", "took too long", quick=True),
    answer("a long computation behind", PERSON, meta_slope=f"{RIGHT}\nwhile True: pass", says="took too long", quick=True),
    answer("an end behind", PERSON, meta_slope=f"{RIGHT}\nimport os; os.abort()", says="ended its process"),
    answer("imported from a file of theirs", PERSON, meta_slope="from answers import meta_slope", says="ModuleNotFoundError"),
    answer("three of them", (None, 3, None, 3, 4, None), says="a person reads it",
           meta_slope=f"import not_here\n{RIGHT}", first_order_misleads="import not_here\ndef first_order_misleads(*a): return 0",
           which_program="import not_here\ndef which_program(*a): return 0"),
]  # fmt: skip

BESIDE = [
    only("an old wrong one before the one that cannot run", WRONG, f"import not_here\n{RIGHT}", points=PERSON),
    only("an old right one before the one that cannot run", RIGHT, f"import not_here\n{WRONG}"),
    only("the one that cannot run before a wrong one", f"import not_here\n{RIGHT}", WRONG, points=FIRST),
    only("the one that cannot run before the empty cell", f"import not_here\n{RIGHT}", own(stub()), points=PERSON),
    only("the one that cannot run before a right one", f"import not_here\n{RIGHT}", RIGHT),
    only("an empty one that cannot run", "import not_here\ndef meta_slope(theta, c, a, alpha):\n    raise NotImplementedError()",
         points=FIRST, says="no function meta_slope"),
    only("no Python", f"{RIGHT}\nx = = 3", points=FIRST, says="its cell is no Python"),
    only("a name in a text", "print('meta_slope = 3')\nimport not_here", points=FIRST, says="no function meta_slope"),
    only("a name in a comparison", "import not_here\nmeta_slope == 3", points=FIRST, says="no function meta_slope"),
    more("a cell that cannot run and has no answer", "import not_here\nx = 1"),
    answer("the import behind, and needed only then", (0, 3, 3, 3, 4, 3), says="ModuleNotFoundError (line 2",
           meta_slope="def meta_slope(theta, c, a, alpha):\n    import not_here\n    return 0.0"),
    answer("the import in a try", ALL, meta_slope=f"try:\n    import not_here\nexcept ImportError:\n    pass\n{RIGHT}"),
]  # fmt: skip

CASES = [*BEFORE, *BESIDE]
