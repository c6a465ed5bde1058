# %% [markdown]
# # 11 · The MAML family
#
# *What can be left out?*
#
# **You will be able to**
#
# - say of each relative of MAML what it leaves out or adds, and write its meta-gradient in a few lines;
# - derive which terms first-order MAML and Reptile keep, check it to three digits, and say where the series ends;
# - follow a long run of first-order MAML, and say how it ends and why;
# - compare methods by what they compute, not by whose program is faster;
# - read a table of published scores and say for which tasks "as good" was measured.
#
# **Needs** chapters [04](04_gradient_of_a_step.ipynb) (first order), [05](05_hessians.ipynb) (Hessian-vector products),
# [06](06_many_inner_steps.ipynb) (the walk back) and [08](08_maml_in_pytorch.ipynb) (`torch.func`). **Takes** about 75 minutes.
# **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# First-order MAML (chapter 04) drops the factors $I - \alpha H$ and saves almost two thirds of the work. Train it on sine waves with
# **five** inner steps, 10,000 iterations, next to MAML with the same settings. How does it end?
#
# - (a) As good. It follows another arrow, but the arrows are close.
# - (b) Worse, but every run gets to its end.
# - (c) Worse, and many runs break on the way: a wave appears on which the five steps explode.
# - (d) Not at all. The wrong arrow leads nowhere from the beginning.
#
# <details><summary>Answer</summary>
#
# (c). Five of ten runs diverge, between iterations 4,219 and 8,759, where none of ten runs of MAML does. The runs that last to the end have
# met single batches with losses from 13 to above ten thousand, and finish with about twice MAML's loss. With *one* inner step none of ten
# runs breaks, and with an α of its own first order is close behind MAML for half the work. Why that is so is the story of this chapter.
# </details>

# %%
import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, vjp, vmap

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.figures import curvature_along_training, frontier, show_source, taylor_check
from maml_edu.figures import where_each_pulls, who_is_as_good
from maml_edu.pytorch.imaml import conjugate_gradient
from maml_edu.pytorch.mamlpp import multi_step_weights
from maml_edu.tasks import Sinusoids, TaskBatch

# %% [markdown]
# ## What each member leaves out
#
# MAML does three things: it **moves** from θ to φ, it takes a **loss** at φ, and it finds out how this loss depends on θ, the **way
# back**. Each relative answers one of the three in another way:
#
# | | what moves in the inner loop | which loss counts | the way back from φ to θ |
# | --- | --- | --- | --- |
# | MAML | all of θ | query loss at $\varphi_K$ | through all steps |
# | FOMAML | all | the same | none: θ stands for φ |
# | Reptile | all | none | none: the displacement itself |
# | ANIL | the last layer, the **head** | as MAML | through all steps |
# | BOIL | all but the head, the **body** | as MAML | through all steps |
# | Meta-SGD | all, with a learned rate for each number | as MAML | through the step, and to the rates |
# | MAML++ | all, with a learned rate for each step | query losses after *every* step at first | through all steps, and to the rates |
# | implicit MAML | all, with a spring that pulls back to θ | as MAML | through the *equation* of the resting point |
#
# We shall write down each meta-gradient with plain pieces, and compare it with the library's own class. Eight waves, three inner
# steps, float64, so that rounding is out of the way. (The seed is 11.) `mt.adapt` is the inner loop of chapter 08.

# %%
ALPHA, STEPS = 0.003, 3
batch = Sinusoids(shots=10).sample(np.random.default_rng(11), tasks=8)
torch.manual_seed(11)
model = mt.MLP(1, 40, 40, 1).double()
theta = {name: parameter.detach() for name, parameter in model.named_parameters()}


def loss(params, x, y):
    return F.mse_loss(functional_call(model, params, (x,)), y)


mamls = mt.MAML(model, inner_lr=ALPHA, inner_steps=STEPS).meta_gradient(batch)[1]


def agree(per_task, learner):
    """Compares the mean of per_task(support x and y, query x and y) with the library, and θ's part with MAML's."""
    each = [per_task(*map(torch.as_tensor, task)) for task in batch]
    ours = {name: sum(grads[name] for grads in each) / len(each) for name in each[0]}
    _, library = learner.meta_gradient(batch)
    gap = max((ours[name] - library[name]).abs().max() for name in ours)
    gap = gap / max(library[name].abs().max() for name in ours)
    mine, full = (torch.cat([g[name].ravel() for name in theta]) for g in (ours, mamls))
    cosine = F.cosine_similarity(mine, full, dim=0)
    print(f"{type(learner).__name__}: as the library {gap < 1e-9}; cosine with MAML {cosine:.3f}")


# %% [markdown]
# **MAML** itself first: the query loss *after* adaptation, as a function of the parameters *before* it, and its gradient.


# %%
def maml(support_x, support_y, query_x, query_y):
    def after(params):
        phi = mt.adapt(loss, params, support_x, support_y, ALPHA, STEPS)
        return loss(phi, query_x, query_y)

    return grad(after)(theta)


agree(maml, mt.MAML(model, inner_lr=ALPHA, inner_steps=STEPS))

# %% [markdown]
# ### FOMAML and Reptile: no way back
#
# First-order MAML takes the gradient where adaptation *ended*, at φ, and applies it to θ. **Reptile** (Nichol et al. 2018) takes no
# outer gradient at all. It moves θ towards φ. Written as a gradient that an optimiser descends, this is $(\theta - \varphi)/\alpha$, and
# since $\varphi = \theta - \alpha\sum_k g_k$, it is simply **the sum of the inner slopes**.


# %%
def fomaml(support_x, support_y, query_x, query_y):
    phi = mt.adapt(loss, theta, support_x, support_y, ALPHA, STEPS)
    return grad(loss)(phi, query_x, query_y)


def reptile(support_x, support_y, query_x, query_y):
    phi = mt.adapt(loss, theta, support_x, support_y, ALPHA, STEPS)
    return {name: (theta[name] - phi[name]) / ALPHA for name in theta}


agree(fomaml, mt.FOMAML(model, inner_lr=ALPHA, inner_steps=STEPS))
agree(reptile, mt.Reptile(model, inner_lr=ALPHA, inner_steps=STEPS))

# %%
show_source(mt.Reptile)

# %% [markdown]
# (A `TaskGradient` is a learner that says what one task's gradient is; the library takes the mean.)
#
# Look at the cosines, here and below. At this untrained θ first order points almost where MAML does (0.987), and Reptile elsewhere (0.21).
#
# With one inner step Reptile is $g_0$, the slope of the support loss at θ: ordinary training on all tasks at once, pretraining.
# Everything that makes it a meta-learner comes with the second step. And note what it never sees: the query set. (Its authors had
# none in training; each inner step took a new mini-batch of the task. We come back to this.)
#
# ### ANIL and BOIL: less moves
#
# **ANIL**, *almost no inner loop* (Raghu et al. 2020), lets only the head move in the inner loop. The meta-gradient still is with
# respect to **all** of θ: the body is trained, but by the outer loop alone. **BOIL**, *body only update in inner loop* (Oh et al.
# 2021), is its opposite. One word of `adapt` makes the difference.


