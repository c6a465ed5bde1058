"""`%%recorded`: cells that need another framework, with what they printed where it is missing.

    %%recorded tensorflow,jax the_table

as the first line of a cell: with these frameworks the cell runs as any other; without them it says so in
one line and shows the text that it printed when it was recorded, with versions and date. Importing this
module in a notebook registers the magic; elsewhere it does nothing. Records stand in a chapter's
`recorded.json` (`record_of`, `digest`), which `make test-frameworks ARGS=--write` writes. Running cells and
comparing them lives in the tests, not here.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib
import json
import sys
from importlib.util import find_spec

from . import places

FILE = "recorded.json"
# What a cell may ask for -> the packages that it stands for, with the names that people know.
FRAMEWORKS = {
    "tensorflow": {"tensorflow": "TensorFlow", "keras": "Keras"},
    "jax": {"jax": "JAX"},
}


def asked_for(line: str) -> tuple[list[str], str]:
    """(frameworks, name) from what stands behind `%%recorded`; ValueError if that is not what it says."""
    words = line.split()
    frameworks = words[0].split(",") if len(words) == 2 else []
    if not frameworks or not set(frameworks) <= set(FRAMEWORKS):
        raise ValueError(
            f"%%recorded needs frameworks out of {', '.join(FRAMEWORKS)} (with commas and no blanks; keras "
            f"counts as tensorflow) and a name, as in `%%recorded tensorflow,jax the_table`; got {line!r}."
        )
    return frameworks, words[1]


def missing(frameworks: list[str]) -> list[str]:
    """Those of the frameworks of which a package is not installed; imports none of them."""
    importlib.invalidate_caches()  # one may have been installed a minute ago
    return [name for name in frameworks if not all(map(is_installed, FRAMEWORKS[name]))]


def is_installed(package: str) -> bool:
    """True when `import package` would find it."""
    return package in sys.modules or find_spec(package) is not None


def digest(line: str, cell: str) -> str:
    """What identifies a cell: what stands behind its `%%recorded`, and its text; blanks at the ends are free."""
    return digest_of([" ".join(line.split()), *cell.strip("\n").splitlines()])


def digest_of(lines: list[str]) -> str:
    """What identifies lines of text; blanks at their ends and empty lines at the end do not count."""
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record_of(name: str) -> dict:
    """The record of this name; LookupError if there is none.

    Its keys: date, versions, source (the cell's `digest`), output (lines), printed (their `digest_of`).
    """
    for chapter in places.chapters():
        path = places.course_root() / "course" / chapter / FILE
        if path.is_file():
            file = json.loads(path.read_text(encoding="utf-8"))
            if name in file["cells"]:
                return {"date": file["date"], "versions": file["versions"], **file["cells"][name]}
    raise LookupError(
        f"No chapter has a record of a cell {name!r}: `make test-frameworks ARGS=--write` in a clone records it."
    )


def show(line: str, cell: str) -> None:
    """The magic where a framework is missing: one line that says so, and what the cell printed."""
    frameworks, name = asked_for(line)
    record = record_of(name)
    absent = is_missing(missing(frameworks) or frameworks)
    if digest(line, cell) != record["source"]:
        print(f"{absent}, and this is not the cell that was recorded: nothing to show for it.")
        print("A fresh copy of the lesson has the recorded cell: `maml-edu fresh`.")
        return
    print(f"{absent}: recorded on {in_words(record['date'])} with {versions(frameworks, record)}.")
    print(*record["output"], sep="\n")


def is_missing(frameworks: list[str]) -> str:
    """'JAX is not installed here (pip install …)', for one framework or several."""
    names = " and ".join(FRAMEWORKS[name][name] for name in frameworks)
    verb = "is" if len(frameworks) == 1 else "are"
    return f'{names} {verb} not installed here (pip install "maml_edu[{",".join(frameworks)}]")'


def versions(frameworks: list[str], record: dict) -> str:
    """'TensorFlow 2.21.0, Keras 3.15.1': the packages of these frameworks when the cell was recorded."""
    names = {package: word for name in frameworks for package, word in FRAMEWORKS[name].items()}
    return ", ".join(f"{word} {record['versions'][package]}" for package, word in names.items())


def in_words(date: str) -> str:
    """'1 December 2026' from '2026-12-01'."""
    day = datetime.date.fromisoformat(date)
    return f"{day.day} {day:%B %Y}"


def without_first_line(lines: list[str]) -> list[str]:
    """A cell's lines as IPython is to run them: where all its frameworks are there, without the magic.

    An empty line takes its place, so that the numbers in a traceback stay right.
    """
    if not lines or lines[0].split()[:1] != ["%%recorded"]:
        return lines
    try:
        frameworks, _ = asked_for(lines[0].partition("%%recorded")[2])
    except ValueError:
        return lines  # `show` says it
    return lines if missing(frameworks) else ["\n", *lines[1:]]


def register(shell) -> None:
    """Gives the magic to an IPython shell; once is enough, twice does no harm."""
    shell.register_magic_function(show, magic_kind="cell", magic_name="recorded")
    names = [
        step.__name__ for step in shell.input_transformers_cleanup if hasattr(step, "__name__")
    ]
    if without_first_line.__name__ not in names:
        shell.input_transformers_cleanup.append(without_first_line)


if "IPython" in sys.modules and (_shell := sys.modules["IPython"].get_ipython()) is not None:
    register(_shell)
