# %% [markdown]
# # 05 · Hessians without Hessians
#
# *How can $I - \alpha H$ be applied without ever forming $H$?*
#
# **You will be able to**
#
# - multiply a vector by a Jacobian, by its transpose and by a Hessian without forming any of the three, and say what each
#   costs;
# - read the **spectrum** of a network's Hessian, all of its eigenvalues: which directions a gradient step reverses, which it stretches, and how many it
#   leaves alone;
# - say where second derivatives come from in a network of ReLUs, and refute the sentence that it has none.
#
# **Needs** [chapter 01](01_gradient_descent.ipynb) (curvature, eigenvectors), [chapter 04](04_gradient_of_a_step.ipynb)
# (the factor $I - \alpha H$) and [chapter 02](02_backpropagation.ipynb) (how a program finds a gradient). **Takes** about 60 minutes, half a minute of
# it computing. **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# The network of chapter 04, 1-40-40-1 with ReLUs, has 1,761 parameters. Its loss is the mean squared error on **ten**
# points of one sine wave. Its Hessian has 1,761 eigenvalues, one curvature for each of 1,761 perpendicular directions. How
# many of them are not zero?
#
# - (a) None. Between its kinks a ReLU network is linear, and a linear function has no second derivative.
# - (b) At most ten, one for each point that the loss sees.
# - (c) About two hundred.
# - (d) All of them. There are 1.55 million different second derivatives; some will always be there.
#
# Commit to one before you open this:
#
# <details><summary>Answer</summary>
#
# (c). Between 190 and 240 for each such network and task that we look at below, and nearly half of them are **negative**.
# (a) is what one often reads. (b) is the part of the truth that even a linear model has. Where the other two hundred come
# from, and why only a handful of them matter for MAML, is the second half of this chapter.
# </details>

# %%
import numpy as np

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.figures import factor_on_a_vector, second_derivatives_by_layer, show_source
from maml_edu.figures import spectrum_by_rank
from maml_edu.tasks import Sinusoids

# %% [markdown]
# ## What the matrix would cost
#
# Chapter 04 ended with $\nabla_\theta\,L_{\text{Q}}(\varphi) = (I - \alpha H)\,g$, where $H$ is the Hessian of the support
# loss at θ and $g = \nabla L_{\text{Q}}(\varphi)$. With two parameters we wrote $H$ down. With $n$ parameters it has $n^2$
# entries. Here are five networks:


# %%
def count(params):
    return sum(value.size for value in params.values())


rng = np.random.default_rng(5)
networks = {f"1-{w}-{w}-1": count(ref.mlp_init(rng, (1, w, w, 1))) for w in (10, 20, 40, 80)}
networks["Conv4, 64 filters"] = sum(part.numel() for part in mt.Conv4(5).parameters())
print("network              parameters    numbers in H   gigabytes in float64")
for name, n in networks.items():
    print(f"{name:19} {n:11,} {n**2:15,} {8 * n**2 / 1e9:15.4f}")

# %% [markdown]
# The last one is the network that chapter 10 takes to images. It is small by today's standards, and few laptops have the
# memory for its Hessian. But look at what the formula asks for:
#
# $$(I - \alpha H)\,g \;=\; g - \alpha\,(Hg) .$$
#
# It does not ask for $H$. It asks for **one product** $Hg$, which is no longer than $g$ itself. A matrix is a machine that
# turns vectors into vectors, and one may own the machine without a list of its entries. This chapter builds the machine, in
# three steps: first for Jacobians, then for the Hessian, which is one of them, then for $I - \alpha H$.

# %% [markdown]
# ## Jacobians that nobody writes down
#
# Let $f$ turn $n$ numbers into $m$. Its **Jacobian** $J$ has $m$ rows and $n$ columns,
# $J_{ij} = \partial f_i/\partial x_j$. There are two ways to multiply by it:
#
# - $Jv$, the **Jacobian-vector product** (JVP): move the input by a little of $v$; how does the output move? $v$ is as long
#   as the *input*.
# - $J^\top u$, the **vector-Jacobian product** (VJP): you weight the outputs by $u$; which way should the
#   input move? $u$ is as long as the *output*. The gradient of a loss is the VJP of a function with one output, with
#   $u = 1$.
#
# An example: $f(x) = (w\cdot x)\,x$, with a fixed vector $w$. The product rule gives both without a matrix. Move $x$ by
# $v$:
#
# $$Jv = (w\cdot v)\,x + (w\cdot x)\,v .$$
#
# For the other one read off $J = x\,w^\top + (w\cdot x)\,I$, transpose, $J^\top = w\,x^\top + (w\cdot x)\,I$, and multiply:
#
# $$J^\top u = (x\cdot u)\,w + (w\cdot x)\,u .$$


# %%
def f(x, w):
    return (w * x).sum() * x


def jvp(x, w, v):
    return (w * v).sum() * x + (w * x).sum() * v


def vjp(x, w, u):
    return (x * u).sum() * w + (w * x).sum() * u


w, x, u, v = rng.normal(size=(4, 5))
J = ref.jacobian(f)(x, w)  # (5, 5): five outputs, five inputs
print("J v  from the matrix:", np.round(J @ v, 4), "  without:", np.round(jvp(x, w, v), 4))
print("Jᵀu  from the matrix:", np.round(J.T @ u, 4), "  without:", np.round(vjp(x, w, u), 4))

