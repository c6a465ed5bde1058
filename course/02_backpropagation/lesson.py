# %% [markdown]
# # 02 · Backpropagation
#
# *How does a program differentiate itself?*
#
# **You will be able to**
#
# - write a program of some seventy lines that differentiates NumPy code, and say what each line is for;
# - work out the backward pass of a network by hand, and check it against that program;
# - say what a gradient costs compared with one evaluation of the loss, and when forward mode is cheaper;
# - find a wrong gradient with two evaluations of the loss, and say what such a check cannot see.
#
# **Needs** [chapter 01](01_gradient_descent.ipynb) (gradients, central differences), the chain rule, Python classes, and
# NumPy's broadcasting. **Takes** about 70 minutes. **CPU** is plenty; no GPU, no download.

# %% [markdown]
# ## Predict
#
# Two networks, 1-40-40-1 and 1-160-160-1, have 1,761 and 26,241 parameters. To compute a network's loss on ten points once is
# one **evaluation**. Its gradient costs more, even by the best method there is: as much as $c$ evaluations of the same network.
# From the small network to the large one there are fifteen times as many slopes to find. How much larger does $c$ become?
#
# - (a) About fifteen times as large.
# - (b) About four times as large: the square root of fifteen.
# - (c) No larger at all.
#
# Commit to an answer before you open this:
#
# <details><summary>Answer</summary>
#
# (c). Counted in multiplications, the gradient of either network costs a little less than **three** evaluations: all 26,241
# slopes together. Chapter 01's differences are different. They need two evaluations *per parameter*: 3,522 for the small
# network and 52,482 for the large one. This chapter is about how three can be enough.
# </details>

# %%
import inspect
import itertools
import time

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks import WrongAnswer, check_gradient
from maml_edu.figures import (
    Curve,
    Note,
    Points,
    Scene,
    break_the_tape,
    draw,
    price_of_a_gradient,
    show_source,
)
from maml_edu.reference import autodiff

# %% [markdown]
# ## One program, line by line
#
# A network with one unit and no hidden layer, one example $(x, y)$, and the squared error:
#
# $$L = \bigl(\mathrm{relu}(wx + b) - y\bigr)^2, \qquad \mathrm{relu}(z) = \max(0, z).$$
#
# A computer does one operation at a time. This is the **forward pass**:

# %%
w, b = 1.0, 0.5
x, y = 1.0, 0.5
m = w * x
z = m + b
a = max(z, 0.0)
r = a - y
L = r * r
print(f"m = {m}, z = {z}, a = {a}, r = {r}, L = {L}")

# %% [markdown]
# For every value $v$ in these lines, let its **slope** be $\partial L/\partial v$: how $L$ responds when $v$ is changed a
# little, and all that is computed from $v$ follows. The slope of $L$ itself is 1. For the others we need one look at each line:
#
# - A line knows its **local factors**: how its result responds to each of its operands. In $m = wx$ the result responds to
#   $w$ with the factor $x$, and to $x$ with the factor $w$. In a sum the factor is 1.
# - **Along a path, multiply.** If $m$ is used in one line only, and there with the factor $f$, then the slope of $m$ is the
#   slope of that line's result times $f$. This is the chain rule.
# - **Over several paths, add.** If a value is used twice, $L$ responds to it in two ways, and both count. In $L = r \cdot r$
#   the value $r$ is used twice, each time with the factor $r$.
#
# So the slope of a value is complete only when *all* lines that use it have had their turn. Go through the lines from the last
# to the first, and this is always so, because a value is used only by later lines. This is the **backward pass**. In the code
# `g_r` is the slope of `r`:

# %%
g_L = 1.0
g_r = g_L * r + g_L * r  # L = r * r uses r twice: add
g_a = g_r * 1.0  # r = a - y
g_z = g_a * (1.0 if z > 0 else 0.0)  # a = max(z, 0)
g_m, g_b = g_z * 1.0, g_z * 1.0  # z = m + b
g_w, g_x = g_m * x, g_m * w  # m = w * x
print(f"slopes: w {g_w}, x {g_x}, b {g_b}")


def loss_of_w(w):
    return (max(w * x + b, 0.0) - y) ** 2


h = 1e-5
print(f"measured for w: {(loss_of_w(w + h) - loss_of_w(w - h)) / (2 * h):.6f}")

# %% [markdown]
# One backward pass has found the slopes of *all* values, of the inputs as well as the parameters. Computing the slopes
# from the end of a program to its beginning is called **backpropagation**, or differentiation in **reverse mode**.
#
# ### Two examples: broadcasting is reuse
#
# Now let $x$ and $y$ hold two examples, and let $L$ be the *mean* of the two squared errors. `w * x + b` still works: NumPy
# **broadcasts** the numbers $w$ and $b$, that is, it uses each of them for both examples. A value that is used twice gets two
# parts, and parts are added. So **what was broadcast on the way forward is summed on the way back**: the slope of $b$ is the
# sum of two numbers. (The slope of $x$ stays a pair: each example has an $x$ of its own.)
#
# ## Break it
#
# On the left are the lines of this program, each with its value, the local factors, and the slope as the backward pass claims
# it. On the right the claims for $w$, $b$, $x_1$ and $x_2$ stand next to a **nudge**: the central difference
# $(L(\cdot + h) - L(\cdot - h))/2h$, which knows nothing of the backward pass. You can drag $w$, $b$ and $x_1$, and you can
# break the backward pass in three ways that beginners' programs really have. Three things to find:
#
# 1. Break it in each way. Which of the four nudges does *not* notice, and by what factor are the slopes wrong?
# 2. Choose *overwrite instead of add*, and find a place where no nudge notices anything. Does the same place hide the other
#    two?
# 3. Break nothing, and set $h = 1$. The nudge still agrees to every digit, though $h$ is enormous. Why? Then find a place where
#    it disagrees. Who is right?

