"""A pretrained backbone with frozen batch norms, of which only a new head adapts.

The backbone is pretrained here, on 100 characters (yours may come from torchvision). In eval mode its norms use
what they have stored, and nothing writes to it. Meta-training learns where the head starts, and its inner rate; the
network adapted to one task is an ordinary module, which is saved and used without this library.
"""

import argparse
import tempfile

import numpy as np
import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import Glyphs


def pretrained(bank, iterations):
    """A backbone (examples, 1, 28, 28) → (examples, 288), trained to tell the characters of a bank apart."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    layers += [nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU()]
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten())
    network = nn.Sequential(backbone, nn.Linear(288, len(bank)))
    x = torch.tensor(bank).float().flatten(0, 1)[:, None]  # (characters * examples, 1, 28, 28)
    y = torch.arange(len(bank)).repeat_interleave(bank.shape[1])
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(iterations):
        rows = torch.randint(len(x), (128,))
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
        optimiser.step()
    return backbone


def main(iterations):
    train, test = (Glyphs(split, ways=5, shots=1, queries=5) for split in ("train", "test"))
    backbone = pretrained(train.bank[:100], 10 * iterations).eval().requires_grad_(False)
    head = nn.Linear(288, 5)
    nn.init.zeros_(head.weight)
    learner = mt.MAML(
        nn.Sequential(backbone, head),
        nn.functional.cross_entropy,
        inner_lr=0.005,
        inner_steps=3,
        learn_inner_lr=True,
    )
    print(mt.meta_train(learner, train, iterations, meta_batch=8, meta_lr=1e-3))
    print(f"the inner rate: 0.005 at first, {float(learner.inner_lr.detach()):.3f} now")
    print(mt.evaluate(learner, test, episodes=100))

    support_x, support_y, query_x, query_y = next(iter(test.sample(np.random.default_rng(0), 1)))
    with tempfile.TemporaryDirectory() as folder:
        torch.save(learner.adapted(support_x, support_y), f"{folder}/adapted.pt")
        network = torch.load(f"{folder}/adapted.pt", weights_only=False)  # a whole module
    right = network(torch.as_tensor(query_x)).argmax(1) == torch.as_tensor(query_y)
    print(f"{type(network).__name__}, saved and loaded: {int(right.sum())} of {len(right)} right")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=30)
    main(parser.parse_args().iterations)
