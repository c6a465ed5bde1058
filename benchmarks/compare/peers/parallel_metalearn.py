"""parallel-metalearn: its `MAML.step`, which vmaps over tasks, with its own batch norm."""

import torch
from metalearn.algorithms import MAML
from metalearn.inner_optimizers import InnerSGD
from metalearn.loss import BaseLoss
from metalearn.model_wrappers import MAML_Model
from metalearn.nn_models.basic_layers import BatchNorm
from torch import nn

from .base import TorchPeer


class Peer(TorchPeer):
    norm = BatchNorm

    def setup(self):
        torch.set_default_dtype(self.dtype)  # its rate is a tensor of the default precision
        *body, head = self.model
        wrapped = MAML_Model(backbone=Layers(*body), head=Layers(head))
        inner = InnerSGD(
            initial_fast_weights=wrapped.get_fast_weights(),
            inner_lr=self.workload.inner_lr,
            max_inner_steps=self.workload.inner_steps,
            learn_lr=False,
        )
        self.maml = MAML(
            model=wrapped,
            optimizer=self.optimiser,
            inner_optimizer=inner,
            support_loss_fn=Loss(self.loss),
            inner_steps=self.workload.inner_steps,
            chunk_size=100_000,  # all tasks at once
            device=self.device,
        )

    def put(self, batch):
        x_s, y_s, x_q, y_q = super().put(batch).values()
        return x_s, {"labels": y_s}, x_q, {"labels": y_q}

    def step(self, batch):
        return self.maml.step(iter([batch]))[0]

    def gradient(self, batch):
        """`step` computes it and descends at once: the parameters are put back afterwards."""
        theta = {name: value.clone() for name, value in self.model.state_dict().items()}
        value = self.step(batch)
        slopes = {n: p.grad.cpu().numpy().copy() for n, p in self.model.named_parameters()}
        self.model.load_state_dict(theta)
        return value, slopes


class Layers(nn.Sequential):
    """Layers in turn; the flags that the library hands to every forward go to its own batch norm only."""

    def forward(self, x, **flags):
        for layer in self:
            x = layer(x, **flags) if isinstance(layer, BatchNorm) else layer(x)
        return x


class Loss(BaseLoss):
    """(loss, metric); there is no metric here, which saves the peer a little work."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, out_dict, targets, model_states=None, **flags):
        loss = self.function(out_dict["logits"], targets["labels"])
        return loss, loss.detach()