# %%
break_the_tape()

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. *Overwrite*: the second use of $r$ wipes out the first, so the slope of $r$ is half of what it should be, and so is every
#    slope computed from it. All four nudges notice. *Forget to sum*: $w$ and $b$ get two numbers where there should be one.
#    The nudges of $x_1$ and $x_2$ notice nothing, because their slopes are right. *From first to last*: only $q$, which feeds
#    the last line, gets a slope; its own turn is over by then, so nothing is passed on, and all four claims are 0.
# 2. Make both $z$ negative, for instance $w = -1$ and $b = -0.5$. Both relus give 0 then, whatever happens nearby (they are
#    *silent*). So all four slopes *are* 0, and half of 0 is 0. Or fit both examples perfectly, with $w = 1.5$ and $b = -1$: at
#    a minimum all slopes are 0, too. *From first to last* is hidden at both places. *Forget to sum* is not: $(0, 0)$ is two
#    numbers. A check at one place says something about that place only; a minimum is a bad one.
# 3. Between kinks, $L$ is a quadratic in each of the four numbers, and a central difference is exact for quadratics. Put $b$ at
#    −0.2: then $z_1 = 0.8$, and a nudge of $w$, $b$ or $x_1$ by 1 crosses the kink of the relu at 0. The backward pass gives
#    the slope *at* the place, and it is right. The nudge averages over what lies within $h$ on both sides.
# </details>

# %% [markdown]
# ## The tape
#
# Nobody wants to write backward passes by hand. While a program runs, let it **write down each line**: which values went in,
# what came out, and how to go back. This list is a **tape**. The backward pass is then a loop over the tape from its
# end to its beginning, and it is the same loop for every program.
#
# How do the lines get onto the tape? We hand the function *traced* values in place of numbers. NumPy asks every operand that
# has a method `__array_ufunc__` (for operations such as `+`, `@`, `np.sin`) or `__array_function__` (for functions such as
# `np.mean`) what is to be done. So the code to be differentiated stays plain NumPy. All names are those of the library's own
# version, which you will meet below.


# %%
class Traced(np.lib.mixins.NDArrayOperatorsMixin):  # turns x + y into np.add(x, y), and so on
    """A value that is written on a tape: what it is worth, on which tape, in which line."""

    def __init__(self, value, tape, index):
        self.value, self.tape, self.index = value, tape, index

    def __array_ufunc__(self, operation, method, *inputs, **options):
        return record(operation, inputs, options)

    def __array_function__(self, operation, types, inputs, options):
        return record(operation, inputs, options)


def plain(x):
    """`x` without tapes."""
    while isinstance(x, Traced):
        x = x.value
    return x


# %% [markdown]
# A line of the tape belongs to one value. It holds a list of pairs: which earlier line fed it, and a **backward rule**, a
# function `pull` from the slope of the result to (a part of) the slope of that operand. `pull_back` is the backward pass.


# %%
LEVELS = itertools.count()  # a tape made later belongs to a grad further inside


class Tape:
    """What was computed from the parameters, in order: per value, who fed it and how to go back."""

    def __init__(self):
        self.level, self.lines = next(LEVELS), []

    def record(self, value, parents=()):
        self.lines.append(parents)
        return Traced(value, self, len(self.lines) - 1)

    def pull_back(self, out):
        """∂out/∂value for every value that `out` depends on: line → slope."""
        slopes = {out.index: 1.0}
        for index in range(out.index, -1, -1):  # every line after all that use it
            for parent, pull in self.lines[index] if index in slopes else ():
                part = pull(slopes[index])
                slopes[parent] = slopes[parent] + part if parent in slopes else part
        return slopes


# %% [markdown]
# `record` runs an operation and writes it down. It runs it on what is *in* the traced values; constants have no line. (Why
# it looks for the tape of the highest level, you will see when there are two.)


# %%
RULES = {}  # operation → its backward rules
CONSTANT = {np.greater, np.less, np.shape, np.size}  # their results have slope 0


def record(operation, inputs, options):
    """Run an operation on traced values, and write it on the innermost of their tapes."""
    if operation in CONSTANT:
        return operation(*map(plain, inputs), **options)
    tapes = [x.tape for x in inputs if isinstance(x, Traced)]
    tape = max(tapes, key=lambda tape: tape.level)
    held = [isinstance(x, Traced) and x.tape is tape for x in inputs]
    values = [x.value if on_it else x for x, on_it in zip(inputs, held, strict=True)]
    out = operation(*values, **options)
    pulls = RULES[operation](out, *values, **options)
    parents = [(inputs[i].index, pull) for i, pull in enumerate(pulls) if held[i]]
    return tape.record(out, parents)


# %% [markdown]
# `grad` puts it together. Like the library's, it turns a function into another function: its gradient.


