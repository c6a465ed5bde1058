# %% [markdown]
# # 06 · Many inner steps
#
# *What happens to the signal through K updates?*
#
# **You will be able to**
#
# - walk a meta-gradient back through any number of inner steps, and say what each step does to it;
# - say when a truncated walk is nearly right and when it is useless, and measure which case you are in;
# - take the gradient of a step size, learn one, and say for which number of steps it is right;
# - keep fewer parameters than there are steps, and know what that costs.
#
# **Needs** [chapter 04](04_gradient_of_a_step.ipynb) (the factor $I - \alpha H$, the cosine of two gradients), Hessian-vector
# products ([chapter 05](05_hessians.ipynb)) and the noisy descent of [chapter 01](01_gradient_descent.ipynb). **Takes** about
# 60 minutes, and 10 more for the part marked *further*. **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# A model takes **forty** inner steps. Its meta-gradient is a product of forty factors, and somebody saves time: they walk back over
# the last ten steps only, and treat the parameters they arrive at as if they were the start. How well does the result point? Guess its
# cosine with the right gradient, for a typical task, twice: at the step size for which the network was trained, and at three
# times that step size.
#
# - (a) about 0.95 both times, because what happened long ago hardly matters;
# - (b) about 0.5 and 0.2, because three quarters of the product is missing;
# - (c) about 0.95 and 0.75, because longer steps make larger errors;
# - (d) about 0.95 and below 0.3, because after longer steps the missing factors decide.
#
# <details><summary>Answer</summary>
#
# (d), for the median of forty tasks: the same shortcut is nearly right, or useless. What decides is what the thirty factors
# left out do to the signal: hardly anything, or they make it many times longer. That depends on how far $\alpha\lambda$ goes
# beyond 2, and for how many steps. And for the *mean* over the tasks, which is what one trains with, a single bad task, one
# whose inner descent has begun to diverge, can turn 0.95 into 0.15.
# </details>

# %%
import gc
import tracemalloc

import numpy as np
import torch
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.figures import rate_finds_itself, sets_in_memory, short_and_long_horizons
from maml_edu.figures import signal_walking_back, wandering_star
from maml_edu.tasks import Sinusoids

# %% [markdown]
# ## One factor per step
#
# The inner loop goes from $\varphi_0 = \theta$ to $\varphi_K$ by
# $\varphi_{k+1} = \varphi_k - \alpha\nabla L_{\text{S}}(\varphi_k)$. Each step has the derivative $I - \alpha H_k$, where $H_k$
# is the Hessian of the support loss at $\varphi_k$. By the chain rule the meta-gradient is
#
# $$\nabla_\theta\, L_{\text{Q}}(\varphi_K) = (I - \alpha H_0)(I - \alpha H_1)\cdots(I - \alpha H_{K-1})\,\nabla L_{\text{Q}}(\varphi_K).$$
#
# Nobody multiplies these matrices. Begin at the right, with $v_K = \nabla L_{\text{Q}}(\varphi_K)$, and let one factor after the other
# act on the vector:
#
# $$v_k = v_{k+1} - \alpha H_k\, v_{k+1}, \qquad k = K-1, \dots, 0 .$$
#
# This is the **walk back**, and $v$ is the **signal**: $v_k$ says how the query loss follows $\varphi_k$, and $v_0$ is the
# meta-gradient. A step back costs one Hessian-vector product: about two gradients, and a third if the slope at $\varphi_k$ is not
# kept and has to be computed again. So $K$ steps forward and back cost $3K + 1$ gradients in a program that records its way
# forward, and $4K + 1$ in the walk by hand below, however many parameters there are.
#
# What becomes of the signal? In a bowl every $H_k$ is the same matrix, and along an eigenvector of curvature $\lambda$ the $K$
# factors make $(1 - \alpha\lambda)^K$. With α = 0.5:

# %%
curvatures = np.array([-0.1, 0.0, 0.1, 1.0, 3.0, 4.1])
print("curvature λ       ", *(f"{value:9.1f}" for value in curvatures))
for steps in (1, 5, 10, 40):
    left = np.abs(1 - 0.5 * curvatures) ** steps
    print(f"left after {steps:2d} steps", *(f"{value:9.2g}" for value in left))

# %% [markdown]
# Between $\lambda = 0$ and $\alpha\lambda = 2$ the signal **vanishes**, quickly where the factor is far from ±1. It must: if
# forty steps arrive at the same minimum from everywhere, no start is better than another. Beyond $\alpha\lambda = 2$, and along
# negative curvature, it **explodes**. This is the textbook story, told of recurrent networks: *gradients through many steps
# explode or vanish*. Note the column in between. A flat direction, $\lambda = 0$, does neither: there the signal passes
# unchanged, whatever $K$ is.
#
# ## The walk in a network
#
# Which of the three is it in a network? We need a θ that a meta-learner would have. The library trains one with $K = 5$ inner
# steps and α = 0.01, for 3,000 iterations; [chapter 07](07_maml_in_numpy.ipynb) shows how that is done. Then everything below
# is NumPy. (The seed of the network and of its training is 1; the waves below have the seed 6.
# Processors round differently, and 3,000 iterations of training carry that on: your digits may differ from those in the text.)

