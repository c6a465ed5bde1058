"""maml_edu: `MAML(…, engine=option).meta_gradient(batch)` and torch's Adam."""

import maml_edu.pytorch as mt
from maml_edu.tasks import TaskBatch

from .base import TorchPeer


class Peer(TorchPeer):
    norm = mt.BatchNorm

    def setup(self):
        if self.workload.network == "mlp":  # the same layers under the name that fast paths know
            known = self.model.state_dict()
            self.model = mt.MLP(1, self.workload.width, self.workload.width, 1)
            self.model.to(self.device, self.dtype).load_state_dict(known)
            self.optimiser = type(self.optimiser)(self.model.parameters(), lr=self.workload.meta_lr)
        self.learner = self.made(engine=self.option)

    def made(self, **options):
        """The learner of the workload around the model."""
        rates = (self.workload.inner_lr, self.workload.inner_steps)
        rule = self.workload.inner_optimiser
        return mt.MAML(self.model, self.loss, *rates, inner_optimiser=rule, **options)

    def put(self, batch):
        return TaskBatch(**super().put(batch))

    def accumulate(self, batch):
        value, slopes = self.learner.meta_gradient(batch)
        for name, parameter in self.learner.params.items():
            parameter.grad = slopes[name]
        return value
