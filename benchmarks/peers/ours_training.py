"""maml_edu as a user trains: `meta_train`, which also draws the tasks, looks for NaN and keeps history."""

import time

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids

from . import ours


class Peer(ours.Peer):
    def __init__(self, workload, params, dtype="float32", device="cpu", option=""):
        super().__init__(workload, params, dtype, device, option or "auto")
        self.family = Sinusoids(shots=workload.shots, queries=workload.queries)

    def step(self, batch):
        self.run(1)

    def run(self, steps):
        """Seconds for `steps` iterations of `meta_train`, its own start and end included."""
        began = time.perf_counter()
        mt.meta_train(
            self.learner,
            self.family,
            iterations=steps,
            meta_batch=self.workload.tasks,
            meta_lr=self.workload.meta_lr,
            device=str(self.device),
            progress=False,
        )
        return time.perf_counter() - began
