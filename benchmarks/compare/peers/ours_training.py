"""maml_edu as a user trains: `meta_train`, which also looks for NaN, keeps history and draws the tasks.

option "prepared": it is handed the batches that the others are timed on. On a GPU it replays outer steps
from a CUDA graph; the option is then the precision ("" is float32), for timing in float32, since the check
in float64 knows no other.
"""

import time

import torch

import maml_edu.pytorch as mt
from maml_edu.tasks import Glyphs, Sinusoids

from . import ours

ASIDE = 100  # iterations on a GPU that are not timed: of the capture, and of the first look at the losses


class Prepared:
    """A task family that hands out batches made before, in turn: several at once, if they are wanted."""

    draws_ahead = True

    def __init__(self, tasks):
        self.tasks, self.batches, self.count = tasks, [], 0

    def take(self, batch):
        if len(batch) == self.tasks:
            self.batches.append(batch)

    def sample(self, rng, tasks):
        self.count += 1
        return self.batches[self.count % len(self.batches)]


class Peer(ours.Peer):
    def __init__(self, workload, params, dtype="float32", device="cpu", option=""):
        self.precision = option if option not in ("", "prepared") else "float32"
        super().__init__(workload, params, dtype, device, "auto")
        shots = {"shots": workload.shots, "queries": workload.queries}
        self.family = Sinusoids(**shots) if workload.network == "mlp" else Glyphs(**shots)
        if option == "prepared":
            self.family = Prepared(workload.tasks)

    def put(self, batch):
        batch = super().put(batch)
        if isinstance(self.family, Prepared):
            self.family.take(batch)
        return batch

    def setup(self):
        super().setup()
        if self.dtype == torch.float32:
            self.learner = self.made(precision=self.precision)

    def step(self, batch):
        self.run(1)

    def run(self, steps):
        """Seconds for `steps` iterations of `meta_train`, its own end included; on a CPU its start, too."""
        aside = ASIDE if self.device.type == "cuda" else 0
        began = [time.perf_counter()]

        def look(iteration, history, learner):
            if iteration == aside:  # the losses so far have been read: the GPU is done with them
                began.append(time.perf_counter())

        mt.meta_train(
            self.learner,
            self.family,
            iterations=aside + steps,
            meta_batch=self.workload.tasks,
            meta_lr=self.workload.meta_lr,
            device=str(self.device),
            progress=False,
            callbacks=[(aside, look)] if aside else (),
        )
        return time.perf_counter() - began[-1]
