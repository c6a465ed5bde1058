# %% [markdown]
# # 13 · Robots
#
# *Can a body that changes be learned again in seconds?*
#
# **You will be able to**
#
# - derive the policy gradient in a few lines, and say why no action is credited with what came before it, and why a baseline
#   does no harm;
# - read MAML for reinforcement learning as the algorithm of chapter 07 whose examples are trajectories, and say what is new in it;
# - compare it with a pretrained policy that may choose *its own* rate, and report what is left of the lead;
# - say what this meta-gradient leaves out, and compute how much that is where the truth is known;
# - learn how a changed body moves from twenty of its movements, plan with what was learned, and judge the result beside the
#   true model and beside least squares with the physics known.
#
# **Needs** [chapter 03](03_many_tasks.ipynb) (medians, paired differences), [chapter 04](04_gradient_of_a_step.ipynb) (the factor
# $1-\alpha a$), [chapter 07](07_maml_in_numpy.ipynb) and [chapter 08](08_maml_in_pytorch.ipynb); of reinforcement learning nothing. **Takes** about
# 100 minutes: 55 for part (a), 45 for part (b). **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# A point in the plane looks for a goal that it cannot see. All that it is told is a reward: minus its distance to the goal. Two
# policies were trained on many goals: one by MAML, to do well *after* one gradient step, the other in the ordinary way, to do
# well at once. Now a new goal comes. Each walks twenty times, takes a gradient step on what happened, and walks again. The script
# behind the published comparison gives both the same step, 0.5, with which MAML was trained. There MAML's walks bring −10.7 after
# one step, the other's −17.6 (standing still brings −38).
#
# 1. Now the pretrained policy may choose its own rate, on goals that are not in the test. **How much of MAML's lead of 7 is left
#    after one step: all, half, or about 1?**
# 2. **And after three steps, who is ahead?**
#
# <details><summary>Answer</summary>
#
# 1. **About 1**: −10.7 against −11.9 (the middle one of three trainings each).
# 2. In the mean nobody (−2.7 both). In the median the *pretrained* policy (−1.8 against −2.5).
#
# Most of that lead is a rate that suits one of the two. What MAML still buys, you will see below.
# </details>
#
# 3. The body of part (b) is a pendulum whose mass, length, damping and motor change. It makes twenty random
#    movements, and a meta-trained network takes three gradient steps on them. Its opponent knows the laws of mechanics, but not these
#    numbers, and fits them to the same twenty movements by least squares. **Who swings the pendulum up better?**
#
# <details><summary>Answer</summary>
#
# TODO_B
# </details>

# %%
import numpy as np
import torch
from torch.func import vmap

import maml_edu.pytorch as mt
from maml_edu.figures import (
    reach_against_distance,
    return_against_rate,
    show_source,
    walk_to_a_goal,
)
from maml_edu.pytorch import policy as rl
from maml_edu.pytorch.policy import Policy, PolicyGradient, returns_after, roll_out, surrogate
from maml_edu.tasks import Navigation
from maml_edu.tasks.navigation import step_all

torch.set_num_threads(1)  # networks this small run no faster on several

# %% [markdown]
# ## Part (a): a goal that nobody shows
#
# In all chapters up to here somebody knew the answers: $y$ belonged to $x$. A robot has no such table. It acts, something
# happens, and now and then it is told how well it did. To learn from that is called **reinforcement learning**.
#
# The task is the first one of the MAML paper's section 5.3. A point starts at (0, 0). In each step it moves by at most 0.1 along each
# axis, and gets a **reward** $r_t$: minus its distance to the goal. After 100 steps (the **horizon** $H$, another meaning of the
# word than in chapter 06), or as soon as it is within 0.01 of the goal on both axes, it is over. Goals are drawn evenly from the square of all
# points whose coordinates lie between −0.5 and 0.5: a goal is a task.

# %%
family = Navigation(trajectories=20)
goals = family.draw_goals(np.random.default_rng(0), tasks=1000)
still = family.roll_out(lambda positions: np.zeros_like(positions), goals)
straight = family.roll_out(lambda positions: goals[:, None] - positions, goals)
print(f"stands still:                      {still.returns.mean():6.1f}")
print(f"knows the goal and heads for it:   {straight.returns.mean():6.1f}")
show_source(step_all)

# %% [markdown]
# The sum of the rewards is the **return** $R = \sum_t r_t$. These are the yardsticks: −38 is what somebody gets who does nothing, and −0.5
# what nobody can reach who must first find out where the goal is.
#
# ## A policy, and its trajectories
#
# A **policy** says what to do: $\pi_\theta(a \mid s)$ is the probability density of the action $a$ at the position $s$. Ours is a normal
# distribution. A small network gives its mean $\mu_\theta(s)$; its deviation $\sigma$, the same everywhere, is a parameter as well:
#
# $$a = \mu_\theta(s) + \sigma\,\varepsilon,\qquad \varepsilon\ \text{standard normal}.$$
#
# The noise is not a flaw. The goal is not among the inputs of the network, so *all* that the policy can find out about it, it finds
# out by moving by chance, sometimes to the better and sometimes to the worse. This is called **exploring**. What happened from start to end,
# $\tau = (s_0, a_0, r_0, s_1, a_1, r_1, \ldots)$, is a **trajectory**.

