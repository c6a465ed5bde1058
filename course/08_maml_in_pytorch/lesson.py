# %% [markdown]
# # 08 · MAML in PyTorch
#
# *Same numbers, other machine?*

# %% [markdown]
# **You will be able to**
#
# - run an `nn.Module` at parameters of your choice, so that a gradient can flow through an update;
# - point to the line that switches the second order on, and prove that it works;
# - write the meta-gradient with `autograd.grad` and with `torch.func`, put a PyTorch optimiser around it, and
#   see NumPy, your loop and `maml_edu.pytorch` agree to $10^{-12}$;
# - name the bug from the gradient that a broken MAML returns.
#
# **Needs** chapters 04 and 07 · **about 60 minutes**, 10 more to play with the live figure, and 30 for the three parts at
# the end that are marked *further*: buffers, why the order of `vmap` and `grad` matters, and two bugs that leave more than a
# gradient behind · CPU; no GPU, no download

# %% [markdown]
# ## Predict
#
# A colleague shows you one task of their MAML in PyTorch:
#
# ```python
# slope = torch.autograd.grad(loss(theta, support_x, support_y), list(theta.values()))
# phi = {name: theta[name] - 0.02 * g for name, g in zip(theta, slope)}
# loss(phi, query_x, query_y).backward()
# ```
#
# Compare it with the meta-gradient of chapter 04. What will happen when it runs? Write down
# your guess before you unfold the answer.
#
# - (a) PyTorch stops with an error.
# - (b) The gradients are zero or `None`: nothing is learned.
# - (c) It runs, the loss falls, and the gradient is not MAML's.
# - (d) Nothing: PyTorch finds the second order by itself.
#
# <details><summary>Answer</summary>
#
# (c). Without `create_graph=True` the slope is a constant for PyTorch: the factor $I - \alpha H_{\text{S}}$ of
# chapter 04 becomes $I$, and what is left is first-order MAML. No error, no warning, a falling loss.
# People ask about it again and again (issues 17, 26, 32 and 63 of dragen1860/MAML-Pytorch, say), and a loss curve
# on its own does not show it: nothing in it says how low it should have been. This lesson gives you three ways to see it.
#
# </details>

# %% [markdown]
# ## PyTorch in ten lines
#
# A **tensor** is PyTorch's array. One with `requires_grad=True` remembers what is computed from it; that
# record is the **graph** (chapter 02's tape), and a tensor's own part of it is its *history*: `grad_fn`, the operation that
# made it. A tensor that nothing made, such as a parameter, is a **leaf**; its `grad_fn` is `None`.
# `torch.autograd.grad(y, x)` walks the graph back from y to x and returns dy/dx, one entry per input.
# `y.backward()` does so too and *adds* the result to what is in `x.grad`. `detach()` gives the number without
# the record.

# %%
import torch


def has_history(tensor):
    return tensor.grad_fn is not None


x = torch.tensor(3.0, requires_grad=True)
y = x**2
print("autograd.grad:", torch.autograd.grad(y, x, retain_graph=True)[0].item())  # keep the graph …
y.backward()  # … because we walk it twice
print("backward, x.grad:", x.grad.item())
print("history:  x", has_history(x), "  y", has_history(y), "  y.detach()", has_history(y.detach()))

# %% [markdown]
# ## One problem for all
#
# Four sine waves with 5 support and 10 query examples each (seed 8), the network 1-40-40-1 of
# chapter 07 in float64, two inner steps. The same data and the same initial parameters go into
# every program below.

# %%
import copy
import textwrap
from functools import partial

import numpy as np
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, grad_and_value, vmap

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.checks import WrongAnswer, check_gradient, diagnose_meta_gradient
from maml_edu.figures import Curve, Scene, draw, nine_suspects, number, show_source, where_bugs_cut
from maml_edu.tasks import Sinusoids, TaskBatch

ALPHA, STEPS = 0.02, 2
torch.manual_seed(8)
model = mt.MLP(1, 40, 40, 1).double()
arrays = Sinusoids(shots=5, queries=10).sample(np.random.default_rng(8), tasks=4)
batch = arrays.map(torch.tensor)
print(model)
print("support", tuple(batch.support_x.shape), " query", tuple(batch.query_x.shape))

# %% [markdown]
# ## A module owns its parameters; MAML needs a function of them
#
# MAML's mathematics runs *one* network at *several* parameters: at θ, and at every task's φ. An
# `nn.Module` holds one set of parameters and runs at that. `functional_call(model, params, (x,))`
# runs it at any dict of tensors under the module's own names; the module's parameters are not changed.

# %%
theta = dict(model.named_parameters())
x = batch.support_x[0]
for name, parameter in theta.items():
    print(f"{name:9} {tuple(parameter.shape)}")

zeros = {name: torch.zeros_like(parameter) for name, parameter in theta.items()}
print("at θ: same as model(x):", torch.equal(functional_call(model, theta, (x,)), model(x)))
print("at 0: largest output:  ", functional_call(model, zeros, (x,)).abs().max().item())

# %% [markdown]
# Why not write φ into the module and call that? Because a module's parameters are leaves, and stay leaves.
# Copying φ in keeps its numbers and drops the graph. Here φ is computed from one
# number `scale`; a derivative with respect to `scale` must flow back through φ.

# %%
scale = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
phi = {name: scale * parameter for name, parameter in theta.items()}

output = functional_call(model, phi, (x,)).mean()
print(f"functional_call:   {torch.autograd.grad(output, scale)[0].item():.6f}")

copied = copy.deepcopy(model)
copied.load_state_dict(phi)  # the same numbers …
output = copied(x).mean()
print("copied into it:   ", torch.autograd.grad(output, scale, allow_unused=True)[0])

