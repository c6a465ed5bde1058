"""Lessons whose `%%recorded` cells are run for real: what a cell prints now, beside what its record says.

Start at `run` (every cell of a lesson, in its own kernel), then `differences` or `as_file`. `tolerance` says how
much a printed line may differ; the versions have to be those of the record.
"""

import asyncio
import datetime
import json
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from tolerance import apart

from maml_edu import places, recorded

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
    """(frameworks, name, `recorded.digest`, cell) for each `%%recorded` cell, in order."""
    found = []
    for cell in notebook.cells:
        first, _, body = cell.source.strip("\n").partition("\n")
        if cell.cell_type == "code" and first.split()[:1] == ["%%recorded"]:
            line = first.partition("%%recorded")[2]
            found.append((*recorded.asked_for(line), recorded.digest(line, body), cell))
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
    """The lines of text that a cell printed or showed. Raises `CellFailed` if it wrote to stderr.

    What is printed arrives in pieces of any length; only what is shown has lines of its own.
    """
    text = ""
    for output in cell.outputs:
        if output.get("name") == "stderr":
            raise CellFailed(f"{name} writes to stderr, as a warning does: {output.text[:500]}")
        if shown := output.get("data", {}).get("text/plain", ""):
            text += "\n" * (bool(text) and not text.endswith("\n")) + shown + "\n"
        text += output.get("text", "")
    return [line.rstrip() for line in text.rstrip().splitlines()]


def results(notebook):
    """Name → (source's digest, lines printed) of the recorded cells of a lesson that was run."""
    return {name: (source, printed(name, cell)) for _, name, source, cell in cells(notebook)}


def as_file(notebook, today=None):
    """The text of `recorded.json`: date, versions and every cell's output, from a lesson that was run."""
    content = {
        "date": str(today or datetime.datetime.now(datetime.UTC).date()),
        "versions": {package: version_of(package) for package in packages(notebook)},
        "cells": {
            name: {"source": source, "printed": recorded.digest_of(lines), "output": lines}
            for name, (source, lines) in results(notebook).items()
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def packages(notebook):
    """The packages whose versions the record of a lesson gives, in order."""
    names = {part for frameworks, *_ in cells(notebook) for part in frameworks}
    groups = [group for name, group in recorded.FRAMEWORKS.items() if name in names]
    return [package for group in groups for package in group]


def version_of(package):
    """The installed version; tensorflow-cpu is TensorFlow, too."""
    import importlib

    found = getattr(importlib.import_module(package), "__version__", None)
    return found or version(package)


def pins(of="frameworks"):
    """Package → version, as constraints-frameworks.txt has it; names as `plain` writes them."""
    text = (places.course_root() / f"constraints-{of}.txt").read_text(encoding="utf-8")
    lines = [line.split("==") for line in text.splitlines() if line and not line.startswith("#")]
    return {plain(name): version for name, version in lines}


def plain(name):
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# ------------------------------------------------------------------ beside the record


def differences(notebook, file):
    """Readable lines on how what was printed differs from the record (a dict as in `recorded.json`)."""
    now, then = results(notebook), file["cells"]
    here = {package: version_of(package) for package in packages(notebook)}
    said = (
        [] if file["versions"] == here else [f"versions: {file['versions']} recorded, {here} now"]
    )
    said += [f"{name}: no cell of the lesson has this name" for name in then if name not in now]
    for name, (source, lines) in now.items():
        if name not in then:
            said.append(f"{name}: not recorded yet")
        elif then[name]["source"] != source:
            said.append(f"{name}: the cell was changed after it was recorded")
        else:
            said += [f"{name}, {difference}" for difference in apart(then[name]["output"], lines)]
    return said
