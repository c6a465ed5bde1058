"""learn2learn: `MAML(model).clone()`, `adapt`, `backward`, as in its own examples.

pip cannot build its Cython data loaders for Python 3.11 and later, and its package imports them at once.
So the released source is unpacked, and the package's folder named without running its `__init__`.
"""

import importlib.util
import sys
import types
from pathlib import Path

from .base import TorchPeer, tasks_of


def maml_class():
    """learn2learn.algorithms.maml.MAML, without what its package imports beside it."""
    if "learn2learn" not in sys.modules:
        root = Path(importlib.util.find_spec("learn2learn").submodule_search_locations[0])
        for name in ("learn2learn", "learn2learn.algorithms"):
            sys.modules[name] = package = types.ModuleType(name)
            package.__path__ = [str(root / Path(*name.split(".")[1:]))]
    from learn2learn.algorithms.maml import MAML

    return MAML


class Peer(TorchPeer):
    def setup(self):
        self.maml = maml_class()(self.model, lr=self.workload.inner_lr, first_order=False)

    def accumulate(self, batch):
        total, tasks = 0.0, len(batch["support_x"])
        for support_x, support_y, query_x, query_y in tasks_of(batch):
            learner = self.maml.clone()
            for _ in range(self.workload.inner_steps):
                learner.adapt(self.loss(learner(support_x), support_y))
            query = self.loss(learner(query_x), query_y) / tasks
            query.backward()
            total += query.detach()
        return total
