# %% [markdown]
# # 09 · Fast MAML
#
# *Where does the time go?*

# %% [markdown]
# **You will be able to**
#
# - compare two programs without fooling yourself: warm-up, interleaved rounds, the median of ratios and its
#   interval;
# - say whether a program waits for arithmetic or for its own bookkeeping, and what would help;
# - take MAML's gradient without keeping the graphs of the inner steps, and say what that saves and what it costs;
# - further: write a Hessian-vector product by hand, hold a program against the limits of its machine, and share
#   a meta-batch between processes.
#
# **Needs** chapters 05 to 08, and the interval of a median and the paired differences of chapter 03; *Further A* also
# the work by hand of chapter 02 · **about 55 minutes** to the summary, 60 more for the parts marked *further* · CPU; a
# GPU is used if there is one; no download
#
# The speeds in this lesson are measured while it runs. Those that you see before you run it are those of the
# machine that built the notebook, and of that hour. Yours will differ, and the text says only what should not.

# %% [markdown]
# ## Predict
#
# One outer step of the sine-wave MAML: 25 tasks with 10 support and 10 query examples, the network
# 1-40-40-1, five inner steps, second order. Chapter 08's textbook loop does it on one core, without a GPU. How
# much of its time would the multiplications and additions alone take, if the same core did them as fast as it can?
#
# - (a) Most of it. PyTorch's operations are compiled already.
# - (b) About a tenth.
# - (c) About a hundredth, or less.
#
# <details><summary>Answer</summary>
#
# (c). The rest is Python, PyTorch's bookkeeping for thousands of tiny operations, and numbers that are moved without
# being multiplied. None of it is mathematics, so most of it can go. How much of it goes depends on your machine, and
# on whether numba is installed: you are about to measure it.
#
# </details>

# %% [markdown]
# ## One problem, float32, one thread
#
# Seed 9. We hold PyTorch to one thread; *Further B* says why.

# %%
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

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
# Each is explained below. First: which of them run here, and do they agree? A speed without this check is worth
# nothing.


# %%
def rung(engine):
    """A function of no argument: one meta-gradient by `engine`."""
    learner = mt.MAML(model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS, engine=engine)
    return lambda: learner.meta_gradient(batch)


engines = {"vmap": "plain", "back-walk": "lean", "closed form": "closed", "native": "native"}
rungs = {"loop": lambda: textbook(theta, batch)}
for name, engine in engines.items():
    try:
        rung(engine)()  # not every engine can do every network, and native needs numba
        rungs[name] = rung(engine)
    except ValueError as error:
        print(f"{name} is left out: {error}")

# %%
right = textbook(theta, batch)[1]
size = max(slope.abs().max() for slope in right.values())
for name, run in rungs.items():
    value, grads = run()
    apart = max((grads[key] - right[key]).abs().max() for key in right) / size
    print(f"{name:12} meta-loss {value.item():.4f}   agrees to 1e-4: {bool(apart < 1e-4)}")

# %% [markdown]
# (float32 keeps about seven digits, and the engines sum in another order; in float64 they agree to
# $10^{-9}$, as the library's tests check.)
#
# ## How to measure without fooling yourself
#
# A clock first. `time.perf_counter` also runs while the machine runs somebody else's program, `time.process_time` only
# while ours computes. For a program of one thread that waits for nothing they agree on an idle machine, and on a busy
# one the second is steadier, so we take it. It is the wrong one for whatever waits or shares its work: files, a GPU,
# threads, processes. (On Windows it ticks only 64 times a second; there we keep the wall clock.) Whatever does not last
# many ticks must be repeated within one measurement.

# %%
CLOCK = time.perf_counter if sys.platform == "win32" else time.process_time


def seconds(run, least=0.02, clock=None):
    """Seconds of one call: the mean over as many calls as fit into `least` seconds."""
    clock = clock or CLOCK
    calls, passed, start = 0, 0.0, clock()
    while passed < least or not calls:
        run()
        calls += 1
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works on after the call has returned
        passed = clock() - start
    return passed / calls


resolution = time.get_clock_info(CLOCK.__name__).resolution
print(f"{CLOCK.__name__}: its ticks are shorter than a microsecond: {resolution < 1e-6}")

# %% [markdown]
# **Trap 1: the first call.** It imports, compiles, allocates memory. We have already called every rung once, so this
# trap is shut. Here is one that is open: Python's `re` compiles a pattern at the first call and keeps it. The first call
# against the median of the next nine (run the cell again, and it is shut, too):


# %%
import re


def first_against_later(run, later=9):
    times = [seconds(run, least=0.0) for _ in range(1 + later)]
    return times[0] / np.median(times[1:])


ratio = first_against_later(
    lambda: re.search(r"(loop|vmap|native) +([\d.]+) times", "vmap 7 times")
)
print(f"the first call took about {ratio:.0f} times as long as the later ones")

# %% [markdown]
# **Trap 2: the machine changes under you.** Other programs run, the processor heats up and slows down. Time
# the *same* program in two halves and you will find a "speed-up". The remedy is **rounds**. In each round every
# program is timed once, the next round starts with another one, and only ratios *within* a round are
# compared. Then take the **median** of the ratios: one bad round cannot move it (a mean it can). Chapters 02 and 05
# took the *fastest* round, which is enough for a factor of two. But the fastest rounds of two programs may come from
# different moments, and a minimum has no interval like the one below.


# %%
ROUNDS = 15


def interleaved(programs, clock=None):
    """Name → seconds in each round (rounds,): a round times every program once, in turn."""
    names = list(programs)
    times = {name: np.empty(ROUNDS) for name in names}
    for number in range(ROUNDS):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            times[name][number] = seconds(programs[name], clock=clock)
    return times


def interval(ratios):
    """Where the true median lies, in 96.5 % of all cases: 4th smallest to 4th largest of 15."""
    ordered = np.sort(ratios)
    return ordered[3], ordered[-4]


# %% [markdown]
# **What the interval means.** It is chapter 03's interval of a median, and the ratios within a round are its paired
# differences. For 15 rounds the bootstrap has the same places, and a coin explains them. Imagine rounds without end; half
# of their ratios lie below their median $m$. So each of our 15 falls below $m$ as a tossed coin falls heads. The 4th
# smallest lies above $m$ only if at most three rounds fell below it: at most three heads in 15 tosses, which happens
# with probability $(1 + 15 + 105 + 455)/2^{15} = 1.8\,\%$. The same on the other side leaves $96.5\,\%$. Nothing is
# assumed about the shape of the noise; only that one $m$ is the median of all rounds (the machine may slow down, as long
# as it slows both programs alike), and that they do not depend on each other.
#
# The last condition is not quite met: what disturbs a round often disturbs the next one as well. So here is the same program
# against itself, whose true ratio is 1, twice by each clock:

# %%
for clock in (time.perf_counter, CLOCK) * 2:
    times = interleaved({"a": rungs["vmap"], "a again": rungs["vmap"]}, clock)
    ratios = times["a"] / times["a again"]
    low, high = interval(ratios)
    print(f"{clock.__name__:13} median {np.median(ratios):.2f}, interval {low:.2f} to {high:.2f}; "
          f"single rounds {min(ratios):.2f} to {max(ratios):.2f}")  # fmt: skip

# %% [markdown]
# Whoever times each program once can find anything within the last two numbers of a line. The medians stay nearer to 1.
# If the rounds were independent, an interval would miss 1 once in 28 times. It may happen more often, mostly by a few per
# cent. So these lines are your yardstick: call it a speed-up only when its *interval* lies above 1 by more than the
# largest of these misses. When 1 is inside, you cannot tell yet.
#
# ## The ladder
#
# From below in the order of this lesson. It is not the order of speed: the back-walk is there for its memory.

# %%
times = interleaved(rungs)
speed = {name: np.median(times["loop"] / own) for name, own in times.items()}
ends = {name: interval(times["loop"] / own) for name, own in times.items()}
machine = f"{platform.machine()}, {os.cpu_count()} cores, one thread for PyTorch"
print(f"measured on {machine}; in brackets the median's interval:")
for name, (low, high) in ends.items():
    print(f"{name:12} {speed[name]:6.3g} times the loop's speed   ({low:.3g} to {high:.3g})")

# %%
speed_ladder(speed, ends)

# %% [markdown]
# To climb the ladder with a network of your own, change the line `model = …` at the top, take your own `batch`, and
# run the cells up to here again. `closed` and `native` are for networks like ours, linear layers with relu between
# them; for others they say so and are left out.
#
# Now from rung to rung: what has gone each time?
#
# ## Loop → vmap: fewer, larger operations
#
# Each operation of PyTorch costs some microseconds before any number is touched: Python, finding the code for
# these types, room for the result, a node for the graph. Count the operations of one outer step.


# %%
class Counted(TorchDispatchMode):
    """Counts the tensor operations that are run inside a `with`; views touch no number."""

    operations = views = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        self.views += function.is_view or "view" in str(function)
        return function(*args, **(kwargs or {}))


def operations_of(run):
    """(operations, those among them that are views)."""
    with Counted() as counted:
        run()
    return counted.operations, counted.views


# %%
one_task = batch.part(0, 1)
operations = {}  # without views
print("           operations   views   ms a step   µs each")
for name in [name for name in ("loop", "vmap", "back-walk") if name in rungs]:
    count, views = operations_of(rungs[name])
    operations[name] = count - views
    step = np.median(times[name])  # seconds, from the ladder
    print(f"{name:10} {count:10,} {views:7,} {1e3 * step:11.1f} {1e6 * step / count:9.1f}")
alone = operations_of(lambda: textbook(theta, one_task))[0]
print(f"loop, for one of the tasks: {alone:,} operations")

# %% [markdown]
# The loop starts every operation 25 times, once for each task. `vmap` starts it once, on tensors 25 times as
# large, and adds nearly as many of its own: so the count falls by a factor of about 14, not of 25. Most of these
# are **views**: they give the same numbers another shape and compute nothing, but each has to be started.
#
# **Where does the time go?** The last column is only a quotient: are these microseconds start, or arithmetic?
# Take the arithmetic away, and see what is left. The network 1-4-4-1 needs the same operations, and a seventieth of
# the multiplications and additions. And take the starts away: an outer step has 40 million multiplications and
# additions (*Further B* counts them), and so has *one* product of two 272 × 272 matrices, since 2 · 272³ is about
# 40 million.


# %%
def two_rungs(width):
    """The loop and vmap for the network 1-width-width-1, both warm."""
    network = mt.MLP(1, width, width, 1)
    params = dict(network.named_parameters())
    vmap = mt.MAML(network, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS, engine="plain")
    both = {"loop": lambda: textbook(params, batch), "vmap": lambda: vmap.meta_gradient(batch)}
    for run in both.values():
        run()
    return both


# %%
block = torch.rand(272, 272)
for name, run in two_rungs(4).items():
    cost = interleaved({"thin": run, "block": lambda: block @ block, "full": rungs[name]})
    for what, part in {"with width 4": "thin", "arithmetic alone": "block"}.items():
        shares = 100 * cost[part] / cost["full"]
        low, high = interval(shares)
        print(
            f"{name}, {what:16} {np.median(shares):5.1f} % of its time  ({low:.1f} to {high:.1f})"
        )

# %% [markdown]
# So nearly all of the loop's time goes into *starting* operations: with a seventieth of the arithmetic it hardly
# gets faster, and the arithmetic alone would be done in about a hundredth of the time, or less.
#
# vmap starts 14 times fewer operations, but each of them takes longer, for two reasons. It passes through the layers of
# `vmap` and `grad`, which turn one task's operation into one for all tasks: that, too, is start, and the thin network
# pays it as well. And it is larger: a hidden layer has 25 · 10 · 40 = 10,000 numbers, the weights of all tasks have
# 25 · 40 · 40 = 40,000. What does size alone cost?

# %%
one = torch.ones(1)
numbers = {count: torch.ones(count) for count in (1, 1000, 10_000, 40_000)}
cost = interleaved({count: lambda x=x: x + x for count, x in numbers.items()})
for count, taken in cost.items():
    ratio = np.median(taken / cost[1])
    print(
        f"adding {count:6,} numbers: {1e6 * np.median(taken):4.1f} µs, {ratio:.1f} times as long as one"
    )

# %% [markdown]
# A thousand numbers cost hardly more than one; from ten thousand on, size begins to count. In vmap's own time it counts
# as much as the thin network saves: by far the smaller part. Most of vmap's time is start, too.
#
# ## vmap → back-walk: do not keep what you can walk back to
#
# This rung is chapter 06's walk back, $v \leftarrow v - \alpha H_k v$, from $v = \nabla L_{\text{Q}}(\varphi_K)$ down
# to $k = 0$; the meta-gradient is the mean over tasks of what arrives. (This is for one α. Exercise 05.4 has a rate for
# each parameter.) And $Hv$ is chapter 05's reverse over reverse: the gradient of the number $g \cdot v$, where
# $g = \nabla L_{\text{S}}(\varphi_k)$, with $v$ held fixed. What matters here: step $k$ needs $\varphi_k$ and nothing
# else. So forget the graphs on the way forward, keep the parameters, and build each step's graph again when you reach it.
#
# **Which parameters live when.** $\varphi_0$ is θ, which is there anyway; $\varphi_1 \dots \varphi_K$ are **K new
# sets**, kept to the end. (Chapter 06 counted $\varphi_0$ and not $\varphi_K$: K, too. Its segments would hold about
# $2\sqrt K$, for less than one more walk forward.) Besides these there is **one graph at a time**: first that of the
# query loss at $\varphi_K$, then those of the inner steps at $\varphi_{K-1}$ down to $\varphi_0$, each gone before the
# next is built. We write $|\theta|$ for the size of one set (here 1,761 numbers, 7,044 bytes).


