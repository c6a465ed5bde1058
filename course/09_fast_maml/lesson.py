# %% [markdown]
# # 09 · Fast MAML
#
# *Where does the time go?*

# %% [markdown]
# **You will be able to**
#
# - compare two programs without fooling yourself: warm-up, interleaved rounds, medians, ratios;
# - say whether a program waits for arithmetic or for its own bookkeeping, and what would help;
# - take MAML's gradient by walking back over the inner steps, $v \leftarrow v - \alpha H v$, and say what
#   that saves;
# - share a meta-batch between processes and prove that the gradient is the same.
#
# **Needs** chapters 07 and 08 · **about 45 minutes** · CPU; a GPU is used if there is one; no download
#
# The speeds in this lesson are measured while it runs. What you see before you run it belongs to the
# machine that built the notebook; your own numbers will differ.

# %% [markdown]
# ## Predict
#
# One outer step of the sine-wave MAML: 25 tasks with 10 support and 10 query examples, the network
# 1-40-40-1, five inner steps, second order. Chapter 08's textbook loop does it, and so does a program
# that computes exactly the same gradient as fast as we know how, on one core and without a GPU. By what
# factor do they differ?
#
# - (a) 2. PyTorch's operations are compiled already.
# - (b) 10.
# - (c) 20 or more.
#
# <details><summary>Answer</summary>
#
# (c). The arithmetic takes a fraction of a millisecond. The rest is Python, PyTorch's bookkeeping for
# thousands of tiny operations, and numbers that travel to memory and back. None of it is mathematics, so most
# of it can go. How far depends on your machine, and on whether numba is installed: you are about to
# measure it.
#
# </details>

# %% [markdown]
# ## One problem, float32, one thread
#
# Seed 9. We hold PyTorch to one thread, for a reason that comes at the end.

# %%
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

import maml_edu.pytorch as mt
from maml_edu.figures import (
    launch_or_compute,
    memory_against_steps,
    roofline,
    show_source,
    speed_ladder,
)
from maml_edu.pytorch.fast import closed, lean
from maml_edu.tasks import Sinusoids

# %%
TASKS, STEPS, ALPHA = 25, 5, 0.01
torch.set_num_threads(1)
torch.manual_seed(9)
model = mt.MLP(1, 40, 40, 1)
theta = dict(model.named_parameters())
arrays = Sinusoids(shots=10, queries=10).sample(np.random.default_rng(9), tasks=TASKS)
batch = arrays.map(lambda part: torch.tensor(part, dtype=torch.float32))
print("parameters:", sum(p.numel() for p in theta.values()), "  tasks:", TASKS, "  steps:", STEPS)

# %% [markdown]
# ## The bottom rung: the textbook loop
#
# As in chapter 08: task after task, every inner step recorded with `create_graph=True`.


# %%
def loss(params, x, y):
    """Mean squared error of one task: x, y (examples, 1)."""
    return F.mse_loss(functional_call(model, params, (x,)), y)


def slope_of(value, params, **how):
    return dict(zip(params, torch.autograd.grad(value, list(params.values()), **how), strict=True))


def textbook(theta, batch, steps=STEPS):
    """(meta-loss, meta-gradient like θ), one task after the other."""
    total = 0.0
    for support_x, support_y, query_x, query_y in batch:
        phi = theta
        for _ in range(steps):
            slope = slope_of(loss(phi, support_x, support_y), phi, create_graph=True)
            phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
        total = total + loss(phi, query_x, query_y) / len(batch)
    return total.detach(), slope_of(total, theta)


print(f"meta-loss {textbook(theta, batch)[0].item():.4f}")

# %% [markdown]
# ## The other rungs
#
# `mt.MAML(…, engine=…)` computes the same gradient in several ways (`engine="textbook"` is the loop above).
# Each is explained below; first, are they the same? Speed without this line is worth nothing.