# %%
def moving(names):
    def per_task(support_x, support_y, query_x, query_y):
        def after(params):
            phi = mt.adapt(loss, params, support_x, support_y, ALPHA, STEPS, adapting=names)
            return loss(phi, query_x, query_y)

        return grad(after)(theta)

    return per_task


head = ["4.weight", "4.bias"]  # the last layer of the network
body = [name for name in theta if name not in head]
agree(moving(head), mt.ANIL(model, inner_lr=ALPHA, inner_steps=STEPS))
agree(moving(body), mt.BOIL(model, inner_lr=ALPHA, inner_steps=STEPS))

# %% [markdown]
# ### Meta-SGD: rates for every number
#
# **Meta-SGD** (Li et al. 2017) takes one step, with a rate for each of the 1,761 numbers, and learns the rates together with θ. From
# $\varphi = \theta - \alpha\circ g$, where $\circ$ multiplies number by number, follows
#
# $$\frac{\partial L_{\text{Q}}(\varphi)}{\partial\alpha} = -\,g\circ\nabla L_{\text{Q}}(\varphi),$$
#
# chapter 06's gradient of a rate, without the sum: support slope and query slope agree, and the rate grows. A rate may become
# negative. Then it is no longer gradient descent along that number.


# %%
def meta_sgd(support_x, support_y, query_x, query_y):
    def after(params, rates):
        slope = grad(loss)(params, support_x, support_y)
        phi = {name: params[name] - rates[name] * slope[name] for name in params}
        return loss(phi, query_x, query_y)

    slope = grad(loss)(theta, support_x, support_y)
    phi = {name: theta[name] - ALPHA * slope[name] for name in theta}
    query_slope = grad(loss)(phi, query_x, query_y)
    of_rates = {f"inner_lr.{name}": -slope[name] * query_slope[name] for name in theta}
    rates = {name: torch.full_like(theta[name], ALPHA) for name in theta}
    return grad(after)(theta, rates) | of_rates


agree(meta_sgd, mt.MetaSGD(model, inner_lr=ALPHA))

# %% [markdown]
# ### MAML++: every step counts, at first
#
# **MAML++** (Antoniou et al. 2019) is a set of repairs for training with several inner steps. The largest is the
# **multi-step loss**: the query loss is taken after every inner step, $\sum_k w_k L_{\text{Q}}(\varphi_k)$, with equal weights at first. So
# each step gets a signal of its own, one that has not come the whole way back (chapter 06). The weights then move to the last step:

# %%
for iteration in (0, 250, 500, 750, 999, 1000):
    weights = multi_step_weights(iteration, until=1000, inner_steps=5)
    print(f"iteration {iteration:4d}:", weights and [round(w, 3) for w in weights])

# %% [markdown]
# The first weight belongs to $\varphi_0 = \theta$ and is 0. `None` stands for *the last alone*, from there on the plain query loss. With
# equal weights and three steps:


# %%
def multi_step(support_x, support_y, query_x, query_y):
    def weighted(params):
        total = 0
        for weight in multi_step_weights(0, 1000, STEPS)[1:]:
            params = mt.adapt(loss, params, support_x, support_y, ALPHA, 1)
            total = total + weight * loss(params, query_x, query_y)
        return total

    return grad(weighted)(theta)


plus = mt.MAMLpp(model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS)
plus.before_iteration(0, 10_000)
agree(multi_step, plus)

# %% [markdown]
# MAML++ also learns a rate for each layer and step, may begin with first order, gives each inner step batch norms of its own (chapter
# [10](10_few_shot_images.ipynb)), and lowers the outer rate along a cosine.
#
# The rates need care. Adam moves every number that it trains by about β = 0.001 per iteration, however large the number is. The published
# start for images is 0.1, so one move is a hundredth of it. On our waves a rate must start at 0.01, and ten moves would double it. So the
# library gives rates that start low an outer rate in proportion to their start.
#
# ### Implicit MAML: forget the way
#
# The walk back needs every $\varphi_k$. **Implicit MAML** (Rajeswaran et al. 2019) asks a question that has no way in it. Let adaptation run
# until it *rests*, on the support loss with a spring that pulls back to θ:
#
# $$\varphi = \arg\min_{\varphi'}\; L_{\text{S}}(\varphi') + \tfrac\lambda2\,\lVert\varphi' - \theta\rVert^2 .$$
#
# (This λ is the strength of the spring. A curvature is called $h$ in this section.) At rest the slope vanishes:
# $\nabla L_{\text{S}}(\varphi) + \lambda(\varphi - \theta) = 0$. Move θ a little, and φ must move so that it stays zero. Differentiate:
# $(H + \lambda I)\,d\varphi = \lambda\,d\theta$, with $H$ the Hessian of the support loss **at φ**. So
#
# $$\frac{d\varphi}{d\theta} = \Bigl(I + \tfrac1\lambda H\Bigr)^{-1}, \qquad \text{meta-gradient} = \Bigl(I + \tfrac1\lambda H\Bigr)^{-1}\nabla L_{\text{Q}}(\varphi).$$
#
# How we got to φ does not matter, and nothing on the way has to be kept. An inverse of a matrix that nobody forms? We need a $v$ such that
# $(I + H/\lambda)v = \nabla L_{\text{Q}}(\varphi)$, and **conjugate gradients** (CG) find it from products with $H$ alone, one for each CG step.


# %%
def implicit(support_x, support_y, query_x, query_y, strength=2.0):
    def with_spring(params, x, y):
        away = sum(((params[name] - theta[name]) ** 2).sum() for name in theta)
        return loss(params, x, y) + strength / 2 * away

    phi = mt.adapt(with_spring, theta, support_x, support_y, ALPHA, 16)
    _, hessian = vjp(lambda params: grad(loss)(params, support_x, support_y), phi)

    def one_plus(v):
        (product,) = hessian(v)
        return {name: v[name] + product[name] / strength for name in v}

    return conjugate_gradient(one_plus, grad(loss)(phi, query_x, query_y), steps=5)[0]


agree(implicit, mt.IMAML(model, inner_lr=ALPHA, inner_steps=16, strength=2.0, cg_steps=5))

# %%
show_source(conjugate_gradient)

# %% [markdown]
# It agrees with the library. Is it *right*? Only if φ rests, if CG has finished, and if $I + H/\lambda$ is positive definite.
# In a bowl all three can be had. Eight directions, curvatures between 0 and 100, two of them flat, λ = 2:

