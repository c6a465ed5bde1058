"""Meta-training as a program for torchrun: `torchrun … -m maml_edu.train`, the same as `maml-edu train`.

What it does is `maml_edu.runs`. Start from `main`.
"""

import typer

from maml_edu.console import as_program
from maml_edu.runs import commands

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(commands.train)


def main():
    """Run the command line."""
    as_program(app, "maml_edu.train")


if __name__ == "__main__":
    main()