# %%
SEED = 1
tasks = Sinusoids(shots=10)
torch.manual_seed(SEED)
learner = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=5)
settings = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu", "seed": SEED, "progress": False}
mt.meta_train(learner, tasks, 3_000, **settings)
theta = {name: value.astype(float) for name, value in learner.model.arrays().items()}
batch = tasks.sample(np.random.default_rng(6), tasks=40)
print(f"{sum(value.size for value in theta.values()):,} parameters, {len(batch)} waves")

# %% [markdown]
# The walk is a dozen lines. `ref.hvp` is the Hessian-vector product. On the way forward all $\varphi_k$ are kept, because the
# way back needs them.


# %%
def step_down(params, x, y, alpha):
    slope = ref.grad(ref.mse)(params, x, y)
    return {name: params[name] - alpha * slope[name] for name in params}


def flat(params):
    return np.concatenate([part.ravel() for part in params.values()])


@np.errstate(all="ignore")  # a wave may run away: its numbers become infinite
def walk_back(theta, task, alpha, steps):
    """(v_K, v_{K−1} … v_0 as rows, (steps + 1, parameters); the list φ₀ … φ_K)."""
    support_x, support_y, query_x, query_y = task
    path = [theta]
    for _ in range(steps):
        path.append(step_down(path[-1], support_x, support_y, alpha))
    v = ref.grad(ref.mse)(path[-1], query_x, query_y)
    signals = [flat(v)]
    for phi in reversed(path[:-1]):
        hv = ref.hvp(lambda params: ref.mse(params, support_x, support_y), phi, v)
        v = {name: v[name] - alpha * hv[name] for name in v}
        signals.append(flat(v))
    return np.array(signals), path


# %% [markdown]
# Never trust such a thing unchecked. The library differentiates through all forty steps by itself:

# %%
first_wave = next(iter(batch))
by_hand = walk_back(theta, first_wave, 0.01, 40)[0][-1]
_, by_program = ref.meta_gradient(ref.mse, theta, batch.part(0, 1), inner_lr=0.01, inner_steps=40)
gap = np.max(np.abs(by_hand - flat(by_program))) / np.max(np.abs(by_hand))
print(f"forty steps, walked and differentiated: relative difference below 1e-12: {gap < 1e-12}")

# %% [markdown]
# Now forty steps on each of the forty waves, at the α of the training and at two larger ones. A wave has **run away** if its error
# after the steps is above 100 or no number at all. We leave these out, and count them.


# %%
def walks_of(alpha):
    """(signals (waves, 41, parameters) of the waves that stay; the query losses of all after the steps)."""
    signals, losses = [], []
    for task in batch:
        own, path = walk_back(theta, task, alpha, 40)
        with np.errstate(all="ignore"):
            losses.append(np.nan_to_num(ref.mse(path[-1], *task[2:]), nan=np.inf))
        if losses[-1] < 100 and np.isfinite(own).all():
            signals.append(own)
    return np.array(signals), losses


walks, BACK = {}, [0, 1, 5, 10, 20, 40]
print("steps walked back          ", *(f"{n:6d}" for n in BACK))
for alpha in (0.01, 0.02, 0.03):
    walks[alpha], losses = walks_of(alpha)
    lengths = np.linalg.norm(walks[alpha], axis=2)  # (waves, 41)
    median = np.median(lengths, axis=0)[BACK]
    print(f"α = {alpha}: median length of v", *(f"{value:6.2f}" for value in median))
    print(
        f"          {40 - len(lengths)} of 40 waves ran away; longest v_0 {lengths[:, -1].max():.0f}; "
        f"median query loss {np.median(losses):.2f}"
    )

# %% [markdown]
# At α = 0.01 the signal **does not vanish**. It loses about half of its length, nearly all of it in the first five steps back,
# and then it stays: 35 more factors hardly touch it. At α = 0.03 most of the walk is as quiet, and then the earliest steps make
# the signal *longer*; on some waves it explodes.
#
# Why does it stay? [Chapter 04](04_gradient_of_a_step.ipynb) found that most of the 1,761 directions are flat: ten points bend
# the support loss along a few directions only. The walk shrinks what lies along these. What lies along the flat ones passes. To
# see it, ask how much curvature the signal meets: $\alpha\, v^\top H v / v^\top v$, the curvature along $v$ (a Rayleigh
# quotient, chapter 05) times α. It needs no new computation, for $\alpha Hv_{k+1} = v_{k+1} - v_k$.

# %%
v = walks[0.01]  # (waves, 41, parameters)
met = 1 - np.sum(v[:, :-1] * v[:, 1:], axis=2) / np.sum(v[:, :-1] ** 2, axis=2)  # (waves, 40)
print("step back number      ", *(f"{n + 1:6d}" for n in BACK[:-1]))
print("αλ along v, the median", *(f"{value:6.3f}" for value in np.median(met, axis=0)[BACK[:-1]]))

# %% [markdown]
# The first step back meets a good deal of curvature; a few steps later there is next to none left in the signal's way. What can
# vanish has vanished, and the rest lies where the loss is flat. So in this network, at this α, the story has a third ending:
# not *explode or vanish* but **settle**. It would vanish only if the support set bent the loss along *every* direction.
#
# ## Truncation: right and useless
#
# A **truncated** meta-gradient walks back over the last $n$ steps only. So it is $v_{K-n}$, and one walk gives all of them:
# with $n = 0$ the first-order gradient, with $n = K$ the full one. How well do they point?


