"""What a table of few-shot results should be read against: pixels, ProtoNet, a pretrained network, fine-tuned.

`BASELINES`, each with `do`, which measures it on Omniglot's test split and keeps the result, and `cell`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import maml_edu.pytorch as mt
from maml_edu import runs
from maml_edu.pytorch.arguments import find_device
from maml_edu.runs import problems
from maml_edu.runs.folder import Folder
from maml_edu.tasks import FewShotImages, TaskBatch

RATES = (0.5, 2.0)  # tried for fine-tuning, on validation tasks
STEPS = (5, 10)
VALIDATION = 50  # tasks
BOTH = ("transductive", "one query at a time")


@dataclass(frozen=True)
class Baseline:
    """One of them. make: (ways, shots, options) → (learner, inner steps); ways: of asking."""

    name: str
    label: str
    make: Callable
    ways: tuple[str, ...]
    slow: bool = False  # with 20 ways: for a GPU

    def rows(self):
        """(label, way of asking) of its rows in a table."""
        return [
            (self.label if way == "score" else f"{self.label}, {way}", way) for way in self.ways
        ]

    def path(self, out: Path, ways, shots, split) -> Path:
        return out / "baselines" / f"{self.name}-{ways}way-{shots}shot-{split}.json"

    def do(self, ways, shots, split, options):
        """Measure it, unless that was done."""
        path = self.path(options.out, ways, shots, split)
        if path.is_file() or (
            self.slow and ways == 20 and find_device(options.device).type == "cpu"
        ):
            return
        print(f"\n{self.label}, {ways}-way {shots}-shot, {split}", flush=True)
        learner, steps = self.make(ways, shots, options)
        episodes = options.episodes or 600
        tasks = tasks_of(ways, shots, split, options)
        alone = len(self.ways) > 1 and ways == 5  # with more ways it takes too long
        found = runs.evaluate(learner, tasks, episodes, [steps], progress=True, alone=alone)
        Folder(path.parent).write_results(path.stem, found.as_json())

    def cell(self, out: Path, ways, shots, split, way) -> str:
        """Mean ± interval in %, or a dash where it was not measured."""
        path = self.path(out, ways, shots, split)
        if not path.is_file():
            return "for a GPU" if self.slow and ways == 20 else "–"
        scores = json.loads(path.read_text(encoding="utf-8"))["scores"]
        own = scores.get(way)
        if own is None:
            return "–"
        return f"{100 * own['mean'][-1]:.2f} ± {100 * own['ci95'][-1]:.2f}"


def tasks_of(ways, shots, split, options, source="omniglot"):
    """Episodes with five queries a class, as in the laptop recipe, rotations counting as classes."""
    settings = runs.resolve(source, ways=ways, shots=shots, rotations=True)
    return problems.tasks_of(settings, split, options.data_dir)


# ------------------------------------------------------------------ on pixels


def nearest_neighbour(ways, shots, options):
    return mt.NearestNeighbour(), 0


def nearest_centroid(ways, shots, options):
    return mt.NearestCentroid(), 0


# ------------------------------------------------------------------ on an embedding


def protonet(ways, shots, options):
    """One network for all settings, trained on 20-way 1-shot episodes."""
    how = {"ways": 20, "queries": 2, "iterations": 2000, "meta_batch": 2}
    settings = runs.resolve("omniglot", method="protonet", **how)
    learner = trained("protonet", settings, options)
    return learner, 0


def trained(name, settings, options):
    """The learner of a run in its own folder, which is trained where that was not done."""
    folder = options.out / "baselines" / name
    if options.iterations:
        settings = settings.changed(iterations=options.iterations)
    how = {"device": options.device, "data_dir": options.data_dir, "test": False}
    outcome = runs.run(settings, folder, resume=Folder(folder).begun(), **how)
    if outcome.history.interrupted:
        raise SystemExit(130)
    return runs.load(folder)[0].to(outcome.device)


# ------------------------------------------------------------------ a pretrained network, fine-tuned


class AllClasses(FewShotImages):
    """The same episodes, with labels that number the classes of the whole bank: for ordinary pretraining."""

    def batch(self, chosen, examples):
        found = super().batch(chosen, examples)
        support_y, query_y = (
            np.take_along_axis(chosen, y, axis=1) for y in (found.support_y, found.query_y)
        )
        return TaskBatch(found.support_x, support_y, found.query_x, query_y)


def fine_tuned(ways, shots, options, source="omniglot"):
    """A network that has learned to tell all training characters apart, its head anew for each task.

    Rate, steps and whether the body adapts, too: what is best on 50 validation tasks.
    """
    features = pretrained(options, source).features
    learner = mt.FineTuning(mt.Conv4(ways, filters=64), F.cross_entropy, 0.1, 1)
    with torch.no_grad():
        learner.model.features.load_state_dict(features.state_dict())
        for own in learner.model.head.parameters():
            own.zero_()
    best = (-1.0, 0.1, 5, None)
    tasks = tasks_of(ways, shots, "val", options, source)
    for adapting in (None, "head."):
        for rate in RATES:
            own = mt.FineTuning(learner.model, F.cross_entropy, rate, 1, adapting=adapting)
            found = mt.evaluate(
                own, tasks, min(VALIDATION, options.episodes or VALIDATION), max(STEPS)
            ).mean
            best = max(best, *((found[n], rate, n, adapting) for n in STEPS), key=lambda b: b[0])
    _, rate, steps, adapting = best
    print(f"best on validation tasks: rate {rate}, {steps} steps, {adapting or 'all'} adapting")
    return mt.FineTuning(learner.model, F.cross_entropy, rate, 1, adapting=adapting), steps


def pretrained(options, source):
    """Conv4 with a head for every training character, rotations included, by plain classification."""
    own = tasks_of(5, 1, "train", options, source)
    family = AllClasses(own.bank, ways=64, shots=1, queries=1)
    torch.manual_seed(0)
    model = mt.Conv4(len(own.bank), filters=64)
    learner = mt.FineTuning(model, F.cross_entropy, shared_labels=True)
    mt.meta_train(
        learner,
        family,
        options.iterations or 2500,
        meta_batch=1,
        meta_lr=2e-3,
        schedule=("cosine", 0.01),
        device=options.device,
        checkpoint=options.out / "baselines" / f"pretrained-{source}",
    )
    return model.cpu()


BASELINES = (
    Baseline("pixels", "pixels, nearest neighbour", nearest_neighbour, ("score",)),
    Baseline("centroid", "pixels, nearest centroid", nearest_centroid, ("score",)),
    Baseline("protonet", "ProtoNet (trained 20-way 1-shot)", protonet, BOTH),
    Baseline(
        "fine-tuned", "pretrained on all classes, fine-tuned", fine_tuned, BOTH[:1], slow=True
    ),
)
ON_GLYPHS = (  # what learns from glyphs alone; the ProtoNet is a row of `reproduce.ROWS`
    BASELINES[0],
    BASELINES[1],
    Baseline(
        "fine-tuned-glyphs",
        "pretrained on all classes of glyphs, fine-tuned",
        functools.partial(fine_tuned, source="glyphs"),
        BOTH[:1],
    ),
)
