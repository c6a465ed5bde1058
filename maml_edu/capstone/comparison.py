"""Who does best on a family of tasks: start with `compare`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """What `compare` measured, all methods on the same test tasks. Printed, it is a table; in a notebook, too.

    family, kind, metric: as in a FamilyReport. settings: what was chosen, and between what, in plain values.
    rows: {name of a method: Row}, MAML first. failure: the task on which MAML does worst, with predictions.
    `curves()` gives the median score after each inner step; `difference(name)` MAML minus a method, by task.
    """

    family: Any
    kind: str
    metric: str
    rows: dict[str, Any]
    settings: dict[str, Any]
    failure: dict[str, Any]


def compare(
    family,
    model=None,
    *,
    validation=None,
    test=None,
    oracle=None,
    seeds=(0, 1, 2),
    iterations=2000,
    meta_batch=25,
    inner_steps=1,
    steps=10,
    inner_lrs=None,
    meta_lrs=(1e-3, 3e-3),
    episodes=200,
    validation_episodes=100,
    quick=False,
    progress=True,
) -> Comparison:
    """Meta-train MAML and its rivals on a family, each with settings of its own, and test all on the same new tasks.

    model: function of no arguments → a new nn.Module, x (examples, …) → predictions (examples, outputs) or class
        scores (examples, ways). None: an MLP with two layers of 40.
    validation, test: families to choose settings on and to test on, where classes are held out, such as
        Glyphs("val"), Glyphs("test"). None: `family` itself, with other seeds.
    oracle: as in `check_family`. seeds: of initialisation and of training tasks; everything trained is trained once for
        each. iterations, meta_batch: of MAML, and of pretraining. inner_steps: K in training; steps: most in the test.
    inner_lrs, meta_lrs: α and β to choose between; the pretrained network and the one from scratch choose their own α.
    episodes, validation_episodes: test tasks, and tasks on which settings are chosen.
    quick: True for a trial: one seed, a fifth of the iterations; the result says so.

    Methods: MAML; the pretrained network (of classes: a prototypical network) with its own α and number of steps; a
    ridge head on its features; the same network from scratch; a plain learner on the support set; the average
    predictor; the oracle, if there is one. Nothing is chosen on test tasks.

    Raises ValueError for families without examples (of policies), and for models that do not fit.
    """
    raise NotImplementedError
