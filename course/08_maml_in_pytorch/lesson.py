# %% [markdown]
# # 08 · MAML in PyTorch
#
# *Same numbers, other machine?*

# %% [markdown]
# **You will be able to**
#
# - run an `nn.Module` at parameters of your choice, so that a gradient can flow through an update;
# - say in which line of a PyTorch program the second order is, and prove that it is on;
# - write the meta-gradient with `autograd.grad` and with `torch.func`, and see NumPy, your loop and
#   `maml_edu.pytorch` agree to $10^{-9}$;
# - tell from the number that a broken MAML gives which bug it has.
#
# **Needs** chapters 04 and 07 · **about 45 minutes** · CPU; no GPU, no download

# %% [markdown]
# ## Predict
#
# A colleague shows you one task of their MAML in PyTorch:
#
# ```python
# slope = torch.autograd.grad(loss(theta, support_x, support_y), list(theta.values()))
# phi = {name: theta[name] - 0.02 * g for name, g in zip(theta, slope)}
# loss(phi, query_x, query_y).backward()     # fills theta[name].grad
# ```
#
# Compared with MAML's mathematics something is missing. What will happen when it runs? Write down
# your guess before you unfold the answer.
#
# - (a) PyTorch stops with an error.
# - (b) The gradients are zero or `None`: nothing is learned.
# - (c) It runs, the loss falls, and the gradient is another one than MAML's.
# - (d) Nothing: PyTorch finds the second order by itself.
#
# <details><summary>Answer</summary>
#
# (c). Without `create_graph=True` the slope is a constant for PyTorch: the factor $1 - \alpha H$ of
# chapter 04 becomes $1$, and what is left is first-order MAML. No error, no warning, a falling loss.
# It is a bug that people ask about again and again, and the loss curve does not show it. This lesson
# gives you three ways to see it.
#
# </details>

# %% [markdown]
# ## PyTorch in ten lines
#
# A **tensor** is PyTorch's array. One with `requires_grad=True` remembers what is computed from it; that
# record is the **graph**, and a tensor's own part of it is its *history* (`grad_fn`: the operation that
# made it; `None` if there is no history). `torch.autograd.grad(y, x)` walks the graph back from y to x
# and returns dy/dx, one entry per input. `y.backward()` does so too and leaves the result in `x.grad`.
# `detach()` gives the number without the record.

# %%
import torch

x = torch.tensor(3.0, requires_grad=True)
y = x**2
print("autograd.grad:", torch.autograd.grad(y, x, retain_graph=True)[0].item())  # keep the graph …
y.backward()  # … because we walk it twice
print("backward, x.grad:", x.grad.item())
print("y has a history:", y.grad_fn is not None, "  y.detach():", y.detach().grad_fn is not None)

# %% [markdown]
# ## One problem for all
#
# Four sine waves with 5 support and 10 query examples each (seed 8), the network 1-40-40-1 of
# chapter 07 in float64, two inner steps. The same data and the same initial parameters go into
# every program below.

# %%
import copy
import textwrap

import numpy as np
import torch.nn.functional as F
from torch.func import functional_call, grad, grad_and_value, vmap

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.checks import WrongAnswer, check_gradient, diagnose_meta_gradient
from maml_edu.figures import Curve, Scene, draw, nine_suspects, show_source, where_bugs_cut
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
# runs it at any dict of tensors under the module's own names; the module is not changed.

# %%
theta = dict(model.named_parameters())
x = batch.support_x[0]
for name, parameter in theta.items():
    print(f"{name:9} {tuple(parameter.shape)}")

zeros = {name: torch.zeros_like(parameter) for name, parameter in theta.items()}
print("at θ: same as model(x):", torch.equal(functional_call(model, theta, (x,)), model(x)))
print("at 0: largest output:  ", functional_call(model, zeros, (x,)).abs().max().item())

