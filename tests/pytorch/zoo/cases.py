"""The table of the zoo: `CASES`, name → function that gives a Case; `build(name)` makes one."""

from .case import Case, built
from .families import layers, loops, losses, modules, norms, randomness, sequences

_FAMILIES = (layers, norms, sequences, randomness, modules, losses, loops)
CASES = {name: make for family in _FAMILIES for name, make in family.CASES.items()}

ENGINES = ("plain", "lean", "threads", "closed", "native", "conv", "textbook", "auto")
COMPILED = (
    "MLP with tanh",
    "LayerNorm",
    "Dropout",
)  # of "compiled", which takes half a minute for each

assert len(CASES) == sum(len(family.CASES) for family in _FAMILIES), "two cases have one name"


def build(name) -> Case:
    """The case of this name, as `built` makes it."""
    return built(CASES[name])