# %%
def rung(engine):
    """A function of no argument: one meta-gradient by `engine`."""
    learner = mt.MAML(model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS, engine=engine)
    return lambda: learner.meta_gradient(batch)


rungs = {
    "loop": lambda: textbook(theta, batch),
    "vmap": rung("plain"),
    "back-walk": rung("lean"),
    "closed form": rung("closed"),
}
if importlib.util.find_spec("numba"):
    rungs["native"] = rung("native")
else:
    print('no numba here, so no native rung: pip install "maml_edu[fast]"')

# %%
right = textbook(theta, batch)[1]
size = max(slope.abs().max() for slope in right.values())
for name, run in rungs.items():
    value, grads = run()
    apart = max((grads[key] - right[key]).abs().max() for key in right) / size
    print(f"{name:12} meta-loss {value.item():.4f}   agrees to 1e-4: {bool(apart < 1e-4)}")

# %% [markdown]
# (float32 keeps about seven digits, and sums in another order; in float64 the engines agree to
# $10^{-9}$, which the library's tests hold.)
#
# ## How to measure without fooling yourself
#
# A clock first. Everything shorter than many ticks of it must be repeated within one measurement.

# %%
tick = time.get_clock_info("perf_counter").resolution
print("the clock's ticks are shorter than a microsecond:", tick < 1e-6)


def seconds(run, least=0.02):
    """Seconds of one call: the mean over as many calls as fit into `least` seconds."""
    calls, passed, start = 0, 0.0, time.perf_counter()
    while passed < least or not calls:
        run()
        calls += 1
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works on after the call has returned
        passed = time.perf_counter() - start
    return passed / calls


# %% [markdown]
# **Trap 1: the first call.** It imports, compiles, finds memory. We have already called every rung once
# (to compare gradients), so this trap is shut. Here is what it does in general: a fresh function,
# called by nobody yet, first call against the median of the next nine.


# %%
def first_against_later(run, later=9):
    times = [seconds(run, least=0.0) for _ in range(1 + later)]
    return times[0] / statistics.median(times[1:])


fresh = torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
ratio = first_against_later(lambda: fresh(torch.ones(8, 256)).sum().backward())
print(f"the first call took about {ratio:.0f} times as long as the later ones")

# %% [markdown]
# **Trap 2: the machine changes under you.** Other programs run, the processor heats up and slows down. Time
# the *same* program in two halves and you will find a "speed-up". Remedy: **rounds**. In each round every
# program is timed once, the next round starts with another one, and only ratios *within* a round are compared;
# then the **median** of the ratios, which one bad round cannot move (a mean it can).


# %%
def interleaved(programs, rounds=7):
    """Name → speed relative to the first program: the median over rounds of the ratios in a round."""
    names = list(programs)
    ratios = {name: [] for name in names}
    taken = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        now = {name: seconds(programs[name]) for name in names[turn:] + names[:turn]}
        for name in names:
            ratios[name].append(now[names[0]] / now[name])
            taken[name].append(now[name])
    speed = {name: statistics.median(own) for name, own in ratios.items()}
    spread = {name: (min(own), max(own)) for name, own in ratios.items()}
    return speed, spread, {name: statistics.median(own) for name, own in taken.items()}


same, spread, _ = interleaved({"a": rungs["vmap"], "a again": rungs["vmap"]})
print(f"the same program against itself: {same['a again']:.2f}, "
      f"in single rounds {spread['a again'][0]:.2f} to {spread['a again'][1]:.2f}")  # fmt: skip

# %% [markdown]
# That range is your ruler's error. A speed-up inside it is no speed-up.
#
# ## The ladder

# %%
speed, spread, taken = interleaved(rungs)
machine = f"{platform.machine()}, {os.cpu_count()} cores, one thread for PyTorch"
print(f"measured on the machine that ran this cell ({machine}):")
for name, factor in speed.items():
    low, high = spread[name]
    print(
        f"{name:12} {factor:6.2g} times the loop's speed   (single rounds {low:.2g} to {high:.2g})"
    )

