# %% [markdown]
# # 13 · Exercises: robots
#
# Six functions and a question to answer in words; about two hours, of which 13.5 and 13.6 take the most. Replace
# `raise NotImplementedError()`, run the cell, then run the check below it: it says whether your answer is right, and if not,
# which mistake it was. Everything is NumPy, and no network is trained. The lesson is [here](../notebooks/13_robots.ipynb).
#
# *Core:* 13.1, 13.2, 13.4, 13.5 and the written question 13.7, about 80 minutes. *Further:* 13.3 and 13.6, about 45.

# %%
import numpy as np

from maml_edu.checks import check

# %% [markdown]
# ## 13.1 One step of all points
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# A simulator that is slightly wrong raises no error; it trains a policy for another world. Here all points of all tasks move at
# once, so there is no loop, and what is over has to be kept apart by a mask. The largest move of an axis and the distance that
# counts as an arrival are arguments.


# %% nbgrader={"grade": false, "grade_id": "step_all", "locked": false, "schema_version": 3, "solution": true, "task": false}
def step_all(positions, actions, goals, alive, largest, near):
    """One step of all points: (positions after it, rewards, which points go on).

    positions, actions (tasks, points, 2). goals (tasks, 2): one for all points of a task. alive (tasks, points): True
    for the points whose episode is not over. largest, near: numbers.

    A move is `largest` times the action, clipped on each axis separately to −largest … largest. The reward is minus the
    distance to the goal after the move. A point has arrived when it is less than `near` away from its goal on both
    axes after the move. The step that arrives is still paid; then the episode is over. A point whose episode is
    over stays where it is, which may be anywhere, is paid 0, and never goes on again.
    Returns arrays (tasks, points, 2), (tasks, points), and (tasks, points) of True and False.
    """
    ### BEGIN SOLUTION
    moves = np.clip(largest * actions, -largest, largest)
    positions = np.where(alive[:, :, None], positions + moves, positions)
    away = positions - goals[:, None]  # (tasks, points, 2)
    rewards = np.where(alive, -np.sqrt((away**2).sum(axis=2)), 0.0)
    arrived = (np.abs(away) < near).all(axis=2)
    return positions, rewards, alive & ~arrived
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_step_all", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("13.step_all", step_all)
### BEGIN HIDDEN TESTS
check("13.step_all", step_all, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Give the mask a third axis, `alive[:, :, None]`, and it chooses whole points. Goals need an axis in the middle. The mask of before the
# step decides who moves and who is paid; the new one is what you return.
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# Candles in several rooms burn down by one centimetre per hour, but only those that are lit; they go out below 2 cm:
#
# ```python
# height = np.where(lit, height - 1, height)   # (rooms, candles)
# light = np.where(lit, height, 0)             # the last hour still gives light
# lit = lit & ~(height < 2)
# ```
# </details>

# %% [markdown]
# ## 13.2 Returns to go
#
# *difficulty 2/5 · 10 minutes · 3 points*
#
# An action cannot change what was paid before it. So the action at step $t$ is judged by what comes from then on, what comes late
# counting less:
#
# $$G_t = \sum_{t' \ge t} \gamma^{\,t'-t}\, r_{t'}.$$
#
# Episodes end at different steps. The arrays go on to the horizon, and what the simulator has written into them after the end is
# rubbish: numbers that mean nothing, though never NaN.


# %% nbgrader={"grade": false, "grade_id": "returns_to_go", "locked": false, "schema_version": 3, "solution": true, "task": false}
def returns_to_go(rewards, alive, discount):
    """G: the discounted sum of the rewards from each step on, its own included; 0 at steps that are not alive.

    rewards (trajectories, horizon): what each step was paid. alive (trajectories, horizon): True for the steps of
    the episode, which come first; the rewards of all others mean nothing. discount: γ. Returns (trajectories, horizon).
    """
    ### BEGIN SOLUTION
    paid = np.where(alive, rewards, 0.0)
    result, total = np.zeros(paid.shape), np.zeros(len(paid))
    for t in reversed(range(paid.shape[1])):
        total = paid[:, t] + discount * total
        result[:, t] = total
    return result
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_returns_to_go", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("13.returns_to_go", returns_to_go)
### BEGIN HIDDEN TESTS
check("13.returns_to_go", returns_to_go, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Write $G_t$ with the help of $G_{t+1}$. At which end does a loop have to begin?
# </details>
# <details><summary>Hint 2: a similar case</summary>
#
# How far is it from each station to the end of the line, if `next_leg[i]` kilometres lie after station `i`?
#
# ```python
# distance, total = np.zeros(len(next_leg)), 0.0
# for i in reversed(range(len(next_leg))):
#     total = next_leg[i] + total
#     distance[i] = total
# ```
# </details>

# %% [markdown]
# ## 13.3 Advantages
#
# *difficulty 3/5 · 20 minutes · 4 points*
#
# A return of −30 says little: far from the goal it is good, close to it bad. So a **baseline** predicts the return to go
# from the place and the time, and only the surprise counts. The baseline is linear in given features $f$ (the position, its
# squares, the time, 1). Its weights $w$ minimise
#
# $$\sum (G - f \cdot w)^2 + \rho \lVert w\rVert^2,$$
#
# a sum over the steps that are alive; ρ holds back all weights, that of the 1 as well. Then the surprises $G - f\cdot w$ are
# shifted and scaled, so that over the steps alive of *all* trajectories together their mean is 0 and their standard deviation 1. (With
# ρ > 0 the mean is not 0 by itself.) Dead steps hold rubbish in every array, as in 13.2, and 0 in the result.


# %% nbgrader={"grade": false, "grade_id": "advantages", "locked": false, "schema_version": 3, "solution": true, "task": false}
def advantages(returns, features, alive, ridge):
    """A: what the baseline did not foresee, with mean 0 and standard deviation 1 over the steps alive; 0 at dead steps.

    returns (trajectories, horizon): returns to go, G. features (trajectories, horizon, features): f, a 1 among them.
    alive (trajectories, horizon): True for the steps that count. ridge: ρ > 0.
    The standard deviation is that of NumPy (ddof=0). Returns (trajectories, horizon).
    """
    ### BEGIN SOLUTION
    x, y = features[alive], returns[alive]  # (steps, features), (steps,)
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    surprise = y - x @ weights
    result = np.zeros(returns.shape)
    result[alive] = (surprise - surprise.mean()) / surprise.std()
    return result
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_advantages", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("13.advantages", advantages)
### BEGIN HIDDEN TESTS
check("13.advantages", advantages, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `features[alive]` is a table with one row for each step alive, of whatever trajectory. Everything but the last line can be done
# in such tables.
# </details>
# <details><summary>Hint 2</summary>
#
# Set the gradient of the sum with respect to $w$ to zero: $(X^\top X + \rho I)\,w = X^\top y$. `np.linalg.solve` does the rest. To put
# values back where they belong, assign to `result[alive]`.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Temperatures of many towns; some thermometers are broken. How unusual is each reading of one that works, compared with a straight line
# through height and temperature?
#
# ```python
# x = np.column_stack([height[works], np.ones(works.sum())])
# w = np.linalg.solve(x.T @ x, x.T @ temperature[works])
# unusual = np.zeros(len(works))
# unusual[works] = temperature[works] - x @ w
# ```
# </details>

# %% [markdown]
# ## 13.4 A loss whose gradient is the policy gradient
#
# *difficulty 3/5 · 20 minutes · 4 points*
#
# MAML's inner step wants a loss to go down on. Policy gradients offer one: minus the mean of $\log\pi(a\,|\,s)\cdot A$ over the
# steps alive, with all trajectories together. Its value means nothing; what counts is that to go down on it leads to more reward.
# Take the policy
#
# $$a \sim \mathcal N(s\,W,\ \sigma^2)$$
#
# on each of two axes, independently, and give both by hand: the loss and its gradient with respect to $W$.


# %% nbgrader={"grade": false, "grade_id": "surrogate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def surrogate(weights, log_std, positions, actions, advantages, alive):
    """(loss, gradient): −mean of log π(a | s) · A over the steps alive, and its gradient with respect to W.

    weights (2, 2): W; the mean action at a position s, a row of two numbers, is s @ W. log_std (2,): log σ of each
    axis. positions, actions (trajectories, horizon, 2): s and a. advantages (trajectories, horizon): A, fixed numbers of
    any mean, taken as they are. alive (trajectories, horizon): True for steps that count; all other steps hold rubbish, never NaN.
    log π is the logarithm of the density of both axes together, constants included. Returns a number and (2, 2).
    """
    ### BEGIN SOLUTION
    sigma = np.exp(log_std)
    s, a, weight = positions[alive], actions[alive], advantages[alive]  # (steps, 2) twice, (steps,)
    z = (a - s @ weights) / sigma
    log_pi = (-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(axis=1)
    gradient = -(s * weight[:, None]).T @ (z / sigma) / len(s)
    return -np.mean(log_pi * weight), gradient
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_surrogate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("13.surrogate", surrogate)
### BEGIN HIDDEN TESTS
check("13.surrogate", surrogate, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The density of one axis is $\frac{1}{\sqrt{2\pi}\,\sigma}\exp\!\left(-\frac{(a-\mu)^2}{2\sigma^2}\right)$. Take its logarithm on
# paper before you write any code; of independent axes the logarithms add up.
# </details>
# <details><summary>Hint 2</summary>
#
# Only one term of $\log\pi$ contains μ: $\partial\log\pi/\partial\mu = (a - \mu)/\sigma^2$. And $\mu_j = \sum_i s_i W_{ij}$.
# Measure the gradient by finite differences if you doubt yours.
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# One number $w$, one example: $\log\pi = -\tfrac12(a - sw)^2/\sigma^2 - \log\sigma - \tfrac12\log 2\pi$, so the loss $-A\log\pi$
# has the gradient $-A\,s\,(a - sw)/\sigma^2$. For $A > 0$ a step downhill moves $sw$ towards $a$.
# </details>

# %% [markdown]
# ## 13.5 Which samples?
#
# *difficulty 4/5 · 25 minutes · 5 points*
#
# In supervised MAML the query set is there before training begins. In reinforcement learning somebody has to walk it. Who? With
# which parameters is the slope of which trajectories taken? This is the line at which most home-made versions go wrong, and
# nothing crashes.
#
# The world is as small as it can be. A body stands at $s$, moves by the action $a$, and arrives at $s + ka$, where its gain $k$
# is unknown: that is the task. It is paid $-(s + ka)^2$. The policy is $a = \theta s + \sigma \cdot \text{noise}$ with a single
# parameter θ, and an episode is one step. These two functions are given:


# %%
def walk(theta, starts, noise, gain, sigma):
    """(actions, advantages) of the policy θ, (n,) each: what it does, and how much better than on average it was."""
    actions = theta * starts + sigma * noise
    rewards = -((starts + gain * actions) ** 2)
    return actions, rewards - rewards.mean()


def slope(theta, starts, actions, advantages, sigma):
    """The gradient of −mean log π(a | s) · A with respect to θ, a number, for trajectories that are given."""
    return -np.mean((actions - theta * starts) * starts * advantages) / sigma**2


# %% [markdown]
# Write MAML's meta-gradient as Finn and others (2017, Algorithm 3) have published it, with one inner step
# $\varphi = \theta - \alpha \cdot \text{slope}$. It is MAML's own, second order included, and **takes all trajectories
# as given**: starts, actions and advantages are numbers, as the examples of a support and a query set always were.


# %% nbgrader={"grade": false, "grade_id": "which_samples", "locked": false, "schema_version": 3, "solution": true, "task": false}
def which_samples(theta, gains, support, query, alpha, sigma):
    """(phi, gradient): the adapted parameter of each task, and the meta-gradient, the mean over the tasks.

    theta: a number. gains (tasks,): k of each task. support, query: pairs (starts, noise) of arrays (tasks, n), what
    the trajectories of the support set and of the query set begin with. alpha: α. sigma: σ.
    Returns phi (tasks,) and a number.
    """
    ### BEGIN SOLUTION
    phis, gradients = [], []
    for gain, starts, noise, query_starts, query_noise in zip(gains, *support, *query, strict=True):
        actions, worth = walk(theta, starts, noise, gain, sigma)
        phi = theta - alpha * slope(theta, starts, actions, worth, sigma)
        hessian = np.mean(starts**2 * worth) / sigma**2
        actions, worth = walk(phi, query_starts, query_noise, gain, sigma)
        phis.append(phi)
        gradients.append((1 - alpha * hessian) * slope(phi, query_starts, actions, worth, sigma))
    return np.array(phis), np.mean(gradients)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_which_samples", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("13.which_samples", which_samples)
### BEGIN HIDDEN TESTS
check("13.which_samples", which_samples, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Two walks and two slopes for each task. Before each of the four, ask: which policy is this about? The query set tells how good φ
# is, and not how good θ was.
# </details>
# <details><summary>Hint 2</summary>
#
# The meta-gradient is $\frac{d\varphi}{d\theta}$ times a slope at φ, as in chapter 04. With actions and advantages as fixed
# numbers, `slope` is linear in θ. What is its derivative?
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# Chapter 04 with data that somebody else has collected: for the loss $\tfrac12\,\text{mean}(w\,(\theta s - a)^2)$ the inner step
# is $\varphi = \theta - \alpha\,\text{mean}(w\,s\,(\theta s - a))$, and
# $\frac{d\varphi}{d\theta} = 1 - \alpha\,\text{mean}(w\,s^2)$. The query loss has data of its own: `s`, `a` and `w` of the query
# set, at φ.
# </details>

# %% [markdown]
# ## 13.6 Adapt once, then plan at every step
#
# *difficulty 3/5 · 25 minutes · 4 points*
#
# A cart has lost a wheel, and its model has to be learned again before it can be driven. The state is (position, velocity). A
# model is an array $W$ of the shape (3, 2). It predicts by how much the state *changes* in a step, as
# `[position, velocity, control] @ W`. First adapt the model, once, on a few transitions. Then control the cart: at every step try the
# given plans in the model, execute the first control of the cheapest one on the real cart, and look where it has got to.


# %% nbgrader={"grade": false, "grade_id": "mpc", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mpc(theta, support, alpha, inner_steps, body, start, plans):
    """(phi, controls): the adapted model, and the controls that the cart is given, one per step.

    theta (3, 2): the model before. support: a pair of arrays, inputs (n, 3), rows of position, velocity and control, and
    changes (n, 2). φ: θ after `inner_steps` gradient steps with rate alpha on the mean of all 2n squared errors.
    body (3, 2): how the real cart changes, in the same form: it moves the cart, and no plan may use it.
    start (2,): the first state.
    plans (steps, plans, horizon): the plans that are tried at each step, rows of controls. A plan costs
    position² + velocity² + control² at each of its steps, the state being that after the step; the costs add up.
    Returns phi (3, 2) and controls (steps,).
    """
    ### BEGIN SOLUTION
    inputs, changes = support
    phi = theta
    for _ in range(inner_steps):
        phi = phi - alpha * 2 * inputs.T @ (inputs @ phi - changes) / changes.size
    state, controls = start, []
    for tried in plans:  # (plans, horizon)
        states, costs = np.tile(state, (len(tried), 1)), np.zeros(len(tried))
        for control in tried.T:  # (plans,)
            states = states + np.column_stack([states, control]) @ phi
            costs += (states**2).sum(axis=1) + control**2
        controls.append(tried[costs.argmin(), 0])
        state = state + np.append(state, controls[-1]) @ body
    return phi, np.array(controls)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check_mpc", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("13.mpc", mpc)
### BEGIN HIDDEN TESTS
check("13.mpc", mpc, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Three loops: inner steps; then steps of the real cart; inside, steps of a plan. There are two states to keep apart: where the
# cart *is*, and where the plans would lead.
# </details>
# <details><summary>Hint 2</summary>
#
# All plans of a step can be tried at once: `states` (plans, 2) begins as the same row many times, and
# `np.column_stack([states, control])` is (plans, 3).
# </details>
# <details><summary>Hint 3: a similar case</summary>
#
# A thermostat that tries three rules for the next hours in a model of the room, takes the first setting of the best, waits an
# hour, and *reads the thermometer* before it tries again:
#
# ```python
# for hour in range(24):
#     settings = [rule(room) for rule in rules]                     # each a list for the hours to come
#     expected = [discomfort(imagine(room, s)) for s in settings]
#     room = real_room(room, settings[np.argmin(expected)][0])
# ```
# </details>

# %% [markdown]
# ## 13.7 In your own words
#
# *difficulty 4/5 · 15 minutes · 2 points, read by a person*
#
# In 13.5, and in the lesson, the meta-gradient takes the exploring trajectories of θ as given. But θ decided where they went.
# What is missing from the gradient? Tell apart what would be missing with infinitely many trajectories, too, and what is there only
# because they are few. Describe a task where the missing part matters, and one where you expect it hardly to, and say what it costs
# to put it in.
#
# <details><summary>Hint</summary>
#
# The lesson has the first part as a number and the second as a formula. For the second, think of a maze that pays only at its exit, and of two policies that explore it
# with twenty walks each.
# </details>

# %% [markdown] nbgrader={"grade": true, "grade_id": "written_13", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **Model answer.** φ depends on θ in two ways: through $\log\pi_\theta$, in the step that starts at θ, and through the
# trajectories $\tau$ that θ walks. The published gradient has the first way alone,
#
# $$\mathbb E\Big[\Big(\tfrac{\partial\varphi}{\partial\theta}\Big)^{\!\top}\nabla J(\varphi)\Big],$$
#
# where $J$ is the return of the adapted policy and $\tau$ is held fixed. Two things are missing.
#
# *The step that is expected.* Even with infinitely many trajectories, another θ makes another step, because it walks elsewhere. With
# trajectories held fixed, $\partial\varphi/\partial\theta$ is not the derivative of the mean φ: of the curvature of the
# return, the part with $\nabla\log\pi_\theta(\tau)$ twice is left out. DiCE (Foerster and others, 2018) and ProMP (Rothfuss and
# others, 2019) put it in.
#
# *The few trajectories.* φ is a matter of chance as long as they are few, and θ decides which are likely. The gradient of
# $\mathbb E_{\tau\sim\pi_\theta}[J(\varphi(\theta, \tau))]$ has a second term,
# $\mathbb E[\nabla_\theta\log\pi_\theta(\tau)\,J(\varphi)]$: trajectories after which the adapted policy does well become
# more likely. So θ gets credit for exploring where *a few walks teach much*. E-MAML (Stadie and others, 2018) and Al-Shedivat and
# others (2018) have this term. (It holds the first part as well, as what remains of it with infinitely many trajectories.)
#
# It matters where the first trajectories can succeed or fail in finding out what the task is: rewards only close to the goal, a sign
# that hangs in one corner, a robot whose motor must be tried before one knows which way it turns. A θ that looks in the
# right place is worth a lot there, and the published gradient does not reward it for looking. The second part should be small where
# every step is paid minus the distance, as in the lesson's navigation, because the rewards of any walk tell where the goal is; that
# was not measured. The first part is multiplied by α, so it hardly matters with a small inner step; in the lesson's
# problem with one action a large one gives the gradient the wrong sign without it. The price of both is noise: products of
# $\nabla\log\pi$, or one number, how well φ did, shared out among all actions of the exploration. It takes many trajectories until that
# averages out.
#
# **Rubric.** 1 point: names the missing dependence, of the exploring trajectories on θ, and tells its two parts apart: the
# derivative of the expected step, which is missing however many trajectories there are, and credit to θ for few trajectories that
# teach more. A formula is not needed, and neither are names; half a point for the dependence with one part only. 1 point: one
# task where it matters and one where it is expected not to, each with a reason that fits (such as sparse or hidden rewards, against
# rewards at every step or a small α), and the cost (variance, more trajectories).
