"""Whole experiments, each in a folder of its own: what `maml-edu train` and `maml-edu evaluate` do.

Start with `run`, which takes `Settings`, and `load`, which returns what a run has learned:

    from maml_edu import runs

    settings = runs.resolve("omniglot", preset="finn2017", iterations=2000)
    outcome = runs.run(settings, "runs/mine")
    learner, settings = runs.load("runs/mine")
    report = runs.evaluate(learner, runs.make_problem(settings).test)

`settings` holds what an experiment is made of, `families` what fits which tasks, `presets` published
hyper-parameters by name, `problems` what can be trained and on what, `experiment` a run from beginning to end,
`report` its test, `folder` its files, `commands` and `options` the command line. torch is imported when it is
needed.
"""

from .experiment import Outcome, run
from .folder import Folder, load
from .presets import PRESETS
from .problems import make_learner, make_problem
from .report import Report, evaluate
from .settings import Settings, resolve

__all__ = [
    "PRESETS", "Folder", "Outcome", "Report", "Settings", "evaluate", "load", "make_learner", "make_problem",
    "resolve", "run",
]  # fmt: skip
