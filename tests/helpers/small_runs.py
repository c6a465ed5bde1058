"""Small learners and task families on which several tests train."""

import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids, TaskBatch

quiet = {"progress": False, "meta_batch": 4, "device": "cpu"}


def fresh(seed=0, **options):
    """A new small learner, on the path that compiles nothing; the same seed gives the same one."""
    torch.manual_seed(seed)
    return mt.MAML(mt.MLP(1, 8, 1), **{"inner_lr": 0.01, "engine": "plain", **options})


def theta(learner):
    """A copy of all that is trained."""
    return {name: value.detach().clone() for name, value in learner.meta_params.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Failing(Sinusoids):
    """Sinusoids whose `at`-th batch raises, or comes out otherwise."""

    def __init__(self, at, what):
        super().__init__(5)
        self.at, self.what, self.count = at, what, 0

    def sample(self, rng, tasks=25):
        self.count += 1
        batch = super().sample(rng, tasks)
        if self.count != self.at:
            return batch
        if isinstance(self.what, BaseException):
            raise self.what
        return self.what(batch)


class Scaled:
    """What multiplies the query targets of a batch, or of one of its tasks."""

    def __init__(self, factor, task=None):
        self.factor, self.tasks = factor, slice(None) if task is None else [task]

    def __call__(self, batch):
        query_y = batch.query_y.copy()
        query_y[self.tasks] *= self.factor
        return TaskBatch(batch.support_x, batch.support_y, batch.query_x, query_y)


class WithDropout(nn.Sequential):
    """A network that draws from torch's own generator."""

    def __init__(self):
        super().__init__(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))