# %%
torch.manual_seed(0)
untrained = PolicyGradient(Policy())
batch = family.sample(np.random.default_rng(0), tasks=5)
print("noise of the support sets:", batch.support_x.shape, " (tasks, trajectories, steps, axes)")
print("goals, for each trajectory:", batch.support_y.shape)
noise, goals = (
    torch.as_tensor(array, dtype=torch.float32) for array in (batch.support_x, batch.support_y)
)
walked = roll_out(untrained.model, noise, goals)
print("what the policy did:", {name: tuple(part.shape) for name, part in walked._asdict().items()})
print("returns, mean of 20, on five goals:", np.round(walked.returns.mean(dim=1).numpy(), 1))

# %% [markdown]
# The family draws goals and noise and knows no policy; a policy makes trajectories of them. `alive` is False for the steps after
# arriving. They must count nowhere ([exercise 13.1](../exercises/13_robots.ipynb)).
#
# ## The slope of something that was drawn by lot
#
# We want θ for which the expected return $J(\theta) = \mathbb E_\tau[R(\tau)]$ is large, so we want its gradient. But the rewards are
# *measured*: no program of ours computes them from θ, and nothing can be backpropagated through the world. What does depend on θ in
# a way that we know is the *probability* $p_\theta(\tau)$ of a trajectory. Since $\nabla\log p = \nabla p / p$,
#
# $$\nabla_\theta\,\mathbb E_\tau[R] = \int \nabla_\theta\,p_\theta(\tau)\,R(\tau)\,d\tau = \int p_\theta(\tau)\,\nabla_\theta\log
# p_\theta(\tau)\,R(\tau)\,d\tau = \mathbb E_\tau\big[\nabla_\theta\log p_\theta(\tau)\,R(\tau)\big].$$
#
# The right-hand side is an *expectation*, and so can be estimated: walk $n$ times, and take the mean. This is the **log-derivative
# trick**. And the world's part drops out. A trajectory's probability is a product, of the policy's choices and of what the world
# makes of them, $\prod_t \pi_\theta(a_t \mid s_t)\,p(s_{t+1} \mid s_t, a_t)$. The logarithm makes a sum of it, and the world's terms do not contain θ:
#
# $$\nabla_\theta J = \mathbb E\Big[\sum_t \nabla_\theta\log\pi_\theta(a_t \mid s_t)\;R(\tau)\Big].\tag{1}$$
#
# In words: make what was done more likely, in proportion to what it brought.

# %% [markdown]
# ## Credit where it is due
#
# (1) is right, but so noisy that it is of little use. One line makes it better, twice. At any position, and before the action is
# drawn,
#
# $$\mathbb E_a\big[\nabla_\theta\log\pi_\theta(a \mid s)\big] = \int \nabla_\theta\,\pi_\theta(a \mid s)\,da = \nabla_\theta\,1 = 0.\tag{2}$$
#
# So $\nabla\log\pi_\theta(a_t \mid s_t)$ may be multiplied by anything *that is settled before $a_t$ is drawn*: the expectation of the product
# is 0, and it may be added or taken away.
#
# - The rewards before $a_t$ are settled before. Take them away: an action is credited only with its **reward to go**, $\sum_{t'\ge t} r_{t'}$.
# - A number $b(s_t, t)$ that depends only on where one is and when, a **baseline**, is settled before, too. Take away what *usually* follows from
#   there. (In chapter 07 a baseline was an opponent; this is another one.) What is left is the **advantage** $A_t$ of this action over the usual one:
#
# $$\nabla_\theta J = \mathbb E\Big[\sum_t \nabla_\theta\log\pi_\theta(a_t \mid s_t)\,A_t\Big],\qquad A_t = \sum_{t'\ge t} r_{t'} - b(s_t,
# t).\tag{3}$$
#
# The expectation is the same for every such $b$; the noise is not. Watch it on the smallest problem there is: one action
# $a \sim \mathcal N(\theta, \sigma^2)$, and then the reward $r = -(a - g)^2$. Here $J(\theta) = -(\theta - g)^2 - \sigma^2$, and the truth is known:

# %%
theta, g, sigma = 0.0, 1.0, 0.5
rng = np.random.default_rng(0)
a = theta + sigma * rng.standard_normal((10_000, 20))  # 10,000 times 20 actions
r = -((a - g) ** 2)
score = (a - theta) / sigma**2  # ∇log π
print(f"the truth, −2(θ − g):          {-2 * (theta - g):.2f}")
for words, b in {"no baseline": 0.0, "b = E[r]": -((theta - g) ** 2) - sigma**2}.items():
    estimates = (score * (r - b)).mean(axis=1)  # one from each 20 actions
    mean, deviation = estimates.mean(), estimates.std()
    print(f"{words:12} mean estimate {mean:.2f}, standard deviation {deviation:.2f}")