# %% [markdown]
# `None` means: *no way leads back*. (Without `allow_unused=True` PyTorch stops with an error here, and is right to.) The
# same happens with `parameter.data = …`, `parameter.copy_(…)`
# under `torch.no_grad()`, and `optimiser.step()`.
# (One warning, if your module has a batch norm: `functional_call` may write to its running mean. The first part marked
# *further* shows it.)
#
# From here on the loss is a function of a dict, as it was in NumPy: `loss(params, x, y)`, one number for one task.


# %%
def loss(params, x, y):
    """Mean squared error of `model` at `params` on one task: x, y (examples, 1)."""
    return F.mse_loss(functional_call(model, params, (x,)), y)


def slope_of(value, params, **how):
    """d value / d params as a dict like params; `how` goes to torch.autograd.grad."""
    return dict(zip(params, torch.autograd.grad(value, list(params.values()), **how), strict=True))


print(f"loss of task 0 at θ: {loss(theta, batch.support_x[0], batch.support_y[0]).item():.6f}")

# %% [markdown]
# ## Where the second order is: one keyword
#
# As small as possible: one number θ, and $L_{\text{S}}(\theta) = L_{\text{Q}}(\theta) = \tfrac12 a\theta^2$ for
# support and query. Chapter 04's meta-gradient is $(1 - \alpha a)\,L_{\text{Q}}'(\varphi)$, where $a$ is the
# curvature of the *support* loss; first-order drops the factor. With $a = 1$, $\theta = 2.5$, $\alpha = 0.4$ one step
# leads to $\varphi = 1.5$: the meta-gradient is $0.9$, the first-order one $1.5$. Which one does PyTorch give?


# %%
def through_one_step(create_graph):
    """dL_Q(φ)/dθ for L_S = L_Q = ½θ², with the inner slope recorded or not."""
    theta = torch.tensor(2.5, requires_grad=True)
    (slope,) = torch.autograd.grad(0.5 * theta**2, theta, create_graph=create_graph)
    phi = theta - 0.4 * slope
    print(
        f"create_graph={create_graph!s:5}  slope has a history: {has_history(slope)!s:5}", end="  "
    )
    return torch.autograd.grad(0.5 * phi**2, theta)[0].item()


for create_graph in (True, False):
    print(f"dL_Q(φ)/dθ = {through_one_step(create_graph):.2f}")

# %% [markdown]
# `create_graph=True` says: *record the computation of this gradient too, I want to differentiate it
# again*. That one keyword is all the second order there is in PyTorch's classical interface. Without
# it the slope is a plain number, and the derivative sees $\varphi = \theta - \text{constant}$: the trap of chapter 02's
# tape again, and as silent.
#
# What does it cost? Arithmetic: on the way back each inner step multiplies a vector by $I - \alpha H_{\text{S}}$
# ([chapter 05](05_hessians.ipynb), [chapter 06](06_many_inner_steps.ipynb)). And memory: the graphs of *all* inner steps
# are kept until the way back has passed them, so it
# grows with their number ([chapter 09](09_fast_maml.ipynb) keeps one at a time). First-order forgets the graph of a step
# as soon as its slope is there.

# %% [markdown]
# ## The textbook loop
#
# Algorithm 1 of the paper, task after task, with the support and query sets of its Algorithm 2: inner steps with
# a recorded graph, mean of the query losses, one gradient with respect to θ.


# %%
def inner(theta, x, y):
    """φ: θ after `STEPS` recorded gradient steps on one task's support set."""
    phi = theta
    for _ in range(STEPS):
        slope = slope_of(loss(phi, x, y), phi, create_graph=True)
        phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
    return phi


def mean_query_loss(theta, batch, inner):
    """The meta-loss: query loss at each task's φ, mean over the tasks."""
    losses = [loss(inner(theta, sx, sy), qx, qy) for sx, sy, qx, qy in batch]
    return torch.stack(losses).mean()


def textbook(theta, batch):
    """(meta-loss, meta-gradient like θ)."""
    value = mean_query_loss(theta, batch, inner)
    return value.detach(), slope_of(value, theta)


value, grads = textbook(theta, batch)
print(f"meta-loss {value.item():.6f}")
print("first bias, first five slopes:", grads["0.bias"][:5].numpy().round(4))

# %% [markdown]
# ## The same with `torch.func`
#
# `torch.func`, first met in chapter 05, has the functional tools of chapter 07 for tensors: `grad(f)` is the function that
# computes $\nabla f$ with respect to its *first* argument. Here that is a dict, and so is the gradient, under the same
# names. It can always be differentiated again: there is no keyword to forget.
# `vmap(f)` runs `f` for every entry of a leading axis **at once**, so the Python loop over tasks
# goes. `grad_and_value` gives both. Algorithm 1 takes one gradient, that of the sum over the tasks; so does the textbook
# loop, of their mean. Here we take each task's gradient first, and then the mean of these. For the mean that is the same
# on paper.


# %%
def query_loss(loss, theta, support_x, support_y, query_x, query_y):
    """Query loss of ONE task after adaptation."""
    phi = theta
    for _ in range(STEPS):
        slope = grad(loss)(phi, support_x, support_y)
        phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
    return loss(phi, query_x, query_y)


AXES = (None, 0, 0, 0, 0)  # θ is shared, the data have a task axis


def functional(theta, batch, loss=loss):
    """(meta-loss, meta-gradient like θ): each task's gradient, all side by side, then the mean."""
    task_gradients = vmap(grad_and_value(partial(query_loss, loss)), in_dims=AXES)
    slopes, values = task_gradients(theta, *batch.arrays)  # slopes[name]: (tasks, *parameter)
    return values.mean(), {name: slope.mean(0) for name, slope in slopes.items()}


print(f"meta-loss {functional(theta, batch)[0].item():.6f}")

# %% [markdown]
# In essence that is `maml_edu.pytorch`. The second part marked *further* unfolds its five functions, and shows why
# it takes each task's gradient first and the mean afterwards.

