"""Glyphs beside Omniglot, for the eye: docs/images/glyphs.png.

    python benchmarks/pictures/contact_sheet.py --data-dir DIR  # unless Omniglot is where it should be

Above, ten alphabets, a row each, of which twelve characters are shown; below, ten characters, a row each, as
drawn by twelve drawers. On the left all is invented.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from maml_edu.tasks import glyphs, omniglot

ROWS, COLUMNS = 10, 12


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder of Omniglot")
    parser.add_argument("--out", type=Path, default=Path("docs/images/glyphs.png"))
    options = parser.parse_args()
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.6), layout="constrained")
    panels = {
        "Glyphs (invented)": invented(),
        "Omniglot (Lake et al. 2015)": real(options.data_dir),
    }
    for column, (name, (alphabets, drawers)) in enumerate(panels.items()):
        axes[0, column].set_title(f"{name}: an alphabet a row", fontsize=11)
        axes[1, column].set_title("one character a row, twelve drawers", fontsize=11)
        for ax, images in ((axes[0, column], alphabets), (axes[1, column], drawers)):
            ax.imshow(1 - tiled(images), cmap="gray", interpolation="nearest")
            ax.axis("off")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=100)


def invented():
    """(alphabets, drawers), each (ROWS, COLUMNS, 28, 28)."""
    images = glyphs.draw_glyphs(
        np.random.default_rng(1), ROWS
    )  # (alphabets, characters, drawers, …)
    return images[:, :COLUMNS, 0], images[:, 5, :COLUMNS]


def real(data_dir):
    """The same of Omniglot: the first alphabets in its order."""
    data = omniglot.load(data_dir)
    names = list(dict.fromkeys(data["alphabet"]))[::5][:ROWS]
    of_names = [data["images"][data["alphabet"] == name] for name in names]
    alphabets = np.stack([own[np.arange(COLUMNS) % len(own), 0] for own in of_names])
    return alphabets, np.stack([own[5, :COLUMNS] for own in of_names])


def tiled(images):
    """(rows, columns, side, side) as one picture, with room between."""
    framed = np.pad(images, ((0, 0), (0, 0), (3, 3), (3, 3)))
    return framed.swapaxes(1, 2).reshape(len(images) * framed.shape[2], -1)


if __name__ == "__main__":
    main()