# %% [markdown]
# The matrix was needed only to check. With a million inputs it would have $10^{12}$ entries, which is 8,000 GB. The two
# functions do not mind.
#
# How can one check *them*, where there is no matrix to compare with? $u\cdot(Jv)$ and $(J^\top u)\cdot v$ are the same
# number, for all $u$ and $v$. So draw both at random and compare. A mix-up of $J$ and $J^\top$ shows:

# %%
w, x, u, v = rng.normal(size=(4, 1_000_000)) / 1000  # each of length about 1
one, other, wrong = u @ jvp(x, w, v), vjp(x, w, u) @ v, jvp(x, w, u) @ v
print("u·(Jv) and (Jᵀu)·v agree:", np.isclose(one, other))
print("u·(Jv) and (J u)·v agree:", np.isclose(one, wrong))

# %% [markdown]
# ### How a program does it
#
# **Reverse mode**, the backpropagation of [chapter 02](02_backpropagation.ipynb), runs $f$ once and then walks back with a vector of slopes, one for
# each number that was computed. Start the walk with $u$ at the output and it arrives with $J^\top u$ at the input: one VJP
# for one pass. In code that is the gradient of the *number* $u\cdot f(x)$.
#
# **Forward mode** carries $v$ along while it runs $f$: next to each number it keeps how fast that number changes when the
# input moves along $v$. At the end it has $Jv$: one JVP for one pass, and nothing has to be remembered for a way back.
#
# `ref` has only reverse mode. PyTorch has both:

# %%
import torch
from torch.func import grad, hessian
from torch.func import jvp as forward_mode
from torch.func import vjp as reverse_mode

torch.set_num_threads(1)  # so small a network runs no faster on several
by_ref = ref.grad(lambda x: np.sum(u * f(x, w)))(x)
print("reverse mode, ref:    Jᵀu", np.allclose(by_ref, vjp(x, w, u)))
x_, w_, u_, v_ = (torch.tensor(part) for part in (x, w, u, v))
_, pull = reverse_mode(lambda x: f(x, w_), x_)
print("reverse mode, torch:  Jᵀu", np.allclose(pull(u_)[0], vjp(x, w, u)))
_, moved = forward_mode(lambda x: f(x, w_), (x_,), (v_,))
print("forward mode, torch:  Jv ", np.allclose(moved, jvp(x, w, v)))

# %% [markdown]
# To fill a whole Jacobian one needs one pass for each row ($m$ VJPs, each with a single 1 in $u$) or one for each column
# ($n$ JVPs). A loss has a million inputs and one output. That is why machine learning runs on reverse mode. `ref.jacobian`
# goes row by row.
#
# ## The Hessian is a Jacobian
#
# The gradient $\nabla L$ turns $n$ numbers into $n$ numbers, and its Jacobian is $H$. So $Hv$, a
# **Hessian-vector product**, answers the question: *move the parameters by a little of $v$; how does the gradient change?*
# Three ways to the answer:
#
# 1. **Measure it.** $\bigl(\nabla L(\theta + hv) - \nabla L(\theta - hv)\bigr)/2h$. Two gradients, and an error.
# 2. **Reverse over reverse**, a VJP of the gradient. Since $H$ is symmetric, $Hv = H^\top v$, which is the gradient of the
#    number $\nabla L(\theta)\cdot v$, with $v$ held fixed. In words: how the slope *along $v$* changes
#    in each direction.
# 3. **Forward over reverse**, a JVP of the gradient: work out the gradient, and carry along how fast everything changes
#    along $v$ (Pearlmutter 1994).
#
# `ref.hvp` is the second. It is one line:

# %%
show_source(ref.hvp)


# %%
def flat(params):
    """All parameters as one vector, (n,)."""
    return np.concatenate([part.ravel() for part in params.values()])


def like(vector, params):
    """The numbers of `vector`, in order, in the shapes of `params`."""
    ends = np.cumsum([part.size for part in params.values()])
    parts = np.split(vector, ends[:-1])
    return {n: p.reshape(params[n].shape) for n, p in zip(params, parts, strict=True)}


def default_start(seed, width=40):
    """PyTorch's own first weights (uniform in ±1/√inputs), in float64."""
    torch.manual_seed(seed)
    arrays = mt.MLP(1, width, width, 1).arrays()
    return {name: part.astype(float) for name, part in arrays.items()}


# %%
tasks = Sinusoids(shots=10)
batch = tasks.sample(np.random.default_rng(0), tasks=3)  # seed 0
x, y, query_x, query_y = next(iter(batch))  # each (10, 1)
theta = default_start(seed=0)


def loss(params):
    return ref.mse(params, x, y)


v = rng.normal(size=1761) / np.sqrt(1761)  # of length about 1
hv = flat(ref.hvp(loss, theta, like(v, theta)))
for h in (1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9):
    ahead, behind = (flat(ref.grad(loss)(like(flat(theta) + s * h * v, theta))) for s in (1, -1))
    measured = (ahead - behind) / (2 * h)
    print(f"h = {h:.0e}: relative error {np.linalg.norm(measured - hv) / np.linalg.norm(hv):.0e}")