# %% [markdown]
# Both are right on average. With the baseline the same twenty actions say it with a smaller error. Now the 100 steps of a real walk. We
# take 2,000 trajectories to one goal as the truth, and ask how well *twenty* point in its direction: the cosine of the angle
# between the two gradients, 1 if they agree and 0 if they have nothing to do with each other.


# %%
def gradient(walked, credit):
    """Σ ∇log π · credit over all steps, as one long vector. credit (trajectories, steps)."""
    x, actions = walked.positions.flatten(0, 1), walked.actions.flatten(0, 1)
    y = torch.cat([actions, (credit * walked.alive).reshape(-1, 1)], dim=1)
    loss = surrogate(untrained.model(x), y)
    slopes = torch.autograd.grad(loss, list(untrained.model.parameters()))
    return -torch.cat([slope.flatten() for slope in slopes])


def to_go_less_baseline(walked):
    to_go = rl.returns_to_go(walked.rewards, discount=1.0)
    return to_go - rl.baseline(walked, to_go)


CREDITS = {
    "the whole return": lambda w: w.returns[:, None].expand(w.rewards.shape),
    "rewards to go": lambda w: rl.returns_to_go(w.rewards, discount=1.0),
    "less a baseline": to_go_less_baseline,
    "the library's A": rl.advantages,
}

# %%
generator = torch.Generator().manual_seed(0)


def walk_to(goal, trajectories):
    noise = torch.randn(trajectories, 100, 2, generator=generator)
    return roll_out(untrained.model, noise, torch.tensor(goal).expand(trajectories, 2))


many = walk_to((0.3, -0.2), 2000)
truth = gradient(many, to_go_less_baseline(many))
twenty = [walk_to((0.3, -0.2), 20) for _ in range(25)]
print("cosine with the truth, of 20 trajectories (mean of 25 trials, standard deviation)")
for words, credit in CREDITS.items():
    cosines = [torch.cosine_similarity(gradient(w, credit(w)), truth, dim=0).item() for w in twenty]
    print(f"   {words:17} {np.mean(cosines):5.2f}  ({np.std(cosines):.2f})")

# %% [markdown]
# With the whole return, one hardly knows in which direction to go. The reward to go helps, and the baseline turns twenty walks
# into a usable gradient. The library follows the code of Finn et al. here. Its $b$ is linear in position, position squared and
# powers of the time, by least squares on the trajectories themselves. Rewards that come $k$ steps later count by
# $\gamma^k$, with the **discount** $\gamma = 0.99$: what comes soon after an action is more likely to be its doing. And the advantages are divided by their standard deviation.
#
# With these three it is no longer exactly (3). The fit has seen the actions from whose returns it is taken away, the discount changes
# what is maximised, and the division changes the length of the gradient: the same α then does for rewards in metres and in millimetres.

# %%
show_source(rl.returns_to_go)

# %%
show_source(rl.baseline)

# %%
show_source(rl.advantages)

# %% [markdown]
# ## A loss whose gradient it is
#
# Everything in this course descends the gradient of a loss. So we write down a loss that has this one, the **surrogate**:
#
# $$L(\theta) = -\frac1T\sum_{\text{steps alive}} \log\pi_\theta(a_t \mid s_t)\,A_t\qquad (T\ \text{of them}).\tag{4}$$
#
# The actions and advantages in it are numbers, held fixed. Its *value* means little: a smaller one does not say that the policy
# is better. Its *gradient* at θ is the policy gradient, with the opposite sign. And in this form it fits into all that you know: **$x$ is a position,
# $y$ is the action that was taken there, together with what it was worth.** It is a regression on one's own deeds, weighted by their
# success ([exercises 13.2 to 13.4](../exercises/13_robots.ipynb)).

# %%
show_source(rl.examples)

# %%
show_source(surrogate)

# %% [markdown]
# So a step of policy gradient is the library's `adapt` on this loss, unchanged. How far do six such steps take an untrained policy, on ten
# goals? (Of six rates from 0.03 to 0.25 that we tried, 0.125 and 0.18 were the best, and nearly alike.)

# %%
alone = returns_after(untrained, family, rates=[0.125] * 6, episodes=10)
print("steps      ", *(f"{k:5}" for k in range(0, 7, 2)))
print("mean return", *(f"{value:5.1f}" for value in alone.mean[::2]))
show_source(PolicyGradient.improved)

