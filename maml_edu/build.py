"""Course sources to notebooks: `course/NN_topic/*.py` to `notebooks/`, `exercises/`, `solutions/`.

What lives here is glue between jupytext (text to notebook), nbgrader's stock preprocessors (clear
and lock) and nbclient (execute); nothing of ours is imported. Start at `build`. Three notebooks
come out of a chapter:

- `notebooks/NN_topic.ipynb`: `lesson.py`, executed;
- `exercises/NN_topic.ipynb`: `exercises.py` without solutions, hidden tests and outputs;
- `solutions/NN_topic.ipynb`: `exercises.py` complete, executed. Its hidden tests stay, so it is
  also what a teacher gives to nbgrader as the source of an assignment.

A rebuild writes the same bytes: cell ids come from the text, nothing volatile is stored, and an
output that would differ elsewhere (a path, an address, a warning) stops the build by name.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import jupytext
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )
    from nbformat import NotebookNode
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.preprocessors import (
        ClearHiddenTests,
        ClearOutput,
        ClearSolutions,
        LockCells,
    )
except ImportError as error:
    raise ImportError(
        f"building the course needs {error.name}, which only authors have: "
        'pip install -e ".[dev]" in a clone'
    ) from error

FORMAT = 1  # raise it when this file changes what it writes: every notebook is then out of step
CELL_TIMEOUT = 600  # seconds
UNCOMPARED = "nbval-ignore-output"  # a cell's tag: running it shows a widget that is not stored
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNELSPEC = {
    "name": "python3",
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
}
# Folder of the built notebook -> sources that decide its content; the first one is its text.
SOURCES = {
    "notebooks": ("lesson.py", "recorded.json"),
    "exercises": ("exercises.py",),
    "solutions": ("exercises.py", "checks.py"),
}
FOREIGN = re.compile(
    r"(?P<address>\b0x[0-9a-fA-F]{6,}\b)"
    r"|(?P<path>(?<![\w.:/~])/(?:home|Users|root|tmp|private|var|usr|opt|mnt|srv)/[\w.\-]+"
    r"|\b[A-Z]:\\\\?\w+)"
    r"|(?P<date>\b20\d\d-\d\d-\d\d\b)"
)
DATA_URI = re.compile(r"data:[\w/+.\-]+;base64,[A-Za-z0-9+/=\s]+")


class BuildError(RuntimeError):
    """A chapter could not be built; the message names chapter, cell and cause."""


@dataclass(frozen=True)
class Product:
    """One built notebook and the sources it is built from (the first is its text)."""

    target: Path
    sources: tuple[Path, ...]

    @property
    def name(self) -> str:
        """`notebooks/04_topic.ipynb`: how messages call it."""
        return f"{self.target.parent.name}/{self.target.name}"

    @property
    def is_stub(self) -> bool:
        return self.target.parent.name == "exercises"


# ---------------------------------------------------------------- what there is to build


def build(
    root: Path | str,
    chapters: Iterable[str] | None = None,
    force: bool = False,
    report: Callable[[str], object] = print,
) -> list[Path]:
    """Builds what is out of step with its source (`force`: everything); returns what was written.

    `root` holds `course/`; `chapters` are folder names or their numbers ("04"), None for all.
    Raises `BuildError` at the first notebook that fails, which leaves its old file untouched.
    """
    written = []
    for product in products(Path(root), chapters):
        if not force and out_of_step_because(product) is None:
            continue
        report(f"{product.name}: {'clearing' if product.is_stub else 'executing'} ...")
        start = time.perf_counter()
        write_atomically(product.target, as_text(make(Path(root), product)))
        report(f"{product.name}: written after {time.perf_counter() - start:.0f} s")
        written.append(product.target)
    if not written:
        report("every notebook is in step with its source: nothing to build")
    return written


def out_of_step(root: Path | str) -> list[str]:
    """One message for each built notebook that is missing, out of step or without a source."""
    root = Path(root)
    planned = list(products(root))
    reasons = ((product, out_of_step_because(product)) for product in planned)
    messages = [f"{product.name} {reason}" for product, reason in reasons if reason]
    return messages + [
        f"{path.parent.name}/{path.name} has no source in course/: delete it"
        for path in built_files(root)
        if path not in {product.target for product in planned}
    ]


def products(root: Path, chapters: Iterable[str] | None = None) -> Iterator[Product]:
    """The notebooks that the sources of these chapters make, in the order of the course."""
    for chapter in selected(root, chapters):
        for folder, names in SOURCES.items():
            paths = tuple(root / "course" / chapter / name for name in names)
            if paths[0].is_file():
                present = tuple(path for path in paths if path.is_file())
                yield Product(root / folder / f"{chapter}.ipynb", present)


def selected(root: Path, chapters: Iterable[str] | None) -> list[str]:
    """Folder names in `course/` that `chapters` (names or numbers, None for all) asks for."""
    known = sorted(path.parent.name for path in (root / "course").glob("[0-9][0-9]_*/lesson.py"))
    if not known:
        raise BuildError(
            f"no course/NN_topic/lesson.py under {root}: "
            "the root must be the folder that holds course/"
        )
    if chapters is None:
        return known
    chapters = list(chapters)
    unknown = [name for name in chapters if name not in known + [k[:2] for k in known]]
    if unknown:
        raise ValueError(f"no chapter {', '.join(unknown)} in course/: there is {', '.join(known)}")
    return [name for name in known if name in chapters or name[:2] in chapters]


def built_files(root: Path) -> list[Path]:
    return sorted(path for folder in SOURCES for path in (root / folder).glob("*.ipynb"))


def out_of_step_because(product: Product) -> str | None:
    """Why a built notebook is not what its source makes, or None. Executes nothing."""
    if not product.target.is_file():
        return "is missing: run `make notebooks`"
    built = nbformat.read(product.target, as_version=4)
    expected = draft(product)
    if built.metadata != expected.metadata:
        names = " or ".join(f"{path.parent.name}/{path.name}" for path in product.sources)
        return f"is older than {names}: run `make notebooks`"
    if [cell_text(cell) for cell in built.cells] != [cell_text(cell) for cell in expected.cells]:
        return "was edited by hand: edit its source in course/, then run `make notebooks`"
    cells = [cell for cell in built.cells if cell.cell_type == "code"]
    if product.is_stub and any(cell.outputs for cell in cells):
        return "holds outputs, which a stub must not: run `make notebooks`"
    if not product.is_stub and any(cell.execution_count is None for cell in cells):
        return "was not executed: run `make notebooks`"
    return None


def cell_text(cell: NotebookNode) -> tuple[object, ...]:
    """The part of a cell that comes from the source, not from executing it."""
    tags = [tag for tag in cell.metadata.get("tags", []) if tag != UNCOMPARED]
    return cell.get("id"), cell.cell_type, cell.source, {**cell.metadata, "tags": tags}


# ---------------------------------------------------------------- from source to notebook


def make(root: Path, product: Product) -> NotebookNode:
    """The finished notebook: the draft, executed and cleaned unless it is a stub."""
    notebook = draft(product)
    if product.is_stub:
        return notebook
    run(root, product, notebook)
    for index, cell in code_cells(notebook):
        kept = without_widgets(cell.outputs)
        if len(kept) < len(cell.outputs):
            cell.metadata.tags = sorted({*cell.metadata.get("tags", []), UNCOMPARED})
        cell.outputs = merge_streams(kept)
        complaint = first_complaint(root, cell.outputs)
        if complaint:
            raise BuildError(f"{product.name}, {cell_name(index, cell)}: {complaint}")
    return notebook


def draft(product: Product) -> NotebookNode:
    """The notebook before it is executed: cells, ids, metadata; a stub already cleared."""
    text = product.sources[0].read_text(encoding="utf-8")
    try:
        notebook = jupytext.reads(text, fmt="py:percent")
    except Exception as error:  # YAML's, nbformat's and jupytext's own
        raise BuildError(f"{product.sources[0].name} of {product.name}: {error}") from error
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    name_cells(notebook)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "maml_edu": origin(product)})
    clearing = (ClearSolutions, ClearHiddenTests, LockCells, ClearOutput)
    try:
        MetadataValidator().validate_nb(notebook)
        for step in clearing if product.is_stub else ():
            notebook, _ = step().preprocess(notebook, {})
    except Exception as error:  # nbgrader raises its own and plain RuntimeErrors for bad regions
        raise BuildError(f"{product.name}: nbgrader says: {error}") from error
    return notebook


def origin(product: Product) -> dict[str, str]:
    """Where a notebook comes from: its source's name and a hash of all that decides its content."""
    digest = hashlib.sha256(f"format {FORMAT}".encode())
    for path in product.sources:
        digest.update(f"\0{path.name}\0".encode())
        digest.update(path.read_text(encoding="utf-8").encode())  # universal newlines
    source = "/".join(product.sources[0].parts[-3:])
    return {"source": source, "source_sha256": digest.hexdigest()}


