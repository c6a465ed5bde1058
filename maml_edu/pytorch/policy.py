"""MAML for reinforcement learning, on 2-D navigation: start with `PolicyGradient`.

The inner loop is that of every other chapter: gradient descent on a loss. The loss is the surrogate
−mean log π(action | position) · A, whose gradient is the policy gradient. New is where the examples come from:
the policy walks by itself, and the query set is what the adapted policy walks (Finn et al. 2017, Algorithm 3).

Every function from `roll_out` to `surrogate` is written for ONE task; `roll_out` takes many at once, too.
The task, `maml_edu.tasks.Navigation`, draws goals and noise. Nothing else is random, so that a trajectory is a
function of the policy, the goal and the noise. For another world a subclass of `PolicyGradient` overrides `walk`,
as benchmarks/reproduce/half_cheetah.py does.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap

from maml_edu.tasks import TaskBatch
from maml_edu.tasks.navigation import ARRIVED, LARGEST_MOVE, Trajectories

from . import maml
from .arguments import is_count
from .intervals import Evaluation
from .learner import MAML
from .precision import in_own_precision

DISCOUNT = 0.99  # γ, as in the code of Finn et al.
RIDGE = 1e-5  # added to the diagonal of the baseline's normal equations, as there
LATER_LR = 0.125  # of the second step in the test, and of all later ones
AT_ONCE = 100  # tasks that learn side by side in the test


class Policy(nn.Module):
    """π(action | position) = N(μ(position), σ²): a tanh network for μ, log σ a parameter for each axis.

    An action of 1 is the largest move of an axis, 0.1. The network has two layers of 32 here, 100 in the paper.
    Its biases start at 0, as there: one at the output would be a drift that carries every trajectory away.
    Parameters may have an axis of tasks in front, each task its own; positions then have it, too. inputs, outputs:
    how many numbers a position and an action have, 2 and 2 in navigation; in another world a position is
    whatever the policy sees.
    """

    def __init__(self, hidden=(32, 32), log_std=-1.0, inputs=2, outputs=2):
        super().__init__()
        layers = [nn.Linear(*sizes) for sizes in itertools.pairwise((inputs, *hidden, outputs))]
        self.weights = nn.ParameterList(layer.weight.detach().T.clone() for layer in layers)
        self.biases = nn.ParameterList(torch.zeros(1, layer.out_features) for layer in layers)
        self.log_std = nn.Parameter(torch.full((1, outputs), float(log_std)))

    def forward(self, positions):
        """(μ, log σ) at positions (…, steps, inputs): (…, steps, outputs) and (…, 1, outputs)."""
        layers = list(zip(self.weights, self.biases, strict=True))
        for weight, bias in layers[:-1]:
            positions = torch.tanh(positions @ weight + bias)
        weight, bias = layers[-1]
        return positions @ weight + bias, self.log_std


# ------------------------------------------------------------------ ONE task


@torch.no_grad()
def roll_out(policy, noise, goals) -> Trajectories:
    """Where a policy and this noise lead, by the rules of `tasks.navigation.step_all`, in torch.

    policy: a function of positions (…, trajectories, 2) that returns μ, of the same shape, and log σ.
    noise (…, trajectories, horizon, 2): standard normal; an action is μ + σ · noise.
    goals (…, trajectories, 2): the task's goal, for each trajectory again.

    The tensors of the result have the axes (…, trajectories, horizon) in front. Actions are the policy's own,
    before they are multiplied by 0.1 and clipped. No gradient goes through any of it. What positions and actions
    hold once an episode is over, the steps that are not alive, means nothing.
    """
    position, positions, actions = torch.zeros_like(goals), [], []
    for shock in noise.unbind(dim=-2):  # (…, trajectories, 2)
        mean, log_std = policy(position)
        positions.append(position)
        actions.append(mean + log_std.exp() * shock)
        position = position + (LARGEST_MOVE * actions[-1]).clamp(-LARGEST_MOVE, LARGEST_MOVE)
    before, after = (torch.stack(p, dim=-2) for p in (positions, [*positions[1:], position]))
    away = after - goals[..., None, :]  # (…, trajectories, horizon, 2)
    arrived = (away.abs() < ARRIVED).all(dim=-1)
    # The step that arrives still belongs to the episode.
    alive = arrived.cumsum(dim=-1) - arrived.long() == 0
    return Trajectories(before, torch.stack(actions, dim=-2), -away.norm(dim=-1) * alive, alive)


def returns_to_go(rewards, discount=DISCOUNT):
    """Σ γ^(t′ − t) r(t′) over t′ ≥ t: what comes after an action, and not what came before it.

    rewards (trajectories, horizon); the result, too.
    """
    total, backwards = torch.zeros_like(rewards[:, 0]), []
    for reward in rewards.flip(1).unbind(dim=1):
        total = reward + discount * total
        backwards.append(total)
    return torch.stack(backwards[::-1], dim=1)


def baseline(trajectories, targets):
    """The part of the returns to go that position and time predict, by least squares over the steps alive.

    Linear in (s, s², t, t², t³, 1), s clipped to −10 … 10, as in the code of Finn et al. targets and result
    (trajectories, horizon).
    """
    s = trajectories.positions.double().clamp(-10, 10)
    t = (torch.arange(s.shape[1], device=s.device) / 100).expand(targets.shape)[..., None]
    features = torch.cat([s, s**2, t, t**2, t**3, torch.ones_like(t)], dim=-1)
    rows = (features * trajectories.alive[..., None]).flatten(0, 1)  # (steps, features); dead: 0
    squares = rows.mT @ rows + RIDGE * torch.eye(rows.shape[1], device=s.device)
    weights = torch.linalg.solve(squares, rows.mT @ targets.flatten().double())
    return (features @ weights).to(targets.dtype)


def advantages(trajectories, discount=DISCOUNT):
    """A: returns to go minus the baseline, with mean 0 and deviation 1 over the steps alive; 0 for dead steps."""
    targets, alive = returns_to_go(trajectories.rewards, discount), trajectories.alive
    surprise = (targets - baseline(trajectories, targets)) * alive
    surprise = (surprise - surprise.sum() / alive.sum()) * alive
    return surprise / ((surprise**2).sum() / alive.sum()).sqrt().clamp(min=1e-8)


def examples(trajectories):
    """Trajectories as examples of a loss: x, the positions, and y, the actions and how much each counts.

    x (steps, inputs); y (steps, outputs + 1): the action, then A divided by the number of steps alive.
    """
    counts = advantages(trajectories) / trajectories.alive.sum()
    y = torch.cat([trajectories.actions, counts[..., None]], dim=-1)
    return trajectories.positions.flatten(0, 1), y.flatten(0, 1)


def surrogate(prediction, target):
    """−mean log π(action | position) · A over the steps alive, of ONE task: its gradient is the policy gradient.

    prediction: (μ, log σ), as a `Policy` gives them. target (steps, outputs + 1): the y of `examples`.
    """
    (mean, log_std), actions, counts = prediction, target[:, :-1], target[:, -1]
    density = -(((actions - mean) / log_std.exp()) ** 2) / 2 - log_std - math.log(2 * math.pi) / 2
    return -(density.sum(dim=1) * counts).sum()  # density: log π of each axis


# ------------------------------------------------------------------ all tasks


def _refuse_other_inner_loops(options):
    """ValueError for what would change the inner loop that the examples are collected with."""
    known = {"learn_inner_lr", "engine", "precision"}
    if unknown := sorted(name for name in options if name not in known):
        raise ValueError(
            f"PolicyGradient has no {', '.join(unknown)}: its inner loop is plain gradient descent on all "
            f"parameters, in the walks as in the meta-gradient. It takes {', '.join(sorted(known))}."
        )


class _Walker(nn.Module):
    """`roll_out` as a module: a policy's parameters are exchanged once for all its steps."""

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def forward(self, noise, goals):
        return roll_out(self.policy, noise, goals)