# %% [markdown]
# ## Three machines, one number
#
# `maml_edu.reference` needs the loss in plain NumPy. Under the module's own names it is three lines
# (`nn.Linear` stores its weight as (outputs, inputs), hence the `.T`). Then everybody computes the
# meta-gradient of the same batch at the same θ.


# %%
def numpy_loss(params, x, y):
    """The same network and loss in NumPy, under PyTorch's names."""
    hidden = np.maximum(x @ params["0.weight"].T + params["0.bias"], 0)
    hidden = np.maximum(hidden @ params["2.weight"].T + params["2.bias"], 0)
    return np.mean((hidden @ params["4.weight"].T + params["4.bias"] - y) ** 2)


numpy_theta = {name: parameter.detach().numpy() for name, parameter in theta.items()}
theta32 = {name: parameter.detach().float() for name, parameter in theta.items()}
numpy_value, numpy_grads = ref.meta_gradient(numpy_loss, numpy_theta, arrays, ALPHA, STEPS)
results = {
    "loop with create_graph": textbook(theta, batch),
    "torch.func": functional(theta, batch),
    "maml_edu.pytorch": mt.meta_gradient(loss, theta, batch, ALPHA, STEPS),
    # the library casts the data to θ's dtype
    "the same in float32": mt.meta_gradient(loss, theta32, batch, ALPHA, STEPS),
}


# %%
def apart(grads, right):
    """Largest difference over all parameters, relative to the largest slope: as a power of ten."""
    gap = max(np.abs(grads[n].detach().numpy() - right[n]).max() for n in right)
    size = max(np.abs(right[n]).max() for n in right)
    return f"< 1e{max(-12, int(np.ceil(np.log10(gap / size + 1e-300)))):03d}"


print(f"{'who':24} {'meta-loss':>16}   gradient differs by")
print(f"{'NumPy (reference)':24} {numpy_value:16.12f}   –")
for who, (value, grads) in results.items():
    digits = 12 if value.dtype == torch.float64 else 5
    print(
        f"{who:24} {value.item():{4 + digits}.{digits}f}{'':{12 - digits}}   {apart(grads, numpy_grads)}"
    )

# %% [markdown]
# The order of the additions differs, so the last bits may; in float64 that leaves an error near
# $10^{-15}$ (the table stops at $10^{-12}$). In **float32**, what networks are usually trained in, a number keeps 24
# significant bits, about 7 digits, and some of them are lost in the inner steps. For training that is plenty. For *finding bugs*
# it is not: compare in float64, where a right program and a wrong one are ten orders of magnitude apart.

# %% [markdown]
# ## The outer loop, in full
#
# A meta-gradient is a gradient, so any PyTorch optimiser can take the step. An optimiser reads `parameter.grad` and
# changes the parameters in place; it does not care who filled `.grad`. So: compute the meta-gradient,
# put it into `.grad`, step. Nothing of `maml_edu` but the sine waves is in this cell. The loss is built from `student`,
# because our `loss` always runs `model`: a student of the same shapes but with tanh units would be trained as if it had
# `model`'s ReLUs, without an error.


# %%
def train(student, iterations, meta_batch=25, beta=0.005, seed=8):
    """MAML's outer loop with Adam: the meta-loss of every iteration; `student` is trained in place."""
    theta = dict(student.named_parameters())
    loss = lambda params, x, y: F.mse_loss(functional_call(student, params, (x,)), y)
    optimiser = torch.optim.Adam(student.parameters(), lr=beta)
    tasks, rng, history = Sinusoids(shots=5, queries=10), np.random.default_rng(seed), []
    for _ in range(iterations):
        new_tasks = tasks.sample(rng, tasks=meta_batch).map(torch.tensor)
        value, slopes = functional(theta, new_tasks, loss)
        for name, parameter in theta.items():
            # θ asks for gradients, so what torch.func returns carries a graph: drop it.
            # And =, not +=: what was in .grad is from the step before.
            parameter.grad = slopes[name].detach()
        optimiser.step()  # in place is right here: the graph of this iteration has been used
        history.append(value.item())
    return history


history = train(copy.deepcopy(model), iterations=150)
for first in (0, 50, 100):
    print(
        f"meta-loss, iterations {first:3} to {first + 49}: {np.mean(history[first : first + 50]):.2f}"
    )

# %% [markdown]
# With these two cells, that of `functional` and that of `train`, you can do MAML in most PyTorch projects: put your tasks in
# the place of the sine waves and your loss in the place of `F.mse_loss`, and set `ALPHA` and `STEPS`. Three remarks:
#
# - Two common kinds of layers stop with an error inside `vmap`. Dropout needs `vmap(…, randomness="different")`. Batch
#   norm in training mode writes to its running mean (see *Further*); it needs `track_running_stats=False`. Some
#   others, such as `nn.GRU`, stop too: take the textbook loop for them.
# - With the textbook loop you may also write `value.backward()`, which fills `.grad` by itself. It *adds*, so
#   call `optimiser.zero_grad()` first. Do not use `.backward()` for the *inner* slopes: it would add
#   these to the `.grad` of θ, too.
# - The library's form of this is `mt.meta_train`, or, one step at a time, `mt.OuterStep(learner, meta_lr=…)(batch)`.

# %% [markdown]
# ## Is the second order on? Two tests for your own code
#
# **One:** finite differences of the meta-loss, along chapter 02's random directions. They know nothing of graphs.


# %%
def meta_loss_of(params):
    """The meta-loss at NumPy parameters, computed by PyTorch: what the gradient must belong to."""
    tensors = {name: torch.tensor(value) for name, value in params.items()}
    return mt.meta_loss(loss, tensors, batch, ALPHA, STEPS).item()