# %% [markdown]
# It starts below −38, because its random network drifts off somewhere. After six steps of twenty walks each, 120 walks in all, the return
# is −24. This is what makes reinforcement learning expensive, and why one wants to start from a better θ.
#
# ## MAML, with walks for examples
#
# Finn et al. (2017), Algorithm 3, for each goal of a meta-batch:
#
# 1. θ walks 20 times: the support set. Advantages make examples of it.
# 2. $\varphi = \theta - \alpha\nabla_\theta L_\text{support}(\theta)$: the inner step of chapter 07, letter by letter.
# 3. **φ walks 20 times: the query set.**
# 4. The meta-gradient of chapter 07, $\nabla_\theta L_\text{query}(\varphi(\theta))$, and an outer step.
#
# Only line 3 is new. In all other chapters the query set was there before φ was. Here φ *makes* it: to know how good φ is, φ has to
# walk. Judge φ by the walks of θ, and you ask how to repeat what θ did, no longer what φ can do ([exercise
# 13.5](../exercises/13_robots.ipynb)). In `collected`, the last call of `walk` is that line.

# %%
show_source(PolicyGradient.collected)

# %%
show_source(PolicyGradient.meta_gradient)

# %% [markdown]
# `super().meta_gradient` is that of chapter 08: the query loss after the step, differentiated back through the step. (Training
# stops at one inner step, as published. A second one would need walks of its own.)
#
# Training: 100 outer steps of 20 goals; tanh networks 2-32-32-2, α = 0.5. The original code has 100 outer steps of 40 goals, ReLU
# networks 2-100-100-2 and TRPO, an optimiser that limits how far the policy moves; we take Adam. The opponent is trained in the same way *without* an inner
# step (`inner_steps=0`): an ordinary policy gradient on all goals. The next cell takes about half a minute.

# %%
HOW = {"meta_batch": 20, "meta_lr": 0.01, "schedule": ("cosine", 0.1), "clip": 1, "seed": 0}


def trained(inner_steps):
    torch.manual_seed(0)
    learner = PolicyGradient(Policy(), inner_lr=0.5, inner_steps=inner_steps, engine="textbook")
    history = mt.meta_train(learner, family, 100, device="cpu", progress=False, **HOW)
    returns = -np.array(history.loss)
    print(f"inner steps {inner_steps}: mean return of the first ten outer steps {returns[:10].mean():.1f}, "
          f"of the last ten {returns[-10:].mean():.1f}")  # fmt: skip
    return learner


learned, pretrained = trained(inner_steps=1), trained(inner_steps=0)
for name, learner in (("MAML", learned), ("pretrained", pretrained)):
    print(f"{name:10} σ of the two axes:", learner.model.log_std.exp().detach().numpy().round(2))

# %% [markdown]
# The pretrained policy ends at about −38, what standing still brings. For a policy that must serve all goals and sees none there is
# hardly anything better: *the average task* of chapter 03, once more. MAML's θ, before its step, will turn out to stay near the start as
# well. But its σ is larger. It was judged by what its walks *teach*, so it looks around more.
#
# ## The same step for both, and each its own
#
# A rate is chosen on validation goals, never on those of the test. The first step first, at five rates, for both policies:

# %%
RATES = (0.18, 0.25, 0.35, 0.5, 0.7)


def after(learner, *rates, episodes=50, seed=2):
    """Mean return after these steps; seed 2: validation goals."""
    return returns_after(learner, family, rates, episodes, seed).mean[-1]


curves = {
    "maml": ("MAML", [after(learned, rate) for rate in RATES]),
    "baseline": ("pretrained", [after(pretrained, rate) for rate in RATES]),
}
return_against_rate(RATES, curves)

# %% [markdown]
# MAML is best at the rate that it was trained with. It is no accident: the meta-gradient has shaped θ so that *this* step is
# right. For the pretrained policy nobody did that, and its best rate is where it happens to be; at 0.5 it steps too far. The later
# steps get a rate of their own, as in the original code, which halves it after the first step. For MAML's policies 0.125 was the best
# of six when this chapter was made (`docs/results.md`). For the pretrained one we look here, on validation goals again:

# %%
MAMLS = (0.5, 0.125, 0.125)
own_first = RATES[int(np.argmax(curves["baseline"][1]))]
tried = {
    later: after(pretrained, own_first, later, later, episodes=60) for later in (0.06, 0.09, 0.125)
}
print(
    "pretrained, after three steps:",
    {later: round(float(value), 1) for later, value in tried.items()},
)
OWN = (own_first, *[max(tried, key=tried.get)] * 2)
print("its own rates:", OWN)

# %%
ASKED = {
    "MAML": (learned, MAMLS),
    "pretrained, MAML's rates": (pretrained, MAMLS),
    "pretrained, its own rates": (pretrained, OWN),
}
results = {name: returns_after(learner, family, rates) for name, (learner, rates) in ASKED.items()}
print(f"{'100 new goals, returns after':31}      0       1      2      3 steps")
for name, result in results.items():
    for what in ("median", "mean"):
        print(f"{name:25} {what:6}", *(f"{v:7.1f}" for v in getattr(result, what)))
print(f"{'MAML, published':25} mean  ", *(f"{v:7.1f}" for v in (-40.41, -11.68, -3.33, -3.23)))
lead = results["MAML"] - results["pretrained, its own rates"]
print("\nMAML less pretrained, goal by goal, each at its own rates")
for step in range(4):
    print(f"   {step} steps: median {lead.cells(step)[0]}   mean {lead.cells(step)[1]}")