class PolicyGradient(MAML):
    """MAML whose examples are the policy's own trajectories (Finn et al. 2017, Algorithm 3).

    θ walks with the support set's noise, one step of policy gradient makes φ, φ walks with the query set's noise.
    With both sets of trajectories in hand the meta-gradient is MAML's own. It takes the exploring trajectories as
    given: that θ also decides where they go is left out, in the paper, too.

    policy: a `Policy`. inner_steps: 1, or 0 for a policy that is trained on all goals without adapting. later_lr:
    the rate of the second inner step in the test, and of all later ones; the first has inner_lr. learn_inner_lr,
    engine and precision as for `MAML`; the inner loop is plain gradient descent on all parameters, and other
    options are refused. Trains with `meta_train` on `Navigation`; the meta-loss that is told is minus the mean
    return of φ. `evaluate` scores it by its returns, as does `returns_after`, which takes a rate for each step.

        learner = PolicyGradient(Policy())
        mt.meta_train(learner, Navigation(trajectories=20), 100, meta_batch=20, meta_lr=0.01,
                      schedule=("cosine", 0.1), clip=1)
        returns_after(learner, Navigation(trajectories=20))
    """

    def __init__(
        self,
        policy,
        inner_lr=0.5,
        inner_steps=1,
        first_order=False,
        *,
        later_lr=LATER_LR,
        **options,
    ):
        _refuse_other_inner_loops(options)
        super().__init__(policy, surrogate, inner_lr, inner_steps, first_order, **options)
        number = isinstance(later_lr, (int, float)) and not isinstance(later_lr, bool)
        if not number or not 0 <= later_lr < math.inf:
            raise ValueError(f"later_lr must be a number ≥ 0; got {later_lr!r}.")
        self.later_lr = later_lr
        if self.inner_steps > 1:
            raise ValueError(
                f"inner_steps must be 0 or 1 in training, as published; got {inner_steps}: each further step "
                f"would need trajectories of its own. In the test there may be more: `returns_after`."
            )

    @in_own_precision
    def meta_gradient(self, batch):
        """(−mean return of the adapted policies, gradients like `meta_params`); batch: of `Navigation.sample`."""
        walked, returns = self.collected(batch)
        _, grads = super().meta_gradient(walked)
        return -returns.mean(), grads

    @in_own_precision
    def meta_loss(self, batch):
        """−mean return of the adapted policies, on the query set's noise."""
        return -self.collected(batch)[1].mean()

    def collected(self, batch):
        """(support x and y, query x and y: what θ and what φ have walked; φ's returns, (tasks, trajectories)).

        batch: noise (tasks, trajectories, horizon, 2) and goals (tasks, trajectories, 2), of both sets.
        """
        noise, goals, query_noise, query_goals = maml.tensors_of(TaskBatch.of(batch), self.params)
        phi, support = self.for_each_task(len(goals)), None
        if self.inner_steps:
            support = vmap(examples)(self.walk(phi, noise, goals))
            phi = self.improved(phi, support, self.inner_lr)
        walked = self.walk(phi, query_noise, query_goals)
        query = vmap(examples)(walked)
        # Without inner steps nobody reads the support set.
        return (*(support or query), *query), walked.returns

    def moving_only(self, adapting, inner_lr=None):
        raise ValueError("a PolicyGradient moves all of its policy: no part of it can be frozen.")

    def explain(self, batch):
        """As `MAML.explain`, of what a batch of goals and noise leads to."""
        return super().explain(self.collected(batch)[0])

    def predictors(self, support_x, support_y, steps, slope_of=None):
        """ValueError: a policy predicts no targets."""
        raise ValueError("a policy is tested by its returns: returns_after(learner, tasks).")

    @in_own_precision
    def evaluated(self, tasks, episodes, steps=None, seed=1) -> Evaluation:
        """What `evaluate` gives for a policy: `returns_after` with inner_lr in the first step, then later_lr.

        steps: None means one, also if training was without.
        """
        steps = max(1, self.inner_steps) if steps is None else self.check_steps(steps)
        return returns_after(self, tasks, self.rates(steps), episodes, seed)

    def rates(self, steps):
        """The rate of each of so many steps in the test."""
        return (self.inner_lr, *[self.later_lr] * (steps - 1))[:steps]

    def for_each_task(self, tasks):
        """θ with an axis of tasks in front."""
        return {name: p.expand(tasks, *p.shape) for name, p in self.detached().items()}

    def walk(self, phi, noise, goals) -> Trajectories:
        """The trajectories of each task's policy, (tasks, trajectories, horizon, …), without a graph.

        A subclass for another world overrides this method alone. phi: parameters with an axis of tasks in front.
        noise and goals: whatever its family of tasks has drawn, (tasks, trajectories, …).
        """
        walker = _Walker(self.model)
        return functional_call(walker, {f"policy.{n}": p for n, p in phi.items()}, (noise, goals))

    def improved(self, phi, support, rate):
        """Each task's policy after one step of policy gradient on its examples, (tasks, …)."""
        step = lambda phi, x, y: maml.adapt(self.task_loss, phi, x, y, rate, 1)
        return maml.detached(vmap(step, chunk_size=AT_ONCE)(phi, *support))


