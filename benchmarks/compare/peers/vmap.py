"""torch.func: `grad` through an inner loop of `grad`, `vmap` over tasks, eager.

option "BatchNorm2d": nn.BatchNorm2d without running statistics, as torch's own guide to ensembles and
batch norm under vmap has it; "elementary": batch norm written out.
"""

from torch.func import functional_call, grad, grad_and_value, vmap

from .base import ElementaryBatchNorm, TorchPeer, names_and_values, nn


class Peer(TorchPeer):
    @property
    def norm(self):
        return nn.BatchNorm2d if self.option == "BatchNorm2d" else ElementaryBatchNorm

    def task_loss(self, params, x, y):
        return self.loss(functional_call(self.model, params, (x,)), y)

    def query_loss(self, theta, support_x, support_y, query_x, query_y):
        """L(φ) of one task."""
        phi = theta
        for _ in range(self.workload.inner_steps):
            slope = grad(self.task_loss)(phi, support_x, support_y)
            phi = {n: value - self.workload.inner_lr * slope[n] for n, value in phi.items()}
        return self.task_loss(phi, query_x, query_y)

    def meta_loss(self, theta, *data):
        return vmap(self.query_loss, in_dims=(None, 0, 0, 0, 0))(theta, *data).mean()

    def accumulate(self, batch):
        theta = {n: p.detach() for n, p in names_and_values(self.model).items()}
        slopes, value = grad_and_value(self.meta_loss)(theta, *batch.values())
        for name, parameter in self.model.named_parameters():
            parameter.grad = slopes[name]
        return value