# %% [markdown]
# Why not write φ into the module and call that? Because a module's parameters are **leaves**: values
# without a history. Copying φ in keeps its numbers and drops the graph. Here φ is computed from one
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
# `None` means: *no way leads back*. The same happens with `parameter.data = …`, `parameter.copy_(…)`
# under `torch.no_grad()`, and `optimiser.step()`. So from here on the loss is a function of a dict,
# as it was in NumPy: `loss(params, x, y)`, one number for one task.


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
# Chapter 04's loss $L(\theta) = \tfrac12 a(\theta - c)^2$ has the meta-gradient
# $(1 - \alpha a)\,a(\varphi - c)$; first-order drops the factor. With $a = 1$, $c = 0$, $\theta = 2.5$,
# $\alpha = 0.4$ they are $0.9$ and $1.5$. Which one does PyTorch give?


# %%
def through_one_step(create_graph):
    """dL(φ)/dθ for L = ½θ², with the inner slope recorded or not."""
    theta = torch.tensor(2.5, requires_grad=True)
    (slope,) = torch.autograd.grad(0.5 * theta**2, theta, create_graph=create_graph)
    phi = theta - 0.4 * slope
    print(
        f"create_graph={create_graph!s:5}  slope has a history: {slope.requires_grad!s:5}", end="  "
    )
    return torch.autograd.grad(0.5 * phi**2, theta)[0].item()


for create_graph in (True, False):
    print(f"dL(φ)/dθ = {through_one_step(create_graph):.2f}")

# %% [markdown]
# `create_graph=True` says: *record the computation of this gradient too, I want to differentiate it
# again*. That one keyword is all the second order there is in PyTorch's classical interface. Without
# it the slope is a plain number, and the derivative sees $\varphi = \theta - \text{constant}$.

# %% [markdown]
# ## The textbook loop
#
# Algorithm 1 of the paper, task after task: inner steps with a recorded graph, mean of the query losses,
# one gradient with respect to θ.


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
# `torch.func` has the functional tools of chapter 07 for tensors: `grad(f)` is the function that
# computes $\nabla f$, and its result can always be differentiated again: there is no keyword to forget.
# `vmap(f)` runs `f` for every entry of a leading axis **at once**, so the Python loop over tasks
# goes. `grad_and_value` gives both. As in Algorithm 1: each task's gradient, then the mean.


# %%
def query_loss(theta, support_x, support_y, query_x, query_y):
    """Query loss of ONE task after adaptation."""
    phi = theta
    for _ in range(STEPS):
        slope = grad(loss)(phi, support_x, support_y)
        phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
    return loss(phi, query_x, query_y)


AXES = (None, 0, 0, 0, 0)  # θ is shared, the data have a task axis


def functional(theta, batch):
    """(meta-loss, meta-gradient like θ): each task's gradient, all side by side, then the mean."""
    task_gradients = vmap(grad_and_value(query_loss), in_dims=AXES)
    slopes, values = task_gradients(theta, *batch.arrays)  # slopes[name]: (tasks, *parameter)
    return values.mean(), {name: slope.mean(0) for name, slope in slopes.items()}


print(f"meta-loss {functional(theta, batch)[0].item():.6f}")

# %% [markdown]
# Two words could change places: the gradient of the mean of a `vmap`, in place of the mean of a `vmap` of
# gradients. The derivative of a mean is the mean of the derivatives, so on paper nothing happens; and here,
# too:


# %%
def gradient_of_vmap(theta, batch):
    """The same with two words exchanged: the mean loss of all tasks first, then its gradient."""
    mean = lambda theta: vmap(query_loss, in_dims=AXES)(theta, *batch.arrays).mean()
    return grad(mean)(theta)


other, ours = gradient_of_vmap(theta, batch), functional(theta, batch)[1]
print("the same numbers:", all(torch.allclose(other[n], ours[n], rtol=1e-10) for n in theta))