def gradient_of(params, first_order=False):
    """The meta-gradient as NumPy arrays, computed by PyTorch."""
    tensors = {name: torch.tensor(value) for name, value in params.items()}
    grads = mt.meta_gradient(loss, tensors, batch, ALPHA, STEPS, first_order)[1]
    return {name: slope.numpy() for name, slope in grads.items()}


check_gradient(meta_loss_of, gradient_of, numpy_theta)
try:
    check_gradient(meta_loss_of, lambda params: gradient_of(params, True), numpy_theta)
except WrongAnswer as wrong:
    print(f"✗ first_order=True: {wrong}")

# %% [markdown]
# **Two:** `diagnose_meta_gradient` computes with NumPy what the right meta-gradient and some thirty known
# mistakes would give for your problem, and says which of them yours is.


# %%
def report(name, grads, batch=arrays):
    """Print what the checker says of a gradient for our problem."""
    said = diagnose_meta_gradient(grads, numpy_loss, numpy_theta, batch, ALPHA, STEPS)
    print(textwrap.fill(f"{name}: {said}", 96), end="\n\n")


report("textbook", textbook(theta, batch))
report("in float32", mt.meta_gradient(loss, theta32, batch, ALPHA, STEPS)[1])

# %% [markdown]
# ## The bug hunt
#
# Nine suspects. Each looks like a MAML that you could find on the web; each has one bug. Seven come here, in
# two rounds; the last two in the third part marked *further*. Read, and
# **write down for each**: does it stop with an error? If not, is its gradient *right, first-order, zero,
# or something else*? Then run the cell after the round.
#
# ### Round 1


# %%
def suspect_1(theta, batch):
    def inner(theta, x, y):
        phi = theta
        for _ in range(STEPS):
            slope = slope_of(loss(phi, x, y), phi)
            phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
        return phi

    return slope_of(mean_query_loss(theta, batch, inner), theta)


def suspect_2(theta, batch):
    def inner(theta, x, y):
        phi = theta
        for _ in range(STEPS):
            slope = slope_of(loss(phi, x, y), phi, create_graph=True)
            phi = {name: phi[name] - ALPHA * slope[name].detach() for name in phi}
        return phi

    return slope_of(mean_query_loss(theta, batch, inner), theta)


# %%
def suspect_3(theta, batch):
    total = {name: torch.zeros_like(parameter) for name, parameter in theta.items()}
    for support_x, support_y, query_x, query_y in batch:
        learner = copy.deepcopy(model)  # θ stays untouched
        optimiser = torch.optim.SGD(learner.parameters(), lr=ALPHA)
        for _ in range(STEPS):
            optimiser.zero_grad()
            F.mse_loss(learner(support_x), support_y).backward()
            optimiser.step()
        optimiser.zero_grad()
        F.mse_loss(learner(query_x), query_y).backward()
        for name, parameter in learner.named_parameters():
            total[name] += parameter.grad / len(batch)
    return total


# %% [markdown]
# Guesses written down? Then run the next cell: the checker judges the three gradients.

# %%
first_round = {
    "1 forgets create_graph": suspect_1(theta, batch),
    "2 detaches the slope": suspect_2(theta, batch),
    "3 deep-copies the model": suspect_3(theta, batch),
}
for name, grads in first_round.items():
    report(name, grads)

first = mt.meta_gradient(loss, theta, batch, ALPHA, STEPS, first_order=True)[1]
for name, grads in first_round.items():
    gap = max((grads[n] - first[n]).abs().max().item() for n in first)
    print(
        f"{name:23} differs from mt.meta_gradient(..., first_order=True) by less than 1e-12: {gap < 1e-12}"
    )

# %% [markdown]
# Three different bugs, **one gradient**: the first-order one. From the gradient alone nobody can
# tell them apart, and no checker can. (Chosen on purpose it is an algorithm, first-order MAML;
# chapter [11](11_maml_family.ipynb) asks when it is good enough. Here somebody wanted MAML and got first-order without asking for
# it.) The *graph* tells them apart. Ask the slope and φ whether they have a history, and differentiate $\sum\varphi$
# with respect to θ: along the straight way alone that gives ones, exactly.

# %%
sx, sy = batch.support_x[0], batch.support_y[0]
recorded = slope_of(loss(theta, sx, sy), theta, create_graph=True)["0.weight"]
unrecorded = slope_of(loss(theta, sx, sy), theta)["0.weight"]
start = theta["0.weight"]


def through(phi):
    """What d Σφ / dθ is."""
    (back,) = torch.autograd.grad(phi.sum(), start, retain_graph=True, allow_unused=True)
    return "no way back" if back is None else "all ones" if (back == 1).all() else "not all ones"


print(f"{'':23} slope has a history   φ has a history   d Σφ / dθ")
for who, slope, phi in (
    ("right", recorded, start - ALPHA * recorded),
    ("1 forgets create_graph", unrecorded, start - ALPHA * unrecorded),
    ("2 detaches the slope", recorded, start - ALPHA * recorded.detach()),
    ("3 deep-copies the model", unrecorded, (start - ALPHA * unrecorded).detach().requires_grad_()),
):
    print(f"{who:23} {has_history(slope)!s:21} {has_history(phi)!s:17} {through(phi)}")

# %% [markdown]
# In its histories suspect 2 looks like the right program: slope and φ both have one, and only the way between
# them is cut. The ones give it away. So, in this order, when the checker says *first-order*: look for a lost history in
# the slope (`create_graph`), then for a φ that is a leaf (`deepcopy`, `load_state_dict`, `optimiser.step()`), then, if
# there are ones in spite of both histories, for a cut between a good slope and φ (`detach`, `.data`, `.item()`).
#
# ### Round 2
#
# Error? Right, first-order, zero, or something else?


