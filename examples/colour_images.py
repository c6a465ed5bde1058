"""Colour images of your own, from a folder with a sub-folder per class.

Without `--folder DIR` the script makes one first: 24 flags of three stripes, each waving in 12 pictures. Eight of
them are kept for the test: the accuracy printed at the end is on classes that training has not seen.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import FewShotImages


def flags(folder, rng):
    """A sub-folder per class, each with 12 pictures (28, 28, 3) of one flag: another wave, place and light."""
    for number in range(24):
        colours = rng.integers(0, 256, (3, 3))  # (stripes, RGB)
        directory = folder / ("train" if number < 16 else "test") / f"flag{number:02d}"
        directory.mkdir(parents=True)
        for picture in range(12):
            rows, columns = np.indices((28, 28))
            wave = rows + rng.normal(0, 4) + 4 * np.sin(columns / 4 + rng.uniform(0, 6))
            stripes = np.clip(wave // 9.5, 0, 2).astype(int)  # (28, 28): which stripe
            image = colours[stripes] * rng.uniform(0.5, 1) + rng.normal(0, 20, (28, 28, 3))
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(directory / f"{picture}.png")


def main(iterations, folder):
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            folder = Path(temporary)
            flags(folder, np.random.default_rng(0))
        train, test = (
            FewShotImages.from_folder(Path(folder) / part, ways=5, shots=1, queries=5, size=28)
            for part in ("train", "test")
        )
    print("train:", train, "\ntest: ", test)
    network = mt.Conv4(ways=5, channels=3, filters=16)
    learner = mt.MAML(network, nn.functional.cross_entropy, inner_lr=0.4, inner_steps=1)
    print(mt.meta_train(learner, train, iterations, meta_batch=8, meta_lr=4e-3))
    print(mt.evaluate(learner, test, episodes=100))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="has the folders train and test, each with one per class")
    parser.add_argument("--iterations", type=int, default=100)
    options = parser.parse_args()
    main(options.iterations, options.folder)