# %%
def path_from(theta, support, steps=STEPS):
    """[φ₀ … φ_K] of one task: no create_graph, so no graph stays."""
    path = [theta]
    for _ in range(steps):
        slope = slope_of(loss(path[-1], *support), path[-1])
        moved = {name: (path[-1][name] - ALPHA * slope[name]).detach() for name in theta}
        path.append({name: value.requires_grad_() for name, value in moved.items()})
    return path


def walk_back(path, support, query):
    """The meta-gradient of one task; a graph lives for one step only."""
    v = slope_of(loss(path[-1], *query), path[-1])
    for phi in reversed(path[:-1]):  # one Hessian-vector product a step
        slope = slope_of(loss(phi, *support), phi, create_graph=True)
        dot = sum((slope[name] * v[name]).sum() for name in v)  # g·v, whose gradient is H v
        v = {name: v[name] - ALPHA * part for name, part in slope_of(dot, phi).items()}
    return v


support, query = (batch.support_x[0], batch.support_y[0]), (batch.query_x[0], batch.query_y[0])
want, got = textbook(theta, one_task)[1], walk_back(path_from(theta, support), support, query)
print("same gradient:", all(torch.allclose(want[n], got[n], rtol=1e-3, atol=1e-4) for n in theta))

# %% [markdown]
# On the ladder it runs under `vmap`, for all tasks at once. It starts *more* operations than vmap alone, since each
# step's slope is computed twice. With the two gradients of $Hv$ that makes about $4K + 1$ gradients; the recorded loop,
# whose graphs hold the slopes already, takes $3K + 1$. What do the ladder's rounds say of the two?

# %%
if "vmap" in times and "back-walk" in times:
    ratios = times["vmap"] / times["back-walk"]
    low, high = interval(ratios)
    print(f"back-walk: {np.median(ratios):.2f} times vmap's speed  ({low:.2f} to {high:.2f})")

# %% [markdown]
# On this network it gains no speed; on the machine that built this page it was slower, since the whole interval
# lies below 1. Why climb it, then? For memory.
#
# Count the bytes that PyTorch keeps for the way back: `saved_tensors_hooks` hands us every tensor that a graph
# saves, and the graph keeps what we return in its place: an object that reports when it is deleted, which happens
# when the graph goes. To see what is kept for each example (chapter 02: $a_-$, and where $z > 0$), we take 100 support
# examples in place of 10.
#
# Next to each measured number stands its **law**. For the recorded loop it is
# $K(\text{graph of a step} + |\theta|) + \text{graph of the query}$: each graph hangs on the parameters at which it
# is built, so $\varphi_1 \dots \varphi_K$ stay, here too. For the back-walk it is the paragraph above,
# $K|\theta| + \text{the larger graph}$.


# %%
def most_kept(run, *params):
    """The most bytes that graphs keep at once during run(), each storage once, without params."""
    own = {p.untyped_storage().data_ptr() for each in params for p in each.values()}
    holders, now, most = Counter(), 0, 0

    def count(tensor, change):
        nonlocal now, most
        storage = tensor.untyped_storage()
        where = storage.data_ptr()
        holders[where] += change
        if where not in own and holders[where] == max(change, 0):  # the first came, the last went
            now += change * storage.nbytes()
            most = max(most, now)

    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor
            count(tensor, 1)

        def __del__(self):
            count(self.tensor, -1)

    with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        run()
    return most


# %%
def bytes_of(*params):
    return sum(p.numel() * p.element_size() for each in params for p in each.values())


many = Sinusoids(shots=100, queries=10).sample(np.random.default_rng(9), tasks=1)
examples = [torch.tensor(a[0], dtype=torch.float32) for a in (many.support_x, many.support_y)]


def recorded(steps):
    """The query loss of one task with the whole inner loop in its graph."""
    phi = theta
    for _ in range(steps):
        slope = slope_of(loss(phi, *examples), phi, create_graph=True)
        phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
    return loss(phi, *query)


def kept_by_walk(steps):
    """Bytes of φ₁ … φ_K, and of the graphs that stand at once on the way back."""
    path = path_from(theta, examples, steps)
    graphs = most_kept(lambda: walk_back(path, examples, query), *path)
    return bytes_of(*path[1:]) + graphs


# %%
step_graph = most_kept(lambda: slope_of(loss(theta, *examples), theta, create_graph=True), theta)
query_graph = most_kept(lambda: loss(theta, *query), theta)
print(f"|θ| {bytes_of(theta):,} bytes; graphs: a step {step_graph:,}, the query {query_graph:,}")
counts = [1, 2, 5, 10, 20]
plain = [most_kept(lambda k=k: recorded(k), theta) for k in counts]
walked = [kept_by_walk(k) for k in counts]
print("inner steps   recorded   by its law   back-walk   by its law")
for k, a, b in zip(counts, plain, walked, strict=True):
    law = k * (step_graph + bytes_of(theta)) + query_graph
    law_of_walk = k * bytes_of(theta) + max(step_graph, query_graph)
    print(f"{k:11} {a:10,} {law:12,} {b:11,} {law_of_walk:12,}   bytes")

# %%
memory_against_steps(counts, plain, walked)

# %% [markdown]
# The recorded loop grows by a step's graph (what each example needs, and slopes) *and* by $|\theta|$. That is
# why the picture shows 54 KiB a step, though a step's graph alone has 48. Its law is a per cent or two too high here:
# it counts some numbers that need not be kept, biases among them. The back-walk lies above its law by 7,044 bytes,
# one $|\theta|$, for any K: that is $v$, which the graph of $g \cdot v$ saves. (With one inner step it saves nothing.)
#
# The back-walk grows by $|\theta|$ only, whatever the number of examples. How much that saves depends on how large
# a step's graph is, compared with $|\theta|$. Here are three sizes of `Conv4` on five images, and a wide network of two
# hidden layers on ten examples. (Chapter 10 explains `Conv4`, its filters and its loss. Here only sizes matter: larger
# images make a larger graph, more filters make more parameters.)


