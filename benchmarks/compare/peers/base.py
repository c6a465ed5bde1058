"""What the peers in PyTorch share: the network, Adam, the data as tensors. Start with `TorchPeer`."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


class TorchPeer:
    """A peer whose θ is an nn.Module: it says how `.grad` comes about (`accumulate`), the rest is here."""

    norm = nn.BatchNorm2d  # with track_running_stats=False: the batch's own statistics

    def __init__(self, workload, params, dtype="float32", device="cpu", option=""):
        self.workload, self.option, self.device = workload, option, torch.device(device)
        self.dtype = getattr(torch, dtype)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = (
            True  # shapes stay the same: the fastest kernel is looked for
        )
        self.loss = F.mse_loss if workload.network == "mlp" else F.cross_entropy
        self.model = build(workload, self.norm)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(torch.from_numpy(params[name]))
        self.model.to(self.device, self.dtype)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=workload.meta_lr)
        self.setup()

    def setup(self):
        """What a peer needs beside the model."""

    def accumulate(self, batch):
        """Add the meta-gradient of a batch to `.grad`; return the meta-loss."""
        raise NotImplementedError

    def put(self, batch):
        """Field → tensor on the device, real numbers in the peer's precision."""
        return {name: self.tensor(value) for name, value in batch.items()}

    def tensor(self, value):
        value = torch.from_numpy(value).to(self.device)
        return value.to(self.dtype) if value.is_floating_point() else value

    def gradient(self, batch):
        self.optimiser.zero_grad()
        value = self.accumulate(batch)
        slopes = {name: p.grad.detach().cpu().numpy() for name, p in self.model.named_parameters()}
        self.optimiser.zero_grad()
        return float(value), slopes

    def step(self, batch):
        self.optimiser.zero_grad()
        self.accumulate(batch)
        self.optimiser.step()

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def set_threads(self, count):
        torch.set_num_threads(count)

    def device_memory(self):
        """(bytes now, most since `forget_peak`) on the GPU; None on a CPU: the worker measures there."""
        if self.device.type != "cuda":
            return None
        return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()

    def forget_peak(self):
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()


def tasks_of(batch):
    """(support_x, support_y, query_x, query_y) of one task after the other."""
    return zip(*(batch[n] for n in ("support_x", "support_y", "query_x", "query_y")), strict=True)


def build(workload, norm):
    """The network as nn.Sequential, the parameters named as in `workloads.shapes`."""
    width = workload.width
    if workload.network == "mlp":
        layers = [nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, 1))
    layers = []
    for inputs in (1, width, width, width):
        layers.append(nn.Conv2d(inputs, width, 3, stride=1 if workload.pool else 2, padding=1))
        layers += [norm(width, track_running_stats=False), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if workload.pool else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * (1 if workload.pool else 4), 5))


class ElementaryBatchNorm(nn.Module):
    """Batch norm that stays right under torch.func.vmap: written from elementary operations."""

    def __init__(self, features, track_running_stats=False):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        centred = x - x.mean((0, 2, 3), keepdim=True)
        x = centred * torch.rsqrt(centred.square().mean((0, 2, 3), keepdim=True) + 1e-5)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def names_and_values(model):
    """θ as an ordered dict of its parameters."""
    return OrderedDict(model.named_parameters())