def returns_after(learner, tasks, rates=(0.5, 0.125, 0.125), episodes=100, seed=1) -> Evaluation:
    """Returns after 0, 1, …, len(rates) steps on new goals, the mean over the trajectories of each goal.

    Each policy walks, is judged by its trajectories, and learns from the same ones in the next step. rates: one
    for each step. The original code halves its rate after the first step, which is too large here: the third step
    then makes many policies worse. tasks: a `Navigation`. seed: of goals and noise. A policy whose actions are no
    numbers any more has the return −∞. Raises ValueError for tasks without goals and for fewer than two episodes.
    """
    if not hasattr(tasks, "draw_goals"):
        raise ValueError(f"a policy walks to goals: tasks must be a Navigation; got {tasks!r}.")
    if not is_count(episodes, 2):
        raise ValueError(
            f"episodes must be a whole number ≥ 2 (for an interval); got {episodes!r}."
        )
    rng, scores = np.random.default_rng(seed), []
    goals = np.repeat(tasks.draw_goals(rng, episodes)[:, None], tasks.trajectories, axis=1)
    goals, phi = maml.like_params(goals, learner.params), learner.for_each_task(episodes)
    for rate in (*rates, None):
        noise = maml.like_params(tasks.draw_noise(rng, episodes), learner.params)
        walked = learner.walk(phi, noise, goals)
        scores.append(walked.returns.mean(dim=1).nan_to_num(nan=-math.inf, neginf=-math.inf))
        if rate is not None:
            phi = learner.improved(phi, vmap(examples)(walked), rate)
    values = torch.stack(scores, dim=1).double().cpu().numpy()  # (tasks, steps + 1)
    return Evaluation("return", values, f"{tasks!r}, seed {seed}")