# %%
def grad(f):
    """df/dparams as a function; `params` is a number, an array, or a dict of arrays."""

    def slopes_of(params, *rest):
        tape, single = Tape(), not isinstance(params, dict)
        leaves = {"": params} if single else params
        traced = {name: tape.record(leaf) for name, leaf in leaves.items()}
        out = f(traced[""] if single else traced, *rest)
        on_it = isinstance(out, Traced) and out.tape is tape
        slopes = tape.pull_back(out) if on_it else {}  # a constant has slope 0
        found = {n: slopes.get(x.index, np.zeros(np.shape(x))) for n, x in traced.items()}
        return found[""] if single else found

    return slopes_of


# %% [markdown]
# Last the **rules**, one line per operation. Each gets the result, the operands and the options, and returns a function
# from the result's slope $g$ to a part of the slope of each operand. `sum_to` undoes broadcasting. Ours knows only one kind,
# an operand that lacks leading axes, as a bias `(40,)` next to `(examples, 40)`. NumPy knows another: exercise 02.2.


# %%
def sum_to(slope, shape):
    """Sum `slope` over the leading axes that an operand of this shape did not have."""
    while len(np.shape(slope)) > len(shape):
        slope = np.sum(slope, axis=0)
    return slope


def to(x, pull):
    """A backward rule for an operand `x` that may have been broadcast."""
    return lambda g: sum_to(pull(g), np.shape(x))


RULES |= {
    np.add: lambda out, x, y: [to(x, lambda g: g), to(y, lambda g: g)],
    np.subtract: lambda out, x, y: [to(x, lambda g: g), to(y, lambda g: -1.0 * g)],
    np.multiply: lambda out, x, y: [to(x, lambda g: g * y), to(y, lambda g: g * x)],
    np.power: lambda out, x, p: [lambda g: g * (p * x ** (p - 1))],  # p is a number
    np.maximum: lambda out, x, y: [to(x, lambda g: g * (x > y)), to(y, lambda g: g * (x < y))],
    np.sin: lambda out, x: [lambda g: g * np.cos(x)],
    np.cos: lambda out, x: [lambda g: -1.0 * g * np.sin(x)],
}

# %% [markdown]
# And those for arrays. (`np.sum` and `np.broadcast_to` undo each other.)

# %%
RULES |= {
    np.matmul: lambda out, x, y: [lambda g: g @ np.transpose(y), lambda g: np.transpose(x) @ g],
    np.transpose: lambda out, x: [lambda g: np.transpose(g)],
    np.sum: lambda out, x, axis=None: [lambda g: np.broadcast_to(g, np.shape(x))],  # or axis=0
    np.mean: lambda out, x: [lambda g: np.broadcast_to(g * (1.0 / np.size(x)), np.shape(x))],
    np.broadcast_to: lambda out, x, shape: [lambda g: sum_to(g, np.shape(x))],
}

methods = [f for kind in (Traced, Tape) for f in vars(kind).values() if inspect.isfunction(f)]
parts = (*methods, plain, record, grad, sum_to, to)
lines = sum(len(inspect.getsource(part).splitlines()) for part in parts)
print(lines, "lines of code and", len(RULES), "rules of one line each")

# %% [markdown]
# The rule of `@` will be derived below. First: does it work? On the program of the figure, and on the library's loss of a
# network with two hidden layers of 40 units, which was written for another tape than ours (seed 2):


# %%
def small_program(params):
    residual = np.maximum(params["w"] * np.array([1.0, 2.0]) + params["b"], 0.0) - np.array(
        [0.5, 2.0]
    )
    return np.mean(residual * residual)


slopes = grad(small_program)({"w": 1.0, "b": 0.5})
print(f"as in the figure: w {slopes['w']}, b {slopes['b']}")

rng = np.random.default_rng(2)
params = ref.mlp_init(rng, (1, 40, 40, 1))  # {"w1": (1, 40), "b1": (40,), …}
x = rng.uniform(-5, 5, (10, 1))
y = 3 * np.sin(x - 1)
ours, theirs = grad(ref.mse)(params, x, y), ref.grad(ref.mse)(params, x, y)
apart = max(np.abs(ours[name] - theirs[name]).max() for name in params)
print("the network: our slopes and the library's agree to 1e-9:", bool(apart < 1e-9))

# %% [markdown]
# ## The proof: a gradient of a gradient
#
# Look again at the rules. They are themselves plain NumPy: `g * y`, `g @ np.transpose(y)`. So what happens if $x$ is *traced*
# while the backward pass runs? Then the backward pass is recorded like any other program, and can be differentiated. Let
# `grad(grad(f))` run:
#
# - The outer `grad` makes a tape, and on it a traced $x$. It calls the inner `grad`, which makes a second tape, and on that a
#   traced value *whose own value is traced*.
# - An operation on that value is written on the inner tape: the one that was made later, and so has the higher level. But
#   `record` runs the operation on what is *in* the value, and that is a traced value of the outer tape. So it is written there
#   as well.
# - The slopes of the inner backward pass are traced values of the outer tape. Everything that is done to them is written on it,
#   and the outer backward pass walks back over it.
#
# The first test for a finished tape: the second derivative of $x^3$ is $6x$, 12 at $x = 2$. (The first one, $3x^2$, is 12 there
# as well; at 3 they differ.)
#
# In this test a traced value meets only constants and values of its own tape. It meets one of the *other* tape when the inner
# function also uses the outer $x$. Such an operation belongs on the inner tape, because the inner backward pass has to find it;
# its result carries the outer tape along. That is why `record` takes the highest level. The second test: the slope of
# $x \cdot y \cdot x$ with respect to $y$ is $x^2$, and *its* derivative with respect to $x$ is $2x$, 6 at $x = 3$.


# %%
def cube(x):
    return x**3