# %%
def graphs_of(network, inputs):
    """What the graph of the loss, and that of an inner step, keep: as multiples of |θ|."""
    params = dict(network.named_parameters())
    labels = torch.arange(len(inputs))

    def loss_of():
        return F.cross_entropy(functional_call(network, params, (inputs,)), labels)

    graphs = (
        most_kept(loss_of, params),
        most_kept(lambda: slope_of(loss_of(), params, create_graph=True), params),
    )
    return [graph / bytes_of(params) for graph in graphs]


# %%
small, large = torch.rand(5, 1, 28, 28), torch.rand(5, 3, 84, 84)
for what, network, inputs in [
    ("84×84, 32 filters", mt.Conv4(5, 3, 32, 84, "max"), large),
    ("28×28, 16 filters", mt.Conv4(5, filters=16), small),
    ("28×28, 64 filters", mt.Conv4(5), small),
    ("MLP of width 400 ", mt.MLP(1, 400, 400, 10), torch.rand(10, 1)),
]:
    forward, step = graphs_of(network, inputs)
    saved = (10 * (step + 1) + forward) / (10 + max(step, forward))  # both laws, for K = 10
    print(f"{what}: the loss keeps {forward:6.2f} |θ|, an inner step {step:6.2f} |θ|; "
          f"10 steps: recorded / walk = {saved:4.1f}")  # fmt: skip

# %% [markdown]
# On large images with few filters a step's graph is some two hundred times as large as the parameters, and the recorded
# loop runs out of memory long before the walk does. On small images with many filters the walk saves a factor of about
# three; where a step's graph is far smaller than $|\theta|$ (wide layers, few examples), hardly anything.
#
# For a step back, the library's walk uses the function below. `linearised` returns $g = \nabla L_{\text{S}}$ and a
# function that returns $Hu$ for any $u$. `vjp` gives both: `pull` is chapter 05's VJP of `slope_at`, whose Jacobian is
# the symmetric $H$.
# (`moving` are the names of the parameters that the inner loop changes: here all. `maml.slope_of(loss, …)` is the
# library's and takes the loss itself; `slope_of` of this lesson takes its value.)

# %%
show_source(lean.BackWalk.linearised)

# %% [markdown]
# The rest is as in `walk_back`, except that the library also takes query losses after *every* step, and chapter 06's
# slope of α. You add both in exercise 09.6; look into `maml_edu/pytorch/fast/lean.py` afterwards. (There `pulls` is
# empty unless `keep` asks for some steps' graphs to be kept.)
#
# ## Back-walk → closed form → native
#
# The two upper rungs take the same walk without autograd. `closed` writes the derivatives of a ReLU network
# down as formulas, in NumPy, for all tasks at once. Without views it starts some four hundred operations, hardly
# fewer than vmap's five hundred; but each is cheaper to start, and so is each view (*Further A* derives and counts
# them). `native` compiles these formulas and does one task after the other, in *one* call (*Further B* looks into
# it). Both keep what they computed in every step, for speed: per task, their memory grows as the recorded loop's does,
# with the examples, too.
#
# ## The roofline: starting or computing?
#
# One addition or multiplication of two numbers is a **flop**. A product of an $n \times a$ matrix with an
# $a \times b$ one has $2nab$ of them. The most that a machine does in a second is its **peak**, given in Gflops
# per second (1 Gflop = $10^9$ flops). An operation with $f$ flops takes
#
# $$t = t_\text{start} + f/\text{peak}, \qquad \text{so its speed is}\quad
# \frac{f}{t_\text{start} + f/\text{peak}}:$$
#
# for small $f$ a slope (one waits for starts), for large $f$ a ceiling (one waits for arithmetic). This is a
# **roofline**. (The textbook one has bytes read from memory where ours has starts; on large networks you need
# both.) Where our rungs stand under the roof of *your* machine, *Further B* measures.
#
# Now yourself (run the cell for the sliders). The mark is the *largest* product of an outer step, (10 × width) by
# (width × width), for all tasks at once; most operations are far smaller. Try:
#
# 1. One task at a time, width 40: what takes the time? How many tasks make it half and half?
# 2. Width 400, one task. Does vmap still help? (The cell below the figure measures it.)
# 3. A GPU: 10 µs to start, 2000 Gflops per second. Which settings use it?

# %%
launch_or_compute()

# %%
cost = interleaved(two_rungs(400))
low, high = interval(cost["loop"] / cost["vmap"])
ratio = np.median(cost["loop"] / cost["vmap"])
print(f"width 400: vmap has {ratio:.2f} times the loop's speed  ({low:.2f} to {high:.2f})")

# %% [markdown]
# Below 1, vmap *loses*. This roof says only that there is little left to win, for it knows starts and flops, no
# numbers that are moved. At width 400 the weights of one task are 0.64 MB, which many an L2 cache holds; those of 25
# tasks are 16 MB. The loop often finds in a cache what its last operation wrote; vmap, which does each operation for
# all tasks, has to fetch it from further away.
#
# ## Which rung am I on?
#
# | engine | rung | how | for |
# | --- | --- | --- | --- |
# | `textbook` | loop | task after task, `create_graph=True` | whatever autograd can differentiate twice |
# | `plain` | vmap | `vmap` of each task's gradient, then the mean | whatever `vmap` can run, dropout\* included; wide networks may lose |
# | `lean` | back-walk | the back-walk under `vmap` | the same without dropout\*, in less memory |
# | `threads` | | the back-walk, each thread with tasks of its own | convolutions and large networks on a CPU |
# | `closed` | closed form | by hand, in NumPy | linear layers with relu, on a CPU |
# | `native` | native | by hand, compiled | linear layers with relu, on a CPU |
# | `conv` | | by hand, compiled | networks like Conv4 on a CPU |
# | `compiled` | | the back-walk through `torch.compile` | whoever has a C++ compiler and half a minute |
#
# \* Dropout sets numbers to 0 at random. The back-walk computes each slope twice, and would draw others the second time.
#
# With `engine="auto"`, the default, a learner takes the first that applies, in a fixed order: by hand; then, for
# convolutions or more than 100,000 parameters, `threads`; then the back-walk (for its memory; `plain` may be somewhat
# faster), `plain`, last the loop. `compiled` never runs unless you ask for it. Before a learner trusts an engine, it
# compares it with the textbook loop on a task or two. `explain` says which one runs, and why not the others:

# %%
default = mt.MAML(model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS)
print(default.explain(batch))