# %% [markdown]
# At $h = 0.1$ the difference steps over the kink of a ReLU, and the result is useless. From $h = 10^{-7}$ down rounding
# eats the digits. In between it is good. But nobody tells you beforehand where "in between" is, and with float32 rounding
# sets in at a much larger $h$. The exact product leaves nothing to choose.
#
# Now for the third way, in PyTorch, and its price. (A trap: in PyTorch 2.13 forward over reverse through `F.mse_loss` stops
# with "ZeroTensors are immutable". Write the loss out, as here.)


# %%
def network(params, x, bend=torch.relu):
    hidden = bend(x @ params["w1"] + params["b1"])  # (points, 40)
    hidden = bend(hidden @ params["w2"] + params["b2"])  # (points, 40)
    return hidden @ params["w3"] + params["b3"]  # (points, 1)


def torch_loss(params, x, y, bend=torch.relu):
    return torch.mean((network(params, x, bend) - y) ** 2)


def plans(params, v, x, y):
    """What there is to pay for: name → a function of no argument."""
    own = lambda p: torch_loss(p, x, y)
    dot = lambda p: sum((slope * v[name]).sum() for name, slope in grad(own)(p).items())
    return {
        "loss": lambda: own(params),
        "gradient": lambda: grad(own)(params),
        "reverse over reverse": lambda: grad(dot)(params),
        "forward over reverse": lambda: forward_mode(grad(own), (params,), (v,))[1],
    }


# %%
def tensors(params):
    return {name: torch.tensor(part) for name, part in params.items()}


points = torch.tensor(x), torch.tensor(y)
ways = plans(tensors(theta), tensors(like(v, theta)), *points)
for name in ("reverse over reverse", "forward over reverse"):
    product = torch.cat([part.ravel() for part in ways[name]().values()]).numpy()
    print(f"{name}: agrees with ref.hvp to 1e-12: {np.allclose(product, hv, rtol=0, atol=1e-12)}")

# %% [markdown]
# ### The price
#
# PyTorch can count the arithmetic of its matrix products. Let us count it for networks of four widths, in units of one
# evaluation of the loss:

# %%
from torch.utils.flop_counter import FlopCounterMode


