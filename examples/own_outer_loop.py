"""An outer loop of your own: torch.optim around `meta_gradient`, then the same with `mt.OuterStep`.

The first form may be anything: another optimiser, noise on the gradient, two learners in turn. The second is one
call per step, which `meta_train` would not do faster: in native code where the network allows it. Their losses are
the same at first; later they part as rounding does.
"""

import argparse

import numpy as np
import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids


def new_learner():
    torch.manual_seed(0)  # both loops start from the same θ
    return mt.MAML(mt.MLP(1, 40, 40, 1), nn.functional.mse_loss, inner_lr=0.01, inner_steps=1)


def by_torch_optim(learner, sines, iterations):
    """Meta-losses of a loop around the gradient."""
    rng, losses = np.random.default_rng(0), []
    optimiser = torch.optim.Adam(learner.meta_params.values(), lr=1e-3)
    for _ in range(iterations):
        loss, grads = learner.meta_gradient(sines.sample(rng, tasks=25))
        for name, parameter in learner.meta_params.items():
            parameter.grad = grads[name]
        optimiser.step()
        losses.append(float(loss))
    return losses


def by_outer_step(learner, sines, iterations):
    """Meta-losses of the same steps, each one call."""
    rng = np.random.default_rng(0)
    step = mt.OuterStep(learner, meta_lr=1e-3, optimiser="adam")
    return [step(sines.sample(rng, tasks=25)) for _ in range(iterations)]


def main(iterations):
    sines = Sinusoids(shots=10)
    for loop in (by_torch_optim, by_outer_step):
        learner = new_learner()
        losses = loop(learner, sines, iterations)
        print(f"{loop.__name__:15} meta-loss at first {losses[0]:.4f}, at the end {losses[-1]:.4f}")
    print(mt.evaluate(learner, sines, episodes=200, steps=3))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=1000)
    main(parser.parse_args().iterations)
