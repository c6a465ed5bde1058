"""What MAML is compared with, behind the same interface: start with `ProtoNet`.

`NearestCentroid` and `NearestNeighbour` look at the examples as they are; `FineTuning` pretrains on all tasks
at once.

An untrained network that adapts, the row "from scratch" of a table, needs no class: evaluate a new `MAML`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from . import maml, rules
from .arguments import one_number
from .fast import perceptron
from .learner import MAML, Forward
from .precision import in_own_precision
from .task_gradient import TaskGradient, mean_over_tasks


class ProtoNet(MAML):
    """Prototypical network (Snell, Swersky and Zemel 2017): the nearest class mean in a learned embedding.

    p(y = k | x) = softmax over classes of −‖f(x) − c_k‖², with c_k the mean of f over the support examples
    of class k (their equations 1 and 2). model: f, any nn.Module (examples, …) → (examples, …), such as
    Conv4(ways=None). There is no inner loop: inner_steps is 0, the prediction the same at every step.
    Support and query go through f together, as in the original code, so that batch norm treats them
    alike. loss(logits, labels): one number for one task.

    Labels are 0, 1, … of the task; the logits have a column for every support example, of which those of
    classes without an example are −∞. Raises ValueError for regression tasks, and in training for tasks
    with a query of a class that has no support example (`evaluate` counts it as wrong).
    """

    def __init__(self, model, loss=F.cross_entropy):
        super().__init__(model, loss, inner_lr=0.0, inner_steps=0)

    def predictors(self, support_x, support_y, steps, slope_of=None):
        """[function x → logits (queries, shots)] steps + 1 times: there is nothing to adapt.

        The support set goes through the model beside the queries in any case.
        """

        def logits(x, beside=None):
            return self.logits(self.detached(), support_x, support_y, x)

        return [logits] * (steps + 1)

    def logits(self, params, support_x, support_y, query_x):
        """−‖f(x) − c_k‖² for ONE task's query_x and each class k: (queries, shots)."""
        support_x, support_y, query_x = (
            maml.like_params(values, params) for values in (support_x, support_y, query_x)
        )
        refuse_regression(support_y)
        both = Forward(self.model)(params, torch.cat([support_x, query_x])).flatten(1)
        keys, queries = both[: len(support_x)], both[len(support_x) :]  # (examples, features)
        classes = torch.arange(len(support_x), device=support_y.device)
        member = (support_y[:, None] == classes).to(keys.dtype)  # (shots, classes)
        count = member.sum(0)
        centres = member.T @ keys / count.clamp(min=1)[:, None]  # (classes, features)
        return torch.where(count > 0, self.similarities(queries, centres), -torch.inf)

    def similarities(self, queries, centres):
        """−‖query − centre‖²: (queries, features), (classes, features) → (queries, classes)."""
        return -squared_distances(queries, centres)

    def example_losses(self, theta, task):
        """The loss of ONE task at θ, with its graph."""
        return [self.episode_loss(theta, *task)]

    def episode_loss(self, params, support_x, support_y, query_x, query_y):
        """The loss of ONE task's query examples."""

        def loss(params, x, y):
            return self.loss_function(self.logits(params, support_x, support_y, x), y)

        return one_number(loss)(params, query_x, query_y)

    @in_own_precision
    def meta_gradient(self, batch):
        """(mean loss over tasks, its gradient like θ)."""
        theta = self.checked_theta(batch)

        def one_task(derivatives, task):
            slope, value = derivatives.slope_and_value(self.episode_loss, theta, *task)
            return value, slope

        return mean_over_tasks(self, one_task, batch, theta)

    def checked_theta(self, batch):
        """θ, once the tasks of a batch are known to make sense; ValueError otherwise."""
        theta = self.detached()
        for group in maml.groups_of(batch):
            self.check_tasks(*maml.tensors_of(group, theta))
        return theta

    def check_tasks(self, support_x, support_y, query_x, query_y):
        """ValueError for tasks of a batch, (tasks, examples, …) each, that cannot be trained on."""
        check_classes(support_x, support_y, query_x, query_y)

    def meta_loss(self, batch):
        """Mean loss over the tasks of a batch."""
        theta = self.checked_theta(batch)

        def one_task(_, task):
            return self.episode_loss(theta, *task), {}

        return mean_over_tasks(self, one_task, batch, theta)[0]

    def adapt(self, support_x, support_y, steps=None):
        raise ValueError(f"a {type(self).__name__} has no inner loop: ask for its predictions.")

    def refuse_recomputation(self, support_x, support_y):
        """Nothing to refuse: no way back, without an inner loop."""

    def explain(self, batch):
        return rules.explain_plain(self, batch)


class NearestCentroid(ProtoNet):
    """The nearest class mean of the examples as they are: what a table should beat.

    One number is trained, the scale of the examples, which makes the logits probabilities; which class is
    nearest does not depend on it, and so an untrained one has the same accuracy.
    """

    def __init__(self, loss=F.cross_entropy):
        super().__init__(Scale(), loss)