# %% [markdown]
# But PyTorch does not do the same. With `vmap` outside it finds the derivatives of one task's operations and
# batches these; with `vmap` inside it batches the operations and has to *differentiate the batched ones*. For
# some layers that comes out wrong in second order, without a word. Batch norm is one of them: chapter 10
# measures by how much. So the library keeps to Algorithm 1's order. The price: the gradients of all tasks are
# in memory at the same time, tasks × |θ| numbers.
#
# In essence that is `maml_edu.pytorch`. Around it stand checks of what goes in, and choices which this lesson
# leaves at their defaults. They travel in one record, `loop`: rates per parameter and step, another rule than
# plain descent (`loop.step`), only some parameters that adapt (`adapting`), another loss inside
# (`inner_loss`), query losses after every step (`query_weights`); a loss may also differ from step to step
# (`per_step`). Unfold and compare with the NumPy version: the same steps in the same order.

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
show_source(ref.meta_gradient)

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
    "the same in float32": mt.meta_gradient(loss, theta32, batch, ALPHA, STEPS),
}


# %%
def apart(grads, right):
    """Largest difference over all parameters, relative to the largest slope: as a power of ten."""
    gap = max(np.abs(grads[n].detach().numpy() - right[n]).max() for n in right)
    size = max(np.abs(right[n]).max() for n in right)
    return f"< 1e{max(-13, int(np.ceil(np.log10(gap / size + 1e-300)))):03d}"


print(f"{'who':24} {'meta-loss':>16}   gradient differs by")
print(f"{'NumPy (reference)':24} {numpy_value:16.12f}   –")
for who, (value, grads) in results.items():
    digits = 12 if value.dtype == torch.float64 else 5
    print(
        f"{who:24} {value.item():{4 + digits}.{digits}f}{'':{12 - digits}}   {apart(grads, numpy_grads)}"
    )

# %% [markdown]
# The order of the additions differs, so the last bits may; in float64 that leaves an error near
# $10^{-15}$. In **float32**, what networks are usually trained in, a number has 24 bits, about 7
# digits, and some of them are lost in the inner steps. For training that is plenty. For *finding bugs*
# it is not: compare in float64, where a right program and a wrong one are ten orders of magnitude apart.

# %% [markdown]
# ## Is the second order on? Two tests for your own code
#
# **One:** finite differences of the meta-loss. They know nothing of graphs.


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
# **Two:** `diagnose_meta_gradient` computes with NumPy what the right meta-gradient and some twenty known
# mistakes would give for your problem, and says which of them yours is.


# %%
def report(name, grads, batch=arrays):
    """Print what the checker says of a gradient for our problem."""
    said = diagnose_meta_gradient(grads, numpy_loss, numpy_theta, batch, ALPHA, STEPS)
    print(textwrap.fill(f"{name}: {said}", 96), end="\n\n")


report("textbook", textbook(theta, batch))

# %% [markdown]
# ## The bug hunt
#
# Nine suspects. Each looks like a MAML that you could find on the web; each has one bug. Read, and
# **write down for each**: does it stop with an error? If not, is its gradient *right, first-order, zero,
# or something else*? Then run the cell after the round.
#
# ### Round 1


# %%
def forgets_create_graph(theta, batch):  # suspect 1
    def inner(theta, x, y):
        phi = theta
        for _ in range(STEPS):
            slope = slope_of(loss(phi, x, y), phi)
            phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
        return phi

    return slope_of(mean_query_loss(theta, batch, inner), theta)


def detaches(theta, batch):  # suspect 2
    def inner(theta, x, y):
        phi = theta
        for _ in range(STEPS):
            slope = slope_of(loss(phi, x, y), phi, create_graph=True)
            phi = {name: phi[name] - ALPHA * slope[name].detach() for name in phi}
        return phi

    return slope_of(mean_query_loss(theta, batch, inner), theta)


