"""What an exercise asks for may be there in this package already: whether an answer calls it. See `called`.

It is read from the source, that of the answer and of all it uses in the same notebook. Who hides a call finds a
way; this tells those who reach for what they know that here it is to be written, before a teacher has to.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LONGEST = 1_000_000  # characters of a notebook's code


def refusal(forbids: Collection[str], sources: Iterable[str], name: str) -> str:
    """What to say of an answer that calls what its exercise asks for; "" where it does not.

    forbids: dotted names of functions, or of packages. sources: the cells of a notebook; name: of the answer.
    """
    if not forbids:
        return ""
    found = sorted(
        path for path in called(sources, name) if any(_is_in(path, one) for one in forbids)
    )
    if not found:
        return ""
    return f"this exercise is to write what `{found[0]}` does: write it without calling that"


def _is_in(path: str, forbidden: str) -> bool:
    package, _, last = forbidden.rpartition(".")
    if path == forbidden or path.startswith(forbidden + "."):
        return True
    return path.startswith(package + ".") and path.rpartition(".")[2] == last  # where it is defined


def called(sources: Iterable[str], name: str) -> set[str]:
    """Dotted names of all of maml_edu that a function of a notebook uses, its helpers' included."""
    aliases: dict[str, str] = {}
    stars: list[str] = []
    bound: dict[str, list[ast.AST]] = {}
    for tree in _parsed(sources):
        for node in ast.walk(tree):
            _note_imports(node, aliases, stars)
        for line in tree.body:
            for own in _names_bound(line):
                bound.setdefault(own, []).append(line)
    own_defs = {
        name for name, lines in bound.items() if any(isinstance(x, DEFINITIONS) for x in lines)
    }
    found: set[str] = set()
    for path in _reached(name, bound):
        first, _, rest = path.partition(".")
        if first in aliases and first not in own_defs:
            found.add(".".join(filter(None, (aliases[first], rest))))
        elif first not in bound:
            found |= {f"{star}.{path}" for star in stars}
    return {path for path in found if path.split(".")[0] == "maml_edu"}


def _reached(name: str, bound: dict[str, list[ast.AST]]) -> set[str]:
    """Names, with their attributes, in what gives `name` its value, and in what gives those theirs."""
    found: set[str] = set()
    todo, seen = [name], {name}
    lines: set[int] = set()  # each is read once, however many names it binds
    while todo:
        for line in bound.get(todo.pop(), []):
            if id(line) in lines:
                continue
            lines.add(id(line))
            paths = _paths(line)
            found |= paths
            new = {path.partition(".")[0] for path in paths} - seen
            seen |= new
            todo += new
    return found


def _parsed(sources: Iterable[str]) -> Iterator[ast.Module]:
    """Each cell that is Python. What is longer than any notebook is not read: it would take long, too."""
    left = LONGEST
    for source in sources:
        left -= len(source)
        if left < 0:
            return
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            yield ast.parse(re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", source, flags=re.M))


def _note_imports(node, aliases, stars) -> None:
    if isinstance(node, ast.Import):
        for one in node.names:
            first = one.name.partition(".")[0]
            aliases[one.asname or first] = one.name if one.asname else first
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for one in node.names:
            if one.name == "*":
                stars.append(node.module)
            else:
                aliases[one.asname or one.name] = f"{node.module}.{one.name}"


def _names_bound(line) -> list[str]:
    """Names that a line of a cell gives a value to, imports left out."""
    if isinstance(line, DEFINITIONS):
        return [line.name]
    if isinstance(line, (ast.Import, ast.ImportFrom)):
        return []
    stores = [n for n in ast.walk(line) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return [node.id for node in stores]


def _paths(line) -> set[str]:
    """Every name in a piece of code, with the attributes asked of it: `ref.adapt`."""
    found = set()
    own = _names_of_its_own(line)
    for node in ast.walk(line):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id not in own:
            found.add(".".join([node.id, *reversed(parts)]))
    return found


def _names_of_its_own(line) -> set[str]:
    """Arguments, and what a function or a class binds: they mean nothing of that name elsewhere."""
    arguments = {node.arg for node in ast.walk(line) if isinstance(node, ast.arg)}
    if not isinstance(line, DEFINITIONS):
        return arguments
    names = [node for node in ast.walk(line) if isinstance(node, ast.Name)]
    return arguments | {node.id for node in names if isinstance(node.ctx, ast.Store)}


# ------------------------------------------------------------------ of a function of this process


def sources_of(function: Callable) -> tuple[list[str], str]:
    """(source of a function, of its helpers, and the imports that they rely on; its name there)."""
    name = str(getattr(function, "__name__", ""))
    if _of_library(function):
        return [*_import_of("itself", function), f"{name} = itself"], name
    lines: list[str] = []
    todo: list[object] = [function]
    seen: set[int] = set()
    while todo:
        own = todo.pop()
        if not isinstance(own, types.FunctionType) or _of_library(own) or id(own) in seen:
            continue
        seen.add(id(own))
        with contextlib.suppress(OSError, TypeError):  # not kept
            lines.append(inspect.cleandoc("\n" + inspect.getsource(own)))
        for used in _all_names(own.__code__):
            value = own.__globals__.get(used)
            lines += _import_of(used, value)
            todo.append(value)
    return lines, name


def _all_names(code) -> set[str]:
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*map(_all_names, inner))


def _of_library(value) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] == "maml_edu"


def _import_of(name, value) -> list[str]:
    """The line that gives a name of the package, written anew."""
    if isinstance(value, types.ModuleType) and value.__name__.split(".")[0] == "maml_edu":
        return [f"import {value.__name__} as {name}"]
    if isinstance(value, (types.FunctionType, type)) and _of_library(value):
        return [f"from {value.__module__} import {value.__qualname__.split('.')[0]} as {name}"]
    return []
