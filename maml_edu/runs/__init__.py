"""Whole experiments, each in a folder of its own: what `maml-edu train` and `maml-edu evaluate` do.

Start with `train`, which takes `Settings`, and `load`, which gives back what a run has learned:

    from maml_edu import runs

    settings = runs.resolve("omniglot", preset="finn2017", iterations=2000)
    runs.train(settings, "runs/mine")
    learner, settings = runs.load("runs/mine")

`presets` holds published hyper-parameters by name, `problems` what can be trained, and on what, `folder` the
files of a run, `commands` the command line. torch is imported when it is needed.
"""

from .evaluating import Report, evaluate
from .folder import Folder, load
from .presets import PRESETS
from .settings import Settings, resolve
from .training import train

__all__ = ["PRESETS", "Folder", "Report", "Settings", "evaluate", "load", "resolve", "train"]