def arithmetic(run):
    """Multiplications and additions in the matrix products of `run()`."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


print("parameters", *(f"{name:>21}" for name in list(ways)[1:]))
for width in (10, 20, 40, 80):
    some = tensors(ref.mlp_init(rng, (1, width, width, 1)))
    own = plans(some, some, *points)  # which v is multiplied does not matter here
    cost = {name: arithmetic(run) for name, run in own.items()}
    ratios = [cost[name] / cost["loss"] for name in list(ways)[1:]]
    print(f"{sum(p.numel() for p in some.values()):10,}", *(f"{ratio:21.1f}" for ratio in ratios))

# %% [markdown]
# The numbers approach 3, 9 and 9. Here is why. Call the arithmetic of a loss $F$. Going back through it takes two products
# for each that went forward, one for the slope of the weights and one for the slope of the layer's input: $2F$. So a
# gradient costs $F + 2F = 3F$. Going back through all of *that* costs twice as much again, $6F$, and the total is $9F$.
# Going forward through it gives each of its products a rate of change, which by the product rule is a sum of two products:
# $3F + 6F$ again. In other words:
#
# > Once the gradient is there, **one $Hv$ costs two further gradients, whatever the number of parameters**.
#
# (The table stays a little below, since nobody asks for the slope of the network's own input.) It is what measuring $Hv$ by
# a difference would cost, too, and it is exact.
#
# The whole matrix takes the gradient once and $n$ products, one for each column: 3,523 gradients for our 1,761 parameters,
# and 225,000 for the Conv4. (`ref.hvp` and the two ways above work the gradient out again for every product and pay $9F$ each
# time. To pay for it once, keep what the gradient has recorded: `reverse_mode(grad(own), params)` returns, next to the
# gradient, a function that gives one product for each $v$.)
#
# Arithmetic is not time: chapter 09 shows how little of the time of so small a network is arithmetic. So use a clock as
# well. It is the processor's own, and we ask it only for what should be true on every machine.

# %%
import time


def seconds(run, calls=20):
    """Processor seconds of one call: the best of five rounds."""
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(calls):
            run()
        rounds.append((time.process_time() - start) / calls)
    return min(rounds)


small, large = (ref.mlp_init(rng, (1, width, width, 1)) for width in (10, 80))
by_size = [seconds(lambda p=p: ref.hvp(loss, p, p)) for p in (small, large)]
print("48 times as many parameters, Hv at most 5 times as long:", by_size[1] < 5 * by_size[0])
timings = {name: seconds(run) for name, run in ways.items()}
for name in ("reverse over reverse", "forward over reverse"):
    print(f"{name} takes less than 8 gradients' time:", timings[name] < 8 * timings["gradient"])

# %% [markdown]
# Print `timings` and `by_size` to see your machine's own. On paper the third way needs less memory, for it keeps no record of the
# gradient's own way back. Whether a library has less of it in use, or takes less time, is another question: measure both
# ways on your own network before you choose.
#
# ## $I - \alpha H$, applied
#
# Now the machine for MAML is three lines: two gradients and a product. Here it is for one task, against the library, which
# differentiates through the step as in chapter 04:

# %%
ALPHA = 0.01
phi = ref.adapt(ref.mse, theta, x, y, ALPHA, 1)
g = flat(ref.grad(ref.mse)(phi, query_x, query_y))  # ∇L_Q(φ)
meta = g - ALPHA * flat(ref.hvp(loss, theta, like(g, theta)))
_, library = ref.meta_gradient(ref.mse, theta, batch.part(0, 1), ALPHA, 1)
apart = np.abs(meta - flat(library)).max()
print("largest difference from ref.meta_gradient below 1e-9:", apart < 1e-9)

# %% [markdown]
# When a program differentiates through the step, as `ref.meta_gradient` does, this product is what it computes on its way
# back, without being told. So MAML never forms a Hessian either. With $K$ inner steps there is one product per step, with
# its own $H$, and the product is needed where an inner gradient has been worked out anyway. [Chapter 06](06_many_inner_steps.ipynb) follows the vector
# through all of them; chapter 09 makes a fast program of it.
#
# One thing is easily overlooked. $(I - \alpha H)^\top = I - \alpha H$ needs one α for all parameters. If each parameter has
# its own rate, the step's Jacobian is no longer symmetric. Exercise 05.4 is about this.
#
# ## The whole spectrum, once
#
# For 1,761 parameters we *can* afford the matrix, once, to see what the machine does. Column $i$ is $H e_i$, where $e_i$
# has a single 1:


# %%
def filled(loss, params):
    """H, (n, n), by n products."""
    units = np.eye(count(params))
    return np.array([flat(ref.hvp(loss, params, like(unit, params))) for unit in units])


H = filled(loss, theta)
lam = np.linalg.eigvalsh(H)  # ascending
print("symmetric:", np.allclose(H, H.T), f"  from {lam[0]:.1f} to {lam[-1]:.1f}")
zero = np.abs(lam) < 1e-9 * lam[-1]  # a zero with rounding errors
print(f"above 0: {np.sum(lam[~zero] > 0)}   below 0: {np.sum(lam[~zero] < 0)}   zero: {zero.sum()}")

# %% [markdown]
# Two hundred, not ten, and nearly half of them negative. The same after 3,000 iterations of MAML (one inner step, α = 0.01,
# batches of 25 waves, as in chapter 07; seed 0). For more matrices we let PyTorch do the $n$ products in one go,
# `torch.func.hessian`.


# %%
def trained(seed):
    """The parameters after 3,000 meta-iterations from `default_start(seed)`."""
    torch.manual_seed(seed)
    model = mt.MLP(1, 40, 40, 1)
    learner = mt.MAML(model, inner_lr=ALPHA, inner_steps=1)
    settings = {"meta_batch": 25, "meta_lr": 1e-3, "device": "cpu", "seed": seed}
    mt.meta_train(learner, tasks, 3_000, progress=False, **settings)
    return {name: part.astype(float) for name, part in model.arrays().items()}


# %%
def hessian_of(params, x, y, bend=torch.relu):
    """H of the loss on x, y (points, 1), at `params`: (n, n)."""
    like_params = tensors(params)
    ends = list(np.cumsum([part.size for part in params.values()]))[:-1]

    def of_vector(vector):
        parts = zip(like_params.items(), torch.tensor_split(vector, ends), strict=True)
        own = {name: part.reshape(value.shape) for (name, value), part in parts}
        return torch_loss(own, torch.tensor(x), torch.tensor(y), bend)

    return hessian(of_vector)(torch.tensor(flat(params))).numpy()


print("the same matrix as before:", np.allclose(hessian_of(theta, x, y), H, rtol=0, atol=1e-9))
learned = trained(seed=0)
steep = np.linalg.eigvalsh(hessian_of(learned, x, y))
spectra = {"after MAML": steep, "untrained": lam}
spectrum_by_rank(spectra)

# %% [markdown]
# For long stretches the two curves of a picture lie almost on top of each other: nearly as many curvatures are negative as
# positive, and of nearly the same sizes. They part where they fall steeply: at both ends, and at the steps between two
# plateaus. All this shows where the curvatures come from.
#
# ## Where the second derivatives come from
#
# Write $f_i(\theta)$ for the network's output at point $i$ of $N$, so that $L = \frac1N\sum_i (f_i - y_i)^2$. Differentiate
# twice, by the product rule:
#
# $$H \;=\; \underbrace{\frac2N\sum_i \nabla f_i\,\nabla f_i^\top}_{\text{Gauss–Newton part } G}
# \;+\; \underbrace{\frac2N\sum_i (f_i - y_i)\,\nabla^2 f_i}_{\text{the rest } R} .$$
#
# - The **Gauss–Newton part** contains only *first* derivatives of the network. It is there because the *loss* is a square,
#   whatever the network is. Each point contributes one direction, $\nabla f_i$, with a curvature that cannot be negative.
#   So ten points give at most ten curvatures that are not zero, all positive: answer (b). With the Jacobian $J$ of the ten outputs it is
#   $G = \frac2N J^\top J$, and $Gv$ is one JVP and one VJP.
# - The **rest** contains the second derivatives of the network itself, times what the network gets wrong at each point.
#   Answer (a) says that it is zero, because ReLU networks are piecewise linear.
#
# Piecewise linear **in $x$**. But we differentiate with respect to θ, and a network *multiplies* its parameters with each
# other. The smallest example has two: $f = w_2\max(0, w_1 x)$. Where $w_1 x > 0$ this is $w_1 w_2\, x$, and
#
# $$\frac{\partial^2 f}{\partial w_1^2} = 0, \qquad \frac{\partial^2 f}{\partial w_2^2} = 0, \qquad
# \frac{\partial^2 f}{\partial w_1\,\partial w_2} = x .$$

# %%
two = lambda w: w[1] * np.maximum(0.0, w[0] * 3.0)  # f at x = 3
print(
    "second derivatives at w = (0.5, 2):",
    ref.jacobian(ref.grad(two))(np.array([0.5, 2.0])).tolist(),
)

# %% [markdown]
# So the rule is: **no second derivatives within a layer, plenty of them between two layers**. With all other layers held
# fixed, the output is linear in the parameters of one layer, until a ReLU switches. A smaller network, 1-8-8-1 (seed 11),
# shows it. Filled is what is not zero; the empty stripes on the left belong to weights of units that are silent on all ten
# points, or between two that are never active together.


# %%
def output_slopes(params, x):
    """J, (points, n): how the network's output at each point follows the parameters."""
    parts = ref.jacobian(lambda p: ref.mlp(p, x)[:, 0])(params)
    return np.concatenate([part.reshape(len(x), -1) for part in parts.values()], axis=1)