# %% [markdown]
# ## What you should have seen
#
# - All rungs have one gradient, and each is faster than the loop: vmap a few times, the closed form and the
#   native code, where they run, tens of times.
# - The same program against itself: single rounds lie apart; the medians lie nearer to 1.
# - The loop waits for starts: with a seventieth of the arithmetic it takes nearly as long, and its arithmetic alone
#   is about a hundredth of its time, or less.
# - It starts about 14 times as many operations as vmap, but each of vmap's takes longer, mostly to start.
# - Memory: the recorded loop grows by a step's whole graph and $|\theta|$, the back-walk by $|\theta|$, and it is no
#   faster than vmap here.
# - In the live figure: one task spends over 90 % of the product's time on starting; about a dozen tasks make it half
#   and half; at width 400 one task is past the bend, and vmap can even lose, since it moves the numbers of all tasks at
#   once. The GPU bends at 20 million flops: 100 tasks at width 100.
#
# ## Three questions
#
# **1.** You time your new program ten times, then the old one ten times, and compare the means: 8 % faster.
# What now?
#
# - (a) Publish.
# - (b) Time both in turn, in rounds, and see whether the interval of the median ratio lies above 1.
# - (c) Repeat each a thousand times in the same order.
#
# <details><summary>(a) Publish?</summary>
#
# No. Nothing yet tells 8 % of speed from 8 % of noise: the machine may have been busier in the second half.
#
# </details>
# <details><summary>(b) Rounds, ratios and the interval?</summary>
#
# Yes. Within a round both see the same machine, and the interval says how far the median may move by chance.
#
# </details>
# <details><summary>(c) A thousand times?</summary>
#
# No. More calls shrink random noise; a drift between the halves stays, and now with a small error bar.
#
# </details>
#
# **2.** An outer step takes 10 ms on one thread. It has 2,000 operations, each taking about 4 µs to start. Which
# will help most?
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
# Yes. 8 ms are in reach: more tasks in each operation, several operations made one, derivatives by hand, native code.
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
# Yes. Both programs have K new sets of parameters; the recorded loop has K graphs and the query's besides, the
# back-walk one graph at a time.
#
# </details>
# <details><summary>(b) It is first-order?</summary>
#
# No. Each step back multiplies by $I - \alpha H$, by one Hessian-vector product. It is exact.
#
# </details>
# <details><summary>(c) It halves the memory?</summary>
#
# No fixed factor: it changes the *slope* over K, from a step's graph + $|\theta|$ to $|\theta|$. How much that is
# depends on the network.
#
# </details>
#
# ## Summary
#
# 1. First the same gradient, then the clock: warm up, interleave, take the median of ratios within rounds, and
#    its interval.
# 2. An operation takes $t_\text{start} + f/\text{peak}$: small ones wait for starts, large ones for arithmetic.
# 3. Back-walk: $v \leftarrow v - \alpha H_k v$ from $v = \nabla L_{\text{Q}}(\varphi_K)$ to the meta-gradient,
#    $H_k$ the Hessian of $L_{\text{S}}$ at $\varphi_k$.
# 4. Memory: both keep K new sets of parameters (the walk in segments about $2\sqrt K$, chapter 06). The recorded loop
#    keeps K + 1 graphs besides, the back-walk one, for about $4K + 1$ gradients in place of $3K + 1$.
# 5. What a program takes beyond its arithmetic is starts and moved numbers.
#
# Here the core ends: go to [the exercises](../exercises/09_fast_maml.ipynb), or on to [chapter
# 10](10_few_shot_images.ipynb). What follows are five parts for the curious, each on its own. Their text unfolds
# with a click, and so does their code in JupyterLab.

# %% [markdown]
# ## Further A · Derivatives by hand
#
# *20 minutes.* Autograd builds a graph to find $Hv$ and throws it away. For one kind of network we can write the
# answer down: chapter 05's third way, forward over reverse, taken through chapter 02's table by hand.
#
# <details><summary>The R-operator, and a network of two weights</summary>
#
# **The R-operator.** Write $R\{\cdot\}$ for the derivative along a direction $u = (U, u_b)$ of the parameters:
# how a number changes when the parameters set off from $(W, b)$ with velocity $(U, u_b)$ (Pearlmutter 1994). This is
# forward mode: $R\{W\} = U$, $R\{b\} = u_b$, and $R$ obeys the product rule. And $R\{\nabla L\} = Hu$. So apply $R$
# to each line of chapter 02's table (one example; slopes are sums over examples):
#
# | | line | its $R\{\cdot\}$ |
# | --- | --- | --- |
# | forward | $z = Wa_- + b$ | $R\{z\} = W\,R\{a_-\} + U a_- + u_b$ |
# | | $a = z$ where $z > 0$ (last layer: everywhere) | $R\{a\} = R\{z\}$ at the same places |
# | output | $\delta = \tfrac2n(a - y)$ | $R\{\delta\} = \tfrac2n R\{a\}$ |
# | backward | $\delta_- = W^\top\delta$ where $z_- > 0$ | $R\{\delta_-\} = W^\top R\{\delta\} + U^\top\delta$ where $z_- > 0$ |
# | slopes | $g_W = \delta a_-^\top$, $g_b = \delta$ | $R\{g_W\} = R\{\delta\}a_-^\top + \delta R\{a_-\}^\top$, $R\{g_b\} = R\{\delta\}$ |
#
# The inputs do not move: $R\{x\} = 0$. And relu's own second derivative is zero wherever it exists. Still $Hu$ is not
# chapter 05's Gauss–Newton part alone: the two terms with δ itself are the rest, and come from the product of two layers.
#
# **By numbers.** Chapter 02's example without its silent unit: $w_1 = 2$, $w_2 = 1$, $x = y = 1$, with $a_1 = 2$,
# $\delta_2 = \delta_1 = 2$ and the slopes 4 and 2. Turn only the first weight: $U_1 = 1$, $U_2 = 0$, no biases.
#
# | | $R\{\cdot\}$ |
# | --- | --- |
# | layer 1 | $R\{z_1\} = U_1 x = 1$, $R\{a_1\} = 1$ |
# | layer 2 | $R\{a_2\} = w_2 R\{a_1\} + U_2a_1 = 1 + 0 = 1$ |
# | output | $R\{\delta_2\} = 2 \cdot 1 = 2$ |
# | backward | $R\{\delta_1\} = w_2 R\{\delta_2\} + U_2\delta_2 = 2 + 0 = 2$ |
# | slope of $w_2$ | $R\{\delta_2\}a_1 + \delta_2 R\{a_1\} = 4 + 2 = 6$ |
# | slope of $w_1$ | $R\{\delta_1\}x = 2$ |
#
# So the first column of the Hessian is $(2, 6)$. Check it: near this place $L = (w_2w_1 - 1)^2$, with
# $\partial^2 L/\partial w_1^2 = 2w_2^2 = 2$ and $\partial^2 L/\partial w_1\partial w_2 = 4w_1w_2 - 2 = 6$. Now turn
# the other weight, $U_2 = 1$, yourself. The Hessian is symmetric, so one of your two numbers must be 6: 4 from
# $W^\top R\{\delta\}$, the Gauss–Newton part, and 2 from $U^\top\delta$, the rest. The cell below has both columns.
#
# </details>