# %%
speed_ladder(speed)

# %% [markdown]
# Now from rung to rung: what has gone each time?
#
# ### Loop → vmap: fewer, larger operations
#
# Each operation of PyTorch costs some microseconds before any number is touched: Python, choosing the
# kernel, room for the result, a node for the graph. Count the operations of one outer step.


# %%
class Counted(TorchDispatchMode):
    """Counts the tensor operations that are run inside a `with`."""

    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        return function(*args, **(kwargs or {}))


def operations_of(run):
    with Counted() as counted:
        run()
    return counted.operations


operations = {name: operations_of(rungs[name]) for name in ("loop", "vmap", "back-walk")}
for name, count in operations.items():
    print(f"{name:10} about {round(count, 2 - len(str(count))):6} operations")

# %% [markdown]
# The loop starts nearly every operation 25 times, once a task. `vmap` starts it once, on tensors 25 times as
# large (and adds a few of its own).
# Does size matter? An operation on one number against one on a thousand:

# %%
one, thousand = torch.ones(1), torch.ones(1000)
cost, _, _ = interleaved({"1": lambda: one + one, "1000": lambda: thousand + thousand})
print(f"adding 1000 numbers takes {1 / cost['1000']:.1f} times as long as adding one")

# %% [markdown]
# ### The roofline
#
# How far can it go? The **arithmetic limit**: count the multiplications and additions of one task, and
# measure how many a second one core does in its best discipline, a large float32 matrix product (`sgemm`).
#
# The network with $n$ examples: forward $F = 2n(1\cdot40 + 40\cdot40 + 40\cdot1)$. A gradient is
# forward, back and slopes, $3F$. A Hessian-vector product that uses them again: each of the three once
# more, with two products in place of one, $6F$. Per task $K(3F + 6F) + 3F$.


# %%
def flops_of_a_task(examples=10, steps=STEPS, widths=(1, 40, 40, 1)):
    """Multiplications and additions of one task's meta-gradient, back-walk with closed form."""
    forward = 2 * examples * sum(a * b for a, b in zip(widths, widths[1:], strict=False))
    return steps * (3 + 6) * forward + 3 * forward


square = torch.rand(1024, 1024)
peak = 2 * 1024**3 / min(seconds(lambda: square @ square, least=0.1) for _ in range(5))
flops = TASKS * flops_of_a_task()
print(f"one task: {flops_of_a_task():,} flops; one outer step: {flops:,}")
for name in rungs:
    share = flops / taken[name] / peak
    print(f"{name:12} reaches {100 * share:6.2g} % of the speed of sgemm")

# %% [markdown]
# (Every rung is charged the closed form's flops, though some do more.) If arithmetic were all, every rung would
# stand at 100 %. The **roofline** shows why they do not. An
# operation with $f$ flops takes $t = t_\text{start} + f/\text{peak}$, so its speed is
# $f / (t_\text{start} + f/\text{peak})$: for small $f$ a slope (one waits for starts), for large $f$ a
# ceiling (one waits for arithmetic). Native code starts *one* operation for the whole step.

# %%
overhead = min(seconds(lambda: one + one) for _ in range(5))
calls = operations | ({"native": 1} if "native" in rungs else {})
roofline(overhead, peak, {n: (flops / c, flops / taken[n]) for n, c in calls.items()})

# %% [markdown]
# The marks do not lie on the line: an average operation is no matrix product, many only move numbers, and
# a recorded operation costs more to start than a plain one. The *order* is what the picture explains:
# more arithmetic in an operation, nearer to the ceiling. (The textbook roofline has bytes read from memory
# where ours has starts. Our tensors fit into the processor's cache; on large networks you need both.)
#
# Now yourself (run the cell for the sliders). The mark is the *largest* product of an outer step; most
# operations are far smaller. Try:
#
# 1. One task at once, width 40: what takes the time? How many tasks make it half and half?
# 2. Width 400, one task. Does vmap still help?
# 3. A GPU: 10 µs to start, 2000 Gflops per second. Which settings use it?