# %%
def suspect_4(theta, batch):
    def inner(theta, x, y):
        phi = {name: parameter.detach().requires_grad_() for name, parameter in theta.items()}
        for _ in range(STEPS):
            slope = slope_of(loss(phi, x, y), phi, create_graph=True)
            phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
        return phi

    value = mean_query_loss(theta, batch, inner)
    slopes = torch.autograd.grad(value, list(theta.values()), allow_unused=True)
    return {
        name: torch.zeros_like(theta[name]) if slope is None else slope
        for name, slope in zip(theta, slopes, strict=True)
    }


def suspect_5(theta, batch):
    losses = [
        loss(inner(theta, support_x, support_y), support_x, support_y)
        for support_x, support_y, query_x, query_y in batch
    ]
    return slope_of(torch.stack(losses).mean(), theta)


# %%
def suspect_6(theta, batch):
    total = 0.0
    for support_x, support_y, query_x, query_y in batch:
        total = total + loss(inner(theta, support_x, support_y), query_x, query_y)
    return slope_of(total, theta)


def suspect_7(theta, batch):
    def inner(theta, x, y):
        phi = theta
        for _ in range(STEPS):
            slope = slope_of(loss(theta, x, y), theta, create_graph=True)
            phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
        return phi

    return slope_of(mean_query_loss(theta, batch, inner), theta)


# %%
report("4 silences an error", suspect_4(theta, batch))
report("5 judges on the support set", suspect_5(theta, batch))
report("6 sums over the tasks", suspect_6(theta, batch))
report("7 keeps a stale slope", suspect_7(theta, batch))

# %% [markdown]
# - **Suspect 4** starts φ as new leaves, so nothing leads back to θ. PyTorch had noticed and stopped,
#   *"One of the differentiated Tensors appears to not have been used in the graph. Set
#   allow_unused=True if this is the desired behavior"*; somebody followed the advice. An error that
#   is silenced comes back as a zero.
# - **Suspect 5** asks how well φ fits what it has just been fitted to. The graph is perfect.
# - **Suspect 6** has the right direction. With plain gradient descent it is an outer rate four times
#   too large. Adam divides by the gradient's own size, so hardly anything happens, as long as the meta-batch
#   keeps its size. If that grows *during* a run, Adam still remembers the smaller gradients, and
#   for a while its steps are too long.
# - **Suspect 7** is right for one inner step. Test with two or more: a test with `STEPS = 1` would have
#   let it go.
#
# And if the checker knows no name for what you have? **Make the problem smaller until it has one**: one task, one
# inner step, $\alpha = 0$. Whatever goes away tells you where to look. (Given a function or a learner in place of
# a gradient, `diagnose_meta_gradient` does so by itself.) *Large to find a bug, small to name it.*
#
# So these are the three ways to see a missing second order: finite differences, `diagnose_meta_gradient`, and the graph.
# Of the graph, ask for $d\sum\varphi / d\theta$ too: histories alone miss a `detach` in between, as you saw with suspect 2.
#
# ## Where the bugs cut
#
# From the query loss two ways lead back through φ to θ: straight (factor $I$: all that first-order
# keeps) and through the slope (factor $-\alpha H_{\text{S}}$). Suspect 1 cuts the second way between θ and the slope,
# suspect 2 between the slope and φ, suspect 3 cuts both at φ and suspect 4 both at θ. (8 and 9: in the last part. The
# arrows point forward, in the order of the computation; the gradient goes against them.)

# %%
where_bugs_cut()

# %% [markdown]
# ## The bug hunt, live
#
# *10 minutes, to play.* Now on a problem that fits on paper: four noisy straight lines, θ = steepness w and intercept b. Left, 60
# outer steps with the right meta-gradient and with one suspect's. Right, the first outer step of
# every suspect. Try:
#
# 1. Suspect 1: set the inner steps to **one** (the figure begins with two), and try the inner rates 0.05, 0.2, 0.3.
#    When does first-order stop being "nearly the
#    same"? Then two inner steps.
# 2. Suspects 1, 2 and 3 in turn. What changes?
#
# <details><summary>Further: three more to try</summary>
#
# 3. Suspect 7 with one inner step, then with two.
# 4. Suspect 6 at α = 0.2 and at α = 0.05, one inner step. Why does it fly off at the smaller rate?
# 5. Drag θ. Towards which place do suspects 5 and 8 go, wherever they start? (Suspects 8 and 9 are introduced
#    in the third part marked *further*.)
#
# </details>

# %%
nine_suspects()

# %% [markdown]
# ## What a bug costs, and why the curve does not show it
#
# Four programs are trained on sine waves (5 shots, 200 iterations: a start, not chapter 07's full
# experiment), each with three seeds: the right one; suspect 1, first-order; suspect 5, which swaps the query set
# for the support set before the batch reaches the learner (so it sees exactly the support sets that the right program
# sees); and one with a small bug that we have not met, a
# forgotten weight decay, which adds $0.01\,\varphi$ to each inner slope.
# `engine="plain"` asks for the functions of this chapter. If you leave it out, `MAML` chooses a faster way to
# the same gradient; chapter 09 is about those.


# %%
class JudgedOnSupport(Sinusoids):
    """Sine waves whose query set is the support set: suspect 5 as a task family."""

    def sample(self, rng, tasks=25):
        batch = super().sample(rng, tasks)
        return TaskBatch(batch.support_x, batch.support_y, batch.support_x, batch.support_y)


def with_decay(params, slopes, state, rate):
    """An inner step with a weight decay that nobody asked for."""
    return {n: p - rate * (slopes[n] + 0.01 * p) for n, p in params.items()}, state


honest = Sinusoids(shots=5, queries=10)
programs = {  # name: (what it trains on, how its learner differs)
    "right": (honest, {}),
    "first-order": (honest, {"first_order": True}),
    "judged on support": (JudgedOnSupport(shots=5, queries=10), {}),
    "weight decay inside": (honest, {"inner_optimiser": with_decay}),
}


