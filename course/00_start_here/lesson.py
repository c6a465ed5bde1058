# %% [markdown]
# # 00 · Start here
#
# *What does learning to learn look like?*
#
# Below is the map of the course. If this is your first visit, read on: this lesson shows in
# less than a minute of training what all the others explain.

# %% [markdown]
# ## The map
#
# | | lesson | its question | exercises |
# | :-: | :- | :- | :-: |
# | **0** | 00 · Start here (this page) | What does learning to learn look like? | |
# | **1** | *Learning* | | |
# | | [01 · Gradient descent](01_gradient_descent.ipynb) | When does following the slope arrive, and when does it blow up? | [01](../exercises/01_gradient_descent.ipynb) |
# | | [02 · Backpropagation](02_backpropagation.ipynb) | How does a program differentiate itself? | [02](../exercises/02_backpropagation.ipynb) |
# | | [03 · Many tasks, few examples](03_many_tasks.ipynb) | Why does a network trained on everything know nothing? | [03](../exercises/03_many_tasks.ipynb) |
# | **2** | *Meta-gradients* | | |
# | | [04 · The gradient of a gradient step](04_gradient_of_a_step.ipynb) | What changes when you differentiate through an update? | [04](../exercises/04_gradient_of_a_step.ipynb) |
# | | [05 · Hessians without Hessians](05_hessians.ipynb) | How can $I - \alpha H$ be applied without ever forming $H$? | [05](../exercises/05_hessians.ipynb) |
# | | [06 · Many inner steps](06_many_inner_steps.ipynb) | What happens to the signal through K updates? | [06](../exercises/06_many_inner_steps.ipynb) |
# | **3** | *MAML* | | |
# | | [07 · MAML in NumPy](07_maml_in_numpy.ipynb) | Can forty lines learn to learn? | [07](../exercises/07_maml_in_numpy.ipynb) |
# | | [08 · MAML in PyTorch](08_maml_in_pytorch.ipynb) | Same numbers, other machine? | [08](../exercises/08_maml_in_pytorch.ipynb) |
# | | [09 · Fast MAML](09_fast_maml.ipynb) | Where does the time go? | [09](../exercises/09_fast_maml.ipynb) |
# | | [10 · Few-shot images](10_few_shot_images.ipynb) | Five characters you have never seen, one example of each: which of the five is this? | [10](../exercises/10_few_shot_images.ipynb) |
# | | [11 · The MAML family](11_maml_family.ipynb) | What can be left out? | [11](../exercises/11_maml_family.ipynb) |
# | | [12 · What did it learn?](12_what_did_it_learn.ipynb) | Fast adaptation or good features? | [12](../exercises/12_what_did_it_learn.ipynb) |
# | **4** | *Out into the world* | | |
# | | [13 · Robots](13_robots.ipynb) | Can a body that changes be learned again in seconds? | [13](../exercises/13_robots.ipynb) |
# | | [14 · Language](14_language.ipynb) | How few examples make a new intent? | [14](../exercises/14_language.ipynb) |
# | | [15 · The same in other frameworks](15_other_frameworks.ipynb) | Keras and JAX: the same meta-gradient? | [15](../exercises/15_other_frameworks.ipynb) |
# | | [16 · Your own](16_your_own.ipynb) | What will your tasks be? | [16](../exercises/16_your_own.ipynb) |

# %% [markdown]
# **You will be able to**
#
# - say what a task, a support set, a query set and an inner step are;
# - tell a network that has learned from one that has learned *to learn*, by what one step does to each;
# - say which other ways of learning to learn there are, and what MAML buys and costs beside them;
# - find your way: run a lesson, do an exercise, read what its check says, see your progress.
#
# **Needs** Python, a little NumPy, and what a slope is. Skip *Hessian* and *eigenvalue* until chapter 01 explains them.
# **Takes** about 45 minutes, without the glossary at the end. **CPU** is enough for the whole course; no GPU, no download.
#
# You run a cell with **Shift + Enter**. Start with this one, which checks that everything is in place:

# %%
from maml_edu.doctor import doctor