for at in (2.0, 3.0):
    first, second, third = grad(cube)(at), grad(grad(cube))(at), grad(grad(grad(cube)))(at)
    print(f"x = {at}: first {first:.0f}, second {second:.0f}, third {third:.0f}")

fourth = grad(grad(grad(grad(np.sin))))
print(f"the fourth derivative of the sine is the sine: {fourth(0.7):.6f} = {np.sin(0.7):.6f}")


def slope_in_y(x):
    return grad(lambda y: x * y * x)(2.0)  # both tapes meet here


print(f"two tapes that meet: {slope_in_y(3.0):.0f}, and its derivative {grad(slope_in_y)(3.0):.0f}")

# %% [markdown]
# (Write `min` in place of `max` in `record`: the first test still passes, and the second gives 0.)
#
# ### The trap
#
# Now a colleague finds the tape slow, and lets the rule of the power compute with plain numbers. The value is the same, so what
# can happen?

# %%
RULES[np.power] = lambda out, x, p: [lambda g: g * (p * plain(x) ** (p - 1))]


def mixed(x):
    return x * x * x + x**2  # derivatives: 3x² + 2x and 6x + 2


print("x³:       first", grad(cube)(2.0), "  second", grad(grad(cube))(2.0), "  should be 12, 12")
print("x·x·x+x²: first", grad(mixed)(2.0), "  second", grad(grad(mixed))(2.0), "  should be 16, 14")
check_gradient(mixed, grad(mixed), 2.0)

# %% [markdown]
# The first derivative is right to the last digit, and the check against finite differences passes. The second derivative is 0
# where the rule is all there is, and elsewhere merely *wrong*: the part that went through the broken rule is missing. Nothing
# crashes.
#
# This will matter. From [chapter 04](04_gradient_of_a_step.ipynb) on the course differentiates through gradient steps, and such
# a tape would give another gradient, silently. (If *no* slope carries a derivative, the result is what chapter 04 calls
# *first-order*. With one broken rule it is neither that nor the right one.) So a tape is not finished before both tests have
# passed, and the way to test a second derivative is to compare it with differences of the **first**. (`check_gradient` prints
# both slopes multiplied by a random $v$, here about 0.126. What tells you something is their ratio, $12/14$.)

# %%
try:  # only so that this page runs through
    check_gradient(grad(mixed), grad(grad(mixed)), 2.0)
except WrongAnswer as message:
    print("✗", message)

RULES[np.power] = lambda out, x, p: [lambda g: g * (p * x ** (p - 1))]  # as it was
check_gradient(grad(mixed), grad(grad(mixed)), 2.0)

# %% [markdown]
# **Your turn.** In a new cell, give the tape a rule for `np.exp`, in one line, and find out whether it is right to any order:
# all derivatives of $e^x$ are $e^x$.
#
# <details><summary>Answer</summary>
#
# `RULES[np.exp] = lambda out, x: [lambda g: g * out]`, and `grad(grad(grad(np.exp)))(0.7)` is `np.exp(0.7)`. The result `out`
# is at hand, so nothing has to be computed again. And it is right to any order: inside an outer `grad`, `out` is a traced
# value, because `record` ran the operation on traced values. With `g * plain(out)` the second derivative would be 0.
# </details>
#
# ## The library's tape
#
# `ref.grad` is the same idea under the same names. Unfold its tape and its `record`, and look for what you know:

# %%
show_source(autodiff.Tape)

# %%
show_source(autodiff.record)

# %% [markdown]
# What it does beyond ours: parameters may be nested lists, tuples and dicts; `pull_back` can start from a slope other than 1,
# which gives Jacobians; there are rules for dozens of operations, indexing among them; a tape is closed after use; and it
# *complains*. Ours raises `KeyError` for an operation that has no rule, and its `@` takes matrices only, no vectors. Worse, where
# a rule of ours covers less than NumPy does, it may be silently wrong: `np.sum(x, axis=1)` of a square array, for instance. The
# library says what is missing and what to use instead:

# %%
try:
    ref.grad(lambda x: np.sum(np.cumsum(x)))(np.ones(3))
except NotImplementedError as message:
    print(message)