# %%
def deep_copies(theta, batch):  # suspect 3
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
# Guesses written down? Then let the checker see them.

# %%
first_round = {f.__name__: f(theta, batch) for f in (forgets_create_graph, detaches, deep_copies)}
for name, grads in first_round.items():
    report(name, grads)

first = mt.meta_gradient(loss, theta, batch, ALPHA, STEPS, first_order=True)[1]
for name, grads in first_round.items():
    gap = max((grads[n] - first[n]).abs().max().item() for n in first)
    print(
        f"{name:22} differs from mt.meta_gradient(..., first_order=True) by less than 1e-12: {gap < 1e-12}"
    )

# %% [markdown]
# Three different bugs, **one number**: the first-order gradient. From the number alone nobody can
# tell them apart, and no checker can. (Chosen on purpose it is an algorithm, first-order MAML;
# a later chapter asks when it is good enough. Here somebody wanted MAML and got it unasked.) The *graph*
# tells them apart: ask the slope and φ whether they have a history.

# %%
sx, sy = batch.support_x[0], batch.support_y[0]
recorded = slope_of(loss(theta, sx, sy), theta, create_graph=True)["0.weight"]
unrecorded = slope_of(loss(theta, sx, sy), theta)["0.weight"]
start = theta["0.weight"]

print(f"{'':22} slope has a history   φ has a history")
for who, slope, phi in (
    ("right", recorded, start - ALPHA * recorded),
    ("forgets_create_graph", unrecorded, start - ALPHA * unrecorded),
    ("detaches", recorded, start - ALPHA * recorded.detach()),
    ("deep_copies", unrecorded, (start - ALPHA * unrecorded).detach().requires_grad_()),
):
    print(f"{who:22} {slope.grad_fn is not None!s:21} {phi.grad_fn is not None}")

# %% [markdown]
# Suspect 2 answers as the right program does: slope and φ both have a history, and only the way between
# them is cut. So, in this order, when the checker says *first-order*: look for a lost history in the slope
# (`create_graph`), then for a cut between a good slope and φ (`detach`, `.data`, `.item()`), then
# for a φ that is a leaf (`deepcopy`, `load_state_dict`, `optimiser.step()`).
#
# ### Round 2
#
# Error? Right, first-order, zero, or something else?


# %%
def silences_an_error(theta, batch):  # suspect 5 (number 4 comes later)
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


def judges_on_support(theta, batch):  # suspect 6
    losses = [
        loss(inner(theta, support_x, support_y), support_x, support_y)
        for support_x, support_y, query_x, query_y in batch
    ]
    return slope_of(torch.stack(losses).mean(), theta)


# %%
def sums_over_tasks(theta, batch):  # suspect 7
    total = 0.0
    for support_x, support_y, query_x, query_y in batch:
        total = total + loss(inner(theta, support_x, support_y), query_x, query_y)
    return slope_of(total, theta)


def keeps_a_stale_slope(theta, batch):  # suspect 8
    def inner(theta, x, y):
        phi = theta
        for _ in range(STEPS):
            slope = slope_of(loss(theta, x, y), theta, create_graph=True)
            phi = {name: phi[name] - ALPHA * slope[name] for name in phi}
        return phi

    return slope_of(mean_query_loss(theta, batch, inner), theta)


# %%
for suspect in (silences_an_error, judges_on_support, sums_over_tasks, keeps_a_stale_slope):
    report(suspect.__name__, suspect(theta, batch))

# %% [markdown]
# - **Suspect 5** starts φ as new leaves, so nothing leads back to θ. PyTorch had noticed and stopped,
#   *"One of the differentiated Tensors appears to not have been used in the graph. Set
#   allow_unused=True if this is the desired behavior"*; somebody followed the advice. An error that
#   is silenced comes back as a zero.
# - **Suspect 6** asks how well φ fits what it has just been fitted to. The graph is perfect.
# - **Suspect 7** has the right direction. With plain gradient descent it is an outer rate four times
#   too large; with Adam, which divides by the gradient's size, hardly anything happens, until
#   somebody changes the meta-batch.
# - **Suspect 8** is right for one inner step. Test with two or more: a test with `STEPS = 1` would have
#   let it go.
#
# ### Round 3
#
# The last two do not only compute: they move something. What does θ look like afterwards?


