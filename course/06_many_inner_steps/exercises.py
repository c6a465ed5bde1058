# %% [markdown]
# # 06 · Exercises: many inner steps
#
# Six functions and a question to answer in words; about 95 minutes. They need nothing but NumPy. As in the lesson,
# $\varphi_0 = \theta$, $\varphi_{k+1} = \varphi_k - \alpha\nabla L_{\text{S}}(\varphi_k)$, and the query loss $L_{\text{Q}}$ judges
# $\varphi_K$. Replace `raise NotImplementedError()`, run the cell, then run the check below it: it says whether your answer is
# right, and if not, which mistake it was. The lesson is [here](../notebooks/06_many_inner_steps.ipynb).

# %%
import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 06.1 K steps on a parabola
#
# *difficulty 2/5 · 8 minutes · 3 points*
#
# The lesson had one rate for all steps. MAML's relatives give every step a rate of its own, $\alpha_0 \dots \alpha_{K-1}$. On
# parabolas the meta-gradient is still a formula. It is the yardstick for every program that walks back.
#
# $$L_{\text{S}}(\theta) = \tfrac12 a(\theta - c)^2, \qquad L_{\text{Q}}(\theta) = \tfrac12 b(\theta - d)^2$$


# %% nbgrader={"grade": false, "grade_id": "k_step_slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def k_step_slope(theta, a, c, b, d, rates):
    """dL_Q(φ_K)/dθ, where step k goes from φ_k to φ_k − rates[k] · a · (φ_k − c).

    theta, a, c, b, d: numbers; rates: an array (K,) of inner rates, in the order of the steps, K ≥ 2.
    Returns a number.
    """
    ### BEGIN SOLUTION
    follows = np.prod(1 - rates * a)  # how φ_K follows θ
    phi = c + follows * (theta - c)
    return follows * b * (phi - d)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_k_step_slope", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.k_step_slope", k_step_slope)
