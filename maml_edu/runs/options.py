"""The options of the commands. Those of `train` are made of `Settings`: start with `with_settings`.

Their help shows the defaults as `presets` has them, so that the two cannot disagree.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from .families import FAMILIES
from .presets import DEFAULTS, defaults_for
from .settings import Settings, relevant


def option(help: str, *, default: str = "", panel: str | None = None, **more) -> Any:
    """An option of a command.

    help: what it is.
    default: what it is if it is not given, in words.
    panel: under which heading the help lists it.
    more: as for `typer.Option`.
    """
    if default:
        more["show_default"] = False  # what typer would add: it knows only that it is None
    return typer.Option(help=_with_default(help, default), rich_help_panel=panel, **more)


def with_settings(command):
    """The command with an option for each setting in place of its **settings, after its first option.

    An option that is not given arrives as None.
    """
    signature = inspect.signature(command, eval_str=True)
    first, *others = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    parameters = [first, *_options_of_settings(), *others]
    command.__signature__ = signature.replace(parameters=parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _options_of_settings():
    """A keyword parameter for each field of `Settings` that has a help text."""
    hints = get_type_hints(Settings)
    for setting in dataclasses.fields(Settings):
        if "help" in setting.metadata:
            annotation = _option_of(setting, hints[setting.name])
            keyword = inspect.Parameter.KEYWORD_ONLY
            yield inspect.Parameter(setting.name, keyword, default=None, annotation=annotation)


def _option_of(setting, hint):
    """The annotation that makes typer read a setting of this type; the tasks are an argument."""
    help, panel = setting.metadata["help"], setting.metadata["panel"]
    default = default_of(setting.name)
    if setting.name == "tasks":
        argument = typer.Argument(metavar="[TASKS]", help=_with_default(help, default))
        return Annotated[str | None, argument]
    if get_origin(hint) is tuple:
        widths = option(help, default=default, panel=panel, callback=_widths)
        return Annotated[str | None, widths]
    kind = next(iter(get_args(hint)), hint)  # int, of int and of int | None
    return Annotated[kind | None, option(help, default=default, panel=panel)]


def _with_default(help, default):
    return f"{help} [dim]Default: {default}[/dim]" if default else help


# ------------------------------------------------------------------ defaults in words


def default_of(name: str) -> str:
    """The default of a setting in words: "sinusoids: 0.01; omniglot, glyphs: 2.0 (imaml: 0.4)"."""
    if name == "tasks":
        return Settings.tasks
    by_tasks = _grouped(DEFAULTS, lambda tasks: _default_on(tasks, name))
    if len(by_tasks) == 1:
        return next(iter(by_tasks))
    return "; ".join(f"{', '.join(group)}: {text}" for text, group in by_tasks.items())


def _default_on(tasks: str, name: str) -> str:
    """The same for one kind of tasks: "2.0 (imaml: 0.4)"; "" if the setting means nothing there."""
    by_method = _grouped(FAMILIES[tasks].methods, lambda method: _default_for(tasks, method, name))
    usual, *others = by_method or [""]
    exceptions = [f"{', '.join(by_method[text])}: {text}" for text in others]
    return f"{usual} ({'; '.join(exceptions)})" if exceptions else usual


def _default_for(tasks: str, method: str, name: str) -> str:
    """The same for one method on one kind of tasks: "0.4"."""
    defaults = defaults_for(tasks, method)
    if not relevant(name, Settings(**defaults | {"method": method})):
        return ""
    value = defaults.get(name, getattr(Settings, name))
    if value is None:
        return next(s.metadata["none"] for s in dataclasses.fields(Settings) if s.name == name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _grouped(names, text_of) -> dict[str, list[str]]:
    """{text: the names that have it}, in order of appearance; names without a text are left out."""
    groups: dict[str, list[str]] = {}
    for name in names:
        if text := text_of(name):
            groups.setdefault(text, []).append(name)
    return groups


# ------------------------------------------------------------------ values that are lists


def _widths(text: str | None) -> tuple[int, ...] | None:
    """ "40,40" → (40, 40)."""
    if text is None:
        return None
    try:
        widths = tuple(int(width) for width in text.split(",") if width.strip())
    except ValueError:
        widths = (0,)
    if any(width < 1 for width in widths):
        raise typer.BadParameter("give widths ≥ 1 with commas between them, such as 40,40")
    return widths


def inner_steps(text: str) -> tuple[int, ...]:
    """ "10" → 0 … 10; "0:10" the same; "1,5,10" → (1, 5, 10)."""
    try:
        if "," in text:
            steps = tuple(int(part) for part in text.split(","))
        else:
            first, _, last = text.rpartition(":")
            steps = tuple(range(int(first or 0), int(last) + 1))
    except ValueError:
        steps = ()
    if not steps or min(steps) < 0:
        raise typer.BadParameter("give inner steps such as 10, 0:10 or 0,1,5,10")
    return steps