# %% [markdown]
# (A mean with ! is ruled by a few goals, as in chapter 03, and its ± may not hold.) That was one training of each. Three of each,
# with a finer grid of rates for the pretrained policies, all on the same 100 goals: the middle one of the three, and in brackets
# the lowest and the highest. All is in `docs/results.md`, made by `benchmarks/reproduce/navigation.py`.
#
# | | rates | median after 1 | 2 | 3 | mean after 1 | 2 | 3 |
# | :- | :- | :- | :- | :- | :- | :- | :- |
# | MAML | 0.5, then 0.125 (its own) | −10.5 (−11.0 to −9.5) | −3.1 (−3.1 to −2.8) | −2.5 (−2.5 to −2.3) | −10.7 (−11.0 to −10.7) | −4.2 (−4.5 to −4.1) | −2.7 (−2.9 to −2.4) |
# | pretrained | 0.5, then 0.125 | −17.1 (−21.0 to −13.9) | −4.2 (−8.6 to −3.5) | −2.6 (−2.9 to −1.7) | −17.6 (−22.1 to −15.1) | −7.2 (−9.7 to −6.6) | −4.3 (−4.4 to −3.4) |
# | pretrained | 0.35, then 0.09 (its own) | −11.4 (−11.8 to −10.9) | −2.2 (−3.4 to −1.8) | −1.8 (−1.9 to −1.6) | −11.9 (−12.2 to −11.3) | −4.5 (−5.3 to −3.6) | −2.7 (−3.0 to −2.1) |
# | FOMAML | its own | −11.8 (−13.4 to −11.6) | −5.3 (−5.7 to −2.2) | −4.6 (−4.8 to −2.8) | −12.4 (−13.9 to −11.3) | −6.9 (−7.7 to −3.7) | −5.8 (−5.9 to −3.9) |
# | *MAML, published* | | | | | −11.68 | −3.33 | −3.23 |
#
# What this says, and what it does not:
#
# - **With 0.5 for both, MAML leads by 4 to 11 after one step. With its own rate, the pretrained policy is behind by about 1** (by 0.6 to
#   1.5 in the mean, training by training). The original's test script gives MAML, the pretrained policy and a random one 0.5 each. Most of such
#   a lead is a matter of the rate.
# - **After three steps the pretrained policy is ahead in the median in each training, and level in the mean.** It also costs half the time
#   to train.
# - **What MAML still buys is a step of known length.** Its best rate is the one of its training; nobody has to look for it. To find the
#   other's, we walked to validation goals again and again, and a real robot pays for each walk. Besides, there is the small lead after the
#   *first* step, which is what it was trained for.
# - First-order MAML is behind in all columns here: the second order, or the part of it that there is (below), pays in this task.
#
# ## What one step knows
#
# Why is the difference so small? Put goals on rings around the start, let both policies take one step, and see how far the walks
# then get in the direction of the goal.


# %%
def undivided(walked):
    """As `rl.examples`, with advantages that are not divided by their deviation."""
    to_go = rl.returns_to_go(walked.rewards)
    counts = (to_go - rl.baseline(walked, to_go)) * walked.alive / walked.alive.sum()
    y = torch.cat([walked.actions, counts[..., None]], dim=-1)
    return walked.positions.flatten(0, 1), y.flatten(0, 1)


def rounds(learner, goals, rates, examples=rl.examples):
    """For each round, the last one included: the walks, and the length of the slope they give, (tasks,)."""
    rng, phi, results = np.random.default_rng(1), learner.for_each_task(len(goals)), []
    goals = torch.as_tensor(np.repeat(goals[:, None], 20, axis=1), dtype=torch.float32)
    for rate in (*rates, 0.0):
        noise = torch.as_tensor(family.draw_noise(rng, len(goals)), dtype=torch.float32)
        walked = learner.walk(phi, noise, goals)
        further = learner.improved(phi, vmap(examples)(walked), 1.0)  # φ minus the slope
        slope = {name: p - further[name] for name, p in phi.items()}
        lengths = sum(each.flatten(1).square().sum(dim=1) for each in slope.values()).sqrt()
        phi = {name: p - rate * slope[name] for name, p in phi.items()}
        results.append((walked, lengths))
    return results


# %%
RINGS = np.array([0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6])
angles = 2 * np.pi * np.arange(12) / 12
directions = np.tile(np.column_stack([np.cos(angles), np.sin(angles)]), (len(RINGS), 1))
on_rings = np.repeat(RINGS, 12)[:, None] * directions  # (7 · 12, 2)


def show(words, values):
    """A line: the mean of each ring's twelve goals."""
    means = np.asarray(values).reshape(len(RINGS), 12).mean(axis=1)
    print(f"{words:44}", *(f"{v:6.2f}" for v in means))


show("distance of the goals", np.repeat(RINGS, 12))
for name, learner in (("MAML's θ", learned), ("pretrained θ", pretrained)):
    show(f"{name}: length of the slope", rounds(learner, on_rings, [])[0][1])
    show("   with undivided advantages", rounds(learner, on_rings, [], undivided)[0][1])