# %% [markdown]
# ## By hand: the backward pass of a network
#
# Once in your life you should do it by hand. Chapter 09 will do it again for second derivatives, in the notation of this
# section.
#
# **The network.** A layer takes its input $a_-$ to $z = Wa_- + b$, and gives out $a = \mathrm{relu}(z)$, which is the input of
# the next layer. (The minus says *one layer below*. For the first layer, $a_-$ is $x$.) The *last* layer is linear: $a = z$. We
# write one example; $a_-$, $z$, $a$ and $b$ are column vectors.
#
# **What we carry back.** For each layer let $\delta = \partial L/\partial z$, the slopes of what the layer computes *before*
# its relu.
#
# - *Output.* The loss is the mean squared error over $n$ examples with one output each, so each example adds
#   $\tfrac1n(a - y)^2$ to it, and $\delta = \tfrac2n(a - y)$. (The $\tfrac1n$ of the mean is inside δ from here on.)
# - *One layer down.* In full, $z_i = \sum_j W_{ij}(a_-)_j + b_i$. So $(a_-)_j$ is used in *every* $z_i$, with the factor
#   $W_{ij}$. Over several paths, add: its slope is $\sum_i W_{ij}\delta_i$, that is $(W^\top\delta)_j$. And
#   $a_- = \mathrm{relu}(z_-)$ passes a slope on where $z_- > 0$, and nothing elsewhere. So $\delta_- = W^\top\delta$ where
#   $z_- > 0$, else 0.
# - *Slopes of the layer.* $W_{ij}$ is used in $z_i$ only, with the factor $(a_-)_j$, so its slope is $\delta_i(a_-)_j$: as a
#   matrix, $\partial L/\partial W = \delta a_-^\top$. And $b_i$ has the factor 1: $\partial L/\partial b = \delta$.
# - *Several examples.* All examples use the same $W$ and $b$. So the slopes are **sums over examples** of these; the sign for
#   the sum is left out.
#
# | | line |
# | --- | --- |
# | forward | $z = Wa_- + b$ |
# | | $a = z$ where $z > 0$, else 0 (last layer: everywhere $a = z$) |
# | output | $\delta = \tfrac2n(a - y)$ |
# | backward | $\delta_- = W^\top\delta$ where $z_- > 0$, else 0 |
# | slopes | $g_W = \delta a_-^\top$, $\;g_b = \delta$, summed over the examples |
#
# **By numbers.** The network 1-2-1 without biases: $W_1 = (2, -1)^\top$, $W_2 = (1, 3)$, one example $x = 1$, $y = 1$. A number
# below a letter says which layer it belongs to.
#
# | | line |
# | --- | --- |
# | layer 1 | $z_1 = W_1x = (2, -1)^\top$, $\;a_1 = (2, 0)^\top$: the second unit is silent |
# | layer 2 | $a_2 = z_2 = 1 \cdot 2 + 3 \cdot 0 = 2$ |
# | output | $\delta_2 = 2(2 - 1) = 2$ |
# | slope of $W_2$ | $\delta_2 a_1^\top = (4, 0)$ |
# | backward | $W_2^\top\delta_2 = (2, 6)^\top$, and where $z_1 > 0$: $\;\delta_1 = (2, 0)^\top$ |
# | slope of $W_1$ | $\delta_1 x = (2, 0)^\top$ |
#
# The silent unit gets no slope at all, neither for the weight into it nor for the one out of it: for this example it
# does not exist.
#
# ### In rows
#
# Code holds all examples at once, **one per row**. The matrix of all $a_-$ has the shape (examples, inputs). `w` is stored as
# (inputs, outputs), the transpose of $W$, so that the forward line reads `z = inputs @ w + b`. Then everything above is
# transposed: $\delta_- = W^\top\delta$ becomes `delta @ w.T`, and $\delta a_-^\top$, summed over the examples, becomes
# `inputs.T @ delta`: the product of these two matrices *is* the sum over examples.


# %%
def forward(params, x):
    """Each layer's input a₋ and its z, (examples, width) each, from the first layer to the last."""
    inputs, kept = x, []
    for layer in range(1, len(params) // 2 + 1):
        z = inputs @ params[f"w{layer}"] + params[f"b{layer}"]
        kept.append((inputs, z))
        inputs = np.maximum(z, 0)
    return kept  # the last z is the network's output


def backward(params, x, y):
    """∂L/∂params of the mean squared error, by hand."""
    kept = forward(params, x)
    delta = 2 / len(x) * (kept[-1][1] - y)  # (examples, 1)
    slopes = {}
    for layer in range(len(kept), 0, -1):
        inputs, _ = kept[layer - 1]
        slopes[f"w{layer}"] = inputs.T @ delta  # (inputs, outputs), summed over examples
        slopes[f"b{layer}"] = delta.sum(axis=0)
        if layer > 1:  # nobody asks for the slope of x
            below = kept[layer - 2][1]  # z₋
            delta = np.where(below > 0, delta @ params[f"w{layer}"].T, 0)
    return slopes


# %%
tiny = {"w1": np.array([[2.0, -1.0]]), "b1": np.zeros(2)}
tiny |= {"w2": np.array([[1.0], [3.0]]), "b2": np.zeros(1)}
by_hand = backward(tiny, np.array([[1.0]]), np.array([[1.0]]))
print("the table:  w2", by_hand["w2"].ravel(), "  w1", by_hand["w1"].ravel())

by_hand, by_tape = backward(params, x, y), grad(ref.mse)(params, x, y)
apart = max(np.abs(by_hand[name] - by_tape[name]).max() for name in params)
print("1-40-40-1:  by hand and by the tape agree to 1e-9:", bool(apart < 1e-9))

# %% [markdown]
# (This also gives the promised rule for `@`: $g$ in place of δ.)
#
# Look at what the way back **needs**: each layer's input, and where its $z$ was positive. They were computed on the way forward
# and have to be kept until the way back comes by. So reverse mode costs memory, a number for each unit and example.
# [Chapter 06](06_many_inner_steps.ipynb) and [chapter 09](09_fast_maml.ipynb) count what that means for a gradient through many
# gradient steps.

# %% [markdown]
# ## What a gradient costs
#
# Count multiplications. On the way forward each `w` takes part in one product, `inputs @ w`. On the way back it does so in two,
# `delta @ w.T` and `inputs.T @ delta`, of the same size. One and two make **three**. (A little less: the first layer has no
# `delta` to pass on.)

# %%
for width in (40, 160):
    shapes = [(1, width), (width, width), (width, 1)]  # of w1, w2, w3
    value = sum(10 * inputs * outputs for inputs, outputs in shapes)  # ten examples
    gradient = 3 * value - 10 * width
    parameters = sum((inputs + 1) * outputs for inputs, outputs in shapes)
    print(f"{parameters:6,} parameters: evaluation {value:7,} multiplications, gradient {gradient:7,}, "
          f"{gradient / value:.2f} times as many")  # fmt: skip

# %% [markdown]
# The number of parameters has dropped out. This is the **cheap gradient principle**: for programs made of simple operations
# the gradient costs a small multiple of an evaluation, often within a factor of five, however many parameters there are
# (Griewank & Walther, 2008).

# %%
price_of_a_gradient()

# %% [markdown]
# And measured? Time one evaluation and the gradient in turn, and take the fastest of seven rounds, the one that was least
# disturbed. (Chapter 09 is about measuring properly. Here a range of a factor of two is enough, and so the cell prints one.)


# %%
def seconds(run, calls=20):
    start = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - start) / calls


