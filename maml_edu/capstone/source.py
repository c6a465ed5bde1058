"""The code of a family's class, for a page: `source_of`."""

from __future__ import annotations

import ast
import inspect
import linecache

MOST = 40  # lines


def source_of(family) -> str:
    """The code of a family's class, MOST lines of it at most; "" if it is not to be had.

    Classes of a notebook belong to no file that `inspect` knows; their methods do.
    """
    kind = family if inspect.isclass(family) else type(family)
    for method in vars(kind).values():
        code = getattr(inspect.unwrap(method) if callable(method) else method, "__code__", None)
        if code is None:
            continue
        lines = linecache.getlines(code.co_filename)
        text = _class_around(lines, kind.__name__, code.co_firstlineno)
        if text:
            return _shortened(text)
    return ""


def _class_around(lines, name, line) -> list[str]:
    """The lines of the class of this name that holds a line; [] if there is none."""
    try:
        nodes = ast.walk(ast.parse("".join(lines)))
    except (SyntaxError, ValueError):
        return []
    for node in nodes:
        if (
            isinstance(node, ast.ClassDef)
            and node.name == name
            and node.lineno <= line <= node.end_lineno
        ):
            return lines[node.lineno - 1 : node.end_lineno]
    return []


def _shortened(lines) -> str:
    lines = inspect.cleandoc("\n" + "".join(lines)).split("\n")
    if len(lines) > MOST:
        lines = [*lines[: MOST - 1], f"# … {len(lines) - MOST + 1} more lines"]
    return "\n".join(line.rstrip() for line in lines)
