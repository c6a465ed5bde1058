# %% [markdown]
# # 15 · Exercises: the same in other frameworks
#
# Six functions and one review to write; about 155 minutes, of which 15.2 and 15.6 take the most. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it: it says whether your answer is right, and if not, which mistake it was. No framework is
# needed: you write in NumPy what TensorFlow, Keras, JAX and PyTorch do, and the checks were compared with TensorFlow 2.21, Keras 3.15,
# JAX 0.10 and PyTorch 2.13. The lesson is [here](../notebooks/15_other_frameworks.ipynb).

# %%
import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 15.1 Name the gradient
#
# *difficulty 2/5 · 15 minutes · 3 points*
#
# Nine programs, each of which was meant to be MAML. Read them as a reviewer would: what does each return?
#
# The parameter θ is one number. The support loss is $\tfrac{a}{2}(\theta-c)^2$, the query loss $\tfrac{b}{2}(\theta-d)^2$:
#
# ```python
# def support(t): return a * (t - c) ** 2 / 2
# def query(t):   return b * (t - d) ** 2 / 2
# ```
#
# In the JAX listings `theta` is a number. In PyTorch it is a tensor with `requires_grad=True`, in TensorFlow a `tf.Variable`. In Keras it
# is the only weight of `model`, whose output is that weight. Before each listing it holds the θ that you are given.
#
# ```python
# # A · JAX
# def adapted(t): return t - alpha * jax.grad(support)(t)
# jax.grad(lambda t: query(adapted(t)))(theta)
#
# # B · PyTorch
# slope, = torch.autograd.grad(support(theta), theta)
# torch.autograd.grad(query(theta - alpha * slope), theta)[0]
#
# # C · TensorFlow
# with tf.GradientTape() as outer:
#     with tf.GradientTape() as inner:
#         loss = support(theta)
#     phi = theta - alpha * inner.gradient(loss, theta)
#     meta_loss = query(phi)
# outer.gradient(meta_loss, theta)
#
# # D · TensorFlow
# with tf.GradientTape() as inner:
#     loss = support(theta)
# slope = inner.gradient(loss, theta)
# with tf.GradientTape() as outer:
#     phi = theta - alpha * slope
#     meta_loss = query(phi)
# outer.gradient(meta_loss, theta)
#
# # E · TensorFlow
# with tf.GradientTape() as outer:
#     with tf.GradientTape() as inner:
#         loss = support(theta)
#     theta.assign_sub(alpha * inner.gradient(loss, theta))
#     meta_loss = query(theta)
# outer.gradient(meta_loss, theta)
#
# # F · JAX, with `adapted` of A
# jax.grad(lambda t: query(jax.lax.stop_gradient(adapted(t))))(theta)
#
# # G · TensorFlow
# with tf.GradientTape() as outer:
#     with tf.GradientTape() as inner:
#         loss = support(theta)
#     phi = tf.stop_gradient(theta - alpha * inner.gradient(loss, theta))
#     meta_loss = query(phi)
# outer.gradient(meta_loss, theta)
#
# # H · Keras
# def update(gradients):
#     return [w - alpha * g for w, g in zip(model.trainable_variables, gradients)]
# with tf.GradientTape() as outer:
#     with tf.GradientTape() as inner:
#         loss = support(model(inputs))
#     new = update(inner.gradient(loss, model.trainable_variables))
#     meta_loss = query(model(inputs))
# outer.gradient(meta_loss, model.trainable_variables)[0]
#
# # I · JAX, with `adapted` of A
# jax.grad(lambda t: support(adapted(t)))(theta)
# ```