# %%
def moves_phi(theta, batch, beta=0.001):  # suspect 4: returns the new θ
    new = {name: torch.zeros_like(parameter) for name, parameter in theta.items()}
    for support_x, support_y, query_x, query_y in batch:
        phi = inner(theta, support_x, support_y)
        slope = slope_of(loss(phi, query_x, query_y), phi)
        for name in new:
            new[name] += (phi[name] - beta * slope[name]).detach() / len(batch)
    return new


def writes_in_place(theta, batch):  # suspect 9
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
# Suspect 4 returns no gradient, but a new θ. Any outer step can be read as one: if
# $\theta_\text{new} = \theta - \beta\, g$, then $g = (\theta - \theta_\text{new}) / \beta$.

# %%
new = moves_phi(theta, batch, beta=0.001)
as_gradient = {name: (theta[name] - new[name]).detach() / 0.001 for name in theta}
report("moves_phi", as_gradient)

# %% [markdown]
# Not the meta-gradient, and much longer. The slope that suspect 4 takes is the one of suspects 1 to 3;
# the difference is *where* it is applied. φ is a visitor: it serves one task. What has to move is θ, and
# by $\beta$ times the gradient alone; here the inner steps have come along into θ.

# %%
before = {name: parameter.detach().clone() for name, parameter in theta.items()}
grads = writes_in_place(theta, batch)
moved = max((theta[name] - before[name]).abs().max().item() for name in theta)
model.load_state_dict(before)  # repair the damage before anybody goes on
report("four tasks", grads)

one_task = batch.part(0, 1)
grads = writes_in_place(theta, one_task)
model.load_state_dict(before)
report("one task", grads, one_task)
print(f"θ after computing 'a gradient' had moved by up to {moved:.3f}")

# %% [markdown]
# With four tasks the checker knows no name for it: **make the problem smaller until it has one**. With
# one task it is first-order, so the graph is cut; what more tasks add is that each starts where the
# one before left θ. A function that computes a gradient must leave θ as it was: three lines of a test
# (`before`, call, compare) find this whole family, `.data`, `no_grad`, `optimiser.step()`.
#
# ## Where the bugs cut
#
# From the query loss two ways lead back through φ to θ: straight (factor $1$: all that first-order
# keeps) and through the slope (factor $-\alpha H$).

# %%
where_bugs_cut()

# %% [markdown]
# ## The bug hunt, live
#
# Now on a problem that fits on paper: four noisy straight lines, θ = steepness w and intercept b. Left, 60
# outer steps with the right meta-gradient and with one suspect's. Right, the first outer step of
# every suspect. Try:
#
# 1. Suspect 1 and the inner rate: 0.05, 0.2, 0.3. When does first-order stop being "nearly the same"?
# 2. Suspects 1, 2 and 3 in turn. What changes?
# 3. Suspect 8 with one inner step, then with two.
# 4. Suspect 7 at α = 0.2 and at α = 0.05, one inner step. Why does it fly off at the smaller rate?
# 5. Drag θ. Towards which place do suspects 4 and 6 go, wherever they start?

# %%
nine_suspects()

# %% [markdown]
# ## What a bug costs, and why the curve does not show it
#
# Ten lines train MAML on sine waves: a learner, a family of tasks, `meta_train`, `evaluate`. (5 shots,
# 200 iterations, seed 8: a start, not chapter 07's full experiment.) Beside it the first-order
# bug and suspect 6, who swaps the query set for the support set before it ever reaches the learner.
# `engine="plain"` asks for the functions that you have just unfolded. Left out, `MAML` chooses a faster way to
# the same gradient, and chapter 09 is about those: for a perceptron on a CPU native code, into which no
# debugger looks. To follow a gradient by hand, take "plain" (all tasks at once) or `engine="textbook"`: the
# textbook loop, one task after the other, with ordinary tensors to look at.


