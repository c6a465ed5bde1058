"""What is handed in beside the notebook, or in its place: several notebooks, lessons, large files, other encodings."""

from __future__ import annotations

import json
import os

from maml_edu import places

from .cases import (
    ALL,
    CHAPTER,
    POINTS,
    REFUSED,
    Case,
    answer_cells,
    bare,
    code,
    refused,
    solved,
    stub,
)


def lesson(chapter=CHAPTER) -> dict:
    path = places.course_root() / "notebooks" / f"{chapter}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def folder(name, points=ALL, **files) -> Case:
    """Several files in one folder: words for their names → what is in them; the first are older than the later."""

    def put(path):
        names = {"own": path.name, "copy": f"{CHAPTER} (1).ipynb", "copy2": f"{CHAPTER} (2).ipynb",
                 "other": "homework.ipynb", "final": f"{CHAPTER}_final.ipynb"}  # fmt: skip
        for age, (word, content) in enumerate(files.items()):
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (path.parent / names[word]).write_bytes(data)
            os.utime(path.parent / names[word], (1e9 + 1000 * age, 1e9 + 1000 * age))

    return Case(name, put, points)


WRONG = solved(**{key: f"def {key}(*a): return 0.0" for key in ("meta_slope", "best_start")})
TWO_WRONG = (0, 3, 3, 0, 4, 3)
HALF = solved(meta_slope="def meta_slope(theta, c, a, alpha):\n    raise NotImplementedError()")

SEVERAL = [
    folder("a blank original beside an older solved copy", copy=solved(), own=stub()),
    folder("a blank original beside a newer solved copy", own=stub(), copy=solved()),
    folder("a solved original beside a newer blank copy", own=solved(), copy=stub()),
    folder("a half original beside an older whole copy", copy=solved(), own=HALF),
    folder("a newer copy that is as full", own=WRONG, copy=solved()),
    folder("an older copy that is as full", TWO_WRONG, copy=solved(), own=WRONG),
    folder("three copies, the newest right", copy=WRONG, copy2=WRONG, final=solved()),
    folder("an older one alone holds the exercises", other=solved(), copy={"cells": [code("x = 1")]}),
    folder("the lesson under the right name", other=solved(), own=lesson()),
    folder("a file that was cut off under the right name", other=solved(), own=b'{"cells": [{"cell'),
    folder("an empty file under the right name", copy=solved(), own=b""),
    folder("a large blank one beside a small solved one", copy=solved(), own=stub() | {"x": "y" * (3 << 20)}),
]  # fmt: skip


def with_outputs(outputs):
    notebook = solved()
    answer_cells(notebook)[0]["outputs"] = outputs
    return notebook


def with_an_attachment():
    notebook = solved()
    picture = {"image/png": "A" * (22 << 20)}
    notebook["cells"].append({"cell_type": "markdown", "source": "![](attachment:a.png)", "attachments": {"a.png": picture}})  # fmt: skip
    return notebook


def with_widgets():
    notebook = solved()
    notebook["metadata"]["widgets"] = {"state": {str(i): {"x": "A" * 1000} for i in range(22000)}}
    return notebook


def lazily(name, make, points=ALL, says="") -> Case:
    """A file that is made when it is handed in: the corpus need not hold it."""
    return Case(name, lambda path: path.write_bytes(make()), points, says=says)


def dumped(make, *args, encoding="utf-8"):
    return lambda: json.dumps(make(*args), ensure_ascii=False).encode(encoding)


LINES = [{"output_type": "stream", "name": "stdout", "text": ['loss "0.1" \\ [{\n'] * 1_200_000}]
LARGE = [
    lazily("24 MB of printed lines", lambda: json.dumps(with_outputs(LINES)).encode()),
    lazily("24 MB of one picture", lambda: json.dumps(with_outputs([{"data": {"image/png": "A" * (24 << 20)}}])).encode()),
    lazily("22 MB of a picture in a text", lambda: json.dumps(with_an_attachment()).encode()),
    lazily("22 MB of widgets", lambda: json.dumps(with_widgets()).encode()),
    lazily("24 MB of backslashes and quotes", lambda: json.dumps(with_outputs(['ab\\"' * (4 << 20)])).encode()),
    refused("22 MB of code", lambda path: path.write_text(json.dumps({"cells": [code("#" * (22 << 20))]})), "even without its outputs"),
    refused("22 MB of brackets", lambda path: path.write_bytes(b'{"cells": [{"outputs": ' + b"[" * (22 << 20)), "too large"),
    refused("22 MB of quotes", lambda path: path.write_bytes(b'{"cells": [' + b'"' * (22 << 20)), "too large"),
    refused("outputs that never end", lambda path: path.write_bytes(b'{"cells": [{"outputs": ["' + b"a" * (22 << 20)), "cut off"),
]  # fmt: skip

ENCODINGS = [
    *(lazily(f"in {name}", dumped(solved, encoding=name)) for name in ("utf-16", "utf-32", "utf-8-sig")),
    lazily("in UTF-16, the other way round", lambda: b"\xfe\xff" + json.dumps(solved()).encode("utf-16-be")),
    lazily("in UTF-32, the other way round", lambda: b"\x00\x00\xfe\xff" + json.dumps(solved()).encode("utf-32-be")),
]  # fmt: skip

TOLD = "this is the lesson and not its exercises"
WITHOUT = {"cells": [c for c in lesson()["cells"] if c["cell_type"] == "code"]}
LESSONS = [
    *(Case(f"the lesson of {chapter}", lesson(chapter), REFUSED, chapter, says=TOLD) for chapter in POINTS),
    Case("a lesson without metadata", bare(lesson()), REFUSED, says=TOLD, marks=("ordinary",)),
    Case("a lesson of which only code is left", bare(WITHOUT), REFUSED, says=TOLD),
    Case("a lesson of another chapter", lesson("11_maml_family"), REFUSED, says=TOLD),
    Case("a lesson with an answer in it", lesson() | {"cells": [*solved()["cells"], *lesson()["cells"][:20]]}),
    Case("exercises of another chapter", solved("06_many_inner_steps"), REFUSED, says="these are the exercises of another chapter, 06_many_inner_steps"),
    Case("exercises of another chapter without metadata", bare(solved("06_many_inner_steps")), REFUSED, says="no exercise of this chapter"),
]  # fmt: skip

CASES = [*SEVERAL, *LARGE, *ENCODINGS, *LESSONS]