# %% jupyter={"source_hidden": true}
def column(U1, U2, w1=2.0, w2=1.0, x=1.0, y=1.0):
    """H u of the network 1-1-1 without biases, for u = (U1, U2)."""
    a1 = w1 * x
    delta2 = 2 * (w2 * a1 - y)
    Ra1 = U1 * x
    Ra2 = w2 * Ra1 + U2 * a1
    Rdelta2 = 2 * Ra2
    Rdelta1 = w2 * Rdelta2 + U2 * delta2
    return Rdelta1 * x, Rdelta2 * a1 + delta2 * Ra1


def loss_of_two(w):
    return (w[1] * torch.relu(w[0] * 1.0) - 1.0) ** 2


print("by hand, column by column:", column(1, 0), column(0, 1))
print(
    "autograd's Hessian:       ", torch.func.hessian(loss_of_two)(torch.tensor([2.0, 1.0])).tolist()
)

# %% [markdown]
# Open the source and find each line of the table. A `Pass` is one forward and backward pass of all tasks: a task axis in
# front, and a row per example, as in chapter 02. But PyTorch's `weight` is $W$ itself, where 02's `w` is its transpose.
# So $Wa_-$ reads `times(…, weight.swapaxes(1, 2))`, and $W^\top\delta$ reads `times(delta, weight)`; `times` is a product
# of matrices for each task. *Where $z > 0$* reads `* (… > 0)`, asked of $a$, which is positive at the same places. In
# `hessian_times`, `u` and `u_bias` are $U$ and $u_b$; `turned` holds the $R\{a\}$ and `turning` the $R\{\delta\}$ of all
# layers. (The last two lines of `curvature` are for the loss of chapter 10.)

# %%
show_source(closed.Pass)

# %% [markdown]
# Is it right for the whole network? Against autograd's Hessian-vector product, in float64, along a random
# direction:

# %% jupyter={"source_hidden": true}
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
# Now the whole walk: the rung `closed`, for our case. It keeps the `Pass` of every step: time for memory.


# %% jupyter={"source_hidden": true}
def closed_walk(theta, support_x, support_y, query_x, query_y):
    """The meta-gradient of every task; arrays with a task axis in front, no autograd."""
    phi, passes = theta, []
    for _ in range(STEPS):
        passes.append(closed.Pass(phi, support_x, support_y, closed.MSE))
        phi = [p - ALPHA * g for p, g in zip(phi, passes[-1].slopes(), strict=True)]
    v = closed.Pass(phi, query_x, query_y, closed.MSE).slopes()
    for step in reversed(passes):
        v = [a - ALPHA * h for a, h in zip(v, step.hessian_times(v), strict=True)]
    return v


weights = [p.detach().numpy()[None] for p in theta.values()]
data = [getattr(batch, part).numpy() for part in ("support_x", "support_y", "query_x", "query_y")]
for name, v in zip(right, closed_walk(weights, *data), strict=True):
    assert np.allclose(v.mean(0), right[name], rtol=1e-3, atol=1e-4 * size), name
print("same gradient as the loop")

# %% [markdown]
# How many operations does NumPy start? An array that counts them:


# %% jupyter={"source_hidden": true}
class Counting(np.ndarray):
    """An array that counts the NumPy operations it takes part in; views are no such operations."""

    operations = products = 0

    def __array_ufunc__(self, function, method, *inputs, **how):
        Counting.operations += 1
        Counting.products += function is np.matmul
        if "out" in how:
            how["out"] = tuple(part.view(np.ndarray) for part in how["out"])
        inputs = [x.view(np.ndarray) if isinstance(x, Counting) else x for x in inputs]
        return np.asarray(getattr(function, method)(*inputs, **how)).view(Counting)


closed_walk([w.view(Counting) for w in weights], *[part.view(Counting) for part in data])
operations["closed form"] = Counting.operations
print(f"closed form: {Counting.operations} NumPy operations, {Counting.products} of them products")
print(f"(views left out in both; vmap has {operations.get('vmap', 0)} operations of PyTorch)")

# %% [markdown]
# ## Further B · Under the roof of this machine: products, caches, threads
#
# *20 minutes.* How much of the machine does each rung use, and where does the rest go?
#
# The **arithmetic limit**: count the flops of one task, and measure how many a second one core does at best, in a
# large float32 matrix product (`sgemm`).
#
# The network with $n$ examples: forward $F = 2n(1\cdot40 + 40\cdot40 + 40\cdot1)$. By chapter 05's prices a gradient
# costs $3F$, and $Hv$ another $6F$ (a little less, since the first layer has no δ to pass on). Per task
# $K(3F + 6F) + 3F$: the closed form has each step's slope already.


# %% jupyter={"source_hidden": true}
def flops_of_a_task(examples=10, steps=STEPS, widths=(1, 40, 40, 1)):
    """Multiplications and additions of one task's meta-gradient, back-walk with closed form."""
    forward = 2 * examples * sum(a * b for a, b in zip(widths, widths[1:], strict=False))
    return steps * (3 + 6) * forward + 3 * forward


flops = TASKS * flops_of_a_task()
print(f"one task: {flops_of_a_task():,} flops; one outer step: {flops:,}")

# %% [markdown]
# The speed of `sgemm` belongs in the same rounds as the rungs. So do `one + one`, which is nearly all start, and a hundred
# products of 10 × 40 by 40 × 40, each of two matrices of its own: as small as the largest products of our network.

# %% jupyter={"source_hidden": true}
square, square_too = torch.rand(1024, 1024), torch.rand(1024, 1024)
left, middle = torch.rand(100, 10, 40), torch.rand(100, 40, 40)
yardsticks = {
    "sgemm": lambda: square @ square_too,
    "start": lambda: one + one,
    "small products": lambda: left @ middle,
}
times = interleaved(rungs | yardsticks)
peaks = 2 * 1024**3 / times["sgemm"]  # in each round
work = dict.fromkeys(rungs, flops) | {"small products": 100 * 2 * 10 * 40 * 40}
share = {name: np.median(count / times[name] / peaks) for name, count in work.items()}
for name, part in share.items():
    print(f"{name:14} {100 * part:5.2g} % of the speed of sgemm")

# %% [markdown]
# (Every rung is charged the closed form's flops, though some do more.) If arithmetic were all, every rung would
# stand at 100 %. The roofline shows why they do not. Each rung is drawn at its *average* operation: all flops over
# all operations but views.