class NearestAngle(NearestCentroid):
    """The class mean at the smallest angle, the examples as they are: for counts of words or letter groups.

    The logit of class k is 2 cos(x, c_k) − 2 = −‖x/‖x‖ − c_k/‖c_k‖‖², c_k the mean of the support examples of the
    class. With one shot and examples of unit length it is `NearestCentroid`.
    """

    def similarities(self, queries, centres):
        return super().similarities(F.normalize(queries, dim=1), F.normalize(centres, dim=1))


class NearestNeighbour(NearestCentroid):
    """The class of the nearest support example, as the examples are: for images, of pixels.

    The logit of class k is −‖x − s‖² of the support example s of that class that is nearest. With one shot
    it is `NearestCentroid`.
    """

    def logits(self, params, support_x, support_y, query_x):
        """−min ‖x − s‖² over the support examples s of each class k: (queries, shots)."""
        support_x, query_x = (
            maml.like_params(values, params) * params["factor"] for values in (support_x, query_x)
        )
        support_y = maml.like_params(support_y, params)
        refuse_regression(support_y)
        distances = squared_distances(query_x.flatten(1), support_x.flatten(1))  # (queries, shots)
        member = support_y[:, None] == torch.arange(len(support_x), device=support_y.device)
        far = torch.where(member, distances[:, :, None], torch.inf)  # (queries, shots, classes)
        return -far.amin(1)


class FineTuning(TaskGradient):
    """Pretraining on all tasks at once, then gradient descent: the "pretrained" rows of Finn et al. (2017).

    The meta-gradient is that of joint training, the mean over tasks of ∇L_both(θ), where L_both is the loss
    on support and query examples together and nothing adapts. In evaluation θ takes gradient steps on the
    support set like a MAML; adapting="head." then trains the head alone. Arguments as for `MAML`.

    Where labels number the classes of an episode, joint training means nothing: class 0 is a different class
    in every task. It is refused, unless shared_labels=True says that a label means the same in all tasks. For a
    fair baseline there train the body as a ProtoNet, and fine-tune:

        model = Conv4(ways=5)
        meta_train(ProtoNet(model.features), tasks, …)
        evaluate(FineTuning(model, F.cross_entropy, inner_lr=0.1), tasks, steps=10)
    """

    def __init__(
        self,
        model,
        loss=F.mse_loss,
        inner_lr=0.01,
        inner_steps=1,
        *,
        adapting=None,
        shared_labels=False,
    ):
        super().__init__(model, loss, inner_lr, inner_steps, adapting=adapting)
        self.shared_labels = shared_labels

    def one_task(self, derivatives, theta, task, loop):
        """(loss at θ on support and query together, its gradient like θ)."""
        support_x, support_y, query_x, query_y = task
        if not (support_y.is_floating_point() or self.shared_labels):
            raise ValueError(
                "labels that number the classes of an episode cannot be learned jointly, because "
                "class 0 is a different class in every task: pretrain with ProtoNet(body) and fine-tune, or "
                "say shared_labels=True where a label means the same in all tasks."
            )
        x, y = torch.cat([support_x, query_x]), torch.cat([support_y, query_y])
        slope, value = derivatives.slope_and_value(one_number(self.task_loss), theta, x, y)
        return value, slope

    def rule(self):
        classifies = perceptron.CROSS_ENTROPY in perceptron.kinds_of_losses(self)
        if classifies and not self.shared_labels:
            return None  # `one_task` says why
        return rules.Rule(rules.THROUGH, arranged=rules.query_is_both, steps=0)

    def settings(self):
        return super().settings() | {"shared_labels": self.shared_labels}


class Scale(nn.Module):
    """x times one learned number."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.factor * x


def squared_distances(a, b):
    """‖aᵢ − bⱼ‖² of two lists of vectors, (n, features) and (m, features) → (n, m).

    As ‖a‖² − 2⟨a, b⟩ + ‖b‖², which needs no array of n · m · features.
    """
    return a.square().sum(1)[:, None] - 2 * a @ b.T + b.square().sum(1)


def refuse_regression(support_y):
    """ValueError unless the targets are class labels."""
    if support_y.is_floating_point() or support_y.dtype == torch.bool or support_y.ndim != 1:
        raise ValueError(
            f"a ProtoNet classifies: y must hold whole-number labels, one an example; got "
            f"{support_y.dtype} of shape {tuple(support_y.shape)} for one task. For regression: FineTuning."
        )


def check_classes(support_x, support_y, query_x, query_y):
    """ValueError unless each class that is asked for has a support example, and labels are 0, 1, …"""
    refuse_regression(support_y[0])
    if support_y.device.type != "cpu":  # looking at values would make a GPU wait for Python
        return
    shots = support_y.shape[1]
    if support_y.min() < 0 or support_y.max() >= shots:
        raise ValueError(
            f"labels must be 0, 1, … of each task, fewer than its {shots} support examples; got "
            f"{int(support_y.min())} to {int(support_y.max())}."
        )
    known = (query_y[:, :, None] == support_y[:, None, :]).any(2)  # (tasks, queries)
    if not known.all():
        task, query = (int(i) for i in (~known).nonzero()[0])
        raise ValueError(
            f"task {task} of the batch has a query of class {int(query_y[task, query])}, but no support "
            f"example of it: a ProtoNet needs one for every class."
        )