report = doctor()
problems = [finding for finding in report if finding.ok is False and finding.name != "course"]
for finding in problems:
    print(f"{finding.name}: {finding.found}. {finding.advice}")
print("Fix this, then run me again." if problems else "Everything that you need is in place.")

# %% [markdown]
# (Put `report` into a cell of its own to see everything that was checked: versions, GPU, threads, data.)

# %% [markdown]
# ## Predict
#
# Sine waves $y = A\sin(x - \text{phase})$ of many heights $A$ and phases are shown to two networks of the same size, for the same
# number of training steps. **One** learns in the ordinary way: here is an $x$, say the $y$. The **other** learns to learn:
# here are ten points of one wave; take one step on them, in the direction in which your error falls fastest (a step of
# **gradient descent**, chapter 01); now your error on *other* points of that wave counts.
#
# Then a new wave comes, ten points of it are given, and each network may take one such step on these. What will each
# of them draw, before and after the step? Commit to a guess (a sketch on paper is best), then open:
#
# <details><summary>Answer</summary>
#
# Before any step the ordinary network draws one and the same low wave whatever the task: the *average* of all waves, which
# is the best answer to a question that does not say which wave is meant. One step moves it a little. The other looks no
# better before the step, but after **one** step it draws a curve near the new wave. It has not learned the waves; it has
# learned where to start from so that a step finds any of them.
# </details>

# %% [markdown]
# ## A family of tasks

# %%
import numpy as np
import torch

import maml_edu.pytorch as mt
from maml_edu.checks import WrongAnswer, check, progress
from maml_edu.checks.exercise import exercise, expect
from maml_edu.figures import Band, Curve, Scene, draw, fit_a_new_sine, sine_tasks
from maml_edu.tasks import Sinusoids

# %% [markdown]
# A **task** is one wave. Its height $A$ is drawn between 0.1 and 5, its phase (how far it is shifted) between 0 and π, as in
# the paper that this course is about (Finn and others, 2017). Of each task a learner gets a **support set** to learn from
# (here ten points: "10 shots"), and is judged on a **query set**: other points of the same wave, ten as well.

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
# The network has one input, two layers of 40 units in between (the *hidden* layers), and one output. Its 1,761 weights
# and biases together are its parameters, $\theta$. How badly it does on some points is a number, the **loss** $L(\theta)$: here the mean
# squared error. $L_{\text{S}}$ is the loss on a task's support set, $L_{\text{Q}}$ that on its query set. And
# $\nabla L(\theta)$, the **gradient**, is the list of the slopes of $L$, one for each parameter: against it, the loss falls.
#
# This is all of **MAML**, model-agnostic meta-learning:
#
# ```text
# θ ← random numbers
# repeat 600 times:                                   outer loop
#     draw 25 tasks                                   the meta-batch
#     for each of these tasks:
#         φ ← θ
#         repeat K times:                             inner loop; here K = 1
#             φ ← φ − α ∇L_S(φ)                       one inner step on its support set
#         judge φ by L_Q(φ)                           on its query set
#     meta-loss ← the mean of the 25 judgements
#     θ ← θ − β · (gradient of the meta-loss with respect to θ)
# ```
#
# Here α and β are two step sizes: α (`inner_lr` in the code, here 0.02) of the inner step, β (`meta_lr`, here 0.01) of the
# outer one; and φ is the task's own copy of θ.
#
# The inner loop is ordinary gradient descent. The last line moves $\theta$, not $\varphi$, and asks how the
# judgement *after* the step changes when the start changes. How to answer that is what chapter 04 is about; 07 writes these
# lines in NumPy, 08 in PyTorch. Here the library runs them. (For the last line it takes *Adam*, as the paper's
# code does: gradient descent with a step size of its own for each parameter. `engine="plain"` asks for the plain way through
# the inner loop; chapter 09 is about faster ways to the same numbers.) This is **meta-training**; the paper's code takes 70,000
# rounds, we 600:

# %%
torch.manual_seed(0)  # the same network at every run; the tasks have a seed of their own
network = mt.MLP(1, 40, 40, 1)
maml = mt.MAML(network, inner_lr=0.02, inner_steps=1, engine="plain")
history = mt.meta_train(maml, tasks, iterations=600, meta_batch=25, meta_lr=0.01, seed=0)
print(
    f"query loss after a step: at first {history.loss[0]:.1f}, now {history.smoothed(50)[-1]:.1f}"
)

