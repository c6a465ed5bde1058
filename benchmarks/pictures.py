"""Few-shot classification of invented pictures that live on the device: Omniglot's shape, nothing of its content.

`sample` draws a batch with NumPy, `sample_on` where the pictures are, so that a GPU waits for nobody: what
a data set that fits into a GPU's memory (Omniglot's training classes: 75 MB) allows.
"""

from __future__ import annotations

import numpy as np
import torch

from maml_edu.tasks import TaskBatch

CLASSES, EXAMPLES, SIDE = 1200, 20, 28  # of Omniglot's original training split


class Pictures:
    """Tasks of `ways` classes out of many, each a random picture; an example is that picture and noise.

    shots, queries: per class. Examples of a class: at most 20 in a task. Raises ValueError for more.
    """

    def __init__(self, ways=5, shots=1, queries=1, classes=CLASSES, seed=0):
        if shots + queries > EXAMPLES:
            raise ValueError(f"a class has {EXAMPLES} examples, fewer than {shots} + {queries}.")
        self.ways, self.shots, self.queries, self.classes = ways, shots, queries, classes
        rng = np.random.default_rng(seed)
        pictures = rng.normal(size=(classes, 1, 1, SIDE, SIDE))
        noise = rng.normal(size=(classes, EXAMPLES, 1, SIDE, SIDE))
        self.known = {torch.device("cpu"): torch.from_numpy((pictures + noise).astype(np.float32))}

    def on(self, device) -> torch.Tensor:
        """All pictures (classes, examples, 1, side, side) on a device: copied there once."""
        if device not in self.known:
            self.known[device] = self.known[torch.device("cpu")].to(device)
        return self.known[device]

    def sample(self, rng, tasks=25):
        """A TaskBatch of `tasks` new tasks, drawn by a NumPy generator."""
        chosen = rng.random((tasks, self.classes)).argsort(1)[:, : self.ways]
        which = rng.random((tasks, self.ways, EXAMPLES)).argsort(2)[
            ..., : self.shots + self.queries
        ]
        chosen, which = torch.from_numpy(chosen), torch.from_numpy(which)
        return TaskBatch(*(part.numpy() for part in self.batch_of(chosen, which)))

    def sample_on(self, stream, tasks=25):
        """The same as four tensors on the device of a `maml_edu.pytorch.sampling.Stream`."""
        chosen = stream.choice(self.classes, self.ways, (tasks,))
        which = stream.choice(EXAMPLES, self.shots + self.queries, (tasks, self.ways))
        return self.batch_of(chosen, which)

    def batch_of(self, chosen, which):
        """Support and query of classes (tasks, ways) and examples of each (tasks, ways, shots + queries)."""
        drawn = self.on(chosen.device)[
            chosen[..., None], which
        ]  # (tasks, ways, examples, 1, 28, 28)
        labels = torch.arange(self.ways, device=chosen.device)[None, :, None].expand(which.shape)
        parts = []
        for first, last in ((0, self.shots), (self.shots, self.shots + self.queries)):
            parts += [drawn[:, :, first:last].flatten(1, 2), labels[..., first:last].flatten(1)]
        return tuple(parts)

    def __repr__(self):
        return f"Pictures({self.ways}, {self.shots}, {self.queries}, {self.classes})"
