"""Learners whose meta-gradient does not go back through the inner steps: `TaskGradient`, and `mean_over_tasks`."""

from __future__ import annotations

import torch

from . import derivatives, fast, maml, rules
from .fast import structure
from .learner import MAML
from .precision import in_own_precision


class TaskGradient(MAML):
    """A learner that says itself what the meta-gradient of one task is: Reptile, implicit MAML.

    one_task(derivatives, theta, task, loop) → (value, gradient like θ) is that in plain words. `rule` says it
    again for native code, which runs where model and losses are a multilayer perceptron's; on other models
    and devices the plain way does. engine: "auto", or some of `rules.ENGINES` in order of preference.
    """

    def rule(self) -> rules.Rule | None:
        """The meta-gradient as the kernels know it; None if they do not."""
        return None

    def one_task(self, derivatives, theta, task, loop):
        """(meta-loss, meta-gradient like θ) of one task: support x and y, query x and y, each (examples, …)."""
        raise NotImplementedError

    @in_own_precision
    def meta_gradient(self, batch):
        """(meta-loss, meta-gradient like θ), means over the tasks of a batch."""
        theta, loop = self.detached(), self.loop().checked(self.params)
        one_task = lambda derivatives, task: self.one_task(derivatives, theta, task, loop)
        return mean_over_tasks(self, one_task, batch, theta)

    def explain(self, batch):
        return rules.explain(self, batch)


def mean_over_tasks(learner, one_task, batch, params):
    """Means over a batch of what one_task(derivatives, task) gives: (value, grads).

    task: support x and y, query x and y, each (examples, …). In native code where that is known to be the
    same (`TaskGradient.rule`). Else all tasks side by side under vmap; where the model does what vmap or torch.func
    cannot, one after the other by autograd. `derivatives.py` has both.
    """
    by_rule = isinstance(learner, TaskGradient)

    def compute(tensors):
        draws = fast.check_once(learner, tensors)
        name, network = rules.engine_for(learner, tensors) if by_rule else ("", None)
        learner.ran = name or "plain"
        if network is not None:
            loop = learner.loop().checked(params)
            return rules.run_native(network, learner.rule(), params, tensors, loop)
        clean = structure.nothing_left_in(learner.model)
        with torch.no_grad(), maml.math_attention(), clean:
            if name != "textbook" and draws != "other":  # under vmap all tasks would share one draw
                try:
                    side_by_side = lambda *task: one_task(derivatives.functional, task)
                    return maml.mean_over_tasks(side_by_side, tensors, params, 1, "different")
                except RuntimeError as error:
                    # which torch.func raises; what is wrong with a model is raised again
                    if by_rule and not rules.plain_is_ruled_out(learner, tensors, error):
                        raise
            learner.ran = "textbook"
            tasks = zip(*tensors, strict=True)
            results = [one_task(derivatives.by_autograd, task) for task in tasks]
            return maml.mapped(lambda *parts: torch.stack(parts).detach().mean(0), *results)

    return maml.over_groups(compute, batch, params)
