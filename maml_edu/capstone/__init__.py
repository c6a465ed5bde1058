"""A family of tasks of your own: is it worth meta-learning, who does best on it, and a page about it.

Start with `check_family`; `compare` trains and tests, `write_report` makes the page. A family is anything with
`sample(rng, tasks=n)` → TaskBatch, as in `maml_edu.tasks`. How the methods learn is in `maml_edu.pytorch`.
"""

from .answers import Check
from .comparison import Comparison, compare
from .family import FamilyReport, check_family
from .page import write_report
from .pictures import curves_scene, failure_scene

__all__ = [
    "Check",
    "Comparison",
    "FamilyReport",
    "check_family",
    "compare",
    "curves_scene",
    "failure_scene",
    "write_report",
]