def evaluations(gradient, width):
    """How many evaluations a gradient costs here: a range such as '6 to 12'."""
    net = ref.mlp_init(np.random.default_rng(2), (1, width, width, 1))
    runs = (lambda: ref.mse(net, x, y), lambda: gradient(net, x, y))
    rounds = np.array([[seconds(run) for run in runs] for _ in range(7)])
    value, cost = rounds.min(axis=0)
    low = 1.5 * 2 ** np.floor(np.log2(cost / value / 1.5))
    return f"{low:g} to {2 * low:g}"


print("parameters   by hand       our tape      library's tape   by differences")
ways = (backward, grad(ref.mse), ref.grad(ref.mse))
for width in (10, 40, 160, 320):
    count = (1 + 1) * width + (width + 1) * width + width + 1
    here = [evaluations(gradient, width) for gradient in ways]
    print(f"{count:10,}   {here[0]:12}  {here[1]:12}  {here[2]:14}   {2 * count:,} (counted)")

# %% [markdown]
# Read down a column. From top to bottom the parameters grow more than seven-hundredfold, and so does the last column. By hand
# the price stays in one range, and that of a tape falls. But a tape is dearer than the count says. Why?
#
# In a small network the time does not go into multiplications. An operation on a few hundred numbers costs about as much as
# one on a single number (chapter 09 measures it), and a tape *starts* many more operations than an evaluation: it traces each
# one, looks up its rules, makes functions, and calls them. (The library's checks more on the way, which tells most where
# arrays are small.) With 320 units the products take more of the time, and the tapes come nearer to three. So the principle
# holds for *arithmetic*, and a tape written in Python pays for bookkeeping on top of it. It is bookkeeping that chapter 09
# gets rid of.
#
# To see the differences fail for yourself: all 1,761 slopes of the network 1-40-40-1, one at a time.


# %%
def by_differences(loss, params, h=1e-6):
    """Central differences, one parameter at a time: 2 evaluations for each."""
    slopes = {name: np.empty_like(value) for name, value in params.items()}
    for name, value in params.items():
        for place in np.ndindex(value.shape):
            ends = []
            for step in (h, -h):
                moved = value.copy()
                moved[place] += step
                ends.append(loss(params | {name: moved}))
            slopes[name][place] = (ends[0] - ends[1]) / (2 * h)
    return slopes


loss = lambda p: ref.mse(p, x, y)
times = [seconds(lambda: by_differences(loss, params), 1), seconds(lambda: grad(loss)(params), 20)]
print("by differences it took more than 100 times as long:", times[0] > 100 * times[1])
numeric, exact = by_differences(loss, params), grad(loss)(params)
gap = max(np.abs(numeric[name] - exact[name]).max() for name in params)
largest = max(np.abs(part).max() for part in exact.values())
print("and agrees to 1e-5 of the largest slope:", bool(gap < 1e-5 * largest))

# %% [markdown]
# ## The other direction
#
# Why walk *back*? A program is a chain of steps, say $x \to u \to v \to L$. Each has a **Jacobian**, the matrix of all slopes
# of its results with respect to its inputs (a row per result, a column per input). By the chain rule the Jacobian of the whole
# is the product $J_3J_2J_1$. The brackets do not change the result, but they change the work:
#
# - $(J_3J_2)J_1$, from the **last** step: reverse mode. With one output, $J_3$ is a row, and a row times a matrix is a row
#   again.
# - $J_3(J_2J_1)$, from the **first** step: **forward mode**. With one input, $J_1$ is a column, and it stays one.


# %%
def product(left, right):
    """Multiplications in the product of matrices of these shapes."""
    return left[0] * left[1] * right[1]


print("multiplications                  reverse     forward")
for inputs, outputs in ((1000, 1), (1, 1000)):
    last, middle, first = (outputs, 40), (40, 40), (40, inputs)  # shapes of J₃, J₂, J₁
    reverse = product(last, middle) + product((outputs, 40), first)
    forwards = product(middle, first) + product(last, (40, inputs))
    print(f"{inputs:4} inputs, {outputs:4} outputs     {reverse:9,}   {forwards:9,}")

# %% [markdown]
# So **reverse mode costs one pass per output, forward mode one pass per input**. A loss has one output and many inputs:
# reverse. How a thousand numbers depend on a single one, a step size for instance: forward. And a single *direction* $v$ in the
# space of all inputs counts as one input, since $J_1 v$ is a column: forward mode gives $J_3J_2J_1v$ in one pass. It needs no
# tape, because it goes along with the program and keeps nothing of what lies behind. With one input *and* one output, either
# mode needs one pass, and memory decides.
#
# `ref.jacobian` works in reverse mode: one pull-back for each output. [Chapter 05](05_hessians.ipynb) combines the two modes,
# and chapter 09's *Further A* is forward mode by hand, applied to the table above.

