"""maml_edu in a loop of one's own: `OuterStep`, one batch a call."""

import maml_edu.pytorch as mt

from . import ours


class Peer(ours.Peer):
    def __init__(self, workload, params, dtype="float32", device="cpu", option=""):
        super().__init__(workload, params, dtype, device, "auto")

    def setup(self):
        super().setup()
        self.outer_step = mt.OuterStep(self.learner, self.workload.meta_lr)

    def step(self, batch):
        self.outer_step(batch)