# %%
rng = np.random.default_rng(5)
h = np.array([0.0, 0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
axes = np.linalg.qr(rng.normal(size=(8, 8)))[0]
H, (start, support_min, query_min) = axes * h @ axes.T, rng.normal(size=(3, 8))
LAM = 2.0
rest = np.linalg.solve(H + LAM * np.eye(8), H @ support_min + LAM * start)
exact = np.linalg.solve(np.eye(8) + H / LAM, rest - query_min)  # query loss ½|φ − query_min|²

phi, distance = start, []
for _ in range(1001):
    distance.append(np.linalg.norm(phi - rest) / np.linalg.norm(start - rest))
    phi = phi - 0.015 * (H @ (phi - support_min) + LAM * (phi - start))
print("inner steps:", {k: f"{distance[k]:.0e}" for k in (1, 16, 100, 1000)}, "of the way left")
for steps in (0, 1, 3, 5, 6, 7):
    product = lambda v: {"p": v["p"] + torch.as_tensor(H) @ v["p"] / LAM}
    found, _ = conjugate_gradient(product, {"p": torch.as_tensor(rest - query_min)}, steps)
    gap = np.linalg.norm(found["p"].numpy() - exact) / np.linalg.norm(exact)
    print(f"CG steps {steps}: relative error {gap:.0e}")

# %% [markdown]
# CG is done, up to rounding, after six steps, one for each *different* curvature that is not zero. (It starts at the right-hand side itself,
# where what is left to correct is $-Hv/\lambda$, and that has no part in the flat directions.) Gradient descent takes far longer to come to
# rest: after the library's default of 16 steps, 6 % of the way is left. Chapter 05 counted about two hundred curvatures that are not zero in our
# little network, nearly half of them negative. Where one is below −λ, the spring is too weak, φ is no minimum, and CG stops with what it has.
#
# Compare the factors along a direction of curvature $h > 0$: MAML has $(1-\alpha h)^K$, implicit MAML $\lambda/(\lambda + h)$. Both let the flat
# directions pass. But MAML's changes its sign with every step once $\alpha h > 1$, and grows beyond 2. The second lies **between 0 and 1, whatever $h$
# is**. (The descent to φ still is descent: it needs $\alpha(h + \lambda) < 2$.) With λ → ∞ the spring is stiff, φ
# stays at θ, the factor is 1: pretraining on the query sets. With λ → 0 every task runs to its own minimum, and only directions
# in which the task is flat still depend on θ.
#
# ## The bill
#
# What does one meta-gradient cost, for one task? Count in **gradient equivalents**: a gradient is 1, a Hessian-vector product is 2 (chapter 05),
# and what was computed on the way forward is kept.
#
# | method | equivalents | with K = 5 | what has to be kept |
# | --- | --- | --- | --- |
# | FOMAML | $K + 1$ | 6 | one φ |
# | Reptile | $K$ | 5 | one φ |
# | MAML, BOIL, Meta-SGD | $3K + 1$ | 16 | $K$ φ |
# | MAML++ | $3K + 1$, and up to $K - 1$ more while all losses count | 16 to 20 | $K$ φ |
# | ANIL | about 2: the body forward and back once, on both sets; the head is small | 2 | $K$ heads |
# | implicit MAML | $K + 1 + 2(C + 1)$ with $C$ CG steps; one product is for where CG starts | 18, for $C = 5$ | one φ, a few vectors |
#
# (Implicit MAML rarely gets by with 5 inner steps: with the library's 16 it is 29.) So first order saves about two thirds for long inner loops, and more memory than work. Only ANIL comes near an order
# of magnitude.

# %% [markdown]
# ## Which terms each keeps
#
# Nichol et al. (2018) explain why methods that differ so much in code differ so little in what they do, at **small** α. Take one inner
# step, and write $g_{\text{S}}, g_{\text{Q}}, H_{\text{S}}, H_{\text{Q}}$ for slopes and Hessians of both losses, all **at θ**. After the step
#
# $$\nabla L_{\text{Q}}(\varphi) = g_{\text{Q}} - \alpha H_{\text{Q}}\,g_{\text{S}} + O(\alpha^2)\qquad\text{(FOMAML)},$$
#
# and multiplied by $I - \alpha H_{\text{S}}$
#
# $$g_{\text{Q}} - \alpha H_{\text{Q}}\,g_{\text{S}} - \alpha H_{\text{S}}\,g_{\text{Q}} + O(\alpha^2) = g_{\text{Q}} - \alpha\nabla(g_{\text{S}}\cdot g_{\text{Q}}) + O(\alpha^2)\qquad\text{(MAML)}.$$
#
# For Reptile take two steps, the first on the support set, the second on the query set, as on two mini-batches. The sum of the slopes is
#
# $$g_{\text{S}} + g_{\text{Q}} - \alpha H_{\text{Q}}\,g_{\text{S}} + O(\alpha^2)\qquad\text{(Reptile)}.$$
#
# Support and query points are drawn alike. So on average over tasks and draws the two sets may change places: $g_{\text{S}}$ and $g_{\text{Q}}$ have the
# same mean $G$, and $H_{\text{Q}}g_{\text{S}}$ and $H_{\text{S}}g_{\text{Q}}$ have the same mean $J = \frac12\nabla\,\mathbb E[g_{\text{S}}\cdot g_{\text{Q}}]$. On average, then,
#
# | | average slope $G$ | agreement $J$ |
# | --- | --- | --- |
# | pretraining | 1 | 0 |
# | FOMAML | 1 | −α |
# | MAML | 1 | −2α |
# | Reptile, two steps | 2 | −α |
#
# An optimiser subtracts $-\alpha J$, so θ moves along $+J$, uphill on $g_{\text{S}}\cdot g_{\text{Q}}$, the **agreement** of the slopes of two sets of
# points from the same task: where they agree, a step that helps on one helps on the other. (Within a task the mean of $g_{\text{S}}\cdot g_{\text{Q}}$
# is the squared length of the task's mean slope. So it rises when slopes point the same way, and also when they just get longer.) All three do
# it. **First order leaves out half of the term, not all of it.** It costs no second derivative: the gradient at φ already contains $H_{\text{Q}}g_{\text{S}}$.
#
# Now check. To have the average exact, we take ten waves, and each of them twice, the second time with its two sets exchanged.

# %%
rng = np.random.default_rng(3)
he_start, waves = ref.mlp_init(rng), Sinusoids(shots=10).sample(rng, tasks=10)
support, query = (waves.support_x, waves.support_y), (waves.query_x, waves.query_y)
ordered = [*support, *query], [*query, *support]
both = TaskBatch(*(np.concatenate(pair) for pair in zip(*ordered, strict=True)))


def flat(params):
    return np.concatenate([np.ravel(part) for part in params.values()])


def mean_of(per_task):
    return np.mean([flat(per_task(*task)) for task in both], axis=0)


def slope(params, x, y):
    return ref.grad(ref.mse)(params, x, y)


def agreement(support_x, support_y, query_x, query_y):
    query_loss = lambda params: ref.mse(params, query_x, query_y)
    return ref.hvp(query_loss, he_start, slope(he_start, support_x, support_y))


G, J = mean_of(lambda x, y, *_: slope(he_start, x, y)), mean_of(agreement)


# %%
def two_steps(alpha):
    """Reptile on two mini-batches: the sum of the slopes."""

    def per_task(support_x, support_y, query_x, query_y):
        first = slope(he_start, support_x, support_y)
        phi = {name: he_start[name] - alpha * first[name] for name in he_start}
        second = slope(phi, query_x, query_y)
        return {name: first[name] + second[name] for name in first}

    return mean_of(per_task)


def meta(alpha, first_order):
    return flat(ref.meta_gradient(ref.mse, he_start, both, alpha, 1, first_order)[1])


# %%
alphas = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 1e-2]
rests = {"MAML": [], "FOMAML": [], "Reptile": []}
print("the factor in front of −αJ      MAML   FOMAML  Reptile")
for alpha in alphas:
    updates = (meta(alpha, False), 1, 2), (meta(alpha, True), 1, 1), (two_steps(alpha), 2, 1)
    factors = [(times * G - update) @ J / (alpha * J @ J) for update, times, _ in updates]
    for name, (update, times, factor) in zip(rests, updates, strict=True):
        rest = update - times * G + factor * alpha * J
        rests[name].append(np.linalg.norm(rest) / np.linalg.norm(factor * alpha * J))
    print(f"α = {alpha:<8.0e}                 ", *(f"{value:8.3f}" for value in factors))


# %%
def steepest(product, v, rounds=20):
    """The curvature of largest size, by power iteration (chapter 05); product(v) is the Hessian times v."""
    for _ in range(rounds):
        length = sum((part**2).sum() for part in v.values()) ** 0.5
        v = {name: part / length for name, part in v.items()}
        hv = product(v)
        curvature = sum((v[name] * hv[name]).sum() for name in v)
        v = hv
    return curvature


def curvature_of(x, y):
    support_loss = lambda params: ref.mse(params, x, y)
    return steepest(lambda v: ref.hvp(support_loss, he_start, v), he_start)


top = max(curvature_of(x, y) for x, y, _, _ in both)
print(f"λmax over these waves: {top:.0f}, so αλmax = 1 at α = {1 / top:.1e}")
taylor_check(alphas, rests, curvature=top)

# %% [markdown]
# At small α the factors are 2, 1 and 1 to three digits, as derived. The picture shows what is left over, divided by the agreement term. It grows
# like α, a slope of 1 on these axes, and the series ends where it reaches 1: there the rest is as large as the last term that was kept.
# MAML's factor of 2 is the first to break down: 1.79 where $\alpha\lambda_{\max}$ is 0.4, and 0.27 where it is 4. First order and Reptile hold on
# longer, since nothing in them is multiplied by $I - \alpha H_{\text{S}}$. (Their columns are one column: two steps of Reptile are $g_{\text{S}}$ plus
# FOMAML's gradient, exactly. In the picture FOMAML lies under Reptile.) This network is He-initialised and steep: for its
# steepest wave $\alpha\lambda_{\max} = 1$ lies at an α forty times smaller than the 0.01 we train with, and MAML's series ends at 0.0012. At larger α a
# kink of a ReLU lies between θ and φ, too, and each is a jump that no Hessian knows of: in trained networks the script sees it from
# $\alpha = 10^{-6}$ on, and with tanh not at all. **The series explains why the methods are relatives. It does not describe training at
# $\alpha\lambda_{\max}$ near 1**, and that is where, as chapters 04 and 05 found, trained networks live.
#
# One line about Reptile in practice. Two steps on the *same* points give $2g_{\text{S}} - \alpha H_{\text{S}}g_{\text{S}}$, and
# $H_{\text{S}}g_{\text{S}} = \frac12\nabla\lVert g_{\text{S}}\rVert^2$. Reptile raises this: part of it is agreement, and the rest is that
# slopes become longer on the very points from which they were taken. The derivation above wants steps on different points.

# %% [markdown]
# ## The experiment nobody prints
#
# Now train. Ten points, five inner steps, α = 0.01, Adam with β = 0.001, seed 0: MAML and first-order MAML, from the same start, on the same
# waves. Every 500 iterations we look at both, on 32 waves of their own: at the median of $\alpha\lambda_{\max}$ of the support loss at θ,
# and at the cosine of the first-order gradient and the full one, both at the run's own θ. Remember the two limits: beyond $\alpha\lambda = 1$ a
# direction is reversed, beyond 2 the inner descent itself diverges along it.

# %%
ours = {"inner_lr": 0.01, "inner_steps": 5}
held = Sinusoids(10).sample(np.random.default_rng(7), 32)
outer = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu", "progress": False}


def products(params, batch):
    """αλmax of each wave's support loss: (tasks,)."""

    def one(x, y):
        _, hessian = vjp(lambda params: grad(loss)(params, x, y), params)
        return steepest(lambda v: hessian(v)[0], params, rounds=10)

    support = torch.as_tensor(batch.support_x), torch.as_tensor(batch.support_y)
    return 0.01 * vmap(one)(*support).numpy()


# %%
def look(learner):
    """(median of αλmax, cosine of both meta-gradients) on the held-out waves."""
    gradients = (
        kind(learner.model, **ours).meta_gradient(held)[1] for kind in (mt.FOMAML, mt.MAML)
    )
    first, full = (torch.cat([part.ravel() for part in g.values()]) for g in gradients)
    cosine = float(F.cosine_similarity(first, full, dim=0))
    return np.median(products(doubled(learner), held)), cosine


def doubled(learner):
    return {name: part.detach().double() for name, part in learner.model.named_parameters()}


# %%
def watched(learner, iterations, every=500, seed=0):
    """(run, the learner's copy at the last look): trains, and looks every so many iterations."""
    rows, copies, stopped = [], [copy.deepcopy(learner)], None

    def watch(iteration, history, learner):
        rows.append((iteration, *look(learner)))
        copies[0] = copy.deepcopy(learner)

    try:
        callbacks = [(every, watch)]
        mt.meta_train(learner, Sinusoids(10), iterations, seed=seed, callbacks=callbacks, **outer)
    except mt.TrainingDiverged as error:
        stopped = error.iteration
        print(error)
    iterations, product, cosine = np.transpose(rows)
    run = {"iterations": iterations, "product": product, "cosine": cosine, "diverged": stopped}
    return run, copies[0]


runs, learners, at_last_look = {}, {}, {}
for name, kind in (("MAML", mt.MAML), ("FOMAML", mt.FOMAML)):
    torch.manual_seed(0)
    learners[name] = kind(mt.MLP(1, 40, 40, 1), **ours)
    runs[name], at_last_look[name] = watched(learners[name], 5_000)

# %%
for name, run in runs.items():
    print(f"{name}: iteration", *(f"{n:6.0f}" for n in run["iterations"]))
    for row in ("product", "cosine"):
        print(f"{row:>16}", *(f"{value:6.2f}" for value in run[row]))
curvature_along_training(runs)

# %% [markdown]
# MAML stays below 1.5. First-order MAML climbs towards 2, the edge (over ten runs, below, it gets to about 2), and then training stops. The cosine
# is measured at each run's own θ: where first order has led, the two gradients agree less than where MAML has. Read the message:
# the meta-loss jumps from 0.7 to a billion or more **because of one task out of 25**. The losses had not said so: the last 200 have a median of 0.37. A
# batch of 4 to 7 had been there before, early on, and training went on. (If your run did not stop, the picture shows the climb all the same.)
#
# What has happened? The library draws its waves one batch after the other from one generator. So we can draw the batch that ended the run once
# more, and follow the wave, step by step, from the last θ that was usable. (If your run did not stop, the cell takes the last batch.)

# %%
rng = np.random.default_rng(0)
for _ in range(runs["FOMAML"]["diverged"] or 5_000):
    last = Sinusoids(10).sample(rng, tasks=25)
end = doubled(learners["FOMAML"])


def query_losses(x, y, query_x, query_y):
    """The query loss after 0, 1, … 5 steps from the last usable θ."""
    phis = [end]
    for _ in range(5):
        phis.append(mt.adapt(loss, phis[-1], x, y, 0.01, 1))
    return [float(loss(phi, query_x, query_y)) for phi in phis]


at_end, followed = products(end, last), [query_losses(*map(torch.as_tensor, task)) for task in last]
order = np.argsort(np.array(followed)[:, 5])
for name, task in (("a typical wave", order[12]), ("the worst", order[-1])):
    print(f"{name} (number {task}): αλmax at θ {at_end[task]:.2f}, query loss after 0 … 5 steps:")
    print("   ", *(f"{value:10.3g}" for value in followed[task]))

# %% [markdown]
# After the first, each step leads the worst wave further away from its data, while a typical wave of the same batch, at the same θ, goes down.
# First order's gradient is taken where this wave has ended, so it is as absurd as the loss, and the mean over 25 tasks is that one gradient.
#
# How many waves are beyond the edge, at the last look?

# %%
many = Sinusoids(10).sample(np.random.default_rng(8), 200)
for name, learner in at_last_look.items():
    found = products(doubled(learner), many)
    errors = mt.evaluate(learner, Sinusoids(10), 10_000, 5).values[:, 5]
    print(
        f"{name}: αλmax > 2 on {np.mean(found > 2):.0%} of 200 waves, the largest {max(found):.1f}"
    )
    print(
        f"   10,000 waves, error after 5 steps: median {np.median(errors):.2f}, "
        f"above 10 on {np.sum(errors > 10)}, the worst {max(errors):.0f}"
    )

# %% [markdown]
# A good part of all waves lies beyond the edge, so that the five steps of first-order MAML go up along their steepest direction. Mostly no harm is
# done: five steps are few, and the curvature falls as φ moves away. So the median is fine. (First order's last look is at iteration 4,000, MAML's
# at 5,000; over ten runs, both at 4,000, the medians are 0.13 and 0.09.) But the tail is long, and at 25 waves per iteration 100,000 have been drawn by
# iteration 4,000. **One wave is enough.**
#
# Is that bad luck of seed 0? `benchmarks/reproduce/family.py --part divergence` runs ten seeds, 10,000 iterations each. A run has *diverged*
# if the meta-loss or its gradient is NaN or a million times the first one, or if the last 250 meta-losses have a median above the first:
#
# | | diverged | at iteration | αλmax at the end, median over runs (range) | worst batch of a run, after the first 250 | meta-loss of the runs that end |
# | --- | --- | --- | --- | --- | --- |
# | first order, K = 5 | **5 of 10** (19–81 %) | 4,219, 5,058, 7,146, 7,196, 8,759 | 1.9 (1.8–2.1) | 7 to above 10,000 | 0.19 to 0.25 |
# | MAML, K = 5 | **0 of 10** (0–31 %) | – | 1.5 (1.3–1.6) | 2.4 to 5.9 | 0.09 to 0.15 |
# | first order, K = 1 | 0 of 10 (0–31 %) | – | 1.7 (1.6–1.9) | 4.2 to 5.3 | 0.52 to 0.73 |
# | MAML, K = 1 | 0 of 10 (0–31 %) | – | 1.9 (1.7–2.3) | 3.9 to 4.8 | 0.44 to 0.49 |
#
# (In brackets the exact 95 % interval of Clopper and Pearson; for five of ten against none of ten Fisher's exact test gives $p = 0.03$, two-sided. Which
# seeds diverge depends on the last bit of a sum, and so on the machine; do not expect it to be yours.) The first meta-loss is between 3 and 5,
# so the runs that "survive" have met batches up to tens of thousands of times as bad as no training at all. With five steps the
# median of $\alpha\lambda_{\max}$ over the runs is 1.71, 1.84 and 2.06 after 2,000, 4,000 and 5,000 iterations of first
# order, and stays near 2; with MAML it is 1.38, 1.45 and 1.49. Clipping the meta-gradient: we saw no help. With a limit of 10 two of three runs
# diverge, with a limit of 1 all three (at 5,917, 5,651 and 3,954). The gradient was
# never too long before; θ is in a bad place, and a shorter gradient does not make that wave's loss smaller.
#
# Now the two rows with **one** step. There both climb, MAML even higher than first order, and nothing breaks. An explanation (ours,
# not tested further): one step multiplies an error by $|1 - \alpha\lambda|$ once, five multiply it by the fifth power. At $\alpha\lambda = 2.5$ that is 1.5
# against 7.6. So only several steps make the edge dangerous, and only then has MAML much reason to keep away from it.
#
# ### Is it the missing term?
#
# With five steps first-order MAML ends up where the curvature is high. That alone is no proof that the missing term would have prevented it. Here is an
# experiment that comes nearer: take **the same θ** and change the gradient. MAML's θ at the last look goes on with first order, and the
# other way round. (One seed, a fresh Adam, other waves.)

# %%
for source, learner in at_last_look.items():
    for name, kind in (("MAML", mt.MAML), ("FOMAML", mt.FOMAML)):
        before = look(learner)[0]
        run, _ = watched(kind(copy.deepcopy(learner.model), **ours), 800, every=200, seed=99)
        after = " ".join(f"{value:5.2f}" for value in run["product"])
        print(f"{source}'s θ goes on with {name:6}: αλmax {before:.2f} → {after}")

# %% [markdown]
# MAML's θ, left to first order, goes over the edge within a few hundred iterations. First order's θ, given to MAML, comes down at first. The script does it with three seeds, the same Adam, and to the end, at 10,000 iterations. First order's θ of iteration 3,000 or 4,000, given to
# MAML, comes down from 1.8 to between 1.5 and 1.7 in all six runs, and no later batch is worse than 7.3. MAML's θ of iteration 3,000, given to first order,
# climbs in all three, to 1.9, 2.0 and 3.9 at the highest; one of the three stops at iteration 6,027.
#
# The reason can be guessed from what the two gradients are. MAML's is the gradient of the loss *after* the steps. Where five steps overshoot,
# that loss is high, and going down on it leads away. First order's is the gradient of no such loss: it asks where φ would like to be, and never
# learns that the *steps* have become dangerous.
#
# The script asks the missing term itself. At 48 looks during three first-order runs with $K = 5$ it takes the difference of the two updates, which is what
# first order leaves out, and measures how the mean $\alpha\lambda_{\max}$ changes along it. It **falls at 47 of 48 looks**. (They come from three
# runs and are not independent.) Along the first-order update alone it rises at all six looks of the first 1,000 iterations, and later falls at 25 of
# 42, no better than a coin. Along the full update it falls at 2 of the first 6 and at 41 of the 42 later ones.
# (With derivatives; with steps of a finite length, on which ReLUs switch, the signs are the same in the median, but noisier.) So for these waves,
# this network, this α, and with five steps the sentence holds: *the second-order term points to where the steps are safe*. It is not a theorem. In
# a bowl the curvature is the same everywhere, and no term can change it. And with one step, as the table says, it does not hold.
#
# ## Where does each one pull?
#
# Two parameters and two tasks; the left task is a bent, steep valley. Drag θ. The arrows have one length, since
# only directions can be compared (the true lengths are the numbers next to the names), and each trail shows thirty outer steps.
#
# 1. With α = 0.3 and $K = 3$: which methods rest at the same place? What if α is nearly 0?
# 2. Find a setting in which two methods disagree by more than 90°. Is $K$ odd or even?
# 3. At which $K$ is Reptile the same as pretraining?
# 4. Set α = 0.6 and $K = 3$. One method is driven out of the picture. Which one, and why not MAML? What happens to MAML beyond 0.8?
# 5. Move λ of implicit MAML to both ends. What does it become?

# %%
where_each_pulls()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. None: five methods, five places, from (0.10, −0.03) for MAML to (0.79, −0.21) for pretraining. At α = 0.02 four of them are within 0.05
#    of each other; that is the series above. Implicit MAML has no α in it and stays apart.
# 2. The steeper task has λmax = 2.5 at its minimum, so $1 - \alpha\lambda$ turns negative at α = 0.4. At α = 0.6 and $K = 3$ FOMAML points against
#    pretraining (174°) and 120° away from MAML. With $K = 2$ the largest angle is 32°: $(1 - \alpha\lambda)^2$ is positive again. With an odd $K$ the
#    walk ends on the other side of the valley, and there the slope points the other way.
# 3. At $K = 1$, exactly.
# 4. FOMAML. φ has jumped across the valley, the gradient there says *back*, and that moves θ further out. MAML has the factor twice, once in φ
#    and once in the way back; the square is positive. Beyond 0.8 its factor exceeds 1 in size, and its pull explodes: length 0.23 at
#    α = 0.3, 48 at 0.9.
# 5. λ = 100: pretraining, to 0.1°. λ = 0.01: φ is each task's own minimum wherever θ is, and the pull is gone (length 0.0003).
# </details>
#
# ## Error against work
#
# Which one should you take? Here is a small race: 3,000 iterations, one seed, the same start and α = 0.01 for all. Reptile has five inner steps in
# training, since with one it would be pretraining, and never sees the query set; the others have one. Then the error on 600 new waves, and what an
# outer step costs in gradient equivalents. (A wave has *run away* if its error is above twice
# the largest error before any step, or is NaN.)

# %%
race = {"MAML": (mt.MAML, 4), "FOMAML": (mt.FOMAML, 2), "ANIL": (mt.ANIL, 2)}
race |= {"BOIL": (mt.BOIL, 4), "Reptile": (mt.Reptile, 5), "Meta-SGD": (mt.MetaSGD, 4)}
paid, test = {}, Sinusoids(10, queries=50)
print("after 3,000 iterations    1 step      2 steps      5 steps     10 steps: median (ran away)")
for name, (kind, cost) in race.items():
    torch.manual_seed(0)
    learner = kind(mt.MLP(1, 40, 40, 1), inner_lr=0.01)
    mt.meta_train(learner, Sinusoids(10), 3_000, **outer)
    result = mt.evaluate(learner, test, 600, 10)
    row = (f"{result.median[k]:.3f} ({result.runaways[k]:.0%})" for k in (1, 2, 5, 10))
    print(f"{name:18}", *(f"{cell:>12}" for cell in row))
    paid[name] = (cost, result.median[5])

# %%
rates = torch.cat([rate.detach().ravel() for rate in learner.learned_rates().values()])
print(f"Meta-SGD's rates: largest {rates.max():.2f}, {torch.sum(rates > 0.5)} above 0.5,", end=" ")
print(f"{(rates < 0).double().mean():.0%} of {len(rates):,} negative")
paid[f"Meta-SGD, † {result.runaways[5]:.0%} ran away"] = paid.pop("Meta-SGD")
frontier(paid, ylabel="median error after five steps")

# %% [markdown]
# **Meta-SGD** is far ahead after the one step it was trained for, and best after two. After five steps its median is still no worse than
# first order's (on another machine it was the lowest of all). But by then a quarter of its waves have run away, and after ten steps the median has gone, too. **A median alone would
# not have told**; so it has a † in the picture.
# Its rates were learned for one step: the largest are a hundred times 0.01, and more than a quarter are negative. That is chapter 06's
# lesson, *a rate is right for a horizon*, with 1,761 rates. The others improve when they take more steps than in training.
#
# Note two more things. With one step BOIL is as good as MAML: for this network the head need not move. And ANIL at MAML's α and $K = 1$ is last, which need not
# be ANIL's fault: a head alone may want a longer step, or more of them. **A comparison at one α compares one α.** So the script gives each method
# its own grid, three seeds, 10,000 iterations and 600 new waves. (α was chosen after 3,000 iterations of one more seed, on
# validation waves, by the lowest median after 1, 5 or 10 steps. That is before first order with $K = 5$ diverges, and so it was not warned.)
#
# | median error, three seeds | cost | α | after 1 step | 5 steps | 10 steps |
# | --- | --- | --- | --- | --- | --- |
# | MAML, K = 1 | 4 | 0.03 | 0.28, 0.31, 0.30 | 0.11, 0.093, 0.12 | 0.089, 0.079, 0.093 |
# | FOMAML, K = 1 | 2 | 0.03 | 0.40, 0.37, 0.29 | 0.13, 0.15, 0.11 † | 0.11, 0.12, 0.094 † |
# | ANIL, K = 1 | 2 | 0.1 | 0.53, 0.50, 0.51 | 0.17, 0.15, 0.18 † | 0.12, 0.11, 0.15 † |
# | BOIL, K = 1 | 4 | 0.01 | 0.27, 0.31, 0.29 | 0.083, 0.12, 0.090 | 0.067, 0.094, 0.073 |
# | Meta-SGD, K = 1 | 4 | 0.01 | **0.13, 0.13, 0.12** | 0.034, 0.033, 0.038 †† | 0.17, 0.060, 0.093 †† |
# | MAML, K = 5 | 16 | 0.01 | 0.35, 0.35, 0.33 | **0.039, 0.033, 0.046** | **0.023, 0.021, 0.030** |
# | ANIL, K = 5 | **2** | 0.1 | 0.67, 0.69, 0.64 | 0.051, 0.090, 0.056 | 0.026, 0.051, 0.029 † |
# | BOIL, K = 5 | 16 | 0.01 | 0.42, 0.38, 0.34 | 0.075, 0.054, 0.070 | 0.057, 0.038, 0.054 |
# | FOMAML, K = 5 | 6 | 0.01 | diverged, 1.17, 1.00 | diverged, 0.089, 0.11 | diverged, 0.050, 0.067 |
# | MAML++, K = 5 ‡ | 16 to 20 | from 0.01 | 0.37, 0.26, 0.44 | **0.015, 0.010, 0.064** | |
# | Reptile, K = 5 | 5 | 0.01 | 0.35, 0.39, 0.34 | 0.097, 0.12, 0.11 | 0.072, 0.093, 0.087 |
#
# († One to three of 600 waves ran away. †† Meta-SGD: 71 to 78 after five steps, 180 to 232 after ten. ‡ With `rates_share=0.01`: its rates train three
# times as fast as by default, and not always safely: one of eleven such runs diverged, of twelve at the default none.) Meta-SGD with $K = 5$ diverged for every α of its
# grid, and so did implicit MAML (10 inner steps, α = 0.01) within 3,000 iterations for λ = 0.3, 1, 10 and 30; with λ = 3 it had 0.96, where MAML
# with $K = 5$ has 0.17. The means, the grids and seconds are in `docs/results.md`. And least squares on sin x and cos x, the
# oracle of chapter 03, has no error at all. What there is to read:
#
# - MAML with $K = 5$ has the least error after ten steps. After five, MAML++ at nearly the same price has less than half of it in two runs, more in the
#   third. (It has rates for five steps only.)
# - With one inner step and an α of its own, first order is close to MAML for half the work, though a few waves run away.
# - Meta-SGD has MAML's median of $K = 5$ after five steps, for a quarter of the work, and loses one wave of eight.
# - For a small budget a cheap method is ahead: ANIL with $K = 5$ has 0.22 for 2,000 equivalents (1,000 iterations) and 0.15 for 6,000, where
#   MAML with $K = 5$ has 0.35 for 16,000.
# - The bargain is **ANIL with five steps and a ten times longer α**. It costs an eighth of MAML with $K = 5$ and has one to three times its error. Neither
#   change does it alone: with $K = 1$ it is last in the table at its own α, too, and with $K = 5$ at MAML's α its validation error is 0.28, about what it is with
#   $K = 1$. Had we stopped at our race, we would have told you that ANIL is poor.
# - Put a least-squares head on ANIL's body ($K = 5$), and it has 0.025, 0.038, 0.026, what MAML with $K = 5$ has after ten steps. So much is in the body:
#   chapter [12](12_what_did_it_learn.ipynb).
# - First order with $K = 5$ costs 6 where MAML costs 16. The price is two to three times the error, in the two runs of three that reached the end.
#   Reptile, with five steps of its own, is as good as these two for 5, and none of its three runs stopped.
#
# ### The trap: seconds
#
# Why not put seconds on the axis? Because seconds compare **programs**. Before anybody wrote an engine for them, this library took ten
# times as long for an iteration of Reptile as for one of first-order MAML, which computes *more*: one had a compiled path
# (chapter [09](09_fast_maml.ipynb)), the other had not. A table of seconds would have said that Reptile is slow. Count what has to be computed, and put
# seconds into a column for those who want to use this very program.
#
# ## "As good": in which table?
#
# The MAML paper reports that first order does nearly as well. Here are published accuracies on Omniglot, one example per class,
# collected in one table by Rajeswaran et al. (2019). (The MAML row is from Finn et al. 2017, the next two are from Nichol et al. 2018; Reptile
# with transduction, chapter 10; implicit MAML by gradient descent, and Hessian-free. Intervals where we could read them.)

# %%
five = {
    "MAML": (98.7, 0.4),
    "FOMAML": (98.3, 0.5),
    "Reptile": (97.68, 0.04),
    "iMAML, descent": (99.16, None),
    "iMAML, Hessian-free": (99.50, None),
}
twenty = {
    "MAML": (95.8, 0.3),
    "FOMAML": (89.4, 0.5),
    "Reptile": (89.43, 0.14),
    "iMAML, descent": (94.46, 0.42),
    "iMAML, Hessian-free": (96.18, 0.36),
}
# Mini-ImageNet is not shown: its table was not read in the original.
who_is_as_good({"5-way 1-shot": five, "20-way 1-shot": twenty})

# %% [markdown]
# With **five** classes first order is 0.4 points behind, within the intervals. With **twenty** it is 6.4 points behind, and no
# interval comes near that: it makes two and a half times as many mistakes. Whoever read only the left panel learned that second derivatives
# do not matter. But these are two points, and more than the number of classes differs between them. The commands published with MAML's code take
# **one** inner step with α = 0.4 for five classes, and **five** steps with α = 0.1 for twenty. So "twenty ways" is also "five steps", and after
# what you have seen, that may be the larger part of it. Do not read a law into two points.
#
# There is theory, too. Fallah, Mokhtari & Ozdaglar (2020) prove that MAML comes as close as you like to a point where the meta-loss is flat, and that
# first-order MAML need not: there is a level of the gradient below which it cannot be brought. You saw that in chapter 04 as two resting points. If the
# level is low, nobody notices.
#
# So, **when is first order good enough?** We found no number that decides it. With one step no run broke, though $\alpha\lambda_{\max}$ reached 1.9 and the
# cosine fell as low as −0.4. With five steps and α = 0.01 half of them did. With five steps and a smaller α, 0.005 or 0.003, none of three did in either
# case, though $\lambda_{\max}$ grew until $\alpha\lambda_{\max}$ was near 2 again. (A smaller β only slowed the climb.) So watch the worst batch and the share of tasks above
# 2, not the mean; and once, at least, compare with a run of the full gradient.

# %% [markdown]
# ## What you should have seen
#
# - Each member agrees with the library to rounding, in a few lines: FOMAML and Reptile leave out the way back, ANIL and BOIL a part of what moves,
#   Meta-SGD and MAML++ learn rates, implicit MAML replaces the way by an equation.
# - At small α the factors of the agreement term are 2, 1, 1, to three digits; near $\alpha\lambda_{\max} = 1$ MAML's is no longer 2.
# - With five inner steps first order drives $\alpha\lambda_{\max}$ towards 2. Then a single wave of 25 ends the run. MAML stays below 1.5, and from the
#   same θ the choice of the gradient decides where the curvature goes.
# - With one inner step neither method keeps away from the edge, and neither breaks: 0 of 10 each.
# - Meta-SGD is best after one step and after two; after five a quarter of its waves have run away, and its median hides it.
# - 0.4 points behind in five ways (one step), 6.4 in twenty (five steps).

# %% [markdown]
# ## Three questions
#
# **1.** A colleague trains ANIL and freezes the body altogether, "since only the head adapts". What has she got?
#
# <details><summary>A · ANIL, only faster.</summary>
# ANIL's meta-gradient is with respect to all of θ. The body is trained by the outer loop, through the head's steps.
# </details>
# <details><summary>B · A head that is learned on a random body.</summary>
# Right. The body does not move in the inner loop, by definition, and now not in the outer loop either. So nothing trains it.
# </details>
# <details><summary>C · BOIL.</summary>
# BOIL moves the body in the inner loop and leaves the head to the outer one. Here the body never moves.
# </details>
#
# **2.** First-order MAML with five steps has trained for 4,000 iterations. The mean loss falls smoothly. Which number would have warned you?
#
# <details><summary>A · The length of the meta-gradient; clip it.</summary>
# It is ordinary until the iteration at which one wave explodes, and clipped runs diverge, too.
# </details>
# <details><summary>B · αλmax of the support loss at θ, over many tasks.</summary>
# Right, with five steps: it has been climbing since iteration 500, and long before the end it is above 2 for a good part of the tasks. It is a warning and no
# verdict. With one step, or a smaller α, runs with the same numbers reached their end.
# </details>
# <details><summary>C · The median of the query loss.</summary>
# The median is fine, and close to MAML's. What is wrong is in the tail.
# </details>
#
# **3.** A table says: *Reptile 11 s, MAML 3 s per 1,000 iterations*. What follows?
#
# <details><summary>A · Reptile needs more gradients than MAML.</summary>
# Per task it needs K, and MAML 3K + 1.
# </details>
# <details><summary>B · In this program MAML has the faster path. About the methods, nothing.</summary>
# Right. Count gradient equivalents to compare methods; time programs to choose a program.
# </details>
# <details><summary>C · Second derivatives are cheap.</summary>
# A Hessian-vector product costs two gradients in either program. That MAML is quicker here shows that its program was written with more care.
# </details>

# %% [markdown]
# ## Summary
#
# 1. Left out: the way back (FOMAML: $\nabla L_{\text{Q}}(\varphi)$; Reptile: $(\theta - \varphi)/\alpha$), the body's steps (ANIL), the head's steps (BOIL).
#    Added: rates (Meta-SGD: $\partial L_{\text{Q}}/\partial\alpha = -g\circ\nabla L_{\text{Q}}$), losses of all steps (MAML++: $\sum_k w_k L_{\text{Q}}(\varphi_k)$).
# 2. Implicit MAML: $(I + H/\lambda)^{-1}\nabla L_{\text{Q}}(\varphi)$ with $H$ at φ. Exact if φ rests, CG has finished, and $I + H/\lambda$ is positive definite.
# 3. On average and for small α: MAML $G - 2\alpha J$, FOMAML $G - \alpha J$, Reptile $2G - \alpha J$, with $J = \frac12\nabla\,\mathbb E[g_{\text{S}}\cdot g_{\text{Q}}]$.
#    It ends where $\alpha\lambda_{\max}$ comes near 1.
# 4. First order with $K = 5$ climbs to $\alpha\lambda_{\max} = 2$, and five of ten runs diverged; none of ten of MAML did. With five steps the term left out points to where
#    the curvature is lower. With one step no run of either diverged, and first order, at its own α, is close behind for half the work.
# 5. Compare by gradient equivalents: FOMAML $K + 1$, MAML $3K + 1$, Reptile $K$, ANIL about 2, implicit MAML $K + 1 + 2(C + 1)$; each method at its own α.
#    Then ANIL with $K = 5$ is the bargain on our waves, and MAML with $K = 5$ has the least error.

# %% [markdown]
# ## Further reading
#
# - Nichol, Achiam & Schulman (2018), *On first-order meta-learning algorithms*, arXiv 1803.02999: Reptile, and the series above for any number of
#   mini-batches.
# - Rajeswaran, Finn, Kakade & Levine (2019), *Meta-learning with implicit gradients*, arXiv 1909.04630: how the error of φ and of CG passes on to
#   the meta-gradient, and the table with twenty ways.
# - Raghu, Raghu, Bengio & Vinyals (2020), *Rapid learning or feature reuse?*, arXiv 1909.09157: ANIL, and the question of the next chapter.
# - Oh, Yoo, Kim & Yun (2021), *BOIL*, arXiv 2008.08882: the opposite, and its answer to that question.
# - Li, Zhou, Chen & Li (2017), *Meta-SGD*, arXiv 1707.09835: rates, directions and start, all learned.
# - Antoniou, Edwards & Storkey (2019), *How to train your MAML*, arXiv 1810.09502: the list of what goes wrong in training MAML, from people who ran it
#   very often.
# - Fallah, Mokhtari & Ozdaglar (2020), *On the convergence theory of gradient-based model-agnostic meta-learning algorithms*, arXiv 1908.10400: what first
#   order cannot reach, and a variant that gets there without a Hessian.
#
# **Now you:** the [exercises of this chapter](../exercises/11_maml_family.ipynb): one member each. **Next:** [12 · What did it
# learn?](12_what_did_it_learn.ipynb)