# %% [markdown]
# ## A habit: check along a random direction
#
# You have a gradient $g$, perhaps written by hand. To check all $n$ entries by differences costs $2n$ evaluations. To check it
# along **one direction** $v$ costs two:
#
# $$\frac{L(\theta + hv) - L(\theta - hv)}{2h} \;\approx\; g^\top v .$$
#
# An error $e$ in the gradient shows as $e^\top v$. So it stays hidden only if $v$ is perpendicular to it. Which direction,
# then? Say that somebody forgot the slopes of the first biases, and claims 0 for them:


# %%
def dot(a, b):
    return sum(np.sum(a[name] * b[name]) for name in a)


def along(v, h=1e-5):
    """The slope of the loss along v, by a central difference."""
    ahead, behind = ({n: params[n] + s * v[n] for n in params} for s in (h, -h))
    return (loss(ahead) - loss(behind)) / (2 * h)


def unit(v):
    return {name: part / np.sqrt(dot(v, v)) for name, part in v.items()}


right = grad(loss)(params)
wrong = right | {"b1": np.zeros(40)}
rng = np.random.default_rng(3)
random = [{n: rng.normal(size=part.shape) for n, part in params.items()} for _ in range(3)]
for name, v in [("its own direction ", wrong), *(("a random direction", v) for v in random)]:
    claim, found = dot(wrong, unit(v)), along(unit(v))
    off, right_off = abs(claim / found - 1), abs(dot(right, unit(v)) / found - 1)
    print(f"{name}: claimed {claim:8.3f}, measured {found:8.3f}, off by {off:.1%}; "
          f"the right gradient by {right_off:.3%}")  # fmt: skip

# %% [markdown]
# Along its own direction the wrong gradient looks perfect: it does not move the first biases, and so it never learns what they
# do. Whatever direction is *made from* the claim, or from one's idea of the network, may share its blind spot. A random
# direction has no idea. For it to miss an error, $e^\top v$ would have to be tiny by chance. A percent or two may not look
# like much, but the right gradient agrees to three more digits: compare with *that*.
#
# Make it a habit: whenever you have written a derivative, call `check_gradient`, which takes five random directions. It asks
# for a relative difference below $10^{-5}$; where fewer digits can be expected, say so, as in `rtol=1e-3`. The check says
# nothing about other places, nothing about *second* derivatives (as you saw), and near a kink of a relu it may complain about
# a gradient that is right (as you saw, too): then try another place.

# %%
check_gradient(loss, lambda p: backward(p, x, y), params)
try:
    check_gradient(loss, lambda p: backward(p, x, y) | {"b1": np.zeros(40)}, params)
except WrongAnswer as message:
    print("✗", message)

# %% [markdown]
# ## Fit one sine
#
# Put the tape to work. Twenty points of the wave $3\sin(x - 1)$, the network 1-40-40-1, and 1,000 rounds of *Adam* (gradient
# descent with a step size of its own for each parameter, as in chapter 00), every gradient from our own tape. Three starts
# (seeds 2, 3 and 4; the points have seed 1):

# %%
x20 = np.random.default_rng(1).uniform(-5, 5, (20, 1))
y20 = 3 * np.sin(x20 - 1)
new_x = np.linspace(-5, 5, 201)[:, None]
slope_of = grad(ref.mse)


def fit(seed, rounds=1000):
    """(parameters, loss on the points in every round)."""
    net, state, history = ref.mlp_init(np.random.default_rng(seed), (1, 40, 40, 1)), None, []
    for _ in range(rounds):
        history.append(ref.mse(net, x20, y20))
        net, state = ref.adam(net, slope_of(net, x20, y20), state, lr=0.01)
    return net, history


fits = {seed: fit(seed) for seed in (2, 3, 4)}
for seed, (net, history) in fits.items():  # one digit: a thousand rounds make rounding errors grow
    missed = np.abs(ref.mlp(net, x20) - y20) > 0.3
    between = ref.mse(net, new_x, 3 * np.sin(new_x - 1))
    print(f"seed {seed}: loss at first {history[0]:4.1f}, after 100 rounds {history[100]:.1f}, at the end "
          f"{ref.mse(net, x20, y20):.1f}; points missed by more than 0.3: {missed.sum()}; "
          f"loss on the whole wave {between:.1f}")  # fmt: skip

# %%
wave = Curve(new_x[:, 0], 3 * np.sin(new_x[:, 0] - 1), "truth", "the wave")
looks = {2: ("after", "seeds 2 and 3"), 3: ("after", "seeds 2 and 3"), 4: ("high", "seed 4")}
fitted = [
    Curve(new_x[:, 0], ref.mlp(net, new_x)[:, 0], *looks[seed]) for seed, (net, _) in fits.items()
]
draw(
    Scene(
        title="After 1,000 rounds two starts pass close to all points; one has not arrived",
        alt="A sine wave, twenty points of it, and the curves of three trained networks. Those of seeds 2 and 3 "
        "follow the wave where the points are dense and leave it, and each other, in the gap between x = 0.5 "
        "and 2.5. That of seed 4 also passes beside points, at x = 3 and at the right end.",
        xlabel="x",
        ylabel="y",
        xlim=(-5, 5),
        ylim=(-5, 6),
        curves=[wave, *fitted],
        points=[Points(x20[:, 0], y20[:, 0], "support", "twenty points")],
        notes=[Note(2.8, 0.4, "seed 4", "middle", role="high")],
    )
)