# %%
STEPS = {
    "maml": ("MAML at 0.5", learned, 0.5),
    "baseline": ("pretrained at 0.5", pretrained, 0.5),
    "after": (f"pretrained at {own_first}", pretrained, own_first),
}
reaches = {}
for role, (name, learner, rate) in STEPS.items():
    walked, _ = rounds(learner, on_rings, [rate])[-1]
    last, arrived = walked.positions[:, :, -1], ~walked.alive[:, :, -1:]
    ends = np.where(arrived, on_rings[:, None], last)  # (goals, trajectories, 2)
    along = (ends.mean(axis=1) * directions).sum(axis=1)
    reaches[role] = (name, np.median(along.reshape(len(RINGS), 12), axis=1))
    show(f"{name}: return after one step", walked.returns.mean(dim=1))
reach_against_distance(RINGS, reaches)

# %% [markdown]
# **The first step finds the direction of the goal, and goes equally far whatever its distance.** From 0.15 to 0.6 the slope has one
# and the same length, with divided advantages and without. How could it know? A reward of minus the distance is a *cone*: it falls
# by 0.01 for each 0.01 that one walks the wrong way, near the goal and far from it. Only walks that pass by the goal notice it; θ's do
# for a goal at 0.1. So one number, α, decides how far everybody goes, and the best that it can do is about the mean
# distance of all goals, 0.38. Meta-training has brought MAML's step there at 0.5. A search over rates brings the pretrained policy's there as
# well, at 0.35, and then the two are nearly alike. The rest is left to the second and third step.
#
# It is one small task, where the right thing before adapting is to stay near the start, and both do. Where the best start is not the
# average policy's, the verdict may be another one.

# %% [markdown]
# ## Walk to a goal
#
# Drag the star (run the cell first). Grey: 20 walks of θ. Coloured: the walks after the steps that you choose. Both policies explore with the same
# noise.
#
# 1. One step of 0.5. Take the star from a corner of the dotted square along the diagonal to the start. Where do the coloured walks stop?
# 2. Give both 0.35. Whose walks become better?
# 3. Three steps, and later rates from 0.05 to 0.5. What does a step that is too large do to walks that had already arrived?
# 4. The star outside the dotted square: goals that no training has seen.

# %%
walk_to_a_goal(learned, pretrained)

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# (1) At one distance, whatever you do: about 0.4 for MAML and 0.5 for the pretrained policy, which overshoots more goals than it falls short of.
# Only when the star comes into the grey cloud of the exploring walks does the step become shorter, and MAML's cloud is the larger one.
# (2) The pretrained policy's for goals that are near or at a middling distance; MAML's become worse, except for near goals. (3) They leave the goal again:
# there is no flat place on which a step gets short by itself. (4) The direction is right there, too. One step falls short, and later
# ones need a *larger* rate than inside: 0.25 in place of 0.125.
# </details>

# %% [markdown]
# ## A trap: halve the rate, they said
#
# The original code halves α after the first step, to 0.25. Here is what that does to MAML's policy, and how long the slopes are on
# the way:

# %%
goals = family.draw_goals(np.random.default_rng(3), tasks=50)
for rates in (MAMLS, (0.5, 0.25, 0.25)):
    walks = rounds(learned, goals, rates)
    returns = np.array(
        [walked.returns.mean(dim=1).numpy() for walked, _ in walks]
    )  # (rounds, goals)
    print("rates", rates)
    print("   mean return    ", *(f"{v:6.1f}" for v in returns.mean(axis=1)))
    print("   median return  ", *(f"{v:6.1f}" for v in np.median(returns, axis=1)))
    print("   length of slope", *(f"{lengths.median():6.2f}" for _, lengths in walks))
    worse = (returns[3] < returns[2]).sum()
    print(f"   the third step makes {worse} of {len(goals)} policies worse")

# %% [markdown]
# With three trainings: −5.2 to −5.8 in the mean after three steps, against −2.4 to −2.9. Why? Gradient descent in a
# bowl slows down by itself, because the slope vanishes at the bottom. On a cone it does not, as on the rings: **a step near the goal is as
# long as one far away.** While the mean return shrinks to a fourteenth, the slope is still about half as long as at the start. So the rate has
# to do it.
#
# ## What the meta-gradient leaves out
#
# Look at line 2 of the algorithm again: $\varphi = \theta - \alpha\nabla_\theta L(\theta;\ \text{walks of}\ \theta)$. θ enters *twice*: in
# $\log\pi_\theta$, and because θ decides **where the walks go**. The meta-gradient differentiates the first and takes the
# walks as given. But with another θ other things would have been explored, and another φ would have come of it.
#
# How much is that? In the one-action problem above everything is known. With infinitely many actions the inner step is
#
# $$\varphi = \theta + \alpha\nabla J(\theta) = \theta - 2\alpha(\theta - g),\qquad \frac{d\varphi}{d\theta} = 1 - 2\alpha,$$
#
# the factor $1 - \alpha a$ of chapter 04 with the curvature $a = 2$. Let us ask autograd for $d\varphi/d\theta$ of the surrogate,
# on a million actions that are held fixed:


