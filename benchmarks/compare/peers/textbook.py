"""The textbook loop: task after task, `create_graph=True`, one backward pass through everything."""

import torch
from torch.func import functional_call

from .base import TorchPeer, names_and_values, tasks_of


class Peer(TorchPeer):
    def accumulate(self, batch):
        total, tasks = 0.0, len(batch["support_x"])
        theta = names_and_values(self.model)
        for support_x, support_y, query_x, query_y in tasks_of(batch):
            phi = dict(theta)
            for _ in range(self.workload.inner_steps):
                inner = self.loss(functional_call(self.model, phi, (support_x,)), support_y)
                slopes = torch.autograd.grad(inner, list(phi.values()), create_graph=True)
                moved = zip(phi.items(), slopes, strict=True)
                phi = {n: value - self.workload.inner_lr * slope for (n, value), slope in moved}
            query = self.loss(functional_call(self.model, phi, (query_x,)), query_y) / tasks
            query.backward()  # frees this task's graph at once: less memory than one sum over tasks
            total += query.detach()
        return total