# %%
launch_or_compute()

# %% [markdown]
# ### vmap → back-walk: do not keep what you can walk back to
#
# Write $v_K = \nabla L^\text{query}(\varphi_K)$. One inner step is
# $\varphi_{k+1} = \varphi_k - \alpha \nabla L(\varphi_k)$, its Jacobian $I - \alpha H_k$ with $H_k$ the
# Hessian of the support loss at $\varphi_k$, a symmetric matrix. The chain rule from the last step to the
# first is
#
# $$v_k = (I - \alpha H_k)^\top v_{k+1} = v_{k+1} - \alpha H_k v_{k+1}, \qquad
# \text{in short}\quad v \leftarrow v - \alpha H v,$$
#
# and $v_0$ is the meta-gradient. To do step $k$ one needs $\varphi_k$ and nothing else: so keep the
# parameters $\varphi_0 \dots \varphi_{K-1}$, forget all graphs, and build each step's graph anew when you
# come by.


# %%
def walk_back(theta, support, query, steps=STEPS):
    """The meta-gradient of one task; a graph lives for one step only."""
    path = [theta]
    for _ in range(steps):  # forward: no create_graph
        slope = slope_of(loss(path[-1], *support), path[-1])
        moved = {name: (path[-1][name] - ALPHA * slope[name]).detach() for name in theta}
        path.append({name: value.requires_grad_() for name, value in moved.items()})
    phi = path.pop()
    v = slope_of(loss(phi, *query), phi)
    while path:  # back: one Hessian-vector product a step
        phi = path.pop()
        slope = slope_of(loss(phi, *support), phi, create_graph=True)
        dot = sum((slope[name] * v[name]).sum() for name in v)  # gradient of g·v is H v
        v = {name: v[name] - ALPHA * own for name, own in slope_of(dot, phi).items()}
    return v


one_task = batch.part(0, 1)
support, query = (batch.support_x[0], batch.support_y[0]), (batch.query_x[0], batch.query_y[0])
want, got = textbook(theta, one_task)[1], walk_back(theta, support, query)
print("same gradient:", all(torch.allclose(want[n], got[n], rtol=1e-3, atol=1e-4) for n in theta))

# %% [markdown]
# It starts *more* operations than vmap (each step's slope is computed twice), and the ladder shows that it
# is no faster on this network. Why climb it? Memory. Count the bytes that PyTorch keeps for the way back:
# `saved_tensors_hooks` calls us for every tensor it saves. For the back-walk we count one such graph and *add*
# the new parameters of each step. To see activations, 100 support examples in place of 10.


# %%
def kept(build, theta):
    """Bytes that the graph made by build() keeps, each storage once, without θ's own."""
    own = {p.untyped_storage().data_ptr() for p in theta.values()}
    found = {}  # address → storage, held so that no address is used twice

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = build()  # the graph must live until we have counted
    assert result is not None
    return sum(storage.nbytes() for storage in found.values())


# %%
wide = Sinusoids(shots=100, queries=10).sample(np.random.default_rng(9), tasks=1)
examples = [torch.tensor(a[0], dtype=torch.float32) for a in (wide.support_x, wide.support_y)]


def recorded(steps):
    """The query loss of one task with the whole inner loop in its graph."""
    phi = theta
    for _ in range(steps):
        slope = slope_of(loss(phi, *examples), phi, create_graph=True)
        phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
    return loss(phi, *query)


step_graph = kept(lambda: slope_of(loss(theta, *examples), theta, create_graph=True), theta)
size_of_theta = sum(p.numel() * p.element_size() for p in theta.values())
counts = [1, 2, 5, 10, 20]
plain = [kept(lambda k=k: recorded(k), theta) for k in counts]
walked = [k * size_of_theta + step_graph for k in counts]
print(f"|θ| takes {size_of_theta:,} bytes")
for k, a, b in zip(counts, plain, walked, strict=True):
    print(f"{k:3} inner steps: recorded {a:8,} bytes, back-walk {b:8,}")

