"""Lessons whose `%%recorded` cells are run for real: what a cell prints now, beside what its record says.

Start at `run` (every cell of a lesson, in its own kernel), then `differences` or `as_file`. Words have to be the
same; a number may differ by one in its last printed digit, by a thousandth of itself or by 1e-9, whichever is most,
since another processor rounds differently; whole numbers are exact; versions and dates do not count.
"""

import asyncio
import datetime
import json
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from maml_edu import places, recorded

SHARE, LEAST = 1e-3, 1e-9
APART = re.compile(r"\d+\.\d+\.\d+\w*|\d{4}-\d\d-\d\d")  # versions and dates
NUMBER = re.compile(r"(?<![\w.])[-−+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
SAFE = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONHASHSEED": "0"}


class CellFailed(AssertionError):
    """A cell of a lesson raised an error, or wrote to stderr; the message names lesson and cell."""


def lessons():
    """The lessons (paths) of the course that have a `%%recorded` cell."""
    paths = [places.course_root() / "course" / name / "lesson.py" for name in places.chapters()]
    return [path for path in paths if path.is_file() and cells(read(path))]


def read(path):
    """A lesson as a notebook."""
    import jupytext

    return jupytext.reads(Path(path).read_text(encoding="utf-8"), fmt="py:percent")


def cells(notebook):
    """(frameworks, name, text below the magic, cell) for each `%%recorded` cell, in order."""
    found = []
    for cell in notebook.cells:
        first, _, body = cell.source.strip("\n").partition("\n")
        if cell.cell_type == "code" and first.split()[:1] == ["%%recorded"]:
            found.append((*recorded.asked_for(first.partition("%%recorded")[2]), body, cell))
    return found


def run(path, env):
    """The lesson with the outputs of every cell; `env`: the kernel's environment. Raises `CellFailed`."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = read(path)
    specs = KernelSpecManager(kernel_dirs=[])  # only the kernel of this interpreter
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    client = NotebookClient(notebook, km=manager, timeout=600, store_widget_state=False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            asyncio.run(client.async_execute(cleanup_kc=True, cwd=folder, env={**env, **SAFE}))
        except CellExecutionError as error:
            raise CellFailed(f"{path}: {error}") from error
    return notebook


def printed(name, cell):
    """The lines of text that a cell printed or showed. Raises `CellFailed` if it wrote to stderr."""
    text = ""
    for output in cell.outputs:
        if output.get("name") == "stderr":
            raise CellFailed(f"{name} writes to stderr, as a warning does: {output.text[:500]}")
        text += output.get("text", "") or output.get("data", {}).get("text/plain", "")
        text += "" if text.endswith("\n") or not text else "\n"
    return [line.rstrip() for line in text.rstrip().splitlines()]


def results(notebook):
    """Name → (source's digest, lines printed) of the recorded cells of a lesson that was run."""
    return {
        name: (recorded.digest(body), printed(name, cell))
        for _, name, body, cell in cells(notebook)
    }


def as_file(notebook, today=None):
    """The text of `recorded.json`: date, versions and every cell's output, from a lesson that was run."""
    names = {part for frameworks, *_ in cells(notebook) for part in frameworks}
    packages = [package for name in recorded.FRAMEWORKS for package in recorded.FRAMEWORKS[name]
                if name in names]  # fmt: skip
    content = {
        "date": str(today or datetime.datetime.now(datetime.UTC).date()),
        "versions": {package: version_of(package) for package in packages},
        "cells": {
            name: {"source": source, "output": lines}
            for name, (source, lines) in results(notebook).items()
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def version_of(package):
    """The installed version; tensorflow-cpu is TensorFlow, too."""
    import importlib

    found = getattr(importlib.import_module(package), "__version__", None)
    return found or version(package)


# ------------------------------------------------------------------ beside the record


def differences(notebook, file):
    """Readable lines on how what was printed differs from the record (a dict as in `recorded.json`)."""
    now, then = results(notebook), file["cells"]
    said = [f"{name}: no cell of the lesson has this name" for name in then if name not in now]
    for name, (source, lines) in now.items():
        if name not in then:
            said.append(f"{name}: not recorded yet")
        elif then[name]["source"] != source:
            said.append(f"{name}: the cell was changed after it was recorded")
        else:
            said += [f"{name}, {difference}" for difference in apart(then[name]["output"], lines)]
    return said


def apart(then, now):
    """One text for each pair of lines that are not the same within the tolerance."""
    pairs = list(zip(then, now, strict=False))
    said = [
        f"line {count}:\n    recorded  {a}\n    now       {b}"
        for count, (a, b) in enumerate(pairs, start=1)
        if not alike(a, b)
    ]
    if len(then) != len(now):
        longer, what = (then, "recorded") if len(then) > len(now) else (now, "printed now")
        said.append(
            f"{len(then)} lines recorded, {len(now)} now; only {what}: {longer[len(pairs)]!r}"
        )
    return said


def alike(then, now):
    """True for two lines with the same words, and the same numbers within the tolerance."""
    then, now = (APART.sub("#", line) for line in (then, now))
    words = [NUMBER.sub("", line).split() for line in (then, now)]
    numbers = [NUMBER.findall(line) for line in (then, now)]
    return (
        words[0] == words[1]
        and len(numbers[0]) == len(numbers[1])
        and all(map(near, numbers[0], numbers[1]))
    )


def near(then, now):
    """True for two printed numbers that may come from the same computation."""
    if not re.search(r"[.eE]", then) and not re.search(r"[.eE]", now):
        return value(then) == value(now)
    a, b = value(then), value(now)
    allowed = max(LEAST, SHARE * max(abs(a), abs(b)), last_digit(then), last_digit(now))
    return abs(a - b) <= allowed * (1 + 1e-9)


def value(text):
    return float(text.replace("−", "-"))


def last_digit(text):
    """What one in the last printed digit is worth: 0.01 for '3.14', 0 for a whole number."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - digits) if digits or exponent else 0.0
