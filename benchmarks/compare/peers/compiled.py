"""torch.compile: of the whole outer step, Adam included, where that is the faster way.

On a CPU a convolution vmapped over tasks is slow compiled as well, so there the gradient of one task is
compiled and called for each task in turn, which is several times as fast.
"""

import torch
from torch.func import grad_and_value

from . import vmap
from .base import names_and_values, tasks_of


class Peer(vmap.Peer):
    def setup(self):
        self.option = "elementary"
        self.whole = self.workload.network == "mlp" or self.device.type == "cuda"
        function = self.outer_step if self.whole else grad_and_value(self.query_loss)
        self.compiled = torch.compile(function, fullgraph=True)
        self.theta = {n: p.detach().clone() for n, p in names_and_values(self.model).items()}
        zeros = {n: torch.zeros_like(p) for n, p in self.theta.items()}
        self.state = (zeros, dict(zeros), torch.ones((), device=self.device, dtype=self.dtype))

    def outer_step(self, theta, state, *data):
        """(θ', Adam's state', meta-loss, meta-gradient): a pure function, compiled as one."""
        slopes, value = grad_and_value(self.meta_loss)(theta, *data)
        first, second, count = state
        first = {n: 0.9 * own + 0.1 * slopes[n] for n, own in first.items()}
        second = {n: 0.999 * own + 0.001 * slopes[n] ** 2 for n, own in second.items()}
        lift, scale = 1 - 0.9**count, 1 - 0.999**count
        theta = {
            n: own - self.workload.meta_lr * (first[n] / lift) / ((second[n] / scale).sqrt() + 1e-8)
            for n, own in theta.items()
        }
        return theta, (first, second, count + 1), value, slopes

    def step(self, batch):
        if self.whole:
            moved = self.compiled(self.theta, self.state, *batch.values())
            self.theta, self.state = moved[:2]
        else:
            super().step(batch)

    def accumulate(self, batch):
        """One compiled call a task, on the model's own parameters; Adam is torch's."""
        total, tasks = 0.0, len(batch["support_x"])
        theta = {n: p.detach() for n, p in names_and_values(self.model).items()}
        for task in tasks_of(batch):
            slopes, value = self.compiled(theta, *task)
            total += value / tasks
            for name, parameter in self.model.named_parameters():
                own = slopes[name] / tasks
                parameter.grad = own if parameter.grad is None else parameter.grad.add_(own)
        return total

    def gradient(self, batch):
        if not self.whole:
            return super().gradient(batch)
        value, slopes = self.compiled(self.theta, self.state, *batch.values())[2:]
        return float(value), {name: own.cpu().numpy() for name, own in slopes.items()}