# %% nbgrader={"grade": false, "grade_id": "what_it_computes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def what_it_computes(theta, a, c, b, d, alpha):
    """What each listing returns: a dict from its letter, "A" … "I", to a number (or None, if it returns None).

    theta: θ. a, c: curvature and minimum of the support loss; b, d: those of the query loss. alpha: α. All are numbers.
    """
    ### BEGIN SOLUTION
    phi = theta - alpha * a * (theta - c)
    first = b * (phi - d)
    full = (1 - alpha * a) * first
    return {
        "A": full,
        "B": first,  # no create_graph: the slope is a constant
        "C": full,
        "D": first,  # the outer tape opens too late for the slope
        "E": first,  # assign cuts: the slope at φ
        "F": 0.0,  # both paths are cut, and JAX says 0
        "G": None,  # the same; TensorFlow says None
        "H": b * (theta - d),  # `new` is not used
        "I": (1 - alpha * a) * a * (phi - c),  # support for query
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_what_it_computes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("15.what_it_computes", what_it_computes)
### BEGIN HIDDEN TESTS
check("15.what_it_computes", what_it_computes, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# φ depends on θ in two ways: directly, and through the slope. For each listing ask three things. Where is the query loss (or what stands
# for it) evaluated? Is the direct way open? Is the way through the slope open?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# With $\varphi = \theta - \alpha\,s(\theta)$ and the loss $\varphi^2$: both ways open, $2\varphi\,(1 - \alpha s'(\theta))$; the slope a
# constant, $2\varphi$; both ways closed, nothing. How "nothing" is written differs: JAX always returns an array like θ, TensorFlow
# returns None.
# </details>

# %% [markdown]
# ## 15.2 Persistent or nested
#
# *difficulty 3/5 · 30 minutes · 4 points*
#
# `None` is the error message that TensorFlow does not print. It comes from one rule: a tape knows what it has recorded, and nothing else.
# Write that rule as a program: it reads what was done, and says of each gradient whether it is a number.
#
# The program is a list of events, in the order in which they happen:
#
# | event | TensorFlow |
# | --- | --- |
# | `("open", tape, persistent)` | `with tf.GradientTape(persistent=…) as tape:`, where the block begins |
# | `("close", tape)` | the end of that block |
# | `("watch", tape, value)` | `tape.watch(value)`, for a constant, while the tape is open |
# | `("compute", result, inputs)` | `result = tf.exp(a + b + …)`, from the values in the list `inputs` |
# | `("gradient", result, tape, target, source)` | `result = tape.gradient(target, source)` |
#
# Tapes and values are names. What is not computed is there from the start, and is a variable or a constant. The rules:
#
# 1. A tape **follows** every variable, by itself; a constant, from the moment when it is watched; and the results that it has recorded.
# 2. While a tape is open it **records** every operation of which it follows at least one input. (Several tapes may be open, one within
#    the other: each records for itself.)
# 3. `gradient` finds a number if the tape follows the source, and operations that it has recorded lead from there to the target. If
#    not, it gives None. (A constant that is not watched leads nowhere, even if it was added to a variable.)
# 4. A gradient that is a number is computed *from the target* by an operation like any other, and the tapes that are open then may record
#    it. (What it needs besides, the results on the way, leads to the target anyway.)
# 5. A tape that is not persistent may be asked once. The second time is an error, even if the first gave None.
#
# A tape that is not persistent is asked only when its block has ended. Source and target are never the same value. No constant is
# first added to another value and watched afterwards (what TensorFlow then says depends on details). If a gradient is None or an
# error, its result is not used again.


# %% nbgrader={"grade": false, "grade_id": "persistent_or_nested", "locked": false, "schema_version": 3, "solution": true, "task": false}
def persistent_or_nested(variables, events):
    """What each gradient of a program is: a list of "number", "none" or "error", one for each gradient event, in their order.

    variables: a list with the names of the variables; every other value that nothing computes is a constant.
    events: a list of tuples as in the table above. `persistent` is True or False, `inputs` a list of names, all else is a name.
    """
    ### BEGIN SOLUTION
    tapes, answers = {}, []

    def record(result, inputs):
        for tape in tapes.values():
            if tape["open"] and tape["follows"] & set(inputs):
                tape["follows"].add(result)
                tape["operations"].append((result, set(inputs)))

    for kind, first, *rest in events:
        if kind == "open":
            tapes[first] = {"open": True, "persistent": rest[0], "asked": False, "operations": []}
            tapes[first]["follows"] = set(variables)
        elif kind == "close":
            tapes[first]["open"] = False
        elif kind == "watch":
            tapes[first]["follows"].add(rest[0])
        elif kind == "compute":
            record(first, rest[0])
        else:
            tape, (_, target, source) = tapes[rest[0]], rest
            reached = {source} & tape["follows"]
            for result, inputs in tape["operations"]:
                if reached & inputs:
                    reached.add(result)
            if tape["asked"] and not tape["persistent"]:
                answers.append("error")
            elif target in reached:
                answers.append("number")
                record(first, [target])
            else:
                answers.append("none")
            tape["asked"] = True
    return answers
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_persistent_or_nested", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("15.persistent_or_nested", persistent_or_nested)
### BEGIN HIDDEN TESTS
check("15.persistent_or_nested", persistent_or_nested, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Keep four things for each tape: whether it is open, whether it was asked, the set of names that it follows, and the list of its
# operations as pairs (result, inputs). "compute" and a gradient that is a number need the same function: go through the tapes, and let
# those record that should.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Who has heard of a rumour? The pairs are (who was told, by whom), in the order of time:
#
# ```python
# heard = {"Ada"}
# for listener, tellers in talks:
#     if heard & set(tellers):
#         heard.add(listener)
# "Zoe" in heard
# ```
# </details>

# %% [markdown]
# ## 15.3 Exchanged arguments
#
# *difficulty 3/5 · 15 minutes · 3 points*
#
# `categorical_crossentropy(y_true, y_pred)` takes two arrays of one shape and does not notice if they are exchanged. No error is raised,
# and something is learned. What? Compute the value, and the gradient that a tape finds, of
#
# ```python
# keras.losses.categorical_crossentropy(keras.ops.softmax(logits), targets)      # the article's order
# ```
#
# For `categorical_crossentropy(first, second)`, if `second` is data, Keras does three things with every example. (If it is the output
# of a softmax of Keras, Keras goes back to the logits.)
#
# 1. It divides `second` by its sum.
# 2. It clips what results to between $10^{-7}$ and $1 - 10^{-7}$.
# 3. It returns $-\sum_j \text{first}_j \log \text{second}_j$, one number for each example, and no mean over them.
#
# The loss is not reduced. A tape that is asked for the gradient of several numbers gives that of their sum.


# %% nbgrader={"grade": false, "grade_id": "swapped", "locked": false, "schema_version": 3, "solution": true, "task": false}
def swapped(logits, targets):
    """(losses, gradient): the loss of each example, (examples,), and the gradient of their sum
    with respect to the logits, (examples, classes).

    logits (examples, classes): scores, before the softmax. targets (examples, classes): at least 0, and not all 0 in
    a row; most rows are one-hot, some are smoothed, some have several ones.
    """
    ### BEGIN SOLUTION
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    second = np.clip(targets / targets.sum(axis=1, keepdims=True), 1e-7, 1 - 1e-7)
    costs = -np.log(second)  # a constant for each class, about 16 where the target is 0
    losses = (p * costs).sum(axis=1)
    return losses, p * (costs - losses[:, None])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_swapped", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("15.swapped", swapped)
### BEGIN HIDDEN TESTS
check("15.swapped", swapped, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The logarithms belong to the targets now, and are constants. So the loss is *linear* in the probabilities p, with a cost for each class.
# The gradient with respect to the logits is that of a linear function through a softmax.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Two values only, 3 and 5: with $p$ for the first and $1 - p$ for the second, $m = 3p + 5(1 - p)$. Raise the first logit, and $p$ grows
# by $p(1 - p)$, which the second loses: $\partial m / \partial z_1 = p(1 - p)(3 - 5)$. That is $p\,(3 - m)$.
# </details>

# %% [markdown]
# ## 15.4 A step for a tree
#
# *difficulty 2/5 · 15 minutes · 4 points*
#
# JAX takes parameters as they come: arrays in dicts, lists and tuples, one inside the other. It calls this a **pytree**, and arrays and
# numbers its leaves. Write one step of gradient descent for such a tree, $\theta - \alpha \nabla$ for each leaf.
#
# - `params` is made of dicts (from text to trees), lists, tuples, and leaves: arrays and numbers.
# - `grads` is a tree like it. **None**, for a leaf or for a whole part, means that no gradient has come back: that leaf or part stays
#   as it is. (TensorFlow's gradients may hold None. Those of JAX hold zeros instead.)
# - `rates` is a tree like `params` too, or it ends sooner: a number in the place of a part is the rate of all leaves in it. (JAX calls
#   such a tree a prefix.)
# - In the dicts of `grads` and of `rates` the names may be in a different order.
#
# Return a new tree of the same structure: dicts stay dicts, lists lists, and tuples tuples. Change nothing in place.


# %% nbgrader={"grade": false, "grade_id": "pytree_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pytree_step(params, grads, rates):
    """The tree after one step; see above. Leaves are arrays of any shape, and numbers."""
    ### BEGIN SOLUTION
    if grads is None:
        return params
    if isinstance(params, dict):
        rate = {key: rates[key] if isinstance(rates, dict) else rates for key in params}
        return {key: pytree_step(params[key], grads[key], rate[key]) for key in params}
    if isinstance(params, (list, tuple)):
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * len(params)
        return type(params)(map(pytree_step, params, grads, rates))
    return params - rates * grads
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_pytree_step", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("15.pytree_step", pytree_step)
### BEGIN HIDDEN TESTS
check("15.pytree_step", pytree_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# A tree is a leaf, or it is made of trees. So the function calls itself for each part, and has one line for a leaf. Ask first whether
# `grads` is None.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Every number in a tree doubled, the structure kept:
#
# ```python
# def doubled(tree):
#     if isinstance(tree, dict):
#         return {key: doubled(part) for key, part in tree.items()}
#     if isinstance(tree, (list, tuple)):
#         return type(tree)(doubled(part) for part in tree)
#     return 2 * tree
# ```
# </details>

# %% [markdown]
# ## 15.5 Which axis, and which argument
#
# *difficulty 3/5 · 20 minutes · 4 points*
#
# `jax.vmap(f, in_axes=axes)(*args)` is how MAML gets all tasks at once: it stands for one call for each task. The tasks come along an
# axis; θ, at first, is shared; and after an inner step φ has an axis of tasks as well. Write what it returns, with an ordinary loop.
#
# `axes` has an entry for each argument:
#
# - a number: the argument is mapped along that axis. Call number $i$ gets its $i$-th slice along it. Negative numbers count from the end,
#   as in NumPy. If the argument is a dict of arrays, the number holds for each of them.
# - **None**: every call gets the whole argument.
# - a dict, for an argument that is a dict: a number or None for each name.
#
# The results, arrays or numbers, are stacked along a new first axis. At least one array is mapped, and all mapped axes are of the same
# length.
#
# In the check *every* axis has that length, so a wrong axis raises no error. In your own work, too, it may raise none.


# %% nbgrader={"grade": false, "grade_id": "in_axes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def in_axes(f, args, axes):
    """What jax.vmap(f, in_axes=axes)(*args) returns: an array with the calls along its first axis.

    f: a function of len(args) arguments, which returns an array or a number. args: a list of arrays and dicts (name → array).
    axes: a list of the same length, of numbers, None, and dicts (name → number or None).
    """
    ### BEGIN SOLUTION

    def pairs(arg, axis):
        if not isinstance(arg, dict):
            return [(arg, axis)]
        return [(arg[k], axis[k] if isinstance(axis, dict) else axis) for k in arg]

    def taken(arg, axis, i):
        if isinstance(arg, dict):
            return dict(zip(arg, (taken(*pair, i) for pair in pairs(arg, axis)), strict=True))
        return arg if axis is None else np.take(arg, i, axis)

    flat = [pair for arg, axis in zip(args, axes, strict=True) for pair in pairs(arg, axis)]
    size = next(array.shape[axis] for array, axis in flat if axis is not None)
    each = [[taken(*pair, i) for pair in zip(args, axes, strict=True)] for i in range(size)]
    return np.stack([f(*call) for call in each])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_in_axes", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("15.in_axes", in_axes)
### BEGIN HIDDEN TESTS
check("15.in_axes", in_axes, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write a helper `taken(arg, axis, i)`: what call number i gets of one argument. It has three cases, and for a dict it calls itself.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# The $i$-th slice of an array along an axis is `np.take(array, i, axis)`. Ten weighings, a row each, on one common scale:
#
# ```python
# np.stack([weigh(scale, np.take(weighings, i, 0)) for i in range(10)])      # in_axes=(None, 0)
# ```
# </details>

# %% [markdown]
# ## 15.6 The meta-gradient without a framework
#
# *difficulty 4/5 · 40 minutes · 5 points*
#
# This is what the article's class wanted to be. Its network is a softmax of $xW + b$, and for that the whole of MAML can be written by
# hand, the second order included: no tape, no state, no framework. The loss is the mean cross-entropy over the examples. Each task takes
# one inner step on its support set,
#
# $$\varphi = \theta - \alpha \nabla L_{\text{support}}(\theta), \qquad
# \nabla_\theta L_{\text{query}}(\varphi) = u - \alpha H u, \qquad u = \nabla L_{\text{query}}(\varphi),$$
#
# with $H$ the Hessian of the support loss at θ. Do not form $H$: for this network $Hu$ takes four lines.


# %% nbgrader={"grade": false, "grade_id": "stateless_maml", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stateless_maml(params, support_x, support_y, query_x, query_y, alpha):
    """(meta_loss, gradient): the query loss after one inner step, mean over the tasks, and its full gradient
    with respect to θ.

    params: {"w": (features, classes), "b": (classes,)}; the gradient is a dict like it. support_x (tasks, shots, features);
    query_x (tasks, queries, features). support_y, query_y: one-hot, with an axis of classes in the last place. alpha: α.
    """
    ### BEGIN SOLUTION

    def probabilities(theta, x):
        z = x @ theta["w"] + theta["b"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def pulled_back(x, error):  # error (examples, classes): derivative with respect to the scores
        return {"w": x.T @ error / len(x), "b": error.sum(axis=0) / len(x)}

    losses, total = [], {name: np.zeros_like(value) for name, value in params.items()}
    for sx, sy, qx, qy in zip(support_x, support_y, query_x, query_y, strict=True):
        p = probabilities(params, sx)
        slope = pulled_back(sx, p - sy)
        phi = {name: params[name] - alpha * slope[name] for name in params}
        q = probabilities(phi, qx)
        losses.append(-np.log((q * qy).sum(axis=1)).mean())
        u = pulled_back(qx, q - qy)
        dz = sx @ u["w"] + u["b"]  # how the scores change along u
        dp = p * (dz - (p * dz).sum(axis=1, keepdims=True))
        hu = pulled_back(sx, dp)
        total = {name: total[name] + u[name] - alpha * hu[name] for name in params}
    return float(np.mean(losses)), {name: value / len(losses) for name, value in total.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_stateless_maml", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("15.stateless_maml", stateless_maml)
### BEGIN HIDDEN TESTS
check("15.stateless_maml", stateless_maml, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# $Hu$ is the derivative of the gradient along $u$. The gradient of the mean cross-entropy with respect to the scores is $(p - y)/n$,
# where y does not change. So move θ a little along $u$: how do the scores change, how p, and how the gradient, which is $x^\top (p-y)/n$
# for $W$?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Least squares, $\tfrac{1}{2n}\lVert xw - y\rVert^2$: the gradient is $x^\top (xw - y)/n$. Along $u$ the outputs change by $xu$, so `hu =
# x.T @ (x @ u) / n`.
# </details>
# <details><summary>Hint 3: the formula</summary>
#
# The scores change by $dz = x\,u_W + u_b$. The probabilities change by $dp = p\,(dz - \sum_j p_j\,dz_j)$ (the sum for each example). And
# $Hu$ is what the gradient is, with $dp$ in the place of $p - y$.
# </details>

# %% [markdown]
# ## 15.7 In your own words
#
# *Written question, read by a person · difficulty 3/5 · 20 minutes · 4 points.* The author of the article asks you for a review of this
# class. They mean it to be MAML. It is the lesson's, with the article's faults, and with one more that is not in the lesson.
#
# ```
#  1  class MAML(tf.keras.Model):
#  2      def __init__(self, num_classes):
#  3          super().__init__()
#  4          self.to_vector = tf.keras.layers.Flatten()
#  5          self.classify = tf.keras.layers.Dense(num_classes, activation="softmax")
#  6
#  7      def call(self, inputs, states):
#  8          return self.classify(self.to_vector(inputs))
#  9
# 10      def compute_gradients(self, inputs, targets):
# 11          with tf.GradientTape() as record:
# 12              error = tf.keras.losses.categorical_crossentropy(self(inputs), targets)
# 13          return record.gradient(error, self.trainable_variables)
# 14
# 15      def update(self, gradients):
# 16          pairs = zip(self.trainable_variables, gradients, strict=True)
# 17          return [variable - 0.01 * slope.numpy() for variable, slope in pairs]
# ```
#
# Write it so that they want to read on: say first what is right. Then go through the lines: what stops the program, what makes it compute
# something else, and what is missing before it is MAML. For each, give the line and how to repair it. End with a test by which the author
# can see for themselves that the second order is there.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_15", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** Thank you for a class that one can read in a minute. Its plan is right: a Keras model, a gradient from a tape, and
# above all an `update` (lines 15–17) that returns new values and assigns nothing. That is what MAML needs: a derivative can go through
# `variable - 0.01 * slope`, and could not go through `assign`. One word on line 17 is in its way; more of it below.
#
# *What stops it.* Line 7 asks for `states`, line 12 does not give it, and nothing uses it: the first call raises a TypeError. Remove the
# argument.
#
# *What computes something else.* Line 12: Keras wants `(y_true, y_pred)`, so write `categorical_crossentropy(targets, self(inputs))`.
# With exchanged arguments the logarithm is taken of the targets: no error, and another loss. The same line returns a loss for each
# example, and the tape on line 13 takes the gradient of their sum. So the step grows with the number of examples: use `tf.reduce_mean`.
# Line 17: `slope.numpy()` is an array that no tape knows, so for an outer tape the slope is a constant. What comes out is first-order,
# without an error; write `slope`. (The rate 0.01 belongs in the arguments.)
#
# *What is missing.* (1) Nobody evaluates the network with the values that line 17 returns; the model keeps θ. In Keras 3,
# `stateless_call(new, [], x)` does that (the list is for variables that are not trained, of which this model has none), and returns the
# outputs together with that list. (2) A loss on **query** examples at these values: `compute_gradients` knows one set only. (3) An outer
# tape that is opened *before* line 11's and asked for the gradient of the query loss with respect to θ, with lines 11–17 inside it. If
# line 13 ran before it opened, the slope would be a constant, and the result first-order. (4) Many tasks, and the mean of their query
# losses. (5) An outer optimiser that changes θ with that gradient, and tests on new tasks.
#
# *A test.* In float64 and with one task, move θ by a small ε along a random direction, both ways, and take the query loss *after the
# inner step* both times. The difference over 2ε should be the gradient's component along the direction. The first-order gradient fails
# that test. (The rate should not be tiny, or both agree.)
#
# **Rubric.** 1 point: says what is right, and what is right about `update` (new values, differentiable), in a tone that one would like to
# receive. 1 point: the lines that are wrong, each with a repair: `states` (7, 12), exchanged arguments (12), sum for mean (12–13), and
# `.numpy()` (17), which makes it first-order. Half a point for two or three of the four. 1 point: what is missing: evaluation at the new values, a query set, an outer tape
# around the inner one, several tasks. Half a point for two or three of the four. 1 point: a test that tells second from first order
# (finite differences of the loss after adaptation; an independent implementation; a hand-computed case), with what it shows. "The loss
# falls" does not.
