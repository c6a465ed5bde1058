"""TorchOpt: `MetaSGD` or `MetaAdam`, whose state is taken out before and put back after each task, as in its
examples."""

import torch
import torchopt

from .base import TorchPeer, tasks_of


class Peer(TorchPeer):
    def setup(self):
        rate = self.workload.inner_lr
        if self.workload.inner_optimiser == "adam":
            torch.set_default_dtype(
                self.dtype
            )  # in which it computes 1 − βᵗ, whatever the network is in
            # without eps_root a unit that is dead gives NaN; this one changes no digit
            self.inner = torchopt.MetaAdam(self.model, lr=rate, eps_root=1e-30)
        else:
            self.inner = torchopt.MetaSGD(self.model, lr=rate)

    def accumulate(self, batch):
        total, tasks = 0.0, len(batch["support_x"])
        theta = torchopt.extract_state_dict(self.model, by="reference", detach_buffers=True)
        fresh = torchopt.extract_state_dict(self.inner, by="reference")
        for support_x, support_y, query_x, query_y in tasks_of(batch):
            for _ in range(self.workload.inner_steps):
                self.inner.step(self.loss(self.model(support_x), support_y))
            query = self.loss(self.model(query_x), query_y) / tasks
            query.backward()
            total += query.detach()
            torchopt.recover_state_dict(self.model, theta)
            torchopt.recover_state_dict(self.inner, fresh)
        return total