# %%
def train_program(tasks, seed, **bug):
    """(losses in training, MSE after one right step on 600 new waves)."""
    torch.manual_seed(seed)  # the same initial network for all
    learner = mt.MAML(mt.MLP(1, 40, 40, 1), F.mse_loss, inner_lr=0.01, engine="plain", **bug)
    history = mt.meta_train(learner, tasks, iterations=200, meta_lr=5e-3, seed=seed, device="cpu")
    tester = mt.MAML(learner.model, F.mse_loss, inner_lr=0.01)
    return history, mt.evaluate(tester, honest, episodes=600, steps=1)


runs = {
    name: [train_program(tasks, seed, **bug) for seed in (8, 9, 10)]
    for name, (tasks, bug) in programs.items()
}


# %%
def in_words(gap):
    """Median of the differences after one step, with its 95 % interval."""
    return "{} ({} to {})".format(
        *(number(value, places=2) for value in (gap.median[1], *gap.median_ci95[:, 1]))
    )


print(
    "three seeds each      last 100 of 200 its.   MSE, 600 new waves   MSE − the right one's, wave by wave: median"
)
for name, trained in runs.items():
    losses = "  ".join(f"{np.mean(history.loss[-100:]):.2f}" for history, _ in trained)
    errors = "  ".join(f"{result.mean[1]:.2f}" for _, result in trained)
    pairs = zip(trained, runs["right"], strict=True)
    gaps = [in_words(result - right) for (_, result), (_, right) in pairs]  # of the same 600 waves
    print(
        f"{name:20} {losses:^19} {errors:^19}   {'' if name == 'right' else '  '.join(gaps)}".rstrip()
    )

# %%
roles = ("maml", "first_order", "support", "path")
curves = [
    Curve(np.arange(30, 201), trained[0][0].smoothed(30)[29:], role, name)  # from a full window on
    for (name, trained), role in zip(runs.items(), roles, strict=True)
]
draw(
    Scene(
        title="All losses fall; the lowest one belongs to a bug",
        alt="Four falling curves of meta-loss over 200 iterations. The one judged on the support set "
        "lies far below the others, the first-order one in the end above them; the one with a weight "
        "decay, a thin line, lies on the right one.",
        xlabel="outer iteration (seed 8)",
        ylabel="meta-loss in training (mean of 30)",
        xlim=(0, 200),
        ylim=(0, 5),
        curves=curves,
    )
)

# %% [markdown]
# What does a bug cost on new waves? First-order 0.36, 0.10 and 0.15, in the median; the one judged on the support
# set, whose curve is the lowest, 0.15, 0.01 (the interval contains 0) and 0.16. (The
# intervals are over the 600 waves; how much a new seed changes, you see from column to column.) Next to the right curve
# these two can be seen. But whoever has a bug does not have the right curve next to it:
# each of these falls and flattens as a loss should.
#
# The third bug, the weight decay, we have chosen to be harmless: with α = 0.01 and one step it shrinks θ by a
# ten-thousandth. In two of three seeds it costs
# nothing, and in the third it takes a comparison with the right program, wave by wave, to find a hundredth. (The means
# differ by more, 2.17 and 2.21: a few hard waves, chapter 07.) No curve shows it, not even next to the right one. From
# one gradient in float64 it can be seen at once:

# %%
decayed = mt.meta_gradient(loss, theta, batch, ALPHA, STEPS, inner_optimiser=with_decay)[1]
report("weight decay inside", decayed)

# %% [markdown]
# The checker even finds the size of the decay: it looks for the number with which the two gradients agree. In
# exercise 08.5 you write such a search yourself.