tiny = default_start(seed=11, width=8)  # 97 parameters
J = output_slopes(tiny, x)
gauss_newton = 2 / len(x) * J.T @ J
rest = hessian_of(tiny, x, y) - gauss_newton
print("curvatures of the Gauss–Newton part that are not 0:", np.linalg.matrix_rank(gauss_newton))
print("the diagonal of the rest is 0:", np.allclose(np.diag(rest), 0, atol=1e-12))
second_derivatives_by_layer(gauss_newton, rest, {"layer 1": 16, "layer 2": 72, "layer 3": 9})

# %% [markdown]
# What curvatures has a matrix of this shape? We split the Hessians of the two pictures of curvatures into their parts, and
# compare the positive and the negative ones rank by rank. And we take out $B$, the block of $R$ between the middle layer and
# the two others:


# %%
def sides(matrix):
    """(positive curvatures, sizes of the negative ones), each from the largest down."""
    lam = np.linalg.eigvalsh(matrix)
    zero = 1e-9 * np.abs(lam).max()
    return np.sort(lam[lam > zero])[::-1], np.sort(-lam[lam < -zero])[::-1]


for name, params in (("untrained", theta), ("after MAML", learned)):
    whole, J = hessian_of(params, x, y), output_slopes(params, x)
    R = whole - 2 / len(x) * J.T @ J
    for part, matrix in (("H = G + R", whole), ("R alone", R)):
        up, down = sides(matrix)
        both = min(len(up), len(down))
        ratio = np.exp(np.abs(np.log(up[:both] / down[:both]))).max()
        print(
            f"{name:10}  {part:9}  {len(up)} above 0, {len(down)} below, largest ratio {ratio:.1f}"
        )
    sizes = np.linalg.svd(np.delete(R[:, 80:1720], slice(80, 1720), axis=0), compute_uv=False)
    print(f"{name:10}  B          rank {np.sum(sizes > 1e-9 * sizes[0])}")

# %% [markdown]
# These parts explain what we saw.
#
# - **Negative curvature.** The block of $R$ within the middle layer is empty. Take $q$ in the middle layer and $p$ in the two
#   others: along $p + tq$ the curvature is $p^\top Rp + 2t\,p^\top Rq$, and unless $p^\top Rq = 0$ a large $t$ gives it the
#   sign of $t$. So $R$ has as many negative curvatures as the rank of $B$, and as many positive ones, or more. In the table
#   there are no more. That their *sizes* are so close, too, we see; it is not proved by this. The diagonal of $R$ is 0, so
#   they do add up to 0. (In a symmetric matrix in which *two* layers see only each other the curvatures are exact pairs
#   $\pm\sigma$: if $(p, q)$ is an eigenvector, so is $(p, -q)$, with the opposite sign.)
# - **Curves that part.** $G$ adds ten positive terms. They can shift a curve by at most ten ranks. Where a curve is flat,
#   ten ranks change little; where it falls steeply, they change much.
# - **About two hundred.** In 1-40-40-1 the middle layer has 1,640 parameters, and their block of $R$ is empty. What is left
#   lies in the rows and columns of the other two layers: 80 + 41 of each, without the last bias, whose row is empty, too. A
#   matrix that is 0 outside 120 rows and 120 columns is a sum of two of rank 120 or less, the rows and what is left of the
#   columns. So it has at most 240 eigenvalues that are not 0. With the ten of $G$ that makes **at most 250**, and some
#   units are silent on all ten points.
#
# And the 1,500 zeros: are they a proof of "nearly linear" after all? Put other functions in the place of the ReLUs, at the same
# θ, and look at $G$ on many more points:

# %%
for name, bend in (("tanh", torch.tanh), ("none", lambda z: z)):
    up, down = sides(hessian_of(theta, x, y, bend))
    print(f"{name} in place of the ReLUs: {len(up)} above 0, {len(down)} below")