def name_cells(notebook: NotebookNode) -> None:
    """Ids from the text, not at random; of equal cells each gets its own by counting them.

    The same cell has the same id in `exercises/` and in `solutions/`.
    """
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        text = f"{cell.cell_type}\0{cell.source}"
        key = f"{seen[text]}\0{text}"
        cell.id = hashlib.sha256(key.encode()).hexdigest()[:12]
        seen[text] += 1


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def cell_name(index: int, cell: NotebookNode) -> str:
    """`cell 7 ("theta = 1.0")`, counted from 1 over all cells, by its first line."""
    lines = cell.source.strip().splitlines() or ["empty"]
    return f'cell {index + 1} ("{lines[0]}")'


def as_text(notebook: NotebookNode) -> str:
    """Validated JSON; nbformat writes indent 1, sorted keys, unescaped text."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write_atomically(path: Path, text: str) -> None:
    """All of `text` or the old file, never half: written beside it, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(text.encode("utf-8"))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


# ---------------------------------------------------------------- executing


def run(root: Path, product: Product, notebook: NotebookNode) -> None:
    """Executes in place, in an empty folder with an empty home; `BuildError` names the cell."""
    with tempfile.TemporaryDirectory(prefix="maml-edu-") as scratch:
        folder = Path(scratch, product.target.parent.name)
        folder.mkdir()
        # An empty list leaves only the kernel of this interpreter, whatever else is installed.
        specs = KernelSpecManager(kernel_dirs=[])
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
            timeout=CELL_TIMEOUT,
            # Its warnings go to the terminal; at start it has one about its own transport.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            record_timing=False,
            store_widget_state=False,
        )
        reached = [0]
        client.on_cell_start = lambda cell, cell_index: reached.__setitem__(0, cell_index)
        try:
            asyncio.run(
                client.async_execute(
                    cleanup_kc=True,
                    cwd=str(folder),
                    env=environment(root, Path(scratch)),
                )
            )
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            where = cell_name(reached[0], notebook.cells[reached[0]])
            raise BuildError(f"{product.name}, {where}: {what_failed(error)}") from error
        except AssertionError as error:  # nbclient's own, once Ctrl-C has made it end its kernel
            raise KeyboardInterrupt from error
    notebook.metadata.pop("language_info", None)
    notebook.metadata.pop("widgets", None)


