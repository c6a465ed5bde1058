"""The lower bounds of pyproject.toml as constraints for pip: what `make test-lowest` installs.

    python tests/helpers/lowest.py > constraints.txt

Every direct dependency (the base's, the development's, and those of the extras that development pulls in) is
pinned to the oldest release that pyproject.toml admits. torch alone is not: it comes from constraints.txt.
Only the standard library is needed, so that the program runs before anything is installed.
"""

import re
import tomllib
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]


def requirements(project, extra="dev"):
    """The lines of the base and of an extra; one that names other extras of the project stands for theirs."""
    lines, extras = list(project["dependencies"]), [extra]
    for name in extras:  # which grow on the way
        for line in project["optional-dependencies"][name]:
            inner = re.fullmatch(rf"{project['name']}\[(.*)\]", line)
            if inner is None:
                lines.append(line)
            else:
                extras += [other for other in inner[1].split(",") if other not in extras]
    return lines


def lower_bounds(project):
    """Pins like "numpy==1.26", one for each direct dependency but torch, in the order of pyproject.toml.

    Raises ValueError for a requirement without a lower bound.
    """
    pins = []
    for line in requirements(project):
        name = re.match(r"[A-Za-z0-9._-]+", line)[0]
        bound = re.search(r">=\s*([0-9][0-9a-z.]*)", line)
        if bound is None:
            raise ValueError(f"{line!r} in pyproject.toml has no lower bound: write {name}>=…")
        if name != "torch":
            pins.append(f"{name}=={bound[1]}")
    return pins


def main():
    project = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print("\n".join(lower_bounds(project)))


if __name__ == "__main__":
    main()