# %% [markdown]
# The ordinary network: the same start, the same number of rounds and of waves per round, the same optimiser. Take $K = 0$
# inner steps above: then $\varphi = \theta$, the query loss is taken at $\theta$ itself, and that is plain training on all waves
# at once. As support sets then go unused, it gets twenty query points of each wave: as many points as MAML sees.

# %%
torch.manual_seed(0)
ordinary = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.02, inner_steps=0, engine="plain")
no_step = mt.meta_train(
    ordinary,
    Sinusoids(shots=10, queries=20),
    iterations=600,
    meta_batch=25,
    meta_lr=0.01,
    seed=0,
)
print(f"loss on all tasks: at first {no_step.loss[0]:.1f}, now {no_step.smoothed(50)[-1]:.1f}")

# %%
rounds = np.arange(50, 601)  # each mean is of the 50 rounds up to here
draw(
    Scene(
        title="One inner step makes the difference: without it the loss settles near 3",
        alt="Two curves of the training loss over 600 rounds. The ordinary network's comes down from 3.7 and "
        "settles near 3; that of MAML falls below 1.",
        xlabel="round of training",
        ylabel="query loss (mean of 50 rounds)",
        xlim=(0, 600),
        ylim=(0, 5),
        curves=[
            Curve(rounds, history.smoothed(50)[49:], "maml", "MAML: after one inner step"),
            Curve(rounds, no_step.smoothed(50)[49:], "baseline", "ordinary: no inner step"),
        ],
    )
)

# %% [markdown]
# The ordinary network is not lazy. It cannot do better: it is told $x$ and not which wave, and the average wave is the best
# reply. Even that has a squared error of about 3: so much do the waves differ from it. And the network? Both, on 20,000 new
# waves, three times:

# %%
for seed in (1, 2, 3):
    many = tasks.sample(np.random.default_rng(seed), tasks=20_000)
    x, y = many.query_x, many.query_y
    average = -2 / np.pi * 2.55 * np.cos(x)  # the mean over all phases, times the mean height
    with torch.no_grad():
        output = ordinary.model(torch.tensor(x, dtype=torch.float32)).numpy()
    errors = [np.mean((reply - y) ** 2) for reply in (average, output)]
    print(f"mean error: average wave {errors[0]:.2f}, ordinary network {errors[1]:.2f}")

# %% [markdown]
# ## New waves
#
# The fair test is new tasks: 600 waves, ten support points each, the error measured at query points, before and after
# 1 to 10 gradient steps. MAML keeps the step size that it was trained with. The ordinary network was trained for none, so
# it may first choose the one that suits it best, on waves of its own:

# %%
for rate in (0.005, 0.01, 0.02, 0.04, 0.08):
    ordinary.inner_lr = rate
    tried = mt.evaluate(ordinary, tasks, episodes=200, steps=10, seed=2)
    print(f"α = {rate}: error {tried.median[1]:.2f} after 1 step, {tried.median[10]:.2f} after 10")
ordinary.inner_lr = 0.02

# %%
results = {
    "maml": ("MAML", mt.evaluate(maml, tasks, episodes=600, steps=10, seed=1)),
    "baseline": ("ordinary network", mt.evaluate(ordinary, tasks, episodes=600, steps=10, seed=1)),
}
for name, result in results.values():
    for k in (0, 1, 10):
        low, high = result.median_ci95[:, k]
        print(
            f"{name:16}  steps = {k:<2}  median {result.median[k]:.2f} ({low:.2f} to {high:.2f})  "
            f"mean {result.mean[k]:.2f}"
        )

# %% [markdown]
# The **median** is the error that half of the waves stay below. The numbers in brackets are its 95% confidence interval:
# with 600 other waves the median would have come out a little differently, and an interval made in this way contains the
# median of *all* waves about 95 times in 100. (Chapter 03 measures whether it does.) A mean is pulled up by a few bad waves;
# where the two differ a lot, as here, read the median first.