# %%
memory_against_steps(counts, plain, walked)

# %% [markdown]
# The recorded loop grows by everything that a step computes: activations for each example, and slopes. The
# back-walk grows by $|\theta|$, whatever the number of examples. In a convolutional network on images,
# activations are many times $|\theta|$, and the line on top is where a run with many inner steps runs out of
# memory. The library's walk (read it with `learn_rates` and `first_order` false, and one query loss, at the end):

# %%
show_source(lean.BackWalk.task)

# %% [markdown]
# ### Back-walk → closed form: derivatives by hand
#
# Autograd builds a graph to find $Hv$ and throws it away. For one kind of network we can write the answer
# down. A layer is $z = Wa_- + b$, $a = \mathrm{relu}(z)$. Write $R\{\cdot\}$ for the derivative along a
# direction $u = (U, u_b)$ of the parameters (Pearlmutter's **R-operator**): $R\{W\} = U$, and $R$ obeys
# the product rule. Then $R\{\nabla L\} = Hu$, since the derivative of the gradient along $u$ is the
# Hessian times $u$. Apply $R$ to each line of backpropagation:
#
# | | line | its $R\{\cdot\}$ |
# | --- | --- | --- |
# | forward | $z = Wa_- + b$ | $R\{z\} = W\,R\{a_-\} + U a_- + u_b$ |
# | | $a = z$ where $z > 0$ | $R\{a\} = R\{z\}$ where $z > 0$ |
# | backward | $\delta_- = W^\top\delta$ where $a_- > 0$ | $R\{\delta_-\} = W^\top R\{\delta\} + U^\top\delta$ where $a_- > 0$ |
# | slopes | $g_W = \delta a_-^\top$, $g_b = \delta$ | $R\{g_W\} = R\{\delta\}a_-^\top + \delta R\{a_-\}^\top$, $R\{g_b\} = R\{\delta\}$ |
#
# Two ends: $R\{x\} = 0$ (the inputs do not move), and for the mean squared error
# $\delta = \tfrac2n(\text{output} - y)$, so $R\{\delta\} = \tfrac2n R\{\text{output}\}$. (relu's own second
# derivative is zero wherever it exists.) Open the source and find each line; there a row is an example, so
# that $W a_-$ reads `times(inputs, weight.swapaxes(1, 2))`, and a task axis stands in front. (This rung keeps the
# pass of every step: time for memory.)

# %%
show_source(closed.Pass.hessian_times)

# %% [markdown]
# Is the formula right? Against autograd's Hessian-vector product, in float64, along a random direction:

# %%
double = {name: p.detach().double().requires_grad_() for name, p in theta.items()}
x, y = (part.double() for part in support)
rng = np.random.default_rng(9)
u = {name: torch.tensor(rng.normal(size=tuple(p.shape))) for name, p in double.items()}

slope = slope_of(loss(double, x, y), double, create_graph=True)
by_autograd = slope_of(sum((slope[name] * u[name]).sum() for name in u), double)
one_pass = closed.Pass(
    [p.detach().numpy()[None] for p in double.values()],
    x.numpy()[None],
    y.numpy()[None],
    closed.MSE,
)
by_hand = one_pass.hessian_times([d.numpy()[None] for d in u.values()])
for name, mine in zip(double, by_hand, strict=True):
    print(f"{name:9} agrees to 1e-9: {np.allclose(mine[0], by_autograd[name], 1e-9, 1e-12)}")

