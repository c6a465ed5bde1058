# %% [markdown]
# # 00 · Start here
#
# *What does learning to learn look like?*
#
# Below is the map of the course; what has a link is there. If this is your first visit, read on: this lesson shows in a
# few seconds of training what all the others explain.

# %% [markdown]
# ## The map
#
# | | lesson | its question | exercises |
# | :-: | :- | :- | :-: |
# | **0** | 00 · Start here (this page) | What does learning to learn look like? | |
# | **1** | *Learning* | | |
# | | [01 · Gradient descent](01_gradient_descent.ipynb) | When does following the slope arrive, and when does it blow up? | [01](../exercises/01_gradient_descent.ipynb) |
# | | 02 · Backpropagation | How does a program differentiate itself? | to come |
# | | 03 · Many tasks, few examples | Why does a network trained on everything know nothing? | to come |
# | **2** | *Meta-gradients* | | |
# | | [04 · The gradient of a gradient step](04_gradient_of_a_step.ipynb) | What changes when you differentiate through an update? | [04](../exercises/04_gradient_of_a_step.ipynb) |
# | | 05 · Hessians without Hessians | How can I − αH be applied without ever forming H? | to come |
# | | 06 · Many inner steps | What happens to the signal through many updates? | to come |
# | **3** | *MAML* | | |
# | | [07 · MAML in NumPy](07_maml_in_numpy.ipynb) | Can forty lines learn to learn? | [07](../exercises/07_maml_in_numpy.ipynb) |
# | | [08 · MAML in PyTorch](08_maml_in_pytorch.ipynb) | Same numbers, other machine? | [08](../exercises/08_maml_in_pytorch.ipynb) |
# | | [09 · Fast MAML](09_fast_maml.ipynb) | Where does the time go? | [09](../exercises/09_fast_maml.ipynb) |
# | | [10 · Few-shot images](10_few_shot_images.ipynb) | Five characters never seen before, one example of each: enough? | [10](../exercises/10_few_shot_images.ipynb) |
# | | 11 · The MAML family | What can be left out? | to come |
# | | 12 · What did it learn? | Fast adaptation or good features? | to come |
# | **4** | *Out into the world* | | |
# | | 13 · Robots | Can a body that changes be learned again in seconds? | to come |
# | | 14 · Language | How few examples make a new intent? | to come |
# | | 15 · Other frameworks | Keras and JAX: the same meta-gradient? | to come |
# | | 16 · Your own | What will your tasks be? | to come |

# %% [markdown]
# **You will be able to**
#
# - say what a task, a support set, a query set and an inner step are;
# - tell a network that has learned from one that has learned *to learn*, by what one step does to each;
# - find your way: run a lesson, do an exercise, read what its check says, see your progress.
#
# **Needs** Python and a little NumPy. **Takes** about 25 minutes. **CPU** is enough for the whole course; no GPU, no
# download.
#
# You run a cell with **Shift + Enter**. Start with this one, which checks that everything is in place:

# %%
from maml_edu.doctor import doctor

report = doctor()
problems = [finding for finding in report if finding.ok is False and finding.name != "course"]
for finding in problems:
    print(f"{finding.name}: {finding.found}. {finding.advice}")
print("Mend this, then run me again." if problems else "Everything that you need is in place.")

# %% [markdown]
# (Put `report` into a cell of its own to see all that was looked at: versions, GPU, threads, data.)

# %% [markdown]
# ## Predict
#
# Sine waves $y = A\sin(x - \text{phase})$ of all heights $A$ and phases are shown to two networks of the same size, for the same
# number of training steps. **One** learns in the ordinary way: here is an $x$, say the $y$. The **other** learns to learn:
# here are ten points of one wave; take one step of gradient descent on them; now your error on *other* points of that wave
# counts.
#
# Then a new wave comes, ten points of it are given, and each network may take one gradient step on these. What will each
# of them draw, before and after the step? Commit to a guess (a sketch on paper is best), then open:
#
# <details><summary>Answer</summary>
#
# The ordinary network draws nearly the same low wave for every task: the *average* of all waves, which is the best answer
# to a question that does not say which wave is meant. One step moves it a little. The other looks no better before the
# step, but after **one** step it draws a curve near the new wave. It has not learned the waves; it has learned where to
# start from so that a step finds any of them.
# </details>

# %% [markdown]
# ## A family of tasks

