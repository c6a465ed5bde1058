"""From gradient descent through meta-gradients to MAML: a course and the library under it.

Start from `maml_edu.reference` (NumPy, made to be read), `maml_edu.pytorch` (the same names,
fast) or, in a terminal, `maml-edu lab`. Importing `maml_edu` itself loads nothing heavy: its
parts are imported when they are first asked for.
"""

import importlib

__version__ = "0.1.0"

_PARTS = ("reference", "pytorch", "tasks", "checks", "figures")


def __getattr__(name):
    """Import a part of the library the first time it is named, as in `maml_edu.reference`."""
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"maml_edu has no part {name!r}; it has {', '.join(_PARTS)}")


def __dir__():
    return sorted([*globals(), *_PARTS])