# %% jupyter={"source_hidden": true}
operations |= {"native": 1} if "native" in rungs else {}
peak = np.median(peaks)
marks = {name: (flops / count, share[name] * peak) for name, count in operations.items()}
roofline(np.median(times["start"]), peak, marks, share["small products"] * peak)

# %% [markdown]
# The picture explains the *order*: more arithmetic in an operation, nearer to the ceiling. It does not explain how far
# the marks are from the line: vmap and the closed form do nearly as much in an operation, and the closed form is several
# times as fast; native code has *one* start, and still is far below the ceiling. The reasons differ.
#
# - *loop, vmap, back-walk*: a recorded operation costs more to start than the bare `one + one` that the slope is
#   drawn from, the views between the operations are started, too, and most operations are no products: they add, or
#   set to 0 what lies where $z \le 0$, and count no flops.
# - *closed form*: cheaper starts, but three of four operations are no products, and each of these reads and
#   writes arrays of 25 tasks. And the products are small: `sgemm` reaches its speed when a number that it has
#   loaded takes part in hundreds of multiplications, here it takes part in 10 or 40. The dashed line is what
#   PyTorch makes of a hundred such products.
# - *native*: one start, though no small one (a call looks at its arguments and makes arrays of tensors), and
#   products of its own, which come nearer to `sgemm`: they keep a small block of the result in registers, the few dozen
#   numbers that the processor computes with directly, while all 40 terms are added. But these products are the smaller
#   part of its time. The rest counts few flops or none, and goes in small portions: the call itself, transposes, at every
#   step new parameters and the direction $-\alpha v$ (the step back is computed as $v + H(-\alpha v)$), biases, zeros where
#   $z \le 0$, products with the single input or output.
#
# How much do the products take, and how much the transposes? Per task the walk has 9 products of 32,000 flops a
# step, and 3 for the query loss: two in three are 10 × 40 by 40 × 40, the slopes are 40 × 10 by 10 × 40. It
# transposes a 40 × 40 matrix twice a step: the new weights, and on the way back the direction. The cells time the
# rung's own product of the first kind, and its own transpose.

# %% jupyter={"source_hidden": true}
if "native" in rungs:
    from numba import njit

    from maml_edu.pytorch.fast.kernels.perceptron import set_product, transpose

    @njit
    def products(out, a, b, count):
        for _ in range(count):
            set_product(out, a, b, 10, 40, 40)  # out = a b

    @njit
    def transposes(out, a, count):
        for _ in range(count):
            transpose(out, a, 40, 40)


# %% jupyter={"source_hidden": true}
if "native" in rungs:
    a, b, out, turned = (np.ones((n, 48), np.float32) for n in (10, 48, 10, 48))  # 40, padded
    programs = {name: (rungs | yardsticks)[name] for name in ("native", "sgemm")}
    programs["100 products"] = lambda: products(out, a, b, 100)
    programs["100 transposes"] = lambda: transposes(turned, b, 100)
    times = interleaved(programs)
    rate = 100 * 2 * 10 * 40 * 40 / times["100 products"] / (2 * 1024**3 / times["sgemm"])
    print(f"native's own products: {100 * np.median(rate):.0f} % of the speed of sgemm")
    slower = times["100 transposes"] / times["100 products"]
    print(f"a 40 × 40 matrix is transposed in {np.median(slower):.1f} times the time of a product")
    for what, count in {"products": 9 * STEPS + 3, "transposes": 2 * STEPS}.items():  # a task
        part = np.median(TASKS * count * times[f"100 {what}"] / times["native"])  # per cent
        print(f"{what} take {part:.0f} % of native's time")

# %% [markdown]
# So a program can be short of arithmetic although each product is fast: to transpose a matrix is no arithmetic at all, and
# takes about as long as a product. No single portion explains the rest; the next cell estimates one more, the call
# itself. Now the caches.
#
# <details><summary>L1, L2, and what to expect</summary>
#
# A core reads a number from its **L1** cache (often 32 to 48 KiB) in a few cycles, from its **L2** (often 1 to 2
# MiB) in a dozen or two, from what lies beyond in many dozens. NumPy runs each line for *all* tasks: one hidden
# layer's numbers are 25 × 10 × 40 × 4 bytes = 40 kB, a whole L1 for themselves. So what one line writes, the next
# reads from L2; the arrays of 400 tasks are 640 kB each, and few L2 caches hold a dozen of them. `native` does one
# task at a time: the same numbers are 1.6 kB, the 40 × 40 weights 6.4 kB, and most of what a line writes is in L1
# when the next reads it, however many tasks there are.
#
# The cell below measures both with 5, 25, 100 and 400 tasks. More tasks make every engine cheaper per task at first: they
# share what a call costs whatever their number, which the last figure estimates. Caches show if the closed form then
# *turns* and native does not. Do not expect a cliff: NumPy's products and the cost of its calls hide most of it.
#
# **Threads** go over *tasks*, not inside an operation: two threads that share a product of 10 × 40 numbers wait for each
# other longer than they compute. That is why we set one thread at the top, and why the library does so around its own
# threads. Try `torch.set_num_threads(2)` and `CLOCK = time.perf_counter` (to the process clock two threads that are busy
# for a second count as two), then the ladder again, on an idle machine: vmap shares operations, native shares tasks.
#
# </details>


# %% jupyter={"source_hidden": true}
def caches():
    """{"L1": "48K", …} of the first core, where Linux tells."""
    folder, sizes = Path("/sys/devices/system/cpu/cpu0/cache"), {}
    for index in sorted(folder.glob("index*")):
        what = {name: (index / name).read_text().strip() for name in ("level", "type", "size")}
        if what["type"] != "Instruction":
            sizes[f"L{what['level']}"] = what["size"]
    return sizes


print("caches:", caches() or "this system does not tell")
engines = [name for name in ("closed", "native") if name == "closed" or name in rungs]
learners = {name: mt.MAML(model, F.mse_loss, ALPHA, STEPS, engine=name) for name in engines}
sizes = (5, 25, 100, 400)
batches = {n: Sinusoids(10, 10).sample(np.random.default_rng(9), tasks=n) for n in sizes}
batches = {n: b.map(lambda a: torch.tensor(a).float()) for n, b in batches.items()}
for name, learner in learners.items():
    runs = {n: lambda n=n, one=learner: one.meta_gradient(batches[n]) for n in sizes}
    whole = {n: 1e6 * np.median(own) for n, own in interleaved(runs).items()}
    fixed = whole[5] - 5 * (whole[25] - whole[5]) / 20  # where the line through both meets 0 tasks
    each = ", ".join(f"{n} tasks {whole[n] / n:.0f}" for n in sizes)
    print(f"{name}: {each} µs a task; a call alone {100 * fixed / whole[25]:.0f} % of 25 tasks")

