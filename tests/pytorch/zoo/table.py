"""The zoo as a Markdown table, models × engines: `python -m tests.pytorch.zoo.table [words in names]`."""

import sys

from .cases import CASES, ENGINES
from .runs import outcome, tolerance


def cell(name, engine):
    """ "exact" with the distance from the oracle, "refused: why", or what went wrong in capitals."""
    try:
        result = outcome(name, engine)
    except Exception as error:
        return f"FAILS: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if result.left:
        return f"LEFT BEHIND: {'; '.join(result.left)}"
    if result.refused:
        return f"refused ({result.refused.removeprefix(engine + ': ')})"
    if not result.gap <= tolerance(name):
        return f"WRONG by {result.gap:.1e}"
    return f"exact ({result.ran})" if engine == "auto" else "exact"


def main(words):
    print("| model and loss |", " | ".join(ENGINES), "|")
    print("|---" * (len(ENGINES) + 1) + "|")
    for name in CASES:
        if all(word in name for word in words):
            cells = [cell(name, engine).replace("|", "\\|") for engine in ENGINES]
            print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