# %% [markdown]
# ### Closed form → native: stay in the cache
#
# NumPy runs each line for all tasks, writes the result to memory, reads it again in the next line. `native` is
# the same formulas compiled (numba): one task at a time, all its numbers in the fastest memory of one
# core, and each core has tasks of its own. Nothing is started but one call.
#
# **Threads** go over *tasks*, not inside an operation: two threads that share a product of 10 × 40 numbers
# wait for each other longer than they compute. That is why we set one thread at the top, and why the
# library does so around its own threads. Try `torch.set_num_threads(2)`, then the ladder again: vmap shares
# operations, native shares tasks.
#
# ### Which rung am I on?
#
# | engine | how | for |
# | --- | --- | --- |
# | `textbook` | the loop: task after task, double backward | whatever autograd can differentiate twice |
# | `plain` | `vmap` of each task's gradient, then the mean | whatever `vmap` can run, with dropout, too |
# | `lean` | the back-walk under `vmap` | the same without dropout, in less memory |
# | `threads` | the back-walk, each thread with tasks of its own | convolutions and large networks on a CPU |
# | `closed`, `native` | by hand, in NumPy or compiled | multilayer perceptrons on a CPU |
# | `conv` | by hand, compiled | networks like Conv4 on a CPU |
# | `compiled` | the back-walk through `torch.compile` | whoever has a C++ compiler and half a minute |
#
# With `engine="auto"`, the default, a learner takes the fastest that applies, and tries it on a task or two
# against the textbook loop before it trusts it. `explain` says which one that is, and why not the others:

# %%
default = mt.MAML(model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS)
print(default.explain(batch))

# %% [markdown]
# ### Amdahl's law: why one fast part is not enough
#
# If a part takes the share $p$ of the time and becomes $s$ times as fast, the whole becomes
# $1 / ((1 - p) + p/s)$ times as fast, and never more than $1/(1-p)$. The engine is one part of training.
# What else is there? Drawing tasks and Adam's step:

# %%
family, draws = Sinusoids(shots=10, queries=10), np.random.default_rng(9)
adam = torch.optim.Adam([p.detach().clone().requires_grad_() for p in theta.values()])
for p in adam.param_groups[0]["params"]:
    p.grad = torch.ones_like(p)
rest = seconds(lambda: family.sample(draws, tasks=TASKS)) + seconds(adam.step)
for name in rungs:
    print(f"{name:12} the rest takes {100 * rest / (rest + taken[name]):3.0f} % of an outer step")

# %% [markdown]
# On the bottom rung nobody notices the rest. On the top rung it is what to work on next. That is what
# `mt.meta_train` does: for a network like this one it draws some dozens of batches ahead and hands them over in
# **one** native call, which takes as many whole outer steps, Adam included. Time it as a whole, sampling
# and all, against its parts one after the other. We take **one** inner step, as chapter 07's run does: less to
# compute, so that the rest weighs more. (The first call compiles; it is not timed.)

# %%
learner = mt.MAML(mt.MLP(1, 40, 40, 1), F.mse_loss, inner_lr=ALPHA, inner_steps=1)


def train(iterations=640):
    mt.meta_train(learner, family, iterations, meta_batch=TASKS, device="cpu", progress=False)


train(64)
gradient = seconds(lambda: learner.meta_gradient(batch))
whole = min(seconds(train) for _ in range(3)) / 640
print(f"the rest takes {100 * rest / (rest + gradient):.0f} % of gradient + rest")
print(f"whole outer steps are {(gradient + rest) / whole:.1f} times as fast as gradient + rest")

# %% [markdown]
# Where that is more than Amdahl's $1/(1-p)$, the gradient's own call has become cheaper, too: nothing is handed
# from Python to native code and back at each step. (Without numba both ways are the same, and the factor is 1.)
#
# ## On a GPU
#
# A GPU has a far higher ceiling and costs more to start an operation: it needs many tasks, or wide
# networks. And it answers before it has finished, so that a clock without `torch.cuda.synchronize()`
# measures how fast Python *asks*.