# %% [markdown]
# ## Further C · Amdahl's law: why one fast part is not enough
#
# *10 minutes.* The engine is one part of training. What else is there? Drawing tasks and Adam's step.
#
# <details><summary>The law</summary>
#
# If a part takes the share $p$ of the time and becomes $s$ times as fast, the whole becomes
#
# $$\frac{1}{(1 - p) + p/s}$$
#
# times as fast, and never more than $1/(1-p)$, however large $s$. Take the engine as the part: on the bottom rung
# its $p$ is nearly 1, and nobody notices the rest. On the top rung the *rest* begins to count: between a tenth and a
# fifth of the time on the machine that built this notebook, and more with one inner step. Now the rest is the part,
# with its own $p$.
#
# That is what `mt.meta_train` does. For a network like this one it draws some dozens of batches ahead and hands
# them over in **one** native call, which takes as many whole outer steps, Adam included. The second cell below
# times it as a whole, sampling and all, against its parts one after the other. It takes **one** inner step, as
# chapter 07's run does: less to compute, so that the rest weighs more. (The first call compiles; it is not
# timed.)
#
# Had only the rest become free, the whole could not be more than $1/(1-p)$ times as fast, $p$ being the rest's share.
# When the measured factor is larger, the gradient's own call has become cheaper, too: nothing is handed from Python to
# native code and back at each step. (Without numba both ways are the same, and the factor is about 1.)
#
# </details>

# %% jupyter={"source_hidden": true}
family, draws = Sinusoids(shots=10, queries=10), np.random.default_rng(9)
adam = torch.optim.Adam([p.detach().clone().requires_grad_() for p in theta.values()])
for p in adam.param_groups[0]["params"]:
    p.grad = torch.ones_like(p)
drawing_and_adam = {"drawing": lambda: family.sample(draws, tasks=TASKS), "Adam": adam.step}
times = interleaved(rungs | drawing_and_adam)
rest = times["drawing"] + times["Adam"]
for name in rungs:
    shares = 100 * rest / (rest + times[name])
    low, high = interval(shares)
    print(f"{name:12} the rest takes {np.median(shares):4.1f} % of an outer step "
          f"({low:.1f} to {high:.1f})")  # fmt: skip

# %% jupyter={"source_hidden": true}
learner = mt.MAML(mt.MLP(1, 40, 40, 1), F.mse_loss, inner_lr=ALPHA, inner_steps=1)


def train(iterations=640):
    mt.meta_train(learner, family, iterations, meta_batch=TASKS, device="cpu", progress=False)


train(64)
one_step = {"gradient": lambda: learner.meta_gradient(batch), "640 whole steps": train}
times = interleaved(one_step | drawing_and_adam)
rest = times["drawing"] + times["Adam"]
p = rest / (rest + times["gradient"])
found = {
    "the rest's share p of gradient + rest": p,
    "were the rest free, times as fast": 1 / (1 - p),
    "whole outer steps, times as fast": 640 * (times["gradient"] + rest) / times["640 whole steps"],
}
for what, values in found.items():
    low, high = interval(values)
    print(f"{what:38} {np.median(values):.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# ## Further D · On a GPU
#
# *2 minutes.* A GPU has a far higher ceiling and costs more to start an operation: it needs many tasks, or wide
# networks.
#
# <details><summary>What to expect</summary>
#
# Take the live figure's 10 µs to start and 2000 Gflops per second. The largest product of 25 tasks then takes
# 10 + 0.4 µs, that of 1000 tasks 10 + 16 µs, and all smaller operations are nearly all start: forty times the work
# should take no more than two or three times as long. A GPU also answers before it has finished, so that a clock
# without `torch.cuda.synchronize()` measures how fast Python *asks*. The cell runs where there is a GPU. This
# course has not been run on one yet, so there are no recorded figures to show, and we print none that we have not
# measured.
#
# </details>

# %% jupyter={"source_hidden": true}
if torch.cuda.is_available():
    gpu_model = mt.MLP(1, 40, 40, 1).cuda()
    learner = mt.MAML(gpu_model, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS, engine="lean")
    many = [Sinusoids(10, 10).sample(np.random.default_rng(9), tasks=n) for n in (25, 1000)]
    on_gpu = [b.map(lambda part: torch.tensor(part).float().cuda()) for b in many]
    for each in on_gpu:
        learner.meta_gradient(each)  # warm-up
    wall = time.perf_counter
    few, lots = (seconds(lambda b=b: learner.meta_gradient(b), clock=wall) for b in on_gpu)
    print(torch.cuda.get_device_name(), f"1000 tasks take {lots / few:.1f} times as long as 25")
else:
    print("No GPU here: nothing measured, nothing to show.")

# %% [markdown]
# ## Further E · Two processes, one gradient
#
# *8 minutes.* With more machines than one, split the tasks: every process computes the gradient of its share, and
# one *all-reduce* sums them.
#
# <details><summary>How the shares become one gradient</summary>
#
# The meta-gradient is a mean over *tasks*. 25 tasks do not divide by two: one process has 12 of them, the
# other 13. The mean of the two means would count each of the 12 more than each of the 13; so every process weights
# its mean by its number of tasks, all sum up, and the sum is divided by 25 (exercise 09.3). `torchrun` starts
# the processes. Here two on your own machine; then the same gradient in this process, alone.
#
# A whole training on two processes is one command: `torchrun --standalone --nproc-per-node 2 -m maml_edu.train`.
# For a network as small as this one it gains little or loses: sending the gradient must be cheaper than what it
# saves (`docs/scaling.md` has measurements). Split what takes long.
#
# </details>

# %% jupyter={"source_hidden": true}
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


# %% jupyter={"source_hidden": true}
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


# %% jupyter={"source_hidden": true}
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
# ## Further reading
#
# - Pearlmutter (1994), *Fast Exact Multiplication by the Hessian*, Neural Computation 6(1), pages 147–160.
#   *Further A* is its section on backpropagation.
# - Williams, Waterman & Patterson (2009), *Roofline: An Insightful Visual Performance Model for Multicore
#   Architectures*, Communications of the ACM 52. The roof with bytes in place of starts.
# - Amdahl (1967), *Validity of the Single Processor Approach to Achieving Large Scale Computing Capabilities*,
#   AFIPS. Three pages; the formula is in the argument, not in print.
# - Rajeswaran, Finn, Kakade & Levine (2019), *Meta-Learning with Implicit Gradients*, arXiv 1909.04630. How to
#   keep no path at all, at the price of an approximation.
#
# **Next:** [the exercises of this chapter](../exercises/09_fast_maml.ipynb), then
# [10 · Few-shot images](10_few_shot_images.ipynb) · back to [the map of the
# course](../notebooks/00_start_here.ipynb)