# %%
import numpy as np
import torch

import maml_edu.pytorch as mt
from maml_edu.checks import WrongAnswer, check, progress
from maml_edu.figures import Band, Curve, Scene, draw, fit_a_new_sine, show_source, sine_tasks
from maml_edu.tasks import Sinusoids

# %% [markdown]
# A **task** is one wave. Its height $A$ is drawn between 0.1 and 5, its phase (how far it is shifted) between 0 and π, as in the paper that
# this course is about (Finn and others, 2017). Of each task a learner gets a **support set** to learn from (here ten points:
# "10 shots"), and is judged on a **query set**: other points of the same wave.

# %%
tasks = Sinusoids(shots=10)
batch = tasks.sample(np.random.default_rng(0), tasks=25)
print("support_x", batch.support_x.shape, " 25 tasks, 10 points each, one number a point")
print("query_x  ", batch.query_x.shape, " other points of the same 25 waves")

# %%
sine_tasks(tasks=6, shots=10)

# %% [markdown]
# The dashed line is what you get when you average all waves at each $x$. Keep it in mind: it will come back.

# %% [markdown]
# ## Learning to learn, in front of you
#
# The network has one input, two hidden layers of 40 units, one output. Its parameters are called $\theta$. For each task
#
# 1. **inner step**: $\varphi = \theta - \alpha\,\nabla L_{\text{support}}(\theta)$, one step of gradient descent on the ten points;
# 2. **judge** the adapted parameters: $L_{\text{query}}(\varphi)$.
#
# Then move $\theta$, not $\varphi$, so that the query loss *after* the step becomes smaller, on average over 25 tasks at a time. This
# is **MAML**, and 600 rounds of it take some seconds (the paper takes 70,000):

# %%
torch.manual_seed(0)  # the same network at every run; the tasks have a seed of their own
network = mt.MLP(1, 40, 40, 1)
maml = mt.MAML(network, inner_lr=0.02, inner_steps=1, engine="plain")
history = mt.meta_train(maml, tasks, iterations=600, meta_batch=25, meta_lr=0.01, seed=0)
print(
    f"query loss after a step: at first {history.loss[0]:.1f}, now {history.smoothed(50)[-1]:.1f}"
)

# %% [markdown]
# Three short functions did that: the inner step, the judge, and what moves $\theta$, the mean over the tasks of the gradient of
# that judgement. Chapters 04 to 08 explain them. (`engine="plain"` asks for them as they stand; chapter 09 is about faster ways to
# the same numbers.) A look is free:

# %%
show_source(mt.maml.adaptation)

# %%
show_source(mt.maml.query_loss)

# %%
show_source(mt.maml.mean_of_gradients)

# %% [markdown]
# The ordinary network: the same start, the same tasks in the same order, the same optimiser. One thing differs, the
# number of inner steps. With **no** inner step the query loss is taken at $\theta$ itself (support sets go unused), and that
# is plain training on all tasks at once:

# %%
torch.manual_seed(0)
ordinary = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.02, inner_steps=0, engine="plain")
no_step = mt.meta_train(ordinary, tasks, iterations=600, meta_batch=25, meta_lr=0.01, seed=0)
print(f"loss on all tasks: at first {no_step.loss[0]:.1f}, now {no_step.smoothed(50)[-1]:.1f}")

# %%
rounds = np.arange(1, 601)
draw(
    Scene(
        title="One inner step makes the difference: without it the loss stays near 3",
        alt="Two curves of the training loss over 600 rounds, both from about 4. The ordinary "
        "network's stays near 3; that of MAML falls below 1.",
        xlabel="round of training",
        ylabel="query loss (mean of 50 rounds)",
        xlim=(0, 600),
        ylim=(0, 5),
        curves=[
            Curve(rounds, history.smoothed(50), "maml", "MAML: after one inner step"),
            Curve(rounds, no_step.smoothed(50), "baseline", "ordinary: no inner step"),
        ],
    )
)

# %% [markdown]
# The ordinary network is not lazy. It cannot do better: it is told $x$ and not which wave, and the average wave is the best
# reply. Its loss is how much the waves differ from their average.
#
# ## New waves
#
# The fair test is new tasks: 600 waves, ten support points each, the error measured at query points, before and after
# 1 to 10 gradient steps. First the ordinary network may choose the step size that suits it best, on waves of its own:

# %%
for rate in (0.01, 0.02, 0.04):
    ordinary.inner_lr = rate
    tried = mt.evaluate(ordinary, tasks, episodes=200, steps=10, seed=2)
    print(f"α = {rate}: error {tried.mean[1]:.1f} after 1 step, {tried.mean[10]:.1f} after 10")
ordinary.inner_lr = 0.02  # the best of these, and MAML's own

# %%
results = {
    "maml": ("MAML", mt.evaluate(maml, tasks, episodes=600, steps=10, seed=1)),
    "baseline": ("ordinary network", mt.evaluate(ordinary, tasks, episodes=600, steps=10, seed=1)),
}
for name, result in results.values():
    row = "   ".join(f"{result.mean[k]:.2f} ± {result.ci95[k]:.2f}" for k in (0, 1, 5, 10))
    print(f"{name:<16}  after 0, 1, 5, 10 steps:   {row}")

# %%
step = np.arange(11)
bands = [Band(step, r.mean - r.ci95, r.mean + r.ci95, role) for role, (_, r) in results.items()]
curves = [Curve(step, r.mean, role, name, markers=True) for role, (name, r) in results.items()]
draw(
    Scene(
        title="Both start equally badly; one step is enough for the network that learned to learn",
        alt="Error on new waves against gradient steps, with narrow bands of 95 per cent "
        "confidence. Both begin above 3. MAML falls below 1 at the first step and goes on "
        "slowly; the ordinary network comes down little by little and is far above after ten.",
        xlabel="gradient steps on ten points of the new wave",
        ylabel="mean squared error at other points",
        xlim=(0, 10),
        ylim=(0, 4.5),
        bands=bands,
        curves=curves,
    )
)

# %% [markdown]
# Look at step 0: MAML's network, as it stands, is no better than the other. What it learned shows only once it moves. And
# it goes on improving for ten steps, though it was trained for one.

# %% [markdown]
# ## Try it: your own wave
#
# Left MAML's network, right the ordinary one. Drag the seven orange points: lift them all to make a tall wave, shift them to move it. Each move takes the gradient steps
# anew, in both networks, in the kernel behind this page. Then set the number of steps to 0, 1, 10. Can you find points
# that MAML's network does **not** fit? (It has only ever seen waves of one period, no taller than 5.)

# %%
fit_a_new_sine(maml.model.arrays(), ordinary.model.arrays(), inner_lr=0.02)

# %% [markdown]
# ## What you should have seen
#
# - MAML's loss falling from about 4 to below 1 in 600 rounds; the ordinary network's staying near 3.
# - On new waves: both wrong before the first step; after it, MAML's error a quarter of what it was or less.
# - The ordinary network still far off after ten steps, at the best step size it could choose.
# - The same with your own points: the green line jumps to the wave on the left and crawls on the right.
#
# This was a small run: 600 rounds of 70,000. Chapter 07 repeats the paper's experiment in full and
# puts the paper's table beside its own.

# %% [markdown]
# ## The words and letters of the course
#
# The same in all lessons, in figures and in code:
#
# | letter | in code | meaning |
# | :-: | :- | :- |
# | $\theta$ | `params` | the meta-parameters: where every task starts from |
# | $\varphi$ | `params` after `adapt` | the adapted parameters of one task |
# | $\alpha$ | `inner_lr` | inner rate: the step size of adaptation |
# | $\beta$ | `meta_lr` | outer rate: the step size of meta-training |
# | $K$ shots | `shots` | support examples of a task (of each class, where there are classes) |
# | $N$ ways | `ways` | classes of a task |
# | | `support_x`, `support_y` | **support set**: what a task is learned from |
# | | `query_x`, `query_y` | **query set**: what the adapted parameters are judged on |
# | | `inner_steps` | **inner step**: one gradient step on a support set |
# | | `tasks` | **task**, also *episode*: one small learning problem with its two sets |
# | | `meta_batch` | **meta-batch**: the tasks over which one outer step averages |

# %% [markdown]
# ## How exercises and checks work
#
# Each lesson has a notebook of exercises. You work on **your own copies**, in a folder `my_work` that an update of the
# course never touches. `maml-edu fresh exercises/01` in a terminal gives you a new copy and keeps the old one.
#
# An exercise is a function to fill in, and below it a cell that checks it. Here is the first of chapter 01 as you will
# find it: one step of gradient descent on a dict of parameters.