# %% [markdown]
# ## What you should have seen
#
# - `functional_call` runs one module at any parameters; writing φ into a module cuts the graph (`None`).
# - One keyword, `create_graph=True`, separated $0.90$ from $1.50$; `torch.func.grad` needs no keyword.
# - NumPy, the loop, `torch.func` and the library agreed to better than $10^{-12}$ in float64; float32
#   agreed to about six digits.
# - The outer loop is an ordinary PyTorch optimiser with the meta-gradient in `.grad`.
# - Three bugs gave the very same first-order gradient; their graphs differed, and $d\sum\varphi / d\theta$ told all three
#   from the right program. Four other bugs each had a name: zero
#   everywhere, support used as query, sum for mean, stale slope.
# - In the live figure: with one inner step first-order goes nearly the right way at α = 0.05 and 0.2, and at α = 0.3 it
#   goes far away from the minimum. On the steepest task $\alpha H_{\text{S}}$ is 1.4 there: $1 - \alpha H_{\text{S}}$ is negative
#   (chapter 04), and that nearly cancels the pull of the other three tasks; from α = 0.33 on it outweighs it. With two
#   steps the factor is squared, never negative, and at these rates first-order settles next to the star, not
#   on it. With an odd number it can go away again (three steps, α = 0.35). Suspects 1 to 3 are one path.
# - All four training curves fell, and the lowest belonged to the learner that had never been judged on
#   new examples.
#
# <details><summary>Further: what the other three prompts show</summary>
#
# Suspect 7 is right until there is a second step. Suspect 6's outer step is four times too long:
# where adaptation is strong the meta-loss is flat and forgives it, at α = 0.05 it is steeper and does
# not. Suspects 5 and 8 each go to a place of their own, away from the star, whatever the start. (At the first settings
# suspect 8 ends at w = 1.22; the star is at w = −0.60.) Suspect 8
# arrives within the 60 steps, suspect 5 not always, because its way leads along a flat valley.
#
# </details>
#
# ## Three questions
#
# **1.** You replace `deepcopy` by `functional_call`, but still take the slope without `create_graph`.
# What happens to the meta-gradient?
#
# - (a) It becomes right.
# - (b) It becomes zero.
# - (c) It stays exactly as it was.
#
# <details><summary>(a) It becomes right?</summary>
#
# No. φ now has a history, but only the straight one, $\varphi = \theta - \text{constant}$. The way
# through the slope is still missing.
#
# </details>
# <details><summary>(b) It becomes zero?</summary>
#
# No. Zero (or an error) needs *both* ways cut and the gradient asked for at θ, as suspect 4 did.
#
# </details>
# <details><summary>(c) It stays exactly as it was?</summary>
#
# Yes. Before: the gradient at φ, taken for that at θ. Now: the same gradient at φ times
# $d\varphi/d\theta = I$. One bug of two has gone, and no number has changed. Look at the graph, not only
# at the loss.
#
# </details>
#
# **2.** Your meta-gradient agrees with finite differences of *your own* meta-loss to $10^{-7}$. Which bug
# can still be in your program?
#
# - (a) The query loss is taken on the support set.
# - (b) A missing `create_graph`.
# - (c) None.
#
# <details><summary>(a) The query loss on the support set?</summary>
#
# Yes. Finite differences check that a gradient belongs to *a* loss, not that it is the loss you want:
# a wrong meta-loss, correctly differentiated, passes. So do a sum for a mean, a stale slope and a weight decay.
# `diagnose_meta_gradient` has its own meta-loss and sees them.
#
# </details>
# <details><summary>(b) A missing create_graph?</summary>
#
# No. Finite differences move θ and see what the loss really does, second order included. They would
# disagree.
#
# </details>
# <details><summary>(c) None?</summary>
#
# No: the gradient fits the loss. Whether the loss is MAML's is another question.
#
# </details>
#
# **3.** With the inner rate at α = 0 suspects 1, 2, 3 and the right program give the same gradient. Why,
# and what does this say about tests?
#
# - (a) Rounding hides the difference.
# - (b) The missing term is proportional to α.
# - (c) The Hessian is zero there.
#
# <details><summary>(a) Rounding hides it?</summary>
#
# No. In exact arithmetic they are equal too.
#
# </details>
# <details><summary>(b) The missing term is proportional to α?</summary>
#
# Yes. With one step, what is cut is $-\alpha H_{\text{S}} \nabla L_{\text{Q}}(\varphi)$. A test with a tiny α,
# like one with a single inner step, acquits too easily. To *find* a bug, test with settings where the right program and the
# wrong one differ; small settings are for *naming* one that you have found.
#
# </details>
# <details><summary>(c) The Hessian is zero?</summary>
#
# No. A Hessian may be zero along many directions (chapter 05), and along those the two agree at every α. But the
# Hessian does not depend on α; it is only multiplied by it.
#
# </details>
#
# ## Summary
#
# 1. MAML needs a function of the parameters: `functional_call(model, params, (x,))`.
# 2. Inner step: $\varphi = \theta - \alpha\nabla L_{\text{S}}(\theta)$, with
#    `autograd.grad(…, create_graph=True)` or `torch.func.grad`.
# 3. Meta-gradient for one step and n tasks:
#    $g = \frac1n\sum_i (I - \alpha H_{\text{S},i}(\theta))\,\nabla L_{\text{Q},i}(\varphi_i)$. Any cut on the way through the
#    slope, before it or after it, puts $I$ in place of $I - \alpha H_{\text{S},i}$. The step that follows
#    moves θ: put $g$ into `.grad` and let an optimiser step.
# 4. `vmap(grad_and_value(query_loss))` gives each task's gradient, all at once; their mean is the
#    meta-gradient.
# 5. Test in float64. Large to find a bug: several tasks and steps and a sizeable α. Small to name it: one task, one step,
#    $\alpha = 0$. Finite differences check that the gradient belongs to the loss, `diagnose_meta_gradient` that it is MAML's.

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Further: buffers
#
# *5 minutes; nothing later needs it. In JupyterLab this part is folded: click the arrow next to its title.*
#
# A module may hold tensors that are not parameters, its *buffers*, and `functional_call` lets the module write to them. `nn.BatchNorm1d` in training mode updates its running mean whenever it runs, at θ and at
# every task's φ. Hand in copies of the buffers as well, as in the next cell: that is enough for the textbook loop, but inside
# `vmap` it stops all the same, and there the layer needs `track_running_stats=False`. Or use the library, whose
# meta-gradient never writes to a buffer.

# %%
normed = nn.Sequential(nn.Linear(1, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 1)).double()
at_theta = dict(normed.named_parameters())
copies = {name: buffer.clone() for name, buffer in normed.named_buffers()}
learner = mt.MAML(normed, F.mse_loss, inner_lr=ALPHA, inner_steps=STEPS)


def changes_running_mean(run, *arguments):
    before = normed[1].running_mean.clone()
    run(*arguments)
    return not torch.equal(before, normed[1].running_mean)


print("Does it change the module's running mean?")
print("functional_call:         ", changes_running_mean(functional_call, normed, at_theta, (x,)))
print(
    "… with copies of buffers:",
    changes_running_mean(functional_call, normed, at_theta | copies, (x,)),
)
print("learner.meta_gradient:   ", changes_running_mean(learner.meta_gradient, batch))

# %% [markdown]
# (Whose mean and variance a batch norm *should* use in MAML is a question of its own: chapter 10.)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Further: `vmap` of gradients, or gradient of a `vmap`?
#
# *15 minutes; nothing later needs it.*
#
# Two words of `functional` could change places: the gradient of the mean of a `vmap`, in place of the mean of a `vmap` of
# gradients. The derivative of a mean is the mean of the derivatives, so on paper nothing happens; and here
# nothing happens either:


# %%
def gradient_of_vmap(theta, batch):
    """The same with two words exchanged: the mean loss of all tasks first, then its gradient."""
    losses = vmap(partial(query_loss, loss), in_dims=AXES)
    mean = lambda theta: losses(theta, *batch.arrays).mean()
    return grad(mean)(theta)


other, ours = gradient_of_vmap(theta, batch), functional(theta, batch)[1]
print(
    "they differ by", apart(other, {name: slope.detach().numpy() for name, slope in ours.items()})
)

# %% [markdown]
# But PyTorch does not do the same. With `vmap` outside it finds the derivatives of one task's operations and
# batches these; with `vmap` inside it batches the operations and has to *differentiate the batched ones*. For
# some layers that comes out wrong in second order, without a word. Batch norm is one of them: chapter 10
# measures by how much. So the library takes the gradients first, unlike the letter of Algorithm 1. The extra price: as well as every
# task's φ, which the other order holds too, the gradients of all tasks are in memory at the same time, tasks × |θ| numbers (in
# our `functional`; the library takes the tasks in chunks when they would be too many).
#
# Now you can read the library. Around what you have seen stand checks of what goes in, and choices which this lesson
# leaves at their defaults. They travel in one record, `loop`: rates per parameter and step, another rule than
# plain descent (`loop.step`), only some parameters that adapt (`adapting`), another loss inside
# (`inner_loss`), query losses after every step (`query_weights`); a loss may also differ from step to step
# (`per_step`). Unfold and compare with the NumPy version, which stands last: the inner steps are the same; the mean and the
# gradient change places.

# %%
show_source(mt.maml.adaptation)

# %%
show_source(mt.maml.slope_of)

# %%
show_source(mt.maml.query_loss)

# %%
show_source(mt.maml.mean_of_gradients)

# %%
show_source(mt.maml.mean_over_tasks)

# %%
show_source(ref.adapt)

# %%
show_source(ref.meta_loss)

# %%
show_source(ref.meta_gradient)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Further: round 3, two that leave more than a gradient behind
#
# *10 minutes; suspects 8 and 9.* One of them returns no gradient at all but a new θ, the other one changes θ
# while it computes. What does θ look like afterwards?


# %%
def suspect_8(theta, batch, beta=0.001):  # returns the new θ
    new = {name: torch.zeros_like(parameter) for name, parameter in theta.items()}
    for support_x, support_y, query_x, query_y in batch:
        phi = inner(theta, support_x, support_y)
        slope = slope_of(loss(phi, query_x, query_y), phi)
        for name in new:
            new[name] += (phi[name] - beta * slope[name]).detach() / len(batch)
    return new


def suspect_9(theta, batch):
    total = {name: torch.zeros_like(parameter) for name, parameter in theta.items()}
    for support_x, support_y, query_x, query_y in batch:
        for _ in range(STEPS):
            slope = slope_of(loss(theta, support_x, support_y), theta)
            with torch.no_grad():  # without this line PyTorch refuses to change a leaf
                for name, parameter in theta.items():
                    parameter -= ALPHA * slope[name]
        slope = slope_of(loss(theta, query_x, query_y), theta)
        for name in total:
            total[name] += slope[name] / len(batch)
    return total


# %% [markdown]
# Any outer step of plain descent can be read as one: if
# $\theta_\text{new} = \theta - \beta\, g$, then $g = (\theta - \theta_\text{new}) / \beta$.

# %%
new = suspect_8(theta, batch, beta=0.001)
as_gradient = {name: (theta[name] - new[name]).detach() / 0.001 for name in theta}
report("8 moves φ instead of θ", as_gradient)

# %% [markdown]
# Not the meta-gradient, and much longer. The slope that suspect 8 takes is the one of suspects 1 to 3;
# the difference is *where* it is applied. φ is a visitor: it serves one task. What has to move is θ, and
# by $\beta$ times the gradient alone; here the inner steps have come along into θ.

# %%
before = {name: parameter.detach().clone() for name, parameter in theta.items()}
grads = suspect_9(theta, batch)
moved = max((theta[name] - before[name]).abs().max().item() for name in theta)
model.load_state_dict(before)  # repair the damage before anybody goes on
report("9 writes in place, four tasks", grads)

one_task = batch.part(0, 1)
grads = suspect_9(theta, one_task)
model.load_state_dict(before)
report("9 writes in place, one task", grads, one_task)
print(f"θ after computing 'a gradient' had moved by up to {moved:.3f}")

# %% [markdown]
# With four tasks the checker knows no name for it, so we made the problem smaller. With
# one task it is first-order: the graph is cut. What more tasks add is that each starts where the
# one before left θ. A function that computes a gradient must leave θ as it was: three lines of a test
# (`before`, call, compare) find this whole family, `.data`, `no_grad`, `optimiser.step()`. The outer loop, where
# θ is *meant* to move, is the only place for them.
#
# ## Further reading
#
# - Finn, Abbeel & Levine (2017), *Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks*,
#   arXiv 1703.03400. Algorithms 1 and 2 are the textbook loop above; section 5.2 is where first-order comes from.
# - Grefenstette et al. (2019), *Generalized Inner Loop Meta-Learning*, arXiv 1910.01727. The paper behind
#   the library `higher`: how to differentiate through any optimiser, not only through SGD. Exercise 08.2 does it
#   for momentum.
# - Paszke et al. (2019), *PyTorch: An Imperative Style, High-Performance Deep Learning Library*, arXiv
#   1912.01703. Why the graph is recorded while the program runs.
# - Antoniou, Edwards & Storkey (2019), *How to Train Your MAML*, arXiv 1810.09502. What still goes wrong
#   when all gradients are right.
#
# **Next:** [the exercises of this chapter](../exercises/08_maml_in_pytorch.ipynb), then
# [09 · Fast MAML](09_fast_maml.ipynb) · back to [the map of the course](../notebooks/00_start_here.ipynb)