# %%
step = np.arange(11)
bands = [Band(step, *result.median_ci95, role) for role, (_, result) in results.items()]
curves = [
    Curve(step, result.median, role, name, markers=True) for role, (name, result) in results.items()
]
draw(
    Scene(
        title="Both start equally badly; one step is enough for the network that learned to learn",
        alt="Median error on new waves against gradient steps, with bands of 95 per cent "
        "confidence. Both begin near 2. MAML falls below 0.5 at the first step and goes on slowly; "
        "the ordinary network comes down little by little and is still above MAML's first step "
        "after ten.",
        xlabel="gradient steps on ten points of the new wave",
        ylabel="squared error at other points (median)",
        xlim=(0, 10),
        ylim=(0, 2.5),
        bands=bands,
        curves=curves,
    )
)

# %% [markdown]
# Look at step 0: MAML's network, as it stands, is no better than the other. What it learned shows only once it moves. And
# it goes on improving for ten steps, though it was trained for one.
#
# Does the ordinary network get there, too, if it is given time?

# %%
patient = mt.evaluate(ordinary, tasks, episodes=600, steps=100, seed=1)  # the same 600 waves
for k in (10, 20, 30, 100):
    print(f"ordinary network, median error after {k:3} steps: {patient.median[k]:.2f}")
print(f"MAML's network,   median error after   1 step:  {results['maml'][1].median[1]:.2f}")

# %% [markdown]
# In the median it does: between twenty and thirty of its steps do what one of MAML's does. (Up to MAML's *first* step; the
# error after its tenth, 0.12, is not reached in 100.) What MAML buys here is above all *speed*, in steps.

# %% [markdown]
# ## Try it: your own wave
#
# Left MAML's network, right the ordinary one, and seven orange points of a new wave. Drag them wherever you like; click on
# an empty place to add one, double-click one to take it away (there are buttons, too). The sliders *height* and *phase*
# put them all on one wave. Each change takes the gradient steps again, in both networks (for that the kernel must be
# running). Set the number of steps to 0, 1, 10.
#
# The solid line without a colour is the **nearest wave**: of all sine waves of the family's period the one nearest to
# your points (least squares). The error is measured from it. Can you find points that MAML's network does **not** fit?

# %%
fit_a_new_sine(maml.model.arrays(), ordinary.model.arrays(), inner_lr=0.02)

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# The family has phases from 0 to π, so half of all sine waves are *not* in it: at a phase of −1.5 one step still leaves
# half of the error or more. Nor has MAML's network seen waves taller than 5: at a height of 7.5 one step leaves many times the error
# that it leaves at 3.5. Put the points up and down twice as fast, and ten steps do not get it there (the nearest wave
# cannot follow these either). And with all points in one corner it draws the rest as if it had guessed, while the nearest
# wave may still know.
# </details>

# %% [markdown]
# ## What you should have seen
#
# - MAML's loss falling from about 4 to below 1 in 600 rounds; the ordinary network's settling near 3.
# - On new waves: both wrong before the first step; after it, MAML's median error a quarter of what it was or less.
# - The ordinary network, at the best of five step sizes, worse after ten steps than MAML after one; as good as that
#   after twenty to thirty.
# - The same with your own points: the green line jumps to the wave on the left and crawls on the right.
#
# This was a small run: 600 rounds of 70,000. Chapter 07 repeats the paper's experiment at full length and
# puts the paper's table beside its own.