# %%
def cosine(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def clipped(signals):
    """Each wave's signals, scaled down to the median length of all waves where they are longer."""
    lengths = np.linalg.norm(signals, axis=2, keepdims=True)  # (waves, 41, 1)
    return signals * np.minimum(1, np.median(lengths, axis=0) / lengths)


print("steps walked back          ", *(f"{n:6d}" for n in BACK))
cosines = {}
for alpha, signals in walks.items():
    cosines[alpha] = np.median(cosine(signals, signals[:, -1:]), axis=0)  # of single waves: (41,)
    print(f"α = {alpha}: median of the waves", *(f"{value:6.2f}" for value in cosines[alpha][BACK]))
    for name, each in (
        ("their mean gradient ", signals),
        ("each clipped, mean  ", clipped(signals)),
    ):
        mean = each.mean(axis=0)  # (41, parameters)
        print(f"          {name}", *(f"{value:6.2f}" for value in cosine(mean, mean[-1])[BACK]))

# %%
signal_walking_back(
    {f"α = {alpha}": np.linalg.norm(signals, axis=2) for alpha, signals in walks.items()},
    {f"α = {alpha}": values for alpha, values in cosines.items()},
)

# %% [markdown]
# For a typical wave truncation is right at α = 0.01: ten steps of forty are nearly as good as all. At α = 0.03 it is useless: until the last few
# factors are there, the gradient points somewhere else. (And it jumps: a factor below −1 turns the steep part of the signal
# around, so a walk that stops one step early has this part backwards.) Where early factors make the signal much longer, it is
# *they* that decide where it points. The reverse does not hold: at α = 0.02 the median length is 1.82 after ten steps back
# and 2.40 after forty, not much more, yet the cosine at ten is only 0.73. Similar length is not similar direction.
#
# Compare the first two lines of α = 0.02. For a typical wave the last ten steps are quite good; for the **batch** they are
# useless. The mean of forty gradients is not the gradient of a typical wave but that of the wave with the longest. One wave
# whose factors explode, early or late, is enough. Here are the last ten of forty steps with two more seeds for the training, by
# `benchmarks/reproduce/truncated_batches.py`:
#
# | | waves, median: seed 0 | 1 | 2 | batch: seed 0 | 1 | 2 | ran away |
# | --- | --- | --- | --- | --- | --- | --- | --- |
# | α = 0.01 | 0.95 | 0.96 | 0.95 | **0.15** | 0.86 | 0.46 | 0, 0, 0 of 40 |
# | α = 0.02 | 0.70 | 0.73 | 0.68 | −0.11 | −0.06 | 0.11 | 1, 1, 1 |
# | α = 0.03 | 0.04 | 0.28 | 0.28 | 0.40 | −0.19 | −0.23 | 7, 6, 11 |
#
# The number in bold is a batch at the *right* α in which a single wave has a signal some 100 times as long as the median. On
# that wave the inner descent is diverging: $\alpha\lambda_{\max}$ is below 2 at first, passes 2 at about $k = 15$ and reaches 2.6,
# and after some thirty steps the support loss turns and climbs. Here it is the *later* factors that explode, many of them
# before the last ten; the early ones shrink the signal again, but not enough. So the answer to the bet has two halves: a typical
# wave says that truncation is fine, and the batch may say that it is not. Measure it for the batch you train on.
#
# Is there a remedy? Do not let one wave outvote the others. The third line of each α **clips**: a signal that is longer than the
# median is scaled down to the median before the mean is taken. For the last ten steps that gives 0.94, 0.90 and 0.90 at α = 0.01
# (seeds 0, 1 and 2) and 0.16, 0.43 and 0.50 at 0.02. At 0.03 it is not enough: 0.20, 0.22 and 0.13.
#
# What do the early steps do at α = 0.03? The largest curvature on the way, as in chapter 04 by power iteration, times α:


# %%
def steepest(params, x, y, rounds=20):
    """The curvature of largest size of the support loss, by power iteration."""
    v = params
    for _ in range(rounds):
        length = np.linalg.norm(flat(v))
        v = {name: part / length for name, part in v.items()}
        hv = ref.hvp(lambda params: ref.mse(params, x, y), params, v)
        rayleigh, v = flat(v) @ flat(hv), hv
    return rayleigh


ALONG = [0, 1, 2, 5, 10, 40]
print("αλmax at φ_k, k =", *(f"{k:6d}" for k in ALONG), "  medians of the first waves")
for alpha in (0.01, 0.02, 0.03):
    rows = []
    for task in list(batch)[:6]:
        path = walk_back(theta, task, alpha, 40)[1]
        if all(np.isfinite(flat(phi)).all() for phi in path):
            rows.append([alpha * steepest(path[k], *task[:2]) for k in ALONG])
    medians = (f"{value:6.1f}" for value in np.median(rows, axis=0))
    print(f"α = {alpha}        ", *medians, f"  {len(rows)} of 6 stay finite")

# %% [markdown]
# At α = 0.01 the factor along the steepest direction is about −0.2 all the way: each step jumps over the minimum and comes much
# nearer. At α = 0.03 the first steps are far beyond the limit 2 of [chapter 01](01_gradient_descent.ipynb), with factors from
# −2 to −5. The waves that survive this are thrown to a flatter place, where the rest of the walk is quiet. (At α = 0.02 the
# first steps are beyond 2 as well, but by less and for fewer steps, and the median cosine stays at 0.73.) So the
# signal first passes the quiet part, and at the very end it meets the few steps that decide everything. These are the
# *earliest*, and they are exactly what truncation leaves out.
#
# ## The wandering star
#
# The same with two parameters and two tasks, where one can see the whole meta-loss. Along its flat direction each task's
# support loss is a parabola of curvature 0.1. Along its steep one it is a valley in a row of valleys, a cosine, with
# $\lambda = 3.5$ at the bottom. The contours are the mean query loss after $K$ steps, as a function of the start. The **star**
# is the best start, and the dotted line its way since $K = 0$. From θ two paths lead to the end of task 1 and the end of task
# 2, and two arrows show minus the meta-gradient and minus its truncation. (The end of task 1 need not lie at its minimum: the
# path soon reaches the bottom of the valley, and along the valley eight steps of 0.3 do little. At first it happens to lie next
# to the minimum of task 2.)
#
# 1. Leave α at 0.3 and move $K$ from 0 to 20. Where does the star go, and why does it not stay between the two tasks?
# 2. With $K = 20$, walk back 0, 1, 2, … steps. From when on do the arrows point the same way? They do not have the same length: why?
# 3. With $K = 20$, raise α slowly. At which α does the one basin break? What do the paths do there?
# 4. Go on to α = 1.1 and drag θ by a hair. What has become of the meta-gradient? Would you follow it?
#
# (Without a kernel you see $K = 8$ at α = 0.3, and $K = 20$ at α = 1.1, where only the head of the truncated push is to be seen.)

# %%
wandering_star()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. With $K = 0$ it lies where the mean of the query losses is least. With the first steps it leaves, and then it creeps on.
#    After a few steps every start is at the bottom of a task's steep valley, so the steep directions no longer count: along
#    them all starts are equal. What counts is how right the start is along each task's **flat** direction, where twenty steps
#    change little. Two tasks, two flat directions: the star goes where both are right at once, and that need not lie between
#    the minima. (It creeps because the query minimum is not where the support minimum is: the steps pull away from it, so the
#    best start lies *beyond*, and further beyond with each step, as in chapter 04.)
# 2. From the first on. With none they are 5° apart, where θ is at first. The factor along the steep direction is about
#    $1 - 0.3\cdot3.5 = -0.05$, so after one or two steps back nothing is left of it. The flat part has the factor $0.97$ in
#    every step and keeps its direction. With two steps walked back, the full arrow is $0.97^{18} = 0.58$ times as long as the truncated one.
# 3. At $\alpha = 2/\lambda = 0.57$. Beyond it the paths hop from side to side in the valley and do not settle. Which side a path
#    is on after the last step depends on where it began. So the basin breaks into **terraces** with walls between them; a
#    larger $K$ makes the walls steeper. (On a terrace itself the hops become regular, and then the steep part of the signal
#    still shrinks. In a bowl it would explode, but here a path that hops out of the bottom comes to smaller curvatures.)
# 4. Beyond $\alpha\lambda$ of about 3.5 the hops have no period any more. Two starts that differ by a hair end at different
#    places, the contours are specks, and the meta-gradient is 3.7 · 10⁵ long at first and points in another direction at the
#    next pixel. It is the true slope of this surface, and worth nothing: the smallest step against it ends somewhere else
#    altogether. Truncation does not repair that. A smaller α does.
# </details>
#
# Metz and others (2019) met the same in training learned optimisers: a short truncation gives a biased gradient, and a long one
# explodes.
#
# ## The rate learns itself
#
# So everything hangs on α. Why choose it by hand? The query loss depends on it, and its slope is a by-product of the walk. Move
# α by ε. Step $k$ then lands $-\varepsilon g_k$ away from where it did, where $g_k = \nabla L_{\text{S}}(\varphi_k)$, and this
# for each $k$. How the query loss follows $\varphi_{k+1}$ is $v_{k+1}$. So
#
# $$\frac{dL_{\text{Q}}(\varphi_K)}{d\alpha} = -\sum_{k=0}^{K-1} v_{k+1}\cdot g_k .$$
#
# Read it: a step should be longer if the support gradient $g_k$ and the signal $v_{k+1}$ point the same way. Check it against a
# finite difference:


# %%
def rate_slope(theta, task, alpha, steps):
    signals, path = walk_back(theta, task, alpha, steps)
    v = signals[::-1]  # v_0 … v_K
    slopes = [flat(ref.grad(ref.mse)(phi, *task[:2])) for phi in path[:-1]]  # g_0 … g_{K−1}
    return -sum(v[k + 1] @ slopes[k] for k in range(steps))


def judged(alpha, steps):
    phi = ref.adapt(ref.mse, theta, *first_wave[:2], alpha, steps)
    return ref.mse(phi, *first_wave[2:])


for steps in (1, 5, 40):
    numeric = (judged(0.01 + 1e-7, steps) - judged(0.01 - 1e-7, steps)) / 2e-7
    print(
        f"K = {steps:2d}: slope of α {rate_slope(theta, first_wave, 0.01, steps):9.4f}, measured {numeric:9.4f}"
    )

# %% [markdown]
# Look at the signs. From the same θ and at the same α, one step should be longer on this wave, and forty should be shorter.
# What do other waves say? A negative slope asks for longer steps:

# %%
for steps in (1, 5, 40):
    slopes = np.array([rate_slope(theta, task, 0.01, steps) for task in batch])
    print(
        f"K = {steps:2d}: {np.sum(slopes < 0)} of 40 waves ask for a longer step; "
        f"the mean slope is {slopes.mean():5.1f}"
    )

# %% [markdown]
# For each $K$ about half of the waves or more ask for longer steps, and the batch asks for shorter ones: once more a few waves with
# large numbers outvote the rest. Now train θ **and** α by their gradients. In the library this is `learn_inner_lr=True`: α is one
# more parameter for Adam. One inner step, 4,000 iterations, from two starts: a tenth of the paper's α, and three times the
# paper's. On the way we note the curvature at θ, the median of five waves.


# %%
def train_with_rate(start, inner_steps=1, iterations=4_000):
    """Rows of (iteration, α, αλmax), (n, 3)."""
    torch.manual_seed(0)
    model = mt.MLP(1, 40, 40, 1)
    learner = mt.MAML(model, inner_lr=start, inner_steps=inner_steps, learn_inner_lr=True)
    rows = []

    def note(iteration, history, learner):
        params = {name: value.astype(float) for name, value in model.arrays().items()}
        curvature = np.median([steepest(params, x, y) for x, y, _, _ in list(batch)[:5]])
        rows.append((iteration, learner.inner_lr.item(), learner.inner_lr.item() * curvature))

    note(0, None, learner)
    options = settings | {"seed": 0, "callbacks": [(500, note)]}
    mt.meta_train(learner, tasks, iterations, **options)
    return np.array(rows)


runs = {f"from α = {start}": train_with_rate(start) for start in (0.001, 0.03)}
for name, rows in runs.items():
    print(f"{name}: α {', '.join(f'{rate:.4f}' for rate in rows[::2, 1])}")
    print(f"{'':>15} αλmax {', '.join(f'{product:.2f}' for product in rows[::2, 2])}")

# %%
rate_finds_itself(runs)

# %% [markdown]
# Two things to see. First, the two runs soon come close, 0.0158 and 0.0138 after 1,000 iterations. The one from 0.001 shoots
# beyond 0.02, and then both fall through the **0.01 that the paper chose by hand** (Finn et al. 2017, section 5.1), from above: it lies on the way,
# and the gradient does not stop there. Second, why α falls. Meta-training raises the curvature at θ, so that a step can do more
# (chapter 07 meets this again), and α gives way. While α falls to less than half, $\alpha\lambda_{\max}$ rises slowly, from
# about 1 to 1.4: a step jumps over the minimum along the steepest direction, comes nearer all the same, and stays clear of the
# limit 2.
#
# So a learned rate is a rate *for a θ*. Twice the curvature wants about half of it, or a little more, and "α = 0.01 is right
# for sine waves" is a statement about a moment in training.
#
# Is it one lucky run? `benchmarks/reproduce/learned_rates.py` has three seeds, two starts and two numbers of inner steps. These are its
# α, means of 300 iterations, after 3,000 and after 6,000:
#
# | | K = 1: seed 0 | 1 | 2 | K = 5: seed 0 | 1 | 2 |
# | --- | --- | --- | --- | --- | --- | --- |
# | 3,000, from 0.001 | 0.0093 | 0.0063 | 0.0044 | 0.0127 | 0.0083 | 0.0140 |
# | 3,000, from 0.01 | 0.0094 | 0.0056 | 0.0062 | 0.0108 | 0.0083 | 0.0096 |
# | 6,000, from 0.001 | 0.0062 | 0.0047 | 0.0038 | 0.0091 | 0.0051 | 0.0078 |
# | 6,000, from 0.01 | 0.0063 | 0.0047 | 0.0043 | 0.0074 | 0.0051 | 0.0056 |
#
# It falls in all twelve runs. Two starts need not agree: with $K = 5$ and seed 2 they are far apart after 3,000 iterations, and
# still after 6,000. Those with five steps keep a larger α than those with one. (And nothing watches over such a rate. With
# 10,000 iterations the run with $K = 5$ from 0.001, seed 1, diverged at iteration 9,231.)
#
# ## Right for which K?
#
# A learned α minimises (at best) the query loss **after the K steps it was learned with**. Is it right for more? The first
# wave above asked for a longer step at $K = 1$ and for shorter steps at $K = 40$, but in a network much happens at once. So take
# descent with noise, where everything can be computed. As in [chapter 01](01_gradient_descent.ipynb), a slope comes with noise
# $\xi_i$, so that $\theta_i \leftarrow \theta_i - \alpha(\lambda_i\theta_i + \xi_i)$, and the mean of $\theta_i^2$ obeys
#
# $$m_i \leftarrow (1 - \alpha\lambda_i)^2\, m_i + \alpha^2\sigma_i^2 .$$
#
# There are four directions, λ = 10, 1, 0.1 and 0.01. Steep ones are noisier, $\sigma_i^2 = \lambda_i$. At first every $m_i$ is
# 10. For each **horizon** $K$ we look for the constant α with the least mean loss $\tfrac12\sum\lambda_i m_i$ after $K$ steps,
# and then let it run for 1,000.

# %%
lam = np.array([10.0, 1.0, 0.1, 0.01])  # curvatures, and variances of the noise


def losses_of(rates):
    """Mean loss before the first step and after each; rates: (steps, 1), or (steps, many) at once."""
    m, losses = np.full((len(rates[0]), 4), 10.0), []
    for alpha in [*rates, 0 * rates[0]]:  # the last one only for the loss after the last step
        losses.append(0.5 * m @ lam)
        m = (1 - alpha[:, None] * lam) ** 2 * m + alpha[:, None] ** 2 * lam
    return np.array(losses)  # (steps + 1, 1) or (steps + 1, many)


grid, curves = np.geomspace(1e-3, 0.199, 400), {}
for horizon in (1, 5, 100, 1000):
    best = grid[np.argmin(losses_of([grid] * horizon)[-1])]
    losses = losses_of([np.array([best])] * 1000)[:, 0]
    curves[f"best for {horizon}: α = {best:.3f}"] = losses
    print(
        f"best α for {horizon:4d} steps: {best:.3f}; loss then {losses[horizon]:.3f}, "
        f"after 1,000 {losses[-1]:.3f}"
    )

# %% [markdown]
# The α that is best for one step is over five times too **large** for a thousand, and ends with five times the loss. One step
# rewards whoever gets down the steep direction at once; the noise that this α lets in counts only when the rest has fallen. But
# shorter does not always mean larger: for *five* steps 0.100 is too **small**. There the steep direction bears factors further
# from 0, since it meets each of them five times, and the next one, λ = 1, gains.
#
# Now the other way to be short-sighted. Choose α *again before every step*, so that the very next loss is least. (Setting the
# derivative of $\sum\lambda_i[(1 - \alpha\lambda_i)^2 m_i + \alpha^2\sigma_i^2]$ to 0 gives the α in the code.) One
# would expect this to beat any constant, since it may adapt:

# %%
m, greedy = np.full(4, 10.0), []
for _ in range(1000):
    greedy.append(np.sum(lam**2 * m) / np.sum(lam * (lam**2 * m + lam)))
    m = (1 - greedy[-1] * lam) ** 2 * m + greedy[-1] ** 2 * lam
curves["greedy: best for the next step"] = losses_of(np.array(greedy)[:, None])[:, 0]
print("greedy α at steps 1, 10, 100, 1000:", *(f"{greedy[k - 1]:.4f}" for k in (1, 10, 100, 1000)))
print(f"loss after 1,000 steps: {curves['greedy: best for the next step'][-1]:.3f}")
print("of it along λ = 10, 1, 0.1, 0.01:", *(f"{part:.3f}" for part in 0.5 * lam * m))

# %%
short_and_long_horizons(curves, "the α that is best for 1,000 steps")

# %% [markdown]
# It beats the α that is best for one step (0.294 against 0.534), and loses to the best constant by almost three to one, for the
# opposite reason. As soon as the steep directions are down, the next loss falls most when their noise is quieted, by a small α;
# the flat directions would pay only later. So α falls too **soon**: after 1,000 steps 0.241 of the loss still lies along
# λ = 0.1, which the best constant has long since brought down. This is the
# **short-horizon bias** of Wu et al. (2018): step sizes that are learned by looking a few steps ahead, again and again, come
# out far too small. A constant rate from a fresh start errs the other way, as you have just seen. *A rate is right for a
# horizon*; which way it is wrong for another depends on what that horizon does not see. (Exercise 06.5 lets the rate change once
# on the way.)
#
# ## Memory: keep fewer than K
#
# The walk back needs every $\varphi_k$, so it keeps $K$ **sets** of parameters. It need not. $\varphi_k$ can be computed again
# from any earlier one. So keep a **checkpoint**, one φ, at the beginning of each **segment** of $s$ steps, and forget the rest.
# On the way back, take the last segment, compute its φ again from its checkpoint, walk back over it, forget it, go on with the
# one before. When $s$ divides $K$, the most that is held is
#
# $$\underbrace{K/s}_{\text{checkpoints}} + \underbrace{s - 1}_{\text{the open segment}}, \qquad\text{least for } s = \sqrt K, \text{ then about } 2\sqrt K ,$$
#
# and $K - K/s$ steps are taken twice: less than one more walk forward. (Chen et al. 2016 do this with the layers of a network.)


# %%
def walk_in_segments(theta, task, alpha, steps, size):
    """(v_0, how many inner steps were taken) with a checkpoint before every `size` steps."""
    support_x, support_y, query_x, query_y = task
    phi, kept, taken = theta, [], 0
    for k in range(steps):
        if k % size == 0:
            kept.append(phi)
        phi, taken = step_down(phi, support_x, support_y, alpha), taken + 1
    v, phi = ref.grad(ref.mse)(phi, query_x, query_y), None  # and forget φ_K
    while kept:
        segment = [kept.pop()]
        while len(segment) < size:
            segment.append(step_down(segment[-1], support_x, support_y, alpha))
            taken += 1
        while segment:
            phi = segment.pop()
            hv = ref.hvp(lambda params: ref.mse(params, support_x, support_y), phi, v)
            v = {name: v[name] - alpha * hv[name] for name in v}
    return flat(v), taken


# %% [markdown]
# Is the law true? `tracemalloc`, from Python's standard library, notes the most memory in use at any time. $K = 64$:


# %%
def measured(size, steps=64):
    """(v_0, steps taken, peak memory in sets of parameters)."""
    gc.collect()
    gc.disable()  # so that the peak does not depend on when Python tidies up
    tracemalloc.start()
    v, taken = walk_in_segments(theta, first_wave, 0.01, steps, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.enable()
    return v, taken, peak / sum(value.nbytes for value in theta.values())


SIZES = [1, 2, 4, 8, 16, 64]
found = {size: measured(size) for size in SIZES}
for size, (v, taken, peak) in found.items():
    same = np.array_equal(v, found[1][0])
    print(f"segments of {size:2d}: peak {peak:3.0f} sets, law {64 // size + size - 1:2d} and some more; "
          f"steps taken {taken:3d}; the same gradient to the last bit: {same}")  # fmt: skip
more = {steps: measured(1, steps)[2] - steps for steps in (16, 64, 256)}
print("segments of 1, more than the law:", *(f"{n:.0f} (K = {k})" for k, n in more.items()))

# %%
peaks = np.array([found[size][2] for size in SIZES])
laws = np.array([64 / size + size - 1 for size in SIZES])
sets_in_memory(SIZES, peaks, laws + np.mean(peaks - laws))

# %% [markdown]
# The gradient is the same to the last bit, since the same numbers are computed from the same numbers. (Segments of 1 keep every
# φ: that is the walk without checkpoints.) On top of the law come about twenty sets in this small network, most of them what one
# Hessian-vector product needs while it is computed. It is not quite a constant, because Python's dictionaries and arrays take
# room of their own: with segments of 1 it grows to 41 sets at $K = 256$. How much memory the engines of a
# real library need is told in [chapter 09](09_fast_maml.ipynb).
#
# There are other ways to save. Maclaurin et al. (2015) run descent with momentum *backwards*, exactly, and keep little more
# than the bits that rounding would lose. And truncation keeps only the last φ, but it is not exact; you know by now when that
# matters.
#
# ## Further: what `torch.utils.checkpoint` does here
#
# PyTorch has checkpointing built in: `checkpoint(function, …)` runs a function, forgets what it computed, and runs it again on
# the way back. Does it work when the function *contains a gradient*, as an inner step does? With `use_reentrant=False`, yes.
# But count how often the loss is computed, for $K = 16$:

# %%
module = mt.MLP(1, 40, 40, 1).double()
with torch.no_grad():
    for number, layer in enumerate(module[::2], start=1):
        layer.weight.copy_(torch.tensor(theta[f"w{number}"].T))
        layer.bias.copy_(torch.tensor(theta[f"b{number}"]))
weights = dict(module.named_parameters())
support_x, support_y, query_x, query_y = (torch.tensor(part) for part in first_wave)


# %%
computed = 0


def torch_loss(params, x, y):
    global computed
    computed += 1
    return ((functional_call(module, params, (x,)) - y) ** 2).mean()


def segment_of(size):
    def run(*values):
        params = dict(zip(weights, values, strict=True))
        for _ in range(size):
            value = torch_loss(params, support_x, support_y)
            slopes = torch.autograd.grad(value, list(params.values()), create_graph=True)
            params = {n: p - 0.01 * g for (n, p), g in zip(params.items(), slopes, strict=True)}
        return tuple(params.values())

    return run


# %%
def meta_gradient_in_segments(size, steps=16):
    """(the gradient, losses computed forward, losses computed in all); size 0: no checkpoints."""
    global computed
    computed, values = 0, tuple(weights.values())
    for _ in range(steps // size if size else 1):
        run = segment_of(size or steps)
        values = checkpoint(run, *values, use_reentrant=False) if size else run(*values)
    value = torch_loss(dict(zip(weights, values, strict=True)), query_x, query_y)
    forward = computed
    return torch.autograd.grad(value, list(weights.values())), forward, computed


plain, forward, _ = meta_gradient_in_segments(0)
print(f"no checkpoints: {forward} losses")
for size in (1, 2, 4, 8, 16):
    grads, forward, every = meta_gradient_in_segments(size)
    same = all(torch.equal(a, b) for a, b in zip(grads, plain, strict=True))
    print(
        f"segments of {size:2d}: {forward:3d} losses forward, {every:3d} in all; same gradient: {same}"
    )

# %% [markdown]
# It is exact. But a segment of $s$ steps computes $s + s(s+1)/2$ losses on the way **forward**. The inner gradient of each step
# asks for what the segment has just forgotten, and so the segment is run again from its beginning, for every step in it. By the
# law of the last section long segments would be cheap; here the cost of the walk grows linearly with $s$, 3.5 times from $s = 1$ to 16. So with
# `torch.utils.checkpoint` take short segments, or walk back by hand, as above.

# %% [markdown]
# ## What you should have seen
#
# - The walk back, $v \leftarrow v - \alpha Hv$, is checked against a program that differentiates everything. In a bowl the
#   signal vanishes or explodes. In a network, at a rate it was trained for, it **settles**: the flat directions pass it on.
# - For a typical wave the last ten of forty steps give nearly the right gradient at α = 0.01 and a useless one at α = 0.03,
#   because there the earliest steps, far beyond $\alpha\lambda = 2$, decide. In a batch one wave whose signal explodes spoils
#   the mean.
# - With two parameters: the star wanders to where both flat directions are right. Beyond $\alpha\lambda = 2$ its basin breaks.
# - α learned with θ falls through the paper's 0.01 and goes on falling, as the curvature at θ grows; $\alpha\lambda_{\max}$
#   changes far less.
# - The best α for one step is too large for a thousand and too small for five; an α chosen again before each step is soon too small.
# - With segments the walk holds about $2\sqrt K$ sets in place of $K$, for less than one more walk forward.

# %% [markdown]
# ## Three questions
#
# **1.** The support loss is a bowl with curvatures between 1 and 3 in **all** directions, α = 0.5, and $K$ goes to a thousand.
# What becomes of the meta-gradient?
#
# <details><summary>A · It settles, as in the network above.</summary>
# It settled there because most directions were flat. Here none is: each factor 1 − αλ lies between −0.5 and 0.5, and a thousand
# of them leave nothing.
# </details>
# <details><summary>B · It goes to 0, and that is right.</summary>
# Right. From every start the steps arrive at the same minimum, so no start is better than another. A gradient that says so is
# not broken.
# </details>
# <details><summary>C · It explodes, because errors add up over a thousand steps.</summary>
# It explodes where |1 − αλ| exceeds 1. Here it is at most 0.5.
# </details>
#
# **2.** A colleague truncates to the last five of forty steps. She compares single tasks with the full gradient: the median
# cosine is 0.9. Her training goes nowhere. What would you look at first?
#
# <details><summary>A · The mean over the batch: a few tasks with very long signals may decide it.</summary>
# Right. The median does not see them, and the sum does. Compare the gradients of whole batches, and look at the longest v.
# </details>
# <details><summary>B · Whether the second order is on at all.</summary>
# Without it the truncated gradient would be the first-order one, and above that had a median cosine of about 0.5.
# So 0.9 speaks against it.
# </details>
# <details><summary>C · Nothing: with 0.9 the direction is nearly right, so it must be β.</summary>
# It is nearly right for a typical task. The outer loop never follows a typical task; it follows the mean.
# </details>
#
# **3.** Two people learn α together with θ, from α = 0.001 and from 0.03. After 4,000 iterations both have about 0.007. "So
# 0.007 is the right rate for sine waves."
#
# <details><summary>A · Yes: two independent starts agree.</summary>
# They agree because both trained for as long. After 2,000 iterations they agreed on a larger number, and after 6,000 they would
# on a smaller one.
# </details>
# <details><summary>B · It is right for this θ, this K and this moment in training.</summary>
# Right. The curvature at θ grows, and α gives way. What changes far less is αλmax. Another seed, or five inner steps, gives a
# different α.
# </details>
# <details><summary>C · No: a rate cannot be learned by gradient descent, since α must be positive.</summary>
# It can, as you saw. To keep it positive one learns its logarithm (exercise 06.6) or cuts it off above 0.
# </details>

# %% [markdown]
# ## Summary
#
# 1. The walk back: $v_K = \nabla L_{\text{Q}}(\varphi_K)$, $\;v_k = v_{k+1} - \alpha H_k v_{k+1}$, and $v_0$ is the
#    meta-gradient; about $3K + 1$ gradients, or $4K + 1$ if the slopes are computed again on the way back.
# 2. In a bowl, along an eigenvector, the signal has the factor $(1 - \alpha\lambda)^K$: it vanishes for $0 < \alpha\lambda < 2$, passes
#    for $\lambda = 0$, explodes beyond 2 and for $\lambda < 0$. In networks with flat directions it settles.
# 3. Truncation: $v_{K-n}$ in place of $v_0$. Good if the signal has settled after $n$ steps, in length *and* direction, in *every* task of the
#    batch; useless if the factors left out make it many times longer, as steps far beyond $\alpha\lambda = 2$ do.
# 4. The gradient of the rate: $dL_{\text{Q}}/d\alpha = -\sum_k v_{k+1}\cdot g_k$. A learned α belongs to its θ (more
#    curvature wants a smaller α) and to its horizon $K$.
# 5. Segments of $s$ steps: $K/s + s - 1$ sets held, least at $s = \sqrt K$; $K - K/s$ steps are taken twice.

# %% [markdown]
# ## Further reading
#
# - Maclaurin, Duvenaud & Adams (2015), *Gradient-based hyperparameter optimization through reversible learning*, arXiv
#   1502.03492: rates of every step and layer learned by walking back through a whole training, run in reverse to save memory.
# - Wu, Ren, Liao & Grosse (2018), *Understanding short-horizon bias in stochastic meta-optimization*, arXiv 1803.02021: the
#   noisy quadratic, and how much too small learned step sizes come out in networks.
# - Shaban, Cheng, Hatch & Boots (2019), *Truncated back-propagation for bilevel optimization*, arXiv 1810.10667: conditions
#   under which a truncated gradient still converges. Compare them with the two α above.
# - Metz and others (2019), *Understanding and correcting pathologies in the training of learned optimizers*, arXiv 1810.10180:
#   rough surfaces, biased truncation, and a remedy that smooths the surface.
# - Chen, Xu, Zhang & Guestrin (2016), *Training deep nets with sublinear memory cost*, arXiv 1604.06174: checkpoints and $\sqrt n$.
#
# **Now you:** the [exercises of this chapter](../exercises/06_many_inner_steps.ipynb): formula, rates, truncation, segments,
# horizon, and a rate that learns itself. **Next:** [07 · MAML in NumPy](07_maml_in_numpy.ipynb).