### BEGIN HIDDEN TESTS
check("06.k_step_slope", k_step_slope, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# One step multiplies the distance to $c$ by a factor. What do $K$ steps, with $K$ different factors, do to it?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: an account earns 2 % in the first year and 5 % in the second, and you begin with $x$. It ends with
# $1.02\cdot1.05\,x$, and one more euro at the beginning is worth $1.02\cdot1.05$ euros at the end: the same product twice, once in
# where you land, once in how that follows the start.
# </details>

# %% [markdown]
# ## 06.2 The slope of every rate
#
# *difficulty 3/5 · 15 minutes · 4 points*
#
# The lesson's formula is for one rate, shared by all steps. Give each step its own, and find the slope of the query loss with
# respect to **each of them**: that is what a program needs that learns the rates. Walk forward and keep what you need; walk back
# and collect the slopes on the way. Here both losses are bowls with several parameters:
#
# $$L_{\text{S}}(\theta) = \tfrac12(\theta - c)^\top H_{\text{S}}\,(\theta - c), \qquad
# L_{\text{Q}}(\theta) = \tfrac12(\theta - d)^\top H_{\text{Q}}\,(\theta - d)$$


# %% nbgrader={"grade": false, "grade_id": "rate_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rate_gradient(theta, rates, support_h, support_min, query_h, query_min):
    """dL_Q(φ_K)/dα_k for every step k.

    theta: the start, an array (n,). rates: an array (K,) of inner rates, in the order of the steps.
    support_h, query_h: symmetric matrices (n, n), H_S and H_Q; support_min, query_min: arrays (n,), c and d.
    Returns an array (K,), in the order of the steps.
    """
    ### BEGIN SOLUTION
    phi, slopes = theta, []
    for rate in rates:  # forward: keep g_k
        slopes.append(support_h @ (phi - support_min))
        phi = phi - rate * slopes[-1]
    v = query_h @ (phi - query_min)  # v_K
    answer = np.zeros(len(rates))
    for k in reversed(range(len(rates))):  # back: v is v_{k+1} when step k is reached
        answer[k] = -v @ slopes[k]
        v = v - rates[k] * support_h @ v
    return answer
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_rate_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("06.rate_gradient", rate_gradient)
### BEGIN HIDDEN TESTS
check("06.rate_gradient", rate_gradient, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Move $\alpha_k$ by a little $\varepsilon$. Which $\varphi$ moves first, and by how much? What does the query loss make of such a move?
# </details>
# <details><summary>Hint 2</summary>
#
# The move $-\varepsilon g_k$ happens at $\varphi_{k+1}$. How the query loss follows $\varphi_{k+1}$ is the $v$ that has been walked
# back *to $k + 1$* and no further. So take the scalar product before you walk over step $k$.
# </details>
# <details><summary>Hint 3</summary>
#
# A similar case in one dimension with two steps: $x_1 = 2x_0 + p$, $x_2 = 3x_1 + q$, judged by $x_2^2/2$. The slope with respect to
# $q$ is $x_2$; with respect to $p$ it is $3x_2$: what is walked back to where $p$ comes in, past the factor 3 and not past the 2.
# </details>

# %% [markdown]
# ## 06.3 Cut the walk short
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# A truncated meta-gradient walks back over the **last** steps only, and takes the $\varphi$ at which it stops for the start.
# You are given what a program has recorded: for each task the factors $I - \alpha H_{\text{S}}(\varphi_k)$ of all steps, and
# its query gradient at $\varphi_K$.


# %% nbgrader={"grade": false, "grade_id": "truncated", "locked": false, "schema_version": 3, "solution": true, "task": false}
def truncated(factors, query_gradients, back):
    """The meta-gradient of a batch (the mean over its tasks), cut after `back` steps of the walk back.

    factors: an array (tasks, K, n, n), the symmetric matrices I − αH(φ_k) of each task in the order of the steps.
    query_gradients: an array (tasks, n). back: how many steps are walked back; 0 is the first-order gradient;
    if it is more than K, the whole walk is meant. Returns an array (n,).
    """
    ### BEGIN SOLUTION
    steps = factors.shape[1]
    v = query_gradients  # (tasks, n)
    for k in range(steps - 1, max(steps - 1 - back, -1), -1):
        v = np.einsum("tij,tj->ti", factors[:, k], v)
    return v.mean(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_truncated", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.truncated", truncated)
### BEGIN HIDDEN TESTS
check("06.truncated", truncated, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Which factor meets the query gradient first: that of step 0 or that of step $K - 1$? Matrices do not commute.
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: to read the last three pages of a book backwards, `for page in reversed(pages[-3:])`. But try it with no page at
# all, and with more pages than the book has: `pages[-0:]` is the whole book, and `pages[-30:]` of a book with 20 pages is it, too.
# </details>

# %% [markdown]
# ## 06.4 Segments of any length
#
# *difficulty 3/5 · 15 minutes · 3 points*
#
# A walk of $K$ steps in segments of $s$ keeps a **checkpoint**, the φ at the beginning of each segment, and computes the rest
# again. The lesson divided $K$ evenly. Here the last segment may be shorter. The rules:
#
# - on the way forward $\varphi_0, \varphi_s, \varphi_{2s}, \dots$ are kept, as many as there are segments, and nothing else;
# - the way back takes segment after segment, the last one first. It computes the other φ from which the segment's steps set out again,
#   from its checkpoint, and holds them all (the landing point of the segment's last step is not needed);
# - when a segment is done, its φ are forgotten, its checkpoint included. The other checkpoints stay.


# %% nbgrader={"grade": false, "grade_id": "segments", "locked": false, "schema_version": 3, "solution": true, "task": false}
def segments(steps, size):
    """(the most sets of parameters φ held at one time on the way back, how many steps are computed again).

    steps: K ≥ 1; size: steps in a segment, ≥ 1, perhaps more than K. Neither v nor φ_K counts; φ_0 does.
    (Chapter 09 counts the other way round: φ_K, but not φ_0, which is θ.)
    Returns a tuple of two whole numbers.
    """
    ### BEGIN SOLUTION
    lengths = [min(size, steps - first) for first in range(0, steps, size)]
    held = [number + length for number, length in enumerate(lengths)]  # earlier checkpoints + own φ
    return max(held), steps - len(lengths)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_segments", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.segments", segments)
### BEGIN HIDDEN TESTS
check("06.segments", segments, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write down, for $K = 7$ and $s = 3$, which φ are held while each of the three segments is walked back.
# </details>
# <details><summary>Hint 2</summary>
#
# For $K = 7$, $s = 3$ the segments have 3, 3 and 1 steps. While the last one is walked back, $\varphi_0, \varphi_3, \varphi_6$ are
# held. What is held while the second is? Of the seven φ from which steps set out, those that were kept on the way forward need
# not be computed again.
# </details>

# %% [markdown]
# ## 06.5 Two rates for a horizon
#
# *difficulty 4/5 · 25 minutes · 4 points*
#
# A noisy quadratic with several directions, as in the lesson: in each step,
# $\theta_i \leftarrow \theta_i - \alpha(\lambda_i\theta_i + \xi_i)$ with fresh noise $\xi_i$ of mean 0. The lesson looked for one
# constant rate. Often one takes two: the first for the first steps and then, after a **switch**, the second for the rest. Which
# **pair** makes the mean loss after exactly $K$ steps smallest? There is no formula for it, but the mean loss of each pair can be
# computed, so search. Search the whole range given below, whatever you know of the limit 2: a pair can do what no single rate can.


# %% nbgrader={"grade": false, "grade_id": "two_rates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_rates(curvatures, noise, start, steps, switch):
    """The pair of rates for which the mean of Σ ½ λᵢ θᵢ² after `steps` steps is smallest.

    curvatures: an array (n,) of λ > 0. noise: (n,), the variances of ξ. start: (n,), the values of θ at first.
    steps: K. switch: how many steps have the first rate, fewer than K; the others have the second. Both rates lie
    between 0.001/λmax and 1/λmin. Returns an array (2,); its loss may be at most 1 per cent above the least possible.
    """
    ### BEGIN SOLUTION
    first = second = np.geomspace(0.001 / curvatures.max(), 1 / curvatures.min(), 300)
    for _ in range(3):  # a coarse grid, then finer ones around the best pair
        square = start**2 + 0 * first[:, None]  # (first, n)
        for _ in range(switch):
            square = (1 - first[:, None] * curvatures) ** 2 * square + first[:, None] ** 2 * noise
        weight, added = curvatures + 0 * second[:, None], 0  # the loss is weight @ square + added
        for _ in range(steps - switch):  # walked back from the end to the switch
            added = added + second**2 * (weight @ noise)
            weight = (1 - second[:, None] * curvatures) ** 2 * weight
        losses = square @ weight.T + added  # (first, second)
        i, j = np.unravel_index(np.argmin(losses), losses.shape)
        best = np.array([first[i], second[j]])
        first, second = (np.geomspace(0.95 * rate, 1.05 * rate, 60) for rate in best)
    return best
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_two_rates", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("06.two_rates", two_rates)
### BEGIN HIDDEN TESTS
check("06.two_rates", two_rates, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# One step does two things to the mean of $\theta_i^2$: it multiplies it by a factor, and it adds the noise of the step. Walk to the
# switch for an array of many first rates at once. Then every one of these meets every second rate.
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: for all sums of an `x` from one list and a `y` from another, `x[:, None] + y` is a table (len(x), len(y)), and
# `i, j = np.unravel_index(np.argmin(table), table.shape)` says where it is smallest. With three axes, (first, second, n), a table
# holds a number for each direction as well.
# </details>
# <details><summary>Hint 3</summary>
#
# A grid of 300 × 300 from `np.geomspace` may be too coarse: its rates are 3 per cent apart, and the loss may be steep. Make a second grid,
# from a little below the best pair to a little above it. Multiply the ends by 0.95 and 1.05, say.
# </details>

# %% [markdown]
# ## 06.6 A rate that learns itself
#
# *difficulty 3/5 · 12 minutes · 3 points*
#
# A rate must stay positive. So one often learns its **logarithm**: $\alpha = e^\rho$, and gradient descent moves $\rho$. Here several
# tasks, parabolas as in 06.1, share the rate α in all $K$ steps, and θ stays where it is. The meta-loss is the mean of the tasks'
# $L_{\text{Q}}(\varphi_K)$.


# %% nbgrader={"grade": false, "grade_id": "learn_the_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def learn_the_rate(theta, a, c, b, d, steps, alpha, meta_lr, updates):
    """The rates α before the first update and after each, when gradient descent moves ρ = log α.

    theta: the start, a number. a, c, b, d: arrays (tasks,). steps: K ≥ 2 inner steps, all with the same α.
    alpha: the first rate. meta_lr: the step size of the descent on ρ. updates: how many. Returns an array (updates + 1,).
    """
    ### BEGIN SOLUTION
    path = [alpha]
    for _ in range(updates):
        alpha = path[-1]
        phi = c + (1 - alpha * a) ** steps * (theta - c)  # (tasks,)
        dphi = -steps * a * (1 - alpha * a) ** (steps - 1) * (theta - c)  # dφ_K/dα
        slope = np.mean(b * (phi - d) * dphi)
        path.append(alpha * np.exp(-meta_lr * alpha * slope))  # dα/dρ = α
    return np.array(path)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_learn_the_rate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.learn_the_rate", learn_the_rate)
### BEGIN HIDDEN TESTS
check("06.learn_the_rate", learn_the_rate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# First the slope of the meta-loss with respect to α: differentiate $\varphi_K = c + (1 - \alpha a)^K(\theta - c)$. Then that
# with respect to $\rho$: how does $e^\rho$ follow $\rho$?
# </details>
# <details><summary>Hint 2</summary>
#
# A similar case: $f(\alpha) = \alpha^2$ with $\alpha = e^\rho$ has $df/d\rho = 2\alpha\cdot\alpha$. One step of descent makes of
# $\rho$ the number $\rho - 2\beta\alpha^2$, and so of $\alpha$ the number $\alpha\,e^{-2\beta\alpha^2}$.
# </details>

# %% [markdown]
# ## 06.7 In your own words
#
# *difficulty 3/5 · 10 minutes · 2 points, read by a person*
#
# A colleague meta-trains θ together with an inner rate α, with $K = 5$ inner steps. For her users she then takes 100 inner
# steps with the same α, "since α was learned, it must be right". Explain in about five sentences for what this α is right, in
# which direction it may be wrong for 100 steps, with one reason for each direction, and what she should measure before she
# ships it.

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_06", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** The gradient of α was taken through five steps, from this θ, and judged after the fifth: α minimises (at
# best) that meta-loss and no other. Nothing in it says what happens at step 6 or 100. It may be too **large** for 100 steps:
# five steps do not show a slow blow-up along a direction with $|1 - \alpha\lambda|$ a little above 1, nor the floor at which
# noise makes a long descent settle, and both only count later. It may be too **small** for 100: when α is chosen again and
# again for the next few steps, it falls to whatever quiets the steep directions at once, and the flat ones, which would pay
# after 100 steps, never move. Besides, θ was trained with this α: the curvatures at θ are what five steps of this length like.
# She should evaluate on new tasks after 0 … 100 steps, for several α, with the median and the share of runaways, and choose α
# for the number of steps that users will take (or meta-train with more steps).
#
# **Rubric.** 1 point: says that α is right for the horizon (and the θ) it was learned with, because the gradient was judged
# after $K$ steps. 1 point: at least one direction with a true reason (too large: instability or noise that shows late,
# overfitting of the support set counts as well; too small: flat directions that pay late), *and* a measurement on new tasks at
# the number of steps that will be used. A written answer that says "always too small" or "always too large" gets at most 1
# point.
