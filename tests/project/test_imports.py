"""The floors of the house, read from the source: who may import whom; how quick an import is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "maml_edu"

# What a part may import of ours, beside itself and `places`, which stands under everything.
MAY_IMPORT = {
    "places": set(),
    "atomic": set(),
    "reference": set(),
    "tasks": {"atomic"},
    "build": set(),
    "pytorch": {"tasks", "atomic"},
    "checks": {"reference", "atomic"},
    "figures": {"reference", "tasks", "pytorch"},
    "grading": {"checks", "atomic", "console"},
    "doctor": {"tasks"},
    "lab": set(),
    "console": set(),
    "runs": {"tasks", "pytorch", "atomic", "console"},
    "train": {"runs", "console"},
}
# What a part may import of others, beside the standard library; None: whatever is declared.
OTHERS = {
    "reference": {"numpy"},
    "tasks": {"numpy", "PIL", "pooch", "requests", "filelock", "tqdm"},
    "places": {"platformdirs"},
    "atomic": set(),
}
NOT_EVEN_PLACES = {"places", "atomic", "reference", "build"}
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


def test_nobody_imports_the_roof_and_no_imports_go_in_a_circle():
    edges = {part: ours_and_others(part)[0] for part in PARTS}
    assert not any("cli" in ours for ours in edges.values())
    standing = set(PARTS)
    while ground := {part for part in standing if not edges[part] & standing}:
        standing -= ground
    assert not standing, f"these import each other in a circle: {standing}"


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    """The two tests above can fail: each way of writing an import is noticed."""
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


def test_a_part_is_imported_when_it_is_first_named():
    import maml_edu

    assert maml_edu.reference.grad(lambda x: x * x)(3.0) == 6.0
    with pytest.raises(AttributeError, match="has no part 'refernce'; it has reference"):
        maml_edu.refernce  # noqa: B018