many = np.linspace(-5, 5, 1000)[:, None]
rank = np.linalg.matrix_rank(output_slopes(theta, many))
print(f"ReLUs, G on 1,000 points: {rank} curvatures that are not 0")

# %% [markdown]
# There is some truth in it. The empty blocks, and so the bound of 250, do come from piecewise linearity: with tanh a layer has
# second derivatives of its own, and more than 500 curvatures are not zero. On 1,000 points $G$ has only about a hundred:
# between two kinks along the one input every $\partial f/\partial\theta_j$ is a straight line in $x$, so each piece adds at
# most two directions. But a proof it is not. With the ReLUs taken out the network is linear in $x$ everywhere, and 162
# curvatures remain, 80 of them negative: linear in $x$ means few second derivatives, not none.
#
# So does the rest matter? The sentence goes back to the MAML paper (Finn et al. 2017, section 5.2): ReLU networks are
# locally almost linear, which suggests that second derivatives may be close to zero in most cases, and that would partly
# explain why first-order MAML does well. Most curvatures are zero here, that is true. But the meta-gradient asks for $Hg$ alone, with one
# particular vector $g$, the query gradient. We ask three networks (seeds 0, 1, 2), before and after training, on three
# tasks each:


# %%
def facts(params, x, y, query_x, query_y):
    """What one task says: counts, αλ at both ends, and what H does to the query gradient g."""
    H, n = hessian_of(params, x, y), len(x)
    lam, directions = np.linalg.eigh(H)
    g = flat(ref.grad(ref.mse)(ref.adapt(ref.mse, params, x, y, ALPHA, 1), query_x, query_y))
    parts = directions.T @ g  # of g along each eigenvector
    flat_ones = np.abs(lam) < 1e-9 * lam[-1]
    share = np.sort((lam * parts) ** 2)[::-1].cumsum() / np.sum((lam * parts) ** 2)  # of Hg
    J = output_slopes(params, x)
    of_g, all_g = 2 / n * J.T @ (J @ g), H @ g  # one JVP and one VJP; the whole
    meta = g - ALPHA * all_g
    return {
        "not 0": np.sum(~flat_ones),
        "below 0": np.sum(lam[~flat_ones] < 0),
        "lowest αλ": ALPHA * lam[0],
        "top αλ": ALPHA * lam[-1],
        "αλ > 1": np.sum(ALPHA * lam > 1),
        "99 % of Hg": 1 + np.sum(share < 0.99),
        "|Gg|/|Rg|": np.linalg.norm(of_g) / np.linalg.norm(all_g - of_g),
        "cosine": g @ meta / np.linalg.norm(g) / np.linalg.norm(meta),
    }


# %%
def span(values):
    """From the smallest to the largest."""
    whole = all(value == int(value) for value in values)
    return "…".join(f"{end:.0f}" if whole else f"{end:.2f}" for end in (min(values), max(values)))


table = {}
for seed in range(3):
    fresh = tasks.sample(np.random.default_rng(seed), tasks=3)
    before, after = default_start(seed), learned if seed == 0 else trained(seed)
    for name, params in (("untrained", before), ("after MAML", after)):
        table[name, seed] = [facts(params, *task) for task in fresh]
columns = list(table["untrained", 0][0])
print("network, seed", *(f"{column:>12}" for column in columns))
for name, seed in sorted(table, key=lambda key: (key[0] != "untrained", key[1])):
    ranges = (span([one[column] for one in table[name, seed]]) for column in columns)
    print(f"{name:10} {seed} ", *(f"{text:>12}" for text in ranges))

# %% [markdown]
# Each entry goes from the smallest to the largest of three tasks. $|Gg|/|Rg|$ says how much longer the Gauss–Newton part of
# $Hg$ is than the rest, and the column *99 % of Hg* how many eigenvectors one needs to put together $Hg$ to within
# a hundredth of its squared length. (Training magnifies rounding errors, so another processor may show somewhat other numbers
# in the lower three rows.)
#
# - **A handful matters.** Of some two hundred curvatures, at most 18 make up 99 % of $Hg$ before training, and fewer than
#   ten after it. In large networks, too, a few eigenvalues stand out from a crowd at zero (Sagun et al. 2017), and the
#   *gradient* is concentrated along these few (Ghorbani et al. 2019, in networks without batch norm). Our column is about
#   $Hg$, which weights each direction by its λ, so that the steep ones count for more.
# - **After training, those few are mostly not the network's second derivatives.** The Gauss–Newton part of $Hg$ is then about 3
#   to 50 times as long as the rest. (Before it, the factor may be as small as 1.42.) It would be there if the network were
#   exactly linear in its parameters. "ReLU networks are nearly linear" is an argument
#   about the *smaller* part.
# - **Training makes it worse for first order.** Before training no direction has αλ > 1, and the first-order gradient $g$
#   points where the meta-gradient does: the cosine is at least 0.97. After it one direction or two are reversed, and the
#   cosine of a task is anything from about −0.4 to 0.9. (Of a whole batch it is usually better, as chapter 04 found. What
#   happens to the curvature when first-order MAML itself does the training is the story of chapter [11](11_maml_family.ipynb).)
#
# ## See it work
#
# On the left is a plane with a 2 × 2 Hessian of your choice. Drag $v$, and see $-\alpha Hv$ and $v - \alpha Hv$. On the
# right are the factors $1-\alpha\lambda$ of our network, on the first task of seed 0: the 24 steepest directions, the 24
# most negative ones, and one bar for all between. Both obey the same α.
#
# 1. Right: move α up from 0. At which α does the first bar turn over? At which does it fall below −1, and what did chapter
#    01 call this α? Then do the same with the *untrained* network.
# 2. Left, with the first settings: find the $v$ that are not turned at all, and one that is turned by exactly 180°.
# 3. Left: make the ellipse a line. Then make it a *circle* again, of radius 1, with one direction reversed and the other
#    not. What does $I-\alpha H$ do now?
# 4. Make $v$ longer by a step. Which sign of curvature does it take? There are two answers.