# %%
if torch.cuda.is_available():
    gpu_model = mt.MLP(1, 40, 40, 1).cuda()
    learner = mt.MAML(gpu_model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS, engine="lean")
    many = [Sinusoids(10, 10).sample(np.random.default_rng(9), tasks=n) for n in (25, 1000)]
    on_gpu = [b.map(lambda part: torch.tensor(part).float().cuda()) for b in many]
    for each in on_gpu:
        learner.meta_gradient(each)  # warm-up
    few, lots = (seconds(lambda b=b: learner.meta_gradient(b)) for b in on_gpu)
    print(torch.cuda.get_device_name(), f"1000 tasks take {lots / few:.1f} times as long as 25")
else:
    print("No GPU here, and no recorded figures exist for this cell yet: nothing to show.")

# %% [markdown]
# ## Two processes, one gradient
#
# With more machines than one, split the tasks: every process computes the gradient of its share, and
# one *all-reduce* sums them, weighted by their numbers of tasks. `torchrun` starts the processes. Here two on
# your own machine, with 25 tasks between them.

# %%
SCRIPT = """
import sys
import numpy as np, torch
import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids

torch.manual_seed(9)
with mt.processes("cpu"):
    model = mt.MLP(1, 40, 40, 1).double()
    learner = mt.Distributed(mt.MAML(model, inner_lr=0.01, inner_steps=5, engine="closed"))
    batch = Sinusoids(10, 10).sample(np.random.default_rng(9), tasks=25)
    value, grads = learner.meta_gradient(batch)
    if learner.team.rank == 0:
        print("processes:", learner.team.ranks)
        torch.save((value, grads, learner.share(25)), sys.argv[1])
"""


# %%
def run_script(*launcher):
    """What the script found in processes started by `launcher`: (value, grads, share of the first)."""
    with tempfile.TemporaryDirectory() as folder:
        script, found = (os.path.join(folder, name) for name in ("script.py", "found.pt"))
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT)
        command = [sys.executable, *launcher, script, found]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=one_thread, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"the processes ended with an error:\n{done.stderr[-2000:]}")
        print(done.stdout.strip())
        return torch.load(found)


# %%
value, together, share = run_script(
    "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"
)

torch.manual_seed(9)  # the same in this process, alone
alone = mt.MAML(mt.MLP(1, 40, 40, 1).double(), inner_lr=0.01, inner_steps=5, engine="closed")
alone_value, alone_grads = alone.meta_gradient(arrays)
apart = max((together[n] - alone_grads[n]).abs().max().item() for n in together)
print(f"the first process did tasks {share[0]} to {share[1] - 1}, the second one the others")
print("same meta-loss:", bool(abs(value - alone_value) < 1e-12), "  same gradient:", apart < 1e-12)