# %%
class JudgedOnSupport(Sinusoids):
    """Sine waves whose query set is the support set: suspect 6 as a task family."""

    def sample(self, rng, tasks=25):
        batch = super().sample(rng, tasks)
        return TaskBatch(batch.support_x, batch.support_y, batch.support_x, batch.support_y)


def train(tasks, first_order=False):
    torch.manual_seed(8)  # the same initial network for all
    settings = {"inner_lr": 0.01, "inner_steps": 1, "first_order": first_order, "engine": "plain"}
    learner = mt.MAML(mt.MLP(1, 40, 40, 1), F.mse_loss, **settings)
    history = mt.meta_train(learner, tasks, iterations=200, meta_lr=5e-3, seed=8, device="cpu")
    return history, mt.evaluate(learner, Sinusoids(shots=5, queries=10), episodes=600, steps=1)


runs = {
    "right": train(Sinusoids(shots=5, queries=10)),
    "first-order": train(Sinusoids(shots=5, queries=10), first_order=True),
    "judged on support": train(JudgedOnSupport(shots=5)),
}

# %%
print(f"{'':18} meta-loss in training   MSE on 600 new tasks after one step")
for name, (history, result) in runs.items():
    last = np.mean(history.loss[-100:])
    print(f"{name:18} {last:10.2f} {'':12} {result.mean[1]:10.2f} ± {result.ci95[1]:.2f}")

curves = [
    Curve(np.arange(1, 201), history.smoothed(30), role, name)
    for (name, (history, _)), role in zip(
        runs.items(), ("maml", "first_order", "before"), strict=True
    )
]

# %%
draw(
    Scene(
        title="All three losses fall; the lowest one belongs to a bug",
        alt="Three falling curves of meta-loss over 200 iterations. The one judged on the support set "
        "lies far below the two others, of which the right one is a little lower than first-order.",
        xlabel="outer iteration",
        ylabel="meta-loss in training (mean of 30)",
        xlim=(0, 200),
        ylim=(0, 5),
        curves=curves,
    )
)