# %%
factor_on_a_vector(spectra)

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. At $1/\lambda_{\max}$, and at $2/\lambda_{\max}$, the largest step that still converges. For the trained network the
#    first lies between 0.006 and 0.007, the second between 0.0125 and 0.0135. MAML's own α = 0.01 is between them: the
#    treacherous row of chapter 04's table, in which the inner step converges and the first-order gradient points the wrong
#    way. (One task of the table above has αλ = 2.06. In the quadratic picture of chapter 01 a second step
#    and a third would lead further and further away. One step may do that, if the start is chosen for it.) The untrained network has no bar below 0 at any α of the slider:
#    its $1/\lambda_{\max}$ is 0.033.
# 2. Those along λ₂, at 150° (or −30°), which are made longer. Those along λ₁, at 60°, are turned by 180°. Every other $v$
#    is a sum of the two and comes out turned by some angle between.
# 3. A line: λ₁ = 100, so that $1-\alpha\lambda_1 = 0$ (or λ₂ = 100). A circle: for instance λ₁ = 200 and λ₂ = 0, with the
#    factors −1 and 1. It is a mirror: no vector changes its length, and yet one of the two directions is reversed. How long
#    a gradient is does not tell whether it points the right way.
# 4. Either: negative curvature stretches, and so does any λ above $2/\alpha$, which reverses as well.
# </details>
#
# ## Both ends without the middle
#
# To know how far α may go one does not need the whole spectrum, only its ends, and these can be found from products alone.
# Write any $v$ as a sum of eigenvectors, $v = \sum_i c_i u_i$. After $k$ products it is
# $H^k v = \sum_i \lambda_i^k c_i\,u_i$. A curvature of half the largest size has lost a factor of 1,024 against the largest
# after ten products. So $v$ turns into the eigenvector of the largest $|\lambda|$: this is **power iteration**. (Scale $v$
# to length 1 each time, or its numbers overflow.)
#
# How large is λ? One might take the *length* of $Hv$, once $v$ has settled. A length has no sign. With $v$ of length 1 the
# **Rayleigh quotient** $v^\top H v$, the curvature along $v$, has one.
#
# And the other end? The curvatures of $H - sI$ are $\lambda_i - s$: the whole spectrum, moved down by $s$. Suppose the
# first run found a positive λ, which is then $\lambda_{\max}$. With $s = \frac12\lambda_{\max}$ the most negative curvature,
# if there is a negative one, has become the one of the largest size. (If the first run found a negative λ, that is the lower
# end, and the same shift by half of it finds the upper one.) Chapter 04's `steepest` was this, shift included.


# %%
def one_end(times, v, shift, rounds):
    """(length of (H − shift·I)v, curvature vᵀHv) after power iteration on H − shift·I; v (n,)."""
    for _ in range(rounds):
        v = v / np.linalg.norm(v)
        hv = times(v)
        length, curvature = np.linalg.norm(hv - shift * v), v @ hv
        v = hv - shift * v
    return length, curvature


def times(v):
    return flat(ref.hvp(loss, learned, like(v, learned)))


_, top = one_end(times, v, shift=0.0, rounds=30)
length, bottom = one_end(times, v, shift=top / 2, rounds=300)
print(f"power iteration: {top:.2f} and {bottom:.2f}; the last length was {length:.2f}")
print("whole spectrum:  {:.2f} and {:.2f}".format(*spectra["after MAML"][[-1, 0]]))

# %% [markdown]
# 330 products in place of 1,761. How many it takes depends on the gap to the next curvature; $n$ does not enter. (The lower
# end has close neighbours, so it takes longer.) The last length is no curvature of $H$: it is the size of
# $\lambda_{\min} - s$, that is $|\lambda_{\min}| + \frac12\lambda_{\max}$, another reason to return $v^\top Hv$.
#
# <details><summary>Further: forward mode out of reverse mode</summary>
#
# `ref` cannot go forward, and yet it can give $Jv$. The VJP $J^\top u$ is a *linear* function of $u$, and the number
# $(J^\top u)\cdot v = u\cdot(Jv)$ has the gradient $Jv$ with respect to $u$. So go back twice:
#
# ```python
# def jvp_by_ref(x, w, v):
#     def pulled(u):  # (Jᵀu)·v, for any u
#         return np.sum(ref.grad(lambda x: np.sum(u * f(x, w)))(x) * v)
#
#     return ref.grad(pulled)(np.ones_like(x))  # J v, whatever u is
# ```
# </details>