# %% [markdown]
# A whole training on two processes is one command: `torchrun --standalone --nproc-per-node 2 -m
# maml_edu.train`. For a network as small as this one it gains little or loses: sending the gradient must be cheaper
# than what it saves (`docs/scaling.md` has measurements). Split what takes long.
#
# ## What you should have seen
#
# - All rungs have one gradient, and each is faster than the loop: vmap a few times, the closed form and the
#   native code tens of times.
# - The same program against itself was not exactly 1: that is the error of your ruler.
# - The loop starts some 13 times as many operations as vmap; adding 1000 numbers costs hardly more than
#   adding one. The bottom rungs use a small part of the machine: they wait for starts.
# - Memory: the recorded loop grows by a step's whole graph, the back-walk by $|\theta|$. In speed the
#   back-walk is no better than vmap here.
# - In the live figure: at the start, starting takes over 90 % of the time; about a dozen tasks make it half
#   and half; at width 400 one task is past the bend, and vmap has little left to give. The GPU bends at 20 million flops: 100 tasks at width 100.
# - Two processes found the gradient of one, to rounding.
#
# ## Three questions
#
# **1.** You time your new program ten times, then the old one ten times, and compare the means: 8 % faster.
# What now?
#
# - (a) Publish.
# - (b) Time both in turn, in rounds, and compare the median of the ratios with the ruler's error.
# - (c) Repeat each a thousand times in the same order.
#
# <details><summary>(a) Publish?</summary>
#
# No. Nothing yet tells 8 % of speed from 8 % of weather: the machine may have been busier in the second half.
#
# </details>
# <details><summary>(b) Rounds, ratios and the ruler's error?</summary>
#
# Yes. Within a round both see the same machine, and the same program against itself says how much a ratio
# moves for no reason.
#
# </details>
# <details><summary>(c) A thousand times?</summary>
#
# No. More calls shrink random noise; a drift between the halves stays, and now with a small error bar.
#
# </details>
#
# **2.** An outer step takes 10 ms on one thread. It has 2,000 operations, each taking about 4 µs to start. Which will
# help most?
#
# - (a) A processor with twice the arithmetic.
# - (b) Fewer operations.
# - (c) Four threads within each operation.
#
# <details><summary>(a) Twice the arithmetic?</summary>
#
# No: 8 of the 10 ms go to starts. At most the other 2 ms are halved: a factor of 10/9.
#
# </details>
# <details><summary>(b) Fewer operations?</summary>
#
# Yes. 8 ms are in reach: more tasks in each operation, fused operations, derivatives by hand, native code.
#
# </details>
# <details><summary>(c) Four threads?</summary>
#
# No. Threads share the 2 ms of arithmetic and add waiting to each of 2,000 starts.
#
# </details>
#
# **3.** Memory runs out at 10 inner steps on a convolutional network. What does the back-walk change?
#
# - (a) It keeps one step's graph and the parameters of each step.
# - (b) It needs no Hessian, so it is first-order.
# - (c) It halves the memory.
#
# <details><summary>(a) One graph and the path?</summary>
#
# Yes. $K|\theta|$ plus one graph, in place of K graphs.
#
# </details>
# <details><summary>(b) It is first-order?</summary>
#
# No. Each step back multiplies by $I - \alpha H$, by one Hessian-vector product. It is exact.
#
# </details>
# <details><summary>(c) It halves the memory?</summary>
#
# No fixed factor: it changes the *slope* over K. The more steps, the more it saves.
#
# </details>
#
# ## Summary
#
# 1. First the same gradient, then the clock: warm up, interleave, take medians of ratios, know the error.
# 2. An operation takes $t_\text{start} + f/\text{peak}$: small ones wait for starts, large ones for arithmetic.
# 3. Back-walk: $v \leftarrow v - \alpha H_k v$ from $v = \nabla L^\text{query}(\varphi_K)$ to the
#    meta-gradient; memory $K|\theta|$ + one graph in place of K graphs.
# 4. By hand: $Hu = R\{\nabla L\} = R\{\delta\}a_-^\top + \delta R\{a_-\}^\top$, layer by layer.
# 5. Amdahl: $1/((1-p) + p/s)$. When a part has become fast, measure again: the time is elsewhere.
#
# ## Further reading
#
# - Pearlmutter (1994), *Fast Exact Multiplication by the Hessian*, Neural Computation 6. Six pages; the table
#   above is its section on backpropagation.
# - Williams, Waterman & Patterson (2009), *Roofline: An Insightful Visual Performance Model for Multicore
#   Architectures*, Communications of the ACM 52. The roof with bytes in place of starts.
# - Amdahl (1967), *Validity of the Single Processor Approach to Achieving Large Scale Computing
#   Capabilities*, AFIPS. Three pages; the formula is in the argument, not in print.
# - Rajeswaran, Finn, Kakade & Levine (2019), *Meta-Learning with Implicit Gradients*, arXiv 1909.04630. How to
#   keep no path at all, at the price of an approximation.
#
# **Next:** [the exercises of this chapter](../exercises/09_fast_maml.ipynb), then
# [10 · Few-shot images](10_few_shot_images.ipynb) · back to [the map of the course](../notebooks/00_start_here.ipynb)
