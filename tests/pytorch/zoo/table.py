"""The zoo as a Markdown table, models × engines.

    python -m tests.pytorch.zoo.table [--compiled] [words in the names of models]

--compiled: the column of "compiled" instead, for a few of them; each takes half a minute.
"""

import sys
import warnings

from .cases import CASES, COMPILED, ENGINES
from .runs import outcome, tolerance


def cell(name, engine):
    """ "exact", "refused" with the reason, or what went wrong in capitals."""
    try:
        result = outcome(name, engine)
    except Exception as error:
        return f"FAILS: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if result.left:
        return f"LEFT BEHIND: {'; '.join(result.left)}"
    if result.refused:
        return f"refused: {result.refused.removeprefix(engine + ': ')}"
    if not result.gap <= tolerance(name):
        return f"WRONG by {result.gap:.1e}"
    return f"exact ({result.ran})" if engine == "auto" else "exact"


def main(arguments):
    compiled = "--compiled" in arguments
    engines, names = (("compiled",), COMPILED) if compiled else (ENGINES, CASES)
    words = [word for word in arguments if word != "--compiled"]
    print("| model and loss |", " | ".join(engines), "|")
    print("|---" * (len(engines) + 1) + "|")
    for name in names:
        if all(word in name for word in words):
            cells = [cell(name, engine).replace("|", "\\|") for engine in engines]
            print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