# %% [markdown]
# ## What you should have seen
#
# - The Hessian of the Conv4 would fill 100 GB. A product with it takes no more room than a few gradients, and was counted
#   at the price of two.
# - One test with random $u$ and $v$ shows a mix-up of $J$ and $J^\top$, at a million inputs.
# - On ten points a ReLU network of 1,761 parameters had about 200 curvatures that are not zero, and nearly half of them
#   were negative.
# - What $H$ does to the query gradient is the work of a handful of directions, after training mostly of the Gauss–Newton
#   part, and training makes the largest of them steeper, until αλ is beyond 1.

# %% [markdown]
# ## Three questions
#
# **1.** A function turns 1,000 numbers into 10, and you want its whole Jacobian. How many passes does it take?
#
# <details><summary>A · 10,000: one for each entry.</summary>
# A pass gives a whole row or a whole column at once. One entry at a time is what you would do on paper.
# </details>
# <details><summary>B · 1,000 in forward mode, 10 in reverse mode.</summary>
# Right. Forward mode gives a column for each direction of the input, reverse mode a row for each output. For a loss, with
# its one output, reverse mode wins by a factor of n. For the Hessian it is a draw: n inputs, n outputs.
# </details>
# <details><summary>C · One. Reverse mode gives all derivatives in one pass.</summary>
# It gives all derivatives of one number. With ten outputs one pass gives a weighted sum of the ten rows.
# </details>
#
# **2.** Take the ReLUs out: $f = w_3(w_2(w_1 x))$ with matrices $w_1, w_2, w_3$ and no kink anywhere. What is the Hessian
# of the mean squared error?
#
# <details><summary>A · Zero: the network is linear.</summary>
# Linear in x. And even for a network that is linear in its parameters the square of the error is curved: the Gauss–Newton
# part remains.
# </details>
# <details><summary>B · Only the Gauss–Newton part: a linear network has no second derivatives.</summary>
# In x it has none. But its parameters are multiplied with each other, as in w₂w₁, and a product has a second derivative.
# </details>
# <details><summary>C · Both parts are there, as before.</summary>
# Right. The second derivatives come from multiplying one layer by another, and that needs no kink. With ReLUs or with nothing
# in their place they stand between the layers, and within a layer there are none. (With tanh there are.)
# </details>
#
# **3.** Which of these needs the matrix $H$ of a network with ten million parameters?
#
# <details><summary>A · The most negative curvature.</summary>
# Power iteration finds λmax, and then, after a shift, the other end: some hundred products of ten million numbers each.
# </details>
# <details><summary>B · A single entry of H.</summary>
# One product: Heⱼ is column j, and you look up place i. It is a waste, but it is possible.
# </details>
# <details><summary>C · None of these, and (I − αH)v does not need it either.</summary>
# Right. What needs H is to know all of its 10¹⁴ entries, or all of its 10⁷ eigenvalues exactly, and hardly anybody wants
# them.
# </details>

# %% [markdown]
# ## Summary
#
# 1. $Jv$: one pass of forward mode. $J^\top u$: one pass of reverse mode, the gradient of $u\cdot f(x)$.
# 2. $Hv = \nabla\bigl(\nabla L(\theta)\cdot v\bigr)$ with $v$ held fixed: two more gradients, whatever $n$ is.
#    $(I-\alpha H)g = g - \alpha Hg$.
# 3. $H = \frac2N J^\top J + \frac2N\sum_i (f_i - y_i)\nabla^2 f_i$: the first part has at most $N$ curvatures that are not
#    zero, none negative; those of the second, in a ReLU network, add up to 0.
# 4. In a ReLU network $\nabla^2 f$ is empty within a layer, not between layers: piecewise linear in $x$ is not linear
#    in θ.
# 5. Power iteration and $v^\top Hv$ find both ends of the spectrum, with their signs, from products alone.

# %% [markdown]
# ## Further reading
#
# - Pearlmutter (1994), *Fast exact multiplication by the Hessian*, Neural Computation 6, 147–160: the product for "about as
#   much computation" as a gradient (it counts orders of magnitude; you counted two), by forward over reverse. Chapter 09
#   carries it out by hand.
# - Finn, Abbeel & Levine (2017), arXiv 1703.03400, section 5.2: the sentence about ReLU networks, in its context. Read how
#   carefully it is put.
# - Sagun, Evci, Güney, Dauphin & Bottou (2017), *Empirical analysis of the Hessian of over-parametrized neural networks*,
#   arXiv 1706.04454: the crowd at zero and the few that stand out, and how the data decide about the few.
# - Ghorbani, Krishnan & Xiao (2019), *An investigation into neural net optimization via Hessian eigenvalue density*, arXiv
#   1901.10159: the whole spectrum of networks for ImageNet, from products alone.
#
# **Now you:** the [exercises of this chapter](../exercises/05_hessians.ipynb): Jacobians that you must not form, a
# meta-gradient with a rate for each parameter, a curvature with its sign, and a price list. **Back:** [04 · The gradient of
# a gradient step](04_gradient_of_a_step.ipynb). **Next:** [06 · Many inner steps](06_many_inner_steps.ipynb).
