"""higher: `innerloop_ctx` with a differentiable SGD, as in its own MAML example."""

import higher
import torch

from .base import TorchPeer, tasks_of


class Peer(TorchPeer):
    def setup(self):
        self.inner = torch.optim.SGD(self.model.parameters(), lr=self.workload.inner_lr)

    def accumulate(self, batch):
        total, tasks = 0.0, len(batch["support_x"])
        for support_x, support_y, query_x, query_y in tasks_of(batch):
            context = higher.innerloop_ctx(self.model, self.inner, copy_initial_weights=False)
            with context as (model, optimiser):
                for _ in range(self.workload.inner_steps):
                    optimiser.step(self.loss(model(support_x), support_y))
                query = self.loss(model(query_x), query_y) / tasks
                query.backward()
            total += query.detach()
        return total