# %%
def slope_of_phi(alpha, weight):
    """(φ, dφ/dθ) of a step on −mean weight(log π) · A; the actions are given."""
    start = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    actions = start.detach() + sigma * noise
    r = -((actions - g) ** 2)
    log_pi = -(((actions - start) / sigma) ** 2) / 2
    loss = -(weight(log_pi) * (r - r.mean())).mean()
    (slope,) = torch.autograd.grad(loss, start, create_graph=True)
    phi = start - alpha * slope
    return phi.item(), torch.autograd.grad(phi, start)[0].item()


WEIGHTS = {"log π, as published": lambda log_pi: log_pi,
           "exp(log π − log π held fixed)": lambda log_pi: torch.exp(log_pi - log_pi.detach())}  # fmt: skip
for alpha in (0.25, 0.75):
    exact = theta - 2 * alpha * (theta - g)
    print(f"α = {alpha}: exact φ = {exact:.2f}, dφ/dθ = {1 - 2 * alpha:+.2f}")
    for words, weight in WEIGHTS.items():
        phi, slope = slope_of_phi(alpha, weight)
        print(f"   {words:30} φ = {phi:.2f}, dφ/dθ = {slope:+.2f}")

# %% [markdown]
# The step is the same in all three, $\varphi$ to two digits. But as published $d\varphi/d\theta$ is **1, whatever α is: here that is
# first-order MAML**, with all the trouble of chapter 04. At α = 0.25 the meta-gradient is twice as long as the true one, at 0.75 it
# points the other way. The reason: $\log\pi$ of a normal distribution has the same second derivative, $-1/\sigma^2$, for every
# action, and the advantages average to 0. All the curvature of the return lies in *which actions are drawn*.
#
# The last lines show a remedy. $e^{\log\pi - c}$, with $c = \log\pi$ held fixed, is always 1, and its first derivative is that of
# $\log\pi$. But its second derivative has $(\nabla\log\pi)^2$ in it as well, and just that is the missing part. This is the idea
# of **DiCE** (Foerster et al. 2018); whole trajectories need a little more than this one line. Its price is noise: products of two scores need many
# walks. **ProMP** (Rothfuss et al. 2019) gives up a little exactness for far less noise. And with *few* walks, such as our twenty, one more
# thing counts: a θ may explore so that its few walks *teach more*. Al-Shedivat et al. (2018) and Stadie et al. (2018) have that term; [exercise
# 13.7](../exercises/13_robots.ipynb) asks you to write it down.
#
# Does it matter for the point in the plane? There $\mu_\theta(s)$ is a network and has curvature of its own. That, the published
# meta-gradient does see, and it beat FOMAML above. How much better the full gradient would be, we have not measured.

# %% [markdown]
# PART B

# %% [markdown]
# ## What you should have seen
#
# Of part (a):
#
# - A policy that sees no goal, and finds it by chance, reward and gradient.
# - Twenty walks that hardly know a direction, and the same twenty with reward to go and a baseline, which do.
# - MAML's published returns after one to three steps, −11.68, −3.33 and −3.23, and ours: −10.7, −4.2 and −2.7.
# - A pretrained policy that loses by 7 at MAML's rate, by 1 at its own, and leads in the median after three steps.
# - A first step that knows the direction of the goal and not its distance, and a third one that is too large at half the rate of the first.
# - A meta-gradient that leaves out exploration, and on one problem is exactly that of FOMAML.
#
# Of part (b): TODO_B

# %% [markdown]
# ## Three questions
#
# **1.** Somebody takes as baseline the mean reward to go of those trajectories *in which the same action was taken*. The noise
# becomes very small. What about the gradient?
#
# <details><summary>A · It is right on average, as with every baseline.</summary>
# No. (2) needs a baseline that is settled *before* the action is drawn. This one changes with the action.
# </details>
# <details><summary>B · It is wrong: the baseline takes away just what the action brought.</summary>
# Right. What is left is the luck of the later steps, and the expected gradient is 0. The noise is small because there is nothing left to see.
# </details>
# <details><summary>C · It has the right direction, but is too short.</summary>
# If only a *part* of the action's worth were taken away, yes. But here all of it is: good and bad actions get the same advantage, 0 on average.
# </details>
#
# **2.** To save time somebody judges φ by the support set's walks: those of θ, in place of new ones of φ. What is trained?
#
# <details><summary>A · The same; the surrogate only needs some walks to the same goal.</summary>
# No. (4) has the policy gradient *of the policy that walked*. At φ, on walks of θ, its gradient belongs to no expected return.
# </details>
# <details><summary>B · A θ whose step makes the good deeds of θ more likely.</summary>
# Right. No one asks whether φ arrives. To use walks of another policy honestly, each must be weighted by $\pi_\varphi/\pi_\theta$, the importance weight;
# over 100 steps these weights are huge or nearly 0.
# </details>
# <details><summary>C · The pretrained policy.</summary>
# No: with no inner step the walks of θ judge θ. Here they judge φ, which has taken a step.
# </details>
#
# **3.** A robot's leg is replaced by a longer one. You know the equations of its motion up to three numbers, and have twenty noisy
# movements. What do you do first?
#
# <details><summary>A · Meta-train a network on simulated legs, and adapt it.</summary>
# That can be right where the equations lack something. Part (b) shows where. But it is not the first thing to do.
# </details>
# <details><summary>B · Train a network on the twenty movements.</summary>
# From scratch, twenty movements are too few, as part (b) shows. What is common to all legs would have to be learned from them, too.
# </details>
# <details><summary>C · Fit the three numbers by least squares, and look at what is left over.</summary>
# Right. Knowing the physics beats learning to learn, as long as it *is* the physics. What is left over says whether it is: if it has a pattern, something is
# missing in the equations, and then (A) comes into play.
# </details>