# %% [markdown]
# So our seventy lines train a network. It took a thousand rounds and twenty points for *one* wave, and the next wave would take
# as many. That a rough version of it can be had for one step and ten points is what this course is about.

# %% [markdown]
# ## What you should have seen
#
# - A backward pass is the forward pass read from its end: multiply along a path, add over several paths, sum what was
#   broadcast.
# - Our tape agrees with the library's and with the work by hand; the second derivative of $x^3$ at 2 is 12, and one rule
#   that computes with plain numbers makes it 0 without a word. A second test lets two tapes meet.
# - The price of a gradient, in evaluations, does not grow with the number of parameters: just under three in multiplications,
#   more on a tape in Python. That of differences is two per parameter.
# - A wrong gradient that passes the check along its own direction, and fails along random ones.
# - Two networks that pass close to twenty points of one wave after a thousand gradients each, and a third that has not arrived
#   yet.

# %% [markdown]
# ## Three questions
#
# **1.** A tape *overwrites* where it should add. Which slope does it report for $f(x) = x \cdot x + x$ at $x = 3$? (The
# backward pass visits the sum first; its operands are $x \cdot x$ and $x$.)
#
# <details><summary>A · 7, as it should be</summary>
# The true slope is 2x + 1 = 7. It is a sum of three parts, 1 from the sum and 3 + 3 from the product. Nothing here adds.
# </details>
# <details><summary>B · 3</summary>
# Right. The sum writes 1 as the slope of x; then the product overwrites it with 3, and once more with 3. The last part wins.
# </details>
# <details><summary>C · 1</summary>
# That would be the part from the sum. It comes first, because the sum is the last line, and it is overwritten afterwards.
# </details>
#
# **2.** A gradient agrees with central differences along five random directions, to eight digits. What does that show?
#
# <details><summary>A · That the gradient is right at this place.</summary>
# Right, for all practical purposes: an error would have to be perpendicular to five random directions at once.
# </details>
# <details><summary>B · That the program may also be differentiated twice.</summary>
# No. The tape with the broken rule passed just this check. Compare the second derivative with differences of the first.
# </details>
# <details><summary>C · Little, because five of 1,761 directions were looked at.</summary>
# It would be little if they were five of the axes: an error in one entry would mostly be missed. But a random direction
# has a part along *every* axis, so an error anywhere shows in each of the five.
# </details>
#
# **3.** You want to know how all 1,761 parameters of a trained network depend on **one** number, the step size of its training.
# Which mode, and how many passes?
#
# <details><summary>A · Reverse mode, one pass: gradients are cheap.</summary>
# A *gradient* is cheap in reverse mode: many inputs and one output. Here it is the other way round. Reverse mode would need
# 1,761 passes, one per output.
# </details>
# <details><summary>B · Forward mode, one pass.</summary>
# Right. One input, so one pass, and nothing of earlier steps has to be kept, however many there are.
# </details>
# <details><summary>C · Forward mode, 1,761 passes: one per parameter.</summary>
# Forward mode costs one pass per *input*. The parameters are the outputs here.
# </details>

# %% [markdown]
# ## Summary
#
# 1. Backward pass: visit the lines from the last to the first; a slope is the **sum** over all uses of (slope of the result) ×
#    (local factor), and what was broadcast is summed over the broadcast axis.
# 2. A layer: $\delta = \tfrac2n(a - y)$ at the output, $\delta_- = W^\top\delta$ where $z_- > 0$, $g_W = \delta a_-^\top$,
#    $g_b = \delta$, summed over examples.
# 3. If the rules are made of operations that are recorded themselves, `grad(grad(f))` is right; a rule that computes with plain
#    numbers silently loses second derivatives.
# 4. A gradient costs about three evaluations in arithmetic, whatever the number of parameters; reverse mode costs a pass per output
#    and memory, forward mode a pass per input.
# 5. Check $g^\top v$ against $(L(\theta + hv) - L(\theta - hv))/2h$ along a random $v$; check second derivatives against
#    differences of the first.

# %% [markdown]
# ## Further reading
#
# - Baydin, Pearlmutter, Radul & Siskind (2018), *Automatic Differentiation in Machine Learning: a Survey*, arXiv 1502.05767:
#   both modes, what they are not (symbolic differentiation, finite differences), and the history. Begin here.
# - Griewank & Walther (2008), *Evaluating Derivatives*, second edition, SIAM: the book. The cheap gradient principle with its
#   proof, and how to trade memory for time.
# - Rumelhart, Hinton & Williams (1986), *Learning Representations by Back-Propagating Errors*, Nature 323: four pages that made
#   backpropagation famous.
# - Kakade & Lee (2018), *Provably Correct Automatic Subdifferentiation for Qualified Programs*, NeurIPS: what a tape gets wrong
#   exactly *at* a kink, and that the cheap gradient principle can be had there, too.
# - A. Karpathy, *micrograd* (github.com/karpathy/micrograd): a tape for single numbers, about as short as ours. Its slopes are
#   plain numbers, so try our first test on it: does it know the second derivative of $x^3$?
#
# **Now you:** the [exercises of this chapter](../exercises/02_backpropagation.ipynb): two rules, the sum over uses, the order
# of visits, a check that finds *which* slope is wrong, and a network that learns one sine from data in parts. **Next:**
# [03 · Many tasks, few examples](03_many_tasks.ipynb).