# %% [markdown]
# ## Where MAML stands: a map of the field
#
# "Learning to learn" has three large families. They differ in what happens when a new task comes:
#
# | family | what is learned | a new task is met by | what it costs | for instance |
# | :- | :- | :- | :- | :- |
# | **metric** | a space in which examples of one class lie close together | comparing: the query goes to the nearest support examples; nothing is trained | as cheap as ordinary training; made for classes, little else | matching networks, prototypical networks (chapter 10) |
# | **black-box** | a network that reads the support set and answers the query | reading; the learning rule is hidden in the weights | many tasks, large networks; nobody promises that more examples than in training help | recurrent meta-learners, neural processes, in-context learning of language models ([16](16_your_own.ipynb)) |
# | **optimisation** | a start for gradient descent (or its step sizes, or its rule) | gradient descent, a few steps | gradients through gradient steps: time, memory, a step size that matters | **MAML** and its family ([11](11_maml_family.ipynb)) |
#
# *Model-agnostic* means: MAML needs to know nothing about the network and the loss except their gradients. That **buys**
# generality: the ten lines above stay the same for regression, classification and robots (13); and what runs on a new
# task is plain gradient descent, so more steps go on helping, often even on tasks a little outside the family.
# It **costs** derivatives of derivatives (04, 05), memory that grows with the inner steps (06, 09), an α that must be right
# (01, 04); and it makes no use of what one *does* know. For classes, comparing is cheaper and often as good or better:
# chapter 10 measures it. And for our waves the *nearest wave* of the last figure beats MAML: least squares for two numbers, from
# as few as two points (the **oracle** of chapter 03). But somebody had to tell it that the world is made of sine waves of one
# period. MAML found that out.
#
# ## The letters of the course
#
# | letter | in code | meaning |
# | :-: | :- | :- |
# | $\theta$ | `theta`, `params` | the meta-parameters: where every task starts from (01, 02: the parameters) |
# | $\varphi$ | `phi`, what `adapt` returns | the adapted parameters of one task; $\varphi_k$ after $k$ inner steps, $\varphi_0 = \theta$ |
# | $\alpha$ | `inner_lr` | inner rate: the step size of adaptation (01: the step size) |
# | $\beta$ | `meta_lr` | outer rate: the step size of meta-training |
# | $K$ | `inner_steps` | number of inner steps |
# | $N$ | `ways` | classes of a task |
# | | `shots`, `queries` | support and query examples of a task (of each class, if it has classes) |
# | $L_{\text{S}}$, $L_{\text{Q}}$ | `loss` on `support_x`, `support_y`; on `query_x`, `query_y` | support loss and query loss of one task |
# | $M(\theta)$ | `meta_loss` | the meta-loss: the mean over tasks of $L_{\text{Q}}(\varphi)$ |
# | | `meta_batch` | tasks over which one outer step averages |
# | $H$, $\lambda$ | | the Hessian of a loss (all its second derivatives) and its eigenvalues, the curvatures (01) |
#
# Exceptions, so that you do not stumble over them:
#
# - Code written out by hand says `alpha` or `ALPHA`, and in 08 `beta`; the library says `inner_lr` and `meta_lr`.
# - Chapter 08 unfolds `adaptation`, which returns the whole path $[\varphi_0 \ldots \varphi_K]$; `adapt` is its last entry.
# - Optimisers (`ref.sgd`, `ref.momentum`, `ref.adam`, PyTorch's own) do not know what they optimise: their step size is `lr`.
# - A learner that was made with `inner_steps` may adapt for another number of them: `steps` in `learner.adapt` and `evaluate`.
# - `tasks` is a *family* of tasks when it is handed to `meta_train` or `evaluate`, and a number in `sample(rng, tasks=25)`.
# - Some letters have a second meaning. In "N-way K-shot" (10, 14) $K$ is the number of shots, as in the papers. In 05 $N$ is the number of
#   points. In 07 $\varphi_i$ is the $\varphi$ of task $i$. In 10 $\beta_\text{offset}$ is no step size. In 13 $r$ is a
#   reward, $R$ a return, $A_t$ an advantage (above, $A$ is the height of a wave), $b$ a baseline, $\gamma$ the discount, $\pi_\theta$ a policy, $\tau$ a
#   trajectory, $\sigma$ a standard deviation and $H$ a horizon. In its part (b) $\psi$ is an angle, $\omega$ how fast it changes, $u$ the control and
#   $s$ the sign of a motor.

# %% [markdown]
# ## How exercises and checks work
#
# Every lesson from 01 on has a notebook of exercises. You work on **your own copies**, in a folder `my_work` that an update
# of the course never touches. You need not make it: `make lab` (or `maml-edu lab`) opens the course, and first copies every
# lesson, exercise and solution into it that is not there yet. Would you like to begin a notebook again? In a terminal,
# `maml-edu fresh exercises/01` puts a clean one in its place and keeps yours under another name.
#
# An exercise is a function to fill in, and below it a cell that checks it. The check draws inputs. It compares your answer with
# the right one and, if they differ, with what known mistakes give. In the chapters the checks stay out of sight; here is a
# small one, for this page only:


# %%
@exercise("demo.squared_error", points=0, minutes=2, difficulty=1)
def judge_squared_error(answer, rng):
    """The mean squared error of some outputs"""
    for _ in range(5):
        errors = rng.normal(size=4)
        mistakes = {
            "this is the square of the mean: square first": np.mean(errors) ** 2,
            "this is the sum: divide by the number of errors": np.sum(errors**2),
        }
        expect(answer(errors), np.mean(errors**2), mistakes)


# %% [markdown]
# And here is its exercise:


# %%
def squared_error(errors):
    """The mean of the squares of `errors`, an array."""
    raise NotImplementedError()


check("demo.squared_error", squared_error)

# %% [markdown]
# An unfinished exercise is not an error; a wrong answer is, and the check tries to say *which* mistake it is:


# %%
def squared_error(errors):
    return np.mean(errors) ** 2


try:  # only so that this page runs through; in an exercise the message simply appears
    check("demo.squared_error", squared_error)
except WrongAnswer as message:
    print(message)

# %% [markdown]
# Correct it, and the check says so; if the exercise is one of the course's, it remembers that, too. Stuck? Each coding exercise
# has two or three hints to fold out, and `solutions/` holds a worked answer. What you have passed so far:

# %%
passed = [f"✓ {row.exercise} on {row.passed}" for row in progress().rows if row.passed]
print(
    "\n".join(passed) or "Nothing yet. `progress()` in a cell of its own shows all there is to do."
)

# %% [markdown]
# ## Three questions
#
# **1. Before any step the ordinary network draws the same curve for every wave, and its loss settles near 3. Why?**
#
# <details><summary>A: it was trained too briefly</summary>
#
# No. The average wave, the best reply there is, has an error of 3.0, and the network is within 0.1 of it, as measured above.
# More rounds cannot win more than that.
# </details>
# <details><summary>B: its network is too small for sine waves</summary>
#
# No. The other one has the same size, and draws a wave after one step.
# </details>
# <details><summary>C: it is never told which wave is meant, so the average of all is its best reply</summary>
#
# Yes. For one $x$ it has seen many different $y$; the squared error is smallest at their mean. Support points say which
# wave is meant, and it was never asked to use them: it learns about a wave only from the steps that it takes afterwards.
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
# and these decide what a step does: nearly everything in MAML's network, a little in the ordinary one.
# </details>
#
# **3. Why is the error counted on query points and not on the support points?**
#
# <details><summary>A: because points used for adaptation can be fitted without understanding anything between them</summary>
#
# Yes. A start from which a step reproduces ten given points and nothing else (overfitting) is worth little; one from
# which a step gets the rest of the wave right is what we want. It is the difference between training and test error, for
# each task.
# </details>
# <details><summary>B: to get more data</summary>
#
# Not the point. With twice the support points, all of them adapted to, the problem would remain.
# </details>
# <details><summary>C: because gradients cannot be taken twice on the same points</summary>
#
# They can. The mathematics does not mind; the result would be a start that is good at memorising.
# </details>

# %% [markdown]
# ## Summary
#
# 1. A task gives a support set to adapt to and a query set to be judged by; a family of tasks is what we learn from.
# 2. Inner step: $\varphi = \theta - \alpha\,\nabla L_{\text{S}}(\theta)$, for each task from the same $\theta$.
# 3. Outer step: $\theta \leftarrow \theta - \beta\,\nabla_\theta\,\text{mean of } L_{\text{Q}}(\varphi)$ over the tasks (here with Adam in
#    place of the plain step).
# 4. With no inner step this is ordinary training, $\varphi = \theta$, and ends at the average of all tasks.
# 5. Measure on new tasks, after 0, 1, … steps, with an interval, the median first; the start alone says nothing.