# %% [markdown]
# ## Summary
#
# 1. $\nabla_\theta\mathbb E[R] = \mathbb E\big[\sum_t\nabla_\theta\log\pi_\theta(a_t \mid s_t)\,A_t\big]$, $A_t = \sum_{t'\ge t}r_{t'} - b(s_t, t)$: what was settled before the action
#    may be taken away, since $\mathbb E[\nabla\log\pi] = 0$.
# 2. MAML for policies: $\varphi = \theta - \alpha\nabla L(\theta)$ with $L = -\frac1T\sum\log\pi_\theta(a_t \mid s_t)A_t$ on walks of θ; then
#    $\nabla_\theta L(\varphi)$ on walks of **φ**.
# 3. Returns after one step: MAML −10.7, pretrained −17.6 at MAML's rate and −11.9 at its own; after three −2.7 both in the mean, −2.5 and −1.8
#    in the median. MAML buys a step of known length.
# 4. $d\varphi/d\theta$ as published takes the walks as given: 1 in place of $1 - 2\alpha$ where $J = -(\theta - g)^2 - \sigma^2$. DiCE and ProMP put the rest
#    back, at the price of noise.
# 5. TODO_B: a body that changes, $\hat s_{t+1} = s_t + f_\varphi(s_t, u_t)$, $\varphi$ from twenty transitions; least squares with the physics known.

# %% [markdown]
# ## Further reading
#
# - Finn, Abbeel & Levine (2017), *Model-agnostic meta-learning for fast adaptation of deep networks*, arXiv 1703.03400: section 5.3 and
#   Algorithm 3 are part (a). The settings that the paper does not print are in its code, github.com/cbfinn/maml_rl.
# - R. J. Williams (1992), *Simple statistical gradient-following algorithms for connectionist reinforcement learning*, Machine Learning 8: the policy
#   gradient, with its baseline, in its first form.
# - Duan, Chen, Houthooft, Schulman & Abbeel (2016), *Benchmarking deep reinforcement learning for continuous control*, arXiv 1604.06778: where the linear
#   baseline and many habits of the original code come from.
# - Schulman, Levine, Moritz, Jordan & Abbeel (2015), *Trust region policy optimization*, arXiv 1502.05477: TRPO, the paper's outer optimiser.
# - Foerster, Farquhar, Al-Shedivat, Rocktäschel, Xing & Whiteson (2018), *DiCE: The infinitely differentiable Monte Carlo estimator*, arXiv
#   1802.05098: the trick with $e^{\log\pi - c}$, for any order and whole trajectories.
# - Rothfuss, Lee, Clavera, Asfour & Abbeel (2019), *ProMP: Proximal meta-policy search*, arXiv 1810.06784: what each version of the
#   meta-gradient leaves out, side by side, and a version with little noise.
# - Al-Shedivat, Bansal, Burda, Sutskever, Mordatch & Abbeel (2018), *Continuous adaptation via meta-learning in nonstationary and competitive
#   environments*, arXiv 1710.03641, and Stadie and others (2018), *Some considerations on learning to explore via meta-reinforcement learning*,
#   arXiv 1803.01118: the missing term, and what it is good for.
# - Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson (2019), *Fast context adaptation via meta-learning*, arXiv 1810.03642: CAVIA adapts a few inputs
#   in place of all weights, on this task among others.
# - Nagabandi, Clavera, Liu, Fearing, Abbeel, Levine & Finn (2019), *Learning to adapt in dynamic, real-world environments through
#   meta-reinforcement learning*, arXiv 1803.11347: part (b) with real legs, one of them lost.
#
# **Now you:** the [exercises of this chapter](../exercises/13_robots.ipynb): a step of all walks, returns to go, advantages, the surrogate, whose
# walks judge whom, planning with a learned model, and the missing term in words. **Next:** [14 · Language](14_language.ipynb). Back to
# [the map of the course](00_start_here.ipynb).