# %%
def descent_step(params, slopes, alpha):
    """The parameters after one step of gradient descent."""
    raise NotImplementedError()


check("01.descent_step", descent_step)

# %% [markdown]
# Not done is no error. A wrong answer is one, and the check tries to say *which* mistake it is, on inputs that it draws:


# %%
def descent_step(params, slopes, alpha):
    return {name: params[name] + alpha * slopes[name] for name in params}


try:  # only so that this page runs through; in an exercise the message simply appears
    check("01.descent_step", descent_step)
except WrongAnswer as message:
    print(message.reason)

# %% [markdown]
# You will see what to change. When an answer is right, the check says so and remembers it. Stuck? Each exercise has two
# hints to fold out, and `solutions/` holds a worked answer. What you have done so far:

# %%
progress()

# %% [markdown]
# ## Three questions
#
# **1. The ordinary network draws nearly the same curve for every wave. Why?**
#
# <details><summary>A: it was trained too briefly</summary>
#
# No. Its loss stood still for most of the 600 rounds. Ten times as many change little.
# </details>
# <details><summary>B: its network is too small for sine waves</summary>
#
# No. The other one has the same size, and draws a wave after one step.
# </details>
# <details><summary>C: it is never told which wave is meant, so the average of all is its best reply</summary>
#
# Yes. For one $x$ it has seen many different $y$; the squared error is smallest at their mean. Support points say which
# wave is meant, and it was never asked to use them.
# </details>
#
# **2. MAML's network is as wrong as the other before any step. Has it learned nothing by then?**
#
# <details><summary>A: right, all learning happens in the inner step</summary>
#
# No. The same inner step from another start (the ordinary network's) achieves little. The start is what was learned.
# </details>
# <details><summary>B: no; it was never asked to be right at θ, only after a step from θ</summary>
#
# Yes. The loss at θ itself is not in what training made small. θ is a place from which every wave is one step away.
# </details>
# <details><summary>C: no; it has learned the average wave, as the other did</summary>
#
# Nearly. Its curve does resemble the average wave. But one and the same curve can be drawn by very different parameters,
# and these decide what a step does: on the right a little, on the left nearly everything.
# </details>
#
# **3. Why is the error counted on query points and not on the support points?**
#
# <details><summary>A: to get more data</summary>
#
# Not the point. With twice the support points, all of them adapted to, the problem would remain.
# </details>
# <details><summary>B: because points used for adaptation can be fitted without understanding anything between them</summary>
#
# Yes. A start from which a step reproduces ten given points is worth little; one from which a step gets the *rest* of the
# wave right is what we want. It is the difference between training and test error, for each task.
# </details>
# <details><summary>C: because gradients cannot be taken twice on the same points</summary>
#
# They can. The mathematics does not mind; the result would be a start that is good at memorising.
# </details>

# %% [markdown]
# ## Summary
#
# 1. A task gives a support set to adapt to and a query set to be judged by; a family of tasks is what we learn from.
# 2. Inner step: $\varphi_i = \theta - \alpha\,\nabla L_i^{\text{support}}(\theta)$, for each task $i$ from the same $\theta$.
# 3. Outer step: $\theta \leftarrow \theta - \beta\,\nabla_\theta\,\tfrac1n\sum_{i=1}^n L_i^{\text{query}}(\varphi_i)$ (here with Adam, a refined step, in place of the plain one).
# 4. With no inner step this is ordinary training, $\varphi_i = \theta$, and ends at the average of all tasks.
# 5. Measure on new tasks, after 0, 1, … steps, with an interval; the start alone says nothing.

# %% [markdown]
# ## Further reading
#
# - C. Finn, P. Abbeel and S. Levine (2017), *Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks*,
#   arXiv:1703.03400: the paper of this course. Read sections 1 and 2 now, the rest after chapter 07.
# - S. Thrun and L. Pratt (1998), *Learning to Learn*, the introduction: the idea and its questions, twenty years earlier.
# - T. Hospedales and others (2020), *Meta-Learning in Neural Networks: A Survey*, arXiv:2004.05439: a map of all the other ways
#   to learn to learn, for when you wonder where MAML stands.
#
# **Next lesson:** [01 · Gradient descent](01_gradient_descent.ipynb), where a step comes from and when it fails.