# %% [markdown]
# ## What you should have seen
#
# - `functional_call` runs one module at any parameters; writing φ into a module cuts the graph (`None`).
# - One keyword, `create_graph=True`, separated $0.90$ from $1.50$; `torch.func.grad` needs no keyword.
# - NumPy, the loop, `torch.func` and the library agreed to better than $10^{-12}$ in float64; float32
#   agreed to about six digits.
# - Three bugs gave the very same first-order gradient; their graphs differed. Zero, support as query, a
#   sum and a stale slope had names; the in-place bug got one when the batch shrank to one task.
# - In the live figure: at small α first-order goes nearly the right way, at α = 0.3 and one step it
#   turns away from the minimum (αH > 1 on the steepest task, as in chapter 04); suspects 1 to 3 are one
#   path; suspect 8 is right until there is a second step. Suspect 7's outer step is four times too long:
#   where adaptation is strong the meta-loss is flat and forgives it, at α = 0.05 it is steeper and does
#   not. Suspects 4 and 6 go to a place of their own, beside the star, whatever the start: suspect 4
#   arrives within the 60 steps, suspect 6 not always, as its way leads along a flat valley.
# - All three training curves fell, and the lowest belonged to the learner that had never been judged on
#   new examples.
#
# ## Three questions
#
# **1.** You replace `deepcopy` by `functional_call`, but still take the slope without `create_graph`.
# What happens to the meta-gradient?
#
# - (a) It becomes right.
# - (b) It stays exactly as it was.
# - (c) It becomes zero.
#
# <details><summary>(a) It becomes right?</summary>
#
# No. φ now has a history, but only the straight one, $\varphi = \theta - \text{constant}$. The way
# through the slope is still missing.
#
# </details>
# <details><summary>(b) It stays exactly as it was?</summary>
#
# Yes. Before: the gradient at φ, taken for that at θ. Now: the same gradient at φ times
# $d\varphi/d\theta = 1$. One bug of two has gone, and no number has changed. Look at the graph, not only
# at the loss.
#
# </details>
# <details><summary>(c) It becomes zero?</summary>
#
# No. Zero (or an error) needs *both* ways cut and the gradient asked for at θ, as suspect 5 did.
#
# </details>
#
# **2.** Your meta-gradient agrees with finite differences of your own meta-loss to $10^{-7}$. Which bug
# can still be in your program?
#
# - (a) A missing `create_graph`.
# - (b) The query loss is taken on the support set.
# - (c) None.
#
# <details><summary>(a) A missing create_graph?</summary>
#
# No. Finite differences move θ and see what the loss really does, second order included. They would
# disagree.
#
# </details>
# <details><summary>(b) The query loss on the support set?</summary>
#
# Yes. Finite differences check that a gradient belongs to *a* loss, not that it is the loss you want:
# a wrong meta-loss, correctly differentiated, passes. So do a sum for a mean and a stale slope.
# `diagnose_meta_gradient` has its own meta-loss and sees them.
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
# Yes. What is cut is $-\alpha H \nabla L(\varphi)$ per step. A test with a tiny α, like one with a
# single inner step, cannot see it: test with settings where the right program and the wrong one differ.
#
# </details>
# <details><summary>(c) The Hessian is zero?</summary>
#
# No, the Hessian does not know α. It is multiplied by it.
#
# </details>
#
# ## Summary
#
# 1. MAML needs a function of the parameters: `functional_call(model, params, (x,))`.
# 2. Inner step: $\varphi = \theta - \alpha\nabla L_\text{support}(\theta)$, with
#    `autograd.grad(…, create_graph=True)` or `torch.func.grad`.
# 3. Meta-gradient: $\frac1n\sum_i (I - \alpha H_i)\,\nabla L^{\text{query}}_i(\varphi_i)$ for one step and n
#    tasks, $H_i$ the Hessian of task $i$'s support loss; any cut before the slope puts $I$ in place of
#    $I - \alpha H_i$. The step that follows moves θ: $\theta \leftarrow \theta - \beta g$.
# 4. `vmap(grad_and_value(query_loss))` gives each task's gradient, all at once; their mean is the
#    meta-gradient.
# 5. Test in float64, with several tasks and steps and a sizeable α: finite differences check that the
#    gradient belongs to the loss, `diagnose_meta_gradient` that it is MAML's.
#
# ## Further reading
#
# - Finn, Abbeel & Levine (2017), *Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks*,
#   arXiv 1703.03400. Algorithm 1 is the textbook loop above; section 5.2 is where first-order comes from.
# - Grefenstette et al. (2019), *Generalized Inner Loop Meta-Learning*, arXiv 1910.01727. The paper behind
#   the library `higher`: how to differentiate through any optimiser, not only through SGD.
# - Paszke et al. (2019), *PyTorch: An Imperative Style, High-Performance Deep Learning Library*, arXiv
#   1912.01703. Why the graph is recorded while the program runs, and what a leaf is.
# - Antoniou, Edwards & Storkey (2019), *How to Train Your MAML*, arXiv 1810.09502. What still goes wrong
#   when all gradients are right.
#
# **Next:** [the exercises of this chapter](../exercises/08_maml_in_pytorch.ipynb), then
# [09 · Fast MAML](09_fast_maml.ipynb) · back to [the map of the course](../notebooks/00_start_here.ipynb)
