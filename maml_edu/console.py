"""What the commands have in common: `as_program` runs them, `say` prints a line."""

import os
import sys

from rich.console import Console


def as_program(app, name: str):
    """Run a typer app as a program; a problem that a user can put right becomes one clear message.

    Exit code 1 then, 130 after Ctrl-C. MAML_EDU_DEBUG in the environment shows the traceback.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, OSError, ValueError, ImportError) as error:
        if os.environ.get("MAML_EDU_DEBUG"):
            raise
        notes = " ".join(getattr(error, "__notes__", []))
        say(f"{name}: {error} {notes}".rstrip(), Console(stderr=True))
        sys.exit(1)


def say(text: str, console: Console | None = None):
    """Print text as it is: nothing in it is taken for markup, and no line is broken."""
    (console or Console()).print(text, markup=False, highlight=False, soft_wrap=True)