def environment(root: Path, scratch: Path) -> dict[str, str]:
    """A learner's first day on any machine: no record, no configuration, one thread."""
    mine = ("MAML_EDU_", "NBGRADER_", "PYTEST_", "IPY", "TQDM_")
    unwanted = {"MPLBACKEND", "PYTHONWARNINGS"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(mine) and k not in unwanted}
    folders = {"MAML_EDU_HOME": scratch / "home", "IPYTHONDIR": scratch / "ipython"}
    for folder in folders.values():
        folder.mkdir()
    if (root / "maml_edu").is_dir():  # the clone's own library, not one installed elsewhere
        kept["PYTHONPATH"] = os.pathsep.join(
            [str(root.resolve()), *filter(None, [kept.get("PYTHONPATH")])]
        )
    settings = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONHASHSEED": "0"}
    return kept | settings | {name: str(folder) for name, folder in folders.items()}


def what_failed(error: Exception) -> str:
    """One line on why a cell did not finish."""
    if isinstance(error, CellTimeoutError):
        return f"still running after {CELL_TIMEOUT} s; make it do less"
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return "the kernel died (out of memory?)"


# ---------------------------------------------------------------- cleaning outputs


def without_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs less their widget views; one of which only a widget's repr is left goes too."""
    kept = []
    for output in outputs:
        data = output.get("data", {})
        if WIDGET in data:
            del data[WIDGET]
            if set(data) <= {"text/plain"}:
                continue
        kept.append(output)
    return kept


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Consecutive pieces of one stream joined: where a kernel cuts them depends on its timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        if merged and stream_name(output) and stream_name(output) == stream_name(merged[-1]):
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def stream_name(output: NotebookNode) -> str | None:
    """ "stdout" or "stderr"; None for an output that is no stream."""
    return output.name if output.output_type == "stream" else None


def first_complaint(root: Path, outputs: list[NotebookNode]) -> str | None:
    """What in these outputs must not be stored (an error, a warning, a path ...), or None."""
    for output in outputs:
        if output.output_type == "error":
            return f"it raises {output.ename}; catch it and print what a reader should see"
        if output.output_type == "stream" and output.name == "stderr":
            return f"it writes to stderr, as a warning does; mend its cause: {output.text[:300]}"
        for text in texts(output):
            found = foreign_text(root, text)
            if found:
                return found
    return None


def texts(output: NotebookNode) -> Iterator[str]:
    """Every text of an output; embedded images are left out, their letters mean nothing."""
    yield DATA_URI.sub("", output.get("text", ""))
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") or kind.endswith("svg+xml"):
            yield DATA_URI.sub("", content)


def foreign_text(root: Path, text: str) -> str | None:
    """Names what only this machine or this moment would print: a path, an address, a date."""
    places = {
        root.resolve(),
        Path.home(),
        Path(tempfile.gettempdir()),
        Path(sys.prefix),
    }
    for place in sorted(str(place) for place in places if len(place.parts) > 1):
        if re.search(rf"(?<![\w.:/~]){re.escape(place)}(?![\w.\-])", text):
            return f"its output holds a path of this machine, {place}: print a relative one"
    match = FOREIGN.search(text)
    if match:
        return f"its output holds a {match.lastgroup} that differs elsewhere: {match.group()}"
    return None
