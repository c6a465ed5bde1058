"""The picture in the README: one gradient step on a new sine wave, MAML beside an ordinary network.

    python benchmarks/pictures/readme_picture.py        # a few minutes; writes docs/images/one_step.png

Both networks see 6,000 × 25 sine waves. MAML's is trained for what one step makes of it, the ordinary
one (no inner step in training) to fit all waves at once. Seeds are fixed.
"""

import argparse
from pathlib import Path

import torch

import maml_edu.pytorch as mt
from maml_edu.figures import draw
from maml_edu.figures.chapters.start_here import a_new_sine, fit_scenes
from maml_edu.tasks import Sinusoids


def trained(inner_steps, iterations):
    torch.manual_seed(0)
    network = mt.MLP(1, 40, 40, 1)
    learner = mt.MAML(network, inner_lr=0.01, inner_steps=inner_steps)
    mt.meta_train(learner, Sinusoids(shots=10), iterations)
    return network.arrays()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=6_000, help="of meta-training")
    parser.add_argument("--out", type=Path, default=Path("docs/images/one_step.png"))
    options = parser.parse_args()
    maml, ordinary = (trained(steps, options.iterations) for steps in (1, 0))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw(*fit_scenes(maml, ordinary, a_new_sine(shots=7), steps=1)).save(options.out)


if __name__ == "__main__":
    main()
