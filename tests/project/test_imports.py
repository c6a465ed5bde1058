"""The floors of the house, read from the source: who may import whom; how quick an import is."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "maml_edu"

# What a part may import of ours, beside itself and `places`, which stands under everything.
MAY_IMPORT = {
    "places": set(),
    "atomic": set(),
    "machine": set(),
    "reference": set(),
    "tasks": {"atomic"},
    "build": set(),
    "pytorch": {"tasks", "atomic"},
    "checks": {"reference", "atomic"},
    "figures": {"reference", "tasks", "pytorch"},
    "grading": {"checks", "atomic", "console", "machine"},
    "doctor": {"tasks", "machine"},
    "lab": set(),
    "console": set(),
    "runs": {"tasks", "pytorch", "atomic", "console"},
    "train": {"runs", "console"},
    "recorded": set(),
    "capstone": {"tasks", "pytorch", "figures", "atomic"},
}
# What a part may import of others, beside the standard library; None: whatever is declared.
OTHERS = {
    "reference": {"numpy"},
    "tasks": {"numpy", "PIL", "pooch", "requests", "filelock", "tqdm", "gymnasium"},
    "places": {"platformdirs"},
    "atomic": set(),
    "machine": set(),
    "recorded": set(),
}
NOT_EVEN_PLACES = {"places", "atomic", "machine", "reference", "build"}
PARTS = sorted({path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")})
PARTS = [part.removesuffix(".py") for part in PARTS if not part.startswith("_")]


def imported(path):
    """Every module that a file imports anywhere in it, functions included, by its full name."""
    package = ["maml_edu", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def sources(part):
    return (
        [PACKAGE / f"{part}.py"]
        if (PACKAGE / f"{part}.py").is_file()
        else list((PACKAGE / part).rglob("*.py"))
    )


def ours_and_others(part):
    """The parts of maml_edu, and the foreign packages, that a part imports."""
    names = {tuple(name.split(".")) for path in sources(part) for name in imported(path)}
    ours = {
        name[1] for name in names if name[0] == "maml_edu" and len(name) > 1 and name[1] in PARTS
    }
    others = {name[0] for name in names} - {"maml_edu", "__future__"} - set(sys.stdlib_module_names)
    return ours - {part}, others


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_only_from_the_floors_below(part):
    if part == "cli":
        return  # the roof: may import all
    assert part in MAY_IMPORT, f"give {part} its place in the house: HOUSE's floors, and here"
    allowed = MAY_IMPORT[part] | (set() if part in NOT_EVEN_PLACES else {"places"})
    ours, others = ours_and_others(part)
    assert ours <= allowed
    assert part not in OTHERS or others <= OTHERS[part]


def test_nobody_imports_the_roof():
    assert not any("cli" in ours_and_others(part)[0] for part in PARTS)


# ------------------------------------------------------------------ among files


def file_of(module):
    """The file of a module of ours, by its full name; None for a name that is not a module's."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    files = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in files if module.startswith("maml_edu") and file.is_file()), None)


def imported_files(path):
    """The files of ours from which a file takes something: a module, or a name that stands in it.

    `from . import x` takes the file x.py where there is one, else a name from the package's __init__.py.
    That Python runs a/__init__.py before a/b.py does not count: by then the package is on its way already,
    and a name that is not there yet can be missed only by somebody who takes it from the package.
    """
    for name in imported(path):
        file = file_of(name) or file_of(name.rpartition(".")[0])
        if file is not None:
            yield file.relative_to(PACKAGE).as_posix()


def circle():
    """Files that import each other in a circle, wherever in them the imports stand; None without one."""
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    edges = {name: set(imported_files(path)) for name, path in files.items()}
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]  # each imports the next
    return None


def test_no_imports_of_files_go_in_a_circle():
    assert circle() is None, f"each imports the next: {' → '.join(circle())}"


def test_a_circle_of_files_is_seen_in_every_form(tmp_path, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "fast").mkdir()
    (tmp_path / "__init__.py").touch()
    init, lean, choice = (
        tmp_path / "fast" / f"{name}.py" for name in ("__init__", "lean", "choice")
    )
    init.write_text("from .lean import engine\n")
    choice.write_text("from . import lean\n")
    lean.write_text("import maml_edu.fast.table\nfrom maml_edu import fast as itself\n")
    (tmp_path / "fast" / "table.py").touch()
    assert set(circle()) == {"fast/__init__.py", "fast/lean.py"}
    for way in (
        "from . import choice",
        "from .choice import what_runs",
        "from maml_edu.fast import choice",
        "import maml_edu.fast.choice",
        "def f():\n    from .choice import what_runs",
    ):
        lean.write_text(way)
        assert set(circle()) == {"fast/lean.py", "fast/choice.py"}, way
    lean.write_text("")
    assert circle() is None


FIRST = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    for known in [known for known in sys.modules if known.split(".")[0] == "maml_edu"]:
        del sys.modules[known]
"""


def test_each_file_of_grading_can_be_imported_first():
    """Packages run their __init__.py before a file of theirs: a circle that the test of files cannot see."""
    files = [path.relative_to(PACKAGE.parent) for path in (PACKAGE / "grading").rglob("*.py")]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    done = subprocess.run([sys.executable, "-c", FIRST, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------ of the tests themselves


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    """The tests of parts can fail: each way of writing an import is noticed."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "batch.py").write_text(
        "import maml_edu.reference.maml as m\n"
        "def f():\n    from maml_edu import pytorch\n    from ..checks import check\n"
        "    from .. import figures\n    import torch.nn\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    ours, others = ours_and_others("tasks")
    assert ours == {"reference", "pytorch", "checks", "figures"}
    assert others == {"torch"}


MEASURE = """
import sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(seconds, *({{"torch", "matplotlib", "numpy"}} & set(sys.modules)))
"""


def measured_import(module):
    """Seconds that an import takes (best of five processes), and the heavy modules it loads."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", MEASURE.format(module=module)],
            capture_output=True, text=True, check=True,
        ).stdout.split()
        for _ in range(5)
    ]  # fmt: skip
    return min(float(run[0]) for run in runs), set(runs[0][1:])


def test_import_maml_edu_is_quick_and_loads_nothing_heavy():
    seconds, heavy = measured_import("maml_edu")
    assert heavy == set()
    assert seconds < 0.2


def test_the_command_line_starts_without_torch_and_matplotlib():
    _, heavy = measured_import("maml_edu.cli")
    assert heavy == set()


def test_the_program_in_the_box_brings_nothing_of_the_grader_along():
    """What a submission's process may look into; NumPy and what notebooks use come later, by its own doing."""
    program = "import sys, maml_edu.grading.sandbox.inside; print(*sys.modules)"
    line = [sys.executable, "-c", program]
    loaded = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
    sandbox = "maml_edu.grading.sandbox"
    ours = {name for name in loaded if name.split(".")[0] == "maml_edu"}
    assert ours == {"maml_edu", "maml_edu.grading", sandbox} | {
        f"{sandbox}.{name}" for name in ("clock", "inside", "protocol", "syscalls")
    }
    assert not {"numpy", "IPython", "torch"} & set(loaded)


def test_a_part_is_imported_when_it_is_first_named():
    import maml_edu

    assert maml_edu.reference.grad(lambda x: x * x)(3.0) == 6.0
    with pytest.raises(AttributeError, match="has no part 'refernce'; it has reference"):
        maml_edu.refernce  # noqa: B018
