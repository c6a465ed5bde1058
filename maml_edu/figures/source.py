"""Show the code that a lesson calls, one click away. Start from `show_source`."""

import html
import inspect
import textwrap
from pathlib import Path

PACKAGE_PARENT = Path(__file__).resolve().parents[2]


class Source:
    """A function's source, folded in the notebook, plain in a terminal."""

    def __init__(self, name, place, code):
        self.name, self.place, self.code = name, place, code

    def __repr__(self):
        return f"# {self.name}: {self.place}\n{self.code}"

    def _repr_html_(self):
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        # Colours are inline and the background is set: right in JupyterLab's dark theme as well.
        coloured = highlight(
            self.code, PythonLexer(), HtmlFormatter(noclasses=True, style="xcode", nowrap=True)
        )
        box = "background: #f7f7f7; color: #222222; padding: 0.6em 0.9em; overflow-x: auto"
        return (
            f"<details><summary>Source of <code>{html.escape(self.name)}</code> "
            f"({html.escape(self.place)})</summary>"
            f'<pre style="{box}">{coloured}</pre></details>'
        )


def show_source(thing):
    """The source of a function or class, foldable, with its file and line.

    The place is given from the package's folder on ("maml_edu/reference/maml.py, line 24"), so a
    built notebook says the same on every machine.
    """
    thing = inspect.unwrap(thing)
    name = getattr(thing, "__qualname__", repr(thing))
    try:
        lines, first = inspect.getsourcelines(thing)
        file = inspect.getsourcefile(thing)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"{name} has no Python source to show (it is built in or compiled): "
            "give a function or class that is written in Python"
        ) from error
    return Source(name, _place(file, first), textwrap.dedent("".join(lines)))


def _place(file, line):
    path = Path(file).resolve()
    if path.is_relative_to(PACKAGE_PARENT / "maml_edu"):
        return f"{path.relative_to(PACKAGE_PARENT).as_posix()}, line {line}"
    return "defined in this notebook" if path.suffix != ".py" or "ipykernel" in file else path.name