# %% [markdown]
# ## Further reading
#
# - C. Finn, P. Abbeel and S. Levine (2017), *Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks*,
#   arXiv:1703.03400: the paper of this course. Read sections 1 and 2 now, the rest after chapter 07.
# - S. Thrun and L. Pratt (1998), *Learning to Learn*, the introduction: the idea and its questions, twenty years earlier.
# - T. Hospedales and others (2020), *Meta-Learning in Neural Networks: A Survey*, arXiv:2004.05439: the large map, of which the
#   table above is a corner.
#
# And a game: ten rounds of [Be the classifier](10_few_shot_images.ipynb#Be-the-classifier) in chapter 10 need no theory. Run
# that lesson's cells down to the game; a network trains in the meantime, to play against you.
#
# **Next lesson:** [01 · Gradient descent](01_gradient_descent.ipynb), where a step comes from and when it fails.

# %% [markdown]
# ## Glossary
#
# <details><summary>The terms of the course, each with the chapter that explains it</summary>
#
# - **Adam**: descent with momentum and a step size of its own for each parameter (00).
# - **adapted parameters**: $\varphi$, what the inner loop makes of θ for one task (00).
# - **advantage**: how much better an action turned out than what usually follows from there (13).
# - **ANIL**: MAML whose inner loop moves the head alone (11).
# - **backpropagation**: how a program works out the gradient of what it computed, from the end to the start (02).
# - **backward pass**: the lines of a program visited from the last to the first, each passing on its slope (02).
# - **baseline**: a simpler method, tuned as hard, that a result must beat to mean anything (07); in 13 also the return that is
#   expected anyway, taken away from what followed an action.
# - **batch norm**: a layer that shifts and scales its inputs by the mean and variance of the batch (10).
# - **bin**: one of a fixed number of places in which letter groups are counted; a hash says which (14).
# - **body**: all layers of a network before its head (11).
# - **BOIL**: MAML whose inner loop moves all but the head (11).
# - **bootstrap**: drawing from a test again and again, with replacement, to see how sure its median is (03).
# - **broadcasting**: NumPy's use of one number in place of many; on the way back these parts are summed (02).
# - **centroid**: the mean of the support examples of a class; the nearest one gives the answer (14).
# - **condition number**: largest curvature over smallest; how elongated a ravine is (01).
# - **confidence interval**: a range that contains the true value in, say, 95 of 100 repetitions (00).
# - **conjugate gradients**: a way to solve $Av = b$ from products with $A$ alone (11).
# - **coverage**: how often an interval contains the truth (03).
# - **curvature**: how fast a slope changes; along an eigenvector of the Hessian, its eigenvalue (01).
# - **discount**: $\gamma$, the factor by which a reward counts less with each step that it comes later (13).
# - **domain**: a place of life, such as a library, whose intents share their words (14).
# - **eigenvalue**, **eigenvector**: a matrix only stretches its eigenvector, by the eigenvalue (01).
# - **episode**: another word for a task as it is drawn: a support set and a query set (03); in 13 also one walk from start to end.
# - **exploring**: acting partly by chance, to find out what a task is (13).
# - **fine-tuning**: further training, on a new task, of a network trained on others (10).
# - **first-order MAML**: MAML that leaves out the derivative of the inner step (04).
# - **forward mode**: slopes carried from one input, or along one direction, to all results; one pass per input (02).
# - **freeze**: to leave a layer at θ while the others adapt (12).
# - **Gauss–Newton part**: the part of a Hessian that is made of first derivatives of the network (05).
# - **gradient**: the slopes of a loss, one for each parameter (00).
# - **gradient descent**: repeated steps against the gradient (01).
# - **gradient equivalent**: the work of one gradient, as a unit; a Hessian-vector product is two (11).
# - **hash**: a number made of letters that looks random and is the same on every machine (14).
# - **head**: the last layer of a network that classifies; what is before it is the body (10).
# - **Hessian**: the matrix of all second derivatives of a loss (01).
# - **Hessian-vector product**: the Hessian times a vector, worked out without the Hessian (05).
# - **horizon**: the number of steps after which a step size is judged (06); in 13, the number of actions of an episode or a plan.
# - **implicit MAML**: MAML that differentiates the resting point of the inner loop, not the way to it (11).
# - **inner loop**: the K inner steps of one task (00).
# - **inner rate**: α, the step size of an inner step (00).
# - **inner step**: one gradient step on a task's support set (00).
# - **intent**: what somebody wants who types a request: a class of sentences (14).
# - **Jacobian**: the matrix of all slopes of some results with respect to some inputs (02).
# - **leak**: a way in which the test takes part in making its own result (03).
# - **letter group**: a few neighbouring letters of a word, with its borders; elsewhere an *n-gram of characters* (14).
# - **linear CKA**: how alike two layers' outputs for the same examples are, from 0 to 1 (12).
# - **loss**: a number that says how badly parameters do; smaller is better (00).
# - **MAML++**: MAML with query losses after every inner step at first, and learned rates for each step (11).
# - **median**: the value that half of the numbers lie below (00).
# - **memorisation**: one function that solves all training tasks, so that nothing is learned from a support set (12).
# - **meta-batch**: the tasks over which one outer step averages (00).
# - **meta-gradient**: the gradient of the meta-loss with respect to θ (04).
# - **meta-loss**: the mean over tasks of the query loss after adaptation (00).
# - **meta-parameters**: θ, where every task starts from (00).
# - **Meta-SGD**: MAML that learns an inner rate for every number of θ (11).
# - **meta-training**: the outer loop, run until θ is good (00).
# - **model-predictive control**: planning with a model, doing the first action of the best plan, and planning again (13).
# - **momentum**: descent with a velocity that forgets slowly (01).
# - **multi-step loss**: the weighted sum of the query losses after every inner step (11).
# - **nearest class mean**: the class whose mean feature vector is nearest; on features, a centroid (12).
# - **oracle**: a method that is told what the others must find out (03).
# - **outer loop**: the repetition of outer steps (00).
# - **outer rate**: β, the step size of an outer step (00).
# - **outer step**: one step of θ against the meta-gradient (00).
# - **overfitting**: being good at the points one was trained on and bad between them (00).
# - **paired difference**: two learners compared task by task (03).
# - **policy**: what draws an action in each state; a network gives its probabilities (13).
# - **policy gradient**: the gradient of the expected return, estimated from trajectories (13).
# - **power iteration**: repeated products that turn a vector into the eigenvector of the largest |λ| (05).
# - **pretrained**: trained in the ordinary way on all tasks at once, before a new one comes (03).
# - **query loss**, **query set**: what the adapted parameters are judged on (00).
# - **rate**: in 01, $|1 - \alpha\lambda|$, the fraction of a distance that a step leaves; elsewhere, as in *inner rate*, a step size (01).
# - **Rayleigh quotient**: $v^\top H v / v^\top v$, the curvature of a loss along $v$ (05).
# - **Reptile**: moves θ towards φ; its gradient is (θ − φ)/α, the sum of the inner slopes (11).
# - **return**: the sum of the rewards of an episode (13).
# - **reverse mode**: slopes carried from one output back to all inputs; one pass per output (02).
# - **reward**: the number that tells after each action how well it went (13).
# - **ridge head**: a last layer found in closed form, with a penalty on its squared weights (12).
# - **run away**: to end with an error far above what any task had before its first step (03).
# - **second order**: the part of the meta-gradient that needs second derivatives (08).
# - **shots**: support examples of a task, of each class if it has classes (00).
# - **standard error**: how far a mean of so many numbers typically is from the true one (03).
# - **step size**: what a gradient is multiplied by to make a step (01).
# - **support loss**, **support set**: what a task is learned from (00).
# - **surrogate**: a loss whose gradient is the policy gradient with the opposite sign (13).
# - **tape**: the list of a program's operations, each with how to go back (02).
# - **task**: one small learning problem with its two sets (00).
# - **trajectory**: states, actions and rewards of an episode, from start to end (13).
# - **transition**: a state, a control, and the state that came of it (13).
# - **truncated meta-gradient**: the walk back from φ to θ, cut after some steps (06).
# - **validation**: measuring on tasks that are set aside for choosing; the test comes after, once (03).
# - **vmap**: PyTorch's way to run a function for all tasks at once (08).
# - **ways**: the classes of a task (10).
# </details>
